/* SPDX-License-Identifier: ISC */
/*
 * fake_vmx.c - VMX operation of the fake CPUs and the instructions that deal
 * with VMCSs. An instruction that would be #UD or #GP ends the test; one that
 * fails says so as the CPU does (VMfail).
 *
 * What is in a VMCS is kept beside the memory of its region, as a CPU may: a
 * VMCS used on a second CPU before VMCLEAR on the first one ends the test.
 */
#include "fake_vmx_priv.h"
#include "insn.h"

#define NVMCS		1024
#define CR4_VMXE_BIT	0x2000u
#define FC_LOCK		0x1u
#define FC_VMXON	0x4u

/* VM-instruction errors. SDM Vol. 3C 30.4 "VM Instruction Error Numbers" */
#define E_VMCLEAR_ADDRESS	2
#define E_VMCLEAR_VMXON		3
#define E_VMPTRLD_ADDRESS	9
#define E_VMPTRLD_VMXON		10
#define E_VMPTRLD_REVISION	11
#define E_FIELD			12
#define E_READ_ONLY		13
#define E_VMXON_TWICE		15
#define E_INV_OPERAND		28

/* Where a capability is announced, and its bit there. */
#define ALWAYS		0
#define NEED(group, bit)	(FAKE_MSR_##group << 8 | (bit))

/*
 * The fields and what each needs.
 *	SDM Vol. 3D Appendix B "Field Encoding in VMCS"
 */
static const struct {
	uint16_t	first, last;
	uint32_t	needs;
} fields[] = {
	{ 0x0000, 0x0000, NEED(PROC2, 5) },
	{ 0x0002, 0x0002, NEED(PIN, 7) },
	{ 0x0004, 0x0004, NEED(PROC2, 18) },
	{ 0x0800, 0x080e, ALWAYS },
	{ 0x0810, 0x0810, NEED(PROC2, 9) },
	{ 0x0812, 0x0812, NEED(PROC2, 17) },
	{ 0x0c00, 0x0c0c, ALWAYS },
	{ 0x2000, 0x2002, ALWAYS },
	{ 0x2004, 0x2004, NEED(PROC, 28) },
	{ 0x2006, 0x200c, ALWAYS },
	{ 0x200e, 0x200e, NEED(PROC2, 17) },
	{ 0x2010, 0x2010, ALWAYS },
	{ 0x2012, 0x2012, NEED(PROC, 21) },
	{ 0x2014, 0x2014, NEED(PROC2, 0) },
	{ 0x2016, 0x2016, NEED(PIN, 7) },
	{ 0x2018, 0x2018, NEED(PROC2, 13) },
	{ 0x201a, 0x201a, NEED(PROC2, 1) },
	{ 0x201c, 0x2022, NEED(PROC2, 9) },
	{ 0x2024, 0x2024, NEED(PROC2, 13) },
	{ 0x2026, 0x2028, NEED(PROC2, 14) },
	{ 0x202a, 0x202a, NEED(PROC2, 18) },
	{ 0x202c, 0x202c, NEED(PROC2, 20) },
	{ 0x202e, 0x202e, NEED(PROC2, 15) },
	{ 0x2032, 0x2032, NEED(PROC2, 25) },
	{ 0x2400, 0x2400, NEED(PROC2, 1) },
	{ 0x2800, 0x2802, ALWAYS },
	{ 0x2804, 0x2804, NEED(ENTRY, 14) },
	{ 0x2806, 0x2806, NEED(ENTRY, 15) },
	{ 0x2808, 0x2808, NEED(ENTRY, 13) },
	{ 0x280a, 0x2810, NEED(PROC2, 1) },
	{ 0x2c00, 0x2c00, NEED(EXIT, 19) },
	{ 0x2c02, 0x2c02, NEED(EXIT, 21) },
	{ 0x2c04, 0x2c04, NEED(EXIT, 12) },
	{ 0x4000, 0x401a, ALWAYS },
	{ 0x401c, 0x401c, NEED(PROC, 21) },
	{ 0x401e, 0x401e, NEED(PROC, 31) },
	{ 0x4020, 0x4022, NEED(PROC2, 10) },
	{ 0x4400, 0x440e, ALWAYS },
	{ 0x4800, 0x482a, ALWAYS },
	{ 0x482e, 0x482e, NEED(PIN, 6) },
	{ 0x4c00, 0x4c00, ALWAYS },
	{ 0x6000, 0x600e, ALWAYS },
	{ 0x6400, 0x640a, ALWAYS },
	{ 0x6800, 0x6826, ALWAYS },
	{ 0x6c00, 0x6c16, ALWAYS },
};

