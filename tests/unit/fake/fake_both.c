/* SPDX-License-Identifier: ISC */
/*
 * fake_both.c - one way to say what a guest does, for suites that are about
 * neither vendor: in the terms of the VMCB. On the fake Intel CPU these
 * become the fields and the exits that mean the same there.
 */
#include "fake_vmx_priv.h"

#define SVM_NPF		0x400

/* The exits of both vendors that mean the same, without their details. */
static const struct {
	uint16_t	svm, vmx;
	uint32_t	event;
} same[] = {
	{ 0x41, 0, 0x80000301 },	/* #DB */
	{ 0x51, 0, 0x80000b11 },	/* #AC */
	{ 0x52, 0, 0x80000312 },	/* #MC */
	{ 0x60, 1, 0 },
	{ 0x61, 0, 0x80000202 },	/* NMI */
	{ 0x64, 7, 0 },
	{ 0x6f, 15, 0 },
	{ 0x72, 10, 0 },
	{ 0x76, 13, 0 },
	{ 0x78, 12, 0 },
	{ 0x7b, 30, 0 },
	{ 0x7c, 31, 0 },
	{ 0x7d, 9, 0 },
	{ 0x7f, 2, 0 },
	{ 0x81, 18, 0 },
	{ 0x89, 54, 0 },
	{ 0x8a, 39, 0 },
	{ 0x8b, 36, 0 },
	{ 0x8d, 55, 0 },
	{ SVM_NPF, 48, 0 },
};
#define NSAME	(sizeof(same) / sizeof(same[0]))

/* The SVM code of an exit reason, for what RUN returns. */
uint16_t
fake_svm_reason(uint16_t reason)
{
	size_t i;

	for (i = 0; i < NSAME; i++)
		if (same[i].vmx == reason && same[i].event == 0)
			return (same[i].svm);
	return (reason);
}

/* A VMX exit that says what these three say on SVM. */
static struct fake_vexit
convert(uint64_t code, uint64_t info1, uint64_t info2)
{
	struct fake_vexit x = { .reason = 0 };
	size_t i;

	for (i = 0; i < NSAME && same[i].svm != code; i++)
		;
	if (i == NSAME)
		fake_die("exit %#llx is SVM's alone",
		    (unsigned long long)code);
	x.reason = same[i].vmx;
	x.event = same[i].event;
	switch (code) {
	case 0x51:
		x.error = (uint32_t)info1;
		break;
	case 0x7b:
		x.qual = ((info1 >> 4 & 7) - 1) | (info1 & 1) << 3 |
		    (info1 & 4) << 2 | (info1 & 8) << 2 |
		    (info1 >> 16 & 0xffff) << 16;
		break;
	case 0x7c:
		x.reason += (uint32_t)info1 & 1;
		break;
	case SVM_NPF:
		x.gpa = info2;
		x.qual = (info1 & 16) != 0 ? 4 : (info1 & 2) != 0 ? 2 : 1;
		break;
	}
	return (x);
}

void
fake_both_exit(struct fake_guest *g, uint64_t code, uint64_t info1,
    uint64_t info2, bool raw)
{
	struct fake_vexit x = convert(code, info1, info2);

	(raw ? fake_vexit_raw : fake_vexit)(g, &x);
}

void
fake_both_lose(uint64_t code, uint64_t info1, uint64_t info2)
{
	static struct fake_vexit x;

	x = convert(code, info1, info2);
	fake_lose_vexit(&x);
}

/* The field that is the same as this one of the VMCB; 0: none is. */
static uint32_t
field_of(unsigned int off)
{
	switch (off) {
	case VS_CR0:
		return (VF_CR0);
	case VS_CR3:
		return (VF_CR3);
	case VS_CR4:
		return (VF_CR4);
	case VS_EFER:
		return (VF_EFER);
	case VS_DR7:
		return (VF_DR7);
	case VS_RFLAGS:
		return (VF_RFLAGS);
	case VS_RIP:
		return (VF_RIP);
	case VS_RSP:
		return (VF_RSP);
	default:
		return (0);
	}
}

uint64_t
fake_both_get(const struct fake_guest *g, unsigned int off)
{
	if (off == VS_RAX)
		return (g->gpr[VCPU_REGS_RAX]);
	if (off == VS_CR2)
		return (fake_regs(g->cpu)->cr2);
	if (off == VC_SHADOW)
		return ((vf_get(g, VF_INTERRUPTIBILITY) & 3) != 0);
	if (off == VC_NRIP)
		return (vf_get(g, VF_RIP) + g->len);
	if (field_of(off) == 0)
		fake_die("offset %#x is SVM's alone", off);
	return (vf_get(g, field_of(off)));
}

/*
 * A shadow is STI's with IF set, else MOV SS's. With either, TF and the
 * pending trap go together, as the CPU leaves them.
 */
void
fake_both_set(struct fake_guest *g, unsigned int off, uint64_t v)
{
	if (off == VS_RAX)
		g->gpr[VCPU_REGS_RAX] = v;
	else if (off == VS_CR2)
		fake_regs(g->cpu)->cr2 = v;
	else if (off == VC_NRIP)
		g->len = (uint8_t)(v - vf_get(g, VF_RIP));
	else if (off == VC_SHADOW)
		vf_set(g, VF_INTERRUPTIBILITY,
		    (vf_get(g, VF_INTERRUPTIBILITY) & ~3ULL) | (v == 0 ? 0 :
		    (vf_get(g, VF_RFLAGS) & 0x200) != 0 ? VX_STI : VX_MOV_SS));
	else if (field_of(off) != 0)
		vf_set(g, field_of(off), v);
	else
		fake_die("offset %#x is SVM's alone", off);
}
