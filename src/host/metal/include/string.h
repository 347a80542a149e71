/* SPDX-License-Identifier: ISC */
/* string.h - what the driver and the kernel use of it; string.c. */
#ifndef _STRING_H
#define _STRING_H

#include <stddef.h>

void	*memcpy(void *restrict, const void *restrict, size_t);
void	*memset(void *, int, size_t);
int	 memcmp(const void *, const void *, size_t);
size_t	 strnlen(const char *, size_t);
int	 strcmp(const char *, const char *);

/* Of a small constant size the compiler makes moves, not calls. */
#define memcpy(d, s, n)	__builtin_memcpy(d, s, n)
#define memset(d, c, n)	__builtin_memset(d, c, n)

#endif /* _STRING_H */
