/* SPDX-License-Identifier: ISC */
/*
 * fake_vmx_check.c - what a VM entry of the fake CPUs checks.
 *	SDM Vol. 3C 26.2 "Checks on VMX Controls and Host-State Area", 26.3
 *	"Checking and Loading Guest State"
 */
#include "fake_vmx_priv.h"

#define CR0_PE_BIT	0x1u
#define CR0_PG_BIT	0x80000000u
#define CR4_PAE_BIT	0x20u
#define CR4_PCIDE_BIT	0x20000u
#define EFER_LME_BIT	0x100u
#define EFER_LMA_BIT	0x400u
#define EFER_VALID	0xd01u
#define RFLAGS_TF_BIT	0x100u
#define RFLAGS_IF_BIT	0x200u
#define RFLAGS_VM_BIT	0x20000u
#define EVENT_VALID	0x80000000u
#define EVENT_ERROR	0x800u
#define AR_P		0x80u
#define AR_S		0x10u
#define AR_L		0x2000u
#define AR_DB		0x4000u
#define AR_G		0x8000u
#define AR_UNUSABLE	0x10000u
#define AR_RESERVED	0xfffe0f00u
#define PENDING_BS	0x4000u

uint32_t
fake_proc2(const struct fake_guest *g)
{
	return ((vf_get(g, VF_PROC) & VX_PROC_PROC2) == 0 ? 0 :
	    (uint32_t)vf_get(g, VF_PROC2));
}

static bool
ug(const struct fake_guest *g)
{
	return ((fake_proc2(g) & VX_PROC2_UG) != 0);
}

static bool
ia32e(const struct fake_guest *g)
{
	return ((vf_get(g, VF_ENTRY_CTLS) & VX_ENTRY_IA32E) != 0);
}

/* --- Controls --- */

/* SDM Vol. 3D A.2 "Reserved Controls and Default Settings" */
static bool
control_ok(uint32_t v, uint32_t msr, uint32_t true_msr)
{
	bool t = (fake_msr_get(0, FAKE_MSR_BASIC) >> 55 & 1) != 0;
	uint64_t cap = fake_msr_get(0, t && true_msr != 0 ? true_msr : msr);

	return ((~v & (uint32_t)cap) == 0 && (v & ~(uint32_t)(cap >> 32)) == 0);
}

static bool
page_ok(uint64_t pa)
{
	return ((pa & 0xfff) == 0 && pa < fake_phys_limit());
}

static bool
area_ok(uint64_t pa, uint64_t count)
{
	return (count == 0 || ((pa & 15) == 0 &&
	    pa + count * 16 <= fake_phys_limit()));
}

/* SDM Vol. 3C 26.2.1.1 "VM-Execution Control Fields" */
static const char *
execution(const struct fake_guest *g)
{
	uint32_t pin = (uint32_t)vf_get(g, VF_PIN);
	uint32_t proc = (uint32_t)vf_get(g, VF_PROC), proc2 = fake_proc2(g);
	uint64_t eptp = vf_get(g, VF_EPTP);

	if (!control_ok(pin, FAKE_MSR_PIN, FAKE_MSR_TRUE_PIN))
		return ("pin-based controls");
	if (!control_ok(proc, FAKE_MSR_PROC, FAKE_MSR_TRUE_PROC))
		return ("primary controls");
	if ((proc & VX_PROC_PROC2) != 0 &&
	    !control_ok(proc2, FAKE_MSR_PROC2, 0))
		return ("secondary controls");
	if (vf_get(g, VF_CR3_TARGETS) >
	    (fake_msr_get(0, FAKE_MSR_MISC) >> 16 & 0x1ff))
		return ("CR3-target count");
	if ((proc & VX_PROC_IO_BITMAPS) != 0 &&
	    (!page_ok(vf_get(g, VF_IO_BITMAP_A)) ||
	    !page_ok(vf_get(g, VF_IO_BITMAP_B))))
		return ("I/O bitmap address");
	if ((proc & VX_PROC_MSR_BITMAP) != 0 &&
	    !page_ok(vf_get(g, VF_MSR_BITMAP)))
		return ("MSR bitmap address");
	if ((proc & VX_PROC_TPR) == 0 && (proc2 & 0x310) != 0)
		return ("APIC virtualization without the TPR shadow");
	if ((pin & VX_PIN_NMI) == 0 && (pin & VX_PIN_VNMI) != 0)
		return ("virtual NMIs without NMI exiting");
	if ((pin & VX_PIN_VNMI) == 0 && (proc & VX_PROC_NMI_WINDOW) != 0)
		return ("NMI window without virtual NMIs");
	if ((proc2 & VX_PROC2_VPID) != 0 && vf_get(g, VF_VPID) == 0)
		return ("VPID is 0");
	if ((proc2 & VX_PROC2_UG) != 0 && (proc2 & VX_PROC2_EPT) == 0)
		return ("unrestricted guest without EPT");
	if ((proc2 & VX_PROC2_EPT) != 0 && ((eptp & 0xfbf) != 0x1e ||
	    eptp >= fake_phys_limit()))
		return ("EPT pointer");
	if ((pin & VX_PIN_TIMER) == 0 &&
	    (vf_get(g, VF_EXIT_CTLS) & VX_EXIT_SAVE_TIMER) != 0)
		return ("saved timer without a timer");
	return (NULL);
}

