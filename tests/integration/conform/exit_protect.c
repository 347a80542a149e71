/* SPDX-License-Identifier: ISC */
/*
 * exit_protect.c - MPROTECT_EPT as a guest meets it (F20, C5).
 */
#include <sys/mman.h>

#include "exit_util.h"

#define R		1
#define W		2
#define X		4
#define PAGE		4096UL
#define TARGET		0x200000UL

enum { READ, WRITE, CALL, RMW };

static struct runner r;

static struct client_vm *
accessor(uint64_t gpa, uint64_t kind)
{
	uint64_t args[8] = { gpa, kind };
	struct client_vm *v = new_guest("access", args);

	v->mem[gpa] = 0xc3;		/* RET, for CALL */
	return (v);
}

static void
protect(struct client_vm *v, uint64_t gpa, size_t size, int prot)
{
	CHECK_EQ(client_ioc_mprotect(v->fd, v->id, v->vcpu, gpa, size, prot),
	    0);
}

/* RUN must say that the access at RIP = `rip` is forbidden. */
static void
forbidden(struct client_vm *v, uint64_t rip)
{
	v->exit.vee.vee_fault_type = 0xee;
	run_to(v, NO_IRQ, CLIENT_PROTECT);
	CHECK_EQ(v->exit.vee.vee_fault_type, VEE_FAULT_PROTECT);
	CHECK_EQ(gpr(v, VCPU_REGS_RIP), rip ? rip : gpr(v, VCPU_REGS_RBX));
}

static void
allowed(struct client_vm *v)
{
	run_value(v);
	run_done(v);
}

/*
 * Whether this CPU lets an access of that kind through with that right. An
 * EPT entry of writing without reading is malformed, so WRITE implies READ;
 * EXEC alone is an entry, on every CPU that runs real mode as a guest.
 *	SDM Vol. 3C 28.3.3.1 "EPT Misconfigurations"
 */
static bool
lets(int prot, int kind)
{
	bool read = client_is_svm() || (prot & (R | W)) != 0;

	switch (kind) {
	case READ:
		return (read);
	case WRITE:
		return ((prot & W) != 0);
	case RMW:
		return (read && (prot & W) != 0);
	default:
		return ((prot & X) != 0);
	}
}

static void
matrix(void)
{
	static const int prot[] = { R, R | W, R | X, R | W | X, W | X, X };
	struct client_vm *v = accessor(TARGET, READ);
	uint64_t kind;
	size_t i;

	for (i = 0; i < NELEM(prot); i++)
		for (kind = READ; kind <= RMW; kind++) {
			note("rights %d access %d", prot[i], (int)kind);
			v->mem[TARGET] = 0xc3;
			memcpy(v->mem + GUEST_ARGS + 8, &kind, sizeof(kind));
			CHECK_EQ(client_start(v, GUEST_LONG), 0);
			protect(v, TARGET, PAGE, prot[i]);
			if (!lets(prot[i], (int)kind)) {
				forbidden(v, kind == CALL ? TARGET : 0);
				/* Left alone: again the same, then lifted. */
				forbidden(v, kind == CALL ? TARGET : 0);
				protect(v, TARGET, PAGE, R | W | X);
			}
			allowed(v);
		}
}

/* EXEC alone, on the page that the guest is in: its own data is there too. */
static void
execute_only(void)
{
	uint64_t args[8] = { GUEST_LOAD, READ };
	struct client_vm *v = new_guest("access", args);

	protect(v, GUEST_LOAD, PAGE, X);
	if (client_is_svm()) {
		allowed(v);
		return;
	}
	/* Its jump table is data, behind the instructions that it ran. */
	run_to(v, NO_IRQ, CLIENT_PROTECT);
	CHECK_EQ(gpr(v, VCPU_REGS_RBP), GUEST_STACK);
	CHECK_EQ(gpr(v, VCPU_REGS_RDI), GUEST_LOAD);
	protect(v, GUEST_LOAD, PAGE, R | X);
	CHECK_EQ(run_value(v), 0x474d4d56);	/* "VMMG" */
	run_done(v);
}

/* An instruction of which the second page may not be executed. */
static void
fetch_across(void)
{
	uint64_t args[8] = { TARGET - 1, CALL };
	struct client_vm *v = new_guest("access", args);

	v->mem[TARGET - 1] = 0x89;	/* MOV EAX, ECX; RET */
	v->mem[TARGET] = 0xc8;
	v->mem[TARGET + 1] = 0xc3;
	protect(v, TARGET, PAGE, R | W);
	forbidden(v, TARGET - 1);
	protect(v, TARGET, PAGE, R | X);
	protect(v, TARGET - PAGE, PAGE, R);
	forbidden(v, TARGET - 1);
	protect(v, TARGET - PAGE, PAGE, X);
	CHECK_EQ(run_value(v), CALL);
	run_done(v);
}

