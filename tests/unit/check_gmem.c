/* SPDX-License-Identifier: ISC */
/*
 * check_gmem.c - guest memory through the guest's own paging, against what
 * the manuals say about each bit, and against tables made to do harm.
 */
#define _GNU_SOURCE
#include "leaf.h"
#include "trace.h"

/* Where the tables of a test lie, and what they map. */
#define T4		0x1000ULL
#define T3		0x2000ULL
#define T2		0x3000ULL
#define T1		0x4000ULL
#define PAGE		0x8000ULL

#define P		0x001ULL
#define W		0x002ULL
#define U		0x004ULL
#define A		0x020ULL
#define D		0x040ULL
#define PS		0x080ULL
#define NX		0x8000000000000000ULL

#define ERR_P		1
#define ERR_W		2
#define ERR_U		4
#define ERR_RSVD	8
#define ERR_ID		16

/* Paging modes, by their number of levels. */
#define LONG		4
#define PAE		3
#define LEGACY		2

/* Different indices at every level. */
#define GVA_LONG	(3ULL << 39 | 5ULL << 30 | 7ULL << 21 | 9ULL << 12)
#define GVA_PAE		(2ULL << 30 | 7ULL << 21 | 9ULL << 12)
#define GVA_LEGACY	(5ULL << 22 | 9ULL << 12)

static void
poke(uint64_t gpa, uint64_t v, size_t n)
{
	fake_user_write(GUEST_VA + gpa, &v, n);
}

static uint64_t
peek(uint64_t gpa, size_t n)
{
	uint64_t v = 0;

	fake_user_read(GUEST_VA + gpa, &v, n);
	return (v);
}

static uint64_t
gva_of(int levels)
{
	return (levels == LONG ? GVA_LONG : levels == PAE ? GVA_PAE :
	    GVA_LEGACY);
}

static size_t
entry_size(int levels)
{
	return (levels == LEGACY ? 4 : 8);
}

/* GPA of the entry that gva_of() uses at a level. */
static uint64_t
entry_at(int levels, int level)
{
	static const uint64_t table[] = { 0, T1, T2, T3, T4 };
	uint64_t gva = gva_of(levels);
	int bits = levels == LEGACY ? 10 : 9;
	uint64_t i = gva >> (12 + bits * (level - 1)) & ((1U << bits) - 1);

	return (table[level] + i * entry_size(levels));
}

/* One page mapped for everybody, in a mode. */
static void
setup_mode(int levels)
{
	static const uint64_t next[] = { 0, PAGE, T1, T2, T3 };
	int level;

	leaf.v.cr0 = CR0_PG | CR0_PE | CR0_ET | CR0_WP;
	leaf.v.cr4 = levels == LEGACY ? CR4_PSE : CR4_PAE;
	leaf.v.efer = (levels == LONG ? EFER_LME | EFER_LMA : 0) |
	    (levels == LEGACY ? 0 : EFER_NXE);
	leaf.held.vrs_crs[VCPU_REGS_CR3] = levels == LONG ? T4 :
	    levels == PAE ? T3 : T2;
	for (level = 1; level <= levels; level++)
		poke(entry_at(levels, level), next[level] | P |
		    (levels == PAE && level == 3 ? 0 : W | U),
		    entry_size(levels));
	/* The other half of eight bytes is another entry. */
	if (levels == LEGACY)
		for (level = 1; level <= levels; level++)
			poke(entry_at(levels, level) + 4, 0xdeadbeee, 4);
}

static int
translate(uint64_t gva, int access, uint64_t *gpa, struct gmem_fault *f)
{
	memset(f, 0x55, sizeof(*f));
	f->event.valid = false;
	return (gmem_translate(&leaf.v, gva, access, gpa, f));
}

static void
is_fault(const struct gmem_fault *f, int vector, uint32_t code, uint64_t cr2)
{
	ck_assert(f->event.valid);
	ck_assert_int_eq(f->event.type, EVENT_EXCEPTION);
	ck_assert_int_eq(f->event.vector, vector);
	ck_assert(f->event.has_error);
	ck_assert_uint_eq(f->event.error, code);
	if (vector == VMM_EX_PF)
		ck_assert_uint_eq(f->cr2, cr2);
}

/* --- Without paging --- */

START_TEST(no_paging)
{
	struct gmem_fault f;
	uint64_t gpa;

	ck_assert_int_eq(translate(0x12345, GMEM_W, &gpa, &f), 0);
	ck_assert_uint_eq(gpa, 0x12345);
	/* 32 bits, and no look at what is there */
	ck_assert_int_eq(translate(0x5fffffff0, GMEM_R, &gpa, &f), 0);
	ck_assert_uint_eq(gpa, 0xfffffff0);
	leaf.cpl = 3;
	ck_assert_int_eq(translate(0x1000, GMEM_X, &gpa, &f), 0);
}
END_TEST

