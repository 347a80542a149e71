/* SPDX-License-Identifier: ISC */
/*
 * check_exit.c - what the driver does about each kind of exit. The exits are
 * made by hand and given to exit_handle(), so that both vendors' forms count.
 */
#include "unit.h"

#define IP	0x1000
#define RAX	v->gpr[VCPU_REGS_RAX]
#define RBX	v->gpr[VCPU_REGS_RBX]
#define RCX	v->gpr[VCPU_REGS_RCX]
#define RDX	v->gpr[VCPU_REGS_RDX]
#define RSI	v->gpr[VCPU_REGS_RSI]
#define RIP	v->gpr[VCPU_REGS_RIP]
#define RFLAGS	v->gpr[VCPU_REGS_RFLAGS]

static uint32_t id;
static struct vcpu *v;
static struct vmexit x;
static struct hv_ops ops;	/* a vendor with other habits */

static void
setup_common(bool real)
{
	struct vcpu_reg_state r;

	id = unit_create(2 * MIB, 2);
	v = unit_vm(id)->vcpu[0];
	(real ? unit_real : unit_long)(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	memset(&x, 0, sizeof(x));
}

static void
setup_real(void)
{
	setup_common(true);
}

/* 64-bit mode over an identity map of the first 2 MiB. */
static void
setup_long(void)
{
	static const uint64_t pml4 = 0x3007, pdpt = 0x4007, pd = 0xe7;

	setup_common(false);
	unit_code(0x2000, &pml4, 8);
	unit_code(0x3000, &pdpt, 8);
	unit_code(0x4000, &pd, 8);
}

/* The next exit: kind, and the code bytes at RIP. */
static int
handle(enum vmexit_kind kind, const char *code, size_t n)
{
	x.kind = kind;
	if (code != NULL)
		unit_code(IP, code, n);
	return (exit_handle(v, &x));
}
#define HANDLE(kind, code)	handle(kind, code, sizeof(code) - 1)

/* Nothing happened but a fault at the same instruction. */
static void
expect_fault(uint8_t vector)
{
	ck_assert(v->exception.valid);
	ck_assert_uint_eq(v->exception.vector, vector);
	ck_assert_uint_eq(v->exception.type, EVENT_EXCEPTION);
	ck_assert_uint_eq(RIP, IP);
}

static void
expect_skip(unsigned int len)
{
	ck_assert(!v->exception.valid);
	ck_assert_uint_eq(RIP, IP + len);
}

/* --- What only comes back --- */

START_TEST(resume_kinds)
{
	static const enum vmexit_kind k[] = { VMEXIT_INTR, VMEXIT_NMI,
	    VMEXIT_MCE, VMEXIT_TIMER, VMEXIT_WINDOW };
	size_t i;

	for (i = 0; i < 5; i++)
		ck_assert_int_eq(handle(k[i], NULL, 0), EXIT_RESUME);
	expect_skip(0);
}
END_TEST

/* An exit that ends the VCPU: RIP stays, the log has the registers. */
START_TEST(fatal_kinds)
{
	static const enum vmexit_kind k[] = { VMEXIT_TASK_SWITCH,
	    VMEXIT_ENTRY_FAILED, VMEXIT_UNKNOWN, VMEXIT_NKINDS };

	x.code = 0x1234;
	x.info[0] = 0x777;
	ck_assert_int_eq(handle(k[_i], NULL, 0), EINVAL);
	expect_skip(0);
	ck_assert(fake_log_has("exit 0x1234 info 0x777"));
	ck_assert(fake_log_has("rip 0000000000001000"));
}
END_TEST

START_TEST(shutdown_to_client)
{
	ck_assert_int_eq(handle(VMEXIT_SHUTDOWN, NULL, 0), EXIT_USER);
	expect_skip(0);
}
END_TEST

START_TEST(ud_gp)
{
	ck_assert_int_eq(handle(VMEXIT_UD, NULL, 0), EXIT_RESUME);
	expect_fault(VMM_EX_UD);
	ck_assert_int_eq(handle(VMEXIT_GP, NULL, 0), EXIT_RESUME);
	expect_fault(VMM_EX_GP);
}
END_TEST

/* Real mode pushes no error code; protected mode does, for #GP. */
START_TEST(f1_error_code)
{
	(void)handle(VMEXIT_GP, NULL, 0);
	ck_assert(!v->exception.has_error);
	v->cr0 |= CR0_PE;
	(void)handle(VMEXIT_GP, NULL, 0);
	ck_assert(v->exception.has_error);
	ck_assert_uint_eq(v->exception.error, 0);
	(void)handle(VMEXIT_UD, NULL, 0);
	ck_assert(!v->exception.has_error);
}
END_TEST

START_TEST(nop_insns)
{
	ck_assert_int_eq(HANDLE(VMEXIT_NOP, "\x0f\x08"), EXIT_RESUME);
	expect_skip(2);
	RIP = IP;
	x.insn_len = 0;
	ck_assert_int_eq(HANDLE(VMEXIT_NOP, "\x66\x0f\x09"), EXIT_RESUME);
	expect_skip(3);
}
END_TEST

/* --- Lengths --- */

/* The CPU's length is used when there is one, whatever the bytes say. */
START_TEST(length_of_cpu)
{
	x.insn_len = 7;
	ck_assert_int_eq(HANDLE(VMEXIT_CPUID, "\x90\x90"), EXIT_RESUME);
	expect_skip(7);
}
END_TEST

START_TEST(length_decoded)
{
	x.insn_len = 0;
	ck_assert_int_eq(HANDLE(VMEXIT_CPUID, "\x66\x67\x2e\x0f\xa2"),
	    EXIT_RESUME);
	expect_skip(5);
}
END_TEST

/* Bytes that are no instruction of the exit: the VCPU ends, RIP stays. */
START_TEST(length_undecodable)
{
	static const enum vmexit_kind k[] = { VMEXIT_CPUID, VMEXIT_HLT,
	    VMEXIT_RDMSR, VMEXIT_WRMSR, VMEXIT_XSETBV, VMEXIT_NOP, VMEXIT_CR,
	    VMEXIT_DR };

	ck_assert_int_eq(HANDLE(k[_i], "\x90\x90\x90\x90"), EINVAL);
	expect_skip(0);
	ck_assert(fake_log_has("ends with error 22"));
}
END_TEST

/* RIP in a page that guest paging does not map: the guest gets its #PF. */
START_TEST(length_fetch_faults)
{
	static const enum vmexit_kind k[] = { VMEXIT_CPUID, VMEXIT_HLT,
	    VMEXIT_RDMSR, VMEXIT_WRMSR, VMEXIT_XSETBV, VMEXIT_NOP, VMEXIT_CR,
	    VMEXIT_DR };

	RIP = 0x40000000;
	ck_assert_int_eq(handle(k[_i], NULL, 0), EXIT_RESUME);
	ck_assert(v->exception.valid);
	ck_assert_uint_eq(v->exception.vector, VMM_EX_PF);
	ck_assert(v->exception.has_error);
	ck_assert_uint_eq(v->cr2, 0x40000000);
	ck_assert_uint_eq(RIP, 0x40000000);
	ck_assert_uint_ne(v->dirty & DIRTY_CR, 0);
}
END_TEST

/* --- Skipping --- */

START_TEST(skip_clears_shadow_and_rf)
{
	v->shadow = true;
	RFLAGS |= RFLAGS_RF;
	(void)HANDLE(VMEXIT_CPUID, "\x0f\xa2");
	ck_assert(!v->shadow);
	ck_assert_uint_eq(RFLAGS & RFLAGS_RF, 0);
}
END_TEST

/* F1, TF: the emulated instruction is one step, #DB with DR6.BS after it. */
START_TEST(f1_single_step)
{
	RFLAGS |= RFLAGS_TF;
	v->dr6 = DR6_INIT;
	(void)HANDLE(VMEXIT_CPUID, "\x0f\xa2");
	ck_assert(v->exception.valid);
	ck_assert_uint_eq(v->exception.vector, VMM_EX_DB);
	ck_assert(!v->exception.has_error);
	ck_assert_uint_eq(v->dr6, DR6_INIT | DR6_BS);
	ck_assert_uint_eq(RIP, IP + 2);
}
END_TEST

START_TEST(skip_wraps)
{
	RIP = 0xffffffff;
	x.insn_len = 2;
	(void)handle(VMEXIT_CPUID, NULL, 0);
	ck_assert_uint_eq(RIP, 1);
}
END_TEST

START_TEST(skip_64bit)
{
	RIP = 0xffffffff;
	x.insn_len = 2;
	(void)handle(VMEXIT_CPUID, NULL, 0);
	ck_assert_uint_eq(RIP, 0x100000001);
}
END_TEST

/* --- CPUID, HLT, MSRs --- */

START_TEST(cpuid_regs)
{
	RAX = 0xdead00040000000ULL << 4;	/* leaf 0x40000000 */
	RAX = 0xdeadbeef40000000;
	RBX = RCX = RDX = UINT64_MAX;
	(void)HANDLE(VMEXIT_CPUID, "\x0f\xa2");
	expect_skip(2);
	ck_assert_uint_eq(RAX, 0x40000001);
	ck_assert_uint_eq(RBX, 0x6e65704f);
	ck_assert_uint_eq(RCX, 0x56445342);
	ck_assert_uint_eq(RDX, 0x38354d4d);
}
END_TEST

START_TEST(hlt)
{
	RFLAGS |= RFLAGS_IF;
	ck_assert_int_eq(HANDLE(VMEXIT_HLT, "\xf4"), EXIT_USER);
	expect_skip(1);
	RIP = IP;
	RFLAGS &= ~RFLAGS_IF;
	x.insn_len = 0;
	ck_assert_int_eq(HANDLE(VMEXIT_HLT, "\xf4"), EIO);
	expect_skip(1);
	RIP = IP;
	x.insn_len = 0;
	ck_assert_int_eq(HANDLE(VMEXIT_HLT, "\x66\xf4"), EIO);
	expect_skip(2);
}
END_TEST

/* With a vector waiting HLT wakes at once; with IF=0 it cannot. */
START_TEST(hlt_with_vector)
{
	v->irq[1] = 1;
	RFLAGS |= RFLAGS_IF;
	ck_assert_int_eq(HANDLE(VMEXIT_HLT, "\xf4"), EXIT_RESUME);
	expect_skip(1);
	RIP = IP;
	x.insn_len = 0;
	RFLAGS &= ~RFLAGS_IF;
	ck_assert_int_eq(HANDLE(VMEXIT_HLT, "\xf4"), EIO);
}
END_TEST

START_TEST(rdmsr)
{
	RAX = RDX = UINT64_MAX;
	RCX = 0xffffffff0000001b;	/* upper half is not looked at */
	(void)HANDLE(VMEXIT_RDMSR, "\x0f\x32");
	expect_skip(2);
	ck_assert_uint_eq(RAX, 0xfee00900);
	ck_assert_uint_eq(RDX, 0);
	RIP = IP;
	x.insn_len = 0;
	RCX = 0x12345;
	(void)HANDLE(VMEXIT_RDMSR, "\x0f\x32");
	expect_fault(VMM_EX_GP);
	ck_assert_uint_eq(RAX, 0xfee00900);
}
END_TEST

START_TEST(wrmsr)
{
	RCX = 0x277;
	RAX = 0xffffffff00070406;
	RDX = 0xffffffff00070106;
	(void)HANDLE(VMEXIT_WRMSR, "\x0f\x30");
	expect_skip(2);
	ck_assert_uint_eq(v->pat, 0x0007010600070406);
	RIP = IP;
	x.insn_len = 0;
	RAX = 2;		/* no memory type */
	(void)HANDLE(VMEXIT_WRMSR, "\x0f\x30");
	expect_fault(VMM_EX_GP);
	ck_assert_uint_eq(v->pat, 0x0007010600070406);
}
END_TEST

START_TEST(wrmsr_unknown_ignored)
{
	RCX = 0x12345;
	(void)HANDLE(VMEXIT_WRMSR, "\x0f\x30");
	expect_skip(2);
}
END_TEST

/* --- Port I/O --- */

static int
io(uint16_t port, uint8_t size, bool in)
{
	RIP = IP;
	memset(&x, 0, sizeof(x));
	x.insn_len = 2;
	x.u.io.port = port;
	x.u.io.size = size;
	x.u.io.in = in;
	return (handle(VMEXIT_IO, NULL, 0));
}

/* abi.md 3.2.1 and C2: the whole port space against the list. */
START_TEST(io_port_list)
{
	static const uint16_t r[][2] = { { 0x20, 0x21 }, { 0x40, 0x43 },
	    { 0x61, 0x61 }, { 0x70, 0x71 }, { 0xa0, 0xa1 }, { 0x3f8, 0x3ff },
	    { 0x4d0, 0x4d1 }, { 0x500, 0x511 }, { 0x514, 0x514 },
	    { 0x518, 0x518 }, { 0xcf8, 0xcf8 }, { 0xcfc, 0xcff },
	    { 0x1000, 0xffff } };
	uint32_t port;
	size_t i;
	bool listed;
	int got;

	for (port = 0; port <= 0xffff; port++) {
		listed = false;
		for (i = 0; i < sizeof(r) / sizeof(r[0]); i++)
			if (port >= r[i][0] && port <= r[i][1])
				listed = true;
		got = io((uint16_t)port, 1, port & 1);
		ck_assert_msg(got == (listed ? EXIT_USER : EXIT_RESUME),
		    "port %#x", port);
	}
}
END_TEST

START_TEST(io_out_unlisted)
{
	RAX = 0x1122334455667788;
	ck_assert_int_eq(io(0x80, 4, false), EXIT_RESUME);
	expect_skip(2);
	ck_assert_uint_eq(RAX, 0x1122334455667788);
}
END_TEST

START_TEST(io_in_unlisted)
{
	static const uint64_t want[] = { 0, 0x11223344556677ff,
	    0x112233445566ffff, 0, 0x00000000ffffffff };
	unsigned int size;

	for (size = 1; size <= 4; size *= 2) {
		RAX = 0x1122334455667788;
		ck_assert_int_eq(io(0x80, (uint8_t)size, true), EXIT_RESUME);
		expect_skip(2);
		ck_assert_uint_eq(RAX, want[size]);
	}
	ck_assert_uint_eq(v->in_pending, 0);
}
END_TEST

START_TEST(io_fields)
{
	struct vm_exit_inout *vei = &v->exit.vei;

	RAX = 0x1122334455667788;
	ck_assert_int_eq(io(0x3f8, 2, true), EXIT_USER);
	ck_assert_uint_eq(vei->vei_size, 2);
	ck_assert_uint_eq(vei->vei_dir, VEI_DIR_IN);
	ck_assert_uint_eq(vei->vei_rep, 0);
	ck_assert_uint_eq(vei->vei_string, 0);
	ck_assert_uint_eq(vei->vei_encoding, 0);
	ck_assert_uint_eq(vei->vei_port, 0x3f8);
	ck_assert_uint_eq(vei->vei_data, 0x55667788);
	ck_assert_uint_eq(v->in_pending, 2);
	ck_assert_uint_eq(RAX, 0x1122334455667788);
	ck_assert_int_eq(io(0xcf8, 4, false), EXIT_USER);
	ck_assert_uint_eq(vei->vei_size, 4);
	ck_assert_uint_eq(vei->vei_dir, VEI_DIR_OUT);
	ck_assert_uint_eq(vei->vei_port, 0xcf8);
	ck_assert_uint_eq(v->in_pending, 0);
	x.u.io.imm = true;
	RIP = IP;
	(void)handle(VMEXIT_IO, NULL, 0);
	ck_assert_uint_eq(vei->vei_encoding, 1);
}
END_TEST

/* String I/O: one exit, RIP past it, no register or memory moved. */
START_TEST(io_string)
{
	struct vm_exit_inout *vei = &v->exit.vei;

	RSI = 0x500;
	RCX = 5;
	RAX = 0x1234;
	x.insn_len = 2;
	x.u.io = (struct vmexit_io){ .port = 0x3f8, .size = 1, .in = true,
	    .string = true, .rep = true };
	ck_assert_int_eq(handle(VMEXIT_IO, NULL, 0), EXIT_USER);
	expect_skip(2);
	ck_assert_uint_eq(vei->vei_string, 1);
	ck_assert_uint_eq(vei->vei_rep, 1);
	ck_assert_uint_eq(v->in_pending, 0);
	ck_assert_uint_eq(RSI, 0x500);
	ck_assert_uint_eq(RCX, 5);
	RIP = IP;
	x.u.io.port = 0x80;
	ck_assert_int_eq(handle(VMEXIT_IO, NULL, 0), EXIT_RESUME);
	ck_assert_uint_eq(RAX, 0x1234);
}
END_TEST

/* F6: any length. */
START_TEST(f6_io_length)
{
	unsigned int len;

	for (len = 1; len <= 15; len++) {
		RIP = IP;
		x.insn_len = (uint8_t)len;
		x.u.io.port = 0x80;
		x.u.io.size = 1;
		(void)handle(VMEXIT_IO, NULL, 0);
		expect_skip(len);
	}
}
END_TEST

START_TEST(f7_merge)
{
	uint64_t r = 0x1122334455667788;

	exit_io_merge(&r, 0, 0xaabbccdd);
	ck_assert_uint_eq(r, 0x1122334455667788);
	exit_io_merge(&r, 1, 0xaabbccdd);
	ck_assert_uint_eq(r, 0x11223344556677dd);
	exit_io_merge(&r, 2, 0xaabbccee);
	ck_assert_uint_eq(r, 0x112233445566ccee);
	exit_io_merge(&r, 4, 0xaabbccdd);
	ck_assert_uint_eq(r, 0xaabbccdd);
}
END_TEST

/* --- CR0, CR4, CR8 --- */

/* A decoded register exit, as VMX gives it. */
static int
cr(uint8_t reg, uint8_t op, uint64_t value)
{
	RIP = IP;
	memset(&v->exception, 0, sizeof(v->exception));
	memset(&x, 0, sizeof(x));
	x.insn_len = 3;
	x.u.reg.reg = reg;
	x.u.reg.decoded = true;
	x.u.reg.op = op;
	x.u.reg.gpr = VCPU_REGS_RBX;
	x.u.reg.value = (uint16_t)value;
	if (op == REG_WRITE)
		RBX = value;
	v->dirty = 0;
	return (handle(VMEXIT_CR, NULL, 0));
}

static void
cr_ok(uint8_t reg, uint64_t value)
{
	ck_assert_int_eq(cr(reg, REG_WRITE, value), EXIT_RESUME);
	expect_skip(3);
}

static void
cr_gp(uint8_t reg, uint64_t value)
{
	uint64_t cr0 = v->cr0, cr4 = v->cr4, efer = v->efer;

	ck_assert_int_eq(cr(reg, REG_WRITE, value), EXIT_RESUME);
	expect_fault(VMM_EX_GP);
	ck_assert_uint_eq(v->cr0, cr0);
	ck_assert_uint_eq(v->cr4, cr4);
	ck_assert_uint_eq(v->efer, efer);
}

START_TEST(cr0_write)
{
	cr_ok(0, 0x11);
	ck_assert_uint_eq(v->cr0, 0x11);
	ck_assert_uint_ne(v->dirty & DIRTY_CR, 0);
	cr_ok(0, 0x1);			/* ET is always 1 */
	ck_assert_uint_eq(v->cr0, 0x11);
	cr_ok(0, 0x80000031);
	ck_assert_uint_eq(v->cr0, 0x80000031);
	cr_ok(0, 0x60000010);		/* CD and NW read back (F14) */
	ck_assert_uint_eq(v->cr0, 0x60000010);
	cr_ok(0, 0x40000010);
	cr_ok(0, 0x1ffaffd0 | 0x10);	/* undefined bits are dropped */
	ck_assert_uint_eq(v->cr0, 0x10);
	cr_gp(0, 0x80000010);		/* PG without PE */
	cr_gp(0, 0x20000010);		/* NW without CD */
}
END_TEST

/* Bits 63:32 only exist to a MOV in 64-bit mode. */
START_TEST(cr0_upper)
{
	cr_gp(0, 0x180000011);
	cr_gp(0, 0x80000010);
	cr_gp(0, 0x11);			/* PG cleared in 64-bit mode */
	cr_ok(0, 0x80000013);
}
END_TEST

START_TEST(cr0_upper_real)
{
	cr_ok(0, 0x100000011);
	ck_assert_uint_eq(v->cr0, 0x11);
}
END_TEST

/* Long mode becomes active with PG, and inactive without it. */
START_TEST(cr0_long_mode)
{
	v->efer = EFER_LME;
	cr_gp(0, 0x80000011);		/* without PAE */
	v->cr4 = CR4_PAE;
	cr_ok(0, 0x80000011);
	ck_assert_uint_eq(v->efer, EFER_LME | EFER_LMA);
	cr_gp(4, 0);			/* PAE cannot go now */
	cr_ok(0, 0x11);			/* compatibility mode: it may */
	ck_assert_uint_eq(v->efer, EFER_LME);
}
END_TEST

/* CS.L set while long mode is to be activated: #GP. */
START_TEST(cr0_long_mode_cs_l)
{
	v->cr0 = 0x11;
	v->efer = EFER_LME;
	cr_gp(0, 0x80000011);
}
END_TEST

START_TEST(cr0_others)
{
	v->cr0 = CR0_PE | CR0_TS | CR0_ET;
	ck_assert_int_eq(cr(0, REG_CLTS, 0), EXIT_RESUME);
	expect_skip(3);
	ck_assert_uint_eq(v->cr0, CR0_PE | CR0_ET);
	ck_assert_int_eq(cr(0, REG_LMSW, 0xfffe), EXIT_RESUME);
	expect_skip(3);
	/* PE stays, MP EM TS come, nothing else. */
	ck_assert_uint_eq(v->cr0, 0x1f);
	ck_assert_int_eq(cr(0, REG_READ, 0), EXIT_RESUME);
	ck_assert_uint_eq(RBX, 0x1f);
	v->cr0 = CR0_ET;
	ck_assert_int_eq(cr(0, REG_LMSW, 0x1), EXIT_RESUME);
	ck_assert_uint_eq(v->cr0, 0x11);
}
END_TEST

START_TEST(cr4_write)
{
	cr_ok(4, CR4_PAE | CR4_PSE | CR4_OSFXSR);
	ck_assert_uint_eq(v->cr4, CR4_PAE | CR4_PSE | CR4_OSFXSR);
	ck_assert_int_eq(cr(4, REG_READ, 0), EXIT_RESUME);
	ck_assert_uint_eq(RBX, CR4_PAE | CR4_PSE | CR4_OSFXSR);
	cr_gp(4, CR4_VMXE);		/* F14 */
	cr_gp(4, CR4_PCIDE);		/* hidden by CPUID */
	cr_gp(4, CR4_LA57);
	cr_gp(4, CR4_PKE);
	cr_gp(4, CR4_MCE);		/* F17: never the guest's */
	cr_gp(4, 1u << 31);
}
END_TEST

START_TEST(cr8)
{
	cr_ok(8, 15);
	ck_assert_uint_eq(v->cr8, 15);
	ck_assert_int_eq(cr(8, REG_READ, 0), EXIT_RESUME);
	ck_assert_uint_eq(RBX, 15);
	cr_gp(8, 16);
	cr_gp(3, 0);			/* no such exit */
}
END_TEST

/* A CPU that cannot run some values: cr_check decides. */
static int
refuse(uint64_t cr0, uint64_t cr4)
{
	return ((cr0 & CR0_NE) == 0 || (cr4 & CR4_PSE) != 0 ? EINVAL : 0);
}

START_TEST(cr_check_refuses)
{
	const struct hv_ops *was = hv;

	ops = *hv;
	ops.cr_check = refuse;
	hv = &ops;
	cr_gp(0, 0x11);
	cr_ok(0, 0x31);
	cr_ok(4, CR4_PAE);
	cr_gp(4, CR4_PSE);
	hv = was;
}
END_TEST

/* VMX: PAE paging loads the four PDPTEs, from memory or as zeros. */
START_TEST(pdptes)
{
	static const uint64_t table[4] = { 0x1001, 0x2001, 0x3001, 0x4001 };
	const struct hv_ops *was = hv;
	struct vcpu_reg_state r;
	int i;

	ops = *hv;
	ops.wants_pdptes = true;
	unit_real(&r);
	r.vrs_crs[VCPU_REGS_CR3] = 0x2020;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_CRS, &r), 0);
	hv = &ops;
	unit_code(0x2020, table, sizeof(table));
	cr_ok(4, CR4_PAE);
	cr_ok(0, 0x80000011);
	for (i = 0; i < 4; i++)
		ck_assert_uint_eq(v->pdpte[i], table[i]);
	unit_code(0x2028, &table[3], 8);
	cr_ok(4, CR4_PAE | CR4_PGE);
	ck_assert_uint_eq(v->pdpte[1], 0x4001);
	hv = was;
	cr_ok(0, 0x11);
	r.vrs_crs[VCPU_REGS_CR3] = 0x7fffe000;	/* no memory there */
	r.vrs_crs[VCPU_REGS_CR4] = CR4_PAE;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_CRS, &r), 0);
	hv = &ops;
	cr_gp(0, 0x80000011);
	ck_assert_uint_eq(v->pdpte[0], 0);	/* as written */
	hv = was;
}
END_TEST

