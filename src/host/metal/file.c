/* SPDX-License-Identifier: ISC */
/*
 * file.c - what a client can open: the files of the boot archive, the
 * console, /dev/vmm, /dev/null, and some that are made at each read():
 *
 * /proc/metal tells the host's side of a leak: pages in the free lists, all
 * pages, and timer ticks:
 *	free_pages N
 *	total_pages N
 *	ticks N
 * /sys/kernel/debug/vmm, the place that Linux has for such views, has a file
 * for what each vmm_view() tells, in lines "name 0xN" and "name text"; in vms,
 * "name N". A text that grows meanwhile is only whole in one read().
 */
#include "metal.h"

#define MAX_FILES	64
#define MAX_PATH	256
#define IOV_MAX		1024

/* A "newc" header: 6 bytes, 13 numbers of 8 hex digits. */
enum { CPIO_MODE = 14, CPIO_FILESIZE = 54, CPIO_NAMESIZE = 94, CPIO_LEN = 110 };
enum { S_IFMT = 0170000, S_IFREG = 0100000 };
enum { O_ACCMODE = 3, O_CREAT = 0100 };
enum { F_DUPFD, F_GETFD, F_SETFD, F_DUPFD_CLOEXEC = 1030 };
enum { POLLIN = 1, POLLOUT = 4, POLLNVAL = 32 };
enum {
	SYS_READ = 0, SYS_WRITE = 1, SYS_CLOSE = 3, SYS_LSEEK = 8,
	SYS_READV = 19, SYS_WRITEV = 20, SYS_DUP = 32,
	SYS_DUP2 = 33, SYS_FCNTL = 72, SYS_OPENAT = 257, SYS_DUP3 = 292,
};

/* An open file description; several descriptors may share it. */
enum file_type {
	F_FREE, F_CONSOLE, F_NULL, F_VMM,
	F_ARCHIVE, F_METAL,		/* these can only be read */
	F_VIEW,				/* and these: VMM_VIEW_* is added */
};
struct file {
	enum file_type	 type;
	int		 refs;		/* descriptors, and calls under way */
	uint64_t	 pos, len;
	const char	*data;
	struct vmm_file	*vmm;
};

/* Static, so that open files do not change the count of free pages. */
static struct file files[MAX_FILES] = { { .type = F_CONSOLE, .refs = 3 } };
static struct file *fds[MAX_FILES] = { files, files, files };

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

/* Names in the archive and paths of clients alike. */
static const char *
skip_root(const char *path)
{
	while (*path == '/' || (path[0] == '.' && path[1] == '/'))
		path++;
	return (path);
}

