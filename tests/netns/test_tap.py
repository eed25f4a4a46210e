# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces of this host, joined by taps through our switch:

    namespace bp-PID-a          backplane serve          namespace bp-PID-b
    10.77.0.1, fd77::1   tap ---- switch ---- tap        10.77.0.2, fd77::2

Needs root, and nothing of the host's own network changes.
"""
import contextlib
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BACKPLANE = os.environ.get('BACKPLANE', ROOT / 'build' / 'backplane')
DEADLINE = 20
ADDRS = {'a': ('10.77.0.1', 'fd77::1'), 'b': ('10.77.0.2', 'fd77::2')}

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason='needs root'),
    pytest.mark.skipif(not os.path.exists('/dev/net/tun'),
                       reason='needs /dev/net/tun'),
]


def ip(*args):
    subprocess.run(['ip', *args], check=True, timeout=DEADLINE)


class Host:
    """One end: a namespace, with the tap in it."""

    def __init__(self, name):
        self.name = name
        self.netns = f'bp-{os.getpid()}-{name}'
        self.tap = f'bp{os.getpid()}{name}'[-15:]
        self.ip4, self.ip6 = ADDRS[name]
        ip('netns', 'add', self.netns)

    def plug(self, **link):
        """Take the tap over and bring it up."""
        ip('link', 'set', self.tap, 'netns', self.netns)
        for key, value in link.items():
            ip('-n', self.netns, 'link', 'set', self.tap, key, str(value))
        ip('-n', self.netns, 'addr', 'add', self.ip4 + '/24', 'dev', self.tap)
        ip('-n', self.netns, 'addr', 'add', self.ip6 + '/64', 'dev', self.tap,
           'nodad')
        ip('-n', self.netns, 'link', 'set', 'lo', 'up')
        ip('-n', self.netns, 'link', 'set', self.tap, 'up')

    def command(self, *args):
        return ['ip', 'netns', 'exec', self.netns, *map(str, args)]

    def run(self, *args, **kw):
        kw = {'timeout': DEADLINE, 'capture_output': True, 'text': True,
              'check': True, **kw}
        return subprocess.run(self.command(*args), **kw)

    def start(self, *args, **kw):
        return subprocess.Popen(self.command(*args), text=True,
                                stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, **kw)

    def remove(self):
        ip('netns', 'del', self.netns)


class Lab:
    """Two hosts and the server between them."""

    def __init__(self, folder):
        self.folder = folder
        self.a, self.b = Host('a'), Host('b')

    def get(self, path):
        """GET from the control API."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(DEADLINE)
            sock.connect(str(self.folder / 'api'))
            sock.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\n'
                         'Connection: close\r\n\r\n'.encode())
            answer = b''
            while piece := sock.recv(65536):
                answer += piece
        head, body = answer.split(b'\r\n\r\n', 1)
        assert b' 200 ' in head.splitlines()[0], head
        return json.loads(body)

    def counters(self, host):
        return next(p['counters'] for p in self.get('/v1/ports')['ports']
                    if p['name'] == host.tap)


@contextlib.contextmanager
def joined(folder, options='', **link):
    """link: what `ip link set` is told of both; options: of a's port."""
    lab = Lab(folder)
    args = ['serve', '--api', str(folder / 'api')]
    for host in (lab.a, lab.b):
        args += ['--port', f'tap:{host.tap}' +
                 (options if host is lab.a else '')]
    try:
        with subprocess.Popen([BACKPLANE, *args], stderr=subprocess.PIPE,
                              cwd=folder, text=True) as server:
            try:
                line = server.stderr.readline()
                assert 'serving' in line, line + server.stderr.read()
                lab.a.plug(**link)
                lab.b.plug(**link)
                yield lab
                assert server.poll() is None, 'the server has ended'
            finally:
                server.send_signal(signal.SIGTERM)
                try:
                    server.communicate(timeout=DEADLINE)
                except subprocess.TimeoutExpired:
                    server.kill()
                    raise
        assert server.returncode == 0
    finally:
        lab.a.remove()
        lab.b.remove()


