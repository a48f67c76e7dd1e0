"""What an outcome lacks that is asked for since, and what is kept when its trial trains again.

A record may lack a metric, a probe or a saved model. Its trial is trained again, and its numbers
must come out the same. `with_earlier` compares the new record with the old one: where they agree,
the new one takes over what only the old one measured, so that asking for another metric costs no
metric; where they do not, it says so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ablate.store import Store
from ablate.study.metrics import bare, by_output, metric_key
from ablate.study.trial import Trial, TrialResult, probe_key

_AUTO = "auto"


def is_complete(result: TrialResult | None, trial: Trial, store: Store) -> bool:
    """Whether a record is an outcome of `trial` that has all that is asked of it now."""
    return result is not None and result.final and not lacking(result, trial, store)


def lacking(result: TrialResult, trial: Trial, store: Store) -> tuple[str, ...]:
    """Return in words what a final record lacks of what is asked of its trial now."""
    if result.status == "diverged":
        return ()
    measured = _measured(result)
    asked = _keys(trial.spec.train.metrics, trial.spec.train.weighted_metrics)
    found = [f"the metric {_shown(key)}" for key in asked if key not in measured]
    probed = set(result.probes)
    found += [f"the probe '{each.name}'" for each in trial.probes if probe_key(each) not in probed]
    if not found and trial.probes and not store.has_arrays(trial.id):
        found.append("the arrays of its probes")
    save = trial.spec.train.save
    if save != "none" and (result.saved != save or not store.has_model(trial.id)):
        found.append(f"its {save} model")
    return tuple(found)


def trained_again(lacks: Iterable[tuple[str, ...]]) -> str:
    """Say how many trials are trained again and what for, given what each lacks; "" for none.

    >>> trained_again([("the metric 'auc'",)] * 3)
    "3 trials are trained again for the metric 'auc'; their numbers must come out the same."
    """
    parts = []
    for each, count in Counter(lacks).items():
        noun = "trial is" if count == 1 else "trials are"
        parts.append(f"{count} {noun} trained again for {' and '.join(each)}")
    return f"{', '.join(parts)}; their numbers must come out the same." if parts else ""


def with_earlier(known: TrialResult | None, result: TrialResult) -> TrialResult:
    """Return a new outcome with what an earlier one of its trial measured in addition.

    Args:
        known: the record that `result` replaces, if any.
        result: what training the trial again gave.

    Returns:
        `result` with the metrics and curves that only `known` has; with a caution and without
        them where the two do not agree on what both have.
    """
    if known is None or not known.final or not result.final:
        return result
    moved = _moved(known, result)
    if moved is not None:
        caution = (
            f"trained again, and its numbers did not come out the same ({moved}): other software "
            "or another machine. What had been measured before is dropped"
        )
        return replace(result, cautions=tuple(dict.fromkeys((*result.cautions, caution))))
    earlier, curves = dict(known.metrics), dict(known.curves)
    measured = _measured(result)
    if all(result.metrics[name] == earlier[name] for name in result.metrics.keys() & earlier):
        measured = tuple(dict.fromkeys((*_measured(known), *measured)))
    return replace(
        result,
        metrics={**earlier, **result.metrics},
        curves={**curves, **result.curves} if known.epochs == result.epochs else result.curves,
        measured=measured,
    )


def _moved(known: TrialResult, result: TrialResult) -> str | None:
    """Return a number that both have and that is another now, in words; None where there is none.

    Only losses are compared: a metric of the same name may have got other arguments.
    """
    if known.status != result.status:
        return f"it {known.status} before and {result.status} now"
    for name in sorted(known.metrics.keys() & result.metrics):
        one, other = known.metrics[name], result.metrics[name]
        if (bare(name) == "loss" or name.endswith("_loss")) and one != other:
            return f"{name} was {_number(one)} and is {_number(other)}"
    return None


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.9g}"


def _measured(result: TrialResult) -> tuple[str, ...]:
    """Return the keys of the metrics that a record has."""
    return result.measured or _recorded(result)


def _recorded(result: TrialResult) -> tuple[str, ...]:
    train = result.spec.get("train", {})
    return _keys(train.get("metrics", _AUTO), train.get("weighted_metrics"))


def _keys(metrics: Any, weighted: Any = None) -> tuple[str, ...]:
    own: tuple[str, ...] = (_AUTO,) if isinstance(metrics, str) else ()
    for kind, given in (("", metrics), ("weighted", weighted)):
        for path, found in by_output(given):
            own += tuple(metric_key(each, kind, *path) for each in found)
    return own


def _shown(key: str) -> str:
    if key == _AUTO:
        return "that auto chooses"
    metric = json.loads(key)
    named = metric.get("as") or metric.get("name") or metric.get("call")
    return f"'{named}'"
