/* SPDX-License-Identifier: ISC */
/*
 * inject - exceptions that the driver raises, in 64-bit mode.
 *
 * Exercises: #UD without and #GP with error code, RIP on the instruction,
 *	RFLAGS as it was, the stack balanced, three rounds.
 * Expected exits: VALUE of VMMCALL/VMCALL, RDMSR 0xdead, MOV CR4.VMXE, the
 *	flags and the stack's imbalance, per round; DONE.
 * Why: an injected fault must look like the CPU's own (F1).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movq	%rsp, %rbp
	movl	$3, %edi
1:	stc
	PROBE	vmmcall
	movl	$0xdead, %ecx
	PROBE	rdmsr
	movq	%cr4, %rcx
	orl	$0x2000, %ecx
	stc
	PROBE	movq %rcx, %cr4
	movl	TRAP_FLAGS, %eax
	andl	$0x301, %eax
	REPORT
	movq	%rbp, %rax
	subq	%rsp, %rax
	REPORT
	decl	%edi
	jnz	1b
	DONE
	TRAP_CODE
