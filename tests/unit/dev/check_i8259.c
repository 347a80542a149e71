/* SPDX-License-Identifier: ISC */
/*
 * check_i8259.c - a PC's two interrupt controllers against Intel's 8259A data
 * sheet, 231468-003. It has sections with titles and no numbers; those are
 * quoted.
 */
#include "dev_unit.h"
#include "i8259.h"

#define INTR	0
#define NEL(a)	(sizeof(a) / sizeof((a)[0]))

/* Ports. */
#define M	0x20		/* first chip: ICW1, OCW2, OCW3; IRR, ISR */
#define MD	0x21		/* ICW2 to 4, OCW1 */
#define S	0xa0		/* second chip */
#define SD	0xa1
#define ELCR	0x4d0

static struct i8259 pic;
static struct bus bus;

static void
setup(void)
{
	unit_start();
	bus.n = 0;
	i8259_init(&pic, unit_line(INTR));
	i8259_attach(&pic, &bus);
}

static uint8_t
in(uint16_t port)
{
	return ((uint8_t)unit_in(&bus, port, 1));
}

static void
out(uint16_t port, unsigned int v)
{
	unit_out(&bus, port, 1, v);
}

static void
set(unsigned int irq, bool level)
{
	i8259_set(&pic, (int)irq, level);
}

/* As a PC's firmware or kernel does it: vectors from 0x30 and 0x70 on. */
static void
start(unsigned int icw1, unsigned int icw4, unsigned int icw4_slave)
{
	out(M, icw1);
	out(MD, 0x30);
	out(MD, 0x04);
	out(MD, icw4);
	out(S, icw1);
	out(SD, 0x70);
	out(SD, 0x02);
	out(SD, icw4_slave);
}

/*
 * A test as a table. Of UP and DOWN `v` is the input, of ACK the vector; INT
 * is whether the CPU is asked.
 */
struct step {
	enum { OUT, IN, UP, DOWN, INT, ACK } what;
	unsigned int	port, v;
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
			out((uint16_t)t[i].port, t[i].v);
			break;
		case IN:
			got = in((uint16_t)t[i].port);
			break;
		case UP:
		case DOWN:
			set(t[i].v, t[i].what == UP);
			break;
		case INT:
			got = unit_level[INTR];
			break;
		case ACK:
			got = (unsigned int)i8259_ack(&pic);
			break;
		}
		ck_assert_msg(got == t[i].v, "step %zu, port 0x%x: 0x%x, "
		    "not 0x%x", i, t[i].port, got, t[i].v);
	}
}

#define ISR(p)	{ OUT, p, 0x0b }	/* what p reads as, from then on */
#define IRR(p)	{ OUT, p, 0x0a }

/* --- Set-up --- */

START_TEST(reset_values)
{
	static const struct step t[] = {
		{ IN, M, 0 }, { IN, MD, 0xff }, { IN, S, 0 }, { IN, SD, 0xff },
		{ IN, ELCR, 0 }, { IN, ELCR + 1, 0 },
		{ UP, 0, 1 }, { UP, 0, 15 }, { INT, 0, 0 },
		/* A mask before anything else is one. */
		{ OUT, MD, 0xfb }, { IN, MD, 0xfb },
	};
	static const struct step again[] = {
		{ INT, 0, 0 }, { IN, M, 0x00 }, { IN, MD, 0xff },
		{ IN, S, 0x00 }, { IN, SD, 0xff }, { IN, ELCR, 0 },
		{ IN, ELCR + 1, 0 },
		/* What was high then is no edge. */
		{ OUT, MD, 0x00 }, { INT, 0, 0 },
	};

	STEPS(t);
	start(0x11, 0x11, 0x01);
	set(3, true);
	set(5, true);
	ck_assert_int_eq(i8259_ack(&pic), 0x33);
	out(ELCR, 0xff);
	ck_assert(!unit_level[INTR]);
	out(ELCR + 1, 0xff);
	ck_assert(unit_level[INTR]);
	out(M, 0x6b);
	i8259_reset(&pic);
	STEPS(again);
}
END_TEST

/* "Initialization Command Words": how many follow ICW1, and what then is. */
START_TEST(icw_sequence)
{
	static const struct {
		unsigned int icw1, n;	/* n words after it */
	} t[] = {
		{ 0x10, 2 }, { 0x11, 3 }, { 0x12, 1 }, { 0x13, 2 },
		{ 0x14, 2 }, { 0x1f, 2 }, { 0xf1, 3 },
	};
	unsigned int i, p, port;

	for (p = 0; p < 2; p++)
		for (i = 0; i < NEL(t); i++) {
			port = p == 0 ? M : S;
			out(port + 1, 0x5a);
			out(port, t[i].icw1);
			ck_assert_uint_eq(in(port + 1), 0);	/* b. */
			out(port + 1, 0xa0);
			if (t[i].n > 1)
				out(port + 1, 0x03);
			if (t[i].n > 2)
				out(port + 1, 0x01);
			ck_assert_uint_eq(in(port + 1), 0);
			out(port + 1, 0xff);
			ck_assert_uint_eq(in(port + 1), 0xff);
		}
}
END_TEST

