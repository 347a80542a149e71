/* SPDX-License-Identifier: ISC */
/*
 * fake_svm.c - VMRUN of the fake CPUs: state checks, event injection, the
 * interrupt window, nested paging and its TLB.
 */
#include "fake_cpu.h"
#include "fake_priv.h"
#include "fake_vmx.h"

#define NTLB		8192

#define EXIT_INVALID	UINT64_MAX
#define EXIT_INTR	0x60
#define EXIT_VINTR	0x64
#define EXIT_IOIO	0x7b
#define EXIT_MSR	0x7c
#define EXIT_SHUTDOWN	0x7f
#define EXIT_NPF	0x400

#define RFLAGS_IF_BIT	0x200u
#define EVENT_VALID	0x80000000u

/* Nested entries: PTE bits of APM Vol. 2 5.3 "Long-Mode Page Translation". */
#define PTE_P		0x1ULL
#define PTE_W		0x2ULL
#define PTE_U		0x4ULL
#define PTE_PS		0x80ULL
#define PTE_NX		0x8000000000000000ULL
#define PTE_ADDR	0x000ffffffffff000ULL
#define PTE_RESERVED	0x7ff0000000000000ULL	/* 48 address bits */

struct tlb {
	unsigned int	cpu;
	uint32_t	asid;
	uint64_t	gpn, hpn;
	int		rights;
};

static struct tlb	 tlb[NTLB];
static unsigned int	 ntlb;
static uint64_t		 flushes;
static bool		 lose, invalid32, no_shadow;
static uint64_t		 lose_code, lose_info[2];
static pthread_mutex_t	 lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct fake_guest guest;

void svm_enter(uint64_t vmcb_pa, uint64_t host_vmcb_pa, uint64_t *gpr);

void
fake_svm_reset(void)
{
	ntlb = 0;
	flushes = 0;
	lose = invalid32 = no_shadow = false;
}

/* --- The VMCB as bytes --- */

uint64_t
vmcb_get(const struct fake_guest *g, unsigned int off)
{
	uint64_t v;

	if (g->vmx != NULL)
		return (fake_both_get(g, off));
	memcpy(&v, g->vmcb + off, sizeof(v));
	return (v);
}

uint32_t
vmcb_get32(const struct fake_guest *g, unsigned int off)
{
	return ((uint32_t)vmcb_get(g, off));
}

void
vmcb_set(struct fake_guest *g, unsigned int off, uint64_t v)
{
	if (g->vmx != NULL) {
		fake_both_set(g, off, v);
		return;
	}
	memcpy(g->vmcb + off, &v, sizeof(v));
}

void
vmcb_set32(struct fake_guest *g, unsigned int off, uint32_t v)
{
	memcpy(g->vmcb + off, &v, sizeof(v));
}

/* --- Exits --- */

void
fake_exit_raw(struct fake_guest *g, uint64_t code, uint64_t info1,
    uint64_t info2)
{
	if (g->vmx != NULL) {
		fake_both_exit(g, code, info1, info2, true);
		return;
	}
	vmcb_set(g, VC_EXITCODE, code);
	vmcb_set(g, VC_EXITINFO1, info1);
	vmcb_set(g, VC_EXITINFO2, info2);
	g->exited = true;
}

/*
 * Where the intercept of an exit code is enabled: codes 0-0x9f number the
 * bits of the intercept vectors. APM Vol. 2 Appendix C "SVM Intercept Exit
 * Codes".
 */
static bool
intercepted(const struct fake_guest *g, uint64_t code)
{
	if (code == EXIT_NPF || code == EXIT_SHUTDOWN)
		return (true);
	if (code >= 0xa0)
		return (false);
	return ((vmcb_get32(g, (unsigned int)code / 32 * 4) >> code % 32) & 1);
}

void
fake_exit(struct fake_guest *g, uint64_t code, uint64_t info1, uint64_t info2)
{
	if (g->vmx != NULL) {
		fake_both_exit(g, code, info1, info2, false);
		return;
	}
	if (!intercepted(g, code))
		fake_die("exit %#llx is not intercepted",
		    (unsigned long long)code);
	if (code == EXIT_IOIO &&
	    !fake_io_exits(g, (uint16_t)(info1 >> 16), info1 >> 4 & 7))
		fake_die("port %#llx does not exit",
		    (unsigned long long)info1 >> 16);
	if (code == EXIT_MSR &&
	    !fake_msr_exits(g, (uint32_t)g->gpr[2], info1 & 1))
		fake_die("MSR %#x does not exit", (uint32_t)g->gpr[2]);
	fake_exit_raw(g, code, info1, info2);
}

