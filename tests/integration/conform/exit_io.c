/* SPDX-License-Identifier: ISC */
/*
 * exit_io.c - IN, OUT, INS and OUTS.
 */
#include "exit_util.h"

#define RAX_BEFORE	0x1122334455667788

/* Ports that a client sees, first and last of each run. */
static const uint16_t claimed[][2] = {
	{ 0x20, 0x21 }, { 0x40, 0x43 }, { 0x61, 0x61 }, { 0x70, 0x71 },
	{ 0xa0, 0xa1 }, { 0x3f8, 0x3ff }, { 0x4d0, 0x4d1 },
	{ 0x500, 0x511 }, { 0x514, 0x514 }, { 0x518, 0x518 },
	{ 0xcf8, 0xcf8 }, { 0xcfc, 0xcff },
};

static const struct {
	uint16_t	port;
	uint8_t		size;
} out_steps[] = {
	{ 0x70, 1 }, { 0x71, 2 }, { 0x21, 4 },
	{ 0xcf8, 1 }, { 0xcf8, 2 }, { 0xcf8, 4 },
};

static void
out(void)
{
	struct client_vm *v = new_guest("out", NULL);
	size_t i;

	for (i = 0; i < NELEM(out_steps); i++) {
		run_to_mark(v, VEI_DIR_OUT, out_steps[i].port,
		    out_steps[i].size);
		CHECK_EQ(v->exit.vei.vei_string, 0);
		CHECK_EQ(v->exit.vei.vei_rep, 0);
		CHECK_EQ(gpr(v, VCPU_REGS_RAX), RAX_BEFORE);
	}
	run_done(v);
}

/* What RAX is after an IN of `size` bytes that read `data`. */
static uint64_t
merged(uint64_t rax, uint8_t size, uint32_t data)
{
	if (size == 1)
		return ((rax & ~0xffULL) | (data & 0xff));
	if (size == 2)
		return ((rax & ~0xffffULL) | (data & 0xffff));
	return (data);
}

static const struct {
	uint16_t	port;
	uint8_t		size;
} in_steps[] = {
	{ 0x71, 1 }, { 0x71, 2 }, { 0x71, 4 },
	{ 0xcfc, 1 }, { 0xcfc, 2 }, { 0xcfc, 4 },
};

static void
in(void)
{
	struct client_vm *v = new_guest("in", NULL);
	uint32_t data;
	size_t i;

	for (i = 0; i < NELEM(in_steps); i++) {
		run_to_mark(v, VEI_DIR_IN, in_steps[i].port,
		    in_steps[i].size);
		CHECK_EQ(v->exit.vei.vei_data, (uint32_t)RAX_BEFORE);
		data = (uint32_t)fresh();
		client_answer(v, data);
		CHECK_EQ(run_value64(v),
		    merged(RAX_BEFORE, in_steps[i].size, data));
	}
	run_done(v);
}

static void
io_real(void)
{
	struct client_vm *v = new_guest("io-real", NULL);
	uint32_t data;
	size_t i;

	for (i = 0; i < NELEM(out_steps); i++) {
		run_to_mark(v, VEI_DIR_OUT, out_steps[i].port,
		    out_steps[i].size);
		CHECK_EQ(v->exit.vei.vei_data, 0x55667788);
	}
	for (i = 0; i < 3; i++) {
		run_to_mark(v, VEI_DIR_IN, i == 0 ? 0xcfc : 0x71, 1 << i);
		data = (uint32_t)fresh();
		client_answer(v, data);
		CHECK_EQ(run_value(v), merged(0x55667788, 1 << i, data));
	}
	run_done(v);
}

