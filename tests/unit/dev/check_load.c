/* SPDX-License-Identifier: ISC */
/*
 * check_load.c - the loaders, on images made here byte by byte: good ones,
 * bad ones, and thousands that are nearly good.
 */
#include <stdlib.h>

#include "dev_unit.h"
#include "load.h"

#define KIB		1024ULL
#define MIB		0x100000ULL
#define N(t)		(int)(sizeof(t) / sizeof((t)[0]))

static struct mem mem;
static struct load l;
static uint8_t image[0x4000];
static size_t image_len;

/* --- Memory: each range a block of its own, so that asan sees its ends. --- */

static void
add_range(uint64_t gpa, uint64_t size)
{
	mem.range[mem.n++] = (struct mem_range){ gpa, size, malloc(size) };
	ck_assert_ptr_nonnull(mem.range[mem.n - 1].host);
	memset(mem.range[mem.n - 1].host, 0xcc, size);
}

static void
no_ranges(void)
{
	while (mem.n > 0)
		free(mem.range[--mem.n].host);
}

static uint64_t
peek(uint64_t gpa, unsigned int size)
{
	uint64_t v = 0;
	const void *p = mem_ptr(&mem, gpa, size);

	ck_assert_msg(p != NULL, "%#lx is not in memory", gpa);
	memcpy(&v, p, size);
	return (v);
}

static void
poke(size_t off, uint64_t v, unsigned int size)
{
	ck_assert_uint_le(off + size, sizeof(image));
	memcpy(image + off, &v, size);
}

/* --- Images --- */

#define SETUP		(3 * 512)	/* two sectors, and the first */
#define PAYLOAD		4000
#define PREFERRED	(4 * MIB)

/* A bzImage: version 2.15, for 4 MiB, relocatable by 2 MiB. */
static void
make_linux(void)
{
	size_t i;

	memset(image, 0, sizeof(image));
	for (i = 0; i < PAYLOAD; i++)
		image[SETUP + i] = i * 7 + 3;
	poke(0x1f1, 2, 1);
	poke(0x1f4, PAYLOAD / 16, 4);
	poke(0x1fe, 0xaa55, 2);
	poke(0x200, 0x6aeb, 2);		/* the header ends at 0x26c */
	memcpy(image + 0x202, "HdrS", 4);
	poke(0x206, 0x20f, 2);
	poke(0x211, 1, 1);
	poke(0x22c, 0x7fffffff, 4);
	poke(0x230, 2 * MIB, 4);
	poke(0x234, 1, 1);
	poke(0x236, 1, 2);
	poke(0x238, 255, 4);
	poke(0x250, 0x1234, 8);
	poke(0x258, PREFERRED, 8);
	poke(0x260, 0x20000, 4);
	poke(0x264, 0xabcdef01, 4);
	image_len = SETUP + PAYLOAD;
}

static void
put_multiboot(size_t off, uint32_t flags)
{
	poke(off, 0x1badb002, 4);
	poke(off + 4, flags, 4);
	poke(off + 8, -(0x1badb002 + flags), 4);
}

static void
put_segment(int i, uint32_t off, uint32_t vaddr, uint32_t paddr,
    uint32_t filesz, uint32_t memsz)
{
	const uint32_t ph[8] = { 1, off, vaddr, paddr, filesz, memsz, 7, 0 };

	memcpy(image + 52 + 32 * i, ph, sizeof(ph));
}

/* ELF32 with two segments; a note in between is none of ours. */
static void
make_elf(void)
{
	size_t i;

	memset(image, 0, sizeof(image));
	memcpy(image, "\177ELF\1\1\1", 7);
	poke(0x10, 2, 2);
	poke(0x12, 3, 2);
	poke(0x18, 1 * MIB + 0x40, 4);
	poke(0x1c, 52, 4);
	poke(0x2a, 32, 2);
	poke(0x2c, 3, 2);
	put_segment(0, 0x1000, 1 * MIB, 1 * MIB, 0x800, 0x800);
	put_segment(1, 0x5000, 0, 0, 0x7000, 0x7000);
	poke(52 + 32, 4, 4);
	put_segment(2, 0x1800, 1 * MIB + 0x2000, 1 * MIB + 0x2000, 0x100,
	    0x1234);
	put_multiboot(0x1000, 3);
	for (i = 0x100c; i < 0x1900; i++)
		image[i] = i * 5 + 1;
	image_len = 0x1900;
}

/* The same without ELF: addresses in the header at 0x20. */
static void
make_addresses(void)
{
	size_t i;

	for (i = 0; i < sizeof(image); i++)
		image[i] = i * 3 + 2;
	put_multiboot(0x20, 0x10000);
	poke(0x2c, 2 * MIB + 0x10, 4);		/* header_addr */
	poke(0x30, 2 * MIB, 4);			/* load_addr */
	poke(0x34, 2 * MIB + 0x700, 4);		/* load_end_addr */
	poke(0x38, 2 * MIB + 0x1000, 4);	/* bss_end_addr */
	poke(0x3c, 2 * MIB + 0x30, 4);		/* entry_addr */
	image_len = 0x900;
}

static void
make_flat(void)
{
	memset(image, 0x90, sizeof(image));
	poke(510, 0xaa55, 2);
	image_len = 1000;
}

/* The image in a block of its own length. */
static bool
try(void)
{
	uint8_t *copy = malloc(image_len);
	bool ok;

	memcpy(copy, image, image_len);
	l.mem = &mem;
	l.image.data = copy;
	l.image.len = image_len;
	l.why[0] = '\0';
	ok = load_image(&l);
	free(copy);
	/* Either it says nothing, or what and what helps. */
	ck_assert_msg(ok == (l.why[0] == '\0'), "%d, but %s", ok, l.why);
	if (!ok) {
		ck_assert_ptr_null(strchr(l.why, '\n'));
		ck_assert_uint_lt(strlen(l.why), sizeof(l.why) - 1);
		ck_assert_ptr_nonnull(strstr(l.why, ": "));
	}
	return (ok);
}

