/* SPDX-License-Identifier: ISC */
/*
 * check_ring.c - the ring of what happened to each VCPU last, and the rule
 * that a refused entry broke, as the views tell them (B2, B3).
 */
#define _GNU_SOURCE
#include <stdio.h>

#include <insn.h>

#include "unit.h"
#include "trace.h"

#define EXIT_INTR	0x60
#define RING		128
#define NREADREGS	7	/* numbers of ioctls */
#define NWRITEREGS	8
#define NMPROTECT	11

static struct unit_run u;

static void
setup(void)
{
	unit_boot();
	fake_svm_set(FAKE_SVM_NP | FAKE_SVM_NRIPS, 16);
	unit_attach();
}

/* A VM whose VCPUs are ready to run; each has the record of its RESETCPU. */
static uint32_t
create(uint32_t ncpus)
{
	struct vcpu_reg_state r;
	uint32_t id = unit_create(2 * MIB, ncpus), i;

	unit_real(&r);
	for (i = 0; i < ncpus; i++)
		ck_assert_int_eq(unit_reset(id, i, &r), 0);
	return (id);
}

/* --- A view, read --- */

static struct line {
	char		name[16], text[32];
	uint64_t	value;
} lines[4 * RING * 10];
static size_t nlines;

static void
put(void *arg, const char *name, const char *text, uint64_t value)
{
	struct line *l = &lines[nlines++];

	fake_assert_context("put", true, false, false);
	ck_assert_ptr_eq(arg, lines);
	ck_assert_uint_le(nlines, sizeof(lines) / sizeof(lines[0]));
	snprintf(l->name, sizeof(l->name), "%s", name);
	snprintf(l->text, sizeof(l->text), "%s", text == NULL ? "" : text);
	l->value = value;
}

static void
read_view(unsigned int view, vmm_put *fn)
{
	nlines = 0;
	vmm_view(view, fn, lines);
}

/* A record as the view has it; no line may be missing or too much. */
struct seen {
	bool		exit;
	char		kind[16];
	uint64_t	nr, code, info[2], rip[2], error, begin, end;
};

static uint64_t
want_line(size_t *at, const char *name)
{
	ck_assert_uint_lt(*at, nlines);
	ck_assert_str_eq(lines[*at].name, name);
	ck_assert_str_eq(lines[*at].text, "");
	return (lines[(*at)++].value);
}

static struct seen
want_record(size_t *at)
{
	struct seen s = { 0 };

	ck_assert_uint_lt(*at, nlines);
	s.exit = strcmp(lines[*at].name, "exit") == 0;
	s.nr = want_line(at, s.exit ? "exit" : "ioctl");
	if (s.exit) {
		ck_assert_str_eq(lines[*at].name, "kind");
		memcpy(s.kind, lines[(*at)++].text, sizeof(s.kind));
		s.code = want_line(at, "code");
		s.info[0] = want_line(at, "info1");
		s.info[1] = want_line(at, "info2");
		s.rip[0] = want_line(at, "entry_rip");
		s.rip[1] = want_line(at, "exit_rip");
	} else {
		s.code = want_line(at, "nr");
		s.error = want_line(at, "errno");
	}
	s.begin = want_line(at, "begin");
	s.end = want_line(at, "end");
	ck_assert_uint_lt(s.begin, s.end);
	return (s);
}

static void
want_ioctl(size_t *at, uint64_t nr, uint64_t ioctl, int error)
{
	struct seen s = want_record(at);

	ck_assert(!s.exit);
	ck_assert_uint_eq(s.nr, nr);
	ck_assert_uint_eq(s.code, ioctl);
	ck_assert_int_eq((int)s.error, error);
}

static void
want_vcpu(size_t *at, uint32_t vm, uint32_t vcpu)
{
	ck_assert_uint_eq(want_line(at, "vm"), vm);
	ck_assert_uint_eq(want_line(at, "vcpu"), vcpu);
}

/* --- Guests --- */

