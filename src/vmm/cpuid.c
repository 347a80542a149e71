/* SPDX-License-Identifier: ISC */
/*
 * cpuid.c - the CPUID that a guest sees.
 *
 * Leaves 1, 7, 0xD and 0x80000001 show a feature only if the reference shows
 * it (the VMM_* masks), and the driver switches its state or lets the guest
 * use it, and the host has it (decisions.md F24). The other leaves are as
 * abi.md 4.3 has them. All bits: SDM Vol. 2A "CPUID-CPU Identification",
 * APM Vol. 3 Appendix E "Obtaining Processor Information Via the CPUID
 * Instruction".
 */
#include <string.h>

#include <insn.h>

#include "vmm.h"

#define BIT(n)		(1U << (n))

#define LEAF_HV		0x40000000U
#define LEAF_HV_LAST	0x40000001U
#define LEAF_EXT	0x80000000U
#define LEAF_EXT_LAST	0x80000008U
#define LEAF_TSC	0x15U

#define MISC_LIMIT_CPUID	(1UL << 22)

/* 0x40000001 EAX: KVM's names for what pvclock.c offers. */
#define HV_CLOCKSOURCE2		BIT(3)
#define HV_CLOCKSOURCE_STABLE	BIT(24)

/*
 * 0x80000008 EBX: CLZERO, XSaveErPtr, WBNOINVD, and what only describes. Not
 * IRPERF, INVLPGB, RDPRU, MCOMMIT: their controls are off.
 */
#define AMDSPEC_EBX_OURS	0xf8f80205U

#define XSAVE_MIN_SIZE	576U		/* legacy area and header */

/* The seven words of feature bits. */
static const struct {
	uint32_t	leaf;
	uint8_t		reg;		/* index of cpuid's four */
	uint32_t	reference;	/* what 6.9 shows */
	uint32_t	ours;		/* what we switch or allow */
	uint32_t	xsave;		/* of those, need XSAVE */
	uint32_t	avx;		/* of those, need AVX state */
} words[CPUID_NWORDS] = {
	/*
	 * SSE3, PCLMULQDQ, SSSE3, FMA, CMPXCHG16B, SSE4.1, SSE4.2, MOVBE,
	 * POPCNT, AES, XSAVE, AVX, F16C, RDRAND. Not PCID, x2APIC, the TSC
	 * deadline; OSXSAVE and the hypervisor bit are added per guest.
	 */
	[CPUID_1_ECX] = { 1, 2, VMM_CPUIDECX_MASK, 0x76d83203U,
	    BIT(26), BIT(12) | BIT(28) | BIT(29) },
	/* Not MCE, APIC, MTRR, MCA and what hangs on them. */
	[CPUID_1_EDX] = { 1, 3, VMM_CPUIDEDX_MASK, 0x078ba97fU, 0, 0 },
	/*
	 * FSGSBASE, BMI1, AVX2, FDP rule, SMEP, BMI2, ERMS, no FCS/FDS,
	 * RDSEED, ADX, SMAP, CLFLUSHOPT, CLWB, SHA. Not INVPCID, AVX-512.
	 */
	[CPUID_7_EBX] = { 7, 1, VMM_SEFF0EBX_MASK, 0x219c23e9U, 0, BIT(5) },
	/*
	 * UMIP, GFNI, VAES, VPCLMULQDQ, CLDEMOTE, MOVDIRI, MOVDIR64B. Not
	 * PKU, WAITPKG, CET, LA57, RDPID: nobody switches their state.
	 */
	[CPUID_7_ECX] = { 7, 2, VMM_SEFF0ECX_MASK, 0x1a000704U,
	    0, BIT(9) | BIT(10) },
	[CPUID_7_EDX] = { 7, 3, VMM_SEFF0EDX_MASK, BIT(10), 0, 0 },
	/*
	 * LAHF, CR8 by LOCK, ABM, SSE4A, misaligned SSE, PREFETCH, XOP,
	 * FMA4, TBM. Not what needs MSRs of its own (OSVW, IBS, counters).
	 */
	[CPUID_E1_ECX] = { 0x80000001U, 2, VMM_ECPUIDECX_MASK, 0x002109f1U,
	    0, BIT(11) | BIT(16) },
	/*
	 * What leaf 1 EDX shows, and SYSCALL, NX, MMXEXT, FFXSR, 1 GiB
	 * pages, long mode, 3DNow!. Not RDTSCP: TSC_AUX is not switched.
	 */
	[CPUID_E1_EDX] = { 0x80000001U, 3, VMM_FEAT_EFLAGS_MASK, 0xe7d3a97fU,
	    0, 0 },
};

