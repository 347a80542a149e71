/* SPDX-License-Identifier: ISC */
/*
 * machine.h - the virtual hardware of a VM: which devices, at which ports and
 * lines, and what is behind them.
 *
 *	irq  0  interval timer, ports 40-43 and 61
 *	irq  4  serial port, 3f8
 *	irq  8  clock, 70 and 71
 *	irq  5, 9, 10, 11  PCI, level triggered: configuration at cf8
 *
 * PCI slots: 1 entropy, then disks, then network interfaces, each with its
 * registers at c000 + 40 * slot.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include "console.h"
#include "mon.h"
#include "dev/i8254.h"
#include "dev/i8259.h"
#include "dev/mc146818.h"
#include "dev/ns16550.h"
#include "dev/pci.h"
#include "dev/virtio_blk.h"
#include "dev/virtio_net.h"
#include "dev/virtio_rnd.h"
#include "slirp/link.h"

#define MACHINE_COM1	0x3f8
#define MACHINE_BARS	0xc000

/* disk.c: a raw file; "ram:FILE" a copy of it; "ram:SIZE" zeros, in MiB. */
struct disk {
	struct mon	*mon;
	const char	*path;
	int		 fd;		/* -1: memory */
	uint8_t		*mem;
	uint64_t	 size;
	bool		 read_only;
	struct virtio_blk blk;
};

/*
 * open: what the path names. Returns: CTL_OK, or told.
 * close: all that was written is safe. Returns: CTL_OK, or told that it is not.
 * init: the device in front of it, as powered on.
 */
int	disk_open(struct disk *, struct mon *, const char *path);
int	disk_close(struct disk *);
void	disk_init(struct disk *, unsigned int nr);

/*
 * All of a file, into memory of malloc(); `image` was zeroed.
 * Returns: an errno; EFBIG: it has `max` bytes or more, or memory has fewer.
 */
struct image {
	uint8_t	*p;
	size_t	 len;
};
int	file_whole(const char *path, uint64_t max, struct image *image);

/* net.c: "user" through a helper process, "tap=IF". */
struct nic {
	struct mon	*mon;
	int		 fd;
	pid_t		 helper;	/* 0: none */
	pthread_t	 reader;
	pthread_cond_t	 room;		/* the guest may have a buffer */
	struct link	 out;
	struct virtio_net net;
};

int	nic_open(struct nic *, struct mon *, const char *what);
void	nic_close(struct nic *);
void	nic_init(struct nic *, unsigned int nr);
int	nic_start(struct nic *);

struct machine {
	struct i8259	 pic;
	struct i8254	 pit;
	struct mc146818	 rtc;
	struct ns16550	 uart;
	struct pci	 pci;
	struct virtio_rnd rnd;
	struct disk	 disk[MON_DISKS];
	struct nic	 nic[MON_NICS];
	struct console	 console;
	unsigned int	 ndisks, nnics;	/* opened */
	struct image	 kernel, initrd;
};

/* Whom the serial line leads to: a socket, or this process's terminal. */
int	machine_attach(struct mon *, int sock);
int	machine_attach_here(struct mon *);

#endif /* MACHINE_H */
