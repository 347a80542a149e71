/* SPDX-License-Identifier: ISC */
/*
 * mon.h - the monitor: one VM with its virtual hardware, run to its end.
 *
 *	start.c		the command line, the process, the end of both
 *	mon.c		the VM: memory, a thread for each VCPU, its exits
 *	machine.c	the devices: their ports, lines and back ends
 *	console.c	the serial line's other end
 *	disk.c		a raw file, or memory, as a disk
 *	net.c		frames to and from a tap, or the user network's helper
 *	control.c	the socket: status, stop, pause, console
 *
 * One lock holds all devices and everything below that is not constant. A
 * VCPU's thread takes it between two RUNs; the device thread, which is the
 * one that called mon_run(), waits on it for timers and for work. Threads
 * that wait for a file hand over what they read under the lock. A guest can
 * keep the first two busy without end, so they give way to whoever comes
 * through mon_lock().
 */
#ifndef MON_H
#define MON_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "dev/dev.h"

#define MON_DISKS	4
#define MON_NICS	4
#define MON_NAME_MAX	32

/* What `vmctl start` was told. */
struct mon_config {
	const char	*name;
	const char	*kernel, *initrd, *cmdline;
	const char	*disk[MON_DISKS];
	const char	*nic[MON_NICS];		/* "user", "tap=IF" */
	unsigned int	 ndisks, nnics, ncpus;
	uint64_t	 memory;		/* bytes, whole MiB */
	unsigned int	 seconds;		/* 0: as long as it likes */
	bool		 console;		/* -c: here, to the end */
};

/* How a VM came to its end. */
enum mon_end {
	END_NONE,		/* it runs */
	END_HALTED,		/* HLT with interrupts off: powered off */
	END_DONE,		/* a guest of ours said so */
	END_STOPPED,		/* asked to, from outside */
	END_TIME,		/* -t */
	END_FAILED,		/* told on stderr */
};

/* What all VCPUs are to do. */
enum mon_state { MON_RUN, MON_PAUSE, MON_RESET, MON_END };

struct mon_cpu {
	struct mon	*mon;
	struct client_vm v;
	pthread_t	 thread;
	pthread_cond_t	 wake;
	bool		 on;		/* has a start state */
	bool		 in_run;	/* its thread is inside RUN */
	bool		 parked;	/* not in RUN until state is MON_RUN */
	bool		 halted;	/* waits for an interrupt */
	bool		 intr;		/* INTR is on */
};

struct machine;

struct mon {
	const struct mon_config	*config;
	pthread_mutex_t	 lock;
	pthread_cond_t	 work;		/* for the device thread */
	pthread_cond_t	 idle;		/* a VCPU parked */
	pthread_cond_t	 polite;	/* nobody waits in mon_lock() */
	atomic_uint	 outsiders;	/* in mon_lock() */
	_Atomic(enum mon_state) state;	/* read without the lock too */
	bool		 paused;	/* what a reset goes back to */
	atomic_bool	 left;		/* lives on without who started it */
	enum mon_end	 end;
	uint64_t	 start;		/* CLOCK_MONOTONIC, ns */
	uint32_t	 id;
	int		 fd;		/* of /dev/vmm */

	struct mem	 mem;
	struct bus	 bus;
	struct timers	 timers;
	bool		 busy;		/* the device thread has work */
	bool		 irq;		/* the PIC's output, to VCPU 0 */
	bool		 ours;		/* the guest is one of guests/ */
	struct machine	*machine;
	unsigned int	 ncpus;
	struct mon_cpu	 cpu[VMM_MAX_VCPUS_PER_VM];
};

/*
 * mon.c
 * create: the VM and its memory. 0, or told and CTL_FAIL.
 * run: until it ends. Returns how.
 * destroy: what create made; a VM that runs has ended first.
 * lock, unlock: for threads that a busy guest must not keep out.
 * pause: stand still, or go on; true when they do, false: the VM ends.
 * finish: the VM ends, for the first reason given. Lock held.
 * reset: the machine starts over. Lock held.
 * kick: the device thread looks for work. Lock held.
 * irq: the PIC's output changes. Lock held.
 * now: ns since the VM started.
 */
int	 mon_create(struct mon *, const struct mon_config *);
enum mon_end mon_run(struct mon *);
void	 mon_destroy(struct mon *);
void	 mon_lock(struct mon *);
void	 mon_unlock(struct mon *);
bool	 mon_pause(struct mon *, bool);
void	 mon_finish(struct mon *, enum mon_end);
void	 mon_reset(struct mon *);
void	 mon_kick(struct mon *);
void	 mon_irq(void *, int nr, bool level);
uint64_t mon_now(void *);

/*
 * machine.c
 * create: opens the back ends. CTL_OK, or told and CTL_FAIL.
 * boot: devices as after power-on, the images in memory, start states. 0, or
 *	told and CTL_FAIL. No VCPU runs.
 * start: threads that wait for back ends, once devices are there. CTL_OK, or
 *	told and CTL_FAIL.
 * ack: the vector of the interrupt that VCPU 0 takes now.
 * put: a byte on the serial line, as if the guest had sent it. False: there
 *	is no room now.
 * work: what the device thread has to do; the lock may be let go meanwhile.
 */
int	 machine_create(struct mon *);
void	 machine_destroy(struct mon *);
int	 machine_boot(struct mon *);
int	 machine_start(struct mon *);
uint8_t	 machine_ack(struct mon *);
bool	 machine_put(struct mon *, uint8_t);
void	 machine_work(struct mon *);

#endif /* MON_H */
