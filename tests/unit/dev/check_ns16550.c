/* SPDX-License-Identifier: ISC */
/*
 * check_ns16550.c - the serial port against its data sheet: National
 * Semiconductor's PC16550D, June 1995. Sections and tables are of that.
 */
#include "dev_unit.h"
#include "ns16550.h"

#define BASE	0x3f8
#define IRQ	4
#define NEL(a)	(sizeof(a) / sizeof((a)[0]))

/* By port; the divisor has the first two while DLAB is set. */
enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR, THR = RBR, FCR = IIR };

static struct ns16550 u;
static struct bus bus;

/* The other end of the wire. */
static uint8_t sent[512];
static size_t nsent, credit;		/* bytes it takes before it is full */
static unsigned int rooms;
static uint8_t outputs;

static bool
send_byte(void *arg, uint8_t byte)
{
	ck_assert_ptr_eq(arg, &sent);
	if (credit == 0)
		return (false);
	credit--;
	sent[nsent++ % sizeof(sent)] = byte;
	return (true);
}

static void
room(void *arg)
{
	ck_assert_ptr_eq(arg, &sent);
	rooms++;
}

static void
output(void *arg, uint8_t bits)
{
	ck_assert_ptr_eq(arg, &sent);
	ck_assert_uint_ne(bits, outputs);
	outputs = bits;
}

static void
setup(void)
{
	struct ns16550_wires w = {
		.send = send_byte, .room = room, .outputs = output,
		.arg = &sent,
	};

	unit_start();
	nsent = rooms = outputs = 0;
	credit = SIZE_MAX;
	w.irq = unit_line(IRQ);
	bus.n = 0;
	ns16550_init(&u, &w, &unit_timers);
	ns16550_attach(&u, &bus, BASE);
}

static uint8_t
in(unsigned int reg)
{
	return ((uint8_t)unit_in(&bus, BASE + reg, 1));
}

static void
out(unsigned int reg, unsigned int v)
{
	unit_out(&bus, BASE + reg, 1, v);
}

static void
divisor(unsigned int v)
{
	uint8_t lcr = in(LCR);

	out(LCR, lcr | 0x80);
	out(0, v & 0xff);
	out(1, v >> 8);
	out(LCR, lcr);
}

/* How many of n bytes, numbered from `first`, it takes. */
static size_t
receive(unsigned int first, size_t n)
{
	uint8_t b[64];
	size_t i;

	for (i = 0; i < n; i++)
		b[i] = (uint8_t)(first + i);
	return (ns16550_receive(&u, b, n));
}

/*
 * A test as a table: what is done, and what is seen.
 */
struct step {
	enum { OUT, IN, LINE, RX, BREAK, MODEM, SENT, PASS, CREDIT } what;
	unsigned int	reg, v;
};

#define STEPS(t)	steps(t, NEL(t))

static void
steps(const struct step *t, size_t n)
{
	unsigned int got;
	size_t i;

	for (i = 0; i < n; i++) {
		got = t[i].v;
		switch (t[i].what) {
		case OUT:
			out(t[i].reg, t[i].v);
			break;
		case IN:
			got = in(t[i].reg);
			break;
		case LINE:
			got = unit_level[IRQ];
			break;
		case RX:	/* `reg` bytes, from v on */
			ck_assert_uint_eq(receive(t[i].v, t[i].reg), t[i].reg);
			break;
		case BREAK:
			ck_assert(ns16550_break(&u));
			break;
		case MODEM:
			ns16550_modem(&u, (uint8_t)t[i].v);
			break;
		case SENT:
			got = (unsigned int)nsent;
			break;
		case PASS:	/* v microseconds */
			unit_run(unit_now + t[i].v * 1000ULL);
			break;
		case CREDIT:
			credit = t[i].v;
			ns16550_kick(&u);
			break;
		}
		ck_assert_msg(got == t[i].v, "step %zu, register %u: 0x%x, "
		    "not 0x%x", i, t[i].reg, got, t[i].v);
	}
}

/* --- Table I: reset; Table II: the registers --- */

START_TEST(reset_values)
{
	static const struct step fresh[] = {
		{ IN, IER, 0 }, { IN, IIR, 0x01 }, { IN, LCR, 0 },
		{ IN, MCR, 0 }, { IN, LSR, 0x60 }, { IN, MSR, 0 },
		{ LINE, 0, 0 },
	};
	static const struct step dirty[] = {
		{ OUT, FCR, 0xc1 }, { OUT, IER, 0x0f }, { OUT, MCR, 0x0b },
		{ OUT, LCR, 0x03 }, { OUT, SCR, 0x5a }, { RX, 3, 'a' },
		{ IN, RBR, 'a' }, { BREAK, 0, 0 }, { MODEM, 0, 0xb0 },
		{ CREDIT, 0, 0 }, { OUT, THR, 'x' }, { OUT, THR, 'y' },
		{ OUT, LCR, 0xc3 }, { LINE, 0, 1 },
	};
	/* Note 2: MSR bits 7 to 4 are the inputs. */
	static const struct step clean[] = {
		{ LINE, 0, 0 }, { IN, IER, 0 }, { IN, IIR, 0x01 },
		{ IN, LCR, 0 }, { IN, MCR, 0 }, { IN, LSR, 0x60 },
		{ IN, MSR, 0xb0 }, { IN, SCR, 0x5a }, { IN, RBR, 'a' },
		{ CREDIT, 0, 9 }, { SENT, 0, 0 },
		/* And no time-out comes of what is gone. */
		{ OUT, FCR, 0x01 }, { OUT, IER, 0x01 }, { PASS, 0, 1000000 },
		{ IN, IIR, 0xc1 },
		{ OUT, LCR, 0x80 }, { IN, 0, 0x34 }, { IN, 1, 0x12 },
	};

	STEPS(fresh);
	divisor(0x1234);
	STEPS(dirty);
	ck_assert_uint_eq(outputs, 0x4b);
	ns16550_reset(&u);
	ck_assert_uint_eq(outputs, 0);
	STEPS(clean);
}
END_TEST

