/* SPDX-License-Identifier: ISC */
/*
 * ioctl_users.c - clients that end, share an open file, are another user, or
 * give up being root.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioctl_host.h"

#define ONE		1001	/* users that are not root */
#define TWO		1002
#define CAP_IPC_LOCK	(1UL << 14)
#define CAP_SYS_ADMIN	(1UL << 21)
#define CAP_ALL		((1UL << 41) - 1)
#define SIZE		CLIENT_MIB	/* less than a huge page */

/*
 * --- Children. ---
 */

/* What goes through the pipes. */
struct message {
	int	 line;			/* 0: `got` is a word; else a fault */
	uint64_t got, want;
	char	 text[96];
};

static struct child *self;		/* in a child */
static pid_t alive[16];			/* children not waited for, or 0 */

/* Which place of alive[] has this value. */
static pid_t *
find_alive(pid_t pid)
{
	size_t i;

	for (i = 0; i < NELEM(alive); i++)
		if (alive[i] == pid)
			return (&alive[i]);
	CHECK(!"too many children");
	return (NULL);
}

/* Each clause begins with this: ends what one that failed has left. */
void
not_on_metal(const char *why)
{
	size_t i;
	int fd;

	fd = open("/proc/metal", O_RDONLY);
	if (fd != -1) {
		close(fd);
		SKIP(why);
	}
	for (i = 0; i < NELEM(alive); i++)
		if (alive[i] != 0) {
			kill(alive[i], SIGKILL);
			waitpid(alive[i], NULL, 0);
			alive[i] = 0;
		}
}

/* Makes all four ends; each process closes two of them. */
void
child_start(struct child *c, void (*fn)(struct child *))
{
	pid_t *place = find_alive(0);

	memset(c, 0, sizeof(*c));
	CHECK_EQ(pipe2(c->tell, O_CLOEXEC), 0);
	CHECK_EQ(pipe2(c->hear, O_CLOEXEC), 0);
	c->pid = fork();
	CHECK(c->pid != -1);
	if (c->pid == 0) {
		self = c;
		close(c->tell[1]);
		close(c->hear[0]);
		fn(c);
		_exit(0);
	}
	*place = c->pid;
	close(c->tell[0]);
	close(c->hear[1]);
}

void
child_must(uint64_t got, uint64_t want, const char *expr, const char *file,
    int line)
{
	struct message m = { .line = line, .got = got, .want = want };

	if (got == want)
		return;
	file = strrchr(file, '/') != NULL ? strrchr(file, '/') + 1 : file;
	snprintf(m.text, sizeof(m.text), "%s:%d: %s", file, line, expr);
	if (write(self->hear[1], &m, sizeof(m)) != (ssize_t)sizeof(m))
		_exit(2);
	_exit(1);
}

void
tell_parent(struct child *c, uint64_t word)
{
	struct message m = { .got = word };

	if (write(c->hear[1], &m, sizeof(m)) != (ssize_t)sizeof(m))
		_exit(2);
}

uint64_t
hear_parent(struct child *c)
{
	uint64_t word;

	if (read(c->tell[0], &word, sizeof(word)) != (ssize_t)sizeof(word))
		_exit(2);
	return (word);
}

void
child_tell(struct child *c, uint64_t word)
{
	CHECK_EQ(write(c->tell[1], &word, sizeof(word)), sizeof(word));
}

/* One message; false: it has ended. A fault fails the clause. */
static bool
child_message(struct child *c, struct message *m)
{
	ssize_t n = read(c->hear[0], m, sizeof(*m));

	if (n == 0)
		return (false);
	CHECK_EQ(n, sizeof(*m));
	if (m->line != 0) {
		note("the child found, at %s", m->text);
		CHECK_EQ(m->got, m->want);
	}
	return (true);
}

uint64_t
child_hear(struct child *c)
{
	struct message m;

	CHECK(child_message(c, &m));
	return (m.got);
}

