/* SPDX-License-Identifier: ISC */
/*
 * decode - instructions that exit, laden with prefixes, in 64-bit mode.
 *
 * Exercises: ARG 0 is or-ed to CR0;
 *	lengths to 15 bytes, by single-stepping; LOCK MOV CR0, which is
 *	CR8 or #UD but never CR0; MOV CR with a memory ModRM; code written
 *	just before it runs, across pages that lie apart, before a page that
 *	is not there, and at a linear address which is no physical one.
 * Expected exits: VALUE of each STEP, of CR0 bit 0 and CR8 as read by the odd
 *	forms, of CPUID 0x40000000 EBX in the last three places; DONE.
 * Why: where the CPU does not tell the length the driver must read guest
 *	memory as the CPU does, prefixes and paging included.
 */
#include "trap.h"

#define PT	0x30000			/* of 2-4 MiB */
#define PAGE0	0x40000			/* 2 MiB + 0 */
#define PAGE1	0x50000			/* 2 MiB + 4 KiB */
#define ALIAS	0x100000000		/* 4 GiB is 0 */

	.macro RUN_AT at
	movl	$\at, %esi
	movl	$0x40000000, %eax
	call	*%rsi
	movl	%ebx, %eax
	REPORT
	.endm

	GUEST_BEGIN GUEST_LONG
	TRAPS
	CR0_ARG
	STEP	.byte 0x66, 0x0f, 0xa2			/* cpuid */
	STEP	.byte 0xf2, 0x0f, 0xa2
	STEP	.byte 0xf3, 0x48, 0x0f, 0xa2
	STEP	.byte 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0x67, 0x41, 0x0f, \
		      0xa2
	STEP	.byte 0x48, 0x66, 0x0f, 0xa2		/* REX that is void */
	STEP	.byte 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, \
		      0x3e, 0x3e, 0x3e, 0x3e, 0x0f, 0xa2	/* 15 bytes */
	STEP	.byte 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, \
		      0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x0f, 0xa2	/* 16: #GP */
	movl	$0x10, %ecx
	STEP	.byte 0x66, 0x48, 0x0f, 0x32		/* rdmsr */
	STEP	.byte 0x3e, 0x48, 0x0f, 0x08		/* invd */
	STEP	.byte 0x66, 0x0f, 0x20, 0xc1		/* mov cr0, rcx */
	STEP	.byte 0x40, 0x0f, 0x22, 0xc1		/* mov rcx, cr0 */
	STEP	.byte 0x3e, 0x0f, 0x01, 0x24, 0x25, TRAP_TEMP & 0xff, \
		      TRAP_TEMP >> 8, 0, 0		/* smsw */
	STEP	.byte 0x2e, 0x0f, 0x06			/* clts */
	xorl	%ecx, %ecx
	STEP	.byte 0x0f, 0x20, 0x01			/* ModRM says memory */
	movl	%ecx, %eax
	andl	$1, %eax
	REPORT
	movl	$5, %ecx
	movq	%rcx, %cr8
	TRY	.byte 0xf0, 0x0f, 0x20, 0xc1		/* lock mov cr0, rcx */
	movl	%ecx, %eax
	REPORT

	movl	$0xa20f662e, patch
	STEP	patch: .byte 0x0f, 0x0b, 0x90, 0x90

	movl	$PAGE0 + 3, PT
	movl	$PAGE1 + 3, PT + 8
	movl	$PT + 3, GUEST_PD + 8
	invlpg	0x200000
	movw	$0x0f2e, PAGE0 + 0xffe
	movw	$0xc3a2, PAGE1
	RUN_AT	0x200ffe
	movl	$0xc3a20f2e, PAGE0 + 0xffc
	movl	$0, PT + 8
	invlpg	0x201000
	RUN_AT	0x200ffc

	movq	GUEST_PDPT, %rax
	movq	%rax, GUEST_PDPT + 4 * 8
	movabsq	$ALIAS + 1f, %rax
	jmp	*%rax
1:	movl	$0x40000000, %eax
	.byte	0x3e, 0x48, 0x0f, 0xa2			/* cpuid */
	movl	%ebx, %ebp
	movq	%cr0, %rsi
	movq	%rsi, %cr0
	movabsq	$2f, %rax
	jmp	*%rax
2:	movl	%ebp, %eax
	REPORT
	DONE
	TRAP_CODE
