// SPDX-License-Identifier: ISC
/*
 * cpu.c - CPUs, VM entries, and the registers that Linux owns.
 */
#include <linux/cc_platform.h>
#include <linux/cpu.h>
#include <linux/hw_breakpoint.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include <linux/timekeeping.h>
#include <linux/uidgid.h>
#include <linux/cred.h>
#include <linux/version.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/api.h>
#include <asm/mce.h>
#include <asm/msr.h>
#include <asm/perf_event.h>
#include <asm/processor.h>
#include <asm/tlbflush.h>
#include <asm/tsc.h>

#include "host.h"
#include "core/vmmvar.h"
#include "linux.h"

/* What of a CPU an entry has to put back; interrupts are off meanwhile. */
struct cpu_state {
	bool	use;		/* between vmm_cpu_online and _offline */
	u64	debugctl;
	u64	pebs;
	u64	test_ctrl;
};
static DEFINE_PER_CPU(struct cpu_state, cpu_state);

static struct desc_ptr cpu_idt;		/* the same on every CPU */

void
cpu_use(bool use)
{
	__this_cpu_write(cpu_state.use, use);
}

/*
 * FRED delivers events without the IDT that host_nmi() relies on, and its
 * MSRs are not among those that a VM exit brings back. With SME an address
 * for the CPU has a bit more than the driver's.
 */
bool
cpu_supported(void)
{
	const char *why = NULL;

#ifdef X86_FEATURE_FRED
	if (cpu_feature_enabled(X86_FEATURE_FRED))
		why = "the kernel uses FRED; boot it with fred=off";
#endif
	if (cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT))
		why = "memory is encrypted; boot with mem_encrypt=off";
	if (why != NULL) {
		pr_info("vmm0: not attached: %s\n", why);
		return (false);
	}
	store_idt(&cpu_idt);
	return (true);
}

/*
 * --- Calls and kicks. ---
 */

unsigned int
host_cpu_self(void)
{
	return (raw_smp_processor_id());
}

unsigned int
host_cpu_count(void)
{
	return (nr_cpu_ids);
}

void
host_cpus_hold(void)
{
	cpus_read_lock();
}

void
host_cpus_release(void)
{
	cpus_read_unlock();
}

struct cpu_call {
	void	(*fn)(void *);
	void	*arg;
	bool	ran;
};

/* book: linux-call */
/* A CPU still takes calls for a while after vmm_cpu_offline(). */
static void
cpu_call_here(void *arg)
{
	struct cpu_call *c = arg;

	if (!__this_cpu_read(cpu_state.use))
		return;
	c->fn(c->arg);
	c->ran = true;
}
/* book: end */

int
host_cpu_call(unsigned int cpu, void (*fn)(void *), void *arg)
{
	struct cpu_call c = { fn, arg, false };

	smp_call_function_single(cpu, cpu_call_here, &c, true);
	return (c.ran ? 0 : EINVAL);
}

void
host_cpu_call_all(void (*fn)(void *), void *arg)
{
	struct cpu_call c = { fn, arg, false };

	on_each_cpu(cpu_call_here, &c, true);
}

/* book: linux-kick */
/*
 * Any interrupt is an exit. Without preemption no CPU can go offline between
 * the look and the interrupt.
 */
void
host_cpu_kick(unsigned int cpu)
{
	preempt_disable();
	if (cpu != smp_processor_id() && cpu_online(cpu))
		(smp_ops.smp_send_reschedule)(cpu);	/* not the macro */
	preempt_enable();
}
/* book: end */

/*
 * --- An entry. ---
 */

/* book: linux-enter-save */
/*
 * What would go on in the guest, or write to memory by its page tables; a VMX
 * exit leaves DEBUGCTL clear. #AC for a split lock would reach the guest.
 *	SDM Vol. 3B 20.9.5 "EPT-Friendly PEBS"; Vol. 3C 27.5.1 "Loading Host
 *	Control Registers, Debug Registers, MSRs"
 */
static void
enter_save(void)
{
	struct cpu_state *s = this_cpu_ptr(&cpu_state);

	rdmsrl(MSR_IA32_DEBUGCTLMSR, s->debugctl);
	if (s->debugctl != 0)
		wrmsrl(MSR_IA32_DEBUGCTLMSR, 0);
	if (boot_cpu_has(X86_FEATURE_PEBS)) {
		rdmsrl(MSR_IA32_PEBS_ENABLE, s->pebs);
		if (s->pebs != 0)
			wrmsrl(MSR_IA32_PEBS_ENABLE, 0);
	}
	if (boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT)) {
		rdmsrl(MSR_TEST_CTRL, s->test_ctrl);
		if (s->test_ctrl & MSR_TEST_CTRL_SPLIT_LOCK_DETECT)
			wrmsrl(MSR_TEST_CTRL, s->test_ctrl &
			    ~MSR_TEST_CTRL_SPLIT_LOCK_DETECT);
	}
}
/* book: end */

static void
enter_restore(void)
{
	const struct cpu_state *s = this_cpu_ptr(&cpu_state);

	if (s->debugctl != 0)
		wrmsrl(MSR_IA32_DEBUGCTLMSR, s->debugctl);
	if (s->pebs != 0)
		wrmsrl(MSR_IA32_PEBS_ENABLE, s->pebs);
	if ((s->test_ctrl & MSR_TEST_CTRL_SPLIT_LOCK_DETECT) != 0)
		wrmsrl(MSR_TEST_CTRL, s->test_ctrl);
}

/* book: linux-enter-stop */
/*
 * Work that waits for the thread to go back to its client waits on: from 6.4
 * the scheduler has some every 100 ms. From 6.18 it is how a thread that has
 * used up its cgroup's share is stopped.
 */
