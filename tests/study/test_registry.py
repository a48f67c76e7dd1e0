"""A model and a source of another package: declared, named by a study, imported at use."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
from pydantic import Field

from ablate.errors import StudyError
from ablate.study import registry
from ablate.study.schema.data import Data, example_shape
from ablate.study.schema.factories import MODELS, Network
from ablate.study.schema.model import Model
from ablate.study.schema.sources import SOURCES
from ablate.study.schema.strict import Strict
from ablate.study.study import Study


@pytest.fixture
def toys(monkeypatch):
    """A package that is installed and declares a toy of each kind through its entry point."""
    module = ModuleType("toys")
    module.build, module.read = (lambda: "model", lambda: "rows")
    monkeypatch.setitem(sys.modules, "toys", module)

    def declare():
        @MODELS.register("toy", "toys:build", "A toy network.")
        class Toy(Network):
            wheels: int = Field(default=4, ge=1, description="Wheels.")

        @SOURCES.register("blocks", "toys:read", shape=lambda arguments: (arguments["rows"], 2))
        class Blocks(Strict):
            """Building blocks."""

            rows: int = Field(default=3, description="Rows of blocks.")

    registries = (MODELS, SOURCES)
    before = [dict(each) for each in registries]
    for each in registries:
        monkeypatch.setattr(each, "_installed", False)
    entry = SimpleNamespace(load=declare)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry] * (group == "ablate"))
    yield
    for each, kept in zip(registries, before, strict=True):
        each.clear()
        each.update(kept)


def test_a_study_names_kinds_of_an_installed_package(toys):
    study = Study(
        study="play",
        data={"name": "blocks", "rows": 5},
        model={"name": "toy"},
        variants={"plain": {}, "relu": {"model": {"wheels": 3}}},
    )
    assert example_shape(study.data) == (5, 2)
    assert study.model.complete_arguments()["wheels"] == 4
    assert [each.kind.load()() for each in (study.model, study.data)] == [
        "model", "rows",
    ]  # fmt: skip
    assert SOURCES["blocks"].about == "Building blocks."
    titles = [each["title"] for each in Data.model_json_schema()["anyOf"]]
    assert "blocks" in titles and titles[0] == "digits"


def test_their_arguments_are_checked_as_ours_are(toys):
    with pytest.raises(StudyError, match=r"wheel: not an argument of toy. Did you mean 'wheels'\?"):
        Model(name="toy", wheel=3)
    with pytest.raises(StudyError, match=r"There is no factory 'tpy'\. Did you mean 'toy'"):
        Model(name="tpy")


def test_an_unknown_name_is_refused_where_nothing_is_installed():
    with pytest.raises(StudyError, match="There is no data set 'blocks'"):
        Data(name="blocks")
