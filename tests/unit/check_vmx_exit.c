/* SPDX-License-Identifier: ISC */
/*
 * check_vmx_exit.c - exits of VMX as they are decoded, events on their way to
 * the guest and back, and entries that the CPU refuses.
 */
#include "vmx_unit.h"

#define VALID	0x80000000u

/* --- Reasons --- */

/* Every reason of vmmvar.h, and some that it does not have. */
static const struct {
	uint16_t		reason;
	enum vmexit_kind	kind;
} reasons[] = {
	{ VMX_EXIT_EXTINT, VMEXIT_INTR },
	{ VMX_EXIT_TRIPLE_FAULT, VMEXIT_SHUTDOWN },
	{ VMX_EXIT_INIT, VMEXIT_UNKNOWN },
	{ VMX_EXIT_SIPI, VMEXIT_UNKNOWN },
	{ VMX_EXIT_IO_SMI, VMEXIT_UNKNOWN },
	{ VMX_EXIT_OTHER_SMI, VMEXIT_UNKNOWN },
	{ VMX_EXIT_INT_WINDOW, VMEXIT_WINDOW },
	{ VMX_EXIT_NMI_WINDOW, VMEXIT_UNKNOWN },
	{ VMX_EXIT_TASK_SWITCH, VMEXIT_TASK_SWITCH },
	{ VMX_EXIT_CPUID, VMEXIT_CPUID },
	{ VMX_EXIT_GETSEC, VMEXIT_UD },
	{ VMX_EXIT_HLT, VMEXIT_HLT },
	{ VMX_EXIT_INVD, VMEXIT_NOP },
	{ VMX_EXIT_INVLPG, VMEXIT_UNKNOWN },
	{ VMX_EXIT_RDPMC, VMEXIT_GP },
	{ VMX_EXIT_RDTSC, VMEXIT_UNKNOWN },
	{ VMX_EXIT_RSM, VMEXIT_UNKNOWN },
	{ VMX_EXIT_VMCALL, VMEXIT_UD },
	{ VMX_EXIT_VMCLEAR, VMEXIT_UD },
	{ VMX_EXIT_VMLAUNCH, VMEXIT_UD },
	{ VMX_EXIT_VMPTRLD, VMEXIT_UD },
	{ VMX_EXIT_VMPTRST, VMEXIT_UD },
	{ VMX_EXIT_VMREAD, VMEXIT_UD },
	{ VMX_EXIT_VMRESUME, VMEXIT_UD },
	{ VMX_EXIT_VMWRITE, VMEXIT_UD },
	{ VMX_EXIT_VMXOFF, VMEXIT_UD },
	{ VMX_EXIT_VMXON, VMEXIT_UD },
	{ VMX_EXIT_CR_ACCESS, VMEXIT_CR },
	{ VMX_EXIT_MOV_DR, VMEXIT_DR },
	{ VMX_EXIT_IO, VMEXIT_IO },
	{ VMX_EXIT_RDMSR, VMEXIT_RDMSR },
	{ VMX_EXIT_WRMSR, VMEXIT_WRMSR },
	{ VMX_EXIT_ENTRY_FAILED_GUEST_STATE, VMEXIT_UNKNOWN },
	{ VMX_EXIT_ENTRY_FAILED_MSR_LOAD, VMEXIT_UNKNOWN },
	{ 35, VMEXIT_UNKNOWN },
	{ VMX_EXIT_MWAIT, VMEXIT_UD },
	{ VMX_EXIT_MTF, VMEXIT_UNKNOWN },
	{ 38, VMEXIT_UNKNOWN },
	{ VMX_EXIT_MONITOR, VMEXIT_UD },
	{ VMX_EXIT_PAUSE, VMEXIT_UNKNOWN },
	{ VMX_EXIT_ENTRY_FAILED_MCE, VMEXIT_UNKNOWN },
	{ VMX_EXIT_TPR_BELOW_THRESHOLD, VMEXIT_UNKNOWN },
	{ VMX_EXIT_APIC_ACCESS, VMEXIT_UNKNOWN },
	{ VMX_EXIT_VIRTUALIZED_EOI, VMEXIT_UNKNOWN },
	{ VMX_EXIT_GDTR_IDTR, VMEXIT_UNKNOWN },
	{ VMX_EXIT_LDTR_TR, VMEXIT_UNKNOWN },
	{ VMX_EXIT_EPT_VIOLATION, VMEXIT_NPF },
	{ VMX_EXIT_EPT_MISCONFIGURATION, VMEXIT_UNKNOWN },
	{ VMX_EXIT_INVEPT, VMEXIT_UD },
	{ VMX_EXIT_RDTSCP, VMEXIT_UNKNOWN },
	{ VMX_EXIT_VMX_PREEMPTION_TIMER_EXPIRED, VMEXIT_TIMER },
	{ VMX_EXIT_INVVPID, VMEXIT_UD },
	{ VMX_EXIT_WBINVD, VMEXIT_NOP },
	{ VMX_EXIT_XSETBV, VMEXIT_XSETBV },
	{ VMX_EXIT_APIC_WRITE, VMEXIT_UNKNOWN },
	{ VMX_EXIT_RDRAND, VMEXIT_UNKNOWN },
	{ VMX_EXIT_INVPCID, VMEXIT_UNKNOWN },
	{ VMX_EXIT_VMFUNC, VMEXIT_UD },
	{ 60, VMEXIT_UD },		/* ENCLS */
	{ VMX_EXIT_RDSEED, VMEXIT_UNKNOWN },
	{ 62, VMEXIT_UNKNOWN },
	{ VMX_EXIT_XSAVES, VMEXIT_UNKNOWN },
	{ VMX_EXIT_XRSTORS, VMEXIT_UNKNOWN },
	{ 65, VMEXIT_UNKNOWN }, { 0x7fff, VMEXIT_UNKNOWN },
};
#define NREASONS	((int)(sizeof(reasons) / sizeof(reasons[0])))

