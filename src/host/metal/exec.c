/* SPDX-License-Identifier: ISC */
/*
 * exec.c - a static x86-64 ELF of the boot archive becomes the client.
 */
#include <string.h>

#include "metal.h"

#define ET_EXEC		2
#define EM_X86_64	62
#define PT_LOAD		1
#define STACK_SIZE	0x100000UL	/* small: in 4 KiB pages */
#define MAX_VEC		(64 + 24)	/* arguments and auxiliary vector */

enum {
	AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5, AT_PAGESZ = 6, AT_ENTRY = 9,
	AT_CLKTCK = 17, AT_SECURE = 23, AT_RANDOM = 25,
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
	proc.as->brk_start = proc.as->brk = max(proc.as->brk, end);
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
		AT_PAGESZ, PAGE_SIZE, AT_ENTRY, h->entry, AT_CLKTCK, HZ,
		AT_SECURE, 0, AT_RANDOM, USER_MAX - sizeof(random), 0, 0,
	};
	uint64_t vec[MAX_VEC] = { argc }, n = argc + 1 + ARRAY_LEN(tail), i;
	int error;

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
int
exec_load(char **argv, unsigned int argc, struct frame *f)
{
	const struct ehdr *h;
	const struct phdr *p;
	uint64_t phdr = 0, sp, size;
	char path[256];
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
