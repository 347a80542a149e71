// SPDX-License-Identifier: ISC
/*
 * mem.c - kernel memory, and the clients' memory that becomes the guests'.
 *
 * A page of a client is taken by pinning it for the long term: it is neither
 * moved nor swapped, and stays ours when the client unmaps it, ends, or cuts
 * the file that it came from.
 */
#include <linux/gfp.h>
#include <linux/hugetlb.h>
#include <linux/io.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#include "host.h"

#define CHUNK		512UL		/* pages pinned at a time: a block */

void *
host_page_alloc(unsigned int order)
{
	return ((void *)__get_free_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO,
	    order));
}

void
host_page_free(void *p, unsigned int order)
{
	free_pages((unsigned long)p, order);
}

void *
host_alloc(size_t bytes)
{
	return (kvzalloc(bytes, GFP_KERNEL_ACCOUNT));
}

void
host_free(void *p)
{
	kvfree(p);
}

void *
host_va_of(uint64_t hpa)
{
	return (__va(hpa));
}

uint64_t
host_pa_of(const void *p)
{
	return (__pa(p));
}

/*
 * The sizes are those of the driver's own structures, never a client's word,
 * so copy_from_user()'s look at the kernel's side finds nothing; it takes
 * longer than the copy.
 */
int
host_copyin(uint64_t uaddr, void *buf, size_t n)
{
	const void __user *from = (const void __user *)uaddr;

	might_fault();
	if (!access_ok(from, n))
		return (EFAULT);
	barrier_nospec();
	return (raw_copy_from_user(buf, from, n) != 0 ? EFAULT : 0);
}

int
host_copyout(const void *buf, uint64_t uaddr, size_t n)
{
	void __user *to = (void __user *)uaddr;

	might_fault();
	if (!access_ok(to, n))
		return (EFAULT);
	return (raw_copy_to_user(to, buf, n) != 0 ? EFAULT : 0);
}

/*
 * --- Address spaces. A host_as is a struct mm_struct, kept, not kept alive:
 * its memory goes when its last process does. ---
 */

static struct mm_struct *
mm_of(struct host_as *as)
{
	return ((struct mm_struct *)as);
}

/* book: linux-charge */
/* The limit is the client's RLIMIT_MEMLOCK, which CAP_IPC_LOCK lifts. */
int
host_as_get(uint64_t pages, struct host_as **asp)
{
	struct mm_struct *mm = current->mm;

	if (mm == NULL || account_locked_vm(mm, pages, true) != 0)
		return (ENOMEM);
	mmgrab(mm);
	*asp = (struct host_as *)mm;
	return (0);
}

void
host_as_put(struct host_as *as, uint64_t pages)
{
	account_locked_vm(mm_of(as), pages, false);
	mmdrop(mm_of(as));
}
/* book: end */

int
host_as_mapped(struct host_as *as, uint64_t va, uint64_t size)
{
	struct mm_struct *mm = mm_of(as);
	struct vm_area_struct *vma;
	uint64_t at = va;

	mmap_read_lock(mm);
	while (at < va + size) {
		vma = find_vma(mm, at);
		if (vma == NULL || vma->vm_start > at)
			break;
		at = vma->vm_end;
	}
	mmap_read_unlock(mm);
	return (at < va + size ? EFAULT : 0);
}

/* book: linux-take-allowed */
/*
 * Memory that can be taken: anonymous, or of hugetlbfs or tmpfs, as memfd,
 * shmem and shared anonymous memory are. Not of other files: one on a disk
 * would be written behind the back of its file system, and one that a process
 * serves (FUSE) could keep us waiting here, with locks held.
 */
static bool
take_allowed(struct mm_struct *mm, uint64_t va)
{
	struct vm_area_struct *vma = find_vma(mm, va);

	if (vma == NULL || vma->vm_start > va)
		return (false);
	if (vma_is_anonymous(vma) || is_vm_hugetlb_page(vma))
		return (true);
	return (vma->vm_file != NULL &&
	    file_inode(vma->vm_file)->i_sb->s_magic == TMPFS_MAGIC);
}
/* book: end */

