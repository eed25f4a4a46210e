#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of the fuzz target agent: tests/fuzz/seed_agent.py
CORPUS-DIRECTORY"""
import pathlib
import struct
import sys

BYTES, FRAME, TICK, READ, EXEC, STDIN, SIGNAL, LINE = range(8)
READY, STDOUT, STDERR, EXIT, ERROR, WINDOW = range(0x81, 0x87)
OUT = pathlib.Path(sys.argv[1])


def step(what, number=0, *rest):
    return bytes([what | number << 3]) + b''.join(rest)


def data(what, content, number=0):
    return step(what, number, struct.pack('<H', len(content)), content)


def frame(kind, stream, payload=b'', cut=0, size=None):
    return step(FRAME, cut, bytes([kind, stream]), struct.pack(
        '<H', len(payload) if size is None else size), payload)


# Whatever number the hello had.
ready = step(READ) + b''.join(frame(READY, token, b'\1') for token in range(3))
run = step(EXEC, 2) + step(READ)
end = frame(EXIT, 1, bytes(4))
window = frame(WINDOW, 1, b'\xff' * 4)
seeds = {
    'command': ready + run + frame(STDOUT, 1, b'out') +
               frame(STDERR, 1, b'err') + frame(ERROR, 1, b'oh') + end,
    'noise': data(BYTES, b'\r\nlogin: \xb5\xb5\x82') + ready + run +
             data(BYTES, b'\xb5' * 40) + frame(STDOUT, 1, b'x') + end,
    'cut': ready + run + frame(STDOUT, 1, b'abcdef', 5) + step(TICK, 31) * 2 +
           frame(STDOUT, 1, b'abc', 9) + step(TICK, 31) * 2 + end,
    'stdin': ready + run + step(STDIN, 1, b'\xff\xff') * 3 + step(READ) +
             window + step(STDIN, 1, b'\0\0') + step(READ) + window +
             step(READ) + end,
    'hang-up': ready + run + step(SIGNAL, 0) + step(SIGNAL, 1) +
               step(TICK, 1) + step(TICK, 20) * 3 + step(READ) + end,
    'many': ready + step(EXEC, 1) * 34 + frame(READY, 0, b'\1') +
            step(EXEC, 1) * 3 + step(LINE) + ready + run + end,
    'unread': ready + (step(EXEC, 31) + end + window) * 60 + step(READ, 3),
    'giant': ready + run + frame(STDOUT, 1, b'', 0, 4096) +
             frame(STDOUT, 1, b'', 0, 4097) + frame(STDOUT, 33, b'x') +
             step(TICK, 31) * 3 + end,
    'other': frame(READY, 0, b'\2') + frame(READY, 0) + step(EXEC, 1) +
             step(TICK, 30) * 3,
}
OUT.mkdir(parents=True, exist_ok=True)
for name, content in seeds.items():
    (OUT / name).write_bytes(content)
