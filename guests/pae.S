/* SPDX-License-Identifier: ISC */
/*
 * pae - protected mode with PAE paging.
 *
 * Exercises: the start state of GUEST_PAE; the PDPTEs when CR3 is loaded.
 * Expected exits: VALUE of CR4.PAE, of CR0 bits 31 and 0, CR3; of the nonce
 *	read through a second directory entry and a second PDPTE; of the #PF
 *	of a PDPTE that is not present; DONE.
 * Why: with nested paging the PDPTEs are loaded by the CPU (SVM: at each
 *	use; VMX: from the VMCS), and only a new CR3 makes them count.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_PAE
	movl	%cr4, %eax
	andl	$0x20, %eax
	REPORT
	movl	%cr0, %eax
	andl	$0x80000001, %eax
	REPORT
	movl	%cr3, %eax
	REPORT
	TRAPS
	movl	$0x83, GUEST_PD + 8		/* 2 MiB is 0 */
	invlpg	0x200000
	movl	0x200000 + GUEST_NONCE, %eax
	REPORT
	movl	GUEST_PDPT, %eax		/* 1 GiB is 0 */
	movl	%eax, GUEST_PDPT + 8
	movl	%cr3, %eax
	movl	%eax, %cr3
	movl	0x40000000 + GUEST_NONCE, %eax
	REPORT
	movl	$0, GUEST_PDPT + 8
	movl	%cr3, %eax
	movl	%eax, %cr3
	PROBE	movl 0x40000000, %ecx
	movl	TRAP_CR2, %eax
	REPORT
	DONE
	TRAP_CODE
