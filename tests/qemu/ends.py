# SPDX-License-Identifier: Apache-2.0
"""Every kind of client of a switch, two of each, on one LAN:

    vhost   virtio-net, vhost-user, Debian's QEMU
    vfio    virtio-net, vfio-user, QEMU with a vfio-user client
    e1000   e1000, vfio-user, likewise
    stream  QEMU's own e1000, -netdev stream, Debian's QEMU
    tap     a namespace of this host behind a tap
    plain   likewise, but for vnet_hdr=off

A guest has both cards of its kind, the second one in a namespace of its own, so
that the two can talk through the switch.
"""
import contextlib
import os
import re
import subprocess
import tempfile

from qemu import (BUILD, DEBIAN_QEMU, GUEST, QEMU, Qemu, Server, stack_errors,
                  stream_nic, vhost_nic)

XFER = BUILD / 'tests' / 'qemu' / 'xfer'
XFER_PORT = 7000
GUEST_KINDS = ['vhost', 'vfio', 'e1000', 'stream']
TAP_KINDS = ['tap', 'plain']
KINDS = GUEST_KINDS + TAP_KINDS
SECONDS = 120

# What `ethtool -K` calls an offload: its name in `ethtool -k`.
FEATURES = {
    'rx': 'rx-checksumming',
    'tx': 'tx-checksumming',
    'sg': 'scatter-gather',
    'tso': 'tcp-segmentation-offload',
    'gso': 'generic-segmentation-offload',
    'gro': 'generic-receive-offload',
}


class End:
    """One of them.  _run(script) runs a shell's in its namespace."""

    def __init__(self, kind, copy, dev):
        self.kind = kind
        self.name = f'{kind}-{copy}'
        self.dev = dev
        number = KINDS.index(kind) * 2 + copy
        self.ip4, self.ip6 = f'10.9.0.{number}', f'fd09::{number}'
        self.check(f'ip addr add {self.ip4}/24 dev {dev}; '
                   f'ip addr add {self.ip6}/64 dev {dev} nodad; '
                   f'ip link set lo up; ip link set {dev} up; '
                   'iperf3 -s -D >/dev/null')
        self.start(f'xfer serve {XFER_PORT}')
        self.features = [f for f, name in FEATURES.items() if re.search(
            f'{name}: on$', self.check(f'ethtool -k {dev}'), re.M)]

    def __repr__(self):
        return self.name

    def exec(self, script, seconds=SECONDS):
        """Its status, and what it has written"""
        raise NotImplementedError

    def start(self, command):
        """A command that ends with the host"""
        raise NotImplementedError

    def check(self, script, **keywords):
        """The output of a script that has to succeed"""
        status, out = self.exec(script, **keywords)
        assert status == 0, f'{self.name}: {script}: status {status}: {out}'
        return out

    def set_features(self, wanted):
        """Switch offloads (name: on?), see that they are, wait for the link.

        The kernel switches off what cannot be without another.
        """
        wanted = {f: on for f, on in wanted.items() if f in self.features}
        words = ' '.join(f'{f} {"on" if on else "off"}'
                         for f, on in wanted.items())
        out = self.check(f'ethtool -K {self.dev} {words} >/dev/null 2>&1; '
                         f'ethtool -k {self.dev}; ' + self._link_script())
        found = {f: f'\n{FEATURES[f]}: on' in '\n' + out for f in wanted}
        expected = dict(wanted)
        for feature, needs in (('gso', ['sg']), ('tso', ['sg', 'tx'])):
            if feature in wanted and not all(wanted[n] for n in needs):
                expected[feature] = False
        assert found == expected, f'{self.name}: {words}: {out}'

    def _link_script(self):
        return ('for i in $(seq 100); do read s </sys/class/net/'
                f'{self.dev}/carrier; [ "$s" = 1 ] && exit; sleep 0.1; done; '
                'exit 1')

    def set_mtu(self, mtu):
        self.check(f'ip link set {self.dev} mtu {mtu}; ' + self._link_script())

    def talk(self, other, version, *, seed, n_bytes, n_datagrams, longest):
        """Data to `other` and back, compared; what xfer says of it"""
        address = other.ip4 if version == 4 else other.ip6
        return self.check(f'xfer talk {address} {XFER_PORT} {seed} {n_bytes} '
                          f'{n_datagrams} {longest} 2>&1')

    def errors(self):
        """What stack and driver hold against the frames they got or sent"""
        folder = f'/sys/class/net/{self.dev}/statistics'
        out = self.check('cat /proc/net/snmp6 /proc/net/snmp '
                         '/proc/net/netstat; '
                         f'cd {folder}; grep . rx_errors tx_errors '
                         'rx_crc_errors rx_length_errors | tr : " "')
        return stack_errors(out)


