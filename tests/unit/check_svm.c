/* SPDX-License-Identifier: ISC */
/*
 * check_svm.c - the VMCB, the bitmaps, exit codes and CPUs of the SVM back
 * end. Numbers are the manual's, typed here; ASIDs are check_tlb.c's.
 */
#include "unit.h"

static uint32_t id;
static struct vcpu *v;
static struct unit_run u;

static void
setup_with(uint32_t features)
{
	unit_boot();
	fake_svm_set(features, 16);
	unit_attach();
	id = unit_real_vm();
	v = unit_vm(id)->vcpu[0];
}

static void
setup(void)
{
	setup_with(FAKE_SVM_NP);
}

static void
setup_nrips(void)
{
	setup_with(FAKE_SVM_NP | FAKE_SVM_NRIPS);
}

static void
run_to_end(void)
{
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
}

/* One entry by itself, as vcpu.c makes it. */
static void
enter(struct vmexit *x)
{
	ck_assert(host_enter_begin());
	host_fpu_begin();
	fpu_enter(v);
	hv->run(v, x);
	host_dr_restore(false);
	fpu_leave(v);
	host_fpu_end();
	host_enter_end();
}

/* One entry that leaves by this exit code, decoded and not acted on. */
static struct vmexit
decode(uint64_t code, uint64_t info1, uint64_t info2)
{
	static uint64_t infos[3];
	struct vmexit x;

	infos[0] = code;
	infos[1] = info1;
	infos[2] = info2;
	memset(&x, 0xee, sizeof(x));
	fake_step(unit_raw, (uintptr_t)infos);
	enter(&x);
	ck_assert_uint_eq(x.code, code);
	ck_assert_uint_eq(x.info[0], info1);
	ck_assert_uint_eq(x.info[1], info2);
	return (x);
}

/* --- The VMCB after RESETCPU --- */

static bool
intercepts(unsigned int code)
{
	return ((vmcb_get32(fake_last(), code / 32 * 4) >> code % 32) & 1);
}

/* Codes 0-0x9f: those that exit, and no other. */
START_TEST(intercepts_exact)
{
	static const uint8_t on[] = {
		0x10, 0x14, 0x18,		/* CR0, CR4, CR8 writes */
		0x41, 0x51, 0x52,		/* #DB #AC #MC */
		0x60, 0x61,			/* INTR NMI */
		0x6f, 0x72, 0x76, 0x78, 0x7a, 0x7b, 0x7c, 0x7f,
		0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88,
		0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e,
	};
	struct vcpu_reg_state r;
	unsigned int code;
	bool want;

	unit_real(&r);
	r.vrs_crs[VCPU_REGS_CR4] = 0;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	run_to_end();
	for (code = 0; code < 0xa0; code++) {
		want = memchr(on, (int)code, sizeof(on)) != NULL ||
		    (code >= 0x20 && code <= 0x3f);	/* every DR */
		if (code == 0x04)	/* reads of CR4 hide the host's MCE */
			want = true;
		ck_assert_msg(intercepts(code) == want, "code %#x", code);
	}
}
END_TEST

START_TEST(no_xsetbv_without_xsave)
{
	fake_no_xsave();
	unit_attach();
	id = unit_real_vm();
	run_to_end();
	ck_assert(!intercepts(0x8d));
	unit_detach();
}
END_TEST

START_TEST(vmcb_fields)
{
	struct fake_guest *g = fake_last();
	uint64_t root;

	run_to_end();
	root = host_pa_of(unit_vm(id)->npt.root);
	ck_assert_uint_eq(vmcb_get(g, VC_N_CR3), root);
	ck_assert_uint_eq(vmcb_get(g, VC_NP_ENABLE), 1);
	ck_assert_uint_eq(vmcb_get(g, VC_TSC_OFFSET), 0);
	ck_assert_uint_eq(vmcb_get(g, VC_VINTR), VINTR_V_INTR_MASKING);
	ck_assert_uint_eq(vmcb_get(g, VC_CLEAN), 0);
	ck_assert_uint_eq(vmcb_get(g, 0x0b8), 0);	/* LBR */
	ck_assert_uint_eq(vmcb_get32(g, 0x03c), 0);	/* pause filter */
	ck_assert_uint_eq(vmcb_get(g, VS_G_PAT), 0x0606060606060606);
	ck_assert_uint_eq(vmcb_get(g, VS_EFER), 0x1000);
	ck_assert_uint_eq(vmcb_get(g, VS_CR0), 0x10);
	ck_assert_uint_eq(vmcb_get(g, VS_RFLAGS), 2);
	ck_assert_uint_eq(vmcb_get(g, VS_RIP), 0x1000);
	ck_assert_uint_eq(vmcb_get(g, VS_RSP), 0x8000);
	ck_assert_uint_eq(vmcb_get(g, VS_DR7), 0x400);
	ck_assert_uint_eq(vmcb_get(g, VS_DR6), 0xffff0ff0);
	ck_assert_uint_eq(vmcb_get32(g, VS_CS), 0x9bu << 16);
	ck_assert_uint_eq(g->vmcb[VS_CPL], 0);
	ck_assert_uint_ge(g->asid, 1);
}
END_TEST

