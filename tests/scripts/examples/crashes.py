"""A script of Keras 2 that ends before its fit."""

import keras

model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
model.compile(optimizer=keras.optimizers.Adam(lr=0.1), loss="mse")
model.fit([[0.0, 1.0]], [[0.0, 1.0, 2.0]])
