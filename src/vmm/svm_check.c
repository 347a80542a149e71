/* SPDX-License-Identifier: ISC */
/*
 * svm_check.c - is a VMCB one that VMRUN takes? The rules are svm_rules.def;
 * #VMEXIT with VMEXIT_INVALID says only that one of them is broken.
 */
#include "svm.h"
#include "vmm.h"

#define EVENT_TYPES	0x1dU	/* 0, 2, 3, 4 */
#define TLB_ENCODINGS	0x8bU	/* 0, 1, 3, 7 */

/* Will the CPU be in long mode? */
static bool
svm_long(const struct vmcb *b)
{
	return ((b->save.efer & EFER_LME) != 0 && (b->save.cr0 & CR0_PG) != 0);
}

/* Is a permission map, whose pages begin at `pa`, in what the CPU reaches? */
static bool
svm_reachable(uint64_t pa, uint64_t bytes)
{
	return ((pa & ~0xfffUL) <= cpuid_phys_mask() + 1 - bytes);
}

/* Is EVENTINJ an exception? */
static bool
svm_raises(uint64_t event)
{
	return ((event & EVENT_VALID) != 0 &&
	    EVENT_TYPE(event) == EVENT_EXCEPTION);
}

/*
 * The first rule that `b` breaks, of those about the guest or of all.
 * Returns: false: none.
 */
bool
svm_rules(const struct vmcb *b, bool guest_only, struct entry_broken *broken)
{
	uint64_t x;

#define RULE	ENTRY_RULE
#include "svm_rules.def"
#undef RULE
	return (false);
}
