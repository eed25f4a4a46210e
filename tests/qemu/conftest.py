# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lib'))
from qemu import Server, why_no_qemu  # noqa: E402


@pytest.fixture(scope='session', autouse=True)
def qemu_is_there():
    reason = why_no_qemu()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def server():
    with Server('a', 'b') as server:
        yield server
