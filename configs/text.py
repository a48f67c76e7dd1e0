"""Raw strings and a network that takes them, for text.yaml.

Reviews are made of a few phrases, so that nothing has to be downloaded. What counts is the order of
words: "good" and "not good" are of different classes.
"""

from __future__ import annotations

import keras
import numpy as np

THINGS = ("the plot", "the cast", "the music", "the ending", "the camera", "the dialogue")
GOOD = ("good", "funny", "moving", "clever", "a joy")
BAD = ("bad", "dull", "clumsy", "a mess", "too long")
LINKS = ("and", "but", "though", "while")
WORDS = sorted(
    {word for part in (THINGS, GOOD, BAD, LINKS) for text in part for word in text.split()}
)


def reviews(rows: int = 2000, noise: float = 0.1) -> dict[str, np.ndarray]:
    """Return reviews, and whether their last judgement is a good one; some labels are wrong."""
    random = np.random.default_rng(0)

    def judgement() -> tuple[str, bool]:
        good, negated = random.random(2) < 0.5
        word = random.choice(GOOD if good else BAD)
        return f"{random.choice(THINGS)} is {'not ' if negated else ''}{word}", good != negated

    found: dict[str, bool] = {}
    while len(found) < rows:  # no review comes twice
        (first, _), (last, good) = judgement(), judgement()
        wrong = random.random() < noise
        found.setdefault(f"{first} {random.choice(LINKS)} {last}.", good != wrong)
    return {"x_train": np.array([*found]), "y_train": np.array([*found.values()], int)}


def network() -> keras.Model:
    """Return a network whose first layer turns strings into word numbers."""
    inputs = keras.Input((1,), dtype="string", name="review")
    x = keras.layers.TextVectorization(
        vocabulary=["is", "not", *WORDS], output_sequence_length=14, name="words"
    )(inputs)
    x = keras.layers.Embedding(len(WORDS) + 4, 16, name="embedding")(x)
    x = keras.layers.Conv1D(32, 3, activation="relu", name="conv1")(x)
    x = keras.layers.Conv1D(32, 3, activation="relu", name="conv2")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(32, activation="relu", name="dense")(x)
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", name="output")(x))
