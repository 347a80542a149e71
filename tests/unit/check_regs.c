/* SPDX-License-Identifier: ISC */
/*
 * check_regs.c - register groups, and what may be written to them (F11).
 */
#include "leaf.h"

#define FIELD(f)	((struct vcpu_reg_state *)0)->f
#define RS(f)		offsetof(struct vcpu_reg_state, f), sizeof(FIELD(f))
#define GPR(n)		RS(vrs_gprs[VCPU_REGS_##n])
#define CR(n)		RS(vrs_crs[VCPU_REGS_##n])
#define MSR(n)		RS(vrs_msrs[VCPU_REGS_##n])
#define DR(n)		RS(vrs_drs[VCPU_REGS_##n])
#define BASE(n)		RS(vrs_sregs[VCPU_REGS_##n].vsi_base)
#define AR(n)		RS(vrs_sregs[VCPU_REGS_##n].vsi_ar)

#define GPRS		VM_RWREGS_GPRS
#define SREGS		VM_RWREGS_SREGS
#define CRS		VM_RWREGS_CRS
#define MSRS		VM_RWREGS_MSRS
#define DRS		VM_RWREGS_DRS

#define LAST_LOW	0x00007fffffffffffULL
#define FIRST_BAD	0x0000800000000000ULL
#define LAST_BAD	0xffff7fffffffffffULL
#define FIRST_HIGH	0xffff800000000000ULL

#define PHYS_BITS	48

