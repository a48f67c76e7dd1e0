"""A Ray cluster as the driver meets it: joining one, and what of a study fits into it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ablate.errors import MissingExtraError, StudyError
from ablate.reasons import sentence
from ablate.study.schema.execution import Execution

#: Seconds within which a cluster must take a connection.
KNOCK = 10.0


@dataclass(frozen=True)
class Room:
    """What a trial takes of the cluster, and how many it has room for."""

    cpus: float
    gpus: float
    slots: int
    most: int  # tasks handed to Ray at once


def room(nodes: Sequence[Mapping[str, Any]], execution: Execution, threads: int) -> Room:
    """Return what a trial takes and how many the machines of a cluster have room for.

    A trial takes its threads in cores; where the cluster has GPUs and nothing else was asked,
    one GPU. `workers` caps the trials that run at once.

    Raises:
        StudyError: no machine has room for one trial, which Ray would await for ever.
    """
    machines = [each["Resources"] for each in nodes if each["Alive"]]
    cpus = execution.cpus_per_trial or threads
    gpus = execution.gpus_per_trial
    if gpus is None:
        gpus = 1.0 if any(each.get("GPU") for each in machines) else 0.0
    fits = sum(
        int(min(each.get("CPU", 0) / cpus, each.get("GPU", 0) / gpus if gpus else float("inf")))
        for each in machines
    )
    if isinstance(execution.workers, int):
        return Room(cpus, gpus, execution.workers, execution.workers)
    if not fits:
        has = [f"{each.get('CPU', 0):g} cores and {each.get('GPU', 0):g} GPUs" for each in machines]
        raise StudyError(
            f"A trial asks for {cpus:g} cores and {gpus:g} GPUs, and no machine of the Ray cluster "
            f"has room for it. Received: {'; '.join(dict.fromkeys(has)) or 'no machine'}. Lower "
            "--cpus-per-trial, --gpus-per-trial or train.threads; if the cluster grows on demand, "
            "say with --workers how many trials may run at once."
        )
    return Room(cpus, gpus, fits, 2**31)


def imported() -> Any:
    """Return the module `ray`.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    # Ray prints its machines' misfortunes on standard output, where a document may be awaited;
    # what matters of them our messages say. It reads this when it is imported.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^")
    try:
        import ray
        import ray.exceptions
        import ray.util.scheduling_strategies
    except ModuleNotFoundError:
        raise MissingExtraError(
            "--executor ray needs Ray: pip install 'keras-ablate[ray]'."
        ) from None
    return ray


def connect(ray: Any, address: str | None) -> bool:
    """Join the cluster; return whether this call did (else the caller's session is used).

    Raises:
        StudyError: no cluster answers at `address`.
    """
    if ray.is_initialized():
        return False
    # What Ray would say on the terminal, or tell others, of itself.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    joins = address or os.environ.get("RAY_ADDRESS")
    try:
        _knock(joins)
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level="error",
            **({} if joins else {"include_dashboard": False}),
        )
    except Exception as error:  # Ray raises bare ones, too
        why = sentence(getattr(error, "strerror", None) or error)
        raise StudyError(
            f"No Ray cluster answers at '{joins or 'this machine'}': {why} Start one with "
            "'ray start --head', or leave --address out to use this machine."
        ) from None
    return True


def _knock(address: str | None) -> None:
    """Raise OSError where nobody listens at `host:port`; Ray itself would try for minutes."""
    place = urlsplit(address if address and "://" in address else f"//{address or ''}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), timeout=KNOCK).close()
