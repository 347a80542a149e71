/* SPDX-License-Identifier: ISC */
/*
 * access - one access to the address ARG 0, of the kind ARG 1.
 *
 * Exercises: 0 read, 1 write, 2 call, 3 locked increment, 4 push, 5 load of
 *	CR3, 6 an 8-byte write (which may cross into the next page), 7 REP
 *	MOVSB of 16 bytes to it.
 * Expected exits: if the access may happen, VALUE of what was read, DONE;
 *	else RUN says what happened, with RIP = EBX (a call: ARG 0).
 * Why: outside of memory, in the hole, without the right: all by one guest.
 */
#include "trap.h"

	.macro HERE insn:vararg
	movl	$.Lhere\@, %ebx
.Lhere\@:
	\insn
	jmp	9f
	.endm

	GUEST_BEGIN GUEST_LONG
	movq	ARG(0), %rdi
	movl	ARG(1), %ecx
	movl	$0x600df00d, %eax
	movq	%rsp, %rbp
	jmp	*table(, %rcx, 8)
0:	HERE	movl (%rdi), %eax
1:	HERE	movl %eax, (%rdi)
2:	HERE	call *%rdi
3:	HERE	lock incl (%rdi)
4:	leaq	8(%rdi), %rsp
	HERE	pushq %rax
5:	HERE	movq %rdi, %cr3
6:	HERE	movq %rax, (%rdi)
7:	movl	$16, %ecx
	movl	$GUEST_LOAD, %esi
	HERE	rep movsb
9:	movq	%rbp, %rsp
	REPORT
	DONE
	.balign	8
table:	.quad	0b, 1b, 2b, 3b, 4b, 5b, 6b, 7b
