"""Probe `inference`: one trained network, run in several ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from ablate.analysis.descriptive import Moments, moments
from ablate.report.document import Column, Plot, Table
from ablate.report.formatting import Scale
from ablate.report.lines import GREY, line, line_style
from ablate.report.probe_drawing import alone, grid, logarithmic, small_png, style_of
from ablate.report.probe_sections import Arrays, Measured, ReportedProbe
from ablate.study.schema.strict import Strict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The ways in words; a batch's is made of its size.
WAYS = {
    "inference": "as Keras predicts",
    "mc_dropout": "Monte-Carlo Dropout",
    "precise_bn": "precise BN",
}

#: The scores, how they are called and written.
SCORES = {
    "accuracy": ("Accuracy (%)", Scale(100.0, 2)),
    "nll": ("NLL (nats)", Scale(1.0, 4)),
    "brier": ("Brier", Scale(1.0, 4)),
    "ece": ("ECE (%)", Scale(100.0, 2)),
}


class Arguments(Strict):
    """Arguments of `inference`."""

    samples: int = Field(default=10, ge=1, le=1000, description="Thinned networks averaged.")
    rows: int = Field(
        default=1000, ge=2, le=1000, description="Validation and test rows, at most (each)."
    )


def draw(found: Measured) -> Iterator[Plot | Table | str]:
    """List the scores of each way, draw them against the batch, and draw reliability diagrams."""
    parts = [str(each) for each in found.first(found.variants[0])["parts"]]
    for part in parts:
        yield _table(found, part)
    if shift := str(found.first(found.variants[0])["shift"]):
        yield f"{shift[0].upper()}{shift[1:]}; the validation rows are as they were."
    if any(_sizes(found, variant) for variant in found.variants):
        yield _batches(found, parts[-1])
    yield _reliability(found, parts[-1])


def images(arrays: Arrays) -> Iterator[tuple[str, int, bytes]]:
    """Draw a trial's own reliability diagram."""
    figure, axis = alone(4.2, 4.0)
    part = str(arrays["parts"][-1])
    for index, way in _shown(list(map(str, arrays["ways"]))):
        if (counts := arrays.get(f"reliability/{part}/{way}")) is not None:
            _diagram(axis, counts[-1], words(way), index)
    axis.legend(fontsize=7)
    yield "reliability", int(arrays["epochs"][-1]), small_png(figure)


def words(way: str) -> str:
    """Return a way of inference in words."""
    return WAYS.get(way) or f"statistics of a batch of {way.removeprefix('batch_')}"


def paired(found: Measured, variant: str, part: str, way: str, score: str) -> Moments:
    """Return the moments, over the seeds, of a way's score minus that of plain inference."""
    key = "scalar/{}/{}/{}"
    own = found.series(variant, key.format(part, way, score))
    plain = found.series(variant, key.format(part, "inference", score))
    return moments((own - plain)[:, -1:])


def _table(found: Measured, part: str) -> Table:
    rows = []
    for variant in found.variants:
        for way in found.texts(variant, "ways"):
            cells = [_cell(found, variant, part, way, score) for score in SCORES]
            rows.append((variant, words(way), *cells))
    return Table(
        part,
        f"Ways of inference on the {part} rows",
        (
            Column("Variant", "left"), Column("Inference", "left"),
            *(Column(title) for title, _ in SCORES.values()),
        ),
        tuple(rows),
        (
            "Mean over the seeds; in brackets the difference from plain inference, with the 95 % "
            "interval of the differences per seed (from three seeds on). The intervals are per "
            "comparison. ECE over 15 equal bins.",
        ),
        tuple("" if row[1] != WAYS["inference"] else "baseline" for row in rows),
    )  # fmt: skip


