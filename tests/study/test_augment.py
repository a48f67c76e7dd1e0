"""What of augmentation is judged without Keras."""

import pytest

from ablate.config import parse_study
from ablate.errors import StudyError
from ablate.study.identity import trial_ids
from ablate.study.schema.augment import crop_of, mixes
from ablate.study.schema.train import Train
from ablate.study.trial import Spec


def of(*augment):
    return Train(augment=list(augment)).augment


def test_a_layer_may_be_named_alone_or_with_its_arguments():
    assert of("MixUp") == of({"layer": "MixUp"})
    assert of({"layer": "RandomFlip", "mode": "vertical"})[0].arguments == {"mode": "vertical"}
    assert of({"call": "mine:change", "by": 3})[0].arguments == {"by": 3}


def test_what_it_does_to_shapes_and_labels():
    crop = {"layer": "RandomCrop", "height": 6, "width": 5}
    assert crop_of(of("MixUp", crop)) == (6, 5)
    assert crop_of(of("MixUp")) is crop_of(None) is None
    assert mixes(of(crop, "CutMix")) and not mixes(of(crop)) and not mixes(None)


@pytest.mark.parametrize(
    "entry, says",
    [
        ("RandomFlop", "Did you mean 'RandomFlip'"),
        ("Rescaling", "belongs into the model"),
        ({"layer": "RandomFlip", "modus": "vertical"}, "takes no 'modus'.*Did you mean 'mode'"),
        ({"layer": "RandomFlip", "mode": "sideways"}, "expected one of: horizontal_and_vertical"),
        ({"layer": "RandomFlip", "seed": 3}, "trial's seed decides"),
        ({"layer": "RandomCrop", "height": 0, "width": 3}, "number of pixels from 1"),
        ({"layer": "RandomCrop", "height": 4}, "number of pixels from 1. Received: None"),
        ({"call": "mine"}, "package.module:name"),
        ({"name": "RandomFlip"}, "layer"),
        (3, "dict|mapping|valid"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(entry, says):
    import json

    text = (
        "study: s\ndata: {name: digits}\nmodel: {name: mlp}\nvariants: {a: {}}\n"
        f"train: {{augment: [{json.dumps(entry)}]}}\n"
    )
    with pytest.raises(StudyError, match=says) as found:
        parse_study(text)
    assert "train.augment[0]" in str(found.value) and "named" not in str(found.value)


def test_an_empty_list_says_nothing_and_is_refused():
    with pytest.raises((StudyError, ValueError)):
        Train(augment=[])


def test_it_is_part_of_the_identity_and_null_is_not():
    def id_of(**train):
        spec = Spec(data={"name": "digits"}, model={"name": "mlp"}, train={"threads": 1, **train})
        return trial_ids(spec, [0])[0]

    assert id_of() == id_of(augment=None)
    ids = {
        id_of(),
        id_of(augment=["MixUp"]),
        id_of(augment=["CutMix"]),
        id_of(augment=["MixUp"] * 2),
    }
    assert len(ids) == 4