/* What ICW1 does by itself: "ICW1", a to f. */
START_TEST(icw1_effects)
{
	static const struct step before[] = {
		{ UP, 0, 3 }, { ACK, 0, 0x33 }, { UP, 0, 1 },
		{ OUT, MD, 0x80 },		/* mask */
		{ OUT, M, 0xc4 },		/* level 4 is the lowest */
		{ OUT, M, 0x80 },		/* rotate in AEOI mode */
		{ OUT, M, 0x6b },		/* special mask; read ISR */
		{ OUT, M, 0x11 }, { OUT, MD, 0x30 }, { OUT, MD, 0x04 },
		{ OUT, MD, 0x01 },
		/* a. 1 and 3 are still high, and no requests. */
		{ INT, 0, 0 },
		/* b. The mask is gone, e. and what is read is IRR. */
		{ IN, MD, 0 }, { IN, M, 0x00 }, { UP, 0, 7 },
		{ IN, M, 0x80 }, { INT, 0, 1 },
		/* c. 7 is the lowest. */
		{ UP, 0, 4 }, { ACK, 0, 0x34 },
		/* e. No special mask: 4 in service, though masked. */
		{ OUT, MD, 0x10 }, { INT, 0, 0 }, { OUT, M, 0x20 },
		{ OUT, MD, 0x00 }, { ACK, 0, 0x37 }, { OUT, M, 0x20 },
		/* a. An edge again. */
		{ DOWN, 0, 1 }, { UP, 0, 1 }, { ACK, 0, 0x31 },
		ISR(M), { IN, M, 0x02 }, { OUT, M, 0x20 },
		/* f. No ICW4, no automatic EOI. */
		{ OUT, M, 0x11 }, { OUT, MD, 0x40 }, { OUT, MD, 0x04 },
		{ OUT, MD, 0x03 }, { DOWN, 0, 3 }, { UP, 0, 3 },
		{ ACK, 0, 0x43 }, ISR(M), { IN, M, 0x00 },
		{ OUT, M, 0x10 }, { OUT, MD, 0x40 }, { OUT, MD, 0x04 },
		{ DOWN, 0, 3 }, { UP, 0, 3 }, { ACK, 0, 0x43 },
		ISR(M), { IN, M, 0x08 },
		/* Not what is in service either. */
		{ OUT, M, 0x11 }, { OUT, MD, 0x30 }, { OUT, MD, 0x04 },
		{ OUT, MD, 0x01 }, ISR(M), { IN, M, 0x00 },
		/* A poll that was asked for is forgotten. */
		{ OUT, M, 0x0c }, { OUT, M, 0x11 }, { OUT, MD, 0x30 },
		{ OUT, MD, 0x04 }, { OUT, MD, 0x03 }, { DOWN, 0, 3 },
		{ UP, 0, 3 }, { IN, M, 0x08 }, { ACK, 0, 0x33 },
		/* And so is rotation, in AEOI mode as well. */
		{ OUT, M, 0x80 }, { OUT, M, 0x11 }, { OUT, MD, 0x30 },
		{ OUT, MD, 0x04 }, { OUT, MD, 0x03 }, { DOWN, 0, 3 },
		{ UP, 0, 3 }, { ACK, 0, 0x33 }, { DOWN, 0, 3 },
		{ UP, 0, 3 }, { DOWN, 0, 5 }, { UP, 0, 5 },
		{ ACK, 0, 0x33 },
	};

	start(0x11, 0x01, 0x01);
	STEPS(before);
}
END_TEST

/* "ICW2": five bits of the vector, three of the level. */
START_TEST(vectors)
{
	unsigned int irq, icw2;

	for (icw2 = 0; icw2 < 0x100; icw2 += 0x29) {
		out(M, 0x11);
		out(MD, icw2);
		out(MD, 0x04);
		out(MD, 0x01);
		out(S, 0x11);
		out(SD, icw2 ^ 0x80);
		out(SD, 0x02);
		out(SD, 0x01);
		for (irq = 0; irq < 16; irq++) {
			set(irq, true);
			if (irq == 2) {
				ck_assert(!unit_level[INTR]);
				continue;
			}
			ck_assert(unit_level[INTR]);
			ck_assert_int_eq(i8259_ack(&pic), (int)((irq & 7) |
			    ((irq > 7 ? icw2 ^ 0x80 : icw2) & 0xf8)));
			ck_assert(!unit_level[INTR]);
			set(irq, false);
			if (irq > 7)
				out(S, 0x20);
			out(M, 0x20);
		}
	}
}
END_TEST

/* "ICW3" and "Cascade Mode": who answers for input 2. */
START_TEST(cascade)
{
	static const struct {
		unsigned int icw1, slaves, id, vector;
	} t[] = {
		{ 0x11, 0x04, 2, 0x71 }, { 0x11, 0xff, 0xfa, 0x71 },
		{ 0x11, 0x04, 3, 0xff },	/* another one is called */
		{ 0x13, 0x00, 2, 0x32 },	/* single: as any input */
		{ 0x11, 0x00, 2, 0x32 },
		{ 0x11, 0xfb, 2, 0x32 },
	};
	size_t i;

	for (i = 0; i < NEL(t); i++) {
		out(M, t[i].icw1);
		out(MD, 0x30);
		if (!(t[i].icw1 & 2))
			out(MD, t[i].slaves);
		out(MD, 0x01);
		out(S, 0x11);
		out(SD, 0x70);
		out(SD, t[i].id);
		out(SD, 0x01);
		set(9, true);
		ck_assert_int_eq(i8259_ack(&pic), (int)t[i].vector);
		set(9, false);
	}
	/* A second chip that was told it is alone has the address 7. */
	start(0x11, 0x01, 0x01);
	out(S, 0x13);
	out(SD, 0x70);
	out(SD, 0x01);
	set(9, true);
	ck_assert_int_eq(i8259_ack(&pic), 0xff);
	/* An input with no chip behind it, where ICW3 says there is one. */
	start(0x11, 0x01, 0x01);
	out(M, 0x11);
	out(MD, 0x30);
	out(MD, 0x24);
	out(MD, 0x01);
	set(5, true);
	ck_assert_int_eq(i8259_ack(&pic), 0xff);
	out(M, 0x0b);
	ck_assert_uint_eq(in(M), 0x20);
}
END_TEST

