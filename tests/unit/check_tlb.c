/* SPDX-License-Identifier: ISC */
/*
 * check_tlb.c - translations that outlive what they were made from. The fake
 * CPUs keep every nested translation, by CPU and ASID or VPID, until it is
 * flushed; no emulator does. A flush forgotten anywhere makes a guest reach a
 * page, or a right, that is no longer its own.
 */
#include <stdlib.h>

#include "unit.h"

#define PAGE	PAGE_SIZE_4K
#define NVMS	4
#define NVCPUS	2
#define NPAGES	6
#define VM_SIZE	(1 * MIB)

static struct unit_run u;
static uint64_t reached;	/* host address of the last access */

static void
setup_with(uint32_t features, uint32_t nasids)
{
	unit_boot();
	fake_svm_set(features, nasids);
	unit_attach();
}

static void
setup(void)
{
	setup_with(FAKE_SVM_NP | FAKE_SVM_NRIPS, 16);
}

/* One guest access: comes again after a fault that the driver served. */
static void
access_step(struct fake_guest *g, uint64_t arg)
{
	if (!fake_access(g, arg & ~0xfULL, arg & 0xf, &reached))
		fake_step_again();
}

/* Whether the guest may; what it reached is in `reached`. */
static bool
may(uint32_t id, uint32_t vcpu, uint64_t gpa, int access)
{
	fake_steps_clear();
	fake_step(access_step, gpa | (uint64_t)access);
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_run(id, vcpu, NONE, &u), 0);
	if (u.reason == 0x400) {
		ck_assert_uint_eq(u.exit.vee.vee_fault_type,
		    VEE_FAULT_PROTECT);
		return (false);
	}
	ck_assert_uint_eq(u.reason, 0x7f);
	return (true);
}

static uint64_t
va_of_vm(unsigned int n)
{
	return (GUEST_VA + n * 16 * MIB);
}

/* VM number n, with memory of its own, VCPUs in real mode. */
static uint32_t
make_vm(unsigned int n)
{
	struct vcpu_reg_state r;
	uint32_t id, i;

	if (fake_user_ptr(va_of_vm(n)) == NULL)
		fake_user_map(va_of_vm(n), VM_SIZE, 0);
	ck_assert_int_eq(unit_create_at(va_of_vm(n), VM_SIZE, NVCPUS, &id),
	    0);
	unit_real(&r);
	for (i = 0; i < NVCPUS; i++)
		ck_assert_int_eq(unit_reset(id, i, &r), 0);
	return (id);
}

/* --- One VM --- */

START_TEST(translation_is_kept)
{
	uint32_t id = make_vm(0);
	uint64_t n;
	int i;

	ck_assert(may(id, 0, 0x3000, NPT_W));
	ck_assert_uint_eq(reached, fake_user_pa(va_of_vm(0) + 0x3000));
	n = fake_tlb_flushes();
	for (i = 0; i < 100; i++)
		ck_assert(may(id, 0, 0x3000, NPT_W));
	ck_assert_uint_eq(fake_tlb_flushes(), n);	/* F10: not needed */
	if (!unit_intel)
		ck_assert_uint_ge(fake_tlb_entries(0, fake_last()->asid), 1);
}
END_TEST

/* F20: taking a right away works at once, giving one too. */
START_TEST(f20_rights)
{
	uint32_t id = make_vm(0);

	ck_assert(may(id, 0, 0x3000, NPT_W));
	ck_assert(may(id, 0, 0x3000, NPT_X));
	ck_assert_int_eq(unit_protect(id, 0x3000, PAGE, 1), 0);
	ck_assert(!may(id, 0, 0x3000, NPT_W));
	ck_assert(!may(id, 0, 0x3000, NPT_X));
	ck_assert(may(id, 0, 0x3000, NPT_R));
	ck_assert_int_eq(unit_protect(id, 0x3000, PAGE, 3), 0);
	ck_assert(may(id, 0, 0x3000, NPT_W));
	ck_assert(!may(id, 0, 0x3000, NPT_X));
	ck_assert_int_eq(unit_protect(id, 0x3000, PAGE, 5), 0);
	ck_assert(!may(id, 0, 0x3000, NPT_W));
}
END_TEST

