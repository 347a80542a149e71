/* SPDX-License-Identifier: ISC */
/*
 * exit_fpu.c - x87, SSE and AVX registers: the guest's and the client's.
 */
#include <cpuid.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "exit_util.h"

#define IN		0x31000		/* what the guest loads */
#define IN_YMM		0x31200
#define OUT		0x32000		/* what it stores at the end */
#define OUT_YMM		0x32200

/* FXSAVE image, SDM Vol. 1 10.5.1 "FXSAVE Area". */
struct fxsave {
	uint16_t	fcw, fsw;
	uint8_t		ftw, pad;
	uint16_t	fop;
	uint64_t	ip, dp;
	uint32_t	mxcsr, mxcsr_mask;
	uint8_t		st[8][16];
	uint8_t		xmm[16][16];
	uint8_t		rest[96];
};

static void
fill(void *p, size_t size)
{
	uint8_t *b = p;
	size_t i;

	for (i = 0; i < size; i++)
		b[i] = (uint8_t)fresh();
}

/* A guest `fpu` with fresh values for every register. */
static struct client_vm *
fpu_guest(uint64_t avx)
{
	uint64_t args[8] = { avx };
	struct client_vm *v = new_guest("fpu", args);
	struct fxsave *f = (struct fxsave *)(v->mem + IN);
	int i;

	fill(f->xmm, sizeof(f->xmm));
	fill(v->mem + IN_YMM, 16 * 32);
	f->fcw = 0x0f7f;		/* 80 bits, round to zero */
	f->ftw = 0xff;
	f->mxcsr = 0x7f80;		/* round to zero */
	for (i = 0; i < 8; i++) {
		fill(f->st[i], 8);
		f->st[i][7] |= 0x80;	/* normal */
		f->st[i][8] = (uint8_t)(0xf0 + i);
		f->st[i][9] = 0x3f;
	}
	return (v);
}

/* One of the eight rounds of the guest's loop. */
static void
fpu_round(struct client_vm *v)
{
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	run_to(v, NO_IRQ, CLIENT_HLT);
}

static void
fpu_compare(struct client_vm *v, bool avx)
{
	const struct fxsave *in = (const struct fxsave *)(v->mem + IN);
	const struct fxsave *got = (const struct fxsave *)(v->mem + OUT);
	int i;

	run_done(v);
	CHECK_EQ(got->fcw, in->fcw);
	CHECK_EQ(got->ftw, 0xff);
	CHECK_EQ(got->mxcsr, in->mxcsr);
	for (i = 0; i < 8; i++) {
		note("ST%d", i);
		CHECK(memcmp(got->st[i], in->st[i], 10) == 0);
	}
	if (avx)
		CHECK(memcmp(v->mem + OUT_YMM, v->mem + IN_YMM, 16 * 32) ==
		    0);
	else
		CHECK(memcmp(got->xmm, in->xmm, sizeof(in->xmm)) == 0);
}

/* Whether the host has AVX and has turned it on. */
static bool
has_avx(void)
{
	unsigned int a, b, c, d, lo, hi;

	__cpuid(1, a, b, c, d);
	if ((c & bit_OSXSAVE) == 0 || (c & bit_AVX) == 0)
		return (false);
	__asm__ volatile ("xgetbv" : "=a" (lo), "=d" (hi) : "c" (0));
	return ((lo & 6) == 6);
}

static void
across_exits(bool avx)
{
	struct client_vm *v = fpu_guest(avx), *w = fpu_guest(avx);
	int i;

	/* Two guests by turns, and the client's own arithmetic between. */
	for (i = 0; i < 8; i++) {
		fpu_round(v);
		fpu_round(w);
	}
	fpu_compare(v, avx);
	fpu_compare(w, avx);
}

static void
sse(void)
{
	across_exits(false);
}

static void
avx(void)
{
	if (!has_avx())
		SKIP("the host has no AVX");
	across_exits(true);
}

