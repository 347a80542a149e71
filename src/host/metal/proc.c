/* SPDX-License-Identifier: ISC */
/*
 * proc.c - the one client process: its start and end, its threads, futexes.
 */
#include <string.h>

#include "metal.h"

#define MAX_ARGS	64
#define NOT_RUN		127		/* status: no such client */

enum {
	CLONE_VM = 0x100, CLONE_SIGHAND = 0x800, CLONE_THREAD = 0x10000,
	CLONE_SETTLS = 0x80000, CLONE_PARENT_SETTID = 0x100000,
	CLONE_CHILD_CLEARTID = 0x200000,
};
enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS, ARCH_GET_FS, ARCH_GET_GS };
enum { FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE = 3, FUTEX_CMD = 0x7f };

struct proc proc;

/* Starts the client that the command line names, in the calling thread. */
void
proc_main(char *args, struct frame *f)
{
	char *argv[MAX_ARGS];
	unsigned int argc = 0;
	int error;

	while (argc < MAX_ARGS) {
		while (*args == ' ')
			*args++ = '\0';
		if (*args == '\0')
			break;
		argv[argc++] = args;
		while (*args != '\0' && *args != ' ')
			args++;
	}
	proc.nthreads = 1;
	error = argc > 0 ? exec_load(argv, argc, f) : ENOENT;
	if (error == 0)
		return;
	kprintf("metal: cannot run %s: %s\n", argc > 0 ? argv[0] : "nothing",
	    error == ENOENT ? "not in the boot archive" :
	    error == ENOMEM ? "out of memory" : "not a static x86-64 ELF");
	machine_exit(NOT_RUN);
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
		wakeup((void *)cur->clear_tid, 1, NULL);
	thread_exit();
}

/* All threads end, as soon as each leaves what it is at. */
void
proc_exit(int status)
{
	struct thread *t;

	if (!proc.exiting) {
		proc.exiting = true;
		proc.status = status;
		FOREACH_THREAD(t)
			if (t != cur)
				signal_send(t, SIGKILL);
	}
	thread_end();
}

long
sys_exit(struct frame *f)
{
	if (proc.nthreads == 1 && !proc.exiting)
		proc.status = f->rdi & 0xff;
	thread_end();
}

/* Threads only. The child starts with the caller's registers, RAX 0. */
long
sys_clone(struct frame *f)
{
	const uint64_t need = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
	uint64_t flags = f->rdi;
	struct thread *t;

	if ((flags & need) != need || f->rsi == 0)
		return (-ENOSYS);
	if ((t = thread_create(thread_begin)) == NULL)
		return (-EAGAIN);
	proc.nthreads++;
	*t->frame = *f;
	t->frame->rax = 0;
	t->frame->rsp = f->rsi;
	host_fpu_begin();
	memcpy(t->fpu, cur->fpu, fpu_size);
	t->mask = cur->mask;
	t->fsbase = (flags & CLONE_SETTLS) != 0 ? f->r8 : cur->fsbase;
	t->gsbase = cur->gsbase;
	if ((flags & CLONE_CHILD_CLEARTID) != 0)
		t->clear_tid = f->r10;
	if ((flags & CLONE_PARENT_SETTID) != 0)
		host_copyout(&t->tid, f->rdx, sizeof(t->tid));
	return (t->tid);
}

/*
 * The clients' sleep and wakeup; every futex is private to the process.
 * Nothing can come between looking at the word and sleeping, since the
 * kernel is not preempted.
 */
long
sys_futex(struct frame *f)
{
	void *chan = (void *)f->rdi;
	uint64_t deadline = 0;
	uint32_t now;
	int error;

	if (f->rdi % 4 != 0 || f->rdi >= USER_MAX)
		return (-EINVAL);
	switch (f->rsi & FUTEX_CMD) {
	case FUTEX_WAIT:
		if (f->r10 != 0) {
			if ((error = time_copyin(f->r10, &deadline)) != 0)
				return (-error);
			deadline += host_time_ns();
		}
		if (host_copyin(f->rdi, &now, sizeof(now)) != 0)
			return (-EFAULT);
		if (now != (uint32_t)f->rdx)
			return (-EAGAIN);
		error = sleep_on(chan, deadline, true);
		return (error == EINTR && f->r10 == 0 ? -ERESTART : -error);
	case FUTEX_WAKE:
		return (wakeup(chan, f->rdx, NULL));
	case FUTEX_REQUEUE:
		if (f->r8 >= USER_MAX)
			return (-EINVAL);
		return (wakeup(chan, f->rdx, NULL) +
		    wakeup(chan, f->r10, (void *)f->r8));
	}
	return (-ENOSYS);
}

long
sys_arch_prctl(struct frame *f)
{
	bool fs = f->rdi == ARCH_SET_FS || f->rdi == ARCH_GET_FS;
	uint64_t *base = fs ? &cur->fsbase : &cur->gsbase;

	if (f->rdi == ARCH_GET_FS || f->rdi == ARCH_GET_GS)
		return (-host_copyout(base, f->rsi, sizeof(*base)));
	if (f->rdi != ARCH_SET_FS && f->rdi != ARCH_SET_GS)
		return (-EINVAL);
	if (f->rsi >= USER_MAX)
		return (-EPERM);
	*base = f->rsi;
	wrmsr(fs ? MSR_FS_BASE : MSR_GS_BASE, *base);
	return (0);
}
