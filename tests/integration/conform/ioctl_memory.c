/* SPDX-License-Identifier: ISC */
/*
 * ioctl_memory.c - the kinds of memory a client can give to a guest, and what
 * it may do to its mapping (F23, C5).
 *
 * A VM here has its code in one range and the memory in question in another,
 * at DATA and at a multiple of 2 MiB in the client, so that huge pages fit.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ioctl_host.h"

#define HUGE		(2 * CLIENT_MIB)
#define DATA		HUGE		/* GPA */
#define SIZE		(2 * HUGE)
#define AT		0x5000UL	/* in the data: the page in question */

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE	0x10
#endif

/* In 32-bit code, each then OUTs for ever: stores ECX at EBX, or loads it. */
#define STORE		GUEST_ENTRY
#define LOAD		(GUEST_ENTRY + 0x10)
#define SWEEP		(GUEST_ENTRY + 0x20)

static const uint8_t code_store[6] = {
	0x89, 0x0b, 0xe6, 0x20, 0xeb, 0xfc,
};
static const uint8_t code_load[6] = {
	0x8b, 0x0b, 0xe6, 0x20, 0xeb, 0xfc,
};
/* Stores ECX to each page of the data, OUTs, and begins again. */
static const uint8_t code_sweep[] = {
	0xbf, 0x00, 0x00, 0x20, 0x00,		/* mov $DATA,%edi */
	0x89, 0x0f,				/* mov %ecx,(%edi) */
	0x81, 0xc7, 0x00, 0x10, 0x00, 0x00,	/* add $0x1000,%edi */
	0x81, 0xff, 0x00, 0x00, 0x60, 0x00,	/* cmp $DATA+SIZE,%edi */
	0x72, 0xf0,				/* jb to the store */
	0xe6, 0x20,				/* out %al,$0x20 */
	0xeb, 0xe7,				/* jmp to the start */
};

enum file { NONE, MEMFD, TMPFS, HUGETLB };

struct kind {
	const char	*name;
	enum file	 file;
	int		 flags;		/* of mmap */
	int		 advice;	/* of madvise, or -1 */
	size_t		 unit;		/* taken at one touch */
	size_t		 page;		/* that the client can unmap */
	int		 readonly;	/* RUN of a page it may not write */
};

enum { ANON, SHARED, MEMORY, COPY, FILE_SHARED, FILE_COPY, THP, HUGE_SHARED,
	HUGE_COPY };

/* Linux does not force a write into hugetlb pages, not even private ones. */
static const struct kind kinds[] = {
	[ANON] = { "private anonymous", NONE, MAP_PRIVATE | MAP_ANONYMOUS,
	    MADV_NOHUGEPAGE, PAGE, PAGE, 0 },
	[SHARED] = { "shared anonymous", NONE, MAP_SHARED | MAP_ANONYMOUS,
	    MADV_NOHUGEPAGE, PAGE, PAGE, EFAULT },
	[MEMORY] = { "memfd, shared", MEMFD, MAP_SHARED, MADV_NOHUGEPAGE,
	    PAGE, PAGE, EFAULT },
	[COPY] = { "memfd, private", MEMFD, MAP_PRIVATE, MADV_NOHUGEPAGE,
	    PAGE, PAGE, 0 },
	[FILE_SHARED] = { "file of tmpfs, shared", TMPFS, MAP_SHARED,
	    MADV_NOHUGEPAGE, PAGE, PAGE, EFAULT },
	[FILE_COPY] = { "file of tmpfs, private", TMPFS, MAP_PRIVATE,
	    MADV_NOHUGEPAGE, PAGE, PAGE, 0 },
	[THP] = { "transparent huge pages", NONE, MAP_PRIVATE |
	    MAP_ANONYMOUS, MADV_HUGEPAGE, HUGE, PAGE, 0 },
	[HUGE_SHARED] = { "hugetlb, shared", HUGETLB, MAP_SHARED, -1, HUGE,
	    HUGE, EFAULT },
	[HUGE_COPY] = { "hugetlb, private", NONE, MAP_PRIVATE |
	    MAP_ANONYMOUS | MAP_HUGETLB, -1, HUGE, HUGE, EFAULT },
};

struct memory {
	const struct kind	*kind;
	struct client_vm	 v;
	uint8_t			*room;	/* SIZE and HUGE more */
	uint8_t			*data;
	int			 fd;	/* of the data, or -1 */
};

/* --- Huge pages, which the administrator has to set aside. --- */

#define NR_HUGEPAGES	"/proc/sys/vm/nr_hugepages"
#define THP_ENABLED	"/sys/kernel/mm/transparent_hugepage/enabled"

static uint64_t pages_before;

static void
set_pages(uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	(void)file_write(NR_HUGEPAGES, text);
}

