/* SPDX-License-Identifier: ISC */
/*
 * check_vmm.c - the device: attach, open files, dispatch of the ioctls, who
 * may do what, and the order in which errors are found.
 */
#include <stdio.h>

#include "unit.h"

#define BAD_VA		0x66660000ULL	/* never mapped */
#define KERNEL_VA	0xffff800000000000ULL

/* Every request: what all of them have in common is tested by table. */
static const struct request {
	const char	*name;
	uint32_t	 cmd;
	size_t		 size;
	bool		 out;		/* copied back */
	bool		 vm, vcpu;	/* ids at offsets 0 and 4 */
} requests[] = {
	{ "CREATE", VMM_IOC_CREATE, 1280, true, false, false },
	{ "RUN", VMM_IOC_RUN, 32, true, true, true },
	{ "INFO", VMM_IOC_INFO, 24, true, false, false },
	{ "TERM", VMM_IOC_TERM, 4, false, true, false },
	{ "RESETCPU", VMM_IOC_RESETCPU, 576, false, true, true },
	{ "INTR", VMM_IOC_INTR, 12, false, true, true },
	{ "READREGS", VMM_IOC_READREGS, 584, true, true, true },
	{ "WRITEREGS", VMM_IOC_WRITEREGS, 584, false, true, true },
	{ "READVMPARAMS", VMM_IOC_READVMPARAMS, 32, true, true, true },
	{ "WRITEVMPARAMS", VMM_IOC_WRITEVMPARAMS, 32, false, true, true },
	{ "MPROTECT_EPT", VMM_IOC_MPROTECT_EPT, 32, false, true, true },
};
#define NREQUESTS	((int)(sizeof(requests) / sizeof(requests[0])))

/* A request with these ids and otherwise harmless parameters. */
static int
call(const struct request *r, uint32_t id, uint32_t vcpu, uint32_t cmd)
{
	union {
		uint8_t				bytes[1280];
		uint32_t			ids[2];
		struct vm_run_params		run;
		struct vm_resetcpu_params	reset;
		struct vm_mprotect_ept_params	protect;
		struct vm_create_params		create;
	} p;

	memset(&p, 0, sizeof(p));
	if (r->cmd == VMM_IOC_CREATE) {
		p.create.vcp_nmemranges = 1;
		p.create.vcp_ncpus = 1;
		p.create.vcp_memranges[0].vmr_va = GUEST_VA;
		p.create.vcp_memranges[0].vmr_size = MIB;
	}
	if (r->vm)
		p.ids[0] = id;
	if (r->vcpu)
		p.ids[1] = vcpu;
	if (r->cmd == VMM_IOC_RUN) {
		p.run.vrp_irq = NONE;
		p.run.vrp_exit = (void *)(uintptr_t)unit_exit_va();
	}
	if (r->cmd == VMM_IOC_RESETCPU)
		unit_real(&p.reset.vrp_init_state);
	if (r->cmd == VMM_IOC_MPROTECT_EPT) {
		p.protect.vmep_size = PAGE_SIZE_4K;
		p.protect.vmep_prot = 7;
	}
	return (unit_ioctl(cmd, &p, r->size));
}

/* --- Attach --- */

START_TEST(attach_banner)
{
	unit_attach();
	ck_assert(fake_log_has(unit_intel ? "at mainbus0: VMX/EPT" :
	    "at mainbus0: SVM/RVI"));
	unit_detach();
	ck_assert_uint_eq(fake_kernel_pages(), 0);
}
END_TEST

/* No vendor: attach fails, so does every open, and the log says why. */
static void
attach_fails(const char *why)
{
	struct vmm_file *f;

	ck_assert_int_eq(vmm_attach(), ENODEV);
	ck_assert_msg(fake_log_has(why), "log: %s", fake_log());
	ck_assert_int_eq(vmm_open(&f), ENODEV);
	vmm_suspend();
	vmm_detach();
}

START_TEST(attach_no_svm)
{
	uint32_t r[4];

	fake_cpuid_get(0x80000001, 0, r);
	fake_cpuid_set(0x80000001, 0, r[0], r[1], r[2] & ~4u, r[3]);
	attach_fails("neither SVM nor VMX");
}
END_TEST

START_TEST(attach_no_leaf)
{
	uint32_t r[4];

	fake_cpuid_get(0x80000000, 0, r);
	fake_cpuid_set(0x80000000, 0, 0x80000008, r[1], r[2], r[3]);
	attach_fails("neither SVM nor VMX");
}
END_TEST

START_TEST(attach_firmware)
{
	fake_msr_set(0, FAKE_MSR_VM_CR, 0x10);
	attach_fails("disabled by firmware");
}
END_TEST

START_TEST(attach_no_npt)
{
	fake_svm_set(0, 16);
	attach_fails("nested paging");
}
END_TEST

START_TEST(attach_no_asid)
{
	fake_svm_set(FAKE_SVM_NP, 1);
	attach_fails("ASID");
}
END_TEST

START_TEST(attach_no_memory)
{
	struct vmm_file *f;

	for (int n = 1; n <= (unit_intel ? 2 : 3); n++) {
		fake_fail_at(n);
		ck_assert_int_eq(vmm_attach(), ENOMEM);
		fake_fail_at(0);
		ck_assert_int_eq(vmm_open(&f), ENODEV);
		vmm_detach();
		ck_assert_uint_eq(fake_kernel_pages(), 0);
	}
}
END_TEST

START_TEST(open_no_memory)
{
	struct vmm_file *f;

	fake_fail_at(1);
	ck_assert_int_eq(vmm_open(&f), ENOMEM);
}
END_TEST

/* --- Dispatch --- */

