/* SPDX-License-Identifier: ISC */
/*
 * dev.h - what a virtual device is, to the monitor and to the tests.
 *
 * A device is a structure that its owner embeds, and functions on it. It
 * knows no thread, file or clock: whoever calls it holds the one lock of the
 * VM's devices, and it reaches the world through what is here. So a test is
 * as good an owner as the monitor.
 *
 * A guest is hostile: whatever it writes, a device neither reads nor writes
 * outside of its own structure and of guest memory, and returns soon.
 */
#ifndef DEV_H
#define DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * --- Ports: bus.c ---
 */

/* An access of 1, 2 or 4 bytes. data: what OUT writes; what IN reads. */
struct io {
	uint16_t	port;
	uint8_t		size;
	bool		in;
	uint32_t	data;
};
typedef void io_fn(void *dev, struct io *);

#define BUS_PORTS	32
struct bus {
	struct bus_range {
		uint16_t	 first, count;
		bool		 bytes;		/* take only size 1 */
		io_fn		*fn;
		void		*dev;
	} range[BUS_PORTS];
	size_t		 n;
};

/*
 * add: [first, +count) belongs to `dev` from now on; where ranges overlap the
 *	last one added wins. bytes: a wider access is made as several of one
 *	byte, low port first. More than BUS_PORTS ranges abort.
 * remove: the ranges of `dev`.
 * do: one access. Ports that nobody has read as ones and ignore writes.
 */
void	bus_add(struct bus *, uint16_t first, uint16_t count, bool bytes,
	    io_fn *, void *dev);
void	bus_remove(struct bus *, void *dev);
void	bus_do(struct bus *, struct io *);

/*
 * --- Lines: an output of one device is an input of another. ---
 */
struct line {
	void	(*set)(void *arg, int nr, bool level);	/* NULL: not wired */
	void	*arg;
	int	 nr;			/* of the input, for its owner */
};

static inline void
line_set(const struct line *l, bool level)
{
	if (l->set != NULL)
		l->set(l->arg, l->nr, level);
}

/*
 * --- Time: timer.c. In ns since the VM started. ---
 */
#define TIME_NEVER	UINT64_MAX
#define SECOND_NS	1000000000ULL

struct timer {
	void		(*fire)(void *arg);
	void		*arg;
	uint64_t	 at;		/* TIME_NEVER: not armed */
	struct timer	*next;
};

struct timers {
	uint64_t	(*now)(void *arg);
	void		*arg;
	void		(*changed)(void *arg);	/* an earlier one; or NULL */
	struct timer	*first;		/* by time; armed ones only */
};

/*
 * init: `t` fires fn(arg), once each time it was armed; not armed yet.
 * arm: at a time of the same clock; past times fire at the next run. Arming
 *	again moves it. TIME_NEVER: disarm.
 * run: fires all that are due, in the order of their times. A timer may arm
 *	itself again in fire().
 * next: when run has something to do: TIME_NEVER, if nothing is armed.
 */
uint64_t timers_now(const struct timers *);
void	 timer_init(struct timer *, void (*fn)(void *), void *arg);
void	 timer_arm(struct timers *, struct timer *, uint64_t at);
void	 timers_run(struct timers *);
uint64_t timers_next(const struct timers *);

/*
 * --- Guest memory: mem.c ---
 */
#define MEM_RANGES	16
struct mem {
	struct mem_range {
		uint64_t	 gpa, size;
		uint8_t		*host;
	} range[MEM_RANGES];
	size_t		 n;
};

/* Where [gpa, +len) is, if it lies in one range; else NULL. len 0: NULL. */
void	*mem_ptr(const struct mem *, uint64_t gpa, uint64_t len);

/* Tell the person who runs the VM, once: one line, no newline at its end. */
void	 dev_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* DEV_H */
