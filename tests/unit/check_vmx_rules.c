/* SPDX-License-Identifier: ISC */
/*
 * check_vmx_rules.c - every rule of vmx_rules.def, broken alone in a state
 * that enters: the driver names it, the fake CPU refuses; and what becomes of
 * a RESETCPU and of a RUN that meet one.
 */
#include <fnmatch.h>
#include <stdio.h>

#include "vmx_unit.h"
#include "vmx.h"

struct rule {
	const char	*id, *section, *part, *name, *allowed;
	uint32_t	 field;
};
static const struct rule rules[] = {
#define RULE(section, part, id, field, ok, allowed)			\
	{ id, section, #part, #field, allowed, VMCS_##field },
#include "vmx_rules.def"
#undef RULE
};
#define NRULES	((int)(sizeof(rules) / sizeof(rules[0])))

enum mode { REAL, PROT, PAE, LONG, VM86 };

/* Bits of a field, the rule's if it is 0, cleared and then set. */
struct poke {
	uint32_t	field;
	uint64_t	clear, set;
};
#define BIT(n)		(1ULL << (n))
#define IF_ON		{ VF_RFLAGS, 0, BIT(9) }
#define EVENT(e)	{ VF_ENTRY_EVENT, ~0ULL, BIT(31) | (e) }
#define STI_SHADOW	IF_ON, { VF_INTERRUPTIBILITY, 3, 1 }
#define LDT_USABLE	{ VF_AR(VX_LDTR), ~0ULL, 0x82 }

/* How to break a rule, and before that what makes it apply. */
static const struct breaks {
	const char	*id;		/* or a pattern; the first that fits */
	enum mode	 mode;
	struct poke	 poke;
	struct poke	 good[3];
} breaks[] = {
	{ "pin-controls", REAL, { 0, BIT(1), 0 }, {} },
	{ "proc-controls", REAL, { 0, BIT(1), 0 }, {} },
	{ "proc2-controls", REAL, { 0, 0, BIT(31) }, {} },
	{ "cr3-targets", REAL, { 0, 0, 5 }, {} },
	{ "msr-bitmap", REAL, { 0, 0, 1 }, {} },
	{ "virtual-nmis", REAL, { 0, BIT(3), 0 }, {} },
	{ "vpid", REAL, { 0, ~0ULL, 0 }, {} },
	{ "eptp-type", REAL, { 0, 7, 1 }, {} },
	{ "eptp-levels", REAL, { 0, BIT(3), 0 }, {} },
	{ "eptp-reserved", REAL, { 0, 0, BIT(11) }, {} },
	{ "unrestricted", REAL, { 0, BIT(1), 0 }, {} },
	{ "exit-controls", REAL, { 0, 1, 0 }, {} },
	{ "entry-controls", REAL, { 0, 1, 0 }, {} },
	{ "exit-msr-store-end", REAL, { VF_EXIT_STORE, ~0ULL,
	    BIT(48) - 16 }, {} },
	{ "exit-msr-load-end", REAL, { VF_EXIT_LOAD, ~0ULL,
	    BIT(48) - 16 }, {} },
	{ "entry-msr-load-end", REAL, { VF_ENTRY_LOAD, ~0ULL,
	    BIT(48) - 16 }, {} },
	{ "exit-msr-store", REAL, { 0, 0, 8 }, {} },
	{ "exit-msr-load", REAL, { 0, 0, 8 }, {} },
	{ "entry-msr-load", REAL, { 0, 0, 8 }, {} },
	{ "event-type", REAL, { 0, 0, BIT(31) | 0x120 }, {} },
	{ "event-nmi", REAL, { 0, 0, BIT(31) | 0x203 }, {} },
	{ "event-exception", REAL, { 0, 0, BIT(31) | 0x320 }, {} },
	{ "event-error-type", PROT, { 0, 0, BIT(11) },
	    { EVENT(0x20), IF_ON } },
	{ "event-error-real", REAL, { 0, 0, BIT(11) }, { EVENT(0x30d) } },
	{ "event-error-vector", PROT, { 0, 0, BIT(11) }, { EVENT(0x306) } },
	{ "event-error-missing", PROT, { 0, BIT(11), 0 }, { EVENT(0xb0d) } },
	{ "event-reserved", REAL, { 0, 0, BIT(12) }, { EVENT(0x306) } },
	{ "event-error", PROT, { 0, 0, BIT(31) }, { EVENT(0xb0d) } },
	{ "event-length", REAL, { 0, ~0ULL, 16 }, { EVENT(0x420),
	    { VF_ENTRY_LEN, 0, 2 } } },
	{ "host-cr0", REAL, { 0, BIT(5), 0 }, {} },
	{ "host-cr4", REAL, { 0, BIT(13), 0 }, {} },
	{ "host-pat", REAL, { 0, 0xff, 2 }, {} },
	{ "host-efer", REAL, { 0, 0, 2 }, {} },
	{ "host-efer-lma", REAL, { 0, BIT(10), 0 }, {} },
	{ "host-cs-0", REAL, { 0, ~0ULL, 0 }, {} },
	{ "host-tr-0", REAL, { 0, ~0ULL, 0 }, {} },
	{ "host-64", REAL, { 0, BIT(9) | BIT(21), 0 }, {} },
	{ "host-pae", REAL, { 0, BIT(5), 0 }, {} },
	{ "cr0", REAL, { 0, BIT(5), 0 }, {} },
	{ "cr0-pg", REAL, { 0, 0, BIT(31) }, {} },
	{ "cr4", REAL, { 0, BIT(13), 0 }, {} },
	{ "debugctl", REAL, { 0, 0, BIT(3) }, {} },
	{ "long-pg", LONG, { 0, BIT(31), 0 }, {} },
	{ "long-pae", LONG, { 0, BIT(5), 0 }, {} },
	{ "pcide", PROT, { 0, 0, BIT(17) }, {} },
	{ "dr7", REAL, { 0, 0, BIT(32) }, {} },
	{ "pat", REAL, { 0, 0xff, 2 }, {} },
	{ "efer", REAL, { 0, 0, 2 }, {} },
	{ "efer-lma", REAL, { 0, 0, BIT(10) }, {} },
	{ "efer-lme", PAE, { 0, 0, BIT(8) }, {} },
	{ "tr-ti", REAL, { 0, 0, 4 }, {} },
	{ "ldtr-ti", REAL, { 0, 0, 4 }, { LDT_USABLE } },
	{ "ldtr-base", REAL, { 0, 0, BIT(47) }, { LDT_USABLE } },
	{ "cs-type", REAL, { 0, 0xf, 2 }, {} },
	{ "ss-type", REAL, { 0, 0xf, 1 }, {} },
	{ "cs-dpl-data", REAL, { 0, 0, BIT(5) }, { { 0, 0xf, 3 } } },
	{ "cs-dpl", PROT, { 0, 0, BIT(5) }, {} },
	{ "cs-dpl-conforming", PROT, { 0, 0, BIT(5) }, { { 0, 0, 4 } } },
	{ "ss-dpl", REAL, { 0, 0, BIT(5) }, { { VF_AR(VX_CS), 0xf, 3 } } },
	{ "cs-l-db", LONG, { 0, 0, BIT(14) }, {} },
	{ "tr-type", REAL, { 0, 0xf, 2 }, {} },
	{ "tr-unusable", REAL, { 0, 0, BIT(16) }, {} },
	{ "ldtr-type", REAL, { 0, 0, 1 }, { LDT_USABLE } },
	{ "tr-s", REAL, { 0, 0, BIT(4) }, {} },
	{ "tr-g", REAL, { 0, 0, BIT(15) }, { { VF_LIMIT(VX_TR), ~0ULL,
	    0x67 } } },
	{ "ldtr-s", REAL, { 0, 0, BIT(4) }, { LDT_USABLE } },
	{ "ldtr-p", REAL, { 0, BIT(7), 0 }, { LDT_USABLE } },
	{ "ldtr-reserved", REAL, { 0, 0, BIT(8) }, { LDT_USABLE } },
	{ "ldtr-g", REAL, { 0, 0, BIT(15) }, { LDT_USABLE,
	    { VF_LIMIT(VX_LDTR), ~0ULL, 0x67 } } },
	{ "rip-32", REAL, { 0, 0, BIT(32) }, {} },
	{ "rip", LONG, { 0, 0, BIT(48) }, {} },
	{ "rflags", REAL, { 0, 0, BIT(3) }, {} },
	{ "rflags-1", REAL, { 0, BIT(1), 0 }, {} },
	{ "rflags-vm", VM86, { VF_CR0, 1, 0 }, {} },
	{ "rflags-if", REAL, { 0, BIT(9), 0 }, { EVENT(0x20), IF_ON } },
	{ "activity", REAL, { 0, 0, 4 }, {} },
	{ "blocked", REAL, { 0, 0, BIT(5) }, {} },
	{ "blocked-both", REAL, { 0, 0, 2 }, { STI_SHADOW } },
	{ "blocked-sti", REAL, { 0, 0, 1 }, {} },
	{ "blocked-intr", REAL, { 0, 0, 2 }, { EVENT(0x20), IF_ON } },
	{ "blocked-nmi-mov-ss", REAL, { 0, 0, 2 }, { EVENT(0x202) } },
	{ "blocked-smi", REAL, { 0, 0, 4 }, {} },
	{ "blocked-nmi", REAL, { 0, 0, 8 }, { EVENT(0x202) } },
	{ "pending-debug", REAL, { 0, 0, BIT(4) }, {} },
	{ "pending-bs", REAL, { 0, BIT(14), 0 }, { STI_SHADOW,
	    { VF_RFLAGS, 0, BIT(8) } } },
	{ "pending-no-bs", REAL, { 0, 0, BIT(14) }, { STI_SHADOW } },
	{ "link-pointer", REAL, { 0, ~0ULL, 0 }, {} },
	{ "*dtr-limit", REAL, { 0, 0, BIT(16) }, {} },
	{ "pdpte0", PAE, { 0, 0, 2 }, {} },
	{ "pdpte1", PAE, { 0, 0, 2 }, {} },
	{ "pdpte2", PAE, { 0, 0, 2 }, {} },
	{ "pdpte3", PAE, { 0, 0, BIT(48) }, {} },
	{ "*cr3", REAL, { 0, 0, BIT(51) }, {} },
	{ "*s-v86-base", VM86, { 0, 0, 0x70 }, {} },
	{ "*s-v86-limit", VM86, { 0, 0, BIT(16) }, {} },
	{ "*s-v86-rights", VM86, { 0, BIT(5), 0 }, {} },
	{ "*-type", REAL, { 0, 1, 0 }, {} },
	{ "*-s", REAL, { 0, BIT(4), 0 }, {} },
	{ "*-p", REAL, { 0, BIT(7), 0 }, {} },
	{ "*-reserved", REAL, { 0, 0, BIT(8) }, {} },
	{ "*s-g", PROT, { 0, BIT(15), 0 }, {} },
	{ "host-*s", REAL, { 0, 0, 4 }, {} },
	{ "host-tr", REAL, { 0, 0, 4 }, {} },
	{ "fs-base", REAL, { 0, 0, BIT(47) }, {} },
	{ "gs-base", REAL, { 0, 0, BIT(47) }, {} },
	{ "tr-base", REAL, { 0, 0, BIT(47) }, {} },
	{ "cs-base", REAL, { 0, 0, BIT(32) }, {} },
	{ "ss-base", REAL, { 0, 0, BIT(32) }, {} },
	{ "ds-base", REAL, { 0, 0, BIT(32) }, {} },
	{ "es-base", REAL, { 0, 0, BIT(32) }, {} },
	{ "*-base", REAL, { 0, ~0ULL, BIT(47) }, {} },
	{ "*sysenter-e?p", REAL, { 0, ~0ULL, BIT(47) }, {} },
	{ "host-rip", REAL, { 0, ~0ULL, BIT(47) }, {} },
};
#define NBREAKS	(sizeof(breaks) / sizeof(breaks[0]))

/* A state that enters, in that mode. */
static void
mode_regs(enum mode mode, struct vcpu_reg_state *r)
{
	struct vcpu_segment_info *seg = r->vrs_sregs;
	int i;

	unit_real(r);
	if (mode == LONG)
		unit_long(r);
	if (mode == PROT || mode == PAE || mode == VM86)
		r->vrs_crs[VCPU_REGS_CR0] |= 1;
	for (i = VCPU_REGS_CS; i <= VCPU_REGS_SS; i++) {
		if (mode == PROT || mode == PAE) {
			seg[i].vsi_limit = 0xffffffff;
			seg[i].vsi_ar |= 0xc000;
		} else if (mode == VM86)
			seg[i].vsi_ar = 0xf3;
	}
	if (mode == VM86)
		r->vrs_gprs[VCPU_REGS_RFLAGS] |= BIT(17);
	if (mode == PAE) {
		r->vrs_crs[VCPU_REGS_CR0] |= BIT(31);
		r->vrs_crs[VCPU_REGS_CR3] = 0x2000;
		r->vrs_crs[VCPU_REGS_CR4] = BIT(5);
		for (i = 0; i < 4; i++)
			r->vrs_crs[VCPU_REGS_PDPTE0 + i] = 0x3001;
	}
	seg[VCPU_REGS_LDTR].vsi_ar = 0x10000;
}

/* The VCPU in that mode, its VMCS as an exit left it. */
static void
begin(enum mode mode)
{
	struct vcpu_reg_state r;

	mode_regs(mode, &r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	run_to_end();
}

static void
poke(const struct poke *p, uint32_t field)
{
	field = p->field != 0 ? p->field : field;
	vf_set(fake_last(), field, (last(field) & ~p->clear) | p->set);
}

static const struct breaks *
breaking(const char *rule)
{
	size_t i;

	for (i = 0; i < NBREAKS; i++)
		if (fnmatch(breaks[i].id, rule, 0) == 0)
			return (&breaks[i]);
	ck_abort_msg("%s: nobody breaks it", rule);
}

/* Up to the rule's being broken. */
static void
make_good(const struct rule *r)
{
	const struct breaks *b = breaking(r->id);
	int i;

	begin(b->mode);
	for (i = 0; i < 3 && (b->good[i].clear | b->good[i].set) != 0; i++)
		poke(&b->good[i], r->field);
	if (strcmp(r->id, "pending-bs") == 0)
		vf_set(fake_last(), VF_PENDING_DEBUG, BIT(14));
}

/* Broken alone, it is the one that is named, and the CPU refuses. */
START_TEST(each_rule)
{
	const struct rule *r = &rules[_i];
	const struct breaks *b = breaking(r->id);
	bool guest = strcmp(r->part, "GUEST") == 0;
	struct entry_broken broken = { 0 };
	char line[256];

	make_good(r);
	ck_assert(!hv->check(v, false, &broken));
	poke(&b->poke, r->field);
	ck_assert_msg(hv->check(v, false, &broken), "%s: not seen", r->id);
	ck_assert_str_eq(broken.rule->id, r->id);
	ck_assert_uint_eq(broken.value, last(r->field));
	ck_assert_int_eq(hv->check(v, true, &broken), guest);

	if (r->field == VF_HOST_CR3 || r->field == VF_HOST_CR4 ||
	    r->field == VF_HOST_FS_BASE)
		return;		/* each entry writes them anew */
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EINVAL);
	ck_assert_str_ne(fake_refused(), "");
	snprintf(line, sizeof(line), "entry refused by rule %s: %s is %#llx\n",
	    r->id, r->name, (unsigned long long)broken.value);
	ck_assert_msg(fake_log_has(line), "%s%s", line, fake_log());
	snprintf(line, sizeof(line), "  allowed: %s\n", r->allowed);
	ck_assert(fake_log_has(line));
	ck_assert(fake_log_has(r->section));
	ck_assert(fake_log_has(!guest ? "exit 0x80000000 info" :
	    "exit 0x80000021 info"));
}
END_TEST

/* Two of one name could not be told apart. */
START_TEST(names)
{
	int i, j;

	ck_assert_int_ge(NRULES, 50);
	for (i = 0; i < NRULES; i++)
		for (j = 0; j < i; j++)
			ck_assert_str_ne(rules[i].id, rules[j].id);
}
END_TEST

/* Of several, the first in the manual's order. */
START_TEST(first)
{
	static const struct {
		uint32_t	 field;
		uint64_t	 value;
		const char	*rule;
	} t[] = {
		{ VF_RFLAGS, 0, "rflags-1" },
		{ VF_CR3, BIT(51), "cr3" },
		{ VF_HOST_RIP, BIT(47), "host-rip" },
		{ VF_HOST_CR4, 0, "host-cr4" },
		{ VF_EPTP, 0x1d, "eptp-type" },
	};
	struct entry_broken broken;
	size_t i;

	begin(REAL);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		vf_set(fake_last(), t[i].field, t[i].value);
		ck_assert(hv->check(v, false, &broken));
		ck_assert_str_eq(broken.rule->id, t[i].rule);
		ck_assert(hv->check(v, true, &broken));
		ck_assert_str_eq(broken.rule->id, i == 0 ? "rflags-1" : "cr3");
	}
}
END_TEST