#define ck_loads()	ck_assert_msg(try(), "%s", l.why)
#define ck_fails(what)	do {						\
	ck_assert_msg(!try(), "was loaded");				\
	ck_assert_msg(strstr(l.why, what) != NULL, "%s", l.why);	\
} while (0)

/* --- The start --- */

/* Where paging of the start state leads. */
static uint64_t
walk(uint64_t va)
{
	uint64_t e = l.start.vrs_crs[VCPU_REGS_CR3];
	int shift;

	for (shift = 39; shift >= 21; shift -= 9) {
		e = peek((e & ~0xfffULL) + (va >> shift & 511) * 8, 8);
		ck_assert_uint_eq(e & 3, 3);
		ck_assert_int_eq((e & 0x80) != 0, shift == 21);
	}
	return ((e & ~0x1fffffULL) + (va & 0x1fffff));
}

/* Segments are what the GDT has under their selectors. */
static void
check_segments(uint32_t code)
{
	const struct vcpu_segment_info *s;
	uint64_t d;
	int i;

	for (i = VCPU_REGS_CS; i <= VCPU_REGS_SS; i++) {
		s = &l.start.vrs_sregs[i];
		ck_assert_uint_eq(s->vsi_sel, i == VCPU_REGS_CS ? 0x10 : 0x18);
		ck_assert_uint_eq(s->vsi_ar, i == VCPU_REGS_CS ? code :
		    0xc093);
		ck_assert_uint_eq(s->vsi_base, 0);
		ck_assert_uint_eq(s->vsi_limit, 0xffffffff);
		ck_assert_uint_ge(l.start.vrs_gdtr.vsi_limit, s->vsi_sel + 7);
		d = peek(l.start.vrs_gdtr.vsi_base + s->vsi_sel, 8);
		ck_assert_uint_eq(d >> 40 & 0xf0ff, s->vsi_ar);
		ck_assert_uint_eq(d & 0xff0f00ffffffffff, 0x000f00000000ffff);
	}
	ck_assert_uint_eq(peek(l.start.vrs_gdtr.vsi_base, 8), 0);
	ck_assert_uint_eq(l.start.vrs_sregs[VCPU_REGS_TR].vsi_ar, 0x8b);
	ck_assert_uint_eq(l.start.vrs_sregs[VCPU_REGS_LDTR].vsi_ar, 0x10000);
	ck_assert_uint_eq(l.start.vrs_gprs[VCPU_REGS_RFLAGS], 2);
}

/* --- Linux --- */

START_TEST(linux_start)
{
	uint64_t i, zero = 0;

	make_linux();
	l.image.cmdline = "console=ttyS0 quiet";
	ck_loads();
	ck_assert_uint_eq(l.start.vrs_gprs[VCPU_REGS_RIP], PREFERRED + 0x200);
	for (i = 0; i < PAYLOAD; i++)
		ck_assert_uint_eq(peek(PREFERRED + i, 1), image[SETUP + i]);
	check_segments(0xa09b);
	ck_assert_uint_eq(l.start.vrs_crs[VCPU_REGS_CR0], 0x80000031);
	ck_assert_uint_eq(l.start.vrs_crs[VCPU_REGS_CR4], 0x20);
	ck_assert_uint_eq(l.start.vrs_msrs[VCPU_REGS_EFER], 0x500);
	for (i = 0; i < 4096 * MIB; i += 2 * MIB)
		ck_assert_uint_eq(walk(i + 0x12345), i + 0x12345);
	/* The zero page. */
	zero = l.start.vrs_gprs[VCPU_REGS_RSI];
	ck_assert_uint_eq(zero & 0xfff, 0);
	ck_assert_uint_eq(peek(zero + 0x202, 4), 0x53726448);
	ck_assert_uint_eq(peek(zero + 0x206, 2), 0x20f);
	ck_assert_uint_eq(peek(zero + 0x210, 1), 0xff);
	ck_assert_uint_eq(peek(zero + 0x211, 1), 1);
	ck_assert_uint_eq(peek(zero + 0x218, 8), 0);	/* no initrd */
	ck_assert_uint_eq(peek(zero + 0x250, 8), 0);
	ck_assert_uint_eq(peek(zero + 0x264, 4), 0xabcdef01);
	ck_assert_str_eq(mem_ptr(&mem, peek(zero + 0x228, 4), 20),
	    "console=ttyS0 quiet");
	/* No screen, no ACPI; nothing from before the header, or behind. */
	for (i = 0; i < 0x1000; i++)
		if (i != 0x1e8 && (i < 0x1f1 || i >= 0x26c) &&
		    (i < 0x2d0 || i >= 0x2d0 + 3 * 20))
			ck_assert_uint_eq(peek(zero + i, 1), 0);
	ck_assert_uint_eq(peek(zero + 0x1e8, 1), 3);
}
END_TEST

/* What the header says, and what comes of it. */
static const struct {
	size_t		off;
	uint64_t	v;
	unsigned int	size;
	const char	*why;		/* NULL: it loads */
} linux_headers[] = {
	{ 0x1f1, 0, 1, NULL },		/* four sectors, of the short ago */
	{ 0x1f1, 0xff, 1, "cut off" },
	{ 0x1f4, 0, 4, "cut off" },
	{ 0x1f4, 32, 4, "cut off" },	/* ends where the entry is */
	{ 0x1f4, 33, 4, NULL },
	{ 0x1f4, PAYLOAD / 16 + 1, 4, "cut off" },
	{ 0x1f4, 0xffffffff, 4, "cut off" },
	{ 0x1fe, 0x55aa, 2, "no Linux header" },
	{ 0x206, 0x20b, 2, "protocol is 2.11" },
	{ 0x206, 0x20c, 2, NULL },
	{ 0x211, 0, 1, "64-bit entry" },
	{ 0x236, 0, 2, "64-bit entry" },
	{ 0x236, 0xfffe, 2, "64-bit entry" },
	{ 0x201, 0x61, 1, "64-bit entry" },
	{ 0x201, 0x62, 1, NULL },
	{ 0x201, 0xff, 1, NULL },
	{ 0x22c, 0, 4, NULL },
	{ 0x258, 0, 8, NULL },		/* goes to 2 MiB then */
	{ 0x258, 0x9fc00, 8, NULL },
	{ 0x258, 0xffffffffffffffff, 8, "more memory" },
	{ 0x258, 0xfffffffffffe0000, 8, "more memory" },
	{ 0x258, 8 * MIB - 0x20000, 8, NULL },
	{ 0x258, 8 * MIB - 0x1f000, 8, "more memory" },
	{ 0x260, 0, 4, NULL },
	{ 0x260, 4 * MIB, 4, NULL },
	{ 0x260, 4 * MIB + 1, 4, "more memory" },
	{ 0x260, 0xffffffff, 4, "more memory" },
	{ 0x230, 0, 4, NULL },
	{ 0x238, 3, 4, "takes 3: shorten" },
	{ 0x238, 4, 4, NULL },
	{ 0x238, 0xffffffff, 4, NULL },
};

