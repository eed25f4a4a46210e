/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent: runs commands inside a guest for `backplane exec`, and inside the
 * emulated KVM host for tools/kvm-host. Started by their /init with the name
 * of a serial line; what is spoken there is in src/ctl/agent_wire.h. The line
 * is opened at once, and answered when standard input has ended.
 *
 * Theory of operation
 *
 * One thread, one poll() loop, no memory allocation. Bytes off the line gather
 * in `line.in` until they are a frame, which is obeyed at once. Frames to send
 * are appended to `line.out`, which poll() empties as the line takes them. A
 * command's pipe is read only while `line.out` has room for the largest frame,
 * so a slow line slows the commands down and costs no memory. The line is
 * read whatever the commands do: see "Flow control" in agent_wire.h. The one
 * thing that stops it is a host that has not read our answers for long enough
 * to fill the reserve at the end of `line.out`.
 *
 * A command is a process group of its own with three pipes. When it has ended,
 * what lies in its pipes at that moment is still sent, then EXIT; so a
 * grandchild in the background, which has the pipes open too, delays nothing.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "agent_wire.h"

enum {
	/* The largest frame. */
	FRAME_MAX = AGENT_HDR_LEN + AGENT_PAYLOAD_MAX,
	/* The longest sentence of an ERROR frame. */
	TEXT_MAX = 200,
	/* Room that one frame from the host can make us fill: ERROR, EXIT. */
	ANSWER_MAX = 2 * AGENT_HDR_LEN + TEXT_MAX + 4,
	/* Bytes of frames waiting for the line. */
	OUT_MAX = 8 * FRAME_MAX,
	/* How long to leave a line alone that has nobody at its other end. */
	HANGUP_MS = 100,
};

/* One of a command's two outputs. */
struct output {
	/* Read end of the pipe, non-blocking; -1 once it ended. */
	int fd;
	/* What its bytes are sent as: AGENT_STDOUT or AGENT_STDERR. */
	enum agent_type type;
	/* After the command's end: bytes that are still to be sent. */
	size_t left;
};

/* A running command. */
struct stream {
	/* Its number, chosen by the host; 0: this slot is free. */
	uint16_t id;
	/* Its process and process group; 0 once it has been waited for. */
	pid_t pid;
	/* Its EXIT status, valid once pid is 0. */
	uint32_t status;
	/* Standard output and standard error. */
	struct output output[2];
	/* Write end of standard input, non-blocking; -1 once closed. */
	int stdin_fd;
	/* The host sent end of file: close stdin_fd when the ring is empty. */
	bool stdin_eof;
	/* An ERROR has told of lost input. */
	bool stdin_overrun;
	/* Ring of input that the command has not read: first byte, count. */
	size_t stdin_head, stdin_len;
	/* The ring's bytes. */
	uint8_t stdin_buf[AGENT_STDIN_MAX];
	/* Bytes to give back by WINDOW when there is room for the frame. */
	uint32_t window;
};

/* The serial line. */
static struct {
	/* Both directions, non-blocking. */
	int fd;
	/* Received bytes that are not a whole frame yet, and their count. */
	uint8_t in[FRAME_MAX];
	size_t in_len;
	/* When the last of them came, by now_ms(). */
	int64_t in_ms;
	/* in_parse() stopped for want of room in line.out. */
	bool in_waits;
	/* Frames to send: out[out_head] is the next byte, out_len the count. */
	uint8_t out[OUT_MAX];
	size_t out_head, out_len;
} line;

static struct stream streams[AGENT_STREAMS_MAX];

