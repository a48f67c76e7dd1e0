"""The document of the atlas, written from its trials: what to try first, and five questions.

`AtlasReport` enters; Markdown leaves. Every number and every "better" is read off claims; a
sentence changes with them. The five answers are `atlas_questions`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from operator import attrgetter

from ablate.analysis.atlas import CONFIDENCE, PLACEMENTS
from ablate.analysis.claims import RMSE, Claim
from ablate.report import atlas_questions, formatting
from ablate.report.atlas_data import TITLES, AtlasReport
from ablate.report.document import Column, Table
from ablate.report.markdown import as_table, escape, fenced
from ablate.report.report_data import environment_of, versions
from ablate.report.synthesis import Unit


def as_document(report: AtlasReport, picture: str, table: str) -> str:
    """Return the document as Markdown.

    Args:
        report: what to tell.
        picture: the address of the forest.
        table: the address of the CSV.
    """
    parts = [
        "# The atlas: what BN and Dropout do across networks and data sets",
        _opening(report, table),
        "## What to try first",
        *_first(report),
        "## The picture",
        f"![The atlas as a forest of forests](<{picture}>)",
        "A square is a combination: the test metric of the placement minus that of the plain "
        "network, each at its own best rate, with the interval of its seeds. Diamonds are means "
        "over combinations, filled where they are better or worse after correction; the bar below "
        "is where the next combination is expected. An arrow marks what lies beyond the axis.",
        "## Before or after the activation?",
        *atlas_questions.order(report),
        "## With Dropout, or instead?",
        *atlas_questions.together(report),
        "## Does a higher learning rate explain it?",
        *atlas_questions.rates(report),
        "## On few rows?",
        *atlas_questions.few_rows(report),
        "## In recurrent networks?",
        *atlas_questions.recurrent(report),
        "## Foretold, then trained",
        *_foretold(report),
        "## What it took, and its limits",
        _took(report),
        _limits(report),
        fenced(report.command, "sh"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opening(report: AtlasReport, table: str) -> str:
    done = sum(len(each.results) for each in report.combinations)
    planned = sum(each.planned for each in report.combinations)
    data = len({each.data for each in report.combinations})
    networks = len({each.network for each in report.combinations})
    left = len(report.combinations) - len(report.trained)
    state = (
        ""
        if not left
        else f" **It is not finished**: {planned - done} trials of {left} combinations are to "
        "come, and nothing is claimed of these."
    )
    return (
        f"{done:,} trials of {len(report.combinations)} combinations of {networks} networks and "
        f"{data} data sets: no BN and no Dropout, each before and after the activation, and both, "
        "each at three learning rates with three seeds. Written by `ablate atlas` from the trials "
        f"themselves, nothing by hand; every number behind it is in [{escape(table)}](<{table}>). "
        "Accuracy is in points, numbers to predict in percent of RMSE; a difference is to the "
        "plain network, each side at the rate that is best for it on validation rows, and "
        f"intervals are at {formatting.percent(CONFIDENCE)}.{state}"
    )


def _first(report: AtlasReport) -> Iterator[str]:
    """Yield the minute's answer: over all networks, then a row per network."""
    gain = attrgetter("gain")
    for metric in ("accuracy", RMSE):
        known = [c for each in PLACEMENTS if (c := report.claim(each, metric)) is not None]
        if not known:
            continue
        best = max(known, key=gain)
        what = "In classification" if metric == "accuracy" else "In regression"
        said = (
            f"try {TITLES[best.name]} first**: it"
            if best.verdict == "better"
            else f"nothing is shown to help on average**; the best of five, {TITLES[best.name]},"
        )
        worse = [TITLES[c.name] for c in known if c.verdict == "worse"]
        yield (
            f"**{what} {said} is worth {_estimate(best)} and is better in {_share(best)} "
            f"combinations{_ahead(best)}."
            + (f" Worse on average: {formatting.listed(worse)}." if worse else "")
        )
    rows = []
    for network, own in report.networks.items():
        found = [c for each in PLACEMENTS if (c := report.within(own, each)) is not None]
        if not found:
            continue
        best = max(found, key=gain)
        worst = min(found, key=gain)
        unit = Unit(best.metric)
        rows.append((
            network,
            TITLES[best.name] if best.gain > 0 else "nothing",
            unit.text(best.synthesis.mean),
            unit.interval(best.synthesis.low, best.synthesis.high),
            _share(best),
            _how_sure(best) if best.gain > 0 else "",
            f"{TITLES[worst.name]} ({unit.text(worst.synthesis.mean)})",
        ))  # fmt: skip
    columns = (
        Column("Network", "left"), Column("Try first", "left"), Column("Points"),
        Column("Interval over data sets"), Column("Better in"), Column("How sure", "left"),
        Column("Try last", "left"),
    )  # fmt: skip
    yield as_table(
        Table(
            "first",
            "By network, in points of accuracy",
            columns,
            tuple(rows),
            (
                "How sure: sure, the interval over data sets leaves out 0; likely, better in "
                "three quarters of three or more; open otherwise. The best of five placements of "
                "few data sets looks better than it is: expect less.",
            ),
        ),
        level=3,
    )


