/* SPDX-License-Identifier: ISC */
/*
 * load_multiboot.c - kernels of the Multiboot Specification, version 0.6.96.
 * Names are the specification's. docs/book/booting.md tells it.
 */
#include <string.h>

#include "load.h"

#define MAGIC		0x1badb002
#define LOADED		0x2badb002	/* what EAX says */
#define SEARCH		8192

/* Flags of the header. Bits 0-15 are demands. */
#define WANT_ALIGNED	0x0001
#define WANT_MEMORY	0x0002
#define WANT_KNOWN	(WANT_ALIGNED | WANT_MEMORY)
#define WANT_ALL	0xffff
#define HAS_ADDRESSES	0x10000

/* book: multiboot-info */
/* The information, at LOAD_INFO, and what it points to. */
struct info {
	uint32_t	flags, mem_lower, mem_upper, boot_device, cmdline;
	uint32_t	mods_count, mods_addr, syms[4];
	uint32_t	mmap_length, mmap_addr, drives[2], config_table;
	uint32_t	boot_loader_name;
};
#define INFO_MEMORY	0x001
#define INFO_CMDLINE	0x004
#define INFO_MODS	0x008
#define INFO_MMAP	0x040
#define INFO_NAME	0x200

struct info_module {
	uint32_t	mod_start, mod_end, string, reserved;
};

struct info_area {
	uint32_t	size;		/* without itself */
	uint64_t	base, length;
	uint32_t	type;
} __attribute__((packed));
/* book: end */

#define MMAP_AT		(LOAD_INFO + 0x100)
#define MODS_AT		(LOAD_INFO + 0x1000)
#define MODS_MAX	64

_Static_assert(sizeof(struct info_area) == 24, "by the specification");
_Static_assert(MMAP_AT + LOAD_MAP * sizeof(struct info_area) <= MODS_AT,
    "the map has room");

/* ELF32. */
enum {
	E_CLASS = 4, E_MACHINE = 0x12, E_ENTRY = 0x18, E_PHOFF = 0x1c,
	E_PHENTSIZE = 0x2a, E_PHNUM = 0x2c,
	P_TYPE = 0, P_OFFSET = 4, P_VADDR = 8, P_PADDR = 12, P_FILESZ = 16,
	P_MEMSZ = 20, PH_SIZE = 32,
};
#define EM_386		3
#define PT_LOAD		1
#define PH_MAX		64		/* an image is not to keep us busy */

static uint32_t
get32(const struct load *l, uint64_t off)
{
	return (load_get(&l->image, off, 4));
}

/* Where the header is; the image's length, if there is none. */
static uint64_t
find_header(const struct load *l)
{
	uint64_t off;

	for (off = 0; off + 12 <= SEARCH && off + 12 <= l->image.len; off += 4)
		if (get32(l, off) == MAGIC && MAGIC + get32(l, off + 4) +
		    get32(l, off + 8) == 0)
			return (off);
	return (l->image.len);
}

/* A piece of the image to gpa, and nulls behind it. */
static bool
segment(struct load *l, uint64_t gpa, uint64_t off, uint64_t filesz,
    uint64_t memsz, uint64_t *end)
{
	uint8_t *to;

	if (memsz == 0)
		return (true);
	if (filesz > memsz || off > l->image.len ||
	    filesz > l->image.len - off)
		return (load_fail(l, "the kernel's part for 0x%llx is not in "
		    "the image: it is cut off, get it again",
		    (unsigned long long)gpa));
	to = load_room(l, gpa, memsz);
	if (to == NULL)
		return (load_fail(l, "the kernel wants %llu KiB at 0x%llx: "
		    "give the VM more memory, or link it at 1 MiB",
		    (unsigned long long)(memsz + 1023) >> 10,
		    (unsigned long long)gpa));
	memcpy(to, (const uint8_t *)l->image.data + off, filesz);
	memset(to + filesz, 0, memsz - filesz);
	if (gpa + memsz > *end)
		*end = gpa + memsz;
	return (true);
}

/* By the header's own addresses. */
static bool
load_addresses(struct load *l, uint64_t header, uint32_t *entry, uint64_t *end)
{
	uint64_t at = get32(l, header + 12), from = get32(l, header + 16);
	uint64_t to = get32(l, header + 20), bss = get32(l, header + 24);
	uint64_t off = header - (at - from);

	*entry = get32(l, header + 28);
	if (at - from > header)		/* or less than nothing */
		return (load_fail(l, "the multiboot header is at 0x%llx, "
		    "before the image's begin: link it anew",
		    (unsigned long long)at));
	if (to == 0)
		to = from + l->image.len - off;
	if (bss == 0)
		bss = to;
	if (to < from || bss < to)
		return (load_fail(l, "the multiboot header's addresses are "
		    "out of order: link it anew"));
	return (segment(l, from, off, to - from, bss - from, end));
}

