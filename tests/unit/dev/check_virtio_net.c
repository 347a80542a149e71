/* SPDX-License-Identifier: ISC */
/*
 * check_virtio_net.c - the network card.
 */
#include "virtio_net.h"
#include "virtio_guest.h"

#define RX_RING		0x1000
#define TX_RING		0x8000
#define BUF		0x10000

static struct {
	uint8_t		frame[NET_FRAME];
	size_t		len;
	unsigned int	n;
	void		(*hook)(void);
} sent;

static void
send(void *arg, const void *frame, size_t len)
{
	ck_assert_ptr_eq(arg, &sent);
	ck_assert_uint_le(len, sizeof(sent.frame));
	memcpy(sent.frame, frame, len);
	sent.len = len;
	sent.n++;
	if (sent.hook != NULL)
		sent.hook();
}

static const struct virtio_net_link link_model = {
	.mac = { 0x52, 0x54, 0, 1, 2, 3 },
	.send = send,
	.arg = &sent,
};

static struct virtio_net net;
static struct ring rx, tx;
static uint8_t frame[2000];

static void
setup(void)
{
	unsigned int i;

	guest_start();
	memset(&sent, 0, sizeof(sent));
	for (i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 3);
	virtio_net_init(&net, &owner, &link_model);
	guest_add(&net.virtio);
	set_reg(VIRTIO_FEATURES, 4, UINT32_MAX);
	rx = ring_start(NET_RX, RX_RING);
	tx = ring_start(NET_TX, TX_RING);
	set_reg(VIRTIO_STATUS, 1, 7);
}

START_TEST(identity)
{
	unit_out(&bus, 0xcf8, 4, 0x80000800);
	ck_assert_uint_eq(unit_in(&bus, 0xcfc, 4), 0x10001af4);
	unit_out(&bus, 0xcf8, 4, 0x80000808);
	ck_assert_uint_eq(unit_in(&bus, 0xcfc, 4), 0x02000000);
	unit_out(&bus, 0xcf8, 4, 0x8000082c);
	ck_assert_uint_eq(unit_in(&bus, 0xcfc, 4), 0x00011af4);
	ck_assert_uint_eq(reg(VIRTIO_OFFERED, 4), 1 << 5);
	ck_assert_uint_eq(rx.size, 256);
	ck_assert_uint_eq(tx.size, 256);
	ck_assert_uint_eq(reg(0x14, 4), 0x01005452);
	ck_assert_uint_eq(reg(0x18, 2), 0x0302);
	ck_assert_uint_eq(reg(0x1a, 2), 0);
}
END_TEST

/* A chain to send: header and frame of `len` bytes in pieces. */
static void
put_tx(uint32_t len, unsigned int parts)
{
	uint16_t d = 0;
	uint64_t gpa = BUF;
	uint32_t part;

	memcpy(at(BUF + NET_HEADER), frame, sizeof(frame));
	for (len += NET_HEADER; parts > 1; parts--, len -= part, gpa += part) {
		part = len / 3 + 1;
		ring_desc(&tx, d, gpa, part, VIRTQ_NEXT, d + 1);
		d++;
	}
	ring_desc(&tx, d, gpa, len, 0, 0);
	ring_put(&tx, 0);
	ring_notify(&tx);
}

START_TEST(sends)
{
	static const struct {
		uint32_t	len;
		unsigned int	parts, sent;
	} t[] = {
		{ 60, 1, 1 }, { 60, 2, 1 }, { 1514, 1, 1 }, { 1514, 6, 1 },
		{ 14, 1, 1 }, { 13, 1, 0 }, { 0, 1, 0 }, { 1515, 2, 0 },
		{ 65536, 3, 0 }, { 14, 3, 1 },
	};
	uint32_t head, len;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		sent.n = 0;
		put_tx(t[i].len, t[i].parts);
		ck_assert_uint_eq(kicks[NET_TX], i + 1);
		ck_assert(!virtio_net_work(&net));
		ck_assert_uint_eq(sent.n, t[i].sent);
		if (t[i].sent) {
			ck_assert_uint_eq(sent.len, t[i].len);
			ck_assert_mem_eq(sent.frame, frame, t[i].len);
		}
		ck_assert(ring_get(&tx, &head, &len));
		ck_assert_uint_eq(len, 0);
		ck_assert_uint_eq(reg(VIRTIO_ISR, 1), 1);
	}
	ck_assert_uint_eq(kicks[NET_RX], 0);
	ck_assert_str_eq(unit_log, "");
}
END_TEST

START_TEST(sends_many)
{
	unsigned int i;

	for (i = 0; i < 256; i++)
		put_tx(60 + i, 1);
	ck_assert(virtio_net_work(&net));
	ck_assert(!virtio_net_work(&net));
	ck_assert_uint_eq(sent.n, 256);
	ck_assert_uint_eq(at16(tx.used + 2), 256);
}
END_TEST

/* A buffer to fill, of `len` bytes in pieces. */
static void
put_rx(uint64_t gpa, uint32_t len, unsigned int parts)
{
	uint16_t d = 0;
	uint32_t part;

	for (; parts > 1; parts--, len -= part, gpa += part) {
		part = len / 3 + 1;
		ring_desc(&rx, d, gpa, part, VIRTQ_NEXT | VIRTQ_WRITE, d + 1);
		d++;
	}
	ring_desc(&rx, d, gpa, len, VIRTQ_WRITE, 0);
	ring_put(&rx, 0);
	ring_notify(&rx);
}