/* SDM Vol. 3C 26.2.1.3 "VM-Entry Control Fields": what is injected. */
static const char *
injection(const struct fake_guest *g)
{
	const uint32_t with_error = 1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 |
	    1u << 13 | 1u << 14 | 1u << 17;
	uint32_t ev = (uint32_t)vf_get(g, VF_ENTRY_EVENT);
	uint32_t type = ev >> 8 & 7, vector = ev & 0xff;
	bool error;

	if ((ev & EVENT_VALID) == 0)
		return (NULL);
	if (type == 1 || type == 7 || (ev & 0x7ffff000) != 0)
		return ("event: type or reserved bits");
	if ((type == 2 && vector != 2) || (type == 3 && vector > 31))
		return ("event: vector");
	error = type == 3 && (with_error >> vector & 1) != 0 &&
	    (!ug(g) || (vf_get(g, VF_CR0) & CR0_PE_BIT) != 0);
	if (error != ((ev & EVENT_ERROR) != 0))
		return (error ? "event: no error code" : "event: error code");
	if (error && vf_get(g, VF_ENTRY_ERROR) >> 16 != 0)
		return ("event: error code has reserved bits");
	if (type >= 4 && (vf_get(g, VF_ENTRY_LEN) == 0 ||
	    vf_get(g, VF_ENTRY_LEN) > 15))
		return ("event: instruction length");
	return (NULL);
}

const char *
fake_check_controls(const struct fake_guest *g)
{
	const char *why = execution(g);

	if (why != NULL)
		return (why);
	if (!control_ok((uint32_t)vf_get(g, VF_EXIT_CTLS), FAKE_MSR_EXIT,
	    FAKE_MSR_TRUE_EXIT))
		return ("exit controls");
	if (!area_ok(vf_get(g, VF_EXIT_STORE), vf_get(g, VF_EXIT_STORES)) ||
	    !area_ok(vf_get(g, VF_EXIT_LOAD), vf_get(g, VF_EXIT_LOADS)))
		return ("exit MSR areas");
	if (!control_ok((uint32_t)vf_get(g, VF_ENTRY_CTLS), FAKE_MSR_ENTRY,
	    FAKE_MSR_TRUE_ENTRY))
		return ("entry controls");
	if (!area_ok(vf_get(g, VF_ENTRY_LOAD), vf_get(g, VF_ENTRY_LOADS)))
		return ("entry MSR area");
	return (injection(g));
}

/* --- The host --- */

static bool
fixed_ok(uint64_t v, uint32_t fixed0, uint64_t exempt)
{
	uint64_t f0 = fake_msr_get(0, fixed0) & ~exempt;
	uint64_t f1 = fake_msr_get(0, fixed0 + 1) | exempt;

	return ((v & f0) == f0 && (v & ~f1) == 0);
}