START_TEST(unknown_commands)
{
	static const uint32_t bad[] = {
		0, 0xffffffff, _IO('V', 1), _IO('V', 0), _IO('V', 12),
		_IOWR('V', 12, struct vm_run_params),
		_IOWR('V', 0, struct vm_run_params),
		_IOWR('V', 255, struct vm_run_params),
		_IOWR('W', 2, struct vm_run_params),
		_IOWR('V', 2, struct vm_info_params),
		_IOWR('V', 1, struct vm_run_params),
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(vmm_ioctl(unit_file, bad[i], unit_arg()),
		    ENOTTY);
}
END_TEST

/* An unknown request is told before its argument is looked at. */
START_TEST(unknown_before_efault)
{
	ck_assert_int_eq(vmm_ioctl(unit_file, _IO('V', 99), BAD_VA), ENOTTY);
}
END_TEST

/* C1: both encodings of the direction bits, for every request. */
START_TEST(c1_both_encodings)
{
	const struct request *r = &requests[_i];
	uint32_t id = unit_real_vm(), nr = r->cmd & 0x1fffffff;

	fake_step_default(fake_do_exit, 0x7f);
	ck_assert_int_eq(call(r, id, 0, nr | 0x40000000), 0);
	if (r->cmd == VMM_IOC_TERM)
		id = unit_real_vm();
	ck_assert_int_eq(call(r, id, 0, nr | 0x80000000), 0);
	if (r->cmd == VMM_IOC_TERM)
		id = unit_real_vm();
	ck_assert_int_eq(call(r, id, 0, nr | 0xc0000000), 0);
}
END_TEST

/* The struct itself is not readable: EFAULT, before anything else. */
START_TEST(efault_arg)
{
	const struct request *r = &requests[_i];
	static const uint64_t bad[] = { 0, BAD_VA, KERNEL_VA, UINT64_MAX,
	    FAKE_VA_MAX };
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(vmm_ioctl(unit_file, r->cmd, bad[i]), EFAULT);
}
END_TEST

/* The struct crosses into a page that is not there. */
START_TEST(efault_arg_cut)
{
	const struct request *r = &requests[_i];

	fake_user_map(0x50000000, PAGE_SIZE_4K, 0);
	ck_assert_int_eq(vmm_ioctl(unit_file, r->cmd,
	    0x50001000 - r->size + 1), EFAULT);
}
END_TEST

/*
 * A read-only struct: what has an answer is EFAULT, what has none succeeds.
 */
START_TEST(readonly_arg)
{
	const struct request *r = &requests[_i];
	uint32_t id = unit_real_vm();
	int want = r->out ? EFAULT : 0, error;

	fake_step_default(fake_do_exit, 0x7f);
	if (r->cmd == VMM_IOC_CREATE)
		return;		/* create_copyout */
	fake_user_map(0x50000000, PAGE_SIZE_4K, 0);
	ck_assert_int_eq(call(r, id, 0, r->cmd), 0);
	if (r->cmd == VMM_IOC_TERM) {
		id = unit_real_vm();
		fake_user_write(unit_arg(), &id, sizeof(id));
	}
	memcpy(fake_user_ptr(0x50000000), fake_user_ptr(unit_arg()), r->size);
	fake_user_protect(0x50000000, PAGE_SIZE_4K, false);
	error = vmm_ioctl(unit_file, r->cmd, 0x50000000);
	ck_assert_int_eq(error, want);
}
END_TEST

/* A CREATE whose id the client cannot read never happened: same id again. */
START_TEST(create_copyout)
{
	uint32_t id = unit_create(MIB, 1);

	ck_assert_int_eq(call(&requests[0], 0, 0, VMM_IOC_CREATE), 0);
	fake_user_map(0x50000000, PAGE_SIZE_4K, 0);
	memcpy(fake_user_ptr(0x50000000), fake_user_ptr(unit_arg()), 1280);
	fake_user_protect(0x50000000, PAGE_SIZE_4K, false);
	ck_assert_int_eq(vmm_ioctl(unit_file, VMM_IOC_CREATE, 0x50000000),
	    EFAULT);
	ck_assert_int_eq(unit_term(id + 2), ENOENT);
	ck_assert_uint_eq(unit_create(MIB, 1), id + 2);
}
END_TEST

/* Only an error-free request is copied back. */
START_TEST(no_copyout_on_error)
{
	struct vm_rwregs_params p;

	memset(&p, 0x5a, sizeof(p));
	p.vrwp_vm_id = 77;
	ck_assert_int_eq(IOCTL(VMM_IOC_READREGS, &p), ENOENT);
	ck_assert_uint_eq(p.vrwp_regs.vrs_gprs[0], 0x5a5a5a5a5a5a5a5a);
}
END_TEST

START_TEST(enoent_vm)
{
	const struct request *r = &requests[_i];

	if (r->vm)
		ck_assert_int_eq(call(r, 1, 0, r->cmd), ENOENT);
	(void)unit_create(MIB, 1);
	if (r->vm) {
		ck_assert_int_eq(call(r, 0, 0, r->cmd), ENOENT);
		ck_assert_int_eq(call(r, 2, 0, r->cmd), ENOENT);
		ck_assert_int_eq(call(r, UINT32_MAX, 0, r->cmd), ENOENT);
	}
}
END_TEST

START_TEST(enoent_vcpu)
{
	const struct request *r = &requests[_i];
	uint32_t id = unit_create(MIB, 2);

	if (r->vcpu) {
		ck_assert_int_eq(call(r, id, 2, r->cmd), ENOENT);
		ck_assert_int_eq(call(r, id, 64, r->cmd), ENOENT);
		ck_assert_int_eq(call(r, id, UINT32_MAX, r->cmd), ENOENT);
	}
}
END_TEST

/* L2: another user's file gets EPERM, but ENOENT for an id there is not. */
START_TEST(l2_eperm)
{
	const struct request *r = &requests[_i];
	uint32_t id = unit_real_vm();
	struct vmm_file *mine = unit_file, *other;

	fake_step_default(fake_do_exit, 0x7f);
	ck_assert_int_eq(vmm_open(&other), 0);
	unit_file = other;
	fake_caller(200, 1001, false);
	if (r->vm) {
		ck_assert_int_eq(call(r, id, 0, r->cmd), EPERM);
		ck_assert_int_eq(call(r, id, 99, r->cmd), EPERM);
		ck_assert_int_eq(call(r, id + 1, 0, r->cmd), ENOENT);
	}
	vmm_close(other);
	unit_file = mine;
}
END_TEST

/* L2: the file that created it, its uid, or an administrator. */
START_TEST(l2_allowed)
{
	const struct request *r = &requests[_i];
	struct vmm_file *mine = unit_file, *other;
	uint32_t id = unit_real_vm();

	fake_step_default(fake_do_exit, 0x7f);
	ck_assert_int_eq(vmm_open(&other), 0);
	fake_caller(200, 1001, false);		/* privileges dropped (C6) */
	ck_assert_int_eq(call(r, id, 0, r->cmd), 0);
	fake_caller(100, 1000, false);
	if (r->cmd == VMM_IOC_TERM)
		id = unit_real_vm();
	unit_file = other;			/* same user, another file */
	ck_assert_int_eq(call(r, id, 0, r->cmd), 0);
	if (r->cmd == VMM_IOC_TERM) {
		unit_file = mine;
		id = unit_real_vm();
		unit_file = other;
	}
	fake_caller(300, 0, true);
	ck_assert_int_eq(call(r, id, 0, r->cmd), 0);
	vmm_close(other);
	unit_file = mine;
}
END_TEST

/* uid 0 without the capability is one user among others. */
START_TEST(l2_root_without_cap)
{
	struct vmm_file *mine = unit_file, *other;
	uint32_t id = unit_create(MIB, 1);

	ck_assert_int_eq(vmm_open(&other), 0);
	unit_file = other;
	fake_caller(300, 0, false);
	ck_assert_int_eq(unit_term(id), EPERM);
	vmm_close(other);
	unit_file = mine;
}
END_TEST

/* L2: INFO lists what the caller may act on, by its file or its uid. */
START_TEST(l2_info)
{
	struct vmm_file *mine = unit_file, *other;
	uint32_t id = unit_create(MIB, 1);

	ck_assert_int_eq(vmm_open(&other), 0);
	fake_caller(200, 1001, false);		/* the owner, uid changed */
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_STOPPED);
	fake_caller(100, 1000, false);
	unit_file = other;
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_STOPPED);
	vmm_close(other);
	unit_file = mine;
}
END_TEST

