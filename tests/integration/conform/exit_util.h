/* SPDX-License-Identifier: ISC */
/*
 * exit_util.h - what the clauses that run guests share.
 *
 * A guest reports as guest.h says; trap.h packs what an instruction raised
 * into one value. Everything here CHECKs, so a clause reads as a list of what
 * must happen.
 */
#ifndef EXIT_UTIL_H
#define EXIT_UTIL_H

#include "conform.h"
#include "trap.h"

#define NO_IRQ		0xffff
#define NELEM(a)	(sizeof(a) / sizeof((a)[0]))

/* Values of PROBE: bits 31:24 length, 23:8 error code, 7:0 vector. */
#define TRAP(vector, error, len) \
	((uint32_t)(len) << 24 | (uint32_t)(error) << 8 | (vector))

#define CR0_CD		0x40000000
#define CPUID_EBX_40000000	0x6e65704f	/* "Open" */

extern const struct clause exit_io[], exit_run[], exit_intr[], exit_event[],
    exit_cpuid[], exit_msr[], exit_cr[], exit_crs[], exit_step[], exit_shadow[],
    exit_insn[], exit_mode[], exit_entry[], exit_mem[], exit_mix[],
    exit_protect[], exit_fpu[], exit_pvclock[], exit_smp[],
    exit_trace[];

/* A register of the last exit. */
uint64_t gpr(const struct client_vm *, int reg);

/* The raw vrp_exit_reason of an event on this CPU. */
uint16_t raw_code(enum client_event);

/* RUN must succeed and end with this event, STOPPED, with its raw code. */
void	run_to(struct client_vm *, uint16_t irq, enum client_event);

/* RUN must end with this I/O exit, and RIP = EBX if the guest MARKs it. */
void	run_to_io(struct client_vm *, int dir, uint16_t port, uint8_t size);
void	run_to_mark(struct client_vm *, int dir, uint16_t port, uint8_t size);

/* RUN must end with this errno, the VCPU TERMINATED. */
void	run_fails(struct client_vm *, int error);

/* RUN must end with VALUE (the value), or with DONE and the nonce. */
uint32_t run_value(struct client_vm *);
uint64_t run_value64(struct client_vm *);
void	run_done(struct client_vm *);

/* VALUEs must be these, in this order, then DONE. */
void	run_values(struct client_vm *, const uint32_t *want, size_t n);
#define RUN_VALUES(v, ...) do {						\
	static const uint32_t want_[] = { __VA_ARGS__ };		\
	run_values(v, want_, NELEM(want_));				\
} while (0)

/* RUN in a thread of its own, once. `v` is a copy: one per VCPU. */
struct runner {
	struct client_vm	v;
	int			error;
	int			thread;
};
void	runner_start(struct runner *, const struct client_vm *, uint32_t vcpu);
void	runner_join(struct runner *);

/* Waits until INFO shows that state; the guard ends what never comes. */
void	wait_state(const struct client_vm *, uint32_t vcpu, int state);

/* The general registers, changed by WRITEREGS. */
void	set_gpr(struct client_vm *, int reg, uint64_t value);

#endif /* EXIT_UTIL_H */
