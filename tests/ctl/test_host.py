# SPDX-License-Identifier: Apache-2.0
"""`backplane host` on whatever host this is: form, and that it is consistent.
What it finds where KVM runs guests is in tests/guest/test_host.py."""
import json
import os
import re
import shutil

import pytest

VERDICTS = {'yes', 'no', 'denied', 'unknown'}
OUTCOMES = {'traps', 'emulated', 'ignored', 'leaks', 'unknown'}
NEEDED = {'cpu_virtualization', 'kvm', 'kvm_guest', 'memfd'}


def report(cli, *prefix):
    """What it says as JSON, after a look at the exit status."""
    if prefix:
        cli.program, command = prefix[0], [*prefix[1:], cli.program]
        result = cli(*command, 'host', '--json')
    else:
        result = cli('host', '--json')
    found = json.loads(result.stdout)
    assert result.returncode == (0 if found['can_run_guests'] else 1)
    return found


def test_json(cli):
    found = report(cli)
    assert set(found) == {'can_run_guests', 'summary', 'cpu', 'kernel',
                          'virtual_machine', 'probes', 'audit'}
    assert found['kernel'] == ' '.join(os.uname()[i] for i in (0, 2))
    probes = found['probes']
    assert {n for n, p in probes.items() if p['needed']} == NEEDED
    for probe in probes.values():
        assert set(probe) == {'title', 'needed', 'verdict', 'reason',
                              'backplane'}
        assert probe['verdict'] in VERDICTS
        assert probe['title'] and probe['reason'] and probe['backplane']
    assert found['can_run_guests'] == all(
        probes[n]['verdict'] == 'yes' for n in NEEDED)
    for instruction in found['audit']['instructions'].values():
        assert set(instruction) == {'about', 'outcome', 'note'}
        assert instruction['outcome'] in OUTCOMES


def test_classic_list(cli):
    """Every instruction that the lecture's check is about, with a result."""
    audit = report(cli)['audit']
    for name in ('SGDT', 'SIDT', 'SLDT', 'STR', 'SMSW', 'PUSHF', 'POPF', 'LAR',
                 'LSL', 'VERR', 'VERW', 'MOV from segment', 'far CALL',
                 'far JMP', 'far RET', 'IRET', 'INT n'):
        assert audit['instructions'][name]['outcome'] != 'unknown'
    assert audit['virtualizable'] is False
    assert audit['umip'] == (audit['instructions']['SGDT']['outcome'] in
                             ('traps', 'emulated'))
    with open('/proc/cpuinfo', encoding='ascii') as cpuinfo:
        if not re.search(r'^flags.* umip\b', cpuinfo.read(), re.M):
            assert not audit['umip']


def test_text_says_the_same(cli):
    found = report(cli)
    result = cli('host')
    assert result.returncode == (0 if found['can_run_guests'] else 1)
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    words = ' '.join(result.stdout.split())
    assert words.startswith(found['summary'])
    for name, probe in found['probes'].items():
        if name == 'kvm_guest':    # its reason may have a time in it
            assert f"{probe['verdict']} {probe['title']}" in words
        else:
            assert (f"{probe['verdict']} {probe['title']} {probe['reason']} "
                    f"Backplane: {probe['backplane']}") in words
    for name, instruction in found['audit']['instructions'].items():
        assert f"{name} {instruction['outcome']} " in words


def test_cpuinfo_is_the_lectures_check(cli):
    with open('/proc/cpuinfo', encoding='ascii') as cpuinfo:
        flags = re.search(r'^flags\s*:(.*)$', cpuinfo.read(), re.M)[1].split()
    verdict = report(cli)['probes']['cpu_virtualization']['verdict']
    assert (verdict == 'yes') == bool({'vmx', 'svm'} & set(flags))


def test_without_privileges(cli):
    """It says what it cannot tell, and why."""
    if os.geteuid() or not shutil.which('setpriv'):
        pytest.skip('needs root, to give it up')
    if not os.path.exists('/dev/kvm'):
        pytest.skip('needs a /dev/kvm')
    os.chmod(cli.folder, 0o711)
    probes = report(cli, 'setpriv', '--reuid=65534', '--regid=65534',
                    '--clear-groups')['probes']
    assert probes['tun']['verdict'] in ('denied', 'no')
    assert probes['af_xdp']['verdict'] in ('denied', 'no')
    if os.stat('/dev/kvm').st_mode & 0o006 != 0o006:
        assert probes['kvm']['verdict'] == 'denied'
        assert probes['kvm_guest']['verdict'] == 'unknown'
        assert 'cannot tell without' in probes['kvm_guest']['reason']
