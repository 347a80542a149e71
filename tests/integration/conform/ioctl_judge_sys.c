/* SPDX-License-Identifier: ISC */
/*
 * ioctl_judge_sys.c - see ioctl_judge.h; here MSRs, debug registers, segments
 * and what the host owns.
 */
#include "ioctl_judge.h"

/* --- MSRS --- */

static void
efer(void)
{
	static const struct judge fine[] = {
		{ "EFER none", MSR(EFER), 0, 0 },
		{ "EFER SCE", MSR(EFER), 0x1, 0x1 },
		{ "EFER LME", MSR(EFER), 0x100, 0x100 },
		{ "EFER LME LMA", MSR(EFER), 0x500, 0x500 },
		{ "EFER NXE", MSR(EFER), 0xd00, 0xd00 },
	};
	struct judge bad = { "EFER", MSR(EFER), 0, 0 };
	struct vcpu_reg_state good;
	struct client_vm *v = victim(&good);
	int bit;

	for (bit = 1; bit < 64; bit++) {
		if (bit == 8 || (bit >= 10 && bit <= 15))
			continue;	/* LME LMA NXE SVME LMSLE FFXSR TCE */
		bad.value = 0x500 | 1UL << bit;
		refuse(v, &good, &bad, true);
	}
	accept_all(fine, NELEM(fine));
}

static void
msrs(void)
{
	static const struct judge bad[] = {
		{ "LSTAR", MSR(LSTAR), HOLE_START, 0 },
		{ "LSTAR", MSR(LSTAR), HOLE_LAST, 0 },
		{ "CSTAR", MSR(CSTAR), HOLE_START, 0 },
		{ "CSTAR", MSR(CSTAR), HOLE_LAST, 0 },
		{ "KGSBASE", MSR(KGSBASE), HOLE_START, 0 },
		{ "KGSBASE", MSR(KGSBASE), HOLE_LAST, 0 },
		{ "SFMASK", MSR(SFMASK), 1UL << 32, 0 },
		{ "SFMASK", MSR(SFMASK), 1UL << 63, 0 },
	};
	static const struct judge fine[] = {
		{ "STAR", MSR(STAR), ~0UL, ~0UL },
		{ "LSTAR", MSR(LSTAR), LOW_END, LOW_END },
		{ "LSTAR", MSR(LSTAR), HIGH_START, HIGH_START },
		{ "CSTAR", MSR(CSTAR), LOW_END, LOW_END },
		{ "CSTAR", MSR(CSTAR), HIGH_START, HIGH_START },
		{ "KGSBASE", MSR(KGSBASE), LOW_END, LOW_END },
		{ "KGSBASE", MSR(KGSBASE), HIGH_START, HIGH_START },
		{ "SFMASK", MSR(SFMASK), 0xffffffff, 0xffffffff },
	};

	refuse_all(bad, NELEM(bad));
	accept_all(fine, NELEM(fine));
}

/* Bits that the host owns: no error, and not shown. */
static void
host_owned(void)
{
	static const struct judge fine[] = {
		{ "EFER SVME", MSR(EFER), 0x1500, 0x500 },
		{ "CR4 VMXE", CR(CR4), 0x2020, 0x20 },
		{ "CR0 without NE", CR(CR0), 0x80000011, 0x80000011 },
	};
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vcpu_reg_state rs;
	int i;

	accept_all(fine, NELEM(fine));
	for (i = 0; i < 2; i++) {
		get_regs(v, &rs);
		CHECK_EQ(rs.vrs_msrs[VCPU_REGS_EFER], 0);
		CHECK_EQ(rs.vrs_crs[VCPU_REGS_CR4], 0);
		CHECK_EQ(rs.vrs_crs[VCPU_REGS_CR0], 0x30);
		CHECK_EQ(client_run(v, NO_IRQ), 0);
		same_regs("vrp_exit", &v->exit.vrs, &rs, VM_RWREGS_MSRS |
		    VM_RWREGS_CRS);
	}
}

/* --- DRS --- */

