/* SPDX-License-Identifier: ISC */
/*
 * cpuid - CPUID, with inputs and results in the registers of OUT exits.
 *
 * Exercises: any leaf the client asks for.
 * Expected exits: OUT 0x70, where the client sets RAX and RCX; OUT 0x71 with
 *	the results; and so on.
 * Why: what the guest is told about the CPU is a white list (F24).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
1:	outb	%al, $0x70
	cpuid
	outb	%al, $0x71
	jmp	1b
