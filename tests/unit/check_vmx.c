/* SPDX-License-Identifier: ISC */
/*
 * check_vmx.c - the VMCS of the VMX back end: its fields after RESETCPU, the
 * registers and where they go, the shadows, the bitmaps, and the host behind
 * it. Numbers are the manual's, typed here. Exits are check_vmx_exit.c's.
 */
#include "insn.h"
#include "vmx_unit.h"

#define CTL(f)		((uint32_t)last(f))

/* --- The VMCS after RESETCPU --- */

/* Each control exactly: what is missing here leaks, what is more may fault. */
START_TEST(controls_exact)
{
	uint64_t root;

	run_to_end();
	ck_assert_uint_eq(CTL(VF_PIN), 0x0000007f);
	ck_assert_uint_eq(CTL(VF_PROC), 0x04006172 | 1u << 7 | 1u << 10 |
	    1u << 11 | 1u << 19 | 1u << 20 | 1u << 23 | 1u << 24 | 1u << 28 |
	    1u << 29 | 1u << 31);
	ck_assert_uint_eq(CTL(VF_PROC2), 0x000000e2);
	ck_assert_uint_eq(CTL(VF_EXIT_CTLS), 0x00036dfb | 1u << 9 | 1u << 19 |
	    1u << 21);
	ck_assert_uint_eq(CTL(VF_ENTRY_CTLS), 0x000011fb | 1u << 2 | 1u << 14 |
	    1u << 15);
	ck_assert_uint_eq(CTL(VF_EXCEPTIONS), 0x00060002);
	ck_assert_uint_eq(CTL(VF_PF_MASK), 0);
	ck_assert_uint_eq(CTL(VF_PF_MATCH), 0);
	ck_assert_uint_eq(CTL(VF_CR3_TARGETS), 0);
	root = host_pa_of(unit_vm(id)->npt.root);
	ck_assert_uint_eq(last(VF_EPTP), root | 0x1e);
	ck_assert_uint_eq(last(VF_LINK), UINT64_MAX);
	ck_assert_uint_eq(last(VF_CR0_MASK), UINT64_MAX);
	ck_assert_uint_eq(last(VF_CR4_MASK), UINT64_MAX);
	ck_assert_uint_eq(last(VF_ACTIVITY), 0);
	ck_assert_uint_eq(last(VF_DEBUGCTL), 0);
	ck_assert_uint_eq(last(VF_PENDING_DEBUG), 0);
	ck_assert_uint_eq(last(VF_PAT), 0x0606060606060606);
	ck_assert_uint_eq(last(VF_ENTRY_LOADS), 5);
	ck_assert_uint_eq(last(VF_EXIT_STORES), 5);
	ck_assert_uint_eq(last(VF_EXIT_LOADS), 5);
	ck_assert_uint_eq(last(VF_ENTRY_LOAD), last(VF_EXIT_STORE));
	ck_assert_uint_ne(last(VF_EXIT_LOAD), last(VF_EXIT_STORE));
	ck_assert_uint_ne(fake_last()->asid, 0);
}
END_TEST

START_TEST(guest_fields)
{
	run_to_end();
	ck_assert_uint_eq(last(VF_RIP), 0x1000);
	ck_assert_uint_eq(last(VF_RSP), 0x8000);
	ck_assert_uint_eq(last(VF_RFLAGS), 2);
	ck_assert_uint_eq(last(VF_DR7), 0x400);
	ck_assert_uint_eq(last(VF_CR0), 0x30);		/* ET, and NE */
	ck_assert_uint_eq(last(VF_CR0_SHADOW), 0x10);
	ck_assert_uint_eq(last(VF_CR4), 0x2040);	/* VMXE, host's MCE */
	ck_assert_uint_eq(last(VF_CR4_SHADOW), 0);
	ck_assert_uint_eq(last(VF_EFER), 0);
	ck_assert_uint_eq(last(VF_SEL(VX_CS)), 0);
	ck_assert_uint_eq(last(VF_AR(VX_CS)), 0x9b);
	ck_assert_uint_eq(last(VF_AR(VX_TR)), 0x8b);
	ck_assert_uint_eq(last(VF_AR(VX_LDTR)), 0x82);
	ck_assert_uint_eq(last(VF_IDTR_LIMIT), 0x3ff);
}
END_TEST