/* --- Requests --- */

/* "Fully Nested Mode": of all pairs, which may interrupt which. */
START_TEST(nested)
{
	static const unsigned int order[15] = {
		0, 1, 8, 9, 10, 11, 12, 13, 14, 15, 3, 4, 5, 6, 7
	};
	unsigned int i, j;
	bool second;

	for (i = 0; i < 15; i++)
		for (j = 0; j < 15; j++) {
			if (i == j)
				continue;
			start(0x11, 0x01, 0x01);
			set(order[i], true);
			i8259_ack(&pic);
			set(order[j], true);
			/*
			 * To the first chip all of the second are one level,
			 * and that is in service.
			 */
			second = order[i] > 7 && order[j] > 7;
			ck_assert_msg(unit_level[INTR] == (j < i && !second),
			    "%u in service, %u", order[i], order[j]);
			/* Both at once: the higher one. */
			set(order[i], false);
			set(order[j], false);
			start(0x11, 0x01, 0x01);
			set(order[i], true);
			set(order[j], true);
			ck_assert_int_eq(i8259_ack(&pic) & 0x4f,
			    (int)((order[i < j ? i : j] & 7) |
			    (order[i < j ? i : j] > 7 ? 0x40 : 0)));
			set(order[i], false);
			set(order[j], false);
		}
}
END_TEST

/* "OCW1". IRR shows what is masked; a mask is no reset. */
START_TEST(masks)
{
	static const struct step t[] = {
		{ OUT, MD, 0x0a }, { IN, MD, 0x0a }, { UP, 0, 1 },
		{ UP, 0, 3 }, { INT, 0, 0 }, { IN, M, 0x0a },
		{ UP, 0, 4 }, { INT, 0, 1 }, { OUT, MD, 0x08 },
		{ ACK, 0, 0x31 }, { OUT, M, 0x20 }, { ACK, 0, 0x34 },
		{ OUT, M, 0x20 }, { INT, 0, 0 }, { OUT, MD, 0x00 },
		{ INT, 0, 1 }, { OUT, MD, 0x08 }, { INT, 0, 0 },
		{ OUT, MD, 0x00 }, { ACK, 0, 0x33 }, { OUT, M, 0x20 },
		/* On the second chip, and on the way from it. */
		{ OUT, SD, 0x02 }, { UP, 0, 9 }, { INT, 0, 0 },
		{ IN, S, 0x02 }, { IN, M, 0x00 }, { OUT, SD, 0x00 },
		{ IN, M, 0x04 }, { INT, 0, 1 }, { OUT, MD, 0x04 },
		{ INT, 0, 0 }, { OUT, MD, 0x00 }, { INT, 0, 1 },
		{ ACK, 0, 0x71 },
	};

	start(0x11, 0x01, 0x01);
	STEPS(t);
}
END_TEST

/* "Edge and Level Triggered Modes". */
START_TEST(edges)
{
	static const struct step t[] = {
		{ UP, 0, 3 }, { IN, M, 0x08 }, { INT, 0, 1 },
		{ ACK, 0, 0x33 }, { IN, M, 0x00 }, { OUT, M, 0x20 },
		{ INT, 0, 0 }, { UP, 0, 3 }, { INT, 0, 0 },
		{ DOWN, 0, 3 }, { UP, 0, 3 }, { INT, 0, 1 },
		/* Low too early: nothing, or 7 if it was being taken. */
		{ DOWN, 0, 3 }, { INT, 0, 0 }, { IN, M, 0x00 },
		{ ACK, 0, 0x37 }, ISR(M), { IN, M, 0x00 }, IRR(M),
		/* A second edge while the first is in service waits. */
		{ UP, 0, 3 }, { ACK, 0, 0x33 }, { DOWN, 0, 3 },
		{ UP, 0, 3 }, { INT, 0, 0 }, { IN, M, 0x08 },
		{ OUT, M, 0x20 }, { INT, 0, 1 }, { ACK, 0, 0x33 },
	};

	start(0x11, 0x01, 0x01);
	STEPS(t);
}
END_TEST