void
fake_do_exit(struct fake_guest *g, uint64_t arg)
{
	fake_exit(g, arg, 0, 0);
}

void
fake_do_spin(struct fake_guest *g, uint64_t arg)
{
	unsigned int n = 0;

	(void)arg;
	while (!fake_kicked(g->cpu) && !fake_must_stop())
		fake_relax(&n);
	if (g->vmx != NULL)
		fake_vmx_interrupt(g);
	else
		fake_exit(g, EXIT_INTR, 0, 0);
}

void
fake_do_set_if(struct fake_guest *g, uint64_t arg)
{
	uint64_t f = vmcb_get(g, VS_RFLAGS) & ~(uint64_t)RFLAGS_IF_BIT;

	vmcb_set(g, VS_RFLAGS, f | (arg ? RFLAGS_IF_BIT : 0));
}

void
fake_do_shadow(struct fake_guest *g, uint64_t arg)
{
	vmcb_set(g, VC_SHADOW, arg != 0);
}

/* --- Bitmaps --- */

/* APM Vol. 2 15.10.1 "I/O Permissions Map": every byte of the access. */
bool
fake_io_exits(const struct fake_guest *g, uint16_t port, unsigned int size)
{
	const uint8_t *map = host_va_of(vmcb_get(g, VC_IOPM));
	uint32_t p;

	for (p = port; p < (uint32_t)port + size; p++)
		if (map[p / 8] & 1u << p % 8)
			return (true);
	return (false);
}

/* APM Vol. 2 15.11 "MSR Intercepts": two bits each, three ranges. */
bool
fake_msr_exits(const struct fake_guest *g, uint32_t msr, bool write)
{
	static const uint32_t base[] = { 0, 0xc0000000, 0xc0010000 };
	const uint8_t *map = host_va_of(vmcb_get(g, VC_MSRPM));
	uint32_t i, bit;

	for (i = 0; i < 3; i++)
		if (msr >= base[i] && msr - base[i] < 0x2000) {
			bit = (msr - base[i]) * 2 + (write ? 1 : 0);
			return ((map[i * 0x800 + bit / 8] >> bit % 8) & 1);
		}
	return (true);
}

/* --- Nested paging --- */

/*
 * Walks the nested tables as the CPU does, with five levels if the host's own
 * have them. A table page that is not the driver's, a reserved bit or a leaf
 * on a freed page ends the test.
 *	APM Vol. 2 15.25.3 "Enabling Nested Paging"
 */
bool
fake_walk(uint64_t n_cr3, uint64_t gpa, uint64_t *hpa, int *rights,
    uint64_t *leaf)
{
	uint64_t table = n_cr3, e, size;
	int level, r = 1 | 2 | 4;

	if (fake_is_vmx())
		return (fake_ept_walk(n_cr3, gpa, hpa, rights, leaf));
	level = (fake_cr4(host_cpu_self()) & CR4_LA57_BIT) != 0 ? 4 : 3;
	for (; level >= 0; level--) {
		if (!fake_kernel_range(table, PAGE_SIZE_4K))
			fake_die("nested table at %#llx",
			    (unsigned long long)table);
		e = __atomic_load_n((uint64_t *)host_va_of(table) +
		    ((gpa >> (12 + 9 * level)) & 511), __ATOMIC_SEQ_CST);
		if ((e & PTE_P) == 0)
			return (false);
		if ((e & PTE_RESERVED) != 0 ||
		    ((e & PTE_PS) != 0 && level >= 3))
			fake_die("nested entry %#llx: reserved bits",
			    (unsigned long long)e);
		if ((e & PTE_U) == 0)
			fake_die("nested entry %#llx is not a user page",
			    (unsigned long long)e);
		if ((e & PTE_W) == 0)
			r &= ~2;
		if ((e & PTE_NX) != 0)
			r &= ~4;
		size = 1ULL << (12 + 9 * level);
		if (level == 0 || (e & PTE_PS) != 0) {
			if ((e & PTE_ADDR & (size - 1) & ~0x1000ULL) != 0 &&
			    level != 0)
				fake_die("large entry %#llx not aligned",
				    (unsigned long long)e);
			*hpa = (e & PTE_ADDR & ~(size - 1)) |
			    (gpa & (size - 1));
			*rights = r;
			*leaf = size;
			return (true);
		}
		table = e & PTE_ADDR;
	}
	return (false);
}

