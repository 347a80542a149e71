/* SPDX-License-Identifier: ISC */
/* ioctl.h - command words in Linux's encoding. */
#ifndef _SYS_IOCTL_H
#define _SYS_IOCTL_H

#define _IOC_NONE		0U
#define _IOC_WRITE		1U
#define _IOC_READ		2U
#define _IOC(dir, group, nr, size) \
	((dir) << 30 | (unsigned int)(size) << 16 | \
	 (unsigned int)(group) << 8 | (unsigned int)(nr))
#define _IO(group, nr)		_IOC(_IOC_NONE, group, nr, 0)
#define _IOR(group, nr, type)	_IOC(_IOC_READ, group, nr, sizeof(type))
#define _IOW(group, nr, type)	_IOC(_IOC_WRITE, group, nr, sizeof(type))
#define _IOWR(group, nr, type) \
	_IOC(_IOC_READ | _IOC_WRITE, group, nr, sizeof(type))

#endif /* _SYS_IOCTL_H */
