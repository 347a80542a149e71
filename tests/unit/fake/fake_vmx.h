/* SPDX-License-Identifier: ISC */
/*
 * fake_vmx.h - the fake CPUs as Intel's: VMX operation, VMCSs that live in
 * the CPU, VM entries that check everything the manual says, exits that leave
 * the host as the manual says, and EPT with its TLB.
 *
 * Encodings and bits are typed here from SDM Vol. 3C Chapter 24 "Virtual
 * Machine Control Structures" and Vol. 3D Appendix B "Field Encoding in
 * VMCS", not taken from the driver, so that each checks the other.
 */
#ifndef FAKE_VMX_H
#define FAKE_VMX_H

#include "fake_cpu.h"

/* Fields. */
#define VF_VPID			0x0000u
#define VF_ES_SEL		0x0800u		/* ES CS SS DS FS GS LDTR TR */
#define VF_HOST_ES_SEL		0x0c00u		/* the same but LDTR */
#define VF_IO_BITMAP_A		0x2000u
#define VF_IO_BITMAP_B		0x2002u
#define VF_MSR_BITMAP		0x2004u
#define VF_EXIT_STORE		0x2006u
#define VF_EXIT_LOAD		0x2008u
#define VF_ENTRY_LOAD		0x200au
#define VF_TSC_OFFSET		0x2010u
#define VF_EPTP			0x201au
#define VF_ENCLS		0x202eu
#define VF_GPA			0x2400u
#define VF_LINK			0x2800u
#define VF_DEBUGCTL		0x2802u
#define VF_PAT			0x2804u
#define VF_EFER			0x2806u
#define VF_PDPTE0		0x280au
#define VF_HOST_PAT		0x2c00u
#define VF_HOST_EFER		0x2c02u
#define VF_PIN			0x4000u
#define VF_PROC			0x4002u
#define VF_EXCEPTIONS		0x4004u
#define VF_PF_MASK		0x4006u
#define VF_PF_MATCH		0x4008u
#define VF_CR3_TARGETS		0x400au
#define VF_EXIT_CTLS		0x400cu
#define VF_EXIT_STORES		0x400eu
#define VF_EXIT_LOADS		0x4010u
#define VF_ENTRY_CTLS		0x4012u
#define VF_ENTRY_LOADS		0x4014u
#define VF_ENTRY_EVENT		0x4016u
#define VF_ENTRY_ERROR		0x4018u
#define VF_ENTRY_LEN		0x401au
#define VF_PROC2		0x401eu
#define VF_INSN_ERROR		0x4400u
#define VF_REASON		0x4402u
#define VF_EXIT_EVENT		0x4404u
#define VF_EXIT_ERROR		0x4406u
#define VF_LOST			0x4408u
#define VF_LOST_ERROR		0x440au
#define VF_LEN			0x440cu
#define VF_INSN_INFO		0x440eu
#define VF_ES_LIMIT		0x4800u		/* ... TR */
#define VF_GDTR_LIMIT		0x4810u
#define VF_IDTR_LIMIT		0x4812u
#define VF_ES_AR		0x4814u		/* ... TR */
#define VF_INTERRUPTIBILITY	0x4824u
#define VF_ACTIVITY		0x4826u
#define VF_SYSENTER_CS		0x482au
#define VF_TIMER		0x482eu
#define VF_HOST_SYSENTER_CS	0x4c00u
#define VF_CR0_MASK		0x6000u
#define VF_CR4_MASK		0x6002u
#define VF_CR0_SHADOW		0x6004u
#define VF_CR4_SHADOW		0x6006u
#define VF_QUAL			0x6400u
#define VF_GLA			0x640au
#define VF_CR0			0x6800u
#define VF_CR3			0x6802u
#define VF_CR4			0x6804u
#define VF_ES_BASE		0x6806u		/* ... TR */
#define VF_GDTR_BASE		0x6816u
#define VF_IDTR_BASE		0x6818u
#define VF_DR7			0x681au
#define VF_RSP			0x681cu
#define VF_RIP			0x681eu
#define VF_RFLAGS		0x6820u
#define VF_PENDING_DEBUG	0x6822u
#define VF_SYSENTER_ESP		0x6824u
#define VF_SYSENTER_EIP		0x6826u
#define VF_HOST_CR0		0x6c00u
#define VF_HOST_CR3		0x6c02u
#define VF_HOST_CR4		0x6c04u
#define VF_HOST_FS_BASE		0x6c06u
#define VF_HOST_GS_BASE		0x6c08u
#define VF_HOST_TR_BASE		0x6c0au
#define VF_HOST_GDTR_BASE	0x6c0cu
#define VF_HOST_IDTR_BASE	0x6c0eu
#define VF_HOST_SYSENTER_ESP	0x6c10u
#define VF_HOST_SYSENTER_EIP	0x6c12u
#define VF_HOST_RSP		0x6c14u
#define VF_HOST_RIP		0x6c16u

