/* SPDX-License-Identifier: ISC */
/*
 * exit_all.c - the clauses that run guests, in the order they are run.
 */
#include "exit_util.h"

const struct clause *const exit_tables[] = {
	exit_io,
	exit_run,
	exit_intr,
	exit_shadow,
	exit_event,
	exit_cpuid,
	exit_msr,
	exit_cr,
	exit_crs,
	exit_step,
	exit_insn,
	exit_mode,
	exit_entry,
	exit_mem,
	exit_mix,
	exit_protect,
	exit_fpu,
	exit_pvclock,
	exit_smp,
	exit_trace,
	NULL
};
