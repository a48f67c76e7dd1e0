"""The data section: one source, its own arguments, and what is known without loading."""

import subprocess
import sys

import numpy as np
import pytest
from pydantic import TypeAdapter

from ablate.errors import StudyError
from ablate.study.schema.data import Data, example_shape
from ablate.study.schema.sources import KERAS_SETS, SOURCES


def test_names_are_those_of_keras():
    keras = pytest.importorskip("keras")
    known = {n for n in dir(keras.datasets) if hasattr(getattr(keras.datasets, n), "load_data")}
    assert set(KERAS_SETS) == known
    own = {"digits", "wine", "breast_cancer", "diabetes", "mnist1d", "noisy_line", "badly_scaled"}
    assert set(SOURCES.names) == known | own


@pytest.mark.parametrize(
    "fields, says",
    [
        ({}, "The data has no source"),
        ({"nam": "digits"}, "Did you mean 'name'?"),
        ({"name": "mnits"}, "Did you mean 'mnist'?"),
        ({"name": "digits", "path": "a.npz"}, "needs no file"),
        ({"path": "a.npz", "call": "a:b"}, "2 sources: path, call"),
        ({"name": "digits", "valdation": 0.1}, "Did you mean 'validation'?"),
        ({"name": "noisy_line", "noize": 0.1}, "Did you mean 'noise'?"),
        ({"name": "noisy_line", "noise": -1}, "at least 0"),
        ({"name": "imdb", "encoding": "multihot"}, "Did you mean 'multi_hot'?"),
        ({"name": "mnist", "noise": 0.1}, "not an argument of mnist"),
        ({"directory": "images"}, "needs 'image_size'"),
        ({"directory": "images", "image_size": [0, 4]}, "at least 1"),
        ({"name": "digits", "image_size": [8, 8]}, "belongs to a 'directory'"),
        ({"name": "digits", "scale": "standart"}, "Did you mean 'standard'?"),
        ({"name": "digits", "shift": {"name": "invrt"}}, "Did you mean 'invert'?"),
        ({"name": "digits", "validation": 1.0}, "below 1"),
    ],
)
def test_slips(fields, says):
    with pytest.raises(StudyError) as error:
        Data(**fields)
    assert says in str(error.value)


def test_every_slip_is_told_at_once():
    with pytest.raises(StudyError) as error:
        Data(name="noisy_line", nois=1, size=0)
    assert "nois: " in str(error.value) and "size: " in str(error.value)


def test_a_keras_set_may_be_read_from_a_file():
    data = Data(name="mnist", path="mnist.npz")
    assert (data.kind.title, data.label, data.arguments) == ("mnist", "mnist", {})


def test_arguments_of_a_call_are_free():
    assert Data(call="a:b", anything=[1]).arguments == {"anything": [1]}


def test_a_default_spelled_out_is_the_same_study():
    plain, spelled = Data(name="noisy_line"), Data(name="noisy_line", size=50, noise=0.3)
    assert plain.arguments == {} and plain.model_dump() == spelled.model_dump()
    assert Data.model_validate(plain.model_dump()).model_dump() == plain.model_dump()
    again = Data.model_validate_json(plain.model_dump_json())
    assert again.model_dump() == plain.model_dump()


@pytest.mark.parametrize(
    "fields, shape",
    [
        ({"name": "digits"}, (8, 8, 1)),
        ({"name": "noisy_line"}, (1,)),
        ({"name": "badly_scaled", "ranges": [1.0, 2.0, 3.0]}, (3,)),
        ({"name": "cifar10"}, (32, 32, 3)),
        ({"name": "imdb"}, (200,)),
        ({"name": "reuters", "encoding": "multi_hot", "num_words": 50}, (50,)),
        ({"directory": "nowhere", "image_size": [6, 7]}, (6, 7, 3)),
        ({"directory": "nowhere", "image_size": [6, 7], "color_mode": "grayscale"}, (6, 7, 1)),
        ({"call": "a:b"}, None),
        ({"path": "nowhere.npz"}, None),
    ],
)
def test_the_shape_of_an_example(fields, shape):
    assert example_shape(Data(**fields)) == shape


def test_the_shape_in_a_file_is_read_from_its_header(tmp_path, monkeypatch):
    for name, array, shape in (
        ("grey", np.zeros((5, 4, 3), np.uint8), (4, 3, 1)),
        ("series", np.zeros((5, 4, 3), np.float32), (4, 3)),
        ("column", np.zeros(5), (1,)),
    ):
        np.savez_compressed(tmp_path / f"{name}.npz", x_train=array, y_train=np.zeros(5))
        assert example_shape(Data(path=str(tmp_path / f"{name}.npz"))) == shape
    (tmp_path / "broken.npz").write_bytes(b"PK")
    assert example_shape(Data(path=str(tmp_path / "broken.npz"))) is None


def test_the_schema_lists_every_source_with_its_arguments():
    schema = TypeAdapter(Data).json_schema()
    by_title = {each["title"]: each for each in schema["anyOf"]}
    assert {"digits", "noisy_line", "mnist", "path", "directory", "call"} <= set(by_title)
    line = by_title["noisy_line"]
    assert line["properties"]["name"]["enum"] == ["noisy_line"] and line["required"] == ["name"]
    assert {"size", "noise", "seed", "validation", "scale"} <= set(line["properties"])
    assert line["additionalProperties"] is False and "image_size" not in line["properties"]
    assert "path" in by_title["mnist"]["properties"]
    assert by_title["call"]["additionalProperties"] is True


def test_neither_keras_nor_numpy_is_imported():
    code = (
        "import sys; from ablate.study.schema.data import Data, example_shape\n"
        "from ablate.study.schema.model import Model\n"
        "example_shape(Data(name='digits')), Model(name='vgg16')\n"
        "bad = {'keras', 'tensorflow', 'numpy', 'sklearn'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_arguments_of_a_call_that_are_keys_of_the_section_stand_apart():
    fields = {"call": "own:load", "rows": 5, "arguments": {"limit": 3, "path": "x.csv"}, "limit": 9}
    data = Data(**fields)
    assert data.arguments == {"rows": 5, "limit": 3, "path": "x.csv"}
    assert (data.limit, data.path) == (9, None)
    dumped = data.model_dump()
    assert (dumped["limit"], dumped["rows"], dumped["path"]) == (9, 5, None)
    assert Data(**{key: each for key, each in dumped.items() if each is not None}) == data
    with pytest.raises(StudyError, match=r"data.arguments|arguments: expected a mapping"):
        Data(call="own:load", arguments=[1])
    with pytest.raises(StudyError, match="'rows' is given twice"):
        Data(call="own:load", rows=1, arguments={"rows": 2})
