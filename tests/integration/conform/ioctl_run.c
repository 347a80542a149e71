/* SPDX-License-Identifier: ISC */
/*
 * ioctl_run.c - RUN beside other threads: EBUSY, TERM, signals, INTR.
 */
#include <signal.h>

#include "ioctl_util.h"

static const uint8_t code_cli_spin[] = { 0xfa, 0xeb, 0xfe };
static const uint8_t code_hlt[] = { 0xf4 };

/* An exit record that nothing has written to. */
static void
mark(struct bg *r)
{
	memset(&r->exit, 0xa5, sizeof(r->exit));
	r->run.vrp_exit_reason = 0xa5a5;
	r->run.vrp_irqready = 0xa5;
}

/* --- EBUSY --- */

static void
busy(void)
{
	struct client_vm *v = new_started(code_spin, sizeof(code_spin), 2);
	struct bg r;
	union ioc_arg a;
	int i;

	bg_start(&r, v, 0);
	for (i = 0; i < 50; i++) {
		ioc_fill(IOC_RUN, &a, v);
		a.run.vrp_exit_reason = 0x1234;
		CHECK_EQ(client_ioc_run(v->fd, &a.run), EBUSY);
		CHECK_EQ(a.run.vrp_exit_reason, 0x1234);
		/* Before vrp_exit is looked at. */
		a.run.vrp_continue = 1;
		a.run.vrp_exit = (void *)1;
		CHECK_EQ(client_ioc_run(v->fd, &a.run), EBUSY);
	}
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_RUNNING);
	CHECK(!r.returned);
	/* The other VCPU is free. */
	memcpy(v->mem + 0x9000, code_out, sizeof(code_out));
	v->vcpu = 1;
	get_regs(new_started(code_out, sizeof(code_out), 1), &r.exit.vrs);
	r.exit.vrs.vrs_gprs[VCPU_REGS_RIP] = 0x9000;
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 1, VM_RWREGS_GPRS,
	    &r.exit.vrs), 0);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	bg_join(&r);
	CHECK_EQ(r.error, 0);
}

static void
busy_terminated(void)
{
	struct client_vm *v = new_started(code_hlt, sizeof(code_hlt), 1);
	union ioc_arg a;

	CHECK_EQ(client_run(v, NO_IRQ), EIO);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_TERMINATED);
	ioc_fill(IOC_RUN, &a, v);
	CHECK_EQ(client_ioc_run(v->fd, &a.run), EBUSY);
	a.run.vrp_continue = 1;
	a.run.vrp_exit = (void *)1;
	CHECK_EQ(client_ioc_run(v->fd, &a.run), EBUSY);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_TERMINATED);
}

/* --- TERM while it runs --- */

static void
term_code(const void *code, size_t len)
{
	struct client_vm *v = new_started(code, len, 1);
	struct client_vm *other = new_started(code_out, sizeof(code_out), 1);
	struct bg r;

	bg_start(&r, v, 0);
	mark(&r);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	CHECK_EQ(client_ioc_term(v->fd, v->id), ENOENT);
	bg_join(&r);
	CHECK_EQ(r.error, 0);
	CHECK_EQ(r.run.vrp_exit_reason, VM_EXIT_TERMINATED);
	CHECK_EQ(client_run(other, NO_IRQ), 0);
	CHECK_EQ(client_event(other), CLIENT_IO);
}

static void
term_running(void)
{
	term_code(code_sti_spin, sizeof(code_sti_spin));
}

static void
term_running_cli(void)
{
	term_code(code_cli_spin, sizeof(code_cli_spin));
}

/* One VM spins with interrupts off; another one goes on all the same. */
static void
other_vm(void)
{
	struct client_vm *v = new_started(code_cli_spin,
	    sizeof(code_cli_spin), 1);
	struct client_vm *other = new_started(code_out, sizeof(code_out), 1);
	struct bg r;
	int i;

	bg_start(&r, v, 0);
	for (i = 0; i < 20; i++) {
		CHECK_EQ(client_run(other, NO_IRQ), 0);
		CHECK_EQ(client_event(other), CLIENT_IO);
	}
	CHECK(!r.returned);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	bg_join(&r);
}