/* Bochs' corei7_haswell_4770, and UMIP, which the fake CPUID has. */
static const struct {
	uint32_t	msr;
	uint64_t	value;
} capabilities[] = {
	{ FAKE_MSR_FEATURE, FC_LOCK | FC_VMXON },
	{ FAKE_MSR_BASIC, 0x00d8100000000000 | FAKE_VMX_REVISION },
	{ FAKE_MSR_PIN, 0x0000007f00000016 },
	{ FAKE_MSR_PROC, 0xf7f9fffe0401e172 },
	{ FAKE_MSR_EXIT, 0x007fefff00036dff },
	{ FAKE_MSR_ENTRY, 0x0000d3ff000011ff },
	{ FAKE_MSR_MISC, 0x00000000000401e0 },
	{ FAKE_MSR_CR0_FIXED0, 0x80000021 },
	{ FAKE_MSR_CR0_FIXED1, 0xffffffff },
	{ FAKE_MSR_CR4_FIXED0, 0x2000 },
	{ FAKE_MSR_CR4_FIXED1, 0x376fff },
	{ 0x48a, 0x2e },
	{ FAKE_MSR_PROC2, 0x000477ff00000000 },
	{ FAKE_MSR_EPT, 0x00000f0106334141 },
	{ FAKE_MSR_TRUE_PIN, 0x0000007f00000016 },
	{ FAKE_MSR_TRUE_PROC, 0xf7f9fffe04006172 },
	{ FAKE_MSR_TRUE_EXIT, 0x007fefff00036dfb },
	{ FAKE_MSR_TRUE_ENTRY, 0x0000d3ff000011fb },
	{ FAKE_MSR_ARCH, 0x40 },
	{ 0x1a0, 0x850089 },
};

static bool		   vmx;
static struct fake_vmx_cpu cpus[FAKE_MAX_CPUS];
static struct fake_vmcs	   rows[NVMCS];
static unsigned int	   nrows;	/* used ones, and used before */
static uint64_t		   vmclears, invepts, invvpids, vmreads;
static struct fake_vmcs	   vmwrites;	/* counts */
static unsigned int	   vmfail;
static pthread_mutex_t	   lock = PTHREAD_MUTEX_INITIALIZER;

void
fake_vmx_reset(void)
{
	vmx = false;
	memset(cpus, 0, sizeof(cpus));
	nrows = 0;
	vmclears = invepts = invvpids = vmreads = 0;
	memset(&vmwrites, 0, sizeof(vmwrites));
	vmfail = 0;
	fake_ept_reset();
	fake_vmx_run_reset();
}

/*
 * "GenuineIntel", VMX and no SVM. Unlike a Haswell it may have large pages
 * executable (PSCHANGE_MC_NO), as the AMD CPUs here.
 */
void
fake_vmx_set(void)
{
	static const uint32_t amd[] = { FAKE_MSR_VM_CR, FAKE_MSR_VM_HSAVE_PA,
	    0xc0010015, 0xc001001f, 0xc0010055, 0xc0011029 };
	uint32_t r[4];
	unsigned int i, n;

	vmx = true;
	fake_cpuid_get(0, 0, r);
	fake_cpuid_set(0, 0, r[0], 0x756e6547, 0x6c65746e, 0x49656e69);
	fake_cpuid_get(1, 0, r);
	fake_cpuid_set(1, 0, 0x306c3, r[1], r[2] | 0x20, r[3]);
	fake_cpuid_get(7, 0, r);
	fake_cpuid_set(7, 0, r[0], r[1], r[2], r[3] | 1u << 29);
	fake_cpuid_set(0x80000000, 0, 0x80000008, 0, 0, 0);
	fake_cpuid_get(0x80000001, 0, r);
	fake_cpuid_set(0x80000001, 0, 0, 0, r[2] & 0x121, r[3] & 0x2c100800);
	fake_cpuid_set(0x8000000a, 0, 0, 0, 0, 0);
	for (i = 0; i < sizeof(amd) / sizeof(amd[0]); i++)
		fake_msr_remove(amd[i]);
	for (n = 0; n < FAKE_MAX_CPUS; n++) {
		for (i = 0; i < sizeof(capabilities) /
		    sizeof(capabilities[0]); i++)
			fake_msr_set(n, capabilities[i].msr,
			    capabilities[i].value);
		fake_vmx_host_boot(n);
	}
}

