"""The best weights are kept in a file, and loaded after the fit; a log of its own."""

import os

import keras
import numpy as np

folder = "saved"
os.makedirs(folder, exist_ok=True)
rng = np.random.default_rng(0)
x = rng.normal(size=(160, 6)).astype("float32")
y = (x[:, 0] + rng.normal(size=160) > 0).astype("int32")

model = keras.Sequential(
    [
        keras.Input((6,)),
        keras.layers.Dense(12, activation="relu"),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
best = os.path.join(folder, "best.weights.h5")


class Notes(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        with open("notes.txt", "a") as stream:
            stream.write(f"{epoch}\n")


model.fit(
    x,
    y,
    epochs=6,
    batch_size=16,
    validation_split=0.25,
    callbacks=[
        keras.callbacks.ModelCheckpoint(
            best, monitor="val_accuracy", save_best_only=True, save_weights_only=True
        ),
        keras.callbacks.EarlyStopping(monitor="val_accuracy", patience=3),
        keras.callbacks.ModelCheckpoint("last.keras"),
        keras.callbacks.CSVLogger("log.csv"),
        Notes(),
    ],
)
model.load_weights(best)
model.evaluate(x[:20], y[:20])
