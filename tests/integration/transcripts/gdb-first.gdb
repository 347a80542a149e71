# SPDX-License-Identifier: ISC
vmm step-into
vmm regs
vmm finish
vmm exits
vmm vmcb diff
