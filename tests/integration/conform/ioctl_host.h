/* SPDX-License-Identifier: ISC */
/*
 * ioctl_host.h - what the clauses share that need a host with processes,
 * users and CPUs.
 *
 * A child is a process made by fork. What it finds wrong it tells by MUST and
 * MUST_EQ, which end it: the clause fails where the parent next hears from it
 * or waits for it. CHECK is for the clause's own process only.
 */
#ifndef IOCTL_HOST_H
#define IOCTL_HOST_H

#include <sys/types.h>

#include "ioctl_util.h"

/* Skips the clause on metal. Each clause here begins with it. */
void	not_on_metal(const char *why);

struct child {
	pid_t	 pid;
	int	 tell[2], hear[2];	/* pipes, as the parent sees them */
};

/* In the parent. end: it must come to its end by itself. */
void	 child_start(struct child *, void (*)(struct child *));
void	 child_tell(struct child *, uint64_t);
uint64_t child_hear(struct child *);
void	 child_end(struct child *);
void	 child_kill(struct child *);

/* In the child. */
void	 tell_parent(struct child *, uint64_t);
uint64_t hear_parent(struct child *);

#define MUST(c)		child_must(!!(c), 1, #c, __FILE__, __LINE__)
#define MUST_EQ(got, want) \
	child_must((uint64_t)(got), (uint64_t)(want), #got " == " #want, \
	    __FILE__, __LINE__)
void	child_must(uint64_t got, uint64_t want, const char *expr,
	    const char *file, int line);

/* The number behind a word of a file, 0 if there is none. */
uint64_t file_number(const char *path, const char *word);

/* Writes a text to a file that exists. 0 or the errno. */
int	file_write(const char *path, const char *text);

extern const struct clause ioctl_users[], ioctl_memory[], ioctl_cpus[];
extern const struct clause ioctl_thread[];

#endif /* IOCTL_HOST_H */
