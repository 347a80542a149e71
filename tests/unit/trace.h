/* SPDX-License-Identifier: ISC */
/*
 * trace.h - one page watched access by access: what another CPU could see or
 * do between two accesses becomes certain instead of likely. The page faults,
 * the handler opens it for one instruction, and calls back after that.
 *
 * Needs _GNU_SOURCE before the first #include.
 */
#ifndef TRACE_H
#define TRACE_H

#include <sys/mman.h>

#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include "unit.h"

#define TRACE_TF	0x100

static void		*trace_page;
static unsigned int	 trace_count;		/* accesses so far */
static void		(*trace_after)(unsigned int n);

static void
trace_fault(int sig, siginfo_t *si, void *context)
{
	ucontext_t *uc = context;

	if (((uintptr_t)si->si_addr & ~(PAGE_SIZE_4K - 1)) !=
	    (uintptr_t)trace_page) {
		signal(sig, SIG_DFL);
		return;
	}
	mprotect(trace_page, PAGE_SIZE_4K, PROT_READ | PROT_WRITE);
	uc->uc_mcontext.gregs[REG_EFL] |= TRACE_TF;
}

static void
trace_step(int sig, siginfo_t *si, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)si;
	uc->uc_mcontext.gregs[REG_EFL] &= ~TRACE_TF;
	trace_after(++trace_count);
	mprotect(trace_page, PAGE_SIZE_4K, PROT_NONE);
}

/* From now on `after` is called after each access to that page. */
static void
trace_watch(void *page, void (*after)(unsigned int n))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_flags = SA_SIGINFO;
	sa.sa_sigaction = trace_fault;
	sigaction(SIGSEGV, &sa, NULL);
	sa.sa_sigaction = trace_step;
	sigaction(SIGTRAP, &sa, NULL);
	trace_page = page;
	trace_count = 0;
	trace_after = after;
	mprotect(trace_page, PAGE_SIZE_4K, PROT_NONE);
}

/* The same, of the page of `gpa`. */
static inline void
trace_start(uint64_t gpa, void (*after)(unsigned int n))
{
	trace_watch(fake_user_ptr(GUEST_VA + (gpa & ~(PAGE_SIZE_4K - 1))),
	    after);
}

static void
trace_stop(void)
{
	mprotect(trace_page, PAGE_SIZE_4K, PROT_READ | PROT_WRITE);
	trace_page = NULL;
}

#endif /* TRACE_H */
