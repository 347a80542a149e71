/* SPDX-License-Identifier: ISC */
/*
 * syscall.c - the table of system calls, and those of a few lines.
 */
#include <string.h>

#include "metal.h"
#include "syscall.h"

#define NSEC		1000000000UL
#define TIMER_ABSTIME	1
#define RLIMIT_STACK	3
#define RLIMIT_NOFILE	7
#define RLIMIT_MEMLOCK	8

int
time_copyin(uint64_t uts, uint64_t *ns)
{
	struct timespec ts;

	if (host_copyin(uts, &ts, sizeof(ts)) != 0)
		return (EFAULT);
	if (ts.tv_sec < 0 || (uint64_t)ts.tv_nsec >= NSEC)
		return (EINVAL);
	*ns = min((uint64_t)ts.tv_sec, UINT64_MAX / NSEC / 4) * NSEC +
	    ts.tv_nsec;
	return (0);
}

int
time_copyout(uint64_t ns, uint64_t uts)
{
	struct timespec ts = { ns / NSEC, ns % NSEC };

	return (host_copyout(&ts, uts, sizeof(ts)));
}

/* Every clock counts from boot: nobody sets this machine's date. */
static long
sys_clock_gettime(uint64_t clock, uint64_t uts)
{
	if (clock > 11)
		return (-EINVAL);
	return (-time_copyout(host_time_ns(), uts));
}

static long
sys_clock_getres(uint64_t clock, uint64_t uts)
{
	if (clock > 11)
		return (-EINVAL);
	return (uts == 0 ? 0 : -time_copyout(1, uts));
}

static long
sys_gettimeofday(uint64_t utv)
{
	uint64_t ns = host_time_ns(), tv[2] = { ns / NSEC, ns % NSEC / 1000 };

	return (utv == 0 ? 0 : -host_copyout(tv, utv, sizeof(tv)));
}

static long
sys_clock_nanosleep(uint64_t clock, uint64_t flags, uint64_t uts,
    uint64_t urem)
{
	uint64_t deadline, now;
	int error;

	(void)clock;
	if ((error = time_copyin(uts, &deadline)) != 0)
		return (-error);
	if ((flags & TIMER_ABSTIME) == 0)
		deadline += host_time_ns();
	while ((now = host_time_ns()) < deadline) {
		if (sleep_on(cur, deadline, true) != EINTR)
			continue;
		now = host_time_ns();
		if (urem != 0 && (flags & TIMER_ABSTIME) == 0 &&
		    time_copyout(deadline - min(now, deadline), urem) != 0)
			return (-EFAULT);
		return (-EINTR);
	}
	return (0);
}

static long
sys_nanosleep(uint64_t uts, uint64_t urem)
{
	return (sys_clock_nanosleep(0, 0, uts, urem));
}

/* Repeatable, not secret: the lab machine has no use for real randomness. */
static long
sys_getrandom(uint64_t uaddr, uint64_t n)
{
	static uint64_t state;
	uint64_t i;
	uint8_t c;

	for (i = 0; i < n; i++) {
		state = state * 6364136223846793005 + rdtsc() + 1;
		c = state >> 56;
		if (host_copyout(&c, uaddr + i, 1) != 0)
			return (-EFAULT);
	}
	return (n);
}

static long
sys_prlimit(uint64_t pid, uint64_t what, uint64_t new, uint64_t old)
{
	uint64_t lim[2];

	(void)pid;
	if (new != 0)
		return (-EPERM);
	lim[0] = what == RLIMIT_STACK ? 8UL << 20 : what == RLIMIT_NOFILE ?
	    64 : what == RLIMIT_MEMLOCK ? pages_total * PAGE_SIZE : UINT64_MAX;
	lim[1] = lim[0];
	return (old == 0 ? 0 : -host_copyout(lim, old, sizeof(lim)));
}

static long
sys_getrlimit(uint64_t what, uint64_t old)
{
	return (sys_prlimit(0, what, 0, old));
}

static long
sys_uname(uint64_t uaddr)
{
	static const char uts[6][65] = {
		"metal", "metal", "1", "vmm", "x86_64", "",
	};

	return (-host_copyout(uts, uaddr, sizeof(uts)));
}

/* One CPU. Returns: the bytes of the mask. */
static long
sys_sched_getaffinity(uint64_t pid, uint64_t size, uint64_t uaddr)
{
	uint64_t mask = 1;

	(void)pid;
	if (size < sizeof(mask))
		return (-EINVAL);
	return (host_copyout(&mask, uaddr, sizeof(mask)) != 0 ? -EFAULT :
	    (long)sizeof(mask));
}

static long
sys_getpid(void)
{
	return (1);
}

/* Ids of the only user, and calls that need do nothing. */
static long
sys_zero(void)
{
	return (0);
}

/* The arguments a call does not take are in registers it does not read. */
#define CALL(fn)	((syscall_fn *)(void *)(fn))

syscall_fn *const syscalls[] = {
	[0] = CALL(sys_read), [1] = CALL(sys_write), [2] = CALL(sys_open),
	[3] = CALL(sys_close), [4] = CALL(sys_stat), [5] = CALL(sys_fstat),
	[6] = CALL(sys_stat),			/* lstat: no links */
	[7] = CALL(sys_poll), [8] = CALL(sys_lseek), [9] = CALL(sys_mmap),
	[10] = CALL(sys_mprotect), [11] = CALL(sys_munmap),
	[12] = CALL(sys_brk), [13] = CALL(sys_rt_sigaction),
	[14] = CALL(sys_rt_sigprocmask), [15] = CALL(sys_rt_sigreturn),
	[16] = CALL(sys_ioctl), [17] = CALL(sys_pread),
	[19] = CALL(sys_readv), [20] = CALL(sys_writev),
	[21] = CALL(sys_access), [24] = CALL(sys_sched_yield),
	[28] = CALL(sys_madvise), [32] = CALL(sys_dup),
	[33] = CALL(sys_dup2), [35] = CALL(sys_nanosleep),
	[39] = CALL(sys_getpid), [56] = CALL(sys_clone),
	[60] = CALL(sys_exit), [62] = CALL(sys_kill), [63] = CALL(sys_uname),
	[72] = CALL(sys_fcntl), [96] = CALL(sys_gettimeofday),
	[97] = CALL(sys_getrlimit), [102] = CALL(sys_zero),
	[104] = CALL(sys_zero), [107] = CALL(sys_zero),
	[108] = CALL(sys_zero),			/* get[e]uid, get[e]gid */
	[110] = CALL(sys_zero),			/* getppid */
	[127] = CALL(sys_rt_sigpending), [130] = CALL(sys_rt_sigsuspend),
	[131] = CALL(sys_sigaltstack), [158] = CALL(sys_arch_prctl),
	[186] = CALL(sys_gettid), [200] = CALL(sys_tkill),
	[202] = CALL(sys_futex), [204] = CALL(sys_sched_getaffinity),
	[218] = CALL(sys_set_tid_address), [228] = CALL(sys_clock_gettime),
	[229] = CALL(sys_clock_getres), [230] = CALL(sys_clock_nanosleep),
	[231] = CALL(sys_exit_group), [234] = CALL(sys_tgkill),
	[257] = CALL(sys_openat), [262] = CALL(sys_fstatat),
	[271] = CALL(sys_ppoll), [273] = CALL(sys_zero), /* set_robust_list */
	[292] = CALL(sys_dup3), [302] = CALL(sys_prlimit),
	[318] = CALL(sys_getrandom),
};
const unsigned int nsyscalls = ARRAY_LEN(syscalls);
