/* SPDX-License-Identifier: ISC */
/*
 * virtio_guest.h - a guest with two pieces of memory and a small driver, for
 * the suites of the virtio devices.
 */
#ifndef VIRTIO_GUEST_H
#define VIRTIO_GUEST_H

#include "dev_unit.h"
#include "virtio.h"

#define LOW_SIZE	0x40000
#define HIGH		0x100000000ULL
#define HIGH_SIZE	0x20000
#define PORT		0xc000
#define IRQ		11

static uint8_t low[LOW_SIZE] __attribute__((aligned(4096)));
static uint8_t high[HIGH_SIZE] __attribute__((aligned(4096)));
static struct mem ram;
static struct bus bus;
static struct pci pci;
static unsigned int kicks[VIRTIO_QUEUES];

static void
kick(void *arg, unsigned int queue)
{
	ck_assert_ptr_eq(arg, &ram);
	ck_assert_uint_lt(queue, VIRTIO_QUEUES);
	kicks[queue]++;
}

static const struct virtio_owner owner = { "dev0", &ram, kick, &ram };

/* A world as new; the device is added by guest_add(). */
static inline void
guest_start(void)
{
	unit_start();
	memset(low, 0, sizeof(low));
	memset(high, 0, sizeof(high));
	memset(kicks, 0, sizeof(kicks));
	ram = (struct mem){ .n = 2 };
	ram.range[0] = (struct mem_range){ 0, sizeof(low), low };
	ram.range[1] = (struct mem_range){ HIGH, sizeof(high), high };
	bus = (struct bus){ .n = 0 };
	pci_init(&pci, &bus);
}

static inline void
guest_add(struct virtio *v)
{
	pci_add(&pci, &v->pci, 1, PORT, IRQ, unit_line(IRQ));
}

static inline uint32_t
reg(unsigned int r, unsigned int size)
{
	return (unit_in(&bus, (uint16_t)(PORT + r), size));
}

static inline void
set_reg(unsigned int r, unsigned int size, uint32_t data)
{
	unit_out(&bus, (uint16_t)(PORT + r), size, data);
}

/* A place in guest memory. */
static inline void *
at(uint64_t gpa)
{
	void *p = mem_ptr(&ram, gpa, 1);

	if (p == NULL)
		ck_abort_msg("no memory at %llx", (unsigned long long)gpa);
	return (p);
}

static inline uint16_t
at16(uint64_t gpa)
{
	uint16_t v;

	memcpy(&v, at(gpa), sizeof(v));
	return (v);
}

static inline void
put16(uint64_t gpa, uint16_t v)
{
	memcpy(at(gpa), &v, sizeof(v));
}

/* Every one of n bytes is this one? An assertion for each takes too long. */
static inline bool
all(const uint8_t *p, size_t n, uint8_t byte)
{
	while (n > 0 && *p == byte) {
		p++;
		n--;
	}
	return (n == 0);
}

/* A ring, as its driver sees it. */
struct ring {
	unsigned int	queue, size;
	uint64_t	gpa, avail, used;	/* of its parts */
	uint16_t	nput, nseen;
};

static inline struct ring
ring_start(unsigned int queue, uint64_t gpa)
{
	struct ring r = { .queue = queue, .gpa = gpa };

	set_reg(VIRTIO_SELECT, 2, queue);
	r.size = reg(VIRTIO_SIZE, 2);
	r.avail = gpa + 16 * r.size;
	r.used = (r.avail + 6 + 2 * r.size + 4095) & ~4095ULL;
	set_reg(VIRTIO_PFN, 4, (uint32_t)(gpa >> 12));
	return (r);
}

static inline void
ring_desc(const struct ring *r, unsigned int i, uint64_t gpa, uint32_t len,
    uint16_t flags, uint16_t next)
{
	struct virtq_desc d = { gpa, len, flags, next };

	memcpy(at(r->gpa + 16 * i), &d, sizeof(d));
}

/* Make the chain that begins with descriptor `head` available. */
static inline void
ring_put(struct ring *r, uint16_t head)
{
	put16(r->avail + 4 + 2 * (r->nput % r->size), head);
	put16(r->avail + 2, ++r->nput);
}

static inline void
ring_notify(const struct ring *r)
{
	set_reg(VIRTIO_NOTIFY, 2, r->queue);
}

/* The next chain that came back. */
static inline bool
ring_get(struct ring *r, uint32_t *head, uint32_t *len)
{
	uint64_t e = r->used + 4 + 8 * (r->nseen % r->size);

	if (at16(r->used + 2) == r->nseen)
		return (false);
	r->nseen++;
	memcpy(head, at(e), 4);
	memcpy(len, at(e + 4), 4);
	return (true);
}

#endif /* VIRTIO_GUEST_H */
