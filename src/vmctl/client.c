/* SPDX-License-Identifier: ISC */
/*
 * client.c - a thin client of /dev/vmm; client.h says what each function does.
 *
 * Everything a guest finds at its start (guest.h) is made here, so that the
 * command line and the conformance suite start guests in the same way.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "x86.h"
#include "../../guests/guest.h"

#define TSS_LIMIT	0x67
#define GDT_LIMIT	(GUEST_TR + 16 - 1)

/* Whether this CPU numbers its exits as SVM does. */
bool
client_is_svm(void)
{
	unsigned int a, b, c, d;

	if (__get_cpuid(0, &a, &b, &c, &d) == 0)
		return (false);
	/* "AuthenticAMD", and Hygon's CPUs, which are AMD's. */
	return ((b == 0x68747541 && d == 0x69746e65 && c == 0x444d4163) ||
	    (b == 0x6f677948 && d == 0x6e65476e && c == 0x656e6975));
}

/* Opens the device. Returns -1 with open(2)'s errno. */
int
client_open(void)
{
	return (open("/dev/vmm", O_RDWR | O_CLOEXEC));
}

/* One ioctl. Returns 0 or the errno of ioctl(2). */
static int
ioc(int fd, unsigned long cmd, void *arg)
{
	return (ioctl(fd, cmd, arg) == -1 ? errno : 0);
}

int
client_ioc_create(int fd, struct vm_create_params *vcp)
{
	return (ioc(fd, VMM_IOC_CREATE, vcp));
}

int
client_ioc_run(int fd, struct vm_run_params *vrp)
{
	return (ioc(fd, VMM_IOC_RUN, vrp));
}

int
client_ioc_info(int fd, struct vm_info_params *vip)
{
	return (ioc(fd, VMM_IOC_INFO, vip));
}

int
client_ioc_term(int fd, uint32_t vm)
{
	struct vm_terminate_params vtp = { .vtp_vm_id = vm };

	return (ioc(fd, VMM_IOC_TERM, &vtp));
}

int
client_ioc_resetcpu(int fd, uint32_t vm, uint32_t vcpu,
    const struct vcpu_reg_state *vrs)
{
	struct vm_resetcpu_params vrp = {
		.vrp_vm_id = vm,
		.vrp_vcpu_id = vcpu,
		.vrp_init_state = *vrs,
	};

	return (ioc(fd, VMM_IOC_RESETCPU, &vrp));
}

int
client_ioc_intr(int fd, uint32_t vm, uint32_t vcpu, uint16_t level)
{
	struct vm_intr_params vip = {
		.vip_vm_id = vm,
		.vip_vcpu_id = vcpu,
		.vip_intr = level,
	};

	return (ioc(fd, VMM_IOC_INTR, &vip));
}

/* Groups outside `mask`, and everything on an error, stay as they were. */
int
client_ioc_readregs(int fd, uint32_t vm, uint32_t vcpu, uint64_t mask,
    struct vcpu_reg_state *vrs)
{
	struct vm_rwregs_params vrwp = {
		.vrwp_vm_id = vm,
		.vrwp_vcpu_id = vcpu,
		.vrwp_mask = mask,
		.vrwp_regs = *vrs,
	};
	int error;

	error = ioc(fd, VMM_IOC_READREGS, &vrwp);
	*vrs = vrwp.vrwp_regs;
	return (error);
}

int
client_ioc_writeregs(int fd, uint32_t vm, uint32_t vcpu, uint64_t mask,
    const struct vcpu_reg_state *vrs)
{
	struct vm_rwregs_params vrwp = {
		.vrwp_vm_id = vm,
		.vrwp_vcpu_id = vcpu,
		.vrwp_mask = mask,
		.vrwp_regs = *vrs,
	};

	return (ioc(fd, VMM_IOC_WRITEREGS, &vrwp));
}

int
client_ioc_readvmparams(int fd, struct vm_rwvmparams_params *vpp)
{
	return (ioc(fd, VMM_IOC_READVMPARAMS, vpp));
}

