/* SPDX-License-Identifier: ISC */
/*
 * dr - the debug registers.
 *
 * Exercises: DR0 to DR3, DR6, DR7 through several registers; #GP, #UD and
 *	#DB that their access raises.
 * Expected exits: VALUE of DR0-3 read back (low), DR6, DR7; of a bad DR6, a
 *	bad DR7, DR4 with CR4.DE, DR5 without; of a MOV under DR7.GD and DR6
 *	behind it; OUT 0x70, where the client looks and may write; VALUE of
 *	DR0 low, high and DR7; DONE. DR0 is ARG 0, armed for execution.
 * Why: TCG lets a guest's DR0 and DR7 reach the host (it does not arm those
 *	loaded from the VMCB, so nothing here relies on a breakpoint).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movq	ARG(0), %rsi
	movq	%rsi, %dr0
	movl	$0x1111, %r9d
	movq	%r9, %dr1
	movl	$0x2222, %ebx
	movq	%rbx, %dr2
	movl	$0x3333, %r15d
	movq	%r15, %dr3
	movq	%dr0, %rax
	REPORT
	movq	%dr1, %r10
	movl	%r10d, %eax
	REPORT
	movq	%dr2, %rbp
	movl	%ebp, %eax
	REPORT
	movq	%dr3, %rcx
	movl	%ecx, %eax
	REPORT
	movq	%dr6, %rax
	REPORT
	movl	$0x402, %ecx		/* G0, execution */
	movq	%rcx, %dr7
	movq	%dr7, %rax
	REPORT
	movabsq	$0x100000000, %rcx
	PROBE	movq %rcx, %dr6
	PROBE	movq %rcx, %dr7
	movq	%cr4, %rbp
	movq	%rbp, %rcx
	orl	$8, %ecx
	movq	%rcx, %cr4
	PROBE	movq %dr4, %rcx
	movq	%rbp, %cr4
	PROBE	movq %dr5, %rcx
	movl	$0x2402, %ecx		/* GD */
	movq	%rcx, %dr7
	PROBE	movq %dr0, %rcx
	movq	%dr6, %rax
	REPORT
	movl	$0x402, %ecx
	movq	%rcx, %dr7
	outb	%al, $0x70
	movq	%dr0, %rcx
	REPORT64
	movq	%dr7, %rax
	REPORT
	DONE
	TRAP_CODE
