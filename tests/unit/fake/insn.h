/* SPDX-License-Identifier: ISC */
/*
 * insn.h - in place of src/vmm/insn.h: the same functions, done by the fake
 * CPU. The linker notices one that is missing.
 */
#ifndef FAKE_INSN_H
#define FAKE_INSN_H

#include <stdbool.h>
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
uint64_t insn_read_cr2(void);
void	 insn_write_cr2(uint64_t v);
uint64_t insn_read_cr3(void);

bool	 insn_vmxon(uint64_t pa);
void	 insn_vmxoff(void);
bool	 insn_vmclear(uint64_t pa);
bool	 insn_vmptrld(uint64_t pa);
bool	 insn_vmread(uint64_t field, uint64_t *value);
bool	 insn_vmwrite(uint64_t field, uint64_t value);
bool	 insn_invept(uint64_t type, uint64_t eptp);
bool	 insn_invvpid(uint64_t type, uint64_t vpid, uint64_t va);

struct insn_table {
	uint16_t	limit;
	uint64_t	base;
} __attribute__((packed));
void	 insn_sgdt(struct insn_table *);
void	 insn_sidt(struct insn_table *);
uint16_t insn_selector(int sreg);
void	 insn_load_selector(int sreg, uint16_t sel);

#endif /* FAKE_INSN_H */
