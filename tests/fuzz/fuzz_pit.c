/* SPDX-License-Identifier: ISC */
/*
 * fuzz_pit.c - the interval timer, and port 0x61.
 *
 * Fuzzes: i8254.c
 */
#include "fuzz.h"
#include "i8254.h"

#define IRQ	0
#define BCD	0x01
#define TICK_NS	(SECOND_NS / I8254_HZ + 1)

static struct i8254 *pit;

static void
start(void)
{
	if (pit == NULL)
		pit = malloc(sizeof(*pit));
	i8254_init(pit, &fuzz_bus, &fuzz_timers, fuzz_line(IRQ));
}

static uint16_t
port(void)
{
	uint8_t b = fuzz_8();

	return (b < 0xc0 ? 0x40 + b % 4 : b < 0xf8 ? 0x61 : 0x3f + b % 8);
}

static void
out(uint16_t to, uint8_t data)
{
	struct io io = { .port = to, .size = 1, .data = data };

	bus_do(&fuzz_bus, &io);
}

static uint8_t
in(uint16_t from)
{
	struct io io = { .port = from, .size = 1, .in = true };

	bus_do(&fuzz_bus, &io);
	return ((uint8_t)io.data);
}

/* A counter in any mode, with a count: often a small one. */
static void
program(void)
{
	static const uint16_t counts[] = { 0, 1, 2, 3, 4, 5, 18, 0x9999,
		0x10, 0x100, 0xffff, 0xaaaa, 0x1000, 7, 8, 1193 };
	uint8_t b = fuzz_8(), c = fuzz_8();
	uint16_t count = c & 0x80 ? fuzz_16() : counts[c & 15], nr = b % 3;

	out(0x43, (uint8_t)(nr << 6 | 0x30 | (b >> 2 & 0x0f)));
	out(0x40 + nr, count & 0xff);
	if ((b & 0x40) == 0)
		out(0x40 + nr, (uint8_t)(count >> 8));
}

/* A decimal counter has digits. */
static void
read_latched(unsigned int nr)
{
	bool both = pit->c[nr].control >> 4 == 3;
	uint16_t v;
	int i;

	out(0x43, (uint8_t)(nr << 6));
	v = pit->c[nr].latch;
	if (pit->c[nr].control & BCD)
		for (i = 0; i < 16; i += 4)
			fuzz_check((v >> i & 15) < 10);
	in((uint16_t)(0x40 + nr));
	if (both)
		in((uint16_t)(0x40 + nr));
}

/* Ticks, not hours: around the edges of small counts. */
static void
tick(uint8_t n)
{
	uint64_t to = fuzz_now + n * TICK_NS;

	while (timers_next(&fuzz_timers) <= to) {
		fuzz_now = timers_next(&fuzz_timers);
		timers_run(&fuzz_timers);
	}
	fuzz_now = to;
}

static void
step(uint8_t what)
{
	switch (what & 7) {
	case 0:
	case 1:
		program();
		break;
	case 2:
		read_latched(fuzz_8() % 3);
		break;
	case 3:
	case 4:
		tick(fuzz_8() % 32);
		break;
	case 5:
		out(0x61, what >> 3);
		break;
	case 6:
		out(0x43, 0xc0 | fuzz_8());
		in(0x40 + (what >> 3) % 3);
		break;
	case 7:
		in(0x61);
		break;
	}
}

/* OUT of a counter, as a guest can ask; and all is as it was before. */
static bool
read_back(unsigned int nr)
{
	struct timers ts = fuzz_timers;
	struct i8254 was = *pit;
	uint8_t status;

	pit->irq.set = NULL;
	pit->c[nr].status_latched = false;
	out(0x43, (uint8_t)(0xe0 | 2 << nr));
	status = in((uint16_t)(0x40 + nr));
	*pit = was;
	fuzz_timers = ts;
	return (status & 0x80);
}

/*
 * Where the line has to follow OUT at once it has; a strobe of one tick need
 * not be seen while it lasts. Who counts in modes 2 and 3 comes to an edge.
 */
static void
check(void)
{
	const struct i8254_counter *c = &pit->c[0];
	bool out0 = read_back(0), strobes = c->mode == 2 || c->mode > 3;
	bool periodic = c->mode == 2 || c->mode == 3;
	unsigned int i;

	fuzz_check(fuzz_level[IRQ] == out0 || (strobes && !out0));
	if (periodic && c->n > 1)
		fuzz_check(timers_next(&fuzz_timers) - fuzz_now <=
		    2 * c->n * TICK_NS);
	for (i = 0; i < 3; i++) {
		c = &pit->c[i];
		fuzz_check(c->mode < 6 && c->cr <= 65536 && c->n <= 65536);
		fuzz_check(i == 2 || c->gate);
		fuzz_check(!(c->held && c->gate) || c->load_at != INT64_MAX);
	}
	fuzz_check(pit->c[2].gate == (pit->port61 & 1));
	fuzz_check(((in(0x61) ^ pit->port61) & 0x0f) == 0);
	fuzz_check((in(0x61) >> 5 & 1) == read_back(2));
}

const struct fuzz_target fuzz_target = { start, port, step, check };
