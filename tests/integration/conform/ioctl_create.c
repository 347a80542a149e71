/* SPDX-License-Identifier: ISC */
/*
 * ioctl_create.c - the memory ranges of CREATE, check by check.
 *
 * A row describes up to three ranges by sizes and addresses alone; the
 * client's memory behind them is one arena, so that each row has one reason
 * to fail. EINVAL is decided before memory is looked at, which lets a row ask
 * for far more than there is.
 */
#include "ioctl_util.h"

#define KIB		1024UL
#define MIB		CLIENT_MIB
#define HOLE		VMM_PCI_MMIO_BAR_BASE
#define HOLE_END	(VMM_PCI_MMIO_BAR_END + 1)
#define TOP		(32 * GIB)
#define ARENA		(4 * MIB)

struct row {
	const char	*what;
	int		 error;
	size_t		 n;
	struct {
		uint64_t	gpa;
		uint64_t	size;
	}		 r[3];
};

/* CREATE, and at once TERM of what it made. Returns CREATE's errno. */
static int
try_create(struct vm_create_params *vcp)
{
	struct vm_create_params before = *vcp;
	size_t count = vm_count();
	int error;

	error = client_ioc_create(conform_fd, vcp);
	if (error == 0) {
		CHECK_EQ(vm_count(), count + 1);
		CHECK_EQ(client_ioc_term(conform_fd, vcp->vcp_id), 0);
	} else
		CHECK_EQ(memcmp(vcp, &before, sizeof(before)), 0);
	CHECK_EQ(vm_count(), count);
	return (error);
}

static void
try_rows(const struct row *row, size_t n)
{
	struct vm_create_params vcp;
	uint8_t *arena = map(ARENA);
	uint64_t off;
	size_t i;

	for (; n > 0; n--, row++) {
		memset(&vcp, 0, sizeof(vcp));
		vcp.vcp_ncpus = 1;
		vcp.vcp_nmemranges = row->n;
		for (i = 0, off = 0; i < row->n; i++) {
			vcp.vcp_memranges[i].vmr_gpa = row->r[i].gpa;
			vcp.vcp_memranges[i].vmr_size = row->r[i].size;
			vcp.vcp_memranges[i].vmr_va = (uintptr_t)arena + off;
			if (row->r[i].size < ARENA - off)
				off += (row->r[i].size + PAGE - 1) &
				    ~(PAGE - 1);
		}
		EXPECT(row->what, try_create(&vcp), row->error);
	}
	unmap(arena, ARENA);
}

/* a: how many. */
static void
check_a(void)
{
	static const struct {
		size_t	n;
		int	error;
	} counts[] = {
		{ 0, EINVAL }, { 1, 0 }, { 2, 0 }, { 15, EINVAL },
		{ 16, 0 }, { 17, EINVAL }, { 32, EINVAL },
		{ 0x100000001, EINVAL }, { SIZE_MAX, EINVAL },
		{ (size_t)1 << 63, EINVAL },
	};
	struct vm_create_params vcp;
	uint8_t *arena = map(ARENA);
	uint64_t size = MIB / 16;
	size_t i, k;

	/* 16 of 64 KiB, and 2 of 1 MiB; 15 of 64 KiB are no whole MiB. */
	for (k = 0; k < NELEM(counts); k++) {
		memset(&vcp, 0, sizeof(vcp));
		vcp.vcp_ncpus = 1;
		size = counts[k].n <= 2 ? MIB : MIB / 16;
		for (i = 0; i < VMM_MAX_MEM_RANGES; i++) {
			vcp.vcp_memranges[i].vmr_gpa = i * 2 * MIB;
			vcp.vcp_memranges[i].vmr_va =
			    (uintptr_t)arena + i * MIB / 16;
			vcp.vcp_memranges[i].vmr_size = size;
		}
		vcp.vcp_nmemranges = counts[k].n;
		note("%zu ranges", counts[k].n);
		CHECK_EQ(try_create(&vcp), counts[k].error);
	}
	unmap(arena, ARENA);
}

