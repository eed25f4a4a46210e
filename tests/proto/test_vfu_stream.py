# SPDX-License-Identifier: Apache-2.0
"""The stream itself: how messages are cut, glued, broken off, flooded."""
import socket
import struct
from errno import EINVAL, EMSGSIZE

import pytest

import vfu
from conftest import wait_for

READ_ID = struct.pack("=QII", 0, vfu.CONFIG, 4)
MAP_PAGE = struct.Struct("=IIQQQ")


def test_byte_by_byte(client):
    for _ in range(3):
        for byte in client.message(vfu.REGION_READ, READ_ID, msg_id=5):
            client.send_raw(bytes([byte]))
        reply = client.recv()
        assert (reply.id, reply.payload[16:]) == (5, b"\x86\x80\x0e\x10")


def test_byte_by_byte_with_a_descriptor(client):
    memory = vfu.Memory(vfu.PAGE)
    data = client.message(vfu.DMA_MAP,
                          MAP_PAGE.pack(32, 3, 0, 0, vfu.PAGE))
    client.send_raw(data[:1], [memory.fd])
    for byte in data[1:]:
        client.send_raw(bytes([byte]))
    assert not client.recv().is_error


def test_glued(client):
    data = b"".join(client.message(vfu.REGION_READ, READ_ID, msg_id=i)
                    for i in range(500))
    client.send_raw(data)
    for i in range(500):
        reply = client.recv()
        assert (reply.id, reply.payload[16:]) == (i, b"\x86\x80\x0e\x10")


def test_glued_with_descriptors(client):
    """QEMU's burst of maps: with, without, with, and more glued to them."""
    memory = vfu.Memory(64 * vfu.PAGE)
    for i in range(64):
        client.send(vfu.DMA_MAP,
                    MAP_PAGE.pack(32, 3, i % 2 * i * vfu.PAGE,
                                  i * vfu.PAGE, vfu.PAGE), msg_id=i,
                    fds=[memory.fd] if i % 2 else [])
    client.send(vfu.RESET, msg_id=64)
    for i in range(65):
        reply = client.recv()
        assert (reply.id, reply.is_error) == (i, False)


def test_a_descriptor_in_the_middle_of_a_message(client):
    memory = vfu.Memory(vfu.PAGE)
    data = client.message(vfu.DMA_MAP, MAP_PAGE.pack(32, 3, 0, 0, vfu.PAGE))
    client.send_raw(data[:20])
    client.send_raw(data[20:], [memory.fd])
    reply = client.recv()
    assert reply.is_error and reply.errno == EINVAL
    client.get_info()


def test_descriptors_with_every_byte(server, client):
    memory = vfu.Memory(vfu.PAGE)
    before = server.count_fds()
    data = client.message(vfu.DMA_MAP, MAP_PAGE.pack(32, 3, 0, 0, vfu.PAGE))
    for byte in data:
        client.send_raw(bytes([byte]), [memory.fd] * 20)
    reply = client.recv()
    assert reply.is_error and reply.errno == EINVAL
    assert wait_for(lambda: server.count_fds() == before)


@pytest.mark.parametrize("size", [0, 1, 15, vfu.MAX_DATA + 33, 0x7fffffff,
                                  0x80000000, 0xffffffff])
def test_impossible_size(client, size):
    client.send(vfu.GET_INFO, bytes(16), size=size)
    reply = client.recv()
    assert reply.is_error and reply.errno == EMSGSIZE
    assert client.is_disconnected()


def test_largest_message(client, refused):
    with refused(EINVAL):		# config space is smaller than that
        client.call(vfu.REGION_WRITE,
                    struct.pack("=QII", 0, vfu.CONFIG, vfu.MAX_DATA) +
                    bytes(vfu.MAX_DATA))
    client.get_info()


@pytest.mark.parametrize("flags", [2, 3, 0xf, vfu.ERROR, 0x40, 0x80000000,
                                   0xffffffe0])
def test_bad_flags(client, refused, flags):
    with refused(EINVAL):
        client.call(vfu.GET_INFO, struct.pack("=IIII", 16, 0, 0, 0),
                    flags=flags)
    client.get_info()


def test_a_reply_is_not_answered(client):
    client.send(vfu.GET_INFO, bytes(16), vfu.REPLY)
    client.send(vfu.DMA_READ, bytes(16), vfu.REPLY | vfu.ERROR)
    client.get_info()
    assert client.silent()


def test_the_error_field_of_a_request_is_ignored(client):
    client.send(vfu.GET_INFO, struct.pack("=IIII", 16, 0, 0, 0), error=5)
    assert not client.recv().is_error


def test_errors_of_posted_messages_are_not_answered(client):
    client.send(77, b"what", vfu.NO_REPLY)
    client.send(vfu.GET_INFO, b"short", vfu.NO_REPLY)
    client.get_info()
    assert client.silent()


@pytest.mark.parametrize("n", [1, 8, 15, 16, 17, 40])
def test_ends_in_the_middle_of_a_message(server, n):
    memory = vfu.Memory(vfu.PAGE)
    client = server.client()
    data = client.message(vfu.DMA_MAP, MAP_PAGE.pack(32, 3, 0, 0, vfu.PAGE))
    client.send_raw(data[:n], [memory.fd])
    client.close()


def test_half_closed(client):
    client.send(vfu.GET_INFO, struct.pack("=IIII", 16, 0, 0, 0))
    assert not client.recv().is_error
    client.sock.shutdown(socket.SHUT_WR)
    assert client.is_disconnected()


def test_gone_before_the_replies(server):
    client = server.client()
    for _ in range(50):
        client.send(vfu.REGION_READ, struct.pack("=QII", 0, vfu.CONFIG, 256))
    client.close()


def test_a_client_that_does_not_read(server, client):
    """It is cut off; meanwhile and afterwards others are served."""
    other = server.client(1)
    data = client.message(vfu.REGION_READ, struct.pack("=QII", 0, vfu.BAR0,
                                                       0x10000))
    client.sock.settimeout(0.2)
    for i in range(2000):
        try:
            client.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            break
        except socket.timeout:
            pass
        if i % 16 == 0:
            other.get_info()
    else:
        pytest.fail("still connected")
    other.get_info()


def test_a_flood_of_requests_does_not_hold_up_others(server, client):
    other = server.client(1)
    client.sock.settimeout(0.05)
    for _ in range(20):
        try:
            client.send_raw(client.message(vfu.GET_INFO, struct.pack(
                "=IIII", 16, 0, 0, 0), vfu.NO_REPLY) * 2000)
        except (socket.timeout, BlockingIOError):
            break
        other.get_info()


def test_a_second_client_is_turned_away(server, client):
    second = server.client(negotiate=False)
    assert second.is_disconnected()
    client.get_info()


def test_many_connections(server, client):
    for _ in range(200):
        server.client(negotiate=False).close()
    client.get_info()


def test_connects_again_and_again(server):
    for _ in range(50):
        with server.reconnect() as client:
            client.get_info()
