/* SPDX-License-Identifier: ISC */
/*
 * exit_entry.c - states that a CPU enters, and states that it refuses.
 */
#include "exit_util.h"

#define UD	TRAP(VMM_EX_UD, 0, 0)

static void
unreal(void)
{
	struct client_vm *v = new_guest("unreal", NULL);
	struct vcpu_segment_info *s = v->exit.vrs.vrs_sregs;
	uint32_t nonce = (uint32_t)v->nonce;
	int i;

	for (i = 0; i < 2; i++) {
		CHECK_EQ(run_value(v), nonce);
		CHECK_EQ(v->exit.cpl, 0);
		CHECK_EQ(s[VCPU_REGS_DS].vsi_base, 0x200000);
		CHECK_EQ(s[VCPU_REGS_DS].vsi_limit, 0xffffffff);
		CHECK_EQ(s[VCPU_REGS_ES].vsi_limit, 0xffffffff);
		CHECK_EQ(s[VCPU_REGS_CS].vsi_limit, i ? 0xffffffff : 0xffff);
		CHECK_EQ(run_value(v), CPUID_EBX_40000000);
	}
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	CHECK_EQ(v->exit.vrs.vrs_crs[VCPU_REGS_CR0] & 1, 0);
	/* TCG knows no segment limits. */
	CHECK_EQ(run_value(v), under_tcg() ? TRAP_NONE :
	    TRAP(VMM_EX_SS, 0, 0));
	run_done(v);
}

#define SMALL	CLIENT_MIB	/* pages of 4 KiB: fewer bytes to clear */

/* A VM of `n` VCPUs with a guest loaded, none of them started. */
static struct client_vm *
loaded(const char *name, size_t size, uint32_t n, uint64_t nonce, int *mode)
{
	static const uint64_t none[8];
	struct client_vm *v = new_vm(size, n);
	char path[64] = "/guests/";

	note("guest %s", name);
	strcat(strcat(path, name), ".bin");
	if (nonce != 0)
		v->nonce = nonce;
	CHECK_EQ(client_load_file(v, path, none, mode), 0);
	return (v);
}

#define MOST	128

/*
 * Runs a guest to its end: its VALUEs in vals. If `moving`, by two VCPUs in
 * turn, each reset to what the other had at its last exit.
 */
static size_t
by_two(const char *name, uint64_t nonce, bool moving, uint32_t vals[MOST])
{
	struct vcpu_reg_state vrs;
	struct client_vm *v;
	size_t n = 0;
	int mode;

	v = loaded(name, strcmp(name, "unreal") == 0 ||
	    strcmp(name, "pae") == 0 ? 4 * CLIENT_MIB : SMALL, 2, nonce,
	    &mode);
	CHECK_EQ(client_start(v, mode), 0);
	do {
		run_to(v, NO_IRQ, CLIENT_IO);
		CHECK(v->exit.vei.vei_port != GUEST_FAIL);
		if (v->exit.vei.vei_port == GUEST_VALUE) {
			CHECK(n < MOST);
			vals[n++] = v->exit.vei.vei_data;
		}
		if (!moving)
			continue;
		vrs = v->exit.vrs;
		v->vcpu ^= 1;
		CHECK_EQ(client_ioc_resetcpu(v->fd, v->id, v->vcpu, &vrs), 0);
	} while (v->exit.vei.vei_port != GUEST_DONE);
	CHECK(client_done(v));
	client_destroy(v);
	return (n);
}

static void
moving(void)
{
	static const char *const name[] = { "real", "pae", "long", "v86",
	    "user", "climb", "unreal", "segments" };
	static uint32_t want[MOST], got[MOST];
	uint64_t nonce = fresh();
	size_t i, n;

	for (i = 0; i < NELEM(name); i++) {
		n = by_two(name[i], nonce, false, want);
		CHECK(n > 0);
		CHECK_EQ(by_two(name[i], nonce, true, got), n);
		CHECK(memcmp(got, want, n * sizeof(got[0])) == 0);
	}
}

/*
 * --- States of which VMX refuses some and SVM none. ---
 */

#define AR_CODE64	0xa09b
#define AR_DATA		0xc093

/* What RUN does: an errno, or one of these. */
#define RUNS		0
#define DIES		1000	/* triple fault */

struct refusal {
	const char	*what;
	int		 mode;
	int		 sreg;		/* -1: RFLAGS is or-ed `sel` */
	uint32_t	 sel, limit, ar;
	int		 vmx, svm;
};

