"""Probe `mistakes`: what one variant gets wrong and another right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from ablate.report.document import Column, Plot, Table
from ablate.report.probe_drawing import alone, grid, small_png
from ablate.report.probe_sections import Arrays, Measured, ReportedProbe
from ablate.study.schema.strict import Strict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Examples in a table, images in the report's figure, and in TensorBoard's.
_MOST_ROWS, _MOST_IMAGES, _MOST_WRONG = 12, 16, 32


class Arguments(Strict):
    """Arguments of `mistakes`."""

    images: int = Field(default=32, ge=0, le=1000, description="Wrong examples kept as images.")
    size: int = Field(default=64, ge=8, le=512, description="Longest side of those, in pixels.")


@dataclass(frozen=True)
class Contested:
    """A row that one variant gets wrong more often than another: how often, over the seeds."""

    row: int
    wrong: dict[str, int]
    seeds: dict[str, int]

    @property
    def apart(self) -> float:
        """The largest difference between two variants' shares of seeds."""
        shares = [self.wrong[name] / self.seeds[name] for name in self.wrong]
        return max(shares) - min(shares)


def draw(found: Measured) -> Iterator[Plot | Table]:
    """Draw the confusion matrices, and list and show the rows on which the variants differ."""
    yield _confusions(found)
    if rows := contested(found):
        yield _table(found, rows)
        yield from _gallery(found, rows)


def images(arrays: Arrays) -> Iterator[tuple[str, int, bytes]]:
    """Draw a trial's own confusion matrix and wrong examples at the end."""
    epoch, names = int(arrays["epochs"][-1]), arrays["class_names"]
    figure, axis = alone(4.2, 4.0)
    _confusion(axis, arrays["confusion"][-1], names)
    yield "confusion", epoch, small_png(figure)
    if len(rows := arrays.get("image_row", ())):
        predicted, sure = arrays["predicted"][-1], arrays["confidence"][-1]
        wrong = list(zip(rows, arrays["image"], strict=True))[:_MOST_WRONG]
        figure, axes = grid(len(wrong), 8, 1.6, stretch=False, width=9.0)
        for axis, (row, image) in zip(axes, wrong, strict=True):
            _show(axis, image)
            taken = f"{names[arrays['label'][row]]} taken for {names[predicted[row]]}"
            axis.set_xlabel(f"{taken}\n{100 * sure[row]:.0f} %", fontsize=6)
        yield "wrong", epoch, small_png(figure)


def contested(found: Measured) -> list[Contested]:
    """Return the rows on which the variants differ, the most contested first.

    Only trials that look at the same rows as the first one are counted.
    """
    reference = found.first(found.variants[0])
    wrong: dict[str, np.ndarray] = {}
    seeds: dict[str, int] = {}
    for variant in found.variants:
        same = [
            arrays["predicted"][-1] != arrays["label"]
            for _, arrays in found.by_variant[variant]
            if np.array_equal(arrays["row"], reference["row"])
        ]
        if same:
            wrong[variant], seeds[variant] = np.sum(same, axis=0), len(same)
    if len(wrong) < 2:
        return []
    rows = [
        Contested(row, {name: int(counts[row]) for name, counts in wrong.items()}, seeds)
        for row in range(len(reference["label"]))
    ]
    return sorted((each for each in rows if each.apart > 0), key=lambda each: -each.apart)


def _table(found: Measured, rows: list[Contested]) -> Table:
    reference = found.first(found.variants[0])
    names = reference["class_names"]
    variants = list(rows[0].wrong)
    cells = []
    for each in rows[:_MOST_ROWS]:
        predicted = [_predicted(found, variant, each.row, names) for variant in variants]
        label = str(names[reference["label"][each.row]])
        cells.append((str(int(reference["row"][each.row])), label, *predicted))
    notes = [
        "Row of the data; the class most often predicted, its mean probability, and in how many "
        "seeds that was."
    ]
    if len(rows) > _MOST_ROWS:
        notes.append(f"The {_MOST_ROWS} most contested of {len(rows)}.")
    return Table(
        "",
        "Examples on which the variants differ",
        (Column("Row"), Column("Label", "left"), *(Column(name, "left") for name in variants)),
        tuple(cells),
        tuple(notes),
    )