/* A present PDPTE with a reserved bit: #GP, and the old ones stay. */
START_TEST(pdptes_reserved)
{
	static const uint64_t good[4] = { 0x1001, 0x1e6, 0x3001, 0 };
	static const uint64_t bad[] = { 0x1003, 0x1021, 0x1181, 1ULL << 48 | 1,
	    1ULL << 63 | 1 };
	const struct hv_ops *was = hv;
	struct vcpu_reg_state r;
	size_t i;

	ops = *hv;
	ops.wants_pdptes = true;
	unit_real(&r);
	r.vrs_crs[VCPU_REGS_CR3] = 0x2000;
	r.vrs_crs[VCPU_REGS_CR4] = CR4_PAE;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_CRS, &r), 0);
	hv = &ops;
	unit_code(0x2000, good, sizeof(good));
	cr_ok(0, 0x80000011);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		unit_code(0x2010, &bad[i], 8);
		cr_gp(4, CR4_PAE | CR4_PGE);
		ck_assert_uint_eq(v->pdpte[2], 0x3001);
	}
	hv = was;
}
END_TEST

/* The same by decoding: MOV both ways, CLTS, LMSW, SMSW. */
START_TEST(cr_decoded)
{
	RBX = 0x11;
	(void)HANDLE(VMEXIT_CR, "\x0f\x22\xc3");	/* mov %ebx,%cr0 */
	expect_skip(3);
	ck_assert_uint_eq(v->cr0, 0x11);
	RIP = IP;
	(void)HANDLE(VMEXIT_CR, "\x0f\x20\xc1");	/* mov %cr0,%ecx */
	expect_skip(3);
	ck_assert_uint_eq(RCX, 0x11);
	RIP = IP;
	v->cr0 |= CR0_TS;
	(void)HANDLE(VMEXIT_CR, "\x0f\x06");		/* clts */
	expect_skip(2);
	ck_assert_uint_eq(v->cr0, 0x11);
	RIP = IP;
	RAX = 0x3;
	(void)HANDLE(VMEXIT_CR, "\x0f\x01\xf0");	/* lmsw %ax */
	expect_skip(3);
	ck_assert_uint_eq(v->cr0, 0x13);
	RIP = IP;
	RBX = UINT64_MAX;
	(void)HANDLE(VMEXIT_CR, "\x0f\x01\xe3");	/* smsw %bx */
	expect_skip(3);
	ck_assert_uint_eq(RBX, 0xffffffffffff0013);
	RIP = IP;
	(void)HANDLE(VMEXIT_CR, "\x66\x0f\x01\xe3");	/* smsw %ebx */
	ck_assert_uint_eq(RBX, 0x13);
	RIP = IP;
	RBX = 0x20;
	(void)HANDLE(VMEXIT_CR, "\x0f\x22\xe3");	/* mov %ebx,%cr4 */
	ck_assert_uint_eq(v->cr4, 0x20);
}
END_TEST

