/* SPDX-License-Identifier: Apache-2.0
 *
 * Direct boot of a Linux kernel, without firmware: puts kernel, initrd and
 * command line into guest RAM with what the boot protocol wants said about
 * them.  Two kinds of file are known:
 *
 *	ELF with a PVH note	an uncompressed vmlinux; entered by the Xen PVH
 *				protocol at the address in the note
 *	bzImage			the distributed file, boot protocol 2.10 or
 *				newer; entered by the 32-bit protocol
 *
 * Both start in flat 32-bit protected mode with paging off, so one initial CPU
 * state serves both.  Low memory:
 *
 *	0x1000	GDT			0x7000	zero page (bzImage)
 *	0x2000	start info (PVH)	0x20000	command line
 *	0xe0000	ACPI tables		from 1 MiB: kernel; at the end: initrd
 *
 * Files are checked whole before anything is believed: a kernel file may be
 * truncated, not a kernel, or lie about its sizes.
 */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include <stdint.h>

#include "base/util.h"
#include "vmm/board.h"
#include "vmm/memory.h"

enum {
	BOOT_GDT_GPA = 0x1000, BOOT_GDT_LEN = 0x28,
	BOOT_CODE_SEL = 0x10, BOOT_DATA_SEL = 0x18, BOOT_TSS_SEL = 0x20,
	BOOT_INFO_GPA = 0x2000, BOOT_INFO_LEN = 0x1000,
	BOOT_ZERO_PAGE_GPA = 0x7000,
	BOOT_CMDLINE_GPA = 0x20000, BOOT_CMDLINE_MAX = 2048,
	BOOT_LOW_RAM_END = 0xa0000,
	BOOT_KERNEL_MIN_GPA = 0x100000,
	BOOT_E820_MAX = 8,
};

/* Initrds stay below this: the highest address any 64-bit kernel of the last
 * decade promises to take one from (initrd_addr_max). */
#define BOOT_INITRD_MAX_GPA 0x7fffffffull

/* A file, read only, mapped. */
struct boot_file {
	const char *path;	/* for messages */
	const uint8_t *data;
	uint64_t len;
};

/* What the loaders are to load. */
struct boot_source {
	struct boot_file kernel;
	struct boot_file initrd;	/* len 0: none */
	const char *cmdline;		/* at most BOOT_CMDLINE_MAX - 1 bytes */
	unsigned int n_cpus;
	enum vm_board board;
};

/* How the boot processor starts. */
struct boot_entry {
	uint64_t rip;
	uint64_t rbx;		/* PVH: start info */
	uint64_t rsi;		/* bzImage: zero page */
	uint64_t kernel_end;	/* first address behind what the kernel uses */
	uint64_t initrd_gpa;	/* where the initrd lies */
};

/* One entry of the memory map, in e820 terms. */
struct boot_e820 {
	uint64_t gpa;
	uint64_t len;
	uint32_t type;		/* BOOT_E820_* */
};

enum { BOOT_E820_RAM = 1, BOOT_E820_RESERVED = 2 };

/** boot_file_open() - map @path; 0 or -errno, with a message */
int must_check boot_file_open(struct boot_file *file, const char *path);
void boot_file_close(struct boot_file *file);

/**
 * boot_load() - fill guest memory, which is all zeroes
 *
 * Return: 0; -ENOEXEC (not a kernel), -ENOSPC (too little memory), ...: with a
 * message.
 */
int must_check boot_load(struct vm_memory *mem, const struct boot_source *src,
			 struct boot_entry *entry);

/* The parts, for boot_load() and tests. */

/** boot_e820() - the memory map; how many entries */
unsigned int boot_e820(const struct vm_memory *mem, enum vm_board board,
		       struct boot_e820 map[BOOT_E820_MAX]);

/** boot_elf_load() - load segments, find the entry, build the start info */
bool boot_is_elf(const struct boot_file *file);
int must_check boot_elf_load(struct vm_memory *mem,
			     const struct boot_source *src,
			     struct boot_entry *entry);
int must_check boot_elf_info(struct vm_memory *mem,
			     const struct boot_source *src,
			     struct boot_entry *entry);

/** boot_bzimage_load() - load the payload; boot_bzimage_info(): zero page */
bool boot_is_bzimage(const struct boot_file *file);
int must_check boot_bzimage_load(struct vm_memory *mem,
				 const struct boot_source *src,
				 struct boot_entry *entry);
int must_check boot_bzimage_info(struct vm_memory *mem,
				 const struct boot_source *src,
				 struct boot_entry *entry);

#endif
