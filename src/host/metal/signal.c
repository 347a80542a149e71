/* SPDX-License-Identifier: ISC */
/*
 * signal.c - signals to threads and to the process, delivered on the way
 * back to ring 3 with the stack layout of Linux x86-64.
 */
#include <string.h>

#include "metal.h"
#include "syscall.h"

#define SIG_DFL		0
#define SIG_IGN		1
#define SIGSTOP		19
#define UNBLOCKABLE	(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))
#define DFL_IGNORED	(SIGBIT(17) | SIGBIT(18) | SIGBIT(23) | SIGBIT(28))
#define SA_ONSTACK	0x08000000UL
#define SA_RESTART	0x10000000UL
#define SA_NODEFER	0x40000000UL
#define SA_RESETHAND	0x80000000UL
#define SS_DISABLE	2
#define SI_TKILL	(-6)
#define SEGV_MAPERR	1
#define RED_ZONE	128
/* What a client may change of RFLAGS: AC, NT, OF, DF, TF, SF ZF AF PF CF. */
#define RFLAGS_USER	0x44dd5UL

struct ucontext {
	uint64_t	flags, link;
	struct {
		uint64_t	sp;
		int32_t		flags, pad;
		uint64_t	size;
	} stack;
	uint64_t	r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp,
			rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t	cs, gs, fs, ss;
	uint64_t	err, trapno, oldmask, cr2, fpstate, reserved[8];
	uint64_t	mask;
};

struct sigframe {
	uint64_t	restorer;	/* the handler's return address */
	struct ucontext	uc;
	struct {
		int32_t		signo, errno_, code, pad;
		uint64_t	addr_or_pid;
		uint8_t		rest[104];
	} info;
};
_Static_assert(offsetof(struct ucontext, mask) == 296, "Linux's ucontext");

static bool
ignored(int sig)
{
	uint64_t h = proc.act[sig - 1].handler;

	return (h == SIG_IGN ||
	    (h == SIG_DFL && (DFL_IGNORED & SIGBIT(sig)) != 0));
}

/* Ends a sleep if there is a signal now. Returns: the thread takes one. */
static bool
poke(struct thread *t)
{
	if (t->state == T_DEAD || !signal_pending(t))
		return (false);
	if (t->state == T_SLEEPING && t->interruptible) {
		t->state = T_READY;
		t->wake_error = EINTR;
	}
	return (true);
}

/* To a thread, or to whichever thread takes it first if t is NULL. */
void
signal_send(struct thread *t, int sig)
{
	if (ignored(sig))
		return;
	if (t != NULL) {
		t->pending |= SIGBIT(sig);
		poke(t);
		return;
	}
	proc.pending |= SIGBIT(sig);
	t = cur;
	do
		t = t->next;
	while (!poke(t) && t != cur);
}

/* One that the calling thread has caused and cannot put off. */
void
signal_force(int sig, uint64_t addr)
{
	if ((cur->mask & SIGBIT(sig)) != 0 || ignored(sig)) {
		proc.act[sig - 1].handler = SIG_DFL;
		cur->mask &= ~SIGBIT(sig);
	}
	cur->fault_addr = addr;
	cur->pending |= SIGBIT(sig);
}

/* The FPU state of the calling thread, in its area and not in the CPU. */
static void *
fpu_state(void)
{
	if (fpu_owner == cur) {
		fpu_store(cur->fpu);
		fpu_owner = NULL;
	}
	return (cur->fpu);
}

/*
 * Makes ring 3 run a handler.
 * Returns: EFAULT: no stack to do it on.
 */
