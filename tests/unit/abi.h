/* SPDX-License-Identifier: ISC */
/*
 * abi.h - the 6.9 interface as lists: sizes, offsets, values, ioctls.
 *
 * Typed from the reference's facts and never from include/vmmvar.h, which
 * they judge. abi.c asserts them at compile time for every compiler,
 * check_abi.c once more at run time.
 */
#ifndef ABI_H
#define ABI_H

/* struct, bytes */
#define ABI_SIZES(X) \
	X(struct vm_exit_inout, 12) \
	X(struct vm_exit_eptviolation, 1) \
	X(struct vcpu_segment_info, 24) \
	X(struct vcpu_reg_state, 568) \
	X(struct vm_mem_range, 24) \
	X(struct vm_exit, 592) \
	X(struct vm_create_params, 1280) \
	X(struct vm_run_params, 32) \
	X(struct vm_info_result, 160) \
	X(struct vm_info_params, 24) \
	X(struct vm_terminate_params, 4) \
	X(struct vm_resetcpu_params, 576) \
	X(struct vm_intr_params, 12) \
	X(struct vm_rwvmparams_params, 32) \
	X(struct vm_rwregs_params, 584) \
	X(struct vm_mprotect_ept_params, 32)

/* struct, field, offset, bytes */
#define ABI_OFFSETS(X) \
	X(struct vm_exit_inout, vei_size, 0, 1) \
	X(struct vm_exit_inout, vei_dir, 1, 1) \
	X(struct vm_exit_inout, vei_rep, 2, 1) \
	X(struct vm_exit_inout, vei_string, 3, 1) \
	X(struct vm_exit_inout, vei_encoding, 4, 1) \
	X(struct vm_exit_inout, vei_port, 6, 2) \
	X(struct vm_exit_inout, vei_data, 8, 4) \
	X(struct vm_exit_eptviolation, vee_fault_type, 0, 1) \
	X(struct vcpu_segment_info, vsi_sel, 0, 2) \
	X(struct vcpu_segment_info, vsi_limit, 4, 4) \
	X(struct vcpu_segment_info, vsi_ar, 8, 4) \
	X(struct vcpu_segment_info, vsi_base, 16, 8) \
	X(struct vcpu_reg_state, vrs_gprs, 0, 144) \
	X(struct vcpu_reg_state, vrs_crs, 144, 80) \
	X(struct vcpu_reg_state, vrs_msrs, 224, 56) \
	X(struct vcpu_reg_state, vrs_drs, 280, 48) \
	X(struct vcpu_reg_state, vrs_sregs, 328, 192) \
	X(struct vcpu_reg_state, vrs_gdtr, 520, 24) \
	X(struct vcpu_reg_state, vrs_idtr, 544, 24) \
	X(struct vm_mem_range, vmr_gpa, 0, 8) \
	X(struct vm_mem_range, vmr_va, 8, 8) \
	X(struct vm_mem_range, vmr_size, 16, 8) \
	X(struct vm_exit, vei, 0, 12) \
	X(struct vm_exit, vee, 0, 1) \
	X(struct vm_exit, vrs, 16, 568) \
	X(struct vm_exit, cpl, 584, 4) \
	X(struct vm_create_params, vcp_nmemranges, 0, 8) \
	X(struct vm_create_params, vcp_ncpus, 8, 8) \
	X(struct vm_create_params, vcp_ndisks, 16, 8) \
	X(struct vm_create_params, vcp_nnics, 24, 8) \
	X(struct vm_create_params, vcp_memranges, 32, 384) \
	X(struct vm_create_params, vcp_disks, 416, 512) \
	X(struct vm_create_params, vcp_cdrom, 928, 128) \
	X(struct vm_create_params, vcp_name, 1056, 64) \
	X(struct vm_create_params, vcp_kernel, 1120, 128) \
	X(struct vm_create_params, vcp_macs, 1248, 24) \
	X(struct vm_create_params, vcp_id, 1272, 4) \
	X(struct vm_run_params, vrp_vm_id, 0, 4) \
	X(struct vm_run_params, vrp_vcpu_id, 4, 4) \
	X(struct vm_run_params, vrp_continue, 8, 1) \
	X(struct vm_run_params, vrp_irq, 10, 2) \
	X(struct vm_run_params, vrp_exit, 16, 8) \
	X(struct vm_run_params, vrp_exit_reason, 24, 2) \
	X(struct vm_run_params, vrp_irqready, 26, 1) \
	X(struct vm_info_result, vir_memory_size, 0, 8) \
	X(struct vm_info_result, vir_used_size, 8, 8) \
	X(struct vm_info_result, vir_ncpus, 16, 8) \
	X(struct vm_info_result, vir_vcpu_state, 24, 64) \
	X(struct vm_info_result, vir_creator_pid, 88, 4) \
	X(struct vm_info_result, vir_id, 92, 4) \
	X(struct vm_info_result, vir_name, 96, 64) \
	X(struct vm_info_params, vip_size, 0, 8) \
	X(struct vm_info_params, vip_info_ct, 8, 8) \
	X(struct vm_info_params, vip_info, 16, 8) \
	X(struct vm_terminate_params, vtp_vm_id, 0, 4) \
	X(struct vm_resetcpu_params, vrp_vm_id, 0, 4) \
	X(struct vm_resetcpu_params, vrp_vcpu_id, 4, 4) \
	X(struct vm_resetcpu_params, vrp_init_state, 8, 568) \
	X(struct vm_intr_params, vip_vm_id, 0, 4) \
	X(struct vm_intr_params, vip_vcpu_id, 4, 4) \
	X(struct vm_intr_params, vip_intr, 8, 2) \
	X(struct vm_rwvmparams_params, vpp_vm_id, 0, 4) \
	X(struct vm_rwvmparams_params, vpp_vcpu_id, 4, 4) \
	X(struct vm_rwvmparams_params, vpp_mask, 8, 4) \
	X(struct vm_rwvmparams_params, vpp_pvclock_system_gpa, 16, 8) \
	X(struct vm_rwvmparams_params, vpp_pvclock_version, 24, 4) \
	X(struct vm_rwregs_params, vrwp_vm_id, 0, 4) \
	X(struct vm_rwregs_params, vrwp_vcpu_id, 4, 4) \
	X(struct vm_rwregs_params, vrwp_mask, 8, 8) \
	X(struct vm_rwregs_params, vrwp_regs, 16, 568) \
	X(struct vm_mprotect_ept_params, vmep_vm_id, 0, 4) \
	X(struct vm_mprotect_ept_params, vmep_vcpu_id, 4, 4) \
	X(struct vm_mprotect_ept_params, vmep_sgpa, 8, 8) \
	X(struct vm_mprotect_ept_params, vmep_size, 16, 8) \
	X(struct vm_mprotect_ept_params, vmep_prot, 24, 4)