int
client_ioc_writevmparams(int fd, struct vm_rwvmparams_params *vpp)
{
	return (ioc(fd, VMM_IOC_WRITEVMPARAMS, vpp));
}

int
client_ioc_mprotect(int fd, uint32_t vm, uint32_t vcpu, uint64_t gpa,
    size_t size, int prot)
{
	struct vm_mprotect_ept_params vmep = {
		.vmep_vm_id = vm,
		.vmep_vcpu_id = vcpu,
		.vmep_sgpa = gpa,
		.vmep_size = size,
		.vmep_prot = prot,
	};

	return (ioc(fd, VMM_IOC_MPROTECT_EPT, &vmep));
}

/* A number that differs from run to run wherever the TSC does. */
static uint64_t
new_nonce(void)
{
	static uint64_t count;
	uint64_t x;

	x = __builtin_ia32_rdtsc() + ++count * 0x9e3779b97f4a7c15UL;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9UL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebUL;
	return (x ^ x >> 31);
}

/*
 * Maps `size` bytes at a multiple of 2 MiB, without which the driver cannot
 * use 2 MiB pages: maps 2 MiB more and gives back what is too much.
 * Returns NULL with mmap(2)'s errno.
 */
static uint8_t *
map_aligned(size_t size)
{
	size_t head;
	uint8_t *p;

	if (size == 0 || size > SIZE_MAX - HUGE_PAGE) {
		errno = EINVAL;
		return (NULL);
	}
	p = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return (NULL);
	head = -(uintptr_t)p % HUGE_PAGE;
	if (head != 0)
		munmap(p, head);
	p += head;
	size = (size + 4095) & ~4095UL;
	munmap(p + size, HUGE_PAGE - head);
	return (p);
}

int
client_create(int fd, const char *name, size_t size, size_t ncpus,
    struct client_vm *v)
{
	struct vm_create_params vcp;
	int error;

	memset(v, 0, sizeof(*v));
	v->fd = fd;
	v->nonce = new_nonce();
	v->mem = map_aligned(size);
	if (v->mem == NULL)
		return (errno);
	v->size = size;

	memset(&vcp, 0, sizeof(vcp));
	vcp.vcp_nmemranges = 1;
	vcp.vcp_memranges[0].vmr_va = (uintptr_t)v->mem;
	vcp.vcp_memranges[0].vmr_size = size;
	vcp.vcp_ncpus = ncpus;
	strncpy(vcp.vcp_name, name, sizeof(vcp.vcp_name) - 1);
	error = client_ioc_create(fd, &vcp);
	if (error != 0) {
		munmap(v->mem, v->size);
		v->mem = NULL;
		v->size = 0;
		return (error);
	}
	v->id = vcp.vcp_id;
	return (0);
}

void
client_destroy(struct client_vm *v)
{
	if (v->id != 0)
		client_ioc_term(v->fd, v->id);
	if (v->mem != NULL)
		munmap(v->mem, v->size);
	v->id = 0;
	v->mem = NULL;
	v->size = 0;
}

/* Fills one segment, with base 0. */
static void
set_segment(struct vcpu_segment_info *vsi, uint16_t sel, uint32_t limit,
    uint32_t ar)
{
	vsi->vsi_sel = sel;
	vsi->vsi_limit = limit;
	vsi->vsi_ar = ar;
	vsi->vsi_base = 0;
}

/*
 * The state of guest.h, as both vendors check it at entry: SDM Vol. 3C
 * 26.3.1.2 "Checks on Guest Segment Registers" wants accessed types, G set
 * with a limit of 4 GiB, and a busy TSS in every mode.
 */
