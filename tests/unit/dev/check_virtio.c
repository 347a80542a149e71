/* SPDX-License-Identifier: ISC */
/*
 * check_virtio.c - registers and rings, on a device without a job of its own.
 */
#include <pthread.h>

#include "virtio_guest.h"

static struct virtio dev;
static const uint8_t config[5] = { 1, 2, 3, 4, 5 };
static struct virtio_kind kind = {
	.device = 0x1003,
	.type = 3,
	.class = 0x07800000,
	.offered = 0x00010021,
	.size = { 8, 4 },
};

static void
start(uint16_t size0, uint16_t size1)
{
	guest_start();
	kind.size[0] = size0;
	kind.size[1] = size1;
	virtio_init(&dev, &kind, &owner, config, sizeof(config));
	guest_add(&dev);
}

static void
setup(void)
{
	start(8, 4);
}

/* --- Registers --- */

START_TEST(registers)
{
	ck_assert_uint_eq(reg(VIRTIO_OFFERED, 4), 0x00010021);
	ck_assert_uint_eq(reg(VIRTIO_STATUS, 1), 0);
	set_reg(VIRTIO_OFFERED, 4, 0xffffffff);
	ck_assert_uint_eq(reg(VIRTIO_OFFERED, 4), 0x00010021);
	set_reg(VIRTIO_FEATURES, 4, 0xffff0001);
	ck_assert_uint_eq(reg(VIRTIO_FEATURES, 4), 0x00010001);
	ck_assert_uint_eq(reg(VIRTIO_SIZE, 2), 8);
	set_reg(VIRTIO_SIZE, 2, 4);
	ck_assert_uint_eq(reg(VIRTIO_SIZE, 2), 8);
	set_reg(VIRTIO_SELECT, 2, 1);
	ck_assert_uint_eq(reg(VIRTIO_SIZE, 2), 4);
	set_reg(VIRTIO_PFN, 4, 3);
	ck_assert_uint_eq(reg(VIRTIO_PFN, 4), 3);
	set_reg(VIRTIO_SELECT, 2, 0);
	ck_assert_uint_eq(reg(VIRTIO_PFN, 4), 0);
	ck_assert_uint_eq(reg(VIRTIO_NOTIFY, 2), 0);
	set_reg(VIRTIO_STATUS, 1, 0x87);
	ck_assert_uint_eq(reg(VIRTIO_STATUS, 1), 0x87);
	/* What is above the size of an access does not count. */
	set_reg(VIRTIO_STATUS, 1, 0x107);
	ck_assert_uint_eq(reg(VIRTIO_STATUS, 1), 0x07);
	set_reg(VIRTIO_STATUS, 1, 0xffffff00);
	ck_assert_uint_eq(reg(VIRTIO_STATUS, 1), 0);
	ck_assert_uint_eq(reg(VIRTIO_FEATURES, 4), 0);
	set_reg(VIRTIO_SELECT, 2, 1);
	ck_assert_uint_eq(reg(VIRTIO_PFN, 4), 0);
	ck_assert_str_eq(unit_log, "");
}
END_TEST

/* A ring that is not there. */
START_TEST(no_such_ring)
{
	static const uint16_t t[] = { 2, 3, 0x8000, 0xffff };
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		set_reg(VIRTIO_SELECT, 2, t[i]);
		ck_assert_uint_eq(reg(VIRTIO_SELECT, 2), t[i]);
		ck_assert_uint_eq(reg(VIRTIO_SIZE, 2), 0);
		set_reg(VIRTIO_PFN, 4, 1);
		ck_assert_uint_eq(reg(VIRTIO_PFN, 4), 0);
		set_reg(VIRTIO_NOTIFY, 2, t[i]);
	}
	/* Nor are those that are not set up. */
	set_reg(VIRTIO_NOTIFY, 2, 0);
	ck_assert_uint_eq(kicks[0] + kicks[1], 0);
	ck_assert(!virtq_pop(&dev, 0));
	ring_start(1, 0x1000);
	set_reg(VIRTIO_NOTIFY, 2, 1);
	ck_assert_uint_eq(kicks[0], 0);
	ck_assert_uint_eq(kicks[1], 1);
	/* A kind with one ring has no second one. */
	start(8, 0);
	set_reg(VIRTIO_SELECT, 2, 1);
	ck_assert_uint_eq(reg(VIRTIO_SIZE, 2), 0);
	set_reg(VIRTIO_PFN, 4, 1);
	ck_assert_uint_eq(reg(VIRTIO_PFN, 4), 0);
	ck_assert(!virtio_stopped(&dev));
}
END_TEST

