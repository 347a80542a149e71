// SPDX-License-Identifier: ISC
/*
 * trace.c - what the driver tells of entries, exits and requests, as
 * tracepoints. One that nobody listens to is a jump over it.
 */
#include <linux/types.h>

#include "host.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

void
host_trace_entry(uint32_t vm, uint32_t vcpu, uint64_t rip)
{
	trace_vmm_entry(vm, vcpu, rip);
}

void
host_trace_exit(uint32_t vm, uint32_t vcpu, uint64_t rip, const char *kind,
    uint64_t code, const uint64_t info[2])
{
	trace_vmm_exit(vm, vcpu, rip, kind, code, info);
}

void
host_trace_ioctl(uint32_t nr, uint32_t vm, int error)
{
	trace_vmm_ioctl(nr, vm, error);
}
