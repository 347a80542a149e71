/* SPDX-License-Identifier: ISC */
/*
 * syscall.c - the system calls' table, and those of a few lines.
 */
#include "metal.h"

enum { TIMER_ABSTIME = 1, CLOCK_MAX = 11 };
enum {
	SYS_SCHED_YIELD = 24, SYS_GETPID = 39, SYS_GETTID = 186,
	SYS_SET_TID_ADDRESS = 218, SYS_CLOCK_NANOSLEEP = 230,
	SYS_EXIT_GROUP = 231,
};

/* Nanoseconds of a struct timespec. Returns: 0, EFAULT, EINVAL. */
int
time_copyin(uint64_t uts, uint64_t *ns)
{
	uint64_t ts[2];

	if (host_copyin(uts, ts, sizeof(ts)) != 0)
		return (EFAULT);
	if ((int64_t)ts[0] < 0 || ts[1] >= NSEC)
		return (EINVAL);
	*ns = min(ts[0], UINT64_MAX / NSEC / 4) * NSEC + ts[1];
	return (0);
}

/* The other way. Returns: 0, EFAULT. */
static int
time_copyout(uint64_t ns, uint64_t uts)
{
	uint64_t ts[2] = { ns / NSEC, ns % NSEC };

	return (host_copyout(ts, uts, sizeof(ts)));
}

/* Every clock counts from boot: nobody sets this machine's date. */
static long
sys_clock_gettime(struct frame *f)
{
	return (f->rdi > CLOCK_MAX ? -EINVAL :
	    -time_copyout(host_time_ns(), f->rsi));
}

/* nanosleep(ts, left) and clock_nanosleep(clock, flags, ts, left). */
static long
sys_nanosleep(struct frame *f)
{
	bool clock = f->rax == SYS_CLOCK_NANOSLEEP;
	bool absolute = clock && (f->rsi & TIMER_ABSTIME) != 0;
	uint64_t deadline, left = clock ? f->r10 : f->rsi;
	int error = time_copyin(clock ? f->rdx : f->rdi, &deadline);

	if (error != 0)
		return (-error);
	deadline += absolute ? 0 : host_time_ns();
	while (host_time_ns() < deadline)
		if (sleep_on(cur, deadline, true) == EINTR)
			return (left != 0 && !absolute &&
			    time_copyout(deadline - min(host_time_ns(),
			    deadline), left) != 0 ? -EFAULT : -EINTR);
	return (0);
}

/* The calls that need one line; ids are those of the only user. */
static long
sys_simple(struct frame *f)
{
	switch (f->rax) {
	case SYS_SCHED_YIELD:
		schedule();
		return (0);
	case SYS_GETPID:
		return (1);
	case SYS_SET_TID_ADDRESS:
		cur->clear_tid = f->rdi;
		/* FALLTHROUGH */
	case SYS_GETTID:
		return (cur->tid);
	case SYS_EXIT_GROUP:
		proc_exit(f->rdi & 0xff);
	}
	return (0);
}

/* A call that is not in the table, told once for each number. */
static long
no_syscall(struct frame *f)
{
	static bool told[512];

	if (f->rax < ARRAY_LEN(told) && !told[f->rax]) {
		told[f->rax] = true;
		kprintf("metal: system call %lu is not implemented\n", f->rax);
	}
	return (-ENOSYS);
}

/* Linux x86-64 numbers. */
static syscall_fn *const table[] = {
	/* read, write, close, lseek, readv, writev */
	[0] = sys_fd, [1] = sys_fd, [3] = sys_fd, [8] = sys_fd,
	[19] = sys_fd, [20] = sys_fd, [16] = sys_ioctl,
	/* dup, dup2, fcntl, dup3 */
	[32] = sys_fd, [33] = sys_fd, [72] = sys_fd, [292] = sys_fd,
	[2] = sys_open, [257] = sys_open, [7] = sys_poll,
	/* mprotect, munmap, madvise */
	[10] = sys_memory, [11] = sys_memory, [28] = sys_memory,
	[9] = sys_mmap,
	[13] = sys_rt_sigaction, [14] = sys_rt_sigprocmask,
	[15] = sys_rt_sigreturn,
	/* kill, tkill, tgkill */
	[62] = sys_kill, [200] = sys_kill, [234] = sys_kill,
	[35] = sys_nanosleep, [56] = sys_clone, [60] = sys_exit,
	[158] = sys_arch_prctl, [202] = sys_futex,
	[228] = sys_clock_gettime, [SYS_CLOCK_NANOSLEEP] = sys_nanosleep,
	[SYS_SCHED_YIELD] = sys_simple, [SYS_GETPID] = sys_simple,
	[SYS_GETTID] = sys_simple, [SYS_SET_TID_ADDRESS] = sys_simple,
	[SYS_EXIT_GROUP] = sys_simple,
	/* brk, which never moves: the C library uses mmap then */
	[12] = sys_simple,
	/* getuid, getgid, geteuid, getegid, getppid, set_robust_list */
	[102] = sys_simple, [104] = sys_simple, [107] = sys_simple,
	[108] = sys_simple, [110] = sys_simple, [273] = sys_simple,
};

/*
 * Number in RAX, arguments in RDI RSI RDX R10 R8 R9. A call that a signal
 * has broken off is made again, unless signal_deliver() decides otherwise.
 */
void
syscall_dispatch(struct frame *f)
{
	syscall_fn *fn = f->rax < ARRAY_LEN(table) ? table[f->rax] : NULL;

	f->rax = fn != NULL ? fn(f) : no_syscall(f);
	if (f->rax == -(uint64_t)ERESTART) {
		f->rax = f->err;
		f->rip -= SYSCALL_LEN;
		f->vec = VEC_RESTART;
	}
	user_return(f);
}