START_TEST(registers)
{
	static const struct {
		unsigned int reg, lcr, mask;
	} t[] = {
		{ IER, 0, 0x0f }, { MCR, 0, 0x1f }, { SCR, 0, 0xff },
		{ 0, 0x80, 0xff }, { 1, 0x80, 0xff }, { MCR, 0x80, 0x1f },
		{ SCR, 0x80, 0xff },
	};
	unsigned int v;
	size_t i;

	for (i = 0; i < NEL(t); i++)
		for (v = 0; v < 0x100; v++) {
			out(LCR, t[i].lcr);
			out(t[i].reg, v);
			ck_assert_uint_eq(in(t[i].reg), v & t[i].mask);
		}
	for (v = 0; v < 0x100; v++) {
		out(LCR, v);
		ck_assert_uint_eq(in(LCR), v);
	}
	out(LCR, 0);
	out(MCR, 0);
	in(MSR);
	for (v = 0; v < 0x100; v++) {
		out(LSR, v);
		out(MSR, v);
		ck_assert_uint_eq(in(LSR), 0x60);
		ck_assert_uint_eq(in(MSR), 0);
	}
}
END_TEST

/* 8.1, bit 7: behind the divisor RBR, THR and IER are neither seen nor hit. */
START_TEST(divisor_latch)
{
	static const struct step t[] = {
		{ OUT, IER, 0x05 }, { RX, 1, 'r' },
		{ OUT, LCR, 0x83 }, { OUT, 0, 0x22 }, { OUT, 1, 0x11 },
		{ IN, 0, 0x22 }, { IN, 1, 0x11 }, { SENT, 0, 0 },
		{ OUT, 0, 0x33 }, { IN, 1, 0x11 },
		{ IN, LSR, 0x61 }, { IN, IIR, 0x04 },
		{ OUT, LCR, 0x03 }, { IN, IER, 0x05 }, { IN, RBR, 'r' },
		{ OUT, THR, 't' }, { SENT, 0, 1 },
		{ OUT, LCR, 0x83 }, { IN, 0, 0x33 }, { IN, 1, 0x11 },
	};

	STEPS(t);
}
END_TEST

/* The bus makes bytes of what is wider. */
START_TEST(wide)
{
	unit_out(&bus, BASE + LCR, 2, 0x0a03);
	ck_assert_uint_eq(in(LCR), 0x03);
	ck_assert_uint_eq(in(MCR), 0x0a);
	unit_out(&bus, BASE + SCR, 4, 0x11223344);
	ck_assert_uint_eq(in(SCR), 0x44);
	ck_assert_uint_eq(unit_in(&bus, BASE + LCR, 4), 0x00600a03);
	ck_assert_uint_eq(unit_in(&bus, BASE + MSR, 4), 0xffff4400);
}
END_TEST

/* --- Transmitter: 8.4 bits 5 and 6 --- */

START_TEST(sends)
{
	unsigned int v;

	for (v = 0; v < 0x100; v++) {
		out(FCR, v & 1);
		out(THR, v);
		ck_assert_uint_eq(nsent, v + 1);
		ck_assert_uint_eq(sent[v], v);
		ck_assert_uint_eq(in(LSR), 0x60);
	}
}
END_TEST

START_TEST(sends_late)
{
	static const struct step t[] = {
		/* One in the shift register, one in THR; a third replaces. */
		{ CREDIT, 0, 0 },
		{ OUT, THR, 'a' }, { IN, LSR, 0x20 },
		{ OUT, THR, 'b' }, { IN, LSR, 0x00 },
		{ OUT, THR, 'c' }, { IN, LSR, 0x00 },
		{ CREDIT, 0, 1 }, { SENT, 0, 1 }, { IN, LSR, 0x20 },
		{ CREDIT, 0, 9 }, { SENT, 0, 2 }, { IN, LSR, 0x60 },
		/* Loopback takes always, also what nobody has taken yet. */
		{ CREDIT, 0, 0 }, { OUT, THR, 'd' }, { IN, LSR, 0x20 },
		{ OUT, LCR, 0x03 }, { OUT, MCR, 0x10 }, { IN, LSR, 0x61 },
		{ IN, RBR, 'd' }, { CREDIT, 0, 9 }, { SENT, 0, 2 },
	};

	STEPS(t);
	ck_assert_mem_eq(sent, "ac", 2);
}
END_TEST

/* A full FIFO takes no more. */
START_TEST(sends_late_fifo)
{
	unsigned int v;

	out(FCR, 0x01);
	credit = 0;
	for (v = 0; v < 20; v++) {
		out(THR, 'a' + v);
		ck_assert_uint_eq(in(LSR), v == 0 ? 0x20 : 0);
	}
	for (v = 1; v <= 17; v++) {
		credit = 1;
		ns16550_kick(&u);
		ck_assert_uint_eq(nsent, v);
		ck_assert_uint_eq(in(LSR),
		    v < 16 ? 0 : v == 16 ? 0x20 : 0x60);
	}
	ck_assert_mem_eq(sent, "abcdefghijklmnopq", 17);
	credit = 1;
	ns16550_kick(&u);
	ck_assert_uint_eq(nsent, 17);
}
END_TEST

