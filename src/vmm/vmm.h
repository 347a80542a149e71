/* SPDX-License-Identifier: ISC */
/*
 * vmm.h - the driver's own structures.
 *
 * Lock order, outermost first (ranks for host_mutex_init):
 *
 *	vmm_lock	the VM list, ids, references, VMM mode of the CPUs
 *	vcpu.lock	vcpu.state, and the registers while not RUNNING
 *	vm.lock		the nested page table
 *
 * While a VCPU is RUNNING its registers belong to the thread inside RUN,
 * which holds no lock across an entry. The only fields that others touch then
 * are `state`, `intr` and `cpu`, with atomic accesses.
 */
#ifndef VMM_VMM_H
#define VMM_VMM_H

#include "host.h"
#include "hv.h"
#include "vmmvar.h"

#define RANK_VMM	10
#define RANK_VCPU	20
#define RANK_VM		30

/* Architectural bits that the driver names. */
#define CR0_PE		0x00000001UL
#define CR0_TS		0x00000008UL
#define CR0_ET		0x00000010UL
#define CR0_NE		0x00000020UL
#define CR0_WP		0x00010000UL
#define CR0_NW		0x20000000UL
#define CR0_CD		0x40000000UL
#define CR0_PG		0x80000000UL
#define CR0_DEFINED	0xe005003fUL

#define CR4_VME		0x00000001UL
#define CR4_PVI		0x00000002UL
#define CR4_TSD		0x00000004UL
#define CR4_DE		0x00000008UL
#define CR4_PSE		0x00000010UL
#define CR4_PAE		0x00000020UL
#define CR4_MCE		0x00000040UL
#define CR4_PGE		0x00000080UL
#define CR4_PCE		0x00000100UL
#define CR4_OSFXSR	0x00000200UL
#define CR4_OSXMMEXCPT	0x00000400UL
#define CR4_UMIP	0x00000800UL
#define CR4_LA57	0x00001000UL
#define CR4_VMXE	0x00002000UL
#define CR4_FSGSBASE	0x00010000UL
#define CR4_PCIDE	0x00020000UL
#define CR4_OSXSAVE	0x00040000UL
#define CR4_SMEP	0x00100000UL
#define CR4_SMAP	0x00200000UL
#define CR4_PKE		0x00400000UL

/* MSRs that a vendor switches, or firmware locks; msr.c has the rest. */
#define MSR_FEATURE_CONTROL	0x0000003aU
#define MSR_SYSENTER_CS	0x00000174U
#define MSR_SYSENTER_ESP	0x00000175U
#define MSR_SYSENTER_EIP	0x00000176U
#define MSR_PAT		0x00000277U
#define MSR_STAR	0xc0000081U
#define MSR_LSTAR	0xc0000082U
#define MSR_CSTAR	0xc0000083U
#define MSR_SFMASK	0xc0000084U
#define MSR_FSBASE	0xc0000100U
#define MSR_GSBASE	0xc0000101U
#define MSR_KGSBASE	0xc0000102U

#define MSR_EFER	0xc0000080U
#define EFER_SCE	0x00000001UL
#define EFER_LME	0x00000100UL
#define EFER_LMA	0x00000400UL
#define EFER_NXE	0x00000800UL
#define EFER_SVME	0x00001000UL
#define EFER_FFXSR	0x00004000UL

#define RFLAGS_MBS	0x00000002UL	/* must be set */
#define RFLAGS_TF	0x00000100UL
#define RFLAGS_IF	0x00000200UL
#define RFLAGS_RF	0x00010000UL
#define RFLAGS_VM	0x00020000UL
#define RFLAGS_AC	0x00040000UL

#define DR6_INIT	0xffff0ff0UL
#define DR6_BD		0x00002000UL
#define DR6_BS		0x00004000UL
#define DR7_INIT	0x00000400UL
#define DR7_GD		0x00002000UL
#define DR6_WRITABLE	0x0000e00fUL
#define DR7_WRITABLE	0xffff23ffUL
#define DR7_ENABLED	0x000000ffUL	/* any L or G bit */

#define XCR0_X87	0x1UL
#define XCR0_SSE	0x2UL
#define XCR0_AVX	0x4UL

