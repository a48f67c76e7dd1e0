"""Load a model from a `.keras` or `.h5` file, or say why that cannot be done.

The error gives Keras's own reason without the configuration around it, which version of Keras
wrote the file, and what to do. Keras's safe mode stays on: nothing in a file is run.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path

import keras

from ablate.errors import AblateError
from ablate.reasons import reason
from ablate.study.archives import check_archive, keras_version
from ablate.surgery.recursion_limit import deep_graphs


def load(place: Path, compiled: bool = False, notes: list[str] | None = None) -> keras.Model:
    """Return the model in a file, with its weights.

    Args:
        place: A `.keras`, `.h5` or `.hdf5` file.
        compiled: Whether to compile it as it was. Where this Keras does not know the optimizer,
            the loss or a metric, the model is not compiled rather than refused.
        notes: A list that receives a sentence where that is so.

    Raises:
        AblateError: The file gives no model; the text says why and what to do, not which field
            named the file.
    """
    check_archive(place)
    with warnings.catch_warnings(), deep_graphs():
        warnings.simplefilter("ignore")
        if compiled:
            try:
                return _model(keras.saving.load_model(place), place)
            except Exception as trouble:
                uncompiled = reason(trouble).rstrip(".")
        try:
            loaded = keras.saving.load_model(place, compile=False)
        except Exception as trouble:
            raise AblateError(_not_loaded(place, trouble)) from trouble
    if compiled and notes is not None:
        notes.append(
            f"'{place}' was compiled in a way that this Keras does not take ({uncompiled}): the "
            "model is not compiled."
        )
    return _model(loaded, place)


def _model(loaded: object, place: Path) -> keras.Model:
    if not isinstance(loaded, keras.Model):
        raise AblateError(f"'{place}' holds a {type(loaded).__name__}, no model.")
    return loaded


def _not_loaded(place: Path, trouble: Exception) -> str:
    text = str(trouble)
    if "lambda" in text.lower() and "safe_mode" in text:
        return (
            f"'{place}' holds Python code (a Lambda layer or a lambda), which Keras's safe mode "
            "does not load, since it would run. If you trust the file, load it in Python with "
            "keras.models.load_model(…, safe_mode=False) and hand over the model."
        )
    if unknown := re.findall(r"(?:Could not locate \w+|Unknown \w+:) '([^']+)'", text):
        names = ", ".join(f"'{each}'" for each in dict.fromkeys(unknown))
        return (
            f"'{place}' needs a class or function that this process does not know: {names}. Load "
            "it in Python where that is registered (keras.saving.register_keras_serializable), "
            "and hand over the model."
        )
    if place.suffix == ".keras" and not zipfile.is_zipfile(place):
        return f"'{place}' is not a .keras file (a zip archive), or not a whole one."
    if "No model config" in text:
        return f"'{place}' holds weights only. Expected a whole model, as model.save writes."
    return (
        f"'{place}' could not be loaded. Keras says: {reason(trouble).rstrip('.')}. "
        f"{_remedy(place, in_configuration='deserializ' in text)}"
    )


def _remedy(place: Path, in_configuration: bool) -> str:
    """What to do about a file that does not load: mostly one of another Keras."""
    wrote, runs = keras_version(place), keras.__version__
    words = []
    if wrote is not None and wrote != runs:
        words.append(
            f"Keras {wrote} wrote the file, and Keras {runs} runs here, whose layers may take "
            "other arguments or names."
        )
    elif not in_configuration:
        return "Expected a file that model.save wrote (.keras, .h5), whole."
    words.append(
        "Build the network in Python with the layers of today, take the weights over from the "
        "file, and hand over that model, or save it as .keras."
    )
    return " ".join(words)
