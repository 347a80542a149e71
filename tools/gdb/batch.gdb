# SPDX-License-Identifier: ISC
# The session that vmm.gdb proposes, without a person: into the guest and out.
stepi
printf "IN GUEST rip %#lx cs %#lx\n", $rip, $cs
set $steps = 0
while $rip < 0x100000 && $steps < 1000
	stepi
	set $steps = $steps + 1
end
if $rip == (unsigned long)&svm_after_vmrun
	printf "LEFT GUEST after %d steps at svm_after_vmrun\n", $steps
end
backtrace 3
