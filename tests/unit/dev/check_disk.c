/* SPDX-License-Identifier: ISC */
/*
 * check_disk.c - a disk's file under a system that may do anything: move less
 * than asked, be interrupted, end, fail, at the last moment too.
 */
#define _GNU_SOURCE
#include <sys/file.h>

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "dev_unit.h"

static ssize_t	script_read(int, void *, size_t, off_t);
static ssize_t	script_write(int, const void *, size_t, off_t);
static int	script_sync(int);

#define pread		script_read
#define pwrite		script_write
#define fdatasync	script_sync
#include "../../../src/vmctl/disk.c"
#undef pread
#undef pwrite
#undef fdatasync

#define SIZE		4096
#define ALL		(-1)		/* as many as are asked for */
#define FAILS(e)	(-1000 - (e))

static struct mon mon;
static struct disk d;
static char path[32];			/* of a file without a name */
static uint8_t file[SIZE], buf[SIZE];

/* What the system answers, call by call; then ALL. */
static int script[8];
static unsigned int step, syncs;

/* The devices go on meanwhile. */
static int
next(void)
{
	int does = step < 8 ? script[step] : ALL;

	ck_assert_int_eq(pthread_mutex_trylock(&mon.lock), 0);
	pthread_mutex_unlock(&mon.lock);
	step++;
	if (does > ALL)
		return (does);
	errno = does == ALL ? 0 : -1000 - does;
	return (does == ALL ? INT32_MAX : -1);
}

static ssize_t
script_read(int fd, void *to, size_t len, off_t off)
{
	int n = next();

	ck_assert_int_eq(fd, d.fd);
	return (n <= 0 ? n : pread(fd, to, len < (size_t)n ? len : (size_t)n,
	    off));
}

static ssize_t
script_write(int fd, const void *from, size_t len, off_t off)
{
	int n = next();

	ck_assert_int_eq(fd, d.fd);
	return (n <= 0 ? n : pwrite(fd, from, len < (size_t)n ? len : (size_t)n,
	    off));
}

/* At the end the lock is nobody's. */
static int
script_sync(int fd)
{
	int does = step < 8 ? script[step++] : ALL;

	ck_assert_int_eq(fd, d.fd);
	syncs++;
	errno = does == ALL ? 0 : -1000 - does;
	return (does == ALL ? 0 : -1);
}

void
mon_kick(struct mon *m)
{
	(void)m;
}

uint64_t
parse_size(const char *s, uint64_t unit)
{
	return (s[0] >= '0' && s[0] <= '9' ? strtoull(s, NULL, 10) * unit : 0);
}

static void
answers(int a, int b, int c)
{
	const int all[] = { a, b, c };
	size_t i;

	for (i = 0; i < 8; i++)
		script[i] = i < 3 ? all[i] : ALL;
	step = 0;
}

static void
setup(void)
{
	size_t i;
	int fd;

	unit_start();
	pthread_mutex_init(&mon.lock, NULL);
	for (i = 0; i < SIZE; i++)
		file[i] = (uint8_t)(i * 7 + i / 256);
	fd = memfd_create("disk", 0);
	ck_assert_int_eq(write(fd, file, SIZE), SIZE);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	answers(ALL, ALL, ALL);
	syncs = 0;
	ck_assert_int_eq(disk_open(&d, &mon, path), CTL_OK);
	disk_init(&d, 2);
	ck_assert_uint_eq(d.size, SIZE);
}

/* The disk as the device sees it, under the lock. */
static int
do_move(bool out, uint64_t off, size_t len)
{
	const struct virtio_blk_disk *k = &d.blk.disk;
	int error;

	memset(buf, out ? 0x5a : 0, sizeof(buf));
	pthread_mutex_lock(&mon.lock);
	error = out ? k->write(k->arg, off, buf, len) :
	    k->read(k->arg, off, buf, len);
	ck_assert_int_ne(pthread_mutex_trylock(&mon.lock), 0);
	pthread_mutex_unlock(&mon.lock);
	return (error);
}

