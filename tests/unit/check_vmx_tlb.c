/* SPDX-License-Identifier: ISC */
/*
 * check_vmx_tlb.c - INVEPT, INVVPID and VPIDs: when they are needed, and only
 * then. What both vendors must do is check_tlb.c's, which runs here as well.
 */
#include "vmx_unit.h"

#define PAGE	PAGE_SIZE_4K
#define VM_SIZE	(1 * MIB)
#define MAX_VPID 0xfff		/* the driver's own limit */

static uint64_t reached;	/* host address of the last access */

/* One guest access: comes again after a violation that the driver served. */
static void
access_step(struct fake_guest *g, uint64_t arg)
{
	if (!fake_access(g, arg & ~0xfULL, arg & 0xf, &reached))
		fake_step_again();
}

/* Whether the guest may; what it reached is in `reached`. */
static bool
may(uint32_t vm, uint32_t vcpu, uint64_t gpa, int access)
{
	fake_steps_clear();
	fake_step(access_step, gpa | (uint64_t)access);
	step(&triple_fault);
	ck_assert_int_eq(unit_run(vm, vcpu, NONE, &u), 0);
	if (u.reason == 48) {
		ck_assert_uint_eq(u.exit.vee.vee_fault_type,
		    VEE_FAULT_PROTECT);
		return (false);
	}
	ck_assert_uint_eq(u.reason, 2);
	return (true);
}

static uint64_t
va_of_vm(unsigned int n)
{
	return (GUEST_VA + n * 16 * MIB);
}

/* VM number n, with memory of its own, VCPUs in real mode. */
static uint32_t
make_vm(unsigned int n, uint32_t ncpus)
{
	struct vcpu_reg_state r;
	uint32_t vm, i;

	if (fake_user_ptr(va_of_vm(n)) == NULL)
		fake_user_map(va_of_vm(n), VM_SIZE, 0);
	ck_assert_int_eq(unit_create_at(va_of_vm(n), VM_SIZE, ncpus, &vm), 0);
	unit_real(&r);
	for (i = 0; i < ncpus; i++)
		ck_assert_int_eq(unit_reset(vm, i, &r), 0);
	return (vm);
}

static void
setup(void)
{
	vmx_bare();
	unit_attach();
}

/* Without VPIDs, or without what they need. */
static void
setup_no_vpid(void)
{
	vmx_bare();
	fake_vmx_absent(FAKE_MSR_PROC2, 5);
	unit_attach();
}

static uint64_t
flushes(void)
{
	return (fake_invepts() + fake_invvpids());
}

/* --- Only when needed --- */

START_TEST(f10_not_needed)
{
	static const struct fake_vexit cpuid = { .reason = 10, .len = 2 };
	uint32_t vm = make_vm(0, 1), vpid;
	uint64_t n;
	int i;

	ck_assert(may(vm, 0, 0x3000, NPT_W));
	ck_assert_uint_eq(reached, fake_user_pa(va_of_vm(0) + 0x3000));
	n = flushes();
	vpid = fake_last()->asid;
	for (i = 0; i < 100; i++) {
		step(&cpuid);
		ck_assert(may(vm, 0, 0x3000, NPT_W));
	}
	ck_assert_uint_eq(flushes(), n);
	ck_assert_uint_eq(fake_last()->asid, vpid);
	ck_assert_uint_ge(fake_ept_entries(0, last(VF_EPTP)), 2);
	/* More rights, a first touch: none needed either. */
	ck_assert(may(vm, 0, 0x5000, NPT_R));
	ck_assert_uint_eq(flushes(), n);
	ck_assert_uint_eq(fake_last()->asid, vpid);
}
END_TEST