START_TEST(linux_header)
{
	make_linux();
	if (linux_headers[_i].off == 0x1f1)
		poke(0x1f4, 64, 4);
	l.image.cmdline = "quie";
	poke(linux_headers[_i].off, linux_headers[_i].v,
	    linux_headers[_i].size);
	if (linux_headers[_i].why != NULL)
		ck_fails(linux_headers[_i].why);
	else
		ck_loads();
}
END_TEST

/*
 * Preferred address, alignment, relocatable, where it goes; 0: nowhere. There
 * is memory at [0, 8 MiB) and at [33 MiB, 41 MiB).
 */
static const struct {
	uint64_t	want;
	uint32_t	align;
	uint8_t		reloc;
	uint64_t	at;
} places[] = {
	{ 4 * MIB, 2 * MIB, 0, 4 * MIB },
	{ 1 * MIB, 2 * MIB, 1, 1 * MIB },
	/* Above if it has to be, and never below. */
	{ 16 * MIB, 2 * MIB, 1, 34 * MIB },
	{ 16 * MIB, 1 * MIB, 1, 33 * MIB },
	{ 16 * MIB, 4 * MIB, 1, 36 * MIB },
	{ 8 * MIB - 0x1f000, 2 * MIB, 1, 34 * MIB },
	{ 41 * MIB, 2 * MIB, 1, 0 },
	{ 41 * MIB - 0x1f000, 0x1000, 1, 0 },
	{ ~0ULL, 2 * MIB, 1, 0 },
	{ 16 * MIB, 2 * MIB, 0, 0 },
	{ 16 * MIB, 16 * MIB, 1, 0 },
	{ 16 * MIB, 0, 1, 0 },
	{ 16 * MIB, 0x800, 1, 0 },
	{ 16 * MIB, 3 * MIB, 1, 0 },
	{ 16 * MIB, 0x80000000, 1, 0 },
	{ 0x8000, 2 * MIB, 0, 0 },
	{ 0x20000, 2 * MIB, 0, 0 },	/* memory, but too low */
	{ 8 * MIB - 0x1f000, 2 * MIB, 0, 0 },
};

START_TEST(linux_place)
{
	make_linux();
	add_range(33 * MIB, 8 * MIB);
	poke(0x258, places[_i].want, 8);
	poke(0x230, places[_i].align, 4);
	poke(0x234, places[_i].reloc, 1);
	if (places[_i].at == 0) {
		ck_fails("more memory");
		return;
	}
	ck_loads();
	ck_assert_uint_eq(l.start.vrs_gprs[VCPU_REGS_RIP],
	    places[_i].at + 0x200);
	ck_assert_uint_eq(peek(places[_i].at + 1, 1), image[SETUP + 1]);
	ck_assert_uint_eq(peek(0x8214, 4), places[_i].at);
}
END_TEST

/* Above 4 GiB the page tables do not reach. */
START_TEST(linux_above)
{
	make_linux();
	add_range(4096 * MIB, 1 * MIB);
	poke(0x258, 4096 * MIB, 8);
	poke(0x234, 0, 1);
	ck_fails("more memory");
	poke(0x258, 4096 * MIB + 0x1000, 8);
	ck_fails("more memory");
}
END_TEST

/*
 * The initrd's place: memory besides [0, 8 MiB), its length, the limit, the
 * kernel's place and size; 0: it does not fit.
 */
static const struct {
	uint64_t	gpa, size, len;
	uint32_t	max;
	uint64_t	kernel, room, at;
} initrds[] = {
	{ 0, 0, 0x1000, 0x7fffffff, 4 * MIB, 0x20000, 8 * MIB - 0x1000 },
	{ 0, 0, 0x1001, 0x7fffffff, 4 * MIB, 0x20000, 8 * MIB - 0x2000 },
	{ 0, 0, 1, 0x7fffffff, 4 * MIB, 0x20000, 8 * MIB - 0x1000 },
	{ 0, 0, 0x1000, 6 * MIB - 1, 4 * MIB, 0x20000, 6 * MIB - 0x1000 },
	{ 0, 0, 0x1000, 6 * MIB - 2, 4 * MIB, 0x20000, 6 * MIB - 0x2000 },
	/* All there is above the kernel, and a page more: below. */
	{ 0, 0, 0x3e0000, 0xffffffff, 4 * MIB, 0x20000, 4 * MIB + 0x20000 },
	{ 0, 0, 0x3e0001, 0xffffffff, 2 * MIB, 6 * MIB, 0 },
	{ 0, 0, 0x1000, 0xffffffff, 2 * MIB, 6 * MIB, 2 * MIB - 0x1000 },
	{ 0, 0, 1 * MIB, 0xffffffff, 2 * MIB, 6 * MIB, 1 * MIB },
	{ 0, 0, 1 * MIB + 1, 0xffffffff, 2 * MIB, 6 * MIB, 0 },
	{ 0, 0, 0x1000, 5 * MIB, 4 * MIB, 2 * MIB, 4 * MIB - 0x1000 },
	/* The kernel's end is in the page that it would begin in. */
	{ 0, 0, 0x1001, 0xffffffff, 4 * MIB, 4 * MIB - 0x1800,
	    4 * MIB - 0x2000 },
	{ 0, 0, 0x1000, 1 * MIB, 4 * MIB, 2 * MIB, 0 },
	{ 0, 0, 0x1000, 0, 4 * MIB, 2 * MIB, 0 },
	{ 0, 0, 9 * MIB, 0x7fffffff, 4 * MIB, 0x20000, 0 },
	/* Another range: higher, but only under the limit. */
	{ 32 * MIB, 2 * MIB, 2 * MIB, 0x7fffffff, 4 * MIB, 4 * MIB, 32 * MIB },
	{ 32 * MIB, 2 * MIB, 2 * MIB, 32 * MIB, 2 * MIB, 4 * MIB, 6 * MIB },
	{ 32 * MIB, 2 * MIB, 0x1000, 32 * MIB + 0x17fe, 4 * MIB, 0x20000,
	    32 * MIB },
	{ 4096 * MIB, 2 * MIB, 0x1000, 0xffffffff, 4 * MIB, 0x20000,
	    8 * MIB - 0x1000 },
};