@pytest.fixture
def lab(tmp_path):
    with joined(tmp_path) as both:
        yield both


@pytest.mark.parametrize('family', ['4', '6'])
def test_ping(lab, family):
    if not shutil.which('ping'):
        pytest.skip('needs ping')
    to = lab.b.ip4 if family == '4' else lab.b.ip6
    out = lab.a.run('ping', '-' + family, '-c', 10, '-i', '0.05', '-w', 10,
                    to).stdout
    assert ' 10 received' in out


# Data that the other end can make for itself; sent with the given write size.
SEND = '''
import hashlib, random, socket, sys
to, n, chunk = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sock = socket.create_connection((to, 7000), timeout=15)
data = random.Random(n).randbytes(n)
for i in range(0, n, chunk):
    sock.sendall(data[i:i + chunk])
sock.shutdown(socket.SHUT_WR)
print(sock.recv(100).decode())
'''

RECEIVE = '''
import hashlib, socket, sys
sock = socket.create_server((sys.argv[1], 7000), family=
        socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)
print('ready', flush=True)
sock.settimeout(15)
peer, _ = sock.accept()
peer.settimeout(15)
digest = hashlib.sha256()
while data := peer.recv(1 << 20):
    digest.update(data)
peer.sendall(digest.hexdigest().encode())
'''


def transfer(sender, receiver, to, size, chunk):
    """Send data over TCP and compare what has arrived."""
    with receiver.start(sys.executable, '-c', RECEIVE, to) as server:
        try:
            assert server.stdout.readline() == 'ready\n'
            out = sender.run(sys.executable, '-c', SEND, to, size, chunk)
        finally:
            server.kill()
    want = hashlib.sha256(random.Random(size).randbytes(size)).hexdigest()
    assert out.stdout.strip() == want


@pytest.mark.parametrize('family', [0, 1], ids=['ip4', 'ip6'])
@pytest.mark.parametrize('chunk', [1 << 20, 1000, 61])
def test_tcp_data(lab, family, chunk):
    size = min(64 << 20, chunk * 20000)
    to = (lab.b.ip4, lab.b.ip6)[family]
    transfer(lab.a, lab.b, to, size, chunk)
    counters = lab.counters(lab.b)
    if chunk == 1 << 20:
        # It went through in large frames, which nobody had to cut up.
        assert counters['rx_frames'] < size / 10000
        assert counters['gso_cut'] == 0
    assert counters['bad_offload'] == 0


def test_tcp_without_offloads_of_the_sender(lab):
    if not shutil.which('ethtool'):
        pytest.skip('needs ethtool')
    lab.a.run('ethtool', '-K', lab.a.tap, 'tx', 'off', 'tso', 'off', 'gso',
              'off')
    transfer(lab.a, lab.b, lab.b.ip4, 8 << 20, 1 << 20)
    # Each frame by itself, as on a wire.
    assert lab.counters(lab.a)['tx_frames'] > (8 << 20) / 1460


def test_without_vnet_hdr(tmp_path):
    """One tap passes offloads on, the other has them cut up and completed."""
    with joined(tmp_path, options=',vnet_hdr=off') as lab:
        size = 8 << 20
        transfer(lab.a, lab.b, lab.b.ip4, size, 1 << 20)
        assert lab.counters(lab.a)['tx_frames'] > size / 1460
        transfer(lab.b, lab.a, lab.a.ip6, size, 1 << 20)
        counters = lab.counters(lab.a)
        assert counters['rx_frames'] > size / 1460
        assert counters['gso_cut'] and counters['csum_filled']
        assert lab.counters(lab.b)['gso_cut'] == 0


def test_small_mtu(tmp_path):
    with joined(tmp_path, mtu=1280) as lab:
        transfer(lab.a, lab.b, lab.b.ip6, 8 << 20, 1 << 20)


def test_jumbo(tmp_path):
    with joined(tmp_path, mtu=65521) as lab:
        transfer(lab.a, lab.b, lab.b.ip4, 64 << 20, 1 << 20)
        out = lab.a.run('ping', '-c', 3, '-i', '0.1', '-M', 'do', '-s', 60000,
                        lab.b.ip4).stdout
        assert ' 3 received' in out


