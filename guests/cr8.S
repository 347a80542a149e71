/* SPDX-License-Identifier: ISC */
/*
 * cr8 - the task priority register.
 *
 * Exercises: each of its 16 values; a seventeenth; what the client sees.
 * Expected exits: VALUE 0 to 15; VALUE of what 16 trapped; OUT 0x70 with CR8
 *	= 15, where the client may set it; VALUE of CR8; then an interrupt,
 *	whose vector is a VALUE; DONE.
 * Why: a register like others; it never holds vrp_irq back (F28).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$irq, TRAP_HOOK
	xorl	%ecx, %ecx
1:	movq	%rcx, %cr8
	movq	%cr8, %rax
	REPORT
	incl	%ecx
	cmpl	$16, %ecx
	jb	1b
	PROBE	movq %rcx, %cr8
	movl	$15, %ecx
	movq	%rcx, %cr8
	outb	%al, $0x70
	movq	%cr8, %rax
	REPORT
	sti
	nop
	hlt
	FAIL
irq:	movl	(%rsp), %eax
	REPORT
	DONE
	TRAP_CODE
