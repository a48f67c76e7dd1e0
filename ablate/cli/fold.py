"""`ablate fold`: merge BatchNormalization into weights, and certify what that did to the model."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ablate.cli.surgical import Request, Summary, each_with_reason, some, surgical

if TYPE_CHECKING:
    from ablate.surgery.fold import Folding


@click.command("fold")
@surgical
def command(request: Request) -> None:
    """Merge BatchNormalization into the weights of the model SOURCE, and write it to OUT.

    A BatchNormalization is merged where that changes no more than rounding: into the convolution
    or dense layer before it, or after it. A layer that is the identity is taken out, and an
    activation that `ablate insert` split off is fused again. Layers that have to stay are listed
    with the reason. A certificate next to OUT says how far the outputs moved.
    """
    opened = request.open()

    from ablate.surgery.fold import FoldReport, fold

    images = request.images(opened, request.check)
    foldings: list[Folding] = []
    with request.progress("folding"):
        new = fold(opened.model, report=foldings)
    lines = [f"In {opened.words}: {FoldReport(tuple(foldings)).summary}."]
    for action in ("merged", "removed"):
        if names := [each.layer for each in foldings if each.action == action]:
            lines.append(f"{action.capitalize()}: {some(names)}.")
    kept = [(each.layer, each.reason) for each in foldings if each.action == "kept"]
    lines += each_with_reason("kept", kept)
    document = {"folded": [asdict(each) for each in foldings]}
    request.finish(opened, new, images, Summary(lines, document=document))
