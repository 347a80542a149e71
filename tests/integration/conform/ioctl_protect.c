/* SPDX-License-Identifier: ISC */
/*
 * ioctl_protect.c - MPROTECT_EPT.
 */
#include <sys/mman.h>

#include "ioctl_util.h"

#define R	1
#define W	2
#define X	4
#define HOLE	VMM_PCI_MMIO_BAR_BASE
#define HOLE_END (VMM_PCI_MMIO_BAR_END + 1)

static int
protect(struct client_vm *v, uint64_t gpa, uint64_t size, int prot)
{
	return (client_ioc_mprotect(v->fd, v->id, v->vcpu, gpa, size, prot));
}

static uint64_t
used(struct client_vm *v)
{
	struct vm_info_result vir;

	CHECK(get_info(v->id, &vir));
	return (vir.vir_used_size);
}

/* A VM with one MiB on each side of the hole and two that touch at 1 MiB. */
static struct client_vm *
new_split(struct client_vm *v)
{
	static const uint64_t gpas[] = {
		0, CLIENT_MIB, HOLE - CLIENT_MIB, HOLE_END,
	};
	struct vm_create_params vcp;
	size_t i;

	memset(v, 0, sizeof(*v));
	v->fd = conform_fd;
	v->size = 4 * CLIENT_MIB;
	v->mem = map(v->size);
	memset(&vcp, 0, sizeof(vcp));
	vcp.vcp_ncpus = 1;
	for (i = 0; i < NELEM(gpas); i++) {
		vcp.vcp_memranges[i].vmr_gpa = gpas[i];
		vcp.vcp_memranges[i].vmr_va = (uintptr_t)v->mem +
		    i * CLIENT_MIB;
		vcp.vcp_memranges[i].vmr_size = CLIENT_MIB;
	}
	vcp.vcp_nmemranges = i;
	CHECK_EQ(client_ioc_create(conform_fd, &vcp), 0);
	v->id = vcp.vcp_id;
	return (v);
}

/* 1-4: rights. */
static void
rights(void)
{
	static const struct {
		int	prot, error;
	} rows[] = {
		{ R, 0 }, { W, EINVAL }, { X, 0 }, { R | W, 0 }, { R | X, 0 },
		{ W | X, 0 }, { R | W | X, 0 }, { 0, EINVAL },
		{ W | X | 8, EINVAL }, { R | W | X | 8, EINVAL },
		{ W | X | 0x10000, EINVAL }, { -1, EINVAL },
		{ W | X | (int)0x80000000, EINVAL }, { W | 8, EINVAL },
		{ W | 0x100, EINVAL }, { R | 8, 0 }, { R | W | 8, 0 },
		{ R | X | 0x100, 0 },
	};
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	size_t i;

	for (i = 0; i < NELEM(rows); i++) {
		CHECK_EQ(protect(v, 0x90000, PAGE, R | W | X), 0);
		note("prot 0x%x", (unsigned int)rows[i].prot);
		CHECK_EQ(protect(v, 0x90000, PAGE, rows[i].prot),
		    rows[i].error);
		if (rows[i].error == 0)
			continue;
		CHECK_EQ(guest_write(v, 0x90000), CLIENT_IO);
	}
}

/* 5-7: whole pages, some, not too many, no wrap. */
static void
alignment(void)
{
	static const struct {
		uint64_t	gpa, size;
		int		error;
	} rows[] = {
		{ 0x90000, PAGE, 0 },
		{ 0x90001, PAGE, EINVAL }, { 0x90800, PAGE, EINVAL },
		{ 0x90fff, PAGE, EINVAL }, { 0x90000, 0, EINVAL },
		{ 0x90000, 1, EINVAL }, { 0x90000, PAGE - 1, EINVAL },
		{ 0x90000, PAGE + 1, EINVAL }, { 0x90000, 0x800, EINVAL },
		{ 0, CLIENT_MIB, 0 },
		{ 0, 512 * GIB - PAGE, EINVAL }, { 0, 512 * GIB, EINVAL },
		{ 0, 512 * GIB + PAGE, EINVAL },
		{ 0x90000, 1UL << 63, EINVAL }, { 0x90000, -PAGE, EINVAL },
		{ 0x90000, -0x90000UL, EINVAL },
		{ -PAGE, PAGE, EINVAL }, { -PAGE, 2 * PAGE, EINVAL },
	};
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	size_t i;

	for (i = 0; i < NELEM(rows); i++) {
		note("0x%llx + 0x%llx", (unsigned long long)rows[i].gpa,
		    (unsigned long long)rows[i].size);
		CHECK_EQ(protect(v, rows[i].gpa, rows[i].size, R),
		    rows[i].error);
		CHECK_EQ(protect(v, 0, CLIENT_MIB, R | W | X), 0);
	}
}

