/* SPDX-License-Identifier: ISC */
/*
 * check_vcpu.c - the states of a VCPU and the run loop: what RUN takes and
 * gives, how events reach the guest, signals, TERM and INTR.
 */
#include <signal.h>

#include "unit.h"

#define EXIT_CPUID	0x72
#define EXIT_HLT	0x78
#define EXIT_VMMCALL	0x81
#define EXIT_NPF	0x400
#define VINTR		0x64	/* hv_ops.window_code */

static uint32_t id;
static struct vcpu *v;
static struct unit_run u;

static void
setup(void)
{
	unit_boot();
	fake_svm_set(FAKE_SVM_NP | FAKE_SVM_NRIPS, 16);
	unit_attach();
	id = unit_real_vm();
	v = unit_vm(id)->vcpu[0];
}

static void
set_if(bool on)
{
	struct vcpu_reg_state r;

	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_GPRS, &r), 0);
	r.vrs_gprs[VCPU_REGS_RFLAGS] = on ? 0x202 : 2;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_GPRS, &r), 0);
}

/* RUN until the next triple fault, the scripts' way to come back. */
static void
run_to_end(uint16_t irq)
{
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_run(id, 0, irq, &u), 0);
	ck_assert_uint_eq(u.reason, 0x7f);
	ck_assert_uint_eq(fake_steps_left(), 0);
}

static void
expect_event(unsigned int i, uint8_t type, uint8_t vector)
{
	ck_assert_uint_lt(i, fake_nevents());
	ck_assert_uint_eq(fake_event(i)->type, type);
	ck_assert_uint_eq(fake_event(i)->vector, vector);
}

/* --- States --- */

START_TEST(states_stopped)
{
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_STOPPED);
	run_to_end(NONE);
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_STOPPED);
}
END_TEST

/* What each event makes of each state: vcpu_steps[] of vcpu.c, typed again. */
static const struct {
	enum vcpu_event	event;
	int		to[5];		/* from STOPPED, RUNNING, ... */
} moves[] = {
	{ VCPU_EVENT_RUN, { VCPU_STATE_RUNNING, VCPU_STATE_RUNNING,
	    VCPU_STATE_REQTERM, VCPU_STATE_TERMINATED, VCPU_STATE_UNKNOWN } },
	{ VCPU_EVENT_LEAVE, { VCPU_STATE_STOPPED, VCPU_STATE_STOPPED,
	    VCPU_STATE_TERMINATED, VCPU_STATE_TERMINATED,
	    VCPU_STATE_UNKNOWN } },
	{ VCPU_EVENT_FAIL, { VCPU_STATE_STOPPED, VCPU_STATE_TERMINATED,
	    VCPU_STATE_TERMINATED, VCPU_STATE_TERMINATED,
	    VCPU_STATE_UNKNOWN } },
	{ VCPU_EVENT_TERM, { VCPU_STATE_TERMINATED, VCPU_STATE_REQTERM,
	    VCPU_STATE_REQTERM, VCPU_STATE_TERMINATED,
	    VCPU_STATE_UNKNOWN } },
};

/* The state before is returned, the one after is what INFO tells. */
START_TEST(states_table)
{
	int from;

	for (from = VCPU_STATE_STOPPED; from <= VCPU_STATE_UNKNOWN; from++) {
		v->state = from;
		ck_assert_int_eq(vcpu_move(v, moves[_i].event), from);
		ck_assert_int_eq(unit_state(id, 0), moves[_i].to[from]);
	}
	v->state = VCPU_STATE_STOPPED;
}
END_TEST

static unsigned int locked;

static void
note_lock(const char *name)
{
	ck_assert_str_eq(name, "vcpu");
	ck_assert_int_eq(v->state, VCPU_STATE_STOPPED);
	locked++;
}

/* A step is taken under the lock. */
START_TEST(states_need_lock)
{
	fake_lock_hook = note_lock;
	(void)vcpu_move(v, VCPU_EVENT_RUN);
	fake_lock_hook = NULL;
	ck_assert_uint_eq(locked, 1);
	v->state = VCPU_STATE_STOPPED;
}
END_TEST

static struct fake_thread *stepper;
static int stepped[2];

/* A guest that leaves once TERM has asked for it. */
static void
leave_asked(struct fake_guest *g, uint64_t insn)
{
	unsigned int n = 0;

	stepper = fake_self();
	unit_post();
	while (ATOMIC_GET(&v->state) == VCPU_STATE_RUNNING)
		fake_relax(&n);
	stepped[0] = v->state;
	unit_insn(g, insn);
}

/* The last that RUN locks is the list of VMs, to let its own go. */
static void
note_state(const char *name)
{
	if (fake_self() == stepper && strcmp(name, "vmm") == 0)
		stepped[1] = v->state;
}

/* TERM of a RUNNING VCPU, which then leaves, for the client or for good. */
START_TEST(states_reqterm)
{
	static const uint64_t insn[] = { STEP_ARG(0x60, 0, 0),
	    STEP_ARG(EXIT_HLT, 1, 0), STEP_ARG(0x7f, 0, 0) };
	struct unit_runner t;

	fake_step(leave_asked, insn[_i]);
	unit_start(&t, id, 0, 1);
	fake_lock_hook = note_state;
	ck_assert_int_eq(unit_term(id), 0);
	ck_assert_int_eq(unit_join(&t), 0);
	fake_lock_hook = NULL;
	ck_assert_uint_eq(t.run.reason, VM_EXIT_TERMINATED);
	ck_assert_int_eq(stepped[0], VCPU_STATE_REQTERM);
	ck_assert_int_eq(stepped[1], VCPU_STATE_TERMINATED);
	ck_assert_uint_eq(fake_charged(), 0);
}
END_TEST