/* Who calls is asked only where the open file does not say. */
START_TEST(l2_asked)
{
	const struct request *r = &requests[_i];
	struct vmm_file *mine = unit_file, *other;
	uint32_t id = unit_real_vm();
	unsigned int asked;

	if (r->cmd == VMM_IOC_CREATE)
		return;				/* its caller is the owner */
	fake_step_default(fake_do_exit, 0x7f);
	ck_assert_int_eq(vmm_open(&other), 0);
	asked = fake_self()->asked;
	ck_assert_int_eq(call(r, id, 0, r->cmd), 0);
	ck_assert_uint_eq(fake_self()->asked, asked);
	if (r->cmd == VMM_IOC_TERM)
		id = unit_real_vm();
	asked = fake_self()->asked;
	unit_file = other;
	ck_assert_int_eq(call(r, id, 0, r->cmd), 0);
	ck_assert_uint_gt(fake_self()->asked, asked);
	vmm_close(other);
	unit_file = mine;
}
END_TEST

/* --- States and requests --- */

/*
 * Whatever state INFO tells of, no request makes another of it, but RUN and
 * TERM by the table of vcpu.c.
 */
START_TEST(states_requests)
{
	const struct request *r = &requests[_i];
	int state, error, want = 0;
	struct vcpu *v;
	uint32_t id;

	fake_step_default(fake_do_exit, 0x7f);
	for (state = VCPU_STATE_STOPPED; state <= VCPU_STATE_UNKNOWN;
	    state++) {
		id = unit_real_vm();
		v = unit_vm(id)->vcpu[0];
		v->state = state;
		if (r->cmd == VMM_IOC_RUN && state != VCPU_STATE_STOPPED)
			want = EBUSY;
		error = call(r, id, 0, r->cmd);
		if (r->cmd == VMM_IOC_RUN || r->cmd == VMM_IOC_TERM)
			ck_assert_int_eq(error, want);
		if (r->cmd == VMM_IOC_TERM)
			continue;
		ck_assert_int_eq(unit_state(id, 0), state);
		v->state = VCPU_STATE_STOPPED;
		ck_assert_int_eq(unit_term(id), 0);
	}
}
END_TEST

/* --- Traces of requests --- */

static void
expect_trace(unsigned int n, uint32_t cmd, uint32_t vm, int error)
{
	ck_assert_uint_eq(fake_trace.ioctls, n);
	ck_assert_uint_eq(fake_trace.nr, cmd & 0xff);
	ck_assert_uint_eq(fake_trace.ioctl_vm, vm);
	ck_assert_int_eq(fake_trace.error, error);
}

/* One for each request: its number, its VM, and that it succeeded. */
START_TEST(trace_done)
{
	const struct request *r = &requests[_i];
	uint32_t id, made;
	unsigned int n;

	(void)unit_create(2 * MIB, 1);
	id = unit_real_vm();
	made = r->cmd == VMM_IOC_CREATE ? id + 1 : r->vm ? id : 0;
	n = fake_trace.ioctls;
	fake_step_default(fake_do_exit, 0x7f);
	ck_assert_int_eq(call(r, id, 0, r->cmd), 0);
	expect_trace(n + 1, r->cmd, made, 0);
}
END_TEST

/* Or why not. */
START_TEST(trace_failed)
{
	const struct request *r = &requests[_i];
	struct vmm_file *mine = unit_file, *other;
	uint32_t id = unit_real_vm();
	unsigned int n = fake_trace.ioctls;

	if (!r->vm)
		return;
	ck_assert_int_eq(call(r, 77, 0, r->cmd), ENOENT);
	expect_trace(n + 1, r->cmd, 77, ENOENT);
	ck_assert_int_eq(vmm_open(&other), 0);
	unit_file = other;
	fake_caller(200, 1001, false);
	ck_assert_int_eq(call(r, id, 0, r->cmd), EPERM);
	expect_trace(n + 2, r->cmd, id, EPERM);
	vmm_close(other);
	unit_file = mine;
	if (!r->vcpu)
		return;
	ck_assert_int_eq(call(r, id, 1, r->cmd), ENOENT);
	expect_trace(n + 3, r->cmd, id, ENOENT);
}
END_TEST

START_TEST(trace_failed_create)
{
	static const struct vm_create_params zero;
	struct vm_create_params vcp = zero;

	vcp.vcp_id = 77;		/* an output: not looked at */
	ck_assert_int_eq(IOCTL(VMM_IOC_CREATE, &vcp), EINVAL);
	expect_trace(1, VMM_IOC_CREATE, 0, EINVAL);
}
END_TEST

/* An answer that the client cannot read: what it is told, EFAULT. */
START_TEST(trace_readonly)
{
	const struct request *r = &requests[_i];
	uint32_t id = unit_real_vm();
	unsigned int n;

	if (!r->out)
		return;
	fake_step_default(fake_do_exit, 0x7f);
	fake_user_map(0x50000000, PAGE_SIZE_4K, 0);
	ck_assert_int_eq(call(r, id, 0, r->cmd), 0);
	memcpy(fake_user_ptr(0x50000000), fake_user_ptr(unit_arg()), r->size);
	fake_user_protect(0x50000000, PAGE_SIZE_4K, false);
	n = fake_trace.ioctls;
	ck_assert_int_eq(vmm_ioctl(unit_file, r->cmd, 0x50000000), EFAULT);
	expect_trace(n + 1, r->cmd, r->vm ? id : 0, EFAULT);
}
END_TEST

