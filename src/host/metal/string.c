/* SPDX-License-Identifier: ISC */
/* string.c - the compiler, the driver and the kernel want these. */
#include "metal.h"

#undef memcpy
#undef memset

/* Eight bytes at a time: under an emulator each repetition is one step. */
void *
memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	void *d = dst;
	size_t q = n >> 3;

	__asm__ volatile("rep movsq; mov %3, %2; rep movsb"
	    : "+D"(d), "+S"(src), "+c"(q) : "r"(n & 7) : "memory");
	return (dst);
}

/* Fills. */
void *
memset(void *dst, int c, size_t n)
{
	void *d = dst;
	size_t q = n >> 3;

	__asm__ volatile("rep stosq; mov %3, %1; rep stosb"
	    : "+D"(d), "+c"(q) : "a"(0x0101010101010101 * (uint8_t)c),
	    "r"(n & 7) : "memory");
	return (dst);
}

/* Compares; the sign of the first difference. */
int
memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *p = a, *q = b;

	for (; n > 0; n--, p++, q++)
		if (*p != *q)
			return (*p < *q ? -1 : 1);
	return (0);
}

/* Length, at most n. */
size_t
strnlen(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n && s[i] != '\0'; i++)
		;
	return (i);
}

/* Compares two strings. */
int
strcmp(const char *a, const char *b)
{
	return (memcmp(a, b, min(strnlen(a, -1), strnlen(b, -1)) + 1));
}
