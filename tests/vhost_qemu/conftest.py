# SPDX-License-Identifier: Apache-2.0
"""Debian guests in QEMU (TCG: no KVM is needed), whose NICs are ports of one
`backplane serve`."""
import mmap
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TREE / 'tests' / 'guest'), str(TREE / 'tests' / 'qemu')]
# pylint: disable=wrong-import-position
from machine import Agent  # noqa: E402
from qemu import Qmp  # noqa: E402

BUILD = pathlib.Path(os.environ.get('BACKPLANE_BUILD', TREE / 'build'))
PROGRAM = os.environ.get('BACKPLANE', str(BUILD / 'backplane'))
GUEST = pathlib.Path(os.environ.get('BACKPLANE_GUEST_DIR', BUILD / 'guest'))
QEMU = shutil.which('qemu-system-x86_64')
BOOT_SECONDS = 90


class Server:
    """`backplane serve` with the given ports; DIR in them is its directory."""

    def __init__(self, directory, *ports):
        self.dir = pathlib.Path(directory)
        self.log_path = self.dir / 'serve.log'
        args = [PROGRAM, 'serve', '--api', str(self.dir / 'api')]
        for port in ports:
            args += ['--port', port.replace('DIR', str(directory))]
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(args, stdout=log, stderr=log)
        end = time.monotonic() + 10
        while 'serving' not in self.log():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < end
            time.sleep(0.01)

    def log(self):
        return self.log_path.read_text(errors='replace')

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(10)
        assert status == 0 and not re.search(
            'Sanitizer|runtime error', self.log()), self.log()


class Guest:
    """One QEMU with one NIC; netdev is what comes after -netdev, device what
    comes after -device but for netdev= and mac=.

    With `incoming`, a URI, it is the destination of a migration of the guest
    of this number, which stands still there until cont().
    """

    def __init__(self, directory, number, netdev, device='virtio-net-pci',
                 n_cpus=1, incoming=None):
        self.number = number
        self.address = f'10.0.0.{number}'
        name = f'{number}{"-incoming" if incoming else ""}'
        self.console_path = directory / f'console{name}'
        agent_path = directory / f'agent{name}'
        self.qmp_path = directory / f'qmp{name}'
        mac = f'52:54:00:00:00:{number:02x}'
        chardev = []
        if netdev.startswith('vhost-user,'):
            path = netdev.split('path=')[1].split(',')[0]
            netdev = 'vhost-user,chardev=c' + netdev.split(path)[1]
            chardev = ['-chardev', f'socket,id=c,path={path}']
            if ',server' in netdev:
                netdev = netdev.replace(',server', '')
                chardev[1] += ',server=on,wait=off'
            else:
                chardev[1] += ',reconnect=1'
        self.process = subprocess.Popen(
            [QEMU, '-nodefaults', '-machine', 'q35,memory-backend=m',
             '-accel', 'tcg,thread=multi', '-cpu', 'max',
             '-smp', str(n_cpus), '-m', '256', '-display', 'none',
             '-object', 'memory-backend-memfd,id=m,size=256M,share=on',
             '-kernel', GUEST / 'vmlinuz', '-initrd', GUEST / 'initrd',
             '-append', 'console=ttyS0 quiet panic=-1 '
             f'backplane.net={mac}={self.address}/24,fd00::{number}/64',
             '-no-reboot', '-qmp', f'unix:{self.qmp_path},server=on,wait=off',
             *(['-incoming', incoming, '-S'] if incoming else []),
             '-serial', f'file:{self.console_path}',
             '-serial', f'unix:{agent_path},server=on,wait=off',
             *chardev, '-netdev', netdev + ',id=n',
             # Debian 12's QEMU 7.2 crashes with MSI-X, vhost-user and TCG: the
             # fix of CVE-2024-4693 touches vectors that only KVM has.
             '-device', f'{device},netdev=n,mac={mac},vectors=0'])
        end = time.monotonic() + 10
        while not agent_path.exists():
            assert self.process.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        self.agent = Agent(str(agent_path))

    def wait(self):
        try:
            self.agent.wait_ready(BOOT_SECONDS)
        except (OSError, EOFError) as e:
            raise EOFError(f'guest {self.number} has gone: '
                           f'{self.process.wait()}: ' +
                           self.console_path.read_text()) from e

    def check(self, command, seconds=60):
        """The output of a shell command that has to succeed"""
        status, out, err = self.agent.exec(('sh', '-c', command), seconds)
        assert status == 0, f'{command}: status {status}: {out}{err}'
        return out

    def start(self, command):
        """Start a shell command; its output is not waited for"""
        self.check(f'({command}) </dev/null >/dev/null 2>&1 &')

    def migrate(self, uri, seconds=120):
        """The guest moves to whoever listens at uri; what QEMU says of it"""
        qmp = Qmp(str(self.qmp_path))
        qmp.call('migrate', uri=uri)
        end = time.monotonic() + seconds
        while True:
            info = qmp.call('query-migrate')
            if info['status'] in ('completed', 'failed', 'cancelled'):
                return info
            assert time.monotonic() < end, info
            time.sleep(0.1)

    def cont(self):
        Qmp(str(self.qmp_path)).call('cont')

    def memory(self):
        """The guest's memory, to be read"""
        fds = pathlib.Path(f'/proc/{self.process.pid}/fd')
        path = next(fd for fd in fds.iterdir()
                    if 'memfd:memory-backend-memfd' in os.readlink(fd))
        with open(path, 'rb') as f:
            return mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)

    def close(self):
        self.agent.close()
        self.process.kill()
        self.process.wait()


