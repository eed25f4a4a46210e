/* SPDX-License-Identifier: Apache-2.0
 *
 * Guest RAM in a memfd; see memory.h.
 */
#include "vmm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

bool vm_memory_size_ok(uint64_t size)
{
	return size >= VM_MEMORY_MIN && size <= VM_MEMORY_MAX &&
	       size % VM_MEMORY_ALIGN == 0;
}

int vm_memory_init(struct vm_memory *mem, uint64_t size)
{
	int err;

	*mem = (struct vm_memory){ .fd = -1, .size = size };
	mem->low = min_of(size, (uint64_t)VM_PCI_HOLE_BASE);
	mem->high = size - mem->low;
	mem->fd = memfd_create("backplane-ram",
			       MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (mem->fd < 0)
		return -errno;
	/* A server maps this file: it must be able to trust its size. */
	if (ftruncate(mem->fd, (off_t)size) < 0 ||
	    fcntl(mem->fd, F_ADD_SEALS,
		  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		goto err_close;
	mem->hva = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_NORESERVE, mem->fd, 0);
	if (mem->hva == MAP_FAILED) {
		mem->hva = NULL;
		goto err_close;
	}
	/* Only advice: where shmem has no huge pages, small ones do. */
	(void)madvise(mem->hva, size, MADV_HUGEPAGE);
	return 0;

err_close:
	err = -errno;
	fd_close(&mem->fd);
	return err;
}

void vm_memory_fini(struct vm_memory *mem)
{
	if (mem->hva)
		munmap(mem->hva, mem->size);
	mem->hva = NULL;
	fd_close(&mem->fd);
}

unsigned int vm_memory_parts(const struct vm_memory *mem,
			     struct vm_memory_part part[2])
{
	part[0] = (struct vm_memory_part){ 0, mem->low, 0 };
	part[1] = (struct vm_memory_part){
		VM_HIGH_RAM_BASE, mem->high, mem->low
	};
	return mem->high ? 2 : 1;
}

void *vm_memory_at(const struct vm_memory *mem, uint64_t gpa, uint64_t len)
{
	if (range_within(gpa, len, mem->low))
		return mem->hva + gpa;
	if (gpa >= VM_HIGH_RAM_BASE &&
	    range_within(gpa - VM_HIGH_RAM_BASE, len, mem->high))
		return mem->hva + mem->low + (gpa - VM_HIGH_RAM_BASE);
	return NULL;
}

void vm_memory_clear(struct vm_memory *mem)
{
	/* The pages go back to the host; the next touch finds new ones. */
	if (fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      (off_t)mem->size) < 0)
		__builtin_memset(mem->hva, 0, mem->size);
}