/* 8-10 and F2: outside memory, in the hole, across it. */
static void
outside(void)
{
	static const struct {
		uint64_t	gpa, size;
		int		error;
	} rows[] = {
		{ HOLE - PAGE, PAGE, 0 }, { HOLE - PAGE, 2 * PAGE, EINVAL },
		{ HOLE, PAGE, EINVAL }, { HOLE + PAGE, PAGE, EINVAL },
		{ HOLE_END - PAGE, PAGE, EINVAL },
		{ HOLE_END - PAGE, 2 * PAGE, EINVAL },
		{ HOLE_END, PAGE, 0 },
		{ HOLE - PAGE, HOLE_END - HOLE + PAGE, EINVAL },
		{ HOLE - PAGE, HOLE_END - HOLE + 2 * PAGE, EINVAL },
		{ HOLE_END + CLIENT_MIB - PAGE, PAGE, 0 },
		{ HOLE_END + CLIENT_MIB, PAGE, EINVAL },
		{ 2 * CLIENT_MIB, PAGE, EINVAL },
		{ 8 * GIB, PAGE, EINVAL }, { 32 * GIB, PAGE, EINVAL },
		{ HOLE - CLIENT_MIB - PAGE, PAGE, EINVAL },
		{ HOLE - CLIENT_MIB, CLIENT_MIB, 0 },
	};
	struct client_vm vm, *v = new_split(&vm);
	size_t i;

	for (i = 0; i < NELEM(rows); i++) {
		note("0x%llx + 0x%llx", (unsigned long long)rows[i].gpa,
		    (unsigned long long)rows[i].size);
		CHECK_EQ(protect(v, rows[i].gpa, rows[i].size, R),
		    rows[i].error);
	}
	client_destroy(v);
}

/* F2: what runs past the memory changes nothing of what is inside. */
static void
past_memory(void)
{
	static const struct {
		uint64_t	gpa, size;
	} rows[] = {
		{ 0xff000, 2 * PAGE }, { 0x90000, CLIENT_MIB },
		{ 0, CLIENT_MIB + PAGE }, { 0x90000, 8 * GIB },
		{ 0x90000, HOLE_END },
	};
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct snapshot before;
	size_t i;

	take_snapshot(v, &before);
	for (i = 0; i < NELEM(rows); i++) {
		CHECK_EQ(protect(v, rows[i].gpa, rows[i].size, R), EINVAL);
		same_snapshot("past memory", v, &before);
	}
	CHECK_EQ(guest_write(v, 0x90000), CLIENT_IO);
	CHECK_EQ(guest_write(v, 0xff000), CLIENT_IO);
}

/* Ranges that touch are one piece of memory; with a gap they are not. */
static void
across_ranges(void)
{
	struct client_vm vm, *v = new_split(&vm);

	CHECK_EQ(protect(v, CLIENT_MIB - PAGE, 2 * PAGE, R), 0);
	CHECK_EQ(used(v), 2 * PAGE);
	CHECK_EQ(protect(v, 0, 2 * CLIENT_MIB, R), 0);
	CHECK_EQ(used(v), 2 * CLIENT_MIB);
	CHECK_EQ(protect(v, 0, 2 * CLIENT_MIB + PAGE, R), EINVAL);
	CHECK_EQ(protect(v, 0, HOLE - CLIENT_MIB + PAGE, R), EINVAL);
	client_destroy(v);
}

