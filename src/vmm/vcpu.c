/* SPDX-License-Identifier: ISC */
/*
 * vcpu.c - virtual CPUs: their states, their events, and the one run loop.
 *
 * An event reaches the guest in one of three ways, in this order: one whose
 * delivery an exit interrupted (vcpu.event), an exception that an exit
 * handler queued (vcpu.exception), the highest waiting vector (vcpu.irq).
 */
#include <errno.h>
#include <string.h>

#include <insn.h>

#include "vmm.h"

#define VRP_IRQ_NONE	0xFFFF

/* book: vcpu-states */
/* The states of a VCPU. What is not listed changes nothing. */
static const struct vcpu_step {
	uint8_t	event, from, to;
} vcpu_steps[] = {
	{ VCPU_EVENT_RUN,   VCPU_STATE_STOPPED, VCPU_STATE_RUNNING },
	{ VCPU_EVENT_LEAVE, VCPU_STATE_RUNNING, VCPU_STATE_STOPPED },
	{ VCPU_EVENT_LEAVE, VCPU_STATE_REQTERM, VCPU_STATE_TERMINATED },
	{ VCPU_EVENT_FAIL,  VCPU_STATE_RUNNING, VCPU_STATE_TERMINATED },
	{ VCPU_EVENT_FAIL,  VCPU_STATE_REQTERM, VCPU_STATE_TERMINATED },
	{ VCPU_EVENT_TERM,  VCPU_STATE_STOPPED, VCPU_STATE_TERMINATED },
	{ VCPU_EVENT_TERM,  VCPU_STATE_RUNNING, VCPU_STATE_REQTERM },
};
/* book: end */

/*
 * Take a step.
 * Locks: takes v->lock.
 * Returns: the state before.
 */
int
vcpu_move(struct vcpu *v, enum vcpu_event event)
{
	const struct vcpu_step *s;
	size_t i;
	int from;

	host_mutex_lock(&v->lock);
	from = v->state;
	for (i = 0; i < sizeof(vcpu_steps) / sizeof(vcpu_steps[0]); i++) {
		s = &vcpu_steps[i];
		if (s->event == event && s->from == from) {
			ATOMIC_SET(&v->state, s->to);
			break;
		}
	}
	host_mutex_unlock(&v->lock);
	return (from);
}

static void
vcpu_free_memory(struct vcpu *v)
{
	host_page_free(v->trace, TRACE_ORDER);
	host_page_free(v->fpu, 0);
	host_free(v);
}

/*
 * Make a VCPU, STOPPED, its registers as after RESETCPU with zeros.
 * Returns: ENOMEM.
 */
int
vcpu_create(struct vm *vm, uint32_t id, struct vcpu **vp)
{
	struct vcpu *v;
	int error = ENOMEM;

	v = host_alloc(sizeof(*v));
	if (v == NULL)
		return (ENOMEM);
	v->vm = vm;
	v->id = id;
	v->cpu = v->last_cpu = -1;
	v->state = VCPU_STATE_STOPPED;
	v->gpr[VCPU_REGS_RFLAGS] = RFLAGS_MBS;
	v->cr0 = CR0_ET;
	v->dr6 = DR6_INIT;
	v->dr7 = DR7_INIT;
	v->pat = PAT_RESET;
	v->dirty = DIRTY_CR | DIRTY_DR;
	v->fpu = host_page_alloc(0);
	v->trace = host_page_alloc(TRACE_ORDER);
	if (v->fpu != NULL && v->trace != NULL)
		error = hv->vcpu_init(v);
	if (error != 0) {
		vcpu_free_memory(v);
		return (error);
	}
	hv->vcpu_reset(v);
	fpu_reset(v);
	host_mutex_init(&v->lock, "vcpu", RANK_VCPU);
	*vp = v;
	return (0);
}

static void
vcpu_detach_here(void *v)
{
	hv->vcpu_detach(v);
}

