/* SPDX-License-Identifier: ISC */
/*
 * mbr.S - starts the kernel from a disk, as a multiboot loader would.
 *
 * The BIOS loads the first sector at 0x7c00. That sector loads the next
 * seven behind itself: the configuration, which mkimage.py fills in, and
 * the second stage. The second stage asks the BIOS for the memory map, loads
 * the kernel and the boot archive, which lie behind each other on the disk
 * and in memory, and enters the kernel in 32-bit protected mode.
 */
#define SECTORS		64		/* at a time, to BOUNCE */
#define BOUNCE		0x10000
#define MMAP		0x9000		/* E820 entries, multiboot's form */
#define LOAD		0x100000

	.text
	.code16
	.globl	_start
_start:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$_start, %sp
	sti
	cld
	ljmp	$0, $1f
1:	movb	%dl, drive
	call	read
	jmp	stage2

/* INT 13h, AH=42h: reads what the packet says ("EDD-3" 8.22). */
read:
	movb	$0x42, %ah
	movb	drive, %dl
	movw	$packet, %si
	int	$0x13
	jc	2f
	ret
2:	movw	$0x0e00 + 'E', %ax	/* a disk error: E, and the end */
	int	$0x10
	hlt
	jmp	2b

	.balign	4
packet:
	.word	16
count:	.word	7
	.word	0x7e00, 0		/* offset, segment */
lba:	.quad	1
drive:	.byte	0

	.org	510
	.word	0xaa55

/* The configuration, see mkimage.py. */
left:	.long	0			/* sectors to load */
entry:	.long	0
module:	.long	0, 0, 0, 0		/* start, end, no name, reserved */
cmdline:

	.org	1024
stage2:
	inb	$0x92, %al		/* A20 on, if the BIOS has not */
	orb	$2, %al
	andb	$0xfe, %al
	outb	%al, $0x92

	movw	$(MMAP + 4), %di	/* behind the size of an entry */
	xorl	%ebx, %ebx
1:	movl	$20, -4(%di)
	movl	$0xe820, %eax
	movl	$20, %ecx
	movl	$0x534d4150, %edx	/* "SMAP" */
	int	$0x15
	jc	2f
	addw	$24, %di
	testl	%ebx, %ebx
	jnz	1b
2:	subw	$(MMAP + 4), %di
	movw	%di, mmap_length

	movl	$(BOUNCE << 12), packet + 4
	movl	$8, lba
3:	movl	left, %eax
	testl	%eax, %eax
	jz	5f
	cmpl	$SECTORS, %eax
	jbe	4f
	movw	$SECTORS, %ax
4:	movw	%ax, count
	call	read

	/* Segments loaded in protected mode keep their 4 GiB limit in real
	   mode; the BIOS may take it away at each call. */
	call	flat
	andb	$0xfe, %al
	movl	%eax, %cr0
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movl	$BOUNCE, %esi
	movl	dest, %edi
	movzwl	count, %ecx
	subl	%ecx, left
	addl	%ecx, lba
	shll	$7, %ecx
	addr32 rep movsl
	movl	%edi, dest
	sti
	jmp	3b

5:	call	flat
	movw	%bx, %ss
	ljmp	$8, $6f
	.code32
6:	movl	$0x2badb002, %eax
	movl	$info, %ebx
	jmp	*entry

/* Protected mode, with DS and ES flat. */
	.code16
flat:	cli
	lgdt	gdtr
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	movw	$0x10, %bx
	movw	%bx, %ds
	movw	%bx, %es
	ret

	.balign	8
gdt:	.quad	0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr:	.word	gdtr - gdt - 1
	.long	gdt
dest:	.long	LOAD
info:	.long	0x4c, 0, 0, 0, cmdline, 1, module, 0, 0, 0, 0
mmap_length:
	.long	0, MMAP

	.org	4096

	.section .note.GNU-stack, "", @progbits