/* Reaps it, and closes our ends. */
static int
child_reap(struct child *c)
{
	int status = -1;

	CHECK_EQ(waitpid(c->pid, &status, 0), c->pid);
	*find_alive(c->pid) = 0;
	close(c->tell[1]);
	close(c->hear[0]);
	return (status);
}

void
child_end(struct child *c)
{
	struct message m;

	while (child_message(c, &m))
		continue;
	CHECK_EQ(child_reap(c), 0);
}

void
child_kill(struct child *c)
{
	int status;

	CHECK_EQ(kill(c->pid, SIGKILL), 0);
	status = child_reap(c);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

uint64_t
file_number(const char *path, const char *word)
{
	char buf[4096];
	ssize_t n;
	char *p;
	int fd;

	fd = open(path, O_RDONLY);
	if (fd == -1)
		return (0);
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	p = strstr(buf, word);
	return (p != NULL ? strtoull(p + strlen(word), NULL, 0) : 0);
}

int
file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), error = 0;

	if (fd == -1)
		return (errno);
	if (write(fd, text, strlen(text)) == -1)
		error = errno;
	close(fd);
	return (error);
}

/*
 * --- Users. The calls of the C library would change all threads. ---
 */

static void
become_ids(uint32_t real, uint32_t effective)
{
	MUST_EQ(syscall(SYS_setgroups, 0, NULL), 0);
	MUST_EQ(syscall(SYS_setresgid, real, effective, effective), 0);
	MUST_EQ(syscall(SYS_setresuid, real, effective, effective), 0);
	MUST_EQ(geteuid(), effective);
}

static void
become(uint32_t uid)
{
	become_ids(uid, uid);
}

/* Another user with some of root's capabilities. */
static void
become_with(uint32_t uid, uint64_t caps)
{
	struct {
		uint32_t	version;
		int		pid;
	} head = { 0x20080522, 0 };
	struct {
		uint32_t	effective, permitted, inheritable;
	} data[2];
	size_t i;

	MUST_EQ(prctl(PR_SET_KEEPCAPS, 1L, 0L, 0L, 0L), 0);
	become(uid);
	memset(data, 0, sizeof(data));
	for (i = 0; i < 2; i++)
		data[i].effective = data[i].permitted =
		    (uint32_t)(caps >> 32 * i);
	MUST_EQ(syscall(SYS_capset, &head, data), 0);
}

static void
need_users(void)
{
	not_on_metal("metal has one process of one user");
	if (geteuid() != 0)
		SKIP("only root can become other users");
}

/*
 * --- VMs: two OUTs by turns; at STORE, a byte to (%bx) before that. ---
 */

#define STORE		(GUEST_ENTRY + 0x10)
#define TOUCHED		(GUEST_LOAD + 0x100)	/* the page of the code */
#define UNTOUCHED	0x20000

static const uint8_t code_store[6] = {
	0x88, 0x0f, 0xe6, 0x20, 0xeb, 0xfc,
};

/* A VM that is ready to run, of this process's memory. 0 or an errno. */
static int
make(int fd, size_t size, struct client_vm *v)
{
	int error = client_create(fd, "users", size, 1, v);

	if (error != 0)
		return (error);
	memcpy(v->mem + GUEST_ENTRY, code_out, sizeof(code_out));
	memcpy(v->mem + STORE, code_store, sizeof(code_store));
	return (client_start(v, GUEST_REAL));
}

/* RUN of the VM of whoever's memory: its errno. Stores 0x5a at `gpa`. */
static int
store(struct client_vm *v, uint32_t gpa)
{
	struct vcpu_reg_state rs;
	int error;

	client_start_state(GUEST_REAL, &rs);
	rs.vrs_gprs[VCPU_REGS_RIP] = STORE;
	rs.vrs_gprs[VCPU_REGS_RBX] = gpa & 0xffff;
	rs.vrs_gprs[VCPU_REGS_RCX] = 0x5a;
	rs.vrs_sregs[VCPU_REGS_DS].vsi_sel = gpa >> 4 & 0xf000;
	rs.vrs_sregs[VCPU_REGS_DS].vsi_base = gpa & 0xf0000;
	error = client_ioc_resetcpu(v->fd, v->id, 0, &rs);
	return (error != 0 ? error : client_run(v, NO_IRQ));
}

