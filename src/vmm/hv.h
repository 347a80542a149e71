/* SPDX-License-Identifier: ISC */
/*
 * hv.h - the vendor contract: what the driver asks of SVM or VMX.
 *
 * Everything above this line of the driver is vendor-neutral. A vendor
 * decodes an exit into a `struct vmexit`; vcpu.c acts on its kind, once for
 * both. The vendor holds what the CPU keeps in its control structure
 * (segments, descriptor tables, CR3, system-call MSRs); everything the driver
 * itself looks at lives in `struct vcpu` (vmm.h).
 */
#ifndef VMM_HV_H
#define VMM_HV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host.h"
#include "vmmvar.h"

struct npt_format;
struct vcpu;

/* Why the guest stopped. One case each in exit_handle(). */
#define VMEXIT_KINDS(K)							\
	K(INTR)		/* host interrupt: comes at enter_end */	\
	K(NMI)		/* host NMI, see hv_ops.run */			\
	K(MCE)		/* host #MC, see hv_ops.run */			\
	K(TIMER)	/* the time slice is used up */			\
	K(WINDOW)	/* the interrupt window is open */		\
	K(CPUID)							\
	K(HLT)								\
	K(IO)		/* u.io */					\
	K(RDMSR)							\
	K(WRMSR)							\
	K(CR)		/* u.reg: CR0, CR4, CR8; also LMSW, CLTS */	\
	K(DR)		/* u.reg: any debug register */			\
	K(XSETBV)							\
	K(NPF)		/* u.npf: nested page fault, EPT violation */	\
	K(EXCEPTION)	/* u.event: #DB or #AC to be re-injected */	\
	K(UD)		/* an instruction the guest does not have */	\
	K(GP)		/* an instruction that is #GP(0) here */	\
	K(NOP)		/* INVD, WBINVD: nothing is done */		\
	K(SHUTDOWN)	/* triple fault */				\
	K(TASK_SWITCH)	/* VMX only: ends the VCPU */			\
	K(ENTRY_FAILED)	/* the CPU refused the guest's state */		\
	K(UNKNOWN)	/* never advances RIP; ends the VCPU */

enum vmexit_kind {
#define K(name)	VMEXIT_##name,
	VMEXIT_KINDS(K)
#undef K
	VMEXIT_NKINDS,
};

/* Event types: numbers both vendors use; VMX has more above. */
enum hv_event_type {
	EVENT_INTR	= 0,	/* external interrupt */
	EVENT_NMI	= 2,
	EVENT_EXCEPTION	= 3,	/* hardware exception */
	EVENT_SOFT	= 4,	/* INT n, INT3, INTO, INT1 */
};

struct hv_event {
	bool		valid;
	uint8_t		type;		/* enum hv_event_type */
	uint8_t		vector;
	bool		has_error;
	uint32_t	error;
};

struct vmexit_io {
	uint16_t	port;
	uint8_t		size;		/* 1, 2, 4 */
	bool		in;
	bool		string;
	bool		rep;
	bool		imm;		/* port was an immediate (VMX) */
};

/* Nested rights, as in vmep_prot. */
#define NPT_R		1
#define NPT_W		2
#define NPT_X		4

struct vmexit_npf {
	uint64_t	gpa;
	uint8_t		access;		/* NPT_R, NPT_W or NPT_X wanted */
};

/* How a control or debug register was touched. */
enum reg_op {
	REG_NONE,		/* by another instruction */
	REG_READ,		/* MOV from it to gpr */
	REG_WRITE,		/* MOV to it from gpr */
	REG_CLTS,
	REG_LMSW,		/* source in value if decoded is set */
	REG_SMSW,
};

struct vmexit_reg {
	uint8_t		reg;		/* number of the CR or DR */
	bool		decoded;	/* op, gpr, value are valid */
	uint8_t		op;		/* enum reg_op */
	uint8_t		gpr;		/* index of vrs_gprs[] */
	uint16_t	value;		/* LMSW */
};

/*
 * One of the manual's checks on VM entry: a row of svm_rules.def or
 * vmx_rules.def, which have them in the manual's order.
 */
struct entry_rule {
	const char	*id;
	const char	*section;	/* of the manual, with its title */
	const char	*field;		/* as the dump names it */
	const char	*allowed;	/* what it may be, and so the remedy */
};

/* A rule that a state breaks, or NULL, and what the field was found to be. */
struct entry_broken {
	const struct entry_rule	*rule;
	uint64_t	 value;
};

/* Whose part of the control structure a rule is about. */
enum entry_part { ENTRY_CTL, ENTRY_HOST, ENTRY_GUEST };

