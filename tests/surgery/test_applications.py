"""Every network of `keras.applications`: in, out, and nothing broken.

Without weights (random ones, seeded) and on small images. Three light networks run always, the
rest under `slow`.
"""

import gc
import re

import keras
import numpy as np
import pytest

from ablate.study.factories import APPLICATIONS
from ablate.study.placement import Placement
from ablate.surgery import fold, insert, inserted, remove, sites

LIGHT = ("vgg16", "mobilenet", "mobilenetv3small")

#: The least side of an image, where it is not 32.
SIDES = {"inceptionv3": 75, "inceptionresnetv2": 75, "xception": 71}

ROWS = 2


@pytest.fixture(
    params=[
        name if name in LIGHT else pytest.param(name, marks=pytest.mark.slow)
        for name in APPLICATIONS
    ]
)
def network(request):
    keras.utils.set_random_seed(7)
    side = SIDES.get(request.param, 32)
    build = getattr(keras.applications, APPLICATIONS[request.param].function)
    model = build(weights=None, input_shape=(side, side, 3), classes=10)
    draw = np.random.default_rng(0)
    for layer in model.layers:
        # Statistics that are not those a layer starts with, so that folding has work to do.
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(draw.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(draw.uniform(0.5, 2, layer.moving_variance.shape))
    images = draw.uniform(0, 255, (ROWS, side, side, 3)).astype("float32")
    yield model, images
    del model
    keras.backend.clear_session()
    gc.collect()


def paths_of(model):
    """The paths of the weights, but for the count in the name of one that was given none."""
    return [re.sub(r"/variable(_\d+)?$", "/variable", each.path) for each in model.weights]


def weights_of(model):
    return [keras.ops.convert_to_numpy(each) for each in model.weights]


def relative(ours, theirs):
    return np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max()


def test_an_application_takes_normalization_and_dropout_everywhere_and_loses_nothing(network):
    model, images = network
    config, wanted = model.get_config(), np.asarray(model(images))
    new = insert(
        model,
        [
            Placement(
                layer="BatchNormalization", at="before_activation", where="hidden", calibrate=True
            ),
            Placement(layer="Dropout", rate=0.5, at="after_activation", where="hidden"),
        ],
        calibrate=images,
    )
    hosts = {site.host for site in sites(model, "hidden", at="after_activation")}
    for layer in ("BatchNormalization", "Dropout"):
        assert {each.host for each in inserted(new) if each.layer == layer} == hosts
    assert np.array_equal(new(images), wanted)
    assert model.get_config() == config
    in_graph = model.predict_on_batch(images)
    assert relative(new.predict_on_batch(images), in_graph) <= 1e-6
    plain = fold(model)
    assert relative(plain(images), wanted) <= 1e-5
    dropouts = [each.path for each in inserted(new) if each.layer == "Dropout"]
    folded = fold(remove(new, where=dropouts))
    assert folded.get_config() == plain.get_config()
    assert all(map(np.array_equal, weights_of(folded), weights_of(plain)))
    del folded, plain
    back = remove(new)
    assert back.get_config() == config
    assert paths_of(back) == paths_of(model)
    assert all(map(np.array_equal, weights_of(back), weights_of(model)))
    assert np.array_equal(back(images), wanted)