START_TEST(exit_reasons)
{
	struct vmexit x = decode_reason(reasons[_i].reason, 0);

	ck_assert_msg(x.kind == reasons[_i].kind, "reason %u: kind %d",
	    reasons[_i].reason, x.kind);
	ck_assert(!x.lost.valid);
	ck_assert_uint_eq(v->gpr[VCPU_REGS_RIP], 0x1000);
}
END_TEST

/* One that is unknown ends the VCPU, RIP where it was. */
START_TEST(unknown_exit)
{
	static const struct fake_vexit rdtscp = { .reason = 51, .qual = 7,
	    .len = 3 };

	fake_step(fake_do_vexit_raw, (uintptr_t)&rdtscp);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EINVAL);
	ck_assert(fake_log_has("exit 0x33 info 0x7"));
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x1000);
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_TERMINATED);
}
END_TEST

START_TEST(task_switch_ends)
{
	static const struct fake_vexit sw = { .reason = 9, .qual = 0x40000018 };

	step(&sw);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EINVAL);
	ck_assert(fake_log_has("exit 0x9"));
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_TERMINATED);
}
END_TEST

/* The length is the CPU's, and only for instructions that exit. */
START_TEST(length)
{
	static const struct fake_vexit t[] = {
		{ .reason = 10, .len = 2 }, { .reason = 10, .len = 15 },
		{ .reason = 54, .len = 4 },
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ck_assert_uint_eq(decode(&t[i]).insn_len, t[i].len);
	step(&t[1]);			/* no byte of it is looked at */
	run_to_end();
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x100f);
	ck_assert_uint_eq(fake_pins(), 0);
}
END_TEST

/* --- Qualifications --- */

START_TEST(exit_io)
{
	static const struct {
		uint64_t		qual;
		struct vmexit_io	io;
	} t[] = {
		{ 0x03f80000, { 0x3f8, 1, false, false, false, false } },
		{ 0x03f80008, { 0x3f8, 1, true, false, false, false } },
		{ 0xffff0009, { 0xffff, 2, true, false, false, false } },
		{ 0x12340003, { 0x1234, 4, false, false, false, false } },
		{ 0x12340013, { 0x1234, 4, false, true, false, false } },
		{ 0x0cf8003b, { 0xcf8, 4, true, true, true, false } },
		{ 0x00100040, { 0x10, 1, false, false, false, true } },
	};
	struct vmexit x;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		x = decode_reason(30, t[i].qual);
		ck_assert_int_eq(x.kind, VMEXIT_IO);
		ck_assert_uint_eq(x.u.io.port, t[i].io.port);
		ck_assert_uint_eq(x.u.io.size, t[i].io.size);
		ck_assert(x.u.io.in == t[i].io.in);
		ck_assert(x.u.io.string == t[i].io.string);
		ck_assert(x.u.io.rep == t[i].io.rep);
		ck_assert(x.u.io.imm == t[i].io.imm);
	}
}
END_TEST

/* vei_encoding says how the port was given, on Intel alone. */
static void
out_imm(struct fake_guest *g, uint64_t arg)
{
	g->len = 2;
	ck_assert(fake_vmx_io(g, 0x70, 1, false, (unsigned int)arg));
}