/* A register has one size. */
START_TEST(widths)
{
	static const struct {
		unsigned int	reg, size;
	} t[] = {
		{ 0, 4 }, { 4, 4 }, { 8, 4 }, { 0x0c, 2 }, { 0x0e, 2 },
		{ 0x10, 2 }, { 0x12, 1 }, { 0x13, 1 },
	};
	unsigned int r, size, i, ones;

	ring_start(0, 0x1000);
	for (r = 0; r < VIRTIO_CONFIG; r++)
		for (size = 1; size <= 4; size *= 2) {
			for (i = 0; i < 8; i++)
				if (t[i].reg == r && t[i].size == size)
					break;
			if (i < 8)
				continue;
			ones = UINT32_MAX >> (32 - 8 * size);
			ck_assert_uint_eq(reg(r, size), ones);
			set_reg(r, size, 0);
		}
	set_reg(VIRTIO_SELECT, 2, 0);
	ck_assert_uint_eq(reg(VIRTIO_PFN, 4), 1);
	ck_assert_uint_eq(kicks[0], 0);
}
END_TEST

START_TEST(configuration)
{
	ck_assert_uint_eq(reg(0x14, 1), 1);
	ck_assert_uint_eq(reg(0x14, 4), 0x04030201);
	ck_assert_uint_eq(reg(0x17, 2), 0x0504);
	ck_assert_uint_eq(reg(0x18, 4), 5);
	ck_assert_uint_eq(reg(0x19, 4), 0);
	ck_assert_uint_eq(reg(0x3f, 4), 0);
	set_reg(0x14, 4, 0);
	ck_assert_uint_eq(reg(0x14, 4), 0x04030201);
}
END_TEST

/* --- Rings --- */

/* A chain of many, in and out; the bytes go where they should. */
START_TEST(chain)
{
	struct ring r = ring_start(0, 0x1000);
	const struct virtq_chain *c = &dev.q[0].chain;
	uint8_t buf[64];
	uint32_t head, len;
	unsigned int i;

	ring_desc(&r, 5, 0x8000, 3, VIRTQ_NEXT, 2);
	ring_desc(&r, 2, HIGH + 0x100, 5, VIRTQ_NEXT, 7);
	ring_desc(&r, 7, 0x8003, 1, VIRTQ_NEXT, 0);
	ring_desc(&r, 0, HIGH + HIGH_SIZE - 4, 4, VIRTQ_NEXT | VIRTQ_WRITE, 1);
	ring_desc(&r, 1, LOW_SIZE - 6, 6, VIRTQ_WRITE, 99);
	memcpy(at(0x8000), "abci", 4);
	memcpy(at(HIGH + 0x100), "defgh", 5);
	ck_assert(!virtq_pop(&dev, 0));
	ring_put(&r, 5);
	ck_assert(virtq_pop(&dev, 0));
	ck_assert(!virtq_stale(&dev, 0));
	ck_assert_uint_eq(c->head, 5);
	ck_assert_uint_eq(c->out, 9);
	ck_assert_uint_eq(c->in, 10);
	for (i = 0; i < 9; i++) {
		virtq_read(&dev, 0, i, buf, 9 - i);
		ck_assert_mem_eq(buf, &"abcdefghi"[i], 9 - i);
	}
	virtq_write(&dev, 0, 1, "123456789", 9);
	virtq_write(&dev, 0, 0, "0", 1);
	virtq_write(&dev, 0, 10, "x", 0);
	ck_assert_mem_eq(at(HIGH + HIGH_SIZE - 4), "0123", 4);
	ck_assert_mem_eq(at(LOW_SIZE - 6), "456789", 6);
	ck_assert(!ring_get(&r, &head, &len));
	ck_assert(!unit_level[IRQ]);
	virtq_push(&dev, 0, 10);
	ck_assert(ring_get(&r, &head, &len));
	ck_assert_uint_eq(head, 5);
	ck_assert_uint_eq(len, 10);
	ck_assert(!ring_get(&r, &head, &len));
	ck_assert(!virtq_pop(&dev, 0));
	/* Reading ISR takes the interrupt away. */
	ck_assert(unit_level[IRQ]);
	ck_assert_uint_eq(reg(VIRTIO_ISR, 1), VIRTIO_ISR_RING);
	ck_assert(!unit_level[IRQ]);
	ck_assert_uint_eq(reg(VIRTIO_ISR, 1), 0);
}
END_TEST

