/* SPDX-License-Identifier: ISC */
/*
 * bench_rows.c - what is measured, and how.
 *
 * A sample is the ticks over what the client calls and nothing else; that the
 * guest did its work is looked at after the clock has stopped. A guest runs
 * once before it is measured, to have the pages mapped that it always needs.
 */
#include <sys/mman.h>

#include <cpuid.h>
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

#define PAGE		4096UL
#define HUGE_PAGE	(2 * CLIENT_MIB)
#define MEMORY		(4 * CLIENT_MIB)
#define MAP_SIZE	(MEMORY + HUGE_PAGE)
#define EXITS		200	/* samples a round of the rows of one exit */
#define CPUIDS		20	/* units a sample */
#define PAGES		16	/* units a sample */
#define TOUCHES		8	/* samples a round: 128 pages, below 1 MiB */
#define TOUCHED		(TOUCHES * PAGES * PAGE)
#define CREATES		2	/* samples a round */
#define IDLE_RUNS	9	/* of which the median is no work at all */

/* Samples of the row that is being measured. */
static struct {
	uint64_t	v[BENCH_ROUNDS * EXITS];
	size_t		n;
} set;

/* The step `what` of a hypervisor: ends the program unless `error` is 0. */
static void
need(const struct bench_side *s, const char *what, int error)
{
	if (error != 0)
		errx(1, "%s: %s: %s", s->name, what, strerror(error));
}

static int
compare(const void *pa, const void *pb)
{
	uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

	return ((a > b) - (a < b));
}

/* Sorts; the one in the middle, or the lower of the two. */
static uint64_t
median(uint64_t *v, size_t n)
{
	qsort(v, n, sizeof(v[0]), compare);
	return (v[(n - 1) / 2]);
}

/*
 * The memory of a VM, at a multiple of 2 MiB as real clients have it, with
 * the row's guest. The pages to be touched are a mapping of their own that is
 * too small for a large page, and on Linux is to have none: so no hypervisor
 * can map them but one by one. They are not there yet.
 */
static void
make_memory(const struct bench_side *s, const struct bench_row *row,
    struct bench_vm *vm)
{
	uint8_t *touched;
	int mode;

