/* SPDX-License-Identifier: ISC */
/*
 * bench.c - what vmm costs, beside KVM in the same boot.
 *
 *	bench [--rounds N] [--no-kvm] [--json]
 *
 * Ticks of the TSC, which under QEMU's -icount and in Bochs are instructions.
 * The two hypervisors refuse to share the CPU, so all of vmm comes first and
 * has ended when KVM starts. Status: 0; 1: vmm is missing, or something did
 * not work; 2: usage.
 */
#include <err.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { VMM, KVM, SIDES };

static const struct bench_side *const sides[SIDES] = { &bench_vmm, &bench_kvm };
static struct bench_stat stats[BENCH_ROWS][SIDES];

/* All rows of one side. Returns false, having said why, if it is not here. */
static bool
measure(int side, int rounds)
{
	const struct bench_side *s = sides[side];
	int error = s->open(), i;

	if (error != 0) {
		warnx("/dev/%s: %s", s->name, strerror(error));
		return (false);
	}
	for (i = 0; i < BENCH_ROWS; i++)
		stats[i][side] = bench_measure(s, &bench_rows[i], rounds);
	s->close();
	return (true);
}

/* A median in its column, or a dash. */
static void
print_figure(const struct bench_stat *st)
{
	if (st->n == 0)
		printf(" %11s", "-");
	else
		printf(" %11lu", st->median);
}

static void
print_table(bool instructions)
{
	const struct bench_stat *st;
	int i;

	printf("bench: %s, medians, in %s\n\n",
	    client_is_svm() ? "SVM" : "VMX",
	    instructions ? "instructions" : "ticks of the TSC");
	printf("%-42s %11s %11s %9s\n", "", "vmm", "kvm", "vmm/kvm");
	for (i = 0; i < BENCH_ROWS; i++) {
		st = stats[i];
		printf("%-42s", bench_rows[i].what);
		print_figure(&st[VMM]);
		print_figure(&st[KVM]);
		if (st[VMM].n == 0 || st[KVM].n == 0)
			printf(" %9s\n", "-");
		else
			printf(" %9.2f\n", (double)st[VMM].median /
			    st[KVM].median);
	}
}

/* One line, for tools/bench.py. A side that is not here is null. */
static void
print_json(bool instructions)
{
	const struct bench_stat *st;
	int i, side;

	printf("bench-json: {\"vendor\": \"%s\", \"unit\": \"%s\", "
	    "\"rows\": [",
	    client_is_svm() ? "svm" : "vmx",
	    instructions ? "instructions" : "ticks");
	for (i = 0; i < BENCH_ROWS; i++) {
		printf("%s{\"name\": \"%s\", \"what\": \"%s\"",
		    i == 0 ? "" : ", ", bench_rows[i].name, bench_rows[i].what);
		for (side = 0; side < SIDES; side++) {
			st = &stats[i][side];
			printf(", \"%s\": ", sides[side]->name);
			if (st->n == 0)
				printf("null");
			else
				printf("{\"n\": %zu, \"min\": %lu, "
				    "\"median\": %lu, \"mean\": %.1f}", st->n,
				    st->min, st->median, st->mean);
		}
		printf("}");
	}
	printf("]}\n");
}

int
main(int argc, char **argv)
{
	bool instructions, json = false, kvm = true, vmm;
	int i;
	long rounds = 3;
	cpu_set_t cpus;
	char *end;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--no-kvm") == 0)
			kvm = false;
		else if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
			rounds = strtol(argv[++i], &end, 10);
			if (*end != '\0')
				rounds = 0;
		} else
			rounds = 0;
		if (rounds < 1 || rounds > BENCH_ROUNDS)
			errx(2, "usage: bench [--rounds 1-%d] [--no-kvm] "
			    "[--json]", BENCH_ROUNDS);
	}

	/* Where this fails there is one CPU, or it costs some accuracy. */
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);

	instructions = client_ticks_are_instructions();
	vmm = measure(VMM, rounds);
	if (kvm)
		measure(KVM, rounds);
	if (!json)
		print_table(instructions);
	print_json(instructions);
	return (vmm ? 0 : 1);
}
