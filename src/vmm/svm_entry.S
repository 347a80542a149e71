/* SPDX-License-Identifier: ISC */
/* book: svm-banner */
/*
 * svm_entry.S - into the guest with VMRUN, and out at #VMEXIT.
 *
 *	void svm_enter(uint64_t vmcb_pa, uint64_t host_pa, uint64_t *gpr)
 *
 * In order, what the software does (S) and what the CPU does (C):
 *
 *  1. S  save the callee-saved registers and the arguments on the stack
 *  2. S  CLGI: nothing, not even an NMI, may come between here and VMRUN
 *  3. S  VMSAVE the host's FS GS TR LDTR, KernelGSbase, STAR.., SYSENTER_*
 *  4. S  VMLOAD the guest's
 *  5. S  load the guest's general registers, all but RAX and RSP
 *  6. S  STI: with V_INTR_MASKING it is the host's IF, as it is at VMRUN, that
 *	  lets a host interrupt end the guest; GIF still holds interrupts off
 *  7. C  VMRUN: saves host state at VM_HSAVE_PA, loads the guest's from the
 *	  VMCB (segments, CR0-4, EFER, RFLAGS, RIP, RSP, RAX), injects EVENTINJ,
 *	  sets GIF, and the guest runs
 *  8. C  #VMEXIT: clears GIF, stores the guest's state and EXITCODE in the
 *	  VMCB, loads the host's: RIP after VMRUN, RSP and RAX as before it
 *  9. S  VMSAVE the guest's part, VMLOAD the host's
 * 10. S  store the guest's general registers, and leave none in the CPU
 * 11. S  CLI, then STGI: a pending NMI comes now, an interrupt once the
 *	  caller enables it
 *
 *	APM Vol. 2 15.5.1 "Basic Operation", 15.17 "Global Interrupt Flag, STGI
 *	and CLGI Instructions"
 */
/* book: end */
#include <hostasm.h>

#include "svm.h"

	.cfi_sections .debug_frame
	.text
HOST_FUNC(svm_enter)
	.cfi_startproc
	SAVE	%rbp
	SAVE	%rbx
	SAVE	%r12
	SAVE	%r13
	SAVE	%r14
	SAVE	%r15
	pushq	%rdx			/*  8(%rsp): gpr */
	pushq	%rsi			/*   (%rsp): host_pa */
	.cfi_adjust_cfa_offset 16

	/* book: svm-entry */
	clgi
	movq	%rsi, %rax
	vmsave	%rax
	movq	%rdi, %rax
	vmload	%rax

	movq	GPR_RBX(%rdx), %rbx
	movq	GPR_RCX(%rdx), %rcx
	movq	GPR_RSI(%rdx), %rsi
	movq	GPR_RDI(%rdx), %rdi
	movq	GPR_R8(%rdx), %r8
	movq	GPR_R9(%rdx), %r9
	movq	GPR_R10(%rdx), %r10
	movq	GPR_R11(%rdx), %r11
	movq	GPR_R12(%rdx), %r12
	movq	GPR_R13(%rdx), %r13
	movq	GPR_R14(%rdx), %r14
	movq	GPR_R15(%rdx), %r15
	movq	GPR_RBP(%rdx), %rbp
	movq	GPR_RDX(%rdx), %rdx
	sti

HOST_LABEL(svm_before_vmrun)
	vmrun	%rax

HOST_LABEL(svm_after_vmrun)
	vmsave	%rax
	movq	(%rsp), %rax
	vmload	%rax

	movq	8(%rsp), %rax
	movq	%rbx, GPR_RBX(%rax)
	movq	%rcx, GPR_RCX(%rax)
	movq	%rdx, GPR_RDX(%rax)
	movq	%rsi, GPR_RSI(%rax)
	movq	%rdi, GPR_RDI(%rax)
	movq	%r8, GPR_R8(%rax)
	movq	%r9, GPR_R9(%rax)
	movq	%r10, GPR_R10(%rax)
	movq	%r11, GPR_R11(%rax)
	movq	%r12, GPR_R12(%rax)
	movq	%r13, GPR_R13(%rax)
	movq	%r14, GPR_R14(%rax)
	movq	%r15, GPR_R15(%rax)
	movq	%rbp, GPR_RBP(%rax)

	HOST_AFTER_GUEST(%rcx)
	/* No guest value stays in a register. */
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%edi, %edi
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d

	cli
	stgi
	/* book: end */
	addq	$16, %rsp
	.cfi_adjust_cfa_offset -16
	RESTORE	%r15
	RESTORE	%r14
	RESTORE	%r13
	RESTORE	%r12
	RESTORE	%rbx
	RESTORE	%rbp
	HOST_RET
	.cfi_endproc
HOST_END(svm_enter)

	.section .note.GNU-stack, "", @progbits
