/* SPDX-License-Identifier: ISC */
/* linux.h - what the files of this host have in common. */
#ifndef LINUX_H
#define LINUX_H

/*
 * cpu_use: whether the driver may run here; on that CPU, interrupts off.
 * cpu_supported: false, and logged, on a CPU whose kernel mode the driver
 *	does not know to restore.
 */
void	cpu_use(bool);
bool	cpu_supported(void);

#endif /* LINUX_H */