/* SDM Vol. 3C 26.3.1.2 "Checks on Guest Segment Registers" */
static const struct refusal refusals[] = {
	{ "TR unusable", GUEST_LONG, VCPU_REGS_TR,
	    GUEST_TR, 0x67, 0x1008b, EINVAL, RUNS },
	{ "TR not present", GUEST_LONG, VCPU_REGS_TR,
	    GUEST_TR, 0x67, 0x0b, EINVAL, RUNS },
	{ "TR available", GUEST_LONG, VCPU_REGS_TR,
	    GUEST_TR, 0x67, 0x89, EINVAL, RUNS },
	{ "TR of 16 bits in 64-bit mode", GUEST_LONG, VCPU_REGS_TR,
	    GUEST_TR, 0x67, 0x83, EINVAL, RUNS },
	{ "TR of 16 bits in protected mode", GUEST_PROT, VCPU_REGS_TR,
	    GUEST_TR, 0x67, 0x83, RUNS, RUNS },
	{ "TR in the LDT", GUEST_LONG, VCPU_REGS_TR,
	    GUEST_TR | 4, 0x67, 0x8b, EINVAL, RUNS },
	{ "TR with G and a small limit", GUEST_LONG, VCPU_REGS_TR,
	    GUEST_TR, 0x67, 0x808b, EINVAL, RUNS },
	{ "TR with a large limit and no G", GUEST_LONG, VCPU_REGS_TR,
	    GUEST_TR, 0x100000, 0x8b, EINVAL, RUNS },
	{ "FS not accessed", GUEST_LONG, VCPU_REGS_FS,
	    GUEST_DS, 0xffffffff, 0xc092, EINVAL, RUNS },
	{ "FS execute-only", GUEST_LONG, VCPU_REGS_FS,
	    GUEST_DS, 0xffffffff, 0xc099, EINVAL, RUNS },
	{ "FS readable code", GUEST_LONG, VCPU_REGS_FS,
	    GUEST_DS, 0xffffffff, 0xc09b, RUNS, RUNS },
	{ "FS a system segment", GUEST_LONG, VCPU_REGS_FS,
	    GUEST_DS, 0xffffffff, 0xc083, EINVAL, RUNS },
	{ "FS with a large limit and no G", GUEST_LONG, VCPU_REGS_FS,
	    GUEST_DS, 0xfffff000, 0x93, EINVAL, RUNS },
	{ "FS with G and limit bits clear", GUEST_LONG, VCPU_REGS_FS,
	    GUEST_DS, 0xfffff000, 0xc093, EINVAL, RUNS },
	{ "FS not present", GUEST_LONG, VCPU_REGS_FS,
	    0, 0, 0x13, RUNS, RUNS },
	{ "FS unusable", GUEST_LONG, VCPU_REGS_FS,
	    0x1234, 0x12345678, 0x10000, RUNS, RUNS },
	{ "LDTR", GUEST_LONG, VCPU_REGS_LDTR,
	    0x60, 0xffff, 0x82, RUNS, RUNS },
	{ "LDTR of another type", GUEST_LONG, VCPU_REGS_LDTR,
	    0x60, 0xffff, 0x8b, EINVAL, RUNS },
	{ "LDTR in the LDT", GUEST_LONG, VCPU_REGS_LDTR,
	    0x64, 0xffff, 0x82, EINVAL, RUNS },
	{ "CS not accessed", GUEST_LONG, VCPU_REGS_CS,
	    GUEST_CS, 0xffffffff, 0xa09a, EINVAL, RUNS },
	{ "CS read-only data", GUEST_PROT, VCPU_REGS_CS,
	    GUEST_CS, 0xffffffff, 0xc091, EINVAL, RUNS },
	{ "CS writable data", GUEST_REAL, VCPU_REGS_CS,
	    0, 0xffff, 0x93, RUNS, RUNS },
	{ "SS read-only", GUEST_PROT, VCPU_REGS_SS,
	    GUEST_DS, 0xffffffff, 0xc091, EINVAL, RUNS },
	{ "SS not accessed", GUEST_PROT, VCPU_REGS_SS,
	    GUEST_DS, 0xffffffff, 0xc092, EINVAL, RUNS },
	{ "real mode with 4 GiB segments", GUEST_REAL, VCPU_REGS_DS,
	    0, 0xffffffff, 0xc093, RUNS, RUNS },
	{ "virtual-8086 mode with flat segments", GUEST_PROT, -1,
	    0x20000, 0, 0, EINVAL, DIES },
};

