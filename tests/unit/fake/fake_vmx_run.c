/* SPDX-License-Identifier: ISC */
/*
 * fake_vmx_run.c - VM entries and exits of the fake CPUs: what they load,
 * what they leave, and what the driver must put back by itself.
 */
#include <stdio.h>

#include "fake_vmx_priv.h"
#include "insn.h"
#include "vmx.h"

#define E_LAUNCHED	4	/* VMLAUNCH with a VMCS that is */
#define E_NOT_LAUNCHED	5
#define E_CONTROLS	7
#define E_HOST		8
#define REASON_GUEST	0x80000021u
#define REASON_MSR_LOAD	0x80000022u
#define REASON_MCE	0x80000029u
#define REASON_EXTINT	1
#define REASON_WINDOW	7
#define REASON_TIMER	52
#define EV_VALID	0x80000000u
#define EV_ERROR	0x800u
#define RFLAGS_IF_BIT	0x200u
#define EFER_LMA_BIT	0x400u
#define CR0_KEPT	0xffffffff7ffaffd0ULL	/* not loaded, as ET CD NW */
#define RUBBISH_EVENT	0x00000345u		/* its valid bit is clear */
#define RUBBISH_LOST	0x00000321u
#define RUBBISH_LEN	0x2fu
#define NHOST_MSRS	12

/* What must be the host's again before interrupts come on. */
static const uint32_t host_msrs[NHOST_MSRS] = {
	0x174, 0x175, 0x176, 0x277, 0xc0000080, 0xc0000081, 0xc0000082,
	0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102,
};

struct host {
	struct fake_regs	regs;
	uint64_t		msr[NHOST_MSRS];
};

static struct host		 saved[FAKE_MAX_CPUS];
static uint64_t			 gdt[FAKE_MAX_CPUS][16];
static unsigned int		 switches, fail_next;
static bool			 no_extint, mce_next;
static const struct fake_vexit	*losing;
static _Thread_local struct fake_guest guest;
static _Thread_local bool	 entered_if;

const char vmx_exit_point[1];

void
fake_vmx_run_reset(void)
{
	switches = fail_next = 0;
	no_extint = mce_next = false;
	losing = NULL;
}

void
fake_quirk_no_extint(bool on)
{
	no_extint = on;
}

void
fake_vmfail_next(unsigned int error)
{
	fail_next = error;
}

void
fake_lose_vexit(const struct fake_vexit *x)
{
	losing = x;
}

void
fake_mce_next(void)
{
	mce_next = true;
}

/* --- The host's registers --- */

void
insn_sgdt(struct insn_table *t)
{
	const struct fake_regs *r = fake_regs(fake_self()->cpu);

	t->limit = (uint16_t)r->gdt.limit;
	t->base = r->gdt.base;
}

void
insn_sidt(struct insn_table *t)
{
	const struct fake_regs *r = fake_regs(fake_self()->cpu);

	t->limit = (uint16_t)r->idt.limit;
	t->base = r->idt.base;
}

uint16_t
insn_selector(int sreg)
{
	fake_assert_context("MOV from a segment", false, true, true);
	return (fake_regs(fake_self()->cpu)->sel[sreg]);
}

/* Loading FS or GS loads a base as well: GS between two SWAPGS, so KGS. */
void
insn_load_selector(int sreg, uint16_t sel)
{
	struct fake_regs *r = fake_regs(fake_self()->cpu);
	uint64_t base = sel == 0 ? 0 : 0xbad00000;

	fake_assert_context("MOV to a segment", false, true, false);
	if ((sel & 4) != 0 ? sreg == VCPU_REGS_LDTR ||
	    r->sel[VCPU_REGS_LDTR] == 0 : (sel & ~7u) + 7 > r->gdt.limit)
		fake_die("selector %#x: #GP", sel);
	switch (sreg) {
	case VCPU_REGS_DS:
	case VCPU_REGS_ES:
	case VCPU_REGS_LDTR:
		break;
	case VCPU_REGS_FS:
		fake_msr_set(fake_self()->cpu, 0xc0000100, base);
		break;
	case VCPU_REGS_GS:
		fake_msr_set(fake_self()->cpu, 0xc0000102, base);
		break;
	default:
		fake_die("segment register %d loaded", sreg);
	}
	r->sel[sreg] = sel;
}

