/* SPDX-License-Identifier: Apache-2.0
 *
 * A vfio-user server fed with anything; the input is that of pieces.h.  Good
 * form: the header's size.
 */
#include "../unit/vfio_user/toy.h"
#include "base/log.h"
#include "loop/worker.h"
#include "pieces.h"
#include "vfio_user/server_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	struct worker *worker;
	struct toy toy;
	struct vfu_server *server;
	uint64_t now;		/* the worker's clock */
} f;

/* A round that looks at the descriptors even if there is other work. */
static void run(void)
{
	worker_set_now(f.worker, f.now += WORKER_FD_INTERVAL_NS);
	worker_round(f.worker);
}

static void form(uint8_t *data, size_t len)
{
	uint32_t size = (uint32_t)len;

	if (len >= sizeof(struct vfu_header))
		memcpy(data + offsetof(struct vfu_header, size), &size,
		       sizeof(size));
}

static struct pieces pieces = { .form = form, .run = run };

static void set_up(void)
{
	struct vfu_server_config config = {
		.dev = &f.toy.pci, .listen_fd = -1,
	};

	log_level = LOG_ERR;
	f.worker = worker_create("fuzz", 0);
	worker_set_now(f.worker, f.now = 1);
	config.worker = f.worker;
	pieces_init(&pieces);
	must(!toy_init(&f.toy) && !vfu_server_create(&config, &f.server));
}

/* Whoever was there before, the next client is served. */
static void check_next_client(void)
{
	struct {
		struct vfu_header h;
		struct vfu_version v;
	} hello = { { 1, VFU_VERSION, sizeof(hello), 0, 0 }, { 0, 0 } };
	struct vfu_header h;
	int pair[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	must(!vfu_server_attach(f.server, pair[1]));
	must(send(pair[0], &hello, sizeof(hello), 0) == sizeof(hello));
	run();
	must(recv(pair[0], &h, sizeof(h), MSG_DONTWAIT) == sizeof(h));
	must(h.flags == VFU_TYPE_REPLY);
	close(pair[0]);
	run();
	must(!vfu_server_connected(f.server));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int pair[2];

	if (!f.server)
		set_up();
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	must(!vfu_server_attach(f.server, pair[1]));
	pieces_send(&pieces, pair[0], data, size);
	close(pair[0]);
	for (int i = 0; i < 4 && vfu_server_connected(f.server); i++)
		run();
	check_next_client();
	return 0;
}
