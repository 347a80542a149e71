/* SPDX-License-Identifier: ISC */
/*
 * vm.c - virtual machines: their memory and their VCPUs.
 *
 * The memory of a VM belongs to the address space that called CREATE. It is
 * not copied and not taken in advance: a page is taken when the guest (or the
 * driver for it) first touches it, and stays the same page until the VM ends.
 */
#include <errno.h>

#include "vmm.h"

#define VM_MAX_GPA	((uint64_t)VMM_MAX_VM_MEM_SIZE << 20)
#define VM_MIN_VA	PAGE_SIZE_4K
#define VM_MAX_VA	0x00007ffffffff000UL

/* Does [gpa, +size) touch the MMIO hole? No wrap; size is not 0. */
static bool
vm_in_hole(uint64_t gpa, uint64_t size)
{
	return (gpa <= VMM_PCI_MMIO_BAR_END &&
	    gpa + size > VMM_PCI_MMIO_BAR_BASE);
}

static bool
vm_aligned(uint64_t v)
{
	return ((v & (PAGE_SIZE_4K - 1)) == 0);
}

/* One range of CREATE by itself. */
static bool
vm_range_valid(const struct vm_mem_range *r)
{
	uint64_t gpa = r->vmr_gpa, va = r->vmr_va, size = r->vmr_size;

	if (!vm_aligned(gpa) || !vm_aligned(va) || !vm_aligned(size) ||
	    size == 0)
		return (false);
	if (gpa >= VM_MAX_GPA || size > VM_MAX_GPA - gpa)
		return (false);
	if (va < VM_MIN_VA || va >= VM_MAX_VA || size >= VM_MAX_VA - va)
		return (false);
	return (!vm_in_hole(gpa, size));
}

/*
 * Judge the memory ranges of CREATE; *pages is their sum in 4 KiB pages.
 * Returns: EINVAL: no range or more than 16; a range that is unaligned,
 * empty, beyond 32 GiB, not of user addresses, or in the MMIO hole; ranges
 * that overlap or descend; a sum that is no multiple of 1 MiB.
 */
int
vm_ranges_check(const struct vm_create_params *vcp, uint64_t *pages)
{
	const struct vm_mem_range *r = vcp->vcp_memranges;
	uint64_t sum = 0;
	size_t i;

	if (vcp->vcp_nmemranges == 0 ||
	    vcp->vcp_nmemranges > VMM_MAX_MEM_RANGES)
		return (EINVAL);
	for (i = 0; i < vcp->vcp_nmemranges; i++) {
		if (!vm_range_valid(&r[i]))
			return (EINVAL);
		if (i > 0 && r[i - 1].vmr_gpa + r[i - 1].vmr_size >
		    r[i].vmr_gpa)
			return (EINVAL);
		sum += r[i].vmr_size;
	}
	if (sum % (1 << 20) != 0)
		return (EINVAL);
	*pages = sum >> PAGE_SHIFT_4K;
	return (0);
}

/*
 * Tie the ranges to the caller's address space.
 * Returns: ENOMEM: over the memory-lock limit, or a range is not all mapped.
 */
static int
vm_attach_memory(struct vm *vm, const struct vm_create_params *vcp,
    uint64_t pages)
{
	const struct vm_mem_range *r;
	size_t i;

	if (host_as_get(pages, &vm->as) != 0)
		return (ENOMEM);
	vm->pages = pages;
	for (i = 0; i < vcp->vcp_nmemranges; i++) {
		r = &vcp->vcp_memranges[i];
		if (host_as_mapped(vm->as, r->vmr_va, r->vmr_size) != 0)
			return (ENOMEM);
		vm->range[vm->nranges++] = *r;
	}
	return (npt_init(&vm->npt, hv->npt));
}

/*
 * Make a VM of ranges that were judged. It is in no list yet, has no id and
 * one reference.
 * Locks: none.
 * Returns: ENOMEM: memory, the limit, or a range that is not all mapped.
 */
