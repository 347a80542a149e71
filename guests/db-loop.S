/* SPDX-License-Identifier: ISC */
/*
 * db-loop - #DB without end.
 *
 * Exercises: single-stepping over a jump to itself, with a data breakpoint on
 *	the stack that each delivery writes.
 * Expected exits: OUT 0x70 before it; then none that the client sees.
 * Why: on hardware the breakpoint makes delivery itself raise #DB, which no
 *	interrupt ends; TCG arms no breakpoint, so there it is the TF loop.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$hook, TRAP_HOOK
	outb	%al, $0x70
	leaq	-0x18(%rsp), %rax
	movq	%rax, %dr0
	movl	$0xf0402, %eax		/* G0, 4 bytes, read or write */
	movq	%rax, %dr7
	pushfq
	orl	$0x100, (%rsp)
	popfq
1:	jmp	1b
hook:	addq	$16, %rsp
	iretq
	TRAP_CODE