static void die(const char *what)
{
	fprintf(stderr, "agent: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* Close and forget a descriptor; -1 is left as it is. */
static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* --- To the host --------------------------------------------------------- */

static size_t out_room(void)
{
	return OUT_MAX - line.out_len;
}

/* Make the free bytes of line.out one piece, at its end. */
static void out_compact(void)
{
	memmove(line.out, line.out + line.out_head, line.out_len);
	line.out_head = 0;
}

/* Append a frame. The caller has seen to it that there is room. */
static void send_frame(enum agent_type type, uint16_t stream,
		       const void *payload, uint16_t len)
{
	const struct agent_hdr hdr = {
		.type = type, .stream = stream, .len = len,
	};

	out_compact();
	agent_hdr_put(&hdr, line.out + line.out_len);
	if (len)
		memcpy(line.out + line.out_len + AGENT_HDR_LEN, payload, len);
	line.out_len += AGENT_HDR_LEN + len;
}

static void send_le32(enum agent_type type, uint16_t stream, uint32_t value)
{
	const uint8_t le[4] = { value, value >> 8, value >> 16, value >> 24 };

	send_frame(type, stream, le, sizeof(le));
}

static void send_ready(uint16_t token)
{
	const uint8_t version = AGENT_VERSION;

	send_frame(AGENT_READY, token, &version, sizeof(version));
}

static void __attribute__((format(printf, 2, 3)))
send_error(uint16_t stream, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len < 0)
		return;
	if (len >= TEXT_MAX)
		len = TEXT_MAX - 1;
	send_frame(AGENT_ERROR, stream, text, len);
}

/* Send what the line takes now. */
/* Return: false if there is nobody at the other end. */
static bool out_flush(void)
{
	while (line.out_len) {
		ssize_t n = write(line.fd, line.out + line.out_head,
				  line.out_len);

		if (n <= 0)
			return n == 0 || errno == EAGAIN || errno == EINTR;
		line.out_head += n;
		line.out_len -= n;
	}
	return true;
}

/* --- Commands ------------------------------------------------------------ */

static struct stream *stream_find(uint16_t id)
{
	for (size_t i = 0; i < AGENT_STREAMS_MAX; i++)
		if (streams[i].id == id)
			return &streams[i];
	return NULL;
}

/* The command will read no more: count what it left as taken. */
static void stdin_close(struct stream *s)
{
	close_fd(&s->stdin_fd);
	s->window += s->stdin_len;
	s->stdin_len = 0;
}

static void stream_free(struct stream *s)
{
	close_fd(&s->stdin_fd);
	close_fd(&s->output[0].fd);
	close_fd(&s->output[1].fd);
	s->id = 0;
}

/* In the child: become the command. Returns only if that failed, with errno. */
static void become(char **argv, const int fds[3])
{
	sigset_t none;

	setsid();
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			return;
	signal(SIGPIPE, SIG_DFL);
	/* A command is hung up on by it, whatever the agent was started by. */
	signal(SIGHUP, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(argv[0], argv);
}

/*
 * Start a process with these as its standard input, output and error. An error
 * up to the exec comes back through a pipe that a successful exec closes.
 *
 * Return: its pid, or negative errno.
 */
static pid_t spawn(char **argv, const int fds[3])
{
	int report[2], error = 0;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		become(argv, fds);
		error = errno;
		if (write(report[1], &error, sizeof(error)) < 0)
			_exit(AGENT_EXIT_NOT_RUN);
		_exit(AGENT_EXIT_NOT_RUN);
	}
	if (pid < 0)
		error = errno;
	close(report[1]);
	if (pid > 0 && read(report[0], &error, sizeof(error)) > 0)
		waitpid(pid, NULL, 0);
	close(report[0]);
	return error ? -error : pid;
}

/*
 * Make the three pipes of a command; our ends go to *s, its ends to fds. Our
 * ends only are non-blocking.
 */
static int make_pipes(struct stream *s, int fds[3])
{
	int p[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	int *ours[3] = { &s->stdin_fd, &s->output[0].fd, &s->output[1].fd };
	int error;

	for (int i = 0; i < 3; i++) {
		int end = i == 0;

		if (pipe2(p[i], O_CLOEXEC) < 0 ||
		    fcntl(p[i][end], F_SETFL, O_NONBLOCK) < 0)
			goto err_close;
		*ours[i] = p[i][end];
		fds[i] = p[i][!end];
	}
	return 0;

err_close:
	error = errno;
	for (int i = 0; i < 3; i++) {
		close_fd(&p[i][0]);
		close_fd(&p[i][1]);
		*ours[i] = -1;
	}
	return -error;
}

/* Start a command in a free slot. Return: 0 or negative errno. */
static int stream_start(struct stream *s, uint16_t id, char **argv)
{
	int fds[3] = { -1, -1, -1 };
	int result;

	*s = (struct stream) {
		.stdin_fd = -1,
		.output = {
			{ .fd = -1, .type = AGENT_STDOUT },
			{ .fd = -1, .type = AGENT_STDERR },
		},
	};
	result = make_pipes(s, fds);
	if (result < 0)
		return result;
	result = spawn(argv, fds);
	for (int i = 0; i < 3; i++)
		close_fd(&fds[i]);
	if (result < 0) {
		stream_free(s);
		return result;
	}
	s->id = id;
	s->pid = result;
	return 0;
}

/* Kill all commands and forget them. */
static void streams_reset(void)
{
	for (size_t i = 0; i < AGENT_STREAMS_MAX; i++) {
		struct stream *s = &streams[i];

		if (!s->id)
			continue;
		if (s->pid)
			kill(-s->pid, SIGKILL);
		stream_free(s);
	}
}

/* --- From the host ------------------------------------------------------- */

/*
 * Cut an EXEC payload into arguments.
 *
 * Return: false if it is empty or does not end in a NUL.
 */
static bool parse_argv(const uint8_t *payload, uint16_t len, char **argv)
{
	static char text[AGENT_PAYLOAD_MAX];
	size_t argc = 0;

	if (!len || payload[len - 1] != '\0')
		return false;
	memcpy(text, payload, len);
	for (size_t i = 0; i < len; i += strlen(text + i) + 1)
		argv[argc++] = text + i;
	argv[argc] = NULL;
	return true;
}

static void handle_exec(uint16_t id, const uint8_t *payload, uint16_t len)
{
	static char *argv[AGENT_PAYLOAD_MAX + 1];
	struct stream *s;
	int error;

	if (!id)
		return;
	if (stream_find(id)) {
		send_error(id, "stream %u is in use", (unsigned int)id);
		return;
	}
	s = stream_find(0);
	if (!parse_argv(payload, len, argv)) {
		send_error(id, "malformed EXEC");
	} else if (!s) {
		send_error(id, "%d commands run already", AGENT_STREAMS_MAX);
	} else {
		error = stream_start(s, id, argv);
		if (!error)
			return;
		send_error(id, "%.100s: %s", argv[0],
			   error == -ENOENT ? "command not found" :
			   strerror(-error));
	}
	send_le32(AGENT_EXIT, id, AGENT_EXIT_NOT_RUN);
}

/* Keep input for the command; the poll loop hands it on. */
static void handle_stdin(struct stream *s, const uint8_t *payload,
			 uint16_t len)
{
	size_t room = AGENT_STDIN_MAX - s->stdin_len;
	size_t tail = (s->stdin_head + s->stdin_len) % AGENT_STDIN_MAX;
	size_t to_end = AGENT_STDIN_MAX - tail;

	if (!len)
		s->stdin_eof = true;
	if (s->stdin_fd < 0) {
		s->window += len;
		return;
	}
	if (len > room) {
		if (!s->stdin_overrun)
			send_error(s->id, "standard input overrun");
		s->stdin_overrun = true;
		s->window += len - room;
		len = room;
	}
	if (len > to_end) {
		memcpy(s->stdin_buf + tail, payload, to_end);
		memcpy(s->stdin_buf, payload + to_end, len - to_end);
	} else if (len) {
		memcpy(s->stdin_buf + tail, payload, len);
	}
	s->stdin_len += len;
}

static void handle_frame(const struct agent_hdr *hdr, const uint8_t *payload)
{
	struct stream *s = hdr->stream ? stream_find(hdr->stream) : NULL;

	switch (hdr->type) {
	case AGENT_HELLO:
		streams_reset();
		send_ready(hdr->stream);
		break;
	case AGENT_EXEC:
		handle_exec(hdr->stream, payload, hdr->len);
		break;
	case AGENT_STDIN:
		if (s)
			handle_stdin(s, payload, hdr->len);
		break;
	case AGENT_SIGNAL:
		if (s && s->pid && hdr->len == 1)
			kill(-s->pid, payload[0]);
		break;
	default:
		break;
	}
}

static void in_drop(size_t n)
{
	line.in_len -= n;
	memmove(line.in, line.in + n, line.in_len);
}

/* Obey the whole frames in line.in, and skip what is no frame. */
static void in_parse(void)
{
	struct agent_hdr hdr;
	size_t at = 0;

	line.in_waits = false;
	while (line.in_len - at >= AGENT_HDR_LEN) {
		line.in_waits = out_room() < ANSWER_MAX;
		if (line.in_waits)
			break;
		if (!agent_hdr_get(&hdr, line.in + at)) {
			at++;
			continue;
		}
		if (line.in_len - at < (size_t)AGENT_HDR_LEN + hdr.len)
			break;
		handle_frame(&hdr, line.in + at + AGENT_HDR_LEN);
		at += AGENT_HDR_LEN + hdr.len;
	}
	in_drop(at);
}

/* Give up a frame whose rest does not come. */
static void in_expire(void)
{
	if (!line.in_len || line.in_waits ||
	    now_ms() - line.in_ms < AGENT_FRAME_MS)
		return;
	in_drop(1);
	in_parse();
}

/* Return: false if there is nobody at the other end. */
static bool in_read(void)
{
	size_t room = sizeof(line.in) - line.in_len;
	ssize_t n;

	if (!room)
		return true;
	n = read(line.fd, line.in + line.in_len, room);
	if (n > 0) {
		line.in_len += n;
		line.in_ms = now_ms();
	}
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* --- From the commands --------------------------------------------------- */

/* Learn which commands have ended, and how much they left in their pipes. */
static void reap(void)
{
	int status, bytes;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < AGENT_STREAMS_MAX; i++) {
			struct stream *s = &streams[i];

			if (!s->id || s->pid != pid)
				continue;
			s->pid = 0;
			s->status = WIFEXITED(status) ? WEXITSTATUS(status) :
				AGENT_EXIT_SIGNAL + WTERMSIG(status);
			for (int o = 0; o < 2; o++)
				if (!ioctl(s->output[o].fd, FIONREAD, &bytes))
					s->output[o].left = bytes;
			stdin_close(s);
		}
	}
}

/* Make one frame of what a command wrote. There is room for it. */
static void output_read(struct stream *s, struct output *o)
{
	uint8_t buf[AGENT_PAYLOAD_MAX];
	size_t max = sizeof(buf);
	ssize_t n;

	if (!s->pid && o->left < max)
		max = o->left;
	n = read(o->fd, buf, max);
	if (n > 0) {
		send_frame(o->type, s->id, buf, n);
		if (!s->pid)
			o->left -= n;
	} else if (!s->pid || n == 0 || errno != EAGAIN) {
		close_fd(&o->fd);
		o->left = 0;
	}
}

/* Hand kept input to the command as far as its pipe takes it. */
static void stdin_write(struct stream *s)
{
	while (s->stdin_len) {
		size_t piece = AGENT_STDIN_MAX - s->stdin_head;
		ssize_t n;

		if (piece > s->stdin_len)
			piece = s->stdin_len;
		n = write(s->stdin_fd, s->stdin_buf + s->stdin_head, piece);
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				stdin_close(s);
			return;
		}
		s->stdin_head = (s->stdin_head + n) % AGENT_STDIN_MAX;
		s->stdin_len -= n;
		s->window += n;
	}
	if (s->stdin_eof)
		stdin_close(s);
}

