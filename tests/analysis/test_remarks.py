"""What trials say of their networks and data stands once among the guards, with its variants."""

from __future__ import annotations

from ablate.analysis import Guard, analyze
from ablate.analysis.guards import remarks
from tests.analysis.simulated import BN, DROPOUT, arm, result

ARMS = [arm("plain"), arm("bn", insert=[BN]), arm("dropout", insert=[DROPOUT])]
KIND = "network and data"


def said(results, **more) -> list[Guard]:
    return [each for each in analyze(results, ARMS, "plain", **more).guards if each.kind == KIND]


def trials(say, names=("plain", "bn", "dropout"), seeds=3, **more):
    return [
        result(name, seed, **say(name, seed), **more) for name in names for seed in range(seeds)
    ]


def test_what_all_say_names_nobody_and_what_some_say_names_them() -> None:
    found = said(
        trials(
            lambda name, seed: {
                "cautions": ("images reach 255 unscaled",) + ("one row a step",) * (name == "bn"),
                "notes": ("limit 9",) * (name != "plain"),
            }
        )
    )
    everyone = ("plain", "bn", "dropout")
    assert found == [
        Guard(KIND, "warning", "images reach 255 unscaled.", everyone),
        Guard(KIND, "warning", "one row a step (bn).", ("bn",)),
        Guard(KIND, "note", "limit 9 (bn and dropout).", ("bn", "dropout")),
    ]
    assert [each.words for each in found] == [
        "Beware: images reach 255 unscaled.",
        "Beware: one row a step (bn).",
        "Note: limit 9 (bn and dropout).",
    ]


def test_a_variant_that_has_not_trained_has_not_said_it() -> None:
    def say(name, seed):
        return {"notes": ("limit 9",)}

    assert [each.text for each in said(trials(say, ["plain", "bn"]))] == ["limit 9 (plain and bn)."]


def test_what_some_seeds_say_names_them() -> None:
    def say(name, seed):
        return {"notes": ("no training row of class 3",) * (seed != 1)}

    assert [each.text for each in said(trials(say))] == [
        "no training row of class 3 (seeds 0 and 2)."
    ]
    assert [each.text for each in said(trials(say, ["bn"]))] == [
        "no training row of class 3 (bn, seeds 0 and 2)."
    ]


def test_diverged_and_failed_trials_speak_and_silent_failures_do_not_count() -> None:
    lost = [
        result("plain", 0),
        result("bn", 0, status="diverged", notes=("limit 9",)),
        result("bn", 1, status="failed", notes=("limit 9",), error="no"),
        result("bn", 2, status="failed", error="no"),
        result("bn", 3, status="interrupted"),
        result("dropout", 0, status="interrupted", notes=("new head",)),
    ]
    assert [each.text for each in said(lost)] == ["limit 9 (bn).", "new head (dropout)."]


def test_no_text_is_only_counted_among_others() -> None:
    many = tuple(f"layer {number} has no host" for number in range(12))
    found = said(trials(lambda name, seed: {"cautions": many}))
    assert [each.text for each in found] == [f"{text}." for text in many]


def test_a_full_stop_is_not_doubled() -> None:
    assert [each.text for each in remarks("note", {"a": [(0, ["It is so."])]})] == ["It is so."]
