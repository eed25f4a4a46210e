# SPDX-License-Identifier: Apache-2.0
"""QEMU's guests on the ports of one `backplane serve`:

    with Server('a') as server, Qemu(server.nic('a')) as vm:
        vm.wait_agent()
        out = vm.check('ip link')

    ports = ['vhost-user:DIR/v1', 'stream:DIR/s1']
    with Server(ports=ports) as server, \
         Qemu(vhost_nic(server.path('v1')), program=DEBIAN_QEMU) as vm:
        ...

There are two QEMUs: one with a vfio-user client (>= 10.1), and Debian 12's own.
Machines are emulated throughout (TCG), so that this needs no KVM; the guest is
the one of tests/guest, and so is its agent.
"""
import itertools
import json
import mmap
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TREE / 'tests' / 'guest'))

from machine import BUILD, GUEST, PROGRAM, Agent  # noqa: E402, F401
from netserver import Peer  # noqa: E402, F401

QEMU = os.environ.get('BACKPLANE_QEMU', str(TREE / 'build' / 'qemu' /
                                            'qemu-system-x86_64'))
DEBIAN_QEMU = shutil.which('qemu-system-x86_64')
MEMORY = '192M'
# A guest that gets the processor late finds its timer broken, and panics.
CMDLINE = 'console=ttyS0 quiet no_timer_check'
BOOT_SECONDS = 240
EXEC_SECONDS = 120


def why_no_guest():
    """What keeps any QEMU from booting the guest; '' if nothing does."""
    if not (GUEST / 'initrd').exists():
        return f'{GUEST} has no guest image (make guest-image)'
    return ''


def why_no_qemu():
    """What keeps this host from running a vfio-user client's guest."""
    if not os.access(QEMU, os.X_OK):
        return f'{QEMU} is not there (tools/kvm-host.d/mk-qemu build/qemu)'
    devices = subprocess.run([QEMU, '-device', 'vfio-user-pci,help'], check=False,
                             capture_output=True, text=True).stdout
    if 'vfio-user-pci options' not in devices:
        return f'{QEMU} has no vfio-user-pci (QEMU >= 10.1 has)'
    return why_no_guest()


def why_no_debian_qemu():
    """What keeps this host from running a guest on Debian's QEMU."""
    return why_no_guest() if DEBIAN_QEMU else 'qemu-system-x86 is missing'


def stack_errors(text):
    """What a stack holds against the packets it got, by its /proc/net/snmp6,
    /proc/net/snmp and /proc/net/netstat: what is not zero.  A SYN that was sent
    once more, since its answer was late, is no error."""
    found, heads = {}, {}
    for line in text.splitlines():
        key, *values = line.split()
        if not key.endswith(':'):
            found[key] = int(values[0])
        elif key in heads:
            found |= {key + h: int(v) for h, v in zip(heads[key], values)}
        else:
            heads[key] = values
    found['Tcp:InErrs'] -= min(found['Tcp:InErrs'],
                               found['TcpExt:TCPSYNChallenge'])
    return {k: v for k, v in found.items() if v and any(
        bad in k for bad in ('InCsumErrors', 'InErrs', 'InHdrErrors',
                             'rx_', 'tx_'))}


def iperf3(client, args, seconds=EXEC_SECONDS):
    """What iperf3 says at its end, run by anything with check(); its server may
    not be done with the one before yet."""
    deadline = time.monotonic() + EXEC_SECONDS
    while True:
        result = json.loads(client.check(f'iperf3 -J {args}', seconds=seconds))
        if 'error' not in result:
            return result['end']
        assert 'busy' in result['error'] and time.monotonic() < deadline, \
            (client, args, result['error'])
        time.sleep(0.5)


# Names of the back ends in one QEMU.
numbers = itertools.count()


def vhost_nic(path, *, server=False, queues=1, newer=False, **properties):
    """A virtio-net card on a vhost-user socket, which QEMU connects to again
    and again, or, as `server`, makes: QEMU's options for it; `newer`: not
    Debian 12's."""
    name = f'vhost{next(numbers)}'
    how = 'server=on,wait=off' if server else \
        'reconnect-ms=1000' if newer else 'reconnect=1'
    device = {'driver': 'virtio-net-pci', 'netdev': name}
    # Debian 12's QEMU 7.2 crashes with MSI-X, vhost-user and TCG: the fix of
    # CVE-2024-4693 touches vectors that only KVM has.
    if not newer:
        device['vectors'] = 0
    return ['-chardev', f'socket,id={name}c,path={path},{how}', '-netdev',
            f'vhost-user,chardev={name}c,id={name},queues={queues}',
            '-device', json.dumps(device | properties)]


