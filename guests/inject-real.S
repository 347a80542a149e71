/* SPDX-License-Identifier: ISC */
/*
 * inject-real - exceptions that the driver raises, in real mode.
 *
 * Exercises: #UD and #GP through the table at 0.
 * Expected exits: VALUE of VMMCALL, RDMSR 0xdead, MOV CR4.VMXE, MOV CR0.PG,
 *	the stack's imbalance; DONE.
 * Why: there is no error code in real mode; VMX refuses to enter with one.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_REAL
	TRAPS
	movl	%esp, %ebp
	PROBE	vmmcall
	movl	$0xdead, %ecx
	PROBE	rdmsr
	movl	%cr4, %ecx
	orl	$0x2000, %ecx
	PROBE	movl %ecx, %cr4
	movl	%cr0, %ecx
	orl	$0x80000000, %ecx
	PROBE	movl %ecx, %cr0
	movl	%ebp, %eax
	subl	%esp, %eax
	REPORT
	DONE
	TRAP_CODE
