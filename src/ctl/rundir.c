/* SPDX-License-Identifier: Apache-2.0
 *
 * Runtime folders; see rundir.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"
#include "ctl/rundir.h"

/* The folder of folders, and which folders above a lab's are ours to make and
 * to remove: the last @n_own parts of the path. */
struct root {
	char path[RUNDIR_MAX];
	unsigned int n_own;
};

static int find_root(struct root *root)
{
	const char *own = getenv("BACKPLANE_RUNDIR");
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (own && *own) {
		root->n_own = 0;
		n = snprintf(root->path, RUNDIR_MAX, "%s", own);
	} else if (xdg && *xdg) {
		root->n_own = 1;
		n = snprintf(root->path, RUNDIR_MAX, "%s/backplane", xdg);
	} else {
		root->n_own = 2;
		n = snprintf(root->path, RUNDIR_MAX,
			     "/tmp/backplane-%u/backplane",
			     (unsigned int)geteuid());
	}
	return n < 0 || n >= RUNDIR_MAX ? -ENAMETOOLONG : 0;
}

int rundir_path(const char *lab, char buf[RUNDIR_MAX])
{
	struct root root;
	int n;

	if (find_root(&root))
		return -ENAMETOOLONG;
	n = snprintf(buf, RUNDIR_MAX, "%s/%s", root.path, lab);
	return n < 0 || n >= RUNDIR_MAX ? -ENAMETOOLONG : 0;
}

/* Make a folder, or find that it is ours: in /tmp anybody may have made it. */
static int make_own_dir(const char *path)
{
	struct stat st;

	if (!mkdir(path, 0700))
		return 0;
	if (errno != EEXIST || lstat(path, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_uid != geteuid() || st.st_mode & 022)
		return -EPERM;
	return 0;
}

static int make_dirs(const char *lab)
{
	char path[RUNDIR_MAX];
	struct root root;
	char *slash;
	int ret;

	ret = find_root(&root);
	if (ret)
		return ret;
	if (root.n_own == 2) {
		slash = strrchr(root.path, '/');
		*slash = '\0';
		ret = make_own_dir(root.path);
		*slash = '/';
	}
	if (!ret)
		ret = make_own_dir(root.path);
	if (!ret)
		ret = rundir_path(lab, path);
	return ret ? ret : make_own_dir(path);
}

/* The folder, locked; or -errno. */
static int lock_dir(const char *path)
{
	struct stat opened, named;
	int fd, ret;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	ret = flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
	/* The holder before us may have removed it in between. */
	if (!ret && (fstat(fd, &opened) || stat(path, &named) ||
		     opened.st_ino != named.st_ino ||
		     opened.st_dev != named.st_dev))
		ret = -ESTALE;
	if (ret)
		fd_close(&fd);
	return ret ? ret : fd;
}

int rundir_lock(const char *lab)
{
	const struct timespec pause = { .tv_nsec = 20 * NS_PER_MS };
	unsigned int tries = 10;
	char path[RUNDIR_MAX];
	int ret;

	ret = rundir_path(lab, path);
	if (ret)
		return ret;
	/* Busy may be just somebody who looks whether the lab is up; gone, a
	 * lab on its way down. */
	for (;;) {
		ret = make_dirs(lab);
		if (!ret)
			ret = lock_dir(path);
		if ((ret != -ESTALE && ret != -ENOENT &&
		     ret != -EWOULDBLOCK) || !--tries)
			return ret;
		nanosleep(&pause, NULL);
	}
}

bool rundir_is_up(const char *lab)
{
	char path[RUNDIR_MAX];
	int fd;

	if (rundir_path(lab, path))
		return false;
	fd = lock_dir(path);
	if (fd >= 0)
		fd_close(&fd);
	return fd == -EWOULDBLOCK;
}

static bool ends_in(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len > end_len && !strcmp(name + len - end_len, end);
}

static bool is_log(const char *name)
{
	return ends_in(name, ".log") || ends_in(name, ".log.1");
}

static void remove_files(const char *path, bool keep_logs)
{
	struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' &&
		    !(keep_logs && is_log(entry->d_name)))
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

void rundir_clean_stale(const char *lab)
{
	char path[RUNDIR_MAX];

	if (!rundir_path(lab, path))
		remove_files(path, false);
}

void rundir_clean(const char *lab, bool keep_logs)
{
	char path[RUNDIR_MAX];
	struct root root;

	if (rundir_path(lab, path) || find_root(&root))
		return;
	remove_files(path, keep_logs);
	/* Each of these fails, as it should, while there is something in it.*/
	rmdir(path);
	for (; root.n_own; root.n_own--) {
		rmdir(root.path);
		*strrchr(root.path, '/') = '\0';
	}
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

unsigned int rundir_list(char (*names)[LAB_NAME_MAX], unsigned int max)
{
	struct dirent *entry;
	unsigned int n = 0;
	struct root root;
	DIR *dir;

	if (find_root(&root))
		return 0;
	dir = opendir(root.path);
	if (!dir)
		return 0;
	while (n < max && (entry = readdir(dir)))
		if (lab_name_ok(entry->d_name) && rundir_is_up(entry->d_name))
			strcpy(names[n++], entry->d_name);
	closedir(dir);
	qsort(names, n, sizeof(*names), compare_names);
	return n;
}