/* Every register to its place in the VMCB, and back from there. */
START_TEST(registers)
{
	static const unsigned int seg[] = { VS_CS, VS_DS, VS_ES, VS_FS,
	    VS_GS, VS_SS, VS_LDTR, VS_TR };
	struct fake_guest *g = fake_last();
	struct vcpu_reg_state r, back;
	int i;

	unit_long(&r);
	for (i = 0; i < 14; i++)
		r.vrs_gprs[i] = 0x1111111100000000u + (uint64_t)i;
	for (i = 0; i < 8; i++) {
		r.vrs_sregs[i].vsi_sel = (uint16_t)(0x100 + i);
		r.vrs_sregs[i].vsi_limit = 0x10000u + (uint32_t)i;
		r.vrs_sregs[i].vsi_base = 0x20000u + (uint64_t)i;
	}
	r.vrs_gdtr.vsi_base = 0x31000;
	r.vrs_gdtr.vsi_limit = 0x37;
	r.vrs_idtr.vsi_base = 0x32000;
	r.vrs_idtr.vsi_limit = 0x47;
	r.vrs_crs[VCPU_REGS_CR2] = 0x2222;
	r.vrs_crs[VCPU_REGS_CR3] = 0x3000;
	r.vrs_crs[VCPU_REGS_CR8] = 5;
	r.vrs_msrs[VCPU_REGS_STAR] = 0x4001;
	r.vrs_msrs[VCPU_REGS_LSTAR] = 0x4002;
	r.vrs_msrs[VCPU_REGS_CSTAR] = 0x4003;
	r.vrs_msrs[VCPU_REGS_SFMASK] = 0x4004;
	r.vrs_msrs[VCPU_REGS_KGSBASE] = 0x4005;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	run_to_end();
	for (i = 0; i < 8; i++) {
		ck_assert_uint_eq(vmcb_get32(g, seg[i]) & 0xffff,
		    0x100u + (unsigned int)i);
		ck_assert_uint_eq(vmcb_get32(g, seg[i] + 4),
		    0x10000u + (unsigned int)i);
		ck_assert_uint_eq(vmcb_get(g, seg[i] + 8),
		    0x20000u + (unsigned int)i);
	}
	ck_assert_uint_eq(vmcb_get32(g, VS_GDTR + 4), 0x37);
	ck_assert_uint_eq(vmcb_get(g, VS_GDTR + 8), 0x31000);
	ck_assert_uint_eq(vmcb_get32(g, VS_IDTR + 4), 0x47);
	ck_assert_uint_eq(vmcb_get(g, VS_IDTR + 8), 0x32000);
	ck_assert_uint_eq(vmcb_get(g, VS_RAX), r.vrs_gprs[VCPU_REGS_RAX]);
	ck_assert_uint_eq(vmcb_get(g, VS_CR2), 0x2222);
	ck_assert_uint_eq(vmcb_get(g, VS_CR3), 0x3000);
	ck_assert_uint_eq(vmcb_get(g, VS_STAR), 0x4001);
	ck_assert_uint_eq(vmcb_get(g, VS_LSTAR), 0x4002);
	ck_assert_uint_eq(vmcb_get(g, VS_CSTAR), 0x4003);
	ck_assert_uint_eq(vmcb_get(g, VS_SFMASK), 0x4004);
	ck_assert_uint_eq(vmcb_get(g, VS_KGSBASE), 0x4005);
	ck_assert_uint_eq(vmcb_get32(g, VC_VINTR) & 0xf, 5);
	ck_assert_uint_eq(vmcb_get(g, VS_EFER), 0x1500);
	back = r;
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &back), 0);
	ck_assert_mem_eq(&back, &r, sizeof(r));
}
END_TEST

