/* SPDX-License-Identifier: ISC */
/*
 * ioctl_fault.c - arguments that are not memory of the client.
 *
 * For each of the eleven: every kind of bad pointer is EFAULT, the host
 * lives, and nothing has changed.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "ioctl_util.h"

#define NON_CANONICAL	0x0000800000000000
#define KERNEL_LOW	0xffff800000000000
#define KERNEL_DIRECT	0xffff888000000000
#define KERNEL_TEXT	0xffffffff80000000
#define USER_END	0x00007ffffffff000

/* Where an address comes from that holds no byte of ours. */
struct bad {
	const char	*name;
	uint64_t	 addr;
};

static const struct bad fixed[] = {
	{ "NULL", 0 },
	{ "1", 1 },
	{ "low memory", 0x8000 },
	{ "VGA memory", 0xb8000 },
	{ "1 MiB", 0x100000 },
	{ "local APIC", 0xfee00000 },
	{ "end of user space", USER_END },
	{ "last page before the hole", 0x00007ffffffffff8 },
	{ "non-canonical", NON_CANONICAL },
	{ "non-canonical, high", 0xffff7ffffffff000 },
	{ "kernel, low", KERNEL_LOW },
	{ "kernel, memory", KERNEL_DIRECT },
	{ "kernel, memory at 1 MiB", KERNEL_DIRECT + 0x100000 },
	{ "kernel, text", KERNEL_TEXT },
	{ "kernel, text at 1 MiB", KERNEL_TEXT + 0x100000 },
	{ "last page", 0xfffffffffffff000 },
	{ "wraps", 0xfffffffffffffff8 },
	{ "last byte", 0xffffffffffffffff },
};

#define MAX_BAD	32

/* Three pages of ours: writable, read-only, not mapped. */
struct pages {
	uint8_t		*base;
	struct bad	 bad[MAX_BAD];
	size_t		 n;
};

static void
add_bad(struct pages *p, const char *name, uint64_t addr)
{
	CHECK(p->n < MAX_BAD);
	p->bad[p->n].name = name;
	p->bad[p->n++].addr = addr;
}

/* All addresses at which an object of `size` bytes cannot be read. */
static void
bad_init(struct pages *p, size_t size)
{
	size_t i;

	p->n = 0;
	for (i = 0; i < NELEM(fixed); i++)
		add_bad(p, fixed[i].name, fixed[i].addr);
	p->base = map(4 * PAGE);
	CHECK_EQ(mprotect(p->base + PAGE, PAGE, PROT_READ), 0);
	unmap(p->base + 2 * PAGE, PAGE);
	CHECK_EQ(mprotect(p->base + 3 * PAGE, PAGE, PROT_NONE), 0);
	add_bad(p, "unmapped", (uintptr_t)p->base + 2 * PAGE);
	add_bad(p, "PROT_NONE", (uintptr_t)p->base + 3 * PAGE);
	add_bad(p, "all but the last byte",
	    (uintptr_t)p->base + 2 * PAGE - size + 1);
	add_bad(p, "the first byte only",
	    (uintptr_t)p->base + 2 * PAGE - 1);
	add_bad(p, "half", (uintptr_t)p->base + 2 * PAGE - size / 2);
}

static void
bad_done(struct pages *p)
{
	unmap(p->base, 2 * PAGE);
	unmap(p->base + 3 * PAGE, PAGE);
}

/* The whole list against one ioctl's own argument. */
static void
efault(int nr)
{
	const struct ioc *ioc = &iocs[nr - 1];
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct snapshot before;
	struct pages p;
	size_t i;

	bad_init(&p, ioc->size);
	take_snapshot(v, &before);
	for (i = 0; i < p.n; i++) {
		EXPECT(p.bad[i].name,
		    raw_ioctl(v->fd, ioc->linux, p.bad[i].addr), EFAULT);
		EXPECT(p.bad[i].name,
		    raw_ioctl(v->fd, ioc->bsd, p.bad[i].addr), EFAULT);
	}
	same_snapshot("after all", v, &before);
	bad_done(&p);
}

#define EFAULT_FN(name, nr) \
static void \
name(void) \
{ \
	efault(nr); \
}

EFAULT_FN(efault_create, IOC_CREATE)
EFAULT_FN(efault_run, IOC_RUN)
EFAULT_FN(efault_info, IOC_INFO)
EFAULT_FN(efault_term, IOC_TERM)
EFAULT_FN(efault_resetcpu, IOC_RESETCPU)
EFAULT_FN(efault_intr, IOC_INTR)
EFAULT_FN(efault_readregs, IOC_READREGS)
EFAULT_FN(efault_writeregs, IOC_WRITEREGS)
EFAULT_FN(efault_readvmparams, IOC_READVMPARAMS)
EFAULT_FN(efault_writevmparams, IOC_WRITEVMPARAMS)
EFAULT_FN(efault_mprotect, IOC_MPROTECT)

/*
 * Puts a good argument where it can be read and not, or only in part, be
 * written: `writable` bytes of it can.
 */
