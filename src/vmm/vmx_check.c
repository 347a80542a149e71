/* SPDX-License-Identifier: ISC */
/*
 * vmx_check.c - is the current VMCS one that VMLAUNCH and VMRESUME take? The
 * rules are vmx_rules.def; VMfail and a failed entry say only of which kind
 * the broken one is.
 */
#include "vmm.h"
#include "vmx.h"

static bool
vmx_fixed_cr4(uint64_t cr4)
{
	return ((~cr4 & vmx_ctl.cr4_fixed0) == 0 &&
	    (cr4 & ~vmx_ctl.cr4_fixed1) == 0);
}

/*
 * The first rule that the current VMCS breaks, of those about the guest or of
 * all. C, E
 * Returns: false: none.
 */
bool
vmx_rules(bool guest_only, struct entry_broken *broken)
{
	uint64_t x;

#define F(name)	vmcs_read(VMCS_##name)
#define RULE(section, part, id, field, ok, allowed)			\
	x = F(field);							\
	if ((!guest_only || ENTRY_##part == ENTRY_GUEST) && !(ok)) {	\
		static const struct entry_rule rule = {			\
			id, section, #field, allowed			\
		};							\
									\
		broken->rule = &rule;					\
		broken->value = x;					\
		return (true);						\
	}
#include "vmx_rules.def"
#undef RULE
	return (false);
}
