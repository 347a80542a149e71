/* SPDX-License-Identifier: ISC */
/*
 * load_linux.c - Linux by its 64-bit boot protocol, as the kernel's own
 * Documentation/arch/x86/boot.rst has it. docs/book/booting.md tells it.
 */
#include <string.h>

#include "load.h"

/* book: linux-header */
/* Offsets in the image, and the same in the zero page from 0x1f1 on. */
enum {
	SETUP_SECTS = 0x1f1, SYSSIZE = 0x1f4, VID_MODE = 0x1fa,
	BOOT_FLAG = 0x1fe, JUMP = 0x201, MAGIC = 0x202, VERSION = 0x206,
	LOADER = 0x210, LOADFLAGS = 0x211, CODE32 = 0x214, INITRD = 0x218,
	INITRD_SIZE = 0x21c, CMDLINE = 0x228, INITRD_MAX = 0x22c,
	ALIGNMENT = 0x230, RELOCATABLE = 0x234, XLOADFLAGS = 0x236,
	CMDLINE_SIZE = 0x238, SETUP_DATA = 0x250, PREFERRED = 0x258,
	INIT_SIZE = 0x260, HEADER_END = 0x264, HEADER_MAX = 0x290,
	/* In the zero page only. */
	E820_N = 0x1e8, E820 = 0x2d0,
};
/* book: end */

#define SECTOR		512
#define LOADED_HIGH	0x01
#define KERNEL_64	0x01
#define UNKNOWN_LOADER	0xff
#define ENTRY_64	0x200
#define PAGE		0x1000
#define GIB4		0x100000000ULL

struct kernel {
	uint64_t	off, len;	/* of what runs, in the image */
	uint64_t	at, size;	/* in memory, with room to unpack */
	uint64_t	initrd, initrd_len;
};

static bool
check_header(struct load *l, struct kernel *k)
{
	const struct load_file *f = &l->image;
	unsigned int version = load_get(f, VERSION, 2);
	uint64_t sects = load_get(f, SETUP_SECTS, 1);

	if (load_get(f, MAGIC, 4) != 0x53726448 ||
	    load_get(f, BOOT_FLAG, 2) != 0xaa55)
		return (load_fail(l, "the kernel has no Linux header: give a "
		    "bzImage"));
	if (version < 0x20c)
		return (load_fail(l, "the kernel's boot protocol is %u.%02u, "
		    "2.12 is the least: give Linux 3.8 or later",
		    version >> 8, version & 0xff));
	if (!(load_get(f, XLOADFLAGS, 2) & KERNEL_64) ||
	    !(load_get(f, LOADFLAGS, 1) & LOADED_HIGH) ||
	    MAGIC + load_get(f, JUMP, 1) < HEADER_END)
		return (load_fail(l, "the kernel has no 64-bit entry: give a "
		    "bzImage for x86-64"));
	k->off = ((sects == 0 ? 4 : sects) + 1) * SECTOR;
	k->len = load_get(f, SYSSIZE, 4) * 16;
	/* The last paragraph may be short. */
	if (k->len <= ENTRY_64 || k->off > f->len ||
	    k->len > f->len - k->off + 15)
		return (load_fail(l, "the kernel says it has %llu bytes, the "
		    "image has %zu: it is cut off, get it again",
		    (unsigned long long)(k->off + k->len), f->len));
	if (k->len > f->len - k->off)
		k->len = f->len - k->off;
	return (true);
}

/* Whether the kernel can lie there: the page tables reach to 4 GiB. */
static uint8_t *
kernel_room(const struct load *l, const struct kernel *k)
{
	if (k->at < LOAD_HIGH || k->at >= GIB4 || k->size > GIB4 - k->at)
		return (NULL);
	return (load_room(l, k->at, k->size));
}

/*
 * At the address it was linked for, or above. A kernel that is loaded lower
 * moves itself up to there, and wants all of its memory there.
 */
static bool
place_kernel(struct load *l, struct kernel *k)
{
	const struct load_file *f = &l->image;
	uint64_t align = load_get(f, ALIGNMENT, 4);
	uint64_t wants = load_get(f, PREFERRED, 8), gpa;
	bool moves = load_get(f, RELOCATABLE, 1) != 0 && align >= PAGE &&
	    (align & (align - 1)) == 0;
	uint8_t *to;
	size_t i;

	k->size = load_get(f, INIT_SIZE, 4);
	if (k->size < k->len)
		k->size = k->len;
	k->at = wants;
	to = kernel_room(l, k);
	for (i = 0; to == NULL && moves && i < l->mem->n; i++) {
		gpa = l->mem->range[i].gpa;
		gpa = gpa < LOAD_HIGH ? LOAD_HIGH : gpa;
		k->at = ((gpa > wants ? gpa : wants) + align - 1) &
		    ~(align - 1);
		to = kernel_room(l, k);
	}
	if (to == NULL)
		return (load_fail(l, "the kernel wants %llu KiB of memory at "
		    "0x%llx, which are not there: give the VM more memory",
		    (unsigned long long)(k->size >> 10),
		    (unsigned long long)wants));
	memcpy(to, (const uint8_t *)f->data + k->off, k->len);
	return (true);
}

