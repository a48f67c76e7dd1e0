"""`ablate data` counts rows and classes of studies and of sets by name."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from ablate.cli.data import command
from ablate.errors import StudyError


def told(*arguments):
    result = CliRunner().invoke(command, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_a_set_by_name():
    (found,) = json.loads(told("digits", "--json"))["splits"]
    rows = {name: part["rows"] for name, part in found["parts"].items()}
    assert rows == {"train": 1222, "validation": 216, "test": 359}
    assert found["input_shape"] == [8, 8, 1] and found["classes"] == 10
    assert found["scaling"] == "x/16" and sum(found["parts"]["test"]["class_counts"]) == 359


def test_fields_of_the_section_are_set():
    (found,) = json.loads(
        told("noisy_line", "--set", "data.size=20", "--set", "test_size=0", "--json")
    )["splits"]
    assert found["parts"]["train"]["rows"] == 16 and found["task"] == "regression"
    assert found["parts"]["test"]["rows"] == 4
    with pytest.raises(StudyError, match="fields of the data section"):
        told("digits", "--set", "train.epochs=3")
    with pytest.raises(StudyError, match="Did you mean 'noise'"):
        told("noisy_line", "--set", "noize=3")


def test_a_study_tells_each_different_section_once(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(
        "study: s\ndata: {name: digits}\nmodel: {name: mlp}\n"
        "variants:\n  a: {}\n  b: {train: {learning_rate: 0.1}}\n  c: {data: {limit: 30}}\n"
    )
    found = json.loads(told(str(file), "--json"))["splits"]
    assert [each["variants"] for each in found] == [["a", "b"], ["c"]]
    assert [each["parts"]["train"]["rows"] for each in found] == [1222, 30]
    text = told(str(file), "--set", "data.scale=none")
    assert "variants: a, b" in text and "scaled by none" in text


def test_an_npz_file_and_classes_by_name(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, x_train=np.zeros((40, 3)), y_train=np.array(["cat", "dog"] * 20))
    text = told(str(path), "--set", "test=0.0")
    assert "2 classes" in text and "17 each" in text and "validation" in text


def test_files_of_a_folder_are_accounted_for(tmp_path):
    from PIL import Image

    for kind in ("ant", "bee"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for number in range(3):
            color = (40 * number, 0, 99 * (kind == "ant"))
            Image.new("RGB", (4, 4), color).save(tmp_path / "set" / kind / f"{number}.png")
    (tmp_path / "set" / "ant" / "._0.png").write_bytes(b"fork")
    (tmp_path / "set" / "ant" / "scan.tif").write_bytes(b"II*")
    asked = [str(tmp_path / "set"), "--set", "image_size=[4, 4]"]
    text = told(*asked)
    assert "files: 6 read, 2 not read (--json names every one)" in text
    assert "caution: 1 file not read (in a format that TensorFlow does not decode)" in text
    assert "note: 1 file not read (hidden): ant/._0.png" in text
    (found,) = json.loads(told(*asked, "--json"))["splits"]
    assert found["files"] == {
        "read": 6,
        "not_read": {
            "in a format that TensorFlow does not decode": ["ant/scan.tif"],
            "hidden": ["ant/._0.png"],
        },
    }
    assert json.loads(told("digits", "--json"))["splits"][0]["files"] is None


def test_names_are_listed():
    assert "noisy_line" in told() and "california_housing" in told()
    listed = json.loads(told("--json"))
    assert {"name", "key", "about", "arguments"} == set(listed[0])


def test_what_is_neither_is_met_with_the_nearest(tmp_path):
    with pytest.raises(StudyError, match="Did you mean 'digits'"):
        told("digitz", "--logs", str(tmp_path))
