/* SPDX-License-Identifier: ISC */
/*
 * check_trace.c - what the driver tells of its guests: how often each VCPU
 * left for which reason, and a trace of each entry and exit.
 */
#include <stdio.h>

#include "unit.h"

#define EXIT_INTR	0x60
#define EXIT_CPUID	0x72
#define EXIT_HLT	0x78
#define EXIT_WBINVD	0x89

static struct unit_run u;

static void
setup(void)
{
	unit_boot();
	fake_svm_set(FAKE_SVM_NP | FAKE_SVM_NRIPS, 16);
	unit_attach();
}

/* A VM whose VCPUs are ready to run. */
static uint32_t
create(uint64_t size, uint32_t ncpus)
{
	struct vcpu_reg_state r;
	uint32_t id = unit_create(size, ncpus), i;

	unit_real(&r);
	for (i = 0; i < ncpus; i++)
		ck_assert_int_eq(unit_reset(id, i, &r), 0);
	return (id);
}

/* RUN until a triple fault. */
static void
run_to_end(uint32_t id, uint32_t vcpu)
{
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_run(id, vcpu, NONE, &u), 0);
	ck_assert_uint_eq(fake_steps_left(), 0);
}

/* --- Counts --- */

static char text[4096];

static void
put(void *arg, const char *name, const char *word, uint64_t value)
{
	size_t n = strlen(text);

	fake_assert_context("put", true, false, false);
	ck_assert_ptr_eq(arg, text);
	ck_assert_ptr_null(word);
	snprintf(text + n, sizeof(text) - n, "%s %llu\n", name,
	    (unsigned long long)value);
}

static void
expect_stat(const char *want)
{
	text[0] = '\0';
	vmm_view(VMM_VIEW_vms, put, text);
	ck_assert_str_eq(text, want);
}

static void
touch(struct fake_guest *g, uint64_t gpa)
{
	(void)fake_access(g, gpa, NPT_W, NULL);
}

START_TEST(stat_none)
{
	expect_stat("");
	ck_assert_int_eq(unit_term(create(2 * MIB, 1)), 0);
	expect_stat("");
}
END_TEST

/* A VM that never ran: no kind of exit is named. */
START_TEST(stat_new)
{
	(void)create(2 * MIB, 1);
	expect_stat("vm 1\npid 100\nuid 1000\npages 512\npinned 0\n"
	    "tables 1\nvcpu 0\nstate 0\n");
}
END_TEST

/* The newest VM first, its VCPUs in order, each with its own counts. */
START_TEST(stat_two)
{
	uint32_t a = create(2 * MIB, 3), b;

	fake_caller(4321, 1001, false);
	b = create(MIB, 2);
	STEP(EXIT_CPUID, 2);
	STEP(EXIT_WBINVD, 2);
	STEP(EXIT_CPUID, 2);
	STEP(EXIT_INTR, 0);
	run_to_end(a, 1);
	STEP(EXIT_CPUID, 2);
	run_to_end(a, 1);
	fake_step(touch, 0x4000);
	fake_step(touch, 0x5000);
	fake_step(touch, 0x4008);	/* mapped: no exit */
	unit_step_io(0x3f8, 1, false);
	ck_assert_int_eq(unit_run(a, 2, NONE, &u), 0);
	STEP(EXIT_HLT, 1);
	ck_assert_int_eq(unit_run(b, 0, NONE, &u), EIO);
	expect_stat("vm 2\npid 4321\nuid 1001\npages 256\npinned 0\n"
	    "tables 1\n"
	    "vcpu 0\nstate 3\nHLT 1\n"
	    "vcpu 1\nstate 0\n"
	    "vm 1\npid 100\nuid 1000\npages 512\npinned 2\ntables 4\n"
	    "vcpu 0\nstate 0\n"
	    "vcpu 1\nstate 0\nINTR 1\nCPUID 3\nNOP 1\nSHUTDOWN 2\n"
	    "vcpu 2\nstate 0\nIO 1\nNPF 2\n");
	ck_assert_int_eq(unit_term(a), 0);
	expect_stat("vm 2\npid 4321\nuid 1001\npages 256\npinned 0\n"
	    "tables 1\n"
	    "vcpu 0\nstate 3\nHLT 1\n"
	    "vcpu 1\nstate 0\n");
}
END_TEST