def test_vlan(lab):
    """Tagged traffic passes, large frames too."""
    for host, addr in ((lab.a, '10.78.0.1'), (lab.b, '10.78.0.2')):
        made = host.run('ip', 'link', 'add', 'link', host.tap, 'name', 'v5',
                        'type', 'vlan', 'id', '5', check=False)
        if made.returncode != 0:
            pytest.skip('needs VLAN devices (8021q)')
        ip('-n', host.netns, 'addr', 'add', addr + '/24', 'dev', 'v5')
        ip('-n', host.netns, 'link', 'set', 'v5', 'up')
    transfer(lab.a, lab.b, '10.78.0.2', 32 << 20, 1 << 20)
    assert lab.counters(lab.b)['rx_frames'] < (32 << 20) / 10000


# A tagged frame by hand.  The kernel takes the tag out on its way in and gives
# it in struct tpacket_auxdata: tci and tpid are its last two halves.
SEND_TAGGED = '''
import socket, sys
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sock.bind((sys.argv[1], 0))
sock.send(bytes.fromhex('ffffffffffff' '525400000001' '8100a005' '88b5') +
          b'tagged' + bytes(40))
'''

RECEIVE_TAGGED = '''
import socket, struct, sys
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
sock.bind((sys.argv[1], 3))
sock.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA
sock.settimeout(15)
print('ready', flush=True)
while True:
    data, anc, _, _ = sock.recvmsg(2000, 200)
    if b'tagged' in data:
        break
print(data[12:20], *struct.unpack('IIIHHHH', anc[0][2])[5:])
'''


def test_tagged_frame(lab):
    with lab.b.start(sys.executable, '-c', RECEIVE_TAGGED,
                     lab.b.tap) as receiver:
        try:
            assert receiver.stdout.readline() == 'ready\n'
            lab.a.run(sys.executable, '-c', SEND_TAGGED, lab.a.tap)
            said = receiver.communicate(timeout=DEADLINE)[0]
        finally:
            receiver.kill()
    assert said == f"{bytes.fromhex('88b5') + b'tagged'} {0xa005} {0x8100}\n"


# Frames and headers before them (struct virtio_net_hdr) that no program of good
# will sends.  The kernel takes some of them; says how many.
SEND_HOSTILE = '''
import random, socket, struct, sys
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sock.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
sock.bind((sys.argv[1], 0))
rnd, taken = random.Random(1), 0

def send(frame, *hdr):
    global taken
    try:
        sock.send(struct.pack('<BBHHHH', *hdr or [0] * 6) + frame)
        taken += 1
    except OSError:
        pass

eth = bytes.fromhex('ffffffffffff' '525400000001')
for length in [*range(61), 1514, 9000, 65535, 65535 + 14, 65549, 65550, 70000]:
    send((eth + b'\\x88\\xb5' + bytes(length))[:length])
for i in range(20000):
    ip6, proto = rnd.choice([0, 1]), rnd.choice([6, 17])
    l4 = rnd.randbytes(12) + bytes([rnd.choice([0x50, 0, 0xf0]), 16]) + (
        rnd.randbytes(rnd.choice([6, 50, 3000])))
    ip = (struct.pack('>IHBB', 6 << 28, len(l4), proto, 9) + bytes(32) if ip6
          else struct.pack('>BBHHHBBH', rnd.choice([0x45, 0x4f, 0x41]), 0,
                           rnd.choice([20 + len(l4), 0, 65535]), 1, 0, 9,
                           proto, 0) + bytes(8))
    edge = [0, 1, 13, 14, 34, 54, 55, 1000, 65535]
    l4_off = 14 + len(ip)
    send(eth + (b'\\x86\\xdd' if ip6 else b'\\x08\\0') + ip + l4,
         rnd.choice([0, 1, 1, 2]), rnd.choice([0, 1, 3, 4, 5, 0x81]),
         rnd.choice(edge + [l4_off + 20]), rnd.choice(edge),
         rnd.choice(edge + [l4_off] * 8), rnd.choice([6, 16, 16, 65535]))
print(taken)
'''


