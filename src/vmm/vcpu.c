/* SPDX-License-Identifier: Apache-2.0
 *
 * vCPU threads and the exits they handle; see vcpu.h.
 */
#include "vmm/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	MSR_MISC_ENABLE = 0x1a0, MISC_ENABLE_FAST_STRING = BIT(0),
	MSR_MTRR_BASE0 = 0x200, MSR_MTRR_MASK0 = 0x201, MTRR_VALID = BIT(11),
	MTRR_UC = 0,
	MSR_MTRR_DEF_TYPE = 0x2ff, MTRR_ENABLE = BIT(11), MTRR_WB = 6,

	CR0_PE = BIT(0), CR0_ET = BIT(4),
	RFLAGS_FIXED = BIT(1),

	CPUID_ADDRESS_SIZES = (int)0x80000008, PHYS_BITS_DEFAULT = 36,

	/* Where the processor starts after INIT: what is left of a vCPU's
	 * state after a triple fault on AMD. */
	RESET_RIP = 0xfff0,
};

static void nudged(int signo)
{
}

/* The signal that gets a thread out of KVM_RUN; its arrival is all it does. */
static int nudge_signal(void)
{
	return SIGRTMIN;
}

static unsigned int phys_bits(const struct kvm *kvm)
{
	for (unsigned int i = 0; i < kvm->supported->nent; i++)
		if (kvm->supported->entries[i].function ==
		    (uint32_t)CPUID_ADDRESS_SIZES)
			return kvm->supported->entries[i].eax & 0xff;
	return PHYS_BITS_DEFAULT;
}

/* As firmware leaves them: memory cached, the PCI hole not. */
static int set_msrs(const struct vcpu *vcpu, const struct kvm *kvm)
{
	uint64_t mask = (BIT64(phys_bits(kvm)) - 1) &
			~(VM_HIGH_RAM_BASE - VM_PCI_HOLE_BASE - 1);
	const struct kvm_msr_entry entry[] = {
		{ .index = MSR_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING },
		{ .index = MSR_MTRR_BASE0, .data = VM_PCI_HOLE_BASE | MTRR_UC },
		{ .index = MSR_MTRR_MASK0, .data = mask | MTRR_VALID },
		{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE | MTRR_WB },
	};
	/* A header and then the entries. */
	union {
		struct kvm_msrs head;
		uint8_t room[sizeof(struct kvm_msrs) + sizeof(entry)];
	} msrs = { .head.nmsrs = ARRAY_SIZE(entry) };
	int n;

	memcpy(msrs.room + sizeof(msrs.head), entry, sizeof(entry));
	n = ioctl(vcpu->fd, KVM_SET_MSRS, &msrs);
	return n == ARRAY_SIZE(entry) ? 0 : n < 0 ? -errno : -EINVAL;
}

int vcpu_create(struct vcpu *vcpu, const struct kvm *kvm, int vm_fd,
		unsigned int n_cpus)
{
	int err;

	vcpu->fd = ioctl(vm_fd, KVM_CREATE_VCPU, (unsigned long)vcpu->idx);
	if (vcpu->fd < 0)
		return -errno;
	/* Now: later its ioctls wait for the guest.  -1 from old kernels. */
	vcpu->stats_fd = ioctl(vcpu->fd, KVM_GET_STATS_FD, NULL);
	vcpu->run_size = kvm->run_size;
	vcpu->run = mmap(NULL, (size_t)vcpu->run_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		err = -errno;
		goto err_destroy;
	}
	err = kvm_set_cpuid(kvm, vcpu->fd, vcpu->idx, n_cpus);
	if (!err)
		err = set_msrs(vcpu, kvm);
	if (!err)
		return 0;
err_destroy:
	vcpu_destroy(vcpu);
	return err;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, (size_t)vcpu->run_size);
	vcpu->run = NULL;
	fd_close(&vcpu->stats_fd);
	fd_close(&vcpu->fd);
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){
		.limit = 0xffffffff, .selector = selector, .type = type,
		.present = 1, .db = 1, .s = 1, .g = 1,
	};
}

int vcpu_set_entry(struct vcpu *vcpu, const struct boot_entry *entry)
{
	struct kvm_regs regs = {
		.rip = entry->rip, .rbx = entry->rbx, .rsi = entry->rsi,
		.rflags = RFLAGS_FIXED,
	};
	struct kvm_sregs s;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &s) < 0)
		return -errno;
	s.cs = flat_segment(BOOT_CODE_SEL, 0xb);
	s.ds = s.es = s.fs = s.gs = s.ss = flat_segment(BOOT_DATA_SEL, 0x3);
	s.tr = (struct kvm_segment){
		.limit = 0x67, .selector = BOOT_TSS_SEL, .type = 0xb,
		.present = 1,
	};
	s.gdt.base = BOOT_GDT_GPA;
	s.gdt.limit = BOOT_GDT_LEN - 1;
	s.idt.base = 0;
	s.idt.limit = 0;
	s.cr0 = CR0_PE | CR0_ET;
	s.cr4 = 0;
	s.efer = 0;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &s) < 0 ||
	    ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}

