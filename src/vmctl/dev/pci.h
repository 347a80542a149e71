/* SPDX-License-Identifier: ISC */
/*
 * pci.h - a PCI bus of I/O ports: configuration mechanism 1, bus 0, 32 devices
 * of one function, and a host bridge as device 0.
 *
 * No BIOS runs. What one would have done is done when a function is added:
 * its BAR and its interrupt line are chosen, I/O is on.
 */
#ifndef PCI_H
#define PCI_H

#include "dev.h"

#define PCI_SLOTS	32
#define PCI_HEADER	64	/* bytes; the rest reads as zero */

/* Registers of a type 0 header; bits of the command and status. */
enum {
	PCI_VENDOR = 0x00,
	PCI_DEVICE = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_CLASS = 0x08,		/* with the revision, 32 bits */
	PCI_BAR0 = 0x10,
	PCI_SUBVENDOR = 0x2c,
	PCI_SUBDEVICE = 0x2e,
	PCI_LINE = 0x3c,
	PCI_PIN = 0x3d,

	PCI_COMMAND_IO = 1 << 0,
	PCI_COMMAND_MASTER = 1 << 2,
	PCI_COMMAND_NOINTX = 1 << 10,
	PCI_STATUS_INTX = 1 << 3,
};

/* What a function is: its owner fills it in before pci_add(). */
struct pci_func {
	uint16_t	 vendor, device, subvendor, subdevice;
	uint32_t	 class;		/* as in the register, with revision */
	uint16_t	 size;		/* of BAR 0: a power of 2; 0: none */
	io_fn		*io;		/* its port is the offset in the BAR */
	void		*dev;

	/* pci.c's own. */
	struct pci	*pci;
	uint8_t		 header[PCI_HEADER], writable[PCI_HEADER];
	uint16_t	 base;		/* of the ports it has; 0: none */
	bool		 intx;		/* as the device wants it */
	struct line	 line;
	int		 irq;
};

struct pci {
	struct bus	*bus;
	uint32_t	 address;
	struct pci_func	*slot[PCI_SLOTS];
	struct pci_func	 bridge;
};

/*
 * init: an empty bus with its bridge; its ports are added to the bus of ports.
 * add: a function in a slot from 1 that is free, at `base` (a multiple of its
 *	size), with interrupt line `irq`, whose input is `line`. Functions that
 *	share an irq share the input: it is up while one of them wants it.
 * intx: the level of the function's INTA, as the device wants it.
 */
void	pci_init(struct pci *, struct bus *);
void	pci_add(struct pci *, struct pci_func *, unsigned int slot,
	    uint16_t base, int irq, struct line line);
void	pci_intx(struct pci_func *, bool level);

#endif /* PCI_H */
