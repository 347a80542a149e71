/* SPDX-License-Identifier: ISC */
/*
 * exit_insn.c - instructions a guest does not have, and their decoding.
 */
#include "exit_util.h"

#define GP0	TRAP(VMM_EX_GP, 0, 0)
#define UD	TRAP(VMM_EX_UD, 0, 0)
#define DB(len)	TRAP(VMM_EX_DB, 0, len)

/* INT1, the last: SVM intercepts it, on VMX it is the guest's own trap. */
static void
ud_svm(void)
{
	struct client_vm *v = new_guest("ud-svm", NULL);
	int i;

	for (i = 0; i < 13; i++) {
		note("instruction %d", i);
		CHECK_EQ(run_value(v), i < 12 || client_is_svm() ? UD : DB(1));
	}
	run_done(v);
}

/* TCG knows no TPAUSE, the last: it takes it for MFENCE. */
static void
ud_vmx(void)
{
	struct client_vm *v = new_guest("ud-vmx", NULL);
	uint32_t got;
	int i;

	for (i = 0; i < 18; i++) {
		note("instruction %d", i);
		got = run_value(v);
		if (i < 17 || !under_tcg())
			CHECK_EQ(got, UD);
	}
	run_done(v);
}

/*
 * TCG ignores the intercept of RDTSCP, so there it may run; it shows the
 * guest a TSC_AUX that nothing in the host has set.
 */
static void
ud_rdtscp(void)
{
	struct client_vm *v = new_guest("ud-rdtscp", NULL);
	uint32_t got;

	got = run_value(v);
	CHECK(got == UD || (under_tcg() && got == TRAP_NONE));
	CHECK_EQ(run_value(v), UD);
	run_done(v);
}

static void
cache(void)
{
	struct client_vm *v = new_guest("cache", NULL);

	RUN_VALUES(v, TRAP_NONE, TRAP_NONE, TRAP_NONE, GP0, GP0, GP0,
	    0xcafef00d);
	CHECK_EQ(*(uint32_t *)(v->mem + 0x30000), 0xcafef00d);
}

/* With CR0.CD set, reads of CR0 are emulated too. */
static const uint64_t cd[8] = { CR0_CD };

static void
decode_with(const uint64_t *args)
{
	struct client_vm *v = new_guest("decode", args);
	static const uint32_t want[] = {
		DB(3), DB(3), DB(4), DB(10), DB(4), DB(15), GP0,
		DB(4), DB(4), DB(4), DB(4), DB(9), DB(3), DB(3), 1,
	};
	static const uint32_t tail[] = {
		DB(4), CPUID_EBX_40000000, CPUID_EBX_40000000,
		CPUID_EBX_40000000,
	};
	uint32_t got;
	size_t i;

	for (i = 0; i < NELEM(want); i++) {
		note("value %zu", i);
		CHECK_EQ(run_value(v), want[i]);
	}
	/* LOCK MOV CR0: CR8 where the CPU has that form, else #UD. */
	got = run_value(v);
	CHECK_EQ(got, 5);
	run_values(v, tail, NELEM(tail));
}

static void
decode(void)
{
	decode_with(NULL);
	decode_with(cd);
}

static void
decode_real(void)
{
	RUN_VALUES(new_guest("decode-real", NULL), DB(2), DB(5), DB(2),
	    DB(4), DB(5), DB(2));
	RUN_VALUES(new_guest("decode-real", cd), DB(2), DB(5), DB(2),
	    DB(4), DB(5), DB(2));
}

static void
decode_prot(void)
{
	RUN_VALUES(new_guest("decode-prot", NULL), CPUID_EBX_40000000,
	    0, 0, 0, 0, GP0, GP0);
}

/* CPUID and RET, of which only the first byte lies in a touched page. */
static void
decode_straddle(void)
{
	uint64_t args[8] = { 0x1fffff, 2 };
	struct client_vm *v = new_guest("access", args);

	v->mem[0x1fffff] = 0x0f;
	v->mem[0x200000] = 0xa2;
	v->mem[0x200001] = 0xc3;
	run_value(v);
	run_done(v);
}

const struct clause exit_insn[] = {
	{ "4.2.ud-svm", "SVM instructions, MONITOR, MWAIT, INT1 are #UD",
	    LAYER_EXIT, MATCH, ud_svm, "INT1: SVM #UD, VMX #DB" },
	{ "4.2.ud-vmx", "VMX instructions, and what CPUID hides, are #UD",
	    LAYER_EXIT, MATCH, ud_vmx, "TCG takes TPAUSE for MFENCE" },
	{ "4.2.ud-rdtscp", "RDTSCP and RDPID are #UD",
	    LAYER_EXIT, MATCH, ud_rdtscp, "TCG runs RDTSCP" },
	{ "F17.cache", "INVD and WBINVD do nothing, RDPMC is #GP",
	    LAYER_EXIT, FIX, cache, NULL },
	{ "4.decode", "lengths to 15 bytes, odd forms, paging, 64-bit code",
	    LAYER_EXIT, MATCH, decode, NULL },
	{ "4.decode-real", "16-bit code, CS.base, addressing modes",
	    LAYER_EXIT, MATCH, decode_real, NULL },
	{ "4.decode-prot", "32-bit code with segment bases and limits",
	    LAYER_EXIT, MATCH, decode_prot, NULL },
	{ "4.decode-straddle", "an instruction whose second page is untouched",
	    LAYER_EXIT, MATCH, decode_straddle, NULL },
	CLAUSE_END
};
