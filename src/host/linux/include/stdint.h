/* SPDX-License-Identifier: ISC */
/* stdint.h - the kernel has these types in one header. */
#include <linux/types.h>