/* name, OpenBSD's number, the same macro under Linux */
#define ABI_IOCTLS(X) \
	X(VMM_IOC_CREATE, 0xc5005601u, 0xc5005601u) \
	X(VMM_IOC_RUN, 0xc0205602u, 0xc0205602u) \
	X(VMM_IOC_INFO, 0xc0185603u, 0xc0185603u) \
	X(VMM_IOC_TERM, 0x80045604u, 0x40045604u) \
	X(VMM_IOC_RESETCPU, 0x82405605u, 0x42405605u) \
	X(VMM_IOC_INTR, 0x800c5606u, 0x400c5606u) \
	X(VMM_IOC_READREGS, 0xc2485607u, 0xc2485607u) \
	X(VMM_IOC_WRITEREGS, 0x82485608u, 0x42485608u) \
	X(VMM_IOC_READVMPARAMS, 0xc0205609u, 0xc0205609u) \
	X(VMM_IOC_WRITEVMPARAMS, 0x8020560au, 0x4020560au) \
	X(VMM_IOC_MPROTECT_EPT, 0x8020560bu, 0x4020560bu)

/* name, value */
#define ABI_VALUES(X) \
	X(VMM_MAX_MEM_RANGES, 16) \
	X(VMM_MAX_DISKS_PER_VM, 4) \
	X(VMM_MAX_PATH_DISK, 128) \
	X(VMM_MAX_PATH_CDROM, 128) \
	X(VMM_MAX_NAME_LEN, 64) \
	X(VMM_MAX_KERNEL_PATH, 128) \
	X(VMM_MAX_VCPUS_PER_VM, 64) \
	X(VMM_MAX_VM_MEM_SIZE, 32768) \
	X(VMM_MAX_NICS_PER_VM, 4) \
	X(VMM_PCI_MMIO_BAR_BASE, 0xF0000000) \
	X(VMM_PCI_MMIO_BAR_END, 0xFFFFFFFF) \
	X(VMM_PCI_MMIO_BAR_SIZE, 0x10000) \
	X(VMM_PCI_IO_BAR_BASE, 0x1000) \
	X(VMM_PCI_IO_BAR_END, 0xFFFF) \
	X(VMM_PCI_IO_BAR_SIZE, 0x1000) \
	X(PCKBC_AUX, 0x61) \
	X(ELCR0, 0x4D0) \
	X(ELCR1, 0x4D1) \
	X(VCPU_STATE_STOPPED, 0) \
	X(VCPU_STATE_RUNNING, 1) \
	X(VCPU_STATE_REQTERM, 2) \
	X(VCPU_STATE_TERMINATED, 3) \
	X(VCPU_STATE_UNKNOWN, 4) \
	X(VEI_DIR_OUT, 0) \
	X(VEI_DIR_IN, 1) \
	X(VEE_FAULT_PROTECT, 0) \
	X(VMM_CPU_MODE_REAL, 0) \
	X(VMM_CPU_MODE_PROT, 1) \
	X(VMM_CPU_MODE_PROT32, 2) \
	X(VMM_CPU_MODE_COMPAT, 3) \
	X(VMM_CPU_MODE_LONG, 4) \
	X(VMM_CPU_MODE_UNKNOWN, 5) \
	X(VM_EXIT_TERMINATED, 0xFFFE) \
	X(VM_EXIT_NONE, 0xFFFF) \
	X(VMX_MAX_CR3_TARGETS, 256) \
	X(VMM_EX_DE, 0) \
	X(VMM_EX_DB, 1) \
	X(VMM_EX_NMI, 2) \
	X(VMM_EX_BP, 3) \
	X(VMM_EX_OF, 4) \
	X(VMM_EX_BR, 5) \
	X(VMM_EX_UD, 6) \
	X(VMM_EX_NM, 7) \
	X(VMM_EX_DF, 8) \
	X(VMM_EX_CP, 9) \
	X(VMM_EX_TS, 10) \
	X(VMM_EX_NP, 11) \
	X(VMM_EX_SS, 12) \
	X(VMM_EX_GP, 13) \
	X(VMM_EX_PF, 14) \
	X(VMM_EX_MF, 16) \
	X(VMM_EX_AC, 17) \
	X(VMM_EX_MC, 18) \
	X(VMM_EX_XM, 19) \
	X(VMM_EX_VE, 20) \
	X(VCPU_REGS_RAX, 0) \
	X(VCPU_REGS_RBX, 1) \
	X(VCPU_REGS_RCX, 2) \
	X(VCPU_REGS_RDX, 3) \
	X(VCPU_REGS_RSI, 4) \
	X(VCPU_REGS_RDI, 5) \
	X(VCPU_REGS_R8, 6) \
	X(VCPU_REGS_R9, 7) \
	X(VCPU_REGS_R10, 8) \
	X(VCPU_REGS_R11, 9) \
	X(VCPU_REGS_R12, 10) \
	X(VCPU_REGS_R13, 11) \
	X(VCPU_REGS_R14, 12) \
	X(VCPU_REGS_R15, 13) \
	X(VCPU_REGS_RSP, 14) \
	X(VCPU_REGS_RBP, 15) \
	X(VCPU_REGS_RIP, 16) \
	X(VCPU_REGS_RFLAGS, 17) \
	X(VCPU_REGS_NGPRS, 18) \
	X(VCPU_REGS_CR0, 0) \
	X(VCPU_REGS_CR2, 1) \
	X(VCPU_REGS_CR3, 2) \
	X(VCPU_REGS_CR4, 3) \
	X(VCPU_REGS_CR8, 4) \
	X(VCPU_REGS_XCR0, 5) \
	X(VCPU_REGS_PDPTE0, 6) \
	X(VCPU_REGS_PDPTE1, 7) \
	X(VCPU_REGS_PDPTE2, 8) \
	X(VCPU_REGS_PDPTE3, 9) \
	X(VCPU_REGS_NCRS, 10) \
	X(VCPU_REGS_CS, 0) \
	X(VCPU_REGS_DS, 1) \
	X(VCPU_REGS_ES, 2) \
	X(VCPU_REGS_FS, 3) \
	X(VCPU_REGS_GS, 4) \
	X(VCPU_REGS_SS, 5) \
	X(VCPU_REGS_LDTR, 6) \
	X(VCPU_REGS_TR, 7) \
	X(VCPU_REGS_NSREGS, 8) \
	X(VCPU_REGS_EFER, 0) \
	X(VCPU_REGS_STAR, 1) \
	X(VCPU_REGS_LSTAR, 2) \
	X(VCPU_REGS_CSTAR, 3) \
	X(VCPU_REGS_SFMASK, 4) \
	X(VCPU_REGS_KGSBASE, 5) \
	X(VCPU_REGS_MISC_ENABLE, 6) \
	X(VCPU_REGS_NMSRS, 7) \
	X(VCPU_REGS_DR0, 0) \
	X(VCPU_REGS_DR1, 1) \
	X(VCPU_REGS_DR2, 2) \
	X(VCPU_REGS_DR3, 3) \
	X(VCPU_REGS_DR6, 4) \
	X(VCPU_REGS_DR7, 5) \
	X(VCPU_REGS_NDRS, 6) \
	X(VM_RWREGS_GPRS, 0x1) \
	X(VM_RWREGS_SREGS, 0x2) \
	X(VM_RWREGS_CRS, 0x4) \
	X(VM_RWREGS_MSRS, 0x8) \
	X(VM_RWREGS_DRS, 0x10) \
	X(VM_RWREGS_ALL, 0x1f) \
	X(VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA, 0x1) \
	X(VM_RWVMPARAMS_PVCLOCK_VERSION, 0x2) \
	X(VM_RWVMPARAMS_ALL, 0x3) \
	X(VMX_EXIT_NMI, 0) \
	X(VMX_EXIT_EXTINT, 1) \
	X(VMX_EXIT_TRIPLE_FAULT, 2) \
	X(VMX_EXIT_INIT, 3) \
	X(VMX_EXIT_SIPI, 4) \
	X(VMX_EXIT_IO_SMI, 5) \
	X(VMX_EXIT_OTHER_SMI, 6) \
	X(VMX_EXIT_INT_WINDOW, 7) \
	X(VMX_EXIT_NMI_WINDOW, 8) \
	X(VMX_EXIT_TASK_SWITCH, 9) \
	X(VMX_EXIT_CPUID, 10) \
	X(VMX_EXIT_GETSEC, 11) \
	X(VMX_EXIT_HLT, 12) \
	X(VMX_EXIT_INVD, 13) \
	X(VMX_EXIT_INVLPG, 14) \
	X(VMX_EXIT_RDPMC, 15) \
	X(VMX_EXIT_RDTSC, 16) \
	X(VMX_EXIT_RSM, 17) \
	X(VMX_EXIT_VMCALL, 18) \
	X(VMX_EXIT_VMCLEAR, 19) \
	X(VMX_EXIT_VMLAUNCH, 20) \
	X(VMX_EXIT_VMPTRLD, 21) \
	X(VMX_EXIT_VMPTRST, 22) \
	X(VMX_EXIT_VMREAD, 23) \
	X(VMX_EXIT_VMRESUME, 24) \
	X(VMX_EXIT_VMWRITE, 25) \
	X(VMX_EXIT_VMXOFF, 26) \
	X(VMX_EXIT_VMXON, 27) \
	X(VMX_EXIT_CR_ACCESS, 28) \
	X(VMX_EXIT_MOV_DR, 29) \
	X(VMX_EXIT_IO, 30) \
	X(VMX_EXIT_RDMSR, 31) \
	X(VMX_EXIT_WRMSR, 32) \
	X(VMX_EXIT_ENTRY_FAILED_GUEST_STATE, 33) \
	X(VMX_EXIT_ENTRY_FAILED_MSR_LOAD, 34) \
	X(VMX_EXIT_MWAIT, 36) \
	X(VMX_EXIT_MTF, 37) \
	X(VMX_EXIT_MONITOR, 39) \
	X(VMX_EXIT_PAUSE, 40) \
	X(VMX_EXIT_ENTRY_FAILED_MCE, 41) \
	X(VMX_EXIT_TPR_BELOW_THRESHOLD, 43) \
	X(VMX_EXIT_APIC_ACCESS, 44) \
	X(VMX_EXIT_VIRTUALIZED_EOI, 45) \
	X(VMX_EXIT_GDTR_IDTR, 46) \
	X(VMX_EXIT_LDTR_TR, 47) \
	X(VMX_EXIT_EPT_VIOLATION, 48) \
	X(VMX_EXIT_EPT_MISCONFIGURATION, 49) \
	X(VMX_EXIT_INVEPT, 50) \
	X(VMX_EXIT_RDTSCP, 51) \
	X(VMX_EXIT_VMX_PREEMPTION_TIMER_EXPIRED, 52) \
	X(VMX_EXIT_INVVPID, 53) \
	X(VMX_EXIT_WBINVD, 54) \
	X(VMX_EXIT_XSETBV, 55) \
	X(VMX_EXIT_APIC_WRITE, 56) \
	X(VMX_EXIT_RDRAND, 57) \
	X(VMX_EXIT_INVPCID, 58) \
	X(VMX_EXIT_VMFUNC, 59) \
	X(VMX_EXIT_RDSEED, 61) \
	X(VMX_EXIT_XSAVES, 63) \
	X(VMX_EXIT_XRSTORS, 64) \
	X(SVM_VMEXIT_CR0_READ, 0x00) \
	X(SVM_VMEXIT_CR1_READ, 0x01) \
	X(SVM_VMEXIT_CR2_READ, 0x02) \
	X(SVM_VMEXIT_CR3_READ, 0x03) \
	X(SVM_VMEXIT_CR4_READ, 0x04) \
	X(SVM_VMEXIT_CR5_READ, 0x05) \
	X(SVM_VMEXIT_CR6_READ, 0x06) \
	X(SVM_VMEXIT_CR7_READ, 0x07) \
	X(SVM_VMEXIT_CR8_READ, 0x08) \
	X(SVM_VMEXIT_CR9_READ, 0x09) \
	X(SVM_VMEXIT_CR10_READ, 0x0a) \
	X(SVM_VMEXIT_CR11_READ, 0x0b) \
	X(SVM_VMEXIT_CR12_READ, 0x0c) \
	X(SVM_VMEXIT_CR13_READ, 0x0d) \
	X(SVM_VMEXIT_CR14_READ, 0x0e) \
	X(SVM_VMEXIT_CR15_READ, 0x0f) \
	X(SVM_VMEXIT_CR0_WRITE, 0x10) \
	X(SVM_VMEXIT_CR1_WRITE, 0x11) \
	X(SVM_VMEXIT_CR2_WRITE, 0x12) \
	X(SVM_VMEXIT_CR3_WRITE, 0x13) \
	X(SVM_VMEXIT_CR4_WRITE, 0x14) \
	X(SVM_VMEXIT_CR5_WRITE, 0x15) \
	X(SVM_VMEXIT_CR6_WRITE, 0x16) \
	X(SVM_VMEXIT_CR7_WRITE, 0x17) \
	X(SVM_VMEXIT_CR8_WRITE, 0x18) \
	X(SVM_VMEXIT_CR9_WRITE, 0x19) \
	X(SVM_VMEXIT_CR10_WRITE, 0x1a) \
	X(SVM_VMEXIT_CR11_WRITE, 0x1b) \
	X(SVM_VMEXIT_CR12_WRITE, 0x1c) \
	X(SVM_VMEXIT_CR13_WRITE, 0x1d) \
	X(SVM_VMEXIT_CR14_WRITE, 0x1e) \
	X(SVM_VMEXIT_CR15_WRITE, 0x1f) \
	X(SVM_VMEXIT_DR0_READ, 0x20) \
	X(SVM_VMEXIT_DR1_READ, 0x21) \
	X(SVM_VMEXIT_DR2_READ, 0x22) \
	X(SVM_VMEXIT_DR3_READ, 0x23) \
	X(SVM_VMEXIT_DR4_READ, 0x24) \
	X(SVM_VMEXIT_DR5_READ, 0x25) \
	X(SVM_VMEXIT_DR6_READ, 0x26) \
	X(SVM_VMEXIT_DR7_READ, 0x27) \
	X(SVM_VMEXIT_DR8_READ, 0x28) \
	X(SVM_VMEXIT_DR9_READ, 0x29) \
	X(SVM_VMEXIT_DR10_READ, 0x2a) \
	X(SVM_VMEXIT_DR11_READ, 0x2b) \
	X(SVM_VMEXIT_DR12_READ, 0x2c) \
	X(SVM_VMEXIT_DR13_READ, 0x2d) \
	X(SVM_VMEXIT_DR14_READ, 0x2e) \
	X(SVM_VMEXIT_DR15_READ, 0x2f) \
	X(SVM_VMEXIT_DR0_WRITE, 0x30) \
	X(SVM_VMEXIT_DR1_WRITE, 0x31) \
	X(SVM_VMEXIT_DR2_WRITE, 0x32) \
	X(SVM_VMEXIT_DR3_WRITE, 0x33) \
	X(SVM_VMEXIT_DR4_WRITE, 0x34) \
	X(SVM_VMEXIT_DR5_WRITE, 0x35) \
	X(SVM_VMEXIT_DR6_WRITE, 0x36) \
	X(SVM_VMEXIT_DR7_WRITE, 0x37) \
	X(SVM_VMEXIT_DR8_WRITE, 0x38) \
	X(SVM_VMEXIT_DR9_WRITE, 0x39) \
	X(SVM_VMEXIT_DR10_WRITE, 0x3a) \
	X(SVM_VMEXIT_DR11_WRITE, 0x3b) \
	X(SVM_VMEXIT_DR12_WRITE, 0x3c) \
	X(SVM_VMEXIT_DR13_WRITE, 0x3d) \
	X(SVM_VMEXIT_DR14_WRITE, 0x3e) \
	X(SVM_VMEXIT_DR15_WRITE, 0x3f) \
	X(SVM_VMEXIT_EXCP0, 0x40) \
	X(SVM_VMEXIT_EXCP1, 0x41) \
	X(SVM_VMEXIT_EXCP2, 0x42) \
	X(SVM_VMEXIT_EXCP3, 0x43) \
	X(SVM_VMEXIT_EXCP4, 0x44) \
	X(SVM_VMEXIT_EXCP5, 0x45) \
	X(SVM_VMEXIT_EXCP6, 0x46) \
	X(SVM_VMEXIT_EXCP7, 0x47) \
	X(SVM_VMEXIT_EXCP8, 0x48) \
	X(SVM_VMEXIT_EXCP9, 0x49) \
	X(SVM_VMEXIT_EXCP10, 0x4a) \
	X(SVM_VMEXIT_EXCP11, 0x4b) \
	X(SVM_VMEXIT_EXCP12, 0x4c) \
	X(SVM_VMEXIT_EXCP13, 0x4d) \
	X(SVM_VMEXIT_EXCP14, 0x4e) \
	X(SVM_VMEXIT_EXCP15, 0x4f) \
	X(SVM_VMEXIT_EXCP16, 0x50) \
	X(SVM_VMEXIT_EXCP17, 0x51) \
	X(SVM_VMEXIT_EXCP18, 0x52) \
	X(SVM_VMEXIT_EXCP19, 0x53) \
	X(SVM_VMEXIT_EXCP20, 0x54) \
	X(SVM_VMEXIT_EXCP21, 0x55) \
	X(SVM_VMEXIT_EXCP22, 0x56) \
	X(SVM_VMEXIT_EXCP23, 0x57) \
	X(SVM_VMEXIT_EXCP24, 0x58) \
	X(SVM_VMEXIT_EXCP25, 0x59) \
	X(SVM_VMEXIT_EXCP26, 0x5a) \
	X(SVM_VMEXIT_EXCP27, 0x5b) \
	X(SVM_VMEXIT_EXCP28, 0x5c) \
	X(SVM_VMEXIT_EXCP29, 0x5d) \
	X(SVM_VMEXIT_EXCP30, 0x5e) \
	X(SVM_VMEXIT_EXCP31, 0x5f) \
	X(SVM_VMEXIT_INTR, 0x60) \
	X(SVM_VMEXIT_NMI, 0x61) \
	X(SVM_VMEXIT_SMI, 0x62) \
	X(SVM_VMEXIT_INIT, 0x63) \
	X(SVM_VMEXIT_VINTR, 0x64) \
	X(SVM_VMEXIT_CR0_SEL_WRITE, 0x65) \
	X(SVM_VMEXIT_IDTR_READ, 0x66) \
	X(SVM_VMEXIT_GDTR_READ, 0x67) \
	X(SVM_VMEXIT_LDTR_READ, 0x68) \
	X(SVM_VMEXIT_TR_READ, 0x69) \
	X(SVM_VMEXIT_IDTR_WRITE, 0x6A) \
	X(SVM_VMEXIT_GDTR_WRITE, 0x6B) \
	X(SVM_VMEXIT_LDTR_WRITE, 0x6C) \
	X(SVM_VMEXIT_TR_WRITE, 0x6D) \
	X(SVM_VMEXIT_RDTSC, 0x6E) \
	X(SVM_VMEXIT_RDPMC, 0x6F) \
	X(SVM_VMEXIT_PUSHF, 0x70) \
	X(SVM_VMEXIT_POPF, 0x71) \
	X(SVM_VMEXIT_CPUID, 0x72) \
	X(SVM_VMEXIT_RSM, 0x73) \
	X(SVM_VMEXIT_IRET, 0x74) \
	X(SVM_VMEXIT_SWINT, 0x75) \
	X(SVM_VMEXIT_INVD, 0x76) \
	X(SVM_VMEXIT_PAUSE, 0x77) \
	X(SVM_VMEXIT_HLT, 0x78) \
	X(SVM_VMEXIT_INVLPG, 0x79) \
	X(SVM_VMEXIT_INVLPGA, 0x7A) \
	X(SVM_VMEXIT_IOIO, 0x7B) \
	X(SVM_VMEXIT_MSR, 0x7C) \
	X(SVM_VMEXIT_TASK_SWITCH, 0x7D) \
	X(SVM_VMEXIT_FERR_FREEZE, 0x7E) \
	X(SVM_VMEXIT_SHUTDOWN, 0x7F) \
	X(SVM_VMEXIT_VMRUN, 0x80) \
	X(SVM_VMEXIT_VMMCALL, 0x81) \
	X(SVM_VMEXIT_VMLOAD, 0x82) \
	X(SVM_VMEXIT_VMSAVE, 0x83) \
	X(SVM_VMEXIT_STGI, 0x84) \
	X(SVM_VMEXIT_CLGI, 0x85) \
	X(SVM_VMEXIT_SKINIT, 0x86) \
	X(SVM_VMEXIT_RDTSCP, 0x87) \
	X(SVM_VMEXIT_ICEBP, 0x88) \
	X(SVM_VMEXIT_WBINVD, 0x89) \
	X(SVM_VMEXIT_MONITOR, 0x8A) \
	X(SVM_VMEXIT_MWAIT, 0x8B) \
	X(SVM_VMEXIT_MWAIT_CONDITIONAL, 0x8C) \
	X(SVM_VMEXIT_XSETBV, 0x8D) \
	X(SVM_VMEXIT_EFER_WRITE_TRAP, 0x8F) \
	X(SVM_VMEXIT_CR0_WRITE_TRAP, 0x90) \
	X(SVM_VMEXIT_CR1_WRITE_TRAP, 0x91) \
	X(SVM_VMEXIT_CR2_WRITE_TRAP, 0x92) \
	X(SVM_VMEXIT_CR3_WRITE_TRAP, 0x93) \
	X(SVM_VMEXIT_CR4_WRITE_TRAP, 0x94) \
	X(SVM_VMEXIT_CR5_WRITE_TRAP, 0x95) \
	X(SVM_VMEXIT_CR6_WRITE_TRAP, 0x96) \
	X(SVM_VMEXIT_CR7_WRITE_TRAP, 0x97) \
	X(SVM_VMEXIT_CR8_WRITE_TRAP, 0x98) \
	X(SVM_VMEXIT_CR9_WRITE_TRAP, 0x99) \
	X(SVM_VMEXIT_CR10_WRITE_TRAP, 0x9a) \
	X(SVM_VMEXIT_CR11_WRITE_TRAP, 0x9b) \
	X(SVM_VMEXIT_CR12_WRITE_TRAP, 0x9c) \
	X(SVM_VMEXIT_CR13_WRITE_TRAP, 0x9d) \
	X(SVM_VMEXIT_CR14_WRITE_TRAP, 0x9e) \
	X(SVM_VMEXIT_CR15_WRITE_TRAP, 0x9f) \
	X(SVM_VMEXIT_NPF, 0x400) \
	X(SVM_VMEXIT_AVIC_INCOMPLETE_IPI, 0x401) \
	X(SVM_VMEXIT_AVIC_NOACCEL, 0x402) \
	X(SVM_VMEXIT_VMGEXIT, 0x403) \
	X(SVM_VMEXIT_INVALID, -1) \
	X(VMM_CPUIDECX_MASK, 0xfed93203) \
	X(VMM_CPUIDEDX_MASK, 0x479bad7f) \
	X(VMM_ECPUIDECX_MASK, 0xdffffffb) \
	X(VMM_FEAT_EFLAGS_MASK, 0xf7ffffff) \
	X(VMM_SEFF0EBX_MASK, 0x219ca3e9) \
	X(VMM_SEFF0ECX_MASK, 0xfffffffd) \
	X(VMM_SEFF0EDX_MASK, 0x00000400) \
	X(VMM_AMDSPEC_EBX_MASK, 0xf8f82fff) \
	X(VMM_CPUID4_CACHE_TOPOLOGY_MASK, 0x3ff)

/* Fields whose signedness or type a client could notice. */
#define ABI_SIGNED(X) \
	X(struct vm_exit, cpl, 1) \
	X(struct vm_info_result, vir_creator_pid, 1) \
	X(struct vm_info_result, vir_id, 0) \
	X(struct vm_mprotect_ept_params, vmep_prot, 1)

#endif /* ABI_H */
