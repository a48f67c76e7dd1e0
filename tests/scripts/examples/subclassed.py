"""A subclassed model that has no configuration of its own, fitted in main()."""

import keras
import numpy as np


class Classifier(keras.Model):
    def __init__(self, hidden):
        super().__init__()
        self.hidden = [keras.layers.Dense(units, activation="relu") for units in hidden]
        self.drop = keras.layers.Dropout(0.3)
        self.out = keras.layers.Dense(3)

    def call(self, inputs, training=False):
        x = inputs
        for layer in self.hidden:
            x = layer(x)
        return self.out(self.drop(x, training=training))


def main():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    y = rng.integers(0, 3, size=64)
    net = Classifier((8, 8))
    net.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    net.fit(x, y, epochs=2, validation_data=(x[:16], y[:16]))


if __name__ == "__main__":
    main()
