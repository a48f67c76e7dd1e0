"""Variants, factors and leave-one-out become arms with nothing left to inherit."""

from __future__ import annotations

from typing import Any

import pytest

from ablate.errors import StudyError
from ablate.study.expand import path_name
from ablate.study.leave_one_out import carry_sites, wanted_sites, with_sites
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.placement import Change, Placement, Removal, Replacement
from ablate.study.schema.variant import Found
from ablate.study.study import Study

BN = {"layer": "BatchNormalization", "at": "before_activation"}
DROP = {"layer": "Dropout", "rate": 0.5, "where": "Dense"}


def study(**fields: Any) -> Study:
    return Study(**{"study": "s", "data": {"name": "digits"}, "model": {"name": "mlp"}, **fields})


def refusal(**fields: Any) -> str:
    with pytest.raises(StudyError) as caught:
        study(**fields)
    return str(caught.value)


def arm(made: Study, name: str) -> ResolvedVariant:
    return next(each for each in made.resolved if each.name == name)


# Inheritance ---------------------------------------------------------------------------------


def test_placements_concatenate_with_exact_repeats_once() -> None:
    made = study(
        variants={
            "bn": {"insert": [BN]},
            "drop": {"insert": [DROP], "remove": ["conv[0]"]},
            "both": {"extends": ["bn", "drop"], "insert": [BN, DROP | {"rate": 0.1}]},
        }
    )
    spec = arm(made, "both").spec
    assert spec.insert == [
        Placement(**BN),
        Placement(**DROP),
        Placement(**(DROP | {"rate": 0.1})),
    ]
    assert spec.remove == [Removal(where="conv[0]")]


def test_changes_of_one_selector_merge_and_replacements_by_another_class_replace() -> None:
    change: dict[str, Any] = {"where": "norm", "momentum": 0.9}
    groups: dict[str, Any] = {"where": "norm", "layer": "GroupNormalization", "groups": 4}
    made = study(
        variants={
            "plain": {},
            "a": {"change": [{**change, "epsilon": 0.1}], "replace": [groups]},
            "b": {
                "extends": "a",
                "change": [{**change, "momentum": 0.5}, {"where": "Dropout", "rate": 0.1}],
                "replace": [{**groups, "epsilon": 0.2}],
            },
            "c": {"extends": "a", "replace": [{"where": "norm", "layer": "LayerNormalization"}]},
        }
    )
    a, b, c = (arm(made, name).spec for name in "abc")
    assert arm(made, "plain").spec.change is None
    assert b.change == [
        Change(where="norm", momentum=0.5, epsilon=0.1), Change(where="Dropout", rate=0.1)
    ]  # fmt: skip
    assert b.replace == [Replacement(**groups, epsilon=0.2)]
    assert c.replace == [Replacement(where="norm", layer="LayerNormalization")]
    assert c.change == a.change == [Change(where="norm", momentum=0.9, epsilon=0.1)]


def test_parents_apply_left_to_right_then_the_variant() -> None:
    made = study(
        train={"learning_rate": 1.0},
        variants={
            "a": {"train": {"learning_rate": 0.1, "epochs": 1}},
            "b": {"train": {"learning_rate": 0.2, "batch_size": 2}},
            "c": {"extends": ["a", "b"], "train": {"batch_size": 3}},
        },
    )
    train = arm(made, "c").spec.train
    assert (train.learning_rate, train.epochs, train.batch_size) == (0.2, 1, 3)
    assert made.train.learning_rate == 1.0


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"momentum": 0.5}, {"name": "sgd", "momentum": 0.5, "nesterov": True}),
        ({"name": "sgd", "momentum": 0.5}, {"name": "sgd", "momentum": 0.5, "nesterov": True}),
        ({"name": "adam"}, {"name": "adam"}),
        ("adam", {"name": "adam"}),
    ],
)
def test_mappings_merge_but_another_name_replaces(over: Any, expected: dict[str, Any]) -> None:
    made = study(
        train={"optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": True}},
        variants={"plain": {}, "other": {"train": {"optimizer": over}}},
    )
    assert arm(made, "other").spec.train.optimizer.model_dump() == expected


def test_a_default_can_be_merged_into() -> None:
    made = study(variants={"m": {"train": {"optimizer": {"momentum": 0.5}}}})
    assert made.resolved[0].spec.train.optimizer.model_dump() == {"name": "sgd", "momentum": 0.5}


