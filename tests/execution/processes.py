"""Looking at processes from outside, for the tests that kill them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> bool:
    """Wait until something outside this process is so; False if it does not come."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def workers_of(pid: int) -> list[int]:
    """The worker processes that a driver has started, whichever of its threads did."""
    found: set[int] = set()
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found |= {int(each) for each in (task / "children").read_text().split()}
    except OSError:
        return []
    return sorted(each for each in found if "spawn_main" in command_of(each))


def command_of(pid: int) -> str:
    """The command line of a process, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def listens(pid: int) -> bool:
    """Whether an `ablate` command is so far that it answers SIGTERM itself."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    caught = next((line for line in lines if line.startswith("SigCgt")), "SigCgt: 0")
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
