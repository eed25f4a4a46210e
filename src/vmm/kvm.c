/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening KVM, making machines; see kvm.h.  Reference: the kernel's
 * Documentation/virt/kvm/api.rst.
 */
#include "vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"

/* Three pages VMX needs for real mode, and one for an identity map, just under
 * the BIOS's place; nothing of ours lies there. */
#define IDENTITY_MAP_GPA 0xfffbc000ull
#define TSS_GPA 0xfffbd000ull

#define ADVICE "run it on a host with hardware virtualization, or through " \
	"tools/kvm-host (`backplane host` says more)"

#define CPUID_TABLE_LEN (sizeof(struct kvm_cpuid2) + \
			 KVM_CPUID_MAX * sizeof(struct kvm_cpuid_entry2))

/* The lecture's own check.  A /dev/kvm without it cannot run Linux. */
static bool cpu_has_virtualization(void)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	if (!f)
		return false;
	while (!found && getline(&line, &size, f) > 0)
		if (!strncmp(line, "flags", 5)) {
			found = strstr(line, " vmx") || strstr(line, " svm");
			break;
		}
	free(line);
	fclose(f);
	return found;
}

const char *kvm_missing(int fd)
{
	static const struct {
		int cap;
		const char *name;
	} needed[] = {
		{ KVM_CAP_IRQCHIP, "in-kernel interrupt controllers" },
		{ KVM_CAP_PIT2, "in-kernel PIT" },
		{ KVM_CAP_USER_MEMORY, "user memory regions" },
		{ KVM_CAP_EXT_CPUID, "KVM_GET_SUPPORTED_CPUID" },
		{ KVM_CAP_IRQFD, "irqfd" },
		{ KVM_CAP_IRQFD_RESAMPLE, "irqfd resampling" },
		{ KVM_CAP_IRQ_ROUTING, "interrupt routing" },
		{ KVM_CAP_SIGNAL_MSI, "messages as interrupts" },
		{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit" },
	};

	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return "KVM's API of version 12";
	for (unsigned int i = 0; i < ARRAY_SIZE(needed); i++)
		if (ioctl(fd, KVM_CHECK_EXTENSION, needed[i].cap) <= 0)
			return needed[i].name;
	return NULL;
}

_Static_assert(KVM_API_VERSION == 12, "named in kvm_missing()");

static int check_caps(const struct kvm *kvm)
{
	const char *missing = kvm_missing(kvm->fd);

	if (!missing)
		return 0;
	log_err("/dev/kvm: lacks %s", missing);
	return -ENOTSUP;
}

static int get_supported_cpuid(struct kvm *kvm)
{
	kvm->supported = calloc(1, CPUID_TABLE_LEN);
	if (!kvm->supported)
		return -ENOMEM;
	kvm->supported->nent = KVM_CPUID_MAX;
	if (ioctl(kvm->fd, KVM_GET_SUPPORTED_CPUID, kvm->supported) == 0)
		return 0;
	log_err("/dev/kvm: KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));
	return -errno;
}

int kvm_open(struct kvm *kvm)
{
	int err, n;

	*kvm = (struct kvm){ .fd = -1 };
	if (!cpu_has_virtualization()) {
		log_err("/proc/cpuinfo shows neither vmx nor svm: this host "
			"cannot run guests with KVM; " ADVICE);
		return -ENODEV;
	}
	kvm->fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm->fd < 0) {
		err = -errno;
		log_err("/dev/kvm: %s; %s", strerror(-err), err == -EACCES ?
			"add yourself to the group kvm" : ADVICE);
		return err;
	}
	err = check_caps(kvm);
	if (!err)
		err = get_supported_cpuid(kvm);
	if (err) {
		kvm_close(kvm);
		return err;
	}
	kvm->run_size = ioctl(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	n = ioctl(kvm->fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	kvm->max_cpus = n > 0 ? (unsigned int)n : 4;
	kvm->tsc_deadline = ioctl(kvm->fd, KVM_CHECK_EXTENSION,
				  KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	return 0;
}

void kvm_close(struct kvm *kvm)
{
	free(kvm->supported);
	kvm->supported = NULL;
	fd_close(&kvm->fd);
}

static int add_memory(int vm_fd, const struct vm_memory *mem)
{
	struct vm_memory_part part[2];
	unsigned int n = vm_memory_parts(mem, part);

	for (unsigned int i = 0; i < n; i++) {
		struct kvm_userspace_memory_region region = {
			.slot = i,
			.guest_phys_addr = part[i].gpa,
			.memory_size = part[i].len,
			.userspace_addr =
				(uintptr_t)(mem->hva + part[i].offset),
		};

		if (ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
			return -errno;
	}
	return 0;
}

int kvm_create_vm(const struct kvm *kvm, const struct vm_memory *mem)
{
	uint64_t identity_map_gpa = IDENTITY_MAP_GPA;
	int vm_fd = ioctl(kvm->fd, KVM_CREATE_VM, 0);
	int err;

	if (vm_fd < 0) {
		err = -errno;
		log_err("KVM_CREATE_VM: %s", strerror(-err));
		return err;
	}
	err = add_memory(vm_fd, mem);
	/* SVM does without the two, and does not mind them. */
	if (!err && (ioctl(vm_fd, KVM_SET_IDENTITY_MAP_ADDR,
			   &identity_map_gpa) < 0 ||
		     ioctl(vm_fd, KVM_SET_TSS_ADDR, TSS_GPA) < 0))
		err = -errno;
	if (!err)
		return vm_fd;
	log_err("KVM: guest memory: %s", strerror(-err));
	close(vm_fd);
	return err;
}

enum {
	/* Leaf 1. */
	EBX_APIC_ID_SHIFT = 24, EBX_LOGICAL_SHIFT = 16,
	EDX_HTT = BIT(28),
	ECX_TSC_DEADLINE = BIT(24), ECX_HYPERVISOR = (int)BIT(31),
	/* Leaf 0bh: level types in ECX 15:8. */
	LEVEL_SMT = 1 << 8, LEVEL_CORE = 2 << 8,
	/* Leaf 80000001h. */
	ECX_CMP_LEGACY = BIT(1),
};

/* Bits of an APIC id that tell @n of them apart. */
static unsigned int id_bits(unsigned int n)
{
	unsigned int bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

/* One package of @n cores with one thread each; APIC id = CPU number. */
static void set_leaf(const struct kvm *kvm, struct kvm_cpuid_entry2 *e,
		     unsigned int cpu, unsigned int n)
{
	switch (e->function) {
	case 0x1:
		e->ebx &= 0xffff;
		e->ebx |= cpu << EBX_APIC_ID_SHIFT | n << EBX_LOGICAL_SHIFT;
		e->ecx |= (uint32_t)ECX_HYPERVISOR;
		if (kvm->tsc_deadline)
			e->ecx |= ECX_TSC_DEADLINE;
		if (n > 1)
			e->edx |= EDX_HTT;
		break;
	case 0x4:	/* Intel caches: cores in 31:26, sharing 25:14 */
		if (!(e->eax & 0x1f))
			break;
		e->eax &= 0x3fff;
		e->eax |= ((1u << id_bits(n)) - 1) << 26;
		if ((e->eax >> 5 & 7) == 3)
			e->eax |= (n - 1) << 14;
		break;
	case 0xb:
	case 0x1f:
		e->edx = cpu;
		e->ecx = e->index;
		e->eax = e->ebx = 0;
		if (e->index == 0) {
			e->ecx |= LEVEL_SMT;
			e->ebx = 1;
		} else if (e->index == 1) {
			e->ecx |= LEVEL_CORE;
			e->eax = id_bits(n);
			e->ebx = n;
		}
		break;
	case 0x80000001:
		if (n > 1)
			e->ecx |= ECX_CMP_LEGACY;
		break;
	case 0x80000008:	/* AMD: id size and cores - 1 */
		e->ecx = id_bits(n) << 12 | (n - 1);
		break;
	case 0x8000001e:	/* AMD: extended APIC id, core, node */
		e->eax = cpu;
		e->ebx = cpu;
		e->ecx = 0;
		break;
	}
}

int kvm_set_cpuid(const struct kvm *kvm, int vcpu_fd, unsigned int cpu,
		  unsigned int n_cpus)
{
	struct kvm_cpuid2 *table = malloc(CPUID_TABLE_LEN);
	int err = 0;

	if (!table)
		return -ENOMEM;
	memcpy(table, kvm->supported, CPUID_TABLE_LEN);
	for (unsigned int i = 0; i < table->nent; i++)
		set_leaf(kvm, &table->entries[i], cpu, n_cpus);
	if (ioctl(vcpu_fd, KVM_SET_CPUID2, table) < 0)
		err = -errno;
	free(table);
	return err;
}
