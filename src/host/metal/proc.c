/* SPDX-License-Identifier: ISC */
/*
 * proc.c - the one client process: its start and end, its threads, futexes.
 */
#include <string.h>

#include "metal.h"
#include "syscall.h"

#define MAX_ARGS	64
#define CLONE_VM	0x00000100UL
#define CLONE_SIGHAND	0x00000800UL
#define CLONE_THREAD	0x00010000UL
#define CLONE_SETTLS	0x00080000UL
#define CLONE_PTID	0x00100000UL
#define CLONE_CTID_CLR	0x00200000UL
#define CLONE_CTID_SET	0x01000000UL
#define ARCH_SET_GS	0x1001
#define ARCH_SET_FS	0x1002
#define ARCH_GET_FS	0x1003
#define ARCH_GET_GS	0x1004
#define MSR_FS_BASE	0xc0000100
#define MSR_GS_BASE	0xc0000101

#define FUTEX_WAIT		0
#define FUTEX_WAKE		1
#define FUTEX_REQUEUE		3
#define FUTEX_CMP_REQUEUE	4
#define FUTEX_WAIT_BITSET	9
#define FUTEX_WAKE_BITSET	10
#define FUTEX_CMD		0x7f

struct proc proc;

/* Splits at blanks, in place; "..." keeps them. Returns: how many words. */
static unsigned int
split_args(char *s, char **argv)
{
	unsigned int n = 0;
	char end, *to;

	while (n < MAX_ARGS) {
		while (*s == ' ')
			s++;
		if (*s == '\0')
			break;
		argv[n++] = to = s;
		for (end = ' '; *s != '\0' && *s != end; s++)
			if (*s == '"')
				end = end == ' ' ? '"' : ' ';
			else
				*to++ = *s;
		if (*s == '"') {
			end = ' ';
			for (s++; *s != '\0' && *s != ' '; s++)
				*to++ = *s;
		}
		if (*s != '\0')
			s++;
		*to = '\0';
	}
	return (n);
}

/* Starts the client that the command line names, in the calling thread. */
void
proc_main(char *args, struct frame *f)
{
	char *argv[MAX_ARGS];
	unsigned int argc = split_args(args, argv);
	int error;

	proc.nthreads = 1;
	if (argc == 0) {
		kprintf("metal: the command line names no client\n");
		machine_exit(127);
	}
	if ((error = exec_load(argv, argc, f)) != 0) {
		kprintf("metal: cannot run %s: %s\n", argv[0],
		    error == ENOENT ? "not in the boot archive" :
		    error == ENOMEM ? "out of memory" :
		    "not a static x86-64 ELF");
		machine_exit(127);
	}
}

/*
 * The last thread is gone. As on Linux the address space goes first, then
 * the files, and with them the VMs. Then every page must be back.
 */
static void __attribute__((noreturn))
proc_last(void)
{
	int64_t lost;

	sti();
	fpu_owner = NULL;
	as_destroy(proc.as);
	proc.as = NULL;
	files_close();
	vmm_detach();
	lost = proc.pages_before - pages_free;
	if (lost != 0) {
		kprintf("metal: leak: %ld pages have not come back\n", lost);
		if (proc.status == 0)
			proc.status = 1;
	}
	machine_exit(proc.status);
}

/* The calling thread ends. A joiner waits on its clear_tid word. */
static void __attribute__((noreturn))
thread_end(void)
{
	uint32_t zero = 0;

	if (--proc.nthreads == 0)
		proc_last();
	if (cur->clear_tid != 0 &&
	    host_copyout(&zero, cur->clear_tid, sizeof(zero)) == 0)
		wakeup((void *)cur->clear_tid, 1);
	thread_exit();
}

static void
kill_other(struct thread *t, void *arg)
{
	if (t == arg)
		return;
	t->mask &= ~SIGBIT(SIGKILL);
	signal_send(t, SIGKILL);
}

/* All threads end, as soon as each leaves what it is at. */
void
proc_exit(int status)
{
	if (!proc.exiting) {
		proc.exiting = true;
		proc.status = status;
		thread_each(kill_other, cur);
	}
	thread_end();
}

long
sys_exit(uint64_t status)
{
	if (proc.nthreads == 1 && !proc.exiting)
		proc.status = status & 0xff;
	thread_end();
}

