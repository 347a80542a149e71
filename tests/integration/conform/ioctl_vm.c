/* SPDX-License-Identifier: ISC */
/*
 * ioctl_vm.c - what CREATE makes: ids, names, VCPUs, owner; and TERM.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "ioctl_util.h"

static uint8_t *arena;

/* CREATE on one MiB of the clause's own memory. */
static int
create(struct vm_create_params *vcp, const char *name, size_t ncpus)
{
	fill_create(vcp, 0, arena, CLIENT_MIB);
	vcp->vcp_ncpus = ncpus;
	if (name != NULL)
		memcpy(vcp->vcp_name, name, strlen(name) < VMM_MAX_NAME_LEN ?
		    strlen(name) : VMM_MAX_NAME_LEN);
	return (client_ioc_create(conform_fd, vcp));
}

static void
destroy(uint32_t id)
{
	CHECK_EQ(client_ioc_term(conform_fd, id), 0);
}

/* Ids ascend by one, also across what failed and what has ended. */
static void
ids(void)
{
	struct vm_create_params a, b;
	int i;

	arena = map(CLIENT_MIB);
	CHECK_EQ(create(&a, NULL, 1), 0);
	CHECK(a.vcp_id > 0);
	CHECK_EQ(create(&b, NULL, 1), 0);
	CHECK_EQ(b.vcp_id, a.vcp_id + 1);
	destroy(b.vcp_id);
	for (i = 0; i < 10; i++) {
		CHECK_EQ(create(&a, NULL, 1), 0);
		CHECK_EQ(a.vcp_id, b.vcp_id + 1);
		destroy(a.vcp_id);
		b = a;
	}
	destroy(a.vcp_id - 11);
	unmap(arena, CLIENT_MIB);
}

static void
ids_failed(void)
{
	struct vm_create_params a, b;
	uint8_t *base, *p;

	arena = map(CLIENT_MIB);
	CHECK_EQ(create(&a, NULL, 1), 0);
	destroy(a.vcp_id);
	CHECK_EQ(create(&b, NULL, 0), EINVAL);
	CHECK_EQ(b.vcp_id, 0);
	fill_create(&b, 1, arena, CLIENT_MIB);
	CHECK_EQ(client_ioc_create(conform_fd, &b), EINVAL);
	fill_create(&b, 0, (void *)PAGE, CLIENT_MIB);
	CHECK_EQ(client_ioc_create(conform_fd, &b), ENOMEM);
	base = map(2 * PAGE);
	p = base + PAGE - 1278;
	fill_create(&b, 0, arena, CLIENT_MIB);
	memcpy(p, &b, 1278);
	unmap(base + PAGE, PAGE);
	CHECK_EQ(raw_ioctl(conform_fd, VMM_IOC_CREATE, (uintptr_t)p), EFAULT);
	unmap(base, PAGE);
	CHECK_EQ(create(&b, NULL, 1), 0);
	CHECK_EQ(b.vcp_id, a.vcp_id + 1);
	destroy(b.vcp_id);
	unmap(arena, CLIENT_MIB);
}

/* So does one whose answer cannot be written. */
static void
ids_unwritten(void)
{
	struct vm_create_params a, b, *ro = map(PAGE);

	arena = map(CLIENT_MIB);
	CHECK_EQ(create(&a, NULL, 1), 0);
	destroy(a.vcp_id);
	fill_create(ro, 0, arena, CLIENT_MIB);
	CHECK_EQ(mprotect(ro, PAGE, PROT_READ), 0);
	CHECK_EQ(client_ioc_create(conform_fd, ro), EFAULT);
	unmap(ro, PAGE);
	CHECK_EQ(vm_count(), 0);
	CHECK_EQ(create(&b, NULL, 1), 0);
	CHECK_EQ(b.vcp_id, a.vcp_id + 1);
	destroy(b.vcp_id);
	unmap(arena, CLIENT_MIB);
}

