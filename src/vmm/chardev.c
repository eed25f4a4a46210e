/* SPDX-License-Identifier: Apache-2.0
 *
 * Host ends of serial ports; see chardev.h.
 */
#include "vmm/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/uart.h"

enum {
	ESCAPE = 'A' & 0x1f,	/* Ctrl-A */
	CHUNK = 512,		/* bytes moved at a time; what POLLOUT promises
				 * even of a pipe (PIPE_BUF) */
};

static const char *const help =
	"\r\nCtrl-A X  end the machine\r\nCtrl-A H  this help\r\n"
	"Ctrl-A Ctrl-A  send Ctrl-A\r\n";

/* The part of @spec after "@prefix", or NULL. */
static const char *spec_path(const char *spec, const char *prefix)
{
	size_t len = strlen(prefix);

	return !strncmp(spec, prefix, len) && spec[len] ? spec + len : NULL;
}

bool chardev_spec_ok(const char *spec)
{
	return !strcmp(spec, "stdio") || !strcmp(spec, "pty") ||
	       !strcmp(spec, "none") || spec_path(spec, "unix:") ||
	       spec_path(spec, "file:");
}

static int open_stdio(struct chardev *chr)
{
	struct termios raw;

	chr->kind = CHARDEV_STDIO;
	chr->in_fd = STDIN_FILENO;
	chr->out_fd = STDOUT_FILENO;
	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &chr->saved) < 0)
		return 0;
	raw = chr->saved;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST;	/* our own messages still need it */
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0)
		chr->raw = true;
	return 0;
}

static int open_pty(struct chardev *chr)
{
	struct termios raw;
	char name[64];
	int err;

	chr->kind = CHARDEV_PTY;
	chr->in_fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	chr->out_fd = chr->in_fd;
	if (chr->in_fd < 0 || grantpt(chr->in_fd) < 0 ||
	    unlockpt(chr->in_fd) < 0 ||
	    ptsname_r(chr->in_fd, name, sizeof(name)) != 0)
		goto err_errno;
	chr->peer_fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (chr->peer_fd < 0 || tcgetattr(chr->peer_fd, &raw) < 0)
		goto err_errno;
	cfmakeraw(&raw);
	if (tcsetattr(chr->peer_fd, TCSANOW, &raw) < 0)
		goto err_errno;
	log_info("%s: %s", chr->what, name);
	return 0;

err_errno:
	err = -errno;
	log_err("%s pty: %s", chr->what, strerror(errno));
	return err;
}

