# SPDX-License-Identifier: Apache-2.0
"""A lab for a guest test: `with Lab('examples/demo.yaml') as lab`."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

TREE = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get('BACKPLANE', str(TREE / 'build/backplane'))
SECONDS = 240


class Lab:
    """Up for as long as the `with` block; in a runtime folder of its own."""

    def __init__(self, path):
        self.path = str(TREE / path)
        self.dir = tempfile.mkdtemp(prefix='lab-')

    def run(self, *args):
        return subprocess.run(
            [PROGRAM, *args], capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=SECONDS, check=False,
            env={**os.environ, 'BACKPLANE_RUNDIR': self.dir})

    def ok(self, *args):
        """The output of a command that has to succeed."""
        result = self.run(*args)
        assert result.returncode == 0, (args, result.stdout[-1000:],
                                        result.stderr, self.logs())
        return result.stdout

    def exec(self, machine, command):
        """The output of a shell command in a machine."""
        return self.ok('exec', machine, '--', 'sh', '-c', command)

    def json(self, *args):
        return json.loads(self.ok(*args, '--json'))

    def logs(self):
        return ''.join(log.read_text(errors='replace')[-1000:]
                       for log in pathlib.Path(self.dir).glob('*/*.log'))

    def __enter__(self):
        self.ok('up', '--timeout', '200', self.path)
        return self

    def __exit__(self, *exception):
        self.run('down')
        shutil.rmtree(self.dir, ignore_errors=True)
