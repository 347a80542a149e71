/* SPDX-License-Identifier: ISC */
/*
 * fake_mem.c - physical memory, allocations and client address spaces of the
 * fake host.
 */
#include <sys/mman.h>

#include <stdlib.h>

#include "fake_priv.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)		((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n)	((void)(p), (void)(n))
#endif

#define NPAGES		(FAKE_PA_SIZE >> PAGE_SHIFT_4K)
#define BYTES(order)	(PAGE_SIZE_4K << (order))

struct page {
	uint8_t		kind;		/* enum fake_page */
	uint8_t		order;		/* of host_page_alloc, first page */
	uint8_t		first;		/* first page of an allocation */
	uint8_t		mapped;		/* by a client */
	uint32_t	pins;
};

/* A run of client addresses over one run of physical ones. */
struct region {
	struct region	*next;
	uint64_t	 va, size, pa;
	int		 flags;
};

struct host_as {
	struct host_as	*next;
	struct region	*regions;
	unsigned int	 refs;
	uint64_t	 charged;
	bool		 gone;
};

static uint8_t		*phys;		/* FAKE_PA_BASE .. */
static struct page	*pages;
static uint64_t		 next_page;
static uint64_t		 kernel_pages, allocs, pins, charged, memlock;
static unsigned int	 calls, fail_at;
static bool		 failed, recycle;
static uint64_t		 freed[64];	/* pages to be used again */
static unsigned int	 nfreed;
static struct host_as	*spaces, *first_as;
static pthread_mutex_t	 lock = PTHREAD_MUTEX_INITIALIZER;

static void *
reserve(size_t size)
{
	void *p;

	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		fake_die("no room for fake memory");
	return (p);
}

/* An empty machine; earlier tests' memory is forgotten, not checked. */
void
fake_mem_reset(void)
{
	struct host_as *as;
	struct region *r;

	if (phys == NULL) {
		phys = reserve(FAKE_PA_SIZE);
		pages = reserve(NPAGES * sizeof(*pages));
	}
	ASAN_UNPOISON_MEMORY_REGION(phys, next_page << PAGE_SHIFT_4K);
	madvise(phys, next_page << PAGE_SHIFT_4K, MADV_DONTNEED);
	madvise(pages, next_page * sizeof(*pages), MADV_DONTNEED);
	while ((as = spaces) != NULL) {
		spaces = as->next;
		while ((r = as->regions) != NULL) {
			as->regions = r->next;
			free(r);
		}
		free(as);
	}
	next_page = 0;
	kernel_pages = allocs = pins = charged = 0;
	memlock = UINT64_MAX;
	calls = fail_at = 0;
	failed = recycle = false;
	nfreed = 0;
	first_as = fake_as_new();
}

/* --- Failure on request --- */

void
fake_fail_at(unsigned int n)
{
	calls = 0;
	fail_at = n;
	failed = false;
}

unsigned int
fake_alloc_calls(void)
{
	return (calls);
}

bool
fake_failed(void)
{
	return (failed);
}

/* Counts a call that may fail; true: this is the one. Locks: lock. */
static bool
fail_now(void)
{
	calls++;
	if (calls != fail_at)
		return (false);
	failed = true;
	return (true);
}

/* --- Physical memory --- */

static uint64_t
index_of(uint64_t pa)
{
	if (pa < FAKE_PA_BASE || pa - FAKE_PA_BASE >= FAKE_PA_SIZE)
		fake_die("%#llx is no physical address",
		    (unsigned long long)pa);
	return ((pa - FAKE_PA_BASE) >> PAGE_SHIFT_4K);
}

static uint8_t *
bytes_at(uint64_t index)
{
	return (phys + (index << PAGE_SHIFT_4K));
}

/* Never-used pages whose number is `skew` modulo 2^order. Locks: lock. */
static uint64_t
take_pages(uint64_t n, unsigned int order, uint64_t skew)
{
	uint64_t align = 1ULL << order, i;

	i = ((next_page + align - 1) & ~(align - 1)) + (skew & (align - 1));
	if (i + n > NPAGES)
		fake_die("out of fake physical memory");
	next_page = i + n;
	return (i);
}

