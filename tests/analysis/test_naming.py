import pytest

from ablate.analysis.coverage import coverage_sentences, weights_kept
from ablate.study.resolved import ResolvedVariant
from tests.analysis.simulated import arm


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


SAME = "on these 360 test rows."
UNKNOWN = "drawn anew with every seed, where the source has no test part of its own."


@pytest.mark.parametrize(
    ("baseline", "seeds", "text"),
    [
        (arm("plain"), 5, f"The intervals cover initialization and batch order, {SAME}"),
        (
            arm("plain", data={"split": "per_seed"}),
            5,
            f"The intervals cover the split, initialization and batch order, on 360 test rows "
            f"{UNKNOWN}",
        ),
        (
            arm("plain", model={"name": "vgg16", "weights": "imagenet"}),
            3,
            "The intervals cover batch order, Dropout, inserted layers and a new head, as the "
            f"weights are kept, {SAME}",
        ),
        (
            arm("plain", data={"shift": {"name": "brighten", "amount": 0.4}}),
            5,
            "The intervals cover initialization and batch order, on these 360 test rows with "
            "shifted inputs (brighten 0.4).",
        ),
        (
            arm("plain"),
            2,
            "Measured on these 360 test rows, without an interval, which takes 3 seeds.",
        ),
    ],
)
def test_coverage_says_what_varied(baseline: ResolvedVariant, seeds: int, text: str) -> None:
    assert coverage_sentences(baseline, held_out="test", rows=360, seeds=seeds) == text


@pytest.mark.parametrize(
    ("drawn", "held_out", "text"),
    [
        (
            ("train", "validation", "test"),
            "test",
            "the split, initialization and batch order, on 360 test rows drawn anew with every "
            "seed.",
        ),
        (
            ("train", "validation"),
            "test",
            "the draw of training and validation rows, initialization and batch order, " + SAME,
        ),
        (
            ("train", "validation"),
            "validation",
            "the split, initialization and batch order, on 360 validation rows drawn anew with "
            "every seed.",
        ),
        (
            ("train",),
            "training",
            "the split, initialization and batch order, on 360 training rows drawn anew with "
            "every seed.",
        ),
        ((), "test", f"initialization and batch order, {SAME}"),
        (None, "test", f"the split, initialization and batch order, on 360 test rows {UNKNOWN}"),
    ],
)
def test_a_part_that_the_source_brings_is_not_redrawn(
    drawn: tuple[str, ...] | None, held_out: str, text: str
) -> None:
    baseline = arm("plain", data={"split": "per_seed"})
    found = coverage_sentences(baseline, held_out=held_out, rows=360, seeds=5, drawn=drawn)
    assert found == f"The intervals cover {text}"
