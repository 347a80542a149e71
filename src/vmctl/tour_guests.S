/* SPDX-License-Identifier: ISC */
/*
 * tour_guests.S - the guests of `vmctl tour', one for each ioctl.
 *
 * Built into vmctl as data, so that the tour needs no file. They are copied
 * to GUEST_LOAD: jumps are relative, other addresses numbers.
 */
#include "guest.h"

	.section .rodata

/* An image from here to GUEST_END, with the header that guest.h asks for. */
.macro GUEST name mode
	.balign	16
	.globl	\name
\name:
	.ascii	"VMMG"
	.byte	\mode, 1
	.word	16
	.long	0, 0
.if \mode == GUEST_REAL
	.code16
.elseif \mode == GUEST_LONG
	.code64
.else
	.code32
.endif
.endm

.macro GUEST_END name
	.globl	\name\()_end
\name\()_end:
.endm

#define COUNT	0x700			/* u32 in low memory, free */
#define ARG(n)	(GUEST_ARGS + 8 * (n))
#define VECTOR	0x30

/* RESETCPU: tells the mode that it was started in. */
GUEST tour_reset GUEST_LONG
	mov	%cr0, %rax
	REPORT
	movl	$0xc0000080, %ecx	/* EFER */
	rdmsr
	REPORT
	movl	%cs, %eax
	REPORT
	DONE
GUEST_END tour_reset

/* RUN: CPUID stays in the driver; OUT, IN and HLT come to the client. */
GUEST tour_run GUEST_REAL
	movl	$0x40000000, %eax
	cpuid
	movl	%ebx, %eax
	REPORT
	movw	$0x510, %dx
	inl	%dx, %eax
	REPORT
	sti
	hlt
	DONE
GUEST_END tour_run

/* READREGS, WRITEREGS: the nonce in EBX; then says what EBX has become. */
GUEST tour_regs GUEST_PROT
	movl	GUEST_NONCE, %ebx
	movl	%ebx, %ecx
	notl	%ecx
	xorl	%eax, %eax
	REPORT
	movl	%ebx, %eax
	REPORT
	DONE
GUEST_END tour_regs

/* INTR: counts for ever with interrupts on; the vector ends it. */
GUEST tour_intr GUEST_REAL
	movw	$(GUEST_LOAD + 2f - tour_intr), VECTOR * 4
	movw	$0, VECTOR * 4 + 2
	sti
1:	incl	COUNT
	jmp	1b
2:	DONE
GUEST_END tour_intr

/*
 * WRITEVMPARAMS: reads its clock twice. The argument is where it is.
 * ns = system_time + ((TSC - timestamp) << shift) * mul >> 32; a shift below
 * 0 goes the other way.
 */
GUEST tour_clock GUEST_LONG
	movq	ARG(0), %rsi
	movl	(%rsi), %eax		/* version */
	REPORT
	movl	$2, %edi
1:	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	subq	8(%rsi), %rax
	movb	28(%rsi), %cl		/* shift */
	testb	%cl, %cl
	js	2f
	shlq	%cl, %rax
	jmp	3f
2:	negb	%cl
	shrq	%cl, %rax
3:	movl	24(%rsi), %ecx		/* mul */
	mulq	%rcx
	shrdq	$32, %rdx, %rax
	addq	16(%rsi), %rax
	movq	%rax, %rbx
	REPORT
	shrq	$32, %rbx
	movl	%ebx, %eax
	REPORT
	decl	%edi
	jnz	1b
	DONE
GUEST_END tour_clock

/* READVMPARAMS: turns its clock on itself, and tells the version. */
GUEST tour_msr GUEST_PROT
	movl	$0x4b564d01, %ecx
	movl	ARG(0), %eax
	movl	%eax, %esi
	orl	$1, %eax
	xorl	%edx, %edx
	wrmsr
	movl	(%esi), %eax
	REPORT
	DONE
GUEST_END tour_msr

/* MPROTECT_EPT: reads, then writes a page; the nonce goes through it. */
GUEST tour_protect GUEST_PROT
	movl	ARG(0), %esi
	movl	(%esi), %eax
	REPORT
	movl	GUEST_NONCE, %eax
	movl	%eax, (%esi)
	movl	(%esi), %eax
	movw	$GUEST_DONE, %dx
	outl	%eax, %dx
	cli
	hlt
GUEST_END tour_protect

/* INFO: touches every 2 MiB from the first argument up to the second. */
GUEST tour_touch GUEST_PROT
	movl	ARG(0), %esi
1:	movl	%esi, (%esi)
	addl	$0x200000, %esi
	cmpl	ARG(1), %esi
	jb	1b
	DONE
GUEST_END tour_touch

/* TERM: says the nonce, then never leaves: nothing interrupts it. */
GUEST tour_term GUEST_REAL
	movl	GUEST_NONCE, %eax
	movw	$GUEST_DONE, %dx
	outl	%eax, %dx
	cli
1:	incl	COUNT
	jmp	1b
GUEST_END tour_term

/* Figures: how long N times CPUID, or N times OUT, take; by its own TSC. */
GUEST tour_cpuid GUEST_REAL
	movl	ARG(0), %edi
	rdtsc
	movl	%eax, %esi
1:	movl	$0x40000001, %eax
	cpuid
	decl	%edi
	jnz	1b
	rdtsc
	subl	%esi, %eax
	REPORT
	DONE
GUEST_END tour_cpuid

GUEST tour_out GUEST_REAL
	movl	ARG(0), %edi
	rdtsc
	movl	%eax, %esi
	movw	$0x510, %dx
1:	outl	%eax, %dx
	decl	%edi
	jnz	1b
	rdtsc
	subl	%esi, %eax
	REPORT
	DONE
GUEST_END tour_out

	.section .note.GNU-stack, "", @progbits
