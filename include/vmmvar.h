/* SPDX-License-Identifier: ISC */
/*
 * vmmvar.h - the OpenBSD 6.9 amd64 vmm(4) interface.
 *
 * The whole interface between a client and /dev/vmm: eleven ioctls, the
 * structures they carry, and the numbers in them. Written for plain C11 user
 * space; a kernel that includes it supplies <stddef.h>, <stdint.h> and
 * <sys/ioctl.h> of its own. tests/unit/check_abi.c asserts every size,
 * offset, constant and ioctl number.
 *
 * Names are exactly those of the reference, so a client written for it
 * compiles unchanged. Where a field's meaning differs, docs/book says so in
 * "Differences from OpenBSD".
 */
#ifndef VMMVAR_H
#define VMMVAR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define VMM_HV_SIGNATURE	"OpenBSDVMM58"	/* CPUID 0x40000000 */

/* Limits. */
#define VMM_MAX_MEM_RANGES	16
#define VMM_MAX_DISKS_PER_VM	4
#define VMM_MAX_PATH_DISK	128
#define VMM_MAX_PATH_CDROM	128
#define VMM_MAX_NAME_LEN	64
#define VMM_MAX_KERNEL_PATH	128
#define VMM_MAX_VCPUS_PER_VM	64
#define VMM_MAX_VM_MEM_SIZE	32768	/* MiB; bounds the highest GPA */
#define VMM_MAX_NICS_PER_VM	4

/* Where a client puts PCI BARs; guest memory may not overlap the MMIO hole. */
#define VMM_PCI_MMIO_BAR_BASE	0xF0000000ULL
#define VMM_PCI_MMIO_BAR_END	0xFFFFFFFFULL
#define VMM_PCI_MMIO_BAR_SIZE	0x00010000
#define VMM_PCI_IO_BAR_BASE	0x1000
#define VMM_PCI_IO_BAR_END	0xFFFF
#define VMM_PCI_IO_BAR_SIZE	0x1000

/* Ports the driver names. */
#define PCKBC_AUX		0x61
#define ELCR0			0x4D0
#define ELCR1			0x4D1

/* vrp_exit_reason, beside the hardware's own codes below. */
#define VM_EXIT_TERMINATED	0xFFFE	/* the VM was terminated */
#define VM_EXIT_NONE		0xFFFF	/* no exit: a signal is pending */
#define VMX_MAX_CR3_TARGETS	256

/* vir_vcpu_state[]. */
enum {
	VCPU_STATE_STOPPED,
	VCPU_STATE_RUNNING,
	VCPU_STATE_REQTERM,
	VCPU_STATE_TERMINATED,
	VCPU_STATE_UNKNOWN,
};

/* vei_dir. */
enum {
	VEI_DIR_OUT,
	VEI_DIR_IN,
};

/* vee_fault_type. */
enum {
	VEE_FAULT_PROTECT,
};

/* A guest's operating mode; never carried by an ioctl. */
enum {
	VMM_CPU_MODE_REAL,
	VMM_CPU_MODE_PROT,
	VMM_CPU_MODE_PROT32,
	VMM_CPU_MODE_COMPAT,
	VMM_CPU_MODE_LONG,
	VMM_CPU_MODE_UNKNOWN,
};

/* Exception vectors. */
enum {
	VMM_EX_DE = 0,
	VMM_EX_DB = 1,
	VMM_EX_NMI = 2,
	VMM_EX_BP = 3,
	VMM_EX_OF = 4,
	VMM_EX_BR = 5,
	VMM_EX_UD = 6,
	VMM_EX_NM = 7,
	VMM_EX_DF = 8,
	VMM_EX_CP = 9,
	VMM_EX_TS = 10,
	VMM_EX_NP = 11,
	VMM_EX_SS = 12,
	VMM_EX_GP = 13,
	VMM_EX_PF = 14,
	VMM_EX_MF = 16,
	VMM_EX_AC = 17,
	VMM_EX_MC = 18,
	VMM_EX_XM = 19,
	VMM_EX_VE = 20,
};

