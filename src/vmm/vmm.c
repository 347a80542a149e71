/* SPDX-License-Identifier: ISC */
/*
 * vmm.c - the device: attach, open, close and the eleven ioctls. No hardware
 * here, no guest: find the machine, find the VCPU, make one call, let go.
 */
#include <errno.h>
#include <string.h>

#include <insn.h>

#include "vmm.h"

/* An open file: only its identity counts. */
struct vmm_file {
	int	unused;
};

static const struct hv_ops *const vendors[] = { &svm_ops, &vmx_ops };

const struct hv_ops *hv;		/* NULL: no vendor; set at attach */

static struct host_mutex vmm_lock;
static struct vm *vmm_vms;		/* lock; newest first */
static uint32_t vmm_last_id;		/* lock */
static unsigned int vmm_users;		/* lock; VMs, listed or dying */
static int *vmm_cpu_error;		/* of cpu_enable, by CPU; -1: off */

/*
 * VMM mode of the CPUs. The first VM turns it on, on every CPU or none; the
 * last one turns it off.
 */

static void
vmm_enable_this(void *arg)
{
	unsigned int cpu = host_cpu_self();

	(void)arg;
	vmm_cpu_error[cpu] = hv->cpu_enable(cpu);
}

static void
vmm_disable_this(void *arg)
{
	unsigned int cpu = host_cpu_self();

	(void)arg;
	if (vmm_cpu_error[cpu] == 0)
		hv->cpu_disable(cpu);
	vmm_cpu_error[cpu] = -1;
}

/* Turn VMM mode off wherever it is on, and free what the CPUs needed. */
static void
vmm_cpus_off(unsigned int prepared)
{
	unsigned int cpu;

	host_cpu_call_all(vmm_disable_this, NULL);
	for (cpu = 0; cpu < prepared; cpu++)
		hv->cpu_release(cpu);
	host_free(vmm_cpu_error);
	vmm_cpu_error = NULL;
}

/*
 * Turn VMM mode on, on every CPU.
 * Locks: vmm_lock held.
 * Returns: ENOMEM; EBUSY: another hypervisor owns a CPU; EIO: a CPU refuses.
 * Everything is off again then.
 */
static int
vmm_cpus_on(void)
{
	unsigned int cpu, n = host_cpu_count(), prepared;
	int error = 0;

	vmm_cpu_error = host_alloc(n * sizeof(*vmm_cpu_error));
	if (vmm_cpu_error == NULL)
		return (ENOMEM);
	for (cpu = 0; cpu < n; cpu++)
		vmm_cpu_error[cpu] = -1;
	for (prepared = 0; prepared < n; prepared++) {
		error = hv->cpu_prepare(prepared);
		if (error != 0)
			goto fail;
	}
	host_cpu_call_all(vmm_enable_this, NULL);
	for (cpu = 0; cpu < n; cpu++) {
		if (vmm_cpu_error[cpu] <= 0)
			continue;
		error = vmm_cpu_error[cpu];
		vmm_log("cpu%u: %s", cpu, error == EBUSY ?
		    "another hypervisor is using it; unload that first" :
		    "cannot enter VMM mode");
	}
	if (error == 0)
		return (0);
fail:
	vmm_cpus_off(prepared);
	return (error);
}

/* book: vmm-start */
/* Count one more VM. Returns: errno of vmm_cpus_on(). */
static int
vmm_start(void)
{
	int error = 0;

	host_cpus_hold();
	host_mutex_lock(&vmm_lock);
	if (vmm_users == 0)
		error = vmm_cpus_on();
	if (error == 0)
		vmm_users++;
	host_mutex_unlock(&vmm_lock);
	host_cpus_release();
	return (error);
}

/* Count one less. */
static void
vmm_stop(void)
{
	host_cpus_hold();
	host_mutex_lock(&vmm_lock);
	if (--vmm_users == 0)
		vmm_cpus_off(host_cpu_count());
	host_mutex_unlock(&vmm_lock);
	host_cpus_release();
}
/* book: end */

/*
 * VMs: the list holds one reference, each ioctl in progress another.
 */

