/* SPDX-License-Identifier: ISC */
/*
 * svm.c - AMD SVM with nested paging behind hv.h.
 *
 * The VMCB holds what the CPU switches; everything the driver looks at is in
 * struct vcpu and is carried over at each entry and exit. CR0, CR4, EFER and
 * the debug registers belong to the driver: every write exits.
 *
 * Comments that begin with "TCG:" name where QEMU's emulation differs from
 * the manual, so that nobody simplifies the line away.
 */
#include <errno.h>
#include <string.h>

#include <insn.h>

#include "svm.h"
#include "vmm.h"

#define IOPM_ORDER	2
#define MSRPM_ORDER	1

/* What one CPU needs. */
struct svm_cpu {
	void		*hsave;		/* VM_HSAVE_PA: the CPU's own */
	void		*host;		/* VMSAVE of the host */
	uint64_t	 host_pa;
	uint64_t	 generation;	/* of this CPU's ASIDs */
	uint32_t	 next_asid;
};

/* What one VCPU needs. */
struct svm_vcpu {
	struct vmcb	*vmcb;
	uint64_t	 vmcb_pa;
	uint64_t	*pml5;		/* of a host with 5-level paging */
	struct vmcb_save *refused;	/* copy for a refused entry */
	bool		 copied;	/* ... made for this entry */
	unsigned int	 cpu;		/* whose ASID it has */
	uint64_t	 generation;	/* of that ASID; 0: none */
};

static struct svm_cpu *svm_cpus;
static uint32_t svm_max_asid;
static bool svm_has_nrips;
static bool svm_la57;			/* CR4.LA57 of the host */
static void *svm_iopm, *svm_msrpm;

static const struct npt_format svm_npt_format = {
	.table = 0x7,			/* P, W, U: the leaf decides */
	.leaf = 0x5,			/* P, U: a nested walk is a user's */
	.large = 0x80,
	.r = 0x1,
	.w = 0x2,
	.nx = 1UL << 63,
	.present = 0x1,
	.max_order = ORDER_2M,
};

/*
 * --- The CPU. ---
 */

/*
 * Is there SVM with nested paging that firmware left enabled?
 * APM Vol. 2 15.4 "Enabling SVM"
 */
static int
svm_probe(const char **why)
{
	uint32_t r[4];

	insn_cpuid(0x80000000U, 0, r);
	if (r[0] < CPUID_SVM)
		return (ENODEV);
	insn_cpuid(CPUID_EXT1, 0, r);
	if ((r[2] & CPUID_EXT1_ECX_SVM) == 0)
		return (ENODEV);
	if ((insn_rdmsr(MSR_VM_CR) & VM_CR_SVMDIS) != 0) {
		*why = "SVM is disabled by firmware: enable it there";
		return (ENODEV);
	}
	insn_cpuid(CPUID_SVM, 0, r);
	if ((r[3] & CPUID_SVM_EDX_NP) == 0) {
		*why = "SVM without nested paging (RVI): not supported";
		return (ENODEV);
	}
	if (r[1] < 2) {
		*why = "SVM without an ASID for guests";
		return (ENODEV);
	}
	svm_max_asid = r[1] - 1;
	svm_has_nrips = (r[3] & CPUID_SVM_EDX_NRIPS) != 0;
	svm_la57 = (insn_read_cr4() & CR4_LA57) != 0;
	return (0);
}

/*
 * The MSR permission map: two bits an MSR, read and write, set means exit;
 * three ranges of 8192 MSRs. An MSR outside of them always exits.
 *	APM Vol. 2 15.11 "MSR Intercepts"
 */
static void
svm_fill_msrpm(uint8_t *map)
{
	static const uint32_t first[] = { 0, 0xc0000000U, 0xc0010000U };
	uint32_t index, range, bit;
	size_t i;

	memset(map, 0xff, MSRPM_BYTES);
	for (i = 0; msr_listed(i, &index); i++) {
		for (range = 0; range < 3; range++)
			if (index - first[range] < 8192)
				break;
		if (range == 3)
			continue;
		bit = range * 16384 + (index - first[range]) * 2;
		if (msr_native(index, false))
			map[bit / 8] &= ~(1U << bit % 8);
		if (msr_native(index, true))
			map[bit / 8] &= ~(2U << bit % 8);
	}
}

static void
svm_detach(void)
{
	host_page_free(svm_iopm, IOPM_ORDER);
	host_page_free(svm_msrpm, MSRPM_ORDER);
	host_free(svm_cpus);
	svm_iopm = svm_msrpm = NULL;
	svm_cpus = NULL;
}

