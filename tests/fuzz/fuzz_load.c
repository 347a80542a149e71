/* SPDX-License-Identifier: ISC */
/*
 * fuzz_load.c - images that are loaded, with what comes with them, into
 * memory of many shapes. The steps spoil what would load.
 *
 * Blocks of memory, images and modules have their exact length, so that one
 * byte too far is seen; and nobody may touch what a BIOS would own.
 *
 * Fuzzes: load.c load_linux.c load_multiboot.c
 */
#include <sanitizer/asan_interface.h>

#include "fuzz.h"
#include "load.h"

#define N(t)		(sizeof(t) / sizeof((t)[0]))
#define MIB		0x100000ULL
#define GIB4		0x100000000ULL
#define IMAGE_MAX	0x2400
#define MODULES		70
#define LOADS		12		/* of one input */
#define LINE_MAX	0x10100

static uint8_t image[IMAGE_MAX];
static size_t image_len;
static size_t big;		/* not 0: a boot sector of that length */
static struct mem mem;
static struct load_file module[MODULES];
static size_t nmodules;
static const char *cmdline;
static unsigned int loads;

/* A line of n characters, ended by the same null. */
static const char *
line(size_t n)
{
	static char x[LINE_MAX + 1];

	if (x[0] == '\0')
		memset(x, 'x', LINE_MAX);
	return (x + LINE_MAX - (n < LINE_MAX ? n : LINE_MAX));
}

/* Bytes of a module, all the same; one block for each length. */
static const void *
bytes(size_t n)
{
	static void *block[0x20001];

	if (block[n] == NULL) {
		block[n] = malloc(n);
		memset(block[n], 0x6d, n);
	}
	return (block[n]);
}

/* --- Memory --- */

static const uint32_t low_sizes[] = { MIB + 0x80000, MIB + 0x12345, 0xa0000,
	0x9fc00, 0x9fbff, 0x1000, MIB, MIB + 1 };
static const uint32_t high_sizes[] = { 0x1000, 0x40000, 0x3ffff, 0x100000, 1,
	0x20000, 0x800, 0x80001 };

static uint8_t *
new_block(size_t size)
{
	uint8_t *p = malloc(size);

	/* Where a PC has its adapters; but for a BIOS's first instruction. */
	if (size > LOAD_LOW_END)
		ASAN_POISON_MEMORY_REGION(p + LOAD_LOW_END, (size < LOAD_RESET ?
		    size : LOAD_RESET) - LOAD_LOW_END);
	return (p);
}

/* The first range, from 0 on; its size by number. */
static void
set_low(unsigned int i)
{
	static uint8_t *block[N(low_sizes)];

	if (block[i] == NULL)
		block[i] = new_block(low_sizes[i]);
	mem.range[0] = (struct mem_range){ 0, low_sizes[i], block[i] };
	mem.n = 1;
}

/* One more, unless it would overlap. */
static void
add_range(uint8_t b)
{
	static const uint64_t at[] = { 2 * MIB, 4 * MIB, GIB4, 0x1a0000,
		GIB4 - 0x1000, GIB4 - 0x40000, 3 * MIB, 0x8f000 };
	static uint8_t *block[MEM_RANGES][N(high_sizes)];
	uint64_t gpa = at[b & 7], size = high_sizes[b >> 3 & 7];
	size_t i;

	if (b & 0x40)
		gpa += fuzz_16();
	if (mem.n == MEM_RANGES)
		return;
	for (i = 0; i < mem.n; i++)
		if (gpa < mem.range[i].gpa + mem.range[i].size &&
		    mem.range[i].gpa < gpa + size)
			return;
	if (block[mem.n][b >> 3 & 7] == NULL)
		block[mem.n][b >> 3 & 7] = malloc(size);
	mem.range[mem.n] = (struct mem_range){ gpa, size,
		block[mem.n][b >> 3 & 7] };
	mem.n++;
}

/* --- Images that load --- */

/* A boot sector up to where a BIOS's data begins, or a byte more. */
static const void *
big_image(void)
{
	static uint8_t *block[2];
	unsigned int i = big > LOAD_LOW_END - 0x7c00;

	if (block[i] == NULL) {
		block[i] = malloc(big);
		memset(block[i], 0, big);
		block[i][510] = 0x55;
		block[i][511] = 0xaa;
	}
	return (block[i]);
}

