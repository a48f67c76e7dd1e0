"""A folder of images with augmentation, as the tutorials on image classification have it."""

import sys

import keras
import tensorflow as tf
from keras import layers

train_ds, val_ds = keras.utils.image_dataset_from_directory(
    sys.argv[1],
    validation_split=0.25,
    subset="both",
    seed=1337,
    image_size=(16, 16),
    batch_size=8,
)
augmentation = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])
train_ds = train_ds.map(lambda img, label: (augmentation(img), label))
train_ds = train_ds.prefetch(tf.data.AUTOTUNE)
val_ds = val_ds.prefetch(tf.data.AUTOTUNE)

inputs = keras.Input(shape=(16, 16, 3))
x = layers.Rescaling(1.0 / 255)(inputs)
x = layers.Conv2D(4, 3, strides=2)(x)
x = layers.BatchNormalization()(x)
x = layers.Activation("relu")(x)
x = layers.GlobalAveragePooling2D()(x)
x = layers.Dropout(0.25)(x)
model = keras.Model(inputs, layers.Dense(1, activation=None)(x))
model.compile(
    optimizer=keras.optimizers.Adam(3e-4),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
    metrics=[keras.metrics.BinaryAccuracy(name="acc")],
)
model.fit(train_ds, epochs=2, validation_data=val_ds)