/* Make the CPU that the VCPU last ran on forget it, where that matters. */
static void
vcpu_detach(struct vcpu *v)
{
	if (v->last_cpu >= 0 && hv->vcpu_detach != NULL)
		(void)host_cpu_call(v->last_cpu, vcpu_detach_here, v);
	v->last_cpu = -1;
}

/* Free a VCPU that nobody can reach. */
void
vcpu_free(struct vcpu *v)
{
	vcpu_detach(v);
	hv->vcpu_free(v);
	host_mutex_destroy(&v->lock);
	vcpu_free_memory(v);
}

/* Could the CPU enter with these registers? The VCPU's own come back. */
static bool
vcpu_can_enter(struct vcpu *v, const struct vcpu_reg_state *rs)
{
	uint8_t in_pending = v->in_pending;
	struct vcpu_reg_state old;
	bool broken;

	regs_read(v, VM_RWREGS_ALL, &old);
	regs_store(v, VM_RWREGS_ALL, rs);
	broken = hv->check(v, true, &v->broken);
	regs_store(v, VM_RWREGS_ALL, &old);
	v->in_pending = in_pending;
	if (broken)
		exit_explain(v, "RESETCPU");
	return (!broken);
}

/*
 * RESETCPU. Everything of the VCPU is as new but the level of INTR; the
 * rights of guest memory are the VM's and stay.
 * Locks: the caller holds v->lock.
 * Returns: EIO: a register the CPU cannot hold, or a combination of them it
 * cannot enter; nothing changed.
 */
int
vcpu_reset(struct vcpu *v, const struct vcpu_reg_state *init)
{
	struct vcpu_reg_state rs = *init;

	v->broken.rule = NULL;		/* that was another state's */
	/* Whatever was passed; 0 where there is no XSAVE. */
	rs.vrs_crs[VCPU_REGS_XCR0] = fpu_xcr0 & XCR0_X87;
	/* The log names a rule if it can: the manual is asked first. */
	if (regs_check(VM_RWREGS_ALL, &rs) != 0 || !vcpu_can_enter(v, &rs) ||
	    regs_check_state(&rs) != 0)
		return (EIO);
	hv->vcpu_reset(v);
	v->window = false;
	memset(&v->event, 0, sizeof(v->event));
	memset(&v->exception, 0, sizeof(v->exception));
	memset(v->irq, 0, sizeof(v->irq));
	memset(&v->exit, 0, sizeof(v->exit));
	v->irq0 = false;
	v->in_pending = 0;
	v->shadow = false;
	v->pat = PAT_RESET;
	fpu_reset(v);
	pvclock_reset(v);
	regs_store(v, VM_RWREGS_ALL, &rs);
	hv->tlb_flush(v);
	return (0);
}

/*
 * The privilege level: SS.DPL, but for the modes that have none. SVM's
 * attributes and VMX's access rights agree on where DPL is.
 */
int
vcpu_cpl(const struct vcpu *v, uint32_t ss_ar)
{
	if ((v->cr0 & CR0_PE) == 0)
		return (0);
	return ((v->gpr[VCPU_REGS_RFLAGS] & RFLAGS_VM) != 0 ? 3 :
	    ss_ar >> 5 & 3);
}

/* Is the guest in 64-bit mode (and not in compatibility mode)? */
bool
vcpu_is_64(struct vcpu *v)
{
	return ((v->efer & EFER_LMA) != 0 && v->cs_l);
}

/*
 * Queue an exception; the error code counts for the vectors that have one.
 * The frame of a fault has RF set, which the CPU leaves to the driver.
 *	SDM Vol. 3B 17.3.1.1 "Instruction-Breakpoint Exception Condition"
 */
