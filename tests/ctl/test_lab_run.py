# SPDX-License-Identifier: Apache-2.0
"""Labs that run, with the stand-in for the VMM: up, ps, exec, console, down,
and what happens when parts of them die."""
import hashlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

from conftest import TWO


def test_up_ps_down(fake):
    out = fake.ok('up', fake.file(TWO))
    assert 'alice: ready after' in out and "lab 'two' is up" in out
    lab, = fake.labs()
    assert lab['server']['state'] == 'running'
    assert [m['state'] for m in lab['machines']] == ['ready', 'ready']
    assert lab['machines'][0]['nics'][0]['addresses'] == ['10.0.0.1/24']
    assert '10.0.0.1/24' in fake.ok('ps', '--lab', 'two')
    sockets = [p for p in (fake.rundir / 'two').iterdir()
               if p.name in ('lab.sock', 'serve.sock')]
    assert [p.stat().st_mode & 0o777 for p in sockets] == [0o600, 0o600]
    assert (fake.rundir / 'two').stat().st_mode & 0o777 == 0o700
    fake.ok('down', fake.file(TWO))
    fake.assert_nothing_left()


def test_second_up(two):
    before = two.labs()
    result = two('up', two.file(TWO))
    assert result.returncode == 1
    assert "already up" in result.stderr
    assert 'backplane down two' in result.stderr
    assert two.labs()[0]['pid'] == before[0]['pid']


def test_two_labs_at_once(two):
    two.ok('up', two.file(TWO.replace('name: two', 'name: other'), 'o.yaml'))
    result = two('exec', 'alice', 'true')
    assert result.returncode == 125 and 'other, two' in result.stderr
    assert two('exec', '--lab', 'other', 'alice', 'true').returncode == 0
    two.ok('down', 'other')
    assert [lab['name'] for lab in two.labs()] == ['two']


@pytest.mark.parametrize('status', [0, 1, 77, 255])
def test_exec_status(two, status):
    assert two('exec', 'alice', '--', 'sh', '-c',
               f'exit {status}').returncode == status


def test_exec_streams(two):
    result = two('exec', 'bob', '--', 'sh', '-c', 'echo out; echo err >&2')
    assert (result.stdout, result.stderr) == ('out\n', 'err\n')


def test_exec_words(two):
    """Arguments arrive one by one, and none is taken for ours."""
    result = two('exec', 'bob', 'printf', '%s|', 'a b', '', '--json', 'é"\\')
    assert result.stdout == 'a b||--json|é"\\|'


def test_exec_no_such_command(two):
    result = two('exec', 'alice', 'no-such-command')
    assert result.returncode == 127
    assert 'no-such-command' in result.stderr


def test_exec_no_such_machine(two):
    for name in ('carol', '../lab'):
        result = two('exec', name, 'true')
        assert result.returncode == 125 and name in result.stderr


def test_exec_large_output(two):
    n = 8_000_000
    result = two('exec', 'alice', '--', 'head', '-c', str(n), '/dev/zero',
                 text=False)
    assert result.returncode == 0 and result.stdout == bytes(n)


def test_exec_large_input(two):
    data = os.urandom(1_500_000)
    result = two('exec', 'alice', '--', 'sha256sum', text=False, input=data)
    assert result.stdout.split()[0].decode() == hashlib.sha256(
        data).hexdigest()


def test_exec_stdin_is_empty_without(two):
    assert two('exec', '-n', 'alice', 'cat', input='text').stdout == ''


def test_exec_ends_by_signal(two):
    assert two('exec', 'alice', '--', 'sh', '-c',
               'kill -KILL $$').returncode == 128 + 9


def test_exec_several_at_once(two):
    running = [two.popen('exec', 'alice', '--', 'sh', '-c',
                         f'sleep 0.5; echo {i}', stdin=subprocess.DEVNULL)
               for i in range(8)]
    start = time.monotonic()
    assert [p.communicate()[0] for p in running] == [
        f'{i}\n' for i in range(8)]
    assert time.monotonic() - start < 3


def pids_of(word):
    """Processes with this word as an argument, as `ps` in a guest would."""
    found = []
    for proc in pathlib.Path('/proc').iterdir():
        try:
            words = (proc / 'cmdline').read_bytes().split(b'\0')
        except (OSError, ValueError):
            continue
        if words[:2] == [b'sleep', word.encode()]:
            found.append(int(proc.name))
    return found


def test_exec_interrupt(two):
    """Ctrl-C reaches the command, whose end is the end of ours."""
    p = two.popen('exec', 'alice', 'sleep', '1001.25',
                  stdin=subprocess.DEVNULL)
    two.wait(lambda: pids_of('1001.25'), 'the command does not run')
    p.send_signal(signal.SIGINT)
    assert p.wait(10) == 128 + signal.SIGINT
    assert pids_of('1001.25') == []