/* C3: VMX-style rights to the VMCB's 12 bits; unusable is not present. */
START_TEST(c3_access_rights)
{
	static const struct {
		uint32_t	ar;
		uint16_t	attr;
		uint32_t	back;
	} t[] = {
		{ 0x0093, 0x093, 0x0093 },
		{ 0xf09b, 0xf9b, 0xf09b },
		{ 0x2013, 0x213, 0x12013 },	/* not present */
		{ 0x10000, 0x000, 0x10000 },
		{ 0x100f3, 0x073, 0x10073 },	/* P goes with unusable */
		{ 0x1c0ff, 0xc7f, 0x1c07f },
	};
	struct vcpu_reg_state r;
	size_t i;

	unit_real(&r);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		r.vrs_sregs[VCPU_REGS_DS].vsi_ar = t[i].ar;
		ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_SREGS, &r), 0);
		run_to_end();
		ck_assert_msg(vmcb_get32(fake_last(), VS_DS) >> 16 ==
		    t[i].attr, "row %zu", i);
		ck_assert_msg(u.exit.vrs.vrs_sregs[VCPU_REGS_DS].vsi_ar ==
		    t[i].back, "row %zu", i);
	}
}
END_TEST

/* What the guest changed by itself shows. */
static void
guest_writes(struct fake_guest *g, uint64_t arg)
{
	int i;

	(void)arg;
	for (i = 1; i < 16; i++)
		if (i != VCPU_REGS_RSP)
			g->gpr[i] = 0x50u + (unsigned int)i;
	vmcb_set(g, VS_RAX, 0x50);
	vmcb_set(g, VS_RSP, 0x51);
	vmcb_set(g, VS_RIP, 0x52);
	vmcb_set(g, VS_RFLAGS, 0x202);
	vmcb_set(g, VS_CR2, 0x53);
	vmcb_set(g, VS_CR3, 0x54000);
	vmcb_set(g, VS_CR0, 0x18);			/* a task switch: TS */
	vmcb_set(g, VS_DR6, 0xffff4ff0);
	vmcb_set(g, VS_LSTAR, 0x55);
	vmcb_set(g, VS_FS + 8, 0x56);
	vmcb_set32(g, VC_VINTR, vmcb_get32(g, VC_VINTR) | 9);	/* CR8 */
	vmcb_set(g, VC_SHADOW, 1);
}

START_TEST(registers_from_guest)
{
	struct vcpu_reg_state *r = &u.exit.vrs;
	int i;

	fake_step(guest_writes, 0);
	run_to_end();
	for (i = 1; i < 16; i++)
		if (i != VCPU_REGS_RSP)
			ck_assert_uint_eq(r->vrs_gprs[i],
			    0x50u + (unsigned int)i);
	ck_assert_uint_eq(r->vrs_gprs[VCPU_REGS_RAX], 0x50);
	ck_assert_uint_eq(r->vrs_gprs[VCPU_REGS_RSP], 0x51);
	ck_assert_uint_eq(r->vrs_gprs[VCPU_REGS_RIP], 0x52);
	ck_assert_uint_eq(r->vrs_gprs[VCPU_REGS_RFLAGS], 0x202);
	ck_assert_uint_eq(r->vrs_crs[VCPU_REGS_CR2], 0x53);
	ck_assert_uint_eq(r->vrs_crs[VCPU_REGS_CR3], 0x54000);
	ck_assert_uint_eq(r->vrs_crs[VCPU_REGS_CR0], 0x18);
	ck_assert_uint_eq(r->vrs_crs[VCPU_REGS_CR8], 9);	/* F28 */
	ck_assert_uint_eq(r->vrs_drs[VCPU_REGS_DR6], 0xffff4ff0);
	ck_assert_uint_eq(r->vrs_msrs[VCPU_REGS_LSTAR], 0x55);
	ck_assert_uint_eq(r->vrs_sregs[VCPU_REGS_FS].vsi_base, 0x56);
	ck_assert(v->shadow);
	run_to_end();		/* and is what the next entry loads */
	ck_assert_uint_eq(vmcb_get(fake_last(), VS_CR2), 0x53);
	ck_assert_uint_eq(vmcb_get(fake_last(), VS_DR6), 0xffff4ff0);
	ck_assert_uint_eq(vmcb_get(fake_last(), VC_SHADOW) & 1, 1);
}
END_TEST

/* F28: no TPR of the guest's holds vrp_irq back. */
START_TEST(f28_tpr)
{
	struct vcpu_reg_state r;

	unit_real(&r);
	r.vrs_crs[VCPU_REGS_CR8] = 15;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	fake_step(fake_do_set_if, 1);
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_run(id, 0, 0x31, &u), 0);
	ck_assert_uint_eq(fake_nevents(), 1);
	ck_assert_uint_eq(u.exit.vrs.vrs_crs[VCPU_REGS_CR8], 15);
}
END_TEST