/* The argument comes back as it went, with the id. */
static void
copied_back(void)
{
	struct vm_create_params vcp, want;

	arena = map(CLIENT_MIB);
	memset(&vcp, 0x5a, sizeof(vcp));
	vcp.vcp_nmemranges = 1;
	vcp.vcp_ncpus = 1;
	vcp.vcp_memranges[0].vmr_gpa = 0;
	vcp.vcp_memranges[0].vmr_va = (uintptr_t)arena;
	vcp.vcp_memranges[0].vmr_size = CLIENT_MIB;
	memcpy(&want, &vcp, sizeof(want));
	CHECK_EQ(client_ioc_create(conform_fd, &vcp), 0);
	CHECK(vcp.vcp_id != want.vcp_id);
	want.vcp_id = vcp.vcp_id;
	CHECK_EQ(memcmp(&vcp, &want, sizeof(vcp)), 0);
	destroy(vcp.vcp_id);
	unmap(arena, CLIENT_MIB);
}

/* A name of `len` bytes; what INFO says of it. */
static void
try_name(size_t len, size_t want_len)
{
	struct vm_create_params vcp;
	struct vm_info_result vir;
	char name[VMM_MAX_NAME_LEN];
	size_t i;

	memset(name, 0, sizeof(name));
	for (i = 0; i < len; i++)
		name[i] = (char)('a' + i % 26);
	fill_create(&vcp, 0, arena, CLIENT_MIB);
	memcpy(vcp.vcp_name, name, sizeof(name));
	note("a name of %zu bytes", len);
	CHECK_EQ(client_ioc_create(conform_fd, &vcp), 0);
	CHECK(get_info(vcp.vcp_id, &vir));
	CHECK_EQ(strnlen(vir.vir_name, VMM_MAX_NAME_LEN), want_len);
	CHECK_EQ(memcmp(vir.vir_name, name, want_len), 0);
	destroy(vcp.vcp_id);
}

static void
names(void)
{
	arena = map(CLIENT_MIB);
	try_name(0, 0);
	try_name(1, 1);
	try_name(62, 62);
	try_name(63, 63);
	try_name(64, 63);
	unmap(arena, CLIENT_MIB);
}

/* Any byte will do, and two VMs may have one name. */
static void
names_free(void)
{
	struct vm_create_params a, b;
	struct vm_info_result ia, ib;
	char name[63];
	size_t i;

	arena = map(CLIENT_MIB);
	for (i = 0; i + 1 < sizeof(name); i++)
		name[i] = (char)(i < 20 ? i + 1 : 0xff - i);
	name[i] = '\0';
	CHECK_EQ(create(&a, name, 1), 0);
	CHECK_EQ(create(&b, name, 1), 0);
	CHECK(a.vcp_id != b.vcp_id);
	CHECK(get_info(a.vcp_id, &ia));
	CHECK(get_info(b.vcp_id, &ib));
	CHECK_EQ(strcmp(ia.vir_name, name), 0);
	CHECK_EQ(strcmp(ib.vir_name, name), 0);
	destroy(a.vcp_id);
	destroy(b.vcp_id);
	unmap(arena, CLIENT_MIB);
}

static void
ncpus_limits(void)
{
	static const struct {
		size_t	n;
		int	error;
	} rows[] = {
		{ 0, EINVAL }, { 1, 0 }, { 2, 0 }, { 63, 0 }, { 64, 0 },
		{ 65, EINVAL }, { 128, EINVAL }, { 0x100000001, EINVAL },
		{ (size_t)1 << 63, EINVAL }, { SIZE_MAX, EINVAL },
	};
	struct vm_create_params vcp;
	struct vm_info_result vir;
	size_t i, k;

	arena = map(CLIENT_MIB);
	for (i = 0; i < NELEM(rows); i++) {
		note("%zu VCPUs", rows[i].n);
		CHECK_EQ(create(&vcp, NULL, rows[i].n), rows[i].error);
		CHECK_EQ(vm_count(), rows[i].error == 0);
		if (rows[i].error != 0)
			continue;
		CHECK(get_info(vcp.vcp_id, &vir));
		CHECK_EQ(vir.vir_ncpus, rows[i].n);
		for (k = 0; k < VMM_MAX_VCPUS_PER_VM; k++)
			CHECK_EQ(vir.vir_vcpu_state[k], 0);
		destroy(vcp.vcp_id);
	}
	unmap(arena, CLIENT_MIB);
}