static void
io_prefixes(void)
{
	static const uint8_t out_size[] = { 2, 1, 1, 1, 4, 1, 4, 2, 1 };
	static const uint8_t in_size[] = { 2, 2, 4 };
	struct client_vm *v = new_guest("io-prefixes", NULL);
	const struct vm_exit_inout *vei = &v->exit.vei;
	bool vmx = !client_is_svm();
	size_t i;

	for (i = 0; i < NELEM(out_size); i++) {
		run_to_mark(v, VEI_DIR_OUT, i < 2 ? 0x70 : 0xcf8,
		    out_size[i]);
		CHECK_EQ(vei->vei_string, 0);
		if (i != 3 && i != 4)	/* those have a REP prefix */
			CHECK_EQ(vei->vei_rep, 0);
		CHECK_EQ(vei->vei_encoding, vmx && i < 2);
	}
	for (i = 0; i < NELEM(in_size); i++) {
		run_to_mark(v, VEI_DIR_IN, i == 0 ? 0x71 : 0xcf8, in_size[i]);
		CHECK_EQ(vei->vei_encoding, vmx && i == 0);
	}
	run_done(v);
}

static void
io_unclaimed(void)
{
	static const uint8_t size[] = { 1, 2, 4, 2, 4, 2, 1 };
	struct client_vm *v = new_guest("io-unclaimed", NULL);
	size_t i;

	for (i = 0; i < NELEM(size); i++)
		CHECK_EQ(run_value64(v),
		    merged(0x1122334455667700, size[i], 0xffffffff));
	run_done(v);
}

/* Ports [first, last] one after the other: exactly the claimed ones exit. */
static void
ports(int dir, uint16_t first, uint16_t last)
{
	uint64_t args[8] = { dir == VEI_DIR_OUT, first, last };
	struct client_vm *v = new_guest("io-ports", args);
	uint32_t port;
	size_t i;

	for (port = first; port <= last; port++) {
		for (i = 0; i < NELEM(claimed); i++)
			if (port >= claimed[i][0] && port <= claimed[i][1])
				break;
		if (port >= 0x1000 || i < NELEM(claimed))
			run_to_io(v, dir, (uint16_t)port, 1);
	}
	run_done(v);
}

static void
io_ports_in(void)
{
	ports(VEI_DIR_IN, 0, 0x1007);
}

static void
io_ports_out(void)
{
	ports(VEI_DIR_OUT, 0, 0x1007);
}

static void
io_ports_high(void)
{
	ports(VEI_DIR_OUT, 0x7ffc, 0x8004);
	ports(VEI_DIR_IN, 0xfff8, 0xffff);
}

static void
io_port_61(void)
{
	ports(VEI_DIR_IN, 0x60, 0x62);
	ports(VEI_DIR_OUT, 0x60, 0x62);
}

static void
io_width(void)
{
	struct client_vm *v = new_guest("io-width", NULL);

	run_to_mark(v, VEI_DIR_OUT, 0x61, 4);
	run_to_mark(v, VEI_DIR_OUT, 0x3ff, 2);
	run_to_mark(v, VEI_DIR_OUT, 0xcff, 4);
	run_to_mark(v, VEI_DIR_OUT, 0x518, 4);
	run_to_mark(v, VEI_DIR_OUT, 0xffff, 4);
	run_done(v);
}

static void
io_string(void)
{
	static const struct {
		uint8_t	size, dir, rep;
	} step[] = {
		{ 1, VEI_DIR_OUT, 0 }, { 2, VEI_DIR_OUT, 0 },
		{ 4, VEI_DIR_OUT, 0 }, { 1, VEI_DIR_IN, 0 },
		{ 2, VEI_DIR_IN, 0 }, { 4, VEI_DIR_IN, 0 },
		{ 1, VEI_DIR_OUT, 1 }, { 2, VEI_DIR_OUT, 1 },
		{ 4, VEI_DIR_IN, 1 }, { 2, VEI_DIR_IN, 1 },
	};
	struct client_vm *v = new_guest("io-string", NULL);
	size_t i, k;

	memset(v->mem + 0x30000, 0x5a, 0x2000);
	for (i = 0; i < NELEM(step); i++) {
		note("string %zu", i);
		run_to_io(v, step[i].dir, 0xcf8, step[i].size);
		CHECK_EQ(v->exit.vei.vei_string, 1);
		CHECK_EQ(v->exit.vei.vei_encoding, 0);
		CHECK_EQ(v->exit.vei.vei_rep, step[i].rep);
		CHECK_EQ(gpr(v, VCPU_REGS_RIP), gpr(v, VCPU_REGS_RBX));
		CHECK_EQ(gpr(v, VCPU_REGS_RSI), 0x30000);
		CHECK_EQ(gpr(v, VCPU_REGS_RDI), 0x31000);
		CHECK_EQ(gpr(v, VCPU_REGS_RCX), 5);
	}
	run_done(v);
	for (k = 0; k < 0x2000; k++)
		CHECK_EQ(v->mem[0x30000 + k], 0x5a);
}