/* After a fatal exit: READREGS, INTR and TERM work, the rest is EBUSY. */
START_TEST(states_terminated)
{
	struct vcpu_reg_state r;

	STEP(EXIT_HLT, 1);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EIO);
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_TERMINATED);
	unit_real(&r);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EBUSY);
	ck_assert_int_eq(unit_reset(id, 0, &r), EBUSY);
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_ALL, &r), EBUSY);
	ck_assert_int_eq(unit_protect(id, 0, 0x1000, 7), EBUSY);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_uint_eq(r.vrs_gprs[VCPU_REGS_RIP], 0x1001);
	ck_assert_int_eq(unit_intr(id, 0, 1), 0);
	ck_assert_int_eq(unit_term(id), 0);
}
END_TEST

/* F8 and abi.md: with the guest running, in another thread. */
START_TEST(f8_running)
{
	struct vm_rwvmparams_params vpp = { .vpp_vm_id = id, .vpp_mask = 3 };
	struct unit_runner t;
	struct vcpu_reg_state r;

	fake_step_default(unit_spin, 0);
	unit_start(&t, id, 0, 1);
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_RUNNING);
	unit_real(&r);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EBUSY);
	ck_assert_int_eq(unit_reset(id, 0, &r), EBUSY);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &r), EBUSY);
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_ALL, &r), EBUSY);
	ck_assert_int_eq(unit_protect(id, 0, 0x1000, 7), EBUSY);
	ck_assert_int_eq(IOCTL(VMM_IOC_READVMPARAMS, &vpp), 0);
	vpp.vpp_mask = 1;
	ck_assert_int_eq(IOCTL(VMM_IOC_WRITEVMPARAMS, &vpp), 0);
	ck_assert_int_eq(unit_intr(id, 0, 0), 0);
	fake_signal(t.self);
	ck_assert_int_eq(unit_join(&t), 0);
	ck_assert_uint_eq(t.run.reason, VM_EXIT_NONE);
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_STOPPED);
}
END_TEST

/* B1: another VCPU of the VM is not concerned. */
START_TEST(b1_other_vcpu)
{
	uint32_t id2 = unit_create(2 * MIB, 2);
	struct unit_runner t;
	struct vcpu_reg_state r;

	unit_real(&r);
	ck_assert_int_eq(unit_reset(id2, 0, &r), 0);
	ck_assert_int_eq(unit_reset(id2, 1, &r), 0);
	fake_step(unit_spin, 0);
	unit_start(&t, id2, 1, 1);
	ck_assert_int_eq(unit_read(id2, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_int_eq(unit_write(id2, 0, VM_RWREGS_ALL, &r), 0);
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_run(id2, 0, NONE, &u), 0);
	ck_assert_uint_eq(unit_state(id2, 1), VCPU_STATE_RUNNING);
	fake_signal(t.self);
	ck_assert_int_eq(unit_join(&t), 0);
}
END_TEST

/* --- What RUN takes and gives --- */

/* F12: outputs are there on every return, and so is the exit record. */
START_TEST(f12_outputs)
{
	struct vcpu_reg_state r;

	memset(&r, 0, sizeof(r));	/* padding, and GDTR's selector */
	set_if(true);
	STEP(EXIT_HLT, 1);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, EXIT_HLT);
	ck_assert_uint_eq(u.irqready, 1);
	ck_assert_int_eq(u.exit.cpl, 0);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_mem_eq(&u.exit.vrs, &r, sizeof(r));
	set_if(false);
	run_to_end(NONE);
	ck_assert_uint_eq(u.irqready, 0);
	fake_signal(fake_self());
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, VM_EXIT_NONE);
	ck_assert_uint_eq(u.irqready, 0);
	ck_assert_int_eq(u.exit.cpl, 0);
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x1001);
	fake_signal_clear(fake_self());
	set_if(true);
	fake_signal(fake_self());
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.irqready, 1);
}
END_TEST

/* F12: RUN fails after entry, the record is written all the same. */
START_TEST(f12_failed_run)
{
	STEP(EXIT_HLT, 1);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), EIO);
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x1001);
	ck_assert_int_eq(u.exit.cpl, 0);
	ck_assert_uint_eq(u.reason, 0xdead);	/* the struct is not */
}
END_TEST

static int
run_at(uint64_t exit_va, uint8_t cont, struct vm_run_params *vrp)
{
	memset(vrp, 0, sizeof(*vrp));
	vrp->vrp_vm_id = id;
	vrp->vrp_irq = NONE;
	vrp->vrp_continue = cont;
	vrp->vrp_exit = (void *)(uintptr_t)exit_va;
	return (IOCTL(VMM_IOC_RUN, vrp));
}

