"""`ablate remove`: take layers out of a model, and certify what that did to it."""

from __future__ import annotations

import click

from ablate.cli.surgical import Request, Summary, some, surgical


@click.command("remove")
@click.option(
    "--where",
    multiple=True,
    metavar="SELECTOR",
    help="Layers to take out, e.g. Dropout. Repeatable.  [default: what `insert` recorded]",
)
@click.option("--except", "except_", multiple=True, metavar="SELECTOR", help="Layers that stay.")
@surgical
def command(request: Request, where: tuple[str, ...], except_: tuple[str, ...]) -> None:
    """Take layers out of the model SOURCE and write what is left to OUT.

    Without --where it undoes exactly what `ablate insert`, `replace` and `change` did, and fuses
    the activations again that were split off. A certificate next to OUT says how far the outputs
    moved.
    """
    opened = request.open()

    from ablate.surgery.graph import paths
    from ablate.surgery.record import changed
    from ablate.surgery.remove import remove

    images = request.images(opened, request.check)
    with request.progress("removing"):
        new = remove(opened.model, list(where) or None, list(except_) or None)
    left = {path for _, path in paths(new)}
    gone = [path for _, path in paths(opened.model) if path not in left]
    lines = [f"Out of {opened.words}: {len(gone)} layers: {some(gone)}."] if gone else []
    back = [
        path
        for path in dict.fromkeys(each.path for each in changed(opened.model))
        if path in left and path not in {each.path for each in changed(new)}
    ]
    if back:
        lines.append(f"As they were before replace or change: {some(back)}.")
    document = {"removed": gone, "restored": back}
    request.finish(opened, new, images, Summary(lines, document=document))