/* May the caller act on this VM? decisions.md L2. */
static bool
vm_allowed(const struct vm *vm, const struct vmm_file *file)
{
	struct host_caller who;

	if (vm->owner == file)
		return (true);
	host_caller(&who);
	return (vm->uid == who.uid || who.admin);
}

/*
 * Find a VM and hold it.
 * Returns: ENOENT: no such id; EPERM: not the caller's.
 */
static int
vm_get(struct vmm_file *file, uint32_t id, struct vm **vmp)
{
	struct vm *vm;
	int error = 0;

	host_mutex_lock(&vmm_lock);
	for (vm = vmm_vms; vm != NULL && vm->id != id; vm = vm->next)
		continue;
	if (vm == NULL)
		error = ENOENT;
	else if (!vm_allowed(vm, file))
		error = EPERM;
	else
		vm->refs++;
	host_mutex_unlock(&vmm_lock);
	*vmp = vm;
	return (error);
}

#define VM_NEWEST	(1ULL << 32)	/* above every id */

/*
 * The first VM of those older than `id` that this open file created, or anyone
 * if NULL, held. NULL: there is none.
 */
static struct vm *
vm_get_below(uint64_t id, const struct vmm_file *file)
{
	struct vm *vm;

	host_mutex_lock(&vmm_lock);
	for (vm = vmm_vms; vm != NULL; vm = vm->next)
		if (vm->id < id && (file == NULL || vm->owner == file))
			break;
	if (vm != NULL)
		vm->refs++;
	host_mutex_unlock(&vmm_lock);
	return (vm);
}

/* book: vm-put */
/* Let go of a VM; the last one frees it. */
static void
vm_put(struct vm *vm)
{
	unsigned int refs;

	host_mutex_lock(&vmm_lock);
	refs = --vm->refs;
	host_mutex_unlock(&vmm_lock);
	if (refs == 0) {
		vm_free(vm);
		vmm_stop();
	}
}
/* book: end */

/* Take the VM off the list; false if somebody else did. */
static bool
vm_unlist(struct vm *vm)
{
	struct vm **p;
	bool found;

	host_mutex_lock(&vmm_lock);
	for (p = &vmm_vms; *p != NULL && *p != vm; p = &(*p)->next)
		continue;
	found = *p != NULL;
	if (found)
		*p = vm->next;
	host_mutex_unlock(&vmm_lock);
	return (found);
}

/* book: vm-terminate */
/*
 * End a VM: unlist it, stop its VCPUs, drop the list's reference. A thread
 * inside RUN holds another, and frees the VM when it leaves.
 * Returns: ENOENT: it had ended already.
 */
static int
vm_terminate(struct vm *vm)
{
	unsigned int i;

	if (!vm_unlist(vm))
		return (ENOENT);
	for (i = 0; i < vm->ncpus; i++) {
		(void)vcpu_move(vm->vcpu[i], VCPU_EVENT_TERM);
		vcpu_kick(vm->vcpu[i]);
	}
	vm_put(vm);
	return (0);
}
/* book: end */

/*
 * End every VM that this open file created, or every VM if NULL.
 * Returns: how many.
 */
static unsigned int
vmm_terminate_all(const struct vmm_file *file)
{
	unsigned int n;
	struct vm *vm;

	for (n = 0; (vm = vm_get_below(VM_NEWEST, file)) != NULL; n++) {
		(void)vm_terminate(vm);
		vm_put(vm);
	}
	return (n);
}

/*
 * The eleven ioctls. Each gets its parameters by value, in *arg; they are
 * copied back when it returns 0 and the request says so. vmm_ioctl() has found
 * and holds what the request names.
 */
struct vmm_target {
	struct vmm_file	*file;
	struct vm	*vm;
	struct vcpu	*vcpu;
};

/*
 * VMM_IOC_CREATE: a VM with its memory and VCPUs, all STOPPED.
 * Returns: EIO: a CPU does not enter VMM mode; EBUSY: another hypervisor is
 * using one; EINVAL: memory ranges (vm_ranges_check), then vcp_ncpus not
 * 1..64; ENOMEM: memory, the memory-lock limit, or a range not all mapped.
 */
