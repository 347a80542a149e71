/* SPDX-License-Identifier: ISC */
/*
 * pt.c - page tables, the kernel's and those of clients.
 *
 * Level 4 is the root, level 1 maps 4 KiB pages; a leaf at level 2 maps
 * 2 MiB, and at level 3, only in the direct map, 1 GiB
 * (APM Vol. 2 5.3 "Long-Mode Page Translation"). A page with PROT_NONE keeps
 * its entry, with PTE_NONE instead of PTE_P.
 */
#include <string.h>

#include "metal.h"

#define SHIFT(level)	(12 + 9 * ((level) - 1))
#define SPAN(level)	(1UL << SHIFT(level))
#define INDEX(va, level) ((va) >> SHIFT(level) & 511)
#define VALID(e)	(((e) & (PTE_P | PTE_NONE)) != 0)
#define IS_LEAF(e, level) ((level) == 1 || ((e) & PTE_PS) != 0)

uint64_t *kernel_pml4;

/*
 * The entry for va at `level`. Missing tables are made if `alloc`.
 * Returns: NULL if there is none, or no memory, or va lies in a larger leaf.
 */
uint64_t *
pt_walk(uint64_t *tab, uint64_t va, int level, bool alloc)
{
	uint64_t *e, *t;
	int l;

	for (l = 4; l > level; l--) {
		e = &tab[INDEX(va, l)];
		if (!VALID(*e)) {
			if (!alloc || (t = host_page_alloc(0)) == NULL)
				return (NULL);
			*e = pa_of(t) | PTE_P | PTE_W |
			    (va < USER_MAX ? PTE_U : 0);
		} else if (IS_LEAF(*e, l))
			return (NULL);
		tab = va_of(*e & PTE_ADDR);
	}
	return (&tab[INDEX(va, level)]);
}

/* The valid leaf that maps va, and its level; NULL: not mapped. */
uint64_t *
pt_leaf(uint64_t *tab, uint64_t va, int *level)
{
	uint64_t *e;
	int l;

	for (l = 4; l > 0; l--) {
		e = &tab[INDEX(va, l)];
		if (!VALID(*e))
			return (NULL);
		if (IS_LEAF(*e, l)) {
			*level = l;
			return (e);
		}
		tab = va_of(*e & PTE_ADDR);
	}
	return (NULL);
}

/*
 * If va lies inside a 2 MiB leaf, makes that 512 leaves of 4 KiB.
 * Returns: 0; ENOMEM, nothing changed.
 */
int
pt_split(uint64_t *pml4, uint64_t va)
{
	uint64_t *e, *t, old;
	int level, i;

	if (va % BLOCK_SIZE == 0 || (e = pt_leaf(pml4, va, &level)) == NULL ||
	    level != 2)
		return (0);
	if ((t = host_page_alloc(0)) == NULL)
		return (ENOMEM);
	old = *e & ~PTE_PS;
	for (i = 0; i < 512; i++)
		t[i] = old + i * PAGE_SIZE;
	*e = pa_of(t) | PTE_P | PTE_W | PTE_U;
	return (0);
}

/*
 * Unmaps [start, end) of the client's half, or gives its pages other flags.
 * No leaf may cross start or end: see pt_split(). Tables that become empty
 * are freed. The caller flushes the TLB.
 * Returns: the table is empty (PT_UNMAP only).
 */
bool
pt_apply(uint64_t *tab, int level, uint64_t start, uint64_t end,
    uint64_t flags)
{
	uint64_t next, *e;
	int i;

	for (; start < end; start = next) {
		e = &tab[INDEX(start, level)];
		next = min(round_down(start, SPAN(level)) + SPAN(level), end);
		if (!VALID(*e))
			continue;
		if (!IS_LEAF(*e, level)) {
			uint64_t *t = va_of(*e & PTE_ADDR);

			if (pt_apply(t, level - 1, start, next, flags)) {
				host_page_free(t, 0);
				*e = 0;
			}
		} else if (flags == PT_UNMAP) {
			page_unref(*e & PTE_ADDR, level == 1 ? 0 : BLOCK_ORDER);
			*e = 0;
		} else
			*e = (*e & (PTE_ADDR | PTE_PS) &
			    ~(level == 1 ? PTE_PS : 0)) | flags;
	}
	for (i = 0; flags == PT_UNMAP && i < 512; i++)
		if (tab[i] != 0)
			return (false);
	return (flags == PT_UNMAP);
}

/*
 * Maps for the kernel, with the largest pages that fit; what is mapped
 * already stays. At boot only: no memory is a panic.
 */
void
pt_map_kernel(uint64_t va, uint64_t pa, uint64_t size, uint64_t flags)
{
	uint64_t *e, end = va + size, step;
	int level;

	for (; va != end; va += step, pa += step) {
		for (level = cpu_gbpages ? 3 : 2;; level--) {
			step = SPAN(level);
			if (level > 1 && ((va | pa) % step != 0 ||
			    end - va < step))
				continue;
			e = pt_walk(kernel_pml4, va, level, true);
			if (e == NULL || *e == 0 || IS_LEAF(*e, level))
				break;
		}
		if (e == NULL && pt_leaf(kernel_pml4, va, &level) == NULL)
			panic("no memory for the kernel's page tables");
		if (e != NULL && *e == 0)
			*e = pa | flags | PTE_P | PTE_G |
			    (level > 1 ? PTE_PS : 0);
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
