/* SPDX-License-Identifier: ISC */
/*
 * thread.c - threads, the scheduler, sleeping, and the driver's mutexes.
 *
 * A ring of all threads, taken in turn: at a tick in ring 3, or where the
 * kernel sleeps or yields. A thread sleeps on an address ("channel") until
 * somebody names that address, its deadline passes, or a signal comes.
 */
#include <string.h>

#include "metal.h"

#define MAX_THREADS	128
#define KSTACK_ORDER	2
#define KSTACK_SIZE	(PAGE_SIZE << KSTACK_ORDER)
#define KSTACK_SLOT	(2 * KSTACK_SIZE)
#define MSR_FS_BASE	0xc0000100
#define MSR_GS_BASE	0xc0000101

struct thread *cur;
struct thread *fpu_owner;
volatile bool resched;
static struct thread *zombie;		/* dead, its stack still in use */
static uint64_t slots[MAX_THREADS / 64];
static int last_tid;

/*
 * Maps a stack into a slot of its own, below which nothing is mapped, so
 * that an overflow is a #DF and not a corrupted neighbour. The tables of the
 * slots stay for ever: thread_start_first() makes them.
 */
static uint64_t *
slot_pte(int slot)
{
	return (pt_walk(kernel_pml4, KSTACKS + slot * KSTACK_SLOT +
	    KSTACK_SIZE, 1, true));
}

static int
slot_alloc(void)
{
	int slot;

	for (slot = 0; slot < MAX_THREADS; slot++)
		if ((slots[slot / 64] >> slot % 64 & 1) == 0) {
			slots[slot / 64] |= 1UL << slot % 64;
			return (slot);
		}
	return (-1);
}

/*
 * A thread, not yet in the ring if it is the first; it will call fn with
 * its frame, then enter ring 3 with what fn left there.
 * Returns: NULL, no memory or too many threads.
 */
struct thread *
thread_create(void (*fn)(struct frame *))
{
	struct thread *t = host_alloc(sizeof(*t));
	void *fpu = host_alloc(round_up(fpu_size, 64UL));
	char *stack = host_page_alloc(KSTACK_ORDER);
	uint64_t *pte, *sp;
	int slot = slot_alloc(), i;

	if (t == NULL || fpu == NULL || stack == NULL || slot < 0)
		goto fail;
	if ((pte = slot_pte(slot)) == NULL)
		goto fail;
	for (i = 0; i < 1 << KSTACK_ORDER; i++)
		pte[i] = (pa_of(stack) + i * PAGE_SIZE) | PTE_P | PTE_W |
		    PTE_G | cpu_nx;
	t->slot = slot;
	t->kstack = KSTACKS + (slot + 1) * KSTACK_SLOT;
	t->fpu = fpu;
	t->tid = ++last_tid;
	fpu_fresh(fpu);

	/* What switch_to() pops: r15 r14 r13 r12 rbx rbp, return address. */
	sp = (uint64_t *)(stack + KSTACK_SIZE - sizeof(struct frame)) - 7;
	sp[3] = (uint64_t)fn;
	sp[6] = (uint64_t)thread_tramp;
	t->ksp = t->kstack - sizeof(struct frame) - 7 * sizeof(*sp);

	if (cur != NULL) {
		t->next = cur->next;
		cur->next = t;
	}
	return (t);

fail:
	if (slot >= 0)
		slots[slot / 64] &= ~(1UL << slot % 64);
	if (stack != NULL)
		host_page_free(stack, KSTACK_ORDER);
	host_free(fpu);
	host_free(t);
	return (NULL);
}

/* Gives a dead thread's memory back. */
static void
thread_free(struct thread *t)
{
	uint64_t *pte = slot_pte(t->slot), va = t->kstack - KSTACK_SIZE;
	void *stack = va_of(pte[0] & PTE_ADDR);

	for (; va < t->kstack; va += PAGE_SIZE, pte++) {
		*pte = 0;
		__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
	}
	slots[t->slot / 64] &= ~(1UL << t->slot % 64);
	host_page_free(stack, KSTACK_ORDER);
	host_free(t->fpu);
	host_free(t);
}

/* After every switch, on the new thread's stack. */
static void
switched(void)
{
	struct thread *prev = cur;

	if (zombie != NULL) {
		while (prev->next != zombie)
			prev = prev->next;
		prev->next = zombie->next;
		thread_free(zombie);
		zombie = NULL;
	}
	sti();
}

