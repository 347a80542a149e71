/* SPDX-License-Identifier: ISC */
/*
 * log.c - what devices have to tell.
 */
#include <stdarg.h>
#include <stdio.h>

#include "dev/dev.h"
#include "vmctl.h"

#define LOG_LINES	1000		/* a guest can start over and over */

void
dev_log(const char *fmt, ...)
{
	static unsigned int lines;
	char line[256];
	va_list ap;

	if (lines == LOG_LINES)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)ctl_error(0, "%s%s", line, ++lines == LOG_LINES ?
	    "; devices tell no more" : "");
}
