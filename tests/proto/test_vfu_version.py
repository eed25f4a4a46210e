# SPDX-License-Identifier: Apache-2.0
"""VERSION: comes first, once, and says what both sides can do."""
import json
import struct
from errno import EINVAL, EOPNOTSUPP, EPROTO, EPROTONOSUPPORT

import pytest

import vfu


@pytest.fixture
def fresh(server):
    """Connected, nothing said yet."""
    return server.client(negotiate=False)


def test_negotiates(fresh):
    major, minor, caps = fresh.negotiate()
    assert (major, minor) == (0, 0)
    assert 1 <= caps["max_msg_fds"] <= 16
    assert caps["max_data_xfer_size"] == vfu.MAX_DATA
    assert caps["pgsizes"] & vfu.PAGE
    assert 0 < caps["max_dma_maps"] <= 65535
    assert caps["write_multiple"] is True


def test_a_later_minor_gets_ours(fresh):
    assert fresh.negotiate(minor=7)[:2] == (0, 0)


def test_what_is_not_proposed_is_not_offered(fresh):
    assert "write_multiple" not in fresh.negotiate(capabilities={})[2]


def test_data_is_optional(fresh):
    assert fresh.negotiate(data=b"")[0] == 0


def test_unknown_capabilities_are_skipped(fresh):
    fresh.negotiate(capabilities={"migration": {"pgsize": 4096}, "new": [1]})


def test_another_major(fresh, refused):
    with refused(EPROTONOSUPPORT):
        fresh.negotiate(major=1)
    assert fresh.is_disconnected()


@pytest.mark.parametrize("length", [0, 1, 3])
def test_short(fresh, refused, length):
    with refused(EINVAL):
        fresh.call(vfu.VERSION, bytes(length))
    fresh.negotiate()


def test_long(fresh, refused):
    with refused(EINVAL):
        fresh.call(vfu.VERSION, bytes(4) + b"{}".ljust(8192) + b"\0")
    fresh.negotiate()


@pytest.mark.parametrize("data", [
    b"{}", b"{\0", b"[]\0", b"\0", b"\xff\xfe\0", b'{"capabilities":7}\0',
    b'{"capabilities":{"max_msg_fds":"many"}}\0',
    b'{"capabilities":{"max_data_xfer_size":-1}}\0',
    b'{"capabilities":{"pgsizes":2097152}}\0', b"[" * 4000 + b"\0",
    b'{"capabilities":{"write_multiple":"yes"}}\0'])
def test_bad_json(fresh, refused, data):
    with refused(EINVAL):
        fresh.negotiate(data=data)
    fresh.negotiate()


def test_with_a_descriptor(fresh, refused):
    memory = vfu.Memory(vfu.PAGE)
    data = json.dumps({}).encode() + b"\0"
    with refused(EINVAL):
        fresh.call(vfu.VERSION, struct.pack("=HH", 0, 0) + data, [memory.fd])
    fresh.negotiate()


def test_twice(client, refused):
    with refused(EINVAL):
        client.negotiate()
    client.get_info()


@pytest.mark.parametrize("command", list(range(2, 20)) + [0, 0xffff])
def test_anything_else_first(fresh, refused, command):
    with refused(EPROTO):
        fresh.call(command, bytes(16))
    assert fresh.is_disconnected()


@pytest.mark.parametrize("command", [
    vfu.DMA_READ, vfu.DMA_WRITE, vfu.DIRTY_PAGES, vfu.DEVICE_FEATURE,
    vfu.MIG_DATA_READ, vfu.MIG_DATA_WRITE, 0, 19, 0xffff])
@pytest.mark.parametrize("length", [0, 16, 65536])
def test_commands_that_are_not_done(client, refused, command, length):
    with refused(EOPNOTSUPP):
        client.call(command, bytes(length))
    client.get_info()
