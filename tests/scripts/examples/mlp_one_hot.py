"""A multilayer perceptron with one-hot labels, as the first pages of tutorials have it."""

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers

num_classes, batch_size, epochs = 3, 16, 3

rng = np.random.default_rng(0)
x = rng.normal(size=(200, 8)).astype("float32")
y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
x_train, x_test = x[:150], x[150:]
y_train = keras.utils.to_categorical(y[:150], num_classes)
y_test = keras.utils.to_categorical(y[150:], num_classes)

model = keras.Sequential(
    [
        keras.Input(shape=(8,)),
        layers.Dense(16, activation="relu"),
        layers.Dropout(0.2),
        layers.Dense(16, activation="relu"),
        layers.Dropout(0.4),
        layers.Dense(num_classes, activation="softmax"),
    ]
)
model.summary()
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(
    x_train,
    y_train,
    batch_size=batch_size,
    epochs=epochs,
    validation_split=0.2,
    callbacks=[
        keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True),
        keras.callbacks.TensorBoard(log_dir="./graph"),
    ],
)
score = model.evaluate(x_test, y_test, verbose=0)
print("Test loss:", score[0])
print("Test accuracy:", score[1])
