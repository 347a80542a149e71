/* SPDX-License-Identifier: ISC */
/*
 * hlt-if0 - HLT with interrupts off.
 *
 * Exercises: a halt that nothing can end.
 * Expected exits: none; RUN fails EIO and the VCPU is TERMINATED.
 * Why: a client could only wait for ever.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_REAL
	cli
	hlt
	DONE
