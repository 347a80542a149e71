/* SPDX-License-Identifier: ISC */
/*
 * trap.h - exceptions and interrupts of a guest, in every mode.
 *
 * TRAPS, once and first, installs a table of 256 vectors (real mode: 32) and
 * in long mode reloads CS with GUEST_CS64. TRAP_CODE, at the end, is the code.
 *
 * PROBE insn: executes it and reports what came of it in one value:
 *
 *	bits 7:0	vector, 0xff: none; then the rest is 0
 *	bits 23:8	error code, 0 if the vector has none
 *	bits 31:24	saved RIP less the address of the instruction
 *
 * so 0x0d is #GP(0) on the instruction itself. All registers are as they
 * were before the instruction, but EAX and EDX behind the report. TRY is
 * the same without report: the value is what `call trap_pack` gives in EAX.
 *
 * A vector that no PROBE or TRY expects goes to the address in TRAP_HOOK,
 * with the vector and an error code pushed on top of the CPU's frame, else
 * ends the guest: FAIL with bit 31 set, the vector in bits 23:16 and RIP.
 */
#ifndef TRAP_H
#define TRAP_H

#include "guest.h"

#define TRAP_IDT	0x20000

#define TRAP_VECTOR	0x700
#define TRAP_ERROR	0x708
#define TRAP_RIP	0x710
#define TRAP_AT		0x718		/* of the instruction */
#define TRAP_RESUME	0x720		/* where to go on; 0: not expected */
#define TRAP_CR2	0x728
#define TRAP_FLAGS	0x730
#define TRAP_HOOK	0x738
#define TRAP_COUNT	0x740
#define TRAP_TEMP	0x748

#define ARG(n)		(GUEST_ARGS + 8 * (n))

/* Values of PROBE. */
#define TRAP_NONE	0xff
#define TRAP_DB		0x01
#define TRAP_UD		0x06
#define TRAP_GP		0x0d

#ifdef __ASSEMBLER__

/* EBX: the address behind `insn`, so the client can tell where RIP must be. */
.macro MARK insn:vararg
	movl	$.Lmark\@, %ebx
	\insn
.Lmark\@:
.endm

/* Sets the bits of ARG 0 in CR0: with CD, every read of CR0 is emulated. */
.macro CR0_ARG
.if GUEST_MODE == GUEST_LONG
	movq	%cr0, %rax
	orl	ARG(0), %eax
	movq	%rax, %cr0
.else
	movl	%cr0, %eax
	orl	ARG(0), %eax
	movl	%eax, %cr0
.endif
.endm

/* Reports a 64-bit value in RCX, low half first. Long mode. */
.macro REPORT64
	movl	%ecx, %eax
	REPORT
	movq	%rcx, %rax
	shrq	$32, %rax
	REPORT
.endm

.macro ARM at, resume
	movl	$TRAP_NONE, TRAP_VECTOR
	movl	$0, TRAP_ERROR
	movl	$\at, TRAP_AT
	movl	$\resume, TRAP_RESUME
.endm

.macro TRY insn:vararg
	ARM	.Ltry\@, .Lnext\@
.Ltry\@:
	\insn
.Lnext\@:
	movl	$0, TRAP_RESUME
.endm

.macro PROBE insn:vararg
	TRY	\insn
	call	trap_pack
	REPORT
.endm

/* PROBE with RFLAGS.TF: #DB behind the instruction is 0x01 and its length. */
.macro STEP insn:vararg
	ARM	.Lstep\@, .Lstepped\@
.if GUEST_MODE == GUEST_LONG
	pushfq
	orl	$0x100, (%rsp)
	popfq
.elseif GUEST_MODE == GUEST_REAL
	pushfw
	popw	TRAP_TEMP
	orw	$0x100, TRAP_TEMP
	pushw	TRAP_TEMP
	popfw
.else
	pushfl
	orl	$0x100, (%esp)
	popfl
.endif
.Lstep\@:
	\insn
.Lstepped\@:
	movl	$0, TRAP_RESUME
	call	trap_pack
	REPORT
.endm

/* One gate: the address of a stub in EBX, the entry at EDI. */
.macro TRAPS
	movl	$trap_stubs, %ebx
.if GUEST_MODE == GUEST_REAL
	xorw	%di, %di
	movw	$32, %cx
.Lgate\@:
	movw	%bx, (%di)
	movw	$0, 2(%di)
	addw	$4, %di
	addw	$16, %bx
	loop	.Lgate\@
.else
	movl	$TRAP_IDT, %edi
	movl	$256, %ecx
.Lgate\@:
	movw	%bx, (%edi)
	movw	$0x8e00, 4(%edi)
	movw	$0, 6(%edi)
.if GUEST_MODE == GUEST_LONG
	movw	$GUEST_CS64, 2(%edi)
	movl	$0, 8(%edi)
	movl	$0, 12(%edi)
	addl	$16, %edi
