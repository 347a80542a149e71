/* SPDX-License-Identifier: ISC */
/*
 * pci.c - PCI configuration space, by mechanism 1.
 */
#include <stdlib.h>
#include <string.h>

#include "pci.h"

/* Two ports of 32 bits; the address has an enable bit and no bit 0 and 1. */
#define PORT_ADDRESS	0xcf8
#define PORT_DATA	0xcfc
#define ADDRESS_ENABLE	0x80000000
#define ADDRESS_BITS	0x80fffffc

/* Bit 0 of a BAR: it is one of ports. It has 32 bits, of which 16 count. */
#define BAR_IO		0x1

static uint32_t
get(const uint8_t *header, unsigned int reg, unsigned int size)
{
	uint32_t v = 0;

	memcpy(&v, header + reg, size);
	return (v);
}

static void
put(uint8_t *header, unsigned int reg, uint32_t v, unsigned int size)
{
	memcpy(header + reg, &v, size);
}

/* Of the functions with this one's irq, one wants it up. */
static void
pci_irq(struct pci_func *f)
{
	const struct pci_func *g;
	bool level = false;
	unsigned int i;

	for (i = 0; i < PCI_SLOTS; i++) {
		g = f->pci->slot[i];
		if (g != NULL && g->irq == f->irq && g->intx &&
		    (get(g->header, PCI_COMMAND, 2) & PCI_COMMAND_NOINTX) == 0)
			level = true;
	}
	line_set(&f->line, level);
}

void
pci_intx(struct pci_func *f, bool level)
{
	f->intx = level;
	f->header[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTX;
	if (level)
		f->header[PCI_STATUS] |= PCI_STATUS_INTX;
	pci_irq(f);
}

/* An access to a function's ports. */
static void
pci_bar(void *arg, struct io *io)
{
	struct pci_func *f = arg;
	struct io at = *io;

	at.port -= f->base;
	f->io(f->dev, &at);
	io->data = at.data;
}

static void	pci_address(void *, struct io *);
static void	pci_data(void *, struct io *);

/*
 * Give the function its ports where its BAR says, or none. A guest that finds
 * out a BAR's size by writing ones to it moves it out of the ports there are.
 * The two ports of the bus itself are added last: no BAR hides them.
 */
static void
pci_map(struct pci_func *f)
{
	uint32_t bar = get(f->header, PCI_BAR0, 4) & ~BAR_IO;
	bool on = get(f->header, PCI_COMMAND, 2) & PCI_COMMAND_IO;
	struct bus *b = f->pci->bus;

	if (!on || f->size == 0 || bar > UINT16_MAX)
		bar = 0;
	if (f->base == bar)
		return;
	bus_remove(b, f);
	bus_remove(b, f->pci);
	f->base = (uint16_t)bar;
	if (bar != 0)
		bus_add(b, f->base, f->size, false, pci_bar, f);
	bus_add(b, PORT_ADDRESS, 1, false, pci_address, f->pci);
	bus_add(b, PORT_DATA, 4, false, pci_data, f->pci);
}

static void
pci_address(void *arg, struct io *io)
{
	struct pci *p = arg;

	/* Only 32 bits at once are the register; the rest is not PCI's. */
	if (io->size != 4)
		io->data = io->in ? UINT32_MAX >> (32 - 8 * io->size) : 0;
	else if (io->in)
		io->data = p->address;
	else
		p->address = io->data & ADDRESS_BITS;
}

static struct pci_func *
pci_find(const struct pci *p)
{
	if ((p->address & ADDRESS_ENABLE) == 0 ||
	    (p->address & 0x00ff0700) != 0)	/* bus 0, function 0 */
		return (NULL);
	return (p->slot[p->address >> 11 & 0x1f]);
}

/* Write one byte of the header: the bits that can be written. */
static void
pci_write(struct pci_func *f, unsigned int reg, uint8_t data)
{
	uint8_t bits = f->writable[reg];

	f->header[reg] = (f->header[reg] & (uint8_t)~bits) | (data & bits);
}

static void
pci_data(void *arg, struct io *io)
{
	struct pci *p = arg;
	struct pci_func *f = pci_find(p);
	unsigned int i, reg, at = io->port & 3;
	uint8_t byte;

	if (io->in)
		io->data = 0;
	for (i = 0; i < io->size; i++) {
		reg = (p->address & 0xfc) + at + i;
		if (f == NULL || at + i > 3)
			byte = 0xff;	/* nobody there, or past the port */
		else if (reg >= PCI_HEADER)
			byte = 0;
		else {
			if (!io->in)
				pci_write(f, reg,
				    (uint8_t)(io->data >> 8 * i));
			byte = f->header[reg];
		}
		if (io->in)
			io->data |= (uint32_t)byte << 8 * i;
	}
	if (f != NULL && !io->in) {
		pci_map(f);
		pci_irq(f);
	}
}

static void
pci_put_ids(struct pci_func *f)
{
	put(f->header, PCI_VENDOR, f->vendor, 2);
	put(f->header, PCI_DEVICE, f->device, 2);
	put(f->header, PCI_CLASS, f->class, 4);
	put(f->header, PCI_SUBVENDOR, f->subvendor, 2);
	put(f->header, PCI_SUBDEVICE, f->subdevice, 2);
}

void
pci_init(struct pci *p, struct bus *b)
{
	memset(p, 0, sizeof(*p));
	p->bus = b;
	p->bridge = (struct pci_func){
		.vendor = 0x8086,	/* Intel 82441FX */
		.device = 0x1237,
		.class = 0x06000002,	/* host bridge, revision 2 */
		.irq = -1,
		.pci = p,
	};
	pci_put_ids(&p->bridge);
	p->slot[0] = &p->bridge;
	bus_add(b, PORT_ADDRESS, 1, false, pci_address, p);
	bus_add(b, PORT_DATA, 4, false, pci_data, p);
}

void
pci_add(struct pci *p, struct pci_func *f, unsigned int slot, uint16_t base,
    int irq, struct line line)
{
	if (slot >= PCI_SLOTS || p->slot[slot] != NULL ||
	    (f->size & (f->size - 1)) != 0 || f->size == 1 || f->size == 2 ||
	    (f->size != 0 && (base == 0 || base % f->size != 0)))
		abort();
	p->slot[slot] = f;
	f->pci = p;
	f->line = line;
	f->irq = irq;
	f->intx = false;
	f->base = 0;
	memset(f->header, 0, sizeof(f->header));
	memset(f->writable, 0, sizeof(f->writable));
	pci_put_ids(f);
	put(f->header, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER, 2);
	put(f->writable, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER |
	    PCI_COMMAND_NOINTX, 2);
	if (f->size != 0) {
		put(f->header, PCI_BAR0, base | BAR_IO, 4);
		put(f->writable, PCI_BAR0, ~(uint32_t)(f->size - 1), 4);
	}
	f->header[PCI_LINE] = (uint8_t)irq;
	f->header[PCI_PIN] = 1;		/* INTA */
	f->writable[PCI_LINE] = 0xff;
	pci_map(f);
}
