/* SPDX-License-Identifier: ISC */
/*
 * ioctl_regs.c - READREGS and WRITEREGS: groups, masks, states.
 * What each register may hold is in ioctl_judge.c.
 */
#include <cpuid.h>
#include <stdio.h>

#include "ioctl_util.h"

#define AR_UNUSABLE	0x10000
#define FILL	0xa5

/* The groups, and where in struct vcpu_reg_state they are. */
static const struct group {
	const char	*name;
	uint64_t	 mask;
	size_t		 start, end;
} groups[] = {
	{ "GPRS", VM_RWREGS_GPRS, 0x000, 0x090 },
	{ "CRS", VM_RWREGS_CRS, 0x090, 0x0e0 },
	{ "MSRS", VM_RWREGS_MSRS, 0x0e0, 0x118 },
	{ "DRS", VM_RWREGS_DRS, 0x118, 0x148 },
	{ "SREGS", VM_RWREGS_SREGS, 0x148, 0x238 },
};

static uint64_t
canonical(uint64_t va)
{
	return ((uint64_t)((int64_t)(va << 16) >> 16));
}

/* The bits of a CR3: 12 to the width of a physical address. */
static uint64_t
cr3_mask(void)
{
	unsigned int a = 36, b, c, d;

	(void)__get_cpuid(0x80000008, &a, &b, &c, &d);
	return (((1UL << (a & 0xff)) - 1) & ~0xfffUL);
}

static void
fresh_segments(struct vcpu_reg_state *rs)
{
	struct vcpu_segment_info *s = rs->vrs_sregs;
	int i;

	for (i = 0; i < VCPU_REGS_NSREGS; i++) {
		s[i].vsi_sel = (uint16_t)fresh();
		s[i].vsi_limit = (uint32_t)fresh();
		s[i].vsi_ar = (fresh() & 0xf07f) | 0x80;
		s[i].vsi_base = i == VCPU_REGS_FS || i == VCPU_REGS_GS ||
		    i >= VCPU_REGS_LDTR ? canonical(fresh()) :
		    (uint32_t)fresh();
	}
	rs->vrs_gdtr.vsi_base = canonical(fresh());
	rs->vrs_gdtr.vsi_limit = (uint16_t)fresh();
	rs->vrs_idtr.vsi_base = canonical(fresh());
	rs->vrs_idtr.vsi_limit = (uint16_t)fresh();
}

/* Legal values, different in every call, that read back as they are. */
static void
fresh_regs(struct vcpu_reg_state *rs)
{
	uint64_t *crs = rs->vrs_crs, *msrs = rs->vrs_msrs;
	int i;

	memset(rs, 0, sizeof(*rs));
	for (i = 0; i < VCPU_REGS_NGPRS; i++)
		rs->vrs_gprs[i] = fresh();
	rs->vrs_gprs[VCPU_REGS_RIP] = canonical(fresh());
	rs->vrs_gprs[VCPU_REGS_RFLAGS] = (fresh() & 0x3f7fd5) | 2;
	for (i = 0; i < VCPU_REGS_NCRS; i++)
		crs[i] = fresh();
	crs[VCPU_REGS_CR0] = (fresh() & 0xe005002f) | 0x10;
	crs[VCPU_REGS_CR3] &= cr3_mask();
	crs[VCPU_REGS_CR4] &= 0x6bc;	/* TSD DE PSE PAE PGE OSFXSR .. */
	crs[VCPU_REGS_CR8] &= 15;
	crs[VCPU_REGS_XCR0] = 1;
	msrs[VCPU_REGS_EFER] = fresh() & 0x501;
	msrs[VCPU_REGS_STAR] = fresh();
	msrs[VCPU_REGS_LSTAR] = canonical(fresh());
	msrs[VCPU_REGS_CSTAR] = canonical(fresh());
	msrs[VCPU_REGS_SFMASK] = (uint32_t)fresh();
	msrs[VCPU_REGS_KGSBASE] = canonical(fresh());
	msrs[VCPU_REGS_MISC_ENABLE] = fresh() & 0x1801;
	for (i = 0; i < VCPU_REGS_NDRS; i++)
		rs->vrs_drs[i] = fresh();
	rs->vrs_drs[VCPU_REGS_DR6] = (fresh() & 0xe00f) | 0xffff0ff0;
	rs->vrs_drs[VCPU_REGS_DR7] = (fresh() & 0xffff23ff) | 0x400;
	fresh_segments(rs);
}