/* What is no request, or cannot be read, was never made. */
START_TEST(trace_none)
{
	const struct request *r = &requests[_i];

	ck_assert_int_eq(vmm_ioctl(unit_file, r->cmd ^ 0x10000, unit_arg()),
	    ENOTTY);
	ck_assert_int_eq(vmm_ioctl(unit_file, r->cmd ^ 0x100, unit_arg()),
	    ENOTTY);
	ck_assert_int_eq(vmm_ioctl(unit_file, r->cmd, BAD_VA), EFAULT);
	ck_assert_uint_eq(fake_trace.ioctls, 0);
}
END_TEST

/* --- CREATE: order of errors --- */

static int
create(size_t nranges, size_t size, size_t ncpus)
{
	static const struct vm_create_params zero;
	struct vm_create_params vcp = zero;

	vcp.vcp_nmemranges = nranges;
	vcp.vcp_ncpus = ncpus;
	vcp.vcp_memranges[0].vmr_va = GUEST_VA;
	vcp.vcp_memranges[0].vmr_size = size;
	return (IOCTL(VMM_IOC_CREATE, &vcp));
}

START_TEST(create_order)
{
	/* Nothing is mapped at GUEST_VA, the ranges and ncpus are bad. */
	unit_refuse(2, true);
	ck_assert_int_eq(create(0, MIB, 0), EIO);
	unit_refuse(2, false);
	ck_assert_int_eq(create(0, MIB, 0), EINVAL);
	ck_assert_int_eq(create(1, MIB + 1, 1), EINVAL);
	ck_assert_int_eq(create(1, MIB, 0), EINVAL);
	ck_assert_int_eq(create(1, MIB, 1), ENOMEM);
	fake_user_map(GUEST_VA, MIB, 0);
	ck_assert_int_eq(create(1, MIB, 1), 0);
	ck_assert_int_eq(create(1, MIB, 65), EINVAL);
	ck_assert_int_eq(create(1, MIB, SIZE_MAX), EINVAL);
}
END_TEST

/* B1: 1, 63 and 64 VCPUs; each has its own state. */
START_TEST(b1_vcpus)
{
	uint32_t id = unit_create(MIB, 64), i;

	for (i = 0; i < 64; i++)
		ck_assert_uint_eq(unit_state(id, i), VCPU_STATE_STOPPED);
	ck_assert_int_eq(unit_intr(id, 63, 1), 0);
	ck_assert_int_eq(unit_intr(id, 64, 1), ENOENT);
	(void)unit_create(MIB, 63);
}
END_TEST

/* Ids start at 1, grow by 1, are not used again; a failure uses none. */
START_TEST(ids)
{
	ck_assert_uint_eq(unit_create(MIB, 1), 1);
	ck_assert_uint_eq(unit_create(MIB, 1), 2);
	ck_assert_int_eq(unit_term(2), 0);
	ck_assert_int_eq(create(0, MIB, 1), EINVAL);
	ck_assert_int_eq(create(1, MIB, 0), EINVAL);
	ck_assert_uint_eq(unit_create(MIB, 1), 3);
}
END_TEST

/* 63 bytes of a name and its end; no terminator needed, none copied past. */
START_TEST(name_cut)
{
	static const struct vm_create_params zero;
	struct vm_create_params vcp = zero;
	struct vm *vm;

	fake_user_map(GUEST_VA, MIB, 0);
	vcp.vcp_nmemranges = 1;
	vcp.vcp_ncpus = 1;
	vcp.vcp_memranges[0].vmr_va = GUEST_VA;
	vcp.vcp_memranges[0].vmr_size = MIB;
	memset(vcp.vcp_name, 'x', sizeof(vcp.vcp_name));
	memset(vcp.vcp_kernel, 'y', sizeof(vcp.vcp_kernel));
	ck_assert_int_eq(IOCTL(VMM_IOC_CREATE, &vcp), 0);
	vm = unit_vm(vcp.vcp_id);
	ck_assert_uint_eq(strlen(vm->name), 63);
	ck_assert_ptr_null(strchr(vm->name, 'y'));
}
END_TEST

/* C4: what the driver does not read may hold anything. */
START_TEST(c4_garbage)
{
	struct vm_create_params vcp;
	struct vm_run_params vrp;
	struct vcpu_reg_state r;

	fake_user_map(GUEST_VA, MIB, 0);
	memset(&vcp, 0xa5, sizeof(vcp));
	vcp.vcp_nmemranges = 1;
	vcp.vcp_ncpus = 1;
	vcp.vcp_memranges[0].vmr_gpa = 0;
	vcp.vcp_memranges[0].vmr_va = GUEST_VA;
	vcp.vcp_memranges[0].vmr_size = MIB;
	ck_assert_int_eq(IOCTL(VMM_IOC_CREATE, &vcp), 0);
	ck_assert_uint_eq(vcp.vcp_id, 1);
	ck_assert_uint_eq(vcp.vcp_ndisks, 0xa5a5a5a5a5a5a5a5);

	unit_real(&r);
	ck_assert_int_eq(unit_reset(1, 0, &r), 0);
	memset(&vrp, 0xa5, sizeof(vrp));
	vrp.vrp_vm_id = 1;
	vrp.vrp_vcpu_id = 0;
	vrp.vrp_continue = 0;
	vrp.vrp_irq = NONE;
	vrp.vrp_exit = (void *)(uintptr_t)unit_exit_va();
	fake_step(fake_do_exit, 0x7f);
	ck_assert_int_eq(IOCTL(VMM_IOC_RUN, &vrp), 0);
	ck_assert_uint_eq(vrp.vrp_exit_reason, unit_intel ? 2 : 0x7f);
}
END_TEST

/* --- INFO --- */

static struct vm_info_result rows[4];

/* INFO into the client's memory at `va`; the rows come back in `rows`. */
static int
get_info(size_t size, uint64_t va, struct vm_info_params *p)
{
	int error;

	memset(p, 0, sizeof(*p));
	p->vip_size = size;
	p->vip_info_ct = 99;
	p->vip_info = (void *)(uintptr_t)va;
	error = IOCTL(VMM_IOC_INFO, p);
	memset(rows, 0, sizeof(rows));
	if (error == 0 && p->vip_info_ct > 0)
		fake_user_read(va, rows, p->vip_info_ct * sizeof(rows[0]));
	return (error);
}