/* One field in an otherwise good state, judged alone. */
static const struct {
	uint64_t	mask;
	size_t		off, size;
	uint64_t	value;
	int		error;
} single[] = {
	{ GPRS, GPR(RAX), ~0ULL, 0 },
	{ GPRS, GPR(RSP), FIRST_BAD, 0 },
	{ GPRS, GPR(RIP), LAST_LOW, 0 },
	{ GPRS, GPR(RIP), FIRST_BAD, EINVAL },
	{ GPRS, GPR(RIP), LAST_BAD, EINVAL },
	{ GPRS, GPR(RIP), FIRST_HIGH, 0 },
	{ GPRS, GPR(RFLAGS), 0, 0 },
	{ GPRS, GPR(RFLAGS), 0x3f7fd7, 0 },
	{ GPRS, GPR(RFLAGS), 0x8, EINVAL },
	{ GPRS, GPR(RFLAGS), 0x20, EINVAL },
	{ GPRS, GPR(RFLAGS), 0x8000, EINVAL },
	{ GPRS, GPR(RFLAGS), 0x400000, EINVAL },
	{ GPRS, GPR(RFLAGS), 1ULL << 63, EINVAL },

	{ CRS, CR(CR0), 0, 0 },
	{ CRS, CR(CR0), 0xe005003f, 0 },
	{ CRS, CR(CR0), 0x60000010, 0 },
	{ CRS, CR(CR0), 0x40, EINVAL },
	{ CRS, CR(CR0), 0x20000, EINVAL },
	{ CRS, CR(CR0), 1ULL << 32, EINVAL },
	{ CRS, CR(CR2), ~0ULL, 0 },
	{ CRS, CR(CR3), (1ULL << PHYS_BITS) - 1, 0 },
	{ CRS, CR(CR3), 1ULL << PHYS_BITS, EINVAL },
	{ CRS, CR(CR3), 1ULL << 63, EINVAL },
	{ CRS, CR(CR4), 0, 0 },
	{ CRS, CR(CR4), 0x00350fbf, 0 },
	{ CRS, CR(CR4), CR4_MCE, EINVAL },
	{ CRS, CR(CR4), CR4_LA57, EINVAL },
	{ CRS, CR(CR4), CR4_VMXE, 0 },
	{ CRS, CR(CR4), 1 << 14, EINVAL },
	{ CRS, CR(CR4), CR4_PCIDE, EINVAL },
	{ CRS, CR(CR4), CR4_PKE, EINVAL },
	{ CRS, CR(CR4), 1 << 23, EINVAL },
	{ CRS, CR(CR4), 1ULL << 32, EINVAL },
	{ CRS, CR(CR8), 15, 0 },
	{ CRS, CR(CR8), 16, EINVAL },
	{ CRS, CR(XCR0), 0, EINVAL },
	{ CRS, CR(XCR0), 1, 0 },
	{ CRS, CR(XCR0), 2, EINVAL },
	{ CRS, CR(XCR0), 3, 0 },
	{ CRS, CR(XCR0), 5, EINVAL },
	{ CRS, CR(XCR0), 7, 0 },
	{ CRS, CR(XCR0), 0xf, EINVAL },
	{ CRS, CR(XCR0), 1ULL << 63 | 1, EINVAL },
	{ CRS, CR(PDPTE0), ~0ULL, 0 },

	{ MSRS, MSR(EFER), 0, 0 },
	{ MSRS, MSR(EFER), 0x4d01, 0 },
	{ MSRS, MSR(EFER), EFER_SVME, 0 },
	{ MSRS, MSR(EFER), 0x2, EINVAL },
	{ MSRS, MSR(EFER), 0x200, EINVAL },
	{ MSRS, MSR(EFER), 0x2000, EINVAL },
	{ MSRS, MSR(EFER), 0x8000, EINVAL },
	{ MSRS, MSR(EFER), 1ULL << 63, EINVAL },
	{ MSRS, MSR(STAR), ~0ULL, 0 },
	{ MSRS, MSR(LSTAR), FIRST_HIGH, 0 },
	{ MSRS, MSR(LSTAR), FIRST_BAD, EINVAL },
	{ MSRS, MSR(CSTAR), LAST_LOW, 0 },
	{ MSRS, MSR(CSTAR), LAST_BAD, EINVAL },
	{ MSRS, MSR(KGSBASE), FIRST_HIGH, 0 },
	{ MSRS, MSR(KGSBASE), FIRST_BAD, EINVAL },
	{ MSRS, MSR(SFMASK), 0xffffffff, 0 },
	{ MSRS, MSR(SFMASK), 1ULL << 32, EINVAL },
	{ MSRS, MSR(MISC_ENABLE), ~0ULL, 0 },

	{ DRS, DR(DR0), ~0ULL, 0 },
	{ DRS, DR(DR3), FIRST_BAD, 0 },
	{ DRS, DR(DR6), 0xffffffff, 0 },
	{ DRS, DR(DR6), 1ULL << 32, EINVAL },
	{ DRS, DR(DR7), 0xffffffff, 0 },
	{ DRS, DR(DR7), 1ULL << 32, EINVAL },

	{ SREGS, BASE(CS), 0xffffffff, 0 },
	{ SREGS, BASE(CS), 1ULL << 32, EINVAL },
	{ SREGS, BASE(SS), 1ULL << 32, EINVAL },
	{ SREGS, BASE(DS), 1ULL << 32, EINVAL },
	{ SREGS, BASE(ES), 1ULL << 32, EINVAL },
	{ SREGS, BASE(FS), FIRST_HIGH, 0 },
	{ SREGS, BASE(FS), FIRST_BAD, EINVAL },
	{ SREGS, BASE(GS), LAST_LOW, 0 },
	{ SREGS, BASE(GS), LAST_BAD, EINVAL },
	{ SREGS, BASE(LDTR), FIRST_HIGH, 0 },
	{ SREGS, BASE(LDTR), FIRST_BAD, EINVAL },
	{ SREGS, BASE(TR), FIRST_HIGH, 0 },
	{ SREGS, BASE(TR), LAST_BAD, EINVAL },
	{ SREGS, AR(DS), 0xf0ff, 0 },
	{ SREGS, AR(DS), 0x193, EINVAL },
	{ SREGS, AR(DS), 0x893, EINVAL },
	{ SREGS, AR(DS), 0x20093, EINVAL },
	{ SREGS, AR(DS), 0xffffffff, 0 },
	{ SREGS, AR(DS), SEG_UNUSABLE, 0 },
	{ SREGS, RS(vrs_sregs[VCPU_REGS_CS].vsi_limit), 0xffffffff, 0 },
	{ SREGS, RS(vrs_gdtr.vsi_limit), 0xffff, 0 },
	{ SREGS, RS(vrs_gdtr.vsi_limit), 0x10000, EINVAL },
	{ SREGS, RS(vrs_gdtr.vsi_base), FIRST_HIGH, 0 },
	{ SREGS, RS(vrs_gdtr.vsi_base), FIRST_BAD, EINVAL },
	{ SREGS, RS(vrs_gdtr.vsi_ar), 0xffffffff, 0 },
	{ SREGS, RS(vrs_idtr.vsi_limit), 0xffff, 0 },
	{ SREGS, RS(vrs_idtr.vsi_limit), 0x10000, EINVAL },
	{ SREGS, RS(vrs_idtr.vsi_base), LAST_BAD, EINVAL },
	{ SREGS, RS(vrs_idtr.vsi_sel), 0xffff, 0 },
};

