/* SPDX-License-Identifier: ISC */
/*
 * fuzz_uart.c - the serial port.
 *
 * Fuzzes: ns16550.c
 */
#include "fuzz.h"
#include "ns16550.h"

#define IRQ	4
#define PORT	0x3f8
#define DLAB	0x80		/* in LCR */
#define OUT2	0x08		/* in MCR */
#define LOOP	0x10

static struct ns16550 *uart;
static bool refusing;		/* send() does */
static uint8_t pins;		/* the outputs, as told */

static bool
send_byte(void *arg, uint8_t byte)
{
	(void)arg;
	fuzz_check(byte == uart->tsr && !(uart->mcr & LOOP));
	return (!refusing);
}

/* The other side has more at once, or not. */
static void
room(void *arg)
{
	uint8_t more[2] = { 0x41, 0x42 };
	uint8_t b = fuzz_8();

	(void)arg;
	fuzz_check(!(uart->mcr & LOOP));
	if (b & 1)
		fuzz_check(ns16550_receive(uart, more, 1 + (b >> 1 & 1)) > 0);
}

static void
outputs(void *arg, uint8_t bits)
{
	(void)arg;
	fuzz_check(bits != pins);
	pins = bits;
}

static void
start(void)
{
	struct ns16550_wires w = { .irq = fuzz_line(IRQ) };
	uint8_t b = fuzz_8();

	if (uart == NULL)
		uart = malloc(sizeof(*uart));
	w.send = b & 1 ? NULL : send_byte;
	w.room = b & 2 ? NULL : room;
	w.outputs = b & 4 ? NULL : outputs;
	refusing = false;
	pins = 0;
	ns16550_init(uart, &w, &fuzz_timers);
	ns16550_attach(uart, &fuzz_bus, PORT);
}

static uint16_t
port(void)
{
	uint8_t b = fuzz_8();

	return ((uint16_t)(PORT - (b >= 0xf0) + b % 9));
}

static void
out(unsigned int reg, uint8_t data)
{
	struct io io = { .port = (uint16_t)(PORT + reg), .size = 1,
		.data = data };

	bus_do(&fuzz_bus, &io);
}

/* More than fits, now and then. */
static void
receive(void)
{
	uint8_t b = fuzz_8(), bytes[20];
	size_t n = b % sizeof(bytes), took;
	uint8_t *p = malloc(n + 1);

	memset(p, b, n + 1);
	took = ns16550_receive(uart, p, n);
	fuzz_check(took <= n && (took == 0 || !(uart->mcr & LOOP)));
	free(p);
}

static void
step(uint8_t what)
{
	struct ns16550 was;
	uint8_t b;

	switch (what & 7) {
	case 0:
	case 1:
		receive();
		break;
	case 2:
		ns16550_break(uart);
		break;
	case 3:
		refusing = !refusing;
		if (!refusing)
			ns16550_kick(uart);
		break;
	case 4:
		ns16550_modem(uart, fuzz_8());
		break;
	case 5:
		/* A driver's first writes: all interrupts, and the gate. */
		b = fuzz_8();
		out(3, b & DLAB ? b : 0x03);
		out(1, 0x0f);
		out(2, 0x01 | (b << 4 & 0xc0));
		out(4, b & 0x10 ? 0x1b : 0x0b);
		break;
	case 6:
		for (b = fuzz_8() % 20; b > 0; b--)
			out(0, b);
		break;
	case 7:
		if (what & 0x18)
			break;
		was = *uart;
		ns16550_reset(uart);
		fuzz_check(!fuzz_level[IRQ] && uart->inputs == was.inputs);
		fuzz_check(uart->divisor == was.divisor);
		fuzz_check(uart->rx.n == 0 || was.refused);
		break;
	}
}

/* Whether something interrupts; Table IV of the data sheet. */
static bool
pending(void)
{
	static const uint8_t level[4] = { 1, 4, 8, 14 };
	unsigned int trigger = uart->fcr & 1 ? level[uart->fcr >> 6] : 1;

	return ((uart->ier & 1 && (uart->timeout || uart->rx.n >= trigger)) ||
	    (uart->ier & 2 && uart->thri) || (uart->ier & 4 && uart->lsr) ||
	    (uart->ier & 8 && uart->msr & 0x0f));
}

static void
check(void)
{
	unsigned int depth = uart->fcr & 1 ? NS16550_FIFO : 1;
	bool loop = uart->mcr & LOOP;

	fuzz_check(fuzz_level[IRQ] == (uart->outputs & OUT2 && pending()));
	fuzz_check(uart->outputs == (loop ? 0 :
	    (uart->mcr & 0x0f) | (uart->lcr & 0x40)));
	if (uart->w.outputs != NULL)
		fuzz_check(pins == uart->outputs);
	fuzz_check(uart->rx.n <= depth && uart->rx.head < NS16550_FIFO);
	fuzz_check(uart->tx.n <= depth && uart->tx.head < NS16550_FIFO);
	/* What is not sent waits for somebody. */
	fuzz_check(uart->tsr_full || uart->tx.n == 0);
	fuzz_check(!uart->tsr_full || uart->w.send != NULL);
	/* Whoever was refused is told when there is room. */
	fuzz_check(!uart->refused || loop || uart->rx.n == depth);
	/* Bytes in a FIFO time out; where there are none nothing does. */
	fuzz_check((uart->idle.at != TIME_NEVER || uart->timeout) ==
	    (uart->rx.n > 0 && uart->fcr & 1));
}

const struct fuzz_target fuzz_target = { start, port, step, check };
