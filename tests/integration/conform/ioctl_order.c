/* SPDX-License-Identifier: ISC */
/*
 * ioctl_order.c - ENOENT before everything, and which file a VM belongs to.
 */
#include <fcntl.h>
#include <unistd.h>

#include "ioctl_util.h"

/* An argument that is wrong in every way, but for the ids. */
static void
fill_bad(int nr, union ioc_arg *a, uint32_t vm, uint32_t vcpu)
{
	memset(a, 0xff, sizeof(*a));
	a->id.vm = vm;
	if (iocs[nr - 1].vcpu)
		a->id.vcpu = vcpu;
	if (nr == IOC_RUN)
		a->run.vrp_exit = (void *)1;
}

static void
unknown_vm(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct client_vm *gone = new_started(code_out, sizeof(code_out), 1);
	const uint32_t ids[] = {
		0, v->id - 1, gone->id, gone->id + 1, 0x80000000 | v->id,
		v->id << 16, 0xffffffff,
	};
	union ioc_arg a, copy;
	size_t i;
	int nr;

	CHECK_EQ(client_ioc_term(gone->fd, gone->id), 0);
	for (nr = 1; nr <= (int)NELEM(iocs); nr++) {
		if (!iocs[nr - 1].vm)
			continue;
		for (i = 0; i < NELEM(ids); i++) {
			fill_bad(nr, &a, ids[i], 0);
			memcpy(&copy, &a, sizeof(a));
			EXPECT(iocs[nr - 1].name, raw_ioctl(v->fd,
			    iocs[nr - 1].linux, (uintptr_t)&a), ENOENT);
			EXPECT(iocs[nr - 1].name, memcmp(&a, &copy,
			    sizeof(a)), 0);
		}
	}
	CHECK_EQ(client_run(v, NO_IRQ), 0);
}

static void
unknown_vcpu(void)
{
	struct client_vm *v = new_started(code_spin, sizeof(code_spin), 3);
	static const uint32_t ids[] = {
		3, 4, 63, 64, 65, 0x100, 0x10000, 0x80000000, 0xffffffff,
	};
	union ioc_arg a, copy;
	struct bg r;
	size_t i;
	int nr;

	bg_start(&r, v, 0);		/* ENOENT before EBUSY as well */
	for (nr = 1; nr <= (int)NELEM(iocs); nr++) {
		if (!iocs[nr - 1].vcpu)
			continue;
		for (i = 0; i < NELEM(ids); i++) {
			fill_bad(nr, &a, v->id, ids[i]);
			memcpy(&copy, &a, sizeof(a));
			EXPECT(iocs[nr - 1].name, raw_ioctl(v->fd,
			    iocs[nr - 1].linux, (uintptr_t)&a), ENOENT);
			EXPECT(iocs[nr - 1].name, memcmp(&a, &copy,
			    sizeof(a)), 0);
		}
	}
	CHECK(!r.returned);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	bg_join(&r);
}

/* The last of 64 is known, the 65th is not. */
static void
last_vcpu(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 64);

	v->vcpu = 63;
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
	v->vcpu = 64;
	CHECK_EQ(client_run(v, NO_IRQ), ENOENT);
}

/* A second open file of the same user may do all eleven. */
static void
other_file(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vm_info_result vir;
	union ioc_arg a;
	int fd, nr;

	fd = client_open();
	CHECK(fd != -1);
	v->fd = fd;
	for (nr = (int)NELEM(iocs); nr > 0; nr--) {
		if (nr == IOC_TERM || nr == IOC_CREATE)
			continue;
		ioc_fill(nr, &a, v);
		EXPECT(iocs[nr - 1].name, raw_ioctl(fd, iocs[nr - 1].linux,
		    (uintptr_t)&a), 0);
	}
	CHECK(get_info(v->id, &vir));
	CHECK_EQ(close(fd), 0);
	/* The VM is the first file's: closing the second ends nothing. */
	v->fd = conform_fd;
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	fd = client_open();
	CHECK(fd != -1);
	CHECK_EQ(client_ioc_term(fd, v->id), 0);
	CHECK_EQ(client_ioc_term(conform_fd, v->id), ENOENT);
	CHECK_EQ(close(fd), 0);
}

/* A VM of a file of its own, in *v. */
static int
own_file(struct client_vm *v, size_t ncpus)
{
	int fd = client_open();

	CHECK(fd != -1);
	CHECK_EQ(client_create(fd, "own", CLIENT_MIB, ncpus, v), 0);
	set_code(v, code_out, sizeof(code_out));
	for (v->vcpu = 0; v->vcpu < ncpus; v->vcpu++)
		CHECK_EQ(client_start(v, GUEST_REAL), 0);
	v->vcpu = 0;
	return (fd);
}