def stream_nic(path, driver, **properties):
    """One of QEMU's own cards on a stream port: QEMU's options for it."""
    name = f'stream{next(numbers)}'
    device = {'driver': driver, 'netdev': name, **properties}
    return ['-netdev', f'stream,id={name},addr.type=unix,addr.path={path}',
            '-device', json.dumps(device)]


def dgram_nic(path, own_path, driver, **properties):
    """The same on a datagram port; QEMU's own socket is to be at own_path."""
    name = f'dgram{next(numbers)}'
    device = {'driver': driver, 'netdev': name, **properties}
    return ['-netdev', f'dgram,id={name},local.type=unix,'
            f'local.path={own_path},remote.type=unix,remote.path={path}',
            '-device', json.dumps(device)]


def tap_nic(ifname, **properties):
    """A virtio-net card on a tap of this host, without MSI-X as vhost_nic():
    QEMU's options for it."""
    name = f'tap{next(numbers)}'
    device = {'driver': 'virtio-net-pci', 'netdev': name, 'vectors': 0,
              **properties}
    return ['-netdev', f'tap,id={name},ifname={ifname},script=no,downscript=no',
            '-device', json.dumps(device)]


class Qmp:
    """QEMU's control socket."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.sock.settimeout(90)
        self.file = self.sock.makefile('r')
        self.file.readline()            # the greeting
        self.call('qmp_capabilities')

    def call(self, command, **arguments):
        """Its result; events that come first are passed over."""
        self.sock.sendall(json.dumps(
            {'execute': command, 'arguments': arguments}).encode())
        while True:
            answer = json.loads(self.file.readline())
            if 'return' in answer or 'error' in answer:
                assert 'error' not in answer, answer
                return answer['return']

    def wait_event(self, name):
        while json.loads(self.file.readline()).get('event') != name:
            pass


class Qemu:
    """A QEMU process; ended with the `with` block.

    cards are devices, or options with a back end besides (vhost_nic() makes
    some); append are words for the kernel besides cmdline, extra options of
    QEMU's.
    """

    def __init__(self, *cards, program=QEMU, board='q35', shared=True,
                 append=(), extra=(), accel='tcg', memory=MEMORY,
                 initrd=GUEST / 'initrd', cmdline=CMDLINE):
        self.dir = tempfile.mkdtemp(prefix='qemu-')
        self.agent = None
        machine = [board, 'memory-backend=ram'] if shared else [board]
        argv = [program, '-nodefaults', '-no-user-config', '-display', 'none',
                '-accel', accel, '-m', memory,
                '-M', ','.join(machine),
                '-object',
                f'memory-backend-memfd,id=ram,size={memory},share=on',
                '-kernel', str(GUEST / 'vmlinux'),
                '-initrd', str(initrd),
                '-append', ' '.join([cmdline, *append]),
                '-serial', 'file:' + self.path('console'),
                '-serial', f'unix:{self.path("agent")},server,nowait',
                '-qmp', f'unix:{self.path("qmp")},server,nowait', *extra]
        for card in cards:
            argv += card if isinstance(card, list) else \
                ['-device', json.dumps(card)]
        self.log = open(self.path('log'), 'wb')
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)

    def path(self, name):
        return os.path.join(self.dir, name)

    def text(self, name):
        """What it has written so far: `console` or `log`."""
        try:
            with open(self.path(name), encoding='utf-8',
                      errors='replace') as file:
                return file.read()
        except FileNotFoundError:
            return ''

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if exception[0]:
            print('--- console ---', self.text('console'),
                  '--- qemu ---', self.text('log'), sep='\n')
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def kill(self):
        """As by kill -9."""
        if self.agent:
            self.agent.close()
            self.agent = None
        self.process.kill()
        self.process.wait()
        self.log.close()

    def _connect(self, make, name, deadline):
        while True:
            try:
                return make(self.path(name))
            except OSError:
                if self.process.poll() is not None:
                    raise EOFError('QEMU has ended: ' +
                                   self.text('log')) from None
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def qmp(self):
        return self._connect(Qmp, 'qmp', time.monotonic() + 10)

    def wait_agent(self, seconds=BOOT_SECONDS):
        """Wait until commands can be run."""
        deadline = time.monotonic() + seconds
        if self.agent:
            self.agent.close()
        self.agent = self._connect(Agent, 'agent', deadline)
        while True:
            try:
                return self.agent.wait_ready(
                    min(5, deadline - time.monotonic()))
            except TimeoutError as error:
                console = self.text('console')
                if 'Kernel panic' in console or time.monotonic() > deadline:
                    raise TimeoutError(f'{error}: {console[-2000:]}') from None

    def exec(self, *argv, seconds=EXEC_SECONDS):
        """Run a command in the guest: a shell's if it is one string."""
        if len(argv) == 1:
            argv = ('sh', '-c', argv[0])
        return self.agent.exec(argv, seconds)

    def check(self, *argv, **keywords):
        """The output of a command that has to succeed."""
        status, out, err = self.exec(*argv, **keywords)
        assert status == 0, f'{argv}: status {status}: {out}{err}'
        return out

    def migrate(self, uri, seconds=120):
        """The guest moves to whoever listens at uri; what QEMU says of it."""
        qmp = self.qmp()
        qmp.call('migrate', uri=uri)
        deadline = time.monotonic() + seconds
        while (info := qmp.call('query-migrate'))['status'] not in (
                'completed', 'failed', 'cancelled'):
            assert time.monotonic() < deadline, info
            time.sleep(0.1)
        assert info['status'] == 'completed', info
        return info

    def memory(self):
        """The guest's memory, to be read."""
        fds = pathlib.Path(f'/proc/{self.process.pid}/fd')
        path = next(fd for fd in fds.iterdir()
                    if 'memfd:memory-backend-memfd' in os.readlink(fd))
        with open(path, 'rb') as file:
            return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    def stack_errors(self):
        return stack_errors(self.check(
            'cat /proc/net/snmp6 /proc/net/snmp /proc/net/netstat'))

    def start(self, *argv):
        """Start a command that does not come back."""
        self.agent.send(2, 0x7fff, b''.join(a.encode() + b'\0' for a in argv))