/*
 * RUN by a bare system call, with XMM0-15 and MXCSR loaded from `in` before
 * and stored to `out` behind it.
 */
static long
run_between(struct client_vm *v, const uint8_t in[16][16],
    uint8_t out[16][16], uint32_t *mxcsr)
{
	register const void *r8 __asm__("r8") = in;
	register void *r9 __asm__("r9") = out;
	register uint32_t *r10 __asm__("r10") = mxcsr;
	long rax = SYS_ioctl;

	__asm__ volatile (
	    "ldmxcsr (%%r10)\n\t"
	    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t"
	    "movdqu 16*\\n(%%r8), %%xmm\\n\n\t"
	    ".endr\n\t"
	    "syscall\n\t"
	    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t"
	    "movdqu %%xmm\\n, 16*\\n(%%r9)\n\t"
	    ".endr\n\t"
	    "stmxcsr (%%r10)"
	    : "+a" (rax)
	    : "D" ((long)v->fd), "S" (VMM_IOC_RUN), "d" (&v->run), "r" (r8),
	      "r" (r9), "r" (r10)
	    : "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
	      "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
	      "xmm12", "xmm13", "xmm14", "xmm15");
	return (rax);
}

static void
clients_own(void)
{
	static uint8_t in[16][16], out[16][16];
	struct client_vm *v = fpu_guest(0);
	uint32_t mxcsr = 0x3f80, normal = 0x1f80;
	uint16_t fcw = 0x0a7f, fcw_after = 0, fcw_normal = 0x37f;
	long rv;

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	fill(in, sizeof(in));
	__asm__ volatile ("fldcw %0" : : "m" (fcw));
	rv = run_between(v, in, out, &mxcsr);
	__asm__ volatile ("fnstcw %0" : "=m" (fcw_after));
	__asm__ volatile ("fldcw %0; ldmxcsr %1" : : "m" (fcw_normal),
	    "m" (normal));
	CHECK_EQ(rv, 0);
	CHECK_EQ(client_event(v), CLIENT_HLT);
	CHECK(memcmp(in, out, sizeof(in)) == 0);
	CHECK_EQ(mxcsr, 0x3f80);
	CHECK_EQ(fcw_after, 0x0a7f);
}

/* The image a VCPU stores of the state it was born with. */
static void
is_fresh(struct client_vm *v)
{
	const struct fxsave *f = (const struct fxsave *)(v->mem + OUT);
	size_t i;

	memset(v->mem + OUT, 0xee, sizeof(*f));
	run_done(v);
	CHECK(f->fcw == 0x37f || f->fcw == 0x40);
	CHECK_EQ(f->fsw, 0);
	CHECK_EQ(f->ftw, 0);
	CHECK_EQ(f->mxcsr, 0x1f80);
	for (i = 0; i < sizeof(f->xmm); i++)
		CHECK_EQ(((const uint8_t *)f->xmm)[i], 0);
	for (i = 0; i < 8; i++)
		CHECK_EQ(f->st[i][7], 0);
}

static void
born_fresh(void)
{
	struct client_vm *v = new_guest("fpu-fresh", NULL);
	int i;

	for (i = 0; i < 3; i++) {
		is_fresh(v);
		CHECK_EQ(client_start(v, GUEST_LONG), 0);
	}
}

const struct clause exit_fpu[] = {
	{ "4.fpu.sse", "x87 and SSE registers of two guests across exits",
	    LAYER_EXIT, MATCH, sse, NULL },
	{ "4.fpu.avx", "the same with AVX",
	    LAYER_EXIT, MATCH, avx, NULL },
	{ "4.fpu.client", "RUN keeps the client's own registers",
	    LAYER_EXIT, MATCH, clients_own, NULL },
	{ "F5.fpu", "RESETCPU makes x87 and SSE as new",
	    LAYER_EXIT, FIX, born_fresh, NULL },
	CLAUSE_END
};
