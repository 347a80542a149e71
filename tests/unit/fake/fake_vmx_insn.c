/* SPDX-License-Identifier: ISC */
/*
 * fake_vmx_insn.c - what guest instructions do on the fake Intel CPU: exit
 * where the controls of the VMCS ask for it, and only there.
 *	SDM Vol. 3C 25.1 "Instructions That Cause VM Exits"
 */
#include "fake_vmx_priv.h"

#define CR0_PE_BIT	0x1u
#define CR0_TS_BIT	0x8u
#define CTLS(f, bit)	((vf_get(g, f) >> (bit) & 1) != 0)
#define PROC(bit)	CTLS(VF_PROC, bit)
#define PROC2(bit)	((fake_proc2(g) >> (bit) & 1) != 0)

/* The manual's numbers of the general registers, by VCPU_REGS_*. */
static const uint8_t encoding[] = { 0, 3, 1, 2, 6, 7, 8, 9, 10, 11, 12, 13,
    14, 15, 4, 5 };

static uint64_t *
gpr_of(struct fake_guest *g, int gpr)
{
	return (gpr == VCPU_REGS_RSP ? fake_vmcs_field(g->vmx, VF_RSP) :
	    &g->gpr[gpr]);
}

static bool
exit_cr(struct fake_guest *g, uint64_t qual)
{
	struct fake_vexit x = { .reason = 28, .qual = qual };

	fake_vexit_raw(g, &x);
	return (true);
}

/* SDM Vol. 3C 25.3 "Changes to Instruction Behavior in VMX Non-Root ..." */
bool
fake_mov_to_cr(struct fake_guest *g, int cr, int gpr)
{
	uint32_t field = cr == 0 ? VF_CR0 : VF_CR4;
	uint32_t mask_field = cr == 0 ? VF_CR0_MASK : VF_CR4_MASK;
	uint32_t shadow = cr == 0 ? VF_CR0_SHADOW : VF_CR4_SHADOW;
	uint64_t v = *gpr_of(g, gpr), mask;
	uint64_t qual = (uint64_t)cr | (uint64_t)encoding[gpr] << 8;

	if (cr == 3) {
		if (PROC(15))
			return (exit_cr(g, qual));
		vf_set(g, VF_CR3, v);
	} else if (cr == 8) {
		if (!PROC(19))
			fake_die("the guest reaches the host's TPR");
		return (exit_cr(g, qual));
	} else {
		mask = vf_get(g, mask_field);
		if (((v ^ vf_get(g, shadow)) & mask) != 0)
			return (exit_cr(g, qual));
		vf_set(g, field, (vf_get(g, field) & mask) | (v & ~mask));
	}
	return (false);
}

bool
fake_mov_from_cr(struct fake_guest *g, int cr, int gpr)
{
	uint32_t mask_field = cr == 0 ? VF_CR0_MASK : VF_CR4_MASK;
	uint32_t shadow = cr == 0 ? VF_CR0_SHADOW : VF_CR4_SHADOW;
	uint64_t mask, qual;

	qual = (uint64_t)cr | 1 << 4 | (uint64_t)encoding[gpr] << 8;
	if (cr == 3) {
		if (PROC(16))
			return (exit_cr(g, qual));
		*gpr_of(g, gpr) = vf_get(g, VF_CR3);
	} else if (cr == 8) {
		if (!PROC(20))
			fake_die("the guest reads the host's TPR");
		return (exit_cr(g, qual));
	} else {
		mask = vf_get(g, mask_field);
		*gpr_of(g, gpr) = (vf_get(g, cr == 0 ? VF_CR0 : VF_CR4) &
		    ~mask) | (vf_get(g, shadow) & mask);
	}
	return (false);
}

bool
fake_lmsw(struct fake_guest *g, uint16_t msw)
{
	uint64_t mask = vf_get(g, VF_CR0_MASK);
	uint64_t shadow = vf_get(g, VF_CR0_SHADOW), change;

	if ((mask & ~shadow & msw & CR0_PE_BIT) != 0 ||
	    ((msw ^ shadow) & mask & 0xe) != 0)
		return (exit_cr(g, 3 << 4 | (uint64_t)msw << 16));
	change = ~mask & 0xe;
	vf_set(g, VF_CR0, (vf_get(g, VF_CR0) & ~change) | (msw & change) |
	    (msw & ~mask & CR0_PE_BIT));
	return (false);
}

