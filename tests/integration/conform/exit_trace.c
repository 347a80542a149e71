/* SPDX-License-Identifier: ISC */
/*
 * exit_trace.c - the ring of what happened to a VCPU last, as the host's file
 * for debuggers tells it to this client, of its own guests.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "exit_util.h"

#define TRACE	"/sys/kernel/debug/vmm/trace"
#define RING	128
#define IOCTL_RUN	2
#define IOCTL_RESETCPU	5
#define IOCTL_READREGS	7
#define IOCTL_WRITEREGS	8

struct record {
	bool		exit;
	char		kind[16];
	uint64_t	nr, code, error, rip[2], begin, end;
};

static struct record ring[RING];

/* The value of a line "NAME VALUE" at *p, which must be there. */
static uint64_t
line(char **p, const char *name)
{
	size_t len = strlen(name);
	uint64_t value;

	note("line %s", name);
	CHECK(strncmp(*p, name, len) == 0 && (*p)[len] == ' ');
	value = strtoull(*p + len, p, 16);
	CHECK(**p == '\n');
	(*p)++;
	return (value);
}

static void
read_record(char **p, struct record *r)
{
	memset(r, 0, sizeof(*r));
	r->exit = **p == 'e';
	r->nr = line(p, r->exit ? "exit" : "ioctl");
	if (r->exit) {
		CHECK(sscanf(*p, "kind %15[A-Z_]", r->kind) == 1);
		*p = strchr(*p, '\n') + 1;
		r->code = line(p, "code");
		(void)line(p, "info1");
		(void)line(p, "info2");
		r->rip[0] = line(p, "entry_rip");
		r->rip[1] = line(p, "exit_rip");
	} else {
		r->code = line(p, "nr");
		r->error = line(p, "errno");
	}
	r->begin = line(p, "begin");
	r->end = line(p, "end");
	CHECK(r->begin < r->end);
}

/* The ring of a VCPU. Its records' number, or -1: it is not in the view. */
static int
read_ring(uint32_t vm, uint32_t vcpu)
{
	static char text[1 << 20];
	char head[64], *p;
	ssize_t got;
	int fd, n = 0;

	fd = open(TRACE, O_RDONLY);
	CHECK(fd != -1);
	text[0] = '\n';
	got = read(fd, text + 1, sizeof(text) - 2);
	close(fd);
	CHECK(got >= 0 && (size_t)got < sizeof(text) - 2);
	text[got + 1] = '\0';
	snprintf(head, sizeof(head), "\nvm 0x%x\nvcpu 0x%x\n", vm, vcpu);
	p = strstr(text, head);
	if (p == NULL)
		return (-1);
	for (p += strlen(head); *p == 'e' || *p == 'i'; n++) {
		CHECK(n < RING);
		read_record(&p, &ring[n]);
	}
	CHECK(*p == '\0' || strncmp(p, "vm ", 3) == 0);
	return (n);
}

static void
want_ioctl(int i, uint64_t nr, uint64_t ioctl, int error)
{
	note("record %d", i);
	CHECK(!ring[i].exit);
	CHECK_EQ(ring[i].nr, nr);
	CHECK_EQ(ring[i].code, ioctl);
	CHECK_EQ(ring[i].error, error);
}

/* After each RUN its record is the last, and before it the exit. */
static void
exits(void)
{
	struct client_vm *v = new_guest("out", NULL);
	uint64_t rip = GUEST_LOAD + 0x10, before, after;
	struct record *r;
	int n, i, seen = 1;

	CHECK_EQ(read_ring(v->id, 0), 1);
	want_ioctl(0, 1, IOCTL_RESETCPU, 0);
	for (i = 0; i < 7; i++) {
		before = client_tsc();
		run_to(v, NO_IRQ, CLIENT_IO);
		after = client_tsc();
		n = read_ring(v->id, 0);
		CHECK(n >= 3);
		r = &ring[n - 1];
		want_ioctl(n - 1, r->nr, IOCTL_RUN, 0);
		CHECK(before < r->begin && r->end < after);
		CHECK(r->begin < r[-1].begin && r[-1].end < r->end);
		CHECK(r[-1].exit);
		CHECK(strcmp(r[-1].kind, "IO") == 0);
		CHECK_EQ(r[-1].code, v->run.vrp_exit_reason);
		CHECK(r[-1].rip[1] < gpr(v, VCPU_REGS_RIP));
		CHECK(r[-1].rip[1] + 15 >= gpr(v, VCPU_REGS_RIP));
		CHECK_EQ(ring[seen].rip[0], rip);
		rip = gpr(v, VCPU_REGS_RIP);
		seen = n;
	}
}

/* The last 128 of many, without a gap. */
static void
last(void)
{
	struct client_vm *v = new_guest("mix", NULL);
	int i;

	for (i = 0; i < 100; i++)
		(void)run_value(v);
	CHECK_EQ(read_ring(v->id, 0), RING);
	for (i = 1; i < RING; i++) {
		CHECK_EQ(ring[i].nr, ring[i - 1].nr + 1);
		CHECK(ring[i].end > ring[i - 1].end);
	}
	CHECK(ring[0].nr > 200 - RING);
	want_ioctl(RING - 1, ring[RING - 1].nr, IOCTL_RUN, 0);
}

/* Requests that fail, and those for another VCPU. */
static void
errnos(void)
{
	struct client_vm *v = new_vm(CLIENT_MIB, 2);
	struct vcpu_reg_state vrs;

	CHECK_EQ(client_ioc_readregs(v->fd, v->id, 1, VM_RWREGS_ALL, &vrs),
	    0);
	vrs.vrs_crs[VCPU_REGS_CR4] = 1UL << 63;
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 1, VM_RWREGS_CRS, &vrs),
	    EINVAL);
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, 2, VM_RWREGS_ALL, &vrs),
	    ENOENT);
	CHECK_EQ(read_ring(v->id, 0), 0);
	CHECK_EQ(read_ring(v->id, 1), 2);
	want_ioctl(0, 1, IOCTL_READREGS, 0);
	want_ioctl(1, 2, IOCTL_WRITEREGS, EINVAL);
}

/* Read while the VCPU is in its guest, and when the VM has ended. */
static void
running(void)
{
	struct client_vm *v = new_guest("spin", NULL);
	struct vcpu_reg_state vrs;
	struct runner r;
	int n, i, busy = 0;

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	set_gpr(v, VCPU_REGS_RFLAGS, 0x202);
	runner_start(&r, v, 0);
	wait_state(v, 0, VCPU_STATE_RUNNING);
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, 0, VM_RWREGS_ALL, &vrs),
	    EBUSY);
	n = read_ring(v->id, 0);
	CHECK(n > 3);
	for (i = 0; i < n; i++) {
		CHECK(busy == 0 || ring[i].exit);
		busy += !ring[i].exit && ring[i].code == IOCTL_READREGS &&
		    ring[i].error == EBUSY;
	}
	CHECK_EQ(busy, 1);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	runner_join(&r);
	CHECK_EQ(read_ring(v->id, 0), -1);
}

const struct clause exit_trace[] = {
	{ "B3.exits", "each exit is recorded, and the RUN around it",
	    LAYER_EXIT, BEYOND, exits, NULL },
	{ "B3.last", "the last 128 records are kept, numbered without a gap",
	    LAYER_EXIT, BEYOND, last, NULL },
	{ "B3.errno", "a request for a VCPU is recorded with its errno",
	    LAYER_EXIT, BEYOND, errnos, NULL },
	{ "B3.running", "the ring can be read while the VCPU runs",
	    LAYER_EXIT, BEYOND, running, NULL },
	CLAUSE_END
};