START_TEST(no_interrupt)
{
	struct ring r = ring_start(1, HIGH);
	uint32_t head, len;

	ring_desc(&r, 3, 0, 1, 0, 0);
	put16(r.avail, VIRTQ_NO_INTERRUPT);
	ring_put(&r, 3);
	ck_assert(virtq_pop(&dev, 1));
	virtq_push(&dev, 1, 0);
	ck_assert(ring_get(&r, &head, &len));
	ck_assert(!unit_level[IRQ]);
	ck_assert_uint_eq(reg(VIRTIO_ISR, 1), 0);
	put16(r.avail, 0);
	ring_put(&r, 3);
	ck_assert(virtq_pop(&dev, 1));
	virtq_push(&dev, 1, 0);
	ck_assert(unit_level[IRQ]);
	/* A reset takes it away as well. */
	set_reg(VIRTIO_STATUS, 1, 0);
	ck_assert(!unit_level[IRQ]);
	ck_assert_uint_eq(reg(VIRTIO_ISR, 1), 0);
}
END_TEST

/* Rings of every size, full, around the 16 bits of their indices. */
START_TEST(wraps)
{
	uint16_t size = (uint16_t)(1 << _i);
	unsigned int i, n;
	uint32_t head, len;
	struct ring r;

	start(size, 0);
	r = ring_start(0, 0x2000);
	ck_assert_uint_eq(r.size, size);
	for (i = 0; i < size; i++)
		ring_desc(&r, i, 0x10000 + 16 * i, 16,
		    i + 1 < size && i % 2 == 0 ? VIRTQ_NEXT : 0,
		    (uint16_t)(i + 1));
	for (n = 0; n < 70000; n += size) {
		for (i = 0; i < size; i++)
			ring_put(&r, (uint16_t)i);
		for (i = 0; i < size; i++) {
			if (!virtq_pop(&dev, 0) || dev.q[0].chain.head != i)
				ck_abort_msg("chain %u of %u", i, n);
			virtq_push(&dev, 0, n + i);
		}
		if (virtq_pop(&dev, 0))
			ck_abort_msg("one too many at %u", n);
		for (i = 0; i < size; i++)
			if (!ring_get(&r, &head, &len) || head != i ||
			    len != n + i)
				ck_abort_msg("used %u of %u", i, n);
		if (ring_get(&r, &head, &len))
			ck_abort_msg("one too many used at %u", n);
	}
	ck_assert_str_eq(unit_log, "");
}
END_TEST

/* As long as the ring, and no longer. */
START_TEST(longest)
{
	struct ring r = ring_start(0, 0x1000);
	unsigned int i;

	for (i = 0; i < 8; i++)
		ring_desc(&r, i, 0x8000, 1, i < 7 ? VIRTQ_NEXT : 0,
		    (uint16_t)(i + 1));
	ring_put(&r, 0);
	ck_assert(virtq_pop(&dev, 0));
	ck_assert_uint_eq(dev.q[0].chain.nseg, 8);
	ck_assert_uint_eq(dev.q[0].chain.out, 8);
	virtq_push(&dev, 0, 0);
}
END_TEST