static void
io_scribble(void)
{
	struct client_vm *v = new_guest("io-scribble", NULL);
	unsigned int n;

	for (n = 0; n < 1000; n++) {
		CHECK_EQ(client_run(v, NO_IRQ), 0);
		CHECK_EQ(client_event(v), CLIENT_IO);
		if (client_done(v))
			break;
	}
	CHECK(client_done(v));
	/* 46 ports below 0x1000 less two, three widths; the last string. */
	CHECK_EQ(n, 44 * 3 + 1);
}

/* The IN that a guest `in` waits for, on its first MARK. */
static struct client_vm *
at_in(void)
{
	struct client_vm *v = new_guest("in", NULL);

	run_to_mark(v, VEI_DIR_IN, 0x71, 1);
	return (v);
}

static void
in_not_continued(void)
{
	struct client_vm *v = at_in();

	v->run.vrp_continue = 0;
	v->run.vrp_irq = NO_IRQ;
	client_answer(v, 0xee);
	CHECK_EQ(client_ioc_run(v->fd, &v->run), 0);
	CHECK_EQ(v->exit.vei.vei_data, (uint32_t)RAX_BEFORE);
}

static void
in_wrong_direction(void)
{
	struct client_vm *v = at_in();

	client_answer(v, 0xee);
	v->exit.vei.vei_dir = VEI_DIR_OUT;
	CHECK_EQ(run_value64(v), RAX_BEFORE);
}

static void
in_after_writeregs(void)
{
	struct client_vm *v = at_in();

	set_gpr(v, VCPU_REGS_RAX, 0xabcdef0123456789);
	client_answer(v, 0xee);
	CHECK_EQ(run_value64(v), 0xabcdef0123456789);
}

static void
in_after_other_groups(void)
{
	struct client_vm *v = at_in();
	struct vcpu_reg_state vrs;

	CHECK_EQ(client_ioc_readregs(v->fd, v->id, 0, VM_RWREGS_ALL, &vrs),
	    0);
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_CRS |
	    VM_RWREGS_SREGS | VM_RWREGS_DRS, &vrs), 0);
	client_answer(v, 0xee);
	CHECK_EQ(run_value64(v), (RAX_BEFORE & ~0xffULL) | 0xee);
}

static void
in_after_reset(void)
{
	struct client_vm *v = at_in();
	struct vcpu_reg_state vrs;

	/* To the same place again, but by RESETCPU. */
	client_start_state(GUEST_LONG, &vrs);
	vrs.vrs_gprs[VCPU_REGS_RIP] = gpr(v, VCPU_REGS_RIP);
	vrs.vrs_gprs[VCPU_REGS_RAX] = 0xabcdef0123456789;
	CHECK_EQ(client_ioc_resetcpu(v->fd, v->id, 0, &vrs), 0);
	client_answer(v, 0xee);
	CHECK_EQ(run_value64(v), 0xabcdef0123456789);
}

static void
in_only_once(void)
{
	struct client_vm *v = at_in();

	client_answer(v, 0xee);
	CHECK_EQ(run_value(v), (uint32_t)(RAX_BEFORE & ~0xffULL) | 0xee);
	/* An OUT exited: nothing waits for data, whatever vei_dir says. */
	v->exit.vei.vei_dir = VEI_DIR_IN;
	v->exit.vei.vei_size = 4;
	client_answer(v, 0xdeadbeef);
	CHECK_EQ(run_value(v), RAX_BEFORE >> 32);
}

