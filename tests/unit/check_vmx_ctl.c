/* SPDX-License-Identifier: ISC */
/*
 * check_vmx_ctl.c - what a CPU must have to be attached to, FEATURE_CONTROL,
 * VMX operation of the CPUs as VMs come and go, and the VMCS as it is loaded
 * on one CPU and wanted on another.
 */
#include <stdio.h>

#include "vmx_unit.h"

/* --- Attach --- */

static void
attach_fails(const char *why)
{
	struct vmm_file *f;

	ck_assert_int_eq(vmm_attach(), ENODEV);
	ck_assert_msg(fake_log_has(why), "log: %s", fake_log());
	ck_assert(fake_log_has("not attached: "));
	ck_assert_int_eq(vmm_open(&f), ENODEV);
	vmm_detach();
	ck_assert_uint_eq(fake_kernel_pages(), 0);
}

static void
attach_works(void)
{
	unit_attach();
	ck_assert(fake_log_has("at mainbus0: VMX/EPT"));
	id = unit_real_vm();
	step(&triple_fault);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	unit_detach();
}

START_TEST(no_vmx)
{
	uint32_t r[4];

	fake_cpuid_get(1, 0, r);
	fake_cpuid_set(1, 0, r[0], r[1], r[2] & ~0x20u, r[3]);
	attach_fails("neither SVM nor VMX");
}
END_TEST

/* Each control that the driver cannot do without, taken away alone. */
static const struct {
	uint32_t	msr;
	unsigned int	bit;
	const char	*why;
} needs[] = {
	{ FAKE_MSR_PIN, 0, "external-interrupt exiting" },
	{ FAKE_MSR_PIN, 3, "NMI exiting" },
	{ FAKE_MSR_PIN, 5, "virtual NMIs" },
	{ FAKE_MSR_PROC, 2, "interrupt-window exiting" },
	{ FAKE_MSR_PROC, 7, "HLT exiting" },
	{ FAKE_MSR_PROC, 10, "MWAIT exiting" },
	{ FAKE_MSR_PROC, 11, "RDPMC exiting" },
	{ FAKE_MSR_PROC, 19, "CR8-load exiting" },
	{ FAKE_MSR_PROC, 20, "CR8-store exiting" },
	{ FAKE_MSR_PROC, 23, "MOV-DR exiting" },
	{ FAKE_MSR_PROC, 24, "unconditional I/O exiting" },
	{ FAKE_MSR_PROC, 28, "MSR bitmaps" },
	{ FAKE_MSR_PROC, 29, "MONITOR exiting" },
	{ FAKE_MSR_PROC, 31, "secondary controls" },
	{ FAKE_MSR_PROC2, 1, "lacks EPT" },
	{ FAKE_MSR_PROC2, 6, "WBINVD exiting" },
	{ FAKE_MSR_PROC2, 7, "unrestricted guest" },
	{ FAKE_MSR_EXIT, 9, "a 64-bit host" },
	{ FAKE_MSR_EXIT, 19, "loading PAT at exit" },
	{ FAKE_MSR_EXIT, 21, "loading EFER at exit" },
	{ FAKE_MSR_ENTRY, 2, "loading DR7 at entry" },
	{ FAKE_MSR_ENTRY, 9, "IA-32e mode guests" },
	{ FAKE_MSR_ENTRY, 14, "loading PAT at entry" },
	{ FAKE_MSR_ENTRY, 15, "loading EFER at entry" },
};
#define NNEEDS	((int)(sizeof(needs) / sizeof(needs[0])))

START_TEST(need_missing)
{
	fake_vmx_absent(needs[_i].msr, needs[_i].bit);
	attach_fails(needs[_i].why);
}
END_TEST

static const struct {
	uint64_t	clear;
	const char	*why;
} ept_needs[] = {
	{ 1ULL << 6, "four levels" }, { 1ULL << 14, "write-back" },
	{ 1ULL << 20, "INVEPT" }, { 1ULL << 25, "INVEPT" },
	{ 1ULL << 26, "INVEPT" },
};

START_TEST(ept_missing)
{
	fake_msr_all(FAKE_MSR_EPT, 0, ept_needs[_i].clear);
	attach_fails(ept_needs[_i].why);
}
END_TEST

