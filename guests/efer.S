/* SPDX-License-Identifier: ISC */
/*
 * efer - reads and writes of EFER.
 *
 * Exercises: SVME hidden, SCE and NXE taken, reserved bits and LME refused.
 * Expected exits: VALUE of EFER low, high; of SCE|NXE what trapped and what
 *	is read; of SVME what is read behind a write; of bit 9, of bit 32 and
 *	of LME off what trapped; of an NX page the vector and error code.
 * Why: the real EFER has bits that are the host's (F11).
 */
#include "trap.h"

	.macro WRITE lo, hi
	movl	$0xc0000080, %ecx
	movl	$\lo, %eax
	movl	$\hi, %edx
	.endm

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$0xc0000080, %ecx
	rdmsr
	movl	%edx, %ebx
	REPORT
	movl	%ebx, %eax
	REPORT
	WRITE	0xd01, 0
	PROBE	wrmsr
	rdmsr
	REPORT
	WRITE	0x1d01, 0
	TRY	wrmsr
	rdmsr
	REPORT
	WRITE	0xf01, 0
	PROBE	wrmsr
	WRITE	0xd01, 1
	PROBE	wrmsr
	WRITE	0xc01, 0
	PROBE	wrmsr
	WRITE	0xd01, 0
	wrmsr
	movb	$0xc3, 0x200000
	orl	$0x80000000, GUEST_PD + 12	/* NX */
	invlpg	0x200000
	movl	$0x200000, %edi
	movq	%rsp, %rbp
	TRY	call *%rdi
	movq	%rbp, %rsp
	movl	TRAP_ERROR, %eax
	shll	$8, %eax
	orl	TRAP_VECTOR, %eax
	REPORT
	DONE
	TRAP_CODE
