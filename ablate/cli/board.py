"""`ablate board`: open TensorBoard on what has been run."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.cli.echo import echo, echo_json
from ablate.cli.options import Find, any_study_argument, json_option, logs_option, quiet_option

if TYPE_CHECKING:
    from ablate.store import Store


@click.command("board")
@any_study_argument
@logs_option
@click.option("--port", type=click.IntRange(1, 65535), help="Port; default 6006 if it is free.")
@click.option("--rebuild", is_flag=True, help="Write the event files anew from the results.")
@click.option("--seeds", is_flag=True, help="Show every seed by itself, beside the variants.")
@click.option(
    "--all-runs",
    is_flag=True,
    help="Show every seed, however many; --seeds alone shows at most 250 runs of a study.",
)
@quiet_option
@json_option
def command(
    study: str | None,
    logs: Path,
    port: int | None,
    rebuild: bool,
    seeds: bool,
    all_runs: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Open TensorBoard on STUDY, or on every study under --logs.

    It shows the variants: mean curves with their intervals, a row of HParams, and in the tab
    Ablation the report as it now is. It runs on this machine alone, shows a study while it runs,
    and ends with Ctrl-C. The event files follow from the results: where they are missing or out of
    date they are written first.
    """
    from ablate.errors import StoreError
    from ablate.events.server import address, has_charts, runs_in, serve

    stores = _stores(study, logs)
    for store, found in stores:
        written = _bring_up_to_date(store, found, rebuild=rebuild, all_runs=all_runs)
        if written and not (quiet or as_json):
            echo(f"{store.name}: {written}")
    boards = {"." if study is not None else store.name: store.tensorboard for store, _ in stores}
    with _stoppable(), _logdir(boards, seeds=seeds or all_runs) as logdir:
        if not runs_in(logdir) and not any(store.held_since() for store, _ in stores):
            names = ", ".join(f"'{store.name}'" for store, _ in stores)
            raise StoreError(
                f"There is nothing to show under {logs}/ yet: no trial of {names} has an outcome. "
                f"Run it first, such as: ablate run {stores[0][1]}"
            )
        try:
            with _looked_at(stores), serve(logdir, port) as serving:
                opening = address(serving.url, runs_in(logdir), charts=has_charts(logdir))
                if as_json:
                    echo_json({"url": opening, "logdir": str(logdir)})
                else:
                    echo(f"TensorBoard: {opening}\nCtrl-C ends it.")
                serving.wait()
        except KeyboardInterrupt:
            if not (quiet or as_json):
                echo("TensorBoard has ended.")
    return 0


def _stores(study: str | None, logs: Path) -> list[tuple[Store, str]]:
    """Return the stores to show, each with what finds its study."""
    from ablate.errors import StoreError
    from ablate.store import Store, studies

    if study is not None:
        return [(Store(logs, Find(logs)(study).study), study)]
    names = studies(logs)
    if not names:
        raise StoreError(
            f"There is no study under {logs}/. Run one first, such as: "
            "ablate run configs/digits.yaml; or say where with --logs."
        )
    return [(Store(logs, name), name) for name in names]


def _bring_up_to_date(store: Store, study: str, *, rebuild: bool, all_runs: bool) -> str:
    """Write a study's event files where they are asked for or behind; return what was written."""
    from ablate.errors import AblateError
    from ablate.events import behind

    asked = rebuild or all_runs
    if not asked and not behind(store):
        return ""
    try:
        with store.lock():
            return _write(store, study, rebuild=rebuild, all_runs=all_runs)
    except AblateError as error:
        if asked:
            raise
        # What is there can be shown all the same, and grows if the study is running.
        return f"shown as it is. {error}"


@contextmanager
def _looked_at(stores: list[tuple[Store, str]]) -> Iterator[None]:
    """Note what of the studies' differences is shown, at the beginning and when it ends."""
    from ablate.errors import AblateError
    from ablate.execution.plan import plan, resolved_before

    def note() -> None:
        for store, study in stores:
            with suppress(AblateError):  # of a study that cannot be read, nothing is shown either
                made = plan(
                    Find(store.logs)(study), store, earlier=resolved_before(store), recorded=True
                )
                outcome = made.outcome(made.results, store)
                if outcome.looks is not None:
                    store.add_look(outcome.looks, outcome.results, "board")

    note()
    try:
        yield
    finally:
        note()


def _write(store: Store, study: str, *, rebuild: bool, all_runs: bool) -> str:
    from ablate import events
    from ablate.errors import StoreError
    from ablate.execution.plan import plan, resolved_before, with_searched
    from ablate.report.probe_sections import illustrate
    from ablate.report.report_data import report_of

    found, earlier = Find(store.logs)(study), resolved_before(store)
    if found.screen is not None:
        from ablate.execution.screen import screened, write_events

        results = screened(found, store)[0]
        if results.confirmed is None or not results.confirmed.results:
            raise StoreError(f"Study '{store.name}' has nothing confirmed under {store.logs}/ yet.")
        shown = None if all_runs else events.RUNS
        return str(write_events(results, store, limit=shown, illustrate=illustrate, anew=rebuild))
    made, points = with_searched(plan(found, store, earlier=earlier, recorded=True), store)
    outcome = made.outcome(made.results, store)
    if not outcome.results:
        raise StoreError(f"Study '{store.name}' has no results under {store.logs}/ yet.")
    limit = None if all_runs else events.SEARCH_RUNS if points else events.RUNS
    analysis = report_of(outcome, by="board").analysis
    written = events.update(
        store, outcome, analysis, points=points, limit=limit, illustrate=illustrate, anew=rebuild
    )
    return str(written)


@contextmanager
def _logdir(boards: dict[str, Path], seeds: bool) -> Iterator[Path]:
    """Yield the logdir: a study's own, or one of links that keeps up with what is new."""
    if list(boards) == ["."] and not seeds:
        yield boards["."]
        return
    from ablate.events import share

    with tempfile.TemporaryDirectory(prefix="ablate-board-") as folder:
        share(Path(folder), boards, seeds=seeds)
        done = threading.Event()

        def keep_up() -> None:
            while not done.wait(5.0):
                share(Path(folder), boards, seeds=seeds)

        follower = threading.Thread(target=keep_up, daemon=True)
        follower.start()
        try:
            yield Path(folder)
        finally:
            done.set()
            follower.join()


@contextmanager
def _stoppable() -> Iterator[None]:
    """Treat a request to terminate as Ctrl-C, so that TensorBoard never outlives us."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Ctrl-C too: a shell that started us in the background makes it ignored.
    before = {sign: signal.signal(sign, interrupt) for sign in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
