/* SPDX-License-Identifier: ISC */
/*
 * vmx_ctl.c - what this CPU's VMX can do, and the controls chosen from that.
 *
 * A capability MSR has two words: the low one has the bits of a control that
 * must be 1, the high one those that may be 1. With VMX_BASIC bit 55 there
 * are "true" ones beside the four oldest, which let more bits be 0.
 *
 *	SDM Vol. 3D A.2 "Reserved Controls and Default Settings"
 */
#include <errno.h>
#include <string.h>

#include "vmm.h"
#include "vmx.h"

#define CPUID_1_ECX_VMX		0x20U
#define CPUID_7_EDX_ARCH_CAP	0x20000000U

#define SLICE_HZ		100	/* time slices of a guest a second */
#define SLICE_DEFAULT		0x1000000UL

struct vmx_ctl vmx_ctl;

/* A control the driver cannot do without. */
struct vmx_need {
	uint32_t	 bit;
	const char	*why;
};
#define NEED(bit, name)	{ bit, "the CPU's VMX lacks " name }

/*
 * Choose a group of controls: what is needed, of `optional` what there is,
 * and nothing else that can be off.
 * Returns: NULL, or what is missing.
 */
static const char *
vmx_choose(uint32_t msr, const struct vmx_need *need, size_t n,
    uint32_t optional, uint32_t *ctl)
{
	uint64_t cap = insn_rdmsr(msr);
	uint32_t must = (uint32_t)cap, may = cap >> 32;
	size_t i;

	*ctl = must | (may & optional);
	for (i = 0; i < n; i++) {
		if ((may & need[i].bit) == 0)
			return (need[i].why);
		*ctl |= need[i].bit;
	}
	return (NULL);
}
#define CHOOSE(msr, need, optional, ctl) \
	vmx_choose(msr, need, sizeof(need) / sizeof(need[0]), optional, ctl)

/* book: vmx-controls */
/*
 * What exits for reasons outside the guest, and its time slice.
 *	SDM Vol. 3C 24.6.1 "Pin-Based VM-Execution Controls"
 */
static const char *
vmx_choose_pin(struct vmx_ctl *c, bool is_true)
{
	static const struct vmx_need need[] = {
		NEED(PIN_EXTINT, "external-interrupt exiting"),
		NEED(PIN_NMI, "NMI exiting"),
		NEED(PIN_VIRTUAL_NMI, "virtual NMIs"),
	};

	return (CHOOSE(is_true ? MSR_VMX_TRUE_PIN : MSR_VMX_PIN, need,
	    PIN_TIMER, &c->pin));
}

/*
 * What the guest does that exits. The window is opened in vmx.c. MOV to CR3,
 * INVLPG, RDTSC and PAUSE are the guest's own.
 *	SDM Vol. 3C 24.6.2 "Processor-Based VM-Execution Controls"
 */
static const char *
vmx_choose_proc(struct vmx_ctl *c, bool is_true)
{
	static const struct vmx_need need[] = {
		NEED(PROC_WINDOW, "interrupt-window exiting"),
		NEED(PROC_HLT, "HLT exiting"),
		NEED(PROC_MWAIT, "MWAIT exiting"),
		NEED(PROC_RDPMC, "RDPMC exiting"),
		NEED(PROC_CR8_LOAD, "CR8-load exiting"),
		NEED(PROC_CR8_STORE, "CR8-store exiting"),
		NEED(PROC_MOV_DR, "MOV-DR exiting"),
		NEED(PROC_IO, "unconditional I/O exiting"),
		NEED(PROC_MSR_BITMAP, "MSR bitmaps"),
		NEED(PROC_MONITOR, "MONITOR exiting"),
		NEED(PROC_PROC2, "secondary controls, and so EPT"),
	};
	const char *why = CHOOSE(is_true ? MSR_VMX_TRUE_PROC : MSR_VMX_PROC,
	    need, 0, &c->proc);

	if (why == NULL &&
	    (c->proc & (PROC_CR3_LOAD | PROC_CR3_STORE)) != 0)
		why = "the CPU's VMX cannot leave CR3 to a guest";
	c->proc &= ~PROC_WINDOW;
	return (why);
}

/*
 * RDTSCP, INVPCID, XSAVES and the like stay off: #UD in the guest.
 *	SDM Vol. 3C 24.6.2 "Processor-Based VM-Execution Controls"
 */
static const char *
vmx_choose_proc2(struct vmx_ctl *c)
{
	static const struct vmx_need need[] = {
		NEED(PROC2_EPT, "EPT"),
		NEED(PROC2_UNRESTRICTED, "unrestricted guest"),
		NEED(PROC2_WBINVD, "WBINVD exiting"),
	};

	return (CHOOSE(MSR_VMX_PROC2, need, PROC2_VPID | PROC2_ENCLS,
	    &c->proc2));
}

/*
 * Interrupts are not acknowledged by the exit: they come when the host turns
 * them on. The timer is not saved: each entry gets a whole slice.
 *	SDM Vol. 3C 24.7.1 "VM-Exit Controls"
 */
