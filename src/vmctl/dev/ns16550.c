/* SPDX-License-Identifier: ISC */
/*
 * ns16550.c - a serial port.
 *
 * Sections are those of National Semiconductor's PC16550D data sheet, June
 * 1995; its Table II has all the registers. Names of bits are spelt as there.
 */
#include <string.h>

#include "ns16550.h"

/* Registers, by port. RBR, THR and IER give way to the divisor if DLAB. */
enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define IER_ERBFI	0x01		/* 8.7 */
#define IER_ETBEI	0x02
#define IER_ELSI	0x04
#define IER_EDSSI	0x08

#define IIR_MODEM	0x00		/* 8.6, Table IV: by rising priority */
#define IIR_NONE	0x01
#define IIR_THRE	0x02
#define IIR_DATA	0x04
#define IIR_TIMEOUT	0x0c
#define IIR_LINE	0x06
#define IIR_FIFO	0xc0

#define FCR_ENABLE	0x01		/* 8.5 */
#define FCR_RX_RESET	0x02
#define FCR_TX_RESET	0x04

#define LCR_WLS		0x03		/* 8.1 */
#define LCR_STB		0x04
#define LCR_PEN		0x08
#define LCR_EPS		0x10
#define LCR_BREAK	0x40
#define LCR_DLAB	0x80

#define MCR_DTR		0x01		/* 8.8 */
#define MCR_RTS		0x02
#define MCR_OUT1	0x04
#define MCR_OUT2	0x08
#define MCR_LOOP	0x10

#define LSR_DR		0x01		/* 8.4 */
#define LSR_OE		0x02
#define LSR_PE		0x04
#define LSR_FE		0x08
#define LSR_BI		0x10
#define LSR_THRE	0x20
#define LSR_TEMT	0x40
#define LSR_FIFO	0x80
#define LSR_OF_BYTE	(LSR_PE | LSR_FE | LSR_BI)

#define MSR_TERI	0x04		/* 8.9 */
#define MSR_DELTA	0x0f
#define MSR_CTS		0x10
#define MSR_DSR		0x20
#define MSR_RI		0x40
#define MSR_DCD		0x80

#define CLOCK_HZ	1843200ULL	/* of a PC */

/* --- FIFOs: of one byte, while they are off --- */

static unsigned int
uart_depth(const struct ns16550 *u)
{
	return (u->fcr & FCR_ENABLE ? NS16550_FIFO : 1);
}

static bool
fifo_put(struct ns16550_fifo *f, unsigned int depth, uint8_t byte,
    uint8_t error)
{
	unsigned int at = (f->head + f->n) % NS16550_FIFO;

	if (f->n >= depth)
		return (false);
	f->byte[at] = byte;
	f->error[at] = error;
	f->n++;
	return (true);
}

static uint8_t
fifo_get(struct ns16550_fifo *f)
{
	uint8_t byte = f->byte[f->head];

	f->head = (f->head + 1) % NS16550_FIFO;
	f->n--;
	return (byte);
}

/* --- Interrupts --- */

static unsigned int
uart_trigger(const struct ns16550 *u)
{
	static const uint8_t level[4] = { 1, 4, 8, 14 };

	return (u->fcr & FCR_ENABLE ? level[u->fcr >> 6] : 1);
}

/* The pending interrupt of the highest priority: Table IV. */
/* book: ns16550-iir */
static uint8_t
uart_iir(const struct ns16550 *u)
{
	uint8_t fifo = u->fcr & FCR_ENABLE ? IIR_FIFO : 0;

	if (u->ier & IER_ELSI && u->lsr != 0)
		return (fifo | IIR_LINE);
	if (u->ier & IER_ERBFI && u->timeout)
		return (fifo | IIR_TIMEOUT);
	if (u->ier & IER_ERBFI && u->rx.n >= uart_trigger(u))
		return (fifo | IIR_DATA);
	if (u->ier & IER_ETBEI && u->thri)
		return (fifo | IIR_THRE);
	if (u->ier & IER_EDSSI && u->msr & MSR_DELTA)
		return (fifo | IIR_MODEM);
	return (fifo | IIR_NONE);
}
/* book: end */

/*
 * Brings all pins up to date; the last thing in each call from outside, since
 * room() calls back. A PC's INTR passes a gate that OUT2 opens; loopback
 * holds OUT2 off, like the other outputs.
 */
static void
uart_update(struct ns16550 *u)
{
	uint8_t out = 0;

	if (!(u->mcr & MCR_LOOP))
		out = (u->mcr & 0x0f) | (u->lcr & LCR_BREAK);
	if (out != u->outputs) {
		u->outputs = out;
		if (u->w.outputs != NULL)
			u->w.outputs(u->w.arg, out);
	}
	line_set(&u->w.irq,
	    u->outputs & MCR_OUT2 && !(uart_iir(u) & IIR_NONE));
	if (u->refused && !(u->mcr & MCR_LOOP) && u->rx.n < uart_depth(u)) {
		u->refused = false;
		if (u->w.room != NULL)
			u->w.room(u->w.arg);
	}
}

