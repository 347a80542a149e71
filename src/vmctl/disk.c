/* SPDX-License-Identifier: ISC */
/*
 * disk.c - a raw file or device as a disk, or memory. The lock is let go while
 * a file is read or written: VCPUs go on meanwhile.
 */
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"
#include "vmctl.h"

/*
 * Read into `to`, or if that is NULL write what is at `from`. A file that ends,
 * or takes nothing, is an error: a disk has all its sectors.
 */
static int
file_move(struct disk *d, uint64_t off, uint8_t *to, const uint8_t *from,
    size_t len)
{
	size_t done = 0;
	int error = 0;
	ssize_t n;

	pthread_mutex_unlock(&d->mon->lock);
	while (done < len && error == 0) {
		n = to != NULL ?
		    pread(d->fd, to + done, len - done, (off_t)(off + done)) :
		    pwrite(d->fd, from + done, len - done,
		    (off_t)(off + done));
		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			error = n == 0 ? EIO : errno;
	}
	pthread_mutex_lock(&d->mon->lock);
	return (error);
}

static int
file_read(void *arg, uint64_t off, void *buf, size_t len)
{
	return (file_move(arg, off, buf, NULL, len));
}

static int
file_write(void *arg, uint64_t off, const void *buf, size_t len)
{
	return (file_move(arg, off, NULL, buf, len));
}

/* Returns when the data is safe, and not before: the guest is told so. */
static int
file_flush(void *arg)
{
	struct disk *d = arg;
	int error;

	pthread_mutex_unlock(&d->mon->lock);
	error = fdatasync(d->fd) == 0 ? 0 : errno;
	pthread_mutex_lock(&d->mon->lock);
	return (error);
}

static int
mem_read(void *arg, uint64_t off, void *buf, size_t len)
{
	struct disk *d = arg;

	memcpy(buf, d->mem + off, len);
	return (0);
}

static int
mem_write(void *arg, uint64_t off, const void *buf, size_t len)
{
	struct disk *d = arg;

	memcpy(d->mem + off, buf, len);
	return (0);
}

static int
mem_flush(void *arg)
{
	(void)arg;
	return (0);
}

int
file_whole(const char *path, uint64_t max, struct image *im)
{
	FILE *f = fopen(path, "r");
	int error = f == NULL ? errno : 0;
	size_t room = 0, n = 1;
	uint8_t *p;

	while (error == 0 && n > 0) {
		if (im->len == room) {
			room = room == 0 ? CLIENT_MIB : room * 2;
			p = im->len < max ? realloc(im->p, room) : NULL;
			if (p == NULL) {
				error = EFBIG;
				break;
			}
			im->p = p;
		}
		n = fread(im->p + im->len, 1, room - im->len, f);
		im->len += n;
		if (n == 0 && ferror(f))
			error = errno;
	}
	if (f != NULL)
		fclose(f);
	return (error);
}

/* "ram:": zeros, or what the file has now. */
static int
open_ram(struct disk *d, const char *what)
{
	struct image im = { NULL, parse_size(what, CLIENT_MIB) };
	int error = 0;

	if (im.len > 0)
		im.p = calloc(1, im.len);
	else
		error = file_whole(what, SIZE_MAX, &im);
	d->mem = im.p;
	d->size = im.len - im.len % 512;
	if (error != 0 && error != EFBIG)
		return (ctl_error(CTL_FAIL, "ram:%s: %s; say a file, or a size "
		    "like 64M", what, strerror(error)));
	return (error == 0 && d->mem != NULL && d->size > 0 ? CTL_OK :
	    ctl_error(CTL_FAIL, "ram:%s: empty, or larger than memory", what));
}

int
disk_open(struct disk *d, struct mon *m, const char *path)
{
	off_t size = -1;

	memset(d, 0, sizeof(*d));
	d->mon = m;
	d->path = path;
	d->fd = -1;
	if (strncmp(path, "ram:", 4) == 0)
		return (open_ram(d, path + 4));
	d->fd = open(path, O_RDWR | O_CLOEXEC);
	if (d->fd < 0 && (errno == EACCES || errno == EROFS)) {
		d->fd = open(path, O_RDONLY | O_CLOEXEC);
		d->read_only = true;
	}
	if (d->fd >= 0)
		size = lseek(d->fd, 0, SEEK_END);	/* a device's, too */
	if (size < 0)
		return (ctl_error(CTL_FAIL, "%s: %s; `vmctl create' makes a "
		    "disk", path, strerror(errno)));
	/* Two VMs that write one disk would destroy it. */
	if (flock(d->fd, (d->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0 &&
	    errno == EWOULDBLOCK)
		return (ctl_error(CTL_FAIL, "%s: in use, by "
		    "another VM or twice in this one", path));
	d->size = (uint64_t)size;
	if (d->size == 0 || d->size % 512 != 0)
		return (ctl_error(CTL_FAIL, "%s: %llu bytes, which are no "
		    "whole sectors of 512", path,
		    (unsigned long long)d->size));
	return (CTL_OK);
}

int
disk_close(struct disk *d)
{
	int error = d->fd >= 0 && !d->read_only && fdatasync(d->fd) != 0 ?
	    errno : 0;

	if (d->fd >= 0)
		close(d->fd);
	free(d->mem);
	return (error == 0 ? CTL_OK : ctl_error(CTL_FAIL, "%s: %s; what the "
	    "guest wrote last may not be on it", d->path, strerror(error)));
}

static void
disk_kick(void *arg, unsigned int queue)
{
	struct disk *d = arg;

	(void)queue;
	mon_kick(d->mon);
}

/* The device in front of it, as powered on. */
void
disk_init(struct disk *d, unsigned int nr)
{
	static const char *const names[MON_DISKS] = {
		"disk 0", "disk 1", "disk 2", "disk 3",
	};
	static const char *const ids[MON_DISKS] = {
		"vmm-disk-0", "vmm-disk-1", "vmm-disk-2", "vmm-disk-3",
	};
	bool file = d->fd >= 0;
	struct virtio_owner owner = { names[nr], &d->mon->mem, disk_kick, d };
	struct virtio_blk_disk disk = {
		.size = d->size,
		.read_only = d->read_only,
		.id = ids[nr],
		.read = file ? file_read : mem_read,
		.write = file ? file_write : mem_write,
		.flush = file ? file_flush : mem_flush,
		.arg = d,
	};

	virtio_blk_init(&d->blk, &owner, &disk);
}