/* Waits until INFO shows `n` VMs. */
static void
await_count(size_t n)
{
	int i;

	for (i = 0; i < 400 && vm_count() != n; i++)
		pause_ms(5);
	CHECK_EQ(vm_count(), n);
}

/*
 * --- L1: the process that created a VM is killed. ---
 */

static void
killed_idle(struct child *c)
{
	struct client_vm v[3];
	int fd = client_open();
	size_t i;

	MUST(fd != -1);
	for (i = 0; i < NELEM(v); i++) {
		MUST_EQ(make(fd, SIZE, &v[i]), 0);
		MUST_EQ(client_run(&v[i], NO_IRQ), 0);
		MUST_EQ(store(&v[i], UNTOUCHED), 0);
	}
	tell_parent(c, 1);
	pause();
}

static void
l1_kill(void)
{
	struct child c;

	need_users();
	child_start(&c, killed_idle);
	child_hear(&c);
	CHECK_EQ(vm_count(), 3);
	child_kill(&c);
	await_count(0);
}

/* Four threads inside RUN, with and without interrupts. */
static void *
spin_main(void *arg)
{
	client_run(arg, NO_IRQ);
	return (NULL);
}

static void
killed_spinning(struct child *c)
{
	struct client_vm v[4];
	pthread_t t;
	size_t i;

	MUST_EQ(client_create(client_open(), "spin", SIZE, NELEM(v), &v[0]),
	    0);
	memcpy(v[0].mem + GUEST_ENTRY, code_sti_spin, sizeof(code_sti_spin));
	for (i = 0; i < NELEM(v); i++) {
		v[i] = v[0];
		v[i].vcpu = (uint32_t)i;
		MUST_EQ(client_start(&v[i], GUEST_REAL), 0);
		MUST_EQ(pthread_create(&t, NULL, spin_main, &v[i]), 0);
	}
	tell_parent(c, v[0].id);
	pause();
}

static void
l1_kill_running(void)
{
	struct child c;
	uint32_t id, i;
	int round;

	need_users();
	for (round = 0; round < 3; round++) {
		child_start(&c, killed_spinning);
		id = (uint32_t)child_hear(&c);
		for (i = 0; i < 4; i++)
			await_state(id, i, VCPU_STATE_RUNNING);
		child_kill(&c);
		await_count(0);
	}
}

/*
 * --- L1, F23: the creator has gone, the open file has not. ---
 */

static int shared_fd;			/* inherited by the child */

static void
creates_and_ends(struct child *c)
{
	struct client_vm v;

	MUST_EQ(make(shared_fd, SIZE, &v), 0);
	MUST_EQ(client_run(&v, NO_IRQ), 0);
	tell_parent(c, v.id);
}

/*
 * What is left of a VM whose memory has gone: pages that were taken are there
 * as before, others are EFAULT.
 */
static void
orphan(int fd, uint32_t id, pid_t creator)
{
	struct client_vm v = { .fd = fd, .id = id };
	struct client_vm *other = new_started(code_out, sizeof(code_out), 1);
	struct vm_info_result vir;

	CHECK(get_info(id, &vir));
	CHECK_EQ(vir.vir_creator_pid, creator);
	CHECK_EQ(vir.vir_used_size, PAGE);
	CHECK_EQ(client_run(&v, NO_IRQ), 0);
	CHECK_EQ(client_event(&v), CLIENT_IO);
	CHECK_EQ(store(&v, TOUCHED), 0);
	CHECK_EQ(client_event(&v), CLIENT_IO);
	CHECK_EQ(client_ioc_mprotect(fd, id, 0, 0x40000, PAGE, 7), EFAULT);
	CHECK_EQ(client_ioc_mprotect(fd, id, 0, GUEST_LOAD, PAGE, 7), 0);
	CHECK_EQ(store(&v, UNTOUCHED), EFAULT);
	CHECK_EQ(vcpu_state(id, 0), VCPU_STATE_TERMINATED);
	CHECK_EQ(client_run(other, NO_IRQ), 0);
	CHECK_EQ(client_event(other), CLIENT_IO);
}

