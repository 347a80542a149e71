/* SPDX-License-Identifier: ISC */
/*
 * bench_vmm.c - the side that is /dev/vmm.
 */
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "bench.h"

static int fd = -1;

static int
vmm_open(void)
{
	fd = client_open();
	return (fd == -1 ? errno : 0);
}

static void
vmm_close(void)
{
	close(fd);
}

static int
vmm_create(struct bench_vm *vm)
{
	struct vm_create_params vcp = {
		.vcp_nmemranges = 1,
		.vcp_memranges[0].vmr_va = (uintptr_t)vm->v.mem,
		.vcp_memranges[0].vmr_size = vm->v.size,
		.vcp_ncpus = 1,
		.vcp_name = "bench",
	};
	int error = client_ioc_create(fd, &vcp);

	vm->v.fd = fd;
	vm->v.id = vcp.vcp_id;
	return (error);
}

static int
vmm_reset(struct bench_vm *vm)
{
	return (client_start(&vm->v, GUEST_REAL));
}

static int
vmm_run(struct bench_vm *vm)
{
	return (client_run(&vm->v, 0xffff));
}

static enum bench_exit
vmm_exit(const struct bench_vm *vm, uint32_t *data)
{
	const struct vm_exit_inout *vei = &vm->v.exit.vei;

	switch (client_event(&vm->v)) {
	case CLIENT_IO:
		*data = vei->vei_data;
		return (vei->vei_dir == VEI_DIR_OUT && vei->vei_size == 4 &&
		    vei->vei_string == 0 && vei->vei_port == BENCH_PORT ?
		    BENCH_OUT : BENCH_OTHER);
	case CLIENT_HLT:
		return (BENCH_HLT);
	default:
		return (BENCH_OTHER);
	}
}

static void
vmm_term(struct bench_vm *vm)
{
	client_ioc_term(fd, vm->v.id);
	vm->v.id = 0;
}

const struct bench_side bench_vmm = {
	.name = "vmm",
	.open = vmm_open,
	.close = vmm_close,
	.create = vmm_create,
	.reset = vmm_reset,
	.run = vmm_run,
	.exit = vmm_exit,
	.term = vmm_term,
};
