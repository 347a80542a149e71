/* SPDX-License-Identifier: ISC */
/*
 * string.h - what the driver uses of it. The kernel's own header brings along
 * its names for CR0 and the MSRs, which are the driver's, too.
 */
#ifndef _STRING_H
#define _STRING_H

#include <linux/types.h>

void	*memcpy(void *, const void *, size_t);
void	*memset(void *, int, size_t);
int	 memcmp(const void *, const void *, size_t);

/* Of a small constant size the compiler makes moves, not calls. */
#define memcpy(d, s, n)	__builtin_memcpy(d, s, n)
#define memset(d, c, n)	__builtin_memset(d, c, n)

#endif /* _STRING_H */
