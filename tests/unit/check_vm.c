/* SPDX-License-Identifier: ISC */
/*
 * check_vm.c - memory of a VM: the ranges of CREATE, pages taken at first
 * touch, large pages, MPROTECT_EPT.
 */
#include "unit.h"

#define HOLE		0xf0000000ULL
#define FOUR_G		0x100000000ULL
#define TOP		0x800000000ULL	/* 32 GiB */
#define USER_TOP	0x7ffffffff000ULL
#define RWX		7

static struct vm_create_params vcp;

static void
range(unsigned int i, uint64_t gpa, uint64_t va, uint64_t size)
{
	vcp.vcp_memranges[i].vmr_gpa = gpa;
	vcp.vcp_memranges[i].vmr_va = va;
	vcp.vcp_memranges[i].vmr_size = size;
	vcp.vcp_nmemranges = i + 1;
	vcp.vcp_ncpus = 1;
}

static int
check(void)
{
	uint64_t pages = 0;
	int error = vm_ranges_check(&vcp, &pages);

	ck_assert(error == 0 || error == EINVAL);
	ck_assert(error != 0 || pages != 0);
	return (error);
}

/* One range and nothing else. */
static int
check1(uint64_t gpa, uint64_t va, uint64_t size)
{
	memset(&vcp, 0, sizeof(vcp));
	range(0, gpa, va, size);
	return (check());
}

START_TEST(ranges_count)
{
	unsigned int i;

	memset(&vcp, 0, sizeof(vcp));
	vcp.vcp_ncpus = 1;
	ck_assert_int_eq(check(), EINVAL);
	for (i = 0; i < 16; i++) {
		range(i, i * MIB, GUEST_VA + i * MIB, MIB);
		ck_assert_int_eq(check(), 0);
	}
	vcp.vcp_nmemranges = 17;
	ck_assert_int_eq(check(), EINVAL);
	vcp.vcp_nmemranges = SIZE_MAX;
	ck_assert_int_eq(check(), EINVAL);
}
END_TEST

START_TEST(ranges_alignment)
{
	ck_assert_int_eq(check1(0, GUEST_VA, MIB), 0);
	ck_assert_int_eq(check1(1, GUEST_VA, MIB), EINVAL);
	ck_assert_int_eq(check1(0x800, GUEST_VA, MIB), EINVAL);
	ck_assert_int_eq(check1(0, GUEST_VA + 1, MIB), EINVAL);
	ck_assert_int_eq(check1(0, GUEST_VA, MIB - 1), EINVAL);
	ck_assert_int_eq(check1(0, GUEST_VA, MIB + 0x800), EINVAL);
	ck_assert_int_eq(check1(0, GUEST_VA, 0), EINVAL);
	ck_assert_int_eq(check1(0x1000, GUEST_VA + 0x1000, MIB), 0);
}
END_TEST

START_TEST(ranges_top)
{
	ck_assert_int_eq(check1(TOP - MIB, GUEST_VA, MIB), 0);
	ck_assert_int_eq(check1(TOP - MIB, GUEST_VA, 2 * MIB), EINVAL);
	ck_assert_int_eq(check1(TOP, GUEST_VA, MIB), EINVAL);
	ck_assert_int_eq(check1(TOP - MIB + 0x1000, GUEST_VA, MIB), EINVAL);
	ck_assert_int_eq(check1(UINT64_MAX & ~0xfffULL, GUEST_VA, MIB),
	    EINVAL);
	ck_assert_int_eq(check1(FOUR_G, GUEST_VA, TOP - FOUR_G), 0);
	ck_assert_int_eq(check1(FOUR_G, GUEST_VA, 0ULL - MIB), EINVAL);
}
END_TEST

START_TEST(ranges_va)
{
	ck_assert_int_eq(check1(0, 0, MIB), EINVAL);
	ck_assert_int_eq(check1(0, 0x1000, MIB), 0);
	ck_assert_int_eq(check1(0, USER_TOP, MIB), EINVAL);
	ck_assert_int_eq(check1(0, USER_TOP - MIB, MIB), EINVAL);
	ck_assert_int_eq(check1(0, USER_TOP - MIB - 0x1000, MIB), 0);
	ck_assert_int_eq(check1(0, 0xffff800000000000, MIB), EINVAL);
}
END_TEST

