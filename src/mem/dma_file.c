/* SPDX-License-Identifier: Apache-2.0
 *
 * File mappings and the SIGBUS handler.
 *
 * Theory of operation.  All mappings live in one fixed table.  Its mutex guards
 * everything but the three words that the signal handler reads: base, len and
 * broken.  Those are published base last and withdrawn base first, so that the
 * handler, which can take no lock, sees a mapping whole or not at all.  The
 * mapping that a thread faults in cannot go away meanwhile: the thread works
 * for a space that holds a reference.
 *
 * A mapping found broken is never handed out again: a file grown back to its
 * size gets a new one, and only its old users stay broken.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include "mem/dma_internal.h"
#include "mem/dma_syscalls.h"

static const int dma_nrs[] = {
	__NR_fcntl, __NR_fstat, __NR_newfstatat, __NR_fstatfs,
	__NR_mmap, __NR_madvise, __NR_munmap,
	/* SIGBUS that is not ours */
	__NR_rt_sigaction, __NR_tgkill,
	-1,
};

const struct syscall_list dma_syscalls = { "guest memory", dma_nrs };

enum { DMA_FILES_MAX = 4096, DMA_PAGE = 4096 };

struct dma_file {
	/* Read by the signal handler. */
	uintptr_t base;		/* first byte; 0: slot not in use */
	size_t len;		/* bytes, whole pages */
	size_t page;		/* page size of the file system */
	bool broken;		/* set by the handler, never taken back */

	/* Under table.lock. */
	unsigned int n_refs;	/* 0: slot free */
	bool writable;		/* mapped for writing */
	dev_t dev;		/* which inode */
	ino_t ino;		/* which inode */
};

static struct {
	pthread_mutex_t lock;	/* innermost: nothing is taken under it */
	unsigned int n_used;	/* slots ever used: how far to look */
	struct sigaction before;/* who had SIGBUS before us */
	struct dma_file slot[DMA_FILES_MAX];
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* The mapping that @addr lies in; called from the signal handler. */
static struct dma_file *file_at(uintptr_t addr)
{
	unsigned int n = __atomic_load_n(&table.n_used, __ATOMIC_ACQUIRE);

