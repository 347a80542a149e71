/* SPDX-License-Identifier: ISC */
/*
 * climb - real mode, protected, paged, PAE, long, and back to real mode.
 *
 * Exercises: every change of mode that a guest can make by itself, and a
 *	CPUID that the driver finishes in each.
 * Expected exits: two VALUEs in each of nine steps: the step, and EBX of
 *	CPUID 0x40000000; further the nonce read through the page tables in
 *	steps 3, 4, and EFER in step 5; DONE.
 * Why: a loader does this in its first thousand instructions.
 */
#include "trap.h"

#define PD32	0x30000
#define PDPT32	0x31000

	.macro AT step
	movl	$\step, %eax
	REPORT
	movl	$0x40000000, %eax
	cpuid
	movl	%ebx, %eax
	REPORT
	.endm
	.macro PAGING on
	movl	%cr0, %eax
.if \on
	orl	$0x80000000, %eax
.else
	andl	$0x7fffffff, %eax
.endif
	movl	%eax, %cr0
	jmp	.Lpaging\@
.Lpaging\@:
	.endm
	.macro FLAT sel
	movw	$\sel, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	.endm

	GUEST_BEGIN GUEST_REAL
	AT	1
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$GUEST_CS32, $2f
	.code32
2:	FLAT	GUEST_DS
	AT	2

	movl	$PD32, %edi		/* 32-bit paging, 4 MiB pages */
	movl	$0x83, %eax
1:	movl	%eax, (%edi)
	addl	$4, %edi
	addl	$0x400000, %eax
	jnc	1b
	movl	$0x83, PD32 + 4		/* 4 MiB is 0 */
	movl	$0x10, %eax
	movl	%eax, %cr4
	movl	$PD32, %eax
	movl	%eax, %cr3
	PAGING	1
	AT	3
	movl	0x400000 + GUEST_NONCE, %eax
	REPORT
	PAGING	0

	movl	$GUEST_PD + 1, PDPT32	/* PAE */
	movl	$0, PDPT32 + 4
	movl	$GUEST_PD + 1, PDPT32 + 8	/* 1 GiB is 0 */
	movl	$0, PDPT32 + 12
	movl	$0x20, %eax
	movl	%eax, %cr4
	movl	$PDPT32, %eax
	movl	%eax, %cr3
	PAGING	1
	AT	4
	movl	0x40000000 + GUEST_NONCE, %eax
	REPORT
	PAGING	0

	movl	$GUEST_PML4, %eax	/* long mode, from compatibility */
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x100, %eax
	wrmsr
	PAGING	1
	AT	5
	movl	$0xc0000080, %ecx
	rdmsr
	REPORT
	ljmpl	$GUEST_CS64, $6f
	.code64
6:	AT	6
	pushq	$GUEST_CS32
	pushq	$7f
	lretq
	.code32
7:	AT	7
	PAGING	0
	movl	$0xc0000080, %ecx
	rdmsr
	andl	$~0x100, %eax
	wrmsr
	AT	8
	ljmpl	$GUEST_CS16, $8f
	.code16
8:	FLAT	GUEST_DS16
	movl	%cr0, %eax
	andl	$~1, %eax
	movl	%eax, %cr0
	ljmpw	$0, $9f
9:	FLAT	0
	AT	9
	DONE
