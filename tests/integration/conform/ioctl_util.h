/* SPDX-License-Identifier: ISC */
/*
 * ioctl_util.h - what the clauses of the ioctl layer share.
 *
 * These clauses need guests only as something that runs, so theirs are a few
 * bytes of real-mode code put at GUEST_ENTRY, not files.
 */
#ifndef IOCTL_UTIL_H
#define IOCTL_UTIL_H

#include "conform.h"

#define NELEM(a)	(sizeof(a) / sizeof((a)[0]))
#define PAGE		4096UL
#define GIB		(1024 * CLIENT_MIB)
#define NO_IRQ		0xffff

#define ROW(id, title, class, fn) \
	{ id, title, LAYER_IOCTL, class, fn, NULL }

/* The eleven, in the order of their numbers: iocs[nr - 1]. */
enum {
	IOC_CREATE = 1, IOC_RUN, IOC_INFO, IOC_TERM, IOC_RESETCPU, IOC_INTR,
	IOC_READREGS, IOC_WRITEREGS, IOC_READVMPARAMS, IOC_WRITEVMPARAMS,
	IOC_MPROTECT,
};

struct ioc {
	const char	*name;
	uint32_t	 bsd;		/* number as BSD encodes it */
	uint32_t	 linux;		/* number as Linux encodes it */
	size_t		 size;		/* of the argument */
	bool		 out;		/* the argument is written back */
	bool		 vm, vcpu;	/* starts with a VM's and a VCPU's id */
};

extern const struct ioc iocs[11];

union ioc_arg {
	uint8_t				bytes[1280];
	struct {
		uint32_t		vm, vcpu;
	}				id;
	struct vm_create_params		create;
	struct vm_run_params		run;
	struct vm_info_params		info;
	struct vm_terminate_params	term;
	struct vm_resetcpu_params	reset;
	struct vm_intr_params		intr;
	struct vm_rwregs_params		regs;
	struct vm_rwvmparams_params	params;
	struct vm_mprotect_ept_params	protect;
};

/* ioctl(2) with the number and the pointer as they are. 0 or the errno. */
int	raw_ioctl(int fd, uint32_t cmd, uint64_t arg);

/* CHECK_EQ that says which row of a table it was. */
#define EXPECT(what, got, want) \
	expect(what, (uint64_t)(got), (uint64_t)(want), #got, __FILE__, \
	    __LINE__)
void	expect(const char *what, uint64_t got, uint64_t want,
	    const char *expr, const char *file, int line);

/* Anonymous memory, or the clause fails. unmap(): munmap, checked. */
void	*map(size_t size);
void	 unmap(void *, size_t size);

/* A VM of one MiB whose VCPUs were all reset to run `code` in real mode. */
struct client_vm *new_started(const void *code, size_t len, size_t ncpus);
void	set_code(struct client_vm *, const void *code, size_t len);

/* Code: spins; spins with IF set; OUTs to port 0x20 for ever. */
extern const uint8_t code_spin[2], code_sti_spin[4], code_out[4];

/* An argument with which ioctl `nr` succeeds on `v`. */
void	ioc_fill(int nr, union ioc_arg *, struct client_vm *v);

/* CREATE's argument: one VCPU and [gpa, +size) at `va`. */
void	fill_create(struct vm_create_params *, uint64_t gpa, const void *va,
	    size_t size);

/* Fails unless the registers of the groups in `mask` are the same. */
void	same_regs(const char *what, const struct vcpu_reg_state *,
	    const struct vcpu_reg_state *, uint64_t mask);

/* Reads all registers of VCPU 0. */
void	get_regs(struct client_vm *, struct vcpu_reg_state *);

/*
 * What the ioctls can tell about one VM and about how many there are, to
 * prove that something changed nothing.
 */
struct snapshot {
	size_t				count;
	struct vm_info_result		info;
	struct vcpu_reg_state		regs;
	struct vm_rwvmparams_params	params;
};
void	take_snapshot(struct client_vm *, struct snapshot *);
void	same_snapshot(const char *what, struct client_vm *,
	    const struct snapshot *);

/* The INFO entry of a VM; false if there is none. */
bool	get_info(uint32_t vm, struct vm_info_result *);

/*
 * Lets the guest write or read one byte at `gpa`, below 1 MiB, from a
 * RESETCPU on. CLIENT_IO: it could; CLIENT_PROTECT: it could not.
 */
enum client_event guest_write(struct client_vm *, uint32_t gpa);
enum client_event guest_read(struct client_vm *, uint32_t gpa);

/*
 * A thread in RUN on a VCPU, until RUN returns. start: waits until INFO says
 * RUNNING, so only for a guest that goes on.
 */
struct bg {
	struct client_vm	*v;
	uint32_t		 vcpu;
	int			 fd;
	int			 error;		/* of RUN */
	struct vm_run_params	 run;
	struct vm_exit		 exit;
	volatile bool		 returned;
	pthread_t		 self;
	int			 thread;
};
void	bg_spawn(struct bg *, struct client_vm *, uint32_t vcpu);
void	bg_start(struct bg *, struct client_vm *, uint32_t vcpu);
void	bg_join(struct bg *);

/* Sleeps until the VCPU is in that state. */
void	await_state(uint32_t vm, uint32_t vcpu, int state);

extern const struct clause ioctl_number[], ioctl_fault[], ioctl_create[],
    ioctl_vm[], ioctl_info[], ioctl_reset[], ioctl_regs[], ioctl_judge[],
    ioctl_judge_sys[], ioctl_params[], ioctl_protect[], ioctl_order[],
    ioctl_run[], ioctl_race[], ioctl_many[];

#endif /* IOCTL_UTIL_H */
