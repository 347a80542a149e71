/* SPDX-License-Identifier: ISC */
/*
 * vmx.c - Intel VMX with EPT behind hv.h.
 *
 * The VMCS holds what the CPU switches; everything the driver looks at is in
 * struct vcpu and is carried over at each entry and exit. CR0, CR4, EFER and
 * the debug registers belong to the driver: every change of them exits.
 *
 * Unlike a VMCB, a VMCS is reached through the CPU it is active on: VMPTRLD
 * makes it so, VMCLEAR ends that. It stays active from one entry to the next;
 * who wants a field from elsewhere is called on that CPU (vmx_call).
 *
 * Comments that begin with "Bochs:" name where its emulation differs from
 * the manual, so that nobody simplifies the line away.
 */
#include <errno.h>
#include <string.h>

#include <insn.h>

#include "vmm.h"
#include "vmx.h"

#define MSR_BITMAP_ORDER 0
#define VMX_MAX_VPID	0xfff		/* enough between two flushes */

#define AR_VALID	0x1f0ffU	/* of vsi_ar */

/* What one CPU needs. */
struct vmx_cpu {
	void		*vmxon;		/* VMXON region: the CPU's own */
	struct vmx_vcpu	*current;	/* whose VMCS VMREAD reaches */
	struct vmx_vcpu	*active;	/* list of those active here */
	uint64_t	 generation;	/* of this CPU's VPIDs */
	uint32_t	 next_vpid;
};

/* What one VCPU needs. */
struct vmx_vcpu {
	void		*vmcs;
	uint64_t	 vmcs_pa;
	struct vmx_msrs	*msrs;
	struct vmx_host	 host;
	int		 cpu;		/* atomic; VMCS active there; or -1 */
	struct vmx_vcpu	*next;		/* of that CPU's list */
	bool		 launched;
	uint64_t	 eptp;
	uint64_t	 npt_gen;	/* of the last INVEPT */
	uint64_t	 generation;	/* of its VPID; 0: none */
	struct hv_event	 inject;
	uint32_t	 proc;		/* primary controls, wanted */

	/* What fields of the VMCS hold. */
	uint32_t	 proc_now;
	uint64_t	 rip, rsp, rflags, cr3;
	uint32_t	 blocked;	/* interruptibility */
	uint32_t	 ss_ar;
};

static struct vmx_cpu *vmx_cpus;
static void *vmx_msr_bitmap;

/* Rights and shape are those of this CPU, see vmx_probe(). */
static struct npt_format vmx_npt_format = {
	.table = 0x7,			/* R, W, X: the leaf decides */
	.leaf = 0x70,			/* write-back, whatever PAT says */
	.large = 0x80,
	.r = 0x1,
	.w = 0x2,
	.x = 0x4,
	.present = 0x7 | EPT_IGNORED,	/* X alone, and that withheld */
};

/*
 * --- The CPU. ---
 */

/* Is there VMX with EPT and unrestricted guests? */
static int
vmx_probe(const char **why)
{
	if (vmx_ctl_probe(&vmx_ctl, why) != 0)
		return (ENODEV);
	vmx_npt_format.exec_only = (vmx_ctl.ept & VMX_EPT_EXEC_ONLY) != 0;
	vmx_npt_format.max_order = (vmx_ctl.ept & VMX_EPT_2M) == 0 ? ORDER_4K :
	    (vmx_ctl.ept & VMX_EPT_1G) == 0 ? ORDER_2M : ORDER_1G;
	vmx_npt_format.withheld = vmx_ctl.multihit ? EPT_IGNORED : 0;
	return (0);
}

/*
 * The MSR bitmaps: a bit an MSR, set means exit; reads of 0.. and C0000000..,
 * then writes of both, 8192 MSRs each. An MSR outside of them always exits.
 *	SDM Vol. 3C 24.6.9 "MSR-Bitmap Address"
 */
static void
vmx_fill_msr_bitmap(uint8_t *map)
{
	uint32_t index, bit;
	size_t i;

	memset(map, 0xff, PAGE_SIZE_4K);
	for (i = 0; msr_listed(i, &index); i++) {
		if ((index & 0x3fffffff) >= 8192)
			continue;
		bit = (index >> 31) * 8192 + (index & 0x1fff);
		if (msr_native(index, false))
			map[bit / 8] &= ~(1U << bit % 8);
		if (msr_native(index, true))
			map[2048 + bit / 8] &= ~(1U << bit % 8);
	}
}

static void
vmx_detach(void)
{
	host_page_free(vmx_msr_bitmap, MSR_BITMAP_ORDER);
	host_free(vmx_cpus);
	vmx_msr_bitmap = NULL;
	vmx_cpus = NULL;
}

/* The bitmap that all VMs share. Every port exits, without one. */
static int
vmx_attach(void)
{
	vmx_cpus = host_alloc(host_cpu_count() * sizeof(*vmx_cpus));
	vmx_msr_bitmap = host_page_alloc(MSR_BITMAP_ORDER);
	if (vmx_cpus == NULL || vmx_msr_bitmap == NULL) {
		vmx_detach();
		return (ENOMEM);
	}
	vmx_fill_msr_bitmap(vmx_msr_bitmap);
	return (0);
}

static void
vmx_cpu_release(unsigned int cpu)
{
	struct vmx_cpu *c = &vmx_cpus[cpu];

	host_page_free(c->vmxon, 0);
	c->vmxon = NULL;
}