/* What a clause about this kind of memory needs of the host, or SKIP. */
static void
need(const struct kind *k)
{
	bool hugetlb = k->file == HUGETLB || (k->flags & MAP_HUGETLB) != 0;
	char text[64] = "";
	int fd;

	not_on_metal("metal has anonymous private memory only");
	note("%s", k->name);
	if (k->advice == MADV_HUGEPAGE) {
		fd = open(THP_ENABLED, O_RDONLY);
		if (fd == -1 || read(fd, text, sizeof(text) - 1) <= 0 ||
		    strstr(text, "[never]") != NULL)
			SKIP("no transparent huge pages");
		close(fd);
	}
	if (!hugetlb)
		return;
	pages_before = file_number(NR_HUGEPAGES, "");
	set_pages(pages_before + 8);
	if (file_number("/proc/meminfo", "HugePages_Free:") < 8 ||
	    file_number("/proc/meminfo", "Hugepagesize:") != HUGE / 1024) {
		set_pages(pages_before);
		SKIP("no huge pages of 2 MiB to be had");
	}
}

static void
done(const struct kind *k)
{
	if (k->file == HUGETLB || (k->flags & MAP_HUGETLB) != 0)
		set_pages(pages_before);
}

/* --- A VM with memory of one kind. --- */

static int
open_file(enum file file)
{
	char path[] = "/tmp/conform.XXXXXX";
	int fd = -1;

	if (file == NONE)
		return (-1);
	if (file == TMPFS) {
		fd = mkstemp(path);
		CHECK(fd != -1);
		CHECK_EQ(unlink(path), 0);
	} else
		fd = memfd_create("conform", MFD_CLOEXEC | MFD_ALLOW_SEALING |
		    (file == HUGETLB ? MFD_HUGETLB : 0));
	CHECK(fd != -1);
	CHECK_EQ(ftruncate(fd, SIZE), 0);
	return (fd);
}

/* Room for the data, at a multiple of 2 MiB, with nothing in it. */
static void
make_room(struct memory *m)
{
	m->room = mmap(NULL, SIZE + HUGE, PROT_NONE, MAP_PRIVATE |
	    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(m->room != MAP_FAILED);
	m->data = m->room + (-(uintptr_t)m->room & (HUGE - 1));
}

/* CREATE with whatever is mapped at m->data. Returns its errno. */
static int
create(struct memory *m)
{
	struct vm_create_params vcp;
	int error;

	memset(&m->v, 0, sizeof(m->v));
	m->v.fd = conform_fd;
	m->v.size = CLIENT_MIB;
	m->v.mem = map(CLIENT_MIB);
	memcpy(m->v.mem + STORE, code_store, sizeof(code_store));
	memcpy(m->v.mem + LOAD, code_load, sizeof(code_load));
	memcpy(m->v.mem + SWEEP, code_sweep, sizeof(code_sweep));
	fill_create(&vcp, 0, m->v.mem, CLIENT_MIB);
	vcp.vcp_nmemranges = 2;
	vcp.vcp_memranges[1].vmr_gpa = DATA;
	vcp.vcp_memranges[1].vmr_va = (uintptr_t)m->data;
	vcp.vcp_memranges[1].vmr_size = SIZE;
	error = client_ioc_create(conform_fd, &vcp);
	m->v.id = vcp.vcp_id;
	return (error);
}

static void
setup(struct memory *m, const struct kind *k)
{
	void *p;

	m->kind = k;
	m->fd = open_file(k->file);
	make_room(m);
	p = mmap(m->data, SIZE, PROT_READ | PROT_WRITE, k->flags | MAP_FIXED,
	    m->fd, 0);
	CHECK(p == m->data);
	if (k->advice != -1)
		CHECK_EQ(madvise(m->data, SIZE, k->advice), 0);
	CHECK_EQ(create(m), 0);
}

static void
teardown(struct memory *m)
{
	client_destroy(&m->v);
	CHECK_EQ(munmap(m->room, SIZE + HUGE), 0);
	if (m->fd != -1)
		CHECK_EQ(close(m->fd), 0);
}

/* Makes `entry` next, with EBX at `at` in the data, and ECX. */
static void
start_at(struct memory *m, uint32_t entry, size_t at, uint32_t ecx)
{
	struct vcpu_reg_state rs;

	client_start_state(GUEST_PROT, &rs);
	rs.vrs_gprs[VCPU_REGS_RIP] = entry;
	rs.vrs_gprs[VCPU_REGS_RBX] = DATA + at;
	rs.vrs_gprs[VCPU_REGS_RCX] = ecx;
	CHECK_EQ(client_ioc_resetcpu(m->v.fd, m->v.id, 0, &rs), 0);
}

/* RUNs that. Returns RUN's errno. */
static int
run_at(struct memory *m, uint32_t entry, size_t at, uint32_t ecx)
{
	start_at(m, entry, at, ecx);
	return (client_run(&m->v, NO_IRQ));
}

static void
guest_put(struct memory *m, size_t at, uint32_t value)
{
	CHECK_EQ(run_at(m, STORE, at, value), 0);
	CHECK_EQ(client_event(&m->v), CLIENT_IO);
}

static uint32_t
guest_get(struct memory *m, size_t at)
{
	CHECK_EQ(run_at(m, LOAD, at, 0), 0);
	CHECK_EQ(client_event(&m->v), CLIENT_IO);
	return ((uint32_t)m->v.exit.vrs.vrs_gprs[VCPU_REGS_RCX]);
}

static volatile uint32_t *
word(struct memory *m, size_t at)
{
	return ((volatile uint32_t *)(m->data + at));
}

/* Another VM, which nothing of all this may disturb. */
static void
bystander(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);

	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
}

