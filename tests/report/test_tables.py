"""The tables: failures before means, every seed, no interval that may not be there."""

from __future__ import annotations

from dataclasses import replace

from ablate.analysis.crossed import Crossed
from ablate.report import ReportData, tables
from ablate.report.formatting import NONE
from ablate.report.plots.expectations import expectations as draw_expectations
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.analysis import Analysis as Settings
from ablate.study.schema.analysis import Expect
from tests.report.studies import BN, DIGITS, DROPOUT, arm, factorial, report_of, result, study


def titles(table):
    return [each.title for each in table.columns]


def column(table, title):
    return [row[titles(table).index(title)] for row in table.rows]


def test_the_headline_counts_before_it_averages(digits):
    table = tables.headline(digits)
    assert titles(table) == [
        "Variant", "n", "Lost", "Mean (%)", "SD", "Seed 0 1 2 3 4", "Difference (points)",
        "95 % interval", "p (Holm)", "Against baseline",
    ]  # fmt: skip
    assert column(table, "Variant") == ["plain", "both", "bn", "dropout"]
    assert column(table, "Lost") == ["0"] * 4
    assert column(table, "Against baseline") == ["baseline", "better", "better", "inconclusive"]
    assert table.marks == ("baseline", "better", "better", "")


def test_the_headline_says_what_the_analysis_says(digits):
    table = tables.headline(digits)
    effect = digits.analysis.effect("bn")
    assert column(table, "Difference (points)")[2] == f"+{effect.mean * 100:.2f}"
    assert column(table, "95 % interval")[2] == (
        f"+{effect.low * 100:.2f} to +{effect.high * 100:.2f}"
    )
    values = digits.analysis.variant("bn").metrics["test_accuracy"].values
    assert column(table, "Seed 0 1 2 3 4")[2].split() == [
        f"{values[seed] * 100:.2f}" for seed in range(5)
    ]


def test_two_seeds_have_no_interval_and_are_told_so():
    table = tables.headline(study(seeds=2))
    assert set(column(table, "95 % interval")[1:]) == {"–"}
    assert set(column(table, "Against baseline")[1:]) == {"too few seeds"}
    assert any("nothing is inferred" in each for each in table.notes)


def test_lost_trials_are_named_by_kind():
    outcomes = {("bn", 0): "diverged", ("bn", 3): "failed", ("both", 1): "failed"}
    material = study(status=lambda variant, seed: outcomes.get((variant, seed), "completed"))
    assert column(tables.headline(material), "Lost") == [
        "0", "1 failed", "1 diverged, 1 failed", "0",
    ]  # fmt: skip
    table = tables.failures(material)
    assert column(table, "Diverged") == ["0", "1 (seed 0)", "0", "0"]
    assert column(table, "Failed") == ["0", "1 (seed 3)", "0", "1 (seed 1)"]
    assert column(table, "Lost (95 % interval)")[1] == "2 of 5: 40 % (12 to 77)"
    assert tables.failures(study()) is None


def test_what_could_not_be_judged_is_no_zero():
    def judged(metric):
        lost = study(
            status=lambda variant, seed: "diverged" if seed == 0 else "completed",
            settings=Settings(metric=metric),
        )
        return set(column(tables.failures(lost), "Collapsed"))

    assert judged("accuracy") == {"0"}
    assert judged("loss") == {"–"}


def test_a_study_that_still_runs_says_of_how_many():
    material = study(status=lambda variant, seed: "completed" if seed < 3 else None)
    assert column(tables.headline(material), "n") == ["3 of 5"] * 4


def test_many_seeds_get_a_table_of_their_own():
    material = study(seeds=8)
    assert not any(each.startswith("Seed ") for each in titles(tables.headline(material)))
    table = tables.seeds(material)
    assert titles(table) == ["Variant", *map(str, range(8))]
    assert tables.seeds(study()) is None


def test_factors_have_main_effects_and_their_interaction():
    table = tables.factors(factorial())
    assert column(table, "Effect")[:3] == ["bn", "dropout", "bn × dropout"]
    assert column(table, "Kind") == ["average"] * 2 + ["interaction"] + ["simple effect"] * 4
    assert column(table, "Verdict")[2] == "interaction"
    assert "an average may hold at no level" in table.notes[1]
    assert tables.factors(study()) is None