/* "Edge/Level Control Register": no such bits for 0, 1, 2, 8 and 13. */
START_TEST(elcr)
{
	static const struct step t[] = {
		{ OUT, ELCR, 0xff }, { IN, ELCR, 0xf8 },
		{ OUT, ELCR + 1, 0xff }, { IN, ELCR + 1, 0xde },
		{ OUT, ELCR, 0x20 }, { IN, ELCR, 0x20 },
		{ OUT, ELCR + 1, 0x08 }, { IN, ELCR + 1, 0x08 },
		/* ICW1 leaves them. */
		{ OUT, M, 0x11 }, { OUT, MD, 0x30 }, { OUT, MD, 0x04 },
		{ OUT, MD, 0x01 }, { IN, ELCR, 0x20 },
		{ UP, 0, 5 }, { ACK, 0, 0x35 }, { IN, M, 0x20 },
		{ INT, 0, 0 }, { OUT, M, 0x20 }, { INT, 0, 1 },
		{ ACK, 0, 0x35 }, { DOWN, 0, 5 }, { IN, M, 0x00 },
		{ OUT, M, 0x20 }, { INT, 0, 0 },
		{ UP, 0, 11 }, { ACK, 0, 0x73 }, { OUT, S, 0x20 },
		{ INT, 0, 0 }, { OUT, M, 0x20 }, { ACK, 0, 0x73 },
		{ DOWN, 0, 11 }, { OUT, S, 0x20 }, { OUT, M, 0x20 },
		{ INT, 0, 0 },
		/* High when it becomes one is enough. */
		{ UP, 0, 6 }, { ACK, 0, 0x36 }, { OUT, M, 0x20 },
		{ INT, 0, 0 }, { OUT, ELCR, 0x40 }, { INT, 0, 1 },
		{ OUT, ELCR, 0x00 }, { INT, 0, 0 },
	};

	start(0x11, 0x01, 0x01);
	STEPS(t);
}
END_TEST

/* "ICW1", LTIM: all inputs of a chip. */
START_TEST(ltim)
{
	static const struct step t[] = {
		{ UP, 0, 0 }, { ACK, 0, 0x30 }, { OUT, M, 0x20 },
		{ INT, 0, 1 }, { DOWN, 0, 0 }, { INT, 0, 0 },
		{ UP, 0, 8 }, { ACK, 0, 0x70 }, { OUT, S, 0x20 },
		{ OUT, M, 0x20 }, { ACK, 0, 0x70 },
		/* There already when ICW1 comes. */
		{ OUT, S, 0x19 }, { IN, S, 0x01 },
		{ OUT, S, 0x11 }, { IN, S, 0x00 },
	};

	start(0x19, 0x01, 0x01);
	STEPS(t);
}
END_TEST

/* No request, but an acknowledge: level 7 of that chip, not in service. */
START_TEST(spurious)
{
	static const struct step t[] = {
		{ ACK, 0, 0x37 }, ISR(M), { IN, M, 0x00 },
		{ UP, 0, 7 }, { ACK, 0, 0x37 }, { IN, M, 0x80 },
		{ OUT, M, 0x20 },
		/* Withdrawn by mask, and by its level. */
		{ UP, 0, 3 }, { INT, 0, 1 }, { OUT, MD, 0x08 },
		{ INT, 0, 0 }, { ACK, 0, 0x37 }, { IN, M, 0x00 },
		{ OUT, ELCR, 0x20 }, { UP, 0, 5 }, { DOWN, 0, 5 },
		{ ACK, 0, 0x37 }, { IN, M, 0x00 },
		/* From the second chip: all the way back, so it is 7. */
		{ UP, 0, 12 }, { DOWN, 0, 12 }, { ACK, 0, 0x37 },
		ISR(S), { IN, S, 0x00 }, { IN, M, 0x00 },
		/* Low between the two pulses: see below. */
		{ UP, 0, 12 }, { INT, 0, 1 },
	};
	static const struct step late[] = {
		{ ACK, 0, 0x77 }, { IN, S, 0x00 }, { IN, M, 0x04 },
		{ INT, 0, 0 }, { OUT, M, 0x20 }, { IN, M, 0x00 },
		{ INT, 0, 0 },
	};

	start(0x11, 0x01, 0x01);
	STEPS(t);
	pic.chip[1].in = 0;
	STEPS(late);
}
END_TEST

/* --- "Operation Command Words": OCW2 --- */

START_TEST(ocw2)
{
	static const struct {
		unsigned int ocw2, isr, lowest;
	} t[] = {
		/* In service: 6, 4 and 1; lowest: 7. */
		{ 0x20, 0x50, 7 },		/* non-specific EOI */
		{ 0x27, 0x50, 7 },		/* L2 to L0 do not matter */
		{ 0x66, 0x12, 7 },		/* specific EOI */
		{ 0x64, 0x42, 7 },
		{ 0x63, 0x52, 7 },		/* one that is not in service */
		{ 0xa0, 0x50, 1 },		/* rotate on non-specific */
		{ 0xe4, 0x42, 4 },		/* rotate on specific */
		{ 0xe6, 0x12, 6 },
		{ 0xc3, 0x52, 3 },		/* set priority */
		{ 0xc7, 0x52, 7 },
		{ 0x40, 0x52, 7 }, { 0x46, 0x52, 7 },	/* no operation */
		{ 0x80, 0x52, 7 }, { 0x00, 0x52, 7 },	/* rotate in AEOI */
	};
	static const unsigned int port[2] = { M, S };
	unsigned int i, p, first;

	for (p = 0; p < 2; p++)
		for (i = 0; i < NEL(t); i++) {
			start(0x11, 0x01, 0x01);
			out(port[p], 0x0b);
			/* Poll: each chip for itself. */
			set(8 * p + 6, true);
			out(port[p], 0x0c);
			ck_assert_uint_eq(in(port[p]), 0x86);
			set(8 * p + 4, true);
			out(port[p], 0x0c);
			ck_assert_uint_eq(in(port[p]), 0x84);
			set(8 * p + 1, true);
			out(port[p], 0x0c);
			ck_assert_uint_eq(in(port[p]), 0x81);
			out(port[p], t[i].ocw2);
			ck_assert_msg(in(port[p]) == t[i].isr,
			    "row %u: ISR 0x%x", i, in(port[p]));
			/* The highest of all eight tells the lowest. */
			out(port[p], 0x61);
			out(port[p], 0x64);
			out(port[p], 0x66);
			out(port[p] + 1, p == 0 ? 0x04 : 0x00);
			for (first = 0; first < 8; first++) {
				set(8 * p + first, false);
				set(8 * p + first, true);
			}
			first = (t[i].lowest + 1) & 7;
			if (p == 0 && first == 2)
				first++;
			out(port[p], 0x0c);
			ck_assert_msg(in(port[p]) == (0x80 | first),
			    "row %u: not %u first", i, first);
			for (first = 0; first < 8; first++)
				set(8 * p + first, false);
		}
}
END_TEST