.else
	movw	$GUEST_CS32, 2(%edi)
	addl	$8, %edi
.endif
	addl	$16, %ebx
	decl	%ecx
	jnz	.Lgate\@
	lidt	trap_idtr
.if GUEST_MODE == GUEST_LONG
	pushq	$GUEST_CS64
	pushq	$.Lcs\@
	lretq
.else
	ljmpl	$GUEST_CS32, $.Lcs\@
.endif
.Lcs\@:
.endif
.endm

/* Stubs of 16 bytes: an error code where the CPU pushes none, the vector. */
.macro TRAP_STUBS count
	.balign	16
trap_stubs:
	.set	.Lvec, 0
	.rept	\count
	.balign	16
.if GUEST_MODE == GUEST_REAL
	pushl	$0
.elseif (.Lvec != 8) && (.Lvec < 10 || .Lvec > 14) && (.Lvec != 17)
	push	$0
.endif
.if GUEST_MODE == GUEST_REAL
	pushl	$.Lvec
.else
	push	$.Lvec
.endif
	jmp	trap_common
	.set	.Lvec, .Lvec + 1
	.endr
.endm

.macro TRAP_CODE
	.balign	8
trap_idtr:
.if GUEST_MODE == GUEST_LONG
	.word	4095
.else
	.word	2047
.endif
	.quad	TRAP_IDT

trap_pack:
	movl	TRAP_VECTOR, %eax
	cmpl	$TRAP_NONE, %eax
	je	1f
	movl	TRAP_RIP, %eax
	subl	TRAP_AT, %eax
	shll	$24, %eax
	movl	TRAP_ERROR, %edx
	andl	$0xffff, %edx
	shll	$8, %edx
	orl	%edx, %eax
	orl	TRAP_VECTOR, %eax
1:	ret

trap_common:
	incl	TRAP_COUNT
	cmpl	$0, TRAP_RESUME
	jne	2f
	cmpl	$0, TRAP_HOOK
	je	1f
.if GUEST_MODE == GUEST_LONG
	jmp	*TRAP_HOOK
.elseif GUEST_MODE == GUEST_REAL
	jmpw	*TRAP_HOOK
.else
	jmpl	*TRAP_HOOK
.endif
1:
.if GUEST_MODE == GUEST_LONG
	movl	(%rsp), %eax
	shll	$16, %eax
	movw	16(%rsp), %ax
.elseif GUEST_MODE == GUEST_REAL
	movw	%sp, %bp
	movl	(%bp), %eax
	shll	$16, %eax
	movw	8(%bp), %ax
.else
	movl	(%esp), %eax
	shll	$16, %eax
	movw	8(%esp), %ax
.endif
	orl	$0x80000000, %eax
	movw	$GUEST_FAIL, %dx
	outl	%eax, %dx
	cli
	hlt
2:
.if GUEST_MODE == GUEST_LONG
	popq	TRAP_VECTOR
	popq	TRAP_ERROR
	pushq	%rax
	movq	%cr2, %rax
	movq	%rax, TRAP_CR2
	movq	8(%rsp), %rax
	movq	%rax, TRAP_RIP
	movq	24(%rsp), %rax
	movq	%rax, TRAP_FLAGS
	movq	TRAP_RESUME, %rax
	movq	%rax, 8(%rsp)
	movq	$GUEST_CS64, 16(%rsp)
	movq	$GUEST_DS, 40(%rsp)
	andl	$~0x100, 24(%rsp)
	popq	%rax
	iretq
.elseif GUEST_MODE == GUEST_REAL
	popl	TRAP_VECTOR
	popl	TRAP_ERROR
	pushl	%eax
	pushw	%bp
	movw	%sp, %bp
	movzwl	6(%bp), %eax
	movl	%eax, TRAP_RIP
	movzwl	10(%bp), %eax
	movl	%eax, TRAP_FLAGS
	movw	TRAP_RESUME, %ax
	movw	%ax, 6(%bp)
	andw	$~0x100, 10(%bp)
	popw	%bp
	popl	%eax
	iretw
.else
	popl	TRAP_VECTOR
	popl	TRAP_ERROR
	pushl	%eax
	movl	%cr2, %eax
	movl	%eax, TRAP_CR2
	movl	4(%esp), %eax
	movl	%eax, TRAP_RIP
	movl	12(%esp), %eax
	movl	%eax, TRAP_FLAGS
	movl	TRAP_RESUME, %eax
	movl	%eax, 4(%esp)
	andl	$~0x100, 12(%esp)
	popl	%eax
	iretl
.endif
.if GUEST_MODE == GUEST_REAL
	TRAP_STUBS 32
.else
	TRAP_STUBS 256
.endif
.endm

#endif /* __ASSEMBLER__ */
#endif /* TRAP_H */