/*
 * What differs from CPU to CPU. The GDT is read by the driver, which looks for
 * the base of the TSS there: a descriptor of 16 bytes at selector 0x40.
 */
void
fake_vmx_host_boot(unsigned int cpu)
{
	struct fake_regs *r = fake_regs(cpu);
	uint64_t tr = 0xffff800000107000 + cpu * 0x10000ULL;

	r->tr.base = tr;
	r->gdt.base = (uintptr_t)gdt[cpu];
	gdt[cpu][8] = 0x00008b0000000000 | (r->tr.limit & 0xffff) |
	    (tr & 0xffffff) << 16 | (tr >> 24 & 0xff) << 56;
	gdt[cpu][9] = tr >> 32;
	fake_msr_set(cpu, 0x175, 0xffff800000101000 + cpu * 0x10000ULL);
	fake_msr_set(cpu, 0xc0000101, 0xffff800000104000 + cpu * 0x10000ULL);
}

/* Another thread runs on this CPU than the last time. */
void
fake_vmx_host_begin(void)
{
	unsigned int cpu = fake_self()->cpu, i;
	struct fake_regs *r = fake_regs(cpu);
	uint64_t n;

	if (!fake_is_vmx())
		return;
	n = __atomic_add_fetch(&switches, 1, __ATOMIC_SEQ_CST);
	r->cr3 = 0x1000000 + n % 256 * 0x1000;
	r->cr4 = (r->cr4 & ~4ULL) | (n & 1 ? 4 : 0);	/* TSD */
	r->sel[VCPU_REGS_DS] = r->sel[VCPU_REGS_ES] = n & 2 ? 0x2b : 0;
	r->sel[VCPU_REGS_FS] = n & 4 ? 0x33 : 0;
	r->sel[VCPU_REGS_GS] = n & 8 ? 0x3b : 0;
	r->sel[VCPU_REGS_LDTR] = n & 16 ? 0x48 : 0;
	if ((n & 48) == 48)		/* a client with an LDT of its own */
		r->sel[VCPU_REGS_DS] = r->sel[VCPU_REGS_FS] = 0x0f;
	fake_msr_set(cpu, 0xc0000100, 0x7f0000000000 + n % 256 * 0x1000);
	fake_msr_set(cpu, 0xc0000102, 0x7e0000000000 + n % 256 * 0x1000);
	saved[cpu].regs = *r;
	for (i = 0; i < NHOST_MSRS; i++)
		saved[cpu].msr[i] = fake_msr_get(cpu, host_msrs[i]);
}

static void
host_must_be(const char *what, uint64_t is, uint64_t was)
{
	if (is != was)
		fake_die("the host's %s is %#llx after the guest, was %#llx",
		    what, (unsigned long long)is, (unsigned long long)was);
}

void
fake_vmx_host_end(void)
{
	static const char name[VCPU_REGS_NSREGS][5] = { "CS", "DS", "ES",
	    "FS", "GS", "SS", "LDTR", "TR" };
	unsigned int cpu = fake_self()->cpu, i;
	const struct fake_regs *r = fake_regs(cpu), *was = &saved[cpu].regs;
	char text[32];

	if (!fake_is_vmx())
		return;
	host_must_be("CR0", r->cr0, was->cr0);
	host_must_be("CR3", r->cr3, was->cr3);
	host_must_be("CR4", r->cr4, was->cr4);
	host_must_be("GDT base", r->gdt.base, was->gdt.base);
	host_must_be("GDT limit", r->gdt.limit, was->gdt.limit);
	host_must_be("IDT base", r->idt.base, was->idt.base);
	host_must_be("IDT limit", r->idt.limit, was->idt.limit);
	host_must_be("TR base", r->tr.base, was->tr.base);
	host_must_be("TSS limit", r->tr.limit, was->tr.limit);
	for (i = 0; i < VCPU_REGS_NSREGS; i++)
		host_must_be(name[i], r->sel[i], was->sel[i]);
	for (i = 0; i < NHOST_MSRS; i++) {
		snprintf(text, sizeof(text), "MSR %#x", host_msrs[i]);
		host_must_be(text, fake_msr_get(cpu, host_msrs[i]),
		    saved[cpu].msr[i]);
	}
}