/* One row, in a function that has x, guest_only and broken: is it kept? */
#define ENTRY_RULE(section, part, id, name, holds, ok, allowed)		\
	x = (holds);							\
	if ((!guest_only || ENTRY_##part == ENTRY_GUEST) && !(ok)) {	\
		static const struct entry_rule rule = {			\
			id, section, name, allowed			\
		};							\
		*broken = (struct entry_broken){ &rule, x };		\
		return (true);						\
	}

struct vmexit {
	enum vmexit_kind kind;
	uint64_t	code;		/* as the CPU gave it */
	uint64_t	info[2];	/* EXITINFO1 and 2; qualification */
	uint8_t		insn_len;	/* 0: the CPU did not say */
	struct hv_event	lost;		/* its delivery was interrupted */
	union {
		struct vmexit_io	io;
		struct vmexit_npf	npf;
		struct vmexit_reg	reg;
		struct hv_event		event;
	} u;
};

/*
 * Contexts as in host.h: S may sleep, E with interrupts off around an entry,
 * C inside host_cpu_call() on that CPU.
 */
struct hv_ops {
	const char	*banner;	/* "SVM/RVI" or "VMX/EPT" */
	const struct npt_format *npt;
	uint16_t	 window_code;	/* vrp_exit_reason of VMEXIT_WINDOW */
	bool		 wants_pdptes;	/* load vcpu.pdpte in PAE mode */

	/*
	 * probe: 0, or ENODEV with *why naming what is missing; a CPU of the
	 *	other vendor leaves *why alone. S
	 * attach/detach: what all VMs share (bitmaps). ENOMEM. S
	 */
	int	(*probe)(const char **why);
	int	(*attach)(void);
	void	(*detach)(void);

	/*
	 * cpu_prepare/release: memory of one CPU. ENOMEM. S
	 * cpu_enable: EBUSY: another hypervisor owns this CPU; EIO: the CPU
	 *	refuses. Logs nothing. C
	 * cpu_disable: only after enable succeeded on it. C
	 */
	int	(*cpu_prepare)(unsigned int cpu);
	void	(*cpu_release)(unsigned int cpu);
	int	(*cpu_enable)(unsigned int cpu);
	void	(*cpu_disable)(unsigned int cpu);

	/*
	 * vcpu_init/free: v->hv and what it needs. ENOMEM. S
	 * vcpu_reset: the control structure as after power-on, intercepts
	 *	set; registers follow by regs_set(VM_RWREGS_ALL). S
	 * vcpu_detach: this CPU, where the VCPU ran last, forgets it (VMCLEAR).
	 *	Called before it runs on another one and before vcpu_free. NULL:
	 *	run leaves nothing in the CPU. C
	 */
	int	(*vcpu_init)(struct vcpu *);
	void	(*vcpu_free)(struct vcpu *);
	void	(*vcpu_reset)(struct vcpu *);
	void	(*vcpu_detach)(struct vcpu *);

	/*
	 * regs_get/set: the registers the vendor holds, of the groups in
	 *	`mask` (VM_RWREGS_*): segments, GDTR, IDTR, CR3, STAR..KGSBASE.
	 *	The VCPU is not running. S
	 * cr_check: CR0 and CR4 values this CPU could not run; 0 or EINVAL.
	 *	The guest's view of them. S
	 */
	void	(*regs_get)(struct vcpu *, uint64_t mask,
		    struct vcpu_reg_state *);
	void	(*regs_set)(struct vcpu *, uint64_t mask,
		    const struct vcpu_reg_state *);
	int	(*cr_check)(uint64_t cr0, uint64_t cr4);

	/*
	 * run keeps what cpl and cr3 want; only segment may have to ask the
	 * CPU that has the VCPU.
	 * segment: one segment (VCPU_REGS_CS ..), for address arithmetic. S
	 * cpl: current privilege level, 0..3.
	 * cr3: the guest's.
	 */
	void	(*segment)(struct vcpu *, int sreg, struct vcpu_segment_info *);
	int	(*cpl)(struct vcpu *);
	uint64_t (*cr3)(struct vcpu *);

	/*
	 * inject: the event of the next entry, and of no later one. E
	 * window: exit as soon as an interrupt could be taken, or not; off
	 *	after vcpu_reset. E
	 * tlb_flush: the next entry uses no translation cached before. A
	 *	flag: in any context, while the VCPU is the caller's. A VCPU
	 *	that comes to another CPU uses none cached there either.
	 * run: one entry. v->gpr, v->shadow and the registers flagged in
	 *	v->dirty are loaded before and stored after; *x is filled. An
	 *	NMI or #MC that the CPU will not raise again by itself is
	 *	handed to host_nmi(), host_mce() before it returns. E
	 */
	void	(*inject)(struct vcpu *, const struct hv_event *);
	void	(*window)(struct vcpu *, bool on);
	void	(*tlb_flush)(struct vcpu *);
	void	(*run)(struct vcpu *, struct vmexit *);

	/*
	 * check: the first rule that the coming entry breaks, into *broken; of
	 *	an entry just refused, that one's. guest_only: none about
	 *	controls and host state. False: none that the driver knows.
	 *	The VCPU is not running. S
	 * dump: what the control structure holds. The VCPU is not running. S
	 */
	bool	(*check)(struct vcpu *, bool guest_only, struct entry_broken *);
	void	(*dump)(struct vcpu *, vmm_put *, void *arg);
};

extern const struct hv_ops svm_ops;
extern const struct hv_ops vmx_ops;

#endif /* VMM_HV_H */
