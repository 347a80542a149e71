/* SPDX-License-Identifier: ISC */
/*
 * ioctl_util.c - see ioctl_util.h.
 */
#include <cpuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "ioctl_util.h"

/* Typed from the interface's description, not from the macros of vmmvar.h. */
const struct ioc iocs[11] = {
	{ "CREATE", 0xc5005601, 0xc5005601, 1280, true, false, false },
	{ "RUN", 0xc0205602, 0xc0205602, 32, true, true, true },
	{ "INFO", 0xc0185603, 0xc0185603, 24, true, false, false },
	{ "TERM", 0x80045604, 0x40045604, 4, false, true, false },
	{ "RESETCPU", 0x82405605, 0x42405605, 576, false, true, true },
	{ "INTR", 0x800c5606, 0x400c5606, 12, false, true, true },
	{ "READREGS", 0xc2485607, 0xc2485607, 584, true, true, true },
	{ "WRITEREGS", 0x82485608, 0x42485608, 584, false, true, true },
	{ "READVMPARAMS", 0xc0205609, 0xc0205609, 32, true, true, true },
	{ "WRITEVMPARAMS", 0x8020560a, 0x4020560a, 32, false, true, true },
	{ "MPROTECT_EPT", 0x8020560b, 0x4020560b, 32, false, true, true },
};

const uint8_t code_spin[2] = { 0xeb, 0xfe };		/* 1: jmp 1b */
const uint8_t code_sti_spin[4] = { 0xfb, 0x90, 0xeb, 0xfe }; /* sti; nop; */
const uint8_t code_out[4] = { 0xe6, 0x20, 0xeb, 0xfc }; /* 1: out; jmp 1b */

static struct vm_exit scratch_exit;
static struct vm_info_result scratch_info[64];
static _Alignas(4096) uint8_t scratch_mem[CLIENT_MIB];

int
raw_ioctl(int fd, uint32_t cmd, uint64_t arg)
{
	return (ioctl(fd, (int)cmd, arg) == -1 ? errno : 0);
}

void
expect(const char *what, uint64_t got, uint64_t want, const char *expr,
    const char *file, int line)
{
	if (got != want)
		note("case: %s", what);
	conform_check_eq(got, want, expr, file, line);
}

void *
map(size_t size)
{
	void *p;

	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	return (p);
}

void
unmap(void *p, size_t size)
{
	CHECK_EQ(munmap(p, size), 0);
}

void
set_code(struct client_vm *v, const void *code, size_t len)
{
	memcpy(v->mem + GUEST_ENTRY, code, len);
}

struct client_vm *
new_started(const void *code, size_t len, size_t ncpus)
{
	struct client_vm *v;

	v = new_vm(CLIENT_MIB, ncpus);
	set_code(v, code, len);
	for (v->vcpu = 0; v->vcpu < ncpus; v->vcpu++)
		CHECK_EQ(client_start(v, GUEST_REAL), 0);
	v->vcpu = 0;
	return (v);
}

void
fill_create(struct vm_create_params *vcp, uint64_t gpa, const void *va,
    size_t size)
{
	memset(vcp, 0, sizeof(*vcp));
	vcp->vcp_nmemranges = 1;
	vcp->vcp_ncpus = 1;
	vcp->vcp_memranges[0].vmr_gpa = gpa;
	vcp->vcp_memranges[0].vmr_va = (uintptr_t)va;
	vcp->vcp_memranges[0].vmr_size = size;
}

/* Fills what an ioctl needs beside the ids of the VM and the VCPU. */
static void
fill_body(int nr, union ioc_arg *a)
{
	switch (nr) {
	case IOC_CREATE:
		fill_create(&a->create, 0, scratch_mem, sizeof(scratch_mem));
		break;
	case IOC_RUN:
		a->run.vrp_irq = NO_IRQ;
		a->run.vrp_exit = &scratch_exit;
		break;
	case IOC_INFO:
		a->info.vip_size = sizeof(scratch_info);
		a->info.vip_info = scratch_info;
		break;
	case IOC_RESETCPU:
		client_start_state(GUEST_REAL, &a->reset.vrp_init_state);
		break;
	case IOC_READREGS:
		a->regs.vrwp_mask = VM_RWREGS_ALL;
		break;
	case IOC_WRITEREGS:
		a->regs.vrwp_mask = VM_RWREGS_ALL;
		client_start_state(GUEST_REAL, &a->regs.vrwp_regs);
		break;
	case IOC_READVMPARAMS:
	case IOC_WRITEVMPARAMS:
		a->params.vpp_mask = VM_RWVMPARAMS_ALL;
		break;
	case IOC_MPROTECT:
		a->protect.vmep_sgpa = 0x80000;
		a->protect.vmep_size = PAGE;
		a->protect.vmep_prot = 7;
		break;
	}
}