void
vcpu_exception(struct vcpu *v, uint8_t vector, uint32_t error)
{
	const uint32_t has_error = 1U << VMM_EX_DF | 1U << VMM_EX_TS |
	    1U << VMM_EX_NP | 1U << VMM_EX_SS | 1U << VMM_EX_GP |
	    1U << VMM_EX_PF | 1U << VMM_EX_AC;

	if (vector != VMM_EX_DB)
		v->gpr[VCPU_REGS_RFLAGS] |= RFLAGS_RF;
	v->exception.valid = true;
	v->exception.type = EVENT_EXCEPTION;
	v->exception.vector = vector;
	/* In real mode no exception pushes an error code. */
	v->exception.has_error = (has_error >> vector & 1) != 0 &&
	    (v->cr0 & CR0_PE) != 0;
	v->exception.error = v->exception.has_error ? error : 0;
}

/* Queue the exception that a guest access by the driver met. */
void
vcpu_fault(struct vcpu *v, const struct hv_event *fault, uint64_t cr2)
{
	vcpu_exception(v, fault->vector, fault->error);
	if (fault->vector == VMM_EX_PF) {
		v->cr2 = cr2;
		v->dirty |= DIRTY_CR;
	}
}

/* book: vcpu-skip */
/*
 * The guest's instruction of `len` bytes is done: the one place where the
 * driver advances RIP. A completed instruction ends an STI or MOV SS shadow
 * and clears RF; with TF it traps.
 *	APM Vol. 2 13.1.4 "Single Stepping"
 */
void
vcpu_skip(struct vcpu *v, uint8_t len)
{
	uint64_t rip = v->gpr[VCPU_REGS_RIP] + len;

	v->gpr[VCPU_REGS_RIP] = vcpu_is_64(v) ? rip : (uint32_t)rip;
	v->gpr[VCPU_REGS_RFLAGS] &= ~RFLAGS_RF;
	v->shadow = false;
	if ((v->gpr[VCPU_REGS_RFLAGS] & RFLAGS_TF) != 0) {
		v->dr6 |= DR6_BS;
		v->dirty |= DIRTY_DR;
		vcpu_exception(v, VMM_EX_DB, 0);
	}
}
/* book: end */

static bool
vcpu_if(const struct vcpu *v)
{
	return ((v->gpr[VCPU_REGS_RFLAGS] & RFLAGS_IF) != 0);
}

/* Does any vector of vrp_irq wait for its turn? */
bool
vcpu_irq_waiting(const struct vcpu *v)
{
	return ((v->irq[0] | v->irq[1] | v->irq[2] | v->irq[3]) != 0);
}

/* What vrp_irqready says: a vector given to the next RUN is next in line. */
static bool
vcpu_irqready(const struct vcpu *v)
{
	return (vcpu_if(v) && !vcpu_irq_waiting(v) && !v->event.valid);
}

/* Let a vector wait for its turn; 0 is not worth it (decisions.md F18). */
void
vcpu_irq_put(struct vcpu *v, uint8_t vector)
{
	if (vector != 0)
		v->irq[vector / 64] |= 1ULL << vector % 64;
}

/* Take the highest waiting vector out of the set; there is one. */
static uint8_t
vcpu_irq_take(struct vcpu *v)
{
	int word = 3, bit;

	while (v->irq[word] == 0)
		word--;
	bit = 63 - __builtin_clzll(v->irq[word]);
	v->irq[word] &= ~(1ULL << bit);
	return (word * 64 + bit);
}

/*
 * Load the guest's breakpoint addresses, with the host's disarmed. Only while
 * its DR7 enables one: DR accesses exit, so otherwise nothing can tell.
 */
static bool
dr_enter(const struct vcpu *v)
{
	int i;

	if ((v->dr7 & DR7_ENABLED) == 0)
		return (false);
	insn_write_dr(7, DR7_INIT);
	for (i = 0; i < 4; i++)
		insn_write_dr(i, v->dr[i]);
	return (true);
}

