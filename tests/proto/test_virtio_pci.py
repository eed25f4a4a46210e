# SPDX-License-Identifier: Apache-2.0
"""virtio-net as a PCI card: its registers, by the rules of VIRTIO 1.2, 3.1 and
4.1, and what becomes of a driver that breaks them.

    a, b --- vfio-user, model=virtio-net (a: 2 queue pairs) --- one switch
"""
import os
import signal
import struct
import subprocess
import time

import pytest

import conftest
import vfu
import virtio_pci as v
from virtio_pci import Device, Ring, frame

PORTS = ['a,model=virtio-net,queues=2,mtu=9000,mac=52:54:00:00:00:0a',
         'b,model=virtio-net,mac=52:54:00:00:00:0b']


class Server:
    def __init__(self, directory):
        self.dir, self.log_path = directory, directory / 'log'
        args = [conftest.BACKPLANE, 'serve']
        for port in PORTS:
            args += ['--port', f'vfio-user:{directory}/{port}']
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(args, stdout=log, stderr=log)
        assert conftest.wait_for(lambda: 'serving' in self.log()), self.log()
        self.n_fds = self.count_fds()

    def log(self):
        return self.log_path.read_text(errors='replace')

    def count_fds(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    def client(self, name):
        while True:
            try:
                return vfu.VfuClient(str(self.dir / name))
            except (vfu.Disconnected, ConnectionError):
                time.sleep(0.01)        # the last one is still being left

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(vfu.DEADLINE) == 0, self.log()
        assert 'Sanitizer' not in self.log(), self.log()
        assert 'runtime error' not in self.log(), self.log()


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    if not os.access(conftest.BACKPLANE, os.X_OK):
        pytest.skip(f'{conftest.BACKPLANE} has not been built')
    server = Server(tmp_path_factory.mktemp('virtio'))
    yield server
    try:
        server.stop()
    finally:
        server.process.kill()


@pytest.fixture
def cards(server):
    """Both; afterwards they still carry frames, and nothing has leaked."""
    clients = [server.client(name) for name in 'ab']
    yield [Device(client) for client in clients]
    for client in clients:
        client.close()
    clients = [server.client(name) for name in 'ab']
    check_traffic(*[Device(client) for client in clients])
    for client in clients:
        client.close()
    assert conftest.wait_for(lambda: server.count_fds() == server.n_fds)


@pytest.fixture
def dev(cards):
    return cards[0]


def check_traffic(a, b, features=v.F_VERSION_1):
    """A frame from a to b."""
    _, tx = a.start(features)
    rx, _ = b.start()
    send(tx, rx)


def send(tx, rx, fill=b'y'):
    data = frame(fill)
    rx.add(BUF_LEN)
    rx.kick()
    tx.add(data)
    tx.kick()
    assert tx.wait()
    head, length = rx.wait()
    at = rx.bufs + head * v.BUF
    assert length == len(data)
    assert rx.dev.mem[at + v.HDR_LEN:at + length] == data[v.HDR_LEN:]


BUF_LEN = v.BUF


@pytest.mark.parametrize('spec, says', [
    ('model=virtio-net,queues=0', 'queues=0: expected'),
    ('model=virtio-net,queues=17', 'queues=17: expected'),
    ('model=virtio-net,mtu=67', 'mtu=67: expected'),
    ('mtu=1500,model=e1000', "e1000 has no option 'mtu'"),
    ('queues=2', "e1000 has no option 'queues'"),
    ('model=virtio-net,caps=full', "virtio-net has no option 'caps'"),
    ('crc=exact,model=virtio-net', "virtio-net has no option 'crc'"),
])
def test_options_that_make_no_sense(tmp_path, spec, says):
    done = subprocess.run(
        [conftest.BACKPLANE, 'serve', '--port', f'vfio-user:{tmp_path}/s,' +
         spec], capture_output=True, text=True, timeout=vfu.DEADLINE,
        check=False)
    assert done.returncode == 1 and says in done.stderr, done


# ---- configuration space ----

def test_identity(dev):
    """4.1.2.1"""
    config = dev.client.region_read(vfu.CONFIG, 0, 0x40)
    assert struct.unpack_from('<HH', config) == (0x1af4, 0x1041)
    assert config[8] >= 1
    assert config[9:12] == b'\0\0\2'
    assert struct.unpack_from('<H', config, 0x2e)[0] >= 0x40


def test_capabilities(dev):
    """4.1.4: one of each structure, aligned, within its BAR, not overlapping;
    MSI-X with a vector for each queue and the configuration."""
    caps = dev.caps
    assert set(caps.found) == {1, 2, 3, 4, 5}
    assert caps.n_vectors == dev.read('num_queues') + 1
    places = sorted(caps.found[kind][:3] for kind in (1, 2, 3, 4))
    for (bar, off, length), after in zip(places, places[1:] + [None]):
        assert off % 4 == 0
        assert off + length <= dev.client.get_region_info(bar)[1]
        if after and after[0] == bar:
            assert off + length <= after[1]
    assert caps.found[v.CAP_COMMON][2] >= 60
    assert caps.found[v.CAP_NOTIFY][2] >= \
        caps.multiplier * (dev.read('num_queues') - 1) + 2


def window(dev, bar, off, length):
    at = dev.caps.found[v.CAP_PCI_CFG][3]
    dev.client.region_write(vfu.CONFIG, at + 4, bytes([bar]))
    dev.client.write32(at + 8, off, vfu.CONFIG)
    dev.client.write32(at + 12, length, vfu.CONFIG)
    return at + 16


def test_window_in_config_space(dev):
    """4.1.4.9: reads and writes, without memory space being enabled"""
    dev.client.write16(4, 0)
    bar, base, *_ = dev.caps.found[v.CAP_COMMON]
    data = window(dev, bar, base + 20, 1)
    dev.client.region_write(vfu.CONFIG, data, b'\x01')
    assert dev.client.region_read(vfu.CONFIG, data, 1) == b'\x01'
    data = window(dev, bar, base + 18, 2)
    assert dev.client.read16(data) == 5
    dev.client.write16(4, 6)
    assert dev.status == v.ACKNOWLEDGE


@pytest.mark.parametrize('bar', [0, 1, 4, 5, 6, 255])
@pytest.mark.parametrize('off', [0, 2, 0x3ffe, 0x3fff, 0x4000, 0xffffffff])
@pytest.mark.parametrize('length', [0, 1, 3, 4, 8, 0xffffffff])
def test_window_on_anything(dev, bar, off, length):
    """T8, T10: it reaches nothing but this card's own registers"""
    data = window(dev, bar, off, length)
    dev.client.write32(data, 0xffffffff, vfu.CONFIG)
    dev.client.read32(data, vfu.CONFIG)


def test_device_configuration(dev):
    """5.1.4; it is read only"""
    assert dev.config(0, 6) == bytes.fromhex('52540000000a')
    assert struct.unpack('<HHH', dev.config(6, 6)) == (1, 2, 9000)
    bar, base, *_ = dev.caps.found[v.CAP_DEVICE]
    dev.client.region_write(bar, base, b'\xff' * 4)
    assert dev.config(0, 6) == bytes.fromhex('52540000000a')


# ---- negotiation ----

def test_features_beyond_64_bits(dev):
    dev.write('device_feature_select', 2)
    assert dev.read('device_feature') == 0
    dev.write('driver_feature_select', 0xffffffff)
    dev.write('driver_feature', 1)
    dev.write('driver_feature_select', 0)
    assert dev.read('driver_feature') == 0


def test_all_that_is_offered_is_taken(dev):
    assert dev.offered() & v.F_VERSION_1
    assert dev.negotiate(dev.offered())


@pytest.mark.parametrize('features', [
    0,                                  # a legacy driver
    v.F_CSUM | v.F_MAC,                 # without VERSION_1
    v.F_VERSION_1 | 1 << 63 | 1 << 50,  # not offered
    v.F_VERSION_1 | 1 << 33,            # ACCESS_PLATFORM: not offered
    v.F_VERSION_1 | v.F_GUEST_TSO4,     # without GUEST_CSUM (5.1.3.1)
    v.F_VERSION_1 | v.F_HOST_TSO4,      # without CSUM
    v.F_VERSION_1 | v.F_CTRL_RX,        # without CTRL_VQ
])
def test_bad_feature_sets_are_refused(dev, features):
    assert not dev.negotiate(features)
    # And it does not run either.
    dev.ok()
    assert not dev.status & (v.DRIVER_OK | v.FEATURES_OK)
    # Once more, better.
    assert dev.negotiate(v.F_VERSION_1)


def test_features_are_settled_by_features_ok(dev):
    assert dev.negotiate(v.F_VERSION_1 | v.F_MAC)
    dev.accept(0)
    dev.write('driver_feature_select', 0)
    assert dev.read('driver_feature') == v.F_MAC


def test_driver_ok_needs_features_ok(dev):
    """3.1.1"""
    dev.status = v.ACKNOWLEDGE | v.DRIVER
    dev.status = v.ACKNOWLEDGE | v.DRIVER | v.DRIVER_OK
    assert dev.status == v.ACKNOWLEDGE | v.DRIVER


def test_status_bits_only_go_by_reset(dev):
    """2.1.1; DEVICE_NEEDS_RESET is the device's"""
    dev.status = v.ACKNOWLEDGE | v.DRIVER
    dev.status = v.NEEDS_RESET | 0x30 | v.ACKNOWLEDGE
    assert dev.status == v.ACKNOWLEDGE | v.DRIVER
    dev.status = v.FAILED
    assert dev.status == v.ACKNOWLEDGE | v.DRIVER | v.FAILED
    dev.status = 0
    assert dev.status == 0


# ---- queues ----

def test_queues_after_reset(dev):
    """4.1.4.3: sizes are powers of two; a queue that is not there has none"""
    n = dev.read('num_queues')
    assert n == 5
    for i in range(n):
        dev.write('queue_select', i)
        size = dev.read('queue_size')
        assert size and size & (size - 1) == 0
        assert dev.read('queue_enable') == 0
        assert dev.read('queue_notify_off') == i
        assert dev.read('queue_msix_vector') == v.NO_VECTOR
    for i in n, n + 1, 0x7fff, 0xffff:
        dev.write('queue_select', i)
        assert dev.read('queue_size') == 0
        for name in ('queue_size', 'queue_enable', 'queue_desc',
                     'queue_msix_vector', 'queue_reset'):
            dev.write(name, 1)
            assert dev.read(name) != 1


@pytest.mark.parametrize('vector', [0, 5, 6, 0x7fff, 0xfffe])
def test_vectors(dev, vector):
    """4.1.5.1.2: one that there is not reads back as none"""
    expected = vector if vector <= 5 else v.NO_VECTOR
    dev.write('queue_select', 1)
    for name in 'queue_msix_vector', 'config_msix_vector':
        dev.write(name, vector)
        assert dev.read(name) == expected


@pytest.mark.parametrize('size', [0, 3, 12, 255, 257, 512, 0x8000, 0xffff])
def test_sizes_that_cannot_be(dev, size):
    """2.7: no power of two, or more than the device has"""
    assert dev.negotiate()
    ring = Ring(dev, 1, 1)
    ring.size = size
    dev.set_up(ring)
    dev.ok()
    assert dev.status & v.NEEDS_RESET
    dev.notify(1)


@pytest.mark.parametrize('area', ['queue_desc', 'queue_driver',
                                  'queue_device'])
@pytest.mark.parametrize('address', [
    v.MEM_SIZE, v.MEM_SIZE - 4, 0x1001, 1 << 40, (1 << 64) - 16,
    (1 << 64) - 1])
def test_rings_outside_memory(dev, area, address):
    assert dev.negotiate()
    ring = Ring(dev, 1)
    dev.set_up(ring, enable=False)
    dev.write(area, address)
    dev.write('queue_enable', 1)
    dev.ok()
    assert dev.status & v.NEEDS_RESET
    ring.add(frame())
    ring.kick()
    assert not ring.wait(0.05)


def test_needs_reset_is_told(dev):
    """2.1.2: by a configuration interrupt; here with INTx and the ISR"""
    intx = vfu.EventFd()
    dev.client.set_irqs(vfu.INTX, vfu.IRQ_EVENTFD | vfu.IRQ_TRIGGER, 0, 1,
                        fds=[intx.fd])
    _, tx = dev.start()
    tx.put('QIHH', tx.desc, 0, 16, 1, 0)        # a chain that is a loop
    tx.put('H', tx.avail + 4, 0)
    tx.put('H', tx.avail + 2, 1)
    tx.kick()
    assert conftest.wait_for(lambda: dev.status & v.NEEDS_RESET)
    assert intx.count() == 1
    assert dev.isr() & 2
    assert dev.isr() == 0


def test_enabled_queues_do_not_change(dev):
    """4.1.4.3.2, and only a reset disables one"""
    _, tx = dev.start()
    dev.write('queue_select', 1)
    dev.write('queue_size', 8)
    dev.write('queue_desc', 0x1000)
    dev.write('queue_enable', 0)
    assert dev.read('queue_size') == v.N
    assert dev.read('queue_desc') == tx.desc
    assert dev.read('queue_enable') == 1


def test_nothing_happens_before_driver_ok(cards):
    """2.1.1"""
    dev, other = cards
    rx = other.start()[0]
    assert dev.negotiate()
    tx = Ring(dev, 1)
    dev.set_up(tx)
    rx.add(v.BUF)
    rx.kick()
    tx.add(frame())
    tx.kick()
    assert not tx.wait(0.05)
    dev.ok()
    assert tx.wait() and rx.wait()


def test_doorbells_of_dead_queues(dev):
    """of queues not set up, not there, and beyond; of any width"""
    dev.start(n_rings=1)
    bar, base, *_ = dev.caps.found[v.CAP_NOTIFY]
    for idx in 0, 1, 2, 4, 5, 100, 1023:
        for width in 1, 2, 4, 8:
            if 4 * idx + width <= 4096:
                dev.client.region_write(bar, base + 4 * idx, b'\xff' * width)
    assert dev.status & v.DRIVER_OK


def test_registers_of_any_width(dev):
    """A write that is no whole field has no effect; a read is of any bytes."""
    bar, base, *_ = dev.caps.found[v.CAP_COMMON]
    dev.write('queue_select', 1)
    dev.client.region_write(bar, base + 22, b'\0')
    dev.client.region_write(bar, base + 20, b'\0' * 4)
    dev.client.region_write(bar, base + 21, b'\0' * 2)
    assert dev.read('queue_select') == 1
    whole = dev.client.region_read(bar, base, 60)
    for off in range(0, 60):
        for width in 1, 2, 4, 8:
            assert dev.client.region_read(bar, base + off, width)[
                :60 - off] == whole[off:off + width]


# ---- resets ----

def test_reset_in_traffic(cards):
    """T15: device status 0 while frames flow, at once and completely"""
    dev, other = cards
    for _ in range(20):
        rx = other.start()[0]
        _, tx = dev.start()
        for _ in range(v.N - 1):
            rx.add(v.BUF)
            tx.add(frame())
        rx.kick()
        tx.kick()
        dev.status = 0
        assert dev.status == 0
        at = tx.get('H', tx.used + 2)
        assert at <= v.N
        time.sleep(0.002)
        assert tx.get('H', tx.used + 2) == at
        dev.write('queue_select', 1)
        assert (dev.read('queue_enable'), dev.read('queue_desc')) == (0, 0)


@pytest.mark.parametrize('kind', ['function level', 'power state', 'client'])
def test_function_reset_in_traffic(cards, kind):
    dev, other = cards
    rx = other.start()[0]
    _, tx = dev.start()
    send(tx, rx)
    rx.add(v.BUF)
    tx.add(frame())
    tx.kick()
    if kind == 'function level':
        dev.client.write16(dev.caps.express + 8, 0x8000)
    elif kind == 'client':
        dev.client.reset()
    else:
        # D3hot keeps everything (No_Soft_Reset), and moves nothing.
        pm = 0x40
        assert dev.client.region_read(vfu.CONFIG, pm, 1) == b'\x01'
        dev.client.write16(pm + 4, 3)
        bar, base, *_ = dev.caps.found[v.CAP_COMMON]
        assert dev.client.read32(base, bar) == 0xffffffff
        used = tx.get('H', tx.used + 2)
        tx.add(frame())
        time.sleep(0.05)
        assert tx.get('H', tx.used + 2) == used
        dev.client.write16(pm + 4, 0)
        assert dev.status & v.DRIVER_OK
        tx.kick()
        assert conftest.wait_for(lambda: tx.get('H', tx.used + 2) == 3)
        return
    dev.client.write16(4, 6)
    assert dev.status == 0
    assert dev.read('queue_msix_vector') == v.NO_VECTOR


def test_bus_mastering_off_and_on(cards):
    """No DMA without it; the queue goes on where it was."""
    dev, other = cards
    rx = other.start()[0]
    _, tx = dev.start()
    send(tx, rx)
    dev.client.write16(4, 2)
    tx.add(frame())
    tx.kick()
    assert not tx.wait(0.05)
    dev.client.write16(4, 6)
    assert tx.wait()
    send(tx, rx, b'z')


def test_one_queue_is_reset(cards):
    """2.6.1: its state is as after a reset; the others go on"""
    dev, other = cards
    rx = other.start()[0]
    own_rx, tx = dev.start(v.F_VERSION_1 | v.F_RING_RESET)
    send(tx, rx)
    dev.write('queue_select', 1)
    dev.write('queue_reset', 1)
    assert (dev.read('queue_reset'), dev.read('queue_enable')) == (0, 0)
    assert dev.read('queue_size') == 256
    tx.add(frame())
    tx.kick()
    assert not tx.wait(0.05)
    tx = Ring(dev, 1, 8)
    dev.set_up(tx)
    send(tx, rx)
    # The other one has been served all the time.
    own_rx.add(v.BUF)
    out = Ring(other, 1)
    other.set_up(out, enable=False)     # enabled already: no effect
    out.add(frame())
    out.kick()
    assert own_rx.wait()


def test_queue_reset_that_was_not_negotiated(cards):
    dev, other = cards
    rx = other.start()[0]
    _, tx = dev.start()
    dev.write('queue_select', 1)
    dev.write('queue_reset', 1)
    assert dev.read('queue_enable') == 1
    send(tx, rx)


# ---- memory ----

def test_memory_goes_and_comes_back(cards):
    """As VMMs do when the map changes elsewhere: nothing is lost."""
    dev, other = cards
    rx = other.start()[0]
    _, tx = dev.start()
    for i in range(10):
        send(tx, rx, bytes([65 + i]))
        dev.client.dma_unmap(0, v.MEM_SIZE)
        tx.add(frame())
        tx.kick()
        assert not tx.wait(0.02)
        rx.add(v.BUF)
        rx.kick()
        dev.client.dma_map(0, v.MEM_SIZE, dev.mem.fd)
        assert tx.wait() and rx.wait()
    assert not dev.status & v.NEEDS_RESET


def test_buffers_outside_memory(cards):
    """T12: given back, or the ring is given up; never reached"""
    dev, other = cards
    other.start()
    _, tx = dev.start()
    for i, (address, length) in enumerate([
            (v.MEM_SIZE, 60), (v.MEM_SIZE - 8, 60), ((1 << 64) - 8, 60),
            (0xfebf0000, 60), (0, 0xffffffff)]):
        slot = i % v.N
        tx.put('QIHH', tx.desc + 16 * slot, address, length, 0, 0)
        tx.put('H', tx.avail + 4 + 2 * slot, slot)
        tx.n_avail += 1
        tx.put('H', tx.avail + 2, tx.n_avail)
        tx.kick()
        assert tx.wait() == (slot, 0)
    assert not dev.status & v.NEEDS_RESET


# ---- interrupts ----

def test_intx_and_isr(cards):
    """4.1.4.5, 4.1.5.3: reading the ISR lowers the pin"""
    dev, other = cards
    intx = vfu.EventFd()
    dev.client.set_irqs(vfu.INTX, vfu.IRQ_EVENTFD | vfu.IRQ_TRIGGER, 0, 1,
                        fds=[intx.fd])
    other.start()
    _, tx = dev.start()
    tx.add(frame())
    tx.kick()
    assert tx.wait()
    assert conftest.wait_for(intx.count)
    assert dev.client.read16(6) & 8
    assert dev.isr() == 1
    assert dev.isr() == 0
    assert not dev.client.read16(6) & 8
    dev.client.set_irqs(vfu.INTX, vfu.IRQ_NONE | vfu.IRQ_UNMASK, 0, 1)
    assert intx.count() == 0


def test_msix(cards):
    """A vector for each queue; none for one that wants none"""
    dev, other = cards
    rx = other.start()[0]
    fds = [vfu.EventFd() for _ in range(6)]
    dev.client.set_irqs(vfu.MSIX, vfu.IRQ_EVENTFD | vfu.IRQ_TRIGGER, 0, 6,
                        fds=[e.fd for e in fds])
    dev.client.write16(dev.caps.msix + 2, 0x8000)
    assert dev.negotiate()
    tx = Ring(dev, 1)
    dev.set_up(tx, vector=4)
    dev.ok()
    send(tx, rx)
    assert conftest.wait_for(fds[4].count)
    dev.write('queue_msix_vector', v.NO_VECTOR)
    send(tx, rx)
    time.sleep(0.02)
    assert [e.count() for e in fds] == [0] * 6
    assert dev.isr() == 0


# ---- doorbells by eventfd ----

def test_doorbell_eventfd(cards):
    """DEVICE_GET_REGION_IO_FDS: one for all queues' doorbells"""
    dev, other = cards
    bar, base, *_ = dev.caps.found[v.CAP_NOTIFY]
    argsz, subs, fds = dev.client.get_region_io_fds(bar)
    assert argsz == 16 + 40 * 5
    assert subs == [(base + i * dev.caps.multiplier, 0, 0, 0, 0)
                    for i in range(5)]
    assert len(fds) == 1
    rx = other.start()[0]
    assert dev.negotiate(v.F_VERSION_1 | v.F_CTRL_VQ | v.F_CTRL_RX)
    tx, ctrl = Ring(dev, 1), Ring(dev, 2)
    dev.set_up(tx)
    dev.set_up(ctrl)
    dev.ok()
    for i in range(20):
        rx.add(v.BUF)
        rx.kick()
        tx.add(frame())
        ctrl.add(b'\0\0', b'\1', 1)
        time.sleep(0.002)               # it sleeps, sometimes
        os.eventfd_write(fds[0], 1)
        assert tx.wait() and rx.wait() and ctrl.wait()
    dev.client.close()
    os.eventfd_write(fds[0], 1)
    os.close(fds[0])


def test_doorbell_eventfd_without_room(dev):
    bar = dev.caps.found[v.CAP_NOTIFY][0]
    for room in 16, 17, 16 + 40 * 5 - 1:
        assert dev.client.get_region_io_fds(bar, room) == (216, [], [])
    assert dev.client.get_region_io_fds(bar + 1) == (16, [], [])


def test_doorbell_eventfd_full_or_read_by_its_owner(dev):
    """T14: the client shares it, and may do with it what it likes"""
    bar = dev.caps.found[v.CAP_NOTIFY][0]
    fd = dev.client.get_region_io_fds(bar)[2][0]
    os.eventfd_write(fd, (1 << 64) - 2)
    os.set_blocking(fd, True)
    assert dev.status == 0
    os.close(fd)
    again = [dev.client.get_region_io_fds(bar)[2][0] for _ in range(100)]
    for fd in again:
        os.close(fd)


# ---- the control queue ----

def test_control_queue(dev):
    """5.1.6.5: after both pairs with MQ, in third place without"""
    for features, idx in ((v.F_MQ, 4), (0, 2)):
        assert dev.negotiate(v.F_VERSION_1 | v.F_CTRL_VQ | v.F_CTRL_RX |
                             features)
        ctrl = Ring(dev, idx)
        dev.set_up(ctrl)
        # Promiscuous mode on: class, command, data, room for the answer.
        dev.mem[ctrl.bufs:ctrl.bufs + 8 * v.BUF] = b'\xff' * 8 * v.BUF
        for i in range(2):
            ctrl.add(b'\0\0', b'\1', 1)
            if i:
                ctrl.kick()
            else:
                dev.ok()
            head, length = ctrl.wait()
            assert length == 1
            assert dev.mem[ctrl.bufs + (head + 2) * v.BUF] == 0
        dev.status = 0