/* vrs_gprs[]. Not the order of the instruction encoding. */
enum {
	VCPU_REGS_RAX,
	VCPU_REGS_RBX,
	VCPU_REGS_RCX,
	VCPU_REGS_RDX,
	VCPU_REGS_RSI,
	VCPU_REGS_RDI,
	VCPU_REGS_R8,
	VCPU_REGS_R9,
	VCPU_REGS_R10,
	VCPU_REGS_R11,
	VCPU_REGS_R12,
	VCPU_REGS_R13,
	VCPU_REGS_R14,
	VCPU_REGS_R15,
	VCPU_REGS_RSP,
	VCPU_REGS_RBP,
	VCPU_REGS_RIP,
	VCPU_REGS_RFLAGS,
	VCPU_REGS_NGPRS,
};

/* vrs_crs[]. */
enum {
	VCPU_REGS_CR0,
	VCPU_REGS_CR2,
	VCPU_REGS_CR3,
	VCPU_REGS_CR4,
	VCPU_REGS_CR8,
	VCPU_REGS_XCR0,
	VCPU_REGS_PDPTE0,
	VCPU_REGS_PDPTE1,
	VCPU_REGS_PDPTE2,
	VCPU_REGS_PDPTE3,
	VCPU_REGS_NCRS,
};

/* vrs_sregs[]. */
enum {
	VCPU_REGS_CS,
	VCPU_REGS_DS,
	VCPU_REGS_ES,
	VCPU_REGS_FS,
	VCPU_REGS_GS,
	VCPU_REGS_SS,
	VCPU_REGS_LDTR,
	VCPU_REGS_TR,
	VCPU_REGS_NSREGS,
};

/* vrs_msrs[]. */
enum {
	VCPU_REGS_EFER,
	VCPU_REGS_STAR,
	VCPU_REGS_LSTAR,
	VCPU_REGS_CSTAR,
	VCPU_REGS_SFMASK,
	VCPU_REGS_KGSBASE,
	VCPU_REGS_MISC_ENABLE,
	VCPU_REGS_NMSRS,
};

/* vrs_drs[]. */
enum {
	VCPU_REGS_DR0,
	VCPU_REGS_DR1,
	VCPU_REGS_DR2,
	VCPU_REGS_DR3,
	VCPU_REGS_DR6,
	VCPU_REGS_DR7,
	VCPU_REGS_NDRS,
};

/* vrwp_mask: which register groups. SREGS covers GDTR and IDTR. */
#define VM_RWREGS_GPRS		0x1
#define VM_RWREGS_SREGS		0x2
#define VM_RWREGS_CRS		0x4
#define VM_RWREGS_MSRS		0x8
#define VM_RWREGS_DRS		0x10
#define VM_RWREGS_ALL	(VM_RWREGS_GPRS | VM_RWREGS_SREGS | VM_RWREGS_CRS | \
			 VM_RWREGS_MSRS | VM_RWREGS_DRS)

/* vpp_mask. */
#define VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA	0x1
#define VM_RWVMPARAMS_PVCLOCK_VERSION		0x2
#define VM_RWVMPARAMS_ALL	(VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA | \
				 VM_RWVMPARAMS_PVCLOCK_VERSION)

/*
 * vrp_exit_reason on Intel: the basic exit reason.
 * SDM Vol. 3D Appendix C "VMX Basic Exit Reasons".
 */
