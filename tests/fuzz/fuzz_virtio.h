/* SPDX-License-Identifier: ISC */
/*
 * fuzz_virtio.h - memory and rings for the targets of the virtio devices. The
 * steps know what a ring looks like, and get it right half of the time.
 *
 * Memory is two ranges amid pages that nobody may touch, so that one byte too
 * far is seen.
 */
#ifndef FUZZ_VIRTIO_H
#define FUZZ_VIRTIO_H

#include <sys/mman.h>

#include "fuzz.h"
#include "virtio.h"

#define LOW_SIZE	0x8000
#define HIGH		0x100000000ULL
#define HIGH_SIZE	0x4000
#define IRQ		11
#define GUARD		(1ULL << 33)	/* more than any length reaches */

static struct mem ram;
static struct pci pci;
static struct virtio *virtio;
static uint16_t nput[VIRTIO_QUEUES];	/* the index, as it should be */
static bool nested;

/* What the target does when its device was kicked. */
static void work(unsigned int queue);

static void
kick(void *arg, unsigned int queue)
{
	(void)arg;
	fuzz_check(queue < VIRTIO_QUEUES);
	if (!nested)
		work(queue);
}

static const struct virtio_owner owner = { "fuzz", &ram, kick, NULL };

static struct mem_range
make_range(uint64_t gpa, size_t size)
{
	uint8_t *p = mmap(NULL, 2 * GUARD, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	fuzz_check(p != MAP_FAILED);
	p += GUARD;
	fuzz_check(mprotect(p, size, PROT_READ | PROT_WRITE) == 0);
	return ((struct mem_range){ gpa, size, p });
}

/* A new world, and the device on its bus. */
static void
virtio_start(struct virtio *v)
{
	size_t i;

	if (ram.n == 0) {
		ram.range[ram.n++] = make_range(0, LOW_SIZE);
		ram.range[ram.n++] = make_range(HIGH, HIGH_SIZE);
	}
	for (i = 0; i < ram.n; i++)
		memset(ram.range[i].host, 0, ram.range[i].size);
	memset(nput, 0, sizeof(nput));
	virtio = v;
	nested = false;
	pci_init(&pci, &fuzz_bus);
	pci_add(&pci, &v->pci, 1, 0xc000, IRQ, fuzz_line(IRQ));
}

/* Mostly the device's; the bus's own now and then. */
static uint16_t
virtio_port(void)
{
	uint8_t b = fuzz_8();

	if (b >= 0xf0)
		return ((uint16_t)(0xcf8 + b % 8));
	return (virtio->pci.base + b % VIRTIO_PORTS);
}

static void
out(unsigned int reg, uint8_t size, uint32_t data)
{
	struct io io = { .port = (uint16_t)(virtio->pci.base + reg),
		.size = size, .data = data };

	if (virtio->pci.base != 0)
		bus_do(&fuzz_bus, &io);
}

/* Write to guest memory, as a guest may: where it has some. */
static void
poke(uint64_t gpa, const void *p, size_t n)
{
	void *to = mem_ptr(&ram, gpa, n);

	if (to != NULL)
		memcpy(to, p, n);
}

/* Addresses around every border, and in between. */
static uint64_t
some_gpa(void)
{
	static const uint64_t t[] = { 0x6000, 0x7000, HIGH, LOW_SIZE - 1,
		LOW_SIZE, HIGH - 1, HIGH + HIGH_SIZE - 1, HIGH + HIGH_SIZE,
		0x7ff0, HIGH + HIGH_SIZE - 0x400, 0x6800, UINT64_MAX };
	uint8_t b = fuzz_8();

	if (b < 0xc0)
		return (0x6000 + 32 * b);	/* where no ring is */
	return (t[b % 12] + fuzz_8());
}

static uint32_t
some_len(void)
{
	static const uint32_t t[] = { 1, 16, 512, 1024, 1524, 0x4000, 10, 256,
		0xffffffff, 0x80000000, 17, 513, LOW_SIZE, 0, 60, 0x10000 };
	uint8_t b = fuzz_8();

	return (b < 0xc0 ? t[b % 8] : b < 0xf0 ? t[b % 16] : fuzz_32());
}

/* Where a ring is, if it is anywhere. */
static uint64_t
ring(unsigned int q)
{
	return ((uint64_t)virtio->q[q].pfn << 12);
}

static uint64_t
ring_avail(unsigned int q)
{
	return (ring(q) + 16 * virtio->q[q].size);
}

static void
put_desc(unsigned int q, uint16_t i, uint16_t flags, uint16_t next)
{
	struct virtq_desc d = { some_gpa(), some_len(), flags, next };

	poke(ring(q) + 16 * i, &d, sizeof(d));
}

static void
put_avail(unsigned int q, uint16_t head)
{
	uint16_t size = virtio->q[q].size;

	if (size == 0)
		return;
	poke(ring_avail(q) + 4 + 2 * (nput[q] % size), &head, 2);
	nput[q]++;
	poke(ring_avail(q) + 2, &nput[q], 2);
}

/* Select a ring and say where it is; a reset before it, or none. */
static void
set_ring(unsigned int q)
{
	static const uint32_t t[] = { 1, 0, 0x100000, 3, 0x100001, 7, 0xfffff,
		0xffffffff };
	uint32_t life = virtio->q[q].life;
	uint8_t b = fuzz_8();

	if (b & 0x40)
		out(VIRTIO_STATUS, 1, 0);	/* unless its BAR has moved */
	fuzz_check(virtio->q[q].life == life || !fuzz_level[IRQ]);
	if (b & 0x20)
		out(VIRTIO_FEATURES, 4, UINT32_MAX);
	out(VIRTIO_SELECT, 2, q);
	out(VIRTIO_PFN, 4, b & 0x80 ? t[b % 8] : q == 0 ? 0 : 3);
	if ((b & 0x80) == 0 && q == 0)
		out(VIRTIO_PFN, 4, 0x100000);
	nput[q] = 0;
}

/* A chain of some descriptors: first those to read, then those to write. */
static void
put_chain(unsigned int q)
{
	uint8_t b = fuzz_8();
	unsigned int nout = b & 3, n = nout + (b >> 2 & 7), i;
	uint16_t first = b >> 5, flags;

	if (n == 0)
		n = 1;
	for (i = 0; i < n; i++) {
		flags = (i + 1 < n ? VIRTQ_NEXT : 0) |
		    (i >= nout ? VIRTQ_WRITE : 0);
		put_desc(q, (uint16_t)(first + i), flags,
		    (uint16_t)(first + i + 1));
	}
	put_avail(q, first);
}

/* The steps that all virtio devices have. True: it was one of them. */
static bool
virtio_step(uint8_t what)
{
	unsigned int q = what & 1;
	uint8_t buf[16];
	uint16_t i;
	size_t n;

	switch (what >> 1) {
	case 0:
	case 1:
		set_ring(q);
		break;
	case 2:
	case 3:
	case 4:
		put_chain(q);
		break;
	case 5:
		/* One of a few, so that loops come about. */
		i = fuzz_8();
		put_desc(q, i & 7, i >> 3 & 7,
		    i & 0x80 ? fuzz_16() : fuzz_8() & 7);
		break;
	case 6:
		i = fuzz_8();
		put_avail(q, i & 0x80 ? fuzz_16() : i & 7);
		break;
	case 7:
		for (n = 0; n < sizeof(buf); n++)
			buf[n] = fuzz_8();
		poke(some_gpa(), buf, fuzz_8() % sizeof(buf) + 1);
		break;
	case 8:
		/* Anything in the ring itself. */
		i = fuzz_16();
		poke(ring(q) + i % 0x3000, &i, sizeof(i));
		break;
	case 9:
		/* Its flags; or what was there once more, many times. */
		i = fuzz_8();
		if ((i & 1) == 0) {
			poke(ring_avail(q), &i, sizeof(i));
			break;
		}
		nput[q] += i;
		poke(ring_avail(q) + 2, &nput[q], sizeof(nput[q]));
		break;
	case 10:
	case 11:
		out(VIRTIO_NOTIFY, 2, q);
		break;
	default:
		return (false);
	}
	return (true);
}

/*
 * The device calls out, and the guest's CPUs run meanwhile, if the input says
 * so. After a reset that nobody followed up, nobody writes to guest memory.
 */
static uint8_t snapshot[LOW_SIZE + HIGH_SIZE];
static bool frozen;

static void
copy_ram(uint8_t *to)
{
	memcpy(to, ram.range[0].host, LOW_SIZE);
	memcpy(to + LOW_SIZE, ram.range[1].host, HIGH_SIZE);
}

static void
meanwhile(void)
{
	uint8_t b = fuzz_8();

	if (b < 0xc0 || nested)
		return;
	nested = true;
	if (b & 0x20)
		out(VIRTIO_STATUS, 1, 0);
	fuzz_steps(b & 0x0f);
	nested = false;
	frozen = virtio->q[0].pfn == 0 && virtio->q[1].pfn == 0;
	if (frozen)
		copy_ram(snapshot);
}

/* After work: see meanwhile(). */
static void
virtio_worked(void)
{
	static uint8_t is[LOW_SIZE + HIGH_SIZE];

	if (frozen) {
		copy_ram(is);
		fuzz_check(memcmp(is, snapshot, sizeof(is)) == 0);
	}
	frozen = false;
}

/* However long the input was, the log is short. */
static void
virtio_end(void)
{
	fuzz_check(fuzz_logs <= 17);
	fuzz_check(fuzz_level[IRQ] == (virtio->isr != 0 &&
	    (virtio->pci.header[PCI_COMMAND + 1] & 4) == 0));
}

#endif /* FUZZ_VIRTIO_H */