/* RESETCPU after a run: every field as new, whatever the guest left. */
static void
mess(struct fake_guest *g, uint64_t arg)
{
	static const uint32_t f[] = { VF_SYSENTER_CS, VF_SYSENTER_ESP,
	    VF_SYSENTER_EIP, VF_PDPTE0, VF_CR3, VF_IDTR_BASE, VF_GDTR_BASE };
	size_t i;

	(void)arg;
	for (i = 0; i < sizeof(f) / sizeof(f[0]); i++)
		vf_set(g, f[i], 0x77000);
	vf_set(g, VF_INTERRUPTIBILITY, VX_MOV_SS);
}

START_TEST(f5_reset_is_new)
{
	struct vcpu_reg_state r;

	fake_step(mess, 0);
	run_to_end();
	ck_assert_uint_eq(last(VF_SYSENTER_EIP), 0x77000);
	unit_real(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	run_to_end();
	ck_assert_uint_eq(last(VF_SYSENTER_CS), 0);
	ck_assert_uint_eq(last(VF_SYSENTER_ESP), 0);
	ck_assert_uint_eq(last(VF_SYSENTER_EIP), 0);
	ck_assert_uint_eq(last(VF_CR3), 0);
	ck_assert_uint_eq(last(VF_INTERRUPTIBILITY), 0);
	ck_assert_uint_eq(last(VF_IDTR_BASE), 0);
}
END_TEST

/* --- Registers --- */

static const int order[VX_NSEGS] = { VCPU_REGS_ES, VCPU_REGS_CS,
    VCPU_REGS_SS, VCPU_REGS_DS, VCPU_REGS_FS, VCPU_REGS_GS, VCPU_REGS_LDTR,
    VCPU_REGS_TR };

static uint64_t
area_value(uint32_t field, unsigned int i, uint32_t *index)
{
	const uint64_t *e = (uint64_t *)host_va_of(last(field)) + 2 * i;

	*index = (uint32_t)e[0];
	ck_assert_uint_eq(e[0] >> 32, 0);
	return (e[1]);
}

static void
numbers(struct vcpu_reg_state *r)
{
	int i;

	unit_long(r);
	for (i = 0; i < 14; i++)
		r->vrs_gprs[i] = 0x1111111100000000u + (uint64_t)i;
	for (i = 0; i < 8; i++) {
		r->vrs_sregs[i].vsi_sel = (uint16_t)(0x100 + i * 8);
		r->vrs_sregs[i].vsi_limit = i < 6 ? 0x10fffu + 0x1000u *
		    (uint32_t)i : 0x1000u + (uint32_t)i;
		r->vrs_sregs[i].vsi_base = 0x20000u + (uint64_t)i;
	}
	r->vrs_gdtr.vsi_base = 0x31000;
	r->vrs_gdtr.vsi_limit = 0x37;
	r->vrs_idtr.vsi_base = 0x32000;
	r->vrs_idtr.vsi_limit = 0x47;
	r->vrs_crs[VCPU_REGS_CR2] = 0x2222;
	r->vrs_crs[VCPU_REGS_CR3] = 0x3000;
	r->vrs_crs[VCPU_REGS_CR8] = 5;
	r->vrs_msrs[VCPU_REGS_STAR] = 0x4001;
	r->vrs_msrs[VCPU_REGS_LSTAR] = 0x4002;
	r->vrs_msrs[VCPU_REGS_CSTAR] = 0x4003;
	r->vrs_msrs[VCPU_REGS_SFMASK] = 0x4004;
	r->vrs_msrs[VCPU_REGS_KGSBASE] = 0x4005;
}

/* What the CPU holds while the guest runs. */
static uint64_t seen_cr2, seen_msr[5];
static const uint32_t msr_index[5] = { 0xc0000081, 0xc0000082, 0xc0000083,
    0xc0000084, 0xc0000102 };

static void
look(struct fake_guest *g, uint64_t arg)
{
	int i;

	(void)arg;
	seen_cr2 = insn_read_cr2();
	for (i = 0; i < 5; i++)
		seen_msr[i] = fake_msr_get(g->cpu, msr_index[i]);
}

/* Every register to its place, and back from there. */
START_TEST(registers)
{
	struct vcpu_reg_state r, back;
	uint32_t index;
	unsigned int i;

	numbers(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	fake_step(look, 0);
	run_to_end();
	for (i = 0; i < VX_NSEGS; i++) {
		const struct vcpu_segment_info *s = &r.vrs_sregs[order[i]];

		ck_assert_uint_eq(last(VF_SEL(i)), s->vsi_sel);
		ck_assert_uint_eq(last(VF_LIMIT(i)), s->vsi_limit);
		ck_assert_uint_eq(last(VF_AR(i)), s->vsi_ar);
		ck_assert_uint_eq(last(VF_BASE(i)), s->vsi_base);
	}
	ck_assert_uint_eq(last(VF_GDTR_BASE), 0x31000);
	ck_assert_uint_eq(last(VF_GDTR_LIMIT), 0x37);
	ck_assert_uint_eq(last(VF_IDTR_BASE), 0x32000);
	ck_assert_uint_eq(last(VF_IDTR_LIMIT), 0x47);
	ck_assert_uint_eq(last(VF_CR3), 0x3000);
	ck_assert_uint_eq(last(VF_EFER), 0x500);
	ck_assert_uint_eq(CTL(VF_ENTRY_CTLS) & VX_ENTRY_IA32E,
	    VX_ENTRY_IA32E);
	ck_assert_uint_eq(seen_cr2, 0x2222);
	for (i = 0; i < 5; i++) {
		ck_assert_uint_eq(seen_msr[i], 0x4001 + i);
		ck_assert_uint_eq(area_value(VF_EXIT_STORE, i, &index),
		    0x4001 + i);
		ck_assert_uint_eq(index, msr_index[i]);
		(void)area_value(VF_EXIT_LOAD, i, &index);
		ck_assert_uint_eq(index, msr_index[i]);
	}
	back = r;
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &back), 0);
	ck_assert_mem_eq(&back, &r, sizeof(r));
}
END_TEST