START_TEST(f11_single)
{
	struct vcpu_reg_state rs;
	size_t i = (size_t)_i;
	uint64_t mask = single[i].mask;

	unit_real(&rs);
	memcpy((char *)&rs + single[i].off, &single[i].value, single[i].size);
	ck_assert_int_eq(regs_check(mask, &rs), single[i].error);
	/* Nobody looks at a group that is not asked for. */
	ck_assert_int_eq(regs_check(VM_RWREGS_ALL & ~mask, &rs), 0);
	ck_assert_int_eq(regs_check(0, &rs), 0);
	ck_assert_int_eq(regs_write(&leaf.v, mask, &rs), single[i].error);
	ck_assert_uint_eq(leaf.set_mask != 0, single[i].error == 0 &&
	    (mask & (SREGS | CRS | MSRS)) != 0);
}
END_TEST

/* Combinations: up to three fields of a state, and RESETCPU's answer. */
struct edit {
	size_t		off, size;
	uint64_t	value;
};

#define LONG_STATE	true
#define REAL_STATE	false

static const struct {
	bool		base;
	struct edit	edit[4];
	int		error;
} combined[] = {
	{ REAL_STATE, { { 0 } }, 0 },
	{ LONG_STATE, { { 0 } }, 0 },
	/* protected mode with and without paging (F22) */
	{ REAL_STATE, { { CR(CR0), 0x11 } }, 0 },
	{ REAL_STATE, { { CR(CR0), 0x80000011 } }, 0 },
	{ REAL_STATE, { { CR(CR0), 0x80000010 } }, EIO },
	{ REAL_STATE, { { CR(CR0), 0x60000010 } }, 0 },
	{ REAL_STATE, { { CR(CR0), 0x40000010 } }, 0 },
	{ REAL_STATE, { { CR(CR0), 0x20000010 } }, EIO },
	/* XCR0 is replaced, everything else is judged alone first */
	{ REAL_STATE, { { CR(XCR0), ~0ULL } }, 0 },
	{ REAL_STATE, { { CR(CR8), 16 } }, EIO },
	{ REAL_STATE, { { GPR(RFLAGS), 8 } }, EIO },
	{ REAL_STATE, { { MSR(EFER), 2 } }, EIO },
	{ REAL_STATE, { { DR(DR7), 1ULL << 32 } }, EIO },
	{ REAL_STATE, { { AR(SS), 0x193 } }, EIO },
	/* long mode: LMA is LME and PG; hv->check() wants the rest */
	{ REAL_STATE, { { MSR(EFER), EFER_LME } }, 0 },
	{ REAL_STATE, { { MSR(EFER), EFER_LMA } }, EIO },
	{ REAL_STATE, { { MSR(EFER), EFER_LME | EFER_LMA } }, EIO },
	{ LONG_STATE, { { MSR(EFER), EFER_LME } }, EIO },
	{ LONG_STATE, { { MSR(EFER), EFER_LMA } }, EIO },
	{ LONG_STATE, { { MSR(EFER), 0xd01 } }, 0 },
	{ LONG_STATE, { { AR(CS), 0xc09b } }, 0 },
	{ REAL_STATE, { { AR(CS), 0xe09b } }, 0 },
	/* RIP has 32 bits outside 64-bit mode */
	{ LONG_STATE, { { GPR(RIP), FIRST_HIGH } }, 0 },
	{ LONG_STATE, { { GPR(RIP), 1ULL << 32 }, { AR(CS), 0xc09b } }, EIO },
	{ REAL_STATE, { { GPR(RIP), 0xffffffff } }, 0 },
	{ REAL_STATE, { { GPR(RIP), 1ULL << 32 } }, EIO },
	/* virtual-8086 mode */
	{ REAL_STATE, { { GPR(RFLAGS), RFLAGS_VM } }, EIO },
	{ REAL_STATE, { { GPR(RFLAGS), RFLAGS_VM }, { CR(CR0), 0x11 } }, 0 },
	{ LONG_STATE, { { GPR(RFLAGS), RFLAGS_VM } }, EIO },
	/* PDPTEs count in PAE mode only */
	{ REAL_STATE, { { CR(CR0), 0x80000011 }, { CR(CR4), 0x20 },
	    { CR(PDPTE0), 0x1001 }, { CR(PDPTE3), 0x2019 } }, 0 },
	{ REAL_STATE, { { CR(CR0), 0x80000011 }, { CR(CR4), 0x20 },
	    { CR(PDPTE1), ~1ULL } }, 0 },
	{ REAL_STATE, { { CR(CR0), 0x80000011 }, { CR(CR4), 0x20 },
	    { CR(PDPTE3), 0x1003 } }, EIO },
	{ REAL_STATE, { { CR(CR0), 0x80000011 }, { CR(CR4), 0x20 },
	    { CR(PDPTE0), 0x1101 } }, EIO },
	{ REAL_STATE, { { CR(CR0), 0x80000011 }, { CR(CR4), 0x20 },
	    { CR(PDPTE2), 1ULL << PHYS_BITS | 1 } }, EIO },
	{ REAL_STATE, { { CR(CR0), 0x80000011 },
	    { CR(PDPTE2), 0x1003 } }, 0 },
	{ LONG_STATE, { { CR(PDPTE2), 0x1003 } }, 0 },
};

