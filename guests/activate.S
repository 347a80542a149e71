/* SPDX-License-Identifier: ISC */
/*
 * activate - wrong ways into long mode, then the right one.
 *
 * Exercises: CR0.PG with EFER.LME and without CR4.PAE; PAE cleared and LME
 *	cleared in long mode.
 * Expected exits: VALUE of PG without PAE, of CR0.PG bit as it is then, of
 *	EFER in long mode, of MOV CR4 and of WRMSR there; DONE.
 * Why: a combination that the CPU refuses to enter must be the guest's #GP,
 *	not the end of its VM.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_PROT
	TRAPS
	movl	$GUEST_PML4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %ebx
	orl	$0x80000000, %ebx
	PROBE	movl %ebx, %cr0
	movl	%cr0, %eax
	shrl	$31, %eax
	REPORT
	movl	$0x20, %eax
	movl	%eax, %cr4
	movl	%ebx, %cr0
	movl	$0xc0000080, %ecx
	rdmsr
	REPORT
	ljmpl	$GUEST_CS64, $1f
	.code64
1:	movl	$GUEST_CS64 << 16, TRAP_IDT + 13 * 16
	movw	$gate, TRAP_IDT + 13 * 16
	movl	$0x8e00, TRAP_IDT + 13 * 16 + 4
	movq	$0, TRAP_IDT + 13 * 16 + 8
	lidt	long_idtr
	movl	$2f, %ebp
	xorl	%eax, %eax
	movq	%rax, %cr4
	FAIL
2:	movl	$3f, %ebp
	movl	$0xc0000080, %ecx
	xorl	%eax, %eax
	xorl	%edx, %edx
	wrmsr
	FAIL
3:	DONE

gate:	popq	%rax			/* error code */
	orl	$13, %eax
	REPORT
	movq	%rbp, (%rsp)
	iretq
	.balign	8
long_idtr:
	.word	14 * 16 - 1
	.quad	TRAP_IDT
	.code32
	TRAP_CODE
