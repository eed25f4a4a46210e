#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""TCP between two guests of Debian's QEMU, over our vhost-user ports, over a
Linux bridge with taps, and over Open vSwitch with DPDK.

    bench/tcp.py [ROUNDS]

The guests (TCG) are the same ones all the time, with a virtio-net card on each
switch; the switches take turns.  Needs root; a peer that is not installed is
left out.  Each figure is the median of all rounds, each ratio that of the
rounds' ratios.
"""
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from ovs import Ovs, reserve_pages

TREE = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TREE / 'tests/lib')]
from qemu import (DEBIAN_QEMU, Qemu, Server, tap_nic,      # noqa: E402
                  vhost_nic, why_no_debian_qemu)

SECONDS = float(os.environ.get('BENCH_SECONDS', '3'))
ROUNDS = 5
WAYS = {'there': '', 'back': '-R'}


class Ours:
    name = 'backplane'

    def __init__(self, stack):
        self.server = stack.enter_context(Server(
            ports=['vhost-user:DIR/s0', 'vhost-user:DIR/s1']))

    @staticmethod
    def missing():
        return ''

    def card(self, i, mac):
        return vhost_nic(self.server.path(f's{i}'), mac=mac)

    def turn(self, on):
        """It sleeps by itself."""


class Bridge:
    """Taps of QEMU's, which pass large frames and partial checksums whole."""
    name = 'linux bridge'

    def __init__(self, stack):
        self.bridge = f'bp{os.getpid()}br'
        self.taps = [f'bp{os.getpid()}t{i}' for i in (0, 1)]
        self.ip('link', 'add', self.bridge, 'type', 'bridge')
        stack.callback(self.ip, 'link', 'del', self.bridge)
        for tap in self.taps:
            self.ip('tuntap', 'add', tap, 'mode', 'tap', 'vnet_hdr')
            stack.callback(self.ip, 'link', 'del', tap)
            self.ip('link', 'set', tap, 'master', self.bridge, 'up')
        self.ip('link', 'set', self.bridge, 'up')

    @staticmethod
    def ip(*args):
        subprocess.run(['ip', *args], check=True)

    @staticmethod
    def missing():
        return '' if os.access('/dev/net/tun', os.R_OK | os.W_OK) else \
            '/dev/net/tun'

    def card(self, i, mac):
        return tap_nic(self.taps[i], mac=mac)

    def turn(self, on):
        """It has no threads."""


class OvsDpdk:
    name = Ovs.name

    def __init__(self, stack):
        reserve_pages()
        self.dir = stack.enter_context(tempfile.TemporaryDirectory())
        self.ovs = Ovs(self.dir)
        stack.callback(self.stop)

    def stop(self):
        self.turn(True)
        self.ovs.stop()

    @staticmethod
    def missing():
        return Ovs.missing()

    def card(self, i, mac):
        return vhost_nic(f'{self.dir}/s{i}', mac=mac)

    def turn(self, on):
        """It polls all the time: not while it is another's turn."""
        for process in self.ovs.processes:
            process.send_signal(signal.SIGCONT if on else signal.SIGSTOP)


def boot(stack, duts):
    """The two guests; card n has the address 10.n.0.i"""
    guests = []
    for i in (0, 1):
        macs = [f'52:54:00:00:{n:02x}:{i:02x}' for n in range(len(duts))]
        guests.append(stack.enter_context(Qemu(
            *[dut.card(i, mac) for dut, mac in zip(duts, macs)],
            program=DEBIAN_QEMU, extra=['-cpu', 'max'],
            append=[f'backplane.net={mac}=10.{n}.0.{i + 1}/24'
                    for n, mac in enumerate(macs)])))
    for guest in guests:
        guest.wait_agent()
    guests[1].check('iperf3 -s -D >/dev/null')
    return guests


def measure(guest, n, how):
    """Mbit/s that TCP brings by way of card n"""
    out = json.loads(guest.check(f'iperf3 -J -t {SECONDS} -O 1 {how} '
                                 f'-c 10.{n}.0.2'))
    return out['end']['sum_received']['bits_per_second'] / 1e6


def report(duts, rounds):
    """rounds: a list of way -> a figure for each of duts"""
    print('TCP, Mbit/s' + ''.join(f'{dut.name:>24}' for dut in duts))
    for way in WAYS:
        line = f'{way:11}'
        for n in range(len(duts)):
            value = statistics.median(r[way][n] for r in rounds)
            ratio = statistics.median(r[way][0] / r[way][n] for r in rounds)
            line += f'{value:12.0f}' + (f'  ours {ratio:4.2f}x' if n else
                                        f'{"":12}')
        print(line)
    print(f'medians of {len(rounds)} rounds')


def main():
    n_rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    why = why_no_debian_qemu() or ('' if os.geteuid() == 0 else 'needs root')
    if why:
        print(f'skipped: {why}')
        return
    with contextlib.ExitStack() as stack:
        duts = []
        for dut in Ours, Bridge, OvsDpdk:
            if dut.missing():
                print(f'{dut.name} is left out: no {dut.missing()}')
            else:
                duts.append(dut(stack))
        guest, _ = boot(stack, duts)
        for dut in duts:
            dut.turn(False)
        rounds = []
        for _ in range(n_rounds):
            rates = {way: [] for way in WAYS}
            for n, dut in enumerate(duts):
                dut.turn(True)
                time.sleep(0.5)
                for way, how in WAYS.items():
                    rates[way].append(measure(guest, n, how))
                dut.turn(False)
            rounds.append(rates)
        report(duts, rounds)


main()
