"""A TensorBoard process, from its start until it answers and until it is stopped.

TensorBoard runs as a process of its own, on the loopback interface, and ends with the block that
started it, whatever ends that. The address opens on a tab that has data, and on a choice of runs
that the page shows at once: with more than 40 it would show none of them.
"""

from __future__ import annotations

import json
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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ablate.errors import AblateError
from ablate.events.files import event_files, read
from ablate.events.layout import LAYOUT

HOST = "127.0.0.1"

#: TensorBoard's own port, taken when it is free.
PORT = 6006

#: With more runs than this matching, most of TensorBoard's tabs begin with every run unticked.
TICKED = 40

#: A run of a trial, and what colours a variant and its trials alike.
_TRIAL = re.compile(r"^(.+)/seed(\d+)(?:/|$)")
_BY_VARIANT = "regex:^(.+?)(?:/seed|$)"

_ONE_SEED = "^((?!/seed(?!{seed}(/|$))).)*$"
_NO_SEED = "^((?!/seed).)*$"


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
    with ExitStack() as stack:
        free = _free_port() if port is None else _claimed(port)
        try:
            serving = stack.enter_context(_started(logdir, free, patience))
        except AblateError:
            if port is not None:
                raise
            # Another process may have taken the port since it was found free.
            serving = stack.enter_context(_started(logdir, _free_port(anew=True), patience))
        yield serving


@contextmanager
def _started(logdir: Path, port: int, patience: float) -> Iterator[Serving]:
    place = str(logdir.absolute())
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", place]
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
        url = f"http://{HOST}:{port}/"
        try:
            if not _answers(url, place, process, patience):
                log.seek(0)
                log_text = " / ".join(log.read().decode(errors="replace").split("\n")[-6:]).strip()
                raise AblateError(
                    f"TensorBoard did not start on port {port}. It said: {log_text or 'nothing'}"
                )
            yield Serving(url, process)
        finally:
            _stop(process)


def address(url: str, runs: Collection[str], *, charts: bool) -> str:
    """Return the address that opens on a tab that has data, with runs that the page shows at once.

    The choice of runs is in the page's field of runs, where it can be changed: all; the trials
    of one seed; those without their curves; the variants alone, without points and seeds. Curves
    are not smoothed, and where seeds are shown those of a variant have one colour.

    Args:
        url: TensorBoard's address.
        runs: the names of the runs in the logdir.
        charts: whether the Custom Scalars tab has charts there (`has_charts`).
    """
    shown = {pattern: sum(_shows(pattern, run) for run in runs) for pattern in _patterns(runs)}
    fitting = [pattern for pattern, count in shown.items() if 0 < count <= TICKED]
    pattern = fitting[0] if fitting else ""
    if charts and fitting:
        tab = "custom_scalars"
    elif any(run != "." for run in runs):
        tab = "hparams"  # which lists every variant and point, whichever runs are ticked
    else:
        tab = "text"
    queries = ["smoothing=0"]
    if any(_TRIAL.search(run) for run in runs):
        queries.append(f"runColorGroup={quote(_BY_VARIANT, safe='')}")
    chosen = f"&regexInput={quote(pattern, safe='')}" if pattern else ""
    return f"{url}?{'&'.join(queries)}#{tab}&_smoothingWeight=0{chosen}"


def has_charts(logdir: Path) -> bool:
    """Return whether a study below a logdir has charts for the Custom Scalars tab."""
    inside = logdir.iterdir() if logdir.is_dir() else ()
    roots = [logdir, *(each for each in inside if each.is_dir())]
    files = (path for root in roots for path in event_files(root))
    return any(
        value.tag == LAYOUT for path in files for e in read(path) for value in e.summary.value
    )


def _shows(pattern: str, run: str) -> bool:
    return re.search(pattern, run) is not None


def _patterns(runs: Collection[str]) -> Iterator[str]:
    """Yield expressions for which runs to show, each for fewer than the one before."""
    yield ""
    own = [found for run in runs if "search/" not in run and (found := _TRIAL.search(run))]
    if own:
        one = _ONE_SEED.format(seed=min(int(found[2]) for found in own))
        yield one
        yield one[:-1] + "(?<!/train)(?<!/validation)$"
    yield _NO_SEED


def runs_in(logdir: Path) -> list[str]:
    """Return the names of the runs below a logdir, as TensorBoard calls them."""
    found = []
    for folder, _, files in os.walk(logdir, followlinks=True):
        if any("tfevents" in name for name in files):
            found.append(Path(folder).relative_to(logdir).as_posix())
    return sorted(found)


def _answers(url: str, place: str, process: subprocess.Popen[bytes], patience: float) -> bool:
    """Wait until the address answers for `place`; False when the process ended or is silent.

    What answers may be another's TensorBoard, which took the port at the same moment.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        try:
            with urllib.request.urlopen(f"{url}data/environment", timeout=5) as answer:
                if json.load(answer).get("data_location") == place:
                    return True
        except (urllib.error.URLError, OSError, ValueError):
            pass
        time.sleep(0.1)
    return False


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


def _free_port(anew: bool = False) -> int:
    for port in (0,) if anew else (PORT, 0):
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