/* F2: any overlap with the MMIO hole, at each of its edges. */
START_TEST(f2_hole)
{
	ck_assert_int_eq(check1(HOLE - MIB, GUEST_VA, MIB), 0);
	ck_assert_int_eq(check1(HOLE - MIB + 0x1000, GUEST_VA, MIB), EINVAL);
	ck_assert_int_eq(check1(HOLE, GUEST_VA, MIB), EINVAL);
	ck_assert_int_eq(check1(FOUR_G - MIB, GUEST_VA, MIB), EINVAL);
	ck_assert_int_eq(check1(FOUR_G - 0x1000, GUEST_VA, MIB), EINVAL);
	ck_assert_int_eq(check1(FOUR_G, GUEST_VA, MIB), 0);
	ck_assert_int_eq(check1(0, GUEST_VA, FOUR_G), EINVAL);
	ck_assert_int_eq(check1(HOLE - MIB, GUEST_VA, FOUR_G), EINVAL);
	ck_assert_int_eq(check1(0, GUEST_VA, HOLE), 0);
}
END_TEST

START_TEST(ranges_order)
{
	memset(&vcp, 0, sizeof(vcp));
	range(0, 0, GUEST_VA, MIB);
	range(1, MIB, GUEST_VA + 4 * MIB, MIB);		/* adjacent */
	ck_assert_int_eq(check(), 0);
	range(1, MIB - 0x1000, GUEST_VA + 4 * MIB, MIB); /* overlap */
	ck_assert_int_eq(check(), EINVAL);
	range(1, 0, GUEST_VA + 4 * MIB, MIB);
	ck_assert_int_eq(check(), EINVAL);
	range(0, 4 * MIB, GUEST_VA, MIB);
	range(1, 0, GUEST_VA + 4 * MIB, MIB);		/* descending */
	ck_assert_int_eq(check(), EINVAL);
}
END_TEST

/* The sum is whole MiB; one range need not be. */
START_TEST(ranges_sum)
{
	memset(&vcp, 0, sizeof(vcp));
	range(0, 0, GUEST_VA, 640 << 10);
	ck_assert_int_eq(check(), EINVAL);
	range(1, MIB, GUEST_VA + MIB, 384 << 10);
	ck_assert_int_eq(check(), 0);
	range(1, MIB, GUEST_VA + MIB, 388 << 10);
	ck_assert_int_eq(check(), EINVAL);
}
END_TEST

/* --- CREATE against the client's mappings --- */

START_TEST(create_unmapped)
{
	uint32_t id;

	ck_assert_int_eq(unit_create_at(GUEST_VA, MIB, 1, &id), ENOMEM);
	fake_user_map(GUEST_VA, MIB - 0x1000, 0);
	ck_assert_int_eq(unit_create_at(GUEST_VA, MIB, 1, &id), ENOMEM);
	fake_user_map(GUEST_VA + MIB - 0x1000, 0x1000, 0);
	ck_assert_int_eq(unit_create_at(GUEST_VA, MIB, 1, &id), 0);
	ck_assert_uint_eq(fake_pins(), 0);	/* nothing taken yet */
}
END_TEST

START_TEST(create_second_range_unmapped)
{
	memset(&vcp, 0, sizeof(vcp));
	fake_user_map(GUEST_VA, MIB, 0);
	range(0, 0, GUEST_VA, MIB);
	range(1, MIB, GUEST_VA + 4 * MIB, MIB);
	ck_assert_int_eq(IOCTL(VMM_IOC_CREATE, &vcp), ENOMEM);
	ck_assert_uint_eq(fake_charged(), 0);
}
END_TEST

/* --- First touch --- */

