/* SPDX-License-Identifier: ISC */
/*
 * power.c - the end of a run, told to whoever runs the machine.
 *
 * In turn: QEMU's isa-debug-exit, Bochs's shutdown port, ACPI power off, and
 * if the machine is still there, HLT for ever. Each port is unused on the
 * other machines.
 */
#include <string.h>

#include "metal.h"

#define QEMU_EXIT	0xf4
#define QEMU_STATUS	0x10		/* + the client's status */
#define QEMU_STATUS_MAX	0x7e
#define QEMU_FAULT	0x7f
#define BOCHS_SHUTDOWN	0x8900
#define ACPI_SLP_EN	0x2000

static uint16_t pm1a, pm1b;		/* PM1 control ports; 0: none */
static uint16_t slp_a, slp_b;		/* what to write there, shifted */

/* The table with a signature, among those that the RSDT lists. */
static const uint8_t *
acpi_table(uint32_t rsdt, const char *sig)
{
	const uint8_t *t = va_of(rsdt), *e;
	uint32_t len, at, pa;
	uint64_t word;

	if (!peek64((uint64_t)t, &word))
		return (NULL);
	memcpy(&len, t + 4, 4);
	for (at = 36; at + 4 <= len; at += 4) {
		memcpy(&pa, t + at, 4);
		e = va_of(pa);
		if (peek64((uint64_t)e, &word) && memcmp(e, sig, 4) == 0)
			return (e);
	}
	return (NULL);
}

/*
 * Finds the ports and the values for the soft-off state: the RSDP in the
 * BIOS area, the FADT, and in the DSDT the package \_S5_, which is read as
 * bytes, without an interpreter (ACPI 6.4 5.2.5.1 "Finding the RSDP on
 * IA-PC Systems", 7.4.2 "\_Sx (System States)").
 */
void
power_init(void)
{
	const uint8_t *p = va_of(0xe0000), *fadt = NULL, *dsdt;
	uint32_t pa, len, i;
	uint64_t word;

	for (i = 0; i < 0x20000 && fadt == NULL; i += 16)
		if (memcmp(p + i, "RSD PTR ", 8) == 0) {
			memcpy(&pa, p + i + 16, 4);
			fadt = acpi_table(pa, "FACP");
		}
	if (fadt == NULL)
		return;
	memcpy(&pa, fadt + 40, 4);
	dsdt = va_of(pa);
	if (!peek64((uint64_t)dsdt, &word))
		return;
	memcpy(&len, dsdt + 4, 4);
	for (i = 36; i + 16 < len && i < 1U << 20; i++) {
		const uint8_t *s = dsdt + i;

		/* NameOp _S5_ PackageOp length count, byte prefix, values */
		if (memcmp(s, "_S5_\x12", 5) != 0)
			continue;
		s += 7 + (s[5] >> 6);
		s += *s == 0x0a;
		slp_a = *s++ << 10;
		s += *s == 0x0a;
		slp_b = *s << 10;
		memcpy(&pm1a, fadt + 64, 2);
		memcpy(&pm1b, fadt + 68, 2);
		return;
	}
}

/* The client's status, or EXIT_FAULT: the kernel or the driver is broken. */
void
machine_exit(int status)
{
	static const char word[] = "Shutdown";
	const char *s;

	cli();
	if (status == EXIT_FAULT) {
		kprintf("metal: exit fault\n");
		out32(QEMU_EXIT, QEMU_FAULT);
	} else {
		kprintf("metal: exit %d\n", status);
		out32(QEMU_EXIT, min(QEMU_STATUS + status, QEMU_STATUS_MAX));
	}
	for (s = word; *s != '\0'; s++)
		out8(BOCHS_SHUTDOWN, *s);
	if (pm1a != 0)
		out16(pm1a, slp_a | ACPI_SLP_EN);
	if (pm1b != 0)
		out16(pm1b, slp_b | ACPI_SLP_EN);
	kprintf("metal: it is safe to switch off\n");
	for (;;)
		__asm__ volatile("cli; hlt");
}
