/* SPDX-License-Identifier: ISC */
/*
 * io-string - INS and OUTS of every width, with and without REP.
 *
 * Exercises: the string and REP flags; RSI, RDI, RCX and memory untouched.
 * Expected exits: ten, EBX the RIP behind each.
 * Why: the driver moves no memory; a client that wants to, emulates.
 */
#include "trap.h"

	GUEST_BEGIN GUEST_LONG
	movl	$0x55667788, %eax
	movl	$0xcf8, %edx
	movl	$0x30000, %esi
	movl	$0x31000, %edi
	movl	$5, %ecx
	MARK	outsb
	MARK	outsw
	MARK	outsl
	MARK	insb
	MARK	insw
	MARK	insl
	MARK	rep outsb
	MARK	.byte 0xf3, 0x66, 0x6f		/* rep outsw */
	MARK	rep insl
	std
	MARK	.byte 0xf3, 0x66, 0x67, 0x6d	/* rep insw, 32-bit address */
	cld
	DONE
