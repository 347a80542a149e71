/* SPDX-License-Identifier: ISC */
/*
 * virtio.h - what the virtio devices share: the legacy interface (version
 * 0.9.5) over PCI I/O ports, and split rings.
 *
 * A ring is in guest memory, and the guest's CPUs run while a device reads
 * it. Each index and each descriptor is read once, judged, and then used as
 * it was read. Data moves through buffers of the device's own, so that what a
 * file or a network does to them is over before the guest is told of a reset.
 *
 * A driver that breaks the rules gets its device stopped: the reason is
 * logged, and the device does nothing until the driver resets it.
 */
#ifndef VIRTIO_H
#define VIRTIO_H

#include "dev.h"
#include "pci.h"

#define VIRTIO_PORTS	64	/* size of the BAR */
#define VIRTIO_QUEUES	2
#define VIRTQ_MAX	256	/* descriptors of a ring */

/* The registers, as offsets in the BAR. A device's configuration follows. */
enum {
	VIRTIO_OFFERED = 0x00,		/* 32 bits: the device's features */
	VIRTIO_FEATURES = 0x04,		/* 32: those the driver took */
	VIRTIO_PFN = 0x08,		/* 32: page of the selected ring */
	VIRTIO_SIZE = 0x0c,		/* 16: its descriptors; 0: no ring */
	VIRTIO_SELECT = 0x0e,		/* 16 */
	VIRTIO_NOTIFY = 0x10,		/* 16: which ring has new buffers */
	VIRTIO_STATUS = 0x12,		/* 8: 0 resets */
	VIRTIO_ISR = 0x13,		/* 8: reading clears it */
	VIRTIO_CONFIG = 0x14,

	VIRTIO_STATUS_STOPPED = 0x40,	/* "needs reset" */
	VIRTIO_ISR_RING = 0x01,
};

/* A descriptor, as it lies in guest memory. */
struct virtq_desc {
	uint64_t	gpa;
	uint32_t	len;
	uint16_t	flags;
	uint16_t	next;
};

enum {
	VIRTQ_NEXT = 1,
	VIRTQ_WRITE = 2,		/* the device writes */
	VIRTQ_INDIRECT = 4,		/* not offered */
	VIRTQ_NO_INTERRUPT = 1,		/* of the available ring */
};

/* Buffers of the guest, as one descriptor chain names them. */
struct virtq_chain {
	uint16_t	 head;
	uint32_t	 life;		/* of its ring, when it was taken */
	unsigned int	 nseg, nout;	/* the first nout are read-only */
	uint64_t	 out, in;	/* bytes to read, and to write */
	struct {
		uint8_t		*p;
		uint32_t	 len;
	}		 seg[VIRTQ_MAX];
};

struct virtq {
	uint16_t	 size;		/* a power of 2, to VIRTQ_MAX */
	uint32_t	 pfn;		/* 0: not set up */
	uint32_t	 life;		/* how often it was set up or reset */
	uint16_t	 avail, used;	/* the next of each, as counted */
	uint8_t		*desc, *ravail, *rused;	/* where the parts are */
	struct virtq_chain chain;	/* the one in work */
};

/* Whose device it is. kick: the guest put something in a ring. */
struct virtio_owner {
	const char		*name;	/* for the log */
	const struct mem	*mem;
	void			(*kick)(void *arg, unsigned int queue);
	void			*arg;
};

struct virtio {
	struct pci_func		 pci;
	struct virtio_owner	 owner;
	uint32_t		 offered, features;
	const uint8_t		*config;
	size_t			 nconfig;
	struct virtq		 q[VIRTIO_QUEUES];
	uint16_t		 select;
	uint8_t			 status, isr;
	unsigned int		 logged;	/* reasons, in all its life */
};

/* What sort of device: its number in PCI and in virtio, its class. */
struct virtio_kind {
	uint16_t	device, type;
	uint32_t	class;
	uint32_t	offered;
	uint16_t	size[VIRTIO_QUEUES];
};

/*
 * init: a device in reset, for pci_add(). config: `n` bytes that the guest
 *	reads; they belong to the caller.
 * stop: the driver broke the rules; the rest is the reason, for the log.
 * stopped: and not reset since.
 */
void	virtio_init(struct virtio *, const struct virtio_kind *,
	    const struct virtio_owner *, const void *config, size_t n);
void	virtio_stop(struct virtio *, unsigned int queue, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
bool	virtio_stopped(const struct virtio *);

/*
 * Of the ring with number `queue`; one thread at a time works on a ring.
 *
 * pop: take its next chain, which is its `chain` then. False: there is none,
 *	or the device is stopped, perhaps just now.
 * stale: since the chain was taken, the ring was reset. What the chain names
 *	is not the device's any more.
 * push: hand the chain back, `len` bytes of it written; interrupts the guest
 *	unless it asked not to be. A stale one is dropped.
 * read, write: copy from the chain's `out` bytes, or to its `in` bytes, from
 *	offset `at`. The caller stays within them.
 */
bool	virtq_pop(struct virtio *, unsigned int queue);
bool	virtq_stale(const struct virtio *, unsigned int queue);
void	virtq_push(struct virtio *, unsigned int queue, uint32_t len);
void	virtq_read(const struct virtio *, unsigned int queue, uint64_t at,
	    void *, size_t len);
void	virtq_write(const struct virtio *, unsigned int queue, uint64_t at,
	    const void *, size_t len);

#endif /* VIRTIO_H */
