"""Studies that never ran: results with known effects, arms and analysis, made in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ablate.analysis.assemble import analyze
from ablate.report import ReportData
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.analysis import Analysis as Settings
from ablate.study.schema.analysis import Expect
from ablate.study.schema.placement import Placement
from ablate.study.trial import Spec, TrialResult

BN = {"layer": "BatchNormalization", "at": "before_activation", "where": "hidden"}
DROPOUT = {"layer": "Dropout", "rate": 0.5, "at": "after_activation", "where": "Dense"}

#: variant -> (placements, effect on test accuracy, fields of `train`)
DIGITS: Mapping[str, tuple[list[dict], float, dict]] = {
    "plain": ([], 0.0, {}),
    "bn": ([BN], 0.012, {}),
    "dropout": ([DROPOUT], 0.0005, {}),
    "both": ([BN, DROPOUT], 0.013, {}),
}

ERROR = 'Traceback (most recent call last):\n  File "trial.py", line 1, in go\nValueError: no\n'


def arm(
    name: str, insert: Sequence[Mapping], train: Mapping[str, Any], **rest: Any
) -> ResolvedVariant:
    spec = Spec(
        data={"name": "digits"},
        model={"name": "cnn", "filters": [16, 32]},
        train={"epochs": 20, "learning_rate": 0.05, **train},
        insert=[Placement.model_validate(each) for each in insert],
    )
    return ResolvedVariant(name, spec, **rest)


def result(
    each: ResolvedVariant, seed: int, effect: float, status: str = "completed", epochs: int = 20
) -> TrialResult:
    """One trial: a common part by seed, an effect by variant, a little noise of both."""
    shared = np.random.default_rng(seed).normal(0, 0.004)
    noise = np.random.default_rng([seed, *each.name.encode()])
    test = float(min(0.965 + shared + effect + noise.normal(0, 0.0015), 1.0))
    time = np.arange(epochs + 1)
    rise = 1 - np.exp(-time / (3.5 if each.spec.insert else 5))
    accuracy = 0.1 + (test + 0.01 - 0.1) * rise + noise.normal(0, 0.004, epochs + 1)
    validation = 0.1 + (test - 0.1) * rise + noise.normal(0, 0.008, epochs + 1)
    loss = 2.3 * (1 - rise) + 0.03 + np.abs(noise.normal(0, 0.01, epochs + 1))
    done = status == "completed"
    values = (
        {
            "train_loss": 0.03,
            "train_accuracy": min(test + 0.02, 1.0),
            "val_loss": 0.12 - effect,
            "val_accuracy": float(validation[-1]),
            "test_loss": 0.13 - effect * 3 + float(noise.normal(0, 0.01)),
            "test_accuracy": test,
        }
        if done
        else {}
    )
    return TrialResult(
        id=f"{each.name}-{seed}",
        variant=each.name,
        seed=seed,
        status=status,  # type: ignore[arg-type]
        factors=each.factors,
        spec=each.spec.model_dump(mode="json", by_alias=True),
        metrics=values,
        curves={
            "loss": [None, *map(float, loss[1:])],
            "accuracy": [None, *map(float, np.clip(accuracy[1:], 0, 1))],
            "val_loss": [float(x) for x in loss * 1.2 + 0.05],
            "val_accuracy": [float(x) for x in np.clip(validation, 0, 1)],
            "learning_rate": [None] + [each.spec.train.learning_rate] * epochs,
        },
        epochs=epochs if done else 3,
        steps=epochs * 39,
        diverged={"epoch": 3, "step": 100} if status == "diverged" else None,
        parameters=25_000 + 200 * len(each.spec.insert),
        rows={"train": 1222, "validation": 215, "test": 360},
        majority=0.1,
        seconds={"total": 5.0 + noise.normal(0, 0.2), "train": 3 + len(each.spec.insert)},
        inference=tuple(0.02 + 0.004 * len(each.spec.insert) + noise.normal(0, 0.001, 5)),
        environment={"python": "3.11.9", "keras": "3.15.1", "tensorflow": "2.21.0"},
        error=ERROR if status == "failed" else None,
    )


def report_of(
    resolved: Sequence[ResolvedVariant],
    results: Sequence[TrialResult],
    *,
    seeds: Sequence[int],
    name: str = "digits-bn-dropout",
    settings: Settings | None = None,
    expect: Sequence[Expect] = (),
    **rest: Any,
) -> ReportData:
    base = resolved[0].name
    analysis = analyze(
        results,
        resolved,
        base,
        settings or Settings(),
        study=name,
        planned={each.name: len(seeds) for each in resolved},
        expect=expect,
    )
    text = f"study: {name}\ndata: {{name: digits}}\nmodel: {{name: cnn}}\nseeds: {len(seeds)}\n"
    return ReportData(
        analysis, results, resolved, study_text=text, command=f"ablate run {name}.yaml", **rest
    )


def study(
    variants: Mapping[str, tuple[list[dict], float, dict]] = DIGITS,
    seeds: int = 5,
    *,
    status: Callable[[str, int], str | None] = lambda variant, seed: "completed",
    epochs: int = 20,
    **rest: Any,
) -> ReportData:
    """A study of `variants`; `status` says what became of a trial, None: it has not run yet."""
    resolved = [arm(name, insert, train) for name, (insert, _, train) in variants.items()]
    results = [
        result(each, seed, variants[each.name][1], outcome, epochs)
        for each in resolved
        for seed in range(seeds)
        if (outcome := status(each.name, seed)) is not None
    ]
    return report_of(resolved, results, seeds=range(seeds), **rest)


def factorial(seeds: int = 5) -> ReportData:
    """A 2×2 of BN and Dropout whose effects do not add up."""
    resolved, results = [], []
    for bn in ("off", "on"):
        for dropout in ("off", "on"):
            insert = [BN] * (bn == "on") + [DROPOUT] * (dropout == "on")
            each = arm(
                f"bn={bn},dropout={dropout}",
                insert,
                {},
                factors={"bn": bn, "dropout": dropout},
                origin="factorial",
            )
            resolved.append(each)
            effect = 0.012 * (bn == "on") + 0.006 * (dropout == "on")
            effect -= 0.011 * (bn == "on" and dropout == "on")
            results += [result(each, seed, effect) for seed in range(seeds)]
    return report_of(resolved, results, seeds=range(seeds), name="bn-by-dropout")


def rates():
    """Two families over four learning rates; the plain one diverges at the two highest."""
    variants = {
        f"{family}-lr{rate:g}": (insert, 0.01 * bool(insert) - 0.01 * abs(rate - 0.1),
                                 {"learning_rate": rate})
        for family, insert in (("plain", []), ("bn", [BN]))
        for rate in (0.01, 0.1, 0.5, 1.0)
    }  # fmt: skip

    def status(variant, seed):
        return "diverged" if variant in ("plain-lr0.5", "plain-lr1") and seed else "completed"

    return study(variants, seeds=3, name="learning-rates", status=status)
