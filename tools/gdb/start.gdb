# SPDX-License-Identifier: ISC
# Where `make gdb` begins: behind load.py, which has the commands. QEMU waits
# at the reset vector; this goes on to the first VMRUN, and says what then.
define hook-continue
	python vmm.continuing()
end

thbreak svm_before_vmrun
continue

echo \n
echo Above this is the host; the next instruction runs the guest. Type next:\n\n
echo \ \ vmm step-into\ \ \ across VMRUN, onto the guest's first instruction\n
echo \ \ vmm regs\ \ \ \ \ \ \ \ the registers are the guest's now\n
echo \ \ vmm finish\ \ \ \ \ \ on, to the exit: no page is mapped yet\n
echo \ \ vmm exits\ \ \ \ \ \ \ what the CPU says of it\n
echo \ \ vmm vmcb diff\ \ \ which fields of the VMCB it wrote\n\n
echo help vmm lists the others. stepi, backtrace, print are GDB's own.\n\n
