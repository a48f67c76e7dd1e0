"""Why no study can be made of a script, and what to do: by how it ended."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ablate.errors import StudyError
from ablate.reasons import reason
from ablate.scripts.captured import Captured

#: What old scripts stumble over, by a sign in the error and its traceback, and its remedy.
REMEDIES: tuple[tuple[str, str], ...] = (
    (r"argument.*\(s\) not recognized: \{'lr'|unexpected keyword argument 'lr'|: lr\b|'lr'",
     "`lr=` is `learning_rate=` now."),
    (r"'decay'|decay is deprecated", "`decay=` is a schedule now: "
     "keras.optimizers.schedules.InverseTimeDecay as the learning rate."),
    (r"np_utils", "`np_utils.to_categorical` is `keras.utils.to_categorical` now."),
    (r"keras\.layers\.(core|convolutional|recurrent|normalization|embeddings|pooling|wrappers"
     r"|merge|noise|advanced_activations|experimental)|layers\.experimental",
     "all layers are imported from `keras.layers` now."),
    (r"keras\.(engine|legacy|python)|tensorflow\.python\.keras|keras\.api\._v",
     "import from `keras`, `keras.layers` and `keras.models` alone: the other modules are gone."),
    (r"wrappers\.scikit_learn|KerasClassifier", "keras.wrappers.scikit_learn went to the package "
     "scikeras; call the model's own `fit`."),
    (r"load_img|img_to_array|preprocessing\.image|array_to_img",
     "`load_img`, `img_to_array` and `array_to_img` are in `keras.utils` now."),
    (r"pad_sequences|preprocessing\.sequence", "`pad_sequences` is in `keras.utils` now."),
    (r"preprocessing\.text|Tokenizer", "the Tokenizer is gone; keras.layers.TextVectorization "
     "does its work."),
    (r"`filepath`? ?(argument|provided) must end|must end in `?\.keras|\.weights\.h5",
     "checkpoints end in `.keras`, and in `.weights.h5` where only weights are saved."),
    (r"has no attribute '(Session|placeholder|ConfigProto|get_default_graph|set_random_seed"
     r"|global_variables_initializer|GPUOptions|variable_scope|contrib)'|set_session",
     "sessions, placeholders and graphs are TensorFlow 1: leave these lines out, "
     "`tf.keras` needs none."),
    (r"predict_classes|predict_proba", "`predict_classes(x)` is `predict(x).argmax(-1)` now."),
    (r"CuDNNLSTM|CuDNNGRU", "`CuDNNLSTM` and `CuDNNGRU` are `LSTM` and `GRU` now."),
    (r"image_dim_ordering|set_image_dim_ordering", "`image_dim_ordering` is "
     "`image_data_format` now."),
    (r"samples_per_epoch|nb_epoch", "`nb_epoch` is `epochs`, `samples_per_epoch` is "
     "`steps_per_epoch` now."),
    (r"border_mode|nb_filter|nb_row|subsample|init='|output_dim'",
     "these are arguments of Keras 1: `padding`, `filters`, `kernel_size`, `strides`, "
     "`kernel_initializer`, `units` now."),
    (r"URL fetch failure|urlopen error|getaddrinfo|Connection(Refused|Reset)?Error|HTTPError"
     r"|Max retries exceeded", "the download failed: it is not the script's fault, nor does "
     "`ablate` change it. Run where there is a network, or put the file where it is looked for."),
)  # fmt: skip


def failure(found: Captured) -> StudyError:
    """Return the error of a script that came to no fit, or not to the one that was wanted."""
    end, name = found.end, Path(found.script.file).name
    place = f"{name}:{end['line']}" if end.get("line") else name
    if found.fits and found.script.fit:
        last = found.fits[-1].number
        return StudyError(
            f"script.fit: {name} came to {last} fit{'s' if last > 1 else ''}, so there is none of "
            f"number {found.script.fit}.{_then(end, place)}"
        )
    kinds = {
        "raised": _raised,
        "unread": _unread,
        "exit": _exit,
        "ended": _ended,
        "finished": _finished,
    }
    return StudyError(kinds.get(end["kind"], _ended)(found, name, place))


def _then(end: Any, place: str) -> str:
    if end["kind"] == "raised":
        return f" Then it raised, in {place}: {reason(end['traceback'])}"
    return ""


def _raised(found: Captured, name: str, place: str) -> str:
    end = found.end
    text = f"{end['type']}: {end['error']}\n{_last_lines(end['traceback'])}"
    if end["type"] in ("ModuleNotFoundError", "ImportError") and not _remedy(text):
        missing = re.search(r"No module named '([^']+)'", end["error"])
        hint = (
            f"Install it where `ablate` runs ('{missing[1].split('.')[0]}'), or leave it out."
            if missing
            else "Run it with Python first: what stops it there stops it here."
        )
    elif end["type"] == "FileNotFoundError" and not _remedy(text):
        hint = (
            f"Files are looked for from the folder where `ablate` is called ({Path.cwd()}), as "
            "`python` does."
        )
    elif end["type"] == "EOFError":
        hint = "It asks for input, which nobody can give here: give it arguments instead, after --."
    else:
        hint = _remedy(text) or "Run it with Python first: what stops it there stops it here."
    line = _source_line(found, end.get("line"))
    what = f"{place}: the script raised before it came to a fit.{line}"
    return f"{what}\n{reason(end['traceback'])}\n{hint}"


def _remedy(text: str) -> str | None:
    for sign, remedy in REMEDIES:
        if re.search(sign, text):
            return remedy[0].upper() + remedy[1:]
    return None


def _last_lines(traceback: str) -> str:
    return "\n".join(traceback.splitlines()[-12:])


def _source_line(found: Captured, line: int | None) -> str:
    file = Path(found.script.file)
    if line is None or file.suffix != ".py":
        return ""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return f"\n    {lines[line - 1].strip()}" if line <= len(lines) else ""


def _unread(found: Captured, name: str, place: str) -> str:
    error = found.end["error"]
    python2 = "print" in error and "Missing parentheses" in error
    hint = (
        "It is of Python 2, which nothing runs any more." if python2 else "It must run by itself."
    )
    return f"{place}: it cannot be read as Python: {error}. {hint}"


def _exit(found: Captured, name: str, place: str) -> str:
    status, output = found.end["status"], str(found.end.get("output", ""))
    if "usage:" in output:
        said = output[output.index("usage:") :]
        return (
            f"{place}: the script asks for arguments, which follow after --: "
            f"`ablate run {name} -- …`. It says:\n{said}"
        )
    return (
        f"{place}: the script ended itself (sys.exit({'' if status is None else status})) before "
        f"it came to a fit.{_said(output)}"
    )


def _ended(found: Captured, name: str, place: str) -> str:
    status = found.end.get("status")
    how = f"signal {-status}" if isinstance(status, int) and status < 0 else f"status {status}"
    memory = ", as when memory runs out" if status == -9 else ""
    return (
        f"{name}: its process ended by itself ({how}{memory}) before it came to a fit."
        f"{_said(str(found.end.get('output', '')))}"
    )


def _finished(found: Captured, name: str, place: str) -> str:
    end = found.end
    if how := end.get("loop"):
        return (
            f"{place}: the script trains its model by `{how}`, in a loop of its own, and calls no "
            "fit that could be taken over. Put what a step does into the train_step of a "
            "keras.Model and call fit, or write a study of the model alone:\n"
            f"{_to_fill_in(found)}"
        )
    if end.get("model"):
        return (
            f"{name}: it builds a model and never trains it: there is no fit to take over. A study "
            f"of the model, with data and training to fill in:\n{_to_fill_in(found)}"
        )
    other = (
        f" It imports {end['other']}, and only Keras models are trained."
        if end.get("other")
        else ""
    )
    return (
        f"{name}: it ran to its end without a fit of a Keras model.{other} If the fit stands in a "
        "function, call it; if the script is a module of a package, give the script that trains."
    )


def _to_fill_in(found: Captured) -> str:
    model = found.end.get("model")
    source = f"file: {found.folder / model}" if model else "call: package.module:function"
    return (
        f"  study: {Path(found.script.file).stem}\n"
        f"  model: {{{source}, weights: fresh}}\n"
        "  data: {path: rows.npz}       # arrays x_train, y_train, x_test, y_test\n"
        "  train: {epochs: 20, batch_size: 32, optimizer: adam, learning_rate: 0.001}\n"
        "  variants:\n"
        "    plain: {}\n"
        "    bn: {insert: [{layer: BatchNormalization, at: before_activation, where: hidden}]}"
    )


def _said(output: str) -> str:
    return f" The last it said:\n{output}" if output else ""
