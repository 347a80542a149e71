/* SPDX-License-Identifier: ISC */
/* book: vmx-banner */
/*
 * vmx_entry.S - into the guest with VMLAUNCH or VMRESUME, and out at VM exit.
 *
 *	int vmx_enter(uint64_t *gpr, bool launched)
 *
 * In order, what the software does (S) and what the CPU does (C):
 *
 *  1. S  save the callee-saved registers and the arguments on the stack
 *  2. S  write RSP to the VMCS: the stack that the exit will find. HOST_RIP,
 *	  vmx_exit_point, is there since the VCPU's reset
 *  3. S  load the guest's general registers, all but RSP
 *  4. S  VMLAUNCH the first time, VMRESUME after it
 *  5. C  checks the controls and the host state: VMfail, and the next
 *	  instruction is the one below; then the guest state: an exit at once
 *  6. C  loads the guest's state from the VMCS (CR0, CR3, CR4, DR7, segments,
 *	  RSP, RIP, RFLAGS, EFER, PAT), then the MSRs of the load area, injects
 *	  ENTRY_EVENT, starts the preemption timer, and the guest runs
 *  7. C  VM exit: stores the reason and the guest's state in the VMCS, its
 *	  MSRs in the store area, loads the host's from HOST_* and the host's
 *	  MSR area, RFLAGS = 2: interrupts are off. The next instruction is at
 *	  vmx_exit_point. DR7 is 0x400; CR2, DR0-3 and DR6 are the guest's
 *  8. S  store the guest's general registers, and leave none in the CPU
 *
 *	SDM Vol. 3C 26 "VM Entries", 27 "VM Exits"
 */
/* book: end */
#include <hostasm.h>

#include "vmx.h"

	.cfi_sections .debug_frame
	.text
HOST_FUNC(vmx_enter)
	.cfi_startproc
	SAVE	%rbp
	SAVE	%rbx
	SAVE	%r12
	SAVE	%r13
	SAVE	%r14
	SAVE	%r15
	pushq	%rdi			/* (%rsp): gpr */
	.cfi_adjust_cfa_offset 8

	/* book: vmx-entry */
	HOST_SPLIT
	movl	$VMX_HOST_RSP, %eax
	vmwrite	%rsp, %rax

	testb	%sil, %sil		/* launched? MOV keeps the flags */
	movq	GPR_RAX(%rdi), %rax
	movq	GPR_RBX(%rdi), %rbx
	movq	GPR_RCX(%rdi), %rcx
	movq	GPR_RDX(%rdi), %rdx
	movq	GPR_RSI(%rdi), %rsi
	movq	GPR_R8(%rdi), %r8
	movq	GPR_R9(%rdi), %r9
	movq	GPR_R10(%rdi), %r10
	movq	GPR_R11(%rdi), %r11
	movq	GPR_R12(%rdi), %r12
	movq	GPR_R13(%rdi), %r13
	movq	GPR_R14(%rdi), %r14
	movq	GPR_R15(%rdi), %r15
	movq	GPR_RBP(%rdi), %rbp
	movq	GPR_RDI(%rdi), %rdi
	jnz	vmx_before_vmresume

HOST_LABEL(vmx_before_vmlaunch)
	vmlaunch
	jmp	1f

HOST_LABEL(vmx_before_vmresume)
	vmresume

	/* Still here: VMfailInvalid sets CF, VMfailValid ZF. */
1:	movl	$VMX_FAIL_INVALID, %eax
	jc	2f
	movl	$VMX_FAIL_VALID, %eax
	jmp	2f

HOST_EXIT_POINT(vmx_exit_point)
	pushq	%rax
	movq	8(%rsp), %rax
	popq	GPR_RAX(%rax)
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
	xorl	%eax, %eax

	/* No guest value stays in a register. */
2:	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%edi, %edi
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	/* book: end */
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	RESTORE	%r15
	RESTORE	%r14
	RESTORE	%r13
	RESTORE	%r12
	RESTORE	%rbx
	RESTORE	%rbp
	HOST_RET
	.cfi_endproc
HOST_END(vmx_enter)

	.section .note.GNU-stack, "", @progbits
