"""`ablate run`: train what a study asks for and report what came of it."""

from __future__ import annotations

from pathlib import Path

from ablate.cli.echo import echo_json
from ablate.cli.options import Find, fresh_option, rehearse_option, training_command


@training_command("run", rehearse_option, fresh_option)
def command(study: str, logs: Path, find: Find, *, fresh: bool, quiet: bool, as_json: bool) -> int:
    """Train every trial of STUDY that has no outcome yet.

    STUDY is a study file, or the name of a study under --logs. Final trials are kept and never
    trained again; Ctrl-C stops, and the same command goes on.
    """
    from ablate.execution.run import run
    from ablate.report.live import Display
    from ablate.report.printing import console
    from ablate.report.terminal import print_closing

    screen = console(quiet=quiet or as_json)
    results = run(find(study), logs=logs, fresh=fresh, watchers=[Display(screen)])
    if as_json:
        from ablate.report import report_of

        echo_json(report_of(results).analysis.to_json())
    else:
        print_closing(results, logs=logs, quiet=quiet)
    return 1 if results.counts().get("failed") else 0