/* RESETCPU makes a VCPU as new; what it did stays done. */
START_TEST(stat_reset)
{
	struct vcpu_reg_state r;
	uint32_t id = create(2 * MIB, 1);
	int i;

	unit_real(&r);
	for (i = 0; i < 3; i++) {
		run_to_end(id, 0);
		ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	}
	expect_stat("vm 1\npid 100\nuid 1000\npages 512\npinned 0\n"
	    "tables 1\nvcpu 0\nstate 0\nSHUTDOWN 3\n");
}
END_TEST

/* It waits for no guest, and sees what one has done so far. */
START_TEST(stat_running)
{
	uint32_t id = create(2 * MIB, 2);
	struct unit_runner t;

	STEP(EXIT_CPUID, 2);
	STEP(EXIT_INTR, 0);
	STEP(EXIT_CPUID, 2);
	fake_step(unit_spin, 0);
	unit_start(&t, id, 1, 2);
	expect_stat("vm 1\npid 100\nuid 1000\npages 512\npinned 0\n"
	    "tables 1\nvcpu 0\nstate 0\nvcpu 1\nstate 1\nINTR 1\nCPUID 2\n");
	fake_signal(t.self);
	ck_assert_int_eq(unit_join(&t), 0);
	expect_stat("vm 1\npid 100\nuid 1000\npages 512\npinned 0\n"
	    "tables 1\nvcpu 0\nstate 0\nvcpu 1\nstate 0\nINTR 2\nCPUID 2\n");
}
END_TEST

/* While one VM is told of, it ends, and so does the next to be told of. */
static void
put_and_end(void *arg, const char *name, const char *word, uint64_t value)
{
	put(arg, name, word, value);
	if (strcmp(name, "vm") != 0 || value != 3)
		return;
	ck_assert_int_eq(unit_term(3), 0);
	ck_assert_int_eq(unit_term(2), 0);
	ck_assert_uint_eq(unit_create(MIB, 1), 4);
}

START_TEST(stat_meanwhile)
{
	int i;

	for (i = 0; i < 3; i++)
		(void)create(2 * MIB, 1);
	text[0] = '\0';
	vmm_view(VMM_VIEW_vms, put_and_end, text);
	ck_assert_str_eq(text, "vm 3\npid 100\nuid 1000\npages 512\n"
	    "pinned 0\ntables 1\nvcpu 0\nstate 3\n"
	    "vm 1\npid 100\nuid 1000\npages 512\npinned 0\ntables 1\n"
	    "vcpu 0\nstate 0\n");
	expect_stat("vm 4\npid 100\nuid 1000\npages 256\npinned 0\n"
	    "tables 1\nvcpu 0\nstate 0\n"
	    "vm 1\npid 100\nuid 1000\npages 512\npinned 0\ntables 1\n"
	    "vcpu 0\nstate 0\n");
}
END_TEST

/* --- Every kind, by a vendor that says it at once --- */

static const char *const kinds[] = { "INTR", "NMI", "MCE", "TIMER", "WINDOW",
	"CPUID", "HLT", "IO", "RDMSR", "WRMSR", "CR", "DR", "XSETBV", "NPF",
	"EXCEPTION", "UD", "GP", "NOP", "SHUTDOWN", "TASK_SWITCH",
	"ENTRY_FAILED", "UNKNOWN" };
#define NKINDS	((int)(sizeof(kinds) / sizeof(kinds[0])))

static struct fake_trace first;		/* of the first exit of a RUN */
static int kind, nexits;

/* One exit of this kind, and then a triple fault. */
static void
exit_kind(struct vcpu *v, struct vmexit *x)
{
	if (nexits == 1)
		first = fake_trace;
	memset(x, 0, sizeof(*x));
	x->kind = nexits++ == 0 ? (enum vmexit_kind)kind : VMEXIT_SHUTDOWN;
	x->code = 0x100000000ULL + (unsigned int)kind;
	x->info[0] = 0xffffffff00000000ULL;
	x->info[1] = 0x8000000000000001ULL;
	x->insn_len = 3;
	x->u.reg.decoded = true;
	(void)v;
}