/* Segments in the order of the VMCS. */
enum { VX_ES, VX_CS, VX_SS, VX_DS, VX_FS, VX_GS, VX_LDTR, VX_TR, VX_NSEGS };
#define VF_SEL(s)		(VF_ES_SEL + 2u * (s))
#define VF_LIMIT(s)		(VF_ES_LIMIT + 2u * (s))
#define VF_AR(s)		(VF_ES_AR + 2u * (s))
#define VF_BASE(s)		(VF_ES_BASE + 2u * (s))

/* Bits of the controls that the fake knows by name. */
#define VX_PIN_EXTINT		(1u << 0)
#define VX_PIN_NMI		(1u << 3)
#define VX_PIN_VNMI		(1u << 5)
#define VX_PIN_TIMER		(1u << 6)
#define VX_PROC_WINDOW		(1u << 2)
#define VX_PROC_HLT		(1u << 7)
#define VX_PROC_TPR		(1u << 21)
#define VX_PROC_NMI_WINDOW	(1u << 22)
#define VX_PROC_IO		(1u << 24)
#define VX_PROC_IO_BITMAPS	(1u << 25)
#define VX_PROC_MSR_BITMAP	(1u << 28)
#define VX_PROC_PROC2		(1u << 31)
#define VX_PROC2_EPT		(1u << 1)
#define VX_PROC2_VPID		(1u << 5)
#define VX_PROC2_WBINVD		(1u << 6)
#define VX_PROC2_UG		(1u << 7)
#define VX_EXIT_DEBUG		(1u << 2)
#define VX_EXIT_HOST64		(1u << 9)
#define VX_EXIT_ACK		(1u << 15)
#define VX_EXIT_LOAD_PAT	(1u << 19)
#define VX_EXIT_SAVE_EFER	(1u << 20)
#define VX_EXIT_LOAD_EFER	(1u << 21)
#define VX_EXIT_SAVE_TIMER	(1u << 22)
#define VX_ENTRY_DEBUG		(1u << 2)
#define VX_ENTRY_IA32E		(1u << 9)
#define VX_ENTRY_LOAD_PAT	(1u << 14)
#define VX_ENTRY_LOAD_EFER	(1u << 15)
#define VX_STI			0x1u
#define VX_MOV_SS		0x2u

/* --- Set-up --- */

#define FAKE_MSR_FEATURE	0x3au
#define FAKE_MSR_ARCH		0x10au
#define FAKE_MSR_BASIC		0x480u
#define FAKE_MSR_PIN		0x481u
#define FAKE_MSR_PROC		0x482u
#define FAKE_MSR_EXIT		0x483u
#define FAKE_MSR_ENTRY		0x484u
#define FAKE_MSR_MISC		0x485u
#define FAKE_MSR_CR0_FIXED0	0x486u
#define FAKE_MSR_CR0_FIXED1	0x487u
#define FAKE_MSR_CR4_FIXED0	0x488u
#define FAKE_MSR_CR4_FIXED1	0x489u
#define FAKE_MSR_PROC2		0x48bu
#define FAKE_MSR_EPT		0x48cu
#define FAKE_MSR_TRUE_PIN	0x48du
#define FAKE_MSR_TRUE_PROC	0x48eu
#define FAKE_MSR_TRUE_EXIT	0x48fu
#define FAKE_MSR_TRUE_ENTRY	0x490u
#define FAKE_VMX_REVISION	0x2bu
#define FAKE_EPT_EXEC_ONLY	(1ULL << 0)

