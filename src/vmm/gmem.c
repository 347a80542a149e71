/* SPDX-License-Identifier: ISC */
/*
 * gmem.c - guest memory as the driver reads and writes it.
 *
 * Everything here is hostile: tables can point anywhere, also at themselves,
 * and other VCPUs change them meanwhile. A walk has a fixed number of levels,
 * reads each entry once, masks every index, and reaches memory only through
 * gpa_ptr(), which knows the VM's pages and no others.
 */
#include <errno.h>
#include <string.h>

#include "vmm.h"

#define PTE_P		0x001UL
#define PTE_W		0x002UL
#define PTE_U		0x004UL
#define PTE_A		0x020U
#define PTE_D		0x040U
#define PTE_PS		0x080UL
#define PTE_NX		0x8000000000000000UL
#define PTE_ADDR	0x000ffffffffff000UL

/* Error code of #PF: SDM Vol. 3A 4.7 "Page-Fault Exceptions". W is GMEM_W. */
#define PF_P		0x01
#define PF_U		0x04
#define PF_RSVD		0x08
#define PF_ID		0x10

#define MAX_LEVELS	4

struct walk {
	int		levels;		/* 2: 32-bit, 3: PAE, 4: long mode */
	int		level;		/* 1 is the last */
	uint64_t	gva;
	uint64_t	rights;		/* PTE_W, PTE_U of all levels */
	bool		nx;
	int		n;		/* entries with an A bit, leaf last */
	uint32_t	*entry[MAX_LEVELS];
	uint64_t	gpa[MAX_LEVELS];	/* of each */
	uint32_t	low[MAX_LEVELS];	/* as they were read */
};

/*
 * Where the byte at `gpa` is, and all after it in its 4 KiB page.
 *
 * Locks: takes vm.lock.
 * Returns: the errno of vm_fault().
 */
int
gpa_ptr(struct vm *vm, uint64_t gpa, void **p)
{
	uint64_t hpa;
	int error;

	error = vm_fault(vm, gpa, &hpa);
	if (error == 0)
		*p = host_va_of(hpa);
	return (error);
}

/*
 * gpa_ptr() for the thread in RUN, which comes to the same few pages again
 * and again. A page once taken stays the same until the VM ends, so what is
 * remembered here never becomes wrong.
 */
static int
gmem_page(struct vcpu *v, uint64_t gpa, void **p)
{
	uint64_t page = gpa & ~(PAGE_SIZE_4K - 1);
	unsigned int i = gpa >> PAGE_SHIFT_4K & 7;
	void *start;
	int error;

	if (v->page[i].gpa != (page | 1)) {
		error = gpa_ptr(v->vm, page, &start);
		if (error != 0)
			return (error);
		v->page[i].gpa = page | 1;
		v->page[i].va = start;
	}
	*p = v->page[i].va + (gpa - page);
	return (0);
}

/* May the guest write the taken page of `gpa` (MPROTECT_EPT)? */
bool
gpa_writable(struct vm *vm, uint64_t gpa)
{
	struct npt_leaf leaf = { .prot = 0 };

	host_mutex_lock(&vm->lock);
	(void)npt_lookup(&vm->npt, gpa, &leaf);
	host_mutex_unlock(&vm->lock);
	return ((leaf.prot & NPT_W) != 0);
}

/*
 * Reserved bits of a present entry.
 * SDM Vol. 3A 4.3 "32-Bit Paging", 4.4 "PAE Paging", 4.5 "4-Level Paging and
 * 5-Level Paging".
 */
static uint64_t
walk_reserved(const struct vcpu *v, const struct walk *w, bool leaf)
{
	uint64_t phys = cpuid_phys_mask(), r;

	if (w->levels == 2) {
		if (!leaf || w->level == 1)
			return (0);
		if (!cpuid_shows(CPUID_1_EDX, 17))	/* no PSE-36 */
			return (0x003fe000);
		return (1UL << 21 | (~phys >> 32 & 0xff) << 13);
	}
	r = ~phys & ~PTE_NX;
	/* TCG: sets A (reserved there) in the PDPTEs that it walked. */
	if (w->levels == 3 && w->level == 3)
		return (r | PTE_NX | (PDPTE_RESERVED & ~(uint64_t)PTE_A));
	if (w->levels == 4)
		r &= PTE_ADDR;		/* 62:52 are free in long mode */
	if ((v->efer & EFER_NXE) == 0)
		r |= PTE_NX;
	if (w->level == 4 ||
	    (w->level == 3 && !cpuid_shows(CPUID_E1_EDX, 26)))
		r |= PTE_PS;
	if (leaf && w->level > 1)	/* bit 12 is the PAT bit */
		r |= ((1UL << (12 + 9 * (w->level - 1))) - 1) & ~0x1fffUL;
	return (r);
}

