"""`ablate schema` and `ablate init` write what `ablate run` understands."""

from __future__ import annotations

import json
import zipfile
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
    assert result.output.endswith(f"Wrote {file}. Next: ablate run {file}\n")
    study = load_study(file)
    data_key, data_value, model_key, model_value = expected
    assert getattr(study.data, data_key) == data_value
    assert getattr(study.model, model_key) == model_value
    assert [arm.name for arm in study.resolved] == ["plain", "bn", "dropout", "both"]
    assert study.study == "my-study"
    assert load_study(file, profile="quick").seeds == 3


def test_init_of_a_model_that_has_dropout_asks_what_it_is_worth(tmp_path: Path) -> None:
    layers = [{"class_name": "Dense", "config": {}}, {"class_name": "Dropout", "config": {}}]
    inner = {"class_name": "Sequential", "config": {"layers": layers}}
    config = {"config": {"layers": [inner, layers[1]]}, "compile_config": {"loss": "mse"}}
    place = tmp_path / "m.keras"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    file = tmp_path / "mine.yaml"
    result = CliRunner().invoke(init.command, [str(file), "--model", str(place)])
    assert result.exit_code == 0, result.output
    study = load_study(file)
    assert study.leave_one_out is not None and study.leave_one_out.from_ == "model"
    assert not study.variants and "optimizer" not in study.train.model_fields_set
    assert "The model has 2 Dropout of its own." in file.read_text()


def dropping(input_shape, **arguments):
    """Return a network with Dropout of its own."""
    import keras

    layers = [keras.layers.Flatten(), keras.layers.Dropout(0.5), keras.layers.Dense(10)]
    return keras.Sequential([keras.Input(input_shape), *layers])


def test_init_looks_into_what_a_call_makes(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    arguments = [str(file), "--model", f"{__name__}:dropping"]
    result = CliRunner().invoke(init.command, arguments)
    assert result.exit_code == 0, result.output
    study = load_study(file)
    assert study.leave_one_out is not None and study.leave_one_out.from_ == "model"
    assert "The model has 1 Dropout of its own." in file.read_text()


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