/* The contents of a regular file in the boot archive; NULL: no such file. */
const char *
archive_find(const char *path, uint64_t *len)
{
	const char *p = va_of(mod_start), *end = va_of(mod_end), *data;
	uint32_t size;

	while (end - p >= CPIO_LEN && memcmp(p, "070701", 6) == 0) {
		size = cpio_field(p + CPIO_FILESIZE);
		data = p + round_up(CPIO_LEN + cpio_field(p + CPIO_NAMESIZE),
		    4U);
		if (data > end || size > end - data)
			break;
		*len = size;
		if ((cpio_field(p + CPIO_MODE) & S_IFMT) == S_IFREG &&
		    strcmp(skip_root(p + CPIO_LEN), skip_root(path)) == 0)
			return (data);
		p = data + round_up(size, 4U);
	}
	return (NULL);
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

/* Frees a descriptor, if it is one. */
static void
fd_close(unsigned int fd)
{
	struct file *f = fds[fd];

	fds[fd] = NULL;
	if (f != NULL)
		file_put(f);
}

/* The lowest free descriptor from `from`. Returns: it, -EMFILE. */
static long
fd_install(struct file *f, uint64_t from)
{
	for (; from < MAX_FILES; from++)
		if (fds[from] == NULL) {
			fds[from] = f;
			f->refs++;
			return (from);
		}
	return (-EMFILE);
}

/* The process ends. */
void
files_close(void)
{
	unsigned int fd;

	for (fd = 0; fd < MAX_FILES; fd++)
		fd_close(fd);
}

/*
 * open and openat; there is one directory, the root. The file is in the
 * table before the driver may sleep on it.
 */
long
sys_open(struct frame *f)
{
	static const struct { char path[32]; int type; } special[] = {
		{ "/dev/vmm", F_VMM }, { "/dev/tty", F_CONSOLE },
		{ "/dev/null", F_NULL }, { "/proc/metal", F_METAL },
#define V(name)	{ "/sys/kernel/debug/vmm/" #name, F_VIEW + VMM_VIEW_##name },
		VMM_VIEWS(V)
#undef V
	};
	bool at = f->rax == SYS_OPENAT;
	uint64_t upath = at ? f->rsi : f->rdi, flags = at ? f->rdx : f->rsi, i;
	struct file *file = files, new = { .type = F_ARCHIVE, .refs = 1 };
	char path[MAX_PATH];
	long error;

	for (i = 0; i == 0 || path[i - 1] != '\0'; i++) {
		if (i == MAX_PATH)
			return (-ENAMETOOLONG);
		if (host_copyin(upath + i, &path[i], 1) != 0)
			return (-EFAULT);
	}
	for (i = 0; i < ARRAY_LEN(special); i++)
		if (strcmp(path, special[i].path) == 0)
			new.type = special[i].type;
	if (new.type == F_ARCHIVE &&
	    (new.data = archive_find(path, &new.len)) == NULL)
		return (flags & O_CREAT ? -EROFS : -ENOENT);
	if ((flags & O_ACCMODE) != 0 && new.type >= F_ARCHIVE)
		return (-EROFS);
	while (file < files + MAX_FILES && file->type != F_FREE)
		file++;
	if (file == files + MAX_FILES)
		return (-ENFILE);
	*file = new;
	if (new.type == F_VMM && (error = vmm_open(&file->vmm)) != 0) {
		file->type = F_FREE;
		return (-error);
	}
	error = fd_install(file, 0);
	file_put(file);
	return (error);
}

/* A read() under way: how much of the text comes before it, what it had. */
struct reading {
	enum file_type	 type;
	uint64_t	 skip, uaddr, left;
	long		 done;		/* or -EFAULT */
};

/* The next piece of the file: copies what of it falls into the read(). */
static void
give(struct reading *r, const char *data, uint64_t len)
{
	uint64_t skip = min(r->skip, len), n = min(len - skip, r->left);

	r->skip -= skip;
	if (n > 0 && host_copyout(data + skip, r->uaddr + r->done, n) != 0) {
		r->left = 0;
		r->done = -EFAULT;
	} else {
		r->left -= n;
		r->done += n;
	}
}

/* The same, of a file that is a list of names and numbers. */
static void
give_pair(void *r, const char *name, const char *text, uint64_t value)
{
	bool hex = ((struct reading *)r)->type > F_VIEW + VMM_VIEW_vms;
	char line[LINE_MAX];

	give(r, line, text != NULL ? ksprintf(line, "%s %s\n", name, text) :
	    ksprintf(line, hex ? "%s %#lx\n" : "%s %lu\n", name, value));
}

/* Returns: bytes, 0 at the end; -EFAULT, -EINVAL, -ERESTART. */
static long
file_read(struct file *f, uint64_t uaddr, uint64_t n)
{
	struct reading r = { f->type, f->pos, uaddr, n, 0 };

	if (f->type == F_CONSOLE)
		return (tty_read(uaddr, n));
	if (f->type == F_VMM)
		return (-EINVAL);
	if (f->type == F_ARCHIVE)
		give(&r, f->data, f->len);
	else if (f->type >= F_VIEW)
		vmm_view(f->type - F_VIEW, give_pair, &r);
	else if (f->type == F_METAL) {
		give_pair(&r, "free_pages", NULL, pages_free);
		give_pair(&r, "total_pages", NULL, pages_total);
		give_pair(&r, "ticks", NULL, ticks);
	}
	f->pos += max(r.done, 0);
	return (r.done);
}

/* Returns: bytes; -EBADF: read-only; -EFAULT, -EINVAL. */
static long
file_write(struct file *f, uint64_t uaddr, uint64_t n)
{
	uint64_t done, part;
	char buf[256];

	if (f->type != F_CONSOLE)
		return (f->type == F_NULL ? (long)n :
		    f->type == F_VMM ? -EINVAL : -EBADF);
	for (done = 0; done < n; done += part) {
		part = min(n - done, sizeof(buf));
		if (host_copyin(uaddr + done, buf, part) != 0)
			return (done > 0 ? (long)done : -EFAULT);
		console_write(buf, part);
	}
	return (n);
}

/*
 * read, write, readv, writev: one after the other until one falls short. The
 * file stays open meanwhile: a console or a view may make the thread sleep.
 */
static long
file_rw(struct file *file, const struct frame *f)
{
	bool many = f->rax == SYS_READV || f->rax == SYS_WRITEV;
	bool reading = f->rax == SYS_READ || f->rax == SYS_READV;
	uint64_t vec[2] = { f->rsi, f->rdx }, count = many ? f->rdx : 1, i;
	long n = 0, done = 0;

	if (count > IOV_MAX)
		return (-EINVAL);
	file->refs++;
	for (i = 0; i < count && n >= 0 && (i == 0 || n == (long)vec[1]); i++) {
		n = many && host_copyin(f->rsi + i * sizeof(vec), vec,
		    sizeof(vec)) != 0 ? -EFAULT : vec[1] == 0 ? 0 : reading ?
		    file_read(file, vec[0], vec[1]) :
		    file_write(file, vec[0], vec[1]);
		done = n >= 0 ? done + n : done > 0 ? done : n;
	}
	file_put(file);
	return (done);
}

/* Apart from sys_fd() to be quick. The file stays open meanwhile. */
long
sys_ioctl(struct frame *f)
{
	struct file *file = f->rdi < MAX_FILES ? fds[f->rdi] : NULL;
	long ret;

	if (file == NULL)
		return (-EBADF);
	if (file->type != F_VMM)
		return (file->type == F_CONSOLE ? tty_ioctl(f->rsi, f->rdx) :
		    -ENOTTY);
	file->refs++;
	ret = -vmm_ioctl(file->vmm, f->rsi, f->rdx);
	file_put(file);
	return (ret);
}

/* The other calls whose first argument is a descriptor. */
long
sys_fd(struct frame *f)
{
	struct file *file = f->rdi < MAX_FILES ? fds[f->rdi] : NULL, *old;

	if (file == NULL)
		return (-EBADF);
	switch (f->rax) {
	case SYS_READ:
	case SYS_WRITE:
	case SYS_READV:
	case SYS_WRITEV:
		return (file_rw(file, f));
	case SYS_LSEEK:			/* files are read from the beginning */
		return (-ESPIPE);
	case SYS_DUP:
		return (fd_install(file, 0));
	case SYS_DUP2:
	case SYS_DUP3:
		if (f->rsi >= MAX_FILES)
			return (-EBADF);
		file->refs++;
		old = fds[f->rsi];
		fds[f->rsi] = file;
		if (old != NULL)
			file_put(old);
		return (f->rsi);
	case SYS_FCNTL:			/* there is no exec to close for */
		if (f->rsi == F_DUPFD || f->rsi == F_DUPFD_CLOEXEC)
			return (fd_install(file, f->rdx));
		return (f->rsi == F_GETFD || f->rsi == F_SETFD ? 0 : -EINVAL);
	}
	fd_close(f->rdi);			/* SYS_CLOSE */
	return (0);
}

/* Only the console makes anybody wait. */
long
sys_poll(struct frame *f)
{
	struct { uint32_t fd; int16_t events, revents; } p;
	int32_t ms = f->rdx;
	int error = ms == 0 ? ETIMEDOUT : 0;
	uint64_t deadline = ms < 0 ? 0 : host_time_ns() + ms * 1000000UL, i;
	struct file *file;
	long ready;

	for (;;) {
		for (ready = 0, i = 0; i < min(f->rsi, MAX_FILES); i++) {
			uint64_t at = f->rdi + i * sizeof(p);

			if (host_copyin(at, &p, sizeof(p)) != 0)
				return (-EFAULT);
			file = p.fd < MAX_FILES ? fds[p.fd] : NULL;
			p.revents = (int32_t)p.fd < 0 ? 0 :
			    file == NULL ? POLLNVAL :
			    p.events & (file->type == F_CONSOLE &&
			    !tty_ready() ? POLLOUT : POLLIN | POLLOUT);
			if (host_copyout(&p, at, sizeof(p)) != 0)
				return (-EFAULT);
			ready += p.revents != 0;
		}
		if (ready > 0 || error != 0)
			return (ready == 0 && error == EINTR ? -EINTR : ready);
		error = sleep_on(&tty_chan, deadline, true);
	}
}
