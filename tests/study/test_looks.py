"""Looks: what was seen of a study's differences, and when that changes its intervals."""

from __future__ import annotations

import pytest

from ablate.study.looks import Look, Looks
from tests.analysis.simulated import result

KEYS = {"plain": "p", "bn": "b", "dropout": "d"}
FIVE, EIGHT = tuple(range(5)), tuple(range(8))


def look(planned=FIVE, seen=None, keys="pb", by="report"):
    return Look(by, dict.fromkeys(keys, planned), dict.fromkeys(keys, seen or planned))


def why(*earlier, planned=FIVE, keys=KEYS):
    return Looks(keys, dict.fromkeys(keys, planned), earlier).why("plain")


def test_looks_without_a_change_of_seeds_ask_for_nothing():
    assert why() == ""
    assert why(look(), look(seen=(0, 1))) == ""


def test_a_change_of_seeds_after_a_look_is_said_with_both_numbers():
    assert why(look(keys="pbd"), planned=EIGHT) == (
        "seeds were changed after a look at the differences (5 planned then, 8 now)"
    )
    # Where not all were seen, those that were are named.
    assert why(look(), planned=EIGHT) == (
        "seeds of bn were changed after a look at the differences (5 planned then, 8 now)"
    )
    assert why(look(), look((0, 1), keys="pd"), planned=EIGHT) == (
        "seeds were changed after a look at the differences (bn: 5 planned then, 8 now; dropout: 2 "
        "planned then, 8 now)"
    )
    assert "(8 planned then, 5 now)" in why(look(EIGHT), planned=FIVE)
    # Back to the first number: more was seen than is shown.
    assert "(8 planned then, 5 now)" in why(look(), look(EIGHT), planned=FIVE)
    # As many, but others.
    assert "(0, 1 planned then, 2, 3 now)" in why(look((0, 1)), planned=(2, 3))


def test_an_interim_look_counts_by_what_was_planned():
    assert why(look(EIGHT, seen=(0, 1, 2)), planned=EIGHT) == ""
    assert why(look(FIVE, seen=(0,)), planned=EIGHT) != ""


def test_a_look_at_one_side_alone_is_none_at_the_difference():
    assert why(look(keys="p"), planned=EIGHT) == ""
    assert why(look(keys="bd"), planned=EIGHT) == ""
    apart = Look("report", {"p": FIVE, "b": FIVE}, {"p": (0, 1), "b": (2, 3)})
    assert why(apart, planned=EIGHT) == ""


def test_a_variant_is_known_by_its_trials_whatever_its_name():
    renamed = {"plain": "p", "normalized": "b"}
    assert why(look(), planned=EIGHT, keys=renamed) != ""
    assert why(look(), planned=EIGHT, keys={"plain": "p", "bn": "other epochs"}) == ""
    # One that is new since has seen no look.
    assert (
        Looks(KEYS, {**dict.fromkeys(KEYS, FIVE), "dropout": EIGHT}, (look(),)).why("plain") == ""
    )


def test_seeds_are_in_the_order_in_which_they_were_seen():
    looks = (look((5, 6, 7)), look((0, 1, 5, 6, 7, 8)), look((2,), keys="xy"))
    assert Looks(KEYS, {}, looks).order == (5, 6, 7, 0, 1, 8)


def test_what_is_shown_is_noted_once():
    shown = [result(name, seed) for name in ("plain", "bn") for seed in range(3)]
    looks = Looks(KEYS, dict.fromkeys(KEYS, FIVE))
    made = looks.now(shown, "report")
    assert made is not None and made.by == "report"
    assert made.planned == {"p": FIVE, "b": FIVE, "d": FIVE}
    assert made.seen == {"p": (0, 1, 2), "b": (0, 1, 2), "d": ()}
    assert Look.from_json(made.to_json()) == made
    assert Looks(KEYS, looks.planned, (made,)).now(shown, "board") is None
    assert Looks(KEYS, looks.planned, (made,)).now([*shown, result("bn", 3)], "board") is not None
    assert Looks(KEYS, dict.fromkeys(KEYS, EIGHT), (made,)).now(shown, "board") is not None


def test_a_variant_alone_and_lost_trials_show_no_difference():
    looks = Looks(KEYS, dict.fromkeys(KEYS, FIVE))
    assert looks.now([], "run") is None
    assert looks.now([result("plain", 0)], "run") is None
    assert looks.now([result("plain", 0), result("bn", 0, status="diverged")], "run") is None


@pytest.mark.parametrize(
    "document",
    [None, 3, [], {}, {"by": "run"}, {"by": "run", "time": "", "variants": 3},
     {"by": "run", "time": "", "variants": {"p": {}}},
     {"by": "run", "time": "", "variants": {"p": {"planned": [0.5], "seen": []}}},
     {"by": "run", "time": "", "variants": {"p": {"planned": "01", "seen": []}}}],
)  # fmt: skip
def test_what_is_no_look_is_refused(document):
    with pytest.raises(ValueError, match="no look"):
        Look.from_json(document)
