/* SPDX-License-Identifier: ISC */
/*
 * fake_cpu.c - the fake CPUs as the driver's own instructions see them. SVM
 * is in fake_svm.c, VMX in fake_vmx*.c.
 */
#include <stdlib.h>

#include "fake_cpu.h"
#include "fake_priv.h"
#include "insn.h"

#define NLEAVES		96
#define NMSRS		48

#define MSR_TSC		0x10u
#define MSR_PAT		0x277u
#define EFER_ALL	0xfd01ULL	/* all of EFER that is defined */
#define CR4_OSXSAVE_BIT	0x40000ULL

struct leaf {
	uint32_t	leaf, sub, r[4];
};

struct msr {
	uint32_t	index;
	bool		ignore;
	uint64_t	value;
};

struct cpu {
	struct msr	msr[NMSRS];
	unsigned int	nmsrs;
	uint64_t	xcr0;
	uint64_t	dr[4];
	bool		dr_loaded;	/* DR0-3 are not the host's */
	bool		dr_disarmed;	/* DR7 is not the host's */
	struct fake_regs regs;
	struct fake_fpu	fpu;
	struct fake_fpu	host_fpu;	/* while the driver owns the FPU */
};

static struct leaf	leaves[NLEAVES];
static unsigned int	nleaves;
static struct cpu	cpus[FAKE_MAX_CPUS];
static uint64_t		tsc, host_xcr0;

/* Defaults of a CPU like the one QEMU gives: 16 ASIDs, nested paging. */
static const struct leaf default_leaves[] = {
	{ 0x00000000, 0, { 0x0d, 0x68747541, 0x444d4163, 0x69746e65 } },
	{ 0x00000001, 0, { 0x00800f12, 0x01020800, 0x7ed8320b, 0x178bfbff } },
	{ 0x00000005, 0, { 0x40, 0x40, 3, 0 } },
	{ 0x00000006, 0, { 4, 0, 0, 0 } },
	{ 0x00000007, 0, { 0, 0x209c01a9, 0x4, 0 } },
	{ 0x0000000d, 0, { 0x7, 832, 832, 0 } },
	{ 0x0000000d, 1, { 0xf, 832, 0, 0 } },
	{ 0x0000000d, 2, { 256, 576, 0, 0 } },
	{ 0x80000000, 0, { 0x8000001f, 0x68747541, 0x444d4163, 0x69746e65 } },
	{ 0x80000001, 0, { 0x00800f12, 0x40000000, 0x35c233ff, 0x2fd3fbff } },
	{ 0x80000002, 0, { 0x656b6146, 0x55504320, 0, 0 } },
	{ 0x80000003, 0, { 0, 0, 0, 0 } },
	{ 0x80000004, 0, { 0, 0, 0, 0 } },
	{ 0x80000005, 0, { 0xff40ff40, 0xff40ff40, 0x20080140, 0x40040140 } },
	{ 0x80000006, 0, { 0x26006400, 0x66006400, 0x02006140, 0x00808140 } },
	{ 0x80000007, 0, { 0, 0, 0, 0x100 } },
	{ 0x80000008, 0, { 0x3030, 0x1007, 0, 0 } },
	{ 0x8000000a, 0, { 1, 16, 0, FAKE_SVM_NP } },
};

static const struct msr default_msrs[] = {
	{ FAKE_MSR_EFER, false, 0xd01 },
	{ FAKE_MSR_VM_CR, false, 0 },
	{ FAKE_MSR_VM_HSAVE_PA, false, 0 },
	{ 0x17, false, 0 },
	{ 0x1b, false, 0xfee00900 },
	{ 0x174, false, 0x10 },
	{ 0x175, false, 0xffff800000001000 },
	{ 0x176, false, 0xffff800000002000 },
	{ MSR_PAT, false, 0x0007040600070406 },
	{ FAKE_MSR_XSS, false, FAKE_HOST_XSS },
	{ 0xc0000081, false, 0x23001000000000 },
	{ 0xc0000082, false, 0xffff800000003000 },
	{ 0xc0000083, false, 0 },
	{ 0xc0000084, false, 0x700 },
	{ 0xc0000100, false, 0x7f0000001000 },
	{ 0xc0000101, false, 0xffff800000004000 },
	{ 0xc0000102, false, 0 },
	{ 0xc0010015, false, 0x01000010 },
	{ 0xc001001f, false, 0 },
	{ 0xc0010055, false, 0 },
	{ 0xc0011029, false, 0x2 },
};

