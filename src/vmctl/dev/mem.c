/* SPDX-License-Identifier: ISC */
/*
 * mem.c - guest memory, as devices reach it.
 */
#include "dev.h"

void *
mem_ptr(const struct mem *m, uint64_t gpa, uint64_t len)
{
	const struct mem_range *r;
	size_t i;

	for (i = 0; i < m->n && len > 0; i++) {
		r = &m->range[i];
		if (gpa >= r->gpa && gpa - r->gpa < r->size &&
		    len <= r->size - (gpa - r->gpa))
			return (r->host + (gpa - r->gpa));
	}
	return (NULL);
}
