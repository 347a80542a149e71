/* SPDX-License-Identifier: ISC */
/*
 * xsetbv - XSETBV, good and bad.
 *
 * Exercises: #UD without OSXSAVE, #GP for what the guest may not have.
 * Expected exits: VALUE of CPUID 1 ECX; (no XSAVE: DONE); of XSETBV without
 *	OSXSAVE; of CPUID 0xD EAX, ECX, EDX; then of each line marked v.
 * Why: XCR0 is loaded into the CPU as it is (F1, F24).
 */
#include "trap.h"

	.macro SET index, lo, hi
	movl	$\index, %ecx
	movl	$\lo, %eax
	movl	$\hi, %edx
	PROBE	xsetbv
	.endm
	.macro GET
	xorl	%ecx, %ecx
	xgetbv
	REPORT
	.endm

	GUEST_BEGIN GUEST_LONG
	TRAPS
	movl	$1, %eax
	cpuid
	movl	%ecx, %eax
	movl	%ecx, %ebp
	REPORT
	btl	$26, %ebp
	jnc	1f
	SET	0, 1, 0			/* v: #UD */
	movq	%cr4, %rax
	orl	$0x40000, %eax
	movq	%rax, %cr4
	movl	$0xd, %eax
	xorl	%ecx, %ecx
	cpuid
	movl	%edx, %ebp
	REPORT
	movl	%ecx, %eax
	REPORT
	movl	%ebp, %eax
	REPORT
	GET				/* v: 1 from RESETCPU */
	SET	0, 0, 0			/* v: without x87 */
	SET	0, 2, 0			/* v: */
	SET	0, 9, 0			/* v: half of MPX */
	SET	0, 0xe7, 0		/* v: AVX-512 */
	SET	0, 0x201, 0		/* v: PKRU */
	SET	0, 1, 0x40000000	/* v: bit 62 */
	SET	1, 1, 0			/* v: no such register */
	GET				/* v: still 1 */
	SET	0, 3, 0			/* v: good */
	GET				/* v: 3 */
	SET	0, 7, 0			/* v: good if CPUID 0xD says so */
	GET				/* v: 7 or 3 */
1:	DONE
	TRAP_CODE
