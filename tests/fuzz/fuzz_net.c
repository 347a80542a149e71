/* SPDX-License-Identifier: ISC */
/*
 * fuzz_net.c - the network card.
 *
 * Fuzzes: virtio_net.c virtio.c
 */
#include "fuzz_virtio.h"
#include "virtio_net.h"

static struct virtio_net *net;

static void
send(void *arg, const void *frame, size_t len)
{
	const uint8_t *p = frame;

	(void)arg;
	fuzz_check(len >= NET_FRAME_MIN && len <= NET_FRAME);
	fuzz_check(p[0] + p[len - 1] < 512);	/* both can be read */
	meanwhile();
}

static void
start(void)
{
	static const struct virtio_net_link link = {
		.mac = { 2, 0, 0, 0, 0, 1 },
		.send = send,
	};

	if (net == NULL)
		net = malloc(sizeof(*net));
	virtio_net_init(net, &owner, &link);
	virtio_start(&net->virtio);
}

static void
receive(void)
{
	static const uint16_t lens[] = { 60, 14, 1514, 1515, 13, 0, 600, 2000 };
	static const uint8_t frame[2000] = { 1, 2, 3 };

	virtio_net_receive(net, frame, lens[fuzz_8() % 8]);
}

static void
work(unsigned int queue)
{
	if (queue == NET_RX)
		receive();
	else
		virtio_net_work(net);
	virtio_worked();
}

/* A chain of three or more that fits its ring. */
static void
put_frame(unsigned int q)
{
	uint16_t flags = q == NET_RX ? VIRTQ_WRITE : 0;
	uint8_t b = fuzz_8();
	struct virtq_desc d[4] = { { 0x6000, 10, flags | VIRTQ_NEXT, 1 } };
	uint16_t i;

	for (i = 1; i < 4; i++) {
		d[i].gpa = some_gpa();
		d[i].len = q == NET_RX ? 520 : fuzz_8() * 2 + 1;
		d[i].flags = flags | (i < 3 ? VIRTQ_NEXT : 0);
		d[i].next = i + 1;
	}
	for (i = 0; i < 4; i++)
		poke(ring(q) + 16 * i, &d[i], sizeof(d[i]));
	put_avail(q, 0);
	if (b & 1)
		out(VIRTIO_NOTIFY, 2, q);
}

static void
step(uint8_t what)
{
	if (virtio_step(what))
		return;
	if (what & 4)
		put_frame(what & 1);
	else {
		receive();
		if (!nested)
			virtio_worked();
	}
}

const struct fuzz_target fuzz_target = { start, virtio_port, step, virtio_end };
