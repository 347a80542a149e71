/* SPDX-License-Identifier: ISC */
/*
 * exit_mem.c - guest memory: first touch, sharing, what is not there.
 */
#include <sys/mman.h>

#include "exit_util.h"

#define PAGE		4096UL
#define HUGE_PAGE	(2 * CLIENT_MIB)

enum { READ, WRITE, CALL, RMW, PUSH, LOAD_CR3, CROSS, MOVS };

static struct runner r;

/* A guest `name` in a VM of `size` bytes. */
static struct client_vm *
guest_in(size_t size, const char *path, const uint64_t *args)
{
	struct client_vm *v = new_vm(size, 1);
	int mode;

	CHECK_EQ(client_load_file(v, path, args, &mode), 0);
	CHECK_EQ(client_start(v, mode), 0);
	return (v);
}

static struct client_vm *
toucher(size_t size, uint64_t start, uint64_t stride, uint64_t count,
    uint64_t kind)
{
	uint64_t args[8] = { start, stride, count, kind };

	return (guest_in(size, "/guests/touch.bin", args));
}

static struct client_vm *
accessor(uint64_t gpa, uint64_t kind)
{
	uint64_t args[8] = { gpa, kind };

	return (new_guest("access", args));
}

static uint64_t
word(const struct client_vm *v, uint64_t gpa)
{
	uint64_t w;

	memcpy(&w, v->mem + gpa, sizeof(w));
	return (w);
}

/* vir_used_size by INFO. */
static size_t
used(const struct client_vm *v)
{
	struct vm_info_result res[16];
	struct vm_info_params vip = {
		.vip_size = sizeof(res), .vip_info = res,
	};
	size_t i;

	CHECK_EQ(client_ioc_info(v->fd, &vip), 0);
	for (i = 0; i < vip.vip_info_ct; i++)
		if (res[i].vir_id == v->id)
			return (res[i].vir_used_size);
	CHECK(!"the VM is listed");
	return (0);
}

static void
first_write(void)
{
	struct client_vm *v = toucher(8 * CLIENT_MIB, 0x200000, PAGE, 1024,
	    0);
	uint64_t i, gpa;

	run_value(v);
	run_done(v);
	for (i = 0; i < 1024; i++) {
		gpa = 0x200000 + i * PAGE;
		CHECK_EQ(word(v, gpa), v->nonce ^ gpa);
		CHECK_EQ(word(v, gpa + 8), 0);
	}
}

static void
first_read(void)
{
	struct client_vm *v = toucher(8 * CLIENT_MIB, 0x200000, PAGE, 64, 1);
	uint64_t i, w, sum = 0;

	for (i = 0; i < 64; i++) {
		w = fresh();
		sum ^= w;
		memcpy(v->mem + 0x200000 + i * PAGE, &w, sizeof(w));
	}
	CHECK_EQ(run_value(v), (uint32_t)sum);
	run_done(v);
}

/* TCG reports the first half of a locked access as a read: two faults. */
static void
first_locked(void)
{
	struct client_vm *v = toucher(8 * CLIENT_MIB, 0x200000, PAGE, 64, 2);
	uint64_t i, gpa;

	for (i = 0; i < 64; i++)
		memcpy(v->mem + 0x200000 + i * PAGE, &i, sizeof(i));
	run_value(v);
	run_done(v);
	for (i = 0; i < 64; i++) {
		gpa = 0x200000 + i * PAGE;
		CHECK_EQ(word(v, gpa), v->nonce ^ gpa ^ i);
	}
}

static void
used_size(void)
{
	struct client_vm *v = toucher(16 * CLIENT_MIB, HUGE_PAGE, HUGE_PAGE,
	    4, 0);
	size_t size;

	CHECK_EQ(used(v), 0);
	run_value(v);
	size = used(v);
	CHECK_EQ(size % PAGE, 0);
	/* The guest's own few pages and four more; or 2 MiB each. */
	CHECK(size >= 6 * PAGE);
	CHECK(size <= 5 * HUGE_PAGE);
	run_done(v);
	CHECK_EQ(used(v), size);
}

