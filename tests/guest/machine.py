# SPDX-License-Identifier: Apache-2.0
"""Virtual machines for the guest tests: `backplane vm` and its agent line.

    with Machine('--cpus', '2') as vm:
        vm.wait_agent()
        status, out, err = vm.exec('nproc')

Needs KVM: run the tests through tools/kvm-host. Time limits are generous, for
a guest may run on an emulated processor; nothing waits longer than it must.
"""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get('BACKPLANE_BUILD', TREE / 'build'))
PROGRAM = os.environ.get('BACKPLANE', str(BUILD / 'backplane'))
GUEST = pathlib.Path(os.environ.get('BACKPLANE_GUEST_DIR', BUILD / 'guest'))
os.environ['BACKPLANE_GUEST_DIR'] = str(GUEST)
BOOT_SECONDS = 120
EXEC_SECONDS = 60
EXIT_SECONDS = 60

# src/ctl/agent_wire.h
SYNC, VERSION, PAYLOAD_MAX = 0xb5, 1, 4096
HELLO, EXEC, STDIN, SIGNAL = 1, 2, 3, 4
READY, STDOUT, STDERR, EXIT, ERROR, WINDOW = range(0x81, 0x87)
HEADER = struct.Struct('<BBHHH')


def why_no_kvm():
    """What keeps this host from running a guest; '' if nothing does."""
    with open('/proc/cpuinfo') as cpuinfo:
        flags = next((line.split() for line in cpuinfo
                      if line.startswith('flags')), [])
    if 'vmx' not in flags and 'svm' not in flags:
        return 'no vmx or svm in /proc/cpuinfo (see tools/kvm-host)'
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return '/dev/kvm cannot be used'
    return ''


class UnixConnection(http.client.HTTPConnection):
    """HTTP on a UNIX socket."""

    def __init__(self, path):
        super().__init__('localhost', timeout=EXEC_SECONDS)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def request(path, method, url, body=None):
    """Ask the API on the socket; returns (status, decoded body)."""
    connection = UnixConnection(path)
    connection.request(method, url, body=json.dumps(body or {}))
    reply = connection.getresponse()
    result = reply.status, json.loads(reply.read())
    connection.close()
    return result


class Agent:
    """The host's end of an agent line, one command at a time."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.data = b''
        self.stream = 0

    def send(self, kind, stream, payload=b''):
        head = struct.pack('<BBHH', SYNC, kind, stream, len(payload))
        head += struct.pack('<H', sum(head) ^ 0xffff)
        self.sock.settimeout(None)
        self.sock.sendall(head + payload)

    def receive(self, deadline):
        """The next frame as (kind, stream, payload); None: too late."""
        while True:
            while len(self.data) >= HEADER.size:
                sync, kind, stream, length, check = HEADER.unpack_from(
                    self.data)
                if (sync != SYNC or length > PAYLOAD_MAX
                        or check != sum(self.data[:6]) ^ 0xffff):
                    self.data = self.data[1:]
                    continue
                end = HEADER.size + length
                if len(self.data) < end:
                    break
                payload = self.data[HEADER.size:end]
                self.data = self.data[end:]
                return kind, stream, payload
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.sock.settimeout(left)
            try:
                more = self.sock.recv(65536)
            except socket.timeout:
                return None
            if not more:
                raise EOFError('the machine has gone')
            self.data += more

    def wait_ready(self, seconds):
        """Say HELLO until the guest is up."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.send(HELLO, 0, bytes([VERSION]))
            again = min(deadline, time.monotonic() + 1)
            while frame := self.receive(again):
                if frame[0] == READY:
                    return
        raise TimeoutError(f'no agent after {seconds} s')

    def exec(self, argv, seconds, stdin=b''):
        """Run a command; returns (status, out, err) as int, str, str."""
        self.stream = self.stream % 0xffff + 1
        texts = {STDOUT: b'', STDERR: b'', ERROR: b''}
        deadline = time.monotonic() + seconds
        self.send(EXEC, self.stream,
                  b''.join(arg.encode() + b'\0' for arg in argv))
        for at in range(0, len(stdin), PAYLOAD_MAX):
            self.send(STDIN, self.stream, stdin[at:at + PAYLOAD_MAX])
        self.send(STDIN, self.stream)
        while frame := self.receive(deadline):
            kind, stream, payload = frame
            if stream != self.stream:
                continue
            if kind == EXIT:
                err = texts[STDERR] + texts[ERROR]
                return (struct.unpack('<I', payload)[0],
                        texts[STDOUT].decode(errors='replace'),
                        err.decode(errors='replace'))
            if kind in texts:
                texts[kind] += payload
        raise TimeoutError(f'{argv[0]} has not ended after {seconds} s')

    def close(self):
        self.sock.close()


