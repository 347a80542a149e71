/* SPDX-License-Identifier: ISC */
/*
 * load.c - which loader an image is for, what loaders share, and the one of
 * boot sectors.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "load.h"
#include "../x86.h"

#define AR_FLAT32	(AR_G | AR_DB)
#define AR_FLAT64	(AR_G | AR_L)

#define FLAT_AT		0x7c00
#define FLAT_DISK	0x80		/* DL of a BIOS: the first hard disk */

bool
load_fail(struct load *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->why, sizeof(l->why), fmt, ap);
	va_end(ap);
	return (false);
}

uint64_t
load_get(const struct load_file *f, uint64_t off, unsigned int size)
{
	const uint8_t *data = f->data;
	uint64_t v = 0;
	unsigned int i;

	for (i = 0; i < size; i++)
		if (off < f->len && i < f->len - off)
			v |= (uint64_t)data[off + i] << 8 * i;
	return (v);
}

void *
load_room(const struct load *l, uint64_t gpa, uint64_t len)
{
	if (gpa < LOAD_HIGH && (gpa < LOAD_END || gpa >= LOAD_LOW_END ||
	    len > LOAD_LOW_END - gpa))
		return (NULL);
	return (mem_ptr(l->mem, gpa, len));
}

uint32_t
load_string(const struct load *l, uint32_t *at, const char *s)
{
	size_t len = strlen(s) + 1;
	uint32_t here = *at;
	void *to;

	if (len > LOAD_END - here)
		return (0);
	to = mem_ptr(l->mem, here, len);
	if (to == NULL)
		return (0);
	memcpy(to, s, len);
	*at += len;
	return (here);
}

/* book: load-map */
size_t
load_map(const struct mem *m, struct load_area *map)
{
	uint64_t gpa, end;
	size_t i, n = 0;

	map[n++] = (struct load_area){ LOAD_LOW_END,
	    LOAD_HIGH - LOAD_LOW_END, 2 };
	for (i = 0; i < m->n; i++) {
		gpa = m->range[i].gpa;
		end = gpa + m->range[i].size;
		if (gpa < LOAD_LOW_END)
			map[n++] = (struct load_area){ gpa, (end <
			    LOAD_LOW_END ? end : LOAD_LOW_END) - gpa, 1 };
		if (gpa < LOAD_HIGH)
			gpa = LOAD_HIGH;
		if (gpa < end)
			map[n++] = (struct load_area){ gpa, end - gpa, 1 };
	}
	return (n);
}
/* book: end */

/* --- Where a VCPU starts --- */

/*
 * A flat descriptor of `ar`.
 * SDM Vol. 3A 3.4.5 "Segment Descriptors".
 */
static uint64_t
descriptor(uint64_t ar)
{
	return (0xffff | (ar & 0xf0ff) << 40 | 0xfULL << 48);
}

/* Identity map of 4 GiB. SDM Vol. 3A 4.5 "4-Level Paging and 5-Level Paging" */
static void
make_tables(const struct load *l, uint64_t code, uint64_t data)
{
	uint64_t *gdt = mem_ptr(l->mem, LOAD_GDT, 0x1000);
	uint64_t *table = mem_ptr(l->mem, LOAD_PML4, 0x6000);
	uint64_t i;

	memset(gdt, 0, 0x1000);
	gdt[LOAD_CS / 8] = descriptor(code);
	gdt[LOAD_DS / 8] = descriptor(data);
	memset(table, 0, 0x6000);
	table[0] = (LOAD_PML4 + 0x1000) | PTE_P | PTE_RW;
	for (i = 0; i < 4; i++)
		table[512 + i] = (LOAD_PML4 + (2 + i) * 0x1000) | PTE_P |
		    PTE_RW;
	for (i = 0; i < 4 * 512; i++)
		table[1024 + i] = i * HUGE_PAGE | PTE_P | PTE_RW |
		    PTE_PS;
}

