/* SPDX-License-Identifier: ISC */
/*
 * triple - a triple fault.
 *
 * Exercises: shutdown. The IDT is empty, so UD2 is the end.
 * Expected exits: VALUE of the nonce; then triple fault, shutdown.
 * Why: it is how a guest reboots; RESETCPU must bring the VCPU back.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	movl	GUEST_NONCE, %eax
	REPORT
	lidt	idtr
	ud2
	.balign	8
idtr:	.word	0
	.quad	0
