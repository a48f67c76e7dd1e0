"""Variants in words: whatever differs between two of them is said."""

from __future__ import annotations

import pytest

from ablate.analysis.descriptions import described, placement_words, variant_words
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.placement import Placement
from tests.analysis.simulated import BN, DROPOUT, arm


def placed(**fields: object) -> Placement:
    return Placement.model_validate({"layer": "BatchNormalization"} | fields)


@pytest.mark.parametrize(
    ("variant", "text"),
    [
        (arm("bn", insert=[BN]), "bn (BN before the activation)"),
        (
            arm("both", insert=[BN, DROPOUT]),
            "both (BN before the activation and Dropout 0.5 after the activation of Dense)",
        ),
        (
            arm("gap", insert=[Placement(layer="Dropout", rate=0.2, at="after", where=["a", "b"])]),
            "gap (Dropout 0.2 after a and b)",
        ),
        (
            arm("slow", insert=[placed(at="before_activation", where="hidden", momentum=0.9)]),
            "slow (BN (momentum=0.9) before the activation)",
        ),
        (
            arm("all", insert=[placed(at="after", where="hidden", except_="dense1")]),
            "all (BN after every hidden layer except dense1)",
        ),
        (
            arm("kept", insert=[placed(at="after", where="conv1", calibrate=True)]),
            "kept (BN after conv1, calibrated)",
        ),
        (arm("fast", train={"learning_rate": 0.5}), "fast (learning rate 0.5)"),
        (
            arm("fast-bn", insert=[BN], train={"learning_rate": 0.5}),
            "fast-bn (BN before the activation and learning rate 0.5)",
        ),
        (arm("many", insert=[BN, DROPOUT, BN, DROPOUT]), "many"),
        (arm("bn=on", insert=[BN], factors={"bn": "on"}), "bn=on"),
    ],
)
def test_a_variant_is_told_by_what_it_differs_in(variant: ResolvedVariant, text: str) -> None:
    assert described(variant, arm("plain")) == text


def test_what_the_baseline_has_too_is_not_told_and_what_it_alone_has_is() -> None:
    bn = arm("bn", insert=[BN])
    assert described(arm("both", insert=[BN, DROPOUT]), bn).startswith("both (Dropout 0.5")
    assert described(arm("plain"), bn) == "plain (no BN before the activation)"


def test_a_placement_in_words() -> None:
    placement = placed(at="before", where=["conv", "dense2"], except_="conv1", momentum=0.9)
    assert placement_words(placement) == (
        "BatchNormalization (momentum=0.9) on the input of every convolution and dense2 except "
        "conv1"
    )


def test_a_variant_in_words() -> None:
    plain, fast = arm("plain"), arm("fast", train={"learning_rate": 0.5})
    assert variant_words(plain, plain) == "the base model as it is"
    assert variant_words(fast, plain) == "learning rate 0.5"
