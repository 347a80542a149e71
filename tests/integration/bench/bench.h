/* SPDX-License-Identifier: ISC */
/*
 * bench.h - between bench.c, which prints, bench_rows.c, which measures, and
 * the two hypervisors: bench_vmm.c and bench_kvm.c.
 *
 * Both run the guests of bench_guests.S, in real mode and from the same
 * bytes, on memory that the same code made.
 */
#ifndef BENCH_H
#define BENCH_H

#define BENCH_PORT	0x510	/* of every OUT; a client's */
#define BENCH_SEEN	0x700	/* u32 in low memory: count of bench_hlt */
#define BENCH_FIRST	0x20000	/* first page that bench_touch touches */

#ifndef __ASSEMBLER__

#include "client.h"
#include "../../../guests/guest.h"

struct kvm_run;

/* A VM with one VCPU, and its memory. */
struct bench_vm {
	uint8_t			*map;	/* in which v.mem lies */
	struct client_vm	 v;	/* for KVM: memory and nonce only */
	int			 kvm_vm, kvm_vcpu;
	struct kvm_run		*kvm_run;
};

/* How a guest came back to its client. */
enum bench_exit {
	BENCH_OUT,			/* four bytes to BENCH_PORT */
	BENCH_HLT,
	BENCH_OTHER,
};

/*
 * One hypervisor. Functions that can fail return 0 or a positive errno.
 *
 * create: a VM with vm->v.mem at GPA 0 and one VCPU.
 * cpuid: shows the guest the CPU's own CPUID; NULL: create has done it.
 * reset: puts the VCPU at the start of a GUEST_REAL guest.
 * exit: how the last run ended, and for BENCH_OUT its data.
 */
struct bench_side {
	const char	*name;
	int		(*open)(void);
	void		(*close)(void);
	int		(*create)(struct bench_vm *);
	int		(*cpuid)(struct bench_vm *);
	int		(*reset)(struct bench_vm *);
	int		(*run)(struct bench_vm *);
	enum bench_exit	(*exit)(const struct bench_vm *, uint32_t *data);
	void		(*term)(struct bench_vm *);
};

extern const struct bench_side bench_vmm, bench_kvm;

/* Ticks of the TSC per exit, per page, or per life of a VM. */
struct bench_stat {
	size_t		n;		/* samples; 0: not measured */
	uint64_t	min, median;
	double		mean;
};

struct bench_row {
	const char	*name;		/* in JSON */
	const char	*what;
	void		(*fn)(const struct bench_side *,
			    const struct bench_row *);
	const uint8_t	*image, *image_end;
	enum bench_exit	 exit;		/* how its guest comes back */
	int		 samples;	/* a round */
	uint32_t	 units;		/* a sample, for a guest that counts */
	bool		 flag;		/* memory is there; another VM is */
};

#define BENCH_ROWS	7
#define BENCH_ROUNDS	50		/* at most */
extern const struct bench_row bench_rows[BENCH_ROWS];

/*
 * Measures one row. Ends the program with status 1 if anything is not as it
 * should be: a figure of a guest that did something else is worth nothing.
 */
struct bench_stat bench_measure(const struct bench_side *,
    const struct bench_row *, int rounds);

/* bench_guests.S: each image, and where it ends. */
#define BENCH_GUEST(name)	extern const uint8_t name[], name##_end[]
BENCH_GUEST(bench_pio);
BENCH_GUEST(bench_hlt);
BENCH_GUEST(bench_cpuid);
BENCH_GUEST(bench_touch);

#endif /* __ASSEMBLER__ */
#endif /* BENCH_H */
