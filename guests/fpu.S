/* SPDX-License-Identifier: ISC */
/*
 * fpu - x87, SSE and AVX registers across exits.
 *
 * Exercises: loads what the client put at 0x31000 (FXSAVE image) and 0x31200
 *	(16 YMM, if ARG 0 is not 0), exits in many ways, stores it all at
 *	0x32000 and 0x32200.
 * Expected exits: OUT 0x70 and HLT eight times; DONE.
 * Why: host code between the exits uses the same registers.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movq	%cr4, %rax
	orl	$0x600, %eax
	movq	%rax, %cr4
	cmpl	$0, ARG(0)
	je	1f
	orl	$0x40000, %eax
	movq	%rax, %cr4
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	movl	$7, %eax
	xsetbv
1:	fxrstor	0x31000
	cmpl	$0, ARG(0)
	je	2f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovdqu	0x31200 + 32 * \n, %ymm\n
	.endr
2:	movl	$8, %edi
3:	outb	%al, $0x70
	cpuid
	movl	$0x10, %ecx
	rdmsr
	inb	$0x80, %al
	TRY	vmmcall
	sti
	hlt
	cli
	decl	%edi
	jnz	3b
	fxsave	0x32000
	cmpl	$0, ARG(0)
	je	4f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovdqu	%ymm\n, 0x32200 + 32 * \n
	.endr
4:	DONE
	TRAP_CODE