static void
creator(void)
{
	struct vm_create_params vcp;
	struct vm_info_result vir;

	arena = map(CLIENT_MIB);
	CHECK_EQ(create(&vcp, "mine", 1), 0);
	CHECK(get_info(vcp.vcp_id, &vir));
	CHECK_EQ(vir.vir_creator_pid, getpid());
	CHECK_EQ(vir.vir_id, vcp.vcp_id);
	destroy(vcp.vcp_id);
	unmap(arena, CLIENT_MIB);
}

/* A new VCPU has no clock, and answers every ioctl but RUN's success. */
static void
new_vcpu(void)
{
	struct client_vm *v = new_vm(CLIENT_MIB, 2);
	struct vm_rwvmparams_params vpp;
	struct vcpu_reg_state rs;
	uint32_t i;

	for (i = 0; i < 2; i++) {
		memset(&vpp, 0xff, sizeof(vpp));
		vpp.vpp_vm_id = v->id;
		vpp.vpp_vcpu_id = i;
		CHECK_EQ(client_ioc_readvmparams(v->fd, &vpp), 0);
		CHECK_EQ(vpp.vpp_pvclock_system_gpa, 0);
		CHECK_EQ(vpp.vpp_pvclock_version, 0);
		memset(&rs, 0, sizeof(rs));
		CHECK_EQ(client_ioc_readregs(v->fd, v->id, i, VM_RWREGS_ALL,
		    &rs), 0);
		CHECK_EQ(client_ioc_writeregs(v->fd, v->id, i, VM_RWREGS_GPRS,
		    &rs), 0);
		CHECK_EQ(client_ioc_intr(v->fd, v->id, i, 0), 0);
	}
}

/*
 * RUN before RESETCPU: the client's error, and nobody else's trouble. What
 * the guest does is not said, so TERM ends it if nothing else has.
 */
static void
run_before_reset(void)
{
	struct client_vm *v = new_vm(CLIENT_MIB, 1);
	struct client_vm *other = new_started(code_out, sizeof(code_out), 1);
	struct bg r;

	memset(v->mem, 0xf4, v->size);		/* HLT */
	bg_spawn(&r, v, 0);
	pause_ms(20);
	CHECK_EQ(client_run(other, NO_IRQ), 0);
	CHECK_EQ(client_event(other), CLIENT_IO);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	bg_join(&r);
	CHECK(r.error == 0 || r.error == EINVAL || r.error == EIO);
}

/* TERM: the id is unknown at once, to everything. */
static void
term(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct client_vm *other = new_vm(CLIENT_MIB, 1);
	struct vm_info_result vir;
	union ioc_arg a;
	int nr;

	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	for (nr = IOC_RUN; nr <= IOC_MPROTECT; nr++) {
		if (!iocs[nr - 1].vm)
			continue;
		ioc_fill(nr, &a, v);
		EXPECT(iocs[nr - 1].name, raw_ioctl(v->fd,
		    iocs[nr - 1].linux, (uintptr_t)&a), ENOENT);
	}
	CHECK(!get_info(v->id, &vir));
	CHECK(get_info(other->id, &vir));
	CHECK_EQ(vm_count(), 1);
}

