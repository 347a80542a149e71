/* SPDX-License-Identifier: ISC */
/*
 * check_decode.c - length and operands of the instructions that exit.
 */
#define _GNU_SOURCE
#include <stdlib.h>

#include "leaf.h"
#include "trace.h"

/* Short names of the registers, -1 for none. */
enum {
	AX = VCPU_REGS_RAX,
	BX = VCPU_REGS_RBX,
	CX = VCPU_REGS_RCX,
	DX = VCPU_REGS_RDX,
	SI = VCPU_REGS_RSI,
	DI = VCPU_REGS_RDI,
	SP = VCPU_REGS_RSP,
	BP = VCPU_REGS_RBP,
	R8 = VCPU_REGS_R8,
	R9 = VCPU_REGS_R9,
	R12 = VCPU_REGS_R12,
	R13 = VCPU_REGS_R13,
	R14 = VCPU_REGS_R14,
	R15 = VCPU_REGS_R15,
	CS = VCPU_REGS_CS,
	DS = VCPU_REGS_DS,
	ES = VCPU_REGS_ES,
	FS = VCPU_REGS_FS,
	GS = VCPU_REGS_GS,
	SS = VCPU_REGS_SS,
	NO = -1,
};

#define B(...)	sizeof((uint8_t[]){ __VA_ARGS__ }), { __VA_ARGS__ }

/* No operands: the same in all modes unless `bits` says one. */
static const struct {
	int	bits;			/* 0: every mode */
	size_t	n;
	uint8_t	bytes[16];
	int	op;			/* or -1: EINVAL */
} simple[] = {
	{ 0, B(0x0f, 0xa2), INSN_CPUID },
	{ 0, B(0xf4), INSN_HLT },
	{ 0, B(0x0f, 0x32), INSN_RDMSR },
	{ 0, B(0x0f, 0x30), INSN_WRMSR },
	{ 0, B(0x0f, 0x01, 0xd1), INSN_XSETBV },
	{ 0, B(0x0f, 0x08), INSN_INVD },
	{ 0, B(0x0f, 0x09), INSN_WBINVD },
	{ 0, B(0x0f, 0x06), INSN_CLTS },
	{ 0, B(0xf3, 0x0f, 0x09), INSN_WBINVD },
	/* each prefix, also where it does nothing */
	{ 0, B(0x66, 0x0f, 0xa2), INSN_CPUID },
	{ 0, B(0x67, 0x0f, 0xa2), INSN_CPUID },
	{ 0, B(0xf2, 0x0f, 0xa2), INSN_CPUID },
	{ 0, B(0xf3, 0x0f, 0xa2), INSN_CPUID },
	{ 0, B(0x26, 0x0f, 0xa2), INSN_CPUID },
	{ 0, B(0x2e, 0x0f, 0xa2), INSN_CPUID },
	{ 0, B(0x36, 0x0f, 0xa2), INSN_CPUID },
	{ 0, B(0x3e, 0x0f, 0xa2), INSN_CPUID },
	{ 0, B(0x64, 0x0f, 0xa2), INSN_CPUID },
	{ 0, B(0x65, 0x0f, 0xa2), INSN_CPUID },
	{ 0, B(0x65, 0x67, 0x2e, 0x66, 0xf3, 0xf4), INSN_HLT },
	{ 0, B(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
	    0x66, 0x66, 0x66, 0x0f, 0xa2), INSN_CPUID },	/* 15 */
	{ 0, B(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
	    0x66, 0x66, 0x66, 0x66, 0x0f, 0xa2), -1 },		/* 16 */
	{ 0, B(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
	    0x66, 0x66, 0x66, 0x66, 0x66, 0x66), -1 },
	/* REX: a prefix in 64-bit mode, INC and DEC elsewhere */
	{ 64, B(0x40, 0x0f, 0xa2), INSN_CPUID },
	{ 64, B(0x4f, 0x0f, 0xa2), INSN_CPUID },
	{ 64, B(0x48, 0x4f, 0xf4), INSN_HLT },
	{ 64, B(0x48, 0x66, 0x0f, 0xa2), INSN_CPUID },
	{ 32, B(0x40, 0x0f, 0xa2), -1 },
	{ 16, B(0x4f, 0x0f, 0xa2), -1 },
	/* LOCK is #UD but for MOV CR0 */
	{ 0, B(0xf0, 0x0f, 0xa2), -1 },
	{ 0, B(0xf0, 0xf4), -1 },
	{ 0, B(0xf0, 0x0f, 0x01, 0xd1), -1 },
	{ 0, B(0xf0, 0x0f, 0x21, 0xc0), -1 },
	{ 0, B(0xf0, 0x0f, 0x20, 0xd8), -1 },
	{ 0, B(0xf0, 0x0f, 0x20, 0xe0), -1 },
	{ 64, B(0xf0, 0x44, 0x0f, 0x20, 0xc0), -1 },
	/* XSETBV takes no prefix of these */
	{ 0, B(0x66, 0x0f, 0x01, 0xd1), -1 },
	{ 0, B(0xf2, 0x0f, 0x01, 0xd1), -1 },
	{ 0, B(0xf3, 0x0f, 0x01, 0xd1), -1 },
	{ 0, B(0x2e, 0x0f, 0x01, 0xd1), INSN_XSETBV },
	/* others */
	{ 0, B(0x90), -1 },
	{ 0, B(0x0f, 0x0b), -1 },
	{ 0, B(0x0f, 0x31), -1 },
	{ 0, B(0x0f, 0x05), -1 },
	{ 0, B(0x0f, 0x24, 0xc0), -1 },
	{ 0, B(0x0f, 0x01, 0xd0), -1 },		/* XGETBV */
	{ 0, B(0x0f, 0x01, 0xd9), -1 },		/* VMMCALL */
	{ 0, B(0x0f, 0x01, 0x38), -1 },		/* INVLPG */
	{ 0, B(0x0f, 0x01, 0x10), -1 },		/* LGDT */
	{ 0, B(0x0f, 0x01, 0xe8), -1 },
	{ 0, B(0x0f, 0x0f), -1 },
};