/* A host in 64-bit mode, user selectors in DS and ES. */
static const struct fake_regs boot_regs = {
	.cr0 = 0x80050033, .cr3 = 0x1234000, .cr4 = 0x3406f8,
	/* CS DS ES FS GS SS LDTR TR */
	.sel = { 0x10, 0x2b, 0x2b, 0, 0, 0x18, 0, 0x40 },
	.gdt = { 0xffff800000005000, 0x7f },
	.idt = { 0xffff800000006000, 0xfff },
	.tr = { 0xffff800000007000, 0x206f },
};

static struct cpu *
this_cpu(void)
{
	return (&cpus[fake_self()->cpu]);
}

struct fake_regs *
fake_regs(unsigned int cpu)
{
	return (&cpus[cpu].regs);
}

/* All CPUs as after the host's boot. */
void
fake_cpu_reset(void)
{
	unsigned int i, n;
	struct cpu *c;

	memcpy(leaves, default_leaves, sizeof(default_leaves));
	nleaves = sizeof(default_leaves) / sizeof(default_leaves[0]);
	memset(cpus, 0, sizeof(cpus));
	for (i = 0; i < FAKE_MAX_CPUS; i++) {
		c = &cpus[i];
		c->nmsrs = sizeof(default_msrs) / sizeof(default_msrs[0]);
		memcpy(c->msr, default_msrs, sizeof(default_msrs));
		c->xcr0 = FAKE_HOST_XCR0;
		for (n = 0; n < 4; n++)
			c->dr[n] = FAKE_HOST_DR(n);
		memset(&c->fpu, 0x11 + (int)i, sizeof(c->fpu));
		c->fpu.mxcsr = 0x1f80;
		c->regs = boot_regs;
	}
	tsc = 1000000;
	host_xcr0 = FAKE_HOST_XCR0;
	fake_script_reset();
	fake_svm_reset();
	fake_vmx_reset();
}

/* After the driver gave everything back: no CPU is in SVM or VMX mode. */
void
fake_cpu_check_clean(void)
{
	unsigned int i;

	fake_vmx_check_clean();
	if (!fake_msr_has(FAKE_MSR_VM_HSAVE_PA))
		return;
	for (i = 0; i < host_cpu_count(); i++) {
		if (fake_msr_get(i, FAKE_MSR_EFER) & 0x1000)
			fake_die("CPU %u left with EFER.SVME", i);
		if (fake_msr_get(i, FAKE_MSR_VM_HSAVE_PA) != 0)
			fake_die("CPU %u left with VM_HSAVE_PA", i);
	}
}

/* --- CPUID --- */

static struct leaf *
find_leaf(uint32_t leaf, uint32_t sub)
{
	unsigned int i;

	for (i = 0; i < nleaves; i++)
		if (leaves[i].leaf == leaf && leaves[i].sub == sub)
			return (&leaves[i]);
	return (NULL);
}

void
fake_cpuid_set(uint32_t leaf, uint32_t sub, uint32_t a, uint32_t b, uint32_t c,
    uint32_t d)
{
	struct leaf *l = find_leaf(leaf, sub);

	if (l == NULL) {
		if (nleaves == NLEAVES)
			fake_die("too many CPUID leaves");
		l = &leaves[nleaves++];
	}
	*l = (struct leaf){ leaf, sub, { a, b, c, d } };
}