static const char *
vmx_choose_exit(struct vmx_ctl *c, bool is_true)
{
	static const struct vmx_need need[] = {
		NEED(EXIT_HOST_64, "a 64-bit host"),
		NEED(EXIT_LOAD_PAT, "loading PAT at exit"),
		NEED(EXIT_LOAD_EFER, "loading EFER at exit"),
	};

	return (CHOOSE(is_true ? MSR_VMX_TRUE_EXIT : MSR_VMX_EXIT, need, 0,
	    &c->exit));
}

/* SDM Vol. 3C 24.8.1 "VM-Entry Controls" */
static const char *
vmx_choose_entry(struct vmx_ctl *c, bool is_true)
{
	static const struct vmx_need need[] = {
		NEED(ENTRY_LOAD_DEBUG, "loading DR7 at entry"),
		NEED(ENTRY_IA32E, "IA-32e mode guests"),
		NEED(ENTRY_LOAD_PAT, "loading PAT at entry"),
		NEED(ENTRY_LOAD_EFER, "loading EFER at entry"),
	};
	const char *why = CHOOSE(is_true ? MSR_VMX_TRUE_ENTRY : MSR_VMX_ENTRY,
	    need, 0, &c->entry);

	c->entry &= ~ENTRY_IA32E;	/* the guest's mode decides */
	return (why);
}
/* book: end */

/*
 * EPT with what the driver relies on. VPIDs only with the flush of them all.
 *	SDM Vol. 3D A.10 "VPID and EPT Capabilities"
 */
static const char *
vmx_choose_ept(struct vmx_ctl *c)
{
	c->ept = insn_rdmsr(MSR_VMX_EPT_VPID);
	if ((c->ept & VMX_EPT_4_LEVELS) == 0)
		return ("the CPU's EPT lacks tables of four levels");
	if ((c->ept & VMX_EPT_WB) == 0)
		return ("the CPU's EPT lacks tables in write-back memory");
	if ((c->ept & VMX_INVEPT) != VMX_INVEPT)
		return ("the CPU's EPT lacks INVEPT, single and all contexts");
	if ((c->ept & VMX_INVVPID) != VMX_INVVPID)
		c->proc2 &= ~PROC2_VPID;
	return (NULL);
}

/*
 * A CPU that does not deny it can be stopped for good, with a machine check,
 * by a guest that executes from a large page and has its size changed.
 *	Intel, "Machine Check Error Avoidance on Page Size Change"
 */
static bool
vmx_multihit(void)
{
	uint32_t r[4];

	insn_cpuid(0, 0, r);
	if (r[0] < 7)
		return (true);
	insn_cpuid(7, 0, r);
	return ((r[3] & CPUID_7_EDX_ARCH_CAP) == 0 ||
	    (insn_rdmsr(MSR_ARCH_CAPABILITIES) & ARCH_PSCHANGE_MC_NO) == 0);
}

/*
 * Is there VMX with all that a VCPU needs, and has firmware left it on?
 * FEATURE_CONTROL that nobody locked is for the driver to set.
 *	SDM Vol. 3C 23.7 "Enabling and Entering VMX Operation"
 * Returns: ENODEV, with the reason in *why.
 */
int
vmx_ctl_probe(struct vmx_ctl *c, const char **why)
{
	uint64_t feature, basic;
	uint32_t r[4];
	bool t;

	insn_cpuid(1, 0, r);
	if ((r[2] & CPUID_1_ECX_VMX) == 0)
		return (ENODEV);
	feature = insn_rdmsr(MSR_FEATURE_CONTROL);
	if ((feature & FEATURE_LOCKED) != 0 && (feature & FEATURE_VMXON) == 0) {
		*why = "VMX is disabled by firmware: enable it there";
		return (ENODEV);
	}
	basic = insn_rdmsr(MSR_VMX_BASIC);
	memset(c, 0, sizeof(*c));	/* padding, too: it is compared */
	t = (basic & VMX_BASIC_TRUE) != 0;
	c->revision = basic & VMX_BASIC_REVISION;
	c->multihit = vmx_multihit();
	c->timer_shift = insn_rdmsr(MSR_VMX_MISC) & VMX_MISC_TIMER_SHIFT;
	c->cr0_fixed0 = insn_rdmsr(MSR_VMX_CR0_FIXED0);
	c->cr0_fixed1 = insn_rdmsr(MSR_VMX_CR0_FIXED1);
	c->cr4_fixed0 = insn_rdmsr(MSR_VMX_CR4_FIXED0);
	c->cr4_fixed1 = insn_rdmsr(MSR_VMX_CR4_FIXED1);
	if ((*why = vmx_choose_pin(c, t)) != NULL ||
	    (*why = vmx_choose_proc(c, t)) != NULL ||
	    (*why = vmx_choose_proc2(c)) != NULL ||
	    (*why = vmx_choose_ept(c)) != NULL ||
	    (*why = vmx_choose_exit(c, t)) != NULL ||
	    (*why = vmx_choose_entry(c, t)) != NULL)
		return (ENODEV);
	return (0);
}