/* b: each field of each range is a multiple of 4 KiB, and no size is 0. */
static void
check_b(void)
{
	static const uint64_t off[] = {
		1, 2, 8, 0x200, 0x7ff, 0x800, 0xfff,
	};
	struct vm_create_params vcp;
	uint8_t *arena = map(ARENA);
	size_t i, f, n;

	for (n = 0; n < 2; n++)
		for (f = 0; f < 3; f++)
			for (i = 0; i < NELEM(off); i++) {
				fill_create(&vcp, 0, arena, MIB);
				vcp.vcp_nmemranges = n + 1;
				vcp.vcp_memranges[1] = vcp.vcp_memranges[0];
				vcp.vcp_memranges[1].vmr_gpa = 8 * MIB;
				if (f == 0)
					vcp.vcp_memranges[n].vmr_gpa += off[i];
				else if (f == 1)
					vcp.vcp_memranges[n].vmr_va += off[i];
				else
					vcp.vcp_memranges[n].vmr_size +=
					    off[i];
				EXPECT("unaligned", try_create(&vcp), EINVAL);
			}
	for (n = 0; n < 2; n++) {
		fill_create(&vcp, 0, arena, MIB);
		vcp.vcp_nmemranges = 2;
		vcp.vcp_memranges[1] = vcp.vcp_memranges[0];
		vcp.vcp_memranges[1].vmr_gpa = 8 * MIB;
		vcp.vcp_memranges[n].vmr_size = 0;
		EXPECT("empty", try_create(&vcp), EINVAL);
	}
	fill_create(&vcp, PAGE, arena + PAGE, MIB);
	EXPECT("one page up", try_create(&vcp), 0);
	unmap(arena, ARENA);
}

/* c: nothing at or above 32 GiB. */
static void
check_c(void)
{
	static const struct row rows[] = {
		{ "the last MiB", 0, 1, { { TOP - MIB, MIB } } },
		{ "the last page and another", 0, 2,
		    { { 0, MIB - PAGE }, { TOP - PAGE, PAGE } } },
		{ "at the limit", EINVAL, 1, { { TOP, MIB } } },
		{ "one page too long", EINVAL, 2,
		    { { 0, MIB - PAGE }, { TOP - PAGE, 2 * PAGE } } },
		{ "one MiB too long", EINVAL, 1, { { TOP - MIB, 2 * MIB } } },
		{ "one page above", EINVAL, 1, { { TOP + PAGE, MIB } } },
		{ "far above", EINVAL, 1, { { 1UL << 40, MIB } } },
		{ "beyond any CPU", EINVAL, 1, { { 1UL << 52, MIB } } },
		{ "sign bit", EINVAL, 1, { { 1UL << 63, MIB } } },
		{ "last MiB of all", EINVAL, 1, { { -MIB, MIB } } },
		{ "all there is", EINVAL, 1, { { 4 * GIB, 28 * GIB + MIB } } },
		{ "64 bits of size", EINVAL, 1, { { MIB, -MIB } } },
		{ "wraps", EINVAL, 1, { { 2 * MIB, -MIB } } },
	};

	try_rows(rows, NELEM(rows));
}

