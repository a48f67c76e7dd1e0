"""The cores and GPUs of a machine, found without TensorFlow, and how trials share them.

A worker pool is a set of workers that see the same devices: all workers of a machine without GPUs
are one pool; each GPU has a pool of its own, so that a worker never sees another's. Numbers do
not depend on any of it.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from dataclasses import dataclass, replace

from ablate.errors import StudyError


@dataclass(frozen=True)
class WorkerPool:
    """Workers that see the same GPUs (none: they run on the CPU)."""

    workers: int
    gpus: tuple[str, ...] = ()


def cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpus() -> tuple[str, ...]:
    """Return the GPUs that this process may use, by CUDA's index or name."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(each.strip() for each in visible.split(",") if each.strip() not in {"", "-1"})
    command = shutil.which("nvidia-smi")
    if command is None:
        return ()
    try:
        listed = subprocess.run([command, "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    if listed.returncode != 0:
        return ()
    return tuple(str(k) for k in range(sum("GPU" in line for line in listed.stdout.splitlines())))


def worker_pools(
    *,
    threads: int,
    workers: int | None = None,
    gpus_per_trial: float | None = None,
    cpus_per_trial: float | None = None,
    machine_cores: int | None = None,
    machine_gpus: tuple[str, ...] | None = None,
) -> list[WorkerPool]:
    """Return the worker pools of this machine.

    Without GPUs: one pool of cores // threads workers (cores // cpus_per_trial where that asks
    for more), at least one. With GPUs: one worker for each, several where `gpus_per_trial` is
    a share below 1, groups of GPUs where it is above. `workers` caps or sets the total.

    Raises:
        StudyError: more GPUs are asked for than there are.
    """
    there = gpus() if machine_gpus is None else machine_gpus
    count = cores() if machine_cores is None else machine_cores
    if workers is not None and workers > (most := max(64, 8 * count)):
        raise StudyError(
            f"execution.workers: expected at most {most} worker processes on a machine of {count} "
            f"cores, each of which holds a TensorFlow. Received: {workers}."
        )
    if gpus_per_trial == 0 or (gpus_per_trial is None and not there):
        each = max(threads, math.ceil(cpus_per_trial or 0), 1)
        return [WorkerPool(max(1, workers if workers is not None else count // each))]
    if gpus_per_trial is not None and gpus_per_trial > len(there):
        raise StudyError(
            f"execution.gpus_per_trial asks for {gpus_per_trial:g} GPUs; this machine has "
            f"{len(there)}. Lower it, or run on a cluster with --executor ray."
        )
    share = 1.0 if gpus_per_trial is None else gpus_per_trial
    if share <= 1:
        found = [WorkerPool(max(1, math.floor(1 / share)), (gpu,)) for gpu in there]
    else:
        size = math.ceil(share)
        found = [WorkerPool(1, there[k : k + size]) for k in range(0, len(there) - size + 1, size)]
    return found if workers is None else _deal(found, workers)


def _deal(found: list[WorkerPool], workers: int) -> list[WorkerPool]:
    """Spread a given number of workers evenly over the pools."""
    counts = [workers // len(found) + (k < workers % len(found)) for k in range(len(found))]
    return [
        replace(pool, workers=count) for count, pool in zip(counts, found, strict=True) if count > 0
    ]
