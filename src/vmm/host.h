/* SPDX-License-Identifier: ISC */
/*
 * host.h - what the driver asks of an operating system, and what the
 * operating system asks of the driver.
 *
 * A host supplies <hostdep.h> with `struct host_mutex`, the freestanding
 * headers, <errno.h>, <string.h> (memcpy, memset, memcmp), <sys/ioctl.h>,
 * and every host_*() function below. Errors are positive errno values, 0 is
 * success. Nothing here depends on a vendor.
 *
 * Contexts, asserted by the fake host in tests/unit/fake:
 *   S  may sleep: called with interrupts and preemption on
 *   A  any: also between host_enter_begin() and host_enter_end()
 *   E  only between host_enter_begin() and host_enter_end()
 */
#ifndef VMM_HOST_H
#define VMM_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hostdep.h>

#define PAGE_SHIFT_4K	12
#define PAGE_SIZE_4K	4096UL

/* Sizes of user_take: 2^order pages. */
#define ORDER_4K	0
#define ORDER_2M	9
#define ORDER_1G	18

/* Where a view puts a line. */
typedef void vmm_put(void *arg, const char *name, const char *text,
    uint64_t value);

/*
 * --- Down: the driver calls the host. ---
 */

/*
 * Memory. All of it is zeroed; NULL is ENOMEM.
 * page_alloc: 2^order physically contiguous pages, aligned to their size.
 * page_free, free: NULL is nothing.
 * va_of/pa_of: only for memory of host_page_alloc() and host_user_take().
 */
void	*host_page_alloc(unsigned int order);			/* S */
void	 host_page_free(void *, unsigned int order);		/* S */
void	*host_alloc(size_t bytes);				/* S */
void	 host_free(void *);					/* S */
void	*host_va_of(uint64_t hpa);				/* A */
uint64_t host_pa_of(const void *);				/* A */

/*
 * Address spaces of clients, where guest memory lives (decisions.md F23,
 * C5, C6).
 * as_get: a reference to the caller's address space, with `pages` charged
 *	against its memory-lock limit. ENOMEM: over the limit, or no memory.
 * as_mapped: 0 when every page of [va, va+size) is mapped now, else EFAULT.
 * as_put: gives both back. The address space may be gone by then.
 * user_take: pins the page around `va` for reading and writing until
 *	user_release(), whatever the client does to its mapping. When
 *	`max_order` is not 0 and the aligned block of 2^max_order pages of
 *	client addresses around `va` is one physical block as aligned, all of
 *	it is taken: *order = max_order, *hpa = the block's start. Else
 *	*order = 0 and *hpa = the page. EFAULT: not mapped, a shared mapping
 *	that is not writable, memory of another kind than anonymous, memfd,
 *	shmem or hugetlbfs, or the address space is gone. ENOMEM.
 * user_release: gives back a block or, in any pieces, its parts; dirty.
 */
struct host_as;
int	 host_as_get(uint64_t pages, struct host_as **);		/* S */
int	 host_as_mapped(struct host_as *, uint64_t va, uint64_t size);	/* S */
void	 host_as_put(struct host_as *, uint64_t pages);			/* S */
int	 host_user_take(struct host_as *, uint64_t va, unsigned int max_order,
	    uint64_t *hpa, unsigned int *order);			/* S */
void	 host_user_release(uint64_t hpa, unsigned int order);		/* S */

/*
 * The memory of the client that is calling. EFAULT: some byte of it is not
 * mapped, not writable (copyout), or not a user address. A copy that fails
 * may have been done in part.
 */
int	 host_copyin(uint64_t uaddr, void *, size_t);		/* S */
int	 host_copyout(const void *, uint64_t uaddr, size_t);	/* S */

/*
 * Sleeping mutexes. `rank` orders them: a thread may only take a lock whose
 * rank is higher than that of every lock it holds.
 */
void	 host_mutex_init(struct host_mutex *, const char *name, int rank);
void	 host_mutex_destroy(struct host_mutex *);		/* S */
void	 host_mutex_lock(struct host_mutex *);			/* S */
void	 host_mutex_unlock(struct host_mutex *);		/* S */

/*
 * CPUs are numbered 0 .. host_cpu_count()-1, online or not.
 * cpu_self: stable only in context E and inside a host_cpu_call function.
 * cpu_call: runs fn(arg) on that CPU, interrupts off, and waits for it;
 *	EINVAL: that CPU is not online, fn did not run.
 * cpu_call_all: the same on each online CPU.
 * cpu_kick: makes that CPU leave guest mode soon; nothing if it is in none.
 * cpus_hold: until cpus_release no CPU comes online or goes offline: the host
 *	calls neither vmm_cpu_online() nor vmm_cpu_offline(). Taken before any
 *	mutex.
 */
unsigned int host_cpu_self(void);				/* A */
unsigned int host_cpu_count(void);				/* A */
void	 host_cpus_hold(void);					/* S */
void	 host_cpus_release(void);				/* S */
int	 host_cpu_call(unsigned int cpu, void (*)(void *), void *);	/* S */
void	 host_cpu_call_all(void (*)(void *), void *);		/* S */
void	 host_cpu_kick(unsigned int cpu);			/* A */

/*
 * Around one VM entry.
 * enter_begin: preemption and interrupts off. false, with both on again, if
 *	the calling thread has to stop (a signal is pending). A host_cpu_kick
 *	or a signal sent after it returned true forces an exit of the entry
 *	that follows, so none is lost.
 * enter_end: both on again; an interrupt that ended the guest runs now.
 * yield: lets others run if the scheduler asks for it.
 */
bool	 host_enter_begin(void);				/* S */
void	 host_enter_end(void);					/* E */
void	 host_yield(void);					/* S */