/* F10, F20: an old translation on the CPU it came from. */
START_TEST(f20_after_migration)
{
	uint32_t id = make_vm(0);

	fake_cpu_set(0);
	ck_assert(may(id, 0, 0x3000, NPT_W));
	fake_cpu_set(1);
	ck_assert(may(id, 0, 0x3000, NPT_W));
	ck_assert_int_eq(unit_protect(id, 0x3000, PAGE, 1), 0);
	ck_assert(!may(id, 0, 0x3000, NPT_W));
	fake_cpu_set(0);
	ck_assert(!may(id, 0, 0x3000, NPT_W));
	fake_cpu_set(1);
	ck_assert(!may(id, 0, 0x3000, NPT_W));
}
END_TEST

/* A split large page: the parts' rights hold, not the whole's. */
START_TEST(f20_split)
{
	uint32_t id;

	fake_user_map(GUEST_VA, 2 * MIB, FAKE_HUGE);
	id = unit_real_vm();
	ck_assert(may(id, 0, 0x3000, NPT_W));
	ck_assert(may(id, 0, 0x4000, NPT_W));
	ck_assert_int_eq(unit_protect(id, 0x3000, PAGE, 1), 0);
	ck_assert(!may(id, 0, 0x3000, NPT_W));
	ck_assert(may(id, 0, 0x4000, NPT_W));
	ck_assert_uint_eq(reached, fake_user_pa(GUEST_VA + 0x4000));
}
END_TEST

/* F26: a fault on what is mapped and allowed: a flush, and on. */
START_TEST(f26_spurious)
{
	static uint64_t infos[] = { 0x400, 0x100000007, 0x3000 };
	uint32_t id = make_vm(0), asid;

	ck_assert(may(id, 0, 0x3000, NPT_W));
	asid = fake_last()->asid;
	fake_steps_clear();
	fake_step(unit_raw, (uintptr_t)infos);
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, 0x7f);
	ck_assert(fake_last()->asid != asid);
	ck_assert_uint_eq(fake_pins(), 1);
}
END_TEST

/* Changes of CR0 and CR4 that cached translations may contradict. */
START_TEST(cr_writes_flush)
{
	static const struct {
		uint8_t		cr;
		uint64_t	from, to;
		bool		flush;
	} t[] = {
		{ 0x10, 0x11, 0x10011, true },		/* WP */
		{ 0x10, 0x11, 0x80000011, true },	/* PG */
		{ 0x10, 0x11, 0x13, false },		/* MP */
		{ 0x14, 0, 0x10, true },		/* PSE */
		{ 0x14, 0, 0x20, true },		/* PAE */
	};
	struct vcpu_reg_state r;
	uint32_t id = make_vm(0), asid;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		unit_real(&r);
		r.vrs_crs[VCPU_REGS_CR0] = t[i].cr == 0x10 ? t[i].from : 0x11;
		r.vrs_crs[VCPU_REGS_CR3] = 0x8000;
		r.vrs_gprs[VCPU_REGS_RBX] = t[i].to;
		r.vrs_gprs[VCPU_REGS_RIP] = 0x1000;
		ck_assert_int_eq(unit_reset(id, 0, &r), 0);
		fake_user_write(va_of_vm(0) + 0x1000, t[i].cr == 0x10 ?
		    "\x0f\x22\xc3" : "\x0f\x22\xe3", 3);
		fake_step(fake_do_exit, 0x60);
		STEP_SHUTDOWN();
		ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
		asid = fake_last()->asid;
		STEP(t[i].cr, 3);
		STEP_SHUTDOWN();
		ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
		ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x1003);
		ck_assert_msg((fake_last()->asid != asid) == t[i].flush,
		    "row %zu", i);
	}
}
END_TEST

/* --- ASIDs --- */

/* Fewer ASIDs than VCPUs: each reaches its own page, always. */
START_TEST(asids_recycled)
{
	static const uint32_t nasids[] = { 2, 3, 5 };
	uint32_t id[NVMS], seed = 99;
	unsigned int i, n, vcpu;

	unit_detach();
	setup_with(FAKE_SVM_NP, nasids[_i]);
	for (i = 0; i < NVMS; i++)
		id[i] = make_vm(i);
	for (n = 0; n < 300; n++) {
		i = unit_random(&seed) % NVMS;
		vcpu = unit_random(&seed) % NVCPUS;
		ck_assert(may(id[i], vcpu, 0x3000, NPT_W));
		ck_assert_uint_eq(reached, fake_user_pa(va_of_vm(i) + 0x3000));
		ck_assert_uint_lt(fake_last()->asid, nasids[_i]);
		ck_assert_uint_ge(fake_last()->asid, 1);
	}
}
END_TEST