/* F17: CD and NW never reach the CPU; reading CR0 then exits and lies. */
START_TEST(f17_host_bits)
{
	struct vcpu_reg_state r;

	unit_real(&r);
	r.vrs_crs[VCPU_REGS_CR0] = 0x60000010;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	run_to_end();
	ck_assert_uint_eq(vmcb_get(fake_last(), VS_CR0), 0x10);
	ck_assert(intercepts(0x00));
	ck_assert_uint_eq(u.exit.vrs.vrs_crs[VCPU_REGS_CR0], 0x60000010);
	ck_assert_uint_eq(vmcb_get(fake_last(), VS_CR4), 0x40);	/* MCE */
	ck_assert(intercepts(0x04));
	ck_assert_uint_eq(u.exit.vrs.vrs_crs[VCPU_REGS_CR4], 0);
	unit_real(&r);
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_CRS, &r), 0);
	run_to_end();
	ck_assert(!intercepts(0x00));
}
END_TEST

/* The host's CR4.MCE is off: nothing to hide. */
static void
mce_off(void *arg)
{
	(void)arg;
	host_cr4_clear(0x40);
}

START_TEST(f17_mce_off)
{
	struct vcpu_reg_state r;

	host_cpu_call_all(mce_off, NULL);
	unit_real(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	run_to_end();
	ck_assert_uint_eq(vmcb_get(fake_last(), VS_CR4), 0);
	ck_assert(!intercepts(0x04));
}
END_TEST

/* --- Bitmaps --- */

START_TEST(iopm)
{
	uint32_t port;

	run_to_end();
	for (port = 0; port <= 0xffff; port++)
		ck_assert(fake_io_exits(fake_last(), (uint16_t)port, 1));
	ck_assert(fake_io_exits(fake_last(), 0xffff, 4));
}
END_TEST

/* F16: what the CPU switches is the guest's; everything else exits. */
START_TEST(msrpm)
{
	static const uint32_t native[] = { 0x174, 0x175, 0x176, 0xc0000081,
	    0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101,
	    0xc0000102 };
	static const uint32_t base[] = { 0, 0xc0000000, 0xc0010000 };
	uint32_t i, n, msr;
	bool want;
	size_t k;

	run_to_end();
	for (i = 0; i < 3; i++)
		for (n = 0; n < 0x2000; n++) {
			msr = base[i] + n;
			want = true;
			for (k = 0; k < sizeof(native) / 4; k++)
				if (native[k] == msr)
					want = false;
			ck_assert_msg(fake_msr_exits(fake_last(), msr,
			    false) == want, "read %#x", msr);
			ck_assert_msg(fake_msr_exits(fake_last(), msr,
			    true) == want, "write %#x", msr);
		}
	ck_assert(fake_msr_exits(fake_last(), 0x4b564d01, true));
}
END_TEST

/* --- Exit codes --- */

static const struct {
	uint16_t		code;
	enum vmexit_kind	kind;
} codes[] = {
	{ 0x00, VMEXIT_CR }, { 0x04, VMEXIT_CR }, { 0x10, VMEXIT_CR },
	{ 0x14, VMEXIT_CR }, { 0x01, VMEXIT_UNKNOWN },
	{ 0x13, VMEXIT_UNKNOWN }, { 0x41, VMEXIT_EXCEPTION },
	{ 0x51, VMEXIT_EXCEPTION }, { 0x52, VMEXIT_MCE },
	{ 0x40, VMEXIT_UNKNOWN }, { 0x4e, VMEXIT_UNKNOWN },
	{ 0x60, VMEXIT_INTR }, { 0x61, VMEXIT_NMI },
	{ 0x62, VMEXIT_UNKNOWN }, { 0x63, VMEXIT_UNKNOWN },
	{ 0x64, VMEXIT_WINDOW }, { 0x65, VMEXIT_UNKNOWN },
	{ 0x6e, VMEXIT_UNKNOWN }, { 0x6f, VMEXIT_GP },
	{ 0x72, VMEXIT_CPUID }, { 0x73, VMEXIT_UNKNOWN },
	{ 0x75, VMEXIT_UNKNOWN }, { 0x76, VMEXIT_NOP },
	{ 0x77, VMEXIT_UNKNOWN }, { 0x78, VMEXIT_HLT },
	{ 0x79, VMEXIT_UNKNOWN }, { 0x7a, VMEXIT_UD },
	{ 0x7c, VMEXIT_RDMSR }, { 0x7d, VMEXIT_UNKNOWN },
	{ 0x7f, VMEXIT_SHUTDOWN }, { 0x80, VMEXIT_UD },
	{ 0x81, VMEXIT_UD }, { 0x82, VMEXIT_UD }, { 0x83, VMEXIT_UD },
	{ 0x84, VMEXIT_UD }, { 0x85, VMEXIT_UD }, { 0x86, VMEXIT_UD },
	{ 0x87, VMEXIT_UD }, { 0x88, VMEXIT_UD }, { 0x89, VMEXIT_NOP },
	{ 0x8a, VMEXIT_UD }, { 0x8b, VMEXIT_UD }, { 0x8c, VMEXIT_UD },
	{ 0x8d, VMEXIT_XSETBV }, { 0x8e, VMEXIT_UD }, { 0x8f, VMEXIT_UNKNOWN },
	{ 0x90, VMEXIT_UNKNOWN }, { 0x400, VMEXIT_NPF },
	{ 0x401, VMEXIT_UNKNOWN }, { 0x402, VMEXIT_UNKNOWN },
	{ 0x403, VMEXIT_UNKNOWN }, { 0x7fff, VMEXIT_UNKNOWN },
};
#define NCODES	((int)(sizeof(codes) / sizeof(codes[0])))

START_TEST(exit_codes)
{
	struct vmexit x = decode(codes[_i].code, 0, 0);

	ck_assert_msg(x.kind == codes[_i].kind, "code %#x: kind %d",
	    codes[_i].code, x.kind);
	ck_assert(!x.lost.valid);
}
END_TEST

START_TEST(exit_dr)
{
	unsigned int code;
	struct vmexit x;

	for (code = 0x20; code < 0x40; code++) {
		x = decode(code, 0, 0);
		ck_assert_int_eq(x.kind, VMEXIT_DR);
		ck_assert_uint_eq(x.u.reg.reg, code & 15);
		ck_assert(!x.u.reg.decoded);
	}
}
END_TEST

START_TEST(exit_msr_write)
{
	ck_assert_int_eq(decode(0x7c, 1, 0).kind, VMEXIT_WRMSR);
	ck_assert_int_eq(decode(0x7c, 0, 0).kind, VMEXIT_RDMSR);
}
END_TEST

/* EXITINFO1 of I/O; bits 7-12 as hardware and as QEMU gives them. */
START_TEST(exit_io)
{
	struct vmexit x;

	x = decode(0x7b, 0x03f80010, 0x1002);
	ck_assert_int_eq(x.kind, VMEXIT_IO);
	ck_assert_uint_eq(x.u.io.port, 0x3f8);
	ck_assert_uint_eq(x.u.io.size, 1);
	ck_assert_uint_eq(x.insn_len, 2);
	ck_assert(!x.u.io.in && !x.u.io.string && !x.u.io.rep);
	x = decode(0x7b, 0xffff0021, 0x100f);
	ck_assert_uint_eq(x.u.io.port, 0xffff);
	ck_assert_uint_eq(x.u.io.size, 2);
	ck_assert_uint_eq(x.insn_len, 15);
	ck_assert(x.u.io.in);
	x = decode(0x7b, 0x1234004d, 0x1001);
	ck_assert_uint_eq(x.u.io.size, 4);
	ck_assert(x.u.io.in && x.u.io.string && x.u.io.rep);
	ck_assert_uint_eq(x.insn_len, 1);
	x = decode(0x7b, 0x1000ddd, 0x1001);	/* A64, segment bits */
	ck_assert_uint_eq(x.u.io.size, 5 & 7);
	x = decode(0x7b, 0x03f80090, 0x1002);
	ck_assert_uint_eq(x.u.io.size, 1);
	/* No next RIP, or an impossible one. */
	ck_assert_int_eq(decode(0x7b, 0x03f80010, 0).kind, VMEXIT_UNKNOWN);
	ck_assert_int_eq(decode(0x7b, 0x03f80010, 0x1000).kind,
	    VMEXIT_UNKNOWN);
	ck_assert_int_eq(decode(0x7b, 0x03f80010, 0x1010).kind,
	    VMEXIT_UNKNOWN);
}
END_TEST

START_TEST(exit_npf)
{
	static const struct {
		uint64_t	info;
		uint8_t		access;
	} t[] = {
		{ 0x100000004, NPT_R }, { 0x100000005, NPT_R },
		{ 0x100000006, NPT_W }, { 0x100000007, NPT_W },
		{ 0x100000014, NPT_X }, { 0x100000015, NPT_X },
		{ 0x200000006, NPT_W },		/* a walk of the guest's */
	};
	struct vmexit x;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		x = decode(0x400, t[i].info, 0x123456789);
		ck_assert_int_eq(x.kind, VMEXIT_NPF);
		ck_assert_uint_eq(x.u.npf.gpa, 0x123456789);
		ck_assert_uint_eq(x.u.npf.access, t[i].access);
	}
	ck_assert_int_eq(decode(0x400, 0x10000000d, 0).kind, VMEXIT_UNKNOWN);
}
END_TEST

