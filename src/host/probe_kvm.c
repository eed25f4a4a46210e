/* SPDX-License-Identifier: Apache-2.0
 *
 * /dev/kvm: is it there, has it what we need, does it really run a guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/time.h"
#include "host/files.h"
#include "host/guest_code.h"
#include "host/probes.h"
#include "host/trial.h"
#include "vmm/kvm.h"

enum {
	TIMEOUT_MS = 20000,
	/* Exits that a signal or nothing at all is the reason for. */
	EXITS_MAX = 16,
	/* Slower than this a round of a loop is interpreted, not executed.  The
	 * emulated KVM host takes some 15 ns, and much more while what it runs
	 * on is busy; a KVM that interprets was seen to take 1100. */
	INTERPRETED_NS = 400,
};

/* Open it, or say why not; descriptor, or -1. */
static int open_kvm(const struct host *host, struct host_finding *finding)
{
	int fd = host_open(host, "/dev/kvm", O_RDWR);

	if (fd == -EACCES || fd == -EPERM)
		host_found(finding, HOST_DENIED,
			   "/dev/kvm is there, but not for this user (it is the group kvm's)");
	else if (fd < 0)
		host_found(finding, HOST_NO, "/dev/kvm: %s", strerror(-fd));
	return fd < 0 ? -1 : fd;
}

void probe_kvm(const struct host *host, struct host_finding *finding)
{
	int fd = open_kvm(host, finding);
	const char *missing;
	char modules[128];

	if (fd < 0)
		return;
	missing = kvm_missing(fd);
	if (!host_list(host, "/sys/module", "kvm_", modules, sizeof(modules)))
		strcpy(modules, "no module of a processor");
	if (missing)
		host_found(finding, HOST_NO, "/dev/kvm (%s) lacks %s", modules,
			   missing);
	else
		host_found(finding, HOST_YES,
			   "/dev/kvm (%s) has all the features needed",
			   modules);
	fd_close(&fd);
}

/* How far it got. */
enum kvm_stage { STAGE_SET_UP, STAGE_REAL, STAGE_LONG, STAGE_END };

/* Shared with the child. */
struct kvm_trial {
	int fd;				/* /dev/kvm */
	struct vm_memory mem;		/* the guests' */
	enum kvm_stage stage;
	const char *failed_call;	/* of KVM; NULL: none */
	int err;			/* errno of that */
	struct kvm_run run;		/* the last exit */
	bool seen_port;			/* the guest's write came through */
	uint64_t loop_ns;		/* of processor time, to its end */
};

/* This thread's, in which the guest's is contained. */
static uint64_t cpu_time_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static bool call_failed(struct kvm_trial *t, const char *call)
{
	t->failed_call = call;
	t->err = errno;
	return false;
}

/* Run until HLT; false: something else has ended it. */
static bool run_to_halt(struct kvm_trial *t, int vcpu_fd,
			const volatile struct kvm_run *run)
{
	uint64_t port_ns = 0;

	t->seen_port = false;
	for (int i = 0; i < EXITS_MAX; i++) {
		if (ioctl(vcpu_fd, KVM_RUN, 0) < 0 && errno != EINTR)
			return call_failed(t, "KVM_RUN");
		memcpy(&t->run, (const void *)run, sizeof(t->run));
		if (run->exit_reason == KVM_EXIT_HLT) {
			t->loop_ns = cpu_time_ns() - port_ns;
			return t->seen_port;
		}
		if (run->exit_reason == KVM_EXIT_IO &&
		    run->io.direction == KVM_EXIT_IO_OUT &&
		    run->io.port == GUEST_PORT) {
			t->seen_port = ((const volatile uint8_t *)run)
				[run->io.data_offset] == GUEST_VALUE;
			port_ns = cpu_time_ns();
		} else if (run->exit_reason != KVM_EXIT_INTR) {
			return false;
		}
	}
	return false;
}

static bool set_cpuid(struct kvm_trial *t, int vcpu_fd)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + KVM_CPUID_MAX *
					  sizeof(struct kvm_cpuid_entry2));

	if (!cpuid)
		return call_failed(t, "KVM_GET_SUPPORTED_CPUID");
	cpuid->nent = KVM_CPUID_MAX;
	if (ioctl(t->fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		call_failed(t, "KVM_GET_SUPPORTED_CPUID");
	else if (ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid) < 0)
		call_failed(t, "KVM_SET_CPUID2");
	free(cpuid);
	return !t->failed_call;
}

static bool run_guest(struct kvm_trial *t, int vcpu_fd,
		      const volatile struct kvm_run *run,
		      void (*load)(uint8_t *ram, struct kvm_regs *regs,
				   struct kvm_sregs *sregs))
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return call_failed(t, "KVM_GET_SREGS");
	load(t->mem.hva, &regs, &sregs);
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return call_failed(t, "KVM_SET_SREGS");
	if (ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return call_failed(t, "KVM_SET_REGS");
	return run_to_halt(t, vcpu_fd, run);
}

