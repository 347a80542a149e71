/* SPDX-License-Identifier: ISC */
/*
 * ioctl_all.c - the clauses about the ioctls, in the order they are run.
 */
#include "ioctl_host.h"

const struct clause *const ioctl_tables[] = {
	ioctl_number,
	ioctl_fault,
	ioctl_create,
	ioctl_vm,
	ioctl_info,
	ioctl_reset,
	ioctl_regs,
	ioctl_judge,
	ioctl_judge_sys,
	ioctl_params,
	ioctl_protect,
	ioctl_order,
	ioctl_run,
	ioctl_race,
	ioctl_many,
	ioctl_users,
	ioctl_memory,
	ioctl_cpus,
	ioctl_thread,
	NULL
};