/* --- Signals --- */

static volatile sig_atomic_t caught;

static void
on_signal(int sig)
{
	(void)sig;
	caught++;
}

static void
catch(int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sa.sa_flags = flags;
	CHECK_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
	caught = 0;
}

/* RUN returns 0 and VM_EXIT_NONE; the VCPU stands still and runs again. */
static void
signal_code(const void *code, size_t len, int flags)
{
	struct client_vm *v = new_started(code, len, 1);
	struct bg r;
	int i;

	catch(flags);
	for (i = 0; i < 5; i++) {
		memset(&r, 0, sizeof(r));
		bg_start(&r, v, 0);
		CHECK_EQ(pthread_kill(r.self, SIGUSR1), 0);
		bg_join(&r);
		CHECK_EQ(r.error, 0);
		CHECK_EQ(r.run.vrp_exit_reason, VM_EXIT_NONE);
		CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_STOPPED);
		CHECK_EQ(caught, i + 1);
		CHECK(r.exit.vrs.vrs_gprs[VCPU_REGS_RIP] >= GUEST_ENTRY);
		CHECK(r.exit.vrs.vrs_gprs[VCPU_REGS_RIP] < GUEST_ENTRY + 4);
	}
	set_code(v, code_out, sizeof(code_out));
	CHECK_EQ(client_start(v, GUEST_REAL), 0);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
}

static void
signal_cli(void)
{
	signal_code(code_cli_spin, sizeof(code_cli_spin), 0);
}

static void
signal_sti(void)
{
	signal_code(code_sti_spin, sizeof(code_sti_spin), 0);
}

static void
signal_restart(void)
{
	signal_code(code_spin, sizeof(code_spin), SA_RESTART);
}

/* RUN with an exit record of the caller's choice, until a signal. */
struct other_run {
	struct client_vm	*v;
	struct vm_run_params	 run;
	int			 error;
	pthread_t		 self;
};

static void
other_main(void *arg)
{
	struct other_run *o = arg;

	o->self = pthread_self();
	o->error = client_ioc_run(o->v->fd, &o->run);
}

/* F12: outputs are always written; vrp_exit may be NULL then. */
static void
f12_outputs(void)
{
	struct client_vm *v = new_started(code_sti_spin,
	    sizeof(code_sti_spin), 1);
	static void *const pointers[] = { NULL, (void *)1 };
	struct vm_exit exit;
	struct other_run o;
	int i, t;

	catch(0);
	for (i = 0; i < 3; i++) {
		memset(&exit, 0xa5, sizeof(exit));
		memset(&o, 0, sizeof(o));
		o.v = v;
		o.run.vrp_vm_id = v->id;
		o.run.vrp_irq = NO_IRQ;
		o.run.vrp_exit = i < 2 ? pointers[i] : &exit;
		o.run.vrp_irqready = 0xa5;
		o.run.vrp_exit_reason = 0xa5a5;
		t = spawn(other_main, &o);
		await_state(v->id, 0, VCPU_STATE_RUNNING);
		pause_ms(30);			/* beyond STI */
		CHECK_EQ(pthread_kill(o.self, SIGUSR1), 0);
		join(t);
		CHECK_EQ(o.error, 0);
		CHECK_EQ(o.run.vrp_exit_reason, VM_EXIT_NONE);
		CHECK_EQ(o.run.vrp_irqready, 1);
		CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_STOPPED);
	}
	CHECK_EQ(exit.cpl, 0);
	CHECK_EQ(exit.vrs.vrs_gprs[VCPU_REGS_RIP], GUEST_ENTRY + 2);
	CHECK(exit.vrs.vrs_gprs[VCPU_REGS_RFLAGS] & 0x200);
}

/* A signal that the thread has blocked does not stop it. */
static void
blocked_main(void *arg)
{
	struct other_run *o = arg;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	other_main(arg);
	o->run.vrp_continue = 0x77;
}

