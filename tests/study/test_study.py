"""A study is a value: strict, frozen, and it shows itself."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from ablate.errors import StudyError
from ablate.study.schema.placement import Placement
from ablate.study.schema.probes import Probe
from ablate.study.schema.train import Train
from ablate.study.study import Study

FIELDS: dict[str, Any] = {
    "study": "mine",
    "data": {"name": "digits"},
    "model": {"name": "mlp"},
    "variants": {"plain": {}, "bn": {"insert": [{"layer": "BatchNormalization"}]}},
}


def test_it_shows_itself_in_a_line_and_in_a_notebook() -> None:
    made = Study(**FIELDS, leave_one_out={"from": "bn"}, seeds=[4, 2])
    line = "Study('mine': 3 variants x 2 seeds = 4 trials, baseline 'plain')"
    assert repr(made) == str(made) == line
    html = made._repr_html_()
    assert "<td>plain (baseline)</td><td>the base model</td>" in html
    assert "<td>bn</td><td>BatchNormalization after hidden</td>" in html
    assert "<td>bn-without-BatchNormalization</td><td>the same as plain</td>" in html


def test_it_is_a_value() -> None:
    made = Study(**FIELDS)
    assert made == Study(**FIELDS)
    assert made != Study(**{**FIELDS, "seeds": 3})
    with pytest.raises(ValidationError, match="frozen"):
        made.seeds = 3  # type: ignore[misc]


def test_short_forms_are_brought_to_one() -> None:
    made = Study(
        **{**FIELDS, "variants": {"a": None, "b": {"remove": ["Dropout"], "extends": "a"}}},
        probes=["gradients", {"name": "activations", "every": 2}],
    )
    assert made.probes == [Probe(name="gradients"), Probe(name="activations", every=2)]
    assert made.variants["b"].remove[0].where == "Dropout"
    assert made.variants["b"].parents == ("a",)
    assert made.seed_list == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Placement(layer="Dropout", rate=1), "Placement: rate: Dropout needs a 'rate'"),
        (lambda: Placement(layer="Dropout"), "Placement: Dropout needs a 'rate' (share dropped)"),
        (
            lambda: Placement(layer="BatchNormalization", momentun=0.9),
            "Placement: momentun: 'momentun' is not an argument of BatchNormalization. Did you "
            "mean 'momentum'?",
        ),
        (
            lambda: Placement(layer="BatchNormalization", momentum=9),
            "Placement: momentum: expected a number from 0 to 1. Received: 9.",
        ),
        (
            lambda: Placement(layer="Dropout", rate=0.1, calibrate=True),
            "Placement: calibrate: 'calibrate' is for a BatchNormalization",
        ),
        (lambda: Placement(layer="X", at="befor"), "Placement: at: expected one of before, "),
        (lambda: Placement(layer="X", where=[]), "Placement: where: expected at least one"),
        (
            lambda: Train(epochs=-1),
            "Train: epochs: expected a number of at least 0 and at most 1e+09. Received: -1.",
        ),
    ],
)
def test_a_slip_in_python_is_told_as_in_a_file(make: Any, expected: str) -> None:
    with pytest.raises(StudyError) as caught:
        make()
    assert str(caught.value).startswith(expected)


def test_any_other_layer_takes_what_it_takes() -> None:
    placement = Placement(layer="mine>Noise", amount=3, where=["a", "b*"])
    assert placement.arguments == {"amount": 3}
    assert placement.label == "mine>Noise"


def test_a_study_needs_no_keras_and_no_yaml_to_be_imported() -> None:
    code = (
        "import sys, ablate.study.study, ablate.study.expand;"
        "print([m for m in ('keras', 'tensorflow', 'ruamel.yaml', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
