/* SPDX-License-Identifier: ISC */
/*
 * cr3 - MOV CR3, INVLPG and PAUSE, which run without an exit.
 *
 * Exercises: changed page tables behind INVLPG and behind a load of CR3;
 *	then a CR3 with bit 51 set.
 * Expected exits: VALUE of a word at 2 MiB as first mapped, as mapped after
 *	INVLPG, after MOV CR3; OUT 0x70; #GP on the last load as VALUE and
 *	DONE. TCG leaves the guest with exit -1 there, so RUN fails.
 * Why: the guest's own translations are its own business.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	pause
	movl	$0x11111111, 0x200000
	movl	$0x22222222, 0x30000
	movl	0x200000, %eax
	REPORT
	movl	$0x30000 | 3, 0x40000		/* a page table */
	movl	$0x200000 | 3, 0x41000		/* and another */
	movl	$0x40000 | 3, GUEST_PD + 8
	invlpg	0x200000
	movl	0x200000, %eax
	REPORT
	movl	$0x41000 | 3, GUEST_PD + 8
	movq	%cr3, %rax
	movq	%rax, %cr3
	movl	0x200000, %eax
	REPORT
	outb	%al, $0x70
	movabsq	$0x8000000001000, %rcx
	PROBE	movq %rcx, %cr3
	DONE
	TRAP_CODE
