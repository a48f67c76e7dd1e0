"""The sections of the probes: what they say, draw and list, from arrays made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ablate.report import probe_sections
from ablate.report.document import png
from ablate.report.probe_sections import measured
from ablate.report.probes.mistakes import contested
from ablate.study.schema.probes import PROBES

EPOCHS = np.array([0, 5, 10])
LAYERS = np.array(["dense1", "dense2"])


def histograms(stem: str) -> dict[str, np.ndarray]:
    return {
        f"counts/{stem}": np.ones((3, 4)),
        f"edges/{stem}": np.tile(np.linspace(0, 1, 5), (3, 1)),
    }


def arrays(probe: str, variant: str) -> dict[str, np.ndarray]:
    """What a probe of this name stores, with numbers that rise."""
    rise = np.array([0.1, 0.2, 0.4]) * (2 if variant == "bn" else 1)
    found: dict[str, np.ndarray] = {"epochs": EPOCHS, "layers": LAYERS}
    for layer in LAYERS:
        if probe == "activations":
            for side in ("input", "output"):
                for ordinal, share in enumerate(("p15", "p50", "p85")):
                    found[f"scalar/{layer}/{side}/{share}"] = rise + ordinal
                found[f"unit/{layer}/{side}"] = np.stack([rise, rise + 1, rise + 2], axis=1)
            found[f"scalar/{layer}/dead"] = rise
            found[f"scalar/{layer}/saturated"] = np.full(3, np.nan)
        elif probe == "batchnorm":
            for what in ("mean_gap", "variance_ratio"):
                found[f"scalar/{layer}/{what}"] = rise
            for what in ("gamma", "beta"):
                found[f"{what}/{layer}"] = np.stack([rise, rise], axis=1)
            found["scalar/mode_gap"] = rise
        elif probe == "gradients":
            for what in ("norm", "vanished"):
                found[f"scalar/{layer}/{what}"] = rise
            found["scalar/norm"] = rise
        elif probe == "covariate_shift":
            for what in ("relative", "cosine", "mean_shift"):
                found[f"scalar/{layer}/{what}"] = rise
        elif probe == "variance_shift":
            for what in ("shift", "dropout_ratio", "closed_form"):
                found[f"scalar/{layer}/{what}"] = 1 + rise
            found["feeds"] = np.array(["drop → bn"])
        elif probe == "perturbation":
            found["changes"], found["share"] = np.array(["all_scale"]), np.array(0.01)
            for side in ("input", "output"):
                found[f"scalar/all_scale/{layer}/{side}"] = rise
        elif probe == "dropout":
            for what in ("mean", "zero"):
                found[f"scalar/{layer}/{what}"] = rise
            found |= histograms(f"{layer}/unit_mean")
    if probe == "dropout":
        found["samples"], found["error"] = np.array([1, 10]), np.tile(rise[:2], (3, 1))
        found["scalar/scaled_error"] = found["scalar/averaged_entropy"] = rise
    if probe == "landscape":
        found["lengths"] = np.array([0.25, 4.0])
        for what in ("loss_low", "loss_high", "distance_low", "distance_high", "smoothness"):
            found[f"scalar/{what}"] = rise
    if probe == "fitted_curve":
        found["grid"], found["curve"] = np.linspace(-1, 1, 5), np.tile(np.arange(5.0), (3, 1))
        found["train_x"] = found["train_y"] = np.array([-1.0, 1.0])
    if probe == "mistakes":
        wrong = 1 if variant == "plain" else 0
        found |= {
            "label": np.array([0, 1]), "row": np.array([7, 9]),
            "class_names": np.array(["cat", "dog"]),
            "predicted": np.tile([wrong, 1], (3, 1)), "confidence": np.full((3, 2), 0.75),
            "confusion": np.tile([[1 - wrong, wrong], [0, 1]], (3, 1, 1)),
            "image": np.full((wrong, 4, 4, 1), 9, "uint8"),
            "image_row": np.zeros(wrong, int),
        }  # fmt: skip
    if probe == "inference":
        ways = ["inference", "precise_bn", "batch_1", "batch_16"]
        found = {"epochs": EPOCHS[-1:], "parts": np.array(["validation", "test"])}
        found |= {"ways": np.array(ways), "shift": np.array("test inputs shifted: invert 1")}
        for part in ("validation", "test"):
            for at, way in enumerate(ways):
                for score in ("accuracy", "nll", "brier", "ece"):
                    found[f"scalar/{part}/{way}/{score}"] = np.array([0.5 - 0.01 * at])
                counts = np.stack([np.full(15, 10.0), np.arange(15) / 2, np.arange(15) / 1.6])
                found[f"reliability/{part}/{way}"] = counts[None]
    return {f"{probe}/{key}": value for key, value in found.items()}


@pytest.fixture
def material(digits):
    def make(probe: str, **stored):
        results = tuple(replace(each, probes=(probe,)) for each in digits.results)
        variants = {each.id: each.variant for each in results}
        return replace(
            digits, results=results, arrays=lambda trial: arrays(probe, variants[trial]) | stored
        )

    return make


@pytest.mark.parametrize("probe", list(PROBES))
def test_every_probe_has_a_section_with_a_plot(probe, material):
    (section,) = probe_sections.sections(material(probe))
    assert section.name == f"probe-{probe.replace('_', '-')}"
    assert section.plots and section.text and "cannot be drawn" not in section.text[0]
    for plot in section.plots:
        assert plot.caption
        assert png(plot.figure, 20)[:4] == b"\x89PNG"


def test_averages_are_drawn_of_variants_that_have_them(material):
    data = material("dropout")
    bare = {key for key in arrays("dropout", "plain") if "/error" in key or "/scalar/scaled" in key}
    variants = {each.id: each.variant for each in data.results}

    def stored(trial):
        found = arrays("dropout", variants[trial])
        if variants[trial] != "plain":
            return found
        return {key: each for key, each in found.items() if key not in bare}

    (section,) = probe_sections.sections(replace(data, arrays=stored))
    (averages,) = [plot for plot in section.plots if plot.name == "probe-dropout-averages"]
    drawn = averages.figure.axes[0].get_legend_handles_labels()[1]
    assert not [label for label in drawn if label.startswith("plain")] and drawn


def test_a_dropout_that_feeds_a_normalization_is_warned_of(material):
    (section,) = probe_sections.sections(material("variance_shift"))
    assert "In plain a Dropout feeds a BatchNormalization: drop → bn." in section.text


def test_rows_on_which_variants_differ_are_listed(material):
    (section,) = probe_sections.sections(material("mistakes"))
    (table,) = section.tables
    assert table.rows[0][:3] == ("7", "cat", "dog, 75 %, 5 of 5")
    assert len(table.rows) == 1
    (found,) = measured(material("mistakes"), "mistakes")
    assert contested(found)[0].wrong == {"plain": 5, "bn": 0, "dropout": 0, "both": 0}


def test_ways_of_inference_are_compared_with_plain_inference_seed_by_seed(material):
    data = material("inference")
    variants = {each.id: (each.variant, each.seed) for each in data.results}

    def stored(trial):
        variant, seed = variants[trial]
        found = arrays("inference", variant)
        key = "inference/scalar/test/batch_1/nll"
        return found | {key: found[key] + 0.001 * seed}

    (section,) = probe_sections.sections(replace(data, arrays=stored))
    assert section.text[-1] == (
        "Test inputs shifted: invert 1; the validation rows are as they were."
    )
    of_test = next(each for each in section.tables if each.name == "probe-inference-test")
    plain, precise, single, _ = of_test.rows[:4]
    assert plain[:4] == ("plain", "as Keras predicts", "50.00", "0.5000")
    assert precise[1:3] == ("precise BN", "49.00 (−1.00)")  # no spread: no interval
    # Seeds 0 to 4: differences −.02 to −.016, their deviation .00158, t(4) = 2.776.
    assert single[3] == "0.4820 (−0.0180; −0.0200 to −0.0160)"
    assert len(of_test.rows) == 4 * 4 and of_test.marks[:2] == ("baseline", "")


def test_a_probe_asked_for_twice_is_drawn_twice(material):
    again = {
        key.replace("landscape/", "landscape_2/"): value
        for key, value in arrays("landscape", "plain").items()
    }
    (section,) = probe_sections.sections(material("landscape", **again))
    assert [plot.name for plot in section.plots] == ["probe-landscape", "probe-landscape_2"]


def test_a_seed_that_ended_early_leaves_gaps(digits):
    short = {"p/epochs": np.array([0]), "p/scalar/a": np.array([1.0])}
    long = {"p/epochs": np.array([0, 5]), "p/scalar/a": np.array([2.0, 3.0])}
    results = tuple(replace(each, probes=("p",)) for each in digits.results[:2])
    material = replace(
        digits, results=results, arrays=lambda trial: short if trial == results[0].id else long
    )
    (found,) = measured(material, "p")
    variant = results[0].variant
    np.testing.assert_array_equal(found.epochs(variant), [0, 5])
    np.testing.assert_array_equal(found.series(variant, "scalar/a"), [[1, np.nan], [2, 3]])


def test_images_for_tensorboard_are_of_a_trial(digits):
    names = ("activations", "fitted_curve", "inference", "mistakes")
    result = replace(digits.results[0], probes=names)
    stored = {
        **arrays("activations", "plain"),
        **arrays("fitted_curve", "plain"),
        **arrays("inference", "plain"),
        **arrays("mistakes", "plain"),
    }
    found = probe_sections.illustrate(result, stored)
    assert set(found) == {
        ("activations/percentiles", 10),
        ("fitted_curve/curve", 0), ("fitted_curve/curve", 5), ("fitted_curve/curve", 10),
        ("inference/reliability", 10), ("mistakes/confusion", 10), ("mistakes/wrong", 10),
    }  # fmt: skip
    assert all(content[:4] == b"\x89PNG" for content in found.values())
    assert probe_sections.illustrate(result, {}) == {}
