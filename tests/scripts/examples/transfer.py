"""Transfer learning with two fits: a frozen base under a new head, then all of it, slowly."""

import keras
import numpy as np

rng = np.random.default_rng(0)
y = rng.integers(0, 2, 96)
x = rng.normal(size=(96, 12, 12, 3)).astype("float32") + y[:, None, None, None] * 0.3

base_model = keras.Sequential(
    [
        keras.Input((12, 12, 3)),
        keras.layers.Conv2D(4, 3, name="conv"),
        keras.layers.BatchNormalization(name="bn"),
        keras.layers.ReLU(),
        keras.layers.GlobalAveragePooling2D(),
    ],
    name="base",
)
base_model.set_weights([w + 0.01 for w in base_model.get_weights()])  # "pre-trained"
base_model.trainable = False

inputs = keras.Input(shape=(12, 12, 3))
features = base_model(inputs, training=False)
features = keras.layers.Dropout(0.2)(features)
outputs = keras.layers.Dense(1)(features)
model = keras.Model(inputs, outputs)

model.compile(
    optimizer=keras.optimizers.Adam(),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
    metrics=[keras.metrics.BinaryAccuracy()],
)
model.fit(x, y, epochs=3, batch_size=32, validation_split=0.25)

base_model.trainable = True
model.compile(
    optimizer=keras.optimizers.Adam(1e-5),  # Low learning rate
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
    metrics=[keras.metrics.BinaryAccuracy()],
)
model.fit(x, y, epochs=2, batch_size=32, validation_split=0.25)