START_TEST(io_encoding)
{
	fake_step(out_imm, 0x40);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, 30);
	ck_assert_uint_eq(u.exit.vei.vei_encoding, 1);
	fake_step(out_imm, 0);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.exit.vei.vei_encoding, 0);
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x1004);
}
END_TEST

/* Registers by the instruction's numbers: RSP and RBP are not where RAX is. */
static const uint8_t gpr_of[16] = { VCPU_REGS_RAX, VCPU_REGS_RCX,
    VCPU_REGS_RDX, VCPU_REGS_RBX, VCPU_REGS_RSP, VCPU_REGS_RBP, VCPU_REGS_RSI,
    VCPU_REGS_RDI, VCPU_REGS_R8, VCPU_REGS_R9, VCPU_REGS_R10, VCPU_REGS_R11,
    VCPU_REGS_R12, VCPU_REGS_R13, VCPU_REGS_R14, VCPU_REGS_R15 };

START_TEST(exit_cr)
{
	struct vmexit x;
	uint64_t r;

	for (r = 0; r < 16; r++) {
		x = decode_reason(28, r << 8 | 4);
		ck_assert_int_eq(x.kind, VMEXIT_CR);
		ck_assert(x.u.reg.decoded);
		ck_assert_uint_eq(x.u.reg.reg, 4);
		ck_assert_uint_eq(x.u.reg.op, REG_WRITE);
		ck_assert_uint_eq(x.u.reg.gpr, gpr_of[r]);
	}
	x = decode_reason(28, 0x18);
	ck_assert_uint_eq(x.u.reg.reg, 8);
	ck_assert_uint_eq(x.u.reg.op, REG_READ);
	ck_assert_uint_eq(decode_reason(28, 0x20).u.reg.op, REG_CLTS);
	x = decode_reason(28, 0xabcd0030);
	ck_assert_uint_eq(x.u.reg.op, REG_LMSW);
	ck_assert_uint_eq(x.u.reg.value, 0xabcd);
	x = decode_reason(28, 0xabcd0070);		/* from memory */
	ck_assert_uint_eq(x.u.reg.value, 0xabcd);
}
END_TEST

START_TEST(exit_dr)
{
	struct vmexit x;
	uint64_t r;

	for (r = 0; r < 16; r++) {
		x = decode_reason(29, r << 8 | (r & 7) | (r & 1) << 4);
		ck_assert_int_eq(x.kind, VMEXIT_DR);
		ck_assert(x.u.reg.decoded);
		ck_assert_uint_eq(x.u.reg.reg, r & 7);
		ck_assert_uint_eq(x.u.reg.gpr, gpr_of[r]);
		ck_assert_uint_eq(x.u.reg.op, r & 1 ? REG_READ : REG_WRITE);
	}
}
END_TEST

/* This exit comes before the check of CPL: #GP(0) outside ring 0. */
START_TEST(dr_privilege)
{
	struct vcpu_reg_state r;
	int i;

	unit_long(&r);
	for (i = VCPU_REGS_CS; i <= VCPU_REGS_SS; i++)
		r.vrs_sregs[i].vsi_ar |= 0x60;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	ck_assert_int_eq(decode_reason(29, 0x17).kind, VMEXIT_GP);
	unit_real(&r);
	r.vrs_crs[VCPU_REGS_CR0] = 0x11;
	r.vrs_gprs[VCPU_REGS_RFLAGS] = 0x20002;		/* virtual 8086 */
	for (i = VCPU_REGS_CS; i <= VCPU_REGS_SS; i++)
		r.vrs_sregs[i].vsi_ar = 0xf3;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	ck_assert_int_eq(decode_reason(29, 0x17).kind, VMEXIT_GP);
	unit_real(&r);
	r.vrs_sregs[VCPU_REGS_CS].vsi_sel = 3;		/* no privilege */
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	ck_assert_int_eq(decode_reason(29, 0x17).kind, VMEXIT_DR);
}
END_TEST

START_TEST(exit_npf)
{
	static const struct {
		uint64_t	qual;
		uint8_t		access;
	} t[] = {
		{ 0x181, NPT_R }, { 0x182, NPT_W }, { 0x184, NPT_X },
		{ 0x183, NPT_W },		/* a read-modify-write */
		{ 0x1bc, NPT_X }, { 0x081, NPT_R },	/* a page walk */
		{ 0x1189, NPT_R },		/* NMI unblocking */
	};
	struct fake_vexit e = { .reason = 48 };
	struct vmexit x;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		e.qual = t[i].qual;
		e.gpa = 0x123456789000 + i;
		x = decode(&e);
		ck_assert_int_eq(x.kind, VMEXIT_NPF);
		ck_assert_uint_eq(x.u.npf.gpa, 0x123456789000 + i);
		ck_assert_uint_eq(x.u.npf.access, t[i].access);
	}
}
END_TEST

