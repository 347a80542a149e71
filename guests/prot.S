/* SPDX-License-Identifier: ISC */
/*
 * prot - protected mode without paging.
 *
 * Exercises: the start state of GUEST_PROT; memory above 1 MiB; faults.
 * Expected exits: VALUE of CR0 bits 31 and 0, EFER, TR; of a word stored at
 *	2 MiB and read back; of #UD, INT 0x80 and a bad selector; DONE.
 * Why: 6.9 refuses this mode on Intel (F22).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_PROT
	movl	%cr0, %eax
	andl	$0x80000001, %eax
	REPORT
	movl	$0xc0000080, %ecx
	rdmsr
	REPORT
	xorl	%eax, %eax
	strw	%ax
	REPORT
	TRAPS
	movl	$0xfeedf00d, 0x200000
	movl	0x200000, %eax
	REPORT
	PROBE	ud2
	PROBE	int $0x80
	movl	$0x123c, %ecx
	PROBE	movw %cx, %fs
	DONE
	TRAP_CODE
