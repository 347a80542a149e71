/* SPDX-License-Identifier: ISC */
/*
 * link.h - what passes between vmctl and its helper vmctl-slirp, over a pair
 * of sockets that keeps the bounds of packets: frames, as many in one packet
 * as there are. In front of each stands its length, in the machine's order.
 *
 * Most of what a small packet costs it costs for being one.
 */
#ifndef LINK_H
#define LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LINK_PACKET	32768		/* bytes, at most */

struct link {
	size_t		 len;		/* of what is in it */
	size_t		 at;		/* link_next has been here */
	uint8_t		 data[LINK_PACKET];
};

/* One more frame. Returns: false: there is no room for it. */
static inline bool
link_put(struct link *l, const void *frame, size_t len)
{
	uint16_t head = (uint16_t)len;

	if (len > UINT16_MAX || LINK_PACKET - l->len < sizeof(head) + len)
		return (false);
	memcpy(l->data + l->len, &head, sizeof(head));
	memcpy(l->data + l->len + sizeof(head), frame, len);
	l->len += sizeof(head) + len;
	return (true);
}

/* The next frame, of *len bytes. NULL: no more, or what is there is none. */
static inline const uint8_t *
link_next(struct link *l, size_t *len)
{
	const uint8_t *frame = l->data + l->at + sizeof(uint16_t);
	uint16_t head;

	if (l->len - l->at < sizeof(head))
		return (NULL);
	memcpy(&head, l->data + l->at, sizeof(head));
	if (l->len - l->at - sizeof(head) < head)
		return (NULL);
	l->at += sizeof(head) + head;
	*len = head;
	return (frame);
}

#endif /* LINK_H */
