/* SPDX-License-Identifier: ISC */
/*
 * fuzz_pic.c - the interrupt controllers.
 *
 * Fuzzes: i8259.c
 */
#include "fuzz.h"
#include "i8259.h"

#define INTR	0
#define AEOI	0x02		/* in ICW4 */
#define SFNM	0x10
#define LTIM	0x08		/* in ICW1 */

static struct i8259 *pic;
static uint16_t inputs;		/* as they were set */

static void
start(void)
{
	if (pic == NULL)
		pic = malloc(sizeof(*pic));
	i8259_init(pic, fuzz_line(INTR));
	i8259_attach(pic, &fuzz_bus);
	inputs = 0;
}

static uint16_t
port(void)
{
	static const uint16_t ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0,
		0x4d1 };
	uint8_t b = fuzz_8();

	return (b < 0xf0 ? ports[b % 6] : fuzz_16());
}

static void
out(uint16_t to, uint8_t data)
{
	struct io io = { .port = to, .size = 1, .data = data };

	bus_do(&fuzz_bus, &io);
}

static uint8_t
requests(const struct i8259_chip *c)
{
	return (c->in & (c->edge | (c->icw1 & LTIM ? 0xff : c->elcr)) &
	    ~c->imr);
}

/*
 * Whether a chip should ask for service, said otherwise than the chip says
 * it: from the highest priority down to the first level that is busy.
 */
static bool
wants(const struct i8259_chip *c)
{
	uint8_t busy = c->special ? c->isr & ~c->imr : c->isr, bit;
	unsigned int i;

	for (i = 1; i <= 8; i++) {
		bit = (uint8_t)(1 << ((c->lowest + i) & 7));
		if (busy & bit)
			return (requests(c) & c->slaves & bit &&
			    c->icw4 & SFNM);
		if (requests(c) & bit)
			return (true);
	}
	return (false);
}

/* A request that is taken was one, and is in service then. */
static void
ack(void)
{
	struct i8259_chip was = pic->chip[0], *c = &pic->chip[0];
	uint8_t isr = was.isr, n;
	bool high = fuzz_level[INTR];
	int vector = i8259_ack(pic);

	fuzz_check(vector >= 0 && vector <= 0xff);
	if (!high) {
		fuzz_check(c->isr == isr && c->edge == was.edge);
		fuzz_check(vector == (was.slaves & 0x80 ? 0xff :
		    (was.icw2 | 7)));
		return;
	}
	if (!(was.icw4 & SFNM) && !(was.icw4 & AEOI))
		fuzz_check(c->isr != isr);
	if (vector != 0xff && !was.slaves) {
		n = vector & 7;
		fuzz_check(requests(&was) & 1 << n);
		fuzz_check((vector & 0xf8) == was.icw2);
		fuzz_check(was.icw4 & AEOI || c->isr & 1 << n);
	}
}

/* What an operating system writes, but for some bits. */
static void
set_up(uint8_t b)
{
	uint16_t base = b & 1 ? 0xa0 : 0x20;

	out(base, 0x11 | (b & 2 ? LTIM : 0));
	out(base + 1, b & 1 ? 0x28 : 0x20);
	out(base + 1, b & 4 ? fuzz_8() : b & 1 ? 2 : 4);
	out(base + 1, b & 8 ? fuzz_8() : 1);
	out(base + 1, b & 16 ? fuzz_8() : 0);
}

static void
step(uint8_t what)
{
	uint8_t b;
	int irq;

	switch (what & 7) {
	case 0:
	case 1:
	case 2:
		b = fuzz_8();
		irq = (b & 0x3f) - 1;
		i8259_set(pic, irq, b & 0x80);
		if (irq < 0 || irq > 15 || irq == I8259_CASCADE)
			break;
		inputs &= ~(1 << irq);
		inputs |= (b >> 7) << irq;
		break;
	case 3:
	case 4:
		ack();
		break;
	case 5:
		out(fuzz_8() & 1 ? 0xa0 : 0x20, 0x20);
		break;
	case 6:
		set_up(fuzz_8());
		break;
	case 7:
		if (what & 0x18)
			break;
		i8259_reset(pic);
		fuzz_check(!fuzz_level[INTR]);
		break;
	}
}

/* INTR is what the first chip wants, input 2 what the second wants. */
static void
check(void)
{
	const struct i8259_chip *c = pic->chip;
	unsigned int i;

	fuzz_check(fuzz_level[INTR] == wants(&c[0]));
	fuzz_check((c[0].in >> I8259_CASCADE & 1) == wants(&c[1]));
	fuzz_check((c[0].in & ~(1 << I8259_CASCADE)) == (inputs & 0xff));
	fuzz_check(c[1].in == inputs >> 8);
	for (i = 0; i < 2; i++) {
		fuzz_check((c[i].edge & ~c[i].in) == 0);
		fuzz_check(c[i].lowest < 8 && c[i].id < 8);
		fuzz_check(c[i].step == 0 ||
		    (c[i].step >= 2 && c[i].step <= 4));
		fuzz_check((c[i].icw2 & 7) == 0);
	}
	fuzz_check((c[0].elcr & 0x07) == 0 && (c[1].elcr & 0x21) == 0);
}

const struct fuzz_target fuzz_target = { start, port, step, check };
