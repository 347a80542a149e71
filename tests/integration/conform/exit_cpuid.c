/* SPDX-License-Identifier: ISC */
/*
 * exit_cpuid.c - what the guest is told about the CPU.
 */
#include <cpuid.h>

#include "exit_util.h"

#define BIT(n)	(1U << (n))

struct leaf {
	uint32_t	a, b, c, d;
};

/* CPUID in the guest, inputs with garbage in their upper halves. */
static struct leaf
guest_leaf(struct client_vm *v, uint32_t leaf, uint32_t subleaf)
{
	uint64_t high = fresh() << 32;
	struct vcpu_reg_state vrs;

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, 0, VM_RWREGS_GPRS, &vrs),
	    0);
	vrs.vrs_gprs[VCPU_REGS_RAX] = high | leaf;
	vrs.vrs_gprs[VCPU_REGS_RCX] = high | subleaf;
	vrs.vrs_gprs[VCPU_REGS_RBX] = high;
	vrs.vrs_gprs[VCPU_REGS_RDX] = high;
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_GPRS, &vrs),
	    0);
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	/* Results are 32 bits, the rest of each register is cleared. */
	CHECK_EQ(gpr(v, VCPU_REGS_RAX) >> 32, 0);
	CHECK_EQ(gpr(v, VCPU_REGS_RBX) >> 32, 0);
	CHECK_EQ(gpr(v, VCPU_REGS_RCX) >> 32, 0);
	CHECK_EQ(gpr(v, VCPU_REGS_RDX) >> 32, 0);
	return ((struct leaf){
		(uint32_t)gpr(v, VCPU_REGS_RAX),
		(uint32_t)gpr(v, VCPU_REGS_RBX),
		(uint32_t)gpr(v, VCPU_REGS_RCX),
		(uint32_t)gpr(v, VCPU_REGS_RDX),
	});
}

static struct leaf
host_leaf(uint32_t leaf, uint32_t subleaf)
{
	struct leaf l;

	__cpuid_count(leaf, subleaf, l.a, l.b, l.c, l.d);
	return (l);
}

static void
is(struct leaf l, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	CHECK_EQ(l.a, a);
	CHECK_EQ(l.b, b);
	CHECK_EQ(l.c, c);
	CHECK_EQ(l.d, d);
}

static void
same(struct client_vm *v, uint32_t leaf, uint32_t subleaf)
{
	struct leaf h = host_leaf(leaf, subleaf);

	note("leaf 0x%x", leaf);
	is(guest_leaf(v, leaf, subleaf), h.a, h.b, h.c, h.d);
}

static void
zero(struct client_vm *v, uint32_t leaf, uint32_t subleaf)
{
	note("leaf 0x%x.%u", leaf, subleaf);
	is(guest_leaf(v, leaf, subleaf), 0, 0, 0, 0);
}

static void
signature(void)
{
	struct client_vm *v = new_guest("cpuid", NULL);
	struct leaf l = guest_leaf(v, 0x40000000, 0);
	char text[13] = "";

	memcpy(text, &l.b, 4);
	memcpy(text + 4, &l.c, 4);
	memcpy(text + 8, &l.d, 4);
	CHECK(strcmp(text, VMM_HV_SIGNATURE) == 0);
	CHECK_EQ(l.a, 0x40000001);
}

static void
kvm_features(void)
{
	struct client_vm *v = new_guest("cpuid", NULL);

	is(guest_leaf(v, 0x40000001, 0), 0x01000008, 0, 0, 0);
	zero(v, 0x40000002, 0);
	zero(v, 0x40000100, 0);
	zero(v, 0x7fffffff, 0);
}

static void
vendor(void)
{
	struct client_vm *v = new_guest("cpuid", NULL);
	struct leaf g = guest_leaf(v, 0, 0), h = host_leaf(0, 0);

	is(g, g.a, h.b, h.c, h.d);
	CHECK(g.a == h.a || (h.a < 0x15 && g.a == 0x15));
}

/* Bits of leaf 1 and others: never more than the host and 6.9 show. */
static void
subset(uint32_t guest, uint32_t host, uint32_t mask, uint32_t hidden,
    uint32_t wanted)
{
	CHECK_EQ(guest & ~(host & mask), 0);
	CHECK_EQ(guest & hidden, 0);
	CHECK_EQ(host & mask & wanted & ~guest, 0);
}

