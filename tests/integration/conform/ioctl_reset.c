/* SPDX-License-Identifier: ISC */
/*
 * ioctl_reset.c - RESETCPU: which states, what it clears, what it keeps.
 */
#include "ioctl_util.h"

#define CR0_PE		0x00000001UL
#define CR0_NW		0x20000000UL
#define CR0_CD		0x40000000UL
#define CR0_PG		0x80000000UL
#define CR4_PAE		0x20UL
#define EFER_LME	0x100UL
#define EFER_LMA	0x400UL
#define RFLAGS_TF	0x100UL
#define RFLAGS_VM	0x20000UL
#define AR_L		0x2000
#define AR_DB		0x4000
#define AR_V86		0xf3

static int
reset(struct client_vm *v, const struct vcpu_reg_state *rs)
{
	return (client_ioc_resetcpu(v->fd, v->id, 0, rs));
}

/* The four modes that guests start in, each read back as it was given. */
static void
mode(int m)
{
	struct client_vm *v = new_vm(CLIENT_MIB, 1);
	struct vcpu_reg_state rs, now;

	client_start_state(m, &rs);
	rs.vrs_gprs[VCPU_REGS_R15] = fresh();
	rs.vrs_crs[VCPU_REGS_CR2] = fresh();
	rs.vrs_msrs[VCPU_REGS_STAR] = fresh();
	rs.vrs_drs[VCPU_REGS_DR1] = fresh();
	CHECK_EQ(reset(v, &rs), 0);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_STOPPED);
	get_regs(v, &now);
	same_regs("after RESETCPU", &now, &rs, VM_RWREGS_ALL);
}

static void
mode_real(void)
{
	mode(GUEST_REAL);
}

static void
mode_prot(void)
{
	mode(GUEST_PROT);
}

static void
mode_pae(void)
{
	mode(GUEST_PAE);
}

static void
mode_long(void)
{
	mode(GUEST_LONG);
}

/* Other states that a CPU can be in. */
static void
accepted(void)
{
	struct client_vm *v = new_vm(CLIENT_MIB, 1);
	struct vcpu_reg_state rs;
	int i;

	client_start_state(GUEST_LONG, &rs);
	rs.vrs_sregs[VCPU_REGS_CS].vsi_ar ^= AR_L | AR_DB;
	EXPECT("compatibility mode", reset(v, &rs), 0);
	rs.vrs_sregs[VCPU_REGS_CS].vsi_ar &= ~AR_DB;
	EXPECT("16-bit compatibility mode", reset(v, &rs), 0);
	client_start_state(GUEST_PROT, &rs);
	rs.vrs_crs[VCPU_REGS_CR0] |= CR0_PG;
	EXPECT("paging without PAE", reset(v, &rs), 0);
	client_start_state(GUEST_PROT, &rs);
	rs.vrs_msrs[VCPU_REGS_EFER] = EFER_LME;
	EXPECT("LME before paging", reset(v, &rs), 0);
	client_start_state(GUEST_PROT, &rs);
	rs.vrs_gprs[VCPU_REGS_RFLAGS] |= RFLAGS_VM;
	for (i = 0; i < VCPU_REGS_LDTR; i++)
		rs.vrs_sregs[i] = (struct vcpu_segment_info){
			.vsi_limit = 0xffff, .vsi_ar = AR_V86,
		};
	EXPECT("virtual 8086", reset(v, &rs), 0);
	client_start_state(GUEST_REAL, &rs);
	rs.vrs_crs[VCPU_REGS_CR0] |= CR0_CD;
	EXPECT("CD", reset(v, &rs), 0);
	rs.vrs_crs[VCPU_REGS_CR0] |= CR0_NW;
	EXPECT("CD and NW", reset(v, &rs), 0);
	client_start_state(GUEST_LONG, &rs);
	rs.vrs_gprs[VCPU_REGS_RIP] = 0xffff800000008010;
	EXPECT("RIP in the upper half", reset(v, &rs), 0);
}