/*
 * The bitmaps that all VMs share: every port exits, and every MSR that the
 * CPU does not switch.
 *	APM Vol. 2 15.10.1 "I/O Permissions Map"
 */
static int
svm_attach(void)
{
	svm_cpus = host_alloc(host_cpu_count() * sizeof(*svm_cpus));
	svm_iopm = host_page_alloc(IOPM_ORDER);
	svm_msrpm = host_page_alloc(MSRPM_ORDER);
	if (svm_cpus == NULL || svm_iopm == NULL || svm_msrpm == NULL) {
		svm_detach();
		return (ENOMEM);
	}
	memset(svm_iopm, 0xff, IOPM_BYTES);
	svm_fill_msrpm(svm_msrpm);
	return (0);
}

static void
svm_cpu_release(unsigned int cpu)
{
	struct svm_cpu *c = &svm_cpus[cpu];

	host_page_free(c->hsave, 0);
	host_page_free(c->host, 0);
	c->hsave = c->host = NULL;
}

static int
svm_cpu_prepare(unsigned int cpu)
{
	struct svm_cpu *c = &svm_cpus[cpu];

	c->hsave = host_page_alloc(0);
	c->host = host_page_alloc(0);
	if (c->hsave == NULL || c->host == NULL) {
		svm_cpu_release(cpu);
		return (ENOMEM);
	}
	c->host_pa = host_pa_of(c->host);
	return (0);
}

/*
 * EFER.SVME and VM_HSAVE_PA. The first entry finds no ASID left and so
 * begins a new generation with a flush.
 *	APM Vol. 2 15.4 "Enabling SVM", 15.30.4 "VM_HSAVE_PA MSR (C001_0117h)"
 */
static int
svm_cpu_enable(unsigned int cpu)
{
	struct svm_cpu *c = &svm_cpus[cpu];
	uint64_t efer = insn_rdmsr(MSR_EFER);

	if ((efer & EFER_SVME) != 0)
		return (EBUSY);
	if ((insn_rdmsr(MSR_VM_CR) & VM_CR_SVMDIS) != 0)
		return (EIO);		/* EFER.SVME would be #GP */
	if (((insn_read_cr4() & CR4_LA57) != 0) != svm_la57)
		return (EIO);		/* unlike its siblings */
	insn_wrmsr(MSR_EFER, efer | EFER_SVME);
	if ((insn_rdmsr(MSR_EFER) & EFER_SVME) == 0)
		return (EIO);
	insn_wrmsr(MSR_VM_HSAVE_PA, host_pa_of(c->hsave));
	c->next_asid = svm_max_asid + 1;
	return (0);
}

static void
svm_cpu_disable(unsigned int cpu)
{
	(void)cpu;
	insn_wrmsr(MSR_VM_HSAVE_PA, 0);
	insn_wrmsr(MSR_EFER, insn_rdmsr(MSR_EFER) & ~EFER_SVME);
}

/*
 * --- A VCPU. ---
 */

static void
svm_vcpu_free(struct vcpu *v)
{
	struct svm_vcpu *s = v->hv;

	host_page_free(s->vmcb, 0);
	host_page_free(s->pml5, 0);
	host_free(s->refused);
	host_free(s);
	v->hv = NULL;
}

static int
svm_vcpu_init(struct vcpu *v)
{
	struct svm_vcpu *s;

	s = host_alloc(sizeof(*s));
	if (s == NULL)
		return (ENOMEM);
	v->hv = s;
	s->vmcb = host_page_alloc(0);
	s->refused = host_alloc(sizeof(*s->refused));
	if (svm_la57)
		s->pml5 = host_page_alloc(0);
	if (s->vmcb == NULL || s->refused == NULL ||
	    (svm_la57 && s->pml5 == NULL)) {
		svm_vcpu_free(v);
		return (ENOMEM);
	}
	s->vmcb_pa = host_pa_of(s->vmcb);
	return (0);
}

/* book: svm-intercepts */
/*
 * What exits. CR reads are added in svm_load_crs() when they have to lie.
 *
 * TCG: a guest's MOV to a debug register would stay in the host's, so these
 * always exit; MOV to CR8 takes any value, so it exits too; the RDTSCP bit is
 * ignored (RDTSCP then runs natively where CPUID of the host has it); XSETBV
 * and task switches never exit (fpu.c).
 *
 *	APM Vol. 2 15.9 "Instruction Intercepts", 15.12 "Exception Intercepts"
 */
