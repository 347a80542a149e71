/* SPDX-License-Identifier: ISC */
/*
 * fake_cpu.h - the fake CPUs: registers the driver's own instructions touch,
 * VMRUN that plays scripted guests, and a model of the nested TLB.
 *
 * Offsets in the VMCB are typed here from APM Vol. 2 Appendix B "VMCB
 * Layout", not taken from the driver, so that each checks the other.
 */
#ifndef FAKE_CPU_H
#define FAKE_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- CPUID, MSRs, registers --- */

void	 fake_cpuid_set(uint32_t leaf, uint32_t sub, uint32_t a, uint32_t b,
	    uint32_t c, uint32_t d);
void	 fake_cpuid_get(uint32_t leaf, uint32_t sub, uint32_t r[4]);
void	 fake_svm_set(uint32_t features, uint32_t nasids);
#define FAKE_SVM_NP		0x01
#define FAKE_SVM_NRIPS		0x08
#define FAKE_SVM_CLEAN		0x20
#define FAKE_SVM_FLUSHBYASID	0x40
#define FAKE_SVM_DECODE		0x80

#define FAKE_MSR_EFER		0xc0000080u
#define FAKE_MSR_VM_CR		0xc0010114u
#define FAKE_MSR_VM_HSAVE_PA	0xc0010117u
void	 fake_msr_set(unsigned int cpu, uint32_t msr, uint64_t v);
uint64_t fake_msr_get(unsigned int cpu, uint32_t msr);
void	 fake_cpu_check_clean(void);	/* no CPU is in SVM or VMX mode */
void	 fake_msr_remove(uint32_t msr);	/* from every CPU: #GP */
void	 fake_msr_ignore(unsigned int cpu, uint32_t msr);  /* writes lost */

#define FAKE_HOST_XCR0		0x7
#define FAKE_HOST_DR(n)		(0x7000 + (uint64_t)(n))
#define FAKE_MSR_XSS		0xda0u
#define FAKE_HOST_XSS		0x1800

/* The live x87, SSE and AVX state of one CPU. */
struct fake_fpu {
	uint8_t		x87[160];	/* bytes 0-23 and 32-159 of FXSAVE */
	uint32_t	mxcsr;
	uint8_t		xmm[256];
	uint8_t		ymmh[256];
};
struct fake_fpu *fake_fpu(unsigned int cpu);
uint64_t fake_xcr0(unsigned int cpu);
uint64_t fake_dr(unsigned int cpu, int n);
uint64_t fake_cr4(unsigned int cpu);
void	 fake_tsc_set(uint64_t);
void	 fake_no_xsave(void);		/* before the driver attaches */
void	 fake_la57(unsigned int cpu, bool on);	/* that, too */

/* --- VMCB --- */

#define VC_CR			0x000	/* intercepts */
#define VC_DR			0x004
#define VC_EXC			0x008
#define VC_MISC1		0x00c
#define VC_MISC2		0x010
#define VC_MISC3		0x014
#define VC_IOPM			0x040
#define VC_MSRPM		0x048
#define VC_TSC_OFFSET		0x050
#define VC_ASID			0x058
#define VC_TLB_CONTROL		0x05c
#define VC_VINTR		0x060
#define VC_SHADOW		0x068
#define VC_EXITCODE		0x070
#define VC_EXITINFO1		0x078
#define VC_EXITINFO2		0x080
#define VC_EXITINTINFO		0x088
#define VC_NP_ENABLE		0x090
#define VC_EVENTINJ		0x0a8
#define VC_N_CR3		0x0b0
#define VC_CLEAN		0x0c0
#define VC_NRIP			0x0c8
#define VC_NBYTES		0x0d0
#define VS_ES			0x400
#define VS_CS			0x410
#define VS_SS			0x420
#define VS_DS			0x430
#define VS_FS			0x440
#define VS_GS			0x450
#define VS_GDTR			0x460
#define VS_LDTR			0x470
#define VS_IDTR			0x480
#define VS_TR			0x490
#define VS_CPL			0x4cb
#define VS_EFER			0x4d0
#define VS_CR4			0x548
#define VS_CR3			0x550
#define VS_CR0			0x558
#define VS_DR7			0x560
#define VS_DR6			0x568
#define VS_RFLAGS		0x570
#define VS_RIP			0x578
#define VS_RSP			0x5d8
#define VS_RAX			0x5f8
#define VS_STAR			0x600
#define VS_LSTAR		0x608
#define VS_CSTAR		0x610
#define VS_SFMASK		0x618
#define VS_KGSBASE		0x620
#define VS_SYSENTER_CS		0x628
#define VS_SYSENTER_ESP		0x630
#define VS_SYSENTER_EIP		0x638
#define VS_CR2			0x640
#define VS_G_PAT		0x668
#define VINTR_V_IRQ		0x0000100u
#define VINTR_V_IGN_TPR		0x0100000u
#define VINTR_V_INTR_MASKING	0x1000000u

