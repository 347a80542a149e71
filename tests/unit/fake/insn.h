/* SPDX-License-Identifier: ISC */
/*
 * insn.h - in place of src/vmm/insn.h: the same functions, done by the fake
 * CPU. The linker notices one that is missing.
 */
#ifndef FAKE_INSN_H
#define FAKE_INSN_H

#include <stdint.h>

void	 insn_cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4]);
uint64_t insn_rdmsr(uint32_t msr);
void	 insn_wrmsr(uint32_t msr, uint64_t v);
uint64_t insn_rdtsc(void);
uint64_t insn_xgetbv(void);
void	 insn_xsetbv(uint64_t v);
void	 insn_xsave(void *area, uint64_t mask);
void	 insn_xrstor(const void *area, uint64_t mask);
void	 insn_fxsave(void *area);
void	 insn_fxrstor(const void *area);
uint64_t insn_read_cr0(void);
uint64_t insn_read_cr4(void);
void	 insn_write_dr(int n, uint64_t v);
void	 insn_fp_forget(void);

#endif /* FAKE_INSN_H */
