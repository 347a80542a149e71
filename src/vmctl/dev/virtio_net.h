/* SPDX-License-Identifier: ISC */
/*
 * virtio_net.h - a network card without any help for the driver: no checksums,
 * no segmentation, one buffer for one frame.
 */
#ifndef VIRTIO_NET_H
#define VIRTIO_NET_H

#include "virtio.h"

#define NET_QUEUE	256
#define NET_RX		0		/* the rings */
#define NET_TX		1
#define NET_FRAME	1514		/* without the checksum */
#define NET_FRAME_MIN	14
#define NET_HEADER	10		/* in front of each; zeros */
#define NET_CHAIN	(NET_HEADER + 65536)

#define NET_MAC		(1 << 5)	/* the one feature */

/*
 * send: the guest sends this frame. It may give the lock back meanwhile. There
 *	is no error: what cannot be sent is lost, as frames are.
 */
struct virtio_net_link {
	uint8_t		 mac[6];
	void		(*send)(void *arg, const void *frame, size_t len);
	void		*arg;
};

struct virtio_net {
	struct virtio		 virtio;
	struct virtio_net_link	 link;
	uint8_t			 frame[NET_FRAME];
};

/*
 * work: after a kick for NET_TX, by one thread: send what is in the ring.
 *	True: there may be more, and it is somebody else's turn first.
 * receive: a frame for the guest. False: the guest has no buffer for it; a
 *	kick for NET_RX says that it may have one. Frames that are too long or
 *	too short are dropped, which counts as taken.
 */
void	virtio_net_init(struct virtio_net *, const struct virtio_owner *,
	    const struct virtio_net_link *);
bool	virtio_net_work(struct virtio_net *);
bool	virtio_net_receive(struct virtio_net *, const void *frame, size_t len);

#endif /* VIRTIO_NET_H */
