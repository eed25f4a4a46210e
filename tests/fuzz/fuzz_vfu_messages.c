/* SPDX-License-Identifier: Apache-2.0
 *
 * A vfio-user server fed with anything.  The input is a list of pieces, each a
 * message of the socket: a byte of flags, 16 bits of length (little endian),
 * that many bytes.  A piece may have descriptors with it, and may be put into
 * good form: its length then goes into the size of the header it begins with.
 *
 * The server is the real one, on its worker; its system calls are played (see
 * fake_kernel.h).
 */
#include <string.h>

#include "../unit/vfio_user/toy.h"
#include "base/log.h"
#include "fake_kernel.h"
#include "loop/worker.h"
#include "vfio_user/server_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	PIECE_MEMFD = 1,	/* with a memfd */
	PIECE_EVENTFD = 2,	/* with an eventfd */
	PIECE_MANY = 4,		/* with many of them */
	PIECE_SIZED = 8,	/* the header's size is right */
	PIECE_TRUNCATE = 16,	/* the memfd is truncated behind it */
	PIECE_UNREAD = 32,	/* the client reads no replies */
	PIECE_KICK = 64,	/* the client's eventfds are written to */
	PIECE_QUEUED = 128,	/* the server does not come to it before the
				 * next one */
};

static struct {
	struct worker *worker;
	struct toy toy;
	struct vfu_server *server;
	uint64_t now;		/* the worker's clock */
	/* What pieces are read from, put into form; size of the longest. */
	uint8_t bytes[UINT16_MAX];
	size_t n_bytes;		/* in use */
} f;

static void set_up(void)
{
	struct vfu_server_config config = {
		.dev = &f.toy.pci, .listen_fd = -1,
	};

	log_level = LOG_ERR;
	f.worker = worker_create("fuzz", 0);
	must(f.worker);
	worker_set_now(f.worker, f.now = 1);
	config.worker = f.worker;
	fake_kernel_init();
	must(!toy_init(&f.toy) && !vfu_server_create(&config, &f.server));
}

/* A round that looks at the descriptors even if there is other work. */
static void run(void)
{
	worker_set_now(f.worker, f.now += WORKER_FD_INTERVAL_NS);
	worker_round(f.worker);
}

static void send_piece(const uint8_t *data, size_t len, unsigned int flags)
{
	unsigned int n = flags & PIECE_MANY ? FAKE_MESSAGE_FDS_MAX : 1;
	uint8_t *bytes = f.bytes + f.n_bytes;

	if (len > sizeof(f.bytes) - f.n_bytes)
		return;
	memcpy(bytes, data, len);
	f.n_bytes += len;
	if ((flags & PIECE_SIZED) && len >= sizeof(struct vfu_header)) {
		uint32_t size = (uint32_t)len;

		memcpy(bytes + offsetof(struct vfu_header, size), &size,
		       sizeof(size));
	}
	/* If the server is gone or its socket full, that is that. */
	(void)fake_kernel_send(bytes, len, flags & PIECE_EVENTFD ?
			       FAKE_EVENTFD : FAKE_MEMFD,
			       flags & (PIECE_MEMFD | PIECE_EVENTFD) ? n : 0);
}

/* A round reads at least one message, or else finds the end. */
static void hang_up(void)
{
	fake_kernel_hang_up();
	for (int i = 0; i <= FAKE_MESSAGES_MAX &&
	     vfu_server_connected(f.server); i++)
		run();
	must(!vfu_server_connected(f.server));
	fake_kernel_end();
}

/* Whoever was there before, the next client is served. */
static void check_next_client(void)
{
	static const struct {
		struct vfu_header h;
		struct vfu_version v;
	} hello = { { 1, VFU_VERSION, sizeof(hello), 0, 0 }, { 0, 0 } };

	must(!vfu_server_attach(f.server, fake_kernel_connect()));
	must(fake_kernel_send((const uint8_t *)&hello, sizeof(hello),
			      FAKE_NONE, 0));
	run();
	must(fake_kernel_replies() == 1);
	hang_up();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!f.server)
		set_up();
	f.n_bytes = 0;
	must(!vfu_server_attach(f.server, fake_kernel_connect()));
	while (size >= 3) {
		unsigned int flags = data[0];
		size_t len = min_of((size_t)le16_load(data + 1), size - 3);

		send_piece(data + 3, len, flags);
		fake_kernel_full(flags & PIECE_UNREAD);
		if (flags & PIECE_KICK)
			fake_kernel_kick();
		if (!(flags & PIECE_QUEUED))
			run();
		if (flags & PIECE_TRUNCATE)
			fake_kernel_truncate();
		data += 3 + len;
		size -= 3 + len;
	}
	hang_up();
	check_next_client();
	return 0;
}
