"""`ablate completion`: let a shell complete commands, options and studies."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ablate.cli.echo import echo


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print what makes SHELL complete commands, options and studies.

    \b
    bash  ablate completion bash > ~/.local/share/bash-completion/completions/ablate
    zsh   ablate completion zsh > "${fpath[1]}/_ablate"
    fish  ablate completion fish > ~/.config/fish/completions/ablate.fish
    """
    from ablate.cli import cli

    kind = get_completion_class(shell)
    assert kind is not None
    variables = kind(cli, {}, "ablate", "_ABLATE_COMPLETE").source_vars()
    echo(kind.source_template % variables)
    return 0