/* C3: a segment that is not present is unusable, and reads back so. */
START_TEST(c3_access_rights)
{
	static const struct {
		uint32_t	ar, field, back;
	} t[] = {
		{ 0x0093, 0x0093, 0x0093 },
		{ 0xc09b, 0xc09b, 0xc09b },
		{ 0x2013, 0x12013, 0x12013 },	/* not present */
		{ 0x10000, 0x10000, 0x10000 },
		{ 0x100f3, 0x100f3, 0x10073 },	/* P goes with unusable */
		{ 0x1c0ff, 0x1c0ff, 0x1c07f },
		{ 0xfffe0f93 | 0x10000, 0x10093, 0x10013 },
	};
	struct vcpu_reg_state r;
	size_t i;

	unit_real(&r);
	r.vrs_sregs[VCPU_REGS_DS].vsi_limit = 0xffffffff;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		r.vrs_sregs[VCPU_REGS_DS].vsi_ar = t[i].ar;
		r.vrs_sregs[VCPU_REGS_DS].vsi_limit =
		    (t[i].ar & 0x8000) != 0 ? 0xffffffff : 0xffff;
		ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_SREGS, &r), 0);
		run_to_end();
		ck_assert_msg(last(VF_AR(VX_DS)) == t[i].field, "row %zu", i);
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
	for (i = 0; i < 16; i++)
		if (i != VCPU_REGS_RSP)
			g->gpr[i] = 0x50u + (unsigned int)i;
	vf_set(g, VF_RSP, 0x71);
	vf_set(g, VF_RIP, 0x72);
	vf_set(g, VF_RFLAGS, 0x202);
	insn_write_cr2(0x73);
	vf_set(g, VF_CR3, 0x74000);
	vf_set(g, VF_BASE(VX_FS), 0x75);
	vf_set(g, VF_INTERRUPTIBILITY, VX_STI);
	for (i = 0; i < 5; i++)
		fake_msr_set(g->cpu, msr_index[i], 0x80u + (unsigned int)i);
}