START_TEST(cr_decoded_memory)
{
	static const uint16_t msw = 0x0003;
	uint16_t got;

	unit_code(0x500, &msw, 2);
	v->gpr[VCPU_REGS_RBX] = 0x500;
	(void)HANDLE(VMEXIT_CR, "\x0f\x01\x37");	/* lmsw (%bx) */
	expect_skip(3);
	ck_assert_uint_eq(v->cr0, 0x13);
	RIP = IP;
	(void)HANDLE(VMEXIT_CR, "\x0f\x01\x67\x02");	/* smsw 2(%bx) */
	expect_skip(4);
	fake_user_read(GUEST_VA + 0x502, &got, 2);
	ck_assert_uint_eq(got, 0x0013);
}
END_TEST

/*
 * The segment of the operand, which LMSW reads and SMSW writes: #GP(0), and
 * #SS(0) through SS. APM Vol. 2 4.12 "Segment Limit Checks".
 */
START_TEST(cr_decoded_segment)
{
	static const struct {
		uint32_t	ar, limit;
		bool		pe;
		uint16_t	at;
		bool		lmsw, smsw;	/* allowed */
	} t[] = {
		{ 0x0093, 0xffff, false, 0x0500, true, true },
		{ 0x0093, 0x0500, false, 0x0500, false, false },
		{ 0x0093, 0x0501, false, 0x0500, true, true },
		{ 0x0093, 0xffff, true, 0x0500, true, true },
		{ 0x0091, 0xffff, true, 0x0500, true, false }, /* read-only */
		{ 0x009b, 0xffff, true, 0x0500, true, false }, /* code */
		{ 0x0099, 0xffff, true, 0x0500, false, false }, /* X only */
		{ 0x0097, 0x04ff, true, 0x0500, true, true },	/* down */
		{ 0x0097, 0x0500, true, 0x0500, false, false },
		{ 0x0097, 0x0000, true, 0xffff, false, false },
		{ 0x4097, 0x0000, true, 0xffff, true, true },
		{ 0x10093, 0xffff, true, 0x0500, false, false },
	};
	struct vcpu_reg_state r;
	size_t i;
	int smsw;

	for (i = 0; i < 2 * sizeof(t) / sizeof(t[0]); i++) {
		smsw = i & 1;
		unit_real(&r);
		r.vrs_crs[VCPU_REGS_CR0] = t[i / 2].pe ? 0x11 : 0x10;
		r.vrs_sregs[VCPU_REGS_DS].vsi_ar = t[i / 2].ar;
		r.vrs_sregs[VCPU_REGS_DS].vsi_limit = t[i / 2].limit;
		r.vrs_gprs[VCPU_REGS_RBX] = t[i / 2].at;
		ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_ALL, &r), 0);
		memset(&v->exception, 0, sizeof(v->exception));
		ck_assert_int_eq(smsw ? HANDLE(VMEXIT_CR, "\x0f\x01\x27") :
		    HANDLE(VMEXIT_CR, "\x0f\x01\x37"), EXIT_RESUME);
		ck_assert_msg(v->exception.valid ==
		    !(smsw ? t[i / 2].smsw : t[i / 2].lmsw), "row %zu", i / 2);
		if (v->exception.valid)
			expect_fault(VMM_EX_GP);
	}
	unit_real(&r);
	r.vrs_sregs[VCPU_REGS_SS].vsi_limit = 0x100;
	r.vrs_gprs[VCPU_REGS_RBP] = 0x500;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_ALL, &r), 0);
	(void)HANDLE(VMEXIT_CR, "\x0f\x01\x76\x00");	/* lmsw 0(%bp) */
	expect_fault(VMM_EX_SS);
}
END_TEST