static void
term_unknown(void)
{
	struct client_vm *v = new_vm(CLIENT_MIB, 1);
	static const uint32_t others[] = { 0, 0x80000000, 0xffffffff };
	size_t i;

	for (i = 0; i < NELEM(others); i++)
		CHECK_EQ(client_ioc_term(v->fd, others[i]), ENOENT);
	CHECK_EQ(client_ioc_term(v->fd, v->id + 1), ENOENT);
	CHECK_EQ(client_ioc_term(v->fd, v->id - 1), ENOENT);
	CHECK_EQ(vm_count(), 1);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	CHECK_EQ(client_ioc_term(v->fd, v->id), ENOENT);
	CHECK_EQ(vm_count(), 0);
}

/* The client's memory is not the VM's to take away. */
static void
term_memory(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	uint64_t want = fresh(), got;

	memcpy(v->mem + 0x9000, &want, sizeof(want));
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0, 0x9000, PAGE, 1), 0);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	memcpy(&got, v->mem + 0x9000, sizeof(got));
	CHECK_EQ(got, want);
	memcpy(v->mem + 0x9000, v->mem + GUEST_ENTRY, sizeof(code_out));
	CHECK_EQ(memcmp(v->mem + 0x9000, code_out, sizeof(code_out)), 0);
}

/* CREATE and TERM for ever. */
static void
create_term(void)
{
	struct vm_create_params vcp;
	struct vcpu_reg_state rs;
	uint64_t before = 0, after;
	bool counted = false;
	int i;

	arena = map(CLIENT_MIB);
	memset(arena, 0, CLIENT_MIB);
	memcpy(arena + GUEST_ENTRY, code_out, sizeof(code_out));
	client_start_state(GUEST_REAL, &rs);
	for (i = 0; i < 500; i++) {
		struct client_vm v = { .fd = conform_fd };

		CHECK_EQ(create(&vcp, "again", 1 + i % 4), 0);
		v.id = vcp.vcp_id;
		CHECK_EQ(client_ioc_resetcpu(v.fd, v.id, 0, &rs), 0);
		CHECK_EQ(client_run(&v, NO_IRQ), 0);
		CHECK_EQ(client_event(&v), CLIENT_IO);
		destroy(v.id);
		if (i == 0)
			counted = host_free_pages(&before);
	}
	if (counted && host_free_pages(&after))
		CHECK_EQ(after, before);
	unmap(arena, CLIENT_MIB);
}

const struct clause ioctl_vm[] = {
	ROW("3.1.ids", "ids ascend by one and are not used again", MATCH,
	    ids),
	ROW("3.1.ids-failed", "a CREATE that fails takes no id", MATCH,
	    ids_failed),
	ROW("F21.id", "nor does one that cannot say the id", FIX,
	    ids_unwritten),
	ROW("3.1.copied-back", "CREATE gives its argument back with the id",
	    MATCH, copied_back),
	ROW("3.1.name", "a name has at most 63 bytes", MATCH, names),
	ROW("3.1.name-free", "a name may hold any byte and be taken", MATCH,
	    names_free),
	ROW("B1.ncpus", "1 to 64 VCPUs, all STOPPED; else EINVAL", BEYOND,
	    ncpus_limits),
	ROW("3.1.creator", "the creator's process id is told", MATCH,
	    creator),
	ROW("3.1.new-vcpu", "a new VCPU has no clock and answers", MATCH,
	    new_vcpu),
	ROW("3.1.run-before-reset", "RUN before RESETCPU hurts nobody else",
	    MATCH, run_before_reset),
	ROW("3.4.gone", "after TERM the id is unknown to every ioctl", MATCH,
	    term),
	ROW("3.4.unknown", "TERM of an unknown VM is ENOENT", MATCH,
	    term_unknown),
	ROW("3.4.memory", "TERM leaves the client's memory alone", MATCH,
	    term_memory),
	ROW("3.4.all-freed", "500 times CREATE, RUN, TERM leave nothing",
	    MATCH, create_term),
	CLAUSE_END
};
