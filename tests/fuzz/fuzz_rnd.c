/* SPDX-License-Identifier: ISC */
/*
 * fuzz_rnd.c - entropy.
 *
 * Fuzzes: virtio_rnd.c virtio.c
 */
#include "fuzz_virtio.h"
#include "virtio_rnd.h"

static struct virtio_rnd *rnd;

static void
fill(void *arg, void *buf, size_t len)
{
	(void)arg;
	fuzz_check(len > 0 && len <= RND_MAX);
	memset(buf, 0x5a, len);
	meanwhile();
}

static void
start(void)
{
	if (rnd == NULL)
		rnd = malloc(sizeof(*rnd));
	virtio_rnd_init(rnd, &owner, fill, NULL);
	virtio_start(&rnd->virtio);
}

static void
work(unsigned int queue)
{
	(void)queue;
	virtio_rnd_work(rnd);
	virtio_worked();
}

static void
step(uint8_t what)
{
	virtio_step(what);
}

const struct fuzz_target fuzz_target = { start, virtio_port, step, virtio_end };
