/* SPDX-License-Identifier: ISC */
/*
 * show.c - exits, registers, memory and INFO rows as text of 80 columns.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmctl.h"
#include "../../guests/guest.h"

static const char *const gpr_names[VCPU_REGS_NGPRS] = {
	"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
	"r12", "r13", "r14", "r15", "rsp", "rbp", "rip", "rflags",
};
static const char *const cr_names[VCPU_REGS_NCRS] = {
	"cr0", "cr2", "cr3", "cr4", "cr8", "xcr0",
	"pdpte0", "pdpte1", "pdpte2", "pdpte3",
};
static const char *const msr_names[VCPU_REGS_NMSRS] = {
	"efer", "star", "lstar", "cstar", "sfmask", "kgsbase", "misc",
};
static const char *const dr_names[VCPU_REGS_NDRS] = {
	"dr0", "dr1", "dr2", "dr3", "dr6", "dr7",
};
static const char *const seg_names[VCPU_REGS_NSREGS + 2] = {
	"cs", "ds", "es", "fs", "gs", "ss", "ldtr", "tr", "gdtr", "idtr",
};

/* The groups whose registers are plain u64 arrays, in the order printed. */
#define GROUP(mask, names, field) \
	{ mask, sizeof(names) / sizeof((names)[0]), names, \
	    offsetof(struct vcpu_reg_state, field) }
static const struct group {
	uint64_t		 mask;
	size_t			 n;
	const char *const	*names;
	size_t			 offset;
} groups[] = {
	GROUP(VM_RWREGS_GPRS, gpr_names, vrs_gprs),
	GROUP(VM_RWREGS_CRS, cr_names, vrs_crs),
	GROUP(VM_RWREGS_MSRS, msr_names, vrs_msrs),
	GROUP(VM_RWREGS_DRS, dr_names, vrs_drs),
};
#define NGROUPS	(sizeof(groups) / sizeof(groups[0]))

/* A number with commas, in the caller's buffer. Returns its start. */
char *
show_commas(uint64_t n, char buf[32])
{
	char *p = buf + 31;
	int digits = 0;

	*p = '\0';
	do {
		if (digits++ % 3 == 0 && digits > 1)
			*--p = ',';
		*--p = '0' + n % 10;
		n /= 10;
	} while (n != 0);
	return (p);
}

/* The last exit in one word. */
const char *
show_reason(const struct client_vm *v)
{
	static const char *const names[] = {
		[CLIENT_IO] = "IO",
		[CLIENT_HLT] = "HLT",
		[CLIENT_SHUTDOWN] = "SHUTDOWN",
		[CLIENT_PROTECT] = "PROTECT",
		[CLIENT_WINDOW] = "WINDOW",
		[CLIENT_NONE] = "NONE",
		[CLIENT_TERMINATED] = "TERMINATED",
		[CLIENT_OTHER] = "OTHER",
	};

	return (names[client_event(v)]);
}

/* An IN or OUT, and what the port means in guest.h. */
static void
describe_io(const struct client_vm *v, char *buf, size_t len)
{
	const struct vm_exit_inout *vei = &v->exit.vei;
	const char *name = "";
	bool in = vei->vei_dir == VEI_DIR_IN;
	uint32_t data = vei->vei_data;

	if (vei->vei_size < 4)
		data &= (1U << vei->vei_size * 8) - 1;
	if (!in && vei->vei_port == GUEST_VALUE)
		name = " VALUE";
	else if (!in && vei->vei_port == GUEST_DONE)
		name = client_done(v) ? " DONE" : " DONE, wrong nonce";
	else if (!in && vei->vei_port == GUEST_FAIL)
		name = " FAIL, line";
	if (vei->vei_string)
		snprintf(buf, len, "%s%s.%u port %04x",
		    vei->vei_rep ? "REP " : "", in ? "INS" : "OUTS",
		    vei->vei_size, vei->vei_port);
	else if (in)
		snprintf(buf, len, "IN.%u port %04x waits for an answer",
		    vei->vei_size, vei->vei_port);
	else if (vei->vei_port == GUEST_FAIL)
		snprintf(buf, len, "OUT.%u port %04x%s %u", vei->vei_size,
		    vei->vei_port, name, data);
	else
		snprintf(buf, len, "OUT.%u port %04x%s %0*x", vei->vei_size,
		    vei->vei_port, name, vei->vei_size * 2, data);
}

/* One line for exit number `nr`: raw reason, decoded, RIP, CPL, irqready. */
void
show_exit(const struct client_vm *v, uint64_t nr)
{
	char what[64] = "";

	switch (client_event(v)) {
	case CLIENT_IO:
		describe_io(v, what, sizeof(what));
		break;
	case CLIENT_HLT:
		strcpy(what, "waits for an interrupt");
		break;
	case CLIENT_SHUTDOWN:
		strcpy(what, "triple fault; `reset' starts anew");
		break;
	case CLIENT_PROTECT:
		strcpy(what, "access that `protect' forbade");
		break;
	case CLIENT_WINDOW:
		strcpy(what, "takes interrupts now");
		break;
	case CLIENT_NONE:
		strcpy(what, "stopped by a signal");
		break;
	case CLIENT_TERMINATED:
		strcpy(what, "the VM was ended");
		break;
	case CLIENT_OTHER:
		break;
	}
	printf("%4llu %4x %-9s%-36s rip %08llx cpl %d%s\n",
	    (unsigned long long)nr, v->run.vrp_exit_reason, show_reason(v),
	    what, (unsigned long long)v->exit.vrs.vrs_gprs[VCPU_REGS_RIP],
	    v->exit.cpl, v->run.vrp_irqready ? " if" : "");
}

