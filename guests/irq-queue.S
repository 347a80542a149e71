/* SPDX-License-Identifier: ISC */
/*
 * irq-queue - lets interrupts pile up, then takes them.
 *
 * Exercises: the pending set of vrp_irq (F18).
 * Expected exits: OUT 0x70 eight times with interrupts off, so that eight
 *	RUNs can give a vector each; then VALUE of each vector as it is
 *	taken; OUT 0x71 when there is none left; DONE.
 * Why: none lost, none twice, the highest first.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$irq, TRAP_HOOK
	movl	$8, %ecx
1:	outb	%al, $0x70
	loop	1b
	sti
	nop
	nop
	nop
	cli
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