static void
signal_blocked(void)
{
	struct client_vm *v = new_started(code_spin, sizeof(code_spin), 1);
	static struct vm_exit exit;
	struct other_run o;
	int t;

	catch(0);
	memset(&o, 0, sizeof(o));
	o.v = v;
	o.run.vrp_vm_id = v->id;
	o.run.vrp_irq = NO_IRQ;
	o.run.vrp_exit = &exit;
	t = spawn(blocked_main, &o);
	await_state(v->id, 0, VCPU_STATE_RUNNING);
	CHECK_EQ(pthread_kill(o.self, SIGUSR1), 0);
	pause_ms(100);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_RUNNING);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	join(t);
	CHECK_EQ(o.run.vrp_exit_reason, VM_EXIT_TERMINATED);
	CHECK_EQ(caught, 0);
}

/* --- INTR --- */

static void
intr_states(void)
{
	static const uint16_t levels[] = { 0, 1, 2, 0xff, 0xffff, 0 };
	struct client_vm *v = new_started(code_spin, sizeof(code_spin), 1);
	struct client_vm *dead = new_started(code_hlt, sizeof(code_hlt), 1);
	struct bg r;
	size_t i;

	for (i = 0; i < NELEM(levels); i++)
		CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, levels[i]), 0);
	CHECK_EQ(client_run(dead, NO_IRQ), EIO);
	bg_start(&r, v, 0);
	for (i = 0; i < NELEM(levels); i++) {
		CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, levels[i]), 0);
		CHECK_EQ(client_ioc_intr(dead->fd, dead->id, 0, levels[i]),
		    0);
	}
	/* IF is clear: none of it made RUN return. */
	pause_ms(50);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_RUNNING);
	CHECK_EQ(vcpu_state(dead->id, 0), VCPU_STATE_TERMINATED);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	bg_join(&r);
}

/* It makes RUN of a guest that takes interrupts return, each time. */
static void
intr_returns(void)
{
	static const uint16_t levels[] = { 1, 2, 0x100, 0xffff };
	struct client_vm *v = new_started(code_sti_spin,
	    sizeof(code_sti_spin), 1);
	struct bg r;
	size_t i;

	for (i = 0; i < NELEM(levels); i++) {
		bg_start(&r, v, 0);
		CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, levels[i]), 0);
		bg_join(&r);
		CHECK_EQ(r.error, 0);
		v->run = r.run;
		CHECK_EQ(client_event(v), CLIENT_WINDOW);
		CHECK_EQ(r.run.vrp_irqready, 1);
		/* The level stays: the next RUN returns by itself. */
		CHECK_EQ(client_run(v, NO_IRQ), 0);
		CHECK_EQ(client_event(v), CLIENT_WINDOW);
		CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, 0), 0);
	}
}

const struct clause ioctl_run[] = {
	ROW("3.2.ebusy", "RUN of a running VCPU is EBUSY", MATCH, busy),
	ROW("3.2.ebusy-terminated", "RUN of a terminated VCPU is EBUSY",
	    MATCH, busy_terminated),
	ROW("3.4.running", "TERM while it runs: 0, VM_EXIT_TERMINATED", MATCH,
	    term_running),
	ROW("3.4.running-cli", "so too with interrupts off", MATCH,
	    term_running_cli),
	ROW("3.2.other-vm", "a guest that spins with interrupts off stops no "
	    "other", MATCH, other_vm),
	ROW("3.2.signal", "a signal: 0, VM_EXIT_NONE, STOPPED", MATCH,
	    signal_sti),
	ROW("3.2.signal-cli", "so too with interrupts off", MATCH,
	    signal_cli),
	ROW("C7.restart", "a signal that restarts calls does not hide it",
	    MATCH, signal_restart),
	ROW("3.2.signal-blocked", "a blocked signal does not stop RUN", MATCH,
	    signal_blocked),
	ROW("F12.signal", "VM_EXIT_NONE: outputs are written, vrp_exit may be "
	    "NULL", FIX, f12_outputs),
	ROW("3.6.states", "INTR in any state, with any level", MATCH,
	    intr_states),
	ROW("3.6.returns", "INTR makes RUN return while the level is up",
	    FIX, intr_returns),
	CLAUSE_END
};
