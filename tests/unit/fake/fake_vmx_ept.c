/* SPDX-License-Identifier: ISC */
/*
 * fake_vmx_ept.c - EPT of the fake CPUs, and a TLB that forgets nothing by
 * itself: guest-physical mappings, tagged by CPU and EPT root, and combined
 * mappings, tagged by CPU, VPID and EPT root.
 *	SDM Vol. 3C 28.4.1 "Information That May Be Cached"
 */
#include "fake_vmx_priv.h"

#define NTLB		16384
#define NVPIDS		8192
#define EPT_R		1u
#define EPT_W		2u
#define EPT_X		4u
#define EPT_IPAT	0x40u
#define EPT_LEAF	0x80u
#define EPT_WB		6u
#define EPT_ADDR	0x000ffffffffff000ULL
#define ROOT(eptp)	((eptp) & EPT_ADDR)

struct tlb {
	uint64_t	root, gpn, hpn;
	uint32_t	cpu;
	uint32_t	vpid;
	bool		combined;
	uint8_t		rights;
};

/* Who entered with a VPID since the CPU last forgot its mappings. */
struct owner {
	const struct fake_vmcs	*vmcs;
	unsigned int		 epoch;
};

static struct owner	owners[FAKE_MAX_CPUS][NVPIDS];
static unsigned int	epochs[FAKE_MAX_CPUS], epoch;
static struct tlb	tlb[NTLB];
static unsigned int	ntlb;
static uint64_t		flushes;
static pthread_mutex_t	lock = PTHREAD_MUTEX_INITIALIZER;

/* That CPU forgot all linear translations of guests. */
static void
disown(unsigned int cpu)
{
	epochs[cpu] = ++epoch;
}

void
fake_ept_reset(void)
{
	unsigned int i;

	for (i = 0; i < FAKE_MAX_CPUS; i++)
		disown(i);
	ntlb = 0;
	flushes = 0;
}

uint64_t
fake_vmx_flushes(void)
{
	return (flushes);
}

static void
entry_die(uint64_t e, const char *what)
{
	fake_die("EPT entry %#llx: %s", (unsigned long long)e, what);
}

/*
 * An entry that is in use: what the CPU would report as a misconfiguration,
 * or what lets a guest choose its memory type, ends the test.
 *	SDM Vol. 3C 28.3.3.1 "EPT Misconfigurations"
 */
static void
entry_check(uint64_t e, int level, bool leaf)
{
	uint64_t cap = fake_msr_get(0, FAKE_MSR_EPT);
	uint64_t low = (1ULL << (12 + 9 * level)) - 1;

	if ((e & (EPT_R | EPT_W)) == EPT_W)
		entry_die(e, "W without R");
	if ((e & 7) == EPT_X && (cap & FAKE_EPT_EXEC_ONLY) == 0)
		entry_die(e, "X without R");
	if ((e & EPT_ADDR) >= fake_phys_limit())
		entry_die(e, "address");
	if (!leaf) {
		if ((e & (level == 3 ? 0xf8 : 0x78)) != 0)
			entry_die(e, "reserved bits of a table");
		return;
	}
	if (level == 3 || (level > 0 && (cap >> (15 + level) & 1) == 0))
		entry_die(e, "no pages of that size");
	if ((e >> 3 & 7) != EPT_WB || (e & EPT_IPAT) == 0)
		entry_die(e, "not write-back whatever the guest's PAT says");
	if ((e & low & EPT_ADDR) != 0)
		entry_die(e, "large page not aligned");
}

bool
fake_ept_walk(uint64_t eptp, uint64_t gpa, uint64_t *hpa, int *rights,
    uint64_t *leaf)
{
	uint64_t table = ROOT(eptp), e, size;
	int level, r = 7;
	bool last;

	for (level = 3; level >= 0; level--) {
		if (!fake_kernel_range(table, PAGE_SIZE_4K))
			fake_die("EPT table at %#llx",
			    (unsigned long long)table);
		e = __atomic_load_n((uint64_t *)host_va_of(table) +
		    ((gpa >> (12 + 9 * level)) & 511), __ATOMIC_SEQ_CST);
		if ((e & 7) == 0)
			return (false);
		last = level == 0 || (e & EPT_LEAF) != 0;
		entry_check(e, level, last);
		r &= (int)(e & 7);
		table = e & EPT_ADDR;
		if (!last)
			continue;
		size = 1ULL << (12 + 9 * level);
		*hpa = table | (gpa & (size - 1));
		*rights = r;
		*leaf = size;
		return (true);
	}
	return (false);
}

/* --- The TLB --- */

/* Forgets what `drop` says. Locks: takes lock. */
static void
sweep(bool (*drop)(const struct tlb *, const struct tlb *),
    const struct tlb *key)
{
	unsigned int i, n;

	pthread_mutex_lock(&lock);
	for (i = n = 0; i < ntlb; i++)
		if (tlb[i].cpu != key->cpu || !drop(&tlb[i], key))
			tlb[n++] = tlb[i];
	ntlb = n;
	pthread_mutex_unlock(&lock);
}

static bool
any(const struct tlb *t, const struct tlb *key)
{
	(void)t;
	(void)key;
	return (true);
}

static bool
same_root(const struct tlb *t, const struct tlb *key)
{
	return (t->root == key->root);
}

static bool
same_vpid(const struct tlb *t, const struct tlb *key)
{
	return (t->combined && t->vpid == key->vpid);
}