#define PDPTE_RESERVED	0x1e6UL		/* below the address */

#define PAT_RESET	0x0007040600070406UL
/* Every memory type write-back: guest memory is, whatever its PAT says. */
#define PAT_ALL_WB	0x0606060606060606UL

/* vsi_ar. */
#define SEG_RW		0x00002		/* data: writable, code: readable */
#define SEG_DOWN	0x00004		/* data: expands down */
#define SEG_CODE	0x00008
#define SEG_P		0x00080
#define SEG_L		0x02000
#define SEG_DB		0x04000
#define SEG_G		0x08000
#define SEG_UNUSABLE	0x10000

/*
 * npt.c - nested page tables: EPT or NPT, one walker.
 */
struct npt_format {
	uint64_t	table;		/* entry that points to a table */
	uint64_t	leaf;		/* every leaf */
	uint64_t	large;		/* leaf above the last level */
	uint64_t	r, w, x;	/* set when allowed */
	uint64_t	nx;		/* set when X is not allowed */
	uint64_t	withheld;	/* large leaf: X allowed, not given */
	uint64_t	present;	/* any of these: the entry is in use */
	unsigned int	max_order;	/* ORDER_2M or ORDER_1G */
	bool		exec_only;	/* X without R is possible */
};

struct npt {
	const struct npt_format	*fmt;
	uint64_t	*root;
	uint64_t	 pages;		/* 4 KiB pages mapped */
	uint64_t	 tables;	/* pages of tables, root included */
};

struct npt_leaf {
	uint64_t	hpa;		/* of the leaf's start */
	uint64_t	gpa;		/* of the leaf's start */
	unsigned int	order;
	uint8_t		prot;		/* NPT_R | NPT_W | NPT_X */
};

int	 npt_init(struct npt *, const struct npt_format *);
void	 npt_free(struct npt *);
bool	 npt_lookup(const struct npt *, uint64_t gpa, struct npt_leaf *);
unsigned int npt_fit(const struct npt *, uint64_t gpa, unsigned int order);
int	 npt_map(struct npt *, uint64_t gpa, uint64_t hpa, unsigned int order,
	    uint8_t prot);
int	 npt_protect(struct npt *, uint64_t gpa, uint64_t size, uint8_t prot);

/*
 * vm.c - virtual machines.
 */
struct vm {
	struct vm		*next;		/* vmm_lock; newest first */
	unsigned int		 refs;		/* vmm_lock */
	struct vmm_file		*owner;		/* open file that created it */
	uint32_t		 id;
	int32_t			 pid;		/* creator */
	uint32_t		 uid;		/* creator */
	char			 name[VMM_MAX_NAME_LEN];

	struct host_as		*as;		/* whose memory it is */
	uint64_t		 pages;		/* 4 KiB pages in all ranges */
	unsigned int		 nranges;
	struct vm_mem_range	 range[VMM_MAX_MEM_RANGES];

	struct host_mutex	 lock;
	struct npt		 npt;		/* lock */
	uint64_t		 npt_gen;	/* atomic; rights shrank */

	uint64_t		 base_tsc;	/* pvclock: the VM's one line */
	uint64_t		 base_ns;

	unsigned int		 ncpus;
	struct vcpu		*vcpu[VMM_MAX_VCPUS_PER_VM];
};

/*
 * vcpu.c - virtual CPUs.
 *
 * cr0, cr4 and efer are what the guest believes: every write of them exits.
 * What the CPU runs with adds and hides host-owned bits; the vendor does that.
 */
#define DIRTY_CR	0x1	/* cr0, cr2, cr4, efer, pdpte */
#define DIRTY_DR	0x2	/* dr, dr6, dr7 */

struct vcpu {
	struct vm		*vm;
	uint32_t		 id;
	struct host_mutex	 lock;
	int			 state;		/* atomic; written under lock */
	int			 cpu;		/* atomic; runs there, or -1 */
	int			 last_cpu;	/* may hold its state; or -1 */
	uint16_t		 intr;		/* atomic; level of INTR */