START_TEST(receives)
{
	static const struct {
		size_t		len;
		unsigned int	parts;
		uint64_t	gpa;
	} t[] = {
		{ 60, 1, BUF }, { 60, 4, BUF }, { 1514, 1, LOW_SIZE - 1524 },
		{ 1514, 5, HIGH }, { 14, 2, HIGH + HIGH_SIZE - 1524 },
	};
	static const uint8_t zeros[NET_HEADER];
	uint32_t head, len;
	uint8_t *p;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		/* No buffer yet: the frame has to wait. */
		ck_assert(!virtio_net_receive(&net, frame, t[i].len));
		memset(at(t[i].gpa), 0xcc, 1524);
		put_rx(t[i].gpa, 1524, t[i].parts);
		ck_assert_uint_eq(kicks[NET_RX], i + 1);
		ck_assert(virtio_net_receive(&net, frame, t[i].len));
		ck_assert(ring_get(&rx, &head, &len));
		ck_assert_uint_eq(len, t[i].len + NET_HEADER);
		p = at(t[i].gpa);
		ck_assert_mem_eq(p, zeros, NET_HEADER);
		ck_assert_mem_eq(p + NET_HEADER, frame, t[i].len);
		if (t[i].len < 1514)
			ck_assert_uint_eq(p[NET_HEADER + t[i].len], 0xcc);
		ck_assert(unit_level[IRQ]);
		reg(VIRTIO_ISR, 1);
	}
	ck_assert_str_eq(unit_log, "");
}
END_TEST

/* No Ethernet carries them: gone, and no buffer is used up. */
START_TEST(drops)
{
	ck_assert(virtio_net_receive(&net, frame, 1515));
	ck_assert(virtio_net_receive(&net, frame, SIZE_MAX));
	ck_assert(virtio_net_receive(&net, frame, 13));
	ck_assert(virtio_net_receive(&net, frame, 0));
	put_rx(BUF, 1524, 1);
	ck_assert(virtio_net_receive(&net, frame, 1515));
	ck_assert_uint_eq(at16(rx.used + 2), 0);
	/* A device without a driver takes nothing. */
	set_reg(VIRTIO_STATUS, 1, 0);
	ck_assert(!virtio_net_receive(&net, frame, 60));
}
END_TEST

START_TEST(wicked)
{
	static const struct {
		unsigned int	queue;
		uint32_t	out, in;
		const char	*why;
	} t[] = {
		{ NET_TX, 9, 0, "1: a frame of 9 bytes with room for 0;" },
		{ NET_TX, 60, 1, "1: a frame of 60 bytes with room for 1;" },
		{ NET_TX, 65547, 0, "1: a frame of 65547 bytes" },
		{ NET_TX, LOW_SIZE, 0, "1: a frame of 262144 bytes" },
		{ NET_TX, 0, 60, "1: a frame of 0 bytes with room for 60;" },
		{ NET_RX, 0, 1523, "0: a buffer for a frame with 0 bytes to"
		    " read and room for 1523;" },
		{ NET_RX, 0, 1, "and room for 1;" },
		{ NET_RX, 1, 1524, "with 1 bytes to read and room for 1524;" },
		{ NET_RX, 1524, 0, "with 1524 bytes to read and room for 0;" },
	};
	struct ring *r;
	unsigned int d;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		setup();
		r = t[i].queue == NET_TX ? &tx : &rx;
		d = 0;
		if (t[i].out > 0)
			ring_desc(r, d++, 0, t[i].out,
			    t[i].in > 0 ? VIRTQ_NEXT : 0, 1);
		if (t[i].in > 0)
			ring_desc(r, d, 0, t[i].in, VIRTQ_WRITE, 0);
		ring_put(r, 0);
		if (t[i].queue == NET_TX)
			ck_assert(!virtio_net_work(&net));
		else
			ck_assert(!virtio_net_receive(&net, frame, 60));
		ck_assert(virtio_stopped(&net.virtio));
		if (strstr(unit_log, t[i].why) == NULL)
			ck_abort_msg("%s", unit_log);
		ck_assert_uint_eq(sent.n, 0);
		ck_assert_uint_eq(at16(r->used + 2), 0);
	}
}
END_TEST

static void
reset_now(void)
{
	set_reg(VIRTIO_STATUS, 1, 0);
	memset(low, 0x5a, sizeof(low));
}

/* While a frame is on its way. */
START_TEST(reset_in_call)
{
	put_tx(60, 2);
	sent.hook = reset_now;
	ck_assert(!virtio_net_work(&net));
	ck_assert_uint_eq(sent.n, 1);
	ck_assert(all(low, sizeof(low), 0x5a));
	ck_assert(!unit_level[IRQ]);
}
END_TEST

static void
receive_now(void)
{
	ck_assert(virtio_net_receive(&net, frame, 100));
}

/* Or while one arrives, as the lock is free. */
START_TEST(receive_in_call)
{
	uint32_t head, len;

	put_rx(BUF + 0x1000, 2000, 3);
	put_tx(60, 2);
	sent.hook = receive_now;
	ck_assert(!virtio_net_work(&net));
	ck_assert(ring_get(&rx, &head, &len));
	ck_assert_uint_eq(len, 110);
	ck_assert(ring_get(&tx, &head, &len));
	ck_assert_uint_eq(len, 0);
	ck_assert_mem_eq(at(BUF + 0x1000 + NET_HEADER), frame, 100);
}
END_TEST

int
main(void)
{
	TCase *tc = unit_case("virtio_net", setup);

	tcase_add_test(tc, identity);
	tcase_add_test(tc, sends);
	tcase_add_test(tc, sends_many);
	tcase_add_test(tc, receives);
	tcase_add_test(tc, drops);
	tcase_add_test(tc, wicked);
	tcase_add_test(tc, reset_in_call);
	tcase_add_test(tc, receive_in_call);
	return (unit_end());
}