static int
read_mask(struct client_vm *v, uint64_t mask, struct vcpu_reg_state *rs)
{
	return (client_ioc_readregs(v->fd, v->id, 0, mask, rs));
}

static int
write_mask(struct client_vm *v, uint64_t mask, const struct vcpu_reg_state *rs)
{
	return (client_ioc_writeregs(v->fd, v->id, 0, mask, rs));
}

/* One group written alone: it reads back, the others stay. */
static void
round_trip(const struct group *g)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vcpu_reg_state before, want, now;
	int i;

	for (i = 0; i < 50; i++) {
		get_regs(v, &before);
		fresh_regs(&want);
		CHECK_EQ(write_mask(v, g->mask, &want), 0);
		get_regs(v, &now);
		same_regs("written", &now, &want, g->mask);
		same_regs("not written", &now, &before,
		    VM_RWREGS_ALL & ~g->mask);
	}
}

static void
round_trip_gprs(void)
{
	round_trip(&groups[0]);
}

static void
round_trip_crs(void)
{
	round_trip(&groups[1]);
}

static void
round_trip_msrs(void)
{
	round_trip(&groups[2]);
}

static void
round_trip_drs(void)
{
	round_trip(&groups[3]);
}

static void
round_trip_sregs(void)
{
	round_trip(&groups[4]);
}

/* All 32 masks, each written and each read. */
static void
all_masks(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vcpu_reg_state before, want, now;
	uint64_t mask;
	char name[16];

	for (mask = 0; mask <= VM_RWREGS_ALL; mask++) {
		snprintf(name, sizeof(name), "mask 0x%llx",
		    (unsigned long long)mask);
		get_regs(v, &before);
		fresh_regs(&want);
		EXPECT(name, write_mask(v, mask, &want), 0);
		get_regs(v, &now);
		same_regs(name, &now, &want, mask);
		same_regs(name, &now, &before, VM_RWREGS_ALL & ~mask);
	}
}

/* What READREGS does not read comes back byte for byte. */
static void
read_unselected(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vcpu_reg_state want, now, as_given;
	const struct group *g;
	uint64_t mask;

	fresh_regs(&want);
	CHECK_EQ(write_mask(v, VM_RWREGS_ALL, &want), 0);
	memset(&as_given, FILL, sizeof(as_given));
	for (mask = 0; mask <= VM_RWREGS_ALL; mask++) {
		memcpy(&now, &as_given, sizeof(now));
		CHECK_EQ(read_mask(v, mask, &now), 0);
		same_regs("selected", &now, &want, mask);
		for (g = groups; g < groups + NELEM(groups); g++)
			if ((mask & g->mask) == 0)
				EXPECT(g->name, memcmp((uint8_t *)&now +
				    g->start, (uint8_t *)&as_given + g->start,
				    g->end - g->start), 0);
	}
}

/* Selector and rights of GDTR and IDTR are neither read nor written. */
static void
table_registers(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vcpu_reg_state now;
	const struct vcpu_segment_info *t;
	int i;

	memset(&now, FILL, sizeof(now));
	CHECK_EQ(read_mask(v, VM_RWREGS_SREGS, &now), 0);
	for (i = 0; i < 2; i++) {
		t = i == 0 ? &now.vrs_gdtr : &now.vrs_idtr;
		CHECK_EQ(t->vsi_sel, 0xa5a5);
		CHECK_EQ(t->vsi_ar, 0xa5a5a5a5);
	}
	CHECK_EQ(write_mask(v, VM_RWREGS_SREGS, &now), 0);
}

static void
mask_zero(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct snapshot before;
	struct vcpu_reg_state junk, copy;

	take_snapshot(v, &before);
	memset(&junk, 0xff, sizeof(junk));
	CHECK_EQ(write_mask(v, 0, &junk), 0);
	memcpy(&copy, &junk, sizeof(copy));
	CHECK_EQ(read_mask(v, 0, &junk), 0);
	CHECK_EQ(memcmp(&copy, &junk, sizeof(copy)), 0);
	same_snapshot("mask 0", v, &before);
}