/* An exit for the client that it cannot read: EFAULT, STOPPED. */
START_TEST(exit_not_writable)
{
	static const uint64_t bad[] = { 0, 0x66660000, 0xffff800000000000,
	    0x50000000, 0x50000ff0 };
	struct vm_run_params vrp;
	size_t i;

	fake_user_map(0x50000000, PAGE_SIZE_4K, FAKE_RO);
	for (i = 0; i < 5; i++) {
		STEP_SHUTDOWN();
		ck_assert_int_eq(run_at(bad[i], 0, &vrp), EFAULT);
		ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_STOPPED);
	}
	run_to_end(NONE);
}
END_TEST

/* F12: with VM_EXIT_NONE nobody needs the record; NULL will do. */
START_TEST(f12_none_null)
{
	struct vm_run_params vrp;

	fake_signal(fake_self());
	ck_assert_int_eq(run_at(0, 0, &vrp), 0);
	ck_assert_uint_eq(vrp.vrp_exit_reason, VM_EXIT_NONE);
	ck_assert_int_eq(run_at(0x66660000, 0, &vrp), 0);
}
END_TEST

/* F3: vrp_continue with a bad record: EFAULT, and nothing changed. */
START_TEST(f3_bad_continue)
{
	struct vm_run_params vrp;
	uint64_t n;

	unit_step_io(0x3f8, 4, true);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	n = fake_vmruns();
	ck_assert_int_eq(run_at(0x66660000, 1, &vrp), EFAULT);
	ck_assert_int_eq(run_at(0, 1, &vrp), EFAULT);
	ck_assert_uint_eq(fake_vmruns(), n);
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_STOPPED);
	u.exit.vei.vei_data = 0x12345678;	/* the IN still waits */
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_continue(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RAX], 0x12345678);
}
END_TEST

/* --- F7: finishing an IN --- */

static void
set_rax(uint64_t rax)
{
	struct vcpu_reg_state r;

	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_GPRS, &r), 0);
	r.vrs_gprs[VCPU_REGS_RAX] = rax;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_GPRS, &r), 0);
}

static uint64_t
continued(uint32_t data)
{
	u.exit.vei.vei_data = data;
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_continue(id, 0, NONE, &u), 0);
	return (u.exit.vrs.vrs_gprs[VCPU_REGS_RAX]);
}

START_TEST(f7_widths)
{
	static const uint64_t want[] = { 0, 0x11223344556677dd,
	    0x112233445566ccdd, 0, 0xaabbccdd };
	unsigned int size = 1u << _i;

	set_rax(0x1122334455667788);
	unit_step_io(0x3f8, size, true);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, 0x7b);
	ck_assert_uint_eq(u.exit.vei.vei_size, size);
	ck_assert_uint_eq(u.exit.vei.vei_dir, VEI_DIR_IN);
	ck_assert_uint_eq(u.exit.vei.vei_port, 0x3f8);
	ck_assert_uint_eq(u.exit.vei.vei_data, 0x55667788);
	ck_assert_uint_eq(continued(0xaabbccdd), want[size]);
	/* Once only: the next continue finds no IN. */
	ck_assert_uint_eq(continued(0x99999999), want[size]);
}
END_TEST

START_TEST(f7_flag)
{
	struct vcpu_reg_state r;

	/* No vrp_continue: RAX stays, and the IN is over. */
	set_rax(1);
	unit_step_io(0x3f8, 4, true);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	run_to_end(NONE);
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RAX], 1);
	ck_assert_uint_eq(continued(5), 1);
	/* The record says OUT. */
	unit_step_io(0x3f8, 4, true);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	u.exit.vei.vei_dir = VEI_DIR_OUT;
	ck_assert_uint_eq(continued(5), 1);
	/* WRITEREGS of GPRS cancels it, of another group does not. */
	unit_step_io(0x3f8, 4, true);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	set_rax(2);
	ck_assert_uint_eq(continued(5), 2);
	unit_step_io(0x3f8, 4, true);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_DRS, &u.exit.vrs), 0);
	ck_assert_uint_eq(continued(5), 5);
	/* RESETCPU cancels it. */
	unit_step_io(0x3f8, 4, true);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	unit_real(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	ck_assert_uint_eq(continued(6), 0);
	/* An OUT is no IN, whatever the record claims. */
	unit_step_io(0x3f8, 4, false);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	u.exit.vei.vei_dir = VEI_DIR_IN;
	ck_assert_uint_eq(continued(7), 0);
}
END_TEST

/* The registers of the record are not taken: that is WRITEREGS' job. */
START_TEST(continue_ignores_vrs)
{
	unit_step_io(0x3f8, 4, true);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	memset(&u.exit.vrs, 0xff, sizeof(u.exit.vrs));
	u.exit.cpl = 77;
	(void)continued(1);
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x1002);
	ck_assert_int_eq(u.exit.cpl, 0);
}
END_TEST

/* F9: CPL as the segments say. */
START_TEST(f9_cpl)
{
	struct vcpu_reg_state r;
	int i;

	unit_long(&r);
	r.vrs_sregs[VCPU_REGS_CS].vsi_ar |= 0x60;
	r.vrs_sregs[VCPU_REGS_SS].vsi_ar |= 0x60;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	run_to_end(NONE);
	ck_assert_int_eq(u.exit.cpl, 3);
	if (!unit_intel)
		ck_assert_uint_eq(fake_last()->vmcb[VS_CPL], 3);
	unit_real(&r);
	r.vrs_crs[VCPU_REGS_CR0] = 0x11;
	r.vrs_gprs[VCPU_REGS_RFLAGS] = 0x20002;		/* virtual 8086 */
	for (i = VCPU_REGS_CS; i <= VCPU_REGS_SS; i++)
		r.vrs_sregs[i].vsi_ar = 0xf3;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	run_to_end(NONE);
	ck_assert_int_eq(u.exit.cpl, 3);
}
END_TEST

