/* SPDX-License-Identifier: ISC */
/*
 * breaks - the guest's own breakpoints, in DR0 to DR3.
 *
 * Exercises: execution (NOP, CPUID, behind CPUID; RF), data writes of one to
 *	eight bytes, reads; a page not touched before (2 MiB), one that the
 *	client forbade (ARG 0); beside a single step; held back by MOV SS.
 * Expected exits: VALUE of what each trapped and of the low half of DR6; what
 *	the client forbade; VALUE of the number of traps; DONE.
 * Why: the CPU must hold the guest's registers while it runs, no others, and
 *	a #DB that waits survives the exit of the instruction it waits for.
 */
#include "trap.h"

#define WORD	0x30000

	.macro DR6
	movq	%dr6, %rax
	movzwl	%ax, %eax
	REPORT
	movl	$0xffff0ff0, %eax
	movq	%rax, %dr6
	.endm

	/* DRn at an address, what DR7 says of it, one instruction. */
	.macro WATCH n, at, dr7, insn:vararg
	movq	$\at, %rbx
	movq	%rbx, %dr\n
	movl	$\dr7, %ebx
	movq	%rbx, %dr7
	PROBE	\insn
	DR6
	.endm

	/* The same, and on: RF set by the handler below. */
	.macro STOP insn:vararg
	movl	$.Lstop\@, %r14d
	movq	%r14, %dr0
	movl	$0x402, %ebx
	movq	%rbx, %dr7
	movl	$0x40000000, %eax
.Lstop\@:
	\insn
	movl	$0x400, %ecx
	movq	%rcx, %dr7
	DR6
	.endm

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$hook, TRAP_HOOK
	STOP	nop
	STOP	cpuid
	movl	$1f, %r14d
	movq	%r14, %dr0
	movl	$0x402, %ebx
	movq	%rbx, %dr7
	cpuid
1:	nop
	movl	$0x400, %ecx
	movq	%rcx, %dr7
	DR6
	movl	$1f, %r14d		/* two in a row: RF covers one */
	movq	%r14, %dr0
	addl	$2, %r14d
	movq	%r14, %dr1
	movl	$0x40a, %ebx
	movq	%rbx, %dr7
1:	cpuid
	nop
	movl	$0x400, %ecx
	movq	%rcx, %dr7
	DR6
	movl	%r15d, %eax
	REPORT				/* five of them stopped */

	WATCH	0, WORD, 0x10402, movb %al, WORD
	WATCH	1, WORD, 0xd00408, movl %eax, WORD
	WATCH	1, WORD, 0xd00408, movl WORD, %eax
	WATCH	2, WORD, 0xf000420, movl WORD, %eax
	WATCH	3, WORD + 8, 0x90000480, movq %rax, WORD + 8
	WATCH	3, WORD + 8, 0x90000480, movb %al, WORD + 16
	WATCH	1, 0x200000, 0xd00408, movl %eax, 0x200000
	movq	ARG(0), %rdi
	movq	%rdi, %dr2
	movl	$0xd000420, %ebx
	movq	%rbx, %dr7
	PROBE	movl %eax, (%rdi)
	DR6
	movq	$WORD, %rbx
	movq	%rbx, %dr1
	movl	$0xd00408, %ebx
	movq	%rbx, %dr7
	STEP	movl %eax, WORD
	DR6

	/* A read by MOV SS: its #DB waits for CPUID to be done. */
	movl	$GUEST_DS, WORD
	movl	$0xf00408, %ebx
	movq	%rbx, %dr7
	ARM	2f, 3f
2:	movw	WORD, %ss
	cpuid
	nop
	nop
3:	movl	$0, TRAP_RESUME
	movl	$0x400, %ecx
	movq	%rcx, %dr7
	call	trap_pack
	REPORT
	DR6
	movl	TRAP_COUNT, %eax
	REPORT
	DONE

hook:	incl	%r15d
	addq	$16, %rsp
	orl	$0x10000, 16(%rsp)	/* RF */
	iretq
	TRAP_CODE
