/* SPDX-License-Identifier: ISC */
/*
 * as.c - the address space of a client: a sorted list of mappings, filled
 * with zeroed memory at first touch, by 2 MiB where a mapping covers a whole
 * aligned block and a block is free.
 *
 * Pages belong to their mapping and, each for itself, to those who took them
 * (mem.c): what the client unmaps stays until they release it. There is no
 * fork, so private and shared memory differ only in what C5 says of them.
 */
#include <string.h>

#include "metal.h"

#define MAX_VMAS	1024
#define MMAP_BASE	0x00007f0000000000UL

static struct vma vma_pool[MAX_VMAS];
static struct vma *vma_free_list;
static unsigned int vma_fresh;		/* never used yet */

/* A static pool, so that mappings do not change the count of free pages. */
static struct vma *
vma_new(void)
{
	struct vma *v = vma_free_list;

	if (v != NULL)
		vma_free_list = v->next;
	else if (vma_fresh < MAX_VMAS)
		v = &vma_pool[vma_fresh++];
	return (v);
}

static void
vma_free(struct vma *v)
{
	v->next = vma_free_list;
	vma_free_list = v;
}

/* NULL: no memory. */
struct host_as *
as_new(void)
{
	struct host_as *as = host_alloc(sizeof(*as));

	if (as == NULL)
		return (NULL);
	as->refs = 1;
	if ((as->pml4 = host_page_alloc(0)) == NULL) {
		host_free(as);
		return (NULL);
	}
	memcpy(as->pml4 + 256, kernel_pml4 + 256, PAGE_SIZE / 2);
	return (as);
}

/* The client is gone; the struct stays while somebody refers to it. */
void
as_destroy(struct host_as *as)
{
	write_cr3(pa_of(kernel_pml4));
	as_unmap(as, 0, USER_MAX);
	host_page_free(as->pml4, 0);
	as->pml4 = NULL;
	host_as_put(as, 0);
}

/* The mapping at va, NULL: none. */
struct vma *
as_find(struct host_as *as, uint64_t va)
{
	struct vma *v = as->hint;

	if (v != NULL && va >= v->start && va < v->end)
		return (v);
	for (v = as->vmas; v != NULL && v->end <= va; v = v->next)
		;
	if (v == NULL || va < v->start)
		return (NULL);
	return (as->hint = v);
}

/*
 * Adds a mapping where nothing is. Anonymous memory that continues the
 * mapping below it extends that one.
 * Returns: 0; ENOMEM, too many mappings.
 */
int
as_map(struct host_as *as, uint64_t start, uint64_t end, uint32_t flags,
    const char *data, uint64_t data_len)
{
	struct vma **link = &as->vmas, *v;

	while (*link != NULL && (*link)->end <= start) {
		v = *link;
		if (v->end == start && v->flags == flags && data == NULL &&
		    v->data == NULL) {
			v->end = end;
			return (0);
		}
		link = &v->next;
	}
	if ((v = vma_new()) == NULL)
		return (ENOMEM);
	*v = (struct vma){ *link, start, end, flags, data, data_len };
	*link = v;
	return (0);
}

/*
 * Makes `va` a border between mappings and between leaves.
 * Returns: 0; ENOMEM, nothing has changed that can be seen.
 */
static int
as_split(struct host_as *as, uint64_t va)
{
	struct vma *v = as_find(as, va), *w;
	uint64_t head;

	if (pt_split(as->pml4, va) != 0)
		return (ENOMEM);
	if (v == NULL || v->start == va)
		return (0);
	if ((w = vma_new()) == NULL)
		return (ENOMEM);
	*w = *v;
	head = va - v->start;
	v->next = w;
	v->end = w->start = va;
	if (w->data != NULL) {
		w->data += min(head, w->data_len);
		w->data_len -= min(head, w->data_len);
	}
	return (0);
}

/* Drops the pages of [start, end) but not the mappings. */
static void
as_drop(struct host_as *as, uint64_t start, uint64_t end)
{
	pt_apply(as->pml4, 4, start, end, PT_UNMAP);
	if (read_cr3() == pa_of(as->pml4))
		write_cr3(pa_of(as->pml4));
}

/* Returns: 0; ENOMEM: a mapping or a large page could not be split. */
int
as_unmap(struct host_as *as, uint64_t start, uint64_t end)
{
	struct vma **link = &as->vmas, *v;

	if (as_split(as, start) != 0 || as_split(as, end) != 0)
		return (ENOMEM);
	while ((v = *link) != NULL && v->start < end) {
		if (v->start < start) {
			link = &v->next;
			continue;
		}
		as_drop(as, v->start, v->end);
		*link = v->next;
		vma_free(v);
	}
	as->hint = NULL;
	return (0);
}