/* State before arguments; ENOENT is in ioctl_order.c. */
static void
ebusy(void)
{
	static const uint8_t hlt[] = { 0xf4 };
	struct client_vm *v = new_started(code_spin, sizeof(code_spin), 2);
	struct client_vm *dead = new_started(hlt, sizeof(hlt), 1);
	struct bg r;

	bg_start(&r, v, 0);
	CHECK_EQ(protect(v, 0x90000, PAGE, R), EBUSY);
	EXPECT("EBUSY before EINVAL", protect(v, 0x90001, 0, W), EBUSY);
	/* It is the named VCPU that has to stand still. */
	v->vcpu = 1;
	CHECK_EQ(protect(v, 0x90000, PAGE, R), 0);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	bg_join(&r);
	CHECK_EQ(client_run(dead, NO_IRQ), EIO);
	CHECK_EQ(protect(dead, 0x90000, PAGE, R), EBUSY);
}

/* F20: exact rights on both vendors; the page is left alone. */
static void
exact(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);

	v->mem[0x90000] = 0x11;
	CHECK_EQ(protect(v, 0x90000, PAGE, R), 0);
	CHECK_EQ(guest_read(v, 0x90000), CLIENT_IO);
	CHECK_EQ(guest_write(v, 0x90000), CLIENT_PROTECT);
	CHECK_EQ(v->exit.vee.vee_fault_type, VEE_FAULT_PROTECT);
	CHECK_EQ(v->mem[0x90000], 0x11);
	CHECK_EQ(guest_write(v, 0x8f000), CLIENT_IO);
	CHECK_EQ(guest_write(v, 0x91000), CLIENT_IO);
	CHECK_EQ(protect(v, 0x90000, PAGE, R | W), 0);
	CHECK_EQ(guest_write(v, 0x90000), CLIENT_IO);
	CHECK_EQ(v->mem[0x90000], 0x77);
	CHECK_EQ(protect(v, 0x90000, PAGE, R | X), 0);
	CHECK_EQ(guest_write(v, 0x90000), CLIENT_PROTECT);
	CHECK_EQ(protect(v, 0x90000, PAGE, R | W | X), 0);
	CHECK_EQ(guest_write(v, 0x90000), CLIENT_IO);
}

/* A violation repeats until the rights change; then the guest goes on. */
static void
repeats(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	int i;

	CHECK_EQ(protect(v, 0x90000, PAGE, R), 0);
	CHECK_EQ(guest_write(v, 0x90000), CLIENT_PROTECT);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(client_run(v, NO_IRQ), 0);
		CHECK_EQ(client_event(v), CLIENT_PROTECT);
		CHECK_EQ(v->exit.vrs.vrs_gprs[VCPU_REGS_RIP],
		    GUEST_ENTRY + 2);
	}
	CHECK_EQ(protect(v, 0x90000, PAGE, R | W), 0);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
	CHECK_EQ(v->mem[0x90000], 0x77);
}

/* C5: on a VM that never was reset, and before any page was touched. */
static void
before_reset(void)
{
	struct client_vm *v = new_vm(CLIENT_MIB, 1);

	CHECK_EQ(protect(v, 0x90000, 2 * PAGE, R), 0);
	CHECK_EQ(used(v), 2 * PAGE);
	CHECK_EQ(guest_write(v, 0x90000), CLIENT_PROTECT);
	CHECK_EQ(guest_write(v, 0x91000), CLIENT_PROTECT);
	CHECK_EQ(guest_write(v, 0x92000), CLIENT_IO);
}

/* C5: the client's own protection of a private mapping does not matter. */
static void
client_rights(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);

	v->mem[0x90000] = v->mem[0x91000] = 0x11;
	CHECK_EQ(mprotect(v->mem + 0x90000, 4 * PAGE, PROT_READ), 0);
	CHECK_EQ(protect(v, 0x90000, PAGE, R | W | X), 0);
	CHECK_EQ(guest_write(v, 0x90000), CLIENT_IO);
	CHECK_EQ(guest_write(v, 0x91000), CLIENT_IO);
	CHECK_EQ(v->mem[0x90000], 0x77);
	CHECK_EQ(v->mem[0x91000], 0x77);
	CHECK_EQ(protect(v, 0x92000, PAGE, R), 0);
	CHECK_EQ(mprotect(v->mem + 0x90000, 4 * PAGE, PROT_READ |
	    PROT_WRITE), 0);
	CHECK_EQ(guest_write(v, 0x92000), CLIENT_PROTECT);
}