/* The page was mapped, and large, before the right went. */
static void
after_touch(void)
{
	uint64_t args[8] = { TARGET, PAGE, 512, 0 };
	struct client_vm *v = new_guest("touch", args);
	uint64_t i;

	run_value(v);
	run_done(v);
	protect(v, TARGET + 7 * PAGE, PAGE, R);
	memset(v->mem + TARGET, 0, 0x200000);
	CHECK_EQ(client_start(v, GUEST_LONG), 0);
	run_to(v, NO_IRQ, CLIENT_PROTECT);
	/* Six neighbours before it were written, nothing behind it was. */
	for (i = 0; i < 512; i++)
		CHECK_EQ(*(uint64_t *)(v->mem + TARGET + i * PAGE),
		    i < 7 ? v->nonce ^ (TARGET + i * PAGE) : 0);
	protect(v, TARGET + 7 * PAGE, PAGE, R | W | X);
	run_value(v);
	run_done(v);
	for (i = 0; i < 512; i++)
		CHECK_EQ(*(uint64_t *)(v->mem + TARGET + i * PAGE),
		    v->nonce ^ (TARGET + i * PAGE));
}

static void
range(void)
{
	static const struct {
		uint64_t	gpa;
		bool		in;
	} page[] = {
		{ TARGET + 0x10000 - PAGE, false }, { TARGET + 0x10000, true },
		{ TARGET + 0x1f000, true }, { TARGET + 0x20000, false },
	};
	struct client_vm *v;
	size_t i;

	for (i = 0; i < NELEM(page); i++) {
		v = accessor(page[i].gpa, WRITE);
		protect(v, TARGET + 0x10000, 0x10000, R);
		if (page[i].in)
			forbidden(v, 0);
		else
			allowed(v);
	}
}

static void
whole_large(void)
{
	static const int prot[] = { R, X };
	struct client_vm *v;
	size_t i;

	for (i = 0; i < NELEM(prot); i++) {
		note("rights %d", prot[i]);
		v = accessor(TARGET + 0x1ff000, WRITE);
		protect(v, TARGET, 0x200000, prot[i]);
		forbidden(v, 0);
		protect(v, TARGET + 0x1ff000, PAGE, R | W);
		allowed(v);
		client_destroy(v);
	}
}

static void
survives_reset(void)
{
	struct client_vm *v = accessor(TARGET, WRITE);

	protect(v, TARGET, PAGE, R);
	forbidden(v, 0);
	CHECK_EQ(client_start(v, GUEST_LONG), 0);
	forbidden(v, 0);
}

static void
before_reset(void)
{
	uint64_t args[8] = { TARGET, WRITE };
	struct client_vm *v = new_vm(4 * CLIENT_MIB, 1);
	int mode;

	protect(v, TARGET, PAGE, R);
	CHECK_EQ(client_load_file(v, "/guests/access.bin", args, &mode), 0);
	CHECK_EQ(client_start(v, mode), 0);
	forbidden(v, 0);
}

static void
private_readonly(void)
{
	struct client_vm *v = accessor(TARGET, WRITE);

	CHECK_EQ(mprotect(v->mem + TARGET, PAGE, PROT_READ), 0);
	allowed(v);
	CHECK_EQ(*(uint32_t *)(v->mem + TARGET), 0x600df00d);
}

