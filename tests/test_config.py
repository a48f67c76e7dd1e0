"""Study files: what they may say, and what a person reads when one says something wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.config import dump_study, load_study, parse_override, parse_study, schema
from ablate.errors import StudyError
from ablate.study.study import Study

BASE = """\
study: mine
data: {name: digits}
model: {name: cnn, filters: [4]}
train:
  learning_rate: 5e-2
variants:
  plain:
  bn: {insert: [{layer: BatchNormalization}]}
"""


def refusal(text: str, **given: object) -> list[str]:
    """The lines of the error that a study file gives."""
    with pytest.raises(StudyError) as caught:
        parse_study(text, "s.yaml", **given)  # type: ignore[arg-type]
    return str(caught.value).splitlines()


def test_a_file_becomes_the_study_it_says(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(BASE)
    assert load_study(file) == Study(
        study="mine",
        data={"name": "digits"},
        model={"name": "cnn", "filters": [4]},
        train={"learning_rate": 0.05},
        variants={"plain": {}, "bn": {"insert": [{"layer": "BatchNormalization"}]}},
    )


def test_yaml_1_2_means_what_it_says() -> None:
    study = parse_study(
        "study: 2026-01-31\ndata: {name: digits}\nmodel: {name: mlp}\n"
        "train: {learning_rate: 1e-4}\n"
        "factors:\n  bn: {off: {}, on: {insert: [{layer: BatchNormalization}]}}\n"
    )
    assert study.study == "2026-01-31"
    assert study.train.learning_rate == 0.0001
    assert [arm.name for arm in study.resolved] == ["bn=off", "bn=on"]


def test_merge_keys_and_anchors_work() -> None:
    study = parse_study(
        BASE + "  both:\n    insert:\n      - &drop {layer: Dropout, rate: 0.5}\n"
        "      - {<<: *drop, rate: 0.2, where: Dense}\n"
    )
    assert [each.arguments for each in study.resolved[2].spec.insert] == [
        {"rate": 0.5},
        {"rate": 0.2},
    ]


SLIPS = {
    "unknown key": (
        BASE + "sedes: 3\n",
        "s.yaml:9: sedes: unknown key. Did you mean 'seeds'? Expected one of: study, data, model, "
        "script, train, execution, seeds, variants, factors, leave_one_out, baseline, "
        "allow_duplicates, probes, analysis, profiles, screen, ledger, search, expect, numerics.",
    ),
    "missing key": (
        BASE.replace("data: {name: digits}\n", ""),
        "s.yaml: data: missing. Expected: the examples: their source, split and scale.",
    ),
    "quoted number": (
        BASE.replace("5e-2", "'0.05'"),
        "s.yaml:5: train.learning_rate: expected a number. Received: '0.05'. "
        "Write it without quotes.",
    ),
    "out of bounds": (
        BASE.replace("5e-2", "-1"),
        "s.yaml:5: train.learning_rate: expected a number of at least 0. Received: -1.",
    ),
    "two bounds": (
        BASE + "analysis:\n  confidence: 95\n",
        "s.yaml:10: analysis.confidence: expected a number above 0 and below 1. Received: 95.",
    ),
    "not one of": (
        BASE + "execution: {executor: proceses}\n",
        "s.yaml:9: execution.executor: expected one of processes, serial, inline, ray, slurm. "
        "Received: 'proceses'. Did you mean 'processes'?",
    ),
    "neither form": (
        BASE + "execution: {workers: autp}\n",
        "s.yaml:9: execution.workers: expected auto or a whole number. Received: 'autp'. "
        "Did you mean 'auto'?",
    ),
    "truth is no number": (
        BASE + "seeds: true\n",
        "s.yaml:9: seeds: expected a whole number or a list or a mapping. Received: true.",
    ),
    "not a list": (
        BASE + "  c: {insert: {layer: Dropout}}\n",
        "s.yaml:9: variants.c.insert: expected a list. Received: a mapping with layer.",
    ),
    "layer argument": (
        BASE + "  c: {insert: [{layer: Dropout, rat: 0.5}]}\n",
        "s.yaml:9: variants.c.insert[0].rat: 'rat' is not an argument of Dropout. "
        "Did you mean 'rate'? It takes: dtype, noise_shape, rate, trainable.",
    ),
    "a name as a number": (
        BASE + "  0.5: {}\n",
        "s.yaml:9: variants.0.5: expected a name as text. Received: 0.5. Put it in quotes.",
    ),
    "a name with a space": (
        BASE + "  b n: {}\n",
        "s.yaml:9: variants.b n: expected a name of letters, digits, '.', '_', '+' and '-' that "
        "begins with a letter or a digit, at most 64 characters. Received: 'b n'.",
    ),
    "override in a variant": (
        BASE + "  c: {train: {learning_rat: 1.0}}\n",
        "s.yaml:9: variants.c.train.learning_rat: unknown key. Did you mean 'learning_rate'? "
        "Expected one of: ",
    ),
    "value in a parent": (
        BASE + "  c: {train: {batch_size: 0}}\n  d: {extends: c, train: {epochs: 1}}\n",
        "s.yaml:9: variants.c.train.batch_size: expected a number of at least 1. Received: 0.",
    ),
    "twice": (BASE + "  bn: {}\n", "s.yaml:9: duplicate key 'bn'. Keep one."),
    "not YAML": (BASE + "  c: [\n", "s.yaml:10: not YAML: "),
    "empty": ("", "s.yaml: expected a mapping with study, data, model, variants. Received: an"),
    "a list": ("- 1\n", "s.yaml: expected a mapping with study, data, model, variants. Received: "),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_told_with_its_line_and_remedy(slip: str) -> None:
    text, expected = SLIPS[slip]
    (line,) = refusal(text)
    assert line == expected or (line.startswith(expected) and not expected.endswith("."))


def test_all_slips_are_told_at_once_in_the_order_of_the_file() -> None:
    text = BASE.replace("5e-2", "fast") + "  c: {insert: [{layer: Dropout}]}\nseeds: x\n"
    assert refusal(text) == [
        "3 problems:",
        "s.yaml:5: train.learning_rate: expected a number. Received: 'fast'.",
        "s.yaml:9: variants.c.insert[0]: Dropout needs a 'rate' (share dropped) of at least 0 and "
        "below 1. Received: none.",
        "s.yaml:10: seeds: expected a whole number or a list or a mapping. Received: 'x'.",
    ]


def test_problems_are_there_for_programs_too() -> None:
    with pytest.raises(StudyError) as caught:
        parse_study(BASE + "seeds: 0\n", "s.yaml")
    (problem,) = caught.value.problems
    assert (problem.path, problem.source) == (("seeds",), "s.yaml:9")


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"absent.yaml: cannot read .*: No such file"):
        load_study(tmp_path / "absent.yaml")


def test_overrides_change_fields_in_order() -> None:
    study = parse_study(
        BASE,
        overrides=[
            "train.epochs=3",
            "train.epochs=4",
            "variants.bn.insert[0].momentum=0.9",
            "variants.bn.insert.0.at=before",
            "train.optimizer.momentum=0.5",
            "probes=[activations]",
            "search.space.train.learning_rate.float=[1e-3, 1]",
            "variants.wide={model: {filters: [8]}}",
        ],
    )
    placement = study.variants["bn"].insert[0]
    assert study.train.epochs == 4
    assert (placement.at, placement.arguments) == ("before", {"momentum": 0.9})
    assert study.train.optimizer.arguments == {"momentum": 0.5}
    assert [probe.name for probe in study.probes] == ["activations"]
    assert study.search is not None
    assert study.search.space["train.learning_rate"].float_ == (0.001, 1)
    assert study.resolved[2].spec.model.arguments == {"filters": [8]}


def test_an_override_meets_the_longest_key_that_is_there() -> None:
    text = BASE + "  lr0.1: {train: {learning_rate: 0.1}}\n"
    study = parse_study(text, overrides=["variants.lr0.1.train.learning_rate=0.2"])
    assert study.variants["lr0.1"].train == {"learning_rate": 0.2}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epoch=3", "--set train.epoch=3: unknown key 'epoch'. Did you mean 'epochs'?"),
        ("trian.epochs=3", "--set trian.epochs=3: unknown key 'trian'. Did you mean 'train'?"),
        (
            "train.epochs=many",
            "--set train.epochs=many: train.epochs: expected a whole number. Received: 'many'.",
        ),
        ("train.epochs", "--set train.epochs: expected path=value, as train.epochs=3."),
        ("train.epochs=[", "--set train.epochs=[: the value is not YAML."),
        ("study.x=1", "--set study.x=1: study is 'mine', which has no parts to set."),
        (
            "variants.bn.insert[3].at=after",
            "--set variants.bn.insert[3].at=after: variants.bn.insert is a list of 1. "
            "Expected an index from 0 to 0. Received: '3'.",
        ),
        (
            "variants.plain.insert[0].at=after",
            "--set variants.plain.insert[0].at=after: variants.plain.insert is not there",
        ),
    ],
)
def test_an_override_that_leads_nowhere_is_told(override: str, expected: str) -> None:
    (line,) = refusal(BASE, overrides=[override])
    assert line.startswith(expected)


def test_parse_override_reads_the_value_as_yaml() -> None:
    assert [parse_override(f"a.b={text}") for text in ("1e-4", "on", "null", "[1, x]", "a=b")] == [
        ("a.b", 0.0001),
        ("a.b", "on"),
        ("a.b", None),
        ("a.b", [1, "x"]),
        ("a.b", "a=b"),
    ]


PROFILED = BASE + "profiles:\n  quick: {train.epochs: 2, seeds: 3}\n"


def test_a_profile_is_laid_under_the_overrides() -> None:
    study = parse_study(PROFILED, profile="quick", overrides=["seeds=4"])
    assert (study.train.epochs, study.seeds) == (2, 4)
    assert parse_study(PROFILED).train.epochs == 20


CLAIMED = """\
expect:
  - &kept {claim: value, variant: plain, metric: test_accuracy, value: 0.9, margin: 0.1, source: a}
  - {claim: value, variant: plain, metric: test_accuracy, value: 0.8, margin: 0.1, source: b}
