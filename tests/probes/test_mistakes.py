import numpy as np
import pytest
from keras import layers as L

from ablate.errors import StudyError
from ablate.probes import make
from ablate.probes.mistakes import as_bytes

X = np.zeros((3, 2, 2, 1))
X[0, 0, 0] = 1.0  # class 0 by its first pixel
X[1, 0, 1] = 1.0  # class 1 by its second
X[2, 0, 1] = 0.5


@pytest.fixture
def probed(chain, context):
    model = chain((2, 2, 1), L.Flatten(), L.Dense(2, "softmax", use_bias=False, name="out"))
    model.get_layer("out").kernel.assign([[4.0, 0.0], [0.0, 4.0], [0, 0], [0, 0]])
    probe = make("mistakes")
    probe.start(context(model, X, np.array([0, 1, 0]), task="classification", classes=2))
    return probe


def test_predictions_and_confusion_by_hand(probed):
    found = probed.measure(0)
    assert found["predicted"].tolist() == [0, 1, 1]
    sure = 1 / (1 + np.exp([-4.0, -4.0, -2.0]))
    np.testing.assert_allclose(found["confidence"], sure, rtol=1e-6)
    assert found["confusion"].tolist() == [[1, 1], [0, 1]]
    assert found["scalar/error"] == pytest.approx(1 / 3)


def test_only_what_is_wrong_is_kept_as_an_image(probed):
    probed.measure(0)
    left = probed.finish()
    assert left["image_row"].tolist() == [2]
    assert left["image"][0, :, :, 0].tolist() == [[0, 128], [0, 0]]
    assert left["row"].tolist() == [100, 101, 102]
    assert left["class_names"].tolist() == ["0", "1"]


def test_large_images_are_thinned_out(rng):
    images = rng.normal(size=(2, 100, 50, 3))
    assert as_bytes(images, np.array([1]), 25).shape == (1, 25, 13, 3)


def test_numbers_have_no_classes(chain, context):
    with pytest.raises(StudyError, match="'mistakes' compares predicted with true classes"):
        make("mistakes").start(context(chain((1,), L.Dense(1)), np.zeros((2, 1))))
