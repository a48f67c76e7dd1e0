"""How trials share cores and GPUs, on machines that this one only imagines."""

from __future__ import annotations

import pytest

from ablate.errors import StudyError
from ablate.execution import devices
from ablate.execution.devices import WorkerPool, worker_pools

NONE: tuple[str, ...] = ()
EIGHT = tuple("01234567")


@pytest.mark.parametrize(
    ("asked", "machine", "expected"),
    [
        ({"threads": 1}, (8, NONE), [WorkerPool(8)]),
        ({"threads": 8}, (8, NONE), [WorkerPool(1)]),
        ({"threads": 16}, (8, NONE), [WorkerPool(1)]),
        ({"threads": 1, "workers": 3}, (8, NONE), [WorkerPool(3)]),
        ({"threads": 1, "cpus_per_trial": 2.5}, (8, NONE), [WorkerPool(2)]),
        ({"threads": 1}, (8, ("0",)), [WorkerPool(1, ("0",))]),
        ({"threads": 1}, (64, EIGHT), [WorkerPool(1, (gpu,)) for gpu in EIGHT]),
        ({"threads": 1, "gpus_per_trial": 0.25}, (8, ("0", "1")),
         [WorkerPool(4, ("0",)), WorkerPool(4, ("1",))]),
        ({"threads": 1, "gpus_per_trial": 2}, (8, tuple("0123")),
         [WorkerPool(1, ("0", "1")), WorkerPool(1, ("2", "3"))]),
        ({"threads": 1, "gpus_per_trial": 0}, (8, ("0",)), [WorkerPool(8)]),
        ({"threads": 1, "workers": 3}, (8, ("0", "1")),
         [WorkerPool(2, ("0",)), WorkerPool(1, ("1",))]),
        ({"threads": 1, "workers": 1}, (8, ("0", "1")), [WorkerPool(1, ("0",))]),
    ],
)  # fmt: skip
def test_worker_pools(asked, machine, expected):
    assert worker_pools(machine_cores=machine[0], machine_gpus=machine[1], **asked) == expected


def test_more_gpus_than_there_are_is_an_error():
    with pytest.raises(StudyError, match="asks for 2 GPUs; this machine has 1"):
        worker_pools(threads=1, gpus_per_trial=2, machine_cores=8, machine_gpus=("0",))


def test_visible_devices_decide(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-abc")
    assert devices.gpus() == ("2", "GPU-abc")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert devices.gpus() == ()


def test_gpus_are_counted_by_the_driver(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: H200 (UUID: x)'\necho 'GPU 1: H200 (UUID: y)'\n")
    tool.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert devices.gpus() == ("0", "1")
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert devices.gpus() == ()