/* Table IV, third: by IIR if that was the source, or by THR; 8.7, bit 1. */
START_TEST(thre)
{
	static const struct step t[] = {
		{ OUT, MCR, 0x08 }, { LINE, 0, 0 },
		{ OUT, IER, 0x02 }, { LINE, 0, 1 }, { IN, IIR, 0x02 },
		{ LINE, 0, 0 }, { IN, IIR, 0x01 },
		/* Enabled again: once more. Written the same: not. */
		{ OUT, IER, 0x00 }, { OUT, IER, 0x02 }, { LINE, 0, 1 },
		{ IN, IIR, 0x02 }, { OUT, IER, 0x02 }, { IN, IIR, 0x01 },
		{ OUT, IER, 0x00 }, { OUT, IER, 0x02 }, { OUT, IER, 0x00 },
		{ LINE, 0, 0 }, { IN, IIR, 0x01 }, { OUT, IER, 0x02 },
		{ IN, IIR, 0x02 },
		/* A byte that left at once leaves an empty THR. */
		{ OUT, THR, 'a' }, { LINE, 0, 1 }, { IN, IIR, 0x02 },
		{ LINE, 0, 0 },
		/* IIR that shows another source leaves it. */
		{ OUT, IER, 0x07 }, { OUT, THR, 'b' }, { BREAK, 0, 0 },
		{ IN, IIR, 0x06 }, { IN, LSR, 0x79 }, { IN, IIR, 0x04 },
		{ IN, RBR, 0x00 }, { LINE, 0, 1 }, { IN, IIR, 0x02 },
		{ IN, IIR, 0x01 },
		/* Writing clears it, if the byte cannot go on. */
		{ CREDIT, 0, 0 }, { OUT, THR, 'c' }, { LINE, 0, 1 },
		{ OUT, THR, 'd' }, { LINE, 0, 0 }, { IN, IIR, 0x01 },
		/* Not THRE: enabling is no source. */
		{ OUT, IER, 0x00 }, { OUT, IER, 0x02 }, { IN, IIR, 0x01 },
		{ CREDIT, 0, 1 }, { LINE, 0, 1 }, { IN, IIR, 0x02 },
		{ LINE, 0, 0 }, { CREDIT, 0, 9 }, { LINE, 0, 0 },
		{ SENT, 0, 4 },
	};

	STEPS(t);
}
END_TEST

/* --- Receiver: 8.4 bit 0, 8.5 --- */

START_TEST(receives_one)
{
	ck_assert_uint_eq(receive('a', 3), 1);
	ck_assert_uint_eq(in(LSR), 0x61);
	ck_assert_uint_eq(receive('b', 2), 0);
	ck_assert(!ns16550_break(&u));
	ck_assert_uint_eq(rooms, 0);
	ck_assert_uint_eq(in(RBR), 'a');
	ck_assert_uint_eq(rooms, 1);
	ck_assert_uint_eq(in(LSR), 0x60);
	ck_assert_uint_eq(in(RBR), 'a');
	ck_assert_uint_eq(rooms, 1);
	ck_assert_uint_eq(receive('b', 1), 1);
	ck_assert_uint_eq(in(RBR), 'b');
	ck_assert_uint_eq(rooms, 1);
}
END_TEST

/* Nothing is lost, however slow the guest; and around the end of the FIFO. */
START_TEST(receives_fifo)
{
	unsigned int got, given;

	out(FCR, 0x01);
	ck_assert_uint_eq(receive(0, 16), 16);
	ck_assert_uint_eq(receive(16, 1), 0);
	ck_assert_uint_eq(in(LSR) & 0x02, 0);
	for (got = 0, given = 16; got < 200; got++) {
		ck_assert_uint_eq(in(LSR), 0x61);
		ck_assert_uint_eq(in(RBR), got);
		ck_assert_uint_eq(rooms, got + 1);
		ck_assert_uint_eq(receive(given, 2), 1);
		given++;
	}
}
END_TEST

/* SIN is disconnected in loopback (8.8, bit 4): it waits. */
START_TEST(receives_not_in_loop)
{
	out(MCR, 0x10);
	ck_assert_uint_eq(receive('a', 1), 0);
	ck_assert(!ns16550_break(&u));
	ck_assert_uint_eq(in(LSR), 0x60);
	ck_assert_uint_eq(rooms, 0);
	out(MCR, 0x00);
	ck_assert_uint_eq(rooms, 1);
	ck_assert_uint_eq(receive('a', 1), 1);
}
END_TEST

static void
room_takes_more(void *arg)
{
	static unsigned int next = 4;

	(void)arg;
	if (next < 10)
		next += receive(next, 10 - next);
}

/* The owner gives the rest from within room(). */
START_TEST(receives_in_room)
{
	unsigned int v;

	u.w.room = room_takes_more;
	out(IER, 0x01);
	out(MCR, 0x08);
	ck_assert_uint_eq(receive(3, 2), 1);
	for (v = 3; v < 10; v++) {
		ck_assert(unit_level[IRQ]);
		ck_assert_uint_eq(in(RBR), v);
	}
	ck_assert(!unit_level[IRQ]);
}
END_TEST

/* 8.5, bits 6 and 7; 8.11, receiver A and B. */
START_TEST(trigger)
{
	static const unsigned int level[4] = { 1, 4, 8, 14 };
	unsigned int i, n;

	out(IER, 0x01);
	out(MCR, 0x08);
	for (i = 0; i < 4; i++) {
		out(FCR, i << 6 | 0x03);
		for (n = 1; n <= 16; n++) {
			receive(n, 1);
			ck_assert_uint_eq(unit_level[IRQ], n >= level[i]);
			ck_assert_uint_eq(in(IIR),
			    n >= level[i] ? 0xc4 : 0xc1);
		}
		for (n = 16; n-- > 0;) {
			in(RBR);
			ck_assert_uint_eq(unit_level[IRQ], n >= level[i]);
			ck_assert_uint_eq(in(IIR),
			    n >= level[i] ? 0xc4 : 0xc1);
		}
	}
}
END_TEST

