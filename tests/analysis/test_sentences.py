from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.analysis import analyze
from ablate.analysis.crossed import Crossed
from ablate.analysis.formatting import amount, figure, interval, listing, p_words, plural, pretty
from ablate.analysis.sentences import estimate
from ablate.study.schema.analysis import Analysis as Settings
from tests.analysis.simulated import BN, DROPOUT, arm, noisy, study

ARMS = [arm("plain"), arm("bn", insert=[BN]), arm("dropout", insert=[DROPOUT])]
PLAIN = np.array(noisy(0.94, 0.005, 5, 0))


def shifted(*by: float) -> list[float]:
    """Return the baseline's values, each moved by its own amount."""
    return [float(value) + each for value, each in zip(PLAIN, by, strict=False)]


def test_names_numbers_and_lists_read_as_words() -> None:
    assert pretty("val_accuracy") == "validation accuracy"
    assert pretty("test_mae") == "test MAE"
    assert pretty("gap_loss") == "train-minus-test loss"
    assert (plural(1, "seed"), plural(0, "seed")) == ("1 seed", "0 seeds")
    assert [listing(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert (p_words(0.0004), p_words(0.012)) == ("p < 0.001", "p = 0.012")


@pytest.mark.parametrize(
    ("metric", "value", "scale", "difference", "text"),
    [
        ("test_accuracy", 0.97234, 0.004, False, "97.2 %"),
        ("test_accuracy", 0.012, 0.004, True, "1.2 points"),
        ("test_accuracy", -0.00012, 0.0004, True, "−0.01 points"),
        ("test_accuracy", -0.00001, 0.004, True, "0.0 points"),
        ("test_loss", 0.31234, 0.02, False, "0.312"),
        ("test_loss", 123.4, 12, False, "123"),
        ("test_loss", 0.0, None, False, "0.0"),
        ("collapse_rate", 0.2, None, False, "20.0 %"),
    ],
)
def test_amounts_have_the_digits_that_the_spread_supports(
    metric: str, value: float, scale: float | None, difference: bool, text: str
) -> None:
    assert amount(metric, value, scale, difference=difference) == text


def test_intervals_share_their_decimals() -> None:
    assert interval("test_accuracy", 0.008, 0.016, difference=True) == "+0.8 to +1.6"
    assert interval("test_accuracy", 0.93, 0.97) == "93.0 to 97.0 %"
    assert interval("test_loss", -0.02, 0.1) == "−0.020 to 0.100"
    assert interval("test_loss", -0.02, 0.1, difference=True) == "−0.020 to +0.100"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.0004, 0.016, "+0.04 to +1.6"),
        (-0.016, -0.00004, "−1.6 to −0.004"),
        (0.0, 0.016, "0.0 to +1.6"),  # exactly
        (1e-9, 0.016, "just above 0 to +1.6"),
    ],
)
def test_an_end_that_is_not_zero_is_not_written_as_zero(low: float, high: float, text: str) -> None:
    assert interval("test_accuracy", low, high, difference=True) == text


@given(st.floats(-1e6, 1e6), st.floats(1e-9, 1e6))
def test_every_figure_is_the_number_it_tells(value: float, scale: float) -> None:
    text = figure("test_loss", value, scale).replace("−", "-")
    assert float(text) == pytest.approx(value, abs=max(scale, 1e-6))


def answer(values: dict[str, list[float | None]], **more: object) -> tuple[str, ...]:
    resolved = [each for each in ARMS if each.name in values]
    return analyze(study(values), resolved, "plain", **more).answer  # type: ignore[arg-type]


ROWS = "on these 360 test rows."


def test_the_report_opens_with_each_difference_and_what_its_interval_covers() -> None:
    values = {
        "plain": list(PLAIN),
        "dropout": shifted(0.004, -0.005, 0.003, -0.002, 0.001),
        "bn": shifted(0.011, 0.013, 0.012, 0.010, 0.014),
    }
    assert answer(values) == (
        "Test accuracy against plain: bn (BN before the activation) +1.2 points (95 % interval "
        "+1.0 to +1.4, 5 seeds): better; dropout (Dropout 0.5 after the activation of Dense) 0.0 "
        "points (−0.4 to +0.5, 5 seeds): inconclusive.",
        "Inconclusive is not equivalent: 5 seeds would probably have shown 0.8 points or more, and "
        "a difference of zero as equivalent within 0.7 points, had such a margin been set "
        "(analysis.margin; 80 % power).",
        f"The intervals cover initialization and batch order, {ROWS}",
        "All 15 trials completed.",
    )
    analysis = analyze(study(values), ARMS, "plain", Settings(margin=0.003))  # type: ignore[arg-type]
    effect = analysis.effect("dropout")
    assert effect is not None
    assert analysis.answers["power"] == (
        "Inconclusive is not equivalent: 5 seeds would probably have shown 0.8 points or more; to "
        "show a difference of zero equivalent within the margin of 0.3 points would take about "
        f"{effect.equivalence_seeds} seeds (80 % power).",
    )