def _foretold(report: AtlasReport) -> Iterator[str]:
    if not report.held_back:
        yield "Nothing was held back."
        return
    names = report.held_back
    if not report.predictions:
        yield (
            f"Held back, chosen by a seed before anything was trained: {formatting.listed(names)}. "
            "They are foretold when all others are trained, and trained after that."
        )
        return
    hits = sum(hit for *_, hit in report.hits)
    said = f"{hits} of {len(report.hits)} estimates"
    yield (
        f"Before anything was trained {len(names)} combinations were chosen by a seed: "
        f"{formatting.listed(names)}. When all others were trained, an interval for the estimate "
        f"of each placement in each of them was written to a file, and then they were trained: "
        f"{said} fell into their {formatting.percent(CONFIDENCE)} intervals"
        + (f" ({100 * hits / len(report.hits):.0f} %)." if report.hits else ".")
        + " Placements of one combination share its plain network, so that they hit or miss "
        "together more often than separate ones."
    )
    rows = []
    for each, came, hit in report.hits:
        unit = Unit(each.metric)
        rows.append((
            each.combination, TITLES[each.contrast], unit.interval(each.low, each.high),
            unit.text(came), unit.word, "hit" if hit else "missed",
        ))  # fmt: skip
    columns = (
        Column("Combination", "left"), Column("Placement", "left"), Column("Foretold"),
        Column("Came"), Column("Unit", "left"), Column("", "left"),
    )  # fmt: skip
    if rows:
        yield as_table(Table("foretold", "Predictions", columns, tuple(rows)), level=3)


def _took(report: AtlasReport) -> str:
    results = [each for own in report.combinations for each in own.results]
    seconds = sum(each.seconds.get("total", 0.0) for each in results)
    lost = Counter(each.status for each in results if each.status != "completed")
    known = environment_of(results)
    machine = known.get("cpu", known.get("platform", ()))
    said = [" and ".join(machine)] if machine else []
    said += versions(known, ("ablate", "keras", "tensorflow"))
    losses = ", ".join(f"{count} {kind}" for kind, count in lost.items()) or "none lost"
    absent = "".join(f" Left out: {name} ({why})." for name, why in report.absent.items())
    return (
        f"{len(results):,} trials ({losses}), {formatting.duration(seconds)} on the clock summed "
        "over trials, one thread each, on a machine that other work kept busy (a trial takes a "
        "fraction of that on an idle one); "
        f"{formatting.listed(said) or 'machine not recorded'}.{absent}"
    )


def _limits(report: AtlasReport) -> str:
    return (
        "Networks are small and trained for a few epochs of Adam on a thousand rows or so: the "
        "atlas says what to try first in a network like these, not what a week of training ends "
        "with. Combinations share data sets and networks and are taken for independent, so that "
        "means are less sure than their intervals say; three seeds on one test set leave chance "
        "in its rows in the spread between combinations. The same validation rows chose the rates "
        "of both sides. Everything is at one Dropout rate (0.25) and one batch size per data set."
    )


def _estimate(claim: Claim) -> str:
    """Return a claim's mean with its interval."""
    unit, found = Unit(claim.metric), claim.synthesis
    return f"{unit.stated(found.mean)} ({unit.interval(found.low, found.high)})"


def _share(claim: Claim) -> str:
    return f"{claim.better_in} of {len(claim.estimates)}"


def _how_sure(claim: Claim) -> str:
    if claim.synthesis.low > 0 or claim.synthesis.high < 0:
        return "sure"
    count = len(claim.estimates)
    return "likely" if count > 2 and claim.better_in / count >= 0.75 else "open"


def _ahead(claim: Claim) -> str:
    """Say what to expect of the next network."""
    unit, found = Unit(claim.metric), claim.synthesis
    if found.next_low is None or found.next_high is None:
        return ""
    lowest = found.next_low if claim.direction == "max" else -found.next_high
    return (
        f"; in the next network {unit.interval(found.next_low, found.next_high)} is to be expected"
        + (", a gain" if lowest > 0 else ", which may be a loss")
    )