/* --- Exceptions and NMIs --- */

static struct vmexit
decode_event(uint32_t event, uint32_t error, uint64_t qual)
{
	const struct fake_vexit e = { .reason = 0, .event = event,
	    .error = error, .qual = qual };

	return (decode(&e));
}

/* An NMI and an #MC are the host's, each once. */
START_TEST(f17_nmi_mce)
{
	static const struct fake_vexit nmi = { .event = VALID | 0x202 };
	static const struct fake_vexit mc = { .event = VALID | 0x312 };

	step(&nmi);
	run_to_end();
	ck_assert_uint_eq(fake_nmis(), 1);
	ck_assert_uint_eq(fake_mces(), 0);
	step(&mc);
	run_to_end();
	ck_assert_uint_eq(fake_nmis(), 1);
	ck_assert_uint_eq(fake_mces(), 1);
	ck_assert_uint_eq(fake_nevents(), 0);
	ck_assert_int_eq(decode_event(VALID | 0x202, 0, 0).kind, VMEXIT_NMI);
	ck_assert_int_eq(decode_event(VALID | 0x312, 0, 0).kind, VMEXIT_MCE);
}
END_TEST

/* What #DB reports is in the qualification; DR6 is the driver's. */
START_TEST(f17_db)
{
	static const struct {
		uint64_t	before, qual, after;
	} t[] = {
		{ 0xffff0ff0, 0x4000, 0xffff4ff0 },
		{ 0xffff0ff1, 0x0002, 0xffff0ff2 },	/* B0-3 are new */
		{ 0xffff4ff0, 0x0001, 0xffff4ff1 },	/* BS stays */
		{ 0xffff0ff0, 0x2000, 0xffff2ff0 },
		{ 0xffff0ff0, 0x1fffff0f0, 0xffffeff0 },
	};
	struct vmexit x;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		v->dr6 = t[i].before;
		x = decode_event(VALID | 0x301, 0, t[i].qual);
		ck_assert_int_eq(x.kind, VMEXIT_EXCEPTION);
		ck_assert_uint_eq(x.u.event.vector, 1);
		ck_assert_uint_eq(x.u.event.type, EVENT_EXCEPTION);
		ck_assert(x.u.event.valid && !x.u.event.has_error);
		ck_assert_msg(v->dr6 == t[i].after, "row %zu: %#llx", i,
		    (unsigned long long)v->dr6);
	}
}
END_TEST