/* 8.11: four characters, as long as LCR and the divisor make them. */
START_TEST(timeout_length)
{
	static const struct {
		unsigned int lcr, divisor;
		uint64_t ns;		/* of four */
	} t[] = {
		{ 0x0f, 384, 160000000 },	/* the data sheet's: 160 ms */
		{ 0x1f, 384, 160000000 },
		{ 0x03, 384, 133333333 },	/* 10 bits */
		{ 0x0b, 384, 146666666 },	/* 11: parity */
		{ 0x07, 384, 146666666 },	/* 11: two stop bits */
		{ 0x02, 384, 120000000 },	/* 9 */
		{ 0x01, 384, 106666666 },	/* 8 */
		{ 0x00, 384, 93333333 },	/* 7 */
		{ 0x04, 384, 100000000 },	/* 7.5: one and a half */
		{ 0x05, 384, 120000000 },	/* 9: two */
		{ 0x03, 1, 347222 },		/* 115200 baud */
		{ 0x03, 12, 4166666 },
		{ 0x03, 0xffff, 22755208333 },
		{ 0x0f, 0xffff, 27306250000 },
		{ 0x03, 0, 347222 },
	};
	size_t i;

	for (i = 0; i < NEL(t); i++) {
		out(LCR, t[i].lcr);
		divisor(t[i].divisor);
		out(FCR, 0x47);
		out(IER, 0x01);
		out(MCR, 0x08);
		receive('a', 1);
		unit_run(unit_now + t[i].ns - 1);
		ck_assert_msg(!unit_level[IRQ], "row %zu: too early", i);
		unit_run(unit_now + 1);
		ck_assert_msg(unit_level[IRQ], "row %zu: too late", i);
		ck_assert_uint_eq(in(IIR), 0xcc);
		in(RBR);
		ck_assert(!unit_level[IRQ]);
	}
}
END_TEST

/* At 9600 baud, 8N1: 4166.7 us. */
START_TEST(timeout_rules)
{
	static const struct step t[] = {
		{ OUT, LCR, 0x03 }, { OUT, FCR, 0x81 }, { OUT, IER, 0x01 },
		{ OUT, MCR, 0x08 }, { PASS, 0, 9000 }, { LINE, 0, 0 },
		/* What comes and what is read start it anew. */
		{ RX, 3, 'a' }, { PASS, 0, 4000 }, { LINE, 0, 0 },
		{ RX, 1, 'd' }, { PASS, 0, 4000 }, { LINE, 0, 0 },
		{ IN, RBR, 'a' }, { PASS, 0, 4000 }, { LINE, 0, 0 },
		{ PASS, 0, 167 }, { LINE, 0, 1 }, { IN, IIR, 0xcc },
		/* Another byte leaves it; one read ends it. */
		{ RX, 1, 'e' }, { IN, IIR, 0xcc }, { IN, LSR, 0x61 },
		{ IN, IIR, 0xcc }, { LINE, 0, 1 },
		{ IN, RBR, 'b' }, { IN, IIR, 0xc1 }, { LINE, 0, 0 },
		/* The timer runs again. */
		{ PASS, 0, 4167 }, { IN, IIR, 0xcc },
		/* Disabled it is not shown, and not forgotten. */
		{ OUT, IER, 0x00 }, { IN, IIR, 0xc1 }, { LINE, 0, 0 },
		{ OUT, IER, 0x01 }, { IN, IIR, 0xcc }, { LINE, 0, 1 },
		/* An emptied FIFO has none. */
		{ OUT, FCR, 0x83 }, { IN, IIR, 0xc1 }, { LINE, 0, 0 },
		{ RX, 1, 'f' }, { PASS, 0, 4000 }, { IN, RBR, 'f' },
		{ PASS, 0, 9000 }, { IN, IIR, 0xc1 },
		{ RX, 1, 'g' }, { OUT, FCR, 0x83 }, { PASS, 0, 9000 },
		{ IN, IIR, 0xc1 },
		/* Bit 3 is 0 without FIFOs: 8.6. */
		{ RX, 1, 'h' }, { OUT, FCR, 0x00 }, { PASS, 0, 9000 },
		{ IN, IIR, 0x01 }, { RX, 1, 'i' }, { PASS, 0, 9000 },
		{ IN, IIR, 0x04 },
	};

	STEPS(t);
	ck_assert_uint_eq(timers_next(&unit_timers), TIME_NEVER);
}
END_TEST

/* --- Errors: 8.4 bits 1 to 4 and 7 --- */

START_TEST(errors_at_their_byte)
{
	static const struct step t[] = {
		{ OUT, FCR, 0x01 }, { OUT, LCR, 0x03 }, { OUT, IER, 0x04 },
		{ OUT, MCR, 0x08 },
		{ RX, 2, 'a' }, { BREAK, 0, 0 }, { RX, 1, 'c' },
		{ BREAK, 0, 0 },
		/* Bit 7 knows before the byte is on top. */
		{ IN, LSR, 0xe1 }, { IN, LSR, 0xe1 }, { LINE, 0, 0 },
		{ IN, RBR, 'a' }, { IN, LSR, 0xe1 }, { LINE, 0, 0 },
		{ IN, RBR, 'b' }, { LINE, 0, 1 }, { IN, IIR, 0xc6 },
		{ IN, LSR, 0xf9 }, { LINE, 0, 0 }, { IN, LSR, 0xe1 },
		{ IN, RBR, 0x00 }, { IN, LSR, 0xe1 },
		{ IN, RBR, 'c' }, { LINE, 0, 1 },
		/* Read by RBR alone it stays until LSR is read. */
		{ IN, RBR, 0x00 }, { LINE, 0, 1 }, { IN, LSR, 0xf8 },
		{ LINE, 0, 0 }, { IN, LSR, 0x60 },
		/* Told once, it is gone from bit 7 before the byte is. */
		{ BREAK, 0, 0 }, { IN, LSR, 0xf9 }, { IN, LSR, 0x61 },
		{ IN, RBR, 0x00 }, { IN, LSR, 0x60 },
		/* Bytes that are thrown away have no errors. */
		{ RX, 1, 'd' }, { BREAK, 0, 0 }, { OUT, FCR, 0x03 },
		{ IN, LSR, 0x60 }, { BREAK, 0, 0 }, { LINE, 0, 1 },
		{ OUT, FCR, 0x03 }, { LINE, 0, 0 }, { IN, LSR, 0x60 },
		/* Without FIFOs there is no bit 7. */
		{ OUT, FCR, 0x00 }, { BREAK, 0, 0 }, { LINE, 0, 1 },
		{ IN, LSR, 0x79 }, { IN, LSR, 0x61 },
	};

	STEPS(t);
}
END_TEST

