/* SPDX-License-Identifier: ISC */
/*
 * trap.S - the ways into the kernel and back.
 *
 * There is one CPU, so the kernel finds its stack and its thread at fixed
 * addresses and needs neither SWAPGS nor a kernel GS.
 */
#include "metal.h"

/* In memory R8 comes first, RCX last: see struct frame. */
	.macro	PUSH_REGS
	.irp	reg, rcx, rax, rdx, rbx, rbp, rsi, rdi, r15, r14, r13, r12, \
		r11, r10, r9, r8
	pushq	%\reg
	.endr
	.endm

	.macro	POP_REGS
	.irp	reg, r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, \
		rdx, rax, rcx
	popq	%\reg
	.endr
	.endm

	.text

/*
 * Vectors 0-47, 16 bytes each. The CPU pushes an error code for some; the
 * others push a zero (APM Vol. 2 8.2 "Vectors").
 */
	.balign	16
	.globl	isr_stubs
isr_stubs:
	vector = 0
	.rept	48
	.balign	16
	.if	((1 << vector) & ERROR_CODE_VECTORS) == 0 || vector > 31
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_common
	vector = vector + 1
	.endr

trap_common:
	PUSH_REGS
	cld
	movq	%rsp, %rdi
	call	trap
trap_return:
	POP_REGS
	addq	$16, %rsp		/* vec, err */
	iretq

/*
 * SYSCALL. The CPU has put RIP in RCX and RFLAGS in R11, cleared what SFMASK
 * names (IF among it) and loaded CS and SS; RSP is still the client's
 * (APM Vol. 3 "SYSCALL").
 */
	.globl	syscall_entry
	.balign	16
syscall_entry:
	movq	%rsp, user_rsp(%rip)
	movq	syscall_rsp0(%rip), %rsp
	pushq	$UDATA_SEL
	pushq	user_rsp(%rip)
	pushq	%r11
	pushq	$UCODE_SEL
	pushq	%rcx
	pushq	%rax
	pushq	$VEC_SYSCALL
	PUSH_REGS
	xorl	%ebp, %ebp		/* a backtrace ends here */
	movq	%rsp, %rdi
	sti
	call	syscall_dispatch	/* back with interrupts off */
	cmpl	$VEC_SYSCALL, FRAME_VEC(%rsp)
	jne	trap_return
	POP_REGS
	movq	16(%rsp), %rcx		/* rip */
	movq	32(%rsp), %r11		/* rflags */
	movq	40(%rsp), %rsp
	sysretq

/* void switch_to(uint64_t *save, uint64_t load): changes kernel stacks. */
	.globl	switch_to
switch_to:
	.irp	reg, rbp, rbx, r12, r13, r14, r15
	pushq	%\reg
	.endr
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	.irp	reg, r15, r14, r13, r12, rbx, rbp
	popq	%\reg
	.endr
	ret

/* A new thread's first steps: R12 is its function, RSP its frame. */
	.globl	thread_tramp
thread_tramp:
	movq	%rsp, %rdi
	call	*%r12
	movq	%rsp, %rdi
	call	user_return
	jmp	trap_return

/*
 * int copy_user(void *dst, const void *src, size_t n): one of the two is the
 * client's, checked to lie below USER_MAX. A fault at copy_q or copy_b that
 * as_fault() cannot mend continues at copy_fault. STAC lets the supervisor
 * touch user pages under CR4.SMAP.
 */
	.globl	copy_user, copy_q, copy_b, copy_fault
copy_user:
	cmpb	$0, cpu_smap(%rip)
	je	1f
	stac
1:	movq	%rdx, %rcx
	shrq	$3, %rcx
copy_q:	rep movsq
	movl	%edx, %ecx
	andl	$7, %ecx
copy_b:	rep movsb
	xorl	%eax, %eax
2:	cmpb	$0, cpu_smap(%rip)
	je	3f
	clac
3:	ret
copy_fault:
	movl	$14, %eax		/* EFAULT */
	jmp	2b

/* bool peek64(uint64_t va, uint64_t *out): a read that may fault. */
	.globl	peek64, peek_fault
peek64:	movq	(%rdi), %rax
	movq	%rax, (%rsi)
	movl	$1, %eax
	ret
peek_fault:
	xorl	%eax, %eax
	ret

	.lcomm	user_rsp, 8

	.section .note.GNU-stack, "", @progbits
