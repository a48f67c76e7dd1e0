"""A point of a space changes a spec, and only in the fields it names."""

from __future__ import annotations

from typing import Any

import pytest

from ablate.errors import StudyError
from ablate.study.schema.placement import Placement
from ablate.study.schema.search import Search
from ablate.study.search_points import apply_point, condition_of, parameters_of, values_at
from ablate.study.study import Study

BN = {"layer": "BatchNormalization", "name": "bn.1"}
DROP = {"layer": "Dropout", "rate": 0.5, "where": "Dense"}
STUDY = Study(
    study="s",
    data={"name": "digits"},
    model={"name": "mlp"},
    variants={"plain": {}, "both": {"insert": [BN, DROP, DROP | {"where": "conv"}]}},
)
PLAIN, BOTH = (arm.spec for arm in STUDY.resolved)


def search(**space: dict[str, Any]) -> Search:
    return Search(space={path.replace("__", "."): each for path, each in space.items()})


def test_train_fields_change_mappings_by_key() -> None:
    spec = apply_point(PLAIN, {"train.learning_rate": 0.3, "train.optimizer.momentum": 0.7})
    assert spec.train.learning_rate == 0.3
    assert spec.train.optimizer.model_dump() == {"name": "sgd", "momentum": 0.7}
    assert spec.model is PLAIN.model
    assert PLAIN.train.learning_rate == 0.01


def test_every_placement_of_a_label_changes() -> None:
    spec = apply_point(BOTH, {"insert.Dropout.rate": 0.1, "insert.bn.1.at": "before"})
    assert spec.insert == [
        Placement(**BN, at="before"),
        Placement(**(DROP | {"rate": 0.1})),
        Placement(**(DROP | {"rate": 0.1, "where": "conv"})),
    ]


def test_a_placement_may_be_absent_whatever_else_is_said_of_it() -> None:
    spec = apply_point(BOTH, {"insert.Dropout.present": False, "insert.Dropout.rate": 0.1})
    assert spec.insert == [Placement(**BN)]
    assert apply_point(BOTH, {"insert.bn.1.present": True}).insert == BOTH.insert


def test_a_refused_value_and_a_path_to_nowhere_are_told() -> None:
    with pytest.raises(StudyError, match="at least 0 and below 1"):
        apply_point(BOTH, {"insert.Dropout.rate": 1.0})
    with pytest.raises(StudyError, match=r"insert.Dropout.rate: no variant has a placement"):
        apply_point(PLAIN, {"insert.Dropout.rate": 0.1})


def test_a_variant_has_the_parameters_of_its_own_placements() -> None:
    made = search(
        train__learning_rate={"float": [0.1, 1.0]},
        insert__Dropout__rate={"choice": [0.1, 0.2]},
        **{"insert__bn.1__present": {"bool": True}},
    )
    plain, both = STUDY.resolved
    assert list(parameters_of(plain, made)) == ["train.learning_rate"]
    assert parameters_of(both, made) == made.space


def test_a_variant_has_only_the_parts_that_its_own_optimizer_takes() -> None:
    study = Study(
        study="s",
        data={"name": "digits"},
        model={"name": "mlp"},
        variants={"sgd": {}, "adam": {"train": {"optimizer": "adam"}}},
        search={"space": {"train.optimizer.momentum": {"float": [0.1, 0.9]}}},
    )
    assert study.search is not None
    assert [list(parameters_of(arm, study.search)) for arm in study.resolved] == [
        ["train.optimizer.momentum"],
        [],
    ]


def test_changes_are_searched_by_name_else_by_selector() -> None:
    variant = {
        "change": [
            {"where": "Dropout", "rate": 0.5, "name": "drop"},
            {"where": ["conv[0]", "norm"], "epsilon": 0.1},
        ],
        "replace": [{"where": "norm", "layer": "GroupNormalization", "groups": 4}],
    }
    space: Any = {
        "change.drop.rate": {"choice": [0.1, 0.2]},
        "change.conv[0],norm.epsilon": {"float": [1e-5, 1e-3]},
        "replace.norm.groups": {"choice": [2, 8]},
        "replace.norm.present": {"bool": True},
    }
    study = Study(
        study="s",
        data={"name": "digits"},
        model={"name": "mlp"},
        variants={"plain": {}, "edited": variant},
        search={"space": space},
    )
    assert study.search is not None
    plain, edited = study.resolved
    assert parameters_of(plain, study.search) == {}
    assert list(parameters_of(edited, study.search)) == list(space)
    point = dict(zip(space, (0.2, 1e-4, 8, True), strict=True))
    spec = apply_point(edited.spec, point)
    assert {path: values_at(spec, path) for path in space} == {k: (v,) for k, v in point.items()}
    assert spec.change is not None and [each.arguments for each in spec.change] == [
        {"rate": 0.2}, {"epsilon": 1e-4}
    ]  # fmt: skip
    without = apply_point(edited.spec, {**point, "replace.norm.present": False})
    assert without.replace is None and without.change == spec.change


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("change.drp.rate", "no variant has a change called 'drp'. Did you mean 'drop'?"),
        ("change.drop.rate", "the field refuses 1.5: expected a rate"),
    ],
)
def test_what_no_change_has_is_refused(path: str, said: str) -> None:
    with pytest.raises(StudyError) as refusal:
        Study(
            study="s",
            data={"name": "digits"},
            model={"name": "mlp"},
            variants={"v": {"change": [{"where": "Dropout", "rate": 0.5, "name": "drop"}]}},
            search={"space": {path: {"choice": [0.1, 1.5]}}},
        )
    assert said in str(refusal.value)


def test_fields_of_a_placement_hang_on_its_presence() -> None:
    made = search(
        train__epochs={"int": [1, 2]},
        insert__Dropout__rate={"choice": [0.1]},
        insert__Dropout__present={"bool": True},
    )
    assert {path: condition_of(path, made) for path in made.space} == {
        "train.epochs": None,
        "insert.Dropout.rate": "insert.Dropout.present",
        "insert.Dropout.present": None,
    }
