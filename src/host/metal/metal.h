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
 *	KSTACKS + n * 32 KiB	kernel stacks: 16 KiB unmapped, 16 KiB stack
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

#define VEC_IRQ0	32		/* 8259: vectors 32-47 */
#define VEC_SYSCALL	256		/* frame.vec: return by SYSRET */
#define VEC_IRET	257		/* return by IRET */

#define FRAME_VEC	120		/* offsetof(struct frame, vec) */

#ifndef __ASSEMBLER__
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host.h"

#define PAGE_SIZE	4096UL
#define BLOCK_SIZE	0x200000UL	/* a large page */
#define BLOCK_ORDER	9
#define round_up(x, a)	(((x) + (a) - 1) & ~((a) - 1))
#define round_down(x, a) ((x) & ~((a) - 1))
#define min(a, b)	((a) < (b) ? (a) : (b))
#define max(a, b)	((a) > (b) ? (a) : (b))
#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

/* The registers of an interrupted program, as trap.S stacks them. */
struct frame {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
	uint64_t rax, rcx, rdx, rsi, rdi;
	uint64_t vec;
	uint64_t err;			/* system call: the number */
	uint64_t rip, cs, rflags, rsp, ss;
};
#define RFLAGS_IF	0x200UL
#define RFLAGS_DF	0x400UL
#define RFLAGS_TF	0x100UL
#define RFLAGS_AC	0x40000UL
#define FROM_USER(f)	(((f)->cs & 3) == 3)

/* --- Instructions --- */
static inline void
cli(void)
{
	__asm__ volatile("cli" ::: "memory");
}

static inline void
sti(void)
{
	/* STI holds interrupts off for one more instruction. */
	__asm__ volatile("sti; nop" ::: "memory");
}

static inline void
out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void
out16(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline void
out32(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint8_t
in8(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return (v);
}

static inline uint16_t
in16(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return (v);
}

static inline uint64_t
rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return ((uint64_t)hi << 32 | lo);
}

static inline void
wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v),
	    "d"((uint32_t)(v >> 32)) : "memory");
}

static inline void
cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	__asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]),
	    "=d"(r[3]) : "a"(leaf), "c"(sub));
}

static inline uint64_t
rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return ((uint64_t)hi << 32 | lo);
}

static inline uint64_t
read_cr3(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr3, %0" : "=r"(v));
	return (v);
}

static inline void
write_cr3(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(v) : "memory");
}

/* --- boot.S, metal.ld, ksyms --- */
extern char kern_text[], kern_rodata[], kern_data[], kern_end[];
struct ksym {
	uint64_t	 addr;
	const char	*name;
};
extern const struct ksym ksyms[];
extern const unsigned int nksyms;

/* --- trap.S --- */
extern char isr_stubs[], syscall_entry[], thread_tramp[];
extern char copy_q[], copy_b[], copy_fault[], peek_mov[], peek_fault[];
int	 copy_user(void *, const void *, size_t);	/* 0 or EFAULT */
bool	 peek64(uint64_t, uint64_t *);		/* false: not mapped */
void	 switch_to(uint64_t *, uint64_t);

/* --- main.c --- */
void	 kmain(uint32_t, uint32_t) __attribute__((noreturn));
extern uint32_t mod_start, mod_end;	/* the boot archive, physical */

/* --- cpu.c --- */
extern bool cpu_smap, cpu_gbpages;
extern uint64_t cpu_nx;			/* PTE_NX, or 0 */
extern size_t fpu_size;			/* bytes of a saved FPU state */
extern uint64_t host_xcr0;		/* 0: FXSAVE only */
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

/* --- trap.c --- */
void	 trap(struct frame *);
void	 syscall_dispatch(struct frame *);
void	 user_return(struct frame *);
void	 panic(const char *, ...)
	    __attribute__((noreturn, format(printf, 1, 2)));

/* --- console.c --- */
void	 console_init(void);
void	 console_write(const char *, size_t);

void	 kvprintf(const char *, va_list);
void	 kprintf(const char *, ...) __attribute__((format(printf, 1, 2)));
size_t	 ksnprintf(char *, size_t, const char *, ...)
	    __attribute__((format(printf, 3, 4)));

/* --- tty.c --- */
void	 tty_irq(void);
void	 tty_input(void);
bool	 tty_ready(void);
extern char tty_chan;
long	 tty_read(uint64_t, size_t);
long	 tty_ioctl(uint32_t, uint64_t);

/* --- power.c --- */
void	 power_init(void);
void	 machine_exit(int) __attribute__((noreturn));
#define EXIT_FAULT	(-1)

/* --- page.c --- */
extern uint64_t pages_free, pages_total;
void	 page_init(uint64_t, uint64_t);
uint64_t page_array_size(uint64_t);
void	 page_add(uint64_t, uint64_t);
void	 page_ref(uint64_t, unsigned int);
void	 page_unref(uint64_t, unsigned int);

static inline void *
va_of(uint64_t pa)
{
	return ((void *)(DIRECT + pa));
}

static inline uint64_t
pa_of(const void *va)
{
	return ((uint64_t)va - DIRECT);
}