static void
l1_inherited(void)
{
	struct child c;
	uint32_t id;

	need_users();
	shared_fd = client_open();
	CHECK(shared_fd != -1);
	child_start(&c, creates_and_ends);
	id = (uint32_t)child_hear(&c);
	child_end(&c);
	CHECK_EQ(vm_count(), 1);
	orphan(shared_fd, id, c.pid);
	CHECK_EQ(vm_count(), 2);
	CHECK_EQ(close(shared_fd), 0);
	CHECK_EQ(vm_count(), 1);
}

static void
creates_and_waits(struct child *c)
{
	struct client_vm v;

	MUST_EQ(make(shared_fd, SIZE, &v), 0);
	memcpy(v.mem + GUEST_ENTRY, code_spin, sizeof(code_spin));
	tell_parent(c, v.id);
	pause();
}

/* A thread of ours is inside RUN while the creator is killed. */
static void
l1_running(void)
{
	struct client_vm v = { 0 };
	static struct bg r;		/* of a thread, too */
	struct child c;

	need_users();
	shared_fd = v.fd = client_open();
	CHECK(v.fd != -1);
	child_start(&c, creates_and_waits);
	v.id = (uint32_t)child_hear(&c);
	bg_start(&r, &v, 0);
	child_kill(&c);
	pause_ms(50);
	CHECK_EQ(vcpu_state(v.id, 0), VCPU_STATE_RUNNING);
	CHECK_EQ(client_ioc_term(v.fd, v.id), 0);
	bg_join(&r);
	CHECK_EQ(r.error, 0);
	CHECK_EQ(r.run.vrp_exit_reason, VM_EXIT_TERMINATED);
	CHECK_EQ(close(v.fd), 0);
}

/* Sends a descriptor through a socket, or takes one from it. */
static bool
pass(int sock, int *fd, bool out)
{
	union {
		struct cmsghdr	head;
		char		room[CMSG_SPACE(sizeof(int))];
	} control;
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *head;

	memset(&control, 0, sizeof(control));
	if (!out) {
		if (recvmsg(sock, &m, 0) != 1 || CMSG_FIRSTHDR(&m) == NULL)
			return (false);
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(*fd));
		return (true);
	}
	head = CMSG_FIRSTHDR(&m);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), fd, sizeof(*fd));
	return (sendmsg(sock, &m, 0) == 1);
}

static int sockets[2];

static void
passes_and_ends(struct child *c)
{
	shared_fd = client_open();
	MUST(shared_fd != -1);
	creates_and_ends(c);
	MUST(pass(sockets[1], &shared_fd, true));
}

static void
l1_passed(void)
{
	struct child c;
	uint32_t id;
	int fd = -1;

	need_users();
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets),
	    0);
	child_start(&c, passes_and_ends);
	id = (uint32_t)child_hear(&c);
	child_end(&c);
	/* Nobody has it now but the socket. */
	CHECK_EQ(vm_count(), 1);
	CHECK(pass(sockets[0], &fd, false));
	orphan(fd, id, c.pid);
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(vm_count(), 1);
	/* And again: the socket ends with it inside. */
	child_start(&c, passes_and_ends);
	child_hear(&c);
	child_end(&c);
	CHECK_EQ(vm_count(), 2);
	CHECK_EQ(close(sockets[0]), 0);
	CHECK_EQ(close(sockets[1]), 0);
	await_count(1);
}