class Machine:
    """A `backplane vm` process; ended with the `with` block at the latest.

    args are its options, besides --agent, which is added. stdin is what the
    console types: subprocess.DEVNULL, or PIPE (then see self.process.stdin).
    """

    def __init__(self, *args, stdin=subprocess.DEVNULL, agent=True):
        self.dir = tempfile.mkdtemp(prefix='machine-')
        self.agent_path = os.path.join(self.dir, 'agent')
        self.agent = None
        argv = [PROGRAM, 'vm', *args]
        if agent:
            argv += ['--agent', 'unix:' + self.agent_path]
        self.process = subprocess.Popen(
            argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.console = b''
        self.errors = b''
        self.arrived = threading.Condition()
        self.readers = [
            threading.Thread(target=self._read, args=(name, stream))
            for name, stream in (('console', self.process.stdout),
                                 ('errors', self.process.stderr))]
        for reader in self.readers:
            reader.start()

    def _read(self, name, stream):
        while data := os.read(stream.fileno(), 65536):
            with self.arrived:
                setattr(self, name, getattr(self, name) + data)
                self.arrived.notify_all()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if exception[0]:
            print(f'--- console ---\n{self.console.decode(errors="replace")}'
                  f'\n--- errors ---\n{self.errors.decode(errors="replace")}')
        self.close()

    def close(self):
        """Kill what still runs; remove what is left."""
        if self.agent:
            self.agent.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self.readers:
            reader.join()
        for stream in (self.process.stdin, self.process.stdout,
                       self.process.stderr):
            if stream:
                stream.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _wait_text(self, name, text, seconds, start):
        deadline = time.monotonic() + seconds
        with self.arrived:
            while text.encode() not in getattr(self, name)[start:]:
                left = deadline - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and
                                 not any(r.is_alive() for r in self.readers)):
                    raise TimeoutError(f'"{text}" does not come: ' +
                                       getattr(self, name)[-1000:].decode(
                                           errors='replace'))
                self.arrived.wait(min(left, 1))
            return getattr(self, name).index(text.encode(), start) + len(text)

    def wait_console(self, text, seconds=BOOT_SECONDS, start=0):
        """Wait for the guest to write it; returns where it ends."""
        return self._wait_text('console', text, seconds, start)

    def wait_error(self, text, seconds=EXIT_SECONDS, start=0):
        """Wait for the VMM to say it; returns where it ends."""
        return self._wait_text('errors', text, seconds, start)

    def wait_agent(self, seconds=BOOT_SECONDS):
        """Wait until commands can be run."""
        deadline = time.monotonic() + seconds
        while not self.agent:
            try:
                self.agent = Agent(self.agent_path)
            except OSError:
                if self.process.poll() is not None:
                    raise EOFError('backplane vm has ended: ' +
                                   self.errors.decode()) from None
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self.agent.wait_ready(deadline - time.monotonic())

    def exec(self, *argv, seconds=EXEC_SECONDS, stdin=b''):
        """Run a command in the guest: a shell's if it is one string."""
        if len(argv) == 1:
            argv = ('sh', '-c', argv[0])
        return self.agent.exec(argv, seconds, stdin)

    def check(self, *argv, **keywords):
        """The output of a command that has to succeed."""
        status, out, err = self.exec(*argv, **keywords)
        assert status == 0, f'{argv}: status {status}: {out}{err}'
        return out

    def start_exec(self, *argv):
        """Start a command that does not come back, such as a power-off."""
        self.agent.stream = self.agent.stream % 0xffff + 1
        self.agent.send(EXEC, self.agent.stream,
                        b''.join(arg.encode() + b'\0' for arg in argv))

    def signal(self, signo=signal.SIGTERM):
        self.process.send_signal(signo)

    def wait(self, seconds=EXIT_SECONDS):
        """Wait for the VMM to end; returns its exit status."""
        status = self.process.wait(seconds)
        for reader in self.readers:
            reader.join()
        return status
