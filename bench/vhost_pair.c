/* SPDX-License-Identifier: Apache-2.0
 *
 * The two machines of bench/vhost.py: DPDK virtio-user NICs, both driven by one
 * core, so that what is measured is the switch between them.
 *
 *   vhost_pair EAL-ARGUMENTS...     then a line on standard input for each run
 *   flood LEN SECONDS               machine 0 sends as fast as its ring takes
 *   rtt LEN GAP_US SECONDS          one frame there and back at a time
 *
 * LEN is what the ring carries: no FCS.  Each run answers with one line of
 * JSON.  Frames are numbered; one that arrives damaged, twice or out of order
 * is told apart from those that are counted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

enum {
	BURST = 32,
	RING = 256,
	/* A guest walks through its buffers; so few that they stay in the
	 * core's own cache would flatter every switch. */
	BUFFERS = 2047,
	SAMPLES_MAX = 4000000,
	ETH_TYPE_EXPERIMENT = 0x88b5,
};

/* What a frame begins with. */
struct head {
	struct rte_ether_hdr eth;
	uint16_t from;		/* machine */
	uint32_t serial;
};

static struct rte_mempool *tx_pool[2], *rx_pool;
static unsigned int frame_len;
static uint32_t next_tx[2], next_rx[2];	/* serial numbers */
static uint64_t n_sent, n_got, n_bad, n_late, n_full, n_bursts;

static void set_addresses(struct rte_ether_hdr *eth, unsigned int from)
{
	memset(eth, 0, sizeof(*eth));
	eth->dst_addr.addr_bytes[0] = eth->src_addr.addr_bytes[0] = 2;
	eth->src_addr.addr_bytes[5] = (uint8_t)(from + 1);
	eth->dst_addr.addr_bytes[5] = (uint8_t)(2 - from);
	eth->ether_type = rte_cpu_to_be_16(ETH_TYPE_EXPERIMENT);
}

/* Machine @from sends up to @n frames; how many. */
static unsigned int send_frames(unsigned int from, unsigned int n)
{
	struct rte_mbuf *bufs[BURST];
	unsigned int sent;

	if (rte_pktmbuf_alloc_bulk(tx_pool[from], bufs, n))
		return 0;
	for (unsigned int i = 0; i < n; i++) {
		struct head *head = rte_pktmbuf_mtod(bufs[i], struct head *);

		set_addresses(&head->eth, from);
		head->from = (uint16_t)from;
		head->serial = next_tx[from] + i;
		bufs[i]->data_len = (uint16_t)frame_len;
		bufs[i]->pkt_len = frame_len;
	}
	sent = rte_eth_tx_burst((uint16_t)from, 0, bufs, (uint16_t)n);
	next_tx[from] += sent;
	n_sent += sent;
	n_bursts++;
	if (sent < n) {
		n_full++;
		rte_pktmbuf_free_bulk(bufs + sent, n - sent);
	}
	return sent;
}

/* Take what has come for machine @at; how many were good. */
static unsigned int take_frames(unsigned int at)
{
	struct rte_mbuf *bufs[BURST];
	unsigned int n = rte_eth_rx_burst((uint16_t)at, 0, bufs, BURST);
	unsigned int good = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct head *head = rte_pktmbuf_mtod(bufs[i], struct head *);

		if (bufs[i]->pkt_len != frame_len || head->from != !at ||
		    head->eth.dst_addr.addr_bytes[5] != at + 1) {
			n_bad++;
			continue;
		}
		n_late += (int32_t)(head->serial - next_rx[at]) < 0;
		next_rx[at] = head->serial + 1;
		good++;
	}
	if (n)
		rte_pktmbuf_free_bulk(bufs, n);
	n_got += good;
	return good;
}

static double seconds_since(uint64_t start)
{
	return (double)(rte_get_tsc_cycles() - start) /
		(double)rte_get_tsc_hz();
}

/* Whatever is still on its way. */
static void drain(void)
{
	uint64_t start = rte_get_tsc_cycles();

	while (seconds_since(start) < 0.05) {
		take_frames(0);
		take_frames(1);
	}
}

