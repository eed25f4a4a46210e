# SPDX-License-Identifier: Apache-2.0
"""Without KVM the guest tests are skipped, each by its name."""
import pytest

import machine


def pytest_collection_modifyitems(items):
    why = machine.why_no_kvm()
    for item in items:
        if why and item.get_closest_marker('no_kvm') is None:
            item.add_marker(pytest.mark.skip(reason=why))


def pytest_configure(config):
    config.addinivalue_line('markers', 'no_kvm: needs no KVM')
