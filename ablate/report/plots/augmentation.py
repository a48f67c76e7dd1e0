"""A contact sheet: rows as they are, and as augmentation makes them."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ablate.report.plots.theme import blank, themed
from ablate.study.preview import AugmentedRows

#: Inches of an image, and of the label above it.
_IMAGE, _LABEL = 1.05, 0.2


def contact_sheet(rows: AugmentedRows) -> Figure:
    """Draw a row of the batch per line: as it is, then one draw after the other."""
    columns, count = len(rows.pixels), len(rows.pixels[0])
    low, high = float(rows.pixels[0].min()), float(rows.pixels[0].max())
    titles = ["as it is", "first step", *(f"draw {index}" for index in range(2, columns))]
    with themed():
        figure = blank(columns * _IMAGE + 0.2, count * (_IMAGE + _LABEL) + 0.4)
        axes = figure.subplots(count, columns, squeeze=False)
        figure.subplots_adjust(0.02, 0.01, 0.98, 1 - 0.42 / figure.get_figheight(), 0.06, 0.25)
        for column, (pixels, labels) in enumerate(zip(rows.pixels, rows.labels, strict=True)):
            for index, axis in enumerate(axes[:, column]):
                image = np.clip((pixels[index] - low) / ((high - low) or 1.0), 0, 1)
                grey = image.shape[-1] != 3
                axis.imshow(image[..., 0] if grey else image, cmap="gray", vmin=0, vmax=1)
                axis.set_axis_off()
                title = f"{titles[column]}\n{labels[index]}" if index == 0 else labels[index]
                axis.set_title(title, fontsize=6, pad=2)
    return figure