/* Where a ring of 8 may be: its used part begins a page behind its start. */
START_TEST(ring_at_the_end)
{
	const uint64_t need = 0x1000 + 4 + 8 * 8 + 2;
	uint64_t first = HIGH + HIGH_SIZE - 0x2000;
	struct ring r;
	uint32_t head, len;

	ram.range[1].size = HIGH_SIZE - 0x2000 + need;
	r = ring_start(0, first);
	ck_assert_uint_eq(reg(VIRTIO_PFN, 4), first >> 12);
	ring_desc(&r, 0, 0, 1, 0, 0);
	ring_put(&r, 0);
	ck_assert(virtq_pop(&dev, 0));
	virtq_push(&dev, 0, 0);
	ck_assert(ring_get(&r, &head, &len));
	ck_assert_str_eq(unit_log, "");

	ram.range[1].size--;
	ring_start(0, first);
	ck_assert_uint_eq(reg(VIRTIO_PFN, 4), 0);
	ck_assert(virtio_stopped(&dev));
	ck_assert_str_eq(unit_log, "dev0: queue 0: a ring at page 0x10001e,"
	    " not in memory; stopped until the driver resets it\n");
}
END_TEST

START_TEST(ring_not_in_memory)
{
	static const uint32_t t[] = {
		LOW_SIZE >> 12,			/* behind */
		(LOW_SIZE >> 12) - 1,		/* half of it */
		0xfffff,			/* across 4 GB, from the hole */
		0x100000 + (HIGH_SIZE >> 12) - 1, 0xffffffff, 0x80000000,
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		set_reg(VIRTIO_STATUS, 1, 0);
		unit_log[0] = '\0';
		set_reg(VIRTIO_PFN, 4, t[i]);
		ck_assert(virtio_stopped(&dev));
		ck_assert_ptr_nonnull(strstr(unit_log, "a ring at page"));
		ck_assert_uint_eq(reg(VIRTIO_PFN, 4), 0);
		set_reg(VIRTIO_NOTIFY, 2, 0);
		ck_assert_uint_eq(kicks[0], 0);
		ck_assert(!virtq_pop(&dev, 0));
	}
}
END_TEST

/* Ranges that touch are two to a device: nothing lies across. */
START_TEST(ring_across_ranges)
{
	ram.range[1].gpa = LOW_SIZE;
	ring_start(0, LOW_SIZE - 0x1000);
	ck_assert(virtio_stopped(&dev));
}
END_TEST

/* --- Wicked drivers --- */

struct desc {
	uint64_t	gpa;
	uint32_t	len;
	uint16_t	flags, next;
};

#define R	VIRTQ_NEXT
#define W	(VIRTQ_NEXT | VIRTQ_WRITE)
#define HERE	0x8000

