# SPDX-License-Identifier: Apache-2.0
"""Disks: raw and qcow2 images behind virtio-blk, by modern and legacy driver."""
import hashlib
import os
import subprocess

import pytest

from machine import Machine

SIZE = 64 << 20
# As on the slide, but that the list of names has gained a full stop since.
LSPCI = '00:05.0 SCSI storage controller: Red Hat, Inc. Virtio block device\n'

# Random bytes to a disk and back, past the guest's page cache; prints their
# hash, as the disk has them.
FILL = '''
dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
dd if=/tmp/data of=/dev/{disk} bs=64k conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
dd if=/dev/{disk} of=/tmp/back bs=64k count=64 2>/dev/null
cmp /tmp/data /tmp/back
sha256sum </tmp/back | cut -d ' ' -f 1
'''


def sha256(path):
    with open(path, 'rb') as image:
        return hashlib.sha256(image.read(4 << 20)).hexdigest()


def power_off(vm):
    vm.start_exec('poweroff', '-f')
    assert vm.wait() == 0


def make_raw(tmp_path):
    path = str(tmp_path / 'disk.raw')
    with open(path, 'wb') as image:
        image.truncate(SIZE)
    return path


@pytest.mark.parametrize('legacy', [0, 1], ids=['modern', 'legacy'])
def test_raw(tmp_path, legacy):
    path = make_raw(tmp_path)
    with Machine('--disk', path, '--append',
                 f'virtio_pci.force_legacy={legacy}', '--stats') as vm:
        vm.wait_agent()
        assert vm.check('lspci -s 00:05.0') == LSPCI
        assert vm.check('cat /sys/block/vda/size /sys/block/vda/serial') == \
            f'{SIZE // 512}\ndisk@5'
        want = vm.check(FILL.format(disk='vda')).strip()
        used = os.stat(path).st_blocks
        if not legacy:
            vm.check('blkdiscard -o 1048576 -l 2097152 /dev/vda')
            assert os.stat(path).st_blocks <= used - (2 << 20) // 512
            vm.check('dd if=/tmp/data of=/dev/vda bs=64k conv=fsync')
        # A second machine is turned away.
        other = Machine('--disk', path)
        assert other.wait() == 1 and b'another machine' in other.errors
        other.close()
        power_off(vm)
        # By its registers in memory or in ports, as it was to be.
        errors = vm.errors.decode()
        assert ('disk@5 bar0' in errors) == bool(legacy)
        assert ('disk@5 bar4' in errors) == (not legacy)
    assert sha256(path) == want


def test_qcow2_on_pcie_and_read_only(tmp_path):
    path = str(tmp_path / 'disk.qcow2')
    subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', path,
                    str(SIZE)], check=True)
    raw = make_raw(tmp_path)
    with Machine('--board', 'pcie', '--disk', path, '--disk',
                 raw + ',ro=yes') as vm:
        vm.wait_agent()
        want = vm.check(FILL.format(disk='vda')).strip()
        assert vm.check('cat /sys/block/vdb/ro') == '1\n'
        assert vm.exec('dd if=/tmp/data of=/dev/vdb bs=512 count=1')[0]
        power_off(vm)
    subprocess.run(['qemu-img', 'check', '-q', path], check=True)
    converted = str(tmp_path / 'converted')
    subprocess.run(['qemu-img', 'convert', '-O', 'raw', path, converted],
                   check=True)
    assert sha256(converted) == want
