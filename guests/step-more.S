/* SPDX-License-Identifier: ISC */
/*
 * step-more - single steps where something else happens, too.
 *
 * Exercises: RFLAGS.TF over a store to a page not touched before (2 MiB), to
 *	one the client forbade (ARG 0) and one that crosses into it; over the
 *	first of three rounds of REP MOVSB; INT 0x80, UD2, POPF; STI; HLT;
 *	MOV SS and, in its shadow, NOP, CPUID, OUT 0x70 and such stores.
 * Expected exits: VALUE of each, some with DR6 behind; what the client
 *	forbade; OUT 0x70; HLT; VALUE of the number of traps; DONE.
 * Why: one instruction is one #DB, whatever exits in the middle of it. MOV SS
 *	holds the #DB back until the next instruction is done.
 */
#include "trap.h"

	.macro DR6
	movq	%dr6, %rax
	REPORT
	movl	$0xffff0ff0, %eax
	movq	%rax, %dr6
	.endm

	/* MOV SS or STI, then one instruction in its shadow. */
	.macro SHADOWED insn:vararg
	.set	.Lsti, 0
	BEHIND	\insn
	.endm
	.macro BEHIND insn:vararg
	movl	$GUEST_DS, %eax
	ARM	.Lmov\@, .Lback\@
	pushfq
	orl	$0x100, (%rsp)
	popfq
.Lmov\@:
.if .Lsti
	sti
.else
	movw	%ax, %ss
.endif
	\insn
	nop
	nop
.Lback\@:
	movl	$0, TRAP_RESUME
	call	trap_pack
	REPORT
	.endm

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$0x200000, %edi
	movq	ARG(0), %rsi
	STEP	movl %eax, (%rdi)
	DR6
	STEP	movl %eax, (%rsi)
	DR6
	STEP	movl %eax, -2(%rsi)
	DR6
	movl	$GUEST_LOAD, %esi
	movl	$3, %ecx
	STEP	rep movsb
	movl	%ecx, %eax
	REPORT
	STEP	int $0x80
	STEP	ud2
	pushq	$2
	STEP	popfq
	DR6
	.set	.Lsti, 1
	BEHIND	nop
	STEP	hlt
	cli
	DR6
	SHADOWED nop
	DR6
	SHADOWED cpuid
	DR6
	SHADOWED outb %al, $0x70
	DR6
	movl	$0x210000, %edi
	SHADOWED movl %eax, (%rdi)
	movq	ARG(0), %rsi
	SHADOWED movl %eax, 8(%rsi)
	DR6
	movl	TRAP_COUNT, %eax
	REPORT
	DONE
	TRAP_CODE