	/* Registers. */
	uint64_t		 gpr[VCPU_REGS_NGPRS];
	uint64_t		 cr0, cr2, cr4, cr8, efer;
	uint64_t		 pdpte[4];
	uint64_t		 xcr0;
	uint64_t		 dr[4], dr6, dr7;
	uint64_t		 pat, misc_enable;
	bool			 shadow;	/* STI or MOV SS shadow */
	bool			 cs_l;		/* CS.L; the vendor keeps it */
	unsigned int		 dirty;		/* DIRTY_* */
	void			*fpu;		/* one page: XSAVE area */

	/* Events. */
	struct hv_event		 event;		/* in flight: deliver first */
	struct hv_event		 exception;	/* queued by an exit */
	uint64_t		 irq[4];	/* vectors 1..255 waiting */
	bool			 irq0;		/* vector 0, this entry only */
	bool			 window;	/* hv->window() is on */
	uint8_t			 in_pending;	/* bytes an IN waits for */

	/* pvclock. */
	uint64_t		 pvclock_gpa;	/* as written: bit 0 enables */
	uint32_t		 pvclock_version;

	uint64_t		 npt_gen;	/* of the last entry */
	uint64_t		 exits[VMEXIT_NKINDS];	/* so far; atomic */
	uint64_t		 traced;	/* records so far; atomic */
	struct trace_record	*trace;
	struct entry_broken	 broken;	/* by a refused entry */
	struct {			/* gmem.c; the RUN thread's alone */
		uint64_t	 gpa;	/* of a page, bit 0 set: valid */
		char		*va;
	} page[8];
	struct vm_exit		 exit;		/* what RUN reports */
	void			*hv;		/* the vendor's part */
};

/* What an exit handler decides; a positive value is RUN's errno. */
#define EXIT_RESUME	0	/* enter again */
#define EXIT_USER	(-1)	/* RUN returns to the client */

/* vmm.c */
extern const struct hv_ops *hv;
#define vmm_log(...)	host_log(true, "vmm0: " __VA_ARGS__)

/* vm.c */
int	 vm_ranges_check(const struct vm_create_params *, uint64_t *pages);
int	 vm_create(const struct vm_create_params *, uint64_t pages,
	    const struct host_caller *, struct vm **);
void	 vm_free(struct vm *);
const struct vm_mem_range *vm_range(const struct vm *, uint64_t gpa);
int	 vm_fault(struct vm *, uint64_t gpa, uint64_t *hpa);
int	 vm_protect(struct vm *, const struct vm_mprotect_ept_params *);

/* vcpu.c; vcpu_move: what happens to a VCPU, and so may change its state. */
enum vcpu_event {
	VCPU_EVENT_RUN,		/* RUN begins */
	VCPU_EVENT_LEAVE,	/* RUN returns, for the client to go on */
	VCPU_EVENT_FAIL,	/* RUN returns an error: the VCPU has ended */
	VCPU_EVENT_TERM,	/* TERM */
};
int	 vcpu_move(struct vcpu *, enum vcpu_event);
int	 vcpu_create(struct vm *, uint32_t id, struct vcpu **);
void	 vcpu_free(struct vcpu *);
int	 vcpu_reset(struct vcpu *, const struct vcpu_reg_state *);
int	 vcpu_run(struct vcpu *, struct vm_run_params *);
void	 vcpu_kick(struct vcpu *);
void	 vcpu_skip(struct vcpu *, uint8_t len);
void	 vcpu_exception(struct vcpu *, uint8_t vector, uint32_t error);
void	 vcpu_fault(struct vcpu *, const struct hv_event *fault, uint64_t cr2);
void	 vcpu_irq_put(struct vcpu *, uint8_t vector);
bool	 vcpu_irq_waiting(const struct vcpu *);
bool	 vcpu_is_64(struct vcpu *);	/* 64-bit mode: LMA and CS.L */
int	 vcpu_cpl(const struct vcpu *, uint32_t ss_ar);

/*
 * regs.c - groups of registers between struct vcpu and the interface.
 * regs_write judges as regs_check does, regs_store does not judge.
 * regs_check_state comes after regs_check.
 */
