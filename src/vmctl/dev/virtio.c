/* SPDX-License-Identifier: ISC */
/*
 * virtio.c - registers and rings of the virtio devices.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "virtio.h"

/* The vendor of all of them, in both places of the header. */
#define VENDOR		0x1af4

/* A ring begins at a page; its used part begins at another. */
#define PAGE_SHIFT	12
#define PAGE_SIZE	(1 << PAGE_SHIFT)

/* Offsets in the two parts of a ring that have an index and then elements. */
#define RING_FLAGS	0
#define RING_INDEX	2
#define RING_FIRST	4

/* Reasons that are told. A driver that resets and errs for ever is boring. */
#define LOG_MAX		16

/*
 * --- Guest memory: read once, since it may change under us. ---
 */
static uint16_t
load16(const void *p)
{
	return (__atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE));
}

static uint64_t
load64(const void *p)
{
	return (__atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED));
}

static void
store16(void *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)p, v, __ATOMIC_RELEASE);
}

static void
store32(void *p, uint32_t v)
{
	__atomic_store_n((uint32_t *)p, v, __ATOMIC_RELAXED);
}

/*
 * --- Stop and reset ---
 */
bool
virtio_stopped(const struct virtio *v)
{
	return (v->status & VIRTIO_STATUS_STOPPED);
}