class Server:
    """`backplane serve` with a NIC per name, and a stream port `peer`.

    Those not in `models` (name: what follows `model=`) are e1000s.  `ports` are
    others, as --port has them; DIR in them is the server's folder.
    """

    def __init__(self, *names, caps='qemu', models=None, ports=(), extra=()):
        self.dir = tempfile.mkdtemp(prefix='server-')
        self.names = names
        self.log = open(self.path('log'), 'wb')
        self.args = ['--port', 'stream:' + self.path('peer'),
                     '--api', self.path('api'), *extra]
        for name in names:
            model = (models or {}).get(name, 'e1000')
            self.args += ['--port', f'vfio-user:{self.path(name)},'
                          f'model={model},mac={self.mac(name)}' +
                          (f',caps={caps}' if model == 'e1000' else '')]
        for port in ports:
            self.args += ['--port', port.replace('DIR', self.dir)]
        self.process = None
        self.start()

    def start(self):
        """Once more, if it has ended."""
        start = len(self.text())
        self.process = subprocess.Popen([PROGRAM, 'serve', *self.args],
                                        stderr=self.log)
        deadline = time.monotonic() + 20
        while 'serving' not in self.text()[start:]:
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def path(self, name):
        return os.path.join(self.dir, name)

    def text(self):
        with open(self.path('log'), encoding='utf-8') as log:
            return log.read()

    def mac(self, name):
        return f'52:54:00:00:00:{self.names.index(name):02x}'

    def nic(self, name, **properties):
        """What QEMU is told to have the port as its card."""
        return {'driver': 'vfio-user-pci', 'id': name,
                'socket': {'type': 'unix', 'path': self.path(name)},
                **properties}

    def address(self, name, address):
        """What the guest's init is told of the card's address."""
        return f'backplane.net={self.mac(name)}={address}'

    def api(self, method, path, **body):
        """A request to its control API; the reply's JSON."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(self.path('api'))
            data = json.dumps(body) if body else ''
            sock.sendall(f'{method} {path} HTTP/1.0\r\nHost: x\r\n'
                         f'Content-Length: {len(data)}\r\n\r\n'
                         f'{data}'.encode())
            reply = sock.makefile('rb').read().decode()
        head, body = reply.split('\r\n\r\n', 1)
        assert ' 200 ' in head.split('\r\n')[0], reply
        return json.loads(body)

    def port(self, name):
        """What the API says of a port: its counters by their names."""
        ports = self.api('GET', '/v1/ports')['ports']
        port, = [p for p in ports if p['name'] == name]
        return port['counters'] | {c['counter']: c['value']
                                   for c in port.get('device', [])}

    def link(self, name, up):
        self.api('PUT', f'/v1/ports/{name}/link', up=up)

    def count_fds(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if exception[0]:
            print('--- server ---', self.text(), sep='\n')
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        log = self.text()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        if not exception[0]:
            assert status == 0, f'status {status}: {log}'
            assert 'Sanitizer' not in log and 'runtime error' not in log, log
