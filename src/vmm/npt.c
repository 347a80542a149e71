/* SPDX-License-Identifier: ISC */
/*
 * npt.c - nested page tables: guest physical to host physical.
 *
 * AMD's nested page tables and Intel's EPT have the same four-level shape and
 * differ only in the bits of an entry, so there is one walker and a `struct
 * npt_format` per vendor.
 *
 *	APM Vol. 2 15.25.5 "Nested Table Walk"
 *	SDM Vol. 3C 28.3.2 "EPT Translation Mechanism"
 *
 * The table is also the only record of which pages of the client are taken:
 * a leaf is one taken block, and freeing the table gives every block back.
 * Leaves are added, split and change rights, but never leave before the VM
 * does. Every function runs under vm.lock (or with the VM unreachable); a CPU
 * may be walking the table at the same time, so each entry is written whole.
 */
#include <errno.h>

#include "vmm.h"

#define NPT_LEVELS	4
#define NPT_ENTRIES	512
#define NPT_ADDR	0x000ffffffffff000UL

/* Index of `gpa` in a table of `level`; level 0 maps 4 KiB. */
static unsigned int
npt_index(uint64_t gpa, unsigned int level)
{
	return (gpa >> (PAGE_SHIFT_4K + 9 * level) & (NPT_ENTRIES - 1));
}

/* Bytes that one entry of `level` maps. */
static uint64_t
npt_span(unsigned int level)
{
	return (PAGE_SIZE_4K << (9 * level));
}

static bool
npt_in_use(const struct npt_format *f, uint64_t entry)
{
	return ((entry & f->present) != 0);
}

/* Is a used entry of `level` a leaf? Level 0 has no other kind. */
static bool
npt_is_leaf(const struct npt_format *f, uint64_t entry, unsigned int level)
{
	return (level == 0 || (entry & f->large) != 0);
}

static uint64_t
npt_leaf_entry(const struct npt_format *f, uint64_t hpa, unsigned int level,
    uint8_t prot)
{
	uint64_t x = (prot & NPT_X) == 0 ? f->nx :
	    level > 0 && f->withheld != 0 ? f->withheld : f->x;

	if (!f->exec_only || prot != NPT_X)	/* W needs R, too */
		prot |= NPT_R;
	return (hpa | f->leaf | (level > 0 ? f->large : 0) |
	    (prot & NPT_R ? f->r : 0) | (prot & NPT_W ? f->w : 0) | x);
}

static uint8_t
npt_entry_prot(const struct npt_format *f, uint64_t entry)
{
	bool x = (entry & f->withheld) != 0 ||
	    ((entry & f->x) == f->x && (entry & f->nx) == 0);

	return ((entry & f->r ? NPT_R : 0) | (entry & f->w ? NPT_W : 0) |
	    (x ? NPT_X : 0));
}

static uint64_t *
npt_table_of(uint64_t entry)
{
	return (host_va_of(entry & NPT_ADDR));
}

/*
 * The deepest entry that exists for `gpa`, its level in *level: a leaf, or an
 * entry not in use.
 */
static uint64_t *
npt_walk(const struct npt *npt, uint64_t gpa, unsigned int *level)
{
	uint64_t *table = npt->root, *e;

	for (*level = NPT_LEVELS - 1;; (*level)--) {
		e = &table[npt_index(gpa, *level)];
		if (!npt_in_use(npt->fmt, *e) ||
		    npt_is_leaf(npt->fmt, *e, *level))
			return (e);
		table = npt_table_of(*e);
	}
}

/*
 * Make an empty table.
 * Returns: ENOMEM: no page for the root.
 */
int
npt_init(struct npt *npt, const struct npt_format *fmt)
{
	npt->fmt = fmt;
	npt->pages = 0;
	npt->tables = 1;
	npt->root = host_page_alloc(0);
	return (npt->root == NULL ? ENOMEM : 0);
}

static void
npt_free_table(const struct npt *npt, uint64_t *table, unsigned int level)
{
	unsigned int i;

	for (i = 0; i < NPT_ENTRIES; i++) {
		if (!npt_in_use(npt->fmt, table[i]))
			continue;
		if (npt_is_leaf(npt->fmt, table[i], level))
			host_user_release(table[i] & NPT_ADDR, 9 * level);
		else
			npt_free_table(npt, npt_table_of(table[i]), level - 1);
	}
	host_page_free(table, 0);
	host_yield();
}