def test_with_a_margin_a_variant_can_be_equivalent() -> None:
    values = {
        "plain": list(PLAIN),
        "bn": shifted(0.011, 0.013, 0.012, 0.010, 0.014),
        "dropout": shifted(0.0004, -0.0005, 0.0003, -0.0002, 0.0012),
    }
    resolved = ARMS
    analysis = analyze(study(values), resolved, "plain", Settings(margin=0.005))  # type: ignore[arg-type]
    assert analysis.answer[0].endswith("5 seeds): equivalent within 0.5 points.")
    effect = analysis.effect("dropout")
    assert effect is not None
    assert effect.margin == 0.005
    assert effect.words.endswith("corrected): equivalent within 0.5 points")
    near = shifted(0.0011, 0.0013, 0.0012, 0.0010, 0.0014)
    near_effect = analyze(
        study(values | {"dropout": near}),
        resolved,
        "plain",
        Settings(margin=0.005),  # type: ignore[arg-type]
    ).effect("dropout")
    assert near_effect is not None
    assert near_effect.words.endswith("equivalent within 0.5 points, though not equal")


def test_what_must_be_known_with_a_verdict_stands_at_it() -> None:
    values = {
        "plain": list(PLAIN),
        "bn": shifted(0.011, 0.013, 0.012, 0.010, 0.014),
        "dropout": shifted(0.004, -0.005, 0.003, -0.002, 0.001),
    }
    early = [replace(each, steps=100) for each in study(values)]
    analysis = analyze(early, ARMS, "plain")
    assert analysis.answer[0] == (
        "Test accuracy against plain: bn (BN before the activation) +1.2 points (95 % interval "
        "+1.0 to +1.4, 5 seeds): better, with moving averages not converged; dropout (Dropout 0.5 "
        "after the activation of Dense) 0.0 points (−0.4 to +0.5, 5 seeds): inconclusive."
    )
    caveats = {each.variant: each.caveat for each in analysis.effects}
    assert caveats == {"bn": "moving averages not converged", "dropout": ""}


def test_the_interval_for_other_rows_stands_beside_the_one_for_these() -> None:
    values = {"plain": list(PLAIN), "bn": shifted(0.011, 0.013, 0.012, 0.010, 0.014)}
    effect = analyze(study(values), ARMS[:2], "plain").effect("bn")
    assert effect is not None
    both = replace(effect, crossed=Crossed(0.012, -0.001, 0.025, 9.0, 0.1, 0.1, 0.1))
    assert estimate(both, 0.95, brief=True) == (
        "+1.2 points (95 % interval +1.0 to +1.4, on other test rows too −0.1 to +2.5, 5 seeds)"
    )


def test_more_than_can_be_told_leave_their_intervals_to_the_table() -> None:
    resolved = [ARMS[0], *(arm(f"v{index}") for index in range(9))]
    values = {each.name: shifted(*noisy(0.001, 0.004, 5, at)) for at, each in enumerate(resolved)}
    (first, *_) = analyze(study(values), resolved, "plain").answer
    assert first.startswith("Test accuracy against plain (in points, intervals in the table): v")
    assert first.count("inconclusive") == 9


def test_differences_that_are_all_equal_leave_nothing_to_infer() -> None:
    values = {"plain": [0.9] * 3, "bn": [0.91] * 3, "dropout": [0.9] * 3}
    assert answer(values) == (
        "Test accuracy against plain: bn (BN before the activation) +1.0 points (the same with "
        "every seed, 3 seeds): inconclusive, as without spread nothing can be inferred; dropout "
        "(Dropout 0.5 after the activation of Dense) 0.0 points (the same with every seed, 3 "
        "seeds): inconclusive.",
        "Measured on these 360 test rows, without an interval, as no difference varies between "
        "seeds.",
        "All 9 trials completed.",
    )


