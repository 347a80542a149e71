/* SPDX-License-Identifier: ISC */
/*
 * inject-prot - exceptions that the driver raises, in protected mode.
 *
 * Exercises: 32-bit frames; see inject.
 * Expected exits: VALUE of VMMCALL, RDMSR 0xdead, MOV CR4.VMXE, the stack's
 *	imbalance; DONE.
 * Why: the error code is pushed in every mode but real mode.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_PROT
	TRAPS
	movl	%esp, %ebp
	PROBE	vmmcall
	movl	$0xdead, %ecx
	PROBE	rdmsr
	movl	%cr4, %ecx
	orl	$0x2000, %ecx
	PROBE	movl %ecx, %cr4
	movl	%ebp, %eax
	subl	%esp, %eax
	REPORT
	DONE
	TRAP_CODE
