/* SPDX-License-Identifier: ISC */
/*
 * virtio_net.c - a network card.
 */
#include <string.h>

#include "virtio_net.h"

static const struct virtio_kind net_kind = {
	.device = 0x1000,
	.type = 1,
	.class = 0x02000000,		/* Ethernet */
	.offered = NET_MAC,
	.size = { [NET_RX] = NET_QUEUE, [NET_TX] = NET_QUEUE },
};

void
virtio_net_init(struct virtio_net *n, const struct virtio_owner *owner,
    const struct virtio_net_link *link)
{
	virtio_init(&n->virtio, &net_kind, owner, n->link.mac,
	    sizeof(n->link.mac));
	n->link = *link;
}

/* Send the frame of the chain. What no Ethernet carries is dropped. */
static void
net_send(struct virtio_net *n)
{
	struct virtio *v = &n->virtio;
	const struct virtq_chain *c = &v->q[NET_TX].chain;
	size_t len;

	if (c->in != 0 || c->out < NET_HEADER || c->out > NET_CHAIN) {
		virtio_stop(v, NET_TX, "a frame of %llu bytes with room for"
		    " %llu", (unsigned long long)c->out,
		    (unsigned long long)c->in);
		return;
	}
	len = c->out - NET_HEADER;
	if (len >= NET_FRAME_MIN && len <= NET_FRAME) {
		virtq_read(v, NET_TX, NET_HEADER, n->frame, len);
		n->link.send(n->link.arg, n->frame, len);
	}
	virtq_push(v, NET_TX, 0);
}

bool
virtio_net_work(struct virtio_net *n)
{
	unsigned int i;

	for (i = 0; i < NET_QUEUE; i++) {
		if (!virtq_pop(&n->virtio, NET_TX))
			return (false);
		net_send(n);
	}
	return (true);
}

bool
virtio_net_receive(struct virtio_net *n, const void *frame, size_t len)
{
	static const uint8_t header[NET_HEADER];
	struct virtio *v = &n->virtio;
	const struct virtq_chain *c = &v->q[NET_RX].chain;

	if (len < NET_FRAME_MIN || len > NET_FRAME)
		return (true);
	if (!virtq_pop(v, NET_RX))
		return (false);
	if (c->out != 0 || c->in < NET_HEADER + NET_FRAME) {
		virtio_stop(v, NET_RX, "a buffer for a frame with %llu bytes"
		    " to read and room for %llu", (unsigned long long)c->out,
		    (unsigned long long)c->in);
		return (false);
	}
	virtq_write(v, NET_RX, 0, header, sizeof(header));
	virtq_write(v, NET_RX, sizeof(header), frame, len);
	virtq_push(v, NET_RX, (uint32_t)(sizeof(header) + len));
	return (true);
}
