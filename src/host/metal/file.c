/* SPDX-License-Identifier: ISC */
/*
 * file.c - what a client can open: the files of the boot archive, the
 * console, /dev/vmm, /dev/null, and /proc/metal.
 *
 * /proc/metal tells the host's side of a leak: pages in the free lists, all
 * pages, and timer ticks, at the moment of reading:
 *	free_pages N
 *	total_pages N
 *	ticks N
 */
#include <string.h>

#include "metal.h"
#include "syscall.h"

#define MAX_FILES	64
#define CPIO_HEADER	110		/* "newc": 6 bytes, 13 x 8 hex digits */
#define CPIO_MODE	14
#define CPIO_FILESIZE	54
#define CPIO_NAMESIZE	94
#define S_IFMT		0170000
#define S_IFREG		0100000
#define S_IFCHR		0020000

#define O_ACCMODE	3
#define O_CREAT		0100
#define O_DIRECTORY	0200000
#define F_DUPFD		0
#define F_GETFD		1
#define F_SETFD		2
#define F_GETFL		3
#define F_SETFL		4
#define F_DUPFD_CLOEXEC	1030
#define AT_EMPTY_PATH	0x1000
#define IOV_MAX		1024
#define RW_MAX		0x7ffff000UL
#define POLLIN		1
#define POLLOUT		4
#define POLLNVAL	32

/* An open file description; several descriptors may share it. */
struct file {
	enum { F_FREE, F_CONSOLE, F_NULL, F_ARCHIVE, F_METAL, F_VMM } type;
	int		 refs;		/* descriptors, and calls under way */
	uint32_t	 flags;
	uint64_t	 pos, len;
	const char	*data;
	struct vmm_file	*vmm;
};

/* Static, so that open files do not change the count of free pages. */
static struct file files[MAX_FILES];
static struct file *fds[MAX_FILES];

/* A number of a cpio header. */
static uint32_t
cpio_field(const char *p)
{
	uint32_t v = 0;
	int i;

	for (i = 0; i < 8; i++)
		v = v << 4 | ((p[i] & 15) + (p[i] >= 'A' ? 9 : 0));
	return (v);
}

static const char *
skip_root(const char *path)
{
	while (*path == '/' || (path[0] == '.' && path[1] == '/'))
		path++;
	return (path);
}

/* The contents of a regular file in the boot archive; NULL: no such file. */
const char *
archive_find(const char *path, size_t *len)
{
	const char *p = va_of(mod_start), *end = va_of(mod_end), *name, *data;
	uint32_t namesize, size;

	path = skip_root(path);
	while (end - p >= CPIO_HEADER && memcmp(p, "070701", 6) == 0) {
		namesize = cpio_field(p + CPIO_NAMESIZE);
		size = cpio_field(p + CPIO_FILESIZE);
		name = p + CPIO_HEADER;
		data = p + round_up(CPIO_HEADER + (uint64_t)namesize, 4UL);
		if (data > end || size > end - data ||
		    strcmp(name, "TRAILER!!!") == 0)
			break;
		if ((cpio_field(p + CPIO_MODE) & S_IFMT) == S_IFREG &&
		    strcmp(skip_root(name), path) == 0) {
			*len = size;
			return (data);
		}
		p = data + round_up(size, 4U);
	}
	return (NULL);
}

/* The file of a descriptor, NULL: EBADF. */
static struct file *
file_get(int fd)
{
	return (fd >= 0 && fd < MAX_FILES ? fds[fd] : NULL);
}

/* Gives a reference back; the last one closes the file. */
static void
file_put(struct file *f)
{
	if (--f->refs > 0)
		return;
	if (f->type == F_VMM)
		vmm_close(f->vmm);
	f->type = F_FREE;
}

/* The lowest free descriptor from `from`. Returns: it, or -EMFILE. */
static int
fd_install(struct file *f, uint64_t from)
{
	for (; from < MAX_FILES; from++)
		if (fds[from] == NULL) {
			fds[from] = f;
			f->refs++;
			return (from);
		}
	return (from == MAX_FILES ? -EMFILE : -EINVAL);
}

void
files_init(void)
{
	int fd;

	files[0] = (struct file){ .type = F_CONSOLE, .flags = 2 };
	for (fd = 0; fd < 3; fd++)
		fd_install(&files[0], 0);
}

