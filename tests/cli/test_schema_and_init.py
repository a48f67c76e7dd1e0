"""`ablate schema` and `ablate init` write what `ablate run` understands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ablate.cli import init, schema
from ablate.config import load_study
from ablate.config import schema as schema_of_studies
from ablate.errors import StudyError


def test_schema_prints_one_json_document() -> None:
    result = CliRunner().invoke(schema.command, [])
    assert json.loads(result.output) == schema_of_studies()


@pytest.mark.parametrize(
    ("data", "model", "expected"),
    [
        ("digits", "cnn", ("name", "digits", "name", "cnn")),
        ("mnist", "vgg16", ("name", "mnist", "name", "vgg16")),
        ("my data.npz", "m.keras", ("path", "my data.npz", "file", "m.keras")),
        ("images/", "pkg.mod:make", ("directory", "images/", "call", "pkg.mod:make")),
        ("pkg.mod:load", "resnet", ("call", "pkg.mod:load", "name", "resnet")),
    ],
)
def test_init_writes_a_study_that_loads(
    data: str,
    model: str,
    expected: tuple[str, str, str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "images").mkdir()
    np.savez(tmp_path / "my data.npz", x_train=np.ones(2))
    (tmp_path / "m.keras").write_bytes(b"")
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "mod.py").write_text("")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "my study.yaml"
    result = CliRunner().invoke(init.command, [str(file), "--data", data, "--model", model])
    assert result.output == f"Wrote {file}. Next: ablate run {file}\n"
    study = load_study(file)
    data_key, data_value, model_key, model_value = expected
    assert getattr(study.data, data_key) == data_value
    assert getattr(study.model, model_key) == model_value
    assert [arm.name for arm in study.resolved] == ["plain", "bn", "dropout", "both"]
    assert study.study == "my-study"
    assert load_study(file, profile="quick").seeds == 3


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("mine")
    result = CliRunner().invoke(init.command, [str(file)])
    assert isinstance(result.exception, StudyError)
    assert "is there already, and nothing is overwritten" in str(result.exception)
    assert file.read_text() == "mine"


def test_init_refuses_a_misspelt_model_before_it_writes(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    result = CliRunner().invoke(init.command, [str(file), "--model", "cn"])
    assert "Did you mean 'cnn'?" in str(result.exception)
    assert not file.exists()