static void
mask_unknown(void)
{
	static const uint64_t unknown[] = {
		0x20, 0x40, 0x80, 0x8000, 0x80000000, 0x100000000,
		0x1f00000000, 1UL << 63, ~(uint64_t)VM_RWREGS_ALL,
	};
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vcpu_reg_state junk, copy, want;
	struct snapshot before;
	size_t i;

	take_snapshot(v, &before);
	for (i = 0; i < NELEM(unknown); i++) {
		memset(&junk, 0xff, sizeof(junk));
		CHECK_EQ(write_mask(v, unknown[i], &junk), 0);
		memcpy(&copy, &junk, sizeof(copy));
		CHECK_EQ(read_mask(v, unknown[i], &junk), 0);
		CHECK_EQ(memcmp(&copy, &junk, sizeof(copy)), 0);
		same_snapshot("unknown bits alone", v, &before);
	}
	for (i = 0; i < NELEM(unknown); i++) {
		fresh_regs(&want);
		CHECK_EQ(write_mask(v, unknown[i] | VM_RWREGS_ALL, &want), 0);
		memset(&junk, 0, sizeof(junk));
		CHECK_EQ(read_mask(v, unknown[i] | VM_RWREGS_ALL, &junk), 0);
		same_regs("unknown bits beside", &junk, &want, VM_RWREGS_ALL);
	}
}

/* C3: an unusable segment, in every register and beside every right. */
static void
unusable(void)
{
	static const uint32_t rights[] = {
		AR_UNUSABLE, AR_UNUSABLE | 0x93, AR_UNUSABLE | 0xc093,
		AR_UNUSABLE | 0x13,
	};
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vcpu_reg_state rs, now;
	size_t r;
	int i;

	for (i = 0; i < VCPU_REGS_NSREGS; i++)
		for (r = 0; r < NELEM(rights); r++) {
			client_start_state(GUEST_LONG, &rs);
			rs.vrs_sregs[i].vsi_ar = rights[r];
			CHECK_EQ(write_mask(v, VM_RWREGS_SREGS, &rs), 0);
			get_regs(v, &now);
			note("segment %d", i);
			CHECK_EQ(now.vrs_sregs[i].vsi_ar & AR_UNUSABLE,
			    AR_UNUSABLE);
			now.vrs_sregs[i] = rs.vrs_sregs[i];
			same_regs("others", &now, &rs, VM_RWREGS_SREGS);
			/* And back again. */
			client_start_state(GUEST_LONG, &rs);
			rs.vrs_sregs[i].vsi_ar = 0x93;
			CHECK_EQ(write_mask(v, VM_RWREGS_SREGS, &rs), 0);
			get_regs(v, &now);
			CHECK_EQ(now.vrs_sregs[i].vsi_ar, 0x93);
		}
}

/* C3 by RESETCPU. */
static void
unusable_reset(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vcpu_reg_state rs, now;
	int i;

	for (i = VCPU_REGS_DS; i <= VCPU_REGS_LDTR; i++) {
		client_start_state(GUEST_LONG, &rs);
		rs.vrs_sregs[i].vsi_ar = AR_UNUSABLE;
		CHECK_EQ(client_ioc_resetcpu(v->fd, v->id, 0, &rs), 0);
		get_regs(v, &now);
		note("segment %d", i);
		CHECK_EQ(now.vrs_sregs[i].vsi_ar, AR_UNUSABLE);
	}
}

static void
f8_running(void)
{
	struct client_vm *v = new_started(code_spin, sizeof(code_spin), 1);
	struct vcpu_reg_state rs, copy;
	struct bg r;
	uint64_t mask;

	client_start_state(GUEST_REAL, &rs);
	memcpy(&copy, &rs, sizeof(copy));
	bg_start(&r, v, 0);
	for (mask = 0; mask <= VM_RWREGS_ALL; mask++) {
		CHECK_EQ(read_mask(v, mask, &rs), EBUSY);
		CHECK_EQ(memcmp(&rs, &copy, sizeof(rs)), 0);
		CHECK_EQ(write_mask(v, mask, &rs), EBUSY);
	}
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	bg_join(&r);
}

static void
f8_terminated(void)
{
	static const uint8_t hlt[] = { 0xf4 };
	struct client_vm *v = new_started(hlt, sizeof(hlt), 1);
	struct vcpu_reg_state rs;

	CHECK_EQ(client_run(v, NO_IRQ), EIO);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_TERMINATED);
	get_regs(v, &rs);
	CHECK_EQ(rs.vrs_gprs[VCPU_REGS_RSP], GUEST_STACK - 0x10);
	CHECK_EQ(write_mask(v, VM_RWREGS_ALL, &rs), EBUSY);
	CHECK_EQ(write_mask(v, 0, &rs), EBUSY);
}