/* "Automatic Rotation", "Specific Rotation": who is next, all around. */
START_TEST(rotation)
{
	unsigned int lowest, i, n;

	for (lowest = 0; lowest < 8; lowest++) {
		start(0x11, 0x01, 0x01);
		out(M, 0xc0 | lowest);
		for (n = 0; n < 8; n++)
			set(n, true);
		for (i = 1; i <= 8; i++) {
			n = (lowest + i) & 7;
			if (n == 2)
				continue;
			ck_assert_int_eq(i8259_ack(&pic), (int)(0x30 + n));
			ck_assert(!unit_level[INTR]);
			out(M, 0x20);
		}
		ck_assert(!unit_level[INTR]);
		for (n = 0; n < 8; n++)
			set(n, false);
	}
	/* With rotation everyone has a turn, however often all ask. */
	start(0x19, 0x01, 0x01);
	set(3, true);
	set(4, true);
	set(6, true);
	for (i = 0; i < 9; i++) {
		static const int turn[3] = { 0x33, 0x34, 0x36 };

		ck_assert_int_eq(i8259_ack(&pic), turn[i % 3]);
		out(M, 0xa0);
	}
}
END_TEST

/* An EOI with nothing in service changes nothing. */
START_TEST(eoi_of_none)
{
	static const struct step t[] = {
		{ OUT, M, 0x20 }, { OUT, M, 0xa0 }, ISR(M), { IN, M, 0x00 },
		{ UP, 0, 0 }, { UP, 0, 7 }, { ACK, 0, 0x30 },
	};

	start(0x11, 0x01, 0x01);
	STEPS(t);
}
END_TEST

/* "Automatic End of Interrupt (AEOI) Mode", and rotation in it. */
START_TEST(aeoi)
{
	static const struct step t[] = {
		ISR(M), ISR(S),
		{ UP, 0, 5 }, { UP, 0, 3 }, { ACK, 0, 0x33 }, { IN, M, 0x00 },
		{ INT, 0, 1 }, { ACK, 0, 0x35 }, { INT, 0, 0 },
		{ UP, 0, 9 }, { ACK, 0, 0x71 }, { IN, S, 0x00 },
		{ IN, M, 0x00 },
		/* Without rotation 0 stays the highest. */
		{ UP, 0, 0 }, { UP, 0, 1 }, { ACK, 0, 0x30 },
		{ DOWN, 0, 0 }, { UP, 0, 0 }, { ACK, 0, 0x30 },
		{ ACK, 0, 0x31 },
		/* With it, it is the other's turn. */
		{ OUT, M, 0x80 }, { DOWN, 0, 0 }, { UP, 0, 0 },
		{ DOWN, 0, 1 }, { UP, 0, 1 }, { ACK, 0, 0x30 },
		{ DOWN, 0, 0 }, { UP, 0, 0 }, { ACK, 0, 0x31 },
		{ DOWN, 0, 1 }, { UP, 0, 1 }, { ACK, 0, 0x30 },
		/* And off. */
		{ OUT, M, 0x00 }, { DOWN, 0, 0 }, { UP, 0, 0 },
		{ ACK, 0, 0x31 }, { DOWN, 0, 1 }, { UP, 0, 1 },
		{ ACK, 0, 0x31 }, { ACK, 0, 0x30 }, { INT, 0, 0 },
	};

	start(0x11, 0x03, 0x03);
	STEPS(t);
}
END_TEST

/* --- OCW3 --- */

START_TEST(status)
{
	static const struct step t[] = {
		{ UP, 0, 6 }, { ACK, 0, 0x36 }, { UP, 0, 1 }, { UP, 0, 7 },
		{ IN, M, 0x82 },
		/* RR 0: what was chosen stays. */
		{ OUT, M, 0x0b }, { IN, M, 0x40 }, { IN, M, 0x40 },
		{ OUT, M, 0x08 }, { IN, M, 0x40 }, { OUT, M, 0x09 },
		{ IN, M, 0x40 }, { OUT, M, 0x0a }, { IN, M, 0x82 },
		{ OUT, M, 0x09 }, { IN, M, 0x82 }, { IN, MD, 0x00 },
		/* The other chip has its own. */
		{ UP, 0, 8 }, { IN, S, 0x01 }, { OUT, S, 0x0b },
		{ IN, S, 0x00 }, { IN, M, 0x86 },
	};

	start(0x11, 0x01, 0x01);
	STEPS(t);
}
END_TEST

