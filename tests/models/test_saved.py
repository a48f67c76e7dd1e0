"""Models that people bring: files and functions."""

import sys

import keras
import numpy as np
import pytest

from ablate.errors import StudyError
from ablate.models import InputOutputSpec, Target, base, build, origin, output_activations
from ablate.study.schema.model import Model
from tests.models import former


def goal(classes):
    return InputOutputSpec((4,), Target("classification", (), classes))


@pytest.fixture
def saved(tmp_path):
    model = build("mlp", (4,), 3, units=[5])
    path = tmp_path / "mine.keras"
    model.save(path)
    return model, str(path)


def test_a_file_keeps_its_weights(saved):
    model, path = saved
    loaded = base(Model(file=path), goal(3))
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert origin(loaded).kept and origin(loaded).fresh == ()


def test_fresh_weights_are_drawn_anew(saved):
    model, path = saved
    loaded = base(Model(file=path, weights="fresh"), goal(3))
    assert loaded.get_config() == model.get_config()
    assert not np.array_equal(loaded.get_weights()[0], model.get_weights()[0])
    assert not origin(loaded).kept


@pytest.mark.parametrize("separate", [False, True])
def test_other_classes_get_a_new_last_layer(tmp_path, separate):
    layers = [keras.layers.Dense(5, name="hidden")]
    if separate:
        layers += [keras.layers.Dense(3, name="logits"), keras.layers.Softmax(name="ends")]
    else:
        layers += [keras.layers.Dense(3, activation="softmax", name="logits")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.save(tmp_path / "m.keras")
    loaded = base(Model(file=str(tmp_path / "m.keras")), goal(7))
    assert loaded.output_shape == (None, 7)
    assert [each.name for each in loaded.layers[1:]] == [each.name for each in model.layers]
    np.testing.assert_array_equal(
        loaded.get_layer("hidden").get_weights()[0], model.get_layer("hidden").get_weights()[0]
    )
    outputs = keras.ops.convert_to_numpy(loaded(np.ones((2, 4))))
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-6)
    assert origin(loaded).kept and origin(loaded).fresh == ("logits",)
    assert origin(loaded).notes == (
        "the data has 7 classes, 'm.keras' gave 3: its last layer is new",
    )


def ends_in(tmp_path, units, activation, shape=(4,)):
    """Save a model with such an end, and return its path."""
    model = keras.Sequential(
        [keras.Input(shape), keras.layers.Dense(units, activation=activation, name="end")]
    )
    model.save(tmp_path / "own.keras")
    return str(tmp_path / "own.keras")


LABELS = Target("classification", (4,), 2)  # four of 0 or 1
TOKENS = Target("classification", (4,), 3)  # a class for each of four positions
TWO = Target("classification", (), 2)
MASK = Target("classification", (6, 6), 2)


@pytest.mark.parametrize(
    "units, activation, shape, aim",
    [
        (4, "sigmoid", (4,), LABELS),
        (4, "linear", (4,), LABELS),
        (2, "softmax", (4, 3), LABELS),  # or a class for each of four positions
        (3, "softmax", (4, 5), TOKENS),
        (1, "sigmoid", (4,), TWO),
        (1, "sigmoid", (6, 6, 3), MASK),
        (2, "softmax", (6, 6, 3), MASK),
        (9, "softmax", (4,), Target("classification", (), 3)),
    ],
)
def test_a_head_whose_shape_fits_stays(tmp_path, units, activation, shape, aim):
    path = ends_in(tmp_path, units, activation, shape)
    loaded = base(Model(file=path), InputOutputSpec(shape, aim))
    assert loaded.output_shape == (None, *shape[:-1], units)
    assert origin(loaded).fresh == ()
    surplus = "'own.keras' gives 9 classes, the data has 3: its last layer is kept"
    assert [each.startswith(surplus) for each in origin(loaded).notes] == [True] * (units == 9)


