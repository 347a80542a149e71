/* SPDX-License-Identifier: ISC */
/*
 * x86.h - bits of registers, descriptors and page tables that a guest starts
 * with.
 */
#ifndef X86_H
#define X86_H

/* SDM Vol. 3A 2.5 "Control Registers", 2.2.1 "Extended Feature Enable ...". */
#define CR0_PE		0x00000001UL
#define CR0_ET		0x00000010UL
#define CR0_NE		0x00000020UL
#define CR0_PG		0x80000000UL
#define CR4_PAE		0x00000020UL
#define EFER_LME	0x00000100UL
#define EFER_LMA	0x00000400UL

/* vsi_ar: type, S, P in bits 0-7; L 13, D/B 14, G 15, unusable 16. */
#define AR_CODE		0x009b
#define AR_DATA		0x0093
#define AR_TSS		0x008b		/* busy, 32-bit or 64-bit by mode */
#define AR_L		0x2000
#define AR_DB		0x4000
#define AR_G		0x8000
#define AR_UNUSABLE	0x10000

/* Page-table entries: present, writable, user, large. */
#define PTE_P		0x01UL
#define PTE_RW		0x02UL
#define PTE_US		0x04UL
#define PTE_PS		0x80UL

#define HUGE_PAGE	0x200000UL

#endif /* X86_H */