/* As RESETCPU asks: each register alone, with an XCR0 of its own, then all. */
static int
judge(struct vcpu_reg_state *rs)
{
	rs->vrs_crs[VCPU_REGS_XCR0] = fpu_xcr0 & XCR0_X87;
	return (regs_check(VM_RWREGS_ALL, rs) != 0 ? EIO :
	    regs_check_state(rs));
}

START_TEST(f5_combined)
{
	const struct edit *e = combined[_i].edit;
	struct vcpu_reg_state rs;
	int n;

	if (combined[_i].base == LONG_STATE)
		unit_long(&rs);
	else
		unit_real(&rs);
	for (n = 0; n < 4 && e[n].size != 0; n++)
		memcpy((char *)&rs + e[n].off, &e[n].value, e[n].size);
	ck_assert_int_eq(judge(&rs), combined[_i].error);
}
END_TEST

START_TEST(f11_cr_check_is_asked)
{
	struct vcpu_reg_state rs;

	unit_real(&rs);
	rs.vrs_crs[VCPU_REGS_CR4] = CR4_PGE;
	ck_assert_int_eq(regs_check(CRS, &rs), 0);
	leaf.bad_cr4 = CR4_PGE;
	ck_assert_int_eq(regs_check(CRS, &rs), EINVAL);
	/* The CPU is not asked about a bit that the host owns. */
	rs.vrs_crs[VCPU_REGS_CR4] = CR4_VMXE;
	leaf.bad_cr4 = CR4_VMXE;
	ck_assert_int_eq(regs_check(CRS, &rs), 0);
}
END_TEST