/* An exit for the host, at the RIP that `rip` is; the guest goes on there. */
static void
stop_at(struct fake_guest *g, uint64_t rip)
{
	vmcb_set(g, VS_RIP, rip);
	unit_insn(g, STEP_ARG(EXIT_INTR, 0, 0));
}

#define RIP_OF(nr)	(0x1000 + (nr) * 0x10)

/* RUN with `n` exits, of which the last is a triple fault. */
static void
run(uint32_t id, uint32_t vcpu, uint64_t first, unsigned int n)
{
	for (; n > 1; n--, first++)
		fake_step(stop_at, RIP_OF(first));
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_run(id, vcpu, NONE, &u), 0);
	ck_assert_uint_eq(fake_steps_left(), 0);
}

/* --- Tests --- */

/* A VM without VCPU that did anything, and none. */
START_TEST(new)
{
	size_t at = 0;
	uint32_t id;

	read_view(VMM_VIEW_trace, put);
	ck_assert_uint_eq(nlines, 0);
	id = unit_create(2 * MIB, 2);
	read_view(VMM_VIEW_trace, put);
	want_vcpu(&at, id, 0);
	want_vcpu(&at, id, 1);
	ck_assert_uint_eq(nlines, at);
}
END_TEST

/* What a guest does, and what its exit is on each vendor. */
static const struct exits {
	uint16_t	code, len;
	uint32_t	info1;
	const char	*kind;
	uint64_t	svm[3], vmx[3];		/* code, info[0], info[1] */
} exits[] = {
	{ EXIT_INTR, 0, 0, "INTR", { 0x60 }, { 1 } },
	{ 0x72, 2, 0, "CPUID", { 0x72 }, { 10 } },
	{ 0x7b, 2, 0x03f80011, "IO", { 0x7b, 0x03f80011, 0x1232 },
	  { 30, 0x03f80008 } },
	{ 0x7c, 2, 1, "WRMSR", { 0x7c, 1 }, { 32 } },
	{ 0x7f, 0, 0, "SHUTDOWN", { 0x7f }, { 2 } },
};
#define NEXITS	((int)(sizeof(exits) / sizeof(exits[0])))

/* The guest gets from 0x1000 to 0x1230, and leaves there. */
static void
leave(struct fake_guest *g, uint64_t arg)
{
	const struct exits *x = &exits[arg];

	vmcb_set(g, VS_RIP, 0x1230);
	unit_insn(g, STEP_ARG(x->code, x->len, x->info1));
}

/* B3: every field of an exit, and the RUN around it. */
START_TEST(b3_exit)
{
	const struct exits *x = &exits[_i];
	const uint64_t *want = unit_intel ? x->vmx : x->svm;
	uint32_t id = create(1);
	struct seen s, next = { 0 };
	size_t at = 0;

	fake_step(leave, (uint64_t)_i);
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	read_view(VMM_VIEW_trace, put);
	want_vcpu(&at, id, 0);
	want_ioctl(&at, 1, 5, 0);
	s = want_record(&at);
	ck_assert(s.exit);
	ck_assert_uint_eq(s.nr, 2);
	ck_assert_str_eq(s.kind, x->kind);
	ck_assert_uint_eq(s.code, want[0]);
	ck_assert_uint_eq(s.info[0], want[1]);
	ck_assert_uint_eq(s.info[1], want[2]);
	ck_assert_uint_eq(s.rip[0], 0x1000);
	ck_assert_uint_eq(s.rip[1], 0x1230);
	for (next = s; next.exit; next = want_record(&at))
		ck_assert(next.nr == 2 || next.begin > s.end);
	ck_assert_uint_eq(next.code, 2);
	ck_assert_int_eq((int)next.error, 0);
	ck_assert_uint_lt(next.begin, s.begin);
	ck_assert_uint_gt(next.end, s.end);
	ck_assert_uint_eq(at, nlines);
	fake_steps_clear();
}
END_TEST

/* B3: the guest is inside of begin and end, and nothing else is. */
static uint64_t inside;

static void
look(struct fake_guest *g, uint64_t arg)
{
	inside = insn_rdtsc();
	stop_at(g, arg);
}

