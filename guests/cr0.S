/* SPDX-License-Identifier: ISC */
/*
 * cr0 - writes of CR0, good and bad.
 *
 * Exercises: the faults of MOV CR0 (F1), what is read back (F14), bits that
 *	the host keeps (F17), and that WP and TS are in force.
 * Expected exits: one VALUE per line marked v, in this order.
 * Why: what the guest reads must be what it wrote, whoever owns the bit.
 */
#include "trap.h"

	.macro BAD set, clear
	movq	%rbp, %rcx
	movabsq	$\set, %rax
	orq	%rax, %rcx
	movabsq	$~(\clear), %rax
	andq	%rax, %rcx
	PROBE	movq %rcx, %cr0
	.endm
	.macro GOOD set, clear
	movl	%ebp, %ecx
	orl	$\set, %ecx
	andl	$~(\clear), %ecx
	movq	%rcx, %cr0
	movq	%cr0, %rax
	xorl	%ecx, %eax
	REPORT
	.endm

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movq	%cr0, %rbp
	BAD	0x100000000, 0		/* v: bit 32 */
	BAD	0x8000000000000000, 0	/* v: bit 63 */
	BAD	0x20000000, 0		/* v: NW without CD */
	BAD	0, 0x1			/* v: PG without PE */
	BAD	0, 0x80000000		/* v: PG off in 64-bit mode */
	movq	%cr0, %rax
	xorl	%ebp, %eax
	REPORT				/* v: CR0 is as before */
	GOOD	0x40000000, 0		/* v: CD */
	GOOD	0x60000000, 0		/* v: CD, NW */
	GOOD	0x20, 0			/* v: NE */
	GOOD	0, 0x20			/* v: NE off */
	GOOD	0x2, 0			/* v: MP */
	GOOD	0x50000, 0		/* v: WP, AM */
	movl	%ebp, %ecx
	andl	$~0x10, %ecx
	movq	%rcx, %cr0
	movq	%cr0, %rax
	andl	$0x10, %eax
	REPORT				/* v: ET is always 1 */
	GOOD	0x8, 0			/* v: TS */
	PROBE	fld1			/* v: #NM */
	GOOD	0x4, 0x8		/* v: EM */
	PROBE	fld1			/* v: #NM */
	movq	%rbp, %cr0
	andl	$~2, GUEST_PD + 8	/* 2-4 MiB read-only */
	invlpg	0x200000
	GOOD	0x10000, 0		/* v: WP */
	PROBE	movl %eax, 0x200000	/* v: #PF, P and W */
	GOOD	0, 0x10000		/* v: WP off */
	PROBE	movl %eax, 0x200000	/* v: nothing */
	DONE
	TRAP_CODE