/* --- Receiver --- */

/*
 * Starts the time of the time-out interrupt anew, if there is a byte that it
 * could be about: four characters, of start, data, parity and stop bits
 * (8.11). Counted in halves, for the one and a half stop bits of five data
 * bits. A divisor of zero, which 8.3 advises against, counts as one.
 */
static void
uart_idle(struct ns16550 *u)
{
	uint64_t half = 2 * (1 + 5 + (u->lcr & LCR_WLS)) + 2;
	uint64_t divisor = u->divisor != 0 ? u->divisor : 1;

	if (u->lcr & LCR_PEN)
		half += 2;
	if (u->lcr & LCR_STB)
		half += u->lcr & LCR_WLS ? 2 : 1;
	if (u->rx.n == 0 || !(u->fcr & FCR_ENABLE))
		timer_arm(u->timers, &u->idle, TIME_NEVER);
	else
		timer_arm(u->timers, &u->idle, timers_now(u->timers) +
		    4 * half * 16 * divisor * SECOND_NS / (2 * CLOCK_HZ));
}

static void
uart_timeout(void *arg)
{
	struct ns16550 *u = arg;

	u->timeout = true;
	uart_update(u);
}

/* A byte is the next to be read: its errors show in LSR, until that is read. */
static void
uart_show(struct ns16550 *u)
{
	if (u->rx.n > 0) {
		u->lsr |= u->rx.error[u->rx.head];
		u->rx.error[u->rx.head] = 0;
	}
}

/* 8.4, bit 1: of two bytes too many a FIFO keeps the older, RBR the newer. */
static void
uart_arrive(struct ns16550 *u, uint8_t byte, uint8_t error)
{
	if (!fifo_put(&u->rx, uart_depth(u), byte, error)) {
		u->lsr |= LSR_OE;
		if (!(u->fcr & FCR_ENABLE))
			u->rx.byte[u->rx.head] = byte;
		return;
	}
	uart_show(u);
	if (!u->timeout)
		uart_idle(u);
}

static uint8_t
uart_read_rbr(struct ns16550 *u)
{
	if (u->rx.n > 0) {
		u->rbr = fifo_get(&u->rx);
		u->timeout = false;
		uart_show(u);
		uart_idle(u);
	}
	return (u->rbr);
}

static uint8_t
uart_read_lsr(struct ns16550 *u)
{
	uint8_t lsr = u->lsr, error = u->lsr & LSR_OF_BYTE;
	unsigned int i;

	u->lsr = 0;
	for (i = 0; i < u->rx.n; i++)
		error |= u->rx.error[(u->rx.head + i) % NS16550_FIFO];
	if (u->rx.n > 0)
		lsr |= LSR_DR;
	if (u->tx.n == 0)
		lsr |= LSR_THRE;
	if (u->tx.n == 0 && !u->tsr_full)
		lsr |= LSR_TEMT;
	if (error != 0 && u->fcr & FCR_ENABLE)
		lsr |= LSR_FIFO;
	return (lsr);
}

static void
uart_clear_rx(struct ns16550 *u)
{
	u->rx.n = 0;
	u->lsr &= ~LSR_OF_BYTE;
	u->timeout = false;
	uart_idle(u);
}

/* --- Transmitter --- */

/*
 * Sends until there is no more, or nobody takes it. Outside all eight bits
 * arrive, whatever the length of a word: a guest that never set one is to be
 * read all the same. A break holds the line, so what is sent meanwhile is
 * lost (8.1, bit 6).
 */
static void
uart_transmit(struct ns16550 *u)
{
	while (u->tsr_full || u->tx.n > 0) {
		if (!u->tsr_full) {
			u->tsr = fifo_get(&u->tx);
			u->tsr_full = true;
			u->thri |= u->tx.n == 0;
		}
		if (u->mcr & MCR_LOOP)
			uart_arrive(u, u->tsr & 0xff >>
			    (3 - (u->lcr & LCR_WLS)), 0);
		else if (!(u->lcr & LCR_BREAK) && u->w.send != NULL &&
		    !u->w.send(u->w.arg, u->tsr))
			break;
		u->tsr_full = false;
	}
}

static void
uart_clear_tx(struct ns16550 *u)
{
	u->thri |= u->tx.n > 0;
	u->tx.n = 0;
}

/* --- The other registers --- */

/* The inputs, or in loopback the outputs, have changed: 8.8, bit 4, and 8.9. */
static void
uart_modem(struct ns16550 *u)
{
	uint8_t now = u->inputs, delta;

	if (u->mcr & MCR_LOOP)
		now = (u->mcr & MCR_RTS ? MSR_CTS : 0) |
		    (u->mcr & MCR_DTR ? MSR_DSR : 0) |
		    (u->mcr & MCR_OUT1 ? MSR_RI : 0) |
		    (u->mcr & MCR_OUT2 ? MSR_DCD : 0);
	delta = (u->msr ^ now) >> 4;
	if (now & MSR_RI)
		delta &= ~MSR_TERI;	/* the end of a ring alone */
	u->msr = now | (u->msr & MSR_DELTA) | delta;
}

