/* SPDX-License-Identifier: ISC */
/*
 * check_fake_vmx.c - the fake Intel CPU itself: it must refuse what the manual
 * says a CPU refuses, or the suites that lean on it prove nothing.
 */
#include <signal.h>

#include "fake_vmx_priv.h"
#include "insn.h"
#include "vmx.h"
#include "vmx_unit.h"

/* --- VMX instructions by hand --- */

static void *page[4];
static uint64_t pa[4];
static uint64_t value;

static void
setup_hand(void)
{
	const uint32_t revision = FAKE_VMX_REVISION;
	int i;

	vmx_bare();
	for (i = 0; i < 4; i++) {
		page[i] = host_page_alloc(0);
		pa[i] = host_pa_of(page[i]);
		memcpy(page[i], &revision, sizeof(revision));
	}
}

/* fn(arg) on that CPU as the driver would be called there. */
static void
on(unsigned int cpu, void (*fn)(void *))
{
	host_cpus_hold();
	ck_assert_int_eq(host_cpu_call(cpu, fn, NULL), 0);
	host_cpus_release();
}

static void
vmxon(void *arg)
{
	(void)arg;
	host_cr4_set(0x2000);
	ck_assert(insn_vmxon(pa[host_cpu_self()]));
}

static void
vmxoff(void *arg)
{
	(void)arg;
	insn_vmxoff();
	host_cr4_clear(0x2000);
}

static void
teardown_hand(void)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (fake_vmx_on(i))
			on(i, vmxoff);
	for (i = 0; i < 4; i++)
		host_page_free(page[i], 0);
	fake_check_clean();
}

static void
fails(bool ok, unsigned int error)
{
	ck_assert(!ok);
	ck_assert_uint_eq(fake_vmfail(), error);
}

static void
bad_operands(void *arg)
{
	uint32_t revision = 0x80000000u | FAKE_VMX_REVISION;

	vmxon(arg);
	ck_assert(!insn_vmread(VF_RIP, &value));	/* no current VMCS */
	ck_assert(!insn_vmwrite(VF_RIP, 0));
	fails(insn_vmptrld(pa[2] + 8), 9);
	fails(insn_vmptrld(pa[0]), 10);
	fails(insn_vmclear(pa[2] + 8), 2);
	fails(insn_vmclear(pa[0]), 3);
	memcpy(page[3], &revision, 4);		/* a shadow VMCS */
	ck_assert(insn_vmclear(pa[3]));
	fails(insn_vmptrld(pa[3]), 11);
	ck_assert(insn_vmclear(pa[2]));
	ck_assert(insn_vmptrld(pa[2]));
	ck_assert(insn_vmread(VF_INSN_ERROR, &value));
	fails(insn_vmread(0x6828, &value), 12);
	ck_assert(insn_vmread(VF_INSN_ERROR, &value));
	ck_assert_uint_eq(value, 12);
	fails(insn_vmwrite(0x0810 + 0x10, 0), 12);
	fails(insn_vmwrite(VF_REASON, 0), 13);
	fails(insn_invept(0, 0), 28);
	fails(insn_invept(1, 0x18), 28);
	fails(insn_invvpid(1, 0, 0), 28);
	fails(insn_invvpid(0, 1, 1ULL << 50), 28);
	fails(insn_invvpid(4, 1, 0), 28);
	fails(insn_vmxon(pa[0]), 15);
	ck_assert(insn_vmclear(pa[2]));
	ck_assert(!insn_vmread(VF_RIP, &value));
}

START_TEST(vmfails)
{
	on(0, bad_operands);
}
END_TEST

static void
fill_here(void *arg)
{
	vmxon(arg);
	ck_assert(insn_vmclear(pa[2]));
	ck_assert(insn_vmptrld(pa[2]));
	ck_assert(insn_vmread(VF_RIP, &value));
	ck_assert_uint_ne(value, 0);		/* new: rubbish */
	ck_assert(insn_vmwrite(VF_RIP, 0x1234));
	ck_assert(insn_vmclear(pa[2]));
}

static void
find_here(void *arg)
{
	vmxon(arg);
	ck_assert(insn_vmptrld(pa[2]));
	ck_assert(insn_vmread(VF_RIP, &value));
	ck_assert_uint_eq(value, 0x1234);
	ck_assert(insn_vmclear(pa[2]));
}

