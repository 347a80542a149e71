/* SPDX-License-Identifier: ISC */
/*
 * ioctl_cpus.c - VCPUs that change CPUs, CPUs that go offline and come back,
 * and CPUs that another hypervisor uses.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ioctl_host.h"

/*
 * A guest in 64-bit mode that counts in registers of every sort, and stores
 * them at RDI before each exit. It has no stack: two VCPUs can share it.
 */
extern const uint8_t counter[], counter_end[];
__asm__ (
    ".pushsection .rodata\n"
    "counter:\n\t"
    ".ascii \"VMMG\"; .byte 3, 1; .word 16; .long 0, 0\n\t"
    "mov %cr4, %rax; or $0x600, %eax; mov %rax, %cr4\n\t"
    "fninit; fldz; pxor %xmm0, %xmm0\n\t"
    "mov $1, %eax; movq %rax, %xmm15\n"
    "1:	inc %r15; incq (%rdi)\n\t"
    "paddq %xmm15, %xmm0; movq %xmm0, 8(%rdi)\n\t"
    "fld1; faddp; fld %st(0); fistpll 16(%rdi)\n\t"
    "mov %r15, %dr0; mov %dr0, %rax; mov %rax, 24(%rdi)\n\t"
    "mov %dr1, %rax; mov %rax, 32(%rdi)\n\t"
    "mov %r14, 40(%rdi); mov %cr2, %rax; mov %rax, 48(%rdi)\n\t"
    "out %al, $0x70; jmp 1b\n"
    "counter_end:\n"
    ".popsection");

#define BASE		0x40000		/* RDI of VCPU 0; a page for each */
#define OUT_PORT	0x70

struct stored {
	uint64_t	memory, xmm, x87, dr0, dr1, r14, cr2;
};

/* What one VCPU of that guest should have by now. */
struct counted {
	struct client_vm	v;	/* a copy, with its VCPU */
	uint64_t		n;	/* exits so far */
	uint64_t		r14, dr1, cr2;	/* as WRITEREGS left them */
};

#define MAX_CPUS	64

static int cpus[MAX_CPUS];		/* the online ones */
static int ncpus;

static void
set_online(int cpu, bool on, int *error)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online",
	    cpu);
	*error = file_write(path, on ? "1" : "0");
}

/* Only the calling thread moves. */
static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
	CHECK_EQ(sched_getcpu(), cpu);
}