/* 8.5: a change of mode empties both; else other bits need bit 0. */
static void
uart_write_fcr(struct ns16550 *u, uint8_t v)
{
	uint8_t clear = v & FCR_ENABLE ? v : 0;

	if ((u->fcr ^ v) & FCR_ENABLE)
		clear = FCR_RX_RESET | FCR_TX_RESET;
	u->fcr = v & FCR_ENABLE ? v : 0;
	if (clear & FCR_RX_RESET)
		uart_clear_rx(u);
	if (clear & FCR_TX_RESET)
		uart_clear_tx(u);
}

static void
uart_write(struct ns16550 *u, unsigned int reg, uint8_t v)
{
	switch (reg) {
	case RBR_THR:
		u->thri = false;
		if (!(u->fcr & FCR_ENABLE))
			u->tx.n = 0;	/* a second byte takes its place */
		fifo_put(&u->tx, uart_depth(u), v, 0);
		uart_transmit(u);
		break;
	case IER:
		/* 8.7: enabling it with THRE set is an interrupt at once. */
		if (v & ~u->ier & IER_ETBEI)
			u->thri = u->tx.n == 0;
		u->ier = v & 0x0f;
		break;
	case IIR_FCR:
		uart_write_fcr(u, v);
		break;
	case LCR:
		u->lcr = v;
		break;
	case MCR:
		u->mcr = v & 0x1f;
		uart_modem(u);
		uart_transmit(u);
		break;
	case SCR:
		u->scr = v;
		break;
	}
}

static uint8_t
uart_read(struct ns16550 *u, unsigned int reg)
{
	uint8_t v = u->msr;

	switch (reg) {
	case RBR_THR:
		return (uart_read_rbr(u));
	case IER:
		return (u->ier);
	case IIR_FCR:
		v = uart_iir(u);
		if ((v & ~IIR_FIFO) == IIR_THRE)
			u->thri = false;
		return (v);
	case LCR:
		return (u->lcr);
	case MCR:
		return (u->mcr);
	case LSR:
		return (uart_read_lsr(u));
	case MSR:
		u->msr &= ~MSR_DELTA;
		return (v);
	default:
		return (u->scr);
	}
}

static void
uart_io(void *dev, struct io *io)
{
	struct ns16550 *u = dev;
	unsigned int reg = (io->port - u->port) & 7, shift = 8 * (reg & 1);

	if (u->lcr & LCR_DLAB && reg <= IER) {
		if (io->in)
			io->data = u->divisor >> shift & 0xff;
		else
			u->divisor = (u->divisor & 0xff00 >> shift) |
			    (io->data & 0xff) << shift;
	} else if (io->in)
		io->data = uart_read(u, reg);
	else
		uart_write(u, reg, io->data & 0xff);
	uart_update(u);
}

/* --- For the owner --- */

/* Table I. The divisor, the scratch register and the last byte read stay. */
void
ns16550_reset(struct ns16550 *u)
{
	u->ier = u->fcr = u->lcr = u->mcr = u->lsr = 0;
	u->msr = u->inputs;
	u->tx.n = 0;
	u->tsr_full = u->thri = false;
	uart_clear_rx(u);
	uart_update(u);
}

void
ns16550_init(struct ns16550 *u, const struct ns16550_wires *w,
    struct timers *timers)
{
	memset(u, 0, sizeof(*u));
	u->w = *w;
	u->timers = timers;
	u->divisor = 12;
	timer_init(&u->idle, uart_timeout, u);
	ns16550_reset(u);
}

void
ns16550_attach(struct ns16550 *u, struct bus *b, uint16_t port)
{
	u->port = port;
	bus_add(b, port, 8, true, uart_io, u);
}

size_t
ns16550_receive(struct ns16550 *u, const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n && !(u->mcr & MCR_LOOP) && u->rx.n < uart_depth(u))
		uart_arrive(u, p[i++], 0);
	u->refused |= i < n;
	uart_update(u);
	return (i);
}

/*
 * A byte of zeros with no stop bit: that is a framing error too, and a parity
 * error where the parity bit should have been 1.
 */
bool
ns16550_break(struct ns16550 *u)
{
	bool odd = (u->lcr & (LCR_PEN | LCR_EPS)) == LCR_PEN;
	bool fits = !(u->mcr & MCR_LOOP) && u->rx.n < uart_depth(u);

	if (fits)
		uart_arrive(u, 0, LSR_BI | LSR_FE | (odd ? LSR_PE : 0));
	u->refused |= !fits;
	uart_update(u);
	return (fits);
}

void
ns16550_kick(struct ns16550 *u)
{
	uart_transmit(u);
	uart_update(u);
}

void
ns16550_modem(struct ns16550 *u, uint8_t inputs)
{
	u->inputs = inputs & ~MSR_DELTA;
	uart_modem(u);
	uart_update(u);
}
