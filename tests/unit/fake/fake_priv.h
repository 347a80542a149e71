/* SPDX-License-Identifier: ISC */
/*
 * fake_priv.h - what the parts of the fake host ask of each other.
 */
#ifndef FAKE_PRIV_H
#define FAKE_PRIV_H

#include "fake_cpu.h"
#include "fake_host.h"
#include "vmmvar.h"

/* What a CPU holds beside its MSRs, FPU and debug registers. */
struct fake_table {
	uint64_t	base;
	uint32_t	limit;
};

#define CR4_LA57_BIT		0x1000ULL

struct fake_regs {
	uint64_t		cr0, cr2, cr3, cr4;
	uint16_t		sel[VCPU_REGS_NSREGS];
	struct fake_table	gdt, idt, tr;
};

void		 fake_mem_reset(void);
struct host_as	*fake_as_default(void);
void		 fake_cpu_reset(void);
void		 fake_cpu_enter_begin(void);
void		 fake_cpu_enter_end(void);
void		 fake_cpu_vmrun(void);
struct fake_regs *fake_regs(unsigned int cpu);
bool		 fake_msr_has(uint32_t msr);
bool		 fake_kernel_range(uint64_t pa, uint64_t bytes);
void		 fake_svm_reset(void);
void		 fake_vmx_reset(void);
void		 fake_vmx_check_clean(void);
void		 fake_vmx_wrmsr(uint32_t msr, uint64_t old, uint64_t v);
void		 fake_vmx_cr4(uint64_t v);
void		 fake_vmx_host_begin(void);
void		 fake_vmx_host_end(void);
void		 fake_vmx_host_restore(void);

void		 fake_vmx_interrupt(struct fake_guest *);

/* fake_both.c */
void		 fake_both_exit(struct fake_guest *, uint64_t code,
		    uint64_t info1, uint64_t info2, bool raw);
void		 fake_both_lose(uint64_t code, uint64_t info1,
		    uint64_t info2);
uint64_t	 fake_both_get(const struct fake_guest *, unsigned int off);
void		 fake_both_set(struct fake_guest *, unsigned int off,
		    uint64_t v);

/* fake_script.c */
void		 fake_script_reset(void);
void		 fake_step_play(struct fake_guest *);
void		 fake_ran(const struct fake_guest *);
void		 fake_refuse(const char *why);
bool		 fake_bad_intr_allowed(void);
void		 fake_event_add(uint32_t info, uint32_t error, uint64_t rip);

#endif /* FAKE_PRIV_H */
