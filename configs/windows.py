"""Windows of a time series, for windows.yaml."""

from __future__ import annotations

import numpy as np


def windows(steps: int = 3000, length: int = 48, stride: int = 1) -> dict[str, np.ndarray]:
    """Return windows in the order of time, and the step that follows each.

    The series has a day, a week, a slow drift and noise that remembers the step before.
    """
    random = np.random.default_rng(0)
    time = np.arange(steps)
    noise = np.zeros(steps)
    for step, shock in enumerate(random.normal(size=steps)):
        noise[step] = 0.8 * noise[step - 1] + 0.3 * shock
    series = np.sin(2 * np.pi * time / 24) + 0.5 * np.sin(2 * np.pi * time / 168) + time / steps
    series = (series + noise).astype("float32")
    starts = np.arange(0, steps - length, stride)
    return {
        "x_train": series[starts[:, None] + np.arange(length)][..., None],
        "y_train": series[starts + length],
    }