/* RUN that has to end the VCPU, and nothing but the VCPU. */
static void
dies(struct memory *m, size_t at)
{
	CHECK_EQ(run_at(m, STORE, at, 1), EFAULT);
	CHECK_EQ(vcpu_state(m->v.id, 0), VCPU_STATE_TERMINATED);
	bystander();
}

static uint64_t
used(struct memory *m)
{
	struct vm_info_result vir;

	CHECK(get_info(m->v.id, &vir));
	return (vir.vir_used_size);
}

/* --- Each sees what the other writes; so much is taken at one touch. --- */

static void
touch(const struct kind *k)
{
	struct memory m;
	uint32_t value = (uint32_t)fresh(), got = 0;
	bool copy = (k->flags & MAP_SHARED) == 0;

	need(k);
	setup(&m, k);
	CHECK_EQ(used(&m), 0);
	*word(&m, AT) = value;			/* the client's first touch */
	CHECK_EQ(guest_get(&m, AT), value);
	CHECK_EQ(used(&m), PAGE + k->unit);
	guest_put(&m, AT, value + 1);
	CHECK_EQ(*word(&m, AT), value + 1);
	*word(&m, AT) = value + 2;
	CHECK_EQ(guest_get(&m, AT), value + 2);
	guest_put(&m, HUGE + AT, value + 3);	/* the guest's */
	CHECK_EQ(*word(&m, HUGE + AT), value + 3);
	CHECK_EQ(used(&m), PAGE + 2 * k->unit);
	CHECK_EQ(guest_get(&m, SIZE - 4), 0);
	CHECK_EQ(used(&m), PAGE + (k->unit == PAGE ? 3 : 2) * k->unit);
	if (m.fd != -1) {
		CHECK_EQ(pread(m.fd, &got, sizeof(got), AT), sizeof(got));
		CHECK_EQ(got, copy ? 0 : value + 2);
	}
	CHECK_EQ(client_ioc_term(m.v.fd, m.v.id), 0);
	CHECK_EQ(*word(&m, AT), value + 2);
	CHECK_EQ(*word(&m, HUGE + AT), value + 3);
	*word(&m, AT) = value + 4;
	CHECK_EQ(*word(&m, AT), value + 4);
	teardown(&m);
	done(k);
}

/* --- What a client can do to its mapping of a page. --- */

enum op { UNMAP, OVER, DENY, READONLY, DONTNEED, MOVE, CUT, NOPS };

static const char *const op_name[NOPS] = {
	"munmap", "mmap over it", "PROT_NONE", "PROT_READ", "MADV_DONTNEED",
	"mremap", "ftruncate",
};

static uint8_t *elsewhere;		/* where MOVE put it */

static bool
op_exists(const struct kind *k, enum op op)
{
	return (op != CUT || k->file != NONE);
}

