# SPDX-License-Identifier: Apache-2.0
"""One server with vhost-user ports, for front-ends in Python.

    a --- vhost-user:a,queues=4 ---+
    b --- vhost-user:b ------------+ switch
    c <-- vhost-user:c,client -----+
"""
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import pytest

import vhu
from vhu import Frontend

ROOT = pathlib.Path(__file__).resolve().parents[2]
BACKPLANE = os.environ.get('BACKPLANE', ROOT / 'build' / 'backplane')
N_QUEUES = 8            # of port a: 4 pairs
MAC_A, MAC_B = b'\x02\0\0\0\0\x0a', b'\x02\0\0\0\0\x0b'


class Server:
    def __init__(self, directory):
        self.dir = directory
        self.log_path = directory / 'log'
        self.process = None
        self.start()

    def start(self):
        """The first time, or after kill()"""
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                [BACKPLANE, 'serve',
                 '--port', f'vhost-user:{self.dir}/a,queues=4',
                 '--port', f'vhost-user:{self.dir}/b,server',
                 '--port', f'vhost-user:{self.dir}/c,client'],
                stdout=log, stderr=log)
        self.wait(lambda: 'serving' in self.log())
        self.n_fds = self.count_fds()

    def log(self):
        return self.log_path.read_text(errors='replace')

    def count_fds(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    def maps(self):
        with open(f'/proc/{self.process.pid}/maps', encoding='ascii') as f:
            return sum('memfd:guest' in line for line in f)

    def wait(self, condition, timeout=vhu.DEADLINE):
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, self.log()
            assert self.process.poll() is None, self.log()
            time.sleep(0.005)

    def check(self):
        """Serves on, and nothing has been left behind"""
        for name in 'ab':
            with Frontend(self.dir / name) as front:
                front.alive()
        self.wait(lambda: self.count_fds() == self.n_fds)
        self.wait(lambda: not self.maps())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(vhu.DEADLINE) == 0, self.log()
        assert 'Sanitizer' not in self.log(), self.log()
        assert 'runtime error' not in self.log(), self.log()
        assert not (self.dir / 'a').exists()


@pytest.fixture(scope='module')
def servers():
    """The server of a whole file of tests"""
    with tempfile.TemporaryDirectory() as d:
        made = Server(pathlib.Path(d))
        yield made
        if made.process.poll() is None:
            made.stop()
        made.process.kill()


@pytest.fixture
def server(servers):
    yield servers
    servers.check()


@pytest.fixture
def pair(server):
    """Front-ends at a and b, up to frames"""
    with Frontend(server.dir / 'a') as a, Frontend(server.dir / 'b') as b:
        yield a.start().offer(), b.start().offer()


def frame(dst, src, size=60, fill=b'x'):
    return (dst + src + b'\x88\xb5' + fill * size)[:size]


def disconnected(front):
    with pytest.raises(vhu.Disconnected):
        front.get64(vhu.GET_FEATURES)
    return True
