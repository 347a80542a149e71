/* SPDX-License-Identifier: ISC */
/*
 * check_virtio_rnd.c - entropy.
 */
#include "virtio_rnd.h"
#include "virtio_guest.h"

#define RING	0x1000
#define BUF	0x8000

static struct virtio_rnd rnd;
static struct ring ring;
static size_t asked;
static bool reset_now;

/* Not very random: 1, 2, 3... */
static void
fill(void *arg, void *buf, size_t len)
{
	size_t i;

	ck_assert_ptr_eq(arg, &rnd);
	for (i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)++asked;
	if (reset_now) {
		set_reg(VIRTIO_STATUS, 1, 0);
		memset(low, 0x5a, sizeof(low));
	}
}

static void
setup(void)
{
	guest_start();
	asked = 0;
	reset_now = false;
	virtio_rnd_init(&rnd, &owner, fill, &rnd);
	guest_add(&rnd.virtio);
	ring = ring_start(0, RING);
	set_reg(VIRTIO_STATUS, 1, 7);
}

START_TEST(identity)
{
	unit_out(&bus, 0xcf8, 4, 0x80000800);
	ck_assert_uint_eq(unit_in(&bus, 0xcfc, 4), 0x10051af4);
	unit_out(&bus, 0xcf8, 4, 0x8000082c);
	ck_assert_uint_eq(unit_in(&bus, 0xcfc, 4), 0x00041af4);
	ck_assert_uint_eq(reg(VIRTIO_OFFERED, 4), 0);
	ck_assert_uint_eq(reg(VIRTIO_SIZE, 2), 8);
	ck_assert_uint_eq(reg(0x14, 4), 0);
}
END_TEST

START_TEST(fills)
{
	/* Asked for, and given. */
	static const uint32_t t[][2] = {
		{ 1, 1 }, { 16, 16 }, { 255, 255 }, { 256, 256 }, { 257, 256 },
		{ LOW_SIZE - BUF, 256 },
	};
	uint32_t head, len, i, k;
	uint8_t *p = at(BUF);

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		asked = 0;
		memset(p, 0xee, 300);
		ring_desc(&ring, 3, BUF, t[i][0], VIRTQ_WRITE, 0);
		ring_put(&ring, 3);
		ring_notify(&ring);
		ck_assert_uint_eq(kicks[0], i + 1);
		ck_assert(!virtio_rnd_work(&rnd));
		ck_assert(ring_get(&ring, &head, &len));
		ck_assert_uint_eq(head, 3);
		ck_assert_uint_eq(len, t[i][1]);
		for (k = 0; k < len; k++)
			if (p[k] != (uint8_t)(k + 1))
				ck_abort_msg("byte %u is %u", k, p[k]);
		ck_assert(all(p + len, 300 - len, 0xee));
		ck_assert_uint_eq(reg(VIRTIO_ISR, 1), 1);
	}
}
END_TEST

START_TEST(fills_a_chain)
{
	uint32_t head, len;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		ring_desc(&ring, 0, BUF, 3, VIRTQ_NEXT | VIRTQ_WRITE, 5);
		ring_desc(&ring, 5, HIGH, 2, VIRTQ_NEXT | VIRTQ_WRITE, 6);
		ring_desc(&ring, 6, BUF + 8, 1, VIRTQ_WRITE, 0);
		ring_put(&ring, 0);
	}
	ck_assert(virtio_rnd_work(&rnd));
	ck_assert(!virtio_rnd_work(&rnd));
	for (i = 0; i < 8; i++) {
		ck_assert(ring_get(&ring, &head, &len));
		ck_assert_uint_eq(len, 6);
	}
	ck_assert_uint_eq(asked, 48);
	ck_assert_mem_eq(at(BUF), "\x2b\x2c\x2d", 3);
	ck_assert_mem_eq(at(HIGH), "\x2e\x2f", 2);
	ck_assert_mem_eq(at(BUF + 8), "\x30", 1);
}
END_TEST

START_TEST(nothing_to_fill)
{
	ring_desc(&ring, 0, BUF, 3, VIRTQ_NEXT, 1);
	ring_desc(&ring, 1, BUF, 3, VIRTQ_WRITE, 0);
	ring_put(&ring, 0);
	ck_assert(!virtio_rnd_work(&rnd));
	ck_assert(virtio_stopped(&rnd.virtio));
	ck_assert_uint_eq(asked, 0);
	ck_assert_str_eq(unit_log, "dev0: queue 0: 3 bytes to read, none are"
	    " wanted; stopped until the driver resets it\n");
}
END_TEST

START_TEST(reset_in_call)
{
	reset_now = true;
	ring_desc(&ring, 0, BUF, 3, VIRTQ_WRITE, 0);
	ring_put(&ring, 0);
	ck_assert(!virtio_rnd_work(&rnd));
	ck_assert_uint_eq(asked, 3);
	ck_assert(all(low, sizeof(low), 0x5a));
	ck_assert(!unit_level[IRQ]);
}
END_TEST

int
main(void)
{
	TCase *tc = unit_case("virtio_rnd", setup);

	tcase_add_test(tc, identity);
	tcase_add_test(tc, fills);
	tcase_add_test(tc, fills_a_chain);
	tcase_add_test(tc, nothing_to_fill);
	tcase_add_test(tc, reset_in_call);
	return (unit_end());
}