/* d: addresses of the client. */
static void
check_d(void)
{
	static const struct {
		const char	*what;
		uint64_t	 va, size;
		int		 error;
	} rows[] = {
		{ "NULL", 0, MIB, EINVAL },
		{ "lowest", PAGE, MIB, ENOMEM },
		{ "beyond the end", 0x00007ffffffff000, MIB, EINVAL },
		{ "to the end", 0x00007fffffeff000, MIB, EINVAL },
		{ "over the end", 0x00007fffffff0000, MIB, EINVAL },
		{ "non-canonical", 0x0000800000000000, MIB, EINVAL },
		{ "kernel", 0xffff800000000000, MIB, EINVAL },
		{ "kernel text", 0xffffffff80000000, MIB, EINVAL },
		{ "to the last byte", -MIB, MIB, EINVAL },
		{ "wraps", -PAGE, MIB, EINVAL },
	};
	struct vm_create_params vcp;
	size_t i;

	for (i = 0; i < NELEM(rows); i++) {
		fill_create(&vcp, 0, (void *)rows[i].va, rows[i].size);
		EXPECT(rows[i].what, try_create(&vcp), rows[i].error);
	}
	/* A page less than to the end: whatever is there, it is no EINVAL. */
	fill_create(&vcp, 0, (void *)0x00007fffffefe000, MIB);
	CHECK(try_create(&vcp) != EINVAL);
}

/* e, f: the hole for PCI. */
static void
check_e(void)
{
	static const struct row rows[] = {
		{ "first byte", EINVAL, 1, { { HOLE, MIB } } },
		{ "one page in", EINVAL, 1, { { HOLE + PAGE, MIB } } },
		{ "last page", EINVAL, 2,
		    { { 0, MIB - PAGE }, { HOLE_END - PAGE, PAGE } } },
		{ "last MiB", EINVAL, 1, { { HOLE_END - MIB, MIB } } },
		{ "out of its end", EINVAL, 1,
		    { { HOLE_END - MIB, 2 * MIB } } },
		{ "right above", 0, 1, { { HOLE_END, MIB } } },
		{ "below and right above", 0, 2,
		    { { HOLE - MIB, MIB }, { HOLE_END, MIB } } },
	};

	try_rows(rows, NELEM(rows));
}

static void
check_f(void)
{
	static const struct row rows[] = {
		{ "up to it", 0, 1, { { HOLE - MIB, MIB } } },
		{ "one page into it", EINVAL, 1,
		    { { HOLE - MIB + PAGE, MIB } } },
		{ "one MiB into it", EINVAL, 1, { { HOLE - MIB, 2 * MIB } } },
		{ "to its last page", EINVAL, 1,
		    { { HOLE - PAGE, HOLE_END - HOLE } } },
	};

	try_rows(rows, NELEM(rows));
}

/* F2: ends at or above 4 GiB, which the reference lets pass. */
static void
check_f2(void)
{
	static const struct row rows[] = {
		{ "over all of it", EINVAL, 1,
		    { { HOLE - MIB, HOLE_END - HOLE + MIB } } },
		{ "and one page more", EINVAL, 1,
		    { { HOLE - MIB + PAGE, HOLE_END - HOLE + MIB } } },
		{ "and one MiB more", EINVAL, 1,
		    { { HOLE - MIB, HOLE_END - HOLE + 2 * MIB } } },
		{ "from 0 to 4 GiB", EINVAL, 1, { { 0, 4 * GIB } } },
		{ "from 0 to 32 GiB", EINVAL, 1, { { 0, TOP } } },
	};

	try_rows(rows, NELEM(rows));
}

/* g: ascending, not overlapping. */
static void
check_g(void)
{
	static const struct row rows[] = {
		{ "adjacent", 0, 2, { { 0, MIB }, { MIB, MIB } } },
		{ "apart", 0, 2, { { 0, MIB }, { 8 * MIB, MIB } } },
		{ "one page of overlap", EINVAL, 2,
		    { { 0, MIB }, { MIB - PAGE, MIB } } },
		{ "one page apart", 0, 2,
		    { { 0, MIB }, { MIB + PAGE, MIB } } },
		{ "the same", EINVAL, 2, { { 0, MIB }, { 0, MIB } } },
		{ "one inside", EINVAL, 2,
		    { { 0, 2 * MIB }, { 512 * KIB, MIB } } },
		{ "descending", EINVAL, 2, { { 8 * MIB, MIB }, { 0, MIB } } },
		{ "descending, adjacent", EINVAL, 2,
		    { { MIB, MIB }, { 0, MIB } } },
		{ "the third below", EINVAL, 3,
		    { { 0, MIB }, { 8 * MIB, MIB }, { 4 * MIB, MIB } } },
		{ "the third in the first", EINVAL, 3,
		    { { 0, MIB }, { 8 * MIB, MIB }, { 0, MIB } } },
		{ "three", 0, 3,
		    { { 0, MIB }, { 4 * MIB, MIB }, { 8 * MIB, MIB } } },
	};

	try_rows(rows, NELEM(rows));
}

