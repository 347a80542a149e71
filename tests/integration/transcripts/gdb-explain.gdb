# SPDX-License-Identifier: ISC
vmm explain
vmm set asid 0
vmm set cs_attr 0xe9b
vmm explain
vmm finish
vmm until entry_failed
vmm explain
