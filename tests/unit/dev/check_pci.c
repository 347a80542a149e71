/* SPDX-License-Identifier: ISC */
/*
 * check_pci.c - PCI configuration space, BARs and interrupts.
 */
#include <signal.h>

#include "dev_unit.h"
#include "pci.h"

#define ADDR(slot, reg)	(0x80000000u | (slot) << 11 | (reg))

static struct bus bus;
static struct pci pci;
static struct pci_func one, two;
static struct io seen;

static void
note(void *dev, struct io *io)
{
	ck_assert_ptr_eq(dev, &seen);
	seen = *io;
	if (io->in)
		io->data = 0x50 + io->port;
}

static void
setup(void)
{
	unit_start();
	bus = (struct bus){ .n = 0 };
	pci_init(&pci, &bus);
	one = (struct pci_func){ .vendor = 0x1af4, .device = 0x1001,
		.subvendor = 0x1234, .subdevice = 0x5678, .class = 0x01800003,
		.size = 64, .io = note, .dev = &seen };
	two = one;
	pci_add(&pci, &one, 1, 0xc000, 10, unit_line(10));
	pci_add(&pci, &two, 31, 0xc040, 10, unit_line(10));
	memset(&seen, 0, sizeof(seen));
}

static uint32_t
cfg(unsigned int slot, unsigned int reg)
{
	unit_out(&bus, 0xcf8, 4, ADDR(slot, reg & ~3u));
	return (unit_in(&bus, 0xcfc, 4));
}

static void
set_cfg(unsigned int slot, unsigned int reg, unsigned int size, uint32_t v)
{
	unit_out(&bus, 0xcf8, 4, ADDR(slot, reg & ~3u));
	unit_out(&bus, (uint16_t)(0xcfc + (reg & 3)), size, v);
}

START_TEST(address_register)
{
	unit_out(&bus, 0xcf8, 4, 0xffffffff);
	ck_assert_uint_eq(unit_in(&bus, 0xcf8, 4), 0x80fffffc);
	/* Less than 32 bits: not the register, nor does it change. */
	unit_out(&bus, 0xcf8, 1, 0);
	unit_out(&bus, 0xcf8, 2, 0);
	unit_out(&bus, 0xcf9, 1, 0);
	unit_out(&bus, 0xcfb, 1, 0);
	ck_assert_uint_eq(unit_in(&bus, 0xcf8, 1), 0xff);
	ck_assert_uint_eq(unit_in(&bus, 0xcf8, 2), 0xffff);
	ck_assert_uint_eq(unit_in(&bus, 0xcfb, 1), 0xff);
	ck_assert_uint_eq(unit_in(&bus, 0xcf8, 4), 0x80fffffc);
	/* Another device may have a port beside it: that of the reset. */
	bus_add(&bus, 0xcf9, 1, true, note, &seen);
	set_cfg(1, PCI_BAR0, 4, 0xd000);
	unit_out(&bus, 0xcf9, 1, 6);
	ck_assert_uint_eq(seen.data, 6);
}
END_TEST

START_TEST(who_is_there)
{
	static const uint32_t nobody[] = {
		ADDR(1, 0) & 0x7fffffff,	/* not enabled */
		ADDR(2, 0), ADDR(30, 0),	/* no such device */
		ADDR(1, 0) | 1 << 16, ADDR(1, 0) | 0x80 << 16,	/* bus */
		ADDR(1, 0) | 1 << 8, ADDR(1, 0) | 7 << 8,	/* function */
	};
	size_t i;

	ck_assert_uint_eq(cfg(0, 0), 0x12378086);
	ck_assert_uint_eq(cfg(0, PCI_CLASS), 0x06000002);
	ck_assert_uint_eq(cfg(0, PCI_PIN), 0);
	ck_assert_uint_eq(cfg(1, 0), 0x10011af4);
	ck_assert_uint_eq(cfg(31, 0), 0x10011af4);
	ck_assert_uint_eq(cfg(1, PCI_CLASS), 0x01800003);
	ck_assert_uint_eq(cfg(1, PCI_SUBVENDOR), 0x56781234);
	for (i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
		unit_out(&bus, 0xcf8, 4, nobody[i]);
		ck_assert_uint_eq(unit_in(&bus, 0xcfc, 4), 0xffffffff);
		ck_assert_uint_eq(unit_in(&bus, 0xcfd, 1), 0xff);
		unit_out(&bus, 0xcfc, 4, 0);
	}
	/* The rest of the space is empty. */
	ck_assert_uint_eq(cfg(1, 0x40), 0);
	set_cfg(1, 0x40, 4, 0xffffffff);
	ck_assert_uint_eq(cfg(1, 0x40), 0);
	ck_assert_uint_eq(cfg(1, 0xfc), 0);
}
END_TEST