static void
refuse(const struct refusal *r, struct vcpu_reg_state *vrs)
{
	struct vcpu_segment_info *s;

	if (r->sreg < 0) {
		vrs->vrs_gprs[VCPU_REGS_RFLAGS] |= r->sel;
		return;
	}
	s = &vrs->vrs_sregs[r->sreg];
	s->vsi_sel = (uint16_t)r->sel;
	s->vsi_limit = r->limit;
	s->vsi_ar = r->ar;
}

/* RUN of a VCPU whose memory is full of HLT, at 0x8000 or above. */
static void
runs_or_not(struct client_vm *v, int want)
{
	if (want == RUNS) {
		run_to(v, NO_IRQ, CLIENT_HLT);
		CHECK_EQ(gpr(v, VCPU_REGS_RIP), GUEST_ENTRY + 1);
	} else if (want == DIES)
		run_to(v, NO_IRQ, CLIENT_SHUTDOWN);
	else
		run_fails(v, want);
}

/*
 * A VM for guests of that mode, full of HLT but for descriptors and tables;
 * real mode's interrupts lead to HLT, too.
 */
static struct client_vm *
full_of_hlt(uint32_t ncpus, int mode)
{
	static const char *const name[] = {
		[GUEST_REAL] = "real", [GUEST_PROT] = "prot",
		[GUEST_PAE] = "pae", [GUEST_LONG] = "long",
	};
	struct client_vm *v;
	uint32_t i, *ivt;
	int is;

	v = loaded(name[mode], SMALL, ncpus, 0, &is);
	CHECK_EQ(is, mode);
	memset(v->mem, 0xf4, GUEST_GDT);
	ivt = (uint32_t *)v->mem;
	for (i = 0; i < 256; i++)
		ivt[i] = GUEST_LOAD;
	memset(v->mem + 0x7000, 0xf4, v->size - 0x7000);
	return (v);
}

/* The host, and another VM on it, are as well as before. */
static void
still_well(void)
{
	struct client_vm *v = new_guest("out", NULL);

	run_to_mark(v, VEI_DIR_OUT, 0x70, 1);
	client_destroy(v);
}

/*
 * Every state in a VCPU of its own, by RESETCPU, which says so if no entry
 * takes it; and in another, by WRITEREGS behind a state that ran.
 */
static void
states(void)
{
	struct vcpu_reg_state good, vrs, after;
	struct client_vm *v;
	const struct refusal *r;
	int want;
	size_t i;

	v = full_of_hlt(2 * NELEM(refusals), GUEST_LONG);
	for (i = 0; i < NELEM(refusals); i++) {
		r = &refusals[i];
		want = client_is_svm() ? r->svm : r->vmx;
		if (want == DIES && under_tcg())
			want = RUNS;	/* CPL 0, where VM means 3 */
		note("%s", r->what);
		client_start_state(r->mode, &good);
		good.vrs_gprs[VCPU_REGS_RFLAGS] |= 0x200;
		vrs = good;
		refuse(r, &vrs);
		v->vcpu = 2 * (uint32_t)i;
		CHECK_EQ(client_ioc_resetcpu(v->fd, v->id, v->vcpu, &vrs),
		    want == EINVAL ? EIO : 0);
		if (want != EINVAL) {
			runs_or_not(v, want);
			CHECK_EQ(client_ioc_readregs(v->fd, v->id, v->vcpu,
			    VM_RWREGS_CRS, &after), 0);
			CHECK_EQ(after.vrs_crs[VCPU_REGS_CR3],
			    vrs.vrs_crs[VCPU_REGS_CR3]);
		}
		v->vcpu++;
		CHECK_EQ(client_ioc_resetcpu(v->fd, v->id, v->vcpu, &good), 0);
		runs_or_not(v, RUNS);
		CHECK_EQ(client_ioc_writeregs(v->fd, v->id, v->vcpu,
		    VM_RWREGS_GPRS | VM_RWREGS_SREGS, &vrs), 0);
		runs_or_not(v, want);
	}
	still_well();
}

/*
 * One VCPU from mode to mode, by WRITEREGS of all groups: from each of the
 * four to each other.
 */