static int
do_read(uint64_t off, size_t len)
{
	return (do_move(false, off, len));
}

static int
do_write(uint64_t off, size_t len)
{
	return (do_move(true, off, len));
}

static int
do_flush(void)
{
	int error;

	pthread_mutex_lock(&mon.lock);
	error = d.blk.disk.flush(d.blk.disk.arg);
	pthread_mutex_unlock(&mon.lock);
	return (error);
}

/* What the file has now is what `file' has. */
static void
ck_file(void)
{
	uint8_t now[SIZE + 1];
	int fd = open(path, O_RDONLY);

	ck_assert_int_eq(read(fd, now, sizeof(now)), SIZE);
	close(fd);
	ck_assert_int_eq(memcmp(now, file, SIZE), 0);
}

/* At once; some of it, a signal, none yet: it goes on where it was. */
START_TEST(moves)
{
	static const struct {
		int		a, b, c;
		unsigned int	steps;
		uint64_t	to;
	} t[] = {
		{ ALL, ALL, ALL, 1, 1024 },
		{ 100, FAILS(EINTR), 300, 4, 1024 },
		{ 1, FAILS(EINTR), 510, 4, 3584 },
	};

	answers(t[_i].a, t[_i].b, t[_i].c);
	ck_assert_int_eq(do_read(512, 1024), 0);
	ck_assert_int_eq(memcmp(buf, file + 512, 1024), 0);
	ck_assert_uint_eq(buf[1024], 0);
	ck_assert_uint_eq(step, t[_i].steps);
	answers(t[_i].a, t[_i].b, t[_i].c);
	ck_assert_int_eq(do_write(t[_i].to, 512), 0);
	memset(file + t[_i].to, 0x5a, 512);
	ck_file();
	ck_assert_uint_eq(step, t[_i].steps);
}
END_TEST

/* Of no use to try again: the guest hears it. Nothing loops. */
START_TEST(fails)
{
	static const int what[][2] = {
		{ FAILS(EIO), EIO }, { FAILS(ENOSPC), ENOSPC },
		{ FAILS(EFBIG), EFBIG }, { 0, EIO },
	};

	answers(100, what[_i][0], ALL);
	ck_assert_int_eq(do_read(512, 1024), what[_i][1]);
	ck_assert_uint_eq(step, 2);
	answers(100, what[_i][0], ALL);
	ck_assert_int_eq(do_write(512, 1024), what[_i][1]);
	ck_assert_uint_eq(step, 2);
	memset(file + 512, 0x5a, 100);
	ck_file();
}
END_TEST

/* Somebody cuts the file short under the VM. */
START_TEST(cut)
{
	ck_assert_int_eq(truncate(path, 1024), 0);
	ck_assert_int_eq(do_read(512, 1024), EIO);
	ck_assert_int_eq(memcmp(buf, file + 512, 512), 0);
}
END_TEST

START_TEST(flush)
{
	ck_assert_int_eq(do_flush(), 0);
	answers(FAILS(EIO), ALL, ALL);
	ck_assert_int_eq(do_flush(), EIO);
	ck_assert_uint_eq(syncs, 2);
}
END_TEST

/* At the end all is safe, or it is said that it is not. */
START_TEST(at_the_end)
{
	char line[128];

	ck_assert_int_eq(disk_close(&d), CTL_OK);
	ck_assert_uint_eq(syncs, 1);
	ck_assert_int_eq(disk_open(&d, &mon, path), CTL_OK);
	answers(FAILS(EIO), ALL, ALL);
	ck_assert_int_eq(disk_close(&d), CTL_FAIL);
	snprintf(line, sizeof(line), "%s: Input/output error; what the guest "
	    "wrote last may not be on it", path);
	ck_assert_str_eq(unit_told, line);
	ck_assert_int_eq(fcntl(d.fd, F_GETFD), -1);
	/* What nobody wrote needs no care. */
	ck_assert_int_eq(disk_open(&d, &mon, path), CTL_OK);
	d.read_only = true;
	answers(FAILS(EROFS), ALL, ALL);
	ck_assert_int_eq(disk_close(&d), CTL_OK);
	ck_assert_uint_eq(syncs, 2);
}
END_TEST