/* Leaves without sub-leaves answer the same for every ECX. */
void
fake_cpuid_get(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	struct leaf *l = find_leaf(leaf, sub);

	if (l == NULL && leaf != 4 && leaf != 7 && leaf != 0xb && leaf != 0xd &&
	    leaf != 0x8000001d)
		l = find_leaf(leaf, 0);
	memset(r, 0, 4 * sizeof(r[0]));
	if (l != NULL)
		memcpy(r, l->r, sizeof(l->r));
}

void
fake_svm_set(uint32_t features, uint32_t nasids)
{
	fake_cpuid_set(0x8000000a, 0, 1, nasids, 0, features);
}

/* The host's page tables have five levels, as far as this CPU knows. */
void
fake_la57(unsigned int cpu, bool on)
{
	cpus[cpu].regs.cr4 &= ~CR4_LA57_BIT;
	cpus[cpu].regs.cr4 |= on ? CR4_LA57_BIT : 0;
}

/* A CPU, or a host, without XSAVE: only FXSAVE. */
void
fake_no_xsave(void)
{
	uint32_t r[4];
	unsigned int i;

	fake_cpuid_get(1, 0, r);
	fake_cpuid_set(1, 0, r[0], r[1], r[2] & ~0x1c000000u, r[3]);
	for (i = 0; i < 3; i++)
		fake_cpuid_set(0xd, i, 0, 0, 0, 0);
	host_xcr0 = 1;
	for (i = 0; i < FAKE_MAX_CPUS; i++) {
		cpus[i].regs.cr4 &= ~CR4_OSXSAVE_BIT;
		cpus[i].xcr0 = 1;
	}
}

void
insn_cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	fake_cpuid_get(leaf, sub, r);
}

/* --- MSRs --- */

static struct msr *
find_msr(struct cpu *c, uint32_t index)
{
	unsigned int i;

	for (i = 0; i < c->nmsrs; i++)
		if (c->msr[i].index == index)
			return (&c->msr[i]);
	return (NULL);
}

void
fake_msr_set(unsigned int cpu, uint32_t index, uint64_t v)
{
	struct cpu *c = &cpus[cpu];
	struct msr *m = find_msr(c, index);

	if (m == NULL) {
		if (c->nmsrs == NMSRS)
			fake_die("too many MSRs");
		m = &c->msr[c->nmsrs++];
	}
	*m = (struct msr){ index, false, v };
}

uint64_t
fake_msr_get(unsigned int cpu, uint32_t index)
{
	struct msr *m = find_msr(&cpus[cpu], index);

	if (m == NULL)
		fake_die("no MSR %#x", index);
	return (m->value);
}

/* Has the first CPU that MSR? All are alike. */
bool
fake_msr_has(uint32_t index)
{
	return (find_msr(&cpus[0], index) != NULL);
}

void
fake_msr_remove(uint32_t index)
{
	struct msr *m;
	unsigned int i;

	for (i = 0; i < FAKE_MAX_CPUS; i++) {
		m = find_msr(&cpus[i], index);
		if (m != NULL)
			*m = cpus[i].msr[--cpus[i].nmsrs];
	}
}

void
fake_msr_ignore(unsigned int cpu, uint32_t index)
{
	struct msr *m = find_msr(&cpus[cpu], index);

	if (m == NULL)
		fake_die("no MSR %#x", index);
	m->ignore = true;
}

void
fake_tsc_set(uint64_t v)
{
	tsc = v;
}

uint64_t
insn_rdtsc(void)
{
	return (__atomic_add_fetch(&tsc, 100, __ATOMIC_SEQ_CST));
}

/* An MSR this CPU does not have is #GP in the host: the test dies. */
uint64_t
insn_rdmsr(uint32_t index)
{
	if (index == MSR_TSC)
		return (insn_rdtsc());
	return (fake_msr_get(fake_self()->cpu, index));
}

