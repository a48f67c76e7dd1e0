"""One claim over several studies, as a section that every format prints.

`Across` enters (`ablate.analysis.across`); its sentences, tables, pictures and rows leave.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ablate.analysis.across import Across, synthesize
from ablate.analysis.claims import RMSE, Claim
from ablate.analysis.matching import Member
from ablate.report import formatting
from ablate.report.bars import axis_line, ends, interval_bars
from ablate.report.document import Column, Plot, Section, Table
from ablate.report.formatting import NONE
from ablate.report.report_data import ReportData
from ablate.study.tables import cell, csv_text

#: Raised when a key of the JSON changes its meaning or goes away.
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Unit:
    """How the numbers of a claim are shown: differences of shares in points, RMSE in percent."""

    metric: str

    @property
    def of_rmse(self) -> bool:
        """Whether numbers are log ratios of RMSE, shown as its change in percent."""
        return self.metric == RMSE

    @property
    def title(self) -> str:
        """The axis of differences."""
        if self.of_rmse:
            return "Change of RMSE (%)"
        return f"Difference in {formatting.metric_title(self.metric)} (points)"

    @property
    def word(self) -> str:
        """The unit behind a number."""
        return "% of RMSE" if self.of_rmse else "points"

    def shown(self, number: float) -> float:
        """Return a number in the unit that is shown."""
        return 100 * (math.expm1(number) if self.of_rmse else number)

    def text(self, number: float | None) -> str:
        """Return a number with its sign, without its unit."""
        return formatting.signed(None if number is None else self.shown(number), 1)

    def stated(self, number: float | None) -> str:
        """Return a number with its sign and its unit."""
        return f"{self.text(number)} {self.word}"

    def interval(self, low: float | None, high: float | None) -> str:
        """Return "low to high"."""
        return NONE if low is None or high is None else f"{self.text(low)} to {self.text(high)}"


def member_of(report: ReportData, name: str) -> Member:
    """Return a study as a synthesis takes it, under `name`."""
    trials = frozenset(each.id for each in report.results)
    return Member(name, report.analysis, report.resolved, trials)


def synthesis_of(reports: Sequence[ReportData]) -> Across:
    """Return what studies say together.

    Raises:
        StudyError: as `synthesize`.
    """
    return synthesize([member_of(each, each.name) for each in reports])


def section(across: Across, plots: Sequence[Plot] = ()) -> Section:
    """Return the synthesis as a part of a report, with its plots where they are wanted."""
    tables = [claim_table(across), studies_table(across), aggregate_table(across)]
    return Section(
        "synthesis",
        f"One claim over {formatting.counted(len(across.studies), 'study', 'studies')}",
        tuple(sentences(across)),
        tuple(each for each in tables if each is not None),
        tuple(plots),
        leads=True,
        drawing=lambda width: text_forest(across.claims, width, across.confidence),
    )


# Words -------------------------------------------------------------------------------------------


def sentences(across: Across) -> Iterator[str]:
    """Yield what is said of each claim, then what was left out."""
    for each in across.claims:
        yield claim_words(each, across.confidence)
    yield from across.notes


def claim_words(claim: Claim, confidence: float) -> str:
    """Return a claim in a sentence or three."""
    unit, found = Unit(claim.metric), claim.synthesis
    text = (
        f"{claim.role}: {unit.stated(found.mean)} on average over "
        f"{formatting.counted(len(claim.estimates), 'study', 'studies')} "
        f"({formatting.percent(confidence)} interval {unit.interval(found.low, found.high)}): "
        f"{claim.verdict}."
    )
    if found.next_low is None:
        return text + " Two studies foretell nothing of a third."
    text += f" In the next study like these: {unit.interval(found.next_low, found.next_high)}."
    if found.p_q < 1 - confidence:
        return text + (
            " Studies differ by more than chance "
            f"(standard deviation {spread(unit, found.tau)}, I² {100 * found.i_squared:.0f} %)."
        )
    return text + f" No sign that studies differ (I² {100 * found.i_squared:.0f} %)."


def spread(unit: Unit, tau: float) -> str:
    """Return the standard deviation of true effects with its unit."""
    return f"{formatting.fixed(100 * tau, 1)} {unit.word}"


# Tables ------------------------------------------------------------------------------------------


def claim_table(across: Across) -> Table:
    """Return a row per claim: mean, interval, the next study, how much studies differ."""
    rows = []
    for each in across.claims:
        unit, found = Unit(each.metric), each.synthesis
        rows.append((
            each.name,
            str(len(each.estimates)),
            unit.text(found.mean),
            unit.interval(found.low, found.high),
            unit.interval(found.next_low, found.next_high),
            formatting.fixed(100 * found.tau, 1),
            f"{100 * found.i_squared:.0f} %",
            formatting.probability(each.p_holm),
            unit.word,
            each.verdict,
        ))  # fmt: skip
    level = formatting.percent(across.confidence)
    return Table(
        "claims",
        "Claims over all studies",
        (
            Column("Claim", "left"),
            Column("Studies", drop=3),
            Column("Mean"),
            Column(f"{level} interval"),
            Column("Next study"),
            Column("SD of studies", drop=2),
            Column("I²", drop=4),
            Column("p (Holm)", drop=5),
            Column("Unit", "left"),
            Column("Verdict", "left"),
        ),
        tuple(rows),
        (
            "Random effects; the mean's interval is Hartung and Knapp's, the next study's allows "
            "for how uncertain the spread of studies is. A difference is variant minus baseline.",
        ),
        tuple(
            each.verdict if each.verdict in ("better", "worse") else "" for each in across.claims
        ),
    )


def studies_table(across: Across) -> Table:
    """Return a row per claim and study: its own estimate, and its weight."""
    rows = []
    for claim in across.claims:
        unit = Unit(claim.metric)
        for each, weight in zip(claim.estimates, claim.synthesis.weights, strict=True):
            rows.append((
                claim.name,
                each.study,
                each.variant,
                str(each.n),
                unit.text(each.mean),
                unit.interval(*each.interval(across.confidence)),
                f"{100 * weight:.0f} %",
            ))  # fmt: skip
    return Table(
        "claims-by-study",
        "Each study's part",
        (
            Column("Claim", "left"),
            Column("Study", "left"),
            Column("Variant", "left", drop=3),
            Column("Seeds", drop=2),
            Column("Difference"),
            Column(f"{formatting.percent(across.confidence)} interval"),
            Column("Weight", drop=1),
        ),
        tuple(rows),
    )


def aggregate_table(across: Across) -> Table | None:
    """Return the interquartile means over data sets, and how often a variant improves."""
    if not across.aggregates:
        return None
    rows = []
    for each in across.aggregates:
        improved = NONE
        if each.improvement is not None:
            assert each.improvement_low is not None and each.improvement_high is not None
            improved = (
                f"{100 * each.improvement:.0f} % ({100 * each.improvement_low:.0f} to "
                f"{100 * each.improvement_high:.0f})"
            )
        rows.append((
            each.name,
            formatting.fixed(100 * each.mean, 1),
            f"{formatting.fixed(100 * each.low, 1)} to {formatting.fixed(100 * each.high, 1)}",
            improved,
        ))  # fmt: skip
    level = formatting.percent(across.confidence)
    return Table(
        "aggregates",
        f"Accuracy over {formatting.counted(len(across.data_sets), 'study', 'studies')}",
        (
            Column("Variant", "left"),
            Column("Interquartile mean (%)"),
            Column(f"{level} interval"),
            Column("Probability of improvement"),
        ),
        tuple(rows),
        (
            "Over all seeds of all these studies; an improvement is over a run of the baseline in "
            "the same study. Intervals: stratified bootstrap over seeds, the studies given; with "
            "few seeds it is narrow.",
        ),
    )


def text_forest(claims: Sequence[Claim], width: int, confidence: float) -> list[str]:
    """Return each claim's mean and interval as a line of text, accuracy and RMSE apart."""
    lines = []
    for metric in dict.fromkeys(each.metric for each in claims):
        unit = Unit(metric)
        own = [each for each in claims if each.metric == metric]
        label = min(max(len(each.name) for each in own), width // 3)
        room = width - label - 12
        if room < 12:
            continue
        known = {
            each.name: (
                unit.shown(each.synthesis.low),
                unit.shown(each.synthesis.mean),
                unit.shown(each.synthesis.high),
            )
            for each in own
        }
        bars = interval_bars(known, room)
        for name, (_, mean, _) in known.items():
            value = formatting.signed(mean, 1)
            lines.append(f"{name[:label]:<{label}}  {value:>7}  {bars[name]}".rstrip())
        low, high = (formatting.signed(end, 1) for end in ends(known.values()))
        lines.append(f"{'':{label + 11}}{axis_line(low, high, room)}")
        level = formatting.percent(confidence)
        lines.append(f"{unit.title}: ● mean over studies, ─ {level} interval, ┊ 0"[:width])
    return lines


# Files -------------------------------------------------------------------------------------------


def as_json(across: Across) -> str:
    """Return the synthesis as a JSON document."""
    document = {"schema_version": SCHEMA_VERSION, **asdict(across)}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def as_csv(across: Across) -> str:
    """Return a row per claim and study, and one per claim for all of them."""
    rows: list[Sequence[Any]] = [(
        "claim", "study", "variant", "metric", "seeds", "mean", "error", "low", "high", "weight",
        "next_low", "next_high", "tau", "i_squared", "p_holm", "verdict",
    )]  # fmt: skip
    for claim in across.claims:
        found = claim.synthesis
        for each, weight in zip(claim.estimates, found.weights, strict=True):
            own = (each.mean, each.error, *each.interval(across.confidence), weight)
            rows.append((
                claim.name, each.study, each.variant, claim.metric, each.n, *map(cell, own),
                *[""] * 6,
            ))  # fmt: skip
        all_of = (
            found.mean, None, found.low, found.high, 1.0, found.next_low, found.next_high,
            found.tau, found.i_squared, claim.p_holm,
        )  # fmt: skip
        rows.append((
            claim.name, "all", "", claim.metric, sum(each.n for each in claim.estimates),
            *map(cell, all_of), claim.verdict,
        ))  # fmt: skip
    return csv_text(rows)