static struct tlb *
tlb_find(unsigned int cpu, uint32_t asid, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < ntlb; i++)
		if (tlb[i].cpu == cpu && tlb[i].asid == asid &&
		    tlb[i].gpn == gpa >> 12)
			return (&tlb[i]);
	return (NULL);
}

static void
tlb_drop(unsigned int cpu, uint32_t asid, bool all)
{
	unsigned int i, n;

	for (i = n = 0; i < ntlb; i++)
		if (tlb[i].cpu != cpu || (!all && tlb[i].asid != asid))
			tlb[n++] = tlb[i];
	ntlb = n;
}

unsigned int
fake_tlb_entries(unsigned int cpu, uint32_t asid)
{
	unsigned int i, n = 0;

	for (i = 0; i < ntlb; i++)
		if (tlb[i].cpu == cpu && tlb[i].asid == asid)
			n++;
	return (n);
}

uint64_t
fake_tlb_flushes(void)
{
	return (flushes + fake_vmx_flushes());
}

static void
nested_fault(struct fake_guest *g, uint64_t gpa, int access, bool present)
{
	uint64_t info = 1ULL << 32 | 4;		/* final address; user */

	if (present)
		info |= 1;
	if (access & 2)
		info |= 2;
	if (access & 4)
		info |= 16;
	fake_exit(g, EXIT_NPF, info, gpa);
}

/*
 * One access of the guest. A translation cached earlier is used as it was,
 * right or wrong; a fault on it drops it, as a page fault does.
 */
bool
fake_access(struct fake_guest *g, uint64_t gpa, int access, uint64_t *hpa)
{
	struct tlb *t;
	uint64_t pa, size;
	int rights;

	if (g->vmx != NULL)
		return (fake_vmx_access(g, gpa, access, hpa));
	pthread_mutex_lock(&lock);
	t = tlb_find(g->cpu, g->asid, gpa);
	if (t == NULL) {
		if (!fake_walk(vmcb_get(g, VC_N_CR3), gpa, &pa, &rights,
		    &size)) {
			pthread_mutex_unlock(&lock);
			nested_fault(g, gpa, access, false);
			return (false);
		}
		if (ntlb == NTLB)
			fake_die("TLB model full");
		t = &tlb[ntlb++];
		*t = (struct tlb){ g->cpu, g->asid, gpa >> 12, pa >> 12,
		    rights };
	}
	if ((access & ~t->rights) != 0) {
		*t = tlb[--ntlb];
		pthread_mutex_unlock(&lock);
		nested_fault(g, gpa, access, true);
		return (false);
	}
	pa = t->hpn << 12 | (gpa & 0xfff);
	pthread_mutex_unlock(&lock);
	if (fake_page_kind(pa) != FAKE_PAGE_USER || fake_page_pins(pa) == 0)
		fake_die("guest reached page %#llx that is not its own",
		    (unsigned long long)pa);
	if (hpa != NULL)
		*hpa = pa;
	return (true);
}

/* --- Events --- */

void
fake_lose_event(uint64_t code, uint64_t info1, uint64_t info2)
{
	if (fake_is_vmx()) {
		fake_both_lose(code, info1, info2);
		return;
	}
	lose = true;
	lose_code = code;
	lose_info[0] = info1;
	lose_info[1] = info2;
}

void
fake_quirk_invalid32(bool on)
{
	invalid32 = on;
}

void
fake_quirk_no_shadow(bool on)
{
	no_shadow = on;
}

/*
 * APM Vol. 2 15.20 "Event Injection". An external interrupt that comes while
 * the guest cannot take one would be a bug of the driver, though VMRUN does
 * not look. Delivery through an interrupt gate clears IF.
 */
static void
deliver(struct fake_guest *g)
{
	uint64_t ev = vmcb_get(g, VC_EVENTINJ);

	/* EVENTINJ is scratch; EXITINTINFO keeps rubbish without V. */
	vmcb_set(g, VC_EVENTINJ, 0);
	vmcb_set(g, VC_EXITINTINFO, 0x321);
	if ((ev & EVENT_VALID) == 0)
		return;
	if (lose) {
		lose = false;
		vmcb_set(g, VC_EXITINTINFO, ev);
		fake_exit(g, lose_code, lose_info[0], lose_info[1]);
		return;
	}
	if (((ev >> 8) & 7) == 0 && !fake_bad_intr_allowed() &&
	    ((vmcb_get(g, VS_RFLAGS) & RFLAGS_IF_BIT) == 0 ||
	    (vmcb_get(g, VC_SHADOW) & 1) != 0))
		fake_die("interrupt %#x injected with IF %d, shadow %d",
		    (unsigned int)ev & 0xff,
		    (vmcb_get(g, VS_RFLAGS) & RFLAGS_IF_BIT) != 0,
		    (int)vmcb_get(g, VC_SHADOW) & 1);
	fake_event_add((uint32_t)ev, (uint32_t)(ev >> 32),
	    vmcb_get(g, VS_RIP));
	fake_do_set_if(g, 0);
	vmcb_set(g, VC_SHADOW, 0);
}