START_TEST(registers_from_guest)
{
	struct vcpu_reg_state *r = &u.exit.vrs;
	int i;

	fake_step(guest_writes, 0);
	run_to_end();
	for (i = 0; i < 16; i++)
		if (i != VCPU_REGS_RSP)
			ck_assert_uint_eq(r->vrs_gprs[i],
			    0x50u + (unsigned int)i);
	ck_assert_uint_eq(r->vrs_gprs[VCPU_REGS_RSP], 0x71);
	ck_assert_uint_eq(r->vrs_gprs[VCPU_REGS_RIP], 0x72);
	ck_assert_uint_eq(r->vrs_gprs[VCPU_REGS_RFLAGS], 0x202);
	ck_assert_uint_eq(r->vrs_crs[VCPU_REGS_CR2], 0x73);
	ck_assert_uint_eq(r->vrs_crs[VCPU_REGS_CR3], 0x74000);
	ck_assert_uint_eq(r->vrs_sregs[VCPU_REGS_FS].vsi_base, 0x75);
	for (i = 0; i < 5; i++)
		ck_assert_uint_eq(r->vrs_msrs[VCPU_REGS_STAR + i],
		    0x80u + (unsigned int)i);
	ck_assert(v->shadow);
	fake_step(look, 0);	/* and is what the next entry loads */
	run_to_end();
	ck_assert_uint_eq(seen_cr2, 0x73);
	ck_assert_uint_eq(seen_msr[4], 0x84);
	ck_assert_uint_eq(last(VF_INTERRUPTIBILITY), VX_STI);
	ck_assert_uint_eq(last(VF_RSP), 0x71);
}
END_TEST

/* --- PAE --- */

static void
guest_pdptes(struct fake_guest *g, uint64_t arg)
{
	uint32_t i;

	for (i = 0; i < 4; i++)
		vf_set(g, VF_PDPTE0 + 2 * i, arg + (i << 12) + 1);
}

/* PAE paging: the four PDPTEs go into the VMCS and come back from it. */
START_TEST(pdptes)
{
	struct vcpu_reg_state r;
	uint32_t i;

	unit_long(&r);
	r.vrs_msrs[VCPU_REGS_EFER] = 0;
	r.vrs_sregs[VCPU_REGS_CS].vsi_ar = 0xc09b;
	for (i = 0; i < 4; i++)
		r.vrs_crs[VCPU_REGS_PDPTE0 + i] = 0x5001 + (i << 12);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	run_to_end();
	for (i = 0; i < 4; i++)
		ck_assert_uint_eq(last(VF_PDPTE0 + 2 * i), 0x5001 + (i << 12));
	ck_assert_uint_eq(CTL(VF_ENTRY_CTLS) & VX_ENTRY_IA32E, 0);
	fake_step(guest_pdptes, 0xa0000);	/* by MOV to CR3 */
	run_to_end();
	for (i = 0; i < 4; i++)
		ck_assert_uint_eq(u.exit.vrs.vrs_crs[VCPU_REGS_PDPTE0 + i],
		    0xa0001 + (i << 12));
	/* Without PAE they are nothing: not loaded, not stored. */
	unit_real(&r);
	r.vrs_crs[VCPU_REGS_PDPTE0] = 0x123;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	fake_step(guest_pdptes, 0xb0000);
	run_to_end();
	ck_assert_uint_eq(u.exit.vrs.vrs_crs[VCPU_REGS_PDPTE0], 0x123);
}
END_TEST

/* --- F14: what the guest wrote is what it reads --- */

static uint64_t read_back;

static void
guest_reads(struct fake_guest *g, uint64_t arg)
{
	uint64_t rbx = g->gpr[VCPU_REGS_RBX];

	ck_assert(!fake_mov_from_cr(g, (int)arg, VCPU_REGS_RBX));
	read_back = g->gpr[VCPU_REGS_RBX];
	g->gpr[VCPU_REGS_RBX] = rbx;
}

struct cr_write {
	int		cr;
	uint64_t	value;
	unsigned int	len;
};

static void
guest_writes_cr(struct fake_guest *g, uint64_t arg)
{
	const struct cr_write *w = (const struct cr_write *)(uintptr_t)arg;

	g->gpr[VCPU_REGS_RBX] = w->value;
	g->len = 3;
	(void)fake_mov_to_cr(g, w->cr, VCPU_REGS_RBX);
}

