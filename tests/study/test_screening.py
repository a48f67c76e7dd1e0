from __future__ import annotations

import pytest

from ablate.config import dump_study, parse_study
from ablate.errors import StudyError
from ablate.study.schema.variant import Found
from ablate.study.screen_design import ALL, NONE, POSITION, design_of
from ablate.study.screening import CONFIRM_SEEDS, candidates, confirmation, with_found
from ablate.study.study import Study

BN = {"layer": "BatchNormalization", "at": "before_activation"}


def study(**changes):
    return Study(
        **{
            "study": "where",
            "data": {"name": "digits"},
            "model": {"name": "mlp", "units": [8, 8, 8, 8]},
            "seeds": 2,
            "screen": {"placements": [BN]},
            **changes,
        }
    )


def found(count, placement=0, suffix="bn"):
    return [
        Found(host=f"dense{i}", layer=f"dense{i}_{suffix}", placement=placement)
        for i in range(1, count + 1)
    ]


def hosts(variant):
    """The hosts at which each placement of a variant stands."""
    return [each.where for each in variant.spec.insert]


def test_until_the_sites_are_known_there_is_the_network_with_all_of_them():
    (only,) = study().resolved
    assert (only.name, only.origin, hosts(only)) == (ALL, "screen", ["hidden"])


def test_every_run_is_a_variant():
    made = with_found(study(), found(4))
    names = [each.name for each in made.resolved]
    assert names == [ALL, *(f"run{row:02d}" for row in range(2, 8)), NONE]
    design = design_of(made)
    for variant, levels in zip(made.resolved, design.runs, strict=True):
        on = [f"dense{i + 1}" for i, level in enumerate(levels) if level > 0]
        expected = {ALL: ["hidden"], NONE: []}.get(variant.name, [on])
        assert hosts(variant) == expected
        assert variant.spec.train.save == "none"


def test_what_was_found_survives_the_file():
    made = with_found(study(), found(3))
    assert parse_study(dump_study(made)) == made


def test_two_placements_are_two_factors_at_each_host():
    both = {"placements": [BN, {"layer": "Dropout", "rate": 0.2, "at": "after_activation"}]}
    made = with_found(study(screen=both), [*found(2), *found(2, 1, "dropout")])
    design = design_of(made)
    assert design.factors == ("dense1_bn", "dense2_bn", "dense1_dropout", "dense2_dropout")
    assert [each.layer for each in design.insert([False, True, True, False])] == [
        "BatchNormalization",
        "Dropout",
    ]


def test_the_position_is_one_further_factor():
    screen = {"placements": [{**BN, "at": ["before_activation", "after_activation"]}]}
    made = with_found(study(screen=screen), found(2))
    design = design_of(made)
    assert design.factors == ("dense1_bn", "dense2_bn", POSITION)
    stand = [{each.at for each in variant.spec.insert} for variant in made.resolved]
    assert stand.count({"before_activation"}) == stand.count({"after_activation"}) == 3
    # Where no layer is, no position is: the network with none is trained once.
    bare = [variant for variant in made.resolved if not variant.spec.insert]
    assert [each.alias_of for each in bare] == [None, bare[0].name]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"variants": {"plain": {}}}, "variants: 'screen' says what is compared"),
        ({"seeds": 1}, "seeds: a screening needs at least 2 seeds"),
        ({"screen": {"placements": []}}, "screen.placements"),
        ({"screen": {"placements": [{"layer": "Dropout"}]}}, "Dropout needs a 'rate'"),
        (
            {"screen": {"placements": [{**BN, "at": ["before", "after"]}]}},
            "screen.placements[0].at",
        ),
        ({"screen": {"placements": [{**BN, "momentun": 0.9}]}}, "momentum"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(changes, said):
    with pytest.raises(StudyError) as error:
        study(**changes)
    assert said in str(error.value)


@pytest.mark.parametrize("count", [0, 65])
def test_a_design_has_room_for_1_to_64_sites(count):
    with pytest.raises(StudyError, match="Expected 1 to 64"):
        with_found(study(), found(count))


def test_the_confirmation_is_a_study_on_fresh_seeds():
    made = with_found(study(), found(3))
    confirms = confirmation(made, candidates([True, False, True], [True, True, True]))
    # The runner-up is all of them, and trained once.
    assert [each.name for each in confirms.resolved] == ["none", "all", "picked"]
    assert [hosts(each) for each in confirms.resolved] == [[], ["hidden"], [["dense1", "dense3"]]]
    assert confirms.baseline_name == "none"
    assert confirms.seed_list == tuple(range(CONFIRM_SEEDS, CONFIRM_SEEDS + 8))