void
fake_vmx_host_restore(void)
{
	struct fake_regs *r = fake_regs(fake_self()->cpu);

	if (!fake_is_vmx())
		return;
	r->gdt.limit = saved[fake_self()->cpu].regs.gdt.limit;
	r->idt.limit = saved[fake_self()->cpu].regs.idt.limit;
	r->tr.limit = saved[fake_self()->cpu].regs.tr.limit;
}

/* --- MSR areas --- */

struct area {
	uint32_t	index, reserved;
	uint64_t	value;
};

static struct area *
area(const struct fake_guest *g, uint32_t address, uint32_t count)
{
	uint64_t pa = vf_get(g, address), n = vf_get(g, count);

	if (n == 0)
		return (NULL);
	if (!fake_kernel_range(pa & ~0xfffULL,
	    ((pa & 0xfff) + n * 16 + 0xfff) & ~0xfffULL))
		fake_die("MSR area %#llx is not the driver's",
		    (unsigned long long)pa);
	return (host_va_of(pa));
}

/* SDM Vol. 3C 26.4 "Loading MSRs"; the number of the bad entry, 0 none. */
static unsigned int
load_msrs(const struct fake_guest *g, uint32_t address, uint32_t count)
{
	const struct area *a = area(g, address, count);
	unsigned int i;

	for (i = 0; i < vf_get(g, count); i++) {
		if (a[i].index == 0xc0000100 || a[i].index == 0xc0000101 ||
		    a[i].index >> 8 == 8 || a[i].reserved != 0 ||
		    !fake_msr_has(a[i].index) ||
		    !fake_wrmsr_ok(a[i].index, a[i].value))
			return (i + 1);
		fake_msr_set(g->cpu, a[i].index, a[i].value);
	}
	return (0);
}

static void
store_msrs(const struct fake_guest *g)
{
	struct area *a = area(g, VF_EXIT_STORE, VF_EXIT_STORES);
	unsigned int i;

	for (i = 0; i < vf_get(g, VF_EXIT_STORES); i++) {
		if (a[i].reserved != 0 || !fake_msr_has(a[i].index))
			fake_die("MSR %#x cannot be stored: VMX abort",
			    a[i].index);
		a[i].value = fake_msr_get(g->cpu, a[i].index);
	}
}

/* --- Entry and exit --- */

/* What a driver can get wrong without the CPU noticing. */
static void
check_driver(const struct fake_guest *g)
{
	uint32_t pin = (uint32_t)vf_get(g, VF_PIN);
	uint32_t proc = (uint32_t)vf_get(g, VF_PROC);

	if ((pin & VX_PIN_EXTINT) == 0 || (pin & VX_PIN_NMI) == 0)
		fake_die("entry without exits of interrupts and NMIs");
	if ((vf_get(g, VF_EXIT_CTLS) & VX_EXIT_ACK) != 0)
		fake_die("interrupts acknowledged by exits are lost");
	if ((proc & (VX_PROC_IO | VX_PROC_IO_BITMAPS)) == 0)
		fake_die("entry with all ports open");
	if ((proc & VX_PROC_MSR_BITMAP) != 0 &&
	    !fake_kernel_range(vf_get(g, VF_MSR_BITMAP), PAGE_SIZE_4K))
		fake_die("the MSR bitmap is no page of the driver's");
	if ((fake_proc2(g) & VX_PROC2_EPT) == 0)
		fake_die("entry without EPT");
	if (!fake_kernel_range(vf_get(g, VF_EPTP) & ~0xfffULL, PAGE_SIZE_4K))
		fake_die("the EPT root is no page of the driver's");
	if (vf_get(g, VF_HOST_RIP) != (uintptr_t)vmx_exit_point)
		fake_die("HOST_RIP %#llx",
		    (unsigned long long)vf_get(g, VF_HOST_RIP));
}

