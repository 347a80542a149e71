/* SPDX-License-Identifier: ISC */
/*
 * bench_kvm.c - the side that is /dev/kvm, by its bare ioctls.
 *
 * No interrupt controller in the kernel: HLT comes back to the client then,
 * as it does from vmm.
 */
#include <linux/kvm.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

#define CPUID_MAX	256

static struct {
	int			 fd;		/* of /dev/kvm */
	int			 run_size;	/* of struct kvm_run, mapped */
	struct kvm_sregs	 start;		/* of GUEST_REAL */
	struct kvm_cpuid2	*cpuid;
} kvm = { .fd = -1 };

/* One ioctl. Returns what it returns, or -1 with errno. */
static int
ioc(int fd, unsigned long cmd, const void *arg)
{
	return (ioctl(fd, cmd, arg));
}

static void
kvm_term(struct bench_vm *vm)
{
	if (vm->kvm_run != NULL)
		munmap(vm->kvm_run, kvm.run_size);
	if (vm->kvm_vcpu != -1)
		close(vm->kvm_vcpu);
	if (vm->kvm_vm != -1)
		close(vm->kvm_vm);
}

static int
kvm_create(struct bench_vm *vm)
{
	struct kvm_userspace_memory_region memory = {
		.memory_size = vm->v.size,
		.userspace_addr = (uintptr_t)vm->v.mem,
	};
	void *run;
	int error;

	vm->kvm_run = NULL;
	vm->kvm_vcpu = -1;
	vm->kvm_vm = ioc(kvm.fd, KVM_CREATE_VM, NULL);
	if (vm->kvm_vm == -1)
		return (errno);
	if (ioc(vm->kvm_vm, KVM_SET_USER_MEMORY_REGION, &memory) == -1)
		goto fail;
	vm->kvm_vcpu = ioc(vm->kvm_vm, KVM_CREATE_VCPU, NULL);
	if (vm->kvm_vcpu == -1)
		goto fail;
	run = mmap(NULL, kvm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    vm->kvm_vcpu, 0);
	if (run == MAP_FAILED)
		goto fail;
	vm->kvm_run = run;
	return (0);

fail:
	error = errno;
	kvm_term(vm);
	return (error);
}

static int
kvm_cpuid(struct bench_vm *vm)
{
	return (ioc(vm->kvm_vcpu, KVM_SET_CPUID2, kvm.cpuid) == -1 ? errno : 0);
}

/* The state of client_start_state(GUEST_REAL), as far as a guest sees it. */
static int
kvm_reset(struct bench_vm *vm)
{
	struct kvm_regs regs = {
		.rip = GUEST_ENTRY,
		.rsp = GUEST_STACK - 0x10,
		.rflags = 0x2,
	};

	if (ioc(vm->kvm_vcpu, KVM_SET_SREGS, &kvm.start) == -1 ||
	    ioc(vm->kvm_vcpu, KVM_SET_REGS, &regs) == -1)
		return (errno);
	return (0);
}

/*
 * A VCPU is made in real mode, at the reset vector: moves CS to 0. Learnt
 * once, so that what create and reset cost has no question in it.
 */
static int
kvm_learn(void)
{
	static _Alignas(4096) uint8_t page[4096];
	struct bench_vm vm = { .v.mem = page, .v.size = sizeof(page) };
	int error = kvm_create(&vm);

	if (error != 0)
		return (error);
	if (ioc(vm.kvm_vcpu, KVM_GET_SREGS, &kvm.start) == -1 ||
	    ioc(kvm.fd, KVM_GET_SUPPORTED_CPUID, kvm.cpuid) == -1)
		error = errno;
	kvm.start.cs.selector = 0;
	kvm.start.cs.base = 0;
	kvm_term(&vm);
	return (error);
}

static void
kvm_close(void)
{
	free(kvm.cpuid);
	close(kvm.fd);
}

/* ENOTSUP: another API than the one there has been since Linux 2.6.22. */
static int
kvm_open(void)
{
	int error = ENOTSUP;

	kvm.fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm.fd == -1)
		return (errno);
	kvm.cpuid = calloc(1, sizeof(*kvm.cpuid) +
	    CPUID_MAX * sizeof(kvm.cpuid->entries[0]));
	if (kvm.cpuid == NULL) {
		error = ENOMEM;
		goto fail;
	}
	kvm.cpuid->nent = CPUID_MAX;
	if (ioc(kvm.fd, KVM_GET_API_VERSION, NULL) != KVM_API_VERSION)
		goto fail;
	kvm.run_size = ioc(kvm.fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (kvm.run_size == -1)
		goto fail;
	error = kvm_learn();
	if (error == 0)
		return (0);

fail:
	kvm_close();
	return (error);
}

static int
kvm_run(struct bench_vm *vm)
{
	return (ioc(vm->kvm_vcpu, KVM_RUN, NULL) == -1 ? errno : 0);
}

static enum bench_exit
kvm_exit(const struct bench_vm *vm, uint32_t *data)
{
	const struct kvm_run *run = vm->kvm_run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		*data = *(const uint32_t *)((const uint8_t *)run +
		    run->io.data_offset);
		return (run->io.direction == KVM_EXIT_IO_OUT &&
		    run->io.size == 4 && run->io.count == 1 &&
		    run->io.port == BENCH_PORT ? BENCH_OUT : BENCH_OTHER);
	case KVM_EXIT_HLT:
		return (BENCH_HLT);
	default:
		return (BENCH_OTHER);
	}
}

const struct bench_side bench_kvm = {
	.name = "kvm",
	.open = kvm_open,
	.close = kvm_close,
	.create = kvm_create,
	.cpuid = kvm_cpuid,
	.reset = kvm_reset,
	.run = kvm_run,
	.exit = kvm_exit,
	.term = kvm_term,
};