static void
svm_set_intercepts(struct vmcb *b)
{
	b->intercept[0] = ICPT_CR_WRITE(0) | ICPT_CR_WRITE(4) |
	    ICPT_CR_WRITE(8);
	b->intercept[1] = 0xffffffffU;		/* DR0-15, reads and writes */
	b->intercept[2] = 1U << VMM_EX_DB | 1U << VMM_EX_AC | 1U << VMM_EX_MC;
	b->intercept[3] = ICPT_INTR | ICPT_NMI | ICPT_CPUID | ICPT_HLT |
	    ICPT_INVLPGA | ICPT_IOIO | ICPT_MSR | ICPT_SHUTDOWN | ICPT_RDPMC |
	    ICPT_INVD;
	b->intercept[4] = ICPT_VMRUN | ICPT_VMMCALL | ICPT_VMLOAD |
	    ICPT_VMSAVE | ICPT_STGI | ICPT_CLGI | ICPT_SKINIT | ICPT_RDTSCP |
	    ICPT_ICEBP | ICPT_WBINVD | ICPT_MONITOR | ICPT_MWAIT |
	    ICPT_MWAIT_ARMED | ICPT_RDPRU;
	if (fpu_xcr0 != 0)
		b->intercept[4] |= ICPT_XSETBV;
}
/* book: end */

/*
 * The CPU walks the nested tables with as many levels as the host's own. One
 * more has the root of ours as its first entry, and no other.
 *	APM Vol. 2 15.25.3 "Enabling Nested Paging"
 */
static uint64_t
svm_n_cr3(struct vcpu *v, struct svm_vcpu *s)
{
	uint64_t root = host_pa_of(v->vm->npt.root);

	if (s->pml5 == NULL)
		return (root);
	s->pml5[0] = root | svm_npt_format.table;
	return (host_pa_of(s->pml5));
}

static void
svm_vcpu_reset(struct vcpu *v)
{
	struct svm_vcpu *s = v->hv;
	struct vmcb *b = s->vmcb;

	memset(b, 0, sizeof(*b));
	svm_set_intercepts(b);
	b->iopm_pa = host_pa_of(svm_iopm);
	b->msrpm_pa = host_pa_of(svm_msrpm);
	b->int_ctl = INT_MASKING;
	b->np_enable = 1;
	b->n_cr3 = svm_n_cr3(v, s);
	b->save.g_pat = PAT_ALL_WB;
	v->cs_l = false;
	v->dirty = DIRTY_CR | DIRTY_DR;
}

/*
 * --- Registers. ---
 */

static struct vmcb_seg *
svm_seg(struct vmcb_save *save, int sreg)
{
	static const uint8_t place[VCPU_REGS_NSREGS] = {
		[VCPU_REGS_ES] = VMCB_ES, [VCPU_REGS_CS] = VMCB_CS,
		[VCPU_REGS_SS] = VMCB_SS, [VCPU_REGS_DS] = VMCB_DS,
		[VCPU_REGS_FS] = VMCB_FS, [VCPU_REGS_GS] = VMCB_GS,
		[VCPU_REGS_LDTR] = VMCB_LDTR, [VCPU_REGS_TR] = VMCB_TR,
	};

	return (&save->seg[place[sreg]]);
}

/*
 * Access rights: the VMCB packs bits 12-15 of the VMX format into 8-11 and
 * has no "unusable"; a segment that is not present says the same.
 *	APM Vol. 2 15.5.1 "Basic Operation"
 */
static void
svm_seg_get(const struct vmcb_seg *seg, struct vcpu_segment_info *si)
{
	uint32_t ar = (seg->attr & 0xff) | (seg->attr & 0xf00) << 4;

	si->vsi_sel = seg->sel;
	si->vsi_limit = seg->limit;
	si->vsi_ar = (ar & SEG_P) != 0 ? ar : ar | SEG_UNUSABLE;
	si->vsi_base = seg->base;
}

static void
svm_seg_set(struct vmcb_seg *seg, const struct vcpu_segment_info *si)
{
	uint32_t ar = si->vsi_ar;

	if ((ar & SEG_UNUSABLE) != 0)
		ar &= ~SEG_P;
	seg->sel = si->vsi_sel;
	seg->limit = si->vsi_limit;
	seg->attr = (ar & 0xff) | (ar >> 4 & 0xf00);
	seg->base = si->vsi_base;
}