/* What VMCLEAR took out of one CPU is there for the next. */
START_TEST(vmcs_moves)
{
	on(0, fill_here);
	on(1, find_here);
}
END_TEST

/* --- What would be #UD, #GP or worse: the test dies --- */

static void
load_here(void *arg)
{
	if (!fake_vmx_on(host_cpu_self()))
		vmxon(arg);
	if (host_cpu_self() == 0)
		ck_assert(insn_vmclear(pa[2]));
	(void)insn_vmptrld(pa[2]);
}

static void
vmxon_without_vmxe(void *arg)
{
	(void)arg;
	(void)insn_vmxon(pa[0]);
}

static void
vmclear_outside(void *arg)
{
	(void)arg;
	(void)insn_vmclear(pa[2]);
}

static void
vmptrld_before_vmclear(void *arg)
{
	vmxon(arg);
	(void)insn_vmptrld(pa[2]);
}

static void
vmwrite_too_wide(void *arg)
{
	load_here(arg);
	(void)insn_vmwrite(VF_PIN, 0x100000000);
}

static void
vmwrite_too_wide_16(void *arg)
{
	load_here(arg);
	(void)insn_vmwrite(VF_VPID, 0x10000);
}

static void
vmxoff_active(void *arg)
{
	load_here(arg);
	vmxoff(arg);
}

static void
vmxe_cleared(void *arg)
{
	vmxon(arg);
	host_cr4_clear(0x2000);
}

static void
feature_written(void *arg)
{
	(void)arg;
	insn_wrmsr(FAKE_MSR_FEATURE, 5);
}

static void
capability_written(void *arg)
{
	(void)arg;
	insn_wrmsr(FAKE_MSR_BASIC, 5);
}

static void (*const deadly[])(void *) = {
	vmxon_without_vmxe, vmclear_outside, vmptrld_before_vmclear,
	vmwrite_too_wide, vmwrite_too_wide_16, vmxoff_active, vmxe_cleared,
	feature_written, capability_written,
};
#define NDEADLY	((int)(sizeof(deadly) / sizeof(deadly[0])))

START_TEST(dies)
{
	on(0, deadly[_i]);
}
END_TEST

/* The bug that no emulator with one CPU shows. */
START_TEST(dies_two_cpus)
{
	on(0, load_here);
	on(1, load_here);
}
END_TEST

static void
read_here(void *arg)
{
	(void)arg;
	(void)insn_vmread(VF_RIP, &value);
}

START_TEST(dies_freed)
{
	on(0, load_here);
	host_page_free(page[2], 0);
	on(0, read_here);
}
END_TEST

START_TEST(dies_feature_off)
{
	fake_msr_all(FAKE_MSR_FEATURE, 1, 4);
	on(0, vmxon);
}
END_TEST

START_TEST(dies_fixed_bit)
{
	fake_msr_all(FAKE_MSR_CR0_FIXED0, 8, 0);
	on(0, vmxon);
}
END_TEST

START_TEST(dies_asleep)
{
	on(0, load_here);
	(void)insn_vmread(VF_RIP, &value);	/* context S */
}
END_TEST

START_TEST(dies_on_amd)
{
	unit_boot();
	on(0, vmxon);
}
END_TEST

/* --- Fields --- */

/*
 * Encodings and widths as the manual's rule has them, not as vmx.h does: bits
 * 14:13 width, 11:10 type, 9:1 index.
 */
#define W_16	0
#define W_64	1
#define W_32	2
#define W_NAT	3
#define T_CTRL	0
#define T_INFO	1
#define T_GUEST	2
#define T_HOST	3

