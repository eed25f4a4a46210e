# SPDX-License-Identifier: Apache-2.0
"""Two ports in one bridge: what is broadcast goes round for ever (T24).  There
is no limit to that, but it stays among those who share the loop's network:

    namespace a   tap --- network lan --- tap   namespace b

    namespace m   tap --- network storm ---+--- tap --+
                                           |        bridge    namespace l
                                           +--- tap --+

All of it is one worker's.
"""
import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from test_tap import (BACKPLANE, DEADLINE, Host, Lab, ip, pytestmark, transfer)

LAB = '''
name: loop
networks:
  lan: {{taps: [{a}, {b}]}}
  storm: {{taps: [{m}, {l}, {r}]}}
machines: {{idle: {{}}}}
'''

BROADCAST = '''
import socket, sys
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sock.bind((sys.argv[1], 0))
for i in range(20):
    sock.send(bytes.fromhex('ffffffffffff' '525400000001' '88b5') + bytes(50))
'''


class Bridged(Host):
    """The end with the loop: the tap and another one, in a bridge."""

    def __init__(self):
        super().__init__('l')
        self.other = self.tap[:-1] + 'r'

    def plug(self, **link):
        ip('-n', self.netns, 'link', 'add', 'br0', 'type', 'bridge')
        for tap in (self.tap, self.other):
            ip('link', 'set', tap, 'netns', self.netns)
            ip('-n', self.netns, 'link', 'set', tap, 'master', 'br0', 'up')
        ip('-n', self.netns, 'link', 'set', 'br0', 'up')


class LoopLab(Lab):
    """lan's two hosts, and those of the storm."""

    def __init__(self, folder, stack):
        self.folder = folder
        self.hosts = []
        for make in (lambda: Host('a'), lambda: Host('b'), lambda: Host('m'),
                     Bridged):
            self.hosts.append(make())
            stack.callback(self.hosts[-1].remove)
        self.a, self.b, self.m, self.l = self.hosts

    def floods(self):
        verdicts = self.get('/v1/networks/storm/verdicts')['verdicts']
        return next(v['frames'] for v in verdicts if v['verdict'] == 'flood')


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules['test_tap'].ADDRS, 'm',
                        ('10.79.0.1', 'fd79::1'))
    monkeypatch.setitem(sys.modules['test_tap'].ADDRS, 'l',
                        ('10.79.0.2', 'fd79::2'))
    with contextlib.ExitStack() as stack:
        lab = LoopLab(tmp_path, stack)
        file = tmp_path / 'lab.yaml'
        file.write_text(LAB.format(r=lab.l.other, **{
            host.name: host.tap for host in lab.hosts}))
        server = stack.enter_context(subprocess.Popen(
            [BACKPLANE, 'serve', str(file), '--run-dir', str(tmp_path),
             '--api', str(tmp_path / 'api')], stderr=subprocess.PIPE,
            text=True))
        stack.callback(server.kill)
        line = server.stderr.readline()
        assert 'serving' in line, line + server.stderr.read()
        for host in lab.hosts:
            host.plug()
        yield lab
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=DEADLINE)
        assert server.returncode == 0


def test_others_go_on(lab):
    lab.m.run(sys.executable, '-c', BROADCAST, lab.m.tap)
    start, before = time.monotonic(), lab.floods()
    time.sleep(0.5)
    # Nothing has been sent for a while, and it goes round.
    assert lab.floods() - before > 5000
    transfer(lab.a, lab.b, lab.b.ip4, 8 << 20, 1 << 20)
    transfer(lab.b, lab.a, lab.a.ip6, 8 << 20, 61000)
    for _ in range(20):
        asked = lab.floods()
        assert len(lab.get('/v1/ports')['ports']) == 5
        # Not much goes round until it answers: so many take half a second.
        assert lab.floods() - asked < 150000
    print(f'{(lab.floods() - before) / (time.monotonic() - start):.0f} '
          'frames/s go round')
    # It knows one address more, however often that moved.
    assert len(lab.get('/v1/networks/storm/macs')['macs']) < 20
    # Where the loop is cut it ends, and all is well.
    ip('-n', lab.l.netns, 'link', 'set', lab.l.other, 'down')
    end = time.monotonic() + DEADLINE
    while True:
        before = lab.floods()
        time.sleep(0.3)
        if lab.floods() - before < 100:
            break
        assert time.monotonic() < end, 'the storm does not end'
    ip('-n', lab.l.netns, 'addr', 'add', lab.l.ip4 + '/24', 'dev', 'br0')
    transfer(lab.m, lab.l, lab.l.ip4, 1 << 20, 1 << 20)
