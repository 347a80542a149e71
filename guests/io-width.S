/* SPDX-License-Identifier: ISC */
/*
 * io-width - accesses wider than the port they start at.
 *
 * Exercises: only the first port decides, at the ends of the claimed ranges.
 * Expected exits: five OUTs.
 * Why: the last access would wrap to port 0 if ports were added up.
 */
#include "trap.h"

	.macro PUT port, insn:vararg
	movl	$\port, %edx
	MARK	\insn
	.endm

	GUEST_BEGIN GUEST_LONG
	movl	$0x55667788, %eax
	PUT	0x61, outl %eax, %dx
	PUT	0x3ff, outw %ax, %dx
	PUT	0xcff, outl %eax, %dx
	PUT	0x518, outl %eax, %dx
	PUT	0xffff, outl %eax, %dx
	DONE
