/* SPDX-License-Identifier: ISC */
/*
 * ioctl.c - the commands: one for each ioctl, and a few around them.
 *
 * Each acts on the current VM and VCPU, and returns CTL_OK or has told in
 * one line what was wrong and what to do about it. cmd.c has checked the
 * number of words, and that there is a VM where one is needed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmctl.h"
#include "../../guests/guest.h"

#define RUN_MAX		1000	/* exits of one `run' */
#define MEM_MAX		4096	/* bytes of one `mem' */
#define NO_IRQ		0xffff

static const char *const mode_names[] = { "real", "prot", "pae", "long" };

/* CTL_OK, or one line for an ioctl that failed, with a remedy. */
static int
result(const char *name, int error)
{
	static const struct {
		const char	*name;	/* NULL: any ioctl */
		int		 error;
		const char	*remedy;
	} hints[] = {
		{ "RUN", EIO, "the guest halted with interrupts off and is "
		    "ended; `create' makes another VM" },
		{ "RUN", EINVAL, "the guest did what cannot be carried on "
		    "from and is ended; the host's log says what" },
		{ "RESETCPU", EIO, "no CPU can enter that register state; "
		    "try `reset real'" },
		{ "MPROTECT_EPT", EINVAL, "give whole pages of guest memory "
		    "and rights with r or x" },
		{ "WRITEVMPARAMS", EINVAL, "the clock takes 32 bytes of guest "
		    "memory in one page, at a multiple of 16, plus 1" },
		{ "WRITEREGS", EINVAL, "the register cannot hold that value" },
		{ "CREATE", EINVAL, "memory is 1 to 3840 MiB, VCPUs 1 to 64" },
		{ "CREATE", EBUSY, "another hypervisor has the CPUs: end its "
		    "VMs, or unload it" },
		{ "CREATE", EIO, "a CPU does not start virtualization; the "
		    "host's log says which" },
		{ NULL, ENOENT, "no such VM or VCPU; `info' lists them" },
		{ NULL, EBUSY, "the VCPU runs or was ended; `info' shows its "
		    "state, `create' makes another VM" },
		{ NULL, EPERM, "the VM is another user's; be root" },
		{ NULL, ENOMEM, "memory or its lock limit is used up; ask for "
		    "less, or end a VM with `term'" },
		{ NULL, EFAULT, "guest memory is not mapped any more" },
	};
	size_t i;

	if (error == 0)
		return (CTL_OK);
	for (i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (hints[i].error == error && (hints[i].name == NULL ||
		    strcmp(hints[i].name, name) == 0))
			return (ctl_error(CTL_FAIL, "%s: %s; %s", name,
			    strerror(error), hints[i].remedy));
	return (ctl_error(CTL_FAIL, "%s: %s", name, strerror(error)));
}

/*
 * Word i as a number, decimal or 0x; without that word *value stays. Returns
 * false, and has told, when it is none or above `max`.
 */
bool
ctl_number(int argc, char **argv, int i, uint64_t max, uint64_t *value)
{
	char *end;

	if (i >= argc)
		return (true);
	errno = 0;
	*value = strtoull(argv[i], &end, 0);
	if (argv[i][0] < '0' || argv[i][0] > '9' || *end != '\0') {
		ctl_error(CTL_USAGE, "%s: `%s' is no number; write 10 or 0xa",
		    argv[0], argv[i]);
		return (false);
	}
	if (errno == ERANGE || *value > max) {
		ctl_error(CTL_USAGE, "%s: %s is too large; at most %#llx",
		    argv[0], argv[i], (unsigned long long)max);
		return (false);
	}
	return (true);
}

/* A VM, which becomes the current one. */
int
cmd_create(struct ctl *ctl, int argc, char **argv)
{
	uint64_t mib = 4, ncpus = 1;
	struct ctl_vm *c;
	int error;

	if (!ctl_number(argc, argv, 1, 1UL << 20, &mib) ||
	    !ctl_number(argc, argv, 2, UINT32_MAX, &ncpus))
		return (CTL_USAGE);
	for (c = ctl->vms; c->v.id != 0; c++)
		if (c == &ctl->vms[CTL_VMS - 1])
			return (ctl_error(CTL_FAIL, "create: %d VMs already; "
			    "end one with `term'", CTL_VMS));
	error = client_create(ctl->fd, argc > 3 ? argv[3] : "vmctl",
	    mib * CLIENT_MIB, ncpus, &c->v);
	if (error != 0)
		return (result("CREATE", error));
	c->loaded = c->reset = false;
	ctl->cur = c;
	printf("VM %u: %llu MiB, VCPUs: %llu\n", c->v.id,
	    (unsigned long long)mib, (unsigned long long)ncpus);
	return (CTL_OK);
}

/* Chooses the VM and VCPU that the other commands are for. */
int
cmd_use(struct ctl *ctl, int argc, char **argv)
{
	uint64_t id = 0, vcpu = 0;
	struct ctl_vm *c;

	if (!ctl_number(argc, argv, 1, UINT32_MAX, &id) ||
	    !ctl_number(argc, argv, 2, UINT32_MAX, &vcpu))
		return (CTL_USAGE);
	for (c = ctl->vms; c < ctl->vms + CTL_VMS; c++)
		if (id != 0 && c->v.id == id) {
			c->v.vcpu = vcpu;
			ctl->cur = c;
			return (CTL_OK);
		}
	return (ctl_error(CTL_FAIL, "use: VM %s is not of this session; "
	    "`create' makes one", argv[1]));
}

/* A guest image into memory, with what guest.h puts around it. */
int
cmd_load(struct ctl *ctl, int argc, char **argv)
{
	uint64_t args[8] = { 0 };
	char path[CTL_LINE];
	struct ctl_vm *c = ctl->cur;
	const char *remedy = "a guest is a file in /guests, or a path with /";
	int error, i;

	for (i = 2; i < argc; i++)
		if (!ctl_number(argc, argv, i, UINT64_MAX, &args[i - 2]))
			return (CTL_USAGE);
	snprintf(path, sizeof(path), strchr(argv[1], '/') != NULL ? "%s" :
	    "/guests/%s.bin", argv[1]);
	c->v.nonce++;
	error = client_load_file(&c->v, path, args, &c->mode);
	if (error == ENOEXEC)
		remedy = "guest.h tells what a guest starts with";
	else if (error == EFBIG)
		remedy = "a guest has at most 64 KiB";
	if (error != 0)
		return (ctl_error(CTL_FAIL, "%s: %s; %s", path,
		    strerror(error), remedy));
	c->loaded = true;
	printf("%s at %#x, %s mode, nonce %08x\n", argv[1], GUEST_LOAD,
	    mode_names[c->mode], (uint32_t)c->v.nonce);
	return (CTL_OK);
}

/* To the start of the guest that is loaded, or of a guest of that mode. */
int
cmd_reset(struct ctl *ctl, int argc, char **argv)
{
	struct ctl_vm *c = ctl->cur;
	int error, mode;

	mode = c->loaded ? c->mode : GUEST_REAL;
	if (argc > 1) {
		for (mode = GUEST_REAL; mode <= GUEST_LONG; mode++)
			if (strcmp(argv[1], mode_names[mode]) == 0)
				break;
		if (mode > GUEST_LONG)
			return (ctl_error(CTL_USAGE, "reset: no mode `%s'; "
			    "real, prot, pae or long", argv[1]));
	}
	error = client_start(&c->v, mode);
	c->reset = c->reset || error == 0;
	if (error == EIO)
		(void)view_explain(c->v.id, c->v.vcpu);
	return (result("RESETCPU", error));
}

/* One RUN, shown as exit number `nr`. */
static int
run_once(struct client_vm *v, uint64_t nr, uint16_t irq)
{
	int error;

	error = client_run(v, irq);
	if (error == 0)
		show_exit(v, nr);
	else if (error == EINVAL)
		(void)view_explain(v->id, v->vcpu);
	return (result("RUN", error));
}

/* N exits; the vector goes with the first. */
int
cmd_step(struct ctl *ctl, int argc, char **argv)
{
	struct client_vm *v = &ctl->cur->v;
	uint64_t i, irq = NO_IRQ, n = 1;
	int status = CTL_OK;

	if (!ctl_number(argc, argv, 1, UINT32_MAX, &n) ||
	    !ctl_number(argc, argv, 2, 0xff, &irq))
		return (CTL_USAGE);
	for (i = 1; i <= n && status == CTL_OK; i++) {
		status = run_once(v, i, irq);
		irq = NO_IRQ;
		if (status == CTL_OK && client_event(v) == CLIENT_NONE)
			break;
	}
	return (status);
}

/*
 * A guest to its end, which is DONE with the nonce; on the way an IN reads
 * all ones, as from a port that nothing claims. With a name, that guest from
 * its start, in the current VM or a new one.
 */
int
cmd_run(struct ctl *ctl, int argc, char **argv)
{
	char *words[] = { "create", "load", "reset" };
	struct client_vm *v;
	uint64_t nr;
	int status = CTL_OK;

	if (argc > 1) {
		if (ctl->cur == NULL)
			status = cmd_create(ctl, 1, &words[0]);
		if (status == CTL_OK)
			status = cmd_load(ctl, argc, argv);
		if (status == CTL_OK)
			status = cmd_reset(ctl, 1, &words[2]);
	} else if (ctl->cur == NULL || !ctl->cur->reset)
		status = ctl_error(CTL_FAIL, "run: nothing is loaded; `run "
		    "GUEST' loads, resets and runs one");
	for (nr = 1; status == CTL_OK && nr <= RUN_MAX; nr++) {
		v = &ctl->cur->v;
		status = run_once(v, nr, NO_IRQ);
		if (status != CTL_OK || client_done(v))
			return (status);
		if (client_event(v) == CLIENT_NONE ||
		    client_event(v) == CLIENT_HLT)
			return (ctl_error(CTL_FAIL, "run: stopped; `run' goes "
			    "on, `step 1 VECTOR' with an interrupt"));
		if (client_event(v) != CLIENT_IO ||
		    v->exit.vei.vei_port == GUEST_FAIL)
			return (ctl_error(CTL_FAIL, "run: the guest did not "
			    "get to its end; `regs' shows where it is"));
		if (v->exit.vei.vei_dir == VEI_DIR_IN)
			client_answer(v, 0xffffffff);
	}
	if (status == CTL_OK)
		status = ctl_error(CTL_FAIL, "run: %d exits and no end; `run' "
		    "goes on", RUN_MAX);
	return (status);
}

/* What the IN reads that exited last, when it goes on. */
int
cmd_answer(struct ctl *ctl, int argc, char **argv)
{
	struct client_vm *v = &ctl->cur->v;
	uint64_t data = 0;

	if (!ctl_number(argc, argv, 1, UINT32_MAX, &data))
		return (CTL_USAGE);
	if (client_event(v) != CLIENT_IO ||
	    v->exit.vei.vei_dir != VEI_DIR_IN)
		return (ctl_error(CTL_FAIL, "answer: no IN waits for one; "
		    "`step' to an IN"));
	client_answer(v, data);
	return (CTL_OK);
}

/* INFO twice: for the size, then for the rows. */
int
cmd_info(struct ctl *ctl, int argc, char **argv)
{
	struct vm_info_params vip = { 0 };
	size_t i;
	int error;

	(void)argc;
	(void)argv;
	error = client_ioc_info(ctl->fd, &vip);
	if (error == 0 && vip.vip_size != 0) {
		vip.vip_info = calloc(1, vip.vip_size);
		error = vip.vip_info == NULL ? ENOMEM :
		    client_ioc_info(ctl->fd, &vip);
	}
	for (i = 0; error == 0 && i < vip.vip_info_ct; i++)
		show_info(&vip.vip_info[i]);
	if (error == 0 && vip.vip_info_ct == 0)
		printf("no VM\n");
	free(vip.vip_info);
	return (result("INFO", error));
}

/* Ends a VM, of this session or another. */
int
cmd_term(struct ctl *ctl, int argc, char **argv)
{
	struct ctl_vm *c;
	uint64_t id;
	int error;

	if (argc < 2 && ctl->cur == NULL)
		return (ctl_error(CTL_FAIL, "term: no current VM; name one "
		    "that `info' lists"));
	id = ctl->cur == NULL ? 0 : ctl->cur->v.id;
	if (!ctl_number(argc, argv, 1, UINT32_MAX, &id))
		return (CTL_USAGE);
	error = client_ioc_term(ctl->fd, id);
	if (error != 0)
		return (result("TERM", error));
	for (c = ctl->vms; c < ctl->vms + CTL_VMS; c++) {
		if (c->v.id != id)
			continue;
		c->v.id = 0;
		client_destroy(&c->v);
		if (ctl->cur == c)
			ctl->cur = NULL;
	}
	return (CTL_OK);
}

/* Whether the client has an interrupt for the VCPU: a level, not a vector. */
int
cmd_intr(struct ctl *ctl, int argc, char **argv)
{
	const struct client_vm *v = &ctl->cur->v;
	uint64_t level = 0;

	if (!ctl_number(argc, argv, 1, UINT16_MAX, &level))
		return (CTL_USAGE);
	return (result("INTR", client_ioc_intr(v->fd, v->id, v->vcpu, level)));
}

/* The register groups named, or the general registers. */
int
cmd_regs(struct ctl *ctl, int argc, char **argv)
{
	static const char *const names[] = { "gpr", "seg", "cr", "msr", "dr" };
	const struct client_vm *v = &ctl->cur->v;
	struct vcpu_reg_state vrs = { 0 };
	uint64_t mask = argc > 1 ? 0 : VM_RWREGS_GPRS;
	int error, i, j;

	for (i = 1; i < argc; i++) {
		for (j = 0; j < 5 && strcmp(argv[i], names[j]) != 0; j++)
			continue;
		if (j == 5 && strcmp(argv[i], "all") != 0)
			return (ctl_error(CTL_USAGE, "regs: no group `%s'; "
			    "gpr, seg, cr, msr, dr or all", argv[i]));
		mask |= j == 5 ? VM_RWREGS_ALL : 1U << j;
	}
	error = client_ioc_readregs(v->fd, v->id, v->vcpu, mask, &vrs);
	if (error == 0)
		show_regs(&vrs, mask);
	return (result("READREGS", error));
}

/* One register; the others of its group are written as they were read. */
int
cmd_setreg(struct ctl *ctl, int argc, char **argv)
{
	const struct client_vm *v = &ctl->cur->v;
	struct vcpu_reg_state vrs = { 0 };
	uint64_t group, value = 0;
	int error;

	if (!ctl_number(argc, argv, 2, UINT64_MAX, &value))
		return (CTL_USAGE);
	group = show_set_reg(&vrs, argv[1], value);
	if (group == 0)
		return (ctl_error(CTL_USAGE, "setreg: no register `%s'; "
		    "`regs all' shows the names, and cs.base, cs.limit, "
		    "cs.sel, cs.ar", argv[1]));
	error = client_ioc_readregs(v->fd, v->id, v->vcpu, group, &vrs);
	if (error != 0)
		return (result("READREGS", error));
	show_set_reg(&vrs, argv[1], value);
	return (result("WRITEREGS",
	    client_ioc_writeregs(v->fd, v->id, v->vcpu, group, &vrs)));
}

/* Where the guest's clock is; with arguments, sets it. */
int
cmd_params(struct ctl *ctl, int argc, char **argv)
{
	struct vm_rwvmparams_params vpp = {
		.vpp_vm_id = ctl->cur->v.id,
		.vpp_vcpu_id = ctl->cur->v.vcpu,
		.vpp_mask = VM_RWVMPARAMS_ALL,
	};
	uint64_t gpa = 0, version = 0;
	int error;

	if (!ctl_number(argc, argv, 1, UINT64_MAX, &gpa) ||
	    !ctl_number(argc, argv, 2, UINT32_MAX, &version))
		return (CTL_USAGE);
	if (argc > 1) {
		vpp.vpp_pvclock_system_gpa = gpa;
		vpp.vpp_pvclock_version = version;
		if (argc < 3)
			vpp.vpp_mask = VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA;
		return (result("WRITEVMPARAMS",
		    client_ioc_writevmparams(ctl->fd, &vpp)));
	}
	error = client_ioc_readvmparams(ctl->fd, &vpp);
	if (error == 0)
		printf("pvclock at %#llx, %s, version %u\n", (unsigned
		    long long)vpp.vpp_pvclock_system_gpa & ~1ULL,
		    vpp.vpp_pvclock_system_gpa & 1 ? "on" : "off",
		    vpp.vpp_pvclock_version);
	return (result("READVMPARAMS", error));
}

/* What the guest may do with these pages. */
int
cmd_protect(struct ctl *ctl, int argc, char **argv)
{
	const struct client_vm *v = &ctl->cur->v;
	uint64_t gpa = 0, size = 0;
	const char *p;
	int prot = 0;

	if (!ctl_number(argc, argv, 1, UINT64_MAX, &gpa) ||
	    !ctl_number(argc, argv, 2, SIZE_MAX, &size))
		return (CTL_USAGE);
	for (p = argv[3]; *p != '\0'; p++) {
		if (strchr("rwx-", *p) == NULL)
			return (ctl_error(CTL_USAGE, "protect: no rights "
			    "`%s'; letters of r, w and x", argv[3]));
		prot |= *p == 'r' ? 1 : *p == 'w' ? 2 : *p == 'x' ? 4 : 0;
	}
	return (result("MPROTECT_EPT",
	    client_ioc_mprotect(v->fd, v->id, v->vcpu, gpa, size, prot)));
}

/* Guest memory, read through the client's own mapping. */
int
cmd_mem(struct ctl *ctl, int argc, char **argv)
{
	const struct client_vm *v = &ctl->cur->v;
	uint64_t gpa = 0, len = 64;

	if (!ctl_number(argc, argv, 1, UINT64_MAX, &gpa) ||
	    !ctl_number(argc, argv, 2, MEM_MAX, &len))
		return (CTL_USAGE);
	if (gpa >= v->size || len > v->size - gpa)
		return (ctl_error(CTL_FAIL, "mem: no memory there; it ends "
		    "at %#zx", v->size));
	show_mem(v->mem + gpa, gpa, len);
	return (CTL_OK);
}