def test_another_factory_or_file_replaces_the_model() -> None:
    made = study(
        model={"name": "mlp", "units": [8]},
        variants={
            "wide": {"model": {"units": [16]}},
            "cnn": {"model": {"name": "cnn", "filters": [4]}},
            "file": {"model": {"file": "m.keras"}},
        },
    )
    assert [each.spec.model.model_dump(exclude_unset=True) for each in made.resolved] == [
        {"name": "mlp", "units": [16]},
        {"name": "cnn", "filters": [4]},
        {"file": "m.keras"},
    ]


def test_what_nothing_changes_is_shared() -> None:
    made = study(variants={"a": {}, "b": {"insert": [BN]}})
    assert made.resolved[1].spec.train is made.resolved[0].spec.train


def test_a_cycle_is_spelled_out() -> None:
    text = refusal(variants={"a": {"extends": "b"}, "b": {"extends": ["c"]}, "c": {"extends": "a"}})
    assert "variants.a.extends: a cycle: a -> b -> c -> a." in text


def test_an_unknown_parent_is_told_with_the_nearest() -> None:
    assert refusal(variants={"plain": {}, "b": {"extends": "plane"}}) == (
        "Study: variants.b.extends: no variant 'plane' to extend. Did you mean 'plain'? "
        "Expected one of: plain, b."
    )


# Duplicates ----------------------------------------------------------------------------------


def test_declared_duplicates_are_refused_whatever_they_call_things() -> None:
    text = refusal(
        variants={
            "a": {"insert": [BN]},
            "b": {"insert": [BN | {"name": "mine"}], "train": {"save": "final"}},
        }
    )
    assert text == (
        "Study: variants.b: trains the same as 'a'. Change one of the two, or set "
        "allow_duplicates: true for an A/A study."
    )


def test_allowed_duplicates_are_salted() -> None:
    made = study(variants={"a": {}, "b": {}, "c": {}}, allow_duplicates=True)
    assert [(each.salt, each.alias_of) for each in made.resolved] == [
        ("", None),
        ("copy 2", None),
        ("copy 3", None),
    ]


# Factors -------------------------------------------------------------------------------------


def test_factors_are_crossed_in_full_the_first_slowest() -> None:
    made = study(
        factors={
            "bn": {"off": {}, "on": {"insert": [BN]}},
            "lr": {"low": {"train": {"learning_rate": 0.1}}, "high": None},
        },
        train={"learning_rate": 1.0},
    )
    found = made.resolved
    assert [(each.name, dict(each.factors), each.spec.train.learning_rate) for each in found] \
        == [
        ("bn=off,lr=low", {"bn": "off", "lr": "low"}, 0.1),
        ("bn=off,lr=high", {"bn": "off", "lr": "high"}, 1.0),
        ("bn=on,lr=low", {"bn": "on", "lr": "low"}, 0.1),
        ("bn=on,lr=high", {"bn": "on", "lr": "high"}, 1.0),
    ]  # fmt: skip
    assert {each.origin for each in made.resolved} == {"factorial"}
    assert made.baseline_name == "bn=off,lr=low"


@pytest.mark.parametrize(
    ("one", "other", "field"),
    [
        ({"learning_rate": 0.1}, {"learning_rate": 0.2}, "train.learning_rate"),
        ({"optimizer": {"name": "adam"}}, {"optimizer": {"momentum": 0.1}}, "train.optimizer"),
    ],
)
def test_two_factors_that_set_one_field_are_named(one: Any, other: Any, field: str) -> None:
    text = refusal(
        factors={
            "a": {"off": {}, "on": {"train": one}},
            "b": {"off": {}, "on": {"train": other}},
        }
    )
    assert text.startswith(f"Study: factors.b.on.train: factors 'a' and 'b' both set {field}")


@pytest.mark.parametrize(
    ("kind", "one", "other", "field"),
    [
        ("change", {"rate": 0.1}, {"rate": 0.2}, "change.Dropout.rate"),
        ("replace", {"layer": "AlphaDropout"}, {"layer": "ReLU"}, "replace.Dropout.layer"),
    ],
)
def test_two_factors_that_edit_one_layer_are_named(
    kind: str, one: Any, other: Any, field: str
) -> None:
    one, other = ({"where": ["Dropout"], **each} for each in (one, other))
    text = refusal(factors={"a": {"on": {kind: [one]}, "off": {}}, "b": {"on": {kind: [other]},
                   "off": {}}})  # fmt: skip
    assert f"factors 'a' and 'b' both set {field}" in text