/* book: vcpu-deliver */
/* Choose the event of the coming entry into v->event, and the window. */
static void
vcpu_deliver(struct vcpu *v)
{
	bool open = vcpu_if(v) && !v->shadow, window;

	/* An interrupt was cut short, then the client closed IF. */
	if (v->event.valid && v->event.type == EVENT_INTR && !vcpu_if(v)) {
		vcpu_irq_put(v, v->event.vector);
		v->event.valid = false;
	}
	if (v->event.valid) {
		;	/* first what was interrupted */
	} else if (v->exception.valid) {
		v->event = v->exception;
		v->exception.valid = false;
	} else if (open && (v->irq0 || vcpu_irq_waiting(v))) {
		v->event.valid = true;
		v->event.type = EVENT_INTR;
		v->event.has_error = false;
		v->event.vector = vcpu_irq_waiting(v) ? vcpu_irq_take(v) : 0;
	}
	v->irq0 = false;
	if (v->event.valid && v->event.type == EVENT_EXCEPTION &&
	    v->event.vector == VMM_EX_DB) {
		v->dr7 &= ~DR7_GD;	/* as the CPU does on delivery */
		v->dirty |= DIRTY_DR;
	}

	if (v->event.valid)
		hv->inject(v, &v->event);
	window = vcpu_irq_waiting(v) || ATOMIC_GET(&v->intr) != 0;
	if (window != v->window) {
		v->window = window;
		hv->window(v, window);
	}
}
/* book: end */

/* book: vcpu-enter */
/*
 * Enter the guest once.
 * Locks: none.
 * Returns: false: not entered, since the VCPU or its thread has to stop.
 */
static bool
vcpu_enter(struct vcpu *v, struct vmexit *x)
{
	uint64_t gen, rip, begin;
	bool dr;

	for (;;) {
		if (!host_enter_begin())
			return (false);
		if (v->last_cpu < 0 || v->last_cpu == (int)host_cpu_self())
			break;
		host_enter_end();
		vcpu_detach(v);
	}
	v->last_cpu = (int)host_cpu_self();
	/* A stop, INTR or change of rights is seen here, or kicks this CPU. */
	ATOMIC_SET(&v->cpu, v->last_cpu);
	if (ATOMIC_GET(&v->state) != VCPU_STATE_RUNNING) {
		ATOMIC_SET(&v->cpu, -1);
		host_enter_end();
		return (false);
	}
	gen = ATOMIC_GET(&v->vm->npt_gen);
	if (v->npt_gen != gen) {
		v->npt_gen = gen;
		hv->tlb_flush(v);
	}
	vcpu_deliver(v);
	host_fpu_begin();
	fpu_enter(v);
	dr = dr_enter(v);

	rip = v->gpr[VCPU_REGS_RIP];
	host_trace_entry(v->vm->id, v->id, rip);
	begin = insn_rdtsc();
	hv->run(v, x);
	trace_exit(v, x, begin, rip);
	v->event = x->lost;
	v->exits[x->kind]++;
	if (CHECK_ENTRIES && v->broken.rule != NULL &&
	    x->kind != VMEXIT_ENTRY_FAILED)
		vmm_log("vm %u vcpu %u: entered against rule %s", v->vm->id,
		    v->id, v->broken.rule->id);
	host_trace_exit(v->vm->id, v->id, v->gpr[VCPU_REGS_RIP],
	    vmexit_name[x->kind], x->code, x->info);

	host_dr_restore(dr);
	fpu_leave(v);
	host_fpu_end();
	ATOMIC_SET(&v->cpu, -1);
	host_enter_end();
	return (true);
}
/* book: end */

/* book: vcpu-loop */
/*
 * Enter until something is for the client.
 * Returns: 0 with *reason, or RUN's errno.
 */
