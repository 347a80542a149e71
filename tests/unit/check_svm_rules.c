/* SPDX-License-Identifier: ISC */
/*
 * check_svm_rules.c - the rules of svm_rules.def: each broken alone in a VMCB
 * that entered, which the fake CPU refuses for its own reasons; and what is
 * said of an entry, or a RESETCPU, that broke one.
 */
#include "unit.h"

#include "svm.h"

#define LAST_PA		((1ULL << 48) - 1)	/* of the fake CPU */

static uint32_t id;
static struct vcpu *v;
static struct unit_run u;

/* How to break each: the field becomes (itself & keep) | set. */
static const struct wrong {
	const char	*id, *field, *why;	/* why: to the fake CPU */
	unsigned int	 off, bytes;
	uint64_t	 keep, set;
	bool		 guest;
} wrong[] = {
#define ALL	UINT64_MAX
	{ "efer-svme", "EFER", "EFER.SVME is 0", VS_EFER, 8, ~0x1000ULL, 0,
	    true },
	{ "cr0-nw", "CR0", "CR0.NW without CD", VS_CR0, 8, ALL, 0x20000000,
	    true },
	{ "cr0-high", "CR0", "CR0[63:32]", VS_CR0, 8, ALL, 1ULL << 32, true },
	{ "cr3-mbz", "CR3", "CR3 reserved bits", VS_CR3, 8, ALL, 1ULL << 48,
	    true },
	{ "cr4-mbz", "CR4", "CR4 reserved bits", VS_CR4, 8, ALL, 1ULL << 31,
	    true },
	{ "dr6-high", "DR6", "DR6[63:32]", VS_DR6, 8, ALL, 1ULL << 63, true },
	{ "dr7-high", "DR7", "DR7[63:32]", VS_DR7, 8, ALL, 1ULL << 32, true },
	{ "efer-mbz", "EFER", "EFER reserved bits", VS_EFER, 8, ALL, 2, true },
	{ "lme-pae", "CR4", "LME, PG and no PAE", VS_CR4, 8, ~0x20ULL, 0,
	    true },
	{ "lme-pe", "CR0", "LME, PG and no PE", VS_CR0, 8, ~1ULL, 0, true },
	{ "cs-l-d", "CS_ATTR", "long mode with CS.L and CS.D", VS_CS + 2, 2,
	    ALL, 0x400, true },
	{ "vmrun-intercept", "INTERCEPT_4", "VMRUN is not intercepted",
	    VC_MISC2, 4, ~1ULL, 0, false },
	{ "msrpm-pa", "MSRPM_BASE_PA", "MSRPM", VC_MSRPM, 8, 0,
	    LAST_PA - 0xfff, false },
	{ "iopm-pa", "IOPM_BASE_PA", "IOPM", VC_IOPM, 8, 0,
	    LAST_PA - 0x1fff, false },
	{ "event-type", "EVENTINJ", "EVENTINJ type", VC_EVENTINJ, 8, 0,
	    0x80000121, false },
	{ "event-nmi", "EVENTINJ", "EVENTINJ of an exception that is NMI",
	    VC_EVENTINJ, 8, 0, 0x80000302, false },
	{ "event-vector", "EVENTINJ", "EVENTINJ vector", VC_EVENTINJ, 8, 0,
	    0x80000320, false },
	{ "asid-0", "ASID", "ASID is 0", VC_ASID, 4, 0, 0, false },
	{ "tlb-control", "TLB_CONTROL", "TLB_CONTROL", VC_TLB_CONTROL, 4, 0,
	    2, false },
	{ "n-cr3-mbz", "N_CR3", "nCR3 reserved bits", VC_N_CR3, 8, ALL,
	    1ULL << 48, false },
	{ "g-pat", "G_PAT", "G_PAT", VS_G_PAT, 8, ~0xffULL, 2, true },
};
#define NWRONG	((int)(sizeof(wrong) / sizeof(wrong[0])))

/* A guest in long mode that has entered once, and its VMCB. */
static union {
	struct vmcb	vmcb;
	uint8_t		bytes[4096];
} *page;

