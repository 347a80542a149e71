/* SPDX-License-Identifier: ISC */
/*
 * pvclock - the paravirtual clock, enabled with the MSR value ARG 0.
 *
 * Exercises: the structure's fields, and ARG 1 readings with an exit between
 *	each two, which must not go back.
 * Expected exits: VALUE of what WRMSR trapped; if bit 0 is clear or it did
 *	trap, DONE; else VALUE of version, multiplier, shift, flags, the TSC
 *	of the base low and high, the base's ns low and high; the last
 *	reading low and high; DONE.
 * Why: the time that a guest without timers has (F15).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$0x4b564d01, %ecx
	movl	ARG(0), %eax
	movl	ARG(0) + 4, %edx
	PROBE	wrmsr
	cmpl	$TRAP_NONE, TRAP_VECTOR
	jne	9f
	movq	ARG(0), %rdi
	btrq	$0, %rdi
	jnc	9f
	andq	$~0xf, %rdi
	xorl	%ebp, %ebp		/* the last reading */
	movl	ARG(1), %esi
1:	movl	(%rdi), %r8d		/* version */
	testl	$1, %r8d
	jnz	1b
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	subq	8(%rdi), %rax
	jae	2f
	FAIL
2:	movb	28(%rdi), %cl		/* shift */
	testb	%cl, %cl
	js	3f
	shlq	%cl, %rax
	jmp	4f
3:	negb	%cl
	shrq	%cl, %rax
4:	movl	24(%rdi), %edx		/* multiplier */
	mulq	%rdx
	shrdq	$32, %rdx, %rax
	addq	16(%rdi), %rax
	cmpl	(%rdi), %r8d
	jne	1b
	cmpq	%rbp, %rax
	jae	5f
	FAIL
5:	movq	%rax, %rbp
	xorl	%eax, %eax
	cpuid
	decl	%esi
	jnz	1b

	movl	(%rdi), %eax
	REPORT
	movl	24(%rdi), %eax
	REPORT
	movsbl	28(%rdi), %eax
	REPORT
	movzbl	29(%rdi), %eax
	REPORT
	movq	8(%rdi), %rcx
	REPORT64
	movq	16(%rdi), %rcx
	REPORT64
	movq	%rbp, %rcx
	REPORT64
9:	DONE
	TRAP_CODE
