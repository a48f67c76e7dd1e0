from tensorboard.plugins.hparams import api_pb2, metadata

from ablate.events import hparams
from ablate.events.hparams import Configuration


def rows(results, study="s"):
    return [Configuration.of(study, each) for each in results]


def start(result, columns, **kwargs):
    value = hparams.session_start(Configuration.of("s", result, **kwargs), columns, 5.0)
    content = value.metadata.plugin_data.content
    return metadata.parse_session_start_info_plugin_data(content)


def test_columns_are_what_differs_and_never_the_seed(result):
    found = hparams.columns(rows([result("plain"), result("plain", 1), result("dropout")]))
    assert list(found) == ["insert.Dropout", "insert.Dropout.rate", "variant"]
    assert all(info.differs for info in found.values())


def test_overrides_and_factors_are_columns(result):
    high = result("fast", factors={"lr": "high"})
    low = result("plain", factors={"lr": "low"})
    found = hparams.columns(rows([low, high]))
    assert list(found) == ["factor.lr", "train.learning_rate", "variant"]
    rate = found["train.learning_rate"]
    assert rate.type == api_pb2.DATA_TYPE_FLOAT64
    assert (rate.domain_interval.min_value, rate.domain_interval.max_value) == (0.1, 0.5)


def test_where_a_layer_stands_is_a_column_only_if_that_differs(result):
    def placed(at):
        return {"insert": [{"layer": "BatchNormalization", "at": at, "where": "hidden"}]}

    trials = [result("a", spec=placed("before")), result("b", spec=placed("after"))]
    found = hparams.columns(rows(trials))
    assert list(found) == ["insert.BatchNormalization.at", "variant"]


def test_seeds_share_a_group_and_studies_do_not(result):
    first, second = rows([result(seed=0), result(seed=1)])
    assert first.group_name == second.group_name
    assert first.group_name.startswith("s/plain/")
    assert rows([result()], "other")[0].group_name != first.group_name
    assert rows([result("plain", spec={})])[0].group_name != first.group_name


def test_a_search_has_rows_of_its_own(result):
    row = Configuration.of("s", result("dropout"), searched=True)
    assert row.group_name.startswith("s/search/dropout/")


def test_a_session_holds_its_values_by_type(result):
    trials = [result("plain"), result("dropout")]
    columns = hparams.columns(rows(trials))
    plain, dropout = (start(each, columns) for each in trials)
    assert plain.hparams["insert.Dropout"].bool_value is False
    assert plain.hparams["insert.Dropout.rate"].number_value == 0  # nothing is dropped
    assert dropout.hparams["insert.Dropout"].bool_value is True
    assert dropout.hparams["insert.Dropout.rate"].number_value == 0.5
    assert dropout.hparams["variant"].string_value == "dropout"
    assert dropout.start_time_secs == 5.0


def test_a_column_of_numbers_and_texts_is_text(result):
    trials = [result("a", spec={"train": {"x": 1}}), result("b", spec={"train": {"x": "auto"}})]
    columns = hparams.columns(rows(trials))
    assert columns["train.x"].type == api_pb2.DATA_TYPE_STRING
    assert start(trials[0], columns).hparams["train.x"].string_value == "1"


def test_two_placements_of_one_label_are_told_apart():
    placements = [{"layer": "Dropout", "rate": rate} for rate in (0.1, 0.5)]
    found = hparams.flatten({"insert": placements})
    assert found["insert.Dropout.rate"] == 0.1
    assert found["insert.Dropout_2.rate"] == 0.5


def test_final_metrics_begin_with_the_loss_of_trials(result):
    assert list(hparams.final_metrics([result()])) == [
        "final/lost",
        "final/test_accuracy",
        "final/test_loss",
        "final/val_accuracy",
    ]
    assert hparams.final_metrics([result(status="diverged")]) == {"final/lost": 1.0}


def test_joined_columns_take_the_domain_of_both(result):
    slow, fast = result("plain"), result("fast")
    other = result("b", spec={"train": {"learning_rate": 2.0}})
    first = hparams.experiment(hparams.columns(rows([slow, fast])), ["final/lost", "final/a"])
    second = hparams.experiment(hparams.columns(rows([other, slow])), ["final/b"])
    joined = hparams.join([first, second])
    infos = {each.name: each for each in joined.hparam_infos}
    interval = infos["train.learning_rate"].domain_interval
    assert (interval.min_value, interval.max_value) == (0.1, 2.0)
    assert [each.name.tag for each in joined.metric_infos] == ["final/lost", "final/a", "final/b"]
    assert set(infos["variant"].domain_discrete) == {"plain", "fast", "b"}