/* F17: #DB and #AC as they came, #MC to the host, NMI left to STGI. */
START_TEST(f17_exceptions)
{
	struct vmexit x;

	x = decode(0x51, 0, 0);
	ck_assert_uint_eq(x.u.event.vector, 17);
	ck_assert_uint_eq(x.u.event.type, EVENT_EXCEPTION);
	ck_assert(x.u.event.valid && x.u.event.has_error);
	x = decode(0x41, 0, 0);
	ck_assert_uint_eq(x.u.event.vector, 1);
	ck_assert(x.u.event.valid && !x.u.event.has_error);
	ck_assert_uint_eq(fake_mces(), 0);
	(void)decode(0x52, 0, 0);
	ck_assert_uint_eq(fake_mces(), 1);
	(void)decode(0x61, 0, 0);
	ck_assert_uint_eq(fake_nmis(), 0);
}
END_TEST

static void
lost_info(struct fake_guest *g, uint64_t arg)
{
	vmcb_set(g, VC_EXITINTINFO, arg);
	fake_exit_raw(g, 0x60, 0, 0);
}

static struct hv_event
lost(uint64_t info)
{
	struct vmexit x;

	memset(&x, 0xee, sizeof(x));
	fake_step(lost_info, info);
	enter(&x);
	return (x.lost);
}

