/* SPDX-License-Identifier: ISC */
/*
 * conform.h - the frame of the conformance program.
 *
 * conform is a client of /dev/vmm that proves, clause by clause, what the
 * driver promises. A clause is a row of a table: an id (a section of the
 * interface or a row of the decisions, with a suffix), a title, and a
 * function. The frame runs it, prints one TAP line, takes away the VMs and
 * threads it left, and then looks for what leaked.
 *
 * In a clause:
 *	CHECK(cond)		or the clause ends here, not ok
 *	CHECK_EQ(got, want)	the same, and prints both
 *	SKIP("why")		ends it: the back end cannot do this
 *	note("...")		a diagnostic line, printed if it fails
 * All four work in threads started with spawn() as well.
 *
 * VMs come from new_vm() or new_guest(); the frame destroys them. A clause
 * may also make its own with the calls of client.h: what is left at the end
 * is terminated, and the clause is not ok if its memory does not come back.
 */
#ifndef CONFORM_H
#define CONFORM_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "client.h"
#include "guest.h"

enum layer {
	LAYER_IOCTL,		/* no guest runs */
	LAYER_EXIT,		/* a guest runs */
};

enum class {
	MATCH,			/* as OpenBSD 6.9 */
	FIX,			/* 6.9 is wrong here */
	BEYOND,			/* 6.9 lacks it */
};

struct clause {
	const char	*id;		/* unique, no space: "3.1.3e" */
	const char	*title;
	enum layer	 layer;
	enum class	 class;
	void		(*fn)(void);
	const char	*vendors;	/* how SVM and VMX differ, or NULL */
};

/* A table ends with an all-zero row. */
#define CLAUSE_END	{ NULL, NULL, LAYER_IOCTL, MATCH, NULL, NULL }

/* NULL-terminated lists of tables, one per layer. */
extern const struct clause *const ioctl_tables[];
extern const struct clause *const exit_tables[];

#define CHECK(c) \
	conform_check(!!(c), #c, __FILE__, __LINE__)
#define CHECK_EQ(got, want) \
	conform_check_eq((uint64_t)(got), (uint64_t)(want), \
	    #got " == " #want, __FILE__, __LINE__)
#define SKIP(why)	conform_skip(why)

void	conform_check(bool, const char *expr, const char *file, int line);
void	conform_check_eq(uint64_t got, uint64_t want, const char *expr,
	    const char *file, int line);
void	conform_skip(const char *why) __attribute__((noreturn));
void	note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

extern int conform_fd;		/* of /dev/vmm, open in every clause */

/* A number that differs in each clause and run, derived from the nonce. */
uint64_t fresh(void);

/* A VM with `size` bytes of memory at GPA 0. Fails the clause, not itself. */
struct client_vm *new_vm(size_t size, size_t ncpus);

/*
 * A VM of 4 MiB with one VCPU, the guest /guests/NAME.bin loaded and started
 * in the mode that its header names. args: eight arguments or NULL.
 */
struct client_vm *new_guest(const char *name, const uint64_t *args);

/* Runs fn(arg) in a thread; join() waits for it. The frame joins the rest. */
int	spawn(void (*fn)(void *), void *arg);
void	join(int thread);

/* Sends a thread a signal whose handler does nothing. */
void	poke(int thread);

/* Sleeps; how long is a lower bound only. */
void	pause_ms(unsigned int ms);

/* Whether QEMU's emulation is the CPU: its deviations are not asserted. */
bool	under_tcg(void);

/* What a leak of the host's would make less; false: it does not tell. */
bool	host_free_pages(uint64_t *pages);

/* The state of a VCPU by INFO; VCPU_STATE_UNKNOWN if the VM is not listed. */
int	vcpu_state(uint32_t vm, uint32_t vcpu);

/* How many VMs INFO lists. */
size_t	vm_count(void);

#endif /* CONFORM_H */