/* An operand where the VM has no memory: the VCPU ends. */
START_TEST(cr_decoded_nowhere)
{
	struct vcpu_reg_state r;

	unit_real(&r);
	r.vrs_sregs[VCPU_REGS_DS].vsi_base = 4 * MIB;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_SREGS, &r), 0);
	RBX = 0x500;
	ck_assert_int_eq(HANDLE(VMEXIT_CR, "\x0f\x01\x37"), EINVAL);
	expect_skip(0);
	ck_assert_int_eq(HANDLE(VMEXIT_CR, "\x0f\x01\x27"), EINVAL);
	expect_skip(0);
}
END_TEST

START_TEST(cr_decoded_64)
{
	RBX = UINT64_MAX;
	(void)HANDLE(VMEXIT_CR, "\x0f\x20\xc3");	/* mov %cr0,%rbx */
	ck_assert_uint_eq(RBX, 0x80000011);
	RIP = IP;
	(void)HANDLE(VMEXIT_CR, "\x48\x0f\x01\xe1");	/* smsw %rcx */
	expect_skip(4);
	ck_assert_uint_eq(RCX, 0x80000011);
}
END_TEST

/* Memory operands where no page is: the guest's own #PF, nothing else. */
START_TEST(cr_decoded_faults)
{
	RBX = 0x40000000;
	(void)HANDLE(VMEXIT_CR, "\x0f\x01\x33");	/* lmsw (%rbx) */
	expect_fault(VMM_EX_PF);
	ck_assert_uint_eq(v->cr2, 0x40000000);
	ck_assert_uint_eq(v->exception.error, 0);
	memset(&v->exception, 0, sizeof(v->exception));
	(void)HANDLE(VMEXIT_CR, "\x0f\x01\x23");	/* smsw (%rbx) */
	expect_fault(VMM_EX_PF);
	ck_assert_uint_eq(v->exception.error, 2);
	ck_assert_uint_eq(v->cr0, 0x80000011);
}
END_TEST