static bool
pat_ok(uint64_t v)
{
	unsigned int i;

	for (i = 0; i < 64; i += 8)
		if ((v >> i & 0xff) > 7 || (v >> i & 0xff) == 2 ||
		    (v >> i & 0xff) == 3)
			return (false);
	return (true);
}

/* What WRMSR takes of the MSRs that are in question here. */
bool
fake_wrmsr_ok(uint32_t msr, uint64_t v)
{
	switch (msr) {
	case 0x175:
	case 0x176:
	case 0xc0000082:
	case 0xc0000083:
	case 0xc0000100:
	case 0xc0000101:
	case 0xc0000102:
		return (fake_canonical(v));
	case 0x277:
		return (pat_ok(v));
	case 0xc0000080:
		return ((v & ~(uint64_t)EFER_VALID) == 0);
	case 0xc0000084:
		return (v >> 32 == 0);
	default:
		return (true);
	}
}

/* SDM Vol. 3C 26.2.2 "Checks on Host Control Registers and MSRs" and on */
const char *
fake_check_host(const struct fake_guest *g)
{
	uint32_t exit = (uint32_t)vf_get(g, VF_EXIT_CTLS), f;
	uint64_t efer = vf_get(g, VF_HOST_EFER);

	if (!fixed_ok(vf_get(g, VF_HOST_CR0), FAKE_MSR_CR0_FIXED0, 0))
		return ("host CR0");
	if (!fixed_ok(vf_get(g, VF_HOST_CR4), FAKE_MSR_CR4_FIXED0, 0) ||
	    (vf_get(g, VF_HOST_CR4) & CR4_PAE_BIT) == 0)
		return ("host CR4");
	if (vf_get(g, VF_HOST_CR3) >= fake_phys_limit())
		return ("host CR3");
	for (f = VF_HOST_FS_BASE; f <= VF_HOST_SYSENTER_EIP; f += 2)
		if (!fake_canonical(vf_get(g, f)))
			return ("host base or SYSENTER address");
	if ((exit & VX_EXIT_LOAD_PAT) != 0 && !pat_ok(vf_get(g, VF_HOST_PAT)))
		return ("host PAT");
	if ((exit & VX_EXIT_HOST64) == 0)
		return ("a 64-bit host without the control");
	if ((exit & VX_EXIT_LOAD_EFER) != 0 &&
	    ((efer & ~(uint64_t)EFER_VALID) != 0 ||
	    (efer & (EFER_LME_BIT | EFER_LMA_BIT)) !=
	    (EFER_LME_BIT | EFER_LMA_BIT)))
		return ("host EFER");
	for (f = VF_HOST_ES_SEL; f <= VF_HOST_ES_SEL + 12; f += 2)
		if ((vf_get(g, f) & 7) != 0)
			return ("host selector with TI or RPL");
	if (vf_get(g, VF_HOST_ES_SEL + 2) == 0 ||
	    vf_get(g, VF_HOST_ES_SEL + 12) == 0)
		return ("host CS or TR is 0");
	if (!fake_canonical(vf_get(g, VF_HOST_RIP)))
		return ("host RIP");
	return (NULL);
}

/* --- The guest --- */

/* SDM Vol. 3C 26.3.1.1 "Checks on Guest Control Registers, Debug Registers,
 * and MSRs" */