static bool
load_elf(struct load *l, uint32_t *entry, uint64_t *end)
{
	uint64_t phoff = get32(l, E_PHOFF), ph, vaddr;
	unsigned int size = load_get(&l->image, E_PHENTSIZE, 2);
	unsigned int n = load_get(&l->image, E_PHNUM, 2), i;

	if (get32(l, 0) != 0x464c457f ||
	    load_get(&l->image, E_CLASS, 1) != 1 ||
	    load_get(&l->image, E_MACHINE, 2) != EM_386)
		return (load_fail(l, "the multiboot kernel is no 32-bit ELF "
		    "file: try objcopy -O elf32-i386"));
	if (size < PH_SIZE || n > PH_MAX)
		return (load_fail(l, "the kernel has %u program headers of %u "
		    "bytes, at most %d of %d or more are known: link it anew",
		    n, size, PH_MAX, PH_SIZE));
	*entry = get32(l, E_ENTRY);
	for (i = 0; i < n; i++) {
		ph = phoff + (uint64_t)i * size;
		if (get32(l, ph + P_TYPE) != PT_LOAD)
			continue;
		if (!segment(l, get32(l, ph + P_PADDR),
		    get32(l, ph + P_OFFSET), get32(l, ph + P_FILESZ),
		    get32(l, ph + P_MEMSZ), end))
			return (false);
		/* Of kernels linked high, the entry may be virtual. */
		vaddr = get32(l, ph + P_VADDR);
		if (get32(l, E_ENTRY) - vaddr < get32(l, ph + P_MEMSZ))
			*entry = get32(l, E_ENTRY) - vaddr +
			    get32(l, ph + P_PADDR);
	}
	return (true);
}

/* Each on a page of its own, behind the kernel. */
static bool
load_modules(struct load *l, struct info *info, uint32_t *strings,
    uint64_t end)
{
	struct info_module *mod = mem_ptr(l->mem, MODS_AT,
	    MODS_MAX * sizeof(*mod));
	const struct load_file *f;
	size_t i;
	uint8_t *to;

	if (l->nmodules > MODS_MAX)
		return (load_fail(l, "%zu modules, %d is the most: leave some "
		    "out", l->nmodules, MODS_MAX));
	if (end < LOAD_HIGH)
		end = LOAD_HIGH;
	for (i = 0; i < l->nmodules; i++) {
		f = &l->module[i];
		end = (end + 0xfff) & ~0xfffULL;
		to = load_room(l, end, f->len);
		if (to == NULL || end + f->len > UINT32_MAX)
			return (load_fail(l, f->len == 0 ? "module %zu is "
			    "empty: leave it out" : "module %zu does not fit "
			    "behind the kernel: give the VM more memory", i));
		memcpy(to, f->data, f->len);
		mod[i].mod_start = end;
		mod[i].mod_end = end += f->len;
		mod[i].reserved = 0;
		mod[i].string = load_string(l, strings,
		    f->cmdline != NULL ? f->cmdline : "");
		if (mod[i].string == 0)
			return (load_fail(l, "no room for the command line of "
			    "module %zu: shorten it", i));
	}
	info->flags |= INFO_MODS;
	info->mods_count = l->nmodules;
	info->mods_addr = MODS_AT;
	return (true);
}

/* The map, and what there was before it: KiB from 0 and from 1 MiB on. */
static void
fill_memory(struct load *l, struct info *info)
{
	struct info_area *to = mem_ptr(l->mem, MMAP_AT,
	    LOAD_MAP * sizeof(*to));
	struct load_area map[LOAD_MAP];
	size_t i, n = load_map(l->mem, map);

	for (i = 0; i < n; i++) {
		to[i] = (struct info_area){ sizeof(*to) - 4, map[i].gpa,
		    map[i].size, map[i].type };
		if (map[i].gpa == LOAD_HIGH)
			info->mem_upper = map[i].size >> 10 > UINT32_MAX ?
			    UINT32_MAX : map[i].size >> 10;
	}
	info->mem_lower = LOAD_LOW_END >> 10;
	info->mmap_length = n * sizeof(*to);
	info->mmap_addr = MMAP_AT;
	info->flags |= INFO_MEMORY | INFO_MMAP;
}

bool
load_multiboot(struct load *l)
{
	uint64_t header = find_header(l), end = 0;
	uint32_t strings = LOAD_STRINGS, entry = 0;
	struct info info = { .flags = INFO_CMDLINE | INFO_NAME };
	uint32_t flags = get32(l, header + 4);

	if (mem_ptr(l->mem, 0, LOAD_LOW_END) == NULL)
		return (load_fail(l, "no memory from 0 to 0x%x: give the VM "
		    "more memory", LOAD_LOW_END));
	if (header == l->image.len)
		return (load_fail(l, "the image has no multiboot header in "
		    "its first 8 KiB: link it in front"));
	if (flags & WANT_ALL & ~WANT_KNOWN)
		return (load_fail(l, "the kernel demands what is not there, "
		    "header flags 0x%x (bit 2: a screen): build it without",
		    flags));
	if (!(flags & HAS_ADDRESSES ? load_addresses(l, header, &entry, &end) :
	    load_elf(l, &entry, &end)))
		return (false);
	if (end == 0 || load_room(l, entry, 1) == NULL)
		return (load_fail(l, "the kernel's entry 0x%x is not in "
		    "memory: link it anew", entry));
	info.cmdline = load_string(l, &strings,
	    l->image.cmdline != NULL ? l->image.cmdline : "");
	if (info.cmdline == 0)
		return (load_fail(l, "the command line has %zu characters, "
		    "there is room for %d: shorten it",
		    strlen(l->image.cmdline), LOAD_END - LOAD_STRINGS - 1));
	if (!load_modules(l, &info, &strings, end))
		return (false);
	fill_memory(l, &info);
	info.boot_loader_name = load_string(l, &strings, "vmctl");
	if (info.boot_loader_name == 0)
		info.flags &= ~INFO_NAME;
	memcpy(mem_ptr(l->mem, LOAD_INFO, sizeof(info)), &info, sizeof(info));
	load_start(l, LOAD_PROT, entry);
	l->start.vrs_gprs[VCPU_REGS_RAX] = LOADED;
	l->start.vrs_gprs[VCPU_REGS_RBX] = LOAD_INFO;
	return (true);
}