static void
setup(void)
{
	struct vcpu_reg_state r;

	unit_boot();
	unit_attach();
	id = unit_real_vm();
	v = unit_vm(id)->vcpu[0];
	unit_long(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	page = (void *)fake_last()->vmcb;
}

static uint64_t
get(unsigned int off, unsigned int bytes)
{
	uint64_t x = 0;

	memcpy(&x, page->bytes + off, bytes);
	return (x);
}

static void
put(unsigned int off, unsigned int bytes, uint64_t x)
{
	memcpy(page->bytes + off, &x, bytes);
}

/* Returns: what the field was. */
static uint64_t
break_one(const struct wrong *w)
{
	uint64_t old = get(w->off, w->bytes);

	put(w->off, w->bytes, (old & w->keep) | w->set);
	return (old);
}

/* The rule that the VMCB breaks, or "". */
static const char *
broken(bool guest_only)
{
	struct entry_broken b;

	return (svm_rules(&page->vmcb, guest_only, &b) ? b.rule->id : "");
}

/* --- The table --- */

START_TEST(alone)
{
	const struct wrong *w = &wrong[_i];
	struct entry_broken b;
	uint64_t old;

	ck_assert_str_eq(broken(false), "");
	old = break_one(w);
	ck_assert(svm_rules(&page->vmcb, false, &b));
	ck_assert_str_eq(b.rule->id, w->id);
	ck_assert_str_eq(b.rule->field, w->field);
	ck_assert_uint_eq(b.value, (old & w->keep) | w->set);
	ck_assert_mem_eq(b.rule->section, "APM ", 4);
	ck_assert_str_eq(broken(true), w->guest ? w->id : "");

	/* The CPU agrees. */
	svm_enter(host_pa_of(page), host_pa_of(page), v->gpr);
	ck_assert_uint_eq(page->vmcb.exitcode, UINT64_MAX);
	ck_assert_str_eq(fake_refused(), w->why);
}
END_TEST

/* Of two broken rules the first in the manual's order is told. */
START_TEST(first)
{
	const struct wrong *w = &wrong[_i];
	uint64_t old[2];
	int i;

	old[0] = break_one(w);
	for (i = _i + 1; i < NWRONG; i++) {
		if (wrong[i].off == w->off)
			continue;
		old[1] = break_one(&wrong[i]);
		ck_assert_str_eq(broken(false), w->id);
		put(wrong[i].off, wrong[i].bytes, old[1]);
	}
	put(w->off, w->bytes, old[0]);
	ck_assert_str_eq(broken(false), "");
}
END_TEST

/* Every row of the table is a case above, in its order. */
START_TEST(complete)
{
	static const char *const row[] = {
#define RULE(section, part, name, field, holds, ok, allowed)	name,
#include "svm_rules.def"
#undef RULE
	};
	int i;

	ck_assert_int_eq(sizeof(row) / sizeof(row[0]), NWRONG);
	for (i = 0; i < NWRONG; i++)
		ck_assert_str_eq(row[i], wrong[i].id);
}
END_TEST

/* The last value that is allowed, where there is one. */
START_TEST(limits)
{
	static const struct {
		unsigned int	off, bytes;
		uint64_t	value;
	} good[] = {
		{ VS_CR3, 8, LAST_PA }, { VC_N_CR3, 8, LAST_PA },
		{ VC_MSRPM, 8, LAST_PA - 0x1fff }, { VC_MSRPM, 8, 0 },
		{ VC_MSRPM, 8, LAST_PA - 0x1000 },	/* 11:0 ignored */
		{ VC_IOPM, 8, LAST_PA - 0x2fff },
		{ VS_CR0, 8, 0xe0000011 }, { VS_CR0, 8, 0xc0000011 },
		{ VS_CR4, 8, 0x60 }, { VS_DR6, 8, 0xffffffff },
		{ VS_DR7, 8, 0xffffffff }, { VS_EFER, 8, 0x1d01 },
		{ VS_EFER, 8, 0x1000 }, { VS_CS + 2, 2, 0xdff },
		{ VC_EVENTINJ, 8, 0x8000031f }, { VC_EVENTINJ, 8, 0x800000ff },
		{ VC_EVENTINJ, 8, 0x80000202 }, { VC_EVENTINJ, 8, 0x80000402 },
		{ VC_EVENTINJ, 8, 0x80000301 }, { VC_EVENTINJ, 8, 0x80000303 },
		{ VC_EVENTINJ, 8, 0x7fffff40 },		/* not valid */
		{ VC_ASID, 4, 1 }, { VC_TLB_CONTROL, 4, 1 },
		{ VC_TLB_CONTROL, 4, 3 }, { VC_TLB_CONTROL, 4, 7 },
		{ VS_G_PAT, 8, 0x0001040506070007 },
	};
	uint64_t old;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		old = get(good[i].off, good[i].bytes);
		put(good[i].off, good[i].bytes, good[i].value);
		ck_assert_msg(*broken(false) == '\0', "%s by %zu",
		    broken(false), i);
		put(good[i].off, good[i].bytes, old);
	}
}
END_TEST

/* What is wrong in long mode is not in another. */
START_TEST(other_modes)
{
	struct vcpu_reg_state r;

	unit_real(&r);
	if (_i != 0)
		r.vrs_crs[VCPU_REGS_CR0] = 0x80000011;
	r.vrs_sregs[VCPU_REGS_CS].vsi_ar = 0x609b;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_str_eq(broken(false), "");
	page->vmcb.save.efer |= EFER_LME;
	ck_assert_str_eq(broken(false), _i != 0 ? "lme-pae" : "");
}
END_TEST

/* --- A refused entry --- */

static void
expect_refused(const char *by)
{
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EINVAL);
	ck_assert_msg(fake_log_has(by), "%s", fake_log());
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_TERMINATED);
}