START_TEST(no_operands)
{
	static const int modes[] = { 16, 32, 64 };
	size_t i = (size_t)_i, m;
	struct insn in;
	int error;

	for (m = 0; m < 3; m++) {
		if (simple[i].bits != 0 && simple[i].bits != modes[m])
			continue;
		error = insn_decode(simple[i].bytes, simple[i].n, modes[m],
		    &in);
		if (simple[i].op == -1) {
			ck_assert_int_eq(error, EINVAL);
			continue;
		}
		ck_assert_int_eq(error, 0);
		ck_assert_int_eq(in.op, simple[i].op);
		ck_assert_uint_eq(in.len, simple[i].n);
		ck_assert(!in.mem);
		/* One byte less is not enough, more does not matter. */
		ck_assert_int_eq(insn_decode(simple[i].bytes, simple[i].n - 1,
		    modes[m], &in), EINVAL);
		ck_assert_int_eq(insn_decode(simple[i].bytes, 15, modes[m],
		    &in), 0);
		ck_assert_uint_eq(in.len, simple[i].n);
	}
}
END_TEST

/* MOV to and from CR and DR, LMSW and SMSW of a register. */
static const struct {
	int	bits;
	size_t	n;
	uint8_t	bytes[16];
	int	op, reg, gpr, opsize;
} registers[] = {
	{ 16, B(0x0f, 0x20, 0xc0), INSN_MOV_FROM_CR, 0, AX, 4 },
	{ 32, B(0x0f, 0x20, 0xe3), INSN_MOV_FROM_CR, 4, BX, 4 },
	{ 64, B(0x0f, 0x20, 0xe1), INSN_MOV_FROM_CR, 4, CX, 8 },
	{ 64, B(0x0f, 0x22, 0xc2), INSN_MOV_TO_CR, 0, DX, 8 },
	{ 32, B(0x0f, 0x22, 0xe4), INSN_MOV_TO_CR, 4, SP, 4 },
	{ 32, B(0x0f, 0x22, 0xe5), INSN_MOV_TO_CR, 4, BP, 4 },
	{ 32, B(0x0f, 0x22, 0xe6), INSN_MOV_TO_CR, 4, SI, 4 },
	{ 32, B(0x0f, 0x22, 0xe7), INSN_MOV_TO_CR, 4, DI, 4 },
	{ 64, B(0x44, 0x0f, 0x22, 0xc0), INSN_MOV_TO_CR, 8, AX, 8 },
	{ 64, B(0x44, 0x0f, 0x20, 0xc7), INSN_MOV_FROM_CR, 8, DI, 8 },
	{ 64, B(0x45, 0x0f, 0x20, 0xc7), INSN_MOV_FROM_CR, 8, R15, 8 },
	{ 64, B(0x41, 0x0f, 0x20, 0xc0), INSN_MOV_FROM_CR, 0, R8, 8 },
	{ 64, B(0x4f, 0x0f, 0x20, 0xe1), INSN_MOV_FROM_CR, 12, R9, 8 },
	/* REX not directly before the opcode does not count */
	{ 64, B(0x45, 0x66, 0x0f, 0x22, 0xc0), INSN_MOV_TO_CR, 0, AX, 8 },
	{ 64, B(0x45, 0x40, 0x0f, 0x22, 0xc0), INSN_MOV_TO_CR, 0, AX, 8 },
	/* 66 does not change the size, mod is ignored */
	{ 32, B(0x66, 0x0f, 0x22, 0xc0), INSN_MOV_TO_CR, 0, AX, 4 },
	{ 64, B(0x66, 0x0f, 0x22, 0xc0), INSN_MOV_TO_CR, 0, AX, 8 },
	{ 32, B(0x0f, 0x22, 0x00), INSN_MOV_TO_CR, 0, AX, 4 },
	{ 32, B(0x0f, 0x22, 0x05), INSN_MOV_TO_CR, 0, BP, 4 },
	{ 32, B(0x0f, 0x22, 0x44), INSN_MOV_TO_CR, 0, SP, 4 },
	{ 64, B(0x0f, 0x20, 0xa1), INSN_MOV_FROM_CR, 4, CX, 8 },
	/* LOCK MOV CR0 is CR8 in every mode */
	{ 16, B(0xf0, 0x0f, 0x20, 0xc3), INSN_MOV_FROM_CR, 8, BX, 4 },
	{ 32, B(0xf0, 0x0f, 0x22, 0xc0), INSN_MOV_TO_CR, 8, AX, 4 },
	{ 64, B(0xf0, 0x0f, 0x22, 0xc0), INSN_MOV_TO_CR, 8, AX, 8 },
	{ 64, B(0xf0, 0x41, 0x0f, 0x22, 0xc0), INSN_MOV_TO_CR, 8, R8, 8 },
	{ 16, B(0x0f, 0x21, 0xc0), INSN_MOV_FROM_DR, 0, AX, 4 },
	{ 32, B(0x0f, 0x21, 0xf1), INSN_MOV_FROM_DR, 6, CX, 4 },
	{ 64, B(0x0f, 0x23, 0xfb), INSN_MOV_TO_DR, 7, BX, 8 },
	{ 64, B(0x41, 0x0f, 0x23, 0xdd), INSN_MOV_TO_DR, 3, R13, 8 },
	{ 64, B(0x44, 0x0f, 0x23, 0xc0), INSN_MOV_TO_DR, 8, AX, 8 },
	{ 32, B(0x0f, 0x23, 0x3b), INSN_MOV_TO_DR, 7, BX, 4 },
	{ 16, B(0x0f, 0x01, 0xf0), INSN_LMSW, 0, AX, 2 },
	{ 32, B(0x0f, 0x01, 0xf3), INSN_LMSW, 0, BX, 2 },
	{ 64, B(0x0f, 0x01, 0xf7), INSN_LMSW, 0, DI, 2 },
	{ 64, B(0x49, 0x0f, 0x01, 0xf7), INSN_LMSW, 0, R15, 2 },
	{ 16, B(0x0f, 0x01, 0xe0), INSN_SMSW, 0, AX, 2 },
	{ 16, B(0x66, 0x0f, 0x01, 0xe0), INSN_SMSW, 0, AX, 4 },
	{ 32, B(0x0f, 0x01, 0xe2), INSN_SMSW, 0, DX, 4 },
	{ 32, B(0x66, 0x0f, 0x01, 0xe2), INSN_SMSW, 0, DX, 2 },
	{ 64, B(0x0f, 0x01, 0xe6), INSN_SMSW, 0, SI, 4 },
	{ 64, B(0x66, 0x0f, 0x01, 0xe6), INSN_SMSW, 0, SI, 2 },
	{ 64, B(0x48, 0x0f, 0x01, 0xe6), INSN_SMSW, 0, SI, 8 },
	{ 64, B(0x66, 0x48, 0x0f, 0x01, 0xe6), INSN_SMSW, 0, SI, 8 },
	{ 64, B(0x41, 0x0f, 0x01, 0xe4), INSN_SMSW, 0, R12, 4 },
};

