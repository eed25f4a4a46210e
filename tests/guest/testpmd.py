# SPDX-License-Identifier: Apache-2.0
"""DPDK's testpmd in a guest, between its two e1000s, and frames through it.

    left peer -- switch -- e1000 -- testpmd -- e1000 -- switch -- right peer
"""
import re
import socket
import struct
import time

from machine import BUILD, GUEST

DPDK = BUILD / 'guest-dpdk'
START_SECONDS = 60
LEFT, RIGHT = bytes.fromhex('525400000a01'), bytes.fromhex('525400000a02')
TYPE_TEST = 0x88b5              # IEEE 802, for local experiments

# Both cards away from the kernel's driver; 64 MiB of large pages. There is one
# processor: testpmd's first thread only waits.
START = '''
set -e
mkdir /dev/hugepages
mount -t hugetlbfs none /dev/hugepages
echo 32 >/proc/sys/vm/nr_hugepages
modprobe uio_pci_generic
for card in /sys/bus/pci/drivers/e1000/0000:*; do
        slot=${card##*/}
        echo $slot >$card/driver/unbind
        echo uio_pci_generic >/sys/bus/pci/devices/$slot/driver_override
        echo $slot >/sys/bus/pci/drivers_probe
done
'''
TESTPMD = '''
mkfifo /run/stdin
exec 3<>/run/stdin
dpdk-testpmd --lcores 0@0,1@0 -m 64 --no-telemetry \
        -d librte_net_e1000.so.23 -d librte_mempool_ring.so.23 -- \
        --forward-mode=io --total-num-mbufs=4096 %s \
        <&3 >/run/stdout 2>&1 &
'''


def why_no_dpdk():
    """What keeps a guest from running testpmd; '' if nothing does."""
    if not (DPDK / 'initrd').exists():
        return f'{DPDK} has no image (tools/guest/mk-guest-image --dpdk)'
    return ''


def make_initrd(directory):
    """The guest's initrd with testpmd in it: its path, in a directory."""
    path = directory / 'initrd'
    path.write_bytes((GUEST / 'initrd').read_bytes() +
                     (DPDK / 'initrd').read_bytes())
    return path


class Forwarder:
    """It runs in a guest (tests/guest's or tests/qemu's) from here on."""

    def __init__(self, vm, options=''):
        self.vm = vm
        vm.check(START)
        vm.check(TESTPMD % options)
        deadline = time.monotonic() + START_SECONDS
        # The last that it writes unbuffered. Its receivers are on by then, and
        # the link is, 20 ms later; what comes before it forwards waits.
        while 'Checking link statuses' not in self.text():
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.2)
        time.sleep(1)

    def text(self):
        return self.vm.check('cat /run/stdout')

    def stop(self):
        """Packets that each card has (received, sent), by its own word."""
        self.vm.check('echo >/run/stdin; wait; '
                      'while pidof dpdk-testpmd >/dev/null; do sleep 0.1; done')
        out = self.text()
        result = []
        for port in 0, 1:
            rows = out.split(f'Forward statistics for port {port} ')[1]
            result.append(tuple(
                int(re.search(rf'{way}-packets: (\d+)', rows).group(1))
                for way in ('RX', 'TX')))
        return result


class End:
    """One of the peers, on a stream port."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.sock.settimeout(START_SECONDS)
        self.data = b''

    def send(self, frame):
        self.sock.sendall(struct.pack('!I', len(frame)) + frame)

    def receive(self):
        """The next frame of ours; the guest's kernel may have sent others."""
        while True:
            while len(self.data) < 4 or \
                    len(self.data) < 4 + struct.unpack_from('!I', self.data)[0]:
                more = self.sock.recv(65536)
                assert more, 'the server has gone'
                self.data += more
            end = 4 + struct.unpack_from('!I', self.data)[0]
            frame, self.data = self.data[4:end], self.data[end:]
            if frame[12:14] == struct.pack('!H', TYPE_TEST):
                return frame

    def close(self):
        self.sock.close()


def make_frame(dst, src, number, length):
    head = dst + src + struct.pack('!HI', TYPE_TEST, number)
    body = bytes((number + i) & 0xff for i in range(length - len(head)))
    return head + body


def exchange(left, right, lengths, window):
    """Frames of these lengths to and fro: each comes once, in order, whole.

    At most `window` are on their way, so that none may be dropped.
    """
    for source, target, dst, src in ((left, right, RIGHT, LEFT),
                                     (right, left, LEFT, RIGHT)):
        for start in range(0, len(lengths), window):
            frames = [make_frame(dst, src, start + i, length) for i, length
                      in enumerate(lengths[start:start + window])]
            for frame in frames:
                source.send(frame)
            for frame in frames:
                assert target.receive() == frame
