/* SPDX-License-Identifier: ISC */
/*
 * i8254.c - the interval timer of a PC: three counters that somebody could
 * read at any moment, though nothing counts them.
 *
 * A counter is remembered as what was loaded into it and when. From the ticks
 * since then come its value, its output and the output's next edge. Intel's
 * data sheet of the 8254 (order number 231164) says what each mode does; the
 * names are its own: CR is the count register, which a program writes, and
 * the counting element takes CR with a tick of the clock.
 */
#include <string.h>

#include "i8254.h"

#define NEVER		INT64_MAX

/* The control word. */
#define CTL_COUNTER(v)	((v) >> 6)	/* 3: read-back */
#define CTL_ACCESS(v)	((v) >> 4 & 3)	/* 0: latch the count */
#define ACCESS_HIGH	2
#define ACCESS_BOTH	3
#define CTL_MODE(v)	((v) >> 1 & 7)
#define CTL_BCD		0x01
#define BACK_NO_COUNT	0x20
#define BACK_NO_STATUS	0x10
#define STATUS_OUT	0x80
#define STATUS_NULL	0x40

#define P61_GATE	0x01
#define P61_WRITE	0x0f
#define P61_REFRESH	0x10
#define P61_OUT		0x20
#define REFRESH_TICKS	18		/* 15 us */

/* --- Ticks and ns --- */

/* A second has a whole number of ticks: no fraction is ever left behind. */
/* book: i8254-ticks */
static int64_t
now_tick(const struct i8254 *p)
{
	uint64_t ns = timers_now(p->timers);

	return (ns / SECOND_NS * I8254_HZ +
	    ns % SECOND_NS * I8254_HZ / SECOND_NS);
}

/* The first ns of a tick. */
static uint64_t
tick_ns(int64_t tick)
{
	uint64_t s = tick / I8254_HZ, rest = tick % I8254_HZ;

	if (tick == NEVER)
		return (TIME_NEVER);
	return (s * SECOND_NS + (rest * SECOND_NS + I8254_HZ - 1) / I8254_HZ);
}
/* book: end */

/* --- One counter --- */

static int64_t
modulus(const struct i8254_counter *c)
{
	return (c->control & CTL_BCD ? 10000 : 65536);
}

/* Ticks since the element was loaded, without those that it was held. */
static int64_t
elapsed(const struct i8254_counter *c, int64_t t)
{
	return (c->held ? c->held_at : t - c->base);
}

/* How long OUT is high in mode 3: odd counts have the longer half there. */
static int64_t
high_half(const struct i8254_counter *c)
{
	return ((c->n + 1) / 2);
}

/* book: i8254-output */
static bool
output(const struct i8254_counter *c, int64_t t)
{
	int64_t e = elapsed(c, t), n = c->n;

	if (n == 0)
		return (c->mode != 0);
	switch (c->mode) {
	case 0:
	case 1:
		return (e >= n);
	case 2:
		return (c->held || n == 1 || e % n != n - 1);
	case 3:
		return (c->held || e % n < high_half(c));
	default:
		return (e != n);
	}
}
/* book: end */

/* What is in the counting element. It wraps, but in modes 2 and 3. */
static uint16_t
value(const struct i8254_counter *c, int64_t t)
{
	int64_t e = elapsed(c, t), n = c->n, m = modulus(c), v;

	if (n == 0)
		return (0);
	switch (c->mode) {
	case 2:
		v = n - e % n;
		break;
	case 3:
		e %= n;
		if (e >= high_half(c))
			e -= high_half(c);
		v = (n & ~1) - 2 * e;
		break;
	default:
		v = n - e % m;
		break;
	}
	v = (v + m) % m;
	if (c->control & CTL_BCD)
		v = v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 |
		    v % 10;
	return (v);
}

/* When OUT rises for the first time after t, if nothing is loaded. */
static int64_t
next_rise(const struct i8254_counter *c, int64_t t)
{
	int64_t e = t - c->base, n = c->n, rise;

	if (n == 0 || c->held)
		return (NEVER);
	switch (c->mode) {
	case 0:
	case 1:
		rise = n;
		break;
	case 2:
	case 3:
		if (n == 1)		/* forbidden; OUT does not move */
			return (NEVER);
		rise = (e / n + 1) * n;
		break;
	default:
		rise = n + 1;
		break;
	}
	return (rise > e ? c->base + rise : NEVER);
}

