/* SPDX-License-Identifier: ISC */
/*
 * metal.h - what the files of this kernel share.
 *
 * One CPU, one client process, a kernel that is not preempted: a thread in
 * the kernel runs until it sleeps, yields or returns to ring 3. Interrupt
 * handlers only set flags and fill the console's ring, so nothing else needs
 * a lock. System calls run with interrupts on, except where said.
 *
 * Linear addresses:
 *	0 .. USER_MAX		the client, its own page tables
 *	DIRECT + pa		physical memory, writable, no-execute
 *	KSTACKS + n * 16 KiB	kernel stacks, the lowest page not mapped
 *	KERNBASE + pa		the kernel: text r-x, rodata r--, data rw-
 */
#ifndef METAL_H
#define METAL_H

#define KERNBASE	0xffffffff80000000
#define DIRECT		0xffff888000000000
#define KSTACKS		0xffffc90000000000
#define USER_MAX	0x00007ffffffff000

#define KCODE_SEL	0x08
#define KDATA_SEL	0x10
#define USER32_SEL	0x18		/* SYSRET counts from here */
#define UDATA_SEL	0x23
#define UCODE_SEL	0x2b
#define TSS_SEL		0x30

#define VEC_NMI		2
#define VEC_DF		8
#define VEC_PF		14
#define VEC_MC		18
#define VEC_IRQ0	32		/* 8259: vectors 32-47 */
#define VEC_SYSCALL	256		/* frame.vec: return by SYSRET */
#define VEC_IRET	257		/* return by IRET */
#define VEC_RESTART	258		/* so, to the call again */
#define ERROR_CODE_VECTORS 0x60227d00	/* 8, 10-14, 17, 21, 29, 30 */

#define FRAME_VEC	120		/* offsetof(struct frame, vec) */

#ifndef __ASSEMBLER__
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "host.h"

#define PAGE_SIZE	4096UL
#define BLOCK_SIZE	0x200000UL	/* a large page */
#define BLOCK_ORDER	9
#define NSEC		1000000000UL
#define round_up(x, a)	(((x) + (a) - 1) & ~((a) - 1))
#define round_down(x, a) ((x) & ~((a) - 1))
#define min(a, b)	((a) < (b) ? (a) : (b))
#define max(a, b)	((a) > (b) ? (a) : (b))
#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

/* The registers of an interrupted program, in Linux's order of a ucontext. */
struct frame {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx;
	uint64_t vec, err;		/* system call: err is its number */
	uint64_t rip, cs, rflags, rsp, ss;
};
enum {
	RFLAGS_TF = 0x100, RFLAGS_IF = 0x200, RFLAGS_DF = 0x400,
	RFLAGS_NT = 0x4000, RFLAGS_AC = 0x40000,
};
#define FROM_USER(f)	(((f)->cs & 3) == 3)

/* --- Instructions. STI holds interrupts off for one more. --- */
#define cli()		__asm__ volatile("cli" ::: "memory")
#define sti()		__asm__ volatile("sti; nop" ::: "memory")
#define rdtsc()		__builtin_ia32_rdtsc()
#define wait_irq()	__asm__ volatile("sti; hlt; cli" ::: "memory")
#define out8(port, v)	__asm__ volatile("outb %b0, %w1" : : "a"(v), "Nd"(port))
#define out16(port, v)	__asm__ volatile("outw %w0, %w1" : : "a"(v), "Nd"(port))
#define out32(port, v)	__asm__ volatile("outl %k0, %w1" : : "a"(v), "Nd"(port))
#define read_cr(n)	({ uint64_t v_; \
	__asm__ volatile("mov %%cr" #n ", %0" : "=r"(v_)); v_; })
#define write_cr(n, v)	__asm__ volatile("mov %0, %%cr" #n \
	    : : "r"((uint64_t)(v)) : "memory")

#define in8(port)	({ uint8_t v_; \
	__asm__ volatile("inb %w1, %0" : "=a"(v_) : "Nd"(port)); v_; })
