"""Numbers and names as a reader gets them."""

from __future__ import annotations

import pytest

from ablate.report import formatting


def test_metric_titles():
    assert [
        formatting.metric_title(each)
        for each in ("test_accuracy", "val_loss", "train_mae", "out_accuracy")
    ] == ["test accuracy", "validation loss", "training MAE", "out accuracy"]


def test_decimals_follow_the_spread():
    scale = formatting.metric_scale("test_accuracy", [0.97, 0.98], [0.0045, 0.0032])
    assert (scale.value(0.96758), scale.difference(-0.0008)) == ("96.76", "−0.08")
    assert scale.interval(0.0092, 0.0131, sign=True) == "+0.92 to +1.31"
    assert (scale.unit, scale.difference_unit) == ("%", "points")
    loss = formatting.metric_scale("test_loss", [0.1, 0.2], [0.012])
    assert (loss.value(0.12345), loss.unit) == ("0.123", "")
    assert formatting.metric_scale("test_loss", [1234.5], [None]).value(1234.5) == "1234"
    assert formatting.metric_scale("test_loss", [], []).value(None) == "–"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (-0.001, "0.00"),
        (-0.01, "−0.01"),
        (1.5e9, "1.50e+09"),
        (-2e-9, "0.00"),
    ],
)
def test_fixed(number, text):
    assert formatting.fixed(number, 2) == text


def test_six_decimals_are_not_enough_for_a_billionth():
    assert formatting.fixed(-2e-9, 6) == "−2.00e-09"


def test_signed():
    assert [formatting.signed(each, 1) for each in (0.04, 0.5, -0.5, None)] == [
        "0.0", "+0.5", "−0.5", "–",
    ]  # fmt: skip


def test_figures():
    numbers = (0, 0.0123456, 1.234, 1234.5, 1e-6, -2e7, None)
    assert [formatting.figures(each) for each in numbers] == [
        "0", "0.0123", "1.23", "1234", "1.00e-06", "−2.00e+07", "–",
    ]  # fmt: skip


def test_durations():
    assert [formatting.duration(each) for each in (0.0381, 4.2, 200, 7500, None)] == [
        "38 ms", "4.20 s", "3 min 20 s", "2 h 5 min", "–",
    ]  # fmt: skip


def test_probabilities_and_lists():
    assert [formatting.probability(each) for each in (0.0001, 0.0123, 0.421, None)] == [
        "< 0.001", "0.012", "0.42", "–",
    ]  # fmt: skip
    assert formatting.listed(["a"]) == "a"
    assert formatting.listed("abc") == "a, b and c"
    assert formatting.listed("abcde", most=3) == "a, b and 3 more"
    assert (formatting.counted(1, "seed"), formatting.counted(2000, "seed")) == (
        "1 seed",
        "2,000 seeds",
    )