/* 8.1, bits 3 to 5: the parity bit of a break is 0. */
START_TEST(break_parity)
{
	static const struct {
		unsigned int lcr, lsr;
	} t[] = {
		{ 0x03, 0x79 }, { 0x13, 0x79 }, { 0x23, 0x79 },
		{ 0x0b, 0x7d }, { 0x1b, 0x79 }, { 0x2b, 0x7d },
		{ 0x3b, 0x79 },
	};
	size_t i;

	for (i = 0; i < NEL(t); i++) {
		out(LCR, t[i].lcr);
		ck_assert(ns16550_break(&u));
		ck_assert_uint_eq(in(LSR), t[i].lsr);
		ck_assert_uint_eq(in(RBR), 0);
	}
}
END_TEST

/* 8.4, bit 1: RBR is destroyed by the next, a FIFO keeps what it has. */
START_TEST(overrun)
{
	static const struct step t[] = {
		{ OUT, LCR, 0x03 }, { OUT, MCR, 0x18 }, { OUT, IER, 0x04 },
		{ OUT, THR, 'a' }, { IN, LSR, 0x61 },
		{ OUT, THR, 'b' }, { IN, IIR, 0x06 }, { IN, LSR, 0x63 },
		{ IN, IIR, 0x01 }, { IN, LSR, 0x61 },
		{ IN, RBR, 'b' }, { IN, LSR, 0x60 },
		{ OUT, FCR, 0x01 },
	};
	unsigned int v;

	STEPS(t);
	for (v = 0; v < 16; v++)
		out(THR, v);
	ck_assert_uint_eq(in(LSR), 0x61);
	out(THR, 16);
	ck_assert_uint_eq(in(IIR), 0xc6);
	ck_assert_uint_eq(in(LSR), 0x63);
	out(THR, 17);
	for (v = 0; v < 16; v++)
		ck_assert_uint_eq(in(RBR), v);
	ck_assert_uint_eq(in(LSR), 0x62);
	ck_assert_uint_eq(in(LSR), 0x60);
	ck_assert_uint_eq(nsent, 0);
}
END_TEST

/* 8.1, bits 0 and 1: what the chip hears of itself. */
START_TEST(word_length)
{
	static const unsigned int byte[4] = { 0x1f, 0x3f, 0x7f, 0xff };
	unsigned int wls;

	out(MCR, 0x10);
	for (wls = 0; wls < 4; wls++) {
		out(LCR, wls);
		out(THR, 0xff);
		ck_assert_uint_eq(in(RBR), byte[wls]);
	}
}
END_TEST

/* --- FCR: 8.5 --- */

START_TEST(fifo_control)
{
	static const struct step t[] = {
		{ IN, IIR, 0x01 },
		/* Bit 0 has to be set, or the others are not programmed. */
		{ RX, 1, 'a' }, { OUT, FCR, 0x02 }, { IN, LSR, 0x61 },
		{ OUT, FCR, 0xc0 }, { IN, IIR, 0x01 }, { IN, LSR, 0x61 },
		/* On and off: both times empty. */
		{ OUT, FCR, 0x01 }, { IN, LSR, 0x60 }, { IN, IIR, 0xc1 },
		{ RX, 5, 'a' }, { OUT, FCR, 0xc9 }, { IN, LSR, 0x61 },
		{ OUT, FCR, 0x05 }, { IN, LSR, 0x61 },
		{ OUT, FCR, 0x03 }, { IN, LSR, 0x60 },
		{ RX, 5, 'a' }, { OUT, FCR, 0x00 }, { IN, LSR, 0x60 },
		{ IN, IIR, 0x01 },
		/* The other one. The shift register is not cleared. */
		{ OUT, FCR, 0x01 }, { OUT, IER, 0x02 }, { CREDIT, 0, 0 },
		{ OUT, THR, 'x' }, { OUT, THR, 'y' }, { IN, LSR, 0x00 },
		{ IN, IIR, 0xc1 }, { OUT, FCR, 0x03 }, { IN, LSR, 0x00 },
		{ OUT, FCR, 0x05 }, { IN, LSR, 0x20 }, { IN, IIR, 0xc2 },
		{ OUT, FCR, 0x05 }, { IN, IIR, 0xc1 },
		{ OUT, THR, 'z' }, { OUT, FCR, 0x00 }, { IN, LSR, 0x20 },
		{ CREDIT, 0, 9 }, { SENT, 0, 1 }, { IN, LSR, 0x60 },
		/* Bits 1 and 2 clear themselves; 4 and 5 are nothing. */
		{ OUT, FCR, 0x37 }, { RX, 1, 'b' }, { IN, LSR, 0x61 },
		{ IN, IIR, 0xc2 }, { IN, IIR, 0xc1 },
	};

	STEPS(t);
}
END_TEST

/* --- Table IV: priorities, and what ends which --- */