/*
 * fake_vmx_set: the CPUs of this host are Intel's, before the driver attaches;
 * they can do what Bochs' Haswell can. `fake_msr` changes one.
 * fake_msr_all: sets and then clears bits of an MSR on every CPU.
 * fake_vmx_absent: takes one allowed-1 bit from a control, in both the MSR of
 * its group and the TRUE one.
 */
void	 fake_vmx_set(void);
bool	 fake_is_vmx(void);
void	 fake_msr_all(uint32_t msr, uint64_t set, uint64_t clear);
void	 fake_vmx_absent(uint32_t msr, unsigned int bit);
void	 fake_vmxon_fails(unsigned int cpu, bool);
bool	 fake_vmx_on(unsigned int cpu);	/* in VMX operation */
unsigned int fake_vmx_active(unsigned int cpu);	/* VMCSs not cleared */
bool	 fake_vmx_field(uint32_t field);	/* this CPU has it */
uint64_t fake_vmclears(void);
uint64_t fake_invepts(void);
uint64_t fake_invvpids(void);
uint64_t fake_vmwrites(uint32_t field);	/* of that field, since reset */
uint64_t fake_vmreads(void);		/* of any */
unsigned int fake_vmfail(void);		/* the last error, 0 none yet */

/* An instruction error that the next entry ends with, whatever its state. */
#define FAKE_VMFAIL_INVALID	1000
void	 fake_vmfail_next(unsigned int error);

void	 fake_mce_next(void);	/* a machine check ends it: reason 41 */

/* --- Guests --- */

uint64_t vf_get(const struct fake_guest *, uint32_t field);
void	 vf_set(struct fake_guest *, uint32_t field, uint64_t v);
uint32_t fake_proc2(const struct fake_guest *);	/* 0 where it is off */

/* What an exit leaves; the rest of the exit fields are rubbish. */
struct fake_vexit {
	uint32_t	reason;
	uint64_t	qual;
	uint32_t	len;		/* 0: what the step said */
	uint32_t	event, error;
	uint32_t	lost, lost_error;
	uint32_t	insn_info;
	uint64_t	gpa, gla;
};

/*
 * fake_vexit: dies unless the controls would make it exit so.
 * fake_do_vexit: a step; arg: address of a struct fake_vexit.
 * fake_lose_vexit: the next delivery ends so, with what was lost.
 */
void	 fake_vexit(struct fake_guest *, const struct fake_vexit *);
void	 fake_vexit_raw(struct fake_guest *, const struct fake_vexit *);
fake_step_fn	fake_do_vexit;
fake_step_fn	fake_do_vexit_raw;
void	 fake_lose_vexit(const struct fake_vexit *);

/*
 * Instructions of the guest as the CPU does them: with an exit only where the
 * controls ask for one. true: it exited.
 */
bool	 fake_mov_to_cr(struct fake_guest *, int cr, int gpr);
bool	 fake_mov_from_cr(struct fake_guest *, int cr, int gpr);
bool	 fake_lmsw(struct fake_guest *, uint16_t msw);
bool	 fake_clts(struct fake_guest *);
bool	 fake_vmx_io(struct fake_guest *, uint16_t port, unsigned int size,
	    bool in, unsigned int more);	/* other bits of the qual. */
bool	 fake_vmx_msr(struct fake_guest *, uint32_t msr, bool write);
bool	 fake_vmx_msr_exits(const struct fake_guest *, uint32_t, bool write);

/* Nested paging and its TLB, behind fake_access(). */
bool	 fake_vmx_access(struct fake_guest *, uint64_t gpa, int access,
	    uint64_t *hpa);
bool	 fake_ept_walk(uint64_t eptp, uint64_t gpa, uint64_t *hpa,
	    int *rights, uint64_t *leaf);
unsigned int fake_ept_entries(unsigned int cpu, uint64_t eptp);
uint64_t fake_vmx_flushes(void);

/* Bochs: a guest entered with IF=0 is ended by the timer alone. */
void	 fake_quirk_no_extint(bool);

#endif /* FAKE_VMX_H */