/* The client sees the guest write while it runs, and the other way round. */
static void
shared_live(void)
{
	uint64_t args[8] = { 0x200000 };
	struct client_vm *v = new_guest("hammer", args);
	volatile uint64_t *count = (volatile uint64_t *)(v->mem + 0x200000);
	uint64_t seen;

	*count = 1ULL << 40;
	runner_start(&r, v, 0);
	while (*count < (1ULL << 40) + 10)
		pause_ms(1);
	*count = 1ULL << 50;
	while (*count < (1ULL << 50) + 10)
		pause_ms(1);
	poke(r.thread);
	runner_join(&r);
	seen = *count;
	CHECK_EQ(r.v.run.vrp_exit_reason, VM_EXIT_NONE);
	CHECK(seen >= 1ULL << 50);
	CHECK_EQ(word(v, 0x200008), 0);
}

static void
large_page(void)
{
	struct client_vm *v = toucher(32 * CLIENT_MIB, HUGE_PAGE, PAGE,
	    15 * 512, 0);
	uint64_t i, gpa;

	run_value(v);
	run_done(v);
	for (i = 0; i < 15 * 512; i += 37) {
		gpa = HUGE_PAGE + i * PAGE;
		CHECK_EQ(word(v, gpa), v->nonce ^ gpa);
	}
	CHECK(used(v) >= 15 * HUGE_PAGE);
}

