/* SPDX-License-Identifier: ISC */
/*
 * ud-svm - AMD's instructions that this guest does not have.
 *
 * Exercises: VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT INVLPGA MONITOR
 *	MWAIT MONITORX MWAITX INT1.
 * Expected exits: VALUE, #UD on the instruction, thirteen times (VMX: #DB
 *	behind INT1); DONE.
 * Why: CPUID says there is no SVM and no MONITOR here.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$0x30000, %eax
	PROBE	.byte 0x0f, 0x01, 0xd8
	PROBE	.byte 0x0f, 0x01, 0xd9
	movl	$0x30000, %eax
	PROBE	.byte 0x0f, 0x01, 0xda
	movl	$0x30000, %eax
	PROBE	.byte 0x0f, 0x01, 0xdb
	PROBE	.byte 0x0f, 0x01, 0xdc
	PROBE	.byte 0x0f, 0x01, 0xdd
	xorl	%eax, %eax
	PROBE	.byte 0x0f, 0x01, 0xde
	xorl	%ecx, %ecx
	PROBE	.byte 0x0f, 0x01, 0xdf
	movl	$0x30000, %eax
	xorl	%edx, %edx
	PROBE	.byte 0x0f, 0x01, 0xc8
	xorl	%eax, %eax
	PROBE	.byte 0x0f, 0x01, 0xc9
	movl	$0x30000, %eax
	xorl	%edx, %edx
	PROBE	.byte 0x0f, 0x01, 0xfa
	xorl	%eax, %eax
	PROBE	.byte 0x0f, 0x01, 0xfb
	PROBE	.byte 0xf1
	DONE
	TRAP_CODE
