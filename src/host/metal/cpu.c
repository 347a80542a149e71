/* SPDX-License-Identifier: ISC */
/*
 * cpu.c - descriptor tables, control registers, the FPU.
 */
#include <cpuid.h>
#include "metal.h"

#define IST_SIZE	8192

enum { MSR_EFER = 0xc0000080, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK };
enum { EFER_SCE = 0x001, EFER_NXE = 0x800 };
enum {
	CR4_MCE = 1 << 6, CR4_PGE = 1 << 7, CR4_OSFXSR = 1 << 9,
	CR4_OSXMMEXCPT = 1 << 10, CR4_OSXSAVE = 1 << 18,
	CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21,
};

struct tss {
	uint32_t	reserved0;
	uint64_t	rsp[3];
	uint64_t	reserved1;
	uint64_t	ist[7];		/* IST1 is ist[0] */
	uint64_t	reserved2;
	uint16_t	reserved3, iopb;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "a 64-bit TSS");
_Static_assert(offsetof(struct frame, vec) == FRAME_VEC, "trap.S");
_Static_assert(sizeof(struct frame) % 16 == 0, "aligned on the stack");

struct table_reg {
	uint16_t	limit;
	const void	*base;
} __attribute__((packed));

static struct tss tss;
static uint64_t gdt[8];
static uint64_t idt[VEC_IRQ0 + 16][2];
static uint8_t ist_stacks[3][IST_SIZE] __attribute__((aligned(16)));
static uint64_t cr4;			/* the CPU's CR4 */

bool cpu_smap;
uint64_t cpu_nx, cpu_xcr0, syscall_rsp0;
uint32_t fpu_size = 512;

/*
 * GDT, TSS and IDT. #DF, NMI and #MC get stacks of their own, since they may
 * come when RSP is no good: before the system call entry has loaded it, or
 * when a kernel stack has overflowed. #BP and #OF are the client's to raise.
 */
static void
tables_init(void)
{
	uint64_t base = (uint64_t)&tss, off = (uint64_t)isr_stubs, ist, type;
	unsigned int v;

	gdt[KCODE_SEL / 8] = 0x00209a0000000000;
	gdt[KDATA_SEL / 8] = 0x0000920000000000;
	gdt[UDATA_SEL / 8] = 0x0000f20000000000;
	gdt[UCODE_SEL / 8] = 0x0020fa0000000000;
	gdt[TSS_SEL / 8] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 |
	    0x89UL << 40 | (base >> 24 & 0xff) << 56;
	gdt[TSS_SEL / 8 + 1] = base >> 32;
	tss.iopb = sizeof(tss);
	for (v = 0; v < 3; v++)
		tss.ist[v] = (uint64_t)ist_stacks[v + 1];
	for (v = 0; v < ARRAY_LEN(idt); v++, off += 16) {
		ist = v == VEC_DF ? 1 : v == VEC_NMI ? 2 : v == VEC_MC ? 3 : 0;
		type = v == 3 || v == 4 ? 0xee : 0x8e;	/* DPL 3 or 0 */
		idt[v][0] = (off & 0xffff) | KCODE_SEL << 16 | ist << 32 |
		    type << 40 | (off >> 16 & 0xffff) << 48;
		idt[v][1] = off >> 32;
	}
	host_restore();
	__asm__ volatile("ltr %w0" : : "r"(TSS_SEL));
}

/*
 * GDTR and IDTR. VMX leaves limits of 0xffff in both (SDM Vol. 3C 27.5.2
 * "Loading Host Segment and Descriptor-Table Registers"); the TSS limit that
 * it leaves, 0x67, is ours.
 */
void
host_restore(void)
{
	static const struct table_reg gdtr = { sizeof(gdt) - 1, gdt };
	static const struct table_reg idtr = { sizeof(idt) - 1, idt };

	__asm__ volatile("lgdt %0; lidt %1" : : "m"(gdtr), "m"(idtr));
}

/* Where the next interrupt from ring 3 and the next SYSCALL put a frame. */
void
cpu_set_stack(uint64_t top)
{
	tss.rsp[0] = top;
	syscall_rsp0 = top;
}

/*
 * CR4, EFER and the SYSCALL MSRs. SYSCALL clears IF, DF, TF, AC and NT, so
 * that a client cannot enter the kernel single-stepping or with SMAP off.
 */
static void
regs_init(void)
{
	uint32_t a, b, c, d;

	__cpuid(0x80000001, a, b, c, d);
	if (d >> 20 & 1)
		cpu_nx = PTE_NX;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | (cpu_nx ? EFER_NXE : 0));
	wrmsr(MSR_STAR, (uint64_t)USER32_SEL << 48 | (uint64_t)KCODE_SEL << 32);
	wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
	wrmsr(MSR_CSTAR, 0);
	wrmsr(MSR_SFMASK, RFLAGS_IF | RFLAGS_DF | RFLAGS_TF | RFLAGS_AC |
	    RFLAGS_NT);

	__cpuid(1, a, b, c, d);
	cr4 = read_cr(4) | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT |
	    (d >> 7 & 1 ? CR4_MCE : 0) | (c >> 26 & 1 ? CR4_OSXSAVE : 0);
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
		cpu_smap = b >> 20 & 1;
		cr4 |= (b >> 7 & 1 ? CR4_SMEP : 0) | (cpu_smap ? CR4_SMAP : 0);
	}
	write_cr(4, cr4);
	if ((cr4 & CR4_OSXSAVE) == 0)
		return;
	__cpuid_count(0xd, 0, a, b, c, d);
	cpu_xcr0 = a & 7;		/* x87, SSE, AVX */
	__asm__ volatile("xsetbv" : : "c"(0), "a"(cpu_xcr0), "d"(0));
	__cpuid_count(0xd, 0, a, fpu_size, c, d);
}

/* Through the kernel's own copy, which saves reading CR4. */
void
host_cr4_set(uint64_t bits)
{
	write_cr(4, cr4 |= bits);
}

/* The same. */
void
host_cr4_clear(uint64_t bits)
{
	write_cr(4, cr4 &= ~bits);
}

/* The state of a new program: FCW 0x37f, MXCSR 0x1f80, all else zero. */
void
fpu_fresh(void *area)
{
	memset(area, 0, fpu_size);
	*(uint16_t *)area = 0x37f;
	*(uint32_t *)((char *)area + 24) = 0x1f80;
	if (cpu_xcr0 != 0)		/* XSTATE_BV: x87 and SSE are here */
		*(uint64_t *)((char *)area + 512) = 3;
}

#define FPU_MOVE(insn, area) \
	__asm__ volatile(insn " (%0)" \
	    : : "r"(area), "a"(-1), "d"(-1) : "memory")

/* The CPU's FPU state to memory, 64-aligned. */
void
fpu_store(void *area)
{
	if (cpu_xcr0 != 0)
		FPU_MOVE("xsave64", area);
	else
		FPU_MOVE("fxsave64", area);
}

/* And back; what the area says is not there becomes as after a reset. */
void
fpu_load(const void *area)
{
	if (cpu_xcr0 != 0)
		FPU_MOVE("xrstor64", area);
	else
		FPU_MOVE("fxrstor64", area);
}

/* First of all: until then a fault is a triple fault. */
void
cpu_init(void)
{
	tables_init();
	regs_init();
}
