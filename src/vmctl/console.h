/* SPDX-License-Identifier: ISC */
/*
 * console.h - the other end of a VM's serial line, and of `vmctl console`.
 */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <sys/types.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define CONSOLE_KEPT	65536		/* bytes for who attaches later */
#define CONSOLE_PATIENCE 2

#define ESCAPE_MAX	128		/* bytes at a time */

/* `~.' and `~~' at the start of a line, as in cu(1). */
struct escape {
	enum { ESCAPE_TEXT, ESCAPE_LINE, ESCAPE_TILDE } at;
	bool	off;			/* not a person's terminal */
	bool	left;			/* `~.' was typed */
};

/* Who is attached: a socket, or this process's terminal. */
struct console_user {
	struct console	*console;
	int		 in, out;
	bool		 writing;	/* to `out', without the lock */
	struct escape	 escape;
};

/* The serial line, in the process that has the VM. All under `lock`. */
struct console {
	pthread_mutex_t	*lock;
	size_t		(*give)(void *arg, const uint8_t *, size_t);
	void		(*drained)(void *arg);
	void		(*left)(void *arg);	/* `~.' was typed here */
	void		*arg;
	struct console_user *user;	/* NULL: nobody is attached */
	bool		 blocked;	/* a byte was refused */
	bool		 end;		/* no more comes: write what is left */
	bool		 written;	/* and it is */
	uint64_t	 head, tail;	/* bytes put and taken so far */
	uint8_t		 ring[CONSOLE_KEPT];
	pthread_t	 writer;
	pthread_cond_t	 more, room;
};

/*
 * start: a writer thread. give: bytes typed, returns how many were taken, and
 *	console_room() tells when there is room again. drained: output that was
 *	refused may be tried again. Returns an errno.
 * attach: from now on this terminal or socket, which is closed at the end;
 *	who was before is told, and is not any more. What was kept comes first.
 *	Returns an errno.
 * put: a byte of output. false: try again when it has drained. Lock held.
 * room: give() may be called again. Lock held.
 * finish: write what is left to who is attached, if they take it within
 *	CONSOLE_PATIENCE seconds. Lock not held.
 */
int	console_start(struct console *);
int	console_attach(struct console *, int in, int out, bool person);
bool	console_put(struct console *, uint8_t);
void	console_room(struct console *);
void	console_finish(struct console *);

/*
 * filter: how many of the `n` bytes typed, at most ESCAPE_MAX, are for the
 *	guest, in place, where there is room for one more. What is behind `~.'
 *	is for nobody.
 * raw: the terminal on `fd`, if it is one, passes everything on; it comes
 *	back at exit(), and before a signal that ends the process.
 * client: terminal to socket and back, until `~.' (1), the VM hangs up (0),
 *	or what it says cannot be written (-1, errno).
 */
size_t	escape_filter(struct escape *, uint8_t *, size_t);
void	terminal_raw(int fd);
void	terminal_restore(void);
int	console_client(int sock);

#endif /* CONSOLE_H */
