#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The vhost-user switch beside its peers: DPDK's testpmd (a wire, no look-up)
and Open vSwitch with DPDK (learning by MAC), in one run, taking turns.

    bench/vhost.py [ROUNDS]

The switch has core 0; both machines, stock DPDK virtio-user NICs, have core 1.
Needs root, two cores, huge pages, and Debian's dpdk, libdpdk-dev and
openvswitch-switch-dpdk; a peer that is not installed is left out.  Figures of
one run are to be compared with each other only: each is also given as a ratio
to ours of the same round.
"""
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from ovs import Ovs, reserve_pages

TREE = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = os.environ.get('BACKPLANE', str(TREE / 'build' / 'backplane'))
SECONDS = float(os.environ.get('BENCH_SECONDS', '2'))
CLIENT = TREE / 'build' / 'bench' / 'vhost_pair'

# name: (what is asked of the machines, the figure, better is greater)
TESTS = {
    'flood 64': ('flood 60 {s}', 'mpps', True),
    'flood 512': ('flood 508 {s}', 'mpps', True),
    'flood 1518': ('flood 1514 {s}', 'mpps', True),
    'rtt': ('rtt 60 0 {s}', 'p50_us', False),
    'rtt after 1 ms': ('rtt 60 1000 {s}', 'p50_us', False),
}


class Ours:
    name = 'backplane'

    def __init__(self, directory):
        self.process = subprocess.Popen(
            ['taskset', '-c', '0', PROGRAM, 'serve',
             '--port', f'vhost-user:{directory}/s0',
             '--port', f'vhost-user:{directory}/s1'],
            stderr=subprocess.DEVNULL)

    @staticmethod
    def missing():
        return '' if os.access(PROGRAM, os.X_OK) else PROGRAM

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Testpmd:
    name = 'testpmd'

    def __init__(self, directory):
        self.process = subprocess.Popen(
            ['dpdk-testpmd', '--lcores', '0@0,1@0', '--in-memory', '--no-pci',
             '-m', '256', '--log-level=error',
             '--vdev', f'net_vhost0,iface={directory}/s0,queues=1',
             '--vdev', f'net_vhost1,iface={directory}/s1,queues=1',
             '--', '-i', '--auto-start', '--forward-mode=io'],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    @staticmethod
    def missing():
        return '' if shutil.which('dpdk-testpmd') else 'dpdk'

    def stop(self):
        self.process.terminate()
        self.process.wait()


def build_client():
    flags = subprocess.run(['pkg-config', '--cflags', '--libs', 'libdpdk'],
                           capture_output=True, text=True, check=True).stdout
    CLIENT.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(['cc', '-O2', '-march=native',
                    str(TREE / 'bench' / 'vhost_pair.c'), '-o', str(CLIENT),
                    *flags.split()], check=True)


def measure(dut_class):
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
            vdevs = [f'--vdev=net_virtio_user{i},path={directory}/s{i},'
                     f'queues=1,queue_size=256,mac=02:00:00:00:00:0{i + 1},'
                     'mrg_rxbuf=1,in_order=0,packed_vq=0' for i in (0, 1)]
            client = subprocess.Popen(
                ['taskset', '-c', '1', CLIENT, '--lcores', '0@1',
                 '--in-memory', '--single-file-segments', '--no-pci', '-m',
                 '256', '--log-level=error', *vdevs],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True)
            try:
                while client.stdout.readline().strip() != 'ready':
                    if client.poll() is not None:
                        raise EOFError(f'{dut.name}: the machines have ended')
                answers = {}
                for name, (ask, _, _) in TESTS.items():
                    client.stdin.write(ask.format(s=SECONDS) + '\n')
                    client.stdin.flush()
                    answers[name] = json.loads(client.stdout.readline())
                client.stdin.close()
                client.wait(20)
                return answers
            finally:
                client.kill()
                client.wait()
        finally:
            dut.stop()


def report(rounds):
    """rounds: a list of DUT name -> test name -> answer"""
    print(f'{"":16}' + ''.join(f'{name:>28}' for name in rounds[0]))
    for test, (_, metric, _) in TESTS.items():
        line = f'{test:16}'
        for name in rounds[0]:
            values = [r[name][test][metric] for r in rounds]
            ratio = statistics.median(
                r[Ours.name][test][metric] / r[name][test][metric]
                for r in rounds)
            full = statistics.median(
                r[name][test].get('ring_full_pct', 0) for r in rounds)
            note = f' {full:.0f}% full' if metric == 'mpps' else ''
            line += f'{statistics.median(values):9.2f} ours {ratio:4.2f}x' + \
                f'{note:>9}'
        print(line)
    for name in rounds[0]:
        lost = max(r[name][t].get('lost_pct', 0) for r in rounds
                   for t in TESTS)
        wrong = sum(r[name][t].get(k, 0) for r in rounds for t in TESTS
                    for k in ('bad', 'late'))
        print(f'{name}: lost at most {lost:.3f} %, bad or late {wrong}')
    print('Mpps delivered, p50 of round trips in us; "full": how often the '
          'sender found no room,\nnear 0: the machines limit, near 100: the '
          'switch does')


def main():
    n_rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    if os.geteuid() or not shutil.which('pkg-config') or subprocess.run(
            ['pkg-config', '--exists', 'libdpdk'], check=False).returncode:
        print('skipped: needs root, and Debian\'s libdpdk-dev, dpdk, '
              'librte-net-virtio23, librte-net-vhost23 and '
              'openvswitch-switch-dpdk')
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped'))
    build_client()
    reserve_pages()
    duts = []
    for dut in (Ours, Testpmd, Ovs):
        if dut.missing():
            print(f'{dut.name} is left out: no {dut.missing()}')
        else:
            duts.append(dut)
    report([{dut.name: measure(dut) for dut in duts}
            for _ in range(n_rounds)])


main()