/* "Poll Command". */
START_TEST(poll)
{
	static const struct step t[] = {
		{ OUT, M, 0x0c }, { IN, M, 0x00 }, { IN, M, 0x00 },
		{ UP, 0, 6 }, { UP, 0, 3 }, { OUT, M, 0x0c }, { IN, M, 0x83 },
		/* That was the acknowledge; once. */
		{ IN, M, 0x40 }, { OUT, M, 0x0f }, { IN, M, 0x00 },
		{ IN, M, 0x08 },
		/* Before RR, and on either port. */
		{ OUT, M, 0x20 }, { OUT, M, 0x0e }, { IN, MD, 0x86 },
		{ IN, MD, 0x00 }, { IN, M, 0x00 }, { INT, 0, 0 },
		{ OUT, M, 0x20 },
		/* Taken back by an OCW3 without it. */
		{ UP, 0, 1 }, { OUT, M, 0x0c }, { OUT, M, 0x0a },
		{ IN, M, 0x02 }, { ACK, 0, 0x31 }, { OUT, M, 0x20 },
		/* The second chip behind the first: two polls. */
		{ UP, 0, 12 }, { OUT, M, 0x0c }, { IN, M, 0x82 },
		{ INT, 0, 0 }, { OUT, S, 0x0c }, { IN, S, 0x84 },
		ISR(S), { IN, S, 0x10 }, { OUT, S, 0x20 }, { OUT, M, 0x20 },
		/* Or the second alone: the first has no request then. */
		{ UP, 0, 13 }, { INT, 0, 1 }, { OUT, S, 0x0c },
		{ IN, S, 0x85 }, { INT, 0, 0 }, { IN, M, 0x00 },
	};

	start(0x11, 0x01, 0x01);
	STEPS(t);
}
END_TEST

/* "Special Mask Mode". */
START_TEST(special_mask)
{
	static const struct step t[] = {
		ISR(M), { UP, 0, 3 }, { ACK, 0, 0x33 }, { UP, 0, 5 },
		{ INT, 0, 0 }, { OUT, MD, 0x08 }, { INT, 0, 0 },
		/* SMM without ESMM is nothing. */
		{ OUT, M, 0x28 }, { INT, 0, 0 }, { OUT, M, 0x68 },
		{ INT, 0, 1 }, { OUT, M, 0x08 }, { INT, 0, 1 },
		{ OUT, M, 0x48 }, { INT, 0, 0 }, { OUT, M, 0x68 },
		{ ACK, 0, 0x35 }, { IN, M, 0x28 },
		/* 5 in service and not masked blocks itself and below. */
		{ UP, 0, 6 }, { DOWN, 0, 5 }, { UP, 0, 5 }, { INT, 0, 0 },
		/* Non-specific EOI leaves the one that is masked. */
		{ OUT, M, 0x20 }, { IN, M, 0x08 }, { ACK, 0, 0x35 },
		{ OUT, M, 0xa0 }, { IN, M, 0x08 }, { OUT, M, 0x20 },
		{ IN, M, 0x08 }, { OUT, M, 0x63 }, { IN, M, 0x00 },
	};

	start(0x11, 0x01, 0x01);
	STEPS(t);
}
END_TEST

/* "The Special Fully Nested Mode". */
START_TEST(special_nested)
{
	static const struct step t[] = {
		{ UP, 0, 12 }, { ACK, 0, 0x74 }, { INT, 0, 0 },
		/* Higher ones of the same chip come through. */
		{ UP, 0, 9 }, { INT, 0, 1 }, { ACK, 0, 0x71 },
		{ UP, 0, 14 }, { INT, 0, 0 },
		/* Lower ones of the first chip do not, higher ones do. */
		{ UP, 0, 5 }, { INT, 0, 0 }, { UP, 0, 1 }, { INT, 0, 1 },
		{ ACK, 0, 0x31 }, { UP, 0, 8 }, { INT, 0, 0 },
		{ OUT, M, 0x20 }, { ACK, 0, 0x70 },
		/* Software: an EOI to the second; to the first, if no more. */
		ISR(S), ISR(M), { OUT, S, 0x20 }, { IN, S, 0x12 },
		{ OUT, S, 0x20 }, { IN, S, 0x10 }, { INT, 0, 0 },
		{ OUT, S, 0x20 }, { IN, S, 0x00 }, { IN, M, 0x04 },
		{ INT, 0, 1 }, { ACK, 0, 0x76 }, { OUT, S, 0x20 },
		{ OUT, M, 0x20 }, { ACK, 0, 0x35 }, { OUT, M, 0x20 },
		/* It is about inputs with a chip, and no others. */
		{ UP, 0, 4 }, { ACK, 0, 0x34 }, { DOWN, 0, 4 },
		{ UP, 0, 4 }, { INT, 0, 0 },
	};

	start(0x11, 0x11, 0x01);
	STEPS(t);
	/* The second chip's own address is no input. */
	setup();
	start(0x11, 0x01, 0x11);
	set(10, true);
	set(9, true);
	ck_assert_int_eq(i8259_ack(&pic), 0x71);
	set(9, false);
	set(9, true);
	out(M, 0x20);
	ck_assert(!unit_level[INTR]);
}
END_TEST

/* --- The two together --- */

