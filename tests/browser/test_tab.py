"""TensorBoard in Chromium: the tab Ablation, and the runs that a plain logdir begins with."""

from __future__ import annotations

import os
import re
from configparser import ConfigParser
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from ablate.cli.board import _bring_up_to_date
from ablate.cli.tab import AblationTab
from ablate.events.server import serve
from tests.browser.chromium import browser
from tests.cli.stored import stored

pytestmark = pytest.mark.browser

GROUP = "tensorboard_plugins"


@pytest.fixture(scope="module")
def declared() -> EntryPoint:
    """The plugin as setup.cfg declares it."""
    parser = ConfigParser()
    parser.read(Path(__file__).parents[2] / "setup.cfg")
    name, _, value = parser["options.entry_points"][GROUP].strip().partition(" = ")
    return EntryPoint(name, value, GROUP)


@pytest.fixture(scope="module")
def board(tmp_path_factory, declared):
    """A TensorBoard on a logs folder of two studies, one of which is not finished."""
    folder = tmp_path_factory.mktemp("tab")
    for name, trials in (("first", True), ("second", 3)):
        store = stored(folder / "logs", name, seeds=3, trials=trials)
        _bring_up_to_date(store, name, rebuild=True, all_runs=False)
    patch = pytest.MonkeyPatch()
    if declared.name not in entry_points(group=GROUP).names:  # installed before it was declared
        info = folder / "tab-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tab\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{declared.name} = {declared.value}\n")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    with serve(folder / "logs") as serving:
        yield serving.url, folder / "logs"
    patch.undo()


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


def test_the_plugin_is_what_setup_declares(declared):
    assert declared.load() is AblationTab


def test_the_tab_shows_each_study_and_follows_it(board, chromium):
    url, logs = board
    page = chromium.new_page()
    page.set_default_timeout(120_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
    page.goto(f"{url}#ablate")
    tab = page.frame_locator("iframe").first
    choice, report = tab.get_by_label("Study"), tab.frame_locator("iframe")
    report.get_by_text("3 of 6 trials completed").wait_for()  # the one that was written last
    assert choice.input_value() == "second"
    assert report.locator("svg").count() > 0
    stored(logs, "second", seeds=3, trials=5)
    report.get_by_text("5 of 6 trials completed").wait_for()
    choice.select_option("first")
    report.get_by_text("6 of 6 trials completed").wait_for()
    assert report.locator("h1").inner_text() == "first"
    assert wrong == []
    page.close()


def test_a_plain_logdir_begins_with_the_variants(board, chromium):
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto(board[0])
    page.get_by_text("curve_mean", exact=True).first.wait_for()
    page.get_by_text("second/tensorboard/plain").first.wait_for()
    ticked = page.locator("runs-data-table input[type=checkbox]")
    names = page.locator("runs-data-table").inner_text()
    expected = {f"first/tensorboard/{variant}" for variant in ("plain", "fast")}
    assert expected | {"second/tensorboard/plain"} <= set(re.split(r"\s+", names))
    assert "seed" not in names
    assert ticked.count() > 4
    assert all(each.is_checked() for each in ticked.all())
    page.close()