static bool
same_vpid_page(const struct tlb *t, const struct tlb *key)
{
	return (same_vpid(t, key) && t->gpn == key->gpn);
}

static bool
any_vpid(const struct tlb *t, const struct tlb *key)
{
	(void)key;
	return (t->combined && t->vpid != 0);
}

/* What translated the address of an EPT violation. */
static bool
faulted(const struct tlb *t, const struct tlb *key)
{
	return (t->root == key->root && t->gpn == key->gpn &&
	    (!t->combined || t->vpid == key->vpid));
}

/*
 * INVEPT: both kinds of mappings, of every VPID.
 *	SDM Vol. 3C 28.4.3.1 "Operations that Invalidate Cached Mappings"
 */
void
fake_ept_drop(unsigned int cpu, uint64_t eptp, bool all)
{
	const struct tlb key = { .cpu = cpu, .root = ROOT(eptp) };

	sweep(all ? any : same_root, &key);
	if (all)
		disown(cpu);
	flushes++;
}

/* INVVPID: combined mappings only, of every EPT root. */
void
fake_vpid_drop(unsigned int cpu, uint32_t vpid, uint64_t gpa, int type)
{
	const struct tlb key = { .cpu = cpu, .vpid = vpid,
	    .gpn = gpa >> 12 };

	sweep(type == 0 ? same_vpid_page : type == 2 ? any_vpid : same_vpid,
	    &key);
	if (type == 2)
		disown(cpu);
	else if (type != 0 && vpid < NVPIDS)
		owners[cpu][vpid].vmcs = NULL;
	flushes++;
}

/*
 * Without VPIDs every entry and exit forgets the combined mappings of VPID 0
 * but no guest-physical one. With them, two VCPUs that enter with the same one
 * use each other's linear translations.
 */
void
fake_ept_entry(const struct fake_guest *g)
{
	const struct tlb key = { .cpu = g->cpu, .vpid = 0 };
	struct owner *o;

	if (g->asid == 0) {
		sweep(same_vpid, &key);
		return;
	}
	if (g->asid >= NVPIDS)
		fake_die("VPID %u", g->asid);
	o = &owners[g->cpu][g->asid];
	if (o->epoch == epochs[g->cpu] && o->vmcs != NULL && o->vmcs != g->vmx)
		fake_die("two VCPUs have VPID %u on CPU %u", g->asid, g->cpu);
	*o = (struct owner){ g->vmx, epochs[g->cpu] };
}

unsigned int
fake_ept_entries(unsigned int cpu, uint64_t eptp)
{
	unsigned int i, n = 0;

	for (i = 0; i < ntlb; i++)
		if (tlb[i].cpu == cpu && tlb[i].root == ROOT(eptp))
			n++;
	return (n);
}

static struct tlb *
find(const struct fake_guest *g, uint64_t root, uint64_t gpa, bool combined)
{
	unsigned int i;

	for (i = 0; i < ntlb; i++)
		if (tlb[i].cpu == g->cpu && tlb[i].root == root &&
		    tlb[i].gpn == gpa >> 12 && tlb[i].combined == combined &&
		    (!combined || tlb[i].vpid == g->asid))
			return (&tlb[i]);
	return (NULL);
}

static void
add(const struct fake_guest *g, uint64_t root, uint64_t gpa, uint64_t hpa,
    int rights, bool combined)
{
	if (ntlb == NTLB)
		fake_die("TLB model full");
	tlb[ntlb++] = (struct tlb){ root, gpa >> 12, hpa >> 12, g->cpu,
	    combined ? g->asid : 0, combined, (uint8_t)rights };
}

/* SDM Vol. 3C 27.2.1 "Basic VM-Exit Information", Table 27-7 */
static void
violation(struct fake_guest *g, uint64_t gpa, int access, int rights)
{
	struct fake_vexit x = { .reason = 48, .gpa = gpa, .gla = gpa };

	x.qual = (uint64_t)access | (uint64_t)rights << 3 | 0x180;
	fake_vexit(g, &x);
}

/*
 * One access of the guest. A mapping cached earlier is used as it was, right
 * or wrong, a combined one first; the exit for a right it lacks drops it.
 */
bool
fake_vmx_access(struct fake_guest *g, uint64_t gpa, int access, uint64_t *hpa)
{
	uint64_t root = ROOT(vf_get(g, VF_EPTP)), pa = 0, size;
	const struct tlb key = { .cpu = g->cpu, .vpid = g->asid,
	    .root = root, .gpn = gpa >> 12 };
	struct tlb *t;
	int rights = 0;

	pthread_mutex_lock(&lock);
	t = find(g, root, gpa, true);
	if (t == NULL)
		t = find(g, root, gpa, false);
	if (t != NULL) {
		rights = t->rights;
		pa = t->hpn << 12 | (gpa & 0xfff);
	} else if (fake_ept_walk(vf_get(g, VF_EPTP), gpa, &pa, &rights, &size))
		add(g, root, gpa, pa, rights, false);
	if (rights != 0 && find(g, root, gpa, true) == NULL)
		add(g, root, gpa, pa, rights, true);
	pthread_mutex_unlock(&lock);
	if ((access & ~rights) != 0) {
		sweep(faulted, &key);
		violation(g, gpa, access, rights);
		return (false);
	}
	if (fake_page_kind(pa) != FAKE_PAGE_USER || fake_page_pins(pa) == 0)
		fake_die("guest reached page %#llx that is not its own",
		    (unsigned long long)pa);
	if (hpa != NULL)
		*hpa = pa;
	return (true);
}