void *
host_page_alloc(unsigned int order)
{
	uint64_t i, n;

	fake_assert_context("host_page_alloc", true, false, false);
	pthread_mutex_lock(&lock);
	if (fail_now()) {
		pthread_mutex_unlock(&lock);
		return (NULL);
	}
	if (order == 0 && nfreed > 0) {
		i = freed[--nfreed];
		ASAN_UNPOISON_MEMORY_REGION(bytes_at(i), PAGE_SIZE_4K);
		memset(bytes_at(i), 0, PAGE_SIZE_4K);
	} else
		i = take_pages(1ULL << order, order, 0);
	pages[i].first = 1;
	pages[i].order = (uint8_t)order;
	for (n = 0; n < 1ULL << order; n++)
		pages[i + n].kind = FAKE_PAGE_KERNEL;
	kernel_pages += 1ULL << order;
	pthread_mutex_unlock(&lock);
	return (bytes_at(i));
}

void
host_page_free(void *p, unsigned int order)
{
	uint64_t i, n;

	fake_assert_context("host_page_free", true, false, false);
	if (p == NULL)
		return;
	if ((uint8_t *)p < phys || (uint8_t *)p >= phys + FAKE_PA_SIZE)
		fake_die("host_page_free of no page");
	pthread_mutex_lock(&lock);
	i = (uint64_t)((uint8_t *)p - phys) >> PAGE_SHIFT_4K;
	if (pages[i].kind != FAKE_PAGE_KERNEL || !pages[i].first ||
	    pages[i].order != order)
		fake_die("host_page_free: not what was allocated");
	memset(p, FAKE_POISON, BYTES(order));
	ASAN_POISON_MEMORY_REGION(p, BYTES(order));
	for (n = 0; n < 1ULL << order; n++)
		pages[i + n].kind = FAKE_PAGE_FREED;
	kernel_pages -= 1ULL << order;
	if (recycle && order == 0 && nfreed < sizeof(freed) / sizeof(freed[0]))
		freed[nfreed++] = i;
	pthread_mutex_unlock(&lock);
}

void *
host_alloc(size_t n)
{
	void *p = NULL;

	fake_assert_context("host_alloc", true, false, false);
	pthread_mutex_lock(&lock);
	if (!fail_now() && (p = calloc(1, n)) != NULL)
		allocs++;
	pthread_mutex_unlock(&lock);
	return (p);
}

void
host_free(void *p)
{
	fake_assert_context("host_free", true, false, false);
	if (p == NULL)
		return;
	pthread_mutex_lock(&lock);
	allocs--;
	pthread_mutex_unlock(&lock);
	free(p);
}

void *
host_va_of(uint64_t pa)
{
	uint64_t i = index_of(pa);

	if (pages[i].kind != FAKE_PAGE_KERNEL &&
	    pages[i].kind != FAKE_PAGE_USER)
		fake_die("host_va_of(%#llx): page is not in use",
		    (unsigned long long)pa);
	return (phys + (pa - FAKE_PA_BASE));
}

uint64_t
host_pa_of(const void *p)
{
	const uint8_t *b = p;

	if (b < phys || b >= phys + FAKE_PA_SIZE)
		fake_die("host_pa_of: not a page");
	if (fake_page_kind(FAKE_PA_BASE + (uint64_t)(b - phys)) !=
	    FAKE_PAGE_KERNEL &&
	    fake_page_kind(FAKE_PA_BASE + (uint64_t)(b - phys)) !=
	    FAKE_PAGE_USER)
		fake_die("host_pa_of: page is not in use");
	return (FAKE_PA_BASE + (uint64_t)(b - phys));
}

enum fake_page
fake_page_kind(uint64_t pa)
{
	return ((enum fake_page)pages[index_of(pa)].kind);
}

