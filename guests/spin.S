/* SPDX-License-Identifier: ISC */
/*
 * spin - a loop that does nothing, interrupts on if ARG 0 is not 0.
 *
 * Exercises: TERM, INTR and signals against a VCPU that never exits.
 * Expected exits: OUT 0x70 once, before the loop.
 * Why: a guest must not be able to keep a CPU.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	outb	%al, $0x70
	cmpl	$0, ARG(0)
	je	1f
	sti
1:	jmp	1b