@pytest.mark.parametrize(
    "units, activation, aim, new, ending",
    [
        (3, "sigmoid", LABELS, 4, "sigmoid"),
        (3, "softmax", LABELS, 4, "sigmoid"),
        (1, "sigmoid", Target("classification", (), 3), 3, "softmax"),
        (1, "linear", Target("classification", (), 3), 3, "linear"),
        (4, "softmax", Target("classification", (5,), 5, one_hot=True), 5, "softmax"),
    ],
)
def test_a_head_whose_shape_cannot_fit_is_replaced(tmp_path, units, activation, aim, new, ending):
    loaded = base(Model(file=ends_in(tmp_path, units, activation)), InputOutputSpec((4,), aim))
    assert (loaded.output_shape[-1], output_activations(loaded)) == (new, [ending])
    assert origin(loaded).fresh == ("end",)
    note = origin(loaded).notes[0]
    assert note.endswith(f"'own.keras' gave {units}: its last layer is new")


def test_a_head_is_kept_or_replaced_as_asked(tmp_path):
    path = ends_in(tmp_path, 3, "softmax")
    replaced = base(Model(file=path, head="replace"), goal(3))
    assert replaced.output_shape == (None, 3) and origin(replaced).fresh == ("end",)
    assert "its last layer is new" in origin(replaced).notes[0]
    kept = base(Model(file=ends_in(tmp_path, 9, "softmax"), head="keep"), goal(3))
    assert kept.output_shape == (None, 9) and origin(kept).fresh == ()
    with pytest.raises(StudyError, match="gives 9 classes; the data has 12"):
        base(Model(file=path, head="keep"), goal(12))
    numbers = base(
        Model(file=path, head="replace"), InputOutputSpec((4,), Target("regression", (2,)))
    )
    assert (numbers.output_shape, output_activations(numbers)) == ((None, 2), ["linear"])


def test_integers_of_many_values_in_a_row_are_no_reason_for_a_new_head(tmp_path):
    counts = InputOutputSpec((4,), Target("classification", (4,), 10))
    with pytest.raises(StudyError, match=r"gives 4 classes; .* say task: regression"):
        base(Model(file=ends_in(tmp_path, 4, "linear")), counts)


def test_a_head_that_cannot_be_exchanged(tmp_path):
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(3, 2)(inputs))
    keras.Model(inputs, x).save(tmp_path / "m.keras")
    with pytest.raises(StudyError, match="ends in no Dense layer"):
        fits = InputOutputSpec((4, 4, 1), Target("classification", (), 5))
        base(Model(file=str(tmp_path / "m.keras")), fits)


def test_a_file_in_another_type(saved):
    model, path = saved
    loaded = base(Model(file=path), goal(3), "mixed_bfloat16")
    assert loaded.get_layer("dense1").compute_dtype == "bfloat16"
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
    assert origin(loaded).kept


def test_an_h5_file(tmp_path, saved):
    model, _ = saved
    model.save(tmp_path / "m.h5")
    loaded = base(Model(file=str(tmp_path / "m.h5")), goal(3))
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


class Odd(keras.layers.Layer):
    """A layer that nobody registered."""

    def call(self, x):
        return x


def test_files_that_are_no_model(tmp_path, saved):
    (tmp_path / "broken.keras").write_bytes(b"broken")
    model = keras.Sequential([keras.Input((4,)), Odd(), keras.layers.Dense(3)])
    model.save(tmp_path / "odd.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    for file, says in (
        (tmp_path / "mine.kers", "Did you mean 'mine.keras'?"),
        (tmp_path / "broken.keras", "is not a .keras file"),
        (tmp_path / "odd.keras", "needs classes or functions.*'Odd'.*model.call"),
        (tmp_path / "m.weights.h5", "weights without a model"),
    ):
        with pytest.raises(StudyError, match=says):
            base(Model(file=str(file)), goal(3))


