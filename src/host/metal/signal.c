/* SPDX-License-Identifier: ISC */
/*
 * signal.c - signals to threads and to the process, delivered on the way
 * back to ring 3 with the stack layout of Linux x86-64. There is no
 * alternate stack.
 */
#include "metal.h"

enum { SIG_DFL, SIG_IGN };
enum { SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK };
#define UNBLOCKABLE	(SIGBIT(SIGKILL) | SIGBIT(19))	/* SIGSTOP */
#define DFL_IGNORED	(SIGBIT(17) | SIGBIT(18) | SIGBIT(23) | SIGBIT(28))
#define SA_RESTART	0x10000000UL
#define SA_NODEFER	0x40000000UL
#define SA_RESETHAND	0x80000000UL
#define SI_TKILL	(-6)
#define SEGV_MAPERR	1
#define RED_ZONE	128
enum { SYS_KILL = 62, SYS_TGKILL = 234 };
#define NREGS		15		/* r8 .. rcx of struct frame */
/* What a client may change of RFLAGS: AC, NT, OF, DF, TF, SF ZF AF PF CF. */
#define RFLAGS_USER	0x44dd5UL

struct sigframe {
	uint64_t	restorer;	/* the handler's return address */
	struct ucontext {
		uint64_t	flags, link, stack[3];
		uint64_t	regs[NREGS], rsp, rip, rflags;
		uint16_t	cs, gs, fs, ss;
		uint64_t	err, trapno, oldmask, cr2, fpstate, reserved[8];
		uint64_t	mask;
	} uc;
	struct {
		int32_t		signo, error, code, pad;
		uint64_t	addr_or_pid, rest[13];
	} info;
};
_Static_assert(offsetof(struct ucontext, mask) == 296, "Linux's ucontext");
_Static_assert(offsetof(struct frame, vec) == NREGS * 8, "as in ucontext");

/* Nobody wants this signal. */
static bool
ignored(int sig)
{
	uint64_t h = proc.act[sig].handler;

	return (h == SIG_IGN ||
	    (h == SIG_DFL && (DFL_IGNORED & SIGBIT(sig)) != 0));
}

/* To a thread, or to whichever thread takes it first if it is NULL. */
void
signal_send(struct thread *to, int sig)
{
	struct thread *t;

	if (ignored(sig))
		return;
	*(to != NULL ? &to->pending : &proc.pending) |= SIGBIT(sig);
	FOREACH_THREAD(t) {
		if ((to != NULL && t != to) || t->state == T_DEAD ||
		    !signal_pending(t))
			continue;
		if (t->state == T_SLEEPING && t->interruptible) {
			t->state = T_READY;
			t->wake_error = EINTR;
		}
		break;
	}
}

/* One that the calling thread has caused and cannot put off. */
void
signal_force(int sig, uint64_t addr)
{
	if ((cur->mask & SIGBIT(sig)) != 0 || ignored(sig)) {
		proc.act[sig].handler = SIG_DFL;
		cur->mask &= ~SIGBIT(sig);
	}
	cur->fault_addr = addr;
	cur->pending |= SIGBIT(sig);
}

/*
 * Makes ring 3 run a handler. The FPU state goes to the client's stack; the
 * handler begins with a fresh one.
 * Returns: EFAULT: no stack to do it on.
 */
static int
push_frame(struct frame *f, int sig, const struct sigaction *act)
{
	bool fault = f->vec < VEC_IRQ0;
	uint64_t fp = round_down(f->rsp - RED_ZONE - fpu_size, 64UL);
	uint64_t sp = round_down(fp - sizeof(struct sigframe), 16UL) - 8;
	struct sigframe s = {
		.restorer = act->restorer,
		.uc = {
			.rsp = f->rsp, .rip = f->rip, .rflags = f->rflags,
			.fpstate = fp, .mask = cur->mask,
		},
		.info = {
			.signo = sig, .code = fault ? SEGV_MAPERR : SI_TKILL,
			.addr_or_pid = fault ? cur->fault_addr : 1,
		},
	};

	host_fpu_begin();
	memcpy(s.uc.regs, f, sizeof(s.uc.regs));
	if (act->handler >= USER_MAX ||
	    host_copyout(cur->fpu, fp, fpu_size) != 0 ||
	    host_copyout(&s, sp, sizeof(s)) != 0)
		return (EFAULT);
	fpu_fresh(cur->fpu);
	f->rip = act->handler;
	f->rsp = sp;
	f->rflags &= ~(RFLAGS_DF | RFLAGS_TF);
	f->rdi = sig;
	f->rsi = sp + offsetof(struct sigframe, info);
	f->rdx = sp + offsetof(struct sigframe, uc);
	f->rax = 0;
	f->vec = VEC_IRET;
	return (0);
}