long
sys_exit_group(uint64_t status)
{
	proc_exit(status & 0xff);
}

/* Threads only. The child starts with the caller's registers, RAX 0. */
long
sys_clone(uint64_t flags, uint64_t stack, uint64_t ptid, uint64_t ctid,
    uint64_t tls)
{
	const uint64_t need = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
	struct thread *t;
	struct frame *f;

	if ((flags & need) != need || stack == 0)
		return (-ENOSYS);
	if ((t = thread_create(thread_begin)) == NULL)
		return (-EAGAIN);
	proc.nthreads++;
	f = thread_frame(t);
	*f = *thread_frame(cur);
	f->rax = 0;
	f->rsp = stack;
	if (fpu_owner == cur)
		fpu_store(cur->fpu);
	memcpy(t->fpu, cur->fpu, fpu_size);
	t->mask = cur->mask;
	t->fsbase = (flags & CLONE_SETTLS) != 0 ? tls : cur->fsbase;
	t->gsbase = cur->gsbase;
	if ((flags & CLONE_CTID_CLR) != 0)
		t->clear_tid = ctid;
	if ((flags & CLONE_PTID) != 0)
		host_copyout(&t->tid, ptid, sizeof(t->tid));
	if ((flags & CLONE_CTID_SET) != 0)
		host_copyout(&t->tid, ctid, sizeof(t->tid));
	return (t->tid);
}

/*
 * Nothing can come between looking at the word and sleeping, since the
 * kernel is not preempted.
 */
static long
futex_wait(uint64_t uaddr, uint32_t val, uint64_t uts, bool absolute)
{
	uint64_t deadline = 0;
	uint32_t now;
	int error;

	if (uts != 0) {
		if ((error = time_copyin(uts, &deadline)) != 0)
			return (-error);
		deadline += absolute ? 0 : host_time_ns();
		deadline += deadline == 0;
	}
	if (host_copyin(uaddr, &now, sizeof(now)) != 0)
		return (-EFAULT);
	if (now != val)
		return (-EAGAIN);
	error = sleep_on((void *)uaddr, deadline, true);
	return (error == EINTR && uts == 0 ? -ERESTART : -error);
}

/* The clients' sleep and wakeup; every futex is private to the process. */
long
sys_futex(uint64_t uaddr, uint64_t op, uint64_t val, uint64_t arg4,
    uint64_t uaddr2, uint64_t val3)
{
	uint32_t now;
	long n;

	if (uaddr % 4 != 0 || uaddr >= USER_MAX)
		return (-EINVAL);
	switch (op & FUTEX_CMD) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		return (futex_wait(uaddr, val, arg4,
		    (op & FUTEX_CMD) == FUTEX_WAIT_BITSET));
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
		return (wakeup((void *)uaddr, val));
	case FUTEX_CMP_REQUEUE:
		if (host_copyin(uaddr, &now, sizeof(now)) != 0)
			return (-EFAULT);
		if (now != (uint32_t)val3)
			return (-EAGAIN);
		/* FALLTHROUGH */
	case FUTEX_REQUEUE:
		n = wakeup((void *)uaddr, val);
		return (n + wakeup_move((void *)uaddr, (void *)uaddr2, arg4));
	}
	return (-ENOSYS);
}

long
sys_set_tid_address(uint64_t uaddr)
{
	cur->clear_tid = uaddr;
	return (cur->tid);
}

long
sys_arch_prctl(uint64_t code, uint64_t addr)
{
	bool fs = code == ARCH_SET_FS || code == ARCH_GET_FS;

	switch (code) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (addr >= USER_MAX)
			return (-EPERM);
		*(fs ? &cur->fsbase : &cur->gsbase) = addr;
		wrmsr(fs ? MSR_FS_BASE : MSR_GS_BASE, addr);
		return (0);
	case ARCH_GET_FS:
	case ARCH_GET_GS:
		return (-host_copyout(fs ? &cur->fsbase : &cur->gsbase, addr,
		    sizeof(addr)));
	}
	return (-EINVAL);
}

long
sys_sched_yield(void)
{
	schedule();
	return (0);
}

long
sys_gettid(void)
{
	return (cur->tid);
}