START_TEST(register_operand)
{
	size_t i = (size_t)_i;
	struct insn in;

	ck_assert_int_eq(insn_decode(registers[i].bytes, registers[i].n,
	    registers[i].bits, &in), 0);
	ck_assert_int_eq(in.op, registers[i].op);
	ck_assert_int_eq(in.reg, registers[i].reg);
	ck_assert_int_eq(in.gpr, registers[i].gpr);
	ck_assert_int_eq(in.opsize, registers[i].opsize);
	ck_assert_uint_eq(in.len, registers[i].n);
	ck_assert(!in.mem);
	ck_assert_int_eq(insn_decode(registers[i].bytes, registers[i].n - 1,
	    registers[i].bits, &in), EINVAL);
}
END_TEST

/* LMSW and SMSW of memory; `ea` with the registers of setup_regs(). */
static const struct {
	int		bits;
	size_t		n;
	uint8_t		bytes[16];
	int		seg, base, index, scale;
	int32_t		disp;
	int		addrsize;
	uint64_t	ea;
} memory[] = {
	/* 16-bit: the eight forms */
	{ 16, B(0x0f, 0x01, 0x30), DS, BX, SI, 1, 0, 2, 0x20300 },
	{ 16, B(0x0f, 0x01, 0x31), DS, BX, DI, 1, 0, 2, 0x20400 },
	{ 16, B(0x0f, 0x01, 0x32), SS, BP, SI, 1, 0, 2, 0x6f200 },
	{ 16, B(0x0f, 0x01, 0x33), SS, BP, DI, 1, 0, 2, 0x6f300 },
	{ 16, B(0x0f, 0x01, 0x34), DS, SI, NO, 1, 0, 2, 0x20200 },
	{ 16, B(0x0f, 0x01, 0x35), DS, DI, NO, 1, 0, 2, 0x20300 },
	{ 16, B(0x0f, 0x01, 0x36, 0x34, 0x12), DS, NO, NO, 1, 0x1234, 2,
	    0x21234 },
	{ 16, B(0x0f, 0x01, 0x37), DS, BX, NO, 1, 0, 2, 0x20100 },
	{ 16, B(0x0f, 0x01, 0x70, 0x7f), DS, BX, SI, 1, 0x7f, 2, 0x2037f },
	{ 16, B(0x0f, 0x01, 0x77, 0x80), DS, BX, NO, 1, -128, 2, 0x20080 },
	{ 16, B(0x0f, 0x01, 0x76, 0x01), SS, BP, NO, 1, 1, 2, 0x6f001 },
	{ 16, B(0x0f, 0x01, 0xb6, 0x00, 0x20), SS, BP, NO, 1, 0x2000, 2,
	    0x61000 },				/* wraps at 64 KiB */
	{ 16, B(0x0f, 0x01, 0xb4, 0xff, 0xff), DS, SI, NO, 1, -1, 2,
	    0x201ff },
	{ 16, B(0x0f, 0x01, 0x36, 0xff, 0xff), DS, NO, NO, 1, -1, 2,
	    0x2ffff },
	{ 16, B(0x67, 0x0f, 0x01, 0x33), DS, BX, NO, 1, 0, 4, 0x20100 },
	{ 16, B(0x26, 0x0f, 0x01, 0x37), ES, BX, NO, 1, 0, 2, 0x30100 },
	{ 16, B(0x2e, 0x0f, 0x01, 0x26, 0, 0), CS, NO, NO, 1, 0, 2,
	    0x10000 },
	{ 16, B(0x36, 0x0f, 0x01, 0x37), SS, BX, NO, 1, 0, 2, 0x60100 },
	{ 16, B(0x3e, 0x0f, 0x01, 0x32), DS, BP, SI, 1, 0, 2, 0x2f200 },
	{ 16, B(0x64, 0x65, 0x0f, 0x01, 0x37), GS, BX, NO, 1, 0, 2,
	    0x50100 },				/* the last one counts */
	/* 32-bit */
	{ 32, B(0x0f, 0x01, 0x30), DS, AX, NO, 1, 0, 4, 0x81020000 },
	{ 32, B(0x0f, 0x01, 0x35, 4, 3, 2, 1), DS, NO, NO, 1, 0x01020304, 4,
	    0x01040304 },
	{ 32, B(0x0f, 0x01, 0x75, 0xff), SS, BP, NO, 1, -1, 4, 0x6efff },
	{ 32, B(0x0f, 0x01, 0xb0, 0, 0, 0, 0x80), DS, AX, NO, 1, INT32_MIN,
	    4, 0x01020000 },			/* wraps at 4 GiB */
	{ 32, B(0x67, 0x0f, 0x01, 0x30), DS, BX, SI, 1, 0, 2, 0x20300 },
	{ 32, B(0x0f, 0x01, 0x34, 0x24), SS, SP, NO, 1, 0, 4, 0x6e000 },
	{ 32, B(0x0f, 0x01, 0x34, 0x58), DS, AX, BX, 2, 0, 4, 0x81020200 },
	{ 32, B(0x0f, 0x01, 0x74, 0xfd, 0x10), SS, BP, DI, 8, 0x10, 4,
	    0x70810 },
	{ 32, B(0x0f, 0x01, 0x34, 0x8d, 0, 1, 0, 0), DS, NO, CX, 4, 0x100, 4,
	    0x24100 },
	{ 32, B(0x0f, 0x01, 0x34, 0x25, 0, 1, 0, 0), DS, NO, NO, 1, 0x100, 4,
	    0x20100 },
	{ 32, B(0x64, 0x0f, 0x01, 0xb4, 0x2c, 1, 0, 0, 0), FS, SP, BP, 1, 1,
	    4, 0x5d001 },
	/* 64-bit: flat but for FS and GS */
	{ 64, B(0x0f, 0x01, 0x30), DS, AX, NO, 1, 0, 8,
	    0xffff800081000000 },
	{ 64, B(0x67, 0x0f, 0x01, 0x30), DS, AX, NO, 1, 0, 4, 0x81000000 },
	{ 64, B(0x41, 0x0f, 0x01, 0x30), DS, R8, NO, 1, 0, 8, 0x8000 },
	{ 64, B(0x0f, 0x01, 0x34, 0x24), SS, SP, NO, 1, 0, 8, 0xe000 },
	{ 64, B(0x41, 0x0f, 0x01, 0x34, 0x24), DS, R12, NO, 1, 0, 8, 0xc000 },
	{ 64, B(0x41, 0x0f, 0x01, 0x75, 1), DS, R13, NO, 1, 1, 8, 0xd001 },
	{ 64, B(0x42, 0x0f, 0x01, 0x34, 0x63), DS, BX, R12, 2, 0, 8,
	    0x18100 },
	{ 64, B(0x43, 0x0f, 0x01, 0x34, 0xf7), DS, R15, R14, 8, 0, 8,
	    0x7f000 },
	{ 64, B(0x41, 0x0f, 0x01, 0x34, 0x65, 0, 0, 0, 0x80), DS, NO, NO, 2,
	    INT32_MIN, 8, 0xffffffff80000000 },
	{ 64, B(0x0f, 0x01, 0x34, 0x25, 0, 0x10, 0, 0), DS, NO, NO, 1,
	    0x1000, 8, 0x1000 },
	{ 64, B(0x64, 0x0f, 0x01, 0x30), FS, AX, NO, 1, 0, 8,
	    0xffff800081040000 },
	{ 64, B(0x65, 0x41, 0x0f, 0x01, 0x30), GS, R8, NO, 1, 0, 8,
	    0x0000700000008000 },
	{ 64, B(0x65, 0x67, 0x0f, 0x01, 0x30), GS, AX, NO, 1, 0, 4,
	    0x0000700081000000 },
	{ 64, B(0x65, 0x3e, 0x0f, 0x01, 0x33), GS, BX, NO, 1, 0, 8,
	    0x0000700000000100 },		/* DS is no prefix there */
	{ 64, B(0x2e, 0x0f, 0x01, 0x33), DS, BX, NO, 1, 0, 8, 0x100 },
	{ 64, B(0x26, 0x36, 0x0f, 0x01, 0x75, 0), SS, BP, NO, 1, 0, 8,
	    0xf000 },
};