/* What it can do without: each taken away, a guest runs all the same. */
START_TEST(optional_missing)
{
	switch (_i) {
	case 0:
		fake_vmx_absent(FAKE_MSR_PIN, 6);	/* timer */
		break;
	case 1:
		fake_vmx_absent(FAKE_MSR_PROC2, 5);	/* VPID */
		break;
	case 2:		/* INVVPID, and of all contexts */
		fake_msr_all(FAKE_MSR_EPT, 0, 1ULL << 32);
		break;
	case 3:
		fake_msr_all(FAKE_MSR_EPT, 0, 1ULL << 42);
		break;
	case 4:		/* pages of 2 MiB and 1 GiB, exec-only */
		fake_msr_all(FAKE_MSR_EPT, 0, 0x30001);
		break;
	case 5:		/* what nobody asked for */
		fake_msr_all(FAKE_MSR_PROC2, 0, 0x47f1dULL << 32);
		break;
	case 6:		/* IA32_VMX_MISC: exit fields can be written */
		fake_msr_all(FAKE_MSR_MISC, 1u << 29, 0);
		break;
	}
	attach_works();
}
END_TEST

/* Only the old capability MSRs: CR3 accesses cannot be left to the guest. */
START_TEST(no_true_controls)
{
	fake_msr_all(FAKE_MSR_BASIC, 0, 1ULL << 55);
	attach_fails("cannot leave CR3 to a guest");
}
END_TEST

/* A bit that a control must have is set though nobody asked for it. */
START_TEST(must_be_one)
{
	fake_msr_all(FAKE_MSR_TRUE_PIN, 1u << 7 | 1ULL << 39, 0);
	fake_msr_all(FAKE_MSR_PROC2, 1u << 12, 0);
	unit_attach();
	id = unit_real_vm();
	step(&triple_fault);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_ne(last(VF_PIN) & 1u << 7, 0);
	ck_assert_uint_ne(last(VF_PROC2) & 1u << 12, 0);
	unit_detach();
}
END_TEST

/* The slice is a hundredth of a second in ticks of the timer. */
START_TEST(time_slice)
{
	static const struct {
		uint64_t	hz, shift;
		uint32_t	ticks;
	} t[] = {
		{ 2000000000, 0, 20000001 }, { 2000000000, 5, 625001 },
		{ 100, 0, 2 }, { 99, 0, 0x1000001 }, { 0, 0, 0x1000001 },
		{ 0, 31, 1 }, { 1ULL << 62, 0, 0xffffffff },
	};

	fake_tsc_hz = t[_i].hz;
	fake_msr_all(FAKE_MSR_MISC, t[_i].shift, 0);
	unit_attach();
	id = unit_real_vm();
	step(&triple_fault);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(last(VF_TIMER), t[_i].ticks);
	ck_assert_uint_ne(last(VF_PIN) & VX_PIN_TIMER, 0);
	unit_detach();
}
END_TEST

/* --- FEATURE_CONTROL --- */

START_TEST(feature_locked_off)
{
	fake_msr_all(FAKE_MSR_FEATURE, 1, 4);
	attach_fails("VMX is disabled by firmware");
}
END_TEST

/* Nobody locked it: set and locked at the first CREATE, on every CPU. */
START_TEST(feature_unlocked)
{
	static const uint64_t firmware[] = { 0, 4, 0xff00 };
	unsigned int i;

	fake_msr_all(FAKE_MSR_FEATURE, firmware[_i], ~firmware[_i]);
	unit_attach();
	ck_assert_uint_eq(fake_msr_get(0, FAKE_MSR_FEATURE), firmware[_i]);
	id = unit_real_vm();
	for (i = 0; i < 4; i++)
		ck_assert_uint_eq(fake_msr_get(i, FAKE_MSR_FEATURE),
		    firmware[_i] | 5);
	unit_detach();
}
END_TEST

START_TEST(feature_left_alone)
{
	fake_msr_all(FAKE_MSR_FEATURE, 0x100005, 0);
	attach_works();		/* a write to a locked one is #GP */
	ck_assert_uint_eq(fake_msr_get(0, FAKE_MSR_FEATURE), 0x100005);
}
END_TEST