class GuestEnd(End):
    """A card in a guest; `netns`: the namespace it is moved to"""

    def __init__(self, kind, copy, vm, mac, netns):
        self.vm = vm
        self.netns = None
        dev = vm.check(f'grep -l {mac} /sys/class/net/*/address').split('/')[4]
        if netns:
            vm.check(f'mkdir -p /var; ln -sf /run /var/; ip netns add {netns}; '
                     f'ip link set {dev} netns {netns}')
            self.netns = netns
        super().__init__(kind, copy, dev)

    def _argv(self, script):
        inside = ['ip', 'netns', 'exec', self.netns] if self.netns else []
        return [*inside, 'sh', '-c', script]

    def exec(self, script, seconds=SECONDS):
        status, out, err = self.vm.exec(*self._argv(script), seconds=seconds)
        return status, out + err

    def start(self, command):
        self.vm.check(*self._argv(f'{command} </dev/null >/dev/null 2>&1 &'))


class TapEnd(End):
    """A namespace of this host; its processes end with it"""

    def __init__(self, kind, copy, tap, netns):
        self.netns = netns
        self.processes = []
        self.path = f'{XFER.parent}:{os.environ["PATH"]}'
        subprocess.run(['ip', 'netns', 'add', netns], check=True)
        try:
            subprocess.run(['ip', 'link', 'set', tap, 'netns', netns],
                           check=True)
            super().__init__(kind, copy, tap)
        except BaseException:
            self.close()
            raise

    def _argv(self, script):
        return ['ip', 'netns', 'exec', self.netns, 'env', f'PATH={self.path}',
                'sh', '-c', script]

    def exec(self, script, seconds=SECONDS):
        result = subprocess.run(self._argv(script), check=False, text=True,
                                timeout=seconds, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
        return result.returncode, result.stdout

    def start(self, command):
        self.processes.append(subprocess.Popen(
            self._argv('exec ' + command), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL))

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
        pids = subprocess.run(['ip', 'netns', 'pids', self.netns], check=True,
                              capture_output=True, text=True).stdout.split()
        if pids:
            subprocess.run(['kill', *pids], check=False)
        subprocess.run(['ip', 'netns', 'del', self.netns], check=True)


def make_initrd(directory):
    """The guest's initrd with xfer in it: its path, in a directory"""
    tree = os.path.join(directory, 'tree')
    os.makedirs(f'{tree}/usr/bin')
    with open(f'{tree}/usr/bin/xfer', 'wb') as file:
        file.write(XFER.read_bytes())
    os.chmod(f'{tree}/usr/bin/xfer', 0o755)
    archive = subprocess.run(
        ['cpio', '-o', '-H', 'newc', '--quiet'], cwd=tree, check=True,
        input=b'usr\nusr/bin\nusr/bin/xfer\n', capture_output=True).stdout
    path = os.path.join(directory, 'initrd')
    with open(path, 'wb') as file:
        file.write((GUEST / 'initrd').read_bytes() + archive)
    return path


def mac_of(kind, copy):
    return f'52:54:00:00:{KINDS.index(kind):02x}:{copy:02x}'


def boot(kind, server, initrd):
    """The guest of a kind"""
    def card(copy):
        mac, name = mac_of(kind, copy), f'{kind}-{copy}'
        if kind == 'vhost':
            return vhost_nic(server.path(name), mac=mac)
        if kind == 'stream':
            return stream_nic(server.path(name), 'e1000', mac=mac)
        return server.nic(name)
    program = DEBIAN_QEMU if kind in ('vhost', 'stream') else QEMU
    return Qemu(card(1), card(2), program=program, initrd=initrd,
                extra=['-cpu', 'max'])


def ports():
    """What the server is told of its ports"""
    result = []
    for kind in GUEST_KINDS:
        for copy in 1, 2:
            path = f'DIR/{kind}-{copy}'
            result.append({
                'vhost': f'vhost-user:{path}',
                'vfio': f'vfio-user:{path},model=virtio-net',
                'e1000': f'vfio-user:{path},model=e1000',
                'stream': f'stream:{path}'}[kind] +
                (f',mac={mac_of(kind, copy)}' if kind in ('vfio', 'e1000')
                 else ''))
    return result


def tap_name(kind, copy):
    return f'bp{os.getpid()}{kind[0]}{copy}'


@contextlib.contextmanager
def lan(workers=1):
    """(server, {name: end}): all of them, running.  Of two workers, one has the
    first of each kind, the other one the second."""
    taps = [f'tap:{tap_name(kind, copy)}' +
            (',vnet_hdr=off' if kind == 'plain' else '')
            for kind in TAP_KINDS for copy in (1, 2)]
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        initrd = make_initrd(directory)
        server = stack.enter_context(Server(
            ports=ports() + taps, extra=['--workers', str(workers)]))
        guests = {kind: stack.enter_context(boot(kind, server, initrd))
                  for kind in GUEST_KINDS}
        ends = {}
        for kind in TAP_KINDS:
            for copy in 1, 2:
                end = TapEnd(kind, copy, tap_name(kind, copy),
                             f'bp-{os.getpid()}-{kind}-{copy}')
                stack.callback(end.close)
                ends[end.name] = end
        for kind, vm in guests.items():
            vm.wait_agent()
            for copy in 1, 2:
                end = GuestEnd(kind, copy, vm, mac_of(kind, copy),
                               'two' if copy == 2 else None)
                ends[end.name] = end
        yield server, ends
