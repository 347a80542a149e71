/* SPDX-License-Identifier: ISC */
/*
 * thread.c - threads, the scheduler, sleeping, and the driver's mutexes.
 *
 * A ring of all threads, taken in turn: at a tick in ring 3, or where the
 * kernel sleeps or yields. A thread sleeps on an address ("channel") until
 * somebody names that address, its deadline passes, or a signal comes.
 */
#include "metal.h"

#define MAX_THREADS	128
#define THREAD_ORDER	2
#define KSTACK_SLOT	(PAGE_SIZE << THREAD_ORDER)
#define SLOT_PTE(slot)	pt_walk(KSTACKS + (slot) * KSTACK_SLOT, 1)
#define FPU_AREA	1024		/* in the page of the struct */

struct thread *cur;
struct thread *fpu_owner;
volatile bool resched;
static struct thread *zombie;		/* dead, its stack still in use */

/*
 * A thread is one block: a page for its struct and FPU state, then its
 * kernel stack. The stack is used through a slot of linear addresses whose
 * first page is not mapped, so that an overflow is a #DF and not a corrupted
 * neighbour. This maps a slot, or with pa 0 unmaps it.
 */
static void
slot_map(int slot, uint64_t pa)
{
	uint64_t va = KSTACKS + slot * KSTACK_SLOT, *pte = SLOT_PTE(slot), i;

	for (i = 1; i < 1 << THREAD_ORDER; i++) {
		pte[i] = pa == 0 ? 0 : (pa + i * PAGE_SIZE) | PTE_P | PTE_W |
		    PTE_G | cpu_nx;
		__asm__ volatile("invlpg (%0)" : : "r"(va + i * PAGE_SIZE));
	}
}

/*
 * A thread that will call fn with its frame, then enter ring 3 with what fn
 * left there. Returns: NULL, no memory or too many threads.
 */
struct thread *
thread_create(void (*fn)(struct frame *))
{
	static int last_tid;
	struct thread *t;
	uint64_t *sp;
	int slot = 0;

	while (slot < MAX_THREADS && SLOT_PTE(slot)[1] != 0)
		slot++;
	if (slot == MAX_THREADS || (t = host_page_alloc(THREAD_ORDER)) == NULL)
		return (NULL);
	slot_map(slot, pa_of(t));
	t->slot = slot;
	t->tid = ++last_tid;
	t->fpu = (char *)t + FPU_AREA;
	fpu_fresh(t->fpu);
	t->frame = (struct frame *)(KSTACKS + (slot + 1) * KSTACK_SLOT) - 1;

	/* What switch_to() pops: r15 r14 r13 r12 rbx rbp, return address. */
	sp = (uint64_t *)t->frame - 7;
	sp[3] = (uint64_t)fn;
	sp[6] = (uint64_t)thread_tramp;
	t->ksp = (uint64_t)sp;
	t->next = cur != NULL ? cur->next : t;
	if (cur != NULL)
		cur->next = t;
	return (t);
}

/* Takes the thread that has ended out of the ring and frees it. */
static void
reap(void)
{
	struct thread *prev = cur;

	while (prev->next != zombie)
		prev = prev->next;
	prev->next = zombie->next;
	slot_map(zombie->slot, 0);
	host_page_free(zombie, THREAD_ORDER);
	zombie = NULL;
}

/*
 * After every switch, on the new thread's stack; and so the function of a
 * thread that starts in ring 3 with the frame it has. A tick that was due
 * before is not the end of this turn: where turns and ticks keep step, the
 * same thread would lose all of its turns.
 */
void
thread_begin(struct frame *f)
{
	(void)f;
	if (zombie != NULL)
		reap();
	sti();
	__asm__ volatile("nop");	/* STI holds interrupts for one more */
	resched = false;
}

/* Gives t the CPU. Locks: interrupts off. Returns in the caller's turn. */
static void
switch_thread(struct thread *t)
{
	static struct thread boot;
	struct thread *from = cur != NULL ? cur : &boot;

	cur = t;
	cpu_set_stack((uint64_t)(t->frame + 1));
	if (t->fsbase != from->fsbase)
		wrmsr(MSR_FS_BASE, t->fsbase);
	switch_to(&from->ksp, t->ksp);
}

