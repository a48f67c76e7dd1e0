"""The model section: one source, its own arguments, its weights."""

import inspect

import pytest
from pydantic import TypeAdapter

from ablate.errors import StudyError
from ablate.study.keras_names import ACTIVATIONS, INITIALIZERS
from ablate.study.schema.factories import APPLICATIONS, MODELS
from ablate.study.schema.model import Model


def test_applications_are_those_of_keras():
    keras = pytest.importorskip("keras")
    functions = {
        name for name, each in vars(keras.applications).items() if inspect.isfunction(each)
    }
    assert {facts.function for facts in APPLICATIONS.values()} == functions
    for name, facts in APPLICATIONS.items():
        assert name == facts.function.lower()
        module = getattr(keras.applications, facts.module)
        assert callable(module.preprocess_input)


def test_activations_and_initializers_are_those_of_keras():
    keras = pytest.importorskip("keras")
    functions = {
        name
        for name, each in vars(keras.activations).items()
        if inspect.isfunction(each) and name not in ("get", "serialize", "deserialize")
    }
    # glu halves its input and threshold needs arguments.
    assert set(ACTIVATIONS) == functions - {"glu", "threshold"}
    for name, arguments in INITIALIZERS.items():
        if name != "pytorch":
            takes = set(inspect.signature(getattr(keras.initializers, name)).parameters)
            # The axes say which of a weight's axes count; layers know that themselves.
            assert takes - {"seed", "input_axes", "output_axes"} == set(arguments), name
    named = {n for n in dir(keras.initializers) if n[0].islower() and not n.startswith("_")}
    assert set(INITIALIZERS) == named - {"get", "serialize", "deserialize", "stft"} | {"pytorch"}


@pytest.mark.parametrize(
    "fields, says",
    [
        ({}, "The model has no source"),
        ({"nmae": "cnn"}, "Did you mean 'name'?"),
        ({"name": "cn"}, "Did you mean 'cnn'?"),
        ({"name": "vg16"}, "Did you mean 'vgg16'?"),
        ({"name": "cnn", "call": "a:b"}, "2 sources: name, call"),
        ({"name": "cnn", "filter": [3]}, "Did you mean 'filters'?"),
        ({"name": "cnn", "filters": 3}, "expected a list. Received: 3"),
        ({"name": "cnn", "filters": [3, "4"]}, "filters[1]"),
        ({"name": "cnn", "activation": "rleu"}, "Did you mean 'relu'?"),
        ({"name": "mlp", "kernel_initializer": "he_norml"}, "Did you mean 'he_normal'?"),
        ({"name": "mlp", "kernel_initializer": {"name": "random_normal", "sd": 1}}, "'sd' is not"),
        ({"name": "mlp", "kernel_initializer": {"stddev": 1}}, "has a 'name'"),
        ({"name": "mlp", "bias_initializer": {"name": "he_normal", "seed": 1}}, "leave 'seed' out"),
        ({"name": "cnn", "weights": "imagenet"}, "starts fresh"),
        ({"name": "vgg16", "weights": "imagnet"}, "Did you mean 'imagenet'?"),
        ({"name": "vgg16", "weights": "keep"}, "Did you mean 'imagenet'?"),
        ({"name": "vgg16", "units": [3]}, "not an argument of keras.applications"),
        ({"file": "m.keras", "weights": "freh"}, "Did you mean 'fresh'?"),
        ({"file": "m.keras", "activation": "relu"}, "not an argument of file"),
    ],
)
def test_slips(fields, says):
    with pytest.raises(StudyError) as error:
        Model(**fields)
    assert says in str(error.value)


def test_applications_by_either_spelling():
    assert Model(name="ResNet50") == Model(name="resnet50")
    assert Model(name="VGG16").application == "vgg16"
    assert Model(name="vgg").application is None and Model(file="m.keras").application is None


@pytest.mark.parametrize(
    "fields, kept",
    [
        ({"name": "cnn"}, False),
        ({"name": "vgg16"}, False),
        ({"name": "vgg16", "weights": "none"}, False),
        ({"name": "vgg16", "weights": "imagenet"}, True),
        ({"name": "vgg16", "weights": "mine.weights.h5"}, True),
        ({"file": "m.keras"}, True),
        ({"file": "m.keras", "weights": "keep"}, True),
        ({"file": "m.keras", "weights": "fresh"}, False),
        ({"call": "a:b", "weights": "whatever"}, False),
    ],
)
def test_which_weights_are_kept(fields, kept):
    assert Model(**fields).keeps_weights is kept


def test_a_default_spelled_out_is_the_same_study():
    for plain, spelled in (
        ({"name": "cnn"}, {"name": "cnn", "filters": [16, 32], "activation": "relu"}),
        ({"name": "vgg16"}, {"name": "VGG16", "weights": "none"}),
        ({"file": "m.keras"}, {"file": "m.keras", "weights": "keep"}),
    ):
        one, other = Model(**plain), Model(**spelled)
        assert one.model_dump() == other.model_dump()
        assert Model.model_validate(one.model_dump()).model_dump() == one.model_dump()
    assert Model(name="cnn", filters=[4]).arguments == {"filters": [4]}


def test_initializers_and_registered_names():
    model = Model(
        name="mlp",
        activation="mine>swirl",
        kernel_initializer={"name": "random_normal", "stddev": 0.05},
        bias_initializer="pytorch",
    )
    assert model.complete_arguments()["kernel_initializer"]["stddev"] == 0.05


def test_the_schema_lists_every_factory_with_its_arguments():
    schema = TypeAdapter(Model).json_schema()
    by_title = {each["title"]: each for each in schema["anyOf"]}
    listed = [
        n for each in by_title.values() for n in each["properties"].get("name", {}).get("enum", [])
    ]
    assert tuple(listed) == MODELS.names
    assert by_title["cnn"]["properties"]["filters"]["default"] == [16, 32]
    assert "weights" not in by_title["cnn"]["properties"]
    assert "weights" in by_title["keras.applications"]["properties"]
    assert by_title["call"]["additionalProperties"] is True


def test_a_head_belongs_to_what_comes_with_one():
    assert Model(file="a.keras", head="keep").own_head == "keep"
    assert Model(name="vgg16", head="replace").own_head == "replace"
    assert Model(study="a.yaml", head="replace").own_head == "replace"
    # Others have arguments of that name, which are their own.
    assert Model(name="cnn", head="flatten").own_head is None
    assert Model(call="a:b", head="keep").own_head is None
    with pytest.raises(StudyError, match="head: not an argument of mlp"):
        Model(name="mlp", head="keep")
    with pytest.raises(StudyError, match="head: expected one of keep, replace"):
        Model(file="a.keras", head="new")


def test_a_head_that_is_not_asked_for_is_in_no_identity():
    for model in ({"file": "a.keras"}, {"name": "vgg16"}, {"study": "a.yaml"}):
        assert "head" not in Model(**model).model_dump()
        assert "head" not in Model(**model, head=None).model_dump()
        assert Model(**model, head="keep").model_dump()["head"] == "keep"
