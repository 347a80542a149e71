/* SPDX-License-Identifier: ISC */
/*
 * bench_guests.S - what is measured, the same bytes for both hypervisors.
 *
 * No guest ends: its client does. Each adds up, from the nonce on, what it
 * did, so that the client can tell one that did it from one that did not.
 * bench_cpuid and bench_touch do as many units as the first argument says
 * and come back then; they read it again each time.
 */
#include "bench.h"
#include "guest.h"

	.section .rodata

/* An image from here to GUEST_END, with the header that guest.h asks for. */
.macro GUEST name
	.balign	16
	.globl	\name
\name:
	.ascii	"VMMG"
	.byte	GUEST_REAL, 1
	.word	16
	.long	0, 0
	.code16
.endm

.macro GUEST_END name
	.globl	\name\()_end
\name\()_end:
.endm

/* Adds 1 for each OUT. */
GUEST bench_pio
	movl	GUEST_NONCE, %eax
	movw	$BENCH_PORT, %dx
1:	incl	%eax
	outl	%eax, %dx
	jmp	1b
GUEST_END bench_pio

/* Adds 1 for each HLT, with interrupts on, and leaves the sum in memory. */
GUEST bench_hlt
	movl	GUEST_NONCE, %eax
	sti
1:	incl	%eax
	movl	%eax, BENCH_SEEN
	hlt
	jmp	1b
GUEST_END bench_hlt

/* Adds EBX of leaf 0, a part of the vendor's name, for each CPUID. */
GUEST bench_cpuid
	movl	GUEST_NONCE, %esi
1:	movl	GUEST_ARGS, %edi
	testl	%edi, %edi
	jz	3f
2:	xorl	%eax, %eax
	cpuid
	addl	%ebx, %esi
	decl	%edi
	jnz	2b
3:	movl	%esi, %eax
	movw	$BENCH_PORT, %dx
	outl	%eax, %dx
	jmp	1b
GUEST_END bench_cpuid

/* Adds 1 for each page, goes to the next, and leaves the sum in it. */
GUEST bench_touch
	movl	GUEST_NONCE, %eax
	movw	$(BENCH_FIRST >> 4), %bx
	movw	$BENCH_PORT, %dx
1:	movl	GUEST_ARGS, %edi
	testl	%edi, %edi
	jz	3f
2:	incl	%eax
	movw	%bx, %es
	movl	%eax, %es:0
	addw	$(0x1000 >> 4), %bx
	decl	%edi
	jnz	2b
3:	outl	%eax, %dx
	jmp	1b
GUEST_END bench_touch

	.section .note.GNU-stack, "", @progbits