static const struct wicked {
	struct desc	d[4];
	uint16_t	head, n;	/* n: how far the index is; 0: 1 */
	const char	*why;
} wicked[] = {
	{ { { HERE, 1, 0, 0 } }, 8, 0, "descriptor 8 in a ring of 8" },
	{ { { HERE, 1, 0, 0 } }, 0xffff, 0, "descriptor 65535 in a ring" },
	{ { { HERE, 1, R, 8 } }, 0, 0, "descriptor 8 in a ring of 8" },
	{ { { HERE, 1, R, 1 }, { HERE, 1, R, 2 }, { HERE, 1, R, 0xffff } },
	    0, 0, "descriptor 65535 in a ring of 8" },
	{ { { HERE, 1, R, 0 } }, 0, 0, "a chain longer than its ring" },
	{ { { HERE, 1, R, 1 }, { HERE, 1, R, 2 }, { HERE, 1, R, 1 } },
	    0, 0, "a chain longer than its ring" },
	{ { { HERE, 1, W, 1 }, { HERE, 1, W, 2 }, { HERE, 1, W, 0 } },
	    0, 0, "a chain longer than its ring" },
	{ { { HERE, 1, 0, 0 } }, 0, 9, "9 buffers available in a ring of 8" },
	{ { { HERE, 1, 0, 0 } }, 0, 0xffff, "65535 buffers available in" },
	{ { { HERE, 0, 0, 0 } }, 0, 0, "a buffer of 0 bytes at 0x8000" },
	{ { { LOW_SIZE, 1, 0, 0 } }, 0, 0, "a buffer of 1 bytes at 0x40000" },
	{ { { LOW_SIZE - 1, 2, 0, 0 } }, 0, 0, "2 bytes at 0x3ffff, not in" },
	{ { { 0, LOW_SIZE + 1, 0, 0 } }, 0, 0, "262145 bytes at 0x0, not" },
	{ { { 0, 0xffffffff, W, 1 }, { HERE, 1, 0, 0 } }, 0, 0,
	    "4294967295 bytes at 0x0, not in memory" },
	{ { { HERE, 1, R, 1 }, { 0xffffffff, 2, VIRTQ_WRITE, 0 } }, 0, 0,
	    "2 bytes at 0xffffffff" },
	{ { { HIGH - 1, 2, 0, 0 } }, 0, 0, "2 bytes at 0xffffffff" },
	{ { { HIGH + HIGH_SIZE - 8, 9, 0, 0 } }, 0, 0, "9 bytes at 0x10001" },
	{ { { UINT64_MAX, 1, 0, 0 } }, 0, 0, "at 0xffffffffffffffff, not" },
	{ { { UINT64_MAX, 0xffffffff, 0, 0 } }, 0, 0, "4294967295 bytes at" },
	{ { { HERE, 1, R, 1 }, { HERE, 1, W, 2 }, { HERE, 1, 0, 0 } }, 0, 0,
	    "a buffer to read behind one to write" },
	{ { { HERE, 16, VIRTQ_INDIRECT, 0 } }, 0, 0, "an indirect descriptor" },
	{ { { HERE, 1, R, 1 }, { HERE, 16, VIRTQ_INDIRECT, 0 } }, 0, 0,
	    "an indirect descriptor" },
};

START_TEST(wicked_driver)
{
	const struct wicked *w = &wicked[_i];
	static uint8_t was[LOW_SIZE];
	struct ring r = ring_start(0, 0x1000);
	unsigned int i;

	for (i = 0; i < 4; i++)
		ring_desc(&r, i, w->d[i].gpa, w->d[i].len, w->d[i].flags,
		    w->d[i].next);
	ring_put(&r, w->head);
	if (w->n != 0)
		put16(r.avail + 2, w->n);
	memcpy(was, low, sizeof(was));
	ck_assert(!virtq_pop(&dev, 0));
	ck_assert(virtio_stopped(&dev));
	if (strstr(unit_log, w->why) == NULL)
		ck_abort_msg("'%s' is not in '%s'", w->why, unit_log);
	ck_assert_ptr_nonnull(strstr(unit_log, "dev0: queue 0: "));
	ck_assert_mem_eq(was, low, sizeof(was));
	ck_assert(!unit_level[IRQ]);
}
END_TEST

static struct ring
err(void)
{
	struct ring r = ring_start(0, 0x1000);

	ring_put(&r, 0x1234);
	ck_assert(!virtq_pop(&dev, 0));
	ck_assert(virtio_stopped(&dev));
	return (r);
}

