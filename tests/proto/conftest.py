# SPDX-License-Identifier: Apache-2.0
"""NIC servers, and what must be true of them after every test."""
import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

import e1000
import vfu

ROOT = Path(__file__).resolve().parents[2]
BACKPLANE = os.environ.get("BACKPLANE", str(ROOT / "build" / "backplane"))
N_PORTS = 3


def wait_for(condition, timeout=vfu.DEADLINE):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


class Server:
    """`backplane serve` with N_PORTS e1000s on one switch; the last has all the
    chip's capabilities."""

    def __init__(self, directory):
        self.paths = [str(directory / f"port{i}") for i in range(N_PORTS)]
        self.log_path = directory / "log"
        self.clients = []
        self.in_doubt = False  # a test is under way, or has failed
        args = [BACKPLANE, "serve"]
        for i, path in enumerate(self.paths):
            caps = "full" if i == N_PORTS - 1 else "qemu"
            args += ["--port", f"vfio-user:{path},model=e1000,caps={caps},"
                     f"mac=52:54:00:00:00:0{i}"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(args, stdout=log, stderr=log)
        assert wait_for(self.is_up), self.log()
        self.n_fds = self.count_fds()

    def is_up(self):
        assert self.process.poll() is None, self.log()
        return "serving" in self.log()

    @property
    def usable(self):
        """Has it passed every check so far?"""
        return self.process.poll() is None and not self.in_doubt

    def log(self):
        return self.log_path.read_text(errors="replace")

    def count_fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    @contextlib.contextmanager
    def stopped(self):
        """While this lasts no thread of it does anything."""
        def all_are():
            stats = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
            return all(stat.read_text().rpartition(")")[2].split()[0] == "T"
                       for stat in stats)

        self.process.send_signal(signal.SIGSTOP)
        try:
            assert wait_for(all_are)
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def client(self, port=0, **kwargs):
        """A client, closed after the test if not before; registers can be
        reached if it has negotiated."""
        client = vfu.VfuClient(self.paths[port], **kwargs)
        if kwargs.get("negotiate", True):
            client.write16(e1000.COMMAND, e1000.IO_AND_MEMORY)
        self.clients.append(client)
        return client

    def reconnect(self, port=0, **kwargs):
        """A client of a port whose last one has just gone."""
        result = []

        def connected():
            try:
                result.append(self.client(port, **kwargs))
            except (vfu.Disconnected, BrokenPipeError, ConnectionError):
                return False
            return True

        assert wait_for(connected), "the port takes no client any more"
        return result[0]

    def check(self):
        """It is alive, serves every port, and nothing has leaked."""
        assert self.process.poll() is None, self.log()
        for client in self.clients:
            client.close()
        self.clients.clear()
        for port in range(N_PORTS):
            with self.reconnect(port) as client:
                assert client.read32(0, vfu.CONFIG) == 0x100e8086
                client.read32(e1000.STATUS)
        assert wait_for(lambda: self.count_fds() == self.n_fds), \
            f"{self.n_fds} descriptors before, {self.count_fds()} now"

    def stop(self):
        """Ends as asked, cleans up, and no sanitizer has anything to say."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(vfu.DEADLINE) == 0, self.log()
        assert not any(os.path.exists(path) for path in self.paths)
        assert not re.search("Sanitizer|runtime error", self.log()), self.log()


    def kill(self):
        self.process.kill()
        self.process.wait()


def new_server(tmp_path_factory):
    if not os.access(BACKPLANE, os.X_OK):
        pytest.skip(f"{BACKPLANE} has not been built")
    return Server(tmp_path_factory.mktemp("serve"))


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """The server of a file's tests; another one after a test has failed."""
    current = []

    def get():
        if current and not current[0].usable:
            current.pop().kill()
        if not current:
            current.append(new_server(tmp_path_factory))
        return current[0]

    yield get
    for server in current:
        try:
            if server.usable:
                server.stop()
        finally:
            server.kill()


@pytest.fixture
def server(servers):
    """Checked after each test."""
    server = servers()
    server.in_doubt = True
    yield server
    server.check()
    server.in_doubt = False


@pytest.fixture
def own_server(tmp_path_factory):
    """A server for one test alone, whose log is this test's."""
    server = new_server(tmp_path_factory)
    try:
        yield server
        server.check()
        server.stop()
    finally:
        server.kill()


@pytest.fixture
def client(server):
    """A negotiated client of the first port."""
    return server.client()


@pytest.fixture
def refused():
    """A context in which the server must answer with this errno."""
    def check(errno):
        return pytest.raises(vfu.VfuError, match=re.escape(os.strerror(errno)))
    return check
