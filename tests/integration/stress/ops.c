/* SPDX-License-Identifier: ISC */
/*
 * ops.c - guests, the VMs they run in, and the operations of the storm.
 *
 * A VM lies in a slot. A slot's word is 0 (empty), CLAIMED (somebody makes or
 * ends a VM) or all that others need to know of its VM; so whoever has read
 * it may go on with that VM, which may end meanwhile: then, and only then,
 * ENOENT is a right answer. Who ends a VM claims its slot first.
 *
 * The ioctls are made by number, not with client.h's functions, since which
 * one and how its argument is spoilt comes from a table.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "stress.h"

/* Where things are in guest memory; guest.h has the rest. */
#define IDT		0x1000		/* 256 gates */
#define STACKS		0x2000		/* STACK bytes for each VCPU */
#define STACK		64
#define SCRATCH		0x3000		/* 8 bytes for each VCPU */
#define CLOCKS		0x4000		/* 32 bytes for each VCPU */
#define LOST		0xf000		/* a page that the client unmaps */
#define TOUCH		0x10000		/* from here on: 0, or the VM's id */
#define BEHIND		(8 * CLIENT_MIB)	/* no VM has it */

#define PAGE		4096UL
#define NO_IRQ		0xffff
#define ANSWER		0x5aa5c33c	/* what every IN reads */
#define PORT_FAIL	0x21		/* EAX is not what it should be */
#define GDT_CODE	0x00cf9b000000ffffUL
#define GATE(ip)	(((ip) & 0xffffUL) | GUEST_CS << 16 | 0x8eUL << 40)

#define CLAIMED		(1UL << 63)
#define WILD		(1UL << 48)	/* its guests may end themselves */
#define OWNED		(1UL << 49)	/* ended by close(), not TERM */
#define WORD(id, cpus, mib) \
	((id) | (uint64_t)(cpus) << 32 | (uint64_t)(mib) << 40)

/* VCPUs that run other guests, too. */
#define ENDLESS(vcpu)	((vcpu) % 4 == 0)
#define TRIPLE(vcpu)	((vcpu) % 4 == 1)

#define ASID_VCPUS	8
#define ASID_ROUNDS	4		/* VMX: 4095 VPIDs on a CPU */

union arg {
	struct {
		uint32_t		vm, vcpu;
	}				id;	/* of all but CREATE, INFO */
	struct vm_create_params		create;
	struct vm_run_params		run;
	struct vm_info_params		info;
	struct vm_resetcpu_params	reset;
	struct vm_intr_params		intr;
	struct vm_rwregs_params		regs;
	struct vm_rwvmparams_params	params;
	struct vm_mprotect_ept_params	protect;
};

struct slot {
	atomic_uint_fast64_t	 word;
	atomic_uint		 cut;	/* last VM that ended inside RUN */
	atomic_uint		 users;	/* ioctls under way */
	atomic_uint		 begun[BIG_VCPUS];	/* RUNs */
	atomic_uint		 done[BIG_VCPUS];
	uint8_t			*mem;	/* of who holds the claim */
	int			 owner;	/* file that created it, or -1 */
};

/* A slot's word, taken apart. */
struct vm {
	struct slot	*slot;
	uint64_t	 word;
	uint32_t	 id;
	unsigned int	 ncpus;
	size_t		 size;
	bool		 wild;
};

static struct slot slots[MAX_VMS], rally_slot;
static unsigned int nslots, big_vcpus;
static struct vm rally;
static atomic_uint_fast64_t made, ended;
static _Alignas(4096) uint8_t arena[CLIENT_MIB];

/* Arguments that can be read and not written; ops_init() fills the page. */
static _Alignas(4096) struct {
	struct vm_create_params	create;
	struct vm_exit		exit;
	uint8_t			pad[2048];
} readonly;

/* --- Guests --- */

/*
 * Flat 32-bit code without paging, all of it in every VM. EDI is the VM's id,
 * ESI the VCPU's, EBX and ECX say which pages to touch, EBP is scratch memory
 * of the VCPU. The *_at labels are where a guest is when RUN returns.
 */
