/* SPDX-License-Identifier: ISC */
/*
 * pvclock.c - the paravirtual clock, KVM's layout (abi.md 5, decisions.md
 * F15).
 *
 * A guest gives the address of a 32-byte structure and computes
 *
 *	ns = system_time + (((tsc - tsc_timestamp) << shift) * mul >> 32)
 *
 * by itself. Each VM has one (tsc, ns) pair for its whole life, so that all
 * its VCPUs are on one line and the structure is written once.
 */
#include <errno.h>

#include <insn.h>

#include "vmm.h"

#define PVCLOCK_ENABLE		0x1UL
#define PVCLOCK_GPA		(~0xfUL)
#define PVCLOCK_TSC_STABLE	0x1

#define NS_PER_S		1000000000UL
#define SHIFT_MIN		(-2)		/* above 4 GHz */

struct pvclock_time_info {
	uint32_t	ti_version;		/* odd: being written */
	uint32_t	ti_pad;
	uint64_t	ti_tsc_timestamp;
	uint64_t	ti_system_time;
	uint32_t	ti_tsc_to_system_mul;
	int8_t		ti_tsc_shift;
	uint8_t		ti_flags;
	uint8_t		ti_pad2[2];
};

/*
 * The smallest shift with which 10^9 * 2^(32 - shift) / hz has 32 bits, so
 * that the multiplier is as precise as can be. Nothing to offer (0) when the
 * host does not know how fast the TSC is.
 */
static uint32_t
pvclock_scale(uint64_t hz, int8_t *shift)
{
	uint64_t mul = NS_PER_S << (32 - SHIFT_MIN);

	*shift = 0;
	if (hz == 0)
		return (0);
	for (*shift = SHIFT_MIN; (mul / hz) >> 32 != 0; (*shift)++)
		mul >>= 1;
	return ((uint32_t)(mul / hz));
}

/* The VM's (tsc, ns) pair; before its first VCPU. */
void
pvclock_init_vm(struct vm *vm)
{
	vm->base_tsc = insn_rdtsc();
	vm->base_ns = host_time_ns();
}

/*
 * Writes the structure. A guest that reads it meanwhile, on another VCPU, sees
 * an odd version and tries again.
 */
static void
pvclock_write(struct vcpu *v, volatile struct pvclock_time_info *ti)
{
	int8_t shift;

	v->pvclock_version++;
	ATOMIC_SET(&ti->ti_version, v->pvclock_version * 2 | 1);
	ti->ti_tsc_timestamp = v->vm->base_tsc;
	ti->ti_system_time = v->vm->base_ns;
	ti->ti_tsc_to_system_mul = pvclock_scale(host_tsc_hz(), &shift);
	ti->ti_tsc_shift = shift;
	ti->ti_flags = PVCLOCK_TSC_STABLE;
	ATOMIC_SET(&ti->ti_version, v->pvclock_version * 2);
}

/*
 * Sets the system-time MSR, for the guest or WRITEVMPARAMS. With bit 0 the
 * structure has to lie in guest memory and in one page, and is written.
 *
 * Locks: v->lock held; takes vm.lock.
 * Returns: the old setting stays:
 *	EINVAL	it does not lie there, or MPROTECT_EPT forbids to write it
 *	EFAULT	the client no longer maps its memory
 *	ENOMEM
 */
int
pvclock_set(struct vcpu *v, uint64_t value)
{
	uint64_t gpa = value & PVCLOCK_GPA;
	void *p;
	int error;

	if ((value & PVCLOCK_ENABLE) != 0) {
		if ((gpa & (PAGE_SIZE_4K - 1)) > PAGE_SIZE_4K -
		    sizeof(struct pvclock_time_info) ||
		    vm_range(v->vm, gpa) == NULL)
			return (EINVAL);
		error = gpa_ptr(v->vm, gpa, &p);
		if (error != 0)
			return (error);
		if (!gpa_writable(v->vm, gpa))
			return (EINVAL);
		pvclock_write(v, p);
	}
	v->pvclock_gpa = value;
	return (0);
}

/* Off, as on a new VCPU. */
void
pvclock_reset(struct vcpu *v)
{
	v->pvclock_gpa = 0;
	v->pvclock_version = 0;
}
