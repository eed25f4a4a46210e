# SPDX-License-Identifier: Apache-2.0
"""What the API says of whether somebody is at the other end of a port.

    stream:a, dgram:b (peer p), dgram:c (who sent last), dgram:fd=N,
    vhost-user:v, vfio-user:n --- one switch
"""
import contextlib
import json
import socket
import subprocess
import time

import pytest

import vfu
import vhu
from test_dgram import Peer as Datagrams
from test_stream import DEADLINE, Peer as Stream, frame, serving


class Server:
    def __init__(self, folder):
        self.folder = folder
        self.end, given = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.stack = contextlib.ExitStack()
        with given:
            self.stack.enter_context(serving(
                folder, '--api', 'api', '--port', 'stream:a,name=a',
                '--port', f'dgram:b,peer={folder}/p,name=b',
                '--port', 'dgram:c,name=c',
                '--port', f'dgram:fd={given.fileno()},name=d',
                '--port', 'vhost-user:v,name=v',
                '--port', 'vfio-user:n,name=n', pass_fds=[given.fileno()]))

    def connected(self):
        out = subprocess.check_output(
            ['curl', '-s', '--unix-socket', self.folder / 'api',
             'http://localhost/v1/ports'])
        return {p['name']: p.get('connected')
                for p in json.loads(out)['ports']}

    def wait(self, name, value):
        end = time.monotonic() + DEADLINE
        while self.connected()[name] is not value:
            assert time.monotonic() < end, (name, value)
            time.sleep(0.01)


@pytest.fixture
def server(tmp_path):
    s = Server(tmp_path)
    with s.stack, s.end:
        yield s


def test_nobody_is_there(server):
    assert server.connected() == {'a': False, 'b': True, 'c': False,
                                  'd': True, 'v': False, 'n': False}


def test_stream(server):
    peer = Stream(server.folder / 'a')
    server.wait('a', True)
    peer.close()
    server.wait('a', False)


def test_dgram(server):
    """Who is named is missed once it does not take what is sent to it."""
    peer = Datagrams(server.folder, 'q', 'c')
    peer.send(frame('*', 'c'))
    server.wait('c', True)
    server.wait('b', False)
    named = Datagrams(server.folder, 'p', 'b')
    peer.send(frame('*', 'c'))
    server.wait('b', True)
    server.end.close()
    peer.close()
    named.send(frame('*', 'b'))
    server.wait('c', False)
    server.wait('d', False)
    named.close()


def test_vhost_user(server):
    front = vhu.Frontend(str(server.folder / 'v'))
    server.wait('v', True)
    front.close()
    server.wait('v', False)


def test_vfio_user(server):
    client = vfu.VfuClient(str(server.folder / 'n'))
    server.wait('n', True)
    client.close()
    server.wait('n', False)
