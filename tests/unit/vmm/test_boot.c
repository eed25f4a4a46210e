/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernel files, good and lying, and what a kernel is told.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "vmm/acpi.h"
#include "vmm/boot.h"

enum { MIB = 1 << 20 };

static struct vm_memory mem;

/* An ELF kernel of one segment and a PVH note. */
static struct elf_image {
	Elf64_Ehdr eh;
	Elf64_Phdr load, note;
	struct {
		Elf64_Nhdr nh;
		char name[4];
		le64 entry;
	} note_data;
	uint8_t code[64];
} elf;

/* A bzImage: boot sector, one setup sector, 64 bytes of payload. */
static uint8_t bz[1024 + 64];
static struct setup_header *const bz_hdr = (struct setup_header *)&bz[0x1f1];

static struct boot_source src;
static struct boot_entry entry;

static void make_elf(void)
{
	memset(&elf, 0, sizeof(elf));
	memcpy(elf.eh.e_ident, ELFMAG, SELFMAG);
	elf.eh.e_ident[EI_CLASS] = ELFCLASS64;
	elf.eh.e_ident[EI_DATA] = ELFDATA2LSB;
	elf.eh.e_machine = EM_X86_64;
	elf.eh.e_phoff = offsetof(struct elf_image, load);
	elf.eh.e_phentsize = sizeof(Elf64_Phdr);
	elf.eh.e_phnum = 2;
	elf.load.p_type = PT_LOAD;
	elf.load.p_offset = offsetof(struct elf_image, code);
	elf.load.p_filesz = sizeof(elf.code);
	elf.load.p_memsz = 2 * MIB;
	elf.load.p_paddr = 16 * MIB;
	elf.note.p_type = PT_NOTE;
	elf.note.p_offset = offsetof(struct elf_image, note_data);
	elf.note.p_filesz = sizeof(elf.note_data);
	elf.note_data.nh.n_namesz = 4;
	elf.note_data.nh.n_descsz = 8;
	elf.note_data.nh.n_type = 18;
	memcpy(elf.note_data.name, "Xen", 4);
	elf.note_data.entry = le64_of(16 * MIB + 8);
	memset(elf.code, 0xc3, sizeof(elf.code));
	src.kernel = (struct boot_file){ "elf", (uint8_t *)&elf, sizeof(elf) };
}

static void make_bzimage(void)
{
	memset(bz, 0, sizeof(bz));
	bz_hdr->setup_sects = 1;
	bz_hdr->syssize = 4;
	bz_hdr->boot_flag = 0xaa55;
	bz_hdr->header = 0x53726448;
	bz_hdr->version = 0x020f;
	bz_hdr->loadflags = LOADED_HIGH;
	bz_hdr->code32_start = MIB;
	bz_hdr->pref_address = 16 * MIB;
	bz_hdr->init_size = 8 * MIB;
	bz_hdr->cmdline_size = 2047;
	memset(bz + 1024, 0xc3, 64);
	src.kernel = (struct boot_file){ "bz", bz, sizeof(bz) };
}

static int setup(void **state)
{
	log_level = LOG_ERR;
	assert_int_equal(vm_memory_init(&mem, 32 * MIB), 0);
	src = (struct boot_source){ .cmdline = "console=ttyS0", .n_cpus = 1 };
	make_elf();
	return 0;
}

static int teardown(void **state)
{
	vm_memory_fini(&mem);
	return 0;
}

static int load(void)
{
	return boot_load(&mem, &src, &entry);
}

static void test_elf(void **state)
{
	const uint8_t *info;

	assert_int_equal(load(), 0);
	assert_int_equal(entry.rip, 16 * MIB + 8);
	assert_int_equal(entry.kernel_end, 18 * MIB);
	assert_memory_equal(vm_memory_at(&mem, 16 * MIB, 64), elf.code, 64);
	info = vm_memory_at(&mem, entry.rbx, 56);
	assert_int_equal(le32_load(info), 0x336ec578);
	assert_int_equal(le32_load(info + 12), 0);	/* no initrd */
	assert_int_equal(le64_load(info + 32), ACPI_BASE);
	assert_int_equal(le32_load(info + 48), 3);	/* memory map */
	assert_string_equal(vm_memory_at(&mem, le64_load(info + 24), 16),
			    "console=ttyS0");
	assert_memory_equal(vm_memory_at(&mem, ACPI_BASE, 8), "RSD PTR ", 8);
}

static void test_initrd(void **state)
{
	static uint8_t initrd[5000];
	const uint8_t *info, *module;

	memset(initrd, 0x77, sizeof(initrd));
	src.initrd = (struct boot_file){ "initrd", initrd, sizeof(initrd) };
	assert_int_equal(load(), 0);
	assert_int_equal(entry.initrd_gpa, 32 * MIB - 8192);
	info = vm_memory_at(&mem, entry.rbx, 56);
	assert_int_equal(le32_load(info + 12), 1);
	module = vm_memory_at(&mem, le64_load(info + 16), 32);
	assert_int_equal(le64_load(module), entry.initrd_gpa);
	assert_int_equal(le64_load(module + 8), sizeof(initrd));
	assert_memory_equal(vm_memory_at(&mem, entry.initrd_gpa, 5000), initrd,
			    5000);
	/* One that would lie on the kernel. */
	src.initrd.len = 15 * MIB;
	assert_int_equal(load(), -ENOSPC);
	src.initrd.len = UINT64_MAX;
	assert_int_equal(load(), -ENOSPC);
}

