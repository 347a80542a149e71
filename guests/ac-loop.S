/* SPDX-License-Identifier: ISC */
/*
 * ac-loop - #AC without end.
 *
 * Exercises: ring 3 with alignment checks and a stack that is not aligned,
 *	whose #AC handler runs in ring 3 on that same stack.
 * Expected exits: OUT 0x70 before it; then none that the client sees.
 * Why: on hardware delivering #AC raises #AC, for ever; TCG has no #AC, so
 *	there it is a loop in ring 3.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_PROT
	TRAPS
	movl	$0x0000ffff, GUEST_GDT + 0x50	/* ring 3 code, data */
	movl	$0x00cffb00, GUEST_GDT + 0x54
	movl	$0x0000ffff, GUEST_GDT + 0x58
	movl	$0x00cff300, GUEST_GDT + 0x5c
	lgdt	gdtr
	movw	$2f, TRAP_IDT + 17 * 8
	movw	$0x53, TRAP_IDT + 17 * 8 + 2
	movl	%cr0, %eax
	orl	$0x40000, %eax			/* AM */
	movl	%eax, %cr0
	outb	%al, $0x70
	pushl	$0x5b
	pushl	$0x7401
	pushl	$0x40002			/* AC */
	pushl	$0x53
	pushl	$1f
	iretl
1:	pushl	%eax
	popl	%eax
	jmp	1b
2:	jmp	2b
	.balign	8
gdtr:	.word	0x5f
	.long	GUEST_GDT
	TRAP_CODE