/* h: the sum, not the parts, in whole MiB. */
static void
check_h(void)
{
	static const struct row rows[] = {
		{ "640 + 384 KiB", 0, 2,
		    { { 0, 640 * KIB }, { MIB, 384 * KIB } } },
		{ "one page", EINVAL, 1, { { 0, PAGE } } },
		{ "a MiB less a page", EINVAL, 1, { { 0, MIB - PAGE } } },
		{ "a MiB and a page", EINVAL, 1, { { 0, MIB + PAGE } } },
		{ "640 + 385 KiB", EINVAL, 2,
		    { { 0, 640 * KIB }, { MIB, 388 * KIB } } },
		{ "one and a half", EINVAL, 1, { { 0, MIB + 512 * KIB } } },
		{ "two halves", 0, 2,
		    { { 0, MIB / 2 }, { MIB, MIB / 2 } } },
		{ "three parts", 0, 3, { { 0, MIB / 2 }, { MIB, MIB / 4 },
		    { 2 * MIB, MIB / 4 } } },
	};

	try_rows(rows, NELEM(rows));
}

/* 5: memory that the client does not have. */
static void
check_5(void)
{
	struct vm_create_params vcp;
	uint8_t *arena;
	size_t i, hole[] = { 0, 1, 127, 254, 255 };

	for (i = 0; i < NELEM(hole); i++) {
		arena = map(2 * MIB);
		unmap(arena + hole[i] * PAGE, PAGE);
		fill_create(&vcp, 0, arena, MIB);
		note("page %zu is not mapped", hole[i]);
		CHECK_EQ(try_create(&vcp), ENOMEM);
		/* It was not needed: the second half is whole. */
		fill_create(&vcp, 0, arena + MIB, MIB);
		CHECK_EQ(try_create(&vcp), 0);
		unmap(arena, 2 * MIB);
	}
	arena = map(MIB);
	unmap(arena, MIB);
	fill_create(&vcp, 0, arena, MIB);
	CHECK_EQ(try_create(&vcp), ENOMEM);
}

/* The second range is looked at as well as the first. */
static void
check_5_second(void)
{
	struct vm_create_params vcp;
	uint8_t *arena = map(2 * MIB);

	fill_create(&vcp, 0, arena, MIB);
	vcp.vcp_nmemranges = 2;
	vcp.vcp_memranges[1] = vcp.vcp_memranges[0];
	vcp.vcp_memranges[1].vmr_gpa = 2 * MIB;
	vcp.vcp_memranges[1].vmr_va += MIB;
	CHECK_EQ(try_create(&vcp), 0);
	unmap(arena + MIB, MIB);
	CHECK_EQ(try_create(&vcp), ENOMEM);
	unmap(arena, MIB);
}

/* A wrong argument is EINVAL whether the memory is there or not. */
static void
check_order(void)
{
	struct vm_create_params vcp;
	void *gone = (void *)PAGE;

	fill_create(&vcp, 0, gone, MIB);
	EXPECT("only unmapped", try_create(&vcp), ENOMEM);
	vcp.vcp_ncpus = 0;
	EXPECT("no VCPU", try_create(&vcp), EINVAL);
	vcp.vcp_ncpus = 65;
	EXPECT("65 VCPUs", try_create(&vcp), EINVAL);
	fill_create(&vcp, 0, gone, MIB + PAGE);
	EXPECT("no whole MiB", try_create(&vcp), EINVAL);
	fill_create(&vcp, 0, gone, MIB);
	vcp.vcp_nmemranges = 2;
	vcp.vcp_memranges[1] = vcp.vcp_memranges[0];
	EXPECT("overlap", try_create(&vcp), EINVAL);
	fill_create(&vcp, HOLE, gone, MIB);
	EXPECT("hole", try_create(&vcp), EINVAL);
}