static int
push_frame(struct frame *f, int sig, const struct sigaction *act)
{
	uint64_t sp = f->rsp - RED_ZONE, fp, mask = cur->mask;
	struct sigframe s = {
		.restorer = act->restorer,
		.uc = {
			.stack = { cur->altstack,
			    cur->altsize != 0 ? 0 : SS_DISABLE, 0,
			    cur->altsize },
			.r8 = f->r8, .r9 = f->r9, .r10 = f->r10,
			.r11 = f->r11, .r12 = f->r12, .r13 = f->r13,
			.r14 = f->r14, .r15 = f->r15, .rdi = f->rdi,
			.rsi = f->rsi, .rbp = f->rbp, .rbx = f->rbx,
			.rdx = f->rdx, .rax = f->rax, .rcx = f->rcx,
			.rsp = f->rsp, .rip = f->rip, .rflags = f->rflags,
			.cs = UCODE_SEL, .ss = UDATA_SEL,
			.err = f->err, .trapno = f->vec,
			.cr2 = cur->fault_addr,
		},
		.info = {
			.signo = sig,
			.code = f->vec < VEC_IRQ0 ? SEGV_MAPERR : SI_TKILL,
			.addr_or_pid = f->vec < VEC_IRQ0 ? cur->fault_addr :
			    1,
		},
	};

	if ((act->flags & SA_ONSTACK) != 0 && cur->altsize != 0 &&
	    f->rsp - cur->altstack >= cur->altsize)
		sp = cur->altstack + cur->altsize;
	fp = round_down(sp - fpu_size, 64UL);
	sp = round_down(fp - sizeof(s), 16UL) - 8;
	if (cur->restore_mask)
		mask = cur->saved_mask;
	cur->restore_mask = false;
	s.uc.mask = mask;
	s.uc.fpstate = fp;
	if (act->handler >= USER_MAX ||
	    host_copyout(fpu_state(), fp, fpu_size) != 0 ||
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
	bool restart = f->vec == VEC_SYSCALL && f->rax == -(uint64_t)ERESTART;
	struct sigaction act;
	int sig;

	if ((set & SIGBIT(SIGKILL)) != 0)
		proc_exit(128 + SIGKILL);
	sig = __builtin_ctzl(set) + 1;
	if ((cur->pending & SIGBIT(sig)) != 0)
		cur->pending &= ~SIGBIT(sig);
	else
		proc.pending &= ~SIGBIT(sig);
	act = proc.act[sig - 1];
	if (restart) {
		f->rax = -EINTR;
		if (ignored(sig) || (act.flags & SA_RESTART) != 0) {
			f->rax = f->err;
			f->rip -= 2;		/* SYSCALL is 0F 05 */
		}
	}
	if (ignored(sig))
		return;
	if (act.handler != SIG_DFL && push_frame(f, sig, &act) == 0) {
		cur->mask |= (act.mask | (act.flags & SA_NODEFER ? 0 :
		    SIGBIT(sig))) & ~UNBLOCKABLE;
		if ((act.flags & SA_RESETHAND) != 0)
			proc.act[sig - 1].handler = SIG_DFL;
		return;
	}
	kprintf("metal: thread %d killed by signal %d at rip %#lx, "
	    "address %#lx, rsp %#lx\n", cur->tid, sig, f->rip,
	    f->vec < VEC_IRQ0 ? cur->fault_addr : 0, f->rsp);
	proc_exit(128 + sig);
}

/* The end of a handler: everything as it was, or as the handler left it. */
long
sys_rt_sigreturn(void)
{
	struct frame *f = thread_frame(cur);
	uint8_t *fpu = fpu_state();
	struct ucontext uc;

	if (host_copyin(f->rsp, &uc, sizeof(uc)) != 0 || uc.rip >= USER_MAX ||
	    (uc.fpstate != 0 && host_copyin(uc.fpstate, fpu, fpu_size) != 0)) {
		signal_force(SIGKILL, f->rip);
		return (0);
	}
	/* XRSTOR must not fault: MXCSR and the XSAVE header are checked. */
	*(uint32_t *)(fpu + 24) &= 0xffbf;
	if (host_xcr0 != 0) {
		*(uint64_t *)(fpu + 512) &= host_xcr0;
		memset(fpu + 520, 0, 56);
	}
	*f = (struct frame){
		.r8 = uc.r8, .r9 = uc.r9, .r10 = uc.r10, .r11 = uc.r11,
		.r12 = uc.r12, .r13 = uc.r13, .r14 = uc.r14, .r15 = uc.r15,
		.rdi = uc.rdi, .rsi = uc.rsi, .rbp = uc.rbp, .rbx = uc.rbx,
		.rdx = uc.rdx, .rcx = uc.rcx, .rsp = uc.rsp, .rip = uc.rip,
		.rflags = (uc.rflags & RFLAGS_USER) | RFLAGS_IF | 2,
		.cs = UCODE_SEL, .ss = UDATA_SEL, .vec = VEC_IRET,
	};
	cur->mask = uc.mask & ~UNBLOCKABLE;
	return (uc.rax);
}

long
sys_rt_sigaction(uint64_t sig, uint64_t new, uint64_t old, uint64_t size)
{
	struct sigaction act;

	if (sig < 1 || sig > NSIG || size != 8 ||
	    (new != 0 && (UNBLOCKABLE & SIGBIT(sig)) != 0))
		return (-EINVAL);
	if (new != 0 && host_copyin(new, &act, sizeof(act)) != 0)
		return (-EFAULT);
	if (old != 0 && host_copyout(&proc.act[sig - 1], old,
	    sizeof(act)) != 0)
		return (-EFAULT);
	if (new != 0)
		proc.act[sig - 1] = act;
	return (0);
}

long
sys_rt_sigprocmask(uint64_t how, uint64_t new, uint64_t old, uint64_t size)
{
	uint64_t set, before = cur->mask;

	if (size != 8)
		return (-EINVAL);
	if (new != 0) {
		if (host_copyin(new, &set, sizeof(set)) != 0)
			return (-EFAULT);
		set &= ~UNBLOCKABLE;
		switch (how) {
		case 0:
			cur->mask |= set;
			break;
		case 1:
			cur->mask &= ~set;
			break;
		case 2:
			cur->mask = set;
			break;
		default:
			return (-EINVAL);
		}
	}
	if (old != 0 && host_copyout(&before, old, sizeof(before)) != 0)
		return (-EFAULT);
	return (0);
}

/* A mask for this call only; a handler's end restores the one before. */
int
signal_swap_mask(uint64_t umask, uint64_t size)
{
	uint64_t set;

	if (size != 8)
		return (EINVAL);
	if (host_copyin(umask, &set, sizeof(set)) != 0)
		return (EFAULT);
	cur->saved_mask = cur->mask;
	cur->restore_mask = true;
	cur->mask = set & ~UNBLOCKABLE;
	return (0);
}

long
sys_rt_sigsuspend(uint64_t umask, uint64_t size)
{
	int error = signal_swap_mask(umask, size);

	while (error == 0)
		error = sleep_on(cur, 0, true);
	return (-error);
}

long
sys_rt_sigpending(uint64_t uset, uint64_t size)
{
	uint64_t set = (cur->pending | proc.pending) & cur->mask;

	return (size != 8 ? -EINVAL : -host_copyout(&set, uset, sizeof(set)));
}

long
sys_sigaltstack(uint64_t new, uint64_t old)
{
	struct { uint64_t sp; int32_t flags, pad; uint64_t size; } s = {
		cur->altstack, cur->altsize != 0 ? 0 : SS_DISABLE, 0,
		cur->altsize,
	};

	if (old != 0 && host_copyout(&s, old, sizeof(s)) != 0)
		return (-EFAULT);
	if (new == 0)
		return (0);
	if (host_copyin(new, &s, sizeof(s)) != 0)
		return (-EFAULT);
	cur->altstack = s.sp;
	cur->altsize = s.flags & SS_DISABLE ? 0 : s.size;
	return (0);
}

/* There is one process; its id is 1, and 0 means it as well. */
long
sys_kill(uint64_t pid, uint64_t sig)
{
	if ((int32_t)pid > 1 || (int32_t)pid < -1)
		return (-ESRCH);
	if (sig > NSIG)
		return (-EINVAL);
	if (sig != 0)
		signal_send(NULL, sig);
	return (0);
}

long
sys_tkill(uint64_t tid, uint64_t sig)
{
	struct thread *t = thread_find(tid);

	if (sig > NSIG)
		return (-EINVAL);
	if (t == NULL)
		return (-ESRCH);
	if (sig != 0)
		signal_send(t, sig);
	return (0);
}

long
sys_tgkill(uint64_t pid, uint64_t tid, uint64_t sig)
{
	return (pid != 1 ? -ESRCH : sys_tkill(tid, sig));
}
