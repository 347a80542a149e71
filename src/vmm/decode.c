/* SPDX-License-Identifier: ISC */
/*
 * decode.c - length and operands of the instructions that exit.
 *
 * SVM without next-RIP saving tells neither; a CPU without decode assists
 * tells no operands. Only the instructions of enum insn_op are known, and
 * those the CPU has already accepted, so nothing here judges privilege.
 * SDM Vol. 2A 2.1 "Instruction Format for Protected Mode, Real-Address Mode,
 * and Virtual-8086 Mode", 2.2.1 "REX Prefixes".
 */
#include <errno.h>
#include <string.h>

#include "vmm.h"

#define INSN_MAX	15
#define DECODE_MORE	(-1)		/* the bytes do not suffice */

#define REX_W		8
#define REX_R		4
#define REX_X		2
#define REX_B		1

/* Order of the encoding, in indices of vrs_gprs[]. */
const uint8_t insn_gpr[16] = {
	VCPU_REGS_RAX, VCPU_REGS_RCX, VCPU_REGS_RDX, VCPU_REGS_RBX,
	VCPU_REGS_RSP, VCPU_REGS_RBP, VCPU_REGS_RSI, VCPU_REGS_RDI,
	VCPU_REGS_R8, VCPU_REGS_R9, VCPU_REGS_R10, VCPU_REGS_R11,
	VCPU_REGS_R12, VCPU_REGS_R13, VCPU_REGS_R14, VCPU_REGS_R15,
};

/* Base and index of the 16-bit forms, by ModRM.rm. */
static const int8_t base16[8] = {
	VCPU_REGS_RBX, VCPU_REGS_RBX, VCPU_REGS_RBP, VCPU_REGS_RBP,
	VCPU_REGS_RSI, VCPU_REGS_RDI, VCPU_REGS_RBP, VCPU_REGS_RBX,
};
static const int8_t index16[8] = {
	VCPU_REGS_RSI, VCPU_REGS_RDI, VCPU_REGS_RSI, VCPU_REGS_RDI,
	-1, -1, -1, -1,
};

#define PREFIX_OPSIZE	0x1
#define PREFIX_ADDRSIZE	0x2
#define PREFIX_LOCK	0x4
#define PREFIX_REP	0x8
#define PREFIX_SEG	0x10

static const struct {
	uint8_t	byte, flag, seg;
} prefixes[] = {
	{ 0x66, PREFIX_OPSIZE, 0 },
	{ 0x67, PREFIX_ADDRSIZE, 0 },
	{ 0xf0, PREFIX_LOCK, 0 },
	{ 0xf2, PREFIX_REP, 0 },
	{ 0xf3, PREFIX_REP, 0 },
	{ 0x26, PREFIX_SEG, VCPU_REGS_ES },
	{ 0x2e, PREFIX_SEG, VCPU_REGS_CS },
	{ 0x36, PREFIX_SEG, VCPU_REGS_SS },
	{ 0x3e, PREFIX_SEG, VCPU_REGS_DS },
	{ 0x64, PREFIX_SEG, VCPU_REGS_FS },
	{ 0x65, PREFIX_SEG, VCPU_REGS_GS },
};
#define NPREFIXES	(sizeof(prefixes) / sizeof(prefixes[0]))

/* Opcodes 0F xx without operands. */
static const struct {
	uint8_t	opcode, op;
} plain[] = {
	{ 0xa2, INSN_CPUID },
	{ 0x32, INSN_RDMSR },
	{ 0x30, INSN_WRMSR },
	{ 0x06, INSN_CLTS },
	{ 0x08, INSN_INVD },
	{ 0x09, INSN_WBINVD },
};
#define NPLAIN		(sizeof(plain) / sizeof(plain[0]))

struct decoder {
	const uint8_t	*p;
	size_t		 n;
	size_t		 pos;
	int		 bits;
	uint8_t		 rex, prefix;
	int8_t		 seg;		/* override, or -1 */
};