START_TEST(fields_of_the_driver)
{
	static const struct {
		const char	*name;
		uint32_t	 width, type, index, encoding;
	} f[] = {
#define VMCS(name, width, type, index, text) \
	{ #name, W_##width, T_##type, index, VMCS_##name },
#include "vmcs.def"
#undef VMCS
	};
	static const unsigned int bits[] = { 16, 64, 32, 64 };
	uint32_t e;
	size_t i;

	fake_msr_all(FAKE_MSR_PROC2, 1ULL << (32 + 15), 0);	/* ENCLS */
	for (i = 0; i < sizeof(f) / sizeof(f[0]); i++) {
		e = f[i].width << 13 | f[i].type << 10 | f[i].index << 1;
		ck_assert_msg(f[i].encoding == e, "%s", f[i].name);
		ck_assert_msg(fake_vmx_field(e), "%s", f[i].name);
		ck_assert_msg(fake_vmx_width(e) == bits[f[i].width], "%s",
		    f[i].name);
	}
	ck_assert_uint_ge(i, 110);
	ck_assert(!fake_vmx_field(VF_RIP | 1));
	ck_assert(!fake_vmx_field(0x6828));
	ck_assert(!fake_vmx_field(0x482c));
	ck_assert(!fake_vmx_field(0x2030));
}
END_TEST

/* A field comes and goes with what it is for. */
START_TEST(fields_of_features)
{
	static const struct {
		uint32_t	msr;
		unsigned int	bit;
		uint32_t	field;
	} t[] = {
		{ FAKE_MSR_PROC2, 5, VF_VPID }, { FAKE_MSR_PROC2, 1, VF_EPTP },
		{ FAKE_MSR_PROC2, 1, VF_PDPTE0 }, { FAKE_MSR_PROC2, 1, VF_GPA },
		{ FAKE_MSR_PIN, 6, VF_TIMER },
		{ FAKE_MSR_PROC, 28, VF_MSR_BITMAP },
		{ FAKE_MSR_PROC, 31, VF_PROC2 },
		{ FAKE_MSR_ENTRY, 14, VF_PAT }, { FAKE_MSR_ENTRY, 15, VF_EFER },
		{ FAKE_MSR_EXIT, 19, VF_HOST_PAT },
		{ FAKE_MSR_EXIT, 21, VF_HOST_EFER },
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		ck_assert(fake_vmx_field(t[i].field));
		fake_vmx_absent(t[i].msr, t[i].bit);
		ck_assert_msg(!fake_vmx_field(t[i].field), "row %zu", i);
		fake_msr_all(t[i].msr, 1ULL << (32 + t[i].bit), 0);
	}
}
END_TEST

/* --- Entries that are refused: one field is wrong in a good VMCS --- */

enum refusal { CONTROL, HOST, GUEST };

static const struct {
	uint32_t	 field;
	uint64_t	 set, clear;
	enum refusal	 kind;
	const char	*why;
} wrong[] = {
	{ VF_PIN, 1u << 7, 0, CONTROL, "pin-based controls" },
	{ VF_PIN, 0, 2, CONTROL, "pin-based controls" },
	{ VF_PROC, 1u << 27, 0, CONTROL, "primary controls" },
	{ VF_PROC, 0, 1u << 26, CONTROL, "primary controls" },
	{ VF_PROC2, 1u << 20, 0, CONTROL, "secondary controls" },
	{ VF_EXIT_CTLS, 1u << 24, 0, CONTROL, "exit controls" },
	{ VF_ENTRY_CTLS, 1u << 10, 0, CONTROL, "entry controls" },
	{ VF_CR3_TARGETS, 5, 0, CONTROL, "CR3-target count" },
	{ VF_MSR_BITMAP, 8, 0, CONTROL, "MSR bitmap address" },
	{ VF_PIN, 0, 8, CONTROL, "virtual NMIs without NMI exiting" },
	{ VF_PROC2, 1u << 8, 0, CONTROL,
	    "APIC virtualization without the TPR shadow" },
	{ VF_PROC2, 0, 2, CONTROL, "unrestricted guest without EPT" },
	{ VF_EPTP, 0, 6, CONTROL, "EPT pointer" },
	{ VF_EPTP, 0x80, 0, CONTROL, "EPT pointer" },
	{ VF_EXIT_STORE, 8, 0, CONTROL, "exit MSR areas" },
	{ VF_ENTRY_LOAD, 8, 0, CONTROL, "entry MSR area" },
	{ VF_ENTRY_EVENT, 0x80000101, 0, CONTROL,
	    "event: type or reserved bits" },
	{ VF_ENTRY_EVENT, 0x80000203, 0, CONTROL, "event: vector" },
	{ VF_ENTRY_EVENT, 0x80000b0d, 0, CONTROL, "event: error code" },
	{ VF_ENTRY_EVENT, 0x80000480, 0, CONTROL,
	    "event: instruction length" },
	{ VF_HOST_CR0, 0, 0x20, HOST, "host CR0" },
	{ VF_HOST_IDTR_BASE, 0, 1ULL << 50, HOST,
	    "host base or SYSENTER address" },
	{ VF_HOST_PAT, 2, 0xff, HOST, "host PAT" },
	{ VF_EXIT_CTLS, 0, 1u << 9, HOST, "a 64-bit host without the control" },
	{ VF_HOST_EFER, 0, 0x400, HOST, "host EFER" },
	{ VF_HOST_ES_SEL, 3, 0, HOST, "host selector with TI or RPL" },
	{ VF_HOST_ES_SEL + 2, 0, 0xffff, HOST, "host CS or TR is 0" },
	{ VF_HOST_RIP, 1ULL << 50, 0, HOST, "host RIP" },
	{ VF_CR0, 0, 0x20, GUEST, "CR0" },
	{ VF_CR0, 0x80000000, 0, GUEST, "CR0.PG without PE" },
	{ VF_CR4, 0, 0x2000, GUEST, "CR4" },
	{ VF_CR4, 0x20000, 0, GUEST, "CR4.PCIDE outside IA-32e mode" },
	{ VF_ENTRY_CTLS, 0x200, 0, GUEST, "IA-32e mode without PG and PAE" },
	{ VF_CR3, 1ULL << 50, 0, GUEST, "CR3" },
	{ VF_DR7, 1ULL << 32, 0, GUEST, "DR7 or DEBUGCTL" },
	{ VF_SYSENTER_EIP, 1ULL << 50, 0, GUEST, "SYSENTER address" },
	{ VF_PAT, 2, 0xff, GUEST, "PAT" },
	{ VF_EFER, 0x1000, 0, GUEST, "EFER" },
	{ VF_EFER, 0x400, 0, GUEST, "EFER.LMA is not the entry control" },
	{ VF_BASE(VX_CS), 1ULL << 32, 0, GUEST, "segment base" },
	{ VF_AR(VX_DS), 0, 0x10, GUEST, "segment access rights" },
	{ VF_AR(VX_DS), 0x8000, 0, GUEST, NULL },
	{ VF_LIMIT(VX_DS), 0x100000, 0, GUEST, "segment limit" },
	{ VF_AR(VX_ES), 0, 1, GUEST, "data segment type" },
	{ VF_AR(VX_CS), 0, 1, GUEST, "CS type" },
	{ VF_AR(VX_SS), 0, 2, GUEST, "SS type" },
	{ VF_AR(VX_TR), 0, 8, GUEST, NULL },	/* a 16-bit TSS is good */
	{ VF_AR(VX_TR), 0, 2, GUEST, "TR access rights" },
	{ VF_AR(VX_LDTR), 1, 0, GUEST, "LDTR access rights" },
	{ VF_GDTR_LIMIT, 0x10000, 0, GUEST, "GDTR or IDTR" },
	{ VF_INTERRUPTIBILITY, 3, 0, GUEST, "interruptibility" },
	{ VF_INTERRUPTIBILITY, 1, 0, GUEST, "blocking by STI with IF 0" },
	{ VF_ENTRY_EVENT, 0x80000021, 0, GUEST,
	    "interrupt injected with IF 0" },
	{ VF_PENDING_DEBUG, 0x10, 0, GUEST, "pending debug exceptions" },
	{ VF_ACTIVITY, 4, 0, GUEST, "activity state" },
	{ VF_LINK, 0, 1, GUEST, "VMCS link pointer" },
};
#define NWRONG	((int)(sizeof(wrong) / sizeof(wrong[0])))

START_TEST(refused)
{
	struct fake_guest g;
	struct vmexit x;

	enter_to_end();
	g = *fake_last();
	vf_set(&g, wrong[_i].field, (vf_get(&g, wrong[_i].field) &
	    ~wrong[_i].clear) | wrong[_i].set);
	step(&triple_fault);
	enter(&x);
	if (wrong[_i].why == NULL) {
		ck_assert_int_eq(x.kind, VMEXIT_SHUTDOWN);
		return;
	}
	ck_assert_str_eq(fake_refused(), wrong[_i].why);
	ck_assert_int_eq(x.kind, VMEXIT_ENTRY_FAILED);
	ck_assert_uint_eq(x.code, wrong[_i].kind == GUEST ? 0x80000021 :
	    0x80000000);
	if (wrong[_i].kind != GUEST)
		ck_assert_uint_eq(x.info[0], wrong[_i].kind == HOST ? 8 : 7);
	ck_assert_uint_eq(fake_steps_left(), 1);
}
END_TEST

/* --- An exit that the driver did not make good: the test dies --- */

static const uint32_t host_fields[] = { VF_HOST_CR0, VF_HOST_GS_BASE,
    VF_HOST_TR_BASE, VF_HOST_GDTR_BASE, VF_HOST_IDTR_BASE,
    VF_HOST_SYSENTER_CS, VF_HOST_SYSENTER_ESP, VF_HOST_SYSENTER_EIP,
    VF_HOST_ES_SEL + 2, VF_HOST_ES_SEL + 4, VF_HOST_ES_SEL + 12,
    VF_HOST_PAT, VF_HOST_EFER, VF_HOST_RIP };
#define NHOST	((int)(sizeof(host_fields) / sizeof(host_fields[0])))

START_TEST(dies_host)
{
	struct fake_guest g;
	struct vmexit x;
	uint32_t f = host_fields[_i];

	enter_to_end();
	g = *fake_last();
	vf_set(&g, f, vf_get(&g, f) ^ (f == VF_HOST_PAT ? 1 :
	    f == VF_HOST_EFER ? 0x800 : f == VF_HOST_CR0 ? 0x10000 : 0x100));
	step(&triple_fault);
	enter(&x);
}
END_TEST

static void
guest_exits(struct fake_guest *g, uint64_t arg)
{
	const struct fake_vexit x = { .reason = (uint32_t)arg };

	fake_vexit(g, &x);
}

/* An exit that the controls do not ask for: INVLPG, RDTSC, PAUSE, RDRAND. */
START_TEST(dies_not_asked_for)
{
	static const uint16_t reason[] = { 14, 16, 40, 46, 51, 57, 58, 60, 61,
	    7, 8, 37, 43, 44 };
	struct vmexit x;

	fake_step(guest_exits, reason[_i]);
	enter(&x);
}
END_TEST

/* --- EPT and its TLB --- */

static uint64_t *
leaf_entry(uint64_t gpa)
{
	uint64_t *table = unit_vm(id)->npt.root;
	int level;

	for (level = 3; level > 0; level--)
		table = host_va_of(table[gpa >> (12 + 9 * level) & 511] &
		    0x000ffffffffff000);
	return (&table[gpa >> 12 & 511]);
}

static void
touch(struct fake_guest *g, uint64_t arg)
{
	if (fake_access(g, arg, NPT_R, NULL))
		fake_vexit(g, &triple_fault);
}

/* Entries that a CPU calls misconfigured, or that leave a guest too much. */
START_TEST(dies_ept)
{
	static const struct {
		uint64_t	set, clear;
	} t[] = {
		{ 2, 1 },			/* W without R */
		{ 0, 0x38 }, { 0x10, 0x20 },	/* uncached; no type */
		{ 0, 0x40 },			/* PAT not ignored */
		{ 1ULL << 49, 0 },		/* beyond MAXPHYADDR */
	};
	uint64_t *e;

	ck_assert_int_eq(unit_protect(id, 0x3000, 0x1000, 7), 0);
	e = leaf_entry(0x3000);
	*e = (*e & ~t[_i].clear) | t[_i].set;
	fake_step(touch, 0x3000);
	(void)unit_run(id, 0, NONE, &u);
}
END_TEST

static void
invalidate(void *arg)
{
	switch (*(int *)arg) {
	case 0:
		ck_assert(insn_invvpid(1, fake_last()->asid, 0));
		break;
	case 1:
		ck_assert(insn_invept(1, last(VF_EPTP)));
		break;
	case 2:
		ck_assert(insn_invept(1, 0x77000 | 0x1e));
		break;
	case 3:
		ck_assert(insn_invept(2, 0));
		break;
	case 4:
		ck_assert(insn_invvpid(0, fake_last()->asid, 0x4000));
		break;
	case 5:
		ck_assert(insn_invvpid(2, 0, 0));
		break;
	}
}

/* What each operation leaves of one combined and one other mapping. */
START_TEST(tlb_operations)
{
	static const struct {
		unsigned int	cpu, left;
	} t[] = { { 0, 1 }, { 0, 0 }, { 0, 2 }, { 0, 0 }, { 0, 2 }, { 0, 1 },
	    { 1, 2 } };
	int what = _i % 6;

	ck_assert_int_eq(unit_protect(id, 0x3000, 0x1000, 7), 0);
	fake_step(touch, 0x3000);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(fake_ept_entries(0, last(VF_EPTP)), 2);
	ck_assert_int_eq(host_cpu_call(t[_i].cpu, invalidate, &what), 0);
	ck_assert_uint_eq(fake_ept_entries(0, last(VF_EPTP)), t[_i].left);
}
END_TEST

/* Without VPIDs an exit drops the combined mapping, not the other. */
START_TEST(tlb_without_vpid)
{
	unit_detach();
	vmx_bare();
	fake_vmx_absent(FAKE_MSR_PROC2, 5);
	unit_attach();
	id = unit_real_vm();
	v = unit_vm(id)->vcpu[0];
	ck_assert_int_eq(unit_protect(id, 0x3000, 0x1000, 7), 0);
	fake_step(touch, 0x3000);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(fake_ept_entries(0, last(VF_EPTP)), 1);
}
END_TEST

/* A right that went without INVEPT is still there for the guest. */
START_TEST(tlb_is_stale)
{
	uint64_t was;

	ck_assert_int_eq(unit_protect(id, 0x3000, 0x1000, 7), 0);
	fake_step(touch, 0x3000);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	was = *leaf_entry(0x3000);
	*leaf_entry(0x3000) = 0;		/* behind the driver's back */
	fake_step(touch, 0x3000);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, 2);
	*leaf_entry(0x3000) = was;
}
END_TEST

