/* SPDX-License-Identifier: ISC */
/*
 * check_fail.c - memory that runs out. Each request is made again and again,
 * and the n-th allocation of it is refused, for every n until it needs no
 * more: it says ENOMEM, keeps nothing, and works when asked again.
 */
#include "unit.h"

/* What the driver holds of the host. */
struct held {
	uint64_t	pages, allocs, pins, charged, mutexes;
};

static uint32_t id;
static struct unit_run u;

static struct held
held(void)
{
	struct held h = { fake_kernel_pages(), fake_allocs(), fake_pins(),
	    fake_charged(), fake_live_mutexes() };

	return (h);
}

static void
expect_held(const struct held *was)
{
	struct held now = held();

	ck_assert_uint_eq(now.pages, was->pages);
	ck_assert_uint_eq(now.allocs, was->allocs);
	ck_assert_uint_eq(now.pins, was->pins);
	ck_assert_uint_eq(now.charged, was->charged);
	ck_assert_uint_eq(now.mutexes, was->mutexes);
}

/*
 * Does `prepare`, then `call` with its n-th allocation refused, for every n.
 * `before` is what must be held after a failure and `undo`.
 */
static void
every(void (*prepare)(void), int (*call)(void), void (*undo)(void), int want)
{
	struct held before = held();
	unsigned int n;
	int error;

	for (n = 1;; n++) {
		prepare();
		fake_fail_at(n);
		error = call();
		if (!fake_failed())
			break;
		fake_fail_at(0);
		ck_assert_msg(error == want, "allocation %u: error %d", n,
		    error);
		undo();
		expect_held(&before);
		fake_check_idle();
	}
	ck_assert_int_eq(error, 0);
	ck_assert_uint_gt(n, 1);	/* something could fail at all */
	fake_fail_at(0);
	undo();
	expect_held(&before);
}

static void
nothing(void)
{
}

static void
map(void)
{
	if (fake_user_ptr(GUEST_VA) == NULL)
		fake_user_map(GUEST_VA, 4 * MIB, FAKE_HUGE);
}

static void
term(void)
{
	if (id != 0)
		ck_assert_int_eq(unit_term(id), 0);
	id = 0;
}

/* --- open, CREATE --- */

static struct vmm_file *file;

static int
open_file(void)
{
	file = NULL;
	return (vmm_open(&file));
}

static void
close_file(void)
{
	if (file != NULL)
		vmm_close(file);
	file = NULL;
}

START_TEST(fail_open)
{
	every(nothing, open_file, close_file, ENOMEM);
}
END_TEST

static int
create(size_t ncpus)
{
	uint32_t i;
	int error = unit_create_at(GUEST_VA, 4 * MIB, ncpus, &i);

	id = error == 0 ? i : 0;
	return (error);
}

static int
create_1(void)
{
	return (create(1));
}

static int
create_5(void)
{
	return (create(5));
}

START_TEST(fail_create)
{
	map();
	every(nothing, create_1, term, ENOMEM);
	fake_cpu_check_clean();
	every(nothing, create_5, term, ENOMEM);
	fake_cpu_check_clean();
}
END_TEST

/* The CPUs are on already. */
START_TEST(fail_create_second)
{
	map();
	ck_assert_int_eq(create(1), 0);
	every(nothing, create_5, term, ENOMEM);
}
END_TEST

/* --- RUN --- */

static void
make_real(void)
{
	struct vcpu_reg_state r;

	map();
	ck_assert_int_eq(create(1), 0);
	unit_real(&r);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	fake_steps_clear();
}

static int
run(void)
{
	return (unit_run(id, 0, NONE, &u));
}

static void
touch(struct fake_guest *g, uint64_t gpa)
{
	if (!fake_access(g, gpa, NPT_W, NULL))
		fake_step_again();
}

static void
prepare_touch(void)
{
	make_real();
	fake_step(touch, 0x3000);
	STEP_SHUTDOWN();
}

/* First touch: the VCPU ends, TERM gives everything back. */
START_TEST(fail_run_touch)
{
	map();
	every(prepare_touch, run, term, ENOMEM);
}
END_TEST

static void
prepare_touch_small(void)
{
	make_real();
	ck_assert_int_eq(unit_protect(id, 2 * MIB, 0x1000, 1), 0);
	fake_step(touch, 0x3000);
	STEP_SHUTDOWN();
}

START_TEST(fail_run_touch_small)
{
	fake_user_map(GUEST_VA, 4 * MIB, 0);
	every(prepare_touch_small, run, term, ENOMEM);
}
END_TEST

START_TEST(fail_run_state)
{
	map();
	prepare_touch();
	fake_fail_at(1);
	ck_assert_int_eq(run(), ENOMEM);
	fake_fail_at(0);
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_TERMINATED);
	ck_assert(fake_log_has(unit_intel ? "ends with error 12: exit 0x30" :
	    "ends with error 12: exit 0x400"));
}
END_TEST

