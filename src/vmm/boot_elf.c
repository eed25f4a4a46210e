/* SPDX-License-Identifier: Apache-2.0
 *
 * PVH boot of an ELF kernel: Xen's docs/misc/pvh.pandoc.  The entry is in an
 * ELF note, the kernel is told about the machine by an hvm_start_info.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "vmm/acpi.h"
#include "vmm/boot.h"

enum {
	XEN_ELFNOTE_PHYS32_ENTRY = 18,
	PHDRS_MAX = 64,
	START_INFO_VERSION = 1,
};

#define START_INFO_MAGIC 0x336ec578u

/* Xen's public/arch-x86/hvm/start_info.h. */
struct pvh_start_info {
	le32 magic;
	le32 version;
	le32 flags;
	le32 n_modules;
	le64 modules_gpa;
	le64 cmdline_gpa;
	le64 rsdp_gpa;
	le64 memmap_gpa;
	le32 n_memmap;
	le32 reserved;
};
_Static_assert(sizeof(struct pvh_start_info) == 56, "start info");

struct pvh_module {
	le64 gpa;
	le64 len;
	le64 cmdline_gpa;
	le64 reserved;
};
_Static_assert(sizeof(struct pvh_module) == 32, "module");

struct pvh_memmap {
	le64 gpa;
	le64 len;
	le32 type;		/* as e820 */
	le32 reserved;
};
_Static_assert(sizeof(struct pvh_memmap) == 24, "memory map entry");

/* All of it, at BOOT_INFO_GPA. */
struct pvh_info {
	struct pvh_start_info start;
	struct pvh_module initrd;
	struct pvh_memmap memmap[BOOT_E820_MAX];
};
_Static_assert(sizeof(struct pvh_info) <= BOOT_INFO_LEN, "PVH info");

bool boot_is_elf(const struct boot_file *file)
{
	return file->len >= SELFMAG && !memcmp(file->data, ELFMAG, SELFMAG);
}

static int bad(const struct boot_file *file, const char *what)
{
	log_err("%s: not a bootable kernel: %s", file->path, what);
	return -ENOEXEC;
}

/* Look through one note segment for the entry point. */
static bool find_note(const uint8_t *p, uint64_t len, uint64_t *rip)
{
	Elf64_Nhdr nh;

	while (len >= sizeof(nh)) {
		uint64_t name_len, desc_len;

		memcpy(&nh, p, sizeof(nh));
		p += sizeof(nh);
		len -= sizeof(nh);
		name_len = align_up(nh.n_namesz, 4);
		desc_len = align_up(nh.n_descsz, 4);
		if (name_len > len || desc_len > len - name_len)
			return false;
		if (nh.n_type == XEN_ELFNOTE_PHYS32_ENTRY &&
		    nh.n_namesz == 4 && !memcmp(p, "Xen", 4) &&
		    (nh.n_descsz == 4 || nh.n_descsz == 8)) {
			*rip = le32_load(p + name_len);
			return nh.n_descsz == 4 ||
			       le32_load(p + name_len + 4) == 0;
		}
		p += name_len + desc_len;
		len -= name_len + desc_len;
	}
	return false;
}

/* Copy one segment to its physical address; memory is already zero. */
static int load_segment(struct vm_memory *mem, const struct boot_file *file,
			const Elf64_Phdr *ph, struct boot_entry *entry)
{
	void *dst;

	if (ph->p_filesz > ph->p_memsz ||
	    !range_within(ph->p_offset, ph->p_filesz, file->len))
		return bad(file, "a segment is not in the file (truncated?)");
	if (!ph->p_memsz)
		return 0;
	if (ph->p_paddr < BOOT_KERNEL_MIN_GPA)
		return bad(file, "a segment below 1 MiB");
	dst = range_within(ph->p_paddr, ph->p_memsz, mem->low) ?
	      vm_memory_at(mem, ph->p_paddr, ph->p_memsz) : NULL;
	if (!dst) {
		log_err("%s: the kernel does not fit in %llu MiB of memory; "
			"use --memory", file->path,
			(unsigned long long)(mem->size >> 20));
		return -ENOSPC;
	}
	memcpy(dst, file->data + ph->p_offset, ph->p_filesz);
	entry->kernel_end = max_of(entry->kernel_end,
				   ph->p_paddr + ph->p_memsz);
	return 0;
}