int
vm_create(const struct vm_create_params *vcp, uint64_t pages,
    const struct host_caller *caller, struct vm **vmp)
{
	struct vm *vm;
	unsigned int i;
	int error;

	vm = host_alloc(sizeof(*vm));
	if (vm == NULL)
		return (ENOMEM);
	host_mutex_init(&vm->lock, "vm", RANK_VM);
	vm->refs = 1;
	vm->pid = caller->pid;
	vm->uid = caller->uid;
	for (i = 0; i < sizeof(vm->name) - 1 && vcp->vcp_name[i] != '\0'; i++)
		vm->name[i] = vcp->vcp_name[i];
	pvclock_init_vm(vm);

	error = vm_attach_memory(vm, vcp, pages);
	for (i = 0; error == 0 && i < vcp->vcp_ncpus; i++) {
		error = vcpu_create(vm, i, &vm->vcpu[i]);
		if (error == 0)
			vm->ncpus++;
	}
	if (error != 0) {
		vm_free(vm);
		return (error);
	}
	*vmp = vm;
	return (0);
}

/* Free a VM that nobody can reach: VCPUs, taken pages, charge. */
void
vm_free(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->ncpus; i++)
		vcpu_free(vm->vcpu[i]);
	npt_free(&vm->npt);
	if (vm->as != NULL)
		host_as_put(vm->as, vm->pages);
	host_mutex_destroy(&vm->lock);
	host_free(vm);
}

/* The range that holds `gpa`, or NULL. */
const struct vm_mem_range *
vm_range(const struct vm *vm, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < vm->nranges; i++)
		if (gpa >= vm->range[i].vmr_gpa &&
		    gpa - vm->range[i].vmr_gpa < vm->range[i].vmr_size)
			return (&vm->range[i]);
	return (NULL);
}

/*
 * The largest block around `gpa` that lies in one range, is equally aligned
 * in the client, and finds its place in the nested table free.
 */
static unsigned int
vm_block_order(const struct vm *vm, const struct vm_mem_range *r, uint64_t gpa)
{
	unsigned int order = npt_fit(&vm->npt, gpa, ORDER_1G);
	uint64_t start, bytes;

	for (; order > 0; order -= 9) {
		bytes = PAGE_SIZE_4K << order;
		start = gpa & ~(bytes - 1);
		if (((r->vmr_gpa ^ r->vmr_va) & (bytes - 1)) == 0 &&
		    start >= r->vmr_gpa &&
		    start + bytes <= r->vmr_gpa + r->vmr_size)
			break;
	}
	return (order);
}

/* book: vm-fault */
/* Take the block around `gpa`, at best as large as fits, and map it. */
static int
vm_take(struct vm *vm, const struct vm_mem_range *r, uint64_t gpa)
{
	uint64_t va = r->vmr_va + (gpa - r->vmr_gpa), hpa;
	unsigned int want, order = ORDER_4K;
	int error;

	for (want = vm_block_order(vm, r, gpa);; want -= 9) {
		error = host_user_take(vm->as, va & ~(PAGE_SIZE_4K - 1), want,
		    &hpa, &order);
		if (error != 0)
			return (error);
		if (order == want || want == ORDER_2M)
			break;
		host_user_release(hpa, order);
	}
	error = npt_map(&vm->npt, gpa & ~((PAGE_SIZE_4K << order) - 1), hpa,
	    order, NPT_R | NPT_W | NPT_X);
	if (error != 0)
		host_user_release(hpa, order);
	return (error);
}
/* book: end */

/* vm_fault() with the lock held. */
static int
vm_fault_locked(struct vm *vm, uint64_t gpa, uint64_t *hpa)
{
	const struct vm_mem_range *r;
	struct npt_leaf leaf;
	int error;

	if (!npt_lookup(&vm->npt, gpa, &leaf)) {
		r = vm_range(vm, gpa);
		if (r == NULL)
			return (vm_in_hole(gpa, 1) ? EFAULT : EINVAL);
		error = vm_take(vm, r, gpa);
		if (error != 0)
			return (error);
		HOST_ASSERT(npt_lookup(&vm->npt, gpa, &leaf));
	}
	*hpa = leaf.hpa + (gpa - leaf.gpa);
	return (0);
}

