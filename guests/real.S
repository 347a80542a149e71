/* SPDX-License-Identifier: ISC */
/*
 * real - real mode: segments, INT through the table at 0, 32-bit operands.
 *
 * Exercises: the start state of GUEST_REAL and what 16-bit code does.
 * Expected exits: VALUE of CR0 bit 0, RFLAGS, CS to SS or-ed, SP; of a far
 *	return's CS; of #DE, INT3 and BOUND; of a store beyond a base; DONE.
 * Why: firmware starts here.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_REAL
	movl	%esp, %ebp
	pushfl
	popl	%ecx
	movl	%cr0, %eax
	andl	$1, %eax
	REPORT
	movl	%ecx, %eax
	REPORT
	xorl	%eax, %eax
	movw	%cs, %ax
	movw	%ds, %bx
	orw	%bx, %ax
	movw	%es, %bx
	orw	%bx, %ax
	movw	%fs, %bx
	orw	%bx, %ax
	movw	%gs, %bx
	orw	%bx, %ax
	movw	%ss, %bx
	orw	%bx, %ax
	REPORT
	movl	%ebp, %eax
	REPORT
	TRAPS
	pushw	$0x800
	pushw	$1f - 0x8000
	lretw
1:	xorl	%eax, %eax
	movw	%cs, %ax
	REPORT
	ljmpw	$0, $2f
2:	xorw	%cx, %cx
	PROBE	divw %cx
	PROBE	int3
	movl	$0x00010002, bounds
	movw	$7, %ax
	PROBE	boundw %ax, bounds
	movw	$0x3000, %ax
	movw	%ax, %es
	movw	$0x1234, %ax
	movw	%ax, %es:0x10
	movw	$0x3001, %cx
	movw	%cx, %es
	xorl	%eax, %eax
	movw	%es:0, %ax
	REPORT
	DONE
	TRAP_CODE
	.balign	4
bounds:	.long	0