void
load_start(struct load *l, enum load_mode mode, uint64_t rip)
{
	struct vcpu_reg_state *v = &l->start;
	struct vcpu_segment_info seg = { .vsi_limit = 0xffff };
	uint32_t code = AR_CODE, data = AR_DATA;
	int i;

	memset(v, 0, sizeof(*v));
	v->vrs_gprs[VCPU_REGS_RIP] = rip;
	v->vrs_gprs[VCPU_REGS_RSP] = LOAD_STACK;
	v->vrs_gprs[VCPU_REGS_RFLAGS] = 0x2;
	v->vrs_crs[VCPU_REGS_CR0] = CR0_ET | CR0_NE;
	v->vrs_crs[VCPU_REGS_XCR0] = 0x1;
	v->vrs_drs[VCPU_REGS_DR6] = 0xffff0ff0;
	v->vrs_drs[VCPU_REGS_DR7] = 0x400;
	v->vrs_idtr.vsi_limit = 0x3ff;
	if (mode != LOAD_REAL) {
		v->vrs_crs[VCPU_REGS_CR0] |= CR0_PE;
		v->vrs_idtr.vsi_limit = 0;
		v->vrs_gdtr.vsi_base = LOAD_GDT;
		v->vrs_gdtr.vsi_limit = LOAD_DS + 7;
		seg.vsi_limit = 0xffffffff;
		code |= mode == LOAD_LONG ? AR_FLAT64 : AR_FLAT32;
		data |= AR_FLAT32;
		make_tables(l, code, data);
	}
	if (mode == LOAD_LONG) {
		v->vrs_crs[VCPU_REGS_CR0] |= CR0_PG;
		v->vrs_crs[VCPU_REGS_CR3] = LOAD_PML4;
		v->vrs_crs[VCPU_REGS_CR4] = CR4_PAE;
		v->vrs_msrs[VCPU_REGS_EFER] = EFER_LME | EFER_LMA;
	}
	for (i = VCPU_REGS_CS; i <= VCPU_REGS_SS; i++) {
		v->vrs_sregs[i] = seg;
		v->vrs_sregs[i].vsi_ar = i == VCPU_REGS_CS ? code : data;
		if (mode != LOAD_REAL)
			v->vrs_sregs[i].vsi_sel =
			    i == VCPU_REGS_CS ? LOAD_CS : LOAD_DS;
	}
	v->vrs_sregs[VCPU_REGS_LDTR].vsi_ar = AR_UNUSABLE;
	v->vrs_sregs[VCPU_REGS_TR].vsi_ar = AR_TSS;
	v->vrs_sregs[VCPU_REGS_TR].vsi_limit = 0x67;
}

/* --- Images --- */

enum load_kind
load_kind(const struct load_file *f)
{
	uint64_t off;

	if (load_get(f, 0, 4) == 0x474d4d56)		/* "VMMG" */
		return (LOAD_GUEST);
	if (load_get(f, 0x202, 4) == 0x53726448)	/* "HdrS" */
		return (LOAD_LINUX);
	for (off = 0; off + 12 <= 8192 && off + 12 <= f->len; off += 4)
		if (load_get(f, off, 4) == 0x1badb002 &&
		    (uint32_t)(load_get(f, off, 4) + load_get(f, off + 4, 4) +
		    load_get(f, off + 8, 4)) == 0)
			return (LOAD_MULTIBOOT);
	if (load_get(f, 510, 2) == 0xaa55)
		return (LOAD_FLAT);
	return (LOAD_UNKNOWN);
}

/*
 * Where the first instruction of a BIOS is, and where a kernel jumps to in
 * real mode to have the machine reset: here to a triple fault, of an IDT
 * without entries.
 */
static void
put_reset(const struct load *l)
{
	static const uint8_t code[] = {
		0xb8, 0xff, 0xff,		/* mov $0xffff, %ax */
		0x8e, 0xd8,			/* mov %ax, %ds */
		0x0f, 0x01, 0x1e, 0x0b, 0x00,	/* lidt 0xb */
		0xcc,				/* int3 */
		0, 0, 0, 0, 0,
	};
	void *to = mem_ptr(l->mem, LOAD_RESET, sizeof(code));

	if (to != NULL)
		memcpy(to, code, sizeof(code));
}

bool
load_image(struct load *l)
{
	put_reset(l);
	switch (load_kind(&l->image)) {
	case LOAD_LINUX:
		return (load_linux(l));
	case LOAD_MULTIBOOT:
		return (load_multiboot(l));
	case LOAD_FLAT:
		return (load_flat(l));
	case LOAD_GUEST:
		return (load_fail(l, "this is one of our own guests: "
		    "start it with run"));
	default:
		return (load_fail(l, "the image is no bzImage, has no "
		    "multiboot header in its first 8 KiB and no 55 AA at 510: "
		    "give one that has"));
	}
}

/*
 * As a BIOS does with the first sector of a disk, but all of it, and there is
 * no BIOS to call.
 */
bool
load_flat(struct load *l)
{
	uint8_t *to = mem_ptr(l->mem, FLAT_AT, l->image.len);

	if (l->image.len > LOAD_LOW_END - FLAT_AT)
		return (load_fail(l, "the image has %zu bytes, real mode has "
		    "room for %d: give a shorter one", l->image.len,
		    LOAD_LOW_END - FLAT_AT));
	if (to == NULL)
		return (load_fail(l, "no room for %zu bytes at 0x%x: give the "
		    "VM 1 MiB of memory", l->image.len, FLAT_AT));
	if (l->nmodules > 0)
		return (load_fail(l, "a boot sector takes no modules: leave "
		    "them out"));
	if (l->image.cmdline != NULL && l->image.cmdline[0] != '\0')
		return (load_fail(l, "a boot sector takes no command line: "
		    "leave it out"));
	memcpy(to, l->image.data, l->image.len);
	load_start(l, LOAD_REAL, FLAT_AT);
	l->start.vrs_gprs[VCPU_REGS_RSP] = FLAT_AT;
	l->start.vrs_gprs[VCPU_REGS_RDX] = FLAT_DISK;
	return (true);
}
