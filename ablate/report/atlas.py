"""The document of the atlas, written from its trials: what to try first, and five questions.

`AtlasReport` enters; Markdown and CSV leave. Every number and every "better" is read off claims; a
sentence changes with them.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from ablate.analysis.across import RMSE, Claim, Estimate
from ablate.analysis.atlas import (
    CONFIDENCE,
    CONTRASTS,
    PLACEMENTS,
    PLAIN,
    Combination,
    Prediction,
    claim_over,
    claims,
    difference,
)
from ablate.report import formatting
from ablate.report.document import Column, Table
from ablate.report.markdown import as_table, escape, fenced
from ablate.report.synthesis import Unit

#: What each placement is called.
TITLES = {
    "bn-before": "BN before",
    "bn-after": "BN after",
    "dropout-before": "Dropout before",
    "dropout-after": "Dropout after",
    "both": "BN before, Dropout after",
}


@dataclass(frozen=True)
class AtlasReport:
    """All that the document may say: combinations, predictions, what is not there, the command."""

    combinations: tuple[Combination, ...]
    predictions: tuple[Prediction, ...]
    held_back: tuple[str, ...]
    absent: Mapping[str, str]
    command: str

    @cached_property
    def trained(self) -> Sequence[Combination]:
        """The combinations that are finished: only these are claimed of."""
        return [each for each in self.combinations if each.finished]

    @cached_property
    def claims(self) -> Mapping[str, Sequence[Claim]]:
        """The claims of every contrast over all finished combinations."""
        return claims(self.trained, CONTRASTS)

    @cached_property
    def networks(self) -> Mapping[str, Sequence[Combination]]:
        """The combinations in accuracy by network, in the order of the studies."""
        found: dict[str, list[Combination]] = {}
        for each in self.trained:
            if each.metric == "accuracy":
                found.setdefault(each.network, []).append(each)
        return found

    def claim(self, contrast: str, metric: str = "accuracy") -> Claim | None:
        """Return the claim of a contrast in a metric, if there is one."""
        return next((c for c in self.claims.get(contrast, ()) if c.metric == metric), None)

    def within(self, combinations: Sequence[Combination], contrast: str) -> Claim | None:
        """Return the claim of a contrast over some combinations of one metric."""
        return claim_over(combinations, contrast, lambda e: e.estimate(CONTRASTS[contrast]))

    @cached_property
    def hits(self) -> Sequence[tuple[Prediction, float, bool]]:
        """Each prediction whose combination was trained, what came, and whether it held."""
        known = {each.name: each for each in self.trained}
        found = []
        for each in self.predictions:
            trained = known.get(each.combination)
            made = trained and trained.estimate(CONTRASTS[each.contrast])
            if made:
                found.append((each, made.mean, each.low <= made.mean <= each.high))
        return found


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
        *_order(report),
        "## With Dropout, or instead?",
        *_together(report),
        "## Does a higher learning rate explain it?",
        *_rates(report),
        "## On few rows?",
        *_few_rows(report),
        "## In recurrent networks?",
        *_recurrent(report),
        "## Foretold, then trained",
        *_foretold(report),
        "## What it took, and its limits",
        _took(report),
        _limits(report),
        fenced(report.command, "sh"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


# Words -------------------------------------------------------------------------------------------


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
    for metric in ("accuracy", RMSE):
        known = [c for each in PLACEMENTS if (c := report.claim(each, metric)) is not None]
        if not known:
            continue
        best = max(known, key=_gain)
        what = "In classification" if metric == "accuracy" else "In regression"
        said = (
            f"try {TITLES[best.name]} first**: it"
            if best.verdict == "better"
            else f"nothing is shown to help on average**; the best of five, {TITLES[best.name]},"
        )
        worse = [TITLES[c.name] for c in known if c.verdict == "worse"]
        yield (
            f"**{what} {said} is worth {_estimate(best)} and is better in {_better(best)} "
            f"combinations{_ahead(best)}."
            + (f" Worse on average: {formatting.listed(worse)}." if worse else "")
        )
    rows = []
    for network, own in report.networks.items():
        found = [c for each in PLACEMENTS if (c := report.within(own, each)) is not None]
        if not found:
            continue
        best = max(found, key=_gain)
        worst = min(found, key=_gain)
        unit = Unit(best.metric)
        rows.append((
            network,
            TITLES[best.name] if _gain(best) > 0 else "nothing",
            unit.text(best.synthesis.mean),
            unit.interval(best.synthesis.low, best.synthesis.high),
            _better(best),
            _how_sure(best) if _gain(best) > 0 else "",
            f"{TITLES[worst.name]} ({unit.text(worst.synthesis.mean)})",
        ))  # fmt: skip
    columns = (
        Column("Network", "left"),
        Column("Try first", "left"),
        Column("Points"),
        Column("Interval over data sets"),
        Column("Better in"),
        Column("How sure", "left"),
        Column("Try last", "left"),
    )
    yield as_table(
        Table(
            "first",
            "By network, in points of accuracy",
            columns,
            tuple(rows),
            (
                "How sure: sure, the interval over data sets leaves out 0; likely, better in "
                "three quarters of them or more; open otherwise. The best of five placements of "
                "few data sets looks better than it is: expect less.",
            ),
        ),
        level=3,
    )


def _order(report: AtlasReport) -> Iterator[str]:
    yield "**" + " ".join(
        _answer(report.claim(f"{name}: before, not after"), {
            "better": f"{layer} belongs before the activation.",
            "worse": f"{layer} belongs after the activation.",
            "equal": f"For {layer} it makes no difference at all.",
            "open": f"For {layer} it is not decided on average; see the networks of the picture.",
        })
        for layer, name in (("BN", "bn"), ("Dropout", "dropout"))
    ) + "**"  # fmt: skip
    yield (
        "Under ReLU Dropout before and after are one function, since max(0, m·x) = m·max(0, x) for "
        "a mask m ≥ 0: they can only differ around an LSTM."
    )
    yield _contrasts(report, "order", (
        ("bn: before, not after", "BN before minus BN after"),
        ("dropout: before, not after", "Dropout before minus Dropout after"),
    ))  # fmt: skip


def _together(report: AtlasReport) -> Iterator[str]:
    yield "**" + " ".join((
        _answer(report.claim("bn, not dropout"), {
            "better": "BN rather than Dropout.",
            "worse": "Dropout rather than BN.",
            "open": "Neither BN nor Dropout is shown to be the better one.",
        }),
        _answer(report.claim("dropout added to bn"), {
            "better": "Dropout adds to BN.",
            "worse": "Dropout beside BN costs.",
            "open": "That Dropout adds to BN is not shown.",
        }),
        _answer(report.claim("bn added to dropout"), {
            "better": "BN adds to Dropout.",
            "worse": "BN beside Dropout costs.",
            "open": "That BN adds to Dropout is not shown.",
        }),
    )) + "**"  # fmt: skip
    yield _contrasts(report, "together", (
        ("bn, not dropout", "BN before minus Dropout after"),
        ("dropout added to bn", "Both minus BN before"),
        ("bn added to dropout", "Both minus Dropout after"),
    ))  # fmt: skip


def _rates(report: AtlasReport) -> Iterator[str]:
    shared = report.claim("bn-before, shared rate")
    yield "**" + " ".join((
        _answer(shared, {
            "better": "No: BN's gain is there at the rate that is best without it.",
            "worse": "At the rate that is best without BN, BN costs.",
            "open": "At the rate that is best without BN no gain is shown.",
        }),
        _answer(report.claim("bn's own rate, not the shared"), {
            "better": "A rate of its own adds to it.",
            "worse": "The rate that validation rows choose for it is worse on test rows.",
            "open": "That a rate of its own adds to it is not shown.",
        }),
    )) + "**"  # fmt: skip
    moves: Counter[str] = Counter()
    for each in report.trained:
        own, base = each.rate("bn-before"), each.rate(PLAIN)
        if own is not None and base is not None:
            step = each.rates.index(own) - each.rates.index(base)
            moves["higher" if step > 0 else "lower" if step < 0 else "same"] += 1
    yield (
        f"With BN the best of the three rates was higher than without in {moves['higher']} of "
        f"{sum(moves.values())} combinations, the same in {moves['same']}, lower in "
        f"{moves['lower']}."
    )
    yield _contrasts(report, "rates", (
        ("bn-before, shared rate", "BN before at the plain network's best rate"),
        ("bn-before", "BN before at its own best rate"),
        ("bn's own rate, not the shared", "What its own rate adds"),
    ))  # fmt: skip


def _answer(claim: Claim | None, said: Mapping[str, str]) -> str:
    """Return what is said of a claim on accuracy: by its verdict, or that all estimates are 0."""
    if claim is None:
        return "Too little is trained to say."
    if all(each.mean == 0 for each in claim.estimates) and "equal" in said:
        return said["equal"]
    return said.get(claim.verdict, said["open"])


def _contrasts(report: AtlasReport, name: str, said: Sequence[tuple[str, str]]) -> str:
    """Return a table of contrasts, accuracy and RMSE below each other."""
    rows = []
    for metric in ("accuracy", RMSE):
        for contrast, words in said:
            claim = report.claim(contrast, metric)
            if claim is not None:
                rows.append((words, *_cells(claim)))
    return _tabulated(name, "Contrast", rows)


def _cells(claim: Claim) -> tuple[str, ...]:
    unit, found = Unit(claim.metric), claim.synthesis
    return (
        f"{unit.text(found.mean)} {unit.word}",
        unit.interval(found.low, found.high),
        unit.interval(found.next_low, found.next_high),
        _better(claim),
        claim.verdict,
    )


def _tabulated(name: str, first: str, rows: Sequence[tuple[str, ...]]) -> str:
    columns = (
        Column(first, "left"), Column("Mean"), Column("Interval"), Column("Next combination"),
        Column("Better in"), Column("Verdict", "left"),
    )  # fmt: skip
    text = as_table(Table(name, "", columns, tuple(rows)))
    return text.split("\n\n", 1)[1] if rows else ""  # it stands below its question


def _few_rows(report: AtlasReport) -> Iterator[str]:
    pairs = _pairs_of_sizes(report.trained)
    if len(pairs) < 2:
        yield "Too little is trained to say: two networks on two sizes of one data set."
        return
    data = formatting.listed(dict.fromkeys(other.data for _, other in pairs))
    many = {few.name: other for few, other in pairs}
    few = [each for each, _ in pairs]
    rows = []
    more: list[str] = []
    for contrast in ("bn-before", "dropout-after", "both"):
        found = claim_over(few, contrast, partial(_less_than_many, many, contrast))
        own = report.within(few, contrast)
        if found is None or own is None:
            continue
        rows.append((f"{TITLES[contrast]}, few rows", *_cells(own)))
        rows.append((f"{TITLES[contrast]}, few minus many rows", *_cells(found)))
        if found.synthesis.low > 0:
            more.append(f"{TITLES[contrast]} is worth more on few rows.")
        elif found.synthesis.high < 0:
            more.append(f"{TITLES[contrast]} is worth less on few rows.")
    yield f"**{' '.join(more) or 'No placement is shown to be worth more or less on few rows.'}**"
    yield (
        f"On {data}, 300 training rows against all of them, over {len(pairs)} networks; intervals "
        "and verdicts here are uncorrected."
    )
    yield _tabulated("few", "Placement", [(*row[:-1], _uncorrected(row)) for row in rows])


def _less_than_many(
    many: Mapping[str, Combination], contrast: str, few: Combination
) -> Estimate | None:
    return difference(few, many[few.name], contrast)


def _uncorrected(row: tuple[str, ...]) -> str:
    """Return whether an interval, as it is written, leaves out 0."""
    low, _, high = row[2].partition(" to ")
    return "beyond 0" if low[:1] == high[:1] and low[:1] in "+−" else "may be 0"


def _pairs_of_sizes(
    combinations: Sequence[Combination],
) -> list[tuple[Combination, Combination]]:
    """Return combinations of few rows with those of many: the data sets `x_few` and `x`."""
    known = {(each.data, each.network): each for each in combinations}
    return [
        (each, known[each.data.removesuffix("_few"), each.network])
        for each in combinations
        if each.data.endswith("_few") and (each.data.removesuffix("_few"), each.network) in known
    ]


def _recurrent(report: AtlasReport) -> Iterator[str]:
    own = report.networks.get("lstm", ())
    rest = [c for name, each in report.networks.items() if name != "lstm" for c in each]
    rows = []
    sure: list[str] = []
    for contrast in PLACEMENTS:
        found, others = report.within(own, contrast), report.within(rest, contrast)
        if found is None or others is None:
            continue
        rows.append((f"{TITLES[contrast]}, LSTM", *_cells(found)))
        rows.append((f"{TITLES[contrast]}, all others", *_cells(others)))
        if found.synthesis.low > 0:
            sure.append(f"{TITLES[contrast]} helps.")
        elif found.synthesis.high < 0:
            sure.append(f"{TITLES[contrast]} costs.")
    if not rows:
        yield "Too little is trained to say: two data sets with an LSTM."
        return
    yield f"**{' '.join(sure) or 'No placement is shown to help or to cost.'}**"
    yield (
        f"Around an LSTM and in its dense layer, over {len(own)} data sets: before is on the "
        "LSTM's input, after on its output, as its own activations are inside. Intervals and "
        "verdicts here are uncorrected."
    )
    yield _tabulated("recurrent", "Placement", [(*row[:-1], _uncorrected(row)) for row in rows])


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
    known: dict[str, dict[str, None]] = {}
    for each in results:
        for key, value in each.environment.items():
            known.setdefault(key, {})[str(value)] = None
    said = [
        " and ".join(known[key])
        for key in ("cpu", "platform")
        if key in known
    ][:1]  # fmt: skip
    said += [
        f"{name} {' and '.join(known[key])}"
        for key, name in (("ablate", "ablate"), ("keras", "Keras"), ("tensorflow", "TensorFlow"))
        if key in known
    ]
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


def _kind(metric: str) -> str:
    return "accuracy" if metric == "accuracy" else "RMSE"


def _estimate(claim: Claim) -> str:
    """Return a claim's mean with its interval."""
    unit, found = Unit(claim.metric), claim.synthesis
    return f"{unit.text(found.mean)} {unit.word} ({unit.interval(found.low, found.high)})"


