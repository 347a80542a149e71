/* SPDX-License-Identifier: ISC */
/*
 * i8259.c - a PC's two interrupt controllers.
 *
 * Sections are those of Intel's 8259A data sheet, 231468-003, December 1988,
 * which has titles and no numbers. ELCR, the register for level triggered
 * inputs, is in that of the 82371AB (PIIX4): "Edge/Level Control Register".
 */
#include <string.h>

#include "i8259.h"

/* "Initialization Command Words (ICWS)" */
#define ICW1		0x10		/* tells it from OCW2 and OCW3 */
#define ICW1_IC4	0x01
#define ICW1_SNGL	0x02
#define ICW1_LTIM	0x08
#define ICW4_AEOI	0x02
#define ICW4_SFNM	0x10

/* "Operation Command Words (OCWS)" */
#define OCW2_EOI	0x20
#define OCW2_SL		0x40
#define OCW2_R		0x80
#define OCW3		0x08		/* tells it from OCW2 */
#define OCW3_RIS	0x01
#define OCW3_RR		0x02
#define OCW3_P		0x04
#define OCW3_SMM	0x20
#define OCW3_ESMM	0x40

/* Inputs that ELCR can change: not 0, 1, 2, 8 and 13. */
static const uint8_t elcr_mask[2] = { 0xf8, 0xde };

/* --- One chip --- */

/* Of some levels that of the highest priority; -1: none of them. */
static int
chip_top(const struct i8259_chip *c, uint8_t levels)
{
	unsigned int i, n;

	for (i = 1; i <= 8; i++) {
		n = (c->lowest + i) & 7;
		if (levels & 1 << n)
			return ((int)n);
	}
	return (-1);
}

/*
 * "Edge and Level Triggered Modes": in either mode an input that is low again
 * requests nothing.
 */
static uint8_t
chip_irr(const struct i8259_chip *c)
{
	return (c->in & (c->edge | (c->icw1 & ICW1_LTIM ? 0xff : c->elcr)));
}

/*
 * The level that the chip asks the CPU to serve, or -1: "Fully Nested Mode",
 * "The Special Fully Nested Mode", "Special Mask Mode".
 */
/* book: i8259-request */
static int
chip_request(const struct i8259_chip *c)
{
	uint8_t busy = c->special ? c->isr & ~c->imr : c->isr;
	int want = chip_top(c, chip_irr(c) & ~c->imr);

	if (want < 0 || (c->icw4 & ICW4_SFNM && c->slaves & 1 << want &&
	    chip_top(c, busy) == want))
		return (want);
	/* Only if it is the higher one of both, and not in service itself. */
	if (busy & 1 << want || chip_top(c, busy | 1 << want) != want)
		return (-1);
	return (want);
}
/* book: end */

static void
chip_input(struct i8259_chip *c, unsigned int n, bool level)
{
	uint8_t bit = 1 << n;

	if (!level) {
		c->in &= ~bit;
		c->edge &= ~bit;
	} else if (!(c->in & bit)) {
		c->in |= bit;
		c->edge |= bit;
	}
}

/*
 * The request is acknowledged: "Interrupt Sequence", and "Automatic End of
 * Interrupt (AEOI) Mode". Returns its level. If there is no request left, it
 * is 7, without a bit in ISR.
 */
static int
chip_ack(struct i8259_chip *c)
{
	int n = chip_request(c);

	if (n < 0)
		return (7);
	c->edge &= ~(1 << n);
	if (!(c->icw4 & ICW4_AEOI))
		c->isr |= 1 << n;
	else if (c->rotate)
		c->lowest = n;
	return (n);
}

/* "ICW1", and what it does to all the rest. */
static void
chip_icw1(struct i8259_chip *c, uint8_t v)
{
	c->icw1 = v;
	c->icw4 = 0;
	c->edge = c->isr = c->imr = 0;
	c->slaves = 0;
	c->id = 7;
	c->lowest = 7;
	c->read_isr = c->poll = c->special = c->rotate = false;
	c->step = 2;
}

static void
chip_ocw2(struct i8259_chip *c, uint8_t v)
{
	int n = v & 7;

	if (!(v & (OCW2_SL | OCW2_EOI))) {
		c->rotate = v & OCW2_R;	/* in AEOI mode */
		return;
	}
	/* Not specific: the highest in service that is not masked specially. */
	if (!(v & OCW2_SL))
		n = chip_top(c, c->special ? c->isr & ~c->imr : c->isr);
	if (n < 0)
		return;
	if (v & OCW2_EOI)
		c->isr &= ~(1 << n);
	if (v & OCW2_R)
		c->lowest = n;
}