/* One pending signal of the calling thread. */
void
signal_deliver(struct frame *f)
{
	uint64_t set = (cur->pending | proc.pending) & ~cur->mask;
	struct sigaction act;
	int sig;

	if ((set & SIGBIT(SIGKILL)) != 0)
		proc_exit(128 + SIGKILL);
	sig = __builtin_ctzl(set) + 1;
	*((cur->pending & SIGBIT(sig)) != 0 ? &cur->pending : &proc.pending) &=
	    ~SIGBIT(sig);
	act = proc.act[sig];
	if (ignored(sig))
		return;
	if (f->vec == VEC_RESTART && (act.flags & SA_RESTART) == 0) {
		f->rax = -EINTR;
		f->rip += SYSCALL_LEN;
	}
	if (act.handler != SIG_DFL && push_frame(f, sig, &act) == 0) {
		cur->mask |= (act.mask | (act.flags & SA_NODEFER ? 0 :
		    SIGBIT(sig))) & ~UNBLOCKABLE;
		if ((act.flags & SA_RESETHAND) != 0)
			proc.act[sig].handler = SIG_DFL;
		return;
	}
	kprintf("metal: thread %d killed by signal %d at rip %#lx, "
	    "address %#lx, rsp %#lx\n", cur->tid, sig, f->rip,
	    f->vec < VEC_IRQ0 ? cur->fault_addr : 0, f->rsp);
	proc_exit(128 + sig);
}

/*
 * The end of a handler: everything as it was, or as the handler left it.
 * MXCSR and the XSAVE header are cleaned, so that XRSTOR cannot fault.
 */
long
sys_rt_sigreturn(struct frame *f)
{
	uint8_t *fpu = cur->fpu;
	struct ucontext uc;

	host_fpu_begin();
	if (host_copyin(f->rsp, &uc, sizeof(uc)) != 0 || uc.rip >= USER_MAX ||
	    host_copyin(uc.fpstate, fpu, fpu_size) != 0) {
		signal_force(SIGSEGV, f->rip);
		return (0);
	}
	*(uint32_t *)(fpu + 24) &= 0xffbf;
	if (cpu_xcr0 != 0) {
		*(uint64_t *)(fpu + 512) &= cpu_xcr0;
		memset(fpu + 520, 0, 56);
	}
	memcpy(f, uc.regs, sizeof(uc.regs));
	f->rsp = uc.rsp;
	f->rip = uc.rip;
	f->rflags = (uc.rflags & RFLAGS_USER) | RFLAGS_IF;
	f->vec = VEC_IRET;
	cur->mask = uc.mask & ~UNBLOCKABLE;
	return (f->rax);
}

/* Returns: 0, -EFAULT, -EINVAL: no such signal, or SIGKILL, SIGSTOP. */
long
sys_rt_sigaction(struct frame *f)
{
	struct sigaction act;
	uint64_t sig = f->rdi;

	if (sig < 1 || sig > NSIG || f->r10 != sizeof(act.mask) ||
	    (f->rsi != 0 && (UNBLOCKABLE & SIGBIT(sig)) != 0))
		return (-EINVAL);
	if ((f->rsi != 0 && host_copyin(f->rsi, &act, sizeof(act)) != 0) ||
	    (f->rdx != 0 && host_copyout(&proc.act[sig], f->rdx,
	    sizeof(act)) != 0))
		return (-EFAULT);
	if (f->rsi != 0)
		proc.act[sig] = act;
	return (0);
}

/* Returns: 0, -EFAULT, -EINVAL. */
long
sys_rt_sigprocmask(struct frame *f)
{
	uint64_t set, before = cur->mask, how = f->rdi;

	if (f->r10 != sizeof(set) || (f->rsi != 0 && how > SIG_SETMASK))
		return (-EINVAL);
	if ((f->rsi != 0 && host_copyin(f->rsi, &set, sizeof(set)) != 0) ||
	    (f->rdx != 0 && host_copyout(&before, f->rdx,
	    sizeof(before)) != 0))
		return (-EFAULT);
	if (f->rsi == 0)
		return (0);
	set = how == SIG_BLOCK ? before | set :
	    how == SIG_UNBLOCK ? before & ~set : set;
	cur->mask = set & ~UNBLOCKABLE;
	return (0);
}

/*
 * kill(pid), tkill(tid), tgkill(pid, tid). There is one process; its id is
 * 1, and for kill() 0 and -1 mean it as well.
 */
long
sys_kill(struct frame *f)
{
	bool kill = f->rax == SYS_KILL, tg = f->rax == SYS_TGKILL;
	int id = tg ? f->rsi : f->rdi;
	uint64_t sig = tg ? f->rdx : f->rsi;
	struct thread *t = NULL;

	if (sig > NSIG)
		return (-EINVAL);
	if (kill ? id > 1 || id < -1 : tg && f->rdi != 1)
		return (-ESRCH);
	if (!kill) {
		FOREACH_THREAD(t)
			if (t->tid == id && t->state != T_DEAD)
				break;
		if (t == NULL)
			return (-ESRCH);
	}
	if (sig != 0)
		signal_send(t, sig);
	return (0);
}