#define VMX_EXIT_NMI				0
#define VMX_EXIT_EXTINT				1
#define VMX_EXIT_TRIPLE_FAULT			2
#define VMX_EXIT_INIT				3
#define VMX_EXIT_SIPI				4
#define VMX_EXIT_IO_SMI				5
#define VMX_EXIT_OTHER_SMI			6
#define VMX_EXIT_INT_WINDOW			7
#define VMX_EXIT_NMI_WINDOW			8
#define VMX_EXIT_TASK_SWITCH			9
#define VMX_EXIT_CPUID				10
#define VMX_EXIT_GETSEC				11
#define VMX_EXIT_HLT				12
#define VMX_EXIT_INVD				13
#define VMX_EXIT_INVLPG				14
#define VMX_EXIT_RDPMC				15
#define VMX_EXIT_RDTSC				16
#define VMX_EXIT_RSM				17
#define VMX_EXIT_VMCALL				18
#define VMX_EXIT_VMCLEAR			19
#define VMX_EXIT_VMLAUNCH			20
#define VMX_EXIT_VMPTRLD			21
#define VMX_EXIT_VMPTRST			22
#define VMX_EXIT_VMREAD				23
#define VMX_EXIT_VMRESUME			24
#define VMX_EXIT_VMWRITE			25
#define VMX_EXIT_VMXOFF				26
#define VMX_EXIT_VMXON				27
#define VMX_EXIT_CR_ACCESS			28
#define VMX_EXIT_MOV_DR				29
#define VMX_EXIT_IO				30
#define VMX_EXIT_RDMSR				31
#define VMX_EXIT_WRMSR				32
#define VMX_EXIT_ENTRY_FAILED_GUEST_STATE	33
#define VMX_EXIT_ENTRY_FAILED_MSR_LOAD		34
#define VMX_EXIT_MWAIT				36
#define VMX_EXIT_MTF				37
#define VMX_EXIT_MONITOR			39
#define VMX_EXIT_PAUSE				40
#define VMX_EXIT_ENTRY_FAILED_MCE		41
#define VMX_EXIT_TPR_BELOW_THRESHOLD		43
#define VMX_EXIT_APIC_ACCESS			44
#define VMX_EXIT_VIRTUALIZED_EOI		45
#define VMX_EXIT_GDTR_IDTR			46
#define VMX_EXIT_LDTR_TR			47
#define VMX_EXIT_EPT_VIOLATION			48
#define VMX_EXIT_EPT_MISCONFIGURATION		49
#define VMX_EXIT_INVEPT				50
#define VMX_EXIT_RDTSCP				51
#define VMX_EXIT_VMX_PREEMPTION_TIMER_EXPIRED	52
#define VMX_EXIT_INVVPID			53
#define VMX_EXIT_WBINVD				54
#define VMX_EXIT_XSETBV				55
#define VMX_EXIT_APIC_WRITE			56
#define VMX_EXIT_RDRAND				57
#define VMX_EXIT_INVPCID			58
#define VMX_EXIT_VMFUNC				59
#define VMX_EXIT_RDSEED				61
#define VMX_EXIT_XSAVES				63
#define VMX_EXIT_XRSTORS			64

/*
 * vrp_exit_reason on AMD: the low 16 bits of EXITCODE.
 * APM Vol. 2 Appendix C "SVM Intercept Exit Codes".
 */
