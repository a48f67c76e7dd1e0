"""Augmentation: the same pixels for all variants of a seed, and the numbers of `fit` on them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from ablate.errors import StudyError
from ablate.study.resolved import ResolvedVariant
from ablate.study.trial import Spec
from ablate.training import checkpoint, model_cache, preview, run_group
from ablate.training.feed import row_count
from ablate.training.rows import rows_of
from ablate.training.seeding import order
from tests.training.small import BN, DROPOUT, numbers, run, trial_of

FLIP = {"layer": "RandomFlip", "mode": "horizontal"}
CNN = {"name": "cnn", "filters": [4], "dense": [8]}


def images():
    draw = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = draw.integers(0, 100, (90, 8, 8, 3)) + 50 * y[:, None, None, None]
    return {"x_train": x.astype("uint8"), "y_train": y}


def binary():
    found = images()
    return {**found, "y_train": found["y_train"] % 2}


def lighter(x, seed, by=0.1):
    """Anyone's own change of the inputs."""
    return x + by * keras.random.uniform((keras.ops.shape(x)[0], 1, 1, 1), seed=seed)


def flipped_labels(x, y, seed):
    """Anyone's own change of inputs and labels."""
    chosen = keras.random.uniform(keras.ops.shape(y), seed=seed) < 0.2
    return x, keras.ops.where(chosen, (y + 1) % 3, y)


def unseeded(x):
    return x + tf.random.uniform(tf.shape(x))


def of_keras(x):
    return x + keras.random.uniform(keras.ops.shape(x))


def changes_shape(x):
    return x[:, :4]


def spec_of(augment, *insert, model=CNN, data="images", **train):
    return Spec(
        data={"call": f"{__name__}:{data}"},
        model=model,
        train={"epochs": 2, "learning_rate": 0.05, "augment": augment, **train},
        insert=list(insert),
    )


