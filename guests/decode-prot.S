/* SPDX-License-Identifier: ISC */
/*
 * decode-prot - the same for 32-bit code with a CS and DS base.
 *
 * Exercises: segment bases in protected mode, 32-bit and, by prefix, 16-bit
 *	addresses; a write through a read-only segment.
 * Expected exits: VALUE of CPUID 0x40000000 EBX at CS.base 0x1000; of SMSW
 *	through DS.base 0x2000, FS.base and a 16-bit address, each less CR0;
 *	of SMSW beyond a limit and to a read-only segment; DONE.
 * Why: an emulated access must meet the checks that the CPU would have made.
 *	CD is the host's, so with it set every read of CR0 is emulated.
 */
#include "trap.h"

#define WORD	0x5000

	.macro MSW mem:vararg
	movl	$0, WORD
	smsw	\mem
	movl	%cr0, %eax
	subl	%fs:WORD - 0x2000, %eax
	andl	$0xffff, %eax
	REPORT
	.endm

	GUEST_BEGIN GUEST_PROT
	TRAPS
	lgdt	gdtr
	movl	$0x58, %eax
	movw	%ax, %fs
	ljmpl	$0x50, $1f - 0x1000
1:	movl	$0x40000000, %eax
	.byte	0x2e, 0x66, 0x0f, 0xa2		/* cpuid */
	ljmpl	$GUEST_CS32, $2f
2:	movl	%ebx, %eax
	REPORT
	movl	%cr0, %eax
	orl	$0x40000000, %eax		/* CD: from now SMSW exits */
	movl	%eax, %cr0
	MSW	WORD
	movl	$WORD - 0x2000, %ebx
	MSW	%fs:(%ebx)
	movl	$WORD - 0x2000 - 0x10, %esi
	movl	$4, %ecx
	MSW	%fs:(%esi, %ecx, 4)
	movl	$0, WORD
	.byte	0x64, 0x67, 0x0f, 0x01, 0x26	/* smsw %fs:disp16 */
	.word	WORD - 0x2000
	movl	%cr0, %eax
	subl	WORD, %eax
	andl	$0xffff, %eax
	REPORT
	movl	$0x60, %eax			/* 4 KiB */
	movw	%ax, %gs
	PROBE	smsw %gs:0xfff
	movl	$0x68, %eax			/* read-only */
	movw	%ax, %gs
	PROBE	smsw %gs:0x10
	DONE

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
	.quad	0x00cf9b000000ffff, 0, 0, 0, 0, 0
	.quad	0x00cf9b001000ffff		/* 50: code from 0x1000 */
	.quad	0x00cf93002000ffff		/* 58: data from 0x2000 */
	.quad	0x0040930000000fff		/* 60: 4 KiB from 0 */
	.quad	0x00cf91000000ffff		/* 68: read-only */
gdtr:	.word	0x6f
	.long	gdt
	TRAP_CODE
