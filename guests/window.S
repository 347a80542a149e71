/* SPDX-License-Identifier: ISC */
/*
 * window - interrupts off, then on.
 *
 * Exercises: the interrupt window that INTR asks for.
 * Expected exits: OUT 0x70 with interrupts off; if the client said INTR, an
 *	interrupt window with RIP behind STI and its shadow, from EBX to
 *	EBX + 2; the vector it gives as VALUE; OUT 0x71; DONE.
 * Why: a client with an interrupt to give must hear when it can.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$irq, TRAP_HOOK
	movl	$1f, %ebx
	outb	%al, $0x70
	nop
	sti
	nop
1:	nop
	nop
	outb	%al, $0x71
	DONE

irq:	pushq	%rax
	pushq	%rdx
	movl	16(%rsp), %eax
	REPORT
	popq	%rdx
	popq	%rax
	addq	$16, %rsp
	iretq
	TRAP_CODE