/*
 * Registers that the OS owns.
 * fpu_begin/end: between them the driver may use and overwrite all x87,
 *	SSE and AVX state; XCR0 must be the host's at both.
 * dr_restore: every entry loses DR6 and DR7; with `addresses` the guest's
 *	DR0-3 were loaded too. Puts back what the host uses of them.
 * cr4_set/clear: through the OS's own copy of CR4, on this CPU.
 * load_selector: of DS, ES, FS, GS or LDTR (VCPU_REGS_*) what the calling
 *	thread had there. A client can have made the descriptor invalid since;
 *	then null. A host whose clients cannot needs none of its own.
 * restore: after a VM exit, puts back what the CPU does not restore by
 *	itself (VMX: TSS limit, GDT and IDT limits). Before the
 *	guest's exit is looked at.
 */
void	 host_fpu_begin(void);					/* E */
void	 host_fpu_end(void);					/* E */
void	 host_dr_restore(bool addresses);			/* E */
void	 host_cr4_set(uint64_t bits);		/* in host_cpu_call */
void	 host_cr4_clear(uint64_t bits);		/* in host_cpu_call */
#ifndef host_load_selector
void	 host_load_selector(int sreg, uint16_t sel);		/* E */
#endif
void	 host_restore(void);					/* E */

/*
 * An NMI or #MC that ended the guest and that the CPU will not raise again.
 * nmi: NMIs are still blocked; it ends that with an IRET.
 */
void	 host_nmi(void);					/* E */
void	 host_mce(void);					/* E */

uint64_t host_tsc_hz(void);		/* A; 0 if not known */
uint64_t host_time_ns(void);		/* A; monotonic */

struct host_caller {
	int32_t		pid;
	uint32_t	uid;
	bool		admin;		/* may act on every VM */
};
void	 host_caller(struct host_caller *);			/* S */

/*
 * One line to the host's log; `fmt` has no newline. Of `often` lines, which a
 * client or its guest can cause, a host may drop what would fill its log.
 */
void	 host_log(bool often, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));		/* A */

/*
 * Trace points. A host without any makes them nothing in its <hostdep.h>.
 * entry, exit: of a VCPU, with the guest's RIP then; `kind` is the name of an
 *	enum vmexit_kind, `code` and `info` are the CPU's own words.	E
 * ioctl: request `nr`, 1 to 11, has returned `error`; `vm` is the id that it
 *	named or, of CREATE, made; 0: none.				S
 */
#ifndef host_trace_entry
void	 host_trace_entry(uint32_t vm, uint32_t vcpu, uint64_t rip);
void	 host_trace_exit(uint32_t vm, uint32_t vcpu, uint64_t rip,
	    const char *kind, uint64_t code, const uint64_t info[2]);
void	 host_trace_ioctl(uint32_t nr, uint32_t vm, int error);
#endif

/*
 * A broken invariant of the driver: says so and does not return. The trap is
 * for tools that look at the code and cannot know that.
 */
void	 host_bug(const char *file, int line, const char *what);	/* A */
#define HOST_BUG(what) \
	(host_bug(__FILE__, __LINE__, what), __builtin_trap())
#define HOST_ASSERT(c) \
	do { if (!(c)) HOST_BUG(#c); } while (0)

/*
 * --- Up: the host calls the driver. vmm.c ---
 *
 * attach: once, first, context S. Probes the CPU and prints the banner. On
 *	ENODEV the reason was logged and every later vmm_open() is ENODEV.
 * detach: when no file is open and no VM exists.
 * open/close: one vmm_file per open file description; close when its last
 *	descriptor goes. Context S.
 * ioctl: `cmd` as the client gave it, `arg` its pointer. Context S, by any
 *	number of threads at once. Returns 0 or a positive errno, never EINTR.
 * cpu_online/cpu_offline: on that CPU, interrupts off. online returns an
 *	errno if the CPU must not come up while VMs exist. Before the one and
 *	after the other nothing of the driver runs there: no entry, no
 *	host_cpu_call().
 * suspend: context S, no client thread runs before the machine is back. Every
 *	VM loses its CPU state, so all end. The next CREATE begins anew.
 * visit: calls fn for each VCPU of each live VM; context S.
 * view: one of the lists below, for debuggers, of every VM, newest first:
 *	put(arg, name, text, value) for each of its lines, name and text or,
 *	where text is NULL, name and value. "vm" and "vcpu" begin what is of
 *	one. It may sleep in put(). Context S.
 */
struct vmm_file;
struct vcpu;
int	 vmm_attach(void);
void	 vmm_detach(void);
int	 vmm_open(struct vmm_file **);
void	 vmm_close(struct vmm_file *);
int	 vmm_ioctl(struct vmm_file *, uint32_t cmd, uint64_t arg);
int	 vmm_cpu_online(unsigned int cpu);
void	 vmm_cpu_offline(unsigned int cpu);
void	 vmm_suspend(void);
void	 vmm_visit(void (*)(struct vcpu *, vmm_put *, void *), vmm_put *,
	    void *);

/* name, what it tells. Numbers are for people in vms, and in hex elsewhere. */
#define VMM_VIEWS(V)							\
	V(vms)		/* pages, and how often VCPUs exited for what */ \
	V(vcpus)	/* what the CPU holds of those that do not run */ \
	V(trace)	/* the last exits and requests (trace.c) */	\
	V(explain)	/* the rule that a refused entry broke */
enum {
#define V(name)	VMM_VIEW_##name,
	VMM_VIEWS(V)
#undef V
	VMM_NVIEWS,
};
extern const char *const vmm_views[VMM_NVIEWS];		/* their names */
void	 vmm_view(unsigned int, vmm_put *, void *arg);

#endif /* VMM_HOST_H */
