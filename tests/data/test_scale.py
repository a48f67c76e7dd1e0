"""Each rule of scaling, against its formula."""

import numpy as np
import pytest

from ablate.data.scale import fit
from ablate.errors import DataError

IMAGES = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 2, 3) * 5


def test_auto_divides_uint8_by_255_and_the_digits_by_their_peak():
    np.testing.assert_array_equal(fit("auto", IMAGES).apply(IMAGES), IMAGES / np.float32(255))
    pixels = np.array([[0.0, 8.0, 16.0]], np.float32)
    np.testing.assert_array_equal(fit("auto", pixels, full_scale=16.0).apply(pixels), [[0, 0.5, 1]])
    assert fit("auto", pixels).words == "none"
    np.testing.assert_array_equal(fit("auto", pixels).apply(pixels), pixels)


def test_none_is_the_raw_values_as_float32():
    found = fit("none", IMAGES).apply(IMAGES)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, IMAGES)


def test_standard_is_per_feature():
    x = np.array([[1.0, 200.0, 5.0], [3.0, -200.0, 5.0]], np.float32)
    found = fit("standard", x)
    np.testing.assert_array_equal(found.apply(x), [[-1, 1, 0], [1, -1, 0]])
    np.testing.assert_array_equal(found.apply(np.array([[2.0, 0.0, 7.0]])), [[0, 0, 2]])


def test_standard_is_per_channel_for_images():
    scaled = fit("standard", IMAGES).apply(IMAGES)
    np.testing.assert_allclose(scaled.mean(axis=(0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=(0, 1, 2)), 1, rtol=1e-6)


def test_a_constant_feature_whose_mean_rounds_is_not_blown_up():
    x = np.full((1001, 1), 0.1, np.float32)
    assert np.abs(fit("standard", x).apply(x)).max() < 1e-6


def test_standard_of_a_large_mean_keeps_its_digits():
    x = (1e6 + np.arange(5.0))[:, None].astype(np.float32)
    np.testing.assert_allclose(
        fit("standard", x).apply(x)[:, 0], (np.arange(5) - 2) / np.sqrt(2), rtol=1e-6
    )


def test_unit_of_numbers_is_by_least_and_largest():
    x = np.array([[1.0, 7.0], [3.0, 7.0], [5.0, 7.0]], np.float32)
    np.testing.assert_array_equal(fit("unit", x).apply(x), [[0, 0], [0.5, 0], [1, 0]])
    assert fit("unit", IMAGES).words == "x/255"


def test_tokens_stay_integers():
    x = np.array([[1, 5, 0]], np.int32)
    assert fit("auto", x, tokens=True).apply(x) is x
    with pytest.raises(DataError, match="token numbers"):
        fit("standard", x, tokens=True)


def test_the_preprocessing_of_an_application():
    keras = pytest.importorskip("keras")
    photos = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype(np.uint8)
    expected = keras.applications.vgg16.preprocess_input(photos.astype(np.float32))
    for rule in ("auto", "application"):
        found = fit(rule, photos, application="vgg16")
        np.testing.assert_array_equal(found.apply(photos), expected)
        assert found.words == "the preprocessing of vgg16"
    # Grey or already scaled images are not what it takes: auto falls back, asking is refused.
    assert fit("auto", photos[..., :1], application="vgg16").words == "x/255"
    with pytest.raises(DataError, match="3 channels from 0 to 255"):
        fit("application", photos[..., :1], application="vgg16")
    with pytest.raises(DataError, match="the model is none"):
        fit("application", photos)
