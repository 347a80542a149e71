/* SPDX-License-Identifier: ISC */
/*
 * irq-shadow - an access to the address ARG 1 in an interrupt shadow.
 *
 * Exercises: the shadow of STI (ARG 0 is 0) and of MOV SS (1).
 * Expected exits: the access faults if the client forbade it, RIP = EBX;
 *	then, with an interrupt pending, VALUE of the vector and of the
 *	saved RIP less that of the access; DONE.
 * Why: the instruction in the shadow must run before the interrupt (F19).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$irq, TRAP_HOOK
	movq	ARG(1), %rdi
	movl	$GUEST_DS, %eax
	xorl	%ecx, %ecx
	cmpl	$0, ARG(0)
	jne	2f
	movl	$1f, %ebx
	sti
1:	movl	%eax, (%rdi)
	nop
	nop
	FAIL
2:	movl	$3f, %ebx
	sti
	nop
	movw	%ax, %ss
3:	movl	%eax, (%rdi)
	nop
	nop
	FAIL

irq:	movl	(%rsp), %eax
	REPORT
	movq	16(%rsp), %rax
	subq	%rbx, %rax
	REPORT
	DONE
	TRAP_CODE
