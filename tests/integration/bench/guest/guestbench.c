/* SPDX-License-Identifier: ISC */
/*
 * guestbench.c - what virtual hardware costs. In the host:
 *
 *	guestbench run NAME COMMAND...	runs a monitor; says when its guest
 *					printed what, and counts of exits then
 *	guestbench serve N		a peer on loopback: for each connection
 *					sends, or takes, as it is asked
 *
 * In the guest:
 *
 *	guestbench disk FILE		sequential and random, beside no cache
 *	guestbench net N		to and from that peer
 *
 * Ticks of the TSC, which under QEMU's -icount are instructions: the guest's
 * TSC counts at the host's rate.
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARK		"bench: "
#define INIT		"Run /init as init process"
#define VMS		"/sys/kernel/debug/vmm/vms"
#define KVM		"/sys/kernel/debug/kvm"
#define PORT		9999
#define PEER		0x0a000202	/* 10.0.2.2, the host to a guest */
#define PIECE		65536

static uint64_t
ticks(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a" (lo), "=d" (hi));
	return ((uint64_t)hi << 32 | lo);
}

/*
 * --- In the host. ---
 */

/* KVM's counts of exits, of all VMs that there are: a file for each kind. */
static void
counts_kvm(const char *name, const char *mark)
{
	static const char *const kinds[] = { "exits", "io_exits", "mmio_exits",
		"halt_exits", "irq_exits", "irq_window_exits", "pf_taken" };
	char path[128];
	unsigned long n;
	size_t i;
	FILE *f;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(path, sizeof(path), KVM "/%s", kinds[i]);
		f = fopen(path, "r");
		if (f == NULL)
			continue;
		if (fscanf(f, "%lu", &n) == 1 && n != 0)
			printf("guest: %s exits %s %s %lu\n", name, mark,
			    kinds[i], n);
		fclose(f);
	}
}

/* The driver's: kinds of exits have names in capitals. */
static void
counts_vmm(const char *name, const char *mark)
{
	char line[512];
	FILE *f = fopen(VMS, "r");

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		if (line[0] >= 'A' && line[0] <= 'Z')
			printf("guest: %s exits %s %s", name, mark, line);
	fclose(f);
}

/* One line of the guest's. What is marked begins with a name. */
static void
heard(const char *name, char *line, uint64_t at)
{
	char *said = strstr(line, MARK);

	if (said != NULL)
		said += sizeof(MARK) - 1;
	else if (strstr(line, INIT) != NULL)
		strcpy(said = line, "init");
	else
		return;
	printf("guest: %s said %lu %s\n", name, at, said);
	said[strcspn(said, " ")] = '\0';
	counts_kvm(name, said);
	counts_vmm(name, said);
	fflush(stdout);
}

/* Returns: status 0: the monitor's was 0. */
static int
run(const char *name, char **argv)
{
	int out[2], status;
	uint64_t start;
	char line[1024];
	FILE *f;
	pid_t pid;

	if (pipe(out) != 0)
		err(1, "pipe");
	start = ticks();
	pid = fork();
	if (pid == 0) {
		dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		close(out[0]);
		close(out[1]);
		execvp(argv[0], argv);
		err(1, "%s", argv[0]);
	}
	close(out[1]);
	f = fdopen(out[0], "r");
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\r\n")] = '\0';
		if (getenv("VERBOSE") != NULL)
			printf("| %s\n", line);
		heard(name, line, ticks() - start);
	}
	waitpid(pid, &status, 0);
	printf("guest: %s ended %d\n", name, status);
	return (status == 0 ? 0 : 1);
}

/* Moves n bytes. Returns: all of them. */
static bool
move(int s, bool out, size_t n)
{
	static uint8_t buf[PIECE];
	ssize_t done;

	while (n > 0) {
		done = out ? send(s, buf, n < PIECE ? n : PIECE,
		    MSG_NOSIGNAL) : recv(s, buf, n < PIECE ? n : PIECE, 0);
		if (done <= 0)
			return (false);
		n -= (size_t)done;
	}
	return (true);
}

