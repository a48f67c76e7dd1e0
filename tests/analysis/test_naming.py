import pytest

from ablate.analysis.formatting import counted
from ablate.analysis.sentences import coverage_clause, described, weights_kept
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.placement import Placement
from tests.analysis.simulated import BN, DROPOUT, arm


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
        (arm("fast", train={"learning_rate": 0.5}), "fast"),
        (arm("many", insert=[BN, DROPOUT, BN, DROPOUT]), "many"),
        (arm("bn=on", insert=[BN], factors={"bn": "on"}), "bn=on"),
    ],
)
def test_a_variant_is_told_by_what_it_inserts(variant: ResolvedVariant, text: str) -> None:
    assert described(variant, arm("plain")) == text


def test_what_the_baseline_has_too_is_not_told() -> None:
    assert described(arm("both", insert=[BN, DROPOUT]), arm("bn", insert=[BN])).startswith(
        "both (Dropout 0.5"
    )


@pytest.mark.parametrize(
    ("model", "kept"),
    [
        ({"name": "cnn"}, False),
        ({"name": "vgg16", "weights": "imagenet"}, True),
        ({"name": "vgg16", "weights": "none"}, False),
        ({"name": None, "file": "model.keras"}, True),
        ({"name": None, "file": "model.keras", "weights": "fresh"}, False),
    ],
)
def test_whether_weights_are_kept(model: dict[str, object], kept: bool) -> None:
    assert weights_kept(arm("plain", model=model)) is kept


@pytest.mark.parametrize(
    ("baseline", "seeds", "text"),
    [
        (
            arm("plain"),
            5,
            "on these 360 test rows, the intervals covering initialization and batch order only",
        ),
        (
            arm("plain", data={"split": "per_seed"}),
            5,
            "on 360 test rows, redrawn with every seed where the source has no test part of its "
            "own, the intervals covering the split, initialization and batch order",
        ),
        (
            arm("plain", model={"name": "vgg16", "weights": "imagenet"}),
            3,
            "on these 360 test rows, the intervals covering batch order, Dropout, inserted layers "
            "and a new head only, as the weights are kept",
        ),
        (
            arm("plain"),
            2,
            "on these 360 test rows, and without an interval, which takes 3 seeds",
        ),
    ],
)
def test_coverage_says_what_varied(baseline: ResolvedVariant, seeds: int, text: str) -> None:
    assert coverage_clause(baseline, held_out="test", rows=360, seeds=seeds) == text


@pytest.mark.parametrize(
    ("drawn", "held_out", "text"),
    [
        (
            ("train", "validation", "test"),
            "test",
            "on 360 test rows, redrawn with every seed, the intervals covering the split, "
            "initialization and batch order",
        ),
        (
            ("train", "validation"),
            "test",
            "on these 360 test rows, the intervals covering the draw of training and validation "
            "rows, initialization and batch order only",
        ),
        (
            ("train", "validation"),
            "validation",
            "on 360 validation rows, redrawn with every seed, the intervals covering the split, "
            "initialization and batch order",
        ),
        (
            ("train",),
            "training",
            "on 360 training rows, redrawn with every seed, the intervals covering the split, "
            "initialization and batch order",
        ),
        (
            (),
            "test",
            "on these 360 test rows, the intervals covering initialization and batch order only",
        ),
        (
            None,
            "test",
            "on 360 test rows, redrawn with every seed where the source has no test part of its "
            "own, the intervals covering the split, initialization and batch order",
        ),
    ],
)
def test_a_part_that_the_source_brings_is_not_redrawn(
    drawn: tuple[str, ...] | None, held_out: str, text: str
) -> None:
    baseline = arm("plain", data={"split": "per_seed"})
    clause = coverage_clause(baseline, held_out=held_out, rows=360, seeds=5, drawn=drawn)
    assert clause == text


def test_many_names_are_counted() -> None:
    assert counted(["a", "b"]) == "a and b"
    assert counted(list("abcdefg")) == "a, b, c, d and 3 more"