static const char *
registers(const struct fake_guest *g)
{
	uint64_t cr0 = vf_get(g, VF_CR0), cr4 = vf_get(g, VF_CR4);
	uint64_t efer = vf_get(g, VF_EFER);
	uint32_t entry = (uint32_t)vf_get(g, VF_ENTRY_CTLS);

	if (!fixed_ok(cr0, FAKE_MSR_CR0_FIXED0,
	    ug(g) ? CR0_PE_BIT | CR0_PG_BIT : 0))
		return ("CR0");
	if ((cr0 & CR0_PG_BIT) != 0 && (cr0 & CR0_PE_BIT) == 0)
		return ("CR0.PG without PE");
	if (!fixed_ok(cr4, FAKE_MSR_CR4_FIXED0, 0))
		return ("CR4");
	if (ia32e(g) && ((cr0 & CR0_PG_BIT) == 0 || (cr4 & CR4_PAE_BIT) == 0))
		return ("IA-32e mode without PG and PAE");
	if (!ia32e(g) && (cr4 & CR4_PCIDE_BIT) != 0)
		return ("CR4.PCIDE outside IA-32e mode");
	if (vf_get(g, VF_CR3) >= fake_phys_limit())
		return ("CR3");
	if ((entry & VX_ENTRY_DEBUG) != 0 && (vf_get(g, VF_DR7) >> 32 != 0 ||
	    (vf_get(g, VF_DEBUGCTL) & ~0xdfc3ULL) != 0))
		return ("DR7 or DEBUGCTL");
	if (!fake_canonical(vf_get(g, VF_SYSENTER_ESP)) ||
	    !fake_canonical(vf_get(g, VF_SYSENTER_EIP)))
		return ("SYSENTER address");
	if ((entry & VX_ENTRY_LOAD_PAT) != 0 && !pat_ok(vf_get(g, VF_PAT)))
		return ("PAT");
	if ((entry & VX_ENTRY_LOAD_EFER) == 0)
		return (NULL);
	if ((efer & ~(uint64_t)EFER_VALID) != 0)
		return ("EFER");
	if (((efer & EFER_LMA_BIT) != 0) != ia32e(g))
		return ("EFER.LMA is not the entry control");
	if ((cr0 & CR0_PG_BIT) != 0 && ((efer & EFER_LMA_BIT) != 0) !=
	    ((efer & EFER_LME_BIT) != 0))
		return ("EFER.LMA without LME, or LME with PG");
	return (NULL);
}

/* Granularity: SDM, "Bit 15 (G)". */
static bool
limit_ok(const struct fake_guest *g, unsigned int s)
{
	uint64_t limit = vf_get(g, VF_LIMIT(s));
	bool gran = (vf_get(g, VF_AR(s)) & AR_G) != 0;

	return (!((limit & 0xfff) != 0xfff && gran) &&
	    !(limit >> 20 != 0 && !gran));
}

static bool
usable(const struct fake_guest *g, unsigned int s)
{
	return ((vf_get(g, VF_AR(s)) & AR_UNUSABLE) == 0);
}

static unsigned int
dpl(const struct fake_guest *g, unsigned int s)
{
	return (vf_get(g, VF_AR(s)) >> 5 & 3);
}

static unsigned int
rpl(const struct fake_guest *g, unsigned int s)
{
	return (vf_get(g, VF_SEL(s)) & 3);
}

/* Virtual-8086 mode: every part of a segment follows from its selector. */
static const char *
segments_v86(const struct fake_guest *g)
{
	unsigned int s;

	for (s = VX_ES; s <= VX_GS; s++)
		if (vf_get(g, VF_BASE(s)) != vf_get(g, VF_SEL(s)) << 4 ||
		    vf_get(g, VF_LIMIT(s)) != 0xffff ||
		    vf_get(g, VF_AR(s)) != 0xf3)
			return ("virtual-8086 segment");
	return (NULL);
}

static const char *
cs_ss(const struct fake_guest *g)
{
	uint32_t cs = (uint32_t)vf_get(g, VF_AR(VX_CS));
	uint32_t ss = (uint32_t)vf_get(g, VF_AR(VX_SS));

	switch (cs & 15) {
	case 3:
		if (!ug(g) || dpl(g, VX_CS) != 0)
			return ("CS type 3");
		break;
	case 9:
	case 11:
		if (dpl(g, VX_CS) != dpl(g, VX_SS))
			return ("CS.DPL is not SS.DPL");
		break;
	case 13:
	case 15:
		if (dpl(g, VX_CS) > dpl(g, VX_SS))
			return ("conforming CS.DPL above SS.DPL");
		break;
	default:
		return ("CS type");
	}
	if (ia32e(g) && (cs & AR_L) != 0 && (cs & AR_DB) != 0)
		return ("CS.L and D/B");
	if (usable(g, VX_SS) && (ss & 15) != 3 && (ss & 15) != 7)
		return ("SS type");
	if (!ug(g) && (dpl(g, VX_SS) != rpl(g, VX_SS) ||
	    rpl(g, VX_SS) != rpl(g, VX_CS)))
		return ("SS.DPL, RPL of SS and CS");
	if (dpl(g, VX_SS) != 0 && ((cs & 15) == 3 ||
	    (vf_get(g, VF_CR0) & CR0_PE_BIT) == 0))
		return ("SS.DPL in real mode");
	return (NULL);
}

