/* SPDX-License-Identifier: ISC */
/*
 * cr-view - CR0 and CR4 as the guest sees them, and as the client does.
 *
 * Exercises: NE, CD, NW, MP, EM and TS by MOV, CLTS and LMSW, with and without
 *	a change; SMSW; CR4.VMXE and CR4.MCE, which are the host's.
 * Expected exits: VALUE of CR0 behind each line marked v; VALUE of what
 *	trapped behind each p; VALUE of CR4; OUT 0x70, where the client writes
 *	CR0 and CR4; VALUE of both; DONE.
 * Why: on VMX a read is answered from a shadow and a write may not exit, so
 *	what the guest reads and what the driver believes could part (F14).
 */
#include "trap.h"

	/* CR0 as MOV reads it; SMSW must agree. */
	.macro SEEN
	movq	%cr0, %rax
	smswl	%ecx
	cmpl	%eax, %ecx
	je	.Lseen\@
	FAIL
.Lseen\@:
	REPORT
	.endm

	.macro CR0 set, clear
	movl	%ebp, %ecx
	orl	$\set, %ecx
	andl	$~(\clear), %ecx
	movq	%rcx, %cr0
	SEEN
	.endm

	.macro TOMSW value
	movw	$\value, %cx
	lmsw	%cx
	SEEN
	.endm

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movq	%cr0, %rbp
	CR0	0, 0			/* v: no change */
	CR0	0, 0x20			/* v: NE off */
	CR0	0x40000000, 0x20	/* v: CD */
	CR0	0x60000000, 0		/* v: CD, NW, NE */
	CR0	0x8, 0			/* v: TS */
	clts
	SEEN				/* v: off */
	clts
	SEEN				/* v: off as it was */
	TOMSW	0x9			/* v: TS and PE */
	TOMSW	0x9			/* v: the same */
	TOMSW	0x8			/* v: PE stays */
	TOMSW	0x6			/* v: MP, EM */
	TOMSW	0xfff0			/* v: none; the rest does not count */
	TOMSW	0x1			/* v: the same */
	CR0	0xe, 0			/* v: all three by MOV */
	clts
	SEEN				/* v: TS off */
	CR0	0, 0			/* v: as at first */
	movq	%cr4, %rcx
	movq	%rcx, %cr4
	orl	$0x2000, %ecx
	PROBE	movq %rcx, %cr4		/* p: VMXE */
	movq	%cr4, %rcx
	orl	$0x40, %ecx
	PROBE	movq %rcx, %cr4		/* p: MCE */
	movq	%cr4, %rax
	REPORT
	outb	%al, $0x70
	SEEN
	movq	%cr4, %rax
	REPORT
	DONE
	TRAP_CODE
