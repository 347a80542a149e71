/* SPDX-License-Identifier: ISC */
/* syscall.h - the system calls, by the file that has them. */
#ifndef METAL_SYSCALL_H
#define METAL_SYSCALL_H

#include "metal.h"

#define AT_FDCWD	(-100)

struct timespec {
	int64_t	tv_sec, tv_nsec;
};

/* Nanoseconds of a struct timespec; EFAULT, EINVAL. */
int	time_copyin(uint64_t, uint64_t *);
int	time_copyout(uint64_t, uint64_t);

/* mem.c */
long	sys_mmap(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
long	sys_munmap(uint64_t, uint64_t);
long	sys_mprotect(uint64_t, uint64_t, uint64_t);
long	sys_madvise(uint64_t, uint64_t, uint64_t);
long	sys_brk(uint64_t);

/* file.c */
int	file_data(int, uint64_t, const char **, uint64_t *);
long	sys_read(uint64_t, uint64_t, uint64_t);
long	sys_write(uint64_t, uint64_t, uint64_t);
long	sys_readv(uint64_t, uint64_t, uint64_t);
long	sys_writev(uint64_t, uint64_t, uint64_t);
long	sys_pread(uint64_t, uint64_t, uint64_t, uint64_t);
long	sys_open(uint64_t, uint64_t, uint64_t);
long	sys_openat(uint64_t, uint64_t, uint64_t, uint64_t);
long	sys_close(uint64_t);
long	sys_stat(uint64_t, uint64_t);
long	sys_fstat(uint64_t, uint64_t);
long	sys_fstatat(uint64_t, uint64_t, uint64_t, uint64_t);
long	sys_lseek(uint64_t, uint64_t, uint64_t);
long	sys_access(uint64_t, uint64_t);
long	sys_ioctl(uint64_t, uint64_t, uint64_t);
long	sys_dup(uint64_t);
long	sys_dup2(uint64_t, uint64_t);
long	sys_dup3(uint64_t, uint64_t, uint64_t);
long	sys_fcntl(uint64_t, uint64_t, uint64_t);
long	sys_poll(uint64_t, uint64_t, uint64_t);
long	sys_ppoll(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

/* proc.c */
long	sys_exit(uint64_t);
long	sys_exit_group(uint64_t);
long	sys_clone(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
long	sys_futex(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
long	sys_set_tid_address(uint64_t);
long	sys_arch_prctl(uint64_t, uint64_t);
long	sys_sched_yield(void);
long	sys_gettid(void);

/* signal.c */
long	sys_rt_sigaction(uint64_t, uint64_t, uint64_t, uint64_t);
long	sys_rt_sigprocmask(uint64_t, uint64_t, uint64_t, uint64_t);
long	sys_rt_sigreturn(void);
long	sys_rt_sigpending(uint64_t, uint64_t);
long	sys_rt_sigsuspend(uint64_t, uint64_t);
long	sys_sigaltstack(uint64_t, uint64_t);
long	sys_kill(uint64_t, uint64_t);
long	sys_tkill(uint64_t, uint64_t);
long	sys_tgkill(uint64_t, uint64_t, uint64_t);

#endif /* METAL_SYSCALL_H */
