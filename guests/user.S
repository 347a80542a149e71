/* SPDX-License-Identifier: ISC */
/*
 * user - ring 3 in 64-bit mode.
 *
 * Exercises: exits from CPL 3, and instructions that ring 3 does not have.
 * Expected exits: VALUE 0x55 with cpl 3; VALUE of CPUID 0x40000000 EBX from
 *	ring 3; of OUT without IOPL; then of each privileged instruction in
 *	the order below; of an access that is not aligned; DONE with cpl 0.
 *	If ARG 0 is 1: VALUE of a step over CPUID, over NOP; DONE.
 * Why: the CPU checks privilege before most intercepts; a driver that acts
 *	on the others must check it too.
 */
#include "trap.h"

#define UCS	0x53
#define UDS	0x5b
#define USTACK	0x7400

	/* One instruction in ring 3, then #UD if it did not fault. */
	.macro AS_USER insn:vararg
	ARM	.Luser\@, .Lback\@
	pushq	$UDS
	pushq	$USTACK
	pushq	%r14
	pushq	$UCS
	pushq	$.Luser\@
	iretq
.Luser\@:
	\insn
	ud2
.Lback\@:
	movl	$0, TRAP_RESUME
	movq	%r13, %rsp
	call	trap_pack
	REPORT
	.endm

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movabsq	$0x00affb000000ffff, %rax
	movq	%rax, GUEST_GDT + 0x50
	movabsq	$0x00cff3000000ffff, %rax
	movq	%rax, GUEST_GDT + 0x58
	lgdt	gdtr
	movq	$0x7800, GUEST_TSS + 4
	movq	%rsp, %r13
	cmpl	$0, ARG(0)
	jne	9f
	movl	$0x3002, %r14d		/* IOPL 3 */

	ARM	1f, 2f
	pushq	$UDS
	pushq	$USTACK
	pushq	%r14
	pushq	$UCS
	pushq	$1f
	iretq
1:	movl	$0x55, %eax
	REPORT
	movl	$0x40000000, %eax
	cpuid
	movl	%ebx, %eax
	REPORT
	ud2
2:	movl	$0, TRAP_RESUME
	movq	%r13, %rsp
	movl	$2, %r14d		/* IOPL 0 */
	movl	$GUEST_VALUE, %edx
	AS_USER	outl %eax, %dx
	AS_USER	hlt
	movl	$0x10, %ecx
	AS_USER	rdmsr
	AS_USER	wrmsr
	AS_USER	movq %cr0, %rax
	AS_USER	movq %rax, %cr0
	AS_USER	movq %rax, %cr4
	AS_USER	movq %cr8, %rax
	AS_USER	movq %rax, %cr8
	AS_USER	movq %dr0, %rax
	AS_USER	movq %rax, %dr7
	AS_USER	clts
	AS_USER	lmsw %ax
	AS_USER	invd
	AS_USER	wbinvd
	AS_USER	invlpg 0x200000
	AS_USER	lgdt gdtr
	AS_USER	rdpmc
	AS_USER	vmmcall
	AS_USER	monitor
	AS_USER	mwait
	AS_USER	smswl %ecx		/* not privileged: #UD behind it */
	movq	%cr0, %rax
	orl	$0x40000, %eax		/* AM */
	movq	%rax, %cr0
	movl	$0x40002, %r14d		/* AC */
	AS_USER	movl 0x7001, %eax
	DONE

9:	movl	$0x102, %r14d		/* TF */
	AS_USER	cpuid
	AS_USER	nop
	DONE

	.balign	8
gdtr:	.word	0x5f
	.quad	GUEST_GDT
	TRAP_CODE