START_TEST(host_errors)
{
	struct gmem_fault f;
	char buf[4];

	/* outside, in the hole, taken away by the client */
	ck_assert_int_eq(gmem_read(&leaf.v, LEAF_SIZE, buf, 4, GMEM_R, &f),
	    EINVAL);
	ck_assert(!f.event.valid);
	ck_assert_int_eq(gmem_read(&leaf.v, 0xf0000000, buf, 4, GMEM_R, &f),
	    EFAULT);
	ck_assert(!f.event.valid);
	fake_user_unmap(GUEST_VA + 0x5000, PAGE_SIZE_4K);
	ck_assert_int_eq(gmem_write(&leaf.v, 0x5000, buf, 4, &f), EFAULT);
	ck_assert(!f.event.valid);
	fake_fail_at(1);
	ck_assert_int_eq(gmem_read(&leaf.v, 0x6000, buf, 4, GMEM_R, &f),
	    ENOMEM);
	ck_assert(!f.event.valid);
	fake_fail_at(0);
	ck_assert_int_eq(gmem_read(&leaf.v, 0x6000, buf, 4, GMEM_R, &f), 0);
}
END_TEST

START_TEST(gpa_ptr_is_exact)
{
	void *p;

	poke(0x7abc, 0x1122334455667788, 8);
	ck_assert_int_eq(gpa_ptr(&leaf.vm, 0x7abc, &p), 0);
	ck_assert_ptr_eq(p, fake_user_ptr(GUEST_VA + 0x7abc));
	ck_assert_int_eq(gpa_ptr(&leaf.vm, LEAF_SIZE - 1, &p), 0);
	ck_assert_ptr_eq(p, fake_user_ptr(GUEST_VA + LEAF_SIZE - 1));
	ck_assert_int_eq(gpa_ptr(&leaf.vm, LEAF_SIZE, &p), EINVAL);
	ck_assert_int_eq(gpa_ptr(&leaf.vm, ~0ULL, &p), EINVAL);
}
END_TEST

/* --- The walk --- */

START_TEST(walks)
{
	int levels = _i;
	struct gmem_fault f;
	uint64_t gpa, gva;

	setup_mode(levels);
	gva = gva_of(levels);
	ck_assert_int_eq(translate(gva + 0x123, GMEM_R, &gpa, &f), 0);
	ck_assert_uint_eq(gpa, PAGE + 0x123);
	ck_assert_int_eq(translate(gva + 0xfff, GMEM_W, &gpa, &f), 0);
	ck_assert_uint_eq(gpa, PAGE + 0xfff);
	/* The next page has no entry. */
	ck_assert_int_eq(translate(gva + 0x1000, GMEM_R, &gpa, &f), EFAULT);
	is_fault(&f, VMM_EX_PF, 0, gva + 0x1000);
	/* Outside long mode only 32 bits count. */
	if (levels != LONG) {
		ck_assert_int_eq(translate(gva + (7ULL << 32), GMEM_R, &gpa,
		    &f), 0);
		ck_assert_uint_eq(gpa, PAGE);
	}
	/* CR3's low bits are no address. */
	leaf.held.vrs_crs[VCPU_REGS_CR3] |= 0x18;
	ck_assert_int_eq(translate(gva, GMEM_R, &gpa, &f), 0);
	/* and above its 32 bits there is nothing, nor above MAXPHYADDR */
	leaf.held.vrs_crs[VCPU_REGS_CR3] |= levels == LONG ? 0xfffULL << 52 :
	    0xffULL << 32;
	ck_assert_int_eq(translate(gva, GMEM_R, &gpa, &f), 0);
}
END_TEST

START_TEST(not_canonical)
{
	static const uint64_t bad[] = { 0x800000000000, 0xffff7fffffffffff,
	    0x8000000000000000 };
	struct gmem_fault f;
	uint64_t gpa;
	size_t i;

	setup_mode(LONG);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(translate(bad[i], GMEM_R, &gpa, &f), EFAULT);
		is_fault(&f, VMM_EX_GP, 0, 0);
	}
	/* A high address is sign-extended, not an index out of range. */
	ck_assert_int_eq(translate(~0ULL, GMEM_R, &gpa, &f), EFAULT);
	is_fault(&f, VMM_EX_PF, 0, ~0ULL);
}
END_TEST

