/* SPDX-License-Identifier: ISC */
/*
 * step - single steps through instructions that the driver finishes.
 *
 * Exercises: ARG 0 is or-ed to CR0; RFLAGS.TF over NOP, CPUID, RDMSR, WRMSR,
 *	OUT and IN that no client sees, OUT 0x70 and IN 0x71, MOV from and to
 *	CR0, MOV to CR4, MOV from DR0, INVD, WBINVD, CLTS, SMSW, and a RDMSR
 *	that faults.
 * Expected exits: VALUE of each, DR6 as VALUE behind the first two and the
 *	last-but-one; DONE.
 * Why: the step must come at the next RIP, with DR6.BS, not one later (F1).
 */
#include "trap.h"

	.macro DR6
	movq	%dr6, %rax
	REPORT
	movl	$0xffff0ff0, %eax
	movq	%rax, %dr6
	.endm

	GUEST_BEGIN GUEST_LONG
	TRAPS
	CR0_ARG
	STEP	nop
	DR6
	STEP	cpuid
	DR6
	movl	$0x10, %ecx
	STEP	rdmsr
	movl	$0x1b, %ecx
	STEP	wrmsr
	STEP	outb %al, $0x80
	STEP	inb $0x80, %al
	STEP	outb %al, $0x70
	STEP	inb $0x71, %al
	STEP	movq %cr0, %rcx
	xorl	$0x8, %ecx		/* a change, or VMX does not exit */
	STEP	movq %rcx, %cr0
	movq	%cr4, %rcx
	xorl	$0x4, %ecx
	STEP	movq %rcx, %cr4
	STEP	movq %dr0, %rcx
	STEP	invd
	STEP	wbinvd
	STEP	clts
	movl	$0xffff0ff0, %eax
	movq	%rax, %dr6
	STEP	smswl %ecx
	DR6
	movl	$0xdead, %ecx
	STEP	rdmsr
	DONE
	TRAP_CODE