static bool
check_nothing(struct vcpu *v, bool guest_only, struct entry_broken *broken)
{
	(void)v;
	(void)guest_only;
	(void)broken;
	return (false);
}

/* Each is counted and traced under its name, on its VCPU. */
START_TEST(every_kind)
{
	static struct hv_ops ops;
	const struct hv_ops *was = hv;
	uint32_t id = create(2 * MIB, (uint32_t)NKINDS);
	char want[sizeof(text)];
	size_t n;

	ck_assert_int_eq(VMEXIT_NKINDS, NKINDS);
	ops = *hv;
	ops.run = exit_kind;
	ops.check = check_nothing;
	hv = &ops;
	n = (size_t)snprintf(want, sizeof(want), "vm 1\npid 100\nuid 1000\n"
	    "pages 512\npinned %d\ntables %d\n", 1, 4);
	for (kind = 0; kind < NKINDS; kind++) {
		nexits = 0;
		(void)unit_run(id, (uint32_t)kind, NONE, &u);
		if (nexits == 1)
			first = fake_trace;
		ck_assert_uint_eq(first.vcpu, (uint32_t)kind);
		ck_assert_str_eq(first.kind, kinds[kind]);
		ck_assert_uint_eq(first.code, 0x100000000ULL +
		    (unsigned int)kind);
		ck_assert_uint_eq(first.info[0], 0xffffffff00000000ULL);
		ck_assert_uint_eq(first.info[1], 0x8000000000000001ULL);
		n += (size_t)snprintf(want + n, sizeof(want) - n,
		    "vcpu %d\nstate %d\n%s 1\n%s", kind,
		    unit_state(id, (uint32_t)kind), kinds[kind],
		    nexits == 2 ? "SHUTDOWN 1\n" : "");
	}
	expect_stat(want);
	hv = was;
}
END_TEST

/* --- Entries and exits --- */

/* What a guest does, and what its exit is on each vendor. */
static const struct traced {
	uint16_t	code, len;
	uint32_t	info1;
	const char	*kind;
	uint64_t	svm[3], vmx[3];		/* code, info[0], info[1] */
} traced[] = {
	{ EXIT_INTR, 0, 0, "INTR", { 0x60 }, { 1 } },
	{ EXIT_CPUID, 2, 0, "CPUID", { 0x72 }, { 10 } },
	{ EXIT_HLT, 1, 0, "HLT", { 0x78 }, { 12 } },
	{ 0x7b, 2, 0x03f80011, "IO", { 0x7b, 0x03f80011, 0x1232 },
	  { 30, 0x03f80008 } },
	{ 0x7c, 2, 0, "RDMSR", { 0x7c }, { 31 } },
	{ 0x7c, 2, 1, "WRMSR", { 0x7c, 1 }, { 32 } },
	{ 0x7f, 0, 0, "SHUTDOWN", { 0x7f }, { 2 } },
	{ 0x81, 3, 0, "UD", { 0x81 }, { 18 } },
	{ EXIT_WBINVD, 2, 0, "NOP", { 0x89 }, { 54 } },
	{ 0x8d, 3, 0, "XSETBV", { 0x8d }, { 55 } },
};
#define NTRACED	((int)(sizeof(traced) / sizeof(traced[0])))

/* In the guest: its entry has been told, its exit has not. */
static void
expect_entered(struct fake_guest *g)
{
	ck_assert_uint_eq(fake_trace.entries, fake_trace.exits + 1);
	ck_assert_uint_eq(fake_trace.entry_rip, vmcb_get(g, VS_RIP));
}

/* A guest that goes from 0x1000 to 0x1230, and leaves there. */
static void
leave(struct fake_guest *g, uint64_t arg)
{
	const struct traced *t = &traced[arg];

	expect_entered(g);
	ck_assert_uint_eq(fake_trace.entry_rip, 0x1000);
	vmcb_set(g, VS_RIP, 0x1230);
	unit_insn(g, STEP_ARG(t->code, t->len, t->info1));
}