/* VCPUs of one VM, of others, and again on each CPU: all different. */
START_TEST(vpids_differ)
{
	uint32_t a = make_vm(0, 2), b = make_vm(1, 1), vpid[3];

	ck_assert(may(a, 0, 0x3000, NPT_W));
	vpid[0] = fake_last()->asid;
	ck_assert(may(a, 1, 0x3000, NPT_W));
	vpid[1] = fake_last()->asid;
	ck_assert(may(b, 0, 0x3000, NPT_W));
	vpid[2] = fake_last()->asid;
	ck_assert(vpid[0] != vpid[1] && vpid[0] != vpid[2] &&
	    vpid[1] != vpid[2]);
	ck_assert(vpid[0] != 0 && vpid[1] != 0 && vpid[2] != 0);
	ck_assert(may(a, 0, 0x3000, NPT_W));
	ck_assert_uint_eq(fake_last()->asid, vpid[0]);
}
END_TEST

/* Two VCPUs of one VM that come to a CPU from different ones. */
START_TEST(vpids_differ_after_move)
{
	uint32_t vm = make_vm(0, 3), vpid[3];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		fake_cpu_set(i);
		ck_assert(may(vm, i, 0x3000, NPT_W));
		vpid[i] = fake_last()->asid;
	}
	ck_assert(vpid[0] == vpid[1] && vpid[1] == vpid[2]);
	fake_cpu_set(3);
	for (i = 0; i < 3; i++) {
		ck_assert(may(vm, i, 0x3000, NPT_W));
		vpid[i] = fake_last()->asid;
	}
	ck_assert(vpid[0] != vpid[1] && vpid[1] != vpid[2]);
	fake_cpu_set(0);
	ck_assert(may(vm, 1, 0x3000, NPT_W));
	vpid[1] = fake_last()->asid;
	ck_assert(may(vm, 0, 0x3000, NPT_W));
	ck_assert_uint_ne(fake_last()->asid, vpid[1]);
}
END_TEST

/* One INVEPT on each CPU that had the old rights, no more. */
START_TEST(f20_one_invept)
{
	uint32_t vm = make_vm(0, 1);
	uint64_t n;

	fake_cpu_set(1);
	ck_assert(may(vm, 0, 0x3000, NPT_W));
	n = fake_invepts();
	ck_assert_int_eq(unit_protect(vm, 0x3000, PAGE, 1), 0);
	ck_assert(!may(vm, 0, 0x3000, NPT_W));
	ck_assert(may(vm, 0, 0x3000, NPT_R));
	ck_assert_uint_eq(fake_invepts(), n + 1);
}
END_TEST

/* Two VCPUs, two CPUs, one EPT: both lose the right at once. */
START_TEST(f20_two_vcpus)
{
	uint32_t vm = make_vm(0, 2);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		fake_cpu_set(i);
		ck_assert(may(vm, i, 0x3000, NPT_W));
	}
	ck_assert_int_eq(unit_protect(vm, 0x3000, PAGE, 1), 0);
	for (i = 0; i < 2; i++) {
		fake_cpu_set(i);
		ck_assert(!may(vm, i, 0x3000, NPT_W));
	}
	/* and each on the CPU of the other */
	for (i = 0; i < 2; i++) {
		fake_cpu_set(1 - i);
		ck_assert(!may(vm, i, 0x3000, NPT_W));
	}
}
END_TEST

/* Both on one CPU: the guest-physical mappings are common to them. */
START_TEST(f20_two_vcpus_one_cpu)
{
	uint32_t vm = make_vm(0, 2);

	ck_assert(may(vm, 0, 0x3000, NPT_W));
	ck_assert(may(vm, 1, 0x4000, NPT_W));
	ck_assert_int_eq(unit_protect(vm, 0x3000, 2 * PAGE, 1), 0);
	ck_assert(!may(vm, 1, 0x3000, NPT_W));
	ck_assert(!may(vm, 0, 0x4000, NPT_W));
	ck_assert(!may(vm, 0, 0x3000, NPT_W));
	ck_assert(!may(vm, 1, 0x4000, NPT_W));
}
END_TEST

