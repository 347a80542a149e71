/* SPDX-License-Identifier: ISC */
/*
 * shell.c - the prompt: line editing and history over the commands of cmd.c.
 *
 * A terminal is raw while a line is typed, and as it was while a command runs,
 * so that ^C gets a client out of RUN. A file or a pipe gets neither prompt
 * nor echo.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "vmctl.h"

#define HISTORY		32

#define CTRL(c)		((c) & 0x1f)
#define ESC		0x1b
#define DEL		0x7f

static char lines[HISTORY][CTL_LINE];	/* ring, by number of the line */
static unsigned int nlines;
static bool tty;
static struct termios cooked;

/* Characters one by one, and no echo, while a line is typed. */
static void
set_raw(bool raw)
{
	struct termios t = cooked;

	if (!tty)
		return;
	if (raw) {
		t.c_lflag &= ~(ICANON | ECHO | ISIG | IEXTEN);
		t.c_iflag &= ~(ICRNL | IXON);
		t.c_cc[VMIN] = 1;
		t.c_cc[VTIME] = 0;
	}
	tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
}

/* Rubs out what was typed and shows `text` instead. */
static size_t
replace(char *line, size_t len, const char *text)
{
	while (len-- > 0)
		fputs("\b \b", stdout);
	strcpy(line, text);
	fputs(line, stdout);
	return (strlen(line));
}

/* The up and down keys: ESC [ A and ESC [ B. Returns -1, 1, or 0. */
static int
arrow(void)
{
	char c;

	if (read(STDIN_FILENO, &c, 1) != 1 || c != '[' ||
	    read(STDIN_FILENO, &c, 1) != 1)
		return (0);
	return (c == 'A' ? -1 : c == 'B' ? 1 : 0);
}

/*
 * One line, edited: backspace, ^U and ^C empty it, up and down fetch older
 * and newer lines, ^D on an empty line ends. Returns false at the end.
 */
static bool
edit_line(const char *prompt, char line[CTL_LINE])
{
	unsigned int at = nlines, want;
	size_t len = 0;
	char c;

	line[0] = '\0';
	fputs(prompt, stdout);
	for (;;) {
		fflush(stdout);
		if (read(STDIN_FILENO, &c, 1) != 1 ||
		    (c == CTRL('d') && len == 0)) {
			putchar('\n');
			return (false);
		}
		if (c == '\r' || c == '\n')
			break;
		if ((c == '\b' || c == DEL) && len > 0) {
			line[--len] = '\0';
			fputs("\b \b", stdout);
		} else if (c == CTRL('u'))
			len = replace(line, len, "");
		else if (c == CTRL('c')) {
			len = 0;
			line[0] = '\0';
			printf("^C\n%s", prompt);
		} else if (c == ESC) {
			want = at + arrow();
			if (want > nlines || nlines - want > HISTORY)
				continue;
			at = want;
			len = replace(line, len, at == nlines ? "" :
			    lines[at % HISTORY]);
		} else if (c >= ' ' && c != DEL && len < CTL_LINE - 1) {
			line[len++] = c;
			line[len] = '\0';
			putchar(c);
		}
	}
	putchar('\n');
	if (len > 0 && (nlines == 0 ||
	    strcmp(line, lines[(nlines - 1) % HISTORY]) != 0))
		strcpy(lines[nlines++ % HISTORY], line);
	return (true);
}

/* One line of a file or a pipe. Returns false at its end. */
static bool
plain_line(char line[CTL_LINE])
{
	size_t len = 0;
	bool any = false;
	char c;

	while (read(STDIN_FILENO, &c, 1) == 1) {
		any = true;
		if (c == '\n')
			break;
		if (len < CTL_LINE - 1)
			line[len++] = c;
	}
	line[len] = '\0';
	return (any);
}

/* The lines typed so far, the newest last. */
int
cmd_history(struct ctl *ctl, int argc, char **argv)
{
	unsigned int i;

	(void)ctl;
	(void)argc;
	(void)argv;
	for (i = nlines > HISTORY ? nlines - HISTORY : 0; i < nlines; i++)
		printf("%4u  %s\n", i + 1, lines[i % HISTORY]);
	return (CTL_OK);
}

/* Ends the shell. */
int
cmd_quit(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	ctl->quit = true;
	return (CTL_OK);
}

/* ^C while a guest runs: nothing but that RUN returns. */
static void
on_interrupt(int sig)
{
	(void)sig;
}

/*
 * Until `quit' or the end of input. Returns CTL_OK when somebody types, the
 * status of the last failure when a script is read.
 */
int
shell_main(struct ctl *ctl)
{
	struct sigaction sa = { .sa_handler = on_interrupt };
	char line[CTL_LINE], prompt[32];
	int error, status = CTL_OK;

	tty = tcgetattr(STDIN_FILENO, &cooked) == 0;
	if (tty) {
		sigaction(SIGINT, &sa, NULL);
		printf("vmctl: one command for each ioctl; `help' lists "
		    "them, `quit' ends\n");
	}
	while (!ctl->quit) {
		snprintf(prompt, sizeof(prompt), "vmm> ");
		if (ctl->cur != NULL)
			snprintf(prompt, sizeof(prompt), "vm%u.%u> ",
			    ctl->cur->v.id, ctl->cur->v.vcpu);
		set_raw(true);
		if (!(tty ? edit_line(prompt, line) : plain_line(line)))
			break;
		set_raw(false);
		error = ctl_exec_line(ctl, line);
		if (error != CTL_OK)
			status = error;
	}
	set_raw(false);
	return (tty ? CTL_OK : status);
}
