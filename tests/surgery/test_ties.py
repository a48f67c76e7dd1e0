"""Tied weights: what is one variable in the model is one in every copy, or there is no copy."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from ablate.errors import SurgeryError
from ablate.surgery import calibrate, fold, fold_report, insert, rebuild, remove, ties

TOKENS = np.arange(14).reshape(2, 7) % 20


class Head(layers.Layer):
    """Scores tokens by the table of an embedding that it holds."""

    def __init__(self, table, **kwargs):
        super().__init__(**kwargs)
        self.table = table

    def build(self, input_shape):
        self.table.build()
        super().build(input_shape)

    def call(self, x):
        return ops.matmul(x, ops.transpose(self.table.embeddings))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 20)

    def get_config(self):
        return {**super().get_config(), "table": keras.saving.serialize_keras_object(self.table)}

    @classmethod
    def from_config(cls, config):
        table = keras.saving.deserialize_keras_object(config.pop("table"))
        return cls(table=table, **config)


class Listed(Head):
    """Holds the embedding in a list."""

    def __init__(self, table, **kwargs):
        super(Head, self).__init__(**kwargs)
        self.tables = [table]

    @property
    def table(self):
        return self.tables[0]


class Nested(Head):
    """Holds the embedding in a tuple inside a dict."""

    def __init__(self, table, **kwargs):
        super(Head, self).__init__(**kwargs)
        self.tables = {"words": (table,)}

    @property
    def table(self):
        return self.tables["words"][0]


class Bare(Head):
    """Holds the variable itself, beside a layer that it was made from."""

    def build(self, input_shape):
        super().build(input_shape)
        self.weight = self.table.embeddings
        self.built = True

    def call(self, x):
        return ops.matmul(x, ops.transpose(self.weight))


class Silent(Head):
    """Does not say in its configuration what it holds."""

    def get_config(self):
        return layers.Layer.get_config(self)

    @classmethod
    def from_config(cls, config):
        table = layers.Embedding(20, 6)
        table.build()
        own = layers.Embedding(20, 6)  # one more, so that the two cannot be told apart
        own.build()
        made = cls(table=table, **config)
        made.own = own
        return made


class Backbone(keras.Model):
    """A functional model that surgery takes for a leaf, as those of KerasHub."""

    def __init__(self, size=20, **kwargs):
        table = layers.Embedding(size, 6, name="table")
        inputs = keras.Input((7,), dtype="int32")
        outputs = layers.Dense(6, activation="tanh", name="inner")(table(inputs))
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.table, self.size = table, size

    def get_config(self):
        return {"size": self.size, "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def language_model(head=Head):
    keras.utils.set_random_seed(0)
    table = layers.Embedding(20, 6, name="table")
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Dense(6, activation="relu", name="d")(table(inputs))
    return keras.Model(inputs, head(table, name="head")(layers.BatchNormalization(name="bn")(x)))


def two_heads():
    keras.utils.set_random_seed(0)
    table = layers.Embedding(20, 6, name="table")
    table.build()
    inputs = keras.Input((7, 6))
    x = layers.Dense(6, activation="relu", name="d")(inputs)
    x = layers.BatchNormalization(name="bn")(x)
    return keras.Model(inputs, [Head(table, name="one")(x), Head(table, name="two")(x)])


def wrapped():
    keras.utils.set_random_seed(0)
    shared = layers.Dense(6, name="shared")
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Dense(6, activation="relu", name="d")(layers.Embedding(20, 6)(inputs))
    x = layers.BatchNormalization(name="bn")(layers.TimeDistributed(shared, name="each")(x))
    return keras.Model(inputs, shared(layers.GlobalMaxPooling1D()(x)))


def wrapped_sequential():
    keras.utils.set_random_seed(0)
    shared = layers.Dense(6, name="shared")
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Dense(6, activation="relu", name="d")(layers.Embedding(20, 6)(inputs))
    each = layers.TimeDistributed(keras.Sequential([keras.Input((6,)), shared]), name="each")
    x = layers.BatchNormalization(name="bn")(each(x))
    return keras.Model(inputs, shared(layers.GlobalMaxPooling1D()(x)))


def around_a_backbone():
    keras.utils.set_random_seed(0)
    backbone = Backbone(name="backbone")
    inputs = keras.Input((7,), dtype="int32")
    x = layers.BatchNormalization(name="bn")(layers.Dense(6, name="d")(backbone(inputs)))
    return keras.Model(inputs, [x, backbone.table(inputs)])


TIED = {
    "a layer of the graph inside a layer": language_model,
    "in a list": lambda: language_model(Listed),
    "in a tuple in a dict": lambda: language_model(Nested),
    "the variable itself": lambda: language_model(Bare),
    "one layer inside two": two_heads,
    "a wrapper": wrapped,
    "a Sequential in a wrapper": wrapped_sequential,
    "a functional model that is a leaf": around_a_backbone,
}


def inputs_of(model):
    return (
        np.random.default_rng(0).normal(size=(2, 7, 6))
        if model.input.shape[1:] == (7, 6)
        else TOKENS
    )


def distinct(model):
    return len({id(each) for each in model.weights})


OPERATIONS = {
    "insert": lambda model: insert(model, "Dropout", rate=0.5, where="d"),
    "remove": lambda model: remove(model, "bn"),
    "fold": fold,
    "calibrate": lambda model: calibrate(model, inputs_of(model)),
    "copy": lambda model: rebuild(model).model,
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", TIED)
def test_what_is_tied_stays_tied(name, operation):
    model = TIED[name]()
    x = inputs_of(model)
    new = OPERATIONS[operation](model)
    gone = 4 if operation in ("remove", "fold") and "bn" not in {e.name for e in new.layers} else 0
    assert distinct(new) == distinct(model) - gone
    assert not {id(v) for v in new.weights} & {id(v) for v in model.weights}
    again = rebuild(new).model  # a copy of a copy
    assert distinct(again) == distinct(new)
    if operation in ("insert", "copy"):
        for ours, theirs in zip(
            keras.tree.flatten(new(x)), keras.tree.flatten(model(x)), strict=True
        ):
            assert np.array_equal(ours, theirs)


def test_tied_layers_train_as_one_and_stay_tied_in_a_file(tmp_path):
    new = insert(language_model(), "Dropout", rate=0.5, where="d")
    table, head = new.get_layer("table"), new.get_layer("head")
    assert head.table is table
    new.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    new.fit(TOKENS, TOKENS, verbose=0)
    assert np.array_equal(head.table.embeddings, table.embeddings)
    new.save(tmp_path / "new.keras")
    with keras.saving.custom_object_scope({"Head": Head}):
        loaded = keras.saving.load_model(tmp_path / "new.keras")
    assert distinct(loaded) == distinct(new)


def test_what_cannot_be_tied_again_is_refused():
    with pytest.raises(SurgeryError, match=r"'head'.*(come apart|other variables)"):
        insert(language_model(Silent), "Dropout", rate=0.5, where="d")


def test_an_activation_is_not_split_off_a_layer_that_another_one_holds_too():
    keras.utils.set_random_seed(0)
    shared = layers.Dense(6, activation="relu", name="shared")
    inputs = keras.Input((7, 6))
    x = layers.TimeDistributed(shared, name="each")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(shared(layers.GlobalMaxPooling1D()(x))))
    assert {layer.name: other for layer, other in ties.held_elsewhere(model).items()} == {
        "shared": "each",
        "each": "shared",
    }
    with pytest.raises(SurgeryError, match="'each' holds it too"):
        insert(model, "BatchNormalization", at="before_activation", where="shared")
    assert distinct(insert(model, "Dropout", rate=0.5, where="shared")) == distinct(model)


def test_nothing_is_folded_into_weights_that_another_layer_holds_too():
    keras.utils.set_random_seed(0)
    shared = layers.Dense(6, name="shared")
    inputs = keras.Input((7, 6))
    x = layers.GlobalMaxPooling1D()(layers.TimeDistributed(shared, name="each")(inputs))
    norm = layers.BatchNormalization(name="bn")
    model = keras.Model(inputs, layers.ReLU()(norm(shared(x))))
    norm.moving_mean.assign(np.full(6, 3.0))
    (told,) = fold_report(model).foldings
    assert told.action == "kept" and "'each' holds the weights of 'shared' too" in told.reason


def test_a_bias_that_folding_adds_elsewhere_keeps_no_tie_from_being_made_again():
    keras.utils.set_random_seed(0)
    table = layers.Embedding(20, 6, name="table")
    inputs = keras.Input((7,), dtype="int32")
    norm = layers.BatchNormalization(name="bn")
    x = layers.ReLU()(norm(layers.Dense(6, use_bias=False, name="d")(table(inputs))))
    model = keras.Model(inputs, Head(table, name="head")(x))
    norm.moving_mean.assign(np.full(6, 0.1))
    folded = fold(model)
    assert [layer.name for layer in folded.layers if layer.name == "bn"] == []
    assert folded.get_layer("head").table is folded.get_layer("table")
    assert np.abs(np.asarray(folded(TOKENS)) - np.asarray(model(TOKENS))).max() < 1e-5