/*
 * --- L2: who may act on a VM. ---
 */

/*
 * Each of the nine ioctls that name a VM, TERM last. 0 if all return `want`;
 * else the number of the first that does not, times 1000, and its errno.
 */
static int
nine(int fd, uint32_t vm, int want)
{
	struct client_vm v = { .fd = fd, .id = vm };
	union ioc_arg a;
	int nr, error;

	for (nr = 1; nr <= (int)NELEM(iocs) + 1; nr++) {
		if (nr <= (int)NELEM(iocs) &&
		    (!iocs[nr - 1].vm || nr == IOC_TERM))
			continue;
		ioc_fill(nr > (int)NELEM(iocs) ? IOC_TERM : nr, &a, &v);
		error = raw_ioctl(fd, iocs[nr > (int)NELEM(iocs) ?
		    IOC_TERM - 1 : nr - 1].linux, (uintptr_t)&a);
		if (error != want)
			return (nr * 1000 + error);
	}
	return (0);
}

/* How many VMs INFO lists, into a buffer or by its size; -1: they differ. */
static int
listed(int fd)
{
	struct vm_info_result r[8];
	struct vm_info_params vip = { 0 };
	size_t n;

	if (client_ioc_info(fd, &vip) != 0)
		return (-1);
	n = vip.vip_size / sizeof(r[0]);
	vip.vip_size = sizeof(r);
	vip.vip_info = r;
	if (client_ioc_info(fd, &vip) != 0 || vip.vip_info_ct != n)
		return (-1);
	return ((int)n);
}

static struct client_vm *victim;	/* of the clause's process */

/* Everything of `victim` is refused, and the answer is always the same. */
static void
refused(int fd)
{
	union ioc_arg a;
	int nr;

	MUST_EQ(nine(fd, victim->id, EPERM), 0);
	MUST_EQ(nine(fd, victim->id + 100, ENOENT), 0);
	MUST_EQ(nine(fd, 0, ENOENT), 0);
	/* Also where another error would be due. */
	for (nr = 1; nr <= (int)NELEM(iocs); nr++) {
		if (!iocs[nr - 1].vm)
			continue;
		memset(&a, 0xff, sizeof(a));
		a.id.vm = victim->id;
		MUST_EQ(raw_ioctl(fd, iocs[nr - 1].linux, (uintptr_t)&a),
		    EPERM);
	}
	MUST_EQ(listed(fd), 0);
}

static void
as_one_refused(struct child *c)
{
	int fd = client_open();
	struct client_vm v;

	MUST(fd != -1);
	become(ONE);
	refused(fd);
	/* Of its own it may make one, and sees that and no other. */
	MUST_EQ(make(fd, SIZE, &v), 0);
	MUST_EQ(listed(fd), 1);
	MUST_EQ(client_run(&v, NO_IRQ), 0);
	MUST_EQ(nine(fd, victim->id, EPERM), 0);
	MUST_EQ(nine(fd, v.id, 0), 0);
	MUST_EQ(listed(fd), 0);
	tell_parent(c, 0);
}

static void
l2_eperm(void)
{
	struct child c;
	struct snapshot s;

	need_users();
	victim = new_started(code_out, sizeof(code_out), 1);
	take_snapshot(victim, &s);
	child_start(&c, as_one_refused);
	child_end(&c);
	same_snapshot("another user tried", victim, &s);
	CHECK_EQ(client_run(victim, NO_IRQ), 0);
}

/* The VM of root is the one that runs: EPERM before EBUSY. */
static void
as_one_running(struct child *c)
{
	int fd = client_open();

	(void)c;
	MUST(fd != -1);
	become(ONE);
	refused(fd);
}

