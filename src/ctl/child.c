/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes of the lab; see child.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "ctl/child.h"

void child_init(struct child *child)
{
	*child = (struct child){ .pidfd = -1 };
}

/* In the new process; does not return. */
static void run(char *const *argv, int log_fd, pid_t parent)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* The parent may have died before that. */
	if (getppid() != parent)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* A terminal's Ctrl-C is the supervisor's to see, not the children's.*/
	setpgid(0, 0);
	if (dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0)
		_exit(1);
	execv("/proc/self/exe", argv);
	dprintf(STDERR_FILENO, "backplane: cannot start %s: %s\n", argv[1],
		strerror(errno));
	_exit(1);
}

static int refuse(struct child *child, const char *what)
{
	int err = errno;

	snprintf(child->reason, sizeof(child->reason), "%s: %s", what,
		 strerror(err));
	child->failed = true;
	return -err;
}

/* The program's name before @argv; NULL: out of memory.  Of the heap, and
 * before fork(): other threads may hold malloc()'s locks then. */
static char **with_name(char *const *argv)
{
	size_t n = 0;
	char **all;

	while (argv[n])
		n++;
	all = calloc(n + 2, sizeof(*all));
	if (!all)
		return NULL;
	all[0] = (char *)"backplane";
	memcpy(all + 1, argv, n * sizeof(*all));
	return all;
}

/* A new log; that of the process before, which may say why it had to be started
 * again, stays beside it. */
static int open_log(const char *log)
{
	char former[sizeof(((struct child *)0)->log) + 2];

	snprintf(former, sizeof(former), "%s.1", log);
	rename(log, former);
	return open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
		    0600);
}

int child_start(struct child *child, char *const *argv, const char *log)
{
	pid_t parent = getpid();
	char **all;
	int log_fd;

	snprintf(child->log, sizeof(child->log), "%s", log);
	log_fd = open_log(child->log);
	if (log_fd < 0)
		return refuse(child, log);
	all = with_name(argv);
	child->pid = all ? fork() : -1;
	if (!child->pid)
		run(all, log_fd, parent);
	free(all);
	fd_close(&log_fd);
	if (child->pid < 0) {
		child->pid = 0;
		return refuse(child, "cannot make a process");
	}
	child->started_ns = time_now_ns();
	child->failed = false;
	child->reason[0] = '\0';
	child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	if (child->pidfd < 0) {
		int ret = refuse(child, "cannot watch a process");

		kill(child->pid, SIGKILL);
		waitpid(child->pid, NULL, 0);
		child->pid = 0;
		return ret;
	}
	return 0;
}

/* The last line of the log that is not empty, without our own prefix. */
static void last_line(const char *path, char *buf, size_t buf_len)
{
	static const char *const prefixes[] = { "backplane: ", "error: " };
	char text[1024], *line;
	ssize_t n = 0;
	int fd;

	buf[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (lseek(fd, -(off_t)(sizeof(text) - 1), SEEK_END) < 0)
		lseek(fd, 0, SEEK_SET);
	n = read(fd, text, sizeof(text) - 1);
	fd_close(&fd);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n <= 0)
		return;
	text[n] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncmp(line, prefixes[i], strlen(prefixes[i])))
			line += strlen(prefixes[i]);
	snprintf(buf, buf_len, "%.399s", line);
}

bool child_ended(struct child *child)
{
	char line[400];
	int status;

	if (!child->pid || waitpid(child->pid, &status, WNOHANG) != child->pid)
		return false;
	child->pid = 0;
	fd_close(&child->pidfd);
	child->failed = !WIFEXITED(status) || WEXITSTATUS(status);
	last_line(child->log, line, sizeof(line));
	if (WIFSIGNALED(status))
		snprintf(child->reason, sizeof(child->reason),
			 "killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else if (!child->failed)
		strcpy(child->reason, "ended by itself");
	else
		snprintf(child->reason, sizeof(child->reason),
			 "%s (exit status %d)",
			 *line ? line : "ended without a word",
			 WEXITSTATUS(status));
	return true;
}

void child_signal(const struct child *child, int number)
{
	if (child->pid)
		kill(child->pid, number);
}