/*
 * The same for an edge that the line has to show. A fall that a tick later is
 * over (modes 2, 4, 5) is not worth a timer: see update_line().
 */
static int64_t
next_edge(const struct i8254_counter *c, int64_t t)
{
	int64_t rise = next_rise(c, t), n = c->n, fall;

	if (rise == NEVER || c->mode != 3)
		return (rise);
	fall = c->base + (t - c->base) / n * n + high_half(c);
	if (fall <= t)
		fall += n;
	return (fall < rise ? fall : rise);
}

/* The counting element takes CR. */
static void
load(struct i8254_counter *c)
{
	c->n = c->cr;
	c->base = c->load_at;
	if (c->low_half)
		c->base -= high_half(c);
	c->held = !c->gate && c->mode != 1 && c->mode != 5;
	c->held_at = 0;
	c->null = false;
	c->load_at = NEVER;
	c->low_half = false;
}

/* What has happened up to t. */
/* book: i8254-sync */
static void
sync(struct i8254_counter *c, int64_t t)
{
	if (c->load_at <= t) {
		c->rose |= next_rise(c, c->synced) <= c->load_at;
		c->synced = c->load_at;
		load(c);
	}
	c->rose |= next_rise(c, c->synced) <= t;
	c->synced = t;
}
/* book: end */

/* A control word for this counter: everything as new but the gate. */
static void
program(struct i8254_counter *c, uint8_t control, int64_t t)
{
	bool gate = c->gate, rose = c->rose;

	memset(c, 0, sizeof(*c));
	c->control = control & 0x3f;
	c->mode = CTL_MODE(control);
	if (c->mode > 5)
		c->mode &= 3;
	c->gate = gate;
	c->null = true;
	c->load_at = NEVER;
	c->synced = t;
	c->rose = rose;
}

/* CR is complete. */
static void
count_written(struct i8254_counter *c, uint16_t v, int64_t t)
{
	int64_t into;

	c->cr = v;
	if (c->control & CTL_BCD)
		c->cr = (v >> 12) * 1000 + (v >> 8 & 15) * 100 +
		    (v >> 4 & 15) * 10 + (v & 15);
	if (c->cr == 0)
		c->cr = modulus(c);
	c->null = true;
	if (c->mode == 1 || c->mode == 5)	/* a trigger loads it */
		return;
	if (c->mode == 0 || c->mode == 4 || c->n == 0) {
		c->load_at = t + 1;
	} else if (!c->held && c->load_at == NEVER) {
		/* Behind this cycle, or in mode 3 behind its half. */
		into = (t - c->base) % c->n;
		c->low_half = c->mode == 3 && c->n > 1 &&
		    into < high_half(c);
		c->load_at = t - into +
		    (c->low_half ? high_half(c) : (int64_t)c->n);
	}
}

static void
counter_write(struct i8254_counter *c, uint8_t v, int64_t t)
{
	int access = CTL_ACCESS(c->control);

	if (c->mode == 0) {		/* stops, with OUT low */
		c->n = 0;
		c->load_at = NEVER;
	}
	if (access == ACCESS_BOTH && !c->second_in) {
		c->low = v;
		c->second_in = true;
		return;
	}
	c->second_in = false;
	if (access == ACCESS_BOTH)
		count_written(c, v << 8 | c->low, t);
	else
		count_written(c, access == ACCESS_HIGH ? v << 8 : v, t);
}

static uint8_t
counter_read(struct i8254_counter *c, int64_t t)
{
	int access = CTL_ACCESS(c->control);
	bool high = access == ACCESS_HIGH;
	uint16_t v = c->count_latched ? c->latch : value(c, t);

	if (c->status_latched) {
		c->status_latched = false;
		return (c->status);
	}
	if (access == ACCESS_BOTH) {
		high = c->second_out;
		c->second_out = !high;
	}
	if (access != ACCESS_BOTH || high)
		c->count_latched = false;
	return (high ? v >> 8 : v);
}

