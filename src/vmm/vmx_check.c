/* SPDX-License-Identifier: ISC */
/*
 * vmx_check.c - is the current VMCS one that VMLAUNCH and VMRESUME take? The
 * rules are vmx_rules.def; VMfail and a failed entry say only of which kind
 * the broken one is.
 */
#include <insn.h>

#include "vmm.h"
#include "vmx.h"

#define EFER_LONG	(EFER_LME | EFER_LMA)
#define EFER_VALID	(EFER_SCE | EFER_LONG | EFER_NXE)
#define SEG_S		0x10
#define AR_RESERVED	0xfffe0f00UL
#define DPL(ar)		((ar) >> 5 & 3)
#define NO_EVENT	8
#define DEBUGCTL_BTF	0x2

/* 0 where the CPU lacks the field: then no rule asks more of it. */
static uint64_t
vmx_field(uint32_t field)
{
	uint64_t value;

	return (insn_vmread(field, &value) ? value : 0);
}

/* May a control of that capability MSR be x? */
static bool
vmx_can(uint32_t msr, uint64_t x)
{
	uint64_t cap;

	if (msr != MSR_VMX_PROC2 &&
	    (insn_rdmsr(MSR_VMX_BASIC) & VMX_BASIC_TRUE) != 0)
		msr += MSR_VMX_TRUE_PIN - MSR_VMX_PIN;
	cap = insn_rdmsr(msr);
	return ((~x & (uint32_t)cap) == 0 && (x & ~(cap >> 32)) == 0);
}

static bool
vmx_fixed(uint64_t x, uint64_t fixed0, uint64_t fixed1)
{
	return ((~x & fixed0) == 0 && (x & ~fixed1) == 0);
}

/* A physical address, a multiple of that. */
static bool
vmx_pa(uint64_t x, uint64_t align)
{
	return ((x & ~cpuid_phys_mask()) == 0 && x % align == 0);
}

/* Does an exception push an error code? */
static bool
vmx_error(unsigned int vector)
{
	return (vector < 32 && (0x00027d00U >> vector & 1) != 0);
}

/* No rule is about what is not usable. CS always is. */
static bool
vmx_unusable(uint32_t ar)
{
	return (ar != VMCS_GUEST_CS_AR &&
	    (vmx_field(ar) & SEG_UNUSABLE) != 0);
}

static bool
vmx_g_fits(uint64_t ar, uint64_t limit)
{
	return ((ar & SEG_G) != 0 ? (~limit & 0xfff) == 0 : limit >> 20 == 0);
}

/* Does a CPU in that activity state, 1 HLT, 2 shutdown, take the event? */
static bool
vmx_takes(uint64_t activity, unsigned int type, unsigned int vector)
{
	bool mc = type == EVENT_EXCEPTION && vector == VMM_EX_MC;

	if (activity == 0 || type == NO_EVENT)
		return (true);
	if (activity == 1)
		return (type == EVENT_INTR || type == EVENT_NMI || mc ||
		    type == 7 ||
		    (type == EVENT_EXCEPTION && vector == VMM_EX_DB));
	return (activity == 2 && (type == EVENT_NMI || mc));
}

/*
 * The first rule that the current VMCS breaks, of those about the guest or of
 * all. C, E
 * Returns: false: none.
 */
bool
vmx_rules(bool guest_only, struct entry_broken *broken)
{
#define F(name)		vmx_field(VMCS_##name)
#define ANY_ERROR	((insn_rdmsr(MSR_VMX_BASIC) & VMX_BASIC_ANY_ERROR) != 0)
#define FREE(S)		vmx_unusable(VMCS_GUEST_##S##_AR)
	uint64_t x = F(ENTRY_EVENT), event = (x & EVENT_VALID) != 0 ? x : 0;
	uint64_t cr0 = F(GUEST_CR0), rflags = F(GUEST_RFLAGS);
	uint64_t proc = F(PROC_CTLS), proc2 = F(PROC2_CTLS);
	uint64_t blocked = F(GUEST_INTERRUPTIBILITY);
	unsigned int type = event != 0 ? EVENT_TYPE(event) : NO_EVENT;
	unsigned int vector = event & 0xff;
	bool has_error = (event & EVENT_HAS_ERROR) != 0;
	bool v86 = (rflags & RFLAGS_VM) != 0;
	bool ia32e = (F(ENTRY_CTLS) & ENTRY_IA32E) != 0;
	bool pae = (cr0 & CR0_PG) != 0 && (F(GUEST_CR4) & CR4_PAE) != 0 &&
	    !ia32e;
	bool waiting = (blocked & 3) != 0 || F(GUEST_ACTIVITY) == 1;
	bool stepping = (rflags & RFLAGS_TF) != 0 &&
	    (F(GUEST_DEBUGCTL) & DEBUGCTL_BTF) == 0;

#define RULE(section, part, id, field, ok, allowed)			\
	x = F(field);							\
	if ((!guest_only || ENTRY_##part == ENTRY_GUEST) && !(ok)) {	\
		static const struct entry_rule rule = {			\
			id, section, #field, allowed			\
		};							\
									\
		broken->rule = &rule;					\
		broken->value = x;					\
		return (true);						\
	}
#include "vmx_rules.def"
#undef RULE
	return (false);
}