static int
vmm_ioc_create(const struct vmm_target *t, void *arg)
{
	struct vm_create_params *vcp = arg;
	struct host_caller who;
	struct vm *vm;
	uint64_t pages;
	int error;

	error = vmm_start();
	if (error != 0)
		return (error);
	error = vm_ranges_check(vcp, &pages);
	if (error == 0 && (vcp->vcp_ncpus == 0 ||
	    vcp->vcp_ncpus > VMM_MAX_VCPUS_PER_VM))
		error = EINVAL;
	host_caller(&who);
	if (error == 0)
		error = vm_create(vcp, pages, &who, &vm);
	if (error != 0) {
		vmm_stop();
		return (error);
	}
	vm->owner = t->file;
	host_mutex_lock(&vmm_lock);
	vcp->vcp_id = vm->id = ++vmm_last_id;
	vm->next = vmm_vms;
	vmm_vms = vm;
	host_mutex_unlock(&vmm_lock);
	return (0);
}

/*
 * VMM_IOC_RUN: run the guest until something is for the client.
 * Returns: ENOENT, EPERM; EBUSY: the VCPU is not STOPPED; EFAULT: vrp_exit;
 * and what ends the VCPU: EIO, EINVAL, EFAULT, ENOMEM (vcpu_run).
 */
static int
vmm_ioc_run(const struct vmm_target *t, void *arg)
{
	return (vcpu_run(t->vcpu, arg));
}

/* One row of INFO. */
static void
vm_info(const struct vm *vm, struct vm_info_result *r)
{
	unsigned int i;

	r->vir_memory_size = vm->pages >> (20 - PAGE_SHIFT_4K);
	r->vir_used_size = vm->npt.pages << PAGE_SHIFT_4K;
	r->vir_ncpus = vm->ncpus;
	for (i = 0; i < vm->ncpus; i++)
		r->vir_vcpu_state[i] = ATOMIC_GET(&vm->vcpu[i]->state);
	r->vir_creator_pid = vm->pid;
	r->vir_id = vm->id;
	memcpy(r->vir_name, vm->name, sizeof(r->vir_name));
}

/*
 * Fill `rows`, if it is not NULL, with the VMs the caller may act on.
 * Locks: takes vmm_lock.
 * Returns: their number, at most `max` if rows are filled.
 */
static size_t
vmm_list(const struct vmm_file *file, struct vm_info_result *rows, size_t max)
{
	struct vm *vm;
	size_t n = 0;

	host_mutex_lock(&vmm_lock);
	for (vm = vmm_vms; vm != NULL; vm = vm->next) {
		if (!vm_allowed(vm, file))
			continue;
		if (rows != NULL && n == max)
			break;
		if (rows != NULL)
			vm_info(vm, &rows[n]);
		n++;
	}
	host_mutex_unlock(&vmm_lock);
	return (n);
}

/*
 * VMM_IOC_INFO: the VMs, newest first. Too small a buffer gets none, and the
 * size that is needed.
 * Returns: ENOMEM; EFAULT: vip_info.
 */
static int
vmm_ioc_info(const struct vmm_target *t, void *arg)
{
	struct vm_info_params *vip = arg;
	struct vm_info_result *rows;
	size_t n, bytes;
	int error;

	n = vmm_list(t->file, NULL, 0);
	bytes = n * sizeof(*rows);
	vip->vip_info_ct = 0;
	if (vip->vip_size < bytes) {
		vip->vip_size = bytes;
		return (0);
	}
	if (n == 0)
		return (0);
	rows = host_alloc(bytes);
	if (rows == NULL)
		return (ENOMEM);
	n = vmm_list(t->file, rows, n);
	error = host_copyout(rows, (uintptr_t)vip->vip_info,
	    n * sizeof(*rows));
	host_free(rows);
	if (error == 0)
		vip->vip_info_ct = n;
	return (error);
}

/*
 * VMM_IOC_TERM: end a VM. A VCPU inside RUN leaves with VM_EXIT_TERMINATED.
 * Returns: ENOENT, EPERM.
 */
static int
vmm_ioc_term(const struct vmm_target *t, void *arg)
{
	(void)arg;
	return (vm_terminate(t->vm));
}