/* --- CPUs --- */

static uint64_t attached_pages;

static int
create(void)
{
	uint32_t i;

	if (fake_user_ptr(GUEST_VA) == NULL)
		fake_user_map(GUEST_VA, MIB, 0);
	return (unit_create_at(GUEST_VA, MIB, 1, &i));
}

/* Nobody is in VMX operation, and CR4.VMXE is as it was. */
static void
expect_off(int busy)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		ck_assert(!fake_vmx_on(i));
		ck_assert_uint_eq(fake_cr4(i) & 0x2000,
		    (int)i == busy ? 0x2000 : 0);
	}
	ck_assert_uint_eq(fake_kernel_pages(), attached_pages);
}

static void
setup_cpus(void)
{
	vmx_bare();
	unit_attach();
	attached_pages = fake_kernel_pages();
}

static void
vmxe_on(void *arg)
{
	(void)arg;
	host_cr4_set(0x2000);
}

static void
vmxe_off(void *arg)
{
	(void)arg;
	host_cr4_clear(0x2000);
}

/* F27: a CPU, the first or a later one, has VMXE set already. */
START_TEST(f27_busy)
{
	ck_assert_int_eq(host_cpu_call((unsigned int)_i, vmxe_on, NULL), 0);
	ck_assert_int_eq(create(), EBUSY);
	ck_assert(fake_log_has("another hypervisor"));
	expect_off(_i);
	ck_assert_int_eq(host_cpu_call((unsigned int)_i, vmxe_off, NULL), 0);
	ck_assert_int_eq(create(), 0);
}
END_TEST

/* F21: VMXON fails on one CPU: EIO, VMXE given back, the others off. */
START_TEST(f21_vmxon_fails)
{
	fake_vmxon_fails((unsigned int)_i, true);
	ck_assert_int_eq(create(), EIO);
	ck_assert(fake_log_has("cannot enter VMM mode"));
	expect_off(-1);
	fake_vmxon_fails((unsigned int)_i, false);
	ck_assert_int_eq(create(), 0);
}
END_TEST

/* What would make VMXON #GP on one CPU, or fail, is seen before. */
START_TEST(f21_refuses)
{
	unsigned int cpu = (unsigned int)_i % 4;

	switch (_i / 4) {
	case 0:		/* firmware forgot this CPU */
		fake_msr_set(cpu, FAKE_MSR_FEATURE, 1);
		break;
	case 1:		/* another kind of CPU: revision, a control, EPT */
		fake_msr_set(cpu, FAKE_MSR_BASIC,
		    fake_msr_get(cpu, FAKE_MSR_BASIC) ^ 1);
		break;
	case 2:
		fake_msr_set(cpu, FAKE_MSR_PROC2,
		    fake_msr_get(cpu, FAKE_MSR_PROC2) & ~(1ULL << 37));
		break;
	case 3:
		fake_msr_set(cpu, FAKE_MSR_EPT,
		    fake_msr_get(cpu, FAKE_MSR_EPT) & ~(1ULL << 17));
		break;
	}
	ck_assert_int_eq(create(), EIO);
	ck_assert(fake_log_has("cannot enter VMM mode"));
	expect_off(-1);
}
END_TEST

/* CR0 or CR4 of the host are not what VMX operation wants. */
START_TEST(f21_fixed_bits)
{
	unit_detach();
	vmx_bare();
	switch (_i) {
	case 0:
		fake_msr_all(FAKE_MSR_CR0_FIXED0, 0x8, 0);	/* TS */
		break;
	case 1:
		fake_msr_all(FAKE_MSR_CR0_FIXED1, 0, 0x10000);	/* WP */
		break;
	case 2:
		fake_msr_all(FAKE_MSR_CR4_FIXED0, 0x800, 0);
		break;
	case 3:
		fake_msr_all(FAKE_MSR_CR4_FIXED1, 0, 0x8);
		break;
	}
	unit_attach();
	attached_pages = fake_kernel_pages();
	ck_assert_int_eq(create(), EIO);
	expect_off(-1);
}
END_TEST