static void
in_size_is_the_drivers(void)
{
	struct client_vm *v = at_in();

	client_answer(v, 0xdeadbeef);
	v->exit.vei.vei_size = 4;
	v->exit.vei.vei_port = 0x80;
	CHECK_EQ(run_value64(v), (RAX_BEFORE & ~0xffULL) | 0xef);
}

static void
vrs_is_ignored(void)
{
	struct client_vm *v = new_guest("out", NULL);

	run_to_mark(v, VEI_DIR_OUT, 0x70, 1);
	memset(&v->exit.vrs, 0xff, sizeof(v->exit.vrs));
	run_to_mark(v, VEI_DIR_OUT, 0x71, 2);
	CHECK_EQ(gpr(v, VCPU_REGS_RAX), RAX_BEFORE);
}

const struct clause exit_io[] = {
	{ "3.2.1.out", "OUT of 1, 2, 4 bytes: port, data, RIP behind it",
	    LAYER_EXIT, MATCH, out, NULL },
	{ "F7.width", "IN of 1 and 2 bytes merges into RAX, 4 zero-extends",
	    LAYER_EXIT, FIX, in, NULL },
	{ "3.2.1.real", "IN and OUT of every width in real mode",
	    LAYER_EXIT, MATCH, io_real, NULL },
	{ "F6.prefixes", "I/O instructions of 2 to 15 bytes",
	    LAYER_EXIT, FIX, io_prefixes,
	    "vei_encoding: VMX 1 for an immediate port, SVM 0" },
	{ "3.2.1.unclaimed", "a port of nobody reads ones, OUT is lost",
	    LAYER_EXIT, MATCH, io_unclaimed, NULL },
	{ "3.2.1.ports-in", "IN exits on the listed ports and no other",
	    LAYER_EXIT, MATCH, io_ports_in, NULL },
	{ "3.2.1.ports-out", "OUT exits on the listed ports and no other",
	    LAYER_EXIT, MATCH, io_ports_out, NULL },
	{ "3.2.1.ports-high", "ports up to 0xffff exit",
	    LAYER_EXIT, MATCH, io_ports_high, NULL },
	{ "C2.port-61", "port 0x61 exits, 0x60 and 0x62 do not",
	    LAYER_EXIT, MATCH, io_port_61, NULL },
	{ "3.2.1.first-port", "only the first port of an access counts",
	    LAYER_EXIT, MATCH, io_width, NULL },
	{ "3.2.1.string", "INS and OUTS: one exit, no register or byte moved",
	    LAYER_EXIT, MATCH, io_string, NULL },
	{ "3.2.1.scribble", "a guest that writes to all ports harms nobody",
	    LAYER_EXIT, MATCH, io_scribble, NULL },
	{ "F7.not-continued", "without vrp_continue RAX stays",
	    LAYER_EXIT, MATCH, in_not_continued, NULL },
	{ "F7.direction", "an answer whose vei_dir is OUT is none",
	    LAYER_EXIT, MATCH, in_wrong_direction, NULL },
	{ "F7.writeregs", "WRITEREGS of GPRS cancels the waiting IN",
	    LAYER_EXIT, FIX, in_after_writeregs, NULL },
	{ "F7.other-groups", "WRITEREGS of other groups does not",
	    LAYER_EXIT, FIX, in_after_other_groups, NULL },
	{ "F7.resetcpu", "RESETCPU cancels the waiting IN",
	    LAYER_EXIT, FIX, in_after_reset, NULL },
	{ "F7.once", "an IN is completed once, not by a later continue",
	    LAYER_EXIT, FIX, in_only_once, NULL },
	{ "F7.size", "the width is the instruction's, not vei_size",
	    LAYER_EXIT, FIX, in_size_is_the_drivers, NULL },
	{ "3.2.exit-ignored", "a change of vrp_exit->vrs has no effect",
	    LAYER_EXIT, MATCH, vrs_is_ignored, NULL },
	CLAUSE_END
};