START_TEST(first_touch)
{
	uint32_t id = unit_create(2 * MIB, 1);
	struct vm *vm = unit_vm(id);
	uint64_t hpa;

	ck_assert_int_eq(vm_fault(vm, 0x3456, &hpa), 0);
	ck_assert_uint_eq(hpa, fake_user_pa(GUEST_VA + 0x3456));
	ck_assert_uint_eq(fake_pins(), 1);
	ck_assert_uint_eq(fake_page_pins(hpa & ~0xfffULL), 1);
	ck_assert_int_eq(vm_fault(vm, 0x3000, &hpa), 0);
	ck_assert_uint_eq(fake_pins(), 1);
	ck_assert_uint_eq(unit_used(id), PAGE_SIZE_4K);
}
END_TEST

/* A 2 MiB block when the client has one there; else pages. */
START_TEST(large_page)
{
	uint32_t id;
	uint64_t hpa;

	fake_user_map(GUEST_VA, 4 * MIB, FAKE_HUGE);
	id = unit_create(4 * MIB, 1);
	ck_assert_int_eq(vm_fault(unit_vm(id), 3 * MIB, &hpa), 0);
	ck_assert_uint_eq(hpa, fake_user_pa(GUEST_VA + 3 * MIB));
	ck_assert_uint_eq(fake_pins(), 512);
	ck_assert_uint_eq(unit_used(id), 2 * MIB);
}
END_TEST

/* Addresses that differ in their place in a block: no large page. */
START_TEST(large_page_skewed)
{
	uint32_t id;
	uint64_t hpa;

	fake_user_map(GUEST_VA, 6 * MIB, FAKE_HUGE);
	ck_assert_int_eq(unit_create_at(GUEST_VA + MIB, 4 * MIB, 1, &id), 0);
	ck_assert_int_eq(vm_fault(unit_vm(id), 2 * MIB, &hpa), 0);
	ck_assert_uint_eq(hpa, fake_user_pa(GUEST_VA + 3 * MIB));
	ck_assert_uint_eq(fake_pins(), 1);
}
END_TEST

/* A block that would reach out of its range: no large page. */
START_TEST(large_page_partial)
{
	uint32_t id;
	uint64_t hpa;

	fake_user_map(GUEST_VA, 4 * MIB, FAKE_HUGE);
	ck_assert_int_eq(unit_create_at(GUEST_VA, 3 * MIB, 1, &id), 0);
	ck_assert_int_eq(vm_fault(unit_vm(id), 2 * MIB, &hpa), 0);
	ck_assert_uint_eq(fake_pins(), 1);
	ck_assert_int_eq(vm_fault(unit_vm(id), 0, &hpa), 0);
	ck_assert_uint_eq(fake_pins(), 513);
}
END_TEST

/*
 * A CPU with 1 GiB pages: the whole block where the client has one, else
 * 2 MiB, and no pin of the try is left.
 */
START_TEST(huge_page)
{
	const struct hv_ops *was = hv;
	struct npt_format fmt = *hv->npt;
	struct hv_ops ops = *hv;
	uint32_t id;
	uint64_t hpa;

	fmt.max_order = ORDER_1G;
	ops.npt = &fmt;
	hv = &ops;
	fake_user_map(GUEST_VA, 1024 * MIB, FAKE_HUGE);
	fake_user_map(GUEST_VA + 1024 * MIB, 512 * MIB, FAKE_HUGE);
	fake_user_map(GUEST_VA + 1536 * MIB, 512 * MIB, FAKE_HUGE);
	id = unit_create(2048 * MIB, 1);
	ck_assert_int_eq(vm_fault(unit_vm(id), 5 * MIB, &hpa), 0);
	ck_assert_uint_eq(hpa, fake_user_pa(GUEST_VA + 5 * MIB));
	ck_assert_uint_eq(fake_pins(), 512 * 512);
	ck_assert_int_eq(vm_fault(unit_vm(id), 1029 * MIB, &hpa), 0);
	ck_assert_uint_eq(hpa, fake_user_pa(GUEST_VA + 1029 * MIB));
	ck_assert_uint_eq(fake_pins(), 512 * 513);
	ck_assert_int_eq(unit_term(id), 0);
	hv = was;
}
END_TEST