/* Execute-only exists here: reading is a violation of its own. */
START_TEST(f20_exec_only)
{
	uint32_t vm = make_vm(0, 1);

	ck_assert(may(vm, 0, 0x3000, NPT_R));
	ck_assert_int_eq(unit_protect(vm, 0x3000, PAGE, 4), 0);
	ck_assert(!may(vm, 0, 0x3000, NPT_R));
	ck_assert(may(vm, 0, 0x3000, NPT_X));
	ck_assert(!may(vm, 0, 0x3000, NPT_W));
}
END_TEST

/* F26: a violation on what is mapped and allowed: a new VPID, and on. */
START_TEST(f26_spurious)
{
	static const struct fake_vexit npf = { .reason = 48, .qual = 0x182,
	    .gpa = 0x3000 };
	uint32_t vm = make_vm(0, 1), vpid;

	ck_assert(may(vm, 0, 0x3000, NPT_W));
	vpid = fake_last()->asid;
	step(&npf);
	step(&triple_fault);
	ck_assert_int_eq(unit_run(vm, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, 2);
	ck_assert_uint_ne(fake_last()->asid, vpid);
}
END_TEST

/* --- Control registers: linear translations, by a new VPID --- */

static void
mov_to_cr(struct fake_guest *g, uint64_t arg)
{
	g->gpr[VCPU_REGS_RBX] = arg >> 4;
	g->len = 3;
	ck_assert(fake_mov_to_cr(g, arg & 0xf, VCPU_REGS_RBX));
}

START_TEST(cr_writes_flush)
{
	static const struct {
		uint8_t		cr;
		uint64_t	from, to;
		bool		flush;
	} t[] = {
		{ 0, 0x11, 0x10011, true },		/* WP */
		{ 0, 0x11, 0x80000011, true },		/* PG */
		{ 0, 0x11, 0x13, false },		/* MP */
		{ 4, 0, 0x10, true },			/* PSE */
		{ 4, 0, 0x20, true },			/* PAE */
	};
	struct vcpu_reg_state r;
	uint32_t vm = make_vm(0, 1), vpid;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		unit_real(&r);
		r.vrs_crs[VCPU_REGS_CR0] = t[i].cr == 0 ? t[i].from : 0x11;
		r.vrs_crs[VCPU_REGS_CR3] = 0x8000;
		ck_assert_int_eq(unit_reset(vm, 0, &r), 0);
		step(&interrupt_exit);
		step(&triple_fault);
		ck_assert_int_eq(unit_run(vm, 0, NONE, &u), 0);
		vpid = fake_last()->asid;
		fake_step(mov_to_cr, t[i].to << 4 | t[i].cr);
		step(&triple_fault);
		ck_assert_int_eq(unit_run(vm, 0, NONE, &u), 0);
		ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x1003);
		ck_assert_msg((fake_last()->asid != vpid) == t[i].flush,
		    "row %zu", i);
	}
}
END_TEST

/* RESETCPU and WRITEREGS of control registers: nothing old is used. */
START_TEST(reset_flushes)
{
	struct vcpu_reg_state r;
	uint32_t vm = make_vm(0, 1), vpid;

	ck_assert(may(vm, 0, 0x3000, NPT_W));
	vpid = fake_last()->asid;
	unit_real(&r);
	ck_assert_int_eq(unit_write(vm, 0, VM_RWREGS_GPRS, &r), 0);
	ck_assert(may(vm, 0, 0x3000, NPT_W));
	ck_assert_uint_eq(fake_last()->asid, vpid);
	ck_assert_int_eq(unit_write(vm, 0, VM_RWREGS_CRS, &r), 0);
	ck_assert(may(vm, 0, 0x3000, NPT_W));
	ck_assert_uint_ne(fake_last()->asid, vpid);
	vpid = fake_last()->asid;
	ck_assert_int_eq(unit_reset(vm, 0, &r), 0);
	ck_assert(may(vm, 0, 0x3000, NPT_W));
	ck_assert_uint_ne(fake_last()->asid, vpid);
}
END_TEST

/* --- VPIDs that run out --- */