static void
do_op(struct memory *m, enum op op)
{
	uint8_t *p = m->data + (AT & ~(m->kind->page - 1));
	size_t n = m->kind->page;

	note("%s", op_name[op]);
	switch (op) {
	case UNMAP:
		CHECK_EQ(munmap(p, n), 0);
		break;
	case OVER:
		CHECK(mmap(p, n, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		    MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
		break;
	case DENY:
		CHECK_EQ(mprotect(p, n, PROT_NONE), 0);
		break;
	case READONLY:
		CHECK_EQ(mprotect(p, n, PROT_READ), 0);
		break;
	case DONTNEED:
		CHECK_EQ(madvise(p, n, MADV_DONTNEED), 0);
		break;
	case MOVE:
		/* A place of a whole huge page, and aligned as one. */
		elsewhere = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE |
		    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		CHECK(elsewhere != MAP_FAILED);
		elsewhere += -(uintptr_t)elsewhere & (HUGE - 1);
		CHECK(mremap(p, n, n, MREMAP_MAYMOVE | MREMAP_FIXED,
		    elsewhere) == elsewhere);
		break;
	case CUT:
		CHECK_EQ(ftruncate(m->fd, 0), 0);
		break;
	case NOPS:
		break;
	}
}

/* What the client finds where the guest wrote `value`, after the op. */
static void
client_view(struct memory *m, enum op op, uint32_t value)
{
	bool copy = (m->kind->flags & MAP_SHARED) == 0;
	uint8_t *p = m->data + (AT & ~(m->kind->page - 1));

	switch (op) {
	case UNMAP:
	case NOPS:
		return;
	case OVER:
		CHECK_EQ(*word(m, AT), 0);
		*word(m, AT) = ~value;
		break;
	case DENY:
		CHECK_EQ(mprotect(p, m->kind->page, PROT_READ | PROT_WRITE),
		    0);
		/* FALLTHROUGH */
	case READONLY:
		CHECK_EQ(*word(m, AT), value);
		break;
	case DONTNEED:
		CHECK_EQ(*word(m, AT), copy ? 0 : value);
		break;
	case MOVE:
		CHECK_EQ(*(uint32_t *)(elsewhere + (AT &
		    (m->kind->page - 1))), value);
		break;
	case CUT:
		CHECK_EQ(ftruncate(m->fd, SIZE), 0);
		CHECK_EQ(*word(m, AT), 0);
		*word(m, AT) = ~value;
		break;
	}
}

/* Behind the first touch: the page stays the guest's. */
static void
after(const struct kind *k)
{
	struct memory m;
	uint32_t value;
	enum op op;

	need(k);
	for (op = 0; op < NOPS; op++) {
		if (!op_exists(k, op))
			continue;
		setup(&m, k);
		value = (uint32_t)fresh();
		guest_put(&m, AT, value);
		do_op(&m, op);
		CHECK_EQ(guest_get(&m, AT), value);
		guest_put(&m, AT, value + 1);
		client_view(&m, op, value + 1);
		CHECK_EQ(guest_get(&m, AT), value + 1);
		/* What is beside it goes on, a page not touched yet too. */
		guest_put(&m, AT + PAGE, value + 2);
		if (op != CUT)
			guest_put(&m, HUGE + AT, value + 3);
		CHECK_EQ(guest_get(&m, AT), value + 1);
		bystander();
		teardown(&m);
		if (op == MOVE)
			CHECK_EQ(munmap(elsewhere, HUGE), 0);
	}
	done(k);
}

/* Before it: what counts is what is mapped when the guest comes. */
static void
before(const struct kind *k)
{
	const int errors[NOPS] = {
		[UNMAP] = EFAULT, [OVER] = 0, [DENY] = k->readonly,
		[READONLY] = k->readonly, [DONTNEED] = 0, [MOVE] = EFAULT,
		[CUT] = EFAULT,
	};
	struct memory m;
	uint32_t value;
	enum op op;
	int touched;

	need(k);
	for (op = 0; op < NOPS; op++) {
		for (touched = 0; touched < 2 && op_exists(k, op); touched++) {
			setup(&m, k);
			value = (uint32_t)fresh();
			if (touched)
				*word(&m, AT) = ~value;
			do_op(&m, op);
			if (errors[op] != 0) {
				dies(&m, AT);
				CHECK_EQ(used(&m), PAGE);
			} else {
				guest_put(&m, AT, value);
				if (op == DENY)
					CHECK_EQ(mprotect(m.data, SIZE,
					    PROT_READ), 0);
				CHECK_EQ(*word(&m, AT), value);
			}
			teardown(&m);
			if (op == MOVE)
				CHECK_EQ(munmap(elsewhere, HUGE), 0);
		}
	}
	done(k);
}

/* The clauses of one kind. */
#define KIND(name, i)							\
static void								\
name##_touch(void)							\
{									\
	touch(&kinds[i]);						\
}									\
static void								\
name##_after(void)							\
{									\
	after(&kinds[i]);						\
}									\
static void								\
name##_before(void)							\
{									\
	before(&kinds[i]);						\
}

KIND(anon, ANON)
KIND(shared, SHARED)
KIND(memfd, MEMORY)
KIND(memfd_copy, COPY)
KIND(tmpfs, FILE_SHARED)
KIND(tmpfs_copy, FILE_COPY)
KIND(thp, THP)
KIND(hugetlb, HUGE_SHARED)
KIND(hugetlb_copy, HUGE_COPY)

/* --- Huge pages in pieces. --- */

/* One page of a huge one goes; the guest has all of it, as it was. */
static void
thp_split(void)
{
	struct memory m;
	uint32_t value = (uint32_t)fresh();
	size_t i, gone = 0x7000;

	need(&kinds[THP]);
	setup(&m, &kinds[THP]);
	for (i = 0; i < HUGE; i += PAGE)
		*word(&m, i) = value + (uint32_t)i;
	CHECK_EQ(guest_get(&m, AT), value + AT);
	CHECK_EQ(used(&m), PAGE + HUGE);
	CHECK_EQ(munmap(m.data + gone, PAGE), 0);
	for (i = 0; i < HUGE; i += PAGE) {
		CHECK_EQ(guest_get(&m, i), value + i);
		if (i == gone)
			continue;
		*word(&m, i) = ~(value + (uint32_t)i);
		CHECK_EQ(guest_get(&m, i), (uint32_t)~(value + i));
		guest_put(&m, i, value);
		CHECK_EQ(*word(&m, i), value);
	}
	CHECK_EQ(used(&m), PAGE + HUGE);
	teardown(&m);
}

/*
 * Before the guest comes, one page goes, is another one, or comes from
 * another place of the same huge page: it must not get the huge page whole.
 */
static void
thp_patched(void)
{
	struct memory m;
	uint32_t value = (uint32_t)fresh();
	size_t i, n, odd = 0x7000, src = 0x9000;
	int how;

	need(&kinds[THP]);
	for (how = 0; how < 3; how++) {
		note("case %d", how);
		setup(&m, &kinds[THP]);
		for (i = 0; i < HUGE; i += PAGE)
			*word(&m, i) = value + (uint32_t)i;
		if (how == 2)
			CHECK(mremap(m.data + src, PAGE, PAGE,
			    MREMAP_MAYMOVE | MREMAP_FIXED, m.data + odd) ==
			    m.data + odd);
		else
			CHECK_EQ(munmap(m.data + odd, PAGE), 0);
		if (how == 1)
			CHECK(mmap(m.data + odd, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
			    m.data + odd);
		for (i = 0, n = 0; i < HUGE; i += PAGE) {
			if (i == (how == 0 ? odd : how == 1 ? HUGE : src))
				continue;
			CHECK_EQ(guest_get(&m, i), how != 0 && i == odd ?
			    (how == 1 ? 0 : value + src) : value + i);
			*word(&m, i) = (uint32_t)i;
			CHECK_EQ(guest_get(&m, i), i);
			n++;
			CHECK_EQ(used(&m), (n + 1) * PAGE);
		}
		if (how != 1)
			dies(&m, how == 0 ? odd : src);
		teardown(&m);
	}
}

/* --- Memory that a guest may not write. --- */

/* A shared mapping of a file opened for reading only: EFAULT. */
static void
shared_readonly(void)
{
	static const int prots[] = { PROT_READ, PROT_READ, PROT_NONE };
	char path[] = "/tmp/conform.XXXXXX";
	struct memory m = { .kind = &kinds[FILE_SHARED] };
	uint32_t got;
	size_t i;
	int fd;

	need(m.kind);
	fd = mkstemp(path);
	CHECK(fd != -1);
	CHECK_EQ(ftruncate(fd, SIZE), 0);
	for (i = 0; i < NELEM(prots); i++) {
		m.fd = open(path, O_RDONLY);
		CHECK(m.fd != -1);
		make_room(&m);
		CHECK(mmap(m.data, SIZE, prots[i], MAP_SHARED | MAP_FIXED,
		    m.fd, 0) == m.data);
		CHECK_EQ(create(&m), 0);
		if (i == 0) {
			CHECK_EQ(run_at(&m, LOAD, AT, 0), EFAULT);
			bystander();
		} else
			dies(&m, AT);
		teardown(&m);
	}
	CHECK_EQ(pread(fd, &got, sizeof(got), AT), sizeof(got));
	CHECK_EQ(got, 0);
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(unlink(path), 0);
}

/* A private one of it is the guest's own copy. */
static void
private_readonly(void)
{
	struct memory m = { .kind = &kinds[FILE_COPY] };
	uint32_t value = (uint32_t)fresh(), got, was;
	struct stat st;

	need(m.kind);
	m.fd = open("/proc/self/exe", O_RDONLY);
	CHECK(m.fd != -1);
	CHECK_EQ(fstat(m.fd, &st), 0);
	CHECK(st.st_size > (off_t)AT + 4);
	CHECK_EQ(pread(m.fd, &was, sizeof(was), AT), sizeof(was));
	make_room(&m);
	CHECK(mmap(m.data, SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED, m.fd,
	    0) == m.data);
	CHECK_EQ(create(&m), 0);
	CHECK_EQ(guest_get(&m, AT), was);
	guest_put(&m, AT, value);
	CHECK_EQ(*word(&m, AT), value);
	CHECK_EQ(pread(m.fd, &got, sizeof(got), AT), sizeof(got));
	CHECK_EQ(got, was);
	/* Behind the end of the file there is nothing. */
	if (st.st_size < (off_t)(SIZE - PAGE))
		dies(&m, SIZE - PAGE);
	teardown(&m);
}

/*
 * A memfd that guests have pages of cannot be sealed against writing, and one
 * that is sealed so gets none into a guest.
 */
static void
seals(void)
{
	struct memory m;

	need(&kinds[MEMORY]);
	setup(&m, &kinds[MEMORY]);
	guest_put(&m, AT, 1);
	CHECK_EQ(munmap(m.data, SIZE), 0);
	CHECK_EQ(fcntl(m.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	CHECK_EQ(errno, EBUSY);
	guest_put(&m, AT, 2);
	CHECK_EQ(client_ioc_term(m.v.fd, m.v.id), 0);
	CHECK_EQ(fcntl(m.fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	teardown(&m);
	m.fd = open_file(MEMFD);
	CHECK_EQ(fcntl(m.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	make_room(&m);
	CHECK(mmap(m.data, SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, m.fd,
	    0) == m.data);
	CHECK_EQ(create(&m), 0);
	dies(&m, AT);
	CHECK_EQ(*word(&m, AT), 0);
	teardown(&m);
}

/* Files that neither tmpfs nor hugetlbfs has: EFAULT, shared or private. */
static void
other_file(void)
{
	struct memory m = { .kind = &kinds[FILE_SHARED] };
	const char *dir = "/tmp/ramfs", *path = "/tmp/ramfs/file";
	uint32_t got;
	int shared;

	need(m.kind);
	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		SKIP("no place to mount a ramfs");
	if (mount("ramfs", dir, "ramfs", 0, NULL) != 0)
		SKIP("no ramfs can be mounted");
	for (shared = 0; shared < 2; shared++) {
		note("shared %d", shared);
		m.fd = open(path, O_RDWR | O_CREAT, 0600);
		CHECK(m.fd != -1);
		CHECK_EQ(ftruncate(m.fd, SIZE), 0);
		make_room(&m);
		CHECK(mmap(m.data, SIZE, PROT_READ | PROT_WRITE, MAP_FIXED |
		    (shared ? MAP_SHARED : MAP_PRIVATE), m.fd, 0) == m.data);
		CHECK_EQ(create(&m), 0);
		dies(&m, AT);
		CHECK_EQ(pread(m.fd, &got, sizeof(got), AT), sizeof(got));
		CHECK_EQ(got, 0);
		teardown(&m);
	}
	CHECK_EQ(umount(dir), 0);
	CHECK_EQ(rmdir(dir), 0);
}

/* Memory of a device has no pages that could be taken: EFAULT. */
static void
device(void)
{
	struct vm_create_params vcp;
	struct client_vm v = { .fd = conform_fd, .id = 0 };
	int fd, flags;

	not_on_metal("metal has no /dev/mem");
	fd = open("/dev/mem", O_RDWR);
	if (fd == -1)
		SKIP("no /dev/mem");
	for (flags = MAP_SHARED; flags <= MAP_PRIVATE; flags++) {
		v.mem = mmap(NULL, CLIENT_MIB, PROT_READ | PROT_WRITE, flags,
		    fd, 0);
		CHECK(v.mem != MAP_FAILED);
		fill_create(&vcp, 0, v.mem, CLIENT_MIB);
		CHECK_EQ(client_ioc_create(conform_fd, &vcp), 0);
		v.id = vcp.vcp_id;
		CHECK_EQ(client_start(&v, GUEST_REAL), 0);
		CHECK_EQ(client_run(&v, NO_IRQ), EFAULT);
		CHECK_EQ(vcpu_state(v.id, 0), VCPU_STATE_TERMINATED);
		bystander();
		CHECK_EQ(client_ioc_term(v.fd, v.id), 0);
		unmap(v.mem, CLIENT_MIB);
	}
	CHECK_EQ(close(fd), 0);
}

/* --- fork while the guest runs. --- */

static struct memory *forked;
static volatile bool stop;
static volatile uint32_t sweeps;

/* RUNs the sweep for ever, or until it dies. */
static void
sweep_main(void *arg)
{
	struct memory *m = arg;

	while (!stop && client_run(&m->v, NO_IRQ) == 0)
		sweeps++;
}

static void
await_sweeps(uint32_t n)
{
	uint32_t from = sweeps;

	while (sweeps - from < n)
		sched_yield();
}

/* The child has a copy, with what the guest wrote until then. */
static void
child_scribbles(struct child *c)
{
	uint32_t value = (uint32_t)hear_parent(c);
	size_t i;

	for (i = 0; i < SIZE; i += PAGE) {
		MUST_EQ(*word(forked, i), value);
		*word(forked, i) = ~value;
		*word(forked, i + 8) = ~value;
	}
	tell_parent(c, 1);
	hear_parent(c);
	for (i = 0; i < SIZE; i += PAGE)
		MUST_EQ(*word(forked, i), ~value);
}

static void
fork_kind(const struct kind *k)
{
	static struct memory m;		/* of the thread, too */
	uint32_t value = (uint32_t)fresh();
	struct child c;
	size_t i;
	int t;

	need(k);
	setup(&m, k);
	CHECK_EQ(run_at(&m, SWEEP, 0, value), 0);
	forked = &m;
	stop = false;
	t = spawn(sweep_main, &m);
	await_sweeps(3);
	child_start(&c, child_scribbles);
	child_tell(&c, value);
	child_hear(&c);
	await_sweeps(3);
	for (i = 0; i < SIZE; i += PAGE) {
		CHECK_EQ(*word(&m, i), value);
		CHECK_EQ(*word(&m, i + 8), 0);
		*word(&m, i + 8) = value + (uint32_t)i;
	}
	child_tell(&c, 0);
	child_end(&c);
	stop = true;
	join(t);
	/* Ours and the guest's are still the same pages. */
	for (i = 0; i < SIZE; i += PAGE)
		CHECK_EQ(guest_get(&m, i + 8), value + i);
	guest_put(&m, AT, ~value);
	CHECK_EQ(*word(&m, AT), ~value);
	teardown(&m);
	done(k);
}

static void
fork_anon(void)
{
	fork_kind(&kinds[ANON]);
}

static void
fork_thp(void)
{
	fork_kind(&kinds[THP]);
}

static void
fork_hugetlb(void)
{
	fork_kind(&kinds[HUGE_COPY]);
}

/* fork before the guest has touched: it gets the parent's, not the child's. */
static void
child_keeps(struct child *c)
{
	uint32_t value = (uint32_t)hear_parent(c);

	MUST_EQ(*word(forked, AT), value);
	*word(forked, AT + PAGE) = ~value;
	tell_parent(c, 1);
	hear_parent(c);
	MUST_EQ(*word(forked, AT), value);
	MUST_EQ(*word(forked, AT + PAGE), ~value);
}

static void
fork_before(void)
{
	static const int each[] = { ANON, COPY, THP };
	uint32_t value = (uint32_t)fresh();
	struct memory m;
	struct child c;
	size_t i;

	for (i = 0; i < NELEM(each); i++) {
		need(&kinds[each[i]]);
		setup(&m, &kinds[each[i]]);
		forked = &m;
		*word(&m, AT) = *word(&m, AT + PAGE) = value;
		child_start(&c, child_keeps);
		child_tell(&c, value);
		child_hear(&c);
		CHECK_EQ(guest_get(&m, AT), value);
		CHECK_EQ(guest_get(&m, AT + PAGE), value);
		guest_put(&m, AT, value + 1);
		guest_put(&m, AT + PAGE, value + 2);
		CHECK_EQ(*word(&m, AT), value + 1);
		CHECK_EQ(*word(&m, AT + PAGE), value + 2);
		child_tell(&c, 0);
		child_end(&c);
		teardown(&m);
	}
}

/* --- A client that works against its own guest: only that one suffers. --- */

#define ROUNDS	30

/* RUNs a guest that has to come to the same end each time. */
static void
good_main(void *arg)
{
	struct client_vm *v = arg;
	uint64_t args[8] = { 0x100000, PAGE, 256, 0 }, i;
	uint32_t value;
	int mode;
	size_t n;

	while (!stop) {
		memset(v->mem + args[0], 0, args[2] * PAGE);
		CHECK_EQ(client_load_file(v, "/guests/touch.bin", args,
		    &mode), 0);
		CHECK_EQ(client_start(v, mode), 0);
		CHECK_EQ(client_run_guest(v, &value, 1, &n), 0);
		CHECK(client_done(v));
		for (i = 0; i < args[2]; i++)
			CHECK_EQ(*(uint64_t *)(v->mem + args[0] + i * PAGE),
			    v->nonce ^ (args[0] + i * PAGE));
	}
}

/* One round of what a client can do to all of its data, and take back. */
static void
disturb(struct memory *m, int round)
{
	size_t at = (size_t)(round * 0x13000) % SIZE & ~(m->kind->page - 1);
	uint8_t *p = m->data + at;
	size_t n = m->kind->page;

	switch (round % 5) {
	case 0:
		CHECK_EQ(mprotect(m->data, SIZE, PROT_NONE), 0);
		sched_yield();
		CHECK_EQ(mprotect(m->data, SIZE, PROT_READ | PROT_WRITE), 0);
		break;
	case 1:
		CHECK_EQ(madvise(m->data, SIZE, MADV_DONTNEED), 0);
		break;
	case 2:
		CHECK(mmap(p, n, PROT_READ | PROT_WRITE, m->kind->flags |
		    MAP_FIXED, m->fd, (off_t)(m->fd == -1 ? 0 : at)) == p);
		break;
	case 3:
		if (m->fd == -1)
			break;
		CHECK_EQ(ftruncate(m->fd, 0), 0);
		sched_yield();
		CHECK_EQ(ftruncate(m->fd, SIZE), 0);
		break;
	case 4:
		CHECK(mmap(p, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		    MAP_FIXED | MAP_NORESERVE, -1, 0) == p);
		CHECK_EQ(munmap(p, n), 0);
		CHECK(mmap(p, n, PROT_READ | PROT_WRITE, m->kind->flags |
		    MAP_FIXED, m->fd, (off_t)(m->fd == -1 ? 0 : at)) == p);
		break;
	}
}

static void
against(const struct kind *k)
{
	static struct memory m;		/* of a thread, too */
	struct client_vm *good;
	int i, t, sweeper, state;

	need(k);
	good = new_vm(4 * CLIENT_MIB, 1);
	stop = false;
	t = spawn(good_main, good);
	for (i = 0; i < ROUNDS; i++) {
		setup(&m, k);
		CHECK_EQ(run_at(&m, SWEEP, 0, 1), 0);
		sweeper = spawn(sweep_main, &m);
		disturb(&m, i);
		disturb(&m, i + 1);
		CHECK_EQ(vcpu_state(m.v.id, 0) == VCPU_STATE_TERMINATED, 0);
		CHECK_EQ(client_ioc_term(m.v.fd, m.v.id), 0);
		join(sweeper);
		teardown(&m);
		/* And the first touches against the same. */
		setup(&m, k);
		start_at(&m, SWEEP, 0, 2);
		sweeper = spawn(sweep_main, &m);
		disturb(&m, i);
		disturb(&m, i + 2);
		state = vcpu_state(m.v.id, 0);
		CHECK(state != VCPU_STATE_UNKNOWN);
		CHECK_EQ(client_ioc_term(m.v.fd, m.v.id), 0);
		join(sweeper);
		teardown(&m);
	}
	stop = true;
	join(t);
	done(k);
}

static void
against_anon(void)
{
	against(&kinds[ANON]);
}

static void
against_memfd(void)
{
	against(&kinds[MEMORY]);
}

static void
against_thp(void)
{
	against(&kinds[THP]);
}

static void
against_hugetlb(void)
{
	against(&kinds[HUGE_SHARED]);
}

const struct clause ioctl_memory[] = {
	ROW("F23.anon", "private anonymous memory: client and guest see each "
	    "other", BEYOND, anon_touch),
	ROW("F23.anon-after", "private anonymous memory: a page once touched "
	    "stays", FIX, anon_after),
	ROW("F23.anon-before", "private anonymous memory: what is mapped at "
	    "first touch", FIX, anon_before),
	ROW("F23.shared", "shared anonymous memory: client and guest see each "
	    "other", BEYOND, shared_touch),
	ROW("F23.shared-after", "shared anonymous memory: a page once touched "
	    "stays", FIX, shared_after),
	ROW("F23.shared-before", "shared anonymous memory: what is mapped at "
	    "first touch", FIX, shared_before),
	ROW("F23.memfd", "a memfd: client and guest see each other", BEYOND,
	    memfd_touch),
	ROW("F23.memfd-after", "a memfd: a page once touched stays", FIX,
	    memfd_after),
	ROW("F23.memfd-before", "a memfd: what is mapped at first touch", FIX,
	    memfd_before),
	ROW("F23.memfd-copy", "a private mapping of a memfd: client and guest "
	    "see each other", BEYOND, memfd_copy_touch),
	ROW("F23.memfd-copy-after", "a private mapping of a memfd: a page once "
	    "touched stays", FIX, memfd_copy_after),
	ROW("F23.memfd-copy-before", "a private mapping of a memfd: what is "
	    "mapped at first touch", FIX, memfd_copy_before),
	ROW("F23.tmpfs", "a file of tmpfs: client and guest see each other",
	    BEYOND, tmpfs_touch),
	ROW("F23.tmpfs-after", "a file of tmpfs: a page once touched stays",
	    FIX, tmpfs_after),
	ROW("F23.tmpfs-before", "a file of tmpfs: what is mapped at first "
	    "touch", FIX, tmpfs_before),
	ROW("F23.tmpfs-copy", "a private mapping of a file: client and guest "
	    "see each other", BEYOND, tmpfs_copy_touch),
	ROW("F23.tmpfs-copy-after", "a private mapping of a file: a page once "
	    "touched stays", FIX, tmpfs_copy_after),
	ROW("F23.tmpfs-copy-before", "a private mapping of a file: what is "
	    "mapped at first touch", FIX, tmpfs_copy_before),
	ROW("F23.thp", "transparent huge pages: client and guest see each "
	    "other", BEYOND, thp_touch),
	ROW("F23.thp-after", "transparent huge pages: a page once touched "
	    "stays", FIX, thp_after),
	ROW("F23.thp-before", "transparent huge pages: what is mapped at first "
	    "touch", FIX, thp_before),
	ROW("F23.hugetlb", "hugetlb pages: client and guest see each other",
	    BEYOND, hugetlb_touch),
	ROW("F23.hugetlb-after", "hugetlb pages: a page once touched stays",
	    FIX, hugetlb_after),
	ROW("F23.hugetlb-before", "hugetlb pages: what is mapped at first "
	    "touch", FIX, hugetlb_before),
	ROW("F23.hugetlb-copy", "private hugetlb pages: client and guest see "
	    "each other", BEYOND, hugetlb_copy_touch),
	ROW("F23.hugetlb-copy-after", "private hugetlb pages: a page once "
	    "touched stays", FIX, hugetlb_copy_after),
	ROW("F23.hugetlb-copy-before", "private hugetlb pages: what is mapped "
	    "at first touch", FIX, hugetlb_copy_before),
	ROW("F23.thp-split", "a client splits a huge page behind the first "
	    "touch", FIX, thp_split),
	ROW("F23.thp-patched", "a huge page with one page gone, new, or moved",
	    FIX, thp_patched),
	ROW("C5.file-readonly", "a shared mapping of a read-only file: EFAULT",
	    FIX, shared_readonly),
	ROW("C5.file-copy", "a private mapping of a read-only file is a copy",
	    FIX, private_readonly),
	ROW("F23.seals", "a memfd with pages in a guest cannot be sealed",
	    BEYOND, seals),
	ROW("F23.other-file", "a file of neither tmpfs nor hugetlbfs: EFAULT",
	    BEYOND, other_file),
	ROW("F23.device", "memory of a device: EFAULT", BEYOND, device),
	ROW("F23.fork", "fork while the guest runs", BEYOND, fork_anon),
	ROW("F23.fork-thp", "fork while the guest runs in huge pages", BEYOND,
	    fork_thp),
	ROW("F23.fork-hugetlb", "fork while the guest runs in hugetlb pages",
	    BEYOND, fork_hugetlb),
	ROW("F23.fork-before", "fork before the first touch", BEYOND,
	    fork_before),
	ROW("F23.against-anon", "a client takes memory from its running guest",
	    BEYOND, against_anon),
	ROW("F23.against-memfd", "the same with a memfd, cut as well", BEYOND,
	    against_memfd),
	ROW("F23.against-thp", "the same with huge pages", BEYOND, against_thp),
	ROW("F23.against-hugetlb", "the same with hugetlb pages", BEYOND,
	    against_hugetlb),
	CLAUSE_END
};