static void test_elf_lies(void **state)
{
	static const struct {
		const char *what;
		size_t field;	/* 8 bytes in the image */
		uint64_t val;
		int err;
	} lie[] = {
		{ "segment offset", offsetof(struct elf_image, load.p_offset),
		  sizeof(elf), -ENOEXEC },
		{ "offset wraps", offsetof(struct elf_image, load.p_offset),
		  UINT64_MAX - 10, -ENOEXEC },
		{ "file size", offsetof(struct elf_image, load.p_filesz),
		  sizeof(elf), -ENOEXEC },
		{ "memory size", offsetof(struct elf_image, load.p_memsz),
		  UINT64_MAX, -ENOSPC },
		{ "smaller than file", offsetof(struct elf_image,
						load.p_memsz), 1, -ENOEXEC },
		{ "too high", offsetof(struct elf_image, load.p_paddr),
		  31 * MIB, -ENOSPC },
		{ "wraps", offsetof(struct elf_image, load.p_paddr),
		  UINT64_MAX - 100, -ENOSPC },
		{ "too low", offsetof(struct elf_image, load.p_paddr), 0x1000,
		  -ENOEXEC },
		{ "header offset", offsetof(struct elf_image, eh.e_phoff),
		  UINT64_MAX, -ENOEXEC },
		{ "note offset", offsetof(struct elf_image, note.p_offset),
		  UINT64_MAX, -ENOEXEC },
		{ "note size", offsetof(struct elf_image, note.p_filesz), 8,
		  -ENOEXEC },
		{ "entry", offsetof(struct elf_image, note_data.entry), 0x1000,
		  -ENOEXEC },
		{ "entry above 4 GiB", offsetof(struct elf_image,
						note_data.entry),
		  (1ull << 32) + 16 * MIB, -ENOEXEC },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(lie); i++) {
		make_elf();
		memcpy((uint8_t *)&elf + lie[i].field, &lie[i].val, 8);
		if (load() != lie[i].err)
			fail_msg("%s", lie[i].what);
	}
}

static void test_elf_notes(void **state)
{
	elf.note_data.nh.n_type = 17;
	assert_int_equal(load(), -ENOEXEC);
	make_elf();
	elf.note_data.nh.n_descsz = 4;		/* as older kernels have it */
	assert_int_equal(load(), 0);
	elf.note_data.nh.n_descsz = 0xffffffff;
	assert_int_equal(load(), -ENOEXEC);
	make_elf();
	elf.note_data.nh.n_namesz = 0xfffffffd;
	assert_int_equal(load(), -ENOEXEC);
	make_elf();
	elf.eh.e_phnum = 1;			/* no notes at all */
	assert_int_equal(load(), -ENOEXEC);
}

static void test_elf_truncated_anywhere(void **state)
{
	for (uint64_t len = 0; len < sizeof(elf); len++) {
		src.kernel.len = len;
		assert_int_equal(load(), -ENOEXEC);
	}
}

static void test_elf_of_others(void **state)
{
	elf.eh.e_machine = EM_AARCH64;
	assert_int_equal(load(), -ENOEXEC);
	make_elf();
	elf.eh.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(load(), -ENOEXEC);
	make_elf();
	elf.eh.e_phnum = 0xffff;
	assert_int_equal(load(), -ENOEXEC);
}

static void test_bzimage(void **state)
{
	static const uint8_t initrd[100];
	struct boot_params *zero;

	make_bzimage();
	src.initrd = (struct boot_file){ "initrd", initrd, sizeof(initrd) };
	assert_int_equal(load(), 0);
	assert_int_equal(entry.rip, MIB);
	assert_int_equal(entry.kernel_end, 24 * MIB);
	assert_memory_equal(vm_memory_at(&mem, MIB, 64), bz + 1024, 64);
	zero = vm_memory_at(&mem, entry.rsi, sizeof(*zero));
	assert_int_equal(zero->hdr.type_of_loader, 0xff);
	assert_int_equal(zero->hdr.ramdisk_image, entry.initrd_gpa);
	assert_int_equal(zero->hdr.ramdisk_size, sizeof(initrd));
	assert_int_equal(zero->e820_entries, 3);
	assert_int_equal(zero->e820_table[2].addr, MIB);
	assert_int_equal(zero->e820_table[2].size, 31 * MIB);
	assert_string_equal(vm_memory_at(&mem, zero->hdr.cmd_line_ptr, 16),
			    "console=ttyS0");
}