#define SVM_VMEXIT_CR0_READ			0x00
#define SVM_VMEXIT_CR1_READ			0x01
#define SVM_VMEXIT_CR2_READ			0x02
#define SVM_VMEXIT_CR3_READ			0x03
#define SVM_VMEXIT_CR4_READ			0x04
#define SVM_VMEXIT_CR5_READ			0x05
#define SVM_VMEXIT_CR6_READ			0x06
#define SVM_VMEXIT_CR7_READ			0x07
#define SVM_VMEXIT_CR8_READ			0x08
#define SVM_VMEXIT_CR9_READ			0x09
#define SVM_VMEXIT_CR10_READ			0x0A
#define SVM_VMEXIT_CR11_READ			0x0B
#define SVM_VMEXIT_CR12_READ			0x0C
#define SVM_VMEXIT_CR13_READ			0x0D
#define SVM_VMEXIT_CR14_READ			0x0E
#define SVM_VMEXIT_CR15_READ			0x0F
#define SVM_VMEXIT_CR0_WRITE			0x10
#define SVM_VMEXIT_CR1_WRITE			0x11
#define SVM_VMEXIT_CR2_WRITE			0x12
#define SVM_VMEXIT_CR3_WRITE			0x13
#define SVM_VMEXIT_CR4_WRITE			0x14
#define SVM_VMEXIT_CR5_WRITE			0x15
#define SVM_VMEXIT_CR6_WRITE			0x16
#define SVM_VMEXIT_CR7_WRITE			0x17
#define SVM_VMEXIT_CR8_WRITE			0x18
#define SVM_VMEXIT_CR9_WRITE			0x19
#define SVM_VMEXIT_CR10_WRITE			0x1A
#define SVM_VMEXIT_CR11_WRITE			0x1B
#define SVM_VMEXIT_CR12_WRITE			0x1C
#define SVM_VMEXIT_CR13_WRITE			0x1D
#define SVM_VMEXIT_CR14_WRITE			0x1E
#define SVM_VMEXIT_CR15_WRITE			0x1F
#define SVM_VMEXIT_DR0_READ			0x20
#define SVM_VMEXIT_DR1_READ			0x21
#define SVM_VMEXIT_DR2_READ			0x22
#define SVM_VMEXIT_DR3_READ			0x23
#define SVM_VMEXIT_DR4_READ			0x24
#define SVM_VMEXIT_DR5_READ			0x25
#define SVM_VMEXIT_DR6_READ			0x26
#define SVM_VMEXIT_DR7_READ			0x27
#define SVM_VMEXIT_DR8_READ			0x28
#define SVM_VMEXIT_DR9_READ			0x29
#define SVM_VMEXIT_DR10_READ			0x2A
#define SVM_VMEXIT_DR11_READ			0x2B
#define SVM_VMEXIT_DR12_READ			0x2C
#define SVM_VMEXIT_DR13_READ			0x2D
#define SVM_VMEXIT_DR14_READ			0x2E
#define SVM_VMEXIT_DR15_READ			0x2F
#define SVM_VMEXIT_DR0_WRITE			0x30
#define SVM_VMEXIT_DR1_WRITE			0x31
#define SVM_VMEXIT_DR2_WRITE			0x32
#define SVM_VMEXIT_DR3_WRITE			0x33
#define SVM_VMEXIT_DR4_WRITE			0x34
#define SVM_VMEXIT_DR5_WRITE			0x35
#define SVM_VMEXIT_DR6_WRITE			0x36
#define SVM_VMEXIT_DR7_WRITE			0x37
#define SVM_VMEXIT_DR8_WRITE			0x38
#define SVM_VMEXIT_DR9_WRITE			0x39
#define SVM_VMEXIT_DR10_WRITE			0x3A
#define SVM_VMEXIT_DR11_WRITE			0x3B
#define SVM_VMEXIT_DR12_WRITE			0x3C
#define SVM_VMEXIT_DR13_WRITE			0x3D
#define SVM_VMEXIT_DR14_WRITE			0x3E
#define SVM_VMEXIT_DR15_WRITE			0x3F
#define SVM_VMEXIT_EXCP0			0x40
#define SVM_VMEXIT_EXCP1			0x41
#define SVM_VMEXIT_EXCP2			0x42
#define SVM_VMEXIT_EXCP3			0x43
#define SVM_VMEXIT_EXCP4			0x44
#define SVM_VMEXIT_EXCP5			0x45
#define SVM_VMEXIT_EXCP6			0x46
#define SVM_VMEXIT_EXCP7			0x47
#define SVM_VMEXIT_EXCP8			0x48
#define SVM_VMEXIT_EXCP9			0x49
#define SVM_VMEXIT_EXCP10			0x4A
#define SVM_VMEXIT_EXCP11			0x4B
#define SVM_VMEXIT_EXCP12			0x4C
#define SVM_VMEXIT_EXCP13			0x4D
#define SVM_VMEXIT_EXCP14			0x4E
#define SVM_VMEXIT_EXCP15			0x4F
#define SVM_VMEXIT_EXCP16			0x50
#define SVM_VMEXIT_EXCP17			0x51
#define SVM_VMEXIT_EXCP18			0x52
#define SVM_VMEXIT_EXCP19			0x53
#define SVM_VMEXIT_EXCP20			0x54
#define SVM_VMEXIT_EXCP21			0x55
#define SVM_VMEXIT_EXCP22			0x56
#define SVM_VMEXIT_EXCP23			0x57
#define SVM_VMEXIT_EXCP24			0x58
#define SVM_VMEXIT_EXCP25			0x59
#define SVM_VMEXIT_EXCP26			0x5A
#define SVM_VMEXIT_EXCP27			0x5B
#define SVM_VMEXIT_EXCP28			0x5C
#define SVM_VMEXIT_EXCP29			0x5D
#define SVM_VMEXIT_EXCP30			0x5E
#define SVM_VMEXIT_EXCP31			0x5F
#define SVM_VMEXIT_INTR				0x60
#define SVM_VMEXIT_NMI				0x61
#define SVM_VMEXIT_SMI				0x62
#define SVM_VMEXIT_INIT				0x63
#define SVM_VMEXIT_VINTR			0x64
#define SVM_VMEXIT_CR0_SEL_WRITE		0x65
#define SVM_VMEXIT_IDTR_READ			0x66
#define SVM_VMEXIT_GDTR_READ			0x67
#define SVM_VMEXIT_LDTR_READ			0x68
#define SVM_VMEXIT_TR_READ			0x69
#define SVM_VMEXIT_IDTR_WRITE			0x6A
#define SVM_VMEXIT_GDTR_WRITE			0x6B
#define SVM_VMEXIT_LDTR_WRITE			0x6C
#define SVM_VMEXIT_TR_WRITE			0x6D
#define SVM_VMEXIT_RDTSC			0x6E
#define SVM_VMEXIT_RDPMC			0x6F
#define SVM_VMEXIT_PUSHF			0x70
#define SVM_VMEXIT_POPF				0x71
#define SVM_VMEXIT_CPUID			0x72
#define SVM_VMEXIT_RSM				0x73
#define SVM_VMEXIT_IRET				0x74
#define SVM_VMEXIT_SWINT			0x75
#define SVM_VMEXIT_INVD				0x76
#define SVM_VMEXIT_PAUSE			0x77
#define SVM_VMEXIT_HLT				0x78
#define SVM_VMEXIT_INVLPG			0x79
#define SVM_VMEXIT_INVLPGA			0x7A
#define SVM_VMEXIT_IOIO				0x7B
#define SVM_VMEXIT_MSR				0x7C
#define SVM_VMEXIT_TASK_SWITCH			0x7D
#define SVM_VMEXIT_FERR_FREEZE			0x7E
#define SVM_VMEXIT_SHUTDOWN			0x7F
#define SVM_VMEXIT_VMRUN			0x80
#define SVM_VMEXIT_VMMCALL			0x81
#define SVM_VMEXIT_VMLOAD			0x82
#define SVM_VMEXIT_VMSAVE			0x83
#define SVM_VMEXIT_STGI				0x84
#define SVM_VMEXIT_CLGI				0x85
#define SVM_VMEXIT_SKINIT			0x86
#define SVM_VMEXIT_RDTSCP			0x87
#define SVM_VMEXIT_ICEBP			0x88
#define SVM_VMEXIT_WBINVD			0x89
#define SVM_VMEXIT_MONITOR			0x8A
#define SVM_VMEXIT_MWAIT			0x8B
#define SVM_VMEXIT_MWAIT_CONDITIONAL		0x8C
#define SVM_VMEXIT_XSETBV			0x8D
#define SVM_VMEXIT_EFER_WRITE_TRAP		0x8F
#define SVM_VMEXIT_CR0_WRITE_TRAP		0x90
#define SVM_VMEXIT_CR1_WRITE_TRAP		0x91
#define SVM_VMEXIT_CR2_WRITE_TRAP		0x92
#define SVM_VMEXIT_CR3_WRITE_TRAP		0x93
#define SVM_VMEXIT_CR4_WRITE_TRAP		0x94
#define SVM_VMEXIT_CR5_WRITE_TRAP		0x95
#define SVM_VMEXIT_CR6_WRITE_TRAP		0x96
#define SVM_VMEXIT_CR7_WRITE_TRAP		0x97
#define SVM_VMEXIT_CR8_WRITE_TRAP		0x98
#define SVM_VMEXIT_CR9_WRITE_TRAP		0x99
#define SVM_VMEXIT_CR10_WRITE_TRAP		0x9A
#define SVM_VMEXIT_CR11_WRITE_TRAP		0x9B
#define SVM_VMEXIT_CR12_WRITE_TRAP		0x9C
#define SVM_VMEXIT_CR13_WRITE_TRAP		0x9D
#define SVM_VMEXIT_CR14_WRITE_TRAP		0x9E
#define SVM_VMEXIT_CR15_WRITE_TRAP		0x9F
#define SVM_VMEXIT_NPF				0x400
#define SVM_VMEXIT_AVIC_INCOMPLETE_IPI		0x401
#define SVM_VMEXIT_AVIC_NOACCEL			0x402
#define SVM_VMEXIT_VMGEXIT			0x403
#define SVM_VMEXIT_INVALID			-1