/*
 * --- The VMCS. ---
 */

static const struct {
	uint32_t	 field;
	const char	*name;
} vmcs_fields[VMCS_NFIELDS] = {
#define VMCS(name, width, type, index, text)	{ VMCS_##name, #name },
#include "vmcs.def"
#undef VMCS
};

/*
 * The time slice, in ticks of the preemption timer.
 *
 * Bochs: a guest entered with IF=0 is never interrupted; only this timer
 * brings a guest that spins so back to the host.
 *
 *	SDM Vol. 3C 25.5.1 "VMX-Preemption Timer"
 */
static uint64_t
vmx_slice(void)
{
	uint64_t ticks = host_tsc_hz() / SLICE_HZ;

	if (ticks == 0)
		ticks = SLICE_DEFAULT;
	ticks = (ticks >> vmx_ctl.timer_shift) + 1;
	return (ticks >> 32 != 0 ? 0xffffffff : ticks);
}

/*
 * Write every field of the current VMCS that can be written: after VMCLEAR
 * they hold anything. Fields that the CPU lacks are refused, and not used.
 * All bits of CR0 and CR4 are the driver's: a guest that changes one exits,
 * and reads what it wrote from the shadow.
 *	SDM Vol. 3C 24.6.6 "Guest/Host Masks and Read Shadows for CR0 and CR4"
 */
void
vmx_ctl_reset(void)
{
	size_t i;

	for (i = 0; i < VMCS_NFIELDS; i++)
		if (VMCS_TYPE_OF(vmcs_fields[i].field) != VMCS_TYPE_INFO)
			(void)insn_vmwrite(vmcs_fields[i].field, 0);
	vmcs_write(VMCS_LINK_POINTER, ~0ULL);
	vmcs_write(VMCS_PIN_CTLS, vmx_ctl.pin);
	vmcs_write(VMCS_PROC_CTLS, vmx_ctl.proc);
	vmcs_write(VMCS_PROC2_CTLS, vmx_ctl.proc2);
	vmcs_write(VMCS_EXIT_CTLS, vmx_ctl.exit);
	vmcs_write(VMCS_ENTRY_CTLS, vmx_ctl.entry);
	vmcs_write(VMCS_EXCEPTION_BITMAP,
	    1U << VMM_EX_DB | 1U << VMM_EX_AC | 1U << VMM_EX_MC);
	if ((vmx_ctl.proc2 & PROC2_ENCLS) != 0)
		vmcs_write(VMCS_ENCLS_BITMAP, ~0ULL);
	if ((vmx_ctl.pin & PIN_TIMER) != 0)
		vmcs_write(VMCS_PREEMPTION_TIMER, vmx_slice());
	vmcs_write(VMCS_CR0_MASK, ~0ULL);
	vmcs_write(VMCS_CR4_MASK, ~0ULL);
	vmcs_write(VMCS_GUEST_PAT, PAT_ALL_WB);
	vmcs_write(VMCS_HOST_CS_SEL, insn_selector(VCPU_REGS_CS));
	vmcs_write(VMCS_HOST_SS_SEL, insn_selector(VCPU_REGS_SS));
	vmcs_write(VMCS_HOST_PAT, insn_rdmsr(MSR_PAT));
	vmcs_write(VMCS_HOST_EFER, insn_rdmsr(MSR_EFER));
	vmcs_write(VMCS_HOST_RIP, (uintptr_t)vmx_exit_point);
}

/*
 * What a VM-instruction error of an entry means.
 *	SDM Vol. 3C 30.4 "VM Instruction Error Numbers"
 */
const char *
vmx_ctl_error_text(uint64_t error)
{
	static const char *const text[] = {
		[4] = "VMLAUNCH of a VMCS that is not clear",
		[5] = "VMRESUME of a VMCS that was not launched",
		[6] = "VMRESUME after VMXOFF and VMXON",
		[7] = "a control field is not valid",
		[8] = "a host-state field is not valid",
		[26] = "events are blocked by MOV SS",
	};
	const char *s = NULL;

	if (error < sizeof(text) / sizeof(text[0]))
		s = text[error];
	return (s != NULL ? s : "an error the driver does not know");
}

/* Where the VMCS is current. */
void
vmx_ctl_read(struct vmx_fields *f)
{
	size_t i;

	for (i = 0; i < VMCS_NFIELDS; i++)
		f->exists[i] = insn_vmread(vmcs_fields[i].field, &f->value[i]);
}

/* Where put() may sleep. */
void
vmx_ctl_put(const struct vmx_fields *f, vmm_put *put, void *arg)
{
	size_t i;

	for (i = 0; i < VMCS_NFIELDS; i++)
		if (f->exists[i])
			put(arg, vmcs_fields[i].name, NULL, f->value[i]);
}
