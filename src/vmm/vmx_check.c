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

/* May an exception push an error code, or not? */
static bool
vmx_error(unsigned int vector, bool pushes)
{
	return ((0x00027d00UL >> (vector & 31) & 1) == pushes ||
	    (insn_rdmsr(MSR_VMX_BASIC) & VMX_BASIC_ANY_ERROR) != 0);
}

/* Bits 63:n and `more` of the linear-address width n, all alike. */
static bool
vmx_alike(uint64_t x, int more)
{
	int64_t high;
	uint32_t r[4];

	insn_cpuid(0x80000008, 0, r);
	high = (int64_t)x >> ((int)(r[0] >> 8 & 0xff) + more);
	return (high == 0 || high == -1);
}

/* Do the rules leave that segment alone? CS and TR are always usable. */
static bool
vmx_free(uint32_t ar, bool v86)
{
	if (v86 && ar <= VMCS_GUEST_GS_AR)
		return (true);
	return (ar != VMCS_GUEST_CS_AR && ar != VMCS_GUEST_TR_AR &&
	    (vmx_field(ar) & SEG_UNUSABLE) != 0);
}

static bool
vmx_g_fits(uint64_t ar, uint64_t limit)
{
	return ((ar & SEG_G) != 0 ? (~limit & 0xfff) == 0 : limit >> 20 == 0);
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
#define FREE(S)		vmx_free(VMCS_GUEST_##S##_AR, v86)
	uint64_t x = F(ENTRY_EVENT), event = (x & EVENT_VALID) != 0 ? x : 0;
	uint64_t cr0 = F(GUEST_CR0), rflags = F(GUEST_RFLAGS);
	uint64_t proc2 = F(PROC2_CTLS), exit = F(EXIT_CTLS);
	uint64_t ss = F(GUEST_SS_AR);
	unsigned int type = event != 0 ? EVENT_TYPE(event) : NO_EVENT;
	unsigned int vector = event & 0xff;
	bool has_error = (event & EVENT_HAS_ERROR) != 0;
	bool v86 = (rflags & RFLAGS_VM) != 0;
	bool ia32e = (F(ENTRY_CTLS) & ENTRY_IA32E) != 0;
	bool pae = (cr0 & CR0_PG) != 0 && (F(GUEST_CR4) & CR4_PAE) != 0 &&
	    !ia32e;
	bool waiting = (F(GUEST_INTERRUPTIBILITY) & 3) != 0;
	bool stepping = (rflags & RFLAGS_TF) != 0 &&
	    (F(GUEST_DEBUGCTL) & DEBUGCTL_BTF) == 0;

#define RULE(section, part, id, field, ok, allowed) \
	ENTRY_RULE(section, part, id, #field, F(field), ok, allowed)
#include "vmx_rules.def"
#undef RULE
	return (false);
}