void	 regs_read(struct vcpu *, uint64_t mask, struct vcpu_reg_state *);
int	 regs_write(struct vcpu *, uint64_t mask,
	    const struct vcpu_reg_state *);
void	 regs_store(struct vcpu *, uint64_t mask,
	    const struct vcpu_reg_state *);
int	 regs_check(uint64_t mask, const struct vcpu_reg_state *);
int	 regs_check_state(const struct vcpu_reg_state *);
uint64_t regs_cr4_allowed(void);
uint64_t regs_efer_allowed(void);
bool	 regs_pdptes_valid(const uint64_t *pdpte);
bool	 regs_xcr0_valid(uint64_t xcr0);
bool	 regs_canonical(uint64_t);
bool	 regs_pat_valid(uint64_t);

/* fpu.c - x87, SSE and AVX state. fpu_reset also resets XCR0. */
extern uint64_t fpu_xcr0;		/* a guest may set; 0: no XSAVE */
void	 fpu_attach(void);
void	 fpu_reset(struct vcpu *);
void	 fpu_enter(struct vcpu *);
void	 fpu_leave(struct vcpu *);

/*
 * trace.c - what happened to a VCPU last: a ring of records, always on, which
 * a debugger reads in memory and a client as a view (decisions.md B3).
 */
#define TRACE_ORDER	1		/* pages of a ring */
#define TRACE_RECORDS	((PAGE_SIZE_4K << TRACE_ORDER) / 64)

struct trace_record {			/* 64 bytes */
	uint64_t	nr;		/* counts from 1; 0: being written */
	uint64_t	begin, end;	/* TSC around the guest, or the call */
	uint64_t	rip[2];		/* at entry and at exit */
	uint64_t	info[2];	/* EXITINFO1 and 2; qualification */
	union {
		struct {
			uint32_t code;	/* of the exit; or the ioctl's number */
			uint16_t error;	/* of the ioctl */
			uint8_t	type;	/* enum trace_type */
			uint8_t	kind;	/* enum vmexit_kind */
		};
		uint64_t what;		/* these four in one store */
	};
};
enum trace_type { TRACE_EXIT, TRACE_IOCTL };

void	 trace_exit(struct vcpu *, const struct vmexit *, uint64_t begin,
	    uint64_t rip);
void	 trace_ioctl(struct vcpu *, uint32_t nr, uint64_t begin, int error);
void	 view_trace(struct vcpu *, vmm_put *, void *arg);

/* A debug build judges every entry by the rules, not only those refused. */
#ifndef CHECK_ENTRIES
#define CHECK_ENTRIES	0
#endif

/* exit.c - one function per exit kind. */
extern const char *const vmexit_name[VMEXIT_NKINDS];
int	 exit_handle(struct vcpu *, struct vmexit *);
void	 exit_explain(struct vcpu *, const char *what);
void	 exit_io_merge(uint64_t *rax, uint8_t size, uint32_t data);

/*
 * cpuid.c - cpuid_attach comes after fpu_attach.
 * cpuid_shows: whether the guest sees that feature bit. OSXSAVE: cpuid_guest.
 */
enum cpuid_word {
	CPUID_1_ECX, CPUID_1_EDX, CPUID_7_EBX, CPUID_7_ECX, CPUID_7_EDX,
	CPUID_E1_ECX, CPUID_E1_EDX, CPUID_NWORDS,
};
void	 cpuid_attach(void);
bool	 cpuid_shows(enum cpuid_word, unsigned int bit);
bool	 cpuid_host_svm(void);		/* the host CPU has SVM, not VMX */
void	 cpuid_guest(struct vcpu *, uint32_t leaf, uint32_t subleaf,
	    uint32_t out[4]);
uint64_t cpuid_phys_mask(void);		/* bits 0 .. MAXPHYADDR - 1 */

/*
 * msr.c - every MSR a guest can name.
 * msr_native: the guest may access it without an exit because the CPU
 * switches it. read/write: 0, or EINVAL: the guest gets #GP(0).
 */
bool	 msr_listed(size_t i, uint32_t *index);
bool	 msr_native(uint32_t index, bool write);
int	 msr_read(struct vcpu *, uint32_t index, uint64_t *);
int	 msr_write(struct vcpu *, uint32_t index, uint64_t);