/* The process ends. */
void
files_close(void)
{
	int fd;

	for (fd = 0; fd < MAX_FILES; fd++)
		sys_close(fd);
}

/* What is behind a path. Returns: 0, or an errno. */
static int
file_lookup(const char *path, struct file *f)
{
	size_t len;

	*f = (struct file){ .refs = 0 };
	if (strcmp(path, "/dev/vmm") == 0)
		f->type = F_VMM;
	else if (strcmp(path, "/dev/tty") == 0 ||
	    strcmp(path, "/dev/console") == 0)
		f->type = F_CONSOLE;
	else if (strcmp(path, "/dev/null") == 0)
		f->type = F_NULL;
	else if (strcmp(path, "/proc/metal") == 0)
		f->type = F_METAL;
	else if ((f->data = archive_find(path, &len)) != NULL) {
		f->type = F_ARCHIVE;
		f->len = len;
	} else
		return (ENOENT);
	return (0);
}

/* A path from the client. Returns: 0, EFAULT, ENAMETOOLONG. */
static int
path_copyin(uint64_t uaddr, char *path, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if (host_copyin(uaddr + i, &path[i], 1) != 0)
			return (EFAULT);
		if (path[i] == '\0')
			return (0);
	}
	return (ENAMETOOLONG);
}

long
sys_open(uint64_t upath, uint64_t flags, uint64_t mode)
{
	struct file *f = files, new;
	char path[256];
	int error, fd;

	(void)mode;
	if ((error = path_copyin(upath, path, sizeof(path))) != 0)
		return (-error);
	if ((error = file_lookup(path, &new)) != 0)
		return (error == ENOENT && (flags & O_CREAT) ? -EROFS : -error);
	if ((flags & O_DIRECTORY) != 0)
		return (-ENOTDIR);
	if ((flags & O_ACCMODE) != 0 &&
	    (new.type == F_ARCHIVE || new.type == F_METAL))
		return (-EROFS);
	while (f < files + MAX_FILES && f->type != F_FREE)
		f++;
	if (f == files + MAX_FILES)
		return (-ENFILE);
	if (new.type == F_VMM && (error = vmm_open(&new.vmm)) != 0)
		return (-error);
	new.flags = flags & (O_ACCMODE | 04000);
	*f = new;
	f->refs = 1;
	fd = fd_install(f, 0);
	file_put(f);
	return (fd);
}

long
sys_openat(uint64_t dir, uint64_t upath, uint64_t flags, uint64_t mode)
{
	(void)dir;			/* there is one directory, the root */
	return (sys_open(upath, flags, mode));
}

long
sys_close(uint64_t fd)
{
	struct file *f = file_get(fd);

	if (f == NULL)
		return (-EBADF);
	fds[fd] = NULL;
	file_put(f);
	return (0);
}

/* The part of a file that a mapping at `off` shows. EBADF, ENODEV. */
int
file_data(int fd, uint64_t off, const char **data, uint64_t *len)
{
	struct file *f = file_get(fd);

	if (f == NULL)
		return (EBADF);
	if (f->type != F_ARCHIVE)
		return (ENODEV);
	off = min(off, f->len);
	*data = f->data + off;
	*len = f->len - off;
	return (0);
}

static long
file_read(struct file *f, uint64_t uaddr, uint64_t n, uint64_t *pos)
{
	char text[128];
	const char *data = f->data;
	uint64_t len = f->len;

	n = min(n, RW_MAX);
	switch (f->type) {
	case F_CONSOLE:
		return (tty_read(uaddr, n));
	case F_METAL:
		data = text;
		len = ksnprintf(text, sizeof(text), "free_pages %lu\n"
		    "total_pages %lu\nticks %lu\n", pages_free, pages_total,
		    ticks);
		break;
	case F_ARCHIVE:
		break;
	case F_NULL:
		return (0);
	default:
		return (-EINVAL);
	}
	if (*pos >= len)
		return (0);
	n = min(n, len - *pos);
	if (host_copyout(data + *pos, uaddr, n) != 0)
		return (-EFAULT);
	*pos += n;
	return (n);
}