static int
serve(size_t n)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_port = htons(PORT),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int s = socket(AF_INET, SOCK_STREAM, 0), c, one = 1;
	char what;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, (void *)&sin, sizeof(sin)) != 0 || listen(s, 4) != 0)
		err(1, "port %d", PORT);
	while ((c = accept(s, NULL, NULL)) >= 0) {
		if (recv(c, &what, 1, 0) == 1) {
			if (what == 'r')
				move(c, true, n);
			else if (what == 'w' && move(c, false, n))
				move(c, true, 1);
			else
				while (what == 'p' && move(c, false, 1))
					move(c, true, 1);
		}
		close(c);
	}
	return (1);
}

/*
 * --- In the guest. ---
 */

static void
figure(const char *what, uint64_t t, unsigned int ops, size_t bytes)
{
	printf(MARK "%s %lu %u %zu\n", what, t, ops, bytes);
	fflush(stdout);
}

/* `ops` transfers of `size` bytes, all over the first `span` or in order. */
static void
disk(const char *what, int fd, bool out, bool at_random, unsigned int ops,
    size_t size, uint64_t span)
{
	static _Alignas(4096) uint8_t buf[PIECE];
	uint64_t x = 88172645463325252ULL, start = ticks(), off;
	unsigned int i;
	ssize_t n;

	for (i = 0; i < ops; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		off = (at_random ? x % (span / size) : i) * size;
		n = out ? pwrite(fd, buf, size, (off_t)off) :
		    pread(fd, buf, size, (off_t)off);
		if (n != (ssize_t)size)
			err(1, "%s at %lu", what, off);
	}
	if (out && fsync(fd) != 0)
		err(1, "fsync");
	figure(what, ticks() - start, ops, size);
}

static int
disks(const char *path)
{
	int fd = open(path, O_RDWR | O_DIRECT);
	uint64_t size = 32 << 20;

	if (fd < 0)
		err(1, "%s", path);
	disk("seq-read", fd, false, false, size / PIECE, PIECE, size);
	disk("seq-write", fd, true, false, size / PIECE, PIECE, size);
	disk("rnd-read", fd, false, true, 2000, 4096, size);
	disk("rnd-write", fd, true, true, 2000, 4096, size);
	return (0);
}

static int
dial(char what)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_port = htons(PORT), .sin_addr.s_addr = htonl(PEER) };
	int s = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(s, (void *)&sin, sizeof(sin)) != 0 ||
	    send(s, &what, 1, 0) != 1)
		err(1, "the peer");
	return (s);
}

static int
net(size_t n)
{
	unsigned int i;
	uint64_t start;
	int s;

	s = dial('p');
	start = ticks();
	for (i = 0; i < 200; i++)
		if (!move(s, true, 1) || !move(s, false, 1))
			err(1, "ping");
	figure("net-ping", ticks() - start, i, 1);
	close(s);
	start = ticks();
	s = dial('r');
	if (!move(s, false, n))
		err(1, "read");
	figure("net-read", ticks() - start, 1, n);
	close(s);
	start = ticks();
	s = dial('w');
	if (!move(s, true, n) || !move(s, false, 1))
		err(1, "write");
	figure("net-write", ticks() - start, 1, n);
	close(s);
	return (0);
}

int
main(int argc, char **argv)
{
	if (argc > 3 && strcmp(argv[1], "run") == 0)
		return (run(argv[2], argv + 3));
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return (serve(strtoul(argv[2], NULL, 0)));
	if (argc == 3 && strcmp(argv[1], "disk") == 0)
		return (disks(argv[2]));
	if (argc == 3 && strcmp(argv[1], "net") == 0)
		return (net(strtoul(argv[2], NULL, 0)));
	errx(2, "usage: guestbench run NAME COMMAND... | serve N | disk FILE "
	    "| net N");
}
