/* SPDX-License-Identifier: ISC */
/*
 * as.c - the address space of a client: a sorted list of mappings, filled
 * with zeroed memory at first touch, by 2 MiB where a mapping covers a whole
 * aligned block and a block is free. Then the system calls about memory, and
 * what the driver may do with it (host.h).
 *
 * Pages belong to their mapping and, each for itself, to those who took
 * them: what the client unmaps stays until they release it. There is no
 * fork, so private and shared memory differ only in what C5 says of them.
 */
#include <string.h>

#include "metal.h"

#define MAX_VMAS	1024
#define MMAP_BASE	0x00007f0000000000UL
#define MMAP_MIN	0x10000UL

enum {
	MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_TYPE = 15, MAP_FIXED = 0x10,
	MAP_ANONYMOUS = 0x20, MADV_DONTNEED = 4, MADV_HUGEPAGE = 14,
	MADV_NOHUGEPAGE = 15,
};

/* A static pool, so that mappings do not change the count of free pages. */
static struct vma vma_pool[MAX_VMAS];
static struct vma *vma_free_list;
static unsigned int vma_fresh;		/* never used yet */

/* Returns: a copy of *v, NULL: too many mappings. */
static struct vma *
vma_new(const struct vma *v)
{
	struct vma *new = vma_free_list;

	if (new != NULL)
		vma_free_list = new->next;
	else if (vma_fresh < MAX_VMAS)
		new = &vma_pool[vma_fresh++];
	else
		return (NULL);
	*new = *v;
	return (new);
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
	write_cr(3, pa_of(kernel_pml4));
	as_unmap(as, 0, USER_MAX);
	host_page_free(as->pml4, 0);
	as->pml4 = NULL;
	host_as_put(as, 0);
}

/* The mapping at va, NULL: none. */
static struct vma *
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
	v = vma_new(&(struct vma){ *link, start, end, flags, data, data_len });
	if (v == NULL)
		return (ENOMEM);
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
	if ((w = vma_new(v)) == NULL)
		return (ENOMEM);
	head = min(va - v->start, v->data_len);
	v->next = w;
	v->end = w->start = va;
	w->data += head;
	w->data_len -= head;
	return (0);
}

/* Drops the pages of [start, end) but not the mappings. */
static void
as_drop(struct host_as *as, uint64_t start, uint64_t end)
{
	pt_apply(as->pml4, 4, start, end, PT_UNMAP);
	write_cr(3, read_cr(3));
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
		v->next = vma_free_list;
		vma_free_list = v;
	}
	as->hint = NULL;
	return (0);
}

/* The leaf flags for a mapping's rights. */
static uint64_t
prot_flags(uint32_t flags)
{
	uint64_t nx = flags & VM_X ? 0 : cpu_nx;

	if ((flags & VM_RWX) == 0)
		return (PTE_NONE | nx);
	return (PTE_P | PTE_U | (flags & VM_W ? PTE_W : 0) | nx);
}

/*
 * Clears and sets flags of all mappings in [start, end).
 * Returns: 0; ENOMEM: a hole, or no memory for a split.
 */
static int
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
	write_cr(3, read_cr(3));
	return (0);
}

/* Forgets what private memory in [start, end) holds (MADV_DONTNEED). */
static int
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
static int
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
	allowed = v->flags & VM_RWX;
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

/* --- System calls --- */

/* [addr, +*len) in whole pages, inside the client's half, not empty. */
static bool
range_ok(uint64_t addr, uint64_t *len)
{
	if (addr % PAGE_SIZE != 0 || *len == 0 || *len > USER_MAX)
		return (false);
	*len = round_up(*len, PAGE_SIZE);
	return (addr <= USER_MAX - *len);
}

/* Anonymous memory, or a file of the archive: shared, it is read-only. */
long
sys_mmap(struct frame *f)
{
	uint64_t va = f->rdi, len = f->rsi, flags = f->r10;
	uint64_t type = flags & MAP_TYPE, data_len = 0;
	uint32_t vmf = (f->rdx & VM_RWX) | (type == MAP_SHARED ? VM_SHARED : 0);
	const char *data = NULL;
	int error;

	if ((flags & MAP_FIXED) == 0)
		va = round_down(va, PAGE_SIZE);
	if (len > USER_MAX)
		return (-ENOMEM);
	if ((type != MAP_SHARED && type != MAP_PRIVATE) ||
	    !range_ok(va, &len) || f->r9 % PAGE_SIZE != 0)
		return (-EINVAL);
	if ((flags & MAP_ANONYMOUS) == 0) {
		if ((error = file_data(f->r8, f->r9, &data, &data_len)) != 0)
			return (-error);
		if (type == MAP_SHARED && (vmf & VM_W))
			return (-EACCES);
		vmf |= VM_FILE;
	}
	if ((flags & MAP_FIXED) != 0) {
		if (va < MMAP_MIN)
			return (-EPERM);
		if (as_unmap(proc.as, va, va + len) != 0)
			return (-ENOMEM);
	} else if ((va = as_place(proc.as, va, len)) == 0)
		return (-ENOMEM);
	error = as_map(proc.as, va, va + len, vmf, data, data_len);
	return (error != 0 ? -error : (long)va);
}

