"""Worker processes: killed at any moment, they harm no other and are started again, in bounds."""

from __future__ import annotations

import os
import signal
import sys
import time
from multiprocessing import active_children

import pytest

from ablate.errors import AblateError
from ablate.execution.devices import WorkerPool
from ablate.execution.local import Processes
from ablate.execution.messages import ATTEMPTS
from ablate.execution.worker import Settings, _portable
from ablate.execution.workers import Answer, Death, Worker


class Touchy(Exception):
    """Cannot be made again from its words alone, so it cannot travel."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} at {where}")


def end_once(mark) -> str:
    """End this process by a signal, the first time."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def threads_and_main() -> tuple[int, str]:
    import __main__
    from ablate.training.setup import current_threads

    return current_threads(), __main__.told()


def waited(worker: Worker) -> Answer | Death:
    while (ended := worker.look()) is None:
        assert worker.gone is None
        time.sleep(0.02)
    return ended


def until_ready(worker: Worker) -> Worker:
    while not worker.ready:
        worker.look()
        assert worker.gone is None
        time.sleep(0.02)
    return worker


def kill_all() -> None:
    for child in active_children():
        child.kill()
        child.join()


def test_one_that_dies_each_time_it_starts_is_given_up(tmp_path):
    executor = Processes(tmp_path, threads=1, worker_pools=[WorkerPool(2)])
    executor.warm()
    (first, second), tries = executor._workers, 0
    while first.gone is None or second.gone is None:
        kill_all()
        first.look(), second.look()
        tries += 1
    assert tries == ATTEMPTS
    with pytest.raises(AblateError, match=r"No worker process can be started.*signal 9.*go on"):
        executor.call(os.getpid)
    executor.close()


def test_one_killed_before_it_is_ready_is_started_again(tmp_path):
    executor = Processes(tmp_path, threads=1, worker_pools=[WorkerPool(1)])
    try:
        executor.warm()
        killed = [child.pid for child in active_children()]
        kill_all()
        assert executor.call(os.getpid) not in killed
    finally:
        executor.close()
    assert active_children() == []


@pytest.mark.slow
def test_a_call_is_tried_again_in_bounds_when_its_worker_dies(tmp_path):
    executor = Processes(tmp_path, threads=1, worker_pools=[WorkerPool(1)])
    try:
        assert executor.call(end_once, tmp_path / "mark") == "survived"
        with pytest.raises(AblateError, match=r"3 worker processes in a row.*exit status 7"):
            executor.call(os._exit, 7)
    finally:
        executor.close()


@pytest.mark.slow
def test_threads_hold_though_the_main_script_starts_tensorflow(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(
        "import tensorflow as tf\n"
        "ROWS = tf.data.Dataset.from_tensor_slices([1.0, 2.0]).batch(2)\n"
        "SUM = float(tf.reduce_sum(next(iter(ROWS))))\n"
        "def told():\n"
        "    return f'{__name__} {SUM}'\n"
    )
    worker = Worker(Settings(threads=3, main=("path", str(script))))
    worker.start()
    try:
        until_ready(worker).send(threads_and_main)
        assert waited(worker) == Answer((3, "__mp_main__ 3.0"))
    finally:
        worker.kill()


@pytest.mark.slow
def test_a_main_script_that_cannot_be_imported_is_named_where_it_is_needed(tmp_path, monkeypatch):
    def absent() -> None: ...

    absent.__module__, absent.__qualname__ = "__main__", "absent"
    monkeypatch.setattr(sys.modules["__main__"], "absent", absent, raising=False)
    script = tmp_path / "mine.py"
    script.write_text("raise OSError('no such shelf')\n")
    worker = Worker(Settings(threads=1, main=("path", str(script))))
    worker.start()
    try:
        until_ready(worker).send(os.getcwd)
        assert waited(worker) == Answer(os.getcwd())
        worker.send(absent)
        ended = waited(worker)
        assert ended.raised and isinstance(ended.value, AblateError)
        assert "mine.py' cannot be imported" in str(ended.value)
        assert "OSError: no such shelf" in str(ended.value)
    finally:
        worker.kill()


def test_errors_travel_as_they_are_or_as_their_reason():
    assert isinstance(_portable(AblateError("no")), AblateError)
    assert str(_portable(Touchy("odd", "heart"))) == "Touchy: odd at heart"
    assert str(_portable(SystemExit(3))) == "SystemExit: 3"
