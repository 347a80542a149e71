/* SPDX-License-Identifier: ISC */
/*
 * task - a hardware task switch.
 *
 * Exercises: JMP to a TSS in protected mode.
 * Expected exits: SVM: VALUE 0x7a51 from the new task, VALUE of TR; DONE.
 *	VMX: RUN fails and the VCPU is TERMINATED, RIP = EBX.
 * Why: the one difference between the vendors that the CPU makes.
 */
#include "trap.h"

#define TSS	0x30000

	GUEST_BEGIN GUEST_PROT
	TRAPS
	movl	$0x00000067, GUEST_GDT + 0x50
	movl	$0x00008903, GUEST_GDT + 0x54
	lgdt	gdtr
	movl	$1f, TSS + 0x20
	movl	$2, TSS + 0x24
	movl	$0x7a51, TSS + 0x28
	movl	$0x7800, TSS + 0x38
	movl	$GUEST_DS, %eax
	.irp	off, 0x48, 0x50, 0x54, 0x58, 0x5c
	movl	%eax, TSS + \off
	.endr
	movl	$GUEST_CS32, TSS + 0x4c
	movl	$2f, %ebx
2:	ljmpl	$0x50, $0
	FAIL
1:	REPORT
	xorl	%eax, %eax
	strw	%ax
	REPORT
	DONE
	.balign	8
gdtr:	.word	0x57
	.long	GUEST_GDT
	TRAP_CODE