/* Every byte different, then made legal where a register is judged. */
static void
patterned(struct vcpu_reg_state *rs)
{
	struct vcpu_reg_state good;
	uint8_t *p = (uint8_t *)rs;
	uint64_t *x;
	size_t i;

	for (i = 0; i < sizeof(*rs); i++)
		p[i] = (uint8_t)(i * 7 + 1);
	unit_real(&good);
	rs->vrs_gprs[VCPU_REGS_RIP] = 0x123456;
	rs->vrs_gprs[VCPU_REGS_RFLAGS] = 0x246;
	x = rs->vrs_crs;
	x[VCPU_REGS_CR0] = 0x60000010;
	x[VCPU_REGS_CR3] = 0x123456789000;
	x[VCPU_REGS_CR4] = 0x350;
	x[VCPU_REGS_CR4] &= ~CR4_MCE;
	x[VCPU_REGS_CR8] = 9;
	x[VCPU_REGS_XCR0] = 3;
	x = rs->vrs_msrs;
	x[VCPU_REGS_EFER] = 0xd01;
	x[VCPU_REGS_LSTAR] = FIRST_HIGH + 0x11;
	x[VCPU_REGS_CSTAR] = 0x22;
	x[VCPU_REGS_SFMASK] = 0x33;
	x[VCPU_REGS_KGSBASE] = LAST_LOW - 0x44;
	rs->vrs_drs[VCPU_REGS_DR6] = 0xffff4ff1;
	rs->vrs_drs[VCPU_REGS_DR7] = 0x1234200f | 0x400;
	memcpy(rs->vrs_sregs, good.vrs_sregs, sizeof(rs->vrs_sregs));
	for (i = 0; i < VCPU_REGS_NSREGS; i++) {
		rs->vrs_sregs[i].vsi_base = 0x1000 * (i + 1);
		rs->vrs_sregs[i].vsi_sel = (uint16_t)(8 * (i + 1));
	}
	rs->vrs_gdtr = good.vrs_gdtr;
	rs->vrs_idtr = good.vrs_idtr;
}

/* What is written comes back, and no group touches another. */
START_TEST(round_trip)
{
	struct vcpu_reg_state in, out, before;
	uint64_t mask = (uint64_t)_i;

	patterned(&in);
	ck_assert_int_eq(regs_write(&leaf.v, VM_RWREGS_ALL, &in), 0);
	memset(&before, 0x5a, sizeof(before));
	out = before;
	regs_read(&leaf.v, mask, &out);
#define SAME(group, field) \
	ck_assert_int_eq(memcmp(out.field, (mask & (group)) != 0 ? \
	    in.field : before.field, sizeof(out.field)), 0)
	SAME(GPRS, vrs_gprs);
	SAME(CRS, vrs_crs);
	SAME(MSRS, vrs_msrs);
	SAME(DRS, vrs_drs);
	SAME(SREGS, vrs_sregs);
#undef SAME
	ck_assert_uint_eq(leaf.get_mask & ~mask, 0);
}
END_TEST

START_TEST(f11_hidden_and_supplied)
{
	struct vcpu_reg_state rs;

	unit_real(&rs);
	rs.vrs_gprs[VCPU_REGS_RFLAGS] = 0;
	rs.vrs_crs[VCPU_REGS_CR0] = 0;
	rs.vrs_crs[VCPU_REGS_CR4] = CR4_VMXE | CR4_PAE;
	rs.vrs_msrs[VCPU_REGS_EFER] = EFER_SVME | EFER_SCE;
	rs.vrs_drs[VCPU_REGS_DR6] = 0;
	rs.vrs_drs[VCPU_REGS_DR7] = 0xdc00;
	ck_assert_int_eq(regs_write(&leaf.v, VM_RWREGS_ALL, &rs), 0);
	memset(&rs, 0, sizeof(rs));
	regs_read(&leaf.v, VM_RWREGS_ALL, &rs);
	ck_assert_uint_eq(rs.vrs_gprs[VCPU_REGS_RFLAGS], 2);
	ck_assert_uint_eq(rs.vrs_crs[VCPU_REGS_CR0], CR0_ET);
	ck_assert_uint_eq(rs.vrs_crs[VCPU_REGS_CR4], CR4_PAE);
	ck_assert_uint_eq(rs.vrs_msrs[VCPU_REGS_EFER], EFER_SCE);
	ck_assert_uint_eq(rs.vrs_drs[VCPU_REGS_DR6], 0xffff0ff0);
	ck_assert_uint_eq(rs.vrs_drs[VCPU_REGS_DR7], 0x400);
}
END_TEST

