"""Every study file that is shipped can be obeyed, and says what its heading promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ablate.config import dump_study, load_study, parse_study

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_is_valid_and_round_trips(path: Path) -> None:
    study = load_study(path)
    assert parse_study(dump_study(study)) == study


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_profiles_load(path: Path) -> None:
    for profile in load_study(path).profiles:
        assert load_study(path, profile=profile).resolved


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_opens_with_a_heading_that_names_its_own_file(path: Path) -> None:
    """A copied heading would send a reader to another study."""
    heading = [line for line in path.read_text().splitlines() if line.startswith("#")]
    commands = re.findall(r"ablate (?:run|search|plan) (\S+\.yaml)", "\n".join(heading))
    assert heading
    assert set(commands) <= {name(path)}


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_promised_trials_are_the_trials_planned(path: Path) -> None:
    promised = re.search(r"ablate run \S+ .*: (\d+) trials", path.read_text())
    if promised is None:
        return
    study = load_study(path)
    trained = [arm for arm in study.resolved if arm.alias_of is None]
    assert len(trained) * len(study.seed_list) == int(promised.group(1))


def test_study_names_are_unique() -> None:
    """Two studies of one name would share a folder under logs."""
    names = [load_study(path).study for path in CONFIGS]
    assert sorted(names) == sorted(set(names))
