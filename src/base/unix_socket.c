/* SPDX-License-Identifier: Apache-2.0 */
#include "base/unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Is there a socket that nobody listens on any more? */
static bool is_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	bool refused;
	int fd;

	if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)addr,
			  sizeof(*addr)) < 0 && errno == ECONNREFUSED;
	fd_close(&fd);
	return refused;
}

static int bind_replacing(int fd, const struct sockaddr_un *addr)
{
	const struct sockaddr *sa = (const struct sockaddr *)addr;

	if (!bind(fd, sa, sizeof(*addr)))
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	if (!is_stale(addr))
		return -EADDRINUSE;
	if (unlink(addr->sun_path) < 0 && errno != ENOENT)
		return -errno;
	return bind(fd, sa, sizeof(*addr)) < 0 ? -errno : 0;
}

/* A socket of @type, bound to @path. */
static int make_bound(const char *path, int type, int *fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int ret;

	*fd = -1;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	*fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return -errno;
	/* bind() gives the file the mode of the socket. */
	ret = fchmod(*fd, 0600) < 0 ? -errno : bind_replacing(*fd, &addr);
	if (ret < 0)
		fd_close(fd);
	return ret;
}

int unix_listen(const char *path, int backlog, int *fd)
{
	int ret = make_bound(path, SOCK_STREAM, fd);

	if (ret < 0)
		return ret;
	if (listen(*fd, backlog) < 0) {
		ret = -errno;
		unlink(path);
		fd_close(fd);
	}
	return ret;
}

int unix_bind_dgram(const char *path, int *fd)
{
	return make_bound(path, SOCK_DGRAM, fd);
}

bool unix_take_fds(struct msghdr *msg, int *fds, unsigned int *n,
		   unsigned int max)
{
	bool all = !(msg->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		size_t n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n_fds; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (*n < max) {
				fds[(*n)++] = fd;
			} else {
				fd_close(&fd);
				all = false;
			}
		}
	}
	return all;
}
