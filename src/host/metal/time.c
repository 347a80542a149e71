/* SPDX-License-Identifier: ISC */
/*
 * time.c - the interrupt controllers, the 100 Hz timer and the clock.
 */
#include "metal.h"

#define PIC1		0x20
#define PIC2		0xa0
#define PIC_EOI		0x20
#define IRQ_TIMER	0
#define IRQ_COM1	4
#define PIT_HZ		1193182
#define PIT_COUNT	((PIT_HZ + HZ / 2) / HZ)
#define CALIBRATE	3		/* ticks */

volatile uint64_t ticks;
static uint64_t tsc_hz, tsc_base, ns_mult;

/* Both 8259s to vectors 32-47; only the timer and COM1 may interrupt. */
static void
pic_init(void)
{
	/* ICW1-4, then the mask, of each. */
	static const uint8_t init[2][5] = {
		{ 0x11, VEC_IRQ0, 4, 1,
		    (uint8_t)~(1U << IRQ_TIMER | 1U << IRQ_COM1) },
		{ 0x11, VEC_IRQ0 + 8, 2, 1, 0xff },
	};
	int i;

	for (i = 0; i < 5; i++) {
		out8(PIC1 + (i > 0), init[0][i]);
		out8(PIC2 + (i > 0), init[1][i]);
	}
}

/*
 * The TSC's frequency from the PIT's, rounded to four digits: waking up
 * takes a few instructions more or less. Halting instead of polling costs an
 * emulator that counts instructions nothing.
 */
void
time_init(void)
{
	uint64_t start = 0, unit, t;

	pic_init();
	out8(0x43, 0x34);		/* channel 0, rate generator */
	out8(0x40, PIT_COUNT & 0xff);
	out8(0x40, PIT_COUNT >> 8);
	for (t = 0; t <= CALIBRATE; t++) {
		while (ticks == t)
			wait_irq();
		tsc_base = rdtsc();
		start = t == 0 ? tsc_base : start;
	}
	tsc_hz = (tsc_base - start) * PIT_HZ / (PIT_COUNT * CALIBRATE);
	for (unit = 1; tsc_hz / unit >= 10000; unit *= 10)
		;
	tsc_hz = (tsc_hz + unit / 2) / unit * unit;
	ns_mult = (NSEC << 32) / tsc_hz;
}

/* As measured at boot. */
uint64_t
host_tsc_hz(void)
{
	return (tsc_hz);
}

/* Since boot. */
uint64_t
host_time_ns(void)
{
	return ((unsigned __int128)(rdtsc() - tsc_base) * ns_mult >> 32);
}

/*
 * Interrupts only leave a note: the scheduler acts on it when the kernel is
 * done or yields. One that is masked is spurious and gets no end of
 * interrupt (8259A data sheet, "Default IR7 routine").
 */
void
irq_handle(unsigned int irq)
{
	if (irq != IRQ_TIMER && irq != IRQ_COM1)
		return;
	out8(PIC1, PIC_EOI);
	resched = true;
	if (irq == IRQ_TIMER)
		ticks++;
	else
		tty_irq();
}