def test_exec_client_dies(two):
    """Nobody is left to read: the command is hung up on."""
    p = two.popen('exec', 'alice', 'sleep', '1002.25',
                  stdin=subprocess.DEVNULL)
    two.wait(lambda: pids_of('1002.25'), 'the command does not run')
    p.kill()
    p.wait()
    two.wait(lambda: not pids_of('1002.25'), 'the command goes on')


def test_exec_reader_stops_others_go_on_after(two):
    """A reader that reads nothing holds the line only while it is there."""
    p = two.popen('exec', 'alice', 'cat', '/dev/zero',
                  stdin=subprocess.DEVNULL)
    time.sleep(1)
    p.kill()
    p.wait()
    assert two('exec', 'alice', 'echo', 'ok').stdout == 'ok\n'


def test_console(two):
    """Shows what was printed before, and types: the stand-in echoes."""
    p = two.popen('console', 'alice', stdin=subprocess.PIPE)
    p.stdin.write('typed\n')
    p.stdin.flush()
    out = ''
    while 'typed\n' not in out:
        out += os.read(p.stdout.fileno(), 4096).decode()
    assert 'hello from alice' in out
    # With the lab it ends.
    two.ok('down')
    assert p.wait(10) == 0


def test_show_and_link(two):
    ports = json.loads(two.ok('show', 'ports', '--json'))['ports']
    assert [p['name'] for p in ports] == ['alice.0', 'bob.0']
    assert all(p['link'] for p in ports)
    two.ok('link', 'alice.0', 'down')
    ports = json.loads(two.ok('show', 'ports', '--json'))['ports']
    assert [p['link'] for p in ports] == [False, True]
    two.ok('link', 'alice.0', 'up')
    result = two('link', 'nobody.0', 'down')
    assert result.returncode == 1 and 'nobody.0' in result.stderr
    for what in ('devices', 'networks', 'macs', 'verdicts', 'worker', 'stats'):
        assert two.ok('show', what)
    assert 'A-FRAME  AN-IRQ' in two.ok('show', 'devices')
    verdicts = json.loads(two.ok('show', 'verdicts', 'lan', '--json'))
    assert {'verdict': 'flood', 'frames': 0}.items() <= next(
        v for v in verdicts['verdicts'] if v['verdict'] == 'flood').items()
    assert json.loads(two.ok('show', 'stats', 'bob', '--json'))[
        'exits']['io'] == 7
    assert two('show', 'macs', 'nowhere').returncode == 1


PLUGGABLE = '''
name: plug
networks:
  lan:
machines:
  alice:
    board: pcie
    nics: [{network: lan}, {network: lan, plugged: no}]
'''


def nic_ids(cli):
    reply = json.loads(cli.ok('show', 'nics', 'alice', '--json'))
    return [nic['id'] for nic in reply['nics']]


def test_attach_and_detach(fake):
    fake.ok('up', fake.file(PLUGGABLE))
    try:
        assert nic_ids(fake) == ['alice.0']
        fake.ok('attach', 'alice', '1')
        assert nic_ids(fake) == ['alice.0', 'alice.1']
        # By number and by name; returns when they are out.
        fake.ok('detach', 'alice', '0', 'alice.1')
        assert nic_ids(fake) == []
        fake.ok('attach', 'alice', 'alice.0', '/run/other.sock')
        assert nic_ids(fake) == ['alice.0', 'nic0']
        fake.ok('detach', '--pull', 'alice', 'nic0')
        fake.ok('detach', '--no-wait', 'alice', '0')
        assert 'PLACE' in fake.ok('show', 'nics')
    finally:
        fake.ok('down')


def test_machine_with_all_the_nics_there_can_be(fake):
    """LAB_NICS_MAX of them, each with all that can be said of its place."""
    n = 32
    nics = ''.join(f'      - {{network: lan, bridge: {1 + i // 16}, '
                   f'slot: {1 + i % 16}}}\n' for i in range(n))
    fake.ok('up', fake.file('name: many\nnetworks: {lan: }\nmachines:\n'
                            f'  alice:\n    nics:\n{nics}'))
    try:
        assert nic_ids(fake) == [f'alice.{i}' for i in range(n)]
    finally:
        fake.ok('down')