def _gain(claim: Claim) -> float:
    return claim.synthesis.mean if claim.direction == "max" else -claim.synthesis.mean


def _better(claim: Claim) -> str:
    sign = 1 if claim.direction == "max" else -1
    count = sum(sign * each.mean > 0 for each in claim.estimates)
    return f"{count} of {len(claim.estimates)}"


def _how_sure(claim: Claim) -> str:
    if claim.synthesis.low > 0 or claim.synthesis.high < 0:
        return "sure"
    sign = 1 if claim.direction == "max" else -1
    share = sum(sign * each.mean > 0 for each in claim.estimates) / len(claim.estimates)
    return "likely" if share >= 0.75 else "open"


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


# Table -------------------------------------------------------------------------------------------


def as_csv(report: AtlasReport) -> str:
    """Return a row per contrast and combination, and per contrast for all of them.

    Means of accuracy are shares, those of RMSE log ratios.
    """
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n")
    write.writerow([
        "contrast", "combination", "metric", "rate", "plain_rate", "seeds", "mean", "low", "high",
        "next_low", "next_high", "tau", "p_holm", "verdict",
    ])  # fmt: skip
    known = {each.name: each for each in report.combinations}
    for contrast, found in report.claims.items():
        for claim in found:
            for each in claim.estimates:
                own = known[each.study]
                write.writerow([
                    contrast, each.study, _kind(claim.metric), own.rate(each.variant),
                    own.rate(PLAIN), each.n, *_numbers(each.mean, *each.interval(CONFIDENCE)),
                    *[""] * 5,
                ])  # fmt: skip
            all_of = claim.synthesis
            write.writerow([
                contrast, "all", _kind(claim.metric), "", "", "",
                *_numbers(all_of.mean, all_of.low, all_of.high, all_of.next_low, all_of.next_high,
                          all_of.tau, claim.p_holm),
                claim.verdict,
            ])  # fmt: skip
    return text.getvalue()


def _numbers(*values: float | None) -> list[str]:
    return ["" if each is None else format(each, ".4g") for each in values]
