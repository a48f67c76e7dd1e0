"""The report's section of the probe `mistakes`: what one variant gets wrong and another right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from ablate.report.document import Column, Plot, Section, Table
from ablate.report.plots.theme import panels, themed
from ablate.report.probes.reading import Arrays, Measured, measured
from ablate.report.report_data import ReportData

#: Examples in a table, and images in a figure.
MOST_ROWS, MOST_IMAGES = 12, 16


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


def section(material: ReportData) -> Section | None:
    """Return the mistakes, None where nothing was measured."""
    plots, tables = [], []
    with themed():
        for found in measured(material, "mistakes"):
            rows = contested(found)
            plots.append(_confusions(found))
            if rows:
                tables.append(_table(found, rows))
                if (plot := _gallery(found, rows)) is not None:
                    plots.append(plot)
    if not plots:
        return None
    return Section(
        "probe-mistakes",
        "Mistakes",
        (
            "Examples among the probe's rows that one variant gets wrong and another right, at "
            "the end of training. What every variant gets wrong says more about the example.",
        ),
        tables=tuple(tables),
        plots=tuple(plots),
    )


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
    for each in rows[:MOST_ROWS]:
        said = [_predicted(found, variant, each.row, names) for variant in variants]
        label = str(names[reference["label"][each.row]])
        cells.append((str(int(reference["row"][each.row])), label, *said))
    notes = [
        "Row of the data; the class most often predicted, its mean probability, and in how many "
        "seeds that was."
    ]
    if len(rows) > MOST_ROWS:
        notes.append(f"The {MOST_ROWS} most contested of {len(rows)}.")
    return Table(
        f"probe-{found.probe}",
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
    variants = found.variants
    rows = -(-len(variants) // 3)
    figure, axes = panels(min(len(variants), 3), rows, height=2.9 * rows)
    for axis, variant in zip(axes, variants, strict=False):
        counts = np.sum(
            [arrays["confusion"][-1] for _, arrays in found.by_variant[variant]], axis=0
        )
        confusion(axis, counts, found.first(variant)["class_names"])
        wrong = 1 - np.trace(counts) / max(counts.sum(), 1)
        axis.set_title(f"{variant}: {100 * wrong:.1f} % wrong")
    for axis in axes[len(variants) :]:
        axis.set_visible(False)
    return Plot(
        f"probe-{found.probe}-confusion",
        "Confusion matrices",
        "True classes as rows, predicted ones as columns; counts over the probe's rows of all "
        "seeds at the end.",
        figure,
    )


def confusion(axis: Axes, counts: np.ndarray, names: np.ndarray) -> None:
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


def _gallery(found: Measured, rows: list[Contested]) -> Plot | None:
    """Draw the most contested examples that some trial kept as an image."""
    images: dict[int, np.ndarray] = {}
    reference = found.first(found.variants[0])
    for trials in found.by_variant.values():
        for _, arrays in trials:
            if "image" in arrays and np.array_equal(arrays["row"], reference["row"]):
                images.update(zip(map(int, arrays["image_row"]), arrays["image"], strict=True))
    chosen = [each for each in rows if each.row in images][:MOST_IMAGES]
    if not chosen:
        return None
    lines = -(-len(chosen) // 8)
    figure, axes = panels(8, lines, height=1.7 * lines)
    names = reference["class_names"]
    for axis, each in zip(axes, chosen, strict=False):
        show(axis, images[each.row])
        wrong = "\n".join(f"{name}: {count}" for name, count in list(each.wrong.items())[:4])
        axis.set_title(str(names[reference["label"][each.row]]), fontsize=8)
        axis.set_xlabel(wrong, fontsize=6)
    for axis in axes[len(chosen) :]:
        axis.set_visible(False)
    return Plot(
        f"probe-{found.probe}-examples",
        "The most contested examples",
        "Title: the true class. Below: in how many seeds each variant is wrong.",
        figure,
    )


def show(axis: Axes, image: np.ndarray) -> None:
    """Draw one image of bytes, grey or in colour, without ticks."""
    grey = image.shape[-1] not in (3, 4)
    axis.imshow(
        image[..., 0] if grey else image[..., :3], cmap="gray_r" if grey else None, vmin=0, vmax=255
    )
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(False)


def wrong_images(arrays: Arrays, probe: str) -> list[tuple[np.ndarray, str]]:
    """Return a trial's own wrong examples as images with words: true and predicted, how surely."""
    if f"{probe}/image" not in arrays:
        return []
    names, label = arrays[f"{probe}/class_names"], arrays[f"{probe}/label"]
    predicted, sure = arrays[f"{probe}/predicted"][-1], arrays[f"{probe}/confidence"][-1]
    return [
        (image, f"{names[label[row]]} taken for {names[predicted[row]]}\n{100 * sure[row]:.0f} %")
        for image, row in zip(arrays[f"{probe}/image"], arrays[f"{probe}/image_row"], strict=True)
    ]
