/* SPDX-License-Identifier: ISC */
/*
 * exit.c - what the driver does about each kind of exit, for both vendors.
 *
 * A handler returns EXIT_RESUME, EXIT_USER, or the errno with which RUN ends
 * the VCPU. An instruction that faults leaves RIP where it is; one that is
 * done goes through vcpu_skip().
 */
#include <errno.h>

#include "vmm.h"

/* Bits whose change makes cached translations, or the PDPTEs, stale. */
#define CR0_FLUSH	(CR0_PG | CR0_WP | CR0_PE)
#define CR0_PDPTES	(CR0_PG | CR0_CD | CR0_NW)
#define CR4_PDPTES	(CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)

/* A handler could not do its instruction: the guest gets a fault first. */
#define EXIT_AGAIN	(-2)

#define AR_TSS_16	3		/* vsi_ar's type: a 16-bit TSS, busy */

static int
exit_inject(struct vcpu *v, uint8_t vector)
{
	vcpu_exception(v, vector, 0);
	return (EXIT_RESUME);
}

/*
 * Read and decode the instruction that exited. A guest that changed it, or
 * its mapping, between the exit and here gets what it would get anyway.
 * Returns: EXIT_AGAIN: a fault was queued. EINVAL: not what exited. ENOMEM,
 * EFAULT: its page could not be had.
 */
static int
exit_fetch(struct vcpu *v, struct vmexit *x, struct insn *in)
{
	struct gmem_fault fault;
	int error;

	error = insn_fetch(v, in, &fault);
	if (error == EFAULT && fault.event.valid) {
		vcpu_fault(v, &fault.event, fault.cr2);
		return (EXIT_AGAIN);
	}
	x->insn_len = in->len;
	return (error);
}

/* book: exit-cpuid */
static int
exit_cpuid(struct vcpu *v, struct vmexit *x)
{
	uint64_t *g = v->gpr;
	uint32_t r[4];

	cpuid_guest(v, (uint32_t)g[VCPU_REGS_RAX], (uint32_t)g[VCPU_REGS_RCX],
	    r);
	g[VCPU_REGS_RAX] = r[0];
	g[VCPU_REGS_RBX] = r[1];
	g[VCPU_REGS_RCX] = r[2];
	g[VCPU_REGS_RDX] = r[3];
	vcpu_skip(v, x->insn_len);
	return (EXIT_RESUME);
}
/* book: end */

/*
 * HLT waits for an interrupt. With IF=0 none can come: the guest has powered
 * itself off. With a vector already waiting it does not wait at all.
 */
static int
exit_hlt(struct vcpu *v, struct vmexit *x)
{
	vcpu_skip(v, x->insn_len);
	if ((v->gpr[VCPU_REGS_RFLAGS] & RFLAGS_IF) == 0)
		return (EIO);
	return (vcpu_irq_waiting(v) ? EXIT_RESUME : EXIT_USER);
}

/* Ports whose devices the client has. */
static bool
exit_io_listed(uint16_t port)
{
	static const uint16_t listed[][2] = {
		{ 0x1000, 0xffff }, { 0x500, 0x511 },	/* PCI BARs; fw_cfg */
		{ 0x514, 0x514 }, { 0x518, 0x518 },
		{ 0x20, 0x21 }, { 0xa0, 0xa1 },		/* 8259A pair */
		{ 0x40, 0x43 }, { PCKBC_AUX, PCKBC_AUX }, /* 8254 */
		{ 0x70, 0x71 },				/* MC146818 */
		{ 0x3f8, 0x3ff },			/* 16550A */
		{ ELCR0, ELCR1 },
		{ 0xcf8, 0xcf8 }, { 0xcfc, 0xcff },	/* PCI */
	};
	size_t i;

	for (i = 0; i < sizeof(listed) / sizeof(listed[0]); i++)
		if (port >= listed[i][0] && port <= listed[i][1])
			return (true);
	return (false);
}

/*
 * The data of an IN of `size` bytes arrive: AL and AX leave the rest of RAX,
 * EAX clears its upper half. Size 0: no IN is waiting.
 */
