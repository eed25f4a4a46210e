#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The vhost-user switch beside its peers: DPDK's testpmd (a wire, no look-up)
and Open vSwitch with DPDK (learning by MAC), in one run, taking turns.

    bench/vhost.py [ROUNDS]             (3)

The switch has core 0; both machines, stock DPDK virtio-user NICs, have core 1.
Needs root, two cores, huge pages, and Debian's dpdk-dev, libdpdk-dev and
openvswitch-switch-dpdk; a peer that is not installed is left out.

Figures of one run are to be compared with each other only: each is also given
as a ratio to ours of the same round.  Hosts move virtual cores about, and with
them the time a cache line takes from one to the other ("hop"): rounds in which
it was the same for all (near or far) are told apart.

Cycles are those of the time stamp counter that the switch's core was busy for a
frame, as each switch counts them itself; instructions, where perf and the
processor can count them, those of its process in user mode.
"""
import collections
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from ovs import Ovs, reserve_pages

TREE = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = os.environ.get('BACKPLANE', str(TREE / 'build' / 'backplane'))
SECONDS = float(os.environ.get('BENCH_SECONDS', '2'))
TURNS = 4               # of a test, where the machine's best is measured beside
CLIENT = TREE / 'build' / 'bench' / 'vhost_pair'
LIMITS = TREE / 'build' / 'bench' / 'limits'
NEAR_NS = 120           # a hop below it is one between near cores

# name: (what is asked of the machines, the figure, what the machine can do)
TESTS = {
    'flood 64': ('flood 60 {s}', 'mpps', 'copy 60'),
    'flood 512': ('flood 508 {s}', 'mpps', 'copy 508'),
    'flood 1518': ('flood 1514 {s}', 'mpps', 'copy 1514'),
    'rtt': ('rtt 60 0 {s}', 'p50_us', None),
    'rtt after 1 ms': ('rtt 60 1000 {s}', 'p50_us', 'wake 1000'),
    'rtt after 10 ms': ('rtt 60 10000 {s}', 'p50_us', 'wake 10000'),
}
FLOODS = [name for name, test in TESTS.items() if test[1] == 'mpps']


class Connection(http.client.HTTPConnection):
    """To an API on a unix socket."""

    def __init__(self, path):
        super().__init__('localhost')
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Ours:
    name = 'backplane'

    def __init__(self, directory):
        self.api = f'{directory}/api'
        self.process = subprocess.Popen(
            ['taskset', '-c', '0', PROGRAM, 'serve', '--api', self.api,
             '--port', f'vhost-user:{directory}/s0',
             '--port', f'vhost-user:{directory}/s1'],
            stderr=subprocess.DEVNULL)

    @staticmethod
    def missing():
        return '' if os.access(PROGRAM, os.X_OK) else PROGRAM

    @property
    def pid(self):
        return self.process.pid

    def busy_cycles(self, ghz):
        """In all; frames come from the machines."""
        connection = Connection(self.api)
        connection.request('GET', '/v1/worker')
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer['busy_ns'] * ghz

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Testpmd:
    name = 'testpmd'

    def __init__(self, directory):
        self.process = subprocess.Popen(
            ['stdbuf', '-oL', 'dpdk-testpmd', '--lcores', '0@0,1@0',
             '--in-memory', '--no-pci',
             '-m', '256', '--log-level=error',
             '--vdev', f'net_vhost0,iface={directory}/s0,queues=1',
             '--vdev', f'net_vhost1,iface={directory}/s1,queues=1',
             '--', '-i', '--auto-start', '--forward-mode=io',
             '--record-core-cycles'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)

    @staticmethod
    def missing():
        return '' if shutil.which('dpdk-testpmd') else 'dpdk-dev'

    @property
    def pid(self):
        return self.process.pid

    def busy_cycles(self, _):
        self.process.stdin.write('show fwd stats all\n')
        self.process.stdin.flush()
        for line in self.process.stdout:
            found = re.search(r'total cycles=(\d+)', line)
            if found:
                return int(found[1])
        raise EOFError('testpmd has ended')

    def stop(self):
        self.process.terminate()
        self.process.wait()


def build():
    """The machines, and the measure of what two cores can do."""
    flags = subprocess.run(['pkg-config', '--cflags', '--libs', 'libdpdk'],
                           capture_output=True, text=True, check=True).stdout
    CLIENT.parent.mkdir(parents=True, exist_ok=True)
    for program, also in (CLIENT, flags.split()), (LIMITS, ['-pthread']):
        source = TREE / 'bench' / (program.name + '.c')
        subprocess.run(['cc', '-O3', '-march=native', '-D_GNU_SOURCE',
                        str(source), '-o', str(program), *also], check=True)


def limit(what):
    return float(subprocess.run([LIMITS, *what.split()], check=True,
                                capture_output=True, text=True).stdout)


class Machines:
    """Two stock NICs on the sockets of a switch."""

    def __init__(self, directory):
        vdevs = [f'--vdev=net_virtio_user{i},path={directory}/s{i},'
                 f'queues=1,queue_size=256,mac=02:00:00:00:00:0{i + 1},'
                 'mrg_rxbuf=1,in_order=0,packed_vq=0' for i in (0, 1)]
        self.process = subprocess.Popen(
            ['taskset', '-c', '1', CLIENT, '--lcores', '0@1', '--in-memory',
             '--single-file-segments', '--no-pci', '-m', '256',
             '--log-level=error', *vdevs],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        while self.process.stdout.readline().strip() != 'ready':
            if self.process.poll() is not None:
                raise EOFError('the machines have ended')

    def run(self, ask):
        self.process.stdin.write(ask + '\n')
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()


class Instructions:
    """Those of a process while it lasts; .count is None where they cannot be
    counted."""

    PERF = 'perf', 'stat', '-x,', '-e', 'instructions:u'

    def __init__(self, pid):
        self.pid = pid
        self.count = None

    @classmethod
    def missing(cls):
        """Why they cannot be counted, or ''"""
        if not shutil.which('perf'):
            return 'no linux-perf'
        if cls.parse(subprocess.run([*cls.PERF, 'true'], check=False,
                                    capture_output=True, text=True)
                     .stderr) is None:
            return 'the processor shows no performance counters'
        return ''

    @staticmethod
    def parse(text):
        found = re.search(r'^(\d+),[^,]*,instructions', text, re.M)
        return int(found[1]) if found else None

    def __enter__(self):
        self.perf = subprocess.Popen([*self.PERF, '-p', str(self.pid)],
                                     stderr=subprocess.PIPE, text=True)
        time.sleep(0.2)         # it does not say when it has begun
        return self

    def __exit__(self, *_):
        self.perf.send_signal(signal.SIGINT)
        self.count = self.parse(self.perf.communicate()[1])


def run_once(dut, machines, ask, ghz, count_instructions):
    before = dut.busy_cycles(ghz)
    with (Instructions(dut.pid) if count_instructions
          else contextlib.nullcontext()) as instructions:
        answer = machines.run(ask)
    if answer.get('frames'):
        answer['cycles'] = (dut.busy_cycles(ghz) - before) / answer['frames']
        if instructions and instructions.count:
            answer['instructions'] = instructions.count / answer['frames']
    return answer


def run_test(dut, machines, test, ghz, count_instructions):
    """What the machines say; of ours also what this machine can do, and the
    ratio, both by turns: what a wake-up takes changes from second to second"""
    ask, metric, best = test
    if not best or dut.name != Ours.name:
        return run_once(dut, machines, ask.format(s=SECONDS), ghz,
                        count_instructions)
    turns = []
    for _ in range(TURNS):
        answer = run_once(dut, machines, ask.format(s=SECONDS / TURNS), ghz,
                          count_instructions)
        answer['limit'] = limit(best)
        answer['to_limit'] = answer[metric] / answer['limit']
        turns.append(answer)
    worst = dict.fromkeys(('bad', 'late', 'lost', 'lost_pct'), max)
    return {key: worst.get(key, statistics.median)(turn[key] for turn in turns)
            for key in turns[0]}


def turn(dut_class, ghz, count_instructions):
    """One turn of one switch; test name -> what the machines say"""
    with tempfile.TemporaryDirectory() as directory:
        dut = dut_class(directory)
        try:
            end = time.monotonic() + 30
            while not all(os.path.exists(f'{directory}/s{i}')
                          for i in (0, 1)):
                if time.monotonic() > end:
                    raise TimeoutError(f'{dut.name} does not come up')
                time.sleep(0.1)
            time.sleep(1)
            before = limit('hop')
            machines = Machines(directory)
            try:
                # Caches, flow tables and counters warm up.
                machines.run('flood 60 0.1')
                answers = {name: run_test(dut, machines, test, ghz,
                                          count_instructions)
                           for name, test in TESTS.items()}
            finally:
                machines.stop()
            answers['hop'] = (before, limit('hop'))
            return answers
        finally:
            dut.stop()


def mode_of(turns):
    """Of a round: near, far, or both."""
    modes = {'near' if ns < NEAR_NS else 'far'
             for answers in turns.values() for ns in answers['hop']}
    return modes.pop() if len(modes) == 1 else 'mixed'


def median_of(rounds, name, test, metric):
    return statistics.median(r[name][test].get(metric, 0) for r in rounds)


def report_test(rounds, test):
    metric = TESTS[test][1]
    line = f'{test:16}'
    for name in rounds[0]:
        value = median_of(rounds, name, test, metric)
        ratio = statistics.median(
            r[Ours.name][test][metric] / max(r[name][test][metric], 1e-9)
            for r in rounds)
        note = ''
        if metric == 'mpps':
            full = median_of(rounds, name, test, 'ring_full_pct')
            cycles = median_of(rounds, name, test, 'cycles')
            note = f'{full:3.0f}% full {cycles:4.0f} cycles'
            n = median_of(rounds, name, test, 'instructions')
            note += f' {n:4.0f} instr' if n else ''
        line += f'{value:8.2f} {ratio:5.2f}x {note:20}'
    if TESTS[test][2]:
        line += '{:8.2f} {:5.2f}x'.format(
            *(median_of(rounds, Ours.name, test, key)
              for key in ('limit', 'to_limit')))
    print(line)


def report(rounds):
    """rounds: a list of DUT name -> test name -> answer"""
    by_mode = collections.defaultdict(list)
    for turns in rounds:
        by_mode[mode_of(turns)].append(turns)
    for mode, same in by_mode.items():
        print(f'\n{len(same)} of {len(rounds)} rounds: cores {mode}\n{"":16}' +
              ''.join(f'{name:>16}{"":20}' for name in rounds[0]) +
              'machine')
        for test in TESTS:
            report_test(same, test)
    print()
    for name in rounds[0]:
        lost = max(r[name][t].get('lost_pct', 0) for r in rounds
                   for t in TESTS)
        wrong = sum(r[name][t].get(k, 0) for r in rounds for t in TESTS
                    for k in ('bad', 'late'))
        print(f'{name}: lost at most {lost:.3f} %, bad or late {wrong}')
    print('floods: Mpps delivered; rtt: p50 in us; "x": ours to theirs.\n'
          '"full": how often the sender found no room; near 0: the machines '
          'limit, near 100:\nthe switch does.  "cycles": the switch\'s core '
          'was busy for a frame.  "machine": what\ntwo cores can do at best '
          '(and ours to it): one copy and nothing else; one wake-up\nof an '
          'eventfd.')


def main():
    n_rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    if os.geteuid() or not shutil.which('pkg-config') or subprocess.run(
            ['pkg-config', '--exists', 'libdpdk'], check=False).returncode:
        print('skipped: needs root, and Debian\'s libdpdk-dev, dpdk-dev, '
              'librte-net-virtio23, librte-net-vhost23 and '
              'openvswitch-switch-dpdk')
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped'))
    build()
    reserve_pages()
    duts = []
    for dut in (Ours, Testpmd, Ovs):
        if dut.missing():
            print(f'{dut.name} is left out: no {dut.missing()}')
        else:
            duts.append(dut)
    ghz = limit('tsc')
    uncounted = Instructions.missing()
    if uncounted:
        print(f'instructions are not counted: {uncounted}')
    rounds = []
    for i in range(n_rounds):
        rounds.append({})
        for dut in duts:
            print(f'round {i + 1} of {n_rounds}: {dut.name}', file=sys.stderr)
            rounds[-1][dut.name] = turn(dut, ghz, not uncounted)
    report(rounds)


main()
