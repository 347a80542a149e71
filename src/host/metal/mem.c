/* SPDX-License-Identifier: ISC */
/*
 * mem.c - the memory of clients: the system calls, and what the driver may
 * do with it (host.h).
 */
#include <string.h>

#include "metal.h"
#include "syscall.h"

#define PROT_MASK	7
#define MAP_SHARED	0x01
#define MAP_PRIVATE	0x02
#define MAP_TYPE	0x0f
#define MAP_FIXED	0x10
#define MAP_ANONYMOUS	0x20
#define MAP_POPULATE	0x8000
#define MAP_NOREPLACE	0x100000
#define MADV_DONTNEED	4
#define MADV_HUGEPAGE	14
#define MADV_NOHUGEPAGE	15

/* [addr, +len) in whole pages, inside the client's half, not empty. */
static bool
range_ok(uint64_t addr, uint64_t *len)
{
	if (addr % PAGE_SIZE != 0 || *len == 0 || *len > USER_MAX)
		return (false);
	*len = round_up(*len, PAGE_SIZE);
	return (addr <= USER_MAX - *len);
}

/*
 * Anonymous memory, or a file of the archive, read-only if shared.
 */
long
sys_mmap(uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags,
    uint64_t fd, uint64_t off)
{
	uint32_t vmf = prot & PROT_MASK;
	const char *data = NULL;
	uint64_t data_len = 0, va;
	int error;

	if ((flags & MAP_TYPE) != MAP_SHARED && (flags & MAP_TYPE) !=
	    MAP_PRIVATE)
		return (-EINVAL);
	if ((flags & (MAP_FIXED | MAP_NOREPLACE)) == 0)
		addr = round_down(addr, PAGE_SIZE);
	if (len > USER_MAX)
		return (-ENOMEM);
	if (!range_ok(addr, &len) || off % PAGE_SIZE != 0)
		return (-EINVAL);
	if ((flags & MAP_TYPE) == MAP_SHARED)
		vmf |= VM_SHARED;
	if ((flags & MAP_ANONYMOUS) == 0) {
		vmf |= VM_FILE;
		error = file_data(fd, off, &data, &data_len);
		if (error == 0 && (vmf & VM_SHARED) && (vmf & VM_W))
			error = EACCES;
		if (error != 0)
			return (-error);
	}
	if ((flags & MAP_NOREPLACE) != 0) {
		if ((va = as_place(proc.as, addr, len)) != addr)
			return (-EEXIST);
	} else if ((flags & MAP_FIXED) != 0) {
		va = addr;
		if (as_unmap(proc.as, va, va + len) != 0)
			return (-ENOMEM);
	} else if ((va = as_place(proc.as, addr, len)) == 0)
		return (-ENOMEM);
	if (as_map(proc.as, va, va + len, vmf, data, data_len) != 0)
		return (-ENOMEM);
	if ((flags & MAP_POPULATE) != 0)
		for (addr = va; addr < va + len; addr += PAGE_SIZE)
			if (as_fault(proc.as, addr, VM_R) != 0)
				break;
	return (va);
}

long
sys_munmap(uint64_t addr, uint64_t len)
{
	if (!range_ok(addr, &len))
		return (-EINVAL);
	return (-as_unmap(proc.as, addr, addr + len));
}

/* EACCES: a shared file cannot become writable. */
long
sys_mprotect(uint64_t addr, uint64_t len, uint64_t prot)
{
	const struct vma *v;

	if (len == 0)
		return (0);
	if (!range_ok(addr, &len) || (prot & ~PROT_MASK) != 0)
		return (-EINVAL);
	for (v = proc.as->vmas; v != NULL && (prot & VM_W); v = v->next)
		if (v->start < addr + len && v->end > addr &&
		    (v->flags & VM_FILE) && (v->flags & VM_SHARED))
			return (-EACCES);
	return (-as_change(proc.as, addr, addr + len, PROT_MASK, prot));
}