static void
svm_segment(struct vcpu *v, int sreg, struct vcpu_segment_info *si)
{
	struct svm_vcpu *s = v->hv;

	svm_seg_get(svm_seg(&s->vmcb->save, sreg), si);
}

/*
 * TCG: takes CPL from SS.DPL and only writes VMCB.CPL, so both are always
 * made to say the same.
 */
static int
svm_cpl(struct vcpu *v)
{
	struct svm_vcpu *s = v->hv;

	return (vcpu_cpl(v, s->vmcb->save.seg[VMCB_SS].attr));
}

static uint64_t
svm_cr3(struct vcpu *v)
{
	struct svm_vcpu *s = v->hv;

	return (s->vmcb->save.cr3);
}

static void
svm_regs_get(struct vcpu *v, uint64_t mask, struct vcpu_reg_state *rs)
{
	struct svm_vcpu *s = v->hv;
	struct vmcb_save *save = &s->vmcb->save;
	int i;

	if ((mask & VM_RWREGS_SREGS) != 0) {
		for (i = 0; i < VCPU_REGS_NSREGS; i++)
			svm_seg_get(svm_seg(save, i), &rs->vrs_sregs[i]);
		rs->vrs_gdtr.vsi_base = save->seg[VMCB_GDTR].base;
		rs->vrs_gdtr.vsi_limit = save->seg[VMCB_GDTR].limit;
		rs->vrs_idtr.vsi_base = save->seg[VMCB_IDTR].base;
		rs->vrs_idtr.vsi_limit = save->seg[VMCB_IDTR].limit;
	}
	if ((mask & VM_RWREGS_CRS) != 0)
		rs->vrs_crs[VCPU_REGS_CR3] = save->cr3;
	if ((mask & VM_RWREGS_MSRS) != 0) {
		rs->vrs_msrs[VCPU_REGS_STAR] = save->star;
		rs->vrs_msrs[VCPU_REGS_LSTAR] = save->lstar;
		rs->vrs_msrs[VCPU_REGS_CSTAR] = save->cstar;
		rs->vrs_msrs[VCPU_REGS_SFMASK] = save->sfmask;
		rs->vrs_msrs[VCPU_REGS_KGSBASE] = save->kgsbase;
	}
}

static void
svm_regs_set(struct vcpu *v, uint64_t mask, const struct vcpu_reg_state *rs)
{
	struct svm_vcpu *s = v->hv;
	struct vmcb_save *save = &s->vmcb->save;
	int i;

	if ((mask & VM_RWREGS_SREGS) != 0) {
		for (i = 0; i < VCPU_REGS_NSREGS; i++)
			svm_seg_set(svm_seg(save, i), &rs->vrs_sregs[i]);
		v->cs_l = (rs->vrs_sregs[VCPU_REGS_CS].vsi_ar & SEG_L) != 0;
		save->seg[VMCB_GDTR].base = rs->vrs_gdtr.vsi_base;
		save->seg[VMCB_GDTR].limit = rs->vrs_gdtr.vsi_limit;
		save->seg[VMCB_IDTR].base = rs->vrs_idtr.vsi_base;
		save->seg[VMCB_IDTR].limit = rs->vrs_idtr.vsi_limit;
	}
	if ((mask & VM_RWREGS_CRS) != 0)
		save->cr3 = rs->vrs_crs[VCPU_REGS_CR3];
	if ((mask & VM_RWREGS_MSRS) != 0) {
		save->star = rs->vrs_msrs[VCPU_REGS_STAR];
		save->lstar = rs->vrs_msrs[VCPU_REGS_LSTAR];
		save->cstar = rs->vrs_msrs[VCPU_REGS_CSTAR];
		save->sfmask = rs->vrs_msrs[VCPU_REGS_SFMASK];
		save->kgsbase = rs->vrs_msrs[VCPU_REGS_KGSBASE];
	}
	v->dirty |= DIRTY_CR;		/* CPL, and a copy before entry */
}

/* SVM runs any CR0 and CR4 that regs.c lets through. */
static int
svm_cr_check(uint64_t cr0, uint64_t cr4)
{
	(void)cr0;
	(void)cr4;
	return (0);
}

/*
 * --- Events and translations. ---
 */

/* APM Vol. 2 15.20 "Event Injection" */
static void
svm_inject(struct vcpu *v, const struct hv_event *e)
{
	struct svm_vcpu *s = v->hv;

	s->vmcb->eventinj = EVENT_VALID | e->vector |
	    (uint64_t)e->type << EVENT_TYPE_SHIFT |
	    (e->has_error ? EVENT_HAS_ERROR | (uint64_t)e->error << 32 : 0);
}