static void
need_cpus(void)
{
	cpu_set_t set;
	int cpu, ignored;

	not_on_metal("metal has one CPU");
	set_online(1, true, &ignored);	/* if a clause failed to */
	CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
	for (cpu = ncpus = 0; cpu < MAX_CPUS; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[ncpus++] = cpu;
	if (ncpus < 2)
		SKIP("this host has one CPU");
}

/* --- The guest that counts. --- */

static void
count_from(struct counted *c, const struct client_vm *v, uint32_t vcpu)
{
	struct vcpu_reg_state rs;

	memset(c, 0, sizeof(*c));
	c->v = *v;
	c->v.vcpu = vcpu;
	c->r14 = fresh();
	c->dr1 = fresh() & 0xffffffff;
	c->cr2 = fresh() >> 20;
	client_start_state(GUEST_LONG, &rs);
	rs.vrs_gprs[VCPU_REGS_RDI] = BASE + vcpu * PAGE;
	rs.vrs_gprs[VCPU_REGS_R14] = c->r14;
	rs.vrs_crs[VCPU_REGS_CR2] = c->cr2;
	rs.vrs_drs[VCPU_REGS_DR1] = c->dr1;
	/* Armed, where no instruction is: the CPU has all four loaded. */
	rs.vrs_drs[VCPU_REGS_DR3] = 0xdead0000;
	rs.vrs_drs[VCPU_REGS_DR7] = 0x440;
	CHECK_EQ(client_ioc_resetcpu(c->v.fd, c->v.id, vcpu, &rs), 0);
}

static struct client_vm *
new_counter(size_t n)
{
	struct client_vm *v = new_vm(4 * CLIENT_MIB, n);
	int mode;

	CHECK_EQ(client_load(v, counter, (size_t)(counter_end - counter),
	    NULL, &mode), 0);
	CHECK_EQ(mode, GUEST_LONG);
	return (v);
}

/* One RUN, and all of what it should have counted. */
static void
count(struct counted *c)
{
	const struct stored *s = (const struct stored *)(c->v.mem + BASE +
	    c->v.vcpu * PAGE);
	const struct vcpu_reg_state *rs = &c->v.exit.vrs;

	CHECK_EQ(client_run(&c->v, NO_IRQ), 0);
	CHECK_EQ(client_event(&c->v), CLIENT_IO);
	CHECK_EQ(c->v.exit.vei.vei_port, OUT_PORT);
	c->n++;
	CHECK_EQ(rs->vrs_gprs[VCPU_REGS_R15], c->n);
	CHECK_EQ(s->memory, c->n);
	CHECK_EQ(s->xmm, c->n);
	CHECK_EQ(s->x87, c->n);
	CHECK_EQ(s->dr0, c->n);
	CHECK_EQ(s->dr1, c->dr1);
	CHECK_EQ(s->r14, c->r14);
	CHECK_EQ(s->cr2, c->cr2);
}

/* What READREGS shows of it; then other values by WRITEREGS. */
static void
inspect(struct counted *c)
{
	struct vcpu_reg_state rs;

	memset(&rs, 0, sizeof(rs));
	CHECK_EQ(client_ioc_readregs(c->v.fd, c->v.id, c->v.vcpu,
	    VM_RWREGS_ALL, &rs), 0);
	same_regs("read on another CPU", &rs, &c->v.exit.vrs, VM_RWREGS_ALL);
	CHECK_EQ(rs.vrs_gprs[VCPU_REGS_R15], c->n);
	CHECK_EQ(rs.vrs_drs[VCPU_REGS_DR0], c->n);
	CHECK_EQ(rs.vrs_drs[VCPU_REGS_DR3], 0xdead0000);
	rs.vrs_gprs[VCPU_REGS_R14] = c->r14 = fresh();
	rs.vrs_drs[VCPU_REGS_DR1] = c->dr1 = fresh() & 0xffffffff;
	rs.vrs_crs[VCPU_REGS_CR2] = c->cr2 = fresh() >> 20;
	CHECK_EQ(client_ioc_writeregs(c->v.fd, c->v.id, c->v.vcpu,
	    VM_RWREGS_GPRS | VM_RWREGS_DRS | VM_RWREGS_CRS, &rs), 0);
}

/* --- One VCPU on every CPU, by turns. --- */

#define ROUNDS	400
#define STAY	3		/* RUNs on one CPU */
#define LOOK	6		/* RUNs between looks from another one */

static struct counted one;

/* Something done on one CPU, in a thread that ends with it. */
struct on_cpu {
	int		  cpu;
	void		(*fn)(struct counted *);
	struct counted	 *c;
};

static void
on_cpu_main(void *arg)
{
	struct on_cpu *o = arg;

	pin(o->cpu);
	o->fn(o->c);
}

static void
on_cpu(int cpu, void (*fn)(struct counted *), struct counted *c)
{
	struct on_cpu o = { cpu, fn, c };

	join(spawn(on_cpu_main, &o));
}

static void
migrate_main(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		if (i % STAY == 0)
			pin(cpus[i / STAY % ncpus]);
		count(&one);
		if (i % LOOK == 0)
			on_cpu(cpus[(i / STAY + 1) % ncpus], inspect, &one);
	}
}

static void
migrate(void)
{
	need_cpus();
	count_from(&one, new_counter(1), 0);
	join(spawn(migrate_main, NULL));
	CHECK_EQ(one.n, ROUNDS);
}

/* --- VCPUs that change places. --- */

static struct counted many[4];

static void
swap_main(void *arg)
{
	struct counted *c = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		if (i % STAY == 0)
			pin(cpus[(i / STAY + (int)c->v.vcpu) % ncpus]);
		count(c);
	}
}