def batches_of(spec, seed, epochs=2):
    """Return the batches that a trial trains on, as its own graph makes them."""
    rows = rows_of(spec, seed)
    made = model_cache.make(spec, rows, seed)
    changed = tf.function(made.program.augmentation.trained)
    found = []
    for epoch in range(epochs):
        rank = order(rows.train.rows, seed, epoch)
        draws = made.program.augmentation.seeds(seed, epoch)
        whole = rows.train.batch(0, rows.train.rows)
        for step in range(-(-len(rank) // spec.train.batch_size)):
            taken = rank[step * spec.train.batch_size : (step + 1) * spec.train.batch_size]
            batch = tuple(tf.gather(leaf, taken) for leaf in whole)
            found.append([each.numpy() for each in changed(batch, draws, tf.constant(step))])
    return found


def by_fit(spec, seed):
    """Train on the batches made beforehand with Keras's own `fit`."""
    rows = rows_of(spec, seed)
    made = model_cache.make(spec, rows, seed)
    made.begin(seed, spec.train.learning_rate, rows)
    found, splits = batches_of(spec, seed), made.program.augmentation.seen(rows.splits)
    per_epoch = len(found) // spec.train.epochs

    class Given(keras.utils.PyDataset):
        epoch = 0

        def __len__(self):
            return per_epoch

        def __getitem__(self, index):
            return tuple(found[self.epoch * per_epoch + index])

    batches = Given()

    class Turn(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            batches.epoch = epoch

    history = made.model.fit(
        batches, callbacks=[Turn()], epochs=spec.train.epochs, shuffle=False, verbose=0,
        validation_data=(splits.x_val, splits.y_val), validation_batch_size=spec.train.batch_size,
    )  # fmt: skip
    return history.history, made.model.get_weights()


CASES = {
    "flip": [FLIP],
    "chain": [
        FLIP, {"layer": "RandomRotation", "factor": 0.1}, {"layer": "RandomContrast", "factor": 0.3}
    ],
    "mixup": [{"layer": "MixUp"}],
    "cutmix": [{"layer": "CutMix"}],
    "own": [{"call": f"{__name__}:lighter", "by": 0.3}, {"call": f"{__name__}:flipped_labels"}],
    "crop": [{"layer": "RandomCrop", "height": 6, "width": 6}],
    "padded crop": [
        {"layer": "ZeroPadding2D", "padding": 2}, {"layer": "RandomCrop", "height": 8, "width": 8}
    ],
}  # fmt: skip


#: Those that show nothing in a moment that others do not.
LONG = {"chain", "cutmix", "padded crop"}


@pytest.mark.parametrize(
    "case", [pytest.param(each, marks=[pytest.mark.slow] * (each in LONG)) for each in CASES]
)
def test_a_trial_equals_fit_on_the_augmented_batches_to_the_bit(case, tmp_path):
    spec = spec_of(CASES[case], BN, DROPOUT, save="final")
    ((result, _, path),) = run_group([trial_of(spec, seed=3)], work=lambda trial: tmp_path)
    assert result.status == "completed", result.error
    history, weights = by_fit(spec, 3)
    assert {name: result.curves[name][1:] for name in history} == history
    trained = keras.saving.load_model(path, compile=False).get_weights()
    for ours, theirs in zip(trained, weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_all_variants_see_the_same_pixels_and_another_seed_or_epoch_others():
    chain = CASES["chain"]
    variants = [
        spec_of(chain),
        spec_of(chain, BN, DROPOUT),
        spec_of(chain, model={"name": "mlp", "units": [4]}),
    ]
    seen = [batches_of(each, 5) for each in variants]
    for other in seen[1:]:
        for ours, theirs in zip(seen[0], other, strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])
    assert any(
        (a[0] != b[0]).any() for a, b in zip(seen[0], batches_of(variants[0], 6), strict=True)
    )
    aug = model_cache.make(variants[0], rows_of(variants[0], 5), 5).program.augmentation
    batch = rows_of(variants[0], 5).train.batch(0, 8)
    draws = [
        aug.trained(batch, aug.seeds(5, epoch), step)[0].numpy()
        for epoch, step in ((0, 0), (0, 1), (1, 0))
    ]
    assert all((draws[a] != draws[b]).any() for a, b in ((0, 1), (0, 2), (1, 2)))  # fmt: skip
    np.testing.assert_array_equal(draws[0], aug.trained(batch, aug.seeds(5, 0), 0)[0])


def test_layers_before_another_draw_as_they_do_without_it():
    (one,), (two,) = (
        batches_of(spec_of([FLIP], batch_size=100), 1, 1),
        batches_of(spec_of([FLIP, {"call": f"{__name__}:flipped_labels"}], batch_size=100), 1, 1),
    )
    np.testing.assert_array_equal(one[0], two[0])


def test_trials_are_the_same_alone_after_others_and_after_a_resume(tmp_path, monkeypatch):
    spec = spec_of([FLIP, {"layer": "RandomZoom", "height_factor": 0.2}], DROPOUT, epochs=3)
    alone, *_ = run(trial_of(spec, 1))
    _, later = run(trial_of(spec, 0), trial_of(spec, 1))
    assert numbers(alone) == numbers(later)
    monkeypatch.setattr(checkpoint, "pause", lambda cost: 0.0)

    class Cut(Exception):
        pass

    def stop(event):
        if event.kind == "epoch" and event.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_group([trial_of(spec, 1)], work=lambda trial: tmp_path, report=stop))
    model_cache.forget()
    (resumed,) = run(trial_of(spec, 1), work=lambda trial: tmp_path)
    assert resumed.curves == alone.curves and resumed.metrics == alone.metrics


def test_nothing_is_drawn_at_evaluation_and_a_crop_takes_the_centre():
    spec = spec_of(CASES["crop"])
    rows = rows_of(spec, 0)
    aug = model_cache.make(spec, rows, 0).program.augmentation
    whole = rows.train.batch(0, 4)
    np.testing.assert_array_equal(aug.evaluated(whole)[0], whole[0][:, 1:7, 1:7])
    np.testing.assert_array_equal(rows.splits.x_train[:4], whole[0][:, 1:7, 1:7])
    flip = model_cache.make(spec_of([FLIP]), rows_of(spec_of([FLIP]), 0), 0).program.augmentation
    assert flip.evaluated(whole)[0] is whole[0]


def test_mixed_labels_are_shares_and_the_loss_the_categorical_one():
    (plan,) = preview([ResolvedVariant("plain", spec_of([{"layer": "MixUp", "alpha": 0.5}]))])
    assert plan.loss == "categorical_crossentropy"
    assert any("share for each class" in note for note in plan.notes)
    (batch, *_) = batches_of(spec_of([{"layer": "MixUp", "alpha": 0.5}]), 0, 1)
    assert batch[1].shape == (row_count(batch), 3)
    np.testing.assert_allclose(batch[1].sum(axis=1), 1, rtol=1e-6)
    assert ((batch[1] > 0.01) & (batch[1] < 0.99)).any()
    one_unit = spec_of(
        [{"layer": "MixUp"}], data="binary",
        model={"name": "mlp", "units": [4], "output_activation": "sigmoid"},
    )  # fmt: skip
    (plan,) = preview([ResolvedVariant("plain", one_unit)])
    assert plan.loss == "binary_crossentropy"
    (result,) = run(trial_of(one_unit))
    assert 0 <= result.metrics["test_accuracy"] <= 1


def test_the_range_of_values_is_that_of_the_scaled_rows():
    contrast = {"layer": "RandomContrast", "factor": 0.3}
    (plan,) = preview([ResolvedVariant("plain", spec_of([contrast]))])
    assert "RandomContrast has the value_range [0, 1] of the rows" in plan.notes


@pytest.mark.parametrize(
    "augment, more, says",
    [
        ([{"call": f"{__name__}:unseeded"}], {}, r"augment\[0\].*draws from a source of its own"),
        ([FLIP, {"call": f"{__name__}:of_keras"}], {}, r"augment\[1\].*draws from a source"),
        ([{"call": f"{__name__}:changes_shape"}], {}, r"shape \(4, 8, 3\) afterwards"),
        ([{"call": f"{__name__}:images"}], {}, "Expected a function of x"),
        ([{"layer": "RandomContrast", "factor": 0.3, "value_range": [0, 255]}], {}, "go from 0 to"),
        ([{"layer": "RandomRotation", "factor": "x"}], {}, r"augment\[0\].*RandomRotation"),
        ([{"layer": "RandomZoom"}], {}, r"augment\[0\].*height_factor"),
        ([{"layer": "RandomCrop", "height": 9, "width": 4}], {}, "larger than the images"),
        ([{"layer": "MixUp"}], {"loss": "sparse_categorical_crossentropy"}, "class numbers"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_place(augment, more, says):
    with pytest.raises(StudyError, match=says):
        preview([ResolvedVariant("plain", spec_of(augment, **more))])
