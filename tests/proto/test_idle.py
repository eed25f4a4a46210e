# SPDX-License-Identifier: Apache-2.0
"""Silent clients cost nothing: the worker sleeps, and nobody wakes it."""
import json
import os
import subprocess
import time

import vfu
from conftest import BACKPLANE, wait_for

N_CLIENTS = 16
QUIET_SECONDS = 3


def worker(api):
    out = subprocess.run(["curl", "-s", "--unix-socket", api,
                          "http://localhost/v1/worker"], check=True,
                         stdout=subprocess.PIPE).stdout
    return json.loads(out)


def test_silent_clients_wake_nobody(tmp_path):
    paths = [str(tmp_path / f"nic{i}") for i in range(N_CLIENTS)]
    api = str(tmp_path / "api")
    args = [BACKPLANE, "serve", "--api", api]
    for path in paths:
        args += ["--port", f"vfio-user:{path}"]
    with subprocess.Popen(args) as server:
        try:
            assert wait_for(lambda: os.path.exists(api) and
                            all(map(os.path.exists, paths)))
            clients = [vfu.VfuClient(path) for path in paths]
            # What connecting has started (links come up) comes to an end.
            time.sleep(0.5)
            before = worker(api)
            time.sleep(QUIET_SECONDS)
            after = worker(api)
            # The second question itself wakes it once.
            assert after["wakeups"] - before["wakeups"] <= 1
            assert after["timer_wakeups"] == before["timer_wakeups"]
            for client in clients:
                client.close()
        finally:
            server.terminate()
        assert server.wait(60) == 0