static void
swap(uint32_t n)
{
	struct client_vm *v;
	int t[NELEM(many)];
	uint32_t i;

	need_cpus();
	v = new_counter(n);
	for (i = 0; i < n; i++)
		count_from(&many[i], v, i);
	for (i = 0; i < n; i++)
		t[i] = spawn(swap_main, &many[i]);
	for (i = 0; i < n; i++)
		join(t[i]);
	for (i = 0; i < n; i++) {
		CHECK_EQ(many[i].n, ROUNDS);
		inspect(&many[i]);
		count(&many[i]);
	}
}

static void
two(void)
{
	swap(2);
}

static void
four(void)
{
	swap(4);
}

/* --- A CPU goes offline, and comes back. --- */

#define CPU	1		/* the one that goes */

static void
cpu_off(void)
{
	int error;

	set_online(CPU, false, &error);
	CHECK_EQ(error, 0);
}

static void
cpu_on(void)
{
	int error;

	set_online(CPU, true, &error);
	CHECK_EQ(error, 0);
}

static void
need_hotplug(void)
{
	int error;

	need_cpus();
	set_online(CPU, false, &error);
	if (error != 0)
		SKIP("this CPU cannot go offline");
	cpu_on();
}

/* RUN of a guest that counts in memory for ever, begun on a CPU, or any. */
static struct bg spinner;

static void
spin_main(void *arg)
{
	if (*(int *)arg != -1)
		pin(*(int *)arg);
	spinner.error = client_ioc_run(spinner.fd, &spinner.run);
	spinner.returned = true;
}

#define TICKS	0x9000

static const uint8_t code_ticks[] = {
	0xff, 0x06, 0x00, 0x90,			/* incw TICKS */
	0xeb, 0xfa,
};

static struct client_vm *
spin_on(int cpu)
{
	static int where;
	struct client_vm *v = new_started(code_ticks, sizeof(code_ticks), 1);

	memset(&spinner, 0, sizeof(spinner));
	spinner.fd = v->fd;
	spinner.run.vrp_vm_id = v->id;
	spinner.run.vrp_irq = NO_IRQ;
	spinner.run.vrp_exit = &spinner.exit;
	where = cpu;
	spinner.thread = spawn(spin_main, &where);
	await_state(v->id, 0, VCPU_STATE_RUNNING);
	return (v);
}

/* It goes on: its guest counts. */
static void
ticks_on(struct client_vm *v)
{
	volatile uint16_t *ticks = (volatile uint16_t *)(v->mem + TICKS);
	uint16_t was = *ticks;

	while (*ticks == was)
		pause_ms(1);
	CHECK(!spinner.returned);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_RUNNING);
}

static void
spin_end(struct client_vm *v)
{
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	join(spinner.thread);
	CHECK_EQ(spinner.error, 0);
	CHECK_EQ(spinner.run.vrp_exit_reason, VM_EXIT_TERMINATED);
}

/* Of three VCPUs that were last on that CPU, one is inside RUN. */
static void
offline(void)
{
	struct client_vm *v, *spin;
	int round;

	need_hotplug();
	v = new_counter(2);
	count_from(&many[0], v, 0);
	count_from(&many[1], v, 1);
	spin = spin_on(CPU);
	for (round = 0; round < 3; round++) {
		on_cpu(CPU, count, &many[0]);
		on_cpu(CPU, count, &many[1]);
		cpu_off();
		ticks_on(spin);
		inspect(&many[0]);
		inspect(&many[1]);
		count(&many[0]);
		on_cpu(cpus[0], count, &many[0]);
		cpu_on();
		ticks_on(spin);
		/* One that ran meanwhile, one that did not. */
		on_cpu(CPU, count, &many[0]);
		on_cpu(CPU, count, &many[1]);
		on_cpu(cpus[0], inspect, &many[1]);
		count(&many[1]);
	}
	spin_end(spin);
}

/* VMs come and go while it is away. */
static void
offline_create(void)
{
	need_hotplug();
	cpu_off();
	count_from(&one, new_counter(1), 0);	/* the first VM of all */
	count(&one);
	cpu_on();
	on_cpu(CPU, count, &one);
	on_cpu(cpus[0], count, &one);
	on_cpu(CPU, inspect, &one);
	on_cpu(CPU, count, &one);
	cpu_off();
	count_from(&many[0], new_counter(1), 0);
	count(&many[0]);
	cpu_on();
	on_cpu(CPU, count, &many[0]);
	on_cpu(CPU, count, &one);
}