__asm__(
    ".pushsection .rodata\n"
    ".code32\n"
    "guest_begin:\n"

    "guest_out:	inc	%eax\n"			/* an exit each time */
    "	out	%al, $0x20\n"
    "guest_out_at: jmp	guest_out\n"

    "guest_in:	xor	%eax, %eax\n"		/* and an answer */
    "	in	$0x20, %eax\n"
    "guest_in_at: cmp	$0x5aa5c33c, %eax\n"
    "	je	guest_in\n"
    "guest_fail:	out	%eax, $0x21\n"
    "	jmp	guest_fail\n"

    "guest_cpuid: mov	$1, %eax\n"		/* an exit that RUN handles */
    "	cpuid\n"
    "	shr	$24, %ebx\n"			/* the VCPU's number */
    "	mov	%ebx, %eax\n"
    "	cmp	%esi, %eax\n"
    "	jne	guest_fail\n"
    "	out	%al, $0x20\n"
    "guest_cpuid_at: jmp guest_cpuid\n"

    "guest_touch:\n"				/* nested page faults */
    "guest_touch_load: mov (%ebx), %eax\n"
    "	test	%eax, %eax\n"
    "	jz	1f\n"
    "	cmp	%edi, %eax\n"
    "	jne	guest_fail\n"
    "1:\n"
    "guest_touch_store: mov %edi, (%ebx)\n"
    "	add	$4096, %ebx\n"
    "	dec	%ecx\n"
    "	jnz	guest_touch\n"
    "1:	out	%al, $0x20\n"
    "guest_touch_at: jmp 1b\n"

    "guest_fpu:	fninit\n"			/* state that RUN switches */
    "	mov	%edi, (%ebp)\n"
    "	fildl	(%ebp)\n"
    "1:	movl	$0, (%ebp)\n"
    "	fistl	(%ebp)\n"
    "	mov	(%ebp), %eax\n"
    "	cmp	%edi, %eax\n"
    "	jne	guest_fail\n"
    "	out	%al, $0x20\n"
    "guest_fpu_at: jmp	1b\n"

    "guest_hlt:	sti\n"
    "1:	hlt\n"
    "guest_hlt_at: jmp	1b\n"

    "guest_triple: ud2\n"			/* no gate for it */

    "guest_spin: jmp	guest_spin\n"		/* until TERM or a signal */
    "guest_sti:	sti\n"				/* or INTR */
    "1:	jmp	1b\n"
    "guest_hammer: mov	%edi, (%ebx)\n"		/* or MPROTECT_EPT */
    "	jmp	guest_hammer\n"

    "guest_off:	hlt\n"				/* IF=0: the end */
    "guest_irq:	iretl\n"
    "guest_end:\n"
    ".code64\n"
    ".popsection\n");

extern const uint8_t guest_begin[], guest_end[], guest_out[], guest_out_at[],
    guest_in[], guest_in_at[], guest_fail[], guest_cpuid[], guest_cpuid_at[],
    guest_touch[], guest_touch_load[], guest_touch_store[], guest_touch_at[],
    guest_fpu[], guest_fpu_at[], guest_hlt[], guest_hlt_at[], guest_triple[],
    guest_spin[], guest_sti[], guest_hammer[], guest_off[], guest_irq[];

/*
 * Guests that come to an exit, as often as they are to be chosen; and others,
 * for every fourth VCPU only: most VCPUs are free for who comes next. Triple
 * faults are for another fourth: RUN may return between #UD and its delivery,
 * and the #UD stays with the VCPU until RESETCPU, whatever WRITEREGS does.
 */
static const uint8_t *const brief[] = {
	guest_out, guest_out, guest_out, guest_in, guest_in, guest_cpuid,
	guest_cpuid, guest_touch, guest_touch, guest_touch, guest_fpu,
	guest_fpu, guest_hlt,
};
static const uint8_t *const endless[] = {
	guest_spin, guest_sti, guest_hammer,
};

/* Where RUN may return for what. */
static const struct {
	const uint8_t		*rip;
	enum client_event	 event;
} places[] = {
	{ guest_out_at, CLIENT_IO },
	{ guest_in_at, CLIENT_IO },
	{ guest_cpuid_at, CLIENT_IO },
	{ guest_touch_at, CLIENT_IO },
	{ guest_fpu_at, CLIENT_IO },
	{ guest_hlt_at, CLIENT_HLT },
	{ guest_triple, CLIENT_SHUTDOWN },
	{ guest_touch_load, CLIENT_PROTECT },
	{ guest_touch_store, CLIENT_PROTECT },
	{ guest_hammer, CLIENT_PROTECT },
};

/* Where a label is for the guest. */
static uint64_t
gpa_of(const uint8_t *label)
{
	return (GUEST_LOAD + (uint64_t)(label - guest_begin));
}

/* --- The draw: SplitMix64 --- */

static uint64_t
mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31));
}

void
draw(struct worker *w, uint64_t op)
{
	w->op = op;
	w->random = mix(mix(mix(seed) + w->nr) + op);
}

/* The next number of the draw, below n. */
static uint32_t
pick(struct worker *w, uint32_t n)
{
	w->random += 0x9e3779b97f4a7c15;
	return ((uint32_t)((mix(w->random) >> 32) * n >> 32));
}

/* --- Ioctls and their answers --- */

const char *const ioc_name[NIOCS] = {
	"nothing", "CREATE", "RUN", "INFO", "TERM", "RESETCPU", "INTR",
	"READREGS", "WRITEREGS", "READVMPARAMS", "WRITEVMPARAMS",
	"MPROTECT_EPT",
};
static const unsigned long ioc_number[NIOCS] = {
	0, VMM_IOC_CREATE, VMM_IOC_RUN, VMM_IOC_INFO, VMM_IOC_TERM,
	VMM_IOC_RESETCPU, VMM_IOC_INTR, VMM_IOC_READREGS, VMM_IOC_WRITEREGS,
	VMM_IOC_READVMPARAMS, VMM_IOC_WRITEVMPARAMS, VMM_IOC_MPROTECT_EPT,
};

static const int errno_of[NERRNOS - 1] = {
	0, ENOENT, EPERM, EBUSY, EFAULT, EINVAL, EIO, ENOMEM, ENOTTY,
};
const char *const errno_name[NERRNOS] = {
	"0", "ENOENT", "EPERM", "EBUSY", "EFAULT", "EINVAL", "EIO", "ENOMEM",
	"ENOTTY", "other",
};

