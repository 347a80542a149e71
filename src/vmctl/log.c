/* SPDX-License-Identifier: ISC */
/*
 * log.c - what devices have to tell.
 */
#include <stdarg.h>
#include <stdio.h>

#include "dev/dev.h"
#include "vmctl.h"

void
dev_log(const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)ctl_error(0, "%s", line);
}