/* Where one page is taken already, the block can no longer be large. */
START_TEST(large_page_occupied)
{
	uint32_t id;
	uint64_t hpa;

	fake_user_map(GUEST_VA, MIB, 0);
	fake_user_map(GUEST_VA + MIB, MIB, 0);
	id = unit_create(2 * MIB, 1);
	ck_assert_int_eq(vm_fault(unit_vm(id), 0x5000, &hpa), 0);
	fake_user_unmap(GUEST_VA, 2 * MIB);
	fake_user_map(GUEST_VA, 2 * MIB, FAKE_HUGE);
	ck_assert_int_eq(vm_fault(unit_vm(id), 0x6000, &hpa), 0);
	ck_assert_uint_eq(hpa, fake_user_pa(GUEST_VA + 0x6000));
	ck_assert_uint_eq(fake_pins(), 2);
}
END_TEST

START_TEST(fault_nowhere)
{
	uint32_t id = unit_create(2 * MIB, 1);
	struct vm *vm = unit_vm(id);
	uint64_t hpa;

	ck_assert_int_eq(vm_fault(vm, 2 * MIB, &hpa), EINVAL);
	ck_assert_int_eq(vm_fault(vm, HOLE - 1, &hpa), EINVAL);
	ck_assert_int_eq(vm_fault(vm, HOLE, &hpa), EFAULT);
	ck_assert_int_eq(vm_fault(vm, FOUR_G - 1, &hpa), EFAULT);
	ck_assert_int_eq(vm_fault(vm, FOUR_G, &hpa), EINVAL);
	ck_assert_int_eq(vm_fault(vm, 1ULL << 47, &hpa), EINVAL);
	ck_assert_uint_eq(fake_pins(), 0);
}
END_TEST

/* Ranges with a gap between them: each address belongs to its own range. */
START_TEST(two_ranges)
{
	struct vm *vm;
	uint64_t hpa;

	memset(&vcp, 0, sizeof(vcp));
	fake_user_map(GUEST_VA, MIB, 0);
	fake_user_map(GUEST_VA + 8 * MIB, MIB, 0);
	range(0, 0, GUEST_VA + 8 * MIB, MIB);
	range(1, 4 * MIB, GUEST_VA, MIB);
	ck_assert_int_eq(IOCTL(VMM_IOC_CREATE, &vcp), 0);
	vm = unit_vm(vcp.vcp_id);
	ck_assert_int_eq(vm_fault(vm, MIB - 1, &hpa), 0);
	ck_assert_uint_eq(hpa, fake_user_pa(GUEST_VA + 9 * MIB - 1));
	ck_assert_int_eq(vm_fault(vm, 4 * MIB, &hpa), 0);
	ck_assert_uint_eq(hpa, fake_user_pa(GUEST_VA));
	ck_assert_int_eq(vm_fault(vm, MIB, &hpa), EINVAL);
	ck_assert_int_eq(vm_fault(vm, 4 * MIB - 1, &hpa), EINVAL);
	ck_assert_int_eq(vm_fault(vm, 5 * MIB, &hpa), EINVAL);
}
END_TEST

/* F23: unmapped before first touch is EFAULT, after it the page stays. */
START_TEST(f23_unmapped)
{
	uint32_t id = unit_create(2 * MIB, 1);
	struct vm *vm = unit_vm(id);
	uint64_t a, b;

	ck_assert_int_eq(vm_fault(vm, 0x1000, &a), 0);
	fake_user_unmap(GUEST_VA, 2 * MIB);
	ck_assert_int_eq(vm_fault(vm, 0x1000, &b), 0);
	ck_assert_uint_eq(a, b);
	ck_assert_int_eq(fake_page_kind(a), FAKE_PAGE_USER);
	ck_assert_int_eq(vm_fault(vm, 0x2000, &b), EFAULT);
	fake_user_map(GUEST_VA, 2 * MIB, 0);	/* something else there now */
	ck_assert_int_eq(vm_fault(vm, 0x1000, &b), 0);
	ck_assert_uint_eq(a, b);
	ck_assert_int_eq(unit_term(id), 0);
	ck_assert_int_eq(fake_page_kind(a), FAKE_PAGE_FREED);
}
END_TEST

