/* SPDX-License-Identifier: ISC */
/*
 * The serial line's other end: what of the typed is an escape, and who gets
 * what the guest says when consoles come, go, and take nothing.
 */
#include <sys/socket.h>

#include <fcntl.h>
#include <stdio.h>

#include "dev_unit.h"
#include "../../../src/vmctl/console.c"

static const struct {
	const char	*typed, *given;
	bool		 left;
} escapes[] = {
	{ "ls\r", "ls\r", false },
	{ "~.", "", true },
	{ "ls\r~.", "ls\r", true },
	{ "ls\n~.more", "ls\n", true },
	{ "a~.", "a~.", false },
	{ "~~.", "~.", false },
	{ "~x~.", "~x~.", false },
	{ "~\r~.", "~\r", true },
	{ "~~\r~~", "~\r~", false },
	{ "\r\r~", "\r\r", false },
};

/* In one piece, and byte by byte. */
START_TEST(escape)
{
	const char *typed = escapes[_i].typed;
	size_t n = strlen(typed), i, got, step;
	uint8_t out[ESCAPE_MAX], buf[ESCAPE_MAX + 1];

	for (step = 1; step <= n; step += n > 1 ? n - 1 : 1) {
		struct escape e = { .at = ESCAPE_LINE };

		got = 0;
		for (i = 0; i < n && !e.left; i += step) {
			size_t k;

			memcpy(buf, typed + i, step);
			k = escape_filter(&e, buf, step);
			memcpy(out + got, buf, k);
			got += k;
		}
		ck_assert_int_eq(e.left, escapes[_i].left);
		ck_assert_uint_eq(got, strlen(escapes[_i].given));
		ck_assert_mem_eq(out, escapes[_i].given, got);
	}
}
END_TEST

/* A tilde held back makes one more than was typed: there is room for it. */
START_TEST(escape_of_the_longest)
{
	struct escape e = { .at = ESCAPE_TILDE };
	uint8_t *buf = malloc(ESCAPE_MAX + 1);

	memset(buf, 'x', ESCAPE_MAX);
	ck_assert_uint_eq(escape_filter(&e, buf, ESCAPE_MAX), ESCAPE_MAX + 1);
	ck_assert_int_eq(buf[0], '~');
	ck_assert_int_eq(buf[ESCAPE_MAX], 'x');
	e = (struct escape){ .at = ESCAPE_LINE, .off = true };
	memcpy(buf, "~.", 2);
	ck_assert_uint_eq(escape_filter(&e, buf, 2), 2);
	ck_assert(!e.left);
	free(buf);
}
END_TEST

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct console con;
static unsigned int drains;
static uint8_t given[1024];
static size_t ngiven, room;

static size_t
give(void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	n = n < room ? n : room;
	memcpy(given + ngiven, p, n);
	ngiven += n;
	room -= n;
	return (n);
}

static void
drained(void *arg)
{
	(void)arg;
	drains++;
}

static void
start(void)
{
	con = (struct console){ .lock = &lock, .give = give,
	    .drained = drained };
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(console_start(&con), 0);
}

/* Somebody attaches. Returns their end. */
static int
attach(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(console_attach(&con, pair[0], pair[0], false), 0);
	return (pair[1]);
}

static bool
put(uint8_t byte)
{
	bool ok;

	pthread_mutex_lock(&lock);
	ok = console_put(&con, byte);
	pthread_mutex_unlock(&lock);
	return (ok);
}

/* Read n bytes, each one more than the one before, from `first' on. */
static void
expect(int s, size_t n, uint8_t first)
{
	uint8_t buf[4096];
	ssize_t r;
	size_t i, got;

	for (got = 0; got < n; got += (size_t)r) {
		r = read(s, buf, n - got < sizeof(buf) ? n - got :
		    sizeof(buf));
		ck_assert_int_gt(r, 0);
		for (i = 0; i < (size_t)r; i++)
			ck_assert_uint_eq(buf[i], (uint8_t)(first + got + i));
	}
}

/* Until the writer has something in hand that `s' does not take. */
static size_t
put_until_full(void)
{
	size_t n = 0;
	int tries = 0;

	while (tries < 20)
		if (put((uint8_t)n)) {
			n++;
			tries = 0;
		} else {
			usleep(10000);
			tries++;
		}
	return (n);
}

START_TEST(the_last_is_kept)
{
	unsigned int i;
	int s;

	for (i = 0; i < CONSOLE_KEPT + 1000; i++)
		ck_assert(put((uint8_t)i));
	s = attach();
	expect(s, CONSOLE_KEPT, (uint8_t)1000);
	ck_assert(put(42));
	expect(s, 1, 42);
	console_finish(&con);
}
END_TEST