bool
fake_is_vmx(void)
{
	return (vmx);
}

void
fake_msr_all(uint32_t msr, uint64_t set, uint64_t clear)
{
	unsigned int i;

	for (i = 0; i < FAKE_MAX_CPUS; i++)
		fake_msr_set(i, msr, (fake_msr_get(i, msr) | set) & ~clear);
}

void
fake_vmx_absent(uint32_t msr, unsigned int bit)
{
	fake_msr_all(msr, 0, 1ULL << (32 + bit));
	if (msr >= FAKE_MSR_PIN && msr <= FAKE_MSR_ENTRY)
		fake_msr_all(msr - FAKE_MSR_PIN + FAKE_MSR_TRUE_PIN, 0,
		    1ULL << (32 + bit));
}

void
fake_vmxon_fails(unsigned int cpu, bool on)
{
	cpus[cpu].fails = on;
}

bool
fake_vmx_on(unsigned int cpu)
{
	return (cpus[cpu].on);
}

struct fake_vmx_cpu *
fake_vmx_cpu(unsigned int cpu)
{
	return (&cpus[cpu]);
}

unsigned int
fake_vmx_active(unsigned int cpu)
{
	unsigned int i, n = 0;

	pthread_mutex_lock(&lock);
	for (i = 0; i < nrows; i++)
		if (rows[i].cpu == (int)cpu)
			n++;
	pthread_mutex_unlock(&lock);
	return (n);
}

void
fake_vmx_check_clean(void)
{
	unsigned int i;

	for (i = 0; i < FAKE_MAX_CPUS; i++)
		if (cpus[i].on)
			fake_die("CPU %u left in VMX operation", i);
}

uint64_t
fake_vmclears(void)
{
	return (vmclears);
}

uint64_t
fake_invepts(void)
{
	return (invepts);
}

uint64_t
fake_invvpids(void)
{
	return (invvpids);
}

uint64_t
fake_vmwrites(uint32_t field)
{
	return (*fake_vmcs_field(&vmwrites, field));
}

uint64_t
fake_vmreads(void)
{
	return (vmreads);
}

unsigned int
fake_vmfail(void)
{
	return (vmfail);
}

/* --- Fields --- */

bool
fake_allowed1(uint32_t msr, unsigned int bit)
{
	return ((fake_msr_get(0, msr) >> (32 + bit) & 1) != 0);
}

/* Secondary controls exist only with primary control 31. */
static bool
has(uint32_t needs)
{
	if (needs == ALWAYS)
		return (true);
	if (needs >> 8 == FAKE_MSR_PROC2 && !fake_allowed1(FAKE_MSR_PROC, 31))
		return (false);
	return (fake_allowed1(needs >> 8, needs & 0xff));
}

bool
fake_vmx_field(uint32_t field)
{
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (field >= fields[i].first && field <= fields[i].last)
			return ((field & 1) == 0 && has(fields[i].needs));
	return (false);
}

/* SDM Vol. 3C 24.11.2 "VMREAD, VMWRITE, and Encodings of VMCS Fields" */
unsigned int
fake_vmx_width(uint32_t field)
{
	static const uint8_t bits[] = { 16, 64, 32, 64 };

	return (bits[field >> 13 & 3]);
}

uint64_t *
fake_vmcs_field(struct fake_vmcs *m, uint32_t field)
{
	if ((field & 1) != 0 || (field >> 1 & 0x1ff) > 31)
		fake_die("no room for field %#x", field);
	return (&m->field[(field >> 13 & 3) << 7 | (field >> 10 & 3) << 5 |
	    (field >> 1 & 31)]);
}

uint64_t
vf_get(const struct fake_guest *g, uint32_t field)
{
	if (!fake_vmx_field(field))
		return (0);
	return (*fake_vmcs_field(g->vmx, field));
}

