from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ablate.analysis import analyze
from ablate.analysis.effects import FactorEffect
from ablate.analysis.factorial import (
    Contrast,
    all_contrasts,
    contrast_by_seed,
    factor_effects,
    factor_levels,
)
from ablate.analysis.sentences import sentence, subject
from tests.analysis.simulated import arm, context, study

LEVELS = {"bn": ("off", "on"), "dropout": ("off", "on")}


def effects(
    values: dict[str, list[float | None]], levels: dict[str, tuple[str, ...]]
) -> dict[str, FactorEffect]:
    resolved = []
    for cell in product(*levels.values()):
        factors = dict(zip(levels, cell, strict=True))
        name = ",".join(f"{key}={value}" for key, value in factors.items())
        resolved.append(arm(name, factors=factors, origin="factorial"))
    found = factor_effects(context(study(values), resolved, baseline=resolved[0].name))
    return {each.name: each for each in found}


def two_by_two(seeds: int = 5) -> dict[str, list[float]]:
    rng = np.random.default_rng(1)
    return {
        f"bn={bn},dropout={dropout}": list(rng.normal(0.9, 0.01, seeds))
        for bn, dropout in product(*LEVELS.values())
    }


def test_two_by_two_by_hand_and_against_scipy() -> None:
    values = two_by_two()
    y00, y01, y10, y11 = (np.array(each) for each in values.values())
    by_hand = {
        "bn": (y10 + y11 - y00 - y01) / 2,
        "dropout": (y01 + y11 - y00 - y10) / 2,
        "bn × dropout": y11 - y10 - y01 + y00,
    }
    found = effects(values, LEVELS)  # type: ignore[arg-type]
    assert list(found) == list(by_hand)
    for name, differences in by_hand.items():
        expected = stats.ttest_1samp(differences, 0)
        each = found[name]
        assert list(each.differences.values()) == pytest.approx(differences, rel=1e-9)
        assert each.p == pytest.approx(expected.pvalue, rel=1e-8)
        assert (each.low, each.high) == pytest.approx(tuple(expected.confidence_interval()))
        assert each.family_size == 3
    assert found["bn × dropout"].order == 2
    assert found["bn × dropout"].levels == ("on", "on")
    assert found["bn × dropout"].references == ("off", "off")


def test_a_seed_counts_when_it_completed_every_cell() -> None:
    values: dict[str, list[float | None]] = {k: list(v) for k, v in two_by_two().items()}
    values["bn=on,dropout=on"][3] = None
    assert {each.n for each in effects(values, LEVELS).values()} == {4}
    values["bn=on,dropout=on"] = [None] * 5
    missing = effects(values, LEVELS)["bn"]
    assert (missing.n, missing.verdict) == (0, "missing")
    assert missing.missing_cells == ("bn=on,dropout=on",)


def test_more_than_two_levels_are_held_against_the_first() -> None:
    levels = {"lr": ("low", "mid", "high"), "bn": ("off", "on")}
    rng = np.random.default_rng(2)
    values = {
        f"lr={lr},bn={bn}": list(rng.normal(0.9, 0.01, 3)) for lr, bn in product(*levels.values())
    }
    found = effects(values, levels)  # type: ignore[arg-type]
    assert list(found) == ["lr=mid", "lr=high", "bn", "lr=mid × bn", "lr=high × bn"]
    table = np.array(list(values.values())).T.reshape(3, 3, 2)
    expected = (table[:, 2] - table[:, 0]).mean(axis=1)
    assert list(found["lr=high"].differences.values()) == pytest.approx(expected)
    interaction = table[:, 1, 1] - table[:, 1, 0] - table[:, 0, 1] + table[:, 0, 0]
    assert list(found["lr=mid × bn"].differences.values()) == pytest.approx(interaction)