/* Give back every taken block and every table. */
void
npt_free(struct npt *npt)
{
	if (npt->root != NULL)
		npt_free_table(npt, npt->root, NPT_LEVELS - 1);
	npt->root = NULL;
	npt->pages = npt->tables = 0;
}

/* The leaf that maps `gpa`; false if there is none. */
bool
npt_lookup(const struct npt *npt, uint64_t gpa, struct npt_leaf *leaf)
{
	unsigned int level;
	uint64_t *e;

	if (gpa >> 48 != 0)		/* four levels do not see these bits */
		return (false);
	e = npt_walk(npt, gpa, &level);
	if (!npt_in_use(npt->fmt, *e))
		return (false);
	leaf->order = 9 * level;
	leaf->gpa = gpa & ~(npt_span(level) - 1);
	leaf->hpa = *e & NPT_ADDR;
	leaf->prot = npt_entry_prot(npt->fmt, *e);
	return (true);
}

/* The largest order up to `order` that could be mapped around `gpa` now. */
unsigned int
npt_fit(const struct npt *npt, uint64_t gpa, unsigned int order)
{
	unsigned int level;
	uint64_t *e = npt_walk(npt, gpa, &level);

	if (npt_in_use(npt->fmt, *e))
		return (ORDER_4K);
	if (order > npt->fmt->max_order)
		order = npt->fmt->max_order;
	return (order < 9 * level ? order : 9 * level);
}

/*
 * Point `*e` at a new table: an empty one, or, where `*e` is a large leaf, 512
 * smaller ones with its rights.
 * Returns: ENOMEM: no page for the table; the entry is unchanged.
 */
static int
npt_split(struct npt *npt, uint64_t *e, unsigned int level)
{
	uint64_t *table = host_page_alloc(0);
	uint64_t hpa = *e & NPT_ADDR;
	uint8_t prot = npt_entry_prot(npt->fmt, *e);
	unsigned int i;

	if (table == NULL)
		return (ENOMEM);
	for (i = 0; npt_in_use(npt->fmt, *e) && i < NPT_ENTRIES; i++)
		table[i] = npt_leaf_entry(npt->fmt,
		    hpa + i * npt_span(level - 1), level - 1, prot);
	npt->tables++;
	ATOMIC_SET(e, host_pa_of(table) | npt->fmt->table);
	return (0);
}

/*
 * Map the taken block [hpa, +2^order pages) at `gpa`, both aligned to it.
 * Nothing may be mapped there; npt_fit() tells.
 * Returns: ENOMEM: no page for a table; the block is still the caller's.
 */
int
npt_map(struct npt *npt, uint64_t gpa, uint64_t hpa, unsigned int order,
    uint8_t prot)
{
	unsigned int level;
	uint64_t *e;

	while (e = npt_walk(npt, gpa, &level), 9 * level > order) {
		HOST_ASSERT(!npt_in_use(npt->fmt, *e));
		if (npt_split(npt, e, level) != 0)
			return (ENOMEM);
	}
	HOST_ASSERT(9 * level == order && !npt_in_use(npt->fmt, *e));
	ATOMIC_SET(e, npt_leaf_entry(npt->fmt, hpa, level, prot));
	npt->pages += 1UL << order;
	return (0);
}

/*
 * Give [gpa, +size) exactly the rights `prot`; all of it is mapped. Large
 * leaves that reach beyond it are split first. The caller flushes.
 * Returns: ENOMEM: a leaf could not be split; it and what follows it are
 * unchanged.
 */
int
npt_protect(struct npt *npt, uint64_t gpa, uint64_t size, uint8_t prot)
{
	uint64_t end = gpa + size, *e;
	unsigned int level;

	while (gpa < end) {
		e = npt_walk(npt, gpa, &level);
		HOST_ASSERT(npt_in_use(npt->fmt, *e));
		if ((gpa & (npt_span(level) - 1)) != 0 ||
		    npt_span(level) > end - gpa) {
			if (npt_split(npt, e, level) != 0)
				return (ENOMEM);
			continue;
		}
		ATOMIC_SET(e, npt_leaf_entry(npt->fmt, *e & NPT_ADDR, level,
		    prot));
		gpa += npt_span(level);
	}
	return (0);
}
