/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <malloc.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

/* What the C library and the run time need whatever the program does. */
static const int runtime_nrs[] = {
	__NR_brk, __NR_clock_gettime, __NR_clock_nanosleep, __NR_close,
	__NR_exit, __NR_exit_group, __NR_futex, __NR_getpid, __NR_gettid,
	__NR_getrandom, __NR_gettimeofday, __NR_madvise, __NR_mmap,
	__NR_mprotect, __NR_mremap, __NR_munmap, __NR_nanosleep,
	__NR_restart_syscall, __NR_rseq, __NR_rt_sigaction,
	__NR_rt_sigprocmask, __NR_rt_sigreturn, __NR_rt_sigtimedwait,
	__NR_sched_getaffinity, __NR_sched_yield, __NR_set_robust_list,
	__NR_sigaltstack, __NR_tgkill, __NR_write, __NR_writev,
#if defined(__SANITIZE_ADDRESS__)
	/* The leak check at exit stops all threads from a clone of the
	 * process; reports name the program and its lines. */
	__NR_clone, __NR_fcntl, __NR_fstat, __NR_getdents, __NR_getdents64,
	__NR_getppid,
	__NR_kill, __NR_lseek, __NR_newfstatat, __NR_open, __NR_openat,
	__NR_pipe2, __NR_prctl, __NR_prlimit64, __NR_ptrace, __NR_read,
	__NR_readlink, __NR_readlinkat, __NR_stat, __NR_wait4, __NR_getuid,
	__NR_geteuid, __NR_gettimeofday, __NR_uname, __NR_sched_getparam,
	__NR_sched_getscheduler, __NR_process_vm_readv, __NR_pread64,
	__NR_getrusage,
#endif
	-1,
};

static const struct syscall_list runtime_syscalls = { "runtime", runtime_nrs };

static int add_list(scmp_filter_ctx ctx, const struct syscall_list *list)
{
	int ret;

	for (const int *nr = list->nrs; *nr != -1; nr++) {
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, *nr, 0);
		/* Named by two parts: -EEXIST is fine. */
		if (ret < 0 && ret != -EEXIST) {
			log_err("seccomp: cannot allow system call %d for %s: %s",
				*nr, list->who, strerror(-ret));
			return ret;
		}
	}
	return 0;
}

int sandbox_filter(const struct syscall_list *const *lists)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int ret;

	if (!ctx)
		return -ENOMEM;
	ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!ret)
		ret = add_list(ctx, &runtime_syscalls);
	while (!ret && *lists)
		ret = add_list(ctx, *lists++);
	if (!ret)
		ret = seccomp_load(ctx);
	seccomp_release(ctx);
	return ret;
}

int sandbox_drop_privileges(void)
{
	cap_t none;
	int ret = 0;

	/* Before it shrinks a heap of a thread's own, glibc opens a file
	 * (overcommit_memory), which the filter ends the process for.  The
	 * common heap needs no more than brk. */
	mallopt(M_ARENA_MAX, 1);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		/* Needs CAP_SETPCAP; without it the set stays as it is, and is
		 * of no use with no_new_privs. */
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			break;
	}
	none = cap_init();
	if (!none)
		return -ENOMEM;
	if (cap_set_proc(none) < 0)
		ret = -errno;
	cap_free(none);
	return ret;
}