static void
set_msr(const struct fake_guest *g, uint32_t msr, uint32_t field)
{
	fake_msr_set(g->cpu, msr, vf_get(g, field));
}

/* SDM Vol. 3C 26.3.2 "Loading Guest State" */
static void
load_guest(struct fake_guest *g)
{
	struct fake_regs *r = fake_regs(g->cpu);
	uint32_t entry = (uint32_t)vf_get(g, VF_ENTRY_CTLS);

	r->cr0 = (vf_get(g, VF_CR0) & ~CR0_KEPT) | (r->cr0 & CR0_KEPT);
	r->cr3 = vf_get(g, VF_CR3);
	r->cr4 = vf_get(g, VF_CR4);
	memset(r->sel, 0xee, sizeof(r->sel));
	r->gdt.base = r->idt.base = r->tr.base = 0xeeee;
	set_msr(g, 0x174, VF_SYSENTER_CS);
	set_msr(g, 0x175, VF_SYSENTER_ESP);
	set_msr(g, 0x176, VF_SYSENTER_EIP);
	set_msr(g, 0xc0000100, VF_BASE(VX_FS));
	set_msr(g, 0xc0000101, VF_BASE(VX_GS));
	if ((entry & VX_ENTRY_LOAD_PAT) != 0)
		set_msr(g, 0x277, VF_PAT);
	if ((entry & VX_ENTRY_LOAD_EFER) != 0)
		set_msr(g, 0xc0000080, VF_EFER);
}

/* SDM Vol. 3C 27.3 "Saving Guest State" */
static void
store_guest(struct fake_guest *g)
{
	uint32_t entry = (uint32_t)vf_get(g, VF_ENTRY_CTLS);

	vf_set(g, VF_CR0, (vf_get(g, VF_CR0) & ~CR0_KEPT) |
	    (fake_regs(g->cpu)->cr0 & CR0_KEPT));
	vf_set(g, VF_ENTRY_EVENT, vf_get(g, VF_ENTRY_EVENT) & ~EV_VALID);
	if ((fake_proc2(g) & VX_PROC2_UG) != 0) {
		entry &= ~VX_ENTRY_IA32E;
		if ((vf_get(g, VF_EFER) & EFER_LMA_BIT) != 0)
			entry |= VX_ENTRY_IA32E;
		vf_set(g, VF_ENTRY_CTLS, entry);
	}
	store_msrs(g);
}

/* SDM Vol. 3C 27.5 "Loading Host State" */
static void
load_host(struct fake_guest *g)
{
	static const int order[] = { VCPU_REGS_ES, VCPU_REGS_CS, VCPU_REGS_SS,
	    VCPU_REGS_DS, VCPU_REGS_FS, VCPU_REGS_GS, VCPU_REGS_TR };
	struct fake_regs *r = fake_regs(g->cpu);
	uint32_t exit = (uint32_t)vf_get(g, VF_EXIT_CTLS);
	unsigned int i;

	r->cr0 = (vf_get(g, VF_HOST_CR0) & ~CR0_KEPT) | (r->cr0 & CR0_KEPT);
	r->cr3 = vf_get(g, VF_HOST_CR3);
	r->cr4 = vf_get(g, VF_HOST_CR4);
	for (i = 0; i < 7; i++)
		r->sel[order[i]] = (uint16_t)vf_get(g,
		    VF_HOST_ES_SEL + 2 * i);
	r->sel[VCPU_REGS_LDTR] = 0;
	r->gdt.base = vf_get(g, VF_HOST_GDTR_BASE);
	r->idt.base = vf_get(g, VF_HOST_IDTR_BASE);
	r->tr.base = vf_get(g, VF_HOST_TR_BASE);
	r->gdt.limit = r->idt.limit = 0xffff;
	r->tr.limit = 0x67;
	set_msr(g, 0x174, VF_HOST_SYSENTER_CS);
	set_msr(g, 0x175, VF_HOST_SYSENTER_ESP);
	set_msr(g, 0x176, VF_HOST_SYSENTER_EIP);
	set_msr(g, 0xc0000100, VF_HOST_FS_BASE);
	set_msr(g, 0xc0000101, VF_HOST_GS_BASE);
	if ((exit & VX_EXIT_LOAD_PAT) != 0)
		set_msr(g, 0x277, VF_HOST_PAT);
	if ((exit & VX_EXIT_LOAD_EFER) != 0)
		set_msr(g, 0xc0000080, VF_HOST_EFER);
	if (load_msrs(g, VF_EXIT_LOAD, VF_EXIT_LOADS) != 0)
		fake_die("bad entry in the exit MSR-load area: VMX abort");
}