@pytest.mark.parametrize('args, status, says', [
    (['attach', 'alice', '2'], 1, "alice has no NIC '2'"),
    (['attach', 'alice', 'bob.0'], 1, "alice has no NIC 'bob.0'"),
    (['attach', 'alice', '/nowhere'], 1, 'no server at /nowhere'),
    (['attach', 'zoe', '0'], 1, "there is no machine 'zoe'"),
    (['detach', 'alice', '7'], 1, 'there is no NIC 7'),
    (['detach', 'alice', '../x'], 1, 'x'),
    (['attach', 'alice'], 2, '--help'),
    (['attach', '--pull', 'alice', '0'], 2, '--help'),
])
def test_attach_refused(two, args, status, says):
    result = two(*args)
    assert result.returncode == status and says in result.stderr
    assert result.stdout == ''


def test_killed_machine_is_dead(two):
    os.kill(two.machine('alice')['pid'], signal.SIGKILL)
    two.wait(lambda: two.machine('alice')['state'] == 'dead', 'not noticed')
    assert 'signal 9' in two.machine('alice')['reason']
    assert 'signal 9' in two.ok('ps')
    assert two('exec', 'bob', 'echo', 'ok').stdout == 'ok\n'
    names = {p.name for p in (two.rundir / 'two').iterdir()}
    assert 'console-alice.sock' not in names


def test_exec_in_machine_that_dies(two):
    p = two.popen('exec', 'alice', 'sleep', '1003.25',
                  stdin=subprocess.DEVNULL)
    two.wait(lambda: pids_of('1003.25'), 'the command does not run')
    os.kill(two.machine('alice')['pid'], signal.SIGKILL)
    out = p.communicate(timeout=10)[0]
    assert p.returncode == 125 and 'went away' in out
    for pid in pids_of('1003.25'):
        os.kill(pid, signal.SIGKILL)


def test_killed_server_is_started_again(two):
    server = two.labs()[0]['server']
    os.kill(server['pid'], signal.SIGKILL)
    two.wait(lambda: two.labs()[0]['server']['state'] == 'dead',
             'not noticed')
    assert two('exec', 'bob', 'echo', 'ok').stdout == 'ok\n'
    two.wait(lambda: two.labs()[0]['server']['state'] == 'running',
             'not started again')
    assert two.labs()[0]['server']['pid'] != server['pid']
    assert two('show', 'ports').returncode == 0
    two.ok('down')
    two.assert_nothing_left()


def test_log_of_a_killed_server_stays(two):
    """It says why the server had to be started again; down keeps it, too."""
    log = two.rundir / 'two/serve.log'
    with log.open('a') as file:
        file.write('last words\n')
    server = two.labs()[0]['server']
    os.kill(server['pid'], signal.SIGKILL)
    two.wait(lambda: two.labs()[0]['server'].get('pid') not in (
        None, server['pid']), 'not started again')
    former = log.with_name('serve.log.1')
    assert 'last words' in former.read_text()
    assert 'last words' not in log.read_text()
    two.ok('down', '--keep-logs')
    assert former.exists() and log.exists()
    two.ok('down', 'two')
    two.assert_nothing_left()


def test_killed_supervisor(two):
    """Its children go with it, and what it left is no obstacle."""
    os.kill(two.labs()[0]['pid'], signal.SIGKILL)
    two.wait(lambda: not two.processes(), 'children are left')
    assert two.labs() == []
    assert (two.rundir / 'two/lab.sock').exists()
    two.ok('up', two.file(TWO))
    two.ok('down')
    two.assert_nothing_left()


def test_one_of_two_broken(fake):
    path = fake.file(TWO.replace('bob', 'broken'))
    result = fake('up', path)
    assert result.returncode == 1
    assert 'broken: dead: no virtual machines here (exit status 1)' in (
        result.stdout)
    assert '1 of 2 machines did not come up' in result.stderr
    assert fake('exec', 'alice', 'echo', 'ok').stdout == 'ok\n'
    fake.ok('down')
    fake.assert_nothing_left()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interrupted_up(fake, number):
    """A machine whose agent never answers; Ctrl-C takes all of it down."""
    fake.env['FAKE_VM_AGENT'] = '/bin/cat'
    p = fake.popen('up', fake.file(TWO))
    fake.wait(lambda: fake.labs() and all(
        m['state'] == 'booting' for m in fake.labs()[0]['machines']),
        'the machines do not boot')
    p.send_signal(number)
    out = p.communicate(timeout=30)[0]
    assert p.returncode == 1 and 'interrupted' in out
    fake.assert_nothing_left()


def test_up_timeout(fake):
    fake.env['FAKE_VM_AGENT'] = '/bin/cat'
    result = fake('up', '--timeout', '1', fake.file(TWO))
    assert result.returncode == 1 and 'in time' in result.stderr
    fake.assert_nothing_left()


