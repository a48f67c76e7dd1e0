"""The HParams tab: a row per variant with its factors, its overrides and its final metrics.

A *session* of TensorBoard's is a variant, whose metrics are means over its seeds, or a trial of a
search's point; the sessions of one point share a `group_name`, study/variant/configuration, and
TensorBoard averages them into one row. A column is a factor or any field of the resolved variants
that is not the same in all of them, which is what was overridden, inserted or searched. The seed is
not a column: it would make each trial a row of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)

from ablate.study.trial import Trial, TrialResult

Value = bool | float | str

_STATUS = {
    "completed": api_pb2.STATUS_SUCCESS,
    "diverged": api_pb2.STATUS_FAILURE,
    "failed": api_pb2.STATUS_FAILURE,
    "interrupted": api_pb2.STATUS_UNKNOWN,
}

#: Fields of a placement that are no argument of its layer.
_WHERE = frozenset({"layer", "at", "where", "except", "calibrate"})

#: The share of a row's seeds that diverged or failed, next to the metrics of those that did not.
LOST = "final/lost"


@dataclass(frozen=True)
class Configuration:
    """What decides a row: the study, the variant, its factors, and everything it resolves to."""

    study: str
    variant: str
    factors: Mapping[str, str]
    spec: Mapping[str, Any]

    @classmethod
    def of(cls, study: str, trial: Trial | TrialResult, *, searched: bool = False) -> Configuration:
        """Return the configuration of a trial, planned or done; both give the same.

        A search's trials get rows of their own, so that they never enter a variant's mean.
        """
        spec = trial.spec
        plain = spec if isinstance(spec, Mapping) else spec.model_dump(mode="json", by_alias=True)
        variant = f"search/{trial.variant}" if searched else trial.variant
        return cls(study, variant, trial.factors, plain)

    @property
    def group_name(self) -> str:
        """study/variant/configuration: unique in a folder of many studies, equal for seeds."""
        resolved = json.dumps(flatten(self.spec), sort_keys=True)
        digest = hashlib.sha256(resolved.encode()).hexdigest()[:8]
        return f"{self.study}/{self.variant}/{digest}"

    @property
    def values(self) -> dict[str, Value]:
        """Everything that could be a column, by its name."""
        factors = {f"factor.{name}": level for name, level in self.factors.items()}
        return {"variant": self.variant, **factors, **flatten(self.spec)}


def columns(rows: Iterable[Configuration]) -> dict[str, api_pb2.HParamInfo]:
    """Return the columns by name: `variant`, the factors, then every field that differs.

    A layer's own arguments (`insert.Dropout.rate`) differ from not having the layer; where it
    is (`insert.Dropout.at`) is a column only if it is at different places.
    """
    found = list({row.group_name: row.values for row in rows}.values())
    named = dict.fromkeys(name for row in found for name in row)
    absent = _absent(named)
    for row in found:
        row.update({name: value for name, value in absent.items() if name not in row})
    return {
        name: _column(name, [row[name] for row in found if name in row])
        for name in sorted(named)
        if _worth_a_column(name, found)
    }


def _absent(names: Iterable[str]) -> dict[str, Value]:
    """Return what a variant without a layer has in its columns: no layer, and a rate of 0.

    TensorBoard's parallel coordinates and scatter plots leave out rows that lack a value.
    """
    inserted = [name for name in names if name.startswith("insert.")]
    layers: dict[str, Value] = {name: False for name in inserted if name.count(".") == 1}
    rates: dict[str, Value] = {name: 0.0 for name in inserted if name.endswith(".rate")}
    return layers | rates


def _worth_a_column(name: str, rows: Sequence[Mapping[str, Value]]) -> bool:
    if name == "variant" or name.startswith("factor."):
        return True
    holders = [json.dumps(row[name]) for row in rows if name in row]
    if name.startswith("insert.") and name.rsplit(".", 1)[1] in _WHERE:
        return len(set(holders)) > 1
    return len(set(holders)) > 1 or len(holders) < len(rows)


def final_metrics(results: Sequence[TrialResult]) -> dict[str, float]:
    """Return the one-point metrics of trials, by tag: `lost`, then test, validation, train.

    Each is a mean over those that completed: the numbers of the others are no results.
    """
    completed = [each for each in results if each.status == "completed"]
    order = {"test": 0, "val": 1, "train": 2}
    names = sorted(
        dict.fromkeys(name for each in completed for name in each.metrics),
        key=lambda name: (order.get(name.split("_")[0], 3), name.endswith("_loss")),
    )
    found = {LOST: 1 - len(completed) / len(results)}
    for name in names:
        values = [v for each in completed if (v := each.metrics.get(name)) is not None]
        if values:
            found[f"final/{name}"] = sum(values) / len(values)
    return found


def session_start(
    row: Configuration, shown: Mapping[str, api_pb2.HParamInfo], seconds: float
) -> Summary.Value:
    """Return the message that makes a run a session and puts it in its row."""
    info = SessionStartInfo(group_name=row.group_name, start_time_secs=seconds)
    for name, value in {**_absent(shown), **row.values}.items():
        if name not in shown:
            continue
        if shown[name].type == api_pb2.DATA_TYPE_STRING:
            info.hparams[name].string_value = str(value)
        elif isinstance(value, bool):
            info.hparams[name].bool_value = value
        elif isinstance(value, int | float):
            info.hparams[name].number_value = value
    return _value(metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=info))


def session_end(status: str, seconds: float) -> Summary.Value:
    """Return the message that says how a session ended; without it, it is shown as running."""
    info = SessionEndInfo(status=_STATUS[status], end_time_secs=seconds)
    return _value(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=info))


def experiment(
    shown: Mapping[str, api_pb2.HParamInfo], metrics: Iterable[str]
) -> api_pb2.Experiment:
    """Return the one message that declares the columns and the metrics of a whole logdir.

    Args:
        shown: the columns.
        metrics: tags of `final_metrics`.
    """
    return api_pb2.Experiment(
        hparam_infos=shown.values(),
        metric_infos=[
            api_pb2.MetricInfo(
                name=api_pb2.MetricName(tag=tag),
                display_name=tag.removeprefix("final/"),
                description=_describe(tag),
                dataset_type=_dataset(tag),
            )
            for tag in dict.fromkeys([LOST, *metrics])
        ],
    )


def join(experiments: Iterable[api_pb2.Experiment]) -> api_pb2.Experiment:
    """Return one experiment with the columns and metrics of several: TensorBoard reads only one.

    Columns that two studies share take the domain of both; of two types they become text.
    """
    shown: dict[str, api_pb2.HParamInfo] = {}
    metrics: dict[str, None] = {}
    for each in experiments:
        metrics.update(dict.fromkeys(info.name.tag for info in each.metric_infos))
        for info in each.hparam_infos:
            if (known := shown.get(info.name)) is not None:
                info = _column(info.name, [*_domain(known), *_domain(info)])
            shown[info.name] = info
    return experiment(shown, metrics)


def declaration(experiment: api_pb2.Experiment) -> Summary.Value:
    """Return an experiment as the summary value that TensorBoard reads."""
    return _value(metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=experiment))


def flatten(spec: Mapping[str, Any]) -> dict[str, Value]:
    """Return a resolved variant as one level of plain values, named as search paths are.

    `train.learning_rate`, `model.filters`, `insert.Dropout.rate`; a second placement of one label
    is `insert.Dropout_2`, and a placement itself is `insert.<label>: true`. Lists become text.
    """
    flat: dict[str, Value] = {}
    for section in ("data", "model", "train"):
        _spread(flat, section, spec.get(section) or {})
    taken: dict[str, int] = {}
    for placement in spec.get("insert") or []:
        label = placement.get("name") or placement.get("layer")
        taken[label] = taken.get(label, 0) + 1
        path = f"insert.{label}" + (f"_{taken[label]}" if taken[label] > 1 else "")
        flat[path] = True
        _spread(flat, path, {key: each for key, each in placement.items() if key != "name"})
    for ordinal, removal in enumerate(spec.get("remove") or [], start=1):
        _spread(flat, f"remove.{ordinal}", removal)
    for kind in ("replace", "change"):
        for edit in spec.get(kind) or []:
            where = edit.get("name") or edit.get("where")
            label = where if isinstance(where, str) else ",".join(where)
            _spread(flat, f"{kind}.{label}", {k: v for k, v in edit.items() if k != "name"})
    return flat


def _spread(flat: dict[str, Value], path: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, each in value.items():
            _spread(flat, f"{path}.{key}", each)
    elif isinstance(value, bool | int | float | str):
        flat[path] = value
    elif value is not None:
        flat[path] = json.dumps(value, default=str)


def _column(name: str, found: Sequence[Value]) -> api_pb2.HParamInfo:
    info = api_pb2.HParamInfo(name=name, display_name=name, differs=True)
    if found and all(isinstance(each, bool) for each in found):
        info.type = api_pb2.DATA_TYPE_BOOL
        info.domain_discrete.extend(sorted(set(found)))
    elif found and all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in found
    ):
        info.type = api_pb2.DATA_TYPE_FLOAT64
        info.domain_interval.min_value = min(found)
        info.domain_interval.max_value = max(found)
    else:
        info.type = api_pb2.DATA_TYPE_STRING
        info.domain_discrete.extend(sorted({str(each) for each in found}))
    return info


def _domain(info: api_pb2.HParamInfo) -> list[Value]:
    if info.type == api_pb2.DATA_TYPE_FLOAT64:
        return [info.domain_interval.min_value, info.domain_interval.max_value]
    return list(info.domain_discrete)


def _describe(tag: str) -> str:
    if tag == LOST:
        return "Share of the seeds that diverged or failed; the metrics are of the others."
    return "Mean over the seeds, in inference mode, after training."


def _dataset(tag: str) -> int:
    if tag.startswith("final/train_"):
        return api_pb2.DATASET_TRAINING
    return api_pb2.DATASET_VALIDATION if tag.startswith("final/val_") else api_pb2.DATASET_UNKNOWN


def _value(tag: str, content: HParamsPluginData) -> Summary.Value:
    return Summary.Value(
        tag=tag, metadata=metadata.create_summary_metadata(content), tensor=metadata.NULL_TENSOR
    )
