/* SPDX-License-Identifier: Apache-2.0
 *
 * Data that two hosts can compare byte for byte, for test_pairs.py: it runs in
 * guests and in namespaces of this host.
 *
 *	xfer serve PORT
 *	xfer talk ADDRESS PORT SEED BYTES DATAGRAMS LONGEST
 *	xfer dhcp-send DEVICE
 *	xfer dhcp-check DEVICE
 *
 * `talk` has BYTES over TCP both ways at once and DATAGRAMS of up to LONGEST
 * bytes over UDP, which `serve` sends back; both check what they get.  Each
 * byte depends on where it is, so none can be lost, moved or repeated unseen.
 * `dhcp-send` has the kernel send to the ports of DHCP clients, as a server or
 * relay does; `dhcp-check` is such a client: with a raw socket, and believing
 * in checksums.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
	CHUNK = 64 << 10,	/* written and read at most */
	BURST = 8,		/* datagrams on their way */
	SEGMENT_MAX = 1200,	/* payload of one cut out by UDP_SEGMENT */
	PATIENCE_MS = 20000,	/* no progress for this long: given up */
	RESEND_MS = 1000,	/* a datagram that did not come back */
	DHCP_CLIENT4 = 68, DHCP_SERVER4 = 67,
	DHCP_CLIENT6 = 546, DHCP_SERVER6 = 547,
	DHCP_LEN = 301,
};

/* What a TCP client says first. */
struct hello {
	uint64_t seed;
	uint64_t bytes;		/* each way */
};

/* What each datagram begins with. */
struct mark {
	uint32_t number;
	uint32_t len;		/* of the datagram */
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "xfer: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Sebastiano Vigna's splitmix64: as random as a test needs. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/* The bytes from @off on of the stream that @seed stands for. */
static void fill(uint8_t *buf, uint64_t seed, uint64_t off, size_t len)
{
	while (len) {
		uint64_t word = mix(seed ^ mix(off / 8));
		size_t skip = off % 8, n = 8 - skip < len ? 8 - skip : len;

		memcpy(buf, (uint8_t *)&word + skip, n);
		buf += n;
		off += n;
		len -= n;
	}
}

static void check(const char *what, const uint8_t *got, uint64_t seed,
		  uint64_t off, size_t len)
{
	static uint8_t want[CHUNK];

	fill(want, seed, off, len);
	if (!memcmp(got, want, len))
		return;
	for (size_t i = 0; i < len; i++)
		if (got[i] != want[i]) {
			fprintf(stderr, "xfer: %s: byte %llu is %02x, not %02x\n",
				what, (unsigned long long)(off + i), got[i],
				want[i]);
			break;
		}
	exit(1);
}

/* Writes of all sizes, most of them large. */
static size_t chunk_len(uint64_t random)
{
	static const size_t longest[8] = { 100, 3000, 3000, CHUNK, CHUNK, CHUNK,
					   CHUNK, CHUNK };

	return random / 8 % longest[random % 8] + 1;
}

/* ---- TCP ---- */

static uint64_t send_some(int sock, uint64_t seed, uint64_t done,
			  uint64_t bytes)
{
	static uint8_t buf[CHUNK];
	size_t len = chunk_len(mix(done));
	ssize_t n;

	if (len > bytes - done)
		len = (size_t)(bytes - done);
	fill(buf, seed, done, len);
	n = send(sock, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		die("send");
	if (n > 0 && done + (uint64_t)n == bytes)
		shutdown(sock, SHUT_WR);
	return n > 0 ? (uint64_t)n : 0;
}

/* Send one stream and receive another, of the same length. */
static void exchange(int sock, uint64_t out_seed, uint64_t in_seed,
		     uint64_t bytes)
{
	static uint8_t buf[CHUNK];
	uint64_t sent = 0, got = 0;
	bool open = true;

	while (open || sent < bytes) {
		struct pollfd poll_fd = { sock, 0, 0 };
		ssize_t n;

		poll_fd.events = (short)((open ? POLLIN : 0) |
					 (sent < bytes ? POLLOUT : 0));
		if (poll(&poll_fd, 1, PATIENCE_MS) != 1) {
			fprintf(stderr, "xfer: stuck at %llu sent, %llu got\n",
				(unsigned long long)sent,
				(unsigned long long)got);
			exit(1);
		}
		if (poll_fd.revents & POLLOUT)
			sent += send_some(sock, out_seed, sent, bytes);
		if (!(poll_fd.revents & ~POLLOUT))
			continue;
		n = recv(sock, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			die("receive");
		if (n > 0) {
			check("TCP", buf, in_seed, got, (size_t)n);
			got += (uint64_t)n;
		}
		open = n != 0;
	}
	if (got != bytes) {
		fprintf(stderr, "xfer: TCP ended after %llu bytes\n",
			(unsigned long long)got);
		exit(1);
	}
}

static void talk_tcp(const struct sockaddr_in6 *to, uint64_t seed,
		     uint64_t bytes)
{
	struct hello hello = { seed, bytes };
	int one = 1, sock = socket(AF_INET6, SOCK_STREAM, 0);

	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(sock, (const struct sockaddr *)to, sizeof(*to)) < 0)
		die("connect");
	if (send(sock, &hello, sizeof(hello), 0) != sizeof(hello))
		die("send");
	exchange(sock, seed, ~seed, bytes);
	close(sock);
}

static void serve_tcp(int listener)
{
	struct hello hello;
	int sock = accept(listener, NULL, NULL);

	if (sock < 0)
		return;
	if (!fork()) {
		if (recv(sock, &hello, sizeof(hello), MSG_WAITALL) !=
		    sizeof(hello))
			die("hello");
		exchange(sock, ~hello.seed, hello.seed, hello.bytes);
		exit(0);
	}
	close(sock);
}

/* ---- UDP ---- */

static void make_datagram(uint8_t *buf, uint64_t seed, struct mark mark)
{
	fill(buf, seed + mark.number, 0, mark.len);
	memcpy(buf, &mark, sizeof(mark));
}

/* Several datagrams of one length by one call; false: not on this route. */
static bool send_large(int sock, const uint8_t *buf, size_t len,
		       uint16_t segment)
{
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(sizeof(segment))];
	} control = { .head = { .cmsg_level = IPPROTO_UDP,
				.cmsg_type = UDP_SEGMENT,
				.cmsg_len = CMSG_LEN(sizeof(segment)) } };
	struct iovec iov = { (void *)buf, len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.head), &segment, sizeof(segment));
	if (sendmsg(sock, &msg, 0) >= 0)
		return true;
	/* What kernels before 6.11 say where the device sums nothing up. */
	if (errno != EIO)
		die("send UDP segments");
	return false;
}

