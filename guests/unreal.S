/* SPDX-License-Identifier: ISC */
/*
 * unreal - real mode with segments that protected mode left behind.
 *
 * Exercises: DS with a limit of 4 GiB and a base beyond 1 MiB, ES with one of
 *	4 GiB, a 32-bit code segment in real mode; exits from there.
 * Expected exits: VALUE of the word stored at 2 MiB and read at DS:0; of CPUID
 *	0x40000000 EBX, each from 16-bit and then from 32-bit code; OUT 0x70;
 *	of what an access beyond SS's limit of 64 KiB traps; DONE.
 * Why: the rights of a segment stay in the CPU until it is loaded again; an
 *	entry of VMX checks them, in real mode too.
 *	SDM Vol. 3C 26.3.1.2 "Checks on Guest Segment Registers"
 */
#include "trap.h"

	GUEST_BEGIN GUEST_REAL
	TRAPS
	movl	$0x0000ffff, GUEST_GDT + 0x50	/* 4 GiB from 2 MiB on */
	movl	$0x00cf9320, GUEST_GDT + 0x54
	lgdt	gdtr
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	movw	$0x50, %cx
	movw	%cx, %ds
	movw	$0x10, %cx
	movw	%cx, %es
	andb	$~1, %al
	movl	%eax, %cr0
	ljmpw	$0, $1f
1:	movl	$0x200000, %edi
	movl	%es:GUEST_NONCE, %ecx
	addr32 movl %ecx, %es:(%edi)
	movl	%ds:0, %eax
	REPORT
	movl	$0x40000000, %eax
	cpuid
	movl	%ebx, %eax
	REPORT
	/* The same with a code segment of 32 bits. */
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$GUEST_CS32, $2f
	.code32
2:	andb	$~1, %al
	movl	%eax, %cr0
	movl	$0x200000, %edi
	movl	%es:(%edi), %eax
	REPORT
	movl	$0x40000000, %eax
	cpuid
	movl	%ebx, %eax
	REPORT
	outb	%al, $0x70
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$GUEST_CS16, $3f
	.code16
3:	andb	$~1, %al
	movl	%eax, %cr0
	ljmpw	$0, $4f
4:	xorw	%cx, %cx
	movw	%cx, %ds
	movl	$0x10000, %edi
	PROBE	addr32 movb %ss:(%edi), %al
	DONE
	.balign	8
gdtr:	.word	0x57
	.long	GUEST_GDT
	TRAP_CODE
