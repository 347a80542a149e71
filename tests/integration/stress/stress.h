/* SPDX-License-Identifier: ISC */
/*
 * stress.h - a storm of all eleven ioctls, from many threads at once.
 *
 *	stress.c	options, threads, the guard that pokes them, kills
 *	ops.c		guests, VMs, and the table of operations
 *	proof.c		what was counted, what had to be, and what is left
 *
 * What thread T draws for its operation N comes from (seed, T, N) and from
 * nothing else. Which thread is first is the scheduler's, so nearly every
 * ioctl has several right answers; a wrong one ends the program at once.
 */
#ifndef STRESS_H
#define STRESS_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"

#define NELEM(a)	(sizeof(a) / sizeof((a)[0]))
#define MAX_THREADS	120	/* metal has 128, with ours */
#define MAX_VMS		32
#define BIG_VCPUS	64

enum ioc {
	CREATE = 1, RUN, INFO, TERM, RESETCPU, INTR, READREGS, WRITEREGS,
	READVMPARAMS, WRITEVMPARAMS, MPROTECT, NIOCS
};
extern const char *const ioc_name[NIOCS];

/* A set of answers: bit i is errno_name[i]; the last of these is any other. */
enum {
	OK = 0x001, NOENT = 0x002, PERM = 0x004, BUSY = 0x008, FAULT = 0x010,
	INVAL = 0x020, IO = 0x040, NOMEM = 0x080, NOTTY = 0x100,
};
#define NERRNOS		10
extern const char *const errno_name[NERRNOS];

/* What a thread counts, and the storm as a whole. All are uint64_t. */
struct tally {
	uint64_t	answers[NIOCS][NERRNOS];
	uint64_t	exits[CLIENT_OTHER + 1];	/* by client_event() */
	uint64_t	entries;	/* RUNs that came back with an exit */
	uint64_t	running;	/* EBUSY, since a VCPU was RUNNING */
	uint64_t	cut;		/* VMs that ended inside RUN */
	uint64_t	closed;		/* VMs that close() ended */
};

/* A thread. The guard looks at what is atomic. */
struct worker {
	pthread_t		 thread;
	unsigned int		 nr;
	int			 fd;		/* of /dev/vmm */
	uint64_t		 ops;		/* how many it makes */
	uint64_t		 random;	/* state of the draw */
	atomic_uint_fast64_t	 op;
	atomic_int		 ioc;		/* 0: in none */
	atomic_uint_fast64_t	 since;		/* tick it began at */
	atomic_uint		 patience;	/* ticks in RUN; 0: for ever */
	struct tally		 tally;
	struct vm_exit		 exit;
	struct vm_info_result	 rows[MAX_VMS + 2];
};

extern atomic_uint_fast64_t guard_tick;
extern uint64_t seed;
extern bool on_metal;

/* stress.c: says which operation went wrong, and ends the program. */
void	fail(struct worker *, const char *fmt, ...)
	    __attribute__((noreturn, format(printf, 2, 3)));
void	pause_ms(unsigned int ms);

/*
 * ops.c. draw() begins an operation: op_any() one of a worker, op_stranger()
 * one of a thread that may not touch our VMs. slots_init() says how many VMs
 * there are to be and how many VCPUs the first has; slots_finish() ends them
 * all, with no other thread at work, if they are as they have to be. info()
 * is INFO into w->rows, checked; it returns how many rows there are.
 */
void	ops_init(struct worker *);
void	draw(struct worker *, uint64_t op);
void	op_any(struct worker *);
void	op_stranger(struct worker *);
void	slots_init(unsigned int vms, unsigned int big);
void	slots_finish(struct worker *);
size_t	info(struct worker *);

/*
 * A VM beside those of the slots, whose VCPUs spin. rally_run: RUN until the
 * VM ends. rally_ready: whether all are RUNNING.
 */
void	rally_create(struct worker *, unsigned int ncpus);
void	rally_run(struct worker *, unsigned int vcpu);
bool	rally_ready(struct worker *);
void	rally_end(struct worker *);

/* proof.c: sums, the least that had to happen, and nothing is left. */
void	tally_add(struct tally *, const struct tally *);
void	tally_report(const struct tally *);
void	tally_check(struct worker *, const struct tally *, uint64_t ops,
	    bool strangers);
bool	host_is_metal(void);
void	host_before(void);
void	host_after(struct worker *, bool tell);
void	proof_none(struct worker *);	/* no VM is left */

/* ops.c: every ASID can be had, more than once. */
void	proof_asids(struct worker *, unsigned int vms);

#endif /* STRESS_H */