START_TEST(linux_initrd)
{
	uint8_t *data = malloc(initrds[_i].len);
	struct load_file module = { data, initrds[_i].len, NULL };
	uint64_t at = initrds[_i].at;

	make_linux();
	memset(data, 0x11, module.len);
	data[0] = 0x22;
	data[module.len - 1] = 0x33;
	if (initrds[_i].size != 0)
		add_range(initrds[_i].gpa, initrds[_i].size);
	l.module = &module;
	l.nmodules = 1;
	poke(0x22c, initrds[_i].max, 4);
	poke(0x258, initrds[_i].kernel, 8);
	poke(0x260, initrds[_i].room, 4);
	if (at == 0) {
		ck_fails("initrd");
		free(data);
		return;
	}
	ck_loads();
	ck_assert_uint_eq(peek(0x8218, 4), at);
	ck_assert_uint_eq(peek(0x821c, 4), module.len);
	ck_assert_mem_eq(mem_ptr(&mem, at, module.len), data, module.len);
	ck_assert_uint_eq(peek(initrds[_i].kernel + 9, 1), image[SETUP + 9]);
	free(data);
}
END_TEST

/* The highest place, in whatever order memory is told. */
START_TEST(linux_initrd_order)
{
	struct load_file module = { "initrd", 6, NULL };

	no_ranges();
	add_range(32 * MIB, 1 * MIB);
	add_range(0, 8 * MIB);
	make_linux();
	l.module = &module;
	l.nmodules = 1;
	ck_loads();
	ck_assert_uint_eq(peek(0x8218, 4), 33 * MIB - 0x1000);
}
END_TEST

/* No number of sectors is four; a long header ends before the next field. */
START_TEST(linux_layout)
{
	make_linux();
	poke(0x1f1, 0, 1);
	poke(0x1f4, 64, 4);
	poke(0x201, 0xff, 1);
	memset(image + 0x28f, 0x55, 0x80);
	ck_loads();
	ck_assert_mem_eq(mem_ptr(&mem, PREFERRED, 64 * 16), image + 5 * 512,
	    64 * 16);
	ck_assert_uint_eq(peek(0x828f, 8), 0x55);
}
END_TEST

START_TEST(linux_bad_initrd)
{
	struct load_file module[2] = { { "x", 1, NULL }, { "y", 1, NULL } };

	make_linux();
	l.module = module;
	l.nmodules = 2;
	ck_fails("one initrd");
	l.nmodules = 1;
	module[0].len = 0;
	ck_fails("empty");
}
END_TEST

/* As long as what we have, whatever the kernel would take. */
START_TEST(linux_long_line)
{
	static char line[0x10001];

	make_linux();
	poke(0x238, 0xffffffff, 4);
	memset(line, 'x', 0xffff);
	l.image.cmdline = line;
	ck_loads();
	ck_assert_uint_eq(peek(0x8228, 4), 0x10000);
	ck_assert_uint_eq(peek(0x1fffe, 4), 0xcccc0078);
	line[0xffff] = 'x';
	ck_fails("65536 characters");
}
END_TEST

/* A short last paragraph is none that is missing. */
START_TEST(linux_short)
{
	make_linux();
	image_len -= 15;
	ck_loads();
	image_len -= 1;
	ck_fails("cut off");
	l.image.data = image;
	for (l.image.len = 0; l.image.len < image_len; l.image.len++)
		ck_assert(!load_linux(&l));
	ck_assert(!load_linux(&l));
}
END_TEST

START_TEST(no_memory)
{
	no_ranges();
	add_range(0, 0x9f000);
	add_range(1 * MIB, 7 * MIB);
	if (_i == 0)
		make_linux();
	else if (_i == 1)
		make_elf();
	else
		make_addresses();
	ck_fails("more memory");
}
END_TEST

/* --- Memory maps --- */

static const struct {
	struct { uint64_t gpa, size; } r[3];
	struct load_area want[8];
} maps[] = {
	{ { { 0, 8 * MIB } }, { { 0x9fc00, 0x60400, 2 }, { 0, 0x9fc00, 1 },
	    { 1 * MIB, 7 * MIB, 1 } } },
	{ { { 0, 0xa0000 }, { 1 * MIB, 2 * MIB } },
	    { { 0x9fc00, 0x60400, 2 }, { 0, 0x9fc00, 1 },
	    { 1 * MIB, 2 * MIB, 1 } } },
	{ { { 0, 2 * MIB }, { 16 * MIB, 1 * MIB }, { 4096 * MIB, 1 * MIB } },
	    { { 0x9fc00, 0x60400, 2 }, { 0, 0x9fc00, 1 },
	    { 1 * MIB, 1 * MIB, 1 }, { 16 * MIB, 1 * MIB, 1 },
	    { 4096 * MIB, 1 * MIB, 1 } } },
	{ { { 0, 0x50000 }, { 0x60000, 0x80000 }, { 0xf0000, 2 * MIB } },
	    { { 0x9fc00, 0x60400, 2 }, { 0, 0x50000, 1 },
	    { 0x60000, 0x3fc00, 1 }, { 1 * MIB, 0x1f0000, 1 } } },
	{ { { 0xa0000, 0x60000 } }, { { 0x9fc00, 0x60400, 2 } } },
};

