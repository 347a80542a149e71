/* SPDX-License-Identifier: ISC */
/*
 * ioctl_judge.c - see ioctl_judge.h; here general and control registers.
 */
#include <cpuid.h>
#include <stdio.h>

#include "ioctl_judge.h"

static void
put(struct vcpu_reg_state *rs, const struct judge *j, uint64_t value)
{
	memcpy((uint8_t *)rs + j->off, &value, j->len);
}

static uint64_t
get(const struct vcpu_reg_state *rs, const struct judge *j)
{
	uint64_t value = 0;

	memcpy(&value, (const uint8_t *)rs + j->off, j->len);
	return (value);
}

/* The group that a register belongs to. */
static uint64_t
group_of(const struct judge *j)
{
	if (j->off < offsetof(struct vcpu_reg_state, vrs_crs))
		return (VM_RWREGS_GPRS);
	if (j->off < offsetof(struct vcpu_reg_state, vrs_msrs))
		return (VM_RWREGS_CRS);
	if (j->off < offsetof(struct vcpu_reg_state, vrs_drs))
		return (VM_RWREGS_MSRS);
	if (j->off < offsetof(struct vcpu_reg_state, vrs_sregs))
		return (VM_RWREGS_DRS);
	return (VM_RWREGS_SREGS);
}

struct client_vm *
victim(struct vcpu_reg_state *rs)
{
	struct client_vm *v = new_vm(CLIENT_MIB, 1);

	client_start_state(GUEST_LONG, rs);
	rs->vrs_gprs[VCPU_REGS_RBX] = fresh();
	rs->vrs_crs[VCPU_REGS_CR2] = fresh();
	rs->vrs_msrs[VCPU_REGS_STAR] = fresh();
	rs->vrs_drs[VCPU_REGS_DR3] = fresh();
	rs->vrs_sregs[VCPU_REGS_GS].vsi_base = (uint32_t)fresh();
	CHECK_EQ(client_ioc_resetcpu(v->fd, v->id, 0, rs), 0);
	return (v);
}

void
refuse(struct client_vm *v, const struct vcpu_reg_state *good,
    const struct judge *j, bool reset)
{
	struct vcpu_reg_state bad, now;
	uint64_t mask = group_of(j);
	char what[80];

	snprintf(what, sizeof(what), "%s = 0x%llx", j->what,
	    (unsigned long long)j->value);
	memcpy(&bad, good, sizeof(bad));
	bad.vrs_gprs[VCPU_REGS_RCX] = fresh();
	bad.vrs_crs[VCPU_REGS_CR2] = fresh();
	bad.vrs_msrs[VCPU_REGS_CSTAR] = 0x1000;
	bad.vrs_drs[VCPU_REGS_DR0] = fresh();
	bad.vrs_sregs[VCPU_REGS_ES].vsi_sel = 0x18;
	put(&bad, j, j->value);
	EXPECT(what, client_ioc_writeregs(v->fd, v->id, 0, mask, &bad),
	    EINVAL);
	EXPECT(what, client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_ALL,
	    &bad), EINVAL);
	if (reset)
		EXPECT(what, client_ioc_resetcpu(v->fd, v->id, 0, &bad), EIO);
	get_regs(v, &now);
	same_regs(what, &now, good, VM_RWREGS_ALL);
	EXPECT(what, vcpu_state(v->id, 0), VCPU_STATE_STOPPED);
	/* Unselected it does not matter. */
	EXPECT(what, client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_ALL &
	    ~mask, good), 0);
}

void
refuse_all(const struct judge *j, size_t n)
{
	struct vcpu_reg_state good;
	struct client_vm *v = victim(&good);

	for (; n > 0; n--, j++)
		refuse(v, &good, j, true);
}

void
accept_all(const struct judge *j, size_t n)
{
	struct vcpu_reg_state good, rs, now;
	struct client_vm *v = victim(&good);
	char what[80];

	for (; n > 0; n--, j++) {
		snprintf(what, sizeof(what), "%s = 0x%llx", j->what,
		    (unsigned long long)j->value);
		memcpy(&rs, &good, sizeof(rs));
		put(&rs, j, j->value);
		EXPECT(what, client_ioc_writeregs(v->fd, v->id, 0,
		    group_of(j), &rs), 0);
		get_regs(v, &now);
		EXPECT(what, get(&now, j), j->reads);
		put(&now, j, get(&good, j));
		same_regs(what, &now, &good, VM_RWREGS_ALL);
		EXPECT(what, client_ioc_writeregs(v->fd, v->id, 0,
		    VM_RWREGS_ALL, &good), 0);
	}
}

/* --- GPRS --- */

