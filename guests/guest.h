/* SPDX-License-Identifier: ISC */
/*
 * guest.h - the contract between a guest and the client that runs it.
 *
 * A guest is a flat image of at most 64 KiB, loaded at GPA 0x8000, that
 * starts with a 16-byte header and is entered behind it, in the mode that the
 * header names, with interrupts off (RFLAGS = 2), SP/ESP/RSP = 0x8000 (real
 * mode: 0x7ff0), segments flat from 0 (CS 0x08, data 0x10; real mode: all 0)
 * and every general register 0. The client writes below the image:
 *
 *	0x0600	u64 nonce, chosen anew for each run
 *	0x0608	u64[8] arguments of the guest
 *	0x0800	GDT: 0 null, 08 code, 10 data, 18 64-bit code, 20 32-bit code,
 *		28 16-bit code, 30 16-bit data, 40 busy TSS (two slots)
 *	0x0c00	TSS, all zero
 *	0x1000	page tables, identity mapping 4 GiB in 2 MiB pages, all rights
 *		(PAE: PDPT at 0x2000; LONG: PML4 at 0x1000), up to 0x7000
 *	0x7000	stack, up to 0x8000
 *
 * It tells what it saw with four-byte OUTs, which leave RUN:
 *
 *	0x0500	VALUE	the next value; the client compares the sequence
 *	0x0504	DONE	the low half of the nonce: the guest got to its end
 *	0x0508	FAIL	a source line: this check failed
 *
 * Shared with C: only #defines outside __ASSEMBLER__.
 */
#ifndef GUEST_H
#define GUEST_H

#define GUEST_LOAD	0x8000
#define GUEST_ENTRY	0x8010
#define GUEST_MAX	0x10000
#define GUEST_NONCE	0x0600
#define GUEST_ARGS	0x0608
#define GUEST_GDT	0x0800
#define GUEST_TSS	0x0c00
#define GUEST_PML4	0x1000
#define GUEST_PDPT	0x2000
#define GUEST_PD	0x3000
#define GUEST_STACK	0x8000

#define GUEST_VALUE	0x500
#define GUEST_DONE	0x504
#define GUEST_FAIL	0x508

/* Modes. */
#define GUEST_REAL	0	/* real mode, 16-bit */
#define GUEST_PROT	1	/* protected mode, 32-bit, paging off */
#define GUEST_PAE	2	/* protected mode, 32-bit, PAE paging */
#define GUEST_LONG	3	/* 64-bit mode */

#define GUEST_CS	0x08
#define GUEST_DS	0x10
#define GUEST_CS64	0x18
#define GUEST_CS32	0x20
#define GUEST_CS16	0x28
#define GUEST_DS16	0x30
#define GUEST_TR	0x40

#ifdef __ASSEMBLER__

/* First line of a guest: header, section and code width. */
.macro GUEST_BEGIN mode
	.set	GUEST_MODE, \mode
	.section .text.start, "ax"
	.ascii	"VMMG"
	.byte	\mode, 1		/* mode, version */
	.word	16			/* offset of the entry */
	.long	0, 0
.if \mode == GUEST_REAL
	.code16
.elseif \mode == GUEST_LONG
	.code64
.else
	.code32
.endif
	.globl	start
start:
.endm

/* Report EAX as the next value. Clobbers DX. */
.macro REPORT
	movw	$GUEST_VALUE, %dx
	outl	%eax, %dx
.endm

/* The end: say the nonce, then halt with interrupts off. */
.macro DONE
	movl	GUEST_NONCE, %eax
	movw	$GUEST_DONE, %dx
	outl	%eax, %dx
	cli
	hlt
.endm

/* A check failed: says the line, which a .macro could not know. */
#define FAIL	movl $__LINE__, %eax; movw $GUEST_FAIL, %dx; outl %eax, %dx; \
		cli; hlt

#else

#include <stdint.h>

struct guest_header {
	char		gh_magic[4];	/* "VMMG" */
	uint8_t		gh_mode;
	uint8_t		gh_version;	/* 1 */
	uint16_t	gh_entry;	/* offset of the first instruction */
	uint32_t	gh_reserved[2];
};

#endif /* __ASSEMBLER__ */
#endif /* GUEST_H */