static int check_header(const struct boot_file *file, Elf64_Ehdr *eh)
{
	if (file->len < sizeof(*eh))
		return bad(file, "a truncated ELF header");
	memcpy(eh, file->data, sizeof(*eh));
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh->e_ident[EI_DATA] != ELFDATA2LSB || eh->e_machine != EM_X86_64)
		return bad(file, "an ELF file, but not of x86-64");
	if (eh->e_phentsize != sizeof(Elf64_Phdr) || !eh->e_phnum ||
	    eh->e_phnum > PHDRS_MAX ||
	    !range_within(eh->e_phoff,
			  (uint64_t)eh->e_phnum * sizeof(Elf64_Phdr),
			  file->len))
		return bad(file, "its program headers are not in the file");
	return 0;
}

int boot_elf_load(struct vm_memory *mem, const struct boot_source *src,
		  struct boot_entry *entry)
{
	const struct boot_file *file = &src->kernel;
	bool found = false;
	Elf64_Ehdr eh;
	int err = check_header(file, &eh);

	for (unsigned int i = 0; !err && i < eh.e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, file->data + eh.e_phoff + i * sizeof(ph),
		       sizeof(ph));
		if (ph.p_type == PT_LOAD)
			err = load_segment(mem, file, &ph, entry);
		else if (ph.p_type == PT_NOTE && !found &&
			 range_within(ph.p_offset, ph.p_filesz, file->len))
			found = find_note(file->data + ph.p_offset,
					  ph.p_filesz, &entry->rip);
	}
	if (err)
		return err;
	if (!found)
		return bad(file, "an ELF file without a PVH entry note "
			   "(XEN_ELFNOTE_PHYS32_ENTRY; CONFIG_PVH)");
	if (entry->rip < BOOT_KERNEL_MIN_GPA || entry->rip >= entry->kernel_end)
		return bad(file, "its entry point is outside its segments");
	return 0;
}

int boot_elf_info(struct vm_memory *mem, const struct boot_source *src,
		  struct boot_entry *entry)
{
	struct pvh_info *info = vm_memory_at(mem, BOOT_INFO_GPA, sizeof(*info));
	struct boot_e820 map[BOOT_E820_MAX];
	unsigned int n = boot_e820(mem, src->board, map);

	info->start = (struct pvh_start_info){
		.magic = le32_of(START_INFO_MAGIC),
		.version = le32_of(START_INFO_VERSION),
		.cmdline_gpa = le64_of(BOOT_CMDLINE_GPA),
		.rsdp_gpa = le64_of(ACPI_BASE),
		.memmap_gpa = le64_of(BOOT_INFO_GPA +
				      offsetof(struct pvh_info, memmap)),
		.n_memmap = le32_of(n),
	};
	if (entry->initrd_gpa) {
		info->start.n_modules = le32_of(1);
		info->start.modules_gpa =
			le64_of(BOOT_INFO_GPA +
				offsetof(struct pvh_info, initrd));
		info->initrd.gpa = le64_of(entry->initrd_gpa);
		info->initrd.len = le64_of(src->initrd.len);
	}
	for (unsigned int i = 0; i < n; i++)
		info->memmap[i] = (struct pvh_memmap){
			.gpa = le64_of(map[i].gpa),
			.len = le64_of(map[i].len),
			.type = le32_of(map[i].type),
		};
	entry->rbx = BOOT_INFO_GPA;
	return 0;
}