static int
vmx_cpu_prepare(unsigned int cpu)
{
	struct vmx_cpu *c = &vmx_cpus[cpu];

	c->vmxon = host_page_alloc(0);
	if (c->vmxon == NULL)
		return (ENOMEM);
	memcpy(c->vmxon, &vmx_ctl.revision, sizeof(vmx_ctl.revision));
	return (0);
}

/* Do CR0 and CR4 have the bits that VMX operation wants, and no others? */
static bool
vmx_fixed(uint64_t cr0, uint64_t cr4)
{
	return ((~cr0 & vmx_ctl.cr0_fixed0) == 0 &&
	    (cr0 & ~vmx_ctl.cr0_fixed1) == 0 &&
	    (~cr4 & vmx_ctl.cr4_fixed0) == 0 &&
	    (cr4 & ~vmx_ctl.cr4_fixed1) == 0);
}

/*
 * FEATURE_CONTROL, CR4.VMXE, VMXON. What the CPU cached of EPTs before may
 * still be there, so it goes; the first entry finds no VPID left and so
 * begins a new generation with a flush.
 *	SDM Vol. 3C 23.7 "Enabling and Entering VMX Operation", 28.4.3.4
 *	"Guidelines for Use of the INVEPT Instruction"
 */
static int
vmx_cpu_enable(unsigned int cpu)
{
	struct vmx_cpu *c = &vmx_cpus[cpu];
	uint64_t feature = insn_rdmsr(MSR_FEATURE_CONTROL);
	uint64_t cr4 = insn_read_cr4();
	struct vmx_ctl here;
	const char *why;

	if ((cr4 & CR4_VMXE) != 0)
		return (EBUSY);
	if (vmx_ctl_probe(&here, &why) != 0 ||
	    memcmp(&here, &vmx_ctl, sizeof(here)) != 0)
		return (EIO);		/* another kind of core */
	if ((feature & FEATURE_LOCKED) == 0) {
		feature |= FEATURE_LOCKED | FEATURE_VMXON;
		insn_wrmsr(MSR_FEATURE_CONTROL, feature);
	}
	if (!vmx_fixed(insn_read_cr0(), cr4 | CR4_VMXE))
		return (EIO);		/* VMXON would be #GP */
	host_cr4_set(CR4_VMXE);
	if (!insn_vmxon(host_pa_of(c->vmxon))) {
		host_cr4_clear(CR4_VMXE);
		return (EIO);
	}
	HOST_ASSERT(insn_invept(INVEPT_ALL, 0));
	c->next_vpid = VMX_MAX_VPID + 1;
	return (0);
}

/* The VMCS is active on no CPU any more. On the CPU where it was, C */
static void
vmx_clear(struct vmx_vcpu *s)
{
	struct vmx_cpu *c = &vmx_cpus[s->cpu];
	struct vmx_vcpu **p;

	HOST_ASSERT(insn_vmclear(s->vmcs_pa));
	for (p = &c->active; *p != s; p = &(*p)->next)
		continue;
	*p = s->next;
	if (c->current == s)
		c->current = NULL;
	s->launched = false;
	ATOMIC_SET(&s->cpu, -1);
}

static void
vmx_cpu_disable(unsigned int cpu)
{
	struct vmx_cpu *c = &vmx_cpus[cpu];

	while (c->active != NULL)
		vmx_clear(c->active);
	insn_vmxoff();
	host_cr4_clear(CR4_VMXE);
}

/*
 * --- A VCPU. ---
 */

/*
 * Let VMREAD, VMWRITE and entries of this CPU reach this VCPU. One that comes
 * to the CPU has nothing cached here that is good. C, E
 *	SDM Vol. 3C 24.1 "Overview"
 */
static void
vmx_make_current(struct vmx_vcpu *s)
{
	unsigned int cpu = host_cpu_self();
	struct vmx_cpu *c = &vmx_cpus[cpu];

	if (c->current == s)
		return;
	if (s->cpu < 0)
		HOST_ASSERT(insn_vmclear(s->vmcs_pa));
	HOST_ASSERT(insn_vmptrld(s->vmcs_pa));
	c->current = s;
	if (s->cpu >= 0)
		return;
	ATOMIC_SET(&s->cpu, (int)cpu);
	s->next = c->active;
	c->active = s;
	s->generation = 0;
	s->npt_gen = ~0ULL;
	vmx_host_load_cpu(&s->host);
}

struct vmx_call {
	struct vcpu	*v;
	void		(*fn)(struct vcpu *, void *);
	void		*arg;
};

static void
vmx_call_here(void *arg)
{
	struct vmx_call *c = arg;
	struct vmx_vcpu *s = c->v->hv;
	bool active = s->cpu >= 0;

	vmx_make_current(s);
	c->fn(c->v, c->arg);
	if (!active)
		vmx_clear(s);
}

/* Call fn(v, arg) where the VMCS of `v` is active, or anywhere. S */
static void
vmx_call(struct vcpu *v, void (*fn)(struct vcpu *, void *), void *arg)
{
	struct vmx_vcpu *s = v->hv;
	struct vmx_call c = { v, fn, arg };
	int cpu;

	do {	/* again if that CPU has just gone offline */
		cpu = ATOMIC_GET(&s->cpu);
		if (cpu < 0)
			cpu = (int)host_cpu_self();
	} while (host_cpu_call(cpu, vmx_call_here, &c) != 0);
}

static void
vmx_vcpu_free(struct vcpu *v)
{
	struct vmx_vcpu *s = v->hv;

	HOST_ASSERT(s->cpu < 0);	/* a CPU would write to the page */
	host_page_free(s->vmcs, 0);
	host_page_free(s->msrs, 0);
	host_free(s);
	v->hv = NULL;
}

