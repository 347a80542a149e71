# SPDX-License-Identifier: ISC
# What GDB does when `make gdb` starts it: stop before the first VMRUN, and
# say what can be done there. QEMU waits at the reset vector until `continue`.
set pagination off
set confirm off

define nextstop
	echo \n
	echo Above this is the host; the next instruction runs the guest.\n
	echo Type next:\n\n
	echo \ \ stepi\ \ \ \ \ across VMRUN, onto the guest's first\n
	echo \ \ info registers rip cs rax\ \ \ \ now they are the guest's\n
	echo \ \ stepi\ \ \ \ \ one guest instruction; one that is intercepted\n
	echo \ \ \ \ \ \ \ \ \ \ \ \ lands behind VMRUN, at svm_after_vmrun\n
	echo \ \ \ \ \ \ \ \ (the very first is: no page is mapped yet)\n
	echo \ \ backtrace\ how the host came here\n
	echo \ \ continue\ \ to the next VMRUN\n\n
	echo GDB's x reads memory as the host sees it. Guest memory is at\n
	echo another physical address: monitor xp /8i ADDRESS reads that.\n
end
document nextstop
What to type at svm_before_vmrun.
end

hbreak svm_before_vmrun
continue
nextstop