/* It is deaf until it is reset, and then as new. */
START_TEST(stopped)
{
	struct ring r, other = ring_start(1, 0x4000);

	set_reg(VIRTIO_STATUS, 1, 7);
	r = err();
	ck_assert_uint_eq(reg(VIRTIO_STATUS, 1), 7 | VIRTIO_STATUS_STOPPED);
	unit_log[0] = '\0';
	ring_desc(&other, 0, HERE, 1, 0, 0);
	ring_put(&other, 0);
	ring_notify(&other);
	ring_notify(&r);
	ck_assert_uint_eq(kicks[0] + kicks[1], 0);
	ck_assert(!virtq_pop(&dev, 0));
	ck_assert(!virtq_pop(&dev, 1));
	set_reg(VIRTIO_STATUS, 1, 0x0f);
	set_reg(VIRTIO_FEATURES, 4, 1);
	set_reg(VIRTIO_SELECT, 2, 1);
	set_reg(VIRTIO_PFN, 4, 0xffffff);
	ck_assert_uint_eq(reg(VIRTIO_STATUS, 1), 7 | VIRTIO_STATUS_STOPPED);
	ck_assert_uint_eq(reg(VIRTIO_FEATURES, 4), 0);
	ck_assert_uint_eq(reg(VIRTIO_SELECT, 2), 0);
	ck_assert_str_eq(unit_log, "");

	set_reg(VIRTIO_STATUS, 1, 0);
	ck_assert_uint_eq(reg(VIRTIO_STATUS, 1), 0);
	ck_assert_uint_eq(reg(VIRTIO_PFN, 4), 0);
	memset(low, 0, sizeof(low));
	r = ring_start(0, 0x1000);
	ring_desc(&r, 0, HERE, 1, 0, 0);
	ring_put(&r, 0);
	ring_notify(&r);
	ck_assert_uint_eq(kicks[0], 1);
	ck_assert(virtq_pop(&dev, 0));
	ck_assert_str_eq(unit_log, "");
	/* A driver cannot set the bit itself. */
	set_reg(VIRTIO_STATUS, 1, 0x47);
	ck_assert_uint_eq(reg(VIRTIO_STATUS, 1), 7);
}
END_TEST