/* The first is told so and hangs up; the lock's owner goes on meanwhile. */
START_TEST(another_takes_over)
{
	static const char note[] = "\r\n[another console took over]\r\n";
	char buf[sizeof(note)];
	int a, b, i;

	a = attach();
	for (i = 0; i < 50; i++) {
		b = attach();
		ck_assert_int_eq(recv(a, buf, sizeof(note) - 1, MSG_WAITALL),
		    sizeof(note) - 1);
		ck_assert_mem_eq(buf, note, sizeof(note) - 1);
		ck_assert_int_eq(read(a, buf, 1), 0);
		close(a);
		ck_assert(put((uint8_t)i));
		expect(b, 1, (uint8_t)i);
		a = b;
	}
	console_finish(&con);
}
END_TEST

/* What a console did not take, the next one gets, from its first byte on. */
START_TEST(blocked_console_is_replaced)
{
	unsigned int before;
	size_t n, at;
	uint8_t byte;
	int a, b;

	a = attach();
	n = put_until_full();
	ck_assert_uint_gt(n, CONSOLE_KEPT);
	pthread_mutex_lock(&lock);
	before = drains;
	pthread_mutex_unlock(&lock);
	b = attach();
	at = n - CONSOLE_KEPT;
	ck_assert_int_eq(read(b, &byte, 1), 1);
	ck_assert_uint_eq(byte, (uint8_t)at);
	expect(b, CONSOLE_KEPT - 1, (uint8_t)(at + 1));
	while (!put(7))
		usleep(1000);
	pthread_mutex_lock(&lock);
	ck_assert_uint_gt(drains, before);
	pthread_mutex_unlock(&lock);
	close(a);
	console_finish(&con);
}
END_TEST

/* One that was blocked hangs up: the guest may go on, to nobody. */
START_TEST(blocked_console_leaves)
{
	unsigned int before, seen;
	int a, i;

	a = attach();
	put_until_full();
	pthread_mutex_lock(&lock);
	before = seen = drains;
	pthread_mutex_unlock(&lock);
	close(a);
	for (i = 0; i < 500 && seen == before; i++) {
		usleep(10000);
		pthread_mutex_lock(&lock);
		seen = drains;
		pthread_mutex_unlock(&lock);
	}
	ck_assert_uint_eq(seen, before + 1);
	ck_assert(put(1));
	console_finish(&con);
}
END_TEST

START_TEST(blocked_console_at_the_end)
{
	attach();
	put_until_full();
	console_finish(&con);
}
END_TEST

static void *
finishes(void *arg)
{
	console_finish(&con);
	return (arg);
}

/* The next one that takes nothing would have no bound. */
START_TEST(nobody_new_at_the_end)
{
	int pair[2], tries;
	pthread_t t;

	attach();
	put_until_full();
	ck_assert_int_eq(pthread_create(&t, NULL, finishes, NULL), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	for (tries = 0; tries < 100 && console_attach(&con, pair[0], pair[0],
	    false) == 0; tries++)
		usleep(10000);
	ck_assert_int_eq(console_attach(&con, pair[0], pair[0], false),
	    ESHUTDOWN);
	ck_assert_int_eq(pthread_join(t, NULL), 0);
}
END_TEST

START_TEST(the_end_is_written)
{
	unsigned int i;
	int s;

	s = attach();
	for (i = 0; i < 1000; i++)
		ck_assert(put((uint8_t)i));
	console_finish(&con);
	expect(s, 1000, 0);
}
END_TEST

START_TEST(typed_waits_for_room)
{
	unsigned int i;
	int s;

	s = attach();
	ck_assert_int_eq(write(s, "abcdefgh", 8), 8);
	for (i = 0; i < 1000; i++) {
		usleep(1000);
		pthread_mutex_lock(&lock);
		if (ngiven == 8) {
			pthread_mutex_unlock(&lock);
			break;
		}
		room = 3;
		console_room(&con);
		pthread_mutex_unlock(&lock);
	}
	ck_assert_mem_eq(given, "abcdefgh", 8);
	console_finish(&con);
}
END_TEST

int
main(void)
{
	TCase *tc = unit_case("console", start);

	tcase_add_loop_test(tc, escape, 0,
	    sizeof(escapes) / sizeof(escapes[0]));
	tcase_add_test(tc, escape_of_the_longest);
	tcase_add_test(tc, the_last_is_kept);
	tcase_add_test(tc, another_takes_over);
	tcase_add_test(tc, blocked_console_is_replaced);
	tcase_add_test(tc, blocked_console_leaves);
	tcase_add_test(tc, blocked_console_at_the_end);
	tcase_add_test(tc, nobody_new_at_the_end);
	tcase_add_test(tc, the_end_is_written);
	tcase_add_test(tc, typed_waits_for_room);
	return (unit_end());
}