static void
switched(void)
{
	static const uint8_t order[] = {
		GUEST_REAL, GUEST_PROT, GUEST_PAE, GUEST_LONG, GUEST_REAL,
		GUEST_PAE, GUEST_PROT, GUEST_LONG, GUEST_PAE, GUEST_REAL,
		GUEST_LONG, GUEST_PROT, GUEST_REAL,
	};
	struct client_vm *v = full_of_hlt(1, GUEST_LONG);
	uint64_t *pdpt = (uint64_t *)(v->mem + 0x7000);
	struct vcpu_reg_state vrs;
	size_t i;

	for (i = 0; i < 4; i++)
		pdpt[i] = (GUEST_PD + i * 0x1000) | 1;
	CHECK_EQ(client_start(v, GUEST_LONG), 0);
	for (i = 0; i < NELEM(order); i++) {
		note("mode %d", order[i]);
		client_start_state(order[i], &vrs);
		vrs.vrs_gprs[VCPU_REGS_RFLAGS] |= 0x200;
		if (order[i] == GUEST_PAE)
			vrs.vrs_crs[VCPU_REGS_CR3] = 0x7000;
		CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0,
		    VM_RWREGS_ALL, &vrs), 0);
		runs_or_not(v, RUNS);
		CHECK_EQ(v->exit.vrs.vrs_msrs[VCPU_REGS_EFER],
		    vrs.vrs_msrs[VCPU_REGS_EFER]);
		CHECK_EQ(v->exit.vrs.vrs_crs[VCPU_REGS_CR0],
		    vrs.vrs_crs[VCPU_REGS_CR0]);
	}
}

#define REAL_HANDLER	0x9000
#define REAL_SP		0x7ff0

/*
 * A #GP of 64-bit mode could not be pushed; then the client puts the VCPU in
 * real mode. There it is pushed without an error code.
 */
static void
event_to_real(void)
{
	static const uint8_t out[] = { 0xe6, 0x70 };	/* OUT 0x70 */
	uint64_t args[8] = { 1, 0x201000 };
	struct client_vm *v = new_guest("delivery", args);
	struct vcpu_reg_state vrs;

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0, 0x200000, 0x1000, 1),
	    0);
	run_to(v, NO_IRQ, CLIENT_PROTECT);
	memcpy(v->mem + REAL_HANDLER, out, sizeof(out));
	((uint32_t *)v->mem)[VMM_EX_GP] = REAL_HANDLER;
	client_start_state(GUEST_REAL, &vrs);
	vrs.vrs_gprs[VCPU_REGS_RIP] = 0x1234;
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_ALL, &vrs),
	    0);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	CHECK_EQ(gpr(v, VCPU_REGS_RIP), REAL_HANDLER + 2);
	CHECK_EQ(gpr(v, VCPU_REGS_RSP), REAL_SP - 6);
	CHECK_EQ(*(uint16_t *)(v->mem + REAL_SP - 6), 0x1234);
}

/*
 * --- States that nobody thought of. ---
 */

/* A number, most of them of the kind that means something. */
static uint64_t
odd(uint64_t was)
{
	uint64_t r = fresh();

	switch (r >> 60) {
	case 0 ... 5:
		return (was ^ 1ULL << (r >> 8 & 63));
	case 6 ... 8:
		return (was ^ 1ULL << (r >> 8 & 31) ^ 1ULL << (r >> 16 & 15));
	case 9:
		return (0);
	case 10:
		return (~0ULL);
	case 11:
		return (r & 0xfffffffff000);
	case 12:
		return (r & 0xffff);
	default:
		return (r >> 1 & (r >> 32 | 0xffff));
	}
}

static void
odd_segment(struct vcpu_segment_info *s)
{
	switch (fresh() >> 62) {
	case 0:
		s->vsi_sel = (uint16_t)odd(s->vsi_sel);
		break;
	case 1:
		s->vsi_limit = (uint32_t)odd(s->vsi_limit);
		break;
	case 2:
		s->vsi_base = odd(s->vsi_base);
		break;
	default:
		s->vsi_ar ^= 1U << (fresh() >> 8 & 15) |
		    1U << (fresh() >> 8 & 7);
	}
}

static void
odd_state(struct vcpu_reg_state *s)
{
	uint64_t r = fresh(), *p;

	switch (r >> 61) {
	case 0:
		p = &s->vrs_gprs[r >> 8 & 1 ? VCPU_REGS_RIP : VCPU_REGS_RFLAGS];
		break;
	case 1:
	case 2:
		p = &s->vrs_crs[(r >> 8) % VCPU_REGS_NCRS];
		break;
	case 3:
		p = &s->vrs_msrs[(r >> 8) % VCPU_REGS_NMSRS];
		break;
	case 4:
		p = &s->vrs_drs[(r >> 8) % VCPU_REGS_NDRS];
		break;
	default:
		odd_segment(&s->vrs_sregs[(r >> 8) % VCPU_REGS_NSREGS]);
		return;
	}
	*p = odd(*p);
}