static long
file_write(struct file *f, uint64_t uaddr, uint64_t n)
{
	char buf[256];
	uint64_t done, part;

	n = min(n, RW_MAX);
	if (f->type == F_NULL)
		return (n);
	if (f->type != F_CONSOLE)
		return (f->type == F_VMM ? -EINVAL : -EBADF);
	for (done = 0; done < n; done += part) {
		part = min(n - done, sizeof(buf));
		if (host_copyin(uaddr + done, buf, part) != 0)
			return (done > 0 ? (long)done : -EFAULT);
		console_write(buf, part);
	}
	return (n);
}

long
sys_read(uint64_t fd, uint64_t uaddr, uint64_t n)
{
	struct file *f = file_get(fd);

	return (f == NULL ? -EBADF : file_read(f, uaddr, n, &f->pos));
}

long
sys_pread(uint64_t fd, uint64_t uaddr, uint64_t n, uint64_t pos)
{
	struct file *f = file_get(fd);

	if (f == NULL)
		return (-EBADF);
	if (f->type != F_ARCHIVE && f->type != F_METAL)
		return (-ESPIPE);
	return (file_read(f, uaddr, n, &pos));
}

long
sys_write(uint64_t fd, uint64_t uaddr, uint64_t n)
{
	struct file *f = file_get(fd);

	return (f == NULL ? -EBADF : file_write(f, uaddr, n));
}

/* readv and writev: one after the other, until one falls short. */
static long
file_vector(uint64_t fd, uint64_t iov, uint64_t count, bool reading)
{
	struct file *f = file_get(fd);
	uint64_t vec[2], i;
	long n, done = 0;

	if (f == NULL)
		return (-EBADF);
	if (count > IOV_MAX)
		return (-EINVAL);
	for (i = 0; i < count; i++) {
		if (host_copyin(iov + i * sizeof(vec), vec, sizeof(vec)) != 0)
			return (done > 0 ? done : -EFAULT);
		if (vec[1] == 0)
			continue;
		n = reading ? file_read(f, vec[0], vec[1], &f->pos) :
		    file_write(f, vec[0], vec[1]);
		if (n < 0)
			return (done > 0 ? done : n);
		done += n;
		if ((uint64_t)n < vec[1])
			break;
	}
	return (done);
}

long
sys_readv(uint64_t fd, uint64_t iov, uint64_t count)
{
	return (file_vector(fd, iov, count, true));
}

long
sys_writev(uint64_t fd, uint64_t iov, uint64_t count)
{
	return (file_vector(fd, iov, count, false));
}

/* struct stat of Linux x86-64, as far as it says anything here. */
static long
file_stat(const struct file *f, uint64_t uaddr)
{
	struct {
		uint64_t dev, ino, nlink;
		uint32_t mode, uid, gid, pad;
		uint64_t rdev, size, blksize, blocks, rest[9];
	} st = {
		.dev = 1, .ino = 1 + f->type, .nlink = 1,
		.mode = f->type == F_ARCHIVE ? S_IFREG | 0555 :
		    f->type == F_METAL ? S_IFREG | 0444 : S_IFCHR | 0600,
		.size = f->len, .blksize = PAGE_SIZE,
		.blocks = round_up(f->len, 512UL) / 512,
	};

	_Static_assert(sizeof(st) == 144, "struct stat");
	return (-host_copyout(&st, uaddr, sizeof(st)));
}

long
sys_stat(uint64_t upath, uint64_t uaddr)
{
	struct file f;
	char path[256];
	int error;

	if ((error = path_copyin(upath, path, sizeof(path))) != 0 ||
	    (error = file_lookup(path, &f)) != 0)
		return (-error);
	return (file_stat(&f, uaddr));
}

long
sys_fstat(uint64_t fd, uint64_t uaddr)
{
	struct file *f = file_get(fd);

	return (f == NULL ? -EBADF : file_stat(f, uaddr));
}

long
sys_fstatat(uint64_t fd, uint64_t upath, uint64_t uaddr, uint64_t flags)
{
	if ((flags & AT_EMPTY_PATH) != 0 && (int)fd != AT_FDCWD)
		return (sys_fstat(fd, uaddr));
	return (sys_stat(upath, uaddr));
}

long
sys_access(uint64_t upath, uint64_t mode)
{
	struct file f;
	char path[256];
	int error;

	if ((error = path_copyin(upath, path, sizeof(path))) != 0 ||
	    (error = file_lookup(path, &f)) != 0)
		return (-error);
	return ((mode & 2) != 0 && f.data != NULL ? -EROFS : 0);
}

