"""The process that trains: threads, devices and determinism, fixed before TensorFlow's first use.

The number of threads goes in; nothing comes out but a TensorFlow that will compute with it.
Threads decide how sums are split, and so the last bits (law 1): what is already running with
other threads is refused, never adapted to.
"""

from __future__ import annotations

import os
import platform
import sys
from functools import cache

import keras
import numpy as np
import tensorflow as tf

from ablate._version import __version__
from ablate.errors import StudyError


def configure(threads: int) -> None:
    """Let TensorFlow compute with `threads` threads per operation, in this process, from now on.

    One operation runs at a time (inter-op parallelism 1): operations side by side would share
    the same cores. GPU memory grows as needed, so that several workers fit on one device.
    Calling it again with the same number does nothing.

    Raises:
        StudyError: TensorFlow already runs in this process with another number of threads, or
            Keras runs on another backend.
    """
    if keras.backend.backend() != "tensorflow":
        raise StudyError(
            f"Trials are trained with TensorFlow. Received: Keras on {keras.backend.backend()}. "
            "Unset KERAS_BACKEND (or set it to tensorflow) and start again."
        )
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # already started: whether that is well is judged below
    running = current_threads()
    if running != threads:
        raise StudyError(
            f"TensorFlow already runs in this process with {running} thread(s) per operation, "
            f"the trial is to be computed with {threads}: its last bits would differ. Use the "
            f"executor 'serial' or 'processes', or set train.threads to {running}."
        )
    for device in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(device, True)
        except (RuntimeError, ValueError):
            break  # the device is in use already


def current_threads() -> int:
    """Return with how many threads per operation TensorFlow computes in this process."""
    # 0 is TensorFlow's own choice: all cores of the machine.
    return tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count() or 1


@cache
def has_gpu() -> bool:
    """Return whether TensorFlow sees a GPU."""
    return bool(tf.config.list_logical_devices("GPU"))


def determine(wanted: bool) -> None:
    """Ask for kernels whose result does not depend on the order in which threads finish.

    One thread on the CPU has no such order, so nothing is changed there (the deterministic
    kernels cost a step 3 to 5 % and a trace a quarter); several threads on the CPU always get
    them, a GPU if they are `wanted`. The setting cannot be taken back in a process.
    """
    if (has_gpu() and wanted) or (not has_gpu() and current_threads() > 1):
        _enable_determinism()


@cache
def _enable_determinism() -> None:
    tf.config.experimental.enable_op_determinism()


@cache
def _machine() -> dict[str, str]:
    devices = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(each) for each in devices]
    return {
        "ablate": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "device": ", ".join(each.get("device_name", "GPU") for each in details) or "CPU",
    }


def environment() -> dict[str, str]:
    """Return what a trial's last bits may depend on: versions, machine, threads."""
    return {**_machine(), "threads": str(current_threads())}


def _cpu() -> str:
    if sys.platform.startswith("linux"):
        try:
            with open("/proc/cpuinfo", encoding="utf-8") as stream:
                for line in stream:
                    if line.startswith("model name"):
                        return line.split(":", 1)[1].strip()
        except OSError:
            pass
    return platform.processor() or platform.machine()