/* book: svm-window */
/*
 * The interrupt window: a virtual interrupt that is never taken, since its
 * delivery exits. It honours IF and the shadow, and ignores the TPR (F28).
 *
 * TCG: a virtual interrupt that *is* delivered and faults reports a wrong
 * EXITINTINFO; another reason to inject with EVENTINJ only.
 *
 *	APM Vol. 2 15.21.4 "Injecting Virtual (INTR) Interrupts"
 */
static void
svm_window(struct vcpu *v, bool on)
{
	struct svm_vcpu *s = v->hv;

	if (on) {
		s->vmcb->int_ctl |= INT_V_IRQ | INT_IGN_TPR;
		s->vmcb->intercept[3] |= ICPT_VINTR;
	} else {
		s->vmcb->int_ctl &= ~(INT_V_IRQ | INT_IGN_TPR);
		s->vmcb->intercept[3] &= ~ICPT_VINTR;
	}
}
/* book: end */

/* A new ASID has no translations: that is the flush. */
static void
svm_tlb_flush(struct vcpu *v)
{
	struct svm_vcpu *s = v->hv;

	s->generation = 0;
}

/* book: svm-asid */
/*
 * Give the VCPU an ASID of this CPU if it has none that is good here. ASIDs
 * are handed out in order and never twice in a generation; when they are used
 * up, all of them are flushed and the next generation begins.
 *
 * TCG: flushes everything at every entry, so no emulated run shows a mistake
 * here; tests/unit has a TLB that does.
 *
 *	APM Vol. 2 15.16 "TLB Control"
 */
static void
svm_choose_asid(struct svm_vcpu *s)
{
	unsigned int cpu = host_cpu_self();
	struct svm_cpu *c = &svm_cpus[cpu];

	s->vmcb->tlb_control = TLB_NOTHING;
	if (s->generation == c->generation && s->cpu == cpu &&
	    c->generation != 0 && s->vmcb->asid != 0)
		return;
	if (c->next_asid > svm_max_asid) {
		c->next_asid = 1;
		c->generation++;
		s->vmcb->tlb_control = TLB_FLUSH_ALL;
	}
	s->vmcb->asid = c->next_asid++;
	s->cpu = cpu;
	s->generation = c->generation;
}
/* book: end */

/*
 * --- Entry and exit. ---
 */

/*
 * Load the control registers: what the guest believes, but for bits of the
 * host's: CD and NW off, SVME on, MCE as the host has it. While CR0 or CR4 of
 * the CPU differ from the guest's, reading it exits.
 *
 * TCG: EFER.LMA is taken from the VMCB as it stands. #VMEXIT restores the
 * host's CR0 before its CR4: with the guest's LME set, PAE and PG clear, that
 * fails and leaves the host without paging. LME waits until PG comes, then;
 * every read of EFER exits.
 */
static void
svm_load_crs(struct vcpu *v, struct svm_vcpu *s)
{
	struct vmcb *b = s->vmcb;

	b->save.cr0 = v->cr0 & ~(CR0_CD | CR0_NW);
	b->save.cr2 = v->cr2;
	b->save.cr4 = (v->cr4 & ~CR4_MCE) | (insn_read_cr4() & CR4_MCE);
	b->save.efer = v->efer | EFER_SVME;
	if ((v->cr0 & CR0_PG) == 0)
		b->save.efer &= ~EFER_LME;
	b->save.cpl = svm_cpl(v);
	b->intercept[0] &= ~(ICPT_CR_READ(0) | ICPT_CR_READ(4));
	if (b->save.cr0 != v->cr0)
		b->intercept[0] |= ICPT_CR_READ(0);
	if (b->save.cr4 != v->cr4)
		b->intercept[0] |= ICPT_CR_READ(4);
}

/*
 * TCG, Bochs: when the CPU refuses the state, the save area holds the host's.
 * What a client could have caused follows a register write, so the state is
 * copied after one; the guest alone cannot cause a refusal.
 */
