/* SPDX-License-Identifier: ISC */
/*
 * vmx.h - Intel VMX: the fields of the VMCS, the bits of its controls, the
 * capability MSRs, and what vmx.c, vmx_ctl.c and vmx_entry.S have in common.
 */
#ifndef VMM_VMX_H
#define VMM_VMX_H

#include "gpr.h"

/* VMWRITE by vmx_entry.S; asserted below. */
#define VMX_HOST_RSP		0x6c14

/* What vmx_enter() returns. SDM Vol. 3C 30.2 "Conventions" */
#define VMX_FAIL_INVALID	1
#define VMX_FAIL_VALID		2

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stdint.h>

#include <insn.h>

#include "host.h"

/*
 * Encodings. Bit 0 would be the high half of a 64-bit field.
 *	SDM Vol. 3C 24.11.2 "VMREAD, VMWRITE, and Encodings of VMCS Fields"
 */
#define VMCS_WIDTH_16		0U
#define VMCS_WIDTH_64		1U
#define VMCS_WIDTH_32		2U
#define VMCS_WIDTH_NAT		3U
#define VMCS_TYPE_CTRL		0U
#define VMCS_TYPE_INFO		1U
#define VMCS_TYPE_GUEST		2U
#define VMCS_TYPE_HOST		3U
#define VMCS_ENCODE(width, type, index) \
	(VMCS_WIDTH_##width << 13 | VMCS_TYPE_##type << 10 | (index) << 1)
#define VMCS_TYPE_OF(field)	((field) >> 10 & 3)

enum vmcs_field {
#define VMCS(name, width, type, index, text) \
	VMCS_##name = VMCS_ENCODE(width, type, index),
#include "vmcs.def"
#undef VMCS
};

#define VMCS_IS(name, encoding) \
	_Static_assert(VMCS_##name == (encoding), #name)
VMCS_IS(VPID, 0x0000);		VMCS_IS(GUEST_ES_SEL, 0x0800);
VMCS_IS(HOST_TR_SEL, 0x0c0c);	VMCS_IS(MSR_BITMAP, 0x2004);
VMCS_IS(EPTP, 0x201a);		VMCS_IS(GUEST_PHYSICAL, 0x2400);
VMCS_IS(GUEST_PDPTE3, 0x2810);	VMCS_IS(HOST_EFER, 0x2c02);
VMCS_IS(PROC2_CTLS, 0x401e);	VMCS_IS(EXIT_REASON, 0x4402);
VMCS_IS(GUEST_TR_AR, 0x4822);	VMCS_IS(PREEMPTION_TIMER, 0x482e);
VMCS_IS(HOST_SYSENTER_CS, 0x4c00); VMCS_IS(CR4_SHADOW, 0x6006);
VMCS_IS(QUALIFICATION, 0x6400);	VMCS_IS(GUEST_RIP, 0x681e);
VMCS_IS(HOST_RIP, 0x6c16);	VMCS_IS(HOST_RSP, VMX_HOST_RSP);

/*
 * Capability MSRs.
 *	SDM Vol. 3D Appendix A "VMX Capability Reporting Facility"
 */
#define FEATURE_LOCKED		0x1UL
#define FEATURE_VMXON		0x4UL		/* outside SMX */
#define MSR_VMX_BASIC		0x480U
#define VMX_BASIC_REVISION	0x7fffffffUL
#define VMX_BASIC_TRUE		(1UL << 55)
#define VMX_BASIC_ANY_ERROR	(1UL << 56)
#define MSR_VMX_PIN		0x481U
#define MSR_VMX_PROC		0x482U
#define MSR_VMX_EXIT		0x483U
#define MSR_VMX_ENTRY		0x484U
#define MSR_VMX_MISC		0x485U
#define VMX_MISC_TIMER_SHIFT	0x1fUL
#define VMX_MISC_LENGTH_0	(1UL << 30)
#define MSR_VMX_CR0_FIXED0	0x486U
#define MSR_VMX_CR0_FIXED1	0x487U
#define MSR_VMX_CR4_FIXED0	0x488U
#define MSR_VMX_CR4_FIXED1	0x489U
#define MSR_VMX_PROC2		0x48bU
#define MSR_VMX_EPT_VPID	0x48cU
#define VMX_EPT_EXEC_ONLY	(1UL << 0)
#define VMX_EPT_4_LEVELS	(1UL << 6)
#define VMX_EPT_WB		(1UL << 14)
#define VMX_EPT_2M		(1UL << 16)
#define VMX_EPT_1G		(1UL << 17)
#define VMX_INVEPT		(1UL << 20 | 1UL << 25 | 1UL << 26)
#define VMX_INVVPID		(1UL << 32 | 1UL << 42)
#define MSR_VMX_TRUE_PIN	0x48dU
#define MSR_VMX_TRUE_PROC	0x48eU
#define MSR_VMX_TRUE_EXIT	0x48fU
#define MSR_VMX_TRUE_ENTRY	0x490U

#define MSR_ARCH_CAPABILITIES	0x10aU
#define ARCH_PSCHANGE_MC_NO	0x40UL

/* Controls. SDM Vol. 3C 24.6 "VM-Execution Control Fields" and following */
#define PIN_EXTINT		(1U << 0)
#define PIN_NMI			(1U << 3)
#define PIN_VIRTUAL_NMI		(1U << 5)
#define PIN_TIMER		(1U << 6)
#define PROC_WINDOW		(1U << 2)
#define PROC_HLT		(1U << 7)
#define PROC_MWAIT		(1U << 10)
#define PROC_RDPMC		(1U << 11)
#define PROC_CR3_LOAD		(1U << 15)
#define PROC_CR3_STORE		(1U << 16)
#define PROC_CR8_LOAD		(1U << 19)
#define PROC_CR8_STORE		(1U << 20)
#define PROC_MOV_DR		(1U << 23)
#define PROC_IO			(1U << 24)
#define PROC_MTF		(1U << 27)
#define PROC_MSR_BITMAP		(1U << 28)
#define PROC_MONITOR		(1U << 29)
#define PROC_PROC2		(1U << 31)
#define PROC2_EPT		(1U << 1)
#define PROC2_VPID		(1U << 5)
#define PROC2_WBINVD		(1U << 6)
#define PROC2_UNRESTRICTED	(1U << 7)
#define PROC2_ENCLS		(1U << 15)
#define EXIT_HOST_64		(1U << 9)
#define EXIT_LOAD_PAT		(1U << 19)
#define EXIT_LOAD_EFER		(1U << 21)
#define ENTRY_LOAD_DEBUG	(1U << 2)
#define ENTRY_IA32E		(1U << 9)
#define ENTRY_LOAD_PAT		(1U << 14)
#define ENTRY_LOAD_EFER		(1U << 15)

/* Events. SDM Vol. 3C 24.8.3 "VM-Entry Controls for Event Injection" */
#define EVENT_VALID		0x80000000U
#define EVENT_HAS_ERROR		0x00000800U
#define EVENT_TYPE(info)	((info) >> 8 & 7)
#define EVENT_INT1		5		/* hv_event_type has the rest */

/* Interruptibility. SDM Vol. 3C 24.4.2 "Guest Non-Register State" */
#define BLOCKED_STI		0x1U
#define BLOCKED_MOV_SS		0x2U

#define EXIT_REASON_FAILED	0x80000000U	/* the entry failed */
#define VMX_EXIT_CODE_ENCLS	60		/* not in vmmvar.h */

/* INVEPT, INVVPID. SDM Vol. 3C 30.3 "VMX Instructions" */
#define INVEPT_SINGLE		1
#define INVEPT_ALL		2
#define INVVPID_ALL		2

#define EPTP_WB_4_LEVELS	0x1eUL
#define EPT_IGNORED		(1UL << 52)	/* in every entry */

/* vmx_ctl.c: what a CPU can do, and the controls chosen from that. */
struct vmx_ctl {
	uint32_t	revision;	/* of VMXON regions and VMCSs */
	uint64_t	ept;		/* MSR_VMX_EPT_VPID */
	unsigned int	timer_shift;	/* TSC >> shift is the timer */
	bool		multihit;	/* no large leaf may be executable */
	uint64_t	cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	uint32_t	pin, proc, proc2, exit, entry;
};
extern struct vmx_ctl vmx_ctl;

/* Every field of a VMCS, in the order of vmcs.def. */
enum {
#define VMCS(name, width, type, index, text)	VMCS_NTH_##name,
#include "vmcs.def"
#undef VMCS
	VMCS_NFIELDS,
};
struct vmx_fields {
	uint64_t	value[VMCS_NFIELDS];
	bool		exists[VMCS_NFIELDS];
};

/*
 * probe: 0, or ENODEV with *why naming what is missing. Of this CPU.
 * reset: writes every field of the current VMCS: 0, or what all VCPUs have.
 * error_text: the meaning of a VM-instruction error, 1 ...
 * read: the fields of the current VMCS. put: gives those that exist. S
 */
int	vmx_ctl_probe(struct vmx_ctl *, const char **why);
void	vmx_ctl_reset(void);
const char *vmx_ctl_error_text(uint64_t error);
void	vmx_ctl_read(struct vmx_fields *);
void	vmx_ctl_put(const struct vmx_fields *, vmm_put *, void *);

/* vmx_check.c */
struct entry_broken;
bool	vmx_rules(bool guest_only, struct entry_broken *);

/* Fields of the current VMCS that every CPU with EPT has. */
static inline uint64_t
vmcs_read(uint32_t field)
{
	uint64_t value;
	bool ok = insn_vmread(field, &value);

	HOST_ASSERT(ok);
	return (value);
}

static inline void
vmcs_write(uint32_t field, uint64_t value)
{
	bool ok = insn_vmwrite(field, value);

	HOST_ASSERT(ok);
}

/* An entry of an MSR area. SDM Vol. 3C 24.7.2 "VM-Exit Controls for MSRs" */
struct vmx_msr {
	uint32_t	index;
	uint32_t	reserved;
	uint64_t	value;
};

/* MSRs that the VMCS has no fields for. */
enum { VMX_STAR, VMX_LSTAR, VMX_CSTAR, VMX_SFMASK, VMX_KGSBASE, VMX_NMSRS };

/* One page. */
struct vmx_msrs {
	struct vmx_msr	guest[VMX_NMSRS];	/* loaded, and stored at exit */
	struct vmx_msr	host[VMX_NMSRS];	/* loaded at exit */
};

/* What a field must be at this entry; `name` is what it holds. */
#define VMX_FIELD(s, name, field, value) do { \
	uint64_t now_ = (value); \
	if ((s)->name != now_) { \
		(s)->name = now_; \
		vmcs_write(field, now_); \
	} \
} while (0)

/*
 * vmx_host.c: what an exit has to bring back of the host. The VCPU's VMCS is
 * current.
 * load_cpu: what each CPU has its own of, when the VCPU comes to it. C, E
 * save, restore: what differs between the host's threads, around an entry. E
 */
struct vmx_host {
	struct vmx_msrs	*msrs;
	uint64_t	 cr3, cr4, fs_base;	/* as the VMCS has them */
	uint16_t	 sel[VCPU_REGS_NSREGS];	/* cleared by an exit */
	bool		 sels;			/* one of them is not 0 */
};
void	vmx_host_load_cpu(struct vmx_host *);
void	vmx_host_save(struct vmx_host *);
void	vmx_host_restore(const struct vmx_host *);

/*
 * vmx_entry.S: run the guest of the current VMCS once, by VMRESUME if it has
 * been launched. Loads and stores every general register but RSP, which the
 * VMCS holds. Interrupts are off. 0: there was an exit; VMX_FAIL_INVALID;
 * VMX_FAIL_VALID: there was none, VMCS_INSN_ERROR says why.
 */
int	vmx_enter(uint64_t *gpr, bool launched);
extern const char vmx_exit_point[];	/* HOST_RIP */

#endif /* __ASSEMBLER__ */
#endif /* VMM_VMX_H */