START_TEST(info_sizes)
{
	struct vm_info_params p;

	ck_assert_int_eq(get_info(0, 0, &p), 0);
	ck_assert_uint_eq(p.vip_info_ct, 0);
	ck_assert_uint_eq(p.vip_size, 0);
	(void)unit_create(MIB, 1);
	(void)unit_create(MIB, 1);
	ck_assert_int_eq(get_info(0, BAD_VA, &p), 0);
	ck_assert_uint_eq(p.vip_info_ct, 0);
	ck_assert_uint_eq(p.vip_size, 320);
	ck_assert_int_eq(get_info(319, BAD_VA, &p), 0);
	ck_assert_uint_eq(p.vip_size, 320);
	ck_assert_int_eq(get_info(320, BAD_VA, &p), EFAULT);
	ck_assert_int_eq(get_info(320, unit_exit_va(), &p), 0);
	ck_assert_uint_eq(p.vip_size, 320);
	ck_assert_uint_eq(p.vip_info_ct, 2);
	ck_assert_int_eq(get_info(9999, unit_exit_va(), &p), 0);
	ck_assert_uint_eq(p.vip_size, 9999);
	ck_assert_uint_eq(p.vip_info_ct, 2);
	fake_fail_at(1);
	ck_assert_int_eq(get_info(320, unit_exit_va(), &p), ENOMEM);
	ck_assert_int_eq(get_info(320, KERNEL_VA, &p), EFAULT);
}
END_TEST

START_TEST(info_rows)
{
	struct vm_info_params p;
	uint32_t a = unit_create(2 * MIB, 1), b;

	fake_caller(4321, 1000, false);
	b = unit_create(2 * MIB, 3);
	ck_assert_int_eq(get_info(640, unit_exit_va(), &p), 0);
	ck_assert_uint_eq(p.vip_info_ct, 2);
	ck_assert_uint_eq(rows[0].vir_id, b);		/* newest first */
	ck_assert_uint_eq(rows[1].vir_id, a);
	ck_assert_uint_eq(rows[0].vir_memory_size, 2);	/* MiB */
	ck_assert_uint_eq(rows[0].vir_used_size, 0);
	ck_assert_uint_eq(rows[0].vir_ncpus, 3);
	ck_assert_uint_eq(rows[1].vir_ncpus, 1);
	ck_assert_int_eq(rows[0].vir_creator_pid, 4321);
	ck_assert_int_eq(rows[1].vir_creator_pid, 100);
	ck_assert_str_eq(rows[0].vir_name, "");
	ck_assert_uint_eq(rows[0].vir_vcpu_state[63], 0);
	ck_assert_int_eq(unit_protect(a, 0x3000, 0x2000, 7), 0);
	ck_assert_uint_eq(unit_used(a), 0x2000);	/* bytes */
}
END_TEST

/* F4, L2: dying VMs and those of others are not listed, and not counted. */
START_TEST(f4_info_live_only)
{
	struct vmm_file *mine = unit_file, *other;
	struct vm_info_params p;
	uint32_t a = unit_create(MIB, 1), b = unit_create(MIB, 1);

	ck_assert_int_eq(unit_term(a), 0);
	ck_assert_int_eq(get_info(640, unit_exit_va(), &p), 0);
	ck_assert_uint_eq(p.vip_info_ct, 1);
	ck_assert_uint_eq(rows[0].vir_id, b);
	ck_assert_int_eq(vmm_open(&other), 0);
	unit_file = other;
	fake_caller(5, 1001, false);
	ck_assert_int_eq(get_info(0, 0, &p), 0);
	ck_assert_uint_eq(p.vip_size, 0);
	ck_assert_uint_eq(unit_create(MIB, 1), b + 1);
	ck_assert_int_eq(get_info(640, unit_exit_va(), &p), 0);
	ck_assert_uint_eq(p.vip_info_ct, 1);
	ck_assert_uint_eq(rows[0].vir_id, b + 1);
	fake_caller(5, 1001, true);
	ck_assert_int_eq(get_info(640, unit_exit_va(), &p), 0);
	ck_assert_uint_eq(p.vip_info_ct, 2);
	vmm_close(other);
	unit_file = mine;
}
END_TEST

static void
count(struct vcpu *v, vmm_put *put, void *arg)
{
	(void)v;
	ck_assert(put == NULL);
	(*(unsigned int *)arg)++;
}

START_TEST(visit_all)
{
	unsigned int n = 0;

	vmm_visit(count, NULL, &n);
	ck_assert_uint_eq(n, 0);
	(void)unit_create(MIB, 1);
	(void)unit_create(MIB, 2);
	vmm_visit(count, NULL, &n);
	ck_assert_uint_eq(n, 3);
}
END_TEST

/* --- pvclock parameters --- */

static int
vmparams(uint32_t cmd, uint32_t id, uint32_t mask, uint64_t *gpa,
    uint32_t *version)
{
	struct vm_rwvmparams_params p = { .vpp_vm_id = id, .vpp_mask = mask,
	    .vpp_pvclock_system_gpa = *gpa, .vpp_pvclock_version = *version };
	int error = IOCTL(cmd, &p);

	*gpa = p.vpp_pvclock_system_gpa;
	*version = p.vpp_pvclock_version;
	return (error);
}

/* abi.md 3.9, 3.10: bits select fields, the others are as passed in. */
START_TEST(vmparams_mask)
{
	uint32_t id = unit_create(MIB, 1), version = 7;
	uint64_t gpa = 0x3000;		/* bit 0 clear: off, but stored */

	ck_assert_int_eq(vmparams(VMM_IOC_WRITEVMPARAMS, id, 0xfffffffc,
	    &gpa, &version), 0);
	ck_assert_int_eq(vmparams(VMM_IOC_READVMPARAMS, id, 3, &gpa,
	    &version), 0);
	ck_assert_uint_eq(gpa, 0);
	ck_assert_uint_eq(version, 0);
	gpa = 0x3000;
	version = 7;
	ck_assert_int_eq(vmparams(VMM_IOC_WRITEVMPARAMS, id, 2, &gpa,
	    &version), 0);
	ck_assert_int_eq(vmparams(VMM_IOC_WRITEVMPARAMS, id, 1, &gpa,
	    &version), 0);
	gpa = version = 0x55;
	ck_assert_int_eq(vmparams(VMM_IOC_READVMPARAMS, id, 0, &gpa,
	    &version), 0);
	ck_assert_uint_eq(gpa, 0x55);
	ck_assert_uint_eq(version, 0x55);
	ck_assert_int_eq(vmparams(VMM_IOC_READVMPARAMS, id, 1, &gpa,
	    &version), 0);
	ck_assert_uint_eq(gpa, 0x3000);
	ck_assert_uint_eq(version, 0x55);
	ck_assert_int_eq(vmparams(VMM_IOC_READVMPARAMS, id, 2, &gpa,
	    &version), 0);
	ck_assert_uint_eq(version, 7);
}
END_TEST

