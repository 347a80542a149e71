/* SPDX-License-Identifier: ISC */
/*
 * ns16550.h - a serial port: National's 16550A, wired as in a PC.
 *
 * No wire, so no rate and no noise: a byte is sent the moment it is written,
 * and what is received has no errors but a break. Where a wire would lose
 * bytes, the other side waits instead, in both directions.
 */
#ifndef NS16550_H
#define NS16550_H

#include "dev.h"

#define NS16550_FIFO	16

/* What the pins lead to. A function may be NULL. */
/* book: ns16550-wires */
struct ns16550_wires {
	struct line	irq;		/* INTR, when OUT2 lets it through */
	/*
	 * Takes one byte. False: not now; the transmitter stands still until
	 * ns16550_kick(), which is not to be called from in here.
	 */
	bool		(*send)(void *arg, uint8_t byte);
	/* There is room again, after ns16550_receive() did not take all. */
	void		(*room)(void *arg);
	/* Changed outputs: bits of MCR, and LCR's for a break. 1: active. */
	void		(*outputs)(void *arg, uint8_t bits);
	void		*arg;
};
/* book: end */

struct ns16550 {
	struct ns16550_wires	 w;
	struct timers		*timers;
	struct timer		 idle;		/* four characters long */
	uint16_t		 port;		/* of the first register */
	struct ns16550_fifo {
		uint8_t		 byte[NS16550_FIFO];
		uint8_t		 error[NS16550_FIFO];	/* bits of LSR */
		unsigned int	 head, n;
	} rx, tx;
	uint8_t			 rbr;		/* read last */
	uint8_t			 tsr;		/* on its way out, if full */
	bool			 tsr_full;
	uint8_t			 ier, fcr, lcr, mcr, msr, scr;
	uint8_t			 lsr;		/* OE, PE, FE and BI alone */
	uint16_t		 divisor;
	bool			 thri;		/* THRE, not yet told */
	bool			 timeout;
	bool			 refused;	/* bytes that wait for room */
	uint8_t			 inputs;	/* as MSR has them */
	uint8_t			 outputs;
};

/*
 * init: as powered on, modem inputs off, 9600 baud as firmware leaves it.
 * reset: the chip's Master Reset. Inputs stay what they are.
 * attach: eight ports from `port` on.
 * receive: bytes from outside. Returns how many fitted; the caller keeps the
 *	rest and tries again when room() is called. None fits in loopback.
 * break: a break from outside. Returns false if there is no room for it.
 * kick: send() would take bytes again.
 * modem: the inputs from now on: CTS, DSR, RI and DCD, as in MSR bits 4 to 7.
 */
void	ns16550_init(struct ns16550 *, const struct ns16550_wires *,
	    struct timers *);
void	ns16550_reset(struct ns16550 *);
void	ns16550_attach(struct ns16550 *, struct bus *, uint16_t port);
size_t	ns16550_receive(struct ns16550 *, const uint8_t *, size_t);
bool	ns16550_break(struct ns16550 *);
void	ns16550_kick(struct ns16550 *);
void	ns16550_modem(struct ns16550 *, uint8_t inputs);

#endif /* NS16550_H */
