/* SPDX-License-Identifier: ISC */
/*
 * svm.h - AMD SVM: the VMCB as a structure, its bits, the MSRs and CPUID
 * leaves it needs. Every offset is asserted.
 *	APM Vol. 2 Appendix B "Layout of VMCB"
 */
#ifndef VMM_SVM_H
#define VMM_SVM_H

#include "gpr.h"

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A segment register: 0 selector, 2 attributes, 4 limit, 8 base. */
struct vmcb_seg {
	uint16_t	sel;
	uint16_t	attr;		/* 0-7: type S DPL P; 8-11: AVL L D G */
	uint32_t	limit;
	uint64_t	base;
};

#define VMCB_ATTR_L		0x200
#define VMCB_ATTR_D		0x400

/* Events: EVENTINJ and EXITINTINFO. APM Vol. 2 15.20 "Event Injection" */
#define EVENT_VALID		0x80000000UL
#define EVENT_HAS_ERROR		0x00000800UL
#define EVENT_TYPE_SHIFT	8
#define EVENT_TYPE(event)	((event) >> EVENT_TYPE_SHIFT & 7)

/* Permission maps: what the CPU reads of them. */
#define IOPM_BYTES		(3 * 4096UL)
#define MSRPM_BYTES		(2 * 4096UL)

/* intercept[0]: reads and writes of CRn. */
#define ICPT_CR_READ(n)		(1U << (n))
#define ICPT_CR_WRITE(n)	(1U << (16 + (n)))

/* intercept[3]. */
#define ICPT_INTR		0x00000001U
#define ICPT_NMI		0x00000002U
#define ICPT_VINTR		0x00000010U
#define ICPT_RDPMC		0x00008000U
#define ICPT_CPUID		0x00040000U
#define ICPT_INVD		0x00400000U
#define ICPT_HLT		0x01000000U
#define ICPT_INVLPGA		0x04000000U
#define ICPT_IOIO		0x08000000U
#define ICPT_MSR		0x10000000U
#define ICPT_SHUTDOWN		0x80000000U

/* intercept[4]. */
#define ICPT_VMRUN		0x00000001U
#define ICPT_VMMCALL		0x00000002U
#define ICPT_VMLOAD		0x00000004U
#define ICPT_VMSAVE		0x00000008U
#define ICPT_STGI		0x00000010U
#define ICPT_CLGI		0x00000020U
#define ICPT_SKINIT		0x00000040U
#define ICPT_RDTSCP		0x00000080U
#define ICPT_ICEBP		0x00000100U
#define ICPT_WBINVD		0x00000200U
#define ICPT_MONITOR		0x00000400U
#define ICPT_MWAIT		0x00000800U
#define ICPT_MWAIT_ARMED	0x00001000U
#define ICPT_XSETBV		0x00002000U
#define ICPT_RDPRU		0x00004000U
#define VMEXIT_CODE_RDPRU	0x8eU		/* not in vmmvar.h */

/* tlb_control. */
#define TLB_NOTHING		0
#define TLB_FLUSH_ALL		1

/* int_ctl. APM Vol. 2 15.21 "Interrupt and Local APIC Support" */
#define INT_TPR_MASK		0x0000000fUL
#define INT_V_IRQ		0x00000100UL
#define INT_IGN_TPR		0x00100000UL
#define INT_MASKING		0x01000000UL

/* EXITINFO1 of an I/O exit. APM Vol. 2 15.10.2 "IN and OUT Behavior" */
#define IOIO_IN			0x001UL
#define IOIO_STR		0x004UL
#define IOIO_REP		0x008UL
#define IOIO_SIZE(info)		((info) >> 4 & 7)
#define IOIO_PORT(info)		((uint16_t)((info) >> 16))

/* EXITINFO1 of a nested page fault. APM Vol. 2 15.25.6 "Nested versus Guest
 * Page Faults, Fault Ordering" */
#define NPF_W			0x02UL
#define NPF_RSV			0x08UL
#define NPF_ID			0x10UL

/* Places in the state-save area. */
enum {
	VMCB_ES, VMCB_CS, VMCB_SS, VMCB_DS, VMCB_FS, VMCB_GS, VMCB_GDTR,
	VMCB_LDTR, VMCB_IDTR, VMCB_TR, VMCB_NSEGS,
};

struct vmcb {
	/* Control area. */
	uint32_t	intercept[6];		/* 0x000 CR DR EXC 3 4 5 */
	uint8_t		reserved_018[0x28];
	uint64_t	iopm_pa;		/* 0x040 */
	uint64_t	msrpm_pa;		/* 0x048 */
	uint64_t	tsc_offset;		/* 0x050 */
	uint32_t	asid;			/* 0x058 */
	uint32_t	tlb_control;		/* 0x05c */
	uint64_t	int_ctl;		/* 0x060 */
	uint64_t	int_shadow;		/* 0x068 */
	uint64_t	exitcode;		/* 0x070 */
	uint64_t	exitinfo1;		/* 0x078 */
	uint64_t	exitinfo2;		/* 0x080 */
	uint64_t	exitintinfo;		/* 0x088 */
	uint64_t	np_enable;		/* 0x090 */
	uint8_t		reserved_098[0x10];
	uint64_t	eventinj;		/* 0x0a8 */
	uint64_t	n_cr3;			/* 0x0b0 */
	uint64_t	lbr_enable;		/* 0x0b8 */
	uint64_t	clean;			/* 0x0c0 */
	uint64_t	nrip;			/* 0x0c8 */
	uint8_t		reserved_0d0[0x330];