bool
fake_clts(struct fake_guest *g)
{
	uint64_t mask = vf_get(g, VF_CR0_MASK);

	if ((mask & vf_get(g, VF_CR0_SHADOW) & CR0_TS_BIT) != 0)
		return (exit_cr(g, 2 << 4));
	if ((mask & CR0_TS_BIT) == 0)
		vf_set(g, VF_CR0, vf_get(g, VF_CR0) & ~(uint64_t)CR0_TS_BIT);
	return (false);
}

/* With I/O bitmaps the unconditional control does not count. */
static bool
port_exits(const struct fake_guest *g, uint32_t port)
{
	const uint8_t *map;

	if (!PROC(25))
		return (PROC(24));
	map = host_va_of(vf_get(g, port < 0x8000 ? VF_IO_BITMAP_A :
	    VF_IO_BITMAP_B));
	port &= 0x7fff;
	return ((map[port / 8] >> port % 8 & 1) != 0);
}

bool
fake_vmx_io(struct fake_guest *g, uint16_t port, unsigned int size, bool in,
    unsigned int more)
{
	struct fake_vexit x = { .reason = 30, .qual = (size - 1) | more |
	    (in ? 8u : 0) | (uint64_t)port << 16 };
	unsigned int i;

	for (i = 0; i < size; i++)
		if (port_exits(g, (port + i) & 0xffff)) {
			fake_vexit_raw(g, &x);
			return (true);
		}
	return (false);
}

/* SDM Vol. 3C 24.6.9 "MSR-Bitmap Address" */
bool
fake_vmx_msr_exits(const struct fake_guest *g, uint32_t msr, bool write)
{
	const uint8_t *map;
	uint32_t bit = msr & 0x1fff;

	if (!PROC(28) || (msr >= 0x2000 && msr < 0xc0000000) ||
	    msr >= 0xc0002000)
		return (true);
	map = (const uint8_t *)host_va_of(vf_get(g, VF_MSR_BITMAP)) +
	    (write ? 0x800 : 0) + (msr >= 0xc0000000 ? 0x400 : 0);
	return ((map[bit / 8] >> bit % 8 & 1) != 0);
}

bool
fake_vmx_msr(struct fake_guest *g, uint32_t msr, bool write)
{
	struct fake_vexit x = { .reason = write ? 32 : 31 };

	g->gpr[VCPU_REGS_RCX] = msr;
	if (!fake_vmx_msr_exits(g, msr, write))
		return (false);
	fake_vexit_raw(g, &x);
	return (true);
}

static bool
exception_exits(const struct fake_guest *g, const struct fake_vexit *x)
{
	if ((x->event & 0x80000000u) == 0)
		return (false);
	if ((x->event >> 8 & 7) == 2)
		return (CTLS(VF_PIN, 3));
	return ((vf_get(g, VF_EXCEPTIONS) >> (x->event & 31) & 1) != 0);
}

/* Would the CPU exit for this reason, as the VMCS is? */
static bool
exits(const struct fake_guest *g, const struct fake_vexit *x)
{
	switch (x->reason) {
	case 0:
		return (exception_exits(g, x));
	case 1:
		return (CTLS(VF_PIN, 0));
	case 7:
		return (PROC(2));
	case 8:
		return (PROC(22));
	case 2:		/* triple fault, task switch, and what always does: */
	case 9:		/* CPUID GETSEC INVD XSETBV, VMX instructions */
	case 10:
	case 11:
	case 13:
	case 18 ... 27:
	case 50:
	case 53:
	case 55:
		return (true);
	case 12:
		return (PROC(7));
	case 14:
		return (PROC(9));
	case 15:
		return (PROC(11));
	case 16:
		return (PROC(12));
	case 29:
		return (PROC(23));
	case 30:
		return (port_exits(g, x->qual >> 16 & 0xffff));
	case 31:
	case 32:
		return (fake_vmx_msr_exits(g, (uint32_t)g->gpr[VCPU_REGS_RCX],
		    x->reason == 32));
	case 36:
		return (PROC(10));
	case 39:
		return (PROC(29));
	case 40:
		return (PROC(30) || PROC2(10));
	case 46:
	case 47:
		return (PROC2(2));
	case 48:
	case 49:
		return (PROC2(1));
	case 51:
		return (PROC2(3) && PROC(12));
	case 52:
		return (CTLS(VF_PIN, 6));
	case 54:
		return (PROC2(6));
	case 57:
		return (PROC2(11));
	case 58:
		return (PROC2(12) && PROC(9));
	case 60:
		return (PROC2(15));
	case 61:
		return (PROC2(16));
	default:
		return (false);
	}
}

void
fake_vexit(struct fake_guest *g, const struct fake_vexit *x)
{
	if (!exits(g, x))
		fake_die("exit reason %u is not asked for", x->reason);
	fake_vexit_raw(g, x);
}
