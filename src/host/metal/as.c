/* SPDX-License-Identifier: ISC */
/*
 * as.c - page tables: the kernel's, and those of clients with all that a
 * client's memory is. Then the system calls about memory, and what the
 * driver may do with it (host.h).
 *
 * Level 4 is the root, level 1 maps 4 KiB pages; a leaf at level 2 maps
 * 2 MiB (APM Vol. 2 5.3 "Long-Mode Page Translation"). There is no list of
 * mappings: a client's leaf says by itself that it is mapped and with which
 * rights, and has an address once it was touched. Where a mapping covers an
 * aligned 2 MiB the leaf is a large one, and so is the memory if the host
 * has a block.
 *
 * Pages belong to their leaf and, each for itself, to those who took them:
 * what the client unmaps stays until they release it. There is no fork, so
 * private and shared memory differ only in what C5 says of them.
 */
#include "metal.h"

#define SHIFT(level)	(12 + 9 * ((level) - 1))
#define SPAN(level)	(1UL << SHIFT(level))
#define ENTRY(tab, va, level) (&(tab)[(va) >> SHIFT(level) & 511])
#define IS_LEAF(e, level) ((level) == 1 || ((e) & PTE_PS) != 0)
#define TABLE(e)	((uint64_t *)va_of((e) & PTE_ADDR))
#define MMAP_BASE	0x00007f0000000000UL
#define MMAP_MIN	0x10000UL
#define USER_RANGE(va, n) ((n) <= USER_MAX && (va) <= USER_MAX - (n))

enum {
	MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_TYPE = 15, MAP_FIXED = 0x10,
	MAP_ANONYMOUS = 0x20, MADV_DONTNEED = 4,
	SYS_MPROTECT = 10, SYS_MADVISE = 28,
};

uint64_t *kernel_pml4;

/*
 * The kernel's entry for va at `level`; tables above it are made.
 * Returns: NULL: no memory, or va lies in a larger leaf.
 */
uint64_t *
pt_walk(uint64_t va, int level)
{
	uint64_t *tab = kernel_pml4, *e;
	int l;

	for (l = 4; l > level; l--, tab = TABLE(*e)) {
		e = ENTRY(tab, va, l);
		if (*e == 0 && (tab = host_page_alloc(0)) != NULL)
			*e = pa_of(tab) | PTE_P | PTE_W;
		if (*e == 0 || IS_LEAF(*e, l))
			return (NULL);
	}
	return (ENTRY(tab, va, level));
}

/*
 * Maps for the kernel, with the largest pages that fit; what is mapped
 * already stays. At boot only: no memory shows as a fault soon.
 */
void
pt_map_kernel(uint64_t va, uint64_t pa, uint64_t size, uint64_t flags)
{
	uint64_t *e, end = va + size, step;
	int level;

	for (; va < end; va += step, pa += step) {
		level = (va | pa) % SPAN(2) == 0 && end - va >= SPAN(2) ? 2 : 1;
		e = pt_walk(va, level);
		if (level == 2 && e != NULL && *e != 0 && !IS_LEAF(*e, 2))
			e = pt_walk(va, level = 1);
		if (e != NULL && *e == 0)
			*e = pa | flags | PTE_P | PTE_G |
			    (level == 2 ? PTE_PS : 0);
		step = SPAN(level);
	}
}

/* The kernel itself, and its direct map's view of itself, W^X. */
void
pt_init(void)
{
	uint64_t text = (uint64_t)kern_text - KERNBASE;
	uint64_t ro = (uint64_t)kern_rodata - KERNBASE;
	uint64_t data = (uint64_t)kern_data - KERNBASE;
	uint64_t end = (uint64_t)kern_end - KERNBASE;
	const uint64_t rw = PTE_W | cpu_nx;

	kernel_pml4 = host_page_alloc(0);
	pt_map_kernel(KERNBASE + text, text, ro - text, 0);
	pt_map_kernel(KERNBASE + ro, ro, data - ro, cpu_nx);
	pt_map_kernel(KERNBASE + data, data, end - data, rw);
	pt_map_kernel(DIRECT, 0, text, rw);
	pt_map_kernel(DIRECT + text, text, data - text, cpu_nx);
	pt_map_kernel(DIRECT + data, data, round_up(end, BLOCK_SIZE) - data,
	    rw);
}

