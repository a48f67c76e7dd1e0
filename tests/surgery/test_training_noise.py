"""Layers that disturb training: what they do in it, and that they rest at inference."""

import keras
import numpy as np
import pytest

from ablate.study.schema.placement import Placement
from ablate.surgery import DriftingNoise, EarlyDropout, insert, remove

X = np.ones((400, 50), "float32")


def test_early_dropout_drops_for_its_steps_and_then_not():
    layer = EarlyDropout(0.5, steps=2, seed=1)
    for _ in range(2):
        dropped = np.array(layer(X, training=True))
        assert set(np.unique(dropped)) == {0.0, 2.0}
        assert dropped.mean() == pytest.approx(1, abs=0.05)
        np.testing.assert_array_equal(layer(X), X)  # inference takes no step
    np.testing.assert_array_equal(layer(X, training=True), X)


def test_drifting_noise_moves_each_unit_by_another_amount_at_every_step():
    layer = DriftingNoise(shift=0.5, scale=1.25, jitter=0.1, seed=1)
    np.testing.assert_array_equal(layer(X), X)
    first, second = (np.array(layer(X, training=True)) for _ in range(2))
    drifts = first.mean(0)
    # s + m of a value of 1: from 1 - 0.5 to 1.25 + 0.5, its deviation within a step sqrt(2) r.
    assert 0.45 < drifts.min() < drifts.max() < 1.8 and drifts.std() > 0.2
    np.testing.assert_allclose(first.std(0), 0.1 * 2**0.5, rtol=0.15)
    assert abs(np.corrcoef(drifts, second.mean(0))[0, 1]) < 0.5
    still = DriftingNoise(shift=0.0, scale=1.0, jitter=0.0)
    np.testing.assert_array_equal(still(X, training=True), X)


@pytest.mark.parametrize(
    ("kind", "given"),
    [(EarlyDropout, {"rate": 0.5, "steps": 7}), (DriftingNoise, {"shift": 0.25, "scale": 2.0})],
)
def test_they_are_inserted_by_name_removed_and_saved(kind, given, tmp_path):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, name="hidden"), keras.layers.Dense(1)]
    )
    new = insert(model, [Placement(layer=kind.__name__, at="after", where="hidden", **given)])
    new.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    (layer,) = [each for each in loaded.layers if isinstance(each, kind)]
    assert {key: layer.get_config()[key] for key in given} == given
    np.testing.assert_array_equal(loaded(X[:4, :3]), model(X[:4, :3]))
    assert [each.name for each in remove(new).layers] == [each.name for each in model.layers]


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="steps=-1"):
        EarlyDropout(0.5, steps=-1)
    with pytest.raises(ValueError, match=r"scale=0\.5"):
        DriftingNoise(scale=0.5)
