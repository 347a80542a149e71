/* SPDX-License-Identifier: ISC */
/*
 * ioctl_info.c - INFO.
 */
#include "ioctl_util.h"

#define ENTRY	sizeof(struct vm_info_result)
#define NVMS	5
#define FILL	0xa5

static int
info(size_t size, void *buf, struct vm_info_params *vip)
{
	memset(vip, 0, sizeof(*vip));
	vip->vip_size = size;
	vip->vip_info_ct = 99;
	vip->vip_info = buf;
	return (client_ioc_info(conform_fd, vip));
}

/* Whether all bytes are as filled. */
static bool
untouched(const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len > 0 && *p == FILL) {
		p++;
		len--;
	}
	return (len == 0);
}

static void
no_vms(void)
{
	static const size_t sizes[] = { 0, 1, 159, 160, 161, SIZE_MAX };
	struct vm_info_params vip;
	struct vm_info_result r;
	size_t i;

	for (i = 0; i < NELEM(sizes); i++) {
		memset(&r, FILL, sizeof(r));
		CHECK_EQ(info(sizes[i], &r, &vip), 0);
		CHECK_EQ(vip.vip_size, sizes[i]);
		CHECK_EQ(vip.vip_info_ct, 0);
		CHECK(vip.vip_info == &r);
		CHECK(untouched(&r, sizeof(r)));
	}
}

/* Every size around what one, two and five VMs need. */
static void
sizes(void)
{
	static struct vm_info_result r[NVMS + 2];
	struct vm_info_params vip;
	size_t n, size, need;

	for (n = 1; n <= NVMS; n++) {
		(void)new_vm(CLIENT_MIB, 1);
		need = n * ENTRY;
		for (size = 0; size <= need + ENTRY; size++) {
			if (size > 2 && size + 2 < need)
				continue;
			memset(r, FILL, sizeof(r));
			CHECK_EQ(info(size, r, &vip), 0);
			CHECK(vip.vip_info == r);
			if (size < need) {
				CHECK_EQ(vip.vip_size, need);
				CHECK_EQ(vip.vip_info_ct, 0);
				CHECK(untouched(r, sizeof(r)));
				continue;
			}
			CHECK_EQ(vip.vip_size, size);
			CHECK_EQ(vip.vip_info_ct, n);
			CHECK(!untouched(r + n - 1, 8));
			CHECK(untouched(r + n, sizeof(r) - need));
		}
		CHECK_EQ(info(SIZE_MAX, r, &vip), 0);
		CHECK_EQ(vip.vip_size, SIZE_MAX);
		CHECK_EQ(vip.vip_info_ct, n);
	}
}

static void
newest_first(void)
{
	struct vm_info_result r[NVMS + 1];
	struct vm_info_params vip;
	struct client_vm *v[NVMS + 1];
	size_t i;

	for (i = 0; i < NVMS; i++)
		v[i] = new_vm(CLIENT_MIB, 1);
	CHECK_EQ(info(sizeof(r), r, &vip), 0);
	CHECK_EQ(vip.vip_info_ct, NVMS);
	for (i = 0; i < NVMS; i++)
		CHECK_EQ(r[i].vir_id, v[NVMS - 1 - i]->id);
	/* One from the middle, the newest, the oldest go; one comes. */
	CHECK_EQ(client_ioc_term(conform_fd, v[2]->id), 0);
	CHECK_EQ(client_ioc_term(conform_fd, v[4]->id), 0);
	CHECK_EQ(client_ioc_term(conform_fd, v[0]->id), 0);
	v[5] = new_vm(CLIENT_MIB, 1);
	CHECK_EQ(info(sizeof(r), r, &vip), 0);
	CHECK_EQ(vip.vip_info_ct, 3);
	CHECK_EQ(r[0].vir_id, v[5]->id);
	CHECK_EQ(r[1].vir_id, v[3]->id);
	CHECK_EQ(r[2].vir_id, v[1]->id);
}

/* Memory in MiB, of all ranges; used memory in bytes, none at first. */
static void
memory(void)
{
	static const size_t mib[] = { 1, 2, 3, 7, 16 };
	struct vm_info_result vir;
	struct client_vm *v;
	size_t i;

	for (i = 0; i < NELEM(mib); i++) {
		v = new_vm(mib[i] * CLIENT_MIB, 1);
		CHECK(get_info(v->id, &vir));
		CHECK_EQ(vir.vir_memory_size, mib[i]);
		CHECK_EQ(vir.vir_used_size, 0);
	}
}

static void
memory_ranges(void)
{
	struct vm_create_params vcp;
	struct vm_info_result vir;
	uint8_t *p = map(3 * CLIENT_MIB);

	fill_create(&vcp, 0, p, 640 * 1024);
	vcp.vcp_nmemranges = 3;
	vcp.vcp_memranges[1] = vcp.vcp_memranges[0];
	vcp.vcp_memranges[1].vmr_gpa = CLIENT_MIB;
	vcp.vcp_memranges[1].vmr_size = 384 * 1024;
	vcp.vcp_memranges[2] = vcp.vcp_memranges[0];
	vcp.vcp_memranges[2].vmr_gpa = 8 * GIB;
	vcp.vcp_memranges[2].vmr_size = CLIENT_MIB;
	CHECK_EQ(client_ioc_create(conform_fd, &vcp), 0);
	CHECK(get_info(vcp.vcp_id, &vir));
	CHECK_EQ(vir.vir_memory_size, 2);
	CHECK_EQ(client_ioc_term(conform_fd, vcp.vcp_id), 0);
	unmap(p, 3 * CLIENT_MIB);
}

