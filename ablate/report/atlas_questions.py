"""The five questions of the atlas, each with its answer in bold and the table behind it.

A sentence is chosen by the verdict of its claim, so that it changes with the numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from ablate.analysis.atlas import PLACEMENTS, PLAIN, Combination, claim_over, difference
from ablate.analysis.claims import RMSE, Claim, Estimate
from ablate.report import formatting
from ablate.report.atlas_data import TITLES, AtlasReport
from ablate.report.document import Column, Table
from ablate.report.markdown import as_table
from ablate.report.synthesis import Unit


def order(report: AtlasReport) -> Iterator[str]:
    """Say whether BN and Dropout belong before or after the activation."""
    yield _answers(report, {
        f"{name}: before, not after": {
            "better": f"{layer} belongs before the activation.",
            "worse": f"{layer} belongs after the activation.",
            "equal": f"For {layer} it makes no difference at all.",
            "open": f"For {layer} it is not decided on average; see the networks of the picture.",
        }
        for layer, name in (("BN", "bn"), ("Dropout", "dropout"))
    })  # fmt: skip
    yield (
        "Under ReLU Dropout before and after are one function, since max(0, m·x) = m·max(0, x) for "
        "a mask m ≥ 0: they can only differ around an LSTM."
    )
    yield _contrasts(report, "order", (
        ("bn: before, not after", "BN before minus BN after"),
        ("dropout: before, not after", "Dropout before minus Dropout after"),
    ))  # fmt: skip


def together(report: AtlasReport) -> Iterator[str]:
    """Say whether Dropout adds to BN, or the other way round, or one is better than the other."""
    yield _answers(report, {
        "bn, not dropout": {
            "better": "BN rather than Dropout.",
            "worse": "Dropout rather than BN.",
            "open": "Neither BN nor Dropout is shown to be the better one.",
        },
        "dropout added to bn": {
            "better": "Dropout adds to BN.",
            "worse": "Dropout beside BN costs.",
            "open": "That Dropout adds to BN is not shown.",
        },
        "bn added to dropout": {
            "better": "BN adds to Dropout.",
            "worse": "BN beside Dropout costs.",
            "open": "That BN adds to Dropout is not shown.",
        },
    })  # fmt: skip
    yield _contrasts(report, "together", (
        ("bn, not dropout", "BN before minus Dropout after"),
        ("dropout added to bn", "Both minus BN before"),
        ("bn added to dropout", "Both minus Dropout after"),
    ))  # fmt: skip


def rates(report: AtlasReport) -> Iterator[str]:
    """Say whether BN helps at the plain network's rate, too."""
    yield _answers(report, {
        "bn-before, shared rate": {
            "better": "No: BN's gain is there at the rate that is best without it.",
            "worse": "At the rate that is best without BN, BN costs.",
            "open": "At the rate that is best without BN no gain is shown.",
        },
        "bn's own rate, not the shared": {
            "better": "A rate of its own adds to it.",
            "worse": "The rate that validation rows choose for it is worse on test rows.",
            "open": "That a rate of its own adds to it is not shown.",
        },
    })  # fmt: skip
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


def few_rows(report: AtlasReport) -> Iterator[str]:
    """Say whether placements are worth more on few rows."""
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
        more += _beyond(found, "is worth more on few rows", "is worth less on few rows")
    yield f"**{' '.join(more) or 'No placement is shown to be worth more or less on few rows.'}**"
    yield (
        f"On {data}, 300 training rows against all of them, over {len(pairs)} networks; intervals "
        "and verdicts here are uncorrected."
    )
    yield _uncorrected("few", rows)


def recurrent(report: AtlasReport) -> Iterator[str]:
    """Say what placements are worth around an LSTM."""
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
        sure += _beyond(found, "helps", "costs")
    if not rows:
        yield "Too little is trained to say: two data sets with an LSTM."
        return
    yield f"**{' '.join(sure) or 'No placement is shown to help or to cost.'}**"
    yield (
        f"Around an LSTM and in its dense layer, over {len(own)} data sets: before is on the "
        "LSTM's input, after on its output, as its own activations are inside. Intervals and "
        "verdicts here are uncorrected."
    )
    yield _uncorrected("recurrent", rows)


def _answers(report: AtlasReport, said: Mapping[str, Mapping[str, str]]) -> str:
    """Return in bold what is said of each contrast in accuracy."""
    answers = (_answer(report.claim(each), words) for each, words in said.items())
    return f"**Classification: {' '.join(answers)}**"


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
        unit.stated(found.mean),
        unit.interval(found.low, found.high),
        unit.interval(found.next_low, found.next_high),
        f"{claim.better_in} of {len(claim.estimates)}",
        claim.verdict,
    )


def _tabulated(name: str, first: str, rows: Sequence[tuple[str, ...]]) -> str:
    columns = (
        Column(first, "left"), Column("Mean"), Column("Interval"), Column("Next combination"),
        Column("Better in"), Column("Verdict", "left"),
    )  # fmt: skip
    text = as_table(Table(name, "", columns, tuple(rows)))
    return text.split("\n\n", 1)[1] if rows else ""  # it stands below its question


def _less_than_many(
    many: Mapping[str, Combination], contrast: str, few: Combination
) -> Estimate | None:
    return difference(few, many[few.name], contrast)


def _beyond(claim: Claim, above: str, below: str) -> list[str]:
    """Return what is said of a placement whose uncorrected interval leaves out 0, else nothing."""
    if claim.synthesis.low > 0:
        return [f"{TITLES[claim.name]} {above}."]
    return [f"{TITLES[claim.name]} {below}."] if claim.synthesis.high < 0 else []


def _uncorrected(name: str, rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table of placements that says whether an interval, as written, leaves out 0."""
    told = []
    for *row, _ in rows:
        low, _, high = row[2].partition(" to ")
        beyond = low[:1] == high[:1] and low[:1] in "+−"
        told.append((*row, "beyond 0" if beyond else "may be 0"))
    return _tabulated(name, "Placement", told)


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