/* States that no CPU can be in, though each register alone is legal. */
static const struct combo {
	const char	*what;
	int		 base;
	uint64_t	 cr0_on, cr0_off, cr4_off;
	uint64_t	 efer_on, efer_off;
	uint64_t	 rflags_on, rip_on;
	uint32_t	 cs_on;
} combos[] = {
	{ "PG without PE", GUEST_REAL, CR0_PG, 0, 0, 0, 0, 0, 0, 0 },
	{ "long mode without PE", GUEST_LONG, 0, CR0_PE, 0, 0, 0, 0, 0, 0 },
	{ "virtual 8086 without PE", GUEST_REAL, 0, 0, 0, 0, 0, RFLAGS_VM, 0,
	    0 },
	{ "NW without CD", GUEST_REAL, CR0_NW, 0, 0, 0, 0, 0, 0, 0 },
	{ "LMA without LME", GUEST_LONG, 0, 0, 0, 0, EFER_LME, 0, 0, 0 },
	{ "LME and paging without LMA", GUEST_LONG, 0, 0, 0, 0, EFER_LMA, 0,
	    0, 0 },
	{ "LMA without paging", GUEST_LONG, 0, CR0_PG, 0, 0, 0, 0, 0, 0 },
	{ "LMA in real mode", GUEST_REAL, 0, 0, 0, EFER_LME | EFER_LMA, 0, 0,
	    0, 0 },
	{ "LMA without PAE", GUEST_LONG, 0, 0, CR4_PAE, 0, 0, 0, 0, 0 },
	{ "virtual 8086 in long mode", GUEST_LONG, 0, 0, 0, 0, 0, RFLAGS_VM,
	    0, 0 },
	{ "CS with L and D", GUEST_LONG, 0, 0, 0, 0, 0, 0, 0, AR_DB },
	{ "RIP above 4 GiB in protected mode", GUEST_PROT, 0, 0, 0, 0, 0, 0,
	    1UL << 32, 0 },
};

static void
refused(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	const struct combo *c;
	struct snapshot before;
	struct vcpu_reg_state rs;

	CHECK_EQ(client_run(v, NO_IRQ), 0);
	take_snapshot(v, &before);
	for (c = combos; c < combos + NELEM(combos); c++) {
		client_start_state(c->base, &rs);
		rs.vrs_crs[VCPU_REGS_CR0] |= c->cr0_on;
		rs.vrs_crs[VCPU_REGS_CR0] &= ~c->cr0_off;
		rs.vrs_crs[VCPU_REGS_CR4] &= ~c->cr4_off;
		rs.vrs_msrs[VCPU_REGS_EFER] |= c->efer_on;
		rs.vrs_msrs[VCPU_REGS_EFER] &= ~c->efer_off;
		rs.vrs_gprs[VCPU_REGS_RFLAGS] |= c->rflags_on;
		rs.vrs_gprs[VCPU_REGS_RIP] |= c->rip_on;
		rs.vrs_sregs[VCPU_REGS_CS].vsi_ar |= c->cs_on;
		EXPECT(c->what, reset(v, &rs), EIO);
		same_snapshot(c->what, v, &before);
	}
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
}

/* XCR0 is x87 alone afterwards, whatever was passed. */
static void
xcr0(void)
{
	static const uint64_t given[] = { 0, 1, 2, 3, 7, 8, ~0UL };
	struct client_vm *v = new_vm(CLIENT_MIB, 1);
	struct vcpu_reg_state rs, now;
	uint64_t want;
	size_t i;

	client_start_state(GUEST_REAL, &rs);
	CHECK_EQ(reset(v, &rs), 0);
	get_regs(v, &now);
	want = now.vrs_crs[VCPU_REGS_XCR0];
	CHECK(want == 0 || want == 1);
	for (i = 0; i < NELEM(given); i++) {
		rs.vrs_crs[VCPU_REGS_XCR0] = given[i];
		EXPECT("RESETCPU", reset(v, &rs), 0);
		get_regs(v, &now);
		CHECK_EQ(now.vrs_crs[VCPU_REGS_XCR0], want);
	}
}