static void
drs(void)
{
	static const struct judge bad[] = {
		{ "DR6", DR(DR6), 1UL << 32, 0 },
		{ "DR6", DR(DR6), 1UL << 63, 0 },
		{ "DR7", DR(DR7), 1UL << 32 | 0x400, 0 },
		{ "DR7", DR(DR7), 1UL << 63 | 0x400, 0 },
	};
	static const struct judge fine[] = {
		{ "DR0", DR(DR0), ~0UL, ~0UL },
		{ "DR1", DR(DR1), HOLE_START, HOLE_START },
		{ "DR2", DR(DR2), LOW_END, LOW_END },
		{ "DR3", DR(DR3), HIGH_START, HIGH_START },
		{ "DR6", DR(DR6), 0, 0xffff0ff0 },
		{ "DR6", DR(DR6), 0xffffeff0 | 0xf, 0xffffeff0 | 0xf },
		{ "DR7", DR(DR7), 0, 0x400 },
		{ "DR7", DR(DR7), 0xffff27ff, 0xffff27ff },
	};

	refuse_all(bad, NELEM(bad));
	accept_all(fine, NELEM(fine));
}

/* --- SREGS --- */

#define BASES(s) \
	{ #s " base", SEG(s, vsi_base), HOLE_START, 0 }, \
	{ #s " base", SEG(s, vsi_base), HOLE_LAST, 0 }
#define RIGHTS(s) \
	{ #s " rights", SEG(s, vsi_ar), 0x193, 0 }, \
	{ #s " rights", SEG(s, vsi_ar), 0x893, 0 }, \
	{ #s " rights", SEG(s, vsi_ar), 0x20093, 0 }, \
	{ #s " rights", SEG(s, vsi_ar), 0x80000093, 0 }

static void
sregs(void)
{
	static const struct judge bad[] = {
		BASES(CS), BASES(DS), BASES(ES), BASES(FS), BASES(GS),
		BASES(SS), BASES(LDTR), BASES(TR),
		RIGHTS(CS), RIGHTS(DS), RIGHTS(ES), RIGHTS(FS), RIGHTS(GS),
		RIGHTS(SS), RIGHTS(LDTR), RIGHTS(TR),
		{ "GDTR base", AT(vrs_gdtr.vsi_base), HOLE_START, 0 },
		{ "GDTR base", AT(vrs_gdtr.vsi_base), HOLE_LAST, 0 },
		{ "GDTR limit", AT(vrs_gdtr.vsi_limit), 0x10000, 0 },
		{ "IDTR base", AT(vrs_idtr.vsi_base), HOLE_START, 0 },
		{ "IDTR base", AT(vrs_idtr.vsi_base), HOLE_LAST, 0 },
		{ "IDTR limit", AT(vrs_idtr.vsi_limit), 0xffffffff, 0 },
	};
	static const struct judge fine[] = {
		{ "FS base", SEG(FS, vsi_base), LOW_END, LOW_END },
		{ "GS base", SEG(GS, vsi_base), HIGH_START, HIGH_START },
		{ "LDTR base", SEG(LDTR, vsi_base), HIGH_START, HIGH_START },
		{ "TR base", SEG(TR, vsi_base), LOW_END, LOW_END },
		{ "DS base", SEG(DS, vsi_base), 0xffffffff, 0xffffffff },
		{ "DS limit", SEG(DS, vsi_limit), 0xffffffff, 0xffffffff },
		{ "DS limit", SEG(DS, vsi_limit), 0, 0 },
		{ "CS rights", SEG(CS, vsi_ar), 0xf0ff, 0xf0ff },
		{ "GDTR base", AT(vrs_gdtr.vsi_base), HIGH_START, HIGH_START },
		{ "GDTR limit", AT(vrs_gdtr.vsi_limit), 0xffff, 0xffff },
		{ "IDTR base", AT(vrs_idtr.vsi_base), LOW_END, LOW_END },
		{ "IDTR limit", AT(vrs_idtr.vsi_limit), 0, 0 },
	};

	refuse_all(bad, NELEM(bad));
	accept_all(fine, NELEM(fine));
}

const struct clause ioctl_judge_sys[] = {
	ROW("F11.efer", "EFER has no reserved bit, and bits can be cleared",
	    FIX, efer),
	ROW("F11.msrs", "MSRs that hold addresses are canonical", FIX, msrs),
	ROW("F11.host-owned", "SVME, VMXE and NE of the host are not shown",
	    FIX, host_owned),
	ROW("F11.drs", "DR6 and DR7 have no high half; fixed bits are "
	    "supplied", FIX, drs),
	ROW("F11.sregs", "segments have canonical bases and no reserved "
	    "right", FIX, sregs),
	CLAUSE_END
};
