"""The search's section: best points, responses with what was lost, the budget curve."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np

from ablate.analysis import expected_best
from ablate.analysis.search import Searched, SearchPoint
from ablate.report.printing import console
from ablate.report.search import best_points, search_tables, section, with_winners
from ablate.report.terminal import show
from tests.report.studies import study

RATE = "train.learning_rate"
RATES = np.geomspace(1e-4, 1, 6)


def searched(**rest):
    points = [
        SearchPoint(variant, {RATE: float(rate)}, () if lost else (0.3 - gain + 0.1 * abs(i - 3),),
                    lost, epochs=5)
        for variant, gain, limit in (("plain", 0.0, 4), ("bn", 0.05, 6))
        for i, rate in enumerate(RATES)
        for lost in [int(i >= limit)]
    ]  # fmt: skip
    return Searched("val_loss", "min", tuple(points), log=frozenset({RATE}), **rest)


def test_the_best_point_of_each_variant():
    table = best_points(searched())
    assert [each.title for each in table.columns] == [
        "Variant", "Points", "Lost", "Epochs trained", "learning_rate", "Best validation loss",
    ]  # fmt: skip
    assert [row[:4] for row in table.rows] == [("plain", "6", "2", "30"), ("bn", "6", "0", "30")]
    assert [row[4] for row in table.rows] == [f"{RATES[3]:.4f}"] * 2
    assert [float(row[5]) for row in table.rows] == [0.3, 0.25]


def test_a_point_that_lost_a_seed_has_no_score():
    assert SearchPoint("a", {}, (0.5,), lost=1).score is None
    assert SearchPoint("a", {}, (0.5, 0.7)).score == 0.6
    lost = Searched("val_loss", "min", (SearchPoint("a", {RATE: 0.1}, (), 1),))
    assert lost.best("a") is None
    assert best_points(lost).rows == (("a", "1", "1", "0", "–", "–"),)


def test_confirmed_metrics_stand_beside_the_choice():
    table = best_points(searched(confirmed=study(seeds=3).analysis))
    assert table.columns[-1].title == "Confirmed test accuracy (%)"
    assert table.rows[1][-1].endswith("n = 3")


def test_the_section_draws_the_budget_and_each_parameter():
    made = section(searched(importance={"bn": {RATE: 0.9}}, text=("A budget of 60 epochs.",)))
    assert [each.name for each in made.plots] == ["search-budget", "search-train-learning-rate"]
    assert [each.name for each in made.tables] == ["best-points", "importance"]
    budget, response = (each.figure.axes[0] for each in made.plots)
    expected = expected_best([each.score or np.nan for each in searched().of("bn")], "min")
    np.testing.assert_allclose(budget.lines[1].get_ydata(), expected)
    assert response.get_xscale() == "log"
    crosses = [line.get_xdata()[0] for line in response.lines if line.get_marker() == "x"]
    np.testing.assert_allclose(crosses, RATES[4:])


def test_parameters_that_are_no_numbers_stand_in_a_row():
    points = tuple(
        SearchPoint("a", {"insert.bn.at": at, RATE: 0.1 * (1 + i)}, (0.1 * i,))
        for i, at in enumerate(("before_activation", "after_activation", "before_activation"))
    )
    made = section(Searched("val_accuracy", "max", points))
    axis = next(each for each in made.plots if each.name == "search-insert-bn-at").figure.axes[0]
    assert [each.get_text() for each in axis.get_xticklabels()] == [
        "after_activation", "before_activation",
    ]  # fmt: skip


def test_the_terminal_has_the_search_too():
    found = searched(text=("Budget: 60 epochs were trained.",))
    screen = io.StringIO()
    show(replace(study(seeds=3), sections=(section(found),)), console(file=screen))
    told = screen.getvalue()
    assert "Budget: 60 epochs were trained." in told
    assert all(table.title in told for table in search_tables(found))


def test_a_report_on_winners_opens_with_them():
    material = study()
    points = tuple(
        SearchPoint(variant, {"train.learning_rate": rate}, (score, score))
        for variant in ("plain", "bn")
        for rate, score in ((0.1, 0.9), (0.3, 0.95))
    )
    lost = SearchPoint("dropout", {"train.learning_rate": 0.1}, (), lost=2)
    searched = Searched("val_accuracy", "max", (*points, lost))
    found = with_winners(material, searched).analysis.answer
    assert found[1:] == material.analysis.answer
    assert found[0] == (
        "Winners of the search by validation accuracy: plain learning_rate 0.300 (95.00 %); bn "
        "learning_rate 0.300 (95.00 %); dropout none, as every point was lost. These scores "
        "flatter, as they were chosen for them; below, the winners are compared on fresh seeds."
    )
