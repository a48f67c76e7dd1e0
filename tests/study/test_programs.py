"""Which trials share a program, and how groups are cut for workers."""

from itertools import chain

import pytest

from ablate.study.programs import groups, program_key
from ablate.study.trial import Spec, Trial

BN = {"layer": "BatchNormalization", "at": "before_activation", "where": "hidden"}
BASE = {"data": {"name": "digits"}, "model": {"name": "mlp"}, "train": {}, "insert": [BN]}


def spec(**changes):
    sections = {**BASE}
    for name, change in changes.items():
        is_section = isinstance(change, dict)
        sections[name] = {**sections[name], **change} if is_section else change
    return Spec(**sections)


@pytest.mark.parametrize(
    "changes",
    [
        {"train": {"learning_rate": 0.5}},
        {"train": {"schedule": "cosine"}},
        {"train": {"epochs": 3, "batch_size": 8, "save": "final", "time_limit": 9.0}},
        {"train": {"early_stopping": {}}},
        {"data": {"limit": 50, "split": "per_seed", "scale": "standard"}},
        {"insert": [{**BN, "name": "mine"}]},
    ],
)
def test_what_a_program_takes_as_input_is_shared(changes):
    assert program_key(spec(**changes)) == program_key(spec())


@pytest.mark.parametrize(
    "changes",
    [
        {"train": {"optimizer": "adam"}},
        {"train": {"loss": "mse"}},
        {"train": {"metrics": ["accuracy", "AUC"]}},
        {"train": {"max_norm": 1.0}},
        {"train": {"class_weight": "balanced"}},
        {"train": {"dtype": "mixed_bfloat16"}},
        {"train": {"freeze": "dense1"}},
        {"model": {"units": [3]}},
        {"insert": [{**BN, "momentum": 0.9}]},
        {"insert": []},
        {"data": {"name": "noisy_line"}},
    ],
)
def test_what_the_graph_depends_on_is_not(changes):
    assert program_key(spec(**changes)) != program_key(spec())


def trials(**counts):
    specs = {"plain": spec(insert=[]), "bn": spec(), "fast": spec(train={"learning_rate": 0.5})}
    return [
        Trial(id=f"{name}{seed}", variant=name, seed=seed, spec=specs[name])
        for name, count in counts.items()
        for seed in range(count)
    ]


def test_every_trial_is_in_one_group_and_groups_share_a_program():
    mine = trials(plain=33, bn=14, fast=14)
    found = groups(mine, workers=2)
    assert sorted(trial.id for trial in chain(*found)) == sorted(trial.id for trial in mine)
    assert all(len({program_key(trial.spec) for trial in group}) == 1 for group in found)
    assert max(len(group) for group in found) <= 11


def test_small_groups_stay_whole_unless_a_worker_would_idle():
    assert [len(group) for group in groups(trials(plain=5, bn=4), workers=2)] == [4, 5]
    assert [len(group) for group in groups(trials(plain=5), workers=2)] == [3, 2]
    assert [len(group) for group in groups(trials(bn=2), workers=8)] == [1, 1]
    assert groups([], workers=2) == []


def test_what_takes_longest_goes_first():
    first, *_ = groups(trials(plain=5, bn=5), workers=1)
    assert first[0].variant == "bn"