/* Ranges of one VM, and of two, may be the same memory of the client. */
static void
same_memory(void)
{
	static const struct row rows[] = {
		{ "one", 0, 1, { { 0, MIB } } },
	};
	struct vm_create_params vcp, other;
	uint8_t *arena = map(MIB);

	fill_create(&vcp, 0, arena, MIB);
	vcp.vcp_nmemranges = 2;
	vcp.vcp_memranges[1] = vcp.vcp_memranges[0];
	vcp.vcp_memranges[1].vmr_gpa = MIB;
	CHECK_EQ(client_ioc_create(conform_fd, &vcp), 0);
	fill_create(&other, 0, arena, MIB);
	CHECK_EQ(client_ioc_create(conform_fd, &other), 0);
	CHECK_EQ(client_ioc_term(conform_fd, vcp.vcp_id), 0);
	CHECK_EQ(client_ioc_term(conform_fd, other.vcp_id), 0);
	unmap(arena, MIB);
	try_rows(rows, NELEM(rows));
}

/* A failed CREATE gives back what it took, wherever it failed. */
static void
no_leak(void)
{
	struct vm_create_params vcp;
	uint64_t before, after;
	bool counted;
	int i;

	fill_create(&vcp, 0, (void *)PAGE, MIB);
	CHECK_EQ(try_create(&vcp), ENOMEM);
	counted = host_free_pages(&before);
	for (i = 0; i < 100; i++) {
		vcp.vcp_ncpus = 1 + i % 64;
		CHECK_EQ(client_ioc_create(conform_fd, &vcp), ENOMEM);
	}
	CHECK_EQ(vm_count(), 0);
	if (counted && host_free_pages(&after))
		CHECK_EQ(after, before);
}

const struct clause ioctl_create[] = {
	ROW("3.1.3a", "CREATE: 1 to 16 ranges", MATCH, check_a),
	ROW("3.1.3b", "CREATE: addresses and sizes in whole pages, no size 0",
	    MATCH, check_b),
	ROW("3.1.3c", "CREATE: nothing at or above 32 GiB", MATCH, check_c),
	ROW("3.1.3d", "CREATE: memory in user addresses only", MATCH,
	    check_d),
	ROW("3.1.3e", "CREATE: no range starts in the MMIO hole", MATCH,
	    check_e),
	ROW("3.1.3f", "CREATE: no range ends in the MMIO hole", MATCH,
	    check_f),
	ROW("F2.create", "CREATE: no range covers the MMIO hole", FIX,
	    check_f2),
	ROW("3.1.3g", "CREATE: ranges ascend and do not overlap", MATCH,
	    check_g),
	ROW("3.1.3h", "CREATE: the sum is a multiple of 1 MiB", MATCH,
	    check_h),
	ROW("3.1.5", "CREATE: memory that is not all mapped is ENOMEM",
	    MATCH, check_5),
	ROW("3.1.5-second", "CREATE: so is a second range", MATCH,
	    check_5_second),
	ROW("3.1.order", "CREATE: EINVAL comes before ENOMEM", MATCH,
	    check_order),
	ROW("3.1.same-memory", "CREATE: ranges and VMs may share the client's "
	    "memory", MATCH, same_memory),
	ROW("F21.enomem", "CREATE that fails leaves no VM and no memory", FIX,
	    no_leak),
	CLAUSE_END
};
