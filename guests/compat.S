/* SPDX-License-Identifier: ISC */
/*
 * compat - 32-bit code of a 64-bit system.
 *
 * Exercises: exits from compatibility mode with upper halves of registers set:
 *	MOV to and from CR0, CR4, DR0 and DR7, CPUID, RDMSR.
 * Expected exits: VALUE of CPUID 0x40000000 EBX; back in 64-bit mode VALUE of
 *	the upper halves that the reads left, or-ed; of DR0 and DR7, low and
 *	high half; DONE. A write that faults ends it.
 * Why: the registers have 64 bits, the operands 32, and only CS tells.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movabsq	$0x1234567800000000, %rbp
	movq	%cr0, %rcx
	orq	%rbp, %rcx
	xorq	$0x8, %rcx		/* TS: a change, so it exits */
	movq	%cr4, %rsi
	orq	%rbp, %rsi
	xorq	$0x4, %rsi		/* TSD */
	movl	$0x400, %edi
	orq	%rbp, %rdi
	ljmpl	*to32
	.code32
1:	movl	%ecx, %cr0
	movl	%esi, %cr4
	movl	%edi, %dr7
	movl	%edi, %dr0
	movl	%cr0, %ebp
	movl	%cr4, %esi
	movl	%dr0, %edi
	movl	$0x40000000, %eax
	cpuid
	movl	%ebx, %eax
	REPORT
	movl	$0x1b, %ecx
	rdmsr
	ljmpl	$GUEST_CS64, $2f
	.code64
2:	orq	%rsi, %rdi
	orq	%rbp, %rdi
	orq	%rax, %rdi
	movq	%rdi, %rbx
	shrq	$32, %rbx
	movl	%ebx, %eax
	REPORT
	movq	%dr0, %rcx
	REPORT64
	movq	%dr7, %rcx
	REPORT64
	DONE
	.balign	4
to32:	.long	1b
	.word	GUEST_CS32
	TRAP_CODE
