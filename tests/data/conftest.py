"""Arrays small enough to reason about, and sources that are forgotten after each test."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def save(tmp_path):
    """Return a function that writes arrays to an npz file and gives its path."""

    def write(name: str = "data.npz", **arrays: np.ndarray) -> str:
        path = tmp_path / name
        np.savez(path, **arrays)
        return str(path)

    return write


@pytest.fixture
def blobs():
    """Sixty rows of three features in three classes of unequal size: 30, 20, 10."""
    random = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [30, 20, 10])
    return random.normal(size=(60, 3)).astype(np.float32), y
