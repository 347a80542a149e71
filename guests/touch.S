/* SPDX-License-Identifier: ISC */
/*
 * touch - accesses ARG 2 words, from GPA ARG 0, ARG 1 bytes apart.
 *
 * Exercises: first touch by a write (ARG 3 is 0), a read (1), a locked
 *	read-modify-write (2). What is written is the nonce ^ the address.
 * Expected exits: VALUE: low half of the exclusive or of what was read; DONE.
 * Why: pages are taken from the client when they are first touched (F23).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	movq	ARG(0), %rdi
	movq	ARG(2), %rcx
	xorl	%ebx, %ebx
1:	movq	GUEST_NONCE, %rax
	xorq	%rdi, %rax
	cmpl	$1, ARG(3)
	ja	3f
	je	2f
	movq	%rax, (%rdi)
	jmp	4f
2:	xorq	(%rdi), %rbx
	jmp	4f
3:	lock	xorq %rax, (%rdi)
4:	addq	ARG(1), %rdi
	decq	%rcx
	jnz	1b
	movl	%ebx, %eax
	REPORT
	DONE