/*
 * VMM_IOC_RESETCPU: a VCPU as new, with these registers.
 * Returns: ENOENT, EPERM; EBUSY: not STOPPED; EIO: the CPU cannot enter that
 * state (vcpu_reset).
 */
static int
vmm_ioc_resetcpu(const struct vmm_target *t, void *arg)
{
	struct vm_resetcpu_params *vrp = arg;

	return (vcpu_reset(t->vcpu, &vrp->vrp_init_state));
}

/*
 * VMM_IOC_INTR: the level of the client's interrupt controller.
 * Returns: ENOENT, EPERM.
 */
static int
vmm_ioc_intr(const struct vmm_target *t, void *arg)
{
	struct vm_intr_params *vip = arg;

	ATOMIC_SET(&t->vcpu->intr, vip->vip_intr);
	if (vip->vip_intr != 0)
		vcpu_kick(t->vcpu);
	return (0);
}

/*
 * VMM_IOC_READREGS: the groups of vrwp_mask; the others are left alone.
 * Returns: ENOENT, EPERM; EBUSY: RUNNING or REQTERM.
 */
static int
vmm_ioc_readregs(const struct vmm_target *t, void *arg)
{
	struct vm_rwregs_params *vrwp = arg;

	regs_read(t->vcpu, vrwp->vrwp_mask, &vrwp->vrwp_regs);
	return (0);
}

/*
 * VMM_IOC_WRITEREGS: the groups of vrwp_mask.
 * Returns: ENOENT, EPERM; EBUSY: not STOPPED; EINVAL: a register cannot have
 * that value (regs_check), nothing was written.
 */
static int
vmm_ioc_writeregs(const struct vmm_target *t, void *arg)
{
	struct vm_rwregs_params *vrwp = arg;

	return (regs_write(t->vcpu, vrwp->vrwp_mask, &vrwp->vrwp_regs));
}

/*
 * VMM_IOC_READVMPARAMS: the pvclock of a VCPU, in any state.
 * Returns: ENOENT, EPERM.
 */
static int
vmm_ioc_readvmparams(const struct vmm_target *t, void *arg)
{
	struct vm_rwvmparams_params *vpp = arg;

	if (vpp->vpp_mask & VM_RWVMPARAMS_PVCLOCK_VERSION)
		vpp->vpp_pvclock_version = t->vcpu->pvclock_version;
	if (vpp->vpp_mask & VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA)
		vpp->vpp_pvclock_system_gpa = t->vcpu->pvclock_gpa;
	return (0);
}

/*
 * VMM_IOC_WRITEVMPARAMS: version first, then the address, which is judged as
 * a guest's write of MSR 0x4b564d01 would be.
 * Returns: ENOENT, EPERM; EINVAL: the address; EFAULT: the client no longer
 * maps its memory; ENOMEM. Nothing changed then.
 */
static int
vmm_ioc_writevmparams(const struct vmm_target *t, void *arg)
{
	struct vm_rwvmparams_params *vpp = arg;
	uint32_t version = t->vcpu->pvclock_version;
	int error = 0;

	if (vpp->vpp_mask & VM_RWVMPARAMS_PVCLOCK_VERSION)
		t->vcpu->pvclock_version = vpp->vpp_pvclock_version;
	if (vpp->vpp_mask & VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA)
		error = pvclock_set(t->vcpu, vpp->vpp_pvclock_system_gpa);
	if (error != 0)
		t->vcpu->pvclock_version = version;
	return (error);
}

/*
 * VMM_IOC_MPROTECT_EPT: what the guest may do with a part of its memory.
 * Returns: ENOENT, EPERM; EBUSY: the VCPU is not STOPPED; EINVAL, EFAULT,
 * ENOMEM as vm_protect().
 */
static int
vmm_ioc_mprotect(const struct vmm_target *t, void *arg)
{
	return (vm_protect(t->vm, arg));
}

/*
 * Dispatch. Linux and BSD encode the direction of a request differently; its
 * group, number and size decide (decisions.md C1).
 */

/*
 * What a request needs before it is called, each more than the one before:
 * its VM, its VCPU, vcpu.lock, a VCPU that is not inside RUN, a STOPPED one.
 */
