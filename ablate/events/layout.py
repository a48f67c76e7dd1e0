"""The Custom Scalars tab: which charts it has, and what they draw.

Each variant writes its own bands into its own run under tags that all variants of the study share,
so one chart has every variant in its own colour. The study's name is in tags and titles: studies in
one logdir stay apart. The other tabs order tags by their first word, so the means come first there.

Of a search, each variant has the score of its points against each value that was searched. A step
is a whole number, so it is the value in thousandths (or millionths, …), or of its logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import fmean

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
MEAN, DIFFERENCE = "curve_mean", "difference"

#: From this ratio of the largest to the smallest value on, points are drawn over the logarithm.
DECADES = 100

#: A search's scores by the title of their chart, each as (step, score).
Scores = Mapping[str, Sequence[tuple[int, float]]]


def points(study: str, kind: str, curves: Mapping[str, Band], seconds: float) -> Iterator[Point]:
    """Yield the points of one variant's bands; `kind` is `MEAN` or `DIFFERENCE`."""
    for curve, band in curves.items():
        tags = _tags(study, kind, curve)
        for at, mean, low, high, n in zip(
            band.epochs, band.mean, band.low, band.high, band.n, strict=True
        ):
            for tag, value in zip(tags, (mean, low, high, n), strict=True):
                yield Point(scalar(tag, value), int(at), seconds)


def score_points(study: str, scores: Scores, seconds: float) -> Iterator[Point]:
    """Yield the points of one variant's scores."""
    for title, found in scores.items():
        for step, score in found:
            yield Point(scalar(_score_tag(study, title), score), step, seconds)


def scores(objective: str, found: Mapping[str, Sequence[tuple[float, float]]]) -> Scores:
    """Return the scores at each searched value as a chart has them; equal values are averaged.

    Args:
        objective: what the points are scored by.
        found: by parameter, (value, score) of each point.
    """
    charts = {}
    for parameter, pairs in found.items():
        values = [value for value, _ in pairs]
        scale, axis = _scaled(parameter, values)
        by_step: dict[int, list[float]] = {}
        for value, score in pairs:
            by_step.setdefault(scale(value), []).append(score)
        charts[f"{objective} against {axis}"] = [
            (step, fmean(each)) for step, each in sorted(by_step.items())
        ]
    return charts


def _scaled(parameter: str, values: Sequence[float]) -> tuple[Callable[[float], int], str]:
    """Return what makes a step of a value, and how the axis is called."""
    least, most = min(values), max(values)
    if least > 0 and most / least >= DECADES:
        return lambda value: round(1000 * math.log10(value)), f"1000 log10({parameter})"
    if all(value == int(value) for value in values):
        return int, parameter
    digits = 3 * math.ceil(max(3 - math.log10(max(map(abs, values))), 3) / 3)
    return lambda value: round(value * 10**digits), f"{parameter} in 1e-{digits}"


def layout(
    study: str,
    baseline: str,
    curves: Sequence[str],
    paired: Sequence[str],
    searched: Sequence[str] = (),
) -> Summary.Value:
    """Return the layout: a chart per curve for the means, for the differences, for the seeds.

    `searched` are the titles of a search's charts.
    """
    ordered = _headline_first(curves)
    categories = [
        Category(
            title=f"{study}: search, each point's score",
            chart=[_exactly(each, _score_tag(study, each)) for each in searched],
        ),
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
            chart=[_exactly(each, _tags(study, MEAN, each)[3]) for each in ordered],
            closed=True,
        ),
    ]
    message = Layout(category=[each for each in categories if each.chart])
    return text(LAYOUT, message.SerializeToString(), "custom_scalars")


def _tags(study: str, kind: str, curve: str) -> tuple[str, str, str, str]:
    return (
        f"{kind}/{study}/{curve}",
        f"interval/{study}/{curve}/{kind}_low",
        f"interval/{study}/{curve}/{kind}_high",
        f"seeds/{study}/{curve}/{kind}",
    )


def _score_tag(study: str, title: str) -> str:
    return f"search/{study}/{title}"


def _margin(study: str, kind: str, curve: str) -> Chart:
    value, lower, upper, _ = _tags(study, kind, curve)
    series = MarginChartContent.Series(value=value, lower=lower, upper=upper)
    return Chart(title=curve, margin=MarginChartContent(series=[series]))


def _exactly(title: str, tag: str) -> Chart:
    # A multi-line chart takes regular expressions, so the tag is given as one that means itself.
    pattern = f"^{''.join(c if c.isalnum() or c in '_/-' else '.' for c in tag)}$"
    return Chart(title=title, multiline=MultilineChartContent(tag=[pattern]))


def _headline_first(curves: Iterable[str]) -> list[str]:
    """Return validation curves before training curves, otherwise in their order."""
    return sorted(dict.fromkeys(curves), key=lambda name: not name.startswith("val_"))