/* --- VMRUN --- */

/* APM Vol. 2 7.8.1 "PAT Register". */
static bool
pat_valid(uint64_t pat)
{
	int i;

	for (i = 0; i < 64; i += 8)
		if ((0xf3 >> (pat >> i & 7) & 1) == 0 || (pat >> i & 0xf8) != 0)
			return (false);
	return (true);
}

/*
 * APM Vol. 2 15.5.1 "Basic Operation", "Canonicalization and Consistency";
 * 15.25.4 "Nested Paging and VMRUN/#VMEXIT". 48 address bits.
 */
static const char *
illegal(const struct fake_guest *g)
{
	uint64_t cr0 = vmcb_get(g, VS_CR0), cr4 = vmcb_get(g, VS_CR4);
	uint64_t efer = vmcb_get(g, VS_EFER), ev = vmcb_get(g, VC_EVENTINJ);
	uint32_t cs = vmcb_get32(g, VS_CS) >> 16, type = (ev >> 8) & 7;
	bool lme_pg = (efer & 0x100) != 0 && (cr0 & 0x80000000) != 0;

	if ((efer & 0x1000) == 0)
		return ("EFER.SVME is 0");
	if ((efer & ~0xfd01ULL) != 0)
		return ("EFER reserved bits");
	if ((cr0 & 0x60000000) == 0x20000000)
		return ("CR0.NW without CD");
	if ((cr0 >> 32) != 0)
		return ("CR0[63:32]");
	if (vmcb_get(g, VS_CR3) >> 48 != 0)
		return ("CR3 reserved bits");
	if ((cr4 & ~0x003f0fffULL) != 0)
		return ("CR4 reserved bits");
	if (vmcb_get(g, VS_DR6) >> 32 != 0)
		return ("DR6[63:32]");
	if (vmcb_get(g, VS_DR7) >> 32 != 0)
		return ("DR7[63:32]");
	if (lme_pg && (cr4 & 0x20) == 0)
		return ("LME, PG and no PAE");
	if (lme_pg && (cr0 & 1) == 0)
		return ("LME, PG and no PE");
	if (lme_pg && (cr4 & 0x20) != 0 && (cs & 0x600) == 0x600)
		return ("long mode with CS.L and CS.D");
	if ((vmcb_get32(g, VC_MISC2) & 1) == 0)
		return ("VMRUN is not intercepted");
	if (vmcb_get(g, VC_MSRPM) >= (1ULL << 48) - 0x1000)
		return ("MSRPM");
	if (vmcb_get(g, VC_IOPM) >= (1ULL << 48) - 0x2000)
		return ("IOPM");
	if ((ev & EVENT_VALID) != 0 && (type == 1 || type > 4))
		return ("EVENTINJ type");
	if ((ev & EVENT_VALID) != 0 && type == 3 && (ev & 0xff) == 2)
		return ("EVENTINJ of an exception that is NMI");
	if ((ev & EVENT_VALID) != 0 && type == 3 && (ev & 0xff) > 31)
		return ("EVENTINJ vector");
	if (g->asid == 0)
		return ("ASID is 0");
	if ((0x8b >> (vmcb_get(g, VC_TLB_CONTROL) & 7) & 1) == 0)
		return ("TLB_CONTROL");
	if (vmcb_get(g, VC_N_CR3) >> 48 != 0)
		return ("nCR3 reserved bits");
	if (!pat_valid(vmcb_get(g, VS_G_PAT)))
		return ("G_PAT");
	return (NULL);
}