enum vmm_need { NOTHING, VM, VCPU, LOCKED, IDLE, STOPPED };

struct vmm_request {
	uint16_t	size;		/* 0: no such number */
	uint8_t		need;		/* enum vmm_need */
	bool		out;		/* parameters are copied back */
	int		(*fn)(const struct vmm_target *, void *);
};

#define IN(type, need, fn)	{ sizeof(struct type), need, false, fn }
#define OUT(type, need, fn)	{ sizeof(struct type), need, true, fn }

static const struct vmm_request vmm_requests[] = {
	[1] = OUT(vm_create_params, NOTHING, vmm_ioc_create),
	[2] = OUT(vm_run_params, VCPU, vmm_ioc_run),
	[3] = OUT(vm_info_params, NOTHING, vmm_ioc_info),
	[4] = IN(vm_terminate_params, VM, vmm_ioc_term),
	[5] = IN(vm_resetcpu_params, STOPPED, vmm_ioc_resetcpu),
	[6] = IN(vm_intr_params, VCPU, vmm_ioc_intr),
	[7] = OUT(vm_rwregs_params, IDLE, vmm_ioc_readregs),
	[8] = IN(vm_rwregs_params, STOPPED, vmm_ioc_writeregs),
	[9] = OUT(vm_rwvmparams_params, LOCKED, vmm_ioc_readvmparams),
	[10] = IN(vm_rwvmparams_params, LOCKED, vmm_ioc_writevmparams),
	[11] = IN(vm_mprotect_ept_params, STOPPED, vmm_ioc_mprotect),
};

#define IOC_NR(cmd)	((cmd) & 0xff)
#define IOC_GROUP(cmd)	((cmd) >> 8 & 0xff)
#define IOC_LEN(cmd)	((cmd) >> 16 & 0x3fff)

static const struct vmm_request *
vmm_request(uint32_t cmd)
{
	const struct vmm_request *r;

	if (IOC_GROUP(cmd) != 'V' ||
	    IOC_NR(cmd) >= sizeof(vmm_requests) / sizeof(vmm_requests[0]))
		return (NULL);
	r = &vmm_requests[IOC_NR(cmd)];
	return (r->size != 0 && r->size == IOC_LEN(cmd) ? r : NULL);
}

/*
 * Is a thread inside RUN, and the owner of the registers?
 * Locks: v->lock held.
 */
static bool
vcpu_inside(const struct vcpu *v)
{
	return (v->state == VCPU_STATE_RUNNING ||
	    v->state == VCPU_STATE_REQTERM);
}

/* book: vmm-call-vcpu */
/* Call a request on its VCPU, under the lock if it needs that. */
static int
vmm_call_vcpu(const struct vmm_request *r, struct vmm_target *t, uint32_t id,
    void *arg)
{
	struct vcpu *v;
	int error;

	if (id >= t->vm->ncpus)
		return (ENOENT);
	t->vcpu = v = t->vm->vcpu[id];
	if (r->need < LOCKED)
		return (r->fn(t, arg));
	host_mutex_lock(&v->lock);
	if ((r->need == STOPPED && v->state != VCPU_STATE_STOPPED) ||
	    (r->need == IDLE && vcpu_inside(v)))
		error = EBUSY;
	else
		error = r->fn(t, arg);
	host_mutex_unlock(&v->lock);
	return (error);
}
/* book: end */

/* Call a request: `id` is what its parameters begin with, VM then VCPU. */
static int
vmm_call(const struct vmm_request *r, struct vmm_file *file,
    const uint32_t id[2], void *arg)
{
	struct vmm_target t = { .file = file };
	uint64_t begin = insn_rdtsc();
	int error;

	if (r->need == NOTHING)
		return (r->fn(&t, arg));
	error = vm_get(file, id[0], &t.vm);
	if (error != 0)
		return (error);
	error = r->need == VM ? r->fn(&t, arg) :
	    vmm_call_vcpu(r, &t, id[1], arg);
	if (t.vcpu != NULL)
		trace_ioctl(t.vcpu, r - vmm_requests, begin, error);
	vm_put(t.vm);
	return (error);
}