START_TEST(b3_times)
{
	uint32_t id = create(1);
	uint64_t before, after;
	struct seen s;
	size_t at = 0;

	before = insn_rdtsc();
	fake_step(look, 0x1000);
	run(id, 0, 3, 1);
	after = insn_rdtsc();
	read_view(VMM_VIEW_trace, put);
	want_vcpu(&at, id, 0);
	want_ioctl(&at, 1, 5, 0);
	s = want_record(&at);
	ck_assert_uint_gt(inside, s.begin);
	ck_assert_uint_lt(inside, s.end);
	ck_assert_uint_lt(want_record(&at).begin, after);
	s = want_record(&at);
	ck_assert_uint_gt(s.begin, before);
	ck_assert_uint_lt(s.end, after);
}
END_TEST

/* B3: requests for a VCPU, with the errno of those that fail. */
START_TEST(b3_ioctls)
{
	struct vcpu_reg_state r;
	uint32_t id = create(2);
	size_t at = 0;

	ck_assert_int_eq(unit_read(id, 1, VM_RWREGS_ALL, &r), 0);
	r.vrs_crs[VCPU_REGS_CR4] = 1ULL << 63;
	ck_assert_int_eq(unit_write(id, 1, VM_RWREGS_CRS, &r), EINVAL);
	ck_assert_int_eq(unit_read(id, 2, VM_RWREGS_ALL, &r), ENOENT);
	ck_assert_int_eq(unit_read(id + 1, 1, VM_RWREGS_ALL, &r), ENOENT);
	ck_assert_int_eq(unit_intr(id, 1, 1), 0);
	(void)unit_used(id);
	ck_assert_int_eq(unit_protect(id, 0, 12, 7), EINVAL);
	run(id, 1, 0, 1);
	read_view(VMM_VIEW_trace, put);
	want_vcpu(&at, id, 0);
	want_ioctl(&at, 1, 5, 0);
	want_ioctl(&at, 2, NMPROTECT, EINVAL);
	want_vcpu(&at, id, 1);
	want_ioctl(&at, 1, 5, 0);
	want_ioctl(&at, 2, NREADREGS, 0);
	want_ioctl(&at, 3, NWRITEREGS, EINVAL);
	want_ioctl(&at, 4, 6, 0);
	ck_assert_str_eq(want_record(&at).kind, "SHUTDOWN");
	want_ioctl(&at, 6, 2, 0);
	ck_assert_uint_eq(at, nlines);
}
END_TEST

/* B3: 127, 128, 129 records, and many: the last 128, the oldest first. */
static const unsigned int totals[] = { 127, 128, 129, 256, 257, 1000 };
#define NTOTALS	((int)(sizeof(totals) / sizeof(totals[0])))

START_TEST(b3_wrap)
{
	unsigned int total = totals[_i], nr;
	uint32_t id = create(1);
	struct seen s;
	size_t at = 0;

	run(id, 0, 2, total - 2);
	read_view(VMM_VIEW_trace, put);
	want_vcpu(&at, id, 0);
	nr = total > RING ? total - RING + 1 : 1;
	if (nr == 1)
		want_ioctl(&at, nr++, 5, 0);
	for (; nr < total; nr++) {
		s = want_record(&at);
		ck_assert(s.exit);
		ck_assert_uint_eq(s.nr, nr);
		if (nr == total - 1)
			break;
		ck_assert_uint_eq(s.rip[1], RIP_OF(nr));
		ck_assert_uint_eq(s.rip[0], nr == 2 ? 0x1000 : RIP_OF(nr - 1));
	}
	want_ioctl(&at, total, 2, 0);
	ck_assert_uint_eq(at, nlines);
}
END_TEST

