/* SPDX-License-Identifier: ISC */
/*
 * fuzz_pci.c - PCI configuration space: three functions, two of which share
 * an interrupt.
 *
 * Fuzzes: pci.c
 */
#include "fuzz.h"
#include "pci.h"

#define FUNCS	3
#define IRQ(i)	(10 + (i) / 2)

static struct pci *pci;
static struct pci_func *func[FUNCS];
static size_t ranges;

static void
access_bar(void *dev, struct io *io)
{
	struct pci_func *f = *(struct pci_func **)dev;

	fuzz_check(io->port < f->size);
	if (io->in)
		io->data = io->port;
}

static void
start(void)
{
	unsigned int i;

	if (pci == NULL) {
		pci = malloc(sizeof(*pci));
		for (i = 0; i < FUNCS; i++)
			func[i] = malloc(sizeof(*func[i]));
	}
	pci_init(pci, &fuzz_bus);
	for (i = 0; i < FUNCS; i++) {
		*func[i] = (struct pci_func){ .vendor = 1, .device = 2,
			.class = 3, .size = (uint16_t)(4 << 3 * i),
			.io = access_bar, .dev = &func[i] };
		pci_add(pci, func[i], 1 + 15 * i, (uint16_t)(0x1000 * (i + 1)),
		    IRQ(i), fuzz_line(IRQ(i)));
	}
	ranges = fuzz_bus.n;
}

static uint16_t
port(void)
{
	uint8_t b = fuzz_8();

	if (b & 0x80)
		return (func[b % FUNCS]->base + (b >> 2 & 0x1f));
	return ((uint16_t)(0xcf8 + b % 9));
}

static void
out(uint16_t to, uint8_t size, uint32_t data)
{
	struct io io = { .port = to, .size = size, .data = data };

	bus_do(&fuzz_bus, &io);
}

/* The address of a register that is there, or a line. */
static void
step(uint8_t what)
{
	static const uint8_t regs[] = { PCI_COMMAND, PCI_BAR0, PCI_LINE, 0x40 };
	unsigned int i = fuzz_8();

	if (what & 1) {
		pci_intx(func[i % FUNCS], i & 0x80);
		return;
	}
	out(0xcf8, 4, 0x80000000 | (i % 4 == 3 ? 0 : 1 + 15 * (i % 4)) << 11 |
	    regs[what >> 1 & 3]);
	if (what & 8)
		out((uint16_t)(0xcfc + (i >> 2 & 3)), (uint8_t)(1 << i % 3),
		    fuzz_32());
}

static bool
wants(unsigned int i)
{
	return (func[i]->intx && (func[i]->header[PCI_COMMAND + 1] & 4) == 0);
}

/* Functions have the ports of their BARs, and lines are what they want. */
static void
end(void)
{
	unsigned int i, with = 0;

	for (i = 0; i < FUNCS; i++) {
		fuzz_check(func[i]->base % func[i]->size == 0);
		fuzz_check(func[i]->header[PCI_PIN] == 1);
		with += func[i]->base != 0;
	}
	fuzz_check(fuzz_bus.n == ranges - FUNCS + with);
	fuzz_check(fuzz_level[10] == (wants(0) || wants(1)));
	fuzz_check(fuzz_level[11] == wants(2));
}

const struct fuzz_target fuzz_target = { start, port, step, end };
