# SPDX-License-Identifier: ISC
vmm until rdmsr
vmm exits
vmm step-into
vmm dis
vmm x/5xb $rip
vmm step-into
vmm step-into
backtrace 3
vmm vmcb exitcode exitinfo1 exitinfo2 rip rax
vmm vmcb intercept[3]
vmm ioctls
