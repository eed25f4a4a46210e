# SPDX-License-Identifier: Apache-2.0
"""The guest agent, spoken to over a pty as the host speaks over ttyS1.

The frames are described in src/ctl/agent_wire.h; this is an implementation of
its own, so that a mistake there shows here.
"""
import os
import pathlib
import pty
import select
import shutil
import signal
import struct
import subprocess
import time
import tty

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HELLO, EXEC, STDIN, SIGNAL = 1, 2, 3, 4
READY, STDOUT, STDERR, EXIT, ERROR, WINDOW = range(0x81, 0x87)
DEADLINE = 60


def frame(kind, stream=0, payload=b''):
    head = struct.pack('<BBHH', 0xb5, kind, stream, len(payload))
    return head + struct.pack('<H', sum(head) ^ 0xffff) + payload


def argv(*args):
    return b''.join(os.fsencode(a) + b'\0' for a in args)


class Line:
    """The host's end of the serial line."""

    def __init__(self, fd):
        self.fd = fd
        self.buf = b''

    def send(self, kind, stream=0, payload=b''):
        self.raw(frame(kind, stream, payload))

    def raw(self, data):
        """Write, and read meanwhile: a line is full duplex."""
        while data:
            ready = select.select([self.fd], [self.fd], [], DEADLINE)
            assert ready[0] or ready[1], 'the agent does not read'
            if ready[1]:
                data = data[os.write(self.fd, data[:512]):]
            elif ready[0]:
                self.buf += os.read(self.fd, 65536)

    def fill(self, timeout):
        if not select.select([self.fd], [], [], timeout)[0]:
            return False
        self.buf += os.read(self.fd, 65536)
        return True

    def recv(self, timeout=DEADLINE):
        """The next frame as (type, stream, payload); None: none came."""
        end = time.monotonic() + timeout
        while True:
            if len(self.buf) >= 8:
                sync, kind, stream, size, check = struct.unpack_from(
                    '<BBHHH', self.buf)
                assert sync == 0xb5 and check == sum(self.buf[:6]) ^ 0xffff
                assert size <= 4096
                if len(self.buf) >= 8 + size:
                    payload = self.buf[8:8 + size]
                    self.buf = self.buf[8 + size:]
                    return kind, stream, payload
            if not self.fill(max(0, end - time.monotonic())):
                return None

    def finish(self, stream):
        """Read up to EXIT. (status, stdout, stderr, error texts)"""
        out, err, errors = b'', b'', []
        while True:
            got = self.recv()
            assert got, 'no EXIT'
            kind, number, payload = got
            assert number == stream
            if kind == STDOUT:
                out += payload
            elif kind == STDERR:
                err += payload
            elif kind == ERROR:
                errors.append(payload.decode())
            elif kind == EXIT:
                return struct.unpack('<I', payload)[0], out, err, errors

    def run(self, *args, stream=1):
        self.send(EXEC, stream, argv(*args))
        return self.finish(stream)


@pytest.fixture(scope='session')
def agent_program(tmp_path_factory):
    compiler = shutil.which(os.environ.get('CC', 'cc'))
    if not compiler:
        pytest.skip('no C compiler')
    program = tmp_path_factory.mktemp('agent') / 'agent'
    subprocess.run([compiler, '-std=c17', '-Wall', '-Wextra', '-Werror', '-g',
                    '-fsanitize=address,undefined',
                    '-fno-sanitize-recover=all', '-I', ROOT / 'src/ctl',
                    ROOT / 'tools/guest/agent.c', '-o', program], check=True)
    return program


