/* SPDX-License-Identifier: ISC */
/*
 * in - IN of 1, 2 and 4 bytes, port immediate and in DX.
 *
 * Exercises: how the client's answer reaches RAX (F7).
 * Expected exits: six INs, each followed by two VALUEs, RAX low and high.
 * Why: 1 and 2 bytes merge into RAX, 4 bytes zero its upper half.
 */
#include "trap.h"

	.macro GET insn:vararg
	movabsq	$0x1122334455667788, %rax
	movl	$0xcfc, %edx
	MARK	\insn
	movq	%rax, %rcx
	REPORT64
	.endm

	GUEST_BEGIN GUEST_LONG
	GET	inb $0x71, %al
	GET	inw $0x71, %ax
	GET	inl $0x71, %eax
	GET	inb %dx, %al
	GET	inw %dx, %ax
	GET	inl %dx, %eax
	DONE