/* --- Interrupts --- */

START_TEST(irq_at_once)
{
	set_if(true);
	run_to_end(0x21);
	ck_assert_uint_eq(fake_nevents(), 1);
	expect_event(0, EVENT_INTR, 0x21);
	ck_assert(!fake_event(0)->has_error);
}
END_TEST

/* Only the low 8 bits are the vector; 0xffff is none. */
START_TEST(irq_low_bits)
{
	set_if(true);
	run_to_end(0x1241);
	expect_event(0, EVENT_INTR, 0x41);
	set_if(true);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 1);
}
END_TEST

/* F18: with IF=0 it waits for the window, over several calls of RUN. */
START_TEST(f18_waits_for_if)
{
	run_to_end(0x30);
	ck_assert_uint_eq(u.irqready, 0);
	ck_assert_uint_eq(fake_nevents(), 0);
	STEP(EXIT_CPUID, 2);
	run_to_end(0x40);
	ck_assert_uint_eq(fake_nevents(), 0);
	fake_step(fake_do_set_if, 1);	/* STI: the window opens */
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 1);
	expect_event(0, EVENT_INTR, 0x40);	/* highest first */
	ck_assert_uint_eq(u.irqready, 0);
	fake_step(fake_do_set_if, 1);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 2);
	expect_event(1, EVENT_INTR, 0x30);
	set_if(true);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 2);
	ck_assert_uint_eq(u.irqready, 1);
}
END_TEST

/* F18: vrp_irqready is 0 while a vector waits, though IF is 1. */
START_TEST(f18_irqready)
{
	run_to_end(0x30);
	set_if(true);
	fake_signal(fake_self());
	ck_assert_int_eq(unit_run(id, 0, 0x31, &u), 0);
	ck_assert_uint_eq(u.irqready, 0);
	fake_signal_clear(fake_self());
	fake_step(fake_do_set_if, 1);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 2);
	expect_event(0, EVENT_INTR, 0x31);
	expect_event(1, EVENT_INTR, 0x30);
}
END_TEST

/* F18: vector 0 goes in at the first entry or is forgotten. */
START_TEST(f18_vector_0)
{
	run_to_end(0);
	set_if(true);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 0);
	set_if(true);
	run_to_end(0);
	ck_assert_uint_eq(fake_nevents(), 1);
	expect_event(0, EVENT_INTR, 0);
	/* Not at a later entry of the same call either. */
	set_if(false);
	fake_step(fake_do_set_if, 1);
	STEP(EXIT_CPUID, 2);
	run_to_end(0);
	ck_assert_uint_eq(fake_nevents(), 1);
	/* A call that never entered forgets it too. */
	set_if(true);
	fake_signal(fake_self());
	ck_assert_int_eq(unit_run(id, 0, 0, &u), 0);
	fake_signal_clear(fake_self());
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 1);
}
END_TEST

/* F18: every vector 1..255, highest first. */
START_TEST(f18_all_vectors)
{
	unsigned int i;

	for (i = 1; i < 256; i++)
		run_to_end((uint16_t)i);
	fake_step_default(fake_do_set_if, 1);
	for (i = 255; i >= 1; i--) {
		fake_signal(fake_self());
		ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
		fake_signal_clear(fake_self());
	}
	for (i = 0; i < 255; i++)
		fake_step(fake_do_set_if, 1);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 255);
	for (i = 0; i < 255; i++)
		expect_event(i, EVENT_INTR, (uint8_t)(255 - i));
}
END_TEST

/* F19: not inside a shadow; the window opens right after it. */
START_TEST(f19_shadow)
{
	set_if(true);
	fake_step(fake_do_shadow, 1);
	fake_step(fake_do_exit, 0x60);
	fake_step(fake_do_shadow, 0);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 0);
	fake_step(fake_do_shadow, 1);
	run_to_end(NONE);
	ck_assert_uint_eq(u.irqready, 1);
	/* Handed over in the shadow: enters without it, then comes. */
	fake_step(fake_do_exit, 0x61);
	fake_step(fake_do_shadow, 0);
	run_to_end(0x55);
	ck_assert_uint_eq(fake_nevents(), 1);
	expect_event(0, EVENT_INTR, 0x55);
}
END_TEST

/* An emulated instruction ends the shadow, so the vector comes next. */
START_TEST(f19_shadow_ends_with_insn)
{
	set_if(true);
	fake_step(fake_do_shadow, 1);
	run_to_end(NONE);
	STEP(EXIT_CPUID, 2);
	run_to_end(0x56);
	ck_assert_uint_eq(fake_nevents(), 1);
	ck_assert_uint_eq(fake_event(0)->rip, 0x1002);
}
END_TEST

/* F18: an exception goes first, the vector is not lost. */
START_TEST(f18_beside_exception)
{
	set_if(true);
	fake_step(fake_do_set_if, 1);
	STEP(EXIT_VMMCALL, 3);		/* #UD */
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 1);
	set_if(false);
	STEP(EXIT_VMMCALL, 3);
	fake_step(fake_do_set_if, 1);
	run_to_end(0x66);
	ck_assert_uint_eq(fake_nevents(), 3);
	expect_event(1, EVENT_EXCEPTION, VMM_EX_UD);
	expect_event(2, EVENT_INTR, 0x66);
	ck_assert_uint_eq(fake_event(1)->rip, 0x1000);
}
END_TEST