/* Latches stay until they are read; what is latched meanwhile is lost. */
static void
latch(struct i8254_counter *c, bool count, bool status, int64_t t)
{
	if (count && !c->count_latched) {
		c->latch = value(c, t);
		c->count_latched = true;
	}
	if (status && !c->status_latched) {
		c->status = (output(c, t) ? STATUS_OUT : 0) |
		    (c->null ? STATUS_NULL : 0) | c->control;
		c->status_latched = true;
	}
}

/*
 * The gate moves. In modes 1 and 5 its rise is the trigger and its level
 * nothing; in modes 2 and 3 it is both; in modes 0 and 4 its level alone says
 * whether the counter counts.
 */
static void
set_gate(struct i8254_counter *c, bool gate, int64_t t)
{
	bool trigger = c->mode != 0 && c->mode != 4;
	bool holds = c->mode != 1 && c->mode != 5;

	if (gate == c->gate)
		return;
	c->gate = gate;
	if (gate && trigger && c->cr != 0) {
		c->load_at = t + 1;
		c->low_half = false;
	} else if (gate && !trigger && c->held) {
		c->base = t - c->held_at;
		c->held = false;
	} else if (!gate && holds && c->n != 0 && !c->held) {
		c->held_at = elapsed(c, t);
		if (c->mode == 4 && c->held_at == c->n)
			c->held_at++;	/* not a strobe without end */
		c->held = true;
		if (trigger)		/* this cycle has no end now */
			c->load_at = NEVER;
	}
}

/* --- The chip --- */

/*
 * Shows counter 0's output, and arms the timer for its next edge. Several
 * edges may have come since the last time, when the VM did not run; they
 * become one. A pulse of one tick is shown at its end.
 */
/* book: i8254-line */
static void
update_line(struct i8254 *p)
{
	struct i8254_counter *c = &p->c[0], next;
	int64_t t = now_tick(p), at;

	sync(c, t);
	if (c->rose) {
		line_set(&p->irq, false);
		line_set(&p->irq, true);
		c->rose = false;
	}
	line_set(&p->irq, output(c, t));
	at = next_edge(c, t);
	if (c->load_at < at) {
		next = *c;
		load(&next);
		at = next_edge(&next, c->load_at);
	}
	timer_arm(p->timers, &p->timer, tick_ns(at));
}
/* book: end */

static void
fire(void *arg)
{
	update_line(arg);
}

static void
control(struct i8254 *p, uint8_t v, int64_t t)
{
	int i, nr = CTL_COUNTER(v);

	for (i = 0; i < 3 && nr == 3; i++)
		if (v & 2 << i)
			latch(&p->c[i], !(v & BACK_NO_COUNT),
			    !(v & BACK_NO_STATUS), t);
	if (nr == 3)
		return;
	if (CTL_ACCESS(v) == 0)
		latch(&p->c[nr], true, false, t);
	else
		program(&p->c[nr], v, t);
}

static void
i8254_io(void *dev, struct io *io)
{
	struct i8254 *p = dev;
	int i, nr = io->port & 3;
	int64_t t = now_tick(p);

	for (i = 0; i < 3; i++)
		sync(&p->c[i], t);
	if (io->in) {
		io->data = nr == 3 ? 0xff : counter_read(&p->c[nr], t);
		return;
	}
	if (nr == 3)
		control(p, io->data, t);
	else
		counter_write(&p->c[nr], io->data, t);
	update_line(p);
}

static void
port61_io(void *dev, struct io *io)
{
	struct i8254 *p = dev;
	int64_t t = now_tick(p);

	sync(&p->c[2], t);
	if (io->in) {
		io->data = p->port61 |
		    (t / REFRESH_TICKS & 1 ? P61_REFRESH : 0) |
		    (output(&p->c[2], t) ? P61_OUT : 0);
		return;
	}
	p->port61 = io->data & P61_WRITE;
	set_gate(&p->c[2], p->port61 & P61_GATE, t);
}

void
i8254_init(struct i8254 *p, struct bus *b, struct timers *ts, struct line irq)
{
	int i;

	memset(p, 0, sizeof(*p));
	p->timers = ts;
	p->irq = irq;
	timer_init(&p->timer, fire, p);
	for (i = 0; i < 3; i++) {
		p->c[i].gate = i < 2;
		program(&p->c[i], ACCESS_BOTH << 4, now_tick(p));
	}
	bus_add(b, 0x40, 4, true, i8254_io, p);
	bus_add(b, 0x61, 1, true, port61_io, p);
}