/* The next byte. Returns: EINVAL after the 15th, DECODE_MORE at the end. */
static int
decode_byte(struct decoder *d, uint8_t *b)
{
	if (d->pos == INSN_MAX)
		return (EINVAL);
	if (d->pos == d->n)
		return (DECODE_MORE);
	*b = ATOMIC_GET(&d->p[d->pos++]);	/* once: guest memory */
	return (0);
}

/* A displacement of `size` bytes, sign-extended. */
static int
decode_disp(struct decoder *d, unsigned int size, int32_t *disp)
{
	uint32_t u = 0;
	uint8_t b;
	unsigned int i;
	int error;

	for (i = 0; i < size; i++) {
		error = decode_byte(d, &b);
		if (error != 0)
			return (error);
		u |= (uint32_t)b << 8 * i;
	}
	*disp = size == 1 ? (int8_t)u : size == 2 ? (int16_t)u : (int32_t)u;
	return (0);
}

/*
 * Prefixes, in any order; *op is the first byte after them. REX counts only
 * directly before the opcode; 64-bit mode ignores segments but FS and GS.
 */
static int
decode_prefixes(struct decoder *d, uint8_t *op)
{
	size_t i;
	int error;

	while ((error = decode_byte(d, op)) == 0 && *op != 0x0f) {
		if (d->bits == 64 && (*op & 0xf0) == 0x40) {
			d->rex = *op;
			continue;
		}
		for (i = 0; prefixes[i].byte != *op; i++)
			if (i == NPREFIXES - 1)
				return (0);
		d->rex = 0;
		if (prefixes[i].flag != PREFIX_SEG)
			d->prefix |= prefixes[i].flag;
		else if (d->bits != 64 || prefixes[i].seg == VCPU_REGS_FS ||
		    prefixes[i].seg == VCPU_REGS_GS)
			d->seg = prefixes[i].seg;
	}
	return (error);
}

/*
 * The memory operand that a ModRM byte announces: base, index, displacement.
 * SDM Vol. 2A 2.1.5 "Addressing-Mode Encoding of ModR/M and SIB Bytes".
 */
static int
decode_mem(struct decoder *d, uint8_t modrm, struct insn *in)
{
	uint8_t mod = modrm >> 6, rm = modrm & 7, sib;
	unsigned int size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
	int error;

	in->mem = true;
	if (in->addrsize == 2) {
		in->base = base16[rm];
		in->index = index16[rm];
		if (mod == 0 && rm == 6)
			in->base = -1;
		size = mod == 2 || in->base == -1 ? 2 : size;
	} else if (rm == 4) {
		error = decode_byte(d, &sib);
		if (error != 0)
			return (error);
		in->scale = 1 << (sib >> 6);
		in->index = insn_gpr[(sib >> 3 & 7) | ((d->rex & REX_X) << 2)];
		if (in->index == VCPU_REGS_RSP)
			in->index = -1;
		in->base = insn_gpr[(sib & 7) | ((d->rex & REX_B) << 3)];
		if (mod == 0 && (sib & 7) == 5) {
			in->base = -1;
			size = 4;
		}
	} else if (mod == 0 && rm == 5) {
		in->riprel = d->bits == 64;
		size = 4;
	} else
		in->base = insn_gpr[rm | ((d->rex & REX_B) << 3)];

	in->seg = in->base == VCPU_REGS_RSP || in->base == VCPU_REGS_RBP ?
	    VCPU_REGS_SS : VCPU_REGS_DS;
	if (d->seg >= 0)
		in->seg = d->seg;
	return (decode_disp(d, size, &in->disp));
}

/*
 * MOV to and from control (0F 20, 22) and debug registers (0F 21, 23): always
 * a register, whatever mod says. LOCK makes CR0 CR8 in any mode on AMD.
 * APM Vol. 3 "MOV CRn".
 */
