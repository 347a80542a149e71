/* SPDX-License-Identifier: ISC */
/*
 * ioctl_number.c - which commands there are, and what of an argument counts.
 */
#include <stdio.h>

#include "ioctl_util.h"

#define ENCODE(dir, group, nr, size) \
	((uint32_t)(dir) << 30 | (uint32_t)(size) << 16 | \
	 (uint32_t)(group) << 8 | (uint32_t)(nr))

/* Runs all eleven on a VM, each by the number that `number` chooses. */
static void
all_eleven(uint32_t (*number)(const struct ioc *))
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	static const int order[] = {
		IOC_INFO, IOC_RESETCPU, IOC_WRITEREGS, IOC_READREGS,
		IOC_WRITEVMPARAMS, IOC_READVMPARAMS, IOC_INTR, IOC_MPROTECT,
		IOC_RUN, IOC_TERM, IOC_CREATE,
	};
	union ioc_arg a;
	size_t i;

	for (i = 0; i < NELEM(order); i++) {
		ioc_fill(order[i], &a, v);
		EXPECT(iocs[order[i] - 1].name,
		    raw_ioctl(v->fd, number(&iocs[order[i] - 1]),
		    (uintptr_t)&a), 0);
	}
	CHECK_EQ(client_ioc_term(v->fd, a.create.vcp_id), 0);
}

static uint32_t
bsd_number(const struct ioc *ioc)
{
	return (ioc->bsd);
}

static uint32_t
linux_number(const struct ioc *ioc)
{
	return (ioc->linux);
}

static void
numbers_bsd(void)
{
	all_eleven(bsd_number);
}

static void
numbers_linux(void)
{
	all_eleven(linux_number);
}

/* The macros of vmmvar.h are one of the two. */
static void
numbers_header(void)
{
	static const unsigned long macro[] = {
		VMM_IOC_CREATE, VMM_IOC_RUN, VMM_IOC_INFO, VMM_IOC_TERM,
		VMM_IOC_RESETCPU, VMM_IOC_INTR, VMM_IOC_READREGS,
		VMM_IOC_WRITEREGS, VMM_IOC_READVMPARAMS,
		VMM_IOC_WRITEVMPARAMS, VMM_IOC_MPROTECT_EPT,
	};
	bool bsd = VMM_IOC_TERM == iocs[IOC_TERM - 1].bsd;
	size_t i;

	for (i = 0; i < NELEM(iocs); i++)
		EXPECT(iocs[i].name, macro[i],
		    bsd ? iocs[i].bsd : iocs[i].linux);
}

/* Group, number and size decide: the bits for the direction do not. */
static void
direction(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	union ioc_arg a;
	uint32_t dir;
	int nr;

	for (nr = IOC_RUN; nr <= IOC_MPROTECT; nr++)
		for (dir = 0; dir < 4; dir++) {
			ioc_fill(nr, &a, v);
			if (nr == IOC_TERM)
				a.id.vm = ~0U;
			EXPECT(iocs[nr - 1].name, raw_ioctl(v->fd, ENCODE(dir,
			    'V', nr, iocs[nr - 1].size), (uintptr_t)&a),
			    nr == IOC_TERM ? ENOENT : 0);
		}
}

