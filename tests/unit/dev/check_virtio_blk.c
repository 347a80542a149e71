/* SPDX-License-Identifier: ISC */
/*
 * check_virtio_blk.c - the disk, on one that forgets what was not flushed.
 */
#include <errno.h>

#include "virtio_blk.h"
#include "virtio_guest.h"

#define SECTOR		512
#define SECTORS		1024
#define RING		0x1000
#define HEADER		0x8000		/* of request n: 16 * n behind */
#define STATUS		0x9000		/* n behind */
#define DATA		0x10000

/*
 * Writes go to the cache, reads come from it; a flush brings it to the
 * platter. A cut leaves the platter.
 */
static struct {
	uint8_t		cache[SECTORS * SECTOR], platter[SECTORS * SECTOR];
	int		error;		/* of the next calls */
	unsigned int	reads, writes, flushes;
	void		(*hook)(void);	/* before and after each call's work */
} disk;

static void
hook(void)
{
	if (disk.hook != NULL)
		disk.hook();
}

static int
disk_read(void *arg, uint64_t off, void *buf, size_t len)
{
	ck_assert_ptr_eq(arg, &disk);
	ck_assert_uint_le(off, sizeof(disk.cache));
	ck_assert_uint_le(len, sizeof(disk.cache) - off);
	disk.reads++;
	if (disk.error == 0)
		memcpy(buf, disk.cache + off, len);
	hook();
	return (disk.error);
}

static int
disk_write(void *arg, uint64_t off, const void *buf, size_t len)
{
	ck_assert_ptr_eq(arg, &disk);
	ck_assert_uint_le(off, sizeof(disk.cache));
	ck_assert_uint_le(len, sizeof(disk.cache) - off);
	disk.writes++;
	hook();
	if (disk.error == 0)
		memcpy(disk.cache + off, buf, len);
	return (disk.error);
}

static int
disk_flush(void *arg)
{
	ck_assert_ptr_eq(arg, &disk);
	disk.flushes++;
	hook();
	if (disk.error == 0)
		memcpy(disk.platter, disk.cache, sizeof(disk.platter));
	hook();
	return (disk.error);
}

static const struct virtio_blk_disk model = {
	.size = sizeof(disk.cache) + 100,	/* not whole sectors */
	.id = "a disk",
	.read = disk_read,
	.write = disk_write,
	.flush = disk_flush,
	.arg = &disk,
};

static struct virtio_blk blk;
static struct ring ring;

static void
start(const struct virtio_blk_disk *d, uint32_t features)
{
	unsigned int i;

	guest_start();
	memset(&disk, 0, sizeof(disk));
	for (i = 0; i < sizeof(disk.cache); i++)
		disk.cache[i] = (uint8_t)(i / SECTOR + i);
	memcpy(disk.platter, disk.cache, sizeof(disk.platter));
	virtio_blk_init(&blk, &owner, d);
	guest_add(&blk.virtio);
	set_reg(VIRTIO_STATUS, 1, 3);
	set_reg(VIRTIO_FEATURES, 4, features);
	ring = ring_start(0, RING);
	set_reg(VIRTIO_STATUS, 1, 7);
}

static void
setup(void)
{
	start(&model, UINT32_MAX);
}

/* Put request n in the ring: header, data in up to `parts`, status. */
static void
put(unsigned int n, uint32_t type, uint64_t sector, uint64_t gpa, uint32_t len,
    unsigned int parts)
{
	struct virtio_blk_header h = { .type = type, .sector = sector };
	uint16_t d = (uint16_t)(8 * n), first = d;
	uint16_t flags = type == BLK_T_OUT ? 0 : VIRTQ_WRITE;
	uint32_t part;

	memcpy(at(HEADER + 16 * n), &h, sizeof(h));
	*(uint8_t *)at(STATUS + n) = 0xee;
	ring_desc(&ring, d, HEADER + 16 * n, sizeof(h), VIRTQ_NEXT, d + 1);
	for (d++; len > 0; d++, len -= part, gpa += part) {
		part = parts-- > 1 ? len / 3 + 1 : len;
		ring_desc(&ring, d, gpa, part, flags | VIRTQ_NEXT, d + 1);
	}
	ring_desc(&ring, d, STATUS + n, 1, VIRTQ_WRITE, 0);
	ring_put(&ring, first);
}

