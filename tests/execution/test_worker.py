"""A worker process: it ends when its driver is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.execution.processes import alive, wait_for

#: What a worker does that trains for ever, without what takes long to import.
WORKER = """
import os, time
from ablate.execution import worker
worker.prepare = lambda threads: None
worker.start(worker.Settings(threads=1, parent=os.getppid()))
print(os.getpid(), flush=True)
time.sleep(600)
"""
DRIVER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1]])
time.sleep(600)
"""


def test_a_worker_ends_when_its_driver_is_killed():
    """Whatever it is doing: no orphan goes on training."""
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, WORKER], stdout=subprocess.PIPE, text=True
    )
    try:
        worker = int(driver.stdout.readline())
        assert alive(worker)
    finally:
        driver.kill()
        driver.wait()
        driver.stdout.close()
    try:
        assert wait_for(lambda: not alive(worker), 30)
    finally:
        if alive(worker):
            os.kill(worker, signal.SIGKILL)