START_TEST(map)
{
	struct load_area got[LOAD_MAP];
	size_t i, n, want = 0;

	no_ranges();
	for (i = 0; i < 3 && maps[_i].r[i].size != 0; i++)
		add_range(maps[_i].r[i].gpa, maps[_i].r[i].size);
	n = load_map(&mem, got);
	while (maps[_i].want[want].type != 0)
		want++;
	ck_assert_uint_eq(n, want);
	for (i = 0; i < n; i++) {
		ck_assert_uint_eq(got[i].gpa, maps[_i].want[i].gpa);
		ck_assert_uint_eq(got[i].size, maps[_i].want[i].size);
		ck_assert_uint_eq(got[i].type, maps[_i].want[i].type);
	}
}
END_TEST

START_TEST(map_most)
{
	struct load_area got[LOAD_MAP];
	int i;

	no_ranges();
	for (i = 0; i < MEM_RANGES; i++)
		add_range(0, 2 * MIB);
	ck_assert_uint_eq(load_map(&mem, got), LOAD_MAP);
}
END_TEST

/* --- Multiboot --- */

START_TEST(multiboot_elf)
{
	uint64_t i, b;

	make_elf();
	l.image.cmdline = "kernel -v";
	ck_loads();
	ck_assert_uint_eq(l.start.vrs_gprs[VCPU_REGS_RIP], 1 * MIB + 0x40);
	ck_assert_uint_eq(l.start.vrs_gprs[VCPU_REGS_RAX], 0x2badb002);
	ck_assert_uint_eq(l.start.vrs_crs[VCPU_REGS_CR0], 0x31);
	ck_assert_uint_eq(l.start.vrs_crs[VCPU_REGS_CR4], 0);
	ck_assert_uint_eq(l.start.vrs_msrs[VCPU_REGS_EFER], 0);
	check_segments(0xc09b);
	for (i = 0; i < 0x800; i++)
		ck_assert_uint_eq(peek(1 * MIB + i, 1), image[0x1000 + i]);
	for (i = 0; i < 0x1234; i++)
		ck_assert_uint_eq(peek(1 * MIB + 0x2000 + i, 1),
		    i < 0x100 ? image[0x1800 + i] : 0);
	ck_assert_uint_eq(peek(1 * MIB + 0x2000 + i, 1), 0xcc);
	b = l.start.vrs_gprs[VCPU_REGS_RBX];
	ck_assert_uint_eq(peek(b, 4), 0x24d);
	ck_assert_uint_eq(peek(b + 4, 4), 639);
	ck_assert_uint_eq(peek(b + 8, 4), 7 * 1024);
	ck_assert_str_eq(mem_ptr(&mem, peek(b + 16, 4), 10), "kernel -v");
	ck_assert_uint_eq(peek(b + 20, 4), 0);
	ck_assert_str_eq(mem_ptr(&mem, peek(b + 64, 4), 6), "vmctl");
	ck_assert_uint_eq(peek(b + 44, 4), 3 * 24);
	b = peek(b + 48, 4);
	ck_assert_uint_eq(peek(b + 48, 4), 20);
	ck_assert_uint_eq(peek(b + 52, 8), 1 * MIB);
	ck_assert_uint_eq(peek(b + 60, 8), 7 * MIB);
	ck_assert_uint_eq(peek(b + 68, 4), 1);
	ck_assert_uint_eq(peek(b + 20, 4), 2);
}
END_TEST

START_TEST(multiboot_addresses)
{
	uint64_t i;

	make_addresses();
	ck_loads();
	ck_assert_uint_eq(l.start.vrs_gprs[VCPU_REGS_RIP], 2 * MIB + 0x30);
	for (i = 0; i < 0x1000; i++)
		ck_assert_uint_eq(peek(2 * MIB + i, 1),
		    i < 0x700 ? image[0x10 + i] : 0);
	ck_assert_uint_eq(peek(2 * MIB + i, 1), 0xcc);
	/* No ends: to the image's own, and no nulls. */
	poke(0x34, 0, 8);
	ck_loads();
	ck_assert_uint_eq(peek(2 * MIB + 0x8ef, 1), image[0x8ff]);
	ck_assert_str_eq(mem_ptr(&mem, peek(0x8010, 4), 1), "");
}
END_TEST

/* Where the header may be. */
static const struct {
	size_t	off;
	bool	found;
} headers[] = {
	{ 0, true }, { 4, true }, { 2, false }, { 8180, true },
	{ 8184, false }, { 8192, false },
};

START_TEST(multiboot_search)
{
	memset(image, 0x90, sizeof(image));
	image_len = sizeof(image);
	put_multiboot(headers[_i].off, 0x10000);
	poke(headers[_i].off + 12, 1 * MIB + headers[_i].off, 4);
	poke(headers[_i].off + 16, 1 * MIB, 4);
	poke(headers[_i].off + 20, 0, 8);
	poke(headers[_i].off + 28, 1 * MIB + 0x1000, 4);
	if (headers[_i].found) {
		ck_loads();
		poke(headers[_i].off + 8, 1, 4);
	}
	ck_fails("no bzImage");
	l.image.data = image;
	ck_assert(!load_multiboot(&l));
	ck_assert_ptr_nonnull(strstr(l.why, "no multiboot header"));
}
END_TEST

