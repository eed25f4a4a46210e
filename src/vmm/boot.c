/* SPDX-License-Identifier: Apache-2.0
 *
 * What both boot protocols share; see boot.h.
 */
#include "vmm/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "vmm/acpi.h"

int boot_file_open(struct boot_file *file, const char *path)
{
	struct stat st;
	void *data;
	int fd, err;

	*file = (struct boot_file){ .path = path };
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err = -errno;
		log_err("%s: %s", path, strerror(-err));
		fd_close(&fd);
		return err;
	}
	if (!S_ISREG(st.st_mode) || st.st_size == 0) {
		log_err("%s: %s", path, S_ISREG(st.st_mode) ?
			"an empty file" : "not a regular file");
		fd_close(&fd);
		return -ENOEXEC;
	}
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	err = data == MAP_FAILED ? -errno : 0;
	fd_close(&fd);
	if (err) {
		log_err("%s: %s", path, strerror(-err));
		return err;
	}
	file->data = data;
	file->len = (uint64_t)st.st_size;
	return 0;
}

void boot_file_close(struct boot_file *file)
{
	if (file->data)
		munmap((void *)file->data, file->len);
	file->data = NULL;
	file->len = 0;
}

unsigned int boot_e820(const struct vm_memory *mem, enum vm_board board,
		       struct boot_e820 map[BOOT_E820_MAX])
{
	unsigned int n = 0;

	map[n++] = (struct boot_e820){ 0, BOOT_LOW_RAM_END, BOOT_E820_RAM };
	map[n++] = (struct boot_e820){ ACPI_BASE, ACPI_LEN,
				       BOOT_E820_RESERVED };
	map[n++] = (struct boot_e820){ BOOT_KERNEL_MIN_GPA,
				       mem->low - BOOT_KERNEL_MIN_GPA,
				       BOOT_E820_RAM };
	if (board == VM_BOARD_PCIE)
		map[n++] = (struct boot_e820){ VM_ECAM_BASE, VM_ECAM_LEN,
					       BOOT_E820_RESERVED };
	if (mem->high)
		map[n++] = (struct boot_e820){ VM_HIGH_RAM_BASE, mem->high,
					       BOOT_E820_RAM };
	return n;
}

/* Flat segments, and a TSS that is never used but has to be there. */
static void build_gdt(struct vm_memory *mem)
{
	static const uint64_t gdt[BOOT_GDT_LEN / 8] = {
		[BOOT_CODE_SEL / 8] = 0x00cf9b000000ffff,
		[BOOT_DATA_SEL / 8] = 0x00cf93000000ffff,
		[BOOT_TSS_SEL / 8] = 0x00008b0000000067,
	};

	memcpy(vm_memory_at(mem, BOOT_GDT_GPA, sizeof(gdt)), gdt, sizeof(gdt));
}

/* As high as it goes, so that the kernel can spread. */
static int load_initrd(struct vm_memory *mem, const struct boot_file *initrd,
		       struct boot_entry *entry)
{
	uint64_t top = min_of(mem->low, (uint64_t)BOOT_INITRD_MAX_GPA + 1);
	uint64_t gpa;

	if (!initrd->len)
		return 0;
	if (initrd->len > top || entry->kernel_end > top - initrd->len)
		goto err_no_room;
	gpa = (top - initrd->len) & ~0xfffull;
	if (gpa < entry->kernel_end)
		goto err_no_room;
	memcpy(vm_memory_at(mem, gpa, initrd->len), initrd->data, initrd->len);
	entry->initrd_gpa = gpa;
	return 0;

err_no_room:
	log_err("%s: the initrd's %llu MiB do not fit beside the kernel in "
		"%llu MiB of memory; use --memory", initrd->path,
		(unsigned long long)(initrd->len >> 20),
		(unsigned long long)(mem->size >> 20));
	return -ENOSPC;
}

int boot_load(struct vm_memory *mem, const struct boot_source *src,
	      struct boot_entry *entry)
{
	bool elf = boot_is_elf(&src->kernel);
	size_t cmdline_len = strlen(src->cmdline);
	int err;

	*entry = (struct boot_entry){ 0 };
	if (cmdline_len >= BOOT_CMDLINE_MAX) {
		log_err("kernel command line: %zu bytes, at most %d expected",
			cmdline_len, BOOT_CMDLINE_MAX - 1);
		return -E2BIG;
	}
	if (!elf && !boot_is_bzimage(&src->kernel)) {
		log_err("%s: not a Linux kernel: expected an ELF vmlinux with "
			"a PVH note, or a bzImage", src->kernel.path);
		return -ENOEXEC;
	}
	err = elf ? boot_elf_load(mem, src, entry) :
		    boot_bzimage_load(mem, src, entry);
	if (!err)
		err = load_initrd(mem, &src->initrd, entry);
	if (err)
		return err;
	memcpy(vm_memory_at(mem, BOOT_CMDLINE_GPA, BOOT_CMDLINE_MAX),
	       src->cmdline, cmdline_len + 1);
	build_gdt(mem);
	acpi_build(vm_memory_at(mem, ACPI_BASE, ACPI_LEN), src->n_cpus,
		   src->board);
	return elf ? boot_elf_info(mem, src, entry) :
		     boot_bzimage_info(mem, src, entry);
}