/* Are these whole pages that the driver allocated and has not freed? */
bool
fake_kernel_range(uint64_t pa, uint64_t bytes)
{
	uint64_t n;

	if ((pa & 0xfff) != 0 || pa < FAKE_PA_BASE ||
	    pa - FAKE_PA_BASE > FAKE_PA_SIZE - bytes)
		return (false);
	for (n = 0; n < bytes; n += PAGE_SIZE_4K)
		if (fake_page_kind(pa + n) != FAKE_PAGE_KERNEL)
			return (false);
	return (true);
}

uint64_t
fake_page_pins(uint64_t pa)
{
	return (pages[index_of(pa)].pins);
}

/* From now on a freed page is the next to be handed out. */
void
fake_recycle(void)
{
	recycle = true;
}

uint64_t
fake_kernel_pages(void)
{
	return (kernel_pages);
}

uint64_t
fake_allocs(void)
{
	return (allocs);
}

uint64_t
fake_pins(void)
{
	return (pins);
}

uint64_t
fake_charged(void)
{
	return (charged);
}

/* --- Address spaces --- */

struct host_as *
fake_as_new(void)
{
	struct host_as *as = calloc(1, sizeof(*as));

	if (as == NULL)
		fake_die("no memory for an address space");
	as->next = spaces;
	spaces = as;
	return (as);
}

struct host_as *
fake_as_default(void)
{
	return (first_as);
}

struct host_as *
fake_as_current(void)
{
	return (fake_self()->as);
}

void
fake_as_use(struct host_as *as)
{
	fake_self()->as = as;
}

void
fake_memlock(uint64_t n)
{
	memlock = n;
}

static struct region *
find(struct host_as *as, uint64_t va)
{
	struct region *r;

	for (r = as->regions; r != NULL; r = r->next)
		if (va >= r->va && va - r->va < r->size)
			return (r);
	return (NULL);
}

static void
add_region(struct host_as *as, uint64_t va, uint64_t size, uint64_t pa,
    int flags)
{
	struct region *r = calloc(1, sizeof(*r));

	if (r == NULL)
		fake_die("no memory for a mapping");
	r->va = va;
	r->size = size;
	r->pa = pa;
	r->flags = flags;
	r->next = as->regions;
	as->regions = r;
}

/* Fresh zeroed memory at [va, va+size) of the current client. */
void
fake_user_map(uint64_t va, uint64_t size, int flags)
{
	struct host_as *as = fake_self()->as;
	uint64_t i, n, skew;

	if (((va | size) & (PAGE_SIZE_4K - 1)) != 0 || size == 0)
		fake_die("fake_user_map: not aligned");
	for (n = 0; n < size; n += PAGE_SIZE_4K)
		if (find(as, va + n) != NULL)
			fake_die("fake_user_map: already mapped");
	pthread_mutex_lock(&lock);
	skew = va >> PAGE_SHIFT_4K;
	if ((flags & FAKE_HUGE) == 0)
		skew++;
	i = take_pages(size >> PAGE_SHIFT_4K,
	    size >= BYTES(ORDER_1G) ? ORDER_1G : ORDER_2M, skew);
	for (n = 0; n < size >> PAGE_SHIFT_4K; n++) {
		pages[i + n].kind = FAKE_PAGE_USER;
		pages[i + n].mapped = 1;
	}
	add_region(as, va, size, FAKE_PA_BASE + (i << PAGE_SHIFT_4K), flags);
	pthread_mutex_unlock(&lock);
}

/* A user page that is neither mapped nor pinned is gone. Locks: lock. */
static void
reap(uint64_t i)
{
	if (pages[i].mapped || pages[i].pins != 0)
		return;
	madvise(bytes_at(i), PAGE_SIZE_4K, MADV_DONTNEED);
	memset(bytes_at(i), FAKE_POISON, 64);
	ASAN_POISON_MEMORY_REGION(bytes_at(i), PAGE_SIZE_4K);
	pages[i].kind = FAKE_PAGE_FREED;
}

