/* SPDX-License-Identifier: ISC */
/*
 * decode-real - the same for 16-bit code whose CS is not 0.
 *
 * Exercises: ARG 0 is or-ed to CR0; CS.base in the fetch; 16-bit and, by
 *	prefix, 32-bit addresses of LMSW and SMSW, segment overrides; MOV CR
 *	through 32-bit registers.
 * Expected exits: VALUE of each STEP; DONE.
 * Why: sixteen addressing modes that no 64-bit guest has.
 */
#include "trap.h"

#define WORD	0x5000

	/* SMSW must store CR0 at WORD; LMSW must set TS from it. */
	.macro MSW mem:vararg
	movw	$0, WORD
	smsw	\mem
	movl	%cr0, %eax
	cmpw	%ax, WORD
	je	.Lstored\@
	FAIL
.Lstored\@:
	orw	$8, WORD
	lmsw	\mem
	movl	%cr0, %eax
	testb	$8, %al
	jnz	.Lloaded\@
	FAIL
.Lloaded\@:
	clts
	.endm

	/* STEP, but the saved RIP is 0x7800 less than the address. */
	.macro STEP_AT insn:vararg
	ARM	.Lat\@-0x7800, .Lnext\@-0x7800
	pushfw
	popw	TRAP_TEMP
	orw	$0x100, TRAP_TEMP
	pushw	TRAP_TEMP
	popfw
.Lat\@:
	\insn
.Lnext\@:
	movl	$0, TRAP_RESUME
	call	trap_pack
	REPORT
	.endm

	GUEST_BEGIN GUEST_REAL
	TRAPS
	CR0_ARG
	xorl	%ebp, %ebp
	movw	$WORD - 0x20, %bx
	movw	$0x20, %si
	MSW	(%bx, %si)
	MSW	0x20(%bx)
	movw	$WORD + 0x1000, %di
	MSW	-0x1000(%di)
	movw	$WORD - 0x50, %bp
	movw	$0x30, %si
	MSW	0x20(%bp, %si)
	movw	$WORD, %bp
	MSW	(%bp)
	MSW	WORD
	movl	$WORD - 0x48, %edi
	movl	$8, %ecx
	MSW	8(%edi, %ecx, 8)
	movl	$WORD, %esp
	MSW	(%esp)
	movl	$GUEST_STACK - 0x10, %esp
	movw	$0x400, %ax
	movw	%ax, %es
	MSW	%es:WORD - 0x4000
	movw	$0x400, %ax
	movw	%ax, %fs
	movw	$WORD - 0x4000, %bx
	MSW	%fs:(%bx)
	movl	$0x5555aaaa, %ecx
	movl	%cr0, %ecx
	shrl	$16, %ecx
	cmpw	ARG(0) + 2, %cx
	je	1f
	FAIL

1:	ljmpw	$0x780, $2f - 0x7800		/* traps resume with that CS */
2:	STEP_AT	.byte 0x0f, 0xa2
	STEP_AT	.byte 0x66, 0x67, 0x2e, 0x0f, 0xa2
	movl	$0x10, %ecx
	STEP_AT	rdmsr
	STEP_AT	.byte 0x66, 0x0f, 0x20, 0xc1
	STEP_AT	.byte 0x67, 0x3e, 0x0f, 0x01, 0xe0	/* smsw %ax */
	STEP_AT	invd
	ljmpw	$0, $3f
3:	DONE
	TRAP_CODE