/* Has somebody begun to end it, or done so? */
static bool
vm_gone(const struct vm *vm)
{
	return (atomic_load(&vm->slot->word) != vm->word);
}

/*
 * One ioctl, whose answer has to be in `set`. If it is on a VM (or NULL) that
 * is gone, ENOENT is right as well; and EFAULT if it takes pages, see vm_end().
 * Returns: the errno.
 */
static int
make(struct worker *w, const struct vm *vm, int fd, enum ioc ioc,
    unsigned long number, const void *arg, unsigned int set)
{
	unsigned int i = 0;
	int error;

	atomic_store(&w->since, atomic_load(&guard_tick));
	atomic_store(&w->ioc, ioc);
	error = ioctl(fd, (int)number, arg) == -1 ? errno : 0;
	atomic_store(&w->ioc, 0);

	while (i < NELEM(errno_of) && errno_of[i] != error)
		i++;
	w->tally.answers[ioc][i]++;
	if (vm != NULL && ioc != CREATE && ioc != INFO && vm_gone(vm)) {
		set |= NOENT;
		if (ioc == MPROTECT)
			set |= FAULT;
	}
	if ((set >> i & 1) == 0)
		fail(w, "%s: %s (%d), and not of the set %#x", ioc_name[ioc],
		    strerror(error), error, set);
	return (error);
}

/* The usual: nothing is wrong with number and argument. */
static int
make_ioctl(struct worker *w, const struct vm *vm, enum ioc ioc, void *arg,
    unsigned int set)
{
	return (make(w, vm, w->fd, ioc, ioc_number[ioc], arg, set));
}

/* The rows of INFO are VMs of ours. */
static void
check_rows(struct worker *w, size_t rows)
{
	const struct vm_info_result *r;
	size_t i;

	for (r = w->rows; r < w->rows + rows; r++) {
		if (strcmp(r->vir_name, "stress") != 0 || r->vir_id == 0 ||
		    r->vir_ncpus > BIG_VCPUS || r->vir_memory_size > 4 ||
		    r->vir_used_size > r->vir_memory_size * CLIENT_MIB)
			fail(w, "INFO: a row that cannot be: %.64s",
			    r->vir_name);
		for (i = 0; i < r->vir_ncpus; i++)
			if (r->vir_vcpu_state[i] >= VCPU_STATE_UNKNOWN)
				fail(w, "INFO: state %u",
				    r->vir_vcpu_state[i]);
	}
}

size_t
info(struct worker *w)
{
	struct vm_info_params vip = {
		.vip_size = sizeof(w->rows), .vip_info = w->rows,
	};

	make_ioctl(w, NULL, INFO, &vip, OK);
	if (vip.vip_size != sizeof(w->rows))
		fail(w, "INFO: more VMs than were made");
	check_rows(w, vip.vip_info_ct);
	return (vip.vip_info_ct);
}

/* The row of a VM among `rows`, which is there. */
static const struct vm_info_result *
info_row(struct worker *w, const struct vm *vm, size_t rows)
{
	size_t i = 0;

	while (i < rows && w->rows[i].vir_id != vm->id)
		i++;
	if (i == rows)
		fail(w, "INFO: vm %u is missing", vm->id);
	return (&w->rows[i]);
}

/* --- The state a VCPU starts with --- */

/* How many pages guests touch. */
static uint32_t
touch_pages(const struct vm *vm)
{
	return ((uint32_t)((vm->size - TOUCH) / PAGE));
}

/* Up to 16 of these pages, by the draw. Returns: how many. */
static uint32_t
draw_pages(struct worker *w, const struct vm *vm, uint64_t *gpa)
{
	uint32_t pages = touch_pages(vm), first = pick(w, pages);

	*gpa = TOUCH + first * PAGE;
	return (1 + pick(w, pages - first < 16 ? pages - first : 16));
}

/*
 * A guest, or NULL: one by the draw. In a wild VM it is at times one that
 * halts for ever, or touches a page that cannot be had. The registers that no
 * guest changes tell whose they are.
 */
static void
start_state(struct worker *w, const struct vm *vm, uint32_t vcpu,
    const uint8_t *guest, struct vcpu_reg_state *rs)
{
	uint64_t *g = rs->vrs_gprs;

	client_start_state(GUEST_PROT, rs);
	rs->vrs_idtr.vsi_base = IDT;
	rs->vrs_idtr.vsi_limit = 256 * 8 - 1;
	g[VCPU_REGS_RSP] = STACKS + (vcpu + 1) * STACK;
	g[VCPU_REGS_RBP] = SCRATCH + vcpu * 8;
	g[VCPU_REGS_RDI] = vm->id;
	g[VCPU_REGS_RSI] = vcpu;
	g[VCPU_REGS_R12] = ~((uint64_t)vm->id << 32 | vcpu);
	g[VCPU_REGS_RCX] = draw_pages(w, vm, &g[VCPU_REGS_RBX]);
	if (guest == NULL && ENDLESS(vcpu) && pick(w, 8) == 0)
		guest = endless[pick(w, NELEM(endless))];
	else if (guest == NULL && TRIPLE(vcpu) && pick(w, 4) == 0)
		guest = guest_triple;
	else if (guest == NULL)
		guest = brief[pick(w, NELEM(brief))];
	g[VCPU_REGS_RIP] = gpa_of(guest);
	if (!vm->wild || pick(w, 24) != 0)
		return;
	g[VCPU_REGS_RIP] = gpa_of(pick(w, 3) == 0 ? guest_off : guest_touch);
	g[VCPU_REGS_RBX] = pick(w, 2) == 0 ? LOST : BEHIND;
}

