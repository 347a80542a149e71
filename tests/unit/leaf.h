/* SPDX-License-Identifier: ISC */
/*
 * leaf.h - a VM and a VCPU without a vendor, for the suites of the files that
 * only look at registers and guest memory. The vendor here holds what a test
 * puts into `leaf` and counts what it is asked for.
 */
#ifndef LEAF_H
#define LEAF_H

#include "unit.h"

#define LEAF_SIZE	(64 * PAGE_SIZE_4K)	/* guest memory at GPA 0 */

struct leaf {
	struct vm			vm;
	struct vcpu			v;
	struct vcpu_reg_state		held;	/* what the vendor holds */
	int				cpl;
	unsigned int			flushes;
	uint64_t			get_mask, set_mask;
	uint64_t			bad_cr4;	/* cr_check: EINVAL */
};

static struct leaf leaf;

/* Copy the fields of `mask` that hv.h says the vendor holds. */
static void
leaf_copy(struct vcpu_reg_state *to, uint64_t mask,
    const struct vcpu_reg_state *from)
{
	int i;

	if (mask & VM_RWREGS_SREGS) {
		memcpy(to->vrs_sregs, from->vrs_sregs, sizeof(to->vrs_sregs));
		to->vrs_gdtr = from->vrs_gdtr;
		to->vrs_idtr = from->vrs_idtr;
	}
	if (mask & VM_RWREGS_CRS)
		to->vrs_crs[VCPU_REGS_CR3] = from->vrs_crs[VCPU_REGS_CR3];
	if (mask & VM_RWREGS_MSRS)
		for (i = VCPU_REGS_STAR; i <= VCPU_REGS_KGSBASE; i++)
			to->vrs_msrs[i] = from->vrs_msrs[i];
}

static void
leaf_regs_get(struct vcpu *v, uint64_t mask, struct vcpu_reg_state *rs)
{
	ck_assert_ptr_eq(v, &leaf.v);
	leaf.get_mask |= mask;
	leaf_copy(rs, mask, &leaf.held);
}

static void
leaf_regs_set(struct vcpu *v, uint64_t mask, const struct vcpu_reg_state *rs)
{
	ck_assert_ptr_eq(v, &leaf.v);
	leaf.set_mask |= mask;
	leaf_copy(&leaf.held, mask, rs);
	v->cs_l = (leaf.held.vrs_sregs[VCPU_REGS_CS].vsi_ar & SEG_L) != 0;
}

static int
leaf_cr_check(uint64_t cr0, uint64_t cr4)
{
	(void)cr0;
	return ((cr4 & leaf.bad_cr4) != 0 ? EINVAL : 0);
}

static void
leaf_segment(struct vcpu *v, int sreg, struct vcpu_segment_info *s)
{
	ck_assert_ptr_eq(v, &leaf.v);
	*s = leaf.held.vrs_sregs[sreg];
}

static int
leaf_get_cpl(struct vcpu *v)
{
	ck_assert_ptr_eq(v, &leaf.v);
	return (leaf.cpl);
}

static uint64_t
leaf_get_cr3(struct vcpu *v)
{
	ck_assert_ptr_eq(v, &leaf.v);
	return (leaf.held.vrs_crs[VCPU_REGS_CR3]);
}

static void
leaf_tlb_flush(struct vcpu *v)
{
	ck_assert_ptr_eq(v, &leaf.v);
	leaf.flushes++;
}

static const struct npt_format leaf_npt = {
	.table = 0x7,
	.leaf = 0x4,
	.large = 0x80,
	.r = 0x1,
	.w = 0x2,
	.nx = 1ULL << 63,
	.present = 0x1,
	.max_order = ORDER_2M,
};

static struct hv_ops leaf_ops = {
	.npt = &leaf_npt,
	.regs_get = leaf_regs_get,
	.regs_set = leaf_regs_set,
	.cr_check = leaf_cr_check,
	.segment = leaf_segment,
	.cpl = leaf_get_cpl,
	.cr3 = leaf_get_cr3,
	.tlb_flush = leaf_tlb_flush,
};

/* Read the fake CPU again, after a test changed it. */
static inline void
leaf_attach(void)
{
	fpu_attach();
	cpuid_attach();
}

static void
leaf_setup(void)
{
	struct vm *vm = &leaf.vm;

	memset(&leaf, 0, sizeof(leaf));
	leaf_ops.wants_pdptes = false;
	hv = &leaf_ops;
	leaf_attach();
	fake_user_map(GUEST_VA, LEAF_SIZE, 0);
	vm->id = 1;
	vm->pages = LEAF_SIZE >> PAGE_SHIFT_4K;
	ck_assert_int_eq(host_as_get(vm->pages, &vm->as), 0);
	vm->nranges = 1;
	vm->range[0].vmr_va = GUEST_VA;
	vm->range[0].vmr_size = LEAF_SIZE;
	host_mutex_init(&vm->lock, "vm", RANK_VM);
	ck_assert_int_eq(npt_init(&vm->npt, hv->npt), 0);
	vm->ncpus = 1;
	vm->vcpu[0] = &leaf.v;
	leaf.v.vm = vm;
	leaf.v.cpu = -1;
	leaf.v.cr0 = CR0_ET;
	leaf.v.fpu = host_page_alloc(0);
	ck_assert_ptr_nonnull(leaf.v.fpu);
	fpu_reset(&leaf.v);
}

static void
leaf_teardown(void)
{
	fake_check_idle();
	host_page_free(leaf.v.fpu, 0);
	npt_free(&leaf.vm.npt);
	host_as_put(leaf.vm.as, leaf.vm.pages);
	host_mutex_destroy(&leaf.vm.lock);
	hv = NULL;
}

/* A test case whose tests find `leaf` ready. */
static TCase *
leaf_case(Suite *s, const char *name)
{
	TCase *tc = unit_bare_case(s, name);

	tcase_add_checked_fixture(tc, leaf_setup, leaf_teardown);
	return (tc);
}

#endif /* LEAF_H */
