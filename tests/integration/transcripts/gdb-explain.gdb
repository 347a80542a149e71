# SPDX-License-Identifier: ISC
vmm explain
vmm set asid 0
vmm set efer 0x500
vmm explain
vmm finish
vmm until entry_failed
vmm explain