/* Bochs says that #AC in real mode has an error code. Injecting it: error 7. */
START_TEST(f17_ac)
{
	static const struct fake_vexit ac = { .event = VALID | 0xb11 };
	struct vcpu_reg_state r;

	step(&ac);
	run_to_end();
	ck_assert_uint_eq(fake_event(0)->vector, 17);
	ck_assert(!fake_event(0)->has_error);
	unit_long(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	step(&ac);
	run_to_end();
	ck_assert_uint_eq(fake_event(1)->vector, 17);
	ck_assert(fake_event(1)->has_error);
	ck_assert_uint_eq(fake_event(1)->error, 0);
}
END_TEST

/* INT1 is a trap: it comes again as itself, RIP behind the instruction. */
START_TEST(int1)
{
	static const struct fake_vexit icebp = { .event = VALID | 0x501,
	    .len = 1 };

	v->dr6 = 0xffff0ff0;
	step(&icebp);
	run_to_end();
	ck_assert_uint_eq(fake_nevents(), 1);
	ck_assert_uint_eq(fake_event(0)->type, 5);
	ck_assert_uint_eq(fake_event(0)->vector, 1);
	ck_assert_uint_eq(last(VF_ENTRY_LEN), 1);
	ck_assert_uint_eq(v->dr6, 0xffff0ff0);
}
END_TEST

/* --- Events whose delivery an exit interrupted --- */

START_TEST(lost_events)
{
	static const struct {
		uint32_t	info, error;
		bool		pe, back;
		struct hv_event	e;
	} t[] = {
		{ VALID | 0x021, 0, true, true, { true, 0, 0x21, false, 0 } },
		{ VALID | 0x202, 0, true, true, { true, 2, 2, false, 0 } },
		{ VALID | 0x306, 0, true, true, { true, 3, 6, false, 0 } },
		{ VALID | 0xb0e, 7, true, true, { true, 3, 14, true, 7 } },
		{ VALID | 0x30e, 7, true, true, { true, 3, 14, false, 0 } },
		/* Bochs: an error code in real mode */
		{ VALID | 0xb0d, 7, false, true, { true, 3, 13, false, 0 } },
		/* raised again by their instruction */
		{ VALID | 0x480, 0, true, false, { .valid = false } },
		{ VALID | 0x501, 0, true, false, { .valid = false } },
		{ VALID | 0x603, 0, true, false, { .valid = false } },
		{ VALID | 0x604, 0, true, false, { .valid = false } },
		/* rubbish */
		{ 0xb0e, 7, true, false, { .valid = false } },
	};
	struct fake_vexit x = { .reason = 48, .qual = 0x181, .gpa = 0x3000 };
	struct vmexit got;
	struct vcpu_reg_state r;

	if (t[_i].pe)
		unit_long(&r);
	else
		unit_real(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	x.lost = t[_i].info;
	x.lost_error = t[_i].error;
	got = decode(&x);
	ck_assert(got.lost.valid == t[_i].back);
	if (!t[_i].back)
		return;
	ck_assert_uint_eq(got.lost.type, t[_i].e.type);
	ck_assert_uint_eq(got.lost.vector, t[_i].e.vector);
	ck_assert(got.lost.has_error == t[_i].e.has_error);
	ck_assert_uint_eq(got.lost.error, t[_i].e.error);
}
END_TEST

/* After a triple fault the field still names the last one: nothing comes. */
START_TEST(lost_in_triple_fault)
{
	static const struct fake_vexit x = { .reason = 2,
	    .lost = VALID | 0xb08 };

	fake_step(fake_do_vexit_raw, (uintptr_t)&x);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	run_to_end();
	ck_assert_uint_eq(fake_nevents(), 0);
}
END_TEST

/* Bochs leaves RF set after a triple fault. */
static void
rf_triple(struct fake_guest *g, uint64_t arg)
{
	(void)arg;
	vf_set(g, VF_RFLAGS, 0x10002);
	fake_vexit(g, &triple_fault);
}

START_TEST(triple_fault_rf)
{
	fake_step(rf_triple, 0);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, 2);
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RFLAGS], 2);
}
END_TEST

static uint64_t seen_rflags;

static void
note_rflags(struct fake_guest *g, uint64_t arg)
{
	(void)arg;
	seen_rflags = vf_get(g, VF_RFLAGS);
}

/* The interrupted delivery comes again, whole, and once. */
START_TEST(lost_comes_again)
{
	static const struct fake_vexit npf = { .reason = 48, .qual = 0x181,
	    .gpa = 0x3000 };
	struct vcpu_reg_state r;
	unsigned int i;

	unit_long(&r);
	r.vrs_gprs[VCPU_REGS_RFLAGS] = 0x202;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	v->exception = (struct hv_event){ true, EVENT_EXCEPTION, 14, true, 5 };
	fake_lose_vexit(&npf);
	run_to_end();
	ck_assert_uint_eq(fake_nevents(), 1);
	ck_assert_uint_eq(fake_event(0)->vector, 14);
	ck_assert(fake_event(0)->has_error);
	ck_assert_uint_eq(fake_event(0)->error, 5);
	for (i = 0; i < 3; i++)
		run_to_end();
	ck_assert_uint_eq(fake_nevents(), 1);
}
END_TEST

/* A client that leaves protected mode meanwhile: no error code any more. */
START_TEST(lost_in_real_mode)
{
	static const struct fake_vexit npf = { .reason = 48, .qual = 0x182,
	    .gpa = 0x4000 };
	struct vcpu_reg_state r;

	unit_real(&r);
	r.vrs_crs[VCPU_REGS_CR0] = 0x11;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	ck_assert_int_eq(unit_protect(id, 0x4000, 0x1000, 1), 0);
	v->exception = (struct hv_event){ true, EVENT_EXCEPTION, 13, true, 5 };
	fake_lose_vexit(&npf);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, 48);
	r.vrs_crs[VCPU_REGS_CR0] = 0x10;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_CRS, &r), 0);
	run_to_end();
	ck_assert_uint_eq(fake_nevents(), 1);
	ck_assert_uint_eq(fake_event(0)->vector, 13);
	ck_assert(!fake_event(0)->has_error);
}
END_TEST

/* The frame of a fault that the driver raises has RF set, of a trap not. */
START_TEST(fault_sets_rf)
{
	static const struct fake_vexit vmcall = { .reason = 18, .len = 3 };

	fake_step(note_rflags, 0);
	run_to_end();
	ck_assert_uint_eq(seen_rflags, 2);
	step(&vmcall);
	fake_step(note_rflags, 0);
	run_to_end();
	ck_assert_uint_eq(fake_event(0)->vector, 6);
	ck_assert_uint_eq(seen_rflags & 0x10000, 0x10000);
}
END_TEST