/* F15: a bad address is EINVAL and changes nothing, the version neither. */
START_TEST(f15_vmparams_einval)
{
	static const uint64_t bad[] = { MIB | 1, 0xfe1 | 0x10 | 1,
	    0xf0000001, UINT64_MAX };
	uint32_t id = unit_create(MIB, 1), version = 3;
	uint64_t gpa = 0x5001;
	size_t i;

	ck_assert_int_eq(vmparams(VMM_IOC_WRITEVMPARAMS, id, 3, &gpa,
	    &version), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		gpa = bad[i];
		version = 9;
		ck_assert_int_eq(vmparams(VMM_IOC_WRITEVMPARAMS, id, 3, &gpa,
		    &version), EINVAL);
		ck_assert_int_eq(vmparams(VMM_IOC_READVMPARAMS, id, 3, &gpa,
		    &version), 0);
		ck_assert_uint_eq(gpa, 0x5001);
		ck_assert_uint_eq(version, 4);	/* written once, at enable */
	}
}
END_TEST

/* F15: nor does one whose memory the client no longer maps. */
START_TEST(f15_vmparams_efault)
{
	uint32_t id = unit_create(MIB, 1), version = 9;
	uint64_t gpa = 0x5001;

	fake_user_unmap(GUEST_VA + 0x5000, PAGE_SIZE_4K);
	ck_assert_int_eq(vmparams(VMM_IOC_WRITEVMPARAMS, id, 3, &gpa,
	    &version), EFAULT);
	ck_assert_int_eq(vmparams(VMM_IOC_READVMPARAMS, id, 3, &gpa,
	    &version), 0);
	ck_assert_uint_eq(gpa, 0);
	ck_assert_uint_eq(version, 0);
	ck_assert_uint_eq(fake_pins(), 0);
}
END_TEST

/* F15: nor does one in a page that MPROTECT_EPT made read-only. */
START_TEST(f15_vmparams_readonly)
{
	uint32_t id = unit_create(MIB, 1), version = 9;
	uint64_t gpa = 0x5001;

	ck_assert_int_eq(unit_protect(id, 0x5000, PAGE_SIZE_4K, 1), 0);
	ck_assert_int_eq(vmparams(VMM_IOC_WRITEVMPARAMS, id, 3, &gpa,
	    &version), EINVAL);
	ck_assert_uint_eq(*(uint64_t *)fake_user_ptr(GUEST_VA + 0x5000), 0);
	ck_assert_int_eq(vmparams(VMM_IOC_READVMPARAMS, id, 3, &gpa,
	    &version), 0);
	ck_assert_uint_eq(gpa, 0);
	ck_assert_uint_eq(version, 0);
}
END_TEST

/* --- Two requests at once --- */

static uint32_t race_id;
static int race_left;

/* Another thread's TERM, before the n-th lock of the request under test. */
static void
race_term(const char *name)
{
	int error;

	(void)name;
	if (--race_left > 0)
		return;
	fake_lock_hook = NULL;
	error = unit_term(race_id);
	ck_assert(error == 0 || error == ENOENT);
}

/* Every request against a TERM of its VM at each of its locks. */
START_TEST(term_meanwhile)
{
	const struct request *r = &requests[_i];
	int n, error;

	if (!r->vm)
		return;
	fake_step_default(fake_do_exit, 0x7f);
	for (n = 1; n < 20; n++) {
		race_id = unit_real_vm();
		race_left = n;
		fake_lock_hook = race_term;
		error = call(r, race_id, 0, r->cmd);
		if (fake_lock_hook != NULL)
			break;
		ck_assert_msg(error == 0 || error == ENOENT ||
		    error == EBUSY, "lock %d: error %d", n, error);
		ck_assert_uint_eq(fake_charged(), 0);
	}
	ck_assert_int_gt(n, 1);
	ck_assert_int_lt(n, 20);
	fake_lock_hook = NULL;
	ck_assert_int_eq(error, 0);
}
END_TEST

static void
put_nothing(void *arg, const char *name, const char *text, uint64_t value)
{
	(void)name;
	(void)text;
	(void)value;
	ck_assert_ptr_null(arg);
}

/* Every view against a TERM of its VM at each of its locks. */
START_TEST(view_term_meanwhile)
{
	uint64_t pages = fake_kernel_pages();
	int n;

	for (n = 1; n < 20; n++) {
		race_id = unit_real_vm();
		race_left = n;
		fake_lock_hook = race_term;
		vmm_view((unsigned int)_i, put_nothing, NULL);
		if (fake_lock_hook != NULL)
			break;
		ck_assert_uint_eq(fake_charged(), 0);
		ck_assert_uint_eq(fake_kernel_pages(), pages);
	}
	ck_assert_int_gt(n, 2);		/* the list, before and after */
	ck_assert_int_lt(n, 20);
	fake_lock_hook = NULL;
}
END_TEST

/* A CREATE that fails to copy out, whose VM somebody ended already. */
START_TEST(create_copyout_term)
{
	int n;

	fake_user_map(GUEST_VA, MIB, 0);
	fake_user_map(0x50000000, PAGE_SIZE_4K, 0);
	ck_assert_int_eq(call(&requests[0], 0, 0, VMM_IOC_CREATE), 0);
	memcpy(fake_user_ptr(0x50000000), fake_user_ptr(unit_arg()), 1280);
	fake_user_protect(0x50000000, PAGE_SIZE_4K, false);
	race_id = 2;
	race_left = 2;		/* one to list it, one to undo it */
	fake_lock_hook = race_term;
	ck_assert_int_eq(vmm_ioctl(unit_file, VMM_IOC_CREATE, 0x50000000),
	    EFAULT);
	ck_assert_ptr_null(fake_lock_hook);
	for (n = 2; n < 4; n++)
		ck_assert_int_eq(unit_term((uint32_t)n), ENOENT);
}
END_TEST

/* A VM made between the two looks of INFO does not overrun its buffer. */
static void
race_create(const char *name)
{
	(void)name;
	if (--race_left > 0)
		return;
	fake_lock_hook = NULL;
	(void)unit_create(MIB, 1);
}

