# SPDX-License-Identifier: Apache-2.0
"""Cards that come and go, at the VMM's API: by INTx, what is refused, resets
in between, a card whose server dies, one pulled in the middle of traffic."""
import time

from machine import Machine, request
from netserver import Peer, Server


def wait_for(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


def reboot(vm):
    """Comes back when the guest does."""
    start = len(vm.console)
    vm.start_exec('reboot', '-f')
    vm.agent.close()
    vm.agent = None
    vm.wait_console('Restarting system', start=start)
    vm.wait_agent()


class Cards:
    """The cards of a machine, through its API."""

    def __init__(self, vm, path):
        self.vm, self.path = vm, path

    def ids(self):
        status, reply = request(self.path, 'GET', '/v1/nics')
        assert status == 200
        return [nic['id'] for nic in reply['nics']]

    def plug(self, path, **more):
        return request(self.path, 'POST', '/v1/nics', {'path': path, **more})

    def unplug(self, name, **more):
        return request(self.path, 'DELETE', '/v1/nics/' + name, more)

    def seen(self):
        """Does the guest have a network interface for one?"""
        return self.vm.exec('test -e /sys/class/net/eth0')[0] == 0


def test_plug_without_msi_and_resets():
    with Server('a', 'b') as server, Peer(server):
        api = server.path('api')
        with Machine('--board', 'pcie', '--spare-ports', '1', '--api', api,
                     '--append', 'pcie_pme=nomsi') as vm:
            cards = Cards(vm, api)
            vm.wait_agent()
            assert cards.ids() == []
            status, reply = cards.plug('/nowhere')
            assert status == 502 and '/nowhere' in reply['error']
            assert cards.plug(server.path('a'), slot=2)[0] == 409
            assert cards.plug(server.path('a'), id='a')[0] == 200
            assert cards.plug(server.path('b'), id='a')[0] == 409
            assert cards.plug(server.path('b'), id='b')[0] == 409
            assert cards.unplug('b')[0] == 404
            wait_for(cards.seen, 'the card does not come')
            assert 'IO-APIC' in vm.check('grep pciehp /proc/interrupts')

            assert cards.unplug('a')[0] == 202
            wait_for(lambda: cards.ids() == [], 'the card is still listed')
            assert not cards.seen()

            # What is plugged in at a reset is there from the start; one that
            # was asked to go by then has gone.
            assert cards.plug(server.path('b'), id='b')[0] == 200
            reboot(vm)
            assert cards.seen() and cards.ids() == ['b']
            assert cards.unplug('b')[0] == 202
            reboot(vm)
            assert cards.ids() == [] and not cards.seen()
            vm.start_exec('poweroff', '-f')
            assert vm.wait() == 0


def test_pull_without_msi():
    """Pulled in mid-traffic: the guest goes on, the slot is free. A card must
    not share the interrupt of its port, in whose thread it is removed."""
    with Server('a') as server, Peer(server):
        api = server.path('api')
        with Machine('--board', 'pcie', '--spare-ports', '1', '--api', api,
                     '--append', 'pcie_pme=nomsi') as vm:
            cards = Cards(vm, api)
            vm.wait_agent()
            assert cards.plug(server.path('a'), id='a')[0] == 200
            wait_for(cards.seen, 'the card does not come')
            vm.check('ip addr add 10.1.0.1/24 dev eth0; ip link set eth0 up')
            vm.check('ping -c 1 -w 30 10.1.0.99; '
                     'ping -i 0.05 -s 1400 10.1.0.99 >/dev/null 2>&1 &')
            assert cards.unplug('a', pull=True)[0] == 202
            wait_for(lambda: not cards.seen(), 'the card does not go')
            wait_for(lambda: cards.ids() == [], 'the card is still listed')
            vm.start_exec('poweroff', '-f')
            assert vm.wait() == 0