profiles:
  quick: {train.epochs: 2, data.limit: 500}
  more: {seeds: 9, analysis.margin: 0.01}
  own:
    train.epochs: 2
    expect:
      - *kept
      - {claim: value, variant: plain, metric: test_accuracy, value: 0.7, margin: 0.1, source: c}
"""


@pytest.mark.parametrize(
    ("profile", "overrides", "changed_by"),
    [
        (None, [], [None, None]),
        ("more", ["execution.workers=1"], [None, None]),
        ("quick", [], ["--profile quick: train.epochs, data.limit"] * 2),
        ("quick", ["train.epochs=3"], ["--set train.epochs=3, --profile quick: data.limit"] * 2),
        (None, ["model.filters=[4]"], ["--set model.filters=[4]"] * 2),
        ("own", [], ["--profile own: train.epochs", None]),  # a claim of its own
    ],
)
def test_claims_know_what_trains_something_else_than_they_are_about(
    profile: str | None, overrides: list[str], changed_by: list[str | None]
) -> None:
    study = parse_study(BASE + CLAIMED, profile=profile, overrides=overrides)
    assert [each.changed_by for each in study.expect] == changed_by
    assert parse_study(dump_study(study)).expect == study.expect


def test_an_unknown_profile_is_told_with_those_there_are() -> None:
    assert refusal(PROFILED, profile="quik") == [
        "s.yaml: no profile 'quik'. Did you mean 'quick'? It has: quick."
    ]
    assert refusal(BASE, profile="quick") == ["s.yaml: no profile 'quick'. It has none."]


def test_a_profile_is_checked_before_it_is_asked_for() -> None:
    lines = refusal(BASE + "profiles:\n  quick: {train.epocs: 2}\n  slow:\n    train.epochs: -5\n")
    assert lines[0] == "2 problems:"
    assert lines[1].startswith(
        "s.yaml:10: profiles.quick.train.epocs: unknown key 'epocs'. Did you mean 'epochs'?"
    )
    assert lines[2] == (
        "s.yaml:12: profiles.slow.train.epochs: expected a number of at least 0 and at most "
        "1e+09. Received: -5."
    )


@pytest.mark.parametrize(
    ("given", "seeds"), [("7", 7), ("0,2,5", [0, 2, 5]), (3, 3), ([1, 2], [1, 2]), ("4,", None)]
)
def test_seeds_come_as_a_number_or_a_list(given: object, seeds: object) -> None:
    if seeds is None:
        assert refusal(BASE, seeds=given) == [
            "--seeds: expected how many (7) or which (0,2,5). Received: '4,'."
        ]
    else:
        assert parse_study(BASE, seeds=given).seeds == seeds  # type: ignore[arg-type]


def test_files_are_found_beside_the_study_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "d.npz").touch()
    (tmp_path / "m.keras").touch()
    file = tmp_path / "here" / "s.yaml"
    file.write_text(
        "study: s\ndata: {path: d.npz}\nmodel: {file: m.keras}\nvariants: {plain: {}}\n"
    )
    study = load_study("here/s.yaml")
    assert (study.data.path, study.model.file) == ("here/d.npz", "m.keras")


FULL = (
    BASE
    + """\
  slow: {extends: [bn], train: {learning_rate: 0.001, optimizer: {name: adam}}, data: {limit: 9}}
  less: {remove: [{where: "conv[0]", except: x}, Dense], model: {filters: [8]}}