START_TEST(f11_stores_not_ors)
{
	struct vcpu_reg_state rs;

	unit_real(&rs);
	rs.vrs_msrs[VCPU_REGS_EFER] = 0xd01;
	ck_assert_int_eq(regs_write(&leaf.v, MSRS, &rs), 0);
	rs.vrs_msrs[VCPU_REGS_EFER] = 0x100;
	ck_assert_int_eq(regs_write(&leaf.v, MSRS, &rs), 0);
	ck_assert_uint_eq(leaf.v.efer, 0x100);
}
END_TEST

/* What the vendor and the next entry have to be told. */
START_TEST(consequences)
{
	static const struct {
		uint64_t	mask;
		unsigned int	dirty, flushes;
	} row[] = {
		{ 0, 0, 0 },
		{ GPRS, 0, 0 },
		{ SREGS, 0, 0 },
		{ CRS, DIRTY_CR, 1 },
		{ MSRS, DIRTY_CR, 1 },
		{ DRS, DIRTY_DR, 0 },
		{ ~(uint64_t)VM_RWREGS_ALL, 0, 0 },
	};
	struct vcpu_reg_state rs;
	size_t i;

	unit_real(&rs);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		leaf.v.dirty = 0;
		leaf.flushes = 0;
		leaf.v.in_pending = 2;
		ck_assert_int_eq(regs_write(&leaf.v, row[i].mask, &rs), 0);
		ck_assert_uint_eq(leaf.v.dirty, row[i].dirty);
		ck_assert_uint_eq(leaf.flushes, row[i].flushes);
		/* F7: new GPRs answer the IN themselves. */
		ck_assert_uint_eq(leaf.v.in_pending,
		    row[i].mask == GPRS ? 0 : 2);
	}
}
END_TEST

/* An error changes nothing, wherever in the state it is. */
START_TEST(f11_all_or_nothing)
{
	struct vcpu_reg_state rs, before, after;

	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
	patterned(&rs);
	ck_assert_int_eq(regs_write(&leaf.v, VM_RWREGS_ALL, &rs), 0);
	regs_read(&leaf.v, VM_RWREGS_ALL, &before);
	leaf.v.dirty = 0;
	unit_real(&rs);
	rs.vrs_msrs[VCPU_REGS_EFER] = 2;
	ck_assert_int_eq(regs_write(&leaf.v, VM_RWREGS_ALL, &rs), EINVAL);
	regs_read(&leaf.v, VM_RWREGS_ALL, &after);
	ck_assert_int_eq(memcmp(&before, &after, sizeof(before)), 0);
	ck_assert_uint_eq(leaf.v.dirty, 0);
}
END_TEST