/* A CREATE whose answer the client cannot read never happened. */
static void
vmm_undo_create(struct vmm_file *file, uint32_t id)
{
	struct vm *vm;

	if (vm_get(file, id, &vm) != 0)
		return;
	(void)vm_terminate(vm);
	vm_put(vm);
	host_mutex_lock(&vmm_lock);
	if (vmm_last_id == id)
		vmm_last_id--;
	host_mutex_unlock(&vmm_lock);
}

/* Parameters of any request, and of those that are called often. */
union vmm_large {
	uint32_t			id[2];
	struct vm_create_params		create;
	struct vm_resetcpu_params	reset;
	struct vm_rwregs_params		regs;
};
union vmm_small {
	uint32_t			id[2];
	struct vm_run_params		run;
};

/* vmm_ioctl() with room for the parameters at `p`. */
static int
vmm_serve(const struct vmm_request *r, struct vmm_file *file, uint64_t arg,
    void *p)
{
	const struct vm_create_params *vcp = p;
	const uint32_t *id = p;
	bool create = r->fn == vmm_ioc_create;
	int error;

	error = host_copyin(arg, p, r->size);
	if (error != 0)
		return (error);
	error = vmm_call(r, file, id, p);
	if (error == 0 && r->out) {
		error = host_copyout(p, arg, r->size);
		if (error != 0 && create)
			vmm_undo_create(file, vcp->vcp_id);
	}
	host_trace_ioctl(r - vmm_requests, r->need != NOTHING ? id[0] :
	    create && error == 0 ? vcp->vcp_id : 0, error);
	return (error);
}

/* A host may clear what is on the stack, so this is not for RUN. */
static int __attribute__((__noinline__))
vmm_serve_large(const struct vmm_request *r, struct vmm_file *file,
    uint64_t arg)
{
	union vmm_large p;

	return (vmm_serve(r, file, arg, &p));
}

/*
 * An ioctl of a client.
 * Locks: none held.
 * Returns: ENOTTY: no such request; EFAULT: `arg` cannot be read, or written
 * where the request returns something; else the request's own.
 */
int
vmm_ioctl(struct vmm_file *file, uint32_t cmd, uint64_t arg)
{
	const struct vmm_request *r = vmm_request(cmd);
	union vmm_small p;

	if (r == NULL)
		return (ENOTTY);
	if (r->size > sizeof(p))
		return (vmm_serve_large(r, file, arg));
	return (vmm_serve(r, file, arg, &p));
}

/* The device is opened. Returns: ENODEV: no vendor attached; ENOMEM. */
int
vmm_open(struct vmm_file **file)
{
	if (hv == NULL)
		return (ENODEV);
	*file = host_alloc(sizeof(**file));
	return (*file == NULL ? ENOMEM : 0);
}

/* The last descriptor of an open file is gone: its VMs end (L1). */
void
vmm_close(struct vmm_file *file)
{
	(void)vmm_terminate_all(file);
	host_free(file);
}

/*
 * Find the vendor of this CPU and say which.
 * Returns: ENODEV: none, the log says why; ENOMEM.
 */
int
vmm_attach(void)
{
	const char *why = "the CPU has neither SVM nor VMX";
	unsigned int i;
	int error = ENODEV;

	host_mutex_init(&vmm_lock, "vmm", RANK_VMM);
	for (i = 0; i < sizeof(vendors) / sizeof(vendors[0]); i++) {
		error = vendors[i]->probe(&why);
		if (error == 0)
			break;
	}
	if (error != 0) {
		host_log(false, "vmm0: not attached: %s", why);
		return (error);
	}
	error = vendors[i]->attach();
	if (error != 0)
		return (error);
	hv = vendors[i];
	fpu_attach();
	cpuid_attach();
	host_log(false, "vmm0 at mainbus0: %s", hv->banner);
	return (0);
}

/* No file is open and no VM is left. */
void
vmm_detach(void)
{
	if (hv != NULL) {
		HOST_ASSERT(vmm_users == 0);
		hv->detach();
	}
	hv = NULL;
	host_mutex_destroy(&vmm_lock);
}