static struct {
	uint32_t	shown[CPUID_NWORDS];
	uint32_t	host_basic;	/* highest leaf the host has */
	uint32_t	host_ext;
	uint32_t	basic;		/* highest leaf the guest has */
	uint32_t	xsave_size;	/* of every state in fpu_xcr0 */
	bool		svm;
	uint32_t	phys_bits;	/* four levels map no more than 48 */
} cpuid;

/* A host leaf, or zeros where the host has none. */
static void
cpuid_host(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	uint32_t last = leaf < LEAF_EXT ? cpuid.host_basic : cpuid.host_ext;

	if (leaf > last)
		memset(out, 0, 4 * sizeof(out[0]));
	else
		insn_cpuid(leaf, subleaf, out);
}

/* Bytes of an XSAVE area for `xcr0`, standard format. */
static uint32_t
cpuid_xsave_size(uint64_t xcr0)
{
	return ((xcr0 & XCR0_AVX) != 0 ? cpuid.xsave_size : XSAVE_MIN_SIZE);
}

/*
 * Reads what never changes once: the features shown, the highest leaves, the
 * sizes of states and of addresses. After fpu_attach().
 */
void
cpuid_attach(void)
{
	uint32_t r[4];
	int i;

	insn_cpuid(0, 0, r);
	cpuid.host_basic = cpuid.basic = r[0];
	insn_cpuid(LEAF_EXT, 0, r);
	cpuid.host_ext = r[0] >= LEAF_EXT ? r[0] : LEAF_EXT;

	for (i = 0; i < CPUID_NWORDS; i++) {
		cpuid_host(words[i].leaf, 0, r);
		cpuid.shown[i] = r[words[i].reg] & words[i].reference &
		    words[i].ours;
		if (fpu_xcr0 == 0)
			cpuid.shown[i] &= ~words[i].xsave;
		if ((fpu_xcr0 & XCR0_AVX) == 0)
			cpuid.shown[i] &= ~words[i].avx;
	}
	cpuid_host(0x80000001U, 0, r);
	cpuid.svm = (r[2] & BIT(2)) != 0;
	cpuid_host(0x80000008U, 0, r);
	cpuid.phys_bits = (r[0] & 0xff) == 0 ? 36 : (r[0] & 0xff) > 48 ? 48 :
	    r[0] & 0xff;

	/* An invariant TSC of known speed is told by leaf 0x15. */
	cpuid_host(0x80000007U, 0, r);
	if (cpuid.basic < LEAF_TSC && (r[3] & BIT(8)) != 0 &&
	    host_tsc_hz() != 0)
		cpuid.basic = LEAF_TSC;

	cpuid_host(0xd, 2, r);
	cpuid.xsave_size = r[1] + r[0];
}

/* Whether the guest sees a feature bit. */
bool
cpuid_shows(enum cpuid_word word, unsigned int bit)
{
	return ((cpuid.shown[word] >> bit & 1) != 0);
}

/* Whether the host's CPU has SVM, so whether AMD's own MSRs exist. */
bool
cpuid_host_svm(void)
{
	return (cpuid.svm);
}

/* The bits of a physical address. */
uint64_t
cpuid_phys_mask(void)
{
	return ((1UL << cpuid.phys_bits) - 1);
}

/*
 * Leaf 0xD: what XSAVE saves and where.
 * SDM Vol. 1 13.2 "Enumeration of CPU Support for XSAVE Instructions and
 * XSAVE-Supported Features".
 */
static void
cpuid_xsave(struct vcpu *v, uint32_t subleaf, uint32_t out[4])
{
	if (fpu_xcr0 == 0)
		return;
	if (subleaf == 0) {
		out[0] = (uint32_t)fpu_xcr0;
		out[1] = cpuid_xsave_size(v->xcr0);
		out[2] = cpuid_xsave_size(fpu_xcr0);
	} else if (subleaf == 2 && (fpu_xcr0 & XCR0_AVX) != 0)
		cpuid_host(0xd, 2, out);
}

