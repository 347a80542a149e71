/* SPDX-License-Identifier: ISC */
/*
 * meet - four VCPUs of a VM of `vmctl start -s 4'.
 *
 * Exercises: the initial APIC id, shared memory, a monitor's threads.
 * Expected exits: on each, OUT 0x70 until all four have arrived at the
 *	counter at 0x30000; VALUE of the APIC id and 0x100 times the turn;
 *	IN 0x71 until all have told; DONE.
 * Why: a monitor that runs one VCPU after the other would wait for ever.
 */
#include "trap.h"

#define VCPUS	4

	GUEST_BEGIN GUEST_LONG
	lock	incl 0x30000
1:	outb	%al, $0x70
	cmpl	$VCPUS, 0x30000
	jb	1b
	movl	$1, %eax
	cpuid
	shrl	$24, %ebx
	movl	$0x100, %eax
	lock	xaddl %eax, 0x30040
	orl	%ebx, %eax
	REPORT
	lock	incl 0x30080
2:	inb	$0x71, %al
	cmpl	$VCPUS, 0x30080
	jb	2b
	DONE
