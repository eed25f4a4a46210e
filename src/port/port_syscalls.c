/* SPDX-License-Identifier: Apache-2.0
 *
 * System calls of taps, streams and datagram sockets once they serve; what
 * opens them is done before.
 */
#include "port/port_syscalls.h"

#include <sys/syscall.h>

static const int port_nrs[] = {
	/* tap: frames from and to it */
	__NR_readv, __NR_writev,
	/* stream: peers come, talk and go; the socket's file at the end */
	__NR_accept4, __NR_recvfrom, __NR_sendmsg, __NR_close, __NR_unlink,
	/* dgram: frames from and to it */
	__NR_recvmmsg, __NR_sendmmsg,
	-1,
};

const struct syscall_list port_syscalls = { "port", port_nrs };