def test_under_looks_three_seeds_have_no_interval_and_say_so() -> None:
    values: dict[str, list[float | None]] = {"plain": list(PLAIN)}
    values["bn"] = [*shifted(0.011, 0.013, 0.012), None, None]
    assert answer(values, looks="seeds were added")[1] == (
        "Test accuracy against plain: bn (BN before the activation) +1.2 points (3 seeds): "
        "inconclusive, as an interval that holds at every look takes 4 seeds or more."
    )


def test_only_the_headline_metric_has_a_margin() -> None:
    values = {"plain": list(PLAIN), "bn": shifted(0.01, 0.02, 0.0, 0.01, 0.02)}
    analysis = analyze(study(values), ARMS[:2], "plain", Settings(margin=0.005))  # type: ignore[arg-type]
    margins = {each.metric: each.margin for each in analysis.effects}
    assert margins.pop("test_accuracy") == 0.005
    assert set(margins.values()) == {None}


def test_failures_come_first_where_there_are_any() -> None:
    found = answer(
        {"plain": list(PLAIN), "bn": [None, None, *shifted(0.0, 0.0, 0.01, 0.02, 0.01)[2:]]}
    )
    assert found[0] == "2 of 5 trials of bn diverged; every mean is over completed trials only."


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_seeds_are_described(n: int) -> None:
    found = answer({"plain": [0.9] * n, "bn": [0.95] * n})
    assert found[0].startswith(
        "Test accuracy against plain: bn (BN before the activation) +5.0 points ("
    )
    assert found[0].endswith(f"{plural(n, 'seed')}): described.")
    assert found[1].endswith(", without an interval, which takes 3 seeds.")


def test_nothing_and_only_failures_have_words_too() -> None:
    assert answer({"plain": []}, planned={"plain": 5}) == (
        "None of the 5 planned trials has ended yet.",
        "No trial reported the metric.",
    )
    assert answer({"plain": [None] * 3}) == (
        "All 3 trials of plain diverged.",
        "No trial reported the metric.",
    )
    assert answer({"plain": list(PLAIN)})[0].startswith("Only plain completed: ")


def words(differences: list[float], metric: str = "test_accuracy") -> str:
    values = {"plain": list(PLAIN[: len(differences)])}
    values["bn"] = shifted(*differences)
    effect = analyze(study(values), ARMS[:2], "plain").effect("bn", metric)  # type: ignore[arg-type]
    assert effect is not None
    return effect.words


def test_no_sentence_claims_that_there_is_no_effect() -> None:
    text = words([0.004, -0.005, 0.003, -0.002, 0.001])
    assert text.startswith("bn against plain: test accuracy 0.0 points (95 % interval −0.4 to +0.5")
    assert ": inconclusive; 5 seeds would probably have shown" in text


def test_equal_differences_are_told_as_they_are() -> None:
    assert words([0.0] * 4).endswith("0.0 points (the same with every seed, 4 seeds): inconclusive")
    assert words([0.01] * 4).endswith("inconclusive, as without spread nothing can be inferred")


def test_trials_at_chance_never_enter_an_interval_unsaid() -> None:
    low = [0.11, *shifted(0.0, 0.01, 0.02, 0.01, 0.02)[1:]]
    found = answer({"plain": list(PLAIN), "bn": low})
    assert "1 of 5 trials of bn ended at chance" in found[0]
    assert "5 seeds, 1 with a side at chance)" in found[1]


def test_many_variants_are_all_named_by_size() -> None:
    resolved = [arm("plain"), *(arm(f"v{index}") for index in range(9))]
    shifts = {f"v{index}": shifted(*[0.001 * index] * 4, 0.002 * index) for index in range(9)}
    first, *_ = analyze(study({"plain": list(PLAIN), **shifts}), resolved, "plain").answer  # type: ignore[arg-type]
    named = [part.split()[0] for part in first.split(": ", 1)[1].split("; ")]
    assert named == [f"v{index}" for index in reversed(range(9))]