static void
l2_running(void)
{
	static struct bg r;		/* of a thread, too */
	struct child c;

	need_users();
	victim = new_started(code_spin, sizeof(code_spin), 1);
	bg_start(&r, victim, 0);
	child_start(&c, as_one_running);
	child_end(&c);
	CHECK(!r.returned);
	CHECK_EQ(vcpu_state(victim->id, 0), VCPU_STATE_RUNNING);
	CHECK_EQ(client_ioc_term(victim->fd, victim->id), 0);
	bg_join(&r);
}

/* Through the open file that created it, whoever holds that. */
static void
as_one_owner(struct child *c)
{
	become(ONE);
	MUST_EQ(listed(conform_fd), 1);
	MUST_EQ(store(victim, UNTOUCHED), 0);
	tell_parent(c, 0);
	hear_parent(c);
	MUST_EQ(nine(conform_fd, victim->id, 0), 0);
}

static void
l2_owner(void)
{
	struct child c;
	uint8_t was;

	need_users();
	victim = new_vm(SIZE, 1);
	memcpy(victim->mem + STORE, code_store, sizeof(code_store));
	memcpy(victim->mem + GUEST_ENTRY, code_out, sizeof(code_out));
	was = victim->mem[UNTOUCHED];
	child_start(&c, as_one_owner);
	child_hear(&c);
	/* It is our memory, not the child's copy of it, that was written. */
	CHECK_EQ(was, 0);
	CHECK_EQ(victim->mem[UNTOUCHED], 0x5a);
	child_tell(&c, 0);
	child_end(&c);
	CHECK_EQ(client_ioc_term(victim->fd, victim->id), ENOENT);
}

/* A client of user ONE, with an open file of its own. */
static void
one_creates(struct child *c)
{
	int fd = client_open();
	struct client_vm v;

	MUST(fd != -1);
	become(ONE);
	MUST_EQ(make(fd, SIZE, &v), 0);
	tell_parent(c, v.id);
	hear_parent(c);
	MUST_EQ(client_run(&v, NO_IRQ), ENOENT);
}

static uint32_t foreign;		/* a VM of one_creates() */

static void
as_two_refused(struct child *c)
{
	struct client_vm v = { .id = foreign };
	int fd = client_open();

	(void)c;
	MUST(fd != -1);
	become_ids(ONE, TWO);		/* the effective one counts */
	victim = &v;
	refused(fd);
}

static void
as_one_too(struct child *c)
{
	int fd = client_open();

	(void)c;
	MUST(fd != -1);
	become_ids(TWO, ONE);
	MUST_EQ(listed(fd), 1);
	MUST_EQ(nine(fd, foreign, 0), 0);
	MUST_EQ(listed(fd), 0);
}

static void
l2_same(void)
{
	struct child creator, other;

	need_users();
	child_start(&creator, one_creates);
	foreign = (uint32_t)child_hear(&creator);
	child_start(&other, as_two_refused);
	child_end(&other);
	child_start(&other, as_one_too);
	child_end(&other);
	child_tell(&creator, 0);
	child_end(&creator);
}

static void
l2_admin(void)
{
	struct child creator;
	struct client_vm v = { .fd = conform_fd };

	need_users();
	child_start(&creator, one_creates);
	v.id = (uint32_t)child_hear(&creator);
	CHECK_EQ(vm_count(), 1);
	CHECK_EQ(store(&v, UNTOUCHED), 0);
	CHECK_EQ(client_event(&v), CLIENT_IO);
	CHECK_EQ(nine(conform_fd, v.id, 0), 0);
	child_tell(&creator, 0);
	child_end(&creator);
}

static void
with_admin(struct child *c)
{
	int fd = client_open();

	(void)c;
	MUST(fd != -1);
	become_with(ONE, CAP_SYS_ADMIN);
	MUST_EQ(listed(fd), 1);
	MUST_EQ(nine(fd, victim->id, 0), 0);
}