/* Whether an ended command has no bytes left to send. */
static bool stream_drained(const struct stream *s)
{
	return !s->output[0].left && !s->output[1].left;
}

/* Do what can be done for a command without waiting. */
static void stream_serve(struct stream *s)
{
	for (int i = 0; i < 2; i++) {
		struct output *o = &s->output[i];

		if (o->fd >= 0 && (s->pid || o->left) &&
		    out_room() >= FRAME_MAX + ANSWER_MAX)
			output_read(s, o);
	}
	if (s->stdin_fd >= 0)
		stdin_write(s);
	if (out_room() < 2 * ANSWER_MAX)
		return;
	if (s->window) {
		send_le32(AGENT_WINDOW, s->id, s->window);
		s->window = 0;
	}
	if (!s->pid && stream_drained(s)) {
		send_le32(AGENT_EXIT, s->id, s->status);
		stream_free(s);
	}
}

/* --- The loop ------------------------------------------------------------ */

static void line_open(const char *name)
{
	struct termios t;

	line.fd = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (line.fd < 0)
		die(name);
	/* A virtio port is no terminal, and raw as it is. */
	if (tcgetattr(line.fd, &t) < 0)
		return;
	cfmakeraw(&t);
	t.c_cflag |= CLOCAL | CREAD;
	t.c_cflag &= ~CRTSCTS;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	cfsetspeed(&t, B115200);
	if (tcsetattr(line.fd, TCSANOW, &t) < 0)
		die(name);
}

