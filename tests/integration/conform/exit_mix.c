/* SPDX-License-Identifier: ISC */
/*
 * exit_mix.c - what VCPUs and VMs that share a CPU must not share: memory at
 * the same address, MSRs, and the client's own state.
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exit_util.h"

#define AT	0x23f000UL	/* where `mix` reads */
#define OTHER	0x03f000UL	/* where it is with the tables below */
#define TABLES	0x100000UL

/* Tables of 4 levels for which 2 MiB is at 0, the rest is as it was. */
static void
other_tables(struct client_vm *v)
{
	uint64_t *t = (uint64_t *)(v->mem + TABLES);

	memcpy(t + 1024, v->mem + GUEST_PD, 4096);
	t[1024 + 1] = t[1024];
	t[512] = (TABLES + 0x2000) | 7;
	t[0] = (TABLES + 0x1000) | 7;
}

static void
word(struct client_vm *v, uint64_t gpa, uint32_t value)
{
	memcpy(v->mem + gpa, &value, sizeof(value));
}

/* A VM whose VCPU 0 reads `value` and VCPU 1, by tables of its own, ~value. */
static struct client_vm *
mixed(uint32_t value)
{
	static const uint64_t none[8];
	struct client_vm *v = new_vm(4 * CLIENT_MIB, 2);
	int mode;

	CHECK_EQ(client_load_file(v, "/guests/mix.bin", none, &mode), 0);
	other_tables(v);
	word(v, AT, value);
	word(v, OTHER, ~value);
	CHECK_EQ(client_start(v, mode), 0);
	v->vcpu = 1;
	CHECK_EQ(client_start(v, mode), 0);
	set_gpr(v, VCPU_REGS_RDI, TABLES);
	return (v);
}

static void
reads(struct client_vm *v, uint32_t vcpu, uint32_t value)
{
	v->vcpu = vcpu;
	CHECK_EQ(run_value(v), vcpu == 0 ? value : ~value);
}

static void
interleaved(void)
{
	struct client_vm *v[3];
	uint32_t value[3];
	int i, round;

	for (i = 0; i < 3; i++) {
		value[i] = (uint32_t)fresh();
		v[i] = mixed(value[i]);
	}
	for (round = 0; round < 4; round++)
		for (i = 0; i < 3; i++) {
			reads(v[i], 0, value[i]);
			reads(v[(i + 1) % 3], 1, value[(i + 1) % 3]);
			reads(v[i], 1, value[i]);
		}
}

/* One VM after the other in the same memory of the client. */
static void
recycled(void)
{
	struct vm_create_params vcp;
	struct client_vm *v;
	uint32_t value;
	int i;

	v = mixed(1);
	for (i = 0; i < 4; i++) {
		reads(v, 0, i == 0 ? 1 : value);
		reads(v, 1, i == 0 ? 1 : value);
		CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
		memset(&vcp, 0, sizeof(vcp));
		vcp.vcp_ncpus = 2;
		vcp.vcp_nmemranges = 1;
		vcp.vcp_memranges[0].vmr_va = (uintptr_t)v->mem;
		vcp.vcp_memranges[0].vmr_size = v->size;
		CHECK_EQ(client_ioc_create(v->fd, &vcp), 0);
		v->id = vcp.vcp_id;
		value = (uint32_t)fresh();
		/* Other pages: what a stale translation finds is not it. */
		CHECK(mmap(v->mem + 0x200000, 0x200000, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		    v->mem + 0x200000);
		word(v, AT, value);
		word(v, OTHER, ~value);
		v->vcpu = 0;
		CHECK_EQ(client_start(v, GUEST_LONG), 0);
		v->vcpu = 1;
		CHECK_EQ(client_start(v, GUEST_LONG), 0);
		set_gpr(v, VCPU_REGS_RDI, TABLES);
	}
}

/* WRITEREGS of CR3 counts at the next entry, whatever the TLB holds. */
static void
other_cr3(void)
{
	uint32_t value = (uint32_t)fresh();
	struct client_vm *v = mixed(value);
	struct vcpu_reg_state vrs;
	int i;

	v->vcpu = 0;
	for (i = 0; i < 6; i++) {
		CHECK_EQ(run_value(v), i % 2 ? ~value : value);
		CHECK_EQ(client_ioc_readregs(v->fd, v->id, 0, VM_RWREGS_CRS,
		    &vrs), 0);
		CHECK_EQ(vrs.vrs_crs[VCPU_REGS_CR3], i % 2 ? TABLES :
		    GUEST_PML4);
		vrs.vrs_crs[VCPU_REGS_CR3] = i % 2 ? GUEST_PML4 : TABLES;
		CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_CRS,
		    &vrs), 0);
	}
}

/*
 * --- MSRs. ---
 */

#define NMSRS	10

static const uint32_t msr[NMSRS] = {
	0x174, 0x175, 0x176, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
	0xc0000100, 0xc0000101, 0xc0000102,
};

/* A value that each of them can hold. */
static uint64_t
msr_value(int i)
{
	uint64_t r = fresh();

	if (msr[i] == 0x174)
		return (r & 0xffff);
	if (msr[i] == 0xc0000084)
		return (r & 0xffffff);
	return (msr[i] == 0xc0000081 ? r : (r & 0x3fffffffffff) |
	    (r >> 63 ? 0xffff800000000000 : 0));
}