def _cell(found: Measured, variant: str, part: str, way: str, score: str) -> str:
    _, scale = SCORES[score]
    value = scale.value(_mean(found, variant, part, way, score))
    if way == "inference":
        return value
    difference = paired(found, variant, part, way, score)
    low, high = float(difference.low[0]), float(difference.high[0])
    ends = f"; {scale.interval(low, high, sign=True)}" if np.isfinite(low) else ""
    return f"{value} ({scale.difference(float(difference.mean[0]))}{ends})"


def _mean(found: Measured, variant: str, part: str, way: str, score: str) -> float:
    values = found.over_seeds(variant, f"scalar/{part}/{way}/{score}")
    return float(values[-1]) if values.size else float("nan")


def _sizes(found: Measured, variant: str) -> list[int]:
    ways = found.texts(variant, "ways")
    return [int(each.removeprefix("batch_")) for each in ways if each.startswith("batch_")]


def _batches(found: Measured, part: str) -> Plot:
    figure, axes = grid(3, height=2.9)
    for axis, score in zip(axes, ("accuracy", "nll", "ece"), strict=True):
        title, scale = SCORES[score]
        for variant in found.variants:
            sizes, style = _sizes(found, variant), style_of(found, variant)
            if not sizes:
                continue
            own = [_mean(found, variant, part, f"batch_{each}", score) for each in sizes]
            line(axis, np.array(sizes), scale.factor * np.array(own), style, variant)
            for way, dash in (("inference", "-"), ("precise_bn", ":")):
                value = scale.factor * _mean(found, variant, part, way, score)
                axis.axhline(
                    value, color=style.colour, linestyle=dash, linewidth=0.9,
                    label=f"{variant}: {words(way)}",
                )  # fmt: skip
        logarithmic(axis, horizontal=True, ticks=(1, 4, 16, 64, 256))
        axis.set_xlabel("rows normalized together")
        axis.set_ylabel(title)
    return Plot(
        "batches",
        "The batch's own statistics at inference",
        f"On the {part} rows, mean over the seeds. Horizontal: moving statistics, and dotted "
        "precise BN, which do not depend on the batch.",
        figure,
    )


def _reliability(found: Measured, part: str) -> Plot:
    figure, axes = grid(len(found.variants), height=2.9)
    for axis, variant in zip(axes, found.variants, strict=True):
        for index, way in _shown(found.texts(variant, "ways")):
            series = found.series(variant, f"reliability/{part}/{way}")
            if series.size:
                _diagram(axis, np.nansum(series[:, -1], axis=0), words(way), index)
        axis.set_title(variant)
    return Plot(
        "reliability",
        "Reliability diagrams",
        f"Share of the {part} rows that are right, by the mean confidence of a bin; all seeds "
        "together, bins of fewer than five rows left out. Below the diagonal a network is surer "
        "than it is right.",
        figure,
    )


def _shown(ways: list[str]) -> list[tuple[int, str]]:
    """Return the ways that a reliability diagram shows: of the batches the smallest and largest.

    Each with the number of the style that it has in every diagram.
    """
    batches = [each for each in ways if each.startswith("batch_")]
    every = [*WAYS, *batches[:1], *batches[1:][-1:]]
    return [(index, way) for index, way in enumerate(every) if way in ways]


def _diagram(axis: Axes, counts: np.ndarray, label: str, index: int) -> None:
    rows, right, sure = counts
    there = rows >= 5
    line(axis, sure[there] / rows[there], right[there] / rows[there], line_style(index), label)
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, zorder=0)
    axis.set_xlabel("confidence")
    axis.set_ylabel("share right")
    axis.set_xlim(0, 1.02)
    axis.set_ylim(0, 1.02)


PROBE = ReportedProbe(
    about="Ways of inference after training: Monte-Carlo Dropout, precise BN, a batch's own "
    "statistics; accuracy, NLL, Brier score, calibration error.",
    arguments=Arguments,
    measurement="ablate.probes.inference:Inference",
    title="Inference, looked at",
    text="The network as it was trained, run in several ways. As Keras predicts: no unit dropped, "
    "moving statistics. Nothing is selected by these numbers; they describe.",
    draw=draw,
    images=images,
)
