"""What is trained again, what for, and what stays of the outcome before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ablate.execution.again import is_complete, lacking, trained_again, with_earlier
from ablate.execution.plan import plan
from ablate.execution.status import preview
from ablate.store import Store
from ablate.study.schema.probes import Probe
from ablate.study.schema.train import Train
from ablate.study.study import Study
from ablate.study.trial import Spec, Trial, TrialResult


def trial(metrics="auto", probes=(), **train) -> Trial:
    spec = Spec(
        data={"name": "digits"},
        model={"name": "mlp"},
        train=Train(metrics=metrics, threads=1, **train),
    )
    return Trial(id="a", variant="plain", seed=0, spec=spec, probes=tuple(probes))


def result(of: Trial, **fields) -> TrialResult:
    fields = {"status": "completed", **fields}
    spec = of.spec.model_dump(mode="json", by_alias=True)
    return TrialResult(id=of.id, variant="plain", seed=0, spec=spec, **fields)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, "again")


PR = {"name": "AUC", "as": "pr", "curve": "PR"}


@pytest.mark.parametrize(
    "before, now, lacks",
    [
        ("auto", "auto", ()),
        (["accuracy"], ["accuracy"], ()),
        (["accuracy", "AUC"], ["auc"], ()),  # spelt otherwise, and fewer
        ([{"name": "AUC"}, PR], [PR, "AUC"], ()),
        (["accuracy"], ["accuracy", "AUC"], ("the metric 'auc'",)),
        (["AUC"], [PR], ("the metric 'pr'",)),
        ([PR], [{**PR, "num_thresholds": 50}], ("the metric 'pr'",)),
        ("auto", ["mae"], ("the metric 'mae'",)),
        (["mae"], "auto", ("the metric that auto chooses",)),
    ],
)
def test_a_record_lacks_the_metrics_that_it_did_not_measure(store, before, now, lacks):
    record = result(trial(before))
    assert lacking(record, trial(now), store) == lacks
    assert is_complete(record, trial(now), store) is (not lacks)
    assert is_complete(replace(record, status="diverged"), trial(now), store)
    assert not is_complete(replace(record, status="failed"), trial(now), store)


def test_a_record_written_before_there_was_another_name_is_complete(store):
    record = result(trial([{"name": "AUC", "curve": "PR"}]))
    del record.spec["train"]["metrics"][0]["as"]
    assert lacking(record, trial([{"name": "AUC", "curve": "PR"}]), store) == ()


def test_probes_and_models_are_lacked_too(store):
    asked = trial(["AUC"], [Probe(name="activations")], save="final")
    assert lacking(result(trial()), asked, store) == (
        "the metric 'auc'", "the probe 'activations'", "its final model",
    )  # fmt: skip


def test_what_is_trained_again_is_counted_by_what_for():
    one, both = ("the metric 'auc'",), ("the metric 'auc'", "its final model")
    assert trained_again([]) == ""
    assert trained_again([one, both, one]) == (
        "2 trials are trained again for the metric 'auc', 1 trial is trained again for the metric "
        "'auc' and its final model; their numbers must come out the same."
    )


def test_what_was_measured_before_stays_where_the_numbers_come_out_the_same(store):
    before = result(
        trial(["accuracy"]),
        metrics={"test_loss": 0.5, "test_accuracy": 0.9},
        curves={"loss": [None, 1.0], "accuracy": [None, 0.5]},
        epochs=1,
    )
    again = result(
        trial(["AUC"]),
        metrics={"test_loss": 0.5, "test_auc": 0.7},
        curves={"loss": [None, 1.0], "auc": [None, 0.6]},
        epochs=1,
    )
    both = with_earlier(before, again)
    assert both.metrics == {"test_loss": 0.5, "test_accuracy": 0.9, "test_auc": 0.7}
    assert set(both.curves) == {"loss", "accuracy", "auc"} and both.cautions == ()
    # Nothing is trained a third time, whichever of the two is asked for.
    read = TrialResult.from_json(both.to_json())
    for asked in (["accuracy"], ["AUC"], ["AUC", "accuracy"]):
        assert lacking(read, trial(asked), store) == ()
    assert lacking(read, trial(["mae"]), store) == ("the metric 'mae'",)


def test_another_metric_of_the_same_name_takes_its_place(store):
    before = result(
        trial(["AUC", "mae"]), metrics={"test_loss": 0.5, "test_auc": 0.6, "test_mae": 1}
    )
    coarse = {"name": "AUC", "num_thresholds": 3}
    both = with_earlier(
        before, result(trial([coarse]), metrics={"test_loss": 0.5, "test_auc": 0.7})
    )
    assert both.metrics == {"test_loss": 0.5, "test_auc": 0.7, "test_mae": 1}
    assert lacking(both, trial(["AUC"]), store) == ("the metric 'auc'",)


def test_numbers_that_do_not_come_out_the_same_are_said_and_not_mixed():
    before = result(trial(["accuracy"]), metrics={"test_loss": 0.5, "test_accuracy": 0.9})
    again = result(trial(["AUC"]), metrics={"test_loss": 0.25, "test_auc": 0.7})
    found = with_earlier(before, again)
    assert found.metrics == again.metrics
    (said,) = found.cautions
    assert "did not come out the same (test_loss was 0.5 and is 0.25)" in said
    diverged = with_earlier(before, replace(again, status="diverged"))
    assert "it completed before and diverged now" in diverged.cautions[0]
    for known in (None, replace(before, status="failed")):
        assert with_earlier(known, again) is again


def test_a_plan_counts_what_is_trained_again_as_left_and_says_what_for(tmp_path):
    def study(*metrics):
        return Study(
            study="grown",
            data={"name": "digits"},
            model={"name": "mlp"},
            train={"epochs": 1, "threads": 1, "metrics": list(metrics)},
            seeds=3,
            variants={"plain": {}},
        )

    store = Store(tmp_path, "grown")
    for each in plan(study("accuracy"), store).todo:
        record = result(each, metrics={"test_loss": 0.5, "test_accuracy": 0.9}, epochs=1)
        store.save(replace(record, seed=each.seed))
    same = preview(study("accuracy"), logs=tmp_path, build=False)
    assert (same.todo, same.again, same.rows[0].statuses) == (0, "", {"completed": 3})
    seen = preview(study("mae"), logs=tmp_path, build=False)
    assert (seen.todo, seen.rows[0].done, seen.rows[0].statuses) == (3, 0, {"again": 3})
    assert seen.again == (
        "3 trials are trained again for the metric 'mae'; their numbers must come out the same."
    )