static void
poke(size_t off, uint64_t v, size_t size)
{
	if (off + size <= sizeof(image))
		memcpy(image + off, &v, size);
}

static void
make_linux(void)
{
	poke(0x1f1, 1, 1);
	poke(0x1f4, 0x40, 4);
	poke(0x1fe, 0xaa55, 2);
	poke(0x200, 0x66eb, 2);
	poke(0x202, 0x53726448, 4);
	poke(0x206, 0x20f, 2);
	poke(0x211, 1, 1);
	poke(0x22c, 0x7fffffff, 4);
	poke(0x230, 0x1000, 4);
	poke(0x234, 1, 1);
	poke(0x236, 1, 2);
	poke(0x238, 0x7ff, 4);
	poke(0x258, MIB + 0x10000, 8);
	poke(0x260, 0x20000, 4);
	image_len = 0x800;
}

static void
put_header(size_t off, uint32_t flags)
{
	poke(off, 0x1badb002, 4);
	poke(off + 4, flags, 4);
	poke(off + 8, (uint32_t)-(0x1badb002 + flags), 4);
}

static void
make_elf(void)
{
	static const uint32_t ph[] = {
		1, 0x200, MIB, MIB, 0x100, 0x100, 7, 0,
		1, 0x280, 0xc0002000, MIB + 0x2000, 0x80, 0x1234, 7, 0,
	};

	poke(0, 0x0101464c457f, 6);
	poke(0x10, 0x30002, 4);
	poke(0x18, MIB + 0x40, 4);
	poke(0x1c, 52, 4);
	poke(0x2a, 32, 2);
	poke(0x2c, 2, 2);
	memcpy(image + 52, ph, sizeof(ph));
	put_header(0x200, 3);
	image_len = 0x400;
}

static void
make_addresses(void)
{
	put_header(0x20, 0x10000);
	poke(0x2c, MIB + 0x1010, 4);
	poke(0x30, MIB + 0x1000, 4);
	poke(0x34, MIB + 0x1300, 4);
	poke(0x38, MIB + 0x2000, 4);
	poke(0x3c, MIB + 0x1030, 4);
	image_len = 0x400;
}

static void
make_image(unsigned int kind)
{
	memset(image, 0, sizeof(image));
	big = 0;
	switch (kind % 8) {
	case 0:
	case 1:
		make_linux();
		break;
	case 2:
		make_elf();
		break;
	case 3:
		make_addresses();
		break;
	case 4:
		poke(510, 0xaa55, 2);
		image_len = 512;
		break;
	case 5:
		poke(0, 0x474d4d56, 4);
		image_len = 64;
		break;
	default:
		big = LOAD_LOW_END - 0x7c00 + (kind & 1);
		break;
	}
}

/* --- What becomes of one --- */

static bool
disjoint(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	return (a + alen <= b || b + blen <= a);
}

static uint32_t
peek(uint64_t gpa)
{
	uint32_t v;
	const void *p = mem_ptr(&mem, gpa, 4);

	fuzz_check(p != NULL);
	memcpy(&v, p, 4);
	return (v);
}

/* A module is where the guest is told, in one piece. */
static void
check_module(uint64_t at, const struct load_file *f)
{
	const void *p = mem_ptr(&mem, at, f->len);

	fuzz_check(at >= LOAD_HIGH && (at & 0xfff) == 0);
	fuzz_check(p != NULL && memcmp(p, f->data, f->len) == 0);
}

static void
check_line(uint32_t at, const char *s)
{
	const char *p = mem_ptr(&mem, at, strlen(s) + 1);

	fuzz_check(at >= LOAD_STRINGS && at + strlen(s) < LOAD_END);
	fuzz_check(p != NULL && strcmp(p, s) == 0);
}

