"""Trial results made up for the event files: small, exact, without Keras."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ablate.study.trial import TrialResult

SPECS = {
    "plain": {"train": {"learning_rate": 0.1}, "model": {"units": [4]}, "insert": []},
    "dropout": {
        "train": {"learning_rate": 0.1},
        "model": {"units": [4]},
        "insert": [{"layer": "Dropout", "rate": 0.5, "at": "after", "where": "Dense"}],
    },
    "fast": {"train": {"learning_rate": 0.5}, "model": {"units": [4]}, "insert": []},
}


@pytest.fixture
def result() -> Callable[..., TrialResult]:
    """Make a result: accuracy rises by a tenth an epoch from 0.1·(seed + 1)."""

    def make(variant: str = "plain", seed: int = 0, **changes) -> TrialResult:
        start = 0.1 * (seed + 1) + (0.2 if variant == "dropout" else 0.0)
        fields = {
            "id": f"{variant}{seed}".encode().hex().ljust(20, "0"),
            "variant": variant,
            "seed": seed,
            "status": "completed",
            "spec": SPECS.get(variant, SPECS["plain"]),
            "epochs": 2,
            "seconds": {"total": 4.0},
            "metrics": {"val_accuracy": start + 0.2, "test_loss": 1.0, "test_accuracy": start},
            "curves": {
                "loss": [None, 0.75, 0.5],
                "accuracy": [None, start, start + 0.1],
                "val_accuracy": [start, start + 0.1, start + 0.2],
                "learning_rate": [None, 0.1, 0.1],
            },
        }
        return TrialResult(**{**fields, **changes})

    return make


@pytest.fixture
def results(result) -> list[TrialResult]:
    """Two variants, three seeds each; the last of the second diverged."""
    found = [result(variant, seed) for variant in ("plain", "dropout") for seed in range(3)]
    found[-1] = result("dropout", 2, status="diverged", metrics={"test_accuracy": 0.1})
    return found


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """What a probe stored: a series, a histogram, and something for the report alone."""
    return {
        "activations/epochs": np.array([0, 2]),
        "activations/scalar/dense/p50": np.array([0.25, np.nan]),
        "activations/counts/dense": np.array([[1.0, 3.0], [2.0, 2.0]]),
        "activations/edges/dense": np.array([[0.0, 1.0, 2.0], [0.0, 2.0, 4.0]]),
        "activations/table/dense": np.zeros((2, 5)),
    }