/* CPUID bits the reference lets through. See src/vmm/cpuid.c for ours. */
#define VMM_CPUIDECX_MASK			0xfed93203U
#define VMM_CPUIDEDX_MASK			0x479bad7fU
#define VMM_ECPUIDECX_MASK			0xdffffffbU
#define VMM_FEAT_EFLAGS_MASK			0xf7ffffffU
#define VMM_SEFF0EBX_MASK			0x219ca3e9U
#define VMM_SEFF0ECX_MASK			0xfffffffdU
#define VMM_SEFF0EDX_MASK			0x00000400U
#define VMM_AMDSPEC_EBX_MASK			0xf8f82fffU
#define VMM_CPUID4_CACHE_TOPOLOGY_MASK		0x000003ffU

/* An IN, OUT, INS or OUTS that the client is to finish. */
struct vm_exit_inout {
	uint8_t		vei_size;	/* bytes: 1, 2 or 4 */
	uint8_t		vei_dir;	/* VEI_DIR_OUT or VEI_DIR_IN */
	uint8_t		vei_rep;	/* 1: REP prefix */
	uint8_t		vei_string;	/* 1: INS or OUTS */
	uint8_t		vei_encoding;	/* VMX: 0 port in DX, 1 immediate */
	uint16_t	vei_port;
	uint32_t	vei_data;	/* EAX; for IN the client's answer */
};

