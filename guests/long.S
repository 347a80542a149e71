/* SPDX-License-Identifier: ISC */
/*
 * long - 64-bit mode.
 *
 * Exercises: the start state of GUEST_LONG; registers, canonical addresses.
 * Expected exits: VALUE of EFER, CR0 bits 31 and 0, CR3, CS, SS; of the sum
 *	of R8 to R15; of the nonce through a second PML4 entry; of #PF with
 *	CR2, and of a non-canonical access; DONE.
 * Why: the mode that most guests live in.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	movl	$0xc0000080, %ecx
	rdmsr
	REPORT
	movq	%cr0, %rax
	andl	$0x80000001, %eax
	REPORT
	movq	%cr3, %rax
	REPORT
	xorl	%eax, %eax
	movw	%cs, %ax
	REPORT
	xorl	%eax, %eax
	movw	%ss, %ax
	REPORT
	movl	$1, %eax
	.irp	n, 8, 9, 10, 11, 12, 13, 14, 15
	movq	%rax, %r\n
	shlq	$1, %rax
	.endr
	REPORT
	xorl	%eax, %eax
	.irp	n, 8, 9, 10, 11, 12, 13, 14, 15
	addq	%r\n, %rax
	.endr
	REPORT
	TRAPS
	movq	GUEST_PML4, %rax		/* -512 GiB is 0 */
	movq	%rax, GUEST_PML4 + 511 * 8
	movabsq	$0xffffff8000000000, %rcx
	movl	GUEST_NONCE(%rcx), %eax
	REPORT
	movabsq	$0x123456789abc, %rcx
	PROBE	movb (%rcx), %al
	movq	TRAP_CR2, %rcx
	REPORT64
	movabsq	$0x800000000000, %rcx
	PROBE	movb (%rcx), %al
	DONE
	TRAP_CODE