START_TEST(both)
{
	static const struct step t[] = {
		ISR(M), ISR(S),
		/* Two of the second: one after the other, without loss. */
		{ UP, 0, 8 }, { UP, 0, 9 }, { ACK, 0, 0x70 },
		{ IN, M, 0x04 }, { IN, S, 0x01 }, { INT, 0, 0 },
		{ OUT, S, 0x20 }, { INT, 0, 0 }, { OUT, M, 0x20 },
		{ INT, 0, 1 }, { ACK, 0, 0x71 },
		/* A higher one meanwhile waits for the first chip's EOI. */
		{ DOWN, 0, 8 }, { UP, 0, 8 }, { INT, 0, 0 },
		{ OUT, M, 0x20 }, { INT, 0, 1 }, { ACK, 0, 0x70 },
		{ IN, S, 0x03 }, { OUT, S, 0x20 }, { OUT, M, 0x20 },
		{ IN, S, 0x02 }, { INT, 0, 0 }, { OUT, S, 0x20 },
		/* The first is ready before the second is. */
		{ UP, 0, 12 }, { UP, 0, 11 }, { ACK, 0, 0x73 },
		{ OUT, M, 0x20 }, { INT, 0, 0 }, { OUT, S, 0x20 },
		{ INT, 0, 1 }, { ACK, 0, 0x74 },
	};
	/*
	 * The second is ready at once, and asks again in the same moment: an
	 * edge all the same.
	 */
	static const struct step dip[] = {
		{ UP, 0, 9 }, { UP, 0, 10 }, { ACK, 0, 0x71 },
		{ IN, M, 0x04 }, { INT, 0, 0 }, { OUT, M, 0x20 },
		{ INT, 0, 1 }, { ACK, 0, 0x72 }, { IN, M, 0x00 },
		{ OUT, M, 0x20 }, { INT, 0, 0 },
		/* By poll as well. */
		{ DOWN, 0, 9 }, { DOWN, 0, 10 }, { UP, 0, 9 }, { UP, 0, 10 },
		{ OUT, M, 0x0c }, { IN, M, 0x82 }, { IN, M, 0x00 },
		{ OUT, S, 0x0c }, { IN, S, 0x81 }, { IN, M, 0x04 },
	};

	start(0x11, 0x01, 0x01);
	STEPS(t);
	setup();
	start(0x11, 0x01, 0x03);
	STEPS(dip);
}
END_TEST

/* Linux: is there one? Then its set-up, and masks as one 16-bit number. */
START_TEST(linux_setup)
{
	static const struct step t[] = {
		{ OUT, SD, 0xff }, { OUT, MD, 0xfb }, { IN, MD, 0xfb },
		{ OUT, MD, 0xff },
		{ OUT, M, 0x11 }, { OUT, MD, 0x30 }, { OUT, MD, 0x04 },
		{ OUT, MD, 0x01 },
		{ OUT, S, 0x11 }, { OUT, SD, 0x38 }, { OUT, SD, 0x02 },
		{ OUT, SD, 0x01 },
		{ OUT, MD, 0xfa }, { OUT, SD, 0xfe },
		{ UP, 0, 0 }, { INT, 0, 1 }, { ACK, 0, 0x30 },
		{ IN, MD, 0xfa }, { OUT, MD, 0xfb }, { OUT, M, 0x60 },
		{ OUT, MD, 0xfa }, { INT, 0, 0 },
		{ UP, 0, 8 }, { ACK, 0, 0x38 }, { OUT, SD, 0xff },
		{ OUT, S, 0x60 }, { OUT, M, 0x62 }, { OUT, SD, 0xfe },
		{ INT, 0, 0 },
		/* Was 7 real? Ask ISR. */
		{ ACK, 0, 0x37 }, { OUT, M, 0x0b }, { IN, M, 0x00 },
		{ OUT, M, 0x0a },
	};

	STEPS(t);
}
END_TEST

START_TEST(wide)
{
	start(0x11, 0x01, 0x01);
	unit_out(&bus, M, 2, 0x5a0b);
	ck_assert_uint_eq(unit_in(&bus, M, 2), 0x5a00);
	ck_assert_uint_eq(unit_in(&bus, M, 4), 0xffff5a00);
	unit_out(&bus, ELCR, 2, 0xffff);
	ck_assert_uint_eq(unit_in(&bus, ELCR, 2), 0xdef8);
}
END_TEST

/* Inputs that are none. */
START_TEST(bad_inputs)
{
	static const int irq[] = { 2, -1, 16, 256, INT32_MAX, INT32_MIN };
	struct i8259 was;
	size_t i;

	start(0x19, 0x01, 0x01);
	was = pic;
	for (i = 0; i < NEL(irq); i++) {
		i8259_set(&pic, irq[i], true);
		ck_assert_mem_eq(&pic, &was, sizeof(pic));
	}
	/* The second chip has asked and was heard: that stays so. */
	start(0x11, 0x01, 0x01);
	set(9, true);
	out(M, 0x0c);
	in(M);
	was = pic;
	for (i = 0; i < NEL(irq); i++) {
		i8259_set(&pic, irq[i], false);
		ck_assert_mem_eq(&pic, &was, sizeof(pic));
	}
}
END_TEST

/* --- Anything at all --- */