/* Fields of the ELF image: what comes of them. */
static const struct {
	size_t		off;
	uint64_t	v;
	unsigned int	size;
	const char	*why;
	uint32_t	rip;
} elfs[] = {
	{ 0, 0x12345678, 4, "no 32-bit ELF", 0 },
	{ 4, 2, 1, "no 32-bit ELF", 0 },
	{ 0x12, 62, 2, "no 32-bit ELF", 0 },
	{ 0x18, 0, 4, "entry", 0 },
	{ 0x18, 0xffffffff, 4, "entry", 0 },
	{ 0x18, 8 * MIB, 4, "entry", 0 },
	{ 0x18, 1 * MIB, 4, NULL, 1 * MIB },
	{ 0x1c, 0xffffffff, 4, "entry", 0 },
	{ 0x1c, 0x18f8, 4, "entry", 0 },
	{ 0x2a, 31, 2, "program headers", 0 },
	{ 0x2a, 0, 2, "program headers", 0 },
	{ 0x2a, 0xffff, 2, NULL, 1 * MIB + 0x40 },
	{ 0x2c, 0, 2, "entry", 0 },
	{ 0x2c, 65, 2, "program headers", 0 },
	{ 0x2c, 64, 2, NULL, 1 * MIB + 0x40 },
	/* Offset, size in the file. */
	{ 52 + 4, 0x1101, 4, "cut off", 0 },
	{ 52 + 4, 0x1100, 4, NULL, 1 * MIB + 0x40 },
	{ 52 + 4, 0xffffffff, 4, "cut off", 0 },
	{ 52 + 16, 0x801, 4, "cut off", 0 },
	{ 52 + 64 + 16, 0x101, 4, "cut off", 0 },
	{ 52 + 64 + 16, 0, 4, NULL, 1 * MIB + 0x40 },
	{ 52 + 16, 0xffffffff, 4, "cut off", 0 },
	/* In memory: one short of its end, its end; where we are. */
	{ 52 + 64 + 20, 7 * MIB - 0x2000, 4, NULL, 1 * MIB + 0x40 },
	{ 52 + 64 + 20, 7 * MIB - 0x1fff, 4, "more memory", 0 },
	{ 52 + 64 + 20, 0xffffffff, 4, "more memory", 0 },
	{ 52 + 64 + 12, 0, 4, "more memory", 0 },
	{ 52 + 64 + 12, 0x8000, 4, "more memory", 0 },
	{ 52 + 64 + 12, 0x20000, 4, NULL, 1 * MIB + 0x40 },
	{ 52 + 64 + 12, 0x9f000, 4, "more memory", 0 },
	{ 52 + 64 + 12, 0xfffff, 4, "more memory", 0 },
	{ 52 + 64 + 12, 0xffffff00, 4, "more memory", 0 },
	/* Linked high. */
	{ 52 + 8, 0xc0100000, 4, NULL, 1 * MIB + 0x40 },
	{ 52 + 8, 1 * MIB - 0x40, 4, NULL, 1 * MIB + 0x80 },
	/* Flags: one of those before 16 that nobody knows; a screen. */
	{ 0x1004, 0x8003, 4, "demands", 0 },
	{ 0x1004, 0x7, 4, "demands", 0 },
	{ 0x1004, 0xfffe0000, 4, NULL, 1 * MIB + 0x40 },
};

START_TEST(multiboot_header)
{
	make_elf();
	poke(elfs[_i].off, elfs[_i].v, elfs[_i].size);
	if (elfs[_i].off == 0x1004)
		put_multiboot(0x1000, elfs[_i].v);
	if (elfs[_i].why != NULL) {
		ck_fails(elfs[_i].why);
		return;
	}
	ck_loads();
	ck_assert_uint_eq(l.start.vrs_gprs[VCPU_REGS_RIP], elfs[_i].rip);
}
END_TEST

/* header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr. */
static const struct {
	uint32_t	a[5];
	const char	*why;
} addresses[] = {
	{ { 2 * MIB + 0x20, 2 * MIB, 0, 0, 2 * MIB }, NULL },
	{ { 2 * MIB + 0x21, 2 * MIB, 0, 0, 2 * MIB }, "before the image" },
	{ { 2 * MIB - 1, 2 * MIB, 0, 0, 2 * MIB }, "before the image" },
	{ { 0, 0xffffffff, 0, 0, 0 }, "before the image" },
	{ { 2 * MIB, 2 * MIB, 2 * MIB + 0x8e0, 0, 2 * MIB }, NULL },
	{ { 2 * MIB, 2 * MIB, 2 * MIB + 0x8e1, 0, 2 * MIB }, "cut off" },
	{ { 2 * MIB, 2 * MIB, 2 * MIB - 1, 0, 2 * MIB }, "out of order" },
	{ { 2 * MIB, 2 * MIB, 2 * MIB + 0x100, 2 * MIB + 0xff, 2 * MIB },
	    "out of order" },
	{ { 2 * MIB, 2 * MIB, 2 * MIB + 0x100, 8 * MIB, 2 * MIB }, NULL },
	{ { 2 * MIB, 2 * MIB, 2 * MIB + 0x100, 8 * MIB + 1, 2 * MIB },
	    "more memory" },
	{ { 2 * MIB, 2 * MIB, 2 * MIB + 0x100, 0xffffffff, 2 * MIB },
	    "more memory" },
	{ { 0x1000, 0x1000, 0, 0, 0x1000 }, "more memory" },
	{ { 0xffffffff, 0xffffffff, 0, 0, 0xffffffff }, "more memory" },
	{ { 2 * MIB, 2 * MIB, 2 * MIB, 0, 2 * MIB }, "entry" },
	{ { 2 * MIB, 2 * MIB, 0, 0, 8 * MIB }, "entry" },
	{ { 2 * MIB, 2 * MIB, 0, 0, 0x8000 }, "entry" },
};

START_TEST(multiboot_order)
{
	int i;

	make_addresses();
	for (i = 0; i < 5; i++)
		poke(0x2c + 4 * i, addresses[_i].a[i], 4);
	if (addresses[_i].why != NULL)
		ck_fails(addresses[_i].why);
	else
		ck_loads();
}
END_TEST