START_TEST(f14_cr4_follows_cpuid)
{
	static const struct {
		uint32_t	leaf;
		int		reg, bit;
		uint64_t	cr4;
	} row[] = {
		{ 1, 3, 1, CR4_VME | CR4_PVI },
		{ 1, 3, 2, CR4_DE },
		{ 1, 3, 3, CR4_PSE },
		{ 1, 3, 4, CR4_TSD },
		{ 1, 3, 6, CR4_PAE },
		{ 1, 3, 13, CR4_PGE },
		{ 1, 3, 24, CR4_OSFXSR },
		{ 1, 3, 25, CR4_OSXMMEXCPT },
		{ 1, 2, 26, CR4_OSXSAVE },
		{ 7, 1, 0, CR4_FSGSBASE },
		{ 7, 1, 7, CR4_SMEP },
		{ 7, 1, 20, CR4_SMAP },
		{ 7, 2, 2, CR4_UMIP },
	};
	uint64_t all = regs_cr4_allowed();
	uint32_t r[4], without[4];
	size_t i;

	ck_assert_uint_eq(all, 0x00350fbf);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		fake_cpuid_get(row[i].leaf, 0, r);
		memcpy(without, r, sizeof(r));
		without[row[i].reg] &= ~(1U << row[i].bit);
		fake_cpuid_set(row[i].leaf, 0, without[0], without[1],
		    without[2], without[3]);
		leaf_attach();
		ck_assert_uint_eq(regs_cr4_allowed(), all & ~row[i].cr4);
		fake_cpuid_set(row[i].leaf, 0, r[0], r[1], r[2], r[3]);
	}
	fake_cpuid_set(1, 0, 0, 0, 0, 0);
	fake_cpuid_set(7, 0, 0, 0, 0, 0);
	leaf_attach();
	ck_assert_uint_eq(regs_cr4_allowed(), CR4_PCE);
}
END_TEST

START_TEST(efer_follows_cpuid)
{
	ck_assert_uint_eq(regs_efer_allowed(), 0x4d01);
	fake_cpuid_set(0x80000001, 0, 0, 0, 0, 0x20000800);
	leaf_attach();
	ck_assert_uint_eq(regs_efer_allowed(), 0x501);
}
END_TEST

START_TEST(xcr0_without_xsave)
{
	struct vcpu_reg_state rs;

	ck_assert_uint_eq(fpu_xcr0, 7);
	fake_no_xsave();
	leaf_attach();
	ck_assert_uint_eq(fpu_xcr0, 0);
	ck_assert(regs_xcr0_valid(0));
	ck_assert(regs_xcr0_valid(1));
	ck_assert(!regs_xcr0_valid(2));
	ck_assert(!regs_xcr0_valid(3));
	unit_real(&rs);
	rs.vrs_crs[VCPU_REGS_XCR0] = 0;
	ck_assert_int_eq(regs_check(CRS, &rs), 0);
	ck_assert_int_eq(judge(&rs), 0);
}
END_TEST

START_TEST(pat)
{
	uint64_t type;
	int byte;

	ck_assert(regs_pat_valid(PAT_RESET));
	ck_assert(regs_pat_valid(0x0706050401000706));
	for (byte = 0; byte < 8; byte++)
		for (type = 0; type < 256; type++)
			ck_assert_int_eq(regs_pat_valid(type << 8 * byte),
			    type < 8 && type != 2 && type != 3);
}
END_TEST

START_TEST(canonical)
{
	ck_assert(regs_canonical(0));
	ck_assert(regs_canonical(LAST_LOW));
	ck_assert(!regs_canonical(FIRST_BAD));
	ck_assert(!regs_canonical(LAST_BAD));
	ck_assert(regs_canonical(FIRST_HIGH));
	ck_assert(regs_canonical(~0ULL));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("regs");
	TCase *tc = leaf_case(s, "regs");

	tcase_add_loop_test(tc, f11_single, 0,
	    sizeof(single) / sizeof(single[0]));
	tcase_add_loop_test(tc, f5_combined, 0,
	    sizeof(combined) / sizeof(combined[0]));
	tcase_add_loop_test(tc, round_trip, 0, VM_RWREGS_ALL + 1);
	tcase_add_test(tc, f11_cr_check_is_asked);
	tcase_add_test(tc, f11_hidden_and_supplied);
	tcase_add_test(tc, f11_stores_not_ors);
	tcase_add_test(tc, consequences);
	tcase_add_test(tc, f11_all_or_nothing);
	tcase_add_test(tc, f14_cr4_follows_cpuid);
	tcase_add_test(tc, efer_follows_cpuid);
	tcase_add_test(tc, xcr0_without_xsave);
	tcase_add_test(tc, pat);
	tcase_add_test(tc, canonical);
	return (s);
}
