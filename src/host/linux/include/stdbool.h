/* SPDX-License-Identifier: ISC */
/* stdbool.h - the same. */
#include <linux/types.h>