/* Two VCPUs of one VM at once on one CPU never share an ASID there. */
START_TEST(asids_differ)
{
	uint32_t id = make_vm(0), a;

	ck_assert(may(id, 0, 0x3000, NPT_W));
	a = fake_last()->asid;
	ck_assert(may(id, 1, 0x3000, NPT_W));
	ck_assert_uint_ne(fake_last()->asid, a);
	ck_assert(may(id, 0, 0x3000, NPT_W));
	ck_assert_uint_eq(fake_last()->asid, a);
}
END_TEST

/* What an ended VM left in the TLB is no later VM's. */
START_TEST(next_vm)
{
	uint32_t keep = make_vm(3), id;
	unsigned int i;

	ck_assert(may(keep, 0, 0x3000, NPT_W));
	for (i = 0; i < 60; i++) {
		id = make_vm(i % 3);
		ck_assert(may(id, 0, 0x3000, NPT_W));
		ck_assert_uint_eq(reached,
		    fake_user_pa(va_of_vm(i % 3) + 0x3000));
		ck_assert_int_eq(unit_term(id), 0);
	}
	ck_assert_int_eq(unit_term(keep), 0);
	for (i = 0; i < 5; i++) {	/* the CPUs go off each time */
		id = make_vm(i % 3);
		ck_assert(may(id, 0, 0x3000, NPT_W));
		ck_assert_uint_eq(reached,
		    fake_user_pa(va_of_vm(i % 3) + 0x3000));
		ck_assert_int_eq(unit_term(id), 0);
	}
}
END_TEST