/* RUN in a thread, since a guest may well run for ever. */
struct odd {
	struct client_vm	v;
	uint16_t		irq;
	int			error;
	volatile bool		over;
};

static void
run_odd(void *arg)
{
	struct odd *o = arg;

	o->error = client_run(&o->v, o->irq);
	o->over = true;
}

/* It ends in one of these ways, and the VCPU's state says the same. */
static void
try_odd(const struct client_vm *v)
{
	static struct odd o;
	enum client_event event;
	int t, state;

	o.v = *v;
	o.irq = fresh() >> 62 == 0 ? 0x40 : NO_IRQ;
	o.over = false;
	t = spawn(run_odd, &o);
	while (!o.over) {
		pause_ms(1);
		poke(t);
	}
	join(t);
	state = vcpu_state(v->id, v->vcpu);
	note("RUN %d reason 0x%x", o.error, o.v.run.vrp_exit_reason);
	if (o.error == 0) {
		event = client_event(&o.v);
		CHECK_EQ(state, VCPU_STATE_STOPPED);
		CHECK(event == CLIENT_HLT || event == CLIENT_SHUTDOWN ||
		    event == CLIENT_IO || event == CLIENT_NONE);
		return;
	}
	CHECK(o.error == EINVAL || o.error == EIO || o.error == EFAULT);
	CHECK_EQ(state, VCPU_STATE_TERMINATED);
}

/*
 * A state that differs from a good one in a few places: RESETCPU with it, or
 * WRITEREGS behind one with the good.
 */
static void
odd_vcpu(const struct client_vm *v, int mode)
{
	struct vcpu_reg_state vrs;
	int error, i;

	client_start_state(mode, &vrs);
	vrs.vrs_gprs[VCPU_REGS_RFLAGS] |= 0x200;
	if (v->vcpu % 2 != 0)
		CHECK_EQ(client_ioc_resetcpu(v->fd, v->id, v->vcpu, &vrs), 0);
	for (i = 0; i <= (int)v->vcpu / 5; i++)
		odd_state(&vrs);
	note("mode %d vcpu %u", mode, v->vcpu);
	if (v->vcpu % 2 == 0) {
		error = client_ioc_resetcpu(v->fd, v->id, v->vcpu, &vrs);
		CHECK(error == 0 || error == EIO);
	} else {
		error = client_ioc_writeregs(v->fd, v->id, v->vcpu,
		    VM_RWREGS_ALL, &vrs);
		CHECK(error == 0 || error == EINVAL);
	}
	CHECK_EQ(vcpu_state(v->id, v->vcpu), VCPU_STATE_STOPPED);
	if (error == 0)
		try_odd(v);
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, v->vcpu, VM_RWREGS_ALL,
	    &vrs), 0);
}

#define ODD_CPUS	12

static void
odd_states(void)
{
	struct client_vm *v;
	int mode;

	for (mode = GUEST_REAL; mode <= GUEST_LONG; mode++) {
		v = full_of_hlt(ODD_CPUS, mode);
		for (v->vcpu = 0; v->vcpu < ODD_CPUS; v->vcpu++)
			odd_vcpu(v, mode);
		client_destroy(v);
		still_well();
	}
}

const struct clause exit_entry[] = {
	{ "4.mode.unreal", "real mode with segments of protected mode",
	    LAYER_EXIT, MATCH, unreal, "TCG checks no limits" },
	{ "3.5.moving", "every mode goes on in another VCPU, by RESETCPU",
	    LAYER_EXIT, MATCH, moving, NULL },
	{ "F11.states", "segments that an entry refuses, and those it takes",
	    LAYER_EXIT, FIX, states,
	    "VMX refuses what SVM runs; TCG: virtual-8086 mode at CPL 0" },
	{ "3.8.modes", "WRITEREGS takes a VCPU from any mode to any other",
	    LAYER_EXIT, MATCH, switched, NULL },
	{ "3.8.event", "an exception cut short, and then real mode",
	    LAYER_EXIT, FIX, event_to_real, NULL },
	{ "F11.odd", "random states: RUN ends, and harms nobody",
	    LAYER_EXIT, FIX, odd_states, NULL },
	CLAUSE_END
};