/* F23: memory is the creator's, whoever asks. */
START_TEST(f23_other_client)
{
	uint32_t id = unit_create(2 * MIB, 1);
	struct vm *vm = unit_vm(id);
	uint64_t pa = fake_user_pa(GUEST_VA + 0x4000), hpa;
	struct host_as *mine = fake_as_current();

	fake_as_use(fake_as_new());
	fake_user_map(GUEST_VA, 2 * MIB, 0);
	ck_assert_int_eq(vm_fault(vm, 0x4000, &hpa), 0);
	ck_assert_uint_eq(hpa, pa);
	fake_as_exit(mine);
	ck_assert_int_eq(vm_fault(vm, 0x5000, &hpa), EFAULT);
	ck_assert_int_eq(vm_fault(vm, 0x4000, &hpa), 0);
	fake_as_use(mine);
}
END_TEST

/* C5: private read-only is no obstacle, shared read-only is EFAULT. */
START_TEST(c5_readonly)
{
	uint32_t id = unit_create(2 * MIB, 1);
	struct vm *vm = unit_vm(id);
	uint64_t hpa;

	fake_user_protect(GUEST_VA, 2 * MIB, false);
	ck_assert_int_eq(vm_fault(vm, 0x4000, &hpa), 0);
	ck_assert_int_eq(unit_term(id), 0);
	fake_user_unmap(GUEST_VA, 2 * MIB);
	fake_user_map(GUEST_VA, 2 * MIB, FAKE_SHARED | FAKE_RO);
	id = unit_create(2 * MIB, 1);
	vm = unit_vm(id);
	ck_assert_int_eq(vm_fault(vm, 0x4000, &hpa), EFAULT);
	fake_user_protect(GUEST_VA, 2 * MIB, true);
	ck_assert_int_eq(vm_fault(vm, 0x4000, &hpa), 0);
}
END_TEST

START_TEST(device_memory)
{
	uint32_t id;
	uint64_t hpa;

	fake_user_map(GUEST_VA, 2 * MIB, FAKE_DEVICE);
	id = unit_create(2 * MIB, 1);
	ck_assert_int_eq(vm_fault(unit_vm(id), 0, &hpa), EFAULT);
}
END_TEST

/* --- MPROTECT_EPT --- */

/* abi.md 3.11, F2, F20: each EINVAL, and its neighbour that is none. */
START_TEST(protect_einval)
{
	static const struct {
		uint64_t	gpa, size;
		int		prot, error;
	} t[] = {
		{ 0, 0x1000, 1, 0 },
		{ 0, 0x1000, 3, 0 },
		{ 0, 0x1000, 4, 0 },
		{ 0, 0x1000, 5, 0 },
		{ 0, 0x1000, 6, 0 },		/* W+X is accepted */
		{ 0, 0x1000, 7, 0 },
		{ 0, 0x1000, 0, EINVAL },
		{ 0, 0x1000, 2, EINVAL },
		{ 0, 0x1000, 0xf, EINVAL },	/* W+X and unknown bits */
		{ 0, 0x1000, 0xe, EINVAL },
		{ 0, 0x1000, 0x9, 0 },		/* unknown bits alone */
		{ 0, 0x1000, 0xa, EINVAL },	/* W only, whatever else */
		{ 0, 0x1000, 0x8, EINVAL },
		{ 1, 0x1000, 7, EINVAL },
		{ 0, 0x1001, 7, EINVAL },
		{ 0, 0, 7, EINVAL },
		{ 0, 1ULL << 39, 7, EINVAL },
		{ 0x1000, 0ULL - 0x1000, 7, EINVAL },
		{ 0x1000, 0ULL - 0x2000, 7, EINVAL },
		{ HOLE, 0x1000, 7, EINVAL },
		{ FOUR_G - 0x1000, 0x1000, 7, EINVAL },
		{ 0, 2 * MIB, 7, 0 },
		{ 0, 2 * MIB + 0x1000, 7, EINVAL }, /* past guest memory */
		{ MIB, HOLE - MIB + 0x1000, 7, EINVAL },
		{ 0, FOUR_G + 0x1000, 7, EINVAL },
		{ 2 * MIB, 0x1000, 7, EINVAL },
		{ 2 * MIB - 0x1000, 0x1000, 7, 0 },
	};
	uint32_t id = unit_create(2 * MIB, 1);
	size_t i;
	int e;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint64_t pins = fake_pins();

		e = unit_protect(id, t[i].gpa, t[i].size, t[i].prot);
		ck_assert_msg(e == t[i].error, "row %zu: %d", i, e);
		if (e != 0)
			ck_assert_uint_eq(fake_pins(), pins);
	}
}
END_TEST

