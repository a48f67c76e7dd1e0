"""The Custom Scalars tab: which charts it has, and what they draw.

Each variant writes its own bands into its own run under tags that all variants of the study share,
so one chart has every variant in its own colour. The study's name is in tags and titles: studies in
one logdir stay apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar.layout_pb2 import (
    Category,
    Chart,
    Layout,
    MarginChartContent,
    MultilineChartContent,
)

from ablate.events.files import Point
from ablate.events.means import Band
from ablate.events.summaries import scalar, text

#: Under which TensorBoard finds the layout.
LAYOUT = "custom_scalars__config__"

#: What a chart is about, as tags have it.
MEAN, DIFFERENCE = "mean", "difference"


def points(study: str, kind: str, curves: Mapping[str, Band], seconds: float) -> Iterator[Point]:
    """Yield the points of one variant's bands; `kind` is `MEAN` or `DIFFERENCE`."""
    for curve, band in curves.items():
        tags = _tags(study, kind, curve)
        for at, mean, low, high, n in zip(
            band.epochs, band.mean, band.low, band.high, band.n, strict=True
        ):
            for tag, value in zip(tags, (mean, low, high, n), strict=True):
                yield Point(scalar(tag, value), int(at), seconds)


def layout(
    study: str, baseline: str, curves: Sequence[str], paired: Sequence[str]
) -> Summary.Value:
    """Return the layout: a chart per curve for the means, for the differences, for the seeds."""
    ordered = _headline_first(curves)
    categories = [
        Category(
            title=f"{study}: mean over the seeds, with its interval",
            chart=[_margin(study, MEAN, each) for each in ordered],
        ),
        Category(
            title=f"{study}: difference to {baseline}, paired by seed, with its interval",
            chart=[_margin(study, DIFFERENCE, each) for each in ordered if each in set(paired)],
        ),
        Category(
            title=f"{study}: seeds that each mean is over",
            chart=[_count(study, each) for each in ordered],
            closed=True,
        ),
    ]
    message = Layout(category=[each for each in categories if each.chart])
    return text(LAYOUT, message.SerializeToString(), "custom_scalars")


def _tags(study: str, kind: str, curve: str) -> tuple[str, str, str, str]:
    stem = f"variants/{study}/{curve}/{kind}"
    return stem, f"{stem}_low", f"{stem}_high", f"{stem}_seeds"


def _margin(study: str, kind: str, curve: str) -> Chart:
    value, lower, upper, _ = _tags(study, kind, curve)
    series = MarginChartContent.Series(value=value, lower=lower, upper=upper)
    return Chart(title=curve, margin=MarginChartContent(series=[series]))


def _count(study: str, curve: str) -> Chart:
    tag = _tags(study, MEAN, curve)[3]
    # A multi-line chart takes regular expressions, so the tag is given as one that means itself.
    pattern = f"^{''.join(c if c.isalnum() or c in '_/-' else '.' for c in tag)}$"
    return Chart(title=curve, multiline=MultilineChartContent(tag=[pattern]))


def _headline_first(curves: Iterable[str]) -> list[str]:
    """Return validation curves before training curves, otherwise in their order."""
    return sorted(dict.fromkeys(curves), key=lambda name: not name.startswith("val_"))