/* The guest writes a control register and reads it; then the client does. */
static void
write_and_read(int cr, uint64_t value)
{
	const struct cr_write w = { cr, value, 3 };

	fake_step(guest_writes_cr, (uintptr_t)&w);
	fake_step(guest_reads, (uint64_t)cr);
	run_to_end();
	ck_assert_uint_eq(read_back, value);
	ck_assert_uint_eq(u.exit.vrs.vrs_crs[cr == 0 ? VCPU_REGS_CR0 :
	    VCPU_REGS_CR4], value);
	ck_assert_uint_eq(fake_nevents(), 0);
}

START_TEST(f14_cr0)
{
	static const uint64_t values[] = { 0x10, 0x11, 0x31, 0x60000011,
	    0x10, 0x40000010, 0x1e, 0x50011 };
	size_t i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		write_and_read(0, values[i]);
		/* NE on; CD and NW are the host's. */
		ck_assert_uint_eq(last(VF_CR0),
		    (values[i] & ~0x60000000ULL) | 0x20);
	}
}
END_TEST

START_TEST(f14_cr4)
{
	static const uint64_t values[] = { 0, 0x10, 0x30, 0x600, 0x40600 };
	size_t i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		write_and_read(4, values[i]);
		ck_assert_uint_eq(last(VF_CR4), values[i] | 0x2040);
	}
}
END_TEST

/* Bits the guest does not have: #GP(0), nothing changed. */
START_TEST(f14_refused)
{
	static const struct cr_write w[] = {
		{ 4, 0x2000, 3 },		/* VMXE */
		{ 4, 0x40, 3 },			/* MCE */
		{ 4, 0x20000, 3 },		/* PCIDE */
		{ 0, 0x20000010, 3 },		/* NW without CD */
		{ 0, 0x80000010, 3 },		/* PG without PE */
	};

	fake_step(guest_writes_cr, (uintptr_t)&w[_i]);
	run_to_end();
	ck_assert_uint_eq(fake_nevents(), 1);
	ck_assert_uint_eq(fake_event(0)->vector, 13);
	ck_assert(!fake_event(0)->has_error);		/* real mode */
	ck_assert_uint_eq(fake_event(0)->rip, 0x1000);
	ck_assert_uint_eq(last(VF_CR0_SHADOW), 0x10);
	ck_assert_uint_eq(last(VF_CR4_SHADOW), 0);
}
END_TEST

static void
guest_lmsw(struct fake_guest *g, uint64_t arg)
{
	g->len = 3;
	(void)fake_lmsw(g, (uint16_t)arg);
}

static void
guest_clts(struct fake_guest *g, uint64_t arg)
{
	(void)arg;
	g->len = 2;
	(void)fake_clts(g);
}

START_TEST(f14_lmsw_clts)
{
	fake_step(guest_lmsw, 0xfff9);		/* TS and PE */
	fake_step(guest_reads, 0);
	run_to_end();
	ck_assert_uint_eq(read_back, 0x19);
	fake_step(guest_clts, 0);
	fake_step(guest_reads, 0);
	run_to_end();
	ck_assert_uint_eq(read_back, 0x11);
	fake_step(guest_lmsw, 0);		/* cannot clear PE */
	fake_step(guest_reads, 0);
	run_to_end();
	ck_assert_uint_eq(read_back, 0x11);
	ck_assert_uint_eq(last(VF_CR0), 0x31);
}
END_TEST

/* Into long mode by the guest's own hands: EFER.LME, then CR0.PG. */
static void
guest_wrmsr_efer(struct fake_guest *g, uint64_t arg)
{
	g->gpr[VCPU_REGS_RAX] = arg;
	g->gpr[VCPU_REGS_RDX] = 0;
	g->len = 2;
	ck_assert(fake_vmx_msr(g, 0xc0000080, true));
}