struct burst {
	uint8_t data[BURST][CHUNK];
	struct mark marks[BURST];
	bool back[BURST];	/* have come back */
	unsigned int n;
	unsigned int n_back;
};

/* What has come back; has anything? */
static bool await_echo(int sock, struct burst *burst)
{
	static uint8_t buf[CHUNK];
	struct pollfd poll_fd = { sock, POLLIN, 0 };
	struct mark mark;
	unsigned int i;
	ssize_t n;

	if (poll(&poll_fd, 1, RESEND_MS) != 1)
		return false;
	n = recv(sock, buf, sizeof(buf), 0);
	if (n < (ssize_t)sizeof(mark))
		die("echo");
	memcpy(&mark, buf, sizeof(mark));
	i = mark.number - burst->marks[0].number;
	/* One of an earlier burst, sent twice. */
	if (i >= burst->n)
		return true;
	if ((size_t)n != burst->marks[i].len ||
	    memcmp(buf, burst->data[i], (size_t)n)) {
		fprintf(stderr, "xfer: datagram %u of %zd bytes is not as sent\n",
			mark.number, n);
		exit(1);
	}
	burst->n_back += !burst->back[i];
	burst->back[i] = true;
	return true;
}

/* Send those that have not come back; returns their number. */
static unsigned int send_missing(int sock, const struct burst *burst)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < burst->n; i++) {
		if (burst->back[i])
			continue;
		if (send(sock, burst->data[i], burst->marks[i].len, 0) < 0)
			die("send UDP");
		n++;
	}
	return n;
}

/* Until the burst, which has been sent, is back.  Returns what was sent
 * again. */
static unsigned int await_burst(int sock, struct burst *burst)
{
	unsigned int resent = 0;

	for (int waited = 0;; waited += RESEND_MS) {
		while (burst->n_back < burst->n && await_echo(sock, burst))
			;
		if (burst->n_back == burst->n)
			return resent;
		if (waited >= PATIENCE_MS) {
			fprintf(stderr, "xfer: datagram %u does not come back\n",
				burst->marks[0].number);
			exit(1);
		}
		resent += send_missing(sock, burst);
	}
}