static void
with_all_others(struct child *c)
{
	int fd = client_open();

	(void)c;
	MUST(fd != -1);
	become_with(ONE, CAP_ALL & ~CAP_SYS_ADMIN);
	refused(fd);
}

static void
l2_capability(void)
{
	struct child c;

	need_users();
	victim = new_started(code_out, sizeof(code_out), 1);
	child_start(&c, with_all_others);
	child_end(&c);
	child_start(&c, with_admin);
	child_end(&c);
	CHECK_EQ(client_ioc_term(victim->fd, victim->id), ENOENT);
}

/* A process without a right to the device has none to open it. */
static void
opens(struct child *c)
{
	(void)c;
	become(ONE);
	MUST_EQ(client_open(), -1);
	MUST_EQ(errno, EACCES);
}

static void
l2_open(void)
{
	struct child c;

	need_users();
	child_start(&c, opens);
	child_end(&c);
}

/*
 * --- C6: what memory a client may have. ---
 */

static void
lock_limit(uint64_t bytes)
{
	struct rlimit rl;

	MUST_EQ(getrlimit(RLIMIT_MEMLOCK, &rl), 0);
	rl.rlim_cur = bytes;
	MUST_EQ(setrlimit(RLIMIT_MEMLOCK, &rl), 0);
}

/* Bytes that count against the limit. */
static uint64_t
locked(void)
{
	return (file_number("/proc/self/status", "VmLck:") * 1024);
}

/* A client that gives up being root keeps all of its VM, none of others. */
static void
drops(struct child *c)
{
	uint64_t args[8] = { 0x100000, PAGE, 768, 0 }, i;
	int fd = client_open(), other = client_open(), mode;
	struct client_vm v;
	uint32_t value;
	size_t n;

	(void)c;
	MUST(fd != -1 && other != -1);
	MUST_EQ(client_create(fd, "drops", 4 * CLIENT_MIB, 1, &v), 0);
	(void)madvise(v.mem, v.size, MADV_NOHUGEPAGE);
	MUST_EQ(client_load_file(&v, "/guests/touch.bin", args, &mode), 0);
	MUST_EQ(client_start(&v, mode), 0);
	MUST_EQ(locked(), v.size);
	become(ONE);
	lock_limit(0);
	MUST_EQ(client_run_guest(&v, &value, 1, &n), 0);
	MUST(client_done(&v));
	for (i = 0; i < args[2]; i++)
		MUST_EQ(*(uint64_t *)(v.mem + args[0] + i * PAGE),
		    v.nonce ^ (args[0] + i * PAGE));
	MUST_EQ(client_ioc_mprotect(fd, v.id, 0, 0, v.size, 7), 0);
	MUST_EQ(client_ioc_intr(fd, v.id, 0, 1), 0);
	MUST_EQ(nine(other, v.id, EPERM), 0);
	MUST_EQ(nine(victim->fd, victim->id, 0), 0);
	MUST_EQ(locked(), v.size);
	MUST_EQ(client_start(&v, mode), 0);
	MUST_EQ(nine(fd, v.id, 0), 0);
	MUST_EQ(locked(), 0);
}

static void
c6_dropped(void)
{
	struct child c;

	need_users();
	victim = new_started(code_out, sizeof(code_out), 1);
	child_start(&c, drops);
	child_end(&c);
}

