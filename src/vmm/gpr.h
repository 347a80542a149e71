/* SPDX-License-Identifier: ISC */
/*
 * gpr.h - for the entry assembly of both vendors: offsets into vcpu.gpr[],
 * asserted against the indices of vmmvar.h by C that includes it, and how a
 * register is saved on the stack.
 */
#ifndef VMM_GPR_H
#define VMM_GPR_H

#define GPR_RAX		0x00
#define GPR_RBX		0x08
#define GPR_RCX		0x10
#define GPR_RDX		0x18
#define GPR_RSI		0x20
#define GPR_RDI		0x28
#define GPR_R8		0x30
#define GPR_R9		0x38
#define GPR_R10		0x40
#define GPR_R11		0x48
#define GPR_R12		0x50
#define GPR_R13		0x58
#define GPR_R14		0x60
#define GPR_R15		0x68
#define GPR_RBP		0x78

#ifdef __ASSEMBLER__
/* The .cfi lines let a debugger find the callers from inside the guest. */
.macro SAVE reg
	pushq	\reg
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \reg, 0
.endm
.macro RESTORE reg
	popq	\reg
	.cfi_adjust_cfa_offset -8
	.cfi_restore \reg
.endm
#else
#include "vmmvar.h"
#define GPR_AT(r) \
	_Static_assert(GPR_##r == 8 * VCPU_REGS_##r, #r)
GPR_AT(RAX); GPR_AT(RBX); GPR_AT(RCX); GPR_AT(RDX); GPR_AT(RSI);
GPR_AT(RDI); GPR_AT(R8); GPR_AT(R9); GPR_AT(R10); GPR_AT(R11); GPR_AT(R12);
GPR_AT(R13); GPR_AT(R14); GPR_AT(R15); GPR_AT(RBP);
#endif

#endif /* VMM_GPR_H */
