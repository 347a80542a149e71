/* SPDX-License-Identifier: ISC */
/*
 * machine.c - the virtual hardware of a VM: machine.h has the map.
 *
 * machine_boot() is power-on: every device is made anew, as firmware would
 * leave it, and the images are loaded once more. What is behind the devices,
 * files and sockets, stays; so does what the clock has on its battery.
 */
#include <sys/random.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dev/load.h"
#include "machine.h"
#include "vmctl.h"

#define IRQ_PIT		0
#define IRQ_COM1	4
#define IRQ_RTC		8

static const uint8_t pci_irq[4] = { 5, 9, 10, 11 };

/* An input of the PIC. */
static struct line
input(struct machine *h, int irq)
{
	return ((struct line){ i8259_set, &h->pic, irq });
}

/*
 * --- The serial line. ---
 */

static bool
uart_send(void *arg, uint8_t byte)
{
	struct machine *h = arg;

	return (console_put(&h->console, byte));
}

static void
uart_room(void *arg)
{
	struct machine *h = arg;

	console_room(&h->console);
}

static size_t
console_give(void *arg, const uint8_t *p, size_t n)
{
	struct mon *m = arg;

	return (ns16550_receive(&m->machine->uart, p, n));
}

static void
console_drained(void *arg)
{
	struct mon *m = arg;

	ns16550_kick(&m->machine->uart);
}

/* `~.' at a VM's own terminal: nobody could come back to it. */
static void
console_left(void *arg)
{
	mon_finish(arg, END_STOPPED);
}

int
machine_attach(struct mon *m, int sock)
{
	return (console_attach(&m->machine->console, sock, sock, false));
}

int
machine_attach_here(struct mon *m)
{
	return (console_attach(&m->machine->console, 0, 1, true));
}

/*
 * --- Power-on. ---
 */

static void
wall_clock(void *arg, int64_t *s, uint32_t *ns)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &ts);
	*s = ts.tv_sec;
	*ns = (uint32_t)ts.tv_nsec;
}

static void
random_fill(void *arg, void *buf, size_t len)
{
	uint64_t x = mon_now(arg) | 1;
	uint8_t *p = buf;
	size_t i;

	if (getrandom(buf, len, 0) == (ssize_t)len)
		return;
	for (i = 0; i < len; i++) {	/* metal has none: better than zeros */
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (uint8_t)x;
	}
}

static void
random_kick(void *arg, unsigned int queue)
{
	(void)queue;
	mon_kick(arg);
}

static void
slot_add(struct machine *h, struct pci_func *f, unsigned int slot)
{
	int irq = pci_irq[slot % 4];

	pci_add(&h->pci, f, slot, (uint16_t)(MACHINE_BARS +
	    VIRTIO_PORTS * slot), irq, input(h, irq));
}

static void
bus_out(struct bus *b, uint16_t port, uint8_t data)
{
	struct io io = { .port = port, .size = 1, .data = data };

	bus_do(b, &io);
}

static void
devices_init(struct mon *m)
{
	struct machine *h = m->machine;
	struct ns16550_wires wires = {
		.irq = input(h, IRQ_COM1),
		.send = uart_send,
		.room = uart_room,
		.arg = h,
	};
	struct virtio_owner owner = { "entropy", &m->mem, random_kick, m };
	uint64_t low = m->mem.range[0].size;
	uint64_t high = m->mem.n > 1 ? m->mem.range[1].size : 0;
	unsigned int i, slot = 1;

	m->bus.n = 0;
	m->timers.first = NULL;
	m->irq = false;
	i8259_init(&h->pic, (struct line){ mon_irq, m, 0 });
	i8259_attach(&h->pic, &m->bus);
	for (i = 0; i < 4; i++)
		bus_out(&m->bus, (uint16_t)(0x4d0 + pci_irq[i] / 8),
		    pci_irq[i] < 8 ? 0x20 : 0x0e);
	i8254_init(&h->pit, &m->bus, &m->timers, input(h, IRQ_PIT));
	if (h->rtc.wall == NULL)
		mc146818_init(&h->rtc, &m->bus, &m->timers, input(h, IRQ_RTC),
		    wall_clock, NULL, low, high);
	else				/* it has a battery */
		mc146818_reset(&h->rtc, &m->bus, low, high);
	ns16550_init(&h->uart, &wires, &m->timers);
	ns16550_attach(&h->uart, &m->bus, MACHINE_COM1);
	ns16550_modem(&h->uart, 0xb0);		/* CTS, DSR, DCD */
	pci_init(&h->pci, &m->bus);
	virtio_rnd_init(&h->rnd, &owner, random_fill, m);
	slot_add(h, &h->rnd.virtio.pci, slot++);
	for (i = 0; i < h->ndisks; i++) {
		disk_init(&h->disk[i], i);
		slot_add(h, &h->disk[i].blk.virtio.pci, slot++);
	}
	for (i = 0; i < h->nnics; i++) {
		nic_init(&h->nic[i], i);
		slot_add(h, &h->nic[i].net.virtio.pci, slot++);
	}
	console_room(&h->console);
}

uint8_t
machine_ack(struct mon *m)
{
	return ((uint8_t)i8259_ack(&m->machine->pic));
}

bool
machine_put(struct mon *m, uint8_t byte)
{
	return (console_put(&m->machine->console, byte));
}

void
machine_work(struct mon *m)
{
	struct machine *h = m->machine;
	bool more = virtio_rnd_work(&h->rnd);
	unsigned int i;

	for (i = 0; i < h->ndisks; i++)
		more |= virtio_blk_work(&h->disk[i].blk);
	for (i = 0; i < h->nnics; i++)
		more |= virtio_net_work(&h->nic[i].net);
	if (more)
		m->busy = true;
}