/* Fields that this CPU lacks break nothing. */
START_TEST(absent)
{
	struct entry_broken broken;

	unit_detach();
	vmx_bare();
	fake_vmx_absent(FAKE_MSR_PROC2, 5);
	fake_vmx_absent(FAKE_MSR_PIN, 6);
	unit_attach();
	id = unit_real_vm();
	v = unit_vm(id)->vcpu[0];
	run_to_end();
	ck_assert(!fake_vmx_field(VF_VPID));
	ck_assert(!hv->check(v, false, &broken));
}
END_TEST

/* A CPU may take error codes as they come, and INT n of no length. */
START_TEST(lenient)
{
	struct entry_broken broken;

	begin(PROT);
	vf_set(fake_last(), VF_ENTRY_EVENT, BIT(31) | 0xb06);
	ck_assert(hv->check(v, false, &broken));
	fake_msr_all(FAKE_MSR_BASIC, BIT(56), 0);
	ck_assert(!hv->check(v, false, &broken));
	vf_set(fake_last(), VF_ENTRY_EVENT, BIT(31) | 0x30d);
	ck_assert(!hv->check(v, false, &broken));
	vf_set(fake_last(), VF_ENTRY_EVENT, BIT(31) | 0x420);
	vf_set(fake_last(), VF_ENTRY_LEN, 0);
	fake_msr_all(FAKE_MSR_MISC, 0, BIT(30));
	ck_assert(hv->check(v, false, &broken));
	ck_assert_str_eq(broken.rule->id, "event-length");
	fake_msr_all(FAKE_MSR_MISC, BIT(30), 0);
	ck_assert(!hv->check(v, false, &broken));
}
END_TEST