/* book: linux-take-pin */
/*
 * Pin `n` pages. FOLL_FORCE lets a private mapping be read-only, but not a
 * shared one (decisions.md C5).
 * Returns: ENOMEM; EFAULT. None is pinned then.
 */
static int
take_pin(struct mm_struct *mm, uint64_t va, long n, struct page **pages)
{
	const unsigned int flags = FOLL_WRITE | FOLL_FORCE | FOLL_LONGTERM;
	long got;

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
	got = pin_user_pages_remote(mm, va, n, flags, pages, NULL, NULL);
#else
	got = pin_user_pages_remote(mm, va, n, flags, pages, NULL);
#endif
	if (got == n)
		return (0);
	if (got > 0)
		unpin_user_pages(pages, got);
	return (got == -ENOMEM ? ENOMEM : EFAULT);
}
/* book: end */

/* book: linux-take-block */
/* Is the page in its place of a block of 2^order pages of one folio? */
static bool
take_in_block(struct page *page, uint64_t va, unsigned int order)
{
	uint64_t in = (va >> PAGE_SHIFT) & ((1UL << order) - 1);

	return (compound_order(compound_head(page)) >= order &&
	    (page_to_pfn(page) & ((1UL << order) - 1)) == in);
}

/*
 * Pin the block at `va` if it begins at `pfn` and is all there. The client
 * may have split it and put other pages between.
 */
static bool
take_block(struct mm_struct *mm, uint64_t va, unsigned long pfn,
    unsigned int order)
{
	unsigned long done, i, n = 1UL << order;
	struct page **pages;

	pages = kvmalloc_array(CHUNK, sizeof(*pages), GFP_KERNEL_ACCOUNT);
	if (pages == NULL)
		return (false);
	for (done = 0; done < n; done += CHUNK) {
		if (take_pin(mm, va + (done << PAGE_SHIFT), CHUNK, pages) != 0)
			break;
		for (i = 0; i < CHUNK; i++)
			if (page_to_pfn(pages[i]) != pfn + done + i)
				break;
		if (i < CHUNK) {
			unpin_user_pages(pages, CHUNK);
			break;
		}
	}
	if (done < n && done != 0)
		unpin_user_page_range_dirty_lock(pfn_to_page(pfn), done,
		    false);
	kvfree(pages);
	return (done == n);
}
/* book: end */

/* book: linux-take */
/* host_user_take() with the address space locked. */
static int
take_locked(struct mm_struct *mm, uint64_t va, unsigned int max_order,
    uint64_t *hpa, unsigned int *order)
{
	uint64_t start = va & ~((PAGE_SIZE << max_order) - 1);
	struct page *page;
	int error;

	if (!take_allowed(mm, va))
		return (EFAULT);
	error = take_pin(mm, va, 1, &page);
	if (error != 0)
		return (error);
	*order = ORDER_4K;
	*hpa = page_to_phys(page);
	if (max_order == 0 || !take_in_block(page, va, max_order) ||
	    !take_block(mm, start, page_to_pfn(page) -
	    ((va - start) >> PAGE_SHIFT), max_order))
		return (0);
	unpin_user_page(page);		/* it is in the block once more */
	*order = max_order;
	*hpa -= va - start;
	return (0);
}
/* book: end */

int
host_user_take(struct host_as *as, uint64_t va, unsigned int max_order,
    uint64_t *hpa, unsigned int *order)
{
	struct mm_struct *mm = mm_of(as);
	int error;

	if (!mmget_not_zero(mm))
		return (EFAULT);
	mmap_read_lock(mm);
	error = take_locked(mm, va, max_order, hpa, order);
	mmap_read_unlock(mm);
	mmput(mm);
	return (error);
}

/* book: linux-release */
void
host_user_release(uint64_t hpa, unsigned int order)
{
	unpin_user_page_range_dirty_lock(pfn_to_page(hpa >> PAGE_SHIFT),
	    1UL << order, true);
}
/* book: end */
