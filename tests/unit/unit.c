/* SPDX-License-Identifier: ISC */
/*
 * unit.c - main() of every suite, and a client of the driver.
 */
#include <semaphore.h>
#include <stdlib.h>

#include "fake_vmx.h"
#include "unit.h"

#define NSLOTS		256
#define SLOT_BASE	0x10000000ULL
#define SLOT_SIZE	0x4000ULL
#define SLOT_EXIT	0x1000ULL
#define SLOT_INFO	0x2000ULL

struct vmm_file *unit_file;
bool unit_intel;

static sem_t spinning;
static unsigned int nslots;
static _Thread_local unsigned int slot;	/* 1.. */

/* Attach the driver and open it, on a host as at boot. */
void
unit_attach(void)
{
	ck_assert_int_eq(vmm_attach(), 0);
	ck_assert_int_eq(vmm_open(&unit_file), 0);
}

void
unit_detach(void)
{
	if (unit_file != NULL)
		vmm_close(unit_file);
	unit_file = NULL;
	vmm_detach();
	fake_check_clean();
}

bool
unit_on_intel(void)
{
	const char *cpu = getenv("UNIT_CPU");

	return (cpu != NULL && strcmp(cpu, "intel") == 0);
}

void
unit_boot(void)
{
	fake_reset();
	nslots = 0;
	slot = 0;
	sem_init(&spinning, 0, 0);
	fake_user_map(SLOT_BASE, NSLOTS * SLOT_SIZE, 0);
	unit_intel = unit_on_intel();
	if (unit_intel)
		fake_vmx_set();
}

bool
unit_in_vmm_mode(unsigned int cpu)
{
	return (unit_intel ? fake_vmx_on(cpu) :
	    (fake_msr_get(cpu, FAKE_MSR_EFER) & 0x1000) != 0);
}

void
unit_refuse(unsigned int cpu, bool on)
{
	if (unit_intel)
		fake_vmxon_fails(cpu, on);
	else if (on)
		fake_msr_ignore(cpu, FAKE_MSR_EFER);
	else
		fake_msr_set(cpu, FAKE_MSR_EFER, 0xd01);
}

static void
setup(void)
{
	unit_boot();
	unit_attach();
}

TCase *
unit_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, setup, unit_detach);
	suite_add_tcase(s, tc);
	return (tc);
}

TCase *
unit_bare_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, unit_boot, fake_check_clean);
	suite_add_tcase(s, tc);
	return (tc);
}

