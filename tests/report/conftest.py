"""One study that most tests of the report look at."""

from __future__ import annotations

import pytest

from ablate.report.plots import draw
from tests.report.studies import study


@pytest.fixture(scope="session")
def digits():
    """Four variants, five seeds, known effects."""
    return study()


@pytest.fixture(scope="session")
def drawn(digits):
    """Its plots, drawn once."""
    return list(draw(digits))
