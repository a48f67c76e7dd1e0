"""A real A/A study: 40 pairs of equal networks, 20 seeds each, looked at after every seed.

Equal variants differ by the seeds of their draws alone, so that every difference that is claimed
is a false one. `make test-long` runs it.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from ablate.analysis.descriptive import rounding, snapped
from ablate.analysis.intervals import FIXED, Interval
from ablate.analysis.result_table import collect
from ablate.execution.run import run
from ablate.study.study import Study
from benchmarks.validity import peeked, rate

PAIRS, SEEDS = int(os.environ.get("ABLATE_AA_PAIRS", "40")), 20


@pytest.mark.slow
def test_looks_at_every_seed_of_equal_networks_claim_no_more_than_their_level(tmp_path):
    names = [f"{side}{pair}" for pair in range(PAIRS) for side in "ab"]
    study = Study(
        study="aa",
        data={"name": "digits", "limit": 200},
        model={"name": "mlp", "units": [8]},
        train={"epochs": 2, "optimizer": "adam", "learning_rate": 0.01, "threads": 1},
        seeds=SEEDS,
        variants={name: {} for name in names},
        allow_duplicates=True,
    )
    results = run(study, logs=tmp_path, watchers=[])
    assert results.counts() == {"completed": 2 * PAIRS * SEEDS}
    table = collect(results.results, results.resolved)
    own, base = (
        table.values("test_accuracy")[:, [table.column(f"{side}{pair}") for pair in range(PAIRS)]]
        for side in "ba"
    )
    differences = snapped(own - base, rounding(own, base))
    assert len(np.unique(differences)) > PAIRS  # the copies draw their own seeds
    always = rate(peeked(differences, Interval("always_valid")))
    fixed = rate(peeked(differences, FIXED))
    print(f"false claims at a look after every seed: always valid {always}, t interval {fixed}")
    assert always.share <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / PAIRS)
    assert fixed.share > always.share
