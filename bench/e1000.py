#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Guest to guest over our e1000, and over QEMU's.

    tools/kvm-host /usr/bin/python3 bench/e1000.py [-n ROUNDS] [-t SECONDS] \
        [-f FIGURE]

Four guests of one kernel, driver and image on one KVM host: two machines of
`backplane vm` on one `backplane serve`, two QEMUs joined by -netdev stream. The
pairs take turns. Prints medians and their ratio: the rates mean little
elsewhere, the ratio does. Below them what a packet cost, by the counters that
KVM and the guest's kernel keep for either: sender and receiver together, for
each packet that arrived.

Small packets come from the kernel's pktgen: UDP in frames of 64 bytes with
their CRC, a doorbell each; those that the receiving driver has are counted.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TREE = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TREE / 'tests/guest'), str(TREE / 'tests/lib')]
from machine import PROGRAM, Machine, request, why_no_kvm  # noqa: E402
import qemu                                        # noqa: E402

MEMORY = '192M'
BOOT_SECONDS = 200
PINGS = 300
# What `backplane vm` tells a kernel by itself; for QEMU's.
CMDLINE = ('console=ttyS0 quiet panic=-1 reboot=acpi tsc=reliable i8042.noaux '
           'i8042.nokbd 8250.nr_uarts=2 no_timer_check iommu=noaperture')
# KVM's counters that are shown, in its words.
EXITS = ('exits', 'mmio_exits', 'halt_exits')

PKTGEN = '''
modprobe pktgen; cd /proc/net/pktgen
echo rem_device_all >kpktgend_0
echo add_device eth0 >kpktgend_0
for word in 'count 0' 'pkt_size 60' 'delay 0' 'burst 1' 'dst {address}' \
        'dst_mac {mac}' 'udp_dst_min 9' 'udp_dst_max 9'; do
        echo "$word" >eth0
done
'''
# Writing it comes back once all is sent: a second one stops the first.
SEND = '''
cd /proc/net/pktgen
echo start >pgctrl & sleep {seconds}
echo stop >pgctrl; wait
'''
# Packets, and the time they took, as the guest sees it.
COUNT = '''
cd /sys/class/net/eth0/statistics
read up rest </proc/uptime; read n <rx_packets; echo $up $n
sleep {seconds}
read up rest </proc/uptime; read n <rx_packets; echo $up $n
'''
INTERRUPTS = "awk '/eth0/ { print $2 }' /proc/interrupts"


def api(path, resource):
    return request(path, 'GET', resource)[1]


class Pair:
    """Two guests: 10.0.0.1, which sends, and 10.0.0.2."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='e1000-')
        self.guests = []

    def path(self, name):
        return os.path.join(self.dir, name)

    @staticmethod
    def mac(i):
        return f'52:54:00:00:00:{i:02x}'

    def address(self, i):
        """For the guest's init."""
        return f'backplane.net={self.mac(i)}=10.0.0.{i}/24'

    def kvm(self):
        """KVM's counters of both guests: name to sum."""
        raise NotImplementedError

    def cost(self):
        """All counters there are, of both guests."""
        values = self.kvm()
        values = {name: values.get(name, 0) for name in EXITS}
        values['guest_interrupts'] = sum(int(guest.check(INTERRUPTS))
                                   for guest in self.guests)
        return values

    def close(self):
        for guest in self.guests:
            guest.__exit__(None)
        shutil.rmtree(self.dir, ignore_errors=True)


class Ours(Pair):
    """backplane vm, backplane serve."""
    name = 'backplane'

    def __init__(self):
        super().__init__()
        argv = [PROGRAM, 'serve', '--api', self.path('api')]
        for i in (1, 2):
            argv += ['--port', f'vfio-user:{self.path(f"nic{i}")},'
                     f'model=e1000,mac={self.mac(i)}']
        self.server = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        while not os.path.exists(self.path('api')):
            if self.server.poll() is not None:
                raise SystemExit('backplane serve has ended')
            time.sleep(0.02)
        self.guests = [
            Machine('--memory', MEMORY, '--append', self.address(i),
                    '--api', self.path(f'vm{i}'),
                    '--nic', f'vfio-user:{self.path(f"nic{i}")}')
            for i in (1, 2)]

    def kvm(self):
        values = {}
        for i in (1, 2):
            stats = api(self.path(f'vm{i}'), '/v1/stats')
            for name, value in stats['kvm'].items():
                values[name] = values.get(name, 0) + value
        return values

    def cost(self):
        values = super().cost()
        for port in api(self.path('api'), '/v1/ports')['ports']:
            for row in port['device']:
                name = row['counter']
                values[name] = values.get(name, 0) + row['value']
        return values

    def close(self):
        super().close()
        self.server.terminate()
        self.server.wait()