static int open_unix(struct chardev *chr, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int err;

	chr->kind = CHARDEV_UNIX;
	if (strlen(path) >= sizeof(addr.sun_path)) {
		log_err("%s unix:%s: a socket's path has at most %zu bytes",
			chr->what, path, sizeof(addr.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	strcpy(addr.sun_path, path);
	chr->listen_fd = socket(AF_UNIX,
				SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (chr->listen_fd < 0 ||
	    bind(chr->listen_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err = -errno;
		log_err("%s unix:%s: %s%s", chr->what, path, strerror(-err),
			err == -EADDRINUSE ?
			" (remove the file if its machine is gone)" : "");
		return err;
	}
	chr->path = strdup(path);
	if (!chr->path || listen(chr->listen_fd, 4) < 0)
		return -ENOMEM;
	return 0;
}

static int open_file(struct chardev *chr, const char *path)
{
	int err;

	chr->kind = CHARDEV_FILE;
	chr->out_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			   0644);
	if (chr->out_fd >= 0)
		return 0;
	err = -errno;
	log_err("%s file:%s: %s", chr->what, path, strerror(-err));
	return err;
}

int chardev_open(struct chardev *chr, const char *spec, const char *what,
		 struct uart *uart)
{
	const char *path;
	int err = 0;

	*chr = (struct chardev){
		.uart = uart, .what = what, .in_fd = -1, .out_fd = -1,
		.listen_fd = -1, .peer_fd = -1,
	};
	if (!strcmp(spec, "stdio"))
		err = open_stdio(chr);
	else if (!strcmp(spec, "pty"))
		err = open_pty(chr);
	else if ((path = spec_path(spec, "unix:")))
		err = open_unix(chr, path);
	else if ((path = spec_path(spec, "file:")))
		err = open_file(chr, path);
	if (err)
		chardev_close(chr);
	else
		uart_set_lossy(uart, chr->out_fd < 0 ||
			       chr->kind == CHARDEV_PTY);
	return err;
}

static void peer_gone(struct chardev *chr)
{
	if (chr->kind == CHARDEV_STDIO) {	/* not ours to close */
		chr->in_fd = chr->out_fd = -1;
	} else {
		if (chr->in_fd == chr->out_fd)
			chr->in_fd = -1;
		fd_close(&chr->in_fd);
		fd_close(&chr->out_fd);
	}
	chr->out_blocked = false;
	uart_set_lossy(chr->uart, true);
}

void chardev_close(struct chardev *chr)
{
	if (chr->kind == CHARDEV_NONE)
		return;
	if (chr->raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &chr->saved);
	chr->raw = false;
	peer_gone(chr);
	fd_close(&chr->peer_fd);
	fd_close(&chr->listen_fd);
	if (chr->path)
		unlink(chr->path);
	free(chr->path);
	chr->path = NULL;
	chr->kind = CHARDEV_NONE;
}

/* Hand what was read to the port, less the escapes of a terminal. */
static enum chardev_event input(struct chardev *chr, const uint8_t *data,
				unsigned int len)
{
	if (!chr->raw) {
		uart_rx(chr->uart, data, len);
		return CHARDEV_OK;
	}
	for (unsigned int i = 0; i < len; i++) {
		if (!chr->escape && data[i] == ESCAPE) {
			chr->escape = true;
			continue;
		}
		if (chr->escape && (data[i] | 0x20) == 'x')
			return CHARDEV_QUIT;
		if (chr->escape && (data[i] | 0x20) == 'h')
			fputs(help, stderr);
		else
			uart_rx(chr->uart, &data[i], 1);
		chr->escape = false;
	}
	return CHARDEV_OK;
}

static enum chardev_event service_in(struct chardev *chr)
{
	unsigned int room = uart_rx_room(chr->uart);
	uint8_t data[CHUNK];
	ssize_t n;

	if (!room)
		return CHARDEV_OK;
	n = read(chr->in_fd, data, min_of(room, (unsigned int)CHUNK));
	if (n > 0)
		return input(chr, data, (unsigned int)n);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return CHARDEV_OK;
	if (chr->kind == CHARDEV_STDIO)
		chr->in_fd = -1;	/* end of input; output goes on */
	else
		peer_gone(chr);
	return CHARDEV_OK;
}

/* Write while there is room. */
static void service_out(struct chardev *chr)
{
	uint8_t data[CHUNK];

	for (;;) {
		unsigned int len = uart_tx_peek(chr->uart, data, CHUNK);
		struct pollfd ready = { .fd = chr->out_fd, .events = POLLOUT };
		ssize_t n = (ssize_t)len;

		if (!len)
			break;
		if (chr->out_fd >= 0) {
			/* Standard output may be blocking: ask first. */
			chr->out_blocked = poll(&ready, 1, 0) <= 0;
			if (chr->out_blocked)
				break;
			n = write(chr->out_fd, data, len);
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			chr->out_blocked = true;
			break;
		}
		if (n < 0) {
			peer_gone(chr);
			continue;
		}
		uart_tx_done(chr->uart, (unsigned int)n);
	}
	if (chr->out_blocked && chr->kind == CHARDEV_PTY) {
		uart_tx_done(chr->uart, UART_BUF_LEN);
		chr->out_blocked = false;
	}
}

static void service_listen(struct chardev *chr)
{
	int fd = accept4(chr->listen_fd, NULL, NULL,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	chr->in_fd = chr->out_fd = fd;
	uart_set_lossy(chr->uart, false);
}

unsigned int chardev_prepare(struct chardev *chr, struct pollfd *fds)
{
	unsigned int n = 0;

	chr->poll_in = chr->poll_out = chr->poll_listen = NULL;
	if (chr->in_fd >= 0) {
		short events = uart_rx_room(chr->uart) ? POLLIN : 0;

		/* A client that has left makes room for the next, even while
		 * the guest reads nothing. */
		if (chr->kind == CHARDEV_UNIX)
			events |= POLLRDHUP;
		if (events) {
			chr->poll_in = &fds[n];
			fds[n++] = (struct pollfd){ chr->in_fd, events, 0 };
		}
	}
	if (chr->out_fd >= 0 && chr->out_blocked) {
		chr->poll_out = &fds[n];
		fds[n++] = (struct pollfd){ chr->out_fd, POLLOUT, 0 };
	}
	if (chr->listen_fd >= 0 && chr->in_fd < 0) {
		chr->poll_listen = &fds[n];
		fds[n++] = (struct pollfd){ chr->listen_fd, POLLIN, 0 };
	}
	return n;
}

enum chardev_event chardev_service(struct chardev *chr)
{
	enum chardev_event event = CHARDEV_OK;

	if (chr->poll_in && (chr->poll_in->revents & POLLIN))
		event = service_in(chr);
	else if (chr->poll_in && chr->poll_in->revents) {
		if (chr->kind == CHARDEV_STDIO)
			chr->in_fd = -1;
		else
			peer_gone(chr);
	}
	if (chr->poll_listen && chr->poll_listen->revents)
		service_listen(chr);
	service_out(chr);
	return event;
}

void chardev_drain(struct chardev *chr, int timeout_ms)
{
	struct pollfd ready = { .fd = chr->out_fd, .events = POLLOUT };

	service_out(chr);
	while (chr->out_blocked && poll(&ready, 1, timeout_ms) > 0)
		service_out(chr);
}
