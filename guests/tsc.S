/* SPDX-License-Identifier: ISC */
/*
 * tsc - the time-stamp counter by RDTSC and by MSR 0x10.
 *
 * Exercises: RDTSC without an exit, and that both are the same counter.
 * Expected exits: none but DONE.
 * Why: the guest sees the host's TSC; pvclock builds on it.
 */
#include "trap.h"

	.macro READ insn:vararg
	\insn
	shlq	$32, %rdx
	orq	%rdx, %rax
	cmpq	%rbx, %rax
	jae	.Lread\@
	FAIL
.Lread\@:
	movq	%rax, %rbx
	.endm

	GUEST_BEGIN GUEST_LONG
	xorl	%ebx, %ebx
	movl	$100, %esi
1:	READ	rdtsc
	movl	$0x10, %ecx
	READ	rdmsr
	decl	%esi
	jnz	1b
	testq	%rbx, %rbx
	jnz	2f
	FAIL
2:	DONE
