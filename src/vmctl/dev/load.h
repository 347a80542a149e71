/* SPDX-License-Identifier: ISC */
/*
 * load.h - puts an operating system into guest memory and says how its first
 * VCPU starts.
 *
 * Images are bytes that the caller has read; no file is opened here. They may
 * be anybody's: whatever they say, nothing is read outside of them, nothing
 * written outside of guest memory, and it is soon over.
 */
#ifndef LOAD_H
#define LOAD_H

#include "dev.h"
#include "vmmvar.h"

struct load_file {
	const void	*data;
	size_t		 len;
	const char	*cmdline;	/* NULL: none */
};

struct load {
	const struct mem	*mem;
	struct load_file	 image;
	const struct load_file	*module;	/* Linux: one, its initrd */
	size_t			 nmodules;
	struct vcpu_reg_state	 start;		/* out */
	char			 why[200];	/* out: what is wrong with it */
};

enum load_kind {
	LOAD_UNKNOWN,
	LOAD_GUEST,			/* guest.h's; client_load() loads it */
	LOAD_LINUX,			/* bzImage */
	LOAD_MULTIBOOT,			/* version 1 */
	LOAD_FLAT,			/* a boot sector, or more of it */
};

/*
 * kind: by what is in the image.
 * image: loads what kind() finds. True: `start` is what to give to RESETCPU.
 * False: `why` says what is wrong and what helps, one line without newline;
 *	memory may have been written to.
 */
enum load_kind load_kind(const struct load_file *);
bool	load_image(struct load *);
bool	load_linux(struct load *);
bool	load_multiboot(struct load *);
bool	load_flat(struct load *);

/*
 * --- For the loaders: load.c ---
 *
 * What a guest gets from its loader lies at the bottom of its memory.
 */
#define LOAD_GDT	0x1000
#define LOAD_PML4	0x2000		/* then the PDPT, four directories */
#define LOAD_INFO	0x8000		/* zero page, multiboot information */
#define LOAD_STACK	0x10000		/* down from here */
#define LOAD_STRINGS	0x10000
#define LOAD_END	0x20000		/* images from here on */
#define LOAD_LOW_END	0x9fc00		/* a PC's BIOS has data behind it */
#define LOAD_RESET	0xffff0		/* its first instruction */
#define LOAD_HIGH	0x100000
#define LOAD_CS		0x10
#define LOAD_DS		0x18

enum load_mode { LOAD_REAL, LOAD_PROT, LOAD_LONG };

/* The memory as a BIOS tells it. */
#define LOAD_MAP	(2 * MEM_RANGES + 1)
struct load_area {
	uint64_t	gpa, size;
	uint32_t	type;		/* 1 usable, 2 reserved */
};

/*
 * fail: fills `why`; false.
 * get: `size` bytes of a file as a number; those beyond its end are 0.
 * room: where an image may write [gpa, +len); NULL: it may not.
 * string: copies one to the guest, behind those before it (*at, at first
 *	LOAD_STRINGS). 0: no room left.
 * map: at most LOAD_MAP entries.
 * start: fills `start`, and writes the tables of that mode.
 */
bool	 load_fail(struct load *, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
uint64_t load_get(const struct load_file *, uint64_t off, unsigned int size);
void	*load_room(const struct load *, uint64_t gpa, uint64_t len);
uint32_t load_string(const struct load *, uint32_t *at, const char *);
size_t	 load_map(const struct mem *, struct load_area *);
void	 load_start(struct load *, enum load_mode, uint64_t rip);

#endif /* LOAD_H */