long
sys_munmap(struct frame *f)
{
	uint64_t va = f->rdi, len = f->rsi;

	if (!range_ok(va, &len))
		return (-EINVAL);
	return (-as_unmap(proc.as, va, va + len));
}

/* EACCES: a shared file cannot become writable. */
long
sys_mprotect(struct frame *f)
{
	uint64_t va = f->rdi, len = f->rsi;
	const struct vma *v;

	if (len == 0)
		return (0);
	if (!range_ok(va, &len) || (f->rdx & ~VM_RWX) != 0)
		return (-EINVAL);
	for (v = proc.as->vmas; v != NULL && (f->rdx & VM_W); v = v->next)
		if (v->start < va + len && v->end > va &&
		    (v->flags & VM_FILE) && (v->flags & VM_SHARED))
			return (-EACCES);
	return (-as_change(proc.as, va, va + len, VM_RWX, f->rdx));
}

/* Advice that only changes speed is taken and forgotten. */
long
sys_madvise(struct frame *f)
{
	uint64_t va = f->rdi, len = f->rsi;

	if (len == 0)
		return (0);
	if (!range_ok(va, &len))
		return (-EINVAL);
	if (f->rdx == MADV_DONTNEED)
		return (-as_forget(proc.as, va, va + len));
	return (-as_change(proc.as, va, va + len,
	    f->rdx == MADV_HUGEPAGE ? VM_SMALL : 0,
	    f->rdx == MADV_NOHUGEPAGE ? VM_SMALL : 0));
}

/* Returns the break, moved or not; never an error. */
long
sys_brk(struct frame *f)
{
	struct host_as *as = proc.as;
	uint64_t old = round_up(as->brk, PAGE_SIZE);
	uint64_t new = round_up(f->rdi, PAGE_SIZE);

	if (f->rdi < as->brk_start || f->rdi > USER_MAX ||
	    (new < old && as_unmap(as, new, old) != 0) ||
	    (new > old && (as_place(as, old, new - old) != old ||
	    as_map(as, old, new, VM_R | VM_W, NULL, 0) != 0)))
		return (as->brk);
	return (as->brk = f->rdi);
}

/* --- host.h --- */

#define USER_RANGE(va, n)	((n) <= USER_MAX && (va) <= USER_MAX - (n))

int
host_copyin(uint64_t uaddr, void *buf, size_t n)
{
	if (!USER_RANGE(uaddr, n))
		return (EFAULT);
	return (copy_user(buf, (const void *)uaddr, n));
}

int
host_copyout(const void *buf, uint64_t uaddr, size_t n)
{
	if (!USER_RANGE(uaddr, n))
		return (EFAULT);
	return (copy_user((void *)uaddr, buf, n));
}

/*
 * The limit on locked memory is all memory there is: clients may lock what
 * they could touch, and ENOMEM can still be had by asking for more.
 */
int
host_as_get(uint64_t npages, struct host_as **asp)
{
	struct host_as *as = proc.as;

	if (npages > pages_total || as->locked > pages_total - npages)
		return (ENOMEM);
	as->locked += npages;
	as->refs++;
	*asp = as;
	return (0);
}

void
host_as_put(struct host_as *as, uint64_t npages)
{
	as->locked -= npages;
	if (--as->refs == 0)
		host_free(as);
}

int
host_as_mapped(struct host_as *as, uint64_t va, uint64_t size)
{
	uint64_t end = va + size;
	const struct vma *v;

	if (!USER_RANGE(va, size))
		return (EFAULT);
	for (; va < end; va = v->end)
		if ((v = as_find(as, va)) == NULL)
			return (EFAULT);
	return (0);
}

/*
 * What protection a private mapping has is the client's affair, not the
 * guest's (decisions.md C5). All memory here is anonymous but files'.
 */
int
host_user_take(struct host_as *as, uint64_t va, unsigned int max_order,
    uint64_t *hpa, unsigned int *order)
{
	struct vma *v = as_find(as, va);
	uint64_t *e;
	int level;

	if (v == NULL || (v->flags & VM_FILE) != 0 ||
	    ((v->flags & VM_SHARED) != 0 && (v->flags & VM_W) == 0))
		return (EFAULT);
	if (as_touch(as, v, va) != 0)
		return (ENOMEM);
	e = pt_leaf(as->pml4, va, &level);
	*order = level == 2 && max_order == BLOCK_ORDER &&
	    va % BLOCK_SIZE == 0 ? BLOCK_ORDER : 0;
	*hpa = *e & PTE_ADDR;
	if (level == 2)
		*hpa += va % BLOCK_SIZE;
	page_ref(*hpa, *order);
	return (0);
}

void
host_user_release(uint64_t hpa, unsigned int order)
{
	page_unref(hpa, order);
}