void
exit_io_merge(uint64_t *rax, uint8_t size, uint32_t data)
{
	if (size == 1)
		*rax = (*rax & ~0xffULL) | (uint8_t)data;
	else if (size == 2)
		*rax = (*rax & ~0xffffULL) | (uint16_t)data;
	else if (size == 4)
		*rax = data;
}

/*
 * A port no client has: OUT is lost, IN reads ones. A string moves no memory
 * (Differences from OpenBSD, "String I/O").
 */
static int
exit_io(struct vcpu *v, struct vmexit *x)
{
	const struct vmexit_io *io = &x->u.io;
	struct vm_exit_inout *vei = &v->exit.vei;

	vcpu_skip(v, x->insn_len);
	if (!exit_io_listed(io->port)) {
		if (io->in && !io->string)
			exit_io_merge(&v->gpr[VCPU_REGS_RAX], io->size, ~0U);
		return (EXIT_RESUME);
	}
	vei->vei_size = io->size;
	vei->vei_dir = io->in ? VEI_DIR_IN : VEI_DIR_OUT;
	vei->vei_rep = io->rep;
	vei->vei_string = io->string;
	vei->vei_encoding = io->imm;
	vei->vei_port = io->port;
	vei->vei_data = (uint32_t)v->gpr[VCPU_REGS_RAX];
	v->in_pending = io->in && !io->string ? io->size : 0;
	return (EXIT_USER);
}

static int
exit_rdmsr(struct vcpu *v, struct vmexit *x)
{
	uint64_t value;

	if (msr_read(v, (uint32_t)v->gpr[VCPU_REGS_RCX], &value) != 0)
		return (exit_inject(v, VMM_EX_GP));
	v->gpr[VCPU_REGS_RAX] = (uint32_t)value;
	v->gpr[VCPU_REGS_RDX] = value >> 32;
	vcpu_skip(v, x->insn_len);
	return (EXIT_RESUME);
}

/* EDX:EAX, what WRMSR and XSETBV write. */
static uint64_t
exit_edx_eax(const struct vcpu *v)
{
	return (v->gpr[VCPU_REGS_RDX] << 32 |
	    (uint32_t)v->gpr[VCPU_REGS_RAX]);
}

/* v->lock keeps WRITEVMPARAMS of another thread off the pvclock. */
static int
exit_wrmsr(struct vcpu *v, struct vmexit *x)
{
	int error;

	host_mutex_lock(&v->lock);
	error = msr_write(v, (uint32_t)v->gpr[VCPU_REGS_RCX],
	    exit_edx_eax(v));
	host_mutex_unlock(&v->lock);
	if (error == EINVAL)
		return (exit_inject(v, VMM_EX_GP));
	if (error != 0)
		return (error);
	vcpu_skip(v, x->insn_len);
	return (EXIT_RESUME);
}

/*
 * PAE paging keeps the four PDPTEs in the CPU. SVM reads them from memory as
 * it needs them; VMX wants them in the VMCS.
 *	APM Vol. 2 15.25.10 "Legacy PAE Mode"
 * Returns: EINVAL: the instruction that loads them is #GP(0); the errno of
 * gpa_ptr().
 *	SDM Vol. 3A 4.4.1 "PDPTE Registers"
 */
static int
exit_load_pdptes(struct vcpu *v, uint64_t cr0, uint64_t cr4)
{
	uint64_t gpa = hv->cr3(v) & 0xffffffe0, pdpte[4];
	void *p;
	int i, error;

	if (!hv->wants_pdptes || (cr0 & CR0_PG) == 0 || (cr4 & CR4_PAE) == 0 ||
	    (v->efer & EFER_LME) != 0)
		return (0);
	error = gpa_ptr(v->vm, gpa, &p);
	if (error != 0)
		return (error);
	for (i = 0; i < 4; i++)
		pdpte[i] = ATOMIC_GET((uint64_t *)p + i);
	if (!regs_pdptes_valid(pdpte))
		return (EINVAL);
	for (i = 0; i < 4; i++)
		v->pdpte[i] = pdpte[i];
	return (0);
}

/*
 * What long mode wants when paging is turned on with EFER.LME.
 *	APM Vol. 2 14.6.1 "Activating Long Mode"
 *	SDM Vol. 3A 9.8.5 "Initializing IA-32e Mode"
 */