/* Each reset takes one; then all are flushed, once, and they begin again. */
START_TEST(vpids_run_out)
{
	struct vcpu_reg_state r;
	uint32_t a = make_vm(0, 1), b = make_vm(1, 1), highest = 0;
	uint64_t n;
	int i;

	ck_assert(may(b, 0, 0x3000, NPT_W));
	n = fake_invvpids();
	unit_real(&r);
	for (i = 0; i < 2 * MAX_VPID + 10; i++) {
		ck_assert_int_eq(unit_reset(a, 0, &r), 0);
		ck_assert(may(a, 0, 0x3000, NPT_W));
		ck_assert_uint_eq(reached, fake_user_pa(va_of_vm(0) + 0x3000));
		ck_assert_uint_ne(fake_last()->asid, 0);
		if (fake_last()->asid > highest)
			highest = fake_last()->asid;
	}
	ck_assert_uint_eq(highest, MAX_VPID);
	ck_assert_uint_eq(fake_invvpids(), n + 2);
	ck_assert(may(b, 0, 0x3000, NPT_W));
	ck_assert_uint_eq(reached, fake_user_pa(va_of_vm(1) + 0x3000));
}
END_TEST

/* A VCPU of the last generation must not keep its number in the next. */
START_TEST(vpid_of_old_generation)
{
	struct vcpu_reg_state r;
	uint32_t a = make_vm(0, 1), b = make_vm(1, 1), vpid;
	int i;

	ck_assert(may(b, 0, 0x3000, NPT_W));
	vpid = fake_last()->asid;
	unit_real(&r);
	for (i = 0; i < MAX_VPID; i++) {
		ck_assert_int_eq(unit_reset(a, 0, &r), 0);
		ck_assert(may(a, 0, 0x3000, NPT_R));
	}
	ck_assert_uint_eq(fake_last()->asid, vpid);	/* has gone round */
	ck_assert(may(b, 0, 0x3000, NPT_W));
	ck_assert_uint_ne(fake_last()->asid, vpid);
}
END_TEST

/* --- An EPT root whose page was another's --- */

/*
 * The page of an ended VM's root is the next VM's: guest-physical mappings
 * are known by that address alone, whatever the VPID.
 */
START_TEST(recycled_root)
{
	uint64_t root = 0, same = 0;
	uint32_t keep, vm;
	unsigned int i, n, page;

	fake_recycle();
	keep = make_vm(3, 1);
	for (i = 0; i < 40; i++) {
		n = i % 3;
		vm = make_vm(n, 1);
		same += host_pa_of(unit_vm(vm)->npt.root) == root;
		root = host_pa_of(unit_vm(vm)->npt.root);
		fake_cpu_set(i / 7 % 2);
		for (page = 0; page < 3; page++) {
			ck_assert(may(vm, 0, page * PAGE, NPT_W));
			ck_assert_uint_eq(reached,
			    fake_user_pa(va_of_vm(n) + page * PAGE));
		}
		ck_assert_int_eq(unit_term(vm), 0);
	}
	ck_assert_uint_gt(same, 5);	/* it did happen */
	ck_assert_int_eq(unit_term(keep), 0);
}
END_TEST

/* The same over VMXOFF and VMXON, which flush nothing. */
START_TEST(recycled_root_vmxoff)
{
	uint64_t root = 0, same = 0;
	uint32_t vm;
	unsigned int i, n;

	fake_recycle();
	for (i = 0; i < 12; i++) {
		n = i % 3;
		vm = make_vm(n, 1);
		same += host_pa_of(unit_vm(vm)->npt.root) == root;
		root = host_pa_of(unit_vm(vm)->npt.root);
		ck_assert(may(vm, 0, 0x3000, NPT_W));
		ck_assert_uint_eq(reached, fake_user_pa(va_of_vm(n) + 0x3000));
		ck_assert_int_eq(unit_term(vm), 0);
		ck_assert(!fake_vmx_on(0));
	}
	ck_assert_uint_gt(same, 2);
}
END_TEST