void
client_start_state(int mode, struct vcpu_reg_state *vrs)
{
	struct vcpu_segment_info *sr = vrs->vrs_sregs;
	uint32_t limit = 0xffffffff, code = AR_CODE | AR_G | AR_DB;
	uint32_t data = AR_DATA | AR_G | AR_DB;
	uint16_t cs = GUEST_CS, ds = GUEST_DS;
	int i;

	memset(vrs, 0, sizeof(*vrs));
	vrs->vrs_gprs[VCPU_REGS_RIP] = GUEST_ENTRY;
	vrs->vrs_gprs[VCPU_REGS_RSP] = GUEST_STACK;
	vrs->vrs_gprs[VCPU_REGS_RFLAGS] = 0x2;
	vrs->vrs_crs[VCPU_REGS_CR0] = CR0_ET | CR0_NE | CR0_PE;
	vrs->vrs_crs[VCPU_REGS_XCR0] = 0x1;
	vrs->vrs_drs[VCPU_REGS_DR6] = 0xffff0ff0;
	vrs->vrs_drs[VCPU_REGS_DR7] = 0x400;

	switch (mode) {
	case GUEST_REAL:
		vrs->vrs_gprs[VCPU_REGS_RSP] = GUEST_STACK - 0x10;
		vrs->vrs_crs[VCPU_REGS_CR0] &= ~CR0_PE;
		vrs->vrs_idtr.vsi_limit = 0x3ff;
		limit = 0xffff;
		code = AR_CODE;
		data = AR_DATA;
		cs = ds = 0;
		break;
	case GUEST_PAE:
		vrs->vrs_crs[VCPU_REGS_CR0] |= CR0_PG;
		vrs->vrs_crs[VCPU_REGS_CR3] = GUEST_PDPT;
		vrs->vrs_crs[VCPU_REGS_CR4] = CR4_PAE;
		for (i = 0; i < 4; i++)
			vrs->vrs_crs[VCPU_REGS_PDPTE0 + i] =
			    (GUEST_PD + i * 0x1000UL) | PTE_P;
		break;
	case GUEST_LONG:
		vrs->vrs_crs[VCPU_REGS_CR0] |= CR0_PG;
		vrs->vrs_crs[VCPU_REGS_CR3] = GUEST_PML4;
		vrs->vrs_crs[VCPU_REGS_CR4] = CR4_PAE;
		vrs->vrs_msrs[VCPU_REGS_EFER] = EFER_LME | EFER_LMA;
		code = AR_CODE | AR_G | AR_L;
		break;
	}
	set_segment(&sr[VCPU_REGS_CS], cs, limit, code);
	for (i = VCPU_REGS_DS; i <= VCPU_REGS_SS; i++)
		set_segment(&sr[i], ds, limit, data);
	set_segment(&sr[VCPU_REGS_LDTR], 0, 0, AR_UNUSABLE);
	set_segment(&sr[VCPU_REGS_TR], GUEST_TR, TSS_LIMIT, AR_TSS);
	sr[VCPU_REGS_TR].vsi_base = GUEST_TSS;
	vrs->vrs_gdtr.vsi_base = GUEST_GDT;
	vrs->vrs_gdtr.vsi_limit = GDT_LIMIT;
}

/*
 * A descriptor from base, limit (in bytes) and vsi_ar.
 * SDM Vol. 3A 3.4.5 "Segment Descriptors".
 */
static uint64_t
descriptor(uint64_t base, uint64_t limit, uint64_t ar)
{
	if (ar & AR_G)
		limit >>= 12;
	return ((limit & 0xffff) | (base & 0xffffff) << 16 |
	    (ar & 0xf0ff) << 40 | (limit >> 16 & 0xf) << 48 |
	    (base >> 24 & 0xff) << 56);
}

/* GDT of guest.h: 0x08 is what CS holds at the start of that mode. */
static void
make_gdt(uint64_t *gdt, int mode)
{
	uint64_t code16, code32, code64;

	code16 = descriptor(0, 0xffff, AR_CODE);
	code32 = descriptor(0, 0xffffffff, AR_CODE | AR_G | AR_DB);
	code64 = descriptor(0, 0xffffffff, AR_CODE | AR_G | AR_L);
	gdt[GUEST_CS / 8] = mode == GUEST_LONG ? code64 : code32;
	gdt[GUEST_DS / 8] = descriptor(0, 0xffffffff, AR_DATA | AR_G | AR_DB);
	gdt[GUEST_CS64 / 8] = code64;
	gdt[GUEST_CS32 / 8] = code32;
	gdt[GUEST_CS16 / 8] = code16;
	gdt[GUEST_DS16 / 8] = descriptor(0, 0xffff, AR_DATA);
	gdt[GUEST_TR / 8] = descriptor(GUEST_TSS, TSS_LIMIT, AR_TSS);
}