/* Bases 0x10000, 0x20000, ... and registers that tell themselves apart. */
static void
setup_regs(void)
{
	uint64_t *g = leaf.v.gpr;
	int i;

	for (i = CS; i <= SS; i++) {
		leaf.held.vrs_sregs[i].vsi_base = 0x10000 * (uint64_t)(i + 1);
		leaf.held.vrs_sregs[i].vsi_ar = SEG_P;
	}
	g[AX] = 0xffff800081000000;
	g[BX] = 0x100;
	g[CX] = 0x1000;
	g[SI] = 0x200;
	g[DI] = 0x300;
	g[SP] = 0xe000;
	g[BP] = 0xf000;
	g[R8] = 0x8000;
	g[R12] = 0xc000;
	g[R13] = 0xd000;
	g[R14] = 0xe000;
	g[R15] = 0xf000;
}

static void
set_bits(int bits)
{
	leaf.v.efer = bits == 64 ? EFER_LME | EFER_LMA : 0;
	leaf.held.vrs_sregs[CS].vsi_ar = SEG_P |
	    (bits == 64 ? SEG_L : bits == 32 ? SEG_DB : 0);
	leaf.v.cs_l = bits == 64;
	if (bits == 64)
		leaf.held.vrs_sregs[GS].vsi_base = 0x0000700000000000;
}