static bool
exit_long_mode_ready(struct vcpu *v)
{
	struct vcpu_segment_info tr;

	hv->segment(v, VCPU_REGS_TR, &tr);
	return ((v->cr4 & CR4_PAE) != 0 && !v->cs_l &&
	    (tr.vsi_ar & 0xf) != AR_TSS_16);
}

/*
 * MOV to CR0, LMSW, CLTS.
 * Returns: EINVAL: the instruction is #GP(0); the errno of
 * exit_load_pdptes().
 *	APM Vol. 2 3.1.1 "CR0 Register"
 */
static int
exit_cr0_write(struct vcpu *v, uint64_t cr0)
{
	bool paging = (cr0 & CR0_PG) != 0;
	bool was = (v->cr0 & CR0_PG) != 0;
	uint64_t efer = v->efer & ~EFER_LMA;
	int error;

	if (cr0 >> 32 != 0 || (paging && (cr0 & CR0_PE) == 0) ||
	    ((cr0 & CR0_NW) != 0 && (cr0 & CR0_CD) == 0))
		return (EINVAL);
	cr0 = (cr0 & CR0_DEFINED) | CR0_ET;
	if (paging && !was && (efer & EFER_LME) != 0 &&
	    !exit_long_mode_ready(v))
		return (EINVAL);
	if (!paging && was && vcpu_is_64(v))
		return (EINVAL);
	if (hv->cr_check(cr0, v->cr4) != 0)
		return (EINVAL);
	if (((cr0 ^ v->cr0) & CR0_PDPTES) != 0 &&
	    (error = exit_load_pdptes(v, cr0, v->cr4)) != 0)
		return (error);
	if (paging && (efer & EFER_LME) != 0)
		efer |= EFER_LMA;
	if (((cr0 ^ v->cr0) & CR0_FLUSH) != 0)
		hv->tlb_flush(v);
	v->cr0 = cr0;
	v->efer = efer;
	v->dirty |= DIRTY_CR;
	return (0);
}

/*
 * MOV to CR4.
 * Returns: EINVAL: the instruction is #GP(0): a bit whose feature CPUID does
 * not show, or PAE cleared in long mode; the errno of exit_load_pdptes().
 *	APM Vol. 2 3.1.3 "CR4 Register"
 */
static int
exit_cr4_write(struct vcpu *v, uint64_t cr4)
{
	int error;

	if ((cr4 & ~regs_cr4_allowed()) != 0)
		return (EINVAL);
	if ((v->efer & EFER_LMA) != 0 && (cr4 & CR4_PAE) == 0)
		return (EINVAL);
	if (hv->cr_check(v->cr0, cr4) != 0)
		return (EINVAL);
	if (((cr4 ^ v->cr4) & CR4_PDPTES) != 0 &&
	    (error = exit_load_pdptes(v, v->cr0, cr4)) != 0)
		return (error);
	hv->tlb_flush(v);
	v->cr4 = cr4;
	v->dirty |= DIRTY_CR;
	return (0);
}

static int
exit_cr_write(struct vcpu *v, uint8_t reg, uint64_t value)
{
	switch (reg) {
	case 0:
		return (exit_cr0_write(v, value));
	case 4:
		return (exit_cr4_write(v, value));
	case 8:
		if (value > 15)
			return (EINVAL);
		v->cr8 = value;
		return (0);
	default:
		return (EINVAL);
	}
}

/* Decode a control or debug register access that the CPU did not. */
static int
exit_reg_decode(struct vcpu *v, struct vmexit *x, struct insn *in)
{
	static const uint8_t op[INSN_NOPS] = {
		[INSN_MOV_FROM_CR] = REG_READ, [INSN_MOV_FROM_DR] = REG_READ,
		[INSN_MOV_TO_CR] = REG_WRITE, [INSN_MOV_TO_DR] = REG_WRITE,
		[INSN_CLTS] = REG_CLTS, [INSN_LMSW] = REG_LMSW,
		[INSN_SMSW] = REG_SMSW,
	};
	struct vmexit_reg *r = &x->u.reg;
	int error;

	error = exit_fetch(v, x, in);
	if (error != 0)
		return (error);
	r->gpr = in->gpr;
	r->reg = in->reg;
	r->op = op[in->op];
	return (r->op != REG_NONE ? 0 : EINVAL);
}