static void handle_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct bus *pio = vcpu->host->pio;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		uint64_t val = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&val, data, run->io.size);
			bus_write(pio, run->io.port, run->io.size, val);
		} else {
			val = bus_read(pio, run->io.port, run->io.size);
			memcpy(data, &val, run->io.size);
		}
	}
}

static void handle_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	unsigned int len = min_of(run->mmio.len,
				  (uint32_t)sizeof(run->mmio.data));
	uint64_t val = 0;

	if (run->mmio.is_write) {
		memcpy(&val, run->mmio.data, len);
		bus_write(vcpu->host->mmio, run->mmio.phys_addr, len, val);
	} else {
		val = bus_read(vcpu->host->mmio, run->mmio.phys_addr, len);
		memcpy(run->mmio.data, &val, len);
	}
}

static void died(struct vcpu *vcpu, const char *fmt, ...) printf_like(2, 3);

static void died(struct vcpu *vcpu, const char *fmt, ...)
{
	struct kvm_regs regs = { .rip = 0 };
	char what[160], rip[48], why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0)
		snprintf(rip, sizeof(rip), "RIP unknown");
	else if (regs.rip == RESET_RIP)
		snprintf(rip, sizeof(rip), "RIP lost (%#llx after INIT)",
			 (unsigned long long)regs.rip);
	else
		snprintf(rip, sizeof(rip), "RIP %#llx",
			 (unsigned long long)regs.rip);
	snprintf(why, sizeof(why), "vCPU %u, %s: %s", vcpu->idx, rip, what);
	vcpu->host->died(vcpu->host->opaque, why);
}

/* Return: false when this vCPU is done. */
static bool handle_system_event(struct vcpu *vcpu)
{
	struct vcpu_host *host = vcpu->host;

	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		host->power_off(host->opaque);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		host->reset(host->opaque);
		break;
	default:
		died(vcpu, "system event %u", vcpu->run->system_event.type);
		break;
	}
	return false;
}

/* Return: false when this vCPU is done. */
static bool handle_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	enum vm_exit reason = vm_exit_of(run->exit_reason);

	counter_add(&vcpu->exits[reason], 1);
	switch (reason) {
	case VM_EXIT_IO:
		handle_io(vcpu);
		return true;
	case VM_EXIT_MMIO:
		handle_mmio(vcpu);
		return true;
	case VM_EXIT_INTR:
	case VM_EXIT_HLT:
	case VM_EXIT_IRQ_WINDOW:
		return true;
	case VM_EXIT_SYSTEM_EVENT:
		return handle_system_event(vcpu);
	case VM_EXIT_SHUTDOWN:
		died(vcpu, "triple fault");
		return false;
	case VM_EXIT_FAIL_ENTRY:
		died(vcpu, "the processor refused to enter the guest "
		     "(hardware reason %#llx)", (unsigned long long)
		     run->fail_entry.hardware_entry_failure_reason);
		return false;
	case VM_EXIT_INTERNAL:
		died(vcpu, "KVM internal error, suberror %u",
		     run->internal.suberror);
		return false;
	default:
		died(vcpu, "KVM exit %u, not expected", run->exit_reason);
		return false;
	}
}

/* The full barriers pair with that of vcpu_wait_exit(): either that sees an odd
 * number, or we see the buses as they were changed before it was called. */
static bool handle_exit_counted(struct vcpu *vcpu)
{
	bool more;

	__atomic_fetch_add(&vcpu->exit_seq, 1, __ATOMIC_SEQ_CST);
	more = handle_exit(vcpu);
	__atomic_fetch_add(&vcpu->exit_seq, 1, __ATOMIC_SEQ_CST);
	return more;
}

void vcpu_wait_exit(const struct vcpu *vcpu)
{
	enum { POLL_US = 100 };
	unsigned int seq;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	seq = __atomic_load_n(&vcpu->exit_seq, __ATOMIC_ACQUIRE);
	while ((seq & 1) &&
	       __atomic_load_n(&vcpu->exit_seq, __ATOMIC_ACQUIRE) == seq)
		usleep(POLL_US);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *vcpu = arg;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, nudge_signal());
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	while (!__atomic_load_n(&vcpu->host->stop, __ATOMIC_ACQUIRE)) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) == 0) {
			if (!handle_exit_counted(vcpu))
				break;
		} else if (errno == EINTR) {
			counter_add(&vcpu->exits[VM_EXIT_INTR], 1);
		} else if (errno != EAGAIN) {
			died(vcpu, "KVM_RUN: %s", strerror(errno));
			break;
		}
	}
	return NULL;
}

int vcpu_start(struct vcpu *vcpu)
{
	struct sigaction action = { .sa_handler = nudged };
	sigset_t all, saved;
	char name[16];
	int err;

	sigaction(nudge_signal(), &action, NULL);
	/* The process's own signals are for the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	err = pthread_create(&vcpu->thread, NULL, vcpu_main, vcpu);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	if (err)
		return -err;
	vcpu->started = true;
	snprintf(name, sizeof(name), "vcpu%u", vcpu->idx);
	pthread_setname_np(vcpu->thread, name);
	return 0;
}

void vcpu_stop(struct vcpu *vcpu)
{
	if (!vcpu->started)
		return;
	/* Should the signal come before KVM_RUN, this makes it return. */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, nudge_signal());
	pthread_join(vcpu->thread, NULL);
	vcpu->started = false;
}
