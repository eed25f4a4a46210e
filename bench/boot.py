#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Boot time of `backplane vm` beside QEMU's microvm.

    tools/kvm-host /usr/bin/python3 bench/boot.py [-n RUNS] [--cpus N]

Both boot the same kernel (the ELF file, by PVH) and the same initrd on the same
host, taking turns; the time is from the start of the process until the guest's
agent answers on the second serial port. Prints medians and their ratio: the
times mean little elsewhere, the ratio does.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

TREE = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TREE / 'tests/guest'))
from machine import GUEST, PROGRAM, Agent, why_no_kvm   # noqa: E402

QEMU = 'qemu-system-x86_64'
SECONDS = 300
MEMORY_MIB = 512
# What both are told. microvm has neither PCI nor ACPI tables that matter here;
# the words that save `backplane vm` time are given to it as well.
CMDLINE = ('console=ttyS0 quiet panic=-1 tsc=reliable i8042.noaux i8042.nokbd '
           '8250.nr_uarts=2 no_timer_check pci=noearly cryptomgr.notests')


def ours(agent, cpus):
    return [PROGRAM, 'vm', '--kernel', str(GUEST / 'vmlinux'),
            '--initrd', str(GUEST / 'initrd'), '--cmdline', CMDLINE,
            '--memory', f'{MEMORY_MIB}M', '--cpus', str(cpus),
            '--console', 'none', '--agent', f'unix:{agent}']


def microvm(agent, cpus):
    """One ISA serial port is all it has by itself; a second is added."""
    return [QEMU, '-M', 'microvm,accel=kvm,isa-serial=off,rtc=on,acpi=on',
            '-cpu', 'host', '-nodefaults', '-no-user-config', '-display',
            'none', '-kernel', str(GUEST / 'vmlinux'),
            '-initrd', str(GUEST / 'initrd'), '-append', CMDLINE,
            '-m', f'{MEMORY_MIB}M', '-smp', str(cpus),
            '-chardev', 'null,id=serial0',
            '-chardev', f'socket,id=agent,path={agent},server=on,wait=off',
            '-device', 'isa-serial,index=0,chardev=serial0',
            '-device', 'isa-serial,index=1,chardev=agent']


def boot_seconds(command, cpus):
    """Start it, wait for the agent, end it."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, 'agent')
        start = time.monotonic()
        process = subprocess.Popen(command(path, cpus),
                                   stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL)
        try:
            agent = None
            while not agent:
                try:
                    agent = Agent(path)
                except OSError:
                    if process.poll() is not None:
                        raise SystemExit(f'{process.args[0]} has ended: '
                                         f'status {process.returncode}') \
                            from None
                    time.sleep(0.005)
            agent.wait_ready(SECONDS)
            return time.monotonic() - start
        finally:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(
        description='Boot time of backplane vm beside QEMU microvm.')
    parser.add_argument('-n', type=int, default=3, metavar='RUNS',
                        help='boots of each (default 3)')
    parser.add_argument('--cpus', type=int, default=1, metavar='N',
                        help='vCPUs of each machine (default 1)')
    args = parser.parse_args()
    why = why_no_kvm()
    if why:
        raise SystemExit(f'boot.py: {why}')
    rows = {'backplane vm': (ours, []), 'QEMU microvm': (microvm, [])}
    for _ in range(args.n):
        for command, times in rows.values():
            times.append(boot_seconds(command, args.cpus))
    print(f'boot to agent, {args.cpus} vCPU(s), {MEMORY_MIB} MiB, '
          f'{args.n} runs each')
    for name, (_, times) in rows.items():
        print(f'  {name:14} median {statistics.median(times):7.2f} s   '
              f'({min(times):.2f} to {max(times):.2f})')
    medians = [statistics.median(times) for _, times in rows.values()]
    print(f'  ratio backplane / microvm: {medians[0] / medians[1]:.2f}')


if __name__ == '__main__':
    main()