/* Advice that only changes speed is taken and forgotten. */
long
sys_madvise(uint64_t addr, uint64_t len, uint64_t advice)
{
	if (len == 0)
		return (0);
	if (!range_ok(addr, &len))
		return (-EINVAL);
	switch (advice) {
	case MADV_DONTNEED:
		return (-as_forget(proc.as, addr, addr + len));
	case MADV_HUGEPAGE:
		return (-as_change(proc.as, addr, addr + len, VM_SMALL, 0));
	case MADV_NOHUGEPAGE:
		return (-as_change(proc.as, addr, addr + len, 0, VM_SMALL));
	}
	return (-host_as_mapped(proc.as, addr, len));
}

/* Returns the break, moved or not; never an error. */
long
sys_brk(uint64_t want)
{
	struct host_as *as = proc.as;
	uint64_t old = round_up(as->brk, PAGE_SIZE);
	uint64_t new = round_up(want, PAGE_SIZE);

	if (want < as->brk_start || want > USER_MAX)
		return (as->brk);
	if (new < old && as_unmap(as, new, old) != 0)
		return (as->brk);
	if (new > old && (as_place(as, old, new - old) != old ||
	    as_map(as, old, new, VM_R | VM_W, NULL, 0) != 0))
		return (as->brk);
	return (as->brk = want);
}

/* --- host.h --- */

static bool
user_range(uint64_t va, size_t n)
{
	return (n <= USER_MAX && va <= USER_MAX - n);
}

int
host_copyin(uint64_t uaddr, void *buf, size_t n)
{
	if (!user_range(uaddr, n))
		return (EFAULT);
	return (copy_user(buf, (const void *)uaddr, n));
}

int
host_copyout(const void *buf, uint64_t uaddr, size_t n)
{
	if (!user_range(uaddr, n))
		return (EFAULT);
	return (copy_user((void *)uaddr, buf, n));
}

/*
 * The limit on locked memory is all memory there is: clients may lock what
 * they could touch, and ENOMEM can still be had by asking for more.
 */
int
host_as_get(uint64_t npages, struct host_as **asp)
{
	struct host_as *as = proc.as;

	if (npages > pages_total || as->locked > pages_total - npages)
		return (ENOMEM);
	as->locked += npages;
	as->refs++;
	*asp = as;
	return (0);
}

void
host_as_put(struct host_as *as, uint64_t npages)
{
	as->locked -= npages;
	if (--as->refs == 0)
		host_free(as);
}

int
host_as_mapped(struct host_as *as, uint64_t va, uint64_t size)
{
	uint64_t end = va + size;
	const struct vma *v;

	if (!user_range(va, size))
		return (EFAULT);
	for (; va < end; va = v->end)
		if ((v = as_find(as, va)) == NULL)
			return (EFAULT);
	return (0);
}

/*
 * What protection a private mapping has is the client's affair, not the
 * guest's (decisions.md C5). All memory here is anonymous but files'.
 */
int
host_user_take(struct host_as *as, uint64_t va, unsigned int max_order,
    uint64_t *hpa, unsigned int *order)
{
	struct vma *v = as_find(as, va);
	uint64_t *e;
	int level;

	if (v == NULL || (v->flags & VM_FILE) != 0 ||
	    ((v->flags & VM_SHARED) != 0 && (v->flags & VM_W) == 0))
		return (EFAULT);
	if (as_touch(as, v, va) != 0)
		return (ENOMEM);
	e = pt_leaf(as->pml4, va, &level);
	*order = level == 2 && max_order == BLOCK_ORDER &&
	    va % BLOCK_SIZE == 0 ? BLOCK_ORDER : 0;
	*hpa = *e & PTE_ADDR;
	if (level == 2)
		*hpa += va % BLOCK_SIZE;
	page_ref(*hpa, *order);
	return (0);
}

void
host_user_release(uint64_t hpa, unsigned int order)
{
	page_unref(hpa, order);
}