START_TEST(memory_operand)
{
	size_t i = (size_t)_i, n;
	struct insn in;

	set_bits(memory[i].bits);
	ck_assert_int_eq(insn_decode(memory[i].bytes, memory[i].n,
	    memory[i].bits, &in), 0);
	ck_assert_int_eq(in.op, memory[i].bytes[memory[i].n - 1] == 0 &&
	    memory[i].bytes[3] == 0x26 ? INSN_SMSW : INSN_LMSW);
	ck_assert(in.mem);
	ck_assert(!in.riprel);
	ck_assert_uint_eq(in.len, memory[i].n);
	ck_assert_int_eq(in.seg, memory[i].seg);
	ck_assert_int_eq(in.base, memory[i].base);
	ck_assert_int_eq(in.index, memory[i].index);
	ck_assert_int_eq(in.scale, memory[i].scale);
	ck_assert_int_eq(in.disp, memory[i].disp);
	ck_assert_int_eq(in.addrsize, memory[i].addrsize);
	ck_assert_int_eq(in.opsize, 2);
	ck_assert_uint_eq(insn_ea(&leaf.v, &in), memory[i].ea);
	for (n = 0; n < memory[i].n; n++)
		ck_assert_int_eq(insn_decode(memory[i].bytes, n,
		    memory[i].bits, &in), EINVAL);
}
END_TEST