static void test_bzimage_lies(void **state)
{
	make_bzimage();
	bz_hdr->version = 0x0209;
	assert_int_equal(load(), -ENOEXEC);
	make_bzimage();
	bz_hdr->loadflags = 0;
	assert_int_equal(load(), -ENOEXEC);
	make_bzimage();
	bz_hdr->syssize = 5;
	assert_int_equal(load(), -ENOEXEC);
	bz_hdr->syssize = 0xffffffff;
	assert_int_equal(load(), -ENOEXEC);
	bz_hdr->syssize = 0;
	assert_int_equal(load(), -ENOEXEC);
	make_bzimage();
	bz_hdr->setup_sects = 255;
	assert_int_equal(load(), -ENOEXEC);
	make_bzimage();
	bz_hdr->init_size = 0xffffffff;
	assert_int_equal(load(), -ENOSPC);
	make_bzimage();
	bz_hdr->pref_address = UINT64_MAX - MIB;
	assert_int_equal(load(), -ENOSPC);
	make_bzimage();
	bz_hdr->code32_start = 0;
	assert_int_equal(load(), -ENOEXEC);
	make_bzimage();
	bz_hdr->cmdline_size = 5;
	assert_int_equal(load(), -E2BIG);
	make_bzimage();
	for (uint64_t len = 0; len < sizeof(bz); len++) {
		src.kernel.len = len;
		assert_int_equal(load(), -ENOEXEC);
	}
}

static void test_neither(void **state)
{
	static const uint8_t text[2048] = "#!/bin/sh\n";

	src.kernel = (struct boot_file){ "sh", text, sizeof(text) };
	assert_int_equal(load(), -ENOEXEC);
}

static void test_command_line_too_long(void **state)
{
	static char cmdline[BOOT_CMDLINE_MAX + 1];

	memset(cmdline, 'x', BOOT_CMDLINE_MAX);
	src.cmdline = cmdline;
	assert_int_equal(load(), -E2BIG);
	cmdline[BOOT_CMDLINE_MAX - 1] = '\0';
	assert_int_equal(load(), 0);
}

static void test_memory_layout(void **state)
{
	struct boot_e820 map[BOOT_E820_MAX];
	struct vm_memory m = { .low = VM_PCI_HOLE_BASE };

	assert_int_equal(boot_e820(&m, VM_BOARD_PC, map), 3);
	assert_int_equal(map[2].gpa + map[2].len, VM_PCI_HOLE_BASE);
	m.high = 5ull << 29;
	assert_int_equal(boot_e820(&m, VM_BOARD_PC, map), 4);
	assert_int_equal(map[3].gpa, 4ull << 30);
	assert_int_equal(map[3].len, m.high);
}

static void test_memory_split(void **state)
{
	struct vm_memory_part part[2];
	struct vm_memory m;

	assert_int_equal(vm_memory_init(&m, 7ull << 29), 0);	/* 3.5 GiB */
	assert_int_equal(vm_memory_parts(&m, part), 1);
	assert_non_null(vm_memory_at(&m, VM_PCI_HOLE_BASE - 1, 1));
	assert_null(vm_memory_at(&m, VM_PCI_HOLE_BASE - 1, 2));
	assert_null(vm_memory_at(&m, 4ull << 30, 1));
	vm_memory_fini(&m);
	assert_int_equal(vm_memory_init(&m, 6ull << 30), 0);
	assert_int_equal(vm_memory_parts(&m, part), 2);
	assert_int_equal(part[1].gpa, 4ull << 30);
	assert_int_equal(part[1].offset, VM_PCI_HOLE_BASE);
	assert_int_equal(part[0].len + part[1].len, 6ull << 30);
	assert_ptr_equal(vm_memory_at(&m, 4ull << 30, 1),
			 m.hva + VM_PCI_HOLE_BASE);
	assert_null(vm_memory_at(&m, UINT64_MAX, 2));
	vm_memory_fini(&m);
}

static void test_memory_sizes(void **state)
{
	assert_false(vm_memory_size_ok(0));
	assert_false(vm_memory_size_ok(16 * MIB));
	assert_false(vm_memory_size_ok(32 * MIB + 4096));
	assert_true(vm_memory_size_ok(32 * MIB));
	assert_true(vm_memory_size_ok(7ull << 29));
	assert_false(vm_memory_size_ok(UINT64_MAX));
}

static void test_clear_memory(void **state)
{
	uint8_t *p = vm_memory_at(&mem, 5 * MIB, 1);

	*p = 0x55;
	vm_memory_clear(&mem);
	assert_int_equal(*p, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_elf),
		T(test_initrd),
		T(test_elf_lies),
		T(test_elf_notes),
		T(test_elf_truncated_anywhere),
		T(test_elf_of_others),
		T(test_bzimage),
		T(test_bzimage_lies),
		T(test_neither),
		T(test_command_line_too_long),
		T(test_memory_layout),
		T(test_memory_split),
		T(test_memory_sizes),
		T(test_clear_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