/* B3: VCPUs and VMs have a ring each, the newest VM first. */
START_TEST(b3_apart)
{
	uint32_t a = create(2), b = create(1), i;
	size_t at = 0;

	run(a, 1, 2, 3);
	run(b, 0, 2, 200);
	run(a, 0, 2, 2);
	run(a, 1, 6, 2);
	read_view(VMM_VIEW_trace, put);
	want_vcpu(&at, b, 0);
	for (i = 0; i < RING; i++)
		ck_assert_uint_eq(want_record(&at).nr, 202 - RING + 1 + i);
	want_vcpu(&at, a, 0);
	want_ioctl(&at, 1, 5, 0);
	ck_assert_uint_eq(want_record(&at).rip[1], RIP_OF(2));
	ck_assert_str_eq(want_record(&at).kind, "SHUTDOWN");
	want_ioctl(&at, 4, 2, 0);
	want_vcpu(&at, a, 1);
	want_ioctl(&at, 1, 5, 0);
	ck_assert_uint_eq(want_record(&at).rip[1], RIP_OF(2));
	ck_assert_uint_eq(want_record(&at).rip[1], RIP_OF(3));
	ck_assert_str_eq(want_record(&at).kind, "SHUTDOWN");
	want_ioctl(&at, 5, 2, 0);
	ck_assert_uint_eq(want_record(&at).rip[1], RIP_OF(6));
	ck_assert_str_eq(want_record(&at).kind, "SHUTDOWN");
	want_ioctl(&at, 8, 2, 0);
	ck_assert_uint_eq(at, nlines);
}
END_TEST

/*
 * B3: while the view is told, at its record `when`, the VCPU goes on for
 * `more` records. Those that are lost are left out, and the others whole.
 */
static const struct meanwhile {
	unsigned int	when, more;
	uint64_t	first_after;	/* the next record that is told */
} meanwhile[] = {
	{ 73, 0, 74 },		/* of 200: 73 is the oldest */
	{ 73, 2, 75 },
	{ 100, 20, 101 },
	{ 100, 40, 113 },
	{ 150, 127, 200 },
	{ 150, 128, 0 },	/* none */
	{ 199, 300, 0 },
};
#define NMEANWHILE	((int)(sizeof(meanwhile) / sizeof(meanwhile[0])))

static const struct meanwhile *now;

static void
put_meanwhile(void *arg, const char *name, const char *text, uint64_t value)
{
	put(arg, name, text, value);
	if (strcmp(name, "exit") == 0 && value == now->when && now->more > 0)
		run(1, 0, 201, now->more - 1);
}

START_TEST(b3_meanwhile)
{
	uint32_t id = create(1);
	uint64_t want = 200 - RING + 1;
	struct seen s;
	size_t at = 0;

	now = &meanwhile[_i];
	ck_assert_uint_eq(id, 1);
	run(id, 0, 2, 198);
	read_view(VMM_VIEW_trace, put_meanwhile);
	want_vcpu(&at, id, 0);
	while (at < nlines) {
		s = want_record(&at);
		ck_assert_uint_eq(s.nr, want);
		ck_assert(s.exit == (want < 200));
		if (want < 199)
			ck_assert_uint_eq(s.rip[1], RIP_OF(want));
		want = want == now->when ? now->first_after : want + 1;
	}
	ck_assert_uint_eq(want, now->first_after == 0 ? 0 : 201);
}
END_TEST

/*
 * B3: the same after each access to the ring: a record that is written anew
 * while it is copied is left out.
 */
static unsigned int access_nr;
static uint32_t id_now;

static void
go_on(unsigned int n)
{
	if (n == access_nr)
		run(id_now, 0, 1000, RING - 1);
}

START_TEST(b3_torn)
{
	unsigned int told = 0;
	struct seen s;
	size_t at;

	for (access_nr = 1; told < 12; access_nr++) {
		id_now = create(1);
		run(id_now, 0, 2, 10);
		trace_watch(unit_vm(id_now)->vcpu[0]->trace, go_on);
		read_view(VMM_VIEW_trace, put);
		trace_stop();
		at = 0;
		want_vcpu(&at, id_now, 0);
		for (told = 0; at < nlines; told++) {
			s = want_record(&at);
			ck_assert_uint_eq(s.nr, told + 1);
			ck_assert(s.exit == (told > 0 && told < 11));
			if (!s.exit)
				ck_assert_uint_eq(s.code, told == 0 ? 5 : 2);
			else if (told < 10)
				ck_assert_uint_eq(s.rip[1], RIP_OF(s.nr));
			if (s.exit)
				ck_assert_uint_eq(s.rip[0], s.nr == 2 ?
				    0x1000 : RIP_OF(s.nr - 1));
		}
		ck_assert_int_eq(unit_term(id_now), 0);
	}
	ck_assert_uint_gt(access_nr, 12 * 4);
}
END_TEST

