/* SPDX-License-Identifier: ISC */
/* ioctl.h - command words in Linux's encoding. */
#ifndef _SYS_IOCTL_H
#define _SYS_IOCTL_H

#define _IOC(dir, group, nr, size) \
	((dir) << 30 | (unsigned int)(size) << 16 | \
	 (unsigned int)(group) << 8 | (unsigned int)(nr))
#define _IOW(group, nr, type)	_IOC(1U, group, nr, sizeof(type))
#define _IOWR(group, nr, type)	_IOC(3U, group, nr, sizeof(type))

#endif /* _SYS_IOCTL_H */