/* Leaf 0x15: the host's, or ECX * EBX / EAX made from the known speed. */
static void
cpuid_tsc(uint32_t out[4])
{
	if (cpuid.host_basic >= LEAF_TSC) {
		insn_cpuid(LEAF_TSC, 0, out);
		return;
	}
	out[0] = 1;
	out[1] = 100;
	out[2] = (uint32_t)(host_tsc_hz() / 100);
}

/* Leaves below 0x40000000; `out` is all zero. */
static void
cpuid_basic(struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	switch (leaf) {
	case 0:
		insn_cpuid(0, 0, out);
		out[0] = cpuid.basic;
		break;
	case 1:
		insn_cpuid(1, 0, out);
		out[1] = (out[1] & 0xffff) | v->id << 24;
		out[2] = cpuid.shown[CPUID_1_ECX] | BIT(31);
		if ((v->cr4 & CR4_OSXSAVE) != 0)
			out[2] |= BIT(27);
		out[3] = cpuid.shown[CPUID_1_EDX];
		break;
	case 4:		/* without the number of cores and threads */
		cpuid_host(4, subleaf, out);
		out[0] &= VMM_CPUID4_CACHE_TOPOLOGY_MASK;
		break;
	case 7:
		if (subleaf == 0)
			memcpy(&out[1], &cpuid.shown[CPUID_7_EBX],
			    3 * sizeof(out[0]));
		break;
	case 0xd:
		cpuid_xsave(v, subleaf, out);
		break;
	case LEAF_TSC:
		cpuid_tsc(out);
		break;
	case 2:
	case 0x16:
		cpuid_host(leaf, 0, out);
		break;
	}
}

/* Leaves from 0x40000000; `out` is all zero. */
static void
cpuid_extended(uint32_t leaf, uint32_t out[4])
{
	switch (leaf) {
	case LEAF_HV:
		out[0] = LEAF_HV_LAST;
		memcpy(&out[1], VMM_HV_SIGNATURE, 3 * sizeof(out[0]));
		break;
	case LEAF_HV_LAST:
		out[0] = HV_CLOCKSOURCE2 | HV_CLOCKSOURCE_STABLE;
		break;
	case LEAF_EXT:
		out[0] = LEAF_EXT_LAST;
		break;
	case 0x80000001:
		cpuid_host(leaf, 0, out);
		out[1] = 0;
		out[2] = cpuid.shown[CPUID_E1_ECX];
		out[3] = cpuid.shown[CPUID_E1_EDX];
		break;
	case LEAF_EXT_LAST:
		cpuid_host(leaf, 0, out);
		if ((out[0] >> 8 & 0xff) > 48)	/* no 5-level paging */
			out[0] = (out[0] & ~0xff00U) | 48 << 8;
		if ((out[0] & 0xff) > 48)
			out[0] = (out[0] & ~0xffU) | 48;
		out[1] &= VMM_AMDSPEC_EBX_MASK & AMDSPEC_EBX_OURS;
		out[2] = 0;
		break;
	default:	/* the CPU's name, caches, power management */
		if (leaf > 0x80000001 && leaf < LEAF_EXT_LAST)
			cpuid_host(leaf, 0, out);
		break;
	}
}

/*
 * What CPUID returns to the guest: EAX, EBX, ECX, EDX. A leaf that the
 * guest's CPU does not have is its highest basic one, as on Intel. Bit 22 of
 * MISC_ENABLE hides what an old system cannot digest.
 */
void
cpuid_guest(struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	memset(out, 0, 4 * sizeof(out[0]));
	if (!cpuid.svm && (v->misc_enable & MISC_LIMIT_CPUID) != 0 &&
	    leaf > 2 && leaf < LEAF_EXT)
		return;
	if ((leaf > cpuid.basic && leaf < LEAF_HV) ||
	    (leaf > cpuid.host_ext && leaf > LEAF_EXT_LAST))
		leaf = cpuid.basic;
	if (leaf < LEAF_HV)
		cpuid_basic(v, leaf, subleaf, out);
	else
		cpuid_extended(leaf, out);
}