/* SDM Vol. 3C 26.3.1.2 "Checks on Guest Segment Registers": ES to GS. */
static const char *
segments(const struct fake_guest *g)
{
	unsigned int s;
	uint32_t ar;

	if ((vf_get(g, VF_RFLAGS) & RFLAGS_VM_BIT) != 0)
		return (segments_v86(g));
	for (s = VX_ES; s <= VX_GS; s++) {
		ar = (uint32_t)vf_get(g, VF_AR(s));
		if (s >= VX_FS ? !fake_canonical(vf_get(g, VF_BASE(s))) :
		    (s == VX_CS || usable(g, s)) &&
		    vf_get(g, VF_BASE(s)) >> 32 != 0)
			return ("segment base");
		if (s != VX_CS && !usable(g, s))
			continue;
		if ((ar & AR_RESERVED) != 0 || (ar & AR_S) == 0 ||
		    (ar & AR_P) == 0)
			return ("segment access rights");
		if (!limit_ok(g, s))
			return ("segment limit");
		if (s == VX_CS || s == VX_SS)
			continue;
		if ((ar & 1) == 0 || ((ar & 8) != 0 && (ar & 2) == 0))
			return ("data segment type");
		if (!ug(g) && (ar & 15) < 12 && dpl(g, s) < rpl(g, s))
			return ("data segment DPL below RPL");
	}
	return (cs_ss(g));
}

/* The same section: TR, LDTR, GDTR and IDTR. */
static const char *
system_segments(const struct fake_guest *g)
{
	uint32_t tr = (uint32_t)vf_get(g, VF_AR(VX_TR));
	uint32_t ldtr = (uint32_t)vf_get(g, VF_AR(VX_LDTR));

	if ((vf_get(g, VF_SEL(VX_TR)) & 4) != 0 ||
	    !fake_canonical(vf_get(g, VF_BASE(VX_TR))))
		return ("TR selector or base");
	if (((tr & 15) != 11 && ((tr & 15) != 3 || ia32e(g))) ||
	    (tr & AR_S) != 0 || (tr & AR_P) == 0 ||
	    (tr & (AR_RESERVED | AR_UNUSABLE)) != 0 || !limit_ok(g, VX_TR))
		return ("TR access rights");
	if (usable(g, VX_LDTR)) {
		if ((vf_get(g, VF_SEL(VX_LDTR)) & 4) != 0 ||
		    !fake_canonical(vf_get(g, VF_BASE(VX_LDTR))))
			return ("LDTR selector or base");
		if ((ldtr & 0x9f) != 0x82 || (ldtr & AR_RESERVED) != 0 ||
		    !limit_ok(g, VX_LDTR))
			return ("LDTR access rights");
	}
	if (!fake_canonical(vf_get(g, VF_GDTR_BASE)) ||
	    !fake_canonical(vf_get(g, VF_IDTR_BASE)) ||
	    vf_get(g, VF_GDTR_LIMIT) >> 16 != 0 ||
	    vf_get(g, VF_IDTR_LIMIT) >> 16 != 0)
		return ("GDTR or IDTR");
	return (NULL);
}

