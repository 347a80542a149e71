// SPDX-License-Identifier: ISC
/*
 * main.c - the module: /dev/vmm, CPUs that come and go, sleep, and the views
 * in debugfs. The driver is src/vmm, the same source as on every host.
 */
#include <linux/cpuhotplug.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/irqflags.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/pm.h>
#include <linux/seq_file.h>

#include "host.h"
#include "linux.h"

/*
 * --- /dev/vmm. A descriptor holds the module, and a VM its descriptor. ---
 */

static int
dev_open(struct inode *inode, struct file *file)
{
	struct vmm_file *vf;
	int error = vmm_open(&vf);

	if (error == 0)
		file->private_data = vf;
	return (-error);
}

static int
dev_release(struct inode *inode, struct file *file)
{
	vmm_close(file->private_data);
	return (0);
}

static bool dev_closing;		/* the machine goes down */

static long
dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (READ_ONCE(dev_closing))
		return (-ENODEV);
	return (-vmm_ioctl(file->private_data, cmd, arg));
}

static const struct file_operations dev_fops = {
	.owner		= THIS_MODULE,
	.open		= dev_open,
	.release	= dev_release,
	.unlocked_ioctl	= dev_ioctl,
	.llseek		= noop_llseek,
};

static struct miscdevice dev_misc = {
	.minor		= MISC_DYNAMIC_MINOR,
	.name		= "vmm",
	.mode		= 0600,
	.fops		= &dev_fops,
};

/*
 * --- CPUs that come online and go offline, in a thread of that CPU. ---
 */

static enum cpuhp_state cpu_state;

/* book: linux-hotplug */
static int
cpu_online_here(unsigned int cpu)
{
	int error;

	local_irq_disable();
	error = vmm_cpu_online(cpu);
	if (error == 0)
		cpu_use(true);
	local_irq_enable();
	return (-error);
}

static int
cpu_offline_here(unsigned int cpu)
{
	local_irq_disable();
	vmm_cpu_offline(cpu);
	cpu_use(false);
	local_irq_enable();
	return (0);
}
/* book: end */

/*
 * --- Sleep. A device is told after user threads have been frozen, which
 * takes those in RUN out of it. At shutdown CPUs must not stay in VMX
 * operation, where they take no INIT. ---
 */

static int
sleep_suspend(struct device *dev)
{
	vmm_suspend();
	return (0);
}

/* Threads in RUN are not frozen here; each leaves at its next exit. */
static void
sleep_shutdown(struct platform_device *dev)
{
	WRITE_ONCE(dev_closing, true);
	vmm_suspend();
	msleep(100);
}

static DEFINE_SIMPLE_DEV_PM_OPS(sleep_ops, sleep_suspend, NULL);

static struct platform_driver sleep_driver = {
	.shutdown	= sleep_shutdown,
	.driver		= {
		.name	= "vmm",
		.pm	= pm_sleep_ptr(&sleep_ops),
	},
};

static struct platform_device *sleep_device;

/*
 * --- /sys/kernel/debug/vmm: what vmm_view() tells, a file each. ---
 */

static struct dentry *views;

static void
view_put(void *m, const char *name, const char *text, uint64_t value)
{
	if (text != NULL)
		seq_printf(m, "%s %s\n", name, text);
	else if (((struct seq_file *)m)->private == (void *)VMM_VIEW_vms)
		seq_printf(m, "%s %llu\n", name, value);
	else
		seq_printf(m, "%s 0x%llx\n", name, value);
}

static int
view_show(struct seq_file *m, void *unused)
{
	vmm_view((uintptr_t)m->private, view_put, m);
	return (0);
}
DEFINE_SHOW_ATTRIBUTE(view);

/*
 * --- The module. ---
 */

/* What of it exists is taken back, in the reverse order. */
static void
vmm_module_exit(void)
{
	if (!IS_ERR_OR_NULL(dev_misc.this_device))
		misc_deregister(&dev_misc);
	debugfs_remove(views);
	if (!IS_ERR_OR_NULL(sleep_device)) {
		platform_device_unregister(sleep_device);
		platform_driver_unregister(&sleep_driver);
	}
	if (cpu_state > 0)
		cpuhp_remove_state(cpu_state);
	vmm_detach();
}

/* Everything there is, the device last: a client may come at once. */
static int __init
vmm_module_parts(void)
{
	uintptr_t i;
	int error;

	error = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "vmm:online",
	    cpu_online_here, cpu_offline_here);
	if (error < 0)
		return (error);
	cpu_state = error;
	sleep_device = platform_create_bundle(&sleep_driver, NULL, NULL, 0,
	    NULL, 0);
	if (IS_ERR(sleep_device))
		return (PTR_ERR(sleep_device));
	views = debugfs_create_dir("vmm", NULL);
	for (i = 0; i < VMM_NVIEWS; i++)
		debugfs_create_file(vmm_views[i], 0400, views, (void *)i,
		    &view_fops);
	return (misc_register(&dev_misc));
}

static int __init
vmm_module_init(void)
{
	int error;

	if (!cpu_supported())
		return (-ENODEV);
	error = -vmm_attach();
	if (error != 0)
		return (error);
	error = vmm_module_parts();
	if (error != 0)
		vmm_module_exit();
	return (error);
}

module_init(vmm_module_init);
module_exit(vmm_module_exit);
MODULE_LICENSE("Dual BSD/GPL");
MODULE_DESCRIPTION("OpenBSD's vmm(4) on AMD SVM and Intel VMX");