/* The last VM ends while it is away, having last run there. */
static void
offline_term(void)
{
	struct client_vm *v;

	need_hotplug();
	v = new_counter(1);
	count_from(&one, v, 0);
	on_cpu(CPU, count, &one);
	cpu_off();
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	CHECK_EQ(vm_count(), 0);
	cpu_on();
	count_from(&one, new_counter(1), 0);
	on_cpu(CPU, count, &one);
	on_cpu(cpus[0], count, &one);
}

/* Offline and online, with a VCPU on the move in each direction. */
static volatile bool stop;

static void
wander_main(void *arg)
{
	struct counted *c = arg;
	cpu_set_t set;
	int i;

	for (i = 0; !stop; i++) {
		/* Refused while that CPU is away; then it stays where it is. */
		CPU_ZERO(&set);
		CPU_SET(cpus[(i + (int)c->v.vcpu) % 2 == 0 ? 0 : CPU], &set);
		(void)sched_setaffinity(0, sizeof(set), &set);
		count(c);
	}
}

static void
offline_again(void)
{
	struct client_vm *v;
	int t[2], i;

	need_hotplug();
	v = new_counter(2);
	stop = false;
	for (i = 0; i < 2; i++)
		count_from(&many[i], v, (uint32_t)i);
	for (i = 0; i < 2; i++)
		t[i] = spawn(wander_main, &many[i]);
	for (i = 0; i < 6; i++) {
		cpu_off();
		pause_ms(20);
		cpu_on();
		pause_ms(20);
	}
	stop = true;
	join(t[0]);
	join(t[1]);
	CHECK(many[0].n > 10 && many[1].n > 10);
}

/* --- F27: KVM. The numbers are Linux's. --- */

#define KVM_CREATE_VM		0xae01
#define KVM_GET_VCPU_MMAP_SIZE	0xae04
#define KVM_CREATE_VCPU		0xae41
#define KVM_SET_USER_MEMORY	0x4020ae46
#define KVM_RUN			0xae80
#define KVM_EXIT_HLT		5

struct kvm_memory {
	uint32_t	slot, flags;
	uint64_t	gpa, size, va;
};

/* KVM's device, and a VM with one VCPU; -1: not open. */
static struct kvm {
	int	 dev, vm, vcpu;
	uint8_t	*page;		/* of the guest: HLTs at the reset vector */
} kvm = { -1, -1, -1, NULL };

/* A VM of KVM's. 0 or the errno of the first call that fails. */
static int
kvm_make(void)
{
	struct kvm_memory m = { .gpa = 0xfffff000, .size = PAGE };

	kvm.vm = ioctl(kvm.dev, KVM_CREATE_VM, 0);
	if (kvm.vm == -1)
		return (errno);
	kvm.vcpu = ioctl(kvm.vm, KVM_CREATE_VCPU, 0);
	if (kvm.vcpu == -1)
		return (errno);
	kvm.page = map(PAGE);
	memset(kvm.page + 0xff0, 0xf4, 16);
	m.va = (uintptr_t)kvm.page;
	return (raw_ioctl(kvm.vm, KVM_SET_USER_MEMORY, (uintptr_t)&m));
}

/* RUNs it to its next HLT. */
static void
kvm_run(void)
{
	uint32_t reason;
	uint8_t *run;
	int size;

	size = ioctl(kvm.dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	CHECK(size > 0);
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    kvm.vcpu, 0);
	CHECK(run != MAP_FAILED);
	CHECK_EQ(raw_ioctl(kvm.vcpu, KVM_RUN, 0), 0);
	memcpy(&reason, run + 8, sizeof(reason));
	CHECK_EQ(reason, KVM_EXIT_HLT);
	unmap(run, (size_t)size);
}

static void
kvm_end(void)
{
	if (kvm.vcpu != -1)
		CHECK_EQ(close(kvm.vcpu), 0);
	if (kvm.vm != -1)
		CHECK_EQ(close(kvm.vm), 0);
	if (kvm.page != NULL)
		unmap(kvm.page, PAGE);
	kvm.vcpu = kvm.vm = -1;
	kvm.page = NULL;
}

