/* SPDX-License-Identifier: ISC */
/*
 * virtio_blk.c - a disk: reads, writes and flushes, one after the other.
 */
#include <string.h>

#include "virtio_blk.h"

#define SECTOR		512
#define MIN(a, b)	((a) < (b) ? (a) : (b))

static const struct virtio_kind blk_kind = {
	.device = 0x1001,
	.type = 2,
	.class = 0x01800000,		/* other mass storage */
	.offered = BLK_SEG_MAX | BLK_BLK_SIZE | BLK_FLUSH,
	.size = { BLK_QUEUE },
};

void
virtio_blk_init(struct virtio_blk *b, const struct virtio_owner *owner,
    const struct virtio_blk_disk *disk)
{
	virtio_init(&b->virtio, &blk_kind, owner, &b->config,
	    sizeof(b->config));
	if (disk->read_only)
		b->virtio.offered |= BLK_RO;
	b->disk = *disk;
	b->told = false;
	b->config = (struct virtio_blk_config){
		.capacity = disk->size / SECTOR,
		.seg_max = BLK_QUEUE - 2,	/* beside header and status */
		.blk_size = SECTOR,
	};
}

/* The status of a request whose call to the disk gave this errno. */
static uint8_t
blk_status(struct virtio_blk *b, const char *what, int error)
{
	if (error == 0)
		return (BLK_S_OK);
	if (!b->told)
		dev_log("%s: %s failed: %s; more of it is not told",
		    b->virtio.owner.name, what, strerror(error));
	b->told = true;
	return (BLK_S_IOERR);
}

static uint8_t
blk_flush(struct virtio_blk *b)
{
	return (blk_status(b, "a flush", b->disk.flush(b->disk.arg)));
}

static uint8_t
blk_in(struct virtio_blk *b, uint64_t off, uint64_t len)
{
	uint64_t at;
	size_t n;
	int error;

	for (at = 0; at < len; at += n) {
		n = MIN(len - at, sizeof(b->buf));
		error = b->disk.read(b->disk.arg, off + at, b->buf, n);
		if (error != 0)
			return (blk_status(b, "a read", error));
		if (virtq_stale(&b->virtio, 0))
			break;
		virtq_write(&b->virtio, 0, at, b->buf, n);
	}
	return (BLK_S_OK);
}

/*
 * A driver that does not know of flushes is told of a write when it is safe.
 */
static uint8_t
blk_out(struct virtio_blk *b, uint64_t off, uint64_t len)
{
	bool flushes = b->virtio.features & BLK_FLUSH;
	uint64_t at;
	size_t n;
	int error;

	/* book: blk-out */
	for (at = 0; at < len; at += n) {
		n = MIN(len - at, sizeof(b->buf));
		virtq_read(&b->virtio, 0, sizeof(struct virtio_blk_header) + at,
		    b->buf, n);
		error = b->disk.write(b->disk.arg, off + at, b->buf, n);
		if (error != 0)
			return (blk_status(b, "a write", error));
		if (virtq_stale(&b->virtio, 0))
			return (BLK_S_OK);
	}
	return (flushes ? BLK_S_OK : blk_flush(b));
	/* book: end */
}

/* Whole sectors, all of them on the disk? */
static bool
blk_range(const struct virtio_blk *b, uint64_t sector, uint64_t len)
{
	return (len % SECTOR == 0 && sector <= b->config.capacity &&
	    len / SECTOR <= b->config.capacity - sector);
}

/* One request: its status, and how much of `in` bytes was filled. */
static uint8_t
blk_do(struct virtio_blk *b, const struct virtio_blk_header *h, uint64_t out,
    uint64_t in, uint64_t *filled)
{
	char id[BLK_ID] = { 0 };

	*filled = 0;
	switch (h->type) {
	case BLK_T_IN:
		if (!blk_range(b, h->sector, in))
			return (BLK_S_IOERR);
		*filled = in;
		return (blk_in(b, h->sector * SECTOR, in));
	case BLK_T_OUT:
		if (b->disk.read_only || !blk_range(b, h->sector, out))
			return (BLK_S_IOERR);
		return (blk_out(b, h->sector * SECTOR, out));
	case BLK_T_FLUSH:
	case BLK_T_FLUSH_OUT:
		return (blk_flush(b));
	case BLK_T_GET_ID:
		memcpy(id, b->disk.id, strnlen(b->disk.id, sizeof(id)));
		*filled = MIN(in, sizeof(id));
		virtq_write(&b->virtio, 0, 0, id, *filled);
		return (BLK_S_OK);
	default:
		return (BLK_S_UNSUPP);
	}
}

static void
blk_request(struct virtio_blk *b)
{
	struct virtio *v = &b->virtio;
	const struct virtq_chain *c = &v->q[0].chain;
	struct virtio_blk_header h;
	uint64_t filled;
	uint8_t status;

	if (c->out < sizeof(h) || c->in < sizeof(status)) {
		virtio_stop(v, 0, "a request of %llu bytes with room for %llu",
		    (unsigned long long)c->out, (unsigned long long)c->in);
		return;
	}
	virtq_read(v, 0, 0, &h, sizeof(h));
	status = blk_do(b, &h, c->out - sizeof(h), c->in - sizeof(status),
	    &filled);
	if (virtq_stale(v, 0))
		return;
	virtq_write(v, 0, c->in - sizeof(status), &status, sizeof(status));
	if (status != BLK_S_OK)
		filled = 0;
	virtq_push(v, 0, (uint32_t)(filled + sizeof(status)));
}

bool
virtio_blk_work(struct virtio_blk *b)
{
	unsigned int i;

	for (i = 0; i < BLK_QUEUE; i++) {
		if (!virtq_pop(&b->virtio, 0))
			return (false);
		blk_request(b);
	}
	return (true);
}
