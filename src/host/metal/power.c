/* SPDX-License-Identifier: ISC */
/*
 * power.c - the end of a run, told to whoever runs the machine.
 *
 * In turn: QEMU's isa-debug-exit, Bochs's shutdown port, ACPI power off, and
 * if the machine is still there, HLT for ever. Each port is unused on the
 * other machines.
 */
#include "metal.h"

#define QEMU_EXIT	0xf4
#define QEMU_STATUS	0x10		/* + the client's status */
#define QEMU_STATUS_MAX	0x7e
#define QEMU_FAULT	0x7f
#define BOCHS_SHUTDOWN	0x8900
#define BIOS_AREA	0xe0000
#define ACPI_SLP_EN	0x2000

static uint16_t pm1a, slp_a;		/* a port and what to write there */

typedef uint32_t any32 __attribute__((aligned(1), may_alias));
#define get32(p)	(*(const any32 *)(p))

/* An ACPI table, with its length in *end; NULL: not in the direct map. */
static const uint8_t *
acpi_table(uint32_t pa, const uint8_t **end)
{
	const uint8_t *t = va_of(pa);
	uint64_t word;

	if (!peek64((uint64_t)t, &word))
		return (NULL);
	*end = t + min(word >> 32, 1UL << 20);
	return (t);
}

/*
 * Finds the ports and the values for the soft-off state: the RSDP in the
 * BIOS area, from it the RSDT, the FADT and the DSDT, and there the package
 * \_S5_, which is read as bytes, without an interpreter (ACPI 6.4 5.2.5.1
 * "Finding the RSDP on IA-PC Systems", 7.4.2 "\_Sx (System States)").
 */
void
power_init(void)
{
	const uint8_t *p = va_of(BIOS_AREA), *rsdt, *fadt = NULL, *s, *end;
	const uint8_t *last = p + 0x20000;

	while (p < last && memcmp(p, "RSD PTR ", 8) != 0)
		p += 16;
	if (p == last || (rsdt = acpi_table(get32(p + 16), &last)) == NULL)
		return;
	for (p = rsdt + 36; p + 4 <= last && fadt == NULL; p += 4) {
		fadt = acpi_table(get32(p), &end);
		if (fadt != NULL && memcmp(fadt, "FACP", 4) != 0)
			fadt = NULL;
	}
	if (fadt == NULL || (s = acpi_table(get32(fadt + 40), &end)) == NULL)
		return;
	for (; s + 16 < end; s++)
		if (memcmp(s, "_S5_\x12", 5) == 0) {
			s += 7 + (s[5] >> 6);	/* PkgLength, NumElements */
			s += *s == 0x0a;	/* BytePrefix */
			slp_a = *s << 10 | ACPI_SLP_EN;
			pm1a = get32(fadt + 64);
			return;
		}
}

/* The client's status, or EXIT_FAULT. */
void
machine_exit(int status)
{
	const char *s = "Shutdown";

	cli();
	if (status == EXIT_FAULT)
		kprintf("metal: exit fault\n");
	else
		kprintf("metal: exit %d\n", status);
	out32(QEMU_EXIT, status == EXIT_FAULT ? QEMU_FAULT :
	    min(QEMU_STATUS + status, QEMU_STATUS_MAX));
	/* Bochs ends at once: the last bit must be on the line. */
	while ((in8(COM1 + 5) & 0x40) == 0)
		;
	while (*s != '\0')
		out8(BOCHS_SHUTDOWN, *s++);
	if (pm1a != 0)
		out16(pm1a, slp_a);
	kprintf("metal: it is safe to switch off\n");
	for (;;)
		__asm__ volatile("cli; hlt");
}
