/* SPDX-License-Identifier: ISC */
/*
 * irq - halts for ever; reports each interrupt.
 *
 * Exercises: vrp_irq, one vector at a time.
 * Expected exits: HLT; for each vector VALUE: the vector, and 0x100 if the
 *	CPU pushed an error code; HLT again with EBX the RIP behind it.
 * Why: an external interrupt has no error code, whatever its vector.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$irq, TRAP_HOOK
	sti
1:	MARK	hlt
	jmp	1b

	/*
	 * For vectors whose stub expects an error code the RIP is where the
	 * code would be: an error code is less than 0x8000 here.
	 */
irq:	pushq	%rax
	pushq	%rdx
	movl	16(%rsp), %eax
	cmpq	$GUEST_LOAD, 24(%rsp)
	jae	2f
	movl	16(%rsp), %edx
	cmpl	$8, %edx
	je	1f
	cmpl	$10, %edx
	jb	3f
	cmpl	$14, %edx
	jbe	1f
	cmpl	$17, %edx
	jne	3f
1:	orl	$0x100, %eax
3:	REPORT
	popq	%rdx
	popq	%rax
	addq	$16, %rsp
	iretq
2:	REPORT
	popq	%rdx
	popq	%rax
	addq	$8, %rsp
	iretq
	TRAP_CODE