/*
 * A CPU comes online; on that CPU, interrupts off.
 * Returns: EBUSY, EIO: VMs exist and it cannot enter VMM mode.
 */
int
vmm_cpu_online(unsigned int cpu)
{
	if (vmm_cpu_error == NULL)
		return (0);
	vmm_cpu_error[cpu] = hv->cpu_enable(cpu);
	return (vmm_cpu_error[cpu]);
}

/* A CPU goes offline; on that CPU, interrupts off. */
void
vmm_cpu_offline(unsigned int cpu)
{
	(void)cpu;
	if (vmm_cpu_error != NULL)
		vmm_disable_this(NULL);
}

/* The machine goes to sleep: every VM ends, VMM mode goes off with the last. */
void
vmm_suspend(void)
{
	if (hv == NULL)
		return;
	if (vmm_terminate_all(NULL) != 0)
		host_log(false, "vmm0: suspend: all VMs have ended");
}

/* Call `fn` for each VCPU, of the newest VM first. No lock is held then. */
void
vmm_visit(void (*fn)(struct vcpu *, vmm_put *, void *), vmm_put *put,
    void *arg)
{
	uint64_t below = VM_NEWEST;
	struct vm *vm;
	unsigned int i;

	while ((vm = vm_get_below(below, NULL)) != NULL) {
		below = vm->id;
		for (i = 0; i < vm->ncpus; i++)
			fn(vm->vcpu[i], put, arg);
		vm_put(vm);
	}
}

/* Views: of each VCPU of each VM. That of the trace is in trace.c. */

static void
view_vms(struct vcpu *v, vmm_put *put, void *arg)
{
	struct vm *vm = v->vm;
	uint64_t n;
	int i;

	if (v->id == 0) {
		put(arg, "vm", NULL, vm->id);
		put(arg, "pid", NULL, vm->pid);
		put(arg, "uid", NULL, vm->uid);
		put(arg, "pages", NULL, vm->pages);
		host_mutex_lock(&vm->lock);
		put(arg, "pinned", NULL, vm->npt.pages);
		put(arg, "tables", NULL, vm->npt.tables);
		host_mutex_unlock(&vm->lock);
	}
	put(arg, "vcpu", NULL, v->id);
	put(arg, "state", NULL, ATOMIC_GET(&v->state));
	for (i = 0; i < VMEXIT_NKINDS; i++) {
		n = ATOMIC_GET(&v->exits[i]);
		if (n != 0)
			put(arg, vmexit_name[i], NULL, n);
	}
}

/* One that runs has only "running". */
static void
view_vcpus(struct vcpu *v, vmm_put *put, void *arg)
{
	put(arg, "vm", NULL, v->vm->id);
	put(arg, "vcpu", NULL, v->id);
	host_mutex_lock(&v->lock);
	if (vcpu_inside(v))
		put(arg, "running", NULL, 1);
	else
		hv->dump(v, put, arg);
	host_mutex_unlock(&v->lock);
}

/* Only VCPUs that were refused an entry, or a RESETCPU, and do not run. */
static void
view_explain(struct vcpu *v, vmm_put *put, void *arg)
{
	struct entry_broken b = { NULL, 0 };

	host_mutex_lock(&v->lock);
	if (!vcpu_inside(v))
		b = v->broken;
	host_mutex_unlock(&v->lock);
	if (b.rule == NULL)
		return;
	put(arg, "vm", NULL, v->vm->id);
	put(arg, "vcpu", NULL, v->id);
	put(arg, "rule", b.rule->id, 0);
	put(arg, "field", b.rule->field, 0);
	put(arg, "value", NULL, b.value);
	put(arg, "allowed", b.rule->allowed, 0);
	put(arg, "section", b.rule->section, 0);
}

#define V(name)	#name,
const char *const vmm_views[VMM_NVIEWS] = { VMM_VIEWS(V) };
#undef V

/* Tell what view `n` has of every VM. */
void
vmm_view(unsigned int n, vmm_put *put, void *arg)
{
#define V(name)	view_##name,
	static void (*const views[])(struct vcpu *, vmm_put *, void *) = {
		VMM_VIEWS(V)
	};
#undef V

	vmm_visit(views[n], put, arg);
}