/* Work; then request n came back with this status and length. */
static void
want(unsigned int n, uint8_t status, uint32_t length)
{
	uint32_t head, len;

	ring_notify(&ring);
	ck_assert_uint_gt(kicks[0], 0);
	ck_assert(!virtio_blk_work(&blk));
	ck_assert(ring_get(&ring, &head, &len));
	ck_assert_uint_eq(head, 8 * n);
	ck_assert_uint_eq(len, length);
	ck_assert_uint_eq(*(uint8_t *)at(STATUS + n), status);
	ck_assert(unit_level[IRQ]);
	ck_assert_uint_eq(reg(VIRTIO_ISR, 1), 1);
}

START_TEST(identity)
{
	struct virtio_blk_disk d = model;

	unit_out(&bus, 0xcf8, 4, 0x80000800);
	ck_assert_uint_eq(unit_in(&bus, 0xcfc, 4), 0x10011af4);
	unit_out(&bus, 0xcf8, 4, 0x8000082c);
	ck_assert_uint_eq(unit_in(&bus, 0xcfc, 4), 0x00021af4);
	ck_assert_uint_eq(reg(VIRTIO_OFFERED, 4), 1 << 2 | 1 << 6 | 1 << 9);
	ck_assert_uint_eq(reg(VIRTIO_SIZE, 2), 128);
	ck_assert_uint_eq(reg(0x14, 4), SECTORS);
	ck_assert_uint_eq(reg(0x18, 4), 0);
	ck_assert_uint_eq(reg(0x20, 4), 126);		/* seg_max */
	ck_assert_uint_eq(reg(0x28, 4), 512);		/* blk_size */
	d.read_only = true;
	d.size = 1ULL << 43;
	start(&d, UINT32_MAX);
	ck_assert_uint_eq(reg(VIRTIO_OFFERED, 4), 0x264);
	ck_assert_uint_eq(reg(0x14, 4), 0);
	ck_assert_uint_eq(reg(0x18, 4), 4);
}
END_TEST

START_TEST(reads)
{
	static const struct {
		uint64_t	sector, gpa;
		uint32_t	len;
		unsigned int	parts;
	} t[] = {
		{ 0, DATA, 512, 1 }, { SECTORS - 1, DATA, 512, 1 },
		{ 7, DATA + 3, 1024, 3 }, { 1, HIGH, HIGH_SIZE, 1 },
		{ 100, LOW_SIZE - 0x20000, 0x20000, 5 }, { SECTORS, 0, 0, 0 },
		{ 3, DATA, BLK_BUF, 4 }, { 3, DATA, BLK_BUF + 512, 4 },
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put(1, BLK_T_IN, t[i].sector, t[i].gpa, t[i].len, t[i].parts);
		want(1, BLK_S_OK, t[i].len + 1);
		if (t[i].len > 0)
			ck_assert_mem_eq(at(t[i].gpa),
			    disk.cache + t[i].sector * SECTOR, t[i].len);
	}
	ck_assert_uint_eq(disk.writes + disk.flushes, 0);
}
END_TEST

START_TEST(writes)
{
	static uint8_t was[sizeof(disk.cache)];
	uint8_t *data = at(DATA);
	unsigned int i;

	for (i = 0; i < 3 * SECTOR; i++)
		data[i] = (uint8_t)(i * 7);
	memcpy(was, disk.cache, sizeof(was));
	put(2, BLK_T_OUT, 5, DATA, 3 * SECTOR, 4);
	want(2, BLK_S_OK, 1);
	memcpy(was + 5 * SECTOR, data, 3 * SECTOR);
	ck_assert_mem_eq(disk.cache, was, sizeof(was));
	put(2, BLK_T_OUT, SECTORS - 1, DATA, SECTOR, 1);
	want(2, BLK_S_OK, 1);
	/* A big one, in pieces for the disk, of which the last is shorter. */
	memcpy(was, disk.cache, sizeof(was));
	put(3, BLK_T_OUT, 2, HIGH, HIGH_SIZE - SECTOR, 2);
	want(3, BLK_S_OK, 1);
	memcpy(was + 2 * SECTOR, high, HIGH_SIZE - SECTOR);
	ck_assert_mem_eq(disk.cache, was, sizeof(was));
	ck_assert_uint_eq(disk.writes, 4);
	ck_assert_uint_eq(disk.flushes, 0);
}
END_TEST