def test_what_a_part_adds_is_ranked():
    both, without = arm("both", [BN], {}), arm("both-without-bn", [], {})
    without = replace(without, origin="leave_one_out", left_out=("both", "bn"))
    results = [result(each, seed, 0.01 * (each is both)) for each in (both, without)
               for seed in range(5)]  # fmt: skip
    table = tables.contributions(report_of([both, without], results, seeds=range(5)))
    assert [row[:3] for row in table.rows] == [("1", "bn", "both")]
    assert column(table, "Verdict") == ["better"]


def test_an_alias_is_named_beside_what_it_equals():
    plain = arm("plain", [], {})
    alias = ResolvedVariant("both-without-bn", plain.spec, alias_of="plain", origin="leave_one_out",
                left_out=("both", "bn"))  # fmt: skip
    results = [result(plain, seed, 0) for seed in range(3)]
    material = report_of([plain, alias], results, seeds=range(3))
    assert column(tables.headline(material), "Variant") == ["plain", "both-without-bn (= plain)"]
    assert [each.id for each in material.by_variant["both-without-bn"]] == [
        "plain-0", "plain-1", "plain-2",
    ]  # fmt: skip


def test_every_table_is_rectangular_whatever_became_of_the_trials():
    for status in ("completed", "diverged", "failed", None):
        for seeds in (1, 4, 20):
            material = study(seeds=seeds, status=lambda variant, seed, s=status: s)
            for table in tables.tables(material):
                assert {len(row) for row in table.rows} <= {len(table.columns)}, table.name


def test_costs_speeds_gaps_and_evidence_are_there(digits):
    made = {each.name: each for each in tables.tables(digits)}
    assert {"headline", "evidence", "metrics", "gaps", "speeds", "costs"} == set(made)
    assert column(made["costs"], "Parameters") == ["25,000", "25,200", "25,200", "25,400"]
    assert column(made["evidence"], "Pairs") == ["5", "5", "5"]


def test_the_interval_for_other_rows_stands_beside(digits):
    analysis = digits.analysis
    wide = Crossed(0.0, -0.05, 0.05, 4.0, 0.1, 0.1, 0.1)
    effects = tuple(replace(each, crossed=wide) for each in analysis.effects)
    table = tables.tables(replace(digits, analysis=replace(analysis, effects=effects)))
    (found,) = (each for each in table if each.name == "headline")
    assert column(found, "On other test rows too") == ["", *["−5.00 to +5.00"] * 3]


def test_what_must_be_known_with_a_verdict_stands_behind_it(digits):
    analysis = digits.analysis
    effects = tuple(replace(each, caveat="moving averages not converged") for each in
                    analysis.effects)  # fmt: skip
    table = tables.headline(replace(digits, analysis=replace(analysis, effects=effects)))
    assert column(table, "Against baseline")[1:] == [
        f"{verdict} (moving averages not converged)"
        for verdict in ("better", "better", "inconclusive")
    ]


def test_differences_that_are_equal_with_every_seed_say_so():
    resolved = [arm(name, [], {}) for name in ("plain", "same")]
    results = [
        replace(result(variant, seed, 0.0), metrics={"test_accuracy": accuracy})
        for variant, accuracy in zip(resolved, (0.9, 0.91), strict=True)
        for seed in range(3)
    ]
    table = tables.headline(report_of(resolved, results, seeds=range(3)))
    assert column(table, "95 % interval") == ["", "the same each seed"]
    assert table.notes == (
        "Differences are paired by seed, variant minus baseline. They are the same with every "
        "seed: without spread there are no intervals, and nothing is inferred.",
    )


def test_the_rows_of_a_correction_say_what_is_counted(digits):
    resolved = list(digits.resolved)
    everything = report_of(
        resolved, digits.results, seeds=range(5), settings=Settings(compare="all")
    )
    assert tables.headline(everything).notes[-1] == (
        "Differences are paired by seed, variant minus baseline; intervals are per comparison, p "
        "is Holm's over all 6 pairs of the 4 variants."
    )
    best = tables.best(everything)
    assert set(map(best.mark, range(len(best.rows)))) == {""}


def test_what_the_variants_are_needs_their_arms(digits):
    assert dict(tables.what_variants_are(digits).rows)["plain"] == "the base model as it is"
    assert tables.what_variants_are(ReportData(digits.analysis)) is None
    assert list(DIGITS) == [row[0] for row in tables.what_variants_are(digits).rows]


