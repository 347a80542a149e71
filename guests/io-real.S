/* SPDX-License-Identifier: ISC */
/*
 * io-real - IN and OUT of every width from 16-bit code.
 *
 * Exercises: operand-size prefixes, which in real mode mean 4 bytes.
 * Expected exits: six OUTs, then three INs, each followed by VALUE of EAX.
 * Why: OUT imm8, EAX is three bytes long here, and firmware uses it (F6).
 */
#include "trap.h"

	.macro GET insn:vararg
	movl	$0x55667788, %eax
	movw	$0xcfc, %dx
	MARK	\insn
	REPORT
	.endm

	GUEST_BEGIN GUEST_REAL
	movl	$0x55667788, %eax
	MARK	outb %al, $0x70
	MARK	outw %ax, $0x71
	MARK	outl %eax, $0x21
	movw	$0xcf8, %dx
	MARK	outb %al, %dx
	MARK	outw %ax, %dx
	MARK	outl %eax, %dx
	GET	inb %dx, %al
	GET	inw $0x71, %ax
	GET	inl $0x71, %eax
	DONE