/* A write by BSD's number really carries the argument in. */
static void
bsd_writes(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vcpu_reg_state rs;
	union ioc_arg a;
	uint64_t want = fresh();

	ioc_fill(IOC_WRITEREGS, &a, v);
	a.regs.vrwp_regs.vrs_gprs[VCPU_REGS_RBX] = want;
	CHECK_EQ(raw_ioctl(v->fd, iocs[IOC_WRITEREGS - 1].bsd,
	    (uintptr_t)&a), 0);
	get_regs(v, &rs);
	CHECK_EQ(rs.vrs_gprs[VCPU_REGS_RBX], want);

	ioc_fill(IOC_RESETCPU, &a, v);
	a.reset.vrp_init_state.vrs_gprs[VCPU_REGS_RBX] = ~want;
	CHECK_EQ(raw_ioctl(v->fd, iocs[IOC_RESETCPU - 1].bsd,
	    (uintptr_t)&a), 0);
	get_regs(v, &rs);
	CHECK_EQ(rs.vrs_gprs[VCPU_REGS_RBX], ~want);

	ioc_fill(IOC_WRITEVMPARAMS, &a, v);
	a.params.vpp_pvclock_version = (uint32_t)want;
	CHECK_EQ(raw_ioctl(v->fd, iocs[IOC_WRITEVMPARAMS - 1].bsd,
	    (uintptr_t)&a), 0);
	ioc_fill(IOC_READVMPARAMS, &a, v);
	CHECK_EQ(client_ioc_readvmparams(v->fd, &a.params), 0);
	CHECK_EQ(a.params.vpp_pvclock_version, (uint32_t)want);

	ioc_fill(IOC_TERM, &a, v);
	CHECK_EQ(raw_ioctl(v->fd, iocs[IOC_TERM - 1].bsd, (uintptr_t)&a), 0);
	CHECK_EQ(raw_ioctl(v->fd, iocs[IOC_TERM - 1].linux, (uintptr_t)&a),
	    ENOENT);
}

/*
 * Every command of a list of variations of the eleven is ENOTTY, with a good
 * argument and with none, and does nothing.
 */
static void
expect_enotty(struct client_vm *v, const char *what, uint32_t cmd, int nr)
{
	union ioc_arg a;
	char name[64];

	snprintf(name, sizeof(name), "%s, command 0x%x", what, cmd);
	ioc_fill(nr, &a, v);
	EXPECT(name, raw_ioctl(v->fd, cmd, (uintptr_t)&a), ENOTTY);
	EXPECT(name, raw_ioctl(v->fd, cmd, 0), ENOTTY);
}

static void
enotty_group(void)
{
	static const uint8_t groups[] = {
		0x00, 0x01, 'U', 'W', 'v', 'T', 0xd6, 0xff,
	};
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct snapshot before;
	size_t i, g;

	take_snapshot(v, &before);
	for (i = 0; i < NELEM(iocs); i++)
		for (g = 0; g < NELEM(groups); g++) {
			expect_enotty(v, iocs[i].name, (iocs[i].bsd &
			    ~0xff00U) | groups[g] << 8, (int)i + 1);
			expect_enotty(v, iocs[i].name, (iocs[i].linux &
			    ~0xff00U) | groups[g] << 8, (int)i + 1);
		}
	same_snapshot("after all", v, &before);
}

static void
enotty_number(void)
{
	static const uint8_t numbers[] = {
		0, 12, 13, 0x11, 0x21, 0x41, 0x7f, 0x81, 0x84, 0xff,
	};
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct snapshot before;
	size_t i, n;

	take_snapshot(v, &before);
	for (i = 0; i < NELEM(iocs); i++)
		for (n = 0; n < NELEM(numbers); n++) {
			expect_enotty(v, iocs[i].name, (iocs[i].bsd &
			    ~0xffU) | numbers[n], (int)i + 1);
			expect_enotty(v, iocs[i].name, (iocs[i].linux &
			    ~0xffU) | numbers[n], (int)i + 1);
		}
	same_snapshot("after all", v, &before);
}

static void
enotty_size(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct snapshot before;
	size_t i, s, n;

	take_snapshot(v, &before);
	for (i = 0; i < NELEM(iocs); i++) {
		n = iocs[i].size;
		const size_t sizes[] = {
			0, 1, n - 1, n + 1, n - 4, n + 4, n + 8, n * 2,
			n | 0x1000, 0x1fff, n | 0x2000, 0x3fff,
		};
		for (s = 0; s < NELEM(sizes); s++) {
			if (sizes[s] == n)
				continue;
			expect_enotty(v, iocs[i].name, ENCODE(1, 'V', i + 1,
			    sizes[s]), (int)i + 1);
			expect_enotty(v, iocs[i].name, ENCODE(2, 'V', i + 1,
			    sizes[s]), (int)i + 1);
			expect_enotty(v, iocs[i].name, ENCODE(3, 'V', i + 1,
			    sizes[s]), (int)i + 1);
		}
	}
	same_snapshot("after all", v, &before);
}