static void
chip_ocw3(struct i8259_chip *c, uint8_t v)
{
	if (v & OCW3_ESMM)
		c->special = v & OCW3_SMM;
	c->poll = v & OCW3_P;
	if (v & OCW3_RR)
		c->read_isr = v & OCW3_RIS;
}

/*
 * The port with A0 high: ICW2 to ICW4 in a row after ICW1, else OCW1. Of ICW4
 * the mode of the 8080 and what is said of buffers are without effect.
 */
static void
chip_data(struct i8259_chip *c, bool master, uint8_t v)
{
	uint8_t last = c->icw1 & ICW1_IC4 ? 4 : 0;

	switch (c->step) {
	case 2:
		c->icw2 = v & 0xf8;
		c->step = c->icw1 & ICW1_SNGL ? last : 3;
		break;
	case 3:
		if (master)
			c->slaves = v;
		else
			c->id = v & 7;
		c->step = last;
		break;
	case 4:
		c->icw4 = v;
		c->step = 0;
		break;
	default:
		c->imr = v;
	}
}

/* --- Both --- */

static void
i8259_update(struct i8259 *p)
{
	chip_input(&p->chip[0], I8259_CASCADE, chip_request(&p->chip[1]) >= 0);
	line_set(&p->intr, chip_request(&p->chip[0]) >= 0);
}

/*
 * An acknowledge ends the chip's request. If it has another one, that is a
 * new edge to the first chip.
 */
static int
i8259_inta(struct i8259 *p, unsigned int i)
{
	int n = chip_ack(&p->chip[i]);

	if (i == 1)
		chip_input(&p->chip[0], I8259_CASCADE, false);
	return (n);
}

/* "Poll Command": the next read, of either port, is an acknowledge. */
static uint8_t
i8259_read(struct i8259 *p, unsigned int i, bool a0)
{
	struct i8259_chip *c = &p->chip[i];

	if (c->poll) {
		c->poll = false;
		return (chip_request(c) < 0 ? 0 : 0x80 | i8259_inta(p, i));
	}
	if (a0)
		return (c->imr);
	return (c->read_isr ? c->isr : chip_irr(c));
}

static void
i8259_io(void *dev, struct io *io)
{
	struct i8259 *p = dev;
	unsigned int i = io->port >> 7 & 1;
	bool a0 = io->port & 1;
	uint8_t v = io->data & 0xff;

	if (io->in)
		io->data = i8259_read(p, i, a0);
	else if (a0)
		chip_data(&p->chip[i], i == 0, v);
	else if (v & ICW1)
		chip_icw1(&p->chip[i], v);
	else if (v & OCW3)
		chip_ocw3(&p->chip[i], v);
	else
		chip_ocw2(&p->chip[i], v);
	i8259_update(p);
}

static void
i8259_elcr(void *dev, struct io *io)
{
	struct i8259 *p = dev;
	unsigned int i = io->port & 1;

	if (io->in)
		io->data = p->chip[i].elcr;
	else
		p->chip[i].elcr = io->data & elcr_mask[i];
	i8259_update(p);
}

/*
 * Two pulses of INTA. In the first the first chip tells whose turn it is, in
 * the second that one says the vector: "Cascade Mode". Where ICW3 names a
 * chip that does not answer, nobody drives the bus.
 */
/* book: i8259-ack */
int
i8259_ack(struct i8259 *p)
{
	const struct i8259_chip *first = &p->chip[0], *second = &p->chip[1];
	int n = i8259_inta(p, 0), vector = first->icw2 | n;

	if (first->slaves & 1 << n) {
		vector = 0xff;
		if (n == I8259_CASCADE && second->id == I8259_CASCADE)
			vector = second->icw2 | i8259_inta(p, 1);
	}
	i8259_update(p);
	return (vector);
}
/* book: end */

void
i8259_set(void *dev, int irq, bool level)
{
	struct i8259 *p = dev;

	if (irq < 0 || irq > 15 || irq == I8259_CASCADE)
		return;
	chip_input(&p->chip[irq >> 3], irq & 7, level);
	i8259_update(p);
}

void
i8259_reset(struct i8259 *p)
{
	struct i8259_chip *c;

	for (c = p->chip; c < p->chip + 2; c++) {
		chip_icw1(c, 0);
		c->step = 0;
		c->icw2 = c->elcr = 0;
		c->imr = 0xff;
	}
	i8259_update(p);
}

void
i8259_init(struct i8259 *p, struct line intr)
{
	memset(p, 0, sizeof(*p));
	p->intr = intr;
	i8259_reset(p);
}

void
i8259_attach(struct i8259 *p, struct bus *b)
{
	bus_add(b, 0x20, 2, true, i8259_io, p);
	bus_add(b, 0xa0, 2, true, i8259_io, p);
	bus_add(b, 0x4d0, 2, true, i8259_elcr, p);
}
