/* SPDX-License-Identifier: ISC */
/*
 * svm_check.c - is a VMCB one that VMRUN takes? The rules are svm_rules.def;
 * #VMEXIT with VMEXIT_INVALID says only that one of them is broken.
 */
#include "svm.h"
#include "vmm.h"

/*
 * The first rule that `b` breaks, of those about the guest or of all.
 * Returns: false: none.
 */
bool
svm_rules(const struct vmcb *b, bool guest_only, struct entry_broken *broken)
{
	uint64_t x;

#define RULE(section, part, id, name, holds, ok, allowed)		\
	x = (holds);							\
	if ((!guest_only || ENTRY_##part == ENTRY_GUEST) && !(ok)) {	\
		static const struct entry_rule rule = {			\
			id, section, name, allowed			\
		};							\
									\
		broken->rule = &rule;					\
		broken->value = x;					\
		return (true);						\
	}
#include "svm_rules.def"
#undef RULE
	return (false);
}
