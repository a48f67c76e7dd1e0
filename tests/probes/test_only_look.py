"""Law 9: a trial with every probe on has the numbers, to the last bit, of one with none."""

import numpy as np
import pytest

from ablate.events.trials import _probes
from ablate.study.schema.probes import PROBES, Probe
from ablate.training import run_group
from tests.training.small import BN, DROPOUT, numbers, run, spec_of, trial_of


@pytest.fixture(scope="module")
def trials():
    """The same trial without probes and with all of them that apply."""
    spec = spec_of(BN, DROPOUT, optimizer={"name": "sgd", "momentum": 0.9})
    probes = [Probe(name=name, probe_rows=16) for name in PROBES if name != "fitted_curve"]
    probes.append(Probe(name="perturbation", probe_rows=8, share=0.1))
    (plain,) = run(trial_of(spec))
    ((probed, arrays, _),) = run_group([trial_of(spec, probes=tuple(probes))])
    assert probed.error is None
    return plain, probed, arrays


def test_no_number_changes(trials):
    plain, probed, _ = trials
    ours, theirs = numbers(plain), numbers(probed)
    assert len(theirs.pop("probes")) == len(PROBES)
    assert ours.pop("probes") == []
    assert ours == theirs


def test_every_probe_stored_what_it_measured_at_each_epoch(trials):
    _, _, arrays = trials
    for name in [*PROBES, "perturbation_2"]:
        if name != "fitted_curve":
            measured = [2] if name == "inference" else [0, 1, 2]
            np.testing.assert_array_equal(arrays[f"{name}/epochs"], measured)
    for key, array in arrays.items():
        if key.split("/")[1] in ("scalar", "counts", "edges"):
            assert array.shape[0] == len(arrays[f"{key.split('/')[0]}/epochs"]), key


def test_tensorboard_is_shown_something_of_every_probe(trials):
    _, _, arrays = trials
    shown = {point.value.tag.split("/")[0] for point in _probes(arrays, 0.0)}
    assert shown == {key.split("/")[0] for key in arrays} - {"rows"}