/* A driver that errs and resets for ever does not fill the log. */
START_TEST(log_ends)
{
	unsigned int i, lines = 0;
	const char *p;

	for (i = 0; i < 40; i++) {
		set_reg(VIRTIO_STATUS, 1, 0);
		memset(low, 0, sizeof(low));
		err();
	}
	for (p = unit_log; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	ck_assert_uint_eq(lines, 16);
	ck_assert_ptr_nonnull(strstr(unit_log, "no more of this is told\n"));
}
END_TEST

/* --- What changes while a chain is in work --- */

/* What was read once is not read again. */
START_TEST(changed_behind)
{
	struct ring r = ring_start(0, 0x1000);
	uint8_t buf[4];

	memcpy(at(HERE), "good", 4);
	ring_desc(&r, 0, HERE, 4, VIRTQ_NEXT, 1);
	ring_desc(&r, 1, HERE + 4, 4, VIRTQ_WRITE, 0);
	ring_put(&r, 0);
	ck_assert(virtq_pop(&dev, 0));
	ring_desc(&r, 0, UINT64_MAX, UINT32_MAX, VIRTQ_NEXT, 0);
	ring_desc(&r, 1, UINT64_MAX, UINT32_MAX, VIRTQ_NEXT, 0);
	put16(r.avail + 4, 7);
	virtq_read(&dev, 0, 0, buf, 4);
	ck_assert_mem_eq(buf, "good", 4);
	virtq_write(&dev, 0, 0, "well", 4);
	ck_assert_mem_eq(at(HERE + 4), "well", 4);
	virtq_push(&dev, 0, 4);
	ck_assert_uint_eq(at16(r.used + 4), 0);
	ck_assert(!virtio_stopped(&dev));
}
END_TEST

/* A CPU of the guest that makes a good descriptor bad and good again. */
static void *
flip(void *arg)
{
	static const struct virtq_desc good = { HERE, 4, 0, 0 },
		bad = { HERE, UINT32_MAX, VIRTQ_NEXT, 0xffff };
	uint64_t *d = at(0x1000), g, b;

	memcpy(d, &good, sizeof(good));
	memcpy(&g, &good.len, sizeof(g));
	memcpy(&b, &bad.len, sizeof(b));
	while (!__atomic_load_n((bool *)arg, __ATOMIC_RELAXED)) {
		__atomic_store_n(&d[1], g, __ATOMIC_RELAXED);
		__atomic_store_n(&d[1], b, __ATOMIC_RELAXED);
	}
	return (NULL);
}

/* Whatever was met, it was met as a whole: a chain of 4 bytes, or a stop. */
START_TEST(changing)
{
	static bool over;
	struct ring r;
	pthread_t cpu;
	uint8_t buf[4];
	unsigned int i;

	r = ring_start(0, 0x1000);
	ck_assert_int_eq(pthread_create(&cpu, NULL, flip, &over), 0);
	for (i = 0; i < 20000; i++) {
		ring_put(&r, 0);
		if (virtq_pop(&dev, 0)) {
			if (dev.q[0].chain.nseg != 1 ||
			    dev.q[0].chain.out != 4 ||
			    dev.q[0].chain.seg[0].len != 4)
				ck_abort_msg("a chain of neither");
			virtq_read(&dev, 0, 0, buf, 4);
			virtq_push(&dev, 0, 0);
			continue;
		}
		if (!virtio_stopped(&dev))
			ck_abort_msg("no chain, and no stop");
		set_reg(VIRTIO_STATUS, 1, 0);
		r = ring_start(0, 0x1000);
		put16(r.avail + 2, 0);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	ck_assert_int_eq(pthread_join(cpu, NULL), 0);
}
END_TEST

/* How the ring can go away: reset, moved, taken away, or its device stopped. */
static void
go(int how, uint64_t gpa)
{
	switch (how) {
	case 0:
		set_reg(VIRTIO_STATUS, 1, 0);
		break;
	case 1:
		ring_start(0, gpa);
		break;
	case 2:
		set_reg(VIRTIO_PFN, 4, 0);
		break;
	case 3:
		set_reg(VIRTIO_SELECT, 2, 1);
		set_reg(VIRTIO_PFN, 4, 0xffffff);
		break;
	case 4:
		set_reg(VIRTIO_STATUS, 1, 0);
		ring_start(0, gpa);
		break;
	}
}

START_TEST(stale)
{
	struct ring r = ring_start(0, 0x1000);
	static uint8_t was[LOW_SIZE];

	ring_desc(&r, 0, HERE, 4, VIRTQ_WRITE, 1);
	ring_put(&r, 0);
	ck_assert(virtq_pop(&dev, 0));
	memcpy(was, low, sizeof(was));
	go(_i, _i == 4 ? r.gpa : 0x4000);
	ck_assert(virtq_stale(&dev, 0));
	virtq_push(&dev, 0, 4);
	ck_assert_mem_eq(was, low, sizeof(was));
	ck_assert(!unit_level[IRQ]);
	ck_assert_uint_eq(reg(VIRTIO_ISR, 1), 0);
}
END_TEST

/* The other ring's fate is not this one's. */
START_TEST(not_stale)
{
	struct ring r = ring_start(0, 0x1000);
	uint32_t head, len;

	ring_desc(&r, 0, HERE, 4, VIRTQ_WRITE, 1);
	ring_put(&r, 0);
	ck_assert(virtq_pop(&dev, 0));
	ring_start(1, 0x4000);
	set_reg(VIRTIO_PFN, 4, 0);
	ck_assert(!virtq_stale(&dev, 0));
	virtq_push(&dev, 0, 4);
	ck_assert(ring_get(&r, &head, &len));
}
END_TEST

int
main(void)
{
	TCase *tc = unit_case("virtio", setup);

	tcase_add_test(tc, registers);
	tcase_add_test(tc, no_such_ring);
	tcase_add_test(tc, widths);
	tcase_add_test(tc, configuration);
	tcase_add_test(tc, chain);
	tcase_add_test(tc, no_interrupt);
	tcase_add_loop_test(tc, wraps, 0, 9);
	tcase_add_test(tc, longest);
	tcase_add_test(tc, ring_at_the_end);
	tcase_add_test(tc, ring_not_in_memory);
	tcase_add_test(tc, ring_across_ranges);
	tcase_add_loop_test(tc, wicked_driver, 0,
	    sizeof(wicked) / sizeof(wicked[0]));
	tcase_add_test(tc, stopped);
	tcase_add_test(tc, log_ends);
	tcase_add_test(tc, changed_behind);
	tcase_add_test(tc, changing);
	tcase_add_loop_test(tc, stale, 0, 5);
	tcase_add_test(tc, not_stale);
	return (unit_end());
}