/* Leaves the boot stack for good. The slots' tables are made, to stay. */
void
thread_first(void (*fn)(struct frame *))
{
	int slot;

	for (slot = 0; slot < MAX_THREADS; slot++)
		if (SLOT_PTE(slot) == NULL)
			panic("no memory for kernel stacks");
	cli();
	switch_thread(thread_create(fn));
	__builtin_unreachable();
}

/* The next thread in turn that can run; ends sleeps that are over. */
static struct thread *
pick(void)
{
	struct thread *t, *best = NULL;

	FOREACH_THREAD(t) {
		if (t->state == T_SLEEPING && t->deadline != 0 &&
		    t->deadline <= host_time_ns()) {
			t->state = T_READY;
			t->wake_error = ETIMEDOUT;
		}
		if (t->state == T_READY && best == NULL)
			best = t;
	}
	return (best);
}

/*
 * Gives the CPU to the next thread; returns when it is the caller's turn
 * again. With nobody to run the CPU halts until an interrupt.
 */
void
schedule(void)
{
	struct thread *t;

	cli();
	for (;;) {
		resched = false;
		tty_input();
		if ((t = pick()) != NULL)
			break;
		wait_irq();
	}
	if (t != cur)
		switch_thread(t);
	thread_begin(NULL);
}

/* The calling thread ends; the one that runs next frees it. */
void
thread_exit(void)
{
	cli();
	cur->state = T_DEAD;
	if (fpu_owner == cur)
		fpu_owner = NULL;
	zombie = cur;
	schedule();
	__builtin_unreachable();
}

/*
 * Sleeps on `chan` until wakeup(), `deadline` (ns, 0: none) or, if
 * interruptible, a signal. Returns: 0, ETIMEDOUT, EINTR.
 */
int
sleep_on(const void *chan, uint64_t deadline, bool interruptible)
{
	if (interruptible && signal_pending(cur))
		return (EINTR);
	cur->chan = chan;
	cur->deadline = deadline;
	cur->interruptible = interruptible;
	cur->wake_error = 0;
	cur->state = T_SLEEPING;
	schedule();
	return (cur->wake_error);
}

/*
 * Wakes at most n threads that sleep on chan, or makes them sleep on `to`
 * instead if that is not NULL. Returns: how many.
 */
int
wakeup(const void *chan, int n, const void *to)
{
	struct thread *t;
	int done = 0;

	FOREACH_THREAD(t)
		if (done < n && t->state == T_SLEEPING && t->chan == chan) {
			done++;
			if (to != NULL)
				t->chan = to;
			else
				t->state = T_READY;
		}
	return (done);
}

/* --- host.h: mutexes. Unlocking hands over, so that no waiter starves. --- */

/* The fake host of the unit tests checks ranks; here they are a note. */
void
host_mutex_init(struct host_mutex *m, const char *name, int rank)
{
	*m = (struct host_mutex){ .name = name, .rank = rank };
}

/* Panics if anybody holds or wants it. */
void
host_mutex_destroy(struct host_mutex *m)
{
	if (m->owner != NULL || m->waiters != 0)
		panic("mutex %s destroyed in use", m->name);
}

/* Panics unless the caller holds it. */
static void
mutex_assert(struct host_mutex *m)
{
	if (m->owner != cur)
		panic("mutex %s not held", m->name);
}

/* Sleeps until the holder hands over; a signal does not end that. */
void
host_mutex_lock(struct host_mutex *m)
{
	if (m->owner == NULL) {
		m->owner = cur;
		return;
	}
	if (m->owner == cur)
		panic("mutex %s locked twice", m->name);
	m->waiters++;
	sleep_on(m, 0, false);
	m->waiters--;
	mutex_assert(m);
}

/* Hands over to the waiter whose turn is next. */
void
host_mutex_unlock(struct host_mutex *m)
{
	struct thread *t;

	mutex_assert(m);
	m->owner = NULL;
	if (m->waiters == 0)
		return;
	FOREACH_THREAD(t)
		if (t->state == T_SLEEPING && t->chan == m) {
			m->owner = t;
			t->state = T_READY;
			return;
		}
}

/* After a tick. */
void
host_yield(void)
{
	if (resched)
		schedule();
}