/* Whether the entry maps a page at this level. */
static bool
walk_is_leaf(const struct vcpu *v, const struct walk *w, uint64_t entry)
{
	if (w->level == 1)
		return (true);
	if ((entry & PTE_PS) == 0)
		return (false);
	if (w->level == 2)
		return (w->levels > 2 || (v->cr4 & CR4_PSE) != 0);
	return (w->level == 3 && w->levels == 4);
}

/*
 * One entry of the table at `table`. In PAE mode the first level is the
 * PDPTE registers where the CPU has them.
 * SDM Vol. 3A 4.4.1 "PDPTE Registers".
 */
static int
walk_entry(struct vcpu *v, struct walk *w, uint64_t table, uint64_t *entry)
{
	bool pdpte = w->levels == 3 && w->level == 3;
	unsigned int bits = w->levels == 2 ? 10 : 9;
	uint64_t i;
	void *p;
	int error;

	i = w->gva >> (12 + bits * (w->level - 1)) & ((1U << bits) - 1);
	if (pdpte && hv->wants_pdptes) {
		*entry = v->pdpte[i & 3];
		return (0);
	}
	table += i * (w->levels == 2 ? 4 : 8);
	error = gmem_page(v, table, &p);
	if (error != 0)
		return (error);
	if (w->levels == 2)
		*entry = ATOMIC_GET((uint32_t *)p);
	else
		*entry = ATOMIC_GET((uint64_t *)p);
	if (!pdpte) {
		w->entry[w->n] = p;
		w->gpa[w->n] = table;
		w->low[w->n++] = (uint32_t)*entry;
	}
	return (0);
}

/*
 * Goes down to the page of w->gva.
 *
 * Returns: 0, EFAULT with *code P and RSVD of a page fault (else ~0), or the
 * errno of gpa_ptr().
 */
static int
walk_down(struct vcpu *v, struct walk *w, uint64_t *gpa, uint32_t *code)
{
	uint64_t table = hv->cr3(v), e, offset;
	bool leaf;
	int error;

	*code = ~0U;
	table &= w->levels == 4 ? PTE_ADDR & cpuid_phys_mask() :
	    w->levels == 3 ? 0xffffffe0UL : 0xfffff000UL;
	w->rights = PTE_W | PTE_U;
	for (w->level = w->levels;; w->level--) {
		error = walk_entry(v, w, table, &e);
		if (error != 0)
			return (error);
		leaf = walk_is_leaf(v, w, e);
		if ((e & PTE_P) == 0)
			*code = 0;
		else if ((e & walk_reserved(v, w, leaf)) != 0)
			*code = PF_P | PF_RSVD;
		if (*code != ~0U)
			return (EFAULT);
		if (w->levels != 3 || w->level != 3) {
			w->rights &= e;
			w->nx |= (e & PTE_NX) != 0;
		}
		if (leaf)
			break;
		table = e & PTE_ADDR;
	}
	offset = (1UL << (12 + (w->levels == 2 ? 10 : 9) * (w->level - 1))) - 1;
	if (w->levels == 2 && w->level == 2)
		e = (e & 0xffc00000) | (e >> 13 & 0xff) << 32;
	*gpa = (e & PTE_ADDR & ~offset) | (w->gva & offset);
	return (0);
}

/*
 * Whether the page may be used so at this privilege.
 * SDM Vol. 3A 4.6 "Access Rights".
 */
static bool
walk_allowed(struct vcpu *v, const struct walk *w, int access, bool user)
{
	bool upage = (w->rights & PTE_U) != 0;

	if (user && !upage)
		return (false);
	if (access == GMEM_X)
		return (!w->nx &&
		    !(!user && upage && (v->cr4 & CR4_SMEP) != 0));
	if (!user && upage && (v->cr4 & CR4_SMAP) != 0 &&
	    (v->gpr[VCPU_REGS_RFLAGS] & RFLAGS_AC) == 0)
		return (false);
	return (access != GMEM_W || (w->rights & PTE_W) != 0 ||
	    (!user && (v->cr0 & CR0_WP) == 0));
}

/*
 * Sets the A bits, and D for a write, as the CPU would have. Not in an entry
 * that changed since: the guest may have taken it out of use. Not where
 * MPROTECT_EPT forbids it.
 * SDM Vol. 3A 4.8 "Accessed and Dirty Flags".
 */
static void
walk_mark(struct vcpu *v, struct walk *w, int access)
{
	uint32_t want;
	int i;

	for (i = 0; i < w->n; i++) {
		want = w->low[i] | PTE_A;
		if (access == GMEM_W && i == w->n - 1)
			want |= PTE_D;
		if (want != w->low[i] && gpa_writable(v->vm, w->gpa[i]))
			(void)__atomic_compare_exchange_n(w->entry[i],
			    &w->low[i], want, false, __ATOMIC_SEQ_CST,
			    __ATOMIC_SEQ_CST);
	}
}