def _predicted(found: Measured, variant: str, row: int, names: np.ndarray) -> str:
    trials = [arrays for _, arrays in found.by_variant[variant]]
    votes = np.array([arrays["predicted"][-1][row] for arrays in trials])
    classes, counts = np.unique(votes, return_counts=True)
    winner = int(classes[np.argmax(counts)])
    sure = np.mean(
        [a["confidence"][-1][row] for a, v in zip(trials, votes, strict=True) if v == winner]
    )
    name = str(names[winner]) if winner < len(names) else str(winner)
    return f"{name}, {100 * sure:.0f} %, {counts.max()} of {len(trials)}"


def _confusions(found: Measured) -> Plot:
    figure, axes = grid(len(found.variants), height=2.9)
    for axis, variant in zip(axes, found.variants, strict=True):
        counts = np.sum(
            [arrays["confusion"][-1] for _, arrays in found.by_variant[variant]], axis=0
        )
        _confusion(axis, counts, found.first(variant)["class_names"])
        wrong = 1 - np.trace(counts) / max(counts.sum(), 1)
        axis.set_title(f"{variant}: {100 * wrong:.1f} % wrong")
    return Plot(
        "confusion",
        "Confusion matrices",
        "True classes as rows, predicted ones as columns; counts over the probe's rows of all "
        "seeds at the end.",
        figure,
    )


def _confusion(axis: Axes, counts: np.ndarray, names: np.ndarray) -> None:
    """Draw a confusion matrix with its numbers, off the diagonal in colour."""
    off = counts.astype(float).copy()
    np.fill_diagonal(off, 0)
    most = max(off.max(), 1)
    axis.imshow(off, cmap="Reds", vmin=0, vmax=most)
    if len(names) <= 12:
        for row, column in np.ndindex(*counts.shape):
            if counts[row, column]:
                dark = off[row, column] > 0.6 * most
                axis.text(
                    column, row, str(int(counts[row, column])), ha="center", va="center",
                    fontsize=6.5, color="white" if dark else "black",
                )  # fmt: skip
        axis.set_xticks(range(len(names)), [str(each) for each in names], fontsize=7)
        axis.set_yticks(range(len(names)), [str(each) for each in names], fontsize=7)
    axis.grid(False)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")


def _gallery(found: Measured, rows: list[Contested]) -> Iterator[Plot]:
    """Draw the most contested examples that some trial kept as an image."""
    kept: dict[int, np.ndarray] = {}
    reference = found.first(found.variants[0])
    for trials in found.by_variant.values():
        for _, arrays in trials:
            if "image" in arrays and np.array_equal(arrays["row"], reference["row"]):
                kept.update(zip(map(int, arrays["image_row"]), arrays["image"], strict=True))
    chosen = [each for each in rows if each.row in kept][:_MOST_IMAGES]
    if not chosen:
        return
    figure, axes = grid(len(chosen), 4, 1.75, stretch=False)
    for axis, each in zip(axes, chosen, strict=True):
        _show(axis, kept[each.row])
        wrong = "\n".join(f"{name}: {count}" for name, count in list(each.wrong.items())[:4])
        axis.set_title(str(reference["class_names"][reference["label"][each.row]]), fontsize=9)
        axis.set_xlabel(wrong, fontsize=7.5)
    yield Plot(
        "examples",
        "The most contested examples",
        "Title: the true class. Below: in how many seeds each variant is wrong.",
        figure,
    )


def _show(axis: Axes, image: np.ndarray) -> None:
    """Draw one image of bytes, grey or in colour, without ticks."""
    grey = image.shape[-1] not in (3, 4)
    axis.imshow(
        image[..., 0] if grey else image[..., :3], cmap="gray_r" if grey else None, vmin=0, vmax=255
    )
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(False)


PROBE = ReportedProbe(
    about="What is predicted wrongly, and how surely.",
    arguments=Arguments,
    measurement="ablate.probes.mistakes:Mistakes",
    title="Mistakes",
    text="Examples among the probe's rows that one variant gets wrong and another right, at the "
    "end of training. What every variant gets wrong says more about the example.",
    draw=draw,
    images=images,
)
