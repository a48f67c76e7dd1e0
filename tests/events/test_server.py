import json
import re
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from matplotlib.figure import Figure

from ablate.errors import AblateError
from ablate.events import server
from ablate.events.board import Board
from ablate.events.server import TICKED, address, has_charts, runs_in, serve
from ablate.events.tree import rebuild_tree

URL = "http://127.0.0.1:6006/"


PARTS = ("", "/train", "/validation")


def runs(variants: int, seeds: int, first: int = 0) -> list[str]:
    found = ["."]
    for variant in range(variants):
        found.append(f"v{variant}")
        found += trials(f"v{variant}", range(first, first + seeds))
    return found


def searched(variants: int, points: int) -> list[str]:
    found = ["."]
    for variant in range(variants):
        found.append(f"search/v{variant}")
        for point in range(points):
            found.append(f"search/v{variant}/p{point:03}/seed10000")
    return found


def trials(place: str, seeds) -> list[str]:
    return [f"{place}/seed{seed}{part}" for seed in seeds for part in PARTS]


def opened(names: list[str], charts: bool = True) -> tuple[str, list[str]]:
    """The tab that the address opens, and the runs that it shows."""
    place, _, pattern = address(URL, names, charts=charts).partition("&regexInput=")
    begin, tab = place.split("#")
    assert begin.startswith(f"{URL}?smoothing=0")
    assert tab.endswith("&_smoothingWeight=0")
    return tab.partition("&")[0], [each for each in names if re.search(unquote(pattern), each)]


def test_variants_alone_are_all_shown():
    assert address(URL, runs(4, 0), charts=True) == (
        f"{URL}?smoothing=0#custom_scalars&_smoothingWeight=0"
    )


def test_seeds_have_the_colour_of_their_variant():
    (color,) = re.findall("runColorGroup=([^#&]+)", address(URL, runs(2, 5), charts=True))
    pattern = unquote(color).removeprefix("regex:")
    assert {re.match(pattern, run)[1] for run in runs(2, 2)} == {".", "v0", "v1"}


@pytest.mark.parametrize("first", [0, 7, 20000])
@pytest.mark.parametrize(
    ("variants", "seeds", "expected"),
    [
        (4, 11, lambda name, first: "/" not in name or f"/seed{first}" in f"{name}/"),
        (12, 5, lambda name, first: "/" not in name or name.endswith(f"/seed{first}")),
        (30, 5, lambda name, first: "/" not in name),
    ],
)
def test_of_many_runs_as_many_are_shown_as_start_ticked(variants, seeds, expected, first):
    names = runs(variants, seeds, first)
    assert len(names) > TICKED
    tab, found = opened(names)
    assert tab == "custom_scalars"
    assert found == [name for name in names if expected(name, first)]
    assert len(found) <= TICKED


@pytest.mark.parametrize(("variants", "points"), [(1, 3), (3, 30), (50, 2)])
def test_a_search_opens_on_its_scores(variants, points):
    names = searched(variants, points)
    tab, found = opened(names)
    if len(names) <= TICKED:
        assert (tab, found) == ("custom_scalars", names)
    elif variants < TICKED:
        assert tab == "custom_scalars"
        assert found == [".", *(f"search/v{variant}" for variant in range(variants))]
    else:
        assert (tab, found) == ("hparams", names)  # which lists every point


def test_beside_a_search_a_study_shows_its_own():
    names = [*runs(3, 3, first=5), *searched(3, 30)[1:]]
    tab, found = opened(names)
    assert tab == "custom_scalars"
    assert found == [
        each
        for each in names
        if "/" not in each or "/seed5" in each or re.fullmatch("search/v[0-9]", each)
    ]


@pytest.mark.parametrize(
    ("names", "charts", "tab"),
    [
        (["."], False, "text"),  # begun, and nothing is finished
        ([".", *trials("v0", [3])], False, "hparams"),  # its first trial is under way
        ([".", *trials("v0", range(60))], False, "hparams"),  # all of them failed
        (runs(60, 1), True, "hparams"),  # more variants than start ticked
        (["mine", *(f"mine/{each}" for each in searched(2, 2)[1:])], False, "hparams"),
        (["mine", *(f"mine/{each}" for each in searched(2, 40)[1:])], True, "custom_scalars"),
    ],
)
def test_whatever_is_there_something_is_shown(names, charts, tab):
    place, found = opened(names, charts)
    assert place == tab
    assert found


def test_a_port_that_is_taken_is_said(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AblateError, match=f"Port {port}.*--port"), serve(tmp_path, port):
            pass