START_TEST(info_create_meanwhile)
{
	struct vm_info_params p;

	(void)unit_create(MIB, 1);
	race_left = 2;
	fake_lock_hook = race_create;
	ck_assert_int_eq(get_info(160, unit_exit_va(), &p), 0);
	ck_assert_ptr_null(fake_lock_hook);
	ck_assert_uint_eq(p.vip_info_ct, 1);
	ck_assert_uint_eq(rows[0].vir_id, 2);
	ck_assert_uint_eq(rows[1].vir_id, 0);
}
END_TEST

/* --- Lifetime --- */

START_TEST(term_twice)
{
	uint32_t id = unit_create(MIB, 1);

	ck_assert_int_eq(unit_term(id), 0);
	ck_assert_uint_eq(fake_charged(), 0);
	ck_assert_int_eq(unit_term(id), ENOENT);
}
END_TEST

/* L1: closing ends the file's VMs, and no other's. */
START_TEST(l1_close)
{
	struct vmm_file *mine = unit_file, *other;
	uint32_t a = unit_create(MIB, 1), b;

	ck_assert_int_eq(vmm_open(&other), 0);
	unit_file = other;
	b = unit_create(MIB, 1);
	(void)unit_create(MIB, 1);
	vmm_close(other);
	unit_file = mine;
	ck_assert_int_eq(unit_intr(b, 0, 0), ENOENT);
	ck_assert_int_eq(unit_intr(a, 0, 0), 0);
	ck_assert_uint_eq(fake_charged(), 256);
}
END_TEST

/* VMM mode is on exactly while there is a VM. */
START_TEST(cpus_on_and_off)
{
	uint32_t a, b;
	unsigned int i;

	ck_assert(!unit_in_vmm_mode(3));
	a = unit_create(MIB, 1);
	for (i = 0; i < 4; i++) {
		ck_assert(unit_in_vmm_mode(i));
		if (!unit_intel)
			ck_assert_uint_ne(fake_msr_get(i,
			    FAKE_MSR_VM_HSAVE_PA), 0);
	}
	b = unit_create(MIB, 1);
	ck_assert_int_eq(unit_term(a), 0);
	ck_assert(unit_in_vmm_mode(3));
	ck_assert_int_eq(unit_term(b), 0);
	fake_cpu_check_clean();
}
END_TEST

/* F21: a failed CREATE undoes what it did, the CPUs' mode too. */
START_TEST(f21_failed_create)
{
	ck_assert_int_eq(create(0, MIB, 1), EINVAL);
	fake_cpu_check_clean();
	ck_assert_int_eq(create(1, MIB, 1), ENOMEM);
	fake_cpu_check_clean();
	ck_assert_uint_eq(fake_charged(), 0);
}
END_TEST

/* A VM outlives its creator's address space and goes with its file. */
START_TEST(client_exits)
{
	struct host_as *as;

	(void)unit_create(MIB, 1);
	as = fake_as_current();
	ck_assert_int_eq(unit_protect(1, 0, MIB, 7), 0);
	ck_assert_uint_eq(fake_pins(), 256);
	fake_as_exit(as);
	ck_assert_uint_eq(fake_pins(), 256);
	vmm_close(unit_file);
	unit_file = NULL;
	ck_assert_uint_eq(fake_pins(), 0);
}
END_TEST

/* C6: the whole size is charged at CREATE, ENOMEM beyond the limit. */
START_TEST(c6_memlock)
{
	uint32_t id;

	fake_user_map(GUEST_VA, 2 * MIB, 0);
	fake_memlock(511);
	ck_assert_int_eq(unit_create_at(GUEST_VA, 2 * MIB, 1, &id), ENOMEM);
	fake_memlock(512);
	ck_assert_int_eq(unit_create_at(GUEST_VA, 2 * MIB, 1, &id), 0);
	ck_assert_uint_eq(fake_charged(), 512);
	fake_memlock(0);		/* first touch checks nothing */
	ck_assert_int_eq(unit_protect(id, 0, 2 * MIB, 7), 0);
	ck_assert_int_eq(unit_term(id), 0);
	ck_assert_uint_eq(fake_charged(), 0);
}
END_TEST

START_TEST(suspend_ends_all)
{
	uint32_t id = unit_create(MIB, 1);

	vmm_suspend();
	ck_assert_int_eq(unit_term(id), ENOENT);
	fake_cpu_check_clean();
	ck_assert_uint_eq(unit_create(MIB, 1), id + 1);
}
END_TEST

/* It says so once, only if there was one, and in the busiest log too. */
START_TEST(suspend_log)
{
	static const char line[] = "vmm0: suspend: all VMs have ended\n";

	fake_log_clear();
	fake_log_busy = true;
	vmm_suspend();
	ck_assert_str_eq(fake_log(), "");
	(void)unit_create(MIB, 1);
	(void)unit_create(MIB, 2);
	vmm_suspend();
	ck_assert_str_eq(fake_log(), line);
	vmm_suspend();
	ck_assert_str_eq(fake_log(), line);
	ck_assert_int_eq(unit_term(unit_create(MIB, 1)), 0);
	vmm_suspend();
	ck_assert_str_eq(fake_log(), line);
}
END_TEST

/* --- The dump --- */

static struct {
	char		name[32];
	uint64_t	value;
} dumped[512];
static unsigned int ndumped;

static void
put(void *arg, const char *name, const char *word, uint64_t value)
{
	fake_assert_context("put", true, false, false);
	ck_assert_ptr_null(word);
	ck_assert_ptr_eq(arg, dumped);
	ck_assert_uint_lt(ndumped, 512);
	snprintf(dumped[ndumped].name, sizeof(dumped[0].name), "%s", name);
	dumped[ndumped++].value = value;
}

/* Each VCPU begins with its ids, the newest VM first. */
START_TEST(dump_all)
{
	const char *rip = unit_intel ? "GUEST_RIP" : "RIP";
	uint64_t vm = 0, vcpu = 0, got[3][2] = { { 0 } };
	uint32_t a = unit_real_vm(), b = unit_create(MIB, 2);
	struct vcpu_reg_state r;
	unsigned int i;

	unit_real(&r);
	for (i = 0; i < 2; i++) {
		r.vrs_gprs[VCPU_REGS_RIP] = 0x2000 + i;
		ck_assert_int_eq(unit_reset(b, i, &r), 0);
		fake_step(fake_do_exit, 0x7f);
	}
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(unit_run(b, i, NONE, &(struct unit_run){ 0 }),
		    0);
	fake_step(fake_do_exit, 0x7f);
	ck_assert_int_eq(unit_run(a, 0, NONE, &(struct unit_run){ 0 }), 0);
	ndumped = 0;
	vmm_view(VMM_VIEW_vcpus, put, dumped);
	ck_assert_str_eq(dumped[0].name, "vm");
	ck_assert_uint_eq(dumped[0].value, b);
	for (i = 0; i < ndumped; i++) {
		if (strcmp(dumped[i].name, "vm") == 0)
			vm = dumped[i].value;
		else if (strcmp(dumped[i].name, "vcpu") == 0)
			vcpu = dumped[i].value;
		else if (strcmp(dumped[i].name, rip) == 0)
			got[vm][vcpu] = dumped[i].value;
	}
	ck_assert_uint_eq(got[a][0], 0x1000);
	ck_assert_uint_eq(got[b][0], 0x2000);
	ck_assert_uint_eq(got[b][1], 0x2001);
}
END_TEST