/* EXITINTINFO: only with bit 31; soft events are executed again. */
START_TEST(exit_lost)
{
	struct hv_event e;

	ck_assert(!lost(0x340).valid);
	ck_assert(!lost(0x12300000b0e).valid);
	e = lost(0x80000021);
	ck_assert(e.valid && !e.has_error);
	ck_assert_uint_eq(e.vector, 0x21);
	ck_assert_uint_eq(e.type, EVENT_INTR);
	e = lost(0x80000202);
	ck_assert(e.valid);
	ck_assert_uint_eq(e.type, EVENT_NMI);
	e = lost(0x0000001580000b0e);
	ck_assert(e.valid && e.has_error);
	ck_assert_uint_eq(e.vector, 14);
	ck_assert_uint_eq(e.error, 0x15);
	ck_assert(!lost(0x80000480).valid);	/* INT 0x80 */
	ck_assert(!lost(0x80000303).valid);	/* INT3 */
	ck_assert(!lost(0x80000304).valid);	/* INTO */
	ck_assert(lost(0x80000301).valid);	/* #DB */
}
END_TEST

/* --- Lengths --- */

static void
cpuid_at(struct fake_guest *g, uint64_t nrip)
{
	vmcb_set(g, VC_NRIP, nrip);
	fake_exit(g, 0x72, 0, 0);
}

/* Without NRIPS the field is rubbish: the bytes are decoded. */
START_TEST(length_without_nrips)
{
	unit_code(0x1000, "\x66\x0f\xa2", 3);
	fake_step(cpuid_at, 0x1007);
	run_to_end();
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x1003);
}
END_TEST

START_TEST(length_with_nrips)
{
	unit_code(0x1000, "\x66\x0f\xa2", 3);
	fake_step(cpuid_at, 0x1007);
	run_to_end();
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x1007);
	unit_code(0x1007, "\x66\x0f\xa2", 3);
	fake_step(cpuid_at, 0);		/* none given: decoded after all */
	run_to_end();
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x100a);
}
END_TEST

/* --- A refused entry --- */

/*
 * Registers that pass one by one and not together. The VCPU ends, the log
 * explains, and the registers read back are the guest's, not the host's.
 */
START_TEST(refused)
{
	struct vcpu_reg_state r;

	fake_quirk_invalid32(_i);
	unit_real(&r);
	r.vrs_crs[VCPU_REGS_CR0] = 0x80000011;
	r.vrs_msrs[VCPU_REGS_EFER] = 0x500;	/* LME, PG, no PAE */
	r.vrs_gprs[VCPU_REGS_RBX] = 0x1234;
	r.vrs_crs[VCPU_REGS_CR3] = 0x7000;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EINVAL);
	ck_assert_str_eq(fake_refused(), "LME, PG and no PAE");
	ck_assert(fake_log_has("entry refused"));
	ck_assert(fake_log_has("ends with error 22"));
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_TERMINATED);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_uint_eq(r.vrs_gprs[VCPU_REGS_RIP], 0x1000);
	ck_assert_uint_eq(r.vrs_gprs[VCPU_REGS_RBX], 0x1234);
	ck_assert_uint_eq(r.vrs_crs[VCPU_REGS_CR3], 0x7000);
	ck_assert_uint_eq(r.vrs_sregs[VCPU_REGS_CS].vsi_sel, 0);
	ck_assert_uint_eq(u.exit.vrs.vrs_crs[VCPU_REGS_CR3], 0x7000);
}
END_TEST

/* Refused though no register was written before: nothing of the host leaks. */
static void
refuse_now(struct fake_guest *g, uint64_t arg)
{
	(void)arg;
	fake_exit_raw(g, UINT64_MAX, 0, 0);
	vmcb_set(g, VS_CR3, 0x1234000);
	vmcb_set(g, VS_RIP, 0xffffffff81000000);
}

