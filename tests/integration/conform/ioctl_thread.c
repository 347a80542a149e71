/* SPDX-License-Identifier: ISC */
/*
 * ioctl_thread.c - what RUN brings back of the thread that called it: segment
 * registers that name its LDT, and the breakpoints of its debugger.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioctl_host.h"

#define LDT_WRITE	0x11
#define SEL_LDT_0	0x0007	/* entry 0 of the LDT, for ring 3 */

/* What modify_ldt takes; Linux's struct user_desc. */
struct ldt_entry {
	uint32_t	entry, base, limit, flags;
};

static const struct ldt_entry present = { 0, 0, 0xfffff, 0x51 };
static const struct ldt_entry gone = { 0, 0, 0, 0x28 };

static void
ldt_write(const struct ldt_entry *e)
{
	CHECK_EQ(syscall(SYS_modify_ldt, LDT_WRITE, e, sizeof(*e)), 0);
}

static uint16_t
get_gs(void)
{
	uint16_t sel;

	__asm__ volatile("mov %%gs, %0" : "=r" (sel));
	return (sel);
}

/* GS: the C library's threads live in FS. */
static void
set_gs(uint16_t sel)
{
	__asm__ volatile("mov %0, %%gs" : : "r" ((uint32_t)sel));
}

static void
kept(void)
{
	struct client_vm *v;
	int i;

	not_on_metal("its clients have no LDT");
	v = new_started(code_out, sizeof(code_out), 1);
	ldt_write(&present);
	set_gs(SEL_LDT_0);
	for (i = 0; i < 100; i++) {
		CHECK_EQ(client_run(v, NO_IRQ), 0);
		CHECK_EQ(client_event(v), CLIENT_IO);
		CHECK_EQ(get_gs(), SEL_LDT_0);
	}
	set_gs(0);
	ldt_write(&gone);
}

/*
 * Clearing the entry leaves GS as it is until it is next loaded: by RUN,
 * where the CPU does not switch it. A fault there would be the host's.
 */
static void
stale(void)
{
	struct client_vm *v;
	uint16_t sel;

	not_on_metal("its clients have no LDT");
	v = new_started(code_out, sizeof(code_out), 1);
	ldt_write(&present);
	set_gs(SEL_LDT_0);
	ldt_write(&gone);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
	sel = get_gs();
	CHECK(sel == 0 || sel == SEL_LDT_0);
	set_gs(0);
}

/* The debugger's breakpoint is here. */
static void __attribute__((noinline))
watched(void)
{
	__asm__ volatile("");
}

/* mov $1234,%ax; mov %eax,%dr0; mov $401,%ax; mov %eax,%dr7; 1: out; jmp 1b */
static const uint8_t code_dr[] = {
	0xb8, 0x34, 0x12, 0x0f, 0x23, 0xc0, 0xb8, 0x01, 0x04, 0x0f, 0x23, 0xf8,
	0xe6, 0x20, 0xeb, 0xfc,
};

/* A client that is traced: a guest has DR0 and DR7 for a while. */
static void
traced(struct child *c)
{
	struct client_vm *v;
	int i;

	(void)c;
	v = new_started(code_dr, sizeof(code_dr), 1);
	MUST_EQ(ptrace(PTRACE_TRACEME, 0, NULL, NULL), 0);
	MUST_EQ(raise(SIGSTOP), 0);
	for (i = 0; i < 20; i++) {
		MUST_EQ(client_run(v, NO_IRQ), 0);
		MUST_EQ(client_event(v), CLIENT_IO);
	}
	watched();
	MUST_EQ(client_ioc_term(v->fd, v->id), 0);
}

/* Waits until the child has stopped with `sig`. */
static void
await_stop(const struct child *c, int sig)
{
	int status;

	CHECK_EQ(waitpid(c->pid, &status, 0), c->pid);
	CHECK(WIFSTOPPED(status));
	CHECK_EQ(WSTOPSIG(status), sig);
}

static void
set_dr(const struct child *c, int dr, uint64_t value)
{
	CHECK_EQ(ptrace(PTRACE_POKEUSER, c->pid,
	    offsetof(struct user, u_debugreg) + 8 * (size_t)dr, value), 0);
}

/* Were a guest's DR7 left in the CPU, or none, the child would run through. */
static void
debugged(void)
{
	static struct child c;
	struct user_regs_struct regs;

	not_on_metal("it has no debugger of clients");
	child_start(&c, traced);
	await_stop(&c, SIGSTOP);
	set_dr(&c, 0, (uintptr_t)watched);
	set_dr(&c, 7, 1);
	CHECK_EQ(ptrace(PTRACE_CONT, c.pid, NULL, NULL), 0);
	await_stop(&c, SIGTRAP);
	CHECK_EQ(ptrace(PTRACE_GETREGS, c.pid, NULL, &regs), 0);
	CHECK_EQ(regs.rip, (uintptr_t)watched);
	set_dr(&c, 7, 0);
	CHECK_EQ(ptrace(PTRACE_DETACH, c.pid, NULL, NULL), 0);
	child_end(&c);
}

const struct clause ioctl_thread[] = {
	{ "F17.host-dr", "a breakpoint of the client's debugger outlives RUN",
	    LAYER_IOCTL, FIX, debugged, NULL },
	{ "F17.ldt", "a client's selector of its LDT is the same after RUN",
	    LAYER_IOCTL, FIX, kept, NULL },
	{ "F17.ldt-gone", "one whose descriptor is gone does the host no harm",
	    LAYER_IOCTL, FIX, stale, NULL },
	CLAUSE_END
};
