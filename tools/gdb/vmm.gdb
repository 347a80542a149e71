# SPDX-License-Identifier: ISC
# What GDB does when `make gdb` starts it: stop before the first VMRUN, and
# say what can be done there. QEMU waits at the reset vector until `continue`.
set pagination off
set confirm off
set disassemble-next-line auto

# The eight words where the CPU says why it left the guest.
define exitinfo
	printf "EXITCODE %#lx  EXITINFO1 %#lx  EXITINFO2 %#lx  EXITINTINFO %#lx\n", \
	    *(unsigned long *)($rax + 0x70), *(unsigned long *)($rax + 0x78), \
	    *(unsigned long *)($rax + 0x80), *(unsigned long *)($rax + 0x88)
end
document exitinfo
Behind VMRUN: the VMCB's exit fields (RAX is the VMCB's physical address).
end

define nextstop
	printf "\nStopped before VMRUN: everything above is the host, the\n"
	printf "next instruction is the guest's. Type next:\n\n"
	printf "  stepi                 across VMRUN, onto the guest's first instruction\n"
	printf "  info registers rip cs rax    now the guest's own\n"
	printf "  stepi                 one guest instruction; an intercepted one\n"
	printf "                        lands behind VMRUN, at svm_after_vmrun\n"
	printf "  exitinfo              there: why the CPU left the guest\n"
	printf "  continue              to the next VMRUN\n"
	printf "  backtrace             there, or here: how the host came to it\n\n"
	printf "Guest memory is at other physical addresses than the guest thinks\n"
	printf "(x reads the host's): `monitor xp /8i ADDRESS` reads physical memory.\n"
end
document nextstop
What to type at svm_before_vmrun.
end

hbreak svm_before_vmrun
continue
nextstop