/* The table of a level lies outside guest memory: the host's error. */
START_TEST(table_outside)
{
	struct gmem_fault f;
	uint64_t gpa, e;
	int levels, level;

	for (levels = LEGACY; levels <= LONG; levels++) {
		for (level = 2; level <= levels; level++) {
			setup_mode(levels);
			e = entry_at(levels, level);
			poke(e, (LEAF_SIZE | P | W | U) & (levels == PAE &&
			    level == 3 ? ~(W | U) : ~0ULL),
			    entry_size(levels));
			ck_assert_int_eq(translate(gva_of(levels), GMEM_R,
			    &gpa, &f), EINVAL);
			ck_assert(!f.event.valid);
		}
		setup_mode(levels);
		leaf.held.vrs_crs[VCPU_REGS_CR3] = LEAF_SIZE;
		ck_assert_int_eq(translate(gva_of(levels), GMEM_R, &gpa, &f),
		    EINVAL);
	}
}
END_TEST

START_TEST(large_pages)
{
	struct gmem_fault f;
	uint64_t gpa;

	/* 1 GiB, 2 MiB, 4 MiB, each with an offset that has all its bits */
	setup_mode(LONG);
	poke(entry_at(LONG, 3), 0x40000000 | P | W | PS, 8);
	ck_assert_int_eq(translate((GVA_LONG & ~0x3fffffffULL) | 0x2abcdef1,
	    GMEM_R, &gpa, &f), 0);
	ck_assert_uint_eq(gpa, 0x6abcdef1);
	setup_mode(LONG);
	poke(entry_at(LONG, 2), 0x600000 | P | W | PS, 8);
	ck_assert_int_eq(translate((GVA_LONG & ~0x1fffffULL) | 0x1abcde,
	    GMEM_R, &gpa, &f), 0);
	ck_assert_uint_eq(gpa, 0x7abcde);
	setup_mode(PAE);
	poke(entry_at(PAE, 2), 0x12600000 | P | W | PS | 0x1000, 8);
	ck_assert_int_eq(translate((GVA_PAE & ~0x1fffffULL) | 0x1abcde,
	    GMEM_R, &gpa, &f), 0);
	ck_assert_uint_eq(gpa, 0x127abcde);
	setup_mode(LEGACY);
	poke(entry_at(LEGACY, 2), 0x12800000 | P | W | PS, 4);
	ck_assert_int_eq(translate((GVA_LEGACY & ~0x3fffffULL) | 0x3abcde,
	    GMEM_R, &gpa, &f), 0);
	ck_assert_uint_eq(gpa, 0x12babcde);
	/* PSE-36: bits 20:13 are address bits 39:32 */
	poke(entry_at(LEGACY, 2), 0x12800000 | P | W | PS | 0x96 << 13, 4);
	ck_assert_int_eq(translate(GVA_LEGACY & ~0x3fffffULL, GMEM_R, &gpa,
	    &f), 0);
	ck_assert_uint_eq(gpa, 0x9612800000);
	/* Without CR4.PSE the bit means nothing. */
	leaf.v.cr4 = 0;
	poke(entry_at(LEGACY, 2), T1 | P | W | PS, 4);
	ck_assert_int_eq(translate(GVA_LEGACY, GMEM_R, &gpa, &f), 0);
	ck_assert_uint_eq(gpa, PAGE);
}
END_TEST

/*
 * Reserved bits: for an entry of each kind, every bit is set by turns, and
 * the fault says "reserved" exactly where it should. MAXPHYADDR is 48.
 */
#define R(hi, lo)	(((2ULL << (hi)) - 1) & ~((1ULL << (lo)) - 1))

static const struct {
	int		levels, level;
	uint64_t	leaf;		/* PS, or 0: a table or the last */
	uint64_t	reserved;
} kind[] = {
	{ LONG, 4, 0, R(51, 48) | R(7, 7) },
	{ LONG, 3, 0, R(51, 48) },
	{ LONG, 3, PS, R(51, 48) | R(29, 13) },
	{ LONG, 2, 0, R(51, 48) },
	{ LONG, 2, PS, R(51, 48) | R(20, 13) },
	{ LONG, 1, 0, R(51, 48) },
	/* but bit 5, which TCG itself sets there */
	{ PAE, 3, 0, R(63, 48) | R(8, 6) | R(2, 1) },
	{ PAE, 2, 0, R(62, 48) },
	{ PAE, 2, PS, R(62, 48) | R(20, 13) },
	{ PAE, 1, 0, R(62, 48) },
	{ LEGACY, 2, 0, 0 },
	{ LEGACY, 2, PS, R(21, 21) },
	{ LEGACY, 1, 0, 0 },
};

