/* SPDX-License-Identifier: ISC */
/*
 * smp - one of ARG 0 VCPUs that start here together.
 *
 * Exercises: the initial APIC id, shared memory, locked operations.
 * Expected exits: VALUE of CPUID 1 EBX bits 31:24; OUT 0x70 until all VCPUs
 *	have arrived at the counter at 0x30000; VALUE of the turn; DONE.
 * Why: 64 VCPUs in 64 threads must all run at once (B1).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	movl	$1, %eax
	cpuid
	movl	%ebx, %eax
	shrl	$24, %eax
	REPORT
	lock	incl 0x30000
1:	outb	%al, $0x70
	movl	0x30000, %eax
	cmpl	ARG(0), %eax
	jb	1b
	movl	$1, %eax
	lock	xaddl %eax, 0x30040
	REPORT
	DONE