/* One of the ten segments and descriptor-table registers. */
static const struct vcpu_segment_info *
segment(const struct vcpu_reg_state *vrs, int i)
{
	if (i < VCPU_REGS_NSREGS)
		return (&vrs->vrs_sregs[i]);
	return (i == VCPU_REGS_NSREGS ? &vrs->vrs_gdtr : &vrs->vrs_idtr);
}

/* The register groups in `mask`, three registers on a line. */
void
show_regs(const struct vcpu_reg_state *vrs, uint64_t mask)
{
	const struct vcpu_segment_info *vsi;
	const uint64_t *regs;
	size_t g, i;

	for (g = 0; g < NGROUPS; g++) {
		if ((mask & groups[g].mask) == 0)
			continue;
		regs = (const void *)((const char *)vrs + groups[g].offset);
		for (i = 0; i < groups[g].n; i++)
			printf("%-7s %016llx%s", groups[g].names[i],
			    (unsigned long long)regs[i],
			    i % 3 == 2 || i + 1 == groups[g].n ? "\n" : "  ");
	}
	if ((mask & VM_RWREGS_SREGS) == 0)
		return;
	for (i = 0; i < VCPU_REGS_NSREGS + 2; i++) {
		vsi = segment(vrs, i);
		printf("%-7s base %016llx limit %08x", seg_names[i],
		    (unsigned long long)vsi->vsi_base, vsi->vsi_limit);
		if (i < VCPU_REGS_NSREGS)
			printf(" sel %04x ar %05x%s", vsi->vsi_sel,
			    vsi->vsi_ar,
			    vsi->vsi_ar & 0x10000 ? " unusable" : "");
		putchar('\n');
	}
}

/*
 * Sets the register `name`; parts of a segment are cs.sel, cs.base, cs.limit
 * and cs.ar. Returns its group, or 0: no such register.
 */
uint64_t
show_set_reg(struct vcpu_reg_state *vrs, const char *name, uint64_t value)
{
	struct vcpu_segment_info *vsi;
	const char *dot = strchr(name, '.');
	uint64_t *regs;
	size_t g, i;

	for (g = 0; g < NGROUPS; g++)
		for (i = 0; i < groups[g].n; i++)
			if (strcmp(name, groups[g].names[i]) == 0) {
				regs = (void *)((char *)vrs +
				    groups[g].offset);
				regs[i] = value;
				return (groups[g].mask);
			}
	for (i = 0; dot != NULL && i < VCPU_REGS_NSREGS + 2; i++) {
		if (strlen(seg_names[i]) != (size_t)(dot - name) ||
		    strncmp(name, seg_names[i], dot - name) != 0)
			continue;
		vsi = (struct vcpu_segment_info *)segment(vrs, i);
		if (strcmp(dot, ".base") == 0)
			vsi->vsi_base = value;
		else if (strcmp(dot, ".limit") == 0)
			vsi->vsi_limit = value;
		else if (strcmp(dot, ".sel") == 0)
			vsi->vsi_sel = value;
		else if (strcmp(dot, ".ar") == 0)
			vsi->vsi_ar = value;
		else
			return (0);
		return (VM_RWREGS_SREGS);
	}
	return (0);
}

/* `len` bytes of guest memory that lies at `p` and has address `gpa`. */
void
show_mem(const uint8_t *p, uint64_t gpa, size_t len)
{
	size_t i, row;

	for (row = 0; row < len; row += 16) {
		printf("%08llx ", (unsigned long long)(gpa + row));
		for (i = row; i < row + 16; i++) {
			if (i % 8 == 0)
				putchar(' ');
			if (i < len)
				printf("%02x ", p[i]);
			else
				printf("   ");
		}
		printf(" |");
		for (i = row; i < row + 16 && i < len; i++)
			putchar(isprint(p[i]) ? p[i] : '.');
		printf("|\n");
	}
}

/* One VM of INFO: a line, and the states of its VCPUs. */
void
show_info(const struct vm_info_result *vir)
{
	static const char *const states[] = {
		"STOPPED", "RUNNING", "REQTERM", "TERMINATED", "UNKNOWN",
	};
	char used[32];
	size_t i;

	printf("%4u  %-20.20s %6zu MiB %15s bytes used  pid %d", vir->vir_id,
	    vir->vir_name, vir->vir_memory_size,
	    show_commas(vir->vir_used_size, used), vir->vir_creator_pid);
	for (i = 0; i < vir->vir_ncpus && i < VMM_MAX_VCPUS_PER_VM; i++) {
		if (vir->vir_vcpu_state[i] > VCPU_STATE_UNKNOWN)
			continue;
		printf("%s%zu:%s", i % 6 == 0 ? "\n      vcpu " : " ", i,
		    states[vir->vir_vcpu_state[i]]);
	}
	putchar('\n');
}
