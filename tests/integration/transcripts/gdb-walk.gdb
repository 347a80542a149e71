# SPDX-License-Identifier: ISC
# client: vmctl exec run long
vmm step-into
vmm walk 0x8010
vmm until io
vmm walk 0x8010
vmm x/8xb 0x8010
vmm walk gpa 0x300000
vmm walk 0x7f0000000000
