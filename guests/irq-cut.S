/* SPDX-License-Identifier: ISC */
/*
 * irq-cut - interrupts whose delivery the client cuts short.
 *
 * Exercises: interrupts on, RSP = ARG 0, in a page that the client forbids.
 * Expected exits: OUT 0x70 with EBX the RIP behind it; what the client does
 *	not allow; OUT 0x71; behind STI, OUT 0x40; DONE. In between VALUE of
 *	each vector with its saved RIP less EBX in bits 15:8.
 * Why: the client may turn interrupts off, or bring a higher vector, while
 *	one hangs half-delivered (F18).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$hook, TRAP_HOOK
	movq	ARG(0), %rsp
	movl	$1f, %ebx
	sti
	nop
	outb	%al, $0x70
1:	outb	%al, $0x71
	sti
	nop
	nop
	outb	%al, $0x40
	cli
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
	iretq
	TRAP_CODE
