"""What travels to a machine without the driver's disk."""

from __future__ import annotations

import io
import sys
import zipfile

import numpy as np
import pytest

from ablate.errors import StudyError
from ablate.execution import packaging
from ablate.execution.ray_bootstrap import EventQueue
from ablate.execution.ray_cluster import Room, room
from ablate.study.schema.data import Data
from ablate.study.schema.execution import Execution
from ablate.study.schema.model import Model
from ablate.study.schema.train import Train
from ablate.study.trial import Spec, Trial


def trial(**sections) -> Trial:
    spec = Spec(**{"data": Data(name="digits"), "model": Model(name="mlp"), "train": Train(),
                   **sections})  # fmt: skip
    return Trial(id="t", variant="plain", seed=0, spec=spec)


def test_a_file_stands_on_the_other_side_under_its_content(tmp_path, monkeypatch):
    monkeypatch.setattr(packaging.tempfile, "gettempdir", lambda: str(tmp_path / "machine"))
    (tmp_path / "machine").mkdir()
    file = tmp_path / "rows.npz"
    np.savez(file, x=np.arange(5))
    mine = trial(data=Data(path=str(file)))
    assert packaging.named_files([mine, mine]) == [file.resolve()]
    there = packaging.unpack({str(file): packaging.pack(file)})
    (moved,) = packaging.pointed([mine], there)
    assert moved.spec.data.path == there[str(file)] != str(file)
    assert moved.spec.data.path.endswith(".npz")
    assert np.load(moved.spec.data.path)["x"].tolist() == [0, 1, 2, 3, 4]
    assert moved.id == mine.id and moved.spec.model == mine.spec.model
    assert packaging.unpack({str(file): packaging.pack(file)}) == there


def test_a_folder_travels_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(packaging.tempfile, "gettempdir", lambda: str(tmp_path / "machine"))
    (tmp_path / "machine").mkdir()
    folder = tmp_path / "images"
    (folder / "cats").mkdir(parents=True)
    (folder / "cats" / "one.png").write_bytes(b"picture")
    there = packaging.unpack({str(folder): packaging.pack(folder)})
    place = packaging.Path(there[str(folder)])
    assert [each.relative_to(place).as_posix() for each in place.rglob("*.png")] == ["cats/one.png"]


def test_a_file_too_large_to_send_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(packaging, "LARGEST", 3)
    (tmp_path / "rows.npz").write_bytes(b"four")
    with pytest.raises(StudyError, match="too large to send to the cluster"):
        packaging.named_files([trial(data=Data(path=str(tmp_path / "rows.npz")))])


def test_the_users_modules_travel_and_installed_ones_do_not(tmp_path, monkeypatch):
    (tmp_path / "alone_module.py").write_text("x = 1\n")
    (tmp_path / "neighbour.py").write_text("y = 2\n")
    package = tmp_path / "a_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text("z = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    calls = [{"call": f"{name}:F"} for name in
             ("alone_module", "a_package.inner", "keras.callbacks", "json")]  # fmt: skip
    places = packaging.called_modules([trial(train=Train(callbacks=calls))])
    assert places == [tmp_path / "alone_module.py", package]
    contents = [
        zipfile.ZipFile(io.BytesIO(packaging.archive(place)[1])).namelist() for place in places
    ]
    assert contents == [["alone_module.py", "neighbour.py"],
                        ["a_package/__init__.py", "a_package/inner.py"]]  # fmt: skip
    assert packaging.archive(package) == packaging.archive(package)


def test_what_lives_in_the_main_script_is_refused():
    with pytest.raises(StudyError, match=r"'__main__:F' lives in the main script"):
        packaging.called_modules([trial(train=Train(callbacks=[{"call": "__main__:F"}]))])


def test_this_package_travels_without_what_was_compiled():
    import ablate

    name, content = packaging.archive(packaging.Path(ablate.__file__).parent)
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert "ablate/execution/ray_worker.py" in names and len(name) == 32
    assert not any("__pycache__" in each for each in names)


def test_the_queue_keeps_messages_until_they_are_fetched():
    queue = EventQueue()
    queue.put(1, b"a")
    queue.put(2, b"b", "t")
    assert queue.drain() == [(1, b"a"), (2, b"b")] and queue.drain() == []
    assert (queue.finished(1), queue.finished(2)) == (set(), {"t"})
    queue.forget(2)
    assert queue.finished(2) == set()


def machines(*resources: dict) -> list[dict]:
    return [{"Alive": True, "Resources": each} for each in resources]


@pytest.mark.parametrize(
    ("nodes", "asked", "threads", "found"),
    [
        (machines({"CPU": 4.0}, {"CPU": 3.0}), {}, 2, Room(2, 0.0, 3, 2**31)),
        (machines({"CPU": 4.0}), {"cpus_per_trial": 0.5}, 1, Room(0.5, 0.0, 8, 2**31)),
        (machines({"CPU": 8.0, "GPU": 2.0}), {}, 1, Room(1, 1.0, 2, 2**31)),
        (machines({"CPU": 8.0, "GPU": 2.0}), {"gpus_per_trial": 0.25}, 1, Room(1, 0.25, 8, 2**31)),
        (machines({"CPU": 8.0, "GPU": 2.0}), {"gpus_per_trial": 0}, 2, Room(2, 0, 4, 2**31)),
        (machines({"CPU": 8.0}), {"workers": 3}, 1, Room(1, 0.0, 3, 3)),
        (machines({"CPU": 0.0}), {"workers": 50}, 1, Room(1, 0.0, 50, 50)),
    ],
)
def test_the_room_that_a_cluster_has(nodes, asked, threads, found):
    assert room(nodes, Execution(executor="ray", **asked), threads) == found


def test_a_trial_that_fits_no_machine_is_refused():
    with pytest.raises(StudyError, match=r"asks for 8 cores and 0 GPUs.*4 cores and 0 GPUs"):
        room(machines({"CPU": 4.0}, {"CPU": 4.0}), Execution(executor="ray"), 8)


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_said(tmp_path):
    """In a process of its own: Ray remembers what it could not reach."""
    import subprocess

    pytest.importorskip("ray")
    code = (
        "from ablate.execution.ray import RayTasks\n"
        "from ablate.study.schema.execution import Execution\n"
        "from pathlib import Path\n"
        "try:\n"
        "    RayTasks(Path('work'), threads=1,\n"
        "             execution=Execution(executor='ray', address='127.0.0.1:1'))\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert "StudyError No Ray cluster answers at '127.0.0.1:1'" in done.stdout