START_TEST(multiboot_modules)
{
	struct load_file m[3] = {
		{ "first", 5, "a b" }, { "second", 6, NULL }, { "3", 1, "c" },
	};
	uint64_t mods, i, at = 1 * MIB + 0x4000;

	make_elf();
	l.module = m;
	l.nmodules = 3;
	ck_loads();
	ck_assert_uint_eq(peek(0x8000, 4) & 8, 8);
	ck_assert_uint_eq(peek(0x8014, 4), 3);
	mods = peek(0x8018, 4);
	for (i = 0; i < 3; i++, at += 0x1000) {
		ck_assert_uint_eq(peek(mods + 16 * i, 4), at);
		ck_assert_uint_eq(peek(mods + 16 * i + 4, 4), at + m[i].len);
		ck_assert_mem_eq(mem_ptr(&mem, at, m[i].len), m[i].data,
		    m[i].len);
		ck_assert_str_eq(mem_ptr(&mem, peek(mods + 16 * i + 8, 4), 4),
		    m[i].cmdline != NULL ? m[i].cmdline : "");
		ck_assert_uint_eq(peek(mods + 16 * i + 12, 4), 0);
	}
	/* A low kernel: modules are above 1 MiB all the same. */
	make_addresses();
	poke(0x2c, 0x30000, 4);
	poke(0x30, 0x30000, 4);
	poke(0x34, 0, 8);
	poke(0x3c, 0x30000, 4);
	ck_loads();
	ck_assert_uint_eq(peek(mods, 4), 1 * MIB);
	/* The last segment is not the highest. */
	make_elf();
	put_segment(1, 0x1800, 0, 1 * MIB + 0x6000, 0x100, 0x100);
	ck_loads();
	ck_assert_uint_eq(peek(mods, 4), 1 * MIB + 0x7000);
	m[1].len = 0;
	ck_fails("module 1 is empty");
}
END_TEST

START_TEST(multiboot_too_much)
{
	static char line[0x10001];
	static struct load_file m[65];
	size_t i;
	void *big = calloc(1, 7 * MIB);

	for (i = 0; i < 65; i++)
		m[i] = (struct load_file){ big, 1, NULL };
	make_elf();
	l.module = m;
	l.nmodules = 65;
	ck_fails("65 modules");
	l.nmodules = 64;
	ck_loads();
	l.nmodules = 2;
	m[1].len = 7 * MIB - 0x5000;
	ck_loads();
	m[1].len++;
	ck_fails("module 1 does not fit");
	m[1].len = 1;
	memset(line, 'x', 0xfffe);
	m[1].cmdline = line;
	ck_fails("line of module 1");
	line[0xfffd] = '\0';
	ck_loads();
	ck_assert_uint_eq(peek(0x8000, 4) & 0x200, 0);
	l.nmodules = 0;
	line[0xfffd] = 'x';
	line[0xfffe] = 'x';
	l.image.cmdline = line;
	ck_loads();
	line[0xffff] = 'x';
	ck_fails("65536 characters");
	free(big);
}
END_TEST

/* More than 4 TiB is more than mem_upper can say. */
START_TEST(multiboot_upper)
{
	make_elf();
	no_ranges();
	add_range(0, 1 * MIB);
	add_range(1 * MIB, 2 * MIB);
	mem.range[1].size = 1ULL << 50;
	ck_loads();
	ck_assert_uint_eq(peek(0x8008, 4), 0xffffffff);
}
END_TEST

/* --- The others --- */

START_TEST(flat)
{
	size_t i;

	make_flat();
	ck_loads();
	for (i = 0; i < image_len; i++)
		ck_assert_uint_eq(peek(0x7c00 + i, 1), image[i]);
	ck_assert_uint_eq(peek(0x7c00 + i, 1), 0xcc);
	ck_assert_uint_eq(peek(0x1000, 8), 0xcccccccccccccccc);
	ck_assert_uint_eq(l.start.vrs_gprs[VCPU_REGS_RIP], 0x7c00);
	ck_assert_uint_eq(l.start.vrs_gprs[VCPU_REGS_RDX], 0x80);
	ck_assert_uint_eq(l.start.vrs_crs[VCPU_REGS_CR0], 0x30);
	for (i = VCPU_REGS_CS; i <= VCPU_REGS_SS; i++) {
		ck_assert_uint_eq(l.start.vrs_sregs[i].vsi_sel, 0);
		ck_assert_uint_eq(l.start.vrs_sregs[i].vsi_limit, 0xffff);
		ck_assert_uint_eq(l.start.vrs_sregs[i].vsi_ar,
		    i == VCPU_REGS_CS ? 0x9b : 0x93);
	}
	ck_assert_uint_eq(l.start.vrs_idtr.vsi_limit, 0x3ff);
	image_len = 512;
	ck_loads();
	l.nmodules = 1;
	ck_fails("no modules");
	l.nmodules = 0;
	l.image.cmdline = "quiet";
	ck_fails("no command line");
	l.image.cmdline = "";
	ck_loads();
}
END_TEST

START_TEST(flat_room)
{
	uint8_t *big = calloc(1, 0x9fc00);

	big[510] = 0x55;
	big[511] = 0xaa;
	l.mem = &mem;
	l.image.data = big;
	l.image.len = 0x9fc00 - 0x7c00;
	ck_assert(load_image(&l));
	l.image.len++;
	ck_assert(!load_image(&l));
	ck_assert_ptr_nonnull(strstr(l.why, "shorter"));
	no_ranges();
	add_range(0, 0x7c00 + 511);
	l.image.len = 512;
	ck_assert(!load_image(&l));
	ck_assert_ptr_nonnull(strstr(l.why, "1 MiB"));
	free(big);
}
END_TEST

/* Numbers of a file end with it. */
START_TEST(get)
{
	static const uint8_t data[] = { 1, 2, 3, 4, 5 };
	struct load_file f = { data, 5, NULL };

	ck_assert_uint_eq(load_get(&f, 0, 4), 0x04030201);
	ck_assert_uint_eq(load_get(&f, 1, 8), 0x05040302);
	ck_assert_uint_eq(load_get(&f, 4, 2), 5);
	ck_assert_uint_eq(load_get(&f, 5, 8), 0);
	ck_assert_uint_eq(load_get(&f, UINT64_MAX, 8), 0);
}
END_TEST

