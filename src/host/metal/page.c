/* SPDX-License-Identifier: ISC */
/*
 * page.c - physical memory: a buddy allocator that counts, references to
 * the pages of clients, and small objects in slabs of one page.
 *
 * Every page of RAM from 1 MiB up has a struct page; page frame 0 is never
 * free and so ends every list. A slab page goes back to the buddies when its
 * last object does, so that equal states have equal counts of free pages.
 */
#include <string.h>

#include "metal.h"

#define MAX_ORDER	10
#define SLAB_MIN_SHIFT	5		/* 32 bytes */
#define SLAB_CLASSES	7		/* .. 2048 bytes */

enum page_state {
	PG_RESERVED,
	PG_FREE,			/* first of a free block */
	PG_USED,			/* first of an allocated block */
	PG_USER,			/* counted by ref */
	PG_SLAB,
};

struct page {
	uint32_t	ref;	/* USER; SLAB: first free object's offset + 1 */
	uint32_t	next, prev;	/* FREE, SLAB */
	uint16_t	inuse;		/* SLAB: objects handed out */
	uint8_t		order;		/* SLAB: class */
	uint8_t		state;
};

static struct page *pages;
static uint64_t npages;			/* frames, 0 .. npages-1 */
static uint32_t free_list[MAX_ORDER + 1];
static uint32_t slab_list[SLAB_CLASSES];	/* with a free object */
uint64_t pages_free, pages_total;

/*
 * The array for frames below `top` is put at `where`, physical. Returns with
 * no page free; page_add() adds what is RAM and not in use.
 */
void
page_init(uint64_t where, uint64_t top)
{
	pages = va_of(where);
	npages = top / PAGE_SIZE;
	memset(pages, 0, npages * sizeof(*pages));
}

uint64_t
page_array_size(uint64_t top)
{
	return (round_up(top / PAGE_SIZE * sizeof(struct page), PAGE_SIZE));
}

static void
list_push(uint32_t *head, uint32_t pfn)
{
	pages[pfn].prev = 0;
	pages[pfn].next = *head;
	if (*head != 0)
		pages[*head].prev = pfn;
	*head = pfn;
}

static void
list_remove(uint32_t *head, uint32_t pfn)
{
	struct page *p = &pages[pfn];

	if (p->prev != 0)
		pages[p->prev].next = p->next;
	else
		*head = p->next;
	if (p->next != 0)
		pages[p->next].prev = p->prev;
}

/* Frees 2^order pages and joins them with free buddies. */
static void
block_free(uint32_t pfn, unsigned int order)
{
	uint32_t buddy;

	pages_free += 1UL << order;
	pages[pfn].state = PG_RESERVED;
	for (; order < MAX_ORDER; order++) {
		buddy = pfn ^ 1U << order;
		if (buddy >= npages || pages[buddy].state != PG_FREE ||
		    pages[buddy].order != order)
			break;
		list_remove(&free_list[order], buddy);
		pages[buddy].state = PG_RESERVED;
		pfn &= ~(1U << order);
	}
	pages[pfn].state = PG_FREE;
	pages[pfn].order = order;
	list_push(&free_list[order], pfn);
}

/* Returns: the first frame of 2^order pages, not zeroed; 0: none. */
static uint32_t
block_alloc(unsigned int order)
{
	unsigned int o;
	uint32_t pfn;

	for (o = order; o <= MAX_ORDER && free_list[o] == 0; o++)
		;
	if (o > MAX_ORDER)
		return (0);
	pfn = free_list[o];
	list_remove(&free_list[o], pfn);
	while (o-- > order) {
		uint32_t half = pfn + (1U << o);

		pages[half].state = PG_FREE;
		pages[half].order = o;
		list_push(&free_list[o], half);
	}
	pages[pfn].state = PG_USED;
	pages[pfn].order = order;
	pages_free -= 1UL << order;
	return (pfn);
}

/* Makes the whole pages of [start, end) free, once. */
void
page_add(uint64_t start, uint64_t end)
{
	uint64_t pfn = round_up(start, PAGE_SIZE) / PAGE_SIZE;
	uint64_t last = min(end / PAGE_SIZE, npages);
	unsigned int o;

	for (; pfn < last; pfn += 1UL << o) {
		for (o = MAX_ORDER; pfn % (1UL << o) != 0 ||
		    pfn + (1UL << o) > last; o--)
			;
		block_free(pfn, o);
		pages_total += 1UL << o;
	}
}

