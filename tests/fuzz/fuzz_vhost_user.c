/* SPDX-License-Identifier: Apache-2.0
 *
 * A vhost-user back-end fed with anything; the input is that of pieces.h.  Good
 * form: one of the requests there are, version and length.
 */
#include "base/log.h"
#include "pieces.h"
#include "vhost_user/vhost_user_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	struct worker *worker;
	struct vhost_user *vu;
	uint64_t now;		/* the worker's clock */
} f;

static unsigned int swallow(struct port_queue *queue,
			    struct frame_batch *batch)
{
	return batch->n;
}

static void run(void)
{
	worker_set_now(f.worker, f.now += 1000);
	worker_round(f.worker);
}

static void form(uint8_t *data, size_t len)
{
	struct vu_header h = {
		data[0] % 48, VU_VERSION | (data[1] & VU_NEED_REPLY),
		(uint32_t)(len - VU_HEADER_LEN),
	};

	if (len >= VU_HEADER_LEN)
		memcpy(data, &h, sizeof(h));
}

static struct pieces pieces = { .form = form, .run = run };

static void set_up(void)
{
	struct vhost_user_config config = {
		.name = "fuzz", .path = "/nowhere", .client = true,
		.n_pairs = 2,
	};
	struct port *port;

	log_level = LOG_ERR;
	f.worker = worker_create("fuzz", 0);
	config.worker = f.worker;
	pieces_init(&pieces);
	must(!vhost_user_create(&config, &port));
	f.vu = container_of(port, struct vhost_user, net.port);
	worker_cancel_timer(f.worker, &f.vu->retry);
	/* As if attached. */
	port->input = swallow;
	port->sw = &f;
}

static int connect_front_end(void)
{
	int pair[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			 0, pair));
	must(!vu_attach(f.vu, pair[1]));
	return pair[0];
}

static void disconnect_front_end(int fd)
{
	close(fd);
	for (int i = 0; i < 4 && f.vu->peer.fd >= 0; i++)
		run();
	/* Whoever was there before, nothing is left of it. */
	must(f.vu->peer.fd < 0 && !f.vu->n_regions && !f.vu->net.features);
	must(f.vu->log_fd < 0 && !dma_space_broken(f.vu->dma));
	for (unsigned int i = 0; i < VU_QUEUES_MAX; i++)
		must(f.vu->queues[i].kick.fd < 0 &&
		     f.vu->queues[i].call_fd < 0 &&
		     f.vu->queues[i].err_fd < 0);
	worker_cancel_timer(f.worker, &f.vu->retry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd;

	if (!f.vu)
		set_up();
	fd = connect_front_end();
	pieces_send(&pieces, fd, data, size);
	disconnect_front_end(fd);
	return 0;
}