/* The switch is to know both machines, and no old frame to come. */
static void begin(unsigned int len)
{
	frame_len = len;
	for (unsigned int from = 0; from < 2; from++)
		send_frames(from, 1);
	drain();
	n_sent = n_got = n_bad = n_late = n_full = n_bursts = 0;
	next_rx[0] = next_tx[1];
	next_rx[1] = next_tx[0];
}

static void flood(unsigned int len, double secs)
{
	uint64_t start, got;
	double took;

	begin(len);
	start = rte_get_tsc_cycles();
	while (seconds_since(start) < secs) {
		for (int i = 0; i < 32; i++) {
			send_frames(0, BURST);
			take_frames(1);
		}
	}
	took = seconds_since(start);
	got = n_got;
	drain();
	printf("{\"mpps\": %.4f, \"frames\": %" PRIu64 ", \"lost_pct\": %.4f, \"bad\": %" PRIu64
	       ", \"late\": %" PRIu64 ", \"ring_full_pct\": %.1f}\n",
	       (double)got / took / 1e6, n_got,
	       100.0 * (1.0 - (double)n_got / (double)n_sent), n_bad, n_late,
	       100.0 * (double)n_full / (double)n_bursts);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void rtt(unsigned int len, unsigned int gap_us, double secs)
{
	static uint32_t samples[SAMPLES_MAX];
	uint64_t hz = rte_get_tsc_hz(), start, sent;
	unsigned int n = 0, lost = 0;

	begin(len);
	start = rte_get_tsc_cycles();
	while (seconds_since(start) < secs && n < SAMPLES_MAX) {
		rte_delay_us_block(gap_us);
		sent = rte_get_tsc_cycles();
		while (!send_frames(0, 1))
			;
		while (!take_frames(1) && seconds_since(sent) < 1)
			;
		while (!send_frames(1, 1))
			;
		while (!take_frames(0) && seconds_since(sent) < 1)
			;
		if (seconds_since(sent) < 1)
			samples[n++] = (uint32_t)(rte_get_tsc_cycles() - sent);
		else
			lost++;
	}
	qsort(samples, n, sizeof(samples[0]), compare);
	printf("{\"p50_us\": %.3f, \"p99_us\": %.3f, \"samples\": %u, \"lost\": %u}\n",
	       n ? samples[n / 2] * 1e6 / (double)hz : 0.0,
	       n ? samples[n * 99ull / 100] * 1e6 / (double)hz : 0.0, n, lost);
}

static void start_port(uint16_t port)
{
	struct rte_eth_conf conf = { 0 };

	if (rte_eth_dev_configure(port, 1, 1, &conf) ||
	    rte_eth_rx_queue_setup(port, 0, RING, 0, NULL, rx_pool) ||
	    rte_eth_tx_queue_setup(port, 0, RING, 0, NULL) ||
	    rte_eth_dev_start(port))
		rte_exit(EXIT_FAILURE, "machine %u cannot be started\n", port);
}

static struct rte_mempool *make_pool(const char *name, unsigned int n)
{
	/* First in, first out: all of them are walked through. */
	struct rte_mempool *pool = rte_pktmbuf_pool_create_by_ops(
		name, n, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0, "ring_sp_sc");

	if (!pool)
		rte_exit(EXIT_FAILURE, "no memory for %s\n", name);
	return pool;
}

int main(int argc, char **argv)
{
	unsigned int len, gap;
	char line[128];
	double secs;

	if (rte_eal_init(argc, argv) < 0 || rte_eth_dev_count_avail() != 2)
		rte_exit(EXIT_FAILURE, "two NICs are needed\n");
	tx_pool[0] = make_pool("tx0", BUFFERS);
	tx_pool[1] = make_pool("tx1", BUFFERS);
	rx_pool = make_pool("rx", 2 * BUFFERS + 1);
	start_port(0);
	start_port(1);
	sleep(1);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "flood %u %lf", &len, &secs) == 2)
			flood(len, secs);
		else if (sscanf(line, "rtt %u %u %lf", &len, &gap, &secs) == 3)
			rtt(len, gap, secs);
		else
			puts("{}");
		fflush(stdout);
	}
	rte_eth_dev_stop(0);
	rte_eth_dev_stop(1);
	rte_eal_cleanup();
	return 0;
}
