# SPDX-License-Identifier: Apache-2.0
import contextlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
from qemu import (DEBIAN_QEMU, Qemu, Server, vhost_nic,  # noqa: E402
                  why_no_debian_qemu)


@pytest.fixture(scope='session', autouse=True)
def qemu_is_there():
    reason = why_no_debian_qemu()
    if reason:
        pytest.skip(reason)


def boot(server, n, nic, listens=False, program=DEBIAN_QEMU):
    """The n-th guest, on its port of a lab's server; `listens`: it is QEMU's
    socket"""
    mac = f'52:54:00:00:00:{n:02x}'
    return Qemu(vhost_nic(server.path(f'v{n}'), mac=mac, server=listens,
                          newer=program != DEBIAN_QEMU, **nic),
                program=program, extra=['-cpu', 'max'],
                append=[f'backplane.net={mac}=10.0.0.{n}/24,fd00::{n}/64'])


@pytest.fixture
def lab():
    """lab(nic, ...): a server with a port of sixteen queue pairs for each, and
    the guests on them, which run.  Each nic is what vhost_nic() is told.  The
    ports of two guests are on different workers, if there are two.  Sockets are
    the server's, or, with `client`, QEMU's."""
    with contextlib.ExitStack() as stack:
        def make(*nics, workers=1, client=False, program=DEBIAN_QEMU):
            numbers = range(1, len(nics) + 1)
            how = ',client' if client else ''
            server = stack.enter_context(Server(
                ports=[f'vhost-user:DIR/v{n}{how}' for n in numbers],
                extra=['--workers', str(workers)]))
            found = [port['worker'] for port in
                     server.api('GET', '/v1/ports')['ports']]
            assert workers == 1 or found[1] != found[2], found
            guests = [stack.enter_context(boot(server, n, nic, client,
                                               program))
                      for n, nic in zip(numbers, nics)]
            for guest in guests:
                guest.wait_agent()
            return server, guests
        yield make
