import doctest
import importlib
import pkgutil

import pytest

import ablate.analysis

MODULES = [
    f"ablate.analysis.{each.name}" for each in pkgutil.iter_modules(ablate.analysis.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
