#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `backplane serve` costs while nothing happens.

usage: bench/idle.py [SECONDS]          (30)

Prints the processor time and wake-ups of the server with 16 silent clients;
and, where KVM runs guests, with two idle guests, whose driver's watchdog reads
its statistics every 2 s.
"""
import os
import signal
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path += [TOP + '/tests/guest', TOP + '/tests/proto']

import machine          # noqa: E402  pylint: disable=wrong-import-position
import netserver        # noqa: E402  pylint: disable=wrong-import-position
import vfu              # noqa: E402  pylint: disable=wrong-import-position

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 30


def used(pid):
    """Processor seconds and voluntary context switches of all threads."""
    ticks = switches = 0
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/stat', encoding='ascii') as f:
            fields = f.read().rsplit(')', 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
        with open(f'/proc/{pid}/task/{task}/status', encoding='ascii') as f:
            switches += sum(int(line.split()[1]) for line in f
                            if line.startswith('voluntary'))
    return ticks / os.sysconf('SC_CLK_TCK'), switches


def watch(what, pid):
    time.sleep(3)                       # links come up, caches warm
    before = used(pid)
    time.sleep(SECONDS)
    after = used(pid)
    print(f'{what}: {100 * (after[0] - before[0]) / SECONDS:.2f} % of a core, '
          f'{(after[1] - before[1]) / SECONDS:.1f} wake-ups a second, '
          f'over {SECONDS:.0f} s', flush=True)


def main():
    names = [f'n{i}' for i in range(16)]
    with netserver.Server(*names) as server:
        clients = [vfu.VfuClient(server.path(name)) for name in names]
        watch('16 silent clients', server.process.pid)
        for client in clients:
            client.close()
    why = machine.why_no_kvm()
    if why:
        print(f'two idle guests: not measured: {why}')
        return
    with netserver.Server('a', 'b') as server:
        guests = [machine.Machine('--memory', '256M', *server.nic(name),
                                  '--append',
                                  server.address(name, f'10.0.0.{i}/24'))
                  for i, name in enumerate('ab', 1)]
        for guest in guests:
            guest.wait_agent()
        watch('two idle guests', server.process.pid)
        for guest in guests:
            guest.signal(signal.SIGTERM)
            guest.wait()
            guest.close()


main()
