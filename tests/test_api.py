"""The public interface: every name is there, lazily, and a slip is told."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ablate


def test_every_name_resolves():
    assert set(ablate.__all__) <= set(dir(ablate))
    for name in ablate.__all__:
        assert getattr(ablate, name) is not None


def test_the_names_of_the_contract_are_there():
    contract = {
        *("build", "sites", "insert", "remove", "fold", "calibrate", "certify", "Placement"),
        *("Certificate", "Site", "load_study", "Study", "run", "analyze", "hypermodel"),
    }
    assert contract <= set(ablate.__all__)


def test_importing_the_package_brings_in_nothing_heavy():
    code = (
        "import sys, ablate; ablate.Study, ablate.load_study, ablate.analyze\n"
        "print({'keras', 'tensorflow', 'keras_tuner', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_slip_names_the_nearest():
    with pytest.raises(AttributeError, match="Did you mean 'certify'"):
        _ = ablate.certifi