void
insn_wrmsr(uint32_t index, uint64_t v)
{
	struct msr *m = find_msr(this_cpu(), index);

	if (m == NULL)
		fake_die("WRMSR to %#x: #GP", index);
	if (index == FAKE_MSR_EFER) {
		fake_assert_context("WRMSR EFER", false, false, true);
		if (!fake_cpus_held())
			fake_die("EFER.SVME changed while CPUs may come");
		if ((v & ~EFER_ALL) != 0)
			fake_die("EFER %#llx: #GP", (unsigned long long)v);
		if ((v ^ m->value) & ~0x1000ULL)
			fake_die("EFER %#llx: more than SVME changed",
			    (unsigned long long)v);
		if ((v & 0x1000) != 0 && !fake_msr_has(FAKE_MSR_VM_CR))
			fake_die("EFER.SVME without SVM: #GP");
		if ((v & 0x1000) != 0 && fake_msr_get(fake_self()->cpu,
		    FAKE_MSR_VM_CR) & 0x10)
			fake_die("EFER.SVME with VM_CR.SVMDIS: #GP");
	}
	if (index == FAKE_MSR_VM_HSAVE_PA) {
		fake_assert_context("WRMSR VM_HSAVE_PA", false, false, true);
		if (v != 0 && ((v & 0xfff) != 0 ||
		    fake_page_kind(v) != FAKE_PAGE_KERNEL))
			fake_die("VM_HSAVE_PA %#llx", (unsigned long long)v);
	}
	fake_vmx_wrmsr(index, m->value, v);
	if (!m->ignore)
		m->value = v;
}

/* --- Control and debug registers --- */

static bool
fake_xsave(void)
{
	return ((this_cpu()->regs.cr4 & CR4_OSXSAVE_BIT) != 0);
}

uint64_t
insn_read_cr0(void)
{
	return (this_cpu()->regs.cr0);
}

uint64_t
insn_read_cr2(void)
{
	return (this_cpu()->regs.cr2);
}

void
insn_write_cr2(uint64_t v)
{
	fake_assert_context("MOV to CR2", false, true, false);
	this_cpu()->regs.cr2 = v;
}

uint64_t
insn_read_cr3(void)
{
	fake_assert_context("MOV from CR3", false, true, false);
	return (this_cpu()->regs.cr3);
}

uint64_t
insn_read_cr4(void)
{
	return (this_cpu()->regs.cr4);
}

uint64_t
fake_cr4(unsigned int cpu)
{
	return (cpus[cpu].regs.cr4);
}

static void
write_cr4(uint64_t v)
{
	fake_vmx_cr4(v);
	this_cpu()->regs.cr4 = v;
}

void
host_cr4_set(uint64_t bits)
{
	fake_assert_context("host_cr4_set", false, false, true);
	write_cr4(this_cpu()->regs.cr4 | bits);
}

void
host_cr4_clear(uint64_t bits)
{
	fake_assert_context("host_cr4_clear", false, false, true);
	write_cr4(this_cpu()->regs.cr4 & ~bits);
}

void
insn_write_dr(int n, uint64_t v)
{
	fake_assert_context("MOV to DR", false, true, false);
	if (n == 7 && v == 0x400) {
		this_cpu()->dr_disarmed = true;
		return;
	}
	if (n < 0 || n > 3 || !this_cpu()->dr_disarmed)
		fake_die("MOV to DR%d, host breakpoints armed", n);
	this_cpu()->dr[n] = v;
	this_cpu()->dr_loaded = true;
}

/*
 * VMRUN and #VMEXIT: DR6 and DR7 are not the host's any more; a guest must
 * not find the host's IA32_XSS, since XSAVES is not intercepted.
 */
void
fake_cpu_vmrun(void)
{
	this_cpu()->dr_disarmed = true;
	if (fake_xsave() && fake_msr_get(fake_self()->cpu, FAKE_MSR_XSS) != 0)
		fake_die("VMRUN with the host's XSS");
}