static int
vcpu_loop(struct vcpu *v, uint16_t *reason)
{
	struct vmexit x;
	int error;

	for (;;) {
		if (!vcpu_enter(v, &x)) {
			*reason = VM_EXIT_NONE;
			return (0);
		}
		error = exit_handle(v, &x);
		if (error == EXIT_USER) {
			*reason = (uint16_t)x.code;
			return (0);
		}
		if (error != EXIT_RESUME)
			return (error);
		if (ATOMIC_GET(&v->intr) && vcpu_irqready(v)) {
			*reason = hv->window_code;
			return (0);
		}
		host_yield();
	}
}
/* book: end */

/*
 * What the client brought: the answer of an IN, and a vector.
 * Returns: EFAULT: vrp_exit is not readable; nothing changed.
 */
static int
vcpu_run_input(struct vcpu *v, const struct vm_run_params *vrp)
{
	uint64_t from = (uintptr_t)vrp->vrp_exit;
	uint8_t irq = (uint8_t)vrp->vrp_irq, last;
	struct vm_exit_inout vei;

	if (vrp->vrp_continue != 0) {
		/* All of it has to be there; this much of it is looked at. */
		if (host_copyin(from, &vei, sizeof(vei)) != 0 ||
		    host_copyin(from + sizeof(v->exit) - 1, &last, 1) != 0)
			return (EFAULT);
		if (vei.vei_dir == VEI_DIR_IN)
			exit_io_merge(&v->gpr[VCPU_REGS_RAX], v->in_pending,
			    vei.vei_data);
	}
	v->in_pending = 0;
	v->irq0 = false;
	if (vrp->vrp_irq != VRP_IRQ_NONE) {
		v->irq0 = irq == 0;
		vcpu_irq_put(v, irq);
	}
	memset(&v->exit.vei, 0, sizeof(v->exit.vei));
	return (0);
}

/* Write vrp_exit: the registers as they are now, and the guest's CPL. */
static int
vcpu_run_output(struct vcpu *v, const struct vm_run_params *vrp)
{
	regs_read(v, VM_RWREGS_ALL, &v->exit.vrs);
	v->exit.cpl = hv->cpl(v);
	if (vrp->vrp_exit == NULL)
		return (EFAULT);
	return (host_copyout(&v->exit, (uintptr_t)vrp->vrp_exit,
	    sizeof(v->exit)));
}

/* book: vcpu-run */
/*
 * RUN.
 * Locks: takes v->lock to change the state, holds none in the guest.
 * Returns: EBUSY: not STOPPED. EFAULT: vrp_exit. EIO: HLT with IF=0. EINVAL:
 * any other exit that ends the VCPU. ENOMEM, EFAULT: a page could not be had.
 */
int
vcpu_run(struct vcpu *v, struct vm_run_params *vrp)
{
	uint16_t reason = VM_EXIT_NONE;
	int error, copy;

	if (vcpu_move(v, VCPU_EVENT_RUN) != VCPU_STATE_STOPPED)
		return (EBUSY);
	v->broken.rule = NULL;		/* that was another entry's */
	error = vcpu_run_input(v, vrp);
	if (error != 0) {
		(void)vcpu_move(v, VCPU_EVENT_LEAVE);
		return (error);
	}
	error = vcpu_loop(v, &reason);
	vrp->vrp_irqready = vcpu_irqready(v);
	copy = vcpu_run_output(v, vrp);
	if (vcpu_move(v, error != 0 ? VCPU_EVENT_FAIL : VCPU_EVENT_LEAVE) ==
	    VCPU_STATE_REQTERM) {
		reason = VM_EXIT_TERMINATED;
		error = 0;
	} else if (error == 0 && reason != VM_EXIT_NONE)
		error = copy;
	vrp->vrp_exit_reason = reason;
	return (error);
}
/* book: end */

/* book: vcpu-kick */
/* Make a VCPU that is in its guest leave it soon. */
void
vcpu_kick(struct vcpu *v)
{
	int cpu = ATOMIC_GET(&v->cpu);

	if (cpu >= 0)
		host_cpu_kick(cpu);
}
/* book: end */