void
ioc_fill(int nr, union ioc_arg *a, struct client_vm *v)
{
	memset(a, 0, sizeof(*a));
	fill_body(nr, a);
	if (iocs[nr - 1].vm)
		a->id.vm = v->id;
}

/* Fails unless two arrays of 64-bit registers are the same. */
static void
same_array(const char *what, const char *group, const uint64_t *a,
    const uint64_t *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (a[i] != b[i])
			note("%s[%zu]", group, i);
		EXPECT(what, a[i], b[i]);
	}
}

/* Without XSAVE there is no XCR0: x87 alone, which RESETCPU sets, reads 0. */
static void
same_crs(const char *what, const uint64_t *a, const uint64_t *b)
{
	uint64_t want[VCPU_REGS_NCRS];
	unsigned int eax, ebx, ecx, edx;

	memcpy(want, b, sizeof(want));
	__cpuid(1, eax, ebx, ecx, edx);
	if ((ecx & bit_OSXSAVE) == 0 && want[VCPU_REGS_XCR0] == 1)
		want[VCPU_REGS_XCR0] = 0;
	same_array(what, "crs", a, want, VCPU_REGS_NCRS);
}

void
same_regs(const char *what, const struct vcpu_reg_state *a,
    const struct vcpu_reg_state *b, uint64_t mask)
{
	const struct vcpu_segment_info *s, *t;
	int i;

	if (mask & VM_RWREGS_GPRS)
		same_array(what, "gprs", a->vrs_gprs, b->vrs_gprs,
		    VCPU_REGS_NGPRS);
	if (mask & VM_RWREGS_CRS)
		same_crs(what, a->vrs_crs, b->vrs_crs);
	if (mask & VM_RWREGS_MSRS)
		same_array(what, "msrs", a->vrs_msrs, b->vrs_msrs,
		    VCPU_REGS_NMSRS);
	if (mask & VM_RWREGS_DRS)
		same_array(what, "drs", a->vrs_drs, b->vrs_drs,
		    VCPU_REGS_NDRS);
	if ((mask & VM_RWREGS_SREGS) == 0)
		return;
	for (i = 0; i < VCPU_REGS_NSREGS; i++) {
		s = &a->vrs_sregs[i];
		t = &b->vrs_sregs[i];
		if (s->vsi_sel != t->vsi_sel || s->vsi_ar != t->vsi_ar ||
		    s->vsi_limit != t->vsi_limit ||
		    s->vsi_base != t->vsi_base)
			note("sregs[%d]", i);
		EXPECT(what, s->vsi_sel, t->vsi_sel);
		EXPECT(what, s->vsi_limit, t->vsi_limit);
		EXPECT(what, s->vsi_ar, t->vsi_ar);
		EXPECT(what, s->vsi_base, t->vsi_base);
	}
	EXPECT(what, a->vrs_gdtr.vsi_base, b->vrs_gdtr.vsi_base);
	EXPECT(what, a->vrs_gdtr.vsi_limit, b->vrs_gdtr.vsi_limit);
	EXPECT(what, a->vrs_idtr.vsi_base, b->vrs_idtr.vsi_base);
	EXPECT(what, a->vrs_idtr.vsi_limit, b->vrs_idtr.vsi_limit);
}

void
get_regs(struct client_vm *v, struct vcpu_reg_state *vrs)
{
	memset(vrs, 0, sizeof(*vrs));
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, 0, VM_RWREGS_ALL, vrs), 0);
}

