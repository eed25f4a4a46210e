# SPDX-License-Identifier: Apache-2.0
"""Command lines, lab files and labs that cannot come up; the real program."""
import fcntl
import os
import pathlib
import signal
import socket
import subprocess

import pytest

from conftest import ROOT, TWO

COMMANDS = ('up', 'down', 'ps', 'exec', 'console', 'show', 'link', 'lab',
            'host')


@pytest.mark.parametrize('command', COMMANDS)
def test_help(cli, command):
    out = cli.ok(command, '--help')
    assert out.startswith(f'Usage: backplane {command}')
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize('command', COMMANDS)
def test_unknown_option(cli, command):
    result = cli(command, '--frobnicate')
    assert result.returncode == 2
    assert f'backplane {command} --help' in result.stderr


@pytest.mark.parametrize('args', [
    ('exec',), ('exec', 'alice'), ('exec', 'alice', '--'), ('console',),
    ('link', 'a.0'), ('link', 'a.0', 'sideways'), ('show',), ('show', 'x'),
    ('show', 'ports', 'x'), ('ps', 'x'), ('up', 'a', 'b'), ('down', 'a', 'b'),
    ('lab',), ('lab', 'validate', 'a', 'b'), ('host', 'x')])
def test_usage(cli, args):
    assert cli(*args).returncode == 2


@pytest.mark.parametrize('path', sorted((ROOT / 'examples').glob('*.yaml')),
                         ids=lambda p: p.name)
def test_examples_are_valid(cli, path):
    assert f"lab '{path.stem}'" in cli.ok('lab', 'validate', str(path))


def test_validate_names_file_line_and_key(cli):
    path = cli.file('name: x\nmachines:\n  a:\n    memry: 1G\n')
    result = cli('lab', 'validate', path)
    assert result.returncode == 1
    assert result.stderr == (
        f'backplane: error: {path}:4: machines.a.memry: there is no such '
        "key; did you mean 'memory'?\n")
    result = cli('up', path)
    assert result.returncode == 1 and f'{path}:4:' in result.stderr
    cli.assert_nothing_left()


def test_no_lab_is_up(cli):
    for args in (('down',), ('exec', 'a', 'true'), ('console', 'a'),
                 ('show', 'ports'), ('link', 'a.0', 'up')):
        result = cli(*args)
        assert result.returncode == (125 if args[0] == 'exec' else 1)
        assert 'no lab is up' in result.stderr
    assert cli.ok('ps') == 'no lab is up\n'
    assert cli.labs() == []
    assert "lab 'two' is not up" in cli('down', 'two').stderr
    assert 'cannot be a lab' in cli('ps', '--lab', '../x').stderr


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM,
                                    signal.SIGHUP])
def test_exec_is_interrupted_before_the_command_runs(cli, number):
    """A lab that takes the connection and never answers."""
    folder = cli.rundir / 'mute'
    folder.mkdir(mode=0o700)
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / 'lab.sock'))
        listener.listen()
        listener.settimeout(10)
        p = cli.popen('exec', '--lab', 'mute', 'alice', 'true',
                      stdin=subprocess.DEVNULL)
        peer = listener.accept()[0]
        with peer:
            assert peer.recv(4096).startswith(b'POST /v1/machines/alice/exec')
            p.send_signal(number)
            assert p.wait(10) == 128 + number
    os.close(lock)


@pytest.fixture
def broken_cli(cli):
    """The program on files that are no kernels, so with KVM or without no
    machine starts."""
    for name in ('vmlinux', 'initrd'):
        (cli.folder / name).write_bytes(b'not a kernel' * 100)
    return cli


def test_machines_that_do_not_start(broken_cli):
    result = broken_cli('up', broken_cli.file(TWO))
    assert result.returncode == 1
    for name in ('alice', 'bob'):
        assert f'{name}: dead: ' in result.stdout
        assert '(exit status 1)' in result.stdout
    assert "no machine came up; taking lab 'two' down" in result.stderr
    broken_cli.assert_nothing_left()


def test_dead_machine_is_shown(broken_cli):
    broken_cli.ok('up', '--no-wait', broken_cli.file(TWO))
    broken_cli.wait(lambda: broken_cli.machine('bob')['state'] == 'dead',
                    'bob is not dead')
    assert '(exit status 1)' in broken_cli.machine('bob')['reason']
    assert 'dead' in broken_cli.ok('ps')
    result = broken_cli('exec', 'bob', 'true')
    assert result.returncode == 125 and 'bob is not ready' in result.stderr
    # The rest of the lab answers.
    assert 'alice.0' in broken_cli.ok('show', 'ports')
    assert "lab 'two' is already up" in broken_cli('up', broken_cli.file(
        TWO)).stderr
    broken_cli.ok('down')
    broken_cli.assert_nothing_left()


def test_keep_logs(broken_cli):
    broken_cli.ok('up', '--no-wait', broken_cli.file(TWO))
    broken_cli.ok('down', '--keep-logs')
    left = {p.name for p in (broken_cli.rundir / 'two').iterdir()}
    assert 'lab.log' in left and 'serve.log' in left
    assert all(name.endswith('.log') for name in left)
    # Left-overs are no lab, and down removes them.
    assert broken_cli.labs() == []
    assert 'removed what was left' in broken_cli.ok('down', 'two')
    broken_cli.assert_nothing_left()


def test_folder_of_somebody_else(cli):
    """A runtime folder that others can write to is not used."""
    os.chmod(cli.rundir, 0o777)
    result = cli('up', cli.file(TWO))
    assert result.returncode == 1
    assert 'not permitted' in result.stderr
    assert list(cli.rundir.iterdir()) == []


def test_runtime_folder_too_deep(cli):
    deep = cli.rundir / ('d' * 60) / ('e' * 60)
    deep.mkdir(parents=True)
    cli.env['BACKPLANE_RUNDIR'] = str(deep)
    result = cli('up', cli.file(TWO))
    assert result.returncode == 1
    assert 'BACKPLANE_RUNDIR' in result.stderr
    assert list(pathlib.Path(deep).iterdir()) == []