	for (unsigned int i = 0; i < n; i++) {
		struct dma_file *f = &table.slot[i];
		uintptr_t base = __atomic_load_n(&f->base, __ATOMIC_ACQUIRE);
		size_t len = __atomic_load_n(&f->len, __ATOMIC_ACQUIRE);

		/* The slot may be in change; then it is not ours. */
		if (!base || base != __atomic_load_n(&f->base,
						     __ATOMIC_ACQUIRE))
			continue;
		if (addr - base < len)
			return f;
	}
	return NULL;
}

/*
 * The file ends at or before the page of the fault, so everything from there
 * on is gone: zeroes take its place.  Pages further down that are gone as well
 * fault later by themselves.
 */
static bool put_zeroes(struct dma_file *f, uintptr_t addr)
{
	uintptr_t from = addr & ~(uintptr_t)(f->page - 1);
	void *p = mmap((void *)from, f->base + f->len - from,
		       PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
		       -1, 0);

	return p != MAP_FAILED;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	int saved_errno = errno;
	bool is_fault = info->si_code > 0;	/* else sent by a process */

	if (is_fault) {
		uintptr_t addr = (uintptr_t)info->si_addr;
		struct dma_file *f = file_at(addr);

		if (f && put_zeroes(f, addr)) {
			__atomic_store_n(&f->broken, true, __ATOMIC_RELEASE);
			errno = saved_errno;
			return;
		}
	}
	/* Not ours: what would have happened without us. */
	sigaction(SIGBUS, &table.before, NULL);
	if (!is_fault)
		raise(sig);
	errno = saved_errno;
}

int dma_init(void)
{
	struct sigaction sa = {
		.sa_sigaction = on_sigbus,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	struct sigaction now;
	int err = 0;

	sigemptyset(&sa.sa_mask);
	pthread_mutex_lock(&table.lock);
	if (sigaction(SIGBUS, NULL, &now)) {
		err = -errno;
	} else if (now.sa_sigaction != on_sigbus) {
		table.before = now;
		err = sigaction(SIGBUS, &sa, NULL) ? -errno : 0;
	}
	pthread_mutex_unlock(&table.lock);
	return err;
}

/*
 * May this file be mapped, and how large is it?  Seals exist on shmem (memfd,
 * tmpfs) and hugetlbfs only, and asking for them never waits, whereas fstat()
 * on a FUSE file waits for whoever made it.  *@page is changed for hugetlbfs.
 */
static int check_file(int fd, struct stat *st, size_t *page)
{
	struct statfs fs;

	if (fcntl(fd, F_GET_SEALS) < 0)
		return -EPERM;
	if (fstat(fd, st) || fstatfs(fd, &fs))
		return -errno;
	if (!S_ISREG(st->st_mode))
		return -EPERM;
	if (fs.f_type == HUGETLBFS_MAGIC)
		*page = (size_t)fs.f_bsize;
	else if (fs.f_type != TMPFS_MAGIC)
		return -EPERM;
	return 0;
}

/* A mapping there is already that will do; with table.lock held. */
static struct dma_file *find(const struct stat *st, bool writable,
			     uint64_t offset, uint64_t len)
{
	for (unsigned int i = 0; i < table.n_used; i++) {
		struct dma_file *f = &table.slot[i];

		if (f->n_refs && f->ino == st->st_ino && f->dev == st->st_dev &&
		    f->writable == writable && !dma_file_broken(f) &&
		    range_within(offset, len, f->len))
			return f;
	}
	return NULL;
}

/* Map the whole file into a free slot; with table.lock held. */
static int map_new(int fd, const struct stat *st, size_t page, bool writable,
		   struct dma_file **file)
{
	size_t len = align_up((uint64_t)st->st_size, page);
	struct dma_file *f = NULL;
	void *p;

	for (unsigned int i = 0; i < DMA_FILES_MAX && !f; i++)
		if (!table.slot[i].n_refs)
			f = &table.slot[i];
	if (!f)
		return -ENFILE;
	p = mmap(NULL, len, PROT_READ | (writable ? PROT_WRITE : 0),
		 MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED)
		return errno == EACCES ? -EPERM : -errno;
	/* A core file is for our own faults, not for the guests' secrets. */
	madvise(p, len, MADV_DONTDUMP);

	f->page = page;
	f->broken = false;
	f->writable = writable;
	f->dev = st->st_dev;
	f->ino = st->st_ino;
	f->n_refs = 0;
	__atomic_store_n(&f->len, len, __ATOMIC_RELEASE);
	__atomic_store_n(&f->base, (uintptr_t)p, __ATOMIC_RELEASE);
	if (f >= &table.slot[table.n_used])
		__atomic_store_n(&table.n_used,
				 (unsigned int)(f - table.slot) + 1,
				 __ATOMIC_RELEASE);
	*file = f;
	return 0;
}

int dma_file_get(int fd, uint64_t offset, uint64_t len, uint32_t prot,
		 uint64_t quota_bytes, struct dma_file **file)
{
	int mode = fcntl(fd, F_GETFL);
	bool writable = (mode & O_ACCMODE) == O_RDWR;
	struct dma_file *f;
	size_t page = DMA_PAGE;
	struct stat st;
	int err;

	if (mode < 0)
		return -EPERM;
	err = check_file(fd, &st, &page);
	if (err)
		return err;
	if ((mode & O_ACCMODE) == O_WRONLY || ((prot & DMA_WRITE) && !writable))
		return -EPERM;
	if (st.st_size < 0 ||
	    !range_within(offset, len, (uint64_t)st.st_size))
		return -EINVAL;
	if ((uint64_t)st.st_size > quota_bytes)
		return -EDQUOT;

	pthread_mutex_lock(&table.lock);
	f = find(&st, writable, offset, len);
	if (!f) {
		err = map_new(fd, &st, page, writable, &f);
		/* A write seal forbids writing, not a range to be read. */
		if (err == -EPERM && writable && !(prot & DMA_WRITE)) {
			f = find(&st, false, offset, len);
			err = f ? 0 : map_new(fd, &st, page, false, &f);
		}
	}
	if (!err) {
		f->n_refs++;
		*file = f;
	}
	pthread_mutex_unlock(&table.lock);
	return err;
}

void dma_file_put(struct dma_file *file)
{
	pthread_mutex_lock(&table.lock);
	if (--file->n_refs == 0) {
		void *base = (void *)file->base;

		__atomic_store_n(&file->base, 0, __ATOMIC_RELEASE);
		munmap(base, file->len);
	}
	pthread_mutex_unlock(&table.lock);
}

uint8_t *dma_file_base(const struct dma_file *file)
{
	return (uint8_t *)file->base;
}

uint64_t dma_file_len(const struct dma_file *file)
{
	return file->len;
}

bool dma_file_broken(const struct dma_file *file)
{
	return __atomic_load_n(&file->broken, __ATOMIC_ACQUIRE);
}
