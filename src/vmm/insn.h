/* SPDX-License-Identifier: ISC */
/*
 * insn.h - every privileged or special instruction the driver executes, one
 * function each. Included as <insn.h> so that the unit tests can put a fake
 * CPU in its place. Each is described in APM Vol. 3 or SDM Vol. 2 under its
 * own name.
 */
#ifndef VMM_INSN_H
#define VMM_INSN_H

#include <stdbool.h>
#include <stdint.h>

#include "vmmvar.h"

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
	uint64_t lo, hi;	/* RDTSC clears their upper halves */

	__asm__ volatile("rdtsc" : "=a" (lo), "=d" (hi));
	return (hi << 32 | lo);
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

/* insn_read_cr0() and so on. */
#define INSN_READ_CR(n)							\
static inline uint64_t							\
insn_read_cr##n(void)							\
{									\
	uint64_t v;							\
									\
	__asm__ volatile("mov %%cr" #n ", %0" : "=r" (v));		\
	return (v);							\
}
INSN_READ_CR(0)
INSN_READ_CR(2)
INSN_READ_CR(3)
INSN_READ_CR(4)

static inline void
insn_write_cr2(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr2" : : "r" (v));
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

/*
 * --- VMX. --- Those that return bool say whether the CPU did it: false is
 * VMfailInvalid or VMfailValid. SDM Vol. 3C 30.2 "Conventions"
 */

#define INSN_VMX(text, ok, ...) \
	__asm__ volatile(text : "=@cca" (ok) : __VA_ARGS__ : "memory")

static inline bool
insn_vmxon(uint64_t pa)
{
	bool ok;

	INSN_VMX("vmxon %1", ok, "m" (pa));
	return (ok);
}

static inline void
insn_vmxoff(void)
{
	__asm__ volatile("vmxoff" : : : "cc", "memory");
}

static inline bool
insn_vmclear(uint64_t pa)
{
	bool ok;

	INSN_VMX("vmclear %1", ok, "m" (pa));
	return (ok);
}

static inline bool
insn_vmptrld(uint64_t pa)
{
	bool ok;

	INSN_VMX("vmptrld %1", ok, "m" (pa));
	return (ok);
}

static inline bool
insn_vmread(uint64_t field, uint64_t *value)
{
	bool ok;

	__asm__ volatile("vmread %2, %1" : "=@cca" (ok), "=r" (*value) :
	    "r" (field));
	return (ok);
}

static inline bool
insn_vmwrite(uint64_t field, uint64_t value)
{
	bool ok;

	INSN_VMX("vmwrite %2, %1", ok, "r" (field), "r" (value));
	return (ok);
}

static inline bool
insn_invept(uint64_t type, uint64_t eptp)
{
	const uint64_t desc[2] = { eptp, 0 };
	bool ok;

	INSN_VMX("invept %1, %2", ok, "m" (desc), "r" (type));
	return (ok);
}

static inline bool
insn_invvpid(uint64_t type, uint64_t vpid, uint64_t va)
{
	const uint64_t desc[2] = { vpid, va };
	bool ok;

	INSN_VMX("invvpid %1, %2", ok, "m" (desc), "r" (type));
	return (ok);
}

/* What SGDT and SIDT store. */
struct insn_table {
	uint16_t	limit;
	uint64_t	base;
} __attribute__((packed));

static inline void
insn_sgdt(struct insn_table *t)
{
	__asm__ volatile("sgdt %0" : "=m" (*t));
}

static inline void
insn_sidt(struct insn_table *t)
{
	__asm__ volatile("sidt %0" : "=m" (*t));
}

/* Selectors: which are named as in vmmvar.h, VCPU_REGS_CS .. VCPU_REGS_TR. */
static inline uint16_t
insn_selector(int sreg)
{
	uint32_t sel = 0;

	switch (sreg) {
	case VCPU_REGS_CS:
		__asm__ volatile("mov %%cs, %0" : "=r" (sel));
		break;
	case VCPU_REGS_DS:
		__asm__ volatile("mov %%ds, %0" : "=r" (sel));
		break;
	case VCPU_REGS_ES:
		__asm__ volatile("mov %%es, %0" : "=r" (sel));
		break;
	case VCPU_REGS_FS:
		__asm__ volatile("mov %%fs, %0" : "=r" (sel));
		break;
	case VCPU_REGS_GS:
		__asm__ volatile("mov %%gs, %0" : "=r" (sel));
		break;
	case VCPU_REGS_SS:
		__asm__ volatile("mov %%ss, %0" : "=r" (sel));
		break;
	case VCPU_REGS_LDTR:
		__asm__ volatile("sldt %0" : "=r" (sel));
		break;
	case VCPU_REGS_TR:
		__asm__ volatile("str %0" : "=r" (sel));
		break;
	}
	return (sel);
}

/*
 * Load DS, ES, FS, GS or LDTR. GS: the inactive base changes, the one that
 * SWAPGS brings; FS: the base changes. The caller restores that.
 */
static inline void
insn_load_selector(int sreg, uint16_t sel)
{
	switch (sreg) {
	case VCPU_REGS_DS:
		__asm__ volatile("mov %k0, %%ds" : : "r" (sel));
		break;
	case VCPU_REGS_ES:
		__asm__ volatile("mov %k0, %%es" : : "r" (sel));
		break;
	case VCPU_REGS_FS:
		__asm__ volatile("mov %k0, %%fs" : : "r" (sel));
		break;
	case VCPU_REGS_GS:
		__asm__ volatile("swapgs; mov %k0, %%gs; swapgs" : :
		    "r" (sel));
		break;
	case VCPU_REGS_LDTR:
		__asm__ volatile("lldt %w0" : : "r" (sel));
		break;
	}
}

#endif /* VMM_INSN_H */