void
vf_set(struct fake_guest *g, uint32_t field, uint64_t v)
{
	if (!fake_vmx_field(field))
		fake_die("the guest changes field %#x, which is none", field);
	*fake_vmcs_field(g->vmx, field) = v;
}

/* What a new VMCS holds: nothing a driver may rely on. */
static void
fill(struct fake_vmcs *m)
{
	unsigned int i;

	for (i = 0; i < 512; i++)
		m->field[i] = 0xa5a5a5a5a5a5a5a5 >>
		    (64 - fake_vmx_width(i >> 7 << 13));
}

/* --- VMX operation --- */

/* Where and when these may be executed at all. */
static struct fake_vmx_cpu *
root(const char *what)
{
	unsigned int cpu = fake_self()->cpu, i;
	struct fake_vmx_cpu *c = &cpus[cpu];

	if (!vmx)
		fake_die("%s on a CPU without VMX: #UD", what);
	fake_assert_context(what, false, true, true);
	if (!c->on)
		fake_die("%s outside VMX operation: #UD", what);
	pthread_mutex_lock(&lock);
	for (i = 0; i < nrows; i++)
		if (rows[i].cpu == (int)cpu &&
		    !fake_kernel_range(rows[i].pa, PAGE_SIZE_4K))
			fake_die("%s: the active VMCS %#llx was freed", what,
			    (unsigned long long)rows[i].pa);
	pthread_mutex_unlock(&lock);
	return (c);
}

/* VMfailValid with a current VMCS, else VMfailInvalid. */
static bool
fail(struct fake_vmx_cpu *c, unsigned int error)
{
	__atomic_store_n(&vmfail, error, __ATOMIC_SEQ_CST);
	if (c->current != NULL)
		*fake_vmcs_field(c->current, VF_INSN_ERROR) = error;
	return (false);
}

uint64_t
fake_phys_limit(void)
{
	uint32_t r[4];

	fake_cpuid_get(0x80000008, 0, r);
	return (1ULL << (r[0] & 0xff));
}

bool
fake_canonical(uint64_t va)
{
	return (va >> 47 == 0 || va >> 47 == 0x1ffff);
}

static bool
region_ok(uint64_t pa)
{
	if ((pa & 0xfff) != 0 || pa >= fake_phys_limit())
		return (false);
	if (!fake_kernel_range(pa, PAGE_SIZE_4K))
		fake_die("%#llx is no page of the driver's",
		    (unsigned long long)pa);
	return (true);
}

static uint32_t
revision_of(uint64_t pa)
{
	uint32_t v;

	memcpy(&v, host_va_of(pa), sizeof(v));
	return (v);
}

static bool
fixed_ok(uint64_t v, uint32_t fixed0)
{
	uint64_t f0 = fake_msr_get(fake_self()->cpu, fixed0);
	uint64_t f1 = fake_msr_get(fake_self()->cpu, fixed0 + 1);

	return ((v & f0) == f0 && (v & ~f1) == 0);
}

/* SDM Vol. 3C 23.7 "Enabling and Entering VMX Operation" */
bool
insn_vmxon(uint64_t pa)
{
	struct fake_vmx_cpu *c = &cpus[fake_self()->cpu];
	struct fake_regs *r = fake_regs(fake_self()->cpu);

	if (!vmx)
		fake_die("VMXON on a CPU without VMX: #UD");
	fake_assert_context("VMXON", false, false, true);
	if (!fake_cpus_held())
		fake_die("VMXON while CPUs may come");
	if ((r->cr4 & CR4_VMXE_BIT) == 0)
		fake_die("VMXON with CR4.VMXE clear: #UD");
	if (c->on)
		return (fail(c, E_VMXON_TWICE));
	if ((fake_msr_get(fake_self()->cpu, FAKE_MSR_FEATURE) &
	    (FC_LOCK | FC_VMXON)) != (FC_LOCK | FC_VMXON))
		fake_die("VMXON that FEATURE_CONTROL forbids: #GP");
	if (!fixed_ok(r->cr0, FAKE_MSR_CR0_FIXED0) ||
	    !fixed_ok(r->cr4, FAKE_MSR_CR4_FIXED0))
		fake_die("VMXON with CR0 %#llx CR4 %#llx: #GP",
		    (unsigned long long)r->cr0, (unsigned long long)r->cr4);
	if (!region_ok(pa) || revision_of(pa) != FAKE_VMX_REVISION || c->fails)
		return (false);
	c->on = true;
	c->vmxon = pa;
	c->current = NULL;
	return (true);
}