static int
decode_mov(struct decoder *d, uint8_t op, struct insn *in)
{
	static const uint8_t mov_op[4] = { INSN_MOV_FROM_CR, INSN_MOV_FROM_DR,
	    INSN_MOV_TO_CR, INSN_MOV_TO_DR };
	uint8_t modrm;
	int error;

	error = decode_byte(d, &modrm);
	if (error != 0)
		return (error);
	in->op = mov_op[op & 3];
	in->opsize = d->bits == 64 ? 8 : 4;
	in->reg = (modrm >> 3 & 7) | (d->rex & REX_R) << 1;
	in->gpr = insn_gpr[(modrm & 7) | (d->rex & REX_B) << 3];
	if ((d->prefix & PREFIX_LOCK) == 0)
		return (0);
	if ((op & 1) != 0 || in->reg != 0)
		return (EINVAL);
	in->reg = 8;
	return (0);
}

/* 0F 01: SMSW, LMSW and XSETBV. */
static int
decode_group7(struct decoder *d, struct insn *in)
{
	uint8_t modrm, reg;
	int error = decode_byte(d, &modrm);

	if (error != 0)
		return (error);
	reg = modrm >> 3 & 7;
	if (modrm == 0xd1) {
		in->op = INSN_XSETBV;
		return ((d->prefix & (PREFIX_REP | PREFIX_OPSIZE)) != 0 ?
		    EINVAL : 0);
	}
	if (reg != 4 && reg != 6)
		return (EINVAL);
	in->op = reg == 4 ? INSN_SMSW : INSN_LMSW;
	if (modrm >> 6 != 3 || in->op == INSN_LMSW)
		in->opsize = 2;
	if (modrm >> 6 != 3)
		return (decode_mem(d, modrm, in));
	in->gpr = insn_gpr[(modrm & 7) | (d->rex & REX_B) << 3];
	return (0);
}

/* The opcodes of two bytes, the first being 0F. */
static int
decode_0f(struct decoder *d, struct insn *in)
{
	uint8_t op;
	size_t i;
	int error = decode_byte(d, &op);

	if (error != 0)
		return (error);
	if ((op & 0xfc) == 0x20)
		return (decode_mov(d, op, in));
	if ((d->prefix & PREFIX_LOCK) != 0)
		return (EINVAL);
	if (op == 0x01)
		return (decode_group7(d, in));
	for (i = 0; i < NPLAIN; i++)
		if (plain[i].opcode == op) {
			in->op = plain[i].op;
			return (0);
		}
	return (EINVAL);
}

/* insn_decode(), or DECODE_MORE: it goes on after the `n` bytes. */
static int
decode(const uint8_t *p, size_t n, int bits, struct insn *in)
{
	struct decoder d = { .p = p, .n = n, .bits = bits, .seg = -1 };
	uint8_t op;
	int error;

	memset(in, 0, sizeof(*in));
	error = decode_prefixes(&d, &op);
	if (error != 0)
		return (error);
	in->opsize = (d.rex & REX_W) != 0 ? 8 :
	    ((d.prefix & PREFIX_OPSIZE) != 0) != (bits == 16) ? 2 : 4;
	in->addrsize = bits == 64 ? 8 : bits == 16 ? 2 : 4;
	if ((d.prefix & PREFIX_ADDRSIZE) != 0)
		in->addrsize = bits == 32 ? 2 : 4;
	in->base = in->index = -1;
	in->scale = 1;
	in->seg = VCPU_REGS_DS;
	if (op == 0x0f)
		error = decode_0f(&d, in);
	else if (op == 0xf4 && (d.prefix & PREFIX_LOCK) == 0)
		in->op = INSN_HLT;
	else
		error = EINVAL;
	in->len = d.pos;
	return (error);
}

/*
 * Decodes one instruction of 16-, 32- or 64-bit code. Pure.
 *
 * Returns:
 *	EINVAL	none of enum insn_op, longer than `n` or than 15 bytes
 */
int
insn_decode(const uint8_t *p, size_t n, int bits, struct insn *in)
{
	return (decode(p, n, bits, in) == 0 ? 0 : EINVAL);
}

/*
 * Reads and decodes the instruction at CS:RIP. The next page is touched only
 * when the instruction goes on there: it may not be mapped.
 *
 * Locks: takes vm.lock.
 * Returns:
 *	EFAULT	with fault->event.valid: what a fetch would raise
 *	EINVAL	as insn_decode(); another VCPU may have changed the code
 *	others	from gpa_ptr()
 */