def test_a_mix_of_environments_shows_each_value(digits):
    first, *rest = digits.results
    mixed = replace(first, environment={**first.environment, "keras": "3.16.0"})
    material = ReportData(digits.analysis, [mixed, *rest])
    assert dict(tables.environment(material).rows)["keras"] == "3.16.0 and 3.15.1"


def expected():
    claims = [
        {"claim": "value", "variant": "bn", "metric": "test_accuracy", "value": 0.978, "sd": 0.002,
         "n": 7, "margin": 0.01, "source": "A paper"},
        {"claim": "value", "variant": "plain", "metric": "test_accuracy", "range": (0.5, 0.6),
         "source": "A & B"},
        {"claim": "ratio", "variant": "bn", "than": "plain", "metric": "test_loss",
         "range": (0.1, 0.9), "source": "C"},
        {"claim": "ordering", "variant": "bn", "than": "plain", "metric": "test_accuracy",
         "source": "D"},
    ]  # fmt: skip
    return study(expect=[Expect.model_validate(each) for each in claims])


def test_published_claims_stand_beside_ours_with_both_intervals():
    material = expected()
    table = tables.expectations(material)
    found = material.analysis.expectations
    assert column(table, "Verdict")[1].startswith("inconsistent")
    assert column(table, "Published") == ["97.80 n = 7", NONE, NONE, NONE]
    assert column(table, "Consistent within") == [
        "96.80 to 98.80", "50.00 to 60.00", "0.10 to 0.90", "above 0",
    ]  # fmt: skip
    assert column(table, "Here")[3].startswith("+1.")
    assert column(table, "Here")[0].startswith(f"{found[0].ours * 100:.2f}")
    assert column(table, "Claim")[2] == "ratio: test loss of bn against plain"
    assert float(column(table, "Here")[2].split()[0]) < 1  # a ratio is no percentage
    assert table.notes == (
        *(each.text for each in found),
        "Each claim is judged at 95 % for itself. What a result is consistent within (a margin "
        "around the published value, a range) was chosen by whoever wrote the study, not "
        "published.",
    )


def test_published_claims_are_drawn_a_panel_for_each_scale():
    (plot,) = draw_expectations(expected())
    assert [each.get_xlabel() for each in plot.figure.axes] == [
        "Test accuracy (%)", "Test loss: ratio", "Test accuracy: difference (points)",
    ]  # fmt: skip
    assert draw_expectations(study(seeds=3)) == []


def left_out():
    """Two declared variants, and three left out of one of them, one of those an alias."""
    rest = {"origin": "leave_one_out"}
    resolved = [
        arm("plain", [], {}), arm("bn", [BN], {}), arm("both", [BN, DROPOUT], {}),
        arm("both-without-a", [BN], {}, left_out=("both", "a"), **rest),
        arm("both-without-b", [BN], {}, left_out=("both", "b"), **rest),
        arm("both-without-c", [BN], {}, left_out=("both", "c"), alias_of="bn", **rest),
        arm("both-without-d", [], {}, left_out=("both", "d"), alias_of="plain", **rest),
    ]  # fmt: skip
    results = [
        result(each, seed, 0.01 * bool(each.spec.insert))
        for each in resolved
        if each.alias_of is None
        for seed in range(5)
    ]
    return report_of(resolved, results, seeds=range(5))


def test_the_headline_names_every_family_that_holm_corrects_over():
    material = left_out()
    assert tables.headline(material).notes == (
        "Differences are paired by seed, variant minus baseline; intervals are per comparison, p "
        "is Holm's, each family for itself: over 2 comparisons (variants) and over 2 comparisons "
        "(leave one out).",
    )
    assert (
        tables.contributions(material)
        .notes[0]
        .endswith("Intervals are per contribution, p is Holm's over 4 comparisons.")
    )
    assert tables.headline(study()).notes == (
        "Differences are paired by seed, variant minus baseline; intervals are per comparison, p "
        "is Holm's over 3 comparisons.",
    )
    assert "over 3 comparisons (factors)" in tables.factors(factorial()).notes[0]


def test_an_alias_is_compared_as_what_it_is_the_same_as():
    table = tables.headline(left_out())
    rows = {row[0]: row for row in table.rows}
    assert rows["both-without-c (= bn)"][-4:] == rows["bn"][-4:]
    assert rows["both-without-d (= plain)"][-4:] == ("", "", "", "baseline")