uint64_t
fake_dr(unsigned int cpu, int n)
{
	return (cpus[cpu].dr[n]);
}

void
host_dr_restore(bool addresses)
{
	int n;

	fake_assert_context("host_dr_restore", false, true, false);
	if (addresses != this_cpu()->dr_loaded)
		fake_die("host_dr_restore: DR0-3 are%s the host's",
		    addresses ? "" : " not");
	this_cpu()->dr_disarmed = false;
	for (n = 0; n < 4; n++)
		this_cpu()->dr[n] = FAKE_HOST_DR(n);
	this_cpu()->dr_loaded = false;
}

void
host_restore(void)
{
	fake_assert_context("host_restore", false, true, false);
	fake_vmx_host_restore();
}

/* --- FPU --- */

struct fake_fpu *
fake_fpu(unsigned int cpu)
{
	return (&cpus[cpu].fpu);
}

uint64_t
fake_xcr0(unsigned int cpu)
{
	return (cpus[cpu].xcr0);
}

void
host_fpu_begin(void)
{
	fake_assert_context("host_fpu_begin", false, true, false);
	if (fake_self()->in_fpu)
		fake_die("host_fpu_begin twice");
	if (this_cpu()->xcr0 != host_xcr0)
		fake_die("host_fpu_begin with XCR0 %#llx",
		    (unsigned long long)this_cpu()->xcr0);
	fake_self()->in_fpu = true;
	this_cpu()->host_fpu = this_cpu()->fpu;
}

void
host_fpu_end(void)
{
	fake_assert_context("host_fpu_end", false, true, false);
	if (!fake_self()->in_fpu)
		fake_die("host_fpu_end without host_fpu_begin");
	if (this_cpu()->xcr0 != host_xcr0)
		fake_die("host_fpu_end with XCR0 %#llx",
		    (unsigned long long)this_cpu()->xcr0);
	fake_self()->in_fpu = false;
	this_cpu()->fpu = this_cpu()->host_fpu;
}

/* Interrupts went off: the host has not been touched yet. */
void
fake_cpu_enter_begin(void)
{
	fake_vmx_host_begin();
}

/* Before interrupts are on again: nothing of the guest's may be left. */
void
fake_cpu_enter_end(void)
{
	fake_vmx_host_end();
	if (this_cpu()->dr_loaded || this_cpu()->dr_disarmed)
		fake_die("guest debug registers left in the host");
	if (fake_msr_get(fake_self()->cpu, FAKE_MSR_XSS) != FAKE_HOST_XSS)
		fake_die("guest XSS left in the host");
	if (this_cpu()->xcr0 != host_xcr0)
		fake_die("guest XCR0 left in the host");
}

static void
fpu_section(const char *what)
{
	if (!fake_self()->in_fpu)
		fake_die("%s outside host_fpu_begin", what);
}

uint64_t
insn_xgetbv(void)
{
	if (!fake_xsave())
		fake_die("XGETBV: #UD");
	return (this_cpu()->xcr0);
}

void
insn_xsetbv(uint64_t v)
{
	fpu_section("XSETBV");
	if (!fake_xsave())
		fake_die("XSETBV: #UD");
	if ((v & 1) == 0 || (v & ~(uint64_t)FAKE_HOST_XCR0) != 0 ||
	    ((v & 4) != 0 && (v & 2) == 0))
		fake_die("XSETBV %#llx: #GP", (unsigned long long)v);
	this_cpu()->xcr0 = v;
}

/*
 * The x87 part. A CPU without XSaveErPtr leaves FOP, FIP and FDP, bytes 6 to
 * 23, as they are while no exception is pending (FSW.ES).
 */
static void
load_x87(struct fake_fpu *f, const uint8_t *a)
{
	uint32_t r[4];

	fake_cpuid_get(0x80000008, 0, r);
	memcpy(f->x87, a, (r[1] & 4) != 0 || (a[2] & 0x80) != 0 ? 24 : 6);
	memcpy(f->x87 + 32, a + 32, 128);
}

