# SPDX-License-Identifier: Apache-2.0
"""A guest that means harm, beside one that does not: its console and its agent
line end in the supervisor, which all machines of a lab share (T13, T16)."""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from conftest import AGENT

LAB = '''
name: mean
machines:
  mallory: {}
  bob: {}
'''

# The agent of every machine; mallory's says what HOW tells it to.
MEAN = '''
import os, struct, sys, threading
line, agent, how = sys.argv[1], os.environ['REAL_AGENT'], os.environ['HOW']
words = open(f'/proc/{os.getppid()}/cmdline').read().split(chr(0))
if 'mallory' not in words:
    os.execv(agent, [agent, line])

def frame(kind, stream, payload=b'', size=None):
    head = struct.pack('<BBHH', 0xb5, kind, stream,
                       len(payload) if size is None else size)
    return head + struct.pack('<H', sum(head) ^ 0xffff) + payload

READY, STDOUT, STDERR, EXIT, ERROR, WINDOW = range(0x81, 0x87)
fd = os.open(line, os.O_RDWR | os.O_NOCTTY)

def read():
    while os.read(fd, 4096):
        pass

def say(data):
    while data:
        data = data[os.write(fd, data):]

# Whatever the token of the hello was, one of them answers it.
head = b''
while len(head) < 9:
    head += os.read(fd, 9 - len(head))
say(frame(READY, head[2] | head[3] << 8, b'\\x01'))
if how != 'deaf':
    threading.Thread(target=read, daemon=True).start()
block = {
    'garbage': os.urandom(65536),
    'line': b'x' * 65536,
    'sync': b'\\xb5' * 65536,
    'giants': frame(STDOUT, 1, b'', 4096) * 100 + frame(STDERR, 9, b'', 65535),
    'ready': frame(READY, 0, b'\\x01') * 1000,
    'other': frame(READY, 0, b'\\x77') * 1000,
    'output': b''.join(frame(STDOUT, s, b'y' * n) for s in range(1, 33)
                       for n in (1, 4096)),
    'errors': b''.join(frame(ERROR, s) for s in range(1, 33)) * 20,
    'exits': b''.join(frame(EXIT, s, bytes(4)) for s in range(1, 33)) * 20,
    'deaf': b''.join(frame(WINDOW, s, b'\\xff' * 4) for s in range(33)) * 20,
}[how]
while True:
    say(block)
'''

# Far less than what a flood would leave behind.
MEMORY_MAX = 48 << 20


def memory(pid):
    """Of a process: the most it ever had resident."""
    status = pathlib.Path(f'/proc/{pid}/status').read_text()
    return int(status.split('VmHWM:')[1].split()[0]) << 10


@pytest.mark.parametrize('how', [
    'garbage', 'line', 'sync', 'giants', 'ready', 'other', 'output', 'errors',
    'exits', 'deaf'])
def test_flood(fake, how):
    """The others are served meanwhile, and it costs little memory, though a
    viewer and a command's client read nothing."""
    script = fake.folder / 'mean'
    script.write_text(f'#!{sys.executable}\n{MEAN}')
    script.chmod(0o755)
    fake.env.update(FAKE_VM_AGENT=str(script), REAL_AGENT=str(AGENT), HOW=how)
    # What ASan keeps from being used again is none of ours.
    fake.env['ASAN_OPTIONS'] = os.environ.get('ASAN_OPTIONS', '') + (
        ':quarantine_size_mb=8')
    fake.ok('up', fake.file(LAB))
    with contextlib.ExitStack() as stack:
        supervisor = fake.labs()[0]['pid']
        before = memory(supervisor)
        for args in (['console', 'mallory'], ['exec', 'mallory', 'cat']):
            p = fake.popen(*args, stdin=subprocess.DEVNULL)
            stack.callback(p.stdout.close)
            stack.callback(p.wait)
            stack.callback(p.kill)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            start = time.monotonic()
            assert fake('exec', 'bob', 'echo', 'ok').stdout == 'ok\n'
            assert {m['name'] for m in fake.labs()[0]['machines']} == {
                'mallory', 'bob'}
            assert time.monotonic() - start < 3
        assert memory(supervisor) - before < MEMORY_MAX
        assert fake.machine('bob')['state'] == 'ready'
        os.kill(fake.machine('mallory')['pid'], signal.SIGKILL)
        fake.wait(lambda: fake.machine('mallory')['state'] == 'dead',
                  'not noticed')
    fake.ok('down')
    fake.assert_nothing_left()


def test_command_that_ignores_its_client_going(fake):
    """It is killed after a while, though nothing else wakes the supervisor."""
    fake.ok('up', fake.file(LAB.replace('mallory: {}', 'alice: {}')))
    p = fake.popen('exec', 'alice', '--', 'sh', '-c',
                   'trap "" HUP; echo $$; exec sleep 1004.25',
                   stdin=subprocess.DEVNULL)
    pid = int(p.stdout.readline())
    p.kill()
    p.communicate()
    try:
        fake.wait(lambda: not os.path.exists(f'/proc/{pid}'),
                  'the command goes on')
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        fake.ok('down')
