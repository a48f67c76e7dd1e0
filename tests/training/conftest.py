"""One thread where TensorFlow has not begun, and no model that another test has used."""

from contextlib import suppress

import pytest

from ablate.errors import StudyError
from ablate.training import configure, model_cache

with suppress(StudyError):
    configure(1)


@pytest.fixture
def fresh():
    """Let a test begin and end without models of others."""
    model_cache.forget()
    yield
    model_cache.forget()
