/* SPDX-License-Identifier: ISC */
/*
 * ioctl_ldt.c - a client with segments of its own: RUN brings back what the
 * thread had in its segment registers, or null where that is gone.
 */
#include <sys/syscall.h>
#include <unistd.h>

#include "ioctl_host.h"

#define LDT_WRITE	0x11
#define SEL_LDT_0	0x0007	/* entry 0 of the LDT, for ring 3 */

/* What modify_ldt takes; Linux's struct user_desc. */
struct ldt_entry {
	uint32_t	entry, base, limit, flags;
};

static const struct ldt_entry present = { 0, 0, 0xfffff, 0x51 };
static const struct ldt_entry gone = { 0, 0, 0, 0x28 };

static void
ldt_write(const struct ldt_entry *e)
{
	CHECK_EQ(syscall(SYS_modify_ldt, LDT_WRITE, e, sizeof(*e)), 0);
}

static uint16_t
get_gs(void)
{
	uint16_t sel;

	__asm__ volatile("mov %%gs, %0" : "=r" (sel));
	return (sel);
}

/* GS: the C library's threads live in FS. */
static void
set_gs(uint16_t sel)
{
	__asm__ volatile("mov %0, %%gs" : : "r" ((uint32_t)sel));
}

static void
kept(void)
{
	struct client_vm *v;
	int i;

	not_on_metal("its clients have no LDT");
	v = new_started(code_out, sizeof(code_out), 1);
	ldt_write(&present);
	set_gs(SEL_LDT_0);
	for (i = 0; i < 100; i++) {
		CHECK_EQ(client_run(v, NO_IRQ), 0);
		CHECK_EQ(client_event(v), CLIENT_IO);
		CHECK_EQ(get_gs(), SEL_LDT_0);
	}
	set_gs(0);
	ldt_write(&gone);
}

/*
 * Clearing the entry leaves GS as it is until it is next loaded: by RUN,
 * where the CPU does not switch it. A fault there would be the host's.
 */
static void
stale(void)
{
	struct client_vm *v;
	uint16_t sel;

	not_on_metal("its clients have no LDT");
	v = new_started(code_out, sizeof(code_out), 1);
	ldt_write(&present);
	set_gs(SEL_LDT_0);
	ldt_write(&gone);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
	sel = get_gs();
	CHECK(sel == 0 || sel == SEL_LDT_0);
	set_gs(0);
}

const struct clause ioctl_ldt[] = {
	{ "F17.ldt", "a client's selector of its LDT is the same after RUN",
	    LAYER_IOCTL, FIX, kept, NULL },
	{ "F17.ldt-gone", "one whose descriptor is gone does the host no harm",
	    LAYER_IOCTL, FIX, stale, NULL },
	CLAUSE_END
};
