"""The studies of published results: where their files lie, and what the store knows of them.

`configs/papers` (of the folder one works in, else those that came with the package) goes in; a
`Reproduction` per file comes out. Which profile the trials in the store belong to is found by
comparing what was run with what each profile says, so that the claims and the command in the
document are those of the profile that was run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ablate.config import load_study
from ablate.errors import StudyError, nearest
from ablate.examples import heading, shipped
from ablate.execution.plan import plan, resolved_before
from ablate.report import report_of
from ablate.report.reproductions import Reproduction
from ablate.store import Store
from ablate.study.study import Study

#: Where the files lie in a checkout one works in.
PLACE = Path("configs") / "papers"

#: A network that a trial of a study saved.
_SAVED = re.compile(r"trials[/\\][0-9a-f]{64}\.keras$")

#: The order of the document; files of other names follow, by name.
ORDER = (
    "ioffe2015_mnist",
    "lr_and_init_grid",
    "conv20_mnist",
    "santurkar2018_noise",
    "bjorck2018_learning_rate",
    "frankle2020_only_bn",
    "bn_regularization",
    "introductions",
    "bn_article_mnist",
    "lenet_bn_mnist",
    "batch_size",
    "hoffer2017_ghost",
    "wu2021_precise_bn",
    "srivastava2014_mnist",
    "srivastava2014_sparsity",
    "srivastava2014_datasize",
    "dropout_article_line",
    "liu2023_early_dropout",
    "li2018_variance_shift",
    "garbin2020_mlp",
    "garbin2020_deconfounded",
    "vgg_pretrained_bn",
)


def papers(folder: Path | None = None) -> dict[str, Path]:
    """Return the study files of published results by name, in the document's order.

    Args:
        folder: where they lie; default `configs/papers` here, else the package's own.

    Raises:
        StudyError: there is no such folder, or no study in it.
    """
    places = [folder] if folder else [PLACE, shipped() / "papers"]
    for place in places:
        files = {path.stem: path for path in sorted(place.glob("*.yaml"))}
        if files:
            order = {name: place for place, name in enumerate(ORDER)}
            return dict(sorted(files.items(), key=lambda item: order.get(item[0], len(order))))
    raise StudyError(
        f"There are no studies of published results: looked for *.yaml in "
        f"{' and '.join(map(str, places))}. Name their folder with --configs."
    )


def select(files: dict[str, Path], names: tuple[str, ...]) -> dict[str, Path]:
    """Return the files that `names` choose; `all` chooses every one.

    Raises:
        StudyError: a name that no file has.
    """
    chosen: dict[str, Path] = {}
    for name in names:
        stem = Path(name).stem if name.endswith(".yaml") else name
        if stem == "all":
            chosen.update(files)
        elif stem in files:
            chosen[stem] = files[stem]
        else:
            raise StudyError(
                f"There is no study of published results called '{name}'."
                f"{nearest(stem, files)} Expected one of: {', '.join(files)}; or all."
            )
    return chosen


def look_up(name: str, path: Path, logs: Path) -> Reproduction:
    """Return a study with what the store has of it: nothing, or its report.

    Raises:
        StudyError: the file is not valid.
    """
    not_run = Reproduction(name, heading(path))
    declared = load_study(path)
    store = Store(logs, declared.study)
    resolved = resolved_before(store)
    if resolved is None:
        return not_run
    command = f"ablate run {store.study_file.as_posix()}"
    profile, study = profile_of(path, declared, resolved)
    if study is not None:
        command = f"ablate reproduce {path.stem}" + (f" --profile {profile}" if profile else "")
        if study.seed_list != resolved.seed_list:
            command += f" --seeds {','.join(map(str, resolved.seed_list))}"
        # What is claimed may have been mended since; it is no part of a trial.
        resolved = resolved.model_copy(update={"expect": study.expect})
    made = plan(resolved, store, earlier=resolved, recorded=True)
    if not any(result.final for result in made.results.values()):
        return not_run
    material = report_of(made.outcome(made.results, store), command=command)
    return Reproduction(name, not_run.heading, material, profile, material.command)


def profile_of(path: Path, declared: Study, resolved: Study) -> tuple[str | None, Study | None]:
    """Return the profile that `resolved` was made with, and the study as that profile has it.

    One with the same seeds comes first; (None, None) when `--set` changed what was trained.
    """
    fitting = [
        (profile, study)
        for profile in (None, *declared.profiles)
        if _trained(study := load_study(path, profile=profile)) == _trained(resolved)
    ]
    fitting.sort(key=lambda pair: pair[1].seed_list != resolved.seed_list)
    return fitting[0] if fitting else (None, None)


def _trained(study: Study) -> list[tuple[str, Any]]:
    """Return what a study trains, less what a machine adds: threads, and where files lie.

    A network that another study trained is named by that study in a file, and by the file that
    the study saved where it was resolved.
    """
    found = []
    for variant in study.resolved:
        spec = variant.spec.model_dump(mode="json", by_alias=True)
        spec["data"].pop("path", None)
        spec["train"].pop("threads", None)
        if spec["model"].get("study") or _SAVED.search(spec["model"].get("file") or ""):
            spec["model"] = "trained by a study"
        found.append((variant.name, spec))
    return found
