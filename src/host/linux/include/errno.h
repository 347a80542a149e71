/* SPDX-License-Identifier: ISC */
/* errno.h - the kernel's numbers are those of its clients. */
#include <asm/errno.h>