START_TEST(priorities)
{
	static const struct step t[] = {
		{ OUT, FCR, 0x41 }, { OUT, LCR, 0x03 }, { OUT, MCR, 0x08 },
		{ MODEM, 0, 0x10 }, { RX, 4, 'a' }, { PASS, 0, 5000 },
		{ BREAK, 0, 0 },
		{ OUT, IER, 0x0f }, { IN, IIR, 0xcc }, { IN, RBR, 'a' },
		{ IN, RBR, 'b' }, { IN, RBR, 'c' }, { IN, RBR, 'd' },
		/* Now the break is on top. */
		{ IN, IIR, 0xc6 }, { RX, 4, 'e' }, { IN, IIR, 0xc6 },
		{ IN, LSR, 0xf9 }, { IN, IIR, 0xc4 },
		{ IN, MCR, 0x08 }, { IN, LCR, 0x03 }, { IN, IER, 0x0f },
		{ IN, IIR, 0xc4 }, { IN, RBR, 0x00 }, { IN, IIR, 0xc4 },
		{ IN, RBR, 'e' }, { IN, IIR, 0xc2 }, { IN, IIR, 0xc0 },
		{ IN, IIR, 0xc0 }, { LINE, 0, 1 }, { IN, MSR, 0x11 },
		{ IN, IIR, 0xc1 }, { LINE, 0, 0 },
	};

	STEPS(t);
}
END_TEST

/* 8.7: each bit of IER lets one through, and 4 to 7 none. */
START_TEST(enables)
{
	static const struct {
		unsigned int ier, iir;
	} t[] = {
		{ 0x01, 0x04 }, { 0x02, 0x02 }, { 0x04, 0x06 },
		{ 0x08, 0x00 }, { 0xf0, 0x01 }, { 0x0f, 0x06 },
		{ 0x0b, 0x04 }, { 0x0a, 0x02 }, { 0x00, 0x01 },
	};
	size_t i;

	out(MCR, 0x08);
	ns16550_break(&u);
	ns16550_modem(&u, 0x20);
	for (i = 0; i < NEL(t); i++) {
		out(IER, 0);
		ck_assert(!unit_level[IRQ]);
		out(IER, t[i].ier);
		ck_assert_uint_eq(unit_level[IRQ], t[i].iir != 0x01);
		ck_assert_uint_eq(in(IIR), t[i].iir);
	}
}
END_TEST

/* A PC has OUT2 open the way for INTR. */
START_TEST(out2)
{
	static const struct step t[] = {
		{ OUT, IER, 0x01 }, { RX, 1, 'a' }, { LINE, 0, 0 },
		{ IN, IIR, 0x04 }, { OUT, MCR, 0x07 }, { LINE, 0, 0 },
		{ OUT, MCR, 0x08 }, { LINE, 0, 1 },
		/* Loopback holds it inactive: 8.8, bit 4. */
		{ OUT, MCR, 0x18 }, { LINE, 0, 0 }, { IN, IIR, 0x04 },
		{ OUT, MCR, 0x08 }, { LINE, 0, 1 }, { OUT, MCR, 0x00 },
		{ LINE, 0, 0 },
	};

	STEPS(t);
}
END_TEST

/* --- The modem: 8.8 and 8.9 --- */

START_TEST(modem_inputs)
{
	static const struct {
		unsigned int from, to, msr;
	} t[] = {
		{ 0x00, 0x00, 0x00 }, { 0x00, 0x10, 0x11 },
		{ 0x10, 0x00, 0x01 }, { 0x00, 0x20, 0x22 },
		{ 0x20, 0x00, 0x02 }, { 0x00, 0x40, 0x40 },
		{ 0x40, 0x00, 0x04 }, { 0x40, 0x40, 0x40 },
		{ 0x00, 0x80, 0x88 }, { 0x80, 0x00, 0x08 },
		{ 0x00, 0xf0, 0xfb }, { 0xf0, 0x00, 0x0f },
		{ 0x90, 0x6f, 0x6b },
	};
	size_t i;

	out(IER, 0x08);
	out(MCR, 0x08);
	for (i = 0; i < NEL(t); i++) {
		ns16550_modem(&u, (uint8_t)t[i].from);
		in(MSR);
		ck_assert(!unit_level[IRQ]);
		ns16550_modem(&u, (uint8_t)t[i].to);
		ck_assert_uint_eq(unit_level[IRQ], (t[i].msr & 0x0f) != 0);
		ck_assert_uint_eq(in(MSR), t[i].msr);
		ck_assert_uint_eq(in(MSR), t[i].msr & 0xf0);
	}
	/* Changes add up; there and back is one. */
	ns16550_modem(&u, 0x00);
	in(MSR);
	ns16550_modem(&u, 0x10);
	ns16550_modem(&u, 0x30);
	ns16550_modem(&u, 0x00);
	ck_assert_uint_eq(in(MSR), 0x03);
}
END_TEST

START_TEST(modem_outputs)
{
	static const struct {
		unsigned int mcr, lcr, pins;
	} t[] = {
		{ 0x01, 0x00, 0x01 }, { 0x02, 0x00, 0x02 },
		{ 0x04, 0x00, 0x04 }, { 0x08, 0x00, 0x08 },
		{ 0xef, 0x00, 0x0f }, { 0x00, 0x40, 0x40 },
		{ 0x0a, 0xff, 0x4a }, { 0x1f, 0x40, 0x00 },
	};
	size_t i;

	for (i = 0; i < NEL(t); i++) {
		out(LCR, t[i].lcr);
		out(MCR, t[i].mcr);
		ck_assert_uint_eq(outputs, t[i].pins);
	}
}
END_TEST