/* --- pt.c --- */
#define PTE_P		0x001UL
#define PTE_W		0x002UL
#define PTE_U		0x004UL
#define PTE_PCD		0x018UL		/* with PWT: uncached */
#define PTE_PS		0x080UL
#define PTE_G		0x100UL
#define PTE_NONE	0x200UL		/* software: PROT_NONE, not present */
#define PTE_NX		(1UL << 63)
#define PTE_ADDR	0x000ffffffffff000UL
#define PTE_VALID	(PTE_P | PTE_NONE)
extern uint64_t *kernel_pml4;
uint64_t *pt_walk(uint64_t *, uint64_t, int, bool);
uint64_t *pt_leaf(uint64_t *, uint64_t, int *);
int	 pt_split(uint64_t *, uint64_t);
#define PT_UNMAP	(~0UL)
bool	 pt_apply(uint64_t *, int, uint64_t, uint64_t, uint64_t);
void	 pt_map_kernel(uint64_t, uint64_t, uint64_t, uint64_t);
void	 pt_init(void);

/* --- as.c --- */
#define VM_R		1		/* as PROT_* */
#define VM_W		2
#define VM_X		4
#define VM_SHARED	0x10
#define VM_FILE		0x20		/* of a file: no guest memory */
#define VM_SMALL	0x40		/* no 2 MiB blocks */
struct vma {
	struct vma	*next;		/* by address */
	uint64_t	 start, end;
	uint32_t	 flags;
	const char	*data;		/* contents at start, or NULL */
	uint64_t	 data_len;
};
struct host_as {
	uint64_t	*pml4;
	struct vma	*vmas;
	struct vma	*hint;		/* the last one found */
	uint64_t	 locked;	/* pages charged, C6 */
	uint64_t	 brk_start, brk;
	int		 refs;
};
struct host_as *as_new(void);
void	 as_destroy(struct host_as *);
struct vma *as_find(struct host_as *, uint64_t);
int	 as_map(struct host_as *, uint64_t, uint64_t, uint32_t, const char *,
	    uint64_t);
int	 as_unmap(struct host_as *, uint64_t, uint64_t);
int	 as_change(struct host_as *, uint64_t, uint64_t, uint32_t, uint32_t);
int	 as_forget(struct host_as *, uint64_t, uint64_t);
int	 as_fault(struct host_as *, uint64_t, uint32_t);
int	 as_touch(struct host_as *, struct vma *, uint64_t);
uint64_t as_place(struct host_as *, uint64_t, uint64_t);

/* --- thread.c --- */
enum thread_state { T_READY, T_SLEEPING, T_DEAD };
struct thread {
	struct thread	*next;		/* ring of all threads */
	uint64_t	 ksp;
	uint64_t	 kstack;	/* top */
	int		 slot;		/* of the kernel stack */
	int		 tid;
	enum thread_state state;
	bool		 interruptible;
	int		 wake_error;
	const void	*chan;
	uint64_t	 deadline;	/* ns; 0: none */
	uint64_t	 pending;	/* signals, bit n-1 */
	uint64_t	 mask;
	uint64_t	 saved_mask;	/* sigsuspend, ppoll */
	bool		 restore_mask;
	uint64_t	 fsbase, gsbase;
	uint64_t	 clear_tid;
	uint64_t	 altstack, altsize;
	uint64_t	 fault_addr;	/* si_addr of SIGSEGV and the like */
	void		*fpu;
};
extern struct thread *cur;
extern struct thread *fpu_owner;	/* whose state the CPU holds */
extern volatile bool resched;
struct thread *thread_create(void (*)(struct frame *));
void	 thread_exit(void) __attribute__((noreturn));
void	 thread_start_first(struct thread *) __attribute__((noreturn));
void	 thread_begin(struct frame *);
struct thread *thread_find(int);
void	 thread_each(void (*)(struct thread *, void *), void *);
void	 schedule(void);
int	 sleep_on(const void *, uint64_t, bool);
int	 wakeup(const void *, int);
int	 wakeup_move(const void *, const void *, int);

/* Of a thread's first words on its kernel stack. */
static inline struct frame *
thread_frame(const struct thread *t)
{
	return ((struct frame *)t->kstack - 1);
}

/* --- proc.c --- */
#define NSIG		64
struct sigaction {
	uint64_t	handler;
	uint64_t	flags;
	uint64_t	restorer;
	uint64_t	mask;
};
struct proc {
	struct host_as	*as;
	int		 nthreads;
	bool		 exiting;
	int		 status;
	uint64_t	 pending;	/* signals to any thread */
	struct sigaction act[NSIG];
	uint64_t	 pages_before;	/* free, before the client */
};
extern struct proc proc;
void	 proc_main(char *, struct frame *);
void	 proc_exit(int) __attribute__((noreturn));

/* --- exec.c --- */
int	 exec_load(char **, unsigned int, struct frame *);

/* --- signal.c --- */
#define ERESTART	512		/* EINTR, or again after a handler */
#define SIGINT		2
#define SIGILL		4
#define SIGTRAP		5
#define SIGBUS		7
#define SIGFPE		8
#define SIGKILL		9
#define SIGSEGV		11
#define SIGBIT(n)	(1UL << ((n) - 1))
static inline bool
signal_pending(const struct thread *t)
{
	return (((t->pending | proc.pending) & ~t->mask) != 0);
}
void	 signal_send(struct thread *, int);
void	 signal_force(int, uint64_t);
int	 signal_swap_mask(uint64_t, uint64_t);
void	 signal_deliver(struct frame *);

/* --- file.c --- */
const char *archive_find(const char *, size_t *);
void	 files_init(void);
void	 files_close(void);

/* --- syscall.c, and the calls by subject --- */
typedef long syscall_fn(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
	    uint64_t);
extern syscall_fn *const syscalls[];
extern const unsigned int nsyscalls;

#endif /* !__ASSEMBLER__ */
#endif /* METAL_H */