static bool
open_for_interrupt(const struct fake_guest *g)
{
	return ((vf_get(g, VF_RFLAGS) & RFLAGS_IF_BIT) != 0 &&
	    (vf_get(g, VF_INTERRUPTIBILITY) & (VX_STI | VX_MOV_SS)) == 0);
}

/* The exit cuts the delivery short: IDT-vectoring says what of. */
static void
lose(struct fake_guest *g, uint32_t ev)
{
	struct fake_vexit x = *losing;

	losing = NULL;
	x.lost = ev;
	x.lost_error = (uint32_t)vf_get(g, VF_ENTRY_ERROR);
	if (x.len == 0 && (ev >> 8 & 7) >= 4)
		x.len = (uint32_t)vf_get(g, VF_ENTRY_LEN);
	fake_vexit(g, &x);
}

/* SDM Vol. 3C 26.6 "Event Injection"; an interrupt gate clears IF. */
static void
deliver(struct fake_guest *g)
{
	uint32_t ev = (uint32_t)vf_get(g, VF_ENTRY_EVENT);

	if ((ev & EV_VALID) == 0)
		return;
	if (losing != NULL) {
		lose(g, ev);
		return;
	}
	fake_event_add(ev, (ev & EV_ERROR) == 0 ? 0 :
	    (uint32_t)vf_get(g, VF_ENTRY_ERROR), vf_get(g, VF_RIP));
	vf_set(g, VF_RFLAGS, vf_get(g, VF_RFLAGS) & ~(uint64_t)RFLAGS_IF_BIT);
	vf_set(g, VF_INTERRUPTIBILITY, (ev >> 8 & 7) == 2 ? 8 :
	    vf_get(g, VF_INTERRUPTIBILITY) & ~3ULL);
}

/* Whether a host interrupt ends this guest now. */
static bool
interrupted(const struct fake_guest *g)
{
	return ((fake_kicked(g->cpu) || fake_must_stop()) &&
	    (!no_extint || entered_if));
}

/* A guest that spun is interrupted; Bochs leaves some to the timer. */
void
fake_vmx_interrupt(struct fake_guest *g)
{
	struct fake_vexit x = { .reason = REASON_EXTINT };

	if (!interrupted(g))
		x.reason = REASON_TIMER;
	fake_vexit(g, &x);
}

static void
play(struct fake_guest *g)
{
	static const struct fake_vexit window = { .reason = REASON_WINDOW };

	deliver(g);
	while (!g->exited) {
		if ((vf_get(g, VF_PROC) & VX_PROC_WINDOW) != 0 &&
		    open_for_interrupt(g))
			fake_vexit(g, &window);
		else if (interrupted(g))
			fake_vmx_interrupt(g);
		else
			fake_step_play(g);
	}
}

static int
vmfail(struct fake_guest *g, unsigned int error, const char *why)
{
	fake_refuse(why);
	*fake_vmcs_field(g->vmx, VF_INSN_ERROR) = error;
	return (VMX_FAIL_VALID);
}

/*
 * SDM Vol. 3C 26.8 "VM-Entry Failures During or After Loading Guest State":
 * host state is loaded and only these two fields are written.
 */
static int
entry_failed(struct fake_guest *g, uint32_t reason, uint64_t qual,
    const char *why)
{
	fake_refuse(why);
	*fake_vmcs_field(g->vmx, VF_REASON) = reason;
	*fake_vmcs_field(g->vmx, VF_QUAL) = qual;
	load_host(g);
	fake_ran(g);
	return (0);
}