/* On exactly while there is a VM; VMXOFF finds no VMCS active. */
START_TEST(on_and_off)
{
	uint32_t a, b;
	unsigned int i;

	a = unit_real_vm();
	for (i = 0; i < 4; i++) {
		ck_assert(fake_vmx_on(i));
		ck_assert_uint_ne(fake_cr4(i) & 0x2000, 0);
		fake_cpu_set(i);
		step(&triple_fault);
		ck_assert_int_eq(unit_run(a, 0, NONE, &u), 0);
	}
	b = unit_create(MIB, 1);
	ck_assert_int_eq(unit_term(a), 0);
	ck_assert(fake_vmx_on(3));
	ck_assert_uint_eq(fake_vmx_active(3), 0);
	ck_assert_int_eq(unit_term(b), 0);
	expect_off(-1);
}
END_TEST

/* --- A VMCS and its CPU --- */

static void
run_on(unsigned int cpu)
{
	fake_cpu_set(cpu);
	run_to_end();
}

/* F10: VMCLEAR where it was, before it is loaded elsewhere; not more often. */
START_TEST(f10_moves)
{
	uint64_t n;

	run_on(0);
	n = fake_vmclears();
	run_on(0);
	run_on(0);
	ck_assert_uint_eq(fake_vmclears(), n);
	ck_assert_uint_eq(fake_vmx_active(0), 1);
	run_on(2);
	ck_assert_uint_eq(fake_vmx_active(0), 0);
	ck_assert_uint_eq(fake_vmx_active(2), 1);
	run_on(0);
	ck_assert_uint_eq(fake_vmx_active(2), 0);
	ck_assert_int_eq(unit_term(id), 0);
	ck_assert_uint_eq(fake_vmx_active(0), 0);
}
END_TEST

/* Registers of a VCPU whose VMCS another CPU holds, and of one none holds. */
START_TEST(f8_registers_elsewhere)
{
	struct vcpu_reg_state r, back;
	uint64_t n;

	memset(&r, 0, sizeof(r));
	run_on(3);
	n = fake_vmclears();
	fake_cpu_set(1);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_uint_eq(r.vrs_idtr.vsi_limit, 0x3ff);
	r.vrs_idtr.vsi_limit = 0x4ff;
	r.vrs_crs[VCPU_REGS_CR3] = 0x9000;
	r.vrs_sregs[VCPU_REGS_ES].vsi_base = 0x1230;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_ALL, &r), 0);
	back = r;
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &back), 0);
	ck_assert_mem_eq(&back, &r, sizeof(r));
	ck_assert_uint_eq(fake_vmclears(), n);		/* it stays there */
	ck_assert_uint_eq(fake_vmx_active(3), 1);
	run_on(1);
	ck_assert_uint_eq(last(VF_IDTR_LIMIT), 0x4ff);
	ck_assert_uint_eq(last(VF_CR3), 0x9000);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	ck_assert_uint_eq(fake_vmx_active(1), 1);
}
END_TEST

/* Nothing is left in a CPU by a VCPU that has never run. */
START_TEST(never_ran)
{
	struct vcpu_reg_state r;
	unsigned int i;

	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_ALL, &r), 0);
	for (i = 0; i < 4; i++)
		ck_assert_uint_eq(fake_vmx_active(i), 0);
}
END_TEST

/* Two VCPUs on one CPU, in turn: each its own VMCS, none of them cleared. */
START_TEST(two_on_one_cpu)
{
	struct vcpu_reg_state r;
	uint32_t other = unit_create(MIB, 1);
	uint64_t n;
	int i;

	unit_real(&r);
	r.vrs_gprs[VCPU_REGS_RSP] = 0x5550;
	ck_assert_int_eq(unit_reset(other, 0, &r), 0);
	run_to_end();
	step(&triple_fault);
	ck_assert_int_eq(unit_run(other, 0, NONE, &u), 0);
	n = fake_vmclears();
	for (i = 0; i < 5; i++) {
		run_to_end();
		ck_assert_uint_eq(last(VF_RSP), 0x8000);
		step(&triple_fault);
		ck_assert_int_eq(unit_run(other, 0, NONE, &u), 0);
		ck_assert_uint_eq(last(VF_RSP), 0x5550);
		ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_SREGS, &r), 0);
	}
	ck_assert_uint_eq(fake_vmclears(), n);
	ck_assert_uint_eq(fake_vmx_active(0), 2);
	ck_assert_int_eq(unit_term(id), 0);		/* the list's last */
	step(&triple_fault);
	ck_assert_int_eq(unit_run(other, 0, NONE, &u), 0);
}
END_TEST