static void *
read_only_arg(int nr, struct client_vm *v, size_t writable, uint8_t **base)
{
	union ioc_arg a;
	uint8_t *p;

	*base = map(2 * PAGE);
	p = *base + PAGE - writable;
	ioc_fill(nr, &a, v);
	memcpy(p, &a, iocs[nr - 1].size);
	CHECK_EQ(mprotect(*base + PAGE, PAGE, PROT_READ), 0);
	return (p);
}

static void
read_only(int nr, int want)
{
	const struct ioc *ioc = &iocs[nr - 1];
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	size_t part[] = { 0, 4, ioc->size - 4 }, count, i;
	uint8_t copy[sizeof(union ioc_arg)], *base, *p;

	for (i = 0; i < (want == 0 ? 1 : NELEM(part)); i++) {
		count = vm_count();
		p = read_only_arg(nr, v, part[i], &base);
		memcpy(copy, p, ioc->size);
		EXPECT(ioc->name, raw_ioctl(v->fd, ioc->linux, (uintptr_t)p),
		    want);
		if (part[i] == 0)
			EXPECT(ioc->name, memcmp(copy, p, ioc->size), 0);
		if (nr != IOC_TERM)
			EXPECT(ioc->name, vm_count(), count);
		if (nr != IOC_TERM)
			EXPECT(ioc->name, vcpu_state(v->id, 0),
			    VCPU_STATE_STOPPED);
		unmap(base, 2 * PAGE);
	}
}

static void
read_only_out(void)
{
	static const int nrs[] = {
		IOC_RUN, IOC_INFO, IOC_READREGS, IOC_READVMPARAMS,
	};
	size_t i;

	for (i = 0; i < NELEM(nrs); i++)
		read_only(nrs[i], EFAULT);
}

static void
read_only_in(void)
{
	static const int nrs[] = {
		IOC_RESETCPU, IOC_INTR, IOC_WRITEREGS, IOC_WRITEVMPARAMS,
		IOC_MPROTECT, IOC_TERM,
	};
	size_t i;

	for (i = 0; i < NELEM(nrs); i++)
		read_only(nrs[i], 0);
}

static void
read_only_create(void)
{
	uint64_t before, after;
	bool counted;
	int i;

	read_only(IOC_CREATE, EFAULT);		/* warm: the tables of pages */
	counted = host_free_pages(&before);
	for (i = 0; i < 20; i++) {
		struct client_vm none = { .fd = conform_fd };
		uint8_t *base, *p;

		p = read_only_arg(IOC_CREATE, &none, 0, &base);
		CHECK_EQ(raw_ioctl(conform_fd, VMM_IOC_CREATE, (uintptr_t)p),
		    EFAULT);
		unmap(base, 2 * PAGE);
	}
	CHECK_EQ(vm_count(), 1);
	if (counted && host_free_pages(&after))
		CHECK_EQ(after, before);
}

/* --- Pointers inside arguments. --- */

static void
exit_pointer(bool resume)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct snapshot before;
	struct pages p;
	union ioc_arg a;
	size_t i;

	bad_init(&p, sizeof(struct vm_exit));
	take_snapshot(v, &before);
	for (i = 0; i < p.n; i++) {
		ioc_fill(IOC_RUN, &a, v);
		a.run.vrp_continue = resume;
		a.run.vrp_exit = (void *)p.bad[i].addr;
		a.run.vrp_exit_reason = 0x1234;
		a.run.vrp_irqready = 0x56;
		EXPECT(p.bad[i].name, client_ioc_run(v->fd, &a.run), EFAULT);
		EXPECT(p.bad[i].name, a.run.vrp_exit_reason, 0x1234);
		EXPECT(p.bad[i].name, a.run.vrp_irqready, 0x56);
		EXPECT(p.bad[i].name, vcpu_state(v->id, 0),
		    VCPU_STATE_STOPPED);
		if (resume)
			same_snapshot(p.bad[i].name, v, &before);
	}
	bad_done(&p);
	ioc_fill(IOC_RUN, &a, v);
	CHECK_EQ(client_ioc_run(v->fd, &a.run), 0);
}

static void
f3_continue(void)
{
	exit_pointer(true);
}

static void
f3_result(void)
{
	exit_pointer(false);
}

/* Readable but not writable: the guest runs, the report cannot be told. */
static void
f3_read_only(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vm_exit *x;
	union ioc_arg a;

	x = map(PAGE);
	CHECK_EQ(mprotect(x, PAGE, PROT_READ), 0);
	ioc_fill(IOC_RUN, &a, v);
	a.run.vrp_continue = 1;
	a.run.vrp_exit = x;
	CHECK_EQ(client_ioc_run(v->fd, &a.run), EFAULT);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_STOPPED);
	CHECK_EQ(x->vrs.vrs_gprs[VCPU_REGS_RIP], 0);
	unmap(x, PAGE);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
}