/* Header and status need no descriptor of their own. */
START_TEST(other_layouts)
{
	struct virtio_blk_header h = { .type = BLK_T_OUT, .sector = 9 };

	memcpy(at(DATA), &h, sizeof(h));
	memset(at(DATA + 16), 'w', SECTOR);
	ring_desc(&ring, 0, DATA, 5, VIRTQ_NEXT, 1);
	ring_desc(&ring, 1, DATA + 5, 11 + SECTOR, VIRTQ_NEXT, 2);
	ring_desc(&ring, 2, STATUS, 1, VIRTQ_WRITE, 0);
	ring_put(&ring, 0);
	want(0, BLK_S_OK, 1);
	ck_assert_mem_eq(disk.cache + 9 * SECTOR, at(DATA + 16), SECTOR);
	h.type = BLK_T_IN;
	memcpy(at(DATA), &h, sizeof(h));
	ring_desc(&ring, 1, DATA + 5, 11, VIRTQ_NEXT, 2);
	ring_desc(&ring, 2, STATUS - SECTOR, SECTOR + 1, VIRTQ_WRITE, 0);
	ring_put(&ring, 0);
	want(0, BLK_S_OK, SECTOR + 1);
	ck_assert_mem_eq(at(STATUS - SECTOR), at(DATA + 16), SECTOR);
}
END_TEST

START_TEST(identifier)
{
	struct virtio_blk_disk d = model;

	memset(at(DATA), 'x', 64);
	put(0, BLK_T_GET_ID, 0, DATA, 20, 1);
	want(0, BLK_S_OK, 21);
	ck_assert_mem_eq(at(DATA), "a disk\0\0\0\0\0\0\0\0\0\0\0\0\0\0x", 21);
	put(0, BLK_T_GET_ID, 0, DATA + 100, 3, 1);
	want(0, BLK_S_OK, 4);
	ck_assert_mem_eq(at(DATA + 100), "a d\0", 4);
	d.id = "an identifier, as is too long";
	start(&d, UINT32_MAX);
	put(0, BLK_T_GET_ID, 0, DATA, 64, 1);
	want(0, BLK_S_OK, 21);
	ck_assert_mem_eq(at(DATA), "an identifier, as is\0", 21);
}
END_TEST

/* Some drivers set the bit of a write in a flush: 0.9.5 has both numbers. */
START_TEST(flush)
{
	static const uint32_t t[] = { BLK_T_FLUSH, BLK_T_FLUSH_OUT };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		memset(at(DATA), 'a' + (int)i, SECTOR);
		put(0, BLK_T_OUT, 5, DATA, SECTOR, 1);
		want(0, BLK_S_OK, 1);
		ck_assert_mem_ne(disk.platter + 5 * SECTOR, at(DATA), SECTOR);
		put(0, t[i], 0, 0, 0, 0);
		want(0, BLK_S_OK, 1);
		ck_assert_mem_eq(disk.platter + 5 * SECTOR, at(DATA), SECTOR);
	}
}
END_TEST

START_TEST(unknown)
{
	static const uint32_t t[] = { 2, 3, 6, 11, 13, 0x80000000, 0x80000001,
		UINT32_MAX };
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put(0, t[i], 0, DATA, SECTOR, 1);
		want(0, BLK_S_UNSUPP, 1);
	}
	ck_assert_uint_eq(disk.reads + disk.writes + disk.flushes, 0);
	ck_assert_str_eq(unit_log, "");
}
END_TEST

/* Not on the disk, not whole sectors. */
START_TEST(ranges)
{
	static const struct {
		uint64_t	sector;
		uint32_t	len;
	} t[] = {
		{ SECTORS, SECTOR }, { SECTORS - 1, 2 * SECTOR },
		{ SECTORS + 1, 0 }, { UINT64_MAX, SECTOR }, { UINT64_MAX, 0 },
		{ UINT64_MAX / SECTOR + 1, SECTOR }, { 1ULL << 55, SECTOR },
		{ 0, 511 }, { 0, 513 }, { 0, 1 }, { 0, 1000 },
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put(0, BLK_T_IN, t[i].sector, DATA, t[i].len, 1);
		want(0, BLK_S_IOERR, 1);
		put(0, BLK_T_OUT, t[i].sector, DATA, t[i].len, 1);
		want(0, BLK_S_IOERR, 1);
	}
	ck_assert_uint_eq(disk.reads + disk.writes, 0);
	ck_assert(!virtio_stopped(&blk.virtio));
}
END_TEST