/* NULL: no memory. */
struct host_as *
as_new(void)
{
	struct host_as *as = host_alloc(sizeof(*as));

	if (as == NULL || (as->pml4 = host_page_alloc(0)) == NULL) {
		host_free(as);
		return (NULL);
	}
	as->refs = 1;
	memcpy(as->pml4 + 256, kernel_pml4 + 256, PAGE_SIZE / 2);
	return (as);
}

/* The client is gone; the struct stays while somebody refers to it. */
void
as_destroy(struct host_as *as)
{
	as_apply(as->pml4, 4, 0, USER_MAX, AS_UNMAP, 0);
	write_cr(3, pa_of(kernel_pml4));
	host_page_free(as->pml4, 0);
	as->pml4 = NULL;
	host_as_put(as, 0);
}

/*
 * The client's leaf for va, or the empty entry where tables end, and its
 * level; the entry's span ends at *next.
 */
static uint64_t *
as_leaf(struct host_as *as, uint64_t va, int *level, uint64_t *next)
{
	uint64_t *tab = as->pml4, *e;
	int l;

	for (l = 4; e = ENTRY(tab, va, l), *e != 0 && !IS_LEAF(*e, l); l--)
		tab = TABLE(*e);
	*level = l;
	*next = round_down(va, SPAN(l)) + SPAN(l);
	return (e);
}

/*
 * A large leaf becomes a table of 512 leaves, an empty entry an empty table.
 * Returns: 0, ENOMEM.
 */
static int
as_split(uint64_t *e)
{
	uint64_t *t = host_page_alloc(0), i;

	if (t == NULL)
		return (ENOMEM);
	for (i = 0; i < 512; i++)
		t[i] = (*e & ~PTE_PS) + (*e & PTE_ADDR ? i * PAGE_SIZE : 0);
	*e = pa_of(t) | PTE_P | PTE_W | PTE_U;
	return (0);
}

/* One leaf, or empty entry to be one, of the range as_apply() is at. */
static void
leaf_apply(uint64_t *e, int level, enum as_op op, uint64_t flags)
{
	uint64_t pa = *e & PTE_ADDR, keep = *e & (PTE_PS | PTE_SHARED);

	if (op == AS_MAP)
		*e = flags | (level == 2 ? PTE_PS : 0);
	else if (op == AS_PROTECT)
		*e = pa | keep | flags |
		    (pa != 0 && (flags & PTE_U) != 0 ? PTE_P : 0);
	else if (op == AS_UNMAP || (op == AS_FORGET && !(keep & PTE_SHARED))) {
		if (pa != 0)
			page_count(pa, level == 2 ? BLOCK_ORDER : 0, -1);
		*e = op == AS_UNMAP ? 0 : *e & ~(PTE_ADDR | PTE_P);
	}
}

/*
 * Maps (with these flags), unmaps, protects (with these flags) or forgets
 * the contents of the leaves of [start, end). Tables that become empty are
 * freed.
 * Returns: 0; ENOMEM, with the beginning of the range done.
 */
int
as_apply(uint64_t *tab, int level, uint64_t start, uint64_t end,
    enum as_op op, uint64_t flags)
{
	uint64_t *e, *t, next, i;
	int error;