START_TEST(f14_long_mode)
{
	static const struct cr_write pae = { 4, 0x20, 3 };
	static const struct cr_write pg = { 0, 0x80000011, 3 };
	static const struct cr_write off = { 0, 0x11, 3 };

	fake_step(guest_writes_cr, (uintptr_t)&pae);
	fake_step(guest_wrmsr_efer, 0x100);
	run_to_end();
	ck_assert_uint_eq(last(VF_EFER), 0x100);
	ck_assert_uint_eq(CTL(VF_ENTRY_CTLS) & VX_ENTRY_IA32E, 0);
	fake_step(guest_writes_cr, (uintptr_t)&pg);
	fake_step(guest_reads, 0);
	run_to_end();
	ck_assert_uint_eq(read_back, 0x80000011);
	ck_assert_uint_eq(last(VF_EFER), 0x500);
	ck_assert_uint_ne(CTL(VF_ENTRY_CTLS) & VX_ENTRY_IA32E, 0);
	ck_assert_uint_eq(u.exit.vrs.vrs_msrs[VCPU_REGS_EFER], 0x500);
	fake_step(guest_writes_cr, (uintptr_t)&off);
	run_to_end();
	ck_assert_uint_eq(last(VF_EFER), 0x100);
	ck_assert_uint_eq(CTL(VF_ENTRY_CTLS) & VX_ENTRY_IA32E, 0);
}
END_TEST

/* Paging of PAE kind turned on by the guest: the driver loads the PDPTEs. */
static const struct cr_write pae_on = { 4, 0x20, 3 };
static const struct cr_write pg_on = { 0, 0x80000011, 3 };

static void
prepare_pae(uint64_t cr3, uint64_t pdpte)
{
	struct vcpu_reg_state r;

	unit_real(&r);
	r.vrs_crs[VCPU_REGS_CR0] = 0x11;
	r.vrs_crs[VCPU_REGS_CR3] = cr3;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	unit_code(0x6020, (uint64_t[4]){ pdpte, 0, 0x8001, 0 }, 32);
	fake_step(guest_writes_cr, (uintptr_t)&pae_on);
	fake_step(guest_writes_cr, (uintptr_t)&pg_on);
}

START_TEST(pdptes_loaded)
{
	prepare_pae(0x6020, 0x7001);
	run_to_end();
	ck_assert_uint_eq(last(VF_PDPTE0), 0x7001);
	ck_assert_uint_eq(last(VF_PDPTE0 + 2), 0);
	ck_assert_uint_eq(last(VF_PDPTE0 + 4), 0x8001);
	ck_assert_uint_eq(u.exit.vrs.vrs_crs[VCPU_REGS_CR0], 0x80000011);
}
END_TEST

/* Reserved bits: the MOV that turns paging on is #GP(0). */
START_TEST(pdptes_reserved)
{
	prepare_pae(0x6020, 0x7003);
	run_to_end();
	ck_assert_uint_eq(fake_event(0)->vector, 13);
	ck_assert(fake_event(0)->has_error);
	ck_assert_uint_eq(u.exit.vrs.vrs_crs[VCPU_REGS_CR0], 0x11);
}
END_TEST

/* They cannot be read for want of host memory: RUN says that. */
START_TEST(pdptes_no_memory)
{
	prepare_pae(0x6020, 0x7001);
	fake_fail_at(1);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), ENOMEM);
	fake_fail_at(0);
	ck_assert_uint_eq(fake_nevents(), 0);
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_TERMINATED);
}
END_TEST

/* EFER.LME and a 16-bit TSS: #GP(0), no entry that fails. */
START_TEST(long_mode_tss16)
{
	struct vcpu_reg_state r;

	unit_real(&r);
	r.vrs_crs[VCPU_REGS_CR0] = 0x11;
	r.vrs_crs[VCPU_REGS_CR3] = 0x6000;
	r.vrs_crs[VCPU_REGS_CR4] = 0x20;
	r.vrs_msrs[VCPU_REGS_EFER] = 0x100;
	r.vrs_sregs[VCPU_REGS_TR].vsi_ar = 0x83;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	fake_step(guest_writes_cr, (uintptr_t)&pg_on);
	run_to_end();
	ck_assert_uint_eq(fake_event(0)->vector, 13);
	ck_assert_uint_eq(u.exit.vrs.vrs_crs[VCPU_REGS_CR0], 0x11);
	r.vrs_sregs[VCPU_REGS_TR].vsi_ar = 0x8b;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	fake_step(guest_writes_cr, (uintptr_t)&pg_on);
	run_to_end();
	ck_assert_uint_eq(fake_nevents(), 1);
	ck_assert_uint_eq(last(VF_EFER), 0x500);
}
END_TEST