/*
 * The operand of LMSW, read, or of SMSW, written: 16 bits in memory.
 * Returns: EXIT_AGAIN: a fault was queued; EINVAL: MPROTECT_EPT forbids it;
 * the errno of gpa_ptr().
 */
static int
exit_msw_memory(struct vcpu *v, const struct insn *in, bool store,
    uint16_t *msw)
{
	struct gmem_fault fault;
	uint8_t vector;
	int error;

	vector = insn_segment_fault(v, in, sizeof(*msw), store);
	if (vector != 0) {
		vcpu_exception(v, vector, 0);
		return (EXIT_AGAIN);
	}
	error = store ?
	    gmem_write(v, insn_ea(v, in), msw, sizeof(*msw), &fault) :
	    gmem_read(v, insn_ea(v, in), msw, sizeof(*msw), GMEM_R, &fault);
	if (error == EFAULT && fault.event.valid) {
		vcpu_fault(v, &fault.event, fault.cr2);
		return (EXIT_AGAIN);
	}
	return (error);
}

/* LMSW takes 16 bits; SMSW stores 16 in memory, 16, 32 or 64 in a register. */
static int
exit_msw(struct vcpu *v, const struct insn *in, struct vmexit_reg *r)
{
	uint64_t *g = &v->gpr[in->gpr];

	r->value = (uint16_t)(r->op == REG_SMSW ? v->cr0 : *g);
	if (in->mem)
		return (exit_msw_memory(v, in, r->op == REG_SMSW, &r->value));
	if (r->op == REG_SMSW)
		*g = in->opsize == 8 ? v->cr0 : in->opsize == 4 ?
		    (uint32_t)v->cr0 : (*g & ~0xffffULL) | r->value;
	return (0);
}

/*
 * Any access to CR0, CR4 or CR8 that exits.
 */
static int
exit_cr(struct vcpu *v, struct vmexit *x)
{
	struct vmexit_reg *r = &x->u.reg;
	struct insn in = { .mem = false };
	uint64_t mask = vcpu_is_64(v) ? ~0ULL : 0xffffffffULL;
	int error = 0;

	if (!r->decoded) {
		error = exit_reg_decode(v, x, &in);
		if (error == 0 && (r->op == REG_LMSW || r->op == REG_SMSW))
			error = exit_msw(v, &in, r);
		if (error != 0)
			return (error);
	}
	switch (r->op) {
	case REG_READ:
		v->gpr[r->gpr] = mask & (r->reg == 0 ? v->cr0 :
		    r->reg == 4 ? v->cr4 : v->cr8);
		break;
	case REG_WRITE:
		error = exit_cr_write(v, r->reg, v->gpr[r->gpr] & mask);
		break;
	case REG_CLTS:
		error = exit_cr0_write(v, v->cr0 & ~CR0_TS);
		break;
	case REG_LMSW:		/* can set PE but not clear it */
		error = exit_cr0_write(v, (v->cr0 & ~0xeULL) |
		    (r->value & 0xf));
		break;
	}
	if (error == EINVAL)
		return (exit_inject(v, VMM_EX_GP));
	if (error != 0)
		return (error);
	vcpu_skip(v, x->insn_len);
	return (EXIT_RESUME);
}

/*
 * MOV to or from a debug register. The guest's are in struct vcpu; the CPU
 * holds them only while the guest has a breakpoint enabled.
 *	APM Vol. 2 13.1.1 "Debug Registers"
 */
