/* SPDX-License-Identifier: ISC */
/*
 * bus.c - which device a port belongs to.
 */
#include <stdlib.h>

#include "dev.h"

void
bus_add(struct bus *b, uint16_t first, uint16_t count, bool bytes, io_fn *fn,
    void *dev)
{
	if (b->n == BUS_PORTS)
		abort();
	b->range[b->n++] = (struct bus_range){ first, count, bytes, fn, dev };
}

void
bus_remove(struct bus *b, void *dev)
{
	size_t i, n = 0;

	for (i = 0; i < b->n; i++)
		if (b->range[i].dev != dev)
			b->range[n++] = b->range[i];
	b->n = n;
}

static const struct bus_range *
bus_find(const struct bus *b, uint16_t port)
{
	size_t i;

	for (i = b->n; i-- > 0;)
		if ((uint16_t)(port - b->range[i].first) < b->range[i].count)
			return (&b->range[i]);
	return (NULL);
}

void
bus_do(struct bus *b, struct io *io)
{
	const struct bus_range *r = bus_find(b, io->port);
	struct io byte = { .size = 1, .in = io->in };
	unsigned int i;

	if (r != NULL && (io->size == 1 || !r->bytes)) {
		r->fn(r->dev, io);
		return;
	}
	if (io->in)
		io->data = io->size == 1 ? 0xff : 0;
	if (io->size == 1)
		return;
	for (i = 0; i < io->size; i++) {
		byte.port = io->port + i;
		byte.data = io->in ? 0 : io->data >> 8 * i & 0xff;
		bus_do(b, &byte);
		if (io->in)
			io->data |= (byte.data & 0xff) << 8 * i;
	}
}