bool
get_info(uint32_t vm, struct vm_info_result *vir)
{
	struct vm_info_params vip = { 0 };
	static struct vm_info_result all[128];
	size_t i;

	vip.vip_size = sizeof(all);
	vip.vip_info = all;
	CHECK_EQ(client_ioc_info(conform_fd, &vip), 0);
	for (i = 0; i < vip.vip_info_ct; i++)
		if (all[i].vir_id == vm) {
			*vir = all[i];
			return (true);
		}
	return (false);
}

void
take_snapshot(struct client_vm *v, struct snapshot *s)
{
	memset(s, 0, sizeof(*s));
	s->count = vm_count();
	CHECK(get_info(v->id, &s->info));
	get_regs(v, &s->regs);
	s->params.vpp_vm_id = v->id;
	s->params.vpp_mask = VM_RWVMPARAMS_ALL;
	CHECK_EQ(client_ioc_readvmparams(v->fd, &s->params), 0);
}

void
same_snapshot(const char *what, struct client_vm *v, const struct snapshot *s)
{
	struct snapshot now;

	take_snapshot(v, &now);
	EXPECT(what, now.count, s->count);
	EXPECT(what, memcmp(&now.info, &s->info, sizeof(s->info)), 0);
	same_regs(what, &now.regs, &s->regs, VM_RWREGS_ALL);
	EXPECT(what, now.params.vpp_pvclock_system_gpa,
	    s->params.vpp_pvclock_system_gpa);
	EXPECT(what, now.params.vpp_pvclock_version,
	    s->params.vpp_pvclock_version);
}

/* mov %ax,%ds; then the access by (%bx); then an OUT. */
static enum client_event
guest_access(struct client_vm *v, uint32_t gpa, uint8_t opcode)
{
	uint8_t code[8] = { 0x8e, 0xd8, 0x88, 0x0f, 0xe6, 0x20, 0xeb, 0xfc };
	struct vcpu_reg_state rs;

	code[2] = opcode;
	set_code(v, code, sizeof(code));
	client_start_state(GUEST_REAL, &rs);
	rs.vrs_gprs[VCPU_REGS_RAX] = gpa >> 4 & 0xf000;
	rs.vrs_gprs[VCPU_REGS_RBX] = gpa & 0xffff;
	rs.vrs_gprs[VCPU_REGS_RCX] = 0x77;
	CHECK_EQ(client_ioc_resetcpu(v->fd, v->id, v->vcpu, &rs), 0);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	if (client_event(v) == CLIENT_PROTECT)
		CHECK_EQ(v->exit.vrs.vrs_gprs[VCPU_REGS_RIP],
		    GUEST_ENTRY + 2);
	return (client_event(v));
}

enum client_event
guest_write(struct client_vm *v, uint32_t gpa)
{
	return (guest_access(v, gpa, 0x88));
}

enum client_event
guest_read(struct client_vm *v, uint32_t gpa)
{
	return (guest_access(v, gpa, 0x8a));
}

/* One RUN; what it returned goes where the clause can look at it. */
static void
bg_main(void *arg)
{
	struct bg *r = arg;

	r->self = pthread_self();
	r->error = client_ioc_run(r->fd, &r->run);
	r->returned = true;
}

void
bg_spawn(struct bg *r, struct client_vm *v, uint32_t vcpu)
{
	memset(r, 0, sizeof(*r));
	r->v = v;
	r->vcpu = vcpu;
	r->fd = v->fd;
	r->run.vrp_vm_id = v->id;
	r->run.vrp_vcpu_id = vcpu;
	r->run.vrp_irq = NO_IRQ;
	r->run.vrp_exit = &r->exit;
	r->thread = spawn(bg_main, r);
}

void
bg_start(struct bg *r, struct client_vm *v, uint32_t vcpu)
{
	bg_spawn(r, v, vcpu);
	await_state(v->id, vcpu, VCPU_STATE_RUNNING);
}

void
bg_join(struct bg *r)
{
	join(r->thread);
	CHECK(r->returned);
}

void
await_state(uint32_t vm, uint32_t vcpu, int state)
{
	while (vcpu_state(vm, vcpu) != state)
		pause_ms(1);
}
