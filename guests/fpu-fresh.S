/* SPDX-License-Identifier: ISC */
/*
 * fpu-fresh - stores the FPU state it was born with at 0x32000, then dirties
 *	it.
 *
 * Exercises: what RESETCPU makes of x87 and SSE (F5).
 * Expected exits: DONE.
 * Why: a VCPU must not see the registers of the host or of its past.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	movq	%cr4, %rax
	orl	$0x600, %eax
	movq	%rax, %cr4
	fxsave	0x32000
	movl	$0x1f00, 0x30000
	ldmxcsr	0x30000
	fldpi
	fld1
	pcmpeqd	%xmm0, %xmm0
	pcmpeqd	%xmm15, %xmm15
	DONE
