"""What several commands share: the argument STUDY, the way from it to a `Study`, options.

`training_command` makes a command that trains, with all of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from ablate.errors import StudyError, nearest

if TYPE_CHECKING:
    from ablate.store import Store
    from ablate.study.study import Study


#: Keys of which a study file has at least two at its left edge.
_KEYS = re.compile(
    r"^(study|variants|factors|leave_one_out|screen|search|data|model|train|seeds|script)\s*:",
    re.MULTILINE,
)


def study_files(folder: Path = Path()) -> list[Path]:
    """Return the study files that lie in a folder, as far as a glance tells."""
    found = []
    for each in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        text = each.read_text(encoding="utf-8", errors="replace") if each.is_file() else ""
        if len(set(_KEYS.findall(text))) > 1:
            found.append(each)
    return found


class StudyName(click.ParamType):
    """A study file, or the name of a study under --logs, which a shell can complete."""

    name = "study"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the studies that begin so, and let the shell add files."""
        from ablate.store import studies

        names = [*map(str, study_files()), *studies(ctx.params.get("logs") or "logs")]
        known = [CompletionItem(each) for each in names if each.startswith(incomplete)]
        return known or [CompletionItem(incomplete, type="file")]


def _or_the_only_one(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Return the STUDY that was asked for; if none was, the one study file of this folder."""
    if value or ctx.resilient_parsing:
        return value
    there = study_files()
    if len(there) == 1:
        _say(f"STUDY: {there[0]}, the study file in this folder.")
        return (str(there[0]),) if param.nargs == -1 else str(there[0])
    if there:
        raise click.UsageError(
            f"Which STUDY? In this folder there are: {', '.join(map(str, there))}.", ctx
        )
    raise click.UsageError(
        "Missing argument 'STUDY': a study file, or the name of a study under --logs. In this "
        "folder there is no study file; write one: ablate init study.yaml",
        ctx,
    )


#: The argument STUDY, which may be left out where there is one study file; or one or more of it.
study_argument = click.argument(
    "study", type=StudyName(), required=False, callback=_or_the_only_one
)
studies_argument = click.argument(
    "studies", type=StudyName(), nargs=-1, callback=_or_the_only_one, metavar="[STUDY]..."
)

#: The same where leaving it out means every study under --logs.
any_study_argument = click.argument("study", type=StudyName(), required=False)


@dataclass(frozen=True)
class Find:
    """The way from a STUDY argument to its `Study`, changed as the options say.

    `runs` tells whether a script may be run to make its study; else what was captured of it the
    last time is shown.
    """

    logs: Path
    settings: tuple[str, ...] = ()
    profile: str | None = None
    seeds: str | None = None
    runs: bool = False
    arguments: tuple[str, ...] = ()
    rehearse: bool = False
    quiet: bool = False

    def __call__(self, study: str) -> Study:
        """Return the study that STUDY names: a file, or a folder under `logs`.

        Raises:
            StudyError: neither is there, or the file is not valid.
        """
        from ablate.config import load_study
        from ablate.scripts.study import Asked, is_script, name_of
        from ablate.store import Store, studies

        logs, place, folder = self.logs, Path(study), None
        script = is_script(place) and place.is_file()
        if script and not self.runs:
            place = _stored(place, Store(logs, name_of(place)))
        elif (self.arguments or self.rehearse) and not script and not _names_one(place):
            raise StudyError(
                "Arguments after -- and --rehearse are for a training script (.py, .ipynb), or a "
                f"study that has one. Received: '{study}'."
            )
        if not place.is_file():
            known = studies(logs)
            inside = place.is_dir() and place.parent.resolve() == logs.resolve()
            folder = place.name if inside else study
            if folder not in known:
                there = f" Under {logs}/ there are: {', '.join(known)}." if known else ""
                if (logs / study).is_dir():
                    there = (
                        f" {logs / study} is a folder without a study.yaml that can be read.{there}"
                    )
                places = [*Path().glob("*.yaml"), *Path("configs").rglob("*.yaml")]
                files = [each.as_posix() for each in places]
                raise StudyError(
                    f"'{study}' is neither a study file nor a study under {logs}/."
                    f"{nearest(study, [*known, *files])}{there}"
                )
            place = Store(logs, folder).study_file
        asked = Asked(_silent if self.quiet else _say, self.arguments, self.rehearse)
        found = load_study(
            place, list(self.settings), self.profile, self.seeds, logs=logs, asked=asked
        )
        if folder is not None and found.study != folder:
            # The folder was renamed, as `--fresh` does: what was trained lies in it all the same.
            return found.model_copy(update={"study": folder})
        return found


def _names_one(place: Path) -> bool:
    """Whether a study file has a `script`, as far as a glance tells."""
    return place.is_file() and "script:" in place.read_text(encoding="utf-8", errors="replace")


def _stored(script: Path, store: Store) -> Path:
    """Return the file of the study that was made of a script.

    Raises:
        StudyError: there is none yet.
    """
    if not store.exists():
        raise StudyError(
            f"'{script}' was not run by `ablate` yet, so there is nothing of it under "
            f"{store.logs}/. Run it first: ablate run {script}"
        )
    return store.study_file


def _say(line: str) -> None:
    from ablate.cli.echo import echo

    echo(line, err=True)


def _silent(line: str) -> None:
    """Say nothing."""


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
fresh_option = click.option(
    "--fresh", is_flag=True, help="Archive existing results and start over."
)
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Print results only.")


def document_options(
    file: str, beside: str, configs: str
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Add --output, the document that is written, and --configs, the studies that it tells of."""

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        output = click.option(
            "-o",
            "--output",
            type=click.Path(dir_okay=False, path_type=Path),
            default=Path(file),
            show_default=True,
            help=f"The document; {beside} next to it.",
        )
        folder = click.option(
            "--configs",
            type=click.Path(file_okay=False, exists=True, path_type=Path),
            help=f"Folder of the studies, if not {configs}.",
        )
        return output(folder(function))

    return decorate


arguments_argument = click.argument(
    "arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGUMENTS]"
)
rehearse_option = click.option(
    "--rehearse",
    is_flag=True,
    help="Of a script: run on past its fits, one step each, to see all of them.",
)


def study_options(*, execution: bool) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Add --logs and what changes a study: --set, --profile, --seeds.

    The command gets `logs`, and `find` (see `Find`).

    Args:
        execution: add the options that say where trials run, too.
    """
    options = [logs_option, *_CHANGES, *(_EXECUTION if execution else ())]

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        @wraps(function)
        def command(
            *, logs: Path, settings: tuple[str, ...], profile: str | None, seeds: str | None,
            **rest: Any,
        ) -> int:  # fmt: skip
            where = {name: rest.pop(name) for name in _EXECUTION_FIELDS if name in rest}
            changes = [f"execution.{k}={v}" for k, v in where.items() if v is not None]
            quiet = bool(rest.get("quiet") or rest.get("as_json"))
            find = Find(
                logs, (*settings, *changes), profile, seeds,
                runs=True, arguments=rest.pop("arguments", ()), quiet=quiet,
                rehearse=rest.pop("rehearse", False),
            )  # fmt: skip
            return function(logs=logs, find=find, **rest)

        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def training_command(
    name: str, *options: Callable[..., Any], scripts: bool = True
) -> Callable[[Callable[..., int]], click.Command]:
    """Make a function the command `name`, which trains what is missing of a STUDY.

    It gets `study`, `logs`, `find`, `quiet`, `as_json`, and `fresh` unless it trains nothing.

    Args:
        name: the command.
        options: further ones, before those that all have.
        scripts: whether STUDY may be a training script, with arguments behind `--`.
    """

    def decorate(function: Callable[..., int]) -> click.Command:
        command: Callable[..., Any] = function
        arguments: list[Callable[..., Any]] = [arguments_argument] if scripts else []
        first: list[Callable[..., Any]] = [study_argument, *arguments]
        every: list[Callable[..., Any]]
        every = [*first, study_options(execution=True), *options, quiet_option, json_option]
        for each in reversed(every):
            command = each(command)
        return click.command(name)(command)

    return decorate


_CHANGES = (
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="PATH=VALUE",
        help="Change a field, e.g. --set train.epochs=5. Repeatable.",
    ),
    click.option("--profile", help="A profile of the study file, such as quick."),
    click.option("--seeds", type=str, help="Number of seeds, or a list: 0,1,2."),
)
_EXECUTION = (
    click.option("--workers", metavar="N|auto", help="Worker processes."),
    click.option(
        "--executor",
        type=click.Choice(["processes", "serial", "inline", "ray", "slurm"]),
        help="Where trials run.",
    ),
    click.option("--address", help="Address of a cluster, e.g. auto or ray://host:10001."),
    click.option("--cpus-per-trial", type=float, help="Cores kept for a trial."),
    click.option("--gpus-per-trial", type=float, help="GPUs for a trial; 0.5 shares one."),
)
_EXECUTION_FIELDS = ("workers", "executor", "address", "cpus_per_trial", "gpus_per_trial")
