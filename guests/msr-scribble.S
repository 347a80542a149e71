/* SPDX-License-Identifier: ISC */
/*
 * msr-scribble - writes, then reads, every MSR of the populated ranges.
 *
 * Exercises: 0-0x7ff, 0x40000000-ff, 0x4b564d00-ff, 0xc0000080-0x107,
 *	0xc0010000-0x1ff, 0xc0011000-0xff, with all ones and with zero.
 * Expected exits: VALUE of the number of faults; DONE.
 * Why: nothing that a guest writes may change the host (F16).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$ranges, %ebp
1:	movl	(%rbp), %edi
	movl	4(%rbp), %r8d
	addl	$8, %ebp
	testl	%r8d, %r8d
	jz	5f
2:	cmpl	$0xc0000080, %edi		/* EFER: it would end us */
	je	4f
	movl	%edi, %ecx
	movl	$-1, %eax
	movl	$-1, %edx
	TRY	wrmsr
	call	count
	movl	%edi, %ecx
	xorl	%eax, %eax
	xorl	%edx, %edx
	TRY	wrmsr
	call	count
	movl	%edi, %ecx
	TRY	rdmsr
	call	count
4:	incl	%edi
	decl	%r8d
	jnz	2b
	jmp	1b
5:	movl	%r9d, %eax
	REPORT
	DONE

count:	cmpl	$TRAP_NONE, TRAP_VECTOR
	je	1f
	incl	%r9d
1:	ret

	.balign	4
ranges:	.long	0x0, 0x800, 0x40000000, 0x100, 0x4b564d00, 0x100
	.long	0xc0000080, 0x88, 0xc0010000, 0x200, 0xc0011000, 0x100
	.long	0, 0
	TRAP_CODE
