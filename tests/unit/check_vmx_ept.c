/* SPDX-License-Identifier: ISC */
/*
 * check_vmx_ept.c - what the nested page table asks of this CPU's EPT, and the
 * CPUs that must not execute from large pages.
 */
#include "vmx_unit.h"

/* A CPU with the page-size-change erratum: no X in large leaves. */
START_TEST(multihit)
{
	static const struct {
		uint32_t	edx;
		uint64_t	arch;
		bool		withheld;
	} t[] = { { 1u << 29, 0x40, false }, { 1u << 29, 0xbf, true },
	    { 0, 0x40, true } };
	uint64_t hpa, leaf;
	uint32_t r[4];
	int rights;

	unit_detach();
	vmx_bare();
	fake_cpuid_get(7, 0, r);
	fake_cpuid_set(7, 0, r[0], r[1], r[2], t[_i].edx);
	fake_msr_all(FAKE_MSR_ARCH, t[_i].arch, ~t[_i].arch);
	unit_attach();
	fake_user_map(GUEST_VA, 4 * MIB, FAKE_HUGE);
	id = unit_create(4 * MIB, 1);
	ck_assert_int_eq(unit_protect(id, 0, 4 * MIB, 7), 0);
	ck_assert(fake_walk(host_pa_of(unit_vm(id)->npt.root), 0x1000, &hpa,
	    &rights, &leaf));
	ck_assert_uint_eq(leaf, 2 * MIB);
	ck_assert_int_eq(rights, t[_i].withheld ? 3 : 7);
}
END_TEST

/*
 * There a large page is the guest's to execute all the same: its first
 * instruction splits the page, and the parts have what it was allowed.
 */
static void
execute(struct fake_guest *g, uint64_t gpa)
{
	if (!fake_access(g, gpa & ~7ULL, (int)(gpa & 7), NULL))
		fake_step_again();
}

static void
setup_multihit(int prot)
{
	struct vcpu_reg_state r;

	unit_detach();
	vmx_bare();
	fake_msr_all(FAKE_MSR_ARCH, 0, 0x40);
	unit_attach();
	fake_user_map(GUEST_VA, 4 * MIB, FAKE_HUGE);
	id = unit_create(4 * MIB, 1);
	ck_assert_int_eq(unit_protect(id, 0, 4 * MIB, prot), 0);
	unit_real(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
}

static uint64_t
leaf_size(uint64_t gpa, int *rights)
{
	uint64_t hpa, leaf;

	ck_assert(fake_walk(host_pa_of(unit_vm(id)->npt.root), gpa, &hpa,
	    rights, &leaf));
	ck_assert_uint_eq(hpa, fake_user_pa(GUEST_VA + gpa));
	return (leaf);
}

START_TEST(multihit_splits)
{
	int rights;

	setup_multihit(7);
	fake_step(execute, 0x3000 | NPT_W);	/* no reason to split */
	run_to_end();
	ck_assert_uint_eq(leaf_size(0x3000, &rights), 2 * MIB);
	fake_step(execute, 0x3000 | NPT_X);
	fake_step(execute, 0x7000 | NPT_X);
	fake_step(execute, 0x8000 | NPT_W);
	run_to_end();
	ck_assert_uint_eq(leaf_size(0x3000, &rights), PAGE_SIZE_4K);
	ck_assert_int_eq(rights, 7);
	ck_assert_uint_eq(leaf_size(0x9000, &rights), PAGE_SIZE_4K);
	ck_assert_int_eq(rights, 7);
	ck_assert_uint_eq(leaf_size(2 * MIB, &rights), 2 * MIB);
	ck_assert_uint_eq(unit_used(id), 4 * MIB);
}
END_TEST

/* A page that the client closed to execution stays whole, and closed. */
START_TEST(multihit_not_allowed)
{
	int rights;

	setup_multihit(3);
	fake_step(execute, 0x3000 | NPT_X);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, 48);
	ck_assert_uint_eq(leaf_size(0x3000, &rights), 2 * MIB);
	ck_assert_int_eq(rights, 3);
	fake_steps_clear();
}
END_TEST

START_TEST(multihit_no_memory)
{
	setup_multihit(7);
	fake_step(execute, 0x3000 | NPT_X);
	fake_fail_at(1);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), ENOMEM);
	fake_fail_at(0);
	ck_assert(fake_log_has("ends with error 12: exit 0x30"));
	fake_steps_clear();
}
END_TEST

/* CPUID without leaf 7 says nothing of the erratum: the CPU has it. */
START_TEST(multihit_old_cpu)
{
	uint32_t r[4];

	unit_detach();
	vmx_bare();
	fake_cpuid_get(0, 0, r);
	fake_cpuid_set(0, 0, 6, r[1], r[2], r[3]);
	unit_attach();
	ck_assert_uint_ne(hv->npt->withheld, 0);
}
END_TEST

/* What EPT cannot do, the nested page table does not ask for. */
START_TEST(ept_format)
{
	static const struct {
		uint64_t	clear;
		unsigned int	order;
		bool		exec_only;
	} t[] = { { 0, ORDER_1G, true }, { 1 << 17, ORDER_2M, true },
	    { 3 << 16, ORDER_4K, true }, { 1, ORDER_1G, false } };

	unit_detach();
	vmx_bare();
	fake_msr_all(FAKE_MSR_EPT, 0, t[_i].clear);
	unit_attach();
	ck_assert_uint_eq(hv->npt->max_order, t[_i].order);
	ck_assert(hv->npt->exec_only == t[_i].exec_only);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("vmx_ept");
	TCase *tc = tcase_create("ept");

	tcase_add_checked_fixture(tc, vmx_setup, unit_detach);
	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, multihit, 0, 3);
	tcase_add_test(tc, multihit_old_cpu);
	tcase_add_test(tc, multihit_splits);
	tcase_add_test(tc, multihit_not_allowed);
	tcase_add_test(tc, multihit_no_memory);
	tcase_add_loop_test(tc, ept_format, 0, 4);
	return (s);
}