static void
try_reserved(int i, uint64_t reserved)
{
	int levels = kind[i].levels, level = kind[i].level, bit;
	size_t size = entry_size(levels);
	uint64_t e = entry_at(levels, level), good, gpa;
	struct gmem_fault f;
	int error;
	bool is;

	setup_mode(levels);
	good = peek(e, size);
	if (kind[i].leaf != 0)
		good = P | W | U | PS;
	for (bit = 1; bit < (int)size * 8; bit++) {
		setup_mode(levels);
		if (reserved & NX)
			leaf.v.efer &= ~EFER_NXE;
		if (bit == 7 && kind[i].leaf == 0 && level > 1 &&
		    (reserved & PS) == 0)
			continue;	/* it would be another kind */
		poke(e, good | 1ULL << bit, size);
		error = translate(gva_of(levels), GMEM_R, &gpa, &f);
		is = error == EFAULT && f.event.valid &&
		    (f.event.error & ERR_RSVD) != 0;
		ck_assert_msg(is == ((reserved >> bit & 1) != 0),
		    "%d levels, level %d%s, bit %d", levels, level,
		    kind[i].leaf ? " leaf" : "", bit);
		if (is)
			is_fault(&f, VMM_EX_PF, ERR_P | ERR_RSVD,
			    gva_of(levels));
		/* In an entry that is not present nothing is reserved. */
		poke(e, (good | 1ULL << bit) & ~P, size);
		ck_assert_int_eq(translate(gva_of(levels), GMEM_R, &gpa, &f),
		    EFAULT);
		is_fault(&f, VMM_EX_PF, 0, gva_of(levels));
	}
}

START_TEST(reserved)
{
	try_reserved(_i, kind[_i].reserved);
	/* Without NXE, bit 63 is one more. */
	if (kind[_i].levels != LEGACY)
		try_reserved(_i, kind[_i].reserved | NX);
}
END_TEST

/* What depends on the CPU's features. */
START_TEST(reserved_by_feature)
{
	uint64_t gpa;
	struct gmem_fault f;
	uint32_t r[4];
	int bit;

	/* no 1 GiB pages */
	fake_cpuid_get(0x80000001, 0, r);
	fake_cpuid_set(0x80000001, 0, r[0], r[1], r[2], r[3] & ~(1U << 26));
	leaf_attach();
	setup_mode(LONG);
	poke(entry_at(LONG, 3), P | W | U | PS, 8);
	ck_assert_int_eq(translate(GVA_LONG, GMEM_R, &gpa, &f), EFAULT);
	is_fault(&f, VMM_EX_PF, ERR_P | ERR_RSVD, GVA_LONG);
	/* 36 address bits leave four of PSE-36's */
	fake_cpuid_set(0x80000008, 0, 0x3024, 0, 0, 0);
	leaf_attach();
	setup_mode(LEGACY);
	for (bit = 13; bit <= 21; bit++) {
		poke(entry_at(LEGACY, 2), P | PS | 1U << bit, 4);
		ck_assert_int_eq(translate(GVA_LEGACY, GMEM_R, &gpa, &f),
		    bit >= 17 ? EFAULT : 0);
	}
	/* no PSE-36: none of them */
	fake_cpuid_get(1, 0, r);
	fake_cpuid_set(1, 0, r[0], r[1], r[2], r[3] & ~(1U << 17));
	leaf_attach();
	for (bit = 12; bit <= 22; bit++) {
		poke(entry_at(LEGACY, 2), P | PS | 1U << bit, 4);
		ck_assert_int_eq(translate(GVA_LEGACY, GMEM_R, &gpa, &f),
		    bit >= 13 && bit <= 21 ? EFAULT : 0);
	}
}
END_TEST

/* --- Rights --- */

struct rights {
	uint64_t	upper, lower;	/* entries of levels 2 and 1 */
	bool		user, wp, smep, smap, ac;
	int		access;
};

/* SDM Vol. 3A 4.6.1 "Determination of Access Rights", in its words. */
static bool
may(const struct rights *r)
{
	bool user_page = (r->upper & r->lower & U) != 0;
	bool writable = (r->upper & r->lower & W) != 0;
	bool nx = ((r->upper | r->lower) & NX) != 0;

	if (!r->user) {
		if (r->access == GMEM_X) {
			if (user_page && r->smep)
				return (false);
			return (!nx);
		}
		if (user_page && r->smap && !r->ac)
			return (false);
		return (r->access == GMEM_R || !r->wp || writable);
	}
	if (!user_page)
		return (false);
	if (r->access == GMEM_X)
		return (!nx);
	return (r->access == GMEM_R || writable);
}

