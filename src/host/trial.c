/* SPDX-License-Identifier: Apache-2.0
 *
 * A function in a process of its own; see trial.h.
 */
#include "host/trial.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	STATUS_FAULT = 128,	/* + the signal, as shells do */
	KILLED_WITHIN_MS = 2000,
};

static void on_fault(int sig)
{
	_exit(STATUS_FAULT + sig);
}

static void catch_faults(void)
{
	static const int faults[] = { SIGSEGV, SIGILL, SIGBUS, SIGFPE,
				      SIGTRAP };
	static char stack[64 << 10];
	const stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	const struct sigaction action = { .sa_handler = on_fault,
					  .sa_flags = SA_ONSTACK };

	/* The fault may have come with a stack that is of no use. */
	sigaltstack(&alt, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		sigaction(faults[i], &action, NULL);
}

/* What a caught or an uncaught signal has left. */
static void note_status(struct trial_end *end, int status)
{
	if (WIFSIGNALED(status))
		end->signal = WTERMSIG(status);
	else if (WEXITSTATUS(status) > STATUS_FAULT)
		end->signal = WEXITSTATUS(status) - STATUS_FAULT;
	else
		end->status = WEXITSTATUS(status);
}

struct trial_end trial_run(void (*fn)(void *arg), void *arg, int timeout_ms)
{
	struct trial_end end = { 0 };
	struct pollfd ended;
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0) {
		end.err = -errno;
		return end;
	}
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		catch_faults();
		fn(arg);
		_exit(0);
	}
	ended = (struct pollfd){ .fd = pidfd_open(pid, 0), .events = POLLIN };
	if (ended.fd < 0)
		end.err = -errno;
	else
		end.timed_out = poll(&ended, 1, timeout_ms) != 1;
	if (end.err || end.timed_out) {
		kill(pid, SIGKILL);
		/* One that hangs in the kernel must not hang us as well. */
		if (end.timed_out)
			(void)poll(&ended, 1, KILLED_WITHIN_MS);
		(void)waitpid(pid, NULL, WNOHANG);
	} else if (waitpid(pid, &status, 0) == pid) {
		note_status(&end, status);
	}
	fd_close(&ended.fd);
	return end;
}

void *trial_shared(size_t size)
{
	void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return shared == MAP_FAILED ? NULL : shared;
}

void trial_unshare(void *shared, size_t size)
{
	if (shared)
		munmap(shared, size);
}
