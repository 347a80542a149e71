/* SPDX-License-Identifier: ISC */
/*
 * virtio_rnd.c - entropy, a few bytes at a time.
 */
#include "virtio_rnd.h"

static const struct virtio_kind rnd_kind = {
	.device = 0x1005,
	.type = 4,
	.class = 0xff000000,		/* no class has it */
	.size = { RND_QUEUE },
};

void
virtio_rnd_init(struct virtio_rnd *r, const struct virtio_owner *owner,
    void (*fill)(void *arg, void *buf, size_t len), void *arg)
{
	virtio_init(&r->virtio, &rnd_kind, owner, NULL, 0);
	r->fill = fill;
	r->arg = arg;
}

static void
rnd_request(struct virtio_rnd *r)
{
	struct virtio *v = &r->virtio;
	const struct virtq_chain *c = &v->q[0].chain;
	size_t len = c->in < RND_MAX ? c->in : RND_MAX;
	uint8_t buf[RND_MAX];

	if (c->out != 0) {
		virtio_stop(v, 0, "%llu bytes to read, none are wanted",
		    (unsigned long long)c->out);
		return;
	}
	r->fill(r->arg, buf, len);
	if (virtq_stale(v, 0))
		return;
	virtq_write(v, 0, 0, buf, len);
	virtq_push(v, 0, (uint32_t)len);
}

bool
virtio_rnd_work(struct virtio_rnd *r)
{
	unsigned int i;

	for (i = 0; i < RND_QUEUE; i++) {
		if (!virtq_pop(&r->virtio, 0))
			return (false);
		rnd_request(r);
	}
	return (true);
}