static void
go_offline(void *arg)
{
	(void)arg;
	vmm_cpu_offline(host_cpu_self());
}

static int online_error;

static void
go_online(void *arg)
{
	(void)arg;
	online_error = vmm_cpu_online(host_cpu_self());
}

/* A CPU goes with VMCSs loaded: it lets go of them, their VCPUs go on. */
START_TEST(cpu_goes_and_comes)
{
	struct vcpu_reg_state r;

	run_on(2);
	fake_hotplug(2, go_offline, NULL);
	ck_assert(!fake_vmx_on(2));
	ck_assert_uint_eq(fake_vmx_active(2), 0);
	fake_cpu_online(2, false);
	fake_cpu_set(1);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_uint_eq(r.vrs_idtr.vsi_limit, 0x3ff);
	run_on(1);
	fake_cpu_online(2, true);
	fake_hotplug(2, go_online, NULL);
	ck_assert_int_eq(online_error, 0);
	run_on(2);
	fake_hotplug(2, go_offline, NULL);
	fake_cpu_online(2, false);
	fake_cpu_set(0);
	ck_assert_int_eq(unit_term(id), 0);
}
END_TEST

/* It goes just when it is asked for its VMCS: the answer comes elsewhere. */
static unsigned int leaving;

static void *
unplug(void *arg)
{
	(void)arg;
	fake_hotplug(2, go_offline, NULL);
	fake_cpu_online(2, false);
	return (NULL);
}

static void
leave_now(unsigned int cpu)
{
	pthread_t t;

	if (cpu != 2 || leaving++ != 0)
		return;
	ck_assert_int_eq(pthread_create(&t, NULL, unplug, NULL), 0);
	ck_assert_int_eq(pthread_join(t, NULL), 0);
}

START_TEST(cpu_goes_meanwhile)
{
	struct vcpu_reg_state r;

	run_on(2);
	fake_cpu_set(0);
	leaving = 0;
	fake_call_hook(leave_now);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &r), 0);
	fake_call_hook(NULL);
	ck_assert_uint_ge(leaving, 1);
	ck_assert_uint_eq(r.vrs_idtr.vsi_limit, 0x3ff);
	run_on(0);
}
END_TEST

/*
 * Registers of a VCPU that the CPU holds where another VCPU's guest spins: the
 * guest is interrupted for it, and finds its own VMCS again.
 */
START_TEST(f8_beside_running)
{
	struct vcpu_reg_state r;
	struct unit_runner t;
	uint32_t other = unit_create(MIB, 1);
	unsigned int i;

	unit_real(&r);
	r.vrs_gprs[VCPU_REGS_RSP] = 0x5550;
	ck_assert_int_eq(unit_reset(other, 0, &r), 0);
	run_on(1);
	fake_cpu_set(0);
	fake_step_default(unit_spin, 0);
	unit_start(&t, other, 0, 1);
	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &r), 0);
		ck_assert_uint_eq(r.vrs_idtr.vsi_limit, 0x3ff);
		r.vrs_sregs[VCPU_REGS_ES].vsi_base = i;
		ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_SREGS, &r), 0);
		unit_wait_spin();
	}
	fake_signal(t.self);
	ck_assert_int_eq(unit_join(&t), 0);
	ck_assert_uint_eq(t.run.exit.vrs.vrs_gprs[VCPU_REGS_RSP], 0x5550);
	ck_assert_uint_eq(t.run.exit.vrs.vrs_sregs[VCPU_REGS_ES].vsi_base, 0);
	fake_step_default(fake_do_exit, 0x7f);
	run_on(2);
	ck_assert_uint_eq(last(VF_BASE(VX_ES)), 19);
}
END_TEST

/* --- VCPUs and CPUs at random, against a model --- */

#define NMODEL	4

static struct {
	uint32_t	id;
	uint64_t	base;		/* of ES */
	uint64_t	rsp;
} model[NMODEL];

