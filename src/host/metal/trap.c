/* SPDX-License-Identifier: ISC */
/*
 * trap.c - what happens on an exception, an interrupt and a system call.
 */
#include <string.h>

#include "metal.h"

#define PF_WRITE	0x02		/* error code of #PF */
#define PF_FETCH	0x10
#define MSR_MCG_CAP	0x179
#define MSR_MCG_STATUS	0x17a
#define MSR_MC0_STATUS	0x401

static bool panicking;

/* "name+offset" of a kernel address, from the table that `make` embeds. */
static void
print_symbol(uint64_t addr)
{
	unsigned int i = 0;

	while (i + 1 < nksyms && ksyms[i + 1].addr <= addr)
		i++;
	if (nksyms > 0 && addr >= (uint64_t)kern_text &&
	    addr < (uint64_t)kern_rodata)
		kprintf("  %016lx %s+%#lx\n", addr, ksyms[i].name,
		    addr - ksyms[i].addr);
	else
		kprintf("  %016lx\n", addr);
}

/* Follows the frame pointers and prints the return addresses. */
static void
backtrace(uint64_t fp)
{
	uint64_t next, ret;

	for (; fp >= DIRECT && fp % 8 == 0; fp = next) {
		if (!peek64(fp, &next) || !peek64(fp + 8, &ret) || ret == 0)
			break;
		print_symbol(ret);
		if (next <= fp)
			break;
	}
}

/* A broken invariant of the kernel or the driver. */
void
panic(const char *fmt, ...)
{
	va_list ap;

	cli();
	kprintf("\nmetal: panic: ");
	va_start(ap, fmt);
	kvprintf(fmt, ap);
	va_end(ap);
	kprintf("\n");
	if (!panicking) {
		panicking = true;
		backtrace((uint64_t)__builtin_frame_address(0));
	}
	machine_exit(EXIT_FAULT);
}

/* An exception in ring 0 that nothing expected. */
static void __attribute__((noreturn))
kernel_fault(const struct frame *f)
{
	static const char names[][4] = {
		"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF",
		"-9-", "#TS", "#NP", "#SS", "#GP", "#PF", "-15", "#MF", "#AC",
		"#MC", "#XM", "#VE", "#CP",
	};

	if (panicking)
		machine_exit(EXIT_FAULT);
	panicking = true;
	kprintf("\nmetal: host fault: %s (vector %lu, error %#lx) in the "
	    "kernel\n", f->vec < ARRAY_LEN(names) ? names[f->vec] : "?",
	    f->vec, f->err);
	kprintf("rip %016lx  rsp %016lx  rfl %016lx  cr2 %016lx\n"
	    "rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n"
	    "rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx\n"
	    "r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n"
	    "r13 %016lx  r14 %016lx  r15 %016lx  cr3 %016lx\n",
	    f->rip, f->rsp, f->rflags, read_cr(2), f->rax, f->rbx, f->rcx,
	    f->rdx, f->rsi, f->rdi, f->rbp, f->r8, f->r9, f->r10, f->r11,
	    f->r12, f->r13, f->r14, f->r15, read_cr(3));
	print_symbol(f->rip);
	backtrace(f->rbp);
	machine_exit(EXIT_FAULT);
}

/*
 * A page fault: the client's memory is filled at first touch, for the client
 * and for the kernel's copies alike.
 * Returns: false if it was in the kernel and nobody's.
 */
static bool
page_fault(struct frame *f)
{
	uint64_t va = read_cr(2);
	bool copy = f->rip == (uint64_t)copy_q || f->rip == (uint64_t)copy_b;
	int error = EFAULT;

	if ((FROM_USER(f) || copy) && va < USER_MAX && proc.as != NULL)
		error = as_fault(proc.as, va, f->err & PF_WRITE,
		    f->err & PF_FETCH);
	if (error == 0)
		return (true);
	if (copy && va < USER_MAX)
		f->rip = (uint64_t)copy_fault;
	else if (f->rip == (uint64_t)peek64)
		f->rip = (uint64_t)peek_fault;
	else if (!FROM_USER(f))
		return (false);
	else if (error == ENOMEM) {
		kprintf("metal: out of memory at %#lx\n", va);
		signal_force(SIGKILL, va);
	} else
		signal_force(SIGSEGV, va);
	return (true);
}

/* An exception in ring 3 is a signal, with Linux's choice of number. */
static void
user_fault(const struct frame *f)
{
	static const uint8_t signals[VEC_IRQ0] = {
		[0] = SIGFPE, [1] = SIGTRAP, [3] = SIGTRAP, [6] = SIGILL,
		[12] = SIGBUS, [16] = SIGFPE, [17] = SIGBUS, [19] = SIGFPE,
	};

	signal_force(signals[f->vec] != 0 ? signals[f->vec] : SIGSEGV,
	    f->rip);
}

/*
 * NMI: nobody sends one but a chipset that found memory or a bus bad, which
 * port 0x61 tells, and people with a button.
 */
void
host_nmi(void)
{
	uint8_t why = in8(0x61);

	if ((why & 0xc0) != 0)
		panic("NMI: hardware error, port 0x61 reads %#x", why);
	kprintf("metal: NMI\n");
}

/* #MC: shows the banks and stops; there is nothing to save. */
void
host_mce(void)
{
	unsigned int i, n = rdmsr(MSR_MCG_CAP) & 0xff;
	uint64_t status;

	for (i = 0; i < n; i++) {
		status = rdmsr(MSR_MC0_STATUS + 4 * i);
		if (status >> 63)
			kprintf("metal: machine check: bank %u status %#lx\n",
			    i, status);
	}
	panic("machine check, status %#lx", rdmsr(MSR_MCG_STATUS));
}

/* Every vector comes here, interrupts off. */
void
trap(struct frame *f)
{
	if (cpu_smap)		/* the CPU does not clear AC by itself */
		__asm__ volatile("clac" ::: "memory");
	if (f->vec == VEC_NMI) {
		host_nmi();
		return;			/* on its own stack: no scheduling */
	}
	if (f->vec == VEC_MC)
		host_mce();
	if (f->vec >= VEC_IRQ0)
		irq_handle(f->vec - VEC_IRQ0);
	else if (f->vec == VEC_PF ? !page_fault(f) : !FROM_USER(f))
		kernel_fault(f);
	else if (f->vec != VEC_PF)
		user_fault(f);
	if (FROM_USER(f))
		user_return(f);
}

/*
 * Before each return to ring 3: others may run, signals are delivered, the
 * FPU gets the client's state. Returns with interrupts off.
 */
void
user_return(struct frame *f)
{
	cli();
	while (resched || signal_pending(cur)) {
		sti();
		if (resched)
			schedule();
		if (signal_pending(cur))
			signal_deliver(f);
		cli();
	}
	if (fpu_owner != cur) {
		if (fpu_owner != NULL)
			fpu_store(fpu_owner->fpu);
		fpu_load(cur->fpu);
		fpu_owner = cur;
	}
}
