"""Training by GradientTape, without a fit."""

import keras
import numpy as np
import tensorflow as tf

model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
optimizer = keras.optimizers.SGD()
for _ in range(3):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(np.ones((4, 2), "float32")) ** 2)
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