/* Memory behind a VM that ended by itself. */
static void
drop(struct client_vm *v)
{
	v->fd = conform_fd;
	CHECK_EQ(client_ioc_term(conform_fd, v->id), ENOENT);
	v->id = 0;
	client_destroy(v);
}

static void
l1_close(void)
{
	struct client_vm a, b, *other = new_vm(CLIENT_MIB, 1);
	struct vm_info_result vir;
	int fd;

	fd = own_file(&a, 1);
	CHECK_EQ(client_create(fd, "second", CLIENT_MIB, 4, &b), 0);
	CHECK_EQ(client_run(&a, NO_IRQ), 0);
	CHECK_EQ(vm_count(), 3);
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(vm_count(), 1);
	CHECK(get_info(other->id, &vir));
	drop(&a);
	drop(&b);
}

static void
l1_dup(void)
{
	struct client_vm v;
	int fd, two, three;

	fd = own_file(&v, 1);
	two = dup(fd);
	CHECK(two != -1);
	three = fcntl(fd, F_DUPFD, 20);
	CHECK(three >= 20);
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(vm_count(), 1);
	v.fd = two;
	CHECK_EQ(client_run(&v, NO_IRQ), 0);
	CHECK_EQ(client_event(&v), CLIENT_IO);
	CHECK_EQ(close(two), 0);
	CHECK_EQ(vm_count(), 1);
	v.fd = three;
	CHECK_EQ(client_run(&v, NO_IRQ), 0);
	CHECK_EQ(close(three), 0);
	CHECK_EQ(vm_count(), 0);
	drop(&v);
}

/* dup2 over the last descriptor closes it. */
static void
l1_dup2(void)
{
	struct client_vm v;
	int fd;

	fd = own_file(&v, 1);
	CHECK_EQ(vm_count(), 1);
	CHECK_EQ(dup2(conform_fd, fd), fd);
	CHECK_EQ(vm_count(), 0);
	CHECK_EQ(close(fd), 0);
	drop(&v);
}

/* A VCPU that runs through another file: it ends as by TERM. */
static void
l1_running(void)
{
	struct client_vm v;
	struct bg r;
	int fd;

	fd = own_file(&v, 1);
	set_code(&v, code_spin, sizeof(code_spin));
	v.fd = conform_fd;
	bg_start(&r, &v, 0);
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(vm_count(), 0);
	bg_join(&r);
	CHECK_EQ(r.error, 0);
	CHECK_EQ(r.run.vrp_exit_reason, VM_EXIT_TERMINATED);
	drop(&v);
}

/* Files without a VM, many and in any order. */
static void
l1_many(void)
{
	struct client_vm v[8];
	int fd[8];
	size_t i;

	for (i = 0; i < 8; i++)
		fd[i] = own_file(&v[i], 1);
	CHECK_EQ(vm_count(), 8);
	for (i = 0; i < 8; i++) {
		CHECK_EQ(close(fd[i * 5 % 8]), 0);
		CHECK_EQ(vm_count(), 7 - i);
		drop(&v[i * 5 % 8]);
	}
	for (i = 0; i < 100; i++) {
		fd[0] = client_open();
		CHECK(fd[0] != -1);
		CHECK_EQ(close(fd[0]), 0);
	}
}

/* A closed descriptor is no way in. */
static void
closed(void)
{
	union ioc_arg a;
	int fd = client_open(), nr;
	struct client_vm *v = new_vm(CLIENT_MIB, 1);

	CHECK(fd != -1);
	CHECK_EQ(close(fd), 0);
	for (nr = 1; nr <= (int)NELEM(iocs); nr++) {
		ioc_fill(nr, &a, v);
		EXPECT(iocs[nr - 1].name, raw_ioctl(fd, iocs[nr - 1].linux,
		    (uintptr_t)&a), EBADF);
	}
	CHECK_EQ(vm_count(), 1);
}

const struct clause ioctl_order[] = {
	ROW("3.0.enoent-vm", "an unknown VM is ENOENT before anything else",
	    MATCH, unknown_vm),
	ROW("3.0.enoent-vcpu", "an unknown VCPU is ENOENT before anything "
	    "else", MATCH, unknown_vcpu),
	ROW("B1.last-vcpu", "VCPU 63 of 64 runs, 64 is ENOENT", BEYOND,
	    last_vcpu),
	ROW("L2.other-file", "another open file of the user may act on a VM",
	    MATCH, other_file),
	ROW("L1.close", "the last close ends the VMs of its file", FIX,
	    l1_close),
	ROW("L1.dup", "a duplicate keeps them", FIX, l1_dup),
	ROW("L1.dup2", "dup2 over the last descriptor ends them", FIX,
	    l1_dup2),
	ROW("L1.running", "a VCPU that runs meanwhile returns TERMINATED",
	    FIX, l1_running),
	ROW("L1.many", "files end in any order", FIX, l1_many),
	ROW("3.0.closed", "a closed descriptor is EBADF", MATCH, closed),
	CLAUSE_END
};