/* B3: a VCPU inside its guest is told of, and not waited for. */
START_TEST(b3_running)
{
	uint32_t id = create(1);
	struct unit_runner t;
	size_t at = 0;

	fake_step(stop_at, RIP_OF(2));
	fake_step(unit_spin, 0);
	unit_start(&t, id, 0, 1);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EBUSY);
	read_view(VMM_VIEW_trace, put);
	want_vcpu(&at, id, 0);
	want_ioctl(&at, 1, 5, 0);
	ck_assert_uint_eq(want_record(&at).rip[1], RIP_OF(2));
	want_ioctl(&at, 3, 2, EBUSY);
	ck_assert_uint_eq(at, nlines);
	fake_signal(t.self);
	ck_assert_int_eq(unit_join(&t), 0);
	read_view(VMM_VIEW_trace, put);
	ck_assert_str_eq(want_record(&at).kind, "INTR");
	want_ioctl(&at, 5, 2, 0);
	ck_assert_uint_eq(at, nlines);
}
END_TEST

/* B3: RESETCPU is a record, and takes none away; TERM ends them. */
START_TEST(b3_reset)
{
	struct vcpu_reg_state r;
	uint32_t id = create(1);
	size_t at = 0;

	run(id, 0, 2, 1);
	unit_real(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	read_view(VMM_VIEW_trace, put);
	want_vcpu(&at, id, 0);
	want_ioctl(&at, 1, 5, 0);
	ck_assert_str_eq(want_record(&at).kind, "SHUTDOWN");
	want_ioctl(&at, 3, 2, 0);
	want_ioctl(&at, 4, 5, 0);
	ck_assert_uint_eq(at, nlines);
	ck_assert_int_eq(unit_term(id), 0);
	read_view(VMM_VIEW_trace, put);
	ck_assert_uint_eq(nlines, 0);
}
END_TEST

/* B3: a ring that cannot be had is ENOMEM of CREATE, which leaves nothing. */
START_TEST(b3_no_memory)
{
	uint64_t pages = fake_kernel_pages(), allocs = fake_allocs();
	unsigned int n, failed = 0;
	uint32_t id;
	int error;

	fake_user_map(GUEST_VA, MIB, true);
	for (n = 1;; n++) {
		fake_fail_at(n);
		error = unit_create_at(GUEST_VA, MIB, 3, &id);
		if (error == 0)
			break;
		fake_fail_at(0);
		ck_assert_int_eq(error, ENOMEM);
		ck_assert_uint_eq(fake_kernel_pages(), pages);
		ck_assert_uint_eq(fake_allocs(), allocs);
		failed++;
	}
	fake_fail_at(0);
	ck_assert_uint_ge(failed, 3 * 3);	/* VCPU, FPU page, ring */
	ck_assert_uint_ge(fake_kernel_pages(), pages + 3 * (1 << TRACE_ORDER));
}
END_TEST

/* --- The rule that a refused entry broke --- */

static const struct entry_rule rule = {
	"a-rule", "Vol. 9 1.2 \"Rules\"", "CR0", "bit 29 clear",
};
static bool refuse;
static const struct hv_ops *vendor;
static struct hv_ops ops;

static bool
check(struct vcpu *v, bool guest_only, struct entry_broken *broken)
{
	(void)guest_only;
	if (refuse)
		*broken = (struct entry_broken){ &rule, 0x20000000 };
	/* Inside RUN it is that thread's alone. */
	if (v->state == VCPU_STATE_RUNNING && refuse) {
		read_view(VMM_VIEW_explain, put);
		ck_assert_uint_eq(nlines, 0);
	}
	return (refuse);
}

static void
run_refused(struct vcpu *v, struct vmexit *x)
{
	vendor->run(v, x);
	x->kind = VMEXIT_ENTRY_FAILED;
}

static void
want_explained(uint32_t vm, uint32_t vcpu)
{
	static const char *const texts[][2] = {
		{ "rule", "a-rule" }, { "field", "CR0" },
		{ "value", "" }, { "allowed", "bit 29 clear" },
		{ "section", "Vol. 9 1.2 \"Rules\"" },
	};
	size_t at = 0, i;

	read_view(VMM_VIEW_explain, put);
	want_vcpu(&at, vm, vcpu);
	ck_assert_uint_eq(nlines, 7);
	for (i = 0; i < 5; i++, at++) {
		ck_assert_str_eq(lines[at].name, texts[i][0]);
		ck_assert_str_eq(lines[at].text, texts[i][1]);
		ck_assert_uint_eq(lines[at].value, i == 2 ? 0x20000000 : 0);
	}
}

/* B2: of RESETCPU, until the VCPU runs all the same. */
START_TEST(b2_reset)
{
	struct vcpu_reg_state r;
	uint32_t id = create(3);

	vendor = hv;
	ops = *hv;
	ops.check = check;
	hv = &ops;
	read_view(VMM_VIEW_explain, put);
	ck_assert_uint_eq(nlines, 0);
	refuse = true;
	unit_real(&r);
	ck_assert_int_eq(unit_reset(id, 1, &r), EIO);
	want_explained(id, 1);
	run(id, 0, 2, 1);
	want_explained(id, 1);
	run(id, 1, 2, 1);
	read_view(VMM_VIEW_explain, put);
	ck_assert_uint_eq(nlines, 0);
	ck_assert_int_eq(unit_reset(id, 1, &r), EIO);
	want_explained(id, 1);
	/* One that broke no rule has none, nor the last one's. */
	r.vrs_crs[VCPU_REGS_CR8] = 16;
	ck_assert_int_eq(unit_reset(id, 1, &r), EIO);
	read_view(VMM_VIEW_explain, put);
	ck_assert_uint_eq(nlines, 0);
	unit_real(&r);
	ck_assert_int_eq(unit_reset(id, 1, &r), EIO);
	refuse = false;
	ck_assert_int_eq(unit_reset(id, 1, &r), 0);
	read_view(VMM_VIEW_explain, put);
	ck_assert_uint_eq(nlines, 0);
	hv = vendor;
}
END_TEST

/* B2: of an entry; and one of an unknown rule has no other's. */
START_TEST(b2_entry)
{
	struct vcpu_reg_state r;
	uint32_t id = create(2);

	vendor = hv;
	ops = *hv;
	ops.check = check;
	ops.run = run_refused;
	hv = &ops;
	refuse = true;
	fake_step(stop_at, 0x1000);
	ck_assert_int_eq(unit_run(id, 1, NONE, &u), EINVAL);
	want_explained(id, 1);
	ck_assert(fake_log_has("entry refused by rule a-rule"));
	unit_real(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), EIO);
	refuse = false;
	fake_step(stop_at, 0x1000);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EINVAL);
	ck_assert(fake_log_has("no rule that the driver knows is broken"));
	want_explained(id, 1);
	hv = vendor;
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("ring");
	TCase *tc = tcase_create("ring");

	tcase_add_checked_fixture(tc, setup, unit_detach);
	suite_add_tcase(s, tc);
	tcase_add_test(tc, new);
	tcase_add_loop_test(tc, b3_exit, 0, NEXITS);
	tcase_add_test(tc, b3_times);
	tcase_add_test(tc, b3_ioctls);
	tcase_add_loop_test(tc, b3_wrap, 0, NTOTALS);
	tcase_add_test(tc, b3_apart);
	tcase_add_loop_test(tc, b3_meanwhile, 0, NMEANWHILE);
	tcase_add_test(tc, b3_torn);
	tcase_add_test(tc, b3_running);
	tcase_add_test(tc, b3_reset);
	tcase_add_test(tc, b3_no_memory);
	tcase_add_test(tc, b2_reset);
	tcase_add_test(tc, b2_entry);
	return (s);
}
