import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Response

from ablate.cli import tab
from ablate.cli.tab import AblationTab, page, studies_near
from ablate.events.shared import share


@pytest.fixture
def logs(tmp_path):
    for name in ("one", "two"):
        board = tmp_path / "logs" / name / "tensorboard" / "plain"
        board.mkdir(parents=True)
        (board / "events.out.tfevents.0.means").touch()
        (tmp_path / "logs" / name / "study.yaml").write_text(f"study: {name}\n")
    return tmp_path / "logs"


def ask(logdir, route, **query) -> Response:
    plugin = AblationTab(SimpleNamespace(logdir=str(logdir)))
    return Client(plugin.get_plugin_apps()[route]).get(query_string=query)


@pytest.mark.parametrize(
    ("logdir", "found"),
    [
        ("logs", {"one", "two"}),
        (".", {"one", "two"}),
        ("logs/one", {"one"}),
        ("logs/two/tensorboard", {"two"}),
        ("logs/two/tensorboard/plain", {"two"}),
        ("elsewhere", set()),
        ("", set()),
    ],
)
def test_studies_are_found_below_and_above_a_logdir(logs, logdir, found):
    place = str(logs.parent / logdir) if logdir else ""
    assert {each.name for each in studies_near(place)} == found
    assert AblationTab(SimpleNamespace(logdir=place)).is_active() is bool(found)


def test_studies_are_found_behind_links(logs, tmp_path):
    boards = {each.name: each / "tensorboard" for each in logs.iterdir()}
    share(tmp_path / "both", boards)
    share(tmp_path / "one", {".": boards["one"]}, seeds=True)
    assert sorted(studies_near(str(tmp_path / "both"))) == [logs / "one", logs / "two"]
    assert list(studies_near(str(tmp_path / "one"))) == [logs / "one"]


def test_the_latest_comes_first_and_two_of_one_name_are_told_apart(logs):
    (logs / "one" / "trials").mkdir()
    names = [each["name"] for each in ask(logs, "/studies").json]
    assert names == ["one", "two"]
    (logs / "more" / "two").mkdir(parents=True)
    (logs / "more" / "two" / "study.yaml").write_text("study: two\n")
    names = {each["name"] for each in ask(logs, "/studies").json}
    assert names == {"one", str(logs / "two"), str(logs / "more" / "two")}


def test_the_state_changes_with_the_results(logs):
    before = ask(logs, "/studies").json
    (logs / "one" / "trials").mkdir()
    after = {each["name"]: each["state"] for each in ask(logs, "/studies").json}
    assert after != {each["name"]: each["state"] for each in before}


def test_only_studies_that_are_there_are_shown(logs):
    for wanted in ("three", "../one", str(logs / "one"), ""):
        assert ask(logs, "/page", study=wanted).status_code == 404


def test_a_page_may_run_its_own_scripts_and_no_other(logs, monkeypatch):
    monkeypatch.setattr(tab, "page", lambda folder: f"<script>let a = '{folder.name}'</script>")
    answer = ask(logs, "/page", study="two")
    assert answer.text == "<script>let a = 'two'</script>"
    total = base64.b64encode(hashlib.sha256(b"let a = 'two'").digest()).decode()
    assert f"'sha256-{total}'" in answer.headers["Content-Security-Policy"]


def test_a_page_is_made_once_for_a_state(logs, monkeypatch):
    made = []
    monkeypatch.setattr(tab, "page", lambda folder: made.append(folder.name) or "page")
    plugin = AblationTab(SimpleNamespace(logdir=str(logs)))
    client = Client(plugin.get_plugin_apps()["/page"])
    for _ in range(2):
        client.get(query_string={"study": "one"})
    (logs / "one" / "trials").mkdir()
    client.get(query_string={"study": "one"})
    assert made == ["one", "one"]


def test_a_study_that_cannot_be_read_says_why(logs):
    (logs / "one" / "study.yaml").write_text("study: one\nvariants: <b>none</b>\n")
    assert "variants" in page(logs / "one")
    assert "<b>" not in page(logs / "one")


def test_the_module_comes_with_the_package(logs):
    plugin = AblationTab(SimpleNamespace(logdir=str(logs)))
    module = plugin.frontend_metadata().es_module_path
    answer = Client(plugin.get_plugin_apps()[module]).get()
    assert "export async function render" in answer.text
    assert answer.mimetype == "text/javascript"


def test_a_finished_study_is_shown_without_tensorflow(tmp_path):
    code = f"""
import json, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.cli.stored import stored
from ablate.cli.tab import page
store = stored(Path({str(tmp_path)!r}), "one", seeds=3)
text = page(store.root)
print(json.dumps([sorted({{"tensorflow", "keras"}} & set(sys.modules)), "<svg" in text or
    "data:image/svg" in text, "6 of 6 trials completed" in text, store.looks_file.is_file()]))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert json.loads(run.stdout or run.stderr) == [[], True, True, True]