/*
 * Where `gpa` is, taking its page if it was not.
 * Locks: takes vm.lock.
 * Returns: EINVAL: in no range; EFAULT: in the MMIO hole, or the client no
 * longer maps it; ENOMEM.
 */
int
vm_fault(struct vm *vm, uint64_t gpa, uint64_t *hpa)
{
	int error;

	host_mutex_lock(&vm->lock);
	error = vm_fault_locked(vm, gpa, hpa);
	host_mutex_unlock(&vm->lock);
	return (error);
}

/* The checks of MPROTECT_EPT, in its order; *prot is what to set. */
static int
vm_protect_check(const struct vm *vm, const struct vm_mprotect_ept_params *p,
    uint8_t *prot)
{
	uint64_t gpa = p->vmep_sgpa, size = p->vmep_size;
	const struct vm_mem_range *r;

	if ((p->vmep_prot & (NPT_W | NPT_X)) == (NPT_W | NPT_X) &&
	    (p->vmep_prot & ~(NPT_R | NPT_W | NPT_X)) != 0)
		return (EINVAL);
	*prot = p->vmep_prot & (NPT_R | NPT_W | NPT_X);
	if (*prot == NPT_W || *prot == 0)
		return (EINVAL);
	if (!vm_aligned(gpa) || !vm_aligned(size) || size == 0)
		return (EINVAL);
	if (size >= 512UL << 30 || gpa + size < gpa || vm_in_hole(gpa, size))
		return (EINVAL);
	while (size > 0) {
		r = vm_range(vm, gpa);
		if (r == NULL)
			return (EINVAL);
		if (r->vmr_gpa + r->vmr_size - gpa >= size)
			break;
		size -= r->vmr_gpa + r->vmr_size - gpa;
		gpa = r->vmr_gpa + r->vmr_size;
	}
	return (0);
}

static void
vm_kick_nothing(void *arg)
{
	(void)arg;
}

/* book: vm-kick */
/*
 * Return when every VCPU that was in its guest has left it since the call.
 * Running anything on its CPU does that: the interrupt is an exit.
 */
static void
vm_kick(struct vm *vm)
{
	unsigned int i;
	int cpu;

	for (i = 0; i < vm->ncpus; i++) {
		cpu = ATOMIC_GET(&vm->vcpu[i]->cpu);
		if (cpu >= 0)
			(void)host_cpu_call(cpu, vm_kick_nothing, NULL);
	}
}
/* book: end */

/* book: vm-protect */
/*
 * MPROTECT_EPT: give a part of guest memory exactly the rights asked for. All
 * of it is taken first, so that a failure there changes nothing. On return no
 * VCPU runs with the old rights.
 * Locks: takes vm.lock; the caller may hold a vcpu.lock.
 * Returns: EINVAL: rights that are none, write only, or W+X with unknown
 * bits; unaligned; empty; 512 GiB or more; wraps; in the hole; not all guest
 * memory. EFAULT: the client no longer maps it. ENOMEM.
 */
int
vm_protect(struct vm *vm, const struct vm_mprotect_ept_params *p)
{
	uint64_t gpa, end = p->vmep_sgpa + p->vmep_size;
	struct npt_leaf leaf;
	uint64_t hpa;
	uint8_t prot;
	int error;

	error = vm_protect_check(vm, p, &prot);
	if (error != 0)
		return (error);
	host_mutex_lock(&vm->lock);
	for (gpa = p->vmep_sgpa; error == 0 && gpa < end;) {
		error = vm_fault_locked(vm, gpa, &hpa);
		if (error == 0 && npt_lookup(&vm->npt, gpa, &leaf))
			gpa = leaf.gpa + (PAGE_SIZE_4K << leaf.order);
	}
	if (error == 0)
		error = npt_protect(&vm->npt, p->vmep_sgpa, p->vmep_size,
		    prot);
	ATOMIC_ADD(&vm->npt_gen, 1);
	host_mutex_unlock(&vm->lock);
	vm_kick(vm);
	return (error);
}
/* book: end */
