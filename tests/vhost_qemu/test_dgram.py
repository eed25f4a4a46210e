# SPDX-License-Identifier: Apache-2.0
"""QEMU's own e1000 on a datagram port, beside a vhost-user guest.

    guest 1 -- QEMU -- vhost-user -----------+
    guest 2 -- QEMU, e1000 -- -netdev dgram --+ switch
"""
import contextlib

import pytest
from qemu import DEBIAN_QEMU, Qemu, Server, dgram_nic, vhost_nic
from test_vhost_user_guests import exchange


@pytest.mark.parametrize('peer', ['named', 'who-sent-last'])
def test_two_guests(peer):
    named = ',peer=DIR/guest' if peer == 'named' else ''
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(
            ports=['vhost-user:DIR/v', f'dgram:DIR/d{named}']))
        cards = [vhost_nic(server.path('v'), mac='52:54:00:00:00:01'),
                 dgram_nic(server.path('d'), server.path('guest'), 'e1000',
                           mac='52:54:00:00:00:02')]
        guests = [stack.enter_context(Qemu(
            card, program=DEBIAN_QEMU, extra=['-cpu', 'max'],
            append=[f'backplane.net=52:54:00:00:00:{n:02x}=10.0.0.{n}/24,'
                    f'fd00::{n}/64']))
                  for n, card in enumerate(cards, 1)]
        for guest in guests:
            guest.wait_agent()
        if peer == 'who-sent-last':
            # Until it has, nothing can reach it.
            guests[1].check('ping -c 1 -w 5 10.0.0.1')
        print(exchange(guests, 2))