static void
leaf_1(void)
{
	struct client_vm *v = new_guest("cpuid", NULL);
	struct leaf g = guest_leaf(v, 1, 0), h = host_leaf(1, 0);

	CHECK_EQ(g.a, h.a);
	CHECK_EQ(g.b, h.b & 0xffff);	/* VCPU 0, no logical processors */
	CHECK_EQ(g.c >> 31, 1);		/* there is a hypervisor */
	/* Hidden: MONITOR VMX SMX PCID x2APIC deadline, OSXSAVE is off. */
	subset(g.c & ~BIT(31), h.c, VMM_CPUIDECX_MASK, BIT(3) | BIT(5) |
	    BIT(6) | BIT(17) | BIT(21) | BIT(24) | BIT(27),
	    BIT(0) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | BIT(23) |
	    BIT(26) | BIT(28));
	/* Hidden: MCE APIC MTRR MCA DS ACPI HTT. */
	subset(g.d, h.d, VMM_CPUIDEDX_MASK, BIT(7) | BIT(9) | BIT(12) |
	    BIT(14) | BIT(21) | BIT(22) | BIT(28),
	    BIT(0) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(11) |
	    BIT(13) | BIT(15) | BIT(16) | BIT(17) | BIT(24) | BIT(25) |
	    BIT(26));
}

static void
leaf_7(void)
{
	struct client_vm *v = new_guest("cpuid", NULL);
	struct leaf g = guest_leaf(v, 7, 0), h = host_leaf(7, 0);

	if (host_leaf(0, 0).a < 7)
		h = (struct leaf){ 0, 0, 0, 0 };
	CHECK_EQ(g.a, 0);
	/* Hidden: TSC_ADJUST SGX INVPCID RTM MPX AVX-512 PT. */
	subset(g.b, h.b, VMM_SEFF0EBX_MASK, BIT(1) | BIT(2) | BIT(4) |
	    BIT(10) | BIT(11) | BIT(14) | BIT(16) | BIT(17) | BIT(21) |
	    BIT(25) | BIT(30) | BIT(31), BIT(0) | BIT(3) | BIT(7) | BIT(8) |
	    BIT(9) | BIT(20));
	/* Hidden: PKU OSPKE WAITPKG CET_SS LA57 RDPID (F24). */
	subset(g.c, h.c, VMM_SEFF0ECX_MASK, BIT(3) | BIT(4) | BIT(5) |
	    BIT(7) | BIT(16) | BIT(22), 0);
	subset(g.d, h.d, VMM_SEFF0EDX_MASK, 0, 0);
	zero(v, 7, 1);
	zero(v, 7, 2);
}

static void
leaf_zero(void)
{
	static const uint32_t leaf[] = { 3, 5, 6, 8, 9, 0xa, 0xb, 0xc };
	struct client_vm *v = new_guest("cpuid", NULL);
	uint32_t max = guest_leaf(v, 0, 0).a;
	size_t i;

	for (i = 0; i < NELEM(leaf); i++)
		if (leaf[i] <= max)
			zero(v, leaf[i], 0);
}

static void
leaf_4(void)
{
	struct client_vm *v = new_guest("cpuid", NULL);
	struct leaf g, h;
	uint32_t sub;

	for (sub = 0; sub < 4; sub++) {
		g = guest_leaf(v, 4, sub);
		h = host_leaf(4, sub);
		is(g, h.a & VMM_CPUID4_CACHE_TOPOLOGY_MASK, h.b, h.c, h.d);
	}
	same(v, 2, 0);
}

static void
leaf_d(void)
{
	struct client_vm *v = new_guest("cpuid", NULL);
	struct leaf g = guest_leaf(v, 0xd, 0), h = host_leaf(0xd, 0);

	if ((guest_leaf(v, 1, 0).c & BIT(26)) == 0)
		SKIP("the host has no XSAVE");
	CHECK_EQ(g.a & ~(h.a & 7), 0);
	CHECK_EQ(g.a & 3, 3);
	CHECK_EQ(g.d, 0);
	CHECK(g.b >= 576);
	CHECK(g.c >= g.b);
	CHECK(g.c <= h.c);
	zero(v, 0xd, 1);
	if (g.a & 4)
		same(v, 0xd, 2);
	zero(v, 0xd, 9);
}

static void
clamp(void)
{
	struct client_vm *v = new_guest("cpuid", NULL);
	struct leaf top, g;
	uint32_t max = guest_leaf(v, 0, 0).a;

	/* Beyond the last leaf, both kinds: the last basic leaf answers. */
	top = guest_leaf(v, max, 0);
	g = guest_leaf(v, max + 1, 0);
	is(g, top.a, top.b, top.c, top.d);
	g = guest_leaf(v, 0x3fffffff, 0);
	is(g, top.a, top.b, top.c, top.d);
	g = guest_leaf(v, 0xffffffff, 0);
	is(g, top.a, top.b, top.c, top.d);
}

