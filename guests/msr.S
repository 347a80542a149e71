/* SPDX-License-Identifier: ISC */
/*
 * msr - RDMSR or WRMSR as the client asks.
 *
 * Exercises: any MSR; a fault is caught.
 * Expected exits: OUT 0x70, where the client sets RCX, RDX, RAX, and RBX: 0
 *	reads, 1 writes; OUT 0x71 with the result and in RSI what trapped.
 * Why: every MSR of F16 is asked for by number, from outside.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
1:	outb	%al, $0x70
	testl	$1, %ebx
	jnz	2f
	TRY	rdmsr
	jmp	3f
2:	TRY	wrmsr
3:	pushq	%rax
	pushq	%rdx
	call	trap_pack
	movl	%eax, %esi
	popq	%rdx
	popq	%rax
	outb	%al, $0x71
	jmp	1b
	TRAP_CODE
