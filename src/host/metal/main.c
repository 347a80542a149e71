/* SPDX-License-Identifier: ISC */
/*
 * main.c - from boot.S to the first thread: what the loader tells of memory,
 * the boot archive and the command line.
 */
#include "metal.h"

#define MB_LOADED	0x2badb002	/* EAX of a multiboot loader */
#define MB_NEEDED	0x4c		/* command line, modules, map */
#define MB_RAM		1
#define RAM_MAX		(64UL << 30)	/* we use no memory above */
#define BOOT_MAPPED	(1UL << 30)	/* by boot.S */
#define MAX_REGIONS	32

/* Multiboot Specification 0.6.96, 3.3 "Boot information format". */
struct mb_info {
	uint32_t	flags, mem_lower, mem_upper, boot_device, cmdline;
	uint32_t	mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};

struct mb_mmap {
	uint32_t	size;		/* of what follows */
	uint64_t	base, len;
	uint32_t	type;		/* as INT 15h E820h */
} __attribute__((packed));

static struct mb_mmap regions[MAX_REGIONS];
static unsigned int nregions;
static char cmdline[1024];
uint32_t mod_start, mod_end;

/* Copies what the loader left, since the allocator may hand it out. */
static void
read_info(const struct mb_info *mb)
{
	const uint32_t *mod = va_of(mb->mods_addr);	/* start, end */
	const struct mb_mmap *m;
	uint32_t at;

	if ((mb->flags & MB_NEEDED) != MB_NEEDED || mb->mods_count == 0)
		panic("no memory map, command line or archive from the loader");
	memcpy(cmdline, va_of(mb->cmdline),
	    strnlen(va_of(mb->cmdline), sizeof(cmdline) - 1));
	mod_start = mod[0];
	mod_end = mod[1];
	for (at = 0; at < mb->mmap_length && nregions < MAX_REGIONS;
	    at += m->size + sizeof(m->size)) {
		m = va_of(mb->mmap_addr + at);
		regions[nregions++] = *m;
	}
}

/* Makes the RAM in [from, to) free, as far as it lies there. */
static void
add_ram(uint64_t from, uint64_t to)
{
	const struct mb_mmap *m;
	uint64_t start, end;

	for (m = regions; m < regions + nregions; m++) {
		start = max(m->base, from);
		end = min(m->base + m->len, to);
		if (m->type == MB_RAM && start < end)
			page_add(start, end);
	}
}

/*
 * The page array follows the kernel and the archive; free memory follows
 * that. Then the final page tables: the direct map has RAM, and uncached the
 * rest below 4 GiB that firmware lists, for ACPI's tables. They are made
 * with memory that boot.S has mapped.
 */
static void
memory_init(void)
{
	uint64_t first = round_up(max((uint64_t)kern_end - KERNBASE,
	    (uint64_t)mod_end), PAGE_SIZE), top = 0, start, end;
	const struct mb_mmap *m;
	unsigned int pass;

	for (m = regions; m < regions + nregions; m++)
		if (m->type == MB_RAM)
			top = max(top, min(m->base + m->len, RAM_MAX));
	first = page_init(first, top);
	if (first > BOOT_MAPPED)
		panic("%lu MiB of RAM are too much", top >> 20);
	add_ram(first, BOOT_MAPPED);
	pt_init();
	for (pass = 0; pass < 2; pass++)
		for (m = regions; m < regions + nregions; m++) {
			start = round_down(m->base, BLOCK_SIZE);
			end = round_up(min(m->base + m->len,
			    pass == 0 ? RAM_MAX : 1UL << 32), BLOCK_SIZE);
			if ((m->type == MB_RAM) == (pass == 0) && start < end)
				pt_map_kernel(DIRECT + start, start,
				    end - start, PTE_W | cpu_nx |
				    (pass == 0 ? 0 : PTE_UC));
		}
	write_cr(3, pa_of(kernel_pml4));
	add_ram(BOOT_MAPPED, RAM_MAX);
}

/* The first thread: the driver, then the client. */
static void
first_thread(struct frame *f)
{
	char *args = cmdline;

	thread_begin(f);
	proc.pages_before = pages_free;
	vmm_attach();
	while (*args != '\0' && *args != ' ')	/* the kernel's own name */
		args++;
	proc_main(args, f);
}

/* From boot.S, on its stack, with its page tables. */
void
kmain(uint32_t magic, uint32_t info)
{
	cpu_init();
	console_init();
	if (magic != MB_LOADED)
		panic("not loaded by a multiboot loader");
	read_info(va_of(info));
	memory_init();
	power_init();
	time_init();
	thread_first(first_thread);
}