#define rdmsr(msr)	({ uint32_t lo_, hi_; \
	__asm__ volatile("rdmsr" : "=a"(lo_), "=d"(hi_) : "c"(msr)); \
	(uint64_t)hi_ << 32 | lo_; })
#define wrmsr(msr, v)	__asm__ volatile("wrmsr" : : "c"(msr), "a"(v), \
	    "d"((uint64_t)(v) >> 32) : "memory")

/* --- boot.S, metal.ld, ksyms, main.c --- */
extern char kern_text[], kern_rodata[], kern_data[], kern_end[];
extern const struct ksym { uint64_t addr; const char *name; } ksyms[];
extern const unsigned int nksyms;
extern uint32_t mod_start, mod_end;	/* the boot archive, physical */
void	 kmain(uint32_t, uint32_t) __attribute__((noreturn));

/* --- trap.S, trap.c --- */
extern char isr_stubs[], syscall_entry[], thread_tramp[];
extern char copy_q[], copy_b[], copy_fault[], peek_fault[];
int	 copy_user(void *, const void *, size_t);	/* 0 or EFAULT */
bool	 peek64(uint64_t, uint64_t *);		/* false: not mapped */
void	 switch_to(uint64_t *, uint64_t);
void	 trap(struct frame *);
void	 syscall_dispatch(struct frame *);
void	 user_return(struct frame *);
void	 panic(const char *, ...)
	    __attribute__((noreturn, format(printf, 1, 2)));

/* --- cpu.c --- */
#define MSR_FS_BASE	0xc0000100
extern bool cpu_smap;
extern uint64_t cpu_nx;			/* PTE_NX, or 0 */
extern uint32_t fpu_size;		/* bytes of a saved FPU state */
extern uint64_t cpu_xcr0;		/* 0: FXSAVE only */
extern uint64_t syscall_rsp0;
void	 cpu_init(void);
void	 cpu_set_stack(uint64_t);
void	 fpu_fresh(void *);
void	 fpu_store(void *);
void	 fpu_load(const void *);

/* --- time.c --- */
#define HZ		100
extern volatile uint64_t ticks;
void	 time_init(void);
void	 irq_handle(unsigned int);

/* --- console.c --- */
#define COM1		0x3f8
#define LINE_MAX	512		/* of formatted text */
extern char tty_chan;			/* readers sleep here */
void	 console_init(void);
void	 console_write(const char *, size_t);
void	 kvprintf(const char *, va_list);
void	 kprintf(const char *, ...) __attribute__((format(printf, 1, 2)));
size_t	 ksprintf(char *, const char *, ...);
void	 tty_irq(void);
void	 tty_input(void);
bool	 tty_ready(void);
long	 tty_read(uint64_t, size_t);
long	 tty_ioctl(uint32_t, uint64_t);

/* --- power.c --- */
#define EXIT_FAULT	(-1)		/* the kernel or the driver is broken */
void	 power_init(void);
void	 machine_exit(int) __attribute__((noreturn));

/* --- page.c --- */
extern uint64_t pages_free, pages_total;
#define va_of(pa)	((void *)(DIRECT + (uint64_t)(pa)))
#define pa_of(va)	((uint64_t)(va) - DIRECT)
uint64_t page_init(uint64_t, uint64_t);
void	 page_add(uint64_t, uint64_t);
void	 page_count(uint64_t, unsigned int, int);