@pytest.mark.parametrize('options', ['', ',vnet_hdr=off'])
def test_hostile_frames(tmp_path, options):
    """T6, T7, T23: each is passed on or counted, and nothing is held up."""
    with joined(tmp_path, options=options, mtu=9000) as lab:
        out = lab.a.run(sys.executable, '-c', SEND_HOSTILE, lab.a.tap).stdout
        print(f'the kernel took {out.strip()}')
        assert int(out) > 2000
        transfer(lab.a, lab.b, lab.b.ip4, 1 << 20, 1 << 20)
        for host in (lab.a, lab.b):
            host.run('ip', 'link', 'set', host.tap, 'down')
        # What its queue had no room for is the kernel's to count.
        lost = int(lab.a.run('cat', f'/sys/class/net/{lab.a.tap}/statistics/'
                             'tx_dropped').stdout)
        counters = lab.counters(lab.a)
        assert counters['tx_frames'] + counters['bad_offload'] + (
            counters['tx_bad_len']) + lost >= int(out)
        network = lab.get('/v1/networks/default/verdicts')
        assert sum(v['frames'] for v in network['verdicts']) == sum(
            lab.counters(h)['tx_frames'] for h in (lab.a, lab.b))


@pytest.mark.parametrize('reverse', [False, True])
def test_iperf3(lab, reverse):
    if not shutil.which('iperf3'):
        pytest.skip('needs iperf3')
    with lab.b.start('iperf3', '-s', '-1', '--forceflush') as server:
        try:
            while 'listening' not in server.stdout.readline():
                assert server.poll() is None
            out = lab.a.run('iperf3', '-c', lab.b.ip4, '-t', 2, '-J',
                            *(['-R'] if reverse else [])).stdout
        finally:
            server.kill()
    end = json.loads(out)['end']
    print(f"{end['sum_received']['bits_per_second'] / 1e9:.1f} Gbit/s")
    # Far below what any machine does, far above what a stall would leave.
    assert end['sum_received']['bits_per_second'] > 100e6


def test_every_frame_has_one_verdict(lab):
    transfer(lab.a, lab.b, lab.b.ip4, 1 << 20, 1 << 20)
    lab.a.run('ip', 'link', 'set', lab.a.tap, 'down')
    lab.b.run('ip', 'link', 'set', lab.b.tap, 'down')
    time.sleep(0.1)
    network = lab.get('/v1/networks/default/verdicts')
    total = sum(v['frames'] for v in network['verdicts'])
    assert total == sum(lab.counters(h)['tx_frames'] for h in (lab.a, lab.b))


def test_interface_down_and_up(lab):
    transfer(lab.a, lab.b, lab.b.ip4, 1 << 20, 1 << 20)
    ip('-n', lab.b.netns, 'link', 'set', lab.b.tap, 'down')
    lab.a.run('ping', '-c', 2, '-i', '0.1', '-w', 1, lab.b.ip4, check=False)
    assert lab.counters(lab.b)['rx_link_down'] > 0
    ip('-n', lab.b.netns, 'link', 'set', lab.b.tap, 'up')
    transfer(lab.a, lab.b, lab.b.ip4, 1 << 20, 1 << 20)


def refused(*args):
    result = subprocess.run([BACKPLANE, 'serve', *args], timeout=DEADLINE,
                            capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


@pytest.mark.parametrize('name', ['a/b', 'a b', 'a%d', 'x' * 16, '..'])
def test_bad_names_are_refused(name):
    assert 'interface name' in refused('--port', 'tap:' + name)


def test_interface_in_use_is_refused(lab):
    # In its namespace, where the name is taken.
    result = subprocess.run(
        lab.a.command(BACKPLANE, 'serve', '--port', 'tap:' + lab.a.tap),
        timeout=DEADLINE, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert 'another program' in result.stderr


def test_bad_option_is_refused():
    assert 'expected on or off' in refused('--port', 'tap:t0,vnet_hdr=maybe')


def test_not_a_tap_is_refused():
    assert 'lo' in refused('--port', 'tap:lo')