/*
 * RESETCPU to what no entry takes: nothing of the VCPU is changed, neither
 * what a client can read nor what the VMCS holds.
 */
static const struct {
	const char	*rule;
	enum mode	 mode;
	int		 sreg;
	uint32_t	 ar;
} resets[] = {
	{ "tr-type", LONG, VCPU_REGS_TR, 0x83 },
	{ "tr-unusable", REAL, VCPU_REGS_TR, 0x1008b },
	{ "cs-type", REAL, VCPU_REGS_CS, 0x92 },
	{ "ss-type", PROT, VCPU_REGS_SS, 0xc092 },
	{ "fs-g", REAL, VCPU_REGS_FS, 0x93 | 0x8000 },
	{ "ds-v86-rights", VM86, VCPU_REGS_DS, 0x93 },
};

static void
leave_sti(struct fake_guest *g, uint64_t arg)
{
	static const struct fake_vexit in = { .reason = 30, .qual = 0x200008,
	    .len = 2 };

	(void)arg;
	vf_set(g, VF_RFLAGS, 0x302);
	vf_set(g, VF_INTERRUPTIBILITY, VX_STI);
	vf_set(g, VF_PENDING_DEBUG, BIT(14));
	fake_vexit_raw(g, &in);
}

START_TEST(reset_refused)
{
	static const uint32_t kept[] = { VF_RFLAGS, VF_INTERRUPTIBILITY,
	    VF_CR0, VF_CR4, VF_EFER, VF_ENTRY_CTLS, VF_RIP, VF_DR7 };
	uint64_t before[8];
	struct vcpu_reg_state r, old = { 0 }, now = { 0 };
	size_t i;

	fake_step(leave_sti, 0);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, 30);
	v->shadow = true;	/* as before an IN is done */
	ck_assert_uint_ne(v->in_pending, 0);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &old), 0);
	ck_assert(!hv->check(v, true, &v->broken));
	for (i = 0; i < 8; i++)
		before[i] = last(kept[i]);

	mode_regs(resets[_i].mode, &r);
	r.vrs_sregs[resets[_i].sreg].vsi_ar = resets[_i].ar;
	if (resets[_i].sreg == VCPU_REGS_FS)
		r.vrs_sregs[VCPU_REGS_FS].vsi_limit &= ~1U;
	ck_assert_int_eq(unit_reset(id, 0, &r), EIO);
	ck_assert(fake_log_has("RESETCPU refused by rule "));
	ck_assert_msg(fake_log_has(resets[_i].rule), "%s", fake_log());
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &now), 0);
	ck_assert_int_eq(memcmp(&now, &old, sizeof(now)), 0);
	ck_assert_uint_ne(v->in_pending, 0);
	ck_assert(v->shadow);
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_STOPPED);
	ck_assert(!hv->check(v, true, &v->broken));
	for (i = 0; i < 8; i++)
		ck_assert_uint_eq(last(kept[i]), before[i]);
	run_to_end();
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("vmx_rules");
	TCase *tc = tcase_create("vmx_rules");

	tcase_add_checked_fixture(tc, vmx_setup, unit_detach);
	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, each_rule, 0, NRULES);
	tcase_add_test(tc, names);
	tcase_add_test(tc, first);
	tcase_add_test(tc, absent);
	tcase_add_test(tc, lenient);
	tcase_add_loop_test(tc, reset_refused, 0, 6);
	return (s);
}