/*
 * --- Images. ---
 */

static int
image_read(struct image *im, const char *path, uint64_t max)
{
	int error = file_whole(path, max, im);

	if (error == EFBIG)
		return (ctl_error(CTL_FAIL, "%s: larger than the memory of the "
		    "VM; -m more", path));
	return (error == 0 ? CTL_OK : ctl_error(CTL_FAIL, "%s: %s", path,
	    strerror(error)));
}

/* What RESETCPU gave. A VM that somebody ended by TERM has come to its end. */
static int
booted(struct mon *m, int error)
{
	if (error == ENOENT)
		mon_finish(m, END_STOPPED);
	else if (error != 0)
		return (ctl_error(CTL_FAIL, "%s: RESETCPU: %s; the host's log "
		    "says why", m->config->name, strerror(error)));
	return (CTL_OK);
}

/* Our own guests start on every VCPU, see guests/guest.h. */
static int
boot_guest(struct mon *m, int mode)
{
	struct vcpu_reg_state vrs;
	unsigned int i;
	int error = 0;

	client_start_state(mode, &vrs);
	for (i = 0; i < m->ncpus && error == 0; i++) {
		error = client_ioc_resetcpu(m->fd, m->id, i, &vrs);
		m->cpu[i].on = error == 0;
	}
	return (booted(m, error));
}

/* A kernel of somebody else's starts on VCPU 0 and finds no other. */
static int
boot_image(struct mon *m)
{
	struct machine *h = m->machine;
	struct load_file initrd = { h->initrd.p, h->initrd.len,
	    m->config->initrd };
	struct load load = {
		.mem = &m->mem,
		.image = { h->kernel.p, h->kernel.len, m->config->cmdline },
		.module = &initrd,
		.nmodules = m->config->initrd != NULL,
	};
	int error;

	if (!load_image(&load))
		return (ctl_error(CTL_FAIL, "%s: %s", m->config->kernel,
		    load.why));
	error = client_ioc_resetcpu(m->fd, m->id, 0, &load.start);
	m->cpu[0].on = error == 0;
	return (booted(m, error));
}

int
machine_boot(struct mon *m)
{
	struct machine *h = m->machine;
	struct load_file kernel = { h->kernel.p, h->kernel.len, NULL };
	int mode;

	devices_init(m);
	m->ours = load_kind(&kernel) == LOAD_GUEST;
	if (!m->ours)
		return (boot_image(m));
	if (m->config->initrd != NULL || m->config->cmdline[0] != '\0')
		return (ctl_error(CTL_FAIL, "%s: a guest of guests/ takes no "
		    "-r and no -a: leave them out", m->config->kernel));
	if (client_load(&m->cpu[0].v, h->kernel.p, h->kernel.len, NULL,
	    &mode) != 0)
		return (ctl_error(CTL_FAIL, "%s: a guest of %zu bytes, which "
		    "are too many", m->config->kernel, h->kernel.len));
	return (boot_guest(m, mode));
}

/*
 * Close what the starter had open: its lock, or its end of a pipe, would be
 * held for as long as the VM runs. All of our own would not survive an exec.
 */
static void
close_inherited(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int fd;

	while (d != NULL && (e = readdir(d)) != NULL) {
		fd = atoi(e->d_name);
		if (fd > STDERR_FILENO && fcntl(fd, F_GETFD) == 0)
			close(fd);
	}
	if (d != NULL)
		closedir(d);
}

int
machine_create(struct mon *m)
{
	const struct mon_config *c = m->config;
	struct machine *h = calloc(1, sizeof(*h));
	unsigned int i;

	m->machine = h;
	if (h == NULL)
		return (ctl_error(CTL_FAIL, "no memory"));
	if (image_read(&h->kernel, c->kernel, c->memory) != CTL_OK ||
	    (c->initrd != NULL &&
	    image_read(&h->initrd, c->initrd, c->memory) != CTL_OK))
		return (CTL_FAIL);
	for (i = 0; i < c->ndisks; i++) {
		if (disk_open(&h->disk[i], m, c->disk[i]) != CTL_OK)
			return (CTL_FAIL);
		h->ndisks++;
	}
	close_inherited();	/* an image could be one, -b /dev/fd/N */
	for (i = 0; i < c->nnics; i++) {
		if (nic_open(&h->nic[i], m, c->nic[i]) != CTL_OK)
			return (CTL_FAIL);
		h->nnics++;
	}
	h->console.lock = &m->lock;
	h->console.give = console_give;
	h->console.drained = console_drained;
	h->console.left = console_left;
	h->console.arg = m;
	return (CTL_OK);
}

int
machine_start(struct mon *m)
{
	struct machine *h = m->machine;
	unsigned int i;

	for (i = 0; i < h->nnics; i++)
		if (nic_start(&h->nic[i]) != 0)
			return (ctl_error(CTL_FAIL, "no thread for a network "
			    "interface"));
	return (console_start(&h->console) == 0 ? CTL_OK :
	    ctl_error(CTL_FAIL, "no thread for the console"));
}

/* No VCPU runs. */
void
machine_destroy(struct mon *m)
{
	struct machine *h = m->machine;
	unsigned int i;

	if (h == NULL)
		return;
	if (h->console.writer != 0)
		console_finish(&h->console);
	for (i = 0; i < h->ndisks; i++)
		if (disk_close(&h->disk[i]) != CTL_OK)
			m->end = END_FAILED;
	for (i = 0; i < h->nnics; i++)
		nic_close(&h->nic[i]);
}
