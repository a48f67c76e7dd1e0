"""The functional API with two inputs and two outputs, as the guide to it has them."""

import keras
import numpy as np
from keras import layers

rng = np.random.default_rng(0)
title = rng.normal(size=(80, 6)).astype("float32")
tags = rng.integers(0, 2, size=(80, 4)).astype("float32")
priority = (title[:, :1] > 0).astype("float32")
department = keras.utils.to_categorical(tags.sum(-1) > 2, 2)

title_input = keras.Input(shape=(6,), name="title")
tags_input = keras.Input(shape=(4,), name="tags")
x = layers.concatenate([layers.Dense(8, activation="relu")(title_input), tags_input])
x = layers.BatchNormalization()(x)
priority_pred = layers.Dense(1, name="priority", activation="sigmoid")(x)
department_pred = layers.Dense(2, name="department")(x)
model = keras.Model(
    inputs=[title_input, tags_input],
    outputs={"priority": priority_pred, "department": department_pred},
)
model.compile(
    optimizer=keras.optimizers.RMSprop(1e-3),
    loss={
        "priority": keras.losses.BinaryCrossentropy(),
        "department": keras.losses.CategoricalCrossentropy(from_logits=True),
    },
    metrics={"priority": ["accuracy"]},
    loss_weights={"priority": 1.0, "department": 0.2},
)
model.fit(
    {"title": title, "tags": tags},
    {"priority": priority, "department": department},
    epochs=2,
    batch_size=32,
)