/* These registers are those of this VCPU of this VM. */
static void
check_marks(struct worker *w, const struct vm *vm, uint32_t vcpu,
    const struct vcpu_reg_state *rs)
{
	const uint64_t *g = rs->vrs_gprs;

	if (g[VCPU_REGS_RDI] != vm->id || g[VCPU_REGS_RSI] != vcpu ||
	    g[VCPU_REGS_R12] != ~((uint64_t)vm->id << 32 | vcpu))
		fail(w, "vm %u vcpu %u has the registers of another: rdi %#lx"
		    " rsi %#lx r12 %#lx", vm->id, vcpu, g[VCPU_REGS_RDI],
		    g[VCPU_REGS_RSI], g[VCPU_REGS_R12]);
}

/* --- VMs --- */

/*
 * Memory of one of three kinds: as mmap() gives it, of huge pages if the
 * host has them, or shared. NULL: no memory.
 */
static uint8_t *
map(struct worker *w, size_t size)
{
	const size_t huge = 2 * CLIENT_MIB;
	uint32_t kind = pick(w, 4);
	size_t head;
	uint8_t *p;
	int fd = -1;

	if (kind == 0 && !on_metal)
		fd = memfd_create("stress", MFD_CLOEXEC);
	if (fd != -1 && ftruncate(fd, (off_t)size) == -1)
		return (NULL);
	p = mmap(NULL, size + (kind == 1 ? huge : 0), PROT_READ | PROT_WRITE,
	    fd != -1 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
	if (fd != -1)
		close(fd);
	if (p == MAP_FAILED)
		return (NULL);
	if (kind != 1)
		return (p);
	head = -(uintptr_t)p % huge;
	if (head != 0)
		munmap(p, head);
	p += head;
	munmap(p + size, huge - head);
	(void)madvise(p, size, MADV_HUGEPAGE);
	return (p);
}

/* What guests find: code, a GDT, and gates for the vectors of vrp_irq. */
static void
load(uint8_t *mem)
{
	uint64_t gate = GATE(gpa_of(guest_irq)), code = GDT_CODE;
	int i;

	memcpy(mem + GUEST_LOAD, guest_begin, guest_end - guest_begin);
	memcpy(mem + GUEST_GDT + GUEST_CS, &code, sizeof(code));
	for (i = 32; i < 256; i++)
		memcpy(mem + IDT + 8 * i, &gate, sizeof(gate));
}

/* Takes a slot's word apart. */
static void
vm_of(struct slot *s, uint64_t word, struct vm *vm)
{
	vm->slot = s;
	vm->word = word;
	vm->id = (uint32_t)word;
	vm->ncpus = word >> 32 & 0x7f;
	vm->size = (word >> 40 & 0x7) * CLIENT_MIB;
	vm->wild = (word & WILD) != 0;
}

/* RESETCPU, with a guest or NULL. */
static void
vcpu_start(struct worker *w, const struct vm *vm, uint32_t vcpu,
    const uint8_t *guest)
{
	struct vm_resetcpu_params a = {
		.vrp_vm_id = vm->id, .vrp_vcpu_id = vcpu,
	};

	start_state(w, vm, vcpu, guest, &a.vrp_init_state);
	make_ioctl(w, NULL, RESETCPU, &a, OK);
}

/*
 * Makes a VM in a claimed slot, its VCPUs started. A page inside is unmapped
 * then: a hole at an end of its memory would be taken by the next mmap().
 */
static void
vm_make(struct worker *w, struct slot *s, unsigned int ncpus,
    unsigned int mib, uint64_t flags, const uint8_t *guest, struct vm *vm)
{
	struct vm_create_params vcp = {
		.vcp_nmemranges = 1, .vcp_ncpus = ncpus, .vcp_name = "stress",
	};
	unsigned int i;

	s->mem = map(w, mib * CLIENT_MIB);
	s->owner = (flags & OWNED) != 0 ? client_open() : -1;
	if (s->mem == NULL || (s->owner == -1 && (flags & OWNED) != 0))
		fail(w, "mmap or open: %s", strerror(errno));
	load(s->mem);
	vcp.vcp_memranges[0].vmr_va = (uintptr_t)s->mem;
	vcp.vcp_memranges[0].vmr_size = mib * CLIENT_MIB;
	make(w, NULL, s->owner != -1 ? s->owner : w->fd, CREATE,
	    VMM_IOC_CREATE, &vcp, OK);
	made++;
	munmap(s->mem + LOST, PAGE);
	vm_of(s, WORD(vcp.vcp_id, ncpus, mib) | flags, vm);
	for (i = 0; i < ncpus; i++)
		vcpu_start(w, vm, i, guest);
	atomic_store(&s->word, vm->word);
}

/* Its pages hold what its guests wrote, or nothing. A few of them will do. */
static void
check_memory(struct worker *w, const struct vm *vm)
{
	uint32_t i, value;
	uint64_t gpa;

	for (i = 0; i < 8; i++) {
		gpa = TOUCH + pick(w, touch_pages(vm)) * PAGE;
		memcpy(&value, vm->slot->mem + gpa, sizeof(value));
		if (value != 0 && value != vm->id)
			fail(w, "vm %u: somebody else wrote %#x to %#lx",
			    vm->id, value, gpa);
	}
}

/* TERM. Exactly one of those who call it for a VM is not too late. */
static void
vm_term(struct worker *w, const struct vm *vm)
{
	struct vm_terminate_params vtp = { vm->id };

	if (make_ioctl(w, vm, TERM, &vtp, OK) == 0)
		ended++;
}

/*
 * Ends a VM whose slot the caller has claimed. Where its guests may meet
 * that, what they touch first becomes memory that the driver may not take.
 * Addresses are given back when no ioctl is left that came before the end: it
 * could find the memory of another VM there.
 */
static void
vm_end(struct worker *w, const struct vm *vm)
{
	struct slot *s = vm->slot;
	bool early = vm->wild && pick(w, 2) == 0;

	if (early && mmap(s->mem + TOUCH, vm->size - TOUCH, PROT_READ,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		fail(w, "mmap: %s", strerror(errno));
	if (s->owner != -1) {
		close(s->owner);
		w->tally.closed++;
		ended++;
	} else
		vm_term(w, vm);
	while (atomic_load(&s->users) != 0)
		pause_ms(1);
	if (!early)
		check_memory(w, vm);
	munmap(s->mem, vm->size);
	atomic_store(&s->word, 0);
}

/*
 * A VM by the draw: that of a slot, the first more often; if it is claimed,
 * of the next; if it is empty, a new one, with many VCPUs in the first slot
 * and a few in others.
 */
static void
vm_draw(struct worker *w, struct vm *vm)
{
	unsigned int i = pick(w, 4) == 0 ? 0 : pick(w, nslots), ncpus, mib;
	uint64_t word = 0, flags;
	bool big;

	while (!atomic_compare_exchange_strong(&slots[i].word, &word,
	    CLAIMED)) {
		if (word != CLAIMED) {
			vm_of(&slots[i], word, vm);
			return;
		}
		i = (i + 1) % nslots;
		if (i == 0)
			pause_ms(1);
		word = 0;
	}
	big = i == 0 && big_vcpus != 0;
	flags = pick(w, 8) == 0 ? OWNED : 0;
	if (!big && pick(w, 4) == 0)
		flags |= WILD;
	ncpus = big ? big_vcpus : pick(w, 4) == 0 ? 1 + pick(w, 4) :
	    5 + pick(w, 4);
	mib = big ? 4 : 1 + pick(w, on_metal ? 2 : 4);
	vm_make(w, &slots[i], ncpus, mib, flags, NULL, vm);
}

/* --- What an ioctl that succeeded has to tell --- */

/* Counts a VM that ended inside RUN, however many VCPUs tell so. */
static void
count_cut(struct worker *w, const struct vm *vm)
{
	unsigned int last = atomic_load(&vm->slot->cut);

	while (last < vm->id)
		if (atomic_compare_exchange_weak(&vm->slot->cut, &last,
		    vm->id))
			w->tally.cut++;
}

/* What RUN reported is what this guest can have done, there. */
static void
check_exit(struct worker *w, const struct vm *vm, uint32_t vcpu,
    const struct vm_run_params *run)
{
	struct client_vm v = { .run = *run };
	enum client_event event = client_event(&v);
	bool exited = event != CLIENT_TERMINATED && event != CLIENT_NONE;
	uint64_t rip = w->exit.vrs.vrs_gprs[VCPU_REGS_RIP];
	size_t i = 0;

	w->tally.exits[event]++;
	w->tally.entries += exited;
	if (event == CLIENT_TERMINATED && !vm_gone(vm))
		fail(w, "RUN: nobody ended vm %u", vm->id);
	if (event == CLIENT_TERMINATED)
		count_cut(w, vm);
	if (run->vrp_exit == &w->exit)
		check_marks(w, vm, vcpu, &w->exit.vrs);
	else if (exited)
		fail(w, "RUN: wrote a read-only vrp_exit");
	if (!exited || (event == CLIENT_WINDOW && run->vrp_irqready == 1))
		return;
	if (event == CLIENT_IO && w->exit.vei.vei_port == PORT_FAIL)
		fail(w, "vm %u vcpu %u: the guest found %#x", vm->id, vcpu,
		    w->exit.vei.vei_data);
	while (i < NELEM(places) && (gpa_of(places[i].rip) != rip ||
	    places[i].event != event))
		i++;
	if (i == NELEM(places))
		fail(w, "RUN: vm %u vcpu %u: exit %#x at %#lx", vm->id, vcpu,
		    run->vrp_exit_reason, rip);
}

/* The answer to an ioctl is of this VM and this VCPU. */
static void
check(struct worker *w, const struct vm *vm, uint32_t vcpu, enum ioc ioc,
    const union arg *a)
{
	uint64_t clock = a->params.vpp_pvclock_system_gpa;

	if (ioc == RUN)
		check_exit(w, vm, vcpu, &a->run);
	else if (ioc == READREGS)
		check_marks(w, vm, vcpu, &a->regs.vrwp_regs);
	else if (ioc == READVMPARAMS && (clock & ~1UL) != CLOCKS + 32 * vcpu &&
	    clock != 0)
		fail(w, "READVMPARAMS: vm %u vcpu %u: %#lx", vm->id, vcpu,
		    clock);
	else if (ioc == INFO)
		check_rows(w, a->info.vip_info_ct);
}

/* --- Operations --- */

/* An argument with which the ioctl is right for this VCPU. */
static void
fill(struct worker *w, const struct vm *vm, uint32_t vcpu, enum ioc ioc,
    union arg *a)
{
	memset(a, 0, sizeof(*a));
	a->id.vm = vm->id;
	a->id.vcpu = vcpu;
	switch (ioc) {
	case CREATE:
		a->create = readonly.create;
		break;
	case RUN:
		a->run.vrp_continue = 1;
		a->run.vrp_irq = pick(w, 8) == 0 ? 32 + pick(w, 224) : NO_IRQ;
		a->run.vrp_exit = &w->exit;
		w->exit.vei = readonly.exit.vei;
		break;
	case INFO:
		a->info.vip_size = sizeof(w->rows);
		a->info.vip_info = w->rows;
		break;
	case RESETCPU:
		start_state(w, vm, vcpu, NULL, &a->reset.vrp_init_state);
		break;
	case INTR:
		a->intr.vip_intr = pick(w, 2);
		break;
	case READREGS:
		a->regs.vrwp_mask = VM_RWREGS_ALL;
		break;
	case WRITEREGS:		/* any groups with CRS */
		a->regs.vrwp_mask = VM_RWREGS_CRS | pick(w, 32);
		if (TRIPLE(vcpu))
			a->regs.vrwp_mask &= ~VM_RWREGS_GPRS;
		start_state(w, vm, vcpu, NULL, &a->regs.vrwp_regs);
		break;
	case READVMPARAMS:
		a->params.vpp_mask = VM_RWVMPARAMS_ALL;
		a->params.vpp_pvclock_system_gpa = ~0UL;
		break;
	case WRITEVMPARAMS:
		a->params.vpp_mask = VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA;
		a->params.vpp_pvclock_system_gpa = (CLOCKS + 32 * vcpu) |
		    pick(w, 2);
		break;
	case MPROTECT:		/* exactly these rights, but not 0 or W */
		a->protect.vmep_size = PAGE *
		    draw_pages(w, vm, &a->protect.vmep_sgpa);
		a->protect.vmep_prot = 1 | pick(w, 8);
		if (pick(w, 4) == 0)
			a->protect.vmep_prot = 4;
		break;
	default:
		break;
	}
}

/* One field of an argument, and the value that spoils it. */
#define SPOIL(type, field, to) \
	.at = offsetof(struct type, field), \
	.width = sizeof(((struct type *)0)->field), .value = (uint64_t)(to)
#define REGS(which)	vrwp_regs.which
#define STATE(which)	vrp_init_state.which

enum { ANY_VCPU = NIOCS, ANY_VM, ANY };	/* ioctls, by the draw */

/* How often of a thousand, and the answers that are right. */
static const struct op {
	uint16_t	 weight;
	uint8_t		 ioc;
	uint8_t		 width;		/* of the field; 0: all is right */
	uint16_t	 at;
	uint16_t	 set;
	uint32_t	 number;	/* added to the ioctl's number */
	uint64_t	 value;
	const void	*arg;		/* instead of what fill() makes */
} ops[] = {
	{ 352, RUN, .set = OK | BUSY },
	{ 150, RESETCPU, .set = OK | BUSY },
	{ 70, WRITEREGS, .set = OK | BUSY },
	{ 80, READREGS, .set = OK | BUSY },
	{ 80, INTR, .set = OK },
	{ 70, MPROTECT, .set = OK | BUSY },
	{ 40, READVMPARAMS, .set = OK },
	{ 40, WRITEVMPARAMS, .set = OK },
	{ 8, INFO, .set = OK },
	{ 20, TERM, .set = OK },

	{ 9, RUN, .set = OK | BUSY | FAULT,	/* comes to its exit first */
	    SPOIL(vm_run_params, vrp_exit, &readonly.exit) },
	{ 6, RUN, .set = BUSY | FAULT, SPOIL(vm_run_params, vrp_exit, 0) },
	{ 10, RESETCPU, .set = BUSY | IO,	/* PG without PE */
	    SPOIL(vm_resetcpu_params, STATE(vrs_crs[VCPU_REGS_CR0]),
		0x80000010) },
	{ 10, WRITEREGS, .set = BUSY | INVAL,
	    SPOIL(vm_rwregs_params, REGS(vrs_crs[VCPU_REGS_CR8]), 16) },
	{ 4, WRITEVMPARAMS, .set = INVAL,
	    SPOIL(vm_rwvmparams_params, vpp_pvclock_system_gpa, BEHIND | 1) },
	{ 4, WRITEVMPARAMS, .set = FAULT,
	    SPOIL(vm_rwvmparams_params, vpp_pvclock_system_gpa, LOST | 1) },
	{ 3, MPROTECT, .set = BUSY | INVAL,
	    SPOIL(vm_mprotect_ept_params, vmep_prot, 2) },
	{ 3, MPROTECT, .set = BUSY | INVAL,
	    SPOIL(vm_mprotect_ept_params, vmep_sgpa, BEHIND) },
	{ 4, MPROTECT, .set = BUSY | FAULT,
	    SPOIL(vm_mprotect_ept_params, vmep_sgpa, LOST) },
	{ 2, INFO, .set = OK, SPOIL(vm_info_params, vip_size, 0) },
	{ 3, INFO, .set = OK | FAULT,		/* no VM: nothing to write */
	    SPOIL(vm_info_params, vip_info, 8) },
	{ 2, CREATE, .set = FAULT, .arg = &readonly.create },
	{ 2, CREATE, .set = NOMEM,		/* not mapped */
	    SPOIL(vm_create_params, vcp_memranges[0].vmr_va, 0x10000) },
	{ 1, CREATE, .set = INVAL,
	    SPOIL(vm_create_params, vcp_memranges[0].vmr_gpa,
		VMM_PCI_MMIO_BAR_BASE) },
	{ 1, CREATE, .set = INVAL,
	    SPOIL(vm_create_params, vcp_memranges[0].vmr_size, PAGE) },
	{ 1, CREATE, .set = INVAL, SPOIL(vm_create_params, vcp_ncpus, 0) },
	{ 1, CREATE, .set = INVAL, SPOIL(vm_create_params, vcp_ncpus,
	    VMM_MAX_VCPUS_PER_VM + 1) },
	{ 1, CREATE, .set = INVAL, SPOIL(vm_create_params, vcp_nmemranges,
	    VMM_MAX_MEM_RANGES + 1) },

	{ 6, ANY_VCPU, .set = NOENT,
	    SPOIL(vm_run_params, vrp_vcpu_id, VMM_MAX_VCPUS_PER_VM) },
	{ 6, ANY_VM, .set = NOENT, SPOIL(vm_run_params, vrp_vm_id, 0) },
	{ 6, ANY, .set = FAULT, .arg = (void *)8 },
	{ 5, ANY, .set = NOTTY, .number = 4U << 16 },	/* another size */
};

/* One of the ioctls that name a VM, TERM among them if `term`. */
static enum ioc
draw_vm_ioc(struct worker *w, bool term)
{
	static const enum ioc of_vm[] = {
		RUN, RESETCPU, INTR, READREGS, WRITEREGS, READVMPARAMS,
		WRITEVMPARAMS, MPROTECT, TERM,
	};

	return (of_vm[pick(w, NELEM(of_vm) - !term)]);
}

/*
 * Ends a VM, the big one less often. Who loses the race for the claim still
 * calls TERM: it is too late, or else the winner is.
 */
static void
op_term(struct worker *w, const struct vm *vm)
{
	uint64_t word = vm->word;

	if (vm->ncpus > 8 && pick(w, 16) != 0)
		return;
	if (atomic_compare_exchange_strong(&vm->slot->word, &word, CLAIMED))
		vm_end(w, vm);
	else if ((vm->word & OWNED) == 0)
		vm_term(w, vm);
}

/*
 * An ioctl on a VCPU. EBUSY is right if the VCPU has ended, which only those
 * of wild VMs do, or if some other RUN has begun before this ended, and was
 * not over when this began.
 */
static int
make_on_vcpu(struct worker *w, const struct vm *vm, uint32_t vcpu,
    enum ioc ioc, unsigned long number, const void *arg, unsigned int set)
{
	atomic_uint *begun = &vm->slot->begun[vcpu];
	atomic_uint *done = &vm->slot->done[vcpu];
	unsigned int before = atomic_load(done), others;
	int error;

	atomic_fetch_add(&vm->slot->users, 1);
	if (ioc == RUN)
		atomic_fetch_add(begun, 1);
	error = make(w, vm, w->fd, ioc, number, arg, set);
	others = atomic_load(begun) - before - (ioc == RUN);
	if (ioc == RUN)
		atomic_fetch_add(done, 1);
	atomic_fetch_sub(&vm->slot->users, 1);
	if (error != EBUSY || vm_gone(vm) || (vm->wild && ioc != READREGS))
		return (error);
	if (others == 0)
		fail(w, "%s: EBUSY, and nobody RUNs vm %u vcpu %u",
		    ioc_name[ioc], vm->id, vcpu);
	w->tally.running++;
	return (error);
}

void
op_any(struct worker *w)
{
	uint32_t n = pick(w, 1000), vcpu;
	const struct op *op = ops;
	union arg a;
	struct vm vm;
	unsigned int set;
	enum ioc ioc;

	while (n >= op->weight)
		n -= op++->weight;
	ioc = op->ioc < NIOCS ? op->ioc : op->ioc == ANY ?
	    1 + pick(w, NIOCS - 1) : draw_vm_ioc(w, op->ioc == ANY_VM);
	vm_draw(w, &vm);
	vcpu = pick(w, vm.ncpus);
	atomic_store(&w->patience, 2 + pick(w, 8));
	if (op->ioc == TERM) {
		op_term(w, &vm);
		return;
	}
	fill(w, &vm, vcpu, ioc, &a);
	memcpy((uint8_t *)&a + op->at, &op->value, op->width);
	set = op->set;
	if (op->ioc == RUN && vm.wild)
		set |= IO | INVAL | FAULT;
	if (make_on_vcpu(w, &vm, vcpu, ioc, ioc_number[ioc] + op->number,
	    op->arg != NULL ? op->arg : &a, set) == 0)
		check(w, &vm, vcpu, ioc, &a);
}

/* Another user sees no VM of ours and may do nothing with one. */
void
op_stranger(struct worker *w)
{
	struct slot *s = &slots[pick(w, nslots)];
	uint64_t word = atomic_load(&s->word);
	enum ioc ioc = draw_vm_ioc(w, true);
	union arg a;
	struct vm vm;

	if (info(w) != 0)
		fail(w, "INFO: lists another user's VM");
	if (word == 0 || word == CLAIMED)
		return;
	vm_of(s, word, &vm);
	fill(w, &vm, pick(w, vm.ncpus), ioc, &a);
	make_ioctl(w, &vm, ioc, &a, PERM);
}

/* --- Before and after --- */

void
ops_init(struct worker *w)
{
	readonly.create = (struct vm_create_params){
		.vcp_nmemranges = 1, .vcp_ncpus = 1, .vcp_name = "stress",
		.vcp_memranges = { { 0, (uintptr_t)arena, sizeof(arena) } },
	};
	readonly.exit.vei.vei_dir = VEI_DIR_IN;
	readonly.exit.vei.vei_data = ANSWER;
	(void)client_event(&(struct client_vm){ .id = 0 });	/* asks CPUID */
	if (mprotect(&readonly, sizeof(readonly), PROT_READ) != 0)
		fail(w, "mprotect: %s", strerror(errno));
}

void
slots_init(unsigned int vms, unsigned int big)
{
	nslots = vms;
	big_vcpus = big;
}

/* A VM that nobody works on: no VCPU is in RUN, and each has its registers. */
static void
check_idle(struct worker *w, const struct vm *vm,
    const struct vm_info_result *r)
{
	struct vm_rwregs_params a = { .vrwp_mask = VM_RWREGS_ALL };
	unsigned int i;

	for (i = 0; i < vm->ncpus; i++) {
		if (r->vir_vcpu_state[i] != VCPU_STATE_STOPPED && !(vm->wild &&
		    r->vir_vcpu_state[i] == VCPU_STATE_TERMINATED))
			fail(w, "vm %u vcpu %u is left in state %u", vm->id, i,
			    r->vir_vcpu_state[i]);
		a.vrwp_vm_id = vm->id;
		a.vrwp_vcpu_id = i;
		make_ioctl(w, NULL, READREGS, &a, OK);
		check_marks(w, vm, i, &a.vrwp_regs);
	}
}

void
slots_finish(struct worker *w)
{
	size_t rows = info(w), found = 0;
	struct slot *s;
	struct vm vm;

	for (s = slots; s < slots + nslots; s++) {
		if (s->word == 0)
			continue;
		vm_of(s, s->word, &vm);
		check_idle(w, &vm, info_row(w, &vm, rows));
		s->word = CLAIMED;
		vm_end(w, &vm);
		found++;
	}
	if (found != rows || made != ended)
		fail(w, "%zu VMs and INFO lists %zu; %lu made, %lu ended",
		    found, rows, made, ended);
}

void
rally_create(struct worker *w, unsigned int ncpus)
{
	vm_make(w, &rally_slot, ncpus, 1, 0, guest_spin, &rally);
}

void
rally_run(struct worker *w, unsigned int vcpu)
{
	union arg a;

	atomic_store(&w->patience, 0);
	do {
		fill(w, &rally, vcpu, RUN, &a);
		if (make_ioctl(w, &rally, RUN, &a, OK) != 0)
			return;
		check_exit(w, &rally, vcpu, &a.run);
	} while (a.run.vrp_exit_reason != VM_EXIT_TERMINATED);
}

bool
rally_ready(struct worker *w)
{
	const struct vm_info_result *r = info_row(w, &rally, info(w));
	unsigned int i = 0;

	while (i < r->vir_ncpus && r->vir_vcpu_state[i] == VCPU_STATE_RUNNING)
		i++;
	return (i == r->vir_ncpus);
}

void
rally_end(struct worker *w)
{
	rally_slot.word = CLAIMED;
	vm_end(w, &rally);
}

/* A VCPU that is reset needs an ASID without translations, each time. */
void
proof_asids(struct worker *w, unsigned int vms)
{
	union arg a;
	struct vm vm;
	unsigned int i, k;

	for (i = 0; i < vms; i++) {
		vm_make(w, slots, ASID_VCPUS, 1, 0, guest_out, &vm);
		for (k = 0; k < ASID_VCPUS * ASID_ROUNDS; k++) {
			vcpu_start(w, &vm, k % ASID_VCPUS, guest_touch);
			fill(w, &vm, k % ASID_VCPUS, RUN, &a);
			atomic_store(&w->patience, 0);
			make_ioctl(w, &vm, RUN, &a, OK);
			check_exit(w, &vm, k % ASID_VCPUS, &a.run);
			if (a.run.vrp_exit_reason == VM_EXIT_NONE)
				fail(w, "RUN: did not come to its exit");
		}
		slots->word = CLAIMED;
		vm_end(w, &vm);
	}
}
