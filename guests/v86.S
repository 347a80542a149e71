/* SPDX-License-Identifier: ISC */
/*
 * v86 - virtual-8086 mode.
 *
 * Exercises: exits from 16-bit code at CPL 3 with segments as in real mode.
 * Expected exits: VALUE 0x86 with cpl 3; VALUE of CPUID 0x40000000 EBX; of
 *	HLT and CLI, which are #GP; DONE with cpl 0.
 * Why: CS.base is the selector times 16 although CR0.PE is set.
 */
#include "trap.h"

#define TSS	0x30000			/* with a bitmap that allows all */

	/* To \at in virtual-8086 mode, CS 0x800; traps come back. */
	.macro ENTER at
	pushl	$0			/* GS, FS, DS, ES, SS */
	pushl	$0
	pushl	$0
	pushl	$0
	pushl	$0
	pushl	$0x7400
	pushl	$0x20002		/* VM, IOPL 0 */
	pushl	$0x800
	pushl	$\at - 0x8000
	iretl
	.endm

	GUEST_BEGIN GUEST_PROT
	TRAPS
	movw	$v86_ud, TRAP_IDT + 6 * 8
	movw	$v86_gp, TRAP_IDT + 13 * 8
	movl	$0x7800, TSS + 4	/* ESP0, SS0 */
	movl	$GUEST_DS, TSS + 8
	movl	$0x00680000, TSS + 0x64	/* bitmap behind it */
	movl	$0x00002069, GUEST_GDT + GUEST_TR
	movl	$0x00008903, GUEST_GDT + GUEST_TR + 4
	movw	$GUEST_TR, %ax
	ltrw	%ax
	movl	%esp, %ebp
	movl	$2f, resume
	ENTER	1f
	.code16
1:	movl	$0x86, %eax
	REPORT
	movl	$0x40000000, %eax
	cpuid
	movl	%ebx, %eax
	REPORT
	ud2
	.code32
2:	movl	%ebp, %esp
	movl	$4f, resume
	ENTER	3f
	.code16
3:	hlt
	.code32
4:	movl	%ebp, %esp
	movl	vector, %eax
	REPORT
	movl	$6f, resume
	ENTER	5f
	.code16
5:	cli
	.code32
6:	movl	%ebp, %esp
	movl	vector, %eax
	REPORT
	DONE

	/* From virtual-8086 mode every data segment register comes null. */
v86_ud:	pushl	$6
	jmp	1f
v86_gp:	addl	$4, %esp
	pushl	$13
1:	movl	$GUEST_DS, %eax
	movw	%ax, %ds
	movw	%ax, %es
	popl	vector
	jmpl	*resume
	.balign	4
vector:	.long	0
resume:	.long	0
	TRAP_CODE