/* The page of the code, where the driver has to decode. */
static void
prepare_decode(void)
{
	make_real();
	fake_user_write(GUEST_VA + 0x1000, "\x0f\xa2", 2);
	fake_step(fake_do_exit, 0x72);
	STEP_SHUTDOWN();
}

START_TEST(fail_run_decode)
{
	map();
	every(prepare_decode, run, term, ENOMEM);
}
END_TEST

/* The pvclock page, by the guest's WRMSR. */
static void
prepare_pvclock_wrmsr(void)
{
	struct vcpu_reg_state r;

	make_real();
	ck_assert_int_eq(unit_protect(id, 0x1000, 0x1000, 7), 0);
	fake_user_write(GUEST_VA + 0x1000, "\x0f\x30", 2);
	unit_real(&r);
	r.vrs_gprs[VCPU_REGS_RCX] = 0x4b564d01;
	r.vrs_gprs[VCPU_REGS_RAX] = 0x205001;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	fake_steps_clear();
	fake_step(unit_insn, STEP_ARG(0x7c, 2, 1));
	STEP_SHUTDOWN();
}

START_TEST(fail_run_pvclock)
{
	map();
	every(prepare_pvclock_wrmsr, run, term, ENOMEM);
}
END_TEST

/* --- MPROTECT_EPT --- */

static int
protect(void)
{
	return (unit_protect(id, 0x3000, 3 * MIB, 5));
}

START_TEST(fail_protect)
{
	map();
	every(make_real, protect, term, ENOMEM);
}
END_TEST

START_TEST(fail_protect_small)
{
	fake_user_map(GUEST_VA, 4 * MIB, 0);
	every(make_real, protect, term, ENOMEM);
}
END_TEST

/* All is mapped large; only the splits can fail. */
static void
prepare_split(void)
{
	make_real();
	ck_assert_int_eq(unit_protect(id, 0, 4 * MIB, 7), 0);
}

START_TEST(fail_split)
{
	map();
	every(prepare_split, protect, term, ENOMEM);
}
END_TEST

/* The same request again, on the same VM, after each failure. */
START_TEST(fail_protect_again)
{
	unsigned int n;

	map();
	make_real();
	for (n = 1;; n++) {
		fake_fail_at(n);
		if (unit_protect(id, n % 4 * 0x1000, 0x1000, 5) == 0)
			break;
		ck_assert(fake_failed());
	}
	fake_fail_at(0);
	ck_assert_int_eq(protect(), 0);
	ck_assert_uint_eq(unit_state(id, 0), VCPU_STATE_STOPPED);
}
END_TEST

/* --- INFO --- */

static int
info(void)
{
	struct vm_info_params p = { .vip_size = 1600 };

	p.vip_info = (void *)(uintptr_t)unit_exit_va();
	return (IOCTL(VMM_IOC_INFO, &p));
}

START_TEST(fail_info)
{
	map();
	ck_assert_int_eq(create(1), 0);
	every(nothing, info, nothing, ENOMEM);
}
END_TEST

/* --- WRITEVMPARAMS --- */

static int
vmparams(void)
{
	struct vm_rwvmparams_params p = { .vpp_vm_id = id, .vpp_mask = 3,
	    .vpp_pvclock_system_gpa = 0x5001 };

	return (IOCTL(VMM_IOC_WRITEVMPARAMS, &p));
}

/* It does not need the page: the parameter is set all the same. */
START_TEST(fail_writevmparams)
{
	map();
	every(make_real, vmparams, term, ENOMEM);
}
END_TEST

/* --- What allocates nothing --- */

START_TEST(no_allocation)
{
	struct vm_rwvmparams_params p = { .vpp_mask = 3 };
	struct vcpu_reg_state r;

	map();
	make_real();
	p.vpp_vm_id = id;
	unit_real(&r);
	fake_fail_at(1);
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	ck_assert_int_eq(unit_read(id, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_int_eq(unit_write(id, 0, VM_RWREGS_ALL, &r), 0);
	ck_assert_int_eq(unit_intr(id, 0, 1), 0);
	ck_assert_int_eq(IOCTL(VMM_IOC_READVMPARAMS, &p), 0);
	ck_assert_int_eq(unit_term(id), 0);
	ck_assert_uint_eq(fake_alloc_calls(), 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("fail");
	TCase *tc = unit_case(s, "fail");

	tcase_add_test(tc, fail_open);
	tcase_add_test(tc, fail_create);
	tcase_add_test(tc, fail_create_second);
	tcase_add_test(tc, fail_run_touch);
	tcase_add_test(tc, fail_run_touch_small);
	tcase_add_test(tc, fail_run_state);
	if (!unit_on_intel())		/* where the CPU tells the length */
		tcase_add_test(tc, fail_run_decode);
	tcase_add_test(tc, fail_run_pvclock);
	tcase_add_test(tc, fail_protect);
	tcase_add_test(tc, fail_protect_small);
	tcase_add_test(tc, fail_split);
	tcase_add_test(tc, fail_protect_again);
	tcase_add_test(tc, fail_info);
	tcase_add_test(tc, fail_writevmparams);
	tcase_add_test(tc, no_allocation);
	return (s);
}
