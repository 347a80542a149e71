/* SPDX-License-Identifier: ISC */
/*
 * abi.c - the assertions of abi.h at compile time, for any C11 compiler and
 * without any other header of the project before vmmvar.h.
 */
#ifdef MACHINE_VMMVAR
#include <machine/vmmvar.h>
#else
#include <vmmvar.h>
#endif

#include "abi.h"

#define SIZE(t, n)		_Static_assert(sizeof(t) == (n), #t);
#define OFFSET(t, f, o, n) \
	_Static_assert(offsetof(t, f) == (o), #t "." #f); \
	_Static_assert(sizeof(((t *)0)->f) == (n), #t "." #f);
#define VALUE(name, v)		_Static_assert((name) == (v), #name);
#define IOCTL(name, bsd, linux) \
	_Static_assert((name) == (bsd) || (name) == (linux), #name);

ABI_SIZES(SIZE)
ABI_OFFSETS(OFFSET)
ABI_VALUES(VALUE)
ABI_IOCTLS(IOCTL)

_Static_assert(sizeof(VMM_HV_SIGNATURE) == 13, "CPUID signature");
_Static_assert(_Alignof(struct vm_exit_inout) == 4, "vm_exit_inout");
_Static_assert(_Alignof(struct vcpu_segment_info) == 8, "vcpu_segment_info");
_Static_assert(_Alignof(struct vcpu_reg_state) == 8, "vcpu_reg_state");
_Static_assert(_Alignof(struct vm_exit) == 8, "vm_exit");
_Static_assert(_Generic(((struct vm_run_params *)0)->vrp_exit,
    struct vm_exit *: 1, default: 0), "vrp_exit");
_Static_assert(_Generic(((struct vm_info_params *)0)->vip_info,
    struct vm_info_result *: 1, default: 0), "vip_info");
_Static_assert(_Generic(((struct vm_create_params *)0)->vcp_name,
    char *: 1, default: 0), "vcp_name");
