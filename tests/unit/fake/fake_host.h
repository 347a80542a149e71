/* SPDX-License-Identifier: ISC */
/*
 * fake_host.h - a host for the driver inside a plain process.
 *
 * It implements all of host.h and checks what a kernel could only suffer
 * from: the context of every call, lock order and ownership, double frees,
 * pages and pins that are never given back. A broken rule prints one line and
 * aborts, which Check reports as the failing test.
 *
 * Physical memory is one sparse mapping of the process. No physical page is
 * ever used twice, unless fake_recycle() asks for it; a freed one is filled
 * with FAKE_POISON and poisoned for the address sanitizer, so a stale use of
 * a page shows wherever it happens.
 */
#ifndef FAKE_HOST_H
#define FAKE_HOST_H

#include "host.h"

#define FAKE_PA_BASE	0x100000000ULL	/* above 4 GiB: truncation shows */
#define FAKE_PA_SIZE	0x1000000000ULL
#define FAKE_POISON	0xdb
#define FAKE_MAX_CPUS	256
#define FAKE_VA_MAX	0x7ffffffff000ULL /* first address past user space */

/* What a physical page is. */
enum fake_page {
	FAKE_PAGE_NONE,		/* never handed out */
	FAKE_PAGE_KERNEL,
	FAKE_PAGE_USER,
	FAKE_PAGE_FREED,
};

/* Flags of fake_user_map(). */
#define FAKE_HUGE	0x1	/* physical blocks aligned as the addresses */
#define FAKE_RO		0x2
#define FAKE_SHARED	0x4	/* a shared mapping */
#define FAKE_DEVICE	0x8	/* a kind of memory guests may not have */

/* Setting up and looking on. */
void	 fake_reset(void);
void	 fake_check_clean(void);
void	 fake_check_idle(void);
void	 fake_die(const char *, ...)
	    __attribute__((noreturn, format(printf, 1, 2)));

/* Allocation: fails the n-th call from now on, 1 is the next, 0 none. */
void	 fake_fail_at(unsigned int n);
unsigned int fake_alloc_calls(void);	/* since fake_fail_at() */
bool	 fake_failed(void);		/* the failure was dealt */
void	 fake_recycle(void);		/* freed pages come again at once */
uint64_t fake_kernel_pages(void);
uint64_t fake_allocs(void);
uint64_t fake_pins(void);
uint64_t fake_charged(void);
uint64_t fake_live_mutexes(void);
enum fake_page fake_page_kind(uint64_t pa);
uint64_t fake_page_pins(uint64_t pa);

/* Clients. */
struct host_as *fake_as_new(void);
void	 fake_as_use(struct host_as *);	/* of this thread from now on */
struct host_as *fake_as_current(void);
void	 fake_as_exit(struct host_as *);
void	 fake_memlock(uint64_t pages);
void	 fake_user_map(uint64_t va, uint64_t size, int flags);
void	 fake_user_unmap(uint64_t va, uint64_t size);
void	 fake_user_protect(uint64_t va, uint64_t size, bool writable);
void	*fake_user_ptr(uint64_t va);	/* the page under it, or NULL */
uint64_t fake_user_pa(uint64_t va);
void	 fake_user_write(uint64_t va, const void *, size_t);
void	 fake_user_read(uint64_t va, void *, size_t);
void	 fake_caller(int32_t pid, uint32_t uid, bool admin);

/* Threads, CPUs, signals. */
enum fake_context {
	FAKE_S,			/* may sleep */
	FAKE_E,			/* between enter_begin and enter_end */
	FAKE_C,			/* inside host_cpu_call */
};
#define FAKE_MAX_HELD	8
struct fake_thread {
	struct fake_thread	*next;
	enum fake_context	 context;
	unsigned int		 cpu;
	int			 signal;	/* atomic: one is pending */
	unsigned int		 nheld;
	struct host_mutex	*held[FAKE_MAX_HELD];
	bool			 in_fpu;
	bool			 holds_cpus;
	unsigned int		 yields;
	struct host_as		*as;
	struct host_caller	 caller;
	unsigned int		 asked;		/* calls of host_caller */
};
struct fake_thread *fake_self(void);
void	 fake_assert_context(const char *what, bool s, bool e, bool c);
void	 fake_cpus(unsigned int n);
void	 fake_cpu_online(unsigned int cpu, bool online);
bool	 fake_cpu_is_online(unsigned int cpu);
void	 fake_cpu_set(unsigned int cpu);	/* this thread's next CPU */
void	 fake_signal(struct fake_thread *);
void	 fake_signal_clear(struct fake_thread *);
bool	 fake_must_stop(void);		/* a signal for this thread */
/* `fn` on a CPU that comes or goes, as the host would call the driver. */
void	 fake_hotplug(unsigned int cpu, void (*)(void *), void *);
bool	 fake_cpus_held(void);	/* none comes or goes now */
bool	 fake_kicked(unsigned int cpu);
unsigned int fake_kicks(unsigned int cpu);	/* since reset */
unsigned int fake_nmis(void);
unsigned int fake_mces(void);
/* Before each host_cpu_call. */
void	 fake_call_hook(void (*fn)(unsigned int cpu));

/*
 * Called by host_enter_begin after it has checked for a signal, by host_yield,
 * and by host_mutex_lock when no lock is held: a test does there what another
 * thread could do just then.
 */
extern void (*fake_enter_hook)(void);
extern void (*fake_yield_hook)(void);
extern void (*fake_lock_hook)(const char *name);

/* Time and the log; a busy one drops what is `often`, until it is cleared. */
extern uint64_t fake_tsc_hz, fake_time;
extern bool fake_log_busy;
const char *fake_log(void);
bool	 fake_log_has(const char *);
void	 fake_log_clear(void);

/* What the calling thread's trace points have told. */
struct fake_trace {
	unsigned int	entries, exits, ioctls;
	uint32_t	vm, vcpu;		/* of the last entry */
	uint64_t	entry_rip, exit_rip;
	const char	*kind;
	uint64_t	code, info[2];
	uint32_t	nr, ioctl_vm;
	int		error;
};
extern _Thread_local struct fake_trace fake_trace;

#endif /* FAKE_HOST_H */