/*
 * Identity map of 4 GiB in 2 MiB pages. The entries of a PAE PDPT have no
 * rights (SDM Vol. 3A 4.4.1 "PDPTE Registers": bits 1 and 2 are reserved),
 * so one table cannot serve both modes: all but GUEST_PAE get the 4-level one.
 */
static void
make_page_tables(uint8_t *mem, int mode)
{
	uint64_t *pml4 = (void *)(mem + GUEST_PML4);
	uint64_t *pdpt = (void *)(mem + GUEST_PDPT);
	uint64_t *pd = (void *)(mem + GUEST_PD);
	uint64_t i, rights;

	rights = mode == GUEST_PAE ? PTE_P : PTE_P | PTE_RW | PTE_US;
	pml4[0] = GUEST_PDPT | PTE_P | PTE_RW | PTE_US;
	for (i = 0; i < 4; i++)
		pdpt[i] = (GUEST_PD + i * 0x1000) | rights;
	for (i = 0; i < 4 * 512; i++)
		pd[i] = i * HUGE_PAGE | PTE_P | PTE_RW | PTE_US | PTE_PS;
}

/*
 * Returns ENOEXEC: no header of guest.h. EFBIG: longer than GUEST_MAX, or
 * than the memory of the VM. The image may already be at its place.
 */
int
client_load(struct client_vm *v, const void *image, size_t len,
    const uint64_t args[8], int *mode)
{
	struct guest_header gh;
	size_t room;

	if (len > GUEST_MAX || v->size < GUEST_LOAD + len)
		return (EFBIG);
	if (len < sizeof(gh))
		return (ENOEXEC);
	memcpy(&gh, image, sizeof(gh));
	if (memcmp(gh.gh_magic, "VMMG", 4) != 0 || gh.gh_version != 1 ||
	    gh.gh_mode > GUEST_LONG || gh.gh_entry != GUEST_ENTRY - GUEST_LOAD)
		return (ENOEXEC);

	memmove(v->mem + GUEST_LOAD, image, len);
	room = v->size - GUEST_LOAD;
	if (room > GUEST_MAX)
		room = GUEST_MAX;
	memset(v->mem + GUEST_LOAD + len, 0, room - len);
	memset(v->mem, 0, GUEST_LOAD);
	memcpy(v->mem + GUEST_NONCE, &v->nonce, sizeof(v->nonce));
	if (args != NULL)
		memcpy(v->mem + GUEST_ARGS, args, 8 * sizeof(args[0]));
	make_gdt((void *)(v->mem + GUEST_GDT), gh.gh_mode);
	make_page_tables(v->mem, gh.gh_mode);
	*mode = gh.gh_mode;
	return (0);
}

/* Reads straight to GUEST_LOAD. Returns errno of open/read, or as load. */
int
client_load_file(struct client_vm *v, const char *path,
    const uint64_t args[8], int *mode)
{
	size_t len = 0, room;
	ssize_t n;
	uint8_t extra;
	int error = 0, fd;

	if (v->size < GUEST_LOAD)
		return (EFBIG);
	room = v->size - GUEST_LOAD;
	if (room > GUEST_MAX)
		room = GUEST_MAX;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return (errno);
	do {
		n = read(fd, v->mem + GUEST_LOAD + len, room - len);
		if (n == -1)
			error = errno;
		else
			len += n;
	} while (n > 0 && len < room);
	if (error == 0 && len == room && read(fd, &extra, 1) == 1)
		error = EFBIG;
	close(fd);
	if (error != 0)
		return (error);
	return (client_load(v, v->mem + GUEST_LOAD, len, args, mode));
}