static void
svm_load(struct vcpu *v, struct svm_vcpu *s)
{
	struct vmcb *b = s->vmcb;

	b->save.rax = v->gpr[VCPU_REGS_RAX];
	b->save.rsp = v->gpr[VCPU_REGS_RSP];
	b->save.rip = v->gpr[VCPU_REGS_RIP];
	b->save.rflags = v->gpr[VCPU_REGS_RFLAGS];
	b->int_shadow = v->shadow;
	b->int_ctl = (b->int_ctl & ~INT_TPR_MASK) | v->cr8;
	b->clean = 0;
	s->copied = v->dirty != 0;
	if (v->dirty == 0)
		return;
	if ((v->dirty & DIRTY_CR) != 0)
		svm_load_crs(v, s);
	b->save.dr6 = v->dr6;
	b->save.dr7 = v->dr7;
	v->dirty = 0;
	memcpy(s->refused, &b->save, sizeof(b->save));
}

/* The save area after a refused entry: the guest's again, or empty. */
static void
svm_restore_refused(struct svm_vcpu *s)
{
	if (s->copied)
		memcpy(&s->vmcb->save, s->refused, sizeof(s->vmcb->save));
	else
		memset(&s->vmcb->save, 0, sizeof(s->vmcb->save));
}

/*
 * SS.DPL is made CPL: after SYSRET the CPU may leave another there. TS is the
 * one bit of CR0 that changes without an exit: a task switch sets it. CR8 is
 * the virtual TPR.
 *	APM Vol. 2 15.21.2 "Virtualizing APIC.TPR"
 */
static void
svm_store(struct vcpu *v, struct svm_vcpu *s)
{
	struct vmcb *b = s->vmcb;
	struct vmcb_seg *ss = &b->save.seg[VMCB_SS];

	v->cs_l = (b->save.seg[VMCB_CS].attr & VMCB_ATTR_L) != 0;
	ss->attr = (ss->attr & ~0x60) | (b->save.cpl & 3) << 5;
	v->gpr[VCPU_REGS_RAX] = b->save.rax;
	v->gpr[VCPU_REGS_RSP] = b->save.rsp;
	v->gpr[VCPU_REGS_RIP] = b->save.rip;
	v->gpr[VCPU_REGS_RFLAGS] = b->save.rflags;
	v->shadow = (b->int_shadow & 1) != 0;
	v->cr0 = (v->cr0 & ~CR0_TS) | (b->save.cr0 & CR0_TS);
	v->cr2 = b->save.cr2;
	v->cr8 = b->int_ctl & INT_TPR_MASK;
	v->dr6 = b->save.dr6;
}

/* book: svm-lost */
/*
 * The event whose delivery the exit interrupted. One that the instruction at
 * RIP raised, INT n, INT3, INTO, is raised again by running that instruction.
 *
 * TCG: bits below VALID are stale when it is clear.
 *
 *	APM Vol. 2 15.7.2 "Intercepts During IDT Interrupt Delivery"
 */
static void
svm_decode_lost(const struct vmcb *b, struct hv_event *e)
{
	uint64_t info = b->exitintinfo;

	e->valid = false;
	if ((info & EVENT_VALID) == 0)
		return;
	e->type = EVENT_TYPE(info);
	e->vector = (uint8_t)info;
	if (e->type == EVENT_SOFT || (e->type == EVENT_EXCEPTION &&
	    (e->vector == VMM_EX_BP || e->vector == VMM_EX_OF)))
		return;
	e->valid = true;
	e->has_error = (info & EVENT_HAS_ERROR) != 0;
	e->error = info >> 32;
}
/* book: end */

/*
 * Length of the instruction that exited, from where the CPU says the next one
 * is; 0: it does not say (TCG: never but for I/O).
 */
static uint8_t
svm_insn_len(const struct vmcb *b, uint64_t next)
{
	uint64_t len = next - b->save.rip;

	return (len >= 1 && len <= 15 ? len : 0);
}

/*
 * TCG: bits 7-12 of EXITINFO1, address size and segment, are always 0.
 *	APM Vol. 2 15.10.2 "IN and OUT Behavior"
 */
static enum vmexit_kind
svm_decode_io(const struct vmcb *b, struct vmexit *x)
{
	uint64_t info = b->exitinfo1;

	x->insn_len = svm_insn_len(b, b->exitinfo2);
	x->u.io.port = IOIO_PORT(info);
	x->u.io.size = IOIO_SIZE(info);
	x->u.io.in = (info & IOIO_IN) != 0;
	x->u.io.string = (info & IOIO_STR) != 0;
	x->u.io.rep = (info & IOIO_REP) != 0;
	x->u.io.imm = false;		/* SVM does not tell */
	return (x->insn_len != 0 ? VMEXIT_IO : VMEXIT_UNKNOWN);
}