	for (; start < end; start = next) {
		e = ENTRY(tab, start, level);
		next = min(round_down(start, SPAN(level)) + SPAN(level), end);
		if (*e == 0 && op != AS_MAP)
			continue;
		if (level > 1 && (*e == 0 || IS_LEAF(*e, level)) &&
		    (level > 2 || next - start != SPAN(level)) &&
		    as_split(e) != 0)
			return (ENOMEM);
		if (*e == 0 || IS_LEAF(*e, level)) {
			leaf_apply(e, level, op, flags);
			continue;
		}
		t = TABLE(*e);
		error = as_apply(t, level - 1, start, next, op, flags);
		for (i = 0; op == AS_UNMAP && i < 512 && t[i] == 0; i++)
			;
		if (i == 512) {
			host_page_free(t, 0);
			*e = 0;
		}
		if (error != 0)
			return (error);
	}
	return (0);
}

/* as_apply() for the caller's own memory, with the TLB flushed. */
int
as_range(enum as_op op, uint64_t start, uint64_t end, uint64_t flags)
{
	int error = as_apply(proc.as->pml4, 4, start, end, op, flags);

	write_cr(3, read_cr(3));
	return (error);
}

/* A leaf's flags for PROT_* rights. Writing and executing imply reading. */
uint64_t
as_flags(uint64_t prot)
{
	return (PTE_MAPPED | (prot != 0 ? PTE_U : 0) |
	    (prot & PROT_WRITE ? PTE_W : 0) | (prot & PROT_EXEC ? 0 : cpu_nx));
}

/*
 * An access to va whose page is not there yet, or that the leaf does not
 * allow: it must have the flags `need` and not those in `not`. The driver,
 * which needs none, may have what the client made read-only for itself, but
 * not what it shares read-only (decisions.md C5).
 * Returns: 0, with a page there; EFAULT; ENOMEM.
 */
int
as_fault(struct host_as *as, uint64_t va, uint64_t need, uint64_t not)
{
	uint64_t next, *e;
	unsigned int order;
	void *page;
	int level;

	if (as->pml4 == NULL || !USER_RANGE(va, 1))
		return (EFAULT);
	e = as_leaf(as, va, &level, &next);
	if (need == 0 && (*e & PTE_SHARED) != 0)
		need = PTE_W;
	if (*e == 0 || (*e & need) != need || (*e & not) != 0)
		return (EFAULT);
	if ((*e & PTE_ADDR) != 0)
		return (0);
	order = level == 2 ? BLOCK_ORDER : 0;
	if ((page = host_page_alloc(order)) == NULL)
		return (level == 2 && as_split(e) == 0 ?
		    as_fault(as, va, need, not) : ENOMEM);
	page_count(pa_of(page), order, 1);
	*e |= pa_of(page) | (*e & PTE_U ? PTE_P : 0);
	return (0);
}

/*
 * Room for a new mapping: the first gap from `at` on; large mappings are
 * aligned so that they can have blocks. Returns: 0: no room.
 */
uint64_t
as_place(struct host_as *as, uint64_t at, uint64_t size)
{
	uint64_t align = size >= BLOCK_SIZE ? BLOCK_SIZE : PAGE_SIZE;
	uint64_t end = at;
	int level;

	while (end < at + size) {
		if (!USER_RANGE(at, size))
			return (0);
		if (*as_leaf(as, end, &level, &end) != 0)
			at = end = round_up(end, align);
	}
	return (at);
}

/* --- System calls --- */

/* [addr, +*len) in whole pages, inside the client's half, not empty. */
static bool
range_ok(uint64_t addr, uint64_t *len)
{
	if (addr % PAGE_SIZE != 0 || *len == 0 || *len > USER_MAX)
		return (false);
	*len = round_up(*len, PAGE_SIZE);
	return (USER_RANGE(addr, *len));
}