int
client_start(struct client_vm *v, int mode)
{
	struct vcpu_reg_state vrs;

	client_start_state(mode, &vrs);
	return (client_ioc_resetcpu(v->fd, v->id, v->vcpu, &vrs));
}

int
client_run(struct client_vm *v, uint16_t irq)
{
	v->run = (struct vm_run_params){
		.vrp_vm_id = v->id,
		.vrp_vcpu_id = v->vcpu,
		.vrp_continue = 1,
		.vrp_irq = irq,
		.vrp_exit = &v->exit,
	};
	return (client_ioc_run(v->fd, &v->run));
}

enum client_event
client_event(const struct client_vm *v)
{
	static const struct {
		uint16_t		svm, vmx;
		enum client_event	event;
	} reasons[] = {
		{ SVM_VMEXIT_IOIO, VMX_EXIT_IO, CLIENT_IO },
		{ SVM_VMEXIT_HLT, VMX_EXIT_HLT, CLIENT_HLT },
		{ SVM_VMEXIT_SHUTDOWN, VMX_EXIT_TRIPLE_FAULT,
		    CLIENT_SHUTDOWN },
		{ SVM_VMEXIT_NPF, VMX_EXIT_EPT_VIOLATION, CLIENT_PROTECT },
		{ SVM_VMEXIT_VINTR, VMX_EXIT_INT_WINDOW, CLIENT_WINDOW },
		{ VM_EXIT_NONE, VM_EXIT_NONE, CLIENT_NONE },
		{ VM_EXIT_TERMINATED, VM_EXIT_TERMINATED, CLIENT_TERMINATED },
	};
	static int svm = -1;	/* CPUID may exit, so ask it once */
	uint16_t reason = v->run.vrp_exit_reason;
	size_t i;

	if (svm == -1)
		svm = client_is_svm();
	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reason == (svm ? reasons[i].svm : reasons[i].vmx))
			return (reasons[i].event);
	return (CLIENT_OTHER);
}

void
client_answer(struct client_vm *v, uint32_t data)
{
	v->exit.vei.vei_data = data;
}

/* Whether the last exit is a four-byte OUT to `port`, with its data. */
static bool
is_report(const struct client_vm *v, uint16_t port, uint32_t *data)
{
	const struct vm_exit_inout *vei = &v->exit.vei;

	*data = vei->vei_data;
	return (client_event(v) == CLIENT_IO && vei->vei_dir == VEI_DIR_OUT &&
	    vei->vei_size == 4 && vei->vei_string == 0 &&
	    vei->vei_port == port);
}

int
client_run_guest(struct client_vm *v, uint32_t *vals, size_t max, size_t *n)
{
	uint32_t data;
	int error;

	*n = 0;
	for (;;) {
		error = client_run(v, 0xffff);
		if (error != 0)
			return (error);
		if (!is_report(v, GUEST_VALUE, &data) || *n == max)
			return (0);
		vals[(*n)++] = data;
	}
}

bool
client_done(const struct client_vm *v)
{
	uint32_t data;

	return (is_report(v, GUEST_DONE, &data) && data == (uint32_t)v->nonce);
}

/* TSC ticks of 2 * n + c instructions, the least of some attempts. */
static uint64_t
time_loop(uint64_t n)
{
	uint64_t i, least = UINT64_MAX, start, ticks;
	int attempt;

	for (attempt = 0; attempt < 8; attempt++) {
		i = n;
		start = client_tsc();
		__asm__ volatile("1: decq %0; jnz 1b" : "+r" (i) : : "cc");
		ticks = client_tsc() - start;
		if (ticks < least)
			least = ticks;
	}
	return (least);
}

/*
 * Whether a tick is an instruction, as on an emulator that counts them: then
 * 200 more instructions take exactly 200 more, and 600 more 600. Few, so that
 * some attempts are not interrupted.
 */
bool
client_ticks_are_instructions(void)
{
	uint64_t a = time_loop(100), b = time_loop(200), c = time_loop(500);

	return (b - a == 200 && c - b == 600);
}