/* Where it comes back, if it does; `arg` is an address of a flag. */
static void
back(struct fake_guest *g, uint64_t arg)
{
	expect_entered(g);
	first = fake_trace;
	*(bool *)(uintptr_t)arg = true;
	fake_exit(g, 0x7f, 0, 0);
}

START_TEST(host_exit)
{
	const struct traced *t = &traced[_i];
	const uint64_t *want = unit_intel ? t->vmx : t->svm;
	uint32_t id = create(2 * MIB, 1);
	bool again = false;

	fake_step(leave, (uint64_t)_i);
	fake_step(back, (uintptr_t)&again);
	(void)unit_run(id, 0, NONE, &u);
	if (!again)
		first = fake_trace;
	ck_assert_uint_eq(first.exit_rip, 0x1230);
	ck_assert_str_eq(first.kind, t->kind);
	ck_assert_uint_eq(first.code, want[0]);
	ck_assert_uint_eq(first.info[0], want[1]);
	ck_assert_uint_eq(first.info[1], want[2]);
	ck_assert_uint_eq(fake_trace.entries, again ? 2 : 1);
	ck_assert_uint_eq(fake_trace.exits, fake_trace.entries);
	fake_steps_clear();
}
END_TEST

/* The address of a nested page fault is in it. */
START_TEST(trace_npf)
{
	uint32_t id = create(2 * MIB, 1);
	bool again = false;

	fake_step(touch, 0x4018);
	fake_step(back, (uintptr_t)&again);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert(again);
	ck_assert_str_eq(first.kind, "NPF");
	ck_assert_uint_eq(first.code, unit_intel ? 48 : 0x400);
	ck_assert_uint_eq(first.info[1], 0x4018);
	ck_assert_uint_eq(first.exit_rip, 0x1000);
}
END_TEST

/* Each says whose it is. */
START_TEST(trace_ids)
{
	uint32_t a = create(2 * MIB, 3), b = create(2 * MIB, 2);

	run_to_end(a, 2);
	ck_assert_uint_eq(fake_trace.vm, a);
	ck_assert_uint_eq(fake_trace.vcpu, 2);
	run_to_end(b, 1);
	ck_assert_uint_eq(fake_trace.vm, b);
	ck_assert_uint_eq(fake_trace.vcpu, 1);
	run_to_end(b, 0);
	ck_assert_uint_eq(fake_trace.vm, b);
	ck_assert_uint_eq(fake_trace.vcpu, 0);
}
END_TEST

/* One pair for each entry that there was, and none for one there was not. */
START_TEST(trace_pairs)
{
	uint32_t id = create(2 * MIB, 1);
	int i;

	fake_signal(fake_self());
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(fake_trace.entries, 0);
	ck_assert_uint_eq(fake_trace.exits, 0);
	fake_signal_clear(fake_self());
	for (i = 0; i < 20; i++)
		STEP(i % 3 == 0 ? EXIT_CPUID : EXIT_INTR, 2);
	run_to_end(id, 0);
	ck_assert_uint_eq(fake_vmruns(), 21);
	ck_assert_uint_eq(fake_trace.entries, 21);
	ck_assert_uint_eq(fake_trace.exits, 21);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("trace");
	TCase *tc = tcase_create("trace");

	tcase_add_checked_fixture(tc, setup, unit_detach);
	suite_add_tcase(s, tc);
	tcase_add_test(tc, stat_none);
	tcase_add_test(tc, stat_new);
	tcase_add_test(tc, stat_two);
	tcase_add_test(tc, stat_reset);
	tcase_add_test(tc, stat_running);
	tcase_add_test(tc, stat_meanwhile);
	tcase_add_test(tc, every_kind);
	tcase_add_loop_test(tc, host_exit, 0, NTRACED);
	tcase_add_test(tc, trace_npf);
	tcase_add_test(tc, trace_ids);
	tcase_add_test(tc, trace_pairs);
	return (s);
}