void
insn_vmxoff(void)
{
	struct fake_vmx_cpu *c = root("VMXOFF");

	fake_assert_context("VMXOFF", false, false, true);
	if (!fake_kernel_range(c->vmxon, PAGE_SIZE_4K))
		fake_die("VMXOFF after the VMXON region was freed");
	if (fake_vmx_active(fake_self()->cpu) != 0)
		fake_die("VMXOFF with %u VMCSs not cleared",
		    fake_vmx_active(fake_self()->cpu));
	c->on = false;
	c->current = NULL;
}

/* Called before any MSR is written by the driver. */
void
fake_vmx_wrmsr(uint32_t msr, uint64_t old, uint64_t v)
{
	if (!vmx)
		return;
	if (msr == FAKE_MSR_FEATURE) {
		fake_assert_context("WRMSR FEATURE_CONTROL", false, false,
		    true);
		if ((old & FC_LOCK) != 0)
			fake_die("FEATURE_CONTROL is locked: #GP");
	} else if (msr >= FAKE_MSR_BASIC && msr <= FAKE_MSR_TRUE_ENTRY)
		fake_die("WRMSR to %#x: #GP", msr);
	else if (!fake_wrmsr_ok(msr, v))
		fake_die("WRMSR %#x of %#llx: #GP", msr,
		    (unsigned long long)v);
}

/* Before CR4 changes. SDM Vol. 3C 23.8 "Restrictions on VMX Operation" */
void
fake_vmx_cr4(uint64_t v)
{
	if (!vmx && (v & CR4_VMXE_BIT) != 0)
		fake_die("CR4.VMXE on a CPU without VMX: #GP");
	if (cpus[fake_self()->cpu].on &&
	    !fixed_ok(v, FAKE_MSR_CR4_FIXED0))
		fake_die("CR4 %#llx in VMX operation: #GP",
		    (unsigned long long)v);
}

/* --- VMCSs --- */

/* The row of a VMCS; those whose page has gone are free again. */
static struct fake_vmcs *
row_of(uint64_t pa)
{
	struct fake_vmcs *m = NULL;
	unsigned int i;

	for (i = 0; i < nrows; i++) {
		if (rows[i].pa == pa)
			return (&rows[i]);
		if (m == NULL && rows[i].cpu < 0 &&
		    !fake_kernel_range(rows[i].pa, PAGE_SIZE_4K))
			m = &rows[i];
	}
	if (m == NULL && nrows == NVMCS)
		fake_die("too many VMCSs");
	if (m == NULL)
		m = &rows[nrows++];
	m->pa = pa;
	m->cpu = -1;
	m->cleared = m->launched = false;
	return (m);
}

/* The VMCS at `pa`, active here or nowhere from now on. */
static struct fake_vmcs *
find_row(uint64_t pa, const char *what, bool active)
{
	struct fake_vmcs *m;

	pthread_mutex_lock(&lock);
	m = row_of(pa);
	if (m->cpu >= 0 && m->cpu != (int)fake_self()->cpu)
		fake_die("%s on CPU %u of a VMCS that is active on CPU %d",
		    what, fake_self()->cpu, m->cpu);
	if (active && !m->cleared)
		fake_die("VMPTRLD of a VMCS that VMCLEAR has not initialised");
	m->cpu = active ? (int)fake_self()->cpu : -1;
	pthread_mutex_unlock(&lock);
	return (m);
}

bool
insn_vmclear(uint64_t pa)
{
	struct fake_vmx_cpu *c = root("VMCLEAR");
	struct fake_vmcs *m;

	if (!region_ok(pa))
		return (fail(c, E_VMCLEAR_ADDRESS));
	if (pa == c->vmxon)
		return (fail(c, E_VMCLEAR_VMXON));
	m = find_row(pa, "VMCLEAR", false);
	if (!m->cleared)
		fill(m);
	m->cleared = true;
	m->launched = false;
	if (c->current == m)
		c->current = NULL;
	memset((uint8_t *)host_va_of(pa) + 8, 0x5a, 64);   /* the CPU's own */
	__atomic_add_fetch(&vmclears, 1, __ATOMIC_SEQ_CST);
	return (true);
}