static int
exit_dr(struct vcpu *v, struct vmexit *x)
{
	struct vmexit_reg *r = &x->u.reg;
	uint64_t *dr, mask = vcpu_is_64(v) ? ~0ULL : 0xffffffffULL, value;
	struct insn in;
	int error = 0;

	if (!r->decoded) {
		error = exit_reg_decode(v, x, &in);
		if (error != 0)
			return (error);
	}
	if (r->reg == 4 || r->reg == 5) {	/* aliases without CR4.DE */
		if ((v->cr4 & CR4_DE) != 0)
			return (exit_inject(v, VMM_EX_UD));
		r->reg += 2;
	}
	if (r->reg > 7)
		return (exit_inject(v, VMM_EX_UD));
	v->dirty |= DIRTY_DR;
	if ((v->dr7 & DR7_GD) != 0) {		/* the access itself traps */
		v->dr7 &= ~DR7_GD;
		v->dr6 |= DR6_BD;
		return (exit_inject(v, VMM_EX_DB));
	}
	dr = r->reg < 4 ? &v->dr[r->reg] : r->reg == 6 ? &v->dr6 : &v->dr7;
	value = v->gpr[r->gpr] & mask;
	if (r->op == REG_READ)
		v->gpr[r->gpr] = *dr & mask;
	else if (r->reg < 4)
		*dr = value;
	else if (value >> 32 != 0)
		return (exit_inject(v, VMM_EX_GP));
	else if (r->reg == 6)
		*dr = (value & DR6_WRITABLE) | DR6_INIT;
	else
		*dr = (value & DR7_WRITABLE) | DR7_INIT;
	vcpu_skip(v, x->insn_len);
	return (EXIT_RESUME);
}

/*
 * XSETBV: only XCR0 exists, for CPL 0, with what the guest may have.
 *	APM Vol. 4 "XSETBV"
 */
static int
exit_xsetbv(struct vcpu *v, struct vmexit *x)
{
	if (hv->cpl(v) != 0 || (uint32_t)v->gpr[VCPU_REGS_RCX] != 0 ||
	    !regs_xcr0_valid(exit_edx_eax(v)))
		return (exit_inject(v, VMM_EX_GP));
	v->xcr0 = exit_edx_eax(v);
	vcpu_skip(v, x->insn_len);
	return (EXIT_RESUME);
}

/*
 * A nested page fault: the first touch of a page, an access that
 * MPROTECT_EPT forbade, one that another VCPU's exit made legal already, or
 * the first instruction from a large leaf that the CPU may not execute: there
 * the leaf is split, and its parts are given what it was allowed.
 */
static int
exit_npf(struct vcpu *v, struct vmexit *x)
{
	const struct vmexit_npf *npf = &x->u.npf;
	struct npt *npt = &v->vm->npt;
	struct npt_leaf leaf;
	uint64_t hpa;
	bool mapped;
	int error = 0;

	host_mutex_lock(&v->vm->lock);
	mapped = npt_lookup(npt, npf->gpa, &leaf);
	if (mapped && npf->access == NPT_X && (leaf.prot & NPT_X) != 0 &&
	    leaf.order > ORDER_4K && npt->fmt->withheld != 0)
		error = npt_protect(npt, npf->gpa & ~(PAGE_SIZE_4K - 1),
		    PAGE_SIZE_4K, leaf.prot);
	host_mutex_unlock(&v->vm->lock);
	if (error != 0)
		return (error);
	if (!mapped)
		return (vm_fault(v->vm, npf->gpa, &hpa));
	if ((leaf.prot & npf->access) == npf->access) {
		hv->tlb_flush(v);	/* a stale entry of this VCPU */
		return (EXIT_RESUME);
	}
	v->exit.vee.vee_fault_type = VEE_FAULT_PROTECT;
	return (EXIT_USER);
}

/*
 * #DB and #AC exit so that a guest that faults for ever in delivering them
 * comes back to the host each time; they are given to the guest as they are.
 * An event that was being delivered waits: an interrupt in the set, an
 * exception comes again by itself.
 *	APM Vol. 2 15.12 "Exception Intercepts"
 */
static int
exit_exception(struct vcpu *v, struct vmexit *x)
{
	if (v->event.valid && v->event.type == EVENT_INTR)
		vcpu_irq_put(v, v->event.vector);
	v->event = x->u.event;
	return (EXIT_RESUME);
}

/* An exit on an instruction whose length its handler needs. */
#define KIND(k)		(1U << VMEXIT_##k)
#define KINDS_SKIPPED	(KIND(CPUID) | KIND(HLT) | KIND(RDMSR) | \
			 KIND(WRMSR) | KIND(XSETBV) | KIND(NOP))

