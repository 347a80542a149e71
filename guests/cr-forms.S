/* SPDX-License-Identifier: ISC */
/*
 * cr-forms - MOV CR with every register, CLTS, LMSW and SMSW in all forms.
 *
 * Exercises: operand decoding where the CPU gives none; ARG 0 is or-ed to CR0.
 * Expected exits: VALUE of what CR1, CR5 and CR15 trap; DONE.
 * Why: a MOV with the wrong register would still look like one.
 */
#include "trap.h"

	.macro SAME a, b
	cmpq	\a, \b
	je	.Lsame\@
	FAIL
.Lsame\@:
	.endm

	/*
	 * A bit of CR changed and changed back: on VMX a write that changes
	 * nothing does not exit.
	 */
	.macro TOGGLE reg, cr, bit
	movq	$-1, %\reg
	movq	%\cr, %\reg
	SAME	%\reg, \cr
	xorq	$\bit, %\reg
	movq	%\reg, %\cr
	movq	$-1, %\reg
	movq	%\cr, %\reg
	xorq	$\bit, %\reg
	SAME	%\reg, \cr
	movq	%\reg, %\cr
	.endm

	/* CR0, CR4 and CR8 through one register, there and back. */
	.macro THROUGH reg
	TOGGLE	\reg, cr0, 0x8			/* TS */
	TOGGLE	\reg, cr4, 0x4			/* TSD */
	movq	$9, %\reg
	movq	%\reg, %cr8
	movq	$-1, %\reg
	movq	%cr8, %\reg
	cmpq	$9, %\reg
	je	.Lthrough\@
	FAIL
.Lthrough\@:
	.endm

	/* SMSW, then LMSW with TS set, of one memory operand. */
	.macro MSW mem:vararg
	movw	$0, word
	smsw	\mem
	movzwl	word, %eax
	movzwl	cr0, %edx
	SAME	%rax, %rdx
	orw	$8, word
	lmsw	\mem
	movq	%cr0, %rax
	xorq	cr0, %rax
	cmpq	$8, %rax
	je	.Lmsw\@
	FAIL
.Lmsw\@:
	clts
	movq	%cr0, %rax
	SAME	%rax, cr0
	.endm

	GUEST_BEGIN GUEST_LONG
	TRAPS
	CR0_ARG
	movq	%cr0, %rax
	movq	%rax, cr0
	movq	%cr4, %rax
	movq	%rax, cr4
	.irp	reg, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11
	THROUGH	\reg
	.endr
	.irp	reg, r12, r13, r14, r15
	THROUGH	\reg
	.endr
	movq	%rsp, %rbp
	TOGGLE	rsp, cr0, 0x8
	TOGGLE	rsp, cr4, 0x4
	movq	%rbp, %rsp

	movq	$-1, %rax
	smsww	%ax			/* 16 bits: the rest stays */
	shrq	$16, %rax
	movabsq	$0xffffffffffff, %rdx
	SAME	%rax, %rdx
	movq	$-1, %r9
	smswl	%r9d			/* 32 bits */
	movl	cr0, %edx
	SAME	%r9, %rdx
	movq	$-1, %rsi
	smswq	%rsi
	SAME	%rsi, cr0
	movl	$0xfff0, %ecx		/* LMSW cannot clear PE */
	lmsw	%cx
	movq	%cr0, %rax
	testb	$1, %al
	jnz	1f
	FAIL
1:	movq	cr0, %rax
	movq	%rax, %cr0

	movl	$word, %ebx
	MSW	(%rbx)
	MSW	word
	MSW	word(%rip)
	movl	$word - 0x40, %r13d
	MSW	0x40(%r13)
	movl	$word + 0x1000, %r12d
	MSW	-0x1000(%r12)
	movl	$8, %ecx
	movl	$word - 8 * 8 - 3, %ebp
	MSW	3(%rbp, %rcx, 8)
	movl	$0x100, %r15d
	movl	$word, %r8d
	subl	$0x400, %r8d
	MSW	(%r8, %r15, 4)
	movl	$word, %ebx
	movabsq	$0xffffffff00000000, %rax
	orq	%rax, %rbx
	MSW	(%ebx)			/* 32-bit address */
	movl	$0xc0000100, %ecx	/* FS base */
	movl	$word - 0x10, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$0x10, %ebx
	MSW	%fs:(%rbx)

	PROBE	movq %cr1, %rax
	PROBE	movq %rax, %cr5
	PROBE	movq %cr15, %rax
	DONE
	TRAP_CODE
	.balign	8
cr0:	.quad	0
cr4:	.quad	0
word:	.word	0