int
insn_fetch(struct vcpu *v, struct insn *in, struct gmem_fault *fault)
{
	struct vcpu_segment_info cs;
	const uint8_t *p;
	uint8_t buf[INSN_MAX];
	uint64_t va = v->gpr[VCPU_REGS_RIP];
	size_t n;
	int bits = 64, error;

	if (!vcpu_is_64(v)) {
		hv->segment(v, VCPU_REGS_CS, &cs);
		bits = (cs.vsi_ar & SEG_DB) != 0 ? 32 : 16;
		va = (uint32_t)(cs.vsi_base + (uint32_t)va);
	}
	n = PAGE_SIZE_4K - (va & (PAGE_SIZE_4K - 1));
	if (n > sizeof(buf))
		n = sizeof(buf);
	error = gmem_ptr(v, va, GMEM_X, &p, fault);
	if (error != 0)
		return (error);
	error = decode(p, n, bits, in);
	if (error != DECODE_MORE)
		return (error);
	memcpy(buf, p, n);
	error = gmem_read(v, va + n, buf + n, sizeof(buf) - n, GMEM_X, fault);
	if (error != 0)
		return (error);
	return (insn_decode(buf, sizeof(buf), bits, in));
}

/* Offset of the memory operand in its segment. */
static uint64_t
insn_offset(struct vcpu *v, const struct insn *in)
{
	uint64_t ea = (uint64_t)(int64_t)in->disp;

	if (in->base >= 0)
		ea += v->gpr[in->base];
	if (in->index >= 0)
		ea += v->gpr[in->index] * in->scale;
	if (in->riprel)
		ea += v->gpr[VCPU_REGS_RIP] + in->len;
	return (in->addrsize == 2 ? (uint16_t)ea :
	    in->addrsize == 4 ? (uint32_t)ea : ea);
}

/* Linear address of the memory operand. Only FS and GS have a 64-bit base. */
uint64_t
insn_ea(struct vcpu *v, const struct insn *in)
{
	struct vcpu_segment_info seg;
	uint64_t ea = insn_offset(v, in);
	bool is64 = vcpu_is_64(v);

	if (is64 && in->seg != VCPU_REGS_FS && in->seg != VCPU_REGS_GS)
		return (ea);
	hv->segment(v, in->seg, &seg);
	ea += seg.vsi_base;
	return (is64 ? ea : (uint32_t)ea);
}

/*
 * The exception that the operand's segment raises, or 0: `size` bytes beyond
 * its limit, a null selector, a write to what is not writable data.
 * APM Vol. 2 4.12 "Segment Limit Checks"
 */
uint8_t
insn_segment_fault(struct vcpu *v, const struct insn *in, unsigned int size,
    bool write)
{
	struct vcpu_segment_info seg;
	uint64_t first = insn_offset(v, in), last = first + size - 1;
	uint32_t type;
	bool ok;

	if (vcpu_is_64(v))
		return (0);
	hv->segment(v, in->seg, &seg);
	type = seg.vsi_ar & 0xf;
	ok = (seg.vsi_ar & SEG_UNUSABLE) == 0;
	if ((v->cr0 & CR0_PE) != 0 &&
	    (v->gpr[VCPU_REGS_RFLAGS] & RFLAGS_VM) == 0) {
		if ((type & SEG_CODE) != 0)
			ok = ok && !write && (type & SEG_RW) != 0;
		else
			ok = ok && (!write || (type & SEG_RW) != 0);
	}
	if ((type & (SEG_CODE | SEG_DOWN)) == SEG_DOWN)
		ok = ok && first > seg.vsi_limit &&
		    last <= ((seg.vsi_ar & SEG_DB) != 0 ? 0xffffffff : 0xffff);
	else
		ok = ok && last <= seg.vsi_limit;
	return (ok ? 0 : in->seg == VCPU_REGS_SS ? VMM_EX_SS : VMM_EX_GP);
}
