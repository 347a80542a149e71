/* SPDX-License-Identifier: ISC */
/*
 * pae-load - when PDPTEs are loaded, and what a bad one does.
 *
 * Exercises: PDPTE 1 maps 1 GiB to 0 or not at all. It changes in memory; the
 *	guest reads at 1 GiB before and behind what may load it: MOV CR3, and
 *	MOV to CR0 and CR4 with CD, PGE, PSE, TSD (which does not) toggled.
 * Expected exits: VALUE of each read: 0xff, or the #PF; OUT 0x71 with another
 *	PDPTE 1 in the CPU, OUT 0x70 with the old; VALUE of what MOV CR3,
 *	CR4.PGE, CR0.CD and CR0.PG trap with a reserved bit in it; DONE.
 * Why: on VMX the CPU keeps the PDPTEs, and the driver loads them where it
 *	finishes MOV CR0 and CR4; with SVM's nested paging memory counts.
 *	SDM Vol. 3A 4.4.1 "PDPTE Registers"
 */
#include "trap.h"

#define ENTRY	(GUEST_PDPT + 8)

	/* The entry in memory, no translation of it left. */
	.macro ENTRY_IS value
	movl	$\value, ENTRY
	invlpg	0x40000000
	.endm

	.macro READ
	PROBE	movl 0x40000000, %ecx
	.endm

	/* MOV to CR, that changes `bits` of it. */
	.macro TOGGLE cr, bits
	movl	%\cr, %ecx
	xorl	$\bits, %ecx
	movl	%ecx, %\cr
	.endm

	/* Not present in memory, then present, each but for the load. */
	.macro LOADS cr, bits
	ENTRY_IS 0
	READ
	TOGGLE	\cr, \bits
	READ
	ENTRY_IS GUEST_PD + 1
	READ
	TOGGLE	\cr, \bits
	READ
	.endm

	GUEST_BEGIN GUEST_PAE
	TRAPS
	ENTRY_IS GUEST_PD + 1
	movl	%cr3, %eax
	movl	%eax, %cr3
	READ
	LOADS	cr4, 0x80		/* PGE */
	LOADS	cr4, 0x10		/* PSE */
	LOADS	cr0, 0x40000000		/* CD */
	LOADS	cr4, 0x4		/* TSD: does not */
	ENTRY_IS GUEST_PD + 0x1001	/* 1 GiB at 1 GiB: not there */
	movl	%cr3, %eax
	movl	%eax, %cr3
	outb	%al, $0x71
	ENTRY_IS GUEST_PD + 1
	movl	%eax, %cr3
	TOGGLE	cr4, 0x4		/* keeps what MOV CR3 loaded */
	READ
	outb	%al, $0x70
	READ

	ENTRY_IS GUEST_PD + 3		/* bit 1 is reserved */
	movl	%cr3, %ecx
	PROBE	movl %ecx, %cr3
	movl	%cr4, %ecx
	xorl	$0x80, %ecx
	PROBE	movl %ecx, %cr4
	movl	%cr0, %ecx
	xorl	$0x40000000, %ecx
	PROBE	movl %ecx, %cr0
	movl	%cr0, %ebx
	movl	%ebx, %ecx
	andl	$~0x80000000, %ecx
	movl	%ecx, %cr0
	PROBE	movl %ebx, %cr0
	ENTRY_IS 0
	movl	%ebx, %cr0
	DONE
	TRAP_CODE