/* In place of vmx_entry.S. SDM Vol. 3C 26.1 "Basic VM-Entry Checks" ff. */
int
vmx_enter(uint64_t *gpr, bool launched)
{
	struct fake_guest *g = &guest;
	struct fake_vmx_cpu *c = fake_vmx_cpu(host_cpu_self());
	unsigned int n = 0;
	const char *why;
	uint64_t qual;

	fake_assert_context("vmx_enter", false, true, false);
	if (!c->on)
		fake_die("VM entry outside VMX operation: #UD");
	if (c->current == NULL)
		return (VMX_FAIL_INVALID);
	memset(g, 0, sizeof(*g));
	g->vmx = c->current;
	g->gpr = gpr;
	g->cpu = host_cpu_self();
	if ((fake_proc2(g) & VX_PROC2_VPID) != 0)
		g->asid = (uint32_t)vf_get(g, VF_VPID);
	*fake_vmcs_field(g->vmx, VF_HOST_RSP) = (uintptr_t)&why;
	if (fail_next != 0) {
		n = fail_next;
		fail_next = 0;
		if (n == FAKE_VMFAIL_INVALID)
			return (VMX_FAIL_INVALID);
		return (vmfail(g, n, "on request"));
	}
	if (launched != g->vmx->launched)
		return (vmfail(g, launched ? E_NOT_LAUNCHED : E_LAUNCHED,
		    "launch state"));
	if ((why = fake_check_controls(g)) != NULL)
		return (vmfail(g, E_CONTROLS, why));
	if ((why = fake_check_host(g)) != NULL)
		return (vmfail(g, E_HOST, why));
	check_driver(g);
	fake_ept_entry(g);
	if (mce_next) {
		mce_next = false;
		return (entry_failed(g, REASON_MCE, 0, "machine check"));
	}
	why = fake_check_guest(g, &qual);
	if (why != NULL)
		return (entry_failed(g, REASON_GUEST, qual, why));
	load_guest(g);
	fake_cpu_vmrun();
	n = load_msrs(g, VF_ENTRY_LOAD, VF_ENTRY_LOADS);
	if (n != 0)
		return (entry_failed(g, REASON_MSR_LOAD, n, "MSR load"));
	g->vmx->launched = true;
	entered_if = (vf_get(g, VF_RFLAGS) & RFLAGS_IF_BIT) != 0;
	play(g);
	store_guest(g);
	fake_ept_entry(g);
	load_host(g);
	fake_ran(g);
	return (0);
}

void
fake_vexit_raw(struct fake_guest *g, const struct fake_vexit *x)
{
	const struct {
		uint32_t	field;
		uint64_t	value;
	} put[] = {
		{ VF_REASON, x->reason }, { VF_QUAL, x->qual },
		{ VF_LEN, x->len != 0 ? x->len : g->len != 0 ? g->len :
		    RUBBISH_LEN },
		{ VF_EXIT_EVENT, x->event != 0 ? x->event : RUBBISH_EVENT },
		{ VF_EXIT_ERROR, x->error },
		{ VF_LOST, x->lost != 0 ? x->lost : RUBBISH_LOST },
		{ VF_LOST_ERROR, x->lost_error },
		{ VF_INSN_INFO, x->insn_info }, { VF_GLA, x->gla },
	};
	size_t i;

	for (i = 0; i < sizeof(put) / sizeof(put[0]); i++)
		vf_set(g, put[i].field, put[i].value);
	if (fake_vmx_field(VF_GPA))
		vf_set(g, VF_GPA, x->gpa);
	g->exited = true;
}

void
fake_do_vexit(struct fake_guest *g, uint64_t arg)
{
	fake_vexit(g, (const struct fake_vexit *)(uintptr_t)arg);
}

void
fake_do_vexit_raw(struct fake_guest *g, uint64_t arg)
{
	fake_vexit_raw(g, (const struct fake_vexit *)(uintptr_t)arg);
}