/* --- as.c --- */
enum {
	PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_UC = 0x18 /* PCD and PWT */,
	PTE_PS = 0x80, PTE_G = 0x100,
	PTE_MAPPED = 0x200,		/* software: a client's leaf */
	PTE_SHARED = 0x400,		/* software: MAP_SHARED */
};
#define PTE_NX		(1UL << 63)
#define PTE_ADDR	0x000ffffffffff000UL
enum { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, PROT_ALL = 7 };
struct host_as {
	uint64_t	*pml4;		/* NULL: the client is gone */
	uint64_t	 locked;	/* pages charged, C6 */
	int		 refs;
};
enum as_op { AS_NOTHING, AS_MAP, AS_UNMAP, AS_PROTECT, AS_FORGET };
extern uint64_t *kernel_pml4;
uint64_t *pt_walk(uint64_t, int);
void	 pt_map_kernel(uint64_t, uint64_t, uint64_t, uint64_t);
void	 pt_init(void);
struct host_as *as_new(void);
void	 as_destroy(struct host_as *);
int	 as_apply(uint64_t *, int, uint64_t, uint64_t, enum as_op, uint64_t);
int	 as_range(enum as_op, uint64_t, uint64_t, uint64_t);
uint64_t as_flags(uint64_t);
int	 as_fault(struct host_as *, uint64_t, uint64_t, uint64_t);
uint64_t as_place(struct host_as *, uint64_t, uint64_t);

/* --- thread.c --- */
struct thread {
	struct thread	*next;		/* ring of all threads */
	enum { T_READY, T_SLEEPING, T_DEAD } state;
	int		 tid, slot;
	uint64_t	 ksp;		/* while it does not run */
	struct frame	*frame;		/* at the top of its kernel stack */
	void		*fpu;
	/* Sleep: on what, until when (ns, 0: for ever), why it ended. */
	const void	*chan;
	uint64_t	 deadline;
	bool		 interruptible;
	int		 wake_error;
	/* Signals, bit n-1; si_addr of SIGSEGV and the like. */
	uint64_t	 pending, mask, fault_addr;
	uint64_t	 fsbase, clear_tid;
};
extern struct thread *cur;
extern struct thread *fpu_owner;	/* whose state the CPU holds */
extern volatile bool resched;
#define FOREACH_THREAD(t) \
	for (t = cur->next; t != NULL; t = t == cur ? NULL : t->next)
struct thread *thread_create(void (*)(struct frame *));
void	 thread_exit(void) __attribute__((noreturn));
void	 thread_first(void (*)(struct frame *)) __attribute__((noreturn));
void	 thread_begin(struct frame *);
void	 schedule(void);
int	 sleep_on(const void *, uint64_t, bool);
int	 wakeup(const void *, int, const void *);

/* --- proc.c, signal.c --- */
#define NSIG		64
struct sigaction {
	uint64_t	handler, flags, restorer, mask;
};
struct proc {
	struct host_as	*as;
	int		 nthreads, status;
	bool		 exiting;
	uint64_t	 pending;	/* signals to any thread */
	struct sigaction act[NSIG + 1];
	uint64_t	 pages_before;	/* free, before the client */
};
extern struct proc proc;
enum {
	SIGINT = 2, SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8,
	SIGKILL = 9, SIGSEGV = 11,
};
#define SIGBIT(n)	(1UL << ((n) - 1))
#define ERESTART	512		/* EINTR, or again after a handler */
#define SYSCALL_LEN	2
#define signal_pending(t) \
	((((t)->pending | proc.pending) & ~(t)->mask) != 0)
void	 proc_main(char *, struct frame *);
void	 proc_exit(int) __attribute__((noreturn));
void	 signal_send(struct thread *, int);
void	 signal_force(int, uint64_t);
void	 signal_deliver(struct frame *);

/* --- file.c --- */
const char *archive_find(const char *, uint64_t *);
void	 files_close(void);

/* --- System calls: arguments in the frame, the result for RAX. --- */
typedef long syscall_fn(struct frame *);
int	 time_copyin(uint64_t, uint64_t *);
syscall_fn sys_mmap, sys_memory;
syscall_fn sys_fd, sys_ioctl, sys_open, sys_poll;
syscall_fn sys_exit, sys_clone, sys_futex, sys_arch_prctl;
syscall_fn sys_rt_sigaction, sys_rt_sigprocmask, sys_rt_sigreturn, sys_kill;

#endif /* !__ASSEMBLER__ */
#endif /* METAL_H */