def test_two_factors_may_change_different_arguments_of_one_layer() -> None:
    change: dict[str, Any] = {"where": "norm"}
    made = study(
        factors={
            "m": {"0": {}, "1": {"change": [{**change, "momentum": 0.5}]}},
            "e": {"0": {}, "1": {"change": [{**change, "epsilon": 0.1}]}},
        }
    )
    assert arm(made, "m=1,e=1").spec.change == [Change(where="norm", momentum=0.5, epsilon=0.1)]


def test_factors_may_change_different_parts_of_one_mapping() -> None:
    made = study(
        factors={
            "m": {"0": {}, "9": {"train": {"optimizer": {"momentum": 0.9}}}},
            "n": {"no": {}, "yes": {"train": {"optimizer": {"nesterov": True}}}},
        }
    )
    assert arm(made, "m=9,n=yes").spec.train.optimizer.model_dump() == {
        "name": "sgd",
        "momentum": 0.9,
        "nesterov": True,
    }


def test_a_generated_duplicate_is_an_alias() -> None:
    made = study(factors={"a": {"x": {}, "y": {}}, "b": {"x": {}, "y": {"insert": [BN]}}})
    assert [(each.name, each.alias_of) for each in made.resolved] == [
        ("a=x,b=x", None),
        ("a=x,b=y", None),
        ("a=y,b=x", "a=x,b=x"),
        ("a=y,b=y", "a=x,b=y"),
    ]


def test_a_level_extends_levels_of_its_factor() -> None:
    made = study(
        factors={
            "drop": {
                "none": {},
                "some": {"insert": [DROP]},
                "more": {"extends": "some", "insert": [DROP | {"where": "conv"}]},
            }
        }
    )
    assert [len(each.spec.insert) for each in made.resolved] == [0, 1, 2]


# Leave one out -------------------------------------------------------------------------------

PARTS = {"plain": {}, "bn": {"insert": [BN]}, "both": {"extends": "bn", "insert": [DROP]}}


def test_each_placement_is_left_out_in_turn_and_a_declared_equal_is_an_alias() -> None:
    made = study(variants=PARTS, leave_one_out={"from": "both"})
    assert [(a.name, a.alias_of, a.left_out) for a in made.resolved[3:]] == [
        ("both-without-BatchNormalization", None, ("both", "BatchNormalization")),
        ("both-without-Dropout", "bn", ("both", "Dropout")),
    ]
    assert made.resolved[3].spec.insert == [Placement(**DROP)]
    assert made.resolved[3].origin == "leave_one_out"


def test_placements_of_one_name_are_left_out_together_and_nameless_ones_are_counted() -> None:
    made = study(
        variants={
            "full": {
                "insert": [
                    DROP,
                    DROP | {"rate": 0.1},
                    BN | {"name": "norm", "where": "dense[0]"},
                    BN | {"name": "norm", "where": "dense[1]"},
                ]
            }
        },
        leave_one_out={"from": "full"},
    )
    assert [(a.name, len(a.spec.insert)) for a in made.resolved[1:]] == [
        ("full-without-Dropout", 3),
        ("full-without-Dropout_2", 3),
        ("full-without-norm", 2),
    ]


def test_sites_are_left_out_once_they_are_found() -> None:
    made = study(
        variants=PARTS, leave_one_out={"from": "both", "by": "site"}, baseline="both-without-d1_bn"
    )
    wanted = wanted_sites(made)
    assert wanted is not None
    assert (wanted[0].name, wanted[1].by) == ("both", "site")
    assert [each.name for each in made.resolved] == ["plain", "bn", "both"]

    found = [
        Found(host="d1", layer="d1_bn", placement=0),
        Found(host="d2", layer="d2_bn", placement=0),
        Found(host="d3", layer="d3_dropout", placement=1),
    ]
    known = with_sites(made, found)
    assert wanted_sites(known) is None
    assert [(a.name, a.alias_of) for a in known.resolved[3:]] == [
        ("both-without-d1_bn", None),
        ("both-without-d2_bn", None),
        ("both-without-d3_dropout", "bn"),  # its placement's only site: the placement goes
    ]
    assert arm(known, "both-without-d2_bn").spec.insert == [
        Placement(**BN, **{"except": ["d2"]}),
        Placement(**DROP),
    ]


