/* SPDX-License-Identifier: ISC */
/* hostdep.h - what src/vmm/host.h needs to know of this host. */
#ifndef HOSTDEP_H
#define HOSTDEP_H

struct thread;

/* The kernel is not preempted, so plain loads and stores do. thread.c */
struct host_mutex {
	struct thread	*owner;		/* NULL: free */
	const char	*name;
	int		 rank;
	int		 waiters;
};

#define host_load_selector(sreg, sel) insn_load_selector(sreg, sel)
/* GDB is the trace here. */
#define host_trace_entry(vm, vcpu, rip)			((void)0)
#define host_trace_exit(vm, vcpu, rip, kind, code, info)	((void)0)
#define host_trace_ioctl(nr, vm, error)			((void)0)

#endif /* HOSTDEP_H */