START_TEST(kinds)
{
	l.image = (struct load_file){ image, 0, NULL };
	make_linux();
	l.image.len = image_len;
	ck_assert_int_eq(load_kind(&l.image), LOAD_LINUX);
	put_multiboot(0, 3);		/* Linux it stays */
	ck_assert_int_eq(load_kind(&l.image), LOAD_LINUX);
	memset(image + 0x202, 0, 4);
	ck_assert_int_eq(load_kind(&l.image), LOAD_MULTIBOOT);
	poke(0, 0, 4);
	ck_assert_int_eq(load_kind(&l.image), LOAD_FLAT);
	l.image.len = 511;
	ck_assert_int_eq(load_kind(&l.image), LOAD_UNKNOWN);
	memcpy(image, "VMMG", 4);
	ck_assert_int_eq(load_kind(&l.image), LOAD_GUEST);
	image_len = 511;
	ck_fails("our own guests");
	image_len = 3;
	ck_fails("no bzImage");
	image_len = 1;
	ck_fails("no bzImage");
}
END_TEST

/* --- Hostile ones --- */

static uint64_t seed;

static uint64_t
rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed);
}

/* Numbers at the edge of something. */
static uint64_t
edge(void)
{
	static const uint64_t t[] = {
		0, 1, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
		0xfffff000, UINT64_MAX, 1ULL << 63, 1 * MIB, 2 * MIB,
		0x9fc00, 0x20000, 0x8000, 0x2000, 512, 32, 16,
	};
	uint64_t v = t[rnd() % (sizeof(t) / sizeof(t[0]))];

	return (rnd() & 1 ? v : v + rnd() % 17 - 8);
}

static void
mutate(size_t head, size_t head_len)
{
	size_t off;
	int n = 1 + rnd() % 6;

	while (n-- > 0) {
		off = rnd() % 8 == 0 ? rnd() % (image_len - 8) :
		    head + rnd() % head_len;
		if (rnd() & 1)
			poke(off, rnd(), 1);
		else
			poke(off, edge(), 1 << rnd() % 4);
	}
	if (rnd() % 16 == 0)
		image_len = rnd() % image_len;
}

/* Image, where its header is, how long that is. */
static const struct {
	void	(*make)(void);
	size_t	head, len;
} fuzzed[] = {
	{ make_linux, 0x1f1, 0x78 },
	{ make_elf, 0, 52 + 3 * 32 },
	{ make_addresses, 0x20, 32 },
	{ make_flat, 500, 100 },
};

START_TEST(fuzz)
{
	static const struct load_file modules[2] = {
		{ "an initrd", 9, "m" }, { "two", 3, NULL },
	};
	unsigned int loaded = 0, i, j;
	uint64_t rip, flags;

	no_ranges();
	add_range(0, 0x9fc00);		/* asan sees the ends of both */
	add_range(1 * MIB, 1 * MIB + 0x5000);
	for (i = 0; i < 5000; i++) {
		seed = 0x9e3779b97f4a7c15ULL * (i + 1);
		fuzzed[_i].make();
		if (_i == 0)
			poke(0x258, 1 * MIB, 8);
		mutate(fuzzed[_i].head, fuzzed[_i].len);
		if (_i != 0 && rnd() & 1) {
			/* A right checksum, so that it gets further. */
			j = _i == 1 ? 0x1000 : 0x20;
			memcpy(&flags, image + j + 4, 8);
			put_multiboot(j, flags);
		}
		l = (struct load){
		    .image.cmdline = rnd() & 1 ? "a line" : NULL,
		    .module = modules, .nmodules = rnd() % 3 };
		if (image_len == 0 || !try())
			continue;
		loaded++;
		rip = l.start.vrs_gprs[VCPU_REGS_RIP];
		ck_assert_ptr_nonnull(mem_ptr(&mem, rip, 1));
	}
	ck_assert_uint_gt(loaded, 100);
	ck_assert_uint_lt(loaded, 4900);
	/* What is neither the image's nor a table of ours. */
	for (i = 0; i < 0x1000; i++)
		ck_assert_uint_eq(peek(i, 1), 0xcc);
}
END_TEST

static void
setup(void)
{
	unit_start();
	no_ranges();
	add_range(0, 8 * MIB);
	l = (struct load){ .nmodules = 0 };
}

int
main(void)
{
	TCase *tc = unit_case("load", setup);

	tcase_add_checked_fixture(tc, NULL, no_ranges);
	tcase_add_test(tc, linux_start);
	tcase_add_loop_test(tc, linux_header, 0, N(linux_headers));
	tcase_add_loop_test(tc, linux_place, 0, N(places));
	tcase_add_test(tc, linux_above);
	tcase_add_loop_test(tc, linux_initrd, 0, N(initrds));
	tcase_add_test(tc, linux_initrd_order);
	tcase_add_test(tc, linux_layout);
	tcase_add_test(tc, linux_bad_initrd);
	tcase_add_test(tc, linux_long_line);
	tcase_add_test(tc, linux_short);
	tcase_add_loop_test(tc, no_memory, 0, 3);
	tcase_add_loop_test(tc, map, 0, N(maps));
	tcase_add_test(tc, map_most);
	tcase_add_test(tc, multiboot_elf);
	tcase_add_test(tc, multiboot_addresses);
	tcase_add_loop_test(tc, multiboot_search, 0, N(headers));
	tcase_add_loop_test(tc, multiboot_header, 0, N(elfs));
	tcase_add_loop_test(tc, multiboot_order, 0, N(addresses));
	tcase_add_test(tc, multiboot_modules);
	tcase_add_test(tc, multiboot_too_much);
	tcase_add_test(tc, multiboot_upper);
	tcase_add_test(tc, flat);
	tcase_add_test(tc, flat_room);
	tcase_add_test(tc, get);
	tcase_add_test(tc, kinds);
	tcase_add_loop_test(tc, fuzz, 0, N(fuzzed));
	return (unit_end());
}
