"""Pages to look at, by name: studies of each kind whose outcomes are made up."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np

from ablate.execution import run as running
from ablate.execution.screen import report_on, screen
from ablate.report import ReportData
from ablate.report.files import page
from ablate.report.search import section, with_winners
from ablate.study.schema.analysis import Analysis as Settings
from ablate.study.schema.probes import PROBES
from tests.execution.pretending import Pretending
from tests.execution.test_screen import ANSWERS, outcome
from tests.execution.test_screen import study as screening
from tests.report.studies import BN, DROPOUT, arm, factorial, rates, report_of, result, study
from tests.report.test_probe_sections import arrays
from tests.report.test_search import searched

LONG = "resnet50-imagenet-pretrained-bn-before-every-activation-dropout-0.5"


def digits() -> ReportData:
    return study()


def long_names() -> ReportData:
    names = ["-frozen", "-frozen-then-tuned-with-a-small-learning-rate-0.0001", "_x" * 30]
    found = {"the-plain-network-without-any-normalization-or-dropout-at-all": ([], 0, {})}
    for place, name in enumerate(names):
        found[LONG + name] = ([BN] if place else [DROPOUT], 0.01 * place, {})
    return study(found, name=LONG)


def one_seed() -> ReportData:
    return study(seeds=1)


def forty() -> ReportData:
    found = {"plain": ([], 0.0, {})}
    for place in range(39):
        found[f"bn-{place + 1:02d}-at-block-{place % 5}"] = (
            [BN] * (place % 3), round(0.02 * np.sin(place) if place % 4 == 0 else 0.0005, 4),
            {"epochs": 20 + place},
        )  # fmt: skip
    return study(found, name="forty-variants")


def diverged() -> ReportData:
    return study(status=lambda variant, seed: "diverged", name="everything-diverged")


def some_lost() -> ReportData:
    fates = {
        ("bn", 1): "diverged",
        ("bn", 2): "failed",
        ("both", 0): "diverged",
        ("dropout", 4): None,
    }
    return study(status=lambda v, s: fates.get((v, s), "completed"), name="some-lost")


def search() -> ReportData:
    found = searched(
        importance={"bn": {"train.learning_rate": 0.9}}, text=("A budget of 60 epochs.",),
        confirmed=study(seeds=3).analysis,
    )  # fmt: skip
    material = replace(study(seeds=3, name="search"), sections=(section(found),))
    return with_winners(material, found)


def leave_one_out() -> ReportData:
    parts = {f"bn{index}": 0.012 - 0.004 * index for index in range(6)}
    resolved = [arm("plain", [], {}), arm("all", [BN], {})]
    resolved += [
        arm(f"all-without-{part}", [BN], {"epochs": 21 + place}, origin="leave_one_out",
            left_out=("all", part))
        for place, part in enumerate(parts)
    ]  # fmt: skip
    whole = 0.02
    effects = {"plain": 0.0, "all": whole}
    effects |= {f"all-without-{part}": whole - worth for part, worth in parts.items()}
    results = [result(each, seed, effects[each.name]) for each in resolved for seed in range(5)]
    return report_of(resolved, results, seeds=range(5), name="leave-one-out")


def positions() -> ReportData:
    places = ("before", "before_activation", "after_activation", "after")
    found = {"none": ([], 0.0, {})}
    for index, at in enumerate(places):
        found[f"bn-{at}"] = ([{**BN, "at": at}], 0.004 * index, {})
    return study(found, name="positions", settings=Settings(compare="all"))


def where() -> ReportData:
    executor = Pretending(outcome, ANSWERS)
    with tempfile.TemporaryDirectory() as folder:
        with mock.patch.object(running, "make_executor", lambda *_: executor):
            results = screen(screening(), logs=Path(folder), watchers=[])
        return report_on(results, command="ablate screen where.yaml")


def probes() -> ReportData:
    made = study(seeds=3, name="probes")
    results = tuple(replace(each, probes=tuple(PROBES)) for each in made.results)
    variants = {each.id: each.variant for each in results}

    def stored(trial: str) -> dict[str, np.ndarray]:
        return {
            key: each for probe in PROBES for key, each in arrays(probe, variants[trial]).items()
        }

    return replace(made, results=results, arrays=stored)


#: Every named view.
PAGES: dict[str, Callable[[], ReportData]] = {
    "digits": digits,
    "long-names": long_names,
    "one-seed": one_seed,
    "forty": forty,
    "diverged": diverged,
    "some-lost": some_lost,
    "search": search,
    "learning-rates": rates,
    "factorial": factorial,
    "leave-one-out": leave_one_out,
    "positions": positions,
    "screening": where,
    "probes": probes,
}


def written(name: str, folder: Path) -> str:
    """Write a page and return its address."""
    path = folder / f"{name}.html"
    path.write_text(page(PAGES[name]()), encoding="utf-8")
    return path.as_uri()