long
sys_lseek(uint64_t fd, uint64_t off, uint64_t whence)
{
	struct file *f = file_get(fd);
	uint64_t base;

	if (f == NULL)
		return (-EBADF);
	if (f->type != F_ARCHIVE && f->type != F_METAL)
		return (-ESPIPE);
	base = whence == 0 ? 0 : whence == 1 ? f->pos : f->len;
	if (whence > 2 || (int64_t)(base + off) < 0)
		return (-EINVAL);
	return (f->pos = base + off);
}

/* The file stays open while the driver is at work on it. */
long
sys_ioctl(uint64_t fd, uint64_t cmd, uint64_t arg)
{
	struct file *f = file_get(fd);
	long ret;

	if (f == NULL)
		return (-EBADF);
	if (f->type == F_CONSOLE)
		return (tty_ioctl(cmd, arg));
	if (f->type != F_VMM)
		return (-ENOTTY);
	f->refs++;
	ret = -vmm_ioctl(f->vmm, cmd, arg);
	file_put(f);
	return (ret);
}

long
sys_dup(uint64_t fd)
{
	struct file *f = file_get(fd);

	return (f == NULL ? -EBADF : fd_install(f, 0));
}

long
sys_dup2(uint64_t fd, uint64_t to)
{
	struct file *f = file_get(fd);

	if (f == NULL || to >= MAX_FILES)
		return (-EBADF);
	if (fd != to) {
		sys_close(to);
		fd_install(f, to);
	}
	return (to);
}

long
sys_dup3(uint64_t fd, uint64_t to, uint64_t flags)
{
	(void)flags;			/* O_CLOEXEC: there is no exec */
	return (fd == to ? -EINVAL : sys_dup2(fd, to));
}

long
sys_fcntl(uint64_t fd, uint64_t cmd, uint64_t arg)
{
	struct file *f = file_get(fd);

	if (f == NULL)
		return (-EBADF);
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return (fd_install(f, arg));
	case F_GETFL:
		return (f->flags);
	case F_GETFD:
	case F_SETFD:
	case F_SETFL:
		return (0);
	}
	return (-EINVAL);
}

/* Only the console makes anybody wait. `deadline` in ns, 0: for ever. */
static long
poll_until(uint64_t ufds, uint64_t n, bool wait, uint64_t deadline)
{
	struct { int32_t fd; int16_t events, revents; } p;
	struct file *f;
	uint64_t i;
	long ready;

	if (n > MAX_FILES)
		return (-EINVAL);
	for (;;) {
		for (ready = 0, i = 0; i < n; i++) {
			uint64_t at = ufds + i * sizeof(p);

			if (host_copyin(at, &p, sizeof(p)) != 0)
				return (-EFAULT);
			f = file_get(p.fd);
			p.revents = p.fd < 0 ? 0 : f == NULL ? POLLNVAL :
			    p.events & (POLLOUT | (f->type != F_CONSOLE ||
			    tty_ready() ? POLLIN : 0));
			if (host_copyout(&p, at, sizeof(p)) != 0)
				return (-EFAULT);
			ready += p.revents != 0;
		}
		if (ready > 0 || !wait)
			return (ready);
		switch (sleep_on(&tty_chan, deadline, true)) {
		case EINTR:
			return (-EINTR);
		case ETIMEDOUT:
			wait = false;
		}
	}
}

long
sys_poll(uint64_t ufds, uint64_t n, uint64_t ms)
{
	return (poll_until(ufds, n, ms != 0, (int32_t)ms < 0 ? 0 :
	    host_time_ns() + (int32_t)ms * 1000000L));
}

long
sys_ppoll(uint64_t ufds, uint64_t n, uint64_t uts, uint64_t umask,
    uint64_t size)
{
	uint64_t ns = 0;
	int error;

	if (uts != 0 && (error = time_copyin(uts, &ns)) != 0)
		return (-error);
	if (umask != 0 && (error = signal_swap_mask(umask, size)) != 0)
		return (-error);
	return (poll_until(ufds, n, uts == 0 || ns != 0,
	    uts == 0 ? 0 : host_time_ns() + ns));
}
