# SPDX-License-Identifier: Apache-2.0
"""Live migration of a QEMU guest between two ports of one server.

    guest 1 -- QEMU -- s1 --+
    guest 2 -- QEMU -- s2 --+ switch
       |  migrates          |
       +->  -- QEMU -- s3 --+
"""
import pytest

from conftest import Guest, check_exchange, exchange_until_told

PORTS = ['vhost-user:DIR/s1', 'vhost-user:DIR/s2', 'vhost-user:DIR/s3']
NETDEV = 'vhost-user,path=DIR/s'


def different_pages(a, b):
    return [i for i in range(0, len(a), 4096)
            if a[i:i + 4096] != b[i:i + 4096]]


@pytest.mark.parametrize('device', [
    'virtio-net-pci,mq=on',
    'virtio-net-pci,packed=on,mrg_rxbuf=off',
    'virtio-net-pci,mrg_rxbuf=off,event_idx=off,guest_announce=off'],
    ids=['split', 'packed', 'no-announce'])
def test_under_traffic(lab, directory, device):
    """TCP goes on, and every byte is right"""
    server, (a, b) = lab(PORTS, NETDEV + '1', (NETDEV + '2,queues=2', device))
    incoming = f'unix:{directory}/migration'
    target = Guest(directory, 2, f'{NETDEV}3,queues=2'.replace(
        'DIR', str(directory)), device, incoming=incoming)
    try:
        exchange_until_told(a, b)
        b.check('sleep 2')
        info = b.migrate(incoming)
        assert info['status'] == 'completed', info
        print(f'{info["total-time"]} ms, of them down {info["downtime"]} ms, '
              f'{info["ram"]["dirty-sync-count"]} rounds, '
              f'{info["ram"]["transferred"] >> 20} MiB')
        # What the server has written went along, to the last page.  (Without
        # mergeable buffers, nobody else writes to many of them.)
        assert not different_pages(b.memory(), target.memory())
        b.close()
        target.cont()
        target.wait()
        target.check('sleep 2')
        check_exchange(a, target)
        # Where it is now has been learnt.
        a.check(f'ping -c 5 -i 0.2 {b.address}')
    finally:
        target.close()
    server.stop()
