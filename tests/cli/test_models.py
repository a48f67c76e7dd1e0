"""`ablate models` lists what can be built, without Keras."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from ablate.cli.models import command
from ablate.errors import StudyError
from ablate.study.schema.factories import APPLICATIONS, factories


def told(*arguments):
    result = CliRunner().invoke(command, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_every_factory_and_argument_is_listed():
    text = told()
    for name, arguments in factories().items():
        assert name in text
        assert all(argument in text for argument in arguments.model_fields)
    assert "keras.applications" in text and "resnet50v2" in text and "file" in text


def test_json_has_defaults_types_and_sentences():
    found = {each["name"]: each for each in json.loads(told("--json"))}
    assert set(found) == {*factories(), "keras.applications", "file", "call", "study"}
    filters = next(a for a in found["cnn"]["arguments"] if a["name"] == "filters")
    assert filters["default"] == [16, 32] and filters["schema"]["type"] == "array"
    assert filters["about"] == "Filters of each convolution."
    assert found["keras.applications"]["names"] == list(APPLICATIONS)


def test_one_factory():
    (found,) = json.loads(told("VGG16", "--json"))
    assert found["names"] == ["vgg16"] and found["arguments"][0]["name"] == "weights"
    assert "kernel_initializer" in told("mlp") and "filters" not in told("mlp")


def test_an_unknown_name_is_met_with_the_nearest():
    with pytest.raises(StudyError, match="Did you mean 'autoencoder'"):
        CliRunner().invoke(command, ["autoencodr"], catch_exceptions=False)


def test_keras_is_not_imported():
    code = (
        "import sys; from ablate.cli import run_cli; status = run_cli(['models', '--json'])\n"
        "assert status == 0 and not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
