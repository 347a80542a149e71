/* SPDX-License-Identifier: ISC */
/*
 * regs.c - register groups between `struct vcpu` and the interface, and what
 * is legal in them.
 *
 * decisions.md F11 in one place: regs_check() judges each register alone,
 * regs_check_state() what they mean together.
 */
#include <errno.h>
#include <string.h>

#include "vmm.h"

#define AR_RESERVED	0xfffe0f00U	/* of vsi_ar */
#define RFLAGS_RESERVED	0xffffffffffc08028UL
#define EFER_BASE	(EFER_SCE | EFER_LME | EFER_LMA)

/* CR4 bits and the CPUID bit that announces each; PCE has none. */
static const struct {
	uint32_t	cr4;
	uint8_t		word;		/* enum cpuid_word */
	uint8_t		bit;
} cr4_features[] = {
	{ CR4_VME | CR4_PVI,	CPUID_1_EDX,	1 },
	{ CR4_DE,		CPUID_1_EDX,	2 },
	{ CR4_PSE,		CPUID_1_EDX,	3 },
	{ CR4_TSD,		CPUID_1_EDX,	4 },
	{ CR4_PAE,		CPUID_1_EDX,	6 },
	{ CR4_PGE,		CPUID_1_EDX,	13 },
	{ CR4_OSFXSR,		CPUID_1_EDX,	24 },
	{ CR4_OSXMMEXCPT,	CPUID_1_EDX,	25 },
	{ CR4_OSXSAVE,		CPUID_1_ECX,	26 },
	{ CR4_FSGSBASE,		CPUID_7_EBX,	0 },
	{ CR4_SMEP,		CPUID_7_EBX,	7 },
	{ CR4_SMAP,		CPUID_7_EBX,	20 },
	{ CR4_UMIP,		CPUID_7_ECX,	2 },
};

/*
 * CR4 bits that a guest may set: those whose feature its CPUID shows. PCE is
 * free: RDPMC is #GP(0) with or without it.
 */
uint64_t
regs_cr4_allowed(void)
{
	uint64_t cr4 = CR4_PCE;
	size_t i;

	for (i = 0; i < sizeof(cr4_features) / sizeof(cr4_features[0]); i++)
		if (cpuid_shows(cr4_features[i].word, cr4_features[i].bit))
			cr4 |= cr4_features[i].cr4;
	return (cr4);
}

/* EFER bits that a guest may have. LMA is among them: the CPU sets it. */
uint64_t
regs_efer_allowed(void)
{
	uint64_t efer = EFER_BASE;

	if (cpuid_shows(CPUID_E1_EDX, 20))
		efer |= EFER_NXE;
	if (cpuid_shows(CPUID_E1_EDX, 25))
		efer |= EFER_FFXSR;
	return (efer);
}

/*
 * What XSETBV takes: x87 always, AVX only with SSE.
 * SDM Vol. 1 13.3 "Enabling the XSAVE Feature Set and XSAVE-Enabled
 * Features". Without XSAVE there is no XCR0: it reads 0, and x87
 * alone may be said either way.
 */
bool
regs_xcr0_valid(uint64_t xcr0)
{
	if (fpu_xcr0 == 0)
		return ((xcr0 & ~XCR0_X87) == 0);
	if ((xcr0 & ~fpu_xcr0) != 0 || (xcr0 & XCR0_X87) == 0)
		return (false);
	return ((xcr0 & XCR0_AVX) == 0 || (xcr0 & XCR0_SSE) != 0);
}

/* Bits 63:47 equal: an address that 4-level paging can translate. */
bool
regs_canonical(uint64_t va)
{
	uint64_t high = va >> 47;

	return (high == 0 || high == 0x1ffff);
}

/* Eight bytes, each a memory type: 0, 1, 4, 5, 6 or 7. */
bool
regs_pat_valid(uint64_t pat)
{
	if ((pat & 0xf8f8f8f8f8f8f8f8UL) != 0)
		return (false);
	return ((pat & ~(pat >> 1) & 0x0202020202020202UL) == 0);
}

/*
 * SREGS. A base of FS, GS, LDTR and TR has 64 bits, that of the others 32. An
 * unusable segment may hold anything but a base that cannot be loaded.
 */
static int
regs_check_sregs(const struct vcpu_reg_state *rs)
{
	const struct vcpu_segment_info *s;
	int i;

	for (i = 0; i < VCPU_REGS_NSREGS; i++) {
		s = &rs->vrs_sregs[i];
		if (!regs_canonical(s->vsi_base))
			return (EINVAL);
		if ((s->vsi_ar & SEG_UNUSABLE) != 0)
			continue;
		if ((s->vsi_ar & AR_RESERVED) != 0)
			return (EINVAL);
		if (i != VCPU_REGS_FS && i != VCPU_REGS_GS &&
		    i != VCPU_REGS_LDTR && i != VCPU_REGS_TR &&
		    s->vsi_base >> 32 != 0)
			return (EINVAL);
	}
	if (rs->vrs_gdtr.vsi_limit > 0xffff || rs->vrs_idtr.vsi_limit > 0xffff)
		return (EINVAL);
	if (!regs_canonical(rs->vrs_gdtr.vsi_base) ||
	    !regs_canonical(rs->vrs_idtr.vsi_base))
		return (EINVAL);
	return (0);
}