/* Anonymous memory only. */
long
sys_mmap(struct frame *f)
{
	uint64_t va = f->rdi, len = f->rsi, flags = f->r10;
	uint64_t type = flags & MAP_TYPE;

	if ((flags & MAP_ANONYMOUS) == 0)
		return (-ENODEV);
	if (len > USER_MAX)
		return (-ENOMEM);
	if ((flags & MAP_FIXED) == 0)
		va = max(round_down(va, PAGE_SIZE), MMAP_MIN);
	if ((type != MAP_SHARED && type != MAP_PRIVATE) || !range_ok(va, &len))
		return (-EINVAL);
	if (va < MMAP_MIN)
		return (-EPERM);
	if ((flags & MAP_FIXED) == 0)
		va = as_place(proc.as, f->rdi == 0 ? MMAP_BASE : va, len);
	else if (as_range(AS_UNMAP, va, va + len, 0) != 0)
		return (-ENOMEM);
	if (va == 0)
		return (-ENOMEM);
	if (as_range(AS_MAP, va, va + len, as_flags(f->rdx & PROT_ALL) |
	    (type == MAP_SHARED ? PTE_SHARED : 0)) != 0) {
		as_range(AS_UNMAP, va, va + len, 0);
		return (-ENOMEM);
	}
	return (va);
}

/* munmap, mprotect, madvise: advice that only changes speed is forgotten. */
long
sys_memory(struct frame *f)
{
	uint64_t len = f->rsi, flags = 0;
	enum as_op op = AS_UNMAP;

	if (f->rax == SYS_MPROTECT) {
		op = AS_PROTECT;
		flags = as_flags(f->rdx);
	} else if (f->rax == SYS_MADVISE)
		op = f->rdx == MADV_DONTNEED ? AS_FORGET : AS_NOTHING;
	if ((len == 0 && op != AS_UNMAP) || op == AS_NOTHING)
		return (0);
	if (!range_ok(f->rdi, &len))
		return (-EINVAL);
	if (op != AS_UNMAP && host_as_mapped(proc.as, f->rdi, len) != 0)
		return (-ENOMEM);
	return (-as_range(op, f->rdi, f->rdi + len, flags));
}

/* --- host.h --- */

/* Fills the client's pages on the way, see page_fault(). Returns: 0, EFAULT. */
int
host_copyin(uint64_t uaddr, void *buf, size_t n)
{
	if (!USER_RANGE(uaddr, n))
		return (EFAULT);
	return (copy_user(buf, (const void *)uaddr, n));
}

/* The same the other way. Returns: 0; EFAULT, read-only memory too. */
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

/* The last reference frees the struct; the memory has gone before. */
void
host_as_put(struct host_as *as, uint64_t npages)
{
	as->locked -= npages;
	if (--as->refs == 0)
		host_free(as);
}

/* Returns: 0; EFAULT: a hole, no user address, or the client is gone. */
int
host_as_mapped(struct host_as *as, uint64_t va, uint64_t size)
{
	uint64_t end = va + size;
	int level;

	if (!USER_RANGE(va, size) || as->pml4 == NULL)
		return (EFAULT);
	while (va < end)
		if (*as_leaf(as, va, &level, &va) == 0)
			return (EFAULT);
	return (0);
}

/* Returns: 0; EFAULT and ENOMEM as as_fault() does. */
int
host_user_take(struct host_as *as, uint64_t va, unsigned int max_order,
    uint64_t *hpa, unsigned int *order)
{
	int level, error = as_fault(as, va, 0, 0);
	uint64_t next;

	if (error != 0)
		return (error);
	*hpa = *as_leaf(as, va, &level, &next) & PTE_ADDR;
	*order = level == 2 && max_order == BLOCK_ORDER &&
	    va % BLOCK_SIZE == 0 ? BLOCK_ORDER : 0;
	*hpa += level == 2 ? va % BLOCK_SIZE : 0;
	page_count(*hpa, *order, 1);
	return (0);
}

/* The last reference frees a page. What is dirty means nothing here. */
void
host_user_release(uint64_t hpa, unsigned int order)
{
	page_count(hpa, order, -1);
}