/*
 * A nested page fault. A read of the guest's own page tables counts as a
 * write, since it may set accessed and dirty bits.
 *	APM Vol. 2 15.25.6 "Nested versus Guest Page Faults, Fault Ordering"
 */
static enum vmexit_kind
svm_decode_npf(const struct vmcb *b, struct vmexit *x)
{
	uint64_t info = b->exitinfo1;

	x->u.npf.gpa = b->exitinfo2;
	x->u.npf.access = (info & NPF_ID) != 0 ? NPT_X :
	    (info & NPF_W) != 0 ? NPT_W : NPT_R;
	return ((info & NPF_RSV) != 0 ? VMEXIT_UNKNOWN : VMEXIT_NPF);
}

/* #DB and #AC go to the guest as they came; an #MC is the host's. */
static enum vmexit_kind
svm_decode_exception(const struct vmcb *b, struct vmexit *x, uint8_t vector)
{
	if (vector == VMM_EX_MC) {
		host_mce();
		return (VMEXIT_MCE);
	}
	x->u.event.valid = true;
	x->u.event.type = EVENT_EXCEPTION;
	x->u.event.vector = vector;
	x->u.event.has_error = vector == VMM_EX_AC;
	x->u.event.error = b->exitinfo1;
	return (VMEXIT_EXCEPTION);
}

static enum vmexit_kind
svm_decode_reg(struct vmexit *x, enum vmexit_kind kind)
{
	x->u.reg.reg = x->code & 0xf;
	x->u.reg.decoded = false;	/* decode.c does it, on every CPU */
	return (kind);
}

/* The one switch over SVM's exit codes. */
static enum vmexit_kind
svm_decode(const struct vmcb *b, struct vmexit *x)
{
	/* TCG: VMEXIT_INVALID is stored as 32 bits. */
	if ((int32_t)x->code == SVM_VMEXIT_INVALID)
		return (VMEXIT_ENTRY_FAILED);
	switch (x->code) {
	case SVM_VMEXIT_INTR:
		return (VMEXIT_INTR);
	case SVM_VMEXIT_NMI:		/* pending still: comes at STGI */
		return (VMEXIT_NMI);
	case SVM_VMEXIT_VINTR:
		return (VMEXIT_WINDOW);
	case SVM_VMEXIT_CPUID:
		return (VMEXIT_CPUID);
	case SVM_VMEXIT_HLT:
		return (VMEXIT_HLT);
	case SVM_VMEXIT_IOIO:
		return (svm_decode_io(b, x));
	case SVM_VMEXIT_MSR:
		return (b->exitinfo1 & 1 ? VMEXIT_WRMSR : VMEXIT_RDMSR);
	case SVM_VMEXIT_CR0_READ:
	case SVM_VMEXIT_CR4_READ:
	case SVM_VMEXIT_CR0_WRITE:
	case SVM_VMEXIT_CR4_WRITE:
	case SVM_VMEXIT_CR8_WRITE:
		return (svm_decode_reg(x, VMEXIT_CR));
	case SVM_VMEXIT_DR0_READ ... SVM_VMEXIT_DR15_WRITE:
		return (svm_decode_reg(x, VMEXIT_DR));
	case SVM_VMEXIT_XSETBV:
		return (VMEXIT_XSETBV);
	case SVM_VMEXIT_NPF:
		return (svm_decode_npf(b, x));
	case SVM_VMEXIT_EXCP1:
	case SVM_VMEXIT_EXCP17:
	case SVM_VMEXIT_EXCP18:
		return (svm_decode_exception(b, x, x->code & 0x1f));
	case SVM_VMEXIT_SHUTDOWN:
		return (VMEXIT_SHUTDOWN);
	/* VMMCALL, VMLOAD, VMSAVE, STGI, CLGI, SKINIT and RDTSCP between. */
	case SVM_VMEXIT_VMRUN ... SVM_VMEXIT_ICEBP:
	case SVM_VMEXIT_MONITOR ... SVM_VMEXIT_MWAIT_CONDITIONAL:
	case SVM_VMEXIT_INVLPGA:
	case VMEXIT_CODE_RDPRU:
		return (VMEXIT_UD);
	case SVM_VMEXIT_RDPMC:
		return (VMEXIT_GP);
	case SVM_VMEXIT_INVD:
	case SVM_VMEXIT_WBINVD:
		return (VMEXIT_NOP);
	default:
		return (VMEXIT_UNKNOWN);
	}
}