static int
vmx_vcpu_init(struct vcpu *v)
{
	struct vmx_vcpu *s;

	s = host_alloc(sizeof(*s));
	if (s == NULL)
		return (ENOMEM);
	v->hv = s;
	s->cpu = -1;
	s->vmcs = host_page_alloc(0);
	s->msrs = host_page_alloc(0);
	if (s->vmcs == NULL || s->msrs == NULL) {
		vmx_vcpu_free(v);
		return (ENOMEM);
	}
	s->vmcs_pa = host_pa_of(s->vmcs);
	memcpy(s->vmcs, &vmx_ctl.revision, sizeof(vmx_ctl.revision));
	s->host.msrs = s->msrs;
	return (0);
}

static void
vmx_vcpu_detach(struct vcpu *v)
{
	struct vmx_vcpu *s = v->hv;

	if (s->cpu == (int)host_cpu_self())
		vmx_clear(s);
}

static void
vmx_reset_here(struct vcpu *v, void *arg)
{
	struct vmx_vcpu *s = v->hv;
	uint64_t msrs = host_pa_of(s->msrs);

	(void)arg;
	vmx_ctl_reset();
	vmcs_write(VMCS_MSR_BITMAP, host_pa_of(vmx_msr_bitmap));
	vmcs_write(VMCS_EPTP, s->eptp);
	vmcs_write(VMCS_ENTRY_MSR_LOAD, msrs);
	vmcs_write(VMCS_ENTRY_MSR_LOADS, VMX_NMSRS);
	vmcs_write(VMCS_EXIT_MSR_STORE, msrs);
	vmcs_write(VMCS_EXIT_MSR_STORES, VMX_NMSRS);
	vmcs_write(VMCS_EXIT_MSR_LOAD, msrs + offsetof(struct vmx_msrs, host));
	vmcs_write(VMCS_EXIT_MSR_LOADS, VMX_NMSRS);
	memset(s->msrs, 0, sizeof(*s->msrs));
	memset(&s->host, 0, sizeof(s->host));
	s->host.msrs = s->msrs;
	vmx_host_load_cpu(&s->host);
}

static void
vmx_vcpu_reset(struct vcpu *v)
{
	struct vmx_vcpu *s = v->hv;

	s->eptp = host_pa_of(v->vm->npt.root) | EPTP_WB_4_LEVELS;
	s->proc = s->proc_now = vmx_ctl.proc;
	s->rip = s->rsp = s->rflags = s->cr3 = 0;
	s->blocked = s->ss_ar = 0;
	s->inject.valid = false;
	s->generation = 0;
	v->cs_l = false;
	v->dirty = DIRTY_CR | DIRTY_DR;
	vmx_call(v, vmx_reset_here, NULL);
}

/*
 * --- Registers. ---
 */

/* Number of a segment among the fields of its kind, which are 2 apart. */
static const uint8_t vmx_seg[VCPU_REGS_NSREGS] = {
	[VCPU_REGS_ES] = 0, [VCPU_REGS_CS] = 2, [VCPU_REGS_SS] = 4,
	[VCPU_REGS_DS] = 6, [VCPU_REGS_FS] = 8, [VCPU_REGS_GS] = 10,
	[VCPU_REGS_LDTR] = 12, [VCPU_REGS_TR] = 14,
};

/*
 * Access rights: a segment that is not present is unusable, as on SVM, where
 * nothing else says so (decisions.md C3).
 *	SDM Vol. 3C 24.4.1 "Guest Register State"
 */
static void
vmx_seg_get(int sreg, struct vcpu_segment_info *si)
{
	uint32_t ar = vmcs_read(VMCS_GUEST_ES_AR + vmx_seg[sreg]) & AR_VALID;

	si->vsi_sel = vmcs_read(VMCS_GUEST_ES_SEL + vmx_seg[sreg]);
	si->vsi_limit = vmcs_read(VMCS_GUEST_ES_LIMIT + vmx_seg[sreg]);
	si->vsi_ar = (ar & SEG_UNUSABLE) != 0 ? ar & ~SEG_P : ar;
	si->vsi_base = vmcs_read(VMCS_GUEST_ES_BASE + vmx_seg[sreg]);
}

static void
vmx_seg_set(int sreg, const struct vcpu_segment_info *si)
{
	uint32_t ar = si->vsi_ar & AR_VALID;

	if ((ar & SEG_P) == 0)
		ar |= SEG_UNUSABLE;
	vmcs_write(VMCS_GUEST_ES_SEL + vmx_seg[sreg], si->vsi_sel);
	vmcs_write(VMCS_GUEST_ES_LIMIT + vmx_seg[sreg], si->vsi_limit);
	vmcs_write(VMCS_GUEST_ES_AR + vmx_seg[sreg], ar);
	vmcs_write(VMCS_GUEST_ES_BASE + vmx_seg[sreg], si->vsi_base);
}

struct vmx_segment {
	int				 sreg;
	struct vcpu_segment_info	*si;
};

static void
vmx_segment_here(struct vcpu *v, void *arg)
{
	struct vmx_segment *a = arg;

	(void)v;
	vmx_seg_get(a->sreg, a->si);
}

static void
vmx_segment(struct vcpu *v, int sreg, struct vcpu_segment_info *si)
{
	struct vmx_segment a = { sreg, si };

	vmx_call(v, vmx_segment_here, &a);
}

static int
vmx_cpl(struct vcpu *v)
{
	struct vmx_vcpu *s = v->hv;

	return (vcpu_cpl(v, s->ss_ar));
}

