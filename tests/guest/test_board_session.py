# SPDX-License-Identifier: Apache-2.0
"""NICs whose server goes away and comes back while the guest runs."""
import signal

import pytest

from machine import Machine, request
from netserver import Peer, Server

PING = 'ping -c 1 -w 30 10.1.0.99'
# Without IPv6, which joins groups seconds later: virtio's driver spins until a
# command has been answered, and a server that is stopped answers none.
SET_UP = ('echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; '
          'ip link set eth0 up; ip addr add 10.1.0.1/24 dev eth0; ' + PING)
BACK = 'its server is back'


def nic(api):
    status, reply = request(api, 'GET', '/v1/nics')
    assert status == 200
    return reply['nics'][0]


def wait_back(vm, start, text):
    """Comes back once the server has, how `text` says."""
    end = vm.wait_error(BACK, start=start)
    vm.wait_error('\n', start=end)
    line = vm.errors[end:].decode().split('\n')[0]
    assert line.startswith(text) if text else line == '', line
    return end


@pytest.mark.parametrize('model, board', [('virtio-net', 'pcie'),
                                          ('e1000', 'pc')])
def test_a_server_comes_back(model, board):
    with Server('a', model=model) as server:
        api = server.path('api')
        with Machine('--board', board, '--api', api, *server.nic('a')) as vm:
            vm.wait_agent()
            with Peer(server):
                vm.check(SET_UP)

                # It answers nothing for so long that it is given up, but
                # lives: the card goes on where it was.
                server.process.send_signal(signal.SIGSTOP)
                vm.exec(PING.replace('30', '1'))
                vm.exec('lspci -xxx >/dev/null')
                end = vm.wait_error('has gone')
                assert nic(api)['gone']
                server.process.send_signal(signal.SIGCONT)
                end = wait_back(vm, end, '')
                # What the driver wrote meanwhile has been made up for.
                if model == 'e1000':
                    assert nic(api)['late_writes'] > 0
                vm.check(PING)
                assert 'Hang' not in vm.check('dmesg')

            # It dies: the guest lives on, with a card that reads as ones.
            server.crash()
            end = vm.wait_error('has gone', start=end)
            vm.check('true')
            vm.exec('lspci -xxx >/dev/null')
            assert nic(api)['gone'] and nic(api)['lost_accesses'] > 0
            server.start()
            with Peer(server):
                if board == 'pcie':
                    # A new card, as far as the guest is concerned.
                    wait_back(vm, end, ', a new one: the card has been '
                              'plugged in anew')
                    vm.check('while ip addr show dev eth0 | grep -q 10.1; do '
                             'sleep 0.5; done; '
                             'while ! [ -e /sys/class/net/eth0 ]; do '
                             'sleep 0.5; done')
                    vm.check(SET_UP)
                else:
                    wait_back(vm, end, ', a new one: the card is as after '
                              'power-on')
                    vm.check('ip link set eth0 down; ip link set eth0 up; '
                             + PING)
            assert not nic(api)['gone'] and nic(api)['reconnects'] == 2
            assert 'Oops' not in vm.check('dmesg')
            vm.start_exec('poweroff', '-f')
            assert vm.wait() == 0
