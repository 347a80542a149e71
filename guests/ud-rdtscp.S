/* SPDX-License-Identifier: ISC */
/*
 * ud-rdtscp - RDTSCP and RDPID, which CPUID hides.
 *
 * Exercises: both.
 * Expected exits: VALUE twice, #UD on the instruction; DONE.
 * Why: they would show the host's TSC_AUX.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	PROBE	rdtscp
	PROBE	.byte 0xf3, 0x0f, 0xc7, 0xf8
	DONE
	TRAP_CODE