	memset(vm, 0, sizeof(*vm));
	vm->map = mmap(NULL, MAP_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->map == MAP_FAILED)
		err(1, "mmap");
	vm->v.mem = vm->map + -(uintptr_t)vm->map % HUGE_PAGE;
	vm->v.size = MEMORY;
	vm->v.nonce = client_tsc() * 0x9e3779b97f4a7c15UL >> 32;
	touched = vm->v.mem + BENCH_FIRST;
	if (mmap(touched, TOUCHED, PROT_READ | PROT_WRITE, MAP_PRIVATE |
	    MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		err(1, "mmap");
	madvise(touched, TOUCHED, MADV_NOHUGEPAGE);
	need(s, "load", client_load(&vm->v, row->image,
	    row->image_end - row->image, NULL, &mode));
}

/* A VM with the row's guest at its start. */
static void
new_vm(const struct bench_side *s, const struct bench_row *row,
    struct bench_vm *vm)
{
	make_memory(s, row, vm);
	need(s, "create", s->create(vm));
	if (s->cpuid != NULL)
		need(s, "cpuid", s->cpuid(vm));
	need(s, "reset", s->reset(vm));
}

static void
end_vm(const struct bench_side *s, struct bench_vm *vm)
{
	s->term(vm);
	munmap(vm->map, MAP_SIZE);
}

/*
 * Runs the guest until it comes back, which must be as the row says, its sum
 * having come to `sum`. Returns the ticks.
 */
static uint64_t
run(const struct bench_side *s, const struct bench_row *row,
    struct bench_vm *vm, uint32_t sum)
{
	uint64_t start = client_tsc(), ticks;
	uint32_t seen = 0;
	int error = s->run(vm);

	ticks = client_tsc() - start;
	need(s, "run", error);
	if (s->exit(vm, &seen) != row->exit)
		errx(1, "%s: %s: the guest came back in another way", s->name,
		    row->name);
	if (row->exit == BENCH_HLT)
		memcpy(&seen, vm->v.mem + BENCH_SEEN, sizeof(seen));
	if (seen != sum)
		errx(1, "%s: %s: the guest's sum is %#x, and not %#x", s->name,
		    row->name, seen, sum);
	return (ticks);
}

/* One exit to the client and back is one sample. */
static void
row_exit(const struct bench_side *s, const struct bench_row *row)
{
	struct bench_vm vm;
	uint32_t sum;
	int i;

	new_vm(s, row, &vm);
	sum = vm.v.nonce;
	run(s, row, &vm, ++sum);
	for (i = 0; i < row->samples; i++)
		set.v[set.n++] = run(s, row, &vm, ++sum);
	end_vm(s, &vm);
}

/* What one CPUID or one page adds to the sum of its guest. */
static uint32_t
unit_sum(const struct bench_row *row)
{
	uint32_t a, b, c, d;

	if (row->image != bench_cpuid)
		return (1);
	__cpuid(0, a, b, c, d);
	return (b);
}

/* Each touched page holds the sum as it was there. */
static void
check_pages(const struct bench_side *s, const struct bench_vm *vm)
{
	const uint8_t *page = vm->v.mem + BENCH_FIRST;
	uint32_t sum = vm->v.nonce, seen;
	size_t i;

	for (i = 0; i < TOUCHED / PAGE; i++) {
		memcpy(&seen, page + i * PAGE, sizeof(seen));
		if (seen != ++sum)
			errx(1, "%s: page %zu holds %#x, and not %#x",
			    s->name, i, seen, sum);
	}
}

/* A sample is a run with row->units of work less one without, per unit. */
static void
row_work(const struct bench_side *s, const struct bench_row *row)
{
	uint64_t idle[IDLE_RUNS], ticks;
	struct bench_vm vm;
	uint32_t step = unit_sum(row), sum;
	int i;

	new_vm(s, row, &vm);
	if (row->flag)
		memset(vm.v.mem + BENCH_FIRST, 0, TOUCHED);
	sum = vm.v.nonce;
	run(s, row, &vm, sum);
	for (i = 0; i < IDLE_RUNS; i++)
		idle[i] = run(s, row, &vm, sum);
	ticks = median(idle, IDLE_RUNS);
	memcpy(vm.v.mem + GUEST_ARGS, &row->units, sizeof(row->units));
	for (i = 0; i < row->samples; i++) {
		sum += row->units * step;
		set.v[set.n++] = (run(s, row, &vm, sum) - ticks) / row->units;
	}
	if (row->image == bench_touch)
		check_pages(s, &vm);
	end_vm(s, &vm);
}

/* What this thread has had of the CPU; on metal, the time since boot. */
static uint64_t
cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (ts.tv_sec * 1000000000UL + ts.tv_nsec);
}

/* Ticks of the TSC in a nanosecond of cpu_ns(). */
static double
ticks_per_ns(void)
{
	uint64_t i, ns = cpu_ns(), start = client_tsc();

	for (i = 0; i < 500000; i++)
		__asm__ volatile("");
	return ((double)(client_tsc() - start) / (cpu_ns() - ns));
}

/*
 * A VM's life: create and reset, and its end. In between it runs, off the
 * clock, to show that it could have. The clock is the thread's own: KVM
 * sleeps in both halves until other CPUs have let go of what it replaces
 * (RCU), which takes far longer than the work, and is none.
 *
 * With row->flag another VM lives on beside it, so that the CPU's
 * virtualization is not switched on and off.
 */
static void
row_create(const struct bench_side *s, const struct bench_row *row)
{
	struct bench_vm other, vm;
	uint64_t start, ns;
	double rate = ticks_per_ns();
	int i;

	if (row->flag)
		new_vm(s, row, &other);
	for (i = 0; i < row->samples; i++) {
		make_memory(s, row, &vm);
		start = cpu_ns();
		need(s, "create", s->create(&vm));
		need(s, "reset", s->reset(&vm));
		ns = cpu_ns() - start;
		run(s, row, &vm, vm.v.nonce + 1);
		start = cpu_ns();
		s->term(&vm);
		ns += cpu_ns() - start;
		munmap(vm.map, MAP_SIZE);
		set.v[set.n++] = ns * rate;
	}
	if (row->flag)
		end_vm(s, &other);
}

struct bench_stat
bench_measure(const struct bench_side *s, const struct bench_row *row,
    int rounds)
{
	struct bench_stat st = { 0 };
	size_t i;

	set.n = 0;
	while (rounds-- > 0)
		row->fn(s, row);
	st.n = set.n;
	st.median = median(set.v, set.n);
	st.min = set.v[0];
	for (i = 0; i < set.n; i++)
		st.mean += (double)set.v[i] / set.n;
	return (st);
}

#define IMAGE(name)	bench_##name, bench_##name##_end

const struct bench_row bench_rows[BENCH_ROWS] = {
	{ "pio", "OUT to the client and back", row_exit, IMAGE(pio),
	    BENCH_OUT, EXITS, 0, false },
	{ "hlt", "HLT to the client and back", row_exit, IMAGE(hlt),
	    BENCH_HLT, EXITS, 0, false },
	{ "cpuid", "CPUID, handled in the kernel", row_work, IMAGE(cpuid),
	    BENCH_OUT, 10, CPUIDS, false },
	{ "touch", "first touch of a page", row_work, IMAGE(touch),
	    BENCH_OUT, TOUCHES, PAGES, true },
	{ "touch-absent", "the same, not there in the client either",
	    row_work, IMAGE(touch), BENCH_OUT, TOUCHES, PAGES, false },
	{ "create", "create, reset, end of a first VM", row_create, IMAGE(pio),
	    BENCH_OUT, CREATES, 0, false },
	{ "create-more", "create, reset, end of one more VM", row_create,
	    IMAGE(pio), BENCH_OUT, CREATES, 0, true },
};