START_TEST(parts)
{
	unit_out(&bus, 0xcf8, 4, ADDR(1, 0));
	ck_assert_uint_eq(unit_in(&bus, 0xcfc, 1), 0xf4);
	ck_assert_uint_eq(unit_in(&bus, 0xcfd, 1), 0x1a);
	ck_assert_uint_eq(unit_in(&bus, 0xcff, 1), 0x10);
	ck_assert_uint_eq(unit_in(&bus, 0xcfe, 2), 0x1001);
	ck_assert_uint_eq(unit_in(&bus, 0xcfd, 2), 0x011a);
	/* Past the port there is nothing. */
	ck_assert_uint_eq(unit_in(&bus, 0xcfe, 4), 0xffff1001);
	/* Each byte of a register can be written alone, and past it none. */
	set_cfg(1, PCI_COMMAND + 1, 1, 0x04);
	ck_assert_uint_eq(cfg(1, PCI_COMMAND) & 0xffff, 0x0405);
	set_cfg(1, PCI_LINE, 4, 0xffffff07);
	ck_assert_uint_eq(cfg(1, PCI_LINE), 0x0107);
	set_cfg(1, 0x3b, 4, 0x0300);
	ck_assert_uint_eq(cfg(1, PCI_LINE), 0x0107);
}
END_TEST

/* What nobody may write, written. */
START_TEST(read_only)
{
	unsigned int r;
	uint32_t was[16], bits;

	for (r = 0; r < 16; r++)
		was[r] = cfg(1, 4 * r);
	for (r = 0; r < 64; r++)
		if (r != PCI_LINE)
			set_cfg(1, r, 1, 0xff);
	for (r = 0; r < 16; r++) {
		bits = r == PCI_COMMAND / 4 ? 0x405 :
		    r == PCI_BAR0 / 4 ? 0xffffffc0 : 0;
		ck_assert_uint_eq(cfg(1, 4 * r), was[r] | bits);
	}
	for (r = 0; r < 64; r++)
		set_cfg(0, r, 1, 0xff);
	ck_assert_uint_eq(cfg(0, 0), 0x12378086);
	ck_assert_uint_eq(cfg(0, PCI_COMMAND), 0);
	ck_assert_uint_eq(cfg(0, PCI_BAR0), 0);
}
END_TEST

/* As a BIOS would have left it, and as a kernel sizes and moves it. */
START_TEST(bar)
{
	ck_assert_uint_eq(cfg(1, PCI_BAR0), 0xc001);
	ck_assert_uint_eq(cfg(1, PCI_COMMAND), 0x5);
	ck_assert_uint_eq(unit_in(&bus, 0xc004, 1), 0x54);
	ck_assert_uint_eq(unit_in(&bus, 0xc03f, 2), 0x8f);
	unit_out(&bus, 0xc012, 2, 0xabcd);
	ck_assert_uint_eq(seen.port, 0x12);
	ck_assert_uint_eq(seen.size, 2);
	ck_assert_uint_eq(seen.data, 0xabcd);

	set_cfg(1, PCI_BAR0, 4, 0xffffffff);
	ck_assert_uint_eq(cfg(1, PCI_BAR0), 0xffffffc1);
	ck_assert_uint_eq(unit_in(&bus, 0xc004, 1), 0xff);
	ck_assert_uint_eq(unit_in(&bus, 0xffc4, 1), 0xff);
	set_cfg(1, PCI_BAR0, 4, 0xd07f);
	ck_assert_uint_eq(cfg(1, PCI_BAR0), 0xd041);
	ck_assert_uint_eq(unit_in(&bus, 0xd044, 1), 0x54);
	ck_assert_uint_eq(unit_in(&bus, 0xc004, 1), 0xff);
	ck_assert_uint_eq(unit_in(&bus, 0xc044, 1), 0x54);	/* the other */
	/* The last ports there are. */
	set_cfg(1, PCI_BAR0, 4, 0xffc1);
	ck_assert_uint_eq(unit_in(&bus, 0xffff, 1), 0x8f);
	/* Nowhere: at 0, and where no port is. */
	set_cfg(1, PCI_BAR0, 4, 0);
	ck_assert_uint_eq(unit_in(&bus, 0, 1), 0xff);
	set_cfg(1, PCI_BAR0, 4, 0x10000);
	ck_assert_uint_eq(unit_in(&bus, 0, 1), 0xff);
	/* The other BARs and the ROM are not there. */
	set_cfg(1, PCI_BAR0 + 4, 4, 0xffffffff);
	ck_assert_uint_eq(cfg(1, PCI_BAR0 + 4), 0);
	set_cfg(1, 0x30, 4, 0xffffffff);
	ck_assert_uint_eq(cfg(1, 0x30), 0);
}
END_TEST

