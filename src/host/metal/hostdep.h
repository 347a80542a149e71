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

#endif /* HOSTDEP_H */