static void
need_kvm(void)
{
	char on = 'N';
	int fd;

	not_on_metal("metal has no KVM");
	kvm_end();			/* what a clause that failed left */
	if (kvm.dev == -1)
		kvm.dev = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm.dev == -1)
		SKIP("no KVM in this kernel");
	/* Since Linux 6.12 it may keep the CPUs from its loading on. */
	fd = open("/sys/module/kvm/parameters/enable_virt_at_load", O_RDONLY);
	if (fd != -1) {
		CHECK_EQ(read(fd, &on, 1), 1);
		close(fd);
	}
	if (on == 'Y')
		SKIP("KVM holds the CPUs: kvm.enable_virt_at_load=1");
}

static struct client_vm *
new_out(void)
{
	return (new_started(code_out, sizeof(code_out), 1));
}

static void
run_out(struct client_vm *v)
{
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
}

static void
kvm_idle(void)
{
	struct client_vm *v;

	need_kvm();
	v = new_out();
	run_out(v);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
}

/* KVM was first: CREATE is EBUSY, and KVM's guest does not notice. */
static void
kvm_first(void)
{
	uint8_t *mem;
	struct vm_create_params vcp;
	int i;

	need_kvm();
	mem = map(CLIENT_MIB);
	CHECK_EQ(kvm_make(), 0);
	fill_create(&vcp, 0, mem, CLIENT_MIB);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(client_ioc_create(conform_fd, &vcp), EBUSY);
		CHECK_EQ(vm_count(), 0);
		kvm_run();
	}
	CHECK_EQ(client_ioc_create(conform_fd, &vcp), EBUSY);
	kvm_end();
	for (i = 0; i < 400; i++) {
		if (client_ioc_create(conform_fd, &vcp) != EBUSY)
			break;
		pause_ms(5);
	}
	CHECK_EQ(vm_count(), 1);
	CHECK_EQ(client_ioc_term(conform_fd, vcp.vcp_id), 0);
	run_out(new_out());
	unmap(mem, CLIENT_MIB);
}

/* We were first: KVM is refused, and has the CPUs when we have ended. */
static void
kvm_second(void)
{
	struct client_vm *v[4], *w;
	size_t i;

	need_kvm();
	v[0] = new_out();
	run_out(v[0]);
	w = spin_on(-1);
	for (i = 1; i < NELEM(v); i++) {
		CHECK_EQ(kvm_make(), EBUSY);
		kvm_end();
		run_out(v[0]);
		v[i] = new_out();
		run_out(v[i]);
	}
	ticks_on(w);
	spin_end(w);
	for (i = 0; i < NELEM(v); i++)
		CHECK_EQ(client_ioc_term(v[i]->fd, v[i]->id), 0);
	CHECK_EQ(vm_count(), 0);
	CHECK_EQ(kvm_make(), 0);
	kvm_run();
	kvm_end();
}

const struct clause ioctl_cpus[] = {
	ROW("B1.migrate", "a VCPU on one CPU after the other keeps its state",
	    BEYOND, migrate),
	ROW("B1.swap", "two VCPUs that change places", BEYOND, two),
	ROW("B1.swap-four", "so do four", BEYOND, four),
	ROW("3.0.offline", "a CPU goes offline under its VCPUs, and comes "
	    "back", BEYOND, offline),
	ROW("3.0.offline-create", "VMs are created while a CPU is offline",
	    BEYOND, offline_create),
	ROW("3.0.offline-term", "the last VM ends while its CPU is offline",
	    BEYOND, offline_term),
	ROW("3.0.offline-again", "a CPU comes and goes under running VCPUs",
	    BEYOND, offline_again),
	ROW("F27.kvm-idle", "an idle KVM is no obstacle", FIX, kvm_idle),
	ROW("F27.kvm-first", "while KVM has a VM CREATE is EBUSY, nothing "
	    "else happens", FIX, kvm_first),
	ROW("F27.kvm-second", "while we have a VM KVM gets EBUSY", FIX,
	    kvm_second),
	CLAUSE_END
};
