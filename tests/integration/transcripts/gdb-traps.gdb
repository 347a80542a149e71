# SPDX-License-Identifier: ISC
# client: vmctl exec run real
vmm break 0x8013
continue
x/4xb 0x8013
vmm x/4xb 0x8013
vmm dis
delete
vmm break 0x8075
continue
print $rip
vmm dis
delete
vmm watch 0x600
continue
vmm exits 3
vmm dis