static void
info_pointer(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vm_info_params vip;
	struct snapshot before;
	struct pages p;
	size_t i;

	bad_init(&p, sizeof(struct vm_info_result));
	add_bad(&p, "read-only", (uintptr_t)p.base + PAGE);
	add_bad(&p, "half read-only", (uintptr_t)p.base + PAGE - 80);
	take_snapshot(v, &before);
	for (i = 0; i < p.n; i++) {
		memset(&vip, 0, sizeof(vip));
		vip.vip_size = sizeof(struct vm_info_result);
		vip.vip_info_ct = 77;
		vip.vip_info = (void *)p.bad[i].addr;
		EXPECT(p.bad[i].name, client_ioc_info(v->fd, &vip), EFAULT);
		EXPECT(p.bad[i].name, vip.vip_info_ct, 77);
		EXPECT(p.bad[i].name, vip.vip_size,
		    sizeof(struct vm_info_result));
	}
	same_snapshot("after all", v, &before);
	bad_done(&p);
}

/* Too small a size is an answer, and the pointer is not looked at. */
static void
info_pointer_unused(void)
{
	struct vm_info_params vip;
	struct pages p;
	size_t i, vms;

	bad_init(&p, sizeof(struct vm_info_result));
	for (vms = 0; vms < 2; vms++) {
		if (vms == 1)
			(void)new_vm(CLIENT_MIB, 1);
		for (i = 0; i < p.n; i++) {
			memset(&vip, 0, sizeof(vip));
			vip.vip_size = vms == 0 ? 1000 : 159;
			vip.vip_info = (void *)p.bad[i].addr;
			EXPECT(p.bad[i].name,
			    client_ioc_info(conform_fd, &vip), 0);
			EXPECT(p.bad[i].name, vip.vip_info_ct, 0);
			EXPECT(p.bad[i].name, vip.vip_size,
			    vms == 0 ? 1000 : 160);
		}
	}
	bad_done(&p);
}

/* A VM that is unknown is unknown before its pointers are followed. */
static void
enoent_before_pointer(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	union ioc_arg a;

	ioc_fill(IOC_RUN, &a, v);
	a.run.vrp_vm_id = v->id + 1;
	a.run.vrp_continue = 1;
	a.run.vrp_exit = (void *)KERNEL_TEXT;
	CHECK_EQ(client_ioc_run(v->fd, &a.run), ENOENT);
	a.run.vrp_vm_id = v->id;
	a.run.vrp_vcpu_id = 1;
	CHECK_EQ(client_ioc_run(v->fd, &a.run), ENOENT);
}

const struct clause ioctl_fault[] = {
	ROW("1.3.efault-create", "CREATE with a bad pointer", MATCH,
	    efault_create),
	ROW("1.3.efault-run", "RUN with a bad pointer", MATCH, efault_run),
	ROW("1.3.efault-info", "INFO with a bad pointer", MATCH, efault_info),
	ROW("1.3.efault-term", "TERM with a bad pointer", MATCH, efault_term),
	ROW("1.3.efault-resetcpu", "RESETCPU with a bad pointer", MATCH,
	    efault_resetcpu),
	ROW("1.3.efault-intr", "INTR with a bad pointer", MATCH, efault_intr),
	ROW("1.3.efault-readregs", "READREGS with a bad pointer", MATCH,
	    efault_readregs),
	ROW("1.3.efault-writeregs", "WRITEREGS with a bad pointer", MATCH,
	    efault_writeregs),
	ROW("1.3.efault-readvmparams", "READVMPARAMS with a bad pointer",
	    MATCH, efault_readvmparams),
	ROW("1.3.efault-writevmparams", "WRITEVMPARAMS with a bad pointer",
	    MATCH, efault_writevmparams),
	ROW("1.3.efault-mprotect", "MPROTECT_EPT with a bad pointer", MATCH,
	    efault_mprotect),
	ROW("1.3.readonly-out", "an argument that cannot be written back is "
	    "EFAULT", MATCH, read_only_out),
	ROW("1.3.readonly-in", "an argument only read may be read-only",
	    MATCH, read_only_in),
	ROW("F21.readonly", "CREATE that cannot say the id leaves no VM and "
	    "no memory", FIX, read_only_create),
	ROW("F3.continue", "bad vrp_exit to continue from: EFAULT, STOPPED, "
	    "nothing changed", FIX, f3_continue),
	ROW("F3.result", "bad vrp_exit to report to: EFAULT, STOPPED", MATCH,
	    f3_result),
	ROW("F3.readonly", "read-only vrp_exit: EFAULT, STOPPED, runs again",
	    MATCH, f3_read_only),
	ROW("3.3.efault", "bad vip_info is EFAULT, outputs untouched", MATCH,
	    info_pointer),
	ROW("3.3.unused-pointer", "vip_info is not touched when nothing goes "
	    "there", MATCH, info_pointer_unused),
	ROW("3.2.enoent-first", "an unknown VM or VCPU comes before a bad "
	    "vrp_exit", MATCH, enoent_before_pointer),
	CLAUSE_END
};