/*
 * CRS. VMXE is host-owned: no error here and not kept. CR2 takes any value.
 */
static int
regs_check_crs(const struct vcpu_reg_state *rs)
{
	uint64_t cr4 = rs->vrs_crs[VCPU_REGS_CR4] & ~CR4_VMXE;

	if ((rs->vrs_crs[VCPU_REGS_CR0] & ~CR0_DEFINED) != 0)
		return (EINVAL);
	if ((rs->vrs_crs[VCPU_REGS_CR3] & ~cpuid_phys_mask()) != 0)
		return (EINVAL);
	if ((cr4 & ~regs_cr4_allowed()) != 0)
		return (EINVAL);
	if (rs->vrs_crs[VCPU_REGS_CR8] > 15 ||
	    !regs_xcr0_valid(rs->vrs_crs[VCPU_REGS_XCR0]))
		return (EINVAL);
	return (hv->cr_check(rs->vrs_crs[VCPU_REGS_CR0], cr4));
}

/* MSRS. SVME is host-owned, as VMXE above. */
static int
regs_check_msrs(const struct vcpu_reg_state *rs)
{
	const uint64_t *msrs = rs->vrs_msrs;

	if ((msrs[VCPU_REGS_EFER] & ~(regs_efer_allowed() | EFER_SVME)) != 0)
		return (EINVAL);
	if (!regs_canonical(msrs[VCPU_REGS_LSTAR]) ||
	    !regs_canonical(msrs[VCPU_REGS_CSTAR]) ||
	    !regs_canonical(msrs[VCPU_REGS_KGSBASE]))
		return (EINVAL);
	if (msrs[VCPU_REGS_SFMASK] >> 32 != 0)
		return (EINVAL);
	return (0);
}

/*
 * Judges each register of the groups in `mask` alone (F11).
 *
 * Returns:
 *	EINVAL	a reserved bit, a non-canonical address, an XCR0 that XSETBV
 *		would refuse, or CR0 and CR4 values this CPU cannot run
 */
int
regs_check(uint64_t mask, const struct vcpu_reg_state *rs)
{
	int error = 0;

	if ((mask & VM_RWREGS_GPRS) != 0 &&
	    (!regs_canonical(rs->vrs_gprs[VCPU_REGS_RIP]) ||
	    (rs->vrs_gprs[VCPU_REGS_RFLAGS] & RFLAGS_RESERVED) != 0))
		return (EINVAL);
	if ((mask & VM_RWREGS_DRS) != 0 &&
	    (rs->vrs_drs[VCPU_REGS_DR6] >> 32 != 0 ||
	    rs->vrs_drs[VCPU_REGS_DR7] >> 32 != 0))
		return (EINVAL);
	if ((mask & VM_RWREGS_SREGS) != 0)
		error = regs_check_sregs(rs);
	if (error == 0 && (mask & VM_RWREGS_CRS) != 0)
		error = regs_check_crs(rs);
	if (error == 0 && (mask & VM_RWREGS_MSRS) != 0)
		error = regs_check_msrs(rs);
	return (error);
}

/*
 * The PDPTEs that a PAE guest starts with.
 * SDM Vol. 3A 4.4.1 "PDPTE Registers".
 */
bool
regs_pdptes_valid(const uint64_t *pdpte)
{
	int i;

	for (i = 0; i < 4; i++)
		if ((pdpte[i] & 1) != 0 && (pdpte[i] &
		    (PDPTE_RESERVED | ~cpuid_phys_mask())) != 0)
			return (false);
	return (true);
}

/*
 * Judges a state whose registers regs_check() has passed and hv->check() has
 * no rule against, for RESETCPU: the modes they select together. What is here
 * one vendor's CPU, or both, would take. Real mode, protected mode with and
 * without paging, PAE and long mode pass.
 *
 * Returns:
 *	EIO	no CPU can be in this state
 */
int
regs_check_state(const struct vcpu_reg_state *rs)
{
	uint64_t cr0 = rs->vrs_crs[VCPU_REGS_CR0];
	uint64_t efer = rs->vrs_msrs[VCPU_REGS_EFER];
	uint32_t cs = rs->vrs_sregs[VCPU_REGS_CS].vsi_ar;
	bool pg = (cr0 & CR0_PG) != 0;
	bool pae = (rs->vrs_crs[VCPU_REGS_CR4] & CR4_PAE) != 0;
	bool lma = (efer & EFER_LMA) != 0;
	bool vm86 = (rs->vrs_gprs[VCPU_REGS_RFLAGS] & RFLAGS_VM) != 0;

	if ((cr0 & CR0_PE) == 0 && (pg || vm86))
		return (EIO);
	if ((cr0 & CR0_NW) != 0 && (cr0 & CR0_CD) == 0)
		return (EIO);
	if (lma != (pg && (efer & EFER_LME) != 0))
		return (EIO);
	if (lma && vm86)
		return (EIO);
	if (!(lma && (cs & SEG_L) != 0) &&
	    rs->vrs_gprs[VCPU_REGS_RIP] >> 32 != 0)
		return (EIO);
	if (pg && pae && !lma &&
	    !regs_pdptes_valid(&rs->vrs_crs[VCPU_REGS_PDPTE0]))
		return (EIO);
	return (0);
}

