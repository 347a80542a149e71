/* SPDX-License-Identifier: ISC */
/*
 * hammer - counts at the address ARG 0 for ever.
 *
 * Exercises: a VCPU that runs and writes while another ioctl changes things.
 * Expected exits: none of its own. RIP = EBX while it writes.
 * Why: rights taken away must be gone when MPROTECT_EPT returns (F20).
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	movq	ARG(0), %rdi
	movl	$1f, %ebx
1:	incq	(%rdi)
	jmp	1b
