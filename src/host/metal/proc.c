/* SPDX-License-Identifier: ISC */
/*
 * proc.c - the one client process: from a static x86-64 ELF of the boot
 * archive to its end, with its threads and futexes.
 */
#include "metal.h"

#define ET_EXEC		2
#define EM_X86_64	62
#define PT_LOAD		1
#define STACK_SIZE	0x100000UL	/* small: in 4 KiB pages */

enum {
	AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5, AT_PAGESZ = 6, AT_ENTRY = 9,
	AT_RANDOM = 25,
};

struct ehdr {
	uint8_t		ident[16];
	uint16_t	type, machine;
	uint32_t	version;
	uint64_t	entry, phoff, shoff;
	uint32_t	flags;
	uint16_t	ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct phdr {
	uint32_t	type, flags;
	uint64_t	offset, vaddr, paddr, filesz, memsz, align;
};

#define MAX_ARGS	64
#define NOT_RUN		127		/* status: no such client */

enum {
	CLONE_VM = 0x100, CLONE_SIGHAND = 0x800, CLONE_THREAD = 0x10000,
	CLONE_SETTLS = 0x80000, CLONE_PARENT_SETTID = 0x100000,
	CLONE_CHILD_CLEARTID = 0x200000,
};
#define ARCH_SET_FS	0x1002
enum { FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE = 3, FUTEX_CMD = 0x7f };

struct proc proc;

/* Maps a segment and fills it. Returns: 0, ENOEXEC, ENOMEM. */
static int
load_segment(const struct phdr *p, const char *image, uint64_t size)
{
	uint64_t va = round_down(p->vaddr, PAGE_SIZE);
	uint64_t end = round_up(p->vaddr + p->memsz, PAGE_SIZE);
	uint64_t prot = (p->flags & 4 ? PROT_READ : 0) | (p->flags & 2) |
	    (p->flags & 1 ? PROT_EXEC : 0);

	if (p->offset > size || p->filesz > size - p->offset ||
	    p->filesz > p->memsz || end > USER_MAX || va >= end ||
	    as_place(proc.as, va, end - va) != va)
		return (ENOEXEC);
	if (as_range(AS_MAP, va, end, as_flags(PROT_WRITE)) != 0 ||
	    host_copyout(image + p->offset, p->vaddr, p->filesz) != 0 ||
	    as_range(AS_PROTECT, va, end, as_flags(prot)) != 0)
		return (ENOMEM);
	return (0);
}

/* Copies n bytes below *sp, aligned. The stack's pages appear by that. */
static int
push(uint64_t *sp, const void *data, size_t n, uint64_t align)
{
	*sp = round_down(*sp - n, align);
	return (host_copyout(data, *sp, n));
}

/*
 * The stack of a new program: strings, then from its end up argc, argv,
 * envp and the auxiliary vector ("System V ABI AMD64" 3.4.1 "Initial Stack
 * and Register State"). The 16 bytes at AT_RANDOM are not random: a run of
 * the lab machine repeats exactly.
 */
static int
push_args(char **argv, uint64_t argc, const struct ehdr *h, uint64_t phdr,
    uint64_t *sp)
{
	const uint64_t random[2] = { rdtsc() * 0x9e3779b97f4a7c15, rdtsc() };
	const uint64_t tail[] = {
		0, 0,				/* ends of argv and envp */
		AT_PHDR, phdr, AT_PHENT, h->phentsize, AT_PHNUM, h->phnum,
		AT_PAGESZ, PAGE_SIZE, AT_ENTRY, h->entry,
		AT_RANDOM, USER_MAX - sizeof(random), 0, 0,
	};
	uint64_t n = argc + 1 + ARRAY_LEN(tail), vec[MAX_ARGS + 24], i;
	int error;

	vec[0] = argc;
	*sp = USER_MAX;
	error = push(sp, random, sizeof(random), 16);
	for (i = 0; i < argc && error == 0; i++) {
		error = push(sp, argv[i], strnlen(argv[i], -1) + 1, 1);
		vec[i + 1] = *sp;
	}
	if (error != 0)
		return (error);
	memcpy(&vec[argc + 1], tail, sizeof(tail));
	*sp = round_down(*sp, 16UL) - n % 2 * 8;	/* for 16 in the end */
	return (push(sp, vec, n * 8, 8));
}

/*
 * Gives the calling thread an address space and registers.
 * Returns: 0, ENOENT, ENOEXEC, ENOMEM.
 */
static int
exec_load(char **argv, unsigned int argc, struct frame *f)
{
	const struct ehdr *h;
	const struct phdr *p;
	uint64_t phdr = 0, sp, size;
	char path[LINE_MAX];
	int i, error;

	ksprintf(path, "/bin/%s", argv[0]);
	if ((h = (const void *)archive_find(path, &size)) == NULL &&
	    (h = (const void *)archive_find(argv[0], &size)) == NULL)
		return (ENOENT);
	if (size < sizeof(*h) || memcmp(h->ident, "\177ELF\2\1", 6) != 0 ||
	    h->type != ET_EXEC || h->machine != EM_X86_64 ||
	    h->phentsize != sizeof(*p) || h->phoff > size ||
	    h->phnum * sizeof(*p) > size - h->phoff || h->entry >= USER_MAX)
		return (ENOEXEC);
	if ((proc.as = as_new()) == NULL)
		return (ENOMEM);
	write_cr(3, pa_of(proc.as->pml4));
	p = (const void *)((const char *)h + h->phoff);
	for (i = 0; i < h->phnum; i++, p++) {
		if (p->type != PT_LOAD || p->memsz == 0)
			continue;
		if ((error = load_segment(p, (const char *)h, size)) != 0)
			return (error);
		if (h->phoff - p->offset < p->filesz)
			phdr = h->phoff - p->offset + p->vaddr;
	}
	if (as_range(AS_MAP, USER_MAX - STACK_SIZE, USER_MAX,
	    as_flags(PROT_WRITE)) != 0 ||
	    push_args(argv, argc, h, phdr, &sp) != 0)
		return (ENOMEM);
	*f = (struct frame){
		.vec = VEC_IRET, .rip = h->entry, .rsp = sp,
		.cs = UCODE_SEL, .ss = UDATA_SEL, .rflags = RFLAGS_IF,
	};
	return (0);
}

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
	error = *args != '\0' ? E2BIG : argc == 0 ? ENOENT :
	    exec_load(argv, argc, f);
	if (error == 0)
		return;
	kprintf("metal: cannot run %s: %s\n", argc > 0 ? argv[0] : "nothing",
	    error == ENOENT ? "not in the boot archive" :
	    error == E2BIG ? "too many words, give fewer" :
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

/* The calling thread ends; the last one's status is the process's. */
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

/* ARCH_SET_FS: where the C library keeps a thread's own data. */
long
sys_arch_prctl(struct frame *f)
{
	if (f->rdi != ARCH_SET_FS)
		return (-EINVAL);
	if (f->rsi >= USER_MAX)
		return (-EPERM);
	wrmsr(MSR_FS_BASE, cur->fsbase = f->rsi);
	return (0);
}