/* book: svm-run */
/* One entry. */
static void
svm_run(struct vcpu *v, struct vmexit *x)
{
	struct svm_vcpu *s = v->hv;
	struct vmcb *b = s->vmcb;

	svm_load(v, s);
	svm_choose_asid(s);
	if (CHECK_ENTRIES && !svm_rules(b, false, &v->broken))
		v->broken.rule = NULL;
	svm_enter(s->vmcb_pa, svm_cpus[s->cpu].host_pa, v->gpr);

	x->code = b->exitcode;
	x->info[0] = b->exitinfo1;
	x->info[1] = b->exitinfo2;
	x->insn_len = svm_has_nrips ? svm_insn_len(b, b->nrip) : 0;
	x->lost.valid = false;
	x->kind = svm_decode(b, x);
	if (x->kind == VMEXIT_ENTRY_FAILED) {
		x->lost = v->event;
		svm_restore_refused(s);
		/* A flush that was due may not have been done. */
		svm_cpus[s->cpu].next_asid = svm_max_asid + 1;
		return;
	}
	b->eventinj = 0;
	svm_store(v, s);
	/* TCG: after a triple fault EXITINTINFO still names the last one. */
	if (x->kind != VMEXIT_SHUTDOWN)
		svm_decode_lost(b, &x->lost);
}
/* book: end */

/* book: svm-check */
/*
 * The rules judge what svm_load() makes of the registers: of all of them, as
 * after a refused entry there may be no copy.
 *
 * TCG, Bochs: a refused entry empties EVENTINJ, too.
 */
static bool
svm_check(struct vcpu *v, bool guest_only, struct entry_broken *broken)
{
	struct svm_vcpu *s = v->hv;
	unsigned int dirty = v->dirty;

	v->dirty = DIRTY_CR | DIRTY_DR;
	svm_load(v, s);
	v->dirty = dirty;
	if (!guest_only && v->event.valid)
		svm_inject(v, &v->event);
	return (svm_rules(s->vmcb, guest_only, broken));
}
/* book: end */

/* The fields of the VMCB that tell an entry and its exit. */
static void
svm_dump(struct vcpu *v, vmm_put *put, void *arg)
{
	struct svm_vcpu *s = v->hv;
	const struct vmcb *b = s->vmcb;
	const struct {
		const char	*name;
		uint64_t	 value;
	} row[] = {
		{ "VMCB", s->vmcb_pa },		{ "EXITCODE", b->exitcode },
		{ "EXITINFO1", b->exitinfo1 },	{ "EXITINFO2", b->exitinfo2 },
		{ "EXITINTINFO", b->exitintinfo }, { "ASID", b->asid },
		{ "N_CR3", b->n_cr3 },		{ "VINTR", b->int_ctl },
		{ "INTERRUPT_SHADOW", b->int_shadow },
		{ "RIP", b->save.rip },		{ "RSP", b->save.rsp },
		{ "RAX", b->save.rax },		{ "RFLAGS", b->save.rflags },
		{ "CR0", b->save.cr0 },		{ "CR2", b->save.cr2 },
		{ "CR3", b->save.cr3 },		{ "CR4", b->save.cr4 },
		{ "EFER", b->save.efer },	{ "CPL", b->save.cpl },
	};
	size_t i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		put(arg, row[i].name, NULL, row[i].value);
}

const struct hv_ops svm_ops = {
	.banner		= "SVM/RVI",
	.npt		= &svm_npt_format,
	.window_code	= SVM_VMEXIT_VINTR,
	.wants_pdptes	= false,
	.probe		= svm_probe,
	.attach		= svm_attach,
	.detach		= svm_detach,
	.cpu_prepare	= svm_cpu_prepare,
	.cpu_release	= svm_cpu_release,
	.cpu_enable	= svm_cpu_enable,
	.cpu_disable	= svm_cpu_disable,
	.vcpu_init	= svm_vcpu_init,
	.vcpu_free	= svm_vcpu_free,
	.vcpu_reset	= svm_vcpu_reset,
	.regs_get	= svm_regs_get,
	.regs_set	= svm_regs_set,
	.cr_check	= svm_cr_check,
	.segment	= svm_segment,
	.cpl		= svm_cpl,
	.cr3		= svm_cr3,
	.inject		= svm_inject,
	.window		= svm_window,
	.tlb_flush	= svm_tlb_flush,
	.run		= svm_run,
	.check		= svm_check,
	.dump		= svm_dump,
};
