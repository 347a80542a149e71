/* SPDX-License-Identifier: ISC */
/*
 * io-prefixes - I/O instructions of 2 to 15 bytes.
 *
 * Exercises: prefixes that mean nothing to IN and OUT, REX, address size.
 * Expected exits: one per MARK, in this order, EBX the RIP behind each.
 * Why: 6.9 ends the VM at three bytes or more (F6).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	movl	$0x55667788, %eax
	movl	$0xcf8, %edx
	MARK	.byte 0x66, 0xe7, 0x70			/* outw imm */
	MARK	.byte 0x2e, 0xe6, 0x70			/* CS */
	MARK	.byte 0x67, 0xee			/* address size */
	MARK	.byte 0xf3, 0xee			/* REP, no meaning */
	MARK	.byte 0xf2, 0xef
	MARK	.byte 0x40, 0xee			/* REX */
	MARK	.byte 0x48, 0xef			/* REX.W: still 4 */
	MARK	.byte 0x66, 0x67, 0x64, 0x65, 0x41, 0xef
	MARK	.byte 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, \
		      0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0xee	/* 15 bytes */
	MARK	.byte 0x66, 0xe5, 0x71			/* inw imm */
	MARK	.byte 0x66, 0x2e, 0xed
	MARK	.byte 0x48, 0xed
	DONE
