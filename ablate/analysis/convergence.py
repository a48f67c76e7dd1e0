"""Guards on training: had it ended, and could it show what is asked?

Trials at chance, metrics that still improve,
moving averages that still hold what they began with, early stopping at the last epoch, and a
baseline that leaves a regularizer nothing to do. A curve is judged over all seeds of a variant.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ablate.analysis.comparability import REGULARIZERS
from ablate.analysis.context import AnalysisContext
from ablate.analysis.coverage import weights_kept
from ablate.analysis.descriptive import ROUNDING, moments
from ablate.analysis.effects import Guard
from ablate.analysis.formatting import amount, counted, plural, pretty, seeds_phrase
from ablate.study.metrics import bare

#: Keras's momentum of a BatchNormalization that names none.
BN_MOMENTUM = 0.99

#: A moving average that still holds more than this share of where it began has not converged.
LEFT_OVER = 0.05


def at_chance(context: AnalysisContext) -> Iterator[Guard]:
    """Warn of trials that ended at chance, which count in the means."""
    least = (
        "A one-sided binomial test at 5 % does not tell their validation accuracy from that of "
        "always naming the commonest class"
    )
    if not isinstance(context.settings.collapse, str):
        limit = amount(context.metric, context.settings.collapse)
        least = f"Their validation metric is no better than analysis.collapse, {limit}"
    found = {
        variant.name: own
        for variant in context.trained
        if (own := context.failures[variant.name]).collapsed.count
    }
    if found:
        parts = [
            f"{each.collapsed.count} of {each.collapsed.of} completed trials of {name} "
            f"({seeds_phrase(each.collapsed_seeds)})"
            for name, each in found.items()
        ]
        yield Guard(
            "at chance",
            "warning",
            f"Trials ended at chance: {counted(parts)}. {least}. They count in means and "
            "intervals, which suppose one cluster of values: look at every seed.",
            tuple(found),
        )


def chance_not_judged(context: AnalysisContext) -> Iterator[Guard]:
    """Note that no trial of a classification could be distinguished from a guess."""
    judged = any(context.failures[variant.name].collapsed.of for variant in context.trained)
    if (
        context.settings.collapse == "auto"
        and not judged
        and any(e.majority is not None for e in context.completed)
    ):
        yield Guard(
            "chance not judged",
            "note",
            f"Whether trials ended at chance is not judged: by itself only accuracy tells, and the "
            f"metric is {pretty(context.metric)}. To judge by it, set analysis.collapse to what a "
            "guess gives.",
        )


def still_improving(context: AnalysisContext) -> Iterator[Guard]:
    """Warn of variants whose validation metric still rose when training ended."""
    name = f"val_{bare(context.metric)}"
    sign = 1 if context.direction == "max" else -1
    improving, gains = [], []
    for variant in context.trained:
        curves = sign * context.curves(variant.name, name)
        gain = _late_gain(curves, context.confidence)
        if gain is not None:
            improving.append(variant.name)
            gains.append(gain)
    if improving:
        yield Guard(
            "still improving",
            "warning",
            f"The validation {pretty(bare(context.metric))} was still improving when training "
            f"ended for {counted(improving)} (by up to "
            f"{amount(context.metric, max(gains), difference=True)} in the last epochs): their "
            "order may change with more epochs.",
            tuple(improving),
        )


def _late_gain(curves: np.ndarray, confidence: float) -> float | None:
    """Return how much the last fifth of the epochs gained over the fifth before, if it is real.

    Real: at least 2 % of all that was gained since the first epoch, and (from three seeds) above
    zero by the t interval of the per-seed gains; below three seeds, above zero in each.
    """
    if curves.shape[0] < 1 or curves.shape[1] < 2:
        return None
    k = max(1, curves.shape[1] // 5)
    gains = np.nanmean(curves[:, -k:], axis=1) - np.nanmean(curves[:, -2 * k : -k], axis=1)
    gain = float(np.mean(gains))
    total = float(np.mean(np.nanmax(curves, axis=1) - curves[:, 0]))
    rounded = ROUNDING * float(np.nanmax(np.abs(curves)))
    if not gain > rounded or gain < 0.02 * total:
        return None
    if len(gains) < 3:
        return gain if np.all(gains > 0) else None
    low = moments(gains[:, None], confidence).low[0]
    return gain if low > 0 else None


def moving_averages(context: AnalysisContext) -> Iterator[Guard]:
    """Warn of normalizations whose moving averages hold what they began with."""
    found: dict[str, list[str]] = {}
    for name, what in unconverged_averages(context).items():
        found.setdefault(what, []).append(name)
    if found:
        parts = [f"those of {counted(names)} still {what}" for what, names in found.items()]
        yield Guard(
            "moving averages",
            "warning",
            "Moving averages, which validation and test metrics use, have not converged: "
            f"{counted(parts)}. Lower the momentum or train longer.",
            tuple(name for names in found.values() for name in names),
        )


def unconverged_averages(context: AnalysisContext) -> dict[str, str]:
    """Return what moving averages still hold of what they began with, by variant where they do.

    Those of the base model count too, unless they came with the network's weights.
    """
    found: dict[str, str] = {}
    for variant in context.trained:
        steps = [each.steps for each in context.table.completed(variant.name) if each.steps]
        momenta: dict[float, Any] = {
            float(each.arguments.get("momentum", BN_MOMENTUM)): each.calibrate
            for each in variant.spec.insert
            if each.layer == "BatchNormalization"
        }
        if not weights_kept(variant):
            own = [each.bn_momentum for each in context.table.completed(variant.name)]
            momenta = {each: False for each in own if each is not None} | momenta
        if not steps or not momenta:
            continue
        momentum = max(momenta)
        left = momentum ** min(steps)
        if left > LEFT_OVER:
            of = "calibration" if momenta[momentum] else "initial values"
            what = f"hold {100 * left:.0f} % of their {of} after {min(steps)} steps with momentum"
            found[variant.name] = f"{what} {momentum:g}"
    return found


def early_stopping(context: AnalysisContext) -> Iterator[Guard]:
    """Warn where early stopping chose the last epoch there was."""
    parts, names = [], []
    for variant in context.trained:
        done = context.table.completed(variant.name)
        last = [
            each.seed
            for each in done
            if variant.spec.train.early_stopping
            and each.epochs >= variant.spec.train.epochs
            and each.best_epoch == each.epochs
        ]
        if last:
            names.append(variant.name)
            parts.append(f"{len(last)} of {plural(len(done), 'trial')} of {variant.name}")
    if parts:
        yield Guard(
            "early stopping at the last epoch",
            "warning",
            f"Early stopping chose the last epoch that there was in {counted(parts)}: training "
            "ended before it stopped to improve.",
            tuple(names),
        )


def never_overfits(context: AnalysisContext) -> Iterator[Guard]:
    """Warn of a baseline without overfitting in a study of a regularizer."""
    added = [
        variant.name
        for variant in context.trained
        if any(
            each.layer in REGULARIZERS and each not in context.reference.spec.insert
            for each in variant.spec.insert
        )
    ]
    own = [each for each in context.gaps if each.variant == context.baseline]
    gap = next((each for each in own if each.metric == bare(context.metric)), None)
    if not added or gap is None or gap.summary.mean is None:
        return
    sign = 1 if context.direction == "max" else -1
    ends = [each for each in (gap.summary.low, gap.summary.high) if each is not None]
    least = min((sign * each for each in ends), default=sign * gap.summary.mean)
    losses = context.curves(context.baseline, "val_loss")
    if losses.size:
        mean = np.nanmean(losses, axis=0)
        # A validation loss that ends a twentieth above its lowest has turned.
        rising = bool(mean[-1] > mean.min() + 0.05 * abs(mean.min()))
    else:
        rising = False
    if least > 0 or rising:
        return
    yield Guard(
        "baseline never overfits",
        "warning",
        f"{context.baseline} does not overfit: train minus held-out {pretty(gap.metric)} is "
        f"{amount(gap.metric, gap.summary.mean, difference=True)}, and its validation loss does "
        f"not rise. That leaves nothing for {counted(added)} to cure: a difference here says "
        "little about Dropout where it is needed. Train longer, on fewer rows (data.limit), or "
        "with a larger network.",
        (context.baseline, *added),
    )