/*
 * Fills the groups in `mask`; the others stay as they are.
 *
 * Locks: vcpu.lock, or the caller is the VCPU's RUN.
 */
void
regs_read(struct vcpu *v, uint64_t mask, struct vcpu_reg_state *rs)
{
	if ((mask & VM_RWREGS_GPRS) != 0)
		memcpy(rs->vrs_gprs, v->gpr, sizeof(rs->vrs_gprs));
	if ((mask & VM_RWREGS_CRS) != 0) {
		rs->vrs_crs[VCPU_REGS_CR0] = v->cr0;
		rs->vrs_crs[VCPU_REGS_CR2] = v->cr2;
		rs->vrs_crs[VCPU_REGS_CR4] = v->cr4;
		rs->vrs_crs[VCPU_REGS_CR8] = v->cr8;
		rs->vrs_crs[VCPU_REGS_XCR0] = v->xcr0;
		memcpy(&rs->vrs_crs[VCPU_REGS_PDPTE0], v->pdpte,
		    sizeof(v->pdpte));
	}
	if ((mask & VM_RWREGS_MSRS) != 0) {
		rs->vrs_msrs[VCPU_REGS_EFER] = v->efer;
		rs->vrs_msrs[VCPU_REGS_MISC_ENABLE] = v->misc_enable;
	}
	if ((mask & VM_RWREGS_DRS) != 0) {
		memcpy(rs->vrs_drs, v->dr, sizeof(v->dr));
		rs->vrs_drs[VCPU_REGS_DR6] = v->dr6;
		rs->vrs_drs[VCPU_REGS_DR7] = v->dr7;
	}
	if ((mask & (VM_RWREGS_SREGS | VM_RWREGS_CRS | VM_RWREGS_MSRS)) != 0)
		hv->regs_get(v, mask, rs);
}

/*
 * Stores the groups in `mask`, with the bits that hardware fixes by itself:
 * RFLAGS bit 1, CR0.ET, the constant bits of DR6 and DR7. Host-owned bits are
 * left out. New GPRs answer no IN (F7).
 *
 * Locks: vcpu.lock, the VCPU is STOPPED.
 */
void
regs_store(struct vcpu *v, uint64_t mask, const struct vcpu_reg_state *rs)
{
	if ((mask & VM_RWREGS_GPRS) != 0) {
		memcpy(v->gpr, rs->vrs_gprs, sizeof(v->gpr));
		v->gpr[VCPU_REGS_RFLAGS] |= RFLAGS_MBS;
		v->in_pending = 0;
	}
	if ((mask & VM_RWREGS_CRS) != 0) {
		v->cr0 = rs->vrs_crs[VCPU_REGS_CR0] | CR0_ET;
		v->cr2 = rs->vrs_crs[VCPU_REGS_CR2];
		v->cr4 = rs->vrs_crs[VCPU_REGS_CR4] & ~CR4_VMXE;
		v->cr8 = rs->vrs_crs[VCPU_REGS_CR8];
		v->xcr0 = rs->vrs_crs[VCPU_REGS_XCR0] & fpu_xcr0;
		memcpy(v->pdpte, &rs->vrs_crs[VCPU_REGS_PDPTE0],
		    sizeof(v->pdpte));
	}
	if ((mask & VM_RWREGS_MSRS) != 0) {
		v->efer = rs->vrs_msrs[VCPU_REGS_EFER] & ~EFER_SVME;
		v->misc_enable = rs->vrs_msrs[VCPU_REGS_MISC_ENABLE];
	}
	if ((mask & VM_RWREGS_DRS) != 0) {
		memcpy(v->dr, rs->vrs_drs, sizeof(v->dr));
		v->dr6 = (rs->vrs_drs[VCPU_REGS_DR6] & DR6_WRITABLE) |
		    DR6_INIT;
		v->dr7 = (rs->vrs_drs[VCPU_REGS_DR7] & DR7_WRITABLE) |
		    DR7_INIT;
		v->dirty |= DIRTY_DR;
	}
	if ((mask & (VM_RWREGS_SREGS | VM_RWREGS_CRS | VM_RWREGS_MSRS)) != 0)
		hv->regs_set(v, mask, rs);
	if ((mask & (VM_RWREGS_CRS | VM_RWREGS_MSRS)) != 0) {
		v->dirty |= DIRTY_CR;
		hv->tlb_flush(v);
	}
}

/*
 * WRITEREGS: regs_store(), once regs_check() has judged.
 *
 * Locks: vcpu.lock, the VCPU is STOPPED.
 * Returns:
 *	EINVAL	from regs_check(); nothing was changed
 */
int
regs_write(struct vcpu *v, uint64_t mask, const struct vcpu_reg_state *rs)
{
	int error = regs_check(mask, rs);

	if (error == 0)
		regs_store(v, mask, rs);
	return (error);
}
