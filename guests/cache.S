/* SPDX-License-Identifier: ISC */
/*
 * cache - INVD, WBINVD and RDPMC.
 *
 * Exercises: the first two do nothing; RDPMC is #GP, with CR4.PCE too.
 * Expected exits: VALUE of INVD, WBINVD, WBINVD with REP, of RDPMC 0, RDPMC
 *	0x40000000, RDPMC 0 under PCE; the value written before INVD; DONE.
 * Why: INVD would throw away the host's memory writes (F17).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$0xcafef00d, 0x30000
	PROBE	invd
	PROBE	wbinvd
	PROBE	.byte 0xf3, 0x0f, 0x09
	xorl	%ecx, %ecx
	PROBE	rdpmc
	movl	$0x40000000, %ecx
	PROBE	rdpmc
	movq	%cr4, %rcx
	orl	$0x100, %ecx
	TRY	movq %rcx, %cr4
	xorl	%ecx, %ecx
	PROBE	rdpmc
	movl	0x30000, %eax
	REPORT
	DONE
	TRAP_CODE
