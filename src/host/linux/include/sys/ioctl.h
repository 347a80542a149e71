/* SPDX-License-Identifier: ISC */
/* ioctl.h - command words. */
#include <linux/ioctl.h>
