/* SPDX-License-Identifier: ISC */
/*
 * second - a second of the battery clock, by the paravirtual clock.
 *
 * Exercises: both clocks of a VM of `vmctl start', the battery clock's
 *	interrupt once a second, the way of an interrupt through both PICs.
 * Expected exits: OUTs to the PICs; OUT 0x70, IN and OUT 0x71; HLT with
 *	interrupts on, three times; VALUE of the nanoseconds between the last
 *	two interrupts; DONE.
 * Why: two clocks that the monitor and the driver keep apart must agree; one
 *	that goes back fails at once. Who loses the interrupt waits for ever.
 */
#include "trap.h"

#define CLOCK	0x20000
#define IDT	0x21000
#define VECTOR	0x28			/* input 8: the second PIC's first */

.macro OUT port, value
	movb	$\value, %al
	outb	%al, $\port
.endm

	GUEST_BEGIN GUEST_LONG
	movl	$0x4b564d01, %ecx
	movl	$CLOCK | 1, %eax
	xorl	%edx, %edx
	wrmsr

	movl	$IDT + 16 * VECTOR, %edi
	movl	$handler, %eax
	movw	%ax, (%rdi)
	movw	$GUEST_CS64, 2(%rdi)
	movw	$0x8e00, 4(%rdi)
	lidt	idtr
	pushq	$GUEST_CS64		/* what IRET reloads */
	pushq	$1f
	lretq
1:	OUT	0x20, 0x11
	OUT	0x21, 0x20
	OUT	0x21, 0x04
	OUT	0x21, 0x01
	OUT	0xa0, 0x11
	OUT	0xa1, VECTOR
	OUT	0xa1, 0x02
	OUT	0xa1, 0x01
	OUT	0x21, 0xfb		/* all masked but the second PIC */
	OUT	0xa1, 0xfe		/* and its first input */
	OUT	0x70, 0x0b
	OUT	0x71, 0x12		/* 24 hours, an interrupt a second */
	OUT	0x70, 0x0c
	inb	$0x71, %al		/* one that waits is forgotten */

	xorl	%ebp, %ebp		/* the last reading */
	movl	$3, %esi
2:	movq	%rbp, %r10
	sti
	hlt
	cli
	cmpq	%r10, %rbp
	ja	3f
	FAIL				/* the clock went back, or what woke
					 * the CPU was no interrupt */
3:	decl	%esi
	jnz	2b
	movq	%rbp, %rax
	subq	%r10, %rax
	REPORT
	DONE

/* RBP: the paravirtual clock, now. */
handler:
	movl	CLOCK, %r8d		/* version */
	testl	$1, %r8d
	jnz	handler
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	subq	CLOCK + 8, %rax
	movb	CLOCK + 28, %cl		/* shift */
	testb	%cl, %cl
	js	4f
	shlq	%cl, %rax
	jmp	5f
4:	negb	%cl
	shrq	%cl, %rax
5:	movl	CLOCK + 24, %edx	/* multiplier */
	mulq	%rdx
	shrdq	$32, %rdx, %rax
	addq	CLOCK + 16, %rax
	cmpl	CLOCK, %r8d
	jne	handler
	movq	%rax, %rbp
	OUT	0x70, 0x0c
	inb	$0x71, %al		/* its flag */
	OUT	0xa0, 0x20
	OUT	0x20, 0x20
	iretq

	.balign	8
idtr:	.word	16 * (VECTOR + 1) - 1
	.quad	IDT
