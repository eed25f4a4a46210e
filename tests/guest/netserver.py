# SPDX-License-Identifier: Apache-2.0
"""The NIC server of a guest test, and a peer on its switch that is no guest."""
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from machine import PROGRAM

ETH_IP, ETH_ARP, IP_ICMP = 0x0800, 0x0806, 1


class Server:
    """`backplane serve` with a vfio-user port per name and stream port `peer`.

    The address of the i-th NIC is 52:54:00:00:00:0i.
    """

    def __init__(self, *names, model='e1000'):
        self.dir = tempfile.mkdtemp(prefix='server-')
        self.names = names
        self.model = model
        self.start()

    def inodes(self):
        """Of the sockets that are there: a new server makes new ones."""
        paths = [self.path(name) for name in (*self.names, 'peer')]
        return [os.stat(path).st_ino for path in paths
                if os.path.exists(path)]

    def start(self):
        """Once more, after crash()."""
        args = ['--port', 'stream:' + self.path('peer')]
        for name in self.names:
            args += ['--port', f'vfio-user:{self.path(name)},'
                     f'model={self.model},mac={self.mac(name)}']
        stale = self.inodes()
        self.process = subprocess.Popen([PROGRAM, 'serve', *args])
        deadline = time.monotonic() + 20
        while set(new := self.inodes()) & set(stale) or (
                len(new) != len(self.names) + 1):
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)

    def crash(self):
        """Its sockets stay behind."""
        self.process.kill()
        self.process.wait()

    def path(self, name):
        return os.path.join(self.dir, name)

    def mac(self, name):
        return f'52:54:00:00:00:{self.names.index(name):02x}'

    def nic(self, name, slot=None):
        """What `backplane vm` is told to have the port as its card."""
        where = '' if slot is None else f',slot={slot}'
        return ['--nic', f'vfio-user:{self.path(name)}{where}']

    def address(self, name, address):
        """What the guest's init is told of the card's address."""
        return f'backplane.net={self.mac(name)}={address}'

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        if not exception[0]:
            assert status == 0
            assert os.listdir(self.dir) == [], 'sockets were left behind'


def checksum(data):
    """RFC 1071."""
    data += b'\0' * (len(data) % 2)
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Peer:
    """A host on the stream port: answers ARP and ping for every address that
    ends in .99, and can ping."""

    MAC = bytes.fromhex('5254000000ee')

    def __init__(self, server):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(server.path('peer'))
        self.neighbours = {}            # address: MAC, as learnt by ARP
        self.replies = set()            # (address, sequence) of ping answers
        self.arrived = threading.Condition()
        self.thread = threading.Thread(target=self._receive)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.sock.close()

    def _send(self, to, ethertype, payload):
        frame = to + self.MAC + struct.pack('!H', ethertype) + payload
        frame += b'\0' * (60 - len(frame))
        self.sock.sendall(struct.pack('!I', len(frame)) + frame)

    def _read(self, n):
        data = b''
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _receive(self):
        try:
            while True:
                length, = struct.unpack('!I', self._read(4))
                frame = self._read(length)
                ethertype, = struct.unpack_from('!H', frame, 12)
                if ethertype == ETH_ARP:
                    self._arp(frame)
                elif ethertype == ETH_IP and frame[23] == IP_ICMP:
                    self._icmp(frame)
        except (EOFError, OSError):
            pass

    def _arp(self, frame):
        op, = struct.unpack_from('!H', frame, 20)
        mac, address, target = frame[22:28], frame[28:32], frame[38:42]
        with self.arrived:
            self.neighbours[socket.inet_ntoa(address)] = mac
            self.arrived.notify_all()
        if op == 1 and target[3] == 99:
            self._send(mac, ETH_ARP, frame[14:20] + b'\0\2' + self.MAC +
                       target + mac + address)

    def _icmp(self, frame):
        end = 14 + struct.unpack_from('!H', frame, 16)[0]
        ip, icmp = bytearray(frame[14:34]), bytearray(frame[34:end])
        assert checksum(bytes(ip)) == 0 and checksum(bytes(icmp)) == 0
        if icmp[0] == 0:
            with self.arrived:
                self.replies.add((socket.inet_ntoa(frame[26:30]),
                                  struct.unpack_from('!H', icmp, 6)[0]))
                self.arrived.notify_all()
        elif icmp[0] == 8 and ip[19] == 99:
            ip[12:16], ip[16:20] = ip[16:20], ip[12:16]
            icmp[0], icmp[2:4] = 0, b'\0\0'
            icmp[2:4] = struct.pack('!H', checksum(bytes(icmp)))
            self._send(frame[6:12], ETH_IP, bytes(ip + icmp))

    def ping(self, address, sequence, seconds=30):
        """One ping; has it been answered?"""
        source = address.rsplit('.', 1)[0] + '.99'
        src, dst = socket.inet_aton(source), socket.inet_aton(address)
        deadline = time.monotonic() + seconds
        with self.arrived:
            while address not in self.neighbours:
                self._send(b'\xff' * 6, ETH_ARP, b'\0\1\x08\0\6\4\0\1' +
                           self.MAC + src + b'\0' * 6 + dst)
                self.arrived.wait(1)
                if time.monotonic() > deadline:
                    return False
            icmp = struct.pack('!BBHHH', 8, 0, 0, 7, sequence) + b'x' * 24
            icmp = (icmp[:2] + struct.pack('!H', checksum(icmp)) + icmp[4:])
            ip = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(icmp), sequence,
                             0, 64, IP_ICMP, 0) + src + dst
            ip = ip[:10] + struct.pack('!H', checksum(ip)) + ip[12:]
            self._send(self.neighbours[address], ETH_IP, ip + icmp)
            return self.arrived.wait_for(
                lambda: (address, sequence) in self.replies,
                max(0, deadline - time.monotonic()))