def exchange_until_told(a, b):
    """Half a MiB again and again, both ways by TCP, until check_exchange()"""
    for guest in a, b:
        guest.check('head -c 512k /dev/urandom >/tmp/piece; mkfifo /tmp/f')
        # Its input has no end: that would be the end.
        guest.start('nc -l -p 7 <>/tmp/f | md5sum >/tmp/got; '
                    'touch /tmp/received')
    for guest, to in (a, b), (b, a):
        guest.start('n=0; { while [ ! -e /tmp/stop ]; do cat /tmp/piece; '
                    'n=$((n + 1)); sleep 0.1; done; echo $n >/tmp/n; } | '
                    f'nc {to.address} 7; touch /tmp/sent')


def check_exchange(a, b):
    """It ends; every byte has arrived"""
    for sender, receiver in (a, b), (b, a):
        sender.check('touch /tmp/stop; until [ -e /tmp/sent ]; do sleep 0.2; '
                     'done', 120)
        n = int(sender.check('cat /tmp/n'))
        assert n > 3
        receiver.check('until [ -e /tmp/received ]; do sleep 0.2; done')
        assert receiver.check('cat /tmp/got') == sender.check(
            f'for i in $(seq {n}); do cat /tmp/piece; done | md5sum')


@pytest.fixture
def directory():
    if not QEMU or not (GUEST / 'initrd').exists():
        pytest.skip('no QEMU, or no guest image (make guest-image)')
    with tempfile.TemporaryDirectory() as d:
        yield pathlib.Path(d)


@pytest.fixture
def lab(directory):
    """lab(ports, (netdev, device, n_cpus)...) -> server and running guests;
    or less of each NIC, down to netdev alone"""
    made = []

    def make(ports, *nics):
        server = Server(directory, *ports)
        made.append(server.process)
        guests = []
        for i, nic in enumerate(nics, 1):
            netdev, *rest = nic if isinstance(nic, tuple) else (nic,)
            guests.append(Guest(directory, i, netdev.replace(
                'DIR', str(directory)), *rest))
            made.append(guests[-1])
        for guest in guests:
            guest.wait()
        return server, guests

    yield make
    for thing in reversed(made):
        if isinstance(thing, Guest):
            thing.close()
        else:
            thing.kill()
            thing.wait()
