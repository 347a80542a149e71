/* SPDX-License-Identifier: ISC */
/*
 * fpu.c - the guest's x87, SSE and AVX state around each entry.
 *
 * v->fpu is an XSAVE area in the standard format: 512 bytes that FXSAVE also
 * writes, a header, AVX's upper halves at 576; 832 bytes, so a page is plenty
 * and its alignment suffices. The host lends the registers between
 * host_fpu_begin() and host_fpu_end(), which vcpu.c calls.
 */
#include <string.h>

#include <insn.h>

#include "vmm.h"

#define CPUID_XSAVE	(1U << 26)	/* leaf 1 ECX */
#define CPUID_XSAVES	(1U << 3)	/* leaf 0xD.1 EAX */
#define CPUID_XSAVEERPTR (1U << 2)	/* leaf 0x80000008 EBX */
#define MSR_XSS		0xda0
#define FCW_INIT	0x037f
#define MXCSR_INIT	0x1f80
#define FCW_OFFSET	0
#define MXCSR_OFFSET	24

uint64_t fpu_xcr0;			/* what of XCR0 a guest may set */
static uint64_t fpu_xcr0_host;
static uint64_t fpu_xss_host;
static bool fpu_forget;			/* XRSTOR leaves FOP, FIP, FDP */

/*
 * Learns how the host uses XSAVE. A guest gets x87, SSE and AVX of what the
 * host has on; without CR4.OSXSAVE it gets FXSAVE's part.
 */
void
fpu_attach(void)
{
	uint32_t r[4];

	fpu_xcr0 = fpu_xcr0_host = fpu_xss_host = 0;
	insn_cpuid(0x80000008, 0, r);
	fpu_forget = (r[1] & CPUID_XSAVEERPTR) == 0;
	insn_cpuid(1, 0, r);
	if ((r[2] & CPUID_XSAVE) == 0 || (insn_read_cr4() & CR4_OSXSAVE) == 0)
		return;
	fpu_xcr0_host = insn_xgetbv();
	fpu_xcr0 = fpu_xcr0_host & (XCR0_X87 | XCR0_SSE | XCR0_AVX);
	insn_cpuid(0xd, 1, r);
	if ((r[0] & CPUID_XSAVES) != 0)
		fpu_xss_host = insn_rdmsr(MSR_XSS);
}

/*
 * State and XCR0 as after power-on. An empty header makes XRSTOR initialise
 * every component; MXCSR always comes from memory.
 * SDM Vol. 1 13.8 "Operation of XRSTOR".
 *
 * Locks: vcpu.lock, the VCPU is STOPPED or not yet known.
 */
void
fpu_reset(struct vcpu *v)
{
	const uint16_t fcw = FCW_INIT;
	const uint32_t mxcsr = MXCSR_INIT;

	memset(v->fpu, 0, PAGE_SIZE_4K);
	memcpy((char *)v->fpu + FCW_OFFSET, &fcw, sizeof(fcw));
	memcpy((char *)v->fpu + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
	v->xcr0 = fpu_xcr0 & XCR0_X87;
}

/*
 * Loads the guest's state. First under the host's XCR0, since the guest's
 * may lack components that it left in the registers; then its XCR0. Hiding
 * XSAVES does not stop a guest from running it, and SVM cannot intercept it:
 * with XSS 0 it reaches nothing of the host's.
 */
void
fpu_enter(struct vcpu *v)
{
	if (fpu_forget)
		insn_fp_forget();
	if (fpu_xcr0 == 0) {
		insn_fxrstor(v->fpu);
		return;
	}
	insn_xrstor(v->fpu, fpu_xcr0);
	if (v->xcr0 != fpu_xcr0_host)
		insn_xsetbv(v->xcr0);
	if (fpu_xss_host != 0)
		insn_wrmsr(MSR_XSS, 0);
}

/*
 * Saves the guest's state under the host's XCR0. The guest's XCR0 is read
 * back: an emulator that does not intercept XSETBV lets it write anything
 * (decisions.md F17). What we would have refused becomes x87 alone.
 */
void
fpu_leave(struct vcpu *v)
{
	uint64_t xcr0;

	if (fpu_xcr0 == 0) {
		insn_fxsave(v->fpu);
		return;
	}
	if (fpu_xss_host != 0)
		insn_wrmsr(MSR_XSS, fpu_xss_host);
	xcr0 = insn_xgetbv();
	if (xcr0 != fpu_xcr0_host)
		insn_xsetbv(fpu_xcr0_host);
	if (xcr0 != v->xcr0) {
		xcr0 &= fpu_xcr0;
		v->xcr0 = regs_xcr0_valid(xcr0) ? xcr0 : XCR0_X87;
	}
	insn_xsave(v->fpu, fpu_xcr0);
}