/* --- The window, the shadows, the pending step --- */

START_TEST(window_only_when_changed)
{
	static const struct fake_vexit cpuid = { .reason = 10, .len = 2 };
	uint64_t n;

	run_to_end();
	n = fake_vmwrites(VF_PROC);
	ck_assert_int_eq(unit_intr(id, 0, 1), 0);
	step(&cpuid);
	step(&cpuid);
	run_to_end();
	ck_assert_uint_eq(fake_vmwrites(VF_PROC), n + 1);
	ck_assert_uint_ne(last(VF_PROC) & VX_PROC_WINDOW, 0);
	ck_assert_int_eq(unit_intr(id, 0, 0), 0);
	step(&cpuid);
	run_to_end();
	ck_assert_uint_eq(fake_vmwrites(VF_PROC), n + 2);
	ck_assert_uint_eq(last(VF_PROC) & VX_PROC_WINDOW, 0);
}
END_TEST

/* F25: INTR while it waits comes back as the window, reason 7. */
START_TEST(f25_window_reason)
{
	ck_assert_int_eq(unit_intr(id, 0, 1), 0);
	fake_step(fake_do_set_if, 1);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, 7);
	ck_assert_uint_eq(u.irqready, 1);
}
END_TEST

/* A window asked for before RESETCPU is not there after it. */
START_TEST(f5_window)
{
	struct vcpu_reg_state r;

	ck_assert_int_eq(unit_intr(id, 0, 1), 0);
	run_to_end();
	ck_assert_int_eq(unit_intr(id, 0, 0), 0);
	unit_real(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	run_to_end();
	ck_assert_uint_eq(last(VF_PROC) & VX_PROC_WINDOW, 0);
}
END_TEST

static void
leave_blocked(struct fake_guest *g, uint64_t arg)
{
	vf_set(g, VF_RFLAGS, arg >> 8);
	vf_set(g, VF_INTERRUPTIBILITY, arg & 0xff);
	vf_set(g, VF_PENDING_DEBUG, (arg >> 8 & 0x100) != 0 ? 0x4000 : 0);
	fake_vexit(g, &triple_fault);
}

/*
 * A shadow lives over an exit to the client, whatever the client does to IF
 * and TF: an entry with a combination that cannot be is refused.
 */
START_TEST(f19_shadow_kept)
{
	static const struct {
		uint32_t	block;
		uint64_t	was, now;
		uint32_t	want;
		uint64_t	pending;
	} t[] = {
		{ VX_STI, 0x202, 0x202, VX_STI, 0 },
		{ VX_MOV_SS, 0x2, 0x2, VX_MOV_SS, 0 },
		{ VX_MOV_SS, 0x202, 0x2, VX_MOV_SS, 0 },
		{ VX_STI, 0x202, 0x2, 0, 0 },
		{ VX_STI, 0x302, 0x302, VX_STI, 0x4000 },
		{ VX_STI, 0x302, 0x202, VX_STI, 0 },
		/* a step new to it must not come before its instruction */
		{ VX_STI, 0x202, 0x302, VX_MOV_SS, 0x4000 },
		{ VX_STI, 0x302, 0x102, 0, 0 },
		{ VX_MOV_SS, 0x102, 0x102, VX_MOV_SS, 0x4000 },
		{ VX_MOV_SS, 0x102, 0x2, VX_MOV_SS, 0 },
		{ 0, 0x102, 0x102, 0, 0 },
	};
	struct vcpu_reg_state r;

	fake_step(leave_blocked, t[_i].was << 8 | t[_i].block);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_GPRS, &r), 0);
	r.vrs_gprs[VCPU_REGS_RFLAGS] = t[_i].now;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_GPRS, &r), 0);
	run_to_end();
	ck_assert_uint_eq(last(VF_INTERRUPTIBILITY), t[_i].want);
	ck_assert_uint_eq(last(VF_PENDING_DEBUG), t[_i].pending);
}
END_TEST

/* An instruction that the driver does ends the shadow. */
static void
cpuid_blocked(struct fake_guest *g, uint64_t arg)
{
	static const struct fake_vexit cpuid = { .reason = 10, .len = 2 };

	leave_blocked(g, arg);
	g->exited = false;
	fake_vexit(g, &cpuid);
}

START_TEST(f19_shadow_ends)
{
	fake_step(cpuid_blocked, 0x202 << 8 | VX_STI);
	run_to_end();
	ck_assert_uint_eq(last(VF_INTERRUPTIBILITY), 0);
}
END_TEST

