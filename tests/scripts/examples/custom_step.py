"""A functional model with a train_step of its own."""

import keras
import numpy as np
import tensorflow as tf


class Doubled(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = 2.0 * self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, self(x, training=False))
        return {m.name: m.result() for m in self.metrics}


x = np.random.random((96, 5)).astype("float32")
y = x.sum(-1, keepdims=True)
inputs = keras.Input(shape=(5,))
hidden = keras.layers.Dense(8, activation="relu")(inputs)
hidden = keras.layers.BatchNormalization()(hidden)
model = Doubled(inputs, keras.layers.Dense(1)(hidden))
model.compile(optimizer="sgd", loss="mse", metrics=["mae"])
model.fit(x, y, epochs=2, validation_split=0.25)