/* Another instruction than a register access where one exited. */
START_TEST(cr_decoded_other)
{
	ck_assert_int_eq(HANDLE(VMEXIT_CR, "\x0f\xa2"), EINVAL);
	ck_assert(fake_log_has("ends with error 22"));
	expect_skip(0);
}
END_TEST

/* --- Debug registers --- */

static int
dr(uint8_t reg, uint8_t op, uint64_t value)
{
	RIP = IP;
	memset(&v->exception, 0, sizeof(v->exception));
	memset(&x, 0, sizeof(x));
	x.insn_len = 3;
	x.u.reg.reg = reg;
	x.u.reg.decoded = true;
	x.u.reg.op = op;
	x.u.reg.gpr = VCPU_REGS_RBX;
	if (op == REG_WRITE)
		RBX = value;
	return (handle(VMEXIT_DR, NULL, 0));
}

START_TEST(dr_write_read)
{
	uint8_t n;

	for (n = 0; n < 4; n++) {
		(void)dr(n, REG_WRITE, 0x1000u + n);
		expect_skip(3);
		ck_assert_uint_eq(v->dr[n], 0x1000u + n);
		(void)dr(n, REG_READ, 0);
		ck_assert_uint_eq(RBX, 0x1000u + n);
	}
	(void)dr(6, REG_WRITE, 0xffffffff);
	ck_assert_uint_eq(v->dr6, 0xffffefff);
	(void)dr(6, REG_WRITE, 0);
	ck_assert_uint_eq(v->dr6, 0xffff0ff0);
	(void)dr(7, REG_WRITE, 0);
	ck_assert_uint_eq(v->dr7, 0x400);
	(void)dr(7, REG_READ, 0);
	ck_assert_uint_eq(RBX, 0x400);
	(void)dr(4, REG_READ, 0);		/* alias of DR6 */
	ck_assert_uint_eq(RBX, 0xffff0ff0);
	(void)dr(5, REG_WRITE, 3);		/* alias of DR7 */
	ck_assert_uint_eq(v->dr7, 0x403);
}
END_TEST

