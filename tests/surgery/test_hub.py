"""Every family of KerasHub that can be built without a download; needs the extra `hub`."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest

import ablate
from ablate.errors import SurgeryError
from ablate.surgery import fold, insert, inserted, remove, trace
from ablate.surgery.batches import structure
from ablate.surgery.hosts import all_hosts
from ablate.surgery.trace_inputs import sample
from tests.surgery.families import FAMILIES, NOT_LOADED, REFUSED, tasks

pytestmark = pytest.mark.slow


def outputs(model, x):
    return [np.asarray(each) for each in keras.tree.flatten(model(x, training=False))]


def gap(a, b):
    pairs = list(zip(a, b, strict=True))
    scale = max(float(np.abs(one).max(initial=1e-3)) for one, _ in pairs)
    return max(float(np.abs(one - other).max(initial=0)) for one, other in pairs) / scale


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_goes_through_surgery_and_its_tasks_come_back(name, tmp_path):
    keras.utils.set_random_seed(0)
    backbone = FAMILIES[name]()
    x = sample(backbone, structure(backbone), None)
    if name in REFUSED:
        with pytest.raises(SurgeryError, match=REFUSED[name]):
            insert(backbone, "Dropout", rate=0.1, where="all")
        return
    expected = outputs(backbone, x)
    opened = trace(backbone).model
    assert gap(expected, outputs(opened, x)) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        edited = insert(backbone, "Dropout", rate=0.1, where="all")
        assert gap(expected, outputs(edited, x)) == 0
        assert gap(expected, outputs(remove(edited), x)) == 0
    for key, build in tasks(name, backbone):
        task = build()
        given = sample(task, structure(task), None)
        again = ablate.task_around(task, edited)
        assert type(again) is type(task), key
        assert gap(outputs(task, given), outputs(again, given)) == 0, key
    hidden = [host for host in all_hosts(opened) if host.kind in ("conv", "dense")]
    if not hidden:
        return
    # A sample of them: the statistics of all take long.
    where = [host.path for host in hidden[:3]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        normalized = insert(backbone, "BatchNormalization", where=where, calibrate=x)
        assert len(inserted(normalized)) == len(where)
        assert gap(expected, outputs(normalized, x)) < 1e-4
        assert gap(expected, outputs(fold(normalized), x)) < 1e-3
        assert gap(expected, outputs(remove(normalized), x)) == 0
    if name in NOT_LOADED:  # by Keras, as their layers are written
        with pytest.raises((TypeError, ValueError, NotImplementedError)):
            normalized.save(tmp_path / "m.keras")
            keras.saving.load_model(tmp_path / "m.keras")
        return
    normalized.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert gap(outputs(normalized, x), outputs(loaded, x)) == 0