/* An event whose delivery an exit interrupted is delivered again, once. */
START_TEST(lost_interrupt)
{
	set_if(true);
	fake_lose_event(EXIT_NPF, 0x100000004, 0x4000);
	fake_step(fake_do_set_if, 1);
	run_to_end(0x77);
	ck_assert_uint_eq(fake_nevents(), 1);
	expect_event(0, EVENT_INTR, 0x77);
	ck_assert_uint_eq(fake_pins(), 1);	/* the fault was served */
	set_if(true);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 1);
}
END_TEST

/* ... before a vector that is higher. */
START_TEST(lost_before_higher)
{
	set_if(true);
	ck_assert_int_eq(unit_protect(id, 0x4000, 0x1000, 1), 0);
	fake_lose_event(EXIT_NPF, 0x100000007, 0x4000);
	ck_assert_int_eq(unit_run(id, 0, 0x20, &u), 0);
	ck_assert_uint_eq(u.reason, EXIT_NPF);
	fake_step(fake_do_set_if, 1);
	run_to_end(0xf0);
	ck_assert_uint_eq(fake_nevents(), 2);
	expect_event(0, EVENT_INTR, 0x20);
	expect_event(1, EVENT_INTR, 0xf0);
}
END_TEST

/* ... but with IF closed by the client meanwhile it waits as any other. */
START_TEST(lost_and_closed)
{
	set_if(true);
	ck_assert_int_eq(unit_protect(id, 0x4000, 0x1000, 1), 0);
	fake_lose_event(EXIT_NPF, 0x100000007, 0x4000);
	ck_assert_int_eq(unit_run(id, 0, 0x20, &u), 0);
	ck_assert_uint_eq(u.reason, EXIT_NPF);
	ck_assert_uint_eq(u.irqready, 0);
	set_if(false);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 0);
	ck_assert_uint_eq(u.irqready, 0);
	fake_step(fake_do_set_if, 1);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 1);
	expect_event(0, EVENT_INTR, 0x20);
	set_if(true);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 1);
}
END_TEST

START_TEST(lost_exception)
{
	struct vcpu_reg_state r;

	unit_long(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	v->exception = (struct hv_event){ true, EVENT_EXCEPTION, VMM_EX_PF,
	    true, 0x1b };
	fake_lose_event(EXIT_NPF, 0x100000004, 0x4000);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 1);
	expect_event(0, EVENT_EXCEPTION, VMM_EX_PF);
	ck_assert(fake_event(0)->has_error);
	ck_assert_uint_eq(fake_event(0)->error, 0x1b);
}
END_TEST

/* After a triple fault the CPU names an event that is not to come again. */
START_TEST(lost_at_shutdown)
{
	set_if(true);
	fake_lose_event(0x7f, 0, 0);
	ck_assert_int_eq(unit_run(id, 0, 0x31, &u), 0);
	ck_assert_uint_eq(u.reason, 0x7f);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 0);
}
END_TEST

/* --- INTR --- */

/* F25: RUN comes back with the window's reason, whatever exited. */
START_TEST(f25_reason)
{
	ck_assert_int_eq(unit_intr(id, 0, 1), 0);
	STEP(EXIT_CPUID, 2);			/* IF=0: goes on */
	STEP(0x60, 0);
	fake_step(fake_do_set_if, 1);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, VINTR);
	ck_assert_uint_eq(u.irqready, 1);
	ck_assert_uint_eq(fake_steps_left(), 0);
	/* Level: it stays until the client takes it back. */
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, VINTR);
	ck_assert_int_eq(unit_intr(id, 0, 0), 0);
	run_to_end(NONE);
}
END_TEST

/* A handled exit with IF=1 that is no window. */
START_TEST(f25_other_exit)
{
	static const uint16_t code[] = { 0x60, 0x72, 0x89, 0x81, 0x6f };

	set_if(true);
	fake_step(fake_do_shadow, 1);		/* keeps the window shut */
	STEP(code[_i], 2);
	ck_assert_int_eq(unit_intr(id, 0, 0x8000), 0);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, VINTR);
	ck_assert_uint_eq(fake_steps_left(), 2);
}
END_TEST

/* The usual turn of a client: vector in, level for the next. */
START_TEST(intr_protocol)
{
	set_if(true);
	ck_assert_int_eq(unit_intr(id, 0, 1), 0);
	STEP(EXIT_CPUID, 2);
	fake_step(fake_do_set_if, 1);
	ck_assert_int_eq(unit_run(id, 0, 0x20, &u), 0);
	ck_assert_uint_eq(u.reason, VINTR);
	ck_assert_uint_eq(u.irqready, 1);
	ck_assert_uint_eq(fake_nevents(), 1);
	ck_assert_int_eq(unit_intr(id, 0, 0), 0);
	run_to_end(0x21);
	ck_assert_uint_eq(fake_nevents(), 2);
}
END_TEST