/* The leaf flags for a mapping's rights. */
static uint64_t
prot_flags(uint32_t flags)
{
	uint64_t nx = flags & VM_X ? 0 : cpu_nx;

	if ((flags & (VM_R | VM_W | VM_X)) == 0)
		return (PTE_NONE | nx);
	return (PTE_P | PTE_U | (flags & VM_W ? PTE_W : 0) | nx);
}

/*
 * Clears and sets flags of all mappings in [start, end).
 * Returns: 0; ENOMEM: a hole, or no memory for a split.
 */
int
as_change(struct host_as *as, uint64_t start, uint64_t end, uint32_t clear,
    uint32_t set)
{
	struct vma *v;

	if (host_as_mapped(as, start, end - start) != 0 ||
	    as_split(as, start) != 0 || as_split(as, end) != 0)
		return (ENOMEM);
	for (v = as_find(as, start); v != NULL && v->start < end;
	    v = v->next) {
		v->flags = (v->flags & ~clear) | set;
		pt_apply(as->pml4, 4, v->start, v->end, prot_flags(v->flags));
	}
	write_cr3(pa_of(as->pml4));
	return (0);
}

/* Forgets what private memory in [start, end) holds (MADV_DONTNEED). */
int
as_forget(struct host_as *as, uint64_t start, uint64_t end)
{
	struct vma *v;

	if (host_as_mapped(as, start, end - start) != 0 ||
	    pt_split(as->pml4, start) != 0 || pt_split(as->pml4, end) != 0)
		return (ENOMEM);
	for (v = as_find(as, start); v != NULL && v->start < end;
	    v = v->next)
		if ((v->flags & VM_SHARED) == 0)
			as_drop(as, max(v->start, start), min(v->end, end));
	return (0);
}

/*
 * A page at va, if there is none yet.
 * Returns: 0; ENOMEM.
 */
int
as_touch(struct host_as *as, struct vma *v, uint64_t va)
{
	uint64_t base = round_down(va, BLOCK_SIZE), *e, off;
	uint64_t flags = prot_flags(v->flags);
	void *page;
	int level;

	if (pt_leaf(as->pml4, va, &level) != NULL)
		return (0);
	if ((v->flags & (VM_SMALL | VM_FILE)) == 0 && v->data == NULL &&
	    base >= v->start && base + BLOCK_SIZE <= v->end) {
		if ((e = pt_walk(as->pml4, va, 2, true)) == NULL)
			return (ENOMEM);
		if (*e == 0 && (page = host_page_alloc(BLOCK_ORDER)) != NULL) {
			page_ref(pa_of(page), BLOCK_ORDER);
			*e = pa_of(page) | flags | PTE_PS;
			return (0);
		}
	}
	if ((e = pt_walk(as->pml4, va, 1, true)) == NULL ||
	    (page = host_page_alloc(0)) == NULL)
		return (ENOMEM);
	off = round_down(va, PAGE_SIZE) - v->start;
	if (off < v->data_len)
		memcpy(page, v->data + off, min(v->data_len - off, PAGE_SIZE));
	page_ref(pa_of(page), 0);
	*e = pa_of(page) | flags;
	return (0);
}

/*
 * An access that the page tables did not allow. Writing and executing imply
 * reading (APM Vol. 2 5.6 "Page-Protection Checks").
 * Returns: 0, try again; EFAULT; ENOMEM.
 */
int
as_fault(struct host_as *as, uint64_t va, uint32_t access)
{
	struct vma *v = as_find(as, va);
	uint32_t allowed;

	if (v == NULL)
		return (EFAULT);
	allowed = v->flags & (VM_R | VM_W | VM_X);
	if (allowed != 0)
		allowed |= VM_R;
	if ((allowed & access) == 0)
		return (EFAULT);
	return (as_touch(as, v, va));
}

/*
 * Room for a new mapping: at `hint` if it is free, else the first gap, with
 * mappings that can hold blocks aligned to them. Returns: 0: no room.
 */
uint64_t
as_place(struct host_as *as, uint64_t hint, uint64_t size)
{
	uint64_t align = size >= BLOCK_SIZE ? BLOCK_SIZE : PAGE_SIZE;
	uint64_t at = hint != 0 ? hint : MMAP_BASE;
	struct vma *v;

	for (v = as->vmas; v != NULL; v = v->next) {
		if (v->end <= at)
			continue;
		if (v->start >= at + size)
			break;
		if (hint != 0)
			return (as_place(as, 0, size));
		at = round_up(v->end, align);
	}
	if (size <= USER_MAX && at <= USER_MAX - size)
		return (at);
	return (hint != 0 ? as_place(as, 0, size) : 0);
}