def test_a_level_that_never_completed_takes_nothing_from_the_other_levels() -> None:
    levels = {"lr": ("low", "mid", "high"), "bn": ("off", "on")}
    values: dict[str, list[float | None]] = {
        f"lr={lr},bn={bn}": [0.9, 0.91, 0.92] for lr, bn in product(*levels.values())
    }
    values["lr=high,bn=on"] = [None] * 3
    values["lr=mid,bn=on"][2] = None
    found = effects(values, levels)
    assert {name: (each.n, each.missing_cells) for name, each in found.items()} == {
        "lr=mid": (2, ()),
        "lr=high": (0, ("lr=high,bn=on",)),
        "bn": (0, ("lr=high,bn=on",)),
        "lr=mid × bn": (2, ()),
        "lr=high × bn": (0, ("lr=high,bn=on",)),
    }
    # Each cell was completed by some seed, and yet none completed them all.
    values = {f"lr={lr},bn={bn}": [0.9, 0.9] for lr, bn in product(*levels.values())}
    values["lr=mid,bn=on"], values["lr=low,bn=off"] = [None, 0.9], [0.9, None]
    missing = effects(values, levels)["lr=mid"]
    assert (missing.n, missing.missing_cells) == (0, ())
    assert sentence(missing, subject(missing), 0.95).endswith(
        ": not estimated, as no seed completed every cell of it"
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(2, 3), min_size=3, max_size=4), st.integers(0, 99))
def test_contrasts_find_the_effects_that_made_the_table(sizes: list[int], seed: int) -> None:
    """Every contrast is the signed sum of cell means, whatever the number of levels."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(2, *sizes))
    for contrast in all_contrasts(sizes):
        signs = product((0, 1), repeat=len(contrast.factors))
        expected = np.zeros(2)
        for sign in signs:
            index: list[object] = [slice(None)] * (len(sizes) + 1)
            for factor, level, on in zip(contrast.factors, contrast.levels, sign, strict=True):
                index[factor + 1] = level if on else 0
            cell = table[tuple(index)].reshape(2, -1).mean(axis=1)
            expected += cell * (-1) ** (len(sign) - sum(sign))
        np.testing.assert_allclose(contrast_by_seed(table, contrast), expected, atol=1e-12)


def test_all_contrasts_go_up_to_order_three() -> None:
    orders = [len(each.factors) for each in all_contrasts([2, 2, 2, 2])]
    assert orders == [1] * 4 + [2] * 6 + [3] * 4
    assert list(all_contrasts([3])) == [Contrast((0,), (1,)), Contrast((0,), (2,))]


def test_studies_without_factors_have_no_factor_effects() -> None:
    alone = context(study({"plain": [0.9]}), [arm("plain")])
    assert factor_levels(alone.table) == {}
    assert factor_effects(alone) == []


def grid(value, levels: dict[str, tuple[str, ...]], seeds: int = 6, sd: float = 0.002):
    """Return the analysis of a full factorial whose cells are `value(**levels)` and noise."""
    rng = np.random.default_rng(2)
    resolved, values = [], {}
    for cell in product(*levels.values()):
        factors = dict(zip(levels, cell, strict=True))
        name = ",".join(f"{key}={level}" for key, level in factors.items())
        resolved.append(arm(name, factors=factors, origin="factorial"))
        values[name] = list(value(**factors) + rng.normal(0, sd, seeds))
    return analyze(study(values), resolved, resolved[0].name), values


def test_a_factor_of_numbers_has_the_trend_of_least_squares() -> None:
    levels = {"rate": ("0", "0.2", "0.5"), "bn": ("off", "on")}
    analysis, values = grid(lambda rate, bn: 0.9 - 0.04 * float(rate), levels)
    found = next(each for each in analysis.factor_effects if each.name == "rate (trend)")
    means = np.array([[np.mean([values[f"rate={r},bn={b}"][s] for b in ("off", "on")])
                       for r in levels["rate"]] for s in range(6)])  # fmt: skip
    slopes = [stats.linregress([0, 0.2, 0.5], row).slope * 0.5 for row in means]
    assert list(found.differences.values()) == pytest.approx(slopes)
    assert (found.trend, found.verdict, found.averaged_over) == ("linear", "worse", ("bn",))
    assert "along rate from 0 to 0.5, averaged over bn: test accuracy −2." in found.words
    assert found.words.endswith(": worse towards 0.5")
    assert analysis.answer[0].startswith(
        "Main effects, each averaged over the other factors, on test accuracy: rate from 0 to 0.5 ("
    )
    assert "rate=0.2" not in analysis.answer[0]


def test_a_trend_over_decades_is_one_of_logarithms() -> None:
    levels = {"lr": ("0.001", "0.01", "0.1"), "bn": ("off", "on")}
    analysis, _ = grid(lambda lr, bn: 0.9 + 0.01 * np.log10(float(lr)), levels)
    found = analysis.factor_effects[0]
    assert (found.name, found.trend) == ("lr (trend)", "log")
    assert found.mean == pytest.approx(0.02, abs=0.002)


def test_levels_that_leave_their_line_have_no_trend() -> None:
    worth = {"2": 0.90, "8": 0.93, "32": 0.91, "256": 0.74}
    levels = {"batch": tuple(worth), "bn": ("off", "on")}
    analysis, _ = grid(lambda batch, bn: worth[batch], levels)
    assert all(each.trend is None for each in analysis.factor_effects)
    assert "batch=256" in analysis.answer[0]


def test_words_and_two_numbers_have_no_trend() -> None:
    for own in (("low", "mid", "high"), ("0.1", "0.2"), ("0.1", "none", "0.3")):
        analysis, _ = grid(lambda lr, bn: 0.9, {"lr": own, "bn": ("off", "on")})
        assert all(each.trend is None for each in analysis.factor_effects)


def test_beside_an_interaction_stand_the_simple_effects() -> None:
    def value(bn, dropout):
        return 0.9 + 0.03 * (bn == "on") - 0.05 * (bn == "on") * (dropout == "on")

    analysis, values = grid(value, LEVELS)
    found = {each.name: each for each in analysis.simple_effects}
    assert set(found) == {
        "bn at dropout=off", "bn at dropout=on", "dropout at bn=off", "dropout at bn=on",
    }  # fmt: skip
    one = found["bn at dropout=on"]
    cells = (values["bn=on,dropout=on"], values["bn=off,dropout=on"])
    expected = np.subtract(*cells)
    assert list(one.differences.values()) == pytest.approx(list(expected))
    assert (one.verdict, one.within, one.family_size) == ("worse", ("dropout=on",), 4)
    assert analysis.answer[0].startswith("Effects averaged over the other factors, on test")
    assert any(each.startswith("An average may hold at no level") for each in analysis.answer)


def test_without_an_interaction_there_are_no_simple_effects() -> None:
    analysis, _ = grid(lambda bn, dropout: 0.9 + 0.03 * (bn == "on"), LEVELS)
    assert analysis.simple_effects == ()
    assert analysis.answer[0].startswith(
        "Main effects, each averaged over the other factors, on test accuracy: bn=on (against "
    )