static void
try_rights(int levels, const struct rights *r)
{
	uint32_t code = ERR_P | (r->access == GMEM_W ? ERR_W : 0) |
	    (r->user ? ERR_U : 0);
	struct gmem_fault f;
	uint64_t gpa;
	bool allowed = may(r);

	setup_mode(levels);
	if (!r->wp)
		leaf.v.cr0 &= ~CR0_WP;
	leaf.v.cr4 |= (r->smep ? CR4_SMEP : 0) | (r->smap ? CR4_SMAP : 0);
	leaf.v.gpr[VCPU_REGS_RFLAGS] = r->ac ? RFLAGS_AC : 0;
	leaf.cpl = r->user ? 3 : 0;
	if (r->access == GMEM_X && (r->smep || levels != LEGACY))
		code |= ERR_ID;
	poke(entry_at(levels, 2), T1 | P | r->upper, entry_size(levels));
	poke(entry_at(levels, 1), PAGE | P | r->lower, entry_size(levels));
	ck_assert_int_eq(translate(gva_of(levels), r->access, &gpa, &f),
	    allowed ? 0 : EFAULT);
	if (!allowed)
		is_fault(&f, VMM_EX_PF, code, gva_of(levels));
	/* A bits only where the access was allowed, D for a write. */
	ck_assert_uint_eq(peek(entry_at(levels, 2), 1) & (A | D),
	    allowed ? A : 0);
	ck_assert_uint_eq(peek(entry_at(levels, 1), 1) & (A | D),
	    !allowed ? 0 : r->access == GMEM_W ? A | D : A);
}

START_TEST(access_rights)
{
	static const int accesses[] = { GMEM_R, GMEM_W, GMEM_X };
	struct rights r;
	int levels = _i, n;

	for (n = 0; n < 64 * 32 * 3; n++) {
		r.upper = (n & 1 ? W : 0) | (n & 2 ? U : 0) | (n & 4 ? NX : 0);
		r.lower = (n & 8 ? W : 0) | (n & 16 ? U : 0) |
		    (n & 32 ? NX : 0);
		if (levels == LEGACY && (n & 36) != 0)
			continue;
		r.user = n >> 6 & 1;
		r.wp = n >> 7 & 1;
		r.smep = n >> 8 & 1;
		r.smap = n >> 9 & 1;
		r.ac = n >> 10 & 1;
		r.access = accesses[n / (64 * 32)];
		try_rights(levels, &r);
	}
}
END_TEST

/* CPL 1 and 2 are supervisors; without NXE a fetch has no I/D bit. */
START_TEST(rights_odd)
{
	struct gmem_fault f;
	uint64_t gpa;

	setup_mode(LONG);
	poke(entry_at(LONG, 1), PAGE | P, 8);
	for (leaf.cpl = 0; leaf.cpl < 4; leaf.cpl++)
		ck_assert_int_eq(translate(GVA_LONG, GMEM_R, &gpa, &f),
		    leaf.cpl == 3 ? EFAULT : 0);
	leaf.cpl = 3;
	leaf.v.efer &= ~EFER_NXE;
	ck_assert_int_eq(translate(GVA_LONG, GMEM_X, &gpa, &f), EFAULT);
	is_fault(&f, VMM_EX_PF, ERR_P | ERR_U, GVA_LONG);
	/* The not-present fault tells who and what as well. */
	poke(entry_at(LONG, 1), 0, 8);
	ck_assert_int_eq(translate(GVA_LONG, GMEM_W, &gpa, &f), EFAULT);
	is_fault(&f, VMM_EX_PF, ERR_U | ERR_W, GVA_LONG);
}
END_TEST

/* PAE: registers where the CPU has them, memory where it has not. */
START_TEST(pdptes)
{
	struct gmem_fault f;
	uint64_t gpa;

	setup_mode(PAE);
	leaf_ops.wants_pdptes = true;
	ck_assert_int_eq(translate(GVA_PAE, GMEM_R, &gpa, &f), EFAULT);
	is_fault(&f, VMM_EX_PF, 0, GVA_PAE);
	leaf.v.pdpte[2] = T2 | P;
	poke(entry_at(PAE, 3), 0, 8);
	ck_assert_int_eq(translate(GVA_PAE, GMEM_R, &gpa, &f), 0);
	ck_assert_uint_eq(gpa, PAGE);
	leaf.v.pdpte[2] = T2 | P | W;
	ck_assert_int_eq(translate(GVA_PAE, GMEM_R, &gpa, &f), EFAULT);
	is_fault(&f, VMM_EX_PF, ERR_P | ERR_RSVD, GVA_PAE);
	leaf_ops.wants_pdptes = false;
	ck_assert_int_eq(translate(GVA_PAE, GMEM_R, &gpa, &f), EFAULT);
	/* A PDPTE in memory has no A bit, and its table need not be whole. */
	leaf.held.vrs_crs[VCPU_REGS_CR3] = T3 + 0xfe0;
	poke(T3 + 0xfe0 + 16, T2 | P, 8);
	ck_assert_int_eq(translate(GVA_PAE, GMEM_R, &gpa, &f), 0);
	ck_assert_uint_eq(peek(T3 + 0xfe0 + 16, 8), T2 | P);
}
END_TEST