static bool
enter_stop(void)
{
	if (signal_pending(current))
		return (true);
	return (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0) &&
	    test_thread_flag(TIF_NOTIFY_RESUME));
}
/* book: end */

/* book: linux-enter-begin */
/*
 * The look at the thread comes after interrupts are off: a signal that comes
 * later is an exit of the entry that follows.
 */
bool
host_enter_begin(void)
{
	for (;;) {
		preempt_disable();
		local_irq_disable();
		if (enter_stop() || !__this_cpu_read(cpu_state.use))
			break;
		if (!need_resched()) {
			enter_save();
			return (true);
		}
		local_irq_enable();
		preempt_enable();
		schedule();
	}
	local_irq_enable();
	preempt_enable();
	return (false);
}
/* book: end */

void
host_enter_end(void)
{
	enter_restore();
	local_irq_enable();
	preempt_enable();
}

void
host_yield(void)
{
	cond_resched();
}

/*
 * --- Registers. ---
 */

/* book: linux-fpu */
/* The client's state goes to its thread, and comes back with the thread. */
void
host_fpu_begin(void)
{
	kernel_fpu_begin_mask(0);
}

void
host_fpu_end(void)
{
	kernel_fpu_end();
}
/* book: end */

/* book: linux-dr */
/* DR0-3 count only while DR7 enables one. Linux takes set bits of DR6. */
void
host_dr_restore(bool addresses)
{
	if (hw_breakpoint_active())
		hw_breakpoint_restore();
	else
		set_debugreg(DR6_RESERVED, 6);
}
/* book: end */

/* book: linux-cr4 */
/* Processor trace must be off for VMXON, where the CPU has not both at once. */
void
host_cr4_set(uint64_t bits)
{
	if ((bits & X86_CR4_VMXE) != 0)
		intel_pt_handle_vmx(1);
	cr4_set_bits(bits);
}
/* book: end */

void
host_cr4_clear(uint64_t bits)
{
	cr4_clear_bits(bits);
	if ((bits & X86_CR4_VMXE) != 0)
		intel_pt_handle_vmx(0);
}

/* book: linux-restore */
/*
 * Limits that an exit makes 0xffff, 0xffff and 0x67. The TSS gets its own when
 * a thread next needs the I/O bitmap.
 *	SDM Vol. 3C 27.5.2 "Loading Host Segment and Descriptor-Table
 *	Registers"
 */
void
host_restore(void)
{
	load_fixmap_gdt(smp_processor_id());
	load_idt(&cpu_idt);
	invalidate_tss_limit();
}
/* book: end */

/* book: linux-selector */
/*
 * A client can change its LDT and leave a selector behind that names nothing
 * any more: loading it here faults, and becomes null.
 */
void
host_load_selector(int sreg, uint16_t sel)
{
	switch (sreg) {
	case VCPU_REGS_DS:
		loadsegment(ds, sel);
		break;
	case VCPU_REGS_ES:
		loadsegment(es, sel);
		break;
	case VCPU_REGS_FS:
		loadsegment(fs, sel);
		break;
	case VCPU_REGS_GS:
		load_gs_index(sel);
		break;
	case VCPU_REGS_LDTR:
		asm volatile("lldt %w0" : : "r" (sel));
		break;
	}
}
/* book: end */

/* book: linux-nmi */
/* The handler returns with IRET, which lets the next NMI come. */
void
host_nmi(void)
{
	asm volatile("int $2");
}

/* As if from ring 3: memory that is lost there ends a process, not Linux. */
void
host_mce(void)
{
#ifdef CONFIG_X86_MCE
	struct pt_regs regs = { .cs = 3, .flags = X86_EFLAGS_IF };

	do_machine_check(&regs);
#endif
}
/* book: end */

/*
 * --- Time, callers, messages. ---
 */

uint64_t
host_tsc_hz(void)
{
	return (tsc_khz * 1000ULL);
}

uint64_t
host_time_ns(void)
{
	return (ktime_get_ns());
}

void
host_caller(struct host_caller *who)
{
	who->pid = task_tgid_vnr(current);
	who->uid = from_kuid(&init_user_ns, current_euid());
	who->admin = ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN);
}

void
host_log(bool often, const char *fmt, ...)
{
	static DEFINE_RATELIMIT_STATE(limit, 5 * HZ, 20);
	struct va_format text = { .fmt = fmt };
	va_list ap;

	if (often && !__ratelimit(&limit))
		return;
	va_start(ap, fmt);
	text.va = &ap;
	pr_info("%pV\n", &text);
	va_end(ap);
}

void
host_bug(const char *file, int line, const char *what)
{
	pr_emerg("vmm0: %s:%d: %s\n", file, line, what);
	BUG();
}

/*
 * --- Mutexes. Each rank is a class of its own for lockdep. ---
 */

static struct mutex *
mutex_of(struct host_mutex *m)
{
	BUILD_BUG_ON(sizeof(struct mutex) > sizeof(*m));
	return ((struct mutex *)m->room);
}

void
host_mutex_init(struct host_mutex *m, const char *name, int rank)
{
	static struct lock_class_key class[4];

	__mutex_init(mutex_of(m), name, &class[rank / 10]);
}

void
host_mutex_destroy(struct host_mutex *m)
{
	mutex_destroy(mutex_of(m));
}

void
host_mutex_lock(struct host_mutex *m)
{
	mutex_lock(mutex_of(m));
}

void
host_mutex_unlock(struct host_mutex *m)
{
	mutex_unlock(mutex_of(m));
}
