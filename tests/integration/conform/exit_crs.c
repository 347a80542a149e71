/* SPDX-License-Identifier: ISC */
/*
 * exit_crs.c - CR0, CR4, EFER and PDPTEs as guest and client see them, and
 * the fast system calls. What the two vendors share of it is in exit_cr.c.
 */
#include "exit_util.h"

#define GP0	TRAP(VMM_EX_GP, 0, 0)
#define UD	TRAP(VMM_EX_UD, 0, 0)

#define MP	0x2
#define EM	0x4
#define TS	0x8
#define NE	0x20
#define NW	0x20000000
#define CD	CR0_CD

static void
crs(struct client_vm *v, struct vcpu_reg_state *vrs)
{
	memset(vrs, 0, sizeof(*vrs));
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, v->vcpu, VM_RWREGS_CRS,
	    vrs), 0);
}

/* The next VALUE must be this CR0, and the client must see the same. */
static void
cr0_is(struct client_vm *v, uint32_t want)
{
	struct vcpu_reg_state vrs;

	CHECK_EQ(run_value(v), want);
	CHECK_EQ(v->exit.vrs.vrs_crs[VCPU_REGS_CR0], want);
	crs(v, &vrs);
	CHECK_EQ(vrs.vrs_crs[VCPU_REGS_CR0], want);
	CHECK_EQ(vrs.vrs_crs[VCPU_REGS_CR4], 0x20);
}

static void
view(void)
{
	static const uint32_t mine[] = {
		NE, 0, CD, CD | NW | NE, TS | NE, NE, NE, TS | NE, TS | NE,
		TS | NE, MP | EM | NE, NE, NE, MP | EM | TS | NE,
		MP | EM | NE, NE,
	};
	struct client_vm *v = new_guest("cr-view", NULL);
	struct vcpu_reg_state vrs;
	size_t i;

	for (i = 0; i < NELEM(mine); i++) {
		note("CR0 %zu", i);
		cr0_is(v, 0x80000011 | mine[i]);
	}
	CHECK_EQ(run_value(v), GP0);		/* VMXE */
	CHECK_EQ(run_value(v), GP0);		/* MCE */
	CHECK_EQ(run_value(v), 0x20);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	crs(v, &vrs);
	vrs.vrs_crs[VCPU_REGS_CR0] = 0x80000011 | CD | NW | TS;
	vrs.vrs_crs[VCPU_REGS_CR4] = 0x2024;	/* VMXE: not kept; TSD */
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_CRS, &vrs),
	    0);
	crs(v, &vrs);
	CHECK_EQ(vrs.vrs_crs[VCPU_REGS_CR0], 0x80000011 | CD | NW | TS);
	CHECK_EQ(vrs.vrs_crs[VCPU_REGS_CR4], 0x24);
	CHECK_EQ(run_value(v), 0x80000011 | CD | NW | TS);
	CHECK_EQ(run_value(v), 0x24);
	run_done(v);
}

static void
dr_forms(void)
{
	run_done(new_guest("dr-forms", NULL));
}

static void
efer_bits(void)
{
	struct client_vm *v = new_guest("efer-bits", NULL);
	uint32_t edx = run_value(v), want;
	int bit;

	for (bit = 0; bit < 64; bit++) {
		note("EFER bit %d", bit);
		want = GP0;
		if (bit == 0 || (bit == 11 && (edx >> 20 & 1) != 0) ||
		    (bit == 14 && (edx >> 25 & 1) != 0))
			want = 0x101;
		else if (bit == 10)		/* LMA: the CPU's */
			want = 0x100;
		CHECK_EQ(run_value(v), want);
		CHECK_EQ(v->exit.vrs.vrs_msrs[VCPU_REGS_EFER], 0x500);
	}
	CHECK_EQ(run_value(v), 0x500);
	run_done(v);
}

/* What a read at 1 GiB gives with PDPTE 1 there, and without. */
#define THERE	TRAP_NONE
#define GONE	TRAP(VMM_EX_PF, 0, 0)

static void
write_pdpte1(struct client_vm *v, uint64_t value)
{
	struct vcpu_reg_state vrs;

	crs(v, &vrs);
	vrs.vrs_crs[VCPU_REGS_PDPTE1] = value;
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_CRS, &vrs),
	    0);
}