@pytest.mark.slow
def test_of_two_that_take_one_port_each_shows_its_own(tmp_path, result, monkeypatch):
    for name in "ab":
        rebuild_tree(tmp_path / name, Board(name, "a"), [result("a")])
    with serve(tmp_path / "a") as first:
        # As if the port had still been free when it was looked for.
        port = int(first.url.rstrip("/").rpartition(":")[2])
        found = server._free_port
        monkeypatch.setattr(
            server, "_free_port", lambda anew=False: found(anew=True) if anew else port
        )
        with serve(tmp_path / "b") as second:
            assert second.url != first.url
            with urllib.request.urlopen(f"{second.url}data/environment", timeout=30) as answer:
                assert json.load(answer)["data_location"] == str(tmp_path / "b")


def asking(url: str, root: Path) -> Callable[..., Any]:
    """What asks a TensorBoard that has read every run of a logdir."""

    def ask(path: str, body: dict | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url + "data/" + path, data)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    # A TensorBoard that answers may still be reading.
    deadline = time.monotonic() + 60
    while len(ask("runs")) < len(runs_in(root)) and time.monotonic() < deadline:
        pass
    assert sorted(ask("runs")) == runs_in(root)
    return ask


def test_of_a_search_it_serves_the_tab_that_opens(tmp_path, result):
    points = [
        result(variant, 10000, id=f"{variant}{k}", metrics={"val_loss": 1.0},
               spec={"train": {"learning_rate": 10.0 ** -k}})
        for variant in ("a", "b") for k in (0, 1)
    ]  # fmt: skip
    board = Board("mine", "a", points={each.id: f"p00{each.id[-1]}" for each in points})
    rebuild_tree(tmp_path / "tb", board, points)
    tab, found = opened(runs_in(tmp_path / "tb"), charts=has_charts(tmp_path / "tb"))
    assert tab == "custom_scalars" and found
    with serve(tmp_path / "tb") as serving:
        listing = asking(serving.url, tmp_path / "tb")("plugins_listing")
    assert listing[tab]["enabled"] and listing["hparams"]["enabled"]


def test_tensorboard_serves_every_tab(tmp_path, results, arrays):
    def illustrate(result, arrays):
        path = tmp_path / "figure.png"
        Figure(figsize=(1, 1), dpi=10).savefig(path)
        return {("activations/percentiles", 2): path.read_bytes()}

    root = tmp_path / "tb"
    board = Board("mine", "plain", texts={"table": "| a |\n|---|\n| 1 |"})
    board = replace(board, arrays=lambda trial: arrays, illustrate=illustrate)
    rebuild_tree(root, board, [replace(each, probes=("activations",)) for each in results])
    assert has_charts(root)

    with serve(root) as serving:
        ask = asking(serving.url, root)
        assert ask("plugins_listing")["custom_scalars"]["enabled"]

        scalars = ask("plugin/scalars/scalars?tag=curve_mean/mine/loss&run=plain")
        assert [point[1:] for point in scalars] == [[1, 0.75], [2, 0.5]]
        layout = ask("plugin/custom_scalars/layout")
        assert layout["category"][0]["title"].startswith("mine: mean")
        pattern = quote(".*/mine/val_accuracy/curve_mean")
        bands = ask(f"plugin/custom_scalars/scalars?run=plain&tag={pattern}")
        assert len(bands["tag_to_events"]) == 3  # low, high, seeds
        groups = ask(
            "plugin/hparams/session_groups",
            {
                "experimentName": "",
                "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
                "colParams": [],
                "startIndex": 0,
                "sliceSize": 10,
            },
        )["sessionGroups"]
        assert {group["name"].rpartition("/")[0] for group in groups} == {
            "mine/plain",
            "mine/dropout",
        }
        assert [len(group["sessions"]) for group in groups] == [1, 1]
        lost = {
            group["name"].split("/")[1]: metric["value"]
            for group in groups
            for metric in group["metricValues"]
            if metric["name"]["tag"] == "final/lost"
        }
        assert lost["plain"] == 0
        assert lost["dropout"] == pytest.approx(1 / 3)
        tags = ask("plugin/text/tags")
        assert set(tags["."]) == {"mine/table", "mine/about"}
        assert "activations/dense, seed 0" in ask("plugin/histograms/tags")["plain"]
        assert "activations/percentiles, seed 0" in ask("plugin/images/tags")["plain"]

        serving.process.kill()
        with pytest.raises(AblateError, match="has ended by itself"):
            serving.wait()
