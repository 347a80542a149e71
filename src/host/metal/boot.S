/* SPDX-License-Identifier: ISC */
/*
 * boot.S - from a multiboot loader to long mode.
 *
 * The loader (QEMU -kernel, or our own mbr.S) leaves the CPU in 32-bit
 * protected mode without paging, EAX = magic, EBX = multiboot information.
 * What happens, in order:
 *   1. software builds tables that map the first GiB three times: where it
 *      is, at DIRECT and at KERNBASE;
 *   2. software sets CR4.PAE, CR3, EFER.LME, then CR0.PG;
 *   3. the CPU sets EFER.LMA and is in compatibility mode
 *      (APM Vol. 2 14.6 "Enabling and Activating Long Mode");
 *   4. a far jump to a code segment with L=1 enters 64-bit mode;
 *   5. software jumps to the high addresses and to C.
 * pt.c replaces these tables by final ones that are W^X.
 */
#include "metal.h"

#define MB_MAGIC	0x1badb002
#define MB_FLAGS	0x00000003	/* aligned modules, memory map */
#define PHYS(x)		((x) - KERNBASE)

	.section .boot, "ax"
	.code32
	.balign	4
	.long	MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)

	.globl	start32
start32:
	cli
	cld
	movl	%eax, %ebp
	movl	%ebx, %esi
	movl	$PHYS(boot_stack_top), %esp

	movl	$PHYS(boot_pd), %edi
	movl	$0x83, %eax		/* present, writable, 2 MiB */
	movl	$512, %ecx
1:	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	1b
	movl	$(PHYS(boot_pd) + 3), PHYS(boot_pdpt_low)
	movl	$(PHYS(boot_pd) + 3), PHYS(boot_pdpt_high) + 510 * 8
	movl	$(PHYS(boot_pdpt_low) + 3), PHYS(boot_pml4)
	movl	$(PHYS(boot_pdpt_low) + 3), PHYS(boot_pml4) + 273 * 8
	movl	$(PHYS(boot_pdpt_high) + 3), PHYS(boot_pml4) + 511 * 8

	movl	$0x20, %eax		/* CR4.PAE */
	movl	%eax, %cr4
	movl	$PHYS(boot_pml4), %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	andl	$~0x6000000c, %eax	/* CD, NW, TS, EM off */
	orl	$0x80010023, %eax	/* PG, WP, NE, MP, PE on */
	movl	%eax, %cr0
	lgdt	boot_gdtr
	ljmp	$KCODE_SEL, $start64

	.code64
start64:
	movl	$KDATA_SEL, %eax
	movl	%eax, %ss
	xorl	%eax, %eax		/* as ring 3 and a VM exit leave them */
	.irp	reg, ds, es, fs, gs
	movl	%eax, %\reg
	.endr
	movabsq	$boot_stack_top, %rsp
	movl	%ebp, %edi		/* kmain(magic, info) */
	xorl	%ebp, %ebp
	movabsq	$kmain, %rax
	call	*%rax

	.balign	8
boot_gdt:
	.quad	0
	.quad	0x00209a0000000000	/* code, 64-bit */
	.quad	0x0000920000000000	/* data */
boot_gdtr:
	.word	boot_gdtr - boot_gdt - 1
	.long	boot_gdt

	.bss
	.balign	4096
boot_pml4:	.skip	4096
boot_pdpt_low:	.skip	4096
boot_pdpt_high:	.skip	4096
boot_pd:	.skip	4096
	.skip	16384
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
