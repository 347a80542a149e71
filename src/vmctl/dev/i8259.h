/* SPDX-License-Identifier: ISC */
/*
 * i8259.h - a PC's two interrupt controllers: Intel's 8259A, the second one
 * on input 2 of the first, with the register that makes inputs level
 * triggered.
 */
#ifndef I8259_H
#define I8259_H

#include "dev.h"

#define I8259_CASCADE	2		/* the input with the second chip */

struct i8259 {
	struct i8259_chip {
		uint8_t	in;		/* inputs, as they stand */
		uint8_t	edge;		/* rose, and not acknowledged yet */
		uint8_t	isr, imr, elcr;
		uint8_t	icw1, icw2, icw4;
		uint8_t	slaves;		/* ICW3 of the first: inputs */
		uint8_t	id;		/* ICW3 of the second */
		uint8_t	step;		/* the ICW that comes next, or 0 */
		uint8_t	lowest;		/* the level of lowest priority */
		bool	read_isr, poll, special, rotate;
	} chip[2];
	struct line	 intr;		/* to the CPU */
};

/*
 * init: powered on, all inputs low; nothing passes before a guest has set up
 *	the masks. `intr` is a level: high while there is something to ack.
 * reset: the same again. Inputs stay what they are.
 * attach: 0x20 and 0x21, 0xA0 and 0xA1, 0x4D0 and 0x4D1.
 * set: input 0 to 15 from now on; the `set` of a struct line. Number 2 is
 *	taken and has no effect. An edge has to stay high until it is
 *	acknowledged: a request that falls before is none.
 * ack: the CPU takes the interrupt. Returns its vector; that of input 7, if
 *	there is none (any more).
 */
void	i8259_init(struct i8259 *, struct line intr);
void	i8259_reset(struct i8259 *);
void	i8259_attach(struct i8259 *, struct bus *);
void	i8259_set(void *dev, int irq, bool level);
int	i8259_ack(struct i8259 *);

#endif /* I8259_H */
