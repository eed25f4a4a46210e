/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel and its set-up offer beside KVM.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/files.h"
#include "host/probes.h"
#include "host/trial.h"

enum { TIMEOUT_MS = 10000 };	/* of a host that is busy, too */

void probe_memfd(const struct host *host, struct host_finding *finding)
{
	int fd = memfd_create("backplane-host",
			      MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		host_found(finding, HOST_NO, "memfd_create: %s",
			   strerror(errno));
	else if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		host_found(finding, HOST_NO, "F_ADD_SEALS: %s",
			   strerror(errno));
	else
		host_found(finding, HOST_YES, "made one and sealed its size");
	fd_close(&fd);
}

void probe_seccomp(const struct host *host, struct host_finding *finding)
{
	const uint32_t action = SECCOMP_RET_KILL_PROCESS;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
		host_found(finding, HOST_NO,
			   "filters that end a process: %s", strerror(errno));
	else
		host_found(finding, HOST_YES,
			   "filters that end a process can be set");
}

void probe_shmem_hugepages(const struct host *host,
			   struct host_finding *finding)
{
	static const char path[] =
		"/sys/kernel/mm/transparent_hugepage/shmem_enabled";
	char line[128];

	if (!host_read(host, path, line, sizeof(line)))
		host_found(finding, HOST_NO, "this kernel has no %s", path);
	else if (host_has_word(line, "[never]") ||
		 host_has_word(line, "[deny]"))
		host_found(finding, HOST_NO, "%s says %s", path, line);
	else
		host_found(finding, HOST_YES, "%s says %s", path, line);
}

/* For host_each(): what a size of huge pages has. */
struct huge_sizes {
	const struct host *host;
	struct host_text text;		/* of sizes that have any */
};

static void add_huge_size(const char *name, void *arg)
{
	static const char folder[] = "/sys/kernel/mm/hugepages";
	struct huge_sizes *sizes = arg;
	char path[128];
	long long total, n_free;

	snprintf(path, sizeof(path), "%s/%s/nr_hugepages", folder, name);
	total = host_read_number(sizes->host, path);
	snprintf(path, sizeof(path), "%s/%s/free_hugepages", folder, name);
	n_free = host_read_number(sizes->host, path);
	if (total > 0 && n_free >= 0)
		host_append(&sizes->text, "%lld of %lld of %s free", n_free,
			    total, name + strlen("hugepages-"));
}

void probe_hugepages(const struct host *host, struct host_finding *finding)
{
	char text[256] = "";
	struct huge_sizes sizes = {
		.host = host, .text = { .buf = text, .size = sizeof(text) },
	};

	if (!host_each(host, "/sys/kernel/mm/hugepages", "hugepages-",
		       add_huge_size, &sizes))
		host_found(finding, HOST_NO, "this kernel has none");
	else if (sizes.text.len)
		host_found(finding, HOST_YES, "%s", text);
	else
		host_found(finding, HOST_NO,
			   "none are set aside (sysctl vm.nr_hugepages)");
}

static void enter_user_namespace(void *arg)
{
	int *err = arg;

	*err = unshare(CLONE_NEWUSER) < 0 ? errno : 0;
}

/* Does the system keep them for root, whom we may be? */
static bool kept_for_root(const struct host *host)
{
	return host_read_number(host,
		"/proc/sys/kernel/unprivileged_userns_clone") == 0 ||
	       host_read_number(host,
		"/proc/sys/kernel/apparmor_restrict_unprivileged_userns") > 0;
}

void probe_user_namespaces(const struct host *host,
			   struct host_finding *finding)
{
	int *err = trial_shared(sizeof(*err));
	struct trial_end end = { .err = -ENOMEM };

	if (err)
		end = trial_run(enter_user_namespace, err, TIMEOUT_MS);
	if (end.err || end.timed_out || end.signal)
		host_found(finding, HOST_UNKNOWN,
			   "cannot tell without a child process");
	else if (*err == EPERM)
		host_found(finding, HOST_DENIED, "unshare: %s",
			   strerror(*err));
	else if (*err)
		host_found(finding, HOST_NO, "unshare: %s%s", strerror(*err),
			   host_read_number(host,
					"/proc/sys/user/max_user_namespaces") ?
			   "" : "; /proc/sys/user/max_user_namespaces is 0");
	else
		host_found(finding, HOST_YES, "made one%s",
			   kept_for_root(host) ?
			   "; without privileges only some programs may" : "");
	trial_unshare(err, sizeof(*err));
}

void probe_qemu_nbd(const struct host *host, struct host_finding *finding)
{
	const char *path = getenv("PATH");
	char *folders = strdup(path ? path : "/usr/bin:/bin");
	char *rest = folders, *folder, full[512];

	while (folders && (folder = strsep(&rest, ":"))) {
		snprintf(full, sizeof(full), "%s/qemu-nbd", folder);
		if (host_exists(host, full)) {
			host_found(finding, HOST_YES, "%s", full);
			free(folders);
			return;
		}
	}
	free(folders);
	host_found(finding, HOST_NO,
		   "no qemu-nbd in PATH (Debian package qemu-utils)");
}
