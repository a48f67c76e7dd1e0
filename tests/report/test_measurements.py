"""What claims take from probes and curves, by variant and seed."""

from __future__ import annotations

import numpy as np

from ablate.report.measurements import measured
from ablate.study.schema.analysis import Expect
from ablate.study.trial import TrialResult


def claim(metric: str) -> Expect:
    return Expect(claim="value", variant="bn", metric=metric, value=1.0, source="someone")


def result(seed: int, **rest: object) -> TrialResult:
    return TrialResult(id=f"bn-{seed}", variant="bn", seed=seed, status="completed", **rest)


ARRAYS = {
    "bn-0": {"dropout/epochs": np.array([0, 1]), "dropout/scalar/dense1/mean": np.array([3.0, 2.0])}
}


def test_a_probes_last_scalar_and_a_curves_last_value():
    results = [
        result(0, probes=("dropout",), curves={"loss": [None, 2.0, 1.5]}),
        result(1, probes=("dropout",), curves={"loss": [None, 2.0, None]}),
        result(2, curves={"loss": [None]}),
    ]
    found = measured(
        [claim("probe/dropout/dense1/mean"), claim("curve/loss"), claim("test_accuracy")],
        results,
        lambda trial: ARRAYS.get(trial, {}),
    )
    assert found == {
        "probe/dropout/dense1/mean": {("bn", 0): 2.0},
        "curve/loss": {("bn", 0): 1.5, ("bn", 1): 2.0},
    }


def test_arrays_are_read_only_for_claims_about_probes():
    def refuse(trial: str) -> dict:
        raise AssertionError(f"read {trial}")

    assert measured([claim("test_loss")], [result(0, probes=("dropout",))], refuse) == {}