static uint64_t
vmx_cr3(struct vcpu *v)
{
	struct vmx_vcpu *s = v->hv;

	return (s->cr3);
}

static void
vmx_sregs_get(struct vcpu *v, void *arg)
{
	struct vcpu_reg_state *rs = arg;
	int i;

	(void)v;
	for (i = 0; i < VCPU_REGS_NSREGS; i++)
		vmx_seg_get(i, &rs->vrs_sregs[i]);
	rs->vrs_gdtr.vsi_base = vmcs_read(VMCS_GUEST_GDTR_BASE);
	rs->vrs_gdtr.vsi_limit = vmcs_read(VMCS_GUEST_GDTR_LIMIT);
	rs->vrs_idtr.vsi_base = vmcs_read(VMCS_GUEST_IDTR_BASE);
	rs->vrs_idtr.vsi_limit = vmcs_read(VMCS_GUEST_IDTR_LIMIT);
}

static void
vmx_regs_get(struct vcpu *v, uint64_t mask, struct vcpu_reg_state *rs)
{
	struct vmx_vcpu *s = v->hv;
	const struct vmx_msr *msr = s->msrs->guest;

	if ((mask & VM_RWREGS_SREGS) != 0)
		vmx_call(v, vmx_sregs_get, rs);
	if ((mask & VM_RWREGS_CRS) != 0)
		rs->vrs_crs[VCPU_REGS_CR3] = s->cr3;
	if ((mask & VM_RWREGS_MSRS) != 0) {
		rs->vrs_msrs[VCPU_REGS_STAR] = msr[VMX_STAR].value;
		rs->vrs_msrs[VCPU_REGS_LSTAR] = msr[VMX_LSTAR].value;
		rs->vrs_msrs[VCPU_REGS_CSTAR] = msr[VMX_CSTAR].value;
		rs->vrs_msrs[VCPU_REGS_SFMASK] = msr[VMX_SFMASK].value;
		rs->vrs_msrs[VCPU_REGS_KGSBASE] = msr[VMX_KGSBASE].value;
	}
}

struct vmx_regs {
	uint64_t			 mask;
	const struct vcpu_reg_state	*rs;
};

static void
vmx_fields_set(struct vcpu *v, void *arg)
{
	const struct vmx_regs *a = arg;
	const struct vcpu_reg_state *rs = a->rs;
	struct vmx_vcpu *s = v->hv;
	int i;

	if ((a->mask & VM_RWREGS_SREGS) != 0) {
		for (i = 0; i < VCPU_REGS_NSREGS; i++)
			vmx_seg_set(i, &rs->vrs_sregs[i]);
		vmcs_write(VMCS_GUEST_GDTR_BASE, rs->vrs_gdtr.vsi_base);
		vmcs_write(VMCS_GUEST_GDTR_LIMIT, rs->vrs_gdtr.vsi_limit);
		vmcs_write(VMCS_GUEST_IDTR_BASE, rs->vrs_idtr.vsi_base);
		vmcs_write(VMCS_GUEST_IDTR_LIMIT, rs->vrs_idtr.vsi_limit);
		v->cs_l = (rs->vrs_sregs[VCPU_REGS_CS].vsi_ar & SEG_L) != 0;
		s->ss_ar = rs->vrs_sregs[VCPU_REGS_SS].vsi_ar;
	}
	if ((a->mask & VM_RWREGS_CRS) != 0) {
		s->cr3 = rs->vrs_crs[VCPU_REGS_CR3];
		vmcs_write(VMCS_GUEST_CR3, s->cr3);
	}
}

static void
vmx_regs_set(struct vcpu *v, uint64_t mask, const struct vcpu_reg_state *rs)
{
	struct vmx_vcpu *s = v->hv;
	struct vmx_msr *msr = s->msrs->guest;
	struct vmx_regs a = { mask, rs };

	if ((mask & (VM_RWREGS_SREGS | VM_RWREGS_CRS)) != 0)
		vmx_call(v, vmx_fields_set, &a);
	if ((mask & VM_RWREGS_MSRS) != 0) {
		msr[VMX_STAR].value = rs->vrs_msrs[VCPU_REGS_STAR];
		msr[VMX_LSTAR].value = rs->vrs_msrs[VCPU_REGS_LSTAR];
		msr[VMX_CSTAR].value = rs->vrs_msrs[VCPU_REGS_CSTAR];
		msr[VMX_SFMASK].value = rs->vrs_msrs[VCPU_REGS_SFMASK];
		msr[VMX_KGSBASE].value = rs->vrs_msrs[VCPU_REGS_KGSBASE];
	}
}

/*
 * What the CPU runs with in place of the guest's: NE and VMXE on, which VMX
 * needs, MCE as the host has it. CD and NW are the host's, whatever is here.
 *	SDM Vol. 3C 23.8 "Restrictions on VMX Operation"
 */
static uint64_t
vmx_real_cr0(uint64_t cr0)
{
	return ((cr0 & ~(CR0_CD | CR0_NW)) | CR0_NE);
}

static uint64_t
vmx_real_cr4(uint64_t cr4)
{
	return ((cr4 & ~CR4_MCE) | (insn_read_cr4() & CR4_MCE) | CR4_VMXE);
}

/* PE and PG are free in an unrestricted guest. */
static int
vmx_cr_check(uint64_t cr0, uint64_t cr4)
{
	return (vmx_fixed(vmx_real_cr0(cr0) | CR0_PE | CR0_PG,
	    vmx_real_cr4(cr4)) ? 0 : EINVAL);
}