START_TEST(io_enable)
{
	size_t n = bus.n;

	set_cfg(1, PCI_COMMAND, 2, 0x4);
	ck_assert_uint_eq(unit_in(&bus, 0xc004, 1), 0xff);
	ck_assert_uint_eq(unit_in(&bus, 0xc044, 1), 0x54);
	set_cfg(1, PCI_BAR0, 4, 0xe000);
	ck_assert_uint_eq(unit_in(&bus, 0xe004, 1), 0xff);
	set_cfg(1, PCI_COMMAND, 2, 0x5);
	ck_assert_uint_eq(unit_in(&bus, 0xe004, 1), 0x54);
	ck_assert_uint_eq(bus.n, n);
}
END_TEST

/* Both BARs at one place, and on top of the bus's own ports. */
START_TEST(bar_over_others)
{
	set_cfg(1, PCI_BAR0, 4, 0xc040);
	ck_assert_uint_eq(unit_in(&bus, 0xc044, 1), 0x54);
	set_cfg(1, PCI_BAR0, 4, 0xcc0);
	ck_assert_uint_eq(unit_in(&bus, 0xcc4, 1), 0x54);
	ck_assert_uint_eq(cfg(1, 0), 0x10011af4);
	set_cfg(1, PCI_BAR0, 4, 0xc000);
	ck_assert_uint_eq(unit_in(&bus, 0xc004, 1), 0x54);
}
END_TEST

START_TEST(interrupt)
{
	ck_assert_uint_eq(cfg(1, PCI_LINE), 0x010a);
	pci_intx(&one, true);
	ck_assert(unit_level[10]);
	ck_assert_uint_eq(cfg(1, PCI_COMMAND), 0x00080005);
	set_cfg(1, PCI_COMMAND, 2, 0x405);
	ck_assert(!unit_level[10]);
	ck_assert_uint_eq(cfg(1, PCI_COMMAND), 0x00080405);
	set_cfg(1, PCI_COMMAND, 2, 0x005);
	ck_assert(unit_level[10]);
	/* The line register is the guest's to write, and wires nothing. */
	set_cfg(1, PCI_LINE, 1, 5);
	pci_intx(&one, false);
	ck_assert(!unit_level[10]);
	ck_assert(!unit_level[5]);
	ck_assert_uint_eq(cfg(1, PCI_LINE), 0x0105);
	ck_assert_uint_eq(cfg(1, PCI_COMMAND), 0x00000005);
}
END_TEST

START_TEST(interrupt_shared)
{
	static struct pci_func three;

	three = one;
	pci_add(&pci, &three, 2, 0xc080, 11, unit_line(11));
	pci_intx(&one, true);
	pci_intx(&two, true);
	pci_intx(&three, true);
	ck_assert(unit_level[10] && unit_level[11]);
	pci_intx(&one, false);
	ck_assert(unit_level[10]);
	set_cfg(31, PCI_COMMAND, 2, 0x405);
	ck_assert(!unit_level[10]);
	ck_assert(unit_level[11]);
	set_cfg(31, PCI_COMMAND, 2, 0x005);
	pci_intx(&two, false);
	ck_assert(!unit_level[10]);
	ck_assert_uint_eq(unit_edges[10], 4);
}
END_TEST

/* As many as there are slots; a wrong one is its owner's fault. */
START_TEST(full)
{
	static struct pci_func more[PCI_SLOTS];
	unsigned int i;

	for (i = 2; i < 31; i++) {
		more[i] = (struct pci_func){ .vendor = 1, .device = 2 };
		pci_add(&pci, &more[i], i, 0, 5, (struct line){ 0 });
		ck_assert_uint_eq(cfg(i, 0), 0x00020001);
		ck_assert_uint_eq(cfg(i, PCI_BAR0), 0);
	}
	set_cfg(2, PCI_BAR0, 4, 0xd000);
	ck_assert_uint_eq(cfg(2, PCI_BAR0), 0);
	pci_intx(&more[2], true);
}
END_TEST

START_TEST(slot_taken)
{
	pci_add(&pci, &two, 1, 0xc080, 10, unit_line(10));
}
END_TEST

START_TEST(base_unaligned)
{
	pci_add(&pci, &two, 2, 0xc020, 10, unit_line(10));
}
END_TEST

int
main(void)
{
	TCase *tc = unit_case("pci", setup);

	tcase_add_test(tc, address_register);
	tcase_add_test(tc, who_is_there);
	tcase_add_test(tc, parts);
	tcase_add_test(tc, read_only);
	tcase_add_test(tc, bar);
	tcase_add_test(tc, io_enable);
	tcase_add_test(tc, bar_over_others);
	tcase_add_test(tc, interrupt);
	tcase_add_test(tc, interrupt_shared);
	tcase_add_test(tc, full);
	tcase_add_test_raise_signal(tc, slot_taken, SIGABRT);
	tcase_add_test_raise_signal(tc, base_unaligned, SIGABRT);
	return (unit_end());
}