START_TEST(read_only)
{
	struct virtio_blk_disk d = model;

	d.read_only = true;
	start(&d, UINT32_MAX);
	put(0, BLK_T_OUT, 0, DATA, SECTOR, 1);
	want(0, BLK_S_IOERR, 1);
	ck_assert_uint_eq(disk.writes, 0);
	put(0, BLK_T_IN, 0, DATA, SECTOR, 1);
	want(0, BLK_S_OK, SECTOR + 1);
}
END_TEST

/* The disk fails: the guest is told each time, the person once. */
START_TEST(errors)
{
	static const uint32_t t[] = { BLK_T_IN, BLK_T_OUT, BLK_T_FLUSH };
	size_t i;

	disk.error = EIO;
	for (i = 0; i < 3; i++) {
		put(0, t[i], 0, DATA, t[i] == BLK_T_FLUSH ? 0 : SECTOR, 1);
		want(0, BLK_S_IOERR, 1);
	}
	ck_assert_str_eq(unit_log, "dev0: a read failed: Input/output error;"
	    " more of it is not told\n");
	disk.error = 0;
	put(0, BLK_T_IN, 1, DATA, SECTOR, 1);
	want(0, BLK_S_OK, SECTOR + 1);
}
END_TEST

/* Not a request at all. */
START_TEST(no_request)
{
	static const struct {
		uint32_t	out, in;
		const char	*why;
	} t[] = {
		{ 15, 1, "a request of 15 bytes with room for 1;" },
		{ 16, 0, "a request of 16 bytes with room for 0;" },
		{ 0, 512, "a request of 0 bytes with room for 512;" },
		{ 4096, 0, "a request of 4096 bytes with room for 0;" },
	};
	unsigned int d;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		start(&model, UINT32_MAX);
		d = 0;
		if (t[i].out > 0)
			ring_desc(&ring, d++, DATA, t[i].out,
			    t[i].in > 0 ? VIRTQ_NEXT : 0, 1);
		if (t[i].in > 0)
			ring_desc(&ring, d, DATA, t[i].in, VIRTQ_WRITE, 0);
		ring_put(&ring, 0);
		ck_assert(!virtio_blk_work(&blk));
		ck_assert(virtio_stopped(&blk.virtio));
		ck_assert_ptr_nonnull(strstr(unit_log, t[i].why));
		ck_assert_uint_eq(at16(ring.used + 2), 0);
	}
}
END_TEST

/* A ring full and again: each in its turn, and others have theirs. */
START_TEST(many)
{
	uint32_t head, len;
	unsigned int i, n;

	for (n = 0; n < 16; n++)
		put(n, BLK_T_IN, n, DATA + n * SECTOR, SECTOR, 1);
	for (i = 0; i < 112; i++)
		ring_put(&ring, (uint16_t)(8 * (i % 16)));
	ck_assert(virtio_blk_work(&blk));
	for (i = 0; i < 128; i++) {
		ck_assert(ring_get(&ring, &head, &len));
		ck_assert_uint_eq(head, 8 * (i % 16));
	}
	ck_assert(!virtio_blk_work(&blk));
	ck_assert_mem_eq(at(DATA), disk.cache, 16 * SECTOR);
}
END_TEST

/* --- Reset in the middle of a call to the disk --- */

static unsigned int reset_how;

static void
reset_now(void)
{
	disk.hook = NULL;
	set_reg(VIRTIO_STATUS, 1, 0);
	if (reset_how == 1)		/* and used again, at the same place */
		ring_start(0, RING);
	/* From now on the memory is not the device's any more. */
	memset(low, 0x5a, sizeof(low));
	memset(high, 0x5a, sizeof(high));
	if (reset_how == 1)
		put16(ring.avail + 2, 0);
}

START_TEST(reset_in_call)
{
	static const uint32_t t[] = { BLK_T_IN, BLK_T_OUT, BLK_T_FLUSH };
	reset_how = _i % 2;
	/* Two pieces for the disk: the second is not even asked for. */
	put(0, t[_i / 2], 0, DATA,
	    t[_i / 2] == BLK_T_FLUSH ? 0 : BLK_BUF + SECTOR, 2);
	put(1, BLK_T_IN, 0, DATA, SECTOR, 1);
	disk.hook = reset_now;
	ck_assert(!virtio_blk_work(&blk));
	ck_assert_uint_eq(disk.reads + disk.writes + disk.flushes, 1);
	ck_assert(!unit_level[IRQ]);
	ck_assert_uint_eq(reg(VIRTIO_ISR, 1), 0);
	if (reset_how == 1)
		memset(at(ring.avail + 2), 0x5a, 2);
	ck_assert(all(low, sizeof(low), 0x5a));
	ck_assert(all(high, sizeof(high), 0x5a));
	ck_assert_str_eq(unit_log, "");
}
END_TEST