/* Unmaps [va, va+size). Locks: lock. */
static void
cut(struct host_as *as, uint64_t va, uint64_t size)
{
	struct region *r, **pp, old;
	uint64_t lo, hi, i, n;

	for (pp = &as->regions; (r = *pp) != NULL;) {
		lo = va > r->va ? va : r->va;
		hi = va + size < r->va + r->size ? va + size : r->va + r->size;
		if (lo >= hi) {
			pp = &r->next;
			continue;
		}
		old = *r;
		*pp = r->next;
		free(r);
		if (lo > old.va)
			add_region(as, old.va, lo - old.va, old.pa, old.flags);
		if (hi < old.va + old.size)
			add_region(as, hi, old.va + old.size - hi,
			    old.pa + (hi - old.va), old.flags);
		i = index_of(old.pa + (lo - old.va));
		for (n = 0; n < (hi - lo) >> PAGE_SHIFT_4K; n++) {
			pages[i + n].mapped = 0;
			reap(i + n);
		}
		pp = &as->regions;
	}
}

void
fake_user_unmap(uint64_t va, uint64_t size)
{
	pthread_mutex_lock(&lock);
	cut(fake_self()->as, va, size);
	pthread_mutex_unlock(&lock);
}

/* Write permission of one mapped range, whole or part of a mapping. */
void
fake_user_protect(uint64_t va, uint64_t size, bool writable)
{
	struct host_as *as = fake_self()->as;
	struct region *r, old;

	pthread_mutex_lock(&lock);
	r = find(as, va);
	if (r == NULL || va + size > r->va + r->size)
		fake_die("fake_user_protect: not one mapping");
	old = *r;
	if (va + size < old.va + old.size)
		add_region(as, va + size, old.va + old.size - (va + size),
		    old.pa + (va + size - old.va), old.flags);
	add_region(as, va, size, old.pa + (va - old.va),
	    writable ? old.flags & ~FAKE_RO : old.flags | FAKE_RO);
	r->size = va - old.va;		/* 0: found by no address */
	pthread_mutex_unlock(&lock);
}

/* The client exits: its mappings go, pinned pages stay. */
void
fake_as_exit(struct host_as *as)
{
	pthread_mutex_lock(&lock);
	cut(as, 0, UINT64_MAX);
	as->gone = true;
	pthread_mutex_unlock(&lock);
}

uint64_t
fake_user_pa(uint64_t va)
{
	struct region *r = find(fake_self()->as, va);

	return (r == NULL ? 0 : r->pa + (va - r->va));
}

void *
fake_user_ptr(uint64_t va)
{
	uint64_t pa = fake_user_pa(va);

	return (pa == 0 ? NULL : phys + (pa - FAKE_PA_BASE));
}

/* One copy between the driver and the client, page by page. */
static int
user_copy(uint64_t va, uint8_t *p, size_t n, bool out)
{
	struct region *r;
	size_t part;

	if (n != 0 && (va >= FAKE_VA_MAX || n > FAKE_VA_MAX - va))
		return (EFAULT);
	while (n != 0) {
		r = find(fake_self()->as, va);
		if (r == NULL || (out && (r->flags & FAKE_RO) != 0))
			return (EFAULT);
		part = PAGE_SIZE_4K - (va & (PAGE_SIZE_4K - 1));
		if (part > n)
			part = n;
		if (out)
			memcpy(phys + (r->pa + (va - r->va) - FAKE_PA_BASE), p,
			    part);
		else
			memcpy(p, phys + (r->pa + (va - r->va) - FAKE_PA_BASE),
			    part);
		va += part;
		p += part;
		n -= part;
	}
	return (0);
}

void
fake_user_write(uint64_t va, const void *p, size_t n)
{
	if (user_copy(va, (uint8_t *)(uintptr_t)p, n, true) != 0)
		fake_die("fake_user_write: not writable");
}

void
fake_user_read(uint64_t va, void *p, size_t n)
{
	if (user_copy(va, p, n, false) != 0)
		fake_die("fake_user_read: not mapped");
}

int
host_copyin(uint64_t va, void *p, size_t n)
{
	fake_assert_context("host_copyin", true, false, false);
	return (user_copy(va, p, n, false));
}