/* A file that is mapped shared and read-only never becomes writable. */
static void
shared_readonly(void)
{
	struct client_vm *v = accessor(TARGET, WRITE);
	void *p;

	p = mmap(v->mem + TARGET, PAGE, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (p == MAP_FAILED)
		SKIP("no shared anonymous memory here");
	CHECK_EQ(mprotect(p, PAGE, PROT_READ), 0);
	run_fails(v, EFAULT);
}

#define PTE_A	0x20
#define PTE_D	0x40

/*
 * The guest's own page directory loses `prot`'s complement before it was
 * walked for the first time, with accessed and dirty bits `ad` in it.
 */
static struct client_vm *
walker(int kind, int prot, uint64_t ad)
{
	uint64_t args[8] = { 0x300000, (uint64_t)kind };
	struct client_vm *v = new_guest("access", args);
	uint64_t *pd = (uint64_t *)(v->mem + GUEST_PD);

	pd[0] |= ad;
	pd[1] |= ad;
	protect(v, GUEST_PD, PAGE, prot);
	return (v);
}

/* RUN must say that the walk for the very first fetch is forbidden. */
static void
walk_forbidden(struct client_vm *v, int give_back)
{
	forbidden(v, GUEST_ENTRY);
	protect(v, GUEST_PD, PAGE, give_back);
	allowed(v);
}

/*
 * SVM: a walk counts as a write. VMX: as a read; if the CPU has a bit to set,
 * as a write, but Bochs 2.7 sets it without asking the EPT.
 *	SDM Vol. 3C 28.3.3.2 "EPT Violations"
 */
static void
page_walk(void)
{
	struct client_vm *v;
	uint64_t *pd;

	v = walker(READ, R, PTE_A | PTE_D);
	if (client_is_svm())
		walk_forbidden(v, R | W);
	else
		allowed(v);
	allowed(walker(WRITE, R | W, 0));
	v = walker(WRITE, R, 0);
	pd = (uint64_t *)(v->mem + GUEST_PD);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	if (client_event(v) == CLIENT_PROTECT) {
		CHECK_EQ(gpr(v, VCPU_REGS_RIP), GUEST_ENTRY);
		CHECK_EQ((pd[0] | pd[1]) & (PTE_A | PTE_D), 0);
		walk_forbidden(v, R | W);
	} else {
		CHECK(!client_is_svm());
		CHECK_EQ(v->exit.vei.vei_port, GUEST_VALUE);
		run_done(v);
	}
	CHECK_EQ(pd[0] & PTE_A, PTE_A);
	CHECK_EQ(pd[1] & (PTE_A | PTE_D), PTE_A | PTE_D);
}

/* A page walk in a page that nobody may read. */
static void
page_walk_unreadable(void)
{
	struct client_vm *v = walker(READ, X, PTE_A | PTE_D);

	walk_forbidden(v, R | W);
}

/* A VCPU that is writing meets the new rights when the call returns. */
static void
running(void)
{
	uint64_t args[8] = { TARGET }, seen;
	struct client_vm *v = new_vm(4 * CLIENT_MIB, 2);
	volatile uint64_t *count = (volatile uint64_t *)(v->mem + TARGET);
	int mode;

	CHECK_EQ(client_load_file(v, "/guests/hammer.bin", args, &mode), 0);
	v->vcpu = 1;
	CHECK_EQ(client_start(v, mode), 0);
	runner_start(&r, v, 1);
	while (*count < 10)
		pause_ms(1);
	v->vcpu = 0;
	protect(v, TARGET, PAGE, R);
	seen = *count;
	runner_join(&r);
	CHECK_EQ(r.v.run.vrp_exit_reason, raw_code(CLIENT_PROTECT));
	CHECK_EQ(gpr(&r.v, VCPU_REGS_RIP), gpr(&r.v, VCPU_REGS_RBX));
	CHECK_EQ(*count, seen);
}

const struct clause exit_protect[] = {
	{ "F20.matrix", "each right against each kind of access",
	    LAYER_EXIT, FIX, matrix,
	    "READ is implied: on SVM always, on VMX by WRITE" },
	{ "F20.execute", "execute-only code cannot read itself",
	    LAYER_EXIT, FIX, execute_only, "SVM: READ is implied" },
	{ "F20.fetch", "an instruction across two pages needs both",
	    LAYER_EXIT, FIX, fetch_across, NULL },
	{ "F20.one-page", "one page of a large one loses a right, and no other",
	    LAYER_EXIT, FIX, after_touch, NULL },
	{ "F20.range", "the pages of the range, and not their neighbours",
	    LAYER_EXIT, FIX, range, NULL },
	{ "F20.large", "2 MiB at once, then one page given back",
	    LAYER_EXIT, FIX, whole_large, NULL },
	{ "6.reset", "rights survive RESETCPU",
	    LAYER_EXIT, MATCH, survives_reset, NULL },
	{ "C5.first", "rights set before the first RESETCPU count",
	    LAYER_EXIT, MATCH, before_reset, NULL },
	{ "C5.readonly", "the client's own private mapping may be read-only",
	    LAYER_EXIT, MATCH, private_readonly, NULL },
	{ "C5.shared-readonly", "a shared mapping must be writable: EFAULT",
	    LAYER_EXIT, FIX, shared_readonly, NULL },
	{ "F20.walk", "a page walk in a read-only page",
	    LAYER_EXIT, FIX, page_walk,
	    "SVM: a walk is a write; VMX: if it sets a bit, but on Bochs" },
	{ "F20.walk-unreadable", "a page walk in an execute-only page",
	    LAYER_EXIT, FIX, page_walk_unreadable, NULL },
	{ "F20.running", "no VCPU runs on with the old rights",
	    LAYER_EXIT, FIX, running, NULL },
	CLAUSE_END
};