/*
 * --- Events and translations. ---
 */

/* Written by vmx_load(): here another VMCS may be current. */
static void
vmx_inject(struct vcpu *v, const struct hv_event *e)
{
	struct vmx_vcpu *s = v->hv;

	s->inject = *e;
}

/*
 * The interrupt window: an exit as soon as IF is set and nothing blocks.
 *	SDM Vol. 3C 25.2 "Other Causes of VM Exits"
 */
static void
vmx_window(struct vcpu *v, bool on)
{
	struct vmx_vcpu *s = v->hv;

	if (on)
		s->proc |= PROC_WINDOW;
	else
		s->proc &= ~PROC_WINDOW;
}

/* A new VPID has no translations: that is the flush. */
static void
vmx_tlb_flush(struct vcpu *v)
{
	struct vmx_vcpu *s = v->hv;

	s->generation = 0;
}

/* book: vmx-vpid */
/*
 * Forget what may be stale, and no more.
 *
 * Guest-physical mappings belong to an EPT: INVEPT, when rights were taken
 * away since, or on a CPU that is new to the VCPU (its EPT's root may have
 * been another VM's). It takes the combined mappings with it. These belong to
 * a VPID as well: a new one has none. VPIDs are handed out in order and never
 * twice in a generation of this CPU; when they are used up, all are flushed
 * and the next generation begins. Without VPIDs each entry is a flush.
 *
 * Bochs: flushes everything at every entry, so no emulated run shows a mistake
 * here; tests/unit has a TLB that does.
 *
 *	SDM Vol. 3C 28.4.3 "Invalidating Cached Translation Information"
 */
static void
vmx_choose_vpid(struct vcpu *v, struct vmx_vcpu *s)
{
	struct vmx_cpu *c = &vmx_cpus[s->cpu];

	if (s->npt_gen != v->npt_gen) {
		HOST_ASSERT(insn_invept(INVEPT_SINGLE, s->eptp));
		s->npt_gen = v->npt_gen;
	}
	if (s->generation == c->generation && c->generation != 0)
		return;
	if ((vmx_ctl.proc2 & PROC2_VPID) == 0)
		return;
	if (c->next_vpid > VMX_MAX_VPID) {
		HOST_ASSERT(insn_invvpid(INVVPID_ALL, 0, 0));
		c->next_vpid = 1;
		c->generation++;
	}
	vmcs_write(VMCS_VPID, c->next_vpid++);
	s->generation = c->generation;
}
/* book: end */

/*
 * --- Entry and exit. ---
 */

static bool
vmx_is_pae(const struct vcpu *v)
{
	return ((v->cr0 & CR0_PG) != 0 && (v->cr4 & CR4_PAE) != 0 &&
	    (v->efer & EFER_LMA) == 0);
}

/*
 * Load the control registers: what the CPU runs with, and in the shadows what
 * the guest believes, which its reads return.
 *	SDM Vol. 3C 26.3.1.1 "Checks on Guest Control Registers, Debug
 *	Registers, and MSRs"
 */
static void
vmx_load_crs(struct vcpu *v)
{
	/* Bochs: dies of LMA without PG, unless EFER and the control differ. */
	bool lma = (v->efer & EFER_LMA) != 0 && (v->cr0 & CR0_PG) != 0;
	int i;

	vmcs_write(VMCS_GUEST_CR0, vmx_real_cr0(v->cr0));
	vmcs_write(VMCS_CR0_SHADOW, v->cr0);
	vmcs_write(VMCS_GUEST_CR4, vmx_real_cr4(v->cr4));
	vmcs_write(VMCS_CR4_SHADOW, v->cr4);
	vmcs_write(VMCS_GUEST_EFER, v->efer);
	vmcs_write(VMCS_ENTRY_CTLS, vmx_ctl.entry | (lma ? ENTRY_IA32E : 0));
	if (vmx_is_pae(v))
		for (i = 0; i < 4; i++)
			vmcs_write(VMCS_GUEST_PDPTE0 + 2 * i, v->pdpte[i]);
}

/*
 * #DB of INT1 is a trap: the CPU pushes the RIP behind the instruction, whose
 * length the exit has left.
 *	SDM Vol. 3C 24.8.3 "VM-Entry Controls for Event Injection"
 */
static void
vmx_load_event(struct vcpu *v, struct vmx_vcpu *s)
{
	const struct hv_event *e = &s->inject;
	/* A client may have left protected mode meanwhile. */
	bool has_error = e->has_error && (v->cr0 & CR0_PE) != 0;

	vmcs_write(VMCS_ENTRY_EVENT, EVENT_VALID | (uint32_t)e->type << 8 |
	    e->vector | (has_error ? EVENT_HAS_ERROR : 0));
	if (has_error)
		vmcs_write(VMCS_ENTRY_ERROR, e->error);
	if (e->type == EVENT_INT1)
		vmcs_write(VMCS_ENTRY_INSN_LEN,
		    vmcs_read(VMCS_EXIT_INSN_LEN));
}

/*
 * The shadow, and the single step that waits behind it. The driver ends a
 * shadow and never begins one. A client may have changed IF and TF meanwhile:
 * a shadow of STI needs IF, and with TF a step must be pending. The step would
 * come before the instruction that the shadow covers if TF is new: that of
 * MOV SS holds it back as well.
 *	SDM Vol. 3C 26.3.1.5 "Checks on Guest Non-Register State"
 */
