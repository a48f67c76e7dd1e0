"""Loss and metrics over the epochs: mean, band and a thin line for every seed.

Up to five variants share one pair of axes (training beside validation); more get a panel each,
with the baseline's mean in grey behind, since a dozen crossing lines tell nobody anything. The
band is one standard deviation either side; the thin lines are the seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.lines import GREY, LineStyle, line, line_style
from ablate.report.names import fitted_names
from ablate.report.plots.theme import (
    drawn,
    keyed,
    legend,
    panels,
    plain_log,
    small_panels,
    tell,
)
from ablate.report.report_data import ReportData
from ablate.study.trial import TrialResult

#: Variants that share a pair of axes; more get a panel each.
MOST_TOGETHER = 5
#: Panels of one figure; beyond, the variants furthest from the baseline are drawn, and it is said.
MOST_PANELS = 12
#: Thin lines of a variant, and in a small panel.
MOST_LINES, FEW_LINES = 60, 20

_NOT_METRICS = {"learning_rate"}


class Limits(NamedTuple):
    """The ends of a value axis, and whether it is logarithmic."""

    low: float
    high: float
    log: bool
    last: int  # epoch


@drawn
def curves(report: ReportData) -> Iterator[Plot]:
    """Draw one figure for the loss and one for each metric of the histories."""
    by_variant = {name: trials for name, trials in report.by_variant.items() if trials}
    for name in _curve_names(by_variant):
        stacks = {
            variant: (stack(trials, name), stack(trials, f"val_{name}"))
            for variant, trials in by_variant.items()
        }
        stacks = {key: pair for key, pair in stacks.items() if any(each.size for each in pair)}
        if not stacks or not any(each.shape[1] > 1 for pair in stacks.values() for each in pair):
            continue
        if len(stacks) <= MOST_TOGETHER:
            yield _together(report, name, stacks)
        else:
            yield _apart(report, name, stacks)


def stack(trials: Sequence[TrialResult], curve: str) -> np.ndarray:
    """Return a curve of each trial as rows (seeds, epochs), NaN where nothing was measured."""
    rows = [each.curves[curve] for each in trials if each.curves.get(curve)]
    if not rows:
        return np.empty((0, 0))
    found = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(found, rows, strict=True):
        row[: len(values)] = [np.nan if value is None else value for value in values]
    return found


def mean_and_band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean over seeds (rows) at each epoch, and the ends of its band.

    The band is the mean ± one standard deviation, from three seeds, within the seeds' own range,
    so that it neither passes 100 % nor falls below 0 on a log axis. It describes; what may be
    inferred is in the paired differences. An epoch counts while at least half of the seeds that
    ever had a value have one there, so that one long trial does not draw a mean of itself.
    """
    there = np.isfinite(values)
    count = there.sum(axis=0)
    enough = count >= max(1, (there.any(axis=1).sum() + 1) // 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(enough, np.nansum(values, axis=0) / count, np.nan)
        sd = np.sqrt(np.nansum((values - mean) ** 2, axis=0) / (count - 1))
    sd = np.where(enough & (count >= 3), sd, np.nan)
    least = np.where(there, values, np.inf).min(axis=0)
    most = np.where(there, values, -np.inf).max(axis=0)
    return mean, np.maximum(mean - sd, least), np.minimum(mean + sd, most)


def draw_curve(
    axis: Axes,
    values: np.ndarray,
    style: LineStyle,
    factor: float,
    name: str,
    lines: int = MOST_LINES,
    *,
    seeds: Sequence[str] = (),
    unit: str = "",
) -> None:
    """Draw one variant: thin seeds, a band, a mean with sparse markers.

    A seed that has one value only, as one that diverged at once, is a dot.
    """
    if not values.size or not np.isfinite(values).any():
        return
    epochs = np.arange(values.shape[1])
    scaled = values * factor
    with keyed(axis, name):
        if len(values) > 1:
            # One line with gaps: an artist per seed takes many times as long to draw.
            gap = np.full((len(scaled[:lines]), 1), np.nan)
            axis.plot(
                np.tile(np.append(epochs, 0), len(gap)),
                np.hstack([scaled[:lines], gap]).ravel(),
                color=style.colour,
                linewidth=0.6,
                marker=_lone(scaled[:lines], "."),
                markersize=3,
                alpha=0.3,
            )
        mean, low, high = mean_and_band(scaled)
        if np.isfinite(low).any():
            axis.fill_between(epochs, low, high, color=style.colour, alpha=0.13, linewidth=0)
        line(axis, epochs, mean, style, name, markevery=max(len(epochs) // 6, 1))
    for row, seed in zip(scaled[:lines], seeds, strict=False):
        tell(axis, name, epochs, row, seed, unit=unit)
    if len(values) > 1:
        tell(axis, name, epochs, mean, "mean", unit=unit)


def _curve_names(by_variant: Mapping[str, Sequence[TrialResult]]) -> list[str]:
    """Return the curves' bare names, the loss first."""
    found = dict.fromkeys(
        key.removeprefix("val_")
        for trials in by_variant.values()
        for each in trials
        for key in each.curves
    )
    names = [each for each in found if each not in _NOT_METRICS]
    return sorted(names, key=lambda each: (each != "loss", "loss" in each))


def _together(
    report: ReportData, name: str, stacks: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> Plot:
    """Draw training beside validation, and below them the end of training where that tells more."""
    factor = formatting.factor_of(name)
    sides = [index for index in (0, 1) if any(pair[index].size for pair in stacks.values())]
    drawn_stacks = [pair[side] for pair in stacks.values() for side in sides]
    last = max(each.shape[1] for each in drawn_stacks) - 1
    whole = _limits(drawn_stacks, factor, name)
    ending = _limits([each[:, last // 2 :] for each in drawn_stacks], factor, name, trim=0.03)
    means = [mean_and_band(each * factor)[0][last // 2 :] for each in drawn_stacks if each.size]
    ending = _holding(ending, np.concatenate(means))
    zoomed = last >= 6 and _tells_more(whole, ending)
    figure, axes = panels(
        len(sides), 2 if zoomed else 1, height=4.6 if zoomed else 2.7, sharey="row"
    )
    unit = " %" if factor == 100.0 else ""
    for place, axis in enumerate(axes):
        side, below = sides[place % len(sides)], place >= len(sides)
        for variant, pair in stacks.items():
            style = line_style(report.order.index(variant))
            seeds = _seeds(report, variant, (name, f"val_{name}")[side])
            draw_curve(axis, pair[side], style, factor, variant, seeds=seeds, unit=unit)
        axis.set_title("The last half, closer" if below else ("Training", "Validation")[side])
        axis.set_xlabel("Epoch")
        _mark_phases(axis, report, stacks)
        _finish(axis, ending if below else whole, last / 2 if below else None)
    for axis in axes[:: len(sides)]:
        axis.set_ylabel(formatting.axis_title(name))
    legend(figure)
    return Plot(
        f"curve-{formatting.anchor(name.lower())}",
        _title(name),
        _caption(stacks.values(), MOST_LINES) + _phases_caption(report, stacks),
        figure,
        _finding(name, stacks),
    )


def _apart(
    report: ReportData, name: str, stacks: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> Plot:
    """Draw a panel per variant: training dotted, validation full, the baseline in grey behind."""
    factor = formatting.factor_of(name)
    unit = " %" if factor == 100.0 else ""
    shown = report.most_telling(list(stacks), MOST_PANELS)
    titles = fitted_names(shown, 18)
    lines = max(each.count("\n") for each in titles.values()) + 1
    figure, axes = small_panels(len(shown), lines=lines)
    limits = _limits([each for variant in shown for each in stacks[variant]], factor, name)
    baseline = report.analysis.baseline
    for axis, variant in zip(axes, shown, strict=True):
        training, validation = stacks[variant]
        if variant != baseline and baseline in stacks:
            behind = mean_and_band(stacks[baseline][1] * factor)[0]
            axis.plot(np.arange(len(behind)), behind, color=GREY, linewidth=1.2, zorder=1)
        style = line_style(report.order.index(variant))
        seeds = _seeds(report, variant, f"val_{name}")
        plain = LineStyle(style.colour, _lone(validation, style.marker), "-")
        draw_curve(axis, validation, plain, factor, variant, FEW_LINES, seeds=seeds, unit=unit)
        with keyed(axis, variant):
            mean = mean_and_band(training * factor)[0] if training.size else np.empty(0)
            dots = LineStyle(style.colour, _lone(training, style.marker), (0, (2, 1.5)))
            line(axis, np.arange(len(mean)), mean, dots, "_training", linewidth=1.1, markersize=3)
            tell(axis, variant, np.arange(len(mean)), mean, "training, mean", unit=unit)
        axis.set_title(titles[variant], fontsize=8)
        _mark_phases(axis, report, [variant])
        _finish(axis, limits)
    height = figure.get_figheight()
    figure.supxlabel("Epoch", fontsize=9, y=0.06 / height, va="bottom")
    figure.supylabel(formatting.axis_title(name), fontsize=9, x=0.008)
    caption = _caption(stacks.values(), FEW_LINES) + (
        " Full line: validation; dotted line: training; grey line: the baseline's validation mean."
    )
    caption += _phases_caption(report, stacks)
    if len(stacks) > len(shown):
        caption += (
            f" Of {len(stacks)} variants, the {len(shown)} furthest from the baseline are drawn."
        )
    finding = _finding(name, {each: stacks[each] for each in shown})
    place = f"curve-{formatting.anchor(name.lower())}"
    return Plot(place, _title(name), caption, figure, finding, legend=True)


def _seeds(report: ReportData, variant: str, curve: str) -> list[str]:
    """Return whose curves the rows of a stack are."""
    return [f"seed {each.seed}" for each in report.by_variant[variant] if each.curves.get(curve)]


def _lone(values: np.ndarray, marker: str) -> str:
    """Return the marker where some point has no neighbour, and so no line: else none is needed."""
    there = np.isfinite(values)
    beside = np.pad(there, ((0, 0), (1, 1))) if there.size else there
    return marker if (there & ~(beside[:, :-2] | beside[:, 2:])).any() else ""


def _finding(name: str, stacks: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """Return where the validation curves (training, without one) end."""
    ends: dict[str, str] = {}
    for variant, (training, validation) in stacks.items():
        mean = mean_and_band(
            (validation if validation.size else training) * formatting.factor_of(name)
        )[0]
        there = np.flatnonzero(np.isfinite(mean))
        if len(there):
            ends[variant] = f"{variant} {formatting.figures(mean[there[-1]])} (epoch {there[-1]})"
    where = "Validation" if any(pair[1].size for pair in stacks.values()) else "Training"
    unit = " in %" if formatting.factor_of(name) == 100.0 else ""
    words = name.replace("_", " ")
    return f"{where} {words}{unit}, mean over seeds, ends at: {formatting.listed(ends.values())}."


def _phase_ends(report: ReportData, variants: Iterable[str]) -> list[int]:
    """Return the epochs after which a new phase began, of any trial of these variants."""
    trials = (each for name in variants for each in report.by_variant.get(name, ()))
    return sorted({end for each in trials for end in each.phases[:-1]})


def _mark_phases(axis: Axes, report: ReportData, variants: Iterable[str]) -> None:
    for end in _phase_ends(report, variants):
        axis.axvline(end, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)


def _phases_caption(report: ReportData, variants: Iterable[str]) -> str:
    ends = _phase_ends(report, variants)
    return (
        f" Upright lines: a new phase begins after epoch {formatting.listed(map(str, ends))}."
        if ends
        else ""
    )


def _limits(
    stacks: Sequence[np.ndarray], factor: float, name: str, trim: float = 0.0
) -> Limits | None:
    """Return the range of all seeds' values with some air, and whether it asks for a log axis.

    The few largest values of a loss (an exploding seed) must not press all else to the floor;
    `trim` is the share of values at either end that a closer look leaves to the whole picture.
    """
    last = max(each.shape[1] for each in stacks) - 1
    values = np.concatenate([each.ravel() for each in stacks]) * factor
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = map(float, np.quantile(values, [trim, 1 - trim]))
    if "loss" in name and low > 0 and high / float(np.quantile(values, 0.02)) > 30:
        return Limits(low / 1.3, high * 1.3, True, last)
    if "loss" in name:
        top = float(np.quantile(values, 0.98))
        high = top * 1.5 if high > 10 * top > 0 else high
    air = (high - low or abs(high) or 1.0) * 0.05
    least = 0.0 if low >= 0 else -np.inf  # neither a share nor a loss goes below it
    return Limits(max(low - air, least), high + air, False, last)


def _holding(limits: Limits | None, means: np.ndarray) -> Limits | None:
    """Return limits that hold the means, too: only seeds may leave a closer look."""
    known = means[np.isfinite(means)]
    if limits is None or not len(known):
        return limits
    low, high = float(known.min()), float(known.max())
    if limits.log and low <= 0:
        return limits
    return Limits(min(limits.low, low), max(limits.high, high), limits.log, limits.last)


def _tells_more(whole: Limits | None, part: Limits | None) -> bool:
    """Tell whether the end of training fills less than a third of the whole picture's height."""
    if whole is None or part is None:
        return False
    if whole.log:
        return part.low > 0 and np.log(part.high / part.low) < np.log(whole.high / whole.low) / 3
    return part.high - part.low < (whole.high - whole.low) / 3


def _finish(axis: Axes, limits: Limits | None, start: float | None = None) -> None:
    """Set both axes, from epoch `start` on if it is given."""
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if limits is None:
        return
    if limits.log:
        axis.set_yscale("log")
        plain_log(axis.yaxis)
    axis.set_ylim(limits.low, limits.high)
    last = limits.last
    if start is None:
        axis.set_xlim(-0.03 * last, 1.03 * last or 1)
    else:
        axis.set_xlim(start, 2 * start * 1.01)
    _mark_beyond(axis, limits.high)


def _mark_beyond(axis: Axes, top: float) -> None:
    """Mark where a mean leaves the axes at the top, with the number it goes on to."""
    for each in list(axis.lines):
        x, y = np.asarray(each.get_xdata(), float), np.asarray(each.get_ydata(), float)
        beyond = np.flatnonzero((y > top) & (x >= axis.get_xlim()[0]))
        if str(each.get_label()).startswith("_child") or not len(beyond):
            continue
        where = x[beyond[0]]
        axis.plot(where, top, marker="^", markersize=5, color=each.get_color(), clip_on=False)
        axis.annotate(
            formatting.figures(float(y[beyond].max())), (where, top), xytext=(4, -3),
            textcoords="offset points", va="top", fontsize=7.5, color=each.get_color(),
        )  # fmt: skip


def _title(name: str) -> str:
    return f"{name.replace('_', ' ').capitalize()} over the epochs"


def _caption(stacks: Iterable[tuple[np.ndarray, np.ndarray]], lines: int) -> str:
    seeds = max(len(each) for pair in stacks for each in pair)
    thin = "every seed" if seeds <= lines else f"the first {lines} seeds"
    return (
        f"Bold: the mean over seeds; thin: {thin}; band: one standard deviation, within the seeds' "
        "range. Training values are fit's running ones, with Dropout at work; validation is in "
        "inference mode, from before training (epoch 0)."
    )
