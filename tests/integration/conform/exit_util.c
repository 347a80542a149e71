/* SPDX-License-Identifier: ISC */
/*
 * exit_util.c - what the clauses that run guests share; see exit_util.h.
 */
#include "exit_util.h"

uint64_t
gpr(const struct client_vm *v, int reg)
{
	return (v->exit.vrs.vrs_gprs[reg]);
}

uint16_t
raw_code(enum client_event event)
{
	bool svm = client_is_svm();

	switch (event) {
	case CLIENT_IO:
		return (svm ? SVM_VMEXIT_IOIO : VMX_EXIT_IO);
	case CLIENT_HLT:
		return (svm ? SVM_VMEXIT_HLT : VMX_EXIT_HLT);
	case CLIENT_SHUTDOWN:
		return (svm ? SVM_VMEXIT_SHUTDOWN : VMX_EXIT_TRIPLE_FAULT);
	case CLIENT_PROTECT:
		return (svm ? SVM_VMEXIT_NPF : VMX_EXIT_EPT_VIOLATION);
	case CLIENT_WINDOW:
		return (svm ? SVM_VMEXIT_VINTR : VMX_EXIT_INT_WINDOW);
	case CLIENT_NONE:
		return (VM_EXIT_NONE);
	case CLIENT_TERMINATED:
		return (VM_EXIT_TERMINATED);
	default:
		return (0xfffd);
	}
}

/* RUN, with what it did as a note if a later check fails. */
static void
run(struct client_vm *v, uint16_t irq)
{
	int error;

	error = client_run(v, irq);
	CHECK_EQ(error, 0);
}

/* Notes where the guest is, and what a FAIL of its own says. */
static void
note_exit(const struct client_vm *v)
{
	const struct vm_exit_inout *vei = &v->exit.vei;

	if (client_event(v) == CLIENT_IO && vei->vei_port == GUEST_FAIL) {
		if (vei->vei_data & 0x80000000)
			note("guest: unexpected vector %u at 0x%x",
			    vei->vei_data >> 16 & 0xff, vei->vei_data & 0xffff);
		else
			note("guest: check in line %u failed", vei->vei_data);
	} else if (client_event(v) == CLIENT_IO)
		note("exit: %s port 0x%x size %u data 0x%x",
		    vei->vei_dir == VEI_DIR_IN ? "IN" : "OUT", vei->vei_port,
		    vei->vei_size, vei->vei_data);
	note("exit: reason 0x%x rip 0x%llx rax 0x%llx rbx 0x%llx",
	    v->run.vrp_exit_reason,
	    (unsigned long long)gpr(v, VCPU_REGS_RIP),
	    (unsigned long long)gpr(v, VCPU_REGS_RAX),
	    (unsigned long long)gpr(v, VCPU_REGS_RBX));
}

void
run_to(struct client_vm *v, uint16_t irq, enum client_event event)
{
	run(v, irq);
	if (v->run.vrp_exit_reason != raw_code(event))
		note_exit(v);
	CHECK_EQ(v->run.vrp_exit_reason, raw_code(event));
	if (event != CLIENT_TERMINATED)
		CHECK_EQ(vcpu_state(v->id, v->vcpu), VCPU_STATE_STOPPED);
}

void
run_to_io(struct client_vm *v, int dir, uint16_t port, uint8_t size)
{
	const struct vm_exit_inout *vei = &v->exit.vei;

	run(v, NO_IRQ);
	if (client_event(v) != CLIENT_IO || vei->vei_port != port ||
	    vei->vei_dir != dir || vei->vei_size != size)
		note_exit(v);
	CHECK_EQ(v->run.vrp_exit_reason, raw_code(CLIENT_IO));
	CHECK_EQ(vei->vei_port, port);
	CHECK_EQ(vei->vei_dir, dir);
	CHECK_EQ(vei->vei_size, size);
}

void
run_to_mark(struct client_vm *v, int dir, uint16_t port, uint8_t size)
{
	run_to_io(v, dir, port, size);
	CHECK_EQ(gpr(v, VCPU_REGS_RIP), gpr(v, VCPU_REGS_RBX));
	CHECK_EQ(v->exit.vei.vei_data, (uint32_t)gpr(v, VCPU_REGS_RAX));
}

void
run_fails(struct client_vm *v, int error)
{
	int got;

	got = client_run(v, NO_IRQ);
	if (got == 0)
		note_exit(v);
	CHECK_EQ(got, error);
	CHECK_EQ(vcpu_state(v->id, v->vcpu), VCPU_STATE_TERMINATED);
}

uint32_t
run_value(struct client_vm *v)
{
	run_to_io(v, VEI_DIR_OUT, GUEST_VALUE, 4);
	return (v->exit.vei.vei_data);
}

uint64_t
run_value64(struct client_vm *v)
{
	uint64_t lo;

	lo = run_value(v);
	return (lo | (uint64_t)run_value(v) << 32);
}

void
run_done(struct client_vm *v)
{
	run_to_io(v, VEI_DIR_OUT, GUEST_DONE, 4);
	CHECK_EQ(v->exit.vei.vei_data, (uint32_t)v->nonce);
	CHECK(client_done(v));
}

void
run_values(struct client_vm *v, const uint32_t *want, size_t n)
{
	uint32_t got;
	size_t i;

	for (i = 0; i < n; i++) {
		got = run_value(v);
		if (got != want[i])
			note("value %zu of %zu", i, n);
		CHECK_EQ(got, want[i]);
	}
	run_done(v);
}

static void
runner_main(void *arg)
{
	struct runner *r = arg;

	r->error = client_run(&r->v, NO_IRQ);
}

void
runner_start(struct runner *r, const struct client_vm *v, uint32_t vcpu)
{
	r->v = *v;
	r->v.vcpu = vcpu;
	r->error = -1;
	r->thread = spawn(runner_main, r);
}

void
runner_join(struct runner *r)
{
	join(r->thread);
	CHECK_EQ(r->error, 0);
}

void
wait_state(const struct client_vm *v, uint32_t vcpu, int state)
{
	while (vcpu_state(v->id, vcpu) != state)
		pause_ms(1);
}

void
set_gpr(struct client_vm *v, int reg, uint64_t value)
{
	struct vcpu_reg_state vrs;

	memset(&vrs, 0, sizeof(vrs));
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, v->vcpu, VM_RWREGS_GPRS,
	    &vrs), 0);
	vrs.vrs_gprs[reg] = value;
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, v->vcpu, VM_RWREGS_GPRS,
	    &vrs), 0);
}
