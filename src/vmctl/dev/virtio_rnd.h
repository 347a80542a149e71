/* SPDX-License-Identifier: ISC */
/*
 * virtio_rnd.h - entropy.
 */
#ifndef VIRTIO_RND_H
#define VIRTIO_RND_H

#include "virtio.h"

#define RND_QUEUE	8
#define RND_MAX		256		/* bytes for one request */

/* fill: with random bytes. It may give the lock back meanwhile. */
struct virtio_rnd {
	struct virtio	 virtio;
	void		(*fill)(void *arg, void *buf, size_t len);
	void		*arg;
};

/*
 * work: after a kick, by one thread: fill the buffers in the ring, each up to
 *	RND_MAX bytes. True: there may be more, and it is somebody else's turn.
 */
void	virtio_rnd_init(struct virtio_rnd *, const struct virtio_owner *,
	    void (*fill)(void *arg, void *buf, size_t len), void *arg);
bool	virtio_rnd_work(struct virtio_rnd *);

#endif /* VIRTIO_RND_H */