/* RIP-relative: from the next instruction, in 64-bit mode only. */
START_TEST(rip_relative)
{
	static const uint8_t code[] = { 0x0f, 0x01, 0x35, 0xf0, 0xff, 0xff,
	    0xff };
	static const uint8_t code32[] = { 0x67, 0x0f, 0x01, 0x35, 0, 0x10, 0,
	    0 };
	struct insn in;

	set_bits(64);
	leaf.v.gpr[VCPU_REGS_RIP] = 0xffff800000001000;
	ck_assert_int_eq(insn_decode(code, sizeof(code), 64, &in), 0);
	ck_assert(in.riprel);
	ck_assert_int_eq(in.base, NO);
	ck_assert_uint_eq(insn_ea(&leaf.v, &in), 0xffff800000000ff7);
	ck_assert_int_eq(insn_decode(code32, sizeof(code32), 64, &in), 0);
	ck_assert(in.riprel);
	ck_assert_uint_eq(insn_ea(&leaf.v, &in), 0x2008);
	ck_assert_int_eq(insn_decode(code, sizeof(code), 32, &in), 0);
	ck_assert(!in.riprel);
	ck_assert_int_eq(in.disp, -16);
}
END_TEST

/*
 * Any bytes at all. The buffer has exactly the bytes that may be read, and
 * the address sanitizer stands behind it.
 */
START_TEST(fuzz)
{
	static const uint8_t likely[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26,
	    0x2e, 0x36, 0x3e, 0x64, 0x65, 0x40, 0x4f, 0x0f, 0x0f, 0x0f, 0x01,
	    0x20, 0x21, 0x22, 0x23, 0xa2, 0x32, 0xf4, 0x34, 0xb4, 0x35 };
	uint32_t seed = 0x12345 + (uint32_t)_i;
	unsigned int found = 0;
	struct insn in, again;
	uint8_t *p, all[16];
	int i, bits;
	size_t n;

	for (i = 0; i < 20000; i++) {
		for (n = 0; n < sizeof(all); n++)
			all[n] = unit_random(&seed) % 4 == 0 ?
			    (uint8_t)unit_random(&seed) :
			    likely[unit_random(&seed) % sizeof(likely)];
		bits = 16 << unit_random(&seed) % 3;
		n = unit_random(&seed) % 17;
		p = malloc(n);
		ck_assert(p != NULL || n == 0);
		if (n > 0)
			memcpy(p, all, n);
		if (insn_decode(p, n, bits, &in) == 0) {
			found++;
			ck_assert_uint_ge(in.len, 1);
			ck_assert_uint_le(in.len, n < 15 ? n : 15);
			ck_assert_int_le(in.op, INSN_MOV_TO_DR);
			ck_assert_uint_lt(in.gpr, VCPU_REGS_RIP);
			ck_assert_int_le(in.seg, SS);
			ck_assert_int_lt(in.base, VCPU_REGS_RIP);
			ck_assert_int_lt(in.index, VCPU_REGS_RIP);
			/* What comes after it does not matter. */
			ck_assert_int_eq(insn_decode(all, 16, bits, &again),
			    0);
			ck_assert_int_eq(memcmp(&in, &again, sizeof(in)), 0);
			/* And nothing of it can be missing. */
			ck_assert_int_eq(insn_decode(all, in.len - 1U, bits,
			    &again), EINVAL);
			set_bits(bits);
			(void)insn_ea(&leaf.v, &in);
		}
		free(p);
	}
	ck_assert_uint_gt(found, 1000);
}
END_TEST