static void
gprs(void)
{
	static const struct judge bad[] = {
		{ "RIP", GPR(RIP), HOLE_START, 0 },
		{ "RIP", GPR(RIP), HOLE_LAST, 0 },
		{ "RIP", GPR(RIP), 1UL << 63, 0 },
		{ "RFLAGS bit 3", GPR(RFLAGS), 0x2 | 1 << 3, 0 },
		{ "RFLAGS bit 5", GPR(RFLAGS), 0x2 | 1 << 5, 0 },
		{ "RFLAGS bit 15", GPR(RFLAGS), 0x2 | 1 << 15, 0 },
		{ "RFLAGS bit 22", GPR(RFLAGS), 0x2 | 1 << 22, 0 },
		{ "RFLAGS bit 32", GPR(RFLAGS), 0x2 | 1UL << 32, 0 },
		{ "RFLAGS bit 63", GPR(RFLAGS), 0x2 | 1UL << 63, 0 },
	};
	static const struct judge fine[] = {
		{ "RIP", GPR(RIP), LOW_END, LOW_END },
		{ "RIP", GPR(RIP), HIGH_START, HIGH_START },
		{ "RIP", GPR(RIP), ~0UL, ~0UL },
		{ "RSP", GPR(RSP), HOLE_START, HOLE_START },
		{ "RAX", GPR(RAX), ~0UL, ~0UL },
		{ "RFLAGS all", GPR(RFLAGS), 0x3f7fd7, 0x3f7fd7 },
		{ "RFLAGS none", GPR(RFLAGS), 0, 2 },
	};

	refuse_all(bad, NELEM(bad));
	accept_all(fine, NELEM(fine));
}

/* --- CRS --- */

static void
cr0(void)
{
	struct judge bad = { "CR0", CR(CR0), 0, 0 };
	static const struct judge fine[] = {
		{ "CR0 none", CR(CR0), 0, 0x10 },
		{ "CR0 PE", CR(CR0), 0x11, 0x11 },
		{ "CR0 NE", CR(CR0), 0x30, 0x30 },
		{ "CR0 PG without PE", CR(CR0), 0x80000010, 0x80000010 },
		{ "CR0 NW without CD", CR(CR0), 0x20000010, 0x20000010 },
		{ "CR0 CD", CR(CR0), 0x40000010, 0x40000010 },
		{ "CR0 all", CR(CR0), 0xe005003f, 0xe005003f },
	};
	struct vcpu_reg_state good;
	struct client_vm *v = victim(&good);
	int bit;

	for (bit = 6; bit < 64; bit++) {
		if (0xe005003f >> bit & 1 && bit < 32)
			continue;
		bad.value = 0x80000031 | 1UL << bit;
		refuse(v, &good, &bad, true);
	}
	accept_all(fine, NELEM(fine));
}

/* The width of a physical address of this CPU. */
static unsigned int
phys_bits(void)
{
	unsigned int a = 36, b, c, d;

	(void)__get_cpuid(0x80000008, &a, &b, &c, &d);
	return (a & 0xff);
}

static void
cr3(void)
{
	struct judge bad = { "CR3", CR(CR3), 0, 0 };
	struct judge fine = { "CR3", CR(CR3), 0, 0 };
	struct vcpu_reg_state good;
	struct client_vm *v = victim(&good);
	unsigned int bit;

	for (bit = phys_bits(); bit < 64; bit++) {
		bad.value = 0x1000 | 1UL << bit;
		refuse(v, &good, &bad, true);
	}
	for (bit = 12; bit < phys_bits(); bit++) {
		fine.value = fine.reads = 1UL << bit;
		if (bit == 12 || bit > phys_bits() - 3)
			accept_all(&fine, 1);
	}
	fine.value = fine.reads = 0x1018;		/* PCD, PWT */
	accept_all(&fine, 1);
}

/* CR4 bits that no guest here has, whatever the host can. */
static void
cr4(void)
{
	static const uint8_t never[] = {
		6 /* MCE */, 12 /* LA57 */, 14 /* SMXE */, 15, 17 /* PCIDE */,
		19 /* KL */, 22 /* PKE */, 23 /* CET */, 24 /* PKS */, 25, 31,
		32, 63,
	};
	struct judge bad = { "CR4", CR(CR4), 0, 0 };
	static const struct judge fine[] = {
		{ "CR4 none", CR(CR4), 0, 0 },
		{ "CR4 PAE", CR(CR4), 0x20, 0x20 },
		{ "CR4 TSD DE PSE", CR(CR4), 0x3c, 0x3c },
		{ "CR4 PGE", CR(CR4), 0xa0, 0xa0 },
		{ "CR4 PCE", CR(CR4), 0x120, 0x120 },
		{ "CR4 OSFXSR OSXMMEXCPT", CR(CR4), 0x620, 0x620 },
	};
	struct vcpu_reg_state good;
	struct client_vm *v = victim(&good);
	size_t i;

	for (i = 0; i < NELEM(never); i++) {
		bad.value = 0x20 | 1UL << never[i];
		refuse(v, &good, &bad, true);
	}
	accept_all(fine, NELEM(fine));
}

