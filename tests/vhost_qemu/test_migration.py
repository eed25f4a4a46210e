# SPDX-License-Identifier: Apache-2.0
"""Live migration of a QEMU guest between two ports of one server.

    guest 1 -- QEMU -- v1 --+
    guest 2 -- QEMU -- v2 --+ switch
       |  migrates          |
       +->  -- QEMU -- v3 --+
"""
import contextlib

import pytest

import tcp
from qemu import DEBIAN_QEMU, Qemu, Server, vhost_nic

ADDRESSES = '10.0.0.1', '10.0.0.2'


def different_pages(a, b):
    return [i for i in range(0, len(a), 4096)
            if a[i:i + 4096] != b[i:i + 4096]]


# Without mergeable buffers, nobody but the server writes to many of them.
@pytest.mark.parametrize('nic', [
    {'queues': 2, 'mq': True},
    {'packed': True, 'mrg_rxbuf': False},
    {'mrg_rxbuf': False, 'event_idx': False, 'guest_announce': False}],
    ids=['split', 'packed', 'no-announce'])
def test_under_traffic(tmp_path, nic):
    """TCP goes on, and every byte is right"""
    incoming = f'unix:{tmp_path}/migration'
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(
            ports=[f'vhost-user:DIR/v{n}' for n in (1, 2, 3)]))

        def start(number, port, extra=(), **properties):
            mac = f'52:54:00:00:00:{number:02x}'
            return stack.enter_context(Qemu(
                vhost_nic(server.path(f'v{port}'), mac=mac, **properties),
                program=DEBIAN_QEMU, extra=['-cpu', 'max', *extra],
                append=[f'backplane.net={mac}={ADDRESSES[number - 1]}/24']))

        a, b = start(1, 1), start(2, 2, **nic)
        # It stands still until it is told to go on.
        target = start(2, 3, ['-incoming', incoming, '-S'], **nic)
        for guest in a, b:
            guest.wait_agent()
        tcp.start(a, b, ADDRESSES)
        b.check('sleep 2')
        info = b.migrate(incoming)
        print(f'{info["total-time"]} ms, of them down {info["downtime"]} ms, '
              f'{info["ram"]["dirty-sync-count"]} rounds, '
              f'{info["ram"]["transferred"] >> 20} MiB')
        # What the server has written went along, to the last page.
        assert not different_pages(b.memory(), target.memory())
        b.kill()
        target.qmp().call('cont')
        target.wait_agent()
        target.check('sleep 2')
        tcp.finish(a, target)
        # Where it is now has been learnt.
        a.check(f'ping -c 5 -i 0.2 {ADDRESSES[1]}')