/* Datagrams of all lengths; with @segment, all but the last one that long. */
static void make_burst(struct burst *burst, uint64_t seed, uint32_t first,
		       unsigned int n, uint32_t longest, uint32_t segment)
{
	memset(burst->back, 0, sizeof(burst->back));
	burst->n = n;
	burst->n_back = 0;
	for (unsigned int i = 0; i < n; i++) {
		uint64_t random = mix(seed ^ (first + i));
		uint32_t least = sizeof(struct mark), len;

		len = segment && i + 1 < n ? segment :
			least + (uint32_t)(random % ((segment ? segment :
						      longest) - least + 1));
		burst->marks[i] = (struct mark){ first + i, len };
		make_datagram(burst->data[i], seed, burst->marks[i]);
	}
}

static void talk_udp(const struct sockaddr_in6 *to, uint64_t seed,
		     unsigned int n, uint32_t longest)
{
	static struct burst burst;
	static uint8_t large[BURST * SEGMENT_MAX];
	unsigned int resent = 0, n_large = 0, count;
	int sock = socket(AF_INET6, SOCK_DGRAM, 0);

	if (connect(sock, (const struct sockaddr *)to, sizeof(*to)) < 0)
		die("connect UDP");
	for (uint32_t first = 0; first < n; first += count) {
		uint32_t segment = first / BURST % 2 ?
			100 + (uint32_t)(mix(first) % (SEGMENT_MAX - 99)) : 0;
		size_t len = 0;

		count = n - first < BURST ? n - first : BURST;
		make_burst(&burst, seed, first, count, longest, segment);
		for (unsigned int i = 0; segment && i < count; i++) {
			memcpy(large + len, burst.data[i], burst.marks[i].len);
			len += burst.marks[i].len;
		}
		if (segment && send_large(sock, large, len, (uint16_t)segment))
			n_large++;
		else
			send_missing(sock, &burst);
		resent += await_burst(sock, &burst);
	}
	printf("%u datagrams, %u large ones, %u sent again\n", n, n_large,
	       resent);
	close(sock);
}

static void serve_udp(int sock)
{
	static uint8_t buf[CHUNK];
	struct sockaddr_in6 from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(sock, buf, sizeof(buf), 0,
			     (struct sockaddr *)&from, &from_len);

	if (n >= 0 && sendto(sock, buf, (size_t)n, 0,
			     (struct sockaddr *)&from, from_len) < 0)
		perror("xfer: echo");
}

/* ---- both ---- */

static int bound(int type, uint16_t port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6,
				    .sin6_port = htons(port) };
	int one = 1, sock = socket(AF_INET6, type, 0);

	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(sock, (struct sockaddr *)&any, sizeof(any)) < 0)
		die("bind");
	return sock;
}

static _Noreturn void serve(uint16_t port)
{
	int udp = bound(SOCK_DGRAM, port), tcp = bound(SOCK_STREAM, port);
	struct pollfd fds[] = { { udp, POLLIN, 0 }, { tcp, POLLIN, 0 } };

	signal(SIGCHLD, SIG_IGN);
	if (listen(tcp, 16) < 0)
		die("listen");
	for (;;) {
		poll(fds, 2, -1);
		if (fds[0].revents)
			serve_udp(udp);
		if (fds[1].revents)
			serve_tcp(tcp);
	}
}

static void talk(char **argv)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
			.sin6_port = htons((uint16_t)atoi(argv[1])) };
	uint64_t seed = mix(strtoull(argv[2], NULL, 0));
	char text[64];

	/* IPv4 by an IPv6 socket: RFC 4291, 2.5.5.2. */
	snprintf(text, sizeof(text), strchr(argv[0], ':') ? "%s" : "::ffff:%s",
		 argv[0]);
	if (inet_pton(AF_INET6, text, &to.sin6_addr) != 1)
		die(argv[0]);
	talk_tcp(&to, seed, strtoull(argv[3], NULL, 0));
	talk_udp(&to, seed, (unsigned int)atoi(argv[4]),
		 (uint32_t)atoi(argv[5]));
}

/* ---- DHCP ---- */