/* Linear translations of one VCPU that are another's as well. */
START_TEST(dies_shared_vpid)
{
	struct vcpu_reg_state r;
	struct fake_guest g;
	uint32_t other = unit_create(MIB, 1);
	uint64_t vpid;

	unit_real(&r);
	ck_assert_int_eq(unit_reset(other, 0, &r), 0);
	step(&triple_fault);
	ck_assert_int_eq(unit_run(other, 0, NONE, &u), 0);
	vpid = last(VF_VPID);
	enter_to_end();
	ck_assert_uint_ne(last(VF_VPID), vpid);
	g = *fake_last();
	vf_set(&g, VF_VPID, vpid);
	enter_to_end();
}
END_TEST

static void
hand_tests(Suite *s)
{
	TCase *tc = tcase_create("hand");

	tcase_add_checked_fixture(tc, setup_hand, teardown_hand);
	suite_add_tcase(s, tc);
	tcase_add_test(tc, vmfails);
	tcase_add_test(tc, vmcs_moves);
	tcase_add_loop_test_raise_signal(tc, dies, SIGABRT, 0, NDEADLY);
	tcase_add_test_raise_signal(tc, dies_two_cpus, SIGABRT);
	tcase_add_test_raise_signal(tc, dies_freed, SIGABRT);
	tcase_add_test_raise_signal(tc, dies_feature_off, SIGABRT);
	tcase_add_test_raise_signal(tc, dies_fixed_bit, SIGABRT);
	tcase_add_test_raise_signal(tc, dies_asleep, SIGABRT);
	tcase_add_test_raise_signal(tc, dies_on_amd, SIGABRT);
	tcase_add_test(tc, fields_of_the_driver);
	tcase_add_test(tc, fields_of_features);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("fake_vmx");
	TCase *tc = tcase_create("entry");

	hand_tests(s);
	tcase_add_checked_fixture(tc, vmx_setup, unit_detach);
	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, refused, 0, NWRONG);
	tcase_add_loop_test_raise_signal(tc, dies_host, SIGABRT, 0, NHOST);
	tcase_add_loop_test_raise_signal(tc, dies_not_asked_for, SIGABRT, 0,
	    14);
	tcase_add_loop_test_raise_signal(tc, dies_ept, SIGABRT, 0, 5);
	tcase_add_test_raise_signal(tc, dies_shared_vpid, SIGABRT);
	tcase_add_loop_test(tc, tlb_operations, 0, 7);
	tcase_add_test(tc, tlb_without_vpid);
	tcase_add_test(tc, tlb_is_stale);
	return (s);
}
