# SPDX-License-Identifier: Apache-2.0
"""Reference pages, man pages and completions say what the program says: all of
it, and nothing else."""
import re
import subprocess

import pytest

from conftest import ROOT

# Which man page a command is in.
PAGES = {
    **dict.fromkeys(('up', 'down', 'ps', 'exec', 'console', 'show', 'link',
                     'attach', 'detach'), 'backplane-up.1'),
    'serve': 'backplane-serve.1', 'vm': 'backplane-vm.1',
    'host': 'backplane-host.1', 'lab': 'backplane.1',
}


def man(page):
    return (ROOT / 'man' / page).read_text(encoding='utf-8')


def help_options(cli, command):
    """Long options, as --help has them at the start of its lines."""
    return set(re.findall(r'^ +(?:-\w, )?--([a-z][a-z-]*)',
                          cli.ok(command, '--help'), re.M))


def man_options(command):
    """Long options in the command's part of the synopsis."""
    synopsis = man(PAGES[command]).partition('.Sh SYNOPSIS')[2].partition(
        '.Sh')[0]
    part = '\n'.join(text for text in synopsis.split('.Nm ')
                     if text.startswith(f'backplane {command}\n'))
    return set(re.findall(r'(?:Fl|,) -([a-z][a-z-]*)', part))


def complete(*words):
    """What bash completes the last word to, where no lab is up."""
    line = ' '.join(('backplane', *words))
    # As readline cuts it up: ':' and '=' are words of their own.
    cut = [w for w in re.split(r'\s+|(?<=[:=])|(?=[:=])', line)]
    script = '''
        source "$1"; shift
        COMP_LINE=$1 COMP_POINT=${#1}; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _backplane_names() { :; }
        _backplane
        printf '%s\\n' "${COMPREPLY[@]}"'''
    return subprocess.check_output(
        ['bash', '-c', script, 'bash', ROOT / 'completions/backplane.bash',
         line, *cut], text=True, cwd='/proc/self/fdinfo').split()


def zsh_options(command):
    """Long options of the command's branch in the completion for zsh, which
    takes more than there may be here to be run."""
    text = (ROOT / 'completions/_backplane').read_text(encoding='utf-8')
    branch = re.search(rf'^\t{command}\) (.*?);;$', text, re.M | re.S)[1]
    for name in ('lab', 'help'):
        branch = re.sub(rf'\${name}\b',
                        lambda _, n=name: re.search(
                            rf'^\t{n}=\((.*)\)$', text, re.M)[1], branch)
    return set(re.findall(r"(?:'\*?|,)--([a-z][a-z-]*)[\[}]", branch))


@pytest.mark.parametrize('command', PAGES)
def test_every_option_is_everywhere(cli, command):
    options = help_options(cli, command)
    assert options
    # "Every command explains itself", in backplane(1).
    assert man_options(command) == options - {'help'}
    # Each is described, not only listed.
    body = man(PAGES[command]).partition('.Sh DESCRIPTION')[2]
    assert [o for o in options - {'help'}
            if not re.search(rf'Fl (?:\w+ , )?-{o}\b', body)] == []
    assert {w[2:] for w in complete(command, '--')} == options
    assert zsh_options(command) == options


def port_keys(cli):
    text = cli.ok('serve', '--help')
    table = text.partition('after commas:\n')[2].partition('NIC models:')[0]
    return set(re.findall(r'^  (\w+)', table, re.M))


def test_keys_of_ports(cli):
    keys = port_keys(cli)
    assert {'name', 'link', 'crc', 'mtu'} <= keys
    assert [k for k in keys if not re.search(
        rf'(?:Cm |[ ,]){k}\b', man('backplane-serve.1'))] == []
    found = complete('serve', '--port', 'vfio-user:/tmp/x,')
    assert {w.rpartition(',')[2].partition('=')[0] for w in found} == keys
    zsh = (ROOT / 'completions/_backplane').read_text(encoding='utf-8')
    in_zsh = re.search(r"\[add a port\]:port:_backplane_keys (.*?)'", zsh)[1]
    assert {w.partition('=')[0] for w in in_zsh.split()} == keys


@pytest.mark.parametrize('words, expected', [
    (('vm', '--board', ''), ['pc', 'pcie']),
    (('vm', '--board', 'pci'), ['pcie']),
    (('vm', '--nic', 'vf'), ['vfio-user:']),
    (('vm', '--nic', 'vfio-user:/tmp/a,s'), ['/tmp/a,slot=']),
    (('vm', '--nic', 'vfio-user:/tmp/a,id=x,b'), ['x,bridge=']),
    (('vm', '--disk', '/tmp/a.img,format='), ['raw', 'qcow2']),
    (('vm', '--disk', '/tmp/a.img,format=raw,r'), ['raw,ro=yes']),
    (('serve', '-p', 'tap:t,vnet_hdr=o'), ['on', 'off']),
    (('serve', '--port', 'str'), ['stream:']),
    (('lab', '--'), ['--help']),
])
def test_values_in_bash(words, expected):
    assert complete(*words) == expected


@pytest.mark.parametrize('what,page,row', [
    ('schema', 'docs/lab-file.md', r'\| `'),
    ('api', 'docs/api.md', r'\| (GET|POST|PUT|DELETE) ')])
def test_reference_is_what_the_program_says(cli, what, page, row):
    rows = [line for line in cli.ok('lab', what).splitlines()
            if re.match(row, line)]
    text = (ROOT / page).read_text(encoding='utf-8').splitlines()
    assert len(rows) > 10
    assert rows == [line for line in text if re.match(row, line)]


def test_man_page_has_the_keys_of_a_lab_file(cli):
    """The page goes into a list where a key has keys of its own."""
    keys = {path.replace('.NAME', '').replace('[]', '')
            for path in re.findall(r'^\| `(.*?)`', cli.ok('lab', 'schema'),
                                   re.M)}
    found, where, last = set(), [], None
    for line in man('backplane-lab.5').splitlines():
        if line.startswith('.Bl'):
            where.append(last)
        elif line.startswith('.El'):
            last = where.pop()
        elif line.startswith('.It Cm '):
            for last in line[len('.It Cm '):].split(' , '):
                found.add('.'.join([*where[1:], last]))
    assert found == keys
