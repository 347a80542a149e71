/* SPDX-License-Identifier: ISC */
/*
 * cr4 - toggles each bit of CR4 alone.
 *
 * Exercises: which bits are #GP, and what is read back (F14).
 * Expected exits: VALUE of CPUID 1 ECX, EDX, 7 EBX, ECX; of each bit 0 to 63
 *	what trapped (0x100: taken, but not read back); of the OSXSAVE bit of
 *	CPUID with CR4.OSXSAVE on and off; whether CR4 is as before: 0.
 * Why: a bit whose feature CPUID hides does not exist.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$GUEST_PD, %edi		/* no user pages: SMEP, SMAP */
	movl	$2048, %ecx
1:	andb	$~4, (%rdi)
	addl	$8, %edi
	loop	1b
	movq	%cr3, %rax
	movq	%rax, %cr3

	movl	$1, %eax
	cpuid
	movl	%edx, %edi
	movl	%ecx, %eax
	REPORT
	movl	%edi, %eax
	REPORT
	movl	$7, %eax
	xorl	%ecx, %ecx
	cpuid
	movl	%ebx, %eax
	REPORT
	movl	%ecx, %eax
	REPORT

	movq	%cr4, %rbp
	movl	$1, %edi
2:	movq	%rbp, %rcx
	xorq	%rdi, %rcx
	TRY	movq %rcx, %cr4
	call	trap_pack
	cmpl	$TRAP_NONE, %eax
	jne	3f
	movq	%cr4, %rdx
	cmpq	%rcx, %rdx
	je	3f
	movl	$0x100, %eax
3:	movq	%rbp, %cr4
	REPORT
	shlq	$1, %rdi
	jnz	2b

	movq	%rbp, %rcx
	orl	$0x40000, %ecx
	TRY	movq %rcx, %cr4
	call	osxsave
	movq	%rbp, %cr4
	call	osxsave
	movq	%cr4, %rax
	xorl	%ebp, %eax
	REPORT
	DONE

osxsave:
	movl	$1, %eax
	cpuid
	movl	%ecx, %eax
	shrl	$27, %eax
	andl	$1, %eax
	REPORT
	ret
	TRAP_CODE