/* --- Fetching --- */

static void
put(uint64_t gpa, const void *bytes, size_t n)
{
	fake_user_write(GUEST_VA + gpa, bytes, n);
}

START_TEST(fetch_modes)
{
	static const uint8_t cpuid[] = { 0x0f, 0xa2 };
	static const uint8_t mov[] = { 0x0f, 0x20, 0xc0 };
	struct gmem_fault fault;
	struct insn in;

	/* 16-bit: base + IP */
	set_bits(16);
	leaf.v.gpr[VCPU_REGS_RIP] = 0x1234;
	put(0x11234, cpuid, sizeof(cpuid));
	ck_assert_int_eq(insn_fetch(&leaf.v, &in, &fault), 0);
	ck_assert_int_eq(in.op, INSN_CPUID);
	ck_assert_uint_eq(in.len, 2);
	/* 32-bit: base + EIP wraps at 4 GiB */
	set_bits(32);
	leaf.v.gpr[VCPU_REGS_RIP] = 0xffff2000;
	put(0x2000, mov, sizeof(mov));
	ck_assert_int_eq(insn_fetch(&leaf.v, &in, &fault), 0);
	ck_assert_int_eq(in.op, INSN_MOV_FROM_CR);
	ck_assert_uint_eq(in.opsize, 4);
	/* also in compatibility mode, where addresses have 64 bits */
	leaf.v.efer = EFER_LME | EFER_LMA;
	ck_assert_int_eq(insn_fetch(&leaf.v, &in, &fault), 0);
	ck_assert_uint_eq(in.opsize, 4);
	/* 64-bit: no base; paging off stands for an identity map */
	set_bits(64);
	leaf.v.gpr[VCPU_REGS_RIP] = 0x2000;
	ck_assert_int_eq(insn_fetch(&leaf.v, &in, &fault), 0);
	ck_assert_uint_eq(in.opsize, 8);
}
END_TEST

/* 32-bit paging: GVA 0 .. 4 MiB by the table at 0x2000, all present. */
static void
setup_paging(void)
{
	uint32_t e = 0x2003, i;

	put(0x1000, &e, sizeof(e));
	for (i = 0; i < LEAF_SIZE >> PAGE_SHIFT_4K; i++) {
		e = i << PAGE_SHIFT_4K | 3;
		put(0x2000 + 4 * i, &e, sizeof(e));
	}
	leaf.held.vrs_crs[VCPU_REGS_CR3] = 0x1000;
	leaf.v.cr0 = CR0_PG | CR0_PE | CR0_ET;
	set_bits(32);
	leaf.held.vrs_sregs[CS].vsi_base = 0;
}

static void
set_pte(uint32_t page, uint32_t pte)
{
	put(0x2000 + 4 * page, &pte, sizeof(pte));
}

/*
 * An instruction that ends with its page, and one that goes on, with the next
 * page mapped elsewhere, not mapped, and missing in the host.
 */
START_TEST(fetch_straddle)
{
	static const uint8_t lmsw[] = { 0x0f, 0x01, 0x35, 0x78, 0x56, 0x34,
	    0x12 };
	struct gmem_fault fault;
	struct insn in;
	uint64_t rip;
	size_t first;

	setup_paging();
	for (first = 1; first <= sizeof(lmsw); first++) {
		rip = 0x9000 - first;
		leaf.v.gpr[VCPU_REGS_RIP] = rip;
		put(rip, lmsw, first);
		put(0xb000, lmsw + first, sizeof(lmsw) - first);

		set_pte(9, 0xb003);
		ck_assert_int_eq(insn_fetch(&leaf.v, &in, &fault), 0);
		ck_assert_int_eq(in.disp, 0x12345678);
		ck_assert_uint_eq(in.len, sizeof(lmsw));

		set_pte(9, 0);
		if (first == sizeof(lmsw)) {
			ck_assert_int_eq(insn_fetch(&leaf.v, &in, &fault), 0);
			ck_assert_uint_eq(in.len, sizeof(lmsw));
			continue;
		}
		ck_assert_int_eq(insn_fetch(&leaf.v, &in, &fault), EFAULT);
		ck_assert(fault.event.valid);
		ck_assert_int_eq(fault.event.vector, VMM_EX_PF);
		ck_assert_uint_eq(fault.event.error, 0);
		ck_assert_uint_eq(fault.cr2, 0x9000);

		set_pte(9, 0x1000003);		/* no guest memory there */
		ck_assert_int_eq(insn_fetch(&leaf.v, &in, &fault), EINVAL);
		ck_assert(!fault.event.valid);
	}
}
END_TEST