static void
vmx_load_shadow(struct vcpu *v, struct vmx_vcpu *s)
{
	uint64_t rflags = v->gpr[VCPU_REGS_RFLAGS], pending;
	uint32_t blocked = s->blocked;

	if (!v->shadow)
		blocked &= ~(BLOCKED_STI | BLOCKED_MOV_SS);
	if ((rflags & RFLAGS_IF) == 0)
		blocked &= ~BLOCKED_STI;
	if ((rflags & ~s->rflags & RFLAGS_TF) != 0 &&
	    (blocked & BLOCKED_STI) != 0)
		blocked ^= BLOCKED_STI | BLOCKED_MOV_SS;
	if (blocked != s->blocked)
		vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, blocked);
	pending = vmcs_read(VMCS_PENDING_DEBUG) & ~DR6_BS;
	if ((blocked & (BLOCKED_STI | BLOCKED_MOV_SS)) != 0 &&
	    (rflags & RFLAGS_TF) != 0)
		pending |= DR6_BS;
	vmcs_write(VMCS_PENDING_DEBUG, pending);
	s->blocked = blocked;
}

static void
vmx_load(struct vcpu *v, struct vmx_vcpu *s)
{
	const uint64_t *g = v->gpr;

	if (s->blocked != 0 || ((s->rflags | g[VCPU_REGS_RFLAGS]) &
	    RFLAGS_TF) != 0)
		vmx_load_shadow(v, s);
	VMX_FIELD(s, rip, VMCS_GUEST_RIP, g[VCPU_REGS_RIP]);
	VMX_FIELD(s, rsp, VMCS_GUEST_RSP, g[VCPU_REGS_RSP]);
	VMX_FIELD(s, rflags, VMCS_GUEST_RFLAGS, g[VCPU_REGS_RFLAGS]);
	if (s->inject.valid)
		vmx_load_event(v, s);
	if (s->proc != s->proc_now)
		vmcs_write(VMCS_PROC_CTLS, s->proc_now = s->proc);
	if ((v->dirty & DIRTY_CR) != 0)
		vmx_load_crs(v);
	if ((v->dirty & DIRTY_DR) != 0)
		vmcs_write(VMCS_GUEST_DR7, v->dr7);
	v->dirty = 0;
}

/*
 * CR0, CR4 and EFER cannot have changed. MOV to CR3 may have loaded PDPTEs.
 */
static void
vmx_store(struct vcpu *v, struct vmx_vcpu *s)
{
	uint64_t *g = v->gpr;
	int i;

	v->cr2 = insn_read_cr2();
	g[VCPU_REGS_RIP] = s->rip = vmcs_read(VMCS_GUEST_RIP);
	g[VCPU_REGS_RSP] = s->rsp = vmcs_read(VMCS_GUEST_RSP);
	g[VCPU_REGS_RFLAGS] = s->rflags = vmcs_read(VMCS_GUEST_RFLAGS);
	s->blocked = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);
	v->shadow = (s->blocked & (BLOCKED_STI | BLOCKED_MOV_SS)) != 0;
	s->cr3 = vmcs_read(VMCS_GUEST_CR3);
	s->ss_ar = vmcs_read(VMCS_GUEST_SS_AR);
	v->cs_l = (vmcs_read(VMCS_GUEST_CS_AR) & SEG_L) != 0;
	if (vmx_is_pae(v))
		for (i = 0; i < 4; i++)
			v->pdpte[i] = vmcs_read(VMCS_GUEST_PDPTE0 + 2 * i);
}

/* book: vmx-lost */
/*
 * The event whose delivery the exit interrupted. One that the instruction at
 * RIP raised, INT n, INT3, INTO, INT1, is raised again by running it.
 *
 * Bochs: says that exceptions in real mode have an error code.
 *
 *	SDM Vol. 3C 27.2.4 "Information for VM Exits During Event Delivery"
 */
static void
vmx_decode_lost(const struct vcpu *v, struct hv_event *e)
{
	uint32_t info = vmcs_read(VMCS_LOST_EVENT);

	e->valid = (info & EVENT_VALID) != 0 && EVENT_TYPE(info) < EVENT_SOFT;
	if (!e->valid)
		return;
	e->type = EVENT_TYPE(info);
	e->vector = (uint8_t)info;
	e->has_error = (info & EVENT_HAS_ERROR) != 0 &&
	    (v->cr0 & CR0_PE) != 0;
	e->error = e->has_error ? vmcs_read(VMCS_LOST_ERROR) : 0;
}
/* book: end */

/* SDM Vol. 3C 27.2.1 "Basic VM-Exit Information", Table 27-5 */
static enum vmexit_kind
vmx_decode_io(struct vmexit *x)
{
	uint64_t q = x->info[0];

	x->u.io.port = (uint16_t)(q >> 16);
	x->u.io.size = (q & 7) + 1;
	x->u.io.in = (q & 0x08) != 0;
	x->u.io.string = (q & 0x10) != 0;
	x->u.io.rep = (q & 0x20) != 0;
	x->u.io.imm = (q & 0x40) != 0;
	return (VMEXIT_IO);
}

/*
 * An EPT violation. A read of the guest's own page tables is a read.
 *	SDM Vol. 3C 27.2.1 "Basic VM-Exit Information", Table 27-7
 */
static enum vmexit_kind
vmx_decode_npf(struct vmexit *x)
{
	uint64_t q = x->info[0];

	x->u.npf.gpa = x->info[1] = vmcs_read(VMCS_GUEST_PHYSICAL);
	x->u.npf.access = (q & 4) != 0 ? NPT_X : (q & 2) != 0 ? NPT_W : NPT_R;
	return (VMEXIT_NPF);
}