def test_is_silent_until_its_input_ends(agent_program):
    """But it has the line from the beginning, and nothing sent is lost."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    agent = subprocess.Popen([agent_program, os.ttyname(slave)],
                             stdin=subprocess.PIPE)
    os.set_blocking(master, False)
    host = Line(master)
    try:
        host.send(HELLO, payload=b'\1')
        agent.stdin.write(b'not yet')
        agent.stdin.flush()
        assert host.recv(0.2) is None
        agent.stdin.close()
        # One of its own accord, one to the HELLO.
        assert [host.recv(), host.recv()] == 2 * [(READY, 0, b'\1')]
    finally:
        agent.kill()
        agent.wait()
        os.close(master)
        os.close(slave)


@pytest.fixture
def line(agent_program):
    master, slave = pty.openpty()
    # The agent sets its end raw by itself; bytes sent before that must not
    # be echoed by the pty.
    tty.setraw(slave)
    agent = subprocess.Popen([agent_program, os.ttyname(slave)],
                             stdin=subprocess.DEVNULL)
    os.set_blocking(master, False)
    host = Line(master)
    assert host.recv() == (READY, 0, b'\1')
    yield host
    assert agent.poll() is None, 'the agent has ended'
    host.send(HELLO, payload=b'\1')
    agent.terminate()
    agent.wait()
    os.close(master)
    os.close(slave)


def test_hello_is_answered_by_ready(line):
    line.send(HELLO, 0, b'\1')
    assert line.recv() == (READY, 0, b'\1')


def test_ready_carries_the_token_of_its_hello(line):
    for token in 1, 0xffff, 1:
        line.send(HELLO, token, b'\1')
    for token in 1, 0xffff, 1:
        assert line.recv() == (READY, token, b'\1')


def test_output_and_status(line):
    assert line.run('sh', '-c', 'echo out; echo err >&2; exit 7') == \
        (7, b'out\n', b'err\n', [])


def test_arguments_are_kept_apart(line):
    assert line.run('printf', '[%s]', 'a b', '', '*')[1] == b'[a b][][*]'


def test_signal_that_ends_it_shows_in_the_status(line):
    assert line.run('sh', '-c', 'kill -9 $$')[0] == 128 + 9


def test_command_not_found(line):
    status, out, err, errors = line.run('no-such-command-here')
    assert (status, out, err) == (127, b'', b'')
    assert errors == ['no-such-command-here: command not found']


@pytest.mark.parametrize('payload', [b'', b'true', b'true\0x'])
def test_malformed_exec(line, payload):
    line.send(EXEC, 3, payload)
    assert line.finish(3) == (127, b'', b'', ['malformed EXEC'])
    assert line.run('true')[0] == 0


def test_exec_on_stream_zero_is_ignored(line):
    line.send(EXEC, 0, argv('echo', 'never'))
    assert line.run('true') == (0, b'', b'', [])


def test_most_arguments_one_frame_can_hold(line):
    line.send(EXEC, 1, argv('true') + b'\0' * 4091)
    assert line.finish(1) == (0, b'', b'', [])


def test_stdin_and_end_of_file(line):
    line.send(EXEC, 9, argv('wc', '-c'))
    line.send(STDIN, 9, b'x' * 4096)
    line.send(STDIN, 9, b'y' * 4)
    line.send(STDIN, 9)
    taken, out = 0, b''
    while True:
        kind, _, payload = line.recv()
        if kind == EXIT:
            break
        if kind == WINDOW:
            taken += struct.unpack('<I', payload)[0]
        else:
            out += payload
    assert out == b'4100\n' and taken == 4100


def test_stdin_within_the_window_arrives_whole(line):
    data = os.urandom(400000)
    line.send(EXEC, 4, argv('cat'))
    sent = taken = 0
    back = b''
    while True:
        while sent < len(data) and sent - taken <= 65536 - 4096:
            line.send(STDIN, 4, data[sent:sent + 4096])
            sent += len(data[sent:sent + 4096])
            if sent == len(data):
                line.send(STDIN, 4)
        kind, _, payload = line.recv()
        assert kind in (STDOUT, WINDOW, EXIT)
        if kind == STDOUT:
            back += payload
        elif kind == WINDOW:
            taken += struct.unpack('<I', payload)[0]
        else:
            break
    assert back == data and taken == len(data)


def test_stdin_nobody_reads_does_not_stop_the_line(line):
    line.send(EXEC, 5, argv('sleep', '60'))
    for _ in range(64):
        line.send(STDIN, 5, b'z' * 4096)
    line.send(EXEC, 6, argv('echo', 'alive'))
    seen = {}
    while EXIT not in seen.get(6, ()):
        kind, stream, payload = line.recv()
        seen.setdefault(stream, {}).setdefault(kind, []).append(payload)
    assert seen[6][STDOUT] == [b'alive\n']
    assert seen[5][ERROR] == [b'standard input overrun']
    line.send(SIGNAL, 5, bytes([signal.SIGTERM]))
    assert line.finish(5)[0] == 128 + signal.SIGTERM


def test_signal_reaches_the_process_group(line):
    line.send(EXEC, 2, argv('sh', '-c', 'trap "" TERM; echo go; '
                            '(trap - TERM; exec sleep 60); echo $?'))
    assert line.recv() == (STDOUT, 2, b'go\n')
    time.sleep(0.1)
    line.send(SIGNAL, 2, bytes([signal.SIGTERM]))
    status, out, _, _ = line.finish(2)
    assert status == 0 and out == b'143\n'


def test_many_commands_at_once(line):
    for number in range(1, 33):
        line.send(EXEC, number, argv('sh', '-c',
                                     f'read x; echo {number}; exit {number}'))
    line.send(EXEC, 33, argv('true'))
    assert line.finish(33) == (127, b'', b'', ['32 commands run already'])
    for number in range(1, 33):
        line.send(STDIN, number, b'\n')
    status, out = {}, {}
    while len(status) < 32:
        kind, stream, payload = line.recv()
        if kind == STDOUT:
            out[stream] = int(payload)
        elif kind == EXIT:
            status[stream] = struct.unpack('<I', payload)[0]
    assert status == out == {n: n for n in range(1, 33)}


def test_stream_in_use(line):
    line.send(EXEC, 8, argv('cat'))
    line.send(EXEC, 8, argv('echo', 'intruder'))
    assert line.recv() == (ERROR, 8, b'stream 8 is in use')
    line.send(STDIN, 8)
    assert line.finish(8) == (0, b'', b'', [])


def test_all_output_comes_before_exit(line):
    status, out, _, _ = line.run('sh', '-c', 'seq 1 60000; exit 3')
    assert status == 3
    assert out == b''.join(b'%d\n' % n for n in range(1, 60001))


def test_grandchild_with_the_pipe_open_does_not_delay_exit(line):
    start = time.monotonic()
    status, out, _, _ = line.run('sh', '-c', 'sleep 20 & echo done')
    assert (status, out) == (0, b'done\n')
    assert time.monotonic() - start < 5


def test_grandchild_that_goes_on_writing_does_not_delay_exit(line):
    start = time.monotonic()
    status, _, _, _ = line.run('sh', '-c', 'yes & sleep 0.2; exit 4')
    assert status == 4
    assert time.monotonic() - start < 5


def test_two_talkers_share_the_line(line):
    line.send(EXEC, 1, argv('yes', 'a'))
    line.send(EXEC, 2, argv('yes', 'b'))
    amount = {1: 0, 2: 0}
    while sum(amount.values()) < 2000000:
        kind, stream, payload = line.recv()
        assert kind == STDOUT
        amount[stream] += len(payload)
    assert min(amount.values()) > sum(amount.values()) / 10


def test_hello_kills_what_ran_and_frees_the_streams(line):
    line.send(EXEC, 1, argv('sh', '-c', 'echo $$; exec yes'))
    kind, _, payload = line.recv()
    assert kind == STDOUT
    pid = int(payload.split()[0])
    line.send(HELLO, 0, b'\1')
    while line.recv()[0] != READY:
        pass
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        pytest.fail('the command still runs')
    assert line.run('echo', 'new', stream=1) == (0, b'new\n', b'', [])


@pytest.mark.parametrize('noise', [
    b'login: ', b'\xb5', b'\xb5' * 50, bytes(range(256)),
    frame(HELLO, 0, b'\1')[:5],
    b'\xb5\x02\x01\x00\xff\xff\x00\x00',
    frame(EXEC, 1, b'')[:6] + b'\0\0',
], ids=['text', 'sync', 'syncs', 'bytes', 'short header', 'long', 'check'])
def test_noise_before_a_frame(line, noise):
    line.raw(noise + frame(HELLO, 0, b'\1'))
    assert line.recv() == (READY, 0, b'\1')


def test_length_beyond_the_limit_is_no_header(line):
    head = struct.pack('<BBHH', 0xb5, EXEC, 1, 4097)
    line.raw(head + struct.pack('<H', sum(head) ^ 0xffff))
    line.send(HELLO, 0, b'\1')
    assert line.recv() == (READY, 0, b'\1')


def test_unknown_type_and_unknown_stream_are_ignored(line):
    line.send(0x7f, 1, b'whatever')
    line.send(READY, 0, b'\1')
    line.send(STDIN, 77, b'data')
    line.send(SIGNAL, 77, b'\x09')
    assert line.run('true') == (0, b'', b'', [])


@pytest.mark.parametrize('payload', [b'', b'\x0f\x0f'])
def test_malformed_signal(line, payload):
    line.send(EXEC, 1, argv('cat'))
    line.send(SIGNAL, 1, payload)
    line.send(STDIN, 1)
    assert line.finish(1)[0] == 0


def test_frame_that_is_never_finished_is_given_up(line):
    line.raw(frame(STDIN, 1, b'x' * 4096)[:100])
    line.send(HELLO, 0, b'\1')
    assert line.recv(0.3) is None
    assert line.recv() == (READY, 0, b'\1')