/*
 * Bochs leaves BS pending after an exit with TF set, which would trap once
 * more. The driver's own #DB for the instruction is the only one.
 */
START_TEST(single_step)
{
	fake_step(cpuid_blocked, 0x102 << 8);
	run_to_end();
	ck_assert_uint_eq(fake_nevents(), 1);
	ck_assert_uint_eq(fake_event(0)->vector, 1);
	ck_assert_uint_eq(last(VF_PENDING_DEBUG), 0);
	ck_assert_uint_ne(v->dr6 & 0x4000, 0);
}
END_TEST

/* A vector waits for the shadow's end, then comes. */
START_TEST(f19_vector_waits)
{
	fake_step(leave_blocked, 0x202 << 8 | VX_STI);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	fake_step(fake_do_shadow, 0);
	step(&triple_fault);
	ck_assert_int_eq(unit_run(id, 0, 0x55, &u), 0);
	ck_assert_uint_eq(fake_nevents(), 1);
	ck_assert_uint_eq(fake_event(0)->vector, 0x55);
}
END_TEST

/* --- Refused entries --- */

/* The meaning of each error is in the log; only this VCPU ends. */
static const struct {
	unsigned int	 error;
	const char	*text;
} vmfails[] = {
	{ 4, "VMLAUNCH of a VMCS that is not clear" },
	{ 5, "VMRESUME of a VMCS that was not launched" },
	{ 6, "VMRESUME after VMXOFF and VMXON" },
	{ 7, "a control field is not valid" },
	{ 8, "a host-state field is not valid" },
	{ 26, "events are blocked by MOV SS" },
	{ 14, "an error the driver does not know" },
	{ 77, "an error the driver does not know" },
	{ FAKE_VMFAIL_INVALID, "error 0: " },
};

START_TEST(vmfail_named)
{
	struct vcpu_reg_state r;
	uint32_t other = unit_create(MIB, 1);

	unit_real(&r);
	ck_assert_int_eq(unit_reset(other, 0, &r), 0);
	fake_vmfail_next(vmfails[_i].error);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EINVAL);
	ck_assert_msg(fake_log_has(vmfails[_i].text), "%s", fake_log());
	ck_assert(fake_log_has("entry refused; no rule that the driver "
	    "knows is broken"));
	ck_assert(fake_log_has("ends with error 22: exit 0x80000000"));
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_TERMINATED);
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x1000);
	step(&triple_fault);
	ck_assert_int_eq(unit_run(other, 0, NONE, &u), 0);
}
END_TEST

/* States that a client can ask for and the CPU refuses. */
START_TEST(refused_states)
{
	struct vcpu_reg_state r;
	const char *why, *rule;

	unit_real(&r);
	r.vrs_gprs[VCPU_REGS_RBX] = 0x1234;
	switch (_i) {
	case 0:
		r.vrs_sregs[VCPU_REGS_CS].vsi_ar = 0x92;
		why = "CS type";
		rule = "refused by rule cs-type: ";
		break;
	case 1:
		r.vrs_sregs[VCPU_REGS_TR].vsi_ar = 0;
		why = "TR access rights";
		rule = "refused by rule tr-type: ";
		break;
	case 2:
		r.vrs_sregs[VCPU_REGS_SS].vsi_ar = 0xf3;
		why = "CS.DPL is not SS.DPL";
		rule = "refused by rule cs-dpl: ";
		r.vrs_sregs[VCPU_REGS_CS].vsi_ar = 0x9b;
		break;
	case 3:		/* LMA outlives PG (Bochs: and PE) */
		r.vrs_crs[VCPU_REGS_CR0] = 0x10;
		r.vrs_msrs[VCPU_REGS_EFER] = 0x500;
		why = "EFER.LMA is not the entry control";
		rule = "refused by rule efer-lma: ";
		break;
	default:
		r.vrs_crs[VCPU_REGS_CR0] = 0x80000011;	/* LME, PG, no PAE */
		r.vrs_msrs[VCPU_REGS_EFER] = 0x500;
		why = "IA-32e mode without PG and PAE";
		rule = "refused by rule long-pae: ";
		break;
	}
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EINVAL);
	ck_assert_str_eq(fake_refused(), why);
	ck_assert(fake_log_has(rule));
	ck_assert(fake_log_has("ends with error 22: exit 0x80000021"));
	ck_assert(!fake_log_has("VM entry failed: error"));
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_TERMINATED);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_uint_eq(r.vrs_gprs[VCPU_REGS_RIP], 0x1000);
	ck_assert_uint_eq(r.vrs_gprs[VCPU_REGS_RBX], 0x1234);
}
END_TEST

