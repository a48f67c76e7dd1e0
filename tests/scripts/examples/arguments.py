# ruff: noqa: E402
"""A script that takes arguments, and plots after its fit."""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args()

import matplotlib.pyplot as plt
import numpy as np
from tensorflow.keras.layers import Dense
from tensorflow.keras.models import Sequential
from tensorflow.keras.optimizers import RMSprop

data = np.load(args.data)
model = Sequential()
model.add(Dense(12, activation="relu", input_dim=3))
model.add(Dense(1))
model.compile(loss="mse", optimizer=RMSprop(learning_rate=args.lr), metrics=["mae"])
history = model.fit(data["x"], data["y"], epochs=3, validation_split=0.2)
plt.plot(history.history["loss"])
plt.plot(history.history["val_loss"])
plt.savefig("loss.png")
plt.show()