def test_an_effect_lost_to_holm_says_so() -> None:
    resolved = [arm("plain"), *(arm(f"v{index}") for index in range(6))]
    values = {"plain": list(PLAIN), "v0": shifted(0.01, 0.02, 0.005, 0.012, 0.02)}
    values |= {f"v{index}": noisy(0.94, 0.01, 5, index) for index in range(1, 6)}
    effect = analyze(study(values), resolved, "plain").effect("v0")  # type: ignore[arg-type]
    assert effect is not None
    assert effect.verdict == "inconclusive"
    assert effect.words.endswith("but not after correction for 6 comparisons")


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.99])
def test_what_holm_took_away_is_told_at_the_level_of_the_study(confidence: float) -> None:
    """p is 0.035, 0.14 with Holm over four: found at 80 %, lost to Holm at 90 %, none at 99."""
    resolved = [arm("plain"), *(arm(f"v{index}") for index in range(4))]
    values = {"plain": list(PLAIN), "v0": shifted(0.010, 0.002, 0.014, 0.006, 0.003)}
    values |= {f"v{index}": noisy(0.94, 0.01, 5, index) for index in range(1, 4)}
    settings = Settings(confidence=confidence)
    effect = analyze(study(values), resolved, "plain", settings).effect("v0")  # type: ignore[arg-type]
    assert effect is not None
    assert effect.p == pytest.approx(0.0352, abs=1e-4)
    assert effect.verdict == ("better" if confidence == 0.8 else "inconclusive")
    assert f"{100 * confidence:g} % interval" in effect.words
    assert ("not after correction" in effect.words) == (confidence == 0.9)
    assert ("would probably have shown" in effect.words) == (confidence == 0.99)


def factorial(gain: float, missing: bool = False) -> object:
    values, resolved = {}, []
    for bn, dropout in product(("off", "on"), repeat=2):
        name = f"bn={bn},dropout={dropout}"
        resolved.append(arm(name, factors={"bn": bn, "dropout": dropout}, origin="factorial"))
        shift = 0.03 * (bn == "on") + gain * (bn == dropout == "on")
        noise = noisy(0, 0.001, 5, len(resolved))
        values[name] = list(PLAIN + shift + noise)
    if missing:
        values["bn=on,dropout=on"] = [None] * 5  # type: ignore[list-item]
    return analyze(study(values), resolved, "bn=off,dropout=off")  # type: ignore[arg-type]


def test_an_interaction_tells_which_effect_depends_on_what() -> None:
    interaction = factorial(-0.02).factor_effects[2]  # type: ignore[attr-defined]
    assert interaction.words.startswith(
        "effect of bn=on, dropout=on against dropout=off: test accuracy −"
    )
    assert interaction.words.endswith("an interaction")
    none = factorial(0.0).factor_effects[2]  # type: ignore[attr-defined]
    assert "): inconclusive; 5 seeds would probably have shown" in none.words


def test_a_factorial_study_without_a_cell_falls_back_on_its_variants() -> None:
    analysis = factorial(0.0, missing=True)
    assert "bn=on,dropout=on never did" in analysis.factor_effects[0].words  # type: ignore[attr-defined]
    assert "bn=on,dropout=off +" in analysis.answer[1]  # type: ignore[attr-defined]


def test_a_lost_cell_leaves_no_factor_unsaid() -> None:
    values, resolved = {}, []
    for rate, bn in product(("0", "0.2", "0.5"), ("off", "on")):
        name = f"rate={rate},bn={bn}"
        resolved.append(arm(name, factors={"rate": rate, "bn": bn}, origin="factorial"))
        values[name] = shifted(*noisy(0, 0.001, 5, len(resolved)))
    values["rate=0.5,bn=on"] = [None] * 5  # type: ignore[list-item]
    found = analyze(study(values), resolved, resolved[0].name).answer  # type: ignore[arg-type]
    assert "rate=0.2 (against 0)" in found[1]
    assert "rate=0.5 (against 0) and bn=on (against off): not estimated" in found[1]


def test_an_interval_that_holds_at_every_look_takes_four_seeds() -> None:
    values = {"plain": list(PLAIN[:3]), "bn": shifted(0.01, 0.02, 0.015)}
    found = analyze(study(values), ARMS[:2], "plain", looks="seeds were added")  # type: ignore[arg-type]
    assert found.coverage == (
        "Measured on these 360 test rows, without an interval, which takes 4 seeds, as it holds "
        "at every look (seeds were added)."
    )