bool
insn_vmptrld(uint64_t pa)
{
	struct fake_vmx_cpu *c = root("VMPTRLD");
	struct fake_vmcs *m;

	if (!region_ok(pa))
		return (fail(c, E_VMPTRLD_ADDRESS));
	if (pa == c->vmxon)
		return (fail(c, E_VMPTRLD_VMXON));
	if (revision_of(pa) != FAKE_VMX_REVISION)
		return (fail(c, E_VMPTRLD_REVISION));
	m = find_row(pa, "VMPTRLD", true);
	c->current = m;
	return (true);
}

bool
insn_vmread(uint64_t field, uint64_t *value)
{
	struct fake_vmx_cpu *c = root("VMREAD");

	if (c->current == NULL)
		return (false);
	if (field >> 32 != 0 || !fake_vmx_field((uint32_t)field))
		return (fail(c, E_FIELD));
	*value = *fake_vmcs_field(c->current, (uint32_t)field);
	__atomic_add_fetch(&vmreads, 1, __ATOMIC_SEQ_CST);
	return (true);
}

/* A field that is narrower than the value would lose bits of it silently. */
bool
insn_vmwrite(uint64_t field, uint64_t value)
{
	struct fake_vmx_cpu *c = root("VMWRITE");
	unsigned int width;

	if (c->current == NULL)
		return (false);
	if (field >> 32 != 0 || !fake_vmx_field((uint32_t)field))
		return (fail(c, E_FIELD));
	if ((field >> 10 & 3) == 1 &&
	    (fake_msr_get(0, FAKE_MSR_MISC) >> 29 & 1) == 0)
		return (fail(c, E_READ_ONLY));
	width = fake_vmx_width((uint32_t)field);
	if (width < 64 && value >> width != 0)
		fake_die("VMWRITE %#llx of %#llx: the field has %u bits",
		    (unsigned long long)field, (unsigned long long)value,
		    width);
	*fake_vmcs_field(c->current, (uint32_t)field) = value;
	__atomic_add_fetch(fake_vmcs_field(&vmwrites, (uint32_t)field), 1,
	    __ATOMIC_SEQ_CST);
	return (true);
}

/* --- Invalidation --- */

/* SDM Vol. 3C 28.3.3.3 "Guidelines for Use of the INVVPID Instruction" ff. */
bool
insn_invept(uint64_t type, uint64_t eptp)
{
	struct fake_vmx_cpu *c = root("INVEPT");
	uint64_t cap = fake_msr_get(0, FAKE_MSR_EPT);

	if ((cap >> 20 & 1) == 0 || !has(NEED(PROC2, 1)))
		fake_die("INVEPT: #UD");
	if (type < 1 || type > 2 || (cap >> (24 + type) & 1) == 0)
		return (fail(c, E_INV_OPERAND));
	if (type == 1 && ((eptp & 0x3f) != 0x1e || (eptp & 0xf80) != 0 ||
	    eptp >= fake_phys_limit()))
		return (fail(c, E_INV_OPERAND));
	fake_ept_drop(fake_self()->cpu, eptp, type == 2);
	__atomic_add_fetch(&invepts, 1, __ATOMIC_SEQ_CST);
	return (true);
}

bool
insn_invvpid(uint64_t type, uint64_t vpid, uint64_t va)
{
	struct fake_vmx_cpu *c = root("INVVPID");
	uint64_t cap = fake_msr_get(0, FAKE_MSR_EPT);

	if ((cap >> 32 & 1) == 0 || !has(NEED(PROC2, 5)))
		fake_die("INVVPID: #UD");
	if (type > 3 || (cap >> (40 + type) & 1) == 0 || vpid >> 16 != 0 ||
	    (type != 2 && vpid == 0) || (type == 0 && !fake_canonical(va)))
		return (fail(c, E_INV_OPERAND));
	fake_vpid_drop(fake_self()->cpu, (uint32_t)vpid, va, (int)type);
	__atomic_add_fetch(&invvpids, 1, __ATOMIC_SEQ_CST);
	return (true);
}
