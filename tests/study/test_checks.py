"""A study that exists is sound: what can be told without Keras is told when it is made."""

from __future__ import annotations

from typing import Any

import pytest

from ablate.errors import StudyError
from ablate.study.study import Study

DROP = {"insert": [{"layer": "Dropout", "rate": 0.5}]}


def refusal(**fields: Any) -> list[str]:
    base = {
        "study": "s",
        "data": {"name": "digits"},
        "model": {"name": "mlp"},
        "variants": {"plain": {}, "drop": DROP},
    }
    with pytest.raises(StudyError) as caught:
        Study(**{**base, **fields})
    return str(caught.value).replace("Study: ", "").splitlines()


def claim(**fields: Any) -> dict[str, Any]:
    return {
        "claim": "value", "variant": "drop", "metric": "test_accuracy", "value": 1.0, "source": "x",
    } | fields  # fmt: skip


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing to compare": ({"variants": {}}, "variants: there is nothing to compare. Declare"),
    "both forms": (
        {"factors": {"a": {"x": {}, "y": DROP}}},
        "factors: 'factors' stand in place of 'variants'. Keep one of the two.",
    ),
    "one level": (
        {"variants": {}, "factors": {"a": {"x": {}}}},
        "factors.a: expected at least two levels. Received: x.",
    ),
    "no seeds": ({"seeds": 0}, "seeds: expected a number of seeds from 1 to 10000. Received: 0."),
    "a search's seed": (
        {"seeds": [1, 10000]},
        "seeds[1]: expected a seed from 0 to 9999 (those above belong to searches). "
        "Received: 10000.",
    ),
    "a seed twice": ({"seeds": [1, 2, 1]}, "seeds[2]: duplicate seed 1."),
    "baseline": (
        {"baseline": "plane"},
        "baseline: no variant 'plane'. Did you mean 'plain'? Expected one of: plain, drop.",
    ),
    "data of a variant": (
        {"variants": {"a": {"data": {"name": "mnist"}}}},
        "variants.a.data.name: a variant changes 'limit' or 'scale' of the data, nothing else: "
        "variants of other data are another study.",
    ),
    "probe": (
        {"probes": ["activation"]},
        "probes[0]: no probe is called 'activation'. Did you mean 'activations'? Expected one of: ",
    ),
    "a probe twice": (
        {"probes": ["gradients", {"name": "gradients"}]},
        "probes[1]: duplicate probe 'gradients'.",
    ),
    "direction of a metric": (
        {"analysis": {"metric": "charm"}},
        "analysis.direction: 'charm' is not a metric whose direction is known. Say "
        "'direction: max' or 'direction: min'.",
    ),
    "margin of a share": (
        {"analysis": {"metric": "accuracy", "margin": 1}},
        "analysis.margin: 1 is no margin of accuracy, a share of 1: 0.01 is one point of it. "
        "Expected less than 1.",
    ),
    "claimed variant": (
        {"expect": [claim(variant="dro")]},
        "expect[0].variant: no variant 'dro'. Did you mean 'drop'?",
    ),
    "ordering without another": (
        {"expect": [claim(claim="ordering")]},
        "expect[0].than: missing. Expected the variant that the ordering compares with.",
    ),
    "claim without a value": (
        {"expect": [claim(value=None)]},
        "expect[0].value: missing. A claim of kind 'value' needs a 'value' or a 'range'.",
    ),
    "range upside down": (
        {"expect": [claim(range=[2.0, 1.0])]},
        "expect[0].range: expected [low, high]. Received: [2, 1].",
    ),
    "a margin of a claim without a published value": (
        {"expect": [claim(value=None, range=[0.9, 1.0], margin=0.01)]},
        "expect[0].margin: a margin is for a 'value' or a 'ratio' that has a published value and "
        "no range.",
    ),
    "a margin of a share as large as all shares": (
        {"expect": [claim(margin=1.0)]},
        "expect[0].margin: 1 is no margin of test_accuracy, a share of 1: 0.01 is one point of it.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_obeyed_is_refused(case: str) -> None:
    fields, expected = CASES[case]
    (line,) = refusal(**fields)
    assert line == expected or (line.startswith(expected) and expected != line)


LR = {"float": [0.001, 1.0], "sampling": "log"}

SEARCHES: dict[str, tuple[dict[str, Any], str]] = {
    "field of train": (
        {"space": {"train.learning_rat": LR}},
        "search.space.train.learning_rat: 'train' has no field 'learning_rat'. Did you mean "
        "'learning_rate'?",
    ),
    "placement": (
        {"space": {"insert.Dropot.rate": {"choice": [0.1]}}},
        "search.space.insert.Dropot.rate: no variant has a placement called 'Dropot'. "
        "Did you mean 'Dropout'?",
    ),
    "field of a placement": (
        {"space": {"insert.Dropout.momentum": {"choice": [0.1]}}},
        "search.space.insert.Dropout.momentum: a placement of Dropout has no field 'momentum'.",
    ),
    "no path": (
        {"space": {"model.units": {"choice": [1]}}},
        "search.space.model.units: not a path that can be searched. Expected train.<field>,",
    ),
    "empty range": (
        {"space": {"train.learning_rate": {"float": [1.0, 1.0]}}},
        "search.space.train.learning_rate.float: an empty range. Expected low < high. "
        "Received: [1.0, 1.0].",
    ),
    "log from zero": (
        {"space": {"train.learning_rate": {"float": [0, 1.0], "sampling": "log"}}},
        "search.space.train.learning_rate.float: a log range must begin above 0. "
        "Received: [0.0, 1.0].",
    ),
    "refused choice": (
        {"space": {"insert.Dropout.rate": {"choice": [0.1, 1.5]}}},
        "search.space.insert.Dropout.rate.choice: the field refuses 1.5: Dropout needs a 'rate'",
    ),
    "refused end of a range": (
        {"space": {"train.batch_size": {"int": [0, 8]}}},
        "search.space.train.batch_size.int: the field refuses 0: expected a number of at least 1.",
    ),
    "part that no variant's optimizer takes": (
        {"space": {"train.optimizer.rho": {"float": [0.1, 0.9]}}},
        "search.space.train.optimizer.rho.float: the field refuses 0.1: ",
    ),
    "presence": (
        {"space": {"insert.Dropout.present": {"choice": [1, 2]}}},
        "search.space.insert.Dropout.present: 'present' must be boolean: {bool: true}.",
    ),
    "grid without steps": (
        {"oracle": "grid", "space": {"train.learning_rate": LR}},
        "search.space.train.learning_rate: a grid needs a 'step' here, or a 'choice' of values",
    ),
    "two kinds": (
        {"space": {"train.learning_rate": {"float": [0.1, 1.0], "choice": [0.1]}}},
        "search.space.train.learning_rate: expected exactly one of float, int, choice, bool. "
        "Received: ['float', 'choice'].",
    ),
    "no kind": (
        {"space": {"train.learning_rate": {}}},
        "search.space.train.learning_rate: expected exactly one of float, int, choice, bool. "
        "Received: [].",
    ),
    "mixed choices": (
        {"space": {"train.learning_rate": {"choice": [0.1, "x"]}}},
        "search.space.train.learning_rate.choice: choices must be all numbers, all texts or all",
    ),
    "a choice twice": (
        {"space": {"train.learning_rate": {"choice": [0.1, 0.1]}}},
        "search.space.train.learning_rate.choice: duplicate choice.",
    ),
    "step too large": (
        {"space": {"train.learning_rate": {"float": [0.0, 1.0], "step": 2.0}}},
        "search.space.train.learning_rate.step: 'step' 2 is larger than the range [0.0, 1.0].",
    ),
    "step of a log range": (
        {"space": {"train.learning_rate": LR | {"step": 0.1}}},
        "search.space.train.learning_rate.step: with log sampling 'step' is a factor above 1.",
    ),
    "sampling of a choice": (
        {"space": {"train.learning_rate": {"choice": [0.1], "sampling": "log"}}},
        "search.space.train.learning_rate: 'sampling' and 'step' belong to a range; choice has",
    ),
    "oracle": (
        {"oracle": "quasi_random", "space": {"train.learning_rate": LR}},
        "search.oracle: expected one of random, quasirandom, grid, bayesian, hyperband, or "
        "package.module:Class. Received: 'quasi_random'. Did you mean 'quasirandom'?",
    ),
    "objective on test data": (
        {"objective": "test_accuracy", "space": {"train.learning_rate": LR}},
        "search.objective: expected a validation metric",
    ),
    "objective of unknown direction": (
        {"objective": "val_charm", "space": {"train.learning_rate": LR}},
        "search.direction: 'charm' is not a metric whose direction is known.",
    ),
    "objective that no trial reports": (
        {"objective": "val_precision", "space": {"train.learning_rate": LR}},
        "search.objective: no trial reports 'val_precision'.",
    ),
}


@pytest.mark.parametrize("case", SEARCHES)
def test_a_search_that_cannot_be_made_is_refused(case: str) -> None:
    search, expected = SEARCHES[case]
    lines = refusal(search=search)
    assert any(line.startswith(expected) for line in lines), lines


def test_an_objective_may_be_a_declared_metric_or_an_outputs() -> None:
    study = Study(
        study="s",
        data={"name": "digits"},
        model={"name": "mlp"},
        variants={"plain": {}},
        train={"metrics": ["accuracy", {"name": "AUC"}]},
        search={"objective": "val_auc", "space": {"train.learning_rate": LR}},
    )
    changed = study.search.model_copy(update={"objective": "val_head_accuracy"})
    assert Study(**{**dict(study), "search": changed}).search == changed


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"data": {"name": "digits", "split": "per_seed"}}, "split: per_seed"),
        ({"data": {"name": "digits", "folds": 5}}, "folds"),
        ({"analysis": {"compare": "all"}}, "analysis.compare: all"),
        (
            {"variants": {}, "factors": {"bn": {"off": {}, "on": {"train": {"epochs": 2}}}}},
            "factors",
        ),
    ],
)
def test_seeds_until_decided_are_refused_where_seeds_are_no_independent_repeats(changes, why):
    with pytest.raises(StudyError, match=f"seeds.until: not with {why}"):
        Study(
            **{
                "study": "s",
                "data": {"name": "digits"},
                "model": {"name": "mlp"},
                "variants": {"plain": {}},
                "seeds": {"until": "decided"},
                **changes,
            }
        )