START_TEST(intr_running)
{
	struct unit_runner t;

	set_if(true);
	fake_step_default(unit_spin, 0);
	unit_start(&t, id, 0, 1);
	ck_assert_int_eq(unit_intr(id, 0, 0), 0);	/* no kick */
	ck_assert_uint_eq(fake_kicks(1), 0);
	ck_assert_int_eq(unit_intr(id, 0, 2), 0);	/* any level kicks */
	ck_assert_int_eq(unit_join(&t), 0);
	ck_assert_uint_eq(t.run.reason, VINTR);
	ck_assert_uint_eq(t.run.irqready, 1);
	ck_assert_uint_eq(fake_kicks(1), 1);
}
END_TEST

/* --- Signals and TERM --- */

/* C7: a signal ends RUN with 0 and VM_EXIT_NONE, never EINTR. */
START_TEST(c7_signal)
{
	struct unit_runner t;

	fake_signal(fake_self());
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, VM_EXIT_NONE);
	ck_assert_uint_eq(fake_vmruns(), 0);
	fake_signal_clear(fake_self());
	fake_step(unit_spin, 0);
	unit_start(&t, id, 0, 2);
	fake_signal(t.self);
	ck_assert_int_eq(unit_join(&t), 0);
	ck_assert_uint_eq(t.run.reason, VM_EXIT_NONE);
}
END_TEST

/* C7: a host interrupt alone yields and goes on. */
START_TEST(c7_yield)
{
	unsigned int n = fake_self()->yields;

	STEP(0x60, 0);
	STEP(0x60, 0);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_self()->yields - n, 2);
}
END_TEST

START_TEST(term_stopped)
{
	ck_assert_int_eq(unit_term(id), 0);
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), ENOENT);
	ck_assert_uint_eq(fake_charged(), 0);
}
END_TEST

START_TEST(term_running)
{
	struct unit_runner t;

	fake_step_default(unit_spin, 0);
	unit_start(&t, id, 0, 1);
	ck_assert_int_eq(unit_term(id), 0);
	ck_assert_int_eq(unit_intr(id, 0, 1), ENOENT);
	ck_assert_int_eq(unit_join(&t), 0);
	ck_assert_uint_eq(t.run.reason, VM_EXIT_TERMINATED);
	ck_assert_uint_eq(fake_charged(), 0);
	fake_cpu_check_clean();
}
END_TEST

/* Closing the file from another thread is TERM too. */
START_TEST(close_running)
{
	struct unit_runner t;
	struct vmm_file *mine = unit_file, *other;

	ck_assert_int_eq(vmm_open(&other), 0);
	unit_file = other;
	id = unit_real_vm();
	fake_step_default(unit_spin, 0);
	unit_start(&t, id, 0, 1);
	unit_file = mine;
	vmm_suspend();
	ck_assert_int_eq(unit_join(&t), 0);
	ck_assert_uint_eq(t.run.reason, VM_EXIT_TERMINATED);
	vmm_close(other);
}
END_TEST

/* TERM wins over the error that RUN itself would have had. */
static void
term_from_guest(void)
{
	ck_assert_int_eq(unit_term(id), 0);
	fake_enter_hook = NULL;
}

/* TERM comes after the check of signals and before the entry. */
START_TEST(term_before_entry)
{
	uint64_t n = fake_vmruns();

	fake_enter_hook = term_from_guest;
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, VM_EXIT_TERMINATED);
	ck_assert_uint_eq(fake_vmruns(), n);
	ck_assert_uint_eq(fake_charged(), 0);
}
END_TEST

/* TERM while RUN yields between two entries. */
static void
term_in_yield(void)
{
	fake_yield_hook = NULL;
	ck_assert_int_eq(unit_term(id), 0);
}

START_TEST(term_between_entries)
{
	STEP(0x60, 0);
	fake_yield_hook = term_in_yield;
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(u.reason, VM_EXIT_TERMINATED);
	ck_assert_uint_eq(u.exit.vrs.vrs_gprs[VCPU_REGS_RIP], 0x1000);
}
END_TEST

/* --- RESETCPU --- */

/* F5: all pending state goes, the INTR level stays. */
START_TEST(f5_reset_clears)
{
	struct vcpu_reg_state r;
	struct vm_rwvmparams_params vpp = { .vpp_vm_id = id, .vpp_mask = 3,
	    .vpp_pvclock_system_gpa = 0x3001, .vpp_pvclock_version = 9 };

	run_to_end(0x44);
	ck_assert_int_eq(IOCTL(VMM_IOC_WRITEVMPARAMS, &vpp), 0);
	ck_assert_int_eq(unit_intr(id, 0, 3), 0);
	v->exception.valid = true;
	v->shadow = true;
	v->event.valid = true;
	v->pat = 0x0606060606060606;
	unit_real(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	ck_assert_uint_eq(v->intr, 3);
	ck_assert_int_eq(unit_intr(id, 0, 0), 0);
	set_if(true);
	run_to_end(NONE);
	ck_assert_uint_eq(fake_nevents(), 0);
	ck_assert_uint_eq(v->pat, 0x0007040600070406);
	vpp.vpp_pvclock_system_gpa = 1;
	ck_assert_int_eq(IOCTL(VMM_IOC_READVMPARAMS, &vpp), 0);
	ck_assert_uint_eq(vpp.vpp_pvclock_system_gpa, 0);
}
END_TEST

/* RESETCPU's one error; the VCPU is as it was. */
START_TEST(reset_eio)
{
	struct vcpu_reg_state r, now;

	set_rax(0x1234);
	unit_real(&r);
	r.vrs_crs[VCPU_REGS_CR0] = 0x80000010;		/* PG without PE */
	ck_assert_int_eq(unit_reset(id, 0, &r), EIO);
	unit_real(&r);
	r.vrs_gprs[VCPU_REGS_RIP] = 0x8000000000000000;
	ck_assert_int_eq(unit_reset(id, 0, &r), EIO);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_GPRS, &now), 0);
	ck_assert_uint_eq(now.vrs_gprs[VCPU_REGS_RAX], 0x1234);
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_STOPPED);
}
END_TEST

