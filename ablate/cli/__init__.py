"""The command line: one file per command, each thin.

A command's module is imported when it is asked for, and imports what it needs in its function,
so that `ablate --help` does not wait for TensorFlow. Errors that a person can mend become a
message and an exit status here, once.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from ablate._version import __version__
from ablate.cli.echo import echo
from ablate.errors import AblateError, Notice, nearest

#: The commands in the order in which `ablate --help` lists them.
COMMANDS = (
    "run",
    "plan",
    "status",
    "report",
    "search",
    "screen",
    "reproduce",
    "atlas",
    "board",
    "gc",
    "inspect",
    "insert",
    "remove",
    "replace",
    "change",
    "fold",
    "schema",
    "init",
    "examples",
    "models",
    "data",
    "completion",
)

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


class Commands(click.Group):
    """A group whose commands are modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of use, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"ablate.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(
                f"There is no command '{args[0]}'.{nearest(args[0], COMMANDS)}", ctx
            )
        return super().resolve_command(ctx, args)


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.version_option(__version__, prog_name="ablate")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Find out what BatchNormalization and Dropout do to a Keras network.

    Start with: ablate init study.yaml, then ablate run study.yaml
    """
    if ctx.invoked_subcommand is None:
        echo(_where_to_start())


def _where_to_start() -> str:
    """Return what can be done next in this folder."""
    from ablate.cli.options import study_files
    from ablate.store import studies

    files, stored = study_files(), studies("logs")
    lines = [f"ablate {__version__}: what BatchNormalization and Dropout do to a Keras network", ""]
    if files:
        lines += [f"Run a study:     ablate run {each}" for each in files[:5]]
    else:
        lines += [
            "There is no study file in this folder.",
            "Write one:       ablate init study.yaml",
            "Or copy one:     ablate examples",
        ]
    if stored:
        lines += ["How far it is:   ablate status"]
        lines += [f"What it found:   ablate report {each}" for each in stored[-5:]]
    return "\n".join([*lines, "All commands:    ablate --help"])


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    sys.exit(run_cli(arguments))


def run_cli(arguments: list[str] | None = None) -> int:
    """Run the command line and return its status: 0, 1, 2 or 130 (DESIGN.md section 7)."""
    try:
        with _print_notices():
            status = cli.main(args=arguments, prog_name="ablate", standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort as error:  # click's name for Ctrl-C
        _report_interruption(error.__cause__)
        return INTERRUPTED
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        echo(text.getvalue(), err=True, nl=False)
        return WRONG
    except AblateError as error:
        echo(f"Error: {error}", err=True)
        return WRONG
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe (head, less) has had enough
        return DONE
    return status if isinstance(status, int) else DONE


@contextmanager
def _print_notices() -> Iterator[None]:
    """Print notices as a person reads them, each once; other warnings as they were."""
    with warnings.catch_warnings():
        before, shown = warnings.showwarning, set[str]()

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, Notice):
                before(message, category, *where, **more)
            elif str(message) not in shown:
                shown.add(str(message))
                echo(f"Note: {message}", err=True)

        warnings.simplefilter("always", Notice)
        warnings.showwarning = show
        yield


def _report_interruption(error: BaseException | None) -> None:
    done, left = getattr(error, "done", None), getattr(error, "left", None)
    if done is None:
        text = "Stopped. What was finished before is saved, and nothing is half written."
    else:
        text = (
            f"Stopped: {done} trials finished and saved, {left} left; those under way keep their "
            "last checkpoints."
        )
    echo(f"{text} Run the same command again to go on from here.", err=True)