START_TEST(fetch_faults)
{
	static const uint8_t nop[] = { 0x90 };
	uint8_t prefixes[15];
	struct gmem_fault fault;
	struct insn in;

	setup_paging();
	leaf.v.gpr[VCPU_REGS_RIP] = 0x3000000;
	ck_assert_int_eq(insn_fetch(&leaf.v, &in, &fault), EFAULT);
	ck_assert(fault.event.valid);
	ck_assert_uint_eq(fault.cr2, 0x3000000);
	/* Unknown: EINVAL and no look at the next page. */
	set_pte(9, 0);
	leaf.v.gpr[VCPU_REGS_RIP] = 0x8fff;
	put(0x8fff, nop, 1);
	ck_assert_int_eq(insn_fetch(&leaf.v, &in, &fault), EINVAL);
	ck_assert(!fault.event.valid);
	/* 15 prefixes over a page end: the 16th byte is not looked for. */
	set_pte(9, 0x9003);
	set_pte(10, 0);
	memset(prefixes, 0x66, sizeof(prefixes));
	leaf.v.gpr[VCPU_REGS_RIP] = 0x9ff1;
	put(0x9ff1, prefixes, sizeof(prefixes));
	ck_assert_int_eq(insn_fetch(&leaf.v, &in, &fault), EINVAL);
	ck_assert(!fault.event.valid);
	set_pte(10, 0xa003);
	leaf.v.gpr[VCPU_REGS_RIP] = 0x9ff8;
	put(0x9ff8, prefixes, sizeof(prefixes));
	ck_assert_int_eq(insn_fetch(&leaf.v, &in, &fault), EINVAL);
}
END_TEST

/*
 * Another VCPU rewrites the code while it is decoded: each byte is read once,
 * so what was checked is what is used.
 */
static uint8_t *code;

static void
rewrite(unsigned int n)
{
	code[n - 1] = 0xcc;
}

START_TEST(fetch_once)
{
	static const uint8_t smsw[] = { 0x67, 0x0f, 0x01, 0xa4, 0x24, 1, 2, 3,
	    4 };
	struct gmem_fault fault;
	struct insn in;

	set_bits(16);
	leaf.held.vrs_sregs[CS].vsi_base = 0;
	leaf.v.gpr[VCPU_REGS_RIP] = 0x7100;
	put(0x7100, smsw, sizeof(smsw));
	code = fake_user_ptr(GUEST_VA + 0x7100);
	trace_start(0x7100, rewrite);
	ck_assert_int_eq(insn_fetch(&leaf.v, &in, &fault), 0);
	trace_stop();
	ck_assert_uint_eq(trace_count, sizeof(smsw));
	ck_assert_int_eq(in.op, INSN_SMSW);
	ck_assert_int_eq(in.base, SP);
	ck_assert_int_eq(in.disp, 0x04030201);
	ck_assert_uint_eq(in.len, sizeof(smsw));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("decode");
	TCase *tc = leaf_case(s, "decode");

	tcase_add_checked_fixture(tc, setup_regs, NULL);
	tcase_add_loop_test(tc, no_operands, 0,
	    sizeof(simple) / sizeof(simple[0]));
	tcase_add_loop_test(tc, register_operand, 0,
	    sizeof(registers) / sizeof(registers[0]));
	tcase_add_loop_test(tc, memory_operand, 0,
	    sizeof(memory) / sizeof(memory[0]));
	tcase_add_test(tc, rip_relative);
	tcase_add_loop_test(tc, fuzz, 0, 4);
	tcase_add_test(tc, fetch_modes);
	tcase_add_test(tc, fetch_straddle);
	tcase_add_test(tc, fetch_faults);
	tcase_add_test(tc, fetch_once);
	return (s);
}