@pytest.mark.parametrize(
    "fits, says",
    [
        (InputOutputSpec((5,), Target("classification", (), 3)), r"takes examples of shape \(4,\)"),
        (InputOutputSpec((4, 1), Target("classification", (), 3)), "data.add_channel: false"),
        (InputOutputSpec((4,), Target("regression", (2,))), r"gives numbers of shape \(3,\)"),
        (
            InputOutputSpec([(4,), (4,)], Target("classification", (), 3)),
            "has 1 inputs, the data 2",
        ),
        (InputOutputSpec((4,), [Target("regression", (3,))] * 2), "has 1 outputs, the data 2"),
    ],
)
def test_data_that_does_not_fit(saved, fits, says):
    with pytest.raises(StudyError, match=says):
        base(Model(file=saved[1]), fits)


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_models.py").write_text(
        "import keras\n"
        "def plain(input_shape, classes, width=4):\n"
        "    return keras.Sequential([keras.Input(input_shape),\n"
        "        keras.layers.Dense(width), keras.layers.Dense(classes, 'softmax')])\n"
        "def unbuilt(): return keras.Sequential([keras.layers.Dense(3, 'softmax')])\n"
        "def none(): return 3\n"
        "def broken(): raise RuntimeError('no luck')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("my_models", None)


def test_a_function_gets_its_arguments_and_the_shapes(module):
    model = base(Model(call="my_models:plain", width=6), goal(3))
    assert [layer.units for layer in model.layers] == [6, 3]
    assert origin(model).kept is False
    assert base(Model(call="my_models:unbuilt"), goal(3)).output_shape == (None, 3)


@pytest.mark.parametrize(
    "fields, classes, says",
    [
        ({"call": "my_models:plain", "widht": 6}, 3, "cannot be called like that"),
        ({"call": "my_models:none"}, 3, "returned a int"),
        ({"call": "my_models:broken"}, 3, "raised RuntimeError: no luck"),
        ({"call": "my_models:unbuilt"}, 9, "gives 3 classes; the data has 9"),
        ({"call": "my_models:plane"}, 3, "Did you mean 'plain'?"),
    ],
)
def test_functions_that_fail(module, fields, classes, says):
    with pytest.raises(StudyError, match=says):
        base(Model(**fields), goal(classes))


def test_a_file_knows_the_classes_of_the_modules_that_a_study_imports(tmp_path, monkeypatch):
    (tmp_path / "scaling_of_mine.py").write_text(
        "import keras\n\n\n@keras.saving.register_keras_serializable('scaling')\n"
        "class Twice(keras.layers.Layer):\n    def call(self, x):\n        return 2 * x\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import scaling_of_mine

    inputs = keras.Input((4,))
    x = scaling_of_mine.Twice(name="twice")(inputs)
    keras.Model(inputs, keras.layers.Dense(3, name="out")(x)).save("mine.keras")
    keras.saving.get_custom_objects().pop("scaling>Twice")
    del sys.modules["scaling_of_mine"]
    with pytest.raises(StudyError, match=r"'Twice'.*model\.imports"):
        base(Model(file="mine.keras"), goal(3))
    model = base(Model(file="mine.keras", imports=["scaling_of_mine"]), goal(3))
    assert type(model.get_layer("twice")).__name__ == "Twice"
    with pytest.raises(StudyError, match=r"model\.imports: there is no module 'no_such'"):
        base(Model(file="mine.keras", imports=["no_such"]), goal(3))
    with pytest.raises(StudyError, match="'imports' belongs to a file"):
        Model(call="json:loads", imports=["json"])


def test_what_was_translated_in_a_file_is_a_note(tmp_path):
    former.depthwise_groups(tmp_path / "m.h5")
    model = base(Model(file=str(tmp_path / "m.h5")), goal_of_images())
    assert origin(model).notes[0].startswith("'m.h5' is of Keras 2.11.0, translated: groups")


def goal_of_images():
    return InputOutputSpec((8, 8, 3), Target("classification", (), 3))
