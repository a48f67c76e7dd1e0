"""A layer, a loss, a metric and a callback of the script's own."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.default_rng(1)
x = rng.normal(size=(160, 6)).astype("float32")
y = (x[:, 0] * x[:, 1] > 0).astype("float32")


class Scale(layers.Layer):
    def __init__(self, by=2.0, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def call(self, inputs):
        return inputs * self.by


def focal(gamma=2.0):
    def loss(y_true, y_pred):
        y_true = ops.reshape(y_true, ops.shape(y_pred))
        p = ops.clip(y_pred, 1e-7, 1 - 1e-7)
        hit = y_true * (1 - p) ** gamma * ops.log(p)
        miss = (1 - y_true) * p**gamma * ops.log(1 - p)
        return -ops.mean(hit + miss)

    return loss


def share_of_ones(y_true, y_pred):
    return ops.mean(ops.cast(y_pred > 0.5, "float32"))


class Count(keras.callbacks.Callback):
    def __init__(self, start):
        super().__init__()
        self._from = start

    def on_epoch_end(self, epoch, logs=None):
        logs["counted"] = float(self._from + epoch)


inputs = keras.Input((6,))
hidden = Scale(3.0)(inputs)
hidden = layers.Dense(8, activation="relu", name="hidden")(hidden)
hidden = layers.BatchNormalization()(hidden)
hidden = layers.Dropout(0.2)(hidden)
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))
model.compile(
    keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)),
    loss=focal(),
    metrics=["accuracy", share_of_ones],
)
model.fit(
    x[:120],
    y[:120],
    epochs=2,
    batch_size=32,
    validation_data=(x[120:], y[120:]),
    callbacks=[Count(2)],
)