/* SIGCHLD as a descriptor for poll(). */
static int sigchld_open(void)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		die("signalfd");
	return fd;
}

/* Fill in what to wait for. Return: the number of entries. */
static nfds_t poll_set(struct pollfd *p, int sigchld_fd)
{
	bool room = out_room() >= FRAME_MAX + ANSWER_MAX;
	nfds_t n = 0;

	p[n++] = (struct pollfd) { .fd = sigchld_fd, .events = POLLIN };
	p[n++] = (struct pollfd) {
		.fd = line.fd,
		.events = (out_room() >= ANSWER_MAX ? POLLIN : 0) |
			  (line.out_len ? POLLOUT : 0),
	};
	for (size_t i = 0; i < AGENT_STREAMS_MAX; i++) {
		struct stream *s = &streams[i];

		if (!s->id)
			continue;
		if (s->stdin_fd >= 0 && s->stdin_len)
			p[n++] = (struct pollfd) {
				.fd = s->stdin_fd, .events = POLLOUT,
			};
		for (int o = 0; o < 2 && room; o++)
			if (s->output[o].fd >= 0)
				p[n++] = (struct pollfd) {
					.fd = s->output[o].fd,
					.events = POLLIN,
				};
	}
	return n;
}

/*
 * Whether something can be done that poll() will not tell of. What has to wait
 * for room in line.out needs no telling: POLLOUT does.
 */