static void
check_linux(const struct load *l)
{
	uint64_t at = l->start.vrs_gprs[VCPU_REGS_RIP] - 0x200;
	uint64_t size = load_get(&l->image, 0x260, 4);
	uint32_t initrd = peek(LOAD_INFO + 0x218);

	fuzz_check(at == peek(LOAD_INFO + 0x214));
	fuzz_check(at >= LOAD_HIGH && at < GIB4);
	fuzz_check(at >= load_get(&l->image, 0x258, 8));
	fuzz_check(size == 0 || mem_ptr(&mem, at, size) != NULL);
	fuzz_check(peek(LOAD_INFO + 0x1e8) % 256 >= 1);
	check_line(peek(LOAD_INFO + 0x228), cmdline != NULL ? cmdline : "");
	if (nmodules == 0) {
		fuzz_check(initrd == 0);
		return;
	}
	fuzz_check(peek(LOAD_INFO + 0x21c) == module[0].len);
	fuzz_check(initrd + module[0].len - 1 <=
	    load_get(&l->image, 0x22c, 4));
	check_module(initrd, &module[0]);
	fuzz_check(disjoint(initrd, module[0].len, at, size));
}

static void
check_multiboot(const struct load *l)
{
	uint32_t mods = peek(LOAD_INFO + 24), start, end, last = 0, i;

	fuzz_check(l->start.vrs_gprs[VCPU_REGS_RBX] == LOAD_INFO);
	check_line(peek(LOAD_INFO + 16), cmdline != NULL ? cmdline : "");
	fuzz_check(peek(LOAD_INFO + 20) == nmodules);
	for (i = 0; i < nmodules; i++) {
		start = peek(mods + 16 * i);
		end = peek(mods + 16 * i + 4);
		fuzz_check(start >= last && end - start == module[i].len);
		check_module(start, &module[i]);
		check_line(peek(mods + 16 * i + 8),
		    module[i].cmdline != NULL ? module[i].cmdline : "");
		last = end;
	}
	fuzz_check(peek(LOAD_INFO + 44) % 24 == 0);
}

/* Everything usable that the map has is in memory, and ends. */
static void
check_map(void)
{
	struct load_area map[LOAD_MAP];
	size_t i, n = load_map(&mem, map);

	fuzz_check(n >= 1 && n <= LOAD_MAP);
	for (i = 0; i < n; i++) {
		fuzz_check(map[i].size > 0);
		fuzz_check(map[i].type == 2 ||
		    mem_ptr(&mem, map[i].gpa, map[i].size) != NULL);
		fuzz_check(map[i].type == 2 || disjoint(map[i].gpa,
		    map[i].size, LOAD_LOW_END, LOAD_HIGH - LOAD_LOW_END));
	}
}

/* By what the image is; or by a loader that it is not for. */
static void
load(uint8_t how)
{
	static bool (*const by[])(struct load *) = { load_image, load_linux,
		load_multiboot, load_flat };
	struct load l = { .mem = &mem, .module = module };
	enum load_kind kind;
	uint8_t *copy;
	bool ok;

	if (++loads > LOADS)
		return;
	if (how >= 4)
		how = 0;
	copy = memcpy(malloc(image_len), image, image_len);
	l.image = (struct load_file){ copy, image_len, cmdline };
	if (big != 0) {
		l.image.data = big_image();
		l.image.len = big;
	}
	l.nmodules = nmodules;
	kind = load_kind(&l.image);
	ok = by[how](&l);
	fuzz_check(strlen(l.why) < sizeof(l.why) - 1);
	fuzz_check(ok == (l.why[0] == '\0') && strchr(l.why, '\n') == NULL);
	fuzz_check(ok || strstr(l.why, ": ") != NULL);
	if (ok && (how == 1 || (how == 0 && kind == LOAD_LINUX)))
		check_linux(&l);
	else if (ok && (how == 2 || (how == 0 && kind == LOAD_MULTIBOOT)))
		check_multiboot(&l);
	if (ok)
		fuzz_check(mem_ptr(&mem, l.start.vrs_gprs[VCPU_REGS_RIP], 1));
	check_map();
	free(copy);
}

/* --- Steps --- */

static void
start(void)
{
	loads = 0;
	nmodules = 0;
	cmdline = NULL;
	memset(module, 0, sizeof(module));
	set_low(0);
	make_image(fuzz_8());
}