/* --- Moving about --- */

/* Mappings of a CPU that the VCPU left are not good when it comes back. */
START_TEST(f20_left_and_came_back)
{
	uint32_t vm = make_vm(0, 1);

	fake_cpu_set(0);
	ck_assert(may(vm, 0, 0x3000, NPT_W));
	fake_cpu_set(1);
	ck_assert(may(vm, 0, 0x3000, NPT_W));
	ck_assert_int_eq(unit_protect(vm, 0x3000, PAGE, 1), 0);
	ck_assert(!may(vm, 0, 0x3000, NPT_W));
	fake_cpu_set(0);
	ck_assert(!may(vm, 0, 0x3000, NPT_W));
}
END_TEST

/* --- No VPIDs --- */

START_TEST(without_vpid)
{
	uint32_t a = make_vm(0, 2), b = make_vm(1, 1);
	uint64_t n;
	int i;

	for (i = 0; i < 10; i++) {
		ck_assert(may(a, 0, 0x3000, NPT_W));
		ck_assert_uint_eq(fake_last()->asid, 0);
		ck_assert_uint_eq(reached, fake_user_pa(va_of_vm(0) + 0x3000));
		ck_assert(may(b, 0, 0x3000, NPT_W));
		ck_assert_uint_eq(reached, fake_user_pa(va_of_vm(1) + 0x3000));
	}
	ck_assert_uint_eq(fake_invvpids(), 0);
	n = fake_invepts();
	ck_assert_int_eq(unit_protect(a, 0x3000, PAGE, 1), 0);
	ck_assert(!may(a, 0, 0x3000, NPT_W));
	ck_assert(!may(a, 1, 0x3000, NPT_W));
	ck_assert(may(b, 0, 0x3000, NPT_W));
	ck_assert_uint_ge(fake_invepts(), n + 1);
	ck_assert_uint_eq(fake_invvpids(), 0);
}
END_TEST

/* What INVVPID cannot do all of, VPIDs are not used for. */
START_TEST(vpid_without_invvpid)
{
	unit_detach();
	vmx_bare();
	fake_msr_all(FAKE_MSR_EPT, 0, _i == 0 ? 1ULL << 32 : 1ULL << 42);
	unit_attach();
	ck_assert(may(make_vm(0, 1), 0, 0x3000, NPT_W));
	ck_assert_uint_eq(fake_last()->asid, 0);
	ck_assert_uint_eq(last(VF_PROC2) & VX_PROC2_VPID, 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("vmx_tlb");
	TCase *tc = tcase_create("vpid"), *none = tcase_create("no_vpid");

	tcase_add_checked_fixture(tc, setup, unit_detach);
	suite_add_tcase(s, tc);
	tcase_add_test(tc, f10_not_needed);
	tcase_add_test(tc, vpids_differ);
	tcase_add_test(tc, vpids_differ_after_move);
	tcase_add_test(tc, f20_one_invept);
	tcase_add_test(tc, f20_two_vcpus);
	tcase_add_test(tc, f20_two_vcpus_one_cpu);
	tcase_add_test(tc, f20_exec_only);
	tcase_add_test(tc, f26_spurious);
	tcase_add_test(tc, cr_writes_flush);
	tcase_add_test(tc, reset_flushes);
	tcase_add_test(tc, vpids_run_out);
	tcase_add_test(tc, vpid_of_old_generation);
	tcase_add_test(tc, recycled_root);
	tcase_add_test(tc, recycled_root_vmxoff);
	tcase_add_test(tc, f20_left_and_came_back);
	tcase_add_checked_fixture(none, setup_no_vpid, unit_detach);
	suite_add_tcase(s, none);
	tcase_add_test(none, without_vpid);
	tcase_add_test(none, f20_two_vcpus);
	tcase_add_test(none, f20_two_vcpus_one_cpu);
	tcase_add_test(none, recycled_root);
	tcase_add_loop_test(none, vpid_without_invvpid, 0, 2);
	return (s);
}
