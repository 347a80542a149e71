/* SPDX-License-Identifier: ISC */
/*
 * delivery - an event whose delivery touches pages that are not there yet.
 *
 * Exercises: event ARG 0 (0 #UD, 1 RDMSR 0xdead, 2 INT 0x80, 3 #PF, 4 an
 *	interrupt, 5 INT3, 6 INT1) with RSP = ARG 1 and the IDT moved to
 *	ARG 2 (0: stays).
 * Expected exits: OUT 0x70 before the event, where the client copies the IDT
 *	and takes rights away; whatever the delivery meets; then VALUE of the
 *	vector, the error code, the saved RIP less that of the event, and how
 *	many traps there were; DONE.
 * Why: an event lost in delivery must be delivered again, once.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$hook, TRAP_HOOK
	movl	$0xdead, %ecx
	movabsq	$0x180000000, %rdi
	movl	ARG(0), %esi
	movq	ARG(2), %rax
	testq	%rax, %rax
	jz	1f
	movq	%rax, idtr + 2
1:	outb	%al, $0x70
	lidt	idtr
	movq	ARG(1), %rsp
	jmp	*table(, %rsi, 8)
10:	movl	$1f, %ebx
1:	ud2
11:	movl	$1f, %ebx
1:	rdmsr
12:	movl	$1f, %ebx
1:	int	$0x80
13:	movl	$1f, %ebx
1:	movl	%eax, (%rdi)
14:	movl	$1f, %ebx
	sti
1:	hlt
	jmp	1b
15:	movl	$1f, %ebx
1:	int3
16:	movl	$1f, %ebx
1:	int1

hook:	popq	%r8
	popq	%r9
	popq	%r10
	movl	%r8d, %eax
	REPORT
	movl	%r9d, %eax
	REPORT
	movl	%r10d, %eax
	subl	%ebx, %eax
	REPORT
	movl	TRAP_COUNT, %eax
	REPORT
	DONE
	.balign	8
table:	.quad	10b, 11b, 12b, 13b, 14b, 15b, 16b
idtr:	.word	4095
	.quad	TRAP_IDT
	TRAP_CODE
