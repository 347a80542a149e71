/* SPDX-License-Identifier: ISC */
/*
 * delivery-real - an event in real mode whose stack the client forbade.
 *
 * Exercises: event ARG 0 (0 #UD, 1 RDMSR 0xdead, 2 INT 0x1e, 3 #DE, 4 an
 *	interrupt, 5 INT3), with the stack at 0x30000 to 0x31000.
 * Expected exits: OUT 0x70; the push, forbidden; VALUE of the vector, of the
 *	saved IP less that of the event, of SP in the handler (eight bytes
 *	are the stub's); DONE.
 * Why: no exception of real mode pushes an error code, delivered anew or not.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_REAL
	TRAPS
	movl	$hook, TRAP_HOOK
	movw	$0x3000, %ax
	movw	%ax, %ss
	movw	$0x1000, %sp
	outb	%al, $0x70
	movl	$0xdead, %ecx
	xorw	%di, %di
	movw	ARG(0), %si
	addw	%si, %si
	jmpw	*table(%si)
10:	movw	$1f, %bx
1:	ud2
11:	movw	$1f, %bx
1:	rdmsr
12:	movw	$1f, %bx
1:	int	$0x1e
13:	movw	$1f, %bx
1:	divw	%di
14:	movw	$1f, %bx
	sti
1:	hlt
	jmp	1b
15:	movw	$1f, %bx
1:	int3

hook:	movw	%sp, %bp
	movl	(%bp), %eax
	REPORT
	xorl	%eax, %eax
	movw	8(%bp), %ax
	subw	%bx, %ax
	REPORT
	xorl	%eax, %eax
	movw	%sp, %ax
	REPORT
	DONE
	.balign	2
table:	.word	10b, 11b, 12b, 13b, 14b, 15b
	TRAP_CODE
