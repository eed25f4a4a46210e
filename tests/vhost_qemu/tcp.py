# SPDX-License-Identifier: Apache-2.0
"""TCP both ways between two guests for as long as a test wants, compared at the
end.  A guest is anything with check()."""


def start(a, b, addresses):
    """Half a MiB again and again, four times at least, each to the other's
    address, until finish()"""
    for guest in a, b:
        guest.check('head -c 512k /dev/urandom >/tmp/piece; mkfifo /tmp/f; '
                    # Its input has no end: that would be the end.
                    '(nc -l -p 7 <>/tmp/f | md5sum >/tmp/got; '
                    'touch /tmp/received) >/dev/null 2>&1 &')
    for guest, to in (a, addresses[1]), (b, addresses[0]):
        guest.check('(n=0; { while [ ! -e /tmp/stop ] || [ $n -lt 4 ]; do '
                    'cat /tmp/piece; n=$((n + 1)); sleep 0.1; done; '
                    'echo $n >/tmp/n; } | '
                    f'nc {to} 7; touch /tmp/sent) </dev/null >/dev/null 2>&1 &')


def finish(a, b):
    """It ends; every byte has arrived"""
    for sender, receiver in (a, b), (b, a):
        sender.check('touch /tmp/stop; until [ -e /tmp/sent ]; do sleep 0.2; '
                     'done')
        n = int(sender.check('cat /tmp/n'))
        receiver.check('until [ -e /tmp/received ]; do sleep 0.2; done')
        assert receiver.check('cat /tmp/got') == sender.check(
            f'for i in $(seq {n}); do cat /tmp/piece; done | md5sum')
