/* SPDX-License-Identifier: ISC */
/*
 * io-ports - one-byte I/O on every port of [ARG 1, ARG 2].
 *
 * Exercises: IN (ARG 0 is 0) or OUT (1) on each.
 * Expected exits: one on each port that is the client's, and no other.
 * Why: the list of ports is part of the interface.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	movl	ARG(1), %ecx
1:	movl	%ecx, %edx
	cmpl	$0, ARG(0)
	jne	2f
	inb	%dx, %al
	jmp	3f
2:	outb	%al, %dx
3:	cmpl	ARG(2), %ecx
	je	4f
	incl	%ecx
	jmp	1b
4:	DONE
