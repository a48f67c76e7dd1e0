"""Sentences through a TextVectorization inside the model."""

import keras
import numpy as np
from keras import layers

good, bad = ["a fine film", "i liked it", "great fun"], ["a bad film", "i hated it", "no fun"]
texts = np.array((good + bad) * 12)
labels = np.array(([1] * 3 + [0] * 3) * 12)

vectorize = layers.TextVectorization(max_tokens=50, output_sequence_length=4)
vectorize.adapt(texts)
inputs = keras.Input(shape=(), dtype="string")
x = vectorize(inputs)
x = layers.Embedding(50, 8)(x)
x = layers.LSTM(8, dropout=0.2)(x)
x = layers.Dropout(0.5)(x)
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(texts, labels, batch_size=16, epochs=2, validation_split=0.25)
