"""Laws 3 and 4 over random small graphs.

A graph is drawn as a list of steps on tensors of width 4: dense layers with any activation,
normalization, dropout, sums, operations, nested models, layers called again.
"""

from typing import NamedTuple

import keras
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from keras import layers

from ablate.study.positions import POSITIONS
from ablate.study.schema.placement import Placement
from ablate.surgery import canonical_paths, insert, inserted, remove
from tests.surgery.cases import draw, randomized
from tests.surgery.test_round_trips import assert_same, equal, outputs, state

WIDTH = 4
ROWS = 16

#: Law 3 holds in graph execution for these. TensorFlow fuses the others into the host, or (silu,
#: mish) their own factors into one kernel, where a normalization after them gets in between.
UNFUSED = ("linear", "relu", "leaky_relu", "selu", "softplus")
FUSED = ("elu", "gelu", "tanh", "sigmoid", "hard_swish", "silu", "mish")
KINDS = ("dense", "norm", "dropout", "add", "half", "relu", "nest", "again")


class Step(NamedTuple):
    """What happens to which of the tensors made so far."""

    kind: str
    activation: str
    tensor: int
    other: int


def graphs(activations=(*UNFUSED, *FUSED), kinds=KINDS):
    """Lists of steps; two dense layers come first, so that there are hosts."""
    some, place = st.sampled_from(activations), st.integers(0, 2)
    step = st.builds(Step, st.sampled_from(kinds), some, place, place)
    first = st.builds(Step, st.just("dense"), some, st.just(0), st.just(0))
    return st.tuples(first, first, st.lists(step, max_size=5)).map(lambda t: [*t[:2], *t[2]])


def built(steps):
    inputs = keras.Input((WIDTH,), name="row")
    tensors, called = [inputs], []
    for number, step in enumerate(steps):
        x, other = tensors[-1 - step.tensor % len(tensors)], tensors[step.other % len(tensors)]
        if step.kind == "dense":
            called.append(layers.Dense(WIDTH, activation=step.activation, name=f"fc{number}"))
            x = called[-1](x)
        elif step.kind == "norm":
            x = layers.BatchNormalization()(x)
        elif step.kind == "dropout":
            x = layers.Dropout(0.3)(x)
        elif step.kind == "add":
            x = layers.Add()([x, other])
        elif step.kind == "half":
            x = x * 0.5
        elif step.kind == "relu":
            x = keras.ops.relu(x)
        elif step.kind == "nest":
            inner_in = keras.Input((WIDTH,))
            inner = layers.Dense(WIDTH, activation=step.activation, name="inner")(inner_in)
            called.append(keras.Model(inner_in, inner, name=f"block{number}"))
            x = called[-1](x)
        else:
            x = called[step.other % len(called)](x)
        tensors.append(x)
    hidden = layers.Dense(WIDTH, activation="relu", name="last")(tensors[-1])
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(hidden), name="drawn"))


positions = st.sampled_from(POSITIONS)
layer = st.sampled_from([("BatchNormalization", {}), ("Dropout", {"rate": 0.5}), ("ReLU", {})])
placements = st.lists(
    st.builds(
        lambda made, at, where: Placement(layer=made[0], at=at, where=where, **made[1]),
        layer,
        positions,
        st.sampled_from(["hidden", "all", "dense[0]", "last", "head"]),
    ),
    min_size=1,
    max_size=3,
)

law = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)


@law
@given(graphs(), placements)
def test_removal_undoes_insertion_and_the_given_model_is_untouched(steps, asked):
    model, x = built(steps), draw(ROWS, WIDTH)
    before, wanted, paths = state(model), outputs(model, x), canonical_paths(model)
    new = insert(model, asked)
    assert_same(state(model), before)
    found = canonical_paths(new).values()
    assert set(found) >= set(paths.values())
    assert len(set(found)) == len(paths) + len(inserted(new))
    back = remove(new)
    assert_same(state(back), before, calls=False)
    assert equal(outputs(back, x), wanted)


@law
@given(graphs(), positions, st.booleans())
def test_a_calibrated_normalization_is_the_identity_in_eager_execution(steps, at, with_dropout):
    model, x = built(steps), draw(ROWS, WIDTH)
    asked = [Placement(layer="BatchNormalization", at=at, where="all", calibrate=True)]
    if with_dropout:
        asked.append(Placement(layer="Dropout", rate=0.5, at=at, where="hidden"))
    new = insert(model, asked, calibrate=x)
    for rows in (x, draw(ROWS, WIDTH, seed=5)):
        assert equal(outputs(new, rows), outputs(model, rows))


#: TensorFlow also fuses a sum into a linear layer before it (MatMul, BiasAdd, Add).
unfused = graphs(UNFUSED, [kind for kind in KINDS if kind != "add"]) | graphs(UNFUSED[1:])


@settings(law, max_examples=5)
@given(unfused, positions)
def test_and_in_graph_execution_where_nothing_is_fused(steps, at):
    model, x = built(steps), draw(ROWS, WIDTH)
    new = insert(model, "BatchNormalization", at=at, where="all", calibrate=x)
    assert np.array_equal(new.predict_on_batch(x), model.predict_on_batch(x))


@law
@given(graphs(kinds=("dense", "add", "half")), positions)
def test_in_training_mode_the_calibration_set_as_a_batch_moves_nothing(steps, at):
    model, x = built(steps), draw(ROWS, WIDTH)
    new = insert(model, "BatchNormalization", at=at, where="all", calibrate=x)
    [wanted], [found] = outputs(model, x), outputs(new, x, training=True)
    assert np.max(np.abs(found - wanted)) <= 1e-5 * np.max(np.abs(wanted))