/* --- The cut --- */

/* What the guest has been told: by sector, the number last written there. */
static struct {
	unsigned int	n;			/* requests sent */
	struct {
		uint32_t	type, sector, number;
	}		sent[400];
	uint32_t	written[8], promised[8];
	bool		flushes;		/* does it use them? */
	unsigned int	looks;
} told;

/*
 * The power goes now. Whatever the guest was told is safe is on the platter;
 * newer is fine as well, since numbers only grow.
 */
static void
cut(void)
{
	uint32_t head, len, s, number;

	while (ring_get(&ring, &head, &len)) {
		if (*(uint8_t *)at(STATUS + head / 8) != BLK_S_OK)
			continue;
		s = told.sent[ring.nseen - 1].sector;
		if (told.sent[ring.nseen - 1].type == BLK_T_OUT)
			told.written[s] = told.sent[ring.nseen - 1].number;
		if (told.sent[ring.nseen - 1].type == BLK_T_FLUSH ||
		    !told.flushes)
			memcpy(told.promised, told.written,
			    sizeof(told.promised));
	}
	for (s = 0; s < 8; s++) {
		memcpy(&number, disk.platter + s * SECTOR, sizeof(number));
		if (number < told.promised[s])
			ck_abort_msg("sector %u has %u, %u was promised", s,
			    number, told.promised[s]);
	}
	told.looks++;
}

static void
send_one(uint32_t type, uint32_t sector)
{
	unsigned int n = told.n % 16;
	uint32_t number = told.n + 1;

	told.sent[told.n].type = type;
	told.sent[told.n].sector = sector;
	told.sent[told.n++].number = number;
	memcpy(at(DATA + n * SECTOR), &number, sizeof(number));
	put(n, type, sector, DATA + n * SECTOR,
	    type == BLK_T_OUT ? SECTOR : 0, 1);
}

/* Batches of writes and flushes; the power goes at any moment. */
START_TEST(forgetful)
{
	static const char script[] = "0f01f2345f012345670f0f1f2f33333f7f0";
	unsigned int round, i, batch;

	memset(&told, 0, sizeof(told));
	told.flushes = _i == 0;
	start(&model, told.flushes ? UINT32_MAX : ~(uint32_t)BLK_FLUSH);
	memset(&disk.cache, 0, sizeof(disk.cache));
	memset(&disk.platter, 0, sizeof(disk.platter));
	disk.hook = cut;
	for (round = 0; round < 10; round++)
		for (i = 0; script[i] != '\0';) {
			for (batch = 0; batch <= round && script[i] != '\0';
			    batch++, i++)
				if (script[i] == 'f')
					send_one(BLK_T_FLUSH, 0);
				else
					send_one(BLK_T_OUT,
					    (uint32_t)(script[i] - '0'));
			disk.error = round == 5 ? EIO : 0;
			ck_assert(!virtio_blk_work(&blk));
			cut();
		}
	ck_assert_uint_eq(told.n, ring.nseen);
	ck_assert_uint_gt(told.looks, 500);
	/* Flushed, all of it; and what was not, and should have been lost. */
	ck_assert_uint_eq(told.promised[7], told.written[7]);
	if (told.flushes)
		ck_assert_uint_lt(told.promised[0], told.written[0]);
	else
		ck_assert_uint_eq(told.promised[0], told.written[0]);
}
END_TEST

int
main(void)
{
	TCase *tc = unit_case("virtio_blk", setup);

	tcase_add_test(tc, identity);
	tcase_add_test(tc, reads);
	tcase_add_test(tc, writes);
	tcase_add_test(tc, other_layouts);
	tcase_add_test(tc, identifier);
	tcase_add_test(tc, flush);
	tcase_add_test(tc, unknown);
	tcase_add_test(tc, ranges);
	tcase_add_test(tc, read_only);
	tcase_add_test(tc, errors);
	tcase_add_test(tc, no_request);
	tcase_add_test(tc, many);
	tcase_add_loop_test(tc, reset_in_call, 0, 6);
	tcase_add_loop_test(tc, forgetful, 0, 2);
	return (unit_end());
}