/* RDMSR or WRMSR natively, by the guest `msr`. */
static uint64_t
access_msr(struct client_vm *v, int i, bool write, uint64_t value)
{
	struct vcpu_reg_state vrs;

	note("MSR 0x%x", msr[i]);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	vrs = v->exit.vrs;
	vrs.vrs_gprs[VCPU_REGS_RAX] = (uint32_t)value;
	vrs.vrs_gprs[VCPU_REGS_RDX] = value >> 32;
	vrs.vrs_gprs[VCPU_REGS_RCX] = msr[i];
	vrs.vrs_gprs[VCPU_REGS_RBX] = write;
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, v->vcpu, VM_RWREGS_GPRS,
	    &vrs), 0);
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	CHECK_EQ((uint32_t)gpr(v, VCPU_REGS_RSI), TRAP_NONE);
	return (gpr(v, VCPU_REGS_RDX) << 32 |
	    (uint32_t)gpr(v, VCPU_REGS_RAX));
}

/* Two VCPUs of one VM and one of another, all with values of their own. */
static void
msrs_alternate(void)
{
	static const uint64_t none[8];
	struct client_vm *one = new_vm(4 * CLIENT_MIB, 2), v[3];
	uint64_t value[3][NMSRS];
	int i, k, mode;

	CHECK_EQ(client_load_file(one, "/guests/msr.bin", none, &mode), 0);
	v[0] = v[1] = *one;
	v[1].vcpu = 1;
	v[2] = *new_guest("msr", NULL);
	CHECK_EQ(client_start(&v[0], mode), 0);
	CHECK_EQ(client_start(&v[1], mode), 0);
	for (i = 0; i < NMSRS; i++)
		for (k = 0; k < 3; k++) {
			value[k][i] = msr_value(i);
			access_msr(&v[k], i, true, value[k][i]);
		}
	for (i = 0; i < NMSRS; i++)
		for (k = 0; k < 3; k++)
			CHECK_EQ(access_msr(&v[k], i, false, 0), value[k][i]);
}

/* Set by WRITEREGS, read by the guest; and back to 0 by RESETCPU. */
static void
msrs_written(void)
{
	struct client_vm *v = new_guest("msr", NULL);
	struct vcpu_reg_state vrs;
	uint64_t value[NMSRS];
	int i;

	for (i = 0; i < NMSRS; i++)
		value[i] = i < 3 ? 0 : msr_value(i);
	client_start_state(GUEST_LONG, &vrs);
	for (i = 3; i < 7; i++)
		vrs.vrs_msrs[VCPU_REGS_STAR + i - 3] = value[i];
	vrs.vrs_sregs[VCPU_REGS_FS].vsi_base = value[7];
	vrs.vrs_sregs[VCPU_REGS_GS].vsi_base = value[8];
	vrs.vrs_msrs[VCPU_REGS_KGSBASE] = value[9];
	access_msr(v, 0, true, 0x1234);
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0,
	    VM_RWREGS_MSRS | VM_RWREGS_SREGS, &vrs), 0);
	CHECK_EQ(access_msr(v, 0, false, 0), 0x1234);
	for (i = 3; i < NMSRS; i++)
		CHECK_EQ(access_msr(v, i, false, 0), value[i]);
	CHECK_EQ(client_start(v, GUEST_LONG), 0);
	for (i = 0; i < NMSRS; i++)
		CHECK_EQ(access_msr(v, i, false, 0), 0);
}

/*
 * --- The client. ---
 */

static _Thread_local uint64_t mine[2];

/* The first word of the thread's TLS: its own address. */
static uint64_t
thread_pointer(void)
{
	uint64_t p;

	__asm__ volatile ("movq %%fs:0, %0" : "=r" (p));
	return (p);
}

struct turn {
	uint64_t	 value;
	struct client_vm v;
};

/* A guest that loads FS, GS and what SYSCALL uses, by turns with another. */
static void
taking_turns(void *arg)
{
	struct turn *t = arg;
	uint64_t tp = thread_pointer();
	int i, round;

	mine[0] = t->value;
	mine[1] = ~t->value;
	for (round = 0; round < 4; round++) {
		for (i = 3; i < NMSRS; i++) {
			access_msr(&t->v, i, true, msr_value(i));
			CHECK_EQ(thread_pointer(), tp);
			CHECK_EQ(syscall(SYS_getpid), getpid());
		}
		pause_ms(1);
		CHECK_EQ(mine[0], t->value);
		CHECK_EQ(mine[1], ~t->value);
	}
}

static void
client_own(void)
{
	static struct turn t[2];
	int thread[2], i;

	for (i = 0; i < 2; i++) {
		t[i].value = fresh();
		t[i].v = *new_guest("msr", NULL);
		thread[i] = spawn(taking_turns, &t[i]);
	}
	for (i = 0; i < 2; i++)
		join(thread[i]);
}

const struct clause exit_mix[] = {
	{ "6.interleaved", "three VMs of two VCPUs: one address, six words",
	    LAYER_EXIT, MATCH, interleaved, NULL },
	{ "6.recycled", "a VM in the memory of the one before",
	    LAYER_EXIT, MATCH, recycled, NULL },
	{ "F10.cr3", "WRITEREGS of CR3 counts at the next entry",
	    LAYER_EXIT, FIX, other_cr3, NULL },
	{ "4.4.alternate", "three VCPUs with MSRs of their own, by turns",
	    LAYER_EXIT, MATCH, msrs_alternate, NULL },
	{ "4.4.written", "WRITEREGS and RESETCPU set what the guest reads",
	    LAYER_EXIT, MATCH, msrs_written, NULL },
	{ "F17.client", "the client keeps its TLS and its system calls",
	    LAYER_EXIT, FIX, client_own, NULL },
	CLAUSE_END
};