/* FNCLEX, EMMS, FILD: the last instruction and operand are known ones. */
void
insn_fp_forget(void)
{
	fpu_section("FILD");
	memset(this_cpu()->fpu.x87 + 6, 0, 18);
}

static void
save_legacy(uint8_t *a, const struct fake_fpu *f, uint64_t parts)
{
	if (parts & 1) {
		memcpy(a, f->x87, 24);
		memcpy(a + 32, f->x87 + 32, 128);
	}
	if (parts & 6) {
		memcpy(a + 24, &f->mxcsr, 4);
		memset(a + 28, 0xff, 4);	/* MXCSR_MASK */
	}
	if (parts & 2)
		memcpy(a + 160, f->xmm, 256);
}

static void
init_x87(struct fake_fpu *f)
{
	memset(f->x87, 0, sizeof(f->x87));
	f->x87[0] = 0x7f;		/* FCW 0x037f */
	f->x87[1] = 0x03;
}

static void
load_mxcsr(struct fake_fpu *f, const uint8_t *a)
{
	uint32_t v;

	memcpy(&v, a + 24, 4);
	if ((v & ~0xffffu) != 0)
		fake_die("MXCSR %#x: #GP", v);
	f->mxcsr = v;
}

static uint64_t
area_check(const void *area, const char *what, uintptr_t align)
{
	fpu_section(what);
	if (((uintptr_t)area & (align - 1)) != 0)
		fake_die("%s: area not aligned", what);
	return (this_cpu()->xcr0);
}

void
insn_xsave(void *area, uint64_t mask)
{
	uint64_t parts = mask & area_check(area, "XSAVE", 64), bv;
	struct fake_fpu *f = &this_cpu()->fpu;
	uint8_t *a = area;

	if (!fake_xsave())
		fake_die("XSAVE: #UD");
	save_legacy(a, f, parts);
	if (parts & 4)
		memcpy(a + 576, f->ymmh, 256);
	memcpy(&bv, a + 512, 8);
	bv = (bv & ~parts) | parts;
	memcpy(a + 512, &bv, 8);
}

void
insn_xrstor(const void *area, uint64_t mask)
{
	uint64_t xcr0 = area_check(area, "XRSTOR", 64), parts = mask & xcr0;
	struct fake_fpu *f = &this_cpu()->fpu;
	const uint8_t *a = area;
	uint64_t bv;
	unsigned int i;

	if (!fake_xsave())
		fake_die("XRSTOR: #UD");
	memcpy(&bv, a + 512, 8);
	if ((bv & ~xcr0) != 0)
		fake_die("XRSTOR: XSTATE_BV %#llx: #GP",
		    (unsigned long long)bv);
	for (i = 520; i < 576; i++)
		if (a[i] != 0)
			fake_die("XRSTOR: header byte %u: #GP", i);
	if (parts & 1) {
		if (bv & 1)
			load_x87(f, a);
		else
			init_x87(f);
	}
	if (parts & 6)
		load_mxcsr(f, a);
	if (parts & 2) {
		if (bv & 2)
			memcpy(f->xmm, a + 160, 256);
		else
			memset(f->xmm, 0, 256);
	}
	if (parts & 4) {
		if (bv & 4)
			memcpy(f->ymmh, a + 576, 256);
		else
			memset(f->ymmh, 0, 256);
	}
}

void
insn_fxsave(void *area)
{
	(void)area_check(area, "FXSAVE", 16);
	save_legacy(area, &this_cpu()->fpu, 3);
}

void
insn_fxrstor(const void *area)
{
	const uint8_t *a = area;
	struct fake_fpu *f = &this_cpu()->fpu;

	(void)area_check(area, "FXRSTOR", 16);
	load_x87(f, a);
	load_mxcsr(f, a);
	memcpy(f->xmm, a + 160, 256);
}
