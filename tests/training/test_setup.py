"""Threads and devices of the process that trains."""

import pytest

from ablate.errors import StudyError
from ablate.training import configure, setup


def test_other_threads_than_those_that_run_are_refused():
    threads = setup.current_threads()
    configure(threads)  # twice is once
    with pytest.raises(StudyError, match=rf"{threads} thread.*computed with {threads + 1}"):
        configure(threads + 1)


def test_the_environment_is_what_the_last_bits_may_depend_on():
    found = setup.environment()
    assert {"ablate", "keras", "tensorflow", "numpy", "python", "cpu", "device"} <= set(found)
    assert found["threads"] == str(setup.current_threads())
    assert all(isinstance(value, str) for value in found.values())
