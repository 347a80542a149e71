/* SPDX-License-Identifier: ISC */
/*
 * syscall - SYSRET, SYSCALL, SWAPGS, SYSENTER and SYSEXIT in 64-bit mode.
 *
 * Exercises: the MSRs of the fast system calls, by using them.
 * Expected exits: from ring 3 VALUE 0x31; from SYSCALL's target the saved RIP
 *	less that behind SYSCALL, CF in the saved RFLAGS and in RFLAGS, CS and
 *	SS, the words at GS:0 before and behind SWAPGS; OUT 0x70; back in ring
 *	3 VALUE of CS; then of SYSENTER what trapped, or 0x51 with its RSP, CS
 *	and SS, and of CS behind SYSEXIT; DONE with EBX = KernelGSbase.
 * Why: on VMX four of these MSRs are switched by lists in memory, SYSENTER's
 *	by the VMCS, GS base by neither; AMD has no SYSENTER in 64-bit mode.
 */
#include "trap.h"

#define KCS	0x50			/* then data; user 32, data, 64, data */
#define UCS	0x70
#define GS_USER	0x30000
#define GS_KERN	0x31000

	.macro SET index, low, high=0
	movl	$\index, %ecx
	movl	$\low, %eax
	movl	$\high, %edx
	wrmsr
	.endm

	.macro DESC at, value
	movabsq	$\value, %rax
	movq	%rax, GUEST_GDT + \at
	.endm

	GUEST_BEGIN GUEST_LONG
	TRAPS
	DESC	0x50, 0x00af9b000000ffff
	DESC	0x58, 0x00cf93000000ffff
	DESC	0x60, 0x00cffb000000ffff
	DESC	0x68, 0x00cff3000000ffff
	DESC	0x70, 0x00affb000000ffff
	DESC	0x78, 0x00cff3000000ffff
	lgdt	gdtr
	movq	$0x7800, GUEST_TSS + 4
	movl	$0x11110000, GS_USER
	movl	$0x22220000, GS_KERN
	SET	0xc0000080, 0x501
	SET	0xc0000081, 0, 0x00600050
	SET	0xc0000082, target
	SET	0xc0000084, 0x1
	SET	0xc0000101, GS_USER
	SET	0xc0000102, GS_KERN
	SET	0x174, KCS
	SET	0x175, 0x7600
	SET	0x176, entered
	movl	$1f, %ecx
	movl	$0x3002, %r11d		/* IOPL 3 */
	sysretq

1:	movl	$0x31, %eax
	REPORT
	stc
	movl	$2f, %ebx
	syscall
2:	movl	%cs, %eax
	REPORT
	movl	$4f, %ebx
	ARM	3f, 5f
3:	sysenter
4:	movl	%cs, %eax		/* SYSEXIT comes here */
	REPORT
	ud2				/* TRAP_RESUME is set */
5:	movl	$0, TRAP_RESUME
	call	trap_pack
	REPORT
	movl	$0xc0000102, %ecx
	rdmsr
	movl	%eax, %ebx
	DONE

	/* Ring 0, on the stack of ring 3. */
target:	movq	%rcx, %r12
	movq	%r11, %r14
	pushfq
	popq	%r15
	movl	%ecx, %eax
	subl	%ebx, %eax
	REPORT
	movl	%r14d, %eax
	andl	$1, %eax
	REPORT
	movl	%r15d, %eax
	andl	$1, %eax
	REPORT
	movl	%cs, %eax
	REPORT
	movl	%ss, %eax
	REPORT
	movl	%gs:0, %eax
	REPORT
	swapgs
	movl	%gs:0, %eax
	REPORT
	outb	%al, $0x70
	swapgs
	movq	%r12, %rcx
	movq	%r14, %r11
	sysretq

entered:
	movl	%esp, %ebp
	movl	$0x51, %eax
	REPORT
	movl	%ebp, %eax
	REPORT
	movl	%cs, %eax
	REPORT
	movl	%ss, %eax
	REPORT
	pushq	$0x3002
	popfq
	movl	$4b, %edx
	movl	$0x7400, %ecx
	sysexitq
	.balign	8
gdtr:	.word	0x7f
	.quad	GUEST_GDT
	TRAP_CODE