/* RUN's one switch: act on an exit. */
static int
exit_dispatch(struct vcpu *v, struct vmexit *x)
{
	struct insn in;
	int error;

	if (x->insn_len == 0 && (KINDS_SKIPPED >> x->kind & 1) != 0) {
		error = exit_fetch(v, x, &in);
		if (error != 0)
			return (error);
	}
	switch (x->kind) {
	case VMEXIT_INTR:
	case VMEXIT_NMI:
	case VMEXIT_MCE:
	case VMEXIT_TIMER:
	case VMEXIT_WINDOW:
		return (EXIT_RESUME);
	case VMEXIT_CPUID:
		return (exit_cpuid(v, x));
	case VMEXIT_HLT:
		return (exit_hlt(v, x));
	case VMEXIT_IO:
		return (exit_io(v, x));
	case VMEXIT_RDMSR:
		return (exit_rdmsr(v, x));
	case VMEXIT_WRMSR:
		return (exit_wrmsr(v, x));
	case VMEXIT_CR:
		return (exit_cr(v, x));
	case VMEXIT_DR:
		return (exit_dr(v, x));
	case VMEXIT_XSETBV:
		return (exit_xsetbv(v, x));
	case VMEXIT_NPF:
		return (exit_npf(v, x));
	case VMEXIT_EXCEPTION:
		return (exit_exception(v, x));
	case VMEXIT_UD:
		return (exit_inject(v, VMM_EX_UD));
	case VMEXIT_GP:
		return (exit_inject(v, VMM_EX_GP));
	case VMEXIT_NOP:	/* INVD, WBINVD: the caches are the host's */
		vcpu_skip(v, x->insn_len);
		return (EXIT_RESUME);
	case VMEXIT_SHUTDOWN:
		return (EXIT_USER);
	case VMEXIT_ENTRY_FAILED:
		/* A debug build has checked before. */
		if (!CHECK_ENTRIES && !hv->check(v, false, &v->broken))
			v->broken.rule = NULL;
		exit_explain(v, "entry");
		return (EINVAL);
	default:		/* VMEXIT_TASK_SWITCH, VMEXIT_UNKNOWN */
		return (EINVAL);
	}
}

const char *const vmexit_name[VMEXIT_NKINDS] = {
#define K(name)	#name,
	VMEXIT_KINDS(K)
#undef K
};

/* Say which of the manual's rules v->broken is, and what keeps it. */
void
exit_explain(struct vcpu *v, const char *what)
{
	const struct entry_rule *r = v->broken.rule;

	if (r == NULL) {
		vmm_log("vm %u vcpu %u: %s refused; no rule that the driver "
		    "knows is broken", v->vm->id, v->id, what);
		return;
	}
	vmm_log("vm %u vcpu %u: %s refused by rule %s: %s is %#llx", v->vm->id,
	    v->id, what, r->id, r->field, (unsigned long long)v->broken.value);
	vmm_log("  allowed: %s", r->allowed);
	vmm_log("  %s", r->section);
}

/* Log once why a VCPU ends, with its registers. */
static void
exit_log(struct vcpu *v, const struct vmexit *x, int error)
{
	static const char name[VCPU_REGS_NGPRS][4] = {
		"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
		"r11", "r12", "r13", "r14", "r15", "rsp", "rbp", "rip", "rfl",
	};
	int i;

	vmm_log("vm %u vcpu %u ends with error %d: exit %#llx info %#llx "
	    "%#llx, cr0 %llx cr3 %llx cr4 %llx efer %llx", v->vm->id, v->id,
	    error, (unsigned long long)x->code,
	    (unsigned long long)x->info[0], (unsigned long long)x->info[1],
	    (unsigned long long)v->cr0, (unsigned long long)hv->cr3(v),
	    (unsigned long long)v->cr4, (unsigned long long)v->efer);
	for (i = 0; i < VCPU_REGS_NGPRS; i += 3)
		vmm_log("  %s %016llx  %s %016llx  %s %016llx",
		    name[i], (unsigned long long)v->gpr[i],
		    name[i + 1], (unsigned long long)v->gpr[i + 1],
		    name[i + 2], (unsigned long long)v->gpr[i + 2]);
}

/*
 * Act on an exit.
 * Returns: EXIT_RESUME, EXIT_USER, or the errno that ends the VCPU.
 */
int
exit_handle(struct vcpu *v, struct vmexit *x)
{
	int error = exit_dispatch(v, x);

	if (error > 0)
		exit_log(v, x, error);
	return (error == EXIT_AGAIN ? EXIT_RESUME : error);
}