/* F28: CR8 is the driver's; no TPR of the host's is reached. */
static void
guest_cr8(struct fake_guest *g, uint64_t arg)
{
	g->len = 4;
	if (arg == 99) {
		ck_assert(fake_mov_from_cr(g, 8, VCPU_REGS_R9));
		return;
	}
	g->gpr[VCPU_REGS_R9] = arg;
	ck_assert(fake_mov_to_cr(g, 8, VCPU_REGS_R9));
}

START_TEST(f28_cr8)
{
	fake_step(guest_cr8, 9);
	run_to_end();
	ck_assert_uint_eq(u.exit.vrs.vrs_crs[VCPU_REGS_CR8], 9);
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x1004);
	fake_step(guest_cr8, 99);
	run_to_end();
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_R9], 9);
	fake_step(guest_cr8, 16);
	run_to_end();
	ck_assert_uint_eq(fake_event(0)->vector, 13);
	ck_assert_uint_eq(u.exit.vrs.vrs_crs[VCPU_REGS_CR8], 9);
}
END_TEST

/* --- F11: bits that only this CPU cannot run with --- */

static void
smap_off(void *arg)
{
	(void)arg;
	host_cr4_clear(0x200000);
}

START_TEST(cr_check_fixed_bits)
{
	static const struct cr_write w = { 4, 0x200000, 3 };
	struct vcpu_reg_state r;

	unit_detach();
	vmx_bare();
	fake_msr_all(FAKE_MSR_CR4_FIXED1, 0, 0x200000);
	host_cpu_call_all(smap_off, NULL);
	unit_attach();
	id = unit_real_vm();
	v = unit_vm(id)->vcpu[0];
	unit_real(&r);
	r.vrs_crs[VCPU_REGS_CR4] = 0x200000;	/* SMAP, in CPUID */
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_CRS, &r), EINVAL);
	ck_assert_int_eq(unit_reset(id, 0, &r), EIO);
	fake_step(guest_writes_cr, (uintptr_t)&w);
	run_to_end();
	ck_assert_uint_eq(fake_event(0)->vector, 13);
}
END_TEST

/* --- Bitmaps --- */

START_TEST(ports_all_exit)
{
	static const struct {
		uint16_t	port;
		unsigned int	size;
	} t[] = { { 0, 1 }, { 0x80, 1 }, { 0x7fff, 2 }, { 0x8000, 4 },
	    { 0xffff, 4 } };
	struct fake_guest *g = fake_last();
	size_t i;

	run_to_end();
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ck_assert(fake_vmx_io(g, t[i].port, t[i].size, false, 0));
}
END_TEST

/* F16: what the CPU switches is the guest's; everything else exits. */
START_TEST(f16_msr_bitmap)
{
	static const uint32_t native[] = { 0x174, 0x175, 0x176, 0xc0000081,
	    0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101,
	    0xc0000102 };
	static const uint32_t base[] = { 0, 0xc0000000 };
	uint32_t i, n, msr;
	bool want;
	size_t k;

	run_to_end();
	for (i = 0; i < 2; i++)
		for (n = 0; n < 0x2000; n++) {
			msr = base[i] + n;
			want = true;
			for (k = 0; k < sizeof(native) / 4; k++)
				if (native[k] == msr)
					want = false;
			ck_assert_msg(fake_vmx_msr_exits(fake_last(), msr,
			    false) == want, "read %#x", msr);
			ck_assert_msg(fake_vmx_msr_exits(fake_last(), msr,
			    true) == want, "write %#x", msr);
		}
}
END_TEST

/* --- The host --- */

/*
 * Every return from a guest is checked by the fake host: CR0, CR3, CR4, EFER,
 * PAT, every selector, base, table and system-call MSR, with other threads'
 * values each time. Here on every CPU, in turn.
 */
START_TEST(host_comes_back)
{
	unsigned int i;

	for (i = 0; i < 200; i++) {
		fake_cpu_set(i / 3 % 4);
		fake_step(guest_writes, 0);
		step(&interrupt_exit);
		run_to_end();
	}
}
END_TEST

/* A host whose CR4.MCE is off, as early in a boot. */
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
	ck_assert_uint_eq(last(VF_CR4), 0x2000);
}
END_TEST