/* XCR0 is x87 alone after RESETCPU, whatever was passed. */
START_TEST(reset_xcr0)
{
	struct vcpu_reg_state r;

	unit_real(&r);
	r.vrs_crs[VCPU_REGS_XCR0] = 0xffff;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_CRS, &r), 0);
	ck_assert_uint_eq(r.vrs_crs[VCPU_REGS_XCR0], 1);
}
END_TEST

/* --- State that is switched --- */

static uint8_t fpu_seen[4];

static void
fpu_step(struct fake_guest *g, uint64_t arg)
{
	struct fake_fpu *f = fake_fpu(g->cpu);

	fpu_seen[0] = f->x87[40];
	fpu_seen[1] = f->xmm[7];
	fpu_seen[2] = f->ymmh[9];
	fpu_seen[3] = (uint8_t)(f->mxcsr >> 8);
	f->x87[40] = (uint8_t)arg;
	f->xmm[7] = (uint8_t)(arg + 1);
	f->ymmh[9] = (uint8_t)(arg + 2);
	f->mxcsr = (uint32_t)arg << 8;
}

/* x87, SSE and AVX live on across exits and CPUs; the host's stay its own. */
START_TEST(fpu_switched)
{
	struct fake_fpu before = *fake_fpu(0);
	struct vcpu_reg_state r;
	unsigned int i;

	fake_step(fpu_step, 0x10);
	run_to_end(NONE);
	ck_assert_uint_eq(fpu_seen[0], 0);
	ck_assert_uint_eq(fpu_seen[1], 0);
	ck_assert_uint_eq(fpu_seen[3], 0x1f);
	for (i = 1; i < 4; i++) {
		fake_cpu_set(i);
		fake_step(fpu_step, 0x10 + i * 0x10);
		STEP(EXIT_CPUID, 2);
		fake_step(fpu_step, 0x10 + i * 0x10);
		run_to_end(NONE);
		ck_assert_uint_eq(fpu_seen[0], 0x10 + i * 0x10);
		ck_assert_uint_eq(fpu_seen[1], 0x11 + i * 0x10);
		ck_assert_uint_eq(fpu_seen[2], 0x12 + i * 0x10);
	}
	fake_cpu_set(0);
	ck_assert_mem_eq(&before, fake_fpu(0), sizeof(before));
	unit_real(&r);			/* F5: RESETCPU clears them */
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	fake_step(fpu_step, 0);
	run_to_end(NONE);
	ck_assert_uint_eq(fpu_seen[0] | fpu_seen[1] | fpu_seen[2], 0);
	ck_assert_uint_eq(fpu_seen[3], 0x1f);
}
END_TEST

static uint64_t dr_seen[4];

static void
dr_step(struct fake_guest *g, uint64_t arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 4; i++)
		dr_seen[i] = fake_dr(g->cpu, i);
}

/* The guest's breakpoints are in the CPU only while it enables one. */
START_TEST(dr_switched)
{
	struct vcpu_reg_state r;
	int i;

	unit_real(&r);
	for (i = 0; i < 4; i++)
		r.vrs_drs[i] = 0x100 + (uint64_t)i;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_DRS, &r), 0);
	fake_step(dr_step, 0);
	run_to_end(NONE);
	ck_assert_uint_eq(dr_seen[2], FAKE_HOST_DR(2));
	r.vrs_drs[VCPU_REGS_DR7] = 0x402;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_DRS, &r), 0);
	fake_step(dr_step, 0);
	run_to_end(NONE);
	for (i = 0; i < 4; i++) {
		ck_assert_uint_eq(dr_seen[i], 0x100u + (unsigned int)i);
		ck_assert_uint_eq(fake_dr(0, i), FAKE_HOST_DR(i));
	}
	ck_assert_uint_eq(vmcb_get(fake_last(), VS_DR7), 0x402);
}
END_TEST

/* FOP, FIP, FDP of the host, on a CPU that does not load them by itself. */
static void
fp_pointers(struct fake_guest *g, uint64_t arg)
{
	const struct fake_fpu *f = fake_fpu(g->cpu);
	unsigned int i;

	(void)arg;
	for (i = 6; i < 24; i++)
		fpu_seen[0] |= f->x87[i];
}

START_TEST(fpu_pointers)
{
	uint32_t r[4];

	unit_detach();
	unit_boot();
	fake_cpuid_get(0x80000008, 0, r);
	fake_cpuid_set(0x80000008, 0, r[0], r[1] & ~4u, r[2], r[3]);
	unit_attach();
	id = unit_real_vm();
	fpu_seen[0] = 0;
	fake_step(fp_pointers, 0);
	run_to_end(NONE);
	ck_assert_uint_eq(fpu_seen[0], 0);
	ck_assert_uint_eq(fake_fpu(0)->x87[8], 0x11);	/* the host's own */
}
END_TEST

