/* SPDX-License-Identifier: Apache-2.0
 *
 * What a register access costs: an e1000 in a process of its own, as in
 * `backplane serve`, and a client that does what Linux's driver does at an
 * interrupt.
 *
 *     build/bench/bench_regs [-c] [-n INTERRUPTS]
 *
 *  -c  both on one processor
 *
 * By messages alone, with an interrupt's registers in shared memory, and with
 * the rings' tails there too.  Times are those of the client, in microseconds;
 * switches are those of both threads, for each interrupt.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "base/time.h"
#include "loop/worker.h"
#include "nic/e1000/e1000.h"
#include "vfio_user/client_internal.h"
#include "vfio_user/server.h"

/* As cmd/serve.c has it. */
enum { POLL_NS = 50000, N_DEFAULT = 20000, PAUSE_US = 100 };

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench_regs: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* ---- the server's process ---- */

static unsigned int swallow(struct port_queue *queue,
			    struct frame_batch *batch)
{
	return batch->n;
}

static void serve(const char *path, bool one_cpu)
{
	struct nic_params params = { .name = "bench", .mac = { 2 } };
	struct vfu_server_config config = { .path = path };
	struct vfu_server *server;
	struct nic nic;

	/* One pinned to a processor is not alone, see base/sched.h. */
	params.worker = config.worker =
		worker_create("bench", one_cpu ? 0 : POLL_NS);
	check(params.worker, "worker");
	check(!e1000_model.create(&params, &nic), "e1000");
	/* As if attached to a switch: somebody looks at the ring. */
	nic.port->input = swallow;
	port_queue_start(&nic.port->queues[0]);
	config.dev = nic.pci;
	check(!vfu_server_create(&config, &server), path);
	check(!worker_start(config.worker), "thread");
	pause();
}

/* ---- the client ---- */

static struct vfu_client *client;

static uint32_t rd(uint32_t off)
{
	uint32_t val;

	check(!vfu_client_read(client, E1000_BAR_REGS, off, &val, 4), "read");
	return val;
}

static void wr(uint32_t off, uint32_t val)
{
	check(!vfu_client_write(client, E1000_BAR_REGS, off, &val, 4, true),
	      "write");
}

/* A handler of the driver, its poll and its end; a frame is received, and
 * another one sent, if there are any. */
static void interrupt(bool frames)
{
	(void)rd(E1000_AT_ICR);
	wr(E1000_AT_IMC, ~0u);
	(void)rd(E1000_AT_STATUS);
	if (frames) {
		wr(E1000_AT_TDT, 0);
		wr(E1000_AT_RDT, 0);
	}
	wr(E1000_AT_IMS, ICR_RXT0 | ICR_TXDW | ICR_LSC);
	(void)rd(E1000_AT_STATUS);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Voluntary context switches of @pid's thread @tid, /proc/PID/task. */
static uint64_t switches(pid_t pid)
{
	char line[256], command[96];
	uint64_t sum = 0, n;
	FILE *f;

	snprintf(command, sizeof(command), "cat /proc/%d/task/*/status", pid);
	f = popen(command, "r");
	check(f, command);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1)
			sum += n;
	pclose(f);
	return sum;
}

static void measure(const char *what, pid_t server, bool frames, unsigned int n,
		    bool idle)
{
	uint64_t *ns = calloc(n, sizeof(*ns));
	uint64_t before = switches(server) + switches(getpid()), sum = 0;

	check(ns, "memory");
	for (unsigned int i = 0; i < n; i++) {
		uint64_t begin;

		if (idle)
			usleep(PAUSE_US);
		begin = time_now_ns();
		interrupt(frames);
		ns[i] = time_now_ns() - begin;
		sum += ns[i];
	}
	qsort(ns, n, sizeof(*ns), compare);
	printf("  %-34s mean %7.2f  median %7.2f  99 %% %7.2f  switches %.2f\n",
	       what, (double)sum / n / 1e3, (double)ns[n / 2] / 1e3,
	       (double)ns[n - n / 100 - 1] / 1e3,
	       (double)(switches(server) + switches(getpid()) - before -
			(idle ? n : 0)) / n);
	free(ns);
}

static void set_up(const char *path)
{
	uint16_t bits = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	for (int i = 0; vfu_client_connect(path, &client); i++) {
		check(i < 1000, path);
		usleep(1000);
	}
	check(!vfu_client_write(client, VFIO_PCI_CONFIG_REGION_INDEX,
				PCI_COMMAND, &bits, 2, false), "config");
}

/* With the first @n_shared rows of the list. */
static void run(const char *path, pid_t server, const char *what,
		unsigned int n_shared, unsigned int n)
{
	set_up(path);
	client->n_shared_regs = min_of(client->n_shared_regs, n_shared);
	printf("%s\n", what);
	measure("interrupt, no frames", server, false, n, false);
	measure("interrupt, a frame in, one out", server, true, n, false);
	measure("the same after a pause", server, true, n / 10, true);
	vfu_client_close(client);
}

int main(int argc, char **argv)
{
	unsigned int n = N_DEFAULT;
	bool one_cpu = false;
	char dir[] = "/tmp/regs-XXXXXX", path[64];
	pid_t server;
	cpu_set_t cpu;
	int c;

	while ((c = getopt(argc, argv, "cn:")) != -1) {
		if (c == 'c')
			one_cpu = true;
		else if (c == 'n')
			n = (unsigned int)strtoul(optarg, NULL, 10);
	}
	check(n >= 100 && mkdtemp(dir), "usage: bench_regs [-c] [-n 100...]");
	snprintf(path, sizeof(path), "%s/s", dir);
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	if (one_cpu)
		check(!sched_setaffinity(0, sizeof(cpu), &cpu), "affinity");
	server = fork();
	check(server >= 0, "fork");
	if (!server)
		serve(path, one_cpu);
	for (int i = 0; access(path, F_OK) && i < 1000; i++)
		usleep(1000);
	run(path, server, "messages alone", 0, n);
	run(path, server, "an interrupt's registers shared",
	    E1000_SHARED_WRITE_RDT, n);
	run(path, server, "tails too", E1000_N_SHARED, n);
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	unlink(path);
	rmdir(dir);
	return EXIT_SUCCESS;
}
