import json
import re
import time
import urllib.request
from urllib.parse import quote, unquote

import pytest
from matplotlib.figure import Figure

from ablate.errors import AblateError
from ablate.events.board import Board
from ablate.events.server import TICKED, address, runs_in, serve
from ablate.events.tree import Sources, rebuild_tree

URL = "http://127.0.0.1:6006/"


def runs(variants: int, seeds: int) -> list[str]:
    parts = ("", "/train", "/validation")
    found = ["."]
    for variant in range(variants):
        found.append(f"v{variant}")
        found += [f"v{variant}/seed{seed}{part}" for seed in range(seeds) for part in parts]
    return found


def shown(url: str, names: list[str]) -> list[str]:
    pattern = unquote(url.partition("regexInput=")[2])
    return [name for name in names if re.search(pattern, name)]


def test_a_few_runs_are_all_shown():
    assert address(URL, runs(2, 5)) == f"{URL}#custom_scalars"


@pytest.mark.parametrize(
    ("variants", "seeds", "expected"),
    [
        (4, 11, lambda name: "/" not in name or "/seed0" in name),
        (12, 5, lambda name: "/" not in name or name.endswith("/seed0")),
        (30, 5, lambda name: "/" not in name),
    ],
)
def test_of_many_runs_as_many_are_shown_as_start_ticked(variants, seeds, expected):
    names = runs(variants, seeds)
    assert len(names) > TICKED
    found = shown(address(URL, names), names)
    assert found == [name for name in names if expected(name)]
    assert len(found) <= TICKED


def test_a_port_that_is_taken_is_said(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AblateError, match=f"Port {port}.*--port"), serve(tmp_path, port):
            pass


def test_tensorboard_serves_every_tab(tmp_path, results, arrays):
    def illustrate(result, arrays):
        path = tmp_path / "figure.png"
        Figure(figsize=(1, 1), dpi=10).savefig(path)
        return {("activations/percentiles", 2): path.read_bytes()}

    root = tmp_path / "tb"
    board = Board("mine", "plain", texts={"table": "| a |\n|---|\n| 1 |"})
    rebuild_tree(root, board, results, Sources(lambda trial: arrays, illustrate))

    with serve(root) as serving:
        url = serving.url

        def ask(path: str, body: dict | None = None):
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(url + "data/" + path, data)
            if data is not None:
                request.add_header("Content-Type", "application/json")
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)

        # A TensorBoard that answers may still be reading; wait until it has every run.
        deadline = time.monotonic() + 60
        while len(ask("runs")) < len(runs_in(root)) and time.monotonic() < deadline:
            pass
        assert sorted(ask("runs")) == runs_in(root)

        scalars = ask(f"plugin/scalars/scalars?tag=epoch_loss&run={quote('plain/seed0/train')}")
        assert [point[1:] for point in scalars] == [[1, 0.75], [2, 0.5]]
        layout = ask("plugin/custom_scalars/layout")
        assert layout["category"][0]["title"].startswith("mine: mean")
        pattern = quote("variants/mine/val_accuracy/mean")
        bands = ask(f"plugin/custom_scalars/scalars?run=plain&tag={pattern}")
        assert len(bands["tag_to_events"]) == 4
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
        assert [len(group["sessions"]) for group in groups] == [3, 3]
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
        assert "activations/dense" in ask("plugin/histograms/tags")["plain/seed0"]
        assert "activations/percentiles" in ask("plugin/images/tags")["plain/seed0"]

        serving.process.kill()
        with pytest.raises(AblateError, match="has ended by itself"):
            serving.wait()