/* Check keeps a record of each ck_assert(), and a million take their time. */
#define MUST(what)							\
	do {								\
		if (!(what))						\
			ck_abort_msg("not so: %s", #what);		\
	} while (0)

static uint64_t rng = 0x8259;

static uint32_t
any(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return ((uint32_t)(rng >> 16));
}

/* What a chip asks for, found the slow way: from the highest down. */
static int
wanted(const struct i8259_chip *c)
{
	unsigned int i, n, level = c->icw1 & 0x08 ? 0xff : c->elcr;
	bool busy;

	for (i = 1; i <= 8; i++) {
		n = (c->lowest + i) & 7;
		busy = c->isr >> n & 1 && !(c->special && c->imr >> n & 1);
		if (busy && !(c->icw4 & 0x10 && c->slaves >> n & 1))
			return (-1);
		if (c->in & (c->edge | level) & ~c->imr & 1 << n)
			return ((int)n);
		if (busy)
			return (-1);
	}
	return (-1);
}

static void
check_state(const uint8_t *levels)
{
	const struct i8259_chip *c;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		c = &pic.chip[i];
		MUST((c->edge & ~c->in) == 0);
		MUST(c->lowest < 8);
		MUST(c->id < 8);
		MUST(c->step == 0 || (c->step >= 2 && c->step <= 4));
		MUST((c->icw2 & 7) == 0);
		MUST((c->elcr & ~(i == 0 ? 0xf8u : 0xdeu)) == 0);
		MUST(i == 0 || c->slaves == 0);
		MUST((c->in & (i == 0 ? 0xfb : 0xff)) == levels[i]);
	}
	MUST((pic.chip[0].in >> 2 & 1) == (wanted(&pic.chip[1]) >= 0));
	MUST(unit_level[INTR] == (wanted(&pic.chip[0]) >= 0));
}

/* An acknowledge gives the highest, and from whom it should. */
static void
check_ack(void)
{
	struct i8259 was = pic;
	const struct i8259_chip *m = &was.chip[0], *s = &was.chip[1];
	int n = wanted(m), got = i8259_ack(&pic);

	if (n < 0 && !(m->slaves & 0x80)) {
		MUST(got == (m->icw2 | 7));
		MUST(pic.chip[0].isr == m->isr);
		MUST(pic.chip[1].isr == s->isr);
	} else if (n >= 0 && !(m->slaves >> n & 1))
		MUST(got == (m->icw2 | n));
	else if (n == 2 && s->id == 2)
		MUST(got == (s->icw2 | wanted(s)));
	else
		MUST(got == 0xff);
	if (n >= 0 && !(m->icw4 & 0x02))
		MUST(pic.chip[0].isr == (m->isr | 1 << n));
}

START_TEST(anything)
{
	static const uint16_t base[] = { M, M, S, S, ELCR };
	static const uint8_t size[4] = { 1, 1, 2, 4 };
	unsigned int i, n, asked = 0;
	uint8_t levels[2] = { 0, 0 };
	uint16_t port;
	uint32_t r;

	for (i = 0; i < 200000; i++) {
		r = any();
		port = base[(r >> 8 & 0xff) % NEL(base)] + (r >> 16 & 3) - 1;
		switch (r % 8) {
		case 0:
		case 1:
			n = r >> 8 & 15;
			set(n, r & 0x10000);
			if (n != 2 && r & 0x10000)
				levels[n >> 3] |= 1 << (n & 7);
			else if (n != 2)
				levels[n >> 3] &= ~(1 << (n & 7));
			break;
		case 2:
			asked += unit_level[INTR];
			check_ack();
			break;
		case 3:
			unit_in(&bus, port, size[r >> 24 & 3]);
			break;
		case 4:
			/* Or it would rarely be set up. */
			if (r >> 8 & 15)
				out(r & 0x10000 ? M : S, r >> 24 & 0xef);
			else
				start(0x11 | (r >> 24 & 8), 1 | (r >> 16 & 2) |
				    (r >> 16 & 0x10), 1);
			break;
		case 5:
			out(r & 0x10000 ? MD : SD, any() & any());
			break;
		default:
			unit_out(&bus, port, size[r >> 24 & 3], any());
			break;
		}
		if (r >> 18 == 0)
			i8259_reset(&pic);
		check_state(levels);
	}
	/* It was about something. */
	ck_assert_uint_gt(asked, 1000);
}
END_TEST

int
main(void)
{
	TCase *tc = unit_case("i8259", setup);

	tcase_add_test(tc, reset_values);
	tcase_add_test(tc, icw_sequence);
	tcase_add_test(tc, icw1_effects);
	tcase_add_test(tc, vectors);
	tcase_add_test(tc, cascade);
	tcase_add_test(tc, nested);
	tcase_add_test(tc, masks);
	tcase_add_test(tc, edges);
	tcase_add_test(tc, elcr);
	tcase_add_test(tc, ltim);
	tcase_add_test(tc, spurious);
	tcase_add_test(tc, ocw2);
	tcase_add_test(tc, rotation);
	tcase_add_test(tc, eoi_of_none);
	tcase_add_test(tc, aeoi);
	tcase_add_test(tc, status);
	tcase_add_test(tc, poll);
	tcase_add_test(tc, special_mask);
	tcase_add_test(tc, special_nested);
	tcase_add_test(tc, both);
	tcase_add_test(tc, linux_setup);
	tcase_add_test(tc, wide);
	tcase_add_test(tc, bad_inputs);
	tcase_add_test(tc, anything);
	return (unit_end());
}