/* Memory that is gone before it was taken: EFAULT, and the rest stands. */
static void
gone(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);

	CHECK_EQ(munmap(v->mem + 0x90000, PAGE), 0);
	CHECK_EQ(protect(v, 0x8f000, 3 * PAGE, R), EFAULT);
	CHECK_EQ(guest_write(v, 0x8f000), CLIENT_IO);
	CHECK_EQ(protect(v, 0x91000, PAGE, R), 0);
	CHECK_EQ(guest_write(v, 0x91000), CLIENT_PROTECT);
}

/* One page of a large one: its neighbours keep theirs, nothing is lost. */
static void
split(void)
{
	struct client_vm *v = new_vm(4 * CLIENT_MIB, 1);
	uint64_t gpa;

	memset(v->mem, 0x11, v->size);
	CHECK_EQ(protect(v, 0, v->size, R | W | X), 0);
	CHECK_EQ(used(v), v->size);
	CHECK_EQ(protect(v, 0x90000, PAGE, R), 0);
	CHECK_EQ(used(v), v->size);
	for (gpa = 0x8e000; gpa <= 0x92000; gpa += PAGE) {
		CHECK_EQ(guest_write(v, (uint32_t)gpa), gpa == 0x90000 ?
		    CLIENT_PROTECT : CLIENT_IO);
		CHECK_EQ(v->mem[gpa], gpa == 0x90000 ? 0x11 : 0x77);
	}
	CHECK_EQ(protect(v, 0, v->size, R | X), 0);
	CHECK_EQ(guest_write(v, 0x20000), CLIENT_PROTECT);
	CHECK_EQ(guest_read(v, 0x90000), CLIENT_IO);
	CHECK_EQ(protect(v, 0, v->size, R | W | X), 0);
	CHECK_EQ(guest_write(v, 0x90000), CLIENT_IO);
	CHECK_EQ(used(v), v->size);
}

/* Every page of two MiB by itself, and what is taken comes back. */
static void
every_page(void)
{
	struct client_vm *v = new_vm(4 * CLIENT_MIB, 1);
	uint64_t gpa;

	CHECK_EQ(protect(v, 0, v->size, R | W | X), 0);
	for (gpa = 0; gpa < v->size; gpa += 2 * PAGE)
		CHECK_EQ(protect(v, gpa, PAGE, R | X), 0);
	CHECK_EQ(used(v), v->size);
	for (gpa = 0x20000; gpa < CLIENT_MIB; gpa += 0x11000)
		CHECK_EQ(guest_write(v, (uint32_t)gpa),
		    gpa / PAGE % 2 == 0 ? CLIENT_PROTECT : CLIENT_IO);
}

const struct clause ioctl_protect[] = {
	ROW("3.11.1-4", "MPROTECT_EPT: no write-only, no none, no W+X with "
	    "unknown bits", MATCH, rights),
	ROW("3.11.5-7", "MPROTECT_EPT: whole pages, below 512 GiB, no wrap",
	    MATCH, alignment),
	ROW("3.11.8-10", "MPROTECT_EPT: inside memory, outside the hole",
	    MATCH, outside),
	ROW("F2.protect", "MPROTECT_EPT past memory changes nothing", FIX,
	    past_memory),
	ROW("3.11.ranges", "MPROTECT_EPT across ranges that touch", MATCH,
	    across_ranges),
	ROW("3.11.ebusy", "MPROTECT_EPT by a VCPU not STOPPED is EBUSY",
	    MATCH, ebusy),
	ROW("F20.exact", "MPROTECT_EPT gives exactly these rights", FIX,
	    exact),
	ROW("F20.repeats", "a violation repeats until the rights change",
	    FIX, repeats),
	ROW("C5.before-reset", "MPROTECT_EPT before RESETCPU", MATCH,
	    before_reset),
	ROW("C5.private", "the client's protection of private memory does "
	    "not count", MATCH, client_rights),
	ROW("3.11.efault", "MPROTECT_EPT of memory that is gone is EFAULT",
	    MATCH, gone),
	ROW("F20.split", "MPROTECT_EPT of one page of a large one", FIX,
	    split),
	ROW("F20.every-page", "MPROTECT_EPT of every other page", FIX,
	    every_page),
	CLAUSE_END
};
