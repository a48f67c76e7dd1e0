"""A TensorBoard process, from its start until it answers and until it is stopped.

A logdir enters; an address that answers leaves. TensorBoard runs as a process of its own, on the
loopback interface, and ends with the block that started it, whatever ends that. The address opens
on a choice of runs that the page shows at once: with more than 40 it would show none of them.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ablate.errors import AblateError

HOST = "127.0.0.1"

#: TensorBoard's own port, taken when it is free.
PORT = 6006

#: With more runs than this matching, most of TensorBoard's tabs begin with every run unticked.
TICKED = 40

_FIRST_SEED = "^((?!/seed(?!{seed}(/|$))).)*$"

#: Which runs to show first, from all to the variants' means alone.
_CHOICES = ("", _FIRST_SEED, _FIRST_SEED[:-1] + "(?<!/train)(?<!/validation)$", "^((?!/seed).)*$")


@dataclass(frozen=True)
class Serving:
    """A TensorBoard that answers at `url`."""

    url: str
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Wait for as long as TensorBoard runs.

        Raises:
            AblateError: it has ended by itself.
        """
        status = self.process.wait()
        raise AblateError(
            f"TensorBoard at {self.url} has ended by itself, with status {status}. Start it again; "
            "what it showed is on disk."
        )


@contextmanager
def serve(logdir: Path, port: int | None = None, patience: float = 120.0) -> Iterator[Serving]:
    """Start TensorBoard and yield it once it answers; stop it at the end of the block.

    Args:
        logdir: the folder to show.
        port: the port; default 6006 if it is free, else any that is.
        patience: seconds to wait for an answer.

    Raises:
        AblateError: the port is taken, or TensorBoard did not start; its own words are added.
    """
    port = _free_port() if port is None else _claimed(port)
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir)]
    command += ["--host", HOST, "--port", str(port), "--reload_interval", "5"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            start_new_session=True,  # Ctrl-C reaches us, and we stop all that it started
        )
        try:
            url = f"http://{HOST}:{port}/"
            _await(url, process, patience)
            yield Serving(url, process)
        except ChildProcessError:
            log.seek(0)
            said = " / ".join(log.read().decode(errors="replace").split("\n")[-6:]).strip()
            raise AblateError(
                f"TensorBoard did not start on port {port}. It said: {said or 'nothing'}"
            ) from None
        finally:
            _stop(process)


def address(url: str, runs: Collection[str], seed: int = 0, tab: str = "custom_scalars") -> str:
    """Return the address that opens on `tab` with as many runs as the page shows at once.

    The choice stands in the page's field of runs, where it can be changed: all; the trials of one
    seed; those without their curves; the means of the variants alone.

    Args:
        url: TensorBoard's address.
        runs: the names of the runs in the logdir.
        seed: the seed whose trials are shown when there are too many.
        tab: the tab to open.
    """
    for choice in _CHOICES:
        pattern = choice.replace("{seed}", str(seed))
        if sum(bool(re.search(pattern, f"/{run}")) for run in runs) <= TICKED:
            break
    return f"{url}#{tab}" + (f"&regexInput={quote(pattern, safe='')}" if pattern else "")


def runs_in(logdir: Path) -> list[str]:
    """Return the names of the runs below a logdir, as TensorBoard calls them."""
    found = []
    for folder, _, files in os.walk(logdir, followlinks=True):
        if any("tfevents" in name for name in files):
            found.append(Path(folder).relative_to(logdir).as_posix())
    return sorted(found)


def _await(url: str, process: subprocess.Popen[bytes], patience: float) -> None:
    """Return when the address answers; ChildProcessError when the process ended or is silent."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ChildProcessError
        try:
            with urllib.request.urlopen(f"{url}data/environment", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise ChildProcessError


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End TensorBoard and the data server that it started, which share its process group."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except (ProcessLookupError, PermissionError):
            break
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _free_port() -> int:
    for port in (PORT, 0):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise AblateError(f"No port is free on {HOST}.")


def _claimed(port: int) -> int:
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
        except OSError as error:
            raise AblateError(
                f"Port {port} on {HOST} cannot be used: {error.strerror}. "
                "Choose another with --port, or leave it out and a free one is found."
            ) from None
    return port