static void
busy(void)
{
	static const uint8_t hlt[] = { 0xf4 };
	struct client_vm *v = new_started(code_spin, sizeof(code_spin), 1);
	struct client_vm *dead = new_started(hlt, sizeof(hlt), 1);
	struct vcpu_reg_state rs;
	struct bg r;

	client_start_state(GUEST_REAL, &rs);
	bg_start(&r, v, 0);
	CHECK_EQ(reset(v, &rs), EBUSY);
	rs.vrs_crs[VCPU_REGS_CR0] = CR0_PG;
	EXPECT("EBUSY before EIO", reset(v, &rs), EBUSY);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	bg_join(&r);

	CHECK_EQ(client_run(dead, NO_IRQ), EIO);
	client_start_state(GUEST_REAL, &rs);
	CHECK_EQ(reset(dead, &rs), EBUSY);
	CHECK_EQ(vcpu_state(dead->id, 0), VCPU_STATE_TERMINATED);
}

/* A triple fault is a reboot: the VCPU can be reset and runs. */
static void
after_shutdown(void)
{
	/* lidt with limit 0; then an undefined instruction. */
	static const uint8_t code[] = {
		0x0f, 0x01, 0x1e, 0x00, 0x90, 0x0f, 0x0b,
	};
	struct client_vm *v = new_started(code, sizeof(code), 1);

	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_SHUTDOWN);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_STOPPED);
	set_code(v, code_out, sizeof(code_out));
	CHECK_EQ(client_start(v, GUEST_REAL), 0);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
}

static void
many(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vcpu_reg_state rs;
	uint64_t before = 0, after;
	bool counted;
	int i;

	client_start_state(GUEST_REAL, &rs);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	counted = host_free_pages(&before);
	for (i = 0; i < 100000; i++)
		CHECK_EQ(reset(v, &rs), 0);
	if (counted && host_free_pages(&after))
		CHECK_EQ(after, before);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
}

/* The clock is off after it. */
static void
clears_clock(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vm_rwvmparams_params vpp = { 0 };
	uint8_t page[PAGE];

	vpp.vpp_vm_id = v->id;
	vpp.vpp_mask = VM_RWVMPARAMS_ALL;
	vpp.vpp_pvclock_system_gpa = 0x90001;
	vpp.vpp_pvclock_version = 5;
	CHECK_EQ(client_ioc_writevmparams(v->fd, &vpp), 0);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_start(v, GUEST_REAL), 0);
	CHECK_EQ(client_ioc_readvmparams(v->fd, &vpp), 0);
	CHECK_EQ(vpp.vpp_pvclock_system_gpa, 0);
	CHECK_EQ(vpp.vpp_pvclock_version, 0);
	memset(v->mem + 0x90000, 0xa5, PAGE);
	memset(page, 0xa5, sizeof(page));
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(memcmp(v->mem + 0x90000, page, sizeof(page)), 0);
}

/* Vectors that waited are gone: with IF set the guest gets none. */
static void
clears_vectors(void)
{
	static const uint8_t sti_out[] = { 0xfb, 0x90, 0xe6, 0x20, 0xeb,
	    0xfc };
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	int irq;

	for (irq = 0x20; irq <= 0xff; irq += 0x1f)
		CHECK_EQ(client_run(v, (uint16_t)irq), 0);
	CHECK_EQ(v->run.vrp_irqready, 0);
	set_code(v, sti_out, sizeof(sti_out));
	CHECK_EQ(client_start(v, GUEST_REAL), 0);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
	CHECK_EQ(v->exit.vei.vei_port, 0x20);
	CHECK_EQ(v->exit.vrs.vrs_gprs[VCPU_REGS_RIP], GUEST_ENTRY + 4);
	CHECK_EQ(v->exit.vrs.vrs_gprs[VCPU_REGS_RSP], GUEST_STACK - 0x10);
	CHECK_EQ(v->run.vrp_irqready, 1);
}

