/* SPDX-License-Identifier: ISC */
/*
 * shadow - stopped in an interrupt shadow, where the client changes registers.
 *
 * Exercises: an access to ARG 1 in the shadow of STI (ARG 0 is 0) or of MOV
 *	SS (1), with EBX its RIP and EBP that of another place.
 * Expected exits: the access, which the client forbade; OUT 0x71, of the other
 *	place OUT 0x40; DONE, before which interrupts are on. In between VALUE
 *	of each vector, saved RIP less EBX (EBP at the other place) in bits
 *	15:8, saved IF in bit 16.
 * Why: VMX refuses to enter a shadow of STI with IF=0, or a shadow with TF=1
 *	and no #DB pending; the client knows nothing of shadows.
 *	SDM Vol. 3C 26.3.1.5 "Checks on Guest Non-Register State"
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$hook, TRAP_HOOK
	movq	ARG(1), %rdi
	movl	$3f, %ebp
	movl	$GUEST_DS, %eax
	cmpl	$0, ARG(0)
	jne	2f
	movl	$1f, %ebx
	sti
1:	movl	%eax, (%rdi)
	jmp	5f
2:	movl	$4f, %ebx
	sti
	nop
	movw	%ax, %ss
4:	movl	%eax, (%rdi)
	jmp	5f
3:	nop
	nop
	movl	%ebp, %ebx
	outb	%al, $0x40
5:	outb	%al, $0x71
	sti
	nop
	nop
	DONE

hook:	pushq	%rax
	pushq	%rdx
	movl	32(%rsp), %eax
	cmpl	%ebp, %eax
	jb	6f
	cmpl	$5b, %eax
	jae	6f
	movl	%ebp, %ebx
6:	subl	%ebx, %eax
	shll	$8, %eax
	movb	16(%rsp), %al
	movzwl	%ax, %eax
	movl	48(%rsp), %edx
	andl	$0x200, %edx
	shll	$7, %edx
	orl	%edx, %eax
	REPORT
	popq	%rdx
	popq	%rax
	addq	$16, %rsp
	andl	$~0x100, 16(%rsp)
	iretq
	TRAP_CODE