/* Numbers of headers: around sizes, borders and ends of types. */
static uint64_t
some_number(void)
{
	static const uint64_t t[] = { 0, 1, 0x20, 0x3f, 0x40, 0x41, 0x100,
		0x200, 0x400, 0x1000, 0x20000, 0x80000, LOAD_END, LOAD_LOW_END,
		LOAD_HIGH, MIB + 0x40000, MIB + 0x80000, MIB + 0x7ffff,
		2 * MIB, 4 * MIB, 0x7fffffff, 0x80000000, 0xfffff000,
		UINT32_MAX, GIB4, UINT64_MAX, 1ULL << 63, 0xc0000000, 52, 65,
		0x20c, 0xffff };
	uint8_t b = fuzz_8();

	if (b < 0x80)
		return (t[b % N(t)] + ((b & 0x40) ? fuzz_8() - 128ULL : 0));
	if (b < 0xa0)
		return (LOAD_LOW_END - 8ULL * fuzz_8());
	return (b < 0xc0 ? fuzz_16() : b < 0xe0 ? MIB + fuzz_16() : fuzz_32());
}

/* One field of a header. The multiboot header goes on adding up. */
static void
spoil(unsigned int kind)
{
	static const uint16_t linux_at[] = { 0x1f1, 0x1f4, 0x1fe, 0x201, 0x202,
		0x206, 0x211, 0x22c, 0x230, 0x234, 0x236, 0x238, 0x258, 0x260,
		0x250, 0x264 };
	static const uint8_t linux_size[] = { 1, 4, 2, 1, 4, 2, 1, 4, 4, 1, 2,
		4, 8, 4, 8, 4 };
	static const uint8_t elf_at[] = { 0x18, 0x1c, 0x2a, 0x2c, 52, 56, 60,
		64, 68, 72, 84, 88, 92, 96, 100, 104 };
	static const uint8_t header_at[] = { 0x2c, 0x30, 0x34, 0x38, 0x3c };
	uint8_t i = fuzz_8();

	if (kind == 0)
		poke(linux_at[i & 15], some_number(), linux_size[i & 15]);
	else if (kind == 1)
		poke(elf_at[i & 15], some_number(),
		    elf_at[i & 15] == 0x2a || elf_at[i & 15] == 0x2c ? 2 : 4);
	else if (kind == 2 && i & 0x80)
		put_header(i & 0x40 ? 0x200 : 0x20,
		    (uint32_t)some_number() & (i & 0x20 ? 0x10003 : ~0U));
	else if (kind == 2)
		poke(header_at[i % N(header_at)], some_number(), 4);
	else
		poke(fuzz_16() % IMAGE_MAX, some_number(), 1U << i % 4);
}

static void
set_length(void)
{
	uint8_t b = fuzz_8();

	if (b < 0x40)
		image_len -= b < image_len ? b : image_len;
	else if (b < 0x80)
		image_len += b & 0x3f;
	else
		image_len = fuzz_16();
	if (image_len > sizeof(image))
		image_len = sizeof(image);
}

static void
add_module(void)
{
	static const uint32_t lens[] = { 1, 0, 0x1000, 0xfff, 0x1001, 0x10000,
		0x20000, 0x123 };
	uint8_t b = fuzz_8(), n = b & 0x40 ? fuzz_8() % MODULES : 1;
	size_t len = lens[b & 7];

	for (; n > 0 && nmodules < MODULES; n--)
		module[nmodules++] = (struct load_file){ bytes(len), len,
			b & 8 ? line(b & 0x10 ? fuzz_16() : b >> 4) : NULL };
}

static void
step(uint8_t what)
{
	switch (what & 15) {
	case 0:
	case 1:
	case 2:
	case 3:
		spoil(what & 3);
		break;
	case 4:
		set_length();
		break;
	case 5:
		set_low(fuzz_8() % N(low_sizes));
		break;
	case 6:
	case 7:
		add_range(fuzz_8());
		break;
	case 8:
		add_module();
		break;
	case 9:
		nmodules = 0;
		break;
	case 10:
		cmdline = line(what & 0x10 ? fuzz_16() + 0x80U : what >> 5);
		break;
	case 11:
		make_image(what >> 4);
		break;
	default:
		load(what >> 4);
		break;
	}
}

const struct fuzz_target fuzz_target = { start, NULL, step, NULL };
