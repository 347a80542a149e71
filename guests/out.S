/* SPDX-License-Identifier: ISC */
/*
 * out - OUT of 1, 2 and 4 bytes, port immediate and in DX.
 *
 * Exercises: the port, width and data of an I/O exit; RIP behind it.
 * Expected exits: six OUTs; EBX is the RIP that each must leave.
 * Why: every device model of a client hangs from this exit.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	movabsq	$0x1122334455667788, %rax
	MARK	outb %al, $0x70
	MARK	outw %ax, $0x71
	MARK	outl %eax, $0x21
	movl	$0xcf8, %edx
	MARK	outb %al, %dx
	MARK	outw %ax, %dx
	MARK	outl %eax, %dx
	DONE
