"""`ablate change`: give layers other arguments, and certify what that did."""

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


@click.command("change")
@where_option("Layers to change")
@except_option
@arguments_option
@click.option("--name", help="A name for the change, kept in the record.")
@surgical
def command(
    request: Request,
    where: tuple[str, ...],
    except_: tuple[str, ...],
    arguments: tuple[str, ...],
    name: str | None,
) -> None:
    """Give layers of the model SOURCE other arguments and write the new model to OUT.

    All weights stay. Rates, momenta and `trainable` leave the outputs as they are; the
    certificate next to OUT says how far other arguments moved them. `ablate remove` brings the
    former arguments back.

    \b
    ablate change model.keras out.keras --where Dropout --arg rate=0.2
    ablate change model.keras out.keras --where recurrent --arg dropout=0.2
    """
    from ablate.study.schema.placement import Change

    exchange(request, stated(Change, list(where), except_, arguments, "--arg", name=name))
