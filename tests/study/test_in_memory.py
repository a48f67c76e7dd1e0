"""Live objects stand in a study until they become files, the same files every time."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablate.config import dump_study
from ablate.data import load
from ablate.data.live import unflat
from ablate.errors import DataError, StudyError
from ablate.study.in_memory import without_accidents
from ablate.study.study import Study

X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])


class SavesItself:
    """What a Keras model is to a study: it has layers and saves itself, dated."""

    layers: tuple[Any, ...] = ()
    weights: tuple[Any, ...] = ()
    saved = 0

    def get_config(self) -> dict[str, Any]:
        return {}

    def save(self, path: Path) -> None:
        self.saved += 1
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{}")
            archive.writestr("metadata.json", json.dumps({"date_saved": f"{self.saved}"}))


def study(**fields: Any) -> Study:
    base = {"study": "mine", "data": (X, Y), "model": {"name": "mlp"}, "variants": {"plain": {}}}
    return Study(**{**base, **fields})


def arrays(made: Study, folder: Path) -> dict[str, list[Any]]:
    path = made.materialised(folder).data.path
    assert path == str(folder / "data.npz")
    with np.load(path) as archive:
        return {name: archive[name].tolist() for name in archive}


PAIR = {"x_train": X.tolist(), "y_train": Y.tolist()}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ((X, Y), PAIR),
        ([X, Y.tolist()], PAIR),
        ({"x": X, "y": Y}, PAIR),
        (lambda: (X, Y), PAIR),
        ({"path": (X, Y), "validation": 0.5}, PAIR),
        ({"call": lambda: {"x_train": X, "y_train": Y}}, PAIR),
        (((X, Y), (X[:1], Y[:1])), PAIR | {"x_test": X[:1].tolist(), "y_test": Y[:1].tolist()}),
        ({"x": X, "y": Y, "x_val": X[:2]}, PAIR | {"x_val": X[:2].tolist()}),
    ],
)
def test_arrays_in_any_usual_form_become_an_npz(data: Any, expected: Any, tmp_path: Path) -> None:
    assert arrays(study(data=data), tmp_path) == expected


def test_other_keys_of_the_section_are_kept(tmp_path: Path) -> None:
    made = study(data={"path": (X, Y), "validation": 0.5}).materialised(tmp_path)
    assert (made.data.validation, made.in_memory) == (0.5, None)


def test_a_model_becomes_a_file_that_keeps_its_weights(tmp_path: Path) -> None:
    model = SavesItself()
    made = study(model=model)
    assert made.in_memory
    assert model.saved == 0
    saved = made.materialised(tmp_path).model
    assert (saved.file, saved.weights) == (str(tmp_path / "model.keras"), None)


def test_a_function_that_makes_a_model_gives_fresh_weights(tmp_path: Path) -> None:
    made = study(model=lambda: SavesItself()).materialised(tmp_path)
    assert (made.model.file, made.model.weights) == (str(tmp_path / "model.keras"), "fresh")


def test_equal_objects_give_equal_files_and_touch_nothing(tmp_path: Path) -> None:
    made = study(model=SavesItself())
    made.materialised(tmp_path)
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.iterdir()}
    made.materialised(tmp_path)  # the model would be dated anew
    after = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.iterdir()}
    assert after == before
    assert set(after) == {"data.npz", "model.keras"}


def test_a_study_of_files_is_its_own_materialisation(tmp_path: Path) -> None:
    made = study(data={"name": "digits"})
    assert made.materialised(tmp_path) is made
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ((X, Y, Y, Y), "data: expected .* Received: a tuple of 4."),
        ({"x": X, "z": Y}, "data: 'z' is none of the arrays that are read"),
        (([object()], Y), "data: x_train holds Python objects"),
    ],
)
def test_what_is_no_data_is_told(data: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=expected):
        study(data=data).materialised(tmp_path)


def test_options_stand_beside_live_data(tmp_path: Path) -> None:
    data = {"x": X, "y": Y, "sample_weight": Y + 1.0, "groups": Y, "split": "ordered", "test": 0.5}
    made = study(data=data).materialised(tmp_path).data
    assert (made.split, made.test, made.groups) == ("ordered", 0.5, None)
    found = load(made).train
    assert found.weight is not None
    assert found.groups is not None
    assert (found.weight.tolist(), found.groups.tolist()) == ((Y + 1.0).tolist(), Y.tolist())


def test_several_inputs_and_facts_are_kept(tmp_path: Path) -> None:
    data = {
        "train": ({"a": X, "b": X + 1}, Y),
        "test": ([X, X + 2], Y),
        "class_names": ["no", "yes"],
    }
    named = unflat(dict(np.load(str(study(data=data).materialised(tmp_path).data.path))))
    assert {key: each.tolist() for key, each in named["x_train"].items()} == {
        "a": X.tolist(),
        "b": (X + 1).tolist(),
    }
    assert [each.tolist() for each in named["x_test"]] == [X.tolist(), (X + 2).tolist()]
    assert named["class_names"].tolist() == ["no", "yes"]


def test_a_memmap_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("conversion", "npz"):
        monkeypatch.setattr(f"ablate.data.{place}.LARGE", 0)
    x = np.memmap(tmp_path / "x.dat", "float32", "w+", offset=8, shape=(6, 2))
    x[:] = X
    made = study(data=(x[2:], Y[2:])).materialised(tmp_path / "inputs").data
    assert made.path == str(tmp_path / "inputs" / "data")
    assert (tmp_path / "inputs" / "data" / "x_train.rows").resolve() == tmp_path / "x.dat"
    assert np.asarray(load(made).train.x).tolist() == X[2:].tolist()
    assert study(data=(x[2:], Y[2:])).materialised(tmp_path / "inputs").data == made


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"model: expected a Keras model, .* type int"):
        study(model=lambda: 3).materialised(tmp_path)


def test_a_live_study_cannot_be_written_but_pickled() -> None:
    made = study()
    with pytest.raises(StudyError, match="holds objects, which no file can"):
        dump_study(made)
    assert pickle.loads(pickle.dumps(made)).in_memory


def test_a_keras_model_is_saved_the_same_every_time_and_loads(tmp_path: Path) -> None:
    import keras

    inputs = keras.Input((2,), name="in")
    outputs = keras.layers.Dense(2, activation="softmax", name="out")(inputs)
    model = keras.Model(inputs, outputs, name="mine")
    model.compile("sgd", "sparse_categorical_crossentropy")
    made = study(model=model)
    first = made.materialised(tmp_path / "a").model.file
    second = made.materialised(tmp_path / "b").model.file
    assert first is not None
    assert second is not None
    assert Path(first).read_bytes() == Path(second).read_bytes()
    loaded = keras.models.load_model(first)
    assert [w.tolist() for w in loaded.get_weights()] == [w.tolist() for w in model.get_weights()]
    assert [path.name for path in (tmp_path / "a").glob("*.keras")] == ["model.keras"]


def test_addresses_of_shared_objects_are_no_part_of_a_file(tmp_path):
    written = []
    for first, second in ((140320, 7), (9, 140147)):
        config = f'{{"a": {{"shared_object_id": {first}}}, "b": {{"shared_object_id": {second}}}, '
        config += f'"c": {{"shared_object_id": {first}}}}}'
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
            archive.writestr("metadata.json", json.dumps({"date_saved": str(first)}))
            archive.writestr("config.json", config)
        written.append(without_accidents(tmp_path / "m.keras"))
    assert written[0] == written[1]
    with zipfile.ZipFile(io.BytesIO(written[0])) as archive:
        ids = [
            each["shared_object_id"] for each in json.loads(archive.read("config.json")).values()
        ]
    assert ids == [0, 1, 0]
