/* SPDX-License-Identifier: ISC */
/*
 * irq-beside - an interrupt that comes together with an exception.
 *
 * Exercises: a single step over OUT with interrupts on: the driver has a #DB
 *	to deliver when the client brings a vector.
 * Expected exits: OUT 0x70; VALUE of each vector with its saved RIP less EBX
 *	in bits 15:8; OUT 0x71; DONE.
 * Why: 6.9 lets the exception replace the interrupt, which is lost (F18).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$hook, TRAP_HOOK
	movl	$1f, %ebx
	sti
	nop
	pushfq
	orl	$0x100, (%rsp)
	popfq
	outb	%al, $0x70
1:	nop
	nop
	outb	%al, $0x71
	DONE

hook:	pushq	%rax
	pushq	%rdx
	movl	32(%rsp), %eax
	subl	%ebx, %eax
	shll	$8, %eax
	orl	16(%rsp), %eax
	REPORT
	popq	%rdx
	popq	%rax
	addq	$16, %rsp
	andl	$~0x100, 16(%rsp)
	iretq
	TRAP_CODE
