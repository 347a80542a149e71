/* SPDX-License-Identifier: ISC */
/*
 * hostdep.h - what the fake host adds to host.h: its mutex.
 */
#ifndef FAKE_HOSTDEP_H
#define FAKE_HOSTDEP_H

#include <sys/ioctl.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define host_load_selector(sreg, sel) insn_load_selector(sreg, sel)

struct fake_thread;

struct host_mutex {
	uint32_t		 magic;		/* FAKE_MUTEX_LIVE */
	const char		*name;
	int			 rank;
	struct fake_thread	*owner;
	pthread_mutex_t		 mutex;
};

#endif /* FAKE_HOSTDEP_H */
