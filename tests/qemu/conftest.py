# SPDX-License-Identifier: Apache-2.0
import pytest

from qemu import Server, why_no_qemu


@pytest.fixture(scope='session', autouse=True)
def qemu_is_there():
    reason = why_no_qemu()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def server():
    with Server('a', 'b') as server:
        yield server