/* B2: by what a client wrote, legal one by one, and not together. */
START_TEST(by_client)
{
	struct vcpu_reg_state r;

	unit_long(&r);
	if (_i == 0)
		r.vrs_crs[VCPU_REGS_CR4] = 0;
	else if (_i == 1)
		r.vrs_crs[VCPU_REGS_CR0] = 0x80000010;
	else
		r.vrs_sregs[VCPU_REGS_CS].vsi_ar |= 0x4000;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_ALL, &r), 0);
	expect_refused(_i == 0 ? "refused by rule lme-pae: CR4 is 0x40\n" :
	    _i == 1 ? "refused by rule lme-pe: CR0 is 0x80000010\n" :
	    "refused by rule cs-l-d: CS_ATTR is 0xe9b\n");
	ck_assert_str_eq(v->broken.rule->id, wrong[8 + _i].id);
	ck_assert(fake_log_has(v->broken.rule->allowed));
	ck_assert(fake_log_has("  APM Vol. 2 15.5.1 \"Basic Operation\"\n"));
}
END_TEST

/* B2: by the driver, in a control that stands in the VMCB. */
START_TEST(by_control)
{
	page->vmcb.intercept[4] = 0;
	expect_refused("refused by rule vmrun-intercept: INTERCEPT_4 is 0\n");
}
END_TEST

/* TCG can say that such an event was lost. */
static void
lose_rubbish(struct fake_guest *g, uint64_t arg)
{
	vmcb_set(g, VC_EXITINTINFO, arg);
	fake_exit(g, 0x60, 0, 0);
}

/* B2: by an event, which the CPU clears when it refuses it. */
START_TEST(by_event)
{
	fake_step(lose_rubbish, 0x80000340);
	expect_refused("rule event-vector: EVENTINJ is 0x80000340\n");
	ck_assert_uint_eq(fake_nevents(), 0);
}
END_TEST

/*
 * An emulator that does so when the guest has run already: there is no copy
 * of the registers, and nothing that was given is wrong.
 */
static void
refuse_now(struct fake_guest *g, uint64_t arg)
{
	(void)arg;
	fake_exit_raw(g, UINT64_MAX, 0, 0);
	vmcb_set(g, VS_EFER, 0);
	vmcb_set(g, VS_G_PAT, 2);
}

START_TEST(by_nothing)
{
	static const struct entry_rule old = { "a", "b", "c", "d" };

	v->broken.rule = &old;		/* by a RESETCPU */
	fake_step(fake_do_exit, 0x60);
	fake_step(refuse_now, 0);
	expect_refused("refused; no rule that the driver knows is broken\n");
	ck_assert_ptr_null(v->broken.rule);
}
END_TEST

/* --- RESETCPU --- */

/*
 * EIO, and the rule. All is as before: also an event that an exit cut short,
 * which the next entry injects, and an IN that waits for its answer.
 */
START_TEST(by_reset)
{
	struct vcpu_reg_state r, before, after;

	v->event = (struct hv_event){ .valid = true, .type = EVENT_NMI,
	    .vector = 2 };
	v->in_pending = 4;
	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &before), 0);

	unit_long(&r);
	r.vrs_crs[VCPU_REGS_CR2] = 0x1234;
	r.vrs_crs[VCPU_REGS_CR3] = 0x7000;
	r.vrs_msrs[VCPU_REGS_LSTAR] = 0x5678;
	if (_i == 0)
		r.vrs_crs[VCPU_REGS_CR4] = 0;
	else
		r.vrs_sregs[VCPU_REGS_CS].vsi_ar |= 0x4000;
	ck_assert_int_eq(unit_reset(id, 0, &r), EIO);
	ck_assert(fake_log_has(_i == 0 ?
	    "RESETCPU refused by rule lme-pae: CR4 is 0x40\n" :
	    "RESETCPU refused by rule cs-l-d: CS_ATTR is 0xe9b\n"));
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &after), 0);
	ck_assert_mem_eq(&before, &after, sizeof(before));
	ck_assert_uint_eq(v->in_pending, 4);
	ck_assert(v->event.valid);
	ck_assert_uint_eq(page->vmcb.eventinj, 0);

	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(fake_nevents(), 1);
	ck_assert_uint_eq(vmcb_get(fake_last(), VS_CR3), 0x2000);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("svm_rules");
	TCase *tc;

	tc = unit_bare_case(s, "table");
	tcase_add_checked_fixture(tc, setup, unit_detach);
	tcase_add_loop_test(tc, alone, 0, NWRONG);
	tcase_add_loop_test(tc, first, 0, NWRONG);
	tcase_add_test(tc, complete);
	tcase_add_test(tc, limits);
	tcase_add_loop_test(tc, other_modes, 0, 2);

	tc = unit_bare_case(s, "refused");
	tcase_add_checked_fixture(tc, setup, unit_detach);
	tcase_add_loop_test(tc, by_client, 0, 3);
	tcase_add_test(tc, by_control);
	tcase_add_test(tc, by_event);
	tcase_add_test(tc, by_nothing);
	tcase_add_loop_test(tc, by_reset, 0, 2);
	return (s);
}