void *
host_page_alloc(unsigned int order)
{
	uint32_t pfn = order <= MAX_ORDER ? block_alloc(order) : 0;
	void *va;

	if (pfn == 0)
		return (NULL);
	va = va_of((uint64_t)pfn * PAGE_SIZE);
	return (memset(va, 0, PAGE_SIZE << order));
}

void
host_page_free(void *va, unsigned int order)
{
	uint64_t pfn = pa_of(va) / PAGE_SIZE;

	if (pfn >= npages || pages[pfn].state != PG_USED ||
	    pages[pfn].order != order)
		panic("free of %p, order %u: not allocated so", va, order);
	block_free(pfn, order);
}

/*
 * References to pages of clients, 2^order at a time. The first reference
 * takes over what host_page_alloc() gave; then every page counts for itself,
 * so that blocks can be split and given back in pieces.
 */
void
page_ref(uint64_t pa, unsigned int order)
{
	struct page *p = &pages[pa / PAGE_SIZE];
	unsigned int i;

	for (i = 0; i < 1U << order; i++, p++) {
		p->state = PG_USER;
		p->ref++;
	}
}

void
page_unref(uint64_t pa, unsigned int order)
{
	uint64_t pfn = pa / PAGE_SIZE;
	unsigned int i;

	for (i = 0; i < 1U << order; i++, pfn++) {
		if (pfn >= npages || pages[pfn].state != PG_USER)
			panic("release of %#lx: not a client's page", pa);
		if (--pages[pfn].ref == 0)
			block_free(pfn, 0);
	}
}

static unsigned int
slab_class(size_t size)
{
	unsigned int c = 0;

	while ((1UL << (SLAB_MIN_SHIFT + c)) < size)
		c++;
	return (c);
}

/* A page of free objects of class c. Returns: its frame, 0: no memory. */
static uint32_t
slab_new(unsigned int c)
{
	uint32_t pfn = block_alloc(0), off, size = 1U << (SLAB_MIN_SHIFT + c);
	char *va = va_of((uint64_t)pfn * PAGE_SIZE);

	if (pfn == 0)
		return (0);
	for (off = 0; off < PAGE_SIZE; off += size)
		*(uint32_t *)(va + off) =
		    off + size < PAGE_SIZE ? off + size + 1 : 0;
	pages[pfn].state = PG_SLAB;
	pages[pfn].order = c;
	pages[pfn].ref = 1;
	pages[pfn].inuse = 0;
	list_push(&slab_list[c], pfn);
	return (pfn);
}

/* More than 2 KiB is whole pages; objects are aligned to their class. */
void *
host_alloc(size_t size)
{
	unsigned int c = slab_class(size);
	struct page *p;
	uint32_t pfn;
	char *obj;

	if (c >= SLAB_CLASSES)
		return (host_page_alloc(c + SLAB_MIN_SHIFT - PAGE_SHIFT_4K));
	pfn = slab_list[c];
	if (pfn == 0 && (pfn = slab_new(c)) == 0)
		return (NULL);
	p = &pages[pfn];
	obj = (char *)va_of((uint64_t)pfn * PAGE_SIZE) + p->ref - 1;
	p->ref = *(uint32_t *)obj;
	p->inuse++;
	if (p->ref == 0)
		list_remove(&slab_list[c], pfn);
	return (memset(obj, 0, size));
}

void
host_free(void *obj)
{
	uint64_t pa = pa_of(obj);
	struct page *p;

	if (obj == NULL)
		return;
	p = &pages[pa / PAGE_SIZE];
	if (pa / PAGE_SIZE >= npages ||
	    (p->state != PG_SLAB && p->state != PG_USED))
		panic("free of %p: not allocated", obj);
	if (p->state == PG_USED) {
		host_page_free(obj, p->order);
		return;
	}
	if (p->ref == 0)
		list_push(&slab_list[p->order], pa / PAGE_SIZE);
	*(uint32_t *)obj = p->ref;
	p->ref = pa % PAGE_SIZE + 1;
	if (--p->inuse == 0) {
		list_remove(&slab_list[p->order], pa / PAGE_SIZE);
		p->ref = 0;
		block_free(pa / PAGE_SIZE, 0);
	}
}

void *
host_va_of(uint64_t pa)
{
	return (va_of(pa));
}

uint64_t
host_pa_of(const void *va)
{
	return (pa_of(va));
}
