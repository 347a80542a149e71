/* SPDX-License-Identifier: ISC */
/*
 * virtio_blk.h - a disk.
 */
#ifndef VIRTIO_BLK_H
#define VIRTIO_BLK_H

#include "virtio.h"

#define BLK_QUEUE	128
#define BLK_ID		20
#define BLK_BUF		65536

/* What the driver may use, and finds in the configuration. */
enum {
	BLK_SEG_MAX = 1 << 2,
	BLK_RO = 1 << 5,
	BLK_BLK_SIZE = 1 << 6,
	BLK_FLUSH = 1 << 9,
};

struct virtio_blk_config {
	uint64_t	capacity;	/* sectors of 512 bytes */
	uint32_t	size_max;	/* not offered */
	uint32_t	seg_max;
	uint16_t	cylinders;	/* not offered */
	uint8_t		heads, sectors;
	uint32_t	blk_size;
};

/* The driver's request: what is first in the buffers it wants read. */
struct virtio_blk_header {
	uint32_t	type;
	uint32_t	prio;
	uint64_t	sector;
};

enum {
	BLK_T_IN = 0,
	BLK_T_OUT = 1,
	BLK_T_FLUSH = 4,
	BLK_T_FLUSH_OUT = 5,		/* the same */
	BLK_T_GET_ID = 8,
	BLK_S_OK = 0,
	BLK_S_IOERR = 1,
	BLK_S_UNSUPP = 2,
};

/*
 * What the disk is made of. The functions return 0 or an errno and may give
 * the lock back meanwhile. They never see guest memory.
 *
 * flush: returns when all that was written before is safe: fdatasync().
 */
struct virtio_blk_disk {
	uint64_t	 size;			/* bytes */
	bool		 read_only;
	const char	*id;			/* up to BLK_ID characters */
	int		(*read)(void *arg, uint64_t off, void *, size_t);
	int		(*write)(void *arg, uint64_t off, const void *, size_t);
	int		(*flush)(void *arg);
	void		*arg;
};

struct virtio_blk {
	struct virtio		 virtio;
	struct virtio_blk_config config;
	struct virtio_blk_disk	 disk;
	bool			 told;		/* that the disk has errors */
	uint8_t			 buf[BLK_BUF];
};

/*
 * work: after a kick, by one thread: serve requests, in order. True: there
 *	may be more, and it is somebody else's turn first.
 */
void	virtio_blk_init(struct virtio_blk *, const struct virtio_owner *,
	    const struct virtio_blk_disk *);
bool	virtio_blk_work(struct virtio_blk *);

#endif /* VIRTIO_BLK_H */
