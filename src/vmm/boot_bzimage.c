/* SPDX-License-Identifier: Apache-2.0
 *
 * The Linux/x86 boot protocol, 32-bit entry: Documentation/x86/boot.rst in the
 * kernel's sources.  The file starts with real-mode code, which is skipped, but
 * whose setup header describes the rest.
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "vmm/acpi.h"
#include "vmm/boot.h"

enum {
	SECTOR = 512,
	HEADER_OFF = 0x1f1,		/* of the setup header in the file */
	BOOT_FLAG = 0xaa55,
	HEADER_MAGIC = 0x53726448,	/* "HdrS" */
	PROTOCOL_MIN = 0x020a,		/* init_size and pref_address */
	SETUP_SECTS_DEFAULT = 4,	/* what 0 stands for */
	LOADER_UNDEFINED = 0xff,
};

/* A copy of the setup header, as much of it as this kernel has. */
static bool read_header(const struct boot_file *file, struct setup_header *hdr)
{
	if (file->len < HEADER_OFF + sizeof(*hdr))
		return false;
	memcpy(hdr, file->data + HEADER_OFF, sizeof(*hdr));
	return hdr->boot_flag == BOOT_FLAG && hdr->header == HEADER_MAGIC;
}

bool boot_is_bzimage(const struct boot_file *file)
{
	struct setup_header hdr;

	return read_header(file, &hdr);
}

static int bad(const struct boot_file *file, const char *what)
{
	log_err("%s: not a bootable bzImage: %s", file->path, what);
	return -ENOEXEC;
}

int boot_bzimage_load(struct vm_memory *mem, const struct boot_source *src,
		      struct boot_entry *entry)
{
	const struct boot_file *file = &src->kernel;
	struct setup_header hdr;
	uint64_t setup_len, len, start, end;
	void *dst;

	if (!read_header(file, &hdr))
		return bad(file, "no setup header");
	if (hdr.version < PROTOCOL_MIN || !(hdr.loadflags & LOADED_HIGH))
		return bad(file, "boot protocol 2.10 or newer expected");
	setup_len = (hdr.setup_sects ? hdr.setup_sects : SETUP_SECTS_DEFAULT);
	setup_len = (setup_len + 1) * SECTOR;
	len = (uint64_t)hdr.syssize * 16;
	if (!len || !range_within(setup_len, len, file->len))
		return bad(file, "shorter than its header says (truncated?)");
	if (hdr.code32_start != BOOT_KERNEL_MIN_GPA)
		return bad(file, "expected to be loaded at 1 MiB");
	/* It moves itself to pref_address, and spreads there. */
	start = max_of((uint64_t)hdr.code32_start, (uint64_t)hdr.pref_address);
	end = max_of(hdr.code32_start + len, start + hdr.init_size);
	dst = hdr.pref_address < VM_MEMORY_MAX && end <= mem->low ?
	      vm_memory_at(mem, hdr.code32_start, len) : NULL;
	if (!dst) {
		log_err("%s: the kernel does not fit in %llu MiB of memory; "
			"use --memory", file->path,
			(unsigned long long)(mem->size >> 20));
		return -ENOSPC;
	}
	memcpy(dst, file->data + setup_len, len);
	entry->rip = hdr.code32_start;
	entry->kernel_end = end;
	return 0;
}

int boot_bzimage_info(struct vm_memory *mem, const struct boot_source *src,
		      struct boot_entry *entry)
{
	struct boot_params *zero = vm_memory_at(mem, BOOT_ZERO_PAGE_GPA,
						sizeof(*zero));
	struct boot_e820 map[BOOT_E820_MAX];
	unsigned int n = boot_e820(mem, src->board, map);
	struct setup_header *hdr = &zero->hdr;

	if (!read_header(&src->kernel, hdr))
		return bad(&src->kernel, "no setup header");
	if (strlen(src->cmdline) > hdr->cmdline_size) {
		log_err("%s: this kernel takes a command line of %u bytes",
			src->kernel.path, hdr->cmdline_size);
		return -E2BIG;
	}
	hdr->type_of_loader = LOADER_UNDEFINED;
	hdr->cmd_line_ptr = BOOT_CMDLINE_GPA;
	hdr->ramdisk_image = (uint32_t)entry->initrd_gpa;
	hdr->ramdisk_size = (uint32_t)src->initrd.len;
	zero->acpi_rsdp_addr = ACPI_BASE;
	for (unsigned int i = 0; i < n; i++) {
		zero->e820_table[i].addr = map[i].gpa;
		zero->e820_table[i].size = map[i].len;
		zero->e820_table[i].type = map[i].type;
	}
	zero->e820_entries = (uint8_t)n;
	entry->rsi = BOOT_ZERO_PAGE_GPA;
	return 0;
}
