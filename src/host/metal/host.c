/* SPDX-License-Identifier: ISC */
/*
 * host.c - the rest of host.h: one CPU, entries, registers, log.
 */
#include "metal.h"

/* There is one CPU. */
unsigned int
host_cpu_self(void)
{
	return (0);
}

/* The same. */
unsigned int
host_cpu_count(void)
{
	return (1);
}

/* The one CPU stays. */
void
host_cpus_hold(void)
{
}
void host_cpus_release(void) __attribute__((alias("host_cpus_hold")));

/* Returns: 0; EINVAL: no such CPU. */
int
host_cpu_call(unsigned int cpu, void (*fn)(void *), void *arg)
{
	if (cpu == 0)
		host_cpu_call_all(fn, arg);
	return (cpu == 0 ? 0 : EINVAL);
}

/* A call here: interrupts off around it. */
void
host_cpu_call_all(void (*fn)(void *), void *arg)
{
	cli();
	fn(arg);
	sti();
}

/* Who calls runs on the only CPU, so no guest does. */
void
host_cpu_kick(unsigned int cpu)
{
	(void)cpu;
}

/* A signal cannot come after the look at it: only interrupts send any. */
bool
host_enter_begin(void)
{
	cli();
	if (!signal_pending(cur))
		return (true);
	sti();
	return (false);
}

/* STI lets in the interrupt that ended the guest. */
void
host_enter_end(void)
{
	sti();
}

/*
 * The state of the client that was last in ring 3 stays in the CPU until
 * somebody else wants it; user_return() loads it again.
 */
void
host_fpu_begin(void)
{
	if (fpu_owner != NULL) {
		fpu_store(fpu_owner->fpu);
		fpu_owner = NULL;
	}
}

/* Nothing: see host_fpu_begin(). */
void host_fpu_end(void) __attribute__((alias("host_cpus_hold")));

/* The kernel and its clients use no breakpoints; no guest's stays armed. */
void
host_dr_restore(bool addresses)
{
	__asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0UL));
	if (addresses)
		__asm__ volatile("mov %0, %%dr0; mov %0, %%dr1;"
		    "mov %0, %%dr2; mov %0, %%dr3" : : "r"(0UL));
}

/* One user, who is the administrator (decisions.md L2). */
void
host_caller(struct host_caller *c)
{
	*c = (struct host_caller){ .pid = 1, .uid = 0, .admin = true };
}

/* The console is the log, and takes every line. */
void
host_log(bool often __attribute__((unused)), const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kvprintf(fmt, ap);
	va_end(ap);
	kprintf("\n");
}

/* As a panic of the kernel. */
void
host_bug(const char *file, int line, const char *what)
{
	panic("%s:%d: %s", file, line, what);
}