/* What is written is what runs; what ran is what is read. */
static void
written_runs(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vcpu_reg_state rs, now;
	uint64_t want = fresh();

	memcpy(v->mem + 0x9000, code_out, sizeof(code_out));
	get_regs(v, &rs);
	rs.vrs_gprs[VCPU_REGS_RIP] = 0x9000;
	rs.vrs_gprs[VCPU_REGS_RAX] = want;
	CHECK_EQ(write_mask(v, VM_RWREGS_GPRS, &rs), 0);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
	CHECK_EQ(v->exit.vei.vei_data, (uint32_t)want);
	get_regs(v, &now);
	CHECK_EQ(now.vrs_gprs[VCPU_REGS_RIP], 0x9002);
	rs.vrs_gprs[VCPU_REGS_RIP] = 0x9002;
	same_regs("after RUN", &now, &rs, VM_RWREGS_GPRS);
	same_regs("vrp_exit", &v->exit.vrs, &now, VM_RWREGS_ALL);
}

/* Changes to vrp_exit->vrs are no register writes. */
static void
exit_record_ignored(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vcpu_reg_state now;

	CHECK_EQ(client_run(v, NO_IRQ), 0);
	fresh_regs(&v->exit.vrs);
	v->exit.cpl = 3;
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
	get_regs(v, &now);
	CHECK_EQ(now.vrs_gprs[VCPU_REGS_RIP], GUEST_ENTRY + 2);
	same_regs("vrp_exit", &v->exit.vrs, &now, VM_RWREGS_ALL);
	CHECK_EQ(v->exit.cpl, 0);
}

/* Each VCPU has its own. */
static void
per_vcpu(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 64);
	static struct vcpu_reg_state want[64];
	struct vcpu_reg_state now;
	uint32_t i;

	for (i = 0; i < 64; i++) {
		fresh_regs(&want[i]);
		CHECK_EQ(client_ioc_writeregs(v->fd, v->id, i, VM_RWREGS_ALL,
		    &want[i]), 0);
	}
	for (i = 0; i < 64; i++) {
		memset(&now, 0, sizeof(now));
		CHECK_EQ(client_ioc_readregs(v->fd, v->id, i, VM_RWREGS_ALL,
		    &now), 0);
		same_regs("VCPU", &now, &want[i], VM_RWREGS_ALL);
	}
}

const struct clause ioctl_regs[] = {
	ROW("3.8.gprs", "WRITEREGS: the general registers alone", MATCH,
	    round_trip_gprs),
	ROW("3.8.crs", "WRITEREGS: the control registers alone", FIX,
	    round_trip_crs),
	ROW("3.8.msrs", "WRITEREGS: the MSRs alone", FIX, round_trip_msrs),
	ROW("3.8.drs", "WRITEREGS: the debug registers alone", MATCH,
	    round_trip_drs),
	ROW("3.8.sregs", "WRITEREGS: the segments and tables alone", MATCH,
	    round_trip_sregs),
	ROW("3.8.masks", "WRITEREGS: every set of groups", MATCH, all_masks),
	ROW("3.7.unselected", "READREGS: groups not selected come back as "
	    "given", MATCH, read_unselected),
	ROW("3.7.tables", "GDTR and IDTR: selector and rights do not count",
	    MATCH, table_registers),
	ROW("3.7.mask-0", "mask 0 succeeds and does nothing", MATCH,
	    mask_zero),
	ROW("3.7.mask-unknown", "unknown mask bits are ignored", MATCH,
	    mask_unknown),
	ROW("C3.writeregs", "an unusable segment reads back unusable", FIX,
	    unusable),
	ROW("C3.resetcpu", "RESETCPU keeps a segment unusable", FIX,
	    unusable_reset),
	ROW("F8.running", "READREGS and WRITEREGS of a running VCPU are "
	    "EBUSY", FIX, f8_running),
	ROW("F8.terminated", "a terminated VCPU can be read, not written",
	    FIX, f8_terminated),
	ROW("3.8.runs", "what is written runs, what ran is read", MATCH,
	    written_runs),
	ROW("3.2.vrs-ignored", "changes to vrp_exit->vrs are ignored", MATCH,
	    exit_record_ignored),
	ROW("B1.regs", "each of 64 VCPUs has its own registers", BEYOND,
	    per_vcpu),
	CLAUSE_END
};
