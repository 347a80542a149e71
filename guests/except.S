/* SPDX-License-Identifier: ISC */
/*
 * except - exceptions that the CPU raises by itself.
 *
 * Exercises: vectors with and without error code, CR2.
 * Expected exits: VALUE for #DE, INT3, #UD, #NM, INT 0x80, #GP(0),
 *	#GP(0xfff8), #NP(0x50), #SS(0x50), #PF reading, CR2, #PF writing,
 *	nothing for 0/0, which is masked, #XM for 1/0; DONE.
 * Why: the driver stays out of the guest's own exceptions.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	xorl	%ecx, %ecx
	PROBE	divl %ecx
	PROBE	int3
	PROBE	ud2
	movq	%cr0, %rax
	orl	$8, %eax
	movq	%rax, %cr0
	PROBE	fld1
	clts
	PROBE	int $0x80
	movabsq	$0x800000000000, %rcx	/* TCG: #GP through RBP, too */
	PROBE	movl (%rcx), %ecx
	movl	$0xfff8, %ecx
	PROBE	movw %cx, %es
	movabsq	$0x00cf13000000ffff, %rax	/* not present */
	movq	%rax, GUEST_GDT + 0x50
	lgdt	gdtr
	movl	$0x50, %ecx
	PROBE	movw %cx, %es
	movl	$0x50, %ecx
	PROBE	movw %cx, %ss
	movabsq	$0x180000000, %rcx
	PROBE	movl (%rcx), %eax
	movq	TRAP_CR2, %rcx
	REPORT64
	movabsq	$0x180000000, %rcx
	PROBE	movl %eax, (%rcx)
	movq	%cr4, %rax
	orl	$0x600, %eax			/* OSFXSR, OSXMMEXCPT */
	movq	%rax, %cr4
	movl	$0x1d80, TRAP_TEMP		/* divide by zero unmasked */
	ldmxcsr	TRAP_TEMP
	xorps	%xmm0, %xmm0
	PROBE	divss %xmm0, %xmm0
	movl	$0x3f800000, TRAP_TEMP
	movss	TRAP_TEMP, %xmm1
	xorps	%xmm0, %xmm0			/* 0/0 made it a NaN */
	PROBE	divss %xmm0, %xmm1
	DONE
	.balign	8
gdtr:	.word	0x57
	.quad	GUEST_GDT
	TRAP_CODE