START_TEST(dr_faults)
{
	v->cr4 = CR4_DE;
	(void)dr(4, REG_READ, 0);
	expect_fault(VMM_EX_UD);
	(void)dr(5, REG_WRITE, 0);
	expect_fault(VMM_EX_UD);
	(void)dr(8, REG_READ, 0);
	expect_fault(VMM_EX_UD);
	(void)dr(15, REG_WRITE, 0);
	expect_fault(VMM_EX_UD);
}
END_TEST

/* DR7.GD: the access traps, the register is untouched, GD is cleared. */
START_TEST(dr_gd)
{
	v->dr7 = 0x2400;
	v->dr6 = DR6_INIT;
	(void)dr(0, REG_WRITE, 0x1234);
	expect_fault(VMM_EX_DB);
	ck_assert_uint_eq(v->dr[0], 0);
	ck_assert_uint_eq(v->dr7, 0x400);
	ck_assert_uint_eq(v->dr6, DR6_INIT | DR6_BD);
}
END_TEST

START_TEST(dr_upper)
{
	(void)dr(0, REG_WRITE, 0x100000000);
	expect_skip(3);
	ck_assert_uint_eq(v->dr[0], 0x100000000);
	(void)dr(7, REG_WRITE, 0x100000400);
	expect_fault(VMM_EX_GP);
	(void)dr(6, REG_WRITE, 0x100000000);
	expect_fault(VMM_EX_GP);
}
END_TEST

