"""The walk: rebuilding with edits, and what a rebuild keeps."""

import keras
import numpy as np
import pytest
from keras import layers

from ablate.errors import SurgeryError
from ablate.surgery import Edits, insert, rebuild, remove
from ablate.surgery.graph import read
from tests.surgery.cases import CASES, Scale, draw, randomized


def test_the_map_tells_which_layer_stands_for_which():
    model, _ = CASES["three_levels"]()
    built = rebuild(model)
    middle = model.get_layer("middle")
    assert built.layers[model] is built.model
    assert built.layers[middle] is built.model.get_layer("middle")
    deep = middle.get_layer("deep")
    assert built.layers[deep.get_layer("fc")] is built.layers[deep].get_layer("fc")


def test_a_layer_can_be_configured_anew():
    model, x = CASES["sequential"]()
    fc2 = model.get_layer("fc2")
    edits = Edits(configure={fc2: lambda config: {**config, "use_bias": True}}, fresh={fc2})
    built = rebuild(model, edits)
    new = built.layers[fc2]
    new.set_weights([fc2.kernel, np.zeros(4)])
    assert new.use_bias
    assert np.array_equal(built.model(x), model(x))
    assert isinstance(new.kernel_initializer, keras.initializers.GlorotUniform)
    with pytest.raises(SurgeryError, match="has other variables"):
        rebuild(model, Edits(configure=edits.configure))


def test_edits_before_and_after_single_calls():
    model, x = CASES["called_twice_in_a_row"]()
    first, second = read(model).calls_of(model.get_layer("loop"))
    edits = Edits(
        before={second.key: [Scale(2.0, name="twice")]},
        after={first.key: [Scale(3.0, name="thrice")]},
    )
    new = rebuild(model, edits).model
    loop, end = model.get_layer("loop"), model.get_layer("end")
    assert np.allclose(new(x), end(loop(loop(x) * 6.0)), atol=1e-6)


def test_masks_of_new_layers_get_names_of_their_own():
    inputs = keras.Input((5,), dtype="int32", name="tokens")
    words = layers.Embedding(7, 4, mask_zero=True, name="words")(inputs)
    other = layers.Embedding(7, 4, mask_zero=True, name="other")(inputs)
    x = layers.LSTM(4, name="lstm")(words) + layers.GlobalMaxPooling1D(name="pool")(other)
    model = randomized(keras.Model(inputs, layers.Dense(2, name="head")(x)))
    keras.backend.clear_session()  # automatic names start anew, as in a process that loads a model
    values = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 1]], "int32")
    new = insert(model, "BatchNormalization", where=["words", "other"], epsilon=0.0)
    assert np.array_equal(new(values), model(values))
    again = type(new).from_config(new.get_config())
    again.set_weights(new.get_weights())
    assert np.array_equal(again(values), model(values))
    assert remove(new).get_config() == model.get_config()


def test_a_schedule_of_ones_own_survives():
    class Halving(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.5**step

        def get_config(self):
            return {}

    model, x = CASES["sequential"]()
    model.compile(keras.optimizers.Adam(Halving(), clipnorm=1.0), "mse")
    model.fit(x, draw(5, 2), verbose=0)
    new = rebuild(model).model
    assert isinstance(new.optimizer._learning_rate, Halving)
    assert new.optimizer.clipnorm == 1.0
    assert new.optimizer.built
    assert rebuild(model, compiled=False).model.compiled is False


def test_a_compile_of_ones_own_that_cannot_be_repeated_is_an_error():
    class Own(keras.Model):
        def compile(self, teacher, **kwargs):
            super().compile(**kwargs)

    inputs = keras.Input((3,))
    model = Own(inputs, layers.Dense(2, name="fc")(inputs), name="own")
    model.compile("someone", optimizer="sgd", loss="mse")
    with pytest.raises(SurgeryError, match=r"could not be compiled as 'own' \(Own\) was"):
        rebuild(model)


def test_a_loss_by_an_outputs_name_needs_that_output():
    model, _ = CASES["several_outputs"]()
    model.compile("sgd", loss={"left": "mse", "right": "mse", "trunk": "mae"})
    assert rebuild(model).model.loss == {"left": "mse", "right": "mse", "trunk": "mae"}


def test_a_class_that_cannot_be_constructed_as_its_parent_is_an_error():
    class Greedy(keras.Model):
        def __init__(self, *args, greed=None, **kwargs):
            if greed is None:
                raise TypeError("greed is missing")
            super().__init__(*args, **kwargs)

    inputs = keras.Input((3,))
    model = Greedy(inputs, layers.Dense(2)(inputs), greed=1, name="greedy")
    with pytest.raises(SurgeryError, match=r"greed is missing.*keras.Model\(model.input"):
        rebuild(model)


class Keeping(layers.Layer):
    """Returns what it gets, in the dtype in which it gets it."""

    def call(self, x):
        return x


def test_a_layer_that_is_not_to_cast_its_inputs_does_not_in_a_copy():
    inputs = keras.Input((3,))
    keeping = Keeping(dtype="mixed_float16", name="keeping")
    keeping.autocast = False
    model = keras.Model(inputs, keeping(inputs))
    x = np.full((2, 3), 1 / 3, "float32")
    for new in (rebuild(model).model, insert(model, "Dropout", rate=0.5, where="keeping")):
        assert not new.get_layer("keeping").autocast
        assert new(x).dtype == model(x).dtype == "float32"
        assert np.array_equal(new.get_layer("keeping")(x), x)
