"""What a logs folder holds that nobody needs, or that can be made again: `ablate gc`.

Outcomes that a study plans are never among it, nor is what another study starts from. A study that
is being run is left alone: what looks like a leftover may be its next trial.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ablate.config import load_study
from ablate.disk import notice
from ablate.errors import AblateError, StoreError
from ablate.execution.plan import plan, resolved_before
from ablate.execution.pretrained import with_trained_model
from ablate.execution.screen import screened
from ablate.store import Store, studies

#: What each kind is, in the order in which they are listed: what costs least to lose comes first.
KINDS = {
    "work": "work folders of trials that are done or no longer planned",
    "events": "event files of TensorBoard: `ablate board` writes them again",
    "unsound": "files that were damaged and set aside",
    "archives": "whole studies that --fresh set aside",
    "trials": "outcomes that are no longer planned: they would have to be trained again",
}

#: How `--fresh` names what it sets aside.
_ARCHIVE = re.compile(r"(.+)\.\d{8}-\d{6}(-\d+)?")


@dataclass(frozen=True)
class Leftover:
    """Files and folders of one kind in one study's folder, and their size in bytes."""

    study: str
    kind: str
    places: tuple[Path, ...]
    size: int


def find_leftovers(logs: Path, study: str | None = None) -> list[Leftover]:
    """Return what can be deleted under `logs`, of one study or of all, by study and kind.

    Raises:
        StoreError: there is no study of that name, nor an archive of one.
    """
    archives = _archives(logs, study)
    names = [each for each in studies(logs) if not _ARCHIVE.fullmatch(each)]
    if study is not None:
        if study not in names and not archives:
            raise StoreError(f"No study '{study}' lies under {logs}/.")
        names = [each for each in names if each == study]
    found = []
    for name in names:
        store = Store(logs, name)
        try:
            with store.lock():
                found += [each for each in _of(store) if each.places]
        except AblateError as error:
            notice(f"{store.root} is left alone: {error}")
    return found + [_leftover(name, "archives", places) for name, places in archives.items()]


def delete(leftover: Leftover, logs: Path) -> None:
    """Delete a leftover.

    Raises:
        StoreError: its study is being run now.
    """
    if leftover.kind == "archives":
        _remove(leftover.places)
        return
    with Store(logs, leftover.study).lock():
        _remove(leftover.places)


def _remove(places: tuple[Path, ...]) -> None:
    for place in places:
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def _of(store: Store) -> Iterator[Leftover]:
    study = with_trained_model(load_study(store.study_file), store.logs, recorded=True)
    made = plan(study, store, earlier=resolved_before(store), recorded=True)
    if made.study.screen is not None:
        made = screened(made.study, store)[1]
    todo = {trial.id for trial in made.todo}
    if store.works.is_dir():
        works = [each for each in store.works.iterdir() if not each.name.startswith(".")]
        yield _leftover(store.name, "work", [each for each in works if each.name not in todo])
    if store.tensorboard.is_dir():
        yield _leftover(store.name, "events", [store.tensorboard])
    yield _leftover(store.name, "unsound", store.root.rglob("*.unsound*"))
    others = "".join(
        Store(store.logs, each).study_file.read_text(encoding="utf-8", errors="replace")
        for each in studies(store.logs)
    )
    yield _leftover(
        store.name,
        "trials",
        [
            place
            for trial in made.dropped
            if trial not in others  # another study may start from the network it saved
            for place in store.trials.glob(f"{trial}.*")
            if ".unsound" not in place.suffixes
        ],
    )


def _archives(logs: Path, study: str | None) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for place in sorted(logs.iterdir()) if logs.is_dir() else []:
        named = _ARCHIVE.fullmatch(place.name)
        if named and place.is_dir() and (study in (None, named.group(1))):
            found.setdefault(named.group(1), []).append(place)
    return found


def _leftover(study: str, kind: str, places: Iterator[Path] | list[Path]) -> Leftover:
    found = tuple(sorted(places))
    return Leftover(study, kind, found, sum(map(_size, found)))


def _size(place: Path) -> int:
    if not place.is_dir() or place.is_symlink():
        return place.lstat().st_size
    return sum(
        os.lstat(os.path.join(folder, name)).st_size
        for folder, _, files in os.walk(place)
        for name in files
    )