/*
 * #DB and #AC go to the guest as they came; an NMI and an #MC are the host's,
 * and this exit was all of them. What #DB reports is here, not in DR6.
 *	SDM Vol. 3C 27.2.2 "Information for VM Exits Due to Vectored Events"
 */
static enum vmexit_kind
vmx_decode_exception(struct vcpu *v, struct vmexit *x)
{
	uint32_t info = x->info[1] = vmcs_read(VMCS_EXIT_EVENT);
	uint8_t vector = (uint8_t)info;

	x->u.event.valid = true;
	x->u.event.type = EVENT_TYPE(info);
	x->u.event.vector = vector;
	x->u.event.has_error = vector == VMM_EX_AC && (v->cr0 & CR0_PE) != 0;
	x->u.event.error = 0;		/* of #AC, always */
	if (EVENT_TYPE(info) == EVENT_NMI) {
		host_nmi();
		return (VMEXIT_NMI);
	}
	if (vector == VMM_EX_MC) {
		host_mce();
		return (VMEXIT_MCE);
	}
	if (vector == VMM_EX_DB && EVENT_TYPE(info) == EVENT_EXCEPTION)
		v->dr6 = (v->dr6 & ~0xfULL) | (x->info[0] & DR6_WRITABLE);
	return (VMEXIT_EXCEPTION);
}

/* SDM Vol. 3C 27.2.1 "Basic VM-Exit Information", Table 27-3 */
static enum vmexit_kind
vmx_decode_cr(struct vmexit *x)
{
	static const uint8_t op[4] = {
		REG_WRITE, REG_READ, REG_CLTS, REG_LMSW,
	};
	uint64_t q = x->info[0];

	x->u.reg.decoded = true;
	x->u.reg.reg = q & 0xf;
	x->u.reg.op = op[q >> 4 & 3];
	x->u.reg.gpr = insn_gpr[q >> 8 & 0xf];
	x->u.reg.value = (uint16_t)(q >> 16);
	return (VMEXIT_CR);
}

/*
 * This exit comes before the check of the privilege level.
 *	SDM Vol. 3C 25.1.3 "Instructions That Cause VM Exits Conditionally",
 *	27.2.1 "Basic VM-Exit Information", Table 27-4
 */
static enum vmexit_kind
vmx_decode_dr(struct vcpu *v, struct vmexit *x)
{
	uint64_t q = x->info[0];

	if (vmx_cpl(v) != 0)
		return (VMEXIT_GP);
	x->u.reg.decoded = true;
	x->u.reg.reg = q & 7;
	x->u.reg.op = (q & 0x10) != 0 ? REG_READ : REG_WRITE;
	x->u.reg.gpr = insn_gpr[q >> 8 & 0xf];
	return (VMEXIT_DR);
}

/* The one switch over VMX's exit reasons. */
static enum vmexit_kind
vmx_decode(struct vcpu *v, struct vmexit *x)
{
	switch (x->code) {
	case VMX_EXIT_NMI:		/* or an exception */
		return (vmx_decode_exception(v, x));
	case VMX_EXIT_EXTINT:		/* pending still: comes at enter_end */
		return (VMEXIT_INTR);
	case VMX_EXIT_VMX_PREEMPTION_TIMER_EXPIRED:
		return (VMEXIT_TIMER);
	case VMX_EXIT_INT_WINDOW:
		return (VMEXIT_WINDOW);
	case VMX_EXIT_CPUID:
		return (VMEXIT_CPUID);
	case VMX_EXIT_HLT:
		return (VMEXIT_HLT);
	case VMX_EXIT_IO:
		return (vmx_decode_io(x));
	case VMX_EXIT_RDMSR:
		return (VMEXIT_RDMSR);
	case VMX_EXIT_WRMSR:
		return (VMEXIT_WRMSR);
	case VMX_EXIT_CR_ACCESS:
		return (vmx_decode_cr(x));
	case VMX_EXIT_MOV_DR:
		return (vmx_decode_dr(v, x));
	case VMX_EXIT_XSETBV:
		return (VMEXIT_XSETBV);
	case VMX_EXIT_EPT_VIOLATION:
		return (vmx_decode_npf(x));
	case VMX_EXIT_TRIPLE_FAULT:
		return (VMEXIT_SHUTDOWN);
	case VMX_EXIT_TASK_SWITCH:
		return (VMEXIT_TASK_SWITCH);
	case VMX_EXIT_GETSEC:
	case VMX_EXIT_VMCALL:
	case VMX_EXIT_VMCLEAR:
	case VMX_EXIT_VMLAUNCH:
	case VMX_EXIT_VMPTRLD:
	case VMX_EXIT_VMPTRST:
	case VMX_EXIT_VMREAD:
	case VMX_EXIT_VMRESUME:
	case VMX_EXIT_VMWRITE:
	case VMX_EXIT_VMXOFF:
	case VMX_EXIT_VMXON:
	case VMX_EXIT_INVEPT:
	case VMX_EXIT_INVVPID:
	case VMX_EXIT_VMFUNC:
	case VMX_EXIT_MONITOR:
	case VMX_EXIT_MWAIT:
	case VMX_EXIT_CODE_ENCLS:
		return (VMEXIT_UD);
	case VMX_EXIT_RDPMC:
		return (VMEXIT_GP);
	case VMX_EXIT_INVD:
	case VMX_EXIT_WBINVD:
		return (VMEXIT_NOP);
	default:
		return (VMEXIT_UNKNOWN);
	}
}

