/* SPDX-License-Identifier: ISC */
/* hostdep.h - what src/vmm/host.h needs to know of this host. */
#ifndef HOSTDEP_H
#define HOSTDEP_H

/* Room for a struct mutex of any configuration; cpu.c asserts that. */
struct host_mutex {
	unsigned long	room[32];
};

#endif /* HOSTDEP_H */