/* pvclock.c */
void	 pvclock_init_vm(struct vm *);
int	 pvclock_set(struct vcpu *, uint64_t value);
void	 pvclock_reset(struct vcpu *);

/*
 * gmem.c - guest memory as the driver reads it.
 *
 * gpa_ptr: where `gpa` is, to the end of its 4 KiB page; taken if it was
 * not. The errno of vm_fault().
 * gmem_translate, gmem_read, gmem_write: through the guest's own paging with
 * the access rights of `access`. 0; EFAULT with fault->event.valid: the
 * exception the guest would get; else the errno of gpa_ptr().
 */
#define GMEM_R		0
#define GMEM_W		NPT_W
#define GMEM_X		NPT_X

struct gmem_fault {
	struct hv_event	event;
	uint64_t	cr2;		/* #PF only */
};
int	 gpa_ptr(struct vm *, uint64_t gpa, void **);
bool	 gpa_writable(struct vm *, uint64_t gpa);
int	 gmem_translate(struct vcpu *, uint64_t gva, int access,
	    uint64_t *gpa, struct gmem_fault *);
int	 gmem_ptr(struct vcpu *, uint64_t gva, int access, const uint8_t **,
	    struct gmem_fault *);
int	 gmem_read(struct vcpu *, uint64_t gva, void *, size_t, int access,
	    struct gmem_fault *);
int	 gmem_write(struct vcpu *, uint64_t gva, const void *, size_t,
	    struct gmem_fault *);

/*
 * decode.c - length and operands of the instructions that exit, for CPUs
 * that do not tell. Reads at most 15 bytes at RIP.
 * insn_decode: pure. 0, or EINVAL: not one of INSN_*, or longer than `n`.
 * insn_fetch: reads at CS:RIP and decodes. EFAULT: *fault; EINVAL.
 * insn_ea: linear address of the memory operand; insn_segment_fault: what
 * its segment has against it.
 */
enum insn_op {
	INSN_CPUID, INSN_HLT, INSN_RDMSR, INSN_WRMSR, INSN_XSETBV, INSN_INVD,
	INSN_WBINVD, INSN_CLTS, INSN_LMSW, INSN_SMSW, INSN_MOV_FROM_CR,
	INSN_MOV_TO_CR, INSN_MOV_FROM_DR, INSN_MOV_TO_DR, INSN_NOPS,
};

struct insn {
	uint8_t		op;		/* enum insn_op */
	uint8_t		len;		/* bytes, 1..15 */
	uint8_t		reg;		/* number of the CR or DR */
	uint8_t		gpr;		/* of vrs_gprs[]; operand if !mem */
	bool		mem;		/* LMSW, SMSW with a memory operand */
	uint8_t		opsize;		/* bytes: 2, 4, 8 */
	uint8_t		addrsize;	/* bytes: 2, 4, 8 */
	int8_t		seg;		/* VCPU_REGS_CS .. of the operand */
	int8_t		base, index;	/* index of vrs_gprs[], -1 none */
	uint8_t		scale;		/* 1, 2, 4, 8 */
	bool		riprel;		/* base is the next RIP */
	int32_t		disp;
};

extern const uint8_t insn_gpr[16];	/* of vrs_gprs[], as encoded */
int	 insn_decode(const uint8_t *, size_t n, int bits, struct insn *);
int	 insn_fetch(struct vcpu *, struct insn *, struct gmem_fault *);
uint64_t insn_ea(struct vcpu *, const struct insn *);
uint8_t	 insn_segment_fault(struct vcpu *, const struct insn *,
	    unsigned int size, bool write);

/* Atomic accesses to fields that more than one thread touches. */
#define ATOMIC_GET(p)		__atomic_load_n(p, __ATOMIC_SEQ_CST)
#define ATOMIC_SET(p, v)	__atomic_store_n(p, v, __ATOMIC_SEQ_CST)
#define ATOMIC_ADD(p, v)	__atomic_add_fetch(p, v, __ATOMIC_SEQ_CST)

#endif /* VMM_VMM_H */
