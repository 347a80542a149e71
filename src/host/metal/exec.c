/* SPDX-License-Identifier: ISC */
/*
 * exec.c - a static x86-64 ELF of the boot archive becomes the client.
 */
#include <string.h>

#include "metal.h"

#define ET_EXEC		2
#define ET_DYN		3
#define EM_X86_64	62
#define PT_LOAD		1
#define DYN_BASE	0x400000UL	/* of a static PIE */
#define STACK_SIZE	0x800000UL
#define AT_PHDR		3
#define AT_PHENT	4
#define AT_PHNUM	5
#define AT_PAGESZ	6
#define AT_ENTRY	9
#define AT_CLKTCK	17
#define AT_SECURE	23
#define AT_RANDOM	25
#define AT_EXECFN	31

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

/*
 * Maps a segment; its pages are read from the archive when touched.
 * Returns: 0, ENOEXEC, ENOMEM.
 */
static int
map_segment(const struct phdr *p, uint64_t bias, const char *image,
    size_t size)
{
	uint64_t skew = p->vaddr % PAGE_SIZE, va = p->vaddr + bias - skew;
	uint64_t end = round_up(p->vaddr + bias + p->memsz, PAGE_SIZE);
	uint32_t flags = (p->flags & 4 ? VM_R : 0) |
	    (p->flags & 2 ? VM_W : 0) | (p->flags & 1 ? VM_X : 0);

	if (p->offset > size || p->filesz > size - p->offset ||
	    p->filesz > p->memsz || p->offset < skew || end > USER_MAX ||
	    va >= end || as_place(proc.as, va, end - va) != va)
		return (ENOEXEC);
	proc.as->brk_start = max(proc.as->brk_start, end);
	return (as_map(proc.as, va, end, flags, image + p->offset - skew,
	    p->filesz + skew));
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
push_args(char **argv, unsigned int argc, uint64_t entry, uint64_t phdr,
    unsigned int phnum, uint64_t *spp)
{
	uint64_t sp = USER_MAX - 16, vec[64 + 24], n = 0, i;
	uint64_t random[2] = { rdtsc() * 0x9e3779b97f4a7c15, rdtsc() };
	int error;

	if ((error = push(&sp, random, sizeof(random), 16)) != 0)
		return (error);
	vec[n++] = argc;
	for (i = 0; i < argc; i++) {
		if ((error = push(&sp, argv[i], strlen(argv[i]) + 1, 1)) != 0)
			return (error);
		vec[n++] = sp;
	}
	{
		const uint64_t tail[] = {
			0, 0,		/* ends of argv and envp */
			AT_PHDR, phdr, AT_PHENT, sizeof(struct phdr),
			AT_PHNUM, phnum, AT_PAGESZ, PAGE_SIZE,
			AT_ENTRY, entry, AT_CLKTCK, HZ, AT_SECURE, 0,
			AT_RANDOM, USER_MAX - 32, AT_EXECFN, vec[1], 0, 0,
		};

		memcpy(&vec[n], tail, sizeof(tail));
		n += ARRAY_LEN(tail);
	}
	sp = round_down(sp - n * 8, 16UL) + n * 8;
	error = push(&sp, vec, n * 8, 8);
	*spp = sp;
	return (error);
}

/*
 * Replaces the calling thread's (empty) address space and registers.
 * Returns: 0, ENOENT, ENOEXEC, ENOMEM.
 */
int
exec_load(char **argv, unsigned int argc, struct frame *f)
{
	const struct ehdr *h;
	const struct phdr *p;
	uint64_t bias, phdr = 0, sp;
	char path[128];
	size_t size;
	int i, error;

	ksnprintf(path, sizeof(path), "/bin/%s", argv[0]);
	for (i = 0; argv[0][i] != '\0'; i++)
		if (argv[0][i] == '/')
			ksnprintf(path, sizeof(path), "%s", argv[0]);
	if ((h = (const void *)archive_find(path, &size)) == NULL)
		return (ENOENT);
	if (size < sizeof(*h) || memcmp(h->ident, "\177ELF\2\1", 6) != 0 ||
	    h->machine != EM_X86_64 || h->phoff > size ||
	    (h->type != ET_EXEC && h->type != ET_DYN) ||
	    h->phentsize != sizeof(*p) ||
	    h->phnum * sizeof(*p) > size - h->phoff)
		return (ENOEXEC);
	if ((proc.as = as_new()) == NULL)
		return (ENOMEM);
	write_cr3(pa_of(proc.as->pml4));
	bias = h->type == ET_DYN ? DYN_BASE : 0;
	p = (const void *)((const char *)h + h->phoff);
	for (i = 0; i < h->phnum; i++) {
		if (p[i].type != PT_LOAD)
			continue;
		if (p[i].memsz != 0 && (error = map_segment(&p[i], bias,
		    (const char *)h, size)) != 0)
			return (error);
		if (h->phoff - p[i].offset < p[i].filesz)
			phdr = h->phoff - p[i].offset + p[i].vaddr + bias;
	}
	proc.as->brk = proc.as->brk_start;
	if (as_map(proc.as, USER_MAX - STACK_SIZE, USER_MAX,
	    VM_R | VM_W | VM_SMALL, NULL, 0) != 0 ||
	    push_args(argv, argc, h->entry + bias, phdr, h->phnum, &sp) != 0)
		return (ENOMEM);
	*f = (struct frame){
		.vec = VEC_IRET, .rip = h->entry + bias, .rsp = sp,
		.cs = UCODE_SEL, .ss = UDATA_SEL, .rflags = RFLAGS_IF | 2,
	};
	return (f->rip < USER_MAX ? 0 : ENOEXEC);
}