def test_an_exception_is_added_to_those_there_are() -> None:
    made = study(
        variants={"bn": {"insert": [BN | {"except": "d0"}]}},
        leave_one_out={
            "from": "bn",
            "by": "site",
            "found": [
                {"host": "d1", "layer": "d1_bn", "placement": 0},
                {"host": "d2", "layer": "d2_bn", "placement": 0},
            ],
        },
    )
    assert made.resolved[1].spec.insert == [Placement(**BN, **{"except": ["d0", "d1"]})]


def test_a_models_own_layers_are_left_out_alone() -> None:
    made = study(leave_one_out={"from": "model", "by": "layer", "where": ["Dropout"]})
    assert [(each.name, each.origin) for each in made.resolved] == [("model", "declared")]
    known = with_sites(made, [Found(host="drop_1", layer="drop_1")])
    assert known.baseline_name == "model"
    assert known.resolved[1].name == "model-without-drop_1"
    assert known.resolved[1].spec.remove == [Removal(where="drop_1")]


def test_from_model_alone_means_its_own_layers() -> None:
    made = study(leave_one_out={"from": "model"})
    assert made.leave_one_out is not None and made.leave_one_out.by == "layer"
    assert wanted_sites(made) == (made.resolved[0], made.leave_one_out)
    called_so = study(variants={"model": {"insert": [BN]}}, leave_one_out={"from": "model"})
    assert called_so.leave_one_out is not None and called_so.leave_one_out.by == "placement"


def test_found_sites_are_carried_only_to_the_same_arm() -> None:
    rule = {"from": "both", "by": "site"}
    found = [Found(host="d1", layer="d1_bn", placement=0)]
    earlier = with_sites(study(variants=PARTS, leave_one_out=rule), found)

    more_epochs = study(variants=PARTS, leave_one_out=rule, train={"epochs": 3})
    carried = carry_sites(more_epochs, earlier).leave_one_out
    assert carried is not None
    assert carried.found == found

    wider = study(variants=PARTS, leave_one_out=rule, model={"name": "mlp", "units": [9]})
    assert carry_sites(wider, earlier) is wider


def test_finding_nothing_is_an_error() -> None:
    made = study(leave_one_out={"from": "model", "by": "layer", "where": "Dropout"})
    with pytest.raises(StudyError, match="there is nothing to leave out of 'model'"):
        with_sites(made, [])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"from": "bot"}, "leave_one_out.from: no variant 'bot'. Did you mean 'both'?"),
        ({"from": "plain"}, "leave_one_out.from: variant 'plain' inserts nothing that could"),
        (
            {"from": "model", "by": "site"},
            "leave_one_out.by: 'from: model' leaves out the model's own layers.",
        ),
        ({"from": "both", "by": "layer"}, "leave_one_out.where: missing."),
        ({"from": "both", "where": "conv"}, "leave_one_out.where: 'where' belongs to 'by: layer'."),
    ],
)
def test_a_rule_that_leads_nowhere_is_told(rule: dict[str, Any], expected: str) -> None:
    assert refusal(variants=PARTS, leave_one_out=rule).startswith(f"Study: {expected}")


def test_a_declared_variant_of_a_generated_name_must_be_it() -> None:
    name = "both-without-Dropout"
    same = {**PARTS, name: {"insert": [BN]}}
    del same["bn"]
    same["both"] = {"insert": [BN, DROP]}
    made = study(variants=same, leave_one_out={"from": "both"})
    assert [each.name for each in made.resolved].count(name) == 1
    assert "another variant is called so" in refusal(
        variants={**PARTS, name: {"insert": [DROP | {"rate": 0.1}]}}, leave_one_out={"from": "both"}
    )


# Names ---------------------------------------------------------------------------------------


def test_long_and_odd_names_are_shortened_with_a_hash() -> None:
    assert path_name("bn=on,dropout=off") == "bn=on,dropout=off"
    long = ",".join(f"factor{i}=level{i}" for i in range(9))
    assert len(path_name(long)) == 64
    assert path_name(long) != path_name(long + "x")
    assert path_name("a/b:0").startswith("a_b_0-")
    assert path_name("a/b:0") != path_name("a_b:0")


def test_copies_with_other_sections_have_arms_of_their_own() -> None:
    made = study(variants={"a": {}})
    assert made.resolved[0].spec.train.epochs == 20
    changed = made.model_copy(update={"train": made.train.model_copy(update={"epochs": 1})})
    assert changed.resolved[0].spec.train.epochs == 1