static void dhcp_send(const char *device)
{
	struct sockaddr_in to4 = { .sin_family = AF_INET,
			.sin_port = htons(DHCP_CLIENT4),
			.sin_addr.s_addr = INADDR_BROADCAST };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6,
			.sin6_port = htons(DHCP_CLIENT6),
			.sin6_scope_id = if_nametoindex(device) };
	struct sockaddr_in from4 = { .sin_family = AF_INET,
				     .sin_port = htons(DHCP_SERVER4) };
	int one = 1, sock = socket(AF_INET, SOCK_DGRAM, 0);
	int sock6 = bound(SOCK_DGRAM, DHCP_SERVER6);
	uint8_t data[DHCP_LEN];

	fill(data, 0, 0, sizeof(data));
	inet_pton(AF_INET6, "ff02::1", &to6.sin6_addr);
	setsockopt(sock, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (setsockopt(sock, SOL_SOCKET, SO_BINDTODEVICE, device,
		       (socklen_t)strlen(device) + 1) < 0 ||
	    bind(sock, (struct sockaddr *)&from4, sizeof(from4)) < 0)
		die("bind");
	if (sendto(sock, data, sizeof(data), 0, (struct sockaddr *)&to4,
		   sizeof(to4)) < 0 ||
	    sendto(sock6, data, sizeof(data), 0, (struct sockaddr *)&to6,
		   sizeof(to6)) < 0)
		die("send");
}

static uint32_t sum(const void *data, size_t len, uint32_t total)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		total += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return total;
}

/* Is this one for a DHCP client?  0: no, 4, 6: yes, in that version of IP. */
static int dhcp_find(const uint8_t *frame, size_t len, size_t *l4)
{
	uint16_t type, port;
	int version;

	memcpy(&type, frame + 12, sizeof(type));
	if (ntohs(type) == ETHERTYPE_IP && len > ETH_HLEN + 28 &&
	    frame[ETH_HLEN] == 0x45 && frame[ETH_HLEN + 9] == IPPROTO_UDP)
		version = 4;
	else if (ntohs(type) == ETHERTYPE_IPV6 && len > ETH_HLEN + 48 &&
		 frame[ETH_HLEN + 6] == IPPROTO_UDP)
		version = 6;
	else
		return 0;
	*l4 = ETH_HLEN + (version == 4 ? 20 : 40);
	memcpy(&port, frame + *l4 + 2, sizeof(port));
	return ntohs(port) == (version == 4 ? DHCP_CLIENT4 : DHCP_CLIENT6) ?
		version : 0;
}

/* Both checksums of a datagram, RFC 768 and 8200, 8.1. */
static void dhcp_verify(const uint8_t *frame, int version, size_t l4)
{
	const size_t len = sizeof(struct udphdr) + DHCP_LEN;
	size_t addresses = version == 4 ? 8 : 32;
	uint32_t total = sum(frame + l4 - addresses, addresses,
			     IPPROTO_UDP + (uint32_t)len);

	for (total = sum(frame + l4, len, total); total >> 16;)
		total = (total & 0xffff) + (total >> 16);
	if (total != 0xffff) {
		fprintf(stderr, "xfer: DHCP over IPv%d: the sum is %04x\n",
			version, total);
		exit(1);
	}
}

static void dhcp_check(const char *device)
{
	struct sockaddr_ll where = { .sll_family = AF_PACKET,
			.sll_protocol = htons(ETH_P_ALL),
			.sll_ifindex = (int)if_nametoindex(device) };
	int sock = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	struct pollfd poll_fd = { sock, POLLIN, 0 };
	int seen = 0;

	if (bind(sock, (struct sockaddr *)&where, sizeof(where)) < 0)
		die("bind");
	puts("ready");
	fflush(stdout);
	while (seen != (4 | 6)) {
		uint8_t frame[2048];
		size_t l4;
		ssize_t n;
		int version;

		if (poll(&poll_fd, 1, PATIENCE_MS) != 1) {
			fputs("xfer: no DHCP comes\n", stderr);
			exit(1);
		}
		n = recv(sock, frame, sizeof(frame), 0);
		if (n < ETH_HLEN)
			continue;
		version = dhcp_find(frame, (size_t)n, &l4);
		if (version && (size_t)n >= l4 + 8 + DHCP_LEN) {
			dhcp_verify(frame, version, l4);
			seen |= version;
		}
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve")) {
		serve((uint16_t)atoi(argv[2]));
	} else if (argc == 8 && !strcmp(argv[1], "talk")) {
		talk(argv + 2);
	} else if (argc == 3 && !strcmp(argv[1], "dhcp-send")) {
		dhcp_send(argv[2]);
	} else if (argc == 3 && !strcmp(argv[1], "dhcp-check")) {
		dhcp_check(argv[2]);
	} else {
		fputs("xfer: see xfer.c\n", stderr);
		return 2;
	}
	return 0;
}