START_TEST(dr_upper_real)
{
	(void)dr(0, REG_WRITE, 0x100000007);
	ck_assert_uint_eq(v->dr[0], 7);
	(void)dr(7, REG_WRITE, 0x100000401);
	expect_skip(3);
	ck_assert_uint_eq(v->dr7, 0x401);
}
END_TEST

START_TEST(dr_decoded)
{
	RBX = 0x5555;
	(void)HANDLE(VMEXIT_DR, "\x0f\x23\xcb");	/* mov %ebx,%dr1 */
	expect_skip(3);
	ck_assert_uint_eq(v->dr[1], 0x5555);
	RIP = IP;
	(void)HANDLE(VMEXIT_DR, "\x0f\x21\xc9");	/* mov %dr1,%ecx */
	expect_skip(3);
	ck_assert_uint_eq(RCX, 0x5555);
}
END_TEST

/* --- XSETBV --- */

START_TEST(xsetbv)
{
	RCX = 0;
	RDX = 0;
	RAX = 7;
	(void)HANDLE(VMEXIT_XSETBV, "\x0f\x01\xd1");
	expect_skip(3);
	ck_assert_uint_eq(v->xcr0, 7);
	RIP = IP;
	x.insn_len = 0;
	RAX = 0xffffffff00000003;
	RDX = 0xffffffff00000000;
	(void)HANDLE(VMEXIT_XSETBV, "\x0f\x01\xd1");
	expect_skip(3);
	ck_assert_uint_eq(v->xcr0, 3);
}
END_TEST

START_TEST(xsetbv_gp)
{
	static const struct {
		uint32_t	ecx, edx, eax;
	} bad[] = {
		{ 1, 0, 1 },		/* no XCR1 */
		{ 0, 0, 0 },		/* x87 is not optional */
		{ 0, 0, 2 },
		{ 0, 0, 5 },		/* AVX without SSE */
		{ 0, 0, 0xf },		/* not the host's */
		{ 0, 1, 7 },
		{ 0, 0, 0x207 },
	};

	RCX = bad[_i].ecx;
	RDX = bad[_i].edx;
	RAX = bad[_i].eax;
	(void)HANDLE(VMEXIT_XSETBV, "\x0f\x01\xd1");
	expect_fault(VMM_EX_GP);
	ck_assert_uint_eq(v->xcr0, 1);
}
END_TEST

/* From CPL 3 it is #GP even with a good value. */
START_TEST(xsetbv_cpl)
{
	struct vcpu_reg_state r;

	unit_real(&r);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &r), 0);
	r.vrs_sregs[VCPU_REGS_SS].vsi_ar |= 0x60;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_SREGS, &r), 0);
	v->cr0 |= CR0_PE;
	RAX = 7;
	RCX = RDX = 0;
	x.insn_len = 3;
	(void)handle(VMEXIT_XSETBV, NULL, 0);
	expect_fault(VMM_EX_GP);
}
END_TEST

/* --- Nested page faults --- */

static int
npf(uint64_t gpa, uint8_t access)
{
	x.u.npf.gpa = gpa;
	x.u.npf.access = access;
	x.code = 0x400;
	return (handle(VMEXIT_NPF, NULL, 0));
}

START_TEST(npf_first_touch)
{
	ck_assert_int_eq(npf(0x5123, NPT_W), EXIT_RESUME);
	ck_assert_uint_eq(fake_pins(), 1);
	ck_assert_uint_eq(fake_page_pins(fake_user_pa(GUEST_VA + 0x5000)), 1);
	expect_skip(0);
}
END_TEST

/* F20: a forbidden access goes to the client; the page is left alone. */
START_TEST(f20_npf_forbidden)
{
	static const struct {
		int	prot, access, want;
	} t[] = {
		{ 1, NPT_R, EXIT_RESUME }, { 1, NPT_W, EXIT_USER },
		{ 1, NPT_X, EXIT_USER }, { 3, NPT_W, EXIT_RESUME },
		{ 3, NPT_X, EXIT_USER }, { 4, NPT_R, EXIT_RESUME },
		{ 4, NPT_X, EXIT_RESUME }, { 4, NPT_W, EXIT_USER },
		{ 5, NPT_W, EXIT_USER }, { 7, NPT_W, EXIT_RESUME },
	};
	int want;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		ck_assert_int_eq(unit_protect(id, 0x5000, 0x1000, t[i].prot),
		    0);
		v->exit.vee.vee_fault_type = 0x55;
		want = t[i].want;
		if (hv->npt->exec_only && t[i].prot == 4 &&
		    t[i].access == NPT_R)
			want = EXIT_USER;	/* R is not implied there */
		ck_assert_msg(npf(0x5123, (uint8_t)t[i].access) == want,
		    "row %zu", i);
		ck_assert_uint_eq(v->exit.vee.vee_fault_type,
		    want == EXIT_USER ? VEE_FAULT_PROTECT : 0x55);
		expect_skip(0);
	}
}
END_TEST

