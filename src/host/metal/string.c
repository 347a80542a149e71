/* SPDX-License-Identifier: ISC */
/* string.c - the compiler and the driver want these. */
#include <string.h>

#include "metal.h"

#undef memcpy
#undef memset
#undef memcmp

/* Eight bytes at a time: under an emulator each repetition is one step. */
void *
memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	void *d = dst;
	size_t q = n >> 3;

	n &= 7;
	__asm__ volatile("rep movsq; mov %3, %2; rep movsb"
	    : "+D"(d), "+S"(src), "+c"(q) : "r"(n) : "memory");
	return (dst);
}

/* As memcpy(), for ranges that overlap. */
void *
memmove(void *dst, const void *src, size_t n)
{
	char *d = (char *)dst + n - 1;
	const char *s = (const char *)src + n - 1;

	if ((uintptr_t)dst - (uintptr_t)src >= n)
		return (memcpy(dst, src, n));
	__asm__ volatile("std; rep movsb; cld"
	    : "+D"(d), "+S"(s), "+c"(n) : : "memory");
	return (dst);
}

/* Fills. */
void *
memset(void *dst, int c, size_t n)
{
	void *d = dst;
	size_t q = n >> 3;
	uint64_t v = 0x0101010101010101 * (uint8_t)c;

	n &= 7;
	__asm__ volatile("rep stosq; mov %3, %1; rep stosb"
	    : "+D"(d), "+c"(q) : "a"(v), "r"(n) : "memory");
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

/* Length. */
size_t
strlen(const char *s)
{
	return (strnlen(s, SIZE_MAX));
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
	return (strncmp(a, b, SIZE_MAX));
}

/* Compares at most n characters. */
int
strncmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; n--, a++, b++) {
		if (*a != *b)
			return ((uint8_t)*a < (uint8_t)*b ? -1 : 1);
		if (*a == '\0')
			break;
	}
	return (0);
}
