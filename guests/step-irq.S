/* SPDX-License-Identifier: ISC */
/*
 * step-irq - an interrupt that comes while the guest is single-stepped.
 *
 * Exercises: the client sets TF at OUT 0x70 and brings a vector.
 * Expected exits: OUT 0x70; VALUE of each vector, saved RIP less EBX in bits
 *	15:8, saved TF in bit 16; OUT 0x71; DONE.
 * Why: the interrupt's handler runs without TF; the step is not lost by it.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$hook, TRAP_HOOK
	movl	$1f, %ebx
	sti
	nop
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
	movl	48(%rsp), %edx
	andl	$0x100, %edx
	shll	$8, %edx
	orl	%edx, %eax
	cmpb	$1, 16(%rsp)
	jne	2f
	andl	$~0x100, 48(%rsp)
2:	REPORT
	popq	%rdx
	popq	%rax
	addq	$16, %rsp
	iretq
	TRAP_CODE
