/* SPDX-License-Identifier: ISC */
/*
 * second - a second of the battery clock, by the paravirtual clock.
 *
 * Exercises: the clock of a VM of `vmctl start', read between two changes of
 *	the seconds in the other, and at each look at them.
 * Expected exits: OUT 0x70 and IN 0x71 of second 00 until it has changed
 *	twice; VALUE of the nanoseconds between; DONE.
 * Why: two clocks that the monitor and the driver keep apart must agree; one
 *	that goes back fails at once.
 */
#include "trap.h"

#define CLOCK	0x20000

	GUEST_BEGIN GUEST_LONG
	movl	$0x4b564d01, %ecx
	movl	$CLOCK | 1, %eax
	xorl	%edx, %edx
	wrmsr
	xorl	%ebp, %ebp		/* the last reading */
	xorl	%eax, %eax
	outb	%al, $0x70
	inb	$0x71, %al
	movzbl	%al, %r9d
	call	change
	movq	%rbp, %r10
	call	change
	movq	%rbp, %rax
	subq	%r10, %rax
	REPORT
	DONE

/* Until the second is not R9 any more. RBP: the clock, never less. */
change:
	movl	CLOCK, %r8d		/* version */
	testl	$1, %r8d
	jnz	change
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	subq	CLOCK + 8, %rax
	movb	CLOCK + 28, %cl		/* shift */
	testb	%cl, %cl
	js	1f
	shlq	%cl, %rax
	jmp	2f
1:	negb	%cl
	shrq	%cl, %rax
2:	movl	CLOCK + 24, %edx	/* multiplier */
	mulq	%rdx
	shrdq	$32, %rdx, %rax
	addq	CLOCK + 16, %rax
	cmpl	CLOCK, %r8d
	jne	change
	cmpq	%rbp, %rax
	jae	3f
	FAIL
3:	movq	%rax, %rbp
	xorl	%eax, %eax
	outb	%al, $0x70
	inb	$0x71, %al
	movzbl	%al, %eax
	cmpl	%eax, %r9d
	je	change
	movl	%eax, %r9d
	ret
