/* SPDX-License-Identifier: ISC */
/* stddef.h - NULL, offsetof, size_t. */
#include <linux/stddef.h>
#include <linux/types.h>