/* A guest access that MPROTECT_EPT forbade. */
struct vm_exit_eptviolation {
	uint8_t		vee_fault_type;	/* VEE_FAULT_PROTECT */
};

/*
 * vsi_ar is in the VMX access-rights format on both vendors: bits 0-3 type,
 * 4 S, 5-6 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G, 16 unusable.
 */
struct vcpu_segment_info {
	uint16_t	vsi_sel;
	uint32_t	vsi_limit;	/* bytes - 1 */
	uint32_t	vsi_ar;
	uint64_t	vsi_base;
};

struct vcpu_reg_state {
	uint64_t			vrs_gprs[VCPU_REGS_NGPRS];
	uint64_t			vrs_crs[VCPU_REGS_NCRS];
	uint64_t			vrs_msrs[VCPU_REGS_NMSRS];
	uint64_t			vrs_drs[VCPU_REGS_NDRS];
	struct vcpu_segment_info	vrs_sregs[VCPU_REGS_NSREGS];
	struct vcpu_segment_info	vrs_gdtr;	/* base and limit */
	struct vcpu_segment_info	vrs_idtr;	/* base and limit */
};

/* [vmr_gpa, +vmr_size) of the guest is [vmr_va, +vmr_size) of the client. */
struct vm_mem_range {
	uint64_t	vmr_gpa;	/* 4 KiB aligned */
	uint64_t	vmr_va;		/* 4 KiB aligned */
	size_t		vmr_size;	/* bytes, 4 KiB aligned, not 0 */
};

/* What RUN reports through vrp_exit. */
struct vm_exit {
	union {
		struct vm_exit_inout		vei;
		struct vm_exit_eptviolation	vee;
	};
	struct vcpu_reg_state		vrs;
	int				cpl;
};