/*
 * Another VCPU changes an entry between the driver's accesses to it: the walk
 * goes on with what it read, once, and leaves alone what it did not.
 */
static uint32_t *entry, changed_to;

static void
change_entry(unsigned int n)
{
	if (n == 1)
		*entry = changed_to;
}

static void
look_on(unsigned int n)
{
	(void)n;
}

START_TEST(entry_changes_meanwhile)
{
	static const uint32_t to[] = { 0, 0xabc00 << 1, T3 | P | U | W };
	struct gmem_fault f;
	uint64_t gpa;

	setup_mode(LEGACY);
	entry = fake_user_ptr(GUEST_VA + entry_at(LEGACY, 1));
	changed_to = to[_i];
	trace_start(T1, change_entry);
	ck_assert_int_eq(translate(GVA_LEGACY, GMEM_W, &gpa, &f), 0);
	trace_stop();
	ck_assert_uint_eq(trace_count, 2);
	ck_assert_uint_eq(gpa, PAGE);
	ck_assert_uint_eq(*entry, to[_i]);
}
END_TEST

START_TEST(entry_is_read_once)
{
	struct gmem_fault f;
	uint64_t gpa;
	int levels, level;

	for (levels = LEGACY; levels <= LONG; levels++)
		for (level = 1; level <= levels; level++) {
			setup_mode(levels);
			ck_assert_int_eq(translate(gva_of(levels), GMEM_W,
			    &gpa, &f), 0);
			/* Its A and D bits are set: nothing to write. */
			trace_start(entry_at(levels, level), look_on);
			ck_assert_int_eq(translate(gva_of(levels), GMEM_W,
			    &gpa, &f), 0);
			trace_stop();
			ck_assert_uint_eq(trace_count, 1);
			ck_assert_uint_eq(gpa, PAGE);
		}
}
END_TEST

/* --- Reading and writing --- */

/* Three pages in a row for the guest, apart and backwards in memory. */
static void
setup_row(void)
{
	int i;

	setup_mode(LONG);
	for (i = 0; i < 3; i++)
		poke(entry_at(LONG, 1) + 8 * (uint64_t)i,
		    (0x20000 - 0x2000 * (uint64_t)i) | P | W, 8);
}

START_TEST(across_pages)
{
	uint8_t in[0x1800], out[0x1800];
	struct gmem_fault f;
	size_t i, n, at;
	static const size_t sizes[] = { 0, 1, 2, 15, 0x1000, 0x1800 };
	static const size_t starts[] = { 0, 1, 0x7ff, 0xffe, 0xfff, 0x1000 };

	setup_row();
	for (i = 0; i < 36; i++) {
		n = sizes[i / 6];
		at = starts[i % 6];
		memset(in, (int)i + 1, sizeof(in));
		memset(out, 0, sizeof(out));
		ck_assert_int_eq(gmem_write(&leaf.v, GVA_LONG + at, in, n, &f),
		    0);
		ck_assert_int_eq(gmem_read(&leaf.v, GVA_LONG + at, out, n,
		    GMEM_R, &f), 0);
		ck_assert_int_eq(memcmp(in, out, n), 0);
		for (; n < sizeof(out); n++)
			ck_assert_uint_eq(out[n], 0);
	}
	poke(0x20fff, 0x5a, 1);
	poke(0x1e000, 0xa5, 1);
	ck_assert_int_eq(gmem_read(&leaf.v, GVA_LONG + 0xfff, out, 2, GMEM_X,
	    &f), 0);
	ck_assert_uint_eq(out[0], 0x5a);
	ck_assert_uint_eq(out[1], 0xa5);
}
END_TEST