/* --- CPUs that come and go --- */

static int online_error;

static void
go_online(void *arg)
{
	(void)arg;
	online_error = vmm_cpu_online(host_cpu_self());
}

static void
go_offline(void *arg)
{
	(void)arg;
	vmm_cpu_offline(host_cpu_self());
}

START_TEST(hotplug_without_vms)
{
	fake_hotplug(2, go_offline, NULL);
	fake_hotplug(2, go_online, NULL);
	ck_assert_int_eq(online_error, 0);
	ck_assert(!unit_in_vmm_mode(2));
}
END_TEST

START_TEST(hotplug_with_vms)
{
	uint32_t id = unit_create(MIB, 1);

	fake_hotplug(2, go_offline, NULL);
	ck_assert(!unit_in_vmm_mode(2));
	fake_cpu_online(2, false);
	fake_cpu_online(2, true);
	fake_hotplug(2, go_online, NULL);
	ck_assert_int_eq(online_error, 0);
	ck_assert(unit_in_vmm_mode(2));
	fake_hotplug(2, go_offline, NULL);
	unit_refuse(2, true);
	fake_hotplug(2, go_online, NULL);
	ck_assert_int_eq(online_error, EIO);
	ck_assert_int_eq(unit_term(id), 0);
}
END_TEST

/* A CPU that is off at CREATE and comes later; one that goes meanwhile. */
START_TEST(hotplug_late)
{
	uint32_t id;

	fake_cpu_online(3, false);
	id = unit_create(MIB, 1);
	ck_assert(!unit_in_vmm_mode(3));
	fake_cpu_online(3, true);
	fake_hotplug(3, go_online, NULL);
	ck_assert_int_eq(online_error, 0);
	ck_assert(unit_in_vmm_mode(3));
	fake_hotplug(1, go_offline, NULL);
	fake_cpu_online(1, false);
	ck_assert_int_eq(unit_term(id), 0);
	fake_cpu_check_clean();
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("vmm");
	TCase *bare = unit_bare_case(s, "attach");
	TCase *tc = unit_case(s, "ioctl");
	TCase *life = unit_case(s, "lifetime");

	tcase_add_test(bare, attach_banner);
	if (!unit_on_intel()) {		/* see check_vmx_ctl.c */
		tcase_add_test(bare, attach_no_svm);
		tcase_add_test(bare, attach_no_leaf);
		tcase_add_test(bare, attach_firmware);
		tcase_add_test(bare, attach_no_npt);
		tcase_add_test(bare, attach_no_asid);
	}
	tcase_add_test(bare, attach_no_memory);
	tcase_add_test(tc, open_no_memory);
	tcase_add_test(tc, unknown_commands);
	tcase_add_test(tc, unknown_before_efault);
	tcase_add_loop_test(tc, c1_both_encodings, 0, NREQUESTS);
	tcase_add_loop_test(tc, efault_arg, 0, NREQUESTS);
	tcase_add_loop_test(tc, efault_arg_cut, 0, NREQUESTS);
	tcase_add_loop_test(tc, readonly_arg, 0, NREQUESTS);
	tcase_add_test(tc, create_copyout);
	tcase_add_test(tc, no_copyout_on_error);
	tcase_add_loop_test(tc, enoent_vm, 0, NREQUESTS);
	tcase_add_loop_test(tc, enoent_vcpu, 0, NREQUESTS);
	tcase_add_loop_test(tc, l2_eperm, 0, NREQUESTS);
	tcase_add_loop_test(tc, l2_allowed, 0, NREQUESTS);
	tcase_add_test(tc, l2_root_without_cap);
	tcase_add_test(tc, l2_info);
	tcase_add_loop_test(tc, l2_asked, 0, NREQUESTS);
	tcase_add_loop_test(tc, states_requests, 0, NREQUESTS);
	tcase_add_loop_test(tc, trace_done, 0, NREQUESTS);
	tcase_add_loop_test(tc, trace_failed, 0, NREQUESTS);
	tcase_add_test(tc, trace_failed_create);
	tcase_add_loop_test(tc, trace_readonly, 0, NREQUESTS);
	tcase_add_loop_test(tc, trace_none, 0, NREQUESTS);
	tcase_add_test(tc, create_order);
	tcase_add_test(tc, b1_vcpus);
	tcase_add_test(tc, ids);
	tcase_add_test(tc, name_cut);
	tcase_add_test(tc, c4_garbage);
	tcase_add_test(tc, info_sizes);
	tcase_add_test(tc, info_rows);
	tcase_add_test(tc, f4_info_live_only);
	tcase_add_test(tc, visit_all);
	tcase_add_test(tc, vmparams_mask);
	tcase_add_test(tc, f15_vmparams_einval);
	tcase_add_test(tc, f15_vmparams_efault);
	tcase_add_test(tc, f15_vmparams_readonly);
	tcase_add_loop_test(tc, term_meanwhile, 0, NREQUESTS);
	tcase_add_loop_test(tc, view_term_meanwhile, 0, VMM_NVIEWS);
	tcase_add_test(tc, create_copyout_term);
	tcase_add_test(tc, info_create_meanwhile);
	tcase_add_test(life, term_twice);
	tcase_add_test(life, l1_close);
	tcase_add_test(life, cpus_on_and_off);
	tcase_add_test(life, f21_failed_create);
	tcase_add_test(life, client_exits);
	tcase_add_test(life, c6_memlock);
	tcase_add_test(life, suspend_ends_all);
	tcase_add_test(life, suspend_log);
	tcase_add_test(life, dump_all);
	tcase_add_test(life, hotplug_without_vms);
	tcase_add_test(life, hotplug_with_vms);
	tcase_add_test(life, hotplug_late);
	return (s);
}
