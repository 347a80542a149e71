/* SPDX-License-Identifier: ISC */
/*
 * unit.h - what the suites share: a client of the driver in a few calls.
 *
 * A suite is a file check_NAME.c that defines unit_suite(); main() is here.
 * unit_case() gives each test a fresh host, an attached driver and an open
 * file, and checks afterwards that nothing is left.
 */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>

#include "fake_cpu.h"
#include "fake_host.h"
#include "vmm.h"

#define GUEST_VA	0x40000000ULL	/* guest memory in the client */
#define MIB		0x100000ULL
#define NONE		0xffff		/* vrp_irq: no vector */

extern struct vmm_file *unit_file;	/* of the calling test */

/*
 * UNIT_CPU=intel runs a suite on the fake Intel CPUs, where it can be asked
 * that of both: run.sh does. Exit reasons of unit_run() are SVM's then, too.
 */
extern bool unit_intel;		/* since unit_boot() */
bool	 unit_on_intel(void);	/* also before, when tests are added */
bool	 unit_in_vmm_mode(unsigned int cpu);
void	 unit_refuse(unsigned int cpu, bool); /* does not enter VMM mode */

Suite	*unit_suite(void);		/* of check_NAME.c */
TCase	*unit_case(Suite *, const char *name);
TCase	*unit_bare_case(Suite *, const char *name); /* nothing attached */
void	 unit_boot(void);		/* a fresh host */
void	 unit_attach(void);
void	 unit_detach(void);

/* One ioctl: the struct goes through the client's memory. */
int	 unit_ioctl(uint32_t cmd, void *arg, size_t size);
#define IOCTL(cmd, p)	unit_ioctl(cmd, p, sizeof(*(p)))
uint64_t unit_arg(void);		/* where this thread's structs lie */
uint64_t unit_exit_va(void);		/* where its vrp_exit lies */

/* CREATE with one range at GPA 0, mapped at GUEST_VA by the caller. */
int	 unit_create_at(uint64_t va, uint64_t size, size_t ncpus,
	    uint32_t *id);
/* The same, memory mapped too; an error fails the test. */
uint32_t unit_create(uint64_t size, size_t ncpus);
int	 unit_term(uint32_t id);
int	 unit_intr(uint32_t id, uint32_t vcpu, uint16_t level);

/* Start states: real mode at 0:0x1000, and 64-bit code at 0x1000. */
void	 unit_real(struct vcpu_reg_state *);
void	 unit_long(struct vcpu_reg_state *);
int	 unit_reset(uint32_t id, uint32_t vcpu, const struct vcpu_reg_state *);
uint32_t unit_real_vm(void);		/* 2 MiB, one VCPU, reset */

struct unit_run {
	uint16_t	reason;
	uint8_t		irqready;
	struct vm_exit	exit;
};
int	 unit_run(uint32_t id, uint32_t vcpu, uint16_t irq,
	    struct unit_run *);		/* vrp_continue 0 */
int	 unit_continue(uint32_t id, uint32_t vcpu, uint16_t irq,
	    struct unit_run *);		/* vrp_exit as it is in *run */
int	 unit_read(uint32_t id, uint32_t vcpu, uint64_t mask,
	    struct vcpu_reg_state *);
int	 unit_write(uint32_t id, uint32_t vcpu, uint64_t mask,
	    const struct vcpu_reg_state *);
int	 unit_protect(uint32_t id, uint64_t gpa, uint64_t size, int prot);
uint8_t	 unit_state(uint32_t id, uint32_t vcpu);	/* from INFO */
uint64_t unit_used(uint32_t id);
void	 unit_code(uint64_t gpa, const void *bytes, size_t n);

/*
 * A step that is an instruction of `len` bytes at RIP that exits; on a CPU
 * with NRIPS, which tells the length. STEP() queues one.
 */
#define STEP(code, len)		fake_step(unit_insn, STEP_ARG(code, len, 0))
#define STEP_ARG(code, len, info1) \
	((uint64_t)(code) | (uint64_t)(len) << 16 | (uint64_t)(info1) << 32)
fake_step_fn	unit_insn;
fake_step_fn	unit_raw;	/* arg: address of code, info1, info2 */
void	 unit_step_io(uint16_t port, unsigned int size, bool in);
#define STEP_SHUTDOWN()		fake_step(fake_do_exit, 0x7f)

/* A client thread inside RUN. */
struct unit_runner {
	pthread_t	 thread;
	uint32_t	 id, vcpu;
	unsigned int	 cpu;
	uint16_t	 irq;
	int		 error;
	struct unit_run	 run;
	struct fake_thread *self;
};
fake_step_fn	unit_spin;	/* tells unit_start() that the guest runs */
void	 unit_start(struct unit_runner *, uint32_t id, uint32_t vcpu,
	    unsigned int cpu);	/* returns when a guest is in unit_spin */
void	 unit_post(void);		/* from a step like unit_spin */
void	 unit_wait_spin(void);
int	 unit_join(struct unit_runner *);	/* RUN's result */

/* The VM and VCPU behind an id, for what no ioctl shows. */
struct vm *unit_vm(uint32_t id);

/* A deterministic random number. */
uint32_t unit_random(uint32_t *seed);

#endif /* UNIT_H */
