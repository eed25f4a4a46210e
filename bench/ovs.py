# SPDX-License-Identifier: Apache-2.0
"""Open vSwitch with DPDK, as a peer to measure beside."""
import atexit
import os
import pathlib
import re
import subprocess
import sys
import time

VSWITCHD = '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk'
HUGE_PAGES = '/proc/sys/vm/nr_hugepages'
PAGES = 1024


class Ovs:
    """With two vhost-user ports, s0 and s1 in its folder, and one thread that
    polls them, on core 0."""

    name = 'ovs-dpdk'

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.env = {**os.environ, **{
            f'OVS_{k}DIR': str(directory) for k in ('RUN', 'LOG', 'DB',
                                                    'SYSCONF')}}
        self.db = f'unix:{directory}/db.sock'
        self.run('ovsdb-tool', 'create', f'{directory}/conf.db',
                 '/usr/share/openvswitch/vswitch.ovsschema')
        self.processes = [self.start(
            'ovsdb-server', f'{directory}/conf.db', f'--remote=p{self.db}',
            '-vconsole:off')]
        while not (self.dir / 'db.sock').exists():
            time.sleep(0.05)
        self.vsctl('--no-wait', 'init')
        self.vsctl('--no-wait', 'set', 'Open_vSwitch', '.',
                   'other_config:dpdk-init=true',
                   'other_config:pmd-cpu-mask=1',
                   'other_config:dpdk-lcore-mask=1',
                   'other_config:dpdk-extra=--in-memory --no-pci -m 512')
        self.processes.append(self.start(VSWITCHD, self.db, '-vconsole:off'))
        self.vsctl('add-br', 'br0', '--', 'set', 'bridge', 'br0',
                   'datapath_type=netdev')
        for port in ('s0', 's1'):
            self.vsctl('add-port', 'br0', port, '--', 'set', 'interface',
                       port, 'type=dpdkvhostuser')

    @staticmethod
    def missing():
        return '' if os.path.exists(VSWITCHD) else 'openvswitch-switch-dpdk'

    @property
    def pid(self):
        return self.processes[-1].pid

    def busy_cycles(self, _):
        """Of all frames so far"""
        stats = subprocess.run(
            ['ovs-appctl', '-t', str(next(self.dir.glob('*switchd*.ctl'))),
             'dpif-netdev/pmd-stats-show'], env=self.env, check=True,
            capture_output=True, text=True).stdout
        return int(re.search(r'processing cycles: (\d+)', stats)[1])

    def run(self, *command):
        subprocess.run(command, env=self.env, check=True,
                       stdout=subprocess.DEVNULL)

    def start(self, *command):
        return subprocess.Popen(command, env=self.env,
                                stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def vsctl(self, *args):
        self.run('ovs-vsctl', '--db=' + self.db, *args)

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()


def set_pages(n):
    with open(HUGE_PAGES, 'r+', encoding='ascii') as f:
        f.write(str(n))
        f.flush()
        f.seek(0)
        return int(f.read())


def reserve_pages():
    """There are enough huge pages; at the end, as many as before."""
    with open(HUGE_PAGES, encoding='ascii') as f:
        before = int(f.read())
    if before >= PAGES:
        return
    atexit.register(set_pages, before)
    got = set_pages(PAGES)
    if got < PAGES:
        print(f'skipped: needs {PAGES} huge pages of 2 MiB, and there is memory '
              f'for {got}')
        sys.exit()
