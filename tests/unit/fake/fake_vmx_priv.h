/* SPDX-License-Identifier: ISC */
/*
 * fake_vmx_priv.h - what the parts of the fake Intel CPU ask of each other.
 */
#ifndef FAKE_VMX_PRIV_H
#define FAKE_VMX_PRIV_H

#include "fake_priv.h"
#include "fake_vmx.h"

/* A VMCS, as long as its page lives. `field` is by fake_vmcs_field(). */
struct fake_vmcs {
	uint64_t	pa;
	bool		cleared;	/* VMCLEAR has been there once */
	bool		launched;
	int		cpu;		/* active there; -1: nowhere */
	uint64_t	field[512];
};

struct fake_vmx_cpu {
	bool		  on;
	bool		  fails;	/* VMXON will not */
	uint64_t	  vmxon;
	struct fake_vmcs *current;
};

struct fake_vmx_cpu *fake_vmx_cpu(unsigned int cpu);
uint64_t *fake_vmcs_field(struct fake_vmcs *, uint32_t field);
unsigned int fake_vmx_width(uint32_t field);	/* bits */
bool	 fake_allowed1(uint32_t msr, unsigned int bit);
uint64_t fake_phys_limit(void);
bool	 fake_canonical(uint64_t);
bool	 fake_wrmsr_ok(uint32_t msr, uint64_t v);

/* fake_vmx_check.c: what is wrong, or NULL; *qual as the CPU gives it. */
const char *fake_check_controls(const struct fake_guest *);
const char *fake_check_host(const struct fake_guest *);
const char *fake_check_guest(const struct fake_guest *, uint64_t *qual);

/* fake_vmx_ept.c */
void	 fake_ept_reset(void);
void	 fake_ept_entry(const struct fake_guest *);	/* and exit */
void	 fake_ept_drop(unsigned int cpu, uint64_t eptp, bool all);
void	 fake_vpid_drop(unsigned int cpu, uint32_t vpid, uint64_t gpa,
	    int type);

/* fake_vmx_run.c */
void	 fake_vmx_run_reset(void);
void	 fake_vmx_host_boot(unsigned int cpu);

#endif /* FAKE_VMX_PRIV_H */
