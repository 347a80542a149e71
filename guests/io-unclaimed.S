/* SPDX-License-Identifier: ISC */
/*
 * io-unclaimed - IN and OUT on ports that no client ever sees.
 *
 * Exercises: ones in the access width, and only the first port counts.
 * Expected exits: none but two VALUEs for each IN, RAX low and high.
 * Why: an empty bus reads as ones; the driver finishes these alone.
 */
#include "trap.h"

	.macro GET port, insn:vararg
	movabsq	$0x1122334455667700, %rax
	movl	$\port, %edx
	\insn
	movq	%rax, %rcx
	REPORT64
	.endm

	GUEST_BEGIN GUEST_LONG
	GET	0x80, inb %dx, %al
	GET	0x80, inw %dx, %ax
	GET	0x80, inl %dx, %eax
	GET	0x60, inw %dx, %ax	/* 0x61 is claimed, 0x60 is not */
	GET	0x5e, inl %dx, %eax
	GET	0xfff, inw %dx, %ax	/* 0x1000 is claimed */
	GET	0x000, inb $0x80, %al
	movl	$0x80, %edx
	outb	%al, %dx
	outw	%ax, %dx
	outl	%eax, %dx
	outb	%al, $0xed
	movl	$GUEST_LOAD, %esi
	movl	$0x30000, %edi
	movl	$3, %ecx
	rep	outsb
	movl	$3, %ecx
	rep	insl
	insb
	DONE