struct vm_create_params {
	size_t			vcp_nmemranges;
	size_t			vcp_ncpus;
	size_t			vcp_ndisks;	/* ignored by the driver */
	size_t			vcp_nnics;	/* ignored */
	struct vm_mem_range	vcp_memranges[VMM_MAX_MEM_RANGES];
	char			vcp_disks[VMM_MAX_DISKS_PER_VM]
				    [VMM_MAX_PATH_DISK];	/* ignored */
	char			vcp_cdrom[VMM_MAX_PATH_CDROM];	/* ignored */
	char			vcp_name[VMM_MAX_NAME_LEN];
	char			vcp_kernel[VMM_MAX_KERNEL_PATH]; /* ignored */
	uint8_t			vcp_macs[VMM_MAX_NICS_PER_VM][6]; /* ignored */
	uint32_t		vcp_id;		/* out */
};

struct vm_run_params {
	uint32_t	vrp_vm_id;
	uint32_t	vrp_vcpu_id;
	uint8_t		vrp_continue;	/* vrp_exit answers the last exit */
	uint16_t	vrp_irq;	/* vector to inject, 0xFFFF none */
	struct vm_exit	*vrp_exit;	/* in and out */
	uint16_t	vrp_exit_reason; /* out */
	uint8_t		vrp_irqready;	/* out */
};

struct vm_info_result {
	size_t		vir_memory_size;	/* MiB */
	size_t		vir_used_size;		/* bytes resident */
	size_t		vir_ncpus;
	uint8_t		vir_vcpu_state[VMM_MAX_VCPUS_PER_VM];
	int32_t		vir_creator_pid;
	uint32_t	vir_id;
	char		vir_name[VMM_MAX_NAME_LEN];
};

struct vm_info_params {
	size_t			vip_size;	/* in: bytes; out: needed */
	size_t			vip_info_ct;	/* out: entries written */
	struct vm_info_result	*vip_info;
};

struct vm_terminate_params {
	uint32_t	vtp_vm_id;
};

struct vm_resetcpu_params {
	uint32_t		vrp_vm_id;
	uint32_t		vrp_vcpu_id;
	struct vcpu_reg_state	vrp_init_state;
};

struct vm_intr_params {
	uint32_t	vip_vm_id;
	uint32_t	vip_vcpu_id;
	uint16_t	vip_intr;	/* level: nonzero, one is waiting */
};

struct vm_rwvmparams_params {
	uint32_t	vpp_vm_id;
	uint32_t	vpp_vcpu_id;
	uint32_t	vpp_mask;
	uint64_t	vpp_pvclock_system_gpa;
	uint32_t	vpp_pvclock_version;
};

struct vm_rwregs_params {
	uint32_t		vrwp_vm_id;
	uint32_t		vrwp_vcpu_id;
	uint64_t		vrwp_mask;
	struct vcpu_reg_state	vrwp_regs;
};

struct vm_mprotect_ept_params {
	uint32_t	vmep_vm_id;
	uint32_t	vmep_vcpu_id;
	uint64_t	vmep_sgpa;	/* 4 KiB aligned */
	size_t		vmep_size;	/* bytes, 4 KiB aligned, not 0 */
	int		vmep_prot;	/* 1 read, 2 write, 4 execute */
};

#define VMM_IOC_CREATE		_IOWR('V', 1, struct vm_create_params)
#define VMM_IOC_RUN		_IOWR('V', 2, struct vm_run_params)
#define VMM_IOC_INFO		_IOWR('V', 3, struct vm_info_params)
#define VMM_IOC_TERM		_IOW('V', 4, struct vm_terminate_params)
#define VMM_IOC_RESETCPU	_IOW('V', 5, struct vm_resetcpu_params)
#define VMM_IOC_INTR		_IOW('V', 6, struct vm_intr_params)
#define VMM_IOC_READREGS	_IOWR('V', 7, struct vm_rwregs_params)
#define VMM_IOC_WRITEREGS	_IOW('V', 8, struct vm_rwregs_params)
#define VMM_IOC_READVMPARAMS	_IOWR('V', 9, struct vm_rwvmparams_params)
#define VMM_IOC_WRITEVMPARAMS	_IOW('V', 10, struct vm_rwvmparams_params)
#define VMM_IOC_MPROTECT_EPT	_IOW('V', 11, struct vm_mprotect_ept_params)

#endif /* VMMVAR_H */