void
virtio_stop(struct virtio *v, unsigned int queue, const char *fmt, ...)
{
	char why[128];
	va_list ap;
	unsigned int i;

	v->status |= VIRTIO_STATUS_STOPPED;
	for (i = 0; i < VIRTIO_QUEUES; i++)
		v->q[i].life++;
	if (v->logged == LOG_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	dev_log("%s: queue %u: %s; stopped until the driver resets it%s",
	    v->owner.name, queue, why,
	    ++v->logged == LOG_MAX ? "; no more of this is told" : "");
}

static void
virtq_reset(struct virtq *q)
{
	q->pfn = 0;
	q->avail = q->used = 0;
	q->life++;
}

static void
virtio_reset(struct virtio *v)
{
	unsigned int i;

	for (i = 0; i < VIRTIO_QUEUES; i++)
		virtq_reset(&v->q[i]);
	v->features = 0;
	v->select = 0;
	v->status = 0;
	v->isr = 0;
	pci_intx(&v->pci, false);
}

/*
 * --- Registers ---
 */

/* The guest says where the selected ring is; 0: nowhere. */
static void
virtio_set_pfn(struct virtio *v, uint32_t pfn)
{
	struct virtq *q = &v->q[v->select];
	uint64_t avail, used, size;

	virtq_reset(q);
	if (pfn == 0)
		return;
	/* Both parts end in a field for a feature that is not offered. */
	avail = sizeof(struct virtq_desc) * q->size;
	used = avail + RING_FIRST + 2 * q->size + 2;
	used = (used + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
	size = used + RING_FIRST + 8 * q->size + 2;
	q->desc = mem_ptr(v->owner.mem, (uint64_t)pfn << PAGE_SHIFT, size);
	if (q->desc == NULL) {
		virtio_stop(v, v->select, "a ring at page 0x%x, not in memory",
		    pfn);
		return;
	}
	q->ravail = q->desc + avail;
	q->rused = q->desc + used;
	q->pfn = pfn;
}

static uint16_t
virtio_selected(const struct virtio *v)
{
	return (v->select < VIRTIO_QUEUES ? v->q[v->select].size : 0);
}

/* A register has one size; others read as ones. */
#define REG(reg, size)	((reg) << 4 | (size))

static uint32_t
virtio_in(struct virtio *v, unsigned int reg, unsigned int size)
{
	uint32_t data = 0;
	unsigned int i;

	if (reg >= VIRTIO_CONFIG) {
		reg -= VIRTIO_CONFIG;
		for (i = 0; i < size && reg + i < v->nconfig; i++)
			data |= (uint32_t)v->config[reg + i] << 8 * i;
		return (data);
	}
	switch (REG(reg, size)) {
	case REG(VIRTIO_OFFERED, 4):
		return (v->offered);
	case REG(VIRTIO_FEATURES, 4):
		return (v->features);
	case REG(VIRTIO_PFN, 4):
		return (virtio_selected(v) ? v->q[v->select].pfn : 0);
	case REG(VIRTIO_SIZE, 2):
		return (virtio_selected(v));
	case REG(VIRTIO_SELECT, 2):
		return (v->select);
	case REG(VIRTIO_NOTIFY, 2):
		return (0);
	case REG(VIRTIO_STATUS, 1):
		return (v->status);
	case REG(VIRTIO_ISR, 1):
		data = v->isr;
		v->isr = 0;
		pci_intx(&v->pci, false);
		return (data);
	default:
		return (UINT32_MAX >> (32 - 8 * size));
	}
}

static void
virtio_out(struct virtio *v, unsigned int reg, unsigned int size,
    uint32_t data)
{
	if (REG(reg, size) == REG(VIRTIO_STATUS, 1) && data == 0)
		virtio_reset(v);
	if (virtio_stopped(v))
		return;
	switch (REG(reg, size)) {
	case REG(VIRTIO_FEATURES, 4):
		v->features = data & v->offered;
		break;
	case REG(VIRTIO_PFN, 4):
		if (virtio_selected(v))
			virtio_set_pfn(v, data);
		break;
	case REG(VIRTIO_SELECT, 2):
		v->select = (uint16_t)data;
		break;
	case REG(VIRTIO_NOTIFY, 2):
		if (data < VIRTIO_QUEUES && v->q[data].pfn != 0)
			v->owner.kick(v->owner.arg, data);
		break;
	case REG(VIRTIO_STATUS, 1):
		v->status = data & (uint8_t)~VIRTIO_STATUS_STOPPED;
		break;
	}
}

static void
virtio_io(void *arg, struct io *io)
{
	struct virtio *v = arg;

	if (io->in)
		io->data = virtio_in(v, io->port, io->size);
	else
		virtio_out(v, io->port, io->size,
		    io->data & UINT32_MAX >> (32 - 8 * io->size));
}

void
virtio_init(struct virtio *v, const struct virtio_kind *k,
    const struct virtio_owner *owner, const void *config, size_t n)
{
	unsigned int i;

	memset(v, 0, sizeof(*v));
	v->owner = *owner;
	v->offered = k->offered;
	v->config = config;
	v->nconfig = n;
	for (i = 0; i < VIRTIO_QUEUES; i++)
		v->q[i].size = k->size[i];
	v->pci.vendor = v->pci.subvendor = VENDOR;
	v->pci.device = k->device;
	v->pci.subdevice = k->type;
	v->pci.class = k->class;
	v->pci.size = VIRTIO_PORTS;
	v->pci.io = virtio_io;
	v->pci.dev = v;
}

/*
 * --- Rings ---
 */

/* Copy the descriptors of a chain, judging each. False: the device stopped. */
static bool
virtq_walk(struct virtio *v, unsigned int queue, unsigned int i)
{
	struct virtq *q = &v->q[queue];
	struct virtq_chain *c = &q->chain;
	uint64_t gpa, rest;
	uint32_t len;
	bool more = true;
	uint8_t *p;

	/* book: virtq-walk */
	while (more) {
		if (i >= q->size || c->nseg == q->size)
			break;
		gpa = load64(q->desc + sizeof(struct virtq_desc) * i);
		rest = load64(q->desc + sizeof(struct virtq_desc) * i + 8);
		len = (uint32_t)rest;
		more = rest >> 32 & VIRTQ_NEXT;
		p = mem_ptr(v->owner.mem, gpa, len);
		if (p == NULL) {
			virtio_stop(v, queue, "a buffer of %u bytes at 0x%llx,"
			    " not in memory", len, (unsigned long long)gpa);
			return (false);
		}
		if (rest >> 32 & VIRTQ_INDIRECT) {
			virtio_stop(v, queue, "an indirect descriptor, which"
			    " was not offered");
			return (false);
		}
		if (rest >> 32 & VIRTQ_WRITE)
			c->in += len;
		else if (c->nout++ == c->nseg)
			c->out += len;
		else {
			virtio_stop(v, queue, "a buffer to read behind one to"
			    " write");
			return (false);
		}
		c->seg[c->nseg].p = p;
		c->seg[c->nseg++].len = len;
		i = (unsigned int)(rest >> 48);
	}
	/* book: end */
	if (!more)
		return (true);
	if (i >= q->size)
		virtio_stop(v, queue, "descriptor %u in a ring of %u", i,
		    q->size);
	else
		virtio_stop(v, queue, "a chain longer than its ring");
	return (false);
}

bool
virtq_pop(struct virtio *v, unsigned int queue)
{
	struct virtq *q = &v->q[queue];
	struct virtq_chain *c = &q->chain;
	uint16_t n;

	if (virtio_stopped(v) || q->pfn == 0)
		return (false);
	/* With acquire: what is behind the index was written before it. */
	n = (uint16_t)(load16(q->ravail + RING_INDEX) - q->avail);
	if (n == 0)
		return (false);
	if (n > q->size) {
		virtio_stop(v, queue, "%u buffers available in a ring of %u",
		    n, q->size);
		return (false);
	}
	c->head = load16(q->ravail + RING_FIRST + 2 * (q->avail % q->size));
	c->life = q->life;
	c->nseg = c->nout = 0;
	c->out = c->in = 0;
	q->avail++;
	return (virtq_walk(v, queue, c->head));
}

bool
virtq_stale(const struct virtio *v, unsigned int queue)
{
	return (v->q[queue].life != v->q[queue].chain.life);
}

void
virtq_push(struct virtio *v, unsigned int queue, uint32_t len)
{
	struct virtq *q = &v->q[queue];
	uint8_t *elem = q->rused + RING_FIRST + 8 * (q->used % q->size);

	if (virtq_stale(v, queue))
		return;
	store32(elem, q->chain.head);
	store32(elem + 4, len);
	/* With release: the element and the data are there before the index. */
	store16(q->rused + RING_INDEX, ++q->used);
	/* The driver allows interrupts and then looks at the index. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (load16(q->ravail + RING_FLAGS) & VIRTQ_NO_INTERRUPT)
		return;
	v->isr |= VIRTIO_ISR_RING;
	pci_intx(&v->pci, true);
}

/*
 * Copy between a buffer and the segments [i, end) of the chain. The compiler
 * must not read the guest's memory again where the copy is used.
 */
static void
virtq_copy(const struct virtq_chain *c, unsigned int i, uint64_t at,
    uint8_t *to, const uint8_t *from, size_t len)
{
	size_t n;

	for (; len > 0; i++) {
		if (at >= c->seg[i].len) {
			at -= c->seg[i].len;
			continue;
		}
		n = c->seg[i].len - at < len ? c->seg[i].len - at : len;
		if (to != NULL) {
			memcpy(to, c->seg[i].p + at, n);
			to += n;
		} else {
			memcpy(c->seg[i].p + at, from, n);
			from += n;
		}
		len -= n;
		at = 0;
	}
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void
virtq_read(const struct virtio *v, unsigned int queue, uint64_t at, void *buf,
    size_t len)
{
	virtq_copy(&v->q[queue].chain, 0, at, buf, NULL, len);
}

void
virtq_write(const struct virtio *v, unsigned int queue, uint64_t at,
    const void *buf, size_t len)
{
	const struct virtq_chain *c = &v->q[queue].chain;

	virtq_copy(c, c->nout, at, NULL, buf, len);
}