/* F17: #DB clears GD on its way to the guest, as the CPU would. */
START_TEST(f17_db_clears_gd)
{
	struct vcpu_reg_state r;

	unit_real(&r);
	r.vrs_drs[VCPU_REGS_DR7] = 0x2401;
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_DRS, &r), 0);
	fake_step(fake_do_exit, 0x41);
	run_to_end(NONE);
	expect_event(0, EVENT_EXCEPTION, VMM_EX_DB);
	ck_assert_uint_eq(u.exit.vrs.vrs_drs[VCPU_REGS_DR7], 0x401);
	ck_assert_uint_eq(vmcb_get(fake_last(), VS_DR7), 0x401);
}
END_TEST

/* --- A vendor that leaves state in the CPU --- */

static unsigned int detached_on[8], ndetached;
static void (*really_detach)(struct vcpu *);

static void
note_detach(struct vcpu *w)
{
	fake_assert_context("vcpu_detach", false, false, true);
	ck_assert_ptr_eq(w, v);
	detached_on[ndetached++] = host_cpu_self();
	if (really_detach != NULL)
		really_detach(w);
}

/* It is told on the CPU the VCPU leaves, before it runs on another. */
START_TEST(f10_detach)
{
	static struct hv_ops ops;
	const struct hv_ops *was = hv;

	ops = *hv;
	really_detach = ops.vcpu_detach;
	ops.vcpu_detach = note_detach;
	hv = &ops;
	ndetached = 0;
	fake_cpu_set(1);
	run_to_end(NONE);
	run_to_end(NONE);
	ck_assert_uint_eq(ndetached, 0);
	fake_cpu_set(3);
	run_to_end(NONE);
	ck_assert_uint_eq(ndetached, 1);
	ck_assert_uint_eq(detached_on[0], 1);
	ck_assert_int_eq(unit_term(id), 0);
	ck_assert_uint_eq(ndetached, 2);
	ck_assert_uint_eq(detached_on[1], 3);
	id = unit_real_vm();
	v = unit_vm(id)->vcpu[0];
	ck_assert_int_eq(unit_term(id), 0);	/* never ran */
	ck_assert_uint_eq(ndetached, 2);
	hv = was;
}
END_TEST

static void
state_tests(TCase *tc)
{
	tcase_add_test(tc, states_stopped);
	tcase_add_loop_test(tc, states_table, 0, 4);
	tcase_add_test(tc, states_need_lock);
	tcase_add_loop_test(tc, states_reqterm, 0, 3);
	tcase_add_test(tc, states_terminated);
	tcase_add_test(tc, f8_running);
	tcase_add_test(tc, b1_other_vcpu);
	tcase_add_test(tc, f12_outputs);
	tcase_add_test(tc, f12_failed_run);
	tcase_add_test(tc, exit_not_writable);
	tcase_add_test(tc, f12_none_null);
	tcase_add_test(tc, f3_bad_continue);
	tcase_add_loop_test(tc, f7_widths, 0, 3);
	tcase_add_test(tc, f7_flag);
	tcase_add_test(tc, continue_ignores_vrs);
	tcase_add_test(tc, f9_cpl);
	tcase_add_test(tc, f5_reset_clears);
	tcase_add_test(tc, reset_eio);
	tcase_add_test(tc, reset_xcr0);
	tcase_add_test(tc, fpu_switched);
	tcase_add_test(tc, dr_switched);
	tcase_add_test(tc, fpu_pointers);
	tcase_add_test(tc, f17_db_clears_gd);
	tcase_add_test(tc, f10_detach);
}

static void
event_tests(TCase *tc)
{
	tcase_add_test(tc, irq_at_once);
	tcase_add_test(tc, irq_low_bits);
	tcase_add_test(tc, f18_waits_for_if);
	tcase_add_test(tc, f18_irqready);
	tcase_add_test(tc, f18_vector_0);
	tcase_add_test(tc, f18_all_vectors);
	tcase_add_test(tc, f19_shadow);
	tcase_add_test(tc, f19_shadow_ends_with_insn);
	tcase_add_test(tc, f18_beside_exception);
	tcase_add_test(tc, lost_interrupt);
	tcase_add_test(tc, lost_before_higher);
	tcase_add_test(tc, lost_and_closed);
	tcase_add_test(tc, lost_exception);
	tcase_add_test(tc, lost_at_shutdown);
}

static void
stop_tests(TCase *tc)
{
	tcase_add_test(tc, f25_reason);
	tcase_add_loop_test(tc, f25_other_exit, 0, 5);
	tcase_add_test(tc, intr_protocol);
	tcase_add_test(tc, intr_running);
	tcase_add_test(tc, c7_signal);
	tcase_add_test(tc, c7_yield);
	tcase_add_test(tc, term_stopped);
	tcase_add_test(tc, term_running);
	tcase_add_test(tc, close_running);
	tcase_add_test(tc, term_before_entry);
	tcase_add_test(tc, term_between_entries);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("vcpu");
	void (*add[])(TCase *) = { state_tests, event_tests, stop_tests };
	static const char *const name[] = { "state", "events", "stop" };
	TCase *tc;
	int i;

	for (i = 0; i < 3; i++) {
		tc = tcase_create(name[i]);
		tcase_add_checked_fixture(tc, setup, unit_detach);
		suite_add_tcase(s, tc);
		add[i](tc);
	}
	return (s);
}
