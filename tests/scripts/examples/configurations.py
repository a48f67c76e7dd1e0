"""One function per configuration, fitted in a loop and compared by the script itself."""

import json

import numpy as np
from tensorflow.keras.layers import BatchNormalization, Dense, Dropout, Input
from tensorflow.keras.models import Sequential
from tensorflow.keras.utils import to_categorical

np.random.seed(0)
X = np.random.randn(200, 5)
Y = to_categorical((X[:, 0] > 0).astype(int))


def build(name, dropout, bn):
    model = Sequential(name=name)
    model.add(Input((5,)))
    model.add(Dense(8, activation="relu"))
    if bn:
        model.add(BatchNormalization())
    if dropout:
        model.add(Dropout(dropout))
    model.add(Dense(2, activation="softmax"))
    model.compile("adam", "categorical_crossentropy", metrics=["acc"])
    return model


best = {}
for name, dropout, bn in [("plain", 0, False), ("bn", 0, True), ("dropped", 0.5, False)]:
    model = build(name, dropout, bn)
    history = model.fit(X, Y, epochs=3, verbose=0, validation_split=0.2)
    best[name] = max(history.history["val_acc"])
with open("best.json", "w") as file:
    json.dump(best, file)