static void
extended(void)
{
	struct client_vm *v = new_guest("cpuid", NULL);
	struct leaf g, h;
	uint32_t i;

	is(guest_leaf(v, 0x80000000, 0), 0x80000008, 0, 0, 0);
	g = guest_leaf(v, 0x80000001, 0);
	h = host_leaf(0x80000001, 0);
	CHECK_EQ(g.a, h.a);
	CHECK_EQ(g.b, 0);
	/* Hidden: SVM OSVW IBS SKINIT WDT LWP topology counters MWAITX. */
	subset(g.c, h.c, VMM_ECPUIDECX_MASK, BIT(2) | BIT(9) | BIT(10) |
	    BIT(12) | BIT(13) | BIT(15) | BIT(22) | BIT(23) | BIT(29),
	    BIT(0));
	/* Hidden: RDTSCP. */
	subset(g.d, h.d, VMM_FEAT_EFLAGS_MASK, BIT(27),
	    BIT(11) | BIT(20) | BIT(29));
	for (i = 0x80000002; i <= 0x80000007; i++)
		same(v, i, 0);
	g = guest_leaf(v, 0x80000008, 0);
	h = host_leaf(0x80000008, 0);
	/* Linear addresses: 48 bits, since LA57 is hidden. */
	CHECK_EQ(g.a & ~0xff00U, h.a & ~0xff00U);
	CHECK_EQ(g.a >> 8 & 0xff, (h.a >> 8 & 0xff) > 48 ? 48 :
	    h.a >> 8 & 0xff);
	CHECK_EQ(g.b & ~(h.b & VMM_AMDSPEC_EBX_MASK), 0);
	CHECK_EQ(g.c, 0);
}

/* MISC_ENABLE bit 22, for systems that cannot take leaves beyond 2. */
static void
limit(void)
{
	static const uint32_t hidden[] = { 3, 4, 7, 0xd, 0x40000000,
	    0x40000001, 0x7fffffff };
	struct client_vm *v = new_guest("cpuid", NULL);
	struct leaf one = guest_leaf(v, 1, 0), ext, l;
	struct vcpu_reg_state vrs;
	size_t i;

	ext = guest_leaf(v, 0x80000001, 0);
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, 0, VM_RWREGS_MSRS, &vrs),
	    0);
	vrs.vrs_msrs[VCPU_REGS_MISC_ENABLE] = 1UL << 22;
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_MSRS, &vrs),
	    0);
	for (i = 0; i < NELEM(hidden) && !client_is_svm(); i++)
		zero(v, hidden[i], 0);
	l = guest_leaf(v, 0x40000000, 0);
	CHECK_EQ(l.b, client_is_svm() ? CPUID_EBX_40000000 : 0);
	l = guest_leaf(v, 1, 0);
	is(l, one.a, one.b, one.c, one.d);
	l = guest_leaf(v, 0x80000001, 0);
	is(l, ext.a, ext.b, ext.c, ext.d);
	CHECK_EQ(client_start(v, GUEST_LONG), 0);
	CHECK_EQ(guest_leaf(v, 0x40000000, 0).b, CPUID_EBX_40000000);
}

const struct clause exit_cpuid[] = {
	{ "F13.signature", "0x40000000: OpenBSDVMM58, last leaf 0x40000001",
	    LAYER_EXIT, FIX, signature, NULL },
	{ "4.3.kvm", "0x40000001: the clock source, then nothing",
	    LAYER_EXIT, MATCH, kvm_features, NULL },
	{ "4.3.vendor", "0: the host's vendor",
	    LAYER_EXIT, MATCH, vendor, NULL },
	{ "F24.leaf-1", "1: a white list of the host's features",
	    LAYER_EXIT, FIX, leaf_1, NULL },
	{ "F24.leaf-7", "7: the same; sub-leaves are zero",
	    LAYER_EXIT, FIX, leaf_7, NULL },
	{ "F24.leaf-d", "0xD: x87, SSE and AVX at most",
	    LAYER_EXIT, FIX, leaf_d, NULL },
	{ "4.3.zero", "leaves of what a guest does not have are zero",
	    LAYER_EXIT, MATCH, leaf_zero, NULL },
	{ "4.3.caches", "2 and 4: the host's, without the topology",
	    LAYER_EXIT, MATCH, leaf_4, NULL },
	{ "F13.clamp", "leaves beyond the last answer as the last basic one",
	    LAYER_EXIT, FIX, clamp, NULL },
	{ "F24.extended", "0x80000000 to 0x80000008",
	    LAYER_EXIT, FIX, extended, NULL },
	{ "4.3.limit", "MISC_ENABLE bit 22 hides what is beyond leaf 2",
	    LAYER_EXIT, MATCH, limit, "SVM: no such bit" },
	CLAUSE_END
};