/*
 * An exit costs the fields that it has to cost: what did not change is not
 * written again, but for what the host's threads change.
 */
START_TEST(writes_of_an_exit)
{
	static const uint32_t never[] = { VF_PIN, VF_PROC, VF_PROC2,
	    VF_EXIT_CTLS, VF_ENTRY_CTLS, VF_CR0, VF_CR4, VF_CR0_SHADOW,
	    VF_CR4_SHADOW, VF_EFER, VF_DR7, VF_EPTP, VF_VPID, VF_RSP,
	    VF_RFLAGS, VF_ENTRY_EVENT, VF_INTERRUPTIBILITY, VF_HOST_CR0,
	    VF_HOST_GS_BASE, VF_HOST_RIP, VF_CR3, VF_TIMER };
	static const struct fake_vexit cpuid = { .reason = 10, .len = 2 };
	uint64_t before[sizeof(never) / sizeof(never[0])], reads;
	size_t i;

	step(&cpuid);
	run_to_end();
	for (i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		before[i] = fake_vmwrites(never[i]);
	reads = fake_vmreads();
	for (i = 0; i < 10; i++)
		step(&cpuid);
	step(&triple_fault);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	for (i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		ck_assert_msg(fake_vmwrites(never[i]) == before[i],
		    "field %#x", never[i]);
	/* Segments are read for the client, once, at the end. */
	ck_assert_uint_le(fake_vmreads() - reads, 11 * 11 + 40);
}
END_TEST

/* The driver's memory for a VM with one VCPU: at most 64 KiB. */
START_TEST(memory_of_a_vm)
{
	uint64_t pages = fake_kernel_pages();

	(void)unit_create(2 * MIB, 1);
	pages = fake_kernel_pages() - pages - 1;	/* the EPT's root */
	ck_assert_uint_le(pages * PAGE_SIZE_4K + sizeof(struct vm) +
	    sizeof(struct vcpu) + PAGE_SIZE_4K, 65536);
}
END_TEST

/* ENCLS would reach the host's enclaves: every leaf of it exits, as #UD. */
START_TEST(encls)
{
	static const struct fake_vexit leaf = { .reason = 60, .len = 3 };

	unit_detach();
	vmx_bare();
	fake_msr_all(FAKE_MSR_PROC2, 1ULL << (32 + 15), 0);
	unit_attach();
	id = unit_real_vm();
	step(&leaf);
	run_to_end();
	ck_assert_uint_eq(last(VF_ENCLS), UINT64_MAX);
	ck_assert_uint_eq(fake_event(0)->vector, 6);
	ck_assert_uint_eq(fake_event(0)->rip, 0x1000);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("vmx");
	TCase *tc = tcase_create("vmcs");

	tcase_add_checked_fixture(tc, vmx_setup, unit_detach);
	suite_add_tcase(s, tc);
	tcase_add_test(tc, controls_exact);
	tcase_add_test(tc, guest_fields);
	tcase_add_test(tc, f5_reset_is_new);
	tcase_add_test(tc, registers);
	tcase_add_test(tc, c3_access_rights);
	tcase_add_test(tc, registers_from_guest);
	tcase_add_test(tc, pdptes);
	tcase_add_test(tc, f14_cr0);
	tcase_add_test(tc, f14_cr4);
	tcase_add_loop_test(tc, f14_refused, 0, 5);
	tcase_add_test(tc, f14_lmsw_clts);
	tcase_add_test(tc, f14_long_mode);
	tcase_add_test(tc, pdptes_loaded);
	tcase_add_test(tc, pdptes_reserved);
	tcase_add_test(tc, pdptes_no_memory);
	tcase_add_test(tc, long_mode_tss16);
	tcase_add_test(tc, f28_cr8);
	tcase_add_test(tc, cr_check_fixed_bits);
	tcase_add_test(tc, ports_all_exit);
	tcase_add_test(tc, f16_msr_bitmap);
	tcase_add_test(tc, host_comes_back);
	tcase_add_test(tc, f17_mce_off);
	tcase_add_test(tc, writes_of_an_exit);
	tcase_add_test(tc, memory_of_a_vm);
	tcase_add_test(tc, encls);
	return (s);
}
