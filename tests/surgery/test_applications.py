"""Every network of `keras.applications`: in, out, and nothing broken.

Without weights (random ones, seeded) and on small images. One network of each family is put
through everything, three light ones in every run and the others under `slow`. Their siblings,
made by the same code with other sizes, are taken apart and put together again (`slow`); with
ABLATE_EXHAUSTIVE=1 in the environment they too are put through everything: three quarters of an
hour more.
"""

import gc
import os

import keras
import numpy as np
import pytest

from ablate.study.schema.factories import APPLICATIONS
from ablate.study.schema.placement import Placement
from ablate.surgery import fold, insert, inserted, remove, sites

LIGHT = ("vgg16", "mobilenet", "mobilenetv3small")

#: One of each family of architectures.
FAMILIES = (
    *LIGHT,
    *("mobilenetv2", "resnet50", "resnet50v2", "densenet121", "inceptionv3", "xception"),
    *("inceptionresnetv2", "nasnetmobile", "efficientnetb0", "efficientnetv2b0", "convnexttiny"),
)
SIBLINGS = tuple(name for name in APPLICATIONS if name not in FAMILIES)
EXHAUSTIVE = os.environ.get("ABLATE_EXHAUSTIVE") == "1"

#: The least side of an image, where it is not 32.
SIDES = {"inceptionv3": 75, "inceptionresnetv2": 75, "xception": 71}

ROWS = 2


def built(name):
    keras.utils.set_random_seed(7)
    side = SIDES.get(name, 32)
    build = getattr(keras.applications, APPLICATIONS[name].function)
    model = build(weights=None, input_shape=(side, side, 3), classes=10)
    draw = np.random.default_rng(0)
    for layer in model.layers:
        # Statistics that are not those a layer starts with, so that folding has work to do.
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(draw.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(draw.uniform(0.5, 2, layer.moving_variance.shape))
    return model, draw.uniform(0, 255, (ROWS, side, side, 3)).astype("float32")


@pytest.fixture(autouse=True)
def emptied():
    """Let go of each network before the next: the largest take gigabytes."""
    yield
    keras.backend.clear_session()
    gc.collect()


def names_of(model):
    """Layer and weight of each variable; scopes and the counts of unnamed ones are Keras's."""
    return [
        tuple("variable" if part.startswith("variable") else part for part in each.path.split("/"))[
            -2:
        ]
        for each in model.weights
    ]


def same_weights(ours, theirs):
    """Compare weights one at a time: the largest networks fill memory otherwise."""
    pairs = zip(ours.weights, theirs.weights, strict=True)
    as_array = keras.ops.convert_to_numpy
    return all(np.array_equal(as_array(one), as_array(other)) for one, other in pairs)


def relative(ours, theirs):
    return np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max()


def assert_everywhere(model, new):
    hosts = {site.host for site in sites(model, "hidden", at="after_activation")}
    for layer in ("BatchNormalization", "Dropout"):
        assert {each.host for each in inserted(new) if each.layer == layer} == hosts


def assert_restored(back, model, config):
    assert back.get_config() == config
    assert names_of(back) == names_of(model)
    assert same_weights(back, model)


def placements(calibrate):
    where = {"where": "hidden"}
    return [
        Placement(layer="BatchNormalization", at="before_activation", calibrate=calibrate, **where),
        Placement(layer="Dropout", rate=0.5, at="after_activation", **where),
    ]


@pytest.mark.parametrize(
    "name",
    [
        name if name in LIGHT else pytest.param(name, marks=pytest.mark.slow)
        for name in (APPLICATIONS if EXHAUSTIVE else FAMILIES)
    ],
)
def test_normalization_and_dropout_go_everywhere_and_nothing_is_lost(name):
    model, images = built(name)
    config, wanted = model.get_config(), np.asarray(model(images))
    new = insert(model, placements(calibrate=True), calibrate=images)
    assert_everywhere(model, new)
    assert np.array_equal(new(images), wanted)
    assert model.get_config() == config
    in_graph = model.predict_on_batch(images)
    assert relative(new.predict_on_batch(images), in_graph) <= 1e-6
    plain = fold(model)
    assert relative(plain(images), wanted) <= 1e-5
    dropouts = [each.path for each in inserted(new) if each.layer == "Dropout"]
    folded = fold(remove(new, where=dropouts))
    assert folded.get_config() == plain.get_config()
    assert same_weights(folded, plain)
    del folded, plain
    back = remove(new)
    assert_restored(back, model, config)
    assert np.array_equal(back(images), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIBLINGS)
def test_siblings_are_taken_apart_and_put_together_again(name):
    model, _ = built(name)
    config = model.get_config()
    new = insert(model, placements(calibrate=False))
    assert_everywhere(model, new)
    assert_restored(remove(new), model, config)