int
host_copyout(const void *p, uint64_t va, size_t n)
{
	fake_assert_context("host_copyout", true, false, false);
	return (user_copy(va, (uint8_t *)(uintptr_t)p, n, true));
}

int
host_as_get(uint64_t n, struct host_as **out)
{
	struct host_as *as = fake_self()->as;
	int error = ENOMEM;

	fake_assert_context("host_as_get", true, false, false);
	pthread_mutex_lock(&lock);
	if (!fail_now() && as->charged + n <= memlock) {
		as->refs++;
		as->charged += n;
		charged += n;
		*out = as;
		error = 0;
	}
	pthread_mutex_unlock(&lock);
	return (error);
}

int
host_as_mapped(struct host_as *as, uint64_t va, uint64_t size)
{
	uint64_t n;

	fake_assert_context("host_as_mapped", true, false, false);
	if (as->gone || size == 0 || size > FAKE_VA_MAX ||
	    va > FAKE_VA_MAX - size)
		return (EFAULT);
	for (n = 0; n < size; n += PAGE_SIZE_4K)
		if (find(as, va + n) == NULL)
			return (EFAULT);
	return (0);
}

void
host_as_put(struct host_as *as, uint64_t n)
{
	fake_assert_context("host_as_put", true, false, false);
	pthread_mutex_lock(&lock);
	if (as->refs == 0 || as->charged < n)
		fake_die("host_as_put: more than was got");
	as->refs--;
	as->charged -= n;
	charged -= n;
	pthread_mutex_unlock(&lock);
}

/* Whether the block around va is one physical block, aligned alike. */
static bool
is_block(struct host_as *as, uint64_t va, unsigned int order, uint64_t *pa)
{
	struct region *r = find(as, va);
	uint64_t start = va & ~(BYTES(order) - 1);

	if (r == NULL || start < r->va ||
	    start + BYTES(order) > r->va + r->size)
		return (false);
	*pa = r->pa + (start - r->va);
	return ((*pa & (BYTES(order) - 1)) == 0);
}

int
host_user_take(struct host_as *as, uint64_t va, unsigned int max_order,
    uint64_t *hpa, unsigned int *order)
{
	struct region *r;
	uint64_t i, n;
	int error = 0;

	fake_assert_context("host_user_take", true, false, false);
	pthread_mutex_lock(&lock);
	if (as->refs == 0)
		fake_die("host_user_take: no reference");
	r = as->gone ? NULL : find(as, va);
	if (fail_now())
		error = ENOMEM;
	else if (r == NULL || (r->flags & FAKE_DEVICE) != 0 ||
	    (r->flags & (FAKE_SHARED | FAKE_RO)) == (FAKE_SHARED | FAKE_RO))
		error = EFAULT;
	if (error == 0) {
		*order = 0;
		if (max_order != 0 && is_block(as, va, max_order, hpa))
			*order = max_order;
		else
			*hpa = r->pa + ((va & ~(PAGE_SIZE_4K - 1)) - r->va);
		i = index_of(*hpa);
		for (n = 0; n < 1ULL << *order; n++)
			pages[i + n].pins++;
		pins += 1ULL << *order;
		if (pins > charged)
			fake_die("more pages pinned than charged");
	}
	pthread_mutex_unlock(&lock);
	return (error);
}

void
host_user_release(uint64_t hpa, unsigned int order)
{
	uint64_t i = index_of(hpa), n;

	fake_assert_context("host_user_release", true, false, false);
	if ((hpa & (BYTES(order) - 1)) != 0)
		fake_die("host_user_release: not aligned");
	pthread_mutex_lock(&lock);
	for (n = 0; n < 1ULL << order; n++) {
		if (pages[i + n].kind != FAKE_PAGE_USER ||
		    pages[i + n].pins == 0)
			fake_die("host_user_release: page is not pinned");
		pages[i + n].pins--;
		reap(i + n);
	}
	pins -= 1ULL << order;
	pthread_mutex_unlock(&lock);
}