int
main(void)
{
	SRunner *sr;
	int failed;

	/* Not Check's four seconds: the machine may be busy. */
	setenv("CK_DEFAULT_TIMEOUT", "60", 0);
	sr = srunner_create(unit_suite());
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

uint64_t
unit_arg(void)
{
	if (slot == 0)
		slot = __atomic_add_fetch(&nslots, 1, __ATOMIC_SEQ_CST);
	if (slot > NSLOTS)
		fake_die("too many client threads");
	return (SLOT_BASE + (slot - 1) * SLOT_SIZE);
}

uint64_t
unit_exit_va(void)
{
	return (unit_arg() + SLOT_EXIT);
}

int
unit_ioctl(uint32_t cmd, void *arg, size_t size)
{
	int error;

	fake_user_write(unit_arg(), arg, size);
	error = vmm_ioctl(unit_file, cmd, unit_arg());
	fake_check_idle();
	fake_user_read(unit_arg(), arg, size);
	return (error);
}

int
unit_create_at(uint64_t va, uint64_t size, size_t ncpus, uint32_t *id)
{
	static const struct vm_create_params zero;
	struct vm_create_params vcp = zero;
	int error;

	vcp.vcp_nmemranges = 1;
	vcp.vcp_ncpus = ncpus;
	vcp.vcp_memranges[0].vmr_gpa = 0;
	vcp.vcp_memranges[0].vmr_va = va;
	vcp.vcp_memranges[0].vmr_size = size;
	error = IOCTL(VMM_IOC_CREATE, &vcp);
	*id = vcp.vcp_id;
	return (error);
}

uint32_t
unit_create(uint64_t size, size_t ncpus)
{
	uint32_t id;

	if (fake_user_ptr(GUEST_VA) == NULL)
		fake_user_map(GUEST_VA, size, 0);
	ck_assert_int_eq(unit_create_at(GUEST_VA, size, ncpus, &id), 0);
	return (id);
}

int
unit_term(uint32_t id)
{
	struct vm_terminate_params vtp = { id };

	return (IOCTL(VMM_IOC_TERM, &vtp));
}

int
unit_intr(uint32_t id, uint32_t vcpu, uint16_t level)
{
	struct vm_intr_params vip = { id, vcpu, level };

	return (IOCTL(VMM_IOC_INTR, &vip));
}

static void
segment(struct vcpu_segment_info *s, uint16_t sel, uint32_t limit,
    uint32_t ar, uint64_t base)
{
	s->vsi_sel = sel;
	s->vsi_limit = limit;
	s->vsi_ar = ar;
	s->vsi_base = base;
}

void
unit_real(struct vcpu_reg_state *r)
{
	int i;

	memset(r, 0, sizeof(*r));
	r->vrs_gprs[VCPU_REGS_RIP] = 0x1000;
	r->vrs_gprs[VCPU_REGS_RSP] = 0x8000;
	r->vrs_gprs[VCPU_REGS_RFLAGS] = 0x2;
	r->vrs_crs[VCPU_REGS_CR0] = 0x10;
	r->vrs_crs[VCPU_REGS_XCR0] = 1;
	r->vrs_drs[VCPU_REGS_DR6] = 0xffff0ff0;
	r->vrs_drs[VCPU_REGS_DR7] = 0x400;
	for (i = VCPU_REGS_CS; i <= VCPU_REGS_SS; i++)
		segment(&r->vrs_sregs[i], 0, 0xffff,
		    i == VCPU_REGS_CS ? 0x9b : 0x93, 0);
	segment(&r->vrs_sregs[VCPU_REGS_LDTR], 0, 0xffff, 0x82, 0);
	segment(&r->vrs_sregs[VCPU_REGS_TR], 0, 0xffff, 0x8b, 0);
	segment(&r->vrs_gdtr, 0, 0xffff, 0, 0);
	segment(&r->vrs_idtr, 0, 0x3ff, 0, 0);
}

void
unit_long(struct vcpu_reg_state *r)
{
	int i;

	unit_real(r);
	r->vrs_crs[VCPU_REGS_CR0] = 0x80000011;
	r->vrs_crs[VCPU_REGS_CR3] = 0x2000;
	r->vrs_crs[VCPU_REGS_CR4] = 0x20;
	r->vrs_msrs[VCPU_REGS_EFER] = 0x500;
	for (i = VCPU_REGS_CS; i <= VCPU_REGS_SS; i++)
		segment(&r->vrs_sregs[i], i == VCPU_REGS_CS ? 8 : 16,
		    0xffffffff, i == VCPU_REGS_CS ? 0xa09b : 0xc093, 0);
}

int
unit_reset(uint32_t id, uint32_t vcpu, const struct vcpu_reg_state *r)
{
	struct vm_resetcpu_params p = { .vrp_vm_id = id, .vrp_vcpu_id = vcpu };

	p.vrp_init_state = *r;
	return (IOCTL(VMM_IOC_RESETCPU, &p));
}

uint32_t
unit_real_vm(void)
{
	struct vcpu_reg_state r;
	uint32_t id = unit_create(2 * MIB, 1);

	unit_real(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	return (id);
}

static int
run(uint32_t id, uint32_t vcpu, uint16_t irq, uint8_t cont,
    struct unit_run *u)
{
	struct vm_run_params vrp = { .vrp_vm_id = id, .vrp_vcpu_id = vcpu,
	    .vrp_irq = irq, .vrp_continue = cont };
	int error;

	vrp.vrp_exit = (struct vm_exit *)(uintptr_t)unit_exit_va();
	vrp.vrp_exit_reason = 0xdead;
	vrp.vrp_irqready = 0xde;
	fake_user_write(unit_exit_va(), &u->exit, sizeof(u->exit));
	error = IOCTL(VMM_IOC_RUN, &vrp);
	u->reason = unit_intel ? fake_svm_reason(vrp.vrp_exit_reason) :
	    vrp.vrp_exit_reason;
	u->irqready = vrp.vrp_irqready;
	fake_user_read(unit_exit_va(), &u->exit, sizeof(u->exit));
	return (error);
}

int
unit_run(uint32_t id, uint32_t vcpu, uint16_t irq, struct unit_run *u)
{
	memset(&u->exit, 0xaa, sizeof(u->exit));
	return (run(id, vcpu, irq, 0, u));
}

int
unit_continue(uint32_t id, uint32_t vcpu, uint16_t irq, struct unit_run *u)
{
	return (run(id, vcpu, irq, 1, u));
}

int
unit_read(uint32_t id, uint32_t vcpu, uint64_t mask, struct vcpu_reg_state *r)
{
	struct vm_rwregs_params p = { .vrwp_vm_id = id,
	    .vrwp_vcpu_id = vcpu, .vrwp_mask = mask };
	int error;

	p.vrwp_regs = *r;
	error = IOCTL(VMM_IOC_READREGS, &p);
	*r = p.vrwp_regs;
	return (error);
}

int
unit_write(uint32_t id, uint32_t vcpu, uint64_t mask,
    const struct vcpu_reg_state *r)
{
	struct vm_rwregs_params p = { .vrwp_vm_id = id,
	    .vrwp_vcpu_id = vcpu, .vrwp_mask = mask };

	p.vrwp_regs = *r;
	return (IOCTL(VMM_IOC_WRITEREGS, &p));
}

int
unit_protect(uint32_t id, uint64_t gpa, uint64_t size, int prot)
{
	struct vm_mprotect_ept_params p = { .vmep_vm_id = id,
	    .vmep_sgpa = gpa, .vmep_size = size, .vmep_prot = prot };

	return (IOCTL(VMM_IOC_MPROTECT_EPT, &p));
}

/* One VM's row of INFO; the test fails if it has none. */
static struct vm_info_result
info(uint32_t id)
{
	struct vm_info_result rows[8];
	struct vm_info_params p = { .vip_size = sizeof(rows) };
	size_t i;

	p.vip_info = (struct vm_info_result *)
	    (uintptr_t)(unit_arg() + SLOT_INFO);
	ck_assert_int_eq(IOCTL(VMM_IOC_INFO, &p), 0);
	ck_assert_uint_le(p.vip_info_ct, 8);
	fake_user_read(unit_arg() + SLOT_INFO, rows,
	    p.vip_info_ct * sizeof(rows[0]));
	for (i = 0; i < p.vip_info_ct; i++)
		if (rows[i].vir_id == id)
			return (rows[i]);
	ck_abort_msg("INFO does not list VM %u", id);
}

uint8_t
unit_state(uint32_t id, uint32_t vcpu)
{
	return (info(id).vir_vcpu_state[vcpu]);
}

uint64_t
unit_used(uint32_t id)
{
	return (info(id).vir_used_size);
}

void
unit_code(uint64_t gpa, const void *bytes, size_t n)
{
	fake_user_write(GUEST_VA + gpa, bytes, n);
}

void
unit_insn(struct fake_guest *g, uint64_t arg)
{
	uint64_t next = vmcb_get(g, VS_RIP) + (arg >> 16 & 0xff);
	bool io = (arg & 0xffff) == 0x7b;

	vmcb_set(g, VC_NRIP, next);
	fake_exit(g, arg & 0xffff, arg >> 32, io ? next : 0);
}

/* Any exit, also one that the VMCB does not ask for. */
void
unit_raw(struct fake_guest *g, uint64_t arg)
{
	const uint64_t *infos = (const uint64_t *)(uintptr_t)arg;

	fake_exit_raw(g, infos[0], infos[1], infos[2]);
}

void
unit_step_io(uint16_t port, unsigned int size, bool in)
{
	uint32_t info = (uint32_t)port << 16 | size << 4 | (in ? 1 : 0);

	fake_step(unit_insn, STEP_ARG(0x7b, 2, info));
}

void
unit_post(void)
{
	sem_post(&spinning);
}

void
unit_spin(struct fake_guest *g, uint64_t arg)
{
	sem_post(&spinning);
	fake_do_spin(g, arg);
}

static void *
runner(void *arg)
{
	struct unit_runner *r = arg;

	r->self = fake_self();
	fake_cpu_set(r->cpu);
	r->error = unit_run(r->id, r->vcpu, r->irq, &r->run);
	return (NULL);
}

void
unit_wait_spin(void)
{
	while (sem_wait(&spinning) != 0)
		;
}

void
unit_start(struct unit_runner *r, uint32_t id, uint32_t vcpu, unsigned int cpu)
{
	r->id = id;
	r->vcpu = vcpu;
	r->cpu = cpu;
	r->irq = NONE;
	ck_assert_int_eq(pthread_create(&r->thread, NULL, runner, r), 0);
	unit_wait_spin();
}

int
unit_join(struct unit_runner *r)
{
	ck_assert_int_eq(pthread_join(r->thread, NULL), 0);
	return (r->error);
}

struct find {
	uint32_t	 id;
	struct vm	*vm;
};

static void
match(struct vcpu *v, vmm_put *put, void *arg)
{
	struct find *f = arg;

	(void)put;
	if (v->vm->id == f->id)
		f->vm = v->vm;
}

struct vm *
unit_vm(uint32_t id)
{
	struct find f = { id, NULL };

	vmm_visit(match, NULL, &f);
	ck_assert_ptr_nonnull(f.vm);
	return (f.vm);
}

/* xorshift: the same numbers on every machine. */
uint32_t
unit_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return (*seed);
}