/* 8.8, bit 4: RTS is CTS, DTR is DSR, OUT1 is RI, OUT2 is DCD. */
START_TEST(loop_modem)
{
	static const struct {
		unsigned int mcr, msr;
	} t[] = {
		{ 0x10, 0x00 }, { 0x12, 0x10 }, { 0x11, 0x20 },
		{ 0x14, 0x40 }, { 0x18, 0x80 }, { 0x1f, 0xf0 },
		{ 0x1a, 0x90 },
	};
	static const struct step delta[] = {
		{ OUT, MCR, 0x10 }, { IN, MSR, 0x0f }, { OUT, IER, 0x08 },
		{ IN, IIR, 0x01 }, { OUT, MCR, 0x14 }, { IN, IIR, 0x01 },
		{ OUT, MCR, 0x10 }, { IN, IIR, 0x00 }, { IN, MSR, 0x04 },
		/* The pins do not matter, until they are back. */
		{ MODEM, 0, 0x20 }, { IN, MSR, 0x00 },
		{ OUT, MCR, 0x00 }, { IN, MSR, 0x22 },
	};
	size_t i;

	ns16550_modem(&u, 0xf0);
	for (i = 0; i < NEL(t); i++) {
		out(MCR, t[i].mcr);
		ck_assert_uint_eq(in(MSR) & 0xf0, t[i].msr);
	}
	out(MCR, 0x00);
	ck_assert_uint_eq(in(MSR) & 0xf0, 0xf0);
	STEPS(delta);
}
END_TEST

/* 8.1, bit 6: the break is on the wire alone, and nothing else is. */
START_TEST(break_out)
{
	static const struct step t[] = {
		{ OUT, LCR, 0x43 }, { OUT, THR, 'a' }, { IN, LSR, 0x60 },
		{ SENT, 0, 0 }, { OUT, LCR, 0x03 }, { OUT, THR, 'b' },
		{ SENT, 0, 1 },
		{ OUT, MCR, 0x10 }, { OUT, LCR, 0x43 }, { OUT, THR, 'c' },
		{ IN, LSR, 0x61 }, { IN, RBR, 'c' }, { SENT, 0, 1 },
	};

	STEPS(t);
}
END_TEST

/* --- What drivers do --- */

static unsigned int
fifo_size(void)
{
	uint8_t lcr, mcr, old[2];
	unsigned int n;

	lcr = in(LCR);
	out(LCR, 0);
	mcr = in(MCR);
	out(FCR, 0x07);
	out(MCR, 0x10);
	out(LCR, 0x80);
	old[0] = in(0);
	old[1] = in(1);
	out(0, 1);
	out(1, 0);
	out(LCR, 0x03);
	for (n = 0; n < 256; n++)
		out(THR, n);
	unit_run(unit_now + 20000000);
	for (n = 0; in(LSR) & 0x01 && n < 256; n++)
		ck_assert_uint_eq(in(RBR), n);
	out(FCR, 0x00);
	out(MCR, mcr);
	out(LCR, 0x80);
	out(0, old[0]);
	out(1, old[1]);
	out(LCR, lcr);
	return (n);
}

/* Each question by which Linux's 8250 driver tells a 16550A from others. */
START_TEST(linux_probe)
{
	static const struct step there[] = {
		{ OUT, IER, 0x00 }, { IN, IER, 0x00 },
		{ OUT, IER, 0x0f }, { IN, IER, 0x0f }, { OUT, IER, 0x00 },
		{ OUT, LCR, 0xbf }, { OUT, 2, 0x00 }, { OUT, LCR, 0x00 },
		{ OUT, FCR, 0x01 },
	};
	static const struct step kind[] = {
		/* No register hides behind 64-byte FIFOs. */
		{ OUT, LCR, 0x00 }, { OUT, FCR, 0x21 }, { IN, IIR, 0xc1 },
		{ OUT, FCR, 0x01 }, { OUT, LCR, 0x80 }, { OUT, FCR, 0x21 },
		{ IN, IIR, 0xc1 }, { OUT, FCR, 0x01 }, { OUT, LCR, 0x00 },
		/* Nor is bit 6 of IER one. */
		{ OUT, IER, 0x40 }, { IN, IER, 0x00 },
	};
	/* As the port is opened: THRE comes by itself, and a second time. */
	static const struct step open[] = {
		{ OUT, FCR, 0x01 }, { OUT, FCR, 0x07 }, { OUT, FCR, 0x00 },
		{ IN, LSR, 0x60 }, { IN, RBR, 0x0f }, { IN, IIR, 0x01 },
		{ IN, MSR, 0x09 }, { OUT, LCR, 0x03 },
		{ OUT, IER, 0x02 }, { IN, IIR, 0x02 }, { OUT, IER, 0x00 },
		{ OUT, IER, 0x02 }, { IN, IIR, 0x02 }, { OUT, IER, 0x00 },
		{ OUT, MCR, 0x08 }, { OUT, IER, 0x02 }, { IN, LSR, 0x60 },
		{ IN, IIR, 0x02 }, { OUT, IER, 0x05 }, { LINE, 0, 0 },
	};
	uint8_t was;

	STEPS(there);
	out(MCR, 0x1a);
	ck_assert_uint_eq(in(MSR) & 0xf0, 0x90);
	out(MCR, 0x00);
	ck_assert_uint_eq(in(IIR) >> 6, 3);
	/* No EFR in the place of IIR, with DLAB and with the word for it. */
	out(LCR, 0x80);
	ck_assert_uint_ne(in(2), 0);
	out(LCR, 0xbf);
	ck_assert_uint_ne(in(2), 0);
	/* National's later chips show MCR's loopback bit in bank 2. */
	out(LCR, 0x00);
	was = in(MCR);
	out(LCR, 0xe0);
	if (!((in(2) ^ was) & 0x10)) {
		out(LCR, 0x00);
		out(MCR, was ^ 0x10);
		out(LCR, 0xe0);
		ck_assert(!((in(2) ^ was) & 0x10));
		out(LCR, 0x00);
		out(MCR, was);
	}
	STEPS(kind);
	ck_assert_uint_eq(fifo_size(), 16);
	STEPS(open);
}
END_TEST