static void
limited(struct child *c)
{
	static const struct {
		size_t	limit;
		int	error;
	} rows[] = {
		{ 0, ENOMEM }, { SIZE - PAGE, ENOMEM }, { SIZE - 1, ENOMEM },
		{ SIZE, 0 }, { SIZE + PAGE, 0 }, { 2 * SIZE - 1, 0 },
	};
	struct client_vm v, w;
	int fd = client_open();
	void *mine = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
	    -1, 0);
	size_t i;

	(void)c;
	MUST(fd != -1 && mine != MAP_FAILED);
	become(ONE);
	for (i = 0; i < 3 * NELEM(rows); i++) {
		lock_limit(rows[i % NELEM(rows)].limit);
		MUST_EQ(make(fd, SIZE, &v), rows[i % NELEM(rows)].error);
		if (v.id == 0)
			continue;
		MUST_EQ(locked(), SIZE);
		MUST_EQ(make(fd, SIZE, &w), ENOMEM);
		MUST_EQ(locked(), SIZE);
		MUST_EQ(client_run(&v, NO_IRQ), 0);
		client_destroy(&v);
		MUST_EQ(locked(), 0);
	}
	/* Other memory that it has locked counts as well. */
	lock_limit(SIZE);
	MUST_EQ(mlock(mine, PAGE), 0);
	MUST_EQ(make(fd, SIZE, &v), ENOMEM);
	MUST_EQ(munlock(mine, PAGE), 0);
	MUST_EQ(make(fd, SIZE, &v), 0);
	MUST_EQ(mlock(mine, PAGE), -1);
	client_destroy(&v);
}

static void
c6_rlimit(void)
{
	struct child c;

	need_users();
	child_start(&c, limited);
	child_end(&c);
}

static void
lock_capable(struct child *c)
{
	struct client_vm v;
	int fd = client_open();

	(void)c;
	MUST(fd != -1);
	become_with(ONE, CAP_IPC_LOCK);
	lock_limit(0);
	MUST_EQ(make(fd, SIZE, &v), 0);
	MUST_EQ(store(&v, UNTOUCHED), 0);
	MUST_EQ(locked(), SIZE);
	client_destroy(&v);
	MUST_EQ(locked(), 0);
}

static void
admin_only(struct child *c)
{
	struct client_vm v;
	int fd = client_open();

	(void)c;
	MUST(fd != -1);
	become_with(ONE, CAP_SYS_ADMIN);
	lock_limit(0);
	MUST_EQ(make(fd, SIZE, &v), ENOMEM);
}

static void
c6_ipc_lock(void)
{
	struct child c;

	need_users();
	child_start(&c, lock_capable);
	child_end(&c);
	child_start(&c, admin_only);
	child_end(&c);
}

const struct clause ioctl_users[] = {
	ROW("L1.kill", "a client is killed: its VMs end with it", FIX,
	    l1_kill),
	ROW("L1.kill-running", "so do those with threads inside RUN", FIX,
	    l1_kill_running),
	ROW("L1.inherited", "an inherited descriptor keeps a VM, not the "
	    "memory of its creator", BEYOND, l1_inherited),
	ROW("L1.orphan-running", "a VCPU runs on when the creator is killed",
	    BEYOND, l1_running),
	ROW("L1.passed", "so does a descriptor on its way to another process",
	    BEYOND, l1_passed),
	ROW("L2.eperm", "another user: EPERM, not in INFO; an unknown id is "
	    "ENOENT", BEYOND, l2_eperm),
	ROW("L2.eperm-running", "EPERM before EBUSY", BEYOND, l2_running),
	ROW("L2.owner-file", "another user with the creator's open file may",
	    BEYOND, l2_owner),
	ROW("L2.same-uid", "the creator's effective user id may, with any "
	    "file", BEYOND, l2_same),
	ROW("L2.admin", "root may act on the VM of another user", BEYOND,
	    l2_admin),
	ROW("L2.capability", "CAP_SYS_ADMIN is enough, nothing else is",
	    BEYOND, l2_capability),
	ROW("L2.open", "/dev/vmm is root's", BEYOND, l2_open),
	ROW("C6.dropped", "a client that drops its privileges keeps its VM",
	    BEYOND, c6_dropped),
	ROW("C6.rlimit", "CREATE below, at and above RLIMIT_MEMLOCK", BEYOND,
	    c6_rlimit),
	ROW("C6.ipc-lock", "CAP_IPC_LOCK lifts the limit", BEYOND,
	    c6_ipc_lock),
	CLAUSE_END
};