/*
 * An entry that was refused left the guest's state as it was. One that met a
 * machine check is tried again, with the same event.
 *	SDM Vol. 3C 26.8 "VM-Entry Failures During or After Loading Guest
 *	State", 26.9 "Machine-Check Events During VM Entry"
 */
static enum vmexit_kind
vmx_decode_refused(struct vmx_vcpu *s, struct vmexit *x)
{
	if ((uint16_t)x->code != VMX_EXIT_ENTRY_FAILED_MCE)
		return (VMEXIT_ENTRY_FAILED);
	x->lost = s->inject;
	s->inject.valid = false;
	vmcs_write(VMCS_ENTRY_EVENT, 0);
	host_mce();
	return (VMEXIT_MCE);
}

/* book: vmx-run */
/* One entry. */
static void
vmx_run(struct vcpu *v, struct vmexit *x)
{
	struct vmx_vcpu *s = v->hv;
	int fail;

	vmx_make_current(s);
	vmx_choose_vpid(v, s);
	vmx_host_save(&s->host);
	vmx_load(v, s);
	insn_write_cr2(v->cr2);
	if (CHECK_ENTRIES && !vmx_rules(false, &v->broken))
		v->broken.rule = NULL;
	fail = vmx_enter(v->gpr, s->launched);

	x->insn_len = 0;
	x->lost.valid = false;
	x->info[1] = 0;
	if (fail != 0) {
		x->kind = VMEXIT_ENTRY_FAILED;
		x->code = EXIT_REASON_FAILED;
		x->info[0] = fail == VMX_FAIL_VALID ?
		    vmcs_read(VMCS_INSN_ERROR) : 0;
		vmm_log("VM entry failed: error %llu: %s",
		    (unsigned long long)x->info[0],
		    vmx_ctl_error_text(x->info[0]));
		return;
	}
	vmx_host_restore(&s->host);
	x->code = vmcs_read(VMCS_EXIT_REASON);
	x->info[0] = vmcs_read(VMCS_QUALIFICATION);
	if ((x->code & EXIT_REASON_FAILED) != 0) {
		x->kind = vmx_decode_refused(s, x);
		return;
	}
	s->launched = true;
	s->inject.valid = false;
	vmx_store(v, s);
	x->insn_len = vmcs_read(VMCS_EXIT_INSN_LEN);
	x->kind = vmx_decode(v, x);
	if (x->kind != VMEXIT_SHUTDOWN)
		vmx_decode_lost(v, &x->lost);
	else	/* Bochs: sets it */
		v->gpr[VCPU_REGS_RFLAGS] &= ~RFLAGS_RF;
}
/* book: end */

struct vmx_checking {
	bool			 guest_only, found;
	struct entry_broken	*broken;
};

static void
vmx_check_here(struct vcpu *v, void *arg)
{
	struct vmx_checking *c = arg;
	struct vmx_vcpu *s = v->hv;
	uint64_t rflags = s->rflags;
	uint32_t blocked = s->blocked;

	vmx_load(v, s);
	c->found = vmx_rules(c->guest_only, c->broken);
	/* What the last exit left is for the next entry to make sense of. */
	VMX_FIELD(s, rflags, VMCS_GUEST_RFLAGS, rflags);
	VMX_FIELD(s, blocked, VMCS_GUEST_INTERRUPTIBILITY, blocked);
}

/* The rules judge what vmx_load() makes of the registers. */
static bool
vmx_check(struct vcpu *v, bool guest_only, struct entry_broken *broken)
{
	struct vmx_checking c = { guest_only, false, broken };

	vmx_call(v, vmx_check_here, &c);
	return (c.found);
}

static void
vmx_dump_here(struct vcpu *v, void *arg)
{
	(void)v;
	vmx_ctl_read(arg);
}

/* Every field of the VMCS that this CPU has. */
static void
vmx_dump(struct vcpu *v, vmm_put *put, void *arg)
{
	struct vmx_vcpu *s = v->hv;
	struct vmx_fields *f = host_alloc(sizeof(*f));

	put(arg, "VMCS", NULL, s->vmcs_pa);
	if (f == NULL)
		return;
	vmx_call(v, vmx_dump_here, f);
	vmx_ctl_put(f, put, arg);
	host_free(f);
}

const struct hv_ops vmx_ops = {
	.banner		= "VMX/EPT",
	.npt		= &vmx_npt_format,
	.window_code	= VMX_EXIT_INT_WINDOW,
	.wants_pdptes	= true,
	.probe		= vmx_probe,
	.attach		= vmx_attach,
	.detach		= vmx_detach,
	.cpu_prepare	= vmx_cpu_prepare,
	.cpu_release	= vmx_cpu_release,
	.cpu_enable	= vmx_cpu_enable,
	.cpu_disable	= vmx_cpu_disable,
	.vcpu_init	= vmx_vcpu_init,
	.vcpu_free	= vmx_vcpu_free,
	.vcpu_reset	= vmx_vcpu_reset,
	.vcpu_detach	= vmx_vcpu_detach,
	.regs_get	= vmx_regs_get,
	.regs_set	= vmx_regs_set,
	.cr_check	= vmx_cr_check,
	.segment	= vmx_segment,
	.cpl		= vmx_cpl,
	.cr3		= vmx_cr3,
	.inject		= vmx_inject,
	.window		= vmx_window,
	.tlb_flush	= vmx_tlb_flush,
	.run		= vmx_run,
	.check		= vmx_check,
	.dump		= vmx_dump,
};
