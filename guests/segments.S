/* SPDX-License-Identifier: ISC */
/*
 * segments - segment registers as 64-bit code leaves them.
 *
 * Exercises: null selectors everywhere, in SS too; an LDT, FS from it, and no
 *	LDT again; exits in each state.
 * Expected exits: VALUE of CPUID 0x40000000 EBX and OUT 0x70, three times: all
 *	null; LDTR 0x60 and FS 4, based at 0x30000 and 0x12345000; LDTR and FS
 *	null, the others 0x10; DONE.
 * Why: an unusable segment is a state of its own on VMX, and on SVM it is not
 *	present; an entry must take back what an exit gave (C3).
 */
#include "guest.h"

#define LDT	0x30000

	.macro STATE
	movl	$0x40000000, %eax
	cpuid
	movl	%ebx, %eax
	REPORT
	outb	%al, $0x70
	.endm

	GUEST_BEGIN GUEST_LONG
	xorl	%ecx, %ecx
	.irp	reg, ds, es, fs, gs, ss
	movw	%cx, %\reg
	.endr
	STATE
	movabsq	$0x00008203000000ff, %rax	/* an LDT, at LDT */
	movq	%rax, GUEST_GDT + 0x60
	movq	$0, GUEST_GDT + 0x68
	movabsq	$0x12cf93345000ffff, %rax
	movq	%rax, LDT
	lgdt	gdtr
	movl	$0x60, %ecx
	lldt	%cx
	movl	$4, %ecx
	movw	%cx, %fs
	STATE
	xorl	%ecx, %ecx
	lldt	%cx
	movw	%cx, %fs
	movl	$GUEST_DS, %ecx
	.irp	reg, ds, es, gs, ss
	movw	%cx, %\reg
	.endr
	STATE
	DONE
	.balign	8
gdtr:	.word	0x6f
	.quad	GUEST_GDT