/* The function of a thread that starts in ring 3 with the frame it has. */
void
thread_begin(struct frame *f)
{
	(void)f;
	switched();
}

static void
switch_thread(struct thread *t)
{
	static uint64_t boot_ksp;
	uint64_t *save = cur != NULL ? &cur->ksp : &boot_ksp;
	uint64_t fs = cur != NULL ? cur->fsbase : 0;
	uint64_t gs = cur != NULL ? cur->gsbase : 0;

	cur = t;
	cpu_set_stack(t->kstack);
	if (t->fsbase != fs)
		wrmsr(MSR_FS_BASE, t->fsbase);
	if (t->gsbase != gs)
		wrmsr(MSR_GS_BASE, t->gsbase);
	switch_to(save, t->ksp);
}

/* Leaves the boot stack for good. */
void
thread_start_first(struct thread *t)
{
	int slot;

	for (slot = 0; slot < MAX_THREADS; slot++)
		if (slot_pte(slot) == NULL)
			panic("no memory for kernel stacks");
	t->next = t;
	cli();
	switch_thread(t);
	__builtin_unreachable();
}

/* The next thread in turn that can run; ends sleeps that are over. */
static struct thread *
pick(void)
{
	struct thread *t = cur, *best = NULL;
	uint64_t now = 0;

	do {
		t = t->next;
		if (t->state == T_SLEEPING && t->deadline != 0) {
			if (now == 0)
				now = host_time_ns();
			if (t->deadline <= now) {
				t->state = T_READY;
				t->wake_error = ETIMEDOUT;
			}
		}
		if (t->state == T_READY && best == NULL)
			best = t;
	} while (t != cur);
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
		__asm__ volatile("sti; hlt; cli" ::: "memory");
	}
	if (t != cur)
		switch_thread(t);
	switched();
}

void
host_yield(void)
{
	if (resched)
		schedule();
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
	cur->chan = NULL;
	return (cur->wake_error);
}

/* Wakes at most n threads that sleep on chan. Returns: how many. */
int
wakeup(const void *chan, int n)
{
	struct thread *t = cur;
	int woken = 0;

	do {
		t = t->next;
		if (woken < n && t->state == T_SLEEPING && t->chan == chan) {
			t->state = T_READY;
			woken++;
		}
	} while (t != cur);
	return (woken);
}

/* Makes at most n threads that sleep on `from` sleep on `to` instead. */
int
wakeup_move(const void *from, const void *to, int n)
{
	struct thread *t = cur;
	int moved = 0;

	do {
		t = t->next;
		if (moved < n && t->state == T_SLEEPING && t->chan == from) {
			t->chan = to;
			moved++;
		}
	} while (t != cur);
	return (moved);
}

/* Calls fn for every thread. */
void
thread_each(void (*fn)(struct thread *, void *), void *arg)
{
	struct thread *t = cur;

	do {
		t = t->next;
		fn(t, arg);
	} while (t != cur);
}

struct thread *
thread_find(int tid)
{
	struct thread *t = cur;

	do {
		t = t->next;
		if (t->tid == tid && t->state != T_DEAD)
			return (t);
	} while (t != cur);
	return (NULL);
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

/* --- host.h: mutexes. Unlocking hands over, so that no waiter starves. --- */

void
host_mutex_init(struct host_mutex *m, const char *name, int rank)
{
	*m = (struct host_mutex){ .name = name, .rank = rank };
}

void
host_mutex_destroy(struct host_mutex *m)
{
	if (m->owner != NULL || m->waiters != 0)
		panic("mutex %s destroyed in use", m->name);
}

void
host_mutex_lock(struct host_mutex *m)
{
	if (m->owner == cur)
		panic("mutex %s locked twice", m->name);
	if (m->owner == NULL) {
		m->owner = cur;
		return;
	}
	m->waiters++;
	sleep_on(m, 0, false);
	m->waiters--;
	host_mutex_assert(m);
}

void
host_mutex_unlock(struct host_mutex *m)
{
	struct thread *t;

	host_mutex_assert(m);
	m->owner = NULL;
	if (m->waiters == 0)
		return;
	for (t = cur->next; t != cur; t = t->next)
		if (t->state == T_SLEEPING && t->chan == m) {
			m->owner = t;
			t->state = T_READY;
			return;
		}
}

void
host_mutex_assert(struct host_mutex *m)
{
	if (m->owner != cur)
		panic("mutex %s not held", m->name);
}
