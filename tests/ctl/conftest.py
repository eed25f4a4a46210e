# SPDX-License-Identifier: Apache-2.0
"""Labs without KVM: the program, or the program with a stand-in for its VMM.

The stand-in (fake_vm.c) runs the guest's agent on this host, so that commands,
console and power-off go all the way through supervisor, API and CLI.
"""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BACKPLANE = pathlib.Path(os.environ.get('BACKPLANE',
                                        ROOT / 'build/backplane'))
FAKE = BACKPLANE.parent / 'tests/ctl/backplane-fake-vm'
AGENT = BACKPLANE.parent / 'tests/ctl/fake-vm-agent'
DEADLINE = 20

TWO = '''
name: two
networks:
  lan:
machines:
  alice:
    nics: [{network: lan, addresses: [10.0.0.1/24]}]
  bob:
    nics: [{network: lan, addresses: [10.0.0.2/24]}]
'''


class Cli:
    """Runs the program with a runtime folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.program = BACKPLANE
        self.rundir = folder / 'run'
        self.rundir.mkdir()
        bin_dir = folder / 'bin'
        bin_dir.mkdir()
        self.poweroff('kill -USR1 $FAKE_VM_PID')
        self.env = {
            **os.environ,
            'BACKPLANE_RUNDIR': str(self.rundir),
            'BACKPLANE_GUEST_DIR': str(folder),
            'FAKE_VM_AGENT': str(AGENT),
            'PATH': f'{bin_dir}:' + os.environ['PATH'],
        }

    def poweroff(self, script):
        """What a fake guest does when it is told to power off."""
        path = self.folder / 'bin/poweroff'
        path.write_text(f'#!/bin/sh\n{script}\n')
        path.chmod(0o755)

    def file(self, text, name='lab.yaml'):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def __call__(self, *args, text=True, **kw):
        kw.setdefault('stdin', None if 'input' in kw else subprocess.DEVNULL)
        if kw['stdin'] is None:
            del kw['stdin']
        return subprocess.run([self.program, *args], env=self.env, text=text,
                              capture_output=True, timeout=DEADLINE,
                              check=False, **kw)

    def ok(self, *args, **kw):
        result = self(*args, **kw)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def popen(self, *args, **kw):
        return subprocess.Popen([self.program, *args], env=self.env, text=True,
                                stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, **kw)

    def labs(self):
        return json.loads(self.ok('ps', '--json'))

    def machine(self, name):
        return next(m for lab in self.labs() for m in lab['machines']
                    if m['name'] == name)

    def wait(self, condition, what):
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, what
            time.sleep(0.05)

    def processes(self):
        """Pids of everything that belongs to this runtime folder."""
        found = []
        for proc in pathlib.Path('/proc').iterdir():
            try:
                environ = (proc / 'environ').read_bytes()
            except (OSError, ValueError):
                continue
            if f'BACKPLANE_RUNDIR={self.rundir}'.encode() in environ:
                found.append(int(proc.name))
        return found

    def assert_nothing_left(self):
        assert list(self.rundir.iterdir()) == []
        self.wait(lambda: not self.processes(), 'a process is left')


@pytest.fixture
def cli(tmp_path):
    # UNIX socket paths are short: pytest's own folders may be too long.
    folder = pathlib.Path(os.path.realpath(
        subprocess.check_output(['mktemp', '-d'], text=True).strip()))
    runner = Cli(folder)
    yield runner
    for pid in runner.processes():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    subprocess.run(['rm', '-r', folder], check=True)


@pytest.fixture
def fake(cli):
    """The program with the stand-in."""
    cli.program = FAKE
    return cli


@pytest.fixture
def two(fake):
    """A lab of two machines that is up."""
    fake.ok('up', fake.file(TWO))
    yield fake
    fake('down')