def test_foreground(fake):
    p = fake.popen('up', '--foreground', fake.file(TWO))
    fake.wait(lambda: fake.labs() and fake.machine('bob')['state'] == 'ready',
              'not up')
    time.sleep(0.5)
    assert p.poll() is None
    p.send_signal(signal.SIGINT)
    assert p.wait(30) == 0
    fake.assert_nothing_left()


def test_machine_that_does_not_power_off(two):
    """The plug is pulled after a while."""
    two.poweroff('exit 0')
    start = time.monotonic()
    two.ok('down')
    assert 9 < time.monotonic() - start < 20
    two.assert_nothing_left()


@pytest.mark.parametrize('deaf', [False, True])
def test_machine_without_an_agent(fake, deaf):
    """Its power button is pressed, and it has as long as any other to obey."""
    fake.env['FAKE_VM_AGENT'] = '/bin/cat'
    if deaf:
        fake.env['FAKE_VM_DEAF'] = '1'
    fake.ok('up', '--no-wait', fake.file(TWO))
    fake.wait(lambda: all(m['state'] == 'booting'
                          for m in fake.labs()[0]['machines']),
              'the machines do not boot')
    start = time.monotonic()
    fake.ok('down', '--keep-logs')
    assert (9 if deaf else 0) < time.monotonic() - start < (
        20 if deaf else 8)
    fake.ok('down', 'two')
    fake.assert_nothing_left()


class Api:
    """Speaks HTTP to a lab by hand."""

    def __init__(self, path):
        self.path = str(path)

    def __call__(self, method, path, body=None):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.path)
            data = b'' if body is None else json.dumps(body).encode()
            s.sendall(f'{method} {path} HTTP/1.1\r\nHost: x\r\n'
                      f'Connection: close\r\nContent-Length: {len(data)}'
                      '\r\n\r\n'.encode() + data)
            answer = b''
            while chunk := s.recv(65536):
                answer += chunk
        head, _, rest = answer.partition(b'\r\n\r\n')
        return int(head.split()[1]), json.loads(rest)


@pytest.fixture
def api(two):
    return Api(two.rundir / 'two/lab.sock')


def test_machine_stop_start_kill(two, api):
    base = '/v1/machines/alice'
    assert api('POST', base + '/start')[0] == 409
    assert api('POST', base + '/stop')[0] == 202
    two.wait(lambda: two.machine('alice')['state'] == 'stopped', 'no stop')
    assert api('POST', base + '/stop')[0] == 409
    assert api('GET', base + '/stats')[0] == 409
    assert api('POST', base + '/exec', {'argv': ['true']})[0] == 409
    assert api('POST', base + '/start')[0] == 202
    two.wait(lambda: two.machine('alice')['state'] == 'ready', 'no start')
    assert two('exec', 'alice', 'echo', 'ok').stdout == 'ok\n'
    assert api('POST', base + '/kill')[0] == 202
    two.wait(lambda: two.machine('alice')['state'] == 'stopped', 'no kill')


@pytest.mark.parametrize('body,says', [
    (None, "lacks the key 'argv'"), ({'argv': []}, 'expected 1 to'),
    ({'argv': ['a', 1]}, 'only strings'), ({'argv': 'a'}, 'expected an array'),
    ({'argv': ['a'], 'stdin': 'yes'}, 'expected a boolean'),
    ({'argv': ['a'], 'tty': True}, "unknown key 'tty'"),
    ({'argv': ['a' * 5000]}, 'too long'),
    ({'argv': ['a'] * 2000}, 'expected 1 to')])
def test_exec_bad_bodies(api, body, says):
    status, answer = api('POST', '/v1/machines/alice/exec', body)
    assert status == 400 and says in answer['error']


def test_unknown_commands(api):
    base = '/v1/machines/alice/exec/'
    for bad in ('7', '0', 'x', '99999999999999999999'):
        assert api('POST', base + bad + '/stdin')[0] == 404
        assert api('POST', base + bad + '/signal', {'signal': 2})[0] == 404
    assert api('POST', base + '1/signal', {'signal': 0})[0] == 400
    assert api('POST', base + '1/signal', {'signal': 1 << 40})[0] == 400


def test_idle_supervisor_sleeps(two):
    """Nothing to look after: no wake-ups."""
    pid = two.labs()[0]['pid']
    time.sleep(1)

    def switches():
        status = pathlib.Path(f'/proc/{pid}/status').read_text()
        return int(status.split('\nvoluntary_ctxt_switches:')[1].split()[0])

    before = switches()
    time.sleep(2)
    assert switches() - before <= 1
