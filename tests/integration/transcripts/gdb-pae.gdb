# SPDX-License-Identifier: ISC
# client: vmctl exec run pae
vmm until io
vmm until io
vmm until io
vmm until io
vmm walk 0x200600
