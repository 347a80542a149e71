/* SPDX-License-Identifier: ISC */
/*
 * host.c - the rest of host.h: one CPU, entries, registers, log.
 */
#include "metal.h"

unsigned int
host_cpu_self(void)
{
	return (0);
}

unsigned int
host_cpu_count(void)
{
	return (1);
}

bool
host_cpu_is_online(unsigned int cpu)
{
	return (cpu == 0);
}

int
host_cpu_call(unsigned int cpu, void (*fn)(void *), void *arg)
{
	if (cpu == 0)
		host_cpu_call_all(fn, arg);
	return (cpu == 0 ? 0 : EINVAL);
}

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

bool
host_enter_begin(void)
{
	cli();
	if (!signal_pending(cur))
		return (true);
	sti();
	return (false);
}

void
host_enter_end(void)
{
	sti();
}

bool
host_must_stop(void)
{
	return (signal_pending(cur));
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

void
host_fpu_end(void)
{
}

/* The kernel uses no breakpoints, and clients have none. */
void
host_dr_restore(void)
{
	__asm__ volatile(
	    "mov %0, %%dr7; mov %1, %%dr6; mov %2, %%dr0; mov %2, %%dr1;"
	    "mov %2, %%dr2; mov %2, %%dr3"
	    : : "r"(0x400UL), "r"(0xffff0ff0UL), "r"(0UL));
}

/* One user, who is the administrator (decisions.md L2). */
void
host_caller(struct host_caller *c)
{
	*c = (struct host_caller){ .pid = 1, .uid = 0, .admin = true };
}

void
host_log(const char *fmt, ...)
{
	va_list ap;

	kprintf("vmm0: ");
	va_start(ap, fmt);
	kvprintf(fmt, ap);
	va_end(ap);
	kprintf("\n");
}

void
host_bug(const char *file, int line, const char *what)
{
	panic("%s:%d: %s", file, line, what);
}
