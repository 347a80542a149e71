/* SPDX-License-Identifier: ISC */
/*
 * trace.c - the ring of what happened to a VCPU last.
 *
 * The thread inside RUN writes a record at each exit, any thread one at the
 * end of its request; each takes a number first, and with it a place. A
 * record is whole if its number is the same before and after it was read. (A
 * thread that loses its CPU inside trace_ioctl(), until 128 others have
 * written, may spoil one of theirs.)
 */
#include <insn.h>

#include "vmm.h"

_Static_assert(sizeof(struct trace_record) == 64, "a power of two");

/* book: trace-exit */
/* A place in the ring for what began then and is over, and its number. */
static inline struct trace_record *
trace_begin(struct vcpu *v, uint64_t begin, uint64_t *nr)
{
	uint64_t end = insn_rdtsc();
	uint64_t n = __atomic_fetch_add(&v->traced, 1, __ATOMIC_RELAXED);
	struct trace_record *r = &v->trace[n % TRACE_RECORDS];

	__atomic_store_n(&r->nr, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	r->begin = begin;
	r->end = end;
	*nr = n + 1;
	return (r);
}

/* The guest ran from `begin`, at `rip`, until now. E */
void
trace_exit(struct vcpu *v, const struct vmexit *x, uint64_t begin,
    uint64_t rip)
{
	uint64_t nr;
	struct trace_record *r = trace_begin(v, begin, &nr);

	r->rip[0] = rip;
	r->rip[1] = v->gpr[VCPU_REGS_RIP];
	r->info[0] = x->info[0];
	r->info[1] = x->info[1];
	r->what = (uint32_t)x->code | (uint64_t)x->kind << 56;
	__atomic_store_n(&r->nr, nr, __ATOMIC_RELEASE);
}
/* book: end */

/* A request took from `begin` until now. */
void
trace_ioctl(struct vcpu *v, uint32_t ioctl, uint64_t begin, int error)
{
	uint64_t nr;
	struct trace_record *r = trace_begin(v, begin, &nr);

	r->what = ioctl | (uint64_t)error << 32 | (uint64_t)TRACE_IOCTL << 48;
	__atomic_store_n(&r->nr, nr, __ATOMIC_RELEASE);
}

/* Copy record `nr`. Returns: false: it is not there, or not any more. */
static bool
trace_get(const struct vcpu *v, uint64_t nr, struct trace_record *copy)
{
	const struct trace_record *r = &v->trace[(nr - 1) % TRACE_RECORDS];

	if (__atomic_load_n(&r->nr, __ATOMIC_ACQUIRE) != nr)
		return (false);
	*copy = *r;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return (__atomic_load_n(&r->nr, __ATOMIC_RELAXED) == nr);
}

/* What the ring of a VCPU has, the oldest first. S */
void
view_trace(struct vcpu *v, vmm_put *put, void *arg)
{
	uint64_t last = __atomic_load_n(&v->traced, __ATOMIC_RELAXED);
	uint64_t nr = last > TRACE_RECORDS ? last - TRACE_RECORDS : 0;
	struct trace_record r;

	put(arg, "vm", NULL, v->vm->id);
	put(arg, "vcpu", NULL, v->id);
	while (nr++ < last) {
		if (!trace_get(v, nr, &r))
			continue;
		put(arg, r.type == TRACE_EXIT ? "exit" : "ioctl", NULL, nr);
		if (r.type == TRACE_EXIT) {
			put(arg, "kind", vmexit_name[r.kind], 0);
			put(arg, "code", NULL, r.code);
			put(arg, "info1", NULL, r.info[0]);
			put(arg, "info2", NULL, r.info[1]);
			put(arg, "entry_rip", NULL, r.rip[0]);
			put(arg, "exit_rip", NULL, r.rip[1]);
		} else {
			put(arg, "nr", NULL, r.code);
			put(arg, "errno", NULL, r.error);
		}
		put(arg, "begin", NULL, r.begin);
		put(arg, "end", NULL, r.end);
	}
}