/* Nothing of the last exit is taken for one of the refused entry. */
START_TEST(refused_later)
{
	static const struct fake_vexit lost = { .reason = 48, .qual = 0x181,
	    .gpa = 0x3000, .lost = VALID | 0x306 };
	struct vcpu_reg_state r;

	fake_step(fake_do_vexit_raw, (uintptr_t)&lost);
	step(&triple_fault);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	unit_real(&r);
	r.vrs_sregs[VCPU_REGS_CS].vsi_ar = 0x92;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_SREGS, &r), 0);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EINVAL);
	ck_assert(!v->event.valid);
}
END_TEST

/* An entry in the MSR area that the CPU does not take. */
START_TEST(refused_msr)
{
	uint64_t *e;

	run_to_end();
	e = host_va_of(last(VF_ENTRY_LOAD));
	e[2 * 2 + 1] = 1ULL << 62;		/* CSTAR, not canonical */
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EINVAL);
	ck_assert(fake_log_has("exit 0x80000022 info 0x3"));
}
END_TEST

/*
 * A machine check during the entry (reason 41) is the host's, once; the entry
 * is made again, with the event it was to deliver.
 */
START_TEST(mce_during_entry)
{
	struct vcpu_reg_state r;
	uint64_t n = fake_vmruns();

	unit_real(&r);
	r.vrs_gprs[VCPU_REGS_RFLAGS] = 0x202;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	fake_mce_next();
	step(&triple_fault);
	ck_assert_int_eq(unit_run(id, 0, 0x66, &u), 0);
	ck_assert_uint_eq(u.reason, 2);
	ck_assert_uint_eq(fake_vmruns(), n + 2);
	ck_assert_uint_eq(fake_mces(), 1);
	ck_assert_uint_eq(fake_nevents(), 1);
	ck_assert_uint_eq(fake_event(0)->vector, 0x66);
}
END_TEST

/* --- The time slice --- */

/* Bochs: a guest entered with IF=0 is ended by the timer alone. */
START_TEST(timer_ends_spin)
{
	struct unit_runner t;

	fake_quirk_no_extint(true);
	fake_step_default(unit_spin, 0);
	unit_start(&t, id, 0, 1);
	ck_assert_int_eq(unit_term(id), 0);
	ck_assert_int_eq(unit_join(&t), 0);
	ck_assert_uint_eq(t.run.reason, VM_EXIT_TERMINATED);
	id = unit_real_vm();
	v = unit_vm(id)->vcpu[0];
}
END_TEST

static void
decode_tests(TCase *tc)
{
	tcase_add_loop_test(tc, exit_reasons, 0, NREASONS);
	tcase_add_test(tc, unknown_exit);
	tcase_add_test(tc, task_switch_ends);
	tcase_add_test(tc, length);
	tcase_add_test(tc, exit_io);
	tcase_add_test(tc, io_encoding);
	tcase_add_test(tc, exit_cr);
	tcase_add_test(tc, exit_dr);
	tcase_add_test(tc, dr_privilege);
	tcase_add_test(tc, exit_npf);
	tcase_add_test(tc, f17_nmi_mce);
	tcase_add_test(tc, f17_db);
	tcase_add_test(tc, f17_ac);
	tcase_add_test(tc, int1);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("vmx_exit");
	TCase *tc = tcase_create("vmx_exit");

	tcase_add_checked_fixture(tc, vmx_setup, unit_detach);
	suite_add_tcase(s, tc);
	decode_tests(tc);
	tcase_add_loop_test(tc, lost_events, 0, 11);
	tcase_add_test(tc, lost_in_triple_fault);
	tcase_add_test(tc, triple_fault_rf);
	tcase_add_test(tc, lost_comes_again);
	tcase_add_test(tc, lost_in_real_mode);
	tcase_add_test(tc, fault_sets_rf);
	tcase_add_test(tc, window_only_when_changed);
	tcase_add_test(tc, f25_window_reason);
	tcase_add_test(tc, f5_window);
	tcase_add_loop_test(tc, f19_shadow_kept, 0, 11);
	tcase_add_test(tc, f19_shadow_ends);
	tcase_add_test(tc, single_step);
	tcase_add_test(tc, f19_vector_waits);
	tcase_add_loop_test(tc, vmfail_named, 0, 9);
	tcase_add_loop_test(tc, refused_states, 0, 5);
	tcase_add_test(tc, refused_later);
	tcase_add_test(tc, refused_msr);
	tcase_add_test(tc, mce_during_entry);
	tcase_add_test(tc, timer_ends_spin);
	return (s);
}
