/* SPDX-License-Identifier: ISC */
/*
 * msr.c - every MSR a guest can name (decisions.md F16).
 *
 * An MSR that is not in the table is #GP(0) to read and nothing to write, as
 * in the reference. So are 0xFE (MTRRcap), 0xC0010015 (HWCR), 0xC001001F
 * (NB_CFG), SVM's own 0xC0010114-0xC0010117, and on Intel the VMX
 * capabilities. Nothing that the host shares is writable.
 */
#include <errno.h>

#include <insn.h>

#include "vmm.h"

#define MSR_TSC			0x00000010U
#define MSR_PLATFORM_ID		0x00000017U
#define MSR_APICBASE		0x0000001bU
#define MSR_BIOS_SIGN		0x0000008bU
#define MSR_SMM_MONITOR_CTL	0x0000009bU
#define MSR_MISC_ENABLE		0x000001a0U
#define MSR_KVM_SYSTEM_TIME	0x4b564d01U
#define MSR_INT_PEN_MSG		0xc0010055U
#define MSR_DE_CFG		0xc0011029U

#define APICBASE_BSP		0x00000100UL
#define APICBASE_VALUE		0xfee00800UL	/* enabled, usual address */
#define FEATURE_CONTROL_LOCK	0x1UL
#define DE_CFG_LFENCE		0x2UL		/* LFENCE serialises */
#define MISC_NOT_STORED		((1UL << 3) | (1UL << 16) | (1UL << 23))

/* Who has the value, apart from CONST: `value`. */
enum msr_how {
	NATIVE,			/* the CPU switches it: no exit */
	DRIVER,			/* `get`, `set` below */
	CONST,			/* reads `value` */
	IGNORE,			/* the write does nothing */
	FAULT,			/* #GP(0) */
};

enum msr_cpu { ANY, INTEL, AMD };

struct msr {
	uint32_t	index;
	uint8_t		cpu;		/* only there; else as not listed */
	uint8_t		read;
	uint8_t		write;
	uint64_t	value;
};

static const struct msr msrs[] = {
	{ MSR_TSC,		ANY,	DRIVER, IGNORE, 0 },
	{ MSR_PLATFORM_ID,	ANY,	CONST,	IGNORE, 0 },
	{ MSR_APICBASE,		ANY,	DRIVER, IGNORE, 0 },
	{ MSR_FEATURE_CONTROL,	ANY,	CONST,	FAULT,	FEATURE_CONTROL_LOCK },
	{ MSR_BIOS_SIGN,	ANY,	CONST,	IGNORE, 0 },
	{ MSR_SMM_MONITOR_CTL,	INTEL,	FAULT,	FAULT,	0 },
	{ MSR_SYSENTER_CS,	ANY,	NATIVE, NATIVE, 0 },
	{ MSR_SYSENTER_ESP,	ANY,	NATIVE, NATIVE, 0 },
	{ MSR_SYSENTER_EIP,	ANY,	NATIVE, NATIVE, 0 },
	{ MSR_MISC_ENABLE,	INTEL,	DRIVER, DRIVER, 0 },
	{ MSR_PAT,		ANY,	DRIVER, DRIVER, 0 },
	{ MSR_KVM_SYSTEM_TIME,	ANY,	FAULT,	DRIVER, 0 },
	{ MSR_EFER,		ANY,	DRIVER, DRIVER, 0 },
	{ MSR_STAR,		ANY,	NATIVE, NATIVE, 0 },
	{ MSR_LSTAR,		ANY,	NATIVE, NATIVE, 0 },
	{ MSR_CSTAR,		ANY,	NATIVE, NATIVE, 0 },
	{ MSR_SFMASK,		ANY,	NATIVE, NATIVE, 0 },
	{ MSR_FSBASE,		ANY,	NATIVE, NATIVE, 0 },
	{ MSR_GSBASE,		ANY,	NATIVE, NATIVE, 0 },
	{ MSR_KGSBASE,		ANY,	NATIVE, NATIVE, 0 },
	{ MSR_INT_PEN_MSG,	AMD,	CONST,	IGNORE, 0 },
	{ MSR_DE_CFG,		AMD,	CONST,	IGNORE, DE_CFG_LFENCE },
};

static const struct msr msr_unlisted = { 0, ANY, FAULT, IGNORE, 0 };

/* The row of `index` on this host's CPU. */
static const struct msr *
msr_find(uint32_t index)
{
	uint8_t other = cpuid_host_svm() ? INTEL : AMD;
	size_t i;

	for (i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		if (msrs[i].index == index && msrs[i].cpu != other)
			return (&msrs[i]);
	return (&msr_unlisted);
}

/* The MSRs of the table, for the bitmaps; false after the last. */
bool
msr_listed(size_t i, uint32_t *index)
{
	if (i >= sizeof(msrs) / sizeof(msrs[0]))
		return (false);
	*index = msrs[i].index;
	return (true);
}

/* Whether the guest accesses it without an exit. */
bool
msr_native(uint32_t index, bool write)
{
	const struct msr *m = msr_find(index);

	return ((write ? m->write : m->read) == NATIVE);
}

/*
 * RDMSR.
 *
 * Returns:
 *	EINVAL	the guest gets #GP(0)
 */
int
msr_read(struct vcpu *v, uint32_t index, uint64_t *value)
{
	const struct msr *m = msr_find(index);

	if (m->read != DRIVER && m->read != CONST)
		return (EINVAL);
	switch (m->read == DRIVER ? index : 0) {
	case MSR_TSC:
		*value = insn_rdtsc();
		break;
	case MSR_APICBASE:
		*value = APICBASE_VALUE | (v->id == 0 ? APICBASE_BSP : 0);
		break;
	case MSR_MISC_ENABLE:
		*value = v->misc_enable;
		break;
	case MSR_PAT:
		*value = v->pat;
		break;
	case MSR_EFER:
		*value = v->efer;
		break;
	default:
		*value = m->value;
		break;
	}
	return (0);
}

/*
 * EFER. LME cannot change under paging; LMA is the CPU's.
 * APM Vol. 2 3.1.7 "Extended Feature Enable Register (EFER)".
 */
static int
msr_write_efer(struct vcpu *v, uint64_t value)
{
	uint64_t changed;

	if ((value & ~regs_efer_allowed()) != 0)
		return (EINVAL);
	value = (value & ~EFER_LMA) | (v->efer & EFER_LMA);
	changed = value ^ v->efer;
	if ((changed & EFER_LME) != 0 && (v->cr0 & CR0_PG) != 0)
		return (EINVAL);
	v->efer = value;
	v->dirty |= DIRTY_CR;
	if ((changed & EFER_NXE) != 0)
		hv->tlb_flush(v);
	return (0);
}

/*
 * WRMSR.
 *
 * Returns:
 *	EINVAL	the guest gets #GP(0); nothing was changed
 *	others	from pvclock_set(): they end the VCPU
 */
int
msr_write(struct vcpu *v, uint32_t index, uint64_t value)
{
	const struct msr *m = msr_find(index);

	if (m->write == IGNORE)
		return (0);
	if (m->write != DRIVER)
		return (EINVAL);
	switch (index) {
	case MSR_MISC_ENABLE:
		v->misc_enable = value & ~MISC_NOT_STORED;
		return (0);
	case MSR_PAT:		/* memory stays write-back (F24) */
		if (!regs_pat_valid(value))
			return (EINVAL);
		v->pat = value;
		return (0);
	case MSR_KVM_SYSTEM_TIME:
		return (pvclock_set(v, value));
	default:
		return (msr_write_efer(v, value));
	}
}
