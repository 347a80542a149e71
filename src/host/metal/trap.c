/* SPDX-License-Identifier: ISC */
/*
 * trap.c - what happens on an exception, an interrupt and a system call.
 */
#include "metal.h"

enum { PF_WRITE = 0x02, PF_FETCH = 0x10 };	/* error code of #PF */
enum { MSR_MCG_CAP = 0x179, MSR_MCG_STATUS, MSR_MC0_STATUS = 0x401 };

static bool panicking;

/* "name+offset" of a kernel address, from the table that `make` embeds. */
static void
print_symbol(uint64_t addr)
{
	unsigned int i = 0;

	while (i + 1 < nksyms && ksyms[i + 1].addr <= addr)
		i++;
	if (addr < (uint64_t)kern_text || addr >= (uint64_t)kern_rodata)
		kprintf("  %016lx\n", addr);
	else
		kprintf("  %016lx %s+%#lx\n", addr, ksyms[i].name,
		    addr - ksyms[i].addr);
}

/* Follows the frame pointers and prints the return addresses. */
static void
backtrace(uint64_t fp)
{
	uint64_t next, ret;

	for (; fp >= DIRECT && fp % 8 == 0 && peek64(fp, &next) &&
	    peek64(fp + 8, &ret) && ret != 0; fp = next > fp ? next : 0)
		print_symbol(ret);
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
		"r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15", "rdi",
		"rsi", "rbp", "rbx", "rdx", "rax", "rcx", "vec", "err", "rip",
		"cs ", "rfl", "rsp", "ss ",
	};
	unsigned int i;

	if (panicking)
		machine_exit(EXIT_FAULT);
	panicking = true;
	kprintf("\nmetal: host fault: exception %lu, error %#lx, in the "
	    "kernel\n", f->vec, f->err);
	for (i = 0; i < ARRAY_LEN(names); i++)
		kprintf("%s %016lx%s", names[i], ((const uint64_t *)f)[i],
		    i % 4 == 3 ? "\n" : "  ");
	kprintf("cr2 %016lx  cr3 %016lx\n", read_cr(2), read_cr(3));
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
		error = as_fault(proc.as, va,
		    PTE_U | (f->err & PF_WRITE ? PTE_W : 0),
		    f->err & PF_FETCH ? PTE_NX : 0);
	if (error == 0)
		return (true);
	if (copy && va < USER_MAX)
		f->rip = (uint64_t)copy_fault;
	else if (f->rip == (uint64_t)peek64)
		f->rip = (uint64_t)peek_fault;
	else if (!FROM_USER(f))
		return (false);
	else {
		if (error == ENOMEM)
			kprintf("metal: out of memory at %#lx\n", va);
		signal_force(error == ENOMEM ? SIGKILL : SIGSEGV, va);
	}
	return (true);
}

/*
 * NMI: nobody sends one but a chipset that found memory or a bus bad, which
 * port 0x61 tells, and people with a button.
 */
static void
nmi(void)
{
	uint8_t why = in8(0x61);

	if ((why & 0xc0) != 0)
		panic("NMI: hardware error, port 0x61 reads %#x", why);
	kprintf("metal: NMI\n");
}

/*
 * The same for one that was a VM exit, which leaves the next NMI blocked
 * until an IRET (SDM Vol. 3C 27.5.5 "Updating Non-Register State"): the
 * handler's.
 */
void
host_nmi(void)
{
	__asm__ volatile("int %0" : : "i"(VEC_NMI) : "memory");
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

/*
 * Every vector comes here, interrupts off. An exception in ring 3 is a
 * signal, with Linux's choice of number.
 */
void
trap(struct frame *f)
{
	static const uint8_t signals[VEC_IRQ0] = {
		[0] = SIGFPE, [1] = SIGTRAP, [3] = SIGTRAP, [6] = SIGILL,
		[12] = SIGBUS, [16] = SIGFPE, [17] = SIGBUS, [19] = SIGFPE,
	};

	if (cpu_smap)		/* the CPU does not clear AC by itself */
		__asm__ volatile("clac" ::: "memory");
	if (f->vec == VEC_NMI) {
		nmi();
		return;			/* on its own stack: no scheduling */
	}
	if (f->vec == VEC_MC)
		host_mce();
	if (f->vec >= VEC_IRQ0)
		irq_handle(f->vec - VEC_IRQ0);
	else if (f->vec == VEC_PF ? !page_fault(f) : !FROM_USER(f))
		kernel_fault(f);
	else if (f->vec != VEC_PF)
		signal_force(signals[f->vec] ? signals[f->vec] : SIGSEGV,
		    f->rip);
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
		host_fpu_begin();
		fpu_load(cur->fpu);
		fpu_owner = cur;
	}
}