/* The number of one with the size of another. */
static void
enotty_swapped(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct snapshot before;
	size_t i, j, dir;

	take_snapshot(v, &before);
	for (i = 0; i < NELEM(iocs); i++)
		for (j = 0; j < NELEM(iocs); j++)
			for (dir = 1; dir <= 3; dir++)
				if (iocs[i].size != iocs[j].size)
					expect_enotty(v, iocs[i].name,
					    ENCODE(dir, 'V', i + 1,
					    iocs[j].size), (int)i + 1);
	same_snapshot("after all", v, &before);
}

/* Commands of other devices, and bare numbers. */
static void
enotty_other(void)
{
	static const uint32_t commands[] = {
		0, 1, 11, 0x5601, 0x560b, 0x5600, 0xffffffff, 0x80000000,
		0x7fffffff, 0x4004ae41, 0x0000ae80, 0x5401, 0x20005604,
	};
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	size_t i;

	for (i = 0; i < NELEM(commands); i++)
		expect_enotty(v, "other", commands[i], IOC_TERM);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_STOPPED);
}

/* Padding, and fields that an ioctl only writes or ignores. */
struct garbage {
	int	nr;
	struct {
		size_t	off, len;
	}	hole[5];
};

static const struct garbage garbage[] = {
	{ IOC_CREATE, { { 16, 16 }, { 56, 360 }, { 416, 640 },
	    { 1120, 160 } } },
	{ IOC_RUN, { { 9, 1 }, { 12, 4 }, { 24, 8 } } },
	{ IOC_INFO, { { 8, 8 } } },
	{ IOC_INTR, { { 10, 2 } } },
	{ IOC_READREGS, { { 16, 568 } } },
	{ IOC_READVMPARAMS, { { 12, 20 } } },
	{ IOC_WRITEVMPARAMS, { { 12, 4 }, { 28, 4 } } },
	{ IOC_MPROTECT, { { 28, 4 } } },
};

/* The holes of a segment, and of those two whose sel and ar do not count. */
static void
fill_segments(struct vcpu_reg_state *rs, uint8_t byte)
{
	struct vcpu_segment_info *s = rs->vrs_sregs;
	int i;

	for (i = 0; i < VCPU_REGS_NSREGS; i++)
		memset((uint8_t *)&s[i] + 2, byte, 2);
	for (i = 0; i < 2; i++) {
		s = i == 0 ? &rs->vrs_gdtr : &rs->vrs_idtr;
		memset(s, byte, 4);
		memset(&s->vsi_ar, byte, 4);
	}
}

static void
c4_garbage(void)
{
	static const uint8_t bytes[] = { 0xff, 0x5a, 0x01 };
	const struct garbage *g;
	struct client_vm *v;
	union ioc_arg a;
	size_t b, h;

	for (b = 0; b < NELEM(bytes); b++) {
		v = new_started(code_out, sizeof(code_out), 1);
		for (g = garbage; g < garbage + NELEM(garbage); g++) {
			ioc_fill(g->nr, &a, v);
			for (h = 0; h < 5; h++)
				memset(a.bytes + g->hole[h].off, bytes[b],
				    g->hole[h].len);
			EXPECT(iocs[g->nr - 1].name, raw_ioctl(v->fd,
			    iocs[g->nr - 1].linux, (uintptr_t)&a), 0);
			if (g->nr == IOC_CREATE)
				CHECK_EQ(client_ioc_term(v->fd,
				    a.create.vcp_id), 0);
		}
	}
}

