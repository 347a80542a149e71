/* SPDX-License-Identifier: ISC */
/*
 * io-scribble - writes to all ports in all widths, and huge string I/O.
 *
 * Exercises: ports 0 to 0xfff at 1, 2 and 4 bytes, REP with RCX = -1.
 * Expected exits: whatever the client's ports are; it only continues.
 * Why: what a guest writes to a port must never reach the host's devices.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	movl	$0xfff, %edx
	movl	$0xa5a5a5fe, %eax
1:	cmpl	$GUEST_FAIL, %edx
	je	2f
	cmpl	$GUEST_DONE, %edx
	je	2f
	outb	%al, %dx
	outw	%ax, %dx
	outl	%eax, %dx
2:	decl	%edx
	jns	1b
	movl	$0xf4, %edx
	movq	$-1, %rcx
	movq	$-8, %rsi
	rep	outsl
	movq	$-1, %rcx
	movq	$-8, %rdi
	movl	$0x80, %edx
	rep	insb
	movq	$-1, %rcx
	movl	$0x3f8, %edx
	rep	outsb
	DONE
