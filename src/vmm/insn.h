/* SPDX-License-Identifier: ISC */
/*
 * insn.h - every privileged or special instruction the driver executes, one
 * function each. Included as <insn.h> so that the unit tests can put a fake
 * CPU in its place. Each is described in APM Vol. 3 or SDM Vol. 2 under its
 * own name.
 */
#ifndef VMM_INSN_H
#define VMM_INSN_H

#include <stdint.h>

static inline void
insn_cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	__asm__ volatile("cpuid" : "=a" (r[0]), "=b" (r[1]), "=c" (r[2]),
	    "=d" (r[3]) : "0" (leaf), "2" (sub));
}

static inline uint64_t
insn_rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a" (lo), "=d" (hi) : "c" (msr));
	return ((uint64_t)hi << 32 | lo);
}

static inline void
insn_wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "c" (msr), "a" ((uint32_t)v),
	    "d" ((uint32_t)(v >> 32)) : "memory");
}

static inline uint64_t
insn_rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a" (lo), "=d" (hi));
	return ((uint64_t)hi << 32 | lo);
}

static inline uint64_t
insn_xgetbv(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a" (lo), "=d" (hi) : "c" (0));
	return ((uint64_t)hi << 32 | lo);
}

static inline void
insn_xsetbv(uint64_t v)
{
	__asm__ volatile("xsetbv" : : "c" (0), "a" ((uint32_t)v),
	    "d" ((uint32_t)(v >> 32)));
}

static inline void
insn_xsave(void *area, uint64_t mask)
{
	__asm__ volatile("xsave64 (%0)" : : "r" (area), "a" ((uint32_t)mask),
	    "d" ((uint32_t)(mask >> 32)) : "memory");
}

static inline void
insn_xrstor(const void *area, uint64_t mask)
{
	__asm__ volatile("xrstor64 (%0)" : : "r" (area), "a" ((uint32_t)mask),
	    "d" ((uint32_t)(mask >> 32)) : "memory");
}

static inline void
insn_fxsave(void *area)
{
	__asm__ volatile("fxsave64 (%0)" : : "r" (area) : "memory");
}

static inline void
insn_fxrstor(const void *area)
{
	__asm__ volatile("fxrstor64 (%0)" : : "r" (area) : "memory");
}

static inline uint64_t
insn_read_cr0(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr0, %0" : "=r" (v));
	return (v);
}

static inline uint64_t
insn_read_cr4(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr4, %0" : "=r" (v));
	return (v);
}

static inline void
insn_write_dr(int n, uint64_t v)
{
	switch (n) {
	case 0: __asm__ volatile("mov %0, %%dr0" : : "r" (v)); break;
	case 1: __asm__ volatile("mov %0, %%dr1" : : "r" (v)); break;
	case 2: __asm__ volatile("mov %0, %%dr2" : : "r" (v)); break;
	case 3: __asm__ volatile("mov %0, %%dr3" : : "r" (v)); break;
	case 7: __asm__ volatile("mov %0, %%dr7" : : "r" (v)); break;
	}
}

/* Overwrite FOP, FIP and FDP, which FXRSTOR and XRSTOR may leave alone. */
static inline void
insn_fp_forget(void)
{
	static const uint32_t zero;

	__asm__ volatile("fnclex; emms; fildl %0" : : "m" (zero));
}

#endif /* VMM_INSN_H */
