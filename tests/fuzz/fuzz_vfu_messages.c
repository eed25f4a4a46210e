/* SPDX-License-Identifier: Apache-2.0
 *
 * A vfio-user server fed with anything; the input is that of pieces.h.  Good
 * form: a piece's length is in the size of the header it begins with.
 *
 * The server is the real one, on its worker; its system calls are played (see
 * fake_kernel.h).
 */
#include <string.h>

#include "../unit/vfio_user/toy.h"
#include "base/log.h"
#include "fake_kernel.h"
#include "loop/worker.h"
#include "pieces.h"
#include "vfio_user/server_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static_assert((int)PIECES_FDS <= (int)FAKE_MESSAGE_FDS_MAX, "room for many");

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

static void send_piece(const struct piece *piece)
{
	uint8_t *bytes = f.bytes + f.n_bytes;
	size_t len = piece->len;

	if (len > sizeof(f.bytes) - f.n_bytes)
		return;
	memcpy(bytes, piece->data, len);
	f.n_bytes += len;
	if ((piece->flags & PIECE_FORMED) && len >= sizeof(struct vfu_header)) {
		uint32_t size = (uint32_t)len;

		memcpy(bytes + offsetof(struct vfu_header, size), &size,
		       sizeof(size));
	}
	/* If the server is gone or its socket full, that is that. */
	(void)fake_kernel_send(bytes, len, piece->flags & PIECE_EVENTFD ?
			       FAKE_EVENTFD : FAKE_MEMFD, piece_n_fds(piece));
}

/* A round reads at least one of what was sent, or else finds the end; but there
 * may be many messages in it, the toy's BAR being two turns' work at most. */
static void hang_up(void)
{
	size_t n = FAKE_MESSAGES_MAX + 1 +
		2 * f.n_bytes / sizeof(struct vfu_header);

	fake_kernel_hang_up();
	while (n-- && vfu_server_connected(f.server))
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
	struct piece piece;

	if (!f.server)
		set_up();
	f.n_bytes = 0;
	must(!vfu_server_attach(f.server, fake_kernel_connect()));
	while (piece_next(&data, &size, &piece)) {
		send_piece(&piece);
		fake_kernel_full(piece.flags & PIECE_UNREAD);
		if (piece.flags & PIECE_KICK)
			fake_kernel_kick();
		if (!(piece.flags & PIECE_QUEUED))
			run();
		if (piece.flags & PIECE_TRUNCATE)
			fake_kernel_truncate();
	}
	hang_up();
	check_next_client();
	return 0;
}
