/* SPDX-License-Identifier: ISC */
/*
 * fuzz_blk.c - the disk.
 *
 * Fuzzes: virtio_blk.c virtio.c
 */
#include <errno.h>

#include "fuzz_virtio.h"
#include "virtio_blk.h"

#define SECTORS		300

static struct virtio_blk *blk;
static bool failing;

static int
disk_access(uint64_t off, size_t len)
{
	fuzz_check(off <= SECTORS * 512 && len <= SECTORS * 512 - off);
	fuzz_check(len > 0 && len <= BLK_BUF);
	meanwhile();
	return (failing ? EIO : 0);
}

static int
disk_read(void *arg, uint64_t off, void *buf, size_t len)
{
	(void)arg;
	memset(buf, (uint8_t)(off / 512), len);
	return (disk_access(off, len));
}

static int
disk_write(void *arg, uint64_t off, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	(void)arg;
	fuzz_check(!blk->disk.read_only);
	fuzz_check(p[0] + p[len - 1] < 512);	/* both can be read */
	return (disk_access(off, len));
}

static int
disk_flush(void *arg)
{
	(void)arg;
	meanwhile();
	return (failing ? EIO : 0);
}

static void
start(void)
{
	struct virtio_blk_disk d = { .size = SECTORS * 512 + 17, .id = "fuzz",
		.read = disk_read, .write = disk_write, .flush = disk_flush };

	if (blk == NULL)
		blk = malloc(sizeof(*blk));
	d.read_only = fuzz_8() == 1;
	failing = false;
	virtio_blk_init(blk, &owner, &d);
	virtio_start(&blk->virtio);
}

static void
work(unsigned int queue)
{
	(void)queue;
	virtio_blk_work(blk);
	virtio_worked();
}

/* A header where the first page of data is, of a request that may be good. */
static void
put_header(void)
{
	static const uint32_t types[] = { BLK_T_IN, BLK_T_OUT, BLK_T_FLUSH,
		BLK_T_GET_ID, 11, 0x80000000 };
	static const uint64_t sectors[] = { 0, 1, 298, 299, 300, 301,
		UINT64_MAX, 1ULL << 55 };
	struct virtio_blk_header h = { 0 };
	uint8_t b = fuzz_8();

	h.type = types[b % 6];
	h.sector = sectors[b >> 3 & 7];
	poke(b & 0x40 ? HIGH : 0x6000 + 32 * fuzz_8(), &h, sizeof(h));
}

/* A whole request, in a chain of three or more. */
static void
put_request(void)
{
	uint8_t b = fuzz_8();
	uint16_t n = 0, i, parts = b % 4;
	struct virtq_desc d[8] = { { 0x6000, 16, VIRTQ_NEXT, 1 } };

	for (i = 0; i < parts; i++) {
		n++;
		d[n].gpa = some_gpa();
		d[n].len = b & 0x10 ? 512 << fuzz_8() % 6 : some_len();
		d[n].flags = VIRTQ_NEXT | (b & 0x20 ? VIRTQ_WRITE : 0);
		d[n].next = n + 1;
	}
	n++;
	d[n] = (struct virtq_desc){ 0x6fff, 1, VIRTQ_WRITE, 0 };
	put_header();
	for (i = 0; i <= n; i++)
		poke(ring(0) + 16 * i, &d[i], sizeof(d[i]));
	put_avail(0, 0);
	if (b & 0x40)
		out(VIRTIO_NOTIFY, 2, 0);
}

static void
step(uint8_t what)
{
	if (virtio_step(what))
		return;
	switch (what & 7) {
	case 0:
		failing = !failing;
		break;
	case 1:
		put_header();
		break;
	default:
		put_request();
		break;
	}
}

const struct fuzz_target fuzz_target = { start, virtio_port, step, virtio_end };