/* What a driver can get wrong without VMRUN noticing. */
static void
check_driver(const struct fake_guest *g, uint64_t vmcb_pa,
    uint64_t host_vmcb_pa)
{
	uint32_t r[4];

	fake_assert_context("svm_enter", false, true, false);
	fake_cpu_vmrun();
	if ((fake_msr_get(g->cpu, FAKE_MSR_EFER) & 0x1000) == 0)
		fake_die("VMRUN with EFER.SVME 0 on CPU %u: #UD", g->cpu);
	if (!fake_kernel_range(fake_msr_get(g->cpu, FAKE_MSR_VM_HSAVE_PA),
	    PAGE_SIZE_4K))
		fake_die("VMRUN without a host save area");
	if (!fake_kernel_range(vmcb_pa, PAGE_SIZE_4K) ||
	    !fake_kernel_range(host_vmcb_pa, PAGE_SIZE_4K) ||
	    vmcb_pa == host_vmcb_pa)
		fake_die("VMRUN: VMCB address");
	if (!fake_kernel_range(vmcb_get(g, VC_IOPM), 3 * PAGE_SIZE_4K))
		fake_die("VMRUN: IOPM");
	if (!fake_kernel_range(vmcb_get(g, VC_MSRPM), 2 * PAGE_SIZE_4K))
		fake_die("VMRUN: MSRPM");
	if ((vmcb_get(g, VC_NP_ENABLE) & 1) == 0)
		fake_die("VMRUN without nested paging");
	if ((vmcb_get32(g, VC_VINTR) & VINTR_V_INTR_MASKING) == 0)
		fake_die("VMRUN without V_INTR_MASKING");
	if (!intercepted(g, EXIT_INTR) || !intercepted(g, 0x61))
		fake_die("VMRUN without intercepts of INTR and NMI");
	fake_cpuid_get(0x8000000a, 0, r);
	if (g->asid >= r[1])
		fake_die("ASID %u of %u", g->asid, r[1]);
}

/* APM Vol. 2 15.16.1 "TLB Flush". */
static void
tlb_control(struct fake_guest *g)
{
	uint32_t r[4], c = vmcb_get32(g, VC_TLB_CONTROL) & 0xff;

	fake_cpuid_get(0x8000000a, 0, r);
	pthread_mutex_lock(&lock);
	if (c == 1)
		tlb_drop(g->cpu, 0, true);
	else if ((c == 3 || c == 7) && (r[3] & FAKE_SVM_FLUSHBYASID))
		tlb_drop(g->cpu, g->asid, false);
	else if (c != 0)
		fake_die("TLB_CONTROL %u", c);
	if (c != 0)
		flushes++;
	pthread_mutex_unlock(&lock);
}

/*
 * APM Vol. 2 15.21.4 "Injecting Virtual (INTR) Interrupts". Its priority is
 * left 0, so only V_IGN_TPR lets it past a guest's TPR.
 */
static bool
window_open(const struct fake_guest *g)
{
	uint32_t v = vmcb_get32(g, VC_VINTR);

	return ((v & VINTR_V_IRQ) != 0 &&
	    ((v & VINTR_V_IGN_TPR) != 0 || (v >> 16 & 0xf) > (v & 0xf)) &&
	    intercepted(g, EXIT_VINTR) &&
	    (vmcb_get(g, VS_RFLAGS) & RFLAGS_IF_BIT) != 0 &&
	    ((vmcb_get(g, VC_SHADOW) & 1) == 0 || no_shadow));
}

/* Runs the guest until something exits. */
static void
play(struct fake_guest *g)
{
	deliver(g);
	while (!g->exited) {
		if (window_open(g)) {
			fake_exit(g, EXIT_VINTR, 0, 0);
		} else if (fake_kicked(g->cpu) || fake_must_stop()) {
			fake_exit(g, EXIT_INTR, 0, 0);
		} else {
			fake_step_play(g);
		}
	}
}

/* In place of svm_entry.S. */
void
svm_enter(uint64_t vmcb_pa, uint64_t host_vmcb_pa, uint64_t *gpr)
{
	struct fake_guest *g = &guest;
	const char *why;

	g->vmcb = host_va_of(vmcb_pa);
	g->gpr = gpr;
	g->cpu = host_cpu_self();
	g->asid = vmcb_get32(g, VC_ASID);
	g->exited = false;
	g->vmx = NULL;
	why = illegal(g);
	if (why != NULL) {
		fake_refuse(why);
		fake_exit_raw(g, invalid32 ? 0xffffffff : EXIT_INVALID, 0, 0);
		/*
		 * Both emulators leave the host's state in the save area, and
		 * no event.
		 */
		vmcb_set(g, VC_EVENTINJ, 0);
		vmcb_set(g, VS_RIP, 0xffffffff81000000);
		vmcb_set(g, VS_CR3, 0x1000);
		vmcb_set32(g, VS_CS, 8);
	} else {
		check_driver(g, vmcb_pa, host_vmcb_pa);
		tlb_control(g);
		play(g);
	}
	fake_ran(g);
}