static bool work_left(void)
{
	if (out_room() < FRAME_MAX + ANSWER_MAX)
		return false;
	for (size_t i = 0; i < AGENT_STREAMS_MAX; i++)
		if (streams[i].id && (!streams[i].pid || streams[i].window))
			return true;
	return line.in_waits;
}

/* Serve all commands, each time beginning with another: room is scarce. */
static void streams_serve(void)
{
	static size_t first;

	for (size_t i = 0; i < AGENT_STREAMS_MAX; i++) {
		struct stream *s = &streams[(first + i) % AGENT_STREAMS_MAX];

		if (s->id)
			stream_serve(s);
	}
	first = (first + 1) % AGENT_STREAMS_MAX;
}

static void run(int sigchld_fd)
{
	struct pollfd p[2 + 3 * AGENT_STREAMS_MAX];
	struct signalfd_siginfo ended;
	int timeout;

	for (;;) {
		nfds_t n = poll_set(p, sigchld_fd);

		timeout = work_left() ? 0 : line.in_len ? AGENT_FRAME_MS : -1;
		if (poll(p, n, timeout) < 0)
			die("poll");
		if (p[0].revents &&
		    read(sigchld_fd, &ended, sizeof(ended)) > 0)
			reap();
		if ((p[1].revents & POLLIN && !in_read()) ||
		    p[1].revents & (POLLHUP | POLLERR))
			poll(NULL, 0, HANGUP_MS);
		in_parse();
		in_expire();
		streams_serve();
		if (!out_flush())
			poll(NULL, 0, HANGUP_MS);
	}
}

/* Wait until nobody has the other end of standard input open. */
static void stdin_wait(void)
{
	char buf[64];

	while (read(STDIN_FILENO, buf, sizeof(buf)) > 0)
		;
}

int main(int argc, char **argv)
{
	int sigchld_fd;

	if (argc != 2) {
		fprintf(stderr, "usage: agent SERIAL-LINE\n");
		return 2;
	}
	line_open(argv[1]);
	stdin_wait();
	sigchld_fd = sigchld_open();
	send_ready(0);
	run(sigchld_fd);
}
