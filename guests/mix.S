/* SPDX-License-Identifier: ISC */
/*
 * mix - reads one linear address, again and again.
 *
 * Exercises: CR3 = RDI, which the client sets, if it is not 0; translations
 *	that stay from one RUN to the next.
 * Expected exits: VALUE of the word at 2 MiB + 0x3f000, for ever.
 * Why: VCPUs and VMs that share a CPU share its TLB; each must see its own.
 */
#include "guest.h"

	GUEST_BEGIN GUEST_LONG
	testq	%rdi, %rdi
	jz	1f
	movq	%rdi, %cr3
1:	movl	0x23f000, %eax
	REPORT
	jmp	1b
