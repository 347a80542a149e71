/* SPDX-License-Identifier: ISC */
/*
 * ioctl_judge.h - F11: what each register may hold.
 *
 * WRITEREGS judges every register alone: a value it can never have is EINVAL
 * and nothing of the whole call is done. RESETCPU says EIO to the same. A row
 * gives the register as an offset into struct vcpu_reg_state.
 */
#ifndef IOCTL_JUDGE_H
#define IOCTL_JUDGE_H

#include "ioctl_util.h"

#define AT(field)	offsetof(struct vcpu_reg_state, field), \
			sizeof(((struct vcpu_reg_state *)0)->field)
#define GPR(r)		AT(vrs_gprs[VCPU_REGS_##r])
#define CR(r)		AT(vrs_crs[VCPU_REGS_##r])
#define MSR(r)		AT(vrs_msrs[VCPU_REGS_##r])
#define DR(r)		AT(vrs_drs[VCPU_REGS_##r])
#define SEG(s, f)	AT(vrs_sregs[VCPU_REGS_##s].f)

#define LOW_END		0x00007fffffffffffUL
#define HOLE_START	0x0000800000000000UL
#define HOLE_LAST	0xffff7fffffffffffUL
#define HIGH_START	0xffff800000000000UL

struct judge {
	const char	*what;
	size_t		 off, len;
	uint64_t	 value;
	uint64_t	 reads;		/* back as; for good values */
};

/* A VM in long mode, with something to lose in every group. */
struct client_vm *victim(struct vcpu_reg_state *good);

/*
 * A value that no CPU can hold is refused by its group, by all groups and
 * (if `reset`) by RESETCPU, and nothing changes.
 */
void	refuse(struct client_vm *, const struct vcpu_reg_state *good,
	    const struct judge *, bool reset);
void	refuse_all(const struct judge *, size_t n);

/* Values at the edge of what is legal are kept. */
void	accept_all(const struct judge *, size_t n);

#endif /* IOCTL_JUDGE_H */