/* --- Guests --- */

struct fake_guest {
	uint8_t		*vmcb;		/* NULL on Intel */
	struct fake_vmcs *vmx;		/* NULL on AMD; see fake_vmx.h */
	uint64_t	*gpr;		/* all but RAX, RSP, RIP, RFLAGS */
	unsigned int	 cpu;
	uint32_t	 asid;		/* Intel: VPID */
	bool		 exited;
	uint8_t		 len;		/* Intel: of the instruction */
};
typedef void fake_step_fn(struct fake_guest *, uint64_t arg);

uint64_t vmcb_get(const struct fake_guest *, unsigned int off);
uint32_t vmcb_get32(const struct fake_guest *, unsigned int off);
void	 vmcb_set(struct fake_guest *, unsigned int off, uint64_t v);
void	 vmcb_set32(struct fake_guest *, unsigned int off, uint32_t v);

/*
 * An entry plays queued steps until one of them exits. A step that does not
 * exit is followed by the next in the same entry. With the queue empty the
 * default step is played; with none, the test dies.
 */
void	 fake_step(fake_step_fn *, uint64_t arg);
void	 fake_step_default(fake_step_fn *, uint64_t arg);
void	 fake_step_again(void);
void	 fake_steps_clear(void);
unsigned int fake_steps_left(void);
uint64_t fake_vmruns(void);		/* entries, of both vendors */
struct fake_guest *fake_last(void);	/* the guest of the last entry */
uint16_t fake_svm_reason(uint16_t vmx);	/* of the same exit, or itself */
const char *fake_refused(void);	/* why the last refused entry was that */

/* What a step ends with. The first dies unless the VMCB intercepts it. */
void	 fake_exit(struct fake_guest *, uint64_t code, uint64_t info1,
	    uint64_t info2);
void	 fake_exit_raw(struct fake_guest *, uint64_t code, uint64_t info1,
	    uint64_t info2);

/* Ready-made steps; arg as said. */
fake_step_fn	fake_do_exit;		/* arg: exit code, infos 0 */
fake_step_fn	fake_do_spin;		/* until kicked or signalled */
fake_step_fn	fake_do_set_if;		/* arg: RFLAGS.IF from now on */
fake_step_fn	fake_do_shadow;		/* arg: shadow from now on */

void	 fake_relax(unsigned int *n);	/* once a turn in a step that spins */

/*
 * Nested paging. 1 R, 2 W, 4 X as NPT_*. false: exited with #NPF, or with an
 * EPT violation.
 */
bool	 fake_access(struct fake_guest *, uint64_t gpa, int access,
	    uint64_t *hpa);
bool	 fake_walk(uint64_t n_cr3, uint64_t gpa, uint64_t *hpa, int *rights,
	    uint64_t *leaf);
unsigned int fake_tlb_entries(unsigned int cpu, uint32_t asid);
uint64_t fake_tlb_flushes(void);	/* VMRUNs that flushed something */

/* Bitmaps, read as the CPU reads them. */
bool	 fake_io_exits(const struct fake_guest *, uint16_t port,
	    unsigned int size);
bool	 fake_msr_exits(const struct fake_guest *, uint32_t msr, bool write);

/* Events that VMRUN delivered to the guest, in order. */
struct fake_event {
	uint8_t		type, vector;
	bool		has_error;
	uint32_t	error;
	uint64_t	rip;
};
unsigned int fake_nevents(void);
const struct fake_event *fake_event(unsigned int i);
void	 fake_events_clear(void);

/*
 * The next delivery is cut short: VMRUN exits at once with this code, and
 * EXITINTINFO tells what was lost.
 */
void	 fake_lose_event(uint64_t code, uint64_t info1, uint64_t info2);
void	 fake_allow_bad_intr(bool);	/* INTR though IF=0 or in a shadow */

/* Habits of emulators. */
void	 fake_quirk_invalid32(bool);	/* VMEXIT_INVALID as 0xffffffff */
void	 fake_quirk_no_shadow(bool);	/* INTERRUPT_SHADOW is not loaded */

#endif /* FAKE_CPU_H */