START_TEST(refused_later)
{
	struct vcpu_reg_state r;

	fake_step(fake_do_exit, 0x60);
	fake_step(refuse_now, 0);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EINVAL);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_uint_ne(r.vrs_crs[VCPU_REGS_CR3], 0x1234000);
	ck_assert_uint_eq(r.vrs_gprs[VCPU_REGS_RIP], 0x1000);
}
END_TEST

/* An exit code nobody knows: EINVAL, TERMINATED, RIP where it was. */
START_TEST(unknown_exit)
{
	static uint64_t infos[] = { 0x7e, 1, 2 };

	fake_step(unit_raw, (uintptr_t)infos);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EINVAL);
	ck_assert(fake_log_has("exit 0x7e info 0x1 0x2"));
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x1000);
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_TERMINATED);
}
END_TEST

/* --- CPUs --- */

static int
create(void)
{
	uint32_t i;

	if (fake_user_ptr(GUEST_VA) == NULL)
		fake_user_map(GUEST_VA, MIB, 0);
	return (unit_create_at(GUEST_VA, MIB, 1, &i));
}

/* F27: a CPU, the first or a later one, has SVME set already. */
START_TEST(f27_busy)
{
	unsigned int cpu = (unsigned int)_i, i;

	fake_msr_set(cpu, FAKE_MSR_EFER, 0x1d01);
	ck_assert_int_eq(create(), EBUSY);
	ck_assert(fake_log_has("another hypervisor"));
	for (i = 0; i < 4; i++) {
		ck_assert_uint_eq(fake_msr_get(i, FAKE_MSR_EFER),
		    i == cpu ? 0x1d01 : 0xd01);
		ck_assert_uint_eq(fake_msr_get(i, FAKE_MSR_VM_HSAVE_PA), 0);
	}
	fake_msr_set(cpu, FAKE_MSR_EFER, 0xd01);
	ck_assert_int_eq(create(), 0);
}
END_TEST

/* F21: a CPU that does not take SVME; the others are as before. */
START_TEST(f21_refuses)
{
	unsigned int cpu = (unsigned int)_i;

	fake_msr_ignore(cpu, FAKE_MSR_EFER);
	ck_assert_int_eq(create(), EIO);
	ck_assert(fake_log_has("cannot enter VMM mode"));
	fake_cpu_check_clean();
	fake_msr_set(cpu, FAKE_MSR_EFER, 0xd01);
	ck_assert_int_eq(create(), 0);
}
END_TEST

/* Firmware disabled SVM on one CPU only: setting SVME there would be #GP. */
START_TEST(f21_svmdis)
{
	unsigned int cpu = (unsigned int)_i;

	fake_msr_set(cpu, FAKE_MSR_VM_CR, 0x10);
	ck_assert_int_eq(create(), EIO);
	fake_cpu_check_clean();
	fake_msr_set(cpu, FAKE_MSR_VM_CR, 0);
	ck_assert_int_eq(create(), 0);
}
END_TEST

/* --- A host with five levels of page tables --- */

static void
setup_la57(void)
{
	unsigned int i;

	unit_boot();
	for (i = 0; i < 4; i++)
		fake_la57(i, true);
	unit_attach();
}

static void
la57_touch(struct fake_guest *g, uint64_t gpa)
{
	(void)fake_access(g, gpa, NPT_W, NULL);
}

/* The CPU walks as many: through one entry, and no other, to the tables. */
START_TEST(la57_walk)
{
	uint64_t n_cr3, hpa, size;
	struct vcpu_reg_state r;
	int rights, i;

	unit_real(&r);
	id = unit_real_vm();
	for (i = 0; i < 2; i++) {		/* and after RESETCPU */
		fake_step(la57_touch, 0x4018);
		run_to_end();
		ck_assert_uint_eq(unit_used(id), PAGE_SIZE_4K);
		n_cr3 = vmcb_get(fake_last(), VC_N_CR3);
		ck_assert(fake_walk(n_cr3, 0x4018, &hpa, &rights, &size));
		ck_assert_uint_eq(hpa, fake_user_pa(GUEST_VA + 0x4018));
		ck_assert_int_eq(rights, 7);
		ck_assert(!fake_walk(n_cr3, 1ULL << 48 | 0x4018, &hpa,
		    &rights, &size));
		ck_assert(!fake_walk(n_cr3, 511ULL << 48 | 0x4018, &hpa,
		    &rights, &size));
		ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	}
}
END_TEST