/*
 * The highest page in [bottom, top) where `len` bytes end before top; 0 if
 * there is none. Never below 1 MiB.
 */
static uint64_t
highest(uint64_t bottom, uint64_t top, uint64_t len)
{
	if (bottom < LOAD_HIGH)
		bottom = LOAD_HIGH;
	if (top < bottom || top - bottom < len)
		return (0);
	top = (top - len) & ~(uint64_t)(PAGE - 1);
	return (top >= bottom ? top : 0);
}

/* As high as kernel and memory let it: out of the way of what unpacks. */
static bool
place_initrd(struct load *l, struct kernel *k)
{
	uint64_t max = load_get(&l->image, INITRD_MAX, 4) + 1;
	uint64_t len, at, bottom, top;
	const struct mem_range *r;
	size_t i;

	if (l->nmodules == 0)
		return (true);
	if (l->nmodules > 1 || l->module[0].len == 0)
		return (load_fail(l, l->nmodules > 1 ? "Linux takes one "
		    "initrd: append the others to it" :
		    "the initrd is empty: leave it out"));
	len = k->initrd_len = l->module[0].len;
	for (i = 0; i < l->mem->n; i++) {
		r = &l->mem->range[i];
		bottom = r->gpa;
		top = r->gpa + r->size < max ? r->gpa + r->size : max;
		/* Above the kernel, if it is in this range; or below it. */
		at = highest(bottom > k->at + k->size || top <= k->at ?
		    bottom : k->at + k->size, top, len);
		if (at == 0)
			at = highest(bottom, top < k->at ? top : k->at, len);
		if (at > k->initrd)
			k->initrd = at;
	}
	if (k->initrd == 0)
		return (load_fail(l, "the initrd has %llu KiB and does not "
		    "fit beside the kernel below 0x%llx: give the VM more "
		    "memory, or a smaller initrd",
		    (unsigned long long)(len >> 10), (unsigned long long)max));
	memcpy(mem_ptr(l->mem, k->initrd, len), l->module[0].data, len);
	return (true);
}

static void
put(uint8_t *zero, unsigned int off, uint64_t v, size_t size)
{
	memcpy(zero + off, &v, size);
}

/* book: linux-zero-page */
static void
fill_zero_page(const struct load *l, const struct kernel *k, uint32_t cmdline)
{
	uint8_t *zero = mem_ptr(l->mem, LOAD_INFO, PAGE);
	size_t end = MAGIC + load_get(&l->image, JUMP, 1), i, n;
	struct load_area map[LOAD_MAP];

	if (end > HEADER_MAX)
		end = HEADER_MAX;
	memset(zero, 0, PAGE);
	memcpy(zero + SETUP_SECTS,
	    (const uint8_t *)l->image.data + SETUP_SECTS, end - SETUP_SECTS);
	put(zero, LOADER, UNKNOWN_LOADER, 1);
	put(zero, VID_MODE, 0xffff, 2);
	put(zero, CODE32, k->at, 4);
	put(zero, INITRD, k->initrd, 4);
	put(zero, INITRD_SIZE, k->initrd_len, 4);
	put(zero, CMDLINE, cmdline, 4);
	put(zero, SETUP_DATA, 0, 8);
	n = load_map(l->mem, map);
	put(zero, E820_N, n, 1);
	for (i = 0; i < n; i++) {
		put(zero, E820 + 20 * i, map[i].gpa, 8);
		put(zero, E820 + 20 * i + 8, map[i].size, 8);
		put(zero, E820 + 20 * i + 16, map[i].type, 4);
	}
}
/* book: end */

bool
load_linux(struct load *l)
{
	const char *line = l->image.cmdline != NULL ? l->image.cmdline : "";
	uint64_t max = load_get(&l->image, CMDLINE_SIZE, 4);
	uint32_t at = LOAD_STRINGS, cmdline;
	struct kernel k = { .initrd = 0 };

	if (mem_ptr(l->mem, 0, LOAD_LOW_END) == NULL)
		return (load_fail(l, "no memory from 0 to 0x%x: give the VM "
		    "more memory", LOAD_LOW_END));
	if (!check_header(l, &k) || !place_kernel(l, &k) ||
	    !place_initrd(l, &k))
		return (false);
	if (max > LOAD_END - LOAD_STRINGS - 1)
		max = LOAD_END - LOAD_STRINGS - 1;
	if (strlen(line) > max)
		return (load_fail(l, "the command line has %zu characters, "
		    "this kernel takes %llu: shorten it", strlen(line),
		    (unsigned long long)max));
	cmdline = load_string(l, &at, line);
	fill_zero_page(l, &k, cmdline);
	load_start(l, LOAD_LONG, k.at + ENTRY_64);
	l->start.vrs_gprs[VCPU_REGS_RSI] = LOAD_INFO;
	return (true);
}
