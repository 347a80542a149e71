/* SPDX-License-Identifier: ISC */
/*
 * efer-bits - toggles each bit of EFER alone, in 64-bit mode.
 *
 * Exercises: which bits WRMSR takes, and what RDMSR reads then.
 * Expected exits: VALUE of CPUID 80000001 EDX; of each bit 0 to 63 what
 *	trapped (0x100: taken, not read back, 0x101: taken, read back); of
 *	EFER at the end; DONE.
 * Why: the guest's EFER is loaded by each entry, with bits of the host's.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$0x80000001, %eax
	cpuid
	movl	%edx, %eax
	REPORT
	movl	$1, %ebx
	movl	$0xc0000080, %ecx
1:	movl	$0x500, %eax
	xorl	%edx, %edx
	movq	%rbx, %rsi
	xorl	%esi, %eax
	shrq	$32, %rsi
	xorl	%esi, %edx
	movl	%eax, %edi
	TRY	wrmsr
	call	trap_pack
	cmpl	$TRAP_NONE, %eax
	jne	2f
	rdmsr
	cmpl	%edi, %eax
	movl	$0x100, %eax
	jne	2f
	incl	%eax
2:	movl	%eax, %esi
	movl	$0x500, %eax
	xorl	%edx, %edx
	wrmsr
	movl	%esi, %eax
	REPORT
	shlq	$1, %rbx
	jnz	1b
	rdmsr
	REPORT
	DONE
	TRAP_CODE
