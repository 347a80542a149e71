/* SPDX-License-Identifier: ISC */
/*
 * vmx_unit.h - a VM on the fake Intel CPUs, for the suites of vmx*.c.
 */
#ifndef VMX_UNIT_H
#define VMX_UNIT_H

#include "fake_vmx.h"
#include "unit.h"

static uint32_t id;
static struct vcpu *v;
static struct unit_run u;

/* CPUs of Intel, nothing attached. Exit reasons are their own. */
static inline void
vmx_bare(void)
{
	unit_boot();
	fake_vmx_set();
	unit_intel = false;
}

/* An attached driver with a VM of one VCPU in real mode. */
static inline void
vmx_setup(void)
{
	vmx_bare();
	unit_attach();
	id = unit_real_vm();
	v = unit_vm(id)->vcpu[0];
}

/* A step that exits so; the struct must last until then. */
static inline void
step(const struct fake_vexit *x)
{
	fake_step(fake_do_vexit, (uintptr_t)x);
}

static const struct fake_vexit triple_fault = { .reason = 2 };
static const struct fake_vexit interrupt_exit = { .reason = 1 };

/* RUN until the next triple fault, the scripts' way to come back. */
static inline void
run_to_end(void)
{
	step(&triple_fault);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, 2);
}

/* One entry by itself, as vcpu.c makes it. */
static inline void
enter(struct vmexit *x)
{
	memset(x, 0xee, sizeof(*x));
	ck_assert(host_enter_begin());
	v->last_cpu = (int)host_cpu_self();
	host_fpu_begin();
	fpu_enter(v);
	hv->run(v, x);
	host_dr_restore(false);
	fpu_leave(v);
	host_fpu_end();
	host_enter_end();
}

/* One entry that leaves by a triple fault: a good VMCS, as it is after it. */
static inline void
enter_to_end(void)
{
	struct vmexit x;

	step(&triple_fault);
	enter(&x);
	ck_assert_int_eq(x.kind, VMEXIT_SHUTDOWN);
}

/* One entry that leaves by this exit, decoded and not acted on. */
static inline struct vmexit
decode(const struct fake_vexit *x)
{
	struct vmexit got;

	fake_step(fake_do_vexit_raw, (uintptr_t)x);
	enter(&got);
	ck_assert_uint_eq(got.code, x->reason);
	ck_assert_uint_eq(got.info[0], x->qual);
	return (got);
}

static inline struct vmexit
decode_reason(uint32_t reason, uint64_t qual)
{
	const struct fake_vexit x = { .reason = reason, .qual = qual };

	return (decode(&x));
}

static inline uint64_t
last(uint32_t field)
{
	return (vf_get(fake_last(), field));
}

#endif /* VMX_UNIT_H */