static void
c4_segments(void)
{
	static const uint8_t bytes[] = { 0xff, 0x5a, 0x01 };
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vcpu_reg_state want;
	struct snapshot now;
	union ioc_arg a;
	size_t b;

	client_start_state(GUEST_REAL, &want);
	for (b = 0; b < NELEM(bytes); b++) {
		ioc_fill(IOC_RESETCPU, &a, v);
		fill_segments(&a.reset.vrp_init_state, bytes[b]);
		CHECK_EQ(raw_ioctl(v->fd, VMM_IOC_RESETCPU, (uintptr_t)&a),
		    0);
		take_snapshot(v, &now);
		same_regs("RESETCPU", &now.regs, &want, VM_RWREGS_SREGS);
		ioc_fill(IOC_WRITEREGS, &a, v);
		fill_segments(&a.regs.vrwp_regs, bytes[b]);
		CHECK_EQ(raw_ioctl(v->fd, VMM_IOC_WRITEREGS, (uintptr_t)&a),
		    0);
		take_snapshot(v, &now);
		same_regs("WRITEREGS", &now.regs, &want, VM_RWREGS_SREGS);
	}
}

/* What RUN reports does not depend on what its outputs held. */
static void
c4_run_outputs(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	union ioc_arg a;

	memset(&v->exit, 0xa5, sizeof(v->exit));
	ioc_fill(IOC_RUN, &a, v);
	a.run.vrp_exit = &v->exit;
	a.run.vrp_exit_reason = VM_EXIT_TERMINATED;
	a.run.vrp_irqready = 0xa5;
	CHECK_EQ(client_ioc_run(v->fd, &a.run), 0);
	v->run = a.run;
	CHECK_EQ(client_event(v), CLIENT_IO);
	CHECK_EQ(a.run.vrp_irqready, 0);
	CHECK_EQ(v->exit.vei.vei_size, 1);
	CHECK_EQ(v->exit.vei.vei_dir, VEI_DIR_OUT);
	CHECK_EQ(v->exit.vei.vei_rep, 0);
	CHECK_EQ(v->exit.vei.vei_string, 0);
	CHECK_EQ(v->exit.vei.vei_port, 0x20);
	CHECK_EQ(v->exit.cpl, 0);
}

const struct clause ioctl_number[] = {
	ROW("1.3.header", "the numbers of the header are those of the "
	    "interface", MATCH, numbers_header),
	ROW("C1.bsd", "all eleven by their BSD numbers", MATCH, numbers_bsd),
	ROW("C1.linux", "all eleven by their Linux numbers", BEYOND,
	    numbers_linux),
	ROW("C1.bsd-in", "a BSD-numbered write carries its argument in",
	    MATCH, bsd_writes),
	ROW("C1.direction", "the direction in a number does not decide",
	    BEYOND, direction),
	ROW("3.0.enotty-group", "another group is ENOTTY and does nothing",
	    MATCH, enotty_group),
	ROW("3.0.enotty-number", "an unknown number is ENOTTY and does "
	    "nothing", MATCH, enotty_number),
	ROW("3.0.enotty-size", "a wrong size is ENOTTY and does nothing",
	    MATCH, enotty_size),
	ROW("3.0.enotty-swapped", "one's number with another's size is "
	    "ENOTTY", MATCH, enotty_swapped),
	ROW("3.0.enotty-other", "commands of other devices are ENOTTY",
	    MATCH, enotty_other),
	ROW("C4.padding", "padding, outputs and ignored fields may hold "
	    "garbage", MATCH, c4_garbage),
	ROW("C4.segments", "padding and unused parts of segments may hold "
	    "garbage", MATCH, c4_segments),
	ROW("C4.run-outputs", "what RUN reports does not depend on what was "
	    "there", FIX, c4_run_outputs),
	CLAUSE_END
};