leave_one_out: {from: bn, by: site}
baseline: bn
seeds: [3, 1]
probes: [activations, {name: perturbation, share: 0.01, every: 5}]
analysis: {metric: accuracy, confidence: 0.9}
profiles: {quick: {train.epochs: 2}}
search:
  oracle: quasirandom
  space:
    train.learning_rate: {float: [1.0e-4, 1.0], sampling: log}
    insert.BatchNormalization.present: {bool: true}
expect: [{claim: ordering, variant: bn, than: plain, metric: test_accuracy, source: someone}]
"""
)


def test_what_is_written_loads_to_an_equal_study() -> None:
    study = parse_study(FULL)
    text = dump_study(study, heading="resolved\n\non one machine")
    assert parse_study(text) == study
    assert text.startswith("# resolved\n#\n# on one machine\nstudy: mine\n")
    assert "epochs: 20" in text  # defaults of train are written out
    assert dump_study(parse_study(text)) == dump_study(study)


def test_the_schema_describes_every_field() -> None:
    document = schema()
    definitions = {"study": document, **document["$defs"]}
    silent = [
        f"{name}.{key}"
        for name, each in definitions.items()
        for key, field in each.get("properties", {}).items()
        if not field.get("description")
    ]
    assert silent == []
    assert document["additionalProperties"] is False
    assert {"type": "string"} in document["$defs"]["Variant"]["properties"]["remove"]["items"][
        "anyOf"
    ]
    assert document["required"] == ["study", "data", "model"]
    assert set(document["$defs"]["Variant"]["properties"]["train"]["properties"]) == set(
        document["$defs"]["Train"]["properties"]
    )


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False)
    | st.text(max_size=90)
    | st.sampled_from(["on", "null", "1e-4", "2026-01-31", "0x1f", "~", "a: b", "- x", "12:30:00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_whatever_an_argument_is_it_comes_back(value: object) -> None:
    placement = {"layer": "Anyones", "argument": value}
    study = Study(
        study="mine",
        data={"name": "digits"},
        model={"name": "cnn"},
        variants={"a": {"insert": [placement]}},
    )
    assert parse_study(dump_study(study)) == study
