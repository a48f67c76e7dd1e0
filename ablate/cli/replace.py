"""`ablate replace`: put other layers in the place of some, and certify what that did."""

from __future__ import annotations

import click

from ablate.cli.surgical import (
    Request,
    arguments_option,
    except_option,
    exchange,
    stated,
    surgical,
    where_option,
)


@click.command("replace")
@where_option("Layers to replace")
@except_option
@click.option("--layer", required=True, help="The class that takes their place.")
@arguments_option
@click.option("--name", help="A name for the replacement, kept in the record.")
@click.option(
    "--calibrate",
    metavar="IMAGES",
    help="An npz, npy or folder on which gamma and beta are chosen, so that each channel keeps "
    "its mean and deviation.",
)
@surgical
def command(
    request: Request,
    where: tuple[str, ...],
    except_: tuple[str, ...],
    layer: str,
    arguments: tuple[str, ...],
    name: str | None,
    calibrate: str | None,
) -> None:
    """Put other layers in the place of some of the model SOURCE and write the new model to OUT.

    A new layer has the name of the old one, its arguments where they are not given, and its
    variables where it has the same. The certificate next to OUT says how far the outputs moved;
    `ablate remove` brings the old layers back.

    \b
    ablate replace model.keras out.keras --where BatchNormalization \\
        --layer GroupNormalization --arg groups=8 --calibrate images/
    """
    from ablate.study.schema.placement import Replacement

    fields = {"layer": layer, "name": name, "calibrate": calibrate is not None}
    asked = stated(Replacement, list(where), except_, arguments, f"--layer {layer}", **fields)
    exchange(request, asked, calibrate)