/* A write that faults in its second page has not begun in its first. */
START_TEST(write_all_or_nothing)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4 };
	struct gmem_fault f;

	setup_row();
	poke(0x20ffe, 0x7788, 2);
	poke(entry_at(LONG, 1) + 8, 0x1e000 | P, 8);	/* read-only */
	ck_assert_int_eq(gmem_write(&leaf.v, GVA_LONG + 0xffe, bytes, 4, &f),
	    EFAULT);
	is_fault(&f, VMM_EX_PF, ERR_P | ERR_W, GVA_LONG + 0x1000);
	ck_assert_uint_eq(peek(0x20ffe, 2), 0x7788);
	/* outside guest memory: the same, and the host's error */
	poke(entry_at(LONG, 1) + 8, LEAF_SIZE | P | W, 8);
	ck_assert_int_eq(gmem_write(&leaf.v, GVA_LONG + 0xffe, bytes, 4, &f),
	    EINVAL);
	ck_assert(!f.event.valid);
	ck_assert_uint_eq(peek(0x20ffe, 2), 0x7788);
}
END_TEST

static void
protect(uint64_t gpa, uint8_t prot)
{
	void *p;

	ck_assert_int_eq(gpa_ptr(&leaf.vm, gpa, &p), 0);
	host_mutex_lock(&leaf.vm.lock);
	ck_assert_int_eq(npt_protect(&leaf.vm.npt, gpa, PAGE_SIZE_4K, prot),
	    0);
	host_mutex_unlock(&leaf.vm.lock);
}

/* MPROTECT_EPT binds what the driver writes for the guest (F20). */
START_TEST(f20_read_only_page)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4 };
	struct gmem_fault f;
	uint8_t buf[4];

	setup_row();
	poke(0x20ffe, 0x7788, 2);
	protect(0x20000, NPT_R | NPT_X);
	ck_assert_int_eq(gmem_write(&leaf.v, GVA_LONG + 0xff0, bytes, 4, &f),
	    EINVAL);
	ck_assert(!f.event.valid);
	ck_assert_int_eq(gmem_read(&leaf.v, GVA_LONG + 0xff0, buf, 4, GMEM_R,
	    &f), 0);
	/* the second page only: nothing reaches the first */
	protect(0x20000, NPT_R | NPT_W | NPT_X);
	protect(0x1e000, NPT_R);
	ck_assert_int_eq(gmem_write(&leaf.v, GVA_LONG + 0xffe, bytes, 4, &f),
	    EINVAL);
	ck_assert_uint_eq(peek(0x20ffe, 2), 0x7788);
}
END_TEST

START_TEST(f20_read_only_table)
{
	struct gmem_fault f;
	uint64_t gpa;

	setup_mode(LONG);
	protect(T2, NPT_R);
	ck_assert_int_eq(translate(GVA_LONG, GMEM_W, &gpa, &f), 0);
	ck_assert_uint_eq(peek(entry_at(LONG, 4), 1) & (A | D), A);
	ck_assert_uint_eq(peek(entry_at(LONG, 2), 1) & (A | D), 0);
	ck_assert_uint_eq(peek(entry_at(LONG, 1), 1) & (A | D), A | D);
}
END_TEST

START_TEST(pointer)
{
	struct gmem_fault f;
	const uint8_t *p;

	setup_row();
	ck_assert_int_eq(gmem_ptr(&leaf.v, GVA_LONG + 0x1234, GMEM_X, &p, &f),
	    0);
	ck_assert_ptr_eq(p, fake_user_ptr(GUEST_VA + 0x1e234));
	poke(entry_at(LONG, 1), 0, 8);
	ck_assert_int_eq(gmem_ptr(&leaf.v, GVA_LONG, GMEM_R, &p, &f), EFAULT);
	is_fault(&f, VMM_EX_PF, 0, GVA_LONG);
	poke(entry_at(LONG, 1), LEAF_SIZE | P, 8);
	ck_assert_int_eq(gmem_ptr(&leaf.v, GVA_LONG, GMEM_R, &p, &f), EINVAL);
	ck_assert(!f.event.valid);
}
END_TEST

/* A remembered page is not taken for another of the same slot. */
START_TEST(pages_remembered)
{
	struct gmem_fault f;
	uint64_t page, gpa;
	uint8_t v;
	int turn;

	for (page = 0; page < LEAF_SIZE >> PAGE_SHIFT_4K; page++)
		poke(page << PAGE_SHIFT_4K, page + 1, 1);
	for (turn = 0; turn < 2; turn++)
		for (page = 0; page < LEAF_SIZE >> PAGE_SHIFT_4K; page++) {
			gpa = page << PAGE_SHIFT_4K;
			ck_assert_int_eq(gmem_read(&leaf.v, gpa, &v, 1,
			    GMEM_R, &f), 0);
			ck_assert_uint_eq(v, page + 1);
		}
}
END_TEST

/*
 * Memory full of random entries, in random modes. The fake host ends the test
 * at any address that is not the guest's, the sanitizer at any other slip;
 * what is read must be what the translation says.
 */