/* A refused entry did not do the flush it was to do: somebody else must. */
START_TEST(refused_entry_flush)
{
	struct vcpu_reg_state r;
	uint32_t a, b, c;

	unit_detach();
	setup_with(FAKE_SVM_NP, 3);		/* two ASIDs */
	a = make_vm(0);
	b = make_vm(1);
	c = make_vm(2);
	ck_assert(may(a, 0, 0x3000, NPT_W));
	ck_assert(may(a, 1, 0x3000, NPT_W));
	ck_assert_uint_eq(fake_last()->asid, 2);
	unit_real(&r);
	r.vrs_crs[VCPU_REGS_CR0] = 0x80000011;
	r.vrs_msrs[VCPU_REGS_EFER] = 0x500;	/* LME, PG, no PAE */
	ck_assert_int_eq(unit_write(b, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_int_eq(unit_run(b, 0, NONE, &u), EINVAL);
	ck_assert(may(c, 0, 0x3000, NPT_W));
	ck_assert_uint_eq(reached, fake_user_pa(va_of_vm(2) + 0x3000));
	ck_assert(may(c, 1, 0x3000, NPT_W));
	ck_assert_uint_eq(reached, fake_user_pa(va_of_vm(2) + 0x3000));
}
END_TEST

static void
offline(void *arg)
{
	(void)arg;
	vmm_cpu_offline(host_cpu_self());
	ck_assert_int_eq(vmm_cpu_online(host_cpu_self()), 0);
}

/* A CPU that was off: its TLB may hold anything. */
START_TEST(cpu_comes_back)
{
	uint32_t a, b;

	unit_detach();
	setup_with(FAKE_SVM_NP, 3);
	a = make_vm(0);
	b = make_vm(1);
	fake_cpu_set(2);
	ck_assert(may(a, 0, 0x3000, NPT_W));
	fake_hotplug(2, offline, NULL);
	ck_assert(may(b, 0, 0x3000, NPT_W));
	ck_assert_uint_eq(reached, fake_user_pa(va_of_vm(1) + 0x3000));
	ck_assert(may(a, 0, 0x3000, NPT_W));
	ck_assert_uint_eq(reached, fake_user_pa(va_of_vm(0) + 0x3000));
}
END_TEST

/* --- Everything at random, against a model --- */

static struct model {
	uint32_t	id;
	int		rights[NPAGES];
} model[NVMS];

static void
model_make(unsigned int n)
{
	int i;

	model[n].id = make_vm(n);
	for (i = 0; i < NPAGES; i++)
		model[n].rights[i] = 7;
}

START_TEST(random_rights)
{
	uint32_t seed = 31337u + (uint32_t)_i * 101;
	unsigned int round, n, page, access;
	static const int prot[] = { 1, 3, 5, 7, 6, 4 };
	int p;

	unit_detach();
	setup_with(FAKE_SVM_NP, 3 + (uint32_t)_i);
	for (n = 0; n < NVMS; n++)
		model_make(n);
	for (round = 0; round < 600; round++) {
		n = unit_random(&seed) % NVMS;
		page = unit_random(&seed) % NPAGES;
		switch (unit_random(&seed) % 16) {
		case 0:
			ck_assert_int_eq(unit_term(model[n].id), 0);
			model_make(n);
			break;
		case 1:
		case 2:
		case 3:
			p = prot[unit_random(&seed) % 6];
			ck_assert_int_eq(unit_protect(model[n].id,
			    page * PAGE, PAGE, p), 0);
			model[n].rights[page] = p == NPT_X &&
			    hv->npt->exec_only ? p : p | 1;
			break;
		default:
			fake_cpu_set(unit_random(&seed) % 4);
			access = 1u << unit_random(&seed) % 3;
			ck_assert_msg(may(model[n].id, unit_random(&seed) %
			    NVCPUS, page * PAGE, (int)access) ==
			    ((model[n].rights[page] & access) != 0),
			    "round %u, VM %u, page %u", round, n, page);
			if ((model[n].rights[page] & access) != 0)
				ck_assert_uint_eq(reached, fake_user_pa(
				    va_of_vm(n) + page * PAGE));
			break;
		}
	}
}
END_TEST

/* --- MPROTECT_EPT beside a guest that runs --- */

static int shut;		/* atomic: no write may succeed any more */
static int writes, late;	/* atomic */

static void
writer(struct fake_guest *g, uint64_t arg)
{
	unsigned int n = 0;
	int was;

	if (__atomic_add_fetch(&writes, 1, __ATOMIC_SEQ_CST) == 1)
		unit_post();
	while (!fake_kicked(g->cpu) && !fake_must_stop()) {
		was = __atomic_load_n(&shut, __ATOMIC_SEQ_CST);
		if (!fake_access(g, arg, NPT_W, NULL))
			return;
		if (was)
			__atomic_add_fetch(&late, 1, __ATOMIC_SEQ_CST);
		fake_relax(&n);
	}
	fake_exit(g, 0x60, 0, 0);
}

/* F20: when it returns, no VCPU of the VM runs with the old rights. */
START_TEST(f20_beside_running)
{
	struct unit_runner t;
	uint32_t id = make_vm(0), seed = 5;
	int i, spin;

	for (i = 0; i < 30; i++) {
		ck_assert_int_eq(unit_protect(id, 0x3000, PAGE, 7), 0);
		writes = late = 0;
		__atomic_store_n(&shut, 0, __ATOMIC_SEQ_CST);
		fake_step_default(writer, 0x3000);
		unit_start(&t, id, 1, 1 + i % 3);
		for (spin = unit_random(&seed) % 50; spin > 0; spin--)
			sched_yield();
		ck_assert_int_eq(unit_protect(id, 0x3000, PAGE, 1), 0);
		__atomic_store_n(&shut, 1, __ATOMIC_SEQ_CST);
		ck_assert_int_eq(unit_join(&t), 0);
		ck_assert_uint_eq(t.run.reason, 0x400);
		ck_assert_int_eq(late, 0);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("tlb");
	TCase *tc = tcase_create("tlb");

	tcase_add_checked_fixture(tc, setup, unit_detach);
	suite_add_tcase(s, tc);
	tcase_add_test(tc, translation_is_kept);
	tcase_add_test(tc, f20_rights);
	tcase_add_test(tc, f20_after_migration);
	tcase_add_test(tc, f20_split);
	tcase_add_test(tc, f26_spurious);
	if (!unit_on_intel()) {		/* see check_vmx_tlb.c */
		tcase_add_test(tc, cr_writes_flush);
		tcase_add_loop_test(tc, asids_recycled, 0, 3);
		tcase_add_test(tc, asids_differ);
		tcase_add_test(tc, refused_entry_flush);
	}
	tcase_add_test(tc, next_vm);
	tcase_add_test(tc, cpu_comes_back);
	tcase_add_loop_test(tc, random_rights, 0, 6);
	tcase_add_test(tc, f20_beside_running);
	return (s);
}