/* A page counts when it is taken: by the guest or by MPROTECT_EPT. */
static void
used(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vm_info_result vir;

	CHECK(get_info(v->id, &vir));
	CHECK_EQ(vir.vir_used_size, 0);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK(get_info(v->id, &vir));
	CHECK_EQ(vir.vir_used_size, PAGE);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK(get_info(v->id, &vir));
	CHECK_EQ(vir.vir_used_size, PAGE);
	CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0, 0x10000, 3 * PAGE, 7),
	    0);
	CHECK(get_info(v->id, &vir));
	CHECK_EQ(vir.vir_used_size, 4 * PAGE);
	CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0, 0x11000, PAGE, 1), 0);
	CHECK(get_info(v->id, &vir));
	CHECK_EQ(vir.vir_used_size, 4 * PAGE);
	CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0, 0, CLIENT_MIB, 7), 0);
	CHECK(get_info(v->id, &vir));
	CHECK_EQ(vir.vir_used_size, CLIENT_MIB);
}

/* STOPPED, RUNNING, TERMINATED, each VCPU its own; what is beyond is 0. */
static void
states(void)
{
	static const uint8_t hlt[] = { 0xf4 };
	struct client_vm *v = new_started(code_spin, sizeof(code_spin), 3);
	struct vm_info_result vir;
	struct vcpu_reg_state rs;
	struct bg r;
	size_t i;

	memcpy(v->mem + 0x9000, hlt, sizeof(hlt));
	get_regs(v, &rs);
	rs.vrs_gprs[VCPU_REGS_RIP] = 0x9000;
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 2, VM_RWREGS_GPRS, &rs),
	    0);
	v->vcpu = 2;
	CHECK_EQ(client_run(v, NO_IRQ), EIO);
	bg_start(&r, v, 1);
	CHECK(get_info(v->id, &vir));
	CHECK_EQ(vir.vir_vcpu_state[0], VCPU_STATE_STOPPED);
	CHECK_EQ(vir.vir_vcpu_state[1], VCPU_STATE_RUNNING);
	CHECK_EQ(vir.vir_vcpu_state[2], VCPU_STATE_TERMINATED);
	for (i = 3; i < VMM_MAX_VCPUS_PER_VM; i++)
		CHECK_EQ(vir.vir_vcpu_state[i], 0);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	bg_join(&r);
}

/* F4: a VM that is ending is not listed, not even as zeros. */
static void
dying(void)
{
	struct client_vm *v = new_started(code_spin, sizeof(code_spin), 1);
	struct client_vm *other = new_vm(CLIENT_MIB, 1);
	struct vm_info_result r[3];
	struct vm_info_params vip;
	struct bg run;

	bg_start(&run, v, 0);
	CHECK_EQ(info(sizeof(r), r, &vip), 0);
	CHECK_EQ(vip.vip_info_ct, 2);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	CHECK_EQ(info(sizeof(r), r, &vip), 0);
	CHECK_EQ(vip.vip_info_ct, 1);
	CHECK_EQ(r[0].vir_id, other->id);
	CHECK_EQ(info(0, NULL, &vip), 0);
	CHECK_EQ(vip.vip_size, ENTRY);
	bg_join(&run);
	CHECK_EQ(info(0, NULL, &vip), 0);
	CHECK_EQ(vip.vip_size, ENTRY);
}

/* Nothing of the host's memory comes along: every byte has a source. */
static void
no_stale_bytes(void)
{
	struct vm_create_params vcp;
	struct vm_info_result a, b;
	uint8_t *p = map(CLIENT_MIB);
	int i;

	for (i = 0; i < 2; i++) {
		fill_create(&vcp, 0, p, CLIENT_MIB);
		memset(vcp.vcp_name, i == 0 ? 'x' : 0, sizeof(vcp.vcp_name));
		memcpy(vcp.vcp_name, "short", 6);
		CHECK_EQ(client_ioc_create(conform_fd, &vcp), 0);
		memset(i == 0 ? &a : &b, FILL << i & 0xff, sizeof(a));
		CHECK(get_info(vcp.vcp_id, i == 0 ? &a : &b));
		CHECK_EQ(client_ioc_term(conform_fd, vcp.vcp_id), 0);
	}
	b.vir_id = a.vir_id;
	CHECK_EQ(strcmp(a.vir_name, b.vir_name), 0);
	memcpy(a.vir_name, b.vir_name, sizeof(a.vir_name));
	CHECK_EQ(memcmp(&a, &b, sizeof(a)), 0);
	unmap(p, CLIENT_MIB);
}

const struct clause ioctl_info[] = {
	ROW("3.3.none", "INFO of no VMs: 0, nothing written", MATCH, no_vms),
	ROW("3.3.size", "INFO: too small, exact, bigger", MATCH, sizes),
	ROW("3.3.order", "INFO: newest first", MATCH, newest_first),
	ROW("3.3.memory", "INFO: memory in MiB", MATCH, memory),
	ROW("3.3.ranges", "INFO: memory of all ranges", MATCH,
	    memory_ranges),
	ROW("3.3.used", "INFO: bytes in use grow when pages are taken", MATCH,
	    used),
	ROW("3.3.states", "INFO: the state of each VCPU", MATCH, states),
	ROW("F4.dying", "INFO does not list a VM that is ending", FIX, dying),
	ROW("3.3.no-stale-bytes", "INFO tells nothing that was not asked",
	    MATCH, no_stale_bytes),
	CLAUSE_END
};