START_TEST(fuzz)
{
	uint32_t seed = 0xbeef + (uint32_t)_i, r;
	unsigned int good = 0, faults = 0, others = 0;
	uint8_t buf[64], want;
	struct gmem_fault f;
	uint64_t gva, gpa, i;
	size_t n;
	int turn, error, access;

	for (turn = 0; turn < 8000; turn++) {
		if (turn % 500 == 0)
			for (i = 0; i < LEAF_SIZE; i += 8) {
				r = unit_random(&seed);
				gpa = (r >> 8 & 0x3f) << PAGE_SHIFT_4K |
				    (r & 0x67) | 1;
				if (r % 16 == 0)
					gpa |= (uint64_t)unit_random(&seed)
					    << 32;
				if (r % 64 == 3)
					gpa = unit_random(&seed);
				poke(i, gpa, 8);
			}
		r = unit_random(&seed);
		leaf.v.cr0 = CR0_PE | CR0_ET | (r & 7 ? CR0_PG : 0) |
		    (r & 8 ? CR0_WP : 0);
		leaf.v.cr4 = (r & 0x10 ? CR4_PSE : 0) |
		    (r & 0x20 ? CR4_SMEP : 0) | (r & 0x40 ? CR4_SMAP : 0) |
		    (r & 0x180 ? CR4_PAE : 0);
		leaf.v.efer = (r & 0x200 ? EFER_NXE : 0) |
		    ((r & 0x180) == 0x80 ? EFER_LME | EFER_LMA : 0);
		leaf_ops.wants_pdptes = (r & 0x400) != 0;
		leaf.cpl = r & 0x800 ? 3 : 0;
		leaf.v.gpr[VCPU_REGS_RFLAGS] = r & 0x1000 ? RFLAGS_AC : 0;
		leaf.v.pdpte[r & 3] = peek((r >> 16 & 0x3f) * 8, 8) & ~0x1e6ULL;
		leaf.held.vrs_crs[VCPU_REGS_CR3] =
		    (unit_random(&seed) & 0x3ffff);
		gva = (uint64_t)unit_random(&seed) << 32 | unit_random(&seed);
		if (r % 4 != 0)
			gva = (uint64_t)((int64_t)(gva << 16) >> 16);
		access = r & 0x2000 ? GMEM_R : r & 0x4000 ? GMEM_W : GMEM_X;
		n = r >> 20 & 0x3f;
		if (access == GMEM_W) {
			memset(buf, 0x21, sizeof(buf));
			error = gmem_write(&leaf.v, gva, buf, n, &f);
		} else
			error = gmem_read(&leaf.v, gva, buf, n, access, &f);
		if (n == 0)
			continue;
		if (error == 0)
			good++;
		else if (error == EFAULT && f.event.valid)
			faults++;
		else {
			others++;
			ck_assert(error == EINVAL || error == EFAULT);
		}
		if (error == 0 && access == GMEM_R && translate(gva, access,
		    &gpa, &f) == 0 && (gpa & 0xfff) + n <= PAGE_SIZE_4K) {
			fake_user_read(GUEST_VA + gpa, &want, 1);
			/* unless the walk itself set a bit there */
			ck_assert_uint_eq(buf[0] & ~(A | D), want & ~(A | D));
		}
	}
	ck_assert_uint_gt(good, 100);
	ck_assert_uint_gt(faults, 100);
	ck_assert_uint_gt(others, 100);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("gmem");
	TCase *tc = leaf_case(s, "gmem");

	tcase_add_test(tc, no_paging);
	tcase_add_test(tc, host_errors);
	tcase_add_test(tc, gpa_ptr_is_exact);
	tcase_add_loop_test(tc, walks, LEGACY, LONG + 1);
	tcase_add_test(tc, not_canonical);
	tcase_add_test(tc, table_outside);
	tcase_add_test(tc, large_pages);
	tcase_add_loop_test(tc, reserved, 0, sizeof(kind) / sizeof(kind[0]));
	tcase_add_test(tc, reserved_by_feature);
	tcase_add_loop_test(tc, access_rights, LEGACY, LONG + 1);
	tcase_add_test(tc, rights_odd);
	tcase_add_test(tc, pdptes);
	tcase_add_loop_test(tc, entry_changes_meanwhile, 0, 3);
	tcase_add_test(tc, entry_is_read_once);
	tcase_add_test(tc, across_pages);
	tcase_add_test(tc, write_all_or_nothing);
	tcase_add_test(tc, f20_read_only_page);
	tcase_add_test(tc, f20_read_only_table);
	tcase_add_test(tc, pointer);
	tcase_add_test(tc, pages_remembered);
	tcase_add_loop_test(tc, fuzz, 0, 4);
	return (s);
}
