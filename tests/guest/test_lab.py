# SPDX-License-Identifier: Apache-2.0
"""A lab of two Debian guests, through the command line; needs KVM."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BACKPLANE = os.environ.get('BACKPLANE', str(ROOT / 'build/backplane'))
DEADLINE = 240


def backplane(*args, **kw):
    return subprocess.run([BACKPLANE, *args], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=DEADLINE,
                          check=False, **kw)


def ok(*args):
    result = backplane(*args)
    assert result.returncode == 0, (result.stdout[-1000:] + result.stderr +
                                    backplane('ps').stdout)
    return result.stdout


def machine(name):
    lab, = json.loads(ok('ps', '--json'))
    return next(m for m in lab['machines'] if m['name'] == name)


@pytest.fixture(scope='module')
def rundir():
    path = pathlib.Path(subprocess.check_output(['mktemp', '-d'],
                                                text=True).strip())
    os.environ['BACKPLANE_RUNDIR'] = str(path)
    yield path
    del os.environ['BACKPLANE_RUNDIR']
    path.rmdir()


@pytest.fixture(scope='module')
def demo(rundir):
    out = ok('up', '--timeout', '200', str(ROOT / 'examples/demo.yaml'))
    assert "lab 'demo' is up" in out
    yield rundir
    if json.loads(ok('ps', '--json')):
        ok('down')


def test_ps(demo):
    assert [machine(n)['state'] for n in ('alice', 'bob')] == ['ready'] * 2


def test_nic_and_driver(demo):
    out = ok('exec', 'alice', '--', 'lspci', '-k')
    assert re.search(r'Ethernet controller.*82540EM', out)
    assert 'Kernel driver in use: e1000' in out


@pytest.mark.parametrize('address', ['10.0.0.2', 'fd00::2'])
def test_ping(demo, address):
    out = ok('exec', 'alice', '--', 'ping', '-c', '3', '-W', '5', address)
    assert ' 0% packet loss' in out


def test_exec_status_and_streams(demo):
    result = backplane('exec', 'bob', '--', 'sh', '-c',
                       'echo out; echo err >&2; exit 42')
    assert (result.returncode, result.stdout, result.stderr) == (
        42, 'out\n', 'err\n')


def test_exec_large_output(demo):
    """Every byte arrives, though each costs the guest an exit."""
    out = ok('exec', 'bob', '--', 'seq', '1', '10000')
    assert out == ''.join(f'{i}\n' for i in range(1, 10001))


def test_exec_input(demo):
    text = 'a line of text\n' * 1000
    result = subprocess.run([BACKPLANE, 'exec', 'alice', '--', 'cat'],
                            input=text, capture_output=True, text=True,
                            timeout=DEADLINE, check=False)
    assert result.returncode == 0 and result.stdout == text


def test_console(demo):
    p = subprocess.Popen([BACKPLANE, 'console', 'alice'],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    p.stdin.write(b'echo $((6 * 7))-typed\n')
    p.stdin.flush()
    out, end = b'', time.monotonic() + 60
    while b'42-typed' not in out and time.monotonic() < end:
        out += os.read(p.stdout.fileno(), 4096)
    p.kill()
    p.wait()
    assert b'42-typed' in out


def test_switch_has_learnt(demo):
    macs = json.loads(ok('show', 'macs', 'lan', '--json'))['macs']
    assert {m['port'] for m in macs} == {'alice.0', 'bob.0'}
    ports = json.loads(ok('show', 'ports', '--json'))['ports']
    assert all(p['connected'] and p['counters']['tx_frames'] > 0
               for p in ports)


def test_exits_are_counted(demo):
    stats = json.loads(ok('show', 'stats', 'alice', '--json'))
    assert stats['exits']['mmio'] > 0 and stats['exits']['io'] > 0


def test_killed_vmm_is_dead(demo):
    """It is noticed, and the other machine goes on."""
    os.kill(machine('alice')['pid'], signal.SIGKILL)
    end = time.monotonic() + 10
    while machine('alice')['state'] != 'dead':
        assert time.monotonic() < end
        time.sleep(0.1)
    assert 'signal 9' in machine('alice')['reason']
    assert ok('exec', 'bob', '--', 'echo', 'alive') == 'alive\n'


def test_down_leaves_nothing(demo):
    ok('down')
    assert list(demo.iterdir()) == []
    for proc in pathlib.Path('/proc').iterdir():
        try:
            assert str(demo).encode() not in (proc / 'cmdline').read_bytes()
        except (OSError, ValueError):
            pass