static void
unmapped_after(void)
{
	struct client_vm *v = toucher(4 * CLIENT_MIB, 0x200000, PAGE, 3, 0);
	struct vcpu_reg_state vrs;
	void *p;

	run_value(v);
	/* Gone from the client, then other memory in its place: the guest
	 * keeps what it touched. */
	CHECK_EQ(munmap(v->mem + 0x200000, 4 * PAGE), 0);
	p = mmap(v->mem + 0x200000, 4 * PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(p == v->mem + 0x200000);
	CHECK_EQ(word(v, 0x200000), 0);
	/* The guest reads the three words again. */
	((uint64_t *)(v->mem + GUEST_ARGS))[3] = 1;
	client_start_state(GUEST_LONG, &vrs);
	CHECK_EQ(client_ioc_resetcpu(v->fd, v->id, 0, &vrs), 0);
	CHECK_EQ(run_value(v), (uint32_t)v->nonce ^ 0x203000);
	run_done(v);
	CHECK_EQ(word(v, 0x200000), 0);
}

static void
unmapped_before(void)
{
	struct client_vm *v = accessor(0x200000, WRITE);

	CHECK_EQ(munmap(v->mem + 0x200000, 0x200000), 0);
	run_fails(v, EFAULT);
}

static void
outside(void)
{
	static const uint64_t gpa[] = { 0x400000, 0x80000000, 0xefffffff,
	    0xefff0000 };
	static const int kind[] = { READ, WRITE, RMW, PUSH };
	struct client_vm *v;
	size_t i, k;

	for (i = 0; i < NELEM(gpa); i++)
		for (k = 0; k < NELEM(kind); k++) {
			note("GPA 0x%llx kind %d",
			    (unsigned long long)gpa[i], kind[k]);
			v = accessor(gpa[i], kind[k]);
			run_fails(v, EINVAL);
			CHECK_EQ(gpr(v, VCPU_REGS_RIP),
			    gpr(v, VCPU_REGS_RBX));
			client_destroy(v);
		}
}

static void
outside_fetch(void)
{
	struct client_vm *v = accessor(0x400000, CALL);

	run_fails(v, EINVAL);
	CHECK_EQ(gpr(v, VCPU_REGS_RIP), 0x400000);
}

static void
outside_tables(void)
{
	run_fails(accessor(0x400000, LOAD_CR3), EINVAL);
}

static void
at_the_end(void)
{
	struct client_vm *v = accessor(0x400000 - 4, WRITE);

	run_value(v);
	run_done(v);
	CHECK_EQ(*(uint32_t *)(v->mem + 0x3ffffc), 0x600df00d);
	/* One byte of eight is outside. */
	v = accessor(0x400000 - 7, CROSS);
	run_fails(v, EINVAL);
}

static void
hole(void)
{
	static const uint64_t gpa[] = { 0xf0000000, 0xfee00000, 0xfffff000 };
	size_t i;

	for (i = 0; i < NELEM(gpa); i++)
		run_fails(accessor(gpa[i], i == 1 ? WRITE : READ), EFAULT);
}

static void
cross_pages(void)
{
	struct client_vm *v = accessor(0x1ffffc, CROSS);

	run_value(v);
	run_done(v);
	CHECK_EQ(word(v, 0x1ffffc), 0x600df00d);
	v = accessor(0x1ffff8, MOVS);
	run_value(v);
	run_done(v);
	CHECK(memcmp(v->mem + 0x1ffff8, v->mem + GUEST_LOAD, 16) == 0);
}

/* Ranges with a hole between them: each touched, the hole not there. */
static void
ranges(void)
{
	static const uint64_t at[] = { 0x300000, 0x400000, 0x2ffff8 };
	struct vm_create_params vcp;
	struct client_vm *v;
	uint64_t args[8] = { 0 };
	size_t i;
	int mode;

	for (i = 0; i < NELEM(at); i++) {
		v = accessor(0, 0);
		CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
		v->id = 0;
		memset(&vcp, 0, sizeof(vcp));
		vcp.vcp_ncpus = 1;
		vcp.vcp_nmemranges = 2;
		vcp.vcp_memranges[0].vmr_va = (uintptr_t)v->mem;
		vcp.vcp_memranges[0].vmr_size = 0x300000;
		vcp.vcp_memranges[1].vmr_gpa = 0x400000;
		vcp.vcp_memranges[1].vmr_va = (uintptr_t)v->mem + 0x300000;
		vcp.vcp_memranges[1].vmr_size = 0x100000;
		CHECK_EQ(client_ioc_create(v->fd, &vcp), 0);
		v->id = vcp.vcp_id;
		args[0] = at[i];
		args[1] = WRITE;
		CHECK_EQ(client_load_file(v, "/guests/access.bin", args,
		    &mode), 0);
		CHECK_EQ(client_start(v, mode), 0);
		if (at[i] == 0x300000) {
			run_fails(v, EINVAL);
			continue;
		}
		run_value(v);
		run_done(v);
		CHECK_EQ(*(uint32_t *)(v->mem + (at[i] == 0x400000 ?
		    0x300000 : at[i])), 0x600df00d);
	}
}

static void
two_vms(void)
{
	struct client_vm *v = toucher(4 * CLIENT_MIB, 0x200000, PAGE, 8, 0);
	struct client_vm *w = toucher(4 * CLIENT_MIB, 0x200000, PAGE, 8, 0);

	run_value(v);
	CHECK_EQ(word(w, 0x200000), 0);
	run_value(w);
	CHECK_EQ(word(v, 0x200000), v->nonce ^ 0x200000);
	CHECK_EQ(word(w, 0x200000), w->nonce ^ 0x200000);
	CHECK(word(v, 0x200000) != word(w, 0x200000));
}

const struct clause exit_mem[] = {
	{ "6.write", "pages are taken when the guest first writes them",
	    LAYER_EXIT, MATCH, first_write, NULL },
	{ "6.read", "or reads them: what the client put there",
	    LAYER_EXIT, MATCH, first_read, NULL },
	{ "6.locked", "or does both at once",
	    LAYER_EXIT, MATCH, first_locked, NULL },
	{ "6.used", "vir_used_size counts what was touched",
	    LAYER_EXIT, MATCH, used_size, NULL },
	{ "6.live", "client and guest see each other's writes at once",
	    LAYER_EXIT, MATCH, shared_live, NULL },
	{ "6.large", "30 MiB touched page by page",
	    LAYER_EXIT, MATCH, large_page, NULL },
	{ "F23.after", "munmap behind the first touch changes nothing",
	    LAYER_EXIT, FIX, unmapped_after, NULL },
	{ "F23.before", "munmap before it: RUN fails EFAULT",
	    LAYER_EXIT, FIX, unmapped_before, NULL },
	{ "6.outside", "an access outside of all ranges: EINVAL",
	    LAYER_EXIT, MATCH, outside, NULL },
	{ "6.outside-fetch", "the same by instruction fetch",
	    LAYER_EXIT, MATCH, outside_fetch, NULL },
	{ "6.outside-tables", "the same by page tables",
	    LAYER_EXIT, MATCH, outside_tables, NULL },
	{ "6.end", "the last word of memory, and one byte too far",
	    LAYER_EXIT, MATCH, at_the_end, NULL },
	{ "6.hole", "an access to the hole below 4 GiB: EFAULT",
	    LAYER_EXIT, MATCH, hole, NULL },
	{ "6.cross", "an access that crosses into an untouched page",
	    LAYER_EXIT, MATCH, cross_pages, NULL },
	{ "6.ranges", "two ranges and the hole between them",
	    LAYER_EXIT, MATCH, ranges, NULL },
	{ "6.two-vms", "two VMs at the same GPA have their own memory",
	    LAYER_EXIT, MATCH, two_vms, NULL },
	CLAUSE_END
};
