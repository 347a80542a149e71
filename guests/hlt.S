/* SPDX-License-Identifier: ISC */
/*
 * hlt - HLT with interrupts on, plain and with prefixes.
 *
 * Exercises: the HLT exit, RIP behind it.
 * Expected exits: HLT three times, EBX the RIP behind each; DONE.
 * Why: a client sleeps here until it has an interrupt to give.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	sti
	MARK	hlt
	MARK	.byte 0x66, 0xf4
	MARK	.byte 0x2e, 0x48, 0xf4
	DONE
