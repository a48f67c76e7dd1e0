"""Every private name of Keras, TensorFlow and others that the package relies on, in one table.

A private name may go with any release. Here each is looked up where the package finds it, with
what to do when it is gone; and the sources are read for private names that the table lacks.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import keras
import keras_tuner as kt
import pytest
from keras import layers

import ablate

ROOT = Path(ablate.__file__).parent

#: Packages whose private names count; what begins so in an import is theirs.
WATCHED = ("keras", "tensorflow", "keras_tuner", "tensorboard", "pebble", "ray", "submitit")

#: Private attributes of a class here that another file reads or sets.
SHARED = {"_repr_html_"}

#: Parts of a module's path that its authors call internal.
INTERNAL = {"src", "python", "compat", "core"}


@cache
def model() -> keras.Model:
    """A compiled model with a node, a mask and a history."""
    inputs = keras.Input((3,))
    hidden = layers.Masking()(inputs[:, None])
    out = layers.Dense(1, activity_regularizer="l2")(layers.Lambda(lambda x: x)(hidden))
    made = keras.Model(inputs, out)
    made.compile(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 3)), "mse")
    return made


def masked() -> Any:
    return next(each for each in model().layers if isinstance(each, layers.Masking)).output


def oracle() -> kt.Oracle:
    return kt.oracles.RandomSearchOracle("val_loss", max_trials=1, seed=3)


def bayesian() -> kt.Oracle:
    return kt.oracles.BayesianOptimizationOracle("val_loss", max_trials=1, seed=3)


def submitit_job() -> Any:
    submitit = pytest.importorskip("submitit")
    return submitit.LocalJob(folder="nowhere", job_id="1")


def registry() -> Any:
    from tensorflow.python.framework import ops

    return ops.gradient_registry


def context() -> Any:
    from tensorflow.python.eager.context import context

    keras.utils.set_random_seed(1)
    return context()


@dataclass(frozen=True)
class Private:
    """A private name: what has it, whose it is, and what to do when it is gone."""

    name: str
    whose: str
    has_it: Callable[[], Any]
    remedy: str


GRAPH = (
    "ablate/surgery/graph.py alone reads a model's graph, by these names. Look in Keras's "
    "Function and Node for what they are called now; there is no public interface."
)
TIES = (
    "graph.own_weights and graph.exchange let copied layers hold one variable or layer where the "
    "originals do; look in Layer.__setattr__ for what keeps a layer's variables and layers now."
)
ORACLE = (
    "Compare ablate/search/oracles.py with keras_tuner's engine/oracle.py: what proposes points, "
    "what refuses duplicates and what saves has other names now."
)

SEEDS = (
    "data/reading.py puts TensorFlow's and Keras's seeds back after rows were read under its own; "
    "look in tf.random.set_seed and keras.utils.set_random_seed for where they are kept now."
)

PRIVATE = (
    Private("_seed", "tensorflow's eager context", context, SEEDS),
    Private("_rng", "tensorflow's eager context", context, SEEDS),
    Private("_keras_history", "keras.KerasTensor", lambda: model().output, GRAPH),
    Private("_inbound_nodes", "keras.Operation", lambda: model().layers[0], GRAPH),
    Private("_outbound_nodes", "keras.Operation", lambda: model().layers[0], GRAPH),
    Private("_keras_mask", "keras.KerasTensor", masked, GRAPH),
    Private(
        "_auto_config", "keras.Layer", lambda: model().layers[-1],
        "clone copies layers whose get_config forgets arguments by it; refuse those instead.",
    ),
    Private("_layers", "keras.Layer", lambda: model().layers[-1], GRAPH),
    Private(
        "_flatten_layers", "keras.Layer", model,
        "It lists a model's layers at every depth, subclassed models included; walk `_layers`.",
    ),
    Private(
        "_current_frames", "sys", lambda: sys,
        "It shows in which line a script is; without it, say only for how long it has been run.",
    ),
    Private("_tracker", "keras.Layer", lambda: model().layers[-1], TIES),
    Private("_trainable_variables", "keras.Layer", lambda: model().layers[-1], TIES),
    Private("_non_trainable_variables", "keras.Layer", lambda: model().layers[-1], TIES),
    Private(
        "_losses", "keras.Layer", lambda: model().layers[-1],
        "graph.losses_held puts back what calls leave in `add_loss`'s list; find that list.",
    ),
    Private(
        "_output_shape", "keras.layers.Lambda",
        lambda: next(each for each in model().layers if isinstance(each, layers.Lambda)),
        "clone._lambda rebuilds a Lambda from its arguments; output_shape has no public reader.",
    ),
    Private(
        "_compile_config", "keras.Model", model,
        "clone._compile_arguments wants the very objects that compile was given; the public "
        "get_compile_config has them serialised, which custom objects do not survive.",
    ),
    Private(
        "_learning_rate", "keras.Optimizer", lambda: model().optimizer,
        "It holds a schedule as an object; `learning_rate` has its value of now.",
    ),
    Private(
        "_fn", "keras.metrics.MeanMetricWrapper", lambda: keras.metrics.MeanSquaredError(),
        "clone._anew makes a metric of anyone's own function again and needs that function.",
    ),
    Private(
        "_model", "keras.callbacks.Callback", keras.callbacks.Callback,
        "listening.state_of leaves the model out of a callback's state in a checkpoint; find "
        "what holds it now, or checkpoints would hold whole models.",
    ),
    Private(
        "_registry", "tensorflow's gradient_registry", registry,
        "tracing.gradients_forgotten takes back custom gradients; without it each program leaks "
        "some 8 MB. Look in tensorflow/python/framework/registry.py.",
    ),
    Private("_random_values", "keras_tuner.Oracle", oracle, ORACLE),
    Private("_duplicate", "keras_tuner.Oracle", oracle, ORACLE),
    Private("_seed_state", "keras_tuner.Oracle", oracle, ORACLE),
    Private("_save_trial", "keras_tuner.Oracle", oracle, ORACLE),
    Private("_check_consecutive_failures", "keras_tuner.Oracle", oracle, ORACLE),
    Private("_random_populate_space", "BayesianOptimizationOracle", bayesian, ORACLE),
    Private("_nonfixed_space", "BayesianOptimizationOracle", bayesian, ORACLE),
    Private(
        "_process", "submitit.LocalJob", submitit_job,
        "slurm._over asks whether a local job was begun by this driver; look in submitit's "
        "local/local.py for the process that a job holds.",
    ),
)  # fmt: skip

#: Modules that are internal, or public in no document: what is imported from each, and the remedy.
MODULES = {
    "tensorflow.python.framework": ({"ops"}, "See `_registry` above."),
    "tensorflow.python.eager.context": ({"context"}, SEEDS),
    "keras.src.backend.common": ({"global_state"}, SEEDS),
    "tensorflow.python.util": (
        {"_pywrap_determinism"},
        "tf.config.experimental.enable_op_determinism switches it on for good; rows are read with "
        "it and trained without.",
    ),
    "keras_tuner.src.engine.tuner_utils": (
        {"SaveBestEpoch"},
        "A hypermodel counts the executions of a trial by this callback; in Tuner.run_trial find "
        "what is made once per trial and handed to each of its executions.",
    ),
    "tensorboard.compat.proto.event_pb2": ({"Event", "SourceMetadata"}, "The event file's format."),
    "tensorboard.compat.proto.summary_pb2": (
        {
            "DATA_CLASS_BLOB_SEQUENCE", "DATA_CLASS_SCALAR", "DATA_CLASS_TENSOR", "Summary",
            "SummaryMetadata",
        },
        "The event file's format: the same messages are in tensorflow.core.framework.",
    ),
    "tensorboard.compat.proto.tensor_pb2": ({"TensorProto"}, "As summary_pb2."),
    "tensorboard.compat.proto.tensor_shape_pb2": ({"TensorShapeProto"}, "As summary_pb2."),
    "tensorboard.compat.proto.types_pb2": (
        {"DT_DOUBLE", "DT_FLOAT", "DT_STRING"}, "As summary_pb2.",
    ),
    "tensorboard.summary.writer.record_writer": (
        {"RecordWriter"},
        "Records are length, masked CRC-32C, data, masked CRC-32C; a dozen lines write them.",
    ),
    "tensorboard.backend": (
        {"http_util"}, "Answer with werkzeug alone; the policy of a page's scripts is a header.",
    ),
    "tensorboard.plugins": (
        {"base_plugin"}, "What a plugin inherits, as TensorBoard's guide for plugins has it.",
    ),
    "tensorboard.plugins.hparams": (
        {"api_pb2", "metadata"}, "What a row of the HParams tab is made of; see its plugin_data.",
    ),
    "tensorboard.plugins.hparams.plugin_data_pb2": (
        {"HParamsPluginData", "SessionEndInfo", "SessionStartInfo"},
        "As tensorboard.plugins.hparams.",
    ),
    "tensorboard.plugins.custom_scalar.layout_pb2": (
        {"Category", "Chart", "Layout", "MarginChartContent", "MultilineChartContent"},
        "What the Custom Scalars tab shows; see its plugin.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("private", PRIVATE, ids=lambda each: each.name)
def test_it_is_still_there(private):
    assert hasattr(private.has_it(), private.name), (
        f"{private.whose} has no '{private.name}' any more. {private.remedy}"
    )


@pytest.mark.parametrize("module", MODULES)
def test_the_module_still_has_what_is_imported(module):
    names, remedy = MODULES[module]
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        pytest.fail(f"{module} is gone ({error}). {remedy}")
    gone = [each for each in sorted(names) if not _has(found, each)]
    assert not gone, f"{module} has no {', '.join(gone)} any more. {remedy}"


def test_the_sources_use_no_other_private_name():
    """Attributes that begin with an underscore and that no class of the package has."""
    listed = {each.name for each in PRIVATE}
    found = defaultdict(list)
    for place, name in [*_foreign_attributes(), *_overridden()]:
        found[name].append(place)
    unknown = {name: places for name, places in sorted(found.items()) if name not in listed}
    assert not unknown, (
        "private names of other packages, or attributes that no class here defines: "
        f"{unknown}. Find a public way; where there is none, add the name to PRIVATE."
    )
    # Names in strings, and overrides in a class that is mixed in, are not seen by reading.
    unused = listed - set(found) - {"_model", "_save_trial", "_check_consecutive_failures"}
    assert not unused, f"nothing uses {sorted(unused)} any more: take them out of PRIVATE."


def test_the_sources_import_no_other_internal_module():
    found = {(module, name): place for place, module, name in _imports() if _internal(module, name)}
    listed = {(module, name) for module, (names, _) in MODULES.items() for name in names}
    unknown = {f"{module}.{name}": found[module, name] for module, name in found.keys() - listed}
    assert not unknown, (
        f"internal names are imported: {unknown}. Find a public way; where there is none, add "
        "them to MODULES."
    )
    unused = sorted(listed - found.keys())
    assert not unused, f"nothing imports {unused} any more: take them out of MODULES."


def _has(module: Any, name: str) -> bool:
    if hasattr(module, name):
        return True
    try:
        importlib.import_module(f"{module.__name__}.{name}")
    except ImportError:
        return False
    return True


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT.parent).as_posix(), _parsed(path)


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.endswith("__")


def _own_attributes() -> dict[str, set[str]]:
    """The classes of the package that have each private attribute."""
    own: dict[str, set[str]] = defaultdict(set)
    for file, tree in _trees():
        for kind in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
            for node in ast.walk(kind):
                name: object = None
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    name = node.name
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    name = node.id
                elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    name = node.attr if ast.unparse(node.value) in ("self", "cls") else None
                if _private(name):
                    own[name].add(f"{file}:{kind.name}")
    own["_repr_html_"].add("ablate/report/notebook.py")  # given to classes of other files there
    return own


def _foreign_attributes() -> Iterator[tuple[str, str]]:
    own = _own_attributes()
    for file, tree in _trees():
        inside = {
            id(node): f"{file}:{kind.name}"
            for kind in ast.walk(tree)
            if isinstance(kind, ast.ClassDef)
            for node in ast.walk(kind)
        }
        for node in ast.walk(tree):
            name, of = _accessed(node)
            if not _private(name) or of == "os":  # os._exit is documented
                continue
            having = own.get(name, set())
            if of.startswith("super("):  # an override has it, and that is not whose it is
                having = having - {inside.get(id(node))}
            elif of not in ("self", "cls") and name not in SHARED:
                having = {each for each in having if each.startswith(f"{file}:")}
            if not having:
                yield f"{file}:{node.lineno} {of}", name


def _accessed(node: ast.AST) -> tuple[Any, str]:
    """The name of an attribute that is read or written, and of what; also by getattr and so on."""
    if isinstance(node, ast.Attribute):
        return node.attr, ast.unparse(node.value)
    asked = ("getattr", "setattr", "hasattr", "delattr")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in asked:
        name = node.args[1] if len(node.args) > 1 else None
        return getattr(name, "value", None), ast.unparse(node.args[0])
    return None, ""


def _overridden() -> Iterator[tuple[str, str]]:
    """Private methods of other packages' classes that classes here have their own of."""
    for file, tree in _trees():
        kinds = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        if not kinds or file.endswith("__main__.py"):
            continue
        module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
        for kind in (getattr(module, each) for each in kinds if hasattr(module, each)):
            foreign = [
                base for base in kind.__mro__ if base.__module__.split(".")[0] in WATCHED
            ]  # fmt: skip
            for name in vars(kind).keys() - {"_abc_impl"}:  # of Python's own abstract classes
                if _private(name) and any(name in vars(base) for base in foreign):
                    yield f"{file} {kind.__name__}", name


def _imports() -> Iterator[tuple[str, str, str]]:
    for file, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and not node.level:
                for each in node.names:
                    yield f"{file}:{node.lineno}", node.module or "", each.name
            elif isinstance(node, ast.Import):
                for each in node.names:
                    yield f"{file}:{node.lineno}", each.name, ""


def _internal(module: str, name: str) -> bool:
    """TensorBoard documents no module that is imported here; the others mark what is internal."""
    top, *rest = module.split(".")
    if top == "tensorboard":
        return True
    parts = {*rest, name}
    return top in WATCHED and bool(parts & INTERNAL or any(_private(each) for each in parts))
