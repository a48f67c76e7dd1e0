"""The logs folder: the only module that knows a file name in it.

Every file is written under a temporary name and then renamed, so that it is whole or absent. The
driver writes everything here but `work/<trial id>/`, which belongs to
the worker that trains that trial. A lock that the kernel frees keeps two drivers apart.

What is read is checked. A file that is unsound counts as absent, and a notice names it; who holds
the lock also sets it aside (`<name>.unsound`), so that it is neither lost nor met again.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from ablate.disk import (
    DamagedError,
    check_archive,
    explained,
    make_way,
    move,
    notice,
    read_arrays,
    set_aside,
    write_arrays,
    write_bytes,
    write_text,
)
from ablate.errors import StoreError
from ablate.study.looks import Look, Looks
from ablate.study.network import LayerNode, to_json
from ablate.study.network import from_json as network_from_json
from ablate.study.record_check import UnsoundRecord
from ablate.study.tables import read_search_table, results_table, search_table
from ablate.study.trial import FILES, Trial, TrialResult

if TYPE_CHECKING:
    import numpy as np


class Store:
    """One study's folder under the logs folder."""

    def __init__(self, logs: str | os.PathLike[str], study: str) -> None:
        self.logs = Path(logs)
        self.name = study
        self.root = self.logs / study
        self._held = False  # whether this store has the lock, so that it may rename files
        self.study_file = self.root / "study.yaml"  # as resolved
        self.trials = self.root / "trials"  # final and failed ones
        self.works = self.root / "work"  # a folder for each trial in flight
        self.inputs = self.root / "inputs"  # live objects of the Python API, kept as files
        self.looks_file = self.root / "looks.jsonl"  # differences that were shown, a line a look
        self.tensorboard = self.root / "tensorboard"  # the logdir
        self.results_csv = self.root / "results.csv"  # a row per trial
        self.search_csv = self.root / "search.csv"  # a row per trial of a search
        self.screen_csv = self.root / "screen.csv"  # a row per trial of a screening
        self.network_file = self.root / "network.json"  # the layers that its map draws
        self.report_html = self.root / "report.html"
        self.report_markdown = self.root / "report.md"
        self.plots = self.root / "plots"  # those of the report

    def result_file(self, trial: str) -> Path:
        """The record of a trial."""
        return self.trials / f"{trial}.json"

    def arrays_file(self, trial: str) -> Path:
        """What a trial's probes measured."""
        return self.trials / f"{trial}.npz"

    def model_file(self, trial: str) -> Path:
        """A trial's trained model, if it was saved."""
        return self.trials / f"{trial}.keras"

    def files_of(self, trial: str) -> Path:
        """The folder of what a trial's callbacks wrote."""
        return self.trials / f"{trial}.files"

    def work(self, trial: str) -> Path:
        """The folder of a trial's worker."""
        return self.works / trial

    # The study -------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether a study has been planned here."""
        return os.path.lexists(self.study_file)

    def write_study(self, text: str) -> None:
        """Write the resolved study."""
        write_text(self.study_file, text)

    def kept_study_file(self, numerics: int) -> Path:
        """The study as it was when its trials were trained under other numerics."""
        return self.root / f"study.numerics-{numerics}.yaml"

    def keep_study(self, numerics: int) -> None:
        """Keep the study's file under another name, so that what it planned stays readable."""
        with explained(self.study_file):
            self.study_file.replace(self.kept_study_file(numerics))

    def refuse_study(self, why: str) -> None:
        """Say that the study's file cannot be obeyed; set it aside if this store has the lock."""
        kept = f" It is kept as {set_aside(self.study_file).name}." if self._held else ""
        notice(
            f"What was resolved before cannot be read, so the study is resolved anew.{kept} {why}"
        )

    def read_study(self) -> str:
        """Return the text of the resolved study.

        Raises:
            StoreError: there is none; the studies that are there are named.
        """
        try:
            return self.study_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            if not isinstance(error, FileNotFoundError):
                raise StoreError(
                    f"{self.study_file} cannot be read ({error}). Expected the study as it was "
                    "resolved: `ablate run` with your study file writes it again."
                ) from None
            there = studies(self.logs)
            known = f" There are: {', '.join(there)}." if there else " There is none yet."
            raise StoreError(f"No study '{self.name}' lies under {self.logs}/.{known}") from None

    def set_aside(self) -> Path | None:
        """Rename the folder to `<study>.<time>` and return its new place, None if absent."""
        if not self.root.exists():
            return None
        target = first = self.logs / f"{self.name}.{time.strftime('%Y%m%d-%H%M%S')}"
        count = 2
        while target.exists():
            target, count = first.with_name(f"{first.name}-{count}"), count + 1
        with explained(self.root):
            self.root.rename(target)
        return target

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the study for this driver.

        Raises:
            StoreError: another driver that is alive holds it; its process is named.
        """
        from filelock import FileLock, Timeout  # with asyncio, which readers do without

        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        owner, place = self.root / ".owner", self.root / ".lock"
        lock = FileLock(place)
        try:
            with explained(place):
                make_way(place)
                lock.acquire(timeout=0.2)  # who asks whether it is held has it for a moment
        except Timeout:
            try:
                held_by = owner.read_text(encoding="utf-8").strip() or "another process"
            except (OSError, UnicodeDecodeError):
                held_by = "another process"
            raise StoreError(
                f"Study '{self.name}' is being run by {held_by}. Wait for it, or stop it; "
                "what it has finished is kept."
            ) from None
        try:
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            write_text(owner, f"process {os.getpid()} on {socket.gethostname()} (since {stamp})\n")
            self._held = True
            yield
        finally:
            self._held = False
            with suppress(OSError):
                owner.unlink(missing_ok=True)
            lock.release()

    def held_since(self) -> float | None:
        """Return when the driver that holds the study took it, in seconds since 1970; None if none.

        A driver that was killed holds nothing: the kernel has freed its lock.
        """
        try:
            since = (self.root / ".owner").stat().st_mtime
        except OSError:
            return None
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.root / ".lock").acquire(timeout=0):
                return None
        except Timeout:
            return since
        except OSError:
            return None  # it cannot be asked, as on a disk that is only read

    # Results ---------------------------------------------------------------------------------

    def save(
        self,
        result: TrialResult,
        arrays: Mapping[str, np.ndarray] | None = None,
        model: Path | None = None,
    ) -> None:
        """Record a trial: its arrays and its model first, the record that names them last.

        Each is on the disk before the next is written, so that not even a machine that loses its
        power leaves a record without what it names.
        """
        if arrays:
            write_arrays(self.arrays_file(result.id), arrays, compress=True)
        if model is not None:
            move(model, self.model_file(result.id))
        text = json.dumps(result.to_json(), separators=(",", ":"), allow_nan=False)
        write_bytes(self.result_file(result.id), text.encode(), flush=True)

    def load(self, trial: str) -> TrialResult | None:
        """Return the record of a trial, None if there is none that is sound."""
        return self._read(trial, self.result_file(trial))

    def results(self, ids: Iterable[str] | None = None) -> dict[str, TrialResult]:
        """Return the sound records of `ids` (all there are, if None), by id."""
        try:
            with os.scandir(self.trials) as entries:
                there = {each.name[:-5] for each in entries if each.name.endswith(".json")}
        except FileNotFoundError:
            return {}
        except NotADirectoryError:
            raise StoreError(
                f"{self.trials} is a file. Expected the folder of the trials' records: move the "
                "file away and run again."
            ) from None
        except OSError as error:
            raise StoreError(
                f"{self.trials} cannot be read: {error.strerror}. Expected the folder of "
                "the trials' records: move what is there away and run again."
            ) from None
        wanted = there if ids is None else [each for each in ids if each in there]
        folder = str(self.trials)  # paths cost more than what they lead to, ten thousand times
        with _uncollected():
            found = {each: self._read(each, f"{folder}{os.sep}{each}.json") for each in wanted}
        return {trial: result for trial, result in found.items() if result is not None}

    def _read(self, trial: str, path: str | Path) -> TrialResult | None:
        later = False
        try:
            with open(path, "rb") as stream:
                document = from_json(stream.read(), allow_inf_nan=False)
            result = TrialResult.from_json(document)
            if result.id == trial:
                return result
            reason = f"it is the record of another trial, {result.id[:12]}"
        except FileNotFoundError:
            if not os.path.islink(path):
                return None
            reason = "it is a link to nothing"
        except UnsoundRecord as error:
            reason, later = str(error), error.later
        except ValueError as error:
            reason = f"it is not JSON ({str(error)[:120]})"
        except OSError as error:
            reason = f"it cannot be read ({error.strerror or error})"
        self.refuse(Path(path), f"no sound record: {reason}", later=later)
        return None

    def refuse(self, path: Path, why: str, *, later: bool = False) -> None:
        """Say that a file of a trial is unsound, and set it aside if this store has the lock.

        Args:
            path: the file.
            why: what is wrong with it, as in "x.json is {why}".
            later: a later version of ablate may have written it, which then knows it.
        """
        kept = set_aside(path) if self._held else None
        if kept is not None:
            what = f"It is kept as {kept.name}, and its trial is trained again."
        else:
            what = "It is not counted; `ablate run` sets it aside and trains its trial again."
        if later:
            what += (
                " It seems to come from a later version of ablate: to keep its outcome, use that "
                f"version{f', with {path.name} as its name again' if kept is not None else ''}."
            )
        notice(f"{path} is {why}. {what}")

    def arrays(self, trial: str) -> dict[str, np.ndarray]:
        """Return what a trial's probes measured, empty if nothing or if it cannot be read."""
        try:
            return read_arrays(self.arrays_file(trial))
        except FileNotFoundError:
            return {}
        except DamagedError as error:
            self.refuse(self.arrays_file(trial), f"damaged: {error}")
            return {}

    def rows(self, trial: str) -> dict[str, np.ndarray]:
        """Return what a trial keeps of its test rows, one by one; empty if nothing."""
        try:
            return read_arrays(self.arrays_file(trial), prefix="rows/")
        except (FileNotFoundError, DamagedError):
            return {}  # an interval less; where probes need the file, they say what is wrong

    def has_arrays(self, trial: str) -> bool:
        """Whether what a trial's probes measured is there, and sound.

        Who holds the lock looks at every byte; others only at whether the archive is complete.
        """
        return self._has(self.arrays_file(trial), whole=self._held)

    def has_model(self, trial: str) -> bool:
        """Whether a trial's trained model is there, and a complete archive."""
        return self._has(self.model_file(trial), whole=False)

    def _has(self, place: Path, *, whole: bool) -> bool:
        try:
            check_archive(place, whole=whole)
        except DamagedError as error:
            if os.path.lexists(place):
                self.refuse(place, f"damaged: {error}")
            else:
                notice(
                    f"{place} is not there, and the trial's record names it: `ablate run` trains "
                    "the trial again."
                )
            return False
        return True

    def clear_work(self, trial: str) -> None:
        """Remove a trial's work folder: the trial is final. What its callbacks wrote stays."""
        written, place = self.work(trial) / FILES, self.files_of(trial)
        if written.is_dir():
            with suppress(OSError):  # files beside a result, which stands without
                shutil.rmtree(place, ignore_errors=True)
                written.replace(place)
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

    def write_screen(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write screen.csv: a row per trial that a screening planned, keys as columns."""
        write_text(self.screen_csv, search_table(rows))

    def write_network(self, nodes: Sequence[LayerNode]) -> None:
        """Write the layers of the base model."""
        write_text(self.network_file, json.dumps(to_json(nodes), indent=1))

    def read_network(self) -> tuple[LayerNode, ...]:
        """Return the layers of the base model, none where they are not written."""
        try:
            return network_from_json(from_json(self.network_file.read_bytes()))
        except (OSError, ValueError):
            return ()

    def read_search(self) -> list[dict[str, str]]:
        """Return the rows of search.csv, none if there was no search or it cannot be read."""
        try:
            return read_search_table(self.search_csv.read_bytes())
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not self.search_csv.is_symlink():
                return []
            reason = f"it cannot be read ({error.strerror or error})"
        except ValueError as error:
            reason = str(error)
        kept = f"It is kept as {set_aside(self.search_csv).name}. " if self._held else ""
        notice(
            f"{self.search_csv} does not say what was searched: {reason}. {kept}`ablate search` "
            "writes it anew from the trials that are there."
        )
        return []

    def searched(self) -> dict[str, str]:
        """Return the point of each trial that a search planned, by trial id."""
        return {row["trial"]: row["point"] for row in self.read_search() if row.get("trial")}

    # Looks -----------------------------------------------------------------------------------

    def looks(self) -> tuple[Look, ...]:
        """Return the looks at the study's differences, in their order.

        A line that is none, as one whose writing was cut off, is passed over.
        """
        try:
            lines = self.looks_file.read_bytes().splitlines()
        except OSError:
            return ()
        found = []
        for line in lines:
            with suppress(ValueError):
                found.append(Look.from_json(from_json(line)))
        return tuple(found)

    def add_look(self, looks: Looks, results: Iterable[TrialResult], by: str) -> None:
        """Note that `results` were shown, unless they show nothing that was not seen before.

        Where nothing can be written, nothing is noted.
        """
        look = replace(looks, earlier=self.looks()).now(results, by)
        if look is None:
            return
        line = json.dumps(look.to_json(), separators=(",", ":")).encode() + b"\n"
        with suppress(OSError), self.looks_file.open("ab+") as stream:
            if stream.tell():  # a line whose writing was cut off is ended first
                stream.seek(-1, os.SEEK_END)
                line = line if stream.read(1) == b"\n" else b"\n" + line
            stream.write(line)

    # Digests ---------------------------------------------------------------------------------

    def read_digests(self) -> Digests:
        """Return the digests of files that the logs folder and this study's own remember."""
        found = Digests()
        for folder in (self.logs, self.root):
            try:
                known = from_json((folder / ".digests.json").read_bytes())
            except (OSError, ValueError):
                continue  # only time is lost: what is not remembered is worked out again
            if isinstance(known, dict):
                found.update(known)
        return found

    def write_digests(self, memory: Mapping[str, Any]) -> None:
        """Remember the digests of files, where that can be written down."""
        with suppress(StoreError):
            write_text(self.logs / ".digests.json", json.dumps(memory))

    def keep_digests(self, memory: Digests) -> None:
        """Keep what was asked of `memory` in the study's folder, which may be copied elsewhere.

        Nothing is written by who only looks at the study.
        """
        if not self._held:
            return
        own = {name: memory[name] for name in sorted(memory.asked & memory.keys())}
        if own:
            with suppress(StoreError):
                write_text(self.root / ".digests.json", json.dumps(own))


class Digests(dict[str, Any]):
    """Digests by path, which notes what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        """Return what is remembered of `name`."""
        self.asked.add(name)
        return super().get(name, default)


def studies(logs: str | os.PathLike[str]) -> list[str]:
    """Return the names of the studies under `logs`."""
    place = Path(logs)
    if not place.is_dir():
        return []
    return sorted(each.parent.name for each in place.glob("*/study.yaml"))


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
