import numpy as np
import pytest

from ablate.probes import statistics as s


def test_percentiles_are_numpys(rng):
    values = rng.normal(size=(7, 3)).astype("float32")
    found = s.percentiles(s.sorted_finite(values))
    np.testing.assert_allclose(found, np.percentile(values, [15, 50, 85]), rtol=1e-6)


def test_histograms_are_numpys(rng):
    values = rng.integers(0, 7, 50).astype("float32")
    counts, edges = s.histogram(s.sorted_finite(values), 6)
    expected, expected_edges = np.histogram(values, 6)
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_allclose(edges, expected_edges)


def test_one_value_still_has_a_histogram():
    counts, edges = s.histogram(s.sorted_finite(np.full(4, 2.0)), 4)
    assert counts.sum() == 4
    assert (edges[0], edges[-1]) == (1.5, 2.5)


def test_what_is_not_finite_is_left_out():
    found = s.sorted_finite(np.array([[np.nan, 2.0], [np.inf, -np.inf], [1.0, np.nan]]))
    assert found.tolist() == [1.0, 2.0]
    nothing = s.sorted_finite(np.array([np.nan]))
    assert np.isnan(s.percentiles(nothing)).all()
    assert np.isnan(s.histogram(nothing, 3)[1]).all()


def test_a_unit_is_dead_if_it_gives_zero_everywhere():
    images = np.zeros((2, 2, 2, 3))
    images[1, 0, 1, 0] = 1.0
    assert s.dead_share(images) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("activation", "outputs", "share"),
    [
        ("sigmoid", [0.04, 0.5, 0.96, 0.9], 0.5),
        ("tanh", [-0.95, 0.0, 0.89, 1.0], 0.5),
        ("relu6", [0.0, 5.9, 6.0, 1.0], 0.5),
    ],
)
def test_values_near_a_bound_are_saturated(activation, outputs, share):
    assert s.saturated_share(np.array(outputs), activation) == share


def test_without_bounds_nothing_saturates():
    assert np.isnan(s.saturated_share(np.array([1e9]), "relu"))


def test_a_relative_change_is_of_norms():
    assert s.relative_change(np.array([3.0, 4.0]), np.array([3.0, 4.5])) == pytest.approx(0.1)
    assert np.isnan(s.relative_change(np.zeros(2), np.ones(2)))
