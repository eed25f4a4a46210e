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


@pytest.fixture
def lab():
    """lab(nic, ...): a server with a port of sixteen queue pairs for each, and
    the guests on them, which run.  Each nic is what vhost_nic() is told."""
    with contextlib.ExitStack() as stack:
        def make(*nics):
            numbers = range(1, len(nics) + 1)
            server = stack.enter_context(Server(
                ports=[f'vhost-user:DIR/v{n}' for n in numbers]))
            guests = []
            for n, nic in zip(numbers, nics):
                mac = f'52:54:00:00:00:{n:02x}'
                guests.append(stack.enter_context(Qemu(
                    vhost_nic(server.path(f'v{n}'), mac=mac, **nic),
                    program=DEBIAN_QEMU, extra=['-cpu', 'max'],
                    append=[f'backplane.net={mac}=10.0.0.{n}/24,'
                            f'fd00::{n}/64'])))
            for guest in guests:
                guest.wait_agent()
            return server, guests
        yield make
