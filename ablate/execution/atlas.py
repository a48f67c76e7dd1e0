"""The atlas: its studies planned, run and resumed, and what was foretold before the last of them.

`configs/atlas` has a file per data set, whose profiles are networks. Some combinations are held
back, chosen by a seed; when all others are trained, predictions of them are written down, and
only then are they trained. Several `ablate atlas` may run at once: each takes a study that no
other holds.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ablate.analysis.atlas import Combination, Prediction, predict
from ablate.analysis.claims import RMSE
from ablate.config import load_study
from ablate.disk import write_text
from ablate.errors import StoreError, StudyError
from ablate.examples import shipped
from ablate.execution.plan import plan, resolved_before
from ablate.execution.run import run
from ablate.store import Store
from ablate.study.schema.sources import KERAS_SETS
from ablate.study.study import Study

#: Seconds between looks at what other processes have finished.
_PAUSE = 5.0


@dataclass(frozen=True)
class Entry:
    """A combination of the atlas: a study file with one of its profiles."""

    name: str
    data: str
    network: str
    file: Path
    study: Study

    @property
    def metric(self) -> str:
        """What it is claimed in; only known sources of regression are not in accuracy."""
        return RMSE if self.study.data.name in _REGRESSION else "accuracy"


_REGRESSION = ("diabetes", "noisy_line", "california_housing", "boston_housing")


@dataclass(frozen=True)
class Atlas:
    """What the folder holds: combinations to train, and data sets that are not there."""

    entries: tuple[Entry, ...]
    absent: Mapping[str, str]  # file's stem -> why
    held_back: tuple[str, ...]
    predictions: Path


def find(
    folder: Path | None, logs: Path, paths: Mapping[str, Path], *, seed: int, held_back: int
) -> Atlas:
    """Return the atlas of a folder of studies.

    Args:
        folder: where the studies are; default `configs/atlas` here, else the package's own.
        logs: where studies are written.
        paths: files of data sets by the name of their source.
        seed: chooses what is held back.
        held_back: how many combinations.

    Raises:
        StudyError: there is no such folder, no study in it, or a study without the factors.
    """
    places = [folder] if folder else [Path("configs") / "atlas", shipped() / "atlas"]
    files = next((own for place in places if (own := sorted(place.glob("*.yaml")))), [])
    if not files:
        raise StudyError(
            f"There are no studies of the atlas: looked for *.yaml in "
            f"{' and '.join(map(str, places))}. Name their folder with --configs."
        )
    entries: list[Entry] = []
    absent: dict[str, str] = {}
    for file in files:
        first = load_study(file)
        why = _absent(first, paths)
        if why is not None:
            absent[file.stem] = why
            continue
        entries += [_entry(file, profile, paths) for profile in (None, *first.profiles)]
    names = sorted(each.name for each in entries)
    chosen = random.Random(seed).sample(names, min(held_back, max(len(names) - 3, 0)))
    return Atlas(tuple(entries), absent, tuple(sorted(chosen)), logs / "atlas-predictions.json")


def _entry(file: Path, profile: str | None, paths: Mapping[str, Path]) -> Entry:
    study = load_study(file, profile=profile)
    name = study.data.name or ""
    if name in paths:
        study = load_study(file, {"data.path": str(paths[name])}, profile=profile)
    missing = {"placement", "rate"} - set(study.factors)
    if missing:
        raise StudyError(
            f"{file}: a study of the atlas has the factors placement and rate. "
            f"Missing: {', '.join(sorted(missing))}."
        )
    network = profile or str(study.model.name)
    return Entry(study.study.removeprefix("atlas-"), file.stem, network, file, study)


def _absent(study: Study, paths: Mapping[str, Path]) -> str | None:
    """Return why a data set is not there, None where it is."""
    name = study.data.name or ""
    known = KERAS_SETS.get(name)
    if known is None or name in paths or study.data.path is not None:
        return None
    folder = Path.home() / ".keras" / "datasets"
    if all((folder / file).exists() for file in known.files):
        return None
    return f"{name} is not under ~/.keras/datasets"


def combinations(atlas: Atlas, logs: Path) -> list[Combination]:
    """Return every combination with what the store has of it, under whichever numerics."""
    return [combination(each, logs, recorded=True) for each in atlas.entries]


def combination(entry: Entry, logs: Path, *, recorded: bool = False) -> Combination:
    """Return a combination with what the store has of it.

    Trials of other numerics count where what is `recorded` is asked for.
    """
    store = Store(logs, entry.study.study)
    earlier = resolved_before(store) if recorded else None
    made = plan(entry.study, store, earlier=earlier, recorded=earlier is not None)
    rates = entry.study.factors["rate"]
    return Combination(
        entry.name, entry.data, entry.network, tuple(rates), tuple(made.results.values()),
        len(made.trials),
    )  # fmt: skip


def carry_out(
    atlas: Atlas, logs: Path, train: Callable[[Entry], Any], say: Callable[[str], None]
) -> None:
    """Train everything that has no outcome: the held-back last, after predictions are written."""
    others = [each for each in atlas.entries if each.name not in atlas.held_back]
    held = [each for each in atlas.entries if each.name in atlas.held_back]
    _train_all(others, logs, train, say)
    if held and not atlas.predictions.exists():
        trained = [combination(each, logs) for each in others]
        _write(atlas, predict(trained, {each.name: each.metric for each in held}), trained)
        say(f"Predictions for {', '.join(atlas.held_back)}: {atlas.predictions}")
    _train_all(held, logs, train, say)


def _train_all(
    entries: Sequence[Entry],
    logs: Path,
    train: Callable[[Entry], Any],
    say: Callable[[str], None],
) -> None:
    """Train every study; those that another process holds are waited for."""
    left = list(entries)
    while left:
        held = []
        for place, entry in enumerate(left, start=1):
            found = combination(entry, logs)
            if found.finished:
                continue
            say(f"{entry.name}: {found.planned} trials ({len(left) - place} more studies)")
            try:
                train(entry)
            except StoreError as error:
                if "is being run by" not in str(error):
                    raise
                held.append(entry)
        left = held
        if left:
            time.sleep(_PAUSE)


def trained_here(entry: Entry, logs: Path, executor: str) -> None:
    """Train a study's trials with the executor; nothing is printed of them."""
    run(entry.study, logs=logs, executor=executor, watchers=[])


def _write(atlas: Atlas, found: Iterable[Prediction], trained: Sequence[Combination]) -> None:
    document = {
        "held_back": list(atlas.held_back),
        "written": time.strftime("%Y-%m-%d %H:%M:%S"),
        "from_trials": sum(len(each.results) for each in trained),
        "predictions": [asdict(each) for each in found],
    }
    write_text(atlas.predictions, json.dumps(document, indent=1) + "\n")


def predictions(atlas: Atlas) -> list[Prediction]:
    """Return what was foretold, nothing where nothing was yet."""
    try:
        document = json.loads(atlas.predictions.read_text(encoding="utf-8"))
        return [Prediction(**each) for each in document["predictions"]]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"{atlas.predictions} is no file of predictions ({error}). Expected what `ablate "
            "atlas` wrote before the held-back studies were trained."
        ) from None
