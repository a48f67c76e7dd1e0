"""The logs folder: the only module that knows a file name in it.

Results go in and come out; every file is written beside its place and moved there, so that it
is whole or absent. The driver writes everything here but `work/<trial id>/`, which belongs to
the worker that trains that trial. A lock that the kernel frees keeps two drivers apart.
"""

from __future__ import annotations

import csv
import errno
import gc
import io
import json
import os
import shutil
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from pydantic_core import from_json

from ablate.errors import StoreError
from ablate.study.tables import results_table, search_table
from ablate.study.trial import Trial, TrialResult

if TYPE_CHECKING:
    import numpy as np


class Store:
    """One study's folder under the logs folder."""

    def __init__(self, logs: str | os.PathLike[str], study: str) -> None:
        self.logs = Path(logs)
        self.name = study
        self.root = self.logs / study

    # Paths -----------------------------------------------------------------------------------

    @property
    def study_file(self) -> Path:
        """The study as resolved."""
        return self.root / "study.yaml"

    @property
    def trials(self) -> Path:
        """The folder of final and failed trials."""
        return self.root / "trials"

    @property
    def works(self) -> Path:
        """The folder of the trials in flight."""
        return self.root / "work"

    @property
    def inputs(self) -> Path:
        """Where live objects of the Python API are kept as files."""
        return self.root / "inputs"

    @property
    def tensorboard(self) -> Path:
        """The TensorBoard logdir of this study."""
        return self.root / "tensorboard"

    @property
    def results_csv(self) -> Path:
        """A row per trial."""
        return self.root / "results.csv"

    @property
    def search_csv(self) -> Path:
        """A row per search trial."""
        return self.root / "search.csv"

    @property
    def report_html(self) -> Path:
        """The report for a browser."""
        return self.root / "report.html"

    @property
    def report_markdown(self) -> Path:
        """The report for a text."""
        return self.root / "report.md"

    @property
    def plots(self) -> Path:
        """The folder of the report's plots."""
        return self.root / "plots"

    def result_file(self, trial: str) -> Path:
        """The record of a trial."""
        return self.trials / f"{trial}.json"

    def arrays_file(self, trial: str) -> Path:
        """What a trial's probes measured."""
        return self.trials / f"{trial}.npz"

    def model_file(self, trial: str) -> Path:
        """A trial's trained model, if it was saved."""
        return self.trials / f"{trial}.keras"

    def work(self, trial: str) -> Path:
        """The folder of a trial's worker."""
        return self.works / trial

    # The study -------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether a study has been planned here."""
        return self.study_file.is_file()

    def write_study(self, text: str) -> None:
        """Write the resolved study."""
        write_text(self.study_file, text)

    def kept_study_file(self, numerics: int) -> Path:
        """The study as it was when its trials were trained under other numerics."""
        return self.root / f"study.numerics-{numerics}.yaml"

    def keep_study(self, numerics: int) -> None:
        """Keep the study's file under another name, so that what it planned stays readable."""
        with _told(self.study_file):
            self.study_file.replace(self.kept_study_file(numerics))

    def read_study(self) -> str:
        """Return the text of the resolved study.

        Raises:
            StoreError: there is none; the studies that are there are named.
        """
        try:
            return self.study_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            there = studies(self.logs)
            known = f" There are: {', '.join(there)}." if there else " There is none yet."
            raise StoreError(f"No study '{self.name}' lies under {self.logs}/.{known}") from None

    def set_aside(self) -> Path | None:
        """Rename the folder to `<study>.<time>` and return its new place, None if absent."""
        if not self.root.exists():
            return None
        stamp = time.strftime("%Y%m%d-%H%M%S")
        target = self.logs / f"{self.name}.{stamp}"
        count = 2
        while target.exists():
            target = self.logs / f"{self.name}.{stamp}-{count}"
            count += 1
        with _told(self.root):
            self.root.rename(target)
        return target

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the study for this driver.

        Raises:
            StoreError: another driver that is alive holds it; its process is named.
        """
        with _told(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        owner = self.root / ".owner"
        lock = FileLock(self.root / ".lock")
        try:
            with _told(self.root):
                lock.acquire(timeout=0)
        except Timeout:
            try:
                held_by = owner.read_text(encoding="utf-8").strip()
            except OSError:
                held_by = "another process"
            raise StoreError(
                f"Study '{self.name}' is being run by {held_by}. Wait for it, or stop it; "
                "what it has finished is kept."
            ) from None
        try:
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            write_text(owner, f"process {os.getpid()} on {socket.gethostname()} (since {stamp})\n")
            yield
        finally:
            owner.unlink(missing_ok=True)
            lock.release()

    # Results ---------------------------------------------------------------------------------

    def save(
        self,
        result: TrialResult,
        arrays: Mapping[str, np.ndarray] | None = None,
        model: Path | None = None,
    ) -> None:
        """Record a trial: its arrays and its model first, the record that names them last."""
        if arrays:
            import numpy as np

            buffer = io.BytesIO()
            np.savez_compressed(buffer, **dict(arrays))  # type: ignore[arg-type]
            write_bytes(self.arrays_file(result.id), buffer.getvalue())
        if model is not None:
            with _told(self.trials):
                self.trials.mkdir(parents=True, exist_ok=True)
                shutil.move(model, self.model_file(result.id))
        text = json.dumps(result.to_json(), separators=(",", ":"), allow_nan=False)
        write_text(self.result_file(result.id), text)

    def load(self, trial: str) -> TrialResult | None:
        """Return the record of a trial, None if there is none."""
        return _read_result(self.result_file(trial))

    def results(self, ids: Iterable[str] | None = None) -> dict[str, TrialResult]:
        """Return the records of `ids` (all there are, if None) that exist, by id."""
        try:
            with os.scandir(self.trials) as entries:
                there = {each.name[:-5] for each in entries if each.name.endswith(".json")}
        except FileNotFoundError:
            return {}
        wanted = there if ids is None else [each for each in ids if each in there]
        folder = str(self.trials)  # paths cost more than what they lead to, ten thousand times
        with _uncollected():
            found = {trial: _read_result(f"{folder}{os.sep}{trial}.json") for trial in wanted}
        return {trial: result for trial, result in found.items() if result is not None}

    def arrays(self, trial: str) -> dict[str, np.ndarray]:
        """Return what a trial's probes measured, empty if nothing."""
        import numpy as np

        try:
            with np.load(self.arrays_file(trial), allow_pickle=False) as archive:
                return dict(archive)
        except FileNotFoundError:
            return {}

    def clear_work(self, trial: str) -> None:
        """Remove a trial's work folder: the trial is final."""
        shutil.rmtree(self.work(trial), ignore_errors=True)

    def tidy_works(self, keep: Iterable[str]) -> None:
        """Remove work folders of trials that are not in `keep`, and the folder when empty.

        What begins with a dot belongs to an executor: jobs that run without a driver.
        """
        kept = set(keep)
        if not self.works.is_dir():
            return
        for each in self.works.iterdir():
            if each.name not in kept and not each.name.startswith("."):
                shutil.rmtree(each, ignore_errors=True)
        if not any(self.works.iterdir()):
            self.works.rmdir()

    def write_results(self, trials: Sequence[Trial], results: Mapping[str, TrialResult]) -> None:
        """Write results.csv: a row per planned trial that has a record, in plan order."""
        write_text(self.results_csv, results_table(trials, results))

    def write_search(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write search.csv: a row per trial that a search planned, keys as columns."""
        write_text(self.search_csv, search_table(rows))

    def read_search(self) -> list[dict[str, str]]:
        """Return the rows of search.csv, none if there was no search."""
        try:
            with self.search_csv.open(encoding="utf-8", newline="") as stream:
                return list(csv.DictReader(stream))
        except FileNotFoundError:
            return []

    def searched(self) -> dict[str, str]:
        """Return the point of each trial that a search planned, by trial id."""
        return {row["trial"]: row["point"] for row in self.read_search() if row.get("trial")}

    # Digests ---------------------------------------------------------------------------------

    def read_digests(self) -> dict[str, Any]:
        """Return the digests of files remembered for all studies under the logs folder."""
        try:
            return dict(json.loads((self.logs / ".digests.json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def write_digests(self, memory: Mapping[str, Any]) -> None:
        """Remember the digests of files."""
        write_text(self.logs / ".digests.json", json.dumps(memory))


def studies(logs: str | os.PathLike[str]) -> list[str]:
    """Return the names of the studies under `logs`."""
    place = Path(logs)
    if not place.is_dir():
        return []
    return sorted(each.parent.name for each in place.glob("*/study.yaml"))


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        StoreError: the disk is full, the folder read-only, … with what to do.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(content)
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def _read_result(path: str | Path) -> TrialResult | None:
    try:
        with open(path, "rb") as stream:
            document = from_json(stream.read())
    except FileNotFoundError:
        return None
    except ValueError:
        # Written whole or not at all by us; a file spoilt by others is no result.
        return None
    return TrialResult.from_json(document)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Make many objects that stay: looking for garbage among them takes a sixth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the system says of a file into what a person can do about it."""
    remedies = {
        errno.ENOSPC: "The disk is full: free some space and run again",
        errno.EDQUOT: "The disk quota is used up: free some space and run again",
        errno.EROFS: "It is on a read-only file system: choose another folder with --logs",
        errno.EACCES: "You may not write there: choose another folder with --logs",
        errno.EPERM: "You may not write there: choose another folder with --logs",
    }
    try:
        yield
    except Timeout:  # an OSError too, but a lock that is held is not a disk that fails
        raise
    except OSError as error:
        remedy = remedies.get(error.errno or 0, str(error))
        raise StoreError(
            f"{path} cannot be written. {remedy}; what is finished is kept."
        ) from error
