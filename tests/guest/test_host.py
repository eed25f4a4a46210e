# SPDX-License-Identifier: Apache-2.0
"""`backplane host` where KVM runs guests: it finds that, by running one, and
what follows from missing rights and from a KVM told to do without."""
import json
import subprocess

from machine import PROGRAM


def host(*prefix):
    """Exit status and report."""
    result = subprocess.run([*prefix, PROGRAM, 'host', '--json'], check=False,
                            stdout=subprocess.PIPE, timeout=60)
    return result.returncode, json.loads(result.stdout)


def test_guests_can_run():
    status, found = host()
    assert status == 0 and found['can_run_guests'] is True
    probes = found['probes']
    for name in 'cpu_virtualization', 'kvm', 'kvm_guest', 'memfd':
        assert probes[name]['verdict'] == 'yes', probes[name]
    assert 'in 64-bit mode ran' in probes['kvm_guest']['reason']
    assert ' ns a round of a loop' in probes['kvm_guest']['reason']
    assert probes['tlb_tags']['verdict'] == 'yes'


def test_audit_under_kvm_is_that_of_the_processor():
    """Hardware virtualization does not change what user mode sees."""
    instructions = host()[1]['audit']['instructions']
    for name, outcome in (('CLI', 'traps'), ('POPF', 'ignored'),
                          ('PUSHF', 'leaks'), ('far CALL', 'leaks'),
                          ('far RET', 'ignored'), ('IRET', 'ignored')):
        assert instructions[name]['outcome'] == outcome, instructions[name]


def test_not_for_this_user():
    status, found = host('setpriv', '--reuid=65534', '--regid=65534',
                         '--clear-groups')
    assert status == 1 and found['can_run_guests'] is False
    probes = found['probes']
    assert probes['cpu_virtualization']['verdict'] == 'yes'
    assert probes['kvm']['verdict'] == 'denied'
    assert probes['kvm_guest']['verdict'] == 'unknown'
    assert 'cannot tell without' in probes['kvm_guest']['reason']