/* What the CPU's walk finds after it. */
static int
rights(uint32_t id, uint64_t gpa)
{
	uint64_t hpa, leaf;
	int r;

	if (!fake_walk(host_pa_of(unit_vm(id)->npt.root), gpa, &hpa, &r,
	    &leaf))
		return (-1);
	return (r);
}

/* F20: exactly the rights asked for, READ implied, and no page beside. */
START_TEST(f20_exact)
{
	uint32_t id = unit_create(2 * MIB, 1);
	int prot, want;

	for (prot = 1; prot <= 7; prot++) {
		if (prot == 2)
			continue;
		want = hv->npt->exec_only && prot == 4 ? prot : prot | 1;
		ck_assert_int_eq(unit_protect(id, 0x3000, 0x2000, prot), 0);
		ck_assert_int_eq(rights(id, 0x3000), want);
		ck_assert_int_eq(rights(id, 0x4fff), want);
		ck_assert_int_eq(rights(id, 0x2fff), -1);
		ck_assert_int_eq(rights(id, 0x5000), -1);
	}
	ck_assert_uint_eq(fake_pins(), 2);
}
END_TEST

START_TEST(protect_splits)
{
	uint32_t id;

	fake_user_map(GUEST_VA, 4 * MIB, FAKE_HUGE);
	id = unit_create(4 * MIB, 1);
	ck_assert_int_eq(unit_protect(id, 0, 4 * MIB, 7), 0);
	ck_assert_uint_eq(fake_pins(), 1024);
	ck_assert_int_eq(unit_protect(id, 2 * MIB - 0x1000, 0x2000, 1), 0);
	ck_assert_int_eq(rights(id, 2 * MIB - 0x1001), 7);
	ck_assert_int_eq(rights(id, 2 * MIB - 0x1000), 1);
	ck_assert_int_eq(rights(id, 2 * MIB + 0xfff), 1);
	ck_assert_int_eq(rights(id, 2 * MIB + 0x1000), 7);
	ck_assert_uint_eq(unit_used(id), 4 * MIB);
	ck_assert_int_eq(unit_term(id), 0);
	ck_assert_uint_eq(fake_pins(), 0);
}
END_TEST

/* Across two ranges that touch, and not across a gap. */
START_TEST(protect_ranges)
{
	uint32_t id;

	memset(&vcp, 0, sizeof(vcp));
	fake_user_map(GUEST_VA, 4 * MIB, 0);
	range(0, 0, GUEST_VA, MIB);
	range(1, MIB, GUEST_VA + 3 * MIB, MIB);
	range(2, 3 * MIB, GUEST_VA + MIB, MIB);
	ck_assert_int_eq(IOCTL(VMM_IOC_CREATE, &vcp), 0);
	id = vcp.vcp_id;
	ck_assert_int_eq(unit_protect(id, MIB - 0x1000, 0x2000, 1), 0);
	ck_assert_int_eq(rights(id, MIB - 1), 1);
	ck_assert_int_eq(rights(id, MIB), 1);
	ck_assert_int_eq(unit_protect(id, 0, 2 * MIB, 1), 0);
	ck_assert_int_eq(unit_protect(id, MIB, 3 * MIB, 1), EINVAL);
	ck_assert_int_eq(unit_protect(id, 3 * MIB, MIB, 5), 0);
}
END_TEST

