/* SPDX-License-Identifier: ISC */
/*
 * client.h - a thin client of /dev/vmm, shared by vmctl, conform and bench.
 *
 * Thin on purpose: a function here makes one ioctl, or fills one structure.
 * Functions that make an ioctl return 0 or a positive errno, and print
 * nothing. Memory of a VM is anonymous, private, owned by the struct.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmmvar.h"

#define CLIENT_MIB	(1024UL * 1024)

/* A VM with one range of memory at GPA 0, and the state of one run loop. */
struct client_vm {
	int			 fd;	/* of /dev/vmm, not owned */
	uint32_t		 id;	/* 0: none */
	uint32_t		 vcpu;	/* VCPU that client_run() runs */
	uint8_t			*mem;	/* GPA 0, NULL: none */
	size_t			 size;	/* bytes */
	uint64_t		 nonce;
	struct vm_run_params	 run;	/* of the last RUN */
	struct vm_exit		 exit;	/* of the last RUN */
};

enum client_event {			/* client_event() of the last exit */
	CLIENT_IO,			/* vei is valid */
	CLIENT_HLT,			/* HLT with IF=1 */
	CLIENT_SHUTDOWN,		/* triple fault */
	CLIENT_PROTECT,			/* VEE_FAULT_PROTECT */
	CLIENT_WINDOW,			/* interrupt window, or INTR */
	CLIENT_NONE,			/* VM_EXIT_NONE */
	CLIENT_TERMINATED,		/* VM_EXIT_TERMINATED */
	CLIENT_OTHER,
};

/* Vendor of the CPU below, from CPUID: "AuthenticAMD" is SVM. */
bool	client_is_svm(void);

/* Open /dev/vmm. A descriptor, or -1 with errno. */
int	client_open(void);

/* The eleven ioctls, by value. */
int	client_ioc_create(int fd, struct vm_create_params *);
int	client_ioc_run(int fd, struct vm_run_params *);
int	client_ioc_info(int fd, struct vm_info_params *);
int	client_ioc_term(int fd, uint32_t vm);
int	client_ioc_resetcpu(int fd, uint32_t vm, uint32_t vcpu,
	    const struct vcpu_reg_state *);
int	client_ioc_intr(int fd, uint32_t vm, uint32_t vcpu, uint16_t level);
int	client_ioc_readregs(int fd, uint32_t vm, uint32_t vcpu, uint64_t mask,
	    struct vcpu_reg_state *);
int	client_ioc_writeregs(int fd, uint32_t vm, uint32_t vcpu, uint64_t mask,
	    const struct vcpu_reg_state *);
int	client_ioc_readvmparams(int fd, struct vm_rwvmparams_params *);
int	client_ioc_writevmparams(int fd, struct vm_rwvmparams_params *);
int	client_ioc_mprotect(int fd, uint32_t vm, uint32_t vcpu, uint64_t gpa,
	    size_t size, int prot);

/*
 * create: mmap `size` bytes (aligned to 2 MiB in the client), CREATE with
 *	`ncpus` VCPUs and that one range at GPA 0. On failure nothing is left.
 * destroy: TERM if it still exists, munmap.
 */
int	client_create(int fd, const char *name, size_t size, size_t ncpus,
	    struct client_vm *);
void	client_destroy(struct client_vm *);

/* The register state a guest of `mode` (guest.h) starts with. */
void	client_start_state(int mode, struct vcpu_reg_state *);

/*
 * load: copy a guest image into memory at GUEST_LOAD, with the GDT, page
 *	tables, nonce and arguments of guest.h. ENOEXEC: no guest header.
 *	Returns the mode in *mode.
 * load_file: the same from a file; errno of open/read.
 * start: RESETCPU of v->vcpu with client_start_state(mode).
 */
int	client_load(struct client_vm *, const void *image, size_t len,
	    const uint64_t args[8], int *mode);
int	client_load_file(struct client_vm *, const char *path,
	    const uint64_t args[8], int *mode);
int	client_start(struct client_vm *, int mode);

/*
 * run: one RUN with vrp_continue=1 and v->exit as the buffer; irq 0xFFFF is
 *	none. The result is in v->run and v->exit.
 * event: what the last exit was, whichever vendor.
 * answer: sets what an IN that exited reads.
 */
int	client_run(struct client_vm *, uint16_t irq);
enum client_event client_event(const struct client_vm *);
void	client_answer(struct client_vm *, uint32_t data);

/*
 * run_guest: runs until DONE, FAIL, an event that is no VALUE report, or an
 *	error, or more than `max` VALUEs. Values go to vals, their number to
 *	*n. IO exits on other ports end it too. Returns RUN's errno.
 * CLIENT_IO on port GUEST_DONE with vei_data == (uint32_t)nonce is success;
 * client_done() tells.
 */
int	client_run_guest(struct client_vm *, uint32_t *vals, size_t max,
	    size_t *n);
bool	client_done(const struct client_vm *);

/*
 * tsc: the TSC, with all before it done and nothing behind it begun.
 * ticks_are_instructions: whether its unit is one instruction, as on an
 *	emulator that counts them.
 */
static inline uint64_t
client_tsc(void)
{
	uint32_t a, d;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a" (a), "=d" (d) : :
	    "memory");
	return ((uint64_t)d << 32 | a);
}

bool	client_ticks_are_instructions(void);

#endif /* CLIENT_H */
