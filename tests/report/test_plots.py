"""The plots: which ones a study has, what they show, and that they show it again the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ablate.report.lines import GREY, PALETTE, line_style
from ablate.report.names import fitted_names
from ablate.report.plots import draw
from ablate.report.plots.curves import MOST_PANELS, curves, mean_and_band, stack
from ablate.report.plots.effects import effects, factor_effects, values
from ablate.report.plots.failures import failures
from ablate.report.plots.interactions import interactions
from ablate.report.plots.response import learning_rates
from ablate.report.plots.theme import panels, plain_log
from tests.report.studies import BN, arm, factorial, rates, report_of, result, study


def names(plots):
    return [each.name for each in plots]


def texts(plot):
    return [
        each.get_text()
        for each in plot.figure.findobj(match=lambda each: hasattr(each, "get_text"))
    ]


def test_a_study_has_the_plots_it_has_something_for(digits, drawn):
    assert names(drawn) == [
        "effects",
        "values",
        "curve-loss",
        "curve-accuracy",
        "gaps",
        "costs",
    ]
    assert {"factor-effects", "interactions"} < set(names(draw(factorial(3))))
    lost = study(status=lambda variant, seed: "failed")
    assert names(draw(lost)) == ["failures", "curve-loss", "curve-accuracy"]
    assert names(draw(study(status=lambda variant, seed: None))) == []


def seed_marks(plot):
    return [line.get_xdata() for line in plot.figure.axes[0].lines if len(line.get_xdata()) == 5]


def test_every_seed_is_a_mark(digits):
    summaries = [
        digits.analysis.variant(name).metrics["test_accuracy"] for name in digits.by_effect
    ]
    expected = [np.array(list(each.values.values())) * 100 for each in summaries]
    np.testing.assert_allclose(seed_marks(values(digits)[0]), expected)
    compared = [digits.analysis.effect(name) for name in ["both", "bn", "dropout"]]
    expected = [np.array(list(each.differences.values())) * 100 for each in compared]
    np.testing.assert_allclose(seed_marks(effects(digits)[0]), expected)


def test_a_diamond_is_filled_only_where_holm_lets_it(digits):
    (plot,) = effects(digits)
    diamonds = [line for line in plot.figure.axes[0].lines if line.get_markersize() == 6.5]
    filled = [line.get_markerfacecolor() != "white" for line in diamonds]
    assert filled == [digits.analysis.effect(name).verdict != "inconclusive"
                      for name in ("both", "bn", "dropout")]  # fmt: skip
    assert filled == [True, True, False]


def test_a_variant_that_lost_everything_keeps_its_row():
    material = study(status=lambda variant, seed: "failed" if variant == "bn" else "completed")
    (plot,) = values(material)
    assert "none completed, 5 lost" in texts(plot)


def test_one_seed_draws_no_interval():
    (plot,) = effects(study(seeds=1))
    for axis in plot.figure.axes:
        assert not [line for line in axis.lines if line.get_linewidth() == 1.8]


def test_the_band_is_a_standard_deviation_within_the_seeds_range():
    values = np.array([[0.1, 0.5, 0.7], [0.2, 0.6, np.nan], [0.6, 0.4, np.nan]])
    mean, low, high = mean_and_band(values)
    np.testing.assert_allclose(mean[:2], [0.3, 0.5])
    np.testing.assert_allclose(high[:2], values.mean(axis=0)[:2] + values.std(axis=0, ddof=1)[:2])
    # The mean less a deviation (0.035) lies below every seed.
    np.testing.assert_allclose(low[:2], [0.1, 0.4])
    # One trial of three that goes on is no mean of the three.
    assert np.isnan([mean[2], low[2], high[2]]).all()


def test_two_seeds_have_a_mean_and_no_band():
    mean, low, _ = mean_and_band(np.array([[1.0, 2.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(mean, [2.0, 3.0])
    assert np.isnan(low).all()


def test_curves_of_unequal_length_are_stacked_with_gaps(digits):
    short, long = digits.results[0], digits.results[1]
    cut = type(short)(**{**vars(short), "curves": {"loss": [None, 1.0]}})
    found = stack([cut, long], "loss")
    assert found.shape == (2, 21)
    assert np.isnan(found[0, [0, *range(2, 21)]]).all() and found[0, 1] == 1.0
    assert stack([cut], "val_loss").shape == (0, 0)


def test_many_variants_get_a_panel_each_up_to_a_limit():
    few = study({f"v{index}": ([], 0, {"epochs": index + 1}) for index in range(6)}, seeds=2)
    loss = next(each for each in curves(few) if each.name == "curve-loss")
    assert len([each for each in loss.figure.axes if each.get_visible()]) == 6
    many = {f"v{index}": ([], 0.001 * index, {"epochs": index + 1}) for index in range(20)}
    loss = curves(study(many, seeds=3))[0]
    assert len([each for each in loss.figure.axes if each.get_visible()]) == MOST_PANELS
    assert "Of 20 variants, the 12 furthest from the baseline" in loss.caption


def test_a_study_without_epochs_has_no_curves():
    assert curves(study(epochs=0, seeds=2)) == []


def test_interaction_lines_are_means_over_the_other_factors():
    material = factorial()
    (plot,) = interactions(material)
    line = next(each for each in plot.figure.axes[0].lines if each.get_label() == "dropout=on")
    means = [
        material.analysis.variant(f"bn={bn},dropout=on").metrics["test_accuracy"].mean * 100
        for bn in ("off", "on")
    ]
    np.testing.assert_allclose(line.get_ydata(), means)


def test_factor_effects_name_their_rows():
    (plot,) = factor_effects(factorial())
    assert [each.get_text() for each in plot.figure.axes[0].get_yticklabels()] == [
        "bn", "dropout", "bn × dropout",
    ]  # fmt: skip


def test_the_learning_rate_plot_has_a_line_per_family_and_marks_the_lost():
    (plot,) = learning_rates(rates())
    axis = plot.figure.axes[0]
    assert axis.get_xscale() == "log"
    assert axis.get_legend_handles_labels()[1] == ["plain", "bn"]
    crosses = [line for line in axis.lines if line.get_marker() == "x"]
    assert [line.get_xdata()[0] for line in crosses] == [0.5, 1.0]
    assert [each.get_text() for each in axis.texts] == ["2", "2"]
    assert learning_rates(study(seeds=2)) == []


def test_failures_add_up_to_the_trials_planned():
    outcomes = {("bn", 0): "diverged", ("bn", 3): "failed", ("both", 1): None}
    material = study(status=lambda variant, seed: outcomes.get((variant, seed), "completed"))
    (plot,) = failures(material)
    lengths = {}
    for bar in plot.figure.axes[0].patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        lengths[row] = lengths.get(row, 0) + bar.get_width()
    assert lengths == {0: 5, 1: 5, 2: 5, 3: 5}


def test_the_same_numbers_give_the_same_file(digits):
    first, second = effects(digits)[0], effects(digits)[0]
    assert first.svg == second.svg


def test_the_baseline_alone_is_black():
    assert line_style(0).colour == PALETTE[0] == "#000000"
    assert "#000000" not in {line_style(index).colour for index in range(1, 40)}
    near = [(line_style(index).colour, line_style(index).marker) for index in range(36)]
    assert len(set(near)) > 18  # colour and marker together tell far more than seven apart


def test_long_names_lose_what_they_share_and_stay_apart():
    long = [f"a-very-long-common-beginning-of-names-{index:02d}" for index in range(12)]
    fitted = fitted_names(long)
    assert fitted[long[3]] == "…03"
    assert len(set(fitted.values())) == 12
    odd = fitted_names(["x" * 64, "y"])
    assert max(len(line) for line in odd["x" * 64].split("\n")) <= 60


@pytest.mark.parametrize("name", ["$x$ 50% {a}", "a_b^c", "\\alpha"])
def test_names_are_no_formulas(name):
    material = study({"plain": ([], 0, {}), name: ([BN], 0.01, {})}, seeds=3)
    (plot,) = effects(material)
    assert b"<svg" in plot.svg
    assert name in texts(plot)


def test_the_most_telling_keep_their_order_and_the_baseline():
    many = {f"v{index}": ([], 0.002 * index, {"epochs": index + 1}) for index in range(6)}
    material = study(many, seeds=3)
    assert material.most_telling(list(many), 3) == ["v0", "v4", "v5"]


def test_a_metric_that_is_no_share_has_no_percent():
    one, two = arm("one", [], {}), arm("two", [BN], {})
    results = [
        type(each)(**{**vars(each), "metrics": {"test_loss": 1.0 + 0.1 * each.seed}})
        for each in (result(part, seed, 0) for part in (one, two) for seed in range(3))
    ]
    material = report_of([one, two], results, seeds=range(3))
    assert values(material)[0].figure.axes[0].get_xlabel() == "Test loss"
    assert effects(material)[0].figure.axes[0].get_xlabel() == "Difference · ← better"


def test_many_variants_are_sorted_by_effect_and_the_undecided_are_grey():
    worth = [0.0, *(0.02 if place == 3 else 0.0 for place in range(13))]
    many = {f"v{place}": ([], each, {"epochs": place + 1}) for place, each in enumerate(worth)}
    material = study(many)
    (plot,) = effects(material)
    axis = plot.figure.axes[0]
    assert axis.get_yticklabels()[0].get_text() == "v4"
    means = [material.analysis.effect(each.get_text()).mean for each in axis.get_yticklabels()]
    assert means == sorted(means, reverse=True)
    colours = {each.get_color() for each in axis.lines if each.get_markersize() == 6.5}
    assert colours == {GREY, line_style(4).colour}


def test_a_trial_that_diverged_at_once_is_a_mark_in_its_panel(digits):
    short = [
        type(each)(**{**vars(each), "curves": {"loss": [None, 2.0], "val_loss": [2.0, None]}})
        if each.variant == "bn" else each
        for each in digits.results
    ]  # fmt: skip
    material = replace(digits, results=short)
    loss = next(each for each in curves(material) if each.name == "curve-loss")
    lines = [each for each in loss.figure.axes[0].lines if each.get_label() == "bn"]
    assert lines and lines[0].get_marker() == line_style(1).marker


def test_a_closer_look_holds_every_mean(digits):
    plot = next(each for each in curves(digits) if each.name == "curve-accuracy")
    below = plot.figure.axes[2:]
    assert [each.get_title(loc="left") for each in below] == ["The last half, closer"] * 2
    for axis in below:
        low, high = axis.get_ylim()
        means = [each.get_ydata()[10:] for each in axis.lines if each.get_label() in digits.order]
        assert len(means) == 4 and low <= np.min(means) and np.max(means) <= high


def test_a_mean_that_leaves_the_axes_is_marked():
    values_ = [[None, 1.0, 0.9, 0.0, 0.7, 0.6, 0.5, 0.4] * 6, [None, 0.9] + [1e9] + [0.9] * 45]
    one = arm("one", [], {})
    results = [
        type(each)(**{**vars(each), "curves": {"loss": values_[each.seed]}})
        for each in (result(one, seed, 0) for seed in range(2))
    ]
    (plot,) = curves(report_of([one], results, seeds=range(2)))
    assert [each.get_marker() for each in plot.figure.axes[0].lines].count("^") == 1
    assert "5.00e+08" in texts(plot)


def test_ticks_at_tried_rates_keep_apart():
    rates = [0.001, 0.0011, 0.01, 0.09, 0.1, 1.0]
    _, (axis,) = panels()
    axis.set_xscale("log")
    plain_log(axis.xaxis, rates)
    np.testing.assert_allclose(axis.get_xticks(), [0.001, 0.01, 0.09, 1.0])