/* CR4 bits whose feature this CPU may or may not have. */
static void
cr4_features(void)
{
	unsigned int one[4] = { 0 }, seven[4] = { 0 };
	struct judge j = { "CR4", CR(CR4), 0, 0 };
	struct vcpu_reg_state good;
	struct client_vm *v = victim(&good);
	size_t i;

	(void)__get_cpuid(1, &one[0], &one[1], &one[2], &one[3]);
	(void)__get_cpuid_count(7, 0, &seven[0], &seven[1], &seven[2],
	    &seven[3]);
	const struct {
		uint8_t	bit;
		bool	has;
	} rows[] = {
		{ 0, one[3] & 1 << 1 },			/* VME */
		{ 1, one[3] & 1 << 1 },			/* PVI */
		{ 16, seven[1] & 1 << 0 },		/* FSGSBASE */
		{ 18, one[2] & 1 << 27 },		/* OSXSAVE */
		{ 20, seven[1] & 1 << 7 },		/* SMEP */
		{ 21, seven[1] & 1 << 20 },		/* SMAP */
	};
	for (i = 0; i < NELEM(rows); i++) {
		j.value = j.reads = 0x20 | 1UL << rows[i].bit;
		if (rows[i].has)
			accept_all(&j, 1);
		else
			refuse(v, &good, &j, true);
	}
}

static void
cr8(void)
{
	static const struct judge bad[] = {
		{ "CR8", CR(CR8), 16, 0 },
		{ "CR8", CR(CR8), 0xff, 0 },
		{ "CR8", CR(CR8), 1UL << 32, 0 },
		{ "CR8", CR(CR8), ~0UL, 0 },
	};
	struct judge fine = { "CR8", CR(CR8), 0, 0 };

	refuse_all(bad, NELEM(bad));
	for (fine.value = 0; fine.value <= 15; fine.value += 3) {
		fine.reads = fine.value;
		accept_all(&fine, 1);
	}
}

static void
cr2_pdptes(void)
{
	static const struct judge fine[] = {
		{ "CR2", CR(CR2), HOLE_START, HOLE_START },
		{ "CR2", CR(CR2), ~0UL, ~0UL },
		{ "PDPTE0", CR(PDPTE0), 0x5001, 0x5001 },
		{ "PDPTE1", CR(PDPTE1), 0x6001, 0x6001 },
		{ "PDPTE2", CR(PDPTE2), 0x7019, 0x7019 },
		{ "PDPTE3", CR(PDPTE3), 0, 0 },
	};

	accept_all(fine, NELEM(fine));
}

/* XCR0: x87 always, AVX only with SSE, nothing else. */
static void
xcr0(void)
{
	unsigned int a = 0, b, c = 0, d = 0;
	bool xsave, avx;
	struct judge j = { "XCR0", CR(XCR0), 0, 0 };
	struct vcpu_reg_state good;
	struct client_vm *v = victim(&good);
	uint64_t value;
	int bit;

	(void)__get_cpuid(1, &a, &b, &c, &d);
	xsave = (c & 1 << 27) != 0;
	a = 0;
	(void)__get_cpuid_count(13, 0, &a, &b, &c, &d);
	avx = xsave && (a & 4) != 0;
	if (!xsave)
		SKIP("the host does not use XSAVE");
	for (value = 0; value < 8; value++) {
		j.value = j.reads = value;
		if (value == 1 || value == 3 || (value == 7 && avx))
			accept_all(&j, 1);
		else		/* RESETCPU replaces it, and does not look */
			refuse(v, &good, &j, false);
	}
	for (bit = 3; bit < 64; bit++) {
		j.value = 7 | 1UL << bit;
		refuse(v, &good, &j, false);
	}
}

const struct clause ioctl_judge[] = {
	ROW("F11.gprs", "RIP is canonical, RFLAGS has no reserved bit", FIX,
	    gprs),
	ROW("F11.cr0", "CR0 has no reserved bit; ET is supplied", FIX, cr0),
	ROW("F11.cr3", "CR3 is a physical address", FIX, cr3),
	ROW("F11.cr4", "CR4 has no bit of a feature that guests lack", FIX,
	    cr4),
	ROW("F11.cr4-features", "CR4 has the bits of features guests have",
	    FIX, cr4_features),
	ROW("F28.cr8", "CR8 is 0 to 15 and reads back", FIX, cr8),
	ROW("F11.cr2-pdptes", "CR2 and the PDPTEs take any value", FIX,
	    cr2_pdptes),
	ROW("F11.xcr0", "XCR0 is what XSETBV would take", FIX, xcr0),
	CLAUSE_END
};