class Peers(Pair):
    """QEMU's e1000 at both ends of a stream socket."""

    def __init__(self):
        super().__init__()
        version = subprocess.run([qemu.QEMU, '--version'], check=True,
                                 capture_output=True, text=True).stdout
        self.name = 'QEMU ' + re.search(r'version (\S+)', version).group(1)
        for i, role in (1, 'on'), (2, 'off'):
            self.guests.append(qemu.Qemu(
                board='pc', accel='kvm', memory=MEMORY, cmdline=CMDLINE,
                append=[self.address(i)],
                extra=['-cpu', 'host', '-netdev',
                       f'stream,id=n,server={role},addr.type=unix,'
                       f'addr.path={self.path("wire")}',
                       '-device', f'e1000,netdev=n,mac={self.mac(i)}']))
            while not os.path.exists(self.path('wire')):
                if self.guests[0].process.poll() is not None:
                    raise SystemExit(self.guests[0].text('log'))
                time.sleep(0.02)
        self.qmp = [guest.qmp() for guest in self.guests]

    def kvm(self):
        values = {}
        for qmp in self.qmp:
            for vcpu in qmp.call('query-stats', target='vcpu'):
                for stat in vcpu['stats']:
                    if isinstance(stat['value'], int):
                        name = stat['name'].replace('-', '_')
                        values[name] = values.get(name, 0) + stat['value']
        return values


# --- What is measured: each gives (value, packets, seconds) ------------------

def packets(pair, seconds):
    """Small packets a second, as they arrive."""
    sender, receiver = pair.guests
    thread = threading.Thread(
        target=sender.check, args=(SEND.format(seconds=seconds + 2),))
    thread.start()
    time.sleep(1)
    (t0, n0), (t1, n1) = [map(float, line.split()) for line in receiver.check(
        COUNT.format(seconds=seconds)).splitlines()]
    thread.join()
    return (n1 - n0) / (t1 - t0)


def tcp(pair, seconds):
    """Bits a second."""
    out = pair.guests[0].check('iperf3', '-J', '-t', str(seconds),
                               '-c', '10.0.0.2')
    return json.loads(out)['end']['sum_received']['bits_per_second']


def round_trip(pair, _seconds):
    """Seconds that an answer takes: ping, one at a time."""
    out = pair.guests[0].check(f'ping -q -A -c {PINGS} 10.0.0.2')
    return float(out.strip().split('/')[-2]) / 1e3


def received(pair):
    """Packets that have come to both guests."""
    return sum(int(guest.check('cat /sys/class/net/eth0/statistics/rx_packets'))
               for guest in pair.guests)


class Figure:
    """One kind of figure, of both pairs."""

    def __init__(self, what, unit, measure, scale, inverse=False):
        self.what = what
        self.unit = unit
        self.measure = measure
        self.scale = scale
        self.inverse = inverse          # less is more
        self.values = {}                # by pair
        self.costs = {}                 # by pair: counter, per packet

    def take(self, pair, seconds):
        before, n = pair.cost(), received(pair)
        self.values.setdefault(pair, []).append(self.measure(pair, seconds))
        after, n = pair.cost(), max(1, received(pair) - n)
        cost = self.costs.setdefault(pair, {})
        for name in after:
            cost.setdefault(name, []).append((after[name] - before[name]) / n)

    def show(self, pairs):
        medians = [statistics.median(self.values[pair]) for pair in pairs]
        ratio = medians[0] / medians[1]
        print(f'{self.what}, {self.unit}')
        for pair, median in zip(pairs, medians):
            values = [value * self.scale for value in self.values[pair]]
            print(f'  {pair.name:14} median {median * self.scale:9.3f}   '
                  f'({min(values):.3f} to {max(values):.3f})')
        print(f'  ratio {1 / ratio if self.inverse else ratio:.2f}'
              f'{" (times faster)" if self.inverse else ""}')
        for pair in pairs:
            cost = ', '.join(
                f'{name} {statistics.median(values):.3f}'
                for name, values in self.costs[pair].items()
                if any(round(value, 3) for value in values))
            print(f'  a packet, {pair.name}: {cost}')
        sys.stdout.flush()


def set_up(pair):
    for guest in pair.guests:
        guest.wait_agent(BOOT_SECONDS)
    sender, receiver = pair.guests
    # Also waits until both have their link.
    sender.check('ping -c 1 -w 60 10.0.0.2', seconds=70)
    sender.check(PKTGEN.format(address='10.0.0.2', mac=pair.mac(2)))
    receiver.check('iperf3 -s -D')


def main():
    parser = argparse.ArgumentParser(
        description="Our e1000 beside QEMU's, guest to guest.")
    parser.add_argument('-n', type=int, default=3, metavar='ROUNDS',
                        help='of each figure (default 3)')
    parser.add_argument('-t', type=int, default=4, metavar='SECONDS',
                        help='of traffic each (default 4)')
    parser.add_argument('-f', default='', metavar='FIGURE',
                        help='only those with this in their name')
    args = parser.parse_args()
    why = why_no_kvm()
    if why:
        raise SystemExit(f'e1000.py: {why}')
    figures = [
        Figure('UDP in frames of 64 bytes', 'thousand packets/s', packets,
               1e-3),
        Figure('iperf3 TCP', 'Mbit/s', tcp, 1e-6),
        Figure('round trip of a frame', 'us', round_trip, 1e6, inverse=True)]
    figures = [figure for figure in figures if args.f in figure.what]
    pairs = []
    try:
        for kind in Ours, Peers:
            pairs.append(kind())
            set_up(pairs[-1])
        for _ in range(args.n):
            for figure in figures:
                for pair in pairs:
                    figure.take(pair, args.t)
        for figure in figures:
            figure.show(pairs)
    finally:
        for pair in pairs:
            pair.close()


if __name__ == '__main__':
    main()