/* A lock is an open file's: there is no second before it is closed. */
START_TEST(in_use)
{
	struct disk other;

	ck_assert_int_eq(disk_open(&other, &mon, path), CTL_FAIL);
	ck_assert_ptr_nonnull(strstr(unit_told, "in use"));
	close(other.fd);
	disk_close(&d);
	ck_assert_int_eq(disk_open(&d, &mon, path), CTL_OK);
}
END_TEST

/* A copy: the file stays as it is. Its end is cut to whole sectors. */
START_TEST(ram)
{
	char of[sizeof(path) + 4];

	disk_close(&d);
	ck_assert_int_eq(truncate(path, SIZE - 100), 0);
	snprintf(of, sizeof(of), "ram:%s", path);
	ck_assert_int_eq(disk_open(&d, &mon, of), CTL_OK);
	disk_init(&d, 0);
	ck_assert_uint_eq(d.size, SIZE - 512);
	ck_assert_int_eq(memcmp(d.mem, file, SIZE - 512), 0);
	ck_assert_int_eq(d.blk.disk.write(&d, 512, buf, 512), 0);
	ck_assert_int_eq(d.blk.disk.read(&d, 512, buf + 512, 512), 0);
	ck_assert_int_eq(memcmp(buf, buf + 512, 512), 0);
	ck_assert_int_eq(do_flush(), 0);
	ck_assert_int_eq(truncate(path, SIZE), 0);
	memset(file + SIZE - 100, 0, 100);
	ck_file();
	syncs = 0;
	ck_assert_int_eq(disk_close(&d), CTL_OK);
	ck_assert_uint_eq(syncs, 0);
	ck_assert_int_eq(disk_open(&d, &mon, "ram:3"), CTL_OK);
	ck_assert_uint_eq(d.size, 3 << 20);
	ck_assert_int_eq(disk_close(&d), CTL_OK);
}
END_TEST

/* Larger than a piece of it; as large as is allowed; not to be read. */
START_TEST(file_of_any_size)
{
	static const size_t sizes[] = {
		0, 1, CLIENT_MIB - 1, CLIENT_MIB, CLIENT_MIB + 1,
		5 * CLIENT_MIB,
	};
	struct image im = { NULL, 0 };
	size_t n = sizes[_i];
	FILE *f = fopen(path, "w");

	for (size_t i = 0; i < n; i++)
		fputc((int)(i % 251), f);
	fclose(f);
	ck_assert_int_eq(file_whole(path, SIZE_MAX, &im), 0);
	ck_assert_uint_eq(im.len, n);
	for (size_t i = 0; i < n; i++)
		if (im.p[i] != i % 251)
			ck_abort_msg("byte %zu", i);
	free(im.p);
	im = (struct image){ NULL, 0 };
	ck_assert_int_eq(file_whole(path, 2 * CLIENT_MIB, &im),
	    n < 2 * CLIENT_MIB ? 0 : EFBIG);
	free(im.p);
	im = (struct image){ NULL, 0 };
	ck_assert_int_eq(file_whole("/tmp", SIZE_MAX, &im), EISDIR);
	free(im.p);
	im = (struct image){ NULL, 0 };
	ck_assert_int_eq(file_whole("/no/such", SIZE_MAX, &im), ENOENT);
}
END_TEST

int
main(void)
{
	TCase *tc = unit_case("disk", setup);

	tcase_add_loop_test(tc, moves, 0, 3);
	tcase_add_loop_test(tc, fails, 0, 4);
	tcase_add_test(tc, cut);
	tcase_add_test(tc, flush);
	tcase_add_test(tc, at_the_end);
	tcase_add_test(tc, in_use);
	tcase_add_test(tc, ram);
	tcase_add_loop_test(tc, file_of_any_size, 0, 6);
	return (unit_end());
}