/* Fills *fault. Returns: EFAULT. */
static int
gmem_fault(struct gmem_fault *fault, uint8_t vector, uint32_t code,
    uint64_t cr2)
{
	fault->event.valid = true;
	fault->event.type = EVENT_EXCEPTION;
	fault->event.vector = vector;
	fault->event.has_error = true;
	fault->event.error = code;
	fault->cr2 = cr2;
	return (EFAULT);
}

/* gmem_translate() with paging on. */
static int
gmem_walk(struct vcpu *v, uint64_t gva, int access, uint64_t *gpa,
    struct gmem_fault *fault)
{
	struct walk w = { .levels = 2, .gva = gva };
	bool user = hv->cpl(v) == 3;
	uint32_t code;
	int error;

	if ((v->cr4 & CR4_PAE) != 0)
		w.levels = (v->efer & EFER_LMA) != 0 ? 4 : 3;
	error = walk_down(v, &w, gpa, &code);
	if (error == 0 && !walk_allowed(v, &w, access, user)) {
		code = PF_P;
		error = EFAULT;
	}
	if (error == 0) {
		walk_mark(v, &w, access);
		return (0);
	}
	if (code == ~0U)
		return (error);
	code |= (access & GMEM_W) | (user ? PF_U : 0);
	if (access == GMEM_X && ((v->cr4 & CR4_SMEP) != 0 ||
	    (w.levels > 2 && (v->efer & EFER_NXE) != 0)))
		code |= PF_ID;
	return (gmem_fault(fault, VMM_EX_PF, code, gva));
}

/*
 * Translates a linear address. Outside long mode it has 32 bits. A stack
 * access that is not canonical is #SS(0) on a CPU; the caller that makes one
 * says so.
 *
 * Locks: takes vm.lock.
 * Returns:
 *	EFAULT	with fault->event.valid: #PF or #GP(0)
 *	others	from gpa_ptr(): a table lies outside guest memory
 */
int
gmem_translate(struct vcpu *v, uint64_t gva, int access, uint64_t *gpa,
    struct gmem_fault *fault)
{
	fault->event.valid = false;
	if ((v->efer & EFER_LMA) == 0)
		gva = (uint32_t)gva;
	else if (!regs_canonical(gva))
		return (gmem_fault(fault, VMM_EX_GP, 0, 0));
	if ((v->cr0 & CR0_PG) != 0)
		return (gmem_walk(v, gva, access, gpa, fault));
	*gpa = gva;
	return (0);
}

/* Copies page by page; `buf` NULL: only sees whether it could. */
static int
gmem_copy(struct vcpu *v, uint64_t gva, uint8_t *buf, size_t n, int access,
    struct gmem_fault *fault)
{
	uint64_t gpa;
	size_t part;
	void *p;
	int error;

	for (; n > 0; n -= part, gva += part) {
		part = PAGE_SIZE_4K - (gva & (PAGE_SIZE_4K - 1));
		if (part > n)
			part = n;
		error = gmem_translate(v, gva, access, &gpa, fault);
		if (error == 0)
			error = gmem_page(v, gpa, &p);
		if (error != 0)
			return (error);
		if (access == GMEM_W && !gpa_writable(v->vm, gpa))
			return (EINVAL);
		if (buf == NULL)
			continue;
		if (access == GMEM_W)
			memcpy(p, buf, part);
		else
			memcpy(buf, p, part);
		buf += part;
	}
	return (0);
}

/*
 * Where the byte at a linear address is, to be read as data (GMEM_R) or code
 * (GMEM_X), and all after it in its 4 KiB page.
 *
 * Locks: takes vm.lock.
 * Returns: as gmem_translate().
 */
int
gmem_ptr(struct vcpu *v, uint64_t gva, int access, const uint8_t **p,
    struct gmem_fault *fault)
{
	uint64_t gpa;
	void *page = NULL;
	int error;

	error = gmem_translate(v, gva, access, &gpa, fault);
	if (error == 0)
		error = gmem_page(v, gpa, &page);
	*p = page;
	return (error);
}

/*
 * Reads `n` bytes at a linear address, as data (GMEM_R) or as code (GMEM_X).
 * Segment limits are not looked at: the CPU did.
 *
 * Locks: takes vm.lock.
 * Returns: as gmem_translate(); the pages before the fault have been read.
 */
int
gmem_read(struct vcpu *v, uint64_t gva, void *buf, size_t n, int access,
    struct gmem_fault *fault)
{
	return (gmem_copy(v, gva, buf, n, access, fault));
}

/*
 * Writes `n` bytes, all of them or, on a fault, none, as one instruction
 * does.
 *
 * Locks: takes vm.lock.
 * Returns: as gmem_translate(); EINVAL: MPROTECT_EPT forbids it.
 */
int
gmem_write(struct vcpu *v, uint64_t gva, const void *buf, size_t n,
    struct gmem_fault *fault)
{
	int error;

	error = gmem_copy(v, gva, NULL, n, GMEM_W, fault);
	if (error != 0)
		return (error);
	return (gmem_copy(v, gva, (uint8_t *)buf, n, GMEM_W, fault));
}
