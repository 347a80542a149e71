/* SPDX-License-Identifier: ISC */
/*
 * vmx_host.c - what a VM exit has to bring back of the host. The CPU loads
 * some of it from the VMCS and the MSR area, where it must stand before the
 * entry; the rest is put back by hand.
 */
#include <insn.h>

#include "vmm.h"
#include "vmx.h"

/*
 * Base of the TSS: a system descriptor has 16 bytes in 64-bit mode.
 *	SDM Vol. 3A 7.2.3 "TSS Descriptor in 64-bit mode"
 */
static uint64_t
vmx_tss_base(const struct insn_table *gdt, uint16_t sel)
{
	const uint64_t *d = (const uint64_t *)(uintptr_t)
	    (gdt->base + (sel & ~7U));

	return ((d[0] >> 16 & 0xffffff) | (d[0] >> 56) << 24 | d[1] << 32);
}

/*
 * GS base and SYSENTER with the rest: no thread of the host changes them in
 * the kernel. So of its STAR to SFMASK; KernelGSbase is a thread's own.
 *	SDM Vol. 3C 27.5 "Loading Host State"
 */
void
vmx_host_load_cpu(struct vmx_host *h)
{
	static const uint32_t index[VMX_NMSRS] = {
		MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_KGSBASE,
	};
	struct insn_table gdt, idt;
	uint16_t tr = insn_selector(VCPU_REGS_TR);
	int i;

	insn_sgdt(&gdt);
	insn_sidt(&idt);
	vmcs_write(VMCS_HOST_CR0, insn_read_cr0());
	vmcs_write(VMCS_HOST_TR_SEL, tr);
	vmcs_write(VMCS_HOST_TR_BASE, vmx_tss_base(&gdt, tr));
	vmcs_write(VMCS_HOST_GDTR_BASE, gdt.base);
	vmcs_write(VMCS_HOST_IDTR_BASE, idt.base);
	vmcs_write(VMCS_HOST_GS_BASE, insn_rdmsr(MSR_GSBASE));
	vmcs_write(VMCS_HOST_SYSENTER_CS,
	    (uint32_t)insn_rdmsr(MSR_SYSENTER_CS));
	vmcs_write(VMCS_HOST_SYSENTER_ESP, insn_rdmsr(MSR_SYSENTER_ESP));
	vmcs_write(VMCS_HOST_SYSENTER_EIP, insn_rdmsr(MSR_SYSENTER_EIP));
	for (i = 0; i < VMX_NMSRS; i++) {
		h->msrs->guest[i].index = h->msrs->host[i].index = index[i];
		h->msrs->host[i].value = insn_rdmsr(index[i]);
	}
}

/*
 * What an exit must bring back and the host's threads do not all share. An
 * exit leaves null in DS, ES, FS, GS and LDTR: selectors with RPL 3 or TI are
 * not allowed in the VMCS.
 *	SDM Vol. 3C 26.2.3 "Checks on Host Segment and Descriptor-Table
 *	Registers", 27.5 "Loading Host State"
 */
void
vmx_host_save(struct vmx_host *h)
{
	uint16_t *sel = h->sel;

	VMX_FIELD(h, cr3, VMCS_HOST_CR3, insn_read_cr3());
	VMX_FIELD(h, cr4, VMCS_HOST_CR4, insn_read_cr4());
	VMX_FIELD(h, fs_base, VMCS_HOST_FS_BASE, insn_rdmsr(MSR_FSBASE));
	h->msrs->host[VMX_KGSBASE].value = insn_rdmsr(MSR_KGSBASE);
	sel[VCPU_REGS_DS] = insn_selector(VCPU_REGS_DS);
	sel[VCPU_REGS_ES] = insn_selector(VCPU_REGS_ES);
	sel[VCPU_REGS_FS] = insn_selector(VCPU_REGS_FS);
	sel[VCPU_REGS_GS] = insn_selector(VCPU_REGS_GS);
	sel[VCPU_REGS_LDTR] = insn_selector(VCPU_REGS_LDTR);
	h->sels = (sel[VCPU_REGS_DS] | sel[VCPU_REGS_ES] |
	    sel[VCPU_REGS_FS] | sel[VCPU_REGS_GS] | sel[VCPU_REGS_LDTR]) != 0;
}

/*
 * The LDT, then the selectors that may name it, then the bases that loading
 * these changed.
 */
void
vmx_host_restore(const struct vmx_host *h)
{
	int i;

	host_restore();
	if (!h->sels)
		return;
	if (h->sel[VCPU_REGS_LDTR] != 0)
		host_load_selector(VCPU_REGS_LDTR, h->sel[VCPU_REGS_LDTR]);
	for (i = 0; i < VCPU_REGS_LDTR; i++)
		if (h->sel[i] != 0)
			host_load_selector(i, h->sel[i]);
	insn_wrmsr(MSR_FSBASE, h->fs_base);
	insn_wrmsr(MSR_KGSBASE, h->msrs->host[VMX_KGSBASE].value);
}