/* SDM Vol. 3C 26.3.1.4 "Checks on Guest RIP and RFLAGS" */
static const char *
rip_rflags(const struct fake_guest *g)
{
	uint64_t rip = vf_get(g, VF_RIP), f = vf_get(g, VF_RFLAGS);
	uint32_t ev = (uint32_t)vf_get(g, VF_ENTRY_EVENT);

	if (!(ia32e(g) && (vf_get(g, VF_AR(VX_CS)) & AR_L) != 0) ?
	    rip >> 32 != 0 : !fake_canonical(rip))
		return ("RIP");
	if ((f & ~0x3f7fd5ULL) != 2)
		return ("RFLAGS reserved bits");
	if ((f & RFLAGS_VM_BIT) != 0 &&
	    (ia32e(g) || (vf_get(g, VF_CR0) & CR0_PE_BIT) == 0))
		return ("RFLAGS.VM");
	if ((ev & EVENT_VALID) != 0 && (ev >> 8 & 7) == 0 &&
	    (f & RFLAGS_IF_BIT) == 0)
		return ("interrupt injected with IF 0");
	return (NULL);
}

/* SDM Vol. 3C 26.3.1.5 "Checks on Guest Non-Register State" */
static const char *
non_register(const struct fake_guest *g, uint64_t *qual)
{
	uint32_t block = (uint32_t)vf_get(g, VF_INTERRUPTIBILITY);
	uint32_t ev = (uint32_t)vf_get(g, VF_ENTRY_EVENT);
	uint64_t f = vf_get(g, VF_RFLAGS);
	uint64_t pending = vf_get(g, VF_PENDING_DEBUG);
	uint64_t activity = vf_get(g, VF_ACTIVITY);
	bool vector = (ev & EVENT_VALID) != 0;

	if (activity > 3 || (activity == 1 && dpl(g, VX_SS) != 0) ||
	    (activity != 0 && (block & 3) != 0))
		return ("activity state");
	if ((block & ~0xfu) != 0 || (block & 3) == 3 || (block & 4) != 0)
		return ("interruptibility");
	if ((block & VX_STI) != 0 && (f & RFLAGS_IF_BIT) == 0)
		return ("blocking by STI with IF 0");
	if (vector && (ev >> 8 & 7) == 0 && (block & 3) != 0)
		return ("interrupt injected in a shadow");
	if (vector && (ev >> 8 & 7) == 2 && ((block & VX_MOV_SS) != 0 ||
	    ((vf_get(g, VF_PIN) & VX_PIN_VNMI) != 0 && (block & 8) != 0))) {
		*qual = 3;
		return ("NMI injected while blocked");
	}
	if ((pending & ~0x1500fULL) != 0)
		return ("pending debug exceptions");
	if (((block & 3) != 0 || activity == 1) &&
	    ((pending & PENDING_BS) != 0) != ((f & RFLAGS_TF_BIT) != 0 &&
	    (vf_get(g, VF_DEBUGCTL) & 2) == 0))
		return ("pending debug exceptions: BS is not TF");
	if (vf_get(g, VF_LINK) != UINT64_MAX) {
		*qual = 4;
		return ("VMCS link pointer");
	}
	return (NULL);
}

/* SDM Vol. 3C 26.3.1.6 "Checks on Guest Page-Directory-Pointer-Table ..." */
static const char *
pdptes(const struct fake_guest *g)
{
	uint64_t e;
	uint32_t i;

	if ((vf_get(g, VF_CR0) & CR0_PG_BIT) == 0 || ia32e(g) ||
	    (vf_get(g, VF_CR4) & CR4_PAE_BIT) == 0)
		return (NULL);
	for (i = 0; i < 4; i++) {
		e = vf_get(g, VF_PDPTE0 + 2 * i);
		if ((e & 1) != 0 && ((e & 0x1e6) != 0 ||
		    e >= fake_phys_limit()))
			return ("PDPTE");
	}
	return (NULL);
}

const char *
fake_check_guest(const struct fake_guest *g, uint64_t *qual)
{
	const char *why;

	*qual = 0;
	if ((why = registers(g)) != NULL || (why = segments(g)) != NULL ||
	    (why = system_segments(g)) != NULL ||
	    (why = rip_rflags(g)) != NULL ||
	    (why = non_register(g, qual)) != NULL)
		return (why);
	why = pdptes(g);
	if (why != NULL)
		*qual = 2;
	return (why);
}
