"""What a sentence says of an interval and what the interval is, for every way of making rows."""

import itertools

import numpy as np
import pytest
from scipy import stats

from ablate.analysis import analyze, anytime
from ablate.study.schema.analysis import Analysis as Settings
from tests.analysis.simulated import arm, noisy, study

VALUES = {"plain": noisy(0.9, 0.01, 6, 0), "bn": noisy(0.92, 0.01, 6, 1)}
DRAWN = [None, (), ("train", "validation"), ("train", "validation", "test")]
ROWS = {"train": 1200, "validation": 200, "test": 360}


def width(metric: str, kind: str) -> float:
    """Return half the width that an interval of this kind has by its formula."""
    differences = np.array(VALUES["bn"]) - np.array(VALUES["plain"])
    n, sd = 6, differences.std(ddof=1)
    if kind == "always valid":
        return float(anytime.half_width(n, sd, 0.05))
    part = {"val": "validation"}.get(metric.split("_")[0], "test")
    more = ROWS[part] / ROWS["train"] if kind == "Nadeau and Bengio" else 0
    return stats.t.ppf(0.975, n - 1) * sd * np.sqrt(1 / n + more)


def said(coverage: str) -> str:
    """Return the kind of interval that the sentence promises."""
    kinds = {
        "Nadeau and Bengio": "They are Nadeau and Bengio's",
        "always valid": "They hold however often one looks",
    }
    found = [kind for kind, words in kinds.items() if words in coverage]
    assert len(found) <= 1, coverage
    return found[0] if found else "fixed n"


@pytest.mark.parametrize("looks", ["", "seeds were added after a look"])
@pytest.mark.parametrize(
    ("data", "drawn", "metric"),
    itertools.product(
        [{}, {"split": "per_seed"}, {"folds": 5}, {"split": "ordered"}],
        DRAWN,
        ["test_accuracy", "val_accuracy"],
    ),
)
def test_the_sentence_says_which_interval_it_is(data, drawn, metric, looks):
    resolved = [arm(name, data=data) for name in ("plain", "bn")]
    found = analyze(
        study(VALUES, drawn=drawn), resolved, "plain", Settings(metric=metric), looks=looks
    )
    effect = found.effect("bn")
    kind = said(found.coverage)
    assert (effect.high - effect.low) / 2 == pytest.approx(width(metric, kind)), found.coverage
    # Rows that are called the same are not drawn anew, and the other way round.
    part = {"val": "validation"}.get(metric.split("_")[0], "test")
    anew = bool(set(data) & {"folds"} or data.get("split") == "per_seed")
    anew = anew and (drawn is None or part in drawn)
    assert ("drawn anew with every seed" in found.coverage) is anew
    assert ("on these " in found.coverage) is not anew
    assert (kind == "Nadeau and Bengio") is anew
    assert found.coverage in found.answer


@pytest.mark.parametrize("metric", ["train_accuracy", "gap"])
def test_what_is_measured_on_training_rows_is_as_wide(metric):
    resolved = [arm(name, data={"split": "per_seed"}) for name in ("plain", "bn")]
    found = analyze(study(VALUES, drawn=DRAWN[3]), resolved, "plain")
    if metric == "gap":
        kinds = {each.against.interval for each in found.gaps if each.against}
    else:
        kinds = {found.effect("bn", metric).interval}
    assert kinds == {"overlapping_splits"}
