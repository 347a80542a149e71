/* SPDX-License-Identifier: ISC */
/*
 * dr-forms - each debug register through each general register.
 *
 * Exercises: MOV to and from DR0 to DR3, DR6 and DR7 with all sixteen, RSP
 *	included; CR8 through RSP.
 * Expected exits: DONE; a register that is not the one it should be FAILs.
 * Why: the exit names registers by number, RSP among them, which is not where
 *	the others are (VMX).
 */
#include "trap.h"

	/* There and back. */
	.macro ONE reg, dr, value, want
	movq	$\value, %\reg
	movq	%\reg, %\dr
	movq	$-1, %\reg
	movq	%\dr, %\reg
	movq	%\reg, TRAP_TEMP
	movq	%r13, %rsp
	cmpl	$\want, TRAP_TEMP
	jne	9f
	cmpl	$0, TRAP_TEMP + 4
	jne	9f
	.endm

	.macro THROUGH reg, n
	ONE	\reg, dr0, 0x12340000 + \n, 0x12340000 + \n
	ONE	\reg, dr1, 0x23450000 + \n, 0x23450000 + \n
	ONE	\reg, dr2, 0x34560000 + \n, 0x34560000 + \n
	ONE	\reg, dr3, 0x45670000 + \n, 0x45670000 + \n
	ONE	\reg, dr6, 0, 0xffff0ff0
	ONE	\reg, dr6, 0xe000 + \n, 0xffffeff0 + \n
	ONE	\reg, dr7, 0, 0x400
	ONE	\reg, dr7, 0x100, 0x500
	.endm

	GUEST_BEGIN GUEST_LONG
	movq	%rsp, %r13
	.set	.Ln, 0
	.irp	reg, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi
	THROUGH	\reg, .Ln
	.set	.Ln, .Ln + 1
	.endr
	.irp	reg, r8, r9, r10, r11, r12, r14, r15
	THROUGH	\reg, .Ln
	.set	.Ln, .Ln + 1
	.endr
	movq	%r13, %r14
	movl	$0x5678, %r13d
	movq	%r13, %dr0
	xorl	%r13d, %r13d
	movq	%dr0, %r13
	movq	%r13, %rax
	movq	%r14, %r13
	cmpl	$0x5678, %eax
	jne	9f
	movl	$11, %esp
	movq	%rsp, %cr8
	movq	%cr8, %rax
	xorl	%esp, %esp
	movq	%cr8, %rsp
	movq	%rsp, %rcx
	movq	%r13, %rsp
	cmpl	$11, %eax
	jne	9f
	cmpq	$11, %rcx
	jne	9f
	DONE
9:	FAIL