/* The trap of an instruction that was stepped is gone with the guest. */
static void
clears_exception(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vcpu_reg_state rs;

	get_regs(v, &rs);
	rs.vrs_gprs[VCPU_REGS_RFLAGS] |= RFLAGS_TF;
	CHECK_EQ(reset(v, &rs), 0);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
	CHECK_EQ(client_start(v, GUEST_REAL), 0);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
	CHECK_EQ(v->exit.vrs.vrs_gprs[VCPU_REGS_RIP], GUEST_ENTRY + 2);
	CHECK_EQ(v->exit.vrs.vrs_gprs[VCPU_REGS_RSP], GUEST_STACK - 0x10);
	CHECK_EQ(v->exit.vrs.vrs_drs[VCPU_REGS_DR6], 0xffff0ff0);
}

/* An IN that waits for its answer waits no more. */
static void
clears_in(void)
{
	static const uint8_t in[] = { 0xe4, 0x20, 0xe6, 0x20 };
	struct client_vm *v = new_started(in, sizeof(in), 1);

	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(v->exit.vei.vei_dir, VEI_DIR_IN);
	CHECK_EQ(client_start(v, GUEST_REAL), 0);
	client_answer(v, 0x5a);
	set_code(v, code_out, sizeof(code_out));
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(v->exit.vei.vei_dir, VEI_DIR_OUT);
	CHECK_EQ(v->exit.vei.vei_data, 0);
}

/* The level of INTR is the client's and stays. */
static void
keeps_intr(void)
{
	struct client_vm *v = new_started(code_sti_spin,
	    sizeof(code_sti_spin), 1);

	CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, 1), 0);
	CHECK_EQ(client_start(v, GUEST_REAL), 0);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_WINDOW);
	CHECK_EQ(v->run.vrp_irqready, 1);
}

/* The rights of guest memory are the VM's and stay. */
static void
keeps_rights(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);

	CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0, 0x90000, PAGE, 1), 0);
	CHECK_EQ(guest_write(v, 0x90000), CLIENT_PROTECT);
	CHECK_EQ(guest_write(v, 0x90000), CLIENT_PROTECT);
	CHECK_EQ(guest_write(v, 0x91000), CLIENT_IO);
}

const struct clause ioctl_reset[] = {
	ROW("3.5.real", "RESETCPU to real mode reads back", MATCH,
	    mode_real),
	ROW("F22.prot", "RESETCPU to protected mode without paging", FIX,
	    mode_prot),
	ROW("3.5.pae", "RESETCPU to PAE paging reads back", MATCH, mode_pae),
	ROW("3.5.long", "RESETCPU to long mode reads back", MATCH,
	    mode_long),
	ROW("3.5.accepted", "RESETCPU to other states a CPU can be in",
	    MATCH, accepted),
	ROW("3.5.eio", "RESETCPU to a state no CPU can be in is EIO, nothing "
	    "changed", FIX, refused),
	ROW("3.5.xcr0", "RESETCPU leaves XCR0 with x87 alone", MATCH, xcr0),
	ROW("3.5.ebusy", "RESETCPU of a VCPU not STOPPED is EBUSY", MATCH,
	    busy),
	ROW("3.5.reboot", "RESETCPU after a triple fault", MATCH,
	    after_shutdown),
	ROW("F5.many", "100,000 times RESETCPU take nothing", FIX, many),
	ROW("F5.clock", "RESETCPU turns the clock off", FIX, clears_clock),
	ROW("F5.vectors", "RESETCPU forgets waiting vectors", FIX,
	    clears_vectors),
	ROW("F5.exception", "RESETCPU forgets an exception that waits", FIX,
	    clears_exception),
	ROW("F7.reset", "RESETCPU forgets an IN that waits", FIX, clears_in),
	ROW("F5.intr", "RESETCPU keeps the level of INTR", MATCH,
	    keeps_intr),
	ROW("F5.rights", "RESETCPU keeps the rights of memory", MATCH,
	    keeps_rights),
	CLAUSE_END
};