/* EFAULT: a page of it is not mapped; the rights did not change. */
START_TEST(protect_efault)
{
	uint32_t id = unit_create(2 * MIB, 1);

	ck_assert_int_eq(unit_protect(id, 0, 0x1000, 7), 0);
	fake_user_unmap(GUEST_VA + 0x3000, 0x1000);
	ck_assert_int_eq(unit_protect(id, 0, 0x8000, 1), EFAULT);
	ck_assert_int_eq(rights(id, 0), 7);
	ck_assert_int_eq(unit_protect(id, 0, 0x3000, 1), 0);
	ck_assert_int_eq(rights(id, 0), 1);
}
END_TEST

/* C5: before the first RESETCPU; then it outlives RESETCPU. */
START_TEST(c5_before_reset)
{
	uint32_t id = unit_create(2 * MIB, 1);
	struct vcpu_reg_state r;

	unit_real(&r);
	ck_assert_int_eq(unit_protect(id, 0, 0x1000, 5), 0);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	ck_assert_int_eq(rights(id, 0), 5);
}
END_TEST

/* A client's own protection says nothing about the guest's. */
START_TEST(c5_client_protection)
{
	uint32_t id = unit_create(2 * MIB, 1);

	fake_user_protect(GUEST_VA, 2 * MIB, false);
	ck_assert_int_eq(unit_protect(id, 0, 0x1000, 7), 0);
	ck_assert_int_eq(rights(id, 0), 7);
}
END_TEST

/* 1 GiB in 2 MiB pages takes at most 16 KiB of tables. */
START_TEST(tables_of_1g)
{
	uint32_t id;

	fake_user_map(GUEST_VA, 1024 * MIB, FAKE_HUGE);
	id = unit_create(1024 * MIB, 1);
	ck_assert_int_eq(unit_protect(id, 0, 1024 * MIB, 7), 0);
	ck_assert_uint_le(unit_vm(id)->npt.tables * PAGE_SIZE_4K, 16384);
	ck_assert_uint_eq(unit_used(id), 1024 * MIB);
}
END_TEST

static void
more_tests(TCase *tc)
{
	tcase_add_test(tc, protect_einval);
	tcase_add_test(tc, f20_exact);
	tcase_add_test(tc, protect_splits);
	tcase_add_test(tc, protect_ranges);
	tcase_add_test(tc, protect_efault);
	tcase_add_test(tc, c5_before_reset);
	tcase_add_test(tc, c5_client_protection);
	tcase_add_test(tc, tables_of_1g);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("vm");
	TCase *tc = unit_case(s, "vm");

	tcase_add_test(tc, ranges_count);
	tcase_add_test(tc, ranges_alignment);
	tcase_add_test(tc, ranges_top);
	tcase_add_test(tc, ranges_va);
	tcase_add_test(tc, f2_hole);
	tcase_add_test(tc, ranges_order);
	tcase_add_test(tc, ranges_sum);
	tcase_add_test(tc, create_unmapped);
	tcase_add_test(tc, create_second_range_unmapped);
	tcase_add_test(tc, first_touch);
	tcase_add_test(tc, large_page);
	tcase_add_test(tc, large_page_skewed);
	tcase_add_test(tc, large_page_partial);
	tcase_add_test(tc, huge_page);
	tcase_add_test(tc, large_page_occupied);
	tcase_add_test(tc, fault_nowhere);
	tcase_add_test(tc, two_ranges);
	tcase_add_test(tc, f23_unmapped);
	tcase_add_test(tc, f23_other_client);
	tcase_add_test(tc, c5_readonly);
	tcase_add_test(tc, device_memory);
	more_tests(tc);
	return (s);
}
