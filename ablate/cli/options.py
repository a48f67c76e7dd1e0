"""Options that several commands share, and the way from a STUDY argument to a `Study`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ablate.errors import StudyError, nearest

if TYPE_CHECKING:
    from ablate.study.study import Study

Function = TypeVar("Function", bound=Callable[..., Any])

logs_option = click.option(
    "--logs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("logs"),
    show_default=True,
    help="Folder in which studies are written.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Print results only.")


def study_options(function: Function) -> Function:
    """Add what changes a study: --set, --profile, --seeds."""
    for option in (
        click.option("--seeds", type=str, help="Number of seeds, or a list: 0,1,2."),
        click.option("--profile", help="A profile of the study file, such as quick."),
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="PATH=VALUE",
            help="Change a field, e.g. --set train.epochs=5. Repeatable.",
        ),
    ):
        function = option(function)
    return function


def execution_options(function: Function) -> Function:
    """Add what says where trials run."""
    for option in (
        click.option("--gpus-per-trial", type=float, help="GPUs for a trial; 0.5 shares one."),
        click.option("--cpus-per-trial", type=float, help="Cores kept for a trial."),
        click.option("--address", help="Address of a cluster, e.g. auto or ray://host:10001."),
        click.option(
            "--executor",
            type=click.Choice(["processes", "serial", "inline", "ray", "slurm"]),
            help="Where trials run.",
        ),
        click.option("--workers", metavar="N|auto", help="Worker processes."),
    ):
        function = option(function)
    return function


def find_study(
    study: str,
    logs: Path,
    *,
    settings: tuple[str, ...] = (),
    profile: str | None = None,
    seeds: str | None = None,
    **execution: Any,
) -> Study:
    """Return the study that STUDY names: a file, or a folder under `logs`.

    Raises:
        StudyError: neither is there, or the file cannot be obeyed.
    """
    from ablate.config import load_study
    from ablate.store import Store, studies

    changes = list(settings)
    for name, value in execution.items():
        if value is not None:
            changes.append(f"execution.{name}={value}")
    place, folder = Path(study), None
    if not place.is_file():
        known = studies(logs)
        name = place.name if place.is_dir() and place.parent.resolve() == logs.resolve() else study
        if name not in known:
            there = f" Under {logs}/ there are: {', '.join(known)}." if known else ""
            files = [each.as_posix() for each in Path("configs").rglob("*.yaml")]
            raise StudyError(
                f"'{study}' is neither a study file nor a study under {logs}/."
                f"{nearest(study, [*known, *files])}{there}"
            )
        place, folder = Store(logs, name).study_file, name
    found = load_study(place, overrides=changes, profile=profile, seeds=seeds)
    if folder is not None and found.study != folder:
        # The folder was renamed, as `--fresh` does: what was trained lies in it all the same.
        return found.model_copy(update={"study": folder})
    return found