/* In the child, whose end closes everything. */
static void try_guests(void *arg)
{
	struct kvm_trial *t = arg;
	const struct kvm kvm = { .fd = t->fd };
	int vm_fd = kvm_create_vm(&kvm, &t->mem);
	int vcpu_fd, run_size;
	void *run;

	if (vm_fd < 0) {
		errno = -vm_fd;
		call_failed(t, "KVM_CREATE_VM");
		return;
	}
	vcpu_fd = ioctl(vm_fd, KVM_CREATE_VCPU, 0);
	run_size = ioctl(t->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu_fd < 0 || run_size < (int)sizeof(struct kvm_run)) {
		call_failed(t, "KVM_CREATE_VCPU");
		return;
	}
	run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   vcpu_fd, 0);
	if (run == MAP_FAILED) {
		call_failed(t, "mmap of a vCPU");
		return;
	}
	if (!set_cpuid(t, vcpu_fd))
		return;
	t->stage = STAGE_REAL;
	if (!run_guest(t, vcpu_fd, run, guest_load_real))
		return;
	t->stage = STAGE_LONG;
	if (!run_guest(t, vcpu_fd, run, guest_load_long))
		return;
	t->stage = STAGE_END;
}

/* How the last run ended, for those who know KVM. */
static void describe_exit(const struct kvm_trial *t, char *text, size_t size)
{
	switch (t->run.exit_reason) {
	case KVM_EXIT_INTERNAL_ERROR:
		snprintf(text, size, "KVM_EXIT_INTERNAL_ERROR %u%s",
			 t->run.internal.suberror, t->run.internal.suberror ==
			 KVM_INTERNAL_ERROR_EMULATION ?
			 ", an instruction that it had to emulate and cannot" :
			 "");
		break;
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(text, size, "KVM_EXIT_FAIL_ENTRY %#llx",
			 (unsigned long long)
			 t->run.fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_HLT:
		snprintf(text, size, "it halted, but its write to a port did not come through");
		break;
	case KVM_EXIT_SHUTDOWN:
		snprintf(text, size, "KVM_EXIT_SHUTDOWN, a triple fault");
		break;
	default:
		snprintf(text, size, "exit reason %u", t->run.exit_reason);
	}
}

/* The words for what a trial has come to that did not hang. */
static void judge(const struct kvm_trial *t, struct host_finding *finding)
{
	const struct guest_report *report = guest_report(t->mem.hva);
	uint64_t ns = t->loop_ns / GUEST_LOOPS;
	const char *fault;
	char exit_text[128];

	describe_exit(t, exit_text, sizeof(exit_text));
	if (t->failed_call) {
		host_found(finding, HOST_NO, "%s: %s", t->failed_call,
			   strerror(t->err));
		return;
	}
	if (t->stage == STAGE_REAL) {
		host_found(finding, HOST_NO,
			   "a guest in real mode did not get to its end: %s",
			   exit_text);
		return;
	}
	if (t->stage == STAGE_LONG) {
		host_found(finding, HOST_NO,
			   "a guest in real mode ran, but one in 64-bit mode failed to %s: %s",
			   guest_step_name(report->step + 1), exit_text);
		return;
	}
	fault = guest_fault(report);
	if (fault)
		host_found(finding, HOST_NO,
			   "a guest in 64-bit mode went wrong: %s", fault);
	else if (ns >= INTERPRETED_NS)
		host_found(finding, HOST_NO,
			   "guests are interpreted, not executed: %llu ns a round of a loop",
			   (unsigned long long)ns);
	else
		host_found(finding, HOST_YES,
			   "guests in real mode and in 64-bit mode ran, %.1f ns a round of a loop",
			   (double)t->loop_ns / GUEST_LOOPS);
}

static void try_kvm(struct kvm_trial *t, struct host_finding *finding)
{
	struct trial_end end = trial_run(try_guests, t, TIMEOUT_MS);

	if (end.err)
		host_found(finding, HOST_UNKNOWN,
			   "cannot tell without a child process: %s",
			   strerror(-end.err));
	else if (end.signal)
		host_found(finding, HOST_NO,
			   "the process that ran a guest got SIG%s",
			   sigabbrev_np(end.signal));
	else if (end.status)
		host_found(finding, HOST_UNKNOWN,
			   "cannot tell: the process that ran a guest failed with status %d",
			   end.status);
	else if (end.timed_out)
		host_found(finding, HOST_NO,
			   "a guest in %s mode did not get to its end in %d s",
			   t->stage == STAGE_LONG ? "64-bit" : "real",
			   TIMEOUT_MS / 1000);
	else
		judge(t, finding);
}

void probe_kvm_guest(const struct host *host, struct host_finding *finding)
{
	int fd = open_kvm(host, finding);
	struct kvm_trial *t;
	int err;

	if (finding->verdict == HOST_DENIED)
		host_found(finding, HOST_UNKNOWN,
			   "cannot tell without access to /dev/kvm");
	if (fd < 0)
		return;
	t = trial_shared(sizeof(*t));
	if (!t) {
		host_found(finding, HOST_UNKNOWN, "cannot tell without memory");
		goto out_close;
	}
	t->fd = fd;
	err = vm_memory_init(&t->mem, VM_MEMORY_MIN);
	if (err) {
		host_found(finding, HOST_UNKNOWN,
			   "cannot tell without memory for a guest: %s",
			   strerror(-err));
		goto out_unshare;
	}
	try_kvm(t, finding);
	vm_memory_fini(&t->mem);
out_unshare:
	trial_unshare(t, sizeof(*t));
out_close:
	fd_close(&fd);
}