/* --- Anything at all --- */

/* Check keeps a record of each ck_assert(), and a million take their time. */
#define MUST(what)							\
	do {								\
		if (!(what))						\
			ck_abort_msg("not so: %s", #what);		\
	} while (0)

static uint64_t rng = 0x16550;

static uint32_t
any(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return ((uint32_t)(rng >> 16));
}

/* What LSR, IIR and the line say is what the state is, whatever came. */
static void
check_state(void)
{
	struct ns16550 copy = u;
	struct bus side = { .n = 0 };
	bool fifo = u.fcr & 1, armed = u.idle.at != TIME_NEVER;
	uint32_t iir, lsr;

	MUST(u.rx.n <= (fifo ? 16 : 1));
	MUST(u.tx.n <= (fifo ? 16 : 1));
	MUST(u.rx.head < 16);
	MUST(u.tx.head < 16);
	MUST((u.ier & 0xf0) == 0);
	MUST((u.mcr & 0xe0) == 0);
	MUST((u.lsr & ~0x1eu) == 0);
	MUST(u.tx.n == 0 || u.tsr_full);
	MUST(!(u.tsr_full && u.mcr & 0x10));
	MUST(armed == (fifo && u.rx.n > 0 && !u.timeout));
	MUST(!u.timeout || (fifo && u.rx.n > 0));
	MUST(!u.refused || u.mcr & 0x10 || u.rx.n == (fifo ? 16 : 1));
	copy.w = (struct ns16550_wires){ .arg = NULL };
	ns16550_attach(&copy, &side, 0);
	iir = unit_in(&side, IIR, 1);
	copy = u;
	copy.w = (struct ns16550_wires){ .arg = NULL };
	copy.port = 0;
	lsr = unit_in(&side, LSR, 1);
	MUST(unit_level[IRQ] == (!(iir & 1) && (u.mcr & 0x18) == 0x08));
	MUST((iir & 0xf0) == (fifo ? 0xc0 : 0));
	MUST((lsr & 1) == (u.rx.n > 0));
	MUST(!(lsr & 0x40) || lsr & 0x20);
	MUST(fifo || !(lsr & 0x80));
	MUST(!(lsr & 0x1c) || !fifo || lsr & 0x80);
	MUST(outputs == (u.mcr & 0x10 ? 0 :
	    (u.mcr & 0x0f) | (u.lcr & 0x40)));
}

START_TEST(anything)
{
	static const uint8_t size[4] = { 1, 1, 2, 4 };
	unsigned int i;
	uint32_t r;

	for (i = 0; i < 150000; i++) {
		r = any();
		switch (r % 16) {
		case 0:
			receive(r >> 8 & 0xff, r >> 16 & 31);
			break;
		case 1:
			ns16550_break(&u);
			break;
		case 2:
			ns16550_modem(&u, (uint8_t)(r >> 8));
			break;
		case 3:
			credit = r >> 8 & 31;
			ns16550_kick(&u);
			break;
		case 4:
			unit_run(unit_now + (r >> 8));
			break;
		case 5:
		case 6:
		case 7:
		case 8:
		case 9:
			unit_in(&bus, BASE - 3 + (r >> 8) % 14,
			    size[r >> 16 & 3]);
			break;
		default:
			unit_out(&bus, BASE - 3 + (r >> 8) % 14,
			    size[r >> 16 & 3], any());
			break;
		}
		if (r >> 20 == 0)
			ns16550_reset(&u);
		check_state();
	}
}
END_TEST

/* A port that leads nowhere works. */
START_TEST(no_wires)
{
	struct ns16550_wires w = { .arg = NULL };

	bus.n = 0;
	ns16550_init(&u, &w, &unit_timers);
	ns16550_attach(&u, &bus, BASE);
	out(MCR, 0x0b);
	out(IER, 0x0f);
	out(THR, 'a');
	ck_assert_uint_eq(in(LSR), 0x60);
	ck_assert_uint_eq(receive('a', 2), 1);
	ck_assert_uint_eq(in(RBR), 'a');
	ck_assert_uint_eq(receive('b', 2), 1);
}
END_TEST

int
main(void)
{
	TCase *tc = unit_case("ns16550", setup);

	tcase_add_test(tc, reset_values);
	tcase_add_test(tc, registers);
	tcase_add_test(tc, divisor_latch);
	tcase_add_test(tc, wide);
	tcase_add_test(tc, sends);
	tcase_add_test(tc, sends_late);
	tcase_add_test(tc, sends_late_fifo);
	tcase_add_test(tc, thre);
	tcase_add_test(tc, receives_one);
	tcase_add_test(tc, receives_fifo);
	tcase_add_test(tc, receives_not_in_loop);
	tcase_add_test(tc, receives_in_room);
	tcase_add_test(tc, trigger);
	tcase_add_test(tc, timeout_length);
	tcase_add_test(tc, timeout_rules);
	tcase_add_test(tc, errors_at_their_byte);
	tcase_add_test(tc, break_parity);
	tcase_add_test(tc, overrun);
	tcase_add_test(tc, word_length);
	tcase_add_test(tc, fifo_control);
	tcase_add_test(tc, priorities);
	tcase_add_test(tc, enables);
	tcase_add_test(tc, out2);
	tcase_add_test(tc, modem_inputs);
	tcase_add_test(tc, modem_outputs);
	tcase_add_test(tc, loop_modem);
	tcase_add_test(tc, break_out);
	tcase_add_test(tc, linux_probe);
	tcase_add_test(tc, anything);
	tcase_add_test(tc, no_wires);
	return (unit_end());
}