/* On VMX the CPU's own copy counts, until something loads it. */
static void
pdptes_vmx(struct client_vm *v)
{
	static const uint32_t loads[] = {
		THERE, GONE, GONE, THERE,
	};
	static const uint32_t keeps[] = {
		THERE, THERE, THERE, THERE,
	};
	struct vcpu_reg_state vrs;
	uint32_t i;

	for (i = 0; i < 16; i++) {
		note("read %u", i);
		CHECK_EQ(run_value(v), i < 12 ? loads[i % 4] : keeps[i % 4]);
	}
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	CHECK_EQ(v->exit.vrs.vrs_crs[VCPU_REGS_PDPTE1],
	    (GUEST_PD + 0x1000) | 1);
	CHECK_EQ(run_value(v), THERE);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	crs(v, &vrs);
	CHECK_EQ(vrs.vrs_crs[VCPU_REGS_PDPTE0], GUEST_PD | 1);
	CHECK_EQ(vrs.vrs_crs[VCPU_REGS_PDPTE1], GUEST_PD | 1);
	CHECK_EQ(vrs.vrs_crs[VCPU_REGS_PDPTE3], (GUEST_PD + 0x3000) | 1);
	write_pdpte1(v, 0);
	CHECK_EQ(run_value(v), GONE);
	RUN_VALUES(v, GP0, GP0, GP0, GP0);
}

/* With SVM's nested paging, memory counts, always. */
static void
pdptes_svm(struct client_vm *v)
{
	static const uint32_t memory[] = { GONE, GONE, THERE, THERE };
	uint32_t i;

	for (i = 0; i < 16; i++) {
		note("read %u", i);
		CHECK_EQ(run_value(v), memory[i % 4]);
	}
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	CHECK_EQ(run_value(v), THERE);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	write_pdpte1(v, 0);
	CHECK_EQ(run_value(v), THERE);
	RUN_VALUES(v, TRAP_NONE, TRAP_NONE, TRAP_NONE, TRAP_NONE);
}

static void
pdptes(void)
{
	struct client_vm *v = new_guest("pae-load", NULL);

	CHECK_EQ(run_value(v), THERE);
	if (client_is_svm())
		pdptes_svm(v);
	else
		pdptes_vmx(v);
}

static void
syscalls(void)
{
	struct client_vm *v = new_guest("syscall", NULL);
	struct vcpu_reg_state *vrs = &v->exit.vrs;

	CHECK_EQ(run_value(v), 0x31);
	CHECK_EQ(v->exit.cpl, 3);
	CHECK_EQ(vrs->vrs_sregs[VCPU_REGS_CS].vsi_sel, 0x73);
	CHECK_EQ(vrs->vrs_sregs[VCPU_REGS_SS].vsi_sel, 0x6b);
	CHECK_EQ(run_value(v), 0);		/* RCX: behind SYSCALL */
	CHECK_EQ(v->exit.cpl, 0);
	CHECK_EQ(run_value(v), 1);		/* CF was set */
	CHECK_EQ(run_value(v), 0);		/* and is masked */
	CHECK_EQ(run_value(v), 0x50);
	CHECK_EQ(run_value(v), 0x58);
	CHECK_EQ(run_value(v), 0x11110000);
	CHECK_EQ(run_value(v), 0x22220000);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	CHECK_EQ(vrs->vrs_sregs[VCPU_REGS_GS].vsi_base, 0x31000);
	CHECK_EQ(vrs->vrs_msrs[VCPU_REGS_KGSBASE], 0x30000);
	CHECK_EQ(run_value(v), 0x73);
	CHECK_EQ(vrs->vrs_sregs[VCPU_REGS_GS].vsi_base, 0x30000);
	CHECK_EQ(vrs->vrs_msrs[VCPU_REGS_KGSBASE], 0x31000);
	if (!client_is_svm()) {
		CHECK_EQ(run_value(v), 0x51);
		CHECK_EQ(v->exit.cpl, 0);
		CHECK_EQ(run_value(v), 0x7600);
		CHECK_EQ(run_value(v), 0x50);
		CHECK_EQ(run_value(v), 0x58);
		CHECK_EQ(run_value(v), 0x73);
		CHECK_EQ(v->exit.cpl, 3);
	}
	CHECK_EQ(run_value(v), client_is_svm() ? UD : TRAP(VMM_EX_UD, 0, 9));
	run_done(v);
	CHECK_EQ(gpr(v, VCPU_REGS_RBX), 0x31000);
}

const struct clause exit_crs[] = {
	{ "F14.view", "CR0 and CR4: guest, READREGS and WRITEREGS agree",
	    LAYER_EXIT, FIX, view, NULL },
	{ "4.1.dr-forms", "MOV DR with all registers, CR8 with RSP",
	    LAYER_EXIT, MATCH, dr_forms, NULL },
	{ "F11.efer-bits", "EFER: each of its 64 bits alone",
	    LAYER_EXIT, FIX, efer_bits, NULL },
	{ "4.5.pdptes", "when PDPTEs are loaded, and from where",
	    LAYER_EXIT, MATCH, pdptes,
	    "SVM: memory counts; VMX: MOV CR0, CR3 and CR4 load them" },
	{ "4.4.syscall", "SYSCALL, SYSENTER and SWAPGS by the guest's MSRs",
	    LAYER_EXIT, MATCH, syscalls,
	    "SVM: SYSENTER is #UD in 64-bit mode" },
	CLAUSE_END
};
