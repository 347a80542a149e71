/* SPDX-License-Identifier: ISC */
/*
 * page.c - physical memory: a buddy allocator that counts, and references
 * to the pages of clients.
 *
 * Every page of RAM from 1 MiB up has a struct page; page frame 0 is never
 * free and so ends every list. There is no heap: host_alloc() gives whole
 * pages, of which the driver needs few, and so the count of free pages tells
 * every leak.
 */
#include "metal.h"

#define MAX_ORDER	10

struct page {
	uint32_t	ref;		/* USER */
	uint32_t	next, prev;	/* FREE */
	uint8_t		order, state;
};
/* The first page of a free block, of an allocated one; counted by ref. */
enum { PG_RESERVED, PG_FREE, PG_USED, PG_USER };

static struct page *pages;
static uint64_t npages;			/* frames, 0 .. npages-1 */
static uint32_t free_list[MAX_ORDER + 1];
uint64_t pages_free, pages_total;

/*
 * Puts the array for frames below `top` at `where`, physical; page_add()
 * then adds what is RAM and not in use. Returns: the end of the array.
 */
uint64_t
page_init(uint64_t where, uint64_t top)
{
	pages = va_of(where);
	npages = top / PAGE_SIZE;
	memset(pages, 0, npages * sizeof(*pages));
	return (round_up(pa_of(pages + npages), PAGE_SIZE));
}

/* Takes a free block out of its list. */
static void
block_remove(uint32_t pfn)
{
	struct page *p = &pages[pfn];

	*(p->prev != 0 ? &pages[p->prev].next : &free_list[p->order]) =
	    p->next;
	if (p->next != 0)
		pages[p->next].prev = p->prev;
}

/* Puts a free block into the list of its order. */
static void
block_insert(uint32_t pfn, unsigned int order)
{
	uint32_t *head = &free_list[order];

	pages[pfn] = (struct page){ .next = *head, .order = order,
	    .state = PG_FREE };
	if (*head != 0)
		pages[*head].prev = pfn;
	*head = pfn;
}

/* Frees 2^order pages and joins them with free buddies. */
static void
block_free(uint32_t pfn, unsigned int order)
{
	uint32_t buddy;

	pages_free += 1UL << order;
	for (; order < MAX_ORDER; order++) {
		pages[pfn].state = PG_RESERVED;
		buddy = pfn ^ 1U << order;
		if (buddy >= npages || pages[buddy].state != PG_FREE ||
		    pages[buddy].order != order)
			break;
		block_remove(buddy);
		pages[buddy].state = PG_RESERVED;
		pfn &= ~(1U << order);
	}
	block_insert(pfn, order);
}

/* Makes the whole pages of [start, end) free, once. */
void
page_add(uint64_t start, uint64_t end)
{
	uint64_t pfn = round_up(start, PAGE_SIZE) / PAGE_SIZE;

	for (; pfn < min(end / PAGE_SIZE, npages); pfn++) {
		block_free(pfn, 0);
		pages_total++;
	}
}

/* The smallest block that is large enough, halved. Returns: NULL: none. */
void *
host_page_alloc(unsigned int order)
{
	unsigned int o = order;
	uint32_t pfn;

	while (o <= MAX_ORDER && free_list[o] == 0)
		o++;
	if (o > MAX_ORDER)
		return (NULL);
	pfn = free_list[o];
	block_remove(pfn);
	while (o-- > order)
		block_insert(pfn + (1U << o), o);
	pages[pfn].state = PG_USED;
	pages[pfn].order = order;
	pages_free -= 1UL << order;
	return (memset(va_of(pfn * PAGE_SIZE), 0, PAGE_SIZE << order));
}

/* Panics if that was not allocated in one piece. NULL is nothing. */
void
host_page_free(void *va, unsigned int order)
{
	uint64_t pfn = pa_of(va) / PAGE_SIZE;

	if (va == NULL)
		return;
	if (pfn >= npages || pages[pfn].state != PG_USED ||
	    pages[pfn].order != order)
		panic("free of page %#lx: not allocated like that", pfn);
	block_free(pfn, order);
}

/*
 * Adds references to 2^order pages of clients, or takes them away. The first
 * reference takes over what host_page_alloc() gave; then every page counts
 * for itself, so that blocks can be split and given back in pieces.
 */
void
page_count(uint64_t pa, unsigned int order, int refs)
{
	uint64_t pfn = pa / PAGE_SIZE, end = pfn + (1UL << order);

	for (; pfn < end; pfn++) {
		if (refs < 0 && (pfn >= npages || pages[pfn].state != PG_USER))
			panic("release of %#lx: not a client's page", pa);
		pages[pfn].state = PG_USER;
		if ((pages[pfn].ref += refs) == 0)
			block_free(pfn, 0);
	}
}

/* Whole pages. Returns: NULL: no memory. */
void *
host_alloc(size_t size)
{
	unsigned int order = 0;

	while (PAGE_SIZE << order < size && order <= MAX_ORDER)
		order++;
	return (host_page_alloc(order));
}

/* NULL is nothing. */
void
host_free(void *va)
{
	host_page_free(va, va == NULL ? 0 : pages[pa_of(va) / PAGE_SIZE].order);
}

/* The direct map has all memory. */
void *
host_va_of(uint64_t pa)
{
	return (va_of(pa));
}

/* Of memory of host_page_alloc(), which is in the direct map. */
uint64_t
host_pa_of(const void *va)
{
	return (pa_of(va));
}