	/* State-save area. */
	struct vmcb_save {
		struct vmcb_seg	seg[VMCB_NSEGS];	/* 0x400 */
		uint8_t		reserved_4a0[0x2b];
		uint8_t		cpl;		/* 0x4cb */
		uint32_t	reserved_4cc;
		uint64_t	efer;		/* 0x4d0 */
		uint8_t		reserved_4d8[0x70];
		uint64_t	cr4;		/* 0x548 */
		uint64_t	cr3;		/* 0x550 */
		uint64_t	cr0;		/* 0x558 */
		uint64_t	dr7;		/* 0x560 */
		uint64_t	dr6;		/* 0x568 */
		uint64_t	rflags;		/* 0x570 */
		uint64_t	rip;		/* 0x578 */
		uint8_t		reserved_580[0x58];
		uint64_t	rsp;		/* 0x5d8 */
		uint8_t		reserved_5e0[0x18];
		uint64_t	rax;		/* 0x5f8 */
		uint64_t	star;		/* 0x600 */
		uint64_t	lstar;		/* 0x608 */
		uint64_t	cstar;		/* 0x610 */
		uint64_t	sfmask;		/* 0x618 */
		uint64_t	kgsbase;	/* 0x620 */
		uint64_t	sysenter_cs;	/* 0x628 */
		uint64_t	sysenter_esp;	/* 0x630 */
		uint64_t	sysenter_eip;	/* 0x638 */
		uint64_t	cr2;		/* 0x640 */
		uint8_t		reserved_648[0x20];
		uint64_t	g_pat;		/* 0x668 */
	} save;
	uint8_t		reserved_670[0x990];
};

#define VMCB_AT(field, off) \
	_Static_assert(offsetof(struct vmcb, field) == (off), #field)
VMCB_AT(intercept, 0x000);	VMCB_AT(iopm_pa, 0x040);
VMCB_AT(msrpm_pa, 0x048);	VMCB_AT(tsc_offset, 0x050);
VMCB_AT(asid, 0x058);		VMCB_AT(tlb_control, 0x05c);
VMCB_AT(int_ctl, 0x060);	VMCB_AT(int_shadow, 0x068);
VMCB_AT(exitcode, 0x070);	VMCB_AT(exitinfo1, 0x078);
VMCB_AT(exitinfo2, 0x080);	VMCB_AT(exitintinfo, 0x088);
VMCB_AT(np_enable, 0x090);	VMCB_AT(eventinj, 0x0a8);
VMCB_AT(n_cr3, 0x0b0);		VMCB_AT(lbr_enable, 0x0b8);
VMCB_AT(clean, 0x0c0);		VMCB_AT(nrip, 0x0c8);
VMCB_AT(save.seg[VMCB_ES], 0x400);	VMCB_AT(save.seg[VMCB_CS], 0x410);
VMCB_AT(save.seg[VMCB_SS], 0x420);	VMCB_AT(save.seg[VMCB_DS], 0x430);
VMCB_AT(save.seg[VMCB_FS], 0x440);	VMCB_AT(save.seg[VMCB_GS], 0x450);
VMCB_AT(save.seg[VMCB_GDTR], 0x460);	VMCB_AT(save.seg[VMCB_LDTR], 0x470);
VMCB_AT(save.seg[VMCB_IDTR], 0x480);	VMCB_AT(save.seg[VMCB_TR], 0x490);
VMCB_AT(save.cpl, 0x4cb);	VMCB_AT(save.efer, 0x4d0);
VMCB_AT(save.cr4, 0x548);	VMCB_AT(save.cr3, 0x550);
VMCB_AT(save.cr0, 0x558);	VMCB_AT(save.dr7, 0x560);
VMCB_AT(save.dr6, 0x568);	VMCB_AT(save.rflags, 0x570);
VMCB_AT(save.rip, 0x578);	VMCB_AT(save.rsp, 0x5d8);
VMCB_AT(save.rax, 0x5f8);	VMCB_AT(save.star, 0x600);
VMCB_AT(save.lstar, 0x608);	VMCB_AT(save.cstar, 0x610);
VMCB_AT(save.sfmask, 0x618);	VMCB_AT(save.kgsbase, 0x620);
VMCB_AT(save.sysenter_cs, 0x628);	VMCB_AT(save.sysenter_esp, 0x630);
VMCB_AT(save.sysenter_eip, 0x638);	VMCB_AT(save.cr2, 0x640);
VMCB_AT(save.g_pat, 0x668);
_Static_assert(sizeof(struct vmcb) == 4096, "a VMCB is one page");

/* CPUID. APM Vol. 3 E.4 "Extended Feature Function Numbers" */
#define CPUID_EXT1		0x80000001U
#define CPUID_EXT1_ECX_SVM	0x00000004U
#define CPUID_SVM		0x8000000aU
#define CPUID_SVM_EDX_NP	0x00000001U
#define CPUID_SVM_EDX_NRIPS	0x00000008U

/* MSRs. APM Vol. 2 15.30 "SVM Related MSRs" */
#define MSR_VM_CR		0xc0010114U
#define VM_CR_SVMDIS		0x10UL
#define MSR_VM_HSAVE_PA		0xc0010117U

/*
 * svm_entry.S: run the guest of the VMCB at `vmcb_pa` once. Loads and stores
 * every general register but RAX and RSP, which the VMCB holds. `host_pa` is
 * this CPU's page for the host's VMSAVE state. Interrupts are off.
 */
void	svm_enter(uint64_t vmcb_pa, uint64_t host_pa, uint64_t *gpr);

/* svm_check.c */
struct entry_broken;
bool	svm_rules(const struct vmcb *, bool guest_only, struct entry_broken *);

#endif /* __ASSEMBLER__ */
#endif /* VMM_SVM_H */