static void
model_run(unsigned int n, unsigned int cpu)
{
	fake_cpu_set(cpu);
	step(&triple_fault);
	ck_assert_int_eq(unit_run(model[n].id, 0, NONE, &u), 0);
	ck_assert_uint_eq(last(VF_BASE(VX_ES)), model[n].base);
	ck_assert_uint_eq(last(VF_RSP), model[n].rsp);
}

/* One register group from anywhere; sometimes all of them anew. */
static void
model_write(unsigned int n, uint32_t v32)
{
	struct vcpu_reg_state r;

	unit_real(&r);
	model[n].base = r.vrs_sregs[VCPU_REGS_ES].vsi_base = v32;
	if (v32 % 5 == 0) {
		model[n].rsp = r.vrs_gprs[VCPU_REGS_RSP] = v32 & 0xffff;
		ck_assert_int_eq(unit_reset(model[n].id, 0, &r), 0);
	} else
		ck_assert_int_eq(unit_write(model[n].id, 0, VM_RWREGS_SREGS,
		    &r), 0);
}

static void
model_read(unsigned int n)
{
	struct vcpu_reg_state r;

	ck_assert_int_eq(unit_read(model[n].id, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_uint_eq(r.vrs_sregs[VCPU_REGS_ES].vsi_base, model[n].base);
	ck_assert_uint_eq(r.vrs_gprs[VCPU_REGS_RSP], model[n].rsp);
}

START_TEST(random_moves)
{
	uint32_t seed = 271828u + (uint32_t)_i * 31, n, cpu;
	struct vcpu_reg_state r;
	int round;

	unit_real(&r);
	for (n = 0; n < NMODEL; n++) {
		model[n].id = unit_create(MIB, 1);
		model[n].base = 0;
		model[n].rsp = 0x8000;
		ck_assert_int_eq(unit_reset(model[n].id, 0, &r), 0);
	}
	for (round = 0; round < 500; round++) {
		n = unit_random(&seed) % NMODEL;
		cpu = unit_random(&seed) % 4;
		fake_cpu_set(cpu);
		switch (unit_random(&seed) % 8) {
		case 0:
			fake_hotplug(cpu, go_offline, NULL);
			fake_hotplug(cpu, go_online, NULL);
			break;
		case 1:
			model_write(n, unit_random(&seed));
			break;
		case 2:
		case 3:
			model_read(n);
			break;
		default:
			model_run(n, cpu);
			break;
		}
	}
	for (n = 0; n < NMODEL; n++)
		ck_assert_int_eq(unit_term(model[n].id), 0);
}
END_TEST

/* A CPU that cannot come: VMXON fails there. */
START_TEST(cpu_cannot_come)
{
	fake_hotplug(3, go_offline, NULL);
	fake_vmxon_fails(3, true);
	fake_hotplug(3, go_online, NULL);
	ck_assert_int_eq(online_error, EIO);
	ck_assert_uint_eq(fake_cr4(3) & 0x2000, 0);
}
END_TEST

/* --- The dump --- */

static char names[200][32];
static uint64_t values[200];
static unsigned int nvalues;

static void
put(void *arg, const char *name, const char *word, uint64_t value)
{
	ck_assert_ptr_null(word);
	ck_assert_ptr_eq(arg, names);
	ck_assert_uint_lt(nvalues, 200);
	snprintf(names[nvalues], sizeof(names[0]), "%s", name);
	values[nvalues++] = value;
}

static uint64_t
dumped(const char *name)
{
	unsigned int i;

	for (i = 0; i < nvalues; i++)
		if (strcmp(names[i], name) == 0)
			return (values[i]);
	ck_abort_msg("%s is not in the dump", name);
}

static bool
has_dumped(const char *name)
{
	unsigned int i;

	for (i = 0; i < nvalues; i++)
		if (strcmp(names[i], name) == 0)
			return (true);
	return (false);
}

/* Every field by its name, as the CPU has it, wherever it is loaded. */
START_TEST(dump)
{
	run_on(2);
	fake_cpu_set(0);
	nvalues = 0;
	vmm_view(VMM_VIEW_vcpus, put, names);
	ck_assert_uint_eq(dumped("vm"), id);
	ck_assert_uint_eq(dumped("vcpu"), 0);
	ck_assert_uint_ne(dumped("VMCS"), 0);
	ck_assert_uint_eq(dumped("GUEST_RIP"), 0x1000);
	ck_assert_uint_eq(dumped("EXIT_REASON"), 2);
	ck_assert_uint_eq(dumped("EPTP"), last(VF_EPTP));
	ck_assert_uint_eq(dumped("HOST_CR3"), last(VF_HOST_CR3));
	ck_assert_uint_eq(dumped("GUEST_TR_AR"), 0x8b);
	ck_assert_uint_eq(dumped("CR0_SHADOW"), 0x10);
	ck_assert_uint_ge(nvalues, 110);
}
END_TEST

START_TEST(dump_running)
{
	struct unit_runner t;

	fake_step_default(unit_spin, 0);
	unit_start(&t, id, 0, 1);
	nvalues = 0;
	vmm_view(VMM_VIEW_vcpus, put, names);
	ck_assert_uint_eq(dumped("running"), 1);
	ck_assert(!has_dumped("GUEST_RIP"));
	fake_signal(t.self);
	ck_assert_int_eq(unit_join(&t), 0);
}
END_TEST

/* A field that this CPU lacks is left out. */
START_TEST(dump_without_timer)
{
	unit_detach();
	vmx_bare();
	fake_vmx_absent(FAKE_MSR_PIN, 6);
	unit_attach();
	id = unit_real_vm();
	nvalues = 0;
	vmm_view(VMM_VIEW_vcpus, put, names);
	ck_assert(has_dumped("GUEST_RIP"));
	ck_assert(!has_dumped("PREEMPTION_TIMER"));
}
END_TEST

/* No memory for it: only the address is given. */
START_TEST(dump_no_memory)
{
	nvalues = 0;
	fake_fail_at(1);
	vmm_view(VMM_VIEW_vcpus, put, names);
	ck_assert(fake_failed());
	fake_fail_at(0);
	ck_assert(has_dumped("VMCS"));
	ck_assert(!has_dumped("GUEST_RIP"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("vmx_ctl");
	TCase *tc = tcase_create("attach");

	tcase_add_checked_fixture(tc, vmx_bare, fake_check_clean);
	suite_add_tcase(s, tc);
	tcase_add_test(tc, no_vmx);
	tcase_add_loop_test(tc, need_missing, 0, NNEEDS);
	tcase_add_loop_test(tc, ept_missing, 0, 5);
	tcase_add_loop_test(tc, optional_missing, 0, 7);
	tcase_add_test(tc, no_true_controls);
	tcase_add_test(tc, must_be_one);
	tcase_add_loop_test(tc, time_slice, 0, 7);
	tcase_add_test(tc, feature_locked_off);
	tcase_add_loop_test(tc, feature_unlocked, 0, 3);
	tcase_add_test(tc, feature_left_alone);
	tc = tcase_create("cpus");
	tcase_add_checked_fixture(tc, setup_cpus, unit_detach);
	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, f27_busy, 0, 4);
	tcase_add_loop_test(tc, f21_vmxon_fails, 0, 4);
	tcase_add_loop_test(tc, f21_refuses, 0, 16);
	tcase_add_loop_test(tc, f21_fixed_bits, 0, 4);
	tcase_add_test(tc, on_and_off);
	tc = tcase_create("vmcs");
	tcase_add_checked_fixture(tc, vmx_setup, unit_detach);
	suite_add_tcase(s, tc);
	tcase_add_test(tc, f10_moves);
	tcase_add_test(tc, f8_registers_elsewhere);
	tcase_add_test(tc, never_ran);
	tcase_add_test(tc, two_on_one_cpu);
	tcase_add_test(tc, cpu_goes_and_comes);
	tcase_add_test(tc, cpu_goes_meanwhile);
	tcase_add_test(tc, f8_beside_running);
	tcase_add_loop_test(tc, random_moves, 0, 8);
	tcase_add_test(tc, cpu_cannot_come);
	tcase_add_test(tc, dump);
	tcase_add_test(tc, dump_running);
	tcase_add_test(tc, dump_without_timer);
	tcase_add_test(tc, dump_no_memory);
	return (s);
}