START_TEST(npf_nowhere)
{
	ck_assert_int_eq(npf(2 * MIB, NPT_R), EINVAL);
	ck_assert(fake_log_has("ends with error 22"));
	ck_assert_int_eq(npf(0xf0000000, NPT_R), EFAULT);
	fake_user_unmap(GUEST_VA + 0x6000, 0x1000);
	ck_assert_int_eq(npf(0x6000, NPT_R), EFAULT);
	fake_fail_at(1);
	ck_assert_int_eq(npf(0x7000, NPT_R), ENOMEM);
	ck_assert_int_eq(npf(0x7000, NPT_R), EXIT_RESUME);
}
END_TEST

/* --- Exceptions --- */

/* #DB and #AC go to the guest unchanged, at the next entry. */
START_TEST(f17_exception)
{
	x.u.event = (struct hv_event){ true, EVENT_EXCEPTION, VMM_EX_AC, true,
	    0 };
	ck_assert_int_eq(handle(VMEXIT_EXCEPTION, NULL, 0), EXIT_RESUME);
	ck_assert(v->event.valid);
	ck_assert_uint_eq(v->event.vector, VMM_EX_AC);
	ck_assert(v->event.has_error);
}
END_TEST

/* F18: an interrupt that was being delivered then goes back to the set. */
START_TEST(f18_exception_keeps_vector)
{
	v->event = (struct hv_event){ true, EVENT_INTR, 0x81, false, 0 };
	x.u.event = (struct hv_event){ true, EVENT_EXCEPTION, VMM_EX_DB,
	    false, 0 };
	(void)handle(VMEXIT_EXCEPTION, NULL, 0);
	ck_assert_uint_eq(v->event.vector, VMM_EX_DB);
	ck_assert_uint_eq(v->irq[2], 2);
	/* An exception that was being delivered comes again by itself. */
	v->event = (struct hv_event){ true, EVENT_EXCEPTION, 14, true, 0 };
	v->irq[2] = 0;
	(void)handle(VMEXIT_EXCEPTION, NULL, 0);
	ck_assert(!vcpu_irq_waiting(v));
}
END_TEST

static TCase *
exit_case(Suite *s, const char *name, void (*setup)(void))
{
	TCase *tc = unit_case(s, name);

	tcase_add_checked_fixture(tc, setup, NULL);
	return (tc);
}

static void
real_tests(TCase *tc)
{
	tcase_add_test(tc, resume_kinds);
	tcase_add_loop_test(tc, fatal_kinds, 0, 4);
	tcase_add_test(tc, shutdown_to_client);
	tcase_add_test(tc, ud_gp);
	tcase_add_test(tc, f1_error_code);
	tcase_add_test(tc, nop_insns);
	tcase_add_test(tc, length_of_cpu);
	tcase_add_test(tc, length_decoded);
	tcase_add_loop_test(tc, length_undecodable, 0, 8);
	tcase_add_test(tc, skip_clears_shadow_and_rf);
	tcase_add_test(tc, f1_single_step);
	tcase_add_test(tc, skip_wraps);
	tcase_add_test(tc, cpuid_regs);
	tcase_add_test(tc, hlt);
	tcase_add_test(tc, hlt_with_vector);
	tcase_add_test(tc, rdmsr);
	tcase_add_test(tc, wrmsr);
	tcase_add_test(tc, wrmsr_unknown_ignored);
	tcase_add_test(tc, io_port_list);
	tcase_add_test(tc, io_out_unlisted);
	tcase_add_test(tc, io_in_unlisted);
	tcase_add_test(tc, io_fields);
	tcase_add_test(tc, io_string);
	tcase_add_test(tc, f6_io_length);
	tcase_add_test(tc, f7_merge);
	tcase_add_test(tc, cr0_write);
	tcase_add_test(tc, cr0_upper_real);
	tcase_add_test(tc, cr0_long_mode);
	tcase_add_test(tc, cr0_others);
	tcase_add_test(tc, cr4_write);
	tcase_add_test(tc, cr8);
	tcase_add_test(tc, cr_check_refuses);
	tcase_add_test(tc, pdptes);
	tcase_add_test(tc, pdptes_reserved);
	tcase_add_test(tc, cr_decoded);
	tcase_add_test(tc, cr_decoded_memory);
	tcase_add_test(tc, cr_decoded_segment);
	tcase_add_test(tc, cr_decoded_nowhere);
	tcase_add_test(tc, cr_decoded_other);
	tcase_add_test(tc, dr_write_read);
	tcase_add_test(tc, dr_faults);
	tcase_add_test(tc, dr_gd);
	tcase_add_test(tc, dr_upper_real);
	tcase_add_test(tc, dr_decoded);
	tcase_add_test(tc, xsetbv);
	tcase_add_loop_test(tc, xsetbv_gp, 0, 7);
	tcase_add_test(tc, xsetbv_cpl);
	tcase_add_test(tc, npf_first_touch);
	tcase_add_test(tc, f20_npf_forbidden);
	tcase_add_test(tc, npf_nowhere);
	tcase_add_test(tc, f17_exception);
	tcase_add_test(tc, f18_exception_keeps_vector);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("exit");
	TCase *tc;

	real_tests(exit_case(s, "real", setup_real));
	tc = exit_case(s, "long", setup_long);
	tcase_add_loop_test(tc, length_fetch_faults, 0, 8);
	tcase_add_test(tc, skip_64bit);
	tcase_add_test(tc, cr0_upper);
	tcase_add_test(tc, cr0_long_mode_cs_l);
	tcase_add_test(tc, cr_decoded_64);
	tcase_add_test(tc, cr_decoded_faults);
	tcase_add_test(tc, dr_upper);
	return (s);
}