/* The one table more that each VCPU has is not there, and given back. */
START_TEST(la57_no_memory)
{
	uint64_t pages = fake_kernel_pages();
	unsigned int n;
	int error;

	fake_user_map(GUEST_VA, MIB, 0);
	for (n = 1;; n++) {
		fake_fail_at(n);
		error = unit_create_at(GUEST_VA, MIB, 2, &id);
		if (!fake_failed())
			break;
		ck_assert_int_eq(error, ENOMEM);
		ck_assert_uint_eq(fake_kernel_pages(), pages);
	}
	fake_fail_at(0);
	ck_assert_int_eq(error, 0);
	ck_assert_int_eq(unit_term(id), 0);
	ck_assert_uint_eq(fake_kernel_pages(), pages);
}
END_TEST

/* A CPU that does not walk as the others do takes no part. */
START_TEST(la57_unlike)
{
	unsigned int cpu = (unsigned int)_i;

	fake_la57(cpu, false);
	ck_assert_int_eq(create(), EIO);
	fake_cpu_check_clean();
	fake_la57(cpu, true);
	ck_assert_int_eq(create(), 0);
}
END_TEST

/* CPL is the VMCB's; SYSRET may leave another DPL in SS. */
static void
sysret(struct fake_guest *g, uint64_t arg)
{
	(void)arg;
	g->vmcb[VS_CPL] = 3;
	vmcb_set32(g, VS_SS, 0xc93u << 16 | 0x1b);
}

START_TEST(f9_cpl_after_sysret)
{
	struct vcpu_reg_state r;

	unit_long(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	fake_step(sysret, 0);
	run_to_end();
	ck_assert_int_eq(u.exit.cpl, 3);
	ck_assert_uint_eq(u.exit.vrs.vrs_sregs[VCPU_REGS_SS].vsi_ar, 0xc0f3);
	run_to_end();
	ck_assert_uint_eq(fake_last()->vmcb[VS_CPL], 3);
}
END_TEST

/* The driver's memory for a VM with one VCPU: at most 64 KiB. */
START_TEST(memory_of_a_vm)
{
	uint64_t pages = fake_kernel_pages();

	(void)unit_create(2 * MIB, 1);
	pages = fake_kernel_pages() - pages - 1;	/* the nested root */
	ck_assert_uint_le(pages * PAGE_SIZE_4K + sizeof(struct vm) +
	    sizeof(struct vcpu) + PAGE_SIZE_4K, 65536);
}
END_TEST

static void
vmcb_tests(TCase *tc)
{
	tcase_add_test(tc, intercepts_exact);
	tcase_add_test(tc, vmcb_fields);
	tcase_add_test(tc, registers);
	tcase_add_test(tc, c3_access_rights);
	tcase_add_test(tc, registers_from_guest);
	tcase_add_test(tc, f28_tpr);
	tcase_add_test(tc, f17_host_bits);
	tcase_add_test(tc, f17_mce_off);
	tcase_add_test(tc, iopm);
	tcase_add_test(tc, msrpm);
	tcase_add_loop_test(tc, exit_codes, 0, NCODES);
	tcase_add_test(tc, exit_dr);
	tcase_add_test(tc, exit_msr_write);
	tcase_add_test(tc, exit_io);
	tcase_add_test(tc, exit_npf);
	tcase_add_test(tc, f17_exceptions);
	tcase_add_test(tc, exit_lost);
	tcase_add_test(tc, length_without_nrips);
	tcase_add_loop_test(tc, refused, 0, 2);
	tcase_add_test(tc, refused_later);
	tcase_add_test(tc, unknown_exit);
	tcase_add_test(tc, f9_cpl_after_sysret);
	tcase_add_test(tc, memory_of_a_vm);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("svm");
	TCase *tc = tcase_create("vmcb"), *cpus, *bare;

	tcase_add_checked_fixture(tc, setup, unit_detach);
	suite_add_tcase(s, tc);
	vmcb_tests(tc);
	tc = tcase_create("nrips");
	tcase_add_checked_fixture(tc, setup_nrips, unit_detach);
	suite_add_tcase(s, tc);
	tcase_add_test(tc, length_with_nrips);
	bare = unit_bare_case(s, "bare");
	tcase_add_test(bare, no_xsetbv_without_xsave);
	cpus = unit_case(s, "cpus");
	tcase_add_loop_test(cpus, f27_busy, 0, 4);
	tcase_add_loop_test(cpus, f21_refuses, 0, 4);
	tcase_add_loop_test(cpus, f21_svmdis, 1, 4);
	tc = tcase_create("la57");
	tcase_add_checked_fixture(tc, setup_la57, unit_detach);
	suite_add_tcase(s, tc);
	tcase_add_test(tc, la57_walk);
	tcase_add_test(tc, la57_no_memory);
	tcase_add_loop_test(tc, la57_unlike, 0, 4);
	return (s);
}
